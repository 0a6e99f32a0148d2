"""Capacity that is paid for serves before more is rented, and the chosen platform follows when it ends."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, make_case, make_inputs, make_plan, make_prices
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_company import ABOUT, PLAN, PRICES, RENT, TERM, decide, facts, spent, with_people
from test_placed import book_of, month, order

from aifactory.buyplan import paid_kit
from aifactory.buyplan.case import case_terms, rebuilt, solve_case, solve_expected
from aifactory.buyplan.governance import money
from aifactory.buyplan.ledger import UNUSED
from aifactory.buyplan.moves_told import move_sentences, moves_frame
from aifactory.buyplan.paid_kit import idle_accelerators
from aifactory.buyplan.placed_notes import served_elsewhere
from aifactory.buyplan.prepare import with_hosted
from aifactory.buyplan.statements import approved_plan_frame
from aifactory.fleet.compute import PLACED
from aifactory.fleet.guests import guest_of, with_guests
from aifactory.fleet.streams import EXPECTED
from aifactory.inputs.hosted import HOSTED_ONLY, RUNS_HOSTED


def test_what_is_committed_serves_until_its_term_ends():
    """Four months on `old` (24 of it hold chat's peak of 12 accelerators at half the rate), then hours of `acc` at USD 4.

    Apart, acc works 16 by day and 8 by night, 12 on average; without chat the four of training: eight less, at USD 4.
    """
    case, moved, moves = decide(TERM)
    assert [(m.guests[0].use_case_id, m.home_id, m.place) for m in moves] == [("chat", "acc", ("eu", "old"))]
    assert moves[0].guests[0].share.tolist() == [1.0] * 5 + [0.0] * 8
    assert moves[0].saving_usd == pytest.approx(4 * 730 * 8 * 4.0)
    assert spent(case) == pytest.approx(12 * 730 * 12 * 4.0 + 4 * RENT)
    assert spent(case) - spent(moved) == pytest.approx(moves[0].saving_usd)
    lines = solve_expected(moved).ledger.lines
    assert UNUSED in solve_expected(case).ledger.lines and UNUSED not in lines
    assert lines[PLACED].tolist() == [0.0] + [RENT] * 4 + [0.0] * 8
    assert lines["On demand"].tolist() == pytest.approx([0.0] + [4 * 730 * 4.0] * 4 + [12 * 730 * 4.0] * 8)
    said = moves[0].sentence(moved.streams.months)
    assert (
        said.startswith(f"chat in eu runs on old from {month(1)} to {month(4)}, all of it later on acc:")
        and "93,440" in said
    )


def test_what_stands_serves_until_its_support_ends():
    """Twenty-four of `old` are reserved for the whole year and supported to the end of month 3: eight hours of `acc` less for three months."""
    held = order(24, -8, 13, place=("eu", "old"))
    ends = {"excluded": True, "rule": "support end", "supported_to": month(3)}
    _, moved, (move,) = decide(held, **ends)
    assert move.guests[0].share.tolist() == [1.0] * 4 + [0.0] * 9
    assert move.saving_usd == pytest.approx(3 * 730 * 8 * 4.0)
    said = f"chat in eu runs on old from {month(1)} to {month(3)}, when its support ends, all of it later on acc:"
    assert move.sentence(moved.streams.months).startswith(said)
    assert decide(held, **{**ends, "supported_to": month(0)})[2] == []
    assert decide(held, **{**ends, "rule": "policy"})[2] == []


def test_what_ends_with_its_work_has_no_later_platform():
    """Chat ends after month 6 on kit that stands for the whole year."""
    held = order(24, -8, 13, place=("eu", "old"))
    _, moved, (move,) = decide(held)
    ended = replace(move, guests=(replace(move.guests[0], share=np.array([1.0] * 7 + [0.0] * 6)),), last_work=6)
    assert move.last_work == 12
    assert ended.sentence(moved.streams.months).startswith(f"chat in eu runs on old from {month(1)} on: that capacity")


def test_people_and_storage_go_with_kit_that_stands_once_it_works():
    """USD 1 an accelerator-hour: eight hours of `acc` less at 4 + 1, and twenty-four of `old` that bear it, as in the ledger."""
    case, moved, moves = decide(TERM, plan=with_people(PLAN))
    assert moves[0].saving_usd == pytest.approx(4 * 730 * (8 * 5.0 - 24))
    assert spent(case) - spent(moved) == pytest.approx(moves[0].saving_usd)


def test_it_serves_what_it_holds_and_the_rest_stays():
    """Twelve hold half of chat, 6 of `acc` by day and 2 by night: what stays takes 10 and 6, so 12 and 8 in whole nodes, not 16 and 8."""
    case, moved, moves = decide(order(12, -8, 5, place=("eu", "old")))
    assert moves[0].guests[0].share[1:5] == pytest.approx(0.5)
    assert spent(case) - spent(moved) == pytest.approx(4 * 730 * 4.0 * (12 - 10))
    assert "by 50 %" in moves[0].sentence(moved.streams.months) and "the rest and all of it later on acc" in moves[
        0
    ].sentence(moved.streams.months)


def test_work_to_move_must_pay_and_be_done_first():
    """Two months of work leave two of the term: eight accelerators less for 1,460 hours are USD 46,720."""
    _, moved, moves = decide(TERM, porting=40_000.0)
    assert moves[0].guests[0].share.tolist() == [0.0] * 3 + [1.0] * 2 + [0.0] * 8
    assert moves[0].saving_usd == pytest.approx(2 * 730 * 8 * 4.0 - 40_000)
    assert solve_expected(moved).ledger.lines["Porting"].sum() == pytest.approx(40_000)
    assert decide(TERM, porting=47_000.0)[2] == []


SMALL = {"chat": 0.5, "train": 3.0}


def test_the_idle_part_of_a_node_serves_at_what_it_costs_to_run():
    """Training keeps three of a node of four busy; chat peaks at 0.75 there, on `old` it rents a node of four in all hours."""
    case, moved, moves = decide(order(4, -8, 60), home="old", demand=SMALL)
    assert idle_accelerators(case, {"old": 4.0}) == {("eu", "acc"): pytest.approx(np.ones(13))}
    assert [(m.guests[0].use_case_id, m.home_id, m.place) for m in moves] == [("chat", "old", ("eu", "acc"))]
    assert (moves[0].guests[0].share == 1.0).all() and moved.streams.pools["accelerator_id"].tolist() == ["acc"]
    assert moves[0].saving_usd == pytest.approx(12 * 730 * 4 * 4.0)
    assert spent(case) - spent(moved) == pytest.approx(moves[0].saving_usd)
    assert decide(order(4, -8, 60), home="old", demand=SMALL | {"train": 4.0})[2] == []


def test_only_moves_that_matter_are_told_in_words():
    """USD 93,440 and 786 saved: of a plan of a million the second is below a thousandth, of half a million it is not."""
    large = decide(TERM)[2][0]
    small = replace(large, guests=(replace(large.guests[0], use_case_id="train"),), saving_usd=786.0)
    months = [month(step) for step in range(13)]
    told, rest = move_sentences([small, large], months, 1e6)
    assert told == [large.sentence(months)]
    assert rest == ["1 move to idle capacity saves USD 786 at present value, below 0.1 % of the plan's cost: see table moves."]  # fmt: skip
    assert move_sentences([small, large], months, 5e5) == ([large.sentence(months), small.sentence(months)], [])
    table = moves_frame([small, large], months)
    assert table["use_case_id"].tolist() == ["chat", "train"]
    first = table.loc[0, ["from_id", "to_id", "first_month", "last_month", "share_low", "measured"]]
    assert first.tolist() == ["acc", "old", month(1), month(4), 1.0, True]
    assert table["move_saving_usd"].tolist() == [pytest.approx(93_440.0), 786.0]
    assert 0 < large.least_usd < large.saving_usd and table["move_least_usd"].tolist()[0] == large.least_usd
    mark = f"; below {money(large.least_usd)} it would not be made: a change of inputs that takes it there raises the cost of the plan by as much."
    assert large.sentence(months).endswith(mark)
    assert replace(large, least_usd=0.0).sentence(months) == large.sentence(months).replace(mark, ".")


@pytest.mark.parametrize(("replica", "share"), [(1.0, 1.0), (2.0, 0.0)])
def test_a_part_that_holds_no_replica_serves_nothing(replica, share):
    case = decide(order(4, -8, 60), home="old", demand=SMALL)[0]
    cell = facts().capacity.iloc[0].copy()
    cell["replica_accelerators"] = replica
    room = paid_kit.room_on(case.streams, cell, "eu", np.ones(13), 1, case, facts())
    assert room[1:].clip(max=1.0) == pytest.approx(share)


def test_a_predicted_rate_waits_for_a_pilot_and_must_pay_on_average_over_its_interval():
    """Months 1 to 3 are the pilot's; month 4 saves eight accelerators. At 0.9 of the rate a node more of `old` is rented by day, USD
    5,840; at 0.5 chat peaks at 48 there, and 24 more by day cost USD 35,040."""
    moves = decide(TERM, tier="anchored")[2]
    assert moves[0].guests[0].share.tolist() == [0.0] * 4 + [1.0] + [0.0] * 8
    assert moves[0].saving_usd == pytest.approx(730 * 8 * 4.0)
    assert "test it on own prompts before" in moves[0].sentence([month(step) for step in range(13)])
    assert moves[0].low_usd == pytest.approx(730 * 8 * 4.0 - 5_840.0) and moves[0].loss_probability == 0.0
    assert "lose" not in moves[0].sentence([month(step) for step in range(13)])
    half = decide(TERM, tier="anchored", low=0.5)[2][0]
    assert half.saving_usd == moves[0].saving_usd and half.low_usd == pytest.approx(730 * 8 * 4.0 - 35_040.0)
    # a third of the distance from the low end, P10, to the middle loses: 2 / 3 of 1.28 standard deviations
    assert half.loss_probability == pytest.approx(0.1965, abs=1e-4)
    told = half.sentence([month(step) for step in range(13)])
    assert "at the low end of the rate it would lose USD 11,680, and the chance of a loss is 20 %" in told
    assert decide(TERM, tier="anchored", low=0.25)[2] == decide(TERM, tier="anchored", low=np.nan)[2] == []
    assert len(decide(TERM, low=0.25)[2]) == 1 and np.isnan(decide(TERM, low=0.25)[2][0].low_usd)  # measured


def test_a_predicted_rate_must_save_more_than_its_test_costs():
    """The month saves USD 23,360 at the rate, 17,520 at its low end and 23,360 at the high one: 21,608 in the mean, of which 2,102 must be left."""
    half = {"benchmark_person_months": 0.5}
    for usd, count in ((35_000.0, 1), (40_000.0, 0)):
        plan = make_plan(
            values=half | {"engineer_usd_per_month": usd},
            candidates=["acc", "old"],
            porting_person_months={"gpu": 0.0},
            launch_delay_months={"gpu": 2.0},
        )
        assert len(decide(TERM, tier="anchored", plan=plan)[2]) == count
        assert len(decide(TERM, plan=plan)[2]) == 1  # measured


def test_moves_are_taken_while_the_mean_over_the_interval_pays():
    """The mean saving falls with the low end until the move is left out."""
    found = {low: decide(TERM, tier="anchored", low=low)[2] for low in (0.5, 0.4, 0.3, 0.2, 0.1)}
    taken = [move[0] for move in found.values() if move]
    high = taken[0].saving_usd
    assert 0 < len(taken) < len(found)
    for move in taken:
        assert 0.3 * move.low_usd + 0.4 * move.saving_usd + 0.3 * high > 0


def test_changes_that_are_made_twice_are_counted():
    """Both serve for 4 of 12 months; there and back each cost a tenth of half a month's work at USD 20,000."""
    half, plan = order(12, -8, 5, place=("eu", "old")), make_plan(
        values={"engineer_usd_per_month": 20_000.0}, candidates=["acc", "old"], porting_person_months={"gpu": 0.5},
        launch_delay_months={"gpu": 2.0},
    )  # fmt: skip
    moves = decide(half, rework=30_000.0, plan=plan)[2]
    assert moves[0].rework_usd == pytest.approx(30_000 * 4 / 12 + 2 * 0.1 * 0.5 * 20_000)
    assert moves[0].saving_usd == pytest.approx(4 * 730 * 4.0 * (12 - 10) - moves[0].rework_usd)
    assert "USD 12,000 of work for it counted" in moves[0].sentence([month(step) for step in range(13)])
    assert decide(half, rework=70_000.0)[2] == []
    assert decide(TERM, rework=900_000.0)[2][0].rework_usd == 0.0  # all of it moves, and porting costs nothing


def test_what_stays_for_a_while_where_it_runs_changes_once_and_that_is_its_porting():
    half, plan = order(12, -8, 5, place=("eu", "old")), make_plan(
        values={"engineer_usd_per_month": 20_000.0}, candidates=["acc", "old"], porting_person_months={"gpu": 0.5},
        launch_delay_months={"gpu": 2.0},
    )  # fmt: skip
    stays, comes = (
        decide(half, rework=30_000.0, plan=plan, runs_on=on)[2][0] for on in ({"chat": "old"}, {"chat": "acc"})
    )
    assert stays.rework_usd == pytest.approx(30_000 * 4 / 12)  # both serve for 4 of 12 months
    assert comes.rework_usd == pytest.approx(30_000 * 4 / 12 + 2 * 0.1 * 0.5 * 20_000)


def test_what_starts_later_leaves_nothing_behind_and_has_its_own_chance():
    """Chat starts in month 4 and runs on `old` from then on: there is no row of `acc`, and its fleet is the one of `old`."""
    case = make_case(plan=PLAN, prices=PRICES, inputs={"accelerators": ABOUT})
    chat = (case.streams.table["use_case_id"] == "chat").to_numpy()
    units = np.where(chat & (np.arange(13) < 4)[:, None], 0.0, case.streams.units)
    cell = facts().capacity.iloc[1]
    cell = pd.concat([cell, pd.Series({"in_progress_per_accelerator": 4.0, "spread_constant": 1.0})])
    guest = guest_of(cell, "eu", (np.arange(13) >= 4).astype(float))
    later = with_guests(replace(case.streams, units=units), [guest], ABOUT, PLAN)
    assert later.table[["use_case_id", "accelerator_id"]].to_numpy().tolist() == [["train", "acc"], ["chat", "old"]]
    always = with_guests(case.streams, [guest_of(cell, "eu", np.ones(13))], ABOUT, PLAN)
    assert always.chance[:, 1] == pytest.approx(1 + 1 / np.sqrt(24 * 1.4 * 4))


@pytest.mark.parametrize("changes", [{"excluded": True}, {"rate": np.nan}])
def test_what_cannot_run_there_or_is_not_known_stays(changes):
    assert decide(TERM, **changes)[2] == []


def test_nothing_moves_without_idle_nodes():
    assert decide()[2] == [] and decide(order(3, -8, 5, place=("eu", "old")))[2] == []
    assert decide(order(24, -8, 5, place=("us", "old")))[2] == []  # another region
    case = decide()[0]
    assert idle_accelerators(case, {"old": 4.0}) == {}
    busy = case.streams.not_sized.reindex([0]).assign(use_case_id="sums", region="eu", units_month=1.0, reason="x")
    held = replace(case, book=book_of(TERM), runs_on={"sums": "old"}, streams=replace(case.streams, not_sized=busy))
    assert idle_accelerators(held, {"old": 4.0}) == {}  # what the plan leaves out runs there


def test_tables_hold_each_use_case_and_accelerator_once():
    """Twelve of `old` hold part of chat's work to month 4, the rest and all of it later runs on `acc`."""
    _, moved, (move,) = decide(order(12, -8, 5, place=("eu", "old")))
    frame = approved_plan_frame(moved, solve_case(moved), PERIOD)
    assert not frame.duplicated(["month", "use_case_id", "region", "accelerator_id"]).any() and len(frame) == 24 + 4
    chat = frame[frame["use_case_id"] == "chat"].set_index(["month", "accelerator_id"])["units"].unstack()
    part = move.guests[0].share[1]
    assert 0 < part < 1
    assert chat["old"].iloc[:4].to_numpy() == pytest.approx(part * 8 * 3600 * 730) and chat["old"].iloc[4:].isna().all()
    assert chat.sum(axis=1).to_numpy() == pytest.approx(8 * 3600 * 730)
    assert moved.streams.today_units.sum(axis=1) == pytest.approx((8 * 3600 + 4) * 730)
    assert moved.streams.table["units_month"].sum() == pytest.approx((8 * 3600 + 4) * 730)


def test_an_order_is_paid_before_its_work_begins():
    """Chat leaves the 24 `old` after month 5 and `acc` is ordered three months before: in the month of the order nothing runs on `acc`."""
    sold = {"purchase_option": "purchase", "usd_per_accelerator": 9_000.0, "region": "*", "provider": "vendor", "lead_time_weeks": 12.0}  # fmt: skip
    hours = {"accelerator_id": "old", "purchase_option": "on_demand", "usd_per_accelerator_hour": 4.0}
    offers = make_prices(hours, sold, drop=["reserved_1y"])
    _, moved, moves = decide(
        order(24, -8, 6, place=("eu", "old")),
        prices=offers,
        demand={"train": 0.0},
        plan=make_plan(24, candidates=["acc", "old"], launch_delay_months={"gpu": 2.0}),
    )
    answer = solve_case(moved)
    money, frame = answer.expected.ledger.compute, approved_plan_frame(moved, answer, PERIOD)
    by_month = frame.groupby("month")["outlay_usd"].sum().to_numpy()
    net = money.capex_usd - money.residual_usd
    assert moves and net[1:5].max() > 0
    assert by_month == pytest.approx(np.r_[net[0] + net[1], net[2:]])
    assert frame["compute_cash_usd"].sum() == pytest.approx(frame["compute_usd"].sum())


def test_work_stands_under_the_accelerator_that_does_it():
    """Support of the 24 `old` ends with month 4; they stand idle for months 5 to 12, and chat works on `acc`."""
    _, moved, _ = decide(order(24, -8, None, place=("eu", "old")), supported_to=month(4))
    frame = approved_plan_frame(moved, solve_case(moved), PERIOD)
    chat = frame[frame["use_case_id"] == "chat"]
    work = chat[chat["units"] > 0]
    assert work["accelerator_id"].tolist() == ["old"] * 4 + ["acc"] * 8
    idle = chat[chat["units"] == 0]
    assert idle["accelerator_id"].tolist() == ["old"] * 8 and (idle["load_accelerators"] == 0).all()
    assert idle["accelerator_hours"].to_numpy() == pytest.approx(24 * 730)  # those that stand idle are paid for


@given(share=st.lists(st.floats(0.0, 1.0), min_size=13, max_size=13), rate=st.floats(0.1, 10.0))
@settings(max_examples=10)
def test_shares_divide_all_units_and_no_work_is_lost(share, rate):
    case = make_case(plan=PLAN, prices=PRICES, inputs={"accelerators": ABOUT}, growth={"aggressive": 0.02})
    guest = guest_of(facts(rate=rate).capacity.iloc[1], "eu", np.array(share))
    there = with_guests(case.streams, [guest], ABOUT, PLAN)
    assert there.units.sum(axis=2)[:, 1:] == pytest.approx(case.streams.units.sum(axis=2)[:, 1:])
    mine = (there.table["use_case_id"] == "chat").to_numpy()
    work = there.sized(there.units[EXPECTED])[1:, mine].sum(axis=1)
    parts = np.array(share[1:])
    assert work == pytest.approx(8 * (1 - parts + parts / rate))
    assert there.main.sum() == 2


def test_a_hosted_model_is_not_what_an_idle_accelerator_may_serve(tiny):
    """`edge` runs at a model that is sold hosted only; of a model of known weights idle accelerators may serve it."""
    inputs = make_inputs(PLAN)
    inputs["choice"] = inputs["choice"].iloc[:1]
    case = tiny(plan=PLAN, inputs=inputs)
    assert served_elsewhere(case, "eu", "edge") == ["train"]
    hosted = with_hosted(case.streams, {"train": HOSTED_ONLY})
    assert hosted.not_sized["reason"].tolist() == [HOSTED_ONLY]
    assert served_elsewhere(replace(case, streams=hosted), "eu", "edge") == []
    billed = with_hosted(case.streams, {"train": RUNS_HOSTED})
    assert served_elsewhere(replace(case, streams=billed), "eu", "edge") == []
    known = with_hosted(case.streams, {})
    assert served_elsewhere(replace(case, streams=known), "eu", "edge") == ["train"]


def test_kit_that_serves_what_is_expected_can_still_be_added_to(tiny):
    """Own kit holds all of the expected demand: a node more may still be ordered, for paths that ask for more."""
    case = tiny(plan=PLAN)
    full = rebuilt(replace(case, book=book_of(order(200, -8, 60, place=("eu", "acc")))), PLAN, case.streams)
    assert not (full.loads[EXPECTED].held & ~full.owned).any()
    assert (case_terms(full).available.any(axis=1) == case_terms(case).available.any(axis=1)).all()
    assert case_terms(full).available.any()


@pytest.mark.parametrize(("replica", "node", "fits"), [(4.0, 2, False), (2.0, 2, True), (np.nan, 2, True), (4.0, None, False), (1.0, None, True)])  # fmt: skip
def test_nodes_that_stand_must_hold_a_replica(replica, node, fits):
    """Cards of the catalogue stand alone; the pool of the plan, where there is one, has nodes of two."""
    pools = pd.DataFrame({"region": ["eu"], "accelerator_id": ["old" if node else "acc"], "accelerators_per_node": [node or 8]})  # fmt: skip
    case = SimpleNamespace(streams=SimpleNamespace(pools=pools))
    chip = pd.Series({"accelerators_per_node": 1.0, "largest_slice": np.nan})
    assert paid_kit._fits(case, {"accelerator_id": "old", "replica_accelerators": replica}, "eu", chip) is fits
