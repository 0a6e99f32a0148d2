"""Return model of a plan: its base case is the ledger; draws, drivers and knowledge keep their bounds."""

import numpy as np
import pandas as pd
import pytest
from bp_company import make_plan, make_prices

from aifactory.buyplan.case import solve_case
from aifactory.buyplan.ledger import net_present_value
from aifactory.buyplan.returns import HOSTED, ON_DEMAND, OURS, draw_returns, quick_returns, returns_basis
from aifactory.finance.roi import base_case, evaluate

VALUES = {"wacc": 0.1, "tax_rate": 0.25, "contingency_share": 0.05}
BOUGHT = {
    "purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
}  # fmt: skip
API = pd.DataFrame({"use_case_id": ["chat"], "api_usd_per_unit": [0.002]})


@pytest.fixture
def basis(tiny):
    case = tiny(plan=make_plan(18, VALUES), prices=make_prices(BOUGHT), growth={"expected": 0.03})
    answer = solve_case(case)
    return case, answer, returns_basis(case, answer, API)


def test_the_base_case_is_the_ledger(basis):
    case, answer, found = basis
    booked = base_case(found.model)
    ours = found.model.options.index(OURS)
    ledger = answer.expected.ledger
    assert booked.npv_usd[ours, 0] == pytest.approx(net_present_value(ledger, case.plan), rel=1e-9)
    assert booked.cost_usd[ours, 0] == pytest.approx(sum(line.sum() for line in ledger.lines.values()), rel=1e-9)


def test_ways_to_pay_and_what_is_not_offered(basis):
    options = basis[2].model.options
    assert options[:2] == (OURS, ON_DEMAND)
    assert "Base: purchase" in options
    assert "Base: lease" not in options
    assert options[-1] == HOSTED


def test_hosted_use_cases_take_no_accelerators(basis):
    model = basis[2].model
    hosted, rented = model.options.index(HOSTED), model.options.index(ON_DEMAND)
    dear = evaluate(model, np.array([[100.0]]), ["api_price"]).npv_usd[:, 0]
    base = base_case(model).npv_usd[:, 0]
    assert dear[hosted] < base[hosted]
    assert dear[rented] == base[rented]
    # twice the rented price leaves hosted units alone, but not the training that stays on demand
    doubled = evaluate(model, np.array([[2.0]]), ["flexible_price"]).npv_usd[:, 0]
    assert base[hosted] - doubled[hosted] < base[rented] - doubled[rented]


def test_distribution_drivers_and_knowledge(basis):
    returns = draw_returns(basis[2], draws=4_000)
    table = returns.options.set_index("option")
    assert table["best_probability"].sum() == pytest.approx(1)
    assert (table["npv_p10_usd"] < table["npv_p90_usd"]).all()
    assert returns.drivers["total"].is_monotonic_decreasing
    assert set(returns.drivers["group"]) >= {"demand", "value", "capacity", "prices"}
    worth = returns.knowledge.set_index("knowledge")["worth_usd"]
    assert (worth >= 0).all()
    assert worth.max() == worth["Everything (upper bound)"]
    assert (returns.factors["source"] != "").all()
    again = draw_returns(basis[2], draws=4_000)
    pd.testing.assert_frame_equal(again.options, returns.options)


def test_what_if_moves_with_its_three_controls(basis):
    found = basis[2]
    base = quick_returns(found, wacc=0.1, price=1.0, utilization=1.0).set_index("option")
    np.testing.assert_allclose(base["npv_usd"], base_case(found.model).npv_usd[:, 0])
    dear = quick_returns(found, wacc=0.1, price=1.5, utilization=1.0).set_index("option")
    assert dear.loc[ON_DEMAND, "npv_usd"] < base.loc[ON_DEMAND, "npv_usd"]
    half = quick_returns(found, wacc=0.1, price=1.0, utilization=0.5).set_index("option")
    assert half.loc[OURS, "usd_per_useful_hour"] > base.loc[OURS, "usd_per_useful_hour"]
    late = quick_returns(found, wacc=0.3, price=1.0, utilization=1.0).set_index("option")
    assert late.loc[OURS, "npv_usd"] < base.loc[OURS, "npv_usd"]
    none = quick_returns(found, wacc=0.1, price=1.0, utilization=0.0)
    assert none["usd_per_useful_hour"].isna().all()


def test_without_value_there_is_no_distribution(tiny):
    case = tiny(plan=make_plan(12, VALUES), value_usd_per_unit=[np.nan, np.nan])
    assert returns_basis(case, solve_case(case), API) is None
