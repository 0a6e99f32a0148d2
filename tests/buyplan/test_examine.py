"""Questions to the plan: what was left out, limits and their worth, steadiness, risk against cost."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import TODAY, make_plan, make_prices
from test_futures import paths_of
from test_placed import book_of, order

from aifactory.buyplan.case import rebuilt, with_streams
from aifactory.buyplan.choose import choose_orders
from aifactory.buyplan.examine import ExamineBasis, examine_plan
from aifactory.buyplan.excluded import CANNOT_PLAN, Cells, value_excluded
from aifactory.buyplan.futures import problem_of
from aifactory.buyplan.limit_values import limit_values
from aifactory.buyplan.optimise.benders import in_parts
from aifactory.buyplan.optimise.evaluate import evaluate_plan, path_weights
from aifactory.buyplan.stress.frontier import risk_frontier
from aifactory.buyplan.stress.stability import plan_stability
from aifactory.finance.prices import node_offers
from aifactory.fleet.guests import guest_of, with_guests
from aifactory.units import monthly_rate

HALF = {"accelerator_id": "half", "usd_per_accelerator_hour": 2.0}
PLAN = make_plan(candidates=["acc", "half"])
PRICES = make_prices(
    {"purchase_option": "on_demand", **HALF},
    {"purchase_option": "reserved_1y", "term_months": 12, **HALF, "usd_per_accelerator_hour": 1.0},
)


def cells(rule=None, once=0.0, speed=1.0, **more):
    """Accelerator `half` does the same work (or `speed` of it) for half the price; moving there may cost something once."""
    keys = {"use_case_id": ["chat", "chat", "train"], "accelerator_id": ["half", "nowhere", "acc"]}
    rates = {
        "units_per_s_per_accelerator": [speed, 1.0, 1 / 3600],
        "low": 0.9,
        "high": 1.1,
        "tier": "measured",
        "failure_rate": 0.0,
        **more,
    }
    exclusions = pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": ["half"], "rule": [rule], "reason": ["x"]})
    penalties = pd.DataFrame(
        {"use_case_id": ["chat"], "accelerator_id": ["half"], "total_usd": [5.0 + once], "compute_usd": [5.0]}
    )
    about = pd.DataFrame({"accelerator_id": ["acc", "half", "nowhere"], "accelerators_per_node": [4, 4, 4], "tdp_w": 1e3,
                          "platform_class": "gpu", "vendor": "v"})  # fmt: skip
    return Cells(
        pd.DataFrame({**keys, **rates}),
        exclusions if rule else exclusions.iloc[:0],
        penalties,
        about,
        node_offers(PRICES, PLAN, TODAY),
    )


@pytest.fixture
def planned(tiny):
    case = tiny(plan=PLAN, prices=PRICES)
    paths = paths_of(case, 20, 0.4)
    return choose_orders(case, paths), paths


def test_the_value_of_a_platform_left_out_is_the_cost_it_saves(planned):
    """Half the price for all of the chat: what chat costs beside training is saved by half, less the move."""
    chosen, paths = planned
    ask = (chosen.case, paths, chosen.problem, chosen.best.nodes)
    found = value_excluded(*ask, cells()).set_index("accelerator_id")
    row = found.loc["half"]
    assert row["saving_usd"] == pytest.approx(row["now_usd"] - row["moved_usd"])
    alone = row["moved_usd"] - (row["now_usd"] - 2 * (row["now_usd"] - row["moved_usd"]))
    assert 0 < row["saving_usd"] < row["now_usd"] / 2 and alone > 0
    dearer = value_excluded(*ask, cells(once=1000.0)).set_index("accelerator_id").loc["half"]
    assert dearer["saving_usd"] == pytest.approx(row["saving_usd"] - 1000.0)
    fewer = value_excluded(*ask, cells(once=-1000.0)).set_index("accelerator_id").loc["half"]
    assert (dearer["penalties_usd"], fewer["penalties_usd"]) == (1000.0, -1000.0)
    assert fewer["saving_usd"] == pytest.approx(row["saving_usd"] + 1000.0)
    assert found.loc["nowhere", "why"] == CANNOT_PLAN and np.isnan(found.loc["nowhere", "saving_usd"])
    assert "acc" not in found.index  # the chosen platform is not left out


def test_a_smallest_order_leaves_no_question_unasked(tiny):
    """A year is sold from eight accelerators on: two nodes. Once chat has moved, training holds one: two for a year at USD 2 cost
    as much as one by the hour at 4, which is 4 x 2 x 8,760 more than one for a year."""
    answers = []
    for least in (1, 8):
        prices = PRICES.assign(
            minimum_accelerators=PRICES["minimum_accelerators"].where(PRICES["term_months"] == 0, least)
        )
        case = tiny(plan=PLAN, prices=prices)
        paths = paths_of(case, 8, 0.0)
        chosen = choose_orders(case, paths)
        known = replace(cells(), offers=node_offers(prices, PLAN, TODAY))
        known = replace(known, penalties=known.penalties.assign(porting_usd=0.0, rework_usd=0.0))
        known = replace(known, accelerators=known.accelerators.assign(largest_slice=np.nan))
        assert max(option.minimum_nodes for option in chosen.problem.options) == (2 if least == 8 else 1)
        answers.append(examine_plan(ExamineBasis(chosen, paths, known, known.offers)))
    assert len(answers[1].frontier) and len(answers[1].limits) and len(answers[1].stability)
    rows = [found.excluded.set_index("accelerator_id").loc["half"] for found in answers]
    assert rows[0]["now_usd"] > 0 and rows[1]["now_usd"] == pytest.approx(rows[0]["now_usd"], rel=1e-6)
    assert rows[1]["moved_usd"] == pytest.approx(rows[0]["moved_usd"] + 4 * 2 * 8760, rel=1e-6)
    assert rows[1]["saving_usd"] == pytest.approx(rows[0]["saving_usd"] - 4 * 2 * 8760, rel=1e-6)


def test_a_platform_that_would_need_too_many_nodes_is_named_and_not_valued(planned):
    """The chat on a platform a million times slower: over 20,000 nodes of four."""
    chosen, paths = planned
    found = value_excluded(chosen.case, paths, chosen.problem, chosen.best.nodes, cells(speed=1e-6))
    row = found.set_index("accelerator_id").loc["half"]
    assert row["why"] == CANNOT_PLAN and np.isnan(row["saving_usd"])


def test_a_move_is_priced_in_nodes_that_hold_its_replica(tiny):
    """Instances of two hold no replica of eight: one of eight at three quarters of the price of the chosen nodes does."""
    large = {"purchase_option": "on_demand", **HALF, "usd_per_accelerator_hour": 3.0, "accelerators_per_node": 8}
    prices = make_prices({"purchase_option": "on_demand", **HALF, "accelerators_per_node": 2}, large)
    case = tiny(plan=PLAN, prices=prices, train=0.0)
    paths = paths_of(case, 5)
    chosen = choose_orders(case, paths)
    found = {}
    for name, offers in (("both", prices), ("small", prices[prices["accelerators_per_node"] != 8])):
        for replica in (2.0, 8.0):
            known = replace(cells(replica_accelerators=replica), offers=node_offers(offers, PLAN, TODAY))
            rows = value_excluded(case, paths, chosen.problem, chosen.best.nodes, known).set_index("accelerator_id")
            found[name, replica] = rows.loc["half", "moved_usd"]
    assert found["both", 2.0] == found["small", 2.0]  # the smaller node at the lower price
    assert found["both", 8.0] > 1.5 * found["both", 2.0]  # dearer, and whole nodes of eight
    assert np.isinf(found["small", 8.0])


def test_a_move_is_staffed_for_what_comes_by_chance_on_the_other_platform(planned):
    """Few requests in progress on an accelerator ask for more of them than many do."""
    chosen, paths = planned
    ask = (chosen.case, paths, chosen.problem, chosen.best.nodes)
    moved = {
        held: value_excluded(*ask, cells(in_progress_per_accelerator=held, spread_constant=0.9))
        .set_index("accelerator_id")
        .loc["half", "moved_usd"]
        for held in (1.0, 100.0, np.nan)
    }
    assert moved[1.0] > moved[100.0] >= moved[np.nan]


def test_rules_are_named_and_what_cannot_run_is_not_valued(planned):
    chosen, paths = planned
    ask = (chosen.case, paths, chosen.problem, chosen.best.nodes)
    assert value_excluded(*ask, cells("export")).set_index("accelerator_id").loc["half", "why"] == "export"
    for rule in ("memory", "edge device"):
        assert "half" not in set(value_excluded(*ask, cells(rule))["accelerator_id"])


def test_where_nothing_else_can_run_it_nothing_is_given_up(planned):
    """An edge device may be the only platform of known capacity."""
    chosen, paths = planned
    known = cells()
    alone = replace(known, capacity=known.capacity[known.capacity["accelerator_id"] == "acc"])
    assert value_excluded(chosen.case, paths, chosen.problem, chosen.best.nodes, alone).empty


def test_work_on_idle_capacity_changes_not_what_was_chosen(tiny):
    """Chat was chosen for `acc` and runs on `half` in nine months of twelve: moving the rest there is asked, moving to `acc` is no move.

    What the move back to `acc` alone would cost is in none of the figures, and penalties are those beyond `acc`.
    """
    case, known = tiny(plan=PLAN, prices=PRICES), cells(once=100.0)
    both = known.capacity.iloc[[0]].assign(accelerator_id="acc")
    known = replace(known, capacity=pd.concat([known.capacity, both], ignore_index=True))
    guest = guest_of(known.capacity.iloc[0], "eu", (np.arange(13) > 3).astype(float))
    case = rebuilt(case, PLAN, with_guests(case.streams, [guest], known.accelerators, PLAN))
    paths = paths_of(case, 5)
    problem = problem_of(case, paths)
    ask = (case, paths, problem, np.zeros(len(problem.orders)))
    assert set(value_excluded(*ask, known)["chosen_id"]) == {"half"}  # where most of it runs, as far as nobody tells
    found = value_excluded(*ask, replace(known, chosen={"chat": "acc"}))
    assert set(found["chosen_id"]) == {"acc"} and "acc" not in set(found["accelerator_id"])
    row = found.set_index("accelerator_id").loc["half"]
    assert row["penalties_usd"] == 100.0 and row["saving_usd"] == row["now_usd"] - row["moved_usd"] - 100.0


def test_kit_that_stands_idle_costs_its_power_once_it_works(tiny):
    """Eight accelerators of 1 kW stand on `half`: free of purchase, they cost energy and space in every month they are on."""
    ways = make_prices({"purchase_option": "on_demand", **HALF})
    free, owned = (tiny(plan=PLAN, prices=ways, train=0.0, chat=1.0, owned=own) for own in ({}, {("eu", "half"): 8.0}))
    paths = paths_of(free, 5)
    rows = []
    for case in (free, owned):
        chosen = choose_orders(case, paths)
        found = value_excluded(case, paths, chosen.problem, chosen.best.nodes, cells())
        rows.append(found.set_index("accelerator_id").loc["half", "moved_usd"])
    case = with_streams(owned, owned.plan, owned.streams)
    power = 8 * 730 * 0.10 * case.plan.value("pue") + 8 * case.plan.value("colocation_usd_per_kw_month")
    month = (1 + monthly_rate(case.plan.value("wacc"))) ** -np.arange(1, 13)
    assert rows[1] == pytest.approx(power * month.sum())
    assert rows[1] < rows[0]


def test_a_platform_like_the_chosen_one_saves_nothing_by_itself(tiny):
    """The same prices and capacity: moving splits a shared pool, which never saves."""
    like = {"accelerator_id": "half"}
    prices = make_prices(
        {"purchase_option": "on_demand", "usd_per_accelerator_hour": 4.0, **like},
        {"purchase_option": "reserved_1y", "usd_per_accelerator_hour": 2.0, "term_months": 12, **like},
    )
    case = tiny(plan=PLAN, prices=prices)
    paths = paths_of(case, 20, 0.4)
    chosen = choose_orders(case, paths)
    known = replace(cells(), offers=node_offers(prices, PLAN, TODAY))
    found = value_excluded(case, paths, chosen.problem, chosen.best.nodes, known).set_index("accelerator_id")
    assert found.loc["half", "saving_usd"] <= 1e-6 * found.loc["half", "now_usd"]


def test_more_weight_on_the_worst_paths_costs_more_and_saves_there(planned):
    chosen, _ = planned
    rows = risk_frontier(chosen.problem, chosen.best.nodes)
    assert (rows["expected_usd"].diff().dropna() >= -2e-3 * rows["expected_usd"].iloc[0]).all()
    assert (rows["tail_usd"].diff().dropna() <= 2e-3 * rows["tail_usd"].iloc[0]).all()
    assert rows.loc[rows["risk_weight"] == chosen.problem.risk_weight, "is_plan"].item()
    assert (rows["overrun_usd"] >= 0).all()


def test_small_changes_move_little(planned):
    chosen, _ = planned
    rows = plan_stability(chosen.problem, chosen.best.nodes)
    assert rows["change"].tolist()[0] == "none" and len(rows) == 5
    assert (rows["keep_usd"] >= 0).all() and (rows["keep_share"] <= 0.01).all()
    assert (rows["moved_share"] <= 0.25).all()


def test_a_budget_that_binds_has_its_price(tiny):
    hardware = {
        "purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
        "lead_time_weeks": 12.0,
    }  # fmt: skip
    prices = make_prices(hardware, drop=["reserved_1y"])
    free = tiny(plan=make_plan(36), prices=prices)
    free = choose_orders(free, paths_of(free, 5, 0.2))
    node = max(option.upfront_usd for option, _ in free.problem.orders) * 4
    tight = tiny(plan=make_plan(36, budget={"capex_usd_per_year": node * 1.5}), prices=prices)
    chosen = choose_orders(tight, paths_of(tight, 5, 0.2))
    rows = limit_values(chosen).set_index("limit")
    first = rows.loc[[name for name in rows.index if name.startswith("Capital")][0]]
    assert first["used"] == pytest.approx(node) and first["binds"] and first["price_usd"] > 0
    budget, now = np.asarray(chosen.problem.capital_usd), in_parts(chosen.problem)[0]
    richer = replace(chosen.problem, capital_usd=budget + 50.0 * np.eye(len(budget))[0])
    assert first["price_usd"] == pytest.approx((now - in_parts(richer)[0]) / 50, rel=0.01)  # solved again with more
    options = tuple(
        replace(option, lead_months=option.lead_months + (option.on_site and option.lead_months > 0))
        for option in chosen.problem.options
    )
    later = in_parts(replace(chosen.problem, options=options))[0]
    assert later > now
    assert rows.loc["Lead time of hardware", "price_usd"] == pytest.approx(later - now, rel=0.01)
    assert "Share of one vendor (NVIDIA) in what is held" not in rows.index


def test_capital_and_payments_count_what_was_ordered_before_in_the_year_and_month_of_its_order(tiny):
    """The fiscal year begins with the first month of the plan, which buys nodes; one server was ordered before, another is leased."""
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
                "lead_time_weeks": 12.0}  # fmt: skip
    prices = make_prices(hardware, drop=["reserved_1y"])
    budget = {"capex_usd_per_year": 1e6, "opex_usd_per_month": 1e5}
    plan = make_plan(36, fiscal_year_start_month=11, budget=budget)
    case = tiny(plan=plan, prices=prices)
    book = book_of(order(4, 3, option="purchase", ordered=1, once=5_000.0), order(4, -8, option="lease", usd=2.0))
    case = rebuilt(replace(case, book=book), plan, case.streams)
    chosen = choose_orders(case, paths_of(case, 5, 0.2))
    rows = limit_values(chosen).set_index("limit")
    spent = {}
    for (option, month), nodes in zip(chosen.problem.orders, chosen.best.nodes, strict=False):
        spent[month // 12] = spent.get(month // 12, 0.0) + option.upfront_usd * 4 * nodes * option.capital
    assert case.streams.months[1] == "2026-11" and spent[0] > 0
    assert "Capital of fiscal year 2026" not in rows.index
    assert rows.loc["Capital of fiscal year 2027", "used"] == pytest.approx(spent[0] + 5_000.0)
    assert rows.loc["Capital of fiscal year 2028", "used"] == pytest.approx(spent[1])
    new = max(chosen.problem.paid_usd(month) @ chosen.best.nodes for month in range(36))
    assert rows.loc["Committed payments of a month", "used"] == pytest.approx(4 * 2.0 * 730 + new)


def test_room_for_servers_binds_and_has_its_price(tiny):
    """A site with room for two servers, one of them leased before the plan: one more can be bought, and a second would save money."""
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
                "lead_time_weeks": 4.0}  # fmt: skip
    plan = make_plan(36)
    roomy = plan.model_copy(update={"regions": [plan.regions[0].model_copy(update={"space_limit_servers": 2.0})]})
    case = tiny(plan=roomy, prices=make_prices(hardware, drop=["reserved_1y"]))
    case = rebuilt(replace(case, book=book_of(order(4, -8, option="lease", usd=1.0))), roomy, case.streams)
    chosen = choose_orders(case, paths_of(case, 5, 0.0))
    row = limit_values(chosen).set_index("limit").loc["Space of own hardware, Europe"]
    assert (row["used"], row["most"], row["unit"]) == (2.0, 2.0, "servers") and row["binds"] and row["price_usd"] > 0
    assert chosen.best.nodes.sum() == 1.0 and chosen.conflict == ""
    wider = replace(chosen.problem, space_nodes=np.asarray(chosen.problem.space_nodes) + 1.0)
    saved = in_parts(chosen.problem)[0] - in_parts(wider)[0]
    assert row["price_usd"] == pytest.approx(saved, rel=1e-6) and row["per"] == "a server more"


def test_a_limit_that_earlier_orders_exceed_saves_nothing_if_raised_a_little(tiny):
    """USD 900,000 of a budget of 100,000 were ordered before in the year: a dollar more would still leave nothing to spend."""
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
                "lead_time_weeks": 12.0}  # fmt: skip
    plan = make_plan(36, fiscal_year_start_month=11, budget={"capex_usd_per_year": 100_000.0})
    prices = make_prices(hardware, drop=["reserved_1y"])

    def first_year(once):
        case = tiny(plan=plan, prices=prices)
        book = book_of(order(4, 3, option="purchase", ordered=1, once=once))
        case = rebuilt(replace(case, book=book), plan, case.streams)
        chosen = choose_orders(case, paths_of(case, 5, 0.2))
        row = limit_values(chosen).set_index("limit").loc["Capital of fiscal year 2027"]
        return row, " ".join(chosen.limits)

    tight, told = first_year(50_000.0)
    assert tight["binds"] and tight["price_usd"] > 0 and "The budget of capital binds" in told
    spent, _ = first_year(900_000.0)
    assert spent["used"] == pytest.approx(900_000.0) and not spent["binds"] and spent["price_usd"] == 0.0


def test_a_site_may_limit_power_and_room_at_once(tiny):
    """Room for five servers and power for one and a half: the power holds the purchases, and both limits are told."""
    hardware = {"purchase_option": "purchase", "usd_per_accelerator": 20_000.0, "region": "*", "provider": "vendor",
                "lead_time_weeks": 4.0}  # fmt: skip
    plan, prices = make_plan(36), make_prices(hardware, drop=["reserved_1y"])
    free = tiny(plan=plan, prices=prices)
    free = choose_orders(free, paths_of(free, 5, 0.0))
    node_kw = float((free.problem.kw * free.problem.node_size).max())
    limits = {"power_limit_kw": 1.5 * node_kw, "space_limit_servers": 5.0}
    both = plan.model_copy(update={"regions": [plan.regions[0].model_copy(update=limits)]})
    chosen = tiny(plan=both, prices=prices)
    chosen = choose_orders(chosen, paths_of(chosen, 5, 0.0))
    rows = limit_values(chosen).set_index("limit")
    power, room = rows.loc["Power of own hardware, Europe"], rows.loc["Space of own hardware, Europe"]
    assert free.best.nodes.sum() > 1.0 == chosen.best.nodes.sum()
    assert power["used"] == pytest.approx(node_kw) and power["used"] <= power["most"] == pytest.approx(1.5 * node_kw)
    assert (room["used"], room["most"]) == (1.0, 5.0)


def test_every_path_counts_by_itself(tiny):
    """Chat of 12 accelerators by day and 4 by night, times the scale of its path, in nodes of 4 at USD 4 an hour, at half of
    that on `half`; nothing but hours is offered. A mean of paths would need other nodes than the paths do."""
    hours = make_prices(
        {"purchase_option": "on_demand", "usd_per_accelerator_hour": 4.0}, {"purchase_option": "on_demand", **HALF}
    ).iloc[2:]
    case = tiny(plan=PLAN, prices=hours, train=0.0)
    paths = paths_of(case, 20, 0.8)
    problem = problem_of(case, paths)
    nodes = np.zeros(len(problem.orders))
    known = replace(cells(), offers=node_offers(hours, PLAN, TODAY))
    row = value_excluded(case, paths, problem, nodes, known).set_index("accelerator_id").loc["half"]
    scale = np.exp(0.8 * np.linspace(-1, 1, 20))
    day, night = (np.ceil(load * scale / 4 - 1e-9) * 4 for load in (12, 4))
    weights = path_weights(problem, evaluate_plan(problem, nodes))
    assert row["now_usd"] == pytest.approx(12 * 365 * 4 * float(weights @ (day + night)))
    assert row["saving_usd"] == pytest.approx(row["now_usd"] / 2)
