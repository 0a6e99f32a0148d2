"""The reserve in the buy plan: what each step of safety costs, with 20 % and 40 % on the same curve."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.reserve_curve import STREAM
from aifactory.fleet.risk_reserve import DEMAND_CHAIN, HOURS_PER_WEEK
from aifactory.inputs.workspace import Workspace
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Figure, Group, bullets, figure, group, section, table
from aifactory.report.text import count, month_name, num, pct, plural, usd_compact
from aifactory.units import HOURS_PER_MONTH

MOST_SHOWN = 1.0
#: Streams in the table, and notes below it.
STREAMS_SHOWN, MOST_NOTES = 6, 5
SOURCE = "demand_windows table, prices and orders of this plan"
CHAIN_SOURCE = "demand_chain and demand_windows tables, plan.yaml and prices of this plan"


def reserve_section(ws: Workspace, plan: BuyPlan) -> Group:
    """Question, answer, the curve of the dearest stream and tables of all."""
    question = "How much reserve, at what risk, for how much money?"
    notes = plan.reserves["note"] if len(plan.reserves) else pd.Series(dtype="str")
    known = plan.reserves[plan.reserves["exceedance_backtest"].notna()] if len(plan.reserves) else plan.reserves
    based = (
        known[known["reserve"].notna()] if len(known) else known
    )  # work in fewer than one of twenty hours has no 95th percentile to be over
    if based.empty:
        why = "; ".join(dict.fromkeys(text for text in notes if text))
        why = why or "no served stream of the plan has hours to learn from, with work in one of twenty"
        return group(
            section(question, f"The reserve could not be tested against the past: {why}."), *chain_blocks(ws, plan)
        )
    first = based.iloc[0]
    fixed = _steps(plan, first)
    past = [pct(_at(fixed, ratio)["exceedance"], 1) for ratio in (0.2, 0.4)]
    answer = (
        f"{first['use_case_id']} in {first['region']} needs {pct(first['reserve'], 0)} over the 95th percentile of its recent hours "
        f"to stay within capacity in {pct(1 - first['target'], 1)} of the hours of a lead time of {plural(round(first['lead_weeks']), 'week')}. "
        f"Plans made that way in the past, each aiming at what those before it left of the target, were exceeded in {pct(first['exceedance_backtest'], 1)} of the hours "
        f"({num(first['hours_per_month_over'], 1)} hours a month); a fixed 20 % over the same basis in {past[0]}, 40 % in {past[1]}. "
        + _exceeded(known)
        + _against_article(plan.reserves)
    )
    noted = plan.reserves[(plan.reserves["note"] != "") & (plan.reserves["known_from"] != DEMAND_CHAIN)]
    said = noted_streams(noted)
    return group(
        section(question, answer),
        chart_curve(ws, plan, first),
        table_reserves(ws, plan),
        bullets(said, "Every history holds four lead times or more."),
        table_steps(ws, plan, first),
        *chain_blocks(ws, plan),
    )


def _exceeded(known: pd.DataFrame) -> str:
    """How many streams were over their target in the past, and the one that was by the most, as a multiple of its target."""
    times = known["exceedance_backtest"] / known["target"]
    if not (times > 1).any():
        return ""
    worst = known.loc[times.idxmax()]
    if len(known) == 1:
        return "Its plans were exceeded more often than their target. "
    return (
        f"Of {plural(len(known), 'stream')} {int((times > 1).sum())} were exceeded more often than their target, furthest {worst['use_case_id']} in "
        f"{worst['region']}: in {pct(worst['exceedance_backtest'], 2)} of the hours, against {pct(worst['target'], 2)}. "
    )


def risk_taken(reserves: pd.DataFrame) -> str:
    """Whether what lies above reserves below the busiest hour was within the stated risk in the past, to end a sentence with."""
    known = reserves[reserves["exceedance_backtest"].notna()] if len(reserves) else reserves
    over = int((known["exceedance_backtest"] > known["target"]).sum()) if len(known) else 0
    if not over:
        return ": the hours above it are within the stated risk"
    return f": in the past reserves set so were exceeded beyond the stated risk in {over} of {plural(len(known), 'stream')}"


def noted_streams(noted: pd.DataFrame) -> list[str]:
    """What the record of the dearest streams cannot show, a sentence each, and of how many more it cannot."""
    said = [f"{row.use_case_id}, {row.region}: {row.note}." for row in noted.head(MOST_NOTES).itertuples(index=False)]
    more = len(noted) - MOST_NOTES
    return (
        [*said, f"{plural(more, 'more stream')} of this kind: see the reserves table of the run folder."]
        if more > 0
        else said
    )


def chain_blocks(ws: Workspace, plan: BuyPlan) -> list[Block]:
    """Reserves simulated from demand chains with their steps of safety; nothing where every stream has hours."""
    if plan.reserves.empty or not (plan.reserves["known_from"] == DEMAND_CHAIN).any():
        return []
    mine = plan.reserves[plan.reserves["known_from"] == DEMAND_CHAIN]
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "month": Col("Launch", "month"),
        "target": Col("Target", "pct1"),
        "exceedance_simulated": Col("Exceeded", "pct1"),
        "risk_high": Col("Nine of ten paths, up to", "pct1"),
        "hours_per_month_over": Col("Hours a month", "num1"),
        "utilization": Col("Utilisation", "pct0"),
        "accelerators": Col("Accelerators", "num2"),
        "plan_reserve_over_peak": Col("Over peak hour", "pct0"),
        "article_over_peak": Col("Article, over peak", "pct0"),
        "article_accelerators": Col("Article, accelerators", "num2"),
    }
    note = (
        "The launch month, when nothing was seen yet: every factor of the chain (seats, share, adoption, units per seat, work of a unit) is drawn with its stated P10 and P90, else a prior; the "
        "inventory lists them. Exceeded is the share of all hours of all paths, simulated and not a record. Later months count only what moves within a lead time once the launch was seen."
    )
    said = [f"{_later(plan, row)} {row.note}." for row in mine.head(MOST_NOTES).itertuples(index=False)]
    return [
        table(mine.head(STREAMS_SHOWN)[[*columns]], caption="Reserve of streams known only from their demand chain", source=CHAIN_SOURCE, as_of=ws.as_of,
              columns=columns, note=note),
        bullets(said, ""),
        table_steps(ws, plan, mine.iloc[0]),
    ]  # fmt: skip


def _later(plan: BuyPlan, row: tuple) -> str:
    """The reserve over the peak hour at the launch and at the end of the plan."""
    need = plan.need[(plan.need["scenario"] == "expected") & (plan.need["use_case_id"] == row.use_case_id)]
    last = need[(need["region"] == row.region) & (need["accelerator_hours"] > 0)].sort_values("month").iloc[-1]
    return (
        f"{row.use_case_id}, {row.region}: {pct(row.plan_reserve_over_peak, 0)} over the peak hour in {month_name(row.month)}, "
        f"{pct(last['reserve_ratio'], 0)} in {month_name(last['month'])};"
    )


def _against_article(reserves: pd.DataFrame) -> str:
    """What the plan holds for peaks and reserve beside the article's ratios, before whole nodes and sharing."""
    known = reserves[reserves["accelerators"].notna()]
    own, article = known["accelerators"].sum(), known["article_accelerators"].sum()
    return (
        f"Over {plural(len(known[['use_case_id', 'region']].drop_duplicates()), 'stream')} these reserves ask for {count(own)} accelerators, the article's ratios over the "
        f"measured peak for {count(article)} ({pct(own / article - 1, 0)} by risk instead of by rule); orders follow the former."
    )


