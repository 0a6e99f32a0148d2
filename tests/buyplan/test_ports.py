"""Ports: decided in the plan, paid once, and said."""

import numpy as np
import pandas as pd
import pytest
import yaml
from bp_company import PERIOD, TODAY, make_inputs, make_plan, make_prices
from test_futures import paths_of

from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.duties import PORT, governance_frame
from aifactory.buyplan.excluded import Cells
from aifactory.buyplan.ledger import PORTING
from aifactory.buyplan.ports import NOT_WORTH, Ports, decide_ports
from aifactory.finance.prices import node_offers
from aifactory.shortlist.outcome import SCORED_ABOVE

PLAN = make_plan(candidates=["acc", "half"], launch_delay_months={"tpu": 2.5, "gpu": 0.0})
#: Hours only: `acc` at USD 4.00, `half` at USD 2.00.
PRICES = make_prices({"accelerator_id": "half", "purchase_option": "on_demand", "usd_per_accelerator_hour": 2.0},
                     drop=["reserved_1y"])  # fmt: skip
#: Both on acc: 16 by day, 8 by night at USD 4; apart: training 4 at USD 4, chat 12 and 4 at USD 2. Twelve months, no interest.
TOGETHER, APART = 12 * 730 * 12 * 4.0, 12 * 730 * (4 * 4.0 + 8 * 2.0)
CLASSES = pd.Series({"acc": "gpu", "half": "tpu"})


def facts(porting, reason="cheapest", decision="choose", excluded=False):
    """Chat may run on `half`, which needs porting, or on `acc`, where it runs today."""
    keys = {"use_case_id": ["chat", "chat", "train"], "accelerator_id": ["acc", "half", "acc"]}
    capacity = pd.DataFrame({**keys, "units_per_s_per_accelerator": [1.0, 1.0, 1 / 3600], "low": [0.9, 0.9, 1 / 3600],
                             "high": [1.1, 1.1, 1 / 3600], "tier": "measured", "failure_rate": 0.0})  # fmt: skip
    once = np.array([0.0, porting, 0.0])
    penalties = pd.DataFrame({**keys, "compute_usd": 5.0, "porting_usd": once, "total_usd": 5.0 + once})
    about = pd.DataFrame({"accelerator_id": ["acc", "half"], "accelerators_per_node": 4, "tdp_w": 1e3,
                          "platform_class": ["gpu", "tpu"], "vendor": "v", "verified_sources": 2})  # fmt: skip
    barred = pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": ["acc"], "rule": ["export"], "reason": ["x"]})
    matrix = pd.DataFrame({**keys, "units_per_s_per_accelerator": 1.0, "decision": [decision, "choose", "choose"], "total": 0.5,
                           "reason": "", "platform_class": ["gpu", "tpu", "gpu"], "tier": "measured"})  # fmt: skip
    choice = pd.DataFrame({"use_case_id": ["chat", "train"], "accelerator_id": ["half", "acc"], "reason": reason})
    return (
        Cells(capacity, barred if excluded else barred.iloc[:0], penalties, about, node_offers(PRICES, PLAN, TODAY)),
        matrix,
        choice,
    )


@pytest.fixture
def decided(tiny):
    def decide(porting, plan=PLAN, **changes):
        cells, matrix, choice = facts(porting, **changes)

        def build(which):
            chosen = {"choice": which, "capacity": cells.capacity, "accelerators": cells.accelerators}
            due = porting * float((which["accelerator_id"] == "half").any())
            return tiny(plan=plan, prices=PRICES, inputs=chosen, porting={"chat": due})

        case, today = build(choice), pd.Series({"chat": "acc", "train": "acc"})
        paths = paths_of(case, 4, 0.0)
        return decide_ports(case, build, choice=choice, matrix=matrix, today=today, cells=cells, paths=paths), build

    return decide


