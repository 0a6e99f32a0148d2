"""Do the pools work as hard as the approved plan assumes? Telemetry against the plan, platform by platform.

The plan assumes how many units an accelerator serves. Measured units at that capacity keep so many accelerators at
work (`buyplan.pool_load.pool_loads`); over those that stand there, this is the utilisation that readings should show:

    expected utilisation = accelerators at work at the approved capacity / accelerators with readings

Only work that runs there can show in readings: a use case that is known to run on another accelerator today does not
count for the place to which the plan has moved it (`not_moved`), and makes the place where it still runs busier than
the plan knows.

    contradicts          the readings are less than half or more than twice of it, and five points of utilisation away
    moves outstanding    all the work that is planned there runs elsewhere, or work runs there that the plan has moved
                         away and the readings are above twice: not comparable
    no work planned      readings of a platform on which the plan of the month has no work there
    no readings          work planned on a platform whose pools gave no readings there
    agrees               everything else

A factor of two is what is known of capacities that nobody measured. Below half, the plan takes accelerators for
fuller than they can be; above twice, for faster than they showed, unless other work runs there. Readings of time in
use count kernels, not how full a device is, so this side is a question to ask before it is an answer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.buyplan.governance import money
from aifactory.buyplan.pool_load import pool_loads
from aifactory.buyplan.releases import PLACE
from aifactory.inputs.hosted import HOSTED
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.hosted_today import hosted_alone
from aifactory.inventory.today import known_by_region
from aifactory.units import HOURS_PER_MONTH

AGREES, CONTRADICTS, NOT_PLANNED, NO_READINGS = "agrees", "contradicts", "no work planned", "no readings"
NOT_MOVED = "moves outstanding"
FACTOR, LEAST_POINTS = 2.0, 0.05
COLUMNS = ["state", *PLACE, "planned_accelerators", "planned_utilization", "at_work", "installed", "expected_utilization",
           "measured_utilization", "ratio", "not_moved", "plan_period", "month"]  # fmt: skip


def use_against_plan(
    approved: pd.DataFrame,
    pools: pd.DataFrame,
    monthly: pd.DataFrame,
    period: str,
    today: Mapping[tuple[str, str], str],
) -> pd.DataFrame:
    """One row per region and accelerator with readings or planned work in the month, contradictions first.

    Parameters
    ----------
    approved : rows of the `approved_plan` contract, in standard months of 730 h.
    pools : `Inventory.pools` of the month; utilisation is weighed by accelerator-hours.
    monthly : measured units by month, use_case_id and region.
    today : what a use case is known to run on in a region in the month (`runs_on_today`).

    Returns
    -------
    Columns `COLUMNS`: accelerators that the plan pays for in the month and the share of them at work by its own
    units; accelerators at work by measured units of the work that runs there; installed; both utilisations as fractions;
    ratio is measured over expected; not_moved names the use cases planned there that run elsewhere. Empty without readings or a plan of the month.
    """
    rows = approved[approved["month"] == period] if len(approved) else approved
    if rows.empty or pools.empty or rows["load_accelerators"].isna().all():
        return pd.DataFrame(columns=COLUMNS)
    planned = rows.groupby(PLACE)[["accelerator_hours", "load_accelerators"]].sum()
    planned = planned[planned["load_accelerators"] > 0]
    held = planned["accelerator_hours"] / HOURS_PER_MONTH
    read = pools.assign(busy=pools["accelerator_hours"] * pools["utilization_mean"]).groupby(PLACE)
    read = read[["accelerator_hours", "busy", "installed"]].sum()
    elsewhere = _elsewhere(approved, today)
    loads = pool_loads(approved[~elsewhere], monthly, period)
    at_work = loads.loc[period] if period in loads.index else pd.Series(dtype="float64")
    table = pd.DataFrame(index=planned.index.union(read.index).set_names(PLACE))
    table["planned_accelerators"] = held
    table["planned_utilization"] = planned["load_accelerators"] / held.where(held > 0)
    table["at_work"] = at_work.reindex(table.index)
    table["installed"] = read["installed"]
    table["expected_utilization"] = table["at_work"] / table["installed"]
    table["measured_utilization"] = read["busy"] / read["accelerator_hours"]
    table["ratio"] = table["measured_utilization"] / table["expected_utilization"]
    awaited = rows[elsewhere.reindex(rows.index) & (rows["units"] > 0)]
    table["not_moved"] = (
        awaited.groupby(PLACE)["use_case_id"].agg(lambda names: ", ".join(sorted(set(names)))).reindex(table.index)
    )
    still = awaited.assign(accelerator_id=_runs_on(awaited, today)).set_index(PLACE).index
    table["state"] = _states(table, table.index.isin(still))
    table = table.reset_index().assign(plan_period=str(rows["plan_period"].iloc[0]), month=period)
    order = table["state"].map({CONTRADICTS: 0, NOT_MOVED: 1, NOT_PLANNED: 2, NO_READINGS: 3, AGREES: 4})
    return table.assign(order=order).sort_values(["order", *PLACE], ignore_index=True)[COLUMNS]


def runs_on_today(ws: Workspace) -> dict[tuple[str, str], str]:
    """What each use case is known to run on, by use case and region: an accelerator, or `HOSTED` where the month charges hosted models alone."""
    hosted = {(name, item.region): HOSTED for name in hosted_alone(ws) for item in ws.plan.regions}
    return hosted | known_by_region(ws)


def planned_elsewhere(ws: Workspace, approved: pd.DataFrame) -> list[str]:
    """Accelerators that the plan of the month holds for what still runs on hosted models: no hours stand beside them, USD."""
    mine = approved["use_case_id"].isin(list(hosted_alone(ws))) & (approved["accelerator_id"] != HOSTED)
    cost = approved[mine & (approved["month"] == ws.period)].groupby("use_case_id")["compute_usd"].sum()
    cost = cost[cost > 0]
    if cost.empty:
        return []
    them, they, run = ("it", "it", "runs") if len(cost) == 1 else ("them", "they", "run")
    return [
        f"cost and hours of {' and '.join(cost.index)} against the plan, which holds {money(cost.sum())} of accelerators for {them} in the month: "
        f"{they} still {run} on hosted models, so the plan beside those figures is without {them}"
    ]


def _runs_on(rows: pd.DataFrame, today: Mapping[tuple[str, str], str]) -> pd.Series:
    return pd.Series(
        [today.get(place) for place in zip(rows["use_case_id"], rows["region"], strict=True)],
        rows.index,
        dtype="object",
    )


def _elsewhere(approved: pd.DataFrame, today: Mapping[tuple[str, str], str]) -> pd.Series:
    """Rows of the plan whose use case is known to run on another accelerator there."""
    runs_on = _runs_on(approved, today)
    return runs_on.notna() & (runs_on != approved["accelerator_id"])


def _states(table: pd.DataFrame, still: np.ndarray) -> np.ndarray:
    """State of each place; `still` marks those where work runs that the plan has moved away."""
    expected, measured = table["expected_utilization"], table["measured_utilization"]
    apart = (measured - expected).abs() >= LEAST_POINTS
    above, below = measured > FACTOR * expected, measured * FACTOR < expected
    unread, unplanned = table["installed"].isna(), table["planned_accelerators"].isna()
    waits = (table["not_moved"].notna() & table["at_work"].isna()) | (apart & above & still)
    cases = [unplanned, unread, waits, apart & (above | below)]
    return np.select(cases, [NOT_PLANNED, NO_READINGS, NOT_MOVED, CONTRADICTS], AGREES)
