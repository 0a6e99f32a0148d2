"""Growth of demand by month: damped, and as the plan's scenarios judge it."""

from __future__ import annotations

import numpy as np

from aifactory.inputs.plan import Scenario


def damped_factors(monthly_growth: float, damping: float, months: int) -> np.ndarray:
    """Level relative to today after 1..months months: prod over t of 1 + g d^t.

    With damping 1 the growth goes on for ever; with damping 0 the level stays. Shape (months,).

    >>> damped_factors(0.1, 1.0, 2).round(4).tolist()
    [1.1, 1.21]
    """
    return np.cumprod(1 + monthly_growth * damping ** np.arange(months))


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
