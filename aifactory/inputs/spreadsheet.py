"""Any spreadsheet as rows of text: CSV with any separator, XLSX with the values stored in it.

Nothing is executed, guessed or dropped: what had to be assumed and what was left out is counted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.csv_text import utf8_bytes
from aifactory.inputs.problems import Problem, raise_problems

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MAX_BYTES = 200_000_000
#: A header stands in one of the first rows; rows above it are a title.
HEADER_WITHIN = 15
#: Share of the widest row that a header fills.
HEADER_FILLS = 0.6
SNIFFED_ROWS = 50
#: A cell that holds more is a file with a quote astray.
MOST_CHARACTERS = 131_072
csv.field_size_limit(MAX_BYTES)  # the rule above decides, whatever limit another library has set
#: Marks of UTF-8 text that was read as Windows text once before.
MOJIBAKE = ("\u00e2\u20ac", "\u00c3\u00a9", "\u00c3\u00bc", "\u00c3\u00b6", "\u00c3\u00a4", "\u00c2\u00a0", "\ufffd")
HIDDEN_SHEET = "is hidden and was not read"
BLANK, REPEATED = "blank row", "header repeated inside the table"


@dataclass
class Sheet:
    """One table of a file.

    `frame` holds text, '' where a cell is empty; its index is the row number that a spreadsheet
    program shows. `notes` are remarks with the rows they concern; `left_out` counts rows by reason.
    """

    file: str
    name: str
    frame: pd.DataFrame
    notes: list[tuple[str, int]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """File and sheet, for messages."""
        return f"{self.file}, sheet {self.name!r}" if self.name else self.file


def read_spreadsheet(path: Path) -> list[Sheet]:
    """Tables of a CSV or XLSX file: the visible sheets that hold something.

    Raises
    ------
    InputError
        If the file cannot be read as a spreadsheet (kind, size, encoding, shape), with row and column.
    """
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    if path.stat().st_size > MAX_BYTES:
        raise InputError.at(path.name, f"larger than {MAX_BYTES:,} bytes, the limit of a spreadsheet")
    with path.open("rb") as stream:
        begin = stream.read(8)
    if begin.startswith(b"PK\x03\x04"):
        from aifactory.inputs.workbook import read_workbook

        return read_workbook(path)
    if begin.startswith(b"\xd0\xcf\x11\xe0"):
        raise InputError.at(path.name, "is an old Excel file or a protected workbook; save it as .xlsx or CSV")
    return [_read_csv(path)]


def _read_csv(path: Path) -> Sheet:
    raw, notes = utf8_bytes(path)
    text = raw.decode("utf-8")
    declared, text = _declared_separator(text)
    separator = declared or find_separator(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InputError.at(path.name, f"cannot be read as CSV: {error}", row=reader.line_num) from None
    long = next((number for number, row in enumerate(rows, 1) if any(len(cell) > MOST_CHARACTERS for cell in row)), 0)
    if long:
        raise InputError.at(path.name, f"a cell holds more than {MOST_CHARACTERS:,} characters", row=long)
    width = max(map(len, rows[:SNIFFED_ROWS]), default=0)
    first = 2 if declared else 1
    sheet = table_of(path.name, "", rows, first_row=first, ragged=True)
    if separator != "," and width > 1:
        notes = [*notes, (f"columns are separated by {SEPARATORS.get(separator, repr(separator))}", len(sheet.frame))]
    sheet.notes = [*notes, *sheet.notes]
    return sheet


def _declared_separator(text: str) -> tuple[str, str]:
    """The line `sep=;` that spreadsheet programs write, and the text without it."""
    line, _, rest = text.partition("\n")
    mark = line.strip().strip('"')
    return (mark[4], rest) if mark.lower().startswith("sep=") and len(mark) == 5 else ("", text)


def find_separator(text: str) -> str:
    r"""The separator by which most of the first rows have one and the same number of cells, above one.

    >>> find_separator("a;b,c\n1;2\n")
    ';'
    """
    best, found = (0.0, 0), ","
    for separator in SEPARATORS:
        lengths = []
        try:
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
                lengths += [len(row)] if any(row) else []
                if len(lengths) == SNIFFED_ROWS:
                    break
        except csv.Error:
            continue
        usual = max(set(lengths), key=lambda n: (lengths.count(n), n), default=0)
        score = (lengths.count(usual) / len(lengths) if usual > 1 else 0.0, usual)
        if score > best:
            best, found = score, separator
    return found


def table_of(file: str, name: str, rows: Iterable[Sequence[str]], *, first_row: int = 1, ragged: bool = False) -> Sheet:
    """Header and rows of a sheet.

    Parameters
    ----------
    rows : cells as text, in the order of the file.
    first_row : number that the first row has in a spreadsheet program.
    ragged : whether a row of another length than the header is an error, as in a CSV file; in a
        workbook a short row only has empty cells.
    """
    cells = [(number, list(row)) for number, row in enumerate(rows, first_row)]
    filled = [(number, row) for number, row in cells if any(cell.strip() for cell in row)]
    sheet = Sheet(file, name, pd.DataFrame())
    if not filled:
        raise InputError.at(sheet.place, "is empty; a header row is needed")
    at = _header_row(filled)
    number, header = filled[at]
    header = [cell.strip() for cell in header]
    _check_repeats(sheet.place, number, header)
    if at:
        sheet.notes.append((f"the header stands in row {number}; the rows above it are no part of the table", at))
    body, again = _body(sheet.place, filled[at + 1 :], header, ragged=ragged)
    last = filled[-1][0]
    blank = sum(number < row < last for row, _ in cells) - (len(filled) - at - 2) if len(filled) > at + 1 else 0
    sheet.left_out = {reason: count for reason, count in ((BLANK, blank), (REPEATED, again)) if count}
    width = max([len(header), *(len(row) for _, row in body)])
    names = _names(header + [""] * (width - len(header)), body)
    table = [[row[position] if position < len(row) else "" for position in names] for _, row in body]
    sheet.frame = pd.DataFrame(table, columns=list(names.values()), index=[row for row, _ in body], dtype="str")
    broken = sheet.frame.apply(lambda column: column.str.contains("|".join(MOJIBAKE))).any(axis="columns")
    if len(body) and broken.any():
        sheet.notes.append(("text looks decoded wrongly once before; it is kept as it stands", int(broken.sum())))
    return sheet


def _header_row(filled: Sequence[tuple[int, list[str]]]) -> int:
    """Position of the first row that fills most of the width of the table."""
    counts = [sum(bool(cell.strip()) for cell in row) for _, row in filled[:SNIFFED_ROWS]]
    usual = sorted(counts)[len(counts) // 2]
    wide = next((position for position, count in enumerate(counts[:HEADER_WITHIN]) if count >= HEADER_FILLS * usual), 0)
    return wide if counts[wide] > 1 or max(counts) == 1 else 0


def _check_repeats(place: str, number: int, header: list[str]) -> None:
    seen: set[str] = set()
    for name in header:
        if name and name.casefold() in seen:
            raise InputError.at(place, "the column is given twice", row=number, column=name)
        seen.add(name.casefold())


def _body(
    place: str, rows: Sequence[tuple[int, list[str]]], header: list[str], *, ragged: bool
) -> tuple[list[tuple[int, list[str]]], int]:
    """Rows without repeated headers, and how many of those there were."""
    body, again, bad = [], 0, []
    for number, row in rows:
        if [cell.strip() for cell in row] == header:
            again += 1
            continue
        beyond = any(cell.strip() for cell in row[len(header) :])
        if ragged and (beyond or len(row) < len(header)):
            bad.append(Problem(number, "", "", f"has {len(row)} cells, the header has {len(header)}"))
        body.append((number, row))
    raise_problems(place, bad)
    return body, again


def _names(header: list[str], body: Sequence[tuple[int, list[str]]]) -> dict[int, str]:
    """Position -> name of each column; one without a name is named by its letter, if it holds anything."""
    names = {}
    for position, name in enumerate(header):
        if name:
            names[position] = name
        elif any(position < len(row) and row[position].strip() for _, row in body):
            names[position] = f"column {column_letter(position)}"
    return names


def column_letter(position: int) -> str:
    """Letter of a column counted from 0.

    >>> column_letter(0), column_letter(25), column_letter(26)
    ('A', 'Z', 'AA')
    """
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
