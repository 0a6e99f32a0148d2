"""Stamps: numbers of one kind are read, other orders are refused with what to write; months are calendar months."""

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.command import ReserveSettings, Settings, backtest_file, reserve_file
from aifactory.demand.series import read_series
from aifactory.demand.stamps import DAY_ZERO, parse_stamps
from aifactory.errors import InputError

HOURS = pd.date_range("2026-03-01", periods=120, freq="h")
LOAD = np.arange(120.0)


def written(folder, stamps, values, name="load.csv"):
    pd.DataFrame({"ds": stamps, "y": values}).to_csv(folder / name, index=False)
    return folder / name


@pytest.mark.parametrize(
    ("stamps", "told"),
    [
        ((HOURS - DAY_ZERO) / pd.Timedelta(days=1), "days of a spreadsheet"),
        ((HOURS - pd.Timestamp(0)) // pd.Timedelta(seconds=1), "seconds since 1970"),
        ((HOURS - pd.Timestamp(0)) // pd.Timedelta(milliseconds=1), "milliseconds since 1970"),
        ((HOURS - pd.Timestamp(0)) // pd.Timedelta(microseconds=1), "microseconds since 1970"),
        ((HOURS - pd.Timestamp(0)) // pd.Timedelta(nanoseconds=1), "nanoseconds since 1970"),
    ],
)
def test_numbers_of_one_kind_are_the_stamps_they_stand_for(tmp_path, stamps, told):
    (series,) = read_series(written(tmp_path, stamps, LOAD), "h")
    assert list(series.stamps) == list(HOURS)
    assert series.values.tolist() == LOAD.tolist()
    assert told in series.warnings[0]


def test_day_one_of_a_spreadsheet_by_hand():
    stamps, _ = parse_stamps("a.csv", pd.Series(["25569", "25569.5"]))  # Excel shows 1970-01-01
    assert stamps.tolist() == [pd.Timestamp("1970-01-01"), pd.Timestamp("1970-01-01 12:00")]


@pytest.mark.parametrize(
    ("cells", "hint"),
    [
        (["31.10.2026", "01.11.2026"], "write 2026-10-31"),
        (["10/31/2026", "11/01/2026"], "write 2026-10-31"),
        (["2026-10-31 03:05 PM"], "write 2026-10-31T15:05:00"),
        (["2026-10-31 12 am"], "write 2026-10-31T00:00:00"),
        (["2026-W44", "2026-W45"], "write 2026-10-26"),
        (["02/03/2026 14:00", "x"], "write 2026-03-02T14:00 or 2026-02-03T14:00"),
        (["45658", "2026-10-01"], "export numbers of a spreadsheet as dates"),
        (["150", "151"], "export numbers of a spreadsheet as dates"),
        (["soon"], "must be a date or time"),
    ],
)
def test_other_dates_are_refused_with_what_to_write(cells, hint):
    with pytest.raises(InputError, match="row 2, column 'ds'") as refused:
        parse_stamps("a.csv", pd.Series(cells))
    assert hint in str(refused.value)


def test_compact_dates_stay_dates():
    stamps, told = parse_stamps("a.csv", pd.Series(["20261001", "20261002"]))
    assert stamps.dt.day.tolist() == [1, 2]
    assert told == ""


@pytest.mark.parametrize("freq", ["MS", "ME"])
def test_months_are_those_of_the_calendar(tmp_path, freq):
    months = pd.date_range("2020-01-01", periods=60, freq=freq).delete(7)
    path = written(tmp_path, months, 100 + np.arange(59))
    (series,) = read_series(path, "M")
    assert len(series.values) == 60
    assert np.flatnonzero(~series.observed).tolist() == [7]
    assert series.stamps[8] == pd.Timestamp("2020-09-01")
    scores = backtest_file(path, Settings("M", 3))["load"]
    assert scores["settings"]["season"] == 12
    assert scores["mase"] < 1
    found = reserve_file(path, ReserveSettings("1mo", "3mo", 0.05))
    assert found["windows"] == 60
    with pytest.raises(InputError, match="windows of 1 month"):
        reserve_file(path, ReserveSettings("30d", "90d", 0.05))


def test_stamps_without_a_step_are_refused(tmp_path):
    stamps = HOURS + pd.to_timedelta(np.random.default_rng(1).integers(0, 3000, 120), unit="s")
    with pytest.raises(InputError, match="stamps follow no step"):
        reserve_file(written(tmp_path, stamps, LOAD), ReserveSettings("1h", "6h", 0.05))


def test_a_range_without_overloads_is_told_in_words(tmp_path):
    from aifactory.demand.command import reserve_lines

    few = reserve_lines(reserve_file(written(tmp_path, HOURS, 100 + LOAD % 24), ReserveSettings("1h", "2h", 0.01)))
    assert any("in nine of ten lead times to come" in line for line in few)
    many = reserve_lines(reserve_file(tmp_path / "load.csv", ReserveSettings("1h", "24h", 0.05)))
    assert any("% range" in line for line in many)
