"""Results as files: what comes back is what was written, or nothing is written."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from aifactory.run.handed import NotStorableError, read_result, write_result

MIXED = pd.DataFrame({
    "name": ["a", None, "=1+1"],
    "exact": pd.Series([True, False, np.nan], dtype=object),
    "perhaps": pd.Series([True, None, False], dtype=object),
    "usd": [Decimal("1.10"), Decimal("2.25"), Decimal("0.00")],
    "day": pd.to_datetime(["2026-10-01", None, "2026-10-31"]).astype("datetime64[s]"),
    "at": pd.to_datetime(["2026-10-01", "2026-10-02", "2026-10-03"], utc=True),
    "born": [date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3)],
    "share": [0.1 + 0.2, np.nan, np.inf],
    "count": np.array([1, 2, 3], dtype="int32"),
})  # fmt: skip


@dataclass(frozen=True)
class Inner:
    growth: float
    text: str | None = None


@dataclass(frozen=True)
class Outer:
    table: pd.DataFrame
    rate: pd.Series
    by_name: Mapping[str, Inner]
    weekly: Mapping[str, np.ndarray]
    found: list[Inner]
    names: tuple[str, ...]
    basis: Inner | None
    months: int


def there_and_back(value, folder):
    write_result(value, folder)
    return read_result(type(value), folder)


def outer(**changes):
    rate = pd.Series([1.5, 2.5], index=pd.Index(["x", "y"], name="id"), name="rate")
    found = [Inner(0.1 + 0.2, "a"), Inner(-0.0)]
    whole = Outer(MIXED, rate, {"b": Inner(1.0)}, {"c": np.array([1.0, np.nan])}, found, ("p", "q"), None, 3)
    return dataclasses.replace(whole, **changes)


def test_every_kind_comes_back_as_it_was(tmp_path):
    before = outer()
    after = there_and_back(before, tmp_path)
    pd.testing.assert_frame_equal(after.table, before.table, check_exact=True)
    kinds = [[[type(item) for item in frame[name]] for name in ("exact", "perhaps", "usd", "born")] for frame in (after.table, MIXED)]  # fmt: skip
    assert kinds[0] == kinds[1]  # NaN stays NaN, None stays None
    pd.testing.assert_series_equal(after.rate, before.rate, check_exact=True)
    np.testing.assert_array_equal(after.weekly["c"], before.weekly["c"])
    assert (after.by_name, after.found, after.names, after.basis, after.months) == (
        before.by_name, before.found, before.names, None, 3,
    )  # fmt: skip


def test_an_empty_table_keeps_its_columns_and_a_part_its_index(tmp_path):
    part = MIXED.iloc[1:].set_index("name")
    after = there_and_back(outer(table=part, rate=pd.Series(dtype="float64"), basis=Inner(2.0)), tmp_path)
    pd.testing.assert_frame_equal(after.table, part, check_exact=True)
    assert len(after.rate) == 0
    assert after.basis == Inner(2.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"table": pd.DataFrame({"mixed": pd.Series(["a", 1.5], dtype=object)})},
        {"table": pd.DataFrame({"missing": pd.Series([None, np.nan, "a"], dtype=object)})},
        {"basis": lambda: 1},
        {"by_name": {("two", "keys"): Inner(1.0)}},
        {"weekly": {"c": np.ones((2, 2))}},
        {"months": np.int64(3)},
    ],
    ids=["text and figures", "two kinds of missing", "code", "keys", "matrix", "foreign scalar"],
)
def test_what_files_would_change_is_refused(changes, tmp_path):
    with pytest.raises(NotStorableError):
        write_result(outer(**changes), tmp_path)
    assert not (tmp_path / "result.json").exists()
