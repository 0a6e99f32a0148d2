"""Sections of the shortlist page on robustness and outcome: does the ranking hold, and what follows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import Col, Group, figure, group, section, table
from aifactory.report.text import (
    as_of_range,
    is_missing,
    join_words,
    num,
    pct,
    pct_beside,
    plural,
    readable,
    usd_compact,
)
from aifactory.serving.transfer import UNSEEN_EVIDENCE
from aifactory.shortlist import Shortlist
from aifactory.shortlist.knowledge import worthwhile
from aifactory.units import few

SOURCE = "shortlist stage: benchmarks, prices, judgements tables; plan.yaml"
#: Share of draws above which a platform is first in most of them.
MOST = 0.5


def robustness_section(ws: Workspace, short: Shortlist) -> Group:
    """Does the ranking hold over weights and intervals."""
    verdicts = short.robustness.verdicts.assign(
        flip=[_flip(row) for row in short.robustness.verdicts.itertuples(index=False)],
        rumour=[
            f"{row.challenger} ({pct(row.challenger_first, 0)})" if isinstance(row.challenger, str) else ""
            for row in short.robustness.verdicts.itertuples(index=False)
        ],
        checks=[
            f"{row.topsis} / {row.promethee}" if isinstance(row.topsis, str) else ""
            for row in short.robustness.verdicts.itertuples(index=False)
        ],
    )
    verdicts["first"] = [
        ""
        if is_missing(row.acceptability)
        else f"{pct_beside(row.acceptability, ws.plan.winner_acceptability)} ({pct_beside(row.confidence, ws.plan.winner_confidence)})"
        for row in verdicts.itertuples(index=False)
    ]
    verdicts["near"] = [
        f"{row.rival} ({pct(row.weight_moved, 1)})" if isinstance(row.rival, str) and row.rival else ""
        for row in verdicts.itertuples(index=False)
    ]
    verdicts["decides"] = [
        f"{row.deciding_measurement} ({pct(row.gain, 0)})" if not is_missing(row.gain) else row.deciding_measurement
        for row in verdicts.itertuples(index=False)
    ]
    verdicts["places"] = _places(short, verdicts)
    parts = [section("Does the ranking hold?", _robust_answer(ws, verdicts, provisional(short)))]
    if len(short.robustness.ranks):
        parts.append(_first_chart(ws, short))
    columns = {
        "use_case_id": Col("Use case"),
        "leader": Col("Leader"),
        "verdict": Col("Verdict"),
        "first": Col("First in (confidence)"),
        "places": Col("Its rank over the intervals"),
        "stated": Col("At the stated weights"),
        "near": Col("Nearest rival (weight to move)"),
        "flip": Col("One weight that flips it"),
        "rumour": Col("Best that may not be chosen (first in)"),
        "decides": Col("Measurement that would decide most (right more often by)"),
        "checks": Col("TOPSIS / PROMETHEE"),
    }
    note = (
        "First in: share of draws of admissible weights (those that keep the order of the stated ones) and of values in their intervals; "
        "an unknown score lies anywhere from 0 to 1 there, at 0.5 in the middle, while a score adds it up as 0. "
        "Weight to move: least weight that must change place before the rival is level, in per cent of all. TOPSIS and PROMETHEE, on all platforms left, are a check only. "
        "Money in these ranks is what a platform adds to the other use cases on the platforms chosen for them, as everywhere where platforms are compared."
    )
    return group(
        *parts,
        table(verdicts, caption="Verdict per use case", source=SOURCE, as_of=ws.as_of, columns=columns, note=note),
    )


def provisional(short: Shortlist) -> frozenset[str]:
    """Use cases of which no platform may be chosen yet: all that no rule excludes compete for them."""
    names = set(short.matrix["use_case_id"])
    return frozenset(names - set(short.matrix.loc[short.matrix["decision"] == "choose", "use_case_id"]))


def provisional_winners(short: Shortlist) -> str:
    """How many of the clear winners are provisional, behind "use cases with rivals"."""
    rivals = short.robustness.verdicts.query("contenders > 1")
    open_ones = rivals["use_case_id"].isin(list(provisional(short)))
    waits = int((open_ones & (rivals["verdict"] == "clear winner")).sum())
    return f", {waits} of them provisional" if waits else "" if open_ones.any() else " that may be chosen"


def _robust_answer(ws: Workspace, verdicts: pd.DataFrame, unproven: frozenset[str] = frozenset()) -> str:
    rivals = verdicts[verdicts["contenders"] > 1]
    clear = int((rivals["verdict"] == "clear winner").sum())
    if rivals.empty:
        return "There is nothing to rank: no use case has two platforms to choose from."
    open_ones = int(rivals["use_case_id"].isin(list(unproven)).sum())
    who = "platform" if open_ones else "of the platforms that may be chosen today"
    text = (
        f"In {clear} of {plural(len(rivals), 'use case')} with rivals one {who} is a clear winner: first in at least {pct(ws.plan.winner_acceptability, 0)} "
        f"of all admissible weights and measured values, with {pct(ws.plan.winner_confidence, 0)} confidence. "
    )
    if open_ones:
        whose = (
            "none" if len(rivals) == 1 else f"in {'all' if open_ones == len(rivals) else open_ones} of them no platform"
        )
        text += f"But {whose} may be chosen yet: all that no rule excludes compete there, and who leads there is provisional until a run. "
    text += _only_beside(rivals) + _ahead(verdicts)
    helped = verdicts[verdicts["gain"] > 0].sort_values("gain", ascending=False)
    if len(helped):
        best = helped.iloc[0]
        text += f"The measurement that would settle most of these ranks: {best['deciding_measurement']} for {best['use_case_id']}. "
    turned, same = int(verdicts["reversals_topsis"].sum()), int(verdicts["reversals_here"].sum())
    return text + f"Leaving any one platform out turns {same} pairs here, {turned} under TOPSIS."


def _only_beside(verdicts: pd.DataFrame) -> str:
    """Leaders that lead because nodes are shared, in a sentence."""
    found = verdicts[verdicts["leader_alone"].notna() & (verdicts["leader_alone"] != verdicts["leader"])]
    if found.empty:
        return ""
    alone = found.groupby("leader_alone", sort=False)["use_case_id"]
    named = join_words(f"{leader} for {few(list(names), most=5)}" for leader, names in alone)
    return f"In nodes of its own each use case would be led by the same platform but for {named}: there the lead rests on nodes that others fill. "


def _ahead(verdicts: pd.DataFrame) -> str:
    """Platforms that may not be chosen yet and would be first in most draws, in a sentence."""
    found = verdicts[verdicts["challenger_first"] > MOST].sort_values("challenger_first", ascending=False)
    if found.empty:
        return ""
    named = join_words(f"{row.challenger} for {row.use_case_id} ({pct(row.challenger_first, 0)})" for row in found.itertuples())  # fmt: skip
    return f"Of those that may not be chosen, since they were not measured, score too low or cannot pay, these would be first in most draws of all platforms: {named}. "


def _places(short: Shortlist, verdicts: pd.DataFrame) -> list[str]:
    """Best and worst rank of each leader at the stated weights, every value anywhere in its interval."""
    ranks = short.robustness.ranks.set_index(["use_case_id", "accelerator_id"])[["best_rank", "worst_rank"]]
    pairs = zip(verdicts["use_case_id"], verdicts["leader"], strict=True)
    found = [ranks.loc[pair].tolist() if pair in ranks.index else None for pair in pairs]
    return ["" if item is None else f"{item[0]} to {item[1]}" for item in found]


def _flip(row: tuple) -> str:
    if not isinstance(row.flip_criterion, str):
        return "none"
    return f"{readable(row.flip_criterion).lower()} {num(row.flip_weight, 2)} to {num(row.flip_at, 2)}"


def _first_chart(ws: Workspace, short: Shortlist) -> object:
    ranks = short.robustness.ranks
    order = ranks.groupby("accelerator_id")["first"].mean().sort_values(ascending=False).index.tolist()
    frame = ranks.assign(place=ranks["accelerator_id"].map(order.index)).sort_values(["place", "use_case_id"])
    return figure(
        charts.heatmap(frame[["accelerator_id", "use_case_id", "first"]], x="accelerator_id", y="use_case_id", value="first", fmt="pct0", labels=True,
                       titles={"accelerator_id": "Platform", "first": "First in"}),
        title=f"{order[0]} is most often first when unmeasured estimates compete too",
        description="Heat map of the share of weights and values under which each platform is first, by use case.",
        caption="All platforms that no rule excludes, measured or not; an estimate with a wide interval is often first in part of the draws.",
        source=SOURCE, as_of=ws.as_of,
    )  # fmt: skip


def migration_section(ws: Workspace, short: Shortlist) -> Group:
    """When a specialised platform pays back its porting."""
    moves = short.migrations.sort_values(["payback_months_discounted", "use_case_id"], kind="stable")
    paying = moves[moves["payback_months_discounted"] <= ws.plan.horizon_months]
    answer = f"{len(paying)} of {plural(len(moves), 'move')} to a specialised platform would pay back porting and delay within {ws.plan.horizon_months} months at the expected volume"
    sure = paying[paying["tier"] == "measured"]
    answer += f", {len(sure)} of them on measured capacity."
    if moves.empty:
        answer = (
            "Not computed: no specialised platform has a known capacity and price for a use case that runs elsewhere."
        )
    if len(sure):
        best = sure.iloc[0]
        answer += f" First: {best['use_case_id']} on {best['accelerator_id']}, after {num(best['payback_months_discounted'], 1)} months of stable demand."
    shown = moves.replace(np.inf, np.nan)
    columns = {
        "use_case_id": Col("Use case"),
        "from_accelerator_id": Col("From"),
        "accelerator_id": Col("To"),
        "tier": Col("Known by"),
        "one_off_usd": Col("Porting and delay, USD", "usd_compact"),
        "saving_usd_per_month": Col("Saves a month, USD", "usd_compact"),
        "payback_months_discounted": Col("Months to pay back", "num1"),
        "payback_months_low_capacity": Col("At the low end of capacity", "num1"),
        "units_per_month": Col("Units a month", "sig3"),
        "break_even_units_per_month": Col("Break-even units a month", "sig3"),
        "bearable_changes_per_year": Col("Changes a year it bears", "num1"),
        "verdict": Col("Verdict"),
    }
    note = "A dash: never. From: the general platform that is cheapest on measured or production capacity, without any on estimates, beside the other use cases, as all money here is, or in nodes of its own where these are cheaper. Porting and delay: beyond those of From, below zero where From has more of them. Months with interest at the cost of capital. Money and units a month: level ones of the same present value as those of the expected scenario, all regions together. Break-even units: stable volume from which the move pays within the horizon. Changes: how often prompts, context or retrieval may change before rework eats the saving."
    return group(
        section("When does a specialised platform pay back its porting?", answer),
        table(
            shown,
            caption="Migration break-even",
            source=SOURCE,
            as_of=ws.as_of,
            columns=columns,
            max_rows=20,
            note=note,
        ),
    )


def architecture_section(ws: Workspace, short: Shortlist) -> Group:
    """The architecture that follows."""
    layers = short.architecture
    answer = (
        f"{plural(len(layers), 'layer')}: {join_words(f'{row.layer} with {pct(row.share, 0)} of the money' for row in layers.itertuples())}. "
        f"Together the use cases cost {usd_compact(layers['total_usd'].sum())} over {ws.plan.horizon_months} months in the expected scenario, "
        f"{usd_compact(layers['alone_usd'].sum() - layers['total_usd'].sum())} less than each alone, since they share nodes."
        if len(layers)
        else "No architecture follows yet."
    )
    columns = {
        "layer": Col("Layer"),
        "use_cases": Col("Use cases", "int"),
        "platforms": Col("Platforms"),
        "total_usd": Col(f"Together, present value of {ws.plan.horizon_months} months, USD", "usd_compact"),
        "share": Col("Share", "pct0"),
        "alone_usd": Col("Sum of each alone, USD", "usd_compact"),
    }
    note = "Together: the nodes that all use cases of a platform share, with missed targets, delay, porting and rework; layers add up. The buy plan prices the same work over many paths of demand and prices, and orders for them. The innovation track holds pilots of specialised platforms; they cost nothing here until they are chosen."
    return group(
        section("What architecture follows?", answer),
        table(layers, caption="Layers", source=SOURCE, as_of=ws.as_of, columns=columns, note=note),
    )


def pilots_section(ws: Workspace, short: Shortlist) -> Group:
    """What to pilot, and what ends a pilot."""
    verdicts = short.robustness.verdicts.set_index("use_case_id")["deciding_measurement"]
    keys = list(zip(short.pilots["use_case_id"], short.pilots["accelerator_id"], strict=True))
    net = short.knowledge.set_index(["use_case_id", "accelerator_id"])["net_usd"].to_dict()
    pilots = short.pilots.assign(
        pays=[net.get(key, 0.0) > 0 for key in keys], decides=[str(chip) in str(verdicts.get(case, "")) for case, chip in keys]
    ).sort_values(["pays", "decides", "total"], ascending=False, na_position="last", kind="stable")  # fmt: skip
    answer = (
        f"{plural(len(pilots), 'cell')} {'is' if len(pilots) == 1 else 'are'} worth a pilot; "
        + (
            f"start with the {int(pilots['pays'].sum())} whose benchmark pays for itself."
            if pilots["pays"].any()
            else f"start with the {int(pilots['decides'].sum())} whose measurement would decide a use case."
            if pilots["decides"].any()
            else "no single measurement would decide a use case."
        )
        if len(pilots)
        else "No cell is worth a pilot."
    )
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Platform"),
        "total": Col("Score", "num2"),
        "tier": Col("Known by"),
        "reason": Col("Why a pilot"),
        "beside_usd": Col("Costs, USD", "usd_compact"),
        "target_usd": Col("To beat, USD", "usd_compact"),
        "exit_criterion": Col("Goes on only if"),
    }
    return group(
        section("What should be piloted, and what ends a pilot?", answer),
        table(pilots, caption="Pilots", source=SOURCE, as_of=ws.as_of, columns=columns, max_rows=20,
              note="Costs: price over the horizon beside the other use cases, in nodes of its own where these are cheaper. To beat: what the chosen platform adds to them, for a pilot of that platform what its runner-up does, if more. The capacity asked for is the one at which both are the same."),
    )  # fmt: skip


def benchmarks_section(ws: Workspace, short: Shortlist) -> Group:
    """Which benchmarks are worth more than they cost, in the order to run them."""
    worth = worthwhile(short.knowledge)
    if worth.empty:
        answer = "No benchmark pays: no interval of capacity is wide enough to change a choice by more than its benchmark costs."
    else:
        first = worth.iloc[0]
        answer = (
            f"{plural(len(worth), 'use case')} {'has' if len(worth) == 1 else 'have'} one, worth up to {usd_compact(worth['net_usd'].sum())} together after "
            f"{usd_compact(worth['cost_usd'].sum())} of own cost. First: {first['accelerator_id']} for {first['use_case_id']}, "
            f"{usd_compact(first['net_usd'])} net."
        )
    columns = {
        "use_case_id": Col("Use case"),
        "accelerator_id": Col("Platform"),
        "cheapest_probability": Col("Cheapest in", "pct0"),
        "worth_usd": Col("Worth up to, USD", "usd0"),
        "cost_usd": Col("Own cost, USD", "usd0"),
        "net_usd": Col("Net, USD", "usd0"),
    }
    note = (
        f"Worth: how much the expected cheapest cost over {ws.plan.horizon_months} months falls once this capacity is known, and the platform may be chosen; the best benchmark of each "
        "use case, since several of one do not add up. Own cost: staff, a whole node and, on another class, part of the porting (benchmark_ assumptions). "
        "Every platform costs what it adds to the other use cases on its nodes, or nodes of its own where these are cheaper."
    )
    return group(
        section("Which benchmarks pay for themselves?", answer),
        table(worth, caption="Benchmarks in the order to run them", source=SOURCE, as_of=ws.as_of, columns=columns, max_rows=12, note=note),
    )  # fmt: skip


def judgements_section(ws: Workspace, judged: pd.DataFrame) -> Group:
    """What the judged scores stand on, and how many of them lack something."""
    lacking, owners = judged[judged["lacks"] != ""], judged["owner_role"].fillna("")
    parts = judged["lacks"].str.split(", ").explode()
    counts = parts[parts != ""].value_counts()
    held = [f"{count} by the {name}" for name, count in owners[owners != ""].value_counts().items()]
    answer = (
        f"{len(lacking)} of {plural(len(judged), 'judged value')} behind this ranking lack something"
        + (f": {join_words(f'{what} ({count})' for what, count in counts.items())}." if len(counts) else ".")
        + (f" They are owned: {join_words(held)}." if held else "")
        + " A judgement of your own replaces one by a row in judgements.csv."
    )
    columns = {
        "platform": Col("Platform"),
        "workload_class": Col("Work"),
        "criterion": Col("Criterion"),
        "score": Col("Score", "num2"),
        "low": Col("Low", "num2"),
        "high": Col("High", "num2"),
        "owner_role": Col("Owner"),
        "as_of": Col("Evidence of", "date"),
        "rationale": Col("Reason", "prose"),
        "lacks": Col("Lacks"),
    }
    frame = judged.assign(gap=judged["lacks"] == "", work=judged["workload_class"].replace("*", "all"))
    frame = frame.assign(workload_class=frame["work"]).sort_values(["gap", "criterion", "platform"], kind="stable")
    frame = frame.assign(**{name: frame[name].map(readable) for name in ("workload_class", "criterion")})
    return group(
        section("What do the judged scores stand on?", answer),
        table(frame, caption="Judged values, those that lack something first", source="judgements table",
              as_of=as_of_range(judged["as_of"].dropna()), columns=columns, max_rows=12, note="All of them are in the table of judged values of the run folder."),
    )  # fmt: skip


def examples_section(ws: Workspace, examples: pd.DataFrame) -> Group:
    """The article's scenarios, worked."""
    argued = int(examples["as_argued"].sum())
    answer = f"{argued} of {len(examples)} come out as the article argues, on this workspace's prices and rules and public measurements."
    columns = {
        "example": Col("Example"),
        "argument": Col("The article argues"),
        "platform": Col("Start on"),
        "total_usd": Col(f"Present value of {ws.plan.horizon_months} months, USD", "usd_compact"),
        "alternative": Col("Alternative"),
        "alternative_usd": Col("It costs, USD", "usd_compact"),
        "alternative_tier": Col("Known by"),
        "cheaper_probability": Col("Cheaper in", "pct0"),
        "as_argued": Col("As argued", "bool"),
        "explanation": Col("Why"),
    }
    note = (
        f"Cheaper in: share of draws. Known by other classes: {UNSEEN_EVIDENCE}; enough to ask for a benchmark, not to buy. "
        "Every node is priced on its cheapest terms, as in the plan; each example is an organisation of its own, without kit or orders of yours."
    )
    return group(
        section("Do the article's three scenarios come out as it argues?", answer),
        table(examples.replace(np.inf, np.nan), caption="Worked examples", source="planning article, section 9 (volumes invented); public measurements, prices; plan.yaml",
              as_of=ws.as_of, columns=columns, note=note),
    )  # fmt: skip
