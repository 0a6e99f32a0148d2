"""Use cases that run on a hosted model today: both sides by hand, and what follows for the plan."""

import json
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_case, make_plan
from test_futures import paths_of

from aifactory.benchmark import build_benchmark
from aifactory.buyplan import build_buy_plan
from aifactory.buyplan.futures import stream_paths
from aifactory.buyplan.plan import _resolve
from aifactory.buyplan.prepare import with_hosted
from aifactory.buyplan.staying import TIMES, Staying, _elsewhere, approved_with, decide_staying, moves_begun
from aifactory.buyplan.stress.replan import GAP as QUICK_GAP
from aifactory.fleet.streams import NO_PLATFORM, not_sized_sentences
from aifactory.inputs.hosted import HOSTED, HOSTED_ONLY, RUNS_HOSTED, STAYS_HOSTED
from aifactory.inventory import build_inventory
from aifactory.report.buy_plan_hosted import hosted_today_section
from aifactory.report.buy_plan_orders import price_doubts
from aifactory.report.buy_plan_page import bands_section, table_need
from aifactory.shortlist import build_shortlist

LISTED = [
    "input_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "output_usd_per_mtok",
    "batch_input_usd_per_mtok",
    "batch_output_usd_per_mtok",
]
NO_LIST = pd.DataFrame(columns=["api_model", *LISTED])
UNITS = 1.5 * 3600 * 730  # a month of one and a half busy accelerators, whose peak and reserve one node of four holds


#: Moving takes no work, and so no month.
AT_ONCE = {"api_migration_person_months": 0.0}


@pytest.fixture
def tiny(tiny):
    return lambda plan=None, **about: tiny(plan=plan or make_plan(12, AT_ONCE), **about)


def today(usd, retires=None, name="chat"):
    """`hosted_today` with a price per unit."""
    return pd.DataFrame({
        "use_case_id": [name], "model": ["Llama-3.1-8B"], "provider": ["AWS"], "usd_month": [usd * UNITS], "units_month": [UNITS],
        "usd_per_unit": [usd], "retires": pd.to_datetime([retires]), "source": ["billing table"], "as_of": ["2026-10-31"],
    })  # fmt: skip


def decided(case, usd, retires=None, **facts):
    resolve = _resolve(stream_paths(case, paths_of(case, 3, 0.0)))
    return decide_staying(case, today(usd, retires, **facts), resolve, NO_LIST)


def known(case, tier="measured"):
    """The case with rates that were measured, or not."""
    return replace(case, streams=replace(case.streams, table=case.streams.table.assign(tier=tier)))


def test_both_sides_by_hand(tiny):
    """Hosted: units x price, twelve months. Own: the nodes that the plan holds without the other use case's."""
    case = known(tiny(chat=1.5, train=0.0, inputs={"shapes": {}}))
    row = decided(case, 1e-4).table.iloc[0]
    assert row["hosted_usd"] == pytest.approx(12 * UNITS * 1e-4)
    # a node of four a year reserved at USD 2 for an even load of one and a half, nothing beside it
    assert row["own_usd"] == row["own_high_usd"] == pytest.approx(4 * 2.0 * 8760)
    assert row["stays"]
    break_even = 4 * 2.0 * 8760 / (12 * UNITS)
    assert decided(case, break_even * 0.999).names == {"chat"} and decided(case, break_even * 1.001).names == set()


def test_a_difference_that_the_search_leaves_open_is_said(tiny):
    """Own accelerators cost 70,080: a thousandth less hosted shows nothing, a tenth less does."""
    case = known(tiny(chat=1.5, train=0.0, inputs={"shapes": {}}))
    break_even, said = 4 * 2.0 * 8760 / (12 * UNITS), "neither is shown to cost less"
    near, far = (decided(case, break_even * share) for share in (0.999, 0.9))
    assert near.table["open_usd"].iloc[0] == pytest.approx(QUICK_GAP * 70_080)
    assert said in near.sentences()[0] and said not in far.sentences()[0]


