"""Each stress by hand where one can reckon, and what must hold for all of them."""

from dataclasses import replace

import numpy as np
import pytest
from stress_cases import small_basis

from aifactory.buyplan.optimise.evaluate import evaluate_plan
from aifactory.buyplan.price_paths import PricePaths
from aifactory.buyplan.stress import stresses as st
from aifactory.buyplan.stress.world import after, carry, outcome, world_of

MONTH = 730.0
#: One node of 4 at 1,000 a month and accelerator, 2 accelerators rented at 4: a month of the hand-computed case.
CALM = 4 * 1000 + 2 * 4 * MONTH


def cost(case):
    return outcome(case.world, case.nodes)


def test_without_stress_the_plan_costs_what_it_costs(basis):
    found = cost(st.stressed(basis, 0))
    own = evaluate_plan(basis.problem, basis.nodes)
    assert (found.objective_usd, found.expected_usd, found.tail_usd) == pytest.approx(
        (own.objective_usd, own.expected_usd, own.tail_usd), rel=1e-12
    )
    assert found.missed_hours == 0
    assert found.by_path_usd.mean() == pytest.approx(found.expected_usd)


def test_the_hand_computed_case(one_path):
    assert cost(st.stressed(one_path, 0)).objective_usd == pytest.approx(3 * CALM)


@pytest.mark.parametrize(
    ("stress", "more"),
    [
        (lambda b: st.list_price(b, 0.5, 1), -2 * 2 * 2 * MONTH),
        (lambda b: st.contract_price(b, 1.2, 1), 0.0),
        (lambda b: st.outage(b, 1, 0), 4 * 4 * MONTH),
        (lambda b: st.nothing_to_rent(b, 1, 1), 2 * (10 - 4) * MONTH),
        (lambda b: st.platform_exit(b, 2), 6 * 7 * MONTH - 2 * 4 * MONTH + 500),
        (lambda b: st.vendor_exit(b, 2), 6 * 9 * MONTH - 2 * 4 * MONTH + 800),
        (lambda b: st.demand_changes(b, 3.0, 1), 2 * 12 * 4 * MONTH),
        (lambda b: st.demand_changes(b, 0.5, 2), -2 * 4 * MONTH),
        (lambda b: st.model_shift(b, 2.0, 2), 6 * 4 * MONTH),
        (lambda b: st.spot_price(b, 2.0, 1), 0.0),
        (lambda b: st.power_cap(b, 0.5), 0.0),
        (lambda b: st.late_delivery(b, 1), 0.0),
    ],
)
def test_stresses_by_hand(one_path, stress, more):
    assert cost(stress(one_path)).objective_usd == pytest.approx(3 * CALM + more)


def test_what_must_stand_ready_follows_demand_in_whole_nodes(one_path):
    """8 accelerators in nodes of 4 for a peak of 6: half of it takes 4 of them, three times 24, a month earlier all 8."""
    ready = replace(one_path, problem=replace(one_path.problem, floor=np.full((3, 1), 8.0)))
    assert st.demand_changes(ready, 0.5, 1).world.floor[:, 0].tolist() == [8.0, 4.0, 4.0]
    assert st.demand_changes(ready, 3.0, 2).world.floor[:, 0].tolist() == [8.0, 8.0, 24.0]
    assert st.demand_changes(ready, 1.0, 0).world.floor[:, 0].tolist() == [8.0] * 3
    assert st.model_shift(ready, 2.0, 2).world.floor[:, 0].tolist() == [8.0, 8.0, 16.0]
    still = replace(ready, generates=np.array([False]))
    assert st.model_shift(still, 2.0, 2).world.floor[:, 0].tolist() == [8.0] * 3


def test_people_and_storage_go_with_a_fleet_that_stands_still(one_path):
    """Four accelerators stand still in month 2 and their hours are rented: the fleet costs what it did, USD 0.5 an hour included."""
    basis = replace(one_path, problem=replace(one_path.problem, around_usd=0.5))
    calm = cost(st.stressed(basis, 0)).objective_usd
    assert calm == pytest.approx(3 * (CALM + 6 * 0.5 * MONTH))
    assert cost(st.outage(basis, 1, 0)).objective_usd - calm == pytest.approx(4 * 4.5 * MONTH)


def test_a_shortage_delays_the_order(one_path):
    found = cost(st.shortage(one_path, 0, 1))
    assert found.objective_usd == pytest.approx(2 * 6 * 4 * MONTH + CALM)


def test_missed_hours_and_their_penalty(one_path):
    found = cost(st.nothing_to_rent(one_path, 1, 1))
    assert found.missed_hours == pytest.approx(2 * MONTH)
    assert found.missed_share == pytest.approx(2 / 18)
    assert found.penalty_usd == pytest.approx(2 * 10 * MONTH)


def test_renewals_pay_the_new_contract_price(one_path):
    later = replace(one_path, nodes=np.array([0.0, 1.0, 0.0]))
    calm = cost(st.stressed(later, 0)).objective_usd
    assert cost(st.contract_price(later, 1.5, 1)).objective_usd - calm == pytest.approx(2 * 4 * 500)


