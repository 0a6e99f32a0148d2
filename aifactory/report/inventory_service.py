"""Service levels in the inventory page: latency against targets, failures, queues."""

from __future__ import annotations

from functools import partial

import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.latency import QUANTILES, over_limit
from aifactory.inventory.service import SLO_OF_METRIC
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Group, figure, group, missing, section, table
from aifactory.report.inventory_demand import DEMAND
from aifactory.report.text import interval, join_words, num, pct, plural

LATENCY = "latency_histograms and latency_bounds tables"


def unmeasured_targets(ws: Workspace, inv: Inventory) -> int:
    """How many latency targets of use cases with demand nothing measured, each use case and metric once."""
    running = ws.table("use_cases")[lambda f: f["use_case_id"].isin(inv.demand_profile["use_case_id"])]
    known = inv.service_levels[inv.service_levels["slo"].notna()]
    measured = set(zip(known["use_case_id"], known["metric"], strict=True))
    return sum(
        (case, metric) not in measured
        for metric, column in SLO_OF_METRIC.items()
        for case in running.loc[running[column].notna(), "use_case_id"]
    )


def service_section(ws: Workspace, inv: Inventory) -> Group:
    """Latency against SLO."""
    question = "Do services keep their targets?"
    levels = inv.service_levels[inv.service_levels["slo"].notna()].assign(
        series=lambda f: f["use_case_id"] + ", " + f["region"], over=over_limit, p50_over=lambda f: f["p50"] / f["slo"],
        p99_over=lambda f: f["p99"] / f["slo"], metric_name=lambda f: f["metric"].str.removesuffix("_ms").str.upper(),
        **{f"{name}_text": partial(_spans, name=name) for name in QUANTILES})  # fmt: skip
    if levels.empty:
        answer = "Latency against its targets could not be computed: no latency data or no targets." + _failures_answer(
            inv
        )
        return group(section(question, answer), failures_table(ws, inv))
    untold = unmeasured_targets(ws, inv)
    met = levels["meets_slo"].eq(other=True).fillna(value=False)
    bad, unknown = levels[~met & levels["meets_slo"].notna()], int(levels["meets_slo"].isna().sum())
    answer = f"{int(met.sum())} of {len(levels)} targets of latency are met."
    if unknown:
        answer += f" Of {unknown} the buckets of the server do not tell: the limit lies inside the one that holds p95."
    if untold:
        answer += f" {untold} more that owners state {'was' if untold == 1 else 'were'} not measured."
    if len(bad):
        first = bad.loc[bad["over"].idxmax()]
        least = "" if first["p95_low"] == first["p95_high"] else "at least "
        answer += f" Furthest off is {first['series']}: {least}{num(first['over'], 2)} times its {first['metric_name']} limit."
    answer += _failures_answer(inv)
    worst = levels[levels["p95"].notna()].sort_values("over", ascending=False).drop_duplicates("series")
    services = levels["series"].nunique()
    title = f"{plural(bad['series'].nunique(), 'service')} out of {services} miss a latency target"
    caption = "The worst metric of each use case and region; the line runs from the median to the 99th percentile."
    if len(worst) < services:
        caption += " What a server counted in buckets of its own stands in the table alone."
    charted = []
    if len(worst):
        chart = charts.dots_with_range(worst, category="series", value="over", low="p50_over", high="p99_over", color="metric_name", fmt="num2",
                                       titles={"over": "p95 latency over its limit"}, reference=[("limit", 1.0)])  # fmt: skip
        charted = [figure(chart, title=title, caption=caption, source=LATENCY, as_of=ws.as_of,
               description="Dots of the 95th percentile over its limit, the worst metric of each service, with a line from median to 99th percentile.")]  # fmt: skip
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "metric_name": Col("Metric"),
        "p50_text": Col("p50, ms", "figure"),
        "p95_text": Col("p95, ms", "figure"),
        "p99_text": Col("p99, ms", "figure"),
        "slo": Col("Limit, ms", "int"),
        "meets_slo": Col("Met", "bool"),
        "failure_rate": Col("Failed", "pct1"),
    }
    return group(
        section(question, answer),
        *charted,
        table(levels.sort_values("over", ascending=False, kind="stable"), caption="Latency against its limits", source=LATENCY, as_of=ws.as_of, columns=columns, max_rows=20,
              note="Furthest over the limit first. Quantiles of requests are within 0.5 % of the true value; where a server counted them in buckets of its own, they lie somewhere in the interval." + _by_request(ws, levels)),
        failures_table(ws, inv),
    )  # fmt: skip


def _failures_answer(inv: Inventory) -> str:
    """Services that fail more often than their owner allows."""
    known = inv.failures_and_queues[inv.failures_and_queues["within_limit"].notna()]
    over = known[~known["within_limit"].astype(bool)]
    if known.empty:
        return ""
    if over.empty:
        return (
            f" All {len(known)} limits of failures are kept." if len(known) > 1 else " The limit of failures is kept."
        )
    worst = over.loc[(over["failure_rate"] / over["slo_max_failure_rate"]).idxmax()]
    return (
        f" {len(over)} of {len(known)} limits of failures {'is' if len(over) == 1 else 'are'} exceeded: {worst['use_case_id']} in {worst['region']} "
        f"fails in {pct(worst['failure_rate'], 2)} of its requests, {pct(worst['slo_max_failure_rate'], 2)} are allowed."
    )


def _by_request(ws: Workspace, levels: pd.DataFrame) -> str:
    """What an end-to-end limit of a use case that counts sessions is compared with."""
    sessions = ws.table("use_cases").query("service_unit == 'session'")["use_case_id"]
    shown = sorted(set(levels.loc[levels["metric"] == "e2e_ms", "use_case_id"]) & set(sessions))
    if not shown:
        return ""
    return f" E2E limits of {join_words(shown)} are compared with single requests; a limit that was meant for a whole session is not comparable."


def failures_table(ws: Workspace, inv: Inventory) -> Block:
    """Failed share against its limit, waiting time and longest queue."""
    frame = inv.failures_and_queues
    frame = frame.sort_values("failure_rate", ascending=False, na_position="last", kind="stable")
    if frame.empty:
        return missing("Failures and queues of services", "no serving demand in the month")
    frame = frame.assign(**{f"{name}_text": _spans(frame, f"{name}_queue_ms") for name in ("p50", "p95")})
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "failure_rate": Col("Failed", "pct1"),
        "slo_max_failure_rate": Col("Limit", "pct1"),
        "within_limit": Col("Within", "bool"),
        "p50_text": Col("Wait p50, ms", "figure"),
        "p95_text": Col("Wait p95, ms", "figure"),
        "queue_depth_max": Col("Longest queue, requests", "num1"),
    }
    return table(frame, caption="Failures and queues of services", source=f"{DEMAND}; {LATENCY}", as_of=ws.as_of, columns=columns, max_rows=15,
                 note="A dash was not measured or has no limit. Queues of pools and jobs stand in their own tables.")  # fmt: skip


def _spans(frame: pd.DataFrame, name: str) -> list[str]:
    """A quantile as text: the point, or the interval that holds it."""
    ends = zip(frame[f"{name}_low"], frame[f"{name}_high"], strict=True)
    return ["" if low != low else interval(low, high) for low, high in ends]
