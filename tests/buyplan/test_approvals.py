"""Approvals: owners of the plan beside what the log says they decided and still owe."""

import pandas as pd
from bp_company import make_plan

from aifactory.buyplan.approvals import COLUMNS, approvals_frame
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.decision_checks import log_faults, log_gaps


def log(*rows):
    names = ["date", "kind", "subject", "text", "owner_role", "status", "due", "review_date"]
    frame = pd.DataFrame(
        [dict(zip(names, row + (None,) * (len(names) - len(row)), strict=True)) for row in rows], columns=names
    )
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in ("date", "due", "review_date")})  # fmt: skip


ROWS = [
    ("2026-07-20", "decision", "buy plan", "Approved.", "Board", "done"),
    ("2026-08-02", "decision", "eu h100", "Order placed.", "Platform lead", "done"),
    ("2026-07-01", "decision", "us h100", "Wait.", "Platform lead", "done"),
    ("2026-08-03", "decision", "pilot", "Goes on.", "Platform lead", "open", "2026-12-01"),
    ("2026-08-01", "assumption", "growth", "To be confirmed.", "Platform lead", "open", "2026-11-01"),
    ("2026-08-04", "decision", "old idea", "No.", "Nobody", "dropped"),
    ("2026-08-05", "change", "bill", "Corrected.", "Cost owner", "done"),
]


def test_each_role_stands_with_its_last_decision_and_what_is_open():
    rows = approvals_frame(make_plan(), log(*ROWS)).set_index("role")
    assert {"Analyst", "Board", "Platform lead"} <= set(rows.index) and rows.index.is_monotonic_increasing
    assert not {"Nobody", "Cost owner"} & set(rows.index)  # who dropped or only changed something decided nothing
    lead = rows.loc["Platform lead"]
    assert (lead["answers_for"], lead["decided"]) == ("1 duty", "eu h100: Order placed.")
    assert lead["date"] == pd.Timestamp("2026-08-02")
    assert lead["open_conditions"] == "growth: To be confirmed (due 2026-11-01); pilot: Goes on (due 2026-12-01)"
    assert rows.loc["Board", ["answers_for", "decided", "open_conditions"]].tolist() == ["", "buy plan: Approved.", ""]
    assert rows.loc["Analyst", "answers_for"].endswith("assumptions") and pd.isna(rows.loc["Analyst", "date"])


def test_without_a_log_the_owners_stand_alone():
    rows = approvals_frame(make_plan(), load_contract("decisions").empty())
    assert list(rows.columns) == COLUMNS
    assert {"Analyst", "Platform lead"} <= set(rows["role"]) and rows["date"].isna().all()


def test_every_open_entry_and_last_decision_of_the_log_is_shown_once():
    text = approvals_frame(make_plan(), log(*ROWS)).to_string()
    assert (
        all(text.count(word) == 1 for word in ("growth:", "pilot:", "buy plan:", "eu h100:")) and "old idea" not in text
    )


def test_faults_of_the_log_name_row_column_and_rule():
    bad = log(
        ("2026-08-02", "decision", "a", "t", "r", "open", "2026-08-01"),
        ("2026-08-02", "decision", "b", "t", "r", "done", None, "2026-07-01"),
        ("2026-08-02", "change", "c", "t", "r", "done"),
        ("2026-08-02", "change", "c", "t", "r", "done"),
        ("2026-08-02", "decision", "d", "t", "r", "open"),
    )
    assert [fault[:3] for fault in log_faults(bad)] == [
        (2, "due", "2026-08-01"),
        (3, "review_date", "2026-07-01"),
        (5, "subject", "c"),
    ]
    assert [fault[:2] for fault in log_gaps(bad)] == [(6, "due")]
    assert not list(log_faults(log(*ROWS))) and not list(log_gaps(log(*ROWS)))
