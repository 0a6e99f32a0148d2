"""Unit cost from first principles: hand-worked, and nothing lost."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import WAITS, make_case, make_inputs, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.attribution import (
    FAILED,
    IDLE,
    POWER_AND_SPACE,
    USEFUL,
    attribute_hours,
    cost_by_stream,
    unit_cost_frame,
    unit_summary_frame,
)
from aifactory.buyplan.case import rebuilt, solve_case, with_assumption
from aifactory.buyplan.compare import api_frame
from aifactory.buyplan.statements import roi_frame, use_frame
from aifactory.finance.tco import price_index
from aifactory.fleet.streams import EXPECTED

COSTS = {
    "orchestration_share": 0.05,
    "safety_check_share": 0.02,
    "storage_gb_per_accelerator": 100.0,
    "storage_usd_per_gb_month": 0.1,
    "operator_usd_per_month": 10_000.0,
    "egress_usd_per_gb": 0.1,
    "egress_bytes_per_output_token": 5.0,
    "contingency_share": 0.1,
}
HIDDEN = [
    {
        "name": "Evaluation labour",
        "usd_per_month": 3_000.0,
        "driver": "releases",
        "owner_role": "Model lead",
        "source": "hand-made",
        "as_of": "2026-10-01",
    }
]


def lines_of(case):
    frame = unit_cost_frame(case, solve_case(case).today)
    return frame.pivot_table(index="line", columns="use_case_id", values="usd_month", aggfunc="sum")


def test_useful_work_and_no_idle_by_hand(tiny):
    # 23,360 a month for 8,760 paid hours, all of them at work: chat 5,840 h, train 2,920 h
    lines = lines_of(tiny())
    assert lines.loc[USEFUL].to_dict() == pytest.approx({"chat": 23_360 * 2 / 3, "train": 23_360 / 3})
    assert lines.loc[IDLE].abs().sum() == pytest.approx(0, abs=1e-6)


def test_failed_work_is_its_own_line(tiny):
    inputs = make_inputs(make_plan())
    inputs["demand_profile"]["failure_rate"] = [0.2, 0.0]
    inputs["capacity"]["failure_rate"] = [0.2, np.nan]  # the benchmark failed as often: same hours as before
    lines = lines_of(tiny(inputs=inputs))
    assert lines.loc[FAILED, "chat"] == pytest.approx(0.2 * 23_360 * 2 / 3)
    assert lines.loc[USEFUL, "chat"] == pytest.approx(0.8 * 23_360 * 2 / 3)


def test_idle_reserve_goes_to_who_asks_for_it(tiny):
    # nothing can be rented: six nodes of four are bought for 12 accelerators of work
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 10_000.0, "region": "*", "provider": "vendor"}
    case = tiny(prices=make_prices(hardware, drop=["on_demand", "reserved_1y"]), **WAITS)
    shares = attribute_hours(case, solve_case(case).today, case.today_units)
    assert shares.useful[1].tolist() == pytest.approx([8 * 730, 4 * 730])
    assert shares.idle[1].tolist() == pytest.approx([12 * 730, 0.0])  # training holds no reserve
    lines = lines_of(case)
    assert lines.loc[IDLE, "chat"] == pytest.approx(lines.loc[USEFUL].sum())
    assert lines.loc[POWER_AND_SPACE].sum() == pytest.approx(24 * 730 * 0.1)


def test_all_cost_centres_by_hand(tiny):
    case = tiny(plan=make_plan(values=COSTS, hidden_costs=HIDDEN), porting={"chat": 12_000.0}, rework={"chat": 250.0})
    total = lines_of(case).sum(axis=1)
    held = 8_760 / 730
    assert total["Orchestration"] == pytest.approx(0.05 * 23_360)
    assert total["Safety checks"] == pytest.approx(0.02 * 23_360)
    assert total["Storage"] == pytest.approx(held * 10)
    assert total["Human operations"] == pytest.approx(held * 100)
    assert total["Network egress"] == pytest.approx(8 * 3600 * 730 * 200 * 5 / 1e9 * 0.1)
    assert total["Evaluation labour"] == pytest.approx(3_000)
    assert total["Porting"] == pytest.approx(1_000)  # 12,000 over twelve months
    assert total["Rework"] == pytest.approx(250)
    assert total["Contingency"] == pytest.approx(0.1 * total.drop("Contingency").sum())


def test_what_retires_is_served_until_then_alone(tiny):
    """Training ends after three of twelve months: its units of a month, in the mean of the horizon, are a quarter."""
    case = tiny()
    units = case.streams.units.copy()
    train = (case.streams.table["use_case_id"] == "train").to_numpy()
    units[:, 4:, train] = 0.0
    ends = rebuilt(case, case.plan, replace(case.streams, units=units))
    whole = ends.streams.table.loc[train, "units_month"].iloc[0]
    assert ends.today_units[:, train].ravel().tolist() == [whole] * 4 + [0.0] * 9
    today = solve_case(ends).today
    assert today.ledger.units_served[1:, train].sum() == pytest.approx(3 * whole)
    assert ends.today_units[:, ~train].tolist() == case.today_units[:, ~train].tolist()
    units[:, 4:, train], units[:, 2, train] = whole, 0.0  # a month without work in between ends nothing
    idle = rebuilt(case, case.plan, replace(case.streams, units=units))
    assert idle.today_units[:, train].ravel().tolist() == [whole] * 13


def test_rework_is_paid_by_the_use_case_that_changes_while_it_works(tiny):
    case = tiny(rework={"train": 700.0, "retired": 9_999.0})
    assert lines_of(case).loc["Rework"].to_dict() == pytest.approx({"chat": 0.0, "train": 700.0})
    units = case.streams.units.copy()
    units[:, 4:, (case.streams.table["use_case_id"] == "train").to_numpy()] = 0.0  # it ends after three months
    ends = replace(case, streams=replace(case.streams, units=units))
    assert ends.apart["Rework"].tolist() == [0.0] + [700.0] * 3 + [0.0] * 9
    halves = replace(
        case.streams, units=case.streams.units.copy(), table=case.streams.table.assign(use_case_id="train")
    )
    halves.units[:, :7, 0], halves.units[:, 7:, 1] = 0.0, 0.0  # on one platform for six months, on the other after
    moved = replace(case, streams=halves).rework_usd
    assert moved[1:7].tolist() == [[0.0, 700.0]] * 6 and moved[7:].tolist() == [[700.0, 0.0]] * 6
    dearer = with_assumption(replace(ends, plan=make_plan(values={"engineer_usd_per_month": 5e3})), "engineer_usd_per_month", 1e4)  # fmt: skip
    assert dearer.apart["Rework"][:3].tolist() == [0.0, 1_400.0, 1_400.0]
    rising = replace(ends, plan=make_plan(values={"cost_inflation": 0.12}))
    assert (
        rising.apart["Rework"][1:3] == pytest.approx(700.0 * price_index(13, rising.plan)[1:3])
        and rising.apart["Rework"][2] > 700
    )


def test_porting_is_paid_by_the_use_case_that_moves(tiny):
    lines = lines_of(tiny(porting={"train": 24_000.0, "retired": 9_999.0}))
    assert lines.loc["Porting"].to_dict() == pytest.approx({"chat": 0.0, "train": 2_000.0})


def test_egress_is_paid_by_who_sends_tokens(tiny):
    lines = lines_of(tiny(plan=make_plan(values=COSTS)))
    assert lines.loc["Network egress", "train"] == 0
    assert lines.loc["Network egress", "chat"] > 0


def test_units_and_owners(tiny):
    frame = unit_cost_frame(
        tiny(plan=make_plan(hidden_costs=HIDDEN)), solve_case(tiny(plan=make_plan(hidden_costs=HIDDEN))).today
    )
    chat = frame[frame["use_case_id"] == "chat"].set_index("line")
    assert chat.loc[USEFUL, "usd_per_unit"] == pytest.approx(23_360 * 2 / 3 / (8 * 3600 * 730))
    assert chat.loc["Evaluation labour", "owner_role"] == "Model lead"
    assert chat.loc["Evaluation labour", "driver"] == "releases"


@settings(max_examples=10)
@given(st.floats(0.1, 30.0), st.floats(0.0, 20.0), st.floats(-0.05, 0.1))
def test_cost_by_stream_keeps_every_month_of_every_line(chat, train, growth):
    case = make_case(
        plan=make_plan(18, COSTS, hidden_costs=HIDDEN), chat=chat, train=train, growth={"expected": growth}
    )
    solution = solve_case(case).expected
    shares = attribute_hours(case, solution, case.streams.units[EXPECTED])
    np.testing.assert_allclose(shares.paid.sum(axis=1), solution.ledger.compute.paid_hours.sum(axis=1), rtol=1e-9)
    for name, amount in cost_by_stream(case, solution, shares).items():
        np.testing.assert_allclose(amount.sum(axis=1), solution.ledger.lines[name], rtol=1e-9, atol=1e-6)


def test_summary_by_hand(tiny):
    case = tiny(plan=make_plan(values={"orchestration_share": 0.1}))
    today = solve_case(case).today
    costs = unit_cost_frame(case, today)
    api = api_frame(case, _no_api(), "2026-10-31")
    summary = unit_summary_frame(case, costs, today, pd.Series({"chat": 0.002}), api).set_index("use_case_id")
    chat = summary.loc["chat"]
    assert chat["headline_usd_per_unit"] == pytest.approx(4 / 3600)
    assert chat["marginal_usd_per_unit"] == pytest.approx(4 / 3600 * 1.1)
    assert chat["average_usd_per_unit"] == pytest.approx(23_360 * 1.1 * 2 / 3 / (8 * 3600 * 730))
    assert chat["value_usd_per_unit"] == pytest.approx(0.005)
    assert chat["current_usd_per_unit"] == 0.002
    assert np.isnan(summary.loc["train", "value_usd_per_unit"])


def test_a_unit_bears_the_cost_of_the_months_in_which_it_is_served(tiny):
    """Chat ends after six of twelve months: the same money over half the units costs twice as much, and is worth what it was."""
    case = tiny()
    today = solve_case(case).today
    after = np.arange(len(today.ledger.units_served)) > 6
    chat = case.streams.table["use_case_id"].eq("chat").to_numpy()
    kept = ~(after[:, None] & chat)
    ledger = replace(
        today.ledger, units_served=today.ledger.units_served * kept, value_usd=today.ledger.value_usd * kept
    )
    ends = replace(today, ledger=ledger)
    costs = unit_cost_frame(case, ends)
    api = api_frame(case, _no_api(), "2026-10-31")
    row = unit_summary_frame(case, costs, ends, pd.Series(dtype=float), api).set_index("use_case_id").loc["chat"]
    assert row["units_month"] == pytest.approx(8 * 3600 * 730 / 2)
    assert row["average_usd_per_unit"] == pytest.approx(2 * 23_360 * 2 / 3 / (8 * 3600 * 730))
    assert row["value_usd_per_unit"] == pytest.approx(0.005)
    per_unit = costs[costs["use_case_id"] == "chat"]["usd_per_unit"].sum()
    assert per_unit == pytest.approx(row["average_usd_per_unit"])


def test_one_more_hour_of_training_on_spot_pays_for_the_work_that_is_lost(tiny):
    """Spot at USD 1 an hour of which a fifth is lost: USD 1.25 an hour that counts, against 4 on demand."""
    spot = {"purchase_option": "spot", "usd_per_accelerator_hour": 1.0}
    case = tiny(plan=make_plan(values={"spot_interruption_share": 0.2}), prices=make_prices(spot))
    today = solve_case(case).today
    summary = unit_summary_frame(
        case, unit_cost_frame(case, today), today, pd.Series(dtype=float), api_frame(case, _no_api(), "2026-10-31")
    )
    train = summary.set_index("use_case_id").loc["train"]
    hours = 1 / (case.streams.table.set_index("use_case_id").loc["train", "units_per_s_per_accelerator"] * 3600)
    assert train["marginal_usd_per_unit"] == pytest.approx(1.25 * hours)


def test_one_more_unit_pays_the_people_and_storage_of_its_hours(tiny):
    """USD 1 an accelerator-hour beside the 4 of an hour on demand, of which shares of compute take a tenth."""
    case = tiny(plan=make_plan(values={"operator_usd_per_month": 73_000.0, "orchestration_share": 0.1}))
    today = solve_case(case).today
    summary = unit_summary_frame(
        case, unit_cost_frame(case, today), today, pd.Series(dtype=float), api_frame(case, _no_api(), "2026-10-31")
    )
    assert summary.set_index("use_case_id").loc["chat", "marginal_usd_per_unit"] == pytest.approx((4.4 + 1) / 3600)


def test_one_more_unit_is_paid_at_the_pay_of_the_average(tiny):
    """Pay rises by a fifth a year: people of USD 1 an hour cost the mean of 1.2^(t / 12) over twelve months, as in the average."""
    case = tiny(plan=make_plan(values={"operator_usd_per_month": 73_000.0, "cost_inflation": 0.2}))
    today = solve_case(case).today
    costs = unit_cost_frame(case, today)
    summary = unit_summary_frame(case, costs, today, pd.Series(dtype=float), api_frame(case, _no_api(), "2026-10-31"))
    level = np.mean([1.2 ** (month / 12) for month in range(1, 13)])
    marginal = summary.set_index("use_case_id").loc["chat", "marginal_usd_per_unit"]
    assert level > 1.1 and marginal == pytest.approx((4.0 + level) / 3600)


def _no_api():
    from test_compare import api_rows

    return api_rows().iloc[:0]


def test_work_that_finds_no_capacity_keeps_no_hours_busy(tiny):
    """A tenth of the work is not served: of 12 accelerators paid as many hours less work, and so it is told beside the return."""
    case = tiny()
    answer = solve_case(case)
    short = [_served(solution, 0.9) for solution in answer.scenarios]
    shares = attribute_hours(case, short[EXPECTED], case.streams.units[EXPECTED])
    whole = attribute_hours(case, answer.scenarios[EXPECTED], case.streams.units[EXPECTED])
    assert shares.useful[1:] == pytest.approx(0.9 * whole.useful[1:])
    assert shares.paid.sum() == pytest.approx(whole.paid.sum())
    use = use_frame(case, replace(answer, scenarios=short)).query("scenario == 'expected'")
    hours = use[["useful_hours", "failed_hours", "idle_hours"]].sum()
    told = roi_frame(case, replace(answer, scenarios=short)).set_index("scenario").loc["expected"]
    assert told["served_share"] == pytest.approx(0.9)
    assert hours["idle_hours"] / hours.sum() == pytest.approx(told["idle_share"])


def _served(solution, share):
    ledger = solution.ledger
    compute = replace(ledger.compute, served=np.full_like(ledger.compute.served, share))
    return replace(solution, ledger=replace(ledger, compute=compute, units_served=share * ledger.units_served))


def test_devices_in_the_field_bear_no_data_centre(tiny):
    """Twelve devices of 1 kW at 10,000 each, bought for good: energy without PUE, no space, no network, no storage.

    An operator of 10,000 a month looks after 400 of them; in a data centre after 100 accelerators.
    """
    values = COSTS | {"pue": 1.5, "colocation_usd_per_kw_month": 200.0, "network_share_of_capex": 0.1, "devices_per_operator": 400.0}  # fmt: skip
    plan = make_plan(values=values)
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 10_000.0, "region": "*", "provider": "vendor"}
    bought = make_prices(hardware, drop=["on_demand", "reserved_1y"])
    found = {}
    for kind in ("edge", "gpu"):
        inputs = make_inputs(plan)
        inputs["accelerators"]["platform_class"] = [kind, "edge"]
        case = tiny(plan=plan, prices=bought, inputs=inputs, **WAITS)
        today = solve_case(case).today
        held = today.ledger.compute.paid_hours[1].sum() / 730
        lines = unit_cost_frame(case, today).groupby("line")["usd_month"].sum()
        found[kind] = [lines[name] / held for name in (POWER_AND_SPACE, "Human operations", "Storage")]
        found[kind].append(today.ledger.capex_usd.sum() / held)
    assert found["edge"] == pytest.approx([730 * 0.10, 25.0, 0.0, 10_000.0])
    assert found["gpu"] == pytest.approx([1.5 * 730 * 0.10 + 200.0, 100.0, 10.0, 11_000.0])
