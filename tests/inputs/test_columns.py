"""Columns read by their different texts: as if every cell were read alone."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs import columns
from aifactory.inputs.bounds import _named, keeps_rules
from aifactory.inputs.columns import as_decimals, coded, each
from aifactory.inputs.contracts import Contract, Field
from aifactory.inputs.tables import type_table

SMALL = Contract("small", "", "", (
    Field("id", "string", "", required=True, unique=True), Field("whole", "integer", "", minimum=0),
    Field("price", "number", "", exclusive_minimum=0), Field("cost", "number", "", exact=True),
    Field("at", "datetime", ""), Field("day", "date", ""), Field("month", "yearmonth", ""), Field("flag", "boolean", ""),
    Field("option", "string", "", enum=("on_demand", "spot")), Field("name", "string", "", pattern="[a-z]+"),
), ("id",), (), ("", "NULL"), ())  # fmt: skip
CELLS = {
    "id": ["a", "b", "c", ""],
    "whole": ["1", "12.0", "-3", "1e3", "x", "NULL"],
    "price": ["1.5", "0", "-1", "nan", ""],
    "cost": ["1.10", "1e1", " 7 ", "1,5", ""],
    "at": ["2026-10-01T00:00:00Z", "2026-10-01T02:00:00+02:00", "2026-10-01 00:00:00", "2026-13-01T00:00:00Z", ""],
    "day": ["2026-10-01", "1.10.2026", ""],
    "month": ["2026-10", "2026-13", ""],
    "flag": ["true", "0", "maybe", ""],
    "option": ["spot", "on_demand", "spott", ""],
    "name": ["abc", "Abc", ""],
}
FEW = settings(max_examples=15)
ROWS = st.lists(st.tuples(*(st.sampled_from(cells) for cells in CELLS.values())), min_size=1, max_size=8)


def text_of(rows):
    return pd.DataFrame(rows, columns=list(CELLS), dtype="str")


@FEW
@given(ROWS)
def test_a_long_table_is_read_as_a_short_one(rows):
    text = text_of(rows)
    short = type_table(Path("t.csv"), text, SMALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "LONG_ROWS", 0)  # cores share the columns
        patch.setattr(columns, "SAMPLE", len(rows))  # and columns of different texts are not counted
        long = type_table(Path("t.csv"), text, SMALL)
    pd.testing.assert_frame_equal(long.frame, short.frame)
    assert long.problems == short.problems
    assert long.warnings == short.warnings


@FEW
@given(ROWS)
def test_each_different_value_is_counted(rows):
    text = text_of(rows)
    found = type_table(Path("t.csv"), text, SMALL)
    for name, held in found.coded.items():
        column = found.frame[name] if name != "cost" else text["cost"].where(found.frame["cost"].notna())
        assert held.known.is_unique
        assert (held.codes < 0).tolist() == column.isna().tolist()
        assert held.counts().tolist() == [int((column == value).sum()) for value in held.known]


def test_many_different_texts_are_not_counted(monkeypatch):
    texts = pd.Series([f"r{n}" for n in range(500)], dtype="str")
    assert coded(texts).codes.tolist() == list(range(500))
    monkeypatch.setattr(columns, "LONG_ROWS", 100)
    assert coded(texts) is None
    assert coded(texts.str[:2]).known.size == 10


@pytest.mark.parametrize("values", [100, 127, 128, 129, 40_000])
def test_codes_are_as_small_as_the_values_allow(values):
    held = coded(pd.Series([f"v{n}" for n in range(values)] + [None], dtype="str"))
    assert held.codes.tolist() == [*range(values), -1]
    assert held.codes.dtype == (np.int8 if values <= 128 else np.int16 if values <= 2**15 else np.int32)


def test_results_stand_in_order_on_all_cores():
    assert each(lambda n: n * n, range(20), columns.LONG_ROWS + 1) == [n * n for n in range(20)]
    with pytest.raises(ZeroDivisionError):
        each(lambda n: 1 // n, [1, 0], columns.LONG_ROWS + 1)


FIELDS = (
    Field("v", "number", "", minimum=0.0),
    Field("v", "number", "", exclusive_minimum=0.0, required=True),
    Field("v", "number", "", maximum=2.0, unique=True),
    Field("v", "string", "", enum=("a", "b"), required=True),
    Field("v", "string", "", pattern="[a-z]|x.", unique=True),
    Field("v", "string", "", required=True),
)


@pytest.mark.parametrize("field", FIELDS)
@FEW
@given(data=st.data())
def test_rules_are_kept_where_pandera_finds_nothing(field, data):
    cells = st.sampled_from([-1.0, 0.0, 1.0, 2.0, 3.0, None]) if field.type == "number" else st.sampled_from(
        ["a", "b", "c", "x\n", "A", None])  # fmt: skip
    column = pd.Series(data.draw(st.lists(cells, max_size=5)), dtype=field.dtype)
    contract = Contract("t", "", "", (field,), (), (), (), ())
    kept = not _named(pd.DataFrame({"v": column}), contract)
    assert keeps_rules(field, column) == kept
    if field.type == "string":
        assert keeps_rules(field, column, coded(column)) == kept


def test_amounts_may_stay_text():
    contract = replace(SMALL, fields=(Field("cost", "number", "", exact=True),), primary_key=())
    text = pd.DataFrame({"cost": ["1.10", "1e1", " 7 ", "1,5", ""]}, dtype="str")
    found = type_table(Path("t.csv"), text, contract, amounts_as_text=True)
    assert found.frame["cost"].tolist()[:3] == ["1.10", "1e1", " 7 "]
    assert found.frame["cost"].isna().tolist() == [False, False, False, True, True]
    assert [problem.row for problem in found.problems] == [5]
    assert as_decimals({"cost": found.frame["cost"]})["cost"].tolist()[:3] == [Decimal("1.10"), Decimal(10), Decimal(7)]
