"""A fill-in sheet that came back: only what its owner changed, each value checked, nothing overwritten unseen."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError, nearest
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.use_cases.merge import (
    MAX_REMARKS,
    Change,
    Merge,
    apply_changes,
    held_rows,
    records,
    store_rows,
)
from aifactory.inputs.importers.use_cases.quantities import months, same_value
from aifactory.inputs.importers.use_cases.report import TRAINING
from aifactory.inputs.importers.use_cases.sheet import BASE, LOCKED, SHEET
from aifactory.inputs.importers.use_cases.words import plain
from aifactory.inputs.plan import load_plan
from aifactory.inputs.problems import Problem, raise_problems
from aifactory.inputs.spreadsheet import Sheet
from aifactory.inputs.tables import type_table
from aifactory.inputs.workbook import read_hidden_sheet, read_workbook

MAX_NAMED = 20
UNIT_RULE = "training and fine-tuning count accelerator_hour, other classes do not"


@dataclass
class Answers:
    """What owners changed in a fill-in sheet; `old` is what was sent to them."""

    file: str
    changes: list[Change]
    rows_of: dict[str, int]  # row of each use case in the sheet
    rows_read: int
    warnings: list[tuple[str, int]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """File and sheet, for messages."""
        return f"{self.file}, sheet {SHEET!r}"


def is_fill_in(path: Path) -> bool:
    """Whether a file is a fill-in sheet, by the hidden sheet that it carries."""
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return False
    return read_hidden_sheet(path, BASE) is not None


def read_answers(path: Path) -> Answers:
    """Read a fill-in sheet.

    Raises
    ------
    InputError
        For a column that is gone, an identifier that was edited, added or doubled, and every value that
        breaks a rule, with sheet, row, column, value, rule and nearest choice.
    """
    sent = read_hidden_sheet(path, BASE)
    sheet = next((item for item in read_workbook(path) if item.name == SHEET), None)
    if sent is None or sheet is None:
        raise InputError.at(path.name, f"needs the sheets {SHEET!r} and the hidden {BASE!r}; export it again")
    gone = next((name for name in sent.frame if name not in sheet.frame), "")
    if gone:
        raise InputError.at(
            sheet.place, "the column is gone from the sheet", row=1, column=gone, choices=list(sheet.frame)
        )
    base = sent.frame.set_index("use_case_id", drop=False)
    _check_ids(sheet, list(base.index))
    text = sheet.frame.assign(use_case_id=sheet.frame["use_case_id"].str.strip())
    edited = text[list(sent.frame.columns)].apply(_settled)
    answers = Answers(path.name, [], dict(zip(edited["use_case_id"], edited.index, strict=True)), len(edited))
    cleared = _compare(edited, base, answers)
    raise_problems(sheet.place, _broken(sheet, edited, answers))
    answers.warnings = _remarks(sheet, base, answers, cleared)
    return answers


def _settled(values: pd.Series) -> pd.Series:
    """A value in our spelling: choices without case and dashes, a day as its month."""
    item = load_contract("use_case_candidates").field(str(values.name))
    values = values.where(~values.str.isspace(), "")
    if item.enum:
        ours = {plain(choice): choice for choice in item.enum}
        return values.map(lambda text: ours.get(plain(text), text))
    if item.type == "yearmonth":
        days = values.str.fullmatch(r"\s*\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?\s*")
        return values.where(~days, months(values)).where(values != "", "")
    return values.str.strip() if item.type == "number" else values


def _check_ids(sheet: Sheet, known: list[str]) -> None:
    ids = sheet.frame["use_case_id"].str.strip()
    problems = [
        Problem(
            int(row),
            "use_case_id",
            name,
            f"is not an identifier that was sent; they are never changed or added.{nearest(name, known)}",
        )
        for row, name in ids.items()
        if name not in known
    ]
    problems += [
        Problem(int(row), "use_case_id", ids[row], "stands in two rows") for row in ids.index[ids.duplicated()]
    ]
    raise_problems(sheet.place, problems)


def _compare(edited: pd.DataFrame, base: pd.DataFrame, answers: Answers) -> list[str]:
    """Collect changes; returns the cells that were emptied."""
    cleared = []
    for column in [name for name in edited if name not in LOCKED]:
        before = edited["use_case_id"].map(base[column])
        for row in edited.index[edited[column] != before]:
            name, old, new = edited.loc[row, "use_case_id"], before[row], edited.loc[row, column]
            if not new:
                cleared.append(f"{name} {column}")
            elif not same_value(column, old, new):
                answers.changes.append(Change(name, column, old, new))
    answers.changes.sort(key=lambda item: answers.rows_of[item.use_case_id])
    return cleared


def _broken(sheet: Sheet, edited: pd.DataFrame, answers: Answers) -> list[Problem]:
    """Rules that changed cells break, at their row of the sheet."""
    contract = load_contract("use_case_candidates")
    typed = type_table(Path(sheet.file), edited.reset_index(drop=True), contract)
    changed = {(answers.rows_of[item.use_case_id], item.field) for item in answers.changes}
    rows = list(edited.index)
    found = [
        Problem(rows[item.row - 2], item.column, item.value, item.rule, item.choices)
        for item in typed.problems
        if item.row is not None and (rows[item.row - 2], item.column) in changed
    ]
    for row in {row for row, column in changed if column in ("service_unit", "workload_class")}:
        kind, unit = edited.loc[row, "workload_class"], edited.loc[row, "service_unit"]
        if kind and unit and (kind in TRAINING) != (unit == "accelerator_hour"):
            found.append(Problem(row, "service_unit", unit, UNIT_RULE))
    return sorted(found, key=lambda item: (item.row or 0, item.column))


def _remarks(sheet: Sheet, base: pd.DataFrame, answers: Answers, cleared: list[str]) -> list[tuple[str, int]]:
    remarks = list(sheet.notes)
    gone = [name for name in base.index if name not in answers.rows_of]
    if gone:
        remarks.append((f"rows were deleted from the sheet; their use cases stay: {_named(gone)}", len(gone)))
    if cleared:
        remarks.append((f"cells were emptied; their values stay: {_named(cleared)}", len(cleared)))
    locked = [
        f"{name} {column}"
        for column in LOCKED[1:]
        for name, row in answers.rows_of.items()
        if sheet.frame.loc[row, column].strip() != base.loc[name, column].strip()
    ]
    if locked:
        remarks.append((f"locked cells were edited and are not read: {_named(locked)}", len(locked)))
    extra = [name for name in sheet.frame if name not in base]
    if extra:
        remarks.append((f"columns that were added are not read: {_named(extra)}", len(sheet.frame)))
    return remarks


def _named(names: list[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (" ..." if len(names) > MAX_NAMED else "")


def answers_report(answers: Answers) -> dict[str, object]:
    """Counts and changes of a fill-in sheet."""
    touched = {item.use_case_id for item in answers.changes}
    fields = pd.Series([item.field for item in answers.changes], dtype="object").value_counts().to_dict()
    return {
        "format": "fill-in sheet of use cases",
        "rows_read": answers.rows_read,
        "rows_kept": answers.rows_read,
        "rows_left_out": {},
        "warnings": [{"text": text, "rows": rows} for text, rows in answers.warnings],
        "period": ["", ""],
        "totals": {
            "use_cases": answers.rows_read,
            "use_cases_changed": len(touched),
            "values_changed": len(answers.changes),
        },
        "changed": {str(name): int(count) for name, count in sorted(fields.items())},
        "changes": [vars(item) for item in answers.changes],
    }


def add_answers(
    workspace: Path, answers: Answers, report: dict[str, object], today: pd.Timestamp, *, replace: bool = False
) -> dict[str, object]:
    """Put answers into a workspace; a value that changed there since the sheet was sent is kept and named.

    Returns
    -------
    As `add_use_cases`; the source and as-of date of each changed use case become the sheet and the day of import.
    """
    held = held_rows(workspace)
    _check_regions(workspace, answers)
    merge = Merge(records(held))
    lost = sorted({item.use_case_id for item in answers.changes if item.use_case_id not in merge.rows})
    origin = {"source": answers.place, "as_of": f"{today:%Y-%m-%d}"}
    for name in dict.fromkeys(item.use_case_id for item in answers.changes if item.use_case_id in merge.rows):
        mine = [item for item in answers.changes if item.use_case_id == name]
        now = {item.field: merge.rows[name].get(item.field, "") for item in mine}
        mine = [item for item in mine if not same_value(item.field, now[item.field], item.new)]
        moved = [item for item in mine if not same_value(item.field, now[item.field], item.old)]
        merge.kept += [] if replace else [Change(name, item.field, now[item.field], item.new) for item in moved]
        taken = mine if replace else [item for item in mine if item not in moved]
        apply_changes(merge, [Change(name, item.field, now[item.field], item.new) for item in taken], origin)
    stored = store_rows(workspace, merge, held)
    if lost:
        report["warnings"].append({"text": f"no longer in the workspace: {_named(lost)}", "rows": len(lost)})
    if merge.kept:
        shown = "; ".join(
            f"{item.use_case_id} {item.field}: {item.old[:40]!r}, not {item.new[:40]!r}"
            for item in merge.kept[:MAX_REMARKS]
        )
        text = f"{len(merge.kept)} values changed in the workspace since the sheet was sent and are kept (--replace takes the answers): {shown}"
        report["warnings"].append({"text": text, "rows": len({item.use_case_id for item in merge.kept})})
    report["warnings"] += stored.pop("remarks")
    report["written"] = stored.pop("written")
    return {"added": 0, "changes": [vars(item) for item in merge.changes], **stored}


def _check_regions(workspace: Path, answers: Answers) -> None:
    known = tuple(item.region for item in load_plan(workspace / "plan.yaml").regions)
    raise_problems(
        answers.place,
        [
            Problem(
                answers.rows_of[item.use_case_id], item.field, part.strip(), "is not described in plan.yaml.", known
            )
            for item in answers.changes
            if item.field == "allowed_regions"
            for part in item.new.split(";")
            if part.strip() not in known
        ],
    )
