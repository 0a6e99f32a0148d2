"""Load of the pools of a plan: what the measured demand keeps at work there, the leading indicator of its steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from aifactory.buyplan.releases import COMMITMENT, PLACE, counted_in
from aifactory.units import HOURS_PER_DAY, HOURS_PER_MONTH

#: Factors of a use case in months, (n,).
Usual = Callable[[str, pd.PeriodIndex], np.ndarray]


def pool_loads(
    approved: pd.DataFrame, monthly: pd.DataFrame, period: str, at: str | None = None, *, moved_in: bool = False
) -> pd.DataFrame:
    """Average accelerators at work by month (rows) and approved pool (region, accelerator_id).

    Parameters
    ----------
    approved : rows of the `approved_plan` contract, in standard months of 730 h.
    monthly : measured units by month, use_case_id and region, in calendar months of mean weeks (`inventory.demand.in_whole_weeks`).
    period : last month to look at.
    at : month of the plan whose pools count, `period` if not given: a use case that the plan moves to another
        accelerator counts for the pool in which it is then, in all months, so that a series has one meaning.
    moved_in : count of the work what the plan has in that pool in the month itself, 0 before it moves there.

    Work that the plan divides between accelerators of a region counts for each by its share in the month `at`.
    A month in which a use case is not in its pool yet takes the accelerators per unit of its first month there. Use
    cases and regions that the plan does not know have no pool in it.
    """
    planned = approved[approved["units"] > 0].assign(ratio=lambda rows: rows["load_accelerators"] / rows["units"])
    keys = ["use_case_id", "region"]
    members = _members(planned, at or period)
    here = planned.merge(members, on=[*keys, "accelerator_id"])
    pool = [*keys, "accelerator_id"]
    first = here.sort_values("month").drop_duplicates(pool)
    seen = monthly[monthly["month"] <= period].groupby(["month", *keys], as_index=False)["units"].sum()
    seen = seen.merge(first[[*pool, "share", "ratio"]], on=keys)
    own = here.set_index(["month", *pool])["ratio"].reindex(pd.MultiIndex.from_frame(seen[["month", *pool]]))
    ratio = np.where(own.notna(), own, seen["ratio"])
    hours = pd.PeriodIndex(seen["month"], freq="M").days_in_month.to_numpy() * HOURS_PER_DAY
    share = seen["share"].to_numpy(dtype=float)
    if moved_in:
        begun = seen["month"].clip(lower=planned["month"].min(), upper=at or period)
        asked = pd.MultiIndex.from_frame(seen.assign(month=begun)[["month", *pool]])
        there = _shares(planned, "month", *keys).set_axis(pd.MultiIndex.from_frame(planned[["month", *pool]]))
        share = np.minimum(share, there.reindex(asked).fillna(0.0).to_numpy())
    load = seen["units"].to_numpy(dtype=float) * share * HOURS_PER_MONTH / hours * ratio
    return seen.assign(load=load).groupby(["month", *PLACE])["load"].sum().unstack([1, 2])


def _members(planned: pd.DataFrame, month: str) -> pd.DataFrame:
    """Pools of each use case and region, with the share of its units there, in a month of the plan, or in the nearest one that it has."""
    held = max(planned.loc[planned["month"] <= month, "month"], default=planned["month"].min())
    rows = planned[planned["month"] == held]
    return rows[["use_case_id", "region", "accelerator_id"]].assign(share=_shares(rows, "use_case_id", "region"))


def _shares(planned: pd.DataFrame, *of: str) -> pd.Series:
    """Share of each row in the units of all rows that agree in the columns `of`."""
    return planned["units"] / planned.groupby([*of])["units"].transform("sum")


def step_loads(
    approved: pd.DataFrame, steps: pd.DataFrame, monthly: pd.DataFrame, period: str, usual: Usual | None = None
) -> dict[tuple[str, str], pd.DataFrame]:
    """`pool_loads` for each month (`counted_in`) and kind of `steps` (rows of the `approved_bands` contract).

    Commitments count the work that will be there, as it usually is in that month (`usual`); capacity the work, or the share of it, that is there by now.
    """
    kinds = set(zip(counted_in(steps), steps["kind"], strict=True))
    return {
        (month, kind): pool_loads(approved, monthly, period, month, moved_in=True)
        if kind != COMMITMENT
        else pool_loads(approved, _as_in(month, monthly, usual), period, month)
        for month, kind in sorted(kinds)
    }


def _as_in(month: str, monthly: pd.DataFrame, usual: Usual | None) -> pd.DataFrame:
    """Measured units times what their use case usually has in a month over what it has in theirs; as measured where that is none."""
    if usual is None:
        return monthly
    units, then = monthly["units"].astype(float), pd.PeriodIndex([month], freq="M")
    for name, rows in monthly.groupby("use_case_id"):
        now = usual(str(name), pd.PeriodIndex(rows["month"], freq="M"))
        units[rows.index] *= np.where(now > 0, usual(str(name), then)[0] / np.where(now > 0, now, 1.0), 1.0)
    return monthly.assign(units=units)
