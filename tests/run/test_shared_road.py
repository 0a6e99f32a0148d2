"""Stages of one run: computed once, by whichever notebook asks first, and read by the others."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from aifactory.run import road
from aifactory.run.publish import STAGING, recover
from aifactory.run.road import Road


@pytest.fixture
def counted(monkeypatch):
    """Names of the stages that were computed."""
    calls = []

    def count(name):
        build = getattr(road, name)
        monkeypatch.setattr(road, name, lambda *args: calls.append(name) or build(*args))

    for name in ("build_inventory", "build_benchmark", "build_shortlist", "build_buy_plan"):
        count(name)
    return calls


def folders(tmp_path, *names):
    found = [tmp_path / STAGING / name for name in names]
    for folder in found:
        folder.mkdir(parents=True)
    return found


def tables(result):
    return {name: value for name, value in vars(result).items() if isinstance(value, pd.DataFrame)}


def test_a_run_computes_each_stage_once_and_all_read_the_same(mini_ws, tmp_path, counted):
    plan, refresh = (Road(mini_ws, folder) for folder in folders(tmp_path, "buy_plan", "refresh"))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda one: one.shortlist, (plan, refresh))
    full, told = plan.make_buy_plan(), refresh.buy_plan
    assert sorted(counted) == ["build_benchmark", "build_buy_plan", "build_inventory", "build_shortlist"]
    assert full.futures is not None and told.futures is None
    pairs = [(first, second), (plan.inventory, refresh.inventory), (plan.benchmark, refresh.benchmark), (full, told)]
    for mine, theirs in pairs:
        for name, table in tables(mine).items():
            pd.testing.assert_frame_equal(table, tables(theirs)[name], check_exact=True)
    assert (told.warnings, told.decision) == (full.warnings, full.decision)


def test_what_was_taken_over_is_what_would_have_been_computed(mini_ws, mini_stages, tmp_path):
    plan, refresh = (Road(mini_ws, folder) for folder in folders(tmp_path, "buy_plan", "refresh"))
    assert plan.shortlist is not refresh.shortlist
    told = refresh.buy_plan  # from what another notebook left
    for name, table in tables(mini_stages.plan).items():
        pd.testing.assert_frame_equal(table, tables(told)[name], check_exact=True)


def test_a_notebook_opened_by_hand_computes_for_itself(mini_ws, tmp_path, counted):
    alone = [Road(mini_ws), Road(mini_ws, tmp_path / "inventory")]
    assert len({id(one.inventory) for one in alone}) == 2
    assert counted == ["build_inventory", "build_inventory"]
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_when_the_run_has_ended(mini_ws, tmp_path):
    (folder,) = folders(tmp_path, "benchmark")
    assert len(Road(mini_ws, folder).benchmark.capacity)
    recover(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_result_that_files_would_change_is_computed_by_each(mini_ws, tmp_path, counted, monkeypatch):
    def refuse(_result, _folder):
        raise road.NotStorableError

    monkeypatch.setattr(road, "write_result", refuse)
    mine, theirs = (Road(mini_ws, folder) for folder in folders(tmp_path, "inventory", "shortlist"))
    pd.testing.assert_frame_equal(mine.inventory.pools, theirs.inventory.pools, check_exact=True)
    assert counted == ["build_inventory", "build_inventory"]
