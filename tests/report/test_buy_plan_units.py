"""Unit cost on the page where nothing can be rented, or was paid before: sentences that do not contradict the table."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.inputs.plan import HiddenCost
from aifactory.report import buy_plan_charts as drawings
from aifactory.report import buy_plan_money as page
from aifactory.report.spec import figure_texts

WS = SimpleNamespace(as_of="2026-10-31", period="2026-10")
LINES = ("Compute and memory: useful work", "Human operations")


def plan(headline, useful=0.0, cases=1):
    """One use case of USD 0.002 a unit, of which `useful` is work of its accelerators."""
    summary = pd.DataFrame(
        {
            "use_case_id": "camera",
            "service_unit": "inference",
            "usd_month": 100.0,
            "average_usd_per_unit": 0.002,
            "headline_usd_per_unit": headline,
            "average_to_headline": 0.002 / headline,
            "value_usd_per_unit": 0.001,
        },
        index=range(cases),
    )
    lines = pd.DataFrame({"use_case_id": "camera", "line": LINES, "usd_per_unit": [useful, 0.002 - useful]})
    use = pd.DataFrame({"scenario": ["expected"], "useful_usd": 50.0, "failed_usd": 0.0, "idle_usd": 50.0})
    return SimpleNamespace(unit_summary=summary, unit_cost=lines, capacity_use=use, need=summary)


def test_without_rented_hours_the_cost_is_told_and_no_list_price():
    text = page.unit_section(plan(np.nan)).text
    assert "a unit of camera costs USD 0.00200" in text
    assert "No hours of the accelerators in the plan are rented" in text
    assert "A unit is worth less than it costs for camera" in text
    assert "Not computed" not in text


def test_of_many_losers_those_that_lose_most_a_month_are_named():
    many = plan(0.001, cases=7)
    many.unit_summary = many.unit_summary.assign(
        use_case_id=[f"case-{place}" for place in range(7)], units_month=np.arange(7) * 1000.0
    )
    text = page.unit_section(many).text
    assert "worth less than it costs for 7 use cases, by most a month for case-6 (USD" in text.replace("\xa0", " ")
    assert "case-2 (USD" in text
    assert "case-1 (USD" not in text


def test_with_a_list_price_both_are_compared():
    text = page.unit_section(plan(0.001)).text
    assert "2.0 times list price over peak rate" in text


def test_no_use_case_no_cost():
    nothing = plan(0.001, cases=0)
    nothing.need = pd.DataFrame({"use_case_id": ["sized"]})
    assert "no use case is in the plan" in page.unit_section(nothing).text


def texts(of):
    """Title and caption of the one chart of a plan."""
    (chart,) = drawings.charts_unit_cost(WS, of)
    return figure_texts(chart.spec)


def test_the_waterfall_names_useful_work_only_where_it_is_paid():
    drawn = texts(plan(np.nan))
    assert drawn["title"].endswith("its accelerators were paid before")
    assert drawn["caption"].endswith("so there is no list price.")
    drawn = texts(plan(0.001, useful=0.0005))
    assert drawn["title"].replace("\xa0", " ").endswith("25 % of it useful work")
    assert "would say" in drawn["caption"]


@pytest.mark.parametrize(
    ("usd", "words"),
    [(3.2, "USD 3.20 per unit"), (0.32, "USD 320 per 1,000 units"), (0.000002, "USD 2.00 per million units")],
)
def test_the_waterfall_tells_the_cost_of_so_many_units_that_it_can_be_read(usd, words):
    of = plan(usd / 2)
    of.unit_cost = of.unit_cost.assign(usd_per_unit=[0.25 * usd, 0.75 * usd])
    drawn = texts(of)
    assert words in drawn["title"].replace("\xa0", " ")
    assert f"would say {words.split(' per')[0][:4]}" in drawn["caption"].replace("\xa0", " ")


def test_what_rests_on_predictions_is_not_called_measured():
    """Capacity may be a prediction: sources and captions of the plan claim no measurement."""
    assert "measured" not in " ".join(texts(plan(0.001))) + drawings.PLAN


def test_the_cost_of_waiting_of_each_use_case_has_the_owner_of_its_centre(changed):
    wait = {
        "name": "Queue",
        "usd_per_waiting_hour": 5.0,
        "driver": "waiting",
        "source": "survey",
        "as_of": "2026-10-01",
    }
    centres = [
        HiddenCost(**wait, use_cases=["chat", "models"], owner_role="head of research"),
        HiddenCost(**wait | {"name": "All"}, owner_role="head of all"),
    ]
    owners = page._owners(changed(plan={"hidden_costs": centres}))
    assert owners["Queue: models"] == "head of research"
    assert owners["All: images"] == "head of all"
    assert "Queue: images" not in owners


@pytest.mark.parametrize(
    ("hosted", "rule", "told"), [(-0.26, 0.0023, True), (0.1, 0.0023, True), (-0.26, -0.01, False)]
)
def test_a_simple_rule_that_costs_little_more_is_told_beside_what_is_cheaper(hosted, rule, told):
    rows = {
        "This plan": 0.0,
        "Average + 20 % bought": rule,
        "Average + 20 % reserved for 1 year": 1.2,
        "Hosted API where cheaper": hosted,
    }
    table = pd.DataFrame({"policy": list(rows), "dearer_share": list(rows.values()), "plan_payback_month": np.nan})
    options = pd.DataFrame({"purchase_option": ["on_demand"]})
    found = SimpleNamespace(comparisons=table, hosted=pd.DataFrame(), options=options, need=table)
    text = page.alternatives_section(found).text.replace("\xa0", " ")
    sentence = "The rule of average demand plus a fixed reserve costs 0.2 % more at best."
    assert (sentence in text) == told
    assert ("Hosted API where cheaper by 26 %" in text) == (hosted < 0)


@pytest.mark.parametrize(
    ("pools", "book", "told"),
    [([], [], False), (["reserved_1y"], [], False), (["purchase"], [], True),
     ([], [("purchase", "2026-10")], True), ([], [("purchase", "2026-11")], False), ([], [("lease", "2026-01")], False)],
)  # fmt: skip
def test_what_kit_bought_before_bears_is_said(pools, book, told):
    readings = pd.DataFrame({"purchase_option": pd.Series(pools, dtype="str")})
    orders = pd.DataFrame(book, columns=["purchase_option", "order_month"], dtype="str")
    ws = SimpleNamespace(period="2026-10", month=lambda _: readings, table=lambda _: orders)
    assert page.bought_before(ws).startswith("Kit bought before") == told


def test_a_use_case_without_units_in_the_period_is_said_to_be_no_cost_yet():
    summary = pd.DataFrame({"use_case_id": ["chat", "camera", "voice"], "units_month": [5.0, 0.0, np.nan]})
    assert page.starts_later(summary).startswith(" camera and voice have no units in the period")
    assert page.starts_later(summary.head(1)) == ""


def test_platforms_without_a_rated_power_are_named_where_carbon_is_added_up():
    rows = {"dimension": ["Platform"] * 2 + ["Region"], "name": ["gpu", "tpu", "eu"], "usd_month": 1.0, "share": 0.5,
            "carbon_kg_month": [5.0, np.nan, 5.0]}  # fmt: skip
    mine = plan(0.001)
    mine.unit_summary = mine.unit_summary.assign(units_month=1.0)
    mine.cost_by = pd.DataFrame(rows)
    mine.not_sized = pd.DataFrame(
        {"use_case_id": ["interpreter", "interpreter", "agent"], "region": ["eu", "us", "eu"]}
    )
    ws = SimpleNamespace(**vars(WS))
    assert "is what the plan leaves out: interpreter and agent (see the caveats)." in str(
        vars(page.table_cost_by(ws, mine))
    )
    mine.not_sized = mine.not_sized.iloc[:0]
    assert "leaves out" not in str(vars(page.table_cost_by(ws, mine)))
    note = "No rated power is known of tpu: its carbon is in no sum."
    assert note in str(vars(page.table_cost_by(ws, mine)))
    mine.cost_by = pd.DataFrame(rows).fillna(1.0)
    assert note not in str(vars(page.table_cost_by(ws, mine)))


def test_the_largest_fleet_is_named_where_it_is_neither_the_first_nor_the_last():
    """A season in the second month asks for more than the month that the horizon ends with."""
    rows = pd.DataFrame(
        {"scenario": "expected", "month": ["2026-11", "2026-12", "2027-01"], "accelerators": [8, 32, 16]}
    )
    fleet = rows.assign(baseline=8, growth=0, surge=rows["accelerators"] - 8, peak_with_reserve=7.0, average=4.0)
    title = drawings.chart_capacity(WS, SimpleNamespace(fleet=fleet)).text
    assert "8 accelerators to hold, 16 after 3 months; most in December 2026, 32" in title
    steady = fleet.assign(accelerators=[8, 12, 16])
    assert "most in" not in drawings.chart_capacity(WS, SimpleNamespace(fleet=steady)).text


@pytest.mark.parametrize(
    ("aggressive", "told"),
    [
        (-9.0, " in the expected scenario, at USD -9.00 in December 2026 in the aggressive one"),
        (-1.0, " in the expected scenario"),
    ],
)
def test_the_scenario_whose_cash_falls_lowest_is_named(aggressive, told):
    cash = pd.DataFrame({"scenario": ["expected", "expected", "aggressive", "aggressive"], "month": ["2026-11", "2026-12"] * 2,
                         "cumulative_usd": [-2.0, 5.0, 1.0, aggressive], "month_index": [1, 2] * 2})  # fmt: skip
    title = figure_texts(drawings.chart_cash(WS, SimpleNamespace(cash_flow=cash, need=cash)).spec)["title"]
    assert title.startswith("Cash is lowest in November 2026") and title.replace("\u2212", "-").endswith(told)


def test_a_completed_run_is_told_with_its_hours_and_failures():
    one = plan(0.001)
    assert "training run" not in page.unit_section(one).text
    tuned = one.unit_summary.assign(hours_per_run=12.5, usd_per_run=37.5)
    text = page.unit_section(SimpleNamespace(**vars(one) | {"unit_summary": tuned})).text.replace("\xa0", " ")
    assert (
        "A training run that completes costs USD 37.5 for camera (12.5 accelerator-hours), with its share of those"
        in text
    )
    unknown = one.unit_summary.assign(hours_per_run=np.nan, usd_per_run=np.nan)
    assert "training run" not in page.unit_section(SimpleNamespace(**vars(one) | {"unit_summary": unknown})).text
