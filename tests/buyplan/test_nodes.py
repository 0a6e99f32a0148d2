"""Whole nodes and load duration."""

import numpy as np
import pytest
from bp_company import WAITS
from hypothesis import given
from hypothesis import strategies as st

from aifactory.fleet.nodes import Slots, build_load, filled_share, node_counts, used_share, worked_share
from aifactory.fleet.streams import EXPECTED

LOADS = st.lists(st.floats(0, 200), min_size=1, max_size=48)


def test_nodes_round_up_but_not_for_rounding_noise():
    assert node_counts(np.array([0.0, 1e-12, 0.1, 4.0, 4.0 + 1e-10, 4.1]), 4).tolist() == [0, 0, 1, 1, 1, 2]


def test_used_share_by_hand():
    # loads 3, 5, 9, 0 on nodes of 4: 1, 2, 3 and 0 nodes
    assert used_share(np.array([3.0, 5.0, 9.0, 0.0]), 4, 4).tolist() == [0.75, 0.5, 0.25, 0.0]


def test_used_share_works_month_by_month_and_cuts_off_extra_nodes():
    share = used_share(np.array([[4.0, 8.0], [0.0, 0.0]]), 4, 1)
    assert share.tolist() == [[1.0], [0.0]]


@given(LOADS, st.integers(1, 16))
def test_used_share_matches_a_direct_count(load, size):
    values = np.array(load)
    nodes = int(node_counts(values, size).max()) + 2
    direct = [(node_counts(values, size) >= n).mean() for n in range(1, nodes + 1)]
    np.testing.assert_allclose(used_share(values, size, nodes), direct)


@given(LOADS, st.integers(1, 16))
def test_the_node_hours_cover_the_load_and_no_node_works_more_than_the_one_below(load, size):
    values = np.array(load)
    share = used_share(values, size, 250)
    assert (np.diff(share) <= 0).all()
    assert share.sum() * size * len(load) >= values.sum() - 1e-6


def test_the_last_node_works_for_what_is_left_by_hand():
    # 9, 5 and 0 of work on nodes of 4: two full and a quarter, one full and a quarter, none
    work = np.array([9.0, 5.0, 0.0]) / 4
    share = worked_share(np.array([2, 1, 0]), np.array([3, 2, 0]), work, 4)
    assert share.tolist() == pytest.approx([2 / 3, 1.25 / 3, 0.25 / 3, 0.0])
    # cut at two nodes: the third is missed, and with it a quarter of a node in one hour of three
    assert worked_share(np.array([2, 1, 0]), np.array([3, 2, 0]), work, 2).tolist() == pytest.approx([2 / 3, 1.25 / 3])


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0.0, 60.0)), min_size=1, max_size=24))
def test_work_is_the_load_and_no_node_works_more_than_it_is_used(hours):
    """Hour by hour and node by node, for sites that fill their first nodes before the last one is opened."""
    sites, load = (np.array(part, dtype=float) for part in zip(*hours, strict=True))
    each = load / sites
    full, needed = (sites * np.floor(each + 1e-9)).astype(int), (sites * np.ceil(each - 1e-9)).astype(int)
    nodes = int(needed.max()) + 1
    share = worked_share(full, needed, load, nodes)
    direct = np.zeros(nodes)
    for number in range(nodes):
        last = (load - full) / np.maximum(needed - full, 1)
        direct[number] = np.where(number < full, 1.0, np.where(number < needed, last, 0.0)).mean()
    np.testing.assert_allclose(share, direct, atol=1e-7)
    assert share.sum() == pytest.approx(load.mean(), abs=1e-6)
    assert (share <= (np.arange(nodes) < needed[:, None]).mean(axis=0) + 1e-9).all()
    assert (np.diff(share) <= 1e-9).all()


NO_LIVE = np.zeros(2)


def test_work_that_waits_is_done_node_after_node_by_hand():
    # 9 accelerators on average on nodes of 4: two in every hour, the third in a quarter of them
    assert filled_share(NO_LIVE, np.array(9.0), 4, 4).tolist() == [1.0, 1.0, 0.25, 0.0]


@given(LOADS, st.integers(1, 16))
def test_node_hours_of_work_that_waits_are_the_work(load, size):
    work = np.mean(load)
    share = filled_share(NO_LIVE, work, size, 250)
    assert share.sum() * size == pytest.approx(work, abs=1e-9)
    assert (np.diff(share) <= 0).all()


def test_work_that_waits_fills_what_live_work_leaves_by_hand():
    """Live 12 by day and 4 by night on nodes of 4, and 5 on average that wait: with three nodes held, 4 of the 5 run at night.

    Rent with C nodes held, in nodes: C=0: live 2 and 5/4 that find no idle hour; C=1: 1 + 5/4; C=2: 0.5 by day, and the
    half of the second node that is idle takes 2 of the 5; C=3: nothing but the one of the 5 that is left over.
    """
    share = filled_share(np.array([12.0, 4.0]), np.array(5.0), 4, 5)
    rent = share[::-1].cumsum()[::-1]
    assert rent.tolist() == [3.25, 2.25, 1.25, 0.25, 0.0]


def test_work_that_waits_takes_the_rest_of_a_node_that_live_work_began():
    """Live 6 and 2 need two nodes and one, 12 accelerator-hours of which 8 work: two that wait cost nothing, four cost what is beyond."""
    live = np.array([6.0, 2.0])
    assert filled_share(live, np.array(2.0), 4, 3).tolist() == used_share(live, 4, 3).tolist() == [1.0, 0.5, 0.0]
    assert filled_share(live, np.array(4.0), 4, 3).tolist() == [1.0, 1.0, 0.0]
    assert used_share(live + 4.0, 4, 3).tolist() == [1.0, 1.0, 0.5]


