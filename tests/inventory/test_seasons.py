"""Seasons of the year of use cases from those of their regions, and what is told of them."""

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.season import YearSeason
from aifactory.inventory.seasons import seasons, told_seasons


def of(*factors):
    return YearSeason(np.log(factors), np.zeros((12, 12)))


def profile(**levels):
    rows = [{"use_case_id": "shop", "region": name, "units_per_hour_avg": level} for name, level in levels.items()]
    return pd.DataFrame(rows).assign(lumpy=False, level_per_hour=np.nan, growth_season=0.5)


def test_regions_add_up_at_their_level_of_a_mean_month_by_hand():
    """December: eu has twice its mean month then, 20 an hour, so 10; us is flat at 10. Twice of one half is 1.5 of both."""
    peak = 2.0 ** (11 / 12)  # geometric mean 1, December at twice the others
    years = {("shop", "eu"): of(*[peak / 2] * 11, peak)}
    found = seasons(profile(eu=10.0 * peak, us=10.0), years, "2026-12")["shop"]
    assert found[11] / found[0] == pytest.approx((peak + 1) / (peak / 2 + 1))
    assert np.log(found).mean() == pytest.approx(0.0, abs=1e-12)
    alone = seasons(profile(eu=7.0), years, "2026-03")["shop"]
    np.testing.assert_allclose(alone, years["shop", "eu"].factor)


def test_without_a_year_there_is_no_season():
    assert seasons(profile(eu=10.0), {}, "2026-12") == {}
    assert seasons(profile(eu=0.0), {("shop", "eu"): of(*[1.0] * 12)}, "2026-12") == {}


def test_only_likely_seasons_are_told():
    factors = {"shop": np.ones(12)}
    table = profile(eu=1.0, us=1.0)
    assert told_seasons(table, factors) == {}
    assert list(told_seasons(table.assign(growth_season=[0.2, 0.7]), factors)) == ["shop"]
    assert told_seasons(table.iloc[:0], {}) == {}