def test_shares_and_contingency_are_on_both_sides_and_costs_of_a_unit_on_neither(tiny):
    about = {"driver": "d", "owner_role": "Analyst", "source": "s", "as_of": "2026-10-01"}
    hidden = [{"name": "Review", "usd_per_unit": 0.5, **about}, {"name": "Rules", "share_of_compute": 0.1, **about},
              {"name": "Tools", "usd_per_month": 100.0, **about}]  # fmt: skip
    values = AT_ONCE | {"orchestration_share": 0.05, "contingency_share": 0.2}
    plain = known(tiny(chat=1.5, train=0.0, inputs={"shapes": {}}))
    full = known(tiny(plan=make_plan(12, values, hidden_costs=hidden), chat=1.5, train=0.0, inputs={"shapes": {}}))
    before, after = (decided(case, 2e-3).table.iloc[0] for case in (plain, full))
    for side in ("hosted_usd", "own_usd"):
        assert after[side] == pytest.approx(before[side] * 1.15 * 1.2)


def test_the_end_of_the_model_and_the_work_to_move_are_counted(tiny):
    """From month 6 on the successor costs half as much again, and moving to it 2 x 10,000, as moving away does.

    That takes two months, which are billed; the year of a node that comes then is paid whole, as what runs on is stranded.
    """
    values = {"api_migration_person_months": 2.0, "engineer_usd_per_month": 10_000.0, "api_successor_price_ratio": 1.5}
    case = known(tiny(plan=make_plan(12, values), chat=1.5, train=0.0, inputs={"shapes": {}}))
    row = decided(case, 1e-3, "2027-04-29").table.iloc[0]
    assert row["hosted_usd"] == pytest.approx(UNITS * 1e-3 * (5 + 7 * 1.5) + 20_000)
    last_day = decided(case, 1e-3, "2027-04-30").table.iloc[0]  # it answers for all of the month
    assert last_day["hosted_usd"] == pytest.approx(UNITS * 1e-3 * (6 + 6 * 1.5) + 20_000)
    now = decided(case, 1e-3, "2026-10-31").table.iloc[0]  # the bill of the month is the last at its price
    assert now["hosted_usd"] == pytest.approx(UNITS * 1e-3 * 12 * 1.5 + 20_000)
    assert row["own_usd"] == pytest.approx(2 * UNITS * 1e-3 + 4 * 2.0 * 8760 + 20_000)
    gone = decided(case, 1e-3, "2026-09-30").table.iloc[0]  # its end is past: what answers now is what the bill shows
    assert gone["hosted_usd"] == pytest.approx(UNITS * 1e-3 * 12)


def test_moving_to_a_successor_is_paid_at_the_pay_of_its_month(tiny):
    """Pay that rises by 21 % a year stands at 1.1 after six months: 2 x 10,000 of work are 22,000, moving away now 20,000."""
    values = {
        "api_migration_person_months": 2.0,
        "engineer_usd_per_month": 10_000.0,
        "api_successor_price_ratio": 1.0,
        "cost_inflation": 0.21,
    }
    case = known(tiny(plan=make_plan(12, values), chat=1.5, train=0.0, inputs={"shapes": {}}))
    row = decided(case, 1e-3, "2027-04-29").table.iloc[0]
    assert row["hosted_usd"] == pytest.approx(UNITS * 1e-3 * 12 + 22_000)
    assert row["migration_usd"] == 20_000


def test_a_rate_that_was_never_measured_must_pay_at_its_low_end(tiny):
    """Own accelerators for 70,080 where 80,000 would be paid hosted: half the rate would cost twice as much."""
    case = tiny(chat=1.5, train=0.0, inputs={"shapes": {}})
    table = case.streams.table
    unsure = replace(
        case,
        streams=replace(
            case.streams, table=table.assign(tier="predicted", low=table["units_per_s_per_accelerator"] / 2)
        ),
    )
    usd = 80_000 / (12 * UNITS)
    found = decided(unsure, usd)
    row = found.table.iloc[0]
    assert row["own_high_usd"] == pytest.approx(2 * 4 * 2.0 * 8760) and found.names == {"chat"}
    assert "until own accelerators are measured" in found.sentences()[0]
    assert decided(known(unsure), usd).names == set()


