"""Page of stage 3: which platform for which workload."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry import OWN_EVIDENCE, TELEMETRY
from aifactory.inputs.weights import MATRIX_CRITERIA, SCORECARD_CRITERIA
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import today
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Figure, Group, Kpi, figure, group, head, section, table
from aifactory.report.inventory_page import input_warnings, later_run_warnings, price_warnings, status_of
from aifactory.report.shortlist_ranking import provisional_winners
from aifactory.report.text import as_of_range, is_missing, join_words, num, pct, plural, readable, usd_compact
from aifactory.shortlist import Shortlist
from aifactory.shortlist.exclusions import region_sentences
from aifactory.shortlist.money import in_shared_nodes
from aifactory.units import PLATFORM_CLASSES

SOURCE = "shortlist stage: benchmarks, prices, judgements and decision_table tables"
CRITERIA_COLUMNS = {name: Col(readable(name), "num2") for name in MATRIX_CRITERIA}


def chosen(short: Shortlist) -> pd.DataFrame:
    """Use cases with a chosen platform."""
    return short.choice[short.choice["accelerator_id"].notna()]


def shortlist_head(ws: Workspace, short: Shortlist) -> Group:
    """First screen."""
    told = [*input_warnings(ws), *region_sentences(ws, short.exclusions, short.penalties)]
    return head(
        stage="shortlist",
        question="Which platform for which workload, and does that ranking hold?",
        period=ws.period,
        as_of=ws.as_of,
        status=status_of(ws),
        finding=finding(short),
        kpis=_kpis(short),
        chart=chart_matrix(ws, short) if short.matrix["total"].notna().any() else None,
        deciders=[
            ("Head of platform", "choose, pilot or reject for each workload"),
            ("Head of engineering", "staff for the pilots"),
            ("Purchasing", "which vendors to invite"),
        ],
        warnings=[*told, *price_warnings(ws), *later_run_warnings(ws)],
    )


def finding(short: Shortlist) -> str:
    """The shortlist in a sentence or two."""
    picks = chosen(short)
    if picks.empty:
        return "No platform can be chosen: nothing is known of capacity and price. Benchmark first."
    counts = picks["accelerator_id"].value_counts()
    text = f"{plural(len(picks), 'use case')} {'lands' if len(picks) == 1 else 'land'} on {plural(len(counts), 'platform')}: {join_words(f'{name} for {n}' for name, n in counts.items())}."
    unclear = int((picks["verdict"] == "no clear winner").sum())
    if unclear:
        text += f" For {unclear if len(picks) > 1 else 'it'}{' of them' * (len(picks) > 1)} no winner is clear: cost decides."
    shown = int((picks["tier"] == TELEMETRY).sum())
    if shown:
        text += f" {plural(shown, 'choice')} {'rests' if shown == 1 else 'rest'} on what production shows: a wide interval until a run narrows it."
    provisional = int((~picks["tier"].isin(OWN_EVIDENCE)).sum())
    return text + (
        f" {plural(provisional, 'choice')} {'is' if provisional == 1 else 'are'} provisional, since nothing was measured on own prompts."
        if provisional
        else ""
    )


def _kpis(short: Shortlist) -> list[Kpi]:
    count = Counter(short.matrix["decision"])
    verdicts = short.robustness.verdicts
    rivals = verdicts["contenders"] > 1
    clear = verdicts["verdict"] == "clear winner"
    agree = short.matrix[short.matrix["decision"].isin(["choose", "pilot", "reject"]) & short.matrix["prior"].ne("")]
    return [
        Kpi("Cells to choose", str(count["choose"]), f"of {len(short.matrix)} use case x platform"),
        Kpi(
            "Cells to pilot",
            str(count["pilot"]),
            f"{count['reject']} rejected, {count['not comparable']} not comparable",
        ),
        Kpi(
            "Clear winners",
            f"{int(clear.sum())} of {int(rivals.sum())}",
            f"use cases with rivals{provisional_winners(short)}; over all admissible weights and measurement intervals",
            status=("watch" if (rivals & ~clear).any() else "good") if rivals.any() else "",
        ),
        Kpi(
            "Agrees with the article",
            pct(float(agree["agrees_with_prior"].mean()), 0) if len(agree) else "not known",
            "its decision table as prior",
        ),
        Kpi("Layers", str(len(short.architecture)), join_words(short.architecture["layer"])),
    ]


def choice_section(ws: Workspace, short: Shortlist) -> Group:
    """The chosen platform of each use case."""
    picks = short.choice
    open_cases = picks[picks["accelerator_id"].isna()]
    unclear = picks[picks["verdict"] == "no clear winner"]
    answer = f"{len(picks) - len(open_cases)} of {plural(len(picks), 'use case')} {'has' if len(picks) == 1 else 'have'} a platform."
    if len(unclear):
        answer += f" No clear winner: {join_words(unclear['use_case_id'])}; cost decides."
    if len(open_cases):
        answer += f" Without a platform: {join_words(open_cases['use_case_id'])}."
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Platform"),
        "tier_label": Col("Layer"),
        "verdict": Col("Verdict"),
        "total": Col("Score", "num2"),
        "total_usd": Col(f"Alone, present value of {ws.plan.horizon_months} months, USD", "usd_compact"),
        "bought": Col("Bought by, alone; oldest price"),
        "beside_usd": Col("Beside the others, USD", "usd_compact"),
        "runner_up": Col("Runner-up"),
        "margin_usd": Col("Dearer beside them by, USD", "usd_compact"),
        "usd_per_score_point": Col("USD per 0.01 of score", "usd_compact"),
        "reason": Col("Why", "prose"),
    }
    terms = short.penalties[["use_case_id", "accelerator_id", "terms", "terms_as_of"]]
    picks = picks.merge(terms, on=["use_case_id", "accelerator_id"], how="left")
    picks["bought"] = [
        "; ".join([terms, *([] if is_missing(day) else [f"{day:%Y-%m-%d}"])]) if isinstance(terms, str) else ""
        for terms, day in zip(picks["terms"], picks["terms_as_of"], strict=True)
    ]
    note = "The score holds what has no price; cost holds the rest: whole nodes for the hours of the expected demand, each on its cheapest terms among the plan's offers with the people and storage around it, missed targets, delay, porting and rework. Alone: in nodes of its own, as is bought by, the share of its paid hours. Beside the others: what it adds to the nodes that these fill on the platforms chosen for them; platforms are compared by that, and sums of it are no price of several. USD per 0.01 of score: what a point must be worth at least for a dearer platform to win."
    return group(
        section("Which platform for which use case?", answer),
        table(picks, caption="Chosen platform per use case", source=SOURCE, as_of=ws.as_of, columns=columns, note=note),
    )


def chart_matrix(ws: Workspace, short: Shortlist) -> Figure:
    """Heat map of total scores."""
    cells = short.matrix[short.matrix["total"].notna()]
    order = cells.groupby("accelerator_id")["total"].mean().sort_values(ascending=False).index.tolist()
    frame = cells.assign(rank=cells["accelerator_id"].map(order.index)).sort_values(["rank", "use_case_id"])
    means = cells.groupby("accelerator_id")["total"].mean().reindex(order)
    best = means.index[means.round(2) == means.round(2).max()].tolist()
    return figure(
        charts.heatmap(
            frame,
            x="accelerator_id",
            y="use_case_id",
            value="total",
            fmt="num2",
            labels=True,
            titles={"accelerator_id": "Platform", "total": "Score"},
        ),
        title=f"{join_words(best)} {'scores' if len(best) == 1 else 'score'} best on average over the use cases, chosen for {int(short.choice['accelerator_id'].isin(best).sum()) or 'none'} of them: cost decides",
        description="Heat map of the total score of each use case on each platform; pairs without a known capacity are left out.",
        caption=f"Weighted mean of the five criteria without a price; {num(ws.plan.choose_at, 2)} and a run on own prompts to choose, {num(ws.plan.pilot_at, 2)} to pilot. Money decides among those.",
        source=SOURCE,
        as_of=ws.as_of,
    )


def matrix_section(ws: Workspace, short: Shortlist) -> Group:
    """What the matrix says."""
    cells = short.matrix
    blank = int(cells["total"].isna().sum())
    pairs = set(ws.table("benchmarks")[["use_case_id", "accelerator_id"]].itertuples(index=False, name=None))
    known = cells[cells["tier"] == "measured"]
    own = sum(pair in pairs for pair in known[["use_case_id", "accelerator_id"]].itertuples(index=False, name=None))
    hours = len(known) - own
    told = f"{own} of {len(cells)} cells rest on runs with own prompts" + (
        f", {hours} on jobs counted in hours of their own accelerator" if hours else ""
    )
    weak = {name: cells[name].mean() for name in MATRIX_CRITERIA}
    lowest = min(weak, key=lambda name: weak[name])
    answer = (
        f"{told}; {blank} cannot be scored. "
        f"The weakest criterion over all cells is {readable(lowest).lower()} ({num(weak[lowest], 2)} on average)."
    )
    doubted = today_doubted(short)
    return group(
        section("How does each platform score for each workload?", f"{answer} {today_sentence(short)}"),
        *([table_today(ws, doubted)] if len(doubted) else []),
    )


def today_doubted(short: Shortlist) -> pd.DataFrame:
    """Use cases whose platform of today the plan does not state, or states otherwise than what is seen."""
    rows = short.today
    other = (rows["seen"] != "") & (rows["seen"] != rows["accelerator_id"])
    return rows[(rows["basis"] != today.STATED) | other]


def today_sentence(short: Shortlist) -> str:
    """Where today's platforms, which cost and porting are measured against, come from."""
    counts = short.today["basis"].value_counts()
    words = {today.STATED: "stated in plan.yaml", today.BY_JOBS: "read from the jobs", today.BY_PAST: "read from jobs of the year before", today.BY_BILL: "read from the bill",
             today.BY_TEAM: "guessed from the bill of the team", today.BY_ONLY: "guessed from the only accelerator of the bill",
             today.BY_POOLS: "guessed from the only accelerator of its kind in the pools",
             today.BY_HOSTED: "a hosted model, by the bill, for which the reference accelerator stands in",
             today.BY_REFERENCE: "unknown or no candidate, so the reference accelerator stands in"}  # fmt: skip
    return f"Today's platform: {join_words(f'{counts[basis]} {text}' for basis, text in words.items() if basis in counts)}."


