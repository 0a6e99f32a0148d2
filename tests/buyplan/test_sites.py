"""Sites that must each stand alone: by hand, the limit of one site, and never less than a pool."""

from dataclasses import replace

import numpy as np
import pytest
from bp_company import make_case, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.case import peak_levels, solve_case, solve_expected
from aifactory.buyplan.futures import block_demand, problem_over
from aifactory.buyplan.governance import money
from aifactory.buyplan.sizes import sizes_frame
from aifactory.buyplan.spare_notes import spare_sentences
from aifactory.demand.reserve_money import failure_factor, with_one_pool_down
from aifactory.fleet.compute import _served
from aifactory.fleet.need import need_frame, needed
from aifactory.fleet.nodes import Slots, build_load, hourly_load, pool_level
from aifactory.fleet.sites import held_in_sites, in_sites
from aifactory.fleet.streams import EXPECTED, chance_of

BOUGHT = {"purchase_option": "purchase", "usd_per_accelerator": 1_000.0, "region": "*", "provider": "vendor"}


def company(sites, train=0.0, **changes):
    """Chat of 8 accelerators on average, 12 by day and 4 by night, 40 % of reserve, nodes of 4."""
    return make_case(sites=[sites, None], train=train, **changes)


def level_of(case):
    streams = case.streams
    work = streams.sized(streams.units[EXPECTED])
    load, level = hourly_load(streams, work, streams.pool == 0), pool_level(streams, work, streams.reserve, 0)
    return load[1], level[1]


def test_whole_nodes_at_each_site_by_hand():
    """5 sites: 12 by day are 2.4 a site, one node of 4 each, by night too: 20. With reserve 16.8: 3.36 a site, 20."""
    load, level = level_of(company("5"))
    assert sorted(set(load)) == [20.0] and level == 20.0
    # 2 sites: 6 a site by day, two nodes; 2 by night, one; 8.4 a site with reserve, three
    load, level = level_of(company("2"))
    assert sorted(set(load)) == [8.0, 16.0] and level == 24.0
    assert level_of(company("eu=2; us=9"))[1] == 24.0 and level_of(company("us=9"))[1] == pytest.approx(16.8)


def test_forty_plants_hold_forty_devices_not_one():
    """A tenth of an accelerator of work in all: a pool holds one node, forty plants forty, in pages and in the plan."""
    cells = {"chat": 0.1, "prices": make_prices(BOUGHT, drop=["on_demand", "reserved_1y"])}
    pooled, plants = company(None, **cells), company("40", **cells)
    held = [case.slots.total(solve_expected(case).load.held * case.slots.size, 1)[1:] for case in (pooled, plants)]
    assert (held[0] == 4).all() and (held[1] == 160).all()
    need = need_frame(plants.streams)
    assert (need[need["use_case_id"] == "chat"]["accelerators_with_reserve"] == 160).all()
    sizes = sizes_frame(plants.streams, plants.plan, {}).set_index("use_case_id").loc["chat"]
    assert sizes["total"] == 160 and sizes["reserve_because"].endswith("whole nodes at each of 40 sites")
    assert needed(plants.streams)[1].max() == 160
    assert peak_levels(plants.streams)[1].tolist() == [160.0]
    wanted = plants.streams.sized(plants.streams.units[EXPECTED])[None, 1:]
    assert block_demand(plants, wanted).sum(axis=2) == pytest.approx(160.0)
    assert problem_over(plants, wanted).floor == pytest.approx(160.0)


@pytest.mark.parametrize(("sites", "used", "served"), [("40", 80, 0.95), ("1", 50, 0.8)])
def test_what_a_missing_device_loses_is_its_work_and_not_its_hours(sites, used, served):
    """50 of work all day at 40 sites with devices of 1: 80 devices, of which the second of each does 0.25 an hour.

    Ten of them missing lose 2.5 of 50; in one pool 50 devices are full, and ten missing lose 10.
    """
    even = company(sites).streams
    pools, table = even.pools.assign(accelerators_per_node=1), even.table.assign(peak_factor=1.0)
    streams = replace(even, pools=pools, table=table, shape=np.ones_like(even.shape), chance=np.ones_like(even.chance))
    asked = np.where(table["use_case_id"] == "chat", 50.0, 0.0)
    units = asked / streams.sized(np.ones_like(even.units[EXPECTED]))
    slots = Slots(np.zeros(80, dtype=int), np.arange(80), np.ones(80, dtype=int))
    load = build_load(streams, slots, units)
    assert load.use[1].sum() == pytest.approx(used) and load.work[1].sum() == pytest.approx(50.0)
    there = np.arange(80) < used - 10
    found = _served(load, np.broadcast_to(there, load.use.shape), slots, 1)
    assert found[1:, 0] == pytest.approx(served) and found[0, 0] == 1.0


def test_sites_share_nothing_with_others_of_their_pool():
    """Training of 4 in all hours beside chat at 2 sites: 16 and 8 of whole nodes by day and night, and one node of its own."""
    load, _ = level_of(company("2", train=4.0))
    alone = level_of(company("2"))[0]
    assert load == pytest.approx(alone + 4.0)


