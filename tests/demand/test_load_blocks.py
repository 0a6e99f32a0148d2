"""Load-duration blocks: volume and hours are kept, the peak block says what it is."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.load_blocks import best_cuts, load_duration_blocks
from aifactory.errors import InputError

FEW = settings(max_examples=40, deadline=None)


def test_two_levels_by_hand():
    # 6 hours a day at 3 x the base: mean 1.5 of the base; 730 units an hour on average
    found = load_duration_blocks(730.0 * 730, np.tile(np.repeat([3.0, 1.0], [6, 18]), 30), 3)
    assert found.hours.tolist() == pytest.approx([182.5, 547.5])
    assert found.load[0].tolist() == pytest.approx([730 * 2, 730 * 2 / 3])
    assert found.joint_peak == pytest.approx(1460)


def test_peaks_of_short_windows_are_named_and_larger():
    found = load_duration_blocks(720.0, np.repeat([2.0, 0.5], [8, 16]), 2, peak_factor=1.5, peak_window_minutes=5)
    assert found.peak[0, 0] == pytest.approx(1.5 * found.load[0, 0])
    assert found.peak_window_minutes == 5


def test_peaks_at_different_hours_share_capacity():
    day, night = np.repeat([2.0, 0.0], 12), np.repeat([0.0, 2.0], 12)
    found = load_duration_blocks(np.array([730.0, 730.0]), np.stack([day, night]), 3)
    assert found.joint_peak == pytest.approx(2.0)  # alone 2 each
    assert len(found.hours) == 1  # the joint load is flat


def test_one_block_is_the_average():
    found = load_duration_blocks(100.0, np.array([1.0, 5.0, 3.0]), 1, hours=50)
    assert found.load[0, 0] == pytest.approx(2.0)
    assert found.peak[0, 0] == pytest.approx(2.0 * 5 / 3)


def test_a_stream_without_volume_needs_nothing():
    found = load_duration_blocks(np.array([0.0, 10.0]), np.array([[0.0, 0.0], [1.0, 3.0]]), 2)
    assert (found.load[0] == 0).all()


@FEW
@given(
    st.integers(1, 4),
    st.integers(2, 60),
    st.integers(1, 6),
    st.integers(0, 2**31),
    st.floats(1, 1e9),
    st.floats(1, 8760),
)
def test_hours_and_volumes_are_kept(streams, hours, blocks, seed, scale, month):
    rng = np.random.default_rng(seed)
    volume, shape = rng.random(streams) * scale, rng.gamma(0.5, size=(streams, hours)) + 1e-9
    found = load_duration_blocks(volume, shape, blocks, hours=month)
    assert found.hours.sum() == pytest.approx(month, rel=1e-12)
    np.testing.assert_allclose(found.load @ found.hours, volume, rtol=1e-12)
    joint = found.load.sum(axis=0)
    assert (np.diff(joint) <= 1e-9 * joint.max()).all()
    assert (found.peak.sum(axis=0) >= joint * (1 - 1e-9)).all()
    hourly = volume[:, None] / month * shape / shape.mean(axis=1, keepdims=True)
    assert found.joint_peak == pytest.approx(hourly.sum(axis=0).max())


@FEW
@given(st.lists(st.floats(0, 100), min_size=3, max_size=9), st.integers(2, 3))
def test_cuts_agree_with_trying_all(values, blocks):
    ordered = np.sort(np.array(values))[::-1]

    def error(edges):
        return sum(np.square(part - part.mean()).sum() for part in np.split(ordered, edges))

    least = min(error(list(edges)) for edges in combinations(range(1, len(ordered)), blocks - 1))
    assert error(best_cuts(ordered, blocks)[1:-1].tolist()) == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize(
    ("volume", "shape", "more", "word"),
    [(-1.0, np.ones(3), {}, "volume"), (1.0, np.array([1.0, np.nan]), {}, "shape"), (1.0, np.zeros(3), {}, "no hour with load"), (1.0, np.ones(3), {"blocks": 0}, "blocks"), (1.0, np.ones(3), {"hours": 0}, "hours"), (np.ones(2), np.ones(3), {}, "match")],
)  # fmt: skip
def test_what_cannot_be_cut_is_refused(volume, shape, more, word):
    with pytest.raises(InputError, match=word):
        load_duration_blocks(volume, shape, **more)