def test_dearer_contracts_leave_power_and_space_of_leased_kit_as_they_are(one_path):
    """USD 1,000 a month of a lease, 200 of them power and space: half more rent is 400 more, of four accelerators for two months."""
    (option,) = one_path.problem.options
    lease = replace(one_path.problem, options=(replace(option, name="lease", on_site=True),))
    later = replace(one_path, problem=lease, nodes=np.array([0.0, 1.0, 0.0]), leased_running_usd=np.array([200.0]))
    calm = cost(st.stressed(later, 0)).objective_usd
    assert cost(st.contract_price(later, 1.5, 1)).objective_usd - calm == pytest.approx(2 * 4 * 400)


def test_the_next_generation_lowers_the_price_of_work_bound_by_compute():
    basis = small_basis()
    case = st.next_generation(basis, factor=0.5, resale=0.5)
    first = 25 // 2
    assert case.month == 19 // 2
    assert (case.world.on_demand_usd[:9] == basis.problem.on_demand_usd[:9]).all()
    # pool 1 serves generation only: nothing changes; pool 0 gets half of the share that is bound by compute
    assert case.world.on_demand_usd[-1, 1] == 2.0
    assert first == 12
    longer = st.next_generation(small_basis(months=14), factor=0.5)
    share = longer.world.on_demand_usd[-1, 0] / 4.0
    assert 0.5 < share < 1.0
    names = {option.name for option in longer.world.options if option.name.endswith(st.NEXT)}
    assert names == {f"{name}{st.NEXT}" for name in ("purchase", "lease", "reserved_1y", "reserved_3y")}


@pytest.mark.parametrize("stress", st.default_stresses(), ids=lambda s: s.name)
def test_every_default_stress_has_a_source_or_an_owner(basis, stress):
    assert stress.source
    assert stress.owner_role or not stress.source.startswith("assumption")
    case = stress.apply(basis)
    assert case.nodes.shape == (len(case.world.orders),)
    assert cost(case).objective_usd > 0


def test_the_range_of_spot_prices_is_that_of_the_process_of_the_plan():
    """exp(1.2816 x 0.102 x sqrt(12 x 0.7 + 144 x 0.3)) = 2.56, and one over it."""
    (told,) = [stress.source for stress in st.default_stresses() if stress.name == "Spot price x 2"]
    assert "within x 0.39 and x 2.6;" in told


def test_more_is_never_cheaper(basis):
    def rising(costs):
        return all(a <= b * (1 + 1e-12) for a, b in zip(costs, costs[1:], strict=False))

    assert rising([cost(st.list_price(basis, f)).objective_usd for f in (0.5, 0.7, 1.0, 1.3, 1.6)])
    assert rising([cost(st.spot_price(basis, f)).objective_usd for f in (0.5, 1.0, 2.0)])
    assert rising([cost(st.contract_price(basis, f, 2)).objective_usd for f in (0.8, 1.0, 1.2)])
    assert rising([cost(st.demand_changes(basis, f)).objective_usd for f in (0.3, 1.0, 3.0)])
    assert rising([cost(st.late_delivery(basis, k)).missed_hours for k in (0, 2, 4)])


@pytest.mark.parametrize("month", [0, 4, 9])
@pytest.mark.parametrize("pool", [0, 1])
def test_an_outage_never_misses_less(month, pool):
    basis = small_basis(
        on_demand_most=np.zeros(2), on_demand_usd=np.full((12, 2), np.inf), spot_usd=np.full((12, 2), np.inf)
    )
    calm, lost = cost(st.stressed(basis, 0)), cost(st.outage(basis, month, pool))
    assert lost.missed_hours >= calm.missed_hours - 1e-9
    assert lost.orders_usd == pytest.approx(calm.orders_usd)
    assert lost.objective_usd >= calm.objective_usd - 1e-6


def test_power_gives_up_the_latest_own_kit(basis):
    full, none = st.power_cap(basis, 1.0), st.power_cap(basis, 0.0)
    assert full.nodes.sum() == basis.nodes.sum()
    kept = {option.name for (option, _), count in zip(none.world.orders, none.nodes, strict=True) if count}
    assert kept == {"reserved_1y"}
    part = st.power_cap(basis, 0.65)
    assert none.nodes.sum() < part.nodes.sum() < full.nodes.sum()


def test_leased_kit_comes_late_too_and_takes_power(one_path):
    """A lease of four accelerators a month late: six hours by demand in month 1 instead of two, its rent paid as long."""
    (option,) = one_path.problem.options
    lease = replace(option, name="lease", term_months=2, on_site=True)
    basis = replace(one_path, problem=replace(one_path.problem, options=(lease,)))
    calm, late = cost(st.stressed(basis, 0)), cost(st.late_delivery(basis, 1))
    assert late.objective_usd - calm.objective_usd == pytest.approx(4 * 4 * MONTH - 4 * 4 * MONTH)
    assert late.orders_usd == calm.orders_usd == pytest.approx(2 * 4 * 1000)
    gone = st.late_delivery(basis, 2)
    assert cost(gone).objective_usd - calm.objective_usd == pytest.approx(4 * 4 * MONTH - 4 * 1000)
    assert st.power_cap(basis, 0.5).nodes.sum() == 0
    assert st.power_cap(one_path, 0.5).nodes.sum() == 1


