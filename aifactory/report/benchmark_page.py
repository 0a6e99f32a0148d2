"""Page of stage 2: which accelerators meet our SLO on our prompts, at what cost."""

from __future__ import annotations

import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.inputs.workspace import Workspace
from aifactory.report.benchmark_agreement import agreement_blocks, contradicted
from aifactory.report.benchmark_capacity import (
    RUNS,
    capacity_section,
    chart_curve,
    cheapest,
    cost_not_proven,
    cost_section,
    curves_section,
    energy_section,
    largest_use_cases,
    measured,
    table_capacity,
)
from aifactory.report.benchmark_fidelity import fidelity_section
from aifactory.report.benchmark_probe import probe_section
from aifactory.report.blocks import (
    Col,
    Group,
    Kpi,
    bullets,
    group,
    head,
    section,
    table,
)
from aifactory.report.inventory_page import input_warnings, later_run_warnings, price_warnings, status_of
from aifactory.report.text import as_of_range, join_words, month_name, num, pct, plural, sig3
from aifactory.shortlist.exclusions import KEYS as EXCLUSION_KEYS
from aifactory.shortlist.exclusions import find_exclusions

__all__ = [
    "benchmark_head",
    "capacity_section",
    "cost_section",
    "curves_section",
    "energy_section",
    "fidelity_section",
    "first_tenth_section",
    "gaps_section",
    "headline",
    "operation_section",
    "probe_section",
    "prompt_mix_section",
    "table_capacity",
    "tables",
    "validity_section",
]


def benchmark_head(ws: Workspace, bench: Benchmark) -> Group:
    """First screen."""
    curves = largest_use_cases(ws, bench, 1)
    return head(
        stage="benchmark",
        question="Which accelerators meet our SLO on our prompts, at what cost?",
        period=ws.period,
        as_of=ws.as_of,
        status=status_of(ws),
        finding=finding(bench),
        kpis=_kpis(bench),
        chart=chart_curve(ws, bench, curves[0]) if curves else None,
        deciders=[
            ("Head of engineering", "which runs to repeat, which to add"),
            ("Vendors", "the same pack of prompts, on the target stack, with a change log"),
        ],
        warnings=[*input_warnings(ws), *price_warnings(ws), *later_run_warnings(ws)],
    )


def finding(bench: Benchmark) -> str:
    """The bake-off in a sentence or two."""
    runs, own = once(bench.validity), measured(bench)
    if own.empty:
        return "Nothing was measured on own prompts; every capacity below is an estimate. Benchmark first."
    bad, good = (int((runs["verdict"] == verdict).sum()) for verdict in ("INVALID", "VALID"))
    refuted, cheap = contradicted(bench), cheapest(own)
    named = cheap["accelerator_id"].value_counts()
    doubted = len(runs) - bad - good
    text = f"{plural(len(runs) - bad, 'run')} of {len(runs)} {'counts' if len(runs) - bad == 1 else 'count'}"
    text += f", {doubted} of them with a rule not kept (unverified)" if doubted else ""
    text += f", on {plural(own['accelerator_id'].nunique(), 'accelerator')}."
    text += f" Production contradicts the runs of {join_words(refuted[:3])}." if refuted else ""
    if cheap.empty:
        return f"{text} None of what was measured has a price."
    text += f" {named.index[0]} is cheapest at the SLO for {named.iloc[0]} of {plural(len(cheap), 'use case')} that {'was' if len(cheap) == 1 else 'were'} measured"
    text += ", by the price of an hour; what is bought and shared may rank otherwise, see the shortlist."
    close, away = len(cost_not_proven(own, cheap)), int((~cheap["exact_region"].astype(bool)).sum())
    doubts = [f"for {close} it is not proven"] if close else []
    doubts += [f"for {away} the price is of another region"] if away else []
    return text + (f" Which is cheapest: {join_words(doubts)}." if doubts else "")