@given(LOADS, st.floats(0, 100), st.integers(1, 16))
def test_work_that_waits_is_never_dearer_than_if_it_could_not(live, work, size):
    """For every number of nodes held; and no less is rented than all work less what is held, nor than live work alone rents."""
    live = np.array(live)
    rent = np.append(filled_share(live, np.array(work), size, 320)[::-1].cumsum()[::-1], 0.0)
    stuck = np.append(used_share(live + work, size, 320)[::-1].cumsum()[::-1], 0.0)
    alone = np.append(used_share(live, size, 320)[::-1].cumsum()[::-1], 0.0)
    held = np.arange(321)
    assert (rent <= stuck + 1e-9).all()
    assert (rent >= np.maximum(alone, (live.mean() + work) / size - held) - 1e-9).all()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=24), st.integers(0, 9), st.integers(1, 16))
def test_without_idle_room_it_costs_what_live_work_does(hours, work, size):
    """Whole nodes in every hour, level at night and day: there is no room, so that waiting saves nothing."""
    level = np.full(len(hours), float(size * max(hours)))
    found = filled_share(level, np.array(float(size * work)), size, 40)
    assert found.tolist() == used_share(level + size * work, size, 40).tolist()


@given(LOADS, st.floats(0, 100), st.integers(1, 16), st.integers(0, 60))
def test_rent_is_that_of_the_closed_form_of_the_optimiser(live, work, size, held):
    """sum h max(A - C, 0) + max(D - sum h max(C - A, 0), 0), with A the whole nodes of live work and D the work beyond their idle rest."""
    live = np.array(live)
    nodes = node_counts(live, size)
    beyond = max(work / size - (nodes - live / size).mean(), 0.0)
    closed = np.maximum(nodes - held, 0).mean() + max(beyond - np.maximum(held - nodes, 0).mean(), 0.0)
    assert filled_share(live, np.array(work), size, 320)[held:].sum() == pytest.approx(closed, abs=1e-7)


def test_a_pool_of_training_alone_rents_its_nodes_for_the_hours_of_the_work(tiny):
    """One accelerator on average of a node of four: a quarter of the hours, but the whole node must stand where held."""
    load = tiny(chat=0.0, train=1.0, **WAITS).loads[EXPECTED]
    assert load.use[1].tolist() == [0.25]
    assert load.held[1].tolist() == [True]
    both = tiny(chat=1.0, train=1.0, **WAITS).loads[EXPECTED]
    assert both.use[1, 0] == 1.0  # chat is there in every hour, and so is the node


def test_pool_is_sized_at_the_coincident_peak(tiny):
    case = tiny(**WAITS)
    # chat 12 by day and 4 by night: 3 nodes and 1, in whose idle nights all of train fits; held: 12 x 1.4 + 4 = 20.8 -> 6 nodes
    load = case.loads[EXPECTED]
    assert load.use[1].tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert load.held[1].tolist() == [True] * 6
    assert load.average[1].tolist() == pytest.approx([12.0])
    assert load.level[1].tolist() == pytest.approx([20.8])


def test_only_work_that_waits_may_be_interrupted(tiny):
    """Chat needs the first node in every hour, the second and third by day: train, a node on average, has half of each."""
    assert tiny(**WAITS).loads[EXPECTED].interruptible[1].tolist() == [0.0, 0.5, 0.5, 0.0, 0.0, 0.0]
    assert tiny(train=2.0, **WAITS).loads[EXPECTED].interruptible[1, :3].tolist() == [0.0, 0.5, 0.0]
    assert tiny(train=2.0).loads[EXPECTED].interruptible[1, :4].tolist() == [0.0, 0.5, 0.0, 1.0]  # within the day
    batch = tiny(request_pattern=["batch", "batch"])
    assert (batch.loads[EXPECTED].interruptible[1] == 1).all()


def test_two_streams_with_opposite_days_share_nodes(tiny):
    case = tiny()
    day = np.tile(np.repeat([2.0, 0.0], 12), 30)
    inputs = {"shapes": {("chat", "eu"): day}}
    whole = tiny(inputs=inputs, **WAITS)
    units = whole.streams.units[EXPECTED]
    load = build_load(whole.streams, whole.slots, units)
    assert load.use[1, :5].tolist() == [1.0, 1.0, 0.5, 0.5, 0.0]  # 16 by day alone; two held by night do train's 4
    assert len(case.slots.pool) < len(whole.slots.pool)


def test_no_demand_needs_no_node(tiny):
    case = tiny(chat=0.0, train=0.0)
    assert len(case.slots.pool) == 0


@given(
    pools=st.integers(1, 5),
    slots=st.integers(0, 20),
    before=st.sampled_from([(), (3,), (2, 0), (2, 3)]),
    seed=st.integers(0, 99),
)
def test_sums_by_pool_are_those_of_a_loop_with_any_slots_or_none(pools, slots, before, seed):
    """Any order of the slots, pools without one, no slots at all; alone a pool comes to the same digits."""
    draw = np.random.default_rng(seed)
    pool, values = draw.integers(pools, size=slots), draw.normal(size=(*before, slots))
    found = Slots(pool, np.zeros(slots, int), np.ones(slots)).total(values, pools)
    assert found.shape == (*before, pools)
    for at in range(pools):
        mine = pool == at
        assert found[..., at] == pytest.approx(values[..., mine].sum(axis=-1), abs=1e-12)
        alone = Slots(pool[mine] * 0, np.zeros(mine.sum(), int), np.ones(mine.sum())).total(values[..., mine], 1)
        assert (alone[..., 0] == found[..., at]).all()
