"""The ranking of one use case at other weights, service limits and utilisation, fast enough to drag a slider.

Everything that does not move is worked out once (`prepare`); `rank_at` then needs a few arrays, and prices the whole nodes
of platforms whose load per accelerator moved, in the sizes that the shortlist buys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.errors import InputError
from aifactory.fleet.streams import Streams
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.today import baseline_accelerators
from aifactory.serving.capacity import capacity_at_slo
from aifactory.shortlist import scales
from aifactory.shortlist.build import Shortlist
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.matrix import nodes_needed
from aifactory.shortlist.plan_terms import Market, bought_nodes, market_of, price_pools, streams_alone

#: A slider that stands where it stood.
STILL = 1e-6
LIMITS = {"p95_ttft_ms": "slo_p95_ttft_ms", "p95_tpot_ms": "slo_p95_tpot_ms", "p95_e2e_ms": "slo_p95_e2e_ms"}


@dataclass(frozen=True)
class Curve:
    """Load points of one platform, sorted: units per second of an accelerator and p95 by column."""

    load: np.ndarray
    latency: dict[str, np.ndarray]


@dataclass(frozen=True)
class Nodes:
    """What the platforms of one use case are bought with, in the nodes that are cheapest at the plan's settings."""

    market: Market
    streams: Streams
    prices: pd.DataFrame
    cell: np.ndarray  # [K] place of each stream's platform in the ground

    def compute_usd(self, stretch: np.ndarray) -> np.ndarray:
        """Price over the horizon [platforms] of `stretch` times the accelerators, whole nodes; NaN without demand.

        What chance adds to the fleet stays the share that it is at the plan's settings.
        """
        finite = np.where(np.isfinite(stretch), stretch, 1.0)
        table, rate = self.streams.table, "units_per_s_per_accelerator"
        streams = replace(self.streams, table=table.assign(**{rate: table[rate] / finite[self.cell]}))
        usd = price_pools(self.market, streams, self.prices).usd
        found = np.full(len(stretch), np.nan)
        for at in np.unique(self.cell):
            found[at] = usd[self.cell == at].sum()
        return np.where(np.isfinite(stretch), found, np.inf)


@dataclass(frozen=True)
class Ground:
    """What stays fixed for one use case; arrays are over its platforms."""

    use_case_id: str
    cells: pd.DataFrame
    compute_usd: np.ndarray
    other_usd: np.ndarray
    nodes: np.ndarray
    today: int | None
    curves: tuple[Curve | None, ...]
    limits: dict[str, float]
    weights: dict[str, float]
    utilization: float
    bought: Nodes

    @property
    def knows_latency(self) -> bool:
        """Whether any run under the limits of the use case was measured: else other limits move nothing."""
        return any(self.timed(row) for row in range(len(self.curves)))

    def timed(self, row: int) -> bool:
        """Whether a platform was measured with a latency that is limited."""
        curve, tier = self.curves[row], self.cells["tier"].iloc[row]
        return (
            curve is not None
            and tier == "measured"
            and any(np.isfinite(curve.latency[name]).any() for name in self.limits)
        )

    def price(self, stretch: np.ndarray) -> np.ndarray:
        """Compute of each platform at `stretch` times the accelerators; that of the shortlist where it is 1."""
        moved = np.abs(stretch - 1.0) > STILL
        if not moved.any():
            return self.compute_usd
        usd = self.bought.compute_usd(np.where(moved, stretch, 1.0))
        usd = np.where(np.isnan(usd), self.compute_usd * stretch, usd)
        return np.where(moved, usd, self.compute_usd)


