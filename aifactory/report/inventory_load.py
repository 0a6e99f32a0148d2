"""What the load is made of: drift, tails, tenants, retries, reuse of prefixes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Group, figure, group, section, table
from aifactory.report.inventory_demand import DEMAND, LATENCY
from aifactory.report.inventory_money import BILL
from aifactory.report.text import join_words, month_name, num, pct, plural, usd_compact

TENANTS = "tenant_usage and demand_windows tables"
#: Verdicts that ask for a look, and the order in which rows are shown.
VERDICTS = ("shifted", "watch", "not proven", "stable", "not measured")
BANDS = "Below 0.10 stable, to 0.25 watch, above shifted (Siddiqi, Credit Risk Scorecards, 2006)"
UNITS = {"input_tokens": "prompt tokens", "output_tokens": "answer tokens", "e2e_ms": "time to answer", "queue_ms": "time in queue",
         "accelerator_hours": "accelerator-hours"}  # fmt: skip


def drift_section(ws: Workspace, inv: Inventory) -> Group:
    """Has the work changed: lengths, mix, tokens per request."""
    question = "Is it still the work that was measured before?"
    frame = inv.drift
    if frame.empty:
        answer = "Drift could not be computed: there is no earlier month to compare with."
        return group(section(question, answer), *_token_growth(ws, inv))
    frame = frame.assign(place=frame["verdict"].map(list(VERDICTS).index), series=_series(frame))
    frame = frame.sort_values(["place", "stability_index"], ascending=[True, False], kind="stable")
    moved = frame[frame["verdict"].isin(["shifted", "watch"])].drop_duplicates("series")
    if len(moved):
        first = moved.iloc[0]
        answer = (
            f"{plural(len(moved), 'distribution')} of {frame['series'].nunique()} moved against an earlier month; {first['series']} moved most "
            f"({first['moved']}, index {num(first['stability_index'], 2)} against {month_name(first['compared_with'])}): benchmarks and sizes that rest on it need a new measurement."
        )
    else:
        answer = f"None of {frame['series'].nunique()} distributions of lengths and mix moved out of the stable band."
    unproven = int((frame["verdict"] == "not proven").sum())
    answer += f" For {plural(unproven, 'comparison')} there are too few requests to tell." if unproven else ""
    return group(section(question, answer), _drift_chart(ws, frame), _drift_table(ws, frame), *_token_growth(ws, inv))


def _series(frame: pd.DataFrame) -> pd.Series:
    """Name of what is compared, in words."""
    return frame["what"].where(frame["use_case_id"] == "all", frame["use_case_id"] + ", " + frame["what"])


def _drift_chart(ws: Workspace, frame: pd.DataFrame) -> Block:
    worst = frame.sort_values("stability_index", ascending=False).drop_duplicates("series").head(8)
    top = worst.iloc[0]
    chart = charts.bars(worst[["series", "stability_index", "verdict"]], category="series", value="stability_index", color="verdict", fmt="num3",
                        titles={"stability_index": "Population stability index"}, reference=[("watch", 0.10), ("shifted", 0.25)])  # fmt: skip
    return figure(
        chart,
        title=f"{top['series'][0].upper()}{top['series'][1:]}: index {num(top['stability_index'], 2)}, {top['verdict']}",
        description=f"Bars of the population stability index, the largest first, with lines at 0.10 and 0.25: {join_words(f'{row.series} {row.stability_index:.3f}' for row in worst.head(5).itertuples())}.",
        caption=f"{BANDS}. Lengths in tenths of the earlier month, mix by share of requests; the higher of two comparisons each.",
        source=f"{LATENCY}; {DEMAND}; {TENANTS}",
        as_of=ws.as_of,
    )


def _drift_table(ws: Workspace, frame: pd.DataFrame) -> Block:
    columns = {
        "series": Col("Distribution"),
        "compared_with": Col("Against", "month"),
        "stability_index": Col("Index", "num3"),
        "chance_index": Col("Chance reaches", "num3"),
        "verdict": Col("Verdict", "status"),
        "moved": Col("Largest move"),
        "base_requests": Col("Requests then", "sig3"),
        "requests": Col("Requests now", "sig3"),
    }
    note = "Chance reaches: the index that two samples of one distribution stay below 19 times in 20, if requests are independent; where that is 0.10 or more and the index is no higher, nothing is proven."
    return table(frame, caption="Stability of lengths and mix", source=f"{LATENCY}; {DEMAND}; {TENANTS}", as_of=ws.as_of,
                 columns=columns, max_rows=10, note=note)  # fmt: skip


def _token_growth(ws: Workspace, inv: Inventory) -> list[Block]:
    if inv.token_growth.empty:
        return []
    frame = inv.token_growth.assign(
        tokens=inv.token_growth["tokens"].map(UNITS | {"requests_per_unit": "requests of a session"}),
        size=inv.token_growth["change"].abs(),
    ).sort_values("size", ascending=False, kind="stable")
    columns = {
        "use_case_id": Col("Use case"),
        "tokens": Col("What a request or session holds"),
        "compared_with": Col("Before", "month"),
        "per_request_before": Col("Then", "sig3"),
        "per_request": Col("Now", "sig3"),
        "change": Col("Change", "pct1"),
        "growth_per_month": Col("Trend a month", "pct1"),
        "growth_months": Col("Months of trend", "int"),
    }
    note = "The trend is the slope over all months, shrunk by its own doubt; it is its own driver of demand, apart from the number of requests."
    return [
        table(
            frame,
            caption="Tokens per request, requests per session",
            source=DEMAND,
            as_of=ws.as_of,
            columns=columns,
            max_rows=10,
            note=note,
        )
    ]


def tail_section(ws: Workspace, inv: Inventory) -> Group:
    """How heavy the tails of lengths, times and jobs are."""
    question = "Does the average hide a tail?"
    tail = inv.size_tail[inv.size_tail["top_1_share"].notna()].sort_values(
        "top_1_share", ascending=False, kind="stable"
    )
    if tail.empty:
        parts: list[Block] = [
            section(question, "The tail of requests could not be computed: no lengths, times or jobs.")
        ]
    else:
        parts = [section(question, _tail_answer(tail)), _tail_table(ws, tail)]
    if len(inv.jobs):
        limit = (
            {"slo_p95_queue_minutes": Col("Allowed, min", "num1")}
            if inv.jobs["slo_p95_queue_minutes"].notna().any()
            else {}
        )
        columns = {"use_case_id": Col("Use case"), "region": Col("Region"), "accelerator_id": Col("Accelerator"), "jobs": Col("Jobs", "int"),
                   "accelerator_hours": Col("Accelerator-hours", "int"), "reference_accelerator_hours": Col("Reference hours", "int"),
                   "failed_share": Col("Failed", "pct1"), "cancelled_share": Col("Cancelled", "pct1"),
                   "p50_queue_minutes": Col("Queue p50, min", "num1"), "p95_queue_minutes": Col("Queue p95, min", "num1"), **limit, "speed_tier": Col("Speed known by")}  # fmt: skip
        parts.append(
            table(
                inv.jobs,
                caption="Training and fine-tuning jobs submitted in the month",
                source="jobs table",
                as_of=ws.as_of,
                columns=columns,
                max_rows=10,
                note="All hours that these jobs ran, also after the month as far as they are known, those that failed included; demand counts the hours that ran in the month, whenever their job was submitted.",
            )
        )
    return group(*parts)


def _tail_answer(tail: pd.DataFrame) -> str:
    jobs, tokens = tail[tail["metric"] == "accelerator_hours"], tail[tail["metric"].str.endswith("_tokens")]
    parts = []
    if len(tokens):
        worst = tokens.iloc[0]
        parts.append(
            f"The longest 1 % of requests hold {pct(worst['top_1_share'], 0)} of the {UNITS[worst['metric']]} of {worst['use_case_id']}, the most uneven of all; "
            f"evenly spread they would hold 1 %."
        )
    if len(jobs):
        worst = jobs.iloc[0]
        parts.append(
            f"Of the jobs of {worst['use_case_id']} the longest 1 % hold {pct(worst['top_1_share'], 0)} of the accelerator-hours."
        )
    if not parts:
        worst = tail.iloc[0]
        parts.append(
            f"The slowest 1 % of requests of {worst['use_case_id']} take {pct(worst['top_1_share'], 0)} of its {UNITS[worst['metric']]}."
        )
    return " ".join(parts)


def _tail_table(ws: Workspace, tail: pd.DataFrame) -> Block:
    columns = {
        "use_case_id": Col("Use case"),
        "metric": Col("Of"),
        "top_1_share": Col("In the largest 1 %", "pct1"),
        "top_10_share": Col("In the largest 10 %", "pct1"),
        "mean_to_median": Col("Mean / median", "num2"),
        "count": Col("Requests or jobs", "int"),
    }
    frame = tail[tail["metric"] != "queue_ms"]
    return table(frame.assign(metric=frame["metric"].map(UNITS)), caption="Share held by the largest requests and jobs", source=f"{LATENCY}; jobs table",
                 as_of=ws.as_of, columns=columns, max_rows=12, note="Largest 1 % and 10 % of the requests (jobs) of the month by what is summed.")  # fmt: skip


def tenant_section(ws: Workspace, inv: Inventory) -> Group:
    """How few tenants make the load."""
    question = "How much hangs on a few tenants?"
    known = inv.tenants[inv.tenants["tenants"] > 0].sort_values("requests_as_equals", kind="stable")
    rest = inv.tenants[inv.tenants["tenants"] == 0]
    if known.empty:
        return group(section(question, "Not measured: no requests name their tenant."))
    first = known.iloc[0]
    alone = known.loc[known["tenants"] == 1, "use_case_id"]
    answer = (
        f"All requests of {join_words(alone)} that name a tenant name the same one: what it changes moves the peak."
        if len(alone)
        else f"{first['use_case_id']} hangs on the fewest: {plural(int(first['tenants']), 'tenant')} that are as concentrated as {num(first['requests_as_equals'], 1)} equal ones, "
        f"the largest with {pct(first['requests_top_1_share'], 0)} of the requests. What one of them changes moves the peak."
    )
    if len(rest):
        answer += f" Not measured for {join_words(rest['use_case_id'])}."
    columns = {
        "use_case_id": Col("Use case"),
        "tenants": Col("Tenants", "int"),
        "known_share": Col("Requests with tenant", "pct0"),
        "requests_index": Col("Herfindahl index", "num3"),
        "requests_as_equals": Col("As many equals", "num1"),
        "requests_top_1_share": Col("Largest, requests", "pct1"),
        "requests_top_10_share": Col("Top 10, requests", "pct1"),
        "requests_top_tenth_share": Col("Top tenth, requests", "pct1"),
        "tokens_top_1_share": Col("Largest, tokens", "pct1"),
        "tokens_top_10_share": Col("Top 10, tokens", "pct1"),
    }
    note = "Index: sum of squared shares of requests (Hirschman 1964); its inverse is the number of equal tenants that would be as concentrated."
    return group(
        section(question, answer),
        table(
            known,
            caption="Concentration on tenants",
            source=TENANTS,
            as_of=ws.as_of,
            columns=columns,
            max_rows=12,
            note=note,
        ),
    )


def retry_section(ws: Workspace, inv: Inventory) -> Group:
    """What failures and retries add to load and cost."""
    question = "What do failures and retries cost?"
    frame = inv.retries
    if frame.empty:
        return group(section(question, "Not measured: no serving demand in the month."))
    frame = frame.sort_values("failed_usd", ascending=False, na_position="last", kind="stable")
    measured = frame[frame["retries_measured"]]
    failed = float(frame["failed_usd"].sum())
    answer = f"Failed requests took {usd_compact(failed)} of what services cost in the month. " if failed > 0 else ""
    if len(measured):
        most = measured.loc[measured["load_multiplier"].fillna(0.0).idxmax()]
        answer += f"Retries raise the load of {most['use_case_id']} to {num(most['load_multiplier'], 3)} times what users asked for, the most of all."
    else:
        answer += "Retries were not counted, so the load they add is not measured."
    columns = {
        "use_case_id": Col("Use case"),
        "requests": Col("Requests", "sig3"),
        "errors": Col("Failed", "sig3"),
        "retries": Col("Retries", "sig3"),
        "attempts_per_success": Col("Attempts per success", "num3"),
        "load_multiplier": Col("Load over demand", "num3"),
        "given_up_share": Col("Never answered", "pct1"),
        "failed_usd": Col("Failed, USD", "usd0"),
        "retry_usd": Col("Retries, USD", "usd0"),
    }
    note = "Money is attributed cost by share of requests, idle time included; the two columns overlap and are not added. A dash was not measured."
    return group(
        section(question, answer),
        table(
            frame,
            caption="Failures and retries of services",
            source=f"{DEMAND}; {BILL}",
            as_of=ws.as_of,
            columns=columns,
            max_rows=10,
            note=note,
        ),
    )


def reuse_section(ws: Workspace, inv: Inventory) -> Group:
    """How much of the prompts comes from the prefix cache, and what that saves."""
    question = "How much of the prompts is reused?"
    frame = inv.prefix_reuse
    known = frame[frame["cached_share"].notna()].sort_values("cached_share", ascending=False, kind="stable")
    if known.empty:
        return group(section(question, "Not measured: no counts of cached prompt tokens."))
    first, total = known.iloc[0], known["input_tokens"].sum()
    share = known["cached_input_tokens"].sum() / total if total else np.nan
    answer = f"{pct(share, 0)} of all prompt tokens came from the prefix cache, {pct(first['cached_share'], 0)} for {first['use_case_id']}."
    saved = float(known["saved_usd"].sum())
    if saved > 0:
        low, high = (usd_compact(known[name].sum()) for name in ("saved_usd_low", "saved_usd_high"))
        answer += f" Weighed as hosted models price tokens, the same work without it would cost {usd_compact(saved)} more a month (between {low} and {high})."
    columns = {
        "use_case_id": Col("Use case"),
        "input_tokens": Col("Prompt tokens", "sig3"),
        "cached_input_tokens": Col("From the cache", "sig3"),
        "cached_share": Col("Share", "pct1"),
        "prefill_multiplier": Col("Prompt work without it", "num2"),
        "saved_usd": Col("Saved, USD", "usd0"),
        "saved_usd_low": Col("Low (P10)", "usd0"),
        "saved_usd_high": Col("High (P90)", "usd0"),
    }
    lists = int(known["price_lists"].iloc[0])
    blind = frame.loc[frame["cached_share"].isna(), "use_case_id"]
    note = (
        f"Saved: median, P10 and P90 over the ratios of cached, input and output prices of {lists} hosted models (api_prices table)."
        + (f" Not measured for {join_words(blind)}." if len(blind) else "")
    )
    return group(
        section(question, answer),
        table(
            known,
            caption="Reuse of prompt prefixes",
            source=f"{DEMAND}; {BILL}; api_prices table",
            as_of=ws.as_of,
            columns=columns,
            max_rows=12,
            note=note,
        ),
    )