def test_use_cases_that_share_nodes_are_decided_one_after_the_other(tiny):
    """Once the dearer one stays, the other has its nodes for itself."""
    case = known(tiny(chat=3.0, train=1.0, inputs={"shapes": {}}))
    rows = pd.concat([today(1e-6), today(0.5, name="train")], ignore_index=True)
    found = decide_staying(case, rows, _resolve(stream_paths(case, paths_of(case, 3, 0.0))), NO_LIST).table
    assert found["stays"].tolist()[0]
    alone = decided(known(tiny(chat=0.0, train=1.0, inputs={"shapes": {}})), 0.5, name="train").table
    assert found["own_usd"].iloc[1] == pytest.approx(alone["own_usd"].iloc[0])


def test_what_cannot_be_decided_is_not(tiny):
    case = tiny(chat=1.5, train=0.0)
    assert decided(case, np.nan).table.empty and decided(case, 1e-3, name="voice").table.empty
    assert Staying().names == frozenset() and Staying().migration_usd == {} and Staying().sentences() == []


def test_a_bill_that_cannot_hold_all_calls_decides_nothing(tiny):
    """1,000 tokens in and 100 out at USD 1 and 5 a million are USD 0.0015 a unit: half of it may be a contract, less is a part."""
    case = known(tiny(chat=1.5, train=0.0, inputs={"shapes": {}}))
    table = case.streams.table.assign(
        input_tokens_per_unit=1_000.0, cached_input_tokens_per_unit=0.0, output_tokens_per_unit=100.0
    )
    case = replace(case, streams=replace(case.streams, table=table))
    prices = pd.DataFrame(
        [["meta.llama3-1-8b-instruct-v1:0", 1.0, 1.0, 5.0, np.nan, np.nan]], columns=["api_model", *LISTED]
    )
    resolve = _resolve(stream_paths(case, paths_of(case, 3, 0.0)))
    whole, part = (decide_staying(case, today(usd), resolve, prices) for usd in (0.00076, 0.00074))
    assert whole.table["listed_usd_per_unit"].item() == pytest.approx(0.0015) and whole.names == {"chat"}
    assert part.names == set() and part.migration_usd == {"chat": 0.0} and part.table["hosted_usd"].isna().all()
    assert (
        "far below the cheapest listed price of its model, USD 0.0015, so part of its calls must run elsewhere"
        in part.sentences()[0]
    )


def test_the_sentences_name_the_bill_and_both_sides(tiny):
    case = known(
        tiny(
            plan=make_plan(12, {"api_migration_person_months": 1.0, "engineer_usd_per_month": 9_000.0}),
            chat=1.5,
            train=0.0,
        )
    )
    stays, moves = decided(case, 1e-5), decided(case, 1e-1, "2027-04-30")
    start = "chat runs on the hosted model Llama-3.1-8B of AWS today: USD 39 in the month, USD 0.00001 a unit (billing, 2026-10-31); it stays there"
    assert stays.sentences()[0].startswith(start)
    assert (
        "moves it to own accelerators" in moves.sentences()[0]
        and "USD 9,000 is the work to move" in moves.sentences()[0]
    )
    assert "announced end on 2027-04-30" in moves.sentences()[0]
    assert moves.migration_usd == {"chat": 9_000.0} and stays.migration_usd == {}


