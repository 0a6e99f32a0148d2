"""The ranking at other settings: the defaults are the shortlist's, and each control moves it the right way."""

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.shortlist.scales import MATRIX_CRITERIA
from aifactory.shortlist.what_if import prepare, rank_at

KEYS = ["use_case_id", "accelerator_id"]


@pytest.fixture(scope="module")
def grounds(sample_short):
    return prepare(sample_short.ws, sample_short.inventory, sample_short.benchmark, sample_short.shortlist)


def indexed(ground, **settings):
    return rank_at(ground, **settings).set_index("accelerator_id")


def test_the_defaults_are_the_shortlist(grounds, sample_short):
    matrix = sample_short.shortlist.matrix.set_index(KEYS)
    costs = sample_short.shortlist.penalties.set_index(KEYS)["total_usd"]
    weights = sample_short.ws.plan.matrix_weights
    for name, ground in grounds.items():
        table = indexed(ground)
        pairs = [(name, chip) for chip in table.index]
        np.testing.assert_allclose(table["total_usd"], costs.loc[pairs], rtol=1e-12)
        np.testing.assert_allclose(table["score"], matrix.loc[pairs, "total"], atol=1e-12)
        expected = matrix.loc[pairs, list(weights)].fillna(0.0).to_numpy() @ np.array(list(weights.values()))
        np.testing.assert_allclose(table["value"], expected, atol=1e-12)
        assert table["value"].is_monotonic_decreasing


def test_the_parts_add_up_at_any_setting(grounds):
    for ground in grounds.values():
        table = rank_at(ground, dict.fromkeys(MATRIX_CRITERIA, 3.0), 0.7, 0.5)
        np.testing.assert_allclose(table.filter(like="part_").sum(axis=1), table["value"])
        assert table["value"].between(0, 1).all()


def test_tighter_limits_never_raise_capacity_and_looser_never_lower_it(grounds):
    for ground in grounds.values():
        tight, loose = (indexed(ground, slo_factor=factor) for factor in (0.6, 2.0))
        assert (tight["capacity_ratio"] <= 1 + 1e-12).all()
        assert (loose["capacity_ratio"] >= 1 - 1e-12).all()
        same = indexed(ground)
        assert (loose["total_usd"] <= same["total_usd"].reindex(loose.index) + 1e-6).all()


def test_capacity_that_tight_limits_leave_nothing_of_costs_without_end(grounds):
    table = indexed(grounds["support-chat"], slo_factor=0.01)
    measured = table[table["tier"] == "measured"]
    assert (measured["capacity_ratio"] == 0).all()
    assert np.isinf(measured["total_usd"]).all()
    assert table["value"].notna().all()


def test_half_the_utilisation_doubles_compute(grounds, sample_short):
    costs = sample_short.shortlist.penalties.set_index(KEYS)
    for name in ("support-chat", "fraud-model"):
        ground = grounds[name]
        table = indexed(ground, utilization=ground.utilization / 2)
        for chip, row in table.iterrows():
            cost = costs.loc[(name, chip)]
            assert row["total_usd"] == pytest.approx(cost["total_usd"] + cost["compute_usd"])


def test_all_weight_on_cost_ranks_by_money(grounds):
    table = rank_at(grounds["claims-assistant"], {"cost": 1.0})
    assert (table["score"] == 0).all()
    inside = table[table["part_cost"].between(1e-9, 1 - 1e-9)]
    assert inside["total_usd"].is_monotonic_increasing


@pytest.mark.parametrize("settings", [{"weights": {"costs": 1.0}}, {"weights": {"cost": -1.0}}, {"weights": {"cost": 0.0}},
                                      {"weights": {"cost": np.nan}}, {"slo_factor": 0.0}, {"slo_factor": np.inf},
                                      {"utilization": 0.0}, {"utilization": 1.5}, {"utilization": np.nan}])  # fmt: skip
def test_settings_that_make_no_sense_are_refused(grounds, settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        rank_at(grounds["support-chat"], **settings)


def test_nothing_known_has_no_ground(road):
    dark = road.shortlist.penalties.iloc[:0]
    short = type("S", (), {"matrix": road.shortlist.matrix, "penalties": dark, "exclusions": road.shortlist.exclusions})
    assert prepare(road.ws, road.inventory, road.benchmark, short) == {}
    assert isinstance(dark, pd.DataFrame)
