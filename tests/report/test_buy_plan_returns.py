"""Distribution of the return on the page: sentences for both answers, the what-if, the age of prices."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import pyxirr
from bp_company import make_plan, make_prices

from aifactory.buyplan.case import solve_case
from aifactory.buyplan.returns import draw_returns, returns_basis
from aifactory.buyplan.statements import _rates
from aifactory.report import buy_plan_money as money_page
from aifactory.report import buy_plan_page as first_screen
from aifactory.report import buy_plan_returns as page
from aifactory.report.buy_plan_money import table_roi
from aifactory.report.buy_plan_ways import AS_EXPECTED
from aifactory.report.text import pct

API = pd.DataFrame({"use_case_id": ["chat", "train"], "api_usd_per_unit": [0.002, np.nan], "retires": pd.NaT})


@pytest.fixture
def drawn(tiny):
    case = tiny(plan=make_plan(18, {"wacc": 0.1, "tax_rate": 0.25}), prices=make_prices(), growth={"expected": 0.03})
    basis = returns_basis(case, solve_case(case), API)
    ws = SimpleNamespace(as_of="2026-10-31", plan=case.plan)
    offers = pd.DataFrame({"purchase_option": ["on_demand"]})
    return (
        ws,
        SimpleNamespace(returns=basis, options=offers, decision="Approve USD 1 of commitments", examined=None),
        draw_returns(basis, draws=2_000),
    )


@pytest.fixture
def tiny():
    import bp_company

    return bp_company.make_case


def test_offers_in_other_nodes_far_below_the_price_of_the_plan_are_named_first():
    columns = ["accelerator_id", "region", "purchase_option", "node_accelerators", "pool_node_accelerators"]
    columns += ["usd_per_accelerator_hour", "usd_per_accelerator", "usd_in_plan", "reason"]
    why = "the pool costs less in its own"
    rows = [
        ("a", "eu", "lease", 8, 4, 2.95, np.nan, np.nan, why),
        ("a", "eu", "on_demand", 8, 4, 9.0, np.nan, 10.0, why),
        ("a", "us", "on_demand", 8, 4, 6.88, np.nan, 11.06, why),
        ("a", "us", "purchase", 8, 4, np.nan, 36_500.0, np.nan, why),
    ]
    text = money_page.elsewhere_note(pd.DataFrame(rows, columns=columns))
    assert text == (
        f" Not compared: on demand of a in us, sold in nodes of 8 at USD 6.88 ({why}; its nodes have 4, at USD 11.06); "
        f"on demand of a in eu, sold in nodes of 8 at USD 9.00 ({why}; its nodes have 4, at USD 10.00) and 2 more offers (other_nodes)."
    )
    only = money_page.elsewhere_note(pd.DataFrame(rows[3:], columns=columns))
    assert only == f" Not compared: purchase of a in us, sold in nodes of 8 at USD 36,500.00 ({why}; its nodes have 4)."
    assert money_page.elsewhere_note(pd.DataFrame()) == ""


def test_the_answer_names_chance_drivers_and_worth(drawn):
    ws, plan, returns = drawn
    text = page.returns_section(ws, plan, returns).text
    assert "of 2,000 draws" in text
    assert returns.drivers["group"].iloc[0] in text
    assert "no wait pays" in text
    richer = returns.knowledge.assign(net_usd=[5.0, 1e6, np.nan])
    paid = page.returns_section(ws, plan, SimpleNamespace(**{**vars(returns), "knowledge": richer})).text
    assert (
        "On these options it pays to wait for a tenth of the traffic: that is worth USD 1.00 M more than the wait costs"
        in paid
    )
    for worth, told in (
        (100.0, "no wait pays: to wait for a tenth of the traffic is worth USD 100"),
        (0.0, "no wait pays: what it tells would not change the way to pay"),
    ):
        poorer = returns.knowledge.assign(net_usd=[-5e4, -5e3, np.nan], worth_usd=[0.0, worth, np.nan], wait_usd=5e3)
        held = page.returns_section(ws, plan, SimpleNamespace(**{**vars(returns), "knowledge": poorer})).text
        assert told in held.replace("\xa0", " ")
    first = SimpleNamespace(**{**vars(plan), "decision": "Test hosted models on own prompts before signing"})
    assert (
        "is in none of these worths" in page.returns_section(ws, first, returns).text
        and "none of these worths" not in text
    )


def test_nothing_is_called_on_demand_where_no_hours_are_rented(drawn):
    """The rule that commits to nothing then holds the fleet of the expected demand: page, chart and what-if say so."""
    ws, plan, returns = drawn
    bought = SimpleNamespace(**vars(plan) | {"options": pd.DataFrame({"purchase_option": ["purchase"]})})
    for told, name, other in ((plan, "Base and peaks on demand", AS_EXPECTED), (bought, AS_EXPECTED, "on demand")):
        shown = page.returns_section(ws, told, returns).html + page.what_if(ws, told)().html
        shown += page.chart_returns(ws, told, returns).text
        assert name in shown
        assert other not in shown


def test_no_value_no_distribution(drawn):
    ws = drawn[0]
    assert page.NOT_DRAWN in page.returns_section(ws, None, None).text
    assert page.tables(None) == {}
    assert "no value per unit" in page.chart_returns(ws, None, None).text
    assert page.NOT_DRAWN in page.what_if(ws, SimpleNamespace(returns=None))().text


def test_the_what_if_names_its_values(drawn):
    ws, plan, _ = drawn
    shown = page.what_if(ws, plan)
    assert "cost of capital of 10.0 %" in shown().text
    text = shown(wacc=0.15, price=1.2, utilization=0.8).text
    assert "cost of capital of 15.0 %" in text


def test_tables_for_the_record(drawn):
    assert set(page.tables(drawn[2])) == {
        "returns", "return_drivers", "value_of_information", "break_even_volume", "return_factors", "tornado_frozen",
    }  # fmt: skip


def test_age_of_the_prices_that_are_used():
    offer = {"accelerator_id": "a", "region": "eu", "purchase_option": "spot"}
    options = pd.DataFrame([offer | {"as_of": pd.Timestamp("2026-01-01"), "age_days": 300, "confidence": "claimed"}])
    plan = SimpleNamespace(bands=pd.DataFrame([offer, offer]), options=options)
    age = page.used_prices(plan, {"spot": 30}, "2026-10-31")
    assert (age.count, age.stale, age.unverified) == (1, 1, 1)
    assert page.used_prices(SimpleNamespace(bands=pd.DataFrame(), options=options), {}, "2026-10-31").count == 0


def test_the_worth_of_a_benchmark_over_the_choice_of_platform_is_said_once():
    frame = pd.DataFrame(
        {"use_case_id": ["a", "a", "b"], "accelerator_id": ["x", "y", "z"], "net_usd": [2e6, 1e6, 5e5], "cost_usd": 9e3}
    )
    text = page.platform_sentence(frame)
    assert "a benchmark of x for a is worth up to USD 2.00 M more than its cost of USD 9.00 k" in text
    assert "USD 2.50 M over 2 use cases" in text
    assert "no benchmark is worth more than it costs" in page.platform_sentence(frame.assign(net_usd=-1.0))
    assert page.platform_sentence(None) == page.platform_sentence(frame.iloc[:0]) == ""


def test_firm_orders_that_a_benchmark_may_change_come_after_it():
    """Of four orders one is for the use case of the best benchmark alone and firm."""
    best = pd.DataFrame(
        {"use_case_id": ["a", "b"], "accelerator_id": ["x", "z"], "net_usd": [2e6, 5e5], "cost_usd": 9e3}
    )
    rows = [(1, "baseline", "a 100 %", "2026-11"), (1, "baseline", "b 100 %", "2026-11"), (9, "growth", "a 100 %", "2027-07"), (1, "growth", "a 60 %, b 40 %", "2026-11")]  # fmt: skip
    orders = pd.DataFrame(rows, columns=["order_index", "band", "serves", "order_month"]).assign(commitment_usd=60e3)
    told = page.due_before(SimpleNamespace(orders=orders), best).replace("\xa0", " ")
    assert told == " Firm orders of USD 60.0 k from November 2026 on are for a alone: run it before they are signed."
    for plan, knowledge in (
        (orders.tail(2), best),
        (orders, best.assign(net_usd=-1.0)),
        (orders, None),
        (orders[["band"]], best),
    ):
        assert page.due_before(SimpleNamespace(orders=plan), knowledge) == ""


def test_the_first_screen_says_how_often_the_plan_loses_money(mini_ws, mini_stages):
    plan = mini_stages.plan
    returns = draw_returns(plan.returns, draws=500)
    share = returns.options["loss_probability"].iloc[0]
    assert f"a loss in {pct(share, 1)} of 500 draws" in first_screen.buy_plan_head(mini_ws, plan, returns).text
    assert first_screen.headline(plan, returns)["loss_probability"] == (share, "fraction")
    assert "a loss in" not in first_screen.buy_plan_head(mini_ws, plan, None).text


def test_a_way_to_pay_that_earns_more_on_average_is_named_with_its_worst_tenth():
    options = pd.DataFrame(
        {
            "option": ["This plan", "Hosted API where priced", "Base: lease"],
            "npv_mean_usd": [10e6, 12.5e6, 9e6],
            "best_probability": [0.4, 0.6, 0.0],
            "cost_cvar90_usd": [30e6, 34e6, 31e6],
        }
    )
    text = page.rival_sentence(SimpleNamespace(options=options))
    assert text == (
        "Hosted API where priced earns USD 2.50 M more on average and is the highest in 60 %; "
        "in the worst tenth it costs USD 4.00 M more."
    )
    leased = SimpleNamespace(options=options.assign(npv_mean_usd=[10e6, 9e6, 12.5e6]))
    assert page.rival_sentence(leased, limits=["capital", "space"]).endswith(
        "It is not held to the limits of capital and space that the plan keeps."
    )
    assert page.rival_sentence(SimpleNamespace(options=options), limits=["space"]) == text  # takes none
    plan = make_plan()
    assert page.stated_limits(plan) == []
    region = plan.regions[0].model_copy(update={"space_limit_servers": 4})
    tight = plan.model_copy(update={"regions": [region], "vendor_share_most": 0.6})
    assert page.stated_limits(tight) == ["space", "the share of a vendor"]
    idle = SimpleNamespace(options=options.assign(option=["This plan", "Base and peaks on demand", "Base: lease"]))
    assert page.rival_sentence(idle).startswith("Base and peaks on demand earns")
    assert page.rival_sentence(idle, rented=False).startswith(
        "Holding just the fleet that the expected demand needs, with no hours to rent, earns"
    )
    spot = SimpleNamespace(options=options.assign(option=["This plan", "All on spot where offered", "Base: lease"]))
    broken = page.rival_sentence(spot, broken=["chat"])
    assert broken.endswith("Its interruptions break the limit of failures of chat: it is no choice for these.")
    assert "interruptions" not in page.rival_sentence(spot) + page.rival_sentence(
        SimpleNamespace(options=options), broken=["chat"]
    )
    assert page.rival_sentence(SimpleNamespace(options=options.assign(npv_mean_usd=[13e6, 12.5e6, 9e6]))) == ""
    assert page.rival_sentence(SimpleNamespace(options=options.head(1))) == ""


@pytest.mark.parametrize(
    ("flows", "words"),
    [
        ([-1000.0] * 35 + [2000.0], "no internal rate, as what is paid is all but lost (below −99 % a year)"),
        ([50.0, *[-100.0] * 12], "no internal rate of return, as money comes in before it goes out"),
        ([-1.0, 100.0], "an internal rate above 10,000 % a year"),
        ([-1200.0, *[120.0] * 12], "an internal rate of 41 % a year"),
        ([-100.0, *[10.0] * 35, -5.0], "an internal rate of"),
        ([-1.0, -2.0], "no internal rate, as the costs are never recovered"),
        ([5.0, 1.0], "no internal rate, as what comes in always covers what goes out"),
    ],
)
def test_the_page_quotes_only_a_rate_of_return(flows, words):
    rates = _rates(np.array(flows), 0.008)
    assert money_page._rate(pd.Series({"npv_usd": sum(flows)} | rates)).startswith(words)
    quoted = words.startswith("an internal rate")
    assert np.isnan(rates["irr_annual"]) != quoted
    if quoted and "of 41" in words:  # pyxirr as the other witness
        assert rates["irr_annual"] == pytest.approx((1 + pyxirr.irr(flows)) ** 12 - 1)


@pytest.mark.parametrize(
    ("limit", "pattern", "named"), [(0.01, "interactive", ["chat"]), (0.2, "interactive", []), (0.01, "batch", [])]
)
def test_spot_breaks_the_limit_of_those_who_may_fail_less_often_than_it_stops(changed, mini_ws, limit, pattern, named):
    cases = mini_ws.table("use_cases").copy()
    cases.loc[cases["use_case_id"] == "chat", ["slo_max_failure_rate", "request_pattern"]] = [limit, pattern]
    place = {"region": ["us"], "accelerator_id": ["a"]}
    plan = SimpleNamespace(
        options=pd.DataFrame(place | {"purchase_option": ["spot"]}),
        sizes=pd.DataFrame(place | {"use_case_id": ["chat"]}),
    )
    ws = changed(use_cases=cases)
    assert ws.plan.value("spot_interruption_share") == 0.08
    ways = SimpleNamespace(options=pd.DataFrame({"option": ["This plan", "All on spot where offered"]}))
    assert page.broken_by_spot(ws, plan, ways) == named
    rented = SimpleNamespace(options=plan.options.assign(purchase_option="on_demand"), sizes=plan.sizes)
    assert page.broken_by_spot(ws, rented, ways) == []
    assert page.broken_by_spot(ws, plan, SimpleNamespace(options=ways.options.head(1))) == []


def test_how_far_prices_may_fall_leaves_out_what_costs_more_already():
    def said(*tolerated):
        rows = [("a", place, 0.5, fall) for place, fall in zip("xyz", tolerated, strict=False)]
        options = pd.DataFrame(
            rows, columns=["accelerator_id", "region", "break_even_utilization", "price_fall_tolerated"]
        )
        return first_screen.financing_section(SimpleNamespace(need=[1], options=options, orders=pd.DataFrame())).text

    bought = pd.DataFrame({"purchase_option": ["purchase"], "break_even_utilization": [np.nan]})
    only = first_screen.financing_section(SimpleNamespace(need=[1], options=bought, orders=pd.DataFrame())).text
    assert "No hours of these accelerators are rented, so there is no use from which purchase pays" in only
    assert "on-demand prices could fall by 20 % to 50 % before these commitments cost more" in said(0.5, 0.2)
    assert "fall by 50 % before" in said(0.5, -0.04) and "Those for a in y cost more there already." in said(0.5, -0.04)
    assert "no commitment costs less than hours on demand" in said(-0.04) and "could fall" not in said(-0.04)


def test_what_resale_brings_stands_in_the_return(mini_ws, mini_stages):
    """USD 1,000 of resale in the last month of each scenario of a plan that sells nothing."""
    plan = mini_stages.plan
    last = plan.cash_flow["month_index"] == plan.cash_flow["month_index"].max()
    sold = dataclasses.replace(plan, cash_flow=plan.cash_flow.assign(residual_usd=last * 1234.0))
    assert "Resale in the last month" in table_roi(mini_ws, plan).text
    assert table_roi(mini_ws, sold).text.count("1,234") == 3