def test_a_doubtful_rate_makes_accelerators_dearer_and_no_work(tiny):
    """At half the rate twice the accelerators; rework of USD 3,000 a month stays what it is."""
    case = tiny(chat=1.5, train=0.0, inputs={"shapes": {}}, rework={"chat": 3_000.0})
    unsure = case.streams.table.assign(tier="anchored", low=case.streams.table["units_per_s_per_accelerator"] / 2)
    row = decided(replace(case, streams=replace(case.streams, table=unsure)), 1e-4).table.iloc[0]
    assert row["own_usd"] == pytest.approx(4 * 2.0 * 8760 + 36_000)
    assert row["own_high_usd"] == pytest.approx(2 * 4 * 2.0 * 8760 + 36_000)


def test_a_cheaper_seller_of_the_same_model_is_named_before_own_accelerators_are_bought(tiny):
    """Hosted 100 at the bill and 40 at a listed price of two fifths, own 60: buying is not the cheapest way out."""
    row = SimpleNamespace(hosted_usd=100e3, own_usd=60e3, usd_per_unit=0.01, listed_usd_per_unit=0.004)
    assert "USD 0.004 a unit, it would cost about USD 40,000 hosted: test that offer" in _elsewhere(row)
    for listed in (0.0061, np.nan):
        row.listed_usd_per_unit = listed
        assert _elsewhere(row) == ""


def test_work_to_move_that_is_under_way_is_neither_charged_nor_waited_for_again(tiny):
    """Three months of work: begun a month ago two are left, begun three months ago none, and nothing is to pay."""
    found = {}
    for begun in ("", "2026-09", "2026-07", "2026-12"):
        under_way = [{"use_case_id": "chat", "platform_class": "gpu", "begun": begun}] if begun else []
        plan = make_plan(12, {"api_migration_person_months": 2.5, "engineer_usd_per_month": 9_000.0}, ports_under_way=under_way)  # fmt: skip
        case = known(tiny(plan=plan, chat=1.5, train=0.0, inputs={"shapes": {}}))
        found[begun] = decided(case, 1.0)
    assert {begun: (each.leaving["chat"], each.migration_usd["chat"]) for begun, each in found.items()} == {
        "": ("2027-02", 22_500.0), "2026-09": ("2027-01", 0.0), "2026-07": ("2026-11", 0.0), "2026-12": ("2027-02", 22_500.0),
    }  # fmt: skip
    assert "paid at approval" in found[""].sentences()[0] and "paid at approval" not in found["2026-09"].sentences()[0]
    approved = pd.DataFrame(
        {"use_case_id": "chat", "accelerator_id": [HOSTED, "guest", "acc"], "accelerator_hours": [0.0, 50.0, 900.0]}
    )
    assert moves_begun(found[""].table, approved) == {"chat": "acc"}
    assert moves_begun(found["2026-09"].table, approved) == moves_begun(pd.DataFrame(), approved) == {}


def test_demand_that_stays_hosted_is_told_apart(tiny):
    streams = tiny().streams
    left = pd.DataFrame(
        {"use_case_id": ["a", "b", "c"], "region": "eu", "reason": [NO_PLATFORM, NO_PLATFORM, "benchmark first"]}
    )
    found = with_hosted(replace(streams, not_sized=left), {"a": STAYS_HOSTED, "c": HOSTED_ONLY}).not_sized
    assert found["reason"].tolist() == [STAYS_HOSTED, NO_PLATFORM, "benchmark first"]


def test_what_a_seller_alone_can_run_is_named_with_the_money_that_it_will_cost(tiny):
    streams = tiny().streams
    left = pd.DataFrame(
        {"use_case_id": ["guide", "voice"], "region": "eu", "service_unit": "request", "units_month": 1e6, "units_most": 3e6,
         "month_most": "2029-07", "reason": NO_PLATFORM}
    )  # fmt: skip
    today = pd.DataFrame(
        {
            "use_case_id": ["guide", "voice"],
            "usd_per_unit": [0.009, 0.5],
            "retires": [pd.NaT, pd.Timestamp("2027-01-31")],
        }
    )
    found = with_hosted(replace(streams, not_sized=left), {"guide": HOSTED_ONLY}, today).not_sized
    guide, voice = not_sized_sentences(found)
    ending = today.assign(retires=pd.Timestamp("2027-06-30"))
    ends = not_sized_sentences(with_hosted(replace(streams, not_sized=left), {"guide": HOSTED_ONLY}, ending).not_sized)
    assert ends == [f"{guide[:-1]}; its model ends 2027-06-30, what follows it has a price of its own.", voice]
    assert guide == (
        f"guide in eu is not in the plan: {HOSTED_ONLY}; up to 3 million requests a month are expected by 2029-07: "
        "USD 27,000 a month at the USD 0.009 a unit of its bill today, in no figure of the plan."
    )
    assert voice.endswith("are expected by 2029-07 and not covered.")


