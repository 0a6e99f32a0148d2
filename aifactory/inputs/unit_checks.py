"""Checks that catch a slip of units or dates in what owners and load tools state."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from aifactory.inputs.findings import Finding, Tables, rows_found
from aifactory.inputs.plan import Plan

#: Below a millisecond a latency or its limit is in seconds more often than it is so short.
LEAST_MS = 1.0
LIMITS = ("slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms")
MEASURED = ("p95_ttft_ms", "p95_e2e_ms")
#: Units over requests that succeeded, from which a rate is not one of them: rounding of rate and duration stays below.
MOST_UNITS = 1.05


def life_in_order(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """The first month without traffic comes after the first month of traffic."""
    frame = tables["use_cases"]
    bad = (
        frame["retire_month"].notna() & frame["launch_month"].notna() & (frame["retire_month"] <= frame["launch_month"])
    )
    rule = "must come after launch_month: it is the first month without traffic"
    yield from rows_found(frame, bad, "use_cases", "life_in_order", "failed", "retire_month", rule)


def limits_in_ms(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Latency limits below a millisecond are seconds more often than milliseconds."""
    yield from _too_short(tables["use_cases"], "use_cases", "limits_in_ms", LIMITS)


def runs_in_ms(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """So are measured latencies of a test."""
    yield from _too_short(tables["benchmarks"], "benchmarks", "runs_in_ms", MEASURED)


def runs_in_units(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A test in which each request is one unit delivers no more units than requests that succeeded."""
    runs = tables["benchmarks"]
    unit = runs["use_case_id"].map(tables["use_cases"].set_index("use_case_id")["service_unit"])
    served = (runs["requests"] - runs["errors"]).astype("float64")
    bad = (unit == "request") & (runs["units_per_s"] * runs["duration_s"] > MOST_UNITS * served + 1)
    rule = "times duration_s is more than the requests that succeeded, each of which is one unit: units a minute, or of several systems?"
    yield from rows_found(runs, bad, "benchmarks", "runs_in_units", "warned", "units_per_s", rule, 1)


def _too_short(frame: pd.DataFrame, table: str, check: str, columns: tuple[str, ...]) -> Iterator[Finding]:
    for column in columns:
        bad = frame[column].between(0, LEAST_MS, inclusive="neither")
        yield from rows_found(
            frame, bad, table, check, "warned", column, "is below 1 ms: seconds in a column of ms?", 1
        )
