"""Named scenarios through orders and cost: by hand on the tiny company, limits, and the whole as oracle."""

import bp_company
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.case import solve_case
from aifactory.buyplan.what_ifs import COLUMNS, stream_factors, what_ifs_frame

PRICES = bp_company.make_prices(drop=("reserved_1y",))


def named(*rows):
    empty = dict.fromkeys(("use_case_id", "workload_class", "region", "first_month", "last_month", "note"))
    return pd.DataFrame([empty | {"scenario": "boom"} | row for row in rows])


def test_rented_hours_by_hand():
    """All on demand at USD 4.00: chat's 8 accelerators double in 2 of 12 months, 2 x 730 h x 8 more."""
    case = bp_company.make_case(prices=PRICES)
    table = named(
        {"use_case_id": "chat", "first_month": "2027-02", "last_month": "2027-03", "multiplier": 2.0, "note": "rush"}
    )
    row = what_ifs_frame(case, table).iloc[0]
    assert row[["scenario", "note", "first_month", "last_month"]].tolist() == ["boom", "rush", "2027-02", "2027-03"]
    # by the hour whole nodes of 4 work: chat and training use 16 by day and 8 by night, then 28 and 12
    assert row["usd_change"] == pytest.approx(2 * 730 * 4.0 * ((28 + 12) - (16 + 8)) / 2)
    # held with a reserve of 40 %: 12 x 1.4 + 4 = 20.8, then 24 x 1.4 + 4 = 37.6, in nodes of 4
    assert (row["accelerators_change"], row["change_month"]) == (40 - 24, "2027-02")
    assert row["commitment_usd_change"] == 0
    assert row["served_share"] == pytest.approx(1.0)


def test_a_scenario_that_multiplies_by_one_costs_nothing():
    case = bp_company.make_case()
    row = what_ifs_frame(case, named({"multiplier": 1.0})).iloc[0]
    assert row["usd_change"] == row["commitment_usd_change"] == row["accelerators_change"] == 0
    assert row[["first_month", "last_month", "change_month"]].tolist() == ["", "", ""]
    costs = sum(amount.sum() for amount in solve_case(case).expected.ledger.lines.values())
    assert row["usd_horizon"] == pytest.approx(costs)


def test_firm_orders_are_paid_though_demand_goes():
    """8 accelerators reserved for a year stay paid; what was rented for the other 8 by day is left after a month."""
    prices = bp_company.make_prices().replace({"usd_per_accelerator_hour": {2.0: 2.2}})  # no tie at half the hours
    case = bp_company.make_case(
        prices=prices, request_pattern=["interactive"] * 2, workload_class=["real_time_inference"] * 2
    )
    gone = what_ifs_frame(case, named({"first_month": "2026-12", "multiplier": 1e-9})).iloc[0]
    reserved, rented = 8 * 2.2 * 730 * 12, 8 * 4.0 * 730 / 2
    assert gone["usd_horizon"] == pytest.approx(reserved + rented)
    assert gone["usd_change"] == pytest.approx(-11 * rented)
    assert gone["commitment_usd_change"] == 0
    assert gone["accelerators_change"] == -(24 - 4)  # a trace of work holds a node


def test_without_named_scenarios_the_table_is_empty():
    case = bp_company.make_case()
    for table in (None, named().reindex(columns=["scenario", "note"])):
        found = what_ifs_frame(case, table)
        assert found.empty
        assert list(found.columns) == COLUMNS


def test_factors_reach_the_streams_that_rows_name():
    case = bp_company.make_case(**bp_company.WAITS)
    table = named(
        {"workload_class": "batch_training", "multiplier": 3.0},
        {"use_case_id": "chat", "region": "us", "multiplier": 9.0},
        {"scenario": "calm", "use_case_id": "chat", "last_month": "2026-11", "multiplier": 0.5},
    )
    factors = stream_factors(case.streams, table)
    chat, train = (case.streams.table["use_case_id"].tolist().index(name) for name in ("chat", "train"))
    assert (factors["boom"][1:, train] == 3.0).all()
    assert (factors["boom"][:, chat] == 1.0).all()
    assert factors["calm"][:3, chat].tolist() == [1.0, 0.5, 1.0]
    assert (factors["boom"][0] == 1.0).all()


@settings(max_examples=12)
@given(st.floats(1.05, 4.0), st.integers(1, 12))
def test_more_demand_never_costs_less(multiplier, month):
    case = bp_company.make_case()
    first = str(pd.Period("2026-10", "M") + month)
    one = what_ifs_frame(case, named({"first_month": first, "multiplier": multiplier})).iloc[0]
    two = what_ifs_frame(case, named({"first_month": first, "multiplier": 1.5 * multiplier})).iloc[0]
    assert 0 <= one["usd_change"] <= two["usd_change"] + 0.01
    assert 0 <= one["accelerators_change"] <= two["accelerators_change"]
    assert np.isfinite(two["usd_change_share"])