def hosted_ws(ws, usd, only=False):
    """The tiny workspace whose chat is charged for a hosted model in October, and for no accelerators; `only` it has demand."""
    bill, tables = ws.table("billing"), {}
    like = bill[bill["month"] == "2026-10"].iloc[:1]
    row = like.assign(
        ServiceName="Amazon Bedrock", use_case="chat", EffectiveCost=Decimal(usd), Tags=None, accelerator_id="(none)",
        accelerator_hours=0.0, cost_line="attributed usage", ResourceId=None,
    )  # fmt: skip
    tables["billing"] = pd.concat([bill[bill["use_case"] != "chat"], row], ignore_index=True)
    for name, table in ws.tables.items() if only else ():
        tables.setdefault(name, table.query("use_case_id == 'chat'") if "use_case_id" in table else table)
    return replace(ws, tables={**ws.tables, **tables})


def plan_of(ws):
    inventory, benchmark = build_inventory(ws), build_benchmark(ws)
    return build_buy_plan(ws, inventory, benchmark, build_shortlist(ws, inventory, benchmark))


@pytest.fixture(scope="module")
def dear(mini_ws):
    """The plan where chat pays much for a hosted model."""
    return plan_of(hosted_ws(mini_ws, "900000"))


def test_cheap_hosting_stays_out_of_the_plan(mini_ws):
    plan = plan_of(hosted_ws(mini_ws, "5"))
    row = plan.hosted_today.iloc[0]
    assert row["use_case_id"] == "chat" and row["stays"] and row["hosted_usd"] < row["own_usd"]
    assert "chat" not in set(plan.need["use_case_id"]) and "chat" not in set(plan.unit_cost["use_case_id"])
    assert set(plan.not_sized.loc[plan.not_sized["use_case_id"] == "chat", "reason"]) == {STAYS_HOSTED}
    told = [text for text in plan.warnings if text.startswith("chat")]
    assert (
        told[0].startswith("chat runs on the hosted model Llama-3.1-8B of")
        and "it stays there" in told[0]
        and len(told) == 1
    )
    assert "use cases whole" not in plan.decision


@pytest.mark.parametrize(("model", "reason"), [("gpt-4o", HOSTED_ONLY), ("", RUNS_HOSTED)])
def test_what_only_its_bill_knows_is_not_uncovered(mini_ws, model, reason):
    """chat names no model: its charges do, or nobody does; either way it is served, and paid for, at its seller."""
    ws = hosted_ws(mini_ws, "900000")
    cases, bill = ws.table("use_cases"), ws.table("billing")
    mine = bill["use_case"] == "chat"
    tables = {
        "use_cases": cases.assign(model=cases["model"].mask(cases["use_case_id"] == "chat")),
        "billing": bill.assign(Tags=bill["Tags"].mask(mine, json.dumps({"model": model}) if model else None)),
        "benchmarks": ws.table("benchmarks").query("use_case_id != 'chat'"),
    }
    plan = plan_of(replace(ws, tables={**ws.tables, **tables}))
    left = plan.not_sized[plan.not_sized["use_case_id"] == "chat"]
    assert set(left["reason"]) == {reason} and (left["hosted_usd_per_unit"] > 0).all()
    told = next(text for text in plan.warnings if text.startswith("chat") and reason in text)
    assert "a unit of its bill today, in no figure of the plan" in told and "not covered" not in told
    assert not any("may serve" in text and "chat" in text for text in plan.warnings)


