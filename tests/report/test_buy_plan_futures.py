"""What the buy plan says of its orders beside others on the same paths."""

from types import SimpleNamespace

import pandas as pd
import pytest

from aifactory.buyplan.futures import ONE_PATH, THIS_PLAN, Futures
from aifactory.report.buy_plan_futures import MEAN, futures_section

WS = SimpleNamespace(as_of=pd.Timestamp("2026-09-30"), plan=SimpleNamespace(horizon_months=36))


def told_of(cost, exceeds=None):
    """Text of the section for policies that cost so much and exceed so much."""
    table = pd.DataFrame({"policy": list(cost), "objective_usd": list(cost.values())})
    table = table.assign(**dict.fromkeys(("expected_usd", "tail_usd", "overrun_usd", "orders_usd"), 100.0))
    over = [(exceeds or {}).get(policy, "") for policy in table["policy"]]
    table = table.assign(exceeds=over, regret=table["objective_usd"] / 1000.0 - 1)
    parts = futures_section(WS, None, Futures(table, 0.0, 100, 0.3, 0.1)).parts
    return " ".join(part.text for part in parts if hasattr(part, "text")).replace("\xa0", " ")


@pytest.mark.parametrize(("usd", "told"), [(990.0, True), (1010.0, False)])
def test_orders_of_any_month_that_cost_less_are_not_said_to_beat_what_is_proven_best(usd, told):
    """The proof holds for orders of the quarters; those of the expected scenario alone may be placed in any month."""
    text = told_of({THIS_PLAN: 1000.0, ONE_PATH: usd, MEAN: 1000.0, "average": 1400.0})
    assert "of the best orders of its dates: each quarter" in text
    assert ("They may be placed in any month" in text) == told


def test_the_cheapest_rule_is_told_as_in_the_table():
    """0.4 % more is not "0 % more": the table beside it says 0.4 %."""
    text = told_of({THIS_PLAN: 1000.0, ONE_PATH: 1010.0, MEAN: 1000.0, "newsvendor": 1004.0})
    assert "The cheapest rule of thumb (newsvendor) costs 0.4 % more. " in text


def test_what_heeds_no_limit_is_not_held_against_a_plan_that_must():
    """Servers where the site has no power are cheap and cannot be had: the rule that keeps the limits is the one to beat."""
    cost = {THIS_PLAN: 1000.0, ONE_PATH: 900.0, MEAN: 1000.0, "average": 700.0, "newsvendor": 1200.0}
    power = {ONE_PATH: "power of eu", "average": "power of eu, share of a"}
    text = told_of(cost, power)
    assert "alone cost 10.00 % less on the same paths, but exceed power of eu. " in text
    assert "The cheapest rule of thumb that keeps the limits of the plan (newsvendor) costs 20.0 % more. " in text
    assert "They may be placed" not in text
    none = told_of(cost, power | {"newsvendor": "share of a"})
    assert "The cheapest rule of thumb, which all exceed limits, (average) costs 30.0 % less. " in none
    # A limit that the plan itself cannot keep stands in no rule's way.
    both = told_of(cost, power | {THIS_PLAN: "share of a, power of eu"})
    assert "The cheapest rule of thumb (average) costs 30.0 % less. " in both
