"""What stands in a file: every repair names its rows, every refusal names row and column."""

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.series import fill_missing, read_series
from aifactory.errors import InputError


def written(tmp_path, stamps, values, name="load.csv"):
    path = tmp_path / name
    pd.DataFrame({"ds": stamps, "y": values}).to_csv(path, index=False)
    return path


def hours(count, start="2026-03-01"):
    return pd.date_range(start, periods=count, freq="h").strftime("%Y-%m-%dT%H:%M:%S").tolist()


def only(path, freq="h"):
    (series,) = read_series(path, freq)
    return series


def test_a_clean_file_has_nothing_to_say(tmp_path):
    series = only(written(tmp_path, hours(72), np.arange(72) % 24 + 20))
    assert series.warnings == ()
    assert series.name == "load"
    assert series.rows.tolist() == list(range(2, 74))
    assert series.observed.all()


def test_unsorted_rows_are_sorted_and_named(tmp_path):
    stamps = hours(60)
    stamps[4], stamps[5] = stamps[5], stamps[4]
    series = only(written(tmp_path, stamps, range(100, 160)))
    assert series.values[4:6].tolist() == [105, 104]
    assert any("row 7" in text and "sorted" in text for text in series.warnings)


def test_double_stamps_count_their_mean(tmp_path):
    stamps = hours(60)
    series = only(written(tmp_path, [*stamps, stamps[3]], [*np.full(60, 10.0), 30.0]))
    assert series.values[3] == 20
    assert any("row 62" in text and "mean" in text for text in series.warnings)


def test_gaps_are_filled_from_the_season_before_and_not_observed(tmp_path):
    stamps, values = hours(96), np.tile(np.arange(24.0) + 10, 4)
    keep = np.ones(96, dtype=bool)
    keep[50:54] = False
    series = only(written(tmp_path, np.array(stamps)[keep], values[keep]))
    np.testing.assert_array_equal(series.values, values)
    assert (~series.observed).nonzero()[0].tolist() == [50, 51, 52, 53]
    assert any("4 stamps are missing after row 51" in text for text in series.warnings)


def test_empty_values_are_missing(tmp_path):
    values = [*map(str, range(100, 159)), ""]
    series = only(written(tmp_path, hours(60), values))
    assert not series.observed[-1]
    assert any("no value in row 61" in text for text in series.warnings)


def test_a_series_begins_with_its_first_value(tmp_path):
    """Twelve empty hours first: no later season is copied there, and the rest is what the file without them says."""
    values = [*[""] * 12, *map(str, range(100, 160))]
    series, alone = only(written(tmp_path, hours(72), values)), only(written(tmp_path, hours(72)[12:], values[12:]))
    assert series.values.tolist() == alone.values.tolist() == list(range(100, 160))
    assert series.observed.all() and list(series.stamps) == list(alone.stamps)
    assert any(
        "no value before the first one, in rows 2, 3, 4, 5, 6 and 7 more: left out" in text for text in series.warnings
    )


def test_a_gap_that_is_most_of_the_series_is_refused(tmp_path):
    with pytest.raises(InputError, match="are missing"):
        read_series(written(tmp_path, [*hours(20), "2205-01-01T00:00:00"], range(21)), "h")


def test_daylight_saving_with_offsets_is_one_straight_line(tmp_path):
    local = pd.date_range("2026-03-28", periods=72, freq="h", tz="Europe/Berlin")
    series = only(written(tmp_path, [stamp.isoformat() for stamp in local], range(100, 172)))
    assert series.values.tolist() == list(range(100, 172))
    assert series.warnings == ()


def test_days_count_in_local_dates(tmp_path):
    local = pd.date_range("2026-03-20", periods=20, freq="D", tz="Europe/Berlin")
    series = only(written(tmp_path, [stamp.isoformat() for stamp in local], range(20)), "D")
    assert series.values.tolist() == list(range(20))


def test_local_hours_without_offset_show_the_clock_change(tmp_path):
    local = pd.date_range("2026-10-24", periods=72, freq="h", tz="Europe/Berlin").tz_localize(None)
    series = only(written(tmp_path, local.strftime("%Y-%m-%d %H:%M:%S"), np.full(72, 5.0)))
    assert any("given before" in text for text in series.warnings)


def test_a_level_collapse_names_its_row(tmp_path):
    values = np.concatenate([np.full(96, 1000.0), np.full(72, 100.0)]) + np.arange(168) % 24
    series = only(written(tmp_path, hours(168), values))
    assert any("the level moves from 1" in text and "row 98" in text for text in series.warnings)


def test_constant_and_single_season_and_outages_say_so(tmp_path):
    assert any("every value is 3" in text for text in only(written(tmp_path, hours(60), np.full(60, 3.0))).warnings)
    assert any("less than two seasons" in text for text in only(written(tmp_path, hours(30), range(30))).warnings)
    busy = np.full(72, 50.0) + np.arange(72) % 3
    busy[[10, 40]] = 0
    assert any("rows 12, 42" in text for text in only(written(tmp_path, hours(72), busy)).warnings)


def test_several_series_keep_their_order(tmp_path):
    path = tmp_path / "many.csv"
    frame = pd.DataFrame({"unique_id": ["b"] * 20 + ["a"] * 20, "ds": hours(20) * 2, "y": range(40)})
    frame.to_csv(path, index=False)
    assert [series.name for series in read_series(path, "h")] == ["b", "a"]


