"""Power and space of a region: its data centre's, as stated, beside what stands there."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_inputs, make_plan, make_prices
from test_futures import paths_of
from test_placed import book_of, order

from aifactory.buyplan.case import rebuilt, solve_case
from aifactory.buyplan.futures import problem_of
from aifactory.buyplan.optimise.limits import Conflict
from aifactory.buyplan.optimise.overruns import Overrun, overrun_words
from aifactory.buyplan.own_sites import POWER, SPACE, as_stated, site_sentences, taken

#: Four of `acc` are one server of 4 kW, twelve of `edge` twelve devices of 0.12 kW.
OWN = [order(4, -8, None, "purchase"), order(12, -8, None, "purchase", place=("eu", "edge"))]
HARDWARE = {"purchase_option": "purchase", "usd_per_accelerator": 9_000.0, "region": "*", "provider": "vendor"}


@pytest.fixture
def site(tiny):
    def build(power_kw, servers, chat="acc", hardware=(HARDWARE, HARDWARE | {"accelerator_id": "edge"}), **values):
        plan = make_plan(values=values)
        limits = {"power_limit_kw": power_kw, "space_limit_servers": servers}
        plan = plan.model_copy(update={"regions": [plan.regions[0].model_copy(update=limits)]})
        capacity = make_inputs(plan)["capacity"]
        inputs = {"choice": pd.DataFrame({"use_case_id": ["chat", "train"], "accelerator_id": [chat, "edge"]}),
                  "capacity": pd.concat([capacity, capacity.assign(accelerator_id="edge")], ignore_index=True)}  # fmt: skip
        prices = make_prices(*hardware, drop=["reserved_1y"])
        case = tiny(plan=plan, inputs=inputs, prices=prices)
        return rebuilt(replace(case, book=book_of(*OWN)), plan, case.streams)

    return build


def test_edge_devices_take_nothing_of_a_data_centre(site):
    case = site(5.0, 2.0)
    own = taken(case, case.placed.on_site[1:])
    assert own[POWER] == pytest.approx(np.full((12, 1), 4.0)) and (own[SPACE] == 1.0).all()
    problem = problem_of(case, paths_of(case, 3, 0.0))
    edge = (case.streams.pools["accelerator_id"] == "edge").to_numpy()
    rows, bounds, names = problem.limits()
    ordered = np.array([edge[option.platform] for option, _ in problem.orders])
    assert bounds[names.index("power of Europe in month 5")] == pytest.approx(1.0)
    assert bounds[names.index("space of Europe in month 5")] == 1.0
    assert ordered.any() and (rows[:, ordered] == 0).all() and rows[:, ~ordered].any()


def test_a_limit_is_held_to_what_servers_and_their_cooling_draw(site):
    """Four kW of accelerators are six of servers and nine with cooling; one kW of a limit of ten is left."""
    case = site(10.0, 2.0, server_power_factor=1.5, pue=1.5)
    assert taken(case, case.placed.on_site[1:])[POWER] == pytest.approx(np.full((12, 1), 9.0))
    problem = problem_of(case, paths_of(case, 3, 0.0))
    rows, bounds, names = problem.limits()
    assert bounds[names.index("power of Europe in month 5")] == pytest.approx(1.0)
    assert rows[names.index("power of Europe in month 5")].max() == pytest.approx(9.0)


def test_the_limits_of_a_region_of_edge_devices_alone_are_theirs(site):
    case = site(5.0, 20.0, chat="edge")
    own = taken(case, case.placed.on_site[1:])
    assert own[POWER] == pytest.approx(np.full((12, 1), 0.12)) and (own[SPACE] == 12.0).all()


def test_excess_and_ways_out_are_told_against_the_limit_as_stated(site):
    """Four kW stand where three are stated: the optimiser starts from four, and five in all are two too many."""
    case = site(3.0, 2.0)
    name, room = "power of Europe in month 5", "space of Europe in month 5"
    found = (Overrun(name, 1.0, 4.0), Overrun(room, 2.0, 1.0), Overrun("capital of year 1", 8.0, 9.0))
    (conflict,), over = as_stated(case, (Conflict((name, room), {name: 1.0, room: 2.0}),), found)
    assert conflict.relief == {name: pytest.approx(2.0), room: 2.0}
    assert overrun_words(over) == (
        f"{name} by 2 kW (3 allowed; what stands there alone takes 4, so that nothing may be added); "
        f"{room} by 2 servers (2 allowed, of which what stands there takes 1); capital of year 1 by 8 USD (9 allowed)"
    )
    assert as_stated(case, (), ()) == ((), ())


@pytest.mark.parametrize(
    ("limits", "hardware", "said"),
    [
        ((3.0, 9.0), (), "What stands in Europe alone draws 4 kW, above the limit of 3 kW: nothing may be added there."),
        ((3.0, 9.0), (HARDWARE,), "What stands in Europe alone draws 4 kW and orders bring it to 12, above the limit of 3 kW."),
        ((90.0, 0.0), (), "What stands in Europe alone takes 1 servers, above the limit of 0 servers: nothing may be added there."),
        ((5.0, 9.0), (HARDWARE,), "Own hardware in Europe would draw 12 kW, above the limit of 5 kW."),
        ((4.0, 1.0), (), None),
    ],
)  # fmt: skip
def test_kit_that_takes_more_than_is_stated_is_named(site, limits, hardware, said):
    case = site(*limits, hardware=hardware)
    assert site_sentences(case, solve_case(case)) == ([said] if said else [])