def _steps(plan: BuyPlan, stream: pd.Series) -> pd.DataFrame:
    mine = (plan.reserve_curve[STREAM] == stream[STREAM]).all(axis=1)
    return plan.reserve_curve[mine & (plan.reserve_curve["plan"] == "fixed")]


def _at(fixed: pd.DataFrame, ratio: float) -> pd.Series:
    return fixed.iloc[(fixed["reserve"] - ratio).abs().to_numpy().argmin()]


def chart_curve(ws: Workspace, plan: BuyPlan, stream: pd.Series) -> Figure:
    """Hours a month over capacity against the reserve, with this plan's as a line."""
    fixed = _steps(plan, stream)
    cheap, safe = _at(fixed, 0.2), _at(fixed, 0.4)
    extra = safe["usd_per_month"] - cheap["usd_per_month"]
    shown = fixed[fixed["reserve"] <= MOST_SHOWN]
    chart = charts.lines_with_band(
        shown.assign(reserve_percent=shown["reserve"] * 100), x="reserve_percent", y="hours_per_month_over", fmt="int",
        titles={"reserve_percent": "Reserve over the 95th percentile, %", "hours_per_month_over": "Hours a month over capacity"},
        reference=[(f"target: {pct(stream['target'], 1)} of hours", float(stream["target"]) * HOURS_PER_MONTH)],
    )  # fmt: skip
    return figure(
        chart,
        title=f"From 20 % to 40 % saves {num(cheap['hours_per_month_over'] - safe['hours_per_month_over'], 1)} hours a month over capacity and costs {usd_compact(extra)} a month",
        description=f"Line of hours a month over capacity by reserve for {stream['use_case_id']} in {stream['region']}, from {num(fixed['hours_per_month_over'].max(), 1)} without reserve; this plan's reserve is {pct(stream['reserve'], 0)}.",
        caption=f"Each reserve was held at {plural(int(stream['origins']), 'past date')} over the lead time that followed. Capacity counts as a hard limit; queues absorb short excess.",
        source=SOURCE,
        as_of=ws.as_of,
    )


