"""A CSV file as text cells, strictly: whatever would shift, merge or guess a cell is refused."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.decimal_comma import plain_decimals
from aifactory.inputs.problems import Problem, raise_problems

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

MAX_CSV_BYTES = 2_000_000_000
#: Tables shrink 5 to 40 times; an archive that grows more than this is made to fill the memory.
MAX_GROWTH, FREE_BYTES = 100, 20_000_000
SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}
MAX_COLUMNS = 5_000
BEGINNING_BYTES = 1 << 20
LONGEST_HEADER = 1 << 16
#: Blocks that fit into the cache of a core are read faster; a longer row makes the reading careful.
LINES_BYTES = 1 << 21
#: First bytes of files that are often taken for a CSV.
OTHER_KINDS = (
    (b"PK\x03\x04", "a ZIP archive or spreadsheet"),
    (b"\x80\x04", "a Python pickle, which is never read"),
    (b"{", "JSON"),
    (b"[", "JSON"),
    (b"<", "HTML or XML"),
    (b"%PDF", "a PDF document"),
)


def read_csv_text(path: Path) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Every cell as text, empty cells as ''; row 2 of the file is row 0 of the frame; and remarks.

    Text that is not UTF-8 is read as UTF-16, if it is marked so, or Windows text (cp1252), with a remark that
    counts the lines. Semicolons, tabs and bars separate cells where the header holds more of them than of commas;
    numbers with decimal commas are read only beside semicolons (`plain_decimals`).

    Raises
    ------
    InputError
        For numbers that may be thousands or decimals, a header with double or missing names, rows of another
        length, blank lines, open quotes, NUL bytes and damaged archives, with the row.
    """
    import pyarrow as pa

    raw, notes = utf8_bytes(path)
    raw = _with_plain_line_ends(raw)
    separator = header_separator(raw[:LONGEST_HEADER].decode("utf-8", "replace"))
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8", newline=""), delimiter=separator)
    try:
        header = next(reader)
    except csv.Error as error:
        raise InputError.at(path.name, f"the header cannot be read: {error}", row=1) from None
    _check_header(path.name, header)
    try:
        bad, table = _rows_of_lines(raw, header, reader.line_num, separator) or _cells(
            raw, header, reader.line_num, separator, every_core=True
        )
        if bad:  # only one core can tell the rows
            bad, table = _cells(raw, header, reader.line_num, separator, every_core=False)
    except pa.ArrowInvalid as error:
        if str(error).startswith("Empty CSV file"):
            return pd.DataFrame({name: pd.Series(dtype="str") for name in header}), notes
        raise InputError.at(path.name, f"cannot be read as CSV: {str(error).splitlines()[0][:120]}") from None
    raise_problems(path.name, bad)
    if separator != ",":
        notes = [*notes, (f"columns are separated by {SEPARATORS[separator]}", table.num_rows)]
    text = table.to_pandas().astype("str")
    if separator == ";":
        text, unclear, remarks = plain_decimals(text)
        raise_problems(path.name, unclear)
        notes = [*notes, *remarks]
    return text, notes


def header_separator(text: str) -> str:
    r"""What separates the cells of a header: a semicolon, tab or bar if it holds more than of commas, else the comma.

    >>> header_separator("a\tb, c\td\n1"), header_separator("a,b|c\n"), header_separator("a;b\n")
    ('\t', ',', ';')
    """
    line = re.split("[\r\n]", text.lstrip("\ufeff"), maxsplit=1)[0]
    cells = {sign: len(next(csv.reader([line], delimiter=sign), [])) for sign in (",", *SEPARATORS)}
    return max(cells, key=lambda sign: cells[sign])  # the first of equals


def _rows_of_lines(
    raw: bytes, header: list[str], skipped: int, separator: str
) -> tuple[list[Problem], pa.Table] | None:
    """Cells of a file in which each line is a row as long as the header, as in most; None for any other.

    Cut at line ends, so that no core waits: a cell that holds a line end, wherever the cut falls, makes
    fewer rows than lines or rows of another length.
    """
    import pyarrow as pa

    if len(header) == 1:  # half a cell would have as many cells as a whole one
        return None
    try:
        bad, table = _cells(raw, header, skipped, separator, every_core=True, block_bytes=LINES_BYTES)
    except pa.ArrowInvalid:  # the careful reading says what is wrong
        return None
    return None if bad or table.num_rows != raw.count(b"\n") - skipped else (bad, table)


