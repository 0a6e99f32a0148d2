"""Bad series through both commands: a finite answer with a warning that names rows, or a refusal that names the cell."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.demand.series import read_series
from aifactory.errors import InputError

COUNT = 24 * 21
COMMANDS = {
    "backtest": ["--freq", "h", "--horizon", "24", "--json"],
    "reserve": ["--window", "1h", "--lead-time", "2d", "--target", "0.05", "--json"],
}


def load(seed=1):
    hour = np.arange(COUNT)
    return np.random.default_rng(seed).poisson(200 + 80 * np.sin(2 * np.pi * hour / 24)).astype(float)


def stamps(zone=None, start="2026-03-20"):
    return pd.Series([stamp.isoformat() for stamp in pd.date_range(start, periods=COUNT, freq="h", tz=zone)])


def frame(values=None, times=None):
    return pd.DataFrame({"ds": stamps() if times is None else times, "y": load() if values is None else values})


def changed(places, value):
    values = load()
    values[places] = value
    return values


def with_empty():
    texts = frame().astype({"y": "str"})
    texts.loc[40, "y"] = ""
    return texts


def unsorted_rows():
    rows = frame()
    return rows.iloc[[*range(10), 11, 10, *range(12, COUNT)]]


#: name -> (rows, what both commands say of it)
ANSWERED = {
    "gap": (lambda: frame().drop(index=range(100, 106)), "6 stamps are missing after row 101"),
    "empty value": (with_empty, "no value in row 42"),
    "double stamp": (lambda: pd.concat([frame(), frame().iloc[[9]]]), f"stamps given before in row {COUNT + 2}"),
    "contradicting double": (lambda: pd.concat([frame(), frame().iloc[[9]] * [1, 3]]), f"in row {COUNT + 2}: the mean"),
    "unsorted": (unsorted_rows, "stamps are not in order at row 13"),
    "reversed": (lambda: frame().iloc[::-1], "stamps are not in order at rows 3, 4"),
    "local clock change": (
        lambda: frame(times=pd.date_range("2026-10-20", periods=COUNT, freq="h", tz="Europe/Berlin").tz_localize(None).astype("str")),
        "stamps given before in row 125",
    ),
    "outages": (lambda: frame(changed([30, 31, 200], 0)), "zeros in a busy series at rows 32, 33, 202"),
    "collapse": (lambda: frame(changed(slice(300, None), 15) + np.arange(COUNT) % 3), "the level moves"),
    "end within a day": (lambda: frame(changed(slice(293, None), 0)), "the level moves from 190 to 0"),
    "late start": (lambda: frame(changed(slice(None, 90), 0)), "zeros before the start, rows 2 to 73: left out"),
    "far value": (lambda: frame(changed([300], 1e9)), "up to 1e+09 at row 302, above 100 times"),
    "constant": (lambda: frame(np.full(COUNT, 7.0)), f"every value is 7 (rows 2 to {COUNT + 1})"),
    "all zero": (lambda: frame(np.zeros(COUNT)), f"every value is 0 (rows 2 to {COUNT + 1})"),
}  # fmt: skip
#: name -> (rows, rule and place)
REFUSED = {
    "text": (lambda: frame().astype({"y": "str"}).replace({"y": {str(load()[5]): "many"}}), ["column 'y'", "many"]),
    "no date": (lambda: frame(times=stamps().mask(stamps().index == 7, "soon")), ["row 9", "column 'ds'", "soon"]),
    "infinite": (lambda: frame(changed([5], np.inf)), ["row 7", "column 'y'"]),
    "between stamps": (lambda: frame(times=stamps().mask(stamps().index == 7, "2026-03-20T07:20:00")), ["row 9", "1.33333 h before row 9; correct that stamp"]),
    "mostly missing": (lambda: frame().iloc[[*range(30), COUNT - 1]], ["are missing"]),
    "mixed offsets": (lambda: frame(times=stamps().mask(stamps().index == 3, "2026-03-20T03:00:00+02:00")), ["row 5", "offset"]),
    "no name": (lambda: frame().assign(unique_id=["chat"] * 9 + [""] * (COUNT - 9)), ["row 11", "column 'unique_id'"]),
    "month by name": (lambda: frame(times=stamps().mask(stamps().index == 7, "20 Mar 2026")), ["row 9", "write 2026-03-20"]),
    "two digits of a year": (lambda: frame(times=stamps().mask(stamps().index == 7, "20.03.26")), ["row 9", "write 2026-03-20"]),
    "no rows": (lambda: frame().iloc[:0], ["no rows"]),
    "lost to rounding": (lambda: frame(changed([0], 0) * 1e-130), ["row 3", "column 'y'", "smaller unit"]),
}  # fmt: skip


def call(tmp_path, command, rows):
    path = tmp_path / "load.csv"
    rows.to_csv(path, index=False)
    return CliRunner().invoke(app, [command, str(path), *COMMANDS[command]])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ANSWERED)
def test_repairs_are_named_and_the_answer_is_finite(tmp_path, command, name):
    rows, told = ANSWERED[name]
    done = call(tmp_path, command, rows())
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    found = found.get("load", found)
    assert any(told in text for text in found["warnings"]), found["warnings"]
    keys = {"backtest": ("mase", "pinball_scaled", "coverage80"), "reserve": ("capacity", "exceedance_backtest")}[
        command
    ]
    assert all(found[key] is not None and np.isfinite(found[key]) and found[key] >= 0 for key in keys)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused_with_its_place(tmp_path, command, name):
    rows, told = REFUSED[name]
    done = call(tmp_path, command, rows())
    assert isinstance(done.exception, InputError)
    assert all(text in str(done.exception) for text in told), done.exception


def test_bands_do_not_depend_on_the_unit_down_to_the_smallest_number(tmp_path):
    found = [json.loads(call(tmp_path, "backtest", frame(load() * scale)).stdout) for scale in (1.0, 1e-95)]
    keys = ("mase", "pinball_scaled", "coverage80", "exceed_q95")
    plain, small = ([part.get("load", part)[key] for key in keys] for part in found)
    assert small == pytest.approx(plain, abs=0.02)  # counts on the edge of a band fall to either side


@pytest.mark.parametrize("command", COMMANDS)
def test_offsets_make_the_clock_change_a_straight_line(tmp_path, command):
    done = call(tmp_path, command, frame(times=stamps("Europe/Berlin", "2026-10-20")))
    found = json.loads(done.stdout)
    assert found.get("load", found)["warnings"] == []


def test_a_single_season_uses_none(tmp_path):
    done = call(tmp_path, "reserve", frame().iloc[:40])
    assert done.exit_code == 0
    assert any("rows 2 to 41 hold less than two seasons" in text for text in json.loads(done.stdout)["warnings"])
    path = tmp_path / "load.csv"
    done = CliRunner().invoke(app, ["backtest", str(path), "--freq", "h", "--horizon", "6", "--json"])
    assert any(
        "rows 2 to 41 hold less than two seasons" in text for text in json.loads(done.stdout)["load"]["warnings"]
    )


def test_negative_demand_is_forecast_with_a_warning_and_never_reserved(tmp_path):
    rows = frame(changed([5], -3.0))
    found = json.loads(call(tmp_path, "backtest", rows).stdout)["load"]
    assert any("negative values at row 7" in text for text in found["warnings"])
    done = call(tmp_path, "reserve", rows)
    assert isinstance(done.exception, InputError)
    assert "row 7" in str(done.exception)


def test_a_series_that_is_too_short_does_not_stop_the_others(tmp_path):
    path = tmp_path / "many.csv"
    long = frame().assign(unique_id="long")
    pd.concat([long, frame()[:3].assign(unique_id="short")])[["unique_id", "ds", "y"]].to_csv(path, index=False)
    done = CliRunner().invoke(app, ["backtest", str(path), *COMMANDS["backtest"]])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["long"]["mase"] > 0
    assert found["short"]["mase"] is None
    assert "short" in found["short"]["refused"]
    text = CliRunner().invoke(app, ["backtest", str(path), *COMMANDS["backtest"][:-1]]).stdout
    assert "short: REFUSED" in text
    frame()[:3].assign(unique_id="short").to_csv(tmp_path / "only.csv", index=False)
    alone = CliRunner().invoke(app, ["backtest", str(tmp_path / "only.csv"), *COMMANDS["backtest"]])
    assert isinstance(alone.exception, InputError)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_workbook_says_what_its_csv_says(tmp_path, command):
    held = frame()
    held.to_csv(tmp_path / "load.csv", index=False)
    with pd.ExcelWriter(tmp_path / "load.xlsx") as book:
        pd.DataFrame({"about": ["hourly requests"]}).to_excel(book, sheet_name="notes", index=False)
        held.assign(ds=pd.to_datetime(held["ds"])).to_excel(book, sheet_name="load", index=False)
    answers = []
    for name in ("load.csv", "load.xlsx"):
        found = CliRunner().invoke(app, [command, str(tmp_path / name), *COMMANDS[command]])
        assert found.exit_code == 0, found.output
        answers.append(found.output)
    assert answers[0] == answers[1]


def test_a_workbook_of_two_series_sheets_is_refused(tmp_path):
    with pd.ExcelWriter(tmp_path / "load.xlsx") as book:
        for name in ("one", "two"):
            frame().to_excel(book, sheet_name=name, index=False)
    with pytest.raises(InputError, match="2 visible sheets with the columns ds and y"):
        read_series(tmp_path / "load.xlsx", "h")


def test_an_empty_cell_of_a_workbook_is_named_by_its_row(tmp_path):
    held = frame().astype({"y": "object"})
    held.loc[3, "y"] = None
    held.to_excel(tmp_path / "load.xlsx", index=False)
    (found,) = read_series(tmp_path / "load.xlsx", "h")
    assert any("no value in row 5" in text for text in found.warnings)


@pytest.mark.parametrize("command", COMMANDS)
def test_text_of_two_bytes_says_what_its_csv_says(tmp_path, command):
    found = []
    for name in ("utf-8", "utf-16"):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "load.csv"
        path.write_text(frame().to_csv(index=False), encoding=name)
        done = CliRunner().invoke(app, [command, str(path), *COMMANDS[command]])
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]


def test_a_service_that_starts_late_is_scored_from_its_start(tmp_path):
    early = changed(slice(None, 24 * 8), 0)
    scores = []
    for values in (early, early[24 * 8 :]):
        path = tmp_path / f"{len(values)}.csv"
        frame().iloc[COUNT - len(values) :].assign(y=values).to_csv(path, index=False)
        (series,) = read_series(path, "h")
        scores.append(series.values)
    np.testing.assert_array_equal(*scores)


def test_nights_of_zeros_are_no_late_start(tmp_path):
    hour = np.arange(COUNT) % 24
    path = tmp_path / "shop.csv"
    frame(np.where(hour < 8, 0.0, load())).to_csv(path, index=False)
    assert len(read_series(path, "h")[0].values) == COUNT


def test_a_series_between_semicolons_is_one_for_both_commands(tmp_path):
    texts = frame(changed(slice(40, 42), 200.5))
    found = {}
    for name, mark, decimal in (("semicolons", ";", ","), ("tabs", "\t", ".")):
        texts.to_csv(tmp_path / f"{name}.csv", index=False, sep=mark, decimal=decimal)
        for command, options in COMMANDS.items():
            answer = CliRunner().invoke(app, [command, str(tmp_path / f"{name}.csv"), *options])
            assert answer.exit_code == 0, answer.output
            found[name, command] = answer.stdout.replace(name, "")
    assert found["semicolons", "reserve"] == found["tabs", "reserve"]
    assert found["semicolons", "backtest"] == found["tabs", "backtest"]


def test_blanks_around_a_name_make_no_second_series(tmp_path):
    rows = frame().assign(unique_id=[" team a", "team a "] * (COUNT // 2))
    rows.to_csv(tmp_path / "blanks.csv", index=False)
    (series,) = read_series(tmp_path / "blanks.csv", "h")
    assert series.name == "team a"
    assert len(series.values) == COUNT


def test_the_zone_that_warehouses_write_is_read(tmp_path):
    rows = {mark: frame(times=stamps().str.replace("T", " ") + mark) for mark in (" UTC", "UTC", "Z")}
    found = []
    for mark, table in rows.items():
        table.to_csv(tmp_path / "zone.csv", index=False)
        (series,) = read_series(tmp_path / "zone.csv", "h")
        found.append(series.stamps)
        assert not series.warnings, mark
    assert found[0].equals(found[1]) and found[1].equals(found[2])


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("reserve", ["--window", "1h", "--lead-time", "999999999d", "--target", "0.05"], "longer than a hundred years"),
        ("backtest", ["--freq", "h", "--horizon", "24", "--max-train", "-5"], "must be at least 1"),
    ],
)
def test_lengths_that_cannot_be_are_refused(tmp_path, command, options, told):
    frame().to_csv(tmp_path / "load.csv", index=False)
    answer = CliRunner().invoke(app, [command, str(tmp_path / "load.csv"), *options])
    assert isinstance(answer.exception, InputError)
    assert told in str(answer.exception)


def test_a_season_beyond_the_series_is_told_once(tmp_path):
    frame().to_csv(tmp_path / "load.csv", index=False)
    options = ["--freq", "h", "--horizon", "24", "--season", "9999", "--json"]
    answer = CliRunner().invoke(app, ["backtest", str(tmp_path / "load.csv"), *options])
    told = json.loads(answer.stdout)["load"]["warnings"]
    assert [text for text in told if "in the past" in text] == [told[-1]]


def test_a_series_of_another_step_leaves_the_others_their_scores(tmp_path):
    days = pd.DataFrame({"unique_id": "daily", "ds": pd.date_range("2026-01-01", periods=90).astype("str"), "y": 5.0})
    pd.concat([frame().assign(unique_id="hourly"), days]).to_csv(tmp_path / "both.csv", index=False)
    found = json.loads(CliRunner().invoke(app, ["backtest", str(tmp_path / "both.csv"), *COMMANDS["backtest"]]).stdout)
    assert found["hourly"]["mase"] > 0 and found["daily"]["mase"] is None
    assert found["daily"]["refused"].endswith("most stamps are 1 d apart; give --freq D")


@pytest.mark.parametrize(
    ("values", "options", "told"),
    [
        (load(), ["--lead-time", "90d"], "load.csv, --lead-time: a lead time of 2,160 windows needs at least 1,080 windows"),
        (load(), ["--lead-time", "90d"], f"plan over {2 * COUNT:,} windows at most"),
        (load(), ["--lead-time", "2d", "--autoscaler-lag", "90d"], "load.csv, --autoscaler-lag: a lead time of 2,160 windows"),
        (changed(slice(None, 390), 0), ["--lead-time", "30d"], "(read: 120 windows of 1 h (5 d); zeros before the start, rows 2 to 385: left out)"),
        (load(), ["--lead-time", "2d", "--target", "1"], "--target: value 1.0: is a share and must lie between 0 and 0.25; 1 % is 0.01"),
        (load(), ["--lead-time", "0"], "must be a duration above zero"),
        (load(), ["--lead-time", "20min"], "is shorter than a window of 1 h: give 1h at least"),
    ],
)  # fmt: skip
def test_what_a_reserve_cannot_be_of_is_told_with_option_and_length(tmp_path, values, options, told):
    frame(values).to_csv(tmp_path / "load.csv", index=False)
    answer = CliRunner().invoke(app, ["reserve", str(tmp_path / "load.csv"), "--window", "1h", *options])
    assert isinstance(answer.exception, InputError)
    assert told in str(answer.exception)


@pytest.mark.parametrize("count", [1, 3])
def test_a_trace_shorter_than_a_window_says_its_length(tmp_path, count):
    times = [f"2026-03-20 10:0{minute}:00" for minute in range(count)]
    rows = pd.DataFrame({"TIMESTAMP": times, "ContextTokens": 10, "GeneratedTokens": 5})
    rows.to_csv(tmp_path / "azure.csv", index=False)
    answer = CliRunner().invoke(app, ["reserve", str(tmp_path / "azure.csv"), "--window", "1h", "--lead-time", "7d"])
    spans = "0 s" if count == 1 else "2 min"
    assert f"azure.csv: value '1 h': spans {spans}, not one whole window" in str(answer.exception)


def test_tokens_of_a_series_are_said_not_to_apply(tmp_path):
    frame().to_csv(tmp_path / "load.csv", index=False)
    answer = CliRunner().invoke(
        app, ["reserve", str(tmp_path / "load.csv"), *COMMANDS["reserve"], "--measure", "tokens"]
    )
    assert "--measure tokens does not apply: a series counts what y is" in json.loads(answer.stdout)["warnings"]