@pytest.mark.parametrize(
    ("stamps", "values", "told"),
    [
        (["2026-01-01", "soon"], [1, 2], "row 3, column 'ds': value 'soon'"),
        (
            ["2026-01-01T00:00:00", "2026-01-01T01:30:00"],
            [1, 2],
            "row 3, column 'ds'.*most stamps are 1.5 h apart; no frequency fits: count in one of h, D",
        ),
        (["2026-01-01", "2026-01-02"], ["1", "many"], "row 3, column 'y': value 'many'"),
        (["2026-01-01", "2026-01-02"], ["1", "1e300"], "row 3, column 'y': value '1e300'"),
        (["2026-01-01", "2026-01-02"], ["inf", "2"], "row 2, column 'y': value 'inf'"),
        (["2026-01-01T00:00:00Z", "2026-01-01T01:00:00"], [1, 2], "row 3.*offset"),
    ],
)
def test_what_cannot_be_read_names_its_cell(tmp_path, stamps, values, told):
    with pytest.raises(InputError, match=told):
        read_series(written(tmp_path, stamps, values), "h")


@pytest.mark.parametrize(
    ("every", "freq", "told"),
    [
        ("7D", "D", "most stamps are 7 d apart; give --freq W$"),
        ("7D", "h", "most stamps are 7 d apart; give --freq W$"),
        ("ME", "D", "most stamps are 1 month apart; give --freq M$"),
        ("h", "W", "row 3.*most stamps are 1 h apart; give --freq h or add the series up in steps of 7 d$"),
        ("min", "h", "row 3.*most stamps are 1 min apart; add the series up in steps of 1 h$"),
    ],
)
def test_another_step_than_the_one_asked_for_is_named(tmp_path, every, freq, told):
    stamps = pd.date_range("2023-01-31", periods=30, freq=every).astype("str")
    with pytest.raises(InputError, match=told):
        read_series(written(tmp_path, stamps, range(30)), freq)


def test_the_row_where_the_step_changes_is_named(tmp_path):
    mixed = [*pd.date_range("2026-01-01", periods=48, freq="h"), *pd.date_range("2026-01-03", periods=60, freq="D")]
    with pytest.raises(InputError, match="the step is 1 d mostly, but 1 h before row 3; correct"):
        read_series(written(tmp_path, [str(stamp) for stamp in mixed], range(108)), "h")


@pytest.mark.parametrize(("every", "freq"), [("D", "D"), ("7D", "W")])
def test_local_midnights_in_utc_are_days_through_a_clock_change(tmp_path, every, freq):
    local = pd.date_range("2026-09-30", periods=60, freq=every, tz="Europe/Berlin")
    path = written(tmp_path, local.tz_convert("UTC").tz_localize(None).astype("str"), range(60))
    (series,) = read_series(path, freq)
    assert series.values.tolist() == list(range(60)) and series.observed.all()
    assert series.stamps.hour.unique().tolist() == [22]
    first = int(np.flatnonzero(local.tz_convert("UTC").hour == 23)[0]) + 2
    (told,) = [text for text in series.warnings if "local days" in text]
    assert f"in rows {first}, {first + 1}" in told


def test_two_hours_off_are_no_clock_change(tmp_path):
    stamps = pd.Series(pd.date_range("2026-09-30", periods=20, freq="D")).mask(
        lambda days: days.index == 9, pd.Timestamp("2026-10-09T02:00")
    )
    with pytest.raises(InputError, match="row 11.*lies between the stamps"):
        read_series(written(tmp_path, stamps.astype("str"), range(20)), "D")


def test_zeros_that_last_to_the_end_are_no_outage(tmp_path):
    values = np.r_[np.full(600, 50.0), np.zeros(30)]
    values[100] = 0
    told = only(written(tmp_path, hours(630), values)).warnings
    assert any("row 102: taken as outages" in text for text in told)
    assert any("for longer than a season at rows 602, 603" in text for text in told)


def test_other_columns_and_frequencies_are_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("time,load\n1,2\n")
    with pytest.raises(InputError, match="columns ds and y"):
        read_series(path, "h")
    with pytest.raises(InputError, match="--freq"):
        read_series(path, "min")
    with pytest.raises(InputError, match="no such file"):
        read_series(tmp_path / "none.csv", "h")


def test_missing_values_without_a_season_are_interpolated():
    assert fill_missing(np.array([1.0, np.nan, 3.0]), 1).tolist() == [1.0, 2.0, 3.0]


def test_columns_in_other_case_and_cells_without_end_are_told_briefly(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("DS,Y\n2026-10-01,2\n")
    with pytest.raises(InputError, match="columns ds and y.*Did you mean 'DS'"):
        read_series(path, "D")
    path.write_text(f"ds,y\n2026-10-01,{'9' * 100_000}\n")
    with pytest.raises(InputError, match="100,002 characters") as told:
        read_series(path, "D")
    assert len(str(told.value)) < 500


def test_rare_work_has_no_level_that_ends_and_an_end_has(tmp_path):
    path = tmp_path / "rare.csv"
    days = pd.date_range("2026-01-01", periods=112, freq="D").strftime("%Y-%m-%d")
    rare = np.array(([4.0, 5, 6, 0, 4, 0, 3] * 8) + ([0.0, 0, 0, 7, 0, 0, 4] * 8))
    pd.DataFrame({"ds": days, "y": rare}).to_csv(path, index=False)
    assert not any("level moves" in text for text in read_series(path, "D")[0].warnings)
    rare[56:] = 0
    pd.DataFrame({"ds": days, "y": rare}).to_csv(path, index=False)
    assert any("level moves from 4 to 0" in text for text in read_series(path, "D")[0].warnings)


@pytest.mark.parametrize("last", range(73, 98, 3))
def test_an_end_is_told_at_any_hour_of_its_day(tmp_path, last):
    values = np.where(np.arange(168) < last, 1000.0, 0.0) + np.where(np.arange(168) < last, np.arange(168) % 24, 0)
    series = only(written(tmp_path, hours(168), values))
    assert any("to 0 about row" in text and "and stays" in text for text in series.warnings)
