"""Three demand scenarios by month: measured level, damped growth, adoption, launches, retirement."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.plan import Plan, Scenario
from aifactory.units import HOURS_PER_MONTH, SCENARIOS

KEYS = ["use_case_id", "workload_class", "region", "service_unit"]
FORECAST_COLUMNS = [
    "scenario",
    "month",
    *KEYS,
    "units",
    "units_per_hour_avg",
    "units_per_hour_peak",
    "growth_source",
]


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


def forecast_demand(demand_profile: pd.DataFrame, use_cases: pd.DataFrame, plan: Plan, period: str) -> pd.DataFrame:
    """Forecast every use case and region over the plan's horizon.

    units_t = average per hour today x 730 h x damped growth x adoption x launch multiplier, zero from
    `retire_month` on; 730 h are a twelfth of a year, so that a year adds up. The average is that of
    the observed hours, so a month observed in part stands for a whole one. The peak keeps its measured ratio to the average. A use case without measured demand is
    not forecast: its launch needs an assumption first.

    Parameters
    ----------
    demand_profile : frame of `aifactory.inventory`, one row per use case and region.
    use_cases : table `use_cases`.

    Returns
    -------
    Columns `FORECAST_COLUMNS`; units per month, rates in service units per hour; regions add up.
    """
    months = [str(pd.Period(period, "M") + step) for step in range(1, plan.horizon_months + 1)]
    retire = use_cases.set_index("use_case_id")["retire_month"]
    parts = [
        _series(row, plan.scenario(name), plan, months, retire.get(row.use_case_id))
        for name in SCENARIOS
        for row in demand_profile[demand_profile["units_month"] > 0].itertuples(index=False)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=FORECAST_COLUMNS)


def _series(row: tuple, scenario: Scenario, plan: Plan, months: list[str], retire: object) -> pd.DataFrame:
    measured = 0.0 if np.isnan(row.growth_per_month) else row.growth_per_month
    growth = scenario_growth(measured, scenario)
    factor = damped_factors(growth, plan.value("growth_damping"), len(months)) * scenario.adoption
    factor = factor * _launches(plan, row.use_case_id, months)
    if isinstance(retire, str):
        factor = np.where(np.array(months) >= retire, 0.0, factor)
    average = row.units_per_hour_avg * factor
    return pd.DataFrame(
        {
            "scenario": scenario.scenario,
            "month": months,
            **{key: getattr(row, key) for key in KEYS},
            "units": average * HOURS_PER_MONTH,
            "units_per_hour_avg": average,
            "units_per_hour_peak": average * row.peak_to_average,
            "growth_source": _growth_source(row, scenario, growth),
        }
    )


def _launches(plan: Plan, use_case_id: str, months: list[str]) -> np.ndarray:
    factor = np.ones(len(months))
    for launch in plan.launches:
        if launch.use_case_id == use_case_id and launch.month in months:
            factor[months.index(launch.month)] *= launch.demand_multiplier
    return factor


def _growth_source(row: tuple, scenario: Scenario, growth: float) -> str:
    if scenario.monthly_growth is not None:
        return f"{growth:+.1%} a month, set in plan.yaml"
    if np.isnan(row.growth_per_month):
        return f"level kept: {row.growth_months} months are too few for a trend"
    return f"{growth:+.1%} a month at the start: trend of {row.growth_months} months, adjusted for the scenario"
