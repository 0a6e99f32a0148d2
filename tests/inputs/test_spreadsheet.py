"""Any spreadsheet as text: separators, encodings, titles, blank and ragged rows, hostile workbooks."""

import datetime as dt
import zipfile

import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs import workbook
from aifactory.inputs.guard import guarded, unguarded
from aifactory.inputs.spreadsheet import read_spreadsheet

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def table(tmp_path, raw, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode("utf-8"))
    return read_spreadsheet(path)[0]


def cells(sheet):
    return sheet.frame.to_numpy().tolist()


@pytest.mark.parametrize(("separator", "word"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_any_separator_is_read_and_said(tmp_path, separator, word):
    sheet = table(tmp_path, f'name{separator}team\n"a, b"{separator}x\nc, d{separator}y\n')
    assert cells(sheet) == [["a, b", "x"], ["c, d", "y"]]
    assert sheet.notes == [(f"columns are separated by {word}", 2)]


def test_the_declared_separator_counts_as_a_row_of_the_file(tmp_path):
    sheet = table(tmp_path, "sep=;\r\nname;team\r\na;b\r\n")
    assert cells(sheet) == [["a", "b"]]
    assert list(sheet.frame.index) == [3]


@pytest.mark.parametrize(
    ("raw", "notes"),
    [
        ("name,team\nCaf\u00e9,x\n".encode("utf-8-sig"), []),
        ("name,team\nCaf\u00e9,x\n".encode("utf-16"), [("read as UTF-16", 2)]),
        ("name,team\nCaf\u00e9,x\n".encode("cp1252"), [("not UTF-8: read as Windows text (cp1252)", 1)]),
    ],
    ids=["BOM", "UTF-16", "cp1252"],
)
def test_text_survives_its_encoding(tmp_path, raw, notes):
    sheet = table(tmp_path, raw)
    assert cells(sheet) == [["Caf\u00e9", "x"]]
    assert list(sheet.frame) == ["name", "team"]
    assert sheet.notes == notes


def test_text_that_was_decoded_wrongly_before_is_named_and_kept(tmp_path):
    sheet = table(tmp_path, "name,team\ndon\u00e2\u20ac\u2122t,x\n")
    assert cells(sheet)[0][0] == "don\u00e2\u20ac\u2122t"
    assert sheet.notes == [("text looks decoded wrongly once before; it is kept as it stands", 1)]


def test_title_blank_and_repeated_rows_are_counted(tmp_path):
    sheet = table(tmp_path, "Inventory of AI,,\n,,\nname,team,note\na,x,1\n,,\nname,team,note\nb,y,2\n\n")
    assert cells(sheet) == [["a", "x", "1"], ["b", "y", "2"]]
    assert list(sheet.frame.index) == [4, 7]
    assert sheet.left_out == {"blank row": 1, "header repeated inside the table": 1}
    assert sheet.notes == [("the header stands in row 3; the rows above it are no part of the table", 1)]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("name,team,name\na,b,c\n", "row 1, column 'name': the column is given twice"),
        ("name,team,Team\na,b,c\n", "row 1, column 'Team': the column is given twice"),
        ("name,team\n" + "x" * 140_000 + ",b\n", "row 2: a cell holds more than 131,072 characters"),
        ("name,team\na,b\nc,d,e\n", "row 3: has 3 cells, the header has 2"),
        ("name,team\na,b\nc\n", "row 3: has 1 cells, the header has 2"),
        ('name,team\n"a,b\n', "a quote is opened and never closed"),
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        (b"name,team\na\0,b\n", "holds a NUL byte"),
        (b"\x80\x04\x95\x0c\x00\x00\x00", "a Python pickle"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel file"),
        (b"%PDF-1.7", "a PDF document"),
        (b'{"name": 1}', "holds JSON"),
    ],
)
def test_what_would_shift_or_guess_cells_is_refused(tmp_path, raw, words):
    for name in ("t.csv", "t.xlsx"):
        with pytest.raises(InputError, match="t\\.") as caught:
            table(tmp_path, raw, name)
        assert words in str(caught.value)


def test_a_column_without_a_name_is_kept_under_its_letter(tmp_path):
    sheet = table(tmp_path, "name,,team,\na,b,c,\n")
    assert list(sheet.frame) == ["name", "column B", "team"]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_a_workbook_holds_is_what_is_read(tmp_path, rows):
    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(str(path), {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([("name", "team"), *rows]):
            for column, text in enumerate(row):
                sheet.write_string(number, column, text)
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    if not kept or ("name", "team") in kept or any(cell in workbook.ERRORS for row in kept for cell in row):
        return
    read = read_spreadsheet(path)[0]
    assert cells(read) == [list(row) for row in kept]


def test_numbers_days_and_control_characters_of_a_workbook(tmp_path):
    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet, day = book.add_worksheet(), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["id", "number", "day", "flag", "text"])
        sheet.write_number(1, 0, 7)
        sheet.write_number(1, 1, 0.1)
        sheet.write_datetime(1, 2, dt.datetime(2026, 10, 1), day)
        sheet.write_boolean(1, 3, True)
        sheet.write_string(1, 4, "two\r\nlines")
    assert cells(read_spreadsheet(path)[0]) == [["7", "0.1", "2026-10-01", "true", "two\r\nlines"]]


def test_formulas_merged_cells_errors_and_hidden_sheets_are_said(tmp_path):
    path = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["unit", "name", "n"], ["retail", "a", "=1+1"], [None, "b", "#REF!"], [None, "c", 3]):
        sheet.append(row)
    sheet.merge_cells("A2:A4")
    hidden = book.create_sheet("old")
    hidden.append(["secret"])
    hidden.append(["x"])
    hidden.sheet_state = "hidden"
    book.save(path)
    read = read_spreadsheet(path)
    assert [item.name for item in read] == ["Sheet"]
    assert cells(read[0]) == [["retail", "a", ""], ["retail", "b", ""], ["retail", "c", "3"]]
    notes = dict(read[0].notes)
    assert notes.pop("cells of merged areas take the value that the area shows") == 2
    assert notes.pop("sheet 'old' is hidden and was not read") == 1
    assert notes.pop("spreadsheet errors such as #REF! are read as unknown") == 1
    assert [count for text, count in notes.items() if "(C2)" in text] == [1]


def bomb(path, size=60_000_000, name="xl/worksheets/sheet1.xml"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr(name, b" " * size)


def test_an_archive_that_grows_too_much_is_refused_unread(tmp_path):
    bomb(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match=r"t\.xlsx: value 'xl/worksheets/sheet1\.xml': an entry unpacks to 60,000,000"):
        read_spreadsheet(tmp_path / "t.xlsx")


def test_a_cell_far_below_the_table_is_named_and_not_reached(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["name", "team"])
    book.active.append(["a", "b"])
    book.active.cell(1_048_576, 16_384, "x")
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match=r"sheet 'Sheet', row 1048576: stands below 1,048,573 blank rows"):
        read_spreadsheet(tmp_path / "t.xlsx")


def test_many_entries_that_are_large_together_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MAX_UNPACKED_BYTES", 1_000)
    bomb(tmp_path / "t.xlsx", size=2_000)
    with pytest.raises(InputError, match="unpacks to 2,011 bytes, more than 1,000"):
        read_spreadsheet(tmp_path / "t.xlsx")


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"../../evil.csv": "x"}, "leads outside the archive"),
        ({"a.csv": "name\nx\n"}, "is a ZIP archive, not a workbook"),
        ({"content.xml": "<x/>"}, "OpenDocument"),
        ({"xl/workbook.bin": "x"}, "binary workbook"),
        ({"xl/workbook.xml": '<!DOCTYPE x [<!ENTITY a "aaaa">]><workbook/>'}, "declares XML entities"),
        ({"xl/workbook.xml": "<workbook/>"}, "is not a readable workbook"),
    ],
)
def test_archives_that_are_no_workbook_are_refused(tmp_path, entries, words):
    path = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    with pytest.raises(InputError, match=r"t\.xlsx") as caught:
        read_spreadsheet(path)
    assert words in str(caught.value)


def test_a_truncated_workbook_is_refused(tmp_path):
    path = tmp_path / "t.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        book.add_worksheet().write_string(0, 0, "name")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match="is not a readable workbook"):
        read_spreadsheet(path)


@given(st.text(max_size=8))
def test_a_guard_comes_off_again(text):
    import pandas as pd

    given_text = pd.Series([text], dtype="str")
    assert unguarded(guarded(given_text)).tolist() == [text]
    assert not guarded(given_text).str.match(r"[=@\t\r\n]").any()
