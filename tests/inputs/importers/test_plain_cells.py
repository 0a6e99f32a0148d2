"""Sheets of use cases as other countries write them, with sums at their end and parts hidden."""

import pytest
import xlsxwriter

from aifactory.inputs.importers.use_cases.read import read_use_cases
from tests.inputs.importers.test_use_cases import TODAY, read

HEAD = "Use case;Business unit;Requests per month;Cost per month (USD);Latency target (s)\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [(("1200000", "2500,50", "1,5"), ("4500,5", "310", "20")), (("1.200.000", "2.500,50", "1,5"), ("4.500", "310,00", "20,0")),
     (("1 200 000", "2 500,50", "1,5"), ("4'500", "310,00", "20,0")), (("1\u202f200\u202f000", "2\u00a0500,50", "1,5"), ("4500", "310", "20"))],
)  # fmt: skip
def test_decimal_commas_and_groups_beside_semicolons(tmp_path, first, second):
    found = read(
        tmp_path, HEAD + "".join(f"{name};Retail;{';'.join(cells)}\n" for name, cells in (("A", first), ("B", second)))
    )
    rows = found.frame[["stated_units_per_month", "stated_usd_per_month", "slo_p95_e2e_ms"]].astype(float)
    assert rows.to_numpy().tolist() == [[1_200_000, 2500.5, 1500], [4500.5 if "," in second[0] else 4500, 310, 20_000]]
    assert any("Cost per month (USD)" in text for text, _ in found.warnings)


def test_points_and_commas_that_leave_no_doubt_may_stand_in_one_column(tmp_path):
    found = read(tmp_path, HEAD + "A;Retail;60.5;2500.50;0,5\nB;IT;7;1,234;0.25\n")
    rows = found.frame[["stated_units_per_month", "stated_usd_per_month", "slo_p95_e2e_ms"]].astype(float)
    assert rows.to_numpy().tolist() == [[60.5, 2500.5, 500], [7, 1234, 250]]


def test_what_may_be_thousands_or_decimals_stays_unknown(tmp_path):
    found = read(tmp_path, HEAD + "A;Retail;1,234;10;1\nB;Retail;2,345;20;2\n")
    assert found.frame["stated_units_per_month"].isna().all()
    text = read(tmp_path, "Use case,Team,Comment\nA,x,100 000\nB,x,about 20 000\n")
    assert text.frame["x_comment"].tolist() == ["100 000", "about 20 000"], "no column of numbers"


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ("Chat,Retail,1000,200\nSearch,Retail,3000,100\nTotal,,4000,300\n", ["Chat", "Search"]),
        ("Chat,Retail,1000,200\nSearch,IT,3000,100\nSum of all use cases,All,4000,300\n", ["Chat", "Search"]),
        ("Chat,A,1000,200\nFax,A,500,10\nSubtotal,A,1500,210\nBot,B,5,1\nMail,B,6,2\nSubtotal,B,11,3\nGesamt,,1511,213\n", ["Chat", "Fax", "Bot", "Mail"]),
        ("Chat,Retail,1000,200\nTotal,Retail,7000,900\n", ["Chat", "Total"]),
        ("Total care,,1000,200\nSum,Retail,,\n", ["Total care", "Sum"]),
    ],
)  # fmt: skip
def test_sums_under_a_name_are_no_use_cases(tmp_path, rows, kept):
    found = read(tmp_path, "Use case,Business unit,Requests per month,Cost per month (USD)\n" + rows)
    assert found.frame["name"].tolist() == kept
    assert found.left_out.get("rows of totals", 0) == rows.count("\n") - len(kept)


def test_hidden_rows_and_sheets_are_named(tmp_path):
    path = tmp_path / "cases.xlsx"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Readme").write_row(0, 0, ["made by", "us"])
        sheet, old = book.add_worksheet("Cases"), book.add_worksheet("Old")
        for number, row in enumerate([("Use case", "Business unit"), ("Chat", "Retail"), ("Scan", "IT")]):
            sheet.write_row(number, 0, row)
            old.write_row(number, 0, row)
        sheet.set_row(2, None, None, {"hidden": True})
        old.hide()
    found = read_use_cases(path, TODAY)
    assert found.frame["name"].tolist() == ["Chat", "Scan"]
    assert {("sheet 'Old' is hidden and was not read", 2),
            ("rows that are hidden in the sheet (by a filter or by hand) are read like the others", 1)} <= set(found.warnings)  # fmt: skip
