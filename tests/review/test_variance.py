"""Causes of a cost difference: each one alone, and all of them to the last digit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.review.variance import CAUSES, OTHER, REST, cause_ranges, explain_bill, split_variance

POSITIVE = st.floats(0.01, 1e5)
BASE = {"units": 100.0, "work": 1000.0, "hours": {"a": 10.0, "b": 10.0}, "price": {"a": 2.0, "b": 4.0}}


def side(units, work, hours, price):
    per_chip = pd.DataFrame({"hours": hours, "cost": {name: hours[name] * price[name] for name in hours}}, dtype=float)
    per_chip.index = pd.MultiIndex.from_product([["chat"], per_chip.index], names=["use_case_id", "accelerator_id"])
    total = per_chip.sum()
    factors = pd.DataFrame(
        {"units": [units], "work": [work], "hours": [total["hours"]], "cost": [total["cost"]]}, index=["chat"]
    )
    return factors, per_chip


def split(**actual):
    base, base_hours = side(**BASE)
    now, now_hours = side(**{**BASE, **actual})
    return split_variance(base, now, base_hours, now_hours).iloc[0]


def only(row, cause, value):
    assert row[cause] == pytest.approx(value)
    assert row[[name for name in CAUSES if name != cause]].abs().max() == pytest.approx(0.0, abs=1e-9)
    assert row["difference_usd"] == pytest.approx(value)


def test_nothing_changed_nothing_explained():
    assert split()[["difference_usd", *CAUSES]].abs().max() == 0.0


def test_more_units_at_the_same_effort_are_volume():
    only(split(units=200.0, work=2000.0, hours={"a": 20.0, "b": 20.0}), "volume", 60.0)


def test_more_work_per_unit_is_efficiency():
    only(split(work=1500.0, hours={"a": 15.0, "b": 15.0}), "efficiency", 30.0)


def test_more_hours_per_work_are_utilization():
    only(split(hours={"a": 20.0, "b": 20.0}), "utilization", 60.0)


def test_other_accelerators_at_old_prices_are_mix():
    only(split(hours={"a": 0.0, "b": 20.0}), "mix", 20.0)


def test_other_prices_of_the_same_accelerators_are_price():
    only(split(price={"a": 3.0, "b": 6.0}), "price", 30.0)


def test_an_accelerator_new_to_the_base_is_mix():
    only(split(hours={"c": 20.0}, price={"c": 10.0}), "mix", 140.0)


def by_region(hours, price):
    rows = pd.DataFrame({"hours": hours, "cost": {place: hours[place] * price[place] for place in hours}}, dtype=float)
    rows.index = pd.MultiIndex.from_tuples([("chat", *place) for place in hours], names=["use_case_id", "accelerator_id", "region"])  # fmt: skip
    total = rows.sum()
    factors = pd.DataFrame({"units": [100.0], "work": [100.0], **{name: [total[name]] for name in ("hours", "cost")}}, index=["chat"])  # fmt: skip
    return factors, rows


def test_hours_that_move_to_a_dearer_region_are_mix_and_no_price():
    """As many hours of one accelerator, 10 of 20 moved from USD 2 to USD 4."""
    rates = {("a", "us"): 2.0, ("a", "eu"): 4.0}
    base, base_hours = by_region({("a", "us"): 20.0, ("a", "eu"): 10.0}, rates)
    now, now_hours = by_region({("a", "us"): 10.0, ("a", "eu"): 20.0}, rates)
    only(split_variance(base, now, base_hours, now_hours).iloc[0], "mix", 20.0)
    ranges = cause_ranges(base, now, base_hours, now_hours).set_index("cause")
    assert ranges.loc["price", ["lowest_usd", "highest_usd"]].abs().max() == pytest.approx(0.0, abs=1e-9)


def test_where_a_side_does_not_know_the_region_an_accelerator_has_one_price():
    base, base_hours = by_region({("a", "us"): 20.0, ("a", "eu"): 10.0, ("b", "us"): 5.0}, dict.fromkeys([("a", "us"), ("a", "eu"), ("b", "us")], 2.0))  # fmt: skip
    now, now_hours = by_region({("a", ""): 30.0, ("b", "us"): 5.0}, {("a", ""): 3.0, ("b", "us"): 2.0})
    only(split_variance(base, now, base_hours, now_hours).iloc[0], "price", 30.0)


def test_the_order_of_the_causes_is_volume_first():
    # twice the units at twice the price: volume at the old price, price on the new hours
    row = split(units=200.0, work=2000.0, hours={"a": 20.0, "b": 20.0}, price={"a": 4.0, "b": 8.0})
    assert row[list(CAUSES)].tolist() == pytest.approx([60.0, 0.0, 0.0, 0.0, 120.0])


@st.composite
def sides(draw):
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    return {
        "units": draw(POSITIVE),
        "work": draw(POSITIVE),
        "hours": {name: draw(POSITIVE) for name in names},
        "price": {name: draw(POSITIVE) for name in names},
    }


@given(sides(), sides())
@settings(max_examples=60)
def test_causes_add_up_to_the_difference(before, after):
    base, base_hours = side(**before)
    now, now_hours = side(**after)
    row = split_variance(base, now, base_hours, now_hours).iloc[0]
    size = row[list(CAUSES)].abs().sum() + row["base_usd"] + row["actual_usd"]
    assert row[list(CAUSES)].sum() == pytest.approx(row["difference_usd"], abs=1e-9 * size)
    assert row["difference_usd"] == row["actual_usd"] - row["base_usd"]


@given(sides(), sides())
@settings(max_examples=40)
def test_the_causes_agree_with_the_closed_form(before, after):
    base, base_hours = side(**before)
    now, now_hours = side(**after)
    row = split_variance(base, now, base_hours, now_hours).iloc[0]
    hours0, hours1 = sum(before["hours"].values()), sum(after["hours"].values())
    rate0 = sum(before["hours"][name] * before["price"][name] for name in before["hours"]) / hours0
    old = {name: before["price"].get(name, after["price"][name]) for name in after["hours"]}
    expected = [
        rate0 * hours0 * (after["units"] / before["units"] - 1),
        rate0 * hours0 * (after["work"] / before["work"] - after["units"] / before["units"]),
        rate0 * (hours1 - hours0 * after["work"] / before["work"]),
        sum(after["hours"][name] * old[name] for name in old) - hours1 * rate0,
        sum(after["hours"][name] * (after["price"][name] - old[name]) for name in old),
    ]
    size = np.abs(expected).sum() + rate0 * (hours0 + hours1)
    np.testing.assert_allclose(row[list(CAUSES)].astype(float), expected, atol=1e-9 * size, rtol=1e-6)


@pytest.mark.parametrize("column", ["units", "hours"])
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_side_without_units_or_hours_cannot_be_split(column, value):
    base, hours = side(**BASE)
    now = base.assign(**{column: value})
    assert split_variance(base, now, hours, hours).empty
    assert split_variance(now, base, hours, hours).empty


def test_only_use_cases_of_both_sides_are_split():
    base, hours = side(**BASE)
    assert split_variance(base, base.rename(index={"chat": "new"}), hours, hours).empty
    assert list(split_variance(base.iloc[:0], base, hours.iloc[:0], hours).columns)[-5:] == list(CAUSES)


@given(st.lists(st.tuples(sides(), sides()), min_size=1, max_size=4), st.floats(0, 1e6), st.floats(0, 1e6))
@settings(max_examples=12)
def test_the_whole_bill_adds_up_to_the_last_bit(pairs, rest0, rest1):
    before, after = [side(**one) for one, _ in pairs], [side(**two) for _, two in pairs]
    names = [f"case-{number}" for number in range(len(pairs))]

    def joined(parts):
        tables = [part[0].set_axis([name]) for name, part in zip(names, parts, strict=True)]
        hours = [part[1].rename(index={"chat": name}) for name, part in zip(names, parts, strict=True)]
        return pd.concat(tables), pd.concat(hours)

    (base, base_hours), (now, now_hours) = joined(before), joined(after)
    split = split_variance(base, now, base_hours, now_hours)
    bills = base["cost"].sum() + rest0, now["cost"].sum() + 5.0 + rest1
    gone, new = pd.Series({"gone": 2.0}), pd.Series({"new": 7.0})
    table = explain_bill(split, pd.concat([base["cost"], gone]), pd.concat([now["cost"], new]), *bills, planned=False)
    causes = [*CAUSES, OTHER]
    assert (table[causes].sum(axis=1) == table["difference_usd"]).all()
    assert (table["difference_usd"] == table["actual_usd"] - table["base_usd"]).all()
    total = table.sum()
    assert sum(total[cause] for cause in causes) == total["difference_usd"]
    assert total["difference_usd"] == table["difference_usd"].iloc[::-1].sum()  # in any order of the rows
    size = table[["base_usd", "actual_usd", *causes]].abs().to_numpy().sum()
    assert total["actual_usd"] == pytest.approx(bills[1], abs=1e-12 * size)
    grid = 1e-14 * size  # amounts stand on a grid as fine as the largest of them allows
    assert table.loc["new", "volume"] == table.loc["new", "difference_usd"] == pytest.approx(7.0, abs=grid)
    assert table.loc["gone", "volume"] == pytest.approx(-2.0, abs=grid)


def test_the_rest_of_the_bill_is_no_cause_of_a_use_case():
    base, hours = side(**BASE)
    table = explain_bill(
        split_variance(base, base, hours, hours), base["cost"], base["cost"], 100.0, 130.0, planned=False
    )
    assert table.loc[REST, ["base_usd", "actual_usd", "difference_usd", OTHER]].tolist() == [40.0, 70.0, 30.0, 30.0]
    assert table.loc["chat", [*CAUSES, OTHER]].abs().sum() == 0.0


def test_what_stands_in_plan_or_bill_only_is_other():
    base, hours = side(**BASE)
    split = split_variance(base, base, hours, hours)
    planned = pd.concat([base["cost"], pd.Series({"edge": 9.0})])
    table = explain_bill(split, planned, base["cost"], float(planned.sum()), 60.0, planned=True)
    assert table.loc["edge", ["volume", OTHER]].tolist() == [0.0, -9.0]


def test_what_is_paid_without_hours_in_both_months_is_no_volume():
    base, hours = side(**BASE)
    split = split_variance(base, base, hours, hours)
    before, now = (pd.concat([base["cost"], pd.Series({"leased": usd})]) for usd in (9.0, 11.0))
    table = explain_bill(split, before, now, float(before.sum()), float(now.sum()), planned=False)
    assert table.loc["leased", ["base_usd", "actual_usd", "volume", OTHER]].tolist() == [9.0, 11.0, 0.0, 2.0]


def test_charges_that_are_missing_are_no_volume_of_what_was_served():
    # chat is billed on both sides; search served both months and is billed in the first alone; new began
    base, hours = side(**BASE)
    split = split_variance(base, base, hours, hours)
    before, now = (
        pd.concat([base["cost"], pd.Series({"search": 9.0})]),
        pd.concat([base["cost"], pd.Series({"new": 4.0})]),
    )
    table = explain_bill(split, before, now, 80.0, 75.0, planned=False, served=pd.Index(["chat", "search"]))
    assert table.loc["search", ["volume", OTHER]].tolist() == [0.0, -9.0]
    assert table.loc["new", ["volume", OTHER]].tolist() == [4.0, 0.0]
    assert table["difference_usd"].sum() == -5.0


def test_every_order_of_the_causes_gives_the_same_total():
    base, base_hours = side(**BASE)
    now, now_hours = side(units=200.0, work=3000.0, hours={"a": 15.0, "b": 40.0}, price={"a": 3.0, "b": 5.0})
    table = cause_ranges(base, now, base_hours, now_hours).set_index("cause")
    split = split_variance(base, now, base_hours, now_hours).iloc[0]
    assert table["in_order_usd"].to_dict() == pytest.approx(split[list(CAUSES)].to_dict())
    assert table["mean_usd"].sum() == pytest.approx(split["difference_usd"])
    assert (table["lowest_usd"] <= table["mean_usd"] + 1e-9).all()
    assert (table["mean_usd"] <= table["highest_usd"] + 1e-9).all()


def test_the_mean_of_two_causes_shares_what_they_do_together():
    # twice the units at twice the price: 60 each alone, 60 together, so 90 each
    base, base_hours = side(**BASE)
    now, now_hours = side(units=200.0, work=2000.0, hours={"a": 20.0, "b": 20.0}, price={"a": 4.0, "b": 8.0})
    table = cause_ranges(base, now, base_hours, now_hours).set_index("cause")
    assert table.loc["volume"].tolist() == pytest.approx([60.0, 90.0, 60.0, 120.0])
    assert table.loc["price"].tolist() == pytest.approx([120.0, 90.0, 60.0, 120.0])
    assert table.loc[["efficiency", "utilization", "mix"]].abs().to_numpy().max() == pytest.approx(0.0, abs=1e-9)
