"""The strict reader: what is not what the contract says is named, never repaired."""

import csv
import gzip
import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs import csv_text
from aifactory.inputs.contracts import Contract, Field, load_contract
from aifactory.inputs.kinds import row_kinds
from aifactory.inputs.tables import Problem, raise_problems, read_source, read_table, read_text, type_table

SMALL = Contract(
    name="small", title="", description="", primary_key=("id",), foreign_keys=(), missing_values=("", "NULL"),
    used_by=(),
    fields=(
        Field("id", "string", "", required=True, unique=True),
        Field("whole", "integer", "", minimum=0),
        Field("price", "number", "", exclusive_minimum=0),
        Field("cost", "number", "", exact=True),
        Field("at", "datetime", ""),
        Field("day", "date", ""),
        Field("month", "yearmonth", ""),
        Field("flag", "boolean", ""),
        Field("option", "string", "", enum=("on_demand", "spot")),
        Field("name", "string", "", pattern="[a-z]+"),
    ),
)  # fmt: skip
IN_ONE_FILE = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(folder, text, contract=SMALL, name="small.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return read_table(path, contract)


def cell(folder, column, value):
    quoted = value.replace('"', '""')
    table = read(folder, f'id,{column}\nr1,"{quoted}"\n')
    return table, [problem.text("small.csv") for problem in table.problems]


def test_each_type_arrives_in_its_dtype(tmp_path):
    head = "id,whole,price,cost,at,day,month,flag,option,name\n"
    table = read(tmp_path, head + "0007,5,0.5,1.10,2026-10-01T00:00:00Z,2026-10-31,2026-10,yes,spot,abc\nb,,,,,,,,,\n")
    assert not table.problems
    first, second = table.frame.iloc[0], table.frame.iloc[1]
    assert (first["id"], first["whole"], first["price"], first["cost"]) == ("0007", 5, 0.5, Decimal("1.10"))
    assert first["at"] == pd.Timestamp("2026-10-01", tz="UTC")
    assert first["day"] == pd.Timestamp("2026-10-31")
    assert bool(first["flag"]) is True
    assert second.drop("id").isna().all()
    assert {name: str(kind) for name, kind in table.frame.dtypes.items()} == {f.name: f.dtype for f in SMALL.fields}


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("whole", "1.5", "must be a whole number"),
        ("whole", "1,000", "must be a whole number"),
        ("whole", "-1", "must be 0 or more"),
        ("price", "abc", "must be a finite number with a decimal point"),
        ("price", "inf", "must be a finite number with a decimal point"),
        ("price", "-1e19", "must lie within 10^18 of 0"),
        ("price", "1e308", "must lie within 10^18 of 0"),
        ("price", "1,5", "must be a finite number with a decimal point"),
        ("price", "1.234,56", "must be a finite number with a decimal point"),
        ("price", "0x1A", "must be a finite number with a decimal point"),
        ("price", "0", "must be above 0"),
        ("price", "-2.0", "must be above 0"),
        ("cost", "Infinity", "must be a finite number with a decimal point"),
        ("cost", "$5", "must be a finite number with a decimal point"),
        ("cost", "1,000.00", "must be a finite number with a decimal point"),
        ("at", "03/04/2026", "must be a UTC time"),
        ("at", "2026-10-05", "must be a UTC time"),
        ("at", "2026-02-30T00:00:00Z", "is not a date of the calendar"),
        ("at", "2026-10-05T24:00:00Z", "is not a date of the calendar"),
        ("day", "05.10.2026", "must be a date"),
        ("day", "2026-02-30", "must be a date"),
        ("month", "2026-13", "must be a month"),
        ("month", "2026-1", "must be a month"),
        ("flag", "maybe", "must be true or false"),
        ("name", "Abc", "must be of the form"),
    ],
)
def test_a_wrong_cell_is_named_with_file_row_column_and_value(tmp_path, column, value, rule):
    _, texts = cell(tmp_path, column, value)
    assert len(texts) == 1
    assert texts[0].startswith(f"small.csv, row 2, column {column!r}: value ")
    assert rule in texts[0]
    assert value.rstrip("0").rstrip(".") in texts[0]


def test_a_wrong_choice_names_the_nearest_valid_one(tmp_path):
    _, texts = cell(tmp_path, "option", "on demand")
    assert texts == [
        "small.csv, row 2, column 'option': value 'on demand': must be one of on_demand, spot. Did you mean 'on_demand'?"
    ]


def test_a_negative_price_is_named_with_its_row(tmp_path):
    table = read(tmp_path, "id,price\na,1\nb,2\nc,-3\nd,0\n")
    assert [(p.row, p.value) for p in table.problems] == [(4, "-3.0"), (5, "0.0")]