def test_a_spare_node_at_each_site_where_failures_are_planned_for():
    plan = make_plan().model_copy(update={"failure_domains": {"customer_facing": 2}})
    case = company("40", chat=0.1, plan=plan)
    assert level_of(case)[1] == 2 * 160
    assert level_of(company("1", chat=0.1, plan=plan))[1] == 2 * 4


def test_spares_that_are_rented_when_a_domain_fails_are_told_with_their_price():
    """Two of four nodes of 4 stand by: 8 accelerators at USD 4 and 730 hours; none where nothing is rented or nothing fails."""
    plan = make_plan().model_copy(update={"failure_domains": {"customer_facing": 2}})
    case = company("1", chat=2.8, plan=plan, prices=make_prices(drop=["reserved_1y"]))
    (told,) = spare_sentences(case, solve_case(case))
    usd = 8 * case.offers.on_demand[0] * 730
    assert (
        told.startswith("Up to 8 accelerators that stand by for a failure domain")
        and f"cost {money(usd)} a month" in told
    )
    bought = company("1", chat=2.8, plan=plan, prices=make_prices(BOUGHT, drop=["on_demand", "reserved_1y"]))
    assert spare_sentences(bought, solve_case(bought)) == []
    calm = company("1", chat=2.8)
    assert spare_sentences(calm, solve_case(calm)) == []


@pytest.mark.parametrize("sites", ["1", None, "eu=1", "us=12"])
def test_one_site_is_todays_plan_to_the_digit(sites):
    plain, one = make_case(), company(sites, train=4.0)
    for left, right in zip(level_of(plain), level_of(one), strict=True):
        assert np.array_equal(left, right)
    assert np.array_equal(plain.streams.chance, one.streams.chance)
    assert solve_expected(plain).ledger.compute.present_value(0.01) == solve_expected(one).ledger.compute.present_value(
        0.01
    )
    wanted = plain.streams.sized(plain.streams.units[EXPECTED])[None, 1:]
    assert np.array_equal(block_demand(plain, wanted), block_demand(one, wanted))


@settings(max_examples=25)
@given(sites=st.integers(1, 60), chat=st.floats(0.01, 200.0), train=st.floats(0.0, 20.0))
def test_sites_never_need_less_than_a_pool(sites, chat, train):
    pooled, apart = (company(str(count), chat=chat, train=train) for count in (1, sites))
    for left, right in zip(level_of(pooled), level_of(apart), strict=True):
        assert (np.ceil(np.asarray(right) / 4 - 1e-9) >= np.ceil(np.asarray(left) / 4 - 1e-9)).all()
    assert (needed(apart.streams) >= needed(pooled.streams) - 1e-9).all()


@given(
    work=st.floats(0.0, 1e4),
    sites=st.integers(2, 500),
    size=st.sampled_from([1, 2, 4, 8]),
    spare=st.sampled_from([1.0, 1.5, 2.0]),
)
def test_each_site_holds_its_part_in_whole_nodes_and_a_spare(work, sites, size, spare):
    held = float(in_sites(work, sites, size))
    assert held >= work - 1e-6 and held % (sites * size) == pytest.approx(0.0)
    assert held - work < sites * size + 1e-6
    safe = float(held_in_sites(work * spare, sites, size, spare))
    assert safe >= held + (sites * size if spare > 1 and held > 0 else 0)


@given(nodes=st.floats(0.01, 500.0), pools=st.integers(2, 12), size=st.sampled_from([1, 4, 8]))
def test_the_fewest_nodes_of_which_the_largest_pool_may_fall_out(nodes, pools, size):
    """Every number of nodes tried in turn: spread evenly, the largest of the pools taken away, the need still held."""
    fewest = next(count for count in range(2_000) if count - -(-count // pools) >= np.ceil(nodes - 1e-9))
    assert with_one_pool_down(nodes * size, size, failure_factor(pools)) == fewest * size


def test_whole_nodes_are_left_when_a_pool_is_down():
    """5.88 of nodes of 4 are 1.47 nodes: two in each of two pools, not three in all; what needs no spare shares them."""
    plan = make_plan().model_copy(update={"failure_domains": {"customer_facing": 2}})
    spared = company("1", chat=2.8, plan=plan)  # 4.2 by day, 5.88 with reserve
    assert level_of(spared)[1] == 16.0
    assert solve_expected(spared).load.held[1].sum() == 4
    assert peak_levels(spared.streams)[1].tolist() == [pytest.approx(4.2)], "rules of thumb hold no spares"
    assert level_of(company("1", chat=2.8, train=1.0, plan=plan))[1] == 16.0
    assert level_of(company("1", chat=2.8, train=9.0, plan=plan))[1] > 20.0
    sizes = sizes_frame(spared.streams, plan, {}).set_index("use_case_id").loc["chat"]
    assert sizes["total"] == 12  # accelerators alone: 6 in each of two pools


def test_chance_is_that_of_a_site():
    held = {"in_progress_per_accelerator": 4.0, "spread_constant": 1.0}
    one, many = (company(count, chat=80.0) for count in ("1", "10"))
    first, tenth = (replace(case.streams, table=case.streams.table.assign(**held)) for case in (one, many))
    assert chance_of(tenth)[1, 0] - 1 == pytest.approx((chance_of(first)[1, 0] - 1) * 10**0.5)
