"""Which path are we on: position, and probabilities conditioned on the measured months."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aifactory.review.paths import CUTS, Z90, condition, follow_paths, growth_exponent

MONTHS = [str(month) for month in pd.period_range("2026-08", periods=36, freq="M")]


def plan(h=0.5, first=0.05, cost=(1.0, 2.0)):
    spread = first * np.arange(1, 37) ** h
    rows = []
    for name, usd in zip(("chat", "faq"), cost, strict=True):
        rows.append(pd.DataFrame({
            "plan_period": "2026-07", "month": MONTHS, "use_case_id": name, "region": "us", "units": 100.0,
            "units_conservative": 100 * np.exp(-Z90 * spread), "units_aggressive": 100 * np.exp(Z90 * spread),
            "compute_usd": usd * 100,
        }))  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def measured(*factors):
    rows = [
        (month, name, "us", 100.0 * factor)
        for month, factor in zip(MONTHS, factors, strict=False)
        for name in ("chat", "faq")
    ]
    return pd.DataFrame(rows, columns=["month", "use_case_id", "region", "units"])


def follow(*factors, **options):
    return follow_paths(plan(**options), measured(*factors), MONTHS[len(factors) - 1])


def test_on_the_expected_path_the_probabilities_stay_even():
    table = follow(1.0, 1.0, 1.0)
    assert table["actual_index"].iloc[0] == pytest.approx(1.0)
    assert table["percentile_now"].iloc[0] == pytest.approx(0.5)
    assert table["prior_probability"].tolist() == pytest.approx([0.26085, 0.47830, 0.26085], abs=1e-4)
    assert table["updated_probability"].sum() == pytest.approx(1.0)
    assert table["updated_probability"].iloc[0] == pytest.approx(table["updated_probability"].iloc[2])
    assert table["updated_probability"].iloc[1] > table["prior_probability"].iloc[1]


def test_one_month_of_a_random_walk_is_hand_computed():
    # month 1 of 36 correlates with the end by sqrt(1/36) = 1/6; at P90 the position is 1.2816
    table = follow(float(np.exp(Z90 * 0.05)))
    mean, sd = Z90 / 6, np.sqrt(1 - 1 / 36)
    expected = np.diff([0, *stats.norm.cdf((np.array(CUTS) - mean) / sd), 1])
    assert table["percentile_now"].iloc[0] == pytest.approx(0.9)
    assert table["updated_probability"].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_growth_that_lasts_says_more_than_a_random_walk():
    high = [float(np.exp(Z90 * 0.05 * t**0.9)) for t in (1, 2, 3)]
    lasting = follow(*high, h=0.9)["updated_probability"].iloc[2]
    walking = follow(*[float(np.exp(Z90 * 0.05 * t**0.5)) for t in (1, 2, 3)])["updated_probability"].iloc[2]
    assert lasting > walking > 0.26


def test_the_conditioning_agrees_with_simulated_paths():
    rng = np.random.default_rng(3)
    spread = 0.05 * np.sqrt(np.arange(1, 13))
    walks = np.cumsum(rng.normal(0, 0.05, (400_000, 12)), axis=1)
    seen = np.zeros(12, dtype=bool)
    seen[:3] = True
    observed = np.array([0.05, 0.08, 0.12])
    near = (np.abs(walks[:, :3] - observed) < 0.02).all(axis=1)
    ends = walks[near, -1] / spread[-1]
    mean, sd = condition(spread, np.r_[observed, np.zeros(9)], seen)
    assert mean == pytest.approx(ends.mean(), abs=0.05)
    assert sd == pytest.approx(ends.std(), abs=0.05)


def test_use_cases_are_weighed_with_their_planned_cost():
    demand = measured(1.0)
    demand.loc[demand["use_case_id"] == "faq", "units"] = 200.0  # twice, at two thirds of the cost
    table = follow_paths(plan(), demand, MONTHS[0])
    assert table["actual_index"].iloc[0] == pytest.approx((1 + 2 * 2) / 3)


def test_a_use_case_without_demand_counts_as_none():
    demand = measured(1.0).query("use_case_id == 'chat'")
    assert follow_paths(plan(), demand, MONTHS[0])["actual_index"].iloc[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("months", [["2026-07"], ["2030-01"]])
def test_outside_the_plan_nothing_is_said(months):
    demand = measured(1.0).assign(month=months[0])
    assert follow_paths(plan(), demand, months[0]).empty


def test_without_scenarios_or_spread_nothing_is_said():
    flat = plan().assign(units_conservative=100.0, units_aggressive=100.0)
    unknown = plan().assign(units_conservative=np.nan)
    for broken in (plan().iloc[:0], flat, unknown):
        assert follow_paths(broken, measured(1.0), MONTHS[0]).empty


@given(st.floats(0.1, 0.9))
@settings(max_examples=20)
def test_the_exponent_of_the_spread_is_found(h):
    assert growth_exponent(0.03 * np.arange(1, 37) ** h) == pytest.approx(h, abs=1e-9)


@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=6), st.floats(0.1, 0.9))
@settings(max_examples=30)
def test_probabilities_are_probabilities_and_more_demand_never_lowers_the_aggressive_path(factors, h):
    table = follow(*factors, h=h)
    assert table["updated_probability"].between(0, 1).all()
    assert table["updated_probability"].sum() == pytest.approx(1.0)


def test_lumpy_work_is_left_out_where_there_is_other():
    """Of work in lumps a month says whether a job ran: none in the month is no fall of demand."""
    demand = measured(1.0)
    demand = demand[demand["use_case_id"] != "faq"]
    alone = follow_paths(plan(), demand, MONTHS[0], ["faq"])
    assert alone["actual_index"].iloc[0] == pytest.approx(1.0) and set(alone["without"]) == {"faq"}
    both = follow_paths(plan(), demand, MONTHS[0])
    assert both["actual_index"].iloc[0] < 1.0 and set(both["without"]) == {""}
    every = follow_paths(plan(), measured(1.0), MONTHS[0], ["faq", "chat"])
    assert every["actual_index"].iloc[0] == pytest.approx(1.0) and set(every["without"]) == {""}


def test_work_on_two_accelerators_counts_once():
    """A quarter of chat's units runs on `a100` at another price: the paths are those of chat as a whole."""
    names = ["units", "units_conservative", "units_aggressive", "compute_usd"]
    whole = plan().assign(accelerator_id="h100")
    chat = whole["use_case_id"] == "chat"
    part = whole[chat].assign(accelerator_id="a100", **{name: whole.loc[chat, name] * 0.25 for name in names})
    rest = whole.assign(**{name: whole[name].where(~chat, whole[name] * 0.75) for name in names})
    both = follow_paths(pd.concat([rest, part], ignore_index=True), measured(1.1, 1.2), MONTHS[1])
    pd.testing.assert_frame_equal(both, follow(1.1, 1.2))
