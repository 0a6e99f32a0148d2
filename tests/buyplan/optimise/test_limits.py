"""Limits that bind, limits that contradict each other, offers that make no sense."""

from dataclasses import replace

import numpy as np
import pytest
from planning_problems import one, problem

from aifactory.buyplan.optimise.benders import optimise
from aifactory.buyplan.optimise.extensive import largest_orders, solve_extensive
from aifactory.buyplan.optimise.foresight import known_path_usd
from aifactory.buyplan.optimise.limits import Conflict, _fewest, exceeded, find_conflicts, lead_conflicts, relaxed
from aifactory.buyplan.optimise.overruns import overrun_words
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.errors import InputError

BUY = Option("buy", 0, 4, upfront_usd=800.0, capital=True)


def find_conflict(case, largest):
    """The one conflict of a case; None without any."""
    found = find_conflicts(case, largest)
    assert len(found) <= 1
    return found[0] if found else None


def test_a_binding_budget_has_its_price():
    """An accelerator of 800 USD saves 4 x 400: another USD of budget saves a net dollar, of power 800 a kW."""
    found = optimise(one([BUY], capital_usd=np.array([800.0])), gap=1e-9)
    assert found.nodes.tolist() == [1.0]
    assert found.limit_usd == {"capital of year 1": pytest.approx(1.0)}
    powered = optimise(one([BUY], power_kw=np.array([1.0, 9.0, 9.0, 9.0])), gap=1e-9)
    assert powered.limit_usd == {"power in month 0": pytest.approx(800.0)}
    assert optimise(one([BUY]), gap=1e-9).limit_usd == {}


def test_what_orders_exceed_is_named_once_for_all_months():
    """A node draws a kW for four months: one keeps all limits, two exceed the power of the first month and the capital."""
    case = one([BUY], capital_usd=np.array([800.0]), power_kw=np.array([1.0, 9.0, 9.0, 9.0]))
    assert exceeded(case, np.array([1.0])) == []
    assert exceeded(case, np.array([2.0])) == ["capital", "power"]
    assert exceeded(case, np.array([1.0 + 1e-9])) == []
    tight = replace(case, power_kw=np.full(4, 1.0), site_names=("Ohio",), year_names=("2027",))
    assert exceeded(tight, np.array([9.0])) == ["capital", "power of Ohio"]


def test_a_floor_is_held_and_has_its_price():
    """Nothing is asked, one accelerator must stand ready: 800 USD for each of its steps."""
    found = optimise(one([BUY], level=0.0, floor=np.array([[0.0], [1.0], [1.0], [0.0]])), gap=1e-9)
    assert found.nodes.tolist() == [1.0] and found.cost.objective_usd == pytest.approx(800.0)
    assert sum(found.limit_usd.values()) == pytest.approx(800.0)


def test_a_conflict_is_named_with_its_ways_out():
    case = one([BUY], capital_usd=np.array([800.0]), power_kw=np.full(4, 9.0), floor=np.full((4, 1), 3.0))
    found = find_conflict(case, largest_orders(case))
    assert set(found.names) >= {"capital of year 1"} and len(found.names) == 2
    assert found.relief["capital of year 1"] == pytest.approx(1600.0)
    with pytest.raises(
        InputError, match="no plan keeps capital of year 1 and reserve of platform 0 in month .* together: raise"
    ):
        optimise(case)
    assert find_conflict(replace(case, capital_usd=np.array([2400.0])), largest_orders(case)) is None


def test_each_of_a_conflict_is_needed():
    """Whichever limit of the set is lifted by its relief, the rest can be kept."""
    case = one([BUY], power_kw=np.array([2.0, 9.0, 9.0, 9.0]), floor=np.full((4, 1), 3.0))
    found = find_conflict(case, largest_orders(case))
    assert found.relief["power in month 0"] == pytest.approx(1.0)
    raised = replace(case, power_kw=np.array([3.0, 9.0, 9.0, 9.0]))
    assert find_conflict(raised, largest_orders(raised)) is None


