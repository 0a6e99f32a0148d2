"""Speed of SMAA with 10^5 weight draws, against looping a weighted sum over the draws.

The peer is scikit-criteria's `WeightedSumModel`, called once per draw of weights on the same 12 x 15
matrix; 10^3 draws are timed and scaled to 10^5, its matrices made beforehand. It is no dependency of
the package: put an environment that has it on the path, or name its site-packages with `--peer DIR`.
Where it is absent a line says so; a plain loop over numpy products and argsort is a peer in any case.
Two readings of "12 x 15 cells" are timed: one matrix of 12 alternatives and 15 criteria, and 12
workloads with 15 platforms and six criteria each (12 runs). CPU seconds beside wall seconds.
Run with the package on the path: `python tests/speed/smaa.py [--peer DIR] [--repeats 3]`.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np

from aifactory.shortlist.mcda.smaa import smaa

DRAWS, PEER_DRAWS = 100_000, 1_000


def main() -> None:
    """Print seconds, ratio and memory."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--peer", help="site-packages of an environment with scikit-criteria")
    arguments.add_argument("--repeats", type=int, default=3)
    given = arguments.parse_args()
    if given.peer:
        sys.path.append(given.peer)
    rng = np.random.default_rng(0)
    one, many = rng.random((12, 15)), rng.random((12, 15, 6))
    ours = (
        timed(lambda: smaa(one, draws=DRAWS), given.repeats),
        timed(lambda: [smaa(m, draws=DRAWS) for m in many], given.repeats),
    )
    cases = (
        ("12 alternatives x 15 criteria", one, 1),
        ("12 workloads x (15 platforms x 6 criteria)", many[0], len(many)),
    )
    for mine, (label, table, runs) in zip(ours, cases, strict=True):
        say(f"{label}: ours {mine[0]:.3f} s wall, {mine[1]:.3f} CPU s for {DRAWS:,} draws")
        for name, call in peers(table):
            wall, cpu = (seconds * DRAWS / PEER_DRAWS * runs for seconds in timed(call, given.repeats))
            say(
                f"  {name}: {wall:.1f} s wall, {cpu:.1f} CPU s (scaled); ratio {mine[0] / wall:.5f} wall, {mine[1] / cpu:.5f} CPU"
            )
    say(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def say(text: str) -> None:
    """Print a line."""
    print(text)  # noqa: T201


def peers(table: np.ndarray) -> list[tuple[str, Callable[[], object]]]:
    """Names of the peers and one run of their loop over `PEER_DRAWS` draws; matrices are made beforehand."""
    draws = np.random.default_rng(1).dirichlet(np.ones(table.shape[1]), PEER_DRAWS)
    plain = ("plain numpy loop (one product and sort per draw)", lambda: [np.argsort(-(table @ w)) for w in draws])
    try:
        import skcriteria
        from skcriteria.agg.simple import WeightedSumModel
    except ImportError:
        say("  scikit-criteria is absent: the plain numpy loop is the only peer")
        return [plain]
    model = WeightedSumModel()
    ready = [skcriteria.mkdm(table, [max] * table.shape[1], weights=w) for w in draws]
    return [(f"scikit-criteria {version('scikit-criteria')}", lambda: [model.evaluate(m).rank_ for m in ready]), plain]


def timed(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median wall and CPU seconds after one run to warm up."""
    call()
    found = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return statistics.median(w for w, _ in found), statistics.median(c for _, c in found)


if __name__ == "__main__":
    main()
