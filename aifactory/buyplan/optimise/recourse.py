"""What a month costs once the fleet is there: the cheapest way to serve its demand, by linear programme.

Variables of a month: y[w, p, k] accelerators that serve a workload, on demand od[p, k], spot[w, p, k] of
work that may be interrupted, and units per hour that go to a hosted model api[w, k] or are missed miss[w, k]. Deferrable work
must be done within its month, other work in its block; of a spot hour a share is lost to interruptions.

    min  sum_k h_k (od price + spot price / share + api price + miss price)
    s.t. sum_p rate (y + spot) + api + miss >= demand        each block, or weighted by hours over the month
         sum_w y - od <= capacity                            each p, k
         y <= capacity + od most * ported                    each w, p, k that waits for a port

The last rows say nothing where a port is made or not; between, they bound what a share of a port opens far more tightly
than the share of the demand that may pass does (flow covers; Padberg, Van Roy and Wolsey 1985).

One programme is kept and only its bounds and costs change, paths in order of their demand: the last basis is
close to the next optimum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import highspy
import numpy as np
from scipy import sparse

from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.optimise.reference import reference_usd
from aifactory.buyplan.optimise.silence import silent_library
from aifactory.buyplan.optimise.vertices import Basis, VertexPool
from aifactory.errors import AIFactoryError

INFINITE = highspy.kHighsInf
#: Accelerators that are as good as any number.
UNLIMITED = 1e12
#: Columns of a row and their weights.
_Terms = list[tuple[int, float]]
BASIC, AT_UPPER = highspy.HighsBasisStatus.kBasic, highspy.HighsBasisStatus.kUpper


@dataclass(frozen=True)
class Layout:
    """Columns and rows of the programme of one month."""

    matrix: sparse.csr_matrix
    demand_rows: np.ndarray  # [rows of demand] row of each demand entry
    demand_of: np.ndarray  # [rows of demand, W * K] weights of demand in each row, which is scaled to accelerators
    capacity_rows: np.ndarray  # [rows of capacity]
    capacity_of: np.ndarray  # [rows of capacity] platform whose capacity bounds the row
    port_rows: np.ndarray  # [rows of ports]
    port_of: np.ndarray  # [rows of ports] port that the row waits for
    port_demand: np.ndarray  # [rows of ports] row of demand whose whole need may pass
    port_on: np.ndarray  # [rows of ports] platform of the row
    port_scale: np.ndarray  # [rows of ports] weight of an accelerator in rows that hold no more than there are, else 0
    bounded: np.ndarray  # [last rows of ports] column of rows that hold one column each, and so are its upper bound
    sign: np.ndarray  # [rows] 1: at least its right-hand side, -1: at most
    upper: np.ndarray  # [columns] upper bounds
    on_demand: slice
    spot: slice
    spot_of: np.ndarray  # platform of each spot cell
    api: slice
    miss: slice


class Recourse:
    """Prices any fleet on any paths: the one evaluator of plans, policies and hand-edited tables.

    `opened` [W, P] names the cells that are open whatever ports there are; by default ports open theirs.
    """

    def __init__(self, problem: Problem, opened: np.ndarray | None = None) -> None:
        self.problem = problem
        self.layout = month_layout(problem, opened)
        prices = (problem.on_demand_usd, problem.spot_usd, problem.api_usd)
        self._prices_differ = any(np.ndim(of) == 3 for of in prices)
        self._pools: dict[bytes, VertexPool] = {}

    def cost(
        self,
        capacity: np.ndarray,
        demand: np.ndarray | None = None,
        ported: np.ndarray | None = None,
        solves: int | None = None,
        months: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Undiscounted cost of each path and month, and what one more accelerator or port would change.

        Parameters
        ----------
        capacity : [T, P] accelerators in service.
        demand : [S, T, W, K]; the problem's paths by default. Prices by path need the problem's own paths.
        ported : [G] 1 where a port of the problem is made, 0 (the default) where not, or between.
        solves : about so many months of paths are solved; the others may then have a lower bound of their cost.
        months : the months that are priced; others stay 0. All by default.

        Returns
        -------
        (USD [S, T], USD per accelerator of each platform, then per port [S, T, P + G], never positive).
        """
        demand = self.problem.demand if demand is None else demand
        ported = np.zeros(len(self.problem.ports)) if ported is None else ported
        paths, count = demand.shape[:2]
        usd = np.zeros((paths, count))
        worth = np.zeros((paths, count, self.problem.platforms + len(self.problem.ports)))
        for members, path in self._same_prices(paths, range(count) if months is None else months.tolist()):
            some = slice(None) if path is None else slice(path, path + 1)
            sides = np.concatenate([self._sides(m, capacity, demand[some], ported) for m in members])
            costs = month_costs(self.problem, self.layout, path or 0, members[0])
            values, duals = self._priced(costs, sides, solves)
            count = len(sides) // len(members)
            for at, month in enumerate(members):
                rows = slice(at * count, (at + 1) * count)
                usd[some, month] = values[rows]
                worth[some, month] = self._worth(month, capacity, sides[rows], duals[rows], ported)
        return usd, worth

    @cached_property
    def reference_usd(self) -> np.ndarray:
        """[S] what the problem's own paths cost about, were they known."""
        return reference_usd(self.problem)

    def _same_prices(self, paths: int, months: Iterable[int]) -> list[tuple[list[int], int | None]]:
        """Months with the same costs, for all paths at once, or by path where prices differ by path."""
        found: dict[bytes, tuple[list[int], int | None]] = {}
        for path in range(paths) if self._prices_differ else [None]:
            for month in months:
                key = month_costs(self.problem, self.layout, path or 0, month).tobytes()
                found.setdefault(key + str(path).encode(), ([], path))[0].append(month)
        return list(found.values())

    def _sides(self, month: int, capacity: np.ndarray, demand: np.ndarray, ported: np.ndarray) -> np.ndarray:
        """Right-hand sides of a month on paths, [paths, rows]."""
        lay = self.layout
        need = demand[:, month].reshape(len(demand), -1) @ lay.demand_of.T
        room = np.broadcast_to(capacity[month][lay.capacity_of], (len(need), len(lay.capacity_of)))
        done = (ported * self.problem.port_ready[month])[lay.port_of]
        passed = np.minimum(need[:, lay.port_demand] * done, self._held(month, capacity, done))
        return np.concatenate([need, room, passed], axis=1)

    def _held(self, month: int, capacity: np.ndarray, done: np.ndarray) -> np.ndarray:
        """[rows of ports] what can be held for a row: capacity, and of what can be rented the share that is ported.

        A port that is made lets through what is there and what can be rented, one that is not lets through nothing.
        """
        lay = self.layout
        held = lay.port_scale * (capacity[month][lay.port_on] + self._rented * done)
        return np.where(lay.port_scale > 0, held, np.inf)

    @cached_property
    def _rented(self) -> np.ndarray:
        """[rows of ports] accelerators that can be rented at once."""
        return np.minimum(np.asarray(self.problem.on_demand_most, dtype=float), UNLIMITED)[self.layout.port_on]

    def _worth(
        self, month: int, capacity: np.ndarray, sides: np.ndarray, duals: np.ndarray, ported: np.ndarray
    ) -> np.ndarray:
        """USD per accelerator and port, [paths, P + G]."""
        lay, problem = self.layout, self.problem
        own = np.minimum(duals[:, lay.capacity_rows], 0.0) @ (lay.capacity_of[:, None] == np.arange(problem.platforms))
        if not len(lay.port_rows):
            return np.concatenate([own, np.zeros((len(own), len(problem.ports)))], axis=1)
        done = (ported * problem.port_ready[month])[lay.port_of]
        need = sides[:, lay.demand_rows][:, lay.port_demand]
        held = self._held(month, capacity, done) < need * done
        price = np.minimum(duals[:, lay.port_rows], 0.0)
        scaled = np.where(held, price * lay.port_scale, 0.0)
        own += scaled @ (lay.port_on[:, None] == np.arange(problem.platforms))
        full = np.where(held, scaled * self._rented, price * need)
        ports = full @ (lay.port_of[:, None] == np.arange(len(problem.ports))) * problem.port_ready[month]
        return np.concatenate([own, ports], axis=1)

    def _priced(self, costs: np.ndarray, sides: np.ndarray, solves: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Optimal values [R] and duals [R, rows]: from bases that are known, and from new ones for the rest."""
        lay = self.layout
        self._solver.changeColsCost(len(costs), self._columns, costs)
        pool = self._pools.get(costs.tobytes())
        if pool is None:
            pool = VertexPool(self._dense, lay.sign[: self._kept], costs, lay.upper, lay.bounded, self._per_side)
            if not self._prices_differ:
                self._pools[costs.tobytes()] = pool
        order = np.argsort(sides[:, lay.demand_rows].sum(axis=1), kind="stable")
        values, duals = np.empty(len(sides)), np.empty(sides.shape)
        values[order], duals[order] = pool.price(sides[order], self._solve, solves)
        return values, duals

    def _solve(self, side: np.ndarray) -> Basis:
        solver, lay, kept = self._solver, self.layout, self._kept
        above, of, bounds = lay.sign[:kept] > 0, side[:kept], len(lay.bounded)
        solver.changeRowsBounds(kept, self._rows[:kept], np.where(above, of, -INFINITE), np.where(above, INFINITE, of))
        if bounds:
            most = side[kept:] * self._per_side
            solver.changeColsBounds(bounds, lay.bounded.astype(np.int32), np.zeros(bounds), most)
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            raise AIFactoryError(f"recourse of a month: {solver.modelStatusToString(solver.getModelStatus())}")
        basis = solver.getBasis()
        columns = np.array(basis.col_status)
        return columns == BASIC, columns == AT_UPPER, np.array(basis.row_status) == BASIC

    @cached_property
    def _kept(self) -> int:
        """Rows of the programme that is solved: the last ones of the layout are bounds of columns in it."""
        return self.layout.matrix.shape[0] - len(self.layout.bounded)

    @cached_property
    def _per_side(self) -> np.ndarray:
        """[bounded] upper bound of a column per unit of its row's right-hand side."""
        return 1.0 / self.layout.matrix[self._kept :].data

    @cached_property
    def _dense(self) -> np.ndarray:
        return self.layout.matrix[: self._kept].toarray()

    @cached_property
    def _rows(self) -> np.ndarray:
        return np.arange(self.layout.matrix.shape[0], dtype=np.int32)

    @cached_property
    def _columns(self) -> np.ndarray:
        return np.arange(self.layout.matrix.shape[1], dtype=np.int32)

    @cached_property
    def _solver(self) -> highspy.Highs:
        lay, kept = self.layout, self.layout.matrix[: self._kept]
        rows, columns = kept.shape
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = columns, rows
        model.col_cost_, model.col_lower_, model.col_upper_ = np.zeros(columns), np.zeros(columns), lay.upper
        model.row_lower_, model.row_upper_ = np.full(rows, -INFINITE), np.full(rows, INFINITE)
        model.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        model.a_matrix_.start_, model.a_matrix_.index_, model.a_matrix_.value_ = (
            kept.indptr, kept.indices, kept.data,
        )  # fmt: skip
        solver = quiet_solver()
        solver.setOptionValue("presolve", "off")
        solver.passModel(model)
        return solver


class _Quiet(highspy.Highs):
    """Silent before anything is set up: the first set-up prints a banner, which would stand in a report."""

    def enableCallbacks(self) -> None:  # noqa: N802
        self.silent()
        super().enableCallbacks()

    def run_whole(self) -> None:
        """Run a programme in whole numbers: its search prints lines that no option keeps back."""
        with silent_library():
            self.run()


def quiet_solver() -> highspy.Highs:
    """A solver that prints nothing and uses one thread, so that results do not depend on the machine."""
    solver = _Quiet()
    solver.setOptionValue("threads", 1)
    return solver


def month_layout(problem: Problem, opened: np.ndarray | None = None) -> Layout:
    """Matrix of the programme of one month, the same in every month and path; of the cells `opened` [W, P] alone where these are given."""
    if problem.widths.known.any():
        raise AIFactoryError("widths of jobs are planned where each workload has one platform only")
    columns = _columns(problem, opened)
    need, demand_of = _demand_rows(problem, columns)
    capacity_of = np.repeat(np.arange(problem.platforms), columns.blocks)
    ports = [] if opened is not None else _port_rows(problem, columns)
    ports.sort(key=lambda line: len(line[3]) == 1)
    terms = [*need, *_capacity_rows(problem, columns), *(line for _, _, _, line in ports)]
    entries = [(row, column, value) for row, line in enumerate(terms) for column, value in line]
    at, of, value = (np.array(part) for part in zip(*entries, strict=True))
    upper = np.full(columns.miss.stop, INFINITE)
    upper[columns.on_demand] = np.repeat(np.minimum(problem.on_demand_most, INFINITE), columns.blocks)
    capacity_rows = len(need) + np.arange(len(capacity_of))
    return Layout(
        sparse.csr_matrix((value, (at.astype(int), of.astype(int))), shape=(len(terms), columns.miss.stop)),
        np.arange(len(need)), demand_of, capacity_rows, capacity_of,
        np.arange(len(need) + len(capacity_of), len(terms)), np.array([of for of, _, _, _ in ports], dtype=int),
        np.array([of for _, of, _, _ in ports], dtype=int), np.array([of for _, _, of, _ in ports], dtype=int),
        np.array([line[0][1] if len(line) == 1 else 0.0 for _, _, _, line in ports]),
        np.array([line[0][0] for _, _, _, line in ports if len(line) == 1], dtype=int),
        np.where(np.arange(len(terms)) < len(need), 1.0, -1.0),
        upper, columns.on_demand, columns.spot, columns.patient[:, 1], columns.api, columns.miss,
    )  # fmt: skip


@dataclass(frozen=True)
class _Columns:
    """Where the columns of a month stand: those of a cell, platform or workload follow each other by block."""

    blocks: int
    cells: np.ndarray  # [cells, 2] workload and platform of each cell
    patient: np.ndarray  # [cells on spot, 2] those whose work may be interrupted
    held: slice
    on_demand: slice
    spot: slice
    api: slice
    miss: slice


def _columns(problem: Problem, opened: np.ndarray | None) -> _Columns:
    rate = np.asarray(problem.rate, float)
    cells = np.argwhere((rate > 0) if opened is None else (rate > 0) & opened)
    patient = cells[problem.may_be_interrupted[cells[:, 0]]]
    blocks, workloads = len(problem.block_hours), len(rate)
    starts = np.cumsum([0, len(cells), problem.platforms, len(patient), workloads, workloads]) * blocks
    return _Columns(blocks, cells, patient, *(slice(int(a), int(b)) for a, b in pairwise(starts)))


def _demand_rows(problem: Problem, columns: _Columns) -> tuple[list[_Terms], np.ndarray]:
    """Terms of each row of demand, and the weights of demand [rows, W * K] in it; scaled to a largest term of 1."""
    rate, rows, demand_of = np.asarray(problem.rate, float), [], []
    for w in range(len(rate)):
        for group, weight in _groups(problem, w):
            mine = [
                (start.start + c * columns.blocks + k, weight[k] * rate[w, p])
                for start, of in ((columns.held, columns.cells), (columns.spot, columns.patient))
                for c, (cw, p) in enumerate(of) if cw == w for k in group
            ]  # fmt: skip
            mine += [
                (of.start + w * columns.blocks + k, weight[k]) for of in (columns.api, columns.miss) for k in group
            ]
            most = max(value for _, value in mine)
            rows.append([(column, value / most) for column, value in mine])
            need = np.zeros(len(rate) * columns.blocks)
            need[[w * columns.blocks + k for k in group]] = weight[list(group)] / most
            demand_of.append(need)
    return rows, np.array(demand_of)


def _groups(problem: Problem, w: int) -> list[tuple[list[int], np.ndarray]]:
    """Blocks that share a row of demand of a workload, and the weight of each block: the month where work can wait, else each block alone."""
    hours = np.asarray(problem.block_hours, float)
    if problem.deferrable[w]:
        return [(list(range(len(hours))), hours)]
    return [([k], np.ones(len(hours))) for k in range(len(hours))]


def _capacity_rows(problem: Problem, columns: _Columns) -> list[_Terms]:
    """What all workloads hold of a platform in a block, less what of it is rented on demand."""
    rows = []
    for p in range(problem.platforms):
        for k in range(columns.blocks):
            held = [(c * columns.blocks + k, 1.0) for c, (_, cp) in enumerate(columns.cells) if cp == p]
            rows.append([*held, (columns.on_demand.start + p * columns.blocks + k, -1.0)])
    return rows


def _port_rows(problem: Problem, columns: _Columns) -> list[tuple[int, int, int, _Terms]]:
    """Rows that hold work back from platforms it is not ported to: (port, row of demand, platform, [(column, weight)]).

    Work of a cell is at most the need of its row of demand, in the scale of that row. What it holds, spot aside, is also at
    most what there is of the platform (`Recourse._held`), so that a cell of many columns has a row for each of these too.
    """
    merged: dict[tuple[int, int, int], _Terms] = {}
    groups = [(w, *of) for w in range(len(problem.rate)) for of in _groups(problem, w)]
    for row, (w, group, weight) in enumerate(groups):
        most = max(weight.max(), weight[group].max() * problem.rate[w].max())
        for start, of in ((columns.held, columns.cells), (columns.spot, columns.patient)):
            for c, (cw, p) in enumerate(of):
                port = problem.port_of[w, p]
                if cw == w and port >= 0:
                    terms = [
                        (start.start + c * columns.blocks + k, weight[k] * problem.rate[w, p] / most) for k in group
                    ]
                    merged.setdefault((int(port), row, int(p)), []).extend(terms)
    whole = [(port, line, p, terms) for (port, line, p), terms in merged.items()]
    single = [
        (port, line, p, [(column, weight)])
        for port, line, p, terms in whole
        if len(terms) > 1
        for column, weight in terms
        if column < columns.spot.start
    ]
    return whole + single


def month_costs(problem: Problem, layout: Layout, path: int, month: int) -> np.ndarray:
    """Costs of the columns in a month; what is not offered costs more than missing the demand."""
    hours = np.asarray(problem.block_hours, float)
    costs = np.zeros(layout.matrix.shape[1])

    def spread(prices: np.ndarray) -> np.ndarray:
        at = prices[path, month] if np.ndim(prices) == 3 else prices[month]
        return np.outer(np.where(np.isfinite(at), at, _never(problem)), hours).ravel()

    costs[layout.on_demand] = spread(problem.on_demand_usd + problem.around_usd)
    with np.errstate(divide="ignore"):
        costs[layout.spot] = spread((problem.spot_usd / problem.spot_share + problem.around_usd)[..., layout.spot_of])
    costs[layout.api] = spread(problem.api_usd)
    costs[layout.miss] = np.outer(problem.miss_usd, hours).ravel()
    return costs


def _never(problem: Problem) -> float:
    """A price at which missing the demand is always cheaper."""
    return 10.0 * float(np.max(problem.miss_usd)) * max(float(np.max(problem.rate)), 1.0) + 1.0
