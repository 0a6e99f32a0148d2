"""Months that stand out from those beside them: named before the plan takes them for a level or a trend."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.demand.events import DEPARTS, past_departures, present_departures
from aifactory.inputs.plan import Launch

PERIOD = "2026-10"


def monthly(levels, name="chat", last=PERIOD):
    """A month of so many units a day each, the last being the period."""
    months = pd.period_range(end=last, periods=len(levels), freq="M")
    units = np.asarray(levels, dtype=float) * months.days_in_month
    return pd.DataFrame({"month": months.astype(str), "use_case_id": name, "units": units})


def stating(plan, *months, multiple=0.1):
    launches = [Launch(use_case_id="chat", month=m, demand_multiplier=multiple, milestone="break") for m in months]
    return plan.model_copy(update={"launches": launches})


@pytest.fixture
def plan(mini_ws):
    return mini_ws.plan.model_copy(update={"launches": []})


@pytest.mark.parametrize(
    ("levels", "past", "present"),
    [
        (np.full(24, 100.0), [], []),
        (100 * 1.15 ** np.arange(24), [], []),  # growth is no departure
        (np.repeat([100.0, 300.0], 12), [], []),  # nor is a step that lasts
        ([100.0] * 21 + [300.0] * 3, [], []),
        ([100.0] * 23 + [300.0], [], ["chat stands at 3 times the months before 2026-10, beyond"]),
        ([100.0] * 21 + [12.0, 12.0, 100.0], ["2026-08 stood at 0.12 times and 2026-09 stood at 0.12 times"], []),
        ([100.0] * 22 + [12.0, 100.0], ["2026-09 stood at 0.12 times"], []),  # back to the usual
        ([100.0] * 11 + [12.0] + [100.0] * 12, [], []),  # as long ago as the period, which does not depart again
        ([100.0] * 11 + [12.0] + [100.0] * 11 + [12.0], [], ["0.12 times the months before 2026-10, as 2025-10 at 0.12 times"]),
        ([1.0] * 23 + [0.1], [], []),  # so few units depart by chance
        ([100.0] * 4 + [12.0], [], []),  # too short to tell
    ],
)  # fmt: skip
def test_what_stands_out_by_hand(plan, levels, past, present):
    for find, expected in ((past_departures, past), (present_departures, present)):
        found = find(plan, monthly(levels), PERIOD)
        assert len(found) == len(expected)
        assert all(words in text for words, text in zip(expected, found, strict=True))


def test_what_launches_state_is_not_named(plan):
    told = monthly([100.0] * 11 + [10.0] + [100.0] * 11 + [10.0])
    assert present_departures(plan, told, PERIOD)
    assert not present_departures(stating(plan, "2025-10", "2026-10"), told, PERIOD)
    assert not present_departures(stating(plan, "2027-10"), told, PERIOD)  # `unstated_peaks` speaks of its past
    earlier = monthly([100.0] * 18 + [10.0] + [100.0] * 5)
    assert past_departures(plan, earlier, PERIOD) and not past_departures(stating(plan, "2026-05"), earlier, PERIOD)


def test_a_proven_season_stands_out_from_nothing(plan):
    told = monthly([100.0] * 11 + [10.0] + [100.0] * 11 + [10.0])
    season = np.ones(12)
    season[9] = 0.1
    assert not present_departures(plan, told, PERIOD, {"chat": season})
    assert present_departures(plan, told, PERIOD, {"shop": season})


def test_later_months_are_not_known_yet(plan):
    late = monthly([100.0] * 20 + [300.0] * 4, last="2027-02")
    assert not present_departures(plan, late, PERIOD) and not past_departures(plan, late, PERIOD)


@settings(max_examples=40, deadline=None)
@given(
    growth=st.floats(-0.1, 0.15),
    ratio=st.one_of(st.floats(0.05, 0.9 / DEPARTS), st.floats(1.1 * DEPARTS, 9)),
    at=st.integers(13, 22),
    scale=st.floats(1e3, 1e9),
)
def test_one_month_out_of_a_straight_trend_is_found_and_no_other(mini_ws, growth, ratio, at, scale):
    """Whatever the trend and the unit; a month in the year before is of the past, the newest of the present."""
    free = mini_ws.plan.model_copy(update={"launches": []})
    levels = scale * (1 + growth) ** np.arange(24)
    for place, find, other in ((at, past_departures, present_departures), (23, present_departures, past_departures)):
        mine = levels.copy()
        mine[place] *= ratio
        (text,) = find(free, monthly(mine), PERIOD)
        assert str(pd.Period(PERIOD, "M") - 23 + place) in text
        told = float(re.search(r"at ([0-9.]+) times", text)[1])
        assert told == pytest.approx(ratio, rel=0.06)  # two digits
        assert not other(free, monthly(mine), PERIOD)
