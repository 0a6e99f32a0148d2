"""Orders placed before a plan: by hand, month after month, and nothing counted or ordered twice."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, make_case, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st
from test_futures import paths_of

from aifactory.buyplan.bands import bands_frame, fleet_frame, orders_frame
from aifactory.buyplan.case import rebuilt, solve_case, solve_expected, solve_today
from aifactory.buyplan.caveats import _budget_warnings
from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.futures import stated_money
from aifactory.buyplan.ledger import UNUSED
from aifactory.buyplan.optimise.limits import Conflict
from aifactory.buyplan.optimise.overruns import Overrun, overrun_words
from aifactory.buyplan.own_sites import as_stated
from aifactory.buyplan.placed_notes import _start, placed_sentences
from aifactory.buyplan.releases import firm_orders_book
from aifactory.buyplan.scenario_orders import solve_over_paths
from aifactory.fleet.compute import PLACED
from aifactory.fleet.orders import FLEXIBLE, OWNED
from aifactory.fleet.placed import placed_before
from aifactory.inputs.contracts import load_contract
from aifactory.units import BANDS, HOURS_PER_MONTH

COLUMNS = load_contract("commitments").columns
NO_OPTIONS = pd.DataFrame(columns=["accelerator_id", "region", "purchase_option", "usd_per_accelerator_hour_effective"])
RENT = 2.0 * HOURS_PER_MONTH  # USD of an accelerator-month on a year's term
HARDWARE = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
            "lead_time_weeks": 13.0}  # fmt: skip


def month(step):
    return str(pd.Period(PERIOD, "M") + step)


def order(count, start, end=None, option="reserved_1y", ordered=None, usd=2.0, once=np.nan, place=("eu", "acc")):
    """A row of the order book; months count from the period, the first month of the plan is 1."""
    return {
        "order_id": f"{option} {count} {start}", "plan_period": None, "region": place[0], "accelerator_id": place[1],
        "purchase_option": option, "accelerators": count, "order_month": month(start if ordered is None else ordered),
        "start_month": month(start), "end_month": None if end is None else month(end),
        "usd_per_accelerator_hour": np.nan if option == "purchase" else usd, "upfront_usd": once, "source": "test",
        "as_of": pd.Timestamp("2026-10-31"),
    }  # fmt: skip


def book_of(*rows):
    return pd.DataFrame(list(rows), columns=COLUMNS)


def with_book(case, *rows):
    return rebuilt(replace(case, book=book_of(*rows)), case.plan, case.streams)


def test_a_running_term_serves_until_it_ends_and_only_its_rent_is_owed(tiny):
    """Eight accelerators are reserved until month 5: rent of months 1 to 4, then the plan signs them anew."""
    case = with_book(tiny(), order(8, -8, 5, once=9e9))  # what was paid before is gone
    solution = solve_expected(case)
    assert (solution.orders.state[1:5, :2] == OWNED).all() and not (solution.orders.state[5:] == OWNED).any()
    assert solution.ledger.compute.lines[PLACED].sum() == pytest.approx(4 * 8 * RENT)
    assert solution.ledger.compute.cash_usd[1:5] == pytest.approx(solution.ledger.compute.cost_usd[1:5, 0])
    assert solution.ledger.compute.lines["Own site: energy"].sum() == 0  # it stands elsewhere
    # months 5 to 12 cost less by the hour for no slot: a year would bind beyond the horizon
    flexible = 4 * 2 * 4 * 4.0 * HOURS_PER_MONTH * 0.5 + 8 * (2 + 1) * 4 * 4.0 * HOURS_PER_MONTH
    assert solution.ledger.compute.cost_usd.sum() <= 4 * 8 * RENT + flexible + 1e-6


def test_what_serves_no_workload_is_named_with_what_is_owed(tiny):
    """Four elsewhere until month 3: two months of four at USD 2; a purchase that is paid owes nothing."""
    elsewhere = [order(4, -8, 3, place=("eu", "edge")), order(2, -9, option="purchase", once=9e4, place=("us", "edge"))]
    installed = pd.DataFrame({name: [] for name in ("region", "accelerator_id", "purchase_option", "installed")})
    said = placed_sentences(with_book(tiny(), *elsewhere), installed)
    assert (
        f"4 edge in eu are committed, and no workload of the plan uses them: USD {2 * 4 * RENT:,.0f} that is still owed "
        "for them is in its cost." in said[-2]
    )
    assert said[-1].startswith("2 edge in us") and "nothing more is owed" in said[-1]
    decline, network = (
        make_plan().value(f"{name}") for name in ("residual_decline_per_year", "network_share_of_capex")
    )
    worth = 9e4 / 2 / (1 + network) * (1 - decline) ** (9 / 12)
    assert f"sells for about USD {worth:,.0f} each today" in said[-1] and "sells for" not in said[-2]
    network = make_plan().assumptions["network_share_of_capex"].model_copy(update={"value": 0.25})
    dear = make_plan()
    dear = dear.model_copy(update={"assumptions": {**dear.assumptions, "network_share_of_capex": network}})
    for edge, paid in (((), 1.25), (["edge"], 1.0)):  # devices of the edge take no part of a network
        said = placed_sentences(with_book(tiny(plan=dear), *elsewhere), installed, edge)
        worth = 9e4 / 2 / paid * (1 - decline) ** (9 / 12)
        assert f"sells for about USD {worth:,.0f} each today" in said[-1]
    plan = make_plan()
    limited = plan.model_copy(update={"regions": [plan.regions[0].model_copy(update={"power_limit_kw": 50.0})]})
    stated = tiny(plan=limited)
    told = placed_sentences(
        with_book(stated, *elsewhere, order(2, -9, option="purchase", place=("eu", "edge"))), installed
    )
    assert [text.endswith("are not counted against the limits of Europe.") for text in told[-2:]] == [True, False]
    priceless = with_book(tiny(), order(4, -8, 3, usd=np.nan, place=("eu", "edge")))
    assert "their rent is not stated" in placed_sentences(priceless, installed)[-1]


def test_a_budget_that_orders_placed_before_exceed_alone_is_told(tiny):
    """Eight at USD 2 for four months: USD 11,680 a month against 10,000, and against 20,000."""
    for budget, told in ((10_000, True), (20_000, False)):
        case = with_book(tiny(plan=make_plan(budget={"opex_usd_per_month": budget})), order(8, -8, 5))
        said = " ".join(_budget_warnings(case, solve_case(case)))
        assert ("Orders placed before alone take up to USD 11,680 a month and exceed it in 4 months" in said) is told


def test_what_falls_due_after_the_horizon_is_in_no_month_of_the_budget(tiny):
    """Eight at USD 2 for six more years: the last month of the horizon carries the rest of the term, nobody pays it then."""
    row = order(8, -8, 84)
    ledger = solve_case(with_book(tiny(), row)).expected.ledger
    assert ledger.compute.owed_usd == pytest.approx(8 * 2 * 730 * (84 - 13))
    highest = ledger.opex_usd[:-1].max()
    assert ledger.opex_usd[-1] > 2 * highest
    for budget, told in ((1.2 * highest, False), (0.9 * highest, True)):
        case = with_book(tiny(plan=make_plan(budget={"opex_usd_per_month": budget})), row)
        said = " ".join(_budget_warnings(case, solve_case(case)))
        assert ("Operating cost exceeds" in said) is told
        assert not told or f"at most USD {highest:,.0f}" in said


def test_what_nothing_uses_burdens_the_budgets_of_the_months_that_pay_it(tiny):
    """Eight where no workload runs, for six more years at USD 2, and a purchase there: rent by month, outlay by year."""
    rows = (
        order(8, -8, 84, place=("eu", "edge")),
        order(1, 6, option="purchase", ordered=2, once=5_000.0, place=("us", "edge")),
    )
    ledger = solve_case(with_book(tiny(), *rows)).expected.ledger
    highest = np.delete(ledger.opex_usd, [2, 12]).max()
    assert ledger.opex_usd[-1] > 2 * highest and ledger.opex_usd[2] > highest
    budgets = {"opex_usd_per_month": 1.05 * highest, "capex_usd_per_year": 4_000.0}
    case = with_book(tiny(plan=make_plan(budget=budgets)), *rows)
    said = " ".join(_budget_warnings(case, solve_case(case)))
    assert "Operating cost exceeds" not in said and "is USD 5,000, above the limit of USD 4,000" in said


def test_what_nothing_uses_is_paid_in_every_plan_and_changes_none(tiny):
    """Four until month 3 (two months of rent), eight from month 10 to 16 with a prepayment, a purchase paid in month 2."""
    plain = tiny()
    case = with_book(
        plain,
        order(4, -8, 3, place=("eu", "edge")),
        order(8, 10, 16, once=600.0, place=("eu", "edge")),
        order(1, 6, option="purchase", ordered=2, once=5_000.0, place=("us", "edge")),
    )
    before, after = solve_expected(plain), solve_expected(case)
    due = np.zeros(13)
    due[1:3] = 4 * RENT
    due[10:13] = 8 * RENT
    due[10] += 600.0
    due[12] += 3 * 8 * RENT  # months 13 to 15 lie beyond the horizon of 12
    due[2] += 5_000.0
    assert after.ledger.lines[UNUSED] == pytest.approx(due)
    share = 1.0 + case.plan.value("contingency_share")
    assert after.ledger.opex_usd - before.ledger.opex_usd == pytest.approx(due * share)
    assert (after.orders.state == before.orders.state).all()
    assert after.ledger.compute.cash_usd == pytest.approx(before.ledger.compute.cash_usd)
    assert UNUSED not in before.ledger.lines and UNUSED not in solve_today(case).ledger.lines
    assert UNUSED not in solve_expected(with_book(plain, order(8, -8, 5))).ledger.lines  # in use, so in the compute


def test_money_for_what_is_on_order_is_not_that_of_what_stands(tiny):
    """Ten devices are paid for and come in four months; for those that stand the book states nothing that was paid."""
    months = tiny().streams.months
    book = pd.DataFrame(
        {
            "purchase_option": ["lease", "purchase"],
            "order_month": ["2025-01", months[0]],
            "start_month": ["2025-01", months[4]],
            "accelerators": [16, 10],
            "upfront_usd": [np.nan, 17_990.0],
        }
    )
    placed = SimpleNamespace(
        accelerators=np.full((3, 1), 16.0), capex_usd=np.zeros(1), paid_usd=np.ones(1), beyond_usd=np.zeros(1)
    )
    said = _start(SimpleNamespace(placed=placed, streams=SimpleNamespace(months=months)), book)[0]
    assert said.startswith(
        "The plan starts from 16 accelerators that are owned or committed, and 10 are on order; USD 17,990 was paid for those on order before"
    )
    assert "is still owed for all of them" in said
    both = _start(
        SimpleNamespace(placed=placed, streams=SimpleNamespace(months=months)),
        book.assign(upfront_usd=[1_000.0, 17_990.0]),
    )[0]
    assert "USD 18,990 was paid for them before" in both


def test_what_is_ordered_and_not_delivered_starts_in_its_month(tiny):
    """Eight bought accelerators, paid in the period, arrive in month 4: rented until then, power after it."""
    case = with_book(
        tiny(prices=make_prices(drop=["reserved_1y"])), order(8, 4, option="purchase", ordered=0, once=1e6)
    )
    solution = solve_expected(case)
    state, compute = solution.orders.state, solution.ledger.compute
    assert (state[1:4] == FLEXIBLE).all() and (state[4:, :2] == OWNED).all()
    assert compute.capex_usd.sum() == 0 and compute.lines["Owned: depreciation"].sum() == 0  # paid before the plan
    assert compute.lines["Own site: energy"].sum() == pytest.approx(9 * 8 * 1.0 * 730 * 0.10)
    rented = 4 * 4.0 * HOURS_PER_MONTH * (3 * (1 + 1 + 0.5 + 0.5) + 9 * (0.5 + 0.5))  # use 1, 1, .5, .5 of four nodes
    assert compute.lines["On demand"].sum() == pytest.approx(rented)


def test_a_firm_order_that_is_still_to_be_paid_is_paid_once(tiny):
    """An order of month 2 is paid then and wears to its resale value; it is in the tax of its year."""
    plan = make_plan(12, {"residual_decline_per_year": 0.36, "network_share_of_capex": 0.25, "tax_rate": 0.2})
    case = with_book(tiny(plan=plan), order(4, 4, option="purchase", ordered=2, once=100_000.0))
    compute = solve_expected(case).ledger.compute
    left = 80_000 * 0.64 ** (9 / 12)  # price without the network, nine months in use
    assert compute.capex_usd[2] == pytest.approx(100_000.0) and compute.residual_usd.sum() == pytest.approx(left)
    assert compute.lines["Owned: depreciation"].sum() == pytest.approx(100_000 - left)
    assert (compute.placed_usd[4], compute.placed_resale_usd[4]) == pytest.approx((100_000, left))


def test_terms_to_come_pay_their_prepayment_and_what_lies_beyond_the_horizon(tiny):
    """A year from month 7, half of it prepaid: six months inside the horizon of twelve, six beyond."""
    row = order(4, 7, 19, usd=1.0, once=4 * 1.0 * 730 * 12)
    placed = with_book(tiny(), row).placed
    assert placed.paid_usd[7] == pytest.approx(4 * 730 * (12 + 1))
    assert placed.rent_usd[7:].sum() == pytest.approx(6 * 4 * 730 * 2)
    assert placed.beyond_usd.sum() == pytest.approx(6 * 4 * 730 * 2)
    assert placed.owed_usd.sum() == pytest.approx(6 * 4 * 730)
    compute = solve_expected(with_book(tiny(), row)).ledger.compute  # cost and cash are checked to be equal
    assert compute.lines["Commitment beyond the horizon"].sum() >= 6 * 4 * 730 * 2


@pytest.mark.parametrize(
    ("measured", "rows", "now", "later"),
    [
        (8, [], 8, 8),
        (8, [order(8, -3, option="purchase")], 8, 8),  # delivered and measured: the same ones
        (8, [order(12, -3, option="purchase")], 12, 12),  # delivered, not yet in the readings
        (8, [order(4, 6, option="purchase")], 8, 12),
        (8, [order(8, -30, 6, option="purchase")], 8, 0),  # retired in month 6
        (0, [order(4, -20, 0), order(4, 12, 13)], 0, 0),  # expired; beyond month 6
        (8, [order(4, -2, 7, option="lease"), order(4, 2, place=("us", "acc"), option="purchase")], 12, 12),
    ],
)
def test_what_is_there_by_month(tiny, measured, rows, now, later):
    case = tiny()
    placed = placed_before(
        book_of(*rows), {("eu", "acc"): measured}, case.streams.pools, case.streams.months, case.plan
    )
    assert (placed.accelerators[1, 0], placed.accelerators[6, 0]) == (now, later)


def test_lease_pays_power_and_no_support(tiny):
    placed = with_book(tiny(), order(4, -1, 9, option="lease"), order(4, -1, 9), order(8, -1, option="purchase")).placed
    shares = {name: share[1, 0] for name, share in placed.on_site_shares().items()}
    assert shares == {"energy": 0.75, "space": 0.75, "support": 0.5}
    assert placed.on_site[1, 0] == 12


def test_support_follows_from_what_was_paid_where_the_order_book_says_it(tiny):
    """Eight accelerators bought for 8 x 10,000 and the network, eight of which nobody says what they cost: those at today's price."""
    plan = make_plan(12)
    network, share = 1 + plan.value("network_share_of_capex"), plan.value("maintenance_share_per_year")
    paid = order(8, -3, option="purchase", once=80_000.0 * network)
    untold = order(8, -3, option="purchase")
    cases = [
        with_book(tiny(plan=plan, prices=make_prices(HARDWARE)), *rows)
        for rows in ((untold, untold), (paid, untold), (paid, paid))
    ]
    placed = cases[1].placed
    assert placed.support_usd[1, 0] == pytest.approx(80_000 * share / 12)
    assert placed.on_site_shares()["support"][1, 0] == 0.5 and placed.on_site_shares()["energy"][1, 0] == 1.0
    support = [solve_expected(case).ledger.compute.lines["Own site: support"][1].sum() for case in cases]
    price = cases[0].offers.price[0]
    assert np.isfinite(price) and price != 10_000
    expected = [(16 * price), (8 * price + 80_000), 160_000]
    assert support == pytest.approx([money * share / 12 for money in expected])


