"""What a benchmark is worth in money over the choice of platform: the better choice that knowing a capacity allows.

The choice is the cheapest platform over the horizon (everything with a price is in the money), so the
worth of knowing is what the expected cheapest falls by; what the benchmark itself costs comes off. Beside platforms that
may be chosen, one without a run on own prompts may be so only once it is benchmarked. References:
Raiffa and Schlaifer, Applied Statistical Decision Theory (value of perfect and partial perfect information;
net gain of sampling).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from aifactory.inputs.workspace import Workspace
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.matrix import node_sizes
from aifactory.shortlist.money import ALONE, in_shared_nodes, moves_class

DRAWS = 4_000
KNOWLEDGE_COLUMNS = [
    *KEYS,
    "expected_usd",
    "cheapest_probability",
    "worth_usd",
    "cost_usd",
    "net_usd",
    "everything_usd",
]
COST_PARTS = ["staff_usd", "machine_usd", "port_usd"]


def worth_of_knowing(
    costs: ArrayLike, may: ArrayLike | None = None, held_usd: float = np.inf
) -> tuple[np.ndarray, float]:
    """Worth of knowing each alternative's cost alone, and all of them, from draws [n, draws] that are independent.

    min E c - E min(c_j, min over the others of E c) for one; min E c - E min c for all. Expected costs are those of the
    alternatives that may be chosen without knowing more (`may` [n], all without it), and `held_usd` of what is to be had anyway.

    >>> alone, everything = worth_of_knowing([[1.0, 3.0], [2.0, 2.0]])
    >>> alone.tolist(), everything
    ([0.5, 0.0], 0.5)
    >>> worth_of_knowing([[1.0, 1.0], [2.0, 2.0]], may=[False, True])[0].tolist()
    [1.0, 0.0]
    """
    draws = np.minimum(np.asarray(costs, dtype=float), held_usd)
    mean = draws.mean(axis=1) if may is None else np.where(may, draws.mean(axis=1), held_usd)
    best = mean.min()
    others = np.array([np.delete(mean, row).min(initial=held_usd) for row in range(len(mean))])
    alone = best - np.minimum(draws, others[:, None]).mean(axis=1)
    return np.maximum(alone, 0.0), float(max(best - draws.min(axis=0).mean(), 0.0))


def benchmark_costs(ws: Workspace, cells: pd.DataFrame) -> pd.DataFrame:
    """What one benchmark of each cell costs: `KEYS`, `COST_PARTS` and `cost_usd`.

    staff = person-months x pay; machine = hours of a whole node x accelerators in it, as bought (`matrix.node_sizes`), x price of an hour;
    port = the stated share of the porting effort, where the use case runs on another class today. Runs
    stand beside production, so nothing waits for them.
    """
    pay, found = ws.plan.value("engineer_usd_per_month"), cells[KEYS].copy()
    effort = cells["platform_class"].map(ws.plan.porting_person_months).fillna(0.0).astype(float)
    found["staff_usd"] = ws.plan.value("benchmark_person_months") * pay
    found["machine_usd"] = (
        ws.plan.value("benchmark_node_hours") * node_sizes(ws, cells) * cells["usd_per_accelerator_hour"]
    )
    found["port_usd"] = ws.plan.value("benchmark_porting_share") * effort * pay * moves_class(ws, cells)
    return found.assign(cost_usd=found[COST_PARTS].sum(axis=1, skipna=False))


def platform_knowledge(
    penalties: pd.DataFrame,
    exclusions: pd.DataFrame,
    costs: pd.DataFrame | None = None,
    may: Collection[tuple[str, str]] = (),
    held_usd: Mapping[str, float] = MappingProxyType({}),
) -> pd.DataFrame:
    """Worth of a benchmark of each platform for each use case less its cost, the most worth doing first.

    Costs are what a platform adds to the other use cases where `penalties` says so (`sharing.priced_beside`), else, and where nodes of its
    own are cheaper, those alone.
    Their compute part runs on either side of its middle as one that is log-normal for the use case alone, with the ends of the
    capacity interval as P10 and P90, at the same quantiles for all platforms; what is excluded, or has
    no price or no low end of capacity, is no alternative. `expected_usd` is the expected cost of the
    platform, `cheapest_probability` the share of draws in which none is cheaper, `worth_usd` an upper
    bound (a benchmark without error), `net_usd` what is left of it after `costs` (`benchmark_costs`; NaN
    without), `everything_usd` the worth of knowing all capacities of the use case.

    may : cells that may be chosen without a benchmark; where a use case has none, all of its.
    held_usd : by use case, what the platform chosen for it costs beside the others on its nodes.
    """
    out = pd.MultiIndex.from_frame(exclusions[KEYS])
    usable = in_shared_nodes(penalties[~pd.MultiIndex.from_frame(penalties[KEYS]).isin(out)], own_nodes=True)
    usable = usable[np.isfinite(usable[["total_usd", "total_low_usd", "total_high_usd"]].astype(float)).all(axis=1)]
    frames = [
        _one(rows, set(may), held_usd.get(str(name), np.inf))
        for name, rows in usable.groupby("use_case_id")
        if len(rows) > 1
    ]
    if not frames:
        return pd.DataFrame(columns=KNOWLEDGE_COLUMNS)
    frame = pd.concat(frames)
    frame = (
        frame.assign(cost_usd=np.nan) if costs is None else frame.merge(costs[[*KEYS, "cost_usd"]], on=KEYS, how="left")
    )
    frame = frame.assign(net_usd=frame["worth_usd"] - frame["cost_usd"])
    order = ["net_usd", "worth_usd", *KEYS]
    return frame.sort_values(order, ascending=[False, False, True, True], ignore_index=True)[KNOWLEDGE_COLUMNS]


def worthwhile(knowledge: pd.DataFrame) -> pd.DataFrame:
    """The best benchmark of each use case where it is worth more than it costs, in the order to run them.

    Benchmarks of different use cases add up; a second one of the same use case does not, so each use case
    has its best one only.
    """
    best = knowledge[knowledge["net_usd"] > 0].drop_duplicates("use_case_id")
    return best.sort_values("net_usd", ascending=False, kind="stable", ignore_index=True)


def cost_draws(rows: pd.DataFrame) -> np.ndarray:
    """Costs over the horizon of the platforms of one use case, [n, `DRAWS`], independent of each other.

    Independent permutations of the same quantiles stand for independent draws. With s = ln(cost alone at an end / in the middle)
    a draw at z times the distance of P10 or P90 is c + (c_end - c) (e^(s z) - 1) / (e^s - 1): log-normal alone.
    """
    rows = rows if ALONE[0] in rows else in_shared_nodes(rows)
    rng = np.random.default_rng(len(rows))
    quantiles = ndtri((np.arange(DRAWS) + 0.5) / DRAWS) / ndtri(0.9)
    fixed = (rows["total_usd"] - rows["compute_usd"]).to_numpy(dtype=float)
    compute = rows["compute_usd"].to_numpy(dtype=float)
    low, high = (rows[name].to_numpy(dtype=float) - fixed for name in ("total_low_usd", "total_high_usd"))
    dear, middle, cheap = (np.maximum(rows[name].to_numpy(dtype=float), 1e-9) for name in ALONE)
    above, below = np.log(dear / middle), np.log(cheap / middle)
    costs = np.empty((len(rows), DRAWS))
    for row in range(len(rows)):
        z = rng.permutation(quantiles)
        spread = np.where(z < 0, below[row], above[row])
        times = np.divide(np.expm1(spread * np.abs(z)), np.expm1(spread), out=np.abs(z), where=spread != 0)
        draw = compute[row] + (np.where(z < 0, low[row], high[row]) - compute[row]) * times
        costs[row] = fixed[row] + np.maximum(draw, min(low[row], 0.0))
    return costs


def _one(rows: pd.DataFrame, may: Collection[tuple[str, str]], held_usd: float) -> pd.DataFrame:
    costs = cost_draws(rows)
    allowed = np.array([pair in may for pair in rows[KEYS].itertuples(index=False, name=None)])
    alone, everything = worth_of_knowing(costs, allowed if allowed.any() else None, held_usd)
    return rows[KEYS].assign(
        expected_usd=costs.mean(axis=1), worth_usd=alone, everything_usd=everything,
        cheapest_probability=(costs <= costs.min(axis=0)).mean(axis=1),
    )  # fmt: skip
