"""Early traffic: by hand, at its limits, and held against users of real services who came by chance."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.demand.concentration import herfindahl
from aifactory.demand.early_traffic import ABOVE, AS_PROJECTED, BELOW, check_early_traffic, early_file
from aifactory.errors import InputError


def test_by_hand():
    """Daily means 8 and 12: deviation 2.828, error 2; users as 25 equals at a share of a half: sqrt(0.5 / 25)."""
    found = check_early_traffic(np.repeat([8.0, 12.0], 24), 0.5, 20.0, as_equals=25)
    error = np.hypot(np.sqrt(0.02), 2 / 10)
    assert found.mean == 20.0
    assert (found.users_error, found.error) == (pytest.approx(np.sqrt(0.02)), pytest.approx(error))
    assert (found.low, found.high) == (pytest.approx(20 * np.exp(-error)), pytest.approx(20 * np.exp(3.1 * error)))
    assert (found.ratio, found.verdict) == (1.0, AS_PROJECTED)


def test_alike_users_leave_the_error_of_the_windows_and_everybody_none():
    rng, inside = np.random.default_rng(11), 0
    for _ in range(200):
        found = check_early_traffic(rng.poisson(30, 240) * 1.0, 0.1, 300)
        inside += found.low <= 300 <= found.high
    assert 0.7 <= inside / 200 <= 0.88
    assert found.peak_low < found.peak_high
    whole = check_early_traffic(np.tile([10.0], 240), 1.0, 10, as_equals=1)
    assert (whole.low, whole.high, whole.users_error) == (10.0, 10.0, 0.0)


@pytest.mark.parametrize("days", [2, 3, 7])
def test_few_days_of_alike_users_hold_what_they_say(days):
    """Poisson demand of which a tenth is live: 80 % of the ranges hold its mean however few days there are."""
    rng, inside = np.random.default_rng(days), 0
    for _ in range(1000):
        found = check_early_traffic(rng.poisson(10, 24 * days) * 1.0, 0.1, 100)
        inside += found.low <= 100 <= found.high
    assert 0.77 <= inside / 1000 <= 0.83


@pytest.mark.parametrize(("projected", "verdict"), [(50, ABOVE), (100, AS_PROJECTED), (1000, BELOW)])
def test_verdicts(projected, verdict):
    assert check_early_traffic(np.tile([9.0, 11.0], 120), 0.1, projected, as_equals=90).verdict == verdict


@pytest.mark.parametrize(
    ("change", "told"),
    [({"values": np.ones(30)}, "two batches"), ({"share": 0}, "share"), ({"share": 1.2}, "share"), ({"projected_mean": 0}, "projected"),
     ({"as_equals": 0.5}, "as-equals"), ({"values": np.zeros(99)}, "no traffic"), ({"values": np.full(99, np.nan)}, "finite")],
)  # fmt: skip
def test_too_little_and_out_of_bounds_is_refused(change, told):
    with pytest.raises(InputError, match=told):
        check_early_traffic(**{"values": np.ones(99), "share": 0.1, "projected_mean": 10.0} | change)


def test_users_of_real_services_who_came_by_chance(shared_dir):
    """A tenth to a half of the clients, three days of them; the mean of all clients in the three days that follow."""
    rates = pd.read_parquet(shared_dir / "data/traces/servegen_language_client_rates_day00_09.parquet")
    rng, day, held, plain = np.random.default_rng(4), 144, [], []
    for _, service in rates.groupby("model"):
        table = service.pivot_table(index="window_start_s", columns="client_id", values="rate_rps", aggfunc="sum")
        table = table.fillna(0.0).to_numpy()
        for _ in range(120):
            share = rng.choice([0.1, 0.2, 0.5])
            live, start = rng.random(table.shape[1]) < share, rng.integers(0, len(table) - 6 * day + 1)
            seen, truth = table[start : start + 3 * day, live], table[start + 3 * day : start + 6 * day].sum(axis=1)
            if seen.sum() <= 0:
                continue
            equals = 1 / herfindahl(seen.mean(axis=0))
            found = check_early_traffic(seen.sum(axis=1), share, 1.0, equals, day)
            alone = check_early_traffic(seen.sum(axis=1), share, 1.0, batch=day)
            held.append(found.low <= truth.mean() <= found.high)
            plain.append(alone.low <= truth.mean() <= alone.high)
    assert 0.7 <= np.mean(held) <= 0.88
    assert np.mean(plain) < 0.3


def test_the_command(tmp_path):
    hours = pd.date_range("2026-01-01", periods=24 * 7, freq="h")
    pd.DataFrame({"ds": hours, "y": np.tile([9.0, 11.0], 84)}).to_csv(tmp_path / "load.csv", index=False)
    line = ["early", str(tmp_path / "load.csv"), "--share", "0.1", "--projected", "150"]
    found = json.loads(CliRunner().invoke(app, [*line, "--as-equals", "90", "--json"]).output)
    assert (found["verdict"], found["mean"], found["low"]) == (BELOW, 100.0, pytest.approx(90.48, abs=0.01))
    assert found["warnings"] == []
    text = CliRunner().invoke(app, line).output
    assert "Below the projection: the first 10 % of the users point to 100.0 y per 1 h" in " ".join(text.split())
    assert "--as-equals" in text


def test_a_file_of_one_window_is_told_what_to_do(tmp_path):
    path = tmp_path / "pilot.csv"
    path.write_text("ds,y\n" + "".join(f"2026-10-{day:02},5\n" for day in range(1, 29)))
    with pytest.raises(InputError, match="pilot.csv: holds 1 whole window of 20 d, two at least are needed"):
        early_file(path, pd.Timedelta(days=20), 0.1, 50.0, None)
    with pytest.raises(InputError, match="--share: value 10: .*; is it percent\\? 10 % is 0.1"):
        early_file(path, pd.Timedelta(days=1), 10, 50.0, None)


@pytest.mark.parametrize(("days", "told"), [(2, True), (6, True), (7, False), (1, False)])
def test_less_than_a_week_says_that_days_differ(tmp_path, days, told):
    path = tmp_path / "early.csv"
    stamps = pd.date_range("2026-10-05", periods=24 * days, freq="h")
    pd.DataFrame({"ds": stamps, "y": np.arange(len(stamps)) % 7 + 1}).to_csv(path, index=False)
    warnings = early_file(path, pd.Timedelta(hours=1), 0.1, 40.0, 50)["warnings"]
    assert any(text.startswith("less than a week") for text in warnings) == told