def test_a_key_given_twice_is_named(tmp_path):
    table = read(tmp_path, "id\na\nb\na\n")
    assert [(p.row, p.value) for p in table.problems] == [(2, "a"), (4, "a")]


def test_a_key_of_several_columns_given_twice_is_named(tmp_path):
    contract = replace(
        SMALL, primary_key=("id", "whole"), fields=(Field("id", "string", "", required=True), SMALL.field("whole"))
    )
    table = read(tmp_path, "id,whole\na,1\na,2\na,1\n", contract)
    assert [p.text("f") for p in table.problems] == [
        "f, row 4, column 'id, whole': value 'a, 1': this key is given twice"
    ]


def test_a_required_value_that_is_missing_is_named(tmp_path):
    table = read(tmp_path, "id,whole\na,1\nNULL,2\n")
    assert [p.text("f") for p in table.problems] == ["f, row 3, column 'id': a value is required"]


def test_semicolons_part_cells_too(tmp_path):
    assert read(tmp_path, "id;whole\na;1\n").frame.equals(read(tmp_path, "id,whole\na,1\n").frame)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"id,whole,id\na,1,b\n", "row 1, column 'id': the column is given twice"),
        (b"id,\na,1\n", "row 1: a column has no name"),
        (b"id,who\na,1\n", "column 'who': unknown column. Did you mean 'whole'?"),
        (b"whole\n1\n", "column 'id': required column is missing; found: whole"),
        (b"id,whole\na,1\nb\n", "row 3: has 1 cells, the header has 2"),
        (b"id,whole\na,1,9\n", "row 2: has 3 cells, the header has 2"),
        (b"id\na\n\x00\n", "row 3: holds a NUL byte"),
        (b"id\na\ncaf\x81\n", "row 3: value 'id\\na\\ncaf\ufffd\\n': is neither UTF-8 nor Windows text"),
    ],
)
def test_a_file_that_is_not_this_table_is_refused(tmp_path, raw, words):
    with pytest.raises(InputError) as caught:
        read(tmp_path, raw)
    assert str(caught.value).startswith("small.csv")
    assert words in str(caught.value)


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    plain = read(tmp_path, "id,whole\n007,1\nb,2\n").frame
    marked = read(tmp_path, b"\xef\xbb\xbfid,whole\r\n007,1\r\nb,2\r\n").frame
    pd.testing.assert_frame_equal(plain, marked)


def test_a_newline_inside_quotes_stays_in_its_cell(tmp_path):
    table = read(tmp_path, 'id,whole\n"a\nb, ""c""",1\nd,x\n')
    assert table.frame["id"].tolist() == ['a\nb, "c"', "d"]
    assert table.problems[0].row == 3


def test_a_column_named_x_is_left_out_with_a_warning(tmp_path):
    table = read(tmp_path, "id,x_note\na,b\n")
    assert "x_note" not in table.frame
    assert [(w.column, w.rule) for w in table.warnings] == [("x_note", "extra column, not used")]


def test_a_foreign_file_may_have_other_columns(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("id,whole,whatever\na,1,2\n", encoding="utf-8")
    assert read_source(path, SMALL)["whole"].tolist() == [1]


def test_a_foreign_file_with_a_wrong_cell_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("id,whole\na,one\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"other.csv, row 2, column 'whole': value 'one': must be a whole number"):
        read_source(path, SMALL)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.csv.*no such file"):
        read_source(tmp_path / "gone.csv", SMALL)


def test_ten_problems_are_shown_and_the_rest_counted():
    problems = [Problem(row, "price", "x", "must be a number") for row in range(2, 15)]
    with pytest.raises(InputError) as caught:
        raise_problems("small.csv", problems)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "small.csv: 3 more problems"


def test_no_problem_raises_nothing():
    raise_problems("small.csv", [])


def test_times_without_a_zone_are_read_as_utc_and_said(tmp_path):
    table, _ = cell(tmp_path, "at", "2026-10-05 11:00:00")
    assert table.frame["at"][0] == pd.Timestamp("2026-10-05T11:00", tz="UTC")
    assert table.warnings[0].rule == "1 times without a zone were read as UTC"


def test_times_with_and_without_a_zone_are_not_mixed(tmp_path):
    table = read(tmp_path, "id,at\na,2026-10-05T11:00:00Z\nb,2026-10-05T11:00:00\n")
    assert [(p.row, p.rule[:11]) for p in table.problems] == [(3, "has no zone")]


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**12), max_value=10**12)))
@IN_ONE_FILE
def test_exact_money_is_the_decimal_of_its_text(tmp_path, amounts):
    rows = "".join(f"r{n},{amount}\n" for n, amount in enumerate(amounts))
    frame = read(tmp_path, "id,cost\n" + rows).frame
    assert frame["cost"].tolist() == amounts
    assert sum(frame["cost"], Decimal(0)) == sum(amounts, Decimal(0))


