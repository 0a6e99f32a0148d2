"""Growth of the work of a unit: hand cases, limits, an oracle by simulation of the months themselves."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.profile import monthly_trend
from aifactory.demand.scenarios import Z90, Settings, Spread, Workload, simulate_paths
from aifactory.demand.unit_size import INPUT, OUTPUT, REQUESTS, SIZE_SCATTER, log_sd, stated_doubt, unit_creep

PRIOR = 0.02


def rows(**parts):
    """Rows of a growth table from name = (today's figure, growth, doubt)."""
    table = pd.DataFrame([(name, *part) for name, part in parts.items()])
    return table.set_axis(["tokens", "per_request", "growth_per_month", "growth_log_sd"], axis=1)


def test_by_hand():
    # work 1,000 + 4 x 250 = 2,000: shares one half; requests per session grow by 2 %
    found = unit_creep(rows(input_tokens=(1000.0, 0.03, 0.01), output_tokens=(250.0, 0.01, 0.02), requests_per_unit=(8.0, 0.02, 0.005)), 4.0, PRIOR)  # fmt: skip
    assert found.growth == pytest.approx(1.02 * (1 + 0.5 * 0.03 + 0.5 * 0.01) - 1)
    assert found.log_sd == pytest.approx(np.sqrt(0.005**2 + (0.5 * 0.01 + 0.5 * 0.02) ** 2))


def test_too_few_months_are_no_growth_with_the_doubt_of_the_prior():
    found = unit_creep(rows(input_tokens=(500.0, np.nan, np.nan)), 4.0, PRIOR)
    assert (found.growth, found.log_sd) == (0.0, PRIOR)


def test_without_tokens_nothing_is_said():
    assert unit_creep(rows(requests_per_unit=(9.0, 0.1, 0.01)), 4.0, PRIOR) is None
    assert unit_creep(rows(input_tokens=(0.0, np.nan, np.nan)), 4.0, PRIOR) is None


@settings(max_examples=50)
@given(st.lists(st.floats(-0.2, 0.3), min_size=2, max_size=2), st.floats(1, 1e5), st.floats(1, 1e4), st.floats(0.5, 20))
def test_growth_lies_between_that_of_its_parts_and_no_unit_of_tokens_matters(growth, first, second, weight):
    parts = {INPUT: (first, growth[0], 0.01), OUTPUT: (second, growth[1], 0.01)}
    found = unit_creep(rows(**parts), weight, PRIOR)
    assert min(growth) - 1e-12 <= found.growth <= max(growth) + 1e-12
    assert found.log_sd == pytest.approx(0.01)
    thousands = {name: (size / 1000, *rest) for name, (size, *rest) in parts.items()}
    assert unit_creep(rows(**thousands), weight, PRIOR).growth == pytest.approx(found.growth, abs=1e-12)


def test_oracle_months_of_tokens_drawn_from_the_prior_are_judged_as_they_are():
    """Slopes and scatter drawn from the prior: the true slope lies within the stated 80 % range 80 times in 100."""
    rng = np.random.default_rng(3)
    inside, months = [], np.arange(12)
    for true in rng.normal(0.0, PRIOR, 400):
        tokens = 800 * np.exp(true * months + rng.normal(0.0, SIZE_SCATTER, 12))
        trend = monthly_trend(tokens, PRIOR, SIZE_SCATTER)
        inside.append(abs(np.log1p(trend.growth) - true) <= Z90 * trend.log_sd)
    assert np.mean(inside) == pytest.approx(0.80, abs=0.05)


def test_a_year_of_steady_creep_is_kept_and_four_months_mostly_not():
    year, short = (monthly_trend(800 * 1.03 ** np.arange(n), PRIOR, SIZE_SCATTER) for n in (12, 4))
    assert 0.028 < year.growth < 0.03
    assert short.growth < 0.015
    assert short.log_sd > 2 * year.log_sd


def test_a_stated_range_is_its_widest_length_and_its_requests():
    lengths = {
        f"{INPUT}_per_request": Spread(500.0, 1000.0, 2000.0),
        f"{OUTPUT}_per_request": Spread(90.0, 100.0, 110.0),
    }
    alone = np.log(4) / (2 * Z90)
    assert stated_doubt(lengths) == pytest.approx(alone)
    assert stated_doubt(lengths | {REQUESTS: Spread(5.0, 10.0, 20.0)}) == pytest.approx(alone * np.sqrt(2))
    assert stated_doubt({REQUESTS: Spread(5.0, 10.0, 20.0)}) is None
    assert log_sd(7.0, 7.0) == 0.0


# in the simulation


def work_over_units(item, count=40_000, **changes):
    paths = simulate_paths([item], ("eu",), Settings(months=12, paths=count, **changes))
    return paths.work[:, 0, 0] / paths.units[:, 0, 0]


def chat(**values):
    zero = np.zeros(1)
    return Workload("chat", np.array([100.0]), Spread(0.02, 0.02, 0.02), zero + 0.03, zero + 0.1, **values)


def test_quantiles_of_the_size_agree_with_their_closed_form():
    """Size is log-normal: exp(a z + sum of d^k (log(1 + c) + s z)), z standard normal, d = 0.94."""
    size = work_over_units(chat(size_growth=0.01, size_growth_sd=0.03, size_sd=0.2))
    damped = np.cumsum(0.94 ** np.arange(12))
    for level, z in ((0.1, -Z90), (0.5, 0.0), (0.9, Z90)):
        expected = np.exp(0.2 * z + damped * (np.log(1.01) + 0.03 * z))
        np.testing.assert_allclose(np.quantile(size, level, axis=0), expected, rtol=0.012)


def test_without_creep_and_doubt_work_is_units_to_the_digit():
    calm, doubtful = (
        simulate_paths([chat(**values)], ("eu",), Settings(months=12, paths=50))
        for values in ({}, {"size_growth_sd": 0.03})
    )
    assert calm.work is calm.units
    assert (calm.units == doubtful.units).all()  # common random numbers: doubt of the size leaves units as they are
    assert not np.allclose(doubtful.work, calm.work)
