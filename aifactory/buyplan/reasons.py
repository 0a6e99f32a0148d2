"""Why each order is there: the row that binds its last node, the paths and use cases it serves, and what would change it.

A node of an order saves, month by month, the hours that would be rented, hosted or missed without it. With q the weights
of the paths in the objective, s(t) what the last node saves in month t and c its cost, an order stays while

    sum over its months of q s(t) >= c.

The row of the programme that binds it is the capacity of its platform in the month in which q s(t) is largest, or the
fleet that must stand ready where no hours can be rented. What sets its date or size beside that is a lead time, the
smallest order, or a limit that keeps a cheaper order away.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case
from aifactory.buyplan.gangs import load_of_any_width
from aifactory.buyplan.optimise.closed_form import ClosedFormRecourse
from aifactory.buyplan.optimise.evaluate import evaluate_plan, path_weights, recourse_of
from aifactory.buyplan.optimise.limit_words import in_all
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.order_months import due_dates
from aifactory.buyplan.room_for_orders import first_months
from aifactory.finance.options import OPTION_NAMES
from aifactory.fleet.widths import no_widths
from aifactory.units import percent

KEYS = ["pool", "purchase_option", "start_index"]
REASON_COLUMNS = ["paths_share", "reason", "binds", "binds_share", "serves", "saved_usd_per_hour", "price_fall_kept",
                  "cost_rise_kept", "wait_usd", "timing", "limit", "not_before", "why"]  # fmt: skip
WORDS = ["reason", "binds", "serves", "timing", "limit", "not_before", "why"]
HALF = 0.5
CHEAPER, RESERVE, SMALLEST = "cheaper than hours", "no hours to rent", "smallest order offered"
#: Use cases named beside an order; savings that are worth a word, share of the cost of a node.
NAMED, WORTH = 2, 0.01
TOLERANCE = 1e-9


@dataclass(frozen=True)
class LastNodes:
    """What the last and the next node of every platform save under a plan."""

    problem: Problem
    nodes: np.ndarray  # [N]
    stands: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # [T, P] held if jobs had any width

    @cached_property
    def capacity(self) -> np.ndarray:
        """[T, P] accelerators in service."""
        return self.problem.capacity(self.nodes)

    @cached_property
    def less(self) -> np.ndarray:
        """[T, P] accelerators in service without the last node of each platform."""
        return np.maximum(self.capacity - self.problem.node_size, self.problem.owned)

    @cached_property
    def weights(self) -> np.ndarray:
        """[S] weights of the paths in the objective."""
        return path_weights(self.problem, evaluate_plan(self.problem, self.nodes))

    @cached_property
    def last(self) -> np.ndarray:
        """[S, T, P] discounted USD that an accelerator of the last node saves."""
        return self._saved(self.problem, self.less)

    @cached_property
    def last_narrow(self) -> np.ndarray:
        """[S, T, P] the same if jobs had any width."""
        return self._saved(replace(self.problem, widths=no_widths(0)), self.less)

    @cached_property
    def following(self) -> np.ndarray:
        """[S, T, P] discounted USD that an accelerator of one more node would save."""
        return self._saved(self.problem, self.capacity)

    @cached_property
    def hours(self) -> np.ndarray:
        """[S, T, P] hours of a month in which the last node works: those that the fleet serves with it and not without.

        Work that can wait takes the hours that other work leaves, so it is none of these where it fits there.
        """
        recourse = ClosedFormRecourse(self.problem)
        gained = recourse.unserved_hours(self.less) - recourse.unserved_hours(self.capacity)
        added = np.maximum(self.capacity - self.less, TOLERANCE)
        return np.maximum(gained, 0.0) @ (np.asarray(self.problem.rate) > 0).astype(float) / added

    def _saved(self, problem: Problem, capacity: np.ndarray) -> np.ndarray:
        worth = recourse_of(problem).cost(capacity)[1][:, :, : problem.platforms]
        return -worth * problem.discount[:-1, None]

    def by_path(self, column: int) -> np.ndarray:
        """[S] USD that the last node of an order saves on each path."""
        platform = self.problem.orders[column][0].platform
        return self.last[:, :, platform] @ self.problem.serves[:, platform, column]

    def rent_usd(self, column: int) -> float:
        """USD that the last node of an order saves but for the people and storage that hours rented instead would bear."""
        problem, platform = self.problem, self.problem.orders[column][0].platform
        hours = (self.weights @ self.hours[:, :, platform]) * problem.discount[:-1]
        around = problem.around_usd[platform] if problem.on_demand_most[platform] > 0 else 0.0
        return float(self.weights @ self.by_path(column) - around * hours @ problem.serves[:, platform, column])

    def net_usd(self, column: int, instead_of: int) -> float:
        """What an order would save over its cost if it took the place of the last node of another of its platform."""
        platform = self.problem.orders[column][0].platform
        added, freed = (self.problem.serves[:, platform, at] for at in (column, instead_of))
        saved = np.where(freed > 0, self.last[:, :, platform], self.following[:, :, platform])
        return float(self.weights @ (saved @ added)) - float(self.problem.order_usd[column])

    def load(self, platform: int, month: int) -> np.ndarray:
        """[S, W, K] accelerators that each workload of a platform keeps busy in the blocks of a month."""
        rate = self.problem.rate[:, platform]
        return self.problem.demand[:, month] * np.where(rate > 0, 1.0 / np.where(rate > 0, rate, 1.0), 0.0)[:, None]


def reasons_of(case: Case, problem: Problem, nodes: np.ndarray) -> pd.DataFrame:
    """One row per order that is placed, by pool, option and first month of use.

    Returns
    -------
    paths_share: share of the paths on which the last node saves more than it costs; reason: kind in a few words; binds:
    the row that binds, in words; binds_share: share of the paths on which it binds; serves: use cases whose work the last
    node takes, with their shares; saved_usd_per_hour: what an hour of it costs otherwise, people and storage included; price_fall_kept:
    by which share the price of such hours may fall before the node no longer pays; cost_rise_kept: by which share the cost of the order
    over its life, resale taken off, may rise before that; wait_usd: what it costs more the next time it may be placed;
    timing, limit: what sets its date, and what keeps a cheaper order away; not_before: first month in which limits leave room for
    it (`room_for_orders`), empty where none keeps it from an earlier one; why: all of it in a sentence.
    """
    count = len(problem.orders)
    stands = np.zeros((0, 0))
    if problem.widths.known.any():
        stands = case.slots.total(load_of_any_width(case).held[1:] * case.slots.size, case.pools)
    last = LastNodes(problem, np.asarray(nodes, dtype=float)[:count], stands)
    room = first_months(problem, last.nodes)
    rows = [_row(case, last, int(column), room.get(int(column), "")) for column in np.flatnonzero(last.nodes)]
    return pd.DataFrame(rows, columns=[*KEYS, *REASON_COLUMNS])


def with_reasons(orders: pd.DataFrame, reasons: pd.DataFrame | None, case: Case) -> pd.DataFrame:
    """Orders with the columns of `reasons_of`; empty where orders were not chosen over paths."""
    if reasons is None:
        return orders.assign(**dict.fromkeys(REASON_COLUMNS, np.nan) | dict.fromkeys(WORDS, ""))
    places = reasons.join(case.streams.pools[["region", "accelerator_id"]], on="pool").drop(columns="pool")
    found = orders.merge(places, on=["region", "accelerator_id", *KEYS[1:]], how="left")
    return found.fillna(dict.fromkeys(WORDS, ""))


def _row(case: Case, last: LastNodes, column: int, not_before: str) -> tuple:
    problem, (option, month) = last.problem, last.problem.orders[column]
    cost, value = problem.order_usd[column], last.by_path(column)
    pays = value >= cost + problem.order_swing[:, column]
    weighted = float(last.weights @ value)
    scarce = not problem.on_demand_most[option.platform] > 0
    least = last.nodes[column] == option.minimum_nodes > 1 and pays.mean() < HALF
    reason = RESERVE if scarce else SMALLEST if least else CHEAPER
    stands = _standing(last, column)
    held = len(stands) > 0 and weighted < cost
    binds, share, serves, hourly = _held(case, last, column, stands) if held else _capacity(case, last, column)
    spare, pays_still = weighted - cost, weighted > cost > 0 and not held
    kept, rise = (spare / last.rent_usd(column), spare / cost) if pays_still else (np.nan, np.nan)
    if wide := _for_width(case, last, column, stands if held else None):
        binds, serves = wide, ""
    wait, timing = _timing(last, column)
    due = due_dates(case).get((month + option.lead_months, option.platform)) or _ending(case, last, column)
    timing = _joined(timing, f"there when {due}" if due else "")
    limit = _limit(case, last, column)
    if least:
        timing = _joined(timing, f"{option.minimum_nodes * problem.node_size[option.platform]:g} is the smallest order")
    wait = np.nan if held else wait  # later the fleet that must stand ready would be short
    figures = (float(pays.mean()), reason, binds, share, serves, hourly, kept, rise, wait, timing, limit, not_before)
    start = month + 1 + option.lead_months
    return (
        option.platform,
        option.name,
        start,
        *figures,
        _sentence(binds, serves, hourly, scarce, timing, limit, held),
    )


def _ending(case: Case, last: LastNodes, column: int) -> str:
    """Accelerators of this plan whose terms end when an order begins to serve, in words; empty where none do."""
    problem, (option, month) = last.problem, last.problem.orders[column]
    gone = sum(
        nodes * problem.node_size[option.platform]
        for (other, at), nodes in zip(problem.orders, last.nodes, strict=True)
        if other.platform == option.platform and at + other.lead_months + other.term_months == month + option.lead_months
    )  # fmt: skip
    return f"{gone:,.0f} {case.streams.pools['accelerator_id'].iloc[option.platform]} of this plan end" if gone else ""


def _standing(last: LastNodes, column: int) -> np.ndarray:
    """Months in which the fleet that must stand ready is not reached without the last node of an order."""
    problem, platform = last.problem, last.problem.orders[column][0].platform
    if not np.size(problem.floor):
        return np.zeros(0, dtype=int)
    short = problem.floor[:, platform] > last.less[:, platform] + TOLERANCE
    return np.flatnonzero(short & (problem.serves[:, platform, column] > 0))


def _for_width(case: Case, last: LastNodes, column: int, stands: np.ndarray | None) -> str:
    """Whose jobs are so wide that the last node of an order is there for them alone; empty where it is not.

    `stands`: months in which it must stand ready, None where it is there for what it saves.
    """
    problem, platform = last.problem, last.problem.orders[column][0].platform
    serves = problem.serves[:, platform, column]
    least = last.less[serves > 0, platform].min(initial=np.inf)
    if not problem.widest[platform] > least:
        return ""
    if stands is None:
        cost, weights = problem.order_usd[column], last.weights
        narrow, ours = (float(weights @ (saved[:, :, platform] @ serves)) for saved in (last.last_narrow, last.last))
        alone = narrow < cost <= ours
    else:
        alone = bool((last.stands[stands, platform] <= last.less[stands, platform] + TOLERANCE).all())
    wide = np.where(problem.rate[:, platform] > 0, problem.widths.widest, 0.0)
    names = ", ".join(sorted(set(case.streams.table["use_case_id"][wide > least])))
    return f"{wide.max():,.3g} at once for jobs of {names}" if alone else ""


def _held(case: Case, last: LastNodes, column: int, stands: np.ndarray) -> tuple[str, float, str, float]:
    platform = last.problem.orders[column][0].platform
    first, most = last.problem.floor[stands[0], platform], last.problem.floor[stands, platform].max()
    words = f"no hours to rent, a fleet of {first:g} must stand ready from {case.streams.months[stands[0] + 1]}"
    words += f", of {most:g} later" if most > first else ""
    work = last.load(platform, int(stands[0])) @ last.problem.block_hours
    return words, 1.0, _served(case, last, work), np.nan


def _capacity(case: Case, last: LastNodes, column: int) -> tuple[str, float, str, float]:
    """The capacity row that binds: its month, hours and share of the paths."""
    problem, platform = last.problem, last.problem.orders[column][0].platform
    saved = last.last[:, :, platform] * (problem.serves[:, platform, column] > 0)
    month = int((last.weights @ saved).argmax())
    on = saved[:, month] > 0
    above, hours = last.less[month, platform], last.hours[:, month, platform] * on
    worked = float(last.weights @ hours)
    if not on.any() or worked <= 0:
        return "no row: within the proven gap", 0.0, "", np.nan
    share = hours[on].mean() / problem.block_hours.sum()
    hourly = float(last.weights @ saved[:, month]) / problem.discount[month] / worked
    words = f"capacity above {above:g} in {case.streams.months[month + 1]}, in {percent(share)} of the hours on {percent(on.mean())} of the paths"
    return words, float(on.mean()), _served(case, last, _work_of_last(last, platform, month)), hourly


def _work_of_last(last: LastNodes, platform: int, month: int) -> np.ndarray:
    """[S, W] accelerator-hours of the last node in a month by workload, see `LastNodes.hours`.

    Work that cannot wait takes the hours in which it needs more than the fleet without the node, work that can wait the rest.
    """
    load, hours = last.load(platform, month), last.problem.block_hours
    least, node = last.less[month, platform], last.capacity[month, platform] - last.less[month, platform]
    patient = np.asarray(last.problem.deferrable, dtype=bool)
    live = np.where(patient[:, None], 0.0, load)
    over = np.clip(live.sum(axis=1) - least, 0.0, node)
    by_live = np.einsum("swk,sk,k->sw", live, over > TOLERANCE, hours)
    left = np.maximum(last.hours[:, month, platform] * node - over @ hours, 0.0)
    return _split(by_live, over @ hours) + _split(np.where(patient, load @ hours, 0.0), left)


def _split(parts: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Amounts [S] divided by parts [S, W]; nothing where there are none."""
    total = parts.sum(axis=1)
    return parts * (whole / np.where(total > 0, total, 1.0))[:, None]


