"""Forecast score, hardware, drift, decisions and changes in the monthly refresh."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.duties import AFTER_TEST, HOSTED_TEST, ORDER
from aifactory.buyplan.governance import DECISION_WINDOW_MONTHS
from aifactory.buyplan.releases import COMMITMENT
from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, group, section, table
from aifactory.report.text import date_name, join_words, month_name, num, pct, plural, usd, usd_compact
from aifactory.review import Review
from aifactory.review.band_triggers import FIRED, by_date
from aifactory.review.monthly import previous_month
from aifactory.review.recommendation import CANCEL, DEFER, FORWARD, HOLD, KEYS, NEW

BILL, DEMAND, POOLS = "billing table", "demand_windows and jobs tables", "pools table"
ROWS = 12
#: Two forecasts whose errors differ by less are equally good.
LIKE = 0.01


def accuracy_section(ws: Workspace, review: Review) -> Group:
    """How good the forecast was."""
    question = "How good was the forecast?"
    rows = review.forecast_accuracy
    now = rows[rows["month"] == ws.period]
    if now.empty:
        return group(section(question, "Forecast accuracy could not be computed: no forecast covers this month."))
    bias = now["error_share"].median()
    answer = f"Against the {now['basis'].iloc[0]}: median error {pct(now['error_share'].abs().median(), 1)}, median bias {pct(bias, 1)}; {int(now['inside_band'].sum())} of {len(now)} use cases lie inside their band."
    columns = {
        "use_case_id": Col("Use case"),
        "forecast": Col("Forecast units", "sig3"),
        "actual": Col("Actual units", "sig3"),
        "error_share": Col("Error", "pct1"),
        "inside_band": Col("Inside band", "bool"),
    }
    facts = {"source": f"{DEMAND}; approved_plan table", "as_of": ws.as_of}
    parts = [section(question, " ".join([answer, _beaten(review)]).strip())]
    if len(review.forecast_scores):
        scores = {
            "forecast": Col("Forecast"),
            "use_cases": Col("Use cases", "int"),
            "median_error": Col("Median error", "pct1"),
            "median_bias": Col("Median bias", "pct1"),
            "inside_band": Col("Inside P10 to P90", "pct0"),
            "pinball": Col("Quantile loss", "num3"),
            "error_vs_repeat": Col("Error over repeating", "num2"),
        }
        note = "Quantile loss of P10, median and P90 over actual units; a band of this kind should hold 80 %. Of a use case of which the approved plan holds bands of regions alone they are added up, which is wider than its own. Below 1 in the last column beats repeating last month."
        caption = f"Scores of the forecasts of {month_name(ws.period)}"
        parts.append(table(review.forecast_scores, caption=caption, columns=scores, note=note, **facts))
    caption = f"Forecast and actual, {month_name(ws.period)}"
    return group(*parts, table(now, caption=caption, columns=columns, **facts))


def _beaten(review: Review) -> str:
    scores = review.forecast_scores
    if len(scores) < 2 or not np.isfinite(scores["error_vs_repeat"].iloc[0]):
        return ""
    told = [_against_repeating("Last month's forecast", scores["error_vs_repeat"].iloc[0])]
    planned = scores[scores["forecast"].str.startswith("plan ")]["error_vs_repeat"].dropna()
    told += [_against_repeating("The forecast of the approved plan", ratio) for ratio in planned]
    return " ".join(told)


def _against_repeating(what: str, ratio: float) -> str:
    """How a forecast did beside repeating last month, `ratio` of the two errors.

    >>> _against_repeating("It", 0.8), _against_repeating("It", 1.467), _against_repeating("It", 1.005)
    ('It beat repeating last month: 0.80 of its error.', 'It did not beat repeating last month: 1.47 times its error.', 'It was as good as repeating last month.')
    """
    if abs(ratio - 1) < LIKE:
        return f"{what} was as good as repeating last month."
    word = (
        f"beat repeating last month: {num(ratio, 2)} of"
        if ratio < 1
        else f"did not beat repeating last month: {num(ratio, 2)} times"
    )
    return f"{what} {word} its error."


def hardware_section(ws: Workspace, review: Review) -> Group:
    """Which pools to keep, to watch, to retire."""
    question = "Which hardware should go?"
    rows = review.hardware
    if rows.empty:
        return group(section(question, "The rule for hardware could not be applied: no pool readings in the month."))
    worst, watch = rows[rows["verdict"] == "retire"], int((rows["verdict"] == "watch").sum())
    answer = f"By the rule {plural(len(worst), 'pool')} of {len(rows)} are to be retired and {watch} watched."
    if len(worst):
        paid, idle = worst["usd_month"].sum(), worst["idle_usd_month"].sum()
        undecided = worst[worst["decision"] == ""]
        answer += f" Those to retire cost {usd_compact(paid)} a month, {usd_compact(idle)} of it idle"
        answer += (
            f"; no decision is logged for {join_words(undecided['pool_id'])}."
            if len(undecided)
            else "; a decision is logged for each."
        )
        answer += still_needed(worst)
    columns = {
        "verdict": Col("Verdict"),
        "pool_id": Col("Pool"),
        "accelerator_id": Col("Accelerator"),
        "utilization_mean": Col("Utilisation", "pct0"),
        "months_below": Col("Months below", "int"),
        "usd_month": Col("USD a month", "usd0"),
        "usd_per_used_hour": Col("USD a used hour", "usd_hour"),
        "rented_usd_per_used_hour": Col("Rented", "usd_hour"),
        "installed": Col("Installed", "int"),
        "needed_next": Col("Plan needs of the kind", "int"),
        "decision": Col("Decision logged"),
    }
    note = (
        f"Retire: below {pct(ws.plan.deprecate_below_utilization, 0)} in each of six months and dearer per used hour, people and storage included, than renting on demand at the "
        f"median utilisation of six months, or out of support. Watch: one of these, or falling. One node at each site that stands alone is kept, however little it is used. {_support(review)}"
    )
    shown = rows[rows["verdict"] != "keep"]
    facts = {"source": f"{POOLS}; {BILL}; prices and lifecycle tables", "as_of": ws.as_of}
    caption = "Pools to retire and to watch"
    return group(
        section(question, answer), table(shown, caption=caption, columns=columns, note=note, max_rows=ROWS, **facts)
    )


def still_needed(worst: pd.DataFrame) -> str:
    """Pools to retire of a kind that a plan made now needs in the same region, in a sentence; "" without any."""
    rows = worst[worst["needed_next"] > 0]
    if rows.empty:
        return ""
    named = [f"{row.pool_id} ({row.needed_next:,.0f} {row.accelerator_id})" for row in rows.itertuples()]
    return (
        f" A plan made now needs accelerators of the same kind there next month for {join_words(named)}: let its work onto these pools "
        "before others are rented or bought, and retire what stays idle."
    )


def _support(review: Review) -> str:
    rows = review.platforms
    dated = rows[rows["support_source"] != ""]
    if dated.empty:
        return "No end of support is published for any accelerator in use."
    named = [f"{row.accelerator_id} {row.support_ends} ({row.support_source})" for row in dated.itertuples()]
    return f"Support ends: {join_words(named)}; for the others no date is published."


def drift_section(ws: Workspace, review: Review) -> Group:
    """Whether this month's requests look like last month's."""
    question = "Did the work itself change?"
    rows = review.drift
    if rows.empty:
        return group(section(question, "Drift could not be computed: one month of counts and lengths only."))
    moved = rows[rows["verdict"] != "stable"]
    answer = f"{len(rows) - len(moved)} of {plural(len(rows), 'comparison')} of lengths and mixes are stable."
    grown = review.token_growth
    grown = grown[grown["change"].abs() >= 0.05].sort_values("change", key=abs, ascending=False)
    if len(grown):
        named = [
            f"{row.use_case_id} {row.tokens.replace('_', ' ')} {pct(row.change, 0)}"
            for row in grown.head(3).itertuples()
        ]
        answer += f" Tokens a request moved most for {join_words(named)}."
    columns = {
        "use_case_id": Col("Use case"),
        "what": Col("What"),
        "compared_with": Col("Compared with", "month"),
        "stability_index": Col("Stability index", "num3"),
        "chance_index": Col("By chance", "num3"),
        "verdict": Col("Verdict"),
        "moved": Col("What moved"),
    }
    shown = moved.sort_values("stability_index", ascending=False)
    caption = "Lengths and mixes that moved"
    facts = {"source": f"{DEMAND}; latency_histograms table", "as_of": ws.as_of}
    return group(section(question, answer), table(shown, caption=caption, columns=columns, max_rows=ROWS, **facts))


def decisions_section(ws: Workspace, review: Review) -> Group:
    """Decisions due, dates to come, and what changed this month."""
    due = review.decisions_due
    late = int(due["overdue"].sum()) if len(due) else 0
    answer = (
        f"{plural(len(due), 'decision')} {'is' if len(due) == 1 else 'are'} open, {late} overdue."
        if len(due)
        else "No decision is open."
    )
    answer += to_do(review)
    moved = review.figures_changed
    if len(moved):
        counts = moved["what"].value_counts()
        answer += " " + join_words([f"{n} x {what}" for what, n in counts.items()]) + " changed."
    answer += restated_sentence(review)
    columns = {
        "due": Col("Due", "date"),
        "subject": Col("Subject"),
        "text": Col("What"),
        "owner_role": Col("Owner"),
        "overdue": Col("Overdue", "bool"),
    }
    changed = {
        "date": Col("Date"),
        "kind": Col("Kind"),
        "subject": Col("Subject"),
        "text": Col("What"),
        "owner_role": Col("Owner"),
    }
    figures = {
        "what": Col("What"),
        "subject": Col("Subject"),
        "before": Col("Before", "sig3"),
        "now": Col("Now", "sig3"),
        "change": Col("Change", "pct1"),
        "unit": Col("Unit"),
        "compared_with": Col("Compared with"),
    }
    dates = {
        "date": Col("Date", "date"),
        "event": Col("What"),
        "owner_role": Col("Who"),
        "kind": Col("Kind"),
        "rule": Col("Rule"),
    }
    top = moved.groupby("what", sort=False).head(5)
    return group(
        section("What is due, and what changed since last month?", answer),
        table(due, caption="Decisions due", source="decisions and api_prices tables", as_of=ws.as_of, columns=columns),
        *_recommendation(ws, review),
        table(review.governance, caption="Dates of the next twelve months", source="plan.yaml; decisions and lifecycle tables; buy plan stage", as_of=ws.as_of, columns=dates, max_rows=ROWS,
              note="The calendar file beside this report holds all; imported again next month, it moves what moved."),
        table(review.changes, caption=f"Changes in {month_name(ws.period)}", source=f"decisions and commitments tables; {BILL}; {DEMAND}", as_of=ws.as_of, columns=changed),
        *_restated(ws, review),
        table(top, caption="Figures that changed, the largest of each kind", source=f"prices table; {DEMAND}; approved_plan table; buy plan stage", as_of=ws.as_of, columns=figures, max_rows=20,
              note="Offers by the date on which they were noted; the forecast made a month ago against the one made now; the plan made now against the approved one."),
    )  # fmt: skip


def restated_sentence(review: Review) -> str:
    """Which earlier months are not what their report told; nothing where that report is not known."""
    rows = review.months_restated
    last = month_name(previous_month(review.period))
    if not review.compared_with_told:
        return ""
    if rows.empty:
        return f" No bill or demand of an earlier month has changed since the first report of {last}."
    bills = rows[rows["what"] == "bill"]
    months = sorted(rows["month"].unique())
    text = f" {join_words(map(month_name, months))} {'has' if len(months) == 1 else 'have'} changed since the first report of {last}"
    parts = [
        f"the bill of {month_name(row.month)} by {usd(row.change, 2)}, from {usd(row.told, 2)} to {usd(row.now, 2)}"
        for row in bills.itertuples()
    ]
    return f"{text}: {join_words(parts)}." if parts else f"{text}, in demand."


def _restated(ws: Workspace, review: Review) -> list[Block]:
    rows = review.months_restated
    if rows.empty:
        return []
    columns = {
        "month": Col("Month", "month"), "what": Col("What"), "subject": Col("Use case"), "told": Col("Told first", "num2"),
        "now": Col("Now", "num2"), "change": Col("Change", "num2"), "unit": Col("Unit"),
    }  # fmt: skip
    caption = f"Earlier months that changed since the first report of {month_name(previous_month(ws.period))}"
    source = "billing, demand_windows and jobs tables; that report"
    return [table(rows, caption=caption, columns=columns, source=source, as_of=ws.as_of, max_rows=ROWS)]


def to_do(review: Review) -> str:
    """What a plan made today would do with the orders of the approved plan, in a sentence with money."""
    rows = review.recommendation
    if rows.empty:
        return ""
    usd = rows[["approved_usd", "today_usd"]].max(axis=1).groupby(rows["action"]).sum()
    known = [f"{action} {usd_compact(usd[action])}" for action in (HOLD, FORWARD, DEFER, CANCEL) if action in usd.index]
    text = f" Of the orders approved and not placed, a plan made today would {join_words(known)}." if known else ""
    late = rows.loc[(rows["approved_month"] != "") & (rows["approved_month"] <= review.period), "approved_usd"].sum()
    text += f" {usd_compact(late)} of them were to be placed by {month_name(review.period)}." if late > 0 else ""
    undone = _released_and_cancelled(review)
    if undone > 0:
        text += f" {usd_compact(undone)} of what it would cancel is released by demand: it serves that work without them, so compare before signing."
    if NEW in usd.index:
        text += (
            f" It adds {usd_compact(usd[NEW])} within a year that was neither approved nor placed{_new_soon(review)}."
        )
    return text


def waiting_for_test(review: Review) -> str:
    """Orders of a plan made today that wait for a test of hosted models, in a sentence; "" where none does."""
    dates = review.governance
    waits = (
        dates[(dates["kind"] == ORDER) & dates["rule"].astype("str").str.contains(AFTER_TEST)] if len(dates) else dates
    )
    if waits.empty:
        return ""
    ends = dates.loc[dates["event_id"] == HOSTED_TEST, "date"]
    by = f", due {date_name(pd.Timestamp(ends.iloc[0]))}" if len(ends) else ""
    return (
        f" A plan made today tests hosted models first{by}: {len(waits):,} of its orders within a year {'wait' if len(waits) > 1 else 'waits'} "
        "for it, also where an approved one for the same work is released; see the rules of the dates below."
    )


def _new_soon(review: Review) -> str:
    """How much of the orders due in the decision window of a plan made today is new, in words; "" where none is."""
    last = str(pd.Period(review.period, "M") + DECISION_WINDOW_MONTHS)
    rows = review.recommendation
    due = rows[rows["today_month"].between(review.period, last)]
    new = due.loc[due["action"] == NEW, "today_usd"].sum()
    whole = due["today_usd"].sum()
    return f": {usd_compact(new)} of the {usd_compact(whole)} that it orders by {month_name(last)}" if new > 0 else ""


def _released_and_cancelled(review: Review) -> float:
    """Money of orders that demand released and that a plan made today does without, USD."""
    fired = review.band_triggers[
        (review.band_triggers["state"] == FIRED)
        & (review.band_triggers["kind"] == COMMITMENT)
        & ~by_date(review.band_triggers)
    ]
    open_ = set(fired[[*KEYS, "order_month"]].itertuples(index=False, name=None))
    rows = review.recommendation[review.recommendation["action"] == CANCEL]
    mine = [row in open_ for row in rows[[*KEYS, "approved_month"]].itertuples(index=False, name=None)]
    return float(rows.loc[mine, "approved_usd"].sum())


def _recommendation(ws: Workspace, review: Review) -> list[Block]:
    """Each order of the approved plan beside today's; nothing without an approved plan."""
    rows = review.recommendation
    if rows.empty:
        return []
    columns = {
        "action": Col("What to do"),
        "region": Col("Region"),
        "accelerator_id": Col("Accelerator"),
        "terms": Col("Terms"),
        "accelerators": Col("Number", "int"),
        "approved_month": Col("Approved for", "month"),
        "today_month": Col("Plan of today", "month"),
        "approved_usd": Col("Approved, USD", "usd0"),
        "today_usd": Col("Today, USD", "usd0"),
    }
    note = (
        "Orders not placed yet, against the plan made with this month's data, which starts from the commitments table; a shift of less than a "
        "quarter is none."
    )
    shown = rows.assign(terms=rows["purchase_option"].map(OPTION_NAMES).fillna(rows["purchase_option"]))
    caption = "Orders of the approved plan, and what a plan made today does with them"
    facts = {"source": "approved_bands, commitments and decisions tables; buy plan stage", "as_of": ws.as_of}
    return [table(shown, caption=caption, columns=columns, note=note, max_rows=ROWS, **facts)]
