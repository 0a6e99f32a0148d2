"""Random plans: every cost is counted once, whoever looks at it."""

import numpy as np
import pytest
from bp_company import make_case, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.attribution import attribute_hours, cost_by_stream, unit_cost_frame
from aifactory.buyplan.case import solve_case
from aifactory.buyplan.ledger import net_present_value
from aifactory.fleet.streams import EXPECTED

SHARES = st.floats(0, 0.2)
BOUGHT = {"purchase_option": "purchase", "region": "*", "provider": "vendor", "usd_per_accelerator": 20_000.0}
LEASED = {"purchase_option": "lease", "region": "*", "provider": "lessor", "usd_per_accelerator_hour": 1.8, "term_months": 24}  # fmt: skip


@settings(max_examples=10)
@given(
    orchestration=SHARES, contingency=SHARES, inflation=SHARES, tax=SHARES, growth=st.floats(-0.05, 0.08),
    price=st.floats(5_000, 60_000), regime=st.sampled_from(["straight_line", "macrs_5", "bonus_100"]),
)  # fmt: skip
def test_parts_hours_and_unit_costs_add_up(orchestration, contingency, inflation, tax, growth, price, regime):
    values = {
        "wacc": 0.1, "orchestration_share": orchestration, "contingency_share": contingency, "tax_rate": tax,
        "cost_inflation": inflation, "operator_usd_per_month": 9_000.0, "residual_decline_per_year": 0.3,
    }  # fmt: skip
    case = make_case(
        plan=make_plan(18, values, tax_depreciation=regime),
        prices=make_prices(BOUGHT | {"usd_per_accelerator": price}, LEASED),
        growth={"expected": growth},
    )
    answer = solve_case(case)
    solution, ledger = answer.expected, answer.expected.ledger
    total = sum(line.sum() for line in ledger.lines.values())
    cash = ledger.capex_usd.sum() + ledger.opex_usd.sum() - ledger.residual_usd.sum()
    assert total == pytest.approx(cash)
    shares = attribute_hours(case, solution, case.streams.units[EXPECTED])
    assert shares.paid.sum() == pytest.approx(ledger.compute.paid_hours.sum())
    assert (shares.idle >= -1e-6).all()  # idle is inside the hours paid, never beside them
    by_stream = cost_by_stream(case, solution, shares)
    assert sum(part.sum() for part in by_stream.values()) == pytest.approx(total)
    unit = unit_cost_frame(case, answer.today)["usd_month"].sum() * case.plan.horizon_months
    assert unit == pytest.approx(sum(line.sum() for line in answer.today.ledger.lines.values()))
    assert ledger.write_off_usd.sum() == pytest.approx(ledger.capex_usd.sum() - ledger.residual_usd.sum())
    assert net_present_value(ledger, case.plan) <= np.nansum(ledger.value_usd) * 1.0 + 1e-6
