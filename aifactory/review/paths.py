"""Which path are we on: conservative, expected or aggressive, with probabilities updated by what was measured.

The three scenarios of a plan are the P10, P50 and P90 of one distribution of total demand, month by month. Its
logarithm is taken as normal with the spread s(t) = (ln P90(t) - ln P10(t)) / 2.563. How much a month says about
the end of the horizon follows from how the spread grows: s(t) ~ t^H is that of a fractional Brownian motion, so

    correlation(t, u) = (t^2H + u^2H - |t - u|^2H) / (2 t^H u^H)

with H the slope of ln s on ln t over the plan (0.5 a random walk, near 1 a growth rate that lasts). Given the
deviations of the measured months, the position at the horizon is normal with the mean and variance of a Gaussian
conditioned on them; a path's probability is that of its third of the axis, cut half-way between the quantiles.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from scipy import stats

from aifactory.units import SCENARIOS

Z90 = float(stats.norm.ppf(0.9))
CUTS = (-Z90 / 2, Z90 / 2)
LEAST_SPREAD = 1e-9
LEAST_H, MOST_H = 0.05, 0.95
UNITS = {"conservative": "units_conservative", "expected": "units", "aggressive": "units_aggressive"}
COLUMNS = [
    "scenario",
    "planned_index",
    "actual_index",
    "percentile_now",
    "prior_probability",
    "updated_probability",
    "without",
]


def follow_paths(
    approved: pd.DataFrame, monthly: pd.DataFrame, period: str, lumpy: Collection[str] = ()
) -> pd.DataFrame:
    """Scenarios of the approved plan with their index this month (expected = 1) and probabilities.

    Units are weighed with the planned compute cost per unit, so that use cases of different units add up; only
    use cases and regions with a planned cost count. Work that comes in lumps (`lumpy`) is left out where there is other: of it a
    month says only whether a job ran.

    Parameters
    ----------
    approved : the plan in calendar months; `monthly` : measured units by month, use_case_id and region, as its weeks would have them.
    """
    if approved.empty or approved[[*UNITS.values()]].isna().any(axis=None):
        return pd.DataFrame(columns=COLUMNS)
    out = approved["use_case_id"].isin(lumpy)
    without = "" if out.all() else ", ".join(sorted(set(approved.loc[out, "use_case_id"])))
    totals = _totals(approved[~out] if without else approved, monthly, period)
    spread = (np.log(totals["aggressive"]) - np.log(totals["conservative"])) / (2 * Z90)
    seen = totals["actual"].notna().to_numpy()
    measured = period in totals.index and np.isfinite(totals.loc[period, "actual"]) and totals.loc[period, "actual"] > 0
    if not measured or not (spread > LEAST_SPREAD).all():
        return pd.DataFrame(columns=COLUMNS)
    seen = seen & (totals["actual"] > 0).to_numpy()
    deviation = (np.log(totals["actual"].where(seen)) - np.log(totals["expected"])).to_numpy()
    mean, sd = condition(spread.to_numpy(), deviation, seen)
    edges = [0.0, *stats.norm.cdf(CUTS), 1.0], [0.0, *stats.norm.cdf((np.array(CUTS) - mean) / max(sd, 1e-12)), 1.0]
    now = totals.loc[period]
    percentile = float(stats.norm.cdf(deviation[totals.index == period][0] / spread[period]))
    facts = {
        "scenario": SCENARIOS,
        "planned_index": [float(now[name] / now["expected"]) for name in SCENARIOS],
        "actual_index": float(now["actual"] / now["expected"]),
        "percentile_now": percentile,
        "prior_probability": np.diff(edges[0]),
        "updated_probability": np.diff(edges[1]),
        "without": without,
    }
    return pd.DataFrame(facts)[COLUMNS]


def condition(spread: np.ndarray, deviation: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the position at the horizon, in spreads, given the seen deviations.

    Parameters
    ----------
    spread : s(t) of months 1..T; `deviation` : ln actual - ln expected, used where `seen`.
    """
    months = np.arange(1, len(spread) + 1, dtype=float)
    h = growth_exponent(spread)
    at, end = months[seen], months[-1]
    corr = _correlation(at[:, None], at[None, :], h)
    toward = _correlation(at, end, h)
    weights = np.linalg.solve(corr + 1e-9 * np.eye(len(at)), toward)
    mean = float(weights @ (deviation[seen] / spread[seen]))
    return mean, float(np.sqrt(max(1.0 - weights @ toward, 0.0)))


def growth_exponent(spread: np.ndarray) -> float:
    """Slope of ln s on ln t, kept between 0.05 and 0.95; a half for a single month.

    >>> round(growth_exponent(np.sqrt(np.arange(1, 37))), 6)
    0.5
    """
    if len(spread) < 2:
        return 0.5
    slope = np.polyfit(np.log(np.arange(1, len(spread) + 1)), np.log(spread), 1)[0]
    return float(np.clip(slope, LEAST_H, MOST_H))


def _correlation(t: np.ndarray, u: np.ndarray | float, h: float) -> np.ndarray:
    return (t ** (2 * h) + u ** (2 * h) - np.abs(t - u) ** (2 * h)) / (2 * t**h * u**h)


def _totals(approved: pd.DataFrame, monthly: pd.DataFrame, period: str) -> pd.DataFrame:
    """Cost-weighted units of all months of the plan by scenario, and measured where they are."""
    keys = ["month", "use_case_id", "region"]
    plan = approved.groupby(keys, as_index=False)[["compute_usd", *UNITS.values()]].sum(
        min_count=1
    )  # of all its accelerators
    plan = plan[(plan["units"] > 0) & (plan["compute_usd"] > 0)]
    weight = plan["compute_usd"] / plan["units"]
    units = monthly[monthly["month"] <= period].groupby(keys)["units"].sum()
    actual = units.reindex(pd.MultiIndex.from_frame(plan[keys])).to_numpy()
    frame = pd.DataFrame({name: (plan[column] * weight).to_numpy() for name, column in UNITS.items()})
    frame = frame.assign(actual=actual * weight.to_numpy(), month=plan["month"].to_numpy())
    known = set(monthly.loc[monthly["month"] <= period, "month"])
    frame.loc[frame["month"].isin(known), "actual"] = frame["actual"].fillna(0.0)
    return frame.groupby("month").sum(min_count=1)