def prepare(ws: Workspace, inventory: Inventory, benchmark: Benchmark, short: Shortlist) -> dict[str, Ground]:
    """The fixed part of every use case that has at least one platform with known capacity and price."""
    cells = short.matrix.merge(short.penalties[[*KEYS, "compute_usd", "total_usd"]], on=KEYS, how="left")
    cells["drawn_nodes"] = nodes_needed(ws, inventory, cells)
    out = set(zip(short.exclusions["use_case_id"], short.exclusions["accelerator_id"], strict=True))
    inside = [pair not in out for pair in zip(cells["use_case_id"], cells["accelerator_id"], strict=True)]
    usable = cells[np.array(inside, dtype=bool) & cells["total_usd"].notna().to_numpy()]
    curves = dict(list(benchmark.curves.groupby(KEYS)))
    today, cases = baseline_accelerators(ws, cells), ws.table("use_cases").set_index("use_case_id")
    grounds, market = {}, market_of(ws, inventory, today, benchmark.capacity)
    streams, prices = bought_nodes(market, streams_alone(market, usable))
    for name, group in usable.groupby("use_case_id", sort=True):
        case, chips = cases.loc[name], group["accelerator_id"].tolist()
        training = case["service_unit"] == "accelerator_hour"
        planned = ws.plan.value("planning_utilization") if training else 1 / (1 + ws.plan.reserve[case["criticality"]])
        grounds[str(name)] = Ground(
            use_case_id=str(name), cells=group.reset_index(drop=True), compute_usd=group["compute_usd"].to_numpy(float),
            other_usd=(group["total_usd"] - group["compute_usd"]).to_numpy(float), nodes=group["drawn_nodes"].to_numpy(float),
            today=chips.index(today[name]) if today[name] in chips else None,
            curves=tuple(_curve(curves.get((name, chip)), row) for chip, row in zip(chips, group.itertuples(index=False), strict=True)),
            limits={column: float(case[limit]) for column, limit in LIMITS.items() if np.isfinite(case[limit])},
            weights=dict(ws.plan.matrix_weights), utilization=float(planned),
            bought=_nodes(market, streams, prices, str(name), chips),
        )  # fmt: skip
    return grounds


def _nodes(market: Market, streams: Streams, prices: pd.DataFrame, name: str, chips: list[str]) -> Nodes:
    """The nodes of one use case; every stream has a pool of its own."""
    rows = np.flatnonzero(streams.table["use_case_id"] == name)
    mine = streams.take(rows)
    mine = replace(
        mine, table=mine.table.assign(pool=np.arange(len(rows))), pools=streams.pools.iloc[rows].reset_index(drop=True)
    )
    theirs = prices[prices["pool"].isin(rows)]
    theirs = theirs.assign(pool=np.searchsorted(rows, theirs["pool"]))
    return Nodes(
        market, mine, theirs, np.array([chips.index(chip) for chip in mine.table["accelerator_id"]], dtype=int)
    )


def _curve(points: pd.DataFrame | None, cell: tuple) -> Curve | None:
    if points is None:
        return None
    if cell.tier == "measured":
        points = points[points["precision"] == cell.precision]
    points = points.sort_values("units_per_s_per_accelerator")
    load = points["units_per_s_per_accelerator"].to_numpy(dtype=float)
    return Curve(load, {column: points[column].to_numpy(dtype=float) for column in LIMITS}) if len(load) else None