def test_a_site_has_room_for_so_many_servers():
    """One server of two saves 2 x (1,600 - 800) on 20 units; room in month 0 is worth that, and a rented one takes none."""
    twos = {"node_size": np.array([2]), "level": 40.0}
    found = optimise(one([BUY], space_nodes=np.array([[1.0], [9.0], [9.0], [9.0]]), **twos), gap=1e-9)
    assert found.nodes.tolist() == [1.0] and found.limit_usd == {"space in month 0": pytest.approx(1600.0)}
    rented = replace(BUY, on_site=False)
    assert optimise(one([rented], space_nodes=np.zeros((4, 1)), **twos), gap=1e-9).nodes.tolist() == [2.0]
    free = one([BUY], space_nodes=np.full((4, 1), np.inf), **twos)
    assert free.limits()[2] == [] and optimise(free, gap=1e-9).nodes.tolist() == [2.0]


def test_space_and_what_must_stand_contradict_each_other_in_words():
    """Three must stand where there is room for two servers of one: a server more, or one of the fleet less."""
    room, stand = np.array([[2.0], [9.0], [9.0], [9.0]]), np.full((4, 1), 3.0)
    case = one([BUY], space_nodes=room, site_names=("Europe",), floor=stand)
    said = find_conflict(case, largest_orders(case)).sentence()
    assert "raise space of Europe in month 0 by 1 servers (orders of USD 2,400)" in said
    eased, _, over = relaxed(case, largest_orders(case))
    assert eased.space_nodes.tolist() == [[3.0], [9.0], [9.0], [9.0]]
    assert overrun_words(over) == "space of Europe in month 0 by 1 servers (2 allowed)"
    left = replace(case, floor=np.zeros((0, 0)), **replace(case, floor=np.zeros((0, 0))).placed(np.array([1.0])))
    assert left.space_nodes.tolist() == [[1.0], [8.0], [8.0], [8.0]] and left.owned.tolist() == [[1.0]] * 4


def test_what_only_parts_of_nodes_keep_is_a_conflict():
    """A server of four draws 4 kW; three are there, and one accelerator must stand ready: a quarter of a server would do, a whole one does not."""
    power = np.array([3.0, 9.0, 9.0, 9.0])
    case = one([BUY], node_size=np.array([4]), power_kw=power, site_names=("Europe",), floor=np.full((4, 1), 1.0))
    found = find_conflict(case, largest_orders(case))
    assert set(found.names) == {"power of Europe in month 0", "reserve of platform 0 in month 0"}
    # another kW and a server of 3,200; or no reserve, and nothing bought: 20 units an hour are missed, two accelerators
    assert found.relief == {
        "power of Europe in month 0": pytest.approx(1.0),
        "reserve of platform 0 in all months": pytest.approx(1.0),
    }
    assert found.usd["power of Europe in month 0"] == pytest.approx(3200.0)
    with pytest.raises(InputError, match="raise power of Europe in month 0 by 1 kW"):
        optimise(case)
    eased, (conflict,), over = relaxed(case, largest_orders(case))
    assert (conflict, overrun_words(over)) == (found, "power of Europe in month 0 by 1 kW (3 allowed)")
    assert optimise(eased, gap=1e-9).nodes.tolist() == [1.0]
    assert find_conflict(replace(case, power_kw=power + 1.0), largest_orders(case)) is None