def test_budgets_are_what_orders_placed_leave_of_them(tiny):
    """Capital of the fiscal year, payments of a month; kit in the cloud draws no power of the own site."""
    plan = make_plan(12, budget={"capex_usd_per_year": 500_000.0, "opex_usd_per_month": 30_000.0})
    rows = order(4, 3, option="purchase", ordered=-2, once=200_000.0), order(8, -3, 6)
    case = with_book(tiny(plan=plan, prices=make_prices(HARDWARE)), *rows)
    problem = choose_orders(case, paths_of(case, 2)).problem
    assert problem.capital_usd[0] == pytest.approx(300_000.0)  # August and October are in the fiscal year 2026
    assert problem.order_budget_usd[[0, 4, 5]] == pytest.approx([30_000 - 8 * RENT, 30_000 - 8 * RENT, 30_000])
    found = (Overrun("capital of year 1", 1_000.0, 300_000.0), Overrun("budget of month 0", 5.0, 30_000 - 8 * RENT))
    conflict = Conflict(("budget of month 0",), {"budget of month 0": 5.0})
    (told,), over = as_stated(case, (conflict,), found, stated_money(case))
    assert told.relief == conflict.relief
    assert overrun_words(over) == (
        "capital of year 1 by 1,000 USD (500,000 allowed, of which orders placed before take 200,000); "
        f"budget of month 0 by 5 USD (30,000 allowed, of which orders placed before take {8 * RENT:,.0f})"
    )


