"""Reserve of served streams that only a demand chain describes: from its paths, month by month.

See `aifactory.demand.chain_reserve`. Hours are those of a measured stream of the same class, else of public services.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from aifactory.demand.chain_factors import factor_doubts
from aifactory.demand.chain_reserve import PUBLIC_HOURS, ChainReserve, levels_of, plan_chain
from aifactory.demand.scenario_inputs import PATHS, read_workloads, settings_of
from aifactory.demand.scenarios import WEEKS_PER_MONTH, Paths, fitting_paths, simulate_paths
from aifactory.fleet.allowed_wait import TRAINING_CLASSES, allowed_wait, spread_round
from aifactory.fleet.risk_reserve import Place, SizedReserve, quickest_weeks, target_of
from aifactory.fleet.stand_in import ANY_CLASS, period_shapes, stand_in_shapes
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.units import percent


def size_chain_streams(
    ws: Workspace, inventory: Inventory, choice: pd.DataFrame, prices: pd.DataFrame, by_hours: Collection[Place]
) -> dict[Place, SizedReserve]:
    """Size the reserve of every served use case and region that follows an adoption curve and is not in `by_hours`.

    Parameters
    ----------
    choice, prices : as of `risk_reserve.size_stream_reserves`; work in accelerator-hours waits and is left out.
    by_hours : places whose reserve is known from hours of their own.
    """
    workloads, regions = read_workloads(inventory.demand_basis, ws.plan, ws.period)
    cases = ws.table("use_cases").set_index("use_case_id")
    chosen = choice.set_index("use_case_id")["accelerator_id"].dropna()
    coming = [
        item
        for item in workloads
        if item.adopting is not None and chosen.get(item.name) and cases.loc[item.name, "service_unit"] != "accelerator_hour"
    ]  # fmt: skip
    if not coming:
        return {}
    most = fitting_paths(PATHS, len(coming), len(regions), ws.plan.horizon_months)
    paths = simulate_paths(coming, regions, settings_of(ws.plan, ws.period, most))
    shapes = period_shapes(ws, inventory.demand_profile)
    hours = stand_in_shapes(shapes, cases["workload_class"].to_dict(), TRAINING_CLASSES)
    found = {}
    for place, expected in _expected(inventory.forecast, ws.plan.horizon_months).items():
        name, region = place
        if place in by_hours or name not in paths.workloads:
            continue
        case = cases.loc[name]
        weeks = ws.plan.value("reserve_review_weeks") + quickest_weeks(prices, chosen[name], region)
        target, like = target_of(ws.plan, case["criticality"]), hours.get(case["workload_class"], hours.get(ANY_CLASS))
        measured, wait = like is not None, int(allowed_wait(cases.loc[[name]])[0])
        like = spread_round(like if measured else PUBLIC_HOURS, wait)
        months = _by_month(_of_place(paths, place), expected, like, target, weeks)
        first = next(item for item in months if item is not None)
        note = _note(first, inventory, name, measured=measured)
        over = np.array([np.nan, *(np.nan if item is None else item.capacity for item in months)])
        pools = ws.plan.failure_domains.get(case["criticality"], 0)
        found[place] = SizedReserve(
            str(case["criticality"]), target, weeks, np.nan, first, note, pools, capacity_by_month=over
        )
    return found


def _expected(forecast: pd.DataFrame, months: int) -> dict[Place, np.ndarray]:
    """Work of the expected scenario by month, (T,), of each place that has any."""
    rows = forecast[forecast["scenario"] == "expected"]
    work = (rows["units"] * rows["size"]).groupby([rows["use_case_id"], rows["region"]], sort=False)
    return {place: part.to_numpy(dtype=float)[:months] for place, part in work if (part > 0).any()}


def _of_place(paths: Paths, place: Place) -> np.ndarray:
    """Work of each path by month, (S, T)."""
    return paths.work[:, paths.workloads.index(place[0]), paths.regions.index(place[1])]


def _by_month(
    demand: np.ndarray, expected: np.ndarray, hours: np.ndarray, target: float, weeks: float
) -> list[ChainReserve | None]:
    """Reserve of each month; None in months without expected demand or without a path that had begun."""
    lead = max(int(np.ceil(weeks / WEEKS_PER_MONTH)), 1)
    found: list[ChainReserve | None] = []
    for month, wanted in enumerate(expected):
        levels = levels_of(demand, expected, month, lead) if wanted > 0 else np.zeros(0)
        found.append(plan_chain(levels, hours, target) if levels.any() else None)
    return found


def _note(first: ChainReserve, inventory: Inventory, name: str, *, measured: bool) -> str:
    """What the figures rest on, and which factor is in doubt most."""
    doubts = factor_doubts(inventory.demand_basis.chain, (name,)).dropna(subset="variance_share")
    widest = doubts.loc[doubts["variance_share"].idxmax()] if doubts["variance_share"].any() else None
    most = (
        ""
        if widest is None
        else f"; {widest['factor']} ({widest['known_from']}) makes {percent(widest['variance_share'])} of their doubt"
    )
    hours = "a measured stream of its kind" if measured else "three public services"
    return (
        f"simulated, no hours of its own: {first.paths:,} paths of its demand chain{most}, hours of {hours}; any hour is over in "
        f"{percent(first.any_over)} of the paths"
    )
