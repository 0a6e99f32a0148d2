"""An XLSX workbook as text: stored values only, no macro, no link, no formula, within fixed limits."""

from __future__ import annotations

import datetime as dt
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from aifactory.errors import InputError
from aifactory.inputs.spreadsheet import HIDDEN_SHEET, Sheet, table_of

Read = TypeVar("Read")
MAX_ENTRIES = 5_000
MAX_UNPACKED_BYTES = 150_000_000
#: An entry above this size that shrinks by more than MAX_RATIO is no workbook that a person filled in.
SMALL_BYTES = 1_000_000
MAX_RATIO = 100
MAX_CELLS = 5_000_000
#: Merged areas above this many cells are not filled.
MAX_MERGED = 100_000
MAX_BLANK_ROWS = 100_000
ERRORS = ("#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!")
OTHER_ARCHIVES = {
    "xl/workbook.bin": "is a binary workbook (.xlsb); save it as .xlsx",
    "content.xml": "is an OpenDocument file; save it as .xlsx or CSV",
    "word/document.xml": "is a text document, not a spreadsheet",
}
_FORMULA = re.compile(
    rb'<(?:\w+:)?c r="([A-Z]+\d+)"[^>]*>\s*<(?:\w+:)?f\b[^>]*?(?:/>|>[^<]*</(?:\w+:)?f>)\s*(<(?:\w+:)?v>[^<]+<)?'
)
#: How a workbook writes control characters inside text.
_CONTROL = re.compile(r"_x00([01][0-9A-Fa-f])_")
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d{1,9})"')
_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\b(?=[^>]*?\bhidden="(?:1|true)")[^>]*?\br="(\d{1,9})"')
HIDDEN_ROWS = "rows that are hidden in the sheet (by a filter or by hand) are read like the others"
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')


def read_workbook(path: Path) -> list[Sheet]:
    """Visible sheets that hold something; hidden ones are named in the notes of the first.

    Raises
    ------
    InputError
        For an archive that is no workbook, is damaged, unpacks to too much or declares entities.
    """
    return _opened(path, lambda book: _sheets(path, book))


def read_hidden_sheet(path: Path, name: str) -> Sheet | None:
    """One sheet by its name, hidden or not; None where there is none."""

    def read(book: Any) -> Sheet | None:
        source = next((item for item in book.worksheets if item.title == name), None)
        if source is None:
            return None
        source.reset_dimensions()
        return table_of(
            path.name, name, [[cell_text(cell) for cell in row] for row in source.iter_rows(values_only=True)]
        )

    return _opened(path, read)


def _opened(path: Path, read: Callable[[Any], Read]) -> Read:
    import openpyxl

    _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False))
    except InputError:
        raise
    except Exception as error:  # openpyxl meets damaged files with many kinds of error
        raise InputError.at(path.name, f"is not a readable workbook: {str(error).splitlines()[0][:120]}") from None


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = {entry.filename for entry in entries}
            _check_entries(path.name, entries)
            other = next((text for name, text in OTHER_ARCHIVES.items() if name in names), "")
            if other:
                raise InputError.at(path.name, other)
            if "xl/workbook.xml" not in names:
                raise InputError.at(path.name, "is a ZIP archive, not a workbook; unpack it and import its tables")
            for entry in entries:
                if entry.filename.endswith((".xml", ".rels")):
                    with archive.open(entry) as stream:
                        head = stream.read(2_000)
                    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                        raise InputError.at(
                            path.name, "declares XML entities, as no spreadsheet program does", value=entry.filename
                        )
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise InputError.at(path.name, f"is not a readable workbook: {str(error)[:120]}") from None


