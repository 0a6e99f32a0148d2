"""Correlation of prompt and answer length from three histograms, and answers paired with it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.lengths import length_correlation, paired
from aifactory.inputs.aggregate.buckets import log_bucket


def histograms(prompts, answers):
    """What the aggregates hold of requests that have both lengths."""
    metrics = {"input_tokens": prompts, "output_tokens": answers, "pair_tokens": np.sqrt(prompts * answers)}
    parts = [
        pd.Series(log_bucket(values))
        .value_counts()
        .rename_axis("bucket")
        .rename("count")
        .reset_index()
        .assign(metric=name)
        for name, values in metrics.items()
    ]
    return pd.concat(parts, ignore_index=True)


def lengths(correlation, count=20_000, seed=1):
    draw = np.random.default_rng(seed).multivariate_normal(
        [6, 5], [[1.0, correlation * 0.8], [correlation * 0.8, 0.64]], count
    )
    return np.maximum(np.rint(np.exp(draw)), 1).T


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.07, 0.6, 0.97])
def test_oracle_correlation_of_the_logarithms_themselves(correlation):
    prompts, answers = lengths(correlation)
    expected = np.corrcoef(np.log(prompts), np.log(answers))[0, 1]
    assert length_correlation(histograms(prompts, answers)) == pytest.approx(expected, abs=0.003)


def test_by_hand():
    # prompts 0 and 200 buckets, answers 0 and 100: var 10,000 and 2,500; together always, the pair lies at 0 and 150
    rows = [("input_tokens", 0), ("input_tokens", 200), ("output_tokens", 0), ("output_tokens", 100)]
    together = pd.DataFrame([*rows, ("pair_tokens", 0), ("pair_tokens", 150)], columns=["metric", "bucket"])
    against = pd.DataFrame([*rows, ("pair_tokens", 50), ("pair_tokens", 100)], columns=["metric", "bucket"])
    assert length_correlation(together.assign(count=200)) == pytest.approx(1.0)
    assert length_correlation(against.assign(count=200)) == pytest.approx(-1.0)


def test_what_says_nothing_is_not_known():
    prompts, answers = lengths(0.5, 2000)
    whole = histograms(prompts, answers)
    assert np.isnan(length_correlation(whole[whole["metric"] != "pair_tokens"]))
    assert np.isnan(length_correlation(histograms(prompts[:50], answers[:50])))  # too few
    assert np.isnan(length_correlation(histograms(prompts, np.full(2000, 10.0))))  # all answers alike
    more = histograms(prompts, answers)
    extra = pd.DataFrame({"metric": ["input_tokens"], "bucket": [500], "count": [100]})
    assert np.isnan(length_correlation(pd.concat([more, extra])))  # 5 % of the prompts have no answer
    assert np.isnan(length_correlation(whole.iloc[:0]))


def test_histograms_of_days_add_up():
    prompts, answers = lengths(0.4)
    days = pd.concat([histograms(prompts[:7000], answers[:7000]), histograms(prompts[7000:], answers[7000:])])
    assert length_correlation(days) == pytest.approx(length_correlation(histograms(prompts, answers)), abs=1e-12)


@settings(max_examples=25)
@given(st.floats(-1, 1), st.integers(0, 5))
def test_pairing_keeps_every_length_and_gives_the_correlation(correlation, seed):
    draw = np.random.default_rng(seed)
    prompts, answers = np.exp(draw.normal(6, 1, 3000)), np.exp(draw.normal(4, 0.7, 3000))
    found = paired(prompts, answers, correlation, seed)
    assert np.array_equal(np.sort(found), np.sort(answers))
    assert np.corrcoef(np.log(prompts), np.log(found))[0, 1] == pytest.approx(correlation, abs=0.08)
    assert not np.array_equal(paired(prompts, answers, np.nan, seed), answers)