def _served(case: Case, last: LastNodes, work: np.ndarray) -> str:
    """Use cases by their share of work [S, W]."""
    by = pd.Series(last.weights @ work).groupby(case.streams.table["use_case_id"].to_numpy()).sum()
    by = by.sort_values(ascending=False)
    shares = (by / by.sum() if by.sum() > 0 else by).head(NAMED)
    return ", ".join(f"{name} {percent(share)}" for name, share in shares.items() if share >= WORTH)


def _timing(last: LastNodes, column: int) -> tuple[float, str]:
    """What the next chance to order costs more, and whether the lead time keeps the order from serving earlier."""
    problem, (option, month) = last.problem, last.problem.orders[column]
    same = [at for at, (other, when) in enumerate(problem.orders) if other == option and when > month]
    wait = last.net_usd(column, column) - last.net_usd(same[0], column) if same else np.nan
    first = max(min(problem.order_months), option.first_order)
    start, served = month + option.lead_months, (problem.serves[:, option.platform, column] > 0).sum()
    if month > first or option.lead_months == 0 or start == 0:
        return wait, ""
    node = problem.node_size[option.platform] * (last.weights @ last.following[:, start - 1, option.platform])
    if node <= problem.order_usd[column] / served:
        return wait, ""
    return wait, f"lead time of {option.lead_months} whole month{'s' if option.lead_months > 1 else ''} binds"


