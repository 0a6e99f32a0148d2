"""Accelerators that keep an SLO although requests come by chance: square-root staffing, fitted to the event simulator.

A capacity read off a test at fixed concurrency is that of an even load: it holds where the number of requests in
progress stands still. In service they come by chance, and N of them in progress on average are now and then

    N + k sqrt(N),    that is, an even load of R accelerators asks for    n = R + k sqrt(R / b)

with b requests in progress per accelerator at the even capacity. The extra is large for small fleets and fades
as they grow (Halfin and Whitt, Operations Research 29, 1981). k depends on the latency that binds; it is fitted to
the fleet at which the event simulator just keeps the limit, see `aifactory.serving.staffing_fit`.

Simulated tests at fixed concurrency came to 0.91 to 1.00 of the even capacity that fits the simulator where the time per
token or to the end binds, 0.88 to 1.03 for the first token with limits of twice its idle time or more. With tighter limits on
the first token such a test says too much (1.3 to 1.8 times): a new request comes only when another is done. Test those at a rate.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.inputs.resources import data_dir

#: Latency that binds -> how it is called in `data/prediction/staffing.csv`.
BINDING = {"TTFT": "ttft", "TPOT": "tpot", "E2E": "e2e"}
#: Equal work a request (images, embeddings), and tests that stopped short of every limit.
EQUAL_WORK = "e2e_equal"


@lru_cache(maxsize=1)
def staffing_constants() -> pd.DataFrame:
    """Fitted k by latency, with its error against the simulator in accelerators, source and date."""
    return pd.read_csv(data_dir() / "prediction" / "staffing.csv", dtype={"as_of": str}).set_index("latency")


def spread_constant(binding: str, *, varied: bool = True) -> float:
    """K of the latency that binds: TTFT, TPOT, E2E; anything else counts as equal work.

    `varied` says whether requests differ in work (generated tokens) or are alike (images, embeddings).
    """
    name = BINDING.get(binding, EQUAL_WORK)
    return float(staffing_constants()["k"][EQUAL_WORK if name == "e2e" and not varied else name])


def safe_accelerators(even: ArrayLike, in_progress: ArrayLike, k: ArrayLike) -> np.ndarray:
    """Accelerators that keep the SLO, n = R + k sqrt(R / b); shapes broadcast, fractions allowed.

    Parameters
    ----------
    even : R, accelerators that the load would need if it were even.
    in_progress : b, requests in progress per accelerator at its even capacity; infinite: no chance, n = R.
    k : of `spread_constant`.

    >>> safe_accelerators([1.0, 16.0], 4.0, 2.0).tolist()
    [2.0, 20.0]
    """
    even = np.asarray(even, dtype=float)
    return even + np.asarray(k, dtype=float) * np.sqrt(even / np.asarray(in_progress, dtype=float))


def even_accelerators(safe: ArrayLike, in_progress: ArrayLike, k: ArrayLike) -> np.ndarray:
    """Even load in accelerators that so many serve within the SLO: the inverse of `safe_accelerators`.

    sqrt(R) = (sqrt(k^2 / b + 4 n) - k / sqrt(b)) / 2.

    >>> even_accelerators([2.0, 20.0], 4.0, 2.0).tolist()
    [1.0, 16.0]
    """
    half = np.asarray(k, dtype=float) / np.sqrt(np.asarray(in_progress, dtype=float))
    return ((np.sqrt(half**2 + 4 * np.asarray(safe, dtype=float)) - half) / 2) ** 2


def chance_factor(even: ArrayLike, in_progress: ArrayLike, k: ArrayLike) -> np.ndarray:
    """N / R, at least 1; 1 where there is no load or the requests in progress are unknown.

    >>> chance_factor([0.0, 1.0, 16.0], [4.0, 4.0, 4.0], 2.0).tolist(), chance_factor(1.0, np.nan, 2.0).item()
    ([1.0, 2.0, 1.25], 1.0)
    """
    even, held = np.asarray(even, dtype=float), np.asarray(in_progress, dtype=float)
    busy = even * held
    known = np.isfinite(busy) & (busy > 0)
    return 1.0 + np.where(known, np.asarray(k, dtype=float) / np.sqrt(np.where(known, busy, 1.0)), 0.0)