def once(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with those of a use case that is planned by region once, at their worst verdict.

    They stand once a region, under the name of the use case and of the run with `.region` behind each.
    """
    pairs = [
        (run, case, "." + case.rpartition(".")[2])
        for run, case in zip(runs["benchmark_id"], runs["use_case_id"], strict=True)
    ]
    name = [run.removesuffix(end) for run, _, end in pairs]
    plain = [case.removesuffix(end) if run.endswith(end) else case for run, case, end in pairs]
    rank = runs["verdict"].map({"INVALID": 0, "UNVERIFIED": 1}).fillna(2)
    first = runs.assign(name=name, plain=plain, rank=rank).sort_values("rank", kind="stable")
    return runs.loc[first.drop_duplicates(["name", "plain"]).index.sort_values()]


def _kpis(bench: Benchmark) -> list[Kpi]:
    verdicts = once(bench.validity)["verdict"].value_counts()
    pairs, own = len(bench.capacity), measured(bench)
    classes = own["platform_class"].nunique()
    kpis = [
        Kpi(
            "Runs that count",
            str(int(verdicts.drop("INVALID", errors="ignore").sum())),
            f"{int(verdicts.get('INVALID', 0))} invalid",
        ),
        Kpi(
            "Pairs measured", pct(len(own) / pairs, 0) if pairs else "0 %", f"{len(own)} of {pairs} use case x platform"
        ),
        Kpi(
            "Accelerator classes measured",
            str(classes),
            "two are needed",
            status="good" if classes > 1 else "bad",
        ),
    ]
    if len(bench.prompt_mix):
        fits = float(bench.prompt_mix["representative"].mean())
        kpis.append(
            Kpi(
                "Prompt mix fits production",
                pct(fits, 0),
                "mean length within 15 %",
                status="good" if fits == 1 else "watch",
            )
        )
    ages = bench.capacity.loc[bench.capacity["usd_per_1k_units"].notna(), "price_as_of"].dropna()
    if len(ages):
        kpis.append(Kpi("Oldest price in a cost", as_of_range([ages.min()]), f"newest {as_of_range([ages.max()])}"))
    return kpis


def validity_section(ws: Workspace, bench: Benchmark) -> Group:
    """Which runs can be trusted."""
    runs = bench.validity
    question = "Which measurements can be trusted?"
    if runs.empty:
        return group(
            section(question, "There are no benchmark runs; capacity could not be computed from measurements.")
        )
    bad, told = runs[runs["verdict"] != "VALID"], once(runs)
    broken = int((told["verdict"] != "VALID").sum())
    answer = f"{len(told) - broken} of {plural(len(told), 'run')} pass every rule." + (
        f" {plural(broken, 'run')} {'does' if broken == 1 else 'do'} not: unverified ones count and say so, invalid ones count nowhere."
        if broken
        else ""
    )
    split = "Runs of a use case that is planned region by region stand once a region." if len(told) < len(runs) else ""
    columns = {
        "benchmark_id": Col("Run"),
        "use_case_id": Col("Prompts of"),
        "accelerator_id": Col("Accelerator"),
        "precision": Col("Precision"),
        "points": Col("Load points", "int"),
        "requests": Col("Requests", "int"),
        "failure_rate": Col("Failed", "pct1"),
        "verdict": Col("Verdict", "status"),
        "reasons": Col("Reason"),
    }
    order = pd.concat([bad, runs[runs["verdict"] == "VALID"]])
    return group(
        section(question, answer),
        table(
            order,
            caption="Runs and their validity",
            source=RUNS,
            as_of=as_of_range(runs["as_of"]),
            columns=columns,
            max_rows=12,
            note=split,
        ),
        *agreement_blocks(ws, bench),
    )


def prompt_mix_section(ws: Workspace, bench: Benchmark) -> Group:
    """Did the benchmark use the prompts of production."""
    question = "Were these our prompts?"
    mix = bench.prompt_mix
    if mix.empty:
        return group(
            section(question, "The prompt mix could not be computed: lengths are missing in the runs or in production.")
        )
    off = mix[~mix["representative"]]
    answer = (
        f"Mean lengths of {len(mix) - len(off)} of {len(mix)} comparisons lie within 15 % of production in {month_name(ws.period)}."
        if len(off)
        else f"Mean prompt and output lengths lie within {pct(mix['deviation_share'].abs().max(), 1)} of production in {month_name(ws.period)}."
    )
    columns = {
        "use_case_id": Col("Use case"),
        "metric": Col("Length"),
        "benchmark_mean": Col("Benchmark, tokens", "int"),
        "production_mean": Col("Production, tokens", "int"),
        "deviation_share": Col("Deviation", "pct1"),
        "representative": Col("Fits", "bool"),
    }
    shown = mix.assign(metric=mix["metric"].str.replace("_tokens", ""))
    return group(
        section(question, answer),
        table(
            shown,
            caption="Prompt mix of the benchmark against production",
            source=f"{RUNS}; demand_windows table",
            as_of=ws.as_of,
            columns=columns,
        ),
    )


# ------------------------------------------------------------------ curves and capacity


def first_tenth_section(ws: Workspace, bench: Benchmark) -> Group:
    """The first tenth of traffic against full load."""
    question = "What would the first tenth of traffic have told us?"
    early = bench.first_tenth
    if early.empty:
        return group(
            section(
                question, "The first-tenth check could not be computed: no load point near 10 % of projected traffic."
            )
        )
    answer = (
        f"At about {pct(early['traffic_share'].mean(), 0)} of projected traffic a unit costs {num(early['cost_ratio'].median(), 1)} times as much as at capacity (median): "
        "idle time, not the chip, makes early units dear."
    )
    columns = {"use_case_id": Col("Use case"), "accelerator_id": Col("Accelerator"), "traffic_share": Col("Traffic", "pct0"),
               "usd_per_1k_units_early": Col("USD / 1,000 early", "sig3"), "usd_per_1k_units": Col("USD / 1,000 at capacity", "sig3"), "cost_ratio": Col("Ratio", "num1")}  # fmt: skip
    return group(
        section(question, answer),
        table(
            early,
            caption="Cost at a tenth of projected traffic",
            source=RUNS,
            as_of=ws.as_of,
            columns=columns,
            max_rows=12,
        ),
    )


def operation_section(ws: Workspace, bench: Benchmark) -> Group:
    """Warm start, memory, failures."""
    question = "How does it behave in operation?"
    rows = bench.operation
    if rows.empty:
        return group(section(question, "Warm start, memory and failures could not be computed: no runs."))
    known = rows["warm_start_s"].notna()
    low, high = (num(rows["warm_start_s"].agg(end), 0) for end in ("min", "max"))
    answer = (
        f"Warm start takes {low if low == high else f'{low} to {high}'} seconds. "
        if known.any()
        else "Warm start was not recorded. "
    )
    answer += (
        "Memory peaks were recorded for every pair."
        if rows["peak_memory_gb"].notna().all()
        else "Memory peaks are missing: ask for them in the next round."
    )
    columns = {"use_case_id": Col("Use case"), "accelerator_id": Col("Accelerator"), "warm_start_s": Col("Warm start, s", "int"), "peak_memory_gb": Col("Peak memory, GB", "num1"),
               "requests": Col("Requests", "int"), "failure_rate": Col("Failed", "pct1"), "retry_share": Col("Retried", "pct1")}  # fmt: skip
    return group(
        section(question, answer),
        table(
            rows,
            caption="Warm start, memory, failures, retries",
            source=RUNS,
            as_of=ws.as_of,
            columns=columns,
            max_rows=12,
        ),
    )


def gaps_section(ws: Workspace, bench: Benchmark) -> Group:
    """What was not measured, and what to benchmark next."""
    question = "What could not be measured, and what should be benchmarked next?"
    gaps = bench.not_measured
    none = gaps[gaps["tier"] == "none"]
    estimated = bench.capacity[~bench.capacity["tier"].isin(["measured", "none"])]
    edge = (estimated["platform_class"] == "edge") & (estimated["workload_class"] != "edge_on_device")
    estimated = estimated[~edge]  # a device at the edge does not serve central work, however cheap
    terms = ["use_case_id", "purchase_option"]  # another way to pay is no reason to measure
    best = measured(bench).groupby(terms)["usd_per_1k_units"].min().rename("best").reset_index()
    estimated = estimated.merge(best, on=terms)
    cheaper = estimated[estimated["usd_per_1k_units"] < estimated["best"]].sort_values("usd_per_1k_units")
    cases = ws.table("use_cases").set_index("use_case_id")
    cheaper = cheaper[
        cases["retire_month"].reindex(cheaper["use_case_id"]).isna().to_numpy()
    ]  # what ends is not worth a run
    barred = pd.MultiIndex.from_frame(find_exclusions(ws, cheaper)[EXCLUSION_KEYS])
    cheaper = cheaper[~pd.MultiIndex.from_frame(cheaper[EXCLUSION_KEYS]).isin(barred)]  # nor is what it may not use
    answer = f"{plural(len(gaps), 'pair')} of use case and platform {'was' if len(gaps) == 1 else 'were'} not measured on own prompts; {len(gaps) - len(none)} can be estimated, of {len(none)} nothing can be said."
    items = [
        f"{row.use_case_id} on {row.accelerator_id}: estimated at {sig3(row.usd_per_1k_units)} USD per 1,000 units against {sig3(row.best)} measured{'' if row.exact_region else ', at a price of another region'}."
        for row in cheaper.drop_duplicates("use_case_id").itertuples(index=False)
    ]
    if items:
        answer += " Below, what looks cheaper by the price of its hours alone. Whole nodes, people and the move may undo that: which of these runs pay for themselves, and which others do, stands in the shortlist."
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Accelerator"),
        "tier": Col("Known by"),
        "evidence": Col("Evidence"),
    }
    return group(
        section(question, answer),
        bullets(items, "No estimate promises to beat what was measured."),
        table(
            gaps,
            caption="Pairs that were not measured on own prompts",
            source="benchmark stage",
            as_of=ws.as_of,
            columns=columns,
            max_rows=20,
        ),
    )


def headline(bench: Benchmark) -> dict[str, tuple[object, str]]:
    """Headline figures for `results.json`."""
    runs, own = once(bench.validity), measured(bench)
    verdicts = runs["verdict"].value_counts()
    return {
        "runs": (len(runs), "runs"),
        "runs_invalid": (int(verdicts.get("INVALID", 0)), "runs"),
        "pairs_measured": (len(own), "pairs"),
        "pairs": (len(bench.capacity), "pairs"),
        "platform_classes_measured": (int(own["platform_class"].nunique()), "classes"),
    }


def tables(bench: Benchmark) -> dict[str, pd.DataFrame]:
    """Tables to publish with the page."""
    names = (
        "validity",
        "curves",
        "capacity",
        "prices",
        "first_tenth",
        "prompt_mix",
        "operation",
        "not_measured",
        "agreement",
    )
    return {name: getattr(bench, name) for name in names}
