"""The ranking of one use case at other weights, service limits and utilisation, fast enough to drag a slider.

Everything that does not move is worked out once (`prepare`, and the nodes of a use case when it is first moved); `rank_at` then
needs a few arrays, and prices the whole nodes of platforms whose load per accelerator moved, beside the other use cases on the
platforms chosen for them and in the sizes that the shortlist buys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

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
from aifactory.shortlist.money import billed_usd, in_shared_nodes
from aifactory.shortlist.plan_terms import Market, bought_nodes, market_of, price_pools, priced_nodes, streams_alone

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
    """What the platforms of one use case are bought with beside the others, in the nodes that are cheapest at the plan's settings."""

    market: Market
    streams: Streams
    prices: pd.DataFrame
    cell: np.ndarray  # [P] place of each pool's platform in the ground
    mine: np.ndarray  # [K] streams of the use case; the others share their nodes
    others_usd: np.ndarray  # [P] price of the others without it

    def compute_usd(self, stretch: np.ndarray) -> np.ndarray:
        """Price over the horizon [platforms] that `stretch` times the accelerators add, whole nodes; NaN without demand.

        What chance adds to the fleet stays the share that it is at the plan's settings.
        """
        finite = np.where(np.isfinite(stretch), stretch, 1.0)
        table, rate = self.streams.table, "units_per_s_per_accelerator"
        slower = np.where(self.mine, finite[self.cell[self.streams.pool]], 1.0)
        streams = replace(self.streams, table=table.assign(**{rate: table[rate] / slower}))
        usd = price_pools(self.market, streams, self.prices).usd - self.others_usd
        found = np.full(len(stretch), np.nan)
        for at in np.unique(self.cell):
            found[at] = usd[self.cell == at].sum()
        return np.where(np.isfinite(stretch), found, np.inf)


@dataclass(frozen=True)
class Fleet:
    """Streams of what may be ranked and of what is chosen, each alone, and the choice."""

    market: Market
    streams: Streams
    home: Mapping[str, str]

    def nodes(self, use_case: str, chips: list[str], *, alone: bool = False) -> Nodes:
        """Nodes of the platforms of a use case, beside those that are on them or `alone`."""
        keys = list(self.streams.table[[*KEYS, "region"]].itertuples(index=False, name=None))
        mine = [at for at, (name, chip, _) in enumerate(keys) if name == use_case and chip in chips]
        others = {} if alone else {name: chip for name, chip in self.home.items() if name != use_case}
        there = [[at for at, (name, chip, region) in enumerate(keys) if keys[row][1:] == (chip, region) and others.get(name) == chip]
                 for row in mine]  # fmt: skip
        gone = frozenset(name for name in others if self.market.today.get(name) in {*chips} - {others[name]})
        with_it = self.market.without(gone)
        both, prices = bought_nodes(with_it, self._pools([[row, *rows] for row, rows in zip(mine, there, strict=True)]))
        usd = np.zeros(len(mine))
        shared = [at for at, rows in enumerate(there) if rows]
        if shared:
            left = self._pools([there[at] for at in shared])
            usd[shared] = priced_nodes(self.market.without(gone | {use_case}), left)[2].usd
        return Nodes(
            with_it, both, prices, np.array([chips.index(keys[row][1]) for row in mine], dtype=int),
            (both.table["use_case_id"] == use_case).to_numpy(), usd,
        )  # fmt: skip

    def _pools(self, rows: list[list[int]]) -> Streams:
        """Streams by the pools that they share."""
        found = self.streams.take([row for part in rows for row in part])
        pool = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
        pools = self.streams.pools.iloc[[part[0] for part in rows]].reset_index(drop=True)
        return replace(found, table=found.table.assign(pool=pool), pools=pools)


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
    today_usd: float  # what today's platform adds, as the bill charges it where no offer prices it
    alone_usd: float  # the same of this use case alone: the scale of the criterion cost
    fleet: Fleet

    @cached_property
    def bought(self) -> Nodes:
        """What the platforms are bought with beside the others."""
        return self.fleet.nodes(self.use_case_id, self.cells["accelerator_id"].tolist())

    @cached_property
    def bought_alone(self) -> Nodes:
        """What today's platform would be bought with for this use case alone."""
        return self.fleet.nodes(self.use_case_id, self.cells["accelerator_id"].iloc[[self.today]].tolist(), alone=True)

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
        """What each platform adds at `stretch` times the accelerators; that of the shortlist where it is 1."""
        moved = np.abs(stretch - 1.0) > STILL
        if not moved.any():
            return self.compute_usd
        usd = self.bought.compute_usd(np.where(moved, stretch, 1.0))
        usd = np.where(np.isnan(usd), self.compute_usd * stretch, usd)
        return np.where(moved, usd, self.compute_usd)

    def scale(self, stretch: np.ndarray) -> float:
        """Price of today's platform alone at `stretch` times the accelerators; that of the shortlist where it is not among the platforms."""
        if self.today is None or abs(stretch[self.today] - 1.0) <= STILL:
            return self.alone_usd
        usd = float(self.bought_alone.compute_usd(stretch[[self.today]])[0])
        once = float(self.other_usd[self.today])
        return once + ((self.alone_usd - once) * float(stretch[self.today]) if np.isnan(usd) else usd)