def test_the_figures_are_those_of_the_tables(tiny):
    """The hand-made demand is what the bounds above are computed from."""
    inputs = make_inputs(PLAN)
    assert inputs["demand_profile"]["units_per_hour_avg"].tolist() == [8 * 3600, 4] and TOGETHER - APART == 140_160


@pytest.mark.parametrize(
    ("porting", "ported"), [(100_000.0, True), (141_000.0, True), (142_500.0, False), (2e5, False)]
)
def test_a_use_case_is_ported_where_the_port_saves_more_than_it_costs(decided, porting, ported):
    """The port saves 140,160; staying must save more than half a per cent of 280,320, so that chance moves nobody."""
    ports, build = decided(porting)
    row = ports.table.iloc[0]
    assert (row["use_case_id"], row["chosen_id"], row["other_id"]) == ("chat", "half", "acc")
    assert row["saving_usd"] == pytest.approx(porting - (TOGETHER - APART)) and row["at_stake_usd"] == pytest.approx(
        APART
    )
    assert row["ported"] == ported
    ledger = solve_expected(build(ports.choice)).ledger
    assert ledger.lines[PORTING].tolist() == [porting * ported] + [0.0] * 12
    assert sum(line.sum() for line in ledger.lines.values()) == pytest.approx(APART + porting if ported else TOGETHER)
    assert ports.reasons() == ({} if ported else {("chat", "half"): NOT_WORTH})


def test_what_is_ported_and_what_not_is_said_with_its_date(decided):
    ported, stays = decided(1e5)[0], decided(2e5)[0]
    said = ported.sentences(PLAN, CLASSES, PERIOD, 1.0)[0][0]
    assert (
        "chat is ported to half for USD 100,000, paid at approval: on acc, which needs no port, it would cost USD 40,160 more"
        in said
    )
    assert "The work ends in 2027-01" in said  # three whole months for two and a half
    assert said.endswith("until then it runs where it does now, which this plan counts at the price of half.")
    billed = ported.sentences(PLAN, CLASSES, PERIOD, 1.0, billed_usd={"chat": 74_880.0})[0][0]
    assert billed.endswith(
        f"now for USD 74,880 a month by the bill of {PERIOD}, which this plan counts at the price of half."
    )
    for starts, end in (
        ("2027-02", "The work ends in 2027-01; it starts in 2027-02."),
        (
            "2027-01",
            "The work ends in 2027-01: it starts in 2027-02 instead of 2027-01, and what it would cost and yield before is not in the plan.",
        ),
    ):
        assert ported.sentences(PLAN, CLASSES, PERIOD, 1.0, {"chat": starts})[0][0].endswith(end)
    dates = governance_frame(
        PLAN, PERIOD, pd.DataFrame(), ports=ported.dates(PLAN, CLASSES, PERIOD, pd.Series({"chat": "owner"}))
    )
    row = dates[dates["kind"] == PORT].iloc[0]
    assert (
        row["date"] == pd.Timestamp("2027-01-31")
        and row["owner_role"] == "owner"
        and "Port chat to half" in row["event"]
    )
    assert "not ported to half" in stays.sentences(PLAN, CLASSES, PERIOD, 1.0)[0][0]
    assert "USD 59,840 less" in stays.sentences(PLAN, CLASSES, PERIOD, 1.0)[0][0]
    assert stays.dates(PLAN, CLASSES, PERIOD, pd.Series({"chat": "owner"})) == []


