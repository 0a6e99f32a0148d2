"""Growth of demand by month: damped, and as the plan's scenarios judge it."""

from __future__ import annotations

import numpy as np

from aifactory.inputs.plan import Plan, Scenario


def damped_factors(monthly_growth: float, damping: float, months: int) -> np.ndarray:
    """Level relative to today after 1..months months: prod over t of 1 + g d^t.

    With damping 1 the growth goes on for ever; with damping 0 the level stays. Shape (months,).

    >>> damped_factors(0.1, 1.0, 2).round(4).tolist()
    [1.1, 1.21]
    """
    return np.cumprod(1 + monthly_growth * damping ** np.arange(months))


def planned_growth(measured: float, plan: Plan, which: str) -> float:
    """Monthly growth of one of the plan's scenarios.

    What the expected scenario states replaces the measured trend for the other two as well, which then multiply it:
    the scenarios keep their order.
    """
    stated = plan.scenario("expected").monthly_growth
    return scenario_growth(measured if stated is None else stated, plan.scenario(which))


def growth_is_stated(plan: Plan) -> tuple[bool, bool]:
    """Whether the plan states the expected growth, and whether it states P10 and P90 of it too."""
    ends = [plan.scenario(which).monthly_growth is not None for which in ("conservative", "aggressive")]
    return plan.scenario("expected").monthly_growth is not None, all(ends)


def scenario_growth(measured: float, scenario: Scenario) -> float:
    """Monthly growth of a scenario.

    A scenario's own `monthly_growth` wins. Otherwise the measured growth is multiplied if it is
    positive, a decline by two less the multiplier (at least zero): an aggressive scenario declines
    less, and the scenarios keep their order.

    >>> from aifactory.inputs.plan import Scenario
    >>> careful = Scenario(scenario="conservative", growth_multiplier=0.4, description="")
    >>> round(scenario_growth(0.1, careful), 4), round(scenario_growth(-0.1, careful), 4)
    (0.04, -0.16)
    """
    if scenario.monthly_growth is not None:
        return scenario.monthly_growth
    if measured >= 0:
        return measured * scenario.growth_multiplier
    return max(measured * max(2 - scenario.growth_multiplier, 0.0), -0.99)
