"""Conformal quantiles: exact rank, nominal coverage, borrowing."""

import numpy as np
import pytest

from aifactory.serving.intervals import Scores, balanced_quantile, conformal_quantile, covered


def test_rank_is_that_of_split_conformal_prediction():
    assert conformal_quantile(np.arange(1, 10), 0.8) == 8
    assert conformal_quantile(np.array([3.0]), 0.8) == 3.0
    assert conformal_quantile(np.array([]), 0.8) == pytest.approx(1.2816)


def test_coverage_is_nominal_on_exchangeable_scores():
    rng = np.random.default_rng(7)
    hits = [rng.exponential() <= conformal_quantile(rng.exponential(size=40), 0.8) for _ in range(4000)]
    assert np.mean(hits) == pytest.approx(0.8, abs=0.03)


def test_a_kind_with_few_scores_borrows_the_pooled_ones():
    scores = Scores({"row": np.full(50, 1.0), "model": np.array([9.0])})
    assert scores.width("row") == 1.0
    assert scores.width("model") < 9.0
    assert scores.width("never seen") >= 1.0


def test_covered_counts_the_ends():
    assert covered(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0, 4]), np.array([1.0, 2, 5])) == pytest.approx(2 / 3)
    assert np.isnan(covered(np.array([]), np.array([]), np.array([])))


def test_groups_weigh_the_same_in_a_balanced_quantile():
    scores, groups = np.r_[np.ones(90), np.full(10, 3.0)], np.r_[np.zeros(90), np.ones(10)]
    assert balanced_quantile(scores, groups, 0.5) == 1.0
    assert balanced_quantile(scores, groups, 0.6) == 3.0
    assert balanced_quantile(scores, np.zeros(100), 0.6) == 1.0
    assert balanced_quantile(scores, groups, 1.0) == scores.max()
    assert balanced_quantile(np.array([]), np.array([])) == pytest.approx(1.2816)
