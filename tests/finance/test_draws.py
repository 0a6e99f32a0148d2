"""Draws: stated quantiles, correlations, seeds and refusals."""

import numpy as np
import pytest
from scipy import stats

from aifactory.finance.draws import Factor, Factors, column

PAIR = (Factor("a", 0.5, 1.0, 3.0), Factor("b", -0.02, 0.0, 0.01, shape="linear"))


def test_quantiles_and_correlation_are_met():
    drawn = Factors(PAIR, {("a", "b"): -0.6}).draw(200_000, seed=3)
    for index, item in enumerate(PAIR):
        found = np.quantile(drawn[:, index], [0.1, 0.5, 0.9])
        np.testing.assert_allclose(found, [item.low, item.middle, item.high], rtol=0.02, atol=3e-4)
    # the copula keeps the rank correlation of a normal pair: 6 / pi asin(rho / 2)
    rank = stats.spearmanr(drawn).statistic
    assert rank == pytest.approx(6 / np.pi * np.arcsin(-0.3), abs=0.01)


def test_the_same_seed_gives_the_same_draws():
    one, two = (Factors(PAIR).draw(100, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, Factors(PAIR).draw(100, seed=6))


def test_events_come_at_their_yearly_rate_and_counts_are_whole():
    never, often = Factor("x", 0, 0, 0, shape="event"), Factor("x", 0, 0.5, 1, shape="event")
    normal = np.random.default_rng(1).standard_normal(100_000)
    assert np.isinf(never.value(normal)).all()
    months = often.value(normal)
    assert (months >= 1).mean() > 0.999
    assert (months <= 12).mean() == pytest.approx(1 - np.exp(-0.5), abs=0.01)
    whole = Factor("d", 0, 1, 4, shape="count").value(normal)
    assert whole.min() == 0
    assert np.array_equal(whole, np.rint(whole))


def test_middle_and_columns():
    assert Factors(PAIR).middle().tolist() == [[1.0, 0.0]]
    assert column(np.ones((2, 1)), ["a"], "z", 7.0).tolist() == [7.0, 7.0]


def test_certain_factors_never_move():
    assert set(Factor("c", 2, 2, 2).value(np.array([-3.0, 0.0, 3.0])).round(12)) == {2.0}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Factor("a", 2, 1, 3), "P10 <= median"),
        (lambda: Factor("a", 0, 1, 3), "above 0"),
        (lambda: Factor("a", 1, 1, float("inf")), "P10 <= median"),
        (lambda: Factors((PAIR[0], PAIR[0])).draw(1, 1), "twice"),
        (lambda: Factors(PAIR, {("a", "c"): 0.1}).draw(1, 1), "two factors"),
        (lambda: Factors(PAIR, {("a", "b"): 1.1}).draw(1, 1), r"\[-1, 1\]"),
        (
            lambda: Factors(
                (*PAIR, Factor("c", 1, 1, 2)), {("a", "b"): 0.9, ("a", "c"): 0.9, ("b", "c"): -0.9}
            ).matrix(),
            "contradict",
        ),
        (lambda: Factors(PAIR, {("a", "b"): 0.1}).check_groups_apart(), "different groups"),
    ],
)
def test_refusals(make, text):
    with pytest.raises(ValueError, match=text):
        make()