def _limit(case: Case, last: LastNodes, column: int) -> str:
    """The limit that keeps a cheaper order from taking the place of the last node, or one more node from being bought."""
    problem = last.problem
    rows, bounds, names = problem.limits()
    if not len(names):
        return ""
    platform, least = problem.orders[column][0].platform, WORTH * problem.order_usd[column]
    used, own = rows @ last.nodes, last.net_usd(column, column)
    found = []
    for at, (other, when) in enumerate(problem.orders):
        if other.platform != platform or at == column:
            continue
        over = used - rows[:, column] + rows[:, at] > bounds + TOLERANCE * np.maximum(np.abs(bounds), 1.0)
        gain = last.net_usd(at, column) - own
        kept = _one_of_each([names[row] for row in np.flatnonzero(over) if not names[row].startswith("reserve")])
        if gain > least and kept and not (over & [name.startswith("reserve") for name in names]).any():
            what = f"{OPTION_NAMES[other.name].lower()} in use from {case.streams.months[when + other.lead_months + 1]}"
            keeps = f"{' and '.join(kept)} {'keeps' if len(kept) == 1 else 'each keep'}"
            found.append((gain, f"{keeps} {what} away, USD {gain:,.0f} a node cheaper"))
    more = used + rows[:, column] > bounds + TOLERANCE * np.maximum(np.abs(bounds), 1.0)
    gain = float(last.weights @ (last.following[:, :, platform] @ problem.serves[:, platform, column]))
    gain -= float(problem.order_usd[column])
    if more.any() and gain > least:
        found.append((gain, f"{names[int(np.flatnonzero(more)[0])]} keeps one more node away, worth USD {gain:,.0f}"))
    return problem.in_words(max(found)[1]) if found else ""


def _one_of_each(limits: list[str]) -> list[str]:
    """Limits by their first month or year, those of later ones left out.

    >>> _one_of_each(["capital of year 1", "power of eu in month 3", "power of eu in month 4"])
    ['capital of year 1', 'power of eu in month 3']
    """
    return list({in_all(name): name for name in reversed(limits)}.values())[::-1]


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _sentence(binds: str, serves: str, hourly: float, scarce: bool, timing: str, limit: str, held: bool) -> str:
    """The reason in words: whose work, which row, what it would cost otherwise, what sets the date."""
    otherwise = (
        "" if held or not np.isfinite(hourly) else f"{'missed' if scarce else 'hours'} at USD {hourly:,.2f} otherwise"
    )
    return _joined(f"{serves}: {binds}" if serves else binds, otherwise, timing, limit)