def table_today(ws: Workspace, rows: pd.DataFrame) -> Block:
    """What a use case is taken to run on, and what jobs or bill show."""
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Taken as today's platform"),
        "basis": Col("Because"),
        "confidence": Col("Confidence"),
        "seen": Col("Seen most"),
        "seen_share": Col("Share of its hours", "pct0"),
        "seen_basis": Col("Seen in"),
    }
    return table(
        rows, caption="Today's platform where plan.yaml is silent or other hours are seen", source="plan.yaml; jobs, billing and pools tables",
        as_of=ws.as_of, columns=columns, max_rows=12,
        note="Cost is scored, and porting charged, against it; where no offer of the plan prices it, cost is scored against what the bill charges a unit, and without that counts as unknown, 0 to 1. State it under baseline_accelerators in plan.yaml to settle it.",
    )  # fmt: skip


def table_matrix(ws: Workspace, short: Shortlist) -> Block:
    """All cells with scores, decision and reason."""
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Platform"),
        "decision": Col("Decision", "status"),
        "total": Col("Score", "num2"),
        **CRITERIA_COLUMNS,
        "tier": Col("Known by"),
        "reason": Col("Reason", "prose"),
    }
    order = {"choose": 0, "pilot": 1, "not comparable": 2, "reject": 3}
    frame = short.matrix.assign(rank=short.matrix["decision"].map(order)).sort_values(
        ["use_case_id", "rank", "total"], ascending=[True, True, False]
    )
    return table(
        frame,
        caption="Workload x platform matrix",
        source=SOURCE,
        as_of=ws.as_of,
        columns=columns,
        max_rows=45,
        groups=["use_case_id"],
        note="A dash is an unknown; it scores zero. Latency is measured, or estimated by the serving engine for language models. Cost is the whole price over the horizon beside the other use cases, on the plan's terms, against today's platform and is not in the score; the intervals of every criterion with rationale, source and date are in the criteria table of the run folder.",
    )


