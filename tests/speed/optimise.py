"""Time and proven gap of the plan over many futures, beside the monolithic programme in the same time.

    python tests/speed/optimise.py [--paths 100] [--blocks 11] [--monolith]

Synthetic problem of 6 workloads, 5 platforms, 36 months, 4 ways to commit (and on demand, spot, hosted) and 3 load
blocks, or as many as asked (the buy plan has 11). Times are CPU seconds of one thread: the machine may be shared.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "buyplan"))
from planning_problems import problem, with_ports  # noqa: E402

from aifactory.buyplan.optimise.benders import optimise  # noqa: E402
from aifactory.buyplan.optimise.evaluate import evaluate_plan  # noqa: E402
from aifactory.buyplan.optimise.extensive import solve_extensive  # noqa: E402
from aifactory.buyplan.optimise.problem import Problem  # noqa: E402
from aifactory.errors import AIFactoryError  # noqa: E402


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def in_blocks(case: Problem, count: int) -> Problem:
    """The problem with its load-duration curve, a line through the middles of its three blocks, in blocks of equal hours."""
    share = case.block_hours / case.block_hours.sum()
    middle = (np.arange(count) + 0.5) / count
    shape = case.demand[0, 0, 0] / (case.demand[0, 0, 0] @ share)
    curve = np.interp(middle, np.cumsum(share) - share / 2, shape)
    mean = (case.demand @ share)[..., None]
    hours = np.full(count, case.block_hours.sum() / count)
    return replace(case, demand=mean * curve / curve.mean(), block_hours=hours)


def main() -> None:
    """Run and print."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--paths", type=int, default=100)
    asked.add_argument("--blocks", type=int, help="load blocks of equal hours instead of the three")
    asked.add_argument("--monolith", action="store_true", help="also the monolithic programme, in the same wall time")
    asked.add_argument("--limit", type=float, default=600.0, help="seconds of wall time for a plan with ports")
    options = asked.parse_args()

    def made(paths: int, workloads: int, platforms: int) -> Problem:
        case = problem(paths, 36, workloads, platforms)
        return case if options.blocks is None else in_blocks(case, options.blocks)

    for workloads, platforms in ((6, 5), (12, 6)):
        case = made(options.paths, workloads, platforms)
        began, wall = time.process_time(), time.monotonic()
        plan = optimise(case, gap=0.005, time_limit_s=600)
        took, waited = time.process_time() - began, time.monotonic() - wall
        say(
            f"{workloads} x {platforms} x 36 x {options.paths} paths: {took:.1f} CPU s ({waited:.1f} s), gap {plan.gap:.3%}, {plan.stopped}"
        )
        fresh = made(1000 + options.paths, workloads, platforms).demand[options.paths :]
        began = time.process_time()
        again = evaluate_plan(case, plan.nodes, fresh)
        say(f"  1,000 fresh paths priced in {time.process_time() - began:.1f} CPU s: {again.objective_usd:,.0f} USD")
        same = made(2 * options.paths, workloads, platforms).demand[options.paths :]
        others = optimise(replace(case, demand=same), gap=0.005, time_limit_s=600)
        own = evaluate_plan(case, plan.nodes, same)
        regret = own.objective_usd / others.cost.objective_usd - 1
        say(f"  out of sample: {regret:.2%} above the plan made for the other {options.paths} paths")
        if options.monolith:
            try:
                whole = solve_extensive(case, gap=0.005, time_limit_s=waited)
                say(f"  monolithic programme in the same time: gap {whole.gap:.3%}")
            except AIFactoryError as error:
                say(f"  monolithic programme in the same time: {error}")
    for workloads, platforms in ((6, 5), (12, 6)):
        case = with_ports(made(options.paths, workloads, platforms))
        began, wall = time.process_time(), time.monotonic()
        plan = optimise(case, gap=0.01, time_limit_s=options.limit)
        took, waited = time.process_time() - began, time.monotonic() - wall
        say(
            f"with {len(case.ports)} ports, {workloads} x {platforms} x 36 x {options.paths} paths: {took:.1f} CPU s "
            f"({waited:.1f} s), gap {plan.gap:.3%}, {plan.stopped}"
        )
        if options.monolith:
            try:
                whole = solve_extensive(case, gap=0.01, time_limit_s=waited)
                say(f"  monolithic programme in the same time: gap {whole.gap:.3%}")
            except AIFactoryError as error:
                say(f"  monolithic programme in the same time: {error}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"peak memory {peak:,.0f} MiB, numpy {np.__version__}")


if __name__ == "__main__":
    main()