@given(st.lists(st.floats(min_value=1e-300, allow_infinity=False, allow_nan=False)))
@IN_ONE_FILE
def test_a_float_reads_back_to_the_last_bit(tmp_path, numbers):
    rows = "".join(f"r{n},{number!r}\n" for n, number in enumerate(numbers))
    assert read(tmp_path, "id,price\n" + rows).frame["price"].tolist() == numbers


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), min_size=1))
@IN_ONE_FILE
def test_a_text_is_kept_as_it_is(tmp_path, text):
    quoted = text.replace('"', '""')
    frame = read(
        tmp_path, f'id,name\nr1,"{quoted}"\n', replace(SMALL, fields=(SMALL.field("id"), Field("name", "string", "")))
    )
    expected = None if text in SMALL.missing_values else text
    assert (None if pd.isna(frame.frame["name"][0]) else frame.frame["name"][0]) == expected


def test_a_gzipped_file_reads_like_the_plain_one(tmp_path):
    text = b"id,whole\n007,1\n"
    pd.testing.assert_frame_equal(
        read(tmp_path, text).frame, read(tmp_path, gzip.compress(text), name="small.csv.gz").frame
    )


@pytest.mark.parametrize("damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"id\na\n"])
def test_a_damaged_gzip_file_is_refused(tmp_path, damage):
    raw = gzip.compress(b"id\n" + b"".join(b"r%d\n" % n for n in range(1000)))
    with pytest.raises(InputError, match=r"small\.csv\.gz: cannot be read"):
        read(tmp_path, damage(raw), name="small.csv.gz")


def parquet(folder, **columns):
    index = columns.pop("index", None)
    path = folder / "small.parquet"
    pd.DataFrame(columns, index=index).to_parquet(path)
    return read_table(path, SMALL)


def test_parquet_and_csv_give_the_same_table(tmp_path):
    typed = parquet(
        tmp_path, id=["a", "b"], whole=[1, None], price=[0.5, np.nan], cost=[Decimal("1.10"), None],
        at=pd.to_datetime(["2026-10-01T00:00Z", None]), flag=pd.array([True, None], dtype="boolean"),
    )  # fmt: skip
    text = read(tmp_path, "id,whole,price,cost,at,flag\na,1,0.5,1.10,2026-10-01T00:00:00Z,true\nb,,,,,\n")
    assert not typed.problems
    pd.testing.assert_frame_equal(typed.frame, text.frame, check_exact=True)


def test_text_in_a_number_column_of_a_parquet_file_is_named(tmp_path):
    table = parquet(tmp_path, id=["a"], whole=["nine hundred"])
    assert [(p.row, p.column, p.value) for p in table.problems] == [(2, "whole", "nine hundred")]


def test_numbers_in_a_text_column_of_a_parquet_file_are_named(tmp_path):
    table = parquet(tmp_path, id=[1])
    assert [(p.column, p.rule) for p in table.problems] == [("id", "must be stored as string")]


def test_a_time_of_another_zone_in_a_parquet_file_is_converted(tmp_path):
    table = parquet(tmp_path, id=["a"], at=pd.to_datetime(["2026-10-05T02:00:00+02:00"]))
    assert table.frame["at"][0] == pd.Timestamp("2026-10-05", tz="UTC")


def test_an_infinite_number_in_a_parquet_file_is_named(tmp_path):
    assert parquet(tmp_path, id=["a"], price=[math.inf]).problems[0].row == 2


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"small\.parquet: is not a readable Parquet file"):
        read(tmp_path, b"id\na\n", name="small.parquet")


def test_the_shipped_sample_reads_without_a_problem(sample_dir):
    for path in sorted(sample_dir.glob("*.csv*")):
        table = read_table(path, load_contract(path.name.split(".")[0]))
        assert not table.problems, path.name


# Known faults of the reader.


def test_a_blank_line_before_the_header_does_not_change_the_values(tmp_path):
    try:
        frame = read(tmp_path, "\nid,whole\n00012,5\n").frame
    except InputError:
        return
    assert frame["id"].tolist() == ["00012"]


def test_a_quote_that_is_never_closed_is_refused(tmp_path):
    contract = replace(SMALL, fields=(SMALL.field("id"), Field("name", "string", "")))
    with pytest.raises(InputError):
        read(tmp_path, 'id,name\na,"abc\nb,def\nc,ghi\n', contract)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_large_whole_number_keeps_its_last_digit(tmp_path, kind):
    number = 2**53 + 1
    csv = kind == "csv"
    table = read(tmp_path, f"id,whole\na,{number}\n") if csv else parquet(tmp_path, id=["a"], whole=[number])
    assert table.problems or table.frame["whole"].tolist() == [number]


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_a_whole_number_beyond_64_bit_is_named(tmp_path):
    _, texts = cell(tmp_path, "whole", "99999999999999999999")
    assert "row 2, column 'whole'" in texts[0]


