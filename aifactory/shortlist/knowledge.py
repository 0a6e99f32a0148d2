"""What a benchmark is worth in money over the choice of platform: the better choice that knowing a capacity allows.

The choice is the cheapest platform over the horizon (everything with a price is in the money), so the
worth of knowing is what the expected cheapest falls by. References: Raiffa and Schlaifer, Applied
Statistical Decision Theory (value of perfect and partial perfect information).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from aifactory.shortlist.exclusions import KEYS

DRAWS = 4_000
KNOWLEDGE_COLUMNS = [*KEYS, "expected_usd", "worth_usd", "everything_usd"]


def worth_of_knowing(costs: ArrayLike) -> tuple[np.ndarray, float]:
    """Worth of knowing each alternative's cost alone, and all of them, from draws [n, draws] that are independent.

    min E c - E min(c_j, min over the others of E c) for one; min E c - E min c for all.

    >>> alone, everything = worth_of_knowing([[1.0, 3.0], [2.0, 2.0]])
    >>> alone.tolist(), everything
    ([0.5, 0.0], 0.5)
    """
    draws = np.asarray(costs, dtype=float)
    mean = draws.mean(axis=1)
    best = mean.min()
    others = np.array([np.delete(mean, row).min(initial=np.inf) for row in range(len(mean))])
    alone = best - np.minimum(draws, others[:, None]).mean(axis=1)
    return np.maximum(alone, 0.0), float(max(best - draws.min(axis=0).mean(), 0.0))


def platform_knowledge(penalties: pd.DataFrame, exclusions: pd.DataFrame) -> pd.DataFrame:
    """Worth of a benchmark of each platform for each use case, dearest to ignore first.

    The compute part of the cost is log-normal on either side of its middle, with the ends of the
    capacity interval as P10 and P90, at the same quantiles for all platforms; what is excluded, or has
    no price or no low end of capacity, is no alternative. `expected_usd` is the expected cost of the
    platform, `everything_usd` the worth of knowing all capacities of the use case.
    """
    out = pd.MultiIndex.from_frame(exclusions[KEYS])
    usable = penalties[~pd.MultiIndex.from_frame(penalties[KEYS]).isin(out)]
    usable = usable[np.isfinite(usable[["total_usd", "total_low_usd", "total_high_usd"]].astype(float)).all(axis=1)]
    frames = [_one(rows) for _, rows in usable.groupby("use_case_id") if len(rows) > 1]
    if not frames:
        return pd.DataFrame(columns=KNOWLEDGE_COLUMNS)
    frame = pd.concat(frames).sort_values(["worth_usd", *KEYS], ascending=[False, True, True], ignore_index=True)
    return frame[KNOWLEDGE_COLUMNS]


def _one(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one use case; independent permutations of the same quantiles stand for independent draws."""
    rng = np.random.default_rng(len(rows))
    quantiles = ndtri((np.arange(DRAWS) + 0.5) / DRAWS) / ndtri(0.9)
    fixed = (rows["total_usd"] - rows["compute_usd"]).to_numpy(dtype=float)
    compute = np.maximum(rows["compute_usd"].to_numpy(dtype=float), 1e-9)
    ends = [np.maximum(rows[name].to_numpy(dtype=float) - fixed, 1e-9) for name in ("total_low_usd", "total_high_usd")]
    below, above = (np.abs(np.log(end / compute)) for end in ends)
    costs = np.empty((len(rows), DRAWS))
    for row in range(len(rows)):
        z = rng.permutation(quantiles)
        costs[row] = fixed[row] + compute[row] * np.exp(z * np.where(z < 0, below[row], above[row]))
    alone, everything = worth_of_knowing(costs)
    return rows[KEYS].assign(expected_usd=costs.mean(axis=1), worth_usd=alone, everything_usd=everything)
