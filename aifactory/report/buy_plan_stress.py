"""Page of stage 4: what would break the plan, and what flexibility is worth."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan.backtest import OURS
from aifactory.buyplan.backtest_history import HistoryBacktest, standing
from aifactory.buyplan.stress.flexibility import Flexibility
from aifactory.buyplan.stress.run import MOST_MISSED, StressTest
from aifactory.fleet.missed import LEAST_HOURS
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, group, section, table
from aifactory.report.text import join_words, num, pct, plural, usd_compact

QUESTION, WORTH = "What would break the plan?", "What is flexibility worth?"
SOURCE = "computed: the plan's orders on its demand paths, each stress with its source in the workbook"
PAID = "Would planning this way have paid?"
PAST = "computed: hourly demand of the workspace, capacity and prices of this plan"
PRICED = "computed: the plan's orders on its demand paths, prices of this plan"
#: Rows of the table of stresses; rights below this share of the cost are worth nothing.
ROWS, LEAST_SHARE = 12, 0.001
#: Multiple of the cost beyond which a change is told in money alone.
MOST_TOLD = 10.0


def stress_section(ws: Workspace, test: StressTest | None) -> Group | Block:
    """Which stresses the plan does not survive, and the dearest ones with the best response."""
    if test is None:
        return section(QUESTION, "Not computed: nothing in the plan can be committed to.")
    return group(section(QUESTION, _finding(test)), _table(ws, test))


def _finding(test: StressTest) -> str:
    rows = test.table
    broken = rows.loc[~rows["survives"], "stress"].tolist()
    dearest = rows.iloc[0]
    if broken:
        count = f"{len(broken)} of {len(rows)} stresses: {join_words([name[:1].lower() + name[1:] for name in broken])}"
        text = f"The plan does not survive {count}. "
    else:
        text = f"The plan survives all {len(rows)} stresses. "
    text += f"The dearest is {dearest['stress'][:1].lower() + dearest['stress'][1:]} with {_change(dearest)}"
    answered = rows[~rows["response"].str.startswith("Keep")].sort_values("saved_usd", ascending=False, kind="stable")
    if answered.empty:
        return text + "; in none of them would other orders, placed once it has happened, save more than 0.2 %."
    best = answered.iloc[0]
    return (
        text
        + f"; ordering anew saves most, {usd_compact(best['saved_usd'])}, after {best['stress'][:1].lower() + best['stress'][1:]}."
    )


def _change(row: pd.Series) -> str:
    """Change of cost with its share, which says nothing where next to nothing was to be paid before."""
    share = f" ({pct(row['change_share'], 0)})" if abs(row["change_share"]) <= MOST_TOLD else ""
    return f"{'+' if row['change_usd'] >= 0 else '-'}{usd_compact(abs(row['change_usd']))}{share}"


def _shown(test: StressTest) -> pd.DataFrame:
    """The largest changes, dearest first."""
    order = test.table["change_usd"].abs().sort_values(ascending=False, kind="stable").index[:ROWS]
    return test.table.loc[sorted(order)]


def _table(ws: Workspace, test: StressTest) -> Block:
    frame = _shown(test)
    subject = frame["subject"].where(frame["subject"] == "", " (" + frame["subject"] + ")")
    frame = frame.assign(stress=frame["stress"] + ": " + frame["what"] + subject)
    columns = {
        "stress": Col("Stress"),
        "change_usd": Col("Cost, USD more", "usd0"),
        "change_share": Col("Share", "pct0"),
        "missed_share": Col("Demand missed", "pct1"),
        "penalty_usd": Col("SLA penalty, USD", "usd0"),
        "exceeds_share": Col("Paths over budget", "pct0"),
        "survives": Col("Survives", "bool"),
        "regret_usd": Col("Regret, USD", "usd0"),
        "response": Col("Best response once it has happened"),
    }
    note = (
        f"Present value of new orders and rented hours, people and storage included, over the horizon; without stress {usd_compact(test.base.objective_usd)}, missed demand at the "
        f"value that the plan takes as lost ({pct(test.base.missed_share, 1)} of it on all paths: the return tells what the expected path serves), at least {num(LEAST_HOURS)} of the dearest hours; prices stand at today's but where a stress moves them. Budget: the mean of the worst paths without stress, {usd_compact(test.base.tail_usd)}. "
        f"Survives: mean cost within it and at most {pct(MOST_MISSED, 0)} more of the demand missed. Regret: against the best orders had "
        "the stress been known. Other orders are named where they save more than 0.2 %."
    )
    caption = f"The plan under stress: the {len(frame)} largest changes of {len(test.table)}"
    return table(frame, caption=caption, source=SOURCE, as_of=ws.as_of, columns=columns, note=note)


def flexibility_section(ws: Workspace, worth: Flexibility | None) -> Group | Block:
    """What each right is worth, hence the most to pay for it."""
    if worth is None:
        return section(WORTH, "Not computed: nothing in the plan can be committed to, or workloads share platforms.")
    first, rows = worth.table.iloc[0], worth.table
    nothing = rows.loc[rows["share"] < LEAST_SHARE, "right"].tolist()
    text = "No right is worth paying for: what there is to order or to rent costs as much without."
    if first["share"] >= LEAST_SHARE:
        text = f"Most is worth the {_lower(first['right'])}: up to {usd_compact(first['worth_usd'])}, {pct(first['share'], 0)} of what new orders and rented hours cost."
    if nothing and len(nothing) < len(rows):
        text += f" Pay nothing for: {join_words([_lower(name) for name in nothing])}."
    columns = {
        "right": Col("Right"),
        "how": Col("How it is used"),
        "expected_usd": Col("Expected, USD", "usd0"),
        "tail_usd": Col("Worst overruns, USD", "usd0"),
        "worth_usd": Col("Most to pay, USD", "usd0"),
        "share": Col("Share of cost", "pct1"),
    }
    note = (
        "Present value over the horizon: cost of new orders and rented hours, with people and storage, without the right less with it, on the same paths; the most to pay weighs mean and "
        "worst overruns. Values do not add up. Work that may wait for hours is spread over them with and without each right: that is valued in none."
    )
    caption = "Rights and what they are worth"
    return group(
        section(WORTH, text), table(rows, caption=caption, source=PRICED, as_of=ws.as_of, columns=columns, note=note)
    )


def history_section(ws: Workspace, past: HistoryBacktest | None) -> Group | Block:
    """What each way to plan would have cost on the organisation's own past."""
    if past is None:
        return section(PAID, "Not computed: no pool with offers has eight months of hourly demand.")
    rival, more = standing(past.table)
    rows = past.table.set_index("policy")
    stands = f"{usd_compact(abs(more))} {'less' if more < 0 else 'more'} than the cheapest rule ({rival})"
    if abs(more) < LEAST_SHARE * rows.loc[OURS, "cost_usd"]:
        stands = f"as much as the cheapest rule ({rival})"
    text = (
        f"Planned on {past.planned_on} months of our own demand and paid for over the next {past.paid_for}, the plan over many futures "
        f"would have cost {usd_compact(rows.loc[OURS, 'cost_usd'])}, {stands} and {pct(rows.loc[OURS, 'regret_share'], 1)} more than perfect foresight."
    )
    columns = {
        "policy": Col("Way to plan"),
        "cost_usd": Col("Cost, USD", "usd0"),
        "committed_usd": Col("Committed", "usd0"),
        "rented_usd": Col("Rented by the hour", "usd0"),
        "missed_share": Col("Missed", "pct1"),
        "regret_share": Col("Over foresight", "pct1"),
    }
    note = (
        f"{plural(past.pools, 'pool')} with hourly demand, hours on demand and terms ({past.left_out} left out) at today's capacity and prices, people and storage included; "
        "every way plans anew each month; hours in whole nodes; terms count for the months tested; bought kit and jobs are left out."
    )
    shown = table(
        past.table, caption="Ways to plan on our own past", source=PAST, as_of=ws.as_of, columns=columns, note=note
    )
    return group(section(PAID, text), shown)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def tables(
    test: StressTest | None, worth: Flexibility | None = None, past: HistoryBacktest | None = None
) -> dict[str, pd.DataFrame]:
    """Tables for the run folder."""
    found = {"stress_tests": test, "flexibility": worth, "plans_on_own_past": past}
    return {name: held.table for name, held in found.items() if held is not None}
