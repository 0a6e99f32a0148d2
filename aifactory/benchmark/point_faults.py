"""What can be wrong with a single load point: rules that need nothing but its row.

Every rule takes load points with the limits of their use case (`slo_*`) and the bandwidth of their accelerator, and
returns for each whether it is broken. A figure that is not there breaks no rule, but `limit_not_measured` names a limit that nothing was measured for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from aifactory.serving.capacity import LATENCY_COLUMNS
from aifactory.units import MS_PER_S

#: Little's law: concurrency = throughput x time in system. Medians stand in for means where there is none, hence wide.
LITTLE_TOLERANCE = 3.0
#: With the mean: requests sent all at once, and done one after the other, are half in progress on average.
LITTLE_MEAN_TOLERANCE = 2.0
#: Share by which output tokens per second may differ from requests x tokens / time: the ends of the window.
TOKENS_TOLERANCE = 0.05
#: Share of the offered rate below which the queue grew as long as the test lasted.
RATE_REACHED = 0.9
#: Times the offered rate above which requests came otherwise: 50 or more that come by chance reach 1.5 times once in 2,700.
RATE_EXCEEDED = 1.5
#: Send lag over the median time that users wait (first token, else all) from which latencies leave out a real part.
LATE = 0.5
#: Share of requests that are the first in a cold system, from which they are part of a p95.
COLD_SHARE = 0.05
LATENCIES = ("ttft", "tpot", "itl", "e2e")
INVALID, UNVERIFIED = "INVALID", "UNVERIFIED"
Rule = Callable[[pd.DataFrame], pd.Series]
#: Column of `with_p95`: latencies whose p99 stands in for a p95 that is not there.
STANDS_IN = "p99_stands_in"


def with_p95(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs whose p95 is filled by the p99 where only that was measured, named in the column `p99_stands_in`.

    The p99 of the same latency is never below the p95, so that no limit is met by it which the p95 misses.
    """
    filled, named = runs.copy(), pd.Series("", index=runs.index)
    for name, (column, _) in LATENCY_COLUMNS.items():
        p99 = runs[column.replace("p95", "p99")]
        stands = runs[column].isna() & p99.notna()
        filled[column] = runs[column].fillna(p99)
        named = named.where(~stands, (named + f", {name}").str.removeprefix(", "))
    return filled.assign(**{STANDS_IN: named})


def streams_cut_short(points: pd.DataFrame) -> pd.Series:
    """Several output tokens but no time between them: the streams were cut or the counts made up."""
    return (points["output_tokens_mean"] > 1) & (points["p50_tpot_ms"] == 0)


def first_token_after_last(points: pd.DataFrame) -> pd.Series:
    """Median time to first token above median end-to-end time."""
    return points["p50_ttft_ms"] > points["p50_e2e_ms"]


def beyond_memory_bandwidth(points: pd.DataFrame) -> pd.Series:
    """More output tokens per second than one byte each of memory traffic would allow."""
    return points["output_tokens_per_s"] / points["accelerators"] > points["memory_bw_gb_per_s"] * 1e9


def refused_by_its_tool(points: pd.DataFrame) -> pd.Series:
    """The load tool calls its own test invalid, or it was cancelled."""
    return points["tool_verdict"].isin(["invalid", "cancelled"])


def quantiles_cross(points: pd.DataFrame) -> pd.Series:
    """A higher quantile below a lower one."""
    broken = pd.Series(data=False, index=points.index)
    for name in LATENCIES:
        low, middle, high = (points[f"p{quantile}_{name}_ms"] for quantile in (50, 95, 99))
        broken |= (low > middle) | (middle > high) | (low > high)
    return broken


def first_token_in_no_time(points: pd.DataFrame) -> pd.Series:
    """A median time to first token of 0."""
    return points["p50_ttft_ms"] == 0


def no_output_counted(points: pd.DataFrame) -> pd.Series:
    """First tokens came, but no output tokens were counted."""
    return (points["output_tokens_mean"] == 0) & (points["p50_ttft_ms"] > 0)


def counts_not_from_server(points: pd.DataFrame) -> pd.Series:
    """Token counts were requested, or nobody said where they come from."""
    source = points["tokens_source"]
    return points["output_tokens_per_s"].notna() & (source.isna() | (source == "requested"))


def breaks_littles_law(points: pd.DataFrame) -> pd.Series:
    """Concurrency far from throughput x latency: load, counts or clocks do not fit together."""
    known = points["mean_e2e_ms"].notna()
    stay_s = points["mean_e2e_ms"].fillna(points["p50_e2e_ms"]) / MS_PER_S
    ratio = points["concurrency"] / (points["requests"] / points["duration_s"] * stay_s)
    most = np.where(known, LITTLE_MEAN_TOLERANCE, LITTLE_TOLERANCE)
    return (ratio > most) | (ratio < 1 / most)