def scorecard_section(ws: Workspace, short: Shortlist) -> Group:
    """Vendor scorecard as stacked contributions."""
    card = short.scorecard
    first, second = card.iloc[0], card.iloc[min(1, len(card) - 1)]
    long = short.scorecard_long[short.scorecard_long["accelerator_id"].isin(card["accelerator_id"])].copy()
    long["criterion"] = long["criterion"].map(readable)
    rank = {name: number for number, name in enumerate(card["accelerator_id"])}
    long = long.assign(rank=long["accelerator_id"].map(rank)).sort_values("rank")
    long["short_name"] = long["accelerator_id"].str.split("-", n=1).str[1]
    chart = charts.stacked_bars(long, x="short_name", value="contribution", color="criterion", order=[readable(c) for c in SCORECARD_CRITERIA], fmt="num2",
                                titles={"short_name": "Platform", "contribution": "Contribution to the score"})  # fmt: skip
    bare = card.loc[card["total_unpriced"].idxmax()]
    answer = f"{first['accelerator_id']} leads with {num(first['total'], 2)}, {second['accelerator_id']} follows with {num(second['total'], 2)}. The card compares vendors and decides nothing; without its one priced criterion {bare['accelerator_id']} leads with {num(bare['total_unpriced'], 2)}."
    return group(
        section("How do vendors compare, in price and beyond?", answer),
        figure(chart, title=f"{first['accelerator_id']} leads the scorecard", description="Stacked bars of weighted contributions of seven criteria per platform, best first.",
               caption="Weight times score of each criterion; unknown scores zero.", source=SOURCE, as_of=ws.as_of),
    )  # fmt: skip


