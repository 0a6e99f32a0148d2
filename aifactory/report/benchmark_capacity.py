"""Capacity in the benchmark page: curves, what holds the SLO, what it costs, what it draws."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.benchmark import Benchmark
from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import (
    Block,
    Col,
    Figure,
    Group,
    figure,
    group,
    missing,
    section,
    table,
)
from aifactory.report.text import as_of_range, join_words, num, plural, sig3, usd
from aifactory.units import SECONDS_PER_HOUR, SLOW_PER_S

RUNS = "benchmarks table"
#: Latency that limits a service, in order of preference for the chart where none binds.
METRICS = (("p95_ttft_ms", "slo_p95_ttft_ms", "p95 TTFT"), ("p95_e2e_ms", "slo_p95_e2e_ms", "p95 end-to-end"))
MAX_CURVES, MAX_COMPARED = 3, 8
OF_REGION = "Price is of the region"
STANDS_IN = (
    "Where a region has no price, one of the same provider elsewhere stands in (no): ask for a quote before it counts."
)


def measured(bench: Benchmark) -> pd.DataFrame:
    """Capacities read off own runs; the reference accelerator-hour, known by definition, is not one."""
    return bench.capacity[(bench.capacity["tier"] == "measured") & bench.capacity["binding_slo"].notna()]


def largest_use_cases(ws: Workspace, bench: Benchmark, most: int = MAX_CURVES) -> list[str]:
    """Use cases with curves on at least two accelerators, by the tokens or units they serve."""
    counts = bench.curves.groupby("use_case_id")["accelerator_id"].nunique()
    usable = counts[counts > 1].index
    volume = ws.month("demand_windows").groupby("use_case_id")["requests"].sum().reindex(usable).fillna(0)
    return volume.sort_values(ascending=False, kind="stable").index[:most].tolist()


def cheapest(own: pd.DataFrame) -> pd.DataFrame:
    """Cheapest measured accelerator per use case, among those on the terms that most of its accelerators are priced on."""
    priced = own[own["usd_per_1k_units"].notna() & (own["units_per_s_per_accelerator"] > 0)]
    alike = priced.groupby(["use_case_id", "purchase_option"])["accelerator_id"].transform("nunique")
    ranked = priced.assign(alike=-alike).sort_values(["alike", "usd_per_1k_units"], kind="stable")
    return ranked.drop_duplicates("use_case_id").sort_values("use_case_id").drop(columns="alike")


def cost_not_proven(own: pd.DataFrame, best: pd.DataFrame) -> list[str]:
    """Use cases of which another accelerator on the terms of the `cheapest` may cost less within the ranges of capacity.

    At capacity c of [low, high] a unit costs usd x c / high to usd x c / low.
    """
    rate, usd = own["units_per_s_per_accelerator"], own["usd_per_1k_units"]
    priced = own.assign(least=usd * rate / own["high"], most=usd * rate / own["low"])[usd.notna() & (rate > 0)]
    found = []
    for row in best.itertuples():
        mine = priced[(priced["use_case_id"] == row.use_case_id) & (priced["purchase_option"] == row.purchase_option)]
        ours = mine["accelerator_id"] == row.accelerator_id
        if (mine.loc[~ours, "least"] <= mine.loc[ours, "most"].max()).any():
            found.append(str(row.use_case_id))
    return found


def on_other_terms(own: pd.DataFrame, best: pd.DataFrame) -> str:
    """What costs less than the `cheapest` of its use case on terms that most of its accelerators do not have, in a sentence."""
    compared = "Compared on the terms that most of the accelerators of a use case are priced on"
    least = best.set_index("use_case_id")["usd_per_1k_units"]
    named = own[own["units_per_s_per_accelerator"] > 0].sort_values(["use_case_id", "usd_per_1k_units"], kind="stable")
    named = _with_terms(named[named["usd_per_1k_units"] < named["use_case_id"].map(least)])
    if named.empty:
        return f"{compared}."
    told = join_words(f"{row.accelerator_id} for {row.use_case_id} ({row.terms.lower()}, {usd(row.usd_per_1k_units)})" for row in named.itertuples())  # fmt: skip
    return f"{compared}; on others less is asked for {told}."


def chart_curve(ws: Workspace, bench: Benchmark, use_case: str) -> Figure | Block:
    """Latency against throughput per accelerator, with the SLO line."""
    case = ws.table("use_cases").set_index("use_case_id").loc[use_case]
    curve = bench.curves[(bench.curves["use_case_id"] == use_case)]
    found = next(
        (
            (column, case[limit], label)
            for column, limit, label in _binding_first(bench, use_case)
            if np.isfinite(case[limit]) and curve[column].notna().any()
        ),
        None,
    )
    if found is None:
        return missing(f"The curve of {use_case}", "no latency was measured")
    column, limit, label = found
    best = measured(bench)[
        lambda f: (f["use_case_id"] == use_case) & (f["units_per_s_per_accelerator"] > 0)
    ].sort_values("units_per_s_per_accelerator", ascending=False)
    frame = curve.rename(columns={column: "latency_ms"})[
        ["units_per_s_per_accelerator", "latency_ms", "accelerator_id", "benchmark_id"]
    ]
    frame = frame[frame["latency_ms"] <= 4 * limit]
    unit = case["service_unit"].replace("_", " ")
    chart = charts.scatter_curve(frame, x="units_per_s_per_accelerator", y="latency_ms", color="accelerator_id", curve="benchmark_id",
                                 titles={"units_per_s_per_accelerator": f"{unit}s per second and accelerator", "latency_ms": f"{label}, ms"},
                                 reference=[("limit", float(limit))])  # fmt: skip
    return figure(
        chart,
        title=f"{case['name']}: {_ratio(best)} inside the SLO",
        description=f"Curves of {label} against throughput for {join_words(best['accelerator_id'])}, with the limit of {limit:,.0f} ms.",
        caption="One curve per run; points above four times the limit are left out. Capacity is where a curve crosses its first limit.",
        source=RUNS,
        as_of=as_of_range(curve["as_of"]),
    )


def _binding_first(bench: Benchmark, use_case: str) -> list[tuple[str, str, str]]:
    """`METRICS`, the one first that binds on most accelerators of the use case: capacity is read off its curve."""
    own = measured(bench)
    binds = own.loc[own["use_case_id"] == use_case, "binding_slo"].value_counts()
    return sorted(METRICS, key=lambda metric: -binds.get(metric[0].split("_")[1].upper(), 0))


def _ratio(best: pd.DataFrame) -> str:
    """What the fastest accelerator serves beside the slowest that meets the limits, fastest first."""
    if best.empty:
        return "no accelerator measured serves"
    top, rest = best.iloc[0], best.iloc[-1]
    if len(best) == 1:
        return f"of the accelerators measured only {top['accelerator_id']} serves"
    times = top["units_per_s_per_accelerator"] / rest["units_per_s_per_accelerator"]
    return f"{top['accelerator_id']} serves {num(times, 1)} times {rest['accelerator_id']}"


def curves_section(ws: Workspace, bench: Benchmark) -> Group:
    """Where latency breaks as load rises."""
    names = largest_use_cases(ws, bench)
    question = "Where does latency break as load rises?"
    if not names:
        return group(section(question, "Curves could not be computed: no use case was measured on two accelerators."))
    binding = measured(bench)["binding_slo"].value_counts()
    reached = binding.drop("not reached", errors="ignore")
    answer = (
        f"The limit that binds most often is {reached.index[0]} ({reached.iloc[0]} of {int(binding.sum())} pairs)."
        if len(reached)
        else "No run reached a limit; the capacities are lower bounds."
    )
    return group(section(question, answer), *[chart_curve(ws, bench, name) for name in names[1:]])


def capacity_section(ws: Workspace, bench: Benchmark) -> Group:
    """Capacity at SLO with ranges, measured only, relative to the best."""
    question = "How much does one accelerator carry inside the SLO?"
    own = measured(bench)[lambda f: f["units_per_s_per_accelerator"] > 0]
    wide = own[own["use_case_id"].isin(largest_use_cases(ws, bench, MAX_COMPARED))]
    if own.empty:
        return group(
            section(question, "Capacity at the SLO could not be computed from measurements; see the estimates below.")
        )
    close = _not_proven(own)
    cases = own["use_case_id"].nunique()
    answer = f"{plural(cases, 'use case')} {'was' if cases == 1 else 'were'} measured."
    alone = " None was measured on two accelerators, so none can be compared."
    if wide.empty:
        return group(section(question, answer + alone))
    answer += (
        f" For {join_words(close)} the two fastest accelerators lie within each other's range: a difference is not proven."
        if close
        else f" {_proven(own, cases)} the fastest accelerator is proven: ranges do not overlap."
        if own["use_case_id"].duplicated().any()
        else alone
    )
    best = wide.groupby("use_case_id")["units_per_s_per_accelerator"].transform("max")
    frame = wide.assign(pair=wide["use_case_id"] + ", " + wide["accelerator_id"], relative=wide["units_per_s_per_accelerator"] / best,
                        relative_low=wide["low"] / best, relative_high=wide["high"] / best).sort_values(["use_case_id", "relative"], ascending=[True, False])  # fmt: skip
    chart = charts.dots_with_range(frame, category="pair", value="relative", low="relative_low", high="relative_high", color="accelerator_id", fmt="num2",
                                   titles={"relative": "Capacity at SLO, fastest = 1"})  # fmt: skip
    return group(
        section(question, answer),
        figure(chart, title="Capacity at SLO relative to the fastest accelerator of each use case",
               description="Dots with ranges of capacity at SLO per use case and accelerator, relative to the fastest one.",
               caption=f"The range spans the repeats, at least the 6.5 % by which public runs of one chip differ.{_not_drawn(own, wide)}", source=RUNS, as_of=as_of_range(own["as_of"])),
    )  # fmt: skip


def _not_drawn(own: pd.DataFrame, wide: pd.DataFrame) -> str:
    """How many of the measured pairs a chart leaves out, which shows the use cases of most requests."""
    if len(own) == len(wide):
        return ""
    return f" Shown are the {plural(wide['use_case_id'].nunique(), 'use case')} of most requests, {len(wide)} of {plural(len(own), 'pair')}; the table has all."


def _proven(own: pd.DataFrame, cases: int) -> str:
    """Of which of the measured use cases accelerators can be compared: those on two at least."""
    compared = int((own["use_case_id"].value_counts() > 1).sum())
    return (
        "In each"
        if compared == cases
        else f"In each of the {compared} on two accelerators or more"
        if compared > 1
        else "In the one on two accelerators or more"
    )


def _not_proven(own: pd.DataFrame) -> list[str]:
    """Use cases whose two fastest accelerators have overlapping ranges."""
    found = []
    for name, rows in own.sort_values("units_per_s_per_accelerator", ascending=False).groupby("use_case_id"):
        if len(rows) > 1 and rows.iloc[1]["high"] >= rows.iloc[0]["low"]:
            found.append(str(name))
    return found


def table_capacity(ws: Workspace, bench: Benchmark) -> Block:
    """Every measured pair with what binds it."""
    columns = {
        "use_case_id": Col("Use case"),
        "service_unit": Col("Unit"),
        "accelerator_id": Col("Accelerator"),
        "units_per_s_per_accelerator": Col("Rate", "sig3"),
        "low": Col("Low", "sig3"),
        "high": Col("High", "sig3"),
        "tier": Col("Known by"),
        "binding_slo": Col("Binding limit"),
        "usd_per_accelerator_hour": Col("USD / h", "usd_hour"),
        "terms": Col("Terms"),
        "price_as_of": Col("Price of", "date"),
        "exact_region": Col(OF_REGION, "bool"),
        "usd_per_1k_units": Col("USD / 1,000 units", "sig3"),
    }
    own = _with_terms(_told_by_the_hour(measured(bench)))
    return table(own, caption="Measured capacity at SLO per accelerator, and its cost", source=f"{RUNS}; prices table", as_of=as_of_range(own["as_of"]), columns=columns, max_rows=60, groups=["use_case_id", "service_unit"],
                 note=f"Price is the mean over the regions that serve the use case, on demand where offered for all of the measured ones, else all in on other terms that all have, else on those each has; of several its date is the oldest. {STANDS_IN}")  # fmt: skip


def _with_terms(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the name of the way to pay that their price is of."""
    return rows.assign(terms=rows["purchase_option"].map(OPTION_NAMES).fillna(rows["purchase_option"]))


