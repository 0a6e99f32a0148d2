"""Cost and cash: two views of the same money."""

import numpy as np
import pytest
from bp_company import make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.case import solve_case, solve_expected
from aifactory.buyplan.ledger import PORTING, net_present_value
from aifactory.errors import IdentityError
from aifactory.finance.tco import CONTINGENCY
from aifactory.fleet.compute import BEYOND, DEPRECIATION, require_equal

HARDWARE = {
    "purchase_option": "purchase",
    "usd_per_accelerator": 10_000.0,
    "region": "*",
    "provider": "vendor",
    "lead_time_weeks": 10.0,
}


def test_net_present_value_by_hand(tiny):
    # value 8 x 3600 x 730 x 0.01 x 0.5 = 105,120; cost 4 x 5,840 = 23,360 a month, a year at zero rate
    assert net_present_value(solve_expected(tiny()).ledger, make_plan()) == pytest.approx(12 * (105_120 - 23_360))


def test_tax_and_discount_by_hand(tiny):
    plan = make_plan(values={"tax_rate": 0.25, "wacc": 0.1})
    monthly = 0.75 * (105_120 - 23_360)
    expected = sum(monthly * 1.1 ** (-t / 12) for t in range(1, 13))
    assert net_present_value(solve_expected(tiny(plan=plan)).ledger, plan) == pytest.approx(expected)


def test_purchase_is_paid_once_worn_evenly_and_resold(tiny):
    plan = make_plan(36, {"residual_decline_per_year": 0.5, "network_share_of_capex": 0.1})
    case = tiny(plan=plan, prices=make_prices(HARDWARE, drop=["reserved_1y"]))
    ledger = solve_expected(case).ledger
    bought = ledger.capex_usd.sum() / 44_000  # nodes of four at 10,000 and a tenth for the network
    assert bought == pytest.approx(round(bought))
    months = 36 - 4 + 1  # an order of today works from month 4
    resale = 40_000 * 0.5 ** (months / 12)
    assert ledger.residual_usd[-1] == pytest.approx(bought * resale)
    assert ledger.lines[DEPRECIATION][5] == pytest.approx(bought * (44_000 - resale) / months)
    assert ledger.lines[DEPRECIATION][:4].sum() == 0


def test_depreciation_lowers_tax_but_is_not_cash(tiny):
    plan = make_plan(36, {"tax_rate": 0.25, "residual_decline_per_year": 0.5})
    ledger = solve_expected(tiny(plan=plan, prices=make_prices(HARDWARE, drop=["reserved_1y"]))).ledger
    month = 20
    taxable = np.nansum(ledger.value_usd[month]) - ledger.opex_usd[month] - ledger.lines[DEPRECIATION][month]
    assert ledger.tax_usd[month] == pytest.approx(0.25 * taxable)
    assert ledger.opex_usd[month] < sum(line[month] for line in ledger.lines.values())


def test_upfront_rent_is_paid_when_the_term_starts(tiny):
    prices = make_prices()
    prices.loc[prices["purchase_option"] == "reserved_1y", "upfront_fraction"] = 1.0
    compute = solve_expected(tiny(prices=prices)).ledger.compute
    rented = 2 * 5_840  # the two half-used nodes, on demand
    np.testing.assert_allclose(compute.rent_usd[1:], [2 * 12 * 5_840 + rented, *[rented] * 11])


def test_a_prepaid_term_is_deducted_as_it_is_used(tiny):
    """Tax falls due as if the rent were paid by the month; what a term has left at the horizon is deducted in the last month."""
    prices = make_prices()
    prices.loc[prices["purchase_option"] == "reserved_1y", "upfront_fraction"] = 1.0
    plan = make_plan(values={"tax_rate": 0.25})
    assert solve_expected(tiny(plan=plan, prices=prices)).ledger.tax_usd[1:] == pytest.approx(0.25 * (105_120 - 23_360))
    plan = make_plan(20, {"tax_rate": 0.25})
    paid, spread = (solve_expected(tiny(plan=plan, prices=some)).ledger for some in (prices, make_prices()))
    assert paid.compute.lines[BEYOND].sum() > 0 and paid.opex_usd[1] > spread.opex_usd[1]
    assert paid.tax_usd == pytest.approx(spread.tax_usd)
    deducted = paid.opex_usd + paid.write_off_usd
    assert deducted.sum() == pytest.approx(paid.opex_usd.sum()) and (deducted >= 0).all()


