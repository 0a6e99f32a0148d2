"""Anchored scales and the weighted sum, against numpy and published cases."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.weights import MATRIX_CRITERIA, SCORECARD_CRITERIA
from aifactory.shortlist import scales

ANCHORS = [
    scales.COST_ANCHORS,
    scales.NODE_ANCHORS,
    scales.DEVICE_ANCHORS,
    scales.LATENCY_ANCHORS,
    scales.WATT_ANCHORS,
]
SCORE = st.floats(0, 1)


@pytest.mark.parametrize("anchors", ANCHORS)
def test_the_anchors_score_zero_and_one_and_the_middle_half(anchors):
    worst, best = anchors
    assert scales.anchored([worst, (worst + best) / 2, best], anchors).tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("anchors", ANCHORS)
def test_values_outside_the_anchors_are_clipped(anchors):
    worst, best = anchors
    away = best - worst
    assert scales.anchored([worst - away, best + away, worst - 1e6 * away], anchors).tolist() == [0.0, 1.0, 0.0]


def test_unknown_values_stay_unknown_and_nothing_stays_nothing():
    assert np.isnan(scales.anchored([np.nan], (0.0, 1.0))).all()
    assert scales.anchored([], (0.0, 1.0)).tolist() == []


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20), st.sampled_from(ANCHORS))
@settings(max_examples=60)
def test_scales_agree_with_numpy_interp(values, anchors):
    (low, at_low), (high, at_high) = sorted(zip(anchors, (0.0, 1.0), strict=True))
    np.testing.assert_allclose(
        scales.anchored(values, anchors), np.interp(values, [low, high], [at_low, at_high]), atol=1e-12
    )


def test_the_total_is_the_weighted_sum():
    table = pd.DataFrame({"a": [1.0, 0.5], "b": [0.0, 1.0], "other": [9.0, 9.0]})
    assert scales.weighted_total(table, {"a": 0.3, "b": 0.7}).tolist() == pytest.approx([0.3, 0.85])


def test_an_unknown_score_counts_nothing():
    table = pd.DataFrame({"a": [np.nan, np.nan], "b": [1.0, np.nan]})
    assert scales.weighted_total(table, {"a": 0.4, "b": 0.6}).tolist() == pytest.approx([0.6, 0.0])


def test_a_weight_without_a_score_is_refused():
    with pytest.raises(KeyError):
        scales.weighted_total(pd.DataFrame({"a": [1.0]}), {"a": 0.5, "b": 0.5})


@given(st.lists(st.tuples(SCORE, SCORE, SCORE), min_size=1, max_size=8), st.tuples(SCORE, SCORE, SCORE))
@settings(max_examples=60)
def test_the_total_agrees_with_a_matrix_product(rows, weights):
    table = pd.DataFrame(rows, columns=list("abc"))
    total = scales.weighted_total(table, dict(zip("abc", weights, strict=True)))
    np.testing.assert_allclose(total, np.array(rows) @ np.array(weights), atol=1e-12)


@given(st.lists(st.tuples(SCORE, SCORE, SCORE), min_size=2, max_size=6), st.tuples(SCORE, SCORE, SCORE))
@settings(max_examples=40)
def test_adding_a_platform_never_changes_the_others(rows, newcomer):
    weights = {"a": 0.5, "b": 0.3, "c": 0.2}
    before = scales.weighted_total(pd.DataFrame(rows, columns=list("abc")), weights)
    after = scales.weighted_total(pd.DataFrame([*rows, newcomer], columns=list("abc")), weights)
    assert after.iloc[:-1].tolist() == before.tolist()


def reference(shared_dir, case):
    table = pd.read_csv(shared_dir / "data" / "mcda_reference_cases.csv").set_index("case_id").loc[case]
    return json.loads(table["inputs"]), json.loads(table["expected"]), float(table["tolerance"])


def totals(matrix, weights):
    table = pd.DataFrame(matrix)
    return scales.weighted_total(table, dict(zip(table.columns, weights, strict=True)))


@pytest.mark.real
def test_the_published_weighted_sum_is_reproduced(shared_dir):
    given_, expected, tolerance = reference(shared_dir, "M001")
    assert totals(given_["matrix"], given_["weights"]).tolist() == pytest.approx(expected["score"], abs=tolerance)


@pytest.mark.real
def test_the_published_scores_on_fixed_bounds_are_reproduced(shared_dir):
    # with fixed bounds the published distance is one minus the weighted sum of linear values
    given_, expected, tolerance = reference(shared_dir, "M007")
    columns = []
    for values, bounds, sign in zip(
        zip(*given_["matrix"], strict=True), given_["bounds"], given_["types"], strict=True
    ):
        columns.append(scales.anchored(values, tuple(bounds) if sign > 0 else tuple(reversed(bounds))))
    score = 1 - totals(np.array(columns).T, given_["weights"])
    assert score.tolist() == pytest.approx(expected["score"], abs=tolerance)
    assert score.rank().astype(int).tolist() == expected["rank"]


@pytest.mark.real
def test_a_copy_of_a_platform_does_not_reverse_the_order(shared_dir):
    given_, _, _ = reference(shared_dir, "M017")

    def score(matrix):
        values = np.array([scales.anchored(column, (0.0, 10.0)) for column in zip(*matrix, strict=True)]).T
        return totals(values, given_["weights"])

    before, after = score(given_["before"]), score(given_["after"])
    assert after.iloc[:3].tolist() == before.tolist()
    assert before.idxmax() == after.idxmax()


@pytest.mark.real
def test_a_dominated_platform_never_scores_higher(shared_dir):
    given_, expected, _ = reference(shared_dir, "M021")
    total = totals(given_["matrix"], [0.5, 0.5])
    assert (total[expected["dominated"]].max() < total[~np.array(expected["dominated"])]).all()


def judgements(*rows):
    columns = ["accelerator_id", "platform_class", "workload_class", "criterion", "score"]
    return pd.DataFrame(rows, columns=columns)


ALL = judgements(
    ("h100", None, "training", "maturity", 0.9),
    ("h100", None, "*", "maturity", 0.8),
    (None, "gpu", "training", "maturity", 0.7),
    (None, "gpu", "*", "maturity", 0.6),
    (None, "gpu", "*", "supply", 0.1),
)


@pytest.mark.parametrize(
    ("accelerator", "platform", "workload", "expected"),
    [
        ("h100", "gpu", "training", 0.9),
        ("h100", "gpu", "edge", 0.8),
        ("other", "gpu", "training", 0.7),
        ("other", "gpu", "edge", 0.6),
    ],
)
def test_the_closest_judgement_applies(accelerator, platform, workload, expected):
    assert (
        scales.judged(scales.judgements_by_key(ALL), "maturity", accelerator, platform, workload)["score"] == expected
    )


def test_without_a_judgement_there_is_none():
    assert scales.judged(scales.judgements_by_key(ALL), "maturity", "other", "tpu", "training") is None
    assert scales.judged(scales.judgements_by_key(ALL), "lock_in", "h100", "gpu", "training") is None
    assert scales.judged({}, "maturity", "h100", "gpu", "training") is None


def test_every_criterion_says_what_its_anchors_are():
    assert set(MATRIX_CRITERIA) | set(SCORECARD_CRITERIA) == set(scales.ANCHOR_TEXT)