def test_own_sites_lend_each_other_no_power():
    """Two nodes of 2.8 kW in eu and four of 0.8 kW in us: half of 5.6 kW is one node, half of 3.2 kW two, whatever the other site leaves."""
    basis = small_basis()
    nodes = np.zeros_like(basis.nodes)
    for at, (option, month) in enumerate(basis.problem.orders):
        if option.name == "purchase" and month == 0:
            nodes[at] = (2, 4)[option.platform]
    half = st.power_cap(replace(basis, nodes=nodes), 0.5)
    kept = {option.platform: count for (option, _), count in zip(half.world.orders, half.nodes, strict=True) if count}
    assert kept == {0: 1, 1: 2}
    swapped = np.array([5.0 if option.platform else 0.0 for option, _ in half.world.orders]) * (half.nodes > 0)
    rows, bounds, _ = half.world.limits()
    assert (rows @ swapped > bounds).any()


def test_devices_at_the_edge_take_nothing_of_a_cap(basis):
    """Without power the leased devices of the second platform stay, and more of them may be ordered."""
    edge = replace(basis, pools=basis.pools.assign(in_data_centre=[True, False]))
    none = st.power_cap(edge, 0.0)
    kept = {option.name for (option, _), count in zip(none.world.orders, none.nodes, strict=True) if count}
    assert kept == {"reserved_1y", "lease"}
    rows, bounds, _ = none.world.limits()
    drawn = {option.platform for (option, _), column in zip(none.world.orders, rows[-24:].T, strict=True) if column.any()}  # fmt: skip
    assert drawn == {0}
    assert (bounds[-24:] == 0).all()


def test_drawn_prices_are_seeded_and_never_dearer_by_list(basis):
    first, again, other = (st.drawn_prices(basis, seed).world for seed in (0, 0, 1))
    assert (first.on_demand_usd == again.on_demand_usd).all()
    assert not (first.spot_usd == other.spot_usd).all()
    assert (first.on_demand_usd <= basis.problem.on_demand_usd + 1e-12).all()
    assert (first.spot_usd <= first.on_demand_usd + 1e-12).all()


def test_paths_that_meet_several_prices_are_the_same_paths(basis, monkeypatch):
    """Where prices stand, each path five times costs what it costs once, mean and worst alike."""
    monkeypatch.setattr(
        st, "draw_prices", lambda names, paths, months, seed: PricePaths(*np.ones((3, paths, months, len(names))))
    )
    calm, often = outcome(world_of(basis.problem), basis.nodes), cost(st.drawn_prices(basis))
    assert len(often.by_path_usd) == st.PRICE_DRAWS * len(calm.by_path_usd)
    assert often.expected_usd == pytest.approx(calm.expected_usd)
    assert often.tail_usd == pytest.approx(calm.tail_usd) and often.missed_hours == pytest.approx(calm.missed_hours)


def test_several_prices_a_path_scatter_less_by_seed(basis):
    one, five = (
        np.std([cost(st.drawn_prices(basis, seed, draws)).expected_usd for seed in range(100)]) for draws in (1, 5)
    )
    assert five < 0.8 * one


def test_orders_that_come_too_late_are_given_up(basis):
    world = world_of(
        basis.problem, options=tuple(replace(o, lead_months=o.lead_months + 30) for o in basis.problem.options)
    )
    assert carry(basis.problem, basis.nodes, world).sum() == 0


def test_what_was_ordered_before_is_paid_and_stands(basis):
    world = world_of(basis.problem)
    later = after(world, basis.nodes, 3)
    rest = np.array([basis.nodes[world.orders.index(order)] for order in later.orders])
    whole, split = outcome(world, basis.nodes), outcome(later, rest)
    assert split.objective_usd == pytest.approx(whole.objective_usd, rel=1e-12)
    assert split.missed_hours == pytest.approx(whole.missed_hours)


def test_where_no_hours_are_rented_no_stress_is_about_them(basis):
    p = basis.problem
    none = np.full_like(np.asarray(p.on_demand_usd, dtype=float), np.inf)
    names = {stress.name for stress in st.stresses_of(replace(p, on_demand_usd=none, spot_usd=none))}
    all_names = {stress.name for stress in st.default_stresses()}
    assert all_names - names == {
        "List price -30 %",
        "List price -50 %",
        "List price +30 %",
        "Spot price x 2",
        "Prices as drawn",
        "Nothing to rent",
    }
    assert {stress.name for stress in st.stresses_of(replace(p, spot_usd=none))} == all_names