def _check_entries(file: str, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise InputError.at(file, f"holds {len(entries):,} entries, more than {MAX_ENTRIES:,}")
    for entry in entries:
        if entry.filename.startswith(("/", "\\")) or ".." in entry.filename.replace("\\", "/").split("/"):
            raise InputError.at(file, "an entry leads outside the archive", value=entry.filename)
        if entry.file_size > SMALL_BYTES and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            rule = f"an entry unpacks to {entry.file_size:,} bytes, more than {MAX_RATIO} times its size"
            raise InputError.at(file, rule, value=entry.filename)
    total = sum(entry.file_size for entry in entries)
    if total > MAX_UNPACKED_BYTES:
        raise InputError.at(file, f"unpacks to {total:,} bytes, more than {MAX_UNPACKED_BYTES:,}")


def _sheets(path: Path, book: Any) -> list[Sheet]:
    sheets, hidden = [], []
    with zipfile.ZipFile(path) as archive:
        for source in book.worksheets:
            rows, notes = _rows(path.name, source, archive.read(source._worksheet_path))  # noqa: SLF001
            held = sum(any(row) for row in rows)
            if source.sheet_state != "visible":
                hidden += [(f"sheet {source.title!r} {HIDDEN_SHEET}", max(held - 1, 0))] if held else []
            elif held:
                sheet = table_of(path.name, source.title, rows)
                sheet.notes = [*notes, *sheet.notes]
                sheets.append(sheet)
    if not sheets:
        raise InputError.at(path.name, "holds no visible sheet with cells; a header row is needed")
    sheets[0].notes += hidden
    return sheets


def _rows(file: str, source: Any, xml: bytes) -> tuple[list[list[str]], list[tuple[str, int]]]:
    """Cells as text, merged ones filled downwards, and remarks."""
    source.reset_dimensions()
    _refuse_far_rows(f"{file}, sheet {source.title!r}", xml)
    rows, cells, broken = [], 0, 0
    for values in source.iter_rows(values_only=True):
        row = [cell_text(value) for value in values]
        while row and not row[-1]:
            row.pop()
        cells += len(row)
        if cells > MAX_CELLS:
            raise InputError.at(file, f"sheet {source.title!r} holds more than {MAX_CELLS:,} cells")
        bad = [position for position, text in enumerate(row) if text in ERRORS]
        broken += bool(bad)
        for position in bad:
            row[position] = ""
        rows.append(row)
    notes = [("spreadsheet errors such as #REF! are read as unknown", broken)] if broken else []
    hidden = sum(int(row) <= len(rows) and any(rows[int(row) - 1]) for row in _HIDDEN_ROW.findall(xml))
    notes += [(HIDDEN_ROWS, hidden)] if hidden else []
    return rows, [*notes, *_formula_notes(xml), *_fill_merged(rows, xml)]


def _refuse_far_rows(place: str, xml: bytes) -> None:
    """Refuse a row that stands far below all others: each blank row between would be read as one."""
    before = 0
    for number in map(int, _ROW.findall(xml)):
        if number - before > MAX_BLANK_ROWS:
            rule = f"stands below {number - before - 1:,} blank rows; delete it, or the rows between"
            raise InputError.at(place, rule, row=number)
        before = number


def _formula_notes(xml: bytes) -> list[tuple[str, int]]:
    found = _FORMULA.findall(xml)
    empty = [cell.decode() for cell, value in found if not value]
    notes = [("cells are formulas; the values stored with them were read", len(found) - len(empty))]
    shown = ", ".join(empty[:5]) + (" ..." if len(empty) > 5 else "")
    notes.append(
        (f"formulas without a stored value are unknown ({shown}); save the file in a spreadsheet program", len(empty))
    )
    return [note for note in notes if note[1]]


def _fill_merged(rows: list[list[str]], xml: bytes) -> list[tuple[str, int]]:
    """Write the value of a merged area into its first column, row by row, as the sheet shows it."""
    filled = 0
    for left, top, _, bottom in _MERGED.findall(xml):
        position, first, last = _position(left.decode()), int(top) - 1, min(int(bottom), len(rows))
        if first >= len(rows) or position >= len(rows[first]) or filled + last - first > MAX_MERGED:
            continue
        for row in rows[first + 1 : last]:
            row += [""] * (position + 1 - len(row))
            row[position] = rows[first][position]
            filled += 1
    return [("cells of merged areas take the value that the area shows", filled)] if filled else []


def _position(letters: str) -> int:
    position = 0
    for letter in letters:
        position = position * 26 + ord(letter) - 64
    return position - 1


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def cell_text(value: object) -> str:
    """A stored value as text; whole numbers without a point, days without midnight.

    >>> cell_text(12.0), cell_text(0.1), cell_text(True), cell_text(dt.datetime(2026, 10, 1))
    ('12', '0.1', 'true', '2026-10-01')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dt.datetime):
        midnight = value.time() == dt.time(0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else _CONTROL.sub(_character, str(value))
