"""The months until a port ends: who stays where, who waits, and what it costs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, make_case, make_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from test_futures import paths_of
from test_placed import order, with_book
from test_ports import APART, CLASSES, PRICES, TOGETHER, facts

from aifactory.buyplan.case import rebuilt, solve_expected
from aifactory.buyplan.futures import stream_paths
from aifactory.buyplan.ledger import PORTING
from aifactory.buyplan.paid_kit import decide_moves
from aifactory.buyplan.ports import Ports
from aifactory.buyplan.until_ported import NO_PORT, UntilPorted, beside, until_ported
from aifactory.fleet.guests import Guest, guest_of
from aifactory.fleet.streams import EXPECTED

#: Begun at approval, the work takes the months 1 to 3.
PLAN = make_plan(candidates=["acc", "half"], launch_delay_months={"tpu": 2.5, "gpu": 0.0})
CELLS, _, CHOICE = facts(1e5)
CELLS = replace(CELLS, penalties=CELLS.penalties.assign(rework_usd=0.0))
RENTED = {("eu", "acc"), ("eu", "half")}
TODAY_ON = {("chat", "eu"): "acc", ("train", "eu"): "acc"}
CHAT_ON_HALF = {"choice": CHOICE, "capacity": CELLS.capacity, "accelerators": CELLS.accelerators}


@pytest.fixture
def chosen():
    """Chat on `half`, which needs porting, from the first month on."""
    return make_case(plan=PLAN, prices=PRICES, inputs=CHAT_ON_HALF, porting={"chat": 1e5})


def months_until(
    streams, *, plan=PLAN, today=TODAY_ON, rented=RENTED, standing=None, porting=1e5, capacity=None, leaving=None
):
    return until_ported(
        streams,
        porting={"chat": porting},
        leaving=leaving or {},
        today=today,
        capacity=CELLS.capacity if capacity is None else capacity,
        accelerators=CELLS.accelerators,
        rented=rented,
        standing=lambda some: standing or {},
        plan=plan,
    )


def applied(case, until, moves=()):
    return rebuilt(case, case.plan, until.applied(case.streams, moves, CELLS.accelerators, case.plan))


def by_accelerator(streams, name="chat"):
    units, rows = streams.units[EXPECTED], streams.table.itertuples()
    return {row.accelerator_id: units[:, row.Index] for row in rows if row.use_case_id == name}


def test_what_runs_stays_where_it_is_until_its_port_ends(chosen):
    """Three months of both on `acc` (16 by day, 8 by night at USD 4), then nine apart; the port is paid once."""
    until = months_until(chosen.streams)
    case = applied(chosen, until)
    found, whole = by_accelerator(case.streams), chosen.streams.units[EXPECTED, :, 1]
    assert found["acc"].tolist() == [*whole[:4], *[0.0] * 9] and found["half"].tolist() == [*[0.0] * 4, *whole[4:]]
    lines = solve_expected(case).ledger.lines
    assert sum(line.sum() for line in lines.values()) == pytest.approx(TOGETHER * 3 / 12 + APART * 9 / 12 + 1e5)
    assert lines[PORTING].tolist() == [1e5] + [0.0] * 12
    assert until.stays_on("chat") == ["acc"] and until.stays_on("train") == [] and not until.counted


def test_demand_paths_follow(chosen):
    """Each path of demand is divided by month as the expected units are."""
    case = applied(chosen, months_until(chosen.streams))
    before, after = stream_paths(chosen, paths_of(chosen, 3, 0.2)), stream_paths(case, paths_of(case, 3, 0.2))
    chat = (case.streams.table["use_case_id"] == "chat").to_numpy()
    mine = (chosen.streams.table["use_case_id"] == "chat").to_numpy()
    assert after[..., chat].sum(axis=-1) == pytest.approx(before[..., mine].sum(axis=-1))


def test_a_port_under_way_has_fewer_months_left_and_one_that_is_done_none(chosen):
    for begun, left in (("2026-10", 3), ("2026-09", 2), ("2026-07", 0), ("2025-01", 0)):
        port = {"use_case_id": "chat", "platform_class": "tpu", "begun": begun}
        plan = PLAN.model_validate(PLAN.model_dump() | {"ports_under_way": [port]})
        until = months_until(chosen.streams, plan=plan, porting=0.0)
        stays = until.guests[0].share.tolist() if until.guests else [1.0] + [0.0] * 12
        assert stays == [1.0] * (1 + left) + [0.0] * (12 - left)
    assert months_until(chosen.streams, porting=0.0) == NO_PORT


def test_a_launch_waits_for_its_port(chosen):
    """Chat starts in month 2, its port ends in month 3: cost and value of two months are missing, before them there is nothing."""
    chat = (chosen.streams.table["use_case_id"] == "chat").to_numpy()
    units = np.where(chat & (np.arange(13) < 2)[:, None], 0.0, chosen.streams.units)
    case = rebuilt(chosen, PLAN, replace(chosen.streams, units=units))
    until = months_until(case.streams)
    assert until.waits == {("chat", "eu"): 3} and until.guests == () and until.waits_in("chat") == ["eu"]
    late = applied(case, until)
    assert late.streams.units[EXPECTED, :, chat][0].tolist() == [0.0] * 4 + units[EXPECTED, 4:, chat][0].tolist()
    assert (stream_paths(late, paths_of(late, 3, 0.2))[:, :3, chat] == 0).all()
    spent, spent_late = (solve_expected(one).ledger for one in (case, late))
    assert spent.value_usd[2, chat] > 0 and spent_late.value_usd[:4, chat].sum() == 0
    assert spent_late.value_usd[4:, chat] == pytest.approx(spent.value_usd[4:, chat])
    assert spent.opex_usd.sum() - spent_late.opex_usd.sum() == pytest.approx(2 * 730 * 8 * 2.0)


@pytest.mark.parametrize(
    ("since", "porting", "gone"), [("2027-01", 0.0, 2), ("2026-11", 0.0, 0), ("2026-12", 1e5, 3), ("2027-04", 1e5, 5)]
)
def test_what_leaves_a_hosted_model_stays_there_until_it_has_moved_and_is_ported(chosen, since, porting, gone):
    until = months_until(chosen.streams, leaving={"chat": since}, porting=porting, today={})
    chat = (chosen.streams.table["use_case_id"] == "chat").to_numpy()
    found, before = until.applied(chosen.streams, (), CELLS.accelerators, PLAN), chosen.streams.units
    assert until.leaves_hosted("chat") and not until.leaves_hosted("train") and not until.counted
    assert (found.units[:, 1 : 1 + gone, chat] == 0).all() and (
        found.units[:, 1 + gone :] == before[:, 1 + gone :]
    ).all()
    assert (found.units[:, :, ~chat] == before[:, :, ~chat]).all() and (found.units[:, 0] == before[:, 0]).all()
    after = rebuilt(chosen, PLAN, found)
    assert (stream_paths(after, paths_of(after, 3, 0.2))[:, :gone, chat] == 0).all()


@pytest.mark.parametrize(
    ("today", "capacity", "counted"),
    [
        ({}, None, {"chat"}),  # nobody knows where it runs
        (TODAY_ON, CELLS.capacity.iloc[1:], {"chat"}),  # or what it does there
        ({("chat", "eu"): "half"}, None, set()),  # it runs there already
    ],
)
def test_what_is_not_known_counts_on_the_chosen_platform(chosen, today, capacity, counted):
    until = months_until(chosen.streams, today=today, capacity=capacity)
    assert (until.guests, until.waits, until.counted) == ((), {}, counted)
    assert until.applied(chosen.streams, (), CELLS.accelerators, PLAN) is chosen.streams


@pytest.mark.parametrize(("there", "share"), [(0.0, 0.0), (13.2, 0.5), (100.0, 1.0)])
def test_without_hours_for_sale_what_stands_there_holds_what_it_can(chosen, there, share):
    """Chat needs 12 x 1.4 on `acc` and training 4 x 1.2, which it keeps: 13.2 leave half of what chat asks for."""
    need = {"chat": 16.8, "train": 4.8}
    standing = {("eu", "acc"): np.full(13, there)}
    until = months_until(chosen.streams, rented={("eu", "half")}, standing=standing)
    wanted = min(max((there - need["train"]) / need["chat"], 0.0), 1.0)
    assert wanted == pytest.approx(share)
    shares = until.guests[0].share if until.guests else np.zeros(13)
    assert shares[1:4] == pytest.approx(share) and not shares[4:].any()
    assert until.counted == ({"chat"} if share < 1 else set())


def test_moves_stand_beside_what_stays(chosen):
    """On the same accelerator the longer stay counts, on another what is left; other use cases are as they were."""
    row = CELLS.capacity.iloc[0]
    stays = guest_of(row, "eu", np.array([1.0, 1.0, 0.6, 0.0]))
    longer = replace(stays, share=np.array([1.0, 0.0, 0.2, 1.0]))
    other = replace(stays, accelerator_id="old", share=np.ones(4))
    alone = Guest("train", "eu", "old", np.ones(4), {})
    assert [one.share.tolist() for one in beside([stays], [longer])] == [[1.0, 1.0, 0.6, 1.0]]
    assert [one.share.tolist() for one in beside([stays], [other])] == [[1.0, 1.0, 0.6, 0.0], [0.0, 0.0, 0.4, 1.0]]
    assert beside([stays], [alone]) == [stays, alone] and beside([], [alone]) == [alone]


def test_kit_of_today_that_would_stand_idle_serves_beyond_the_port(chosen):
    """Twenty-four of `acc` are reserved to month 5: chat stays there two months longer than its port asks, at no further cost.

    After them it runs on `half`. Its move saves the two months of `half`, 8 accelerators at USD 2 on average.
    """
    plan = PLAN.model_copy(update={"reserve": dict.fromkeys(PLAN.reserve, 0.0)})
    case = rebuilt(with_book(chosen, order(24, -8, 6)), plan, chosen.streams)
    until = months_until(case.streams, plan=plan)

    def build(moves):
        return applied(case, until, [guest for move in moves for guest in move.guests])

    (move,) = decide_moves(
        build([]), build, cells=CELLS, paths=paths_of(case, 4, 0.0), period=PERIOD, chosen=case.streams, until=until
    )
    assert move.guests[0].share.tolist() == [1.0] * 6 + [0.0] * 7
    assert move.saving_usd == pytest.approx(2 * 730 * 8 * 2.0)
    units = by_accelerator(build([move]).streams)
    assert (units["acc"][1:6] > 0).all() and not units["acc"][6:].any()
    assert (units["acc"] + units["half"]).tolist() == case.streams.units[EXPECTED, :, 1].tolist()


@settings(max_examples=40, deadline=None)
@given(
    delay=st.floats(0, 30),
    there=st.floats(0, 40),
    rented=st.booleans(),
    runs=st.booleans(),
    move=st.lists(st.floats(0, 1), min_size=13, max_size=13),
)
def test_no_unit_is_lost_or_served_twice(delay, there, rented, runs, move):
    """Beyond the months that a launch waits, all accelerators together serve what is asked."""
    plan = make_plan(candidates=["acc", "half"], launch_delay_months={"tpu": delay, "gpu": 0.0})
    streams = make_case(plan=plan, prices=PRICES, inputs=CHAT_ON_HALF).streams
    if not runs:
        chat = (streams.table["use_case_id"] == "chat").to_numpy()
        streams = replace(streams, units=streams.units * ~(chat & (np.arange(13) < 1)[:, None]))
    until = months_until(
        streams, plan=plan, rented=RENTED if rented else set(), standing={("eu", "acc"): np.full(13, there)}
    )
    guest = guest_of(CELLS.capacity.iloc[0], "eu", np.array(move))
    found = until.applied(streams, [guest], CELLS.accelerators, plan)
    waits = until.waits.get(("chat", "eu"), 0)
    served = {name: sum(by_accelerator(found, name).values()) for name in ("chat", "train")}
    asked = {name: sum(by_accelerator(streams, name).values()) for name in ("chat", "train")}
    assert served["train"].tolist() == asked["train"].tolist()
    assert served["chat"][1 + waits :] == pytest.approx(asked["chat"][1 + waits :], rel=1e-12)
    assert not served["chat"][1 : 1 + waits].any() and (waits > 0) == (not runs)


def test_where_it_stays_is_said():
    row = {"use_case_id": "chat", "chosen_id": "half", "other_id": "", "ported": True, "by_score": False,
           "porting_usd": 1e5, "saving_usd": np.nan, "at_stake_usd": 1.0}  # fmt: skip
    ports = Ports(pd.DataFrame(), pd.DataFrame([row]))

    def said(until):
        return ports.sentences(PLAN, CLASSES, PERIOD, 1.0, until=until)[0][0]

    stays = Guest("chat", "eu", "acc", np.ones(13), {})
    assert said(UntilPorted((stays,))).endswith("until then it stays on acc, counted at the plan's price of that.")
    partly = said(UntilPorted((stays,), counted=frozenset({"chat"})))
    assert partly.endswith("of that, as far as hours are sold or kit stands there, and the rest at that of half.")
    waits = said(UntilPorted((stays,), {("chat", "us"): 3}))
    assert waits.endswith("at the plan's price of that; in us it starts after that.")
