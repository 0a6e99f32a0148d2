"""The fill-in sheet: a workbook that asks owners for what is missing of their use cases.

One row per use case; identifiers are locked, choices are lists, gaps are coloured. Every cell is text, so
nothing can become a formula. A hidden sheet keeps what was sent, so that only what an owner changed comes back.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from aifactory.errors import InputError
from aifactory.inputs.contracts import Field, load_contract
from aifactory.inputs.hold import put_bytes
from aifactory.inputs.importers.use_cases.merge import held_rows
from aifactory.inputs.importers.use_cases.report import NEEDED, OWNER
from aifactory.inputs.importers.use_cases.words import plain
from aifactory.inputs.plan import load_plan
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_text
from aifactory.inputs.workspace import find_workspace, table_file

SHEET, BASE, LISTS, HELP = "Use cases", "sent", "Lists", "Read me"
LOCKED = ("use_case_id", "source", "as_of")
MAX_CELL = 32_767
MAX_LIST = 255  # characters of a list inside a cell rule
WIDTHS = {"use_case_id": 28, "name": 44, "source": 34}
_OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
_HELP = (
    ("What this is", "Each row is one AI use case that you answer for. Planning needs the coloured cells."),
    ("Orange", "Without it the use case is in no plan: class, unit, pattern, criticality, stage, owner."),
    ("Yellow", "Volume, latency target or cost: known by nobody but you. One of the three latency columns is enough."),
    (
        "How to fill",
        "Hold the pointer over a column name for its meaning and unit. Choose from the list where there is one.",
    ),
    ("Numbers", "Plain numbers with a decimal point, in the unit of the column; shares between 0 and 1."),
    ("Months", "As 2026-10."),
    ("Unknown", "Leave the cell empty. A guess is worse than a gap. Emptying a filled cell changes nothing."),
    ("Identifiers", "Do not change, add or remove rows. Send new use cases as a list of their own."),
    ("Back", "Return this file; it is read with: aifactory import use-cases FILE --into WORKSPACE"),
)


def write_sheet(
    workspace: str | Path, out: Path, today: pd.Timestamp, *, owner: str = "", gaps_only: bool = False
) -> dict[str, int]:
    """Write the fill-in sheet of a workspace.

    Parameters
    ----------
    today : day of export, stored as date of creation.
    owner : only rows of this business unit, team or owner role.
    gaps_only : only rows that lack something planning needs.

    Returns
    -------
    Numbers of rows and of gaps (empty cells that are coloured).

    Raises
    ------
    InputError
        If there is no use case, nobody of that name, or the file exists.
    """
    if out.exists():
        raise InputError.at("--out", "the file exists; answers in it would be lost", value=str(out))
    if out.suffix != ".xlsx":
        raise InputError.at("--out", "must end in .xlsx", value=str(out))
    folder = find_workspace(workspace)
    rows = _of_owner(_rows(folder), owner)
    missing = _missing(rows)
    if gaps_only:
        rows, missing = rows[missing.any(axis="columns")], missing[missing.any(axis="columns")]
    if rows.empty:
        raise InputError.at("sheet", "no use case to ask for; import some first with `aifactory import use-cases`")
    held = BytesIO()
    with xlsxwriter.Workbook(held, _OPTIONS) as book:
        book.set_properties({"title": "Use cases to fill in", "created": today.to_pydatetime().replace(tzinfo=None)})
        _write_help(book)
        _write_rows(book, rows, _lists(folder))
        base = book.add_worksheet(BASE)
        _write_cells(base, rows, {})
        base.very_hidden()
    put_bytes(out, held.getvalue())
    return {"rows": len(rows), "gaps": int(missing.sum().sum())}


def _rows(folder: Path) -> pd.DataFrame:
    """All use cases and candidates in the columns of the contract."""
    rows = held_rows(folder).reindex(columns=load_contract("use_case_candidates").columns, fill_value="")
    for name in rows:
        too_long = rows[name].str.len() > MAX_CELL
        if too_long.any():
            raise InputError.at(
                "use cases",
                f"longer than the {MAX_CELL:,} characters of a cell",
                column=name,
                value=rows.index[too_long][0],
            )
    return rows


def _of_owner(rows: pd.DataFrame, owner: str) -> pd.DataFrame:
    if not owner:
        return rows
    mine = rows[OWNER].map(plain).eq(plain(owner)).any(axis="columns")
    if not mine.any():
        known = sorted({text for name in OWNER for text in rows[name] if text})
        raise InputError.at(
            "--owner", "is no business unit, team or owner role of a use case.", value=owner, choices=known
        )
    return rows[mine]


def _missing(rows: pd.DataFrame) -> pd.DataFrame:
    """Gaps: a needed column that is empty, or a question that none of its columns answers."""
    needed = {item.name: rows[item.name] == "" for item in load_contract("use_cases").fields if item.required}
    asked = {name: (rows[columns] == "").all(axis="columns") for name, columns in NEEDED.items()}
    return pd.DataFrame({**needed, **asked})


def _lists(folder: Path) -> dict[str, list[str]]:
    """Choices that come from data: models of the catalogue and of the workspace, regions of the plan."""
    files = [table_file(data_dir() / "catalogue", "models"), table_file(folder, "models")]
    models = {name for path in files if path for name in read_text(path)[0]["model"]}
    return {
        "model": sorted(models),
        "allowed_regions": [item.region for item in load_plan(folder / "plan.yaml").regions],
    }


def _write_help(book: Any) -> None:
    sheet = book.add_worksheet(HELP)
    bold, wrap = book.add_format({"bold": True, "valign": "top"}), book.add_format({"text_wrap": True})
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 90)
    for row, (label, text) in enumerate(_HELP):
        sheet.write_string(row, 0, label, bold)
        sheet.write_string(row, 1, text, wrap)


def _write_rows(book: Any, rows: pd.DataFrame, lists: dict[str, list[str]]) -> None:
    sheet = book.add_worksheet(SHEET)
    choices = book.add_worksheet(LISTS)
    choices.hide()
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    text = book.add_format({"num_format": "@", "locked": False, "valign": "top"})
    free = book.add_format({"locked": False, "valign": "top"})
    fixed = book.add_format({"num_format": "@", "font_color": "#52606d", "valign": "top"})
    fields = load_contract("use_case_candidates").fields
    forms = {item.name: fixed if item.name in LOCKED else free if item.type == "number" else text for item in fields}
    _write_cells(sheet, rows, forms)
    last = len(rows)
    required = {item.name for item in load_contract("use_cases").fields if item.required}
    asked = {name for columns in NEEDED.values() for name in columns}
    for column, item in enumerate(fields):
        sheet.write_string(0, column, item.name, head)
        sheet.write_comment(0, column, _note(item, required=item.name in required), {"x_scale": 2, "y_scale": 1.5})
        sheet.set_column(column, column, WIDTHS.get(item.name, 20))
        if item.name not in LOCKED:
            _write_rule(sheet, choices, column, item, last, lists.get(item.name, []))
        colour = "#fbd9a5" if item.name in required else "#fff4c2" if item.name in asked else ""
        if colour and item.name not in LOCKED:
            shade = book.add_format({"bg_color": colour})
            sheet.conditional_format(1, column, last, column, {"type": "blanks", "format": shade})
    sheet.freeze_panes(1, 2)
    sheet.autofilter(0, 0, last, len(fields) - 1)
    sheet.ignore_errors({"number_stored_as_text": f"A1:{xl_col_to_name(len(fields) - 1)}{last + 1}"})
    sheet.protect("", {"format_columns": True, "format_rows": True, "autofilter": True, "sort": True})
    sheet.activate()


def _write_cells(sheet: Any, rows: pd.DataFrame, forms: dict[str, Any]) -> None:
    for column, name in enumerate(rows.columns):
        sheet.write_string(0, column, name)
        form = forms.get(name)
        for row, value in enumerate(rows[name], 1):
            if value:
                sheet.write_string(row, column, value, form)
            elif form is not None:
                sheet.write_blank(row, column, None, form)


def _note(item: Field, *, required: bool) -> str:
    parts = [item.description]
    parts += [f"Unit: {item.unit}."] if item.unit else []
    parts += ["As 2026-10."] if item.type == "yearmonth" else []
    parts += [f"Allowed: {item.rule}."] if item.rule and not item.pattern else []
    parts += ["Needed for any plan."] if required else []
    parts += ["Locked."] if item.name in LOCKED else []
    return " ".join(parts)


def _write_rule(sheet: Any, choices: Any, column: int, item: Field, last: int, listed: list[str]) -> None:
    """The rule that a spreadsheet program applies to what is typed; the import applies it again."""
    rule: dict[str, Any] = {
        "ignore_blank": True,
        "error_title": item.name,
        "error_message": _short(f"{item.description} {item.rule}"),
    }
    if item.enum and len(",".join(item.enum)) <= MAX_LIST:
        rule |= {"validate": "list", "source": list(item.enum)}
    elif listed:
        for row, text in enumerate(listed):
            choices.write_string(row, column, text)
        name = xl_col_to_name(column)
        # other names are possible: a model of one's own, several regions
        rule |= {"validate": "list", "source": f"={LISTS}!${name}$1:${name}${len(listed)}", "error_type": "warning"}
    elif item.type == "number":
        low = item.exclusive_minimum if item.exclusive_minimum is not None else item.minimum or 0
        # a cell has one rule: that something is above 0 before that it is not absurdly large, which the import refuses
        both = item.maximum is not None and item.exclusive_minimum is None
        limits = {"criteria": "between", "minimum": low, "maximum": item.maximum} if both else {
            "criteria": ">" if item.exclusive_minimum is not None else ">=", "value": low}  # fmt: skip
        rule |= {"validate": "decimal"} | limits
    else:
        return
    sheet.data_validation(1, column, last, column, rule)


def _short(text: str) -> str:
    return text if len(text) <= MAX_LIST else text[: MAX_LIST - 3] + "..."