def tokens_do_not_add_up(points: pd.DataFrame) -> pd.Series:
    """Output tokens per second outside requests x tokens / time; failed requests may have had tokens or none."""
    each = points["output_tokens_mean"] / points["duration_s"]
    least, most = (points["requests"] - points["errors"]) * each, points["requests"] * each
    told = points["output_tokens_per_s"]
    return (told < least * (1 - TOKENS_TOLERANCE)) | (told > most * (1 + TOKENS_TOLERANCE))


def rate_not_reached(points: pd.DataFrame) -> pd.Series:
    """Requests came at a rate, and were done at much less."""
    return points["requests"] / points["duration_s"] < RATE_REACHED * points["offered_requests_per_s"]


def rate_exceeded(points: pd.DataFrame) -> pd.Series:
    """More requests were done than the rate offers."""
    return points["requests"] / points["duration_s"] > RATE_EXCEEDED * points["offered_requests_per_s"]


def sent_late(points: pd.DataFrame) -> pd.Series:
    """The load tool was late by a good part of the time that users would wait."""
    return points["send_lag_p95_ms"] > LATE * points["p50_ttft_ms"].fillna(points["p50_e2e_ms"])


def warm_up_counts(points: pd.DataFrame) -> pd.Series:
    """The first requests, as many as are in progress, were not left out and are more than 5 % of all."""
    stay_s = points["mean_e2e_ms"].fillna(points["p50_e2e_ms"]) / MS_PER_S
    first = points["concurrency"].fillna(points["units_per_s"] * stay_s)
    counted = points["warmup_excluded"].eq(other=False).fillna(value=False).astype(bool)
    return counted & (first > COLD_SHARE * points["requests"])


def only_p99(points: pd.DataFrame) -> pd.Series:
    """A latency with a limit has no p95; `with_p95` has put its p99 there."""
    broken = pd.Series(data=False, index=points.index)
    for name, (_, limit) in LATENCY_COLUMNS.items():
        broken |= points[STANDS_IN].str.contains(name, regex=False) & points[limit].notna()
    return broken


def limit_not_measured(points: pd.DataFrame) -> pd.Series:
    """A latency with a limit has neither p95 nor p99."""
    broken = pd.Series(data=False, index=points.index)
    for column, limit in LATENCY_COLUMNS.values():
        broken |= points[limit].notna() & points[column].isna()
    return broken


def with_limits(runs: pd.DataFrame, use_cases: pd.DataFrame, accelerators: pd.DataFrame) -> pd.DataFrame:
    """Load points as the rules take them: `with_p95`, limits of the use case and bandwidth of the accelerator."""
    cases, chips = use_cases.set_index("use_case_id"), accelerators.set_index("accelerator_id")
    limits = {limit: runs["use_case_id"].map(cases[limit]).astype(float) for _, limit in LATENCY_COLUMNS.values()}
    bandwidth = runs["accelerator_id"].map(chips["memory_bw_gb_per_s"]).astype(float)
    return with_p95(runs).assign(**limits, memory_bw_gb_per_s=bandwidth)


#: Rules of single load points, by what they say.
POINT_RULES: dict[str, tuple[str, Rule]] = {
    "streams cut short: several output tokens, no time between them": (INVALID, streams_cut_short),
    "first token after the last": (INVALID, first_token_after_last),
    "more tokens than the memory bandwidth allows": (INVALID, beyond_memory_bandwidth),
    "token counts not from the server": (UNVERIFIED, counts_not_from_server),
    "concurrency does not fit throughput x latency": (UNVERIFIED, breaks_littles_law),
    "the load tool calls its own test invalid, or it was cancelled": (INVALID, refused_by_its_tool),
    "a higher quantile of a latency lies below a lower one": (INVALID, quantiles_cross),
    "the first token came in no time": (INVALID, first_token_in_no_time),
    "answers came, but no output tokens were counted (no usage from the server)": (INVALID, no_output_counted),
    f"output tokens per second differ by more than {TOKENS_TOLERANCE * 100:g} % from requests x tokens / time": (
        UNVERIFIED,
        tokens_do_not_add_up,
    ),
    f"less than {RATE_REACHED * 100:g} % of the offered rate was done: the queue grew with the length of the test": (
        UNVERIFIED,
        rate_not_reached,
    ),
    f"more than {RATE_EXCEEDED:g} times the offered rate was done: requests came at another rate": (
        UNVERIFIED,
        rate_exceeded,
    ),
    "the load tool sent late, so that latencies leave out a part of the wait": (UNVERIFIED, sent_late),
    f"the warm-up counts, and is more than {COLD_SHARE * 100:g} % of the requests": (UNVERIFIED, warm_up_counts),
    "no p95 of a latency with a limit: its p99, which is no less, stands in": (UNVERIFIED, only_p99),
    "a latency with a limit was not measured: the limit is not proven": (UNVERIFIED, limit_not_measured),
}
