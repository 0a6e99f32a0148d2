"""Range of the risk: by hand, at its limits, against scipy and on processes of known risk."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aifactory.demand.reserve import plan_reserve
from aifactory.demand.reserve_range import (
    exceedance_range,
    independent_windows,
    missed_by_chance,
    risk_range,
    support_notes,
    supported_target,
)


def test_range_by_hand():
    # one overload ahead, rate ~ Gamma(4, 4): P(0) = 0.8^4 = 0.4096, P(1) = 4 x 0.8^4 x 0.2 = 0.3277,
    # P(2) = 10 x 0.8^4 x 0.04 = 0.1638: 0.9011 up to two of them
    assert risk_range(0.01, 0.01, 2.0, 2.0) == pytest.approx((0.0, 0.02))


def test_nothing_planned_has_no_range_and_no_share_is_above_one():
    assert risk_range(0.01, 0.0, 0.0, 3.0) == (0.0, 0.0)
    assert risk_range(0.2, 0.9, 0.1, 1.0)[1] == 1.0


@settings(max_examples=60)
@given(
    st.floats(0.001, 0.2), st.floats(0, 4), st.floats(0.1, 50), st.floats(1, 60),
)  # fmt: skip
def test_range_is_that_of_a_negative_binomial(target, ratio, overloads, leads):
    known, ahead = min(overloads, 2), min(overloads / leads, 2)
    shape, rate = 2 + known * ratio, 2 + known
    expected = stats.nbinom.ppf([0.1, 0.9], shape, rate / (rate + ahead)) * target / ahead
    assert risk_range(target, ratio * target, overloads, leads) == pytest.approx(np.minimum(expected, 1.0))


@settings(max_examples=40)
@given(st.floats(0, 0.05), st.floats(0, 0.05), st.floats(0.5, 10), st.floats(1, 20))
def test_a_worse_record_never_lowers_the_range(one, other, overloads, leads):
    better, worse = sorted((one, other))
    low, high = risk_range(0.01, better, overloads, leads), risk_range(0.01, worse, overloads, leads)
    assert low[0] <= high[0]
    assert low[1] <= high[1]


def test_lead_times_of_a_steady_process_fall_into_its_range():
    inside = []
    for seed in range(25):
        values = np.random.default_rng(seed).poisson(60, 1200).astype(float)
        found = plan_reserve(values[:1000], 50, 0.05)
        came = (values[1000:].reshape(4, 50) > found.capacity).mean(axis=1)
        inside.append(((came >= found.risk_low) & (came <= found.risk_high)).mean())
    assert 0.75 <= np.mean(inside) <= 1.0
    assert found.risk_low <= 0.05 <= found.risk_high


@pytest.mark.parametrize(("overloads", "least"), [(3.0, 0.05), (30.0, 0.005), (0.6, None), (0.0, None)])
def test_the_least_target_that_a_record_can_show(overloads, least):
    found = supported_target(0.05, overloads)
    assert np.isnan(found) if least is None else found == pytest.approx(least)
    assert bool(support_notes(0.05, overloads)) == (overloads < 3)
    assert least is not None or "or any below 25 %" in support_notes(0.05, overloads)[0]


# the long run


def test_independent_windows_by_hand():
    # shares of 1/4 and 3/4: variance 1/8, of their mean 1/16; 1/4 / (1/16) = 4, times (t(7) / t(1))^2
    over = np.array([0, 0, 0, 1, 1, 1, 1, 0.0])
    known = (stats.t.ppf(0.9, 7) / stats.t.ppf(0.9, 1)) ** 2
    assert independent_windows(over, 4) == pytest.approx(max(1.0, 4 * known))
    assert independent_windows(np.zeros(8), 4) == 8.0
    assert independent_windows(np.repeat([0.0, 1.0], 8), 4) >= 1.0


@pytest.mark.parametrize("length", [1, 5, 20])
def test_clusters_weigh_as_one_window(length):
    random = np.random.default_rng(3)
    found = [independent_windows(np.repeat(random.random(6000 // length) < 0.05, length).astype(float), 100) for _ in range(40)]  # fmt: skip
    assert np.median(found) == pytest.approx(6000 / length, rel=0.2)


def test_range_is_that_of_clopper_and_pearson():
    for seen, count in ((0, 40), (3, 40), (40, 40)):
        exact = stats.binomtest(seen, count).proportion_ci(0.8, "exact")
        assert exceedance_range(seen / count, float(count)) == pytest.approx((exact.low, exact.high))


@pytest.mark.parametrize("length", [1, 10])
def test_the_range_holds_the_risk_in_four_of_five_records(length):
    random = np.random.default_rng(4)
    inside = []
    for _ in range(300):
        over = np.repeat(random.random(2000 // length) < 0.05, length).astype(float)
        low, high = exceedance_range(over.mean(), independent_windows(over, 100))
        inside.append(low <= 0.05 <= high)
    assert 0.75 <= np.mean(inside) <= 0.95


@pytest.mark.parametrize(("count", "target"), [(400, 0.01), (1000, 0.05), (3000, 0.02)])
def test_chance_of_lone_overloads_is_that_of_a_binomial_count(count, target):
    windows = np.random.default_rng(count).permutation(float(count) + np.arange(count))
    overloads = stats.binom(count, target)
    inside = overloads.cdf(2 * target * count) - overloads.cdf(np.ceil(target * count / 2) - 1)
    assert missed_by_chance(windows, target, 1) == pytest.approx(1 - inside, abs=0.04)


def test_overloads_in_one_stretch_can_rarely_be_judged():
    """Blocks of a lead time hold all of a stretch, or none; windows drawn one by one hold their share of it."""
    windows = np.arange(800.0)
    assert missed_by_chance(windows, 0.05, 40) > 0.4 > missed_by_chance(windows, 0.05, 1)
    alone = plan_reserve(windows[:80], 10, 0.01)  # 0.4 windows over: none or one, never within a factor of two
    assert alone.windows_judged == 40
    assert alone.missed_by_chance == 1.0