def rank_at(
    ground: Ground,
    weights: Mapping[str, float] | None = None,
    slo_factor: float = 1.0,
    utilization: float | None = None,
) -> pd.DataFrame:
    """Platforms of the use case, best first, at other weights, limits and utilisation.

    value = w_cost v(price over the horizon / today's platform) + (1 - w_cost) score. The latency
    limits are multiplied by `slo_factor`: capacity of measured platforms is read off their curves
    again, estimated ones move by the mean ratio of the measured. `utilization` is the share of
    capacity that the peak may fill (serving) or that work may be planned to fill (training); without
    it that of the plan. Price steps in whole nodes. Weights are scaled to a sum of 1. At the defaults score and price are those
    of the shortlist. Platforms that cannot meet the limits at any load come last, without a value.

    Returns
    -------
    accelerator_id, tier, decision, value, score, total_usd, capacity_ratio, one column
    `part_<criterion>` per criterion (they add up to value).
    """
    share = _shares(ground.weights if weights is None else weights)
    if not (slo_factor > 0 and np.isfinite(slo_factor)):
        raise InputError.at("slo_factor", "must be above 0", value=slo_factor)
    used = ground.utilization if utilization is None else utilization
    if not 0 < used <= 1:
        raise InputError.at("utilization", "must be above 0 and at most 1", value=used)
    ratio = _capacity_ratio(ground, slo_factor)
    stretch = np.divide(ground.utilization / used, ratio, out=np.full(len(ratio), np.inf), where=ratio > 0)
    total = ground.price(stretch) + ground.other_usd
    cells = ground.cells
    values = {name: cells[name].fillna(0.0).to_numpy(dtype=float) for name in MATRIX_CRITERIA}
    today = total[ground.today] if ground.today is not None else np.nan
    values["cost"] = (
        np.nan_to_num(scales.anchored(total / today, scales.COST_ANCHORS)) if np.isfinite(today) else values["cost"]
    )
    values["throughput"] = _throughput(ground, stretch)
    if ground.limits:
        values["latency"] = _latency(ground, ratio, slo_factor)
    rest = 1 - share[scales.PRICED]
    score = (
        sum(share[name] * values[name] for name in values if name != scales.PRICED) / rest
        if rest > 0
        else np.zeros(len(cells))
    )
    parts = {f"part_{name}": share[name] * values[name] for name in MATRIX_CRITERIA}
    meets = np.isfinite(stretch)
    parts = {name: np.where(meets, part, np.nan) for name, part in parts.items()}
    table = cells[["accelerator_id", "tier", "decision"]].assign(
        value=sum(parts.values()), score=np.where(meets, score, np.nan), total_usd=total, capacity_ratio=ratio, **parts
    )
    return table.sort_values(["value", "accelerator_id"], ascending=[False, True], ignore_index=True)


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    unknown = [name for name in weights if name not in MATRIX_CRITERIA]
    if unknown:
        raise InputError.at("weights", "no such criterion", value=unknown[0], choices=MATRIX_CRITERIA)
    values = {name: float(weights.get(name, 0.0)) for name in MATRIX_CRITERIA}
    total = sum(values.values())
    if not all(np.isfinite(value) and value >= 0 for value in values.values()) or not total > 0:
        raise InputError.at("weights", "must be finite, not negative, and not all 0")
    return {name: value / total for name, value in values.items()}


def _capacity_ratio(ground: Ground, slo_factor: float) -> np.ndarray:
    """Capacity at the scaled limits over that at the stated ones."""
    if slo_factor == 1 or not ground.limits:
        return np.ones(len(ground.cells))
    wider = {column: limit * slo_factor for column, limit in ground.limits.items()}
    found = np.full(len(ground.cells), np.nan)
    for row, curve in enumerate(ground.curves):
        if ground.timed(row):
            before, after = (
                capacity_at_slo(curve.load, curve.latency, limits).units_per_s for limits in (ground.limits, wider)
            )
            found[row] = after / before if before > 0 else np.nan
    known = found[np.isfinite(found)]
    return np.where(np.isfinite(found), found, known.mean() if len(known) else 1.0)


def _throughput(ground: Ground, stretch: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        nodes = np.log2(np.maximum(np.ceil(ground.nodes * stretch - 1e-9), 1))
    few, many = (scales.anchored(nodes, anchors) for anchors in (scales.NODE_ANCHORS, scales.DEVICE_ANCHORS))
    return np.nan_to_num(np.where(ground.cells["platform_class"] == "edge", many, few))


def _latency(ground: Ground, ratio: np.ndarray, slo_factor: float) -> np.ndarray:
    rate = ground.cells["units_per_s_per_accelerator"].to_numpy(dtype=float) * ratio
    worst = ground.cells["latency_ratio"].to_numpy(dtype=float) / slo_factor
    for row, curve in enumerate(ground.curves):
        if curve is not None:
            at = [np.interp(rate[row] / 2, curve.load, curve.latency[column]) / (limit * slo_factor)
                  for column, limit in ground.limits.items()]  # fmt: skip
            worst[row] = np.nanmax(at) if np.isfinite(at).any() else np.nan
    return np.nan_to_num(scales.anchored(worst, scales.LATENCY_ANCHORS))
