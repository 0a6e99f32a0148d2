"""All-in hourly cost of each way to pay, worked by hand."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.options import (
    COMMITTED_OPTIONS,
    break_even_utilization,
    capex_usd,
    connected_kw,
    effective_prices,
    owned_usd_per_hour,
    rated_kw,
    rented_usd_per_hour,
    running_usd_per_month,
    spot_usd_per_hour,
)


def test_running_cost_by_hand(tiny_plan):
    # 1 kW x 1.5 x 730 h x 0.10 = 109.50; 1 kW x 200 = 200; 30,000 x 6 % / 12 = 150
    energy, space, support = running_usd_per_month(30_000.0, 1_000.0, 0.10, tiny_plan())
    assert (float(energy), float(space), float(support)) == pytest.approx((109.5, 200.0, 150.0))


def test_a_server_draws_more_than_its_accelerators(tiny_plan):
    """DGX H100: 10.2 kW of which 8 x 0.7 kW are accelerators; the site provides PUE times as much, space is let by the former."""
    plan = tiny_plan(server_power_factor=10.2 / 5.6)
    assert 8 * rated_kw(700.0, plan) == pytest.approx(10.2)
    assert 8 * connected_kw(700.0, plan) == pytest.approx(10.2 * 1.5)
    assert running_usd_per_month(30_000.0, 700.0, 0.10, plan)[1] == pytest.approx(10.2 / 8 * 200)
    assert running_usd_per_month(30_000.0, 700.0, 0.10, plan)[0] == pytest.approx(0.7 * 1.5 * 730 * 0.10)
    assert rated_kw(60.0, plan, True) == connected_kw(60.0, plan, True) == pytest.approx(0.06)


def test_owned_hour_by_hand(tiny_plan):
    # no cost of capital, no resale: 33,000 / 36 = 916.67 a month; with 459.50 running: 1,376.17 / 730
    plan = tiny_plan(residual_decline_per_year=1.0)
    assert float(capex_usd(30_000.0, plan)) == pytest.approx(33_000.0)
    assert float(owned_usd_per_hour(30_000.0, 459.5, plan)) == pytest.approx(1_376.1667 / 730, rel=1e-6)


def test_kit_that_keeps_its_value_costs_only_the_network_share(tiny_plan):
    # resale 30,000 of 33,000 after 36 months: 3,000 / 36 = 83.33 a month
    assert float(owned_usd_per_hour(30_000.0, 0.0, tiny_plan())) == pytest.approx(83.3333 / 730, rel=1e-5)


def test_a_device_in_the_field_takes_no_part_of_a_data_centre(tiny_plan):
    # 1 kW x 1 x 730 h x 0.10 = 73.00, no rack, the same support; beside it one of a data centre
    energy, space, support = running_usd_per_month(30_000.0, 1_000.0, 0.10, tiny_plan(), [True, False])
    assert energy.tolist() == pytest.approx([73.0, 109.5])
    assert space.tolist() == [0.0, 200.0]
    assert float(support) == pytest.approx(150.0)
    assert capex_usd(30_000.0, tiny_plan(), [True, False]).tolist() == pytest.approx([30_000.0, 33_000.0])


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.05), (0.05, 0.10), (0.10, 0.30)])
def test_owned_hour_rises_with_the_cost_of_capital(tiny_plan, low, high):
    cheap, dear = (float(owned_usd_per_hour(30_000.0, 0.0, tiny_plan(wacc=rate))) for rate in (low, high))
    assert cheap < dear


def test_paying_upfront_costs_the_capital_tied_up():
    assert float(rented_usd_per_hour(2.0, 0.0, 36, 0.2)) == 2.0
    assert float(rented_usd_per_hour(2.0, 1.0, 36, 0.0)) == pytest.approx(2.0)
    half, full = (float(rented_usd_per_hour(2.0, share, 36, 0.1)) for share in (0.5, 1.0))
    assert 2.0 < half < full
    assert half == pytest.approx((2.0 + full) / 2)


def test_spot_pays_for_lost_work():
    assert float(spot_usd_per_hour(3.0, 0.25)) == pytest.approx(4.0)
    with pytest.raises(ValueError, match="interruption share"):
        spot_usd_per_hour(3.0, 1.0)


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_at_the_break_even_both_ways_cost_the_same(committed, on_demand):
    share = float(break_even_utilization(committed, on_demand))
    assert share * on_demand == pytest.approx(committed)


@pytest.fixture
def priced(price_rows, tiny_plan):
    cell = {"accelerator_id": "a", "region": "eu", "provider": "cloud"}
    rows = price_rows(
        [
            cell | {"purchase_option": "on_demand", "usd_per_accelerator_hour": 4.0},
            cell | {"purchase_option": "reserved_1y", "usd_per_accelerator_hour": 3.0, "term_months": 12},
            cell | {"purchase_option": "spot", "usd_per_accelerator_hour": 1.8},
            cell | {"purchase_option": "lease", "usd_per_accelerator_hour": 1.0, "term_months": 36},
            cell | {"purchase_option": "purchase", "usd_per_accelerator": 30_000.0},
            cell | {"accelerator_id": "b", "purchase_option": "purchase", "usd_per_accelerator": 500.0},
            cell | {"accelerator_id": "e", "purchase_option": "purchase", "usd_per_accelerator": 30_000.0},
        ]
    )
    plan = tiny_plan(residual_decline_per_year=1.0)
    plan.regions = [SimpleNamespace(region="eu", usd_per_kwh=0.10)]
    classes = {"a": "gpu", "b": "gpu", "e": "edge"}
    accelerators = pd.DataFrame(
        {"accelerator_id": list(classes), "tdp_w": [1_000.0, np.nan, 1_000.0], "platform_class": list(classes.values())}
    )
    return effective_prices(rows, accelerators, plan).set_index(["accelerator_id", "purchase_option"])


def test_effective_prices_by_hand(priced):
    hourly = priced["usd_per_accelerator_hour_effective"]
    assert hourly["a", "on_demand"] == 4.0
    assert hourly["a", "reserved_1y"] == 3.0
    assert hourly["a", "spot"] == pytest.approx(2.0)  # 1.8 / 0.9
    assert hourly["a", "lease"] == pytest.approx(1.0 + 309.5 / 730)  # power and space, support is the lessor's
    assert hourly["a", "purchase"] == pytest.approx(1_376.1667 / 730, rel=1e-6)
    # in the field: (30,000 / 36 + 73 + 150) / 730
    assert hourly["e", "purchase"] == pytest.approx((30_000 / 36 + 223.0) / 730, rel=1e-6)


def test_break_even_only_for_commitments_with_an_on_demand_price(priced):
    share = priced["break_even_utilization"]
    assert share["a", "reserved_1y"] == pytest.approx(0.75)
    assert share["a", "purchase"] == pytest.approx(1_376.1667 / 730 / 4, rel=1e-6)
    assert np.isnan(share["a", "on_demand"])
    assert np.isnan(share["a", "spot"])
    assert np.isnan(share["b", "purchase"])
    assert set(priced.index.get_level_values(1)[share.notna()]) <= set(COMMITTED_OPTIONS)


def test_unknown_power_costs_no_energy_but_support_stays(priced):
    row = priced.loc[("b", "purchase")]
    assert (row["energy_usd_month"], row["space_usd_month"]) == (0.0, 0.0)
    assert row["support_usd_month"] == pytest.approx(500 * 0.06 / 12)


def test_rented_hours_carry_no_site_cost(priced):
    parts = priced[["energy_usd_month", "space_usd_month", "support_usd_month", "capex_usd"]]
    assert (parts.loc[[("a", "on_demand"), ("a", "spot"), ("a", "reserved_1y")]] == 0).all().all()