def test_rent_of_what_nothing_uses_is_in_the_payments_of_its_month(tiny):
    """Four elsewhere until month 3 leave two months less to commit; a purchase there is capital and no payment."""
    plan = make_plan(12, budget={"opex_usd_per_month": 20_000.0})
    rows = (
        order(4, -8, 3, place=("eu", "edge")),
        order(1, 6, option="purchase", ordered=2, once=5_000.0, place=("us", "edge")),
    )
    case = with_book(tiny(plan=plan), *rows)
    assert case.paid_before_usd[[0, 1, 2, 3, 6]] == pytest.approx([0, 4 * RENT, 4 * RENT, 0, 0])
    left = choose_orders(case, paths_of(case, 2)).problem.order_budget_usd
    assert left[[0, 1, 2]] == pytest.approx([20_000 - 4 * RENT, 20_000 - 4 * RENT, 20_000])
    stated, at = stated_money(case)["budget of month 1"]
    assert stated.stands[at] == pytest.approx(4 * RENT) and stated.stands[at + 1] == 0.0


def month_later(case, book):
    """The same company a month on: it holds the orders of the book, time has moved by nothing else."""
    return rebuilt(replace(case, book=book), case.plan, case.streams)


def two_plans(case, count=6, spread=0.3):
    paths = paths_of(case, count, spread)
    chosen = choose_orders(case, paths)
    solved, answer = solve_over_paths(case, chosen, paths)
    orders = orders_frame(solved, answer, solved.prices)
    book = firm_orders_book(orders, "2026-09", "2026-09-30")  # as if approved a month before
    again = month_later(case, book)
    after = choose_orders(again, paths)
    return (chosen, orders, book), (after, *solve_over_paths(again, after, paths))


