"""Cost centres beside the accelerators."""

from types import SimpleNamespace

import numpy as np
import pytest

from aifactory.finance.tco import (
    CONTINGENCY,
    OVERHEADS,
    PEOPLE,
    around_usd_per_hour,
    hidden_lines,
    overhead_lines,
    with_contingency,
)
from aifactory.units import HOURS_PER_MONTH


def test_overheads_by_hand(tiny_plan):
    lines = overhead_lines(10_000.0, 16.0, 2e9, tiny_plan())
    assert {name: float(value) for name, value in lines.items()} == pytest.approx(
        {
            "Storage": 16 * 1_000 * 0.02,
            "Network egress": 2e9 * 5 / 1e9 * 0.09,
            "Orchestration": 400.0,
            "Human operations": 16 / 128 * 16_000,
            "Safety checks": 500.0,
        }
    )


def test_what_goes_with_an_hour_is_people_and_storage(tiny_plan):
    """16,000 / 128 for people and 1,000 GB at 0.02 a month of 730 hours; pay at twice its level doubles the people alone."""
    assert float(around_usd_per_hour(tiny_plan(), False)) == pytest.approx((125.0 + 20.0) / 730)
    assert around_usd_per_hour(tiny_plan(), False, np.array([1.0, 2.0])) * 730 == pytest.approx([145.0, 270.0])
    lines = overhead_lines(0.0, 7.0, 0.0, tiny_plan())
    assert float(lines["Storage"] + lines[PEOPLE]) == pytest.approx(
        7 * HOURS_PER_MONTH * float(around_usd_per_hour(tiny_plan(), False))
    )


def test_devices_in_the_field_take_people_of_their_own_and_no_storage(tiny_plan):
    """16 accelerators of a data centre and 500 devices, of which one operator looks after 1,000."""
    lines = overhead_lines(0.0, 16.0, 0.0, tiny_plan(), 500.0)
    assert float(lines[PEOPLE]) == pytest.approx(16 / 128 * 16_000 + 500 / 1_000 * 16_000)
    assert float(lines["Storage"]) == pytest.approx(16 * 20.0)
    hourly = around_usd_per_hour(tiny_plan(), [False, True])
    assert (hourly * 730).tolist() == pytest.approx([145.0, 16.0])
    by_month = around_usd_per_hour(tiny_plan(), [False, True], np.array([[1.0], [2.0]])) * 730
    assert by_month.tolist() == [pytest.approx([145.0, 16.0]), pytest.approx([270.0, 32.0])]


def test_overheads_of_nothing_are_nothing(tiny_plan):
    assert all(float(value) == 0 for value in overhead_lines(0.0, 0.0, 0.0, tiny_plan()).values())


def test_overheads_follow_the_months(tiny_plan):
    lines = overhead_lines(np.array([1.0, 2.0]), np.array([1.0, 2.0]), np.array([1.0, 2.0]), tiny_plan())
    for name in OVERHEADS:
        assert lines[name][1] == pytest.approx(2 * lines[name][0])


def test_hidden_cost_centres(tiny_plan):
    plan = tiny_plan()
    plan.hidden_costs = [
        SimpleNamespace(name="Evaluation labour", usd_per_month=5_000.0, share_of_compute=0.0),
        SimpleNamespace(name="Compliance", usd_per_month=0.0, share_of_compute=0.02),
    ]
    lines = hidden_lines(np.array([0.0, 10_000.0]), plan)
    np.testing.assert_allclose(lines["Evaluation labour"], [5_000, 5_000])
    np.testing.assert_allclose(lines["Compliance"], [0, 200])


def test_contingency_is_a_share_of_all_other_lines(tiny_plan):
    lines = with_contingency({"a": np.array([60.0]), "b": np.array([40.0])}, tiny_plan())
    assert list(lines) == ["a", "b", CONTINGENCY]
    assert lines[CONTINGENCY][0] == pytest.approx(10.0)
