"""Booking and tax: leases by hand, balances that end at zero, write-offs that move tax and never cost."""

import numpy as np
import pytest
from bp_company import make_plan, make_prices

from aifactory.buyplan.booking import BASE_LEASED, OURS, leases_frame, tax_regimes_frame
from aifactory.buyplan.case import justified, solve_case
from aifactory.buyplan.ledger import net_present_value, under_regime
from aifactory.finance.cashflow import npv
from aifactory.finance.tco import price_index
from aifactory.units import monthly_rate

VALUES = {"wacc": 0.1, "tax_rate": 0.25, "residual_decline_per_year": 0.3}
LEASE = {"purchase_option": "lease", "usd_per_accelerator_hour": 1.0, "term_months": 12, "region": "*", "provider": "lessor"}  # fmt: skip
BOUGHT = {"purchase_option": "purchase", "usd_per_accelerator": 10_000.0, "region": "*", "provider": "vendor"}


def solved(tiny, months=12, *prices, **fields):
    case = tiny(plan=make_plan(months, VALUES, **fields), prices=make_prices(*prices))
    return case, solve_case(case)


def test_a_year_of_lease_by_hand(tiny):
    """Four nodes of four accelerators leased for the 12 months of the horizon, paid at the start of each month."""
    case, answer = solved(tiny, 12, LEASE)
    frame = leases_frame(case, answer, justified(answer.expected))
    ours = frame[frame["way_to_pay"] == OURS]
    held = (answer.expected.orders.signed == 1).sum()
    assert held > 0
    rent = held * 4 * 730.0
    assert ours["cash_usd"].sum() == pytest.approx(12 * rent)
    assert ours["operating_expense_usd"].sum() == pytest.approx(12 * rent)
    assert ours["finance_expense_usd"].sum() == pytest.approx(12 * rent)
    assert ours["liability_usd"].iloc[-1] == pytest.approx(0, abs=1e-6)
    assert ours["asset_usd"].iloc[-1] == pytest.approx(0, abs=1e-6)


def test_halfway_the_liability_is_what_is_left_to_pay(tiny):
    case, answer = solved(tiny, 24, LEASE | {"term_months": 36, "usd_per_accelerator_hour": 0.5})
    frame = leases_frame(case, answer, justified(answer.expected))
    ours = frame[frame["way_to_pay"] == OURS].set_index("year")
    held = (answer.expected.orders.signed == 1).sum()
    rent, rate = held * 4 * 730.0 * 0.5, monthly_rate(case.plan.value("borrowing_rate"))
    left = float(npv(np.full(24, rent), rate))  # 24 payments to come, the next one now
    assert ours.loc[1, "liability_usd"] == pytest.approx(left, rel=1e-9)
    assert ours.loc[1, "finance_expense_usd"] > ours.loc[1, "operating_expense_usd"]


def test_the_liability_is_highest_when_the_lease_begins(tiny):
    case, answer = solved(tiny, 24, LEASE | {"term_months": 36, "usd_per_accelerator_hour": 0.5})
    ours = leases_frame(case, answer, justified(answer.expected)).query("way_to_pay == @OURS").set_index("year")
    held = (answer.expected.orders.signed == 1).sum()
    rent, rate = held * 4 * 730.0 * 0.5, monthly_rate(case.plan.value("borrowing_rate"))
    begun = float(npv(np.full(35, rent), rate))  # end of the first month: 35 payments to come, the next one now
    assert ours.loc[1, "liability_most_usd"] == pytest.approx(begun, rel=1e-9)
    assert ours.loc[2, "liability_most_usd"] == pytest.approx(float(npv(np.full(23, rent), rate)), rel=1e-9)


def test_what_is_not_leased_is_shown_as_if_it_were(tiny):
    case, answer = solved(tiny, 12, LEASE | {"usd_per_accelerator_hour": 2.5})
    frame = leases_frame(case, answer, justified(answer.expected))
    assert set(frame["way_to_pay"]) == {BASE_LEASED}
    case, answer = solved(tiny)
    assert leases_frame(case, answer, justified(answer.expected)).empty


def test_write_offs_move_tax_in_time_only(tiny):
    case, answer = solved(tiny, 36, BOUGHT)
    assert answer.expected.ledger.capex_usd.sum() > 0
    frame = tax_regimes_frame(case, answer).set_index("regime")
    assert frame.loc["straight_line", "npv_usd"] == pytest.approx(net_present_value(answer.expected.ledger, case.plan))
    assert frame.loc["straight_line", "above_stated_usd"] == 0
    assert frame["tax_usd"].to_numpy() == pytest.approx(frame["tax_usd"].iloc[0])  # a profit in every year
    assert frame.loc["bonus_100", "npv_usd"] > frame.loc["straight_line", "npv_usd"]


def test_the_plan_states_its_own_way_to_write_off(tiny):
    case, answer = solved(tiny, 36, BOUGHT, tax_depreciation="bonus_100")
    ledger = answer.expected.ledger
    same = under_regime(ledger, "bonus_100", case.streams.months[0], case.plan)
    assert ledger.tax_usd.tolist() == same.tax_usd.tolist()
    assert ledger.write_off_usd.sum() == pytest.approx(ledger.capex_usd.sum() - ledger.residual_usd.sum())


def test_losses_of_the_first_year_lower_the_tax_of_the_next(tiny):
    plan = make_plan(24, VALUES | {"loss_offset_share": 0.8}, fiscal_year_start_month=11)
    lost = plan.model_copy(
        update={
            "assumptions": plan.assumptions
            | {"loss_offset_share": plan.assumptions["loss_offset_share"].model_copy(update={"value": 0.0})}
        }
    )
    porting = {"chat": 2_000_000.0}
    taxes = [solve_case(tiny(plan=each, porting=porting)).expected.ledger for each in (plan, lost)]
    assert taxes[0].tax_usd.sum() < taxes[1].tax_usd.sum()
    assert net_present_value(taxes[0], plan) > net_present_value(taxes[1], plan)


def test_pay_and_cost_centres_rise_and_shares_of_compute_do_not(tiny):
    hidden = [
        {"name": "Labour", "usd_per_month": 100.0, "driver": "d", "owner_role": "o", "source": "s", "as_of": "2026-10-01"},
        {"name": "Share", "share_of_compute": 0.1, "driver": "d", "owner_role": "o", "source": "s", "as_of": "2026-10-01"},
    ]  # fmt: skip
    plan = make_plan(12, {"cost_inflation": 0.03, "operator_usd_per_month": 1000.0}, hidden_costs=hidden)
    ledger = solve_case(tiny(plan=plan)).expected.ledger
    index = price_index(13, plan)
    assert index[12] == pytest.approx(1.03)
    assert ledger.lines["Labour"][1:] == pytest.approx(100.0 * index[1:])
    assert ledger.lines["Human operations"][12] / ledger.lines["Human operations"][1] == pytest.approx(
        index[12] / index[1]
    )
    assert ledger.lines["Share"][12] == pytest.approx(ledger.lines["Share"][1])
