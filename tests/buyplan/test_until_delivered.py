"""Work stays on its platform of today until an order for the new one comes."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bp_company import make_prices
from moving_company import PLAN, decide, spent, with_people
from test_placed import month, order

from aifactory.buyplan.case import solve_expected
from aifactory.buyplan.futures import _floor
from aifactory.buyplan.moves_told import moves_frame
from aifactory.buyplan.until_delivered import Delivery, delivery_to
from aifactory.fleet.streams import EXPECTED


def with_hours(old_usd, *, lead_weeks=13.0):
    """Hours of `old` at a price, and `acc` reserved at USD 2 from a lead time on, else at USD 4 an hour."""
    reserved = {
        "purchase_option": "reserved_1y",
        "usd_per_accelerator_hour": 2.0,
        "term_months": 12,
        "lead_time_weeks": lead_weeks,
    }
    hours = {"accelerator_id": "old", "purchase_option": "on_demand", "usd_per_accelerator_hour": old_usd}
    return make_prices(reserved, hours).iloc[[0, 2, 3]].reset_index(drop=True)


AT_OLD = {("chat", "eu"): "old"}


def test_work_stays_on_hours_of_its_platform_until_an_order_for_the_new_one_comes():
    """Three months of lead: chat's 8 of acc at USD 4 an hour, or 16 of old at USD 1."""
    case, moved, moves = decide(today=AT_OLD, prices=with_hours(1.0))
    assert [(m.guests[0].use_case_id, m.home_id, m.place, m.stays_to) for m in moves] == [
        ("chat", "acc", ("eu", "old"), 3)
    ]
    assert moves[0].guests[0].share.tolist() == [1.0] * 4 + [0.0] * 9
    assert moves[0].saving_usd == pytest.approx(3 * 730 * (8 * 4.0 - 16 * 1.0))
    assert spent(case) - spent(moved) == pytest.approx(moves[0].saving_usd)
    said = moves[0].sentence(moved.streams.months)
    assert said.startswith(f"chat in eu stays on old from {month(1)} to {month(3)}, all of it later on acc: while orders for acc are on their way that costs less than its hours.")  # fmt: skip
    assert moves_frame(moves, moved.streams.months)["last_month"].tolist() == [month(3)]


@pytest.mark.parametrize(
    ("old_usd", "lead_weeks", "today", "changes"),
    [
        (2.0, 13.0, AT_OLD, {}),  # hours cost the same there
        (1.0, 0.0, AT_OLD, {}),  # an order comes at once
        (1.0, 13.0, {}, {}),  # nobody knows where it runs
        (1.0, 13.0, {("chat", "us"): "old"}, {}),
        (1.0, 13.0, AT_OLD, {"excluded": True}),
    ],
)
def test_work_does_not_stay_where_that_saves_nothing_or_is_not_known(old_usd, lead_weeks, today, changes):
    assert decide(today=today, prices=with_hours(old_usd, lead_weeks=lead_weeks), **changes)[2] == []


def test_work_stays_on_what_is_committed_and_on_hours_beside_it():
    """Twelve of old are paid for until month 5 begins: half of chat's peak; its other half stays on hours for the lead time of three months."""
    half = order(12, -8, 5, place=("eu", "old"))
    _, moved, moves = decide(half, today=AT_OLD, prices=with_hours(1.0))
    assert [move.stays_to for move in moves] == [3]
    assert moves[0].guests[0].share.tolist() == pytest.approx([1.0] * 4 + [0.5] + [0.0] * 8)
    assert "while orders for acc are on their way that costs less than its hours; later its capacity is owned" in moves[0].sentence(moved.streams.months)  # fmt: skip
    assert np.diff([spent(one) for one in (moved, decide(half, prices=with_hours(1.0))[1])])[0] > 0


@pytest.mark.parametrize("weeks", [4.0, 9.0, 26.0])
@pytest.mark.parametrize("usd", [0.3, 1.1, 1.7, 2.2, 5.0])
def test_what_staying_saves_falls_with_the_price_of_its_hours(usd, weeks):
    """Hours of chat: 16 of old or 8 of acc at USD 4, by month of lead; below half a per cent of the cost nothing is worth a move."""
    case, _, moves = decide(today=AT_OLD, prices=with_hours(usd, lead_weeks=weeks))
    saved = np.ceil(weeks / (365 / 84)) * 730 * (8 * 4.0 - 16 * usd)
    assert [move.saving_usd for move in moves] == pytest.approx([saved] if saved > 0.005 * spent(case) else [])


#: `acc` reserved after three months, and no hours of anything.
NO_HOURS = make_prices(
    {
        "purchase_option": "reserved_1y",
        "usd_per_accelerator_hour": 2.0,
        "term_months": 12,
        "lead_time_weeks": 13.0,
    }
).iloc[[2]]


def test_work_stays_on_what_stands_while_nothing_else_can_serve():
    """No hours are sold and an order takes three months: chat goes on at its 12 of old, which serve all its 8 by night and half of its 24 by day.

    Nobody sells old any more, and its support ends with month 3.
    """
    owned = order(12, -8, None, place=("eu", "old"), option="purchase")
    case, moved, moves = decide(owned, today=AT_OLD, prices=NO_HOURS, supported_to=month(3))
    assert [(m.guests[0].use_case_id, m.stays_to, m.needed) for m in moves] == [("chat", 3, True)]
    assert moves[0].guests[0].share.tolist() == [1.0] * 4 + [0.0] * 9
    assert "no hours of acc are sold there, and nothing that is ordered for it comes earlier." in moves[0].sentence(moved.streams.months)  # fmt: skip
    before, after = (solve_expected(one).ledger for one in (case, moved))
    chat = [(one.streams.table["use_case_id"] == "chat").to_numpy() for one in (case, moved)]
    served = [ledger.units_served[1:4, mine].sum() for ledger, mine in zip((before, after), chat, strict=True)]
    assert served == pytest.approx([0.0, 3 * (8 + 12) / 4 * 3600 * 730])