@pytest.mark.parametrize("value", ["1_000", "\uff15"])
def test_money_in_another_notation_is_refused(tmp_path, value):
    _, texts = cell(tmp_path, "cost", value)
    assert texts


def test_infinite_money_in_a_parquet_file_is_named(tmp_path):
    assert parquet(tmp_path, id=["a"], cost=[math.inf]).problems


def test_a_blank_line_does_not_shift_the_row_of_a_problem(tmp_path):
    assert read(tmp_path, "id,whole\na,5\n\nb,x\n").problems[0].row == 4


def test_the_row_of_a_parquet_problem_is_its_position(tmp_path):
    assert parquet(tmp_path, id=["a", "b"], price=[1.0, math.inf], index=[10, 20]).problems[0].row == 3


def test_a_parquet_file_with_an_index_of_text_is_read(tmp_path):
    assert parquet(tmp_path, id=["a", "b"], price=[1.0, math.inf], index=["k", "l"]).problems[0].row == 3


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("small.csv", b"id,whole\ra,1\r"),
        ("small.csv", b"id,whole"),
        ("small.csv.gz", gzip.compress(b"id\n")[:10] + b"\xff" * 40),
    ],
    ids=["old Mac line ends", "header without line end", "damaged gzip body"],
)
def test_every_unreadable_file_ends_in_an_input_error(tmp_path, name, raw):
    try:
        table = read(tmp_path, raw, name=name)
    except InputError:
        return
    except Exception as error:
        pytest.fail(f"{type(error).__name__}: {error}")
    assert len(table.frame) == raw.count(b"a,1")


@pytest.mark.parametrize("ends", ["", "\n", "\r\n", "\n\n\n", "\r\n\r\n", "\n\r\n"])
def test_line_ends_at_the_end_are_no_rows(tmp_path, ends):
    path = tmp_path / "t.csv"
    path.write_bytes(("a,b\n1,2\n3,4" + ends).encode())
    assert read_text(path)[0].to_numpy().tolist() == [["1", "2"], ["3", "4"]]


_COSTS = st.sampled_from(["1.10", "1.1", "0", "", "abc", "-2e3", " 7 ", "1,5"])


@given(rows=st.lists(st.tuples(_COSTS, _COSTS, _COSTS), min_size=1, max_size=12))
def test_amounts_that_repeat_in_a_row_are_read_and_named_one_by_one(rows):
    names = ("billed", "effective", "list")
    contract = replace(SMALL, fields=tuple(Field(name, "number", "", exact=True) for name in names), primary_key=())
    text = pd.DataFrame(rows, columns=list(names), dtype="str")
    found = type_table(Path("bill.csv"), text, contract)
    apart = [type_table(Path("bill.csv"), text[[name]], replace(contract, fields=(item,))) for name, item in
             zip(names, contract.fields, strict=True)]  # fmt: skip
    pd.testing.assert_frame_equal(found.frame, pd.concat([part.frame for part in apart], axis=1))
    assert found.problems == [problem for part in apart for problem in part.problems]


_TEXTS = st.lists(st.sampled_from(["a", "b", ",", '"', "\n", "\r\n", " "]), max_size=6).map("".join)


@IN_ONE_FILE
@given(
    rows=st.lists(st.tuples(_TEXTS, _TEXTS, _TEXTS), min_size=1, max_size=12), block=st.sampled_from([32, 48, 1 << 21])
)
def test_cells_with_line_ends_are_read_whole_wherever_a_block_ends(tmp_path, rows, block):
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b", "c"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "LINES_BYTES", block)
        assert read_text(path)[0].to_numpy().tolist() == [list(row) for row in rows]


def test_rows_of_another_length_are_named_in_a_long_file(tmp_path):
    lines = [f"{n},{'x' * 200}" for n in range(200_000)]
    lines[150_000] = "1,2,3"
    path = tmp_path / "long.csv"
    path.write_text("id,note\n" + "\n".join(lines) + "\n")
    with pytest.raises(InputError, match="row 150002: has 3 cells, the header has 2"):
        read_text(path)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["", "x", None])), max_size=30))
def test_kinds_of_rows_are_those_of_equal_rows(rows):
    frame = pd.DataFrame(rows, columns=["one", "two"], dtype="str")
    kind, first = row_kinds(frame)
    assert kind[first].tolist() == list(range(len(first)))
    pd.testing.assert_frame_equal(frame.iloc[first].take(kind).reset_index(drop=True), frame)
    assert len(first) == len(frame.drop_duplicates())