def _told_by_the_hour(rows: pd.DataFrame) -> pd.DataFrame:
    """Rates of use cases that take seconds or more for a unit (training, long sessions) by the hour; the unit says which."""
    rates = ["units_per_s_per_accelerator", "low", "high"]
    slow = rows.groupby("use_case_id")["units_per_s_per_accelerator"].transform("max") < SLOW_PER_S
    factor = np.where(slow, SECONDS_PER_HOUR, 1.0)
    unit = rows["service_unit"] + np.where(slow, "s an hour", "s a second")
    return rows.assign(service_unit=unit, **{name: rows[name] * factor for name in rates})


def cost_section(ws: Workspace, bench: Benchmark) -> Group:
    """Cost at the SLO."""
    question = "What does a unit cost at the SLO?"
    own = measured(bench)
    best = cheapest(own)
    if best.empty:
        return group(section(question, "Cost at the SLO could not be computed: no measured pair has a price."))
    tokens = own[own["usd_per_million_output_tokens"].notna() & (own["units_per_s_per_accelerator"] > 0)].copy()
    parts: list[Block | Figure] = []
    if len(tokens):
        share = tokens["usd_per_million_output_tokens"] * tokens["units_per_s_per_accelerator"]
        tokens = tokens.assign(
            pair=tokens["use_case_id"] + ", " + tokens["accelerator_id"],
            low_usd=share / tokens["high"],
            high_usd=share / tokens["low"],
        )
        tokens = tokens.sort_values(["use_case_id", "usd_per_million_output_tokens"])
        low = tokens.loc[tokens["usd_per_million_output_tokens"].idxmin()]
        answer = f"Good output tokens cost from {usd(low['usd_per_million_output_tokens'], 2)} a million ({low['pair']}) upwards. "
        parts.append(figure(
            charts.dots_with_range(tokens, category="pair", value="usd_per_million_output_tokens", low="low_usd", high="high_usd", color="accelerator_id", fmt="usd2",
                                   titles={"usd_per_million_output_tokens": "USD per million good output tokens"}),
            title="Cost per million good output tokens at the SLO", description="Dots with ranges of USD per million output tokens per use case and accelerator.",
            caption="Price of an accelerator-hour over tokens served inside the SLO; the range is that of capacity.", source=f"{RUNS}; prices table", as_of=as_of_range(tokens["price_as_of"])))  # fmt: skip
    else:
        answer = ""
    answer += "The cheapest measured platform per use case stands below; failed requests are not good units."
    close = cost_not_proven(own, best)
    answer += (
        f" For {join_words(close)} that is not proven: another may cost less within the ranges of capacity."
        if close
        else ""
    )
    columns = {"use_case_id": Col("Use case"), "accelerator_id": Col("Cheapest measured"), "service_unit": Col("Unit"), "usd_per_1k_units": Col("USD / 1,000 units", "sig3"),
               "usd_per_million_output_tokens": Col("USD / million output tokens", "usd2"), "usd_per_accelerator_hour": Col("USD / h", "usd_hour"), "terms": Col("Terms"), "exact_region": Col(OF_REGION, "bool"), "price_source": Col("Price source")}  # fmt: skip
    parts.append(
        table(
            _with_terms(best),
            caption="Cheapest measured platform per use case",
            source=f"{RUNS}; prices table",
            as_of=as_of_range(best["price_as_of"]),
            columns=columns,
            note=f"{on_other_terms(own, best)} {STANDS_IN}",
        )
    )
    return group(section(question, answer), *parts)


