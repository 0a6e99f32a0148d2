"""Workbook of a report: one sheet per table, a sheet that explains, and a live NPV for the buy plan.

Text never becomes a formula or a link. The same tables give the same bytes.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

from aifactory.report.text import date_name, is_missing, plural, readable
from aifactory.units import few

Table = tuple[pd.DataFrame, str, str, str]
MAX_SHEET_NAME = 31
MAX_WIDTH = 48
_OPTIONS = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "in_memory": True}
#: Price of something small: as many decimals as give the smallest three digits.
UNIT_PRICE = r"usd_per_(unit|token|request|used)"
#: Rates of very different accelerators stand in one column.
SMALL_RATE = r"^units_per_s"
#: A day as the tables of a run hold it.
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
#: Below this, numbers of a column are told apart by four decimals.
SMALL = 0.1
#: Columns whose name leaves out the unit: USD beside `difference_usd`, USD a unit beside `usd_per_unit`.
SPLIT, BAND = ("volume", "efficiency", "utilization", "mix", "price", "other"), ("expected", "low80", "high80")
MOST_DECIMALS = 9
#: Columns of shares that all lie below this show three decimals of a percentage.
SMALL_SHARE = 0.0005
#: Number format by the first pattern that a column name matches.
_NUMBER_FORMATS = (
    (r"(^|_)share$", "0.0%"),
    (SMALL_RATE, "#,##0.000"),
    (UNIT_PRICE, "#,##0.0000"),
    (r"usd_per_(accelerator_hour|1k|million|kwh)", "#,##0.000"),
    (r"(^|_)usd(_|$)|_cost$", "#,##0.00"),
    (r"(^|_)(share|ratio|rate|utilization|adoption|annual)(_|$)|growth_per_month", "0.0%"),
)
_CREATED_DEFAULT = "2026-01-01"
_FIRST_ROW = 3


@dataclass(frozen=True)
class LiveNpv:
    """Sheet whose formulas compute the NPV over a cash-flow table.

    `table` has the columns scenario, month_index and net_usd; `annual_rate` stands in a cell the
    reader can change; `npv_usd` is what the report says per scenario, shown beside it.
    """

    table: str
    annual_rate: float
    npv_usd: Mapping[str, float]


def write_workbook(
    path: str | Path,
    tables: Mapping[str, Table],
    readme: Sequence[tuple[str, str]],
    *,
    created: str = _CREATED_DEFAULT,
    live_npv: LiveNpv | None = None,
) -> None:
    """Write a workbook.

    Parameters
    ----------
    path : file to write.
    tables : frame, title, source and as-of date by name.
    readme : lines of the first sheet, label and text: title, period, organisation ...
    created : ISO date stored as date of creation.
    live_npv : adds a sheet with a live NPV.
    """
    names = sheet_names([*tables, *(["Live NPV"] if live_npv else [])])
    held = BytesIO()
    with xlsxwriter.Workbook(held, _OPTIONS) as book:
        book.set_properties({"title": dict(readme).get("Title", ""), "created": dt.datetime.fromisoformat(created)})
        style = _styles(book)
        _write_readme(book, readme, {names[name]: table for name, table in tables.items()}, style)
        for name, table in tables.items():
            _write_table(book, names[name], table, style)
        if live_npv:
            _write_npv(book, names["Live NPV"], names[live_npv.table], live_npv, tables[live_npv.table][0], style)
    path.write_bytes(held.getvalue())


def sheet_names(names: Sequence[str]) -> dict[str, str]:
    """Readable sheet name of each name: at most 31 characters, allowed letters, unique in any case.

    >>> sheet_names(["unit_cost", "a" * 40, "a" * 41])
    {'unit_cost': 'Unit cost', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa': 'Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', \
'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa': 'Aaaaaaaaaaaaaaaaaaaaaaaaaaaaa 2'}
    """
    taken, result = {"read me", "history"}, {}
    for name in names:
        base = re.sub(r"[\[\]:*?/\\']", " ", readable(name)).strip() or "Table"
        shown, number = base[:MAX_SHEET_NAME], 2
        while shown.lower() in taken:
            shown = f"{base[: MAX_SHEET_NAME - len(str(number)) - 1]} {number}"
            number += 1
        taken.add(shown.lower())
        result[name] = shown
    return result


def number_format(column: str, values: Sequence[object]) -> str:
    """Excel number format of a column, by its unit, else by its values.

    >>> number_format("net_usd", [5]), number_format("tax_rate", [0.2]), number_format("p95_ttft_ms", [120, 80])
    ('#,##0.00', '0.0%', '#,##0')
    """
    numbers = [float(value) for value in values if isinstance(value, (int, float, Decimal)) and not is_missing(value)]
    if not numbers:
        return "General"
    for pattern, form in _NUMBER_FORMATS:
        if re.search(pattern, column):
            if form == "0.0%" and 0 < max(map(abs, numbers)) < SMALL_SHARE:
                return "0.000%"
            return _fine(form, numbers) if pattern in (UNIT_PRICE, SMALL_RATE) else form
    if all(number.is_integer() for number in numbers):
        return "#,##0"
    if max(map(abs, numbers)) < 1:
        return "0.0000"
    return "#,##0.0000" if any(0 < abs(number) < SMALL for number in numbers) else "#,##0.00"


def _fine(form: str, numbers: Sequence[float]) -> str:
    """Format with three digits of the smallest number.

    >>> _fine("0.0000", [0.5, 0.0]), _fine("0.0000", [0.5, 0.0000079])
    ('0.0000', '0.00000000')
    """
    least = min((abs(number) for number in numbers if number and math.isfinite(number)), default=1.0)
    decimals = min(2 - math.floor(math.log10(least)), MOST_DECIMALS)
    return form + "0" * max(decimals - len(form.partition(".")[2]), 0)


def _with_unit(column: str, frame: pd.DataFrame) -> str:
    """Name of a column with the unit that the table gives it."""
    if column in SPLIT and "difference_usd" in frame:
        return f"{column}_usd"
    return f"{column}_usd_per_unit" if column in BAND and "usd_per_unit" in frame else column


def _styles(book: xlsxwriter.Workbook) -> dict[str, Any]:
    return {
        "title": book.add_format({"bold": True, "font_size": 14}),
        "note": book.add_format({"font_color": "#52606d"}),
        "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"}),
        "label": book.add_format({"bold": True, "valign": "top"}),
        "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
        "input": book.add_format(
            {"num_format": "0.00%", "bg_color": "#fdf5e3", "border": 1, "border_color": "#e69f00"}
        ),
        "rate": book.add_format({"num_format": "0.0000%"}),
        "money": book.add_format({"num_format": "#,##0.00"}),
        "date": book.add_format({"num_format": "yyyy-mm-dd", "align": "left"}),
    }


def _write_readme(
    book: xlsxwriter.Workbook, readme: Sequence[tuple[str, str]], tables: Mapping[str, Table], style: dict[str, Any]
) -> None:
    sheet = book.add_worksheet("Read me")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 64)
    sheet.set_column(2, 3, 32)
    for row, (label, text) in enumerate(readme):
        sheet.write_string(row, 0, label, style["label"])
        sheet.write_string(row, 1, text, style["wrap"])
    start = len(readme) + 1
    for column, label in enumerate(("Sheet", "Content", "Source", "As of")):
        sheet.write_string(start, column, label, style["head"])
    for row, (name, (frame, title, source, as_of)) in enumerate(tables.items(), start + 1):
        content = _content(frame) if title == name else title
        for column, text in enumerate((name, content, source, as_of)):
            sheet.write_string(row, column, text, style["wrap"])


def _content(frame: pd.DataFrame) -> str:
    """Rows and columns of a table, in words.

    >>> _content(pd.DataFrame({"use_case_id": ["chat"], "cost_usd": [1.0]}))
    '1 row of use case ID, cost USD'
    """
    return f"{plural(len(frame), 'row')} of {few([_lower(readable(str(name))) for name in frame.columns], most=6)}"


def _lower(words: str) -> str:
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def _write_table(book: xlsxwriter.Workbook, name: str, table: Table, style: dict[str, Any]) -> None:
    frame, title, source, as_of = table
    sheet = book.add_worksheet(name)
    sheet.write_string(0, 0, title, style["title"])
    sheet.write_string(1, 0, f"Source: {source}" + (f", as of {date_name(as_of)}" if as_of else ""), style["note"])
    for position, column in enumerate(map(str, frame.columns)):
        values = list(frame.iloc[:, position])
        form = book.add_format({"num_format": number_format(_with_unit(column, frame), values)})
        sheet.write_string(_FIRST_ROW - 1, position, column, style["head"])
        for row, value in enumerate(values, _FIRST_ROW):
            _write_cell(sheet, row, position, value, form, style["date"])
        longest = max([len(column), *(len(_shown(value)) for value in values[:200])])
        sheet.set_column(position, position, min(longest + 2, MAX_WIDTH))
    sheet.freeze_panes(_FIRST_ROW, 1)
    if len(frame):
        sheet.autofilter(_FIRST_ROW - 1, 0, _FIRST_ROW - 1 + len(frame), max(len(frame.columns) - 1, 0))


def _write_cell(sheet: Any, row: int, column: int, value: object, form: Any, date_form: Any) -> None:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and math.isinf(value):
        sheet.write_string(row, column, "∞" if value > 0 else "-∞")
        return
    if is_missing(value):
        return
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, (int, float, Decimal)):
        sheet.write_number(row, column, float(value), form)
    elif isinstance(value, (pd.Timestamp, dt.datetime)):
        sheet.write_datetime(row, column, pd.Timestamp(value).tz_localize(None).to_pydatetime(), date_form)
    elif DAY.fullmatch(str(value)) and not pd.isna(day := pd.to_datetime(value, errors="coerce")):
        sheet.write_datetime(row, column, day.to_pydatetime(), date_form)
    else:
        sheet.write_string(row, column, str(value))


def _shown(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _write_npv(
    book: xlsxwriter.Workbook, name: str, data_sheet: str, npv: LiveNpv, frame: pd.DataFrame, style: dict[str, Any]
) -> None:
    sheet = book.add_worksheet(name)
    sheet.set_column(0, 0, 44)
    sheet.set_column(1, 3, 22)
    sheet.write_string(0, 0, "Net present value, computed in this sheet", style["title"])
    sheet.write_string(1, 0, "Change the yellow cell or the cash flows; the values follow.", style["note"])
    sheet.write_string(3, 0, "Discount rate per year")
    sheet.write_number(3, 1, npv.annual_rate, style["input"])
    sheet.write_string(4, 0, "Discount rate per month")
    sheet.write_formula(4, 1, "=(1+B4)^(1/12)-1", style["rate"], (1 + npv.annual_rate) ** (1 / 12) - 1)
    for column, label in enumerate(("Scenario", "NPV now (USD)", "NPV in the report (USD)", "Difference (USD)")):
        sheet.write_string(6, column, label, style["head"])
    ranges = {column: _range(data_sheet, frame, column) for column in ("scenario", "month_index", "net_usd")}
    for row, (scenario, value) in enumerate(npv.npv_usd.items(), 7):
        formula = f"=SUMPRODUCT(({ranges['scenario']}=A{row + 1})*{ranges['net_usd']}/(1+$B$5)^{ranges['month_index']})"
        sheet.write_string(row, 0, scenario)
        sheet.write_formula(row, 1, formula, style["money"], value)
        sheet.write_number(row, 2, value, style["money"])
        sheet.write_formula(row, 3, f"=B{row + 1}-C{row + 1}", style["money"], 0)


def _range(sheet: str, frame: pd.DataFrame, column: str) -> str:
    position = list(frame.columns).index(column)
    first = xl_rowcol_to_cell(_FIRST_ROW, position, row_abs=True, col_abs=True)
    last = xl_rowcol_to_cell(_FIRST_ROW - 1 + len(frame), position, row_abs=True, col_abs=True)
    return f"'{sheet}'!{first}:{last}"
