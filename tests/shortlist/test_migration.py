"""Migration break-even: closed forms against plain month by month sums."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.shortlist.migration import COLUMNS, break_even_units, payback_months, plan_migrations
from aifactory.shortlist.money import in_shared_nodes, level_factors


def months_by_hand(cost, saving, yearly):
    """First month whose discounted savings so far cover the cost, with the part of it that is needed."""
    rate, left, month = (1 + yearly) ** (1 / 12) - 1, cost, 0
    while left > 0 and month < 5000:
        month += 1
        worth = saving / (1 + rate) ** month
        if worth >= left:
            return month - 1, month
        left -= worth
    return (0, 0) if cost <= 0 else (np.inf, np.inf)


@given(st.floats(0, 1e6), st.floats(1, 1e5), st.floats(0, 0.3))
@settings(max_examples=60)
def test_payback_lies_in_the_month_that_a_plain_sum_finds(cost, saving, yearly):
    found = float(payback_months(cost, saving, yearly))
    first, last = months_by_hand(cost, saving, yearly)
    if found > 4000:
        assert first > 3000
    else:
        assert first - 1e-6 <= found <= last + 1e-6


def test_limits_of_payback():
    assert payback_months(100.0, 0.0) == np.inf
    assert payback_months(100.0, -5.0, 0.1) == np.inf
    assert payback_months(0.0, 5.0, 0.1) == 0.0
    assert payback_months(-50.0, -5.0) == np.inf
    assert payback_months(1e6, 1.0, 0.1) == np.inf  # interest alone eats the saving
    assert np.isnan(payback_months(np.nan, 1.0))


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(1e-6, 10), st.floats(1, 60))
@settings(max_examples=40)
def test_at_the_break_even_volume_the_move_costs_nothing(cost, rework, saving, months):
    units = float(break_even_units(cost, rework, saving, months))
    assert units * saving * months == pytest.approx(cost + rework * months)


def test_no_volume_helps_where_no_unit_is_cheaper():
    assert break_even_units(10.0, 0.0, -0.1, 36) == np.inf
    assert np.isnan(break_even_units(10.0, 0.0, np.nan, 36))


def test_what_runs_on_a_specialised_platform_today_has_nothing_to_pay_back(sample_short):
    """Its own platform is no move; every other stays in the table."""
    ws, short = sample_short.ws, sample_short.shortlist
    row = sample_short.migrations.iloc[0]
    stated = ws.plan.baseline_accelerators | {row["use_case_id"]: row["accelerator_id"]}
    there = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"baseline_accelerators": stated}))
    moves = plan_migrations(
        there, sample_short.inventory, short.matrix, in_shared_nodes(short.penalties, own_nodes=True), short.exclusions
    )
    pairs = [
        list(zip(table["use_case_id"], table["accelerator_id"], strict=True))
        for table in (sample_short.migrations, moves)
    ]
    assert set(pairs[0]) - set(pairs[1]) == {(row["use_case_id"], row["accelerator_id"])}


def test_moves_are_priced_against_the_best_measured_general_platform(sample_short):
    table, costs = (
        sample_short.migrations,
        in_shared_nodes(sample_short.shortlist.penalties, own_nodes=True).set_index(["use_case_id", "accelerator_id"]),
    )
    assert list(table.columns) == COLUMNS
    assert len(table)
    running = ["compute_usd", "sla_miss_usd", "rework_usd"]
    for row in table.itertuples(index=False):
        old, new = (costs.loc[(row.use_case_id, chip)] for chip in (row.from_accelerator_id, row.accelerator_id))
        once = ["porting_usd", "launch_delay_usd", "until_ported_usd"]
        assert row.one_off_usd == pytest.approx(new[once].sum() - old[once].sum())
        level = level_factors(sample_short.ws).sum()
        saved = (old[running].sum() - new[running].sum()) / level
        assert row.saving_usd_per_month == pytest.approx(saved, abs=1e-6)
        # over the horizon the move pays exactly when the totals say so
        assert (row.payback_months_discounted <= sample_short.horizon) == (new["total_usd"] <= old["total_usd"])


def test_pays_means_the_same_in_months_volume_and_changes(sample_short):
    table = sample_short.migrations
    yearly = sample_short.changes
    pays = table["payback_months_discounted"] <= sample_short.horizon
    known = table["units_per_month"].notna()
    assert (pays == (table["units_per_month"] >= table["break_even_units_per_month"]))[known].all()
    assert (pays == (table["bearable_changes_per_year"] >= table["use_case_id"].map(yearly)))[known].all()


def test_units_a_month_are_level_ones_of_all_regions(sample_short):
    """The price of a thousand units times them is the level payment for compute; regions add up."""
    table = sample_short.migrations
    costs = sample_short.shortlist.penalties.set_index(["use_case_id", "accelerator_id"])
    level = level_factors(sample_short.ws).sum()
    forecast = sample_short.inventory.forecast.query("scenario == 'expected'")
    monthly = forecast.groupby(["use_case_id", "month"])["units"].sum().groupby("use_case_id")
    assert forecast.groupby("use_case_id")["region"].nunique().loc[table["use_case_id"]].max() > 1
    for row in table.itertuples(index=False):
        base = costs.loc[(row.use_case_id, row.from_accelerator_id)]
        assert row.units_per_month * base["usd_per_1k_units"] / 1000 == pytest.approx(base["compute_usd"] / level)
        assert monthly.min()[row.use_case_id] <= row.units_per_month <= monthly.max()[row.use_case_id]