def _named(reserves: pd.DataFrame) -> pd.Series:
    """Use case of each stream; with its accelerator where it runs on several in one region."""
    split = reserves.duplicated(STREAM[:2], keep=False)
    return reserves["use_case_id"].where(~split, reserves["use_case_id"] + " on " + reserves["accelerator_id"])


def table_reserves(ws: Workspace, plan: BuyPlan) -> Block:
    """Reserve of each stream with its record."""
    columns = {
        "use_case_id": Col("Use case"),
        "region": Col("Region"),
        "target": Col("Target", "pct1"),
        "lead_weeks": Col("Lead time, weeks", "num1"),
        "reserve": Col("Reserve", "pct0"),
        "exceedance_backtest": Col("Exceeded", "pct1"),
        "risk_high": Col("Next lead time, up to", "pct1"),
        "utilization": Col("Utilisation", "pct0"),
        "accelerators": Col("Accelerators", "num1"),
        "plan_reserve_over_peak": Col("Over peak hour", "pct0"),
        "article_over_peak": Col("Article, over peak", "pct0"),
        "article_accelerators": Col("Article, accelerators", "num1"),
    }
    note = (
        "Basis: 95th percentile of the hours of the last lead time; the lead time is the review period and the quickest capacity on offer. Targets by criticality are assumptions of the plan. "
        "Hours are taken at today's level without what launches and the season of the year make of them, growth and both are in the demand of each month. The past record is out of sample but for the trend; nine of ten lead times to come stay below the column beside it (seven of ten from a history of fewer than ten lead times). Orders follow the column over the peak hour, launch months the article's ratio if that is higher."
    )
    measured = plan.reserves[plan.reserves["known_from"] != DEMAND_CHAIN]
    return table(
        measured.assign(use_case_id=_named(measured)).head(STREAMS_SHOWN)[[*columns]],
        caption="Reserve as a result, dearest streams",
        source=SOURCE,
        as_of=ws.as_of,
        columns=columns,
        note=note,
    )


def _once(steps: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Steps of safety to show, and whether some of them hold the same whole devices: of these the safest alone."""
    if not steps.loc[steps["plan"] == "fixed", "accelerators"].duplicated().any():
        return steps[steps["reserve"] <= MOST_SHOWN], False
    once = steps.sort_values("reserve", kind="stable").drop_duplicates("accelerators", keep="last")
    shown = once[once["reserve"] <= MOST_SHOWN]
    return (shown if len(shown) else once), True


def table_steps(ws: Workspace, plan: BuyPlan, stream: pd.Series) -> Block:
    """Price of each step of safety of one stream; the table reserve_curve of the run holds all."""
    columns = {
        "plan": Col("Rule"),
        "reserve": Col("Reserve", "pct0"),
        "exceedance": Col("Hours over", "pct1"),
        "hours_per_month_over": Col("Hours a month", "num1"),
        "unserved_share": Col("Demand not served", "pct1"),
        "utilization": Col("Utilisation", "pct0"),
        "accelerators": Col("Accelerators", "num1"),
        "usd_per_month": Col("USD a month", "usd0"),
        "usd_per_hour_avoided": Col("USD per hour avoided", "usd0"),
    }
    note = f"Priced as if it stood by in all hours at the cheapest option of the plan but spot, with people and storage; where hours are rented only when they are needed a step costs less. A lead time of one week is {HOURS_PER_WEEK} hours. The last column is the money for each further hour a month within capacity, against the row above. A rule holds one reserve at all past dates; this plan set its own at each, and its hours over are of those."
    mine = (plan.reserve_curve[STREAM] == stream[STREAM]).all(axis=1)
    steps, whole = _once(plan.reserve_curve[mine])
    if whole:
        note += " Whole devices stand at every site: steps that the same devices cover are shown once, as the highest of them; hours over are at most those."
    return table(
        steps[[*columns]],
        caption=f"What each step of safety costs: {_named(plan.reserves)[stream.name]}, {stream['region']}",
        source=SOURCE,
        as_of=ws.as_of,
        columns=columns,
        max_rows=40,
        note=note,
    )
