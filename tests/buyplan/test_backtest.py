"""Plans on a past: by hand where nothing is uncertain, and what must hold on any history."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.buyplan.backtest import FORESIGHT, OURS, RULES, Offers, _blocks, _futures, backtest_policies
from aifactory.buyplan.backtest_file import Settings, backtest_plans_file, backtest_plans_lines, offers_of, verdict
from aifactory.cli import app
from aifactory.errors import InputError

OFFERS = Offers(10.0, (("day", 1, 4.0), ("week", 7, 4.0)), 30.0, "test")
DAYS = {"windows": 24, "window_hours": 1.0, "season": 7}
WAVE = np.tile(8 * (2 + np.sin(np.arange(24) / 24 * 2 * np.pi)), 20)


def noisy(seed=1, days=20):
    rng = np.random.default_rng(seed)
    level = np.repeat(np.exp(np.cumsum(rng.normal(0.02, 0.1, days))), 24)
    return WAVE[: 24 * days] * level


def costs(table):
    return table.set_index("policy")["cost_usd"]


def test_a_steady_load_is_committed_to_by_all_who_commit():
    """16 accelerators all day for 10 days: two nodes of 8 at 4; on demand at 10."""
    found = costs(backtest_policies(np.full(480, 16.0), OFFERS, train=10, **DAYS))
    hours = 16 * 240
    for policy in ("average", "newsvendor", "peak", "cheapest mix without time", OURS, FORESIGHT):
        assert found[policy] == pytest.approx(4.0 * hours)
    assert found["all on demand"] == pytest.approx(10.0 * hours)
    assert found["average + 20 %"] == pytest.approx(4.0 * hours * 24 / 16)
    assert found["average + 40 %"] == pytest.approx(4.0 * hours * 24 / 16)


def test_without_hours_to_rent_what_is_not_held_is_missed():
    offers = Offers(np.inf, OFFERS.terms, 30.0, "test")
    table = backtest_policies(np.full(480, 20.0), offers, train=10, **DAYS).set_index("policy")
    none = table.loc["all on demand"]
    assert none["missed_share"] == pytest.approx(1.0)
    assert none["penalty_usd"] == pytest.approx(30 * 20 * 240)
    assert none["committed_usd"] == none["rented_usd"] == pytest.approx(0.0)
    assert table.loc[OURS, "committed_usd"] == pytest.approx(24 * 4 * 240)


@pytest.mark.parametrize("every", [None, 1, 4])
@pytest.mark.parametrize("rent", [10.0, np.inf])
def test_foresight_is_never_beaten_and_costs_add_up(every, rent):
    offers = Offers(rent, OFFERS.terms, 30.0, "test")
    table = backtest_policies(noisy(), offers, train=10, replan_every=every, **DAYS)
    assert set(table["policy"]) == {*RULES.values(), "cheapest mix without time", OURS, FORESIGHT}
    assert (table["regret_usd"] >= -0.002 * table["cost_usd"]).all()
    parts = table[["committed_usd", "rented_usd", "penalty_usd"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(table["cost_usd"].to_numpy())
    assert table["cost_usd"].is_monotonic_increasing


def test_foresight_is_the_least_over_all_levels_by_brute_force():
    """One-day terms only: each day the best count of nodes, tried one by one."""
    offers = Offers(10.0, (("day", 1, 4.0),), 30.0, "test")
    load = noisy(3)
    table = costs(backtest_policies(load, offers, train=10, **DAYS))
    days = load.reshape(-1, 24)[10:]
    tried = [[4 * 8 * n * 24 + 10 * np.maximum(day - 8 * n, 0).sum() for n in range(40)] for day in days]
    assert table[FORESIGHT] == pytest.approx(sum(min(costs) for costs in tried), rel=1e-3)


def test_what_comes_after_is_not_seen():
    load = noisy(4)
    other = load.copy()
    other[24 * 15 :] *= 3
    # with one plan, made on days that are the same, the orders are the same
    once = [backtest_policies(x, OFFERS, train=10, **DAYS).set_index("policy")["committed_usd"] for x in (load, other)]
    assert once[0].drop(FORESIGHT).to_dict() == once[1].drop(FORESIGHT).to_dict()


def test_the_same_seed_gives_the_same_plans():
    first, again = (backtest_policies(noisy(), OFFERS, train=10, seed=3, **DAYS) for _ in range(2))
    assert first.equals(again)


def test_blocks_keep_the_volume():
    loads = np.random.default_rng(1).random(100)
    blocks = _blocks(loads, 1000)
    assert blocks.shape == (1, 24)
    assert blocks.mean() == pytest.approx(loads.mean())
    assert (np.diff(blocks[0]) <= 0).all()


def test_futures_of_a_steady_past_are_steady():
    drawn = _futures(np.full((10, 24), 5.0), 3, 7, 20, np.random.SeedSequence(1))
    assert drawn.shape == (20, 3, 24)
    assert drawn == pytest.approx(np.full(drawn.shape, 5.0), rel=1e-6)
    assert (_futures(np.zeros((10, 24)), 3, 7, 20, np.random.SeedSequence(1)) == 0).all()


@pytest.mark.parametrize(
    ("load", "train"),
    [
        (np.full(100, 1.0), 4),
        (np.full(480, 1.0), 3),
        (np.full(480, 1.0), 20),
        (np.full(480, -1.0), 10),
        (np.full(480, np.nan), 10),
    ],
)
def test_what_cannot_be_backtested_is_refused(load, train):
    with pytest.raises(InputError):
        backtest_policies(load, OFFERS, train=train, **DAYS)


# ------------------------------------------------------------------ from a file


def write(path, days=300):
    stamps = pd.date_range("2025-01-01", periods=days, freq="D")
    rows = [f"{stamp:%Y-%m-%d},{480 * (20 + number % 7)}" for number, stamp in enumerate(stamps)]
    path.write_text("ds,y\n" + "\n".join(rows) + "\n")
    return path


COMMAND = ["--freq", "D", "--capacity", "20", "--on-demand", "10", "--term", "reserved_1y:12:6"]


def test_a_file_is_backtested_in_accelerators(tmp_path):
    settings = Settings("D", "month", 20.0, 10.0, ("reserved_1y:12:6",))
    found = next(iter(backtest_plans_file(write(tmp_path / "load.csv"), settings).values()))
    assert found["settings"] == {
        "period": "month",
        "periods": 10,
        "planned_on": 5,
        "mean_accelerators": pytest.approx(22.98, abs=0.05),
    }
    assert {row["policy"] for row in found["policies"]} >= {OURS, FORESIGHT, "peak"}
    lines = backtest_plans_lines({"load": found})
    assert lines[0].startswith("load: planned on 5 of 10 months")
    assert any("cheapest" in line for line in lines)


def test_the_command_prints_tables_and_json(tmp_path):
    file = str(write(tmp_path / "load.csv"))
    shown = CliRunner().invoke(app, ["backtest-plans", file, *COMMAND])
    assert shown.exit_code == 0, shown.output
    assert OURS in shown.output
    told = CliRunner().invoke(app, ["backtest-plans", file, *COMMAND, "--json"])
    assert {row["policy"] for row in next(iter(json.loads(told.output).values()))["policies"]} >= {OURS}


@pytest.mark.parametrize(
    "wrong",
    [
        {"terms": ("reserved",)}, {"terms": ("=cmd:1:1",)}, {"terms": ("a:0:1",)}, {"terms": ("a:1:nan",)}, {"terms": ()}, {"on_demand_usd": 0.0},
        {"units_per_accelerator_hour": -1.0}, {"units_per_accelerator_hour": np.inf}, {"train_share": 1.0}, {"freq": "Q"}, {"period": "year"}, {"miss_usd": -1.0},
        {"freq": "W", "period": "day"}, {"node_size": 0},
    ],
)  # fmt: skip
def test_bad_settings_are_refused(tmp_path, wrong):
    given = {
        "freq": "D",
        "period": "month",
        "units_per_accelerator_hour": 20.0,
        "on_demand_usd": 10.0,
        "terms": ("a:12:6",),
    }
    with pytest.raises(InputError):
        backtest_plans_file(write(tmp_path / "load.csv"), Settings(**given | wrong))


def test_a_missed_hour_costs_three_of_the_dearest_unless_stated():
    assert offers_of(Settings("D", "month", 1.0, 10.0, ("a:12:6",))).miss_usd == 30
    assert offers_of(Settings("D", "month", 1.0, float("inf"), ("a:12:6",))).miss_usd == 18
    assert offers_of(Settings("D", "month", 1.0, 10.0, ("a:12:6",), miss_usd=1.5)).miss_usd == 1.5


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"freq": "M"}, "--freq: value 'M': has steps of different length"),
        ({"on_demand_usd": 1e300}, "--on-demand"),
        ({"terms": ("a:12:1e300",)}, "--term"),
        ({"miss_usd": np.inf}, "--missed"),
        ({"units_per_accelerator_hour": 1e-300}, "--capacity.*makes series 'load' need .* accelerators"),
    ],
)
def test_numbers_that_no_plan_can_hold_are_refused(tmp_path, wrong, told):
    given = {"freq": "D", "period": "month", "units_per_accelerator_hour": 20.0, "on_demand_usd": 10.0}
    with pytest.raises(InputError, match=told):
        backtest_plans_file(write(tmp_path / "load.csv"), Settings(**{**given, "terms": ("a:12:6",)} | wrong))


def test_negative_demand_is_named_by_its_row(tmp_path):
    path = write(tmp_path / "load.csv")
    rows = path.read_text().splitlines()
    rows[6] = rows[6].split(",")[0] + ",-5"
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(InputError, match="load.csv, row 7, column 'y': value -5.0: demand must be 0 or more"):
        backtest_plans_file(path, Settings("D", "month", 20.0, 10.0, ("a:12:6",)))


def test_plans_of_the_same_cost_are_told_so():
    rows = [{"policy": "all on demand", "cost_usd": 10.0}, {"policy": OURS, "cost_usd": 10.0}]
    assert verdict(rows) == f"{OURS}: cheapest, at the same cost as all on demand"
    dearer = [{"policy": FORESIGHT, "cost_usd": 1.0}, *rows[:1], {"policy": OURS, "cost_usd": 12.0}]
    assert verdict(dearer) == f"all on demand: cheapest, USD 2 less than {OURS}"
    assert verdict([{"policy": OURS, "cost_usd": 3.0}, *rows[:1]]) == f"{OURS}: cheapest, USD 7 less than all on demand"
