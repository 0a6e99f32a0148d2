"""Costs, total cost, cash flow, return and approved figures."""

import numpy as np
import pandas as pd
import pytest
import pyxirr
from bp_company import PERIOD, make_plan, make_prices

from aifactory.buyplan.case import solve_case
from aifactory.buyplan.statements import (
    approved_plan_frame,
    cash_flow_frame,
    check_statements,
    costs_frame,
    roi_frame,
    tco_frame,
    use_frame,
)
from aifactory.errors import IdentityError
from aifactory.inputs.contracts import load_contract
from aifactory.review.monthly import USE_CASE_BAND
from aifactory.units import SCENARIOS

HARDWARE = {"purchase_option": "purchase", "usd_per_accelerator": 10_000.0, "region": "*", "provider": "vendor"}
GROWTH = {"conservative": -0.02, "expected": 0.03, "aggressive": 0.08}
VALUES = {
    "wacc": 0.1,
    "tax_rate": 0.25,
    "residual_decline_per_year": 0.3,
    "contingency_share": 0.05,
    "orchestration_share": 0.03,
}


@pytest.fixture
def grown(tiny):
    case = tiny(plan=make_plan(24, VALUES), prices=make_prices(HARDWARE), growth=GROWTH, porting={"chat": 40_000.0})
    return case, solve_case(case)


def test_return_by_hand(tiny):
    case = tiny(porting={"chat": 100_000.0})
    roi = roi_frame(case, solve_case(case)).set_index("scenario").loc["expected"]
    # -100,000 at approval, then 105,120 - 23,360 = 81,760 a month
    assert roi["npv_usd"] == pytest.approx(12 * 81_760 - 100_000)
    assert roi["payback_month"] == pytest.approx(100_000 / 81_760)
    assert roi["tco_usd"] == pytest.approx(12 * 23_360 + 100_000)
    assert roi["value_usd"] == pytest.approx(12 * 105_120)
    assert roi["roi_ratio"] == pytest.approx((12 * 105_120 - 380_320) / 380_320)
    monthly = pyxirr.irr([-100_000, *[81_760] * 12])
    assert roi["irr_annual"] == pytest.approx((1 + monthly) ** 12 - 1, rel=1e-6)
    assert roi["irr_status"] == "unique"


def test_no_outlay_no_rate(tiny):
    case = tiny()
    roi = roi_frame(case, solve_case(case)).set_index("scenario").loc["expected"]
    assert roi["irr_status"] == "none"
    assert np.isnan(roi["irr_annual"])
    assert np.isnan(roi["payback_month"])
    assert roi["payback_status"] == roi["discounted_payback_status"] == "nothing to pay back"


def test_without_value_only_cost_is_reported(tiny):
    case = tiny(value_usd_per_unit=[np.nan, np.nan])
    roi = roi_frame(case, solve_case(case)).set_index("scenario").loc["expected"]
    assert roi["irr_status"] == "not computed"
    assert roi[["npv_usd", "value_usd", "roi_ratio", "payback_month"]].isna().all()
    assert roi["tco_usd"] == pytest.approx(12 * 23_360)


def test_scenarios_are_ordered_by_demand(grown):
    roi = roi_frame(*grown).set_index("scenario")
    assert list(roi.index) == list(SCENARIOS)
    assert roi["tco_usd"].is_monotonic_increasing
    assert roi["value_usd"].is_monotonic_increasing


def test_cash_flow_columns_net_to_the_total(grown):
    cash = cash_flow_frame(*grown)
    net = cash["value_usd"] - cash["capex_usd"] - cash["opex_usd"] - cash["tax_usd"] + cash["residual_usd"]
    np.testing.assert_allclose(net, cash["net_usd"])
    for _, rows in cash.groupby("scenario"):
        assert rows["month_index"].tolist() == list(range(25))
        assert rows["cumulative_usd"].iloc[-1] == pytest.approx(rows["net_usd"].sum())


def test_npv_is_that_of_the_cash_flow(grown):
    case, answer = grown
    roi, cash = roi_frame(case, answer).set_index("scenario"), cash_flow_frame(case, answer)
    for scenario, rows in cash.groupby("scenario"):
        flows = rows.sort_values("month_index")["net_usd"].tolist()
        assert roi.loc[scenario, "npv_usd"] == pytest.approx(pyxirr.npv(1.1 ** (1 / 12) - 1, flows))


def test_costs_and_cash_are_the_same_money(grown):
    case, answer = grown
    costs, cash = costs_frame(case, answer), cash_flow_frame(case, answer)
    check_statements(cash, costs)
    with pytest.raises(IdentityError, match="cash and cost"):
        check_statements(cash.assign(opex_usd=cash["opex_usd"] + 1), costs)


