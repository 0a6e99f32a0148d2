"""Service levels in the inventory page: latency against targets, failures, queues."""

from __future__ import annotations

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Group, figure, group, missing, section, table
from aifactory.report.inventory_demand import DEMAND, LATENCY
from aifactory.report.text import num, plural


def service_section(ws: Workspace, inv: Inventory) -> Group:
    """Latency against SLO."""
    question = "Do services keep their targets?"
    levels = inv.service_levels[inv.service_levels["slo"].notna()].assign(
        series=lambda f: f["use_case_id"] + ", " + f["region"], over=lambda f: f["p95"] / f["slo"], p50_over=lambda f: f["p50"] / f["slo"],
        p99_over=lambda f: f["p99"] / f["slo"], metric_name=lambda f: f["metric"].str.removesuffix("_ms").str.upper())  # fmt: skip
    if levels.empty:
        answer = "Latency against its targets could not be computed: no latency data or no targets."
        return group(section(question, answer), failures_table(ws, inv))
    bad = levels[levels["over"] > 1]
    answer = f"{len(levels) - len(bad)} of {len(levels)} targets are met." + (
        f" Furthest off is {bad.loc[bad['over'].idxmax(), 'series']}: {num(bad['over'].max(), 2)} times its {bad.loc[bad['over'].idxmax(), 'metric_name']} limit."
        if len(bad)
        else ""
    )
    worst = levels.sort_values("over", ascending=False).drop_duplicates("series")
    chart = charts.dots_with_range(worst, category="series", value="over", low="p50_over", high="p99_over", color="metric_name", fmt="num2",
                                   titles={"over": "p95 latency over its limit"}, reference=[("limit", 1.0)])  # fmt: skip
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "metric_name": Col("Metric"),
        "p50": Col("p50, ms", "sig3"),
        "p95": Col("p95, ms", "sig3"),
        "p99": Col("p99, ms", "sig3"),
        "slo": Col("Limit, ms", "int"),
        "meets_slo": Col("Met", "bool"),
        "failure_rate": Col("Failed", "pct1"),
    }
    return group(
        section(question, answer),
        figure(chart, title=f"{plural(len(worst[worst['over'] > 1]), 'service')} out of {len(worst)} miss a latency target",
               description="Dots of the 95th percentile over its limit, the worst metric of each service, with a line from median to 99th percentile.",
               caption="The worst metric of each use case and region; the line runs from the median to the 99th percentile.", source=LATENCY, as_of=ws.as_of),
        table(levels.sort_values("over", ascending=False, kind="stable"), caption="Latency against its limits", source=LATENCY, as_of=ws.as_of, columns=columns, max_rows=20,
              note="Furthest over the limit first. Quantiles are read from log histograms and are within 0.5 % of the true value."),
        failures_table(ws, inv),
    )  # fmt: skip


def failures_table(ws: Workspace, inv: Inventory) -> Block:
    """Failed share against its limit, waiting time and longest queue."""
    frame = inv.failures_and_queues
    frame = frame.sort_values("failure_rate", ascending=False, na_position="last", kind="stable")
    if frame.empty:
        return missing("Failures and queues of services", "no serving demand in the month")
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "failure_rate": Col("Failed", "pct1"),
        "slo_max_failure_rate": Col("Limit", "pct1"),
        "within_limit": Col("Within", "bool"),
        "p50_queue_ms": Col("Wait p50, ms", "sig3"),
        "p95_queue_ms": Col("Wait p95, ms", "sig3"),
        "queue_depth_max": Col("Longest queue, requests", "num1"),
    }
    return table(frame, caption="Failures and queues of services", source=f"{DEMAND}; {LATENCY}", as_of=ws.as_of, columns=columns, max_rows=15,
                 note="A dash was not measured or has no limit. Queues of pools and jobs stand in their own tables.")  # fmt: skip