def test_a_term_that_outlasts_the_horizon_is_charged_in_full(tiny):
    # 18 months of horizon, terms of 12: the renewal in month 13 has six months too many
    case = tiny(plan=make_plan(18), prices=make_prices(drop=[]))
    lines = solve_expected(case).ledger.compute.lines
    months_reserved = lines["Reserved, 1 year"].sum() / 5_840
    tail = lines[BEYOND].sum() / 5_840
    assert (months_reserved + tail) % 12 == pytest.approx(0)
    assert lines[BEYOND][:-1].sum() == 0


def test_porting_is_paid_at_approval_and_contingency_covers_it(tiny):
    plan = make_plan(values={"contingency_share": 0.1})
    ledger = solve_expected(tiny(plan=plan, porting={"chat": 50_000.0})).ledger
    assert ledger.lines[PORTING][0] == 50_000
    assert ledger.lines[CONTINGENCY][0] == pytest.approx(5_000)
    assert ledger.opex_usd[0] == pytest.approx(55_000)


def test_value_counts_successful_work_only(tiny):
    inputs = {"value_usd_per_unit": [np.nan, 10.0], "attribution_share": [np.nan, 0.5]}
    ledger = solve_expected(tiny(**inputs)).ledger
    assert np.isnan(ledger.value_usd[:, 0]).all()
    assert ledger.value_usd[1, 1] == pytest.approx(4 * 730 * 10 * 0.5)


def test_without_any_value_there_is_no_return(tiny):
    case = tiny(value_usd_per_unit=[np.nan, np.nan])
    assert np.isnan(net_present_value(solve_expected(case).ledger, case.plan))


@settings(max_examples=15)
@given(
    st.floats(0.0, 0.3),
    st.floats(0.0, 1.0),
    st.floats(-0.1, 0.15),
    st.integers(12, 40),
    st.floats(0.5, 5.0),
)
def test_cost_and_cash_agree_for_any_terms(wacc, upfront, growth, months, reserved):
    from bp_company import make_case

    plan = make_plan(months, {"wacc": wacc, "residual_decline_per_year": 0.3, "contingency_share": 0.05})
    prices = make_prices(HARDWARE)
    at = prices["purchase_option"] == "reserved_1y"
    prices.loc[at, ["upfront_fraction", "usd_per_accelerator_hour"]] = [upfront, reserved]
    case = make_case(plan=plan, prices=prices, growth={"expected": growth})
    for solution in solve_case(case).scenarios:
        ledger = solution.ledger
        spent = (ledger.capex_usd + ledger.opex_usd - ledger.residual_usd).sum()
        assert spent == pytest.approx(sum(line.sum() for line in ledger.lines.values()), rel=1e-9)


@settings(max_examples=15)
@given(st.floats(0.5, 6.0), st.floats(0.0, 3.0), st.sampled_from(["on_demand", "reserved_1y", "purchase"]))
def test_a_higher_price_never_lowers_the_cost(price, more, option):
    from bp_company import make_case

    def cost(usd):
        prices = make_prices(HARDWARE)
        column = "usd_per_accelerator" if option == "purchase" else "usd_per_accelerator_hour"
        prices.loc[prices["purchase_option"] == option, column] = usd * (3_000 if option == "purchase" else 1)
        case = make_case(plan=make_plan(24), prices=prices, growth={"expected": 0.03})
        return solve_expected(case).ledger.compute.present_value(0.0)

    assert cost(price + more) >= cost(price) - 0.01


def test_different_sums_are_a_defect():
    require_equal("same", 1e9, 1e9 + 0.5)
    with pytest.raises(IdentityError, match=r"parts: 1\.00 is not 2\.00"):
        require_equal("parts", 1.0, 2.0)
    with pytest.raises(IdentityError):
        require_equal("nothing known", float("nan"), 1.0)