def test_a_port_under_way_is_told_with_the_month_in_which_it_ends(decided):
    """Begun at the end of September: three months of work end in December; without it the port is as good as done."""
    begun = {"use_case_id": "chat", "platform_class": "tpu", "begun": "2026-09"}
    plan = make_plan(candidates=["acc", "half"], launch_delay_months={"tpu": 2.5, "gpu": 0.0}, ports_under_way=[begun])
    ports = decided(0.0, plan=plan)[0]
    assert ports.table["ported"].tolist() == [True] and ports.table["porting_usd"].tolist() == [0.0]
    said = ports.sentences(plan, CLASSES, PERIOD, 1.0)[0][0]
    assert "chat is ported to half by work that is under way and paid: " in said and "The work ends in 2026-12;" in said
    row = ports.dates(plan, CLASSES, PERIOD, pd.Series({"chat": "owner"}))[0]
    assert row[:2] == (pd.Timestamp("2026-12-31"), "Port chat to half: work under way and paid")
    assert decided(0.0)[0].table.empty
    done = make_plan(
        candidates=["acc", "half"],
        launch_delay_months={"tpu": 2.5, "gpu": 0.0},
        ports_under_way=[begun | {"begun": "2026-06"}],
    )
    assert decided(0.0, plan=done)[0].table.empty


def test_approval_says_which_ports_begin_as_the_plan_takes_them(decided, capsys):
    from aifactory.cli.printing import print_ports
    from aifactory.inputs.plan import PortUnderWay

    print_ports(decided(1e5)[0].table, {}, CLASSES, PERIOD)
    said = capsys.readouterr().out.strip().splitlines()
    assert said[-2] == "ports_under_way:"
    assert [PortUnderWay(**item) for item in yaml.safe_load("\n".join(said[-2:]))["ports_under_way"]] == [
        PortUnderWay(use_case_id="chat", platform_class="tpu", begun=PERIOD)
    ]
    print_ports(decided(2e5)[0].table, {}, CLASSES, PERIOD)
    assert capsys.readouterr().out == ""
    print_ports(decided(2e5)[0].table, {"voice": "half"}, CLASSES, PERIOD)
    said = capsys.readouterr().out
    assert said.startswith("Work on moves off hosted models begins")
    assert "  - {use_case_id: voice, platform_class: tpu, begun: 2026-10}" in said


def test_what_leads_by_score_or_has_no_other_platform_is_ported(decided):
    """A choice by score is not money's to change; an excluded platform is no way out, one that is not chosen but runs today is."""
    score = decided(2e5, reason=f"{SCORED_ABOVE}, though acc is cheaper")[0]
    assert score.table["ported"].all() and "leads by score" in score.sentences(PLAN, CLASSES, PERIOD, 1.0)[0][0]
    barred = decided(2e5, excluded=True)[0]
    assert (
        barred.table["ported"].all()
        and "no platform that needs no porting" in barred.sentences(PLAN, CLASSES, PERIOD, 1.0)[0][0]
    )
    assert not decided(2e5, decision="pilot")[0].table["ported"].any()


def test_without_a_port_nothing_is_planned(decided):
    ports, _ = decided(0.0)
    assert (
        ports.table.empty
        and ports.sentences(PLAN, CLASSES, PERIOD, 1.0) == ([], [])
        and ports.choice["accelerator_id"].tolist() == ["half", "acc"]
    )


def test_ports_are_told_by_money_and_those_of_little_in_one_sentence():
    rows = [
        ("a", True, 500.0, np.nan),
        ("b", True, 2_000.0, 100.0),
        ("c", False, 10.0, 9_000.0),
        ("d", False, 10.0, 90.0),
    ]
    known = {"chosen_id": "half", "other_id": "acc", "by_score": False, "at_stake_usd": 1e5}
    columns = ["use_case_id", "ported", "porting_usd", "saving_usd"]
    ports = Ports(pd.DataFrame(), pd.DataFrame(rows, columns=columns).assign(**known))
    told, small = ports.sentences(PLAN, CLASSES, PERIOD, 1e6)
    assert [text[:5] for text in told] == ["c is ", "b is "]
    assert small == [
        "Ports with less than 0.1 % of the plan's cost at stake (see table ports), done for USD 500: a to half; not done: d to half."
    ]
    assert ports.sentences(PLAN, CLASSES, PERIOD, 1e4)[1] == []