def test_total_cost_lines_have_groups_and_shares(grown):
    case, answer = grown
    tco = tco_frame(costs_frame(case, answer))
    roi = roi_frame(case, answer).set_index("scenario")
    for scenario, rows in tco.groupby("scenario"):
        assert rows["share"].sum() == pytest.approx(1.0)
        assert rows["usd_horizon"].sum() == pytest.approx(roi.loc[scenario, "tco_usd"])
    assert set(tco["group"]) == {"compute", "around compute", "hidden cost centres", "once", "contingency"}


def test_capacity_use_adds_up_to_paid_hours_and_compute_cost(grown):
    case, answer = grown
    use, roi = use_frame(case, answer), roi_frame(case, answer).set_index("scenario")
    hours = use.groupby("scenario")[["useful_hours", "failed_hours", "idle_hours"]].sum().sum(axis=1)
    money = use.groupby("scenario")[["useful_usd", "failed_usd", "idle_usd"]].sum().sum(axis=1)
    for scenario in SCENARIOS:
        assert hours[scenario] == pytest.approx(roi.loc[scenario, "accelerator_hours_paid"])
        assert money[scenario] == pytest.approx(roi.loc[scenario, "compute_usd"])


def test_approved_plan_has_the_columns_of_its_contract_and_keeps_the_cost(grown):
    case, answer = grown
    frame = approved_plan_frame(case, answer, PERIOD)
    contract = list(load_contract("approved_plan").columns)
    assert list(frame.columns) == [name for name in contract if name not in USE_CASE_BAND.values()]
    assert not frame.duplicated(["plan_period", "month", "use_case_id", "region", "accelerator_id"]).any()
    assert frame["cost_usd"].sum() == pytest.approx(roi_frame(case, answer)["tco_usd"].iloc[1])
    assert ((frame["units_p10"] <= frame["units"]) & (frame["units"] <= frame["units_p90"])).all()
    assert (frame["accelerator_hours"] >= 0).all()


def test_approved_units_are_those_of_the_expected_scenario(grown):
    case, answer = grown
    frame = approved_plan_frame(case, answer, PERIOD)
    chat = frame[frame["use_case_id"] == "chat"].set_index("month")["units"]
    assert chat["2026-11"] == pytest.approx(8 * 3600 * 730 * 1.03)
    assert chat["2027-10"] == pytest.approx(8 * 3600 * 730 * 1.03**12)


def test_approved_cash_is_the_cash_of_the_plan(tiny):
    """What is bought is paid in its month of order; over the horizon cash and cost are the same money."""
    sold = {"purchase_option": "purchase", "usd_per_accelerator": 10_000.0, "region": "*", "lead_time_weeks": 4.0}
    case = tiny(plan=make_plan(24), prices=make_prices(sold))
    answer = solve_case(case)
    money, frame = answer.expected.ledger.compute, approved_plan_frame(case, answer, PERIOD)
    by_month = frame.groupby("month")[["compute_cash_usd", "outlay_usd"]].sum().to_numpy()
    cash, outlay = money.cash_usd, money.capex_usd - money.residual_usd
    assert by_month[:, 0] == pytest.approx(np.r_[cash[0] + cash[1], cash[2:]])
    assert by_month[:, 1] == pytest.approx(np.r_[outlay[0] + outlay[1], outlay[2:]])
    assert outlay.max() > 0 > outlay[-1]
    rented = frame.groupby("month")["hourly_usd"].sum().to_numpy()
    assert rented == pytest.approx(money.lines["On demand"].sum(axis=1)[1:]) and rented[0] > 0
    assert (frame["hourly_usd"] <= frame["compute_cash_usd"] - frame["outlay_usd"] + 1e-6).all()
    assert frame["compute_cash_usd"].sum() == pytest.approx(frame["compute_usd"].sum())


def test_one_month_of_demand_is_the_smallest_plan(tiny):
    case = tiny()
    frame = costs_frame(case, solve_case(case))
    one = frame[(frame["scenario"] == "expected") & (frame["month"] == "2026-11")]
    assert one["usd"].sum() == pytest.approx(23_360)
    assert isinstance(one, pd.DataFrame)


def test_no_demand_costs_nothing_but_hidden_work(tiny):
    case = tiny(chat=0.0, train=0.0)
    roi = roi_frame(case, solve_case(case)).set_index("scenario").loc["expected"]
    assert roi["tco_usd"] == 0
    assert roi["served_share"] == 1.0
