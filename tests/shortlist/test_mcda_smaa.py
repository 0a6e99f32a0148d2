"""Admissible weights, rank acceptability and the smallest flip, against closed forms and plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from aifactory.errors import InputError
from aifactory.shortlist.mcda import weight_space
from aifactory.shortlist.mcda.flips import smallest_flip, switching_weights
from aifactory.shortlist.mcda.smaa import smaa
from aifactory.shortlist.mcda.weight_space import WeightSpace

TRIO = [[1, 0], [0, 1], [0.6, 0.6]]
VALUES = arrays(int, (4, 3), elements=st.integers(0, 100)).map(lambda table: table / 100)


def test_every_draw_is_admissible_and_the_seed_decides_it():
    space = WeightSpace(
        4, order=(2, 0), low=[0.1, 0, 0, 0.05], high=[0.5, 0.4, 0.9, 0.3], limits=(((0, 1, 0, -1), 0.1),)
    )
    draws = space.draw(5000, seed=3)
    assert space.contains(draws).all()
    np.testing.assert_array_equal(draws, space.draw(5000, seed=3))
    assert not np.array_equal(draws, space.draw(5000, seed=4))


def test_weights_are_uniform_on_the_simplex():
    draws = WeightSpace(4).draw(40_000, seed=1)
    # a coordinate of a uniform point is Beta(1, 3)
    for share in (0.1, 0.3, 0.6):
        assert (draws[:, 0] > share).mean() == pytest.approx((1 - share) ** 3, abs=0.01)


def test_the_mean_of_ordered_weights_is_the_rank_order_centroid():
    mean = WeightSpace(4, order=(0, 1, 2, 3)).draw(40_000, seed=1).mean(axis=0)
    np.testing.assert_allclose(mean, [0.520833, 0.270833, 0.145833, 0.0625], atol=0.005)


def test_equal_places_are_free_among_themselves():
    space = WeightSpace(4, order=(1, (0, 3), 2))
    draws = space.draw(20_000, seed=1)
    assert space.contains(draws).all()
    assert (draws[:, 0] > draws[:, 3]).mean() == pytest.approx(0.5, abs=0.01)
    limits = (((1, -1, 0, 0), 0), ((0, -1, 0, 1), 0), ((-1, 0, 1, 0), 0), ((0, 0, 1, -1), 0))
    np.testing.assert_allclose(
        draws.mean(axis=0), WeightSpace(4, limits=limits).draw(20_000, seed=2).mean(axis=0), atol=0.006
    )


def test_low_bounds_leave_a_smaller_simplex():
    draws = WeightSpace(3, low=[0.5, 0.2, 0]).draw(20_000, seed=1)
    np.testing.assert_allclose(draws.mean(axis=0), [0.6, 0.3, 0.1], atol=0.005)


@pytest.mark.parametrize("more", [{"high": [0.4, 0.4, 0.5, 1]}, {"order": (1, 3), "high": [0.5] * 4},
                                  {"low": [0.2, 0.2, 0, 0], "limits": (((1, -2, 0, 0), 0.0),)}])  # fmt: skip
def test_chains_draw_what_rejection_draws(monkeypatch, more):
    space = WeightSpace(4, **more)
    rejected = space.draw(20_000, seed=1)
    monkeypatch.setattr(weight_space, "LEAST_ACCEPTED", 2.0)
    walked = space.draw(20_000, seed=2)
    monkeypatch.undo()
    assert space.contains(walked).all()
    for level in (0.1, 0.25, 0.5, 0.75, 0.9):
        np.testing.assert_allclose(*(np.quantile(w, level, axis=0) for w in (rejected, walked)), atol=0.015)


def test_a_thin_set_is_walked_and_a_point_is_a_point():
    thin = WeightSpace(8, low=[0.12] * 8, high=[0.13] * 8)
    draws = thin.draw(2000, seed=1)
    assert thin.contains(draws).all()
    assert draws.std(axis=0).min() > 0.001
    fixed = WeightSpace(3, low=[0.5, 0.3, 0.2], high=[0.5, 0.3, 0.2])
    np.testing.assert_allclose(fixed.draw(50, seed=1), np.tile([0.5, 0.3, 0.2], (50, 1)), atol=1e-9)


@pytest.mark.parametrize("room", [0.02, 0.0005])
def test_a_narrow_set_is_walked_from_end_to_end(room):
    # |w1 - w2| <= room and |w3 - w4| <= room / 2: by symmetry every mean is 1/4; with s = w1 + w2 all but uniform on 0..1,
    # the spread of each weight is that of s / 2, 1 / sqrt(12) / 2
    pairs = (((1, -1, 0, 0), room), ((-1, 1, 0, 0), room), ((0, 0, 1, -1), room / 2), ((0, 0, -1, 1), room / 2))
    draws = WeightSpace(4, limits=pairs).draw(20_000, seed=3)
    np.testing.assert_allclose(draws.mean(axis=0), 0.25, atol=0.01)
    np.testing.assert_allclose(draws.std(axis=0), 1 / np.sqrt(48), atol=0.01)


def test_a_fixed_weight_leaves_the_others_free():
    draws = WeightSpace(3, low=[0.4, 0, 0], high=[0.4, 1, 1]).draw(20_000, seed=1)
    np.testing.assert_allclose(draws[:, 0], 0.4, atol=1e-9)
    np.testing.assert_allclose(draws[:, 1].mean(), 0.3, atol=0.01)
    np.testing.assert_allclose(draws[:, 1].std(), 0.6 / np.sqrt(12), atol=0.01)


@pytest.mark.parametrize("wrong", [
    {"n": 0}, {"n": 2, "low": [0.6, 0.6]}, {"n": 2, "high": [0.3, 0.3]}, {"n": 2, "low": [-0.1, 0]}, {"n": 2, "high": [1.2, 1]},
    {"n": 2, "low": [0.5, 0], "high": [0.4, 1]}, {"n": 2, "order": (0, 0)}, {"n": 2, "order": (0, 2)}, {"n": 2, "low": [0.1]},
    {"n": 2, "limits": (((1.0,), 1.0),)}, {"n": 2, "order": (0, 1), "high": [0.4, 1]}, {"n": 2, "low": [np.nan, 0]},
])  # fmt: skip
def test_preferences_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(InputError, match="weights"):
        WeightSpace(**wrong)


def test_draws_are_at_least_one():
    with pytest.raises(InputError, match="draws"):
        WeightSpace(2).draw(0, seed=1)


def test_extremes_of_each_weight():
    space = WeightSpace(3, low=[0.2, 0.1, 0], high=[0.5, 1, 0.3])
    np.testing.assert_allclose(space.extremes(), [[0.2, 0.5], [0.2, 0.8], [0, 0.3]], atol=1e-9)


def test_acceptability_by_hand():
    # the first wins above a weight of 0.6, the second below 0.4
    np.testing.assert_allclose(smaa(TRIO, draws=40_000).first, [0.4, 0.4, 0.2], atol=0.01)
    bounded = smaa(TRIO, WeightSpace(2, low=[0.3, 0.1]), draws=40_000)
    np.testing.assert_allclose(bounded.first, [0.5, 1 / 6, 1 / 3], atol=0.01)
    np.testing.assert_allclose(bounded.central_weights[:, 0], [0.75, 0.35, 0.5], atol=0.01)


def test_the_order_of_criteria_can_decide():
    found = smaa(TRIO[:2], WeightSpace(2, order=(0, 1)), draws=1000)
    assert found.first.tolist() == [1.0, 0.0]
    assert np.isnan(found.central_weights[1]).all()
    assert np.isnan(found.confidence[1])
    assert found.winner() == 0


def test_equal_alternatives_share_the_first_rank_and_nobody_wins():
    found = smaa([[0.5, 0.5], [0.5, 0.5]], draws=100)
    assert found.first.tolist() == [1.0, 1.0]
    assert found.winner() is None


def test_intervals_by_hand():
    # one criterion: uniform on 0..1 against 0.7 is better in 30 of 100 cases
    found = smaa([[0.5], [0.7]], low=[[0.0], [0.7]], high=[[1.0], [0.7]], draws=40_000)
    np.testing.assert_allclose(found.first, [0.3, 0.7], atol=0.01)
    np.testing.assert_allclose(found.confidence, [0.3, 0.7], atol=0.02)
    np.testing.assert_allclose(found.pairwise, [[0, 0.3], [0.7, 0]], atol=0.01)
    assert found.winner() is None


def test_an_interval_of_no_width_changes_nothing():
    plain, same = smaa(TRIO, draws=500, seed=7), smaa(TRIO, low=TRIO, high=TRIO, draws=500, seed=7)
    np.testing.assert_array_equal(plain.acceptability, same.acceptability)


@given(VALUES, st.integers(0, 99))
@settings(max_examples=25)
def test_acceptability_agrees_with_a_loop_over_draws(values, seed):
    draws = WeightSpace(3).draw(200, seed=seed)
    expected = np.zeros((4, 4))
    for w in draws:
        score = [float(np.sum(w * row)) for row in values]
        for i, own in enumerate(score):
            expected[i, sum(other > own + 1e-13 for other in score)] += 1
    found = smaa(values, draws=200, seed=seed)
    np.testing.assert_allclose(found.acceptability.sum(axis=1), 1)
    np.testing.assert_allclose(found.acceptability, expected / 200)


def test_memory_is_bounded_by_blocks(monkeypatch):
    whole = smaa(TRIO, draws=3000, seed=5)
    monkeypatch.setattr("aifactory.shortlist.mcda.smaa._CELLS", 300)
    np.testing.assert_array_equal(whole.acceptability, smaa(TRIO, draws=3000, seed=5).acceptability)


def test_more_draws_than_a_block_are_drawn_block_by_block(monkeypatch):
    monkeypatch.setattr("aifactory.shortlist.mcda.smaa.BLOCK", 1000)
    found = smaa(TRIO, draws=2500, seed=5)
    assert found.draws == 2500
    np.testing.assert_allclose(found.acceptability.sum(axis=1), 1)
    parts = [smaa(TRIO, draws=1000, seed=5).first, smaa(TRIO, draws=1500, seed=5).first]
    assert not np.array_equal(*parts)
    np.testing.assert_allclose(found.first, [0.4, 0.4, 0.2], atol=0.04)
    with pytest.raises(InputError, match="draws"):
        smaa(TRIO, draws=0)


def test_smaa_refuses_what_does_not_fit():
    with pytest.raises(InputError, match="3 criteria"):
        smaa(TRIO, WeightSpace(3))
    with pytest.raises(InputError, match="low"):
        smaa(TRIO, low=[[2, 2]] * 3)


def test_the_smallest_flip_by_hand():
    # winner (1, 0) at 0.8; 0.6 and 0.6 catch up at 0.6, the opposite at 0.5
    first, second = smallest_flip(TRIO, [0.8, 0.2])
    assert (first.winner, first.challenger, second.challenger) == (0, 2, 1)
    assert first.moved == pytest.approx(0.2)
    assert second.moved == pytest.approx(0.3)
    np.testing.assert_allclose(first.weights, [0.6, 0.4], atol=1e-9)


def test_a_dominated_challenger_never_catches_up():
    assert smallest_flip([[1.0, 1.0], [0.5, 0.9]], [0.5, 0.5]) == []
    # level on one criterion is never ahead
    assert smallest_flip([[1.0, 1.0], [1.0, 0.9]], [0.5, 0.5]) == []
    assert np.isnan(switching_weights([[1.0, 1.0], [1.0, 0.9]], [0.5, 0.5])).all()


def test_bounds_can_forbid_the_flip():
    assert smallest_flip(TRIO[:2], [0.8, 0.2], WeightSpace(2, low=[0.6, 0])) == []


@given(VALUES, arrays(float, 3, elements=st.floats(0.05, 1)))
@settings(max_examples=25)
def test_the_flip_agrees_with_moving_weight_greedily(values, start):
    start = start / start.sum()
    winner = int(np.argmax(values @ start))
    found = {flip.challenger: flip.moved for flip in smallest_flip(values, start)}
    for challenger in (i for i in range(4) if i != winner):
        gain = values[challenger] - values[winner]
        lack, moved, best = -float(gain @ start), 0.0, gain.max()
        for j in np.argsort(gain):
            step = min(start[j], lack / (best - gain[j]) if best > gain[j] else np.inf)
            if lack <= 0 or best <= gain[j]:
                break
            moved, lack = moved + step, lack - step * (best - gain[j])
        if lack > 1e-7 or gain.max() <= 0:
            assert challenger not in found
        elif lack < 1e-12:
            assert found[challenger] == pytest.approx(moved, abs=1e-6)


def test_the_flip_is_the_optimum_that_a_general_solver_finds():
    values, start = np.array([[0.9, 0.2, 0.4], [0.3, 0.8, 0.5]]), np.array([0.6, 0.1, 0.3])
    gain = values[1] - values[0]
    # up and down moves of each weight, 0 or more
    answer = minimize(lambda x: x.sum() / 2, np.full(6, 0.3), bounds=[(0, 1)] * 6, method="SLSQP", constraints=[
        {"type": "eq", "fun": lambda x: x[:3].sum() - x[3:].sum()},
        {"type": "ineq", "fun": lambda x: gain @ (start + x[:3] - x[3:])},
        {"type": "ineq", "fun": lambda x: start + x[:3] - x[3:]},
    ])  # fmt: skip
    assert smallest_flip(values, start)[0].moved == pytest.approx(answer.fun, abs=1e-6)


@given(VALUES, arrays(float, 3, elements=st.floats(0.05, 1)))
@settings(max_examples=25)
def test_at_a_switching_weight_the_two_are_level(values, start):
    start = start / start.sum()
    winner = int(np.argmax(values @ start))
    found = switching_weights(values, start)
    assert np.isnan(found[winner]).all()
    for (i, j), at in np.ndenumerate(found):
        if np.isfinite(at):
            changed = start * (1 - at) / (1 - start[j])
            changed[j] = at
            assert changed.sum() == pytest.approx(1)
            assert (values[i] - values[winner]) @ changed == pytest.approx(0, abs=1e-6)