def test_fewer_limits_that_contradict_each_other_are_named_instead():
    """800 USD pay one of the two that must stand at first: three limits. From month 3 on two of one platform must: two limits."""
    options = [BUY, replace(BUY, name="buy b", platform=1)]
    floor = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [2.0, 0.0]])
    two = {"on_demand_usd": np.full((4, 2), 4.0), "spot_usd": np.full((4, 2), np.inf), "on_demand_most": np.full(2, np.inf), "spot_share": np.ones(2),
           "kw": np.ones(2), "node_size": np.ones(2, dtype=int), "owned": np.zeros((4, 2)), "rate": np.array([[10.0, 10.0]]), "vendor": ("a", "b")}  # fmt: skip
    case = one(options, capital_usd=np.array([800.0]), floor=floor, **two)
    names, largest = case.limits()[2], largest_orders(case)
    triple = [
        names.index(name)
        for name in ("capital of year 1", "reserve of platform 0 in month 0", "reserve of platform 1 in month 0")
    ]
    pair = {"capital of year 1", "reserve of platform 0 in month 3"}
    assert {names[row] for row in _fewest(case, triple, largest)} == set(find_conflict(case, largest).names) == pair
    only = replace(case, floor=floor * [[1.0], [1.0], [1.0], [0.0]])
    assert len(find_conflict(only, largest_orders(only)).names) == 3


def test_the_least_order_counts_in_a_conflict():
    """One accelerator must stand ready, three are the least order, two can be paid: 800 USD more, or no reserve."""
    least = replace(BUY, minimum_nodes=3)
    case = one([least], capital_usd=np.array([1600.0]), floor=np.full((4, 1), 1.0))
    found = find_conflict(case, largest_orders(case))
    assert "capital of year 1" in found.names and len(found.names) == 2
    assert (found.relief["capital of year 1"], found.usd["capital of year 1"]) == (
        pytest.approx(800.0),
        pytest.approx(2400.0),
    )
    assert find_conflict(replace(case, capital_usd=np.array([2400.0])), largest_orders(case)) is None


def test_shares_of_vendors_that_no_whole_nodes_keep():
    """Two of b are there. None of a leaves b all, one server of four of a makes it two thirds: 60 % each would ask for half of one or less."""
    options = [Option("a", 0, 4, monthly_usd=100.0)]
    case = one(
        options, rate=np.array([[10.0, 10.0]]), node_size=np.array([4, 1]), owned=np.tile([0.0, 2.0], (4, 1)), vendor=("a", "b"), vendor_most=0.6,
        on_demand_usd=np.full((4, 2), 4.0), spot_usd=np.full((4, 2), np.inf), on_demand_most=np.full(2, np.inf), spot_share=np.ones(2), kw=np.ones(2),
    )  # fmt: skip
    found = find_conflict(case, largest_orders(case))
    assert set(found.names) == {"share of a", "share of b"}
    assert found.relief == {"share of every vendor": pytest.approx(4 / 6 - 0.6)}
    assert find_conflict(replace(case, vendor_most=0.67), largest_orders(case)) is None


@pytest.mark.parametrize("seed", range(3))
def test_less_room_never_costs_less(seed):
    case = problem(2, 6, 2, 2, seed=seed)
    usd = [
        optimise(replace(case, space_nodes=np.full((6, 1), room)), gap=1e-4).cost.objective_usd
        for room in (0.0, 1.0, np.inf)
    ]
    assert usd[0] >= usd[1] * (1 - 2e-4) and usd[1] >= usd[2] * (1 - 2e-4)


def test_one_vendor_has_its_share_at_most():
    case = problem(4, 6, 3, 3, seed=2, vendor=("a", "b", "b"))
    free, held = optimise(case, gap=1e-4), optimise(replace(case, vendor_most=0.6), gap=1e-4)
    months = case.capacity(held.nodes).sum(axis=0)
    assert max(months[0], months[1:].sum()) <= 0.6 * months.sum() + 1e-6
    assert held.cost.objective_usd >= free.cost.objective_usd * (1 - 1e-4)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (Option("x", 0, 4, monthly_usd=-1.0), "at least 0"),
        (Option("x", 0, 4, monthly_usd=np.nan), "at least 0"),
        (Option("x", 0, 4, upfront_usd=10.0, resale_usd=20.0, resale_per_year=0.9), "order without end"),
        (Option("x", 0, 0), "term of at least a month"),
    ],
)
def test_offers_without_sense_are_refused(option, message):
    with pytest.raises(InputError, match=message):
        optimise(one([option]))


