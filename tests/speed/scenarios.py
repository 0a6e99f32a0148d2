"""Time and memory of demand paths, beside a plain numpy loop over paths in the same run.

1,000 paths x 12 workloads x 4 regions x 36 months, cut at three quantiles of the total. Peer: the same formula
path by path, arrays over workloads, regions and months.
Run: `python tests/speed/scenarios.py [PATHS] [REPEATS]`.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time

import numpy as np

from aifactory.demand.scenario_cuts import cut_paths
from aifactory.demand.scenarios import Settings, Spread, Workload, simulate_paths

WORKLOADS, REGIONS, MONTHS = 12, 4, 36


def company() -> list[Workload]:
    """Twelve workloads with growth, noise and creep."""
    growth = Spread(*(np.full(REGIONS, value) for value in (0.01, 0.02, 0.04)))
    sd, noise = np.full(REGIONS, 0.01), np.full(REGIONS, 0.15)
    return [
        Workload(f"w{i}", np.full(REGIONS, 100.0 + i), growth, sd, noise, size_growth=0.004, size_growth_sd=0.002)
        for i in range(WORKLOADS)
    ]


def peer(paths: int, seed: int, correlation: float = 0.4) -> np.ndarray:
    """Total work of each path and month, one path after the other."""
    rng, totals = np.random.default_rng(seed), np.empty((paths, MONTHS))
    shared, alone = np.sqrt(correlation), np.sqrt(1 - correlation)
    level, months = 100.0 + np.arange(WORKLOADS)[:, None], np.arange(MONTHS)
    for path in range(paths):
        z = shared * rng.standard_normal((1, 3)) + alone * rng.standard_normal((WORKLOADS, 3))
        e = shared * rng.standard_normal(MONTHS + 1) + alone * rng.standard_normal((WORKLOADS, REGIONS, MONTHS + 1))
        growth = 0.02 + np.where(z[:, 0] < 0, 0.01, 0.02) * z[:, 0] / 1.28155
        growth = (1 + growth) * np.exp(0.01 * z[:, 0]) - 1
        fading = np.minimum(0.94 + 0.06 * z[:, 1] / 1.28155, 1.0)[:, None] ** months
        noise = np.empty_like(e)
        noise[..., 0] = e[..., 0]
        for month in range(1, MONTHS + 1):
            noise[..., month] = 0.5 * noise[..., month - 1] + np.sqrt(0.75) * e[..., month]
        trend = level * np.cumprod(1 + growth[:, None] * fading, axis=1)
        size = np.exp(np.cumsum((0.004 + 0.002 * z[:, 2])[:, None] * fading, axis=1))
        units = trend[:, None] * np.exp(0.15 * (noise[..., 1:] - noise[..., :1]))
        totals[path] = (units * size[:, None]).sum(axis=(0, 1))
    return np.quantile(totals, [0.1, 0.5, 0.9], axis=0)


def main() -> None:
    """Print times, their ratio and the peak of memory."""
    paths = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    parts, settings = company(), Settings(MONTHS, paths, 1, damping=Spread(0.88, 0.94, 1.0))
    regions = tuple(f"r{i}" for i in range(REGIONS))
    ours, cpu, theirs = [], [], []
    for _ in range(repeats):
        start, work = time.perf_counter(), time.process_time()
        cuts = cut_paths(simulate_paths(parts, regions, settings), np.ones((WORKLOADS, REGIONS)))
        ours.append(time.perf_counter() - start)
        cpu.append(time.process_time() - work)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        start = time.perf_counter()
        other = peer(paths, 1)
        theirs.append(time.perf_counter() - start)
    mine, loop = statistics.median(ours), statistics.median(theirs)
    size, ends = f"{paths:,} paths x {WORKLOADS} x {REGIONS} x {MONTHS}", (cuts.total[:, -1], other[:, -1])
    lines = [
        f"{size}: {mine:.3f} s ({statistics.median(cpu):.3f} CPU s), peak {peak:.0f} MB",
        f"loop over paths (totals only): {loop:.3f} s; ours is {mine / loop:.2f}x its time",
        f"P10/P50/P90 of the last month: ours {ends[0].round(-1).tolist()}, loop {ends[1].round(-1).tolist()}",
    ]
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
