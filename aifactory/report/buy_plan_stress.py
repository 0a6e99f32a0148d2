"""Page of stage 4: what would break the plan, and what flexibility is worth."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan.stress.run import MOST_MISSED, StressTest
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, group, section, table
from aifactory.report.text import join_words, pct, usd_compact

QUESTION = "What would break the plan?"
SOURCE = "computed: the plan's orders on its demand paths, each stress with its source in the workbook"
ROWS = 12


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
    return (
        f"{'+' if row['change_usd'] >= 0 else '-'}{usd_compact(abs(row['change_usd']))} ({pct(row['change_share'], 0)})"
    )


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
        f"Present value of accelerators over the horizon; without stress {usd_compact(test.base.objective_usd)}, missed demand at the "
        f"value that the plan takes as lost. Budget: the mean of the worst paths without stress, {usd_compact(test.base.tail_usd)}. "
        f"Survives: mean cost within it and at most {pct(MOST_MISSED, 0)} more of the demand missed. Regret: against the best orders had "
        "the stress been known."
    )
    caption = f"The plan under stress: the {len(frame)} largest changes of {len(test.table)}"
    return table(frame, caption=caption, source=SOURCE, as_of=ws.as_of, columns=columns, note=note)


def tables(test: StressTest | None) -> dict[str, pd.DataFrame]:
    """Tables for the run folder."""
    return {} if test is None else {"stress_tests": test.table}
