"""Scoring methods against hand figures, limits, properties and plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aifactory.errors import InputError
from aifactory.shortlist.mcda import matrix, normalise, outranking, ranking, values, weights

TABLE = arrays(float, (4, 3), elements=st.floats(0.1, 100))
SHARE = arrays(float, 3, elements=st.floats(0.01, 1))
SIGNS = st.lists(st.sampled_from([1, -1]), min_size=3, max_size=3)
BELTON = [[1, 9, 8], [9, 1, 9], [1, 1, 1]]


def share_of_sum(table):
    return (table / table.sum(axis=0)).mean(axis=1)


@pytest.mark.parametrize(
    "wrong", [[1.0, -0.1], [np.nan, 1.0], [0.0, 0.0], [1.0], [np.inf, 1.0], ["a", "b"], [[1.0, 2.0]]]
)
@pytest.mark.parametrize("method", [ranking.weighted_sum, ranking.topsis, ranking.vikor, outranking.promethee])
def test_weights_that_cannot_be_weights_are_refused(method, wrong):
    with pytest.raises(InputError, match="weights"):
        method([[1.0, 2.0], [2.0, 1.0]], wrong)


@pytest.mark.parametrize(
    "wrong", [[[1.0, np.nan]], [[1.0], [1.0, 2.0]], [], [[]], [["x", 1]], [1.0, 2.0], [[np.inf, 1.0]]]
)
def test_a_missing_score_is_named_not_guessed(wrong):
    with pytest.raises(InputError, match="matrix"):
        ranking.topsis(wrong, [0.5, 0.5])


def test_the_place_of_a_missing_score_is_told():
    with pytest.raises(InputError, match="row 2, column 'criterion 1'"):
        ranking.weighted_sum([[1.0, 2.0], [np.nan, 1.0]], [0.5, 0.5])


@pytest.mark.parametrize("types", [[1], [1, 0], [2, 1]])
def test_directions_are_one_or_minus_one(types):
    with pytest.raises(InputError, match="types"):
        ranking.moora([[1.0, 2.0]], [0.5, 0.5], types)


def test_an_additive_value_needs_weights_that_add_up():
    with pytest.raises(InputError, match="add up to 1, got 1.1"):
        values.additive_value([[1.0, 0.0]], [0.5, 0.6])


def test_anchors_are_refused_when_they_turn_or_repeat():
    for wrong in ([(0, 0)], [(0, 0), (0, 1)], [(0, 0), (1, 1), (2, 0.5)], [(0, -1), (1, 1)], [(0, np.nan), (1, 1)]):
        with pytest.raises(InputError, match="anchors"):
            values.piecewise([1.0], wrong)


def test_a_value_beyond_the_anchors_is_flat_and_unknown_stays_unknown():
    found = values.piecewise([0.0, 15.0, 99.0, np.nan], [(10, 1.0), (20, 0.0)])
    np.testing.assert_array_equal(found, [1.0, 0.5, 0.0, np.nan])


def test_costs_count_negative_in_a_weighted_sum():
    assert ranking.weighted_sum([[2.0, 3.0]], [1.0, 2.0], [1, -1]).tolist() == [-4.0]


def test_topsis_by_hand():
    # both criteria already weighted: best (4, 3), worst (1, 1); middle (4, 1): away 3, near 2
    assert ranking.topsis([[4.0, 3.0], [1.0, 1.0], [4.0, 1.0]], [1, 1], normalise="none").tolist() == [1.0, 0.0, 0.6]


def test_equal_alternatives_are_half_way_in_topsis():
    assert ranking.topsis([[1.0, 2.0], [1.0, 2.0]], [0.5, 0.5]).tolist() == [0.5, 0.5]


def test_an_unknown_normalisation_names_the_nearest():
    with pytest.raises(InputError, match="minmax"):
        ranking.topsis([[1.0]], [1.0], normalise="minmx")


def test_one_over_zero_is_refused():
    with pytest.raises(InputError, match="1/x"):
        normalise.invert([[0.0]], [-1])


@given(TABLE, SHARE, SIGNS)
@settings(max_examples=40)
def test_topsis_agrees_with_a_plain_loop(table, share, signs):
    scaled = np.array([[x / np.sqrt((column**2).sum()) for x in column] for column in table.T]).T * share
    best = [max(c) if s > 0 else min(c) for c, s in zip(scaled.T, signs, strict=True)]
    worst = [min(c) if s > 0 else max(c) for c, s in zip(scaled.T, signs, strict=True)]
    near, far = ([np.linalg.norm(row - end) for row in scaled] for end in (best, worst))
    expected = [f / (n + f) if n + f > 0 else 0.5 for n, f in zip(near, far, strict=True)]
    np.testing.assert_allclose(ranking.topsis(table, share, signs), expected, atol=1e-12)


@given(TABLE, SHARE, SIGNS)
@settings(max_examples=40)
def test_spotis_is_one_minus_the_additive_value_on_the_same_bounds(table, share, signs):
    share = share / share.sum()
    bounds = [(0.0, 120.0)] * 3
    columns = [values.piecewise(column, [(0.0, 0.0), (120.0, 1.0)] if s > 0 else [(0.0, 1.0), (120.0, 0.0)])
               for column, s in zip(table.T, signs, strict=True)]  # fmt: skip
    expected = 1 - values.additive_value(np.column_stack(columns), share)
    np.testing.assert_allclose(values.spotis(table, bounds, share, signs), expected, atol=1e-12)


@given(TABLE, SHARE, SIGNS)
@settings(max_examples=40)
def test_a_dominated_alternative_is_never_ahead(table, share, signs):
    worse = outranking.dominance(table, signs)
    for score in (ranking.topsis(table, share, signs), ranking.moora(table, share, signs),
                  -ranking.vikor(table, share, signs)["Q"], outranking.promethee(table, share, signs).net):  # fmt: skip
        for i, j in np.argwhere(worse):
            assert score[i] >= score[j] - 1e-9


def test_dominance_by_hand():
    assert outranking.dominance([[1, 1], [1, 1], [2, 1]]).tolist() == [
        [False, False, False], [False, False, False], [True, True, False]]  # fmt: skip
    assert outranking.dominance([[1, 5], [2, 4]], [1, -1]).any(axis=0).tolist() == [True, False]


def test_dominance_under_intervals_needs_every_end_to_hold():
    low, high = [[0.6, 0.5], [0.1, 0.1]], [[0.9, 0.9], [0.5, 0.4]]
    assert outranking.interval_dominance(low, high)[0, 1]
    assert not outranking.interval_dominance(low, [[0.9, 0.9], [0.7, 0.4]])[0, 1]
    with pytest.raises(InputError, match="low"):
        outranking.interval_dominance(high, low)


def test_shapes_of_preference_by_hand():
    d = [-2.0, 0.0, 0.5, 1.0, 2.0, 9.0]
    assert outranking.preference(d, "usual").tolist() == [0, 0, 1, 1, 1, 1]
    assert outranking.preference(d, "u_shape", q=1.0).tolist() == [0, 0, 0, 0, 1, 1]
    assert outranking.preference(d, "v_shape", p=2.0).tolist() == [0, 0, 0.25, 0.5, 1, 1]
    assert outranking.preference(d, "level", q=0.5, p=1.5).tolist() == [0, 0, 0, 0.5, 1, 1]
    assert outranking.preference(d, "linear", q=1.0, p=3.0).tolist() == [0, 0, 0, 0, 0.5, 1]
    np.testing.assert_allclose(outranking.preference([2.0], "gaussian", s=2.0), 1 - np.exp(-0.5))


@pytest.mark.parametrize(("shape", "more"), [("square", {}), ("v_shape", {"p": 0}), ("linear", {"q": 2, "p": 1}),
                                             ("gaussian", {"s": 0}), ("u_shape", {"q": -1})])  # fmt: skip
def test_thresholds_that_make_no_sense_are_refused(shape, more):
    with pytest.raises(InputError, match="preference"):
        outranking.preference([1.0], shape, **more)


@given(TABLE, SHARE, SIGNS)
@settings(max_examples=40)
def test_promethee_agrees_with_a_plain_loop_and_its_flows_cancel(table, share, signs):
    n = len(table)
    index = [[sum(w for w, s, a, b in zip(share, signs, table[i], table[j], strict=True) if s * (a - b) > 0) / share.sum()
              for j in range(n)] for i in range(n)]  # fmt: skip
    flows = outranking.promethee(table, share, signs)
    np.testing.assert_allclose(flows.net, (np.sum(index, axis=1) - np.sum(index, axis=0)) / (n - 1), atol=1e-12)
    assert flows.net.sum() == pytest.approx(0, abs=1e-12)
    assert not (flows.outranks & flows.incomparable).any()


def test_promethee_one_leaves_the_undecided_incomparable():
    flows = outranking.promethee([[3, 1], [1, 3], [2, 2]], [0.5, 0.5], preferences=[{"shape": "v_shape", "p": 2}, {}])
    # flows plus (0.375, 0.5, 0.375), minus (0.5, 0.375, 0.375) in halves of the two rivals
    np.testing.assert_allclose(flows.positive, [0.375, 0.5, 0.375])
    np.testing.assert_allclose(flows.negative, [0.5, 0.375, 0.375])
    assert flows.outranks.tolist() == [[False, False, False], [True, False, True], [True, False, False]]
    assert not flows.incomparable.any()


def test_a_copy_of_a_rival_reverses_shares_but_not_anchored_values():
    assert ranking.reversals_when_added(share_of_sum, BELTON, [[9, 1, 9]]) == [(1, 0)]

    def anchored(table):
        return values.additive_value(values.piecewise(table, [(0, 0.0), (10, 1.0)]), [1 / 3] * 3)

    assert ranking.reversals_when_added(anchored, BELTON, [[9, 1, 9]]) == []


@given(TABLE, arrays(float, (2, 3), elements=st.floats(-50, 200)), SHARE)
@settings(max_examples=40)
def test_anchored_values_never_reverse(table, added, share):
    share = share / share.sum()

    def score(rows):
        return values.additive_value(values.piecewise(rows, [(0, 1.0), (30, 0.7), (100, 0.0)]), share)

    assert ranking.reversals_when_added(score, table, added) == []


def test_the_library_formula_for_copras_counts_costs_as_benefits():
    table, share = [[1.0, 1.0], [1.0, 3.0]], [0.5, 0.5]
    assert ranking.copras(table, share, [1, -1]).argmax() == 0
    assert ranking.copras_as_pymcdm(table, share, [1, -1]).argmax() == 1


def test_copras_by_hand():
    # shares (1/4, 3/4) and (1/2, 1/2): Q = 0.125 + 0.25, 0.375 + 0.25
    np.testing.assert_allclose(ranking.copras([[1.0, 2.0], [3.0, 2.0]], [0.5, 0.5], [1, -1]), [0.6, 1.0])
    with pytest.raises(InputError, match="above 0"):
        ranking.copras([[1.0, 0.0], [3.0, 2.0]], [0.5, 0.5], [1, -1])


def test_ranks_are_shared_by_equals():
    assert matrix.rank([3, 1, 3], ascending=True).tolist() == [2, 1, 2]


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_centroid_weights_are_the_mean_of_sorted_simplex_corners(n):
    corners = np.array([[1 / k] * k + [0.0] * (n - k) for k in range(1, n + 1)])
    np.testing.assert_allclose(weights.rank_order_centroid(n), corners.mean(axis=0), atol=1e-15)


def test_pairwise_judgements_must_be_reciprocal():
    with pytest.raises(InputError, match="a_ji"):
        weights.ahp([[1, 2], [2, 1]])


@given(SHARE)
@settings(max_examples=30)
def test_consistent_judgements_return_their_weights(share):
    found = weights.ahp(share[:, None] / share)
    np.testing.assert_allclose(found.weights, share / share.sum(), atol=1e-9)
    assert found.consistent
    assert found.lambda_max == pytest.approx(3)


@given(TABLE, SIGNS)
@settings(max_examples=30)
def test_weights_from_data_are_shares(table, signs):
    for found in (weights.entropy(table), weights.critic(table, signs), weights.merec(table, signs)):
        assert found.sum() == pytest.approx(1)
        assert (found >= 0).all()


def test_a_criterion_that_does_not_tell_alternatives_apart_gets_no_weight_from_data():
    table = [[1.0, 5.0, 2.0], [2.0, 5.0, 1.0], [3.0, 5.0, 7.0]]
    assert weights.entropy(table)[1] == 0
    assert weights.critic(table)[1] == 0
    assert weights.merec(table)[1] == 0