def test_shares_need_vendors():
    with pytest.raises(InputError, match="vendor_most"):
        one([BUY], vendor=(), vendor_most=0.5)


def test_terms_longer_than_the_horizon_are_charged_beyond_it():
    """48 months of 200 USD in a horizon of 4: 800, and half of the 44 months that are left."""
    long = Option("reserved", 0, 48, monthly_usd=200.0)
    assert one([long]).order_usd[0] == pytest.approx(800.0 + 0.5 * 44 * 200.0)
    assert optimise(one([long]), gap=1e-9).nodes.tolist() == [0.0]


@pytest.mark.parametrize("seed", range(4))
def test_a_known_path_costs_what_the_monolith_says(seed):
    """Random demand on two platforms with short and long terms: the programme of steps is the optimum in whole nodes."""
    rng = np.random.default_rng(seed)
    options = [
        Option(name, p, term, lead, monthly_usd=usd)
        for p in range(2) for name, term, lead, usd in (("short", 3, 0, 210.0), ("long", 8, 1, 150.0))
    ]  # fmt: skip
    case = Problem(
        demand=rng.uniform(0, 60, (1, 9, 3, 2)), block_hours=np.array([40.0, 60.0]),
        rate=np.array([[10.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), deferrable=np.array([False, True, False]),
        node_size=np.array([2, 1]), options=tuple(options), on_demand_usd=np.full((9, 2), 4.0),
        spot_usd=np.full((9, 2), 2.5), api_usd=np.full((9, 3), np.inf), miss_usd=np.full(3, 1.0),
        owned=np.tile([2.0, 0.0], (9, 1)), on_demand_most=np.full(2, np.inf), spot_share=np.ones(2), kw=np.ones(2),
        order_months=tuple(range(9)), risk_weight=0.0,
    )  # fmt: skip
    assert known_path_usd(case) == pytest.approx(solve_extensive(case, gap=1e-9).objective_usd, rel=1e-6)


def test_limits_beside_what_must_stand_give_way_by_the_least():
    """Three must stand ready: 800 USD lack 1,600, 1 kW lacks 2, and neither is dropped."""
    case = one([BUY], capital_usd=np.array([800.0]), power_kw=np.full(4, 1.0), floor=np.full((4, 1), 3.0))
    eased, (conflict,), over = relaxed(case, largest_orders(case))
    assert (
        eased.capital_usd.tolist() == [2400.0] and eased.power_kw.tolist() == [3.0] * 4 and (eased.floor == 3.0).all()
    )
    assert len(conflict.names) == 2
    assert overrun_words(over) == (
        "capital of year 1 by 1,600 USD (800 allowed); power from month 0 to month 3 by at most 2 kW (1 allowed)"
    )
    assert optimise(eased, gap=1e-6).nodes.tolist() == [3.0]
    enough = replace(case, capital_usd=np.array([2400.0]), power_kw=np.zeros(0))
    assert relaxed(enough, largest_orders(enough)) == (enough, (), ())


def test_ways_out_have_their_price():
    """Three of 800 USD instead of one; or two accelerators fewer in one month, where demand fills two of the three: one is missed
    for 100 hours at 10 units of 1 USD each."""
    case = one([BUY], months=1, capital_usd=np.array([800.0]), floor=np.full((1, 1), 3.0))
    found = find_conflict(case, largest_orders(case))
    assert found.usd["capital of year 1"] == pytest.approx(2400.0, rel=1e-4)
    assert found.usd["reserve of platform 0 in month 0"] == pytest.approx(800.0 + 100 * 10.0, rel=1e-4)
    said = "by 2 accelerators (missed demand and orders of USD 1,800), or raise capital of year 1 by 1,600 USD (orders of USD 2,400)"
    assert said in found.sentence()
    with pytest.raises(InputError, match="reserve of gpu in eu in May together"):
        optimise(replace(case, platform_names=("gpu in eu",), month_names=("May",)))


def test_a_limit_stated_once_for_all_months_gives_way_in_all():
    """Room for two servers in every month and three must stand: a server more in one month is not enough, in all it is; nor is the
    fleet of one month lowered, that of all is: it leaves two for the demand of two."""
    case = one([BUY], space_nodes=np.full((4, 1), 2.0), site_names=("Europe",), floor=np.full((4, 1), 3.0))
    found = find_conflict(case, largest_orders(case))
    room, fleet = "space of Europe in all months", "reserve of platform 0 in all months"
    assert found.relief == {room: pytest.approx(1.0), fleet: pytest.approx(1.0)}
    assert found.usd == {room: pytest.approx(2400.0, rel=1e-4), fleet: pytest.approx(1600.0, rel=1e-4)}
    assert (
        "lower reserve of platform 0 in all months by 1 accelerators (missed demand and orders of USD 1,600), or raise"
        in found.sentence()
    )
    enough, little = (replace(case, space_nodes=np.full((4, 1), room)) for room in (3.0, 2.97))
    assert find_conflict(enough, largest_orders(enough)) is None
    assert find_conflict(little, largest_orders(little)) is not None


def test_ways_out_are_enough_for_whole_nodes():
    """Nodes of two accelerators draw 2 kW, four must stand and 3 kW are there: a node and a half is one, so that two of the four
    must be given up and not one; or 1 kW more."""
    case = one([BUY], node_size=np.array([2]), power_kw=np.full(4, 3.0), floor=np.full((4, 1), 4.0))
    found = find_conflict(case, largest_orders(case))
    assert found.relief == {
        "power in all months": pytest.approx(1.0),
        "reserve of platform 0 in all months": pytest.approx(2.0),
    }


def test_what_a_way_out_names_is_enough():
    """A fleet of three at 411,522.40 USD each and 100 USD to spend: the amount named, added to the limit, leaves no conflict."""
    case = one([replace(BUY, upfront_usd=411_522.4)], capital_usd=np.array([100.0]), floor=np.full((4, 1), 3.0))
    said = find_conflict(case, largest_orders(case)).sentence()
    assert "raise capital of year 1 by 1,234,468 USD" in said
    eased = replace(case, capital_usd=np.array([100.0 + 1_234_468.0]))
    assert find_conflict(eased, largest_orders(eased)) is None
    shares = Conflict(("share of a",), {"share of a": 0.03331}, {})
    assert "by 3.4 % of what is held" in shares.sentence()


@pytest.mark.parametrize("seed", range(6))
def test_no_whole_plan_exceeds_the_limits_by_less(seed):
    """Every plan of up to four nodes a column, tried one by one, beside the elastic programme."""
    rng = np.random.default_rng(seed)
    own = Option("own", 0, 4, upfront_usd=float(rng.integers(3, 9) * 100), capital=True)
    rent = Option("rent", 0, 4, monthly_usd=float(rng.integers(1, 4) * 100), on_site=False)
    case = one([own, rent], level=10.0, capital_usd=np.array([300.0]), power_kw=np.full(4, float(rng.integers(0, 2))),
               order_budget_usd=np.full(4, float(rng.integers(1, 3) * 100)), floor=np.full((4, 1), float(rng.integers(2, 5))))  # fmt: skip
    largest = np.full(len(case.orders), 4.0)
    rows, bounds, names = case.limits()
    hard = np.array([name.startswith("reserve") for name in names])
    scale = np.maximum(np.abs(bounds), np.maximum(1e-3 * (np.abs(rows) @ largest), 1.0))
    plans = np.array(np.meshgrid(range(5), range(5))).reshape(2, -1)
    excess = np.maximum(rows @ plans - bounds[:, None], 0.0) / scale[:, None]
    best = np.where((excess[hard] > 0).any(axis=0), np.inf, excess[~hard].sum(axis=0)).min()
    eased, _, over = relaxed(case, largest)
    assert sum(item.by / scale[names.index(item.name)] for item in over) == pytest.approx(best, abs=1e-4)
    assert find_conflict(eased, largest) is None


def test_the_share_of_a_vendor_gives_way():
    """Two of `a` must stand ready and nothing of `b` is on offer: `a` holds all where 60 % are allowed."""
    plain = one([BUY], vendor=("a",), floor=np.full((4, 1), 2.0), vendor_most=0.6)
    eased, (conflict,), over = relaxed(plain, largest_orders(plain))
    assert eased.vendor_most == 1.0 and "share of a" in conflict.names
    assert overrun_words(over) == "share of a by 40 % of what is held (60 % allowed)"
    assert conflict.relief["share of a"] == pytest.approx(0.4)
    assert "raise share of a by 40 % of what is held" in conflict.sentence()
    alone = Conflict(("share of a",), {"share of a": 0.4}, {"share of a": 0.0})
    assert alone.sentence() == "no plan keeps share of a: raise share of a by 40 % of what is held"


def test_the_way_out_of_a_vendors_share_is_the_one_number_that_is_stated():
    """Two of `a` and three of `b` must stand where each may have 45 %: 60 % let them, or half where one more of `a` may be bought."""
    two = {"demand": np.full((1, 4, 2, 1), 20.0), "rate": np.diag([10.0, 10.0]), "owned": np.zeros((4, 2))}
    two |= {name: np.ones(2) for name in ("miss_usd", "spot_share", "kw")} | {"node_size": np.ones(2, dtype=int)}
    two |= {
        "deferrable": np.zeros(2, dtype=bool),
        "on_demand_usd": np.full((4, 2), 4.0),
        "on_demand_most": np.full(2, np.inf),
    }
    two |= {name: np.full((4, 2), np.inf) for name in ("spot_usd", "api_usd")} | {
        "vendor": ("a", "b"),
        "vendor_most": 0.45,
    }
    case = one([BUY, replace(BUY, platform=1)], floor=np.tile([2.0, 3.0], (4, 1)), **two)
    for largest, share in (([2.0, 3.0], 0.6), ([3.0, 3.0], 0.5), ([9.0, 9.0], 0.5)):
        found = find_conflict(case, np.array(largest))
        name, by = next((name, by) for name, by in found.relief.items() if name.startswith("share"))
        assert by == pytest.approx(share - 0.45)
        assert find_conflict(replace(case, vendor_most=share + 1e-6), np.array(largest)) is None
        assert find_conflict(replace(case, vendor_most=share - 0.01 * by), np.array(largest)) is not None
    eased, _, over = relaxed(case, np.array([9.0, 9.0]))
    assert eased.vendor_most == pytest.approx(0.5)
    assert overrun_words(over).count("by 5.0 % of what is held (45 % allowed)") == 2
    assert name == "share of every vendor" and "raise share of every vendor by 5 % of what is held" in found.sentence()


def test_a_conflict_that_no_single_limit_resolves_says_so():
    conflict = Conflict(("capital of year 1", "power of eu"), {})
    assert conflict.sentence() == (
        "no plan keeps capital of year 1 and power of eu together: no single one of them, given way to, is enough"
    )


def test_a_fleet_that_cannot_be_there_in_time_has_two_ways_out():
    """Three must stand ready from month 0, an order serves from month 2: two months of three at 400 (800 serve for two), or
    two accelerators of demand missed for 2 x 100 hours at 10 units of a dollar."""
    late = replace(BUY, lead_months=2)
    case = one(
        [late], floor=np.full((4, 1), 3.0), platform_names=("acc in eu",), month_names=("Nov", "Dec", "Jan", "Feb")
    )
    found = lead_conflicts(case)[0]
    lead, reserve = found.names
    assert found.relief == {lead: 2.0, reserve: 3.0}
    assert found.usd == {lead: pytest.approx(2400.0), reserve: pytest.approx(4000.0)}
    assert case.in_words(found.sentence()) == (
        "no plan keeps lead time of acc in eu and reserve of acc in eu in Nov together: shorten lead time of acc in eu by 2 months "
        "(orders of USD 2,400), or lower reserve of acc in eu in Nov by 3 accelerators (missed demand and orders of USD 4,000)"
    )
    assert optimise(case, gap=1e-9).nodes.tolist() == [3.0]  # a plan is owed all the same


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"floor": np.array([[0.0], [0.0], [3.0], [3.0]])},
        {"floor": np.full((4, 1), 3.0), "owned": np.full((4, 1), 3.0)},
    ],
)
def test_what_is_there_in_time_is_no_conflict(changes):
    assert lead_conflicts(one([replace(BUY, lead_months=2)], **changes)) == ()
    assert lead_conflicts(one([BUY], floor=np.full((4, 1), 3.0))) == ()