@pytest.mark.parametrize("hardware", [False, True])
def test_after_approval_an_unchanged_world_orders_nothing_new(hardware):
    """The firm orders of the first plan are not ordered again; the second costs the same, less nothing, within the gap."""
    case = make_case(plan=make_plan(36, {"wacc": 0.1}), growth={"expected": 0.01},
                     prices=make_prices(*([HARDWARE] if hardware else [])))  # fmt: skip
    (chosen, orders, book), (after, second, answer) = two_plans(case)
    assert len(book) and set(book["plan_period"]) == {"2026-09"}
    again = orders_frame(second, answer, second.prices)
    firm = firm_orders_book(again, PERIOD, "2026-10-31")
    assert firm["accelerators"].sum() <= 4  # a node may sit on the edge of the gap
    # each dollar of the firm orders is either still owed or was ordered by the first plan: together the same cost
    assert after.problem.owned.sum() > chosen.problem.owned.sum()
    at = [column for column, (_, first) in enumerate(chosen.problem.orders) if first == 0]
    signed = chosen.best.nodes[at] @ chosen.problem.order_usd[at]
    assert after.best.cost.expected_usd + signed == pytest.approx(chosen.best.cost.expected_usd, rel=0.01)
    # the fleet is the same; a node may come a few months earlier, since what is ordered is no risk any more
    fleet = chosen.problem.capacity(chosen.best.nodes)
    assert np.abs(after.problem.capacity(after.best.nodes) - fleet).sum() <= 0.05 * fleet.sum()