def energy_section(ws: Workspace, bench: Benchmark) -> Group:
    """Energy per unit and tokens per joule."""
    question = "How much energy does a unit take?"
    own = measured(bench)[lambda f: f["joules_per_unit"].notna()]
    if own.empty:
        none = (
            "nothing measured meets its limits"
            if ws.table("benchmarks")["power_w"].notna().any()
            else "no run recorded power"
        )
        return group(section(question, f"Energy could not be computed: {none}."))
    runs = ws.table("benchmarks")
    silent = set(measured(bench)["accelerator_id"]) - set(runs.loc[runs["power_w"].notna(), "accelerator_id"])
    slow = sorted(set(measured(bench)["accelerator_id"]) - set(own["accelerator_id"]) - silent)
    with_tokens = own[own["tokens_per_joule"].notna()].sort_values("tokens_per_joule", ascending=False)
    answer = (
        f"The most efficient pair gives {sig3(with_tokens.iloc[0]['tokens_per_joule'])} tokens per joule ({with_tokens.iloc[0]['use_case_id']} on {with_tokens.iloc[0]['accelerator_id']}). "
        if len(with_tokens)
        else ""
    )
    answer += (
        f"No power was recorded for {join_words(sorted(silent))}."
        if silent
        else "Power was recorded on every accelerator."
    )
    answer += f" Nothing that was measured on {join_words(slow)} meets its limits." if slow else ""
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Accelerator"),
        "joules_per_unit": Col("J per unit", "sig3"),
        "tokens_per_joule": Col("Tokens / J", "sig3"),
    }
    return group(
        section(question, answer),
        table(
            own,
            caption="Energy at capacity",
            source=RUNS,
            as_of=as_of_range(own["as_of"]),
            columns=columns,
            note="Power of the accelerators only, at the throughput where the SLO binds.",
        ),
    )