def _cells(
    raw: bytes, header: list[str], skipped: int, separator: str, *, every_core: bool, block_bytes: int = 0
) -> tuple[list[Problem], pa.Table]:
    """Rows of another length than the header, and all cells of the others as text.

    With `block_bytes` the file is cut into such blocks at line ends, as if no cell held one.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    bad: list[Problem] = []

    def note(row: arrow_csv.InvalidRow) -> str:
        cells = "is blank" if not row.text.strip() else f"has {row.actual_columns} cells"
        bad.append(Problem(row.number, "", "", f"{cells}, the header has {row.expected_columns}"))
        return "skip"

    table = arrow_csv.read_csv(
        pa.BufferReader(raw),
        read_options=arrow_csv.ReadOptions(
            use_threads=every_core, block_size=block_bytes or 1 << 24, column_names=header, skip_rows=skipped
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=separator, newlines_in_values=not block_bytes, ignore_empty_lines=False, invalid_row_handler=note
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.large_string()), strings_can_be_null=False
        ),
    )
    return bad, table


def utf8_bytes(path: Path) -> tuple[bytes, list[tuple[str, int]]]:
    """Text of a file, unpacked, as UTF-8 without byte order mark, and remarks on its encoding with their lines.

    Raises
    ------
    InputError
        For an empty or damaged file, other kinds of file, NUL bytes, a quote that is never closed and
        text that is neither Unicode nor Windows text.
    """
    raw, notes = _from_utf16(path.name, file_bytes(path))
    raw, others = _as_utf8(path.name, _checked(path.name, raw.removeprefix(codecs.BOM_UTF8)))
    return raw, [*notes, *others]


def file_bytes(path: Path) -> bytes:
    """Content of a file, unpacked, within the limits of size and growth."""
    if path.stat().st_size > MAX_CSV_BYTES:
        raise InputError.at(path.name, f"larger than {MAX_CSV_BYTES:,} bytes; store it as Parquet")
    try:
        with path.open("rb") as stream:
            begin = stream.read(8)
        zipped = path.name.endswith(".gz") or begin.startswith(b"\x1f\x8b")
        return _unpacked(path) if zipped else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name, f"cannot be read: {error}") from None


def holds_json(path: Path) -> bool:
    """Whether a file, unpacked, begins as JSON does."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if zipped else path.open("rb") as stream:
            begin = stream.read(64)
            return begin.decode(json.detect_encoding(begin), "replace").lstrip().startswith(("{", "["))
    except (OSError, EOFError, zlib.error):
        return False


def _from_utf16(file: str, raw: bytes) -> tuple[bytes, list[tuple[str, int]]]:
    """Text that is marked as UTF-16, as spreadsheet programs save "Unicode text", as UTF-8."""
    if not raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw, []
    try:
        text = raw.decode("utf-16")
    except UnicodeDecodeError:
        raise InputError.at(file, "begins as UTF-16 but is not; save it as 'CSV UTF-8'", row=1) from None
    return text.encode("utf-8"), [("read as UTF-16", text.count("\n"))]


def _checked(file: str, raw: bytes) -> bytes:
    _check_kind(file, raw)
    if b"\0" in raw:
        wide = raw[1:200:2].count(b"\0") > 90 or raw[:200:2].count(b"\0") > 90
        rule = "; it looks like UTF-16 without its mark: save it as 'CSV UTF-8'" if wide else ""
        raise InputError.at(
            file, f"holds a NUL byte: the file is damaged or not text{rule}", row=_row(raw, raw.index(b"\0"))
        )
    if raw.count(b'"') % 2:
        rule = "a quote is opened and never closed; cells would run into each other"
        raise InputError.at(file, rule, row=_row(raw, raw.rindex(b'"')))
    return raw