def test_what_stands_until_its_term_ends_is_rented_afterwards(tiny):
    """8 accelerators until month 8 of 36, needed throughout: 8 months at the contract's rate, the others by the hour."""
    case = with_book(tiny(prices=make_prices(drop=["reserved_1y"])), order(8, -4, 9, usd=1.5))
    answer = solve_case(case)
    bands = bands_frame(case, answer, NO_OPTIONS, PERIOD)
    months, base = case.plan.horizon_months, bands[bands["band"] == "baseline"].set_index("purchase_option")
    assert base.loc["owned", ["accelerators_now", "accelerators_end"]].tolist() == [8, 0]
    assert base.loc["owned", "usd_month"] == pytest.approx(8 * 1.5 * 730 * 8 / months)
    after = answer.expected.ledger.compute.slot_usd[:, case.owned.any(axis=0)][9:].sum()
    assert after > 0
    assert base.loc["on_demand", "accelerators_max"] >= 8
    assert bands["usd_month"].sum() * months == pytest.approx(answer.expected.ledger.compute.slot_usd.sum())


def test_bands_of_orders_placed_add_up_and_have_their_price(tiny):
    case = with_book(tiny(), order(8, -2, 9, usd=1.5), order(4, 5, option="purchase", once=1e5))
    answer = solve_case(case)
    fleet = fleet_frame(case, answer)
    assert (fleet[list(BANDS)].sum(axis=1) == fleet["accelerators"]).all()
    bands = bands_frame(case, answer, NO_OPTIONS, PERIOD)
    held = bands[bands["purchase_option"] == "owned"]
    hours = (8 * 8 + 4 * 8) * HOURS_PER_MONTH  # months 1 to 8, months 5 to 12
    energy = 4 * 8 * HOURS_PER_MONTH * 0.10
    assert held["usd_per_accelerator_hour"].iloc[0] == pytest.approx((8 * 8 * 730 * 1.5 + energy) / hours)


