"""What the buy plan says of its orders beside others on the same paths."""

from types import SimpleNamespace

import pandas as pd
import pytest

from aifactory.buyplan.futures import ONE_PATH, THIS_PLAN, Futures
from aifactory.report.buy_plan_futures import MEAN, futures_section

WS = SimpleNamespace(as_of=pd.Timestamp("2026-09-30"), plan=SimpleNamespace(horizon_months=36))


@pytest.mark.parametrize(("usd", "told"), [(990.0, True), (1010.0, False)])
def test_orders_of_any_month_that_cost_less_are_not_said_to_beat_what_is_proven_best(usd, told):
    """The proof holds for orders of the quarters; those of the expected scenario alone may be placed in any month."""
    cost = {THIS_PLAN: 1000.0, ONE_PATH: usd, MEAN: 1000.0, "average": 1400.0}
    table = pd.DataFrame({"policy": list(cost), "objective_usd": list(cost.values())})
    table = table.assign(**dict.fromkeys(("expected_usd", "tail_usd", "overrun_usd", "orders_usd"), 100.0))
    futures = Futures(table.assign(regret=table["objective_usd"] / 1000.0 - 1), 0.0, 100, 0.3, 0.1)
    text = " ".join(part.text for part in futures_section(WS, None, futures).parts if hasattr(part, "text"))
    assert "of the best orders of its dates: each quarter" in text
    assert ("The former may be placed in any month" in text) == told


def test_the_cheapest_rule_is_told_as_in_the_table():
    """0.4 % more is not "0 % more": the table beside it says 0.4 %."""
    cost = {THIS_PLAN: 1000.0, ONE_PATH: 1010.0, MEAN: 1000.0, "newsvendor": 1004.0}
    table = pd.DataFrame({"policy": list(cost), "objective_usd": list(cost.values())})
    table = table.assign(**dict.fromkeys(("expected_usd", "tail_usd", "overrun_usd", "orders_usd"), 100.0))
    futures = Futures(table.assign(regret=table["objective_usd"] / 1000.0 - 1), 0.0, 100, 0.3, 0.1)
    text = " ".join(part.text for part in futures_section(WS, None, futures).parts if hasattr(part, "text"))
    assert "the cheapest rule of thumb (newsvendor) 0.4 % more" in text.replace("\xa0", " ")
