"""Requests of a month to come: volume, hours, minutes and lengths as the forecast and the measurements say."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.demand.shapes import units_by_hour
from aifactory.errors import InputError
from aifactory.inventory import coming
from aifactory.inventory.coming import coming_requests, write_coming
from aifactory.inventory.demand import _bursts

MONTH = "2027-02"


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


def cell(inventory, **change):
    wanted = {"use_case_id": "chat", "region": "us", "month": MONTH, "scenario": "expected"} | change
    frame = inventory.forecast
    return frame[(frame[list(wanted)] == pd.Series(wanted)).all(axis=1)].iloc[0]


def per_unit(inventory):
    month = inventory.demand_monthly.query("month == '2026-10' and use_case_id == 'chat' and region == 'us'")
    return month["requests"].sum() / month["units"].sum()


def test_a_whole_month_holds_the_volume_of_the_forecast(mini_ws, inventory):
    hours = pd.Period(MONTH, "M").days_in_month * 24
    found = coming_requests(mini_ws, inventory, "chat", "us", MONTH, hours=hours)
    expected = cell(inventory)["units"] / 730 * hours * per_unit(inventory)
    assert found.requests_per_hour.sum() == pytest.approx(expected)
    assert len(found.stream) == pytest.approx(expected, rel=6 * np.sqrt(found.dispersion / expected))
    assert found.first_hour_utc == pd.Timestamp("2027-02-01", tz="UTC")
    hourly = np.bincount((found.stream.arrival_s // 3600).astype(int), minlength=hours)
    if np.ptp(found.requests_per_hour) > 0:
        assert np.corrcoef(hourly, found.requests_per_hour)[0, 1] > 0.5


def test_the_busiest_hours_are_taken(mini_ws, inventory, monkeypatch):
    """With a proven season of the day the four busiest hours hold most, and start where the shape does."""
    week = np.tile(np.where((np.arange(24) >= 9) & (np.arange(24) < 13), 4.0, 0.4), 7)
    monkeypatch.setattr(coming, "_shape", lambda *_: (week, coming._Bursts(minute=1.0), []))
    found = coming_requests(mini_ws, inventory, "chat", "us", MONTH, hours=4)
    assert found.first_hour_utc.hour == 9
    month = units_by_hour(cell(inventory)["units"], week, MONTH) * per_unit(inventory)
    np.testing.assert_allclose(found.requests_per_hour, month.max())


def test_minutes_vary_as_they_were_measured(mini_ws, inventory):
    """A month of minutes with 0 or 40 requests in turn: variance 400 / mean 20, within each hour."""
    stamps = pd.date_range("2026-10-01", periods=31 * 1440, freq="1min", tz="UTC", unit="us")
    counts = np.tile([0.0, 40.0], len(stamps) // 2)
    windows = pd.DataFrame({"window_start_utc": stamps, "window_minutes": 1, "use_case_id": "chat", "region": "us",
                            "requests": counts, "service_units": counts})  # fmt: skip
    bursts = _bursts(windows, 1)
    profile = inventory.demand_profile.assign(dispersion_minute=bursts["dispersion_minute"])
    found = coming_requests(mini_ws, replace(inventory, demand_profile=profile), "chat", "us", MONTH, hours=48)
    assert bursts["dispersion_hour"] == 0.0
    assert found.dispersion == pytest.approx(400 / 20 * 60 / 59)
    drawn = np.bincount((found.stream.arrival_s // 60).astype(int), minlength=48 * 60)
    if drawn.mean() > 5:
        assert drawn.var() / drawn.mean() == pytest.approx(found.dispersion, rel=0.25)
    assert not any("per minute" in note for note in found.notes)


def test_only_what_is_proven_gives_a_shape(mini_ws, inventory):
    profile = inventory.demand_profile.assign(daily_season=False, weekly_season=False)
    flat = coming_requests(mini_ws, replace(inventory, demand_profile=profile), "chat", "us", MONTH)
    assert np.ptp(flat.requests_per_hour) == pytest.approx(0.0, abs=1e-9)
    assert any("no season" in note for note in flat.notes)


def test_the_same_seed_draws_the_same_requests(mini_ws, inventory, tmp_path):
    first, again, other = (coming_requests(mini_ws, inventory, "chat", "us", MONTH, seed=seed) for seed in (1, 1, 2))
    assert first.stream.arrival_s.tobytes() == again.stream.arrival_s.tobytes()
    assert first.stream.arrival_s.tobytes() != other.stream.arrival_s.tobytes()
    told = write_coming(tmp_path / "day.parquet", first)
    assert told["requests"] == len(pd.read_parquet(tmp_path / "day.parquet"))


@pytest.mark.parametrize(
    ("change", "told"),
    [({"use_case": "chta"}, "chat"), ({"region": "mars"}, "region"), ({"month": "2020-01"}, "month"), ({"scenario": "best"}, "expected"),
     ({"hours": 0}, "1 to 672"), ({"hours": 700}, "1 to 672")],
)  # fmt: skip
def test_what_is_not_forecast_is_refused(mini_ws, inventory, change, told):
    with pytest.raises(InputError, match=told):
        coming_requests(mini_ws, inventory, **{"use_case": "chat", "region": "us", "month": MONTH} | change)


def test_the_command_writes_a_trace_that_the_engine_serves(mini_ws, tmp_path):
    out = tmp_path / "hour.csv"
    line = [
        "coming",
        "chat",
        "us",
        "--month",
        MONTH,
        "--out",
        str(out),
        "-w",
        str(mini_ws.path),
        "--hours",
        "1",
        "--json",
    ]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    trace = pd.read_csv(out)
    assert list(trace.columns) == ["arrival_s", "input_tokens", "output_tokens"]
    assert told["requests"] == len(trace)
    assert trace["arrival_s"].is_monotonic_increasing
    refused = CliRunner().invoke(app, [*line[:6], str(tmp_path / "hour.txt"), *line[7:]])
    assert "must end in .csv or .parquet" in str(refused.exception)


def test_measured_seconds_and_lengths_reach_the_requests(mini_ws, inventory):
    """Bursts of seconds and the correlation of lengths of the profile are those of what is drawn."""
    plain = inventory.demand_profile.assign(dispersion_minute=1.0, dispersion_second=np.nan, length_correlation=np.nan)
    measured = plain.assign(dispersion_second=9.0, length_correlation=0.8)
    counts = mini_ws.table("latency_histograms").iloc[:0]
    spread = pd.DataFrame({"bucket": np.arange(300, 500, 2), "count": 10, "month": "2026-10", "use_case_id": "chat", "region": "us"})  # fmt: skip
    both = [counts, *(spread.assign(metric=name) for name in ("input_tokens", "output_tokens"))]
    ws = replace(mini_ws, tables={**mini_ws.tables, "latency_histograms": pd.concat(both, ignore_index=True)})
    apart, found = (
        coming_requests(ws, replace(inventory, demand_profile=profile), "chat", "us", MONTH, hours=48)
        for profile in (plain, measured)
    )
    assert (found.second_dispersion, found.length_correlation) == (9.0, 0.8)
    assert (apart.second_dispersion, np.isnan(apart.length_correlation)) == (1.0, True)
    rho = [
        np.corrcoef(np.log(item.stream.input_tokens), np.log(item.stream.output_tokens))[0, 1]
        for item in (apart, found)
    ]
    assert rho == pytest.approx([0.0, 0.8], abs=0.06)
    assert len(apart.stream) == len(found.stream)  # minutes are drawn alike
    gaps = [np.bincount(item.stream.arrival_s.astype(int)).var() for item in (apart, found)]
    assert gaps[1] > gaps[0]