STARTS = st.tuples(
    st.integers(1, 3), st.integers(-4, 10), st.integers(1, 14), st.sampled_from(["reserved_1y", "lease", "purchase"])
)


@settings(max_examples=12)
@given(st.lists(STARTS, max_size=4))
def test_any_order_book_keeps_the_identities(rows):
    """Cost and cash agree (checked inside), bands add up, what is there is the sum of the book, no slot signs what overlaps."""
    case = with_book(
        make_case(growth={"expected": 0.02}),
        *[order(4 * nodes, start, start + term, option=option, once=1e4) for nodes, start, term, option in rows],
    )
    for solution in solve_case(case).scenarios:
        held = case.slots.total((solution.orders.state == OWNED) * case.slots.size, case.pools)[1:, 0]
        there = [sum(4 * n for n, start, term, _ in rows if start <= at < start + term) for at in range(1, 13)]
        assert held.tolist() == there
        assert not ((solution.orders.signed != FLEXIBLE) & case.owned).any()
        assert (solution.ledger.compute.served[1:] >= 1 - 1e-9).all()


BOOKS = st.lists(
    st.tuples(st.integers(1, 16), st.integers(-6, 14), st.integers(0, 6), st.integers(1, 40),
              st.sampled_from(["reserved_1y", "lease", "purchase"]), st.floats(0, 9e4)),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=12)
