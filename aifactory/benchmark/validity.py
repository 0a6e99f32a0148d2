"""May a benchmark run be trusted? Named rules, a verdict with reasons for every run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

MIN_REQUESTS = 50
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


RULES: dict[str, tuple[str, Rule]] = {
    "too few requests": (INVALID, too_few_requests),
    "failure rate above the SLO": (INVALID, too_many_failures),
    "streams cut short: several output tokens, no time between them": (INVALID, streams_cut_short),
    "first token after the last": (INVALID, first_token_after_last),
    "more tokens than the memory bandwidth allows": (INVALID, beyond_memory_bandwidth),
    "token counts not from the server": (UNVERIFIED, counts_not_from_server),
    "concurrency does not fit throughput x latency": (UNVERIFIED, breaks_littles_law),
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