def test_dear_hosting_moves_and_pays_for_the_move(mini_ws, mini_stages, dear):
    plan, plain = dear, mini_stages.plan
    row = plan.hosted_today.iloc[0]
    assert not row["stays"] and "chat" in set(plan.need["use_case_id"])
    once = mini_ws.plan.value("api_migration_person_months") * mini_ws.plan.value("engineer_usd_per_month")
    assert row["migration_usd"] == once > 0
    paid = [found.costs.query("line == 'Porting' and scenario == 'expected'")["usd"].sum() for found in (plan, plain)]
    assert paid[0] - paid[1] == pytest.approx(once)
    assert any("the plan moves it to own accelerators" in text for text in plan.warnings)


def test_the_demand_from_which_own_accelerators_pay_by_hand(tiny):
    """Nodes of four a year for the demand with its reserve, against a bill of a share of one node at the expected demand."""
    case = known(tiny(chat=1.5, train=0.0, inputs={"shapes": {}}))
    node, need = 4 * 2.0 * 8760, 1.5 * (1 + case.streams.reserve[1, 0])
    for share in (0.95, 0.7, 0.6):
        found = decided(case, share * node / (12 * UNITS)).table.iloc[0]
        pays = TIMES[share * TIMES > np.ceil(need * TIMES / 4 - 1e-9)]
        assert found["stays"] and found["own_from"] == pytest.approx(pays[0])
    dear = decided(case, 1e-12).table.iloc[0]
    assert dear["stays"] and np.isnan(dear["own_from"])
    assert np.isnan(decided(case, 1.0).table.iloc[0]["own_from"])  # it moves
    text = " ".join(decided(case, 0.95 * node / (12 * UNITS)).sentences())
    assert "own accelerators would cost less from about 1.2 times its expected demand on" in text
    assert "up to 66 times its expected demand that stays so" in " ".join(decided(case, 1e-12).sentences())


def test_where_all_stay_there_is_nothing_to_order(mini_ws):
    plan = plan_of(hosted_ws(mini_ws, "5", only=True))
    assert plan.decision.startswith("Order nothing: every use case that could be sized stays on the hosted model")
    assert plan.hosted_today["stays"].all() and any("it stays there" in text for text in plan.warnings)
    assert len(plan.governance) and plan.need.empty
    assert price_doubts(plan.options, mini_ws.plan.price_freshness_days) == {}  # as approval asks
    shown = hosted_today_section(mini_ws, plan).text
    assert "1 of 1 use case on hosted models stays there" in shown and "no demand" not in shown
    dear = plan.hosted_today.assign(usd_per_unit=1.0, listed_usd_per_unit=[0.4])
    told = hosted_today_section(mini_ws, replace(plan, hosted_today=dear)).text
    assert "chat USD 0.400 instead of USD 1 a unit" in told.replace(chr(160), " ")
    fair = hosted_today_section(mini_ws, replace(plan, hosted_today=dear.assign(listed_usd_per_unit=0.6))).text
    assert "instead of" not in fair
    assert "stays on the hosted model" in table_need(mini_ws, plan).text + bands_section(plan).text


