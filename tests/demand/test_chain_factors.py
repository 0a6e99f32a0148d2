"""Factors of a demand chain: stated ends, priors, and how their doubts add up in simulated paths."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from aifactory.demand.adoption import RATE_SD, SATURATION_SD, bass_share, prior_rate
from aifactory.demand.chain_factors import (
    FACTOR_SD,
    UNITS,
    adopting,
    factor_doubts,
    factor_spread,
    factors,
    launch_of,
    work_doubt,
)
from aifactory.demand.scenarios import WEEKS_PER_MONTH, Z90, Settings, Spread, Workload, simulate_paths

VALUES = {"seats": 1000.0, "active_share": 0.4, "active_share_day_90": 0.9, UNITS: 20.0, "requests_per_unit": 4.0,
          "input_tokens_per_request": 800.0, "output_tokens_per_request": 100.0}  # fmt: skip


def chain(**ends):
    """A chain whose factors have ends where they are given."""
    rows = [
        {"use_case_id": "bot", "factor": name, "value": value, "low": ends.get(name, (np.nan,) * 2)[0],
         "high": ends.get(name, (np.nan,) * 2)[1], "source": "test", "as_of": "2026-10-31"}
        for name, value in VALUES.items()
    ]  # fmt: skip
    return factors(pd.DataFrame(rows))["bot"]


def test_a_factor_of_zero_is_certain():
    """No output tokens, stated with P10 and P90 of zero or without: nothing to divide by, and no doubt of the work."""
    rows = chain().reset_index()
    rows.loc[rows["factor"] == "output_tokens_per_request", "value"] = 0.0
    for ends in (0.0, np.nan):
        stated = rows.assign(low=np.where(rows["value"] == 0, ends, 600), high=np.where(rows["value"] == 0, ends, 1000))
        given = factors(stated)["bot"]
        assert vars(factor_spread(given, "output_tokens_per_request")) == {"low": 0.0, "middle": 0.0, "high": 0.0}
        assert work_doubt(given) > 0
        assert factor_doubts(stated, ["bot"])["variance_share"].sum() == pytest.approx(1.0)


def test_ends_by_hand():
    given = chain(seats=(900.0, np.nan), active_share=(0.0, 0.8), requests_per_unit=(4.0, 4.0))
    assert vars(factor_spread(given, "seats")) == {"low": 900.0, "middle": 1000.0, "high": 1000.0}  # certain above
    share = factor_spread(given, "active_share", FACTOR_SD)
    assert (share.low, share.high) == (pytest.approx(0.2), 0.8)  # nothing is known below: as wide as above
    units = factor_spread(given, UNITS, FACTOR_SD)
    assert units.high / units.middle == pytest.approx(np.exp(Z90 * FACTOR_SD))
    assert work_doubt(given) == 0.0  # stated as certain
    assert work_doubt(chain()) == FACTOR_SD
    assert work_doubt(given.drop(index=["input_tokens_per_request", "output_tokens_per_request"])) is None


def test_priors_of_the_launch_stand_where_nothing_is_stated():
    unknown, sure = launch_of(chain()), launch_of(chain(active_share=(0.4, 0.4), active_share_day_90=(0.9, 0.9)))
    assert (unknown.saturation_sd, unknown.rate_sd, unknown.seats_sd) == (pytest.approx(SATURATION_SD), RATE_SD, 0.0)
    assert (sure.saturation_sd, sure.rate_sd) == (0.0, 0.0)
    assert launch_of(chain(seats=(500.0, 2000.0))).seats_sd == pytest.approx(np.log(4) / (2 * Z90))


def test_the_prior_is_a_third_of_what_new_products_miss_by():
    """E |X - 1| of a log-normal about 1 is 0.53 at a deviation of 0.59: accuracy 47 % (Kahn 2002)."""
    deviation = 0.59
    assert np.exp(deviation**2 / 2) * (2 * ndtr(deviation) - 1) == pytest.approx(0.53, abs=0.005)
    drawn = np.exp(deviation * np.random.default_rng(1).standard_normal(200_000))
    assert np.abs(drawn - 1).mean() == pytest.approx(0.53, abs=0.01)
    assert deviation / np.sqrt(3) == pytest.approx(FACTOR_SD, abs=0.015)


def test_doubts_multiply_in_the_paths_as_the_table_says():
    """Final work is log-normal with the sum of the variances: seats, share, units and work, none clipped at a low share."""
    ends = {"seats": (800.0, 1250.0), "active_share": (0.2, 0.8 / 1.5), UNITS: (15.0, 80 / 3), "input_tokens_per_request": (500.0, 1280.0)}  # fmt: skip
    given = chain(**ends, active_share_day_90=(0.9, 0.9)).assign(value=lambda rows: rows["value"].where(rows.index != "active_share", 0.2))  # fmt: skip
    given.loc["active_share", ["low", "high"]] = [0.15, 0.8 / 3]
    item = Workload("bot", np.zeros(1), Spread(0.0, 0.0, 0.0), np.zeros(1), np.zeros(1), size_sd=work_doubt(given),
                    adopting=adopting(given, None, np.ones(1), 1, 60))  # fmt: skip
    work = simulate_paths([item], ("eu",), Settings(months=60, paths=20_000)).work[:, 0, 0, -1]
    table = factor_doubts(given.reset_index(), ("bot",)).set_index("factor")
    parts = table["log_sd"].drop(["active_share_day_90", "output_tokens_per_request", "requests_per_unit"])
    assert np.log(work).std() == pytest.approx(np.sqrt(np.square(parts).sum()), rel=0.03)
    assert np.median(work) == pytest.approx(1000 * 0.2 * 20, rel=0.03)
    assert table["variance_share"].sum() == pytest.approx(1.0)
    assert table.loc["seats", "variance_share"] == pytest.approx(parts["seats"] ** 2 / np.square(parts).sum())


@pytest.mark.parametrize("per_seat", [10.0, 40.0])
def test_demand_that_was_seen_leaves_no_doubt_of_the_units_of_a_seat(per_seat):
    """Nobody bounds the units of a seat (0.35 in the logarithm), but 26 weeks show what seats and units come to together."""
    real = 1000 * 0.4 * bass_share(np.arange(1, 40), prior_rate(0.9), 12.7) * per_seat
    seen = adopting(chain(), real[:26] / WEEKS_PER_MONTH, np.ones(1), -5, 3)
    item = Workload("bot", np.zeros(1), Spread(0.0, 0.0, 0.0), np.zeros(1), np.zeros(1), adopting=seen)
    units = simulate_paths([item], ("eu",), Settings(months=1, paths=4000)).units[:, 0, 0, 0]
    low, middle, high = np.quantile(units, [0.1, 0.5, 0.9])
    assert middle == pytest.approx(real[28], rel=0.05)
    assert high / low < 1.15
