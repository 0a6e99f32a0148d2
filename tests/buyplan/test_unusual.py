"""Unusual companies through the plan: each gets orders that hold, or a sentence that says why there are none."""

import numpy as np
import pandas as pd
import pytest
from bp_company import make_inputs, make_plan, make_prices
from test_futures import paths_of

from aifactory.buyplan.bands import orders_frame
from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.governance import decision_sentence, is_firm
from aifactory.buyplan.releases import firm_orders_book
from aifactory.buyplan.scenario_orders import firm_orders, solve_over_paths
from aifactory.buyplan.statements import roi_frame
from aifactory.fleet.orders import FLEXIBLE, Orders
from aifactory.fleet.streams import not_sized_sentences


def of_one_vendor(plan, **changes):
    """Tables of the company whose accelerators all come from one vendor."""
    chips = make_inputs(plan)["accelerators"].assign(vendor="Maker")
    return {"plan": plan, "inputs": {"accelerators": chips}, **changes}


@pytest.mark.parametrize(("share", "barred"), [(0.4, True), (0.99, True), (1.0, False)])
def test_one_vendor_cannot_keep_a_share_below_one(tiny, share, barred):
    """Whatever is committed is all of one vendor, so that any limit below 1 allows nothing; the sentence says so."""
    case = tiny(**of_one_vendor(make_plan(24, vendor_share_most=share)))
    paths = paths_of(case, 4)
    chosen = choose_orders(case, paths)
    assert chosen.bars_all is barred and bool(chosen.best.nodes.any()) is not barred
    case, answer = solve_over_paths(case, chosen, paths)
    orders = orders_frame(case, answer, case.prices)
    sentence = decision_sentence(orders, roi_frame(case, answer), case.plan, barred=chosen.bars_all)
    assert ("no order is allowed by the limits of the plan" in sentence) is barred
    assert any("platforms of 1 vendor: this allows no commitment" in text for text in chosen.limits) is barred


@pytest.mark.parametrize("limited", [True, False])
def test_nothing_signed_for_want_of_power_is_told_from_nothing_that_would_pay(tiny, limited):
    """Hardware pays, and where the site has power for half a server of it the limit is why the rest is rented."""
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
                "lead_time_weeks": 4.0}  # fmt: skip
    plan, prices = make_plan(36), make_prices(hardware, drop=["reserved_1y"])
    few = plan.regions[0].model_copy(update={"power_limit_kw": 2.0 if limited else 500.0})
    case = tiny(plan=plan.model_copy(update={"regions": [few]}), prices=prices)
    paths = paths_of(case, 5, 0.0)
    chosen = choose_orders(case, paths)
    assert chosen.best.nodes.any() != limited
    assert chosen.bound == ["the power of Europe"] * limited
    case, answer = solve_over_paths(case, chosen, paths)
    orders = orders_frame(case, answer, case.prices)
    sentence = decision_sentence(orders, roi_frame(case, answer), case.plan, bound=chosen.bound)
    assert ("capacity by the hour is cheapest at today's demand within the power of Europe" in sentence) == limited


def test_a_term_longer_than_the_horizon_is_paid_in_full(tiny):
    """Three years in a horizon of one: at a quarter of the price by the hour it would pay only if its tail were free."""
    three = {"purchase_option": "reserved_3y", "usd_per_accelerator_hour": 1.9, "term_months": 36}
    case = tiny(prices=make_prices(three, drop=["reserved_1y"]))
    chosen = choose_orders(case, paths_of(case, 4))
    assert not chosen.best.nodes.any()  # 36 x 1.90 is more than 12 x 4.00


def test_an_order_of_the_first_month_is_firm_even_where_another_term_comes_before_it():
    """A slot reserved at once and bought for later, both ordered now: neither waits, and both go to the order book."""
    signed = np.full((13, 2), FLEXIBLE)
    signed[1, 0], signed[9, 0], signed[9, 1] = 2, 0, 2
    lead = np.array([[8, 8], [0, 0], [0, 0], [0, 0]])
    firm = firm_orders(np.array([True, False]), Orders(signed, signed), lead)
    assert [tuple(map(int, at)) for at in np.argwhere(firm != FLEXIBLE)] == [(1, 0), (9, 0)]
    for waits, orders in ((6, [(1, 0), (9, 0)]), (5, [(1, 0)])):  # ordered in month 3, within the decision window, or 4
        firm = firm_orders(np.array([True, False]), Orders(signed, signed), np.full((4, 2), waits))
        assert [tuple(map(int, at)) for at in np.argwhere(firm != FLEXIBLE)] == orders
    orders = pd.DataFrame(
        {"order_index": [1, 1, 3, 3, 3, 4], "band": ["baseline", "growth", "baseline", "growth", "baseline", "baseline"],
         "renewal": [False, True, False, False, True, True]}
    )  # fmt: skip
    assert is_firm(orders).tolist() == [True, True, True, False, True, False]
    assert firm_orders_book(pd.DataFrame(), "2026-10", "2026-10-31").empty


def test_a_use_case_without_demand_is_named_as_that():
    row = {
        "use_case_id": "chat",
        "region": "eu",
        "reason": "no accelerator chosen",
        "service_unit": "request",
        "month_most": "",
    }
    nothing, some = (pd.DataFrame([row | {"units_most": most}]) for most in (0.0, 9.0))
    assert not_sized_sentences(nothing) == ["chat in eu is not in the plan: it has no demand, now or in the forecast."]
    assert "no accelerator chosen; up to 9 requests" in not_sized_sentences(some)[0]