def _unpacked(path: Path) -> bytes:
    """Content of a gzip file; one that says, or shows, that it grows beyond reason is refused."""
    size = path.stat().st_size
    most = min(MAX_CSV_BYTES, FREE_BYTES + MAX_GROWTH * size)
    with path.open("rb") as stream:
        stream.seek(max(size - 4, 0))
        said = int.from_bytes(stream.read(4), "little")
    too_long = said > most and _longer_than(path, most)
    if not too_long:
        with gzip.open(path) as stream:
            raw = stream.read(most + 1)
        too_long = len(raw) > most
    if too_long:
        raise InputError.at(path.name, f"unpacks to more than {most:,} bytes; store a long table as Parquet")
    return raw


def _longer_than(path: Path, most: int) -> bool:
    """Whether a gzip file unpacks to more bytes than `most`, found without keeping them."""
    grown = 0
    with gzip.open(path) as stream:
        while grown <= most and (block := stream.read(1 << 20)):
            grown += len(block)
    return grown > most


def check_beginning(path: Path) -> str:
    """Refuse what is no CSV by its first bytes and its header, for engines that read the rest; returns what separates cells."""
    with path.open("rb") as stream:
        zipped = stream.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if zipped else path.open("rb") as stream:
            raw = stream.read(BEGINNING_BYTES).removeprefix(b"\xef\xbb\xbf")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name, f"cannot be read: {error}") from None
    _check_kind(path.name, raw)
    if b"\0" in raw:
        raise InputError.at(
            path.name, "holds a NUL byte: the file is damaged or not text", row=_row(raw, raw.index(b"\0"))
        )
    text = raw.decode("utf-8", "replace")
    separator = header_separator(text)
    _check_header(path.name, next(csv.reader(io.StringIO(text, newline=""), delimiter=separator)))
    return separator


def _check_kind(file: str, raw: bytes) -> None:
    kind = next((name for mark, name in OTHER_KINDS if raw.lstrip()[: len(mark)] == mark), "")
    if kind:
        raise InputError.at(file, f"holds {kind}, not a table of cells")
    if not raw or raw.isspace():
        raise InputError.at(file, "the file is empty; a header row is needed")


def _as_utf8(file: str, raw: bytes) -> tuple[bytes, list[tuple[str, int]]]:
    try:
        if not raw.isascii():
            raw.decode("utf-8")
    except UnicodeDecodeError as error:
        try:
            text = raw.decode("cp1252")
        except UnicodeDecodeError:
            value = raw[max(error.start - 10, 0) : error.start + 10].decode("cp1252", "replace")
            rule = "is neither UTF-8 nor Windows text; save it as 'CSV UTF-8'"
            raise InputError.at(file, rule, row=_row(raw, error.start), value=value) from None
        lines = sum(not line.isascii() for line in raw.split(b"\n"))
        return text.encode("utf-8"), [("not UTF-8: read as Windows text (cp1252)", lines)]
    return raw, []


def _row(raw: bytes, position: int) -> int:
    return raw[:position].count(b"\n") + 1


def _with_plain_line_ends(raw: bytes) -> bytes:
    """Old line ends (CR alone) as LF; one line end at the end, none after it."""
    lines = raw if b"\n" in raw else raw.replace(b"\r", b"\n")
    ends_well = re.search(rb"[^\r\n]\r?\n\Z", lines[-3:])
    return lines if ends_well else lines.rstrip(b"\r\n") + b"\n"


def _check_header(file: str, header: list[str]) -> None:
    if not header:
        raise InputError.at(file, "the first line is blank; the header must stand there", row=1)
    other = next((sign for sign in SEPARATORS if len(header) == 1 and sign in header[0]), "")
    if other:
        raise InputError.at(file, f"columns are separated by {SEPARATORS[other]}; use ',' and a decimal point", row=1)
    if len(header) > MAX_COLUMNS:
        raise InputError.at(
            file, f"has {len(header):,} columns, more than {MAX_COLUMNS:,}; is it turned on its side?", row=1
        )
    seen: set[str] = set()
    for name in header:
        if not name.strip():
            raise InputError.at(file, "a column has no name", row=1)
        if name.strip() in seen:
            raise InputError.at(file, "the column is given twice", row=1, column=name)
        seen.add(name.strip())
        if name != name.strip():
            raise InputError.at(file, f"the name has blanks around it; write {name.strip()!r}", row=1, column=name)
