"""Time and memory of the return of 12 use cases x 36 months x 5 options under 100,000 correlated draws.

Peer: the same model in plain numpy, evaluated in a loop over draws (`tests/finance/roi_oracle.py`), on a
subset of the draws in the same run, its time scaled to all of them. Both evaluate the same draws;
internal rates are left out of the ratio, since the loop would be slower still with them, and timed
apart. The kernel is compiled before the clock starts.
Run: `python tests/speed/roi.py [REPEATS]`.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "finance"))
from roi_oracle import any_model, plain_draw  # noqa: E402

from aifactory.finance.draws import Factor, Factors  # noqa: E402
from aifactory.finance.roi import DRAWS, evaluate  # noqa: E402

SUBSET = 400
TARGET = 0.02
BLOCKS = 3


def factors(use_cases: tuple[str, ...]) -> Factors:
    """All common factors and one per use case."""
    common = (
        Factor("level", 0.7, 1.0, 1.4),
        Factor("growth", -0.02, 0.0, 0.02, shape="linear"),
        Factor("value", 0.7, 1.0, 1.3),
        Factor("capacity", 0.8, 1.0, 1.15),
        Factor("flexible_price", 0.8, 1.0, 1.25),
        Factor("step_month", 0.03, 0.03, 0.03, shape="event"),
        Factor("step_size", -0.46, -0.28, -0.05, shape="linear"),
        Factor("api_price", 0.5, 1.0, 1.2),
        Factor("running", 0.9, 1.0, 1.2),
        Factor("residual", 0.5, 1.0, 1.4),
        Factor("delay_months", 0, 1, 4, shape="count"),
        Factor("overhead", 0.8, 1.0, 1.3),
    )
    own = tuple(Factor(f"level:{name}", 0.6, 1.0, 1.6) for name in use_cases)
    return Factors(common + own, {("level", "growth"): 0.3, ("flexible_price", "api_price"): 0.3})


def clocked(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    """Print times, the ratio, and how far the results are apart."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    model = any_model(blocks=BLOCKS)
    inputs = factors(model.use_cases)
    drawn = clocked(lambda: inputs.draw(DRAWS, seed=1))
    draws, names = inputs.draw(DRAWS, seed=1), inputs.names
    ours = evaluate(model, draws[:SUBSET], names)
    theirs = np.array([plain_draw(model, names, draw)[0] for draw in draws[:SUBSET]])
    off = np.abs(ours.npv_usd.T / theirs[:, :, 0] - 1).max()
    rows = []
    for _ in range(repeats):
        loop = clocked(lambda: [plain_draw(model, names, draw) for draw in draws[:SUBSET]])
        fast = clocked(lambda: evaluate(model, draws, names, with_rate=False))
        rated = clocked(lambda: evaluate(model, draws, names))
        scaled = [seconds * DRAWS / SUBSET for seconds in loop]
        rows.append((*fast, *scaled, *rated))
    wall, cpu, loop_wall, loop_cpu, rated_wall, _ = (statistics.median(part) for part in zip(*rows, strict=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shape = f"{len(model.use_cases)} use cases x {model.months} months x {len(model.options)} options, {BLOCKS} blocks"
    print(f"{DRAWS:,} draws x {shape}; median of {repeats}")  # noqa: T201
    print(f"ours: {wall:.2f} s wall, {cpu:.2f} s CPU; with internal rates {rated_wall:.2f} s; drawing {drawn[0]:.2f} s")  # noqa: T201
    print(f"loop in numpy: {loop_wall:.1f} s wall, {loop_cpu:.1f} s CPU, scaled from {SUBSET} draws")  # noqa: T201
    print(f"ratio {wall / loop_wall:.4f} by wall, {cpu / loop_cpu:.4f} by CPU (target {TARGET})")  # noqa: T201
    print(f"peak memory {peak:,.0f} MB (target 1,000); largest relative difference of NPV {off:.1e}")  # noqa: T201


if __name__ == "__main__":
    main()
