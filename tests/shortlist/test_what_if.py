"""The ranking at other settings: the defaults are the shortlist's, and each control moves it the right way."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.fleet.node_sizes import with_sizes
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.inventory.today import baseline_accelerators
from aifactory.shortlist.plan_terms import bought_nodes, market_of, price_pools, streams_alone
from aifactory.shortlist.sharing import ENDS, Shared
from aifactory.shortlist.what_if import prepare, rank_at

KEYS = ["use_case_id", "accelerator_id"]


@pytest.fixture(scope="module")
def grounds(sample_short):
    return prepare(sample_short.ws, sample_short.inventory, sample_short.benchmark, sample_short.shortlist)


def indexed(ground, **settings):
    return rank_at(ground, **settings).set_index("accelerator_id")


def test_the_defaults_are_the_shortlist(grounds, sample_short):
    matrix = sample_short.shortlist.matrix.set_index(KEYS)
    costs = sample_short.shortlist.penalties.set_index(KEYS)["beside_usd"]
    weights = sample_short.ws.plan.matrix_weights
    for name, ground in grounds.items():
        table = indexed(ground)
        pairs = [(name, chip) for chip in table.index]
        np.testing.assert_allclose(table["total_usd"], costs.loc[pairs], rtol=1e-12)
        np.testing.assert_allclose(table["score"], matrix.loc[pairs, "total"], atol=1e-12)
        expected = matrix.loc[pairs, list(weights)].fillna(0.0).to_numpy() @ np.array(list(weights.values()))
        np.testing.assert_allclose(table["value"], expected, atol=1e-12)
        assert table["value"].is_monotonic_decreasing


def test_nodes_priced_anew_at_the_defaults_cost_what_the_shortlist_says(grounds):
    for ground in grounds.values():
        np.testing.assert_allclose(
            ground.bought.compute_usd(np.ones(len(ground.cells))), ground.compute_usd, rtol=1e-9, atol=1e-6
        )


def test_the_parts_add_up_at_any_setting(grounds):
    for ground in grounds.values():
        table = rank_at(ground, dict.fromkeys(MATRIX_CRITERIA, 3.0), 0.7, 0.5)
        meets = table["capacity_ratio"] > 0
        assert (table["value"].notna() == meets).all()
        table = table[meets]
        np.testing.assert_allclose(table.filter(like="part_").sum(axis=1), table["value"])
        assert table["value"].between(0, 1).all()


def test_tighter_limits_never_raise_capacity_and_looser_never_lower_it(grounds):
    for ground in grounds.values():
        tight, loose = (indexed(ground, slo_factor=factor) for factor in (0.6, 2.0))
        assert (tight["capacity_ratio"] <= 1 + 1e-12).all()
        assert (loose["capacity_ratio"] >= 1 - 1e-12).all()
        same = indexed(ground)
        assert (loose["total_usd"] <= same["total_usd"].reindex(loose.index) + 1e-6).all()


def test_platforms_that_tight_limits_leave_nothing_of_have_no_rank(grounds):
    table = indexed(grounds["support-chat"], slo_factor=0.01)
    measured = table[table["tier"] == "measured"]
    assert (measured["capacity_ratio"] == 0).all()
    assert np.isinf(measured["total_usd"]).all()
    able = table["capacity_ratio"] > 0
    assert (table["value"].notna() == able).all()
    assert able.is_monotonic_decreasing  # those that cannot meet them come last


def test_half_the_utilisation_pays_the_whole_nodes_of_half_the_capacity(grounds, sample_short):
    """Chance adds nothing to training, so the cells priced anew at half the capacity are the oracle."""
    ws, capacity = sample_short.ws, sample_short.benchmark.capacity
    costs = sample_short.shortlist.penalties.set_index(KEYS)
    market = market_of(ws, sample_short.inventory, baseline_accelerators(ws, capacity), capacity)
    halved = capacity[capacity["use_case_id"] == "fraud-model"].eval(
        "units_per_s_per_accelerator = units_per_s_per_accelerator / 2"
    )
    sizes, prices = bought_nodes(market, streams_alone(market, capacity[capacity["use_case_id"] == "fraud-model"]))
    twice = with_sizes(streams_alone(market, halved), sizes.pools["accelerators_per_node"])
    usd = dict(zip(twice.table["accelerator_id"], price_pools(market, twice, prices).usd, strict=True))
    ground = grounds["fraud-model"]
    chips = ground.cells["accelerator_id"].tolist()
    found = ground.fleet.nodes("fraud-model", chips, alone=True).compute_usd(np.full(len(chips), 2.0))
    np.testing.assert_allclose(found, [usd[chip] for chip in chips], atol=0.01)
    today = indexed(ground, utilization=ground.utilization / 2).loc[ground.cells["accelerator_id"].iloc[ground.today]]
    alone = usd[today.name] + costs.at[("fraud-model", today.name), "total_usd"] - costs.at[("fraud-model", today.name), "compute_usd"]  # fmt: skip
    assert ground.scale(np.full(len(chips), 2.0)) == pytest.approx(alone)


@pytest.mark.parametrize("name", ["fraud-model", "brand-tuning"])
def test_half_the_utilisation_adds_to_the_others_what_half_the_capacity_would(grounds, sample_short, name):
    """The shortlist's own price of a cell beside the others, at half the capacity, is the oracle."""
    short, ground = sample_short.shortlist, grounds[name]
    market = ground.fleet.market
    slow = (short.matrix["use_case_id"] == name).map({True: 0.5, False: 1.0})
    cells = short.matrix.assign(
        **{end: short.matrix[end] * slow for end in ("units_per_s_per_accelerator", "low", "high")}
    )
    shared = Shared(market, cells, short.penalties.drop(columns=list(ENDS)), short.exclusions)
    table = indexed(ground, utilization=ground.utilization / 2)
    others = {at for one, at in ground.fleet.home.items() if one != name}
    chips = [chip for chip in table.index if chip in others]
    assert chips
    usd = [shared.of(name, chip, ground.fleet.home) for chip in chips]
    np.testing.assert_allclose(table.loc[chips, "total_usd"], usd, rtol=1e-6)