def test_own_kit_runs_until_the_last_work_of_its_pool():
    """Support of the 24 of old ends with month 4: own ones draw power until then; neither that nor people go on, and no limit counts them."""
    owned = order(24, -8, None, place=("eu", "old"), option="purchase")
    plan = with_people(PLAN)
    _, moved, moves = decide(owned, plan=plan, supported_to=month(4))
    assert moves[0].guests[0].share.tolist() == [1.0] * 5 + [0.0] * 8
    pool = moved.streams.pools["accelerator_id"].tolist().index("old")
    assert moved.on_site[:, pool].tolist() == [24.0] * 5 + [0.0] * 8
    solution = solve_expected(moved)
    assert solution.ledger.compute.lines["Own site: energy"][1:, pool].astype(bool).tolist() == [True] * 4 + [False] * 8
    assert solution.ledger.compute.paid_hours[1:, pool].tolist() == [24 * 730.0] * 4 + [0.0] * 8


@pytest.mark.parametrize(("ends", "held"), [(4, 12.0), (6, 12.0), (8, 20.0)])
def test_no_kit_is_bought_for_a_short_time_to_hold_a_reserve(ends, held):
    """Where no hours are sold, the fleet of twenty stands ready; twelve that stand are enough for work that ends within half a year."""
    case, _, _ = decide(order(12, -8, None), prices=NO_HOURS)
    load = case.loads[EXPECTED]
    over = np.arange(13) > ends
    ended = replace(load, level=np.where(over[:, None], 0.0, load.level), held=load.held & ~over[:, None])
    whole = case.slots.total(load.held * case.slots.size, 1)[1, 0]
    assert whole > 12
    assert _floor(case, ended)[0, 0] == (12.0 if held == 12.0 else whole)


def test_work_stays_until_what_was_ordered_before_comes():
    """After approval: 16 of acc are ordered and come in month 3, a new order would in month 4; until then chat goes on at its 24 of old."""
    owned = order(24, -8, None, place=("eu", "old"), option="purchase")
    coming = order(16, 3, None, ordered=-1, option="purchase")
    case, _, moves = decide(owned, coming, today=AT_OLD, prices=NO_HOURS, supported_to=month(6))
    assert delivery_to(case, ("eu", "acc")) == Delivery(2, True)
    assert [(m.stays_to, m.needed, m.guests[0].share[1:].tolist()) for m in moves] == [
        (2, True, [1.0] * 2 + [0.0] * 10)
    ]
    assert f"from {month(1)} to {month(2)}, all of it later on acc: no hours of acc are sold there" in moves[
        0
    ].sentence(case.streams.months)
    assert delivery_to(case, ("eu", "old")) == Delivery()  # no pool of the plan
    none = decide(owned, prices=with_hours(1.0))[0]
    assert delivery_to(none, ("eu", "acc")) == Delivery(3, False)


def test_what_stands_takes_no_more_than_it_holds_where_others_could_serve():
    """Hours of acc cost USD 10: four of old, of which chat needs 24, take a sixth of its work until the order comes, and miss nothing."""
    dear = with_hours(1.0).query("purchase_option != 'on_demand'")
    hours = with_hours(1.0).query("purchase_option == 'on_demand' and accelerator_id == 'acc'")
    prices = pd.concat([dear, hours.assign(usd_per_accelerator_hour=10.0)], ignore_index=True)
    few = order(4, -8, None, place=("eu", "old"), option="purchase")
    case, moved, moves = decide(few, today=AT_OLD, prices=prices)
    assert all(move.stays_to == 0 and max(move.guests[0].share) <= 4 / 24 + 1e-9 for move in moves)
    before, after = (solve_expected(one).ledger.units_served.sum() for one in (case, moved))
    assert after == pytest.approx(before)


@pytest.mark.parametrize("weeks", [48.0, 52.0, 56.0, 500.0])
def test_an_order_that_never_comes_within_the_horizon(weeks):
    """Chat stays where it runs for all of the twelve months."""
    _, moved, moves = decide(today=AT_OLD, prices=with_hours(0.3, lead_weeks=weeks))
    assert [move.stays_to for move in moves] == [12]
    assert f"from {month(1)} on: while orders" in moves[0].sentence(moved.streams.months)


def test_one_known_in_its_region_alone_changes_once():
    """The move home is its port, wherever its platform of today is known from."""
    plain = decide(today=AT_OLD, prices=with_hours(1.0))[2][0]
    plan = PLAN.model_copy(update={"rework_share": 0.5, "porting_person_months": {"gpu": 2.0}})
    assert decide(today=AT_OLD, prices=with_hours(1.0), plan=plan)[2][0].rework_usd == plain.rework_usd == 0.0


def test_work_stays_no_longer_than_its_platform_is_supported():
    """Support ends after two of the three months of lead."""
    moves = decide(today=AT_OLD, prices=with_hours(1.0), supported_to=month(2))[2]
    assert [(move.stays_to, move.saving_usd) for move in moves] == [(2, pytest.approx(2 * 730 * (8 * 4.0 - 16 * 1.0)))]