def two_sites(**changes):
    """Three must stand at each of two sites that have power for one and two; an accelerator is 800 USD."""
    given = {
        "rate": np.array([[10.0, 10.0]]), "node_size": np.array([1, 1]), "on_demand_usd": np.full((4, 2), 4.0),
        "spot_usd": np.full((4, 2), np.inf), "owned": np.zeros((4, 2)), "on_demand_most": np.full(2, np.inf),
        "spot_share": np.ones(2), "kw": np.ones(2), "vendor": ("a", "b"), "site": np.array([0, 1]),
        "site_names": ("Europe", "America"), "power_kw": np.tile([1.0, 2.0], (4, 1)), "floor": np.full((4, 2), 3.0),
    }  # fmt: skip
    return one([BUY, replace(BUY, platform=1)], **given | changes)


def test_conflicts_that_have_nothing_to_do_with_each_other_are_all_named():
    """Europe lacks 2 kW and America 1: each has its own two ways out, those of the other taken."""
    case = two_sites()
    found = find_conflicts(case, largest_orders(case))
    assert len(found) == 2
    america, europe = sorted(found, key=lambda conflict: conflict.sentence())
    if "Europe" in america.sentence():
        america, europe = europe, america
    assert europe.relief == {
        "power of Europe in all months": pytest.approx(2.0), "reserve of platform 0 in all months": pytest.approx(2.0)
    }  # fmt: skip
    assert america.relief == {
        "power of America in all months": pytest.approx(1.0), "reserve of platform 1 in all months": pytest.approx(1.0)
    }  # fmt: skip
    with pytest.raises(InputError, match="; beside that no plan keeps "):
        optimise(case)
    eased, told, over = relaxed(case, largest_orders(case))
    assert told == found and not find_conflicts(eased, largest_orders(eased))
    assert sorted((item.name, item.by) for item in over if item.name.endswith("month 0")) == [
        ("power of America in month 0", pytest.approx(1.0)), ("power of Europe in month 0", pytest.approx(2.0))
    ]  # fmt: skip