@given(BOOKS)
def test_month_after_month_each_dollar_is_paid_once_and_each_accelerator_counted_once(rows):
    """What is owed falls from one period to the next by what the month between pays; capacity only moves up in time."""
    case = make_case()
    book = book_of(
        *[order(count, start, start + term if option != "purchase" else None, option=option, ordered=start - wait, once=once)
          for count, start, wait, term, option, once in rows]
    )  # fmt: skip

    def seen(step):
        months = tuple(month(step + index) for index in range(37))
        return placed_before(book, {}, case.streams.pools, months, case.plan)

    before = seen(0)
    for step in range(1, 5):
        now = seen(step)
        owed = [item.paid_usd.sum() + item.capex_usd.sum() + item.beyond_usd.sum() for item in (before, now)]
        paid = before.paid_usd[1] + before.capex_usd[1].sum()
        assert owed[0] - owed[1] == pytest.approx(paid, abs=1e-3)
        assert (now.accelerators[:-1] == before.accelerators[1:]).all()
        before = now


def test_what_replaces_a_term_is_baseline_only_as_far_as_today_needs_it():
    """Eight nodes stand until month 6; today keeps four busy (see `bp_company`), chat grows by 12 % a month."""
    case = make_case(growth={"expected": 0.12}, plan=make_plan(24))
    case = rebuilt(replace(case, book=book_of(order(32, -5, 7))), case.plan, case.streams)
    answer = solve_case(case)
    fleet = fleet_frame(case, answer).query("scenario == 'expected'").set_index("month")
    assert fleet.loc[month(6), ["standing", "baseline"]].tolist() == [32, 32]
    assert fleet.loc[month(7), ["standing", "baseline"]].tolist() == [0, 16]
    assert fleet.loc[month(7), "growth"] == 16  # 4 + 8 x 1.12^7 on average, eight nodes of four busy half the hours
    orders = orders_frame(case, answer, case.prices)
    later = orders[orders["start_index"] >= 7].groupby("band")["accelerators"].sum()
    assert later["baseline"] == 16 and later["growth"] > 16
    bands = bands_frame(case, answer, NO_OPTIONS, PERIOD)
    owned = bands[bands["purchase_option"] == "owned"]
    assert owned["band"].tolist() == ["baseline"] and owned["accelerators_max"].tolist() == [32]
