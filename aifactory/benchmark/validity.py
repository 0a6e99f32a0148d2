"""May a benchmark run be trusted? Named rules, a verdict with reasons for every run.

A rule judges each load point, or the run as a whole. A load point that is invalid spoils all points of its test: those
of its result file where they were imported, else the whole run. What other files measured stands.

Three rules look at the load point that decides the capacity, the busiest one within every limit: whether its requests
and its time establish a p95, and whether a limit on the first token close to the idle time was tested at fixed
concurrency. There the next request comes only when another is done, so that nothing queues by chance: simulated tests
of that kind promise `OVERSTATED` times what a stream of arrivals gets (`aifactory.serving.staffing`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.benchmark.point_faults import INVALID, POINT_RULES, UNVERIFIED, with_limits, with_p95
from aifactory.serving.capacity import LATENCY_COLUMNS, capacity_at_slo

MIN_REQUESTS = 50
#: Requests whose p95 is at least the stream's p90 with 90 % certainty: the 50th of 52 is Beta(50, 3), P(< 0.9) = 0.097.
P95_REQUESTS = 52
#: Measured time over the p95 end to end below which filling and emptying the system is half of the run or more.
LEAST_STAYS = 2.0
#: First-token limit over the p95 of the lightest load below which fixed concurrency flatters, and by how much.
TIGHT_LIMIT, OVERSTATED = 2.0, (1.3, 1.8)
#: Ways of offering load at which requests arrive whether or not others are done.
OPEN_LOADS = ("rate", "trace")
#: A difference of mean lengths from which load points are of other prompts; as the importer tells curves apart.
OTHER_PROMPTS = 0.15
VALID = "VALID"
Rule = Callable[[pd.DataFrame, pd.Series], bool]


def too_few_requests(run: pd.DataFrame, case: pd.Series) -> bool:
    """Fewer than 50 requests in all; training runs are one long job and exempt."""
    return case["service_unit"] != "accelerator_hour" and run["requests"].sum() < MIN_REQUESTS


def too_many_failures(run: pd.DataFrame, case: pd.Series) -> bool:
    """More failures over the run than the use case allows."""
    limit = case["slo_max_failure_rate"]
    return bool(np.isfinite(limit)) and run["errors"].sum() > limit * run["requests"].sum()


def too_few_for_p95(run: pd.DataFrame, case: pd.Series) -> bool:
    """Fewer requests at the decisive load than its p95 needs, in a run that has enough in all."""
    point = decisive(run, case)
    return point is not None and point["requests"] < P95_REQUESTS and not too_few_requests(run, case)


def too_short_for_p95(run: pd.DataFrame, case: pd.Series) -> bool:
    """The decisive load was measured for less than twice its p95 end to end."""
    point = decisive(run, case)
    return point is not None and bool(point["duration_s"] * 1000 < LEAST_STAYS * point["p95_e2e_ms"])


def flattered_by_fixed_concurrency(run: pd.DataFrame, case: pd.Series) -> bool:
    """The first token binds, its limit is under twice the p95 of the lightest load, and load was not offered at a rate."""
    lightest = run.loc[run["units_per_s"].idxmin(), "p95_ttft_ms"]
    if not case["slo_p95_ttft_ms"] < TIGHT_LIMIT * lightest or _binding(run, case) != "TTFT":
        return False
    return not run.get("load", pd.Series(pd.NA, index=run.index)).isin(OPEN_LOADS).all()


def different_prompts(run: pd.DataFrame, _case: pd.Series) -> bool:
    """Mean lengths of prompts or answers differ between load points."""
    lengths = [run[column] for column in ("input_tokens_mean", "output_tokens_mean")]
    return any(length.min() < (1 - OTHER_PROMPTS) * length.max() for length in lengths)


def decisive(run: pd.DataFrame, case: pd.Series) -> pd.Series | None:
    """The busiest point within every limit, None where there is no limit or no such point."""
    limits = {column: case[limit] for column, limit in LATENCY_COLUMNS.values() if np.isfinite(case[limit])}
    kept = run[~np.any([run[column] > limit for column, limit in limits.items()], axis=0)] if limits else run.iloc[:0]
    return kept.loc[kept["units_per_s"].idxmax()] if len(kept) else None


def _binding(run: pd.DataFrame, case: pd.Series) -> str:
    latencies = {name: run[column].to_numpy() for name, (column, _) in LATENCY_COLUMNS.items()}
    limits = {name: case[limit] for name, (_, limit) in LATENCY_COLUMNS.items() if np.isfinite(case[limit])}
    return capacity_at_slo(run["units_per_s"].to_numpy(), latencies, limits).binding


#: Rules of a run as a whole, by what they say.
RUN_RULES: dict[str, tuple[str, Rule]] = {
    "too few requests": (INVALID, too_few_requests),
    "failure rate above the SLO": (INVALID, too_many_failures),
    f"fewer than {P95_REQUESTS} requests at the decisive load: its p95 may be a p90 or less": (
        UNVERIFIED,
        too_few_for_p95,
    ),
    f"measured for less than {LEAST_STAYS:g} times the p95 end to end: its p95 is that of filling up": (
        UNVERIFIED,
        too_short_for_p95,
    ),
    f"first-token limit under {TIGHT_LIMIT:g} times the idle p95, tested at fixed concurrency: {OVERSTATED[0]} to "
    f"{OVERSTATED[1]} times too much, taken off; test at a rate": (UNVERIFIED, flattered_by_fixed_concurrency),
    "load points of different prompts": (UNVERIFIED, different_prompts),
}
VALIDITY_COLUMNS = ["benchmark_id", "use_case_id", "accelerator_id", "precision", "points", "requests", "failure_rate",
                    "verdict", "reasons", "source", "as_of"]  # fmt: skip
#: Said of a run of which some tests do not count.
LEFT_OUT = "{0} of {1} load points left out"
SPOILED = "another load point of the same test is invalid"


@dataclass(frozen=True)
class Judgement:
    """Verdict per run, verdict per load point, and the load points that may enter a capacity.

    `runs` has one row per benchmark_id, columns `VALIDITY_COLUMNS`; reasons are separated by '; ', with the numbers
    of the load points where they concern not all of them. `points` has benchmark_id, point, verdict and reasons; what
    concerns a run as a whole is not repeated there. `counted` has the rows of the table that count, p95 and
    `p99_stands_in` as `with_p95` gives them.
    """

    runs: pd.DataFrame
    points: pd.DataFrame
    counted: pd.DataFrame


def judge(runs: pd.DataFrame, use_cases: pd.DataFrame, accelerators: pd.DataFrame) -> Judgement:
    """Judge runs: INVALID ones never enter a capacity; UNVERIFIED ones do, and are marked."""
    points = with_limits(runs, use_cases, accelerators)
    broken = pd.DataFrame({text: rule(points) for text, (_, rule) in POINT_RULES.items()}, index=points.index).astype(
        bool
    )
    fatal = broken[[text for text, (verdict, _) in POINT_RULES.items() if verdict == INVALID]].any(axis="columns")
    tests = points["benchmark_id"] + "|" + points["file_sha256"].fillna("")
    out = tests.isin(tests[fatal])
    cases = use_cases.set_index("use_case_id")
    rows, counts = [], ~out
    for name, run in points.groupby("benchmark_id", sort=True):
        case = cases.loc[run["use_case_id"].iloc[0]]
        verdict, reasons = _judge_run(run, case, broken.loc[run.index], out[run.index])
        if verdict == INVALID:
            counts[run.index] = False
        first = run.iloc[0]
        rows.append(
            {
                "benchmark_id": name,
                **{key: first[key] for key in ("use_case_id", "accelerator_id", "precision", "source", "as_of")},
                "points": len(run),
                "requests": int(run["requests"].sum()),
                "failure_rate": float(run["errors"].sum() / max(run["requests"].sum(), 1)),
                "verdict": verdict,
                "reasons": "; ".join(reasons),
            }
        )
    kept = with_p95(runs)[counts]
    return Judgement(pd.DataFrame(rows, columns=VALIDITY_COLUMNS), _of_points(points, broken, fatal, out), kept)


def _judge_run(run: pd.DataFrame, case: pd.Series, broken: pd.DataFrame, out: pd.Series) -> tuple[str, list[str]]:
    """Verdict and reasons of a run; rules of the run look at the tests that the rules of load points leave."""
    kept = run if out.all() else run[~out]
    whole = [text for text, (_, rule) in RUN_RULES.items() if rule(kept, case)]
    left = [LEFT_OUT.format(int(out.sum()), len(run))] if out.any() and not out.all() else []
    found = [text + _which(run, broken[text]) for text in broken if broken[text].any()]
    if out.all() or any(RUN_RULES[text][0] == INVALID for text in whole):
        return INVALID, [*left, *whole, *found]
    return (UNVERIFIED if whole or found else VALID), [*left, *whole, *found]


def _which(run: pd.DataFrame, flags: pd.Series) -> str:
    """Numbers of the load points that break a rule, where they are not all."""
    if flags.all():
        return ""
    numbers = sorted(run.loc[flags, "point"])
    return f" (point{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))})"


def _of_points(points: pd.DataFrame, broken: pd.DataFrame, fatal: pd.Series, out: pd.Series) -> pd.DataFrame:
    """Verdict and reasons of each load point: invalid with its test, else by its own rules."""
    names = broken.columns.to_numpy()
    reasons = [list(names[flags]) for flags in broken.to_numpy()]
    spoiled = (out & ~fatal).to_numpy()
    told = ["; ".join([*own, SPOILED] if other else own) for own, other in zip(reasons, spoiled, strict=True)]
    verdict = np.select([out, broken.any(axis="columns")], [INVALID, UNVERIFIED], VALID)
    return points[["benchmark_id", "point"]].assign(verdict=verdict, reasons=told)