def table_scorecard(ws: Workspace, short: Shortlist) -> Group:
    """Scores and the rationale behind each judgement."""
    columns = {
        "accelerator_id": Col("Platform"),
        "platform_class": Col("Class"),
        "total": Col("Score", "num2"),
        "total_unpriced": Col("Without money", "num2"),
        **{name: Col(readable(name), "num2") for name in SCORECARD_CRITERIA},
    }
    card = short.scorecard.assign(platform_class=short.scorecard["platform_class"].map(PLATFORM_CLASSES))
    reasons = short.scorecard_long[short.scorecard_long["source"].ne("benchmark stage")]
    reasons = reasons.assign(criterion=reasons["criterion"].map(readable))
    why = {
        "accelerator_id": Col("Platform"),
        "criterion": Col("Criterion"),
        "weight": Col("Weight", "num2"),
        "score": Col("Score", "num2"),
        "rationale": Col("Rationale"),
        "source": Col("Source"),
        "as_of": Col("As of", "date"),
    }
    return group(
        table(card, caption="Vendor scorecard", source=SOURCE, as_of=ws.as_of, columns=columns),
        table(
            reasons,
            caption="Judgements behind the scorecard",
            source="judgements table",
            as_of=as_of_range(reasons["as_of"]),
            columns=why,
            max_rows=15,
        ),
    )


def penalties_section(ws: Workspace, short: Shortlist) -> Group:
    """Does cheap hardware stay cheap."""
    keys = ["use_case_id", "accelerator_id"]
    out = pd.MultiIndex.from_frame(short.penalties[keys]).isin(pd.MultiIndex.from_frame(short.exclusions[keys]))
    table_frame = short.penalties[~out].reset_index(drop=True)
    table_frame["penalties_usd"] = table_frame["total_usd"] - table_frame["compute_usd"]
    money = in_shared_nodes(table_frame).dropna(subset="total_usd").groupby("use_case_id")
    changed = [name for name, rows in money if rows["compute_usd"].idxmin() != rows["total_usd"].idxmin()]
    dearest = table_frame.sort_values("penalties_usd", ascending=False).iloc[0] if len(table_frame) else None
    answer = (
        f"Penalties change the platform that is cheapest beside the other use cases for {join_words(changed)}."
        if changed
        else "Beside the other use cases the cheapest platform stays the cheapest after penalties for every use case."
        if table_frame["total_usd"].notna().any()
        else "Not computed: no platform has a known capacity and price."
    )
    if dearest is not None and dearest["penalties_usd"] > 0:
        answer += f" They are largest for {dearest['use_case_id']} on {dearest['accelerator_id']}: {usd_compact(dearest['penalties_usd'])}."
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Platform"),
        "compute_usd": Col("Compute", "usd_compact"),
        "sla_miss_usd": Col("Missed targets", "usd_compact"),
        "launch_delay_usd": Col("Launch delay", "usd_compact"),
        "until_ported_usd": Col("Until ported", "usd_compact"),
        "porting_usd": Col("Porting", "usd_compact"),
        "rework_usd": Col("Rework", "usd_compact"),
        "total_usd": Col("Total", "usd_compact"),
        "total_low_usd": Col("Low", "usd_compact"),
        "total_high_usd": Col("High", "usd_compact"),
        "beside_usd": Col("Beside the others", "usd_compact"),
        "usd_per_1k_units": Col("Compute per 1,000 units", "usd_compact"),
        "terms": Col("Bought by"),
        "priced": Col("Price of most hours; oldest price"),
    }
    frame = table_frame.replace(np.inf, np.nan).sort_values(["use_case_id", "beside_usd"])
    frame["priced"] = [
        "; ".join([str(source), f"{date:%Y-%m-%d}{', stale' if stale else ''}"])
        if isinstance(source, str) and source
        else ""
        for source, date, stale in zip(
            frame["terms_source"], pd.to_datetime(frame["terms_as_of"]), frame["terms_stale"], strict=True
        )
    ]
    return group(
        section("Does cheap hardware stay cheap?", answer),
        table(
            frame,
            caption=f"Present value of cost and penalties over {ws.plan.horizon_months} months, expected scenario, USD",
            source=SOURCE,
            as_of=ws.as_of,
            columns=columns,
            groups=["use_case_id"],
            max_rows=40,
            note="Platforms that no rule excludes. Compute: every node on its cheapest terms with the people and storage around it, one use case alone; units at their present value. Launch delay: months of porting after the launch of what does not run yet. Until ported: what work that runs costs more on its platform of today until the porting ends, below zero where it costs less there. Rework: each change of prompts, context or retrieval costs a share of the porting effort again. Low and high are the ends of the capacity interval. Beside the others: the total where the use case shares nodes with those that are chosen for the platform; above the total where the one size of node of a pool makes it dearer, or where others take room on standing kit. Limits on capital, power and vendors are kept by the buy plan, not asked here.",
        ),
    )


