"""Beside each order stands what is doubtful of its price."""

import pandas as pd

from aifactory.report.buy_plan_orders import price_doubts


def test_old_prices_and_those_of_another_region_are_marked():
    options = pd.DataFrame(
        [
            ("a", "eu", "purchase", 180, True),
            ("a", "eu", "lease", 91, True),
            ("a", "us", "reserved_1y", 10, False),
            ("b", "us", "lease", 91, False),
            ("b", "us", "spot", 900, True),  # no limit is stated
        ],
        columns=["accelerator_id", "region", "purchase_option", "age_days", "exact_region"],
    )
    assert price_doubts(options, {"purchase": 180, "lease": 90, "reserved_1y": 150}) == {
        ("a", "eu", "lease"): ", past its limit",
        ("a", "us", "reserved_1y"): ", not of the region",
        ("b", "us", "lease"): ", past its limit, not of the region",
    }
    assert price_doubts(options.iloc[:0], {}) == {}