def prepare(ws: Workspace, inventory: Inventory, benchmark: Benchmark, short: Shortlist) -> dict[str, Ground]:
    """The fixed part of every use case that has at least one platform with known capacity and price."""
    money = in_shared_nodes(short.penalties)[[*KEYS, "compute_usd", "total_usd"]]
    cells = short.matrix.merge(money.assign(alone_usd=short.penalties["total_usd"]), on=KEYS, how="left")
    cells["drawn_nodes"] = nodes_needed(ws, inventory, cells)
    out = set(zip(short.exclusions["use_case_id"], short.exclusions["accelerator_id"], strict=True))
    inside = [pair not in out for pair in zip(cells["use_case_id"], cells["accelerator_id"], strict=True)]
    usable = cells[np.array(inside, dtype=bool) & cells["total_usd"].notna().to_numpy()]
    if usable.empty:
        return {}
    curves = dict(list(benchmark.curves.groupby(KEYS)))
    today, cases = baseline_accelerators(ws, cells), ws.table("use_cases").set_index("use_case_id")
    grounds, market = {}, market_of(ws, inventory, today, benchmark.capacity)
    billed = billed_usd(ws, inventory)
    home = short.choice.dropna(subset=["accelerator_id"]).set_index("use_case_id")["accelerator_id"].to_dict()
    fleet = Fleet(market, streams_alone(market, usable), home)
    for name, group in usable.groupby("use_case_id", sort=True):
        case, chips = cases.loc[name], group["accelerator_id"].tolist()
        now = chips.index(today[name]) if today[name] in chips else None
        priced = cells[(cells["use_case_id"] == name) & (cells["accelerator_id"] == today[name])].dropna(
            subset=["total_usd", "alone_usd"]
        )
        base = priced[["total_usd", "alone_usd"]].iloc[0].tolist() if len(priced) else [billed[name]] * 2
        training = case["service_unit"] == "accelerator_hour"
        planned = ws.plan.value("planning_utilization") if training else 1 / (1 + ws.plan.reserve[case["criticality"]])
        grounds[str(name)] = Ground(
            use_case_id=str(name), cells=group.reset_index(drop=True), compute_usd=group["compute_usd"].to_numpy(float),
            other_usd=(group["total_usd"] - group["compute_usd"]).to_numpy(float), nodes=group["drawn_nodes"].to_numpy(float),
            today=now, today_usd=float(base[0]), alone_usd=float(base[1]), fleet=fleet,
            curves=tuple(_curve(curves.get((name, chip)), row) for chip, row in zip(chips, group.itertuples(index=False), strict=True)),
            limits={column: float(case[limit]) for column, limit in LIMITS.items() if np.isfinite(case[limit])},
            weights=dict(ws.plan.matrix_weights), utilization=float(planned),
        )  # fmt: skip
    return grounds


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

    value = w_cost v(cost) + (1 - w_cost) score, cost as `matrix.with_cost` has it, beside the other use cases. The latency
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
    today, scale = ground.today_usd if ground.today is None else total[ground.today], ground.scale(stretch)
    if np.isfinite([today, scale]).all():
        values["cost"] = np.nan_to_num(scales.anchored(1.0 + (total - today) / scale, scales.COST_ANCHORS))
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
