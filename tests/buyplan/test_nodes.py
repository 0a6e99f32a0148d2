"""Whole nodes and load duration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.fleet.nodes import build_load, node_counts, packed_share, used_share
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


def test_work_that_waits_is_done_node_after_node_by_hand():
    # 9 accelerators on average on nodes of 4: two in every hour, the third in a quarter of them
    assert packed_share(np.array([3.0, 15.0]), 4, 4).tolist() == [1.0, 1.0, 0.25, 0.0]


@given(LOADS, st.integers(1, 16))
def test_node_hours_of_work_that_waits_are_the_work(load, size):
    values = np.array(load)
    share = packed_share(values, size, 250)
    assert share.sum() * size == pytest.approx(values.mean())
    assert (np.diff(share) <= 0).all()
    assert share.sum() <= used_share(values, size, 250).sum() + 1e-9


def test_a_pool_of_training_alone_rents_its_nodes_for_the_hours_of_the_work(tiny):
    """One accelerator on average of a node of four: a quarter of the hours, but the whole node must stand where held."""
    load = tiny(chat=0.0, train=1.0).loads[EXPECTED]
    assert load.use[1].tolist() == [0.25]
    assert load.held[1].tolist() == [True]
    both = tiny(chat=1.0, train=1.0).loads[EXPECTED]
    assert both.use[1, 0] == 1.0  # chat is there in every hour, and so is the node


def test_pool_is_sized_at_the_coincident_peak(tiny):
    case = tiny()
    # day: chat 12 + train 4 = 16 -> 4 nodes; night: 4 + 4 = 8 -> 2 nodes; held: 12 x 1.4 + 4 = 20.8 -> 6 nodes
    load = case.loads[EXPECTED]
    assert load.use[1].tolist() == [1.0, 1.0, 0.5, 0.5, 0.0, 0.0]
    assert load.held[1].tolist() == [True] * 6
    assert load.average[1].tolist() == pytest.approx([12.0])
    assert load.level[1].tolist() == pytest.approx([20.8])


def test_only_work_that_waits_may_be_interrupted(tiny):
    # train keeps one node of four busy in every hour
    assert tiny().loads[EXPECTED].interruptible[1].tolist() == [True, False, False, False, False, False]
    assert tiny(train=3.0).loads[EXPECTED].interruptible[1].sum() == 0
    batch = tiny(request_pattern=["batch", "batch"])
    assert batch.loads[EXPECTED].interruptible[1].all()


def test_two_streams_with_opposite_days_share_nodes(tiny):
    case = tiny()
    day = np.tile(np.repeat([2.0, 0.0], 12), 30)
    inputs = {"shapes": {("chat", "eu"): day}}
    whole = tiny(inputs=inputs)
    units = whole.streams.units[EXPECTED]
    load = build_load(whole.streams, whole.slots, units)
    assert load.use[1, :5].tolist() == [1.0, 0.5, 0.5, 0.5, 0.5]  # 16 + 4 by day, 4 by night
    assert len(case.slots.pool) < len(whole.slots.pool)


def test_no_demand_needs_no_node(tiny):
    case = tiny(chat=0.0, train=0.0)
    assert len(case.slots.pool) == 0
