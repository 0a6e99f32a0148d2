"""May a benchmark run be trusted? Named rules, a verdict with reasons for every run.

Three rules look at the load point that decides the capacity, the busiest one within every limit: whether its requests
and its time establish a p95, and whether a limit on the first token close to the idle time was tested at fixed
concurrency. There the next request comes only when another is done, so that nothing queues by chance: simulated tests
of that kind promise `OVERSTATED` times what a stream of arrivals gets (`aifactory.serving.staffing`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

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
#: Little's law: concurrency = throughput x time in system; medians stand in for means, hence wide.
LITTLE_TOLERANCE = 3.0
INVALID, UNVERIFIED, VALID = "INVALID", "UNVERIFIED", "VALID"
Rule = Callable[[pd.DataFrame, pd.Series, pd.Series], bool]


def too_few_requests(run: pd.DataFrame, case: pd.Series, _chip: pd.Series) -> bool:
    """Fewer than 50 requests in all; training runs are one long job and exempt."""
    return case["service_unit"] != "accelerator_hour" and run["requests"].sum() < MIN_REQUESTS


def too_many_failures(run: pd.DataFrame, case: pd.Series, _chip: pd.Series) -> bool:
    """More failures over the run than the use case allows."""
    limit = case["slo_max_failure_rate"]
    return bool(np.isfinite(limit)) and run["errors"].sum() > limit * run["requests"].sum()


def streams_cut_short(run: pd.DataFrame, _case: pd.Series, _chip: pd.Series) -> bool:
    """Several output tokens but no time between them: the streams were cut or the counts made up."""
    return bool(((run["output_tokens_mean"] > 1) & (run["p50_tpot_ms"] == 0)).any())


def first_token_after_last(run: pd.DataFrame, _case: pd.Series, _chip: pd.Series) -> bool:
    """Median time to first token above median end-to-end time."""
    return bool((run["p50_ttft_ms"] > run["p50_e2e_ms"]).any())


def beyond_memory_bandwidth(run: pd.DataFrame, _case: pd.Series, chip: pd.Series) -> bool:
    """More output tokens per second than one byte each of memory traffic would allow."""
    limit = chip["memory_bw_gb_per_s"] * 1e9
    return bool((run["output_tokens_per_s"] / run["accelerators"] > limit).any())


def counts_not_from_server(run: pd.DataFrame, _case: pd.Series, _chip: pd.Series) -> bool:
    """Token counts were requested, or nobody said where they come from."""
    tokens = run["output_tokens_per_s"].notna()
    return bool((tokens & (run["tokens_source"].isna() | (run["tokens_source"] == "requested"))).any())


def breaks_littles_law(run: pd.DataFrame, _case: pd.Series, _chip: pd.Series) -> bool:
    """Concurrency far from throughput x latency: load, counts or clocks do not fit together."""
    expected = run["requests"] / run["duration_s"] * run["p50_e2e_ms"] / 1000
    ratio = run["concurrency"] / expected
    return bool(((ratio > LITTLE_TOLERANCE) | (ratio < 1 / LITTLE_TOLERANCE)).any())


def too_few_for_p95(run: pd.DataFrame, case: pd.Series, _chip: pd.Series) -> bool:
    """Fewer requests at the decisive load than its p95 needs, in a run that has enough in all."""
    point = decisive(run, case)
    return point is not None and point["requests"] < P95_REQUESTS and not too_few_requests(run, case, _chip)


def too_short_for_p95(run: pd.DataFrame, case: pd.Series, _chip: pd.Series) -> bool:
    """The decisive load was measured for less than twice its p95 end to end."""
    point = decisive(run, case)
    return point is not None and bool(point["duration_s"] * 1000 < LEAST_STAYS * point["p95_e2e_ms"])


def flattered_by_fixed_concurrency(run: pd.DataFrame, case: pd.Series, _chip: pd.Series | None = None) -> bool:
    """The first token binds, its limit is under twice the p95 of the lightest load, and load was not offered at a rate."""
    lightest = run.loc[run["units_per_s"].idxmin(), "p95_ttft_ms"]
    if not case["slo_p95_ttft_ms"] < TIGHT_LIMIT * lightest or _binding(run, case) != "TTFT":
        return False
    return not run.get("load", pd.Series(pd.NA, index=run.index)).isin(OPEN_LOADS).all()


def decisive(run: pd.DataFrame, case: pd.Series) -> pd.Series | None:
    """The busiest point within every limit, None where there is no limit or no such point."""
    limits = {column: case[limit] for column, limit in LATENCY_COLUMNS.values() if np.isfinite(case[limit])}
    kept = run[~np.any([run[column] > limit for column, limit in limits.items()], axis=0)] if limits else run.iloc[:0]
    return kept.loc[kept["units_per_s"].idxmax()] if len(kept) else None


def _binding(run: pd.DataFrame, case: pd.Series) -> str:
    latencies = {name: run[column].to_numpy() for name, (column, _) in LATENCY_COLUMNS.items()}
    limits = {name: case[limit] for name, (_, limit) in LATENCY_COLUMNS.items() if np.isfinite(case[limit])}
    return capacity_at_slo(run["units_per_s"].to_numpy(), latencies, limits).binding


RULES: dict[str, tuple[str, Rule]] = {
    "too few requests": (INVALID, too_few_requests),
    "failure rate above the SLO": (INVALID, too_many_failures),
    "streams cut short: several output tokens, no time between them": (INVALID, streams_cut_short),
    "first token after the last": (INVALID, first_token_after_last),
    "more tokens than the memory bandwidth allows": (INVALID, beyond_memory_bandwidth),
    "token counts not from the server": (UNVERIFIED, counts_not_from_server),
    "concurrency does not fit throughput x latency": (UNVERIFIED, breaks_littles_law),
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
}
VALIDITY_COLUMNS = ["benchmark_id", "use_case_id", "accelerator_id", "precision", "points", "requests", "failure_rate",
                    "verdict", "reasons", "source", "as_of"]  # fmt: skip


def judge_runs(runs: pd.DataFrame, use_cases: pd.DataFrame, accelerators: pd.DataFrame) -> pd.DataFrame:
    """Verdict per run. INVALID runs never enter a capacity; UNVERIFIED ones do, and are marked.

    Returns
    -------
    One row per benchmark_id, columns `VALIDITY_COLUMNS`; reasons separated by '; '.
    """
    cases, chips = use_cases.set_index("use_case_id"), accelerators.set_index("accelerator_id")
    rows = []
    for name, run in runs.groupby("benchmark_id", sort=True):
        first = run.iloc[0]
        case, chip = cases.loc[first["use_case_id"]], chips.loc[first["accelerator_id"]]
        broken = [(verdict, text) for text, (verdict, rule) in RULES.items() if rule(run, case, chip)]
        verdicts = {verdict for verdict, _ in broken}
        rows.append(
            {
                "benchmark_id": name,
                **{key: first[key] for key in ("use_case_id", "accelerator_id", "precision", "source", "as_of")},
                "points": len(run),
                "requests": int(run["requests"].sum()),
                "failure_rate": float(run["errors"].sum() / max(run["requests"].sum(), 1)),
                "verdict": INVALID if INVALID in verdicts else UNVERIFIED if verdicts else VALID,
                "reasons": "; ".join(text for _, text in broken),
            }
        )
    return pd.DataFrame(rows, columns=VALIDITY_COLUMNS)