def prior_section(ws: Workspace, short: Shortlist) -> Group:
    """Where the data disagree with the article."""
    cells = short.matrix[short.matrix["decision"].isin(["choose", "pilot", "reject"]) & short.matrix["prior"].ne("")]
    apart = cells[~cells["agrees_with_prior"]]
    counts = apart.groupby(["prior", "decision"]).size().sort_values(ascending=False)
    answer = f"The data agree with the article's decision table in {pct(1 - len(apart) / max(len(cells), 1), 0)} of {plural(len(cells), 'cell')}."
    if len(counts):
        (prior, decision), number = counts.index[0], counts.iloc[0]
        answer += (
            f" The most frequent difference: it would {prior}, the data say {decision} ({plural(number, 'cell')})."
        )
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Platform"),
        "prior": Col("Article", "status"),
        "decision": Col("Data", "status"),
        "reason": Col("Reason", "prose"),
    }
    return group(
        section("Where do the data disagree with the article?", answer),
        table(
            apart,
            caption="Cells that differ from the prior",
            source="decision_table table; " + SOURCE,
            as_of=ws.as_of,
            columns=columns,
            max_rows=20,
        ),
    )


def exclusions_section(ws: Workspace, short: Shortlist) -> Group:
    """What was left out, and why."""
    rows = short.exclusions
    counts = rows["rule"].value_counts()
    answer = (
        f"{plural(len(rows), 'cell')} {'is' if len(rows) == 1 else 'are'} out: {join_words(f'{n} by {rule}' for rule, n in counts.items())}."
        if len(rows)
        else "No cell had to be excluded."
    )
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Platform"),
        "rule": Col("Rule"),
        "reason": Col("Reason", "prose"),
    }
    return group(
        section("What was excluded before scoring?", answer),
        table(rows, caption="Exclusions", source="accelerators, models and prices tables", as_of=ws.as_of, columns=columns, max_rows=20),
    )  # fmt: skip


def anchors_table(ws: Workspace, short: Shortlist) -> Block:
    """Criteria, weights and anchors."""
    columns = {"criterion": Col("Criterion"), "weight": Col("Weight", "num2"), "anchors": Col("Scale")}
    frame = short.anchors.assign(criterion=short.anchors["criterion"].map(readable))
    return table(
        frame,
        caption="Criteria of the matrix, written down before the results",
        source="plan.yaml; method of the product",
        as_of=ws.as_of,
        columns=columns,
        note="The weight of cost counts where money meets the score: in the ranking under all weights.",
    )


def headline(short: Shortlist) -> dict[str, tuple[object, str]]:
    """Headline figures for `results.json`."""
    decisions = short.matrix["decision"].value_counts()
    return {
        "choose": (int(decisions.get("choose", 0)), "cells"),
        "pilot": (int(decisions.get("pilot", 0)), "cells"),
        "reject": (int(decisions.get("reject", 0)), "cells"),
        "not_comparable": (int(decisions.get("not comparable", 0)), "cells"),
        "use_cases_with_platform": (len(chosen(short)), "use cases"),
    }


def tables(short: Shortlist, judged: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """Tables to publish with the page; `judged` are the judged values with what they lack."""
    names = ("matrix", "criteria", "scorecard", "scorecard_long", "penalties", "exclusions", "choice", "pilots", "anchors",
             "migrations", "architecture", "knowledge", "today")  # fmt: skip
    firm = {"ranks": short.robustness.ranks, "verdicts": short.robustness.verdicts,
            "acceptability": short.robustness.acceptability, "central_weights": short.robustness.central_weights}  # fmt: skip
    rest = {} if judged is None else {"judged_values": judged}
    return {name: getattr(short, name) for name in names} | firm | rest
