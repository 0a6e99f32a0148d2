"""Time of planning a world anew: platform by platform with a bound, beside the decomposition on the same problem.

    python tests/speed/stress.py [--repeats 3]

Prints CPU seconds, costs and proven gaps of both on problems where each workload has one platform, and the ratio.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np

from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.stress.replan import replan
from aifactory.buyplan.stress.world import world_of

PLATFORMS, MONTHS, PATHS = 15, 36, 60


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def problem(seed: int) -> Problem:
    """15 platforms of a workload each, 36 months, 60 paths, four ways to commit in every quarter."""
    rng = np.random.default_rng(seed)
    level = rng.uniform(2, 60, PLATFORMS)
    growth = rng.normal(0.015, 0.02, (PATHS, 1, PLATFORMS))
    noise = np.cumsum(rng.normal(0, 0.05, (PATHS, MONTHS, PLATFORMS)), axis=1)
    demand = level * np.exp(growth * np.arange(MONTHS)[None, :, None] + noise)
    price = rng.uniform(1.5, 9.0, PLATFORMS)
    options = []
    for platform in range(PLATFORMS):
        month = price[platform] * 730
        options += [
            Option("purchase", platform, 36, 2, price[platform] * 8000, 200.0, price[platform] * 7000, 0.68),
            Option("lease", platform, 24, 1, 0.0, 0.55 * month),
            Option("reserved_1y", platform, 12, 0, 0.0, 0.65 * month),
            Option("reserved_3y", platform, 36, 0, 0.0, 0.45 * month),
        ]
    return Problem(
        demand=demand[:, :, :, None] * np.array([2.0, 1.4, 1.0, 0.6]), block_hours=730 * np.array([0.05, 0.15, 0.3, 0.5]),
        rate=np.eye(PLATFORMS), deferrable=np.arange(PLATFORMS) % 3 == 2, node_size=rng.choice([1, 4, 8], PLATFORMS),
        options=tuple(options), on_demand_usd=np.tile(price, (MONTHS, 1)), spot_usd=np.tile(price * 0.6, (MONTHS, 1)),
        api_usd=np.full((MONTHS, PLATFORMS), np.inf), miss_usd=np.full(PLATFORMS, 90.0), owned=np.zeros((MONTHS, PLATFORMS)),
        on_demand_most=np.full(PLATFORMS, np.inf), spot_share=np.full(PLATFORMS, 0.9), kw=np.full(PLATFORMS, 0.7), stranded=1.0,
    )  # fmt: skip


def main() -> None:
    """Print one line a problem and the median ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    ratios = []
    for seed in range(parser.parse_args().repeats):
        case = problem(seed)
        start = time.process_time()
        quick = replan(world_of(case), np.zeros(len(case.orders)), gap=0.005)
        middle = time.process_time()
        whole = optimise(case, gap=0.005, time_limit_s=300)
        end = time.process_time()
        ratios.append((middle - start) / (end - middle))
        say(
            f"seed {seed}: by platform {middle - start:.2f} s, USD {quick.objective_usd:,.0f}, gap {1 - quick.bound_usd / quick.objective_usd:.3%}; "
            f"decomposition {end - middle:.2f} s, USD {whole.cost.objective_usd:,.0f}, gap {whole.gap:.3%}"
        )
    say(f"median ratio of CPU time: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
