"""Penalties in money: compute on the plan's terms, missed service, delay and porting over the horizon."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_cases import A100, H100, TPU, cells, inventory, market, offer

from aifactory.inputs.plan import PortUnderWay
from aifactory.shortlist.money import (
    PARTS,
    PENALTY_COLUMNS,
    beside,
    buy_cells,
    horizon_costs,
    level_factors,
    needed_capacity,
)
from aifactory.shortlist.plan_terms import price_cells

PER_HOUR = 100.0
TPU_CELL = {"accelerator_id": TPU, "platform_class": "tpu"}


def costs(ws, *rows, demand=None, today=H100, prices=()):
    """Costs of cells, every chip at USD 2 an hour unless `prices` says otherwise."""
    offers = [
        offer(ws, accelerator_id=chip, usd_per_accelerator_hour=dict(prices).get(chip, 2.0))
        for chip in (H100, A100, TPU)
    ]
    return of_market(market(ws, demand or inventory(per_hour=PER_HOUR), *offers, today=today), cells(*rows or [{}]))


def of_market(mine, rows):
    return horizon_costs(mine.ws, mine.inventory, buy_cells(mine, rows))


def one(ws, demand=None, **changes):
    return costs(ws, changes, demand=demand).iloc[0]


#: Chat that is to come.
TO_COME = inventory(per_hour=PER_HOUR, runs=False)


def test_compute_is_what_the_plan_would_pay(mini_ws):
    offers = [offer(mini_ws, accelerator_id=chip) for chip in (H100, A100, TPU)]
    alone = price_cells(market(mini_ws, inventory(per_hour=PER_HOUR), *offers), cells({})).iloc[0]
    row = one(mini_ws)
    assert row["compute_usd"] == alone["compute_usd"] > 0
    assert row["terms"] == alone["terms"] == "on demand 100 %"


def test_the_unit_cost_is_the_level_price_of_a_thousand(mini_ws):
    row = one(mini_ws)
    units = PER_HOUR * 730 * level_factors(mini_ws).sum()
    assert row["usd_per_1k_units"] * units / 1000 == pytest.approx(row["compute_usd"])


def test_failed_units_cost_the_share_of_value_that_is_lost(mini_ws):
    # 5 % of the units at 0.01 USD, half attributed, half lost, each month at its present value
    expected = 0.05 * PER_HOUR * 730 * 0.01 * 0.5 * 0.5 * level_factors(mini_ws).sum()
    assert one(mini_ws, failure_rate=0.05)["sla_miss_usd"] == pytest.approx(expected)
    assert one(mini_ws, failure_rate=np.nan)["sla_miss_usd"] == 0.0


def test_a_move_to_another_class_costs_porting_and_a_launch_delay(mini_ws):
    row = one(mini_ws, demand=TO_COME, **TPU_CELL)
    assert (row["launch_delay_usd"], row["until_ported_usd"], row["porting_usd"]) == (2 * 40_000, 0.0, 5 * 16_000)
    inside = one(mini_ws, demand=TO_COME)
    assert (inside["launch_delay_usd"], inside["porting_usd"]) == (0.0, 0.0)


@pytest.mark.parametrize(("usd", "delay", "months"), [(1.0, 2.0, 2), (1.0, 2.5, 3), (1.0, 0.0, 1), (5.0, 2.0, 2), (2.0, 2.0, 2), (1.0, 99.0, 36)])  # fmt: skip
def test_what_runs_stays_on_its_platform_until_the_port_ends(changed, usd, delay, months):
    """At level demand the first months of 36, at their present value, cost the H100's USD 2 and not the TPU's; nothing is delayed."""
    ws = changed(plan={"launch_delay_months": {"tpu": delay}})
    table = costs(ws, {}, TPU_CELL, prices={TPU: usd}).set_index("accelerator_id")
    early = level_factors(ws)[:months].sum() / level_factors(ws).sum()
    more = table.at[H100, "compute_usd"] - table.at[TPU, "compute_usd"]
    assert table.at[TPU, "until_ported_usd"] == pytest.approx(more * early, abs=1e-6)
    assert np.sign(round(more, 3)) == np.sign(2.0 - usd) and (table["launch_delay_usd"] == 0).all()
    assert table.at[H100, "until_ported_usd"] == 0.0
    assert table.at[TPU, "total_usd"] == pytest.approx(table.loc[TPU, PARTS].sum())


def test_until_the_port_ends_kit_that_stands_costs_its_running_alone(changed, mini_ws):
    """H100 are reserved until May 2027: for two months they save what the TPU would rent for, though they cost twice as much after."""
    book = mini_ws.table("commitments").reindex([0]).assign(
        order_id="held", region="us", accelerator_id=H100, purchase_option="reserved_1y", accelerators=160,
        order_month="2026-05", start_month="2026-05", end_month="2027-05", usd_per_accelerator_hour=9.0,
    )  # fmt: skip
    ws = changed(commitments=book)
    table = costs(ws, {}, TPU_CELL, prices={TPU: 1.0}).set_index("accelerator_id")
    early = level_factors(ws)[:2].sum() / level_factors(ws).sum()
    assert table.at[TPU, "terms"] == "on demand 100 %"
    assert table.at[TPU, "until_ported_usd"] == pytest.approx(-table.at[TPU, "compute_usd"] * early)
    assert table.at[H100, "compute_usd"] > table.at[TPU, "compute_usd"]


def test_what_todays_platform_would_cost_until_then_counts_only_where_it_has_a_price(mini_ws):
    """Alone in the table the TPU has nothing to be compared with."""
    assert one(mini_ws, **TPU_CELL)["until_ported_usd"] == 0.0


@pytest.mark.parametrize(
    ("launch", "late"),
    [("2027-01", 0), ("2026-12", 1), ("2026-11", 2), ("2026-10", 2), (None, 2), ("2027-06", 0)],
)
def test_a_port_that_ends_before_the_launch_delays_nothing(mini_ws, launch, late):
    """Two months of work from the end of October 2026: a launch in January waits for nothing, one in December a month."""
    cases = mini_ws.table("use_cases")
    months = cases["launch_month"].astype(object).mask(cases["use_case_id"] == "chat", launch)
    launches = months.astype("str").where(months.notna())
    ws = replace(mini_ws, tables={**mini_ws.tables, "use_cases": cases.assign(launch_month=launches)})
    row = one(ws, demand=TO_COME, **TPU_CELL)
    assert (row["launch_delay_usd"], row["porting_usd"]) == (late * 40_000, 5 * 16_000)
    assert row["total_usd"] == pytest.approx(row[PARTS].sum())


@pytest.mark.parametrize(
    ("to", "begun", "months", "paid"),
    [("tpu", "2026-09", 1, True), ("tpu", "2026-10", 2, True), ("tpu", "2026-06", 0, True), ("tpu", "2026-11", 2, False), ("trainium", "2026-09", 2, False)],
)  # fmt: skip
def test_a_port_under_way_is_charged_no_more_and_delays_by_what_is_left(changed, to, begun, months, paid):
    """Two months of work, begun at the end of a month up to October 2026; what begins later, or goes elsewhere, is still to be paid."""
    port = PortUnderWay(use_case_id="chat", platform_class=to, begun=begun)
    ws = changed(plan={"ports_under_way": [port]})
    row = one(ws, demand=TO_COME, **TPU_CELL)
    assert (row["launch_delay_usd"], row["porting_usd"]) == (months * 40_000, 0.0 if paid else 5 * 16_000)
    assert row["total_usd"] == pytest.approx(row[PARTS].sum())
    runs = costs(ws, {}, TPU_CELL, prices={TPU: 1.0}).set_index("accelerator_id")
    early = level_factors(ws)[:months].sum() / level_factors(ws).sum()
    more = runs.at[H100, "compute_usd"] - runs.at[TPU, "compute_usd"]
    assert runs.at[TPU, "until_ported_usd"] == pytest.approx(more * early) and runs.at[TPU, "launch_delay_usd"] == 0


def test_the_class_of_today_is_that_of_the_baseline(changed):
    ws = changed(plan={"baseline_accelerators": {"chat": TPU}})
    table = costs(ws, {}, TPU_CELL)
    assert table["porting_usd"].tolist() == [0.5 * 16_000, 0.0]
    assert table["launch_delay_usd"].tolist() == [0.0, 0.0]


def test_a_class_without_an_entry_costs_nothing_to_move_to(changed):
    ws = changed(plan={"porting_person_months": {}, "launch_delay_months": {}})
    for row in (one(ws, **TPU_CELL), one(ws, demand=TO_COME, **TPU_CELL)):
        assert (row["launch_delay_usd"], row["until_ported_usd"], row["porting_usd"]) == (0.0, 0.0, 0.0)


def test_penalties_can_change_which_platform_is_cheapest(mini_ws):
    small = inventory(per_hour=4.0)
    table = costs(mini_ws, {}, TPU_CELL, demand=small, prices={TPU: 1.9})
    assert table["cheapest_before_penalties"].tolist() == [False, True]
    assert table["cheapest_after_penalties"].tolist() == [True, False]


def test_parts_add_up_and_unknown_prices_stay_unknown(mini_ws):
    found = of_market(market(mini_ws, inventory(), offer(mini_ws)), cells({}, {"accelerator_id": A100}))
    table = found.set_index("accelerator_id")
    assert table.at[H100, "total_usd"] == pytest.approx(table.loc[H100, PARTS].sum())
    assert np.isnan(table.at[A100, "total_usd"])
    assert table.at[A100, "no_offer_in"] == "us"
    assert not table.at[A100, "cheapest_after_penalties"]


def test_cells_without_capacity_have_no_row(mini_ws):
    rows = {"units_per_s_per_accelerator": 0.0}, {"units_per_s_per_accelerator": np.nan}
    table = costs(mini_ws, *rows)
    assert table.empty
    assert list(table.columns) == PENALTY_COLUMNS
    assert costs(mini_ws, {}, {"accelerator_id": A100, **rows[0]})["accelerator_id"].tolist() == [H100]


def test_a_use_case_without_demand_has_no_cost(mini_ws):
    assert np.isnan(one(mini_ws, inventory(use_case="images"))["total_usd"])


def test_every_use_case_has_one_cheapest_platform(road):
    found = road.shortlist.penalties
    assert found.groupby("use_case_id")["cheapest_after_penalties"].sum().eq(1).all()
    assert (found["total_low_usd"] <= found["total_usd"]).all()
    assert (found["total_usd"] <= found["total_high_usd"]).all()


def test_each_change_of_prompts_costs_a_share_of_the_porting_again(changed, mini_ws):
    # stability is not stated: 4 changes a year for 3 years, a tenth of 5 person-months each, spread over the months, in
    # which pay rises
    inflation = mini_ws.plan.value("cost_inflation")
    assert inflation > 0
    spread = np.mean(level_factors(mini_ws) * [(1 + inflation) ** (month / 12) for month in range(1, 37)])
    assert one(mini_ws, **TPU_CELL)["rework_usd"] == pytest.approx(0.1 * 5 * 16_000 * 12 * spread)
    stable = changed(use_cases=mini_ws.table("use_cases").assign(demand_stability="stable"))
    assert one(stable, **TPU_CELL)["rework_usd"] == pytest.approx(0.1 * 5 * 16_000 * 3 * spread)
    assert one(changed(plan={"rework_share": 0.0}), **TPU_CELL)["rework_usd"] == 0.0


def test_prompts_change_in_the_months_with_demand_alone(mini_ws):
    """Launched in month 8 and retired after month 20: thirteen months of four changes a year, each half a person-month."""
    coming = inventory(per_hour=PER_HOUR)
    month = coming.forecast.groupby("scenario").cumcount() + 1
    some = SimpleNamespace(
        **vars(coming)
        | {"forecast": coming.forecast.assign(units=coming.forecast["units"].where(month.between(8, 20), 0.0))}
    )
    inflation = mini_ws.plan.value("cost_inflation")
    wacc = mini_ws.plan.value("wacc")
    paid = sum(0.1 * 5 * 16_000 * 4 / 12 * ((1 + inflation) / (1 + wacc)) ** (t / 12) for t in range(8, 21))
    assert one(mini_ws, demand=some, **TPU_CELL)["rework_usd"] == pytest.approx(paid)


def test_the_ends_of_capacity_are_priced_on_the_same_terms(mini_ws):
    row = one(mini_ws, low=0.5 / 3600, high=2 / 3600)
    rest = row["total_usd"] - row["compute_usd"]
    for name, rate in (("total_high_usd", 0.5), ("total_low_usd", 2.0)):
        alone = one(mini_ws, units_per_s_per_accelerator=rate / 3600)["compute_usd"]
        assert row[name] == pytest.approx(rest + alone)
    assert one(mini_ws, low=0.0, high=2 / 3600)["total_high_usd"] == np.inf
    assert one(mini_ws, low=np.nan, high=np.nan)["total_high_usd"] == pytest.approx(one(mini_ws)["total_usd"])


CELL = {"low": 1.0, "units_per_s_per_accelerator": 2.0, "high": 4.0}


def needed(target, **changes):
    money = {"compute_usd": 90.0, "total_usd": 100.0, "total_low_usd": 55.0, "total_high_usd": 190.0}
    return float(needed_capacity(pd.DataFrame([{**CELL, **money, **changes}]), target)[0])


def test_the_capacity_that_is_needed_lies_on_the_curve_through_the_interval():
    assert [needed(target) for target in (190.0, 100.0, 55.0)] == pytest.approx([1.0, 2.0, 4.0])
    assert needed(280.0) == pytest.approx(1.0 * 180 / 270)
    assert np.isnan(needed(10.0))  # what is not compute costs as much
    assert np.isnan(needed(np.nan))
    assert needed(55.0, low=np.nan, high=np.nan) == pytest.approx(2.0 * 90 / 45)
    flat = {"total_low_usd": 100.0, "total_high_usd": 100.0}
    assert needed(55.0, **flat) == pytest.approx(4.0 * 90 / 45)  # a whole node: nothing is gained inside the interval
    assert needed(100.0, **flat) == needed(100.0, total_high_usd=100.0) == 1.0  # nor lost
    assert needed(100.0, total_low_usd=100.0) == pytest.approx(2.0)


@given(st.floats(15, 1000), st.floats(15, 1000))
def test_a_lower_target_needs_more_capacity(first, second):
    low, high = sorted((first, second))
    assert needed(low) >= needed(high) * (1 - 1e-12)


def test_nodes_of_its_own_are_no_way_out_where_alone_it_finds_what_stands():
    """Beside the others both cells are dearer: one for the size of node of its pool, one since others take the room on standing kit."""
    table = pd.DataFrame({"beside_usd": [9.0, 9.0, 3.0], "total_usd": [5.0, 5.0, 5.0],
                          "terms": ["purchase 100 %", "owned or committed before 60 %, purchase 40 %", None]})  # fmt: skip
    assert beside(table, "total_usd").tolist() == [9.0, 9.0, 3.0]
    assert beside(table, "total_usd", own_nodes=True).tolist() == [5.0, 9.0, 3.0]