def test_the_ways_out_of_all_conflicts_together_are_enough():
    case = two_sites()
    enough = replace(case, power_kw=np.tile([3.0, 3.0], (4, 1)))
    assert find_conflicts(enough, largest_orders(enough)) == ()
    for power in ([3.0, 2.0], [1.0, 3.0]):
        assert len(find_conflicts(replace(case, power_kw=np.tile(power, (4, 1))), largest_orders(case))) == 1


def test_a_limit_that_two_sites_share_is_one_conflict():
    """1,600 USD buy two of the six that must stand: the budget is raised once, by 3,200 USD."""
    case = two_sites(power_kw=np.full((4, 2), 9.0), capital_usd=np.array([1600.0]))
    found = find_conflicts(case, largest_orders(case))
    assert len(found) == 1
    assert found[0].relief["capital of year 1"] == pytest.approx(3200.0)


def test_a_fleet_that_no_order_can_bring_beside_another_conflict_is_told_and_no_plan_is_changed():
    """Two of the first platform are the largest order where three must stand; the second lacks power."""
    case = two_sites(power_kw=np.tile([9.0, 2.0], (4, 1)))
    found = relaxed(case, np.array([2.0, 9.0]))
    assert found[0] is case and len(found[1]) == 2 and found[2] == ()
    assert {name.split()[0] for conflict in found[1] for name in conflict.names} == {"reserve", "power"}