def test_what_stays_has_months_that_the_refresh_can_compare(tiny):
    """Twelve months of units at the bill of a unit; from the end of the model on half as much again, and the move in cost alone."""
    values = {"api_migration_person_months": 2.0, "engineer_usd_per_month": 10_000.0, "api_successor_price_ratio": 1.5}
    case = known(tiny(plan=make_plan(12, values), chat=1.5, train=0.0, inputs={"shapes": {}}))
    found = decided(case, 1e-4, "2027-04-29")
    months, row = found.months, found.table.iloc[0]
    assert row["stays"] and set(months["accelerator_id"]) == {"(hosted)"} and months["accelerator_hours"].sum() == 0
    assert months["compute_usd"].tolist() == pytest.approx([UNITS * 1e-4] * 5 + [UNITS * 1.5e-4] * 7)
    assert months["cost_usd"].sum() - months["compute_usd"].sum() == pytest.approx(20_000)
    assert months["cost_usd"].sum() == pytest.approx(row["hosted_usd"])  # money costs nothing here
    cases = dict.fromkeys(("use_case_id",), months["use_case_id"].iloc[0])
    bands = pd.DataFrame({"month": months["month"].unique(), "p10": 1.0, "p50": 2.0, "p90": 1e9, **cases})
    demand = SimpleNamespace(use_cases=bands, frame=months[["use_case_id", "region"]])
    stored = approved_with(pd.DataFrame(columns=["plan_period"]), found, "2026-10", demand)
    assert stored["use_case_units_p10"].eq(1.0).all() and stored["use_case_units_p90"].eq(1e9).all()
    elsewhere = pd.concat([demand.frame, demand.frame.assign(region="elsewhere")])
    part = approved_with(stored[:0], found, "2026-10", SimpleNamespace(use_cases=bands, frame=elsewhere))
    assert part["use_case_units_p90"].isna().all()  # the plan holds one of its two regions
    assert set(stored["plan_period"]) == {"2026-10"} and stored["units"].gt(0).all()


def test_the_months_until_it_has_moved_stay_hosted(tiny):
    """Two months of work: their bill is in the approved plan, beside nothing of the plan's own in them, and then the other way round."""
    values = {"api_migration_person_months": 1.2, "engineer_usd_per_month": 10_000.0}
    case = known(tiny(plan=make_plan(12, values), chat=1.5, train=0.0, inputs={"shapes": {}}))
    found = decided(case, 1.0)
    assert found.leaving == {"chat": "2027-01"} and found.table["own_since"].tolist() == ["2027-01"]
    assert "to own accelerators, from 2027-01 on" in found.sentences()[0]
    months = [f"{month:%Y-%m}" for month in pd.period_range("2026-11", "2027-10", freq="M")]
    own = pd.DataFrame({"month": months, "use_case_id": "chat", "region": "eu", "accelerator_id": "acc", "plan_period": "2026-10",
                        "units": [0.0, 0.0] + [UNITS] * 10})  # fmt: skip
    demand = SimpleNamespace(
        use_cases=pd.DataFrame({"use_case_id": "chat", "month": months, "p10": 0.0, "p50": UNITS, "p90": UNITS}),
        frame=own[["use_case_id", "region"]],
    )
    stored = approved_with(own, found, "2026-10", demand)
    hosted = stored[stored["accelerator_id"] == "(hosted)"]
    assert hosted["month"].tolist() == ["2026-11", "2026-12"] and hosted["compute_usd"].tolist() == pytest.approx(
        [UNITS] * 2
    )
    assert stored.groupby("month")["units"].sum().tolist() == pytest.approx([UNITS] * 12)


def test_what_moves_costs_nothing_before_it_has(dear):
    """The plan holds neither its units nor its value until then; the horizon ends where the work would not."""
    plan = dear
    row = plan.hosted_today.iloc[0]
    chat = plan.approved_plan[plan.approved_plan["use_case_id"] == "chat"]
    own = chat[chat["accelerator_id"] != "(hosted)"].groupby("month")["units"].sum()
    assert row["own_since"] == own.index[1] == "2026-12" and own.iloc[0] == 0 and (own.iloc[1:] > 0).all()
    hosted = chat[chat["accelerator_id"] == "(hosted)"]
    assert set(hosted["month"]) == {"2026-11"} and hosted["compute_usd"].sum() == pytest.approx(900_000, rel=0.1)
    long = known(
        make_case(plan=make_plan(12, {"api_migration_person_months": 40.0}), chat=1.5, train=0.0, inputs={"shapes": {}})
    )
    assert decided(long, 1.0).table["own_since"].isin(["", "2027-10"]).all()