def test_without_todays_platform_costs_move_beside_what_the_bill_charges(grounds):
    """At half the utilisation the platforms cost more, the bill does not: v = 1.5 - total / billed."""
    ground = next(item for item in grounds.values() if item.today is not None)
    billed = float(np.median(ground.compute_usd + ground.other_usd))
    found = rank_at(replace(ground, today=None, today_usd=billed, alone_usd=billed), utilization=ground.utilization / 2)
    assert (found["total_usd"] > (ground.compute_usd + ground.other_usd).min()).any()
    share = ground.weights["cost"] / sum(ground.weights.values())
    expected = share * np.clip(1.5 - found["total_usd"] / billed, 0, 1)
    assert found["part_cost"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-12)


def test_a_little_work_stays_in_its_node(grounds, sample_short):
    """A fifth of an accelerator becomes less than half of one: no node more, so no dollar more."""
    ground = grounds["faq-bot"]
    table = indexed(ground, utilization=ground.utilization * 0.95)
    costs = sample_short.shortlist.penalties.set_index(KEYS)["beside_usd"].loc["faq-bot"]
    still = [chip for chip in table.index if "h100" in chip]
    np.testing.assert_allclose(table.loc[still, "total_usd"], costs.loc[still], rtol=0.05)


def test_price_never_falls_as_less_is_filled(grounds):
    ground = grounds["support-chat"]
    steps = [indexed(ground, utilization=ground.utilization * share)["total_usd"] for share in (1.0, 0.999, 0.8, 0.5)]
    for more, less in zip(steps, steps[1:], strict=False):
        assert (less.loc[more.index] >= more * (1 - 1e-9)).all()


def test_limits_move_nothing_where_no_latency_was_measured(grounds):
    """A curve without any latency says nothing of other limits: capacity stays."""
    ground = grounds["support-chat"]
    assert ground.knows_latency
    blind = [item and replace(item, latency=dict.fromkeys(item.latency, item.load * np.nan)) for item in ground.curves]
    blind = replace(ground, curves=tuple(blind))
    assert not blind.knows_latency
    assert (rank_at(blind, slo_factor=0.25)["capacity_ratio"] == 1).all()


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
