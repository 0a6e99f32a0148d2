"""Semicolons between cells: decimal commas where they are certain, a refusal with the cell where they are not."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.csv_text import read_csv_text
from aifactory.inputs.decimal_comma import plain_decimals


def read(tmp_path, text):
    path = tmp_path / "eu.csv"
    path.write_text(text, encoding="utf-8")
    return read_csv_text(path)


def test_a_european_file_by_hand(tmp_path):
    text, notes = read(
        tmp_path, 'cost;name;count\n"1.234,56";1,5 GB;7\n-0,5;x;1.234.567\n,25;;\n'.replace(",25", "2,25")
    )
    assert text["cost"].tolist() == ["1234.56", "-0.5", "2.25"]
    assert text["name"].tolist() == ["1,5 GB", "x", ""]  # no number: as it stands
    assert text["count"].tolist() == ["7", "1234567", ""]
    assert notes == [
        ("columns are separated by ';'", 3),
        ("numbers with a decimal comma, read as such: cost, count", 3),
    ]


def test_a_file_with_decimal_points_stays(tmp_path):
    text, notes = read(tmp_path, "cost;tags\n0.5;{a,b}\n1.234;\n12;c\n")
    assert text["cost"].tolist() == ["0.5", "1.234", "12"]  # 0.5 says what the point is
    assert notes == [("columns are separated by ';'", 3)]


@pytest.mark.parametrize(
    ("rows", "row", "value"),
    [
        (["1,234", "5"], 2, "1,234"),
        (["5", "NULL", "-12.345"], 4, "-12.345"),
        (["0,5", "2.75"], 3, "2.75"),
        (["2.75", "1,234", "0,5"], 4, "0,5"),
        (["1,234,567", "1.234.567"], 3, "1.234.567"),
    ],
)
def test_what_could_be_two_numbers_is_refused_with_its_cell(tmp_path, rows, row, value):
    with pytest.raises(InputError, match=f"row {row}, column 'cost': value '{value}'"):
        read(tmp_path, "cost;name\n" + "".join(f"{cell};x\n" for cell in rows))


def test_commas_between_cells_leave_numbers_alone(tmp_path):
    text, notes = read(tmp_path, 'cost,note;s\n"1,234",1\n')
    assert text["cost"].tolist() == ["1,234"]
    assert notes == []


def test_large_and_odd_columns_are_left_alone():
    frame = pd.DataFrame({"ip": ["10.0.0.1"], "date": ["31.10.2026"], "ids": ["1,2,3"], "empty": [""]})
    plain, problems, notes = plain_decimals(frame)
    assert plain.equals(frame)
    assert (problems, notes) == ([], [])


@settings(max_examples=80)
@given(st.lists(st.decimals(-(10**6), 10**6, places=2), min_size=1, max_size=20), st.booleans())
def test_amounts_of_two_decimals_come_back_whatever_the_thousands(amounts, grouped):
    written = [f"{amount:{',' if grouped else ''}.2f}".translate(str.maketrans(",.", ".,")) for amount in amounts]
    plain, problems, _ = plain_decimals(pd.DataFrame({"cost": written}))
    assert problems == []
    assert plain["cost"].tolist() == [f"{amount:.2f}" for amount in amounts]
