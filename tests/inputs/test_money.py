"""Sums of money are exact, however many digits the parts have."""

from decimal import Decimal
from fractions import Fraction

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.inputs.money import exact_total, sum_exact

AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=18)


def test_a_sum_keeps_more_digits_than_a_context_of_28():
    parts = [Decimal("12345678901234567890"), Decimal("0.000000000000000001")]
    assert str(exact_total(parts)) == "12345678901234567890.000000000000000001"


@given(st.lists(AMOUNTS))
def test_a_sum_equals_that_of_fractions(parts):
    assert Fraction(exact_total(parts)) == sum(map(Fraction, parts))


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["x", "y"]), AMOUNTS), min_size=1))
def test_groups_add_up_to_the_whole_and_each_is_exact(rows):
    frame = pd.DataFrame(rows, columns=["team", "kind", "cost"]).astype({"team": "str", "kind": "str"})
    sums = sum_exact(frame, ["team", "kind"], ["cost"])
    assert exact_total(sums["cost"]) == exact_total(frame["cost"])
    by_hand = {}
    for team, kind, cost in rows:
        by_hand[team or "(none)", kind] = by_hand.get((team or "(none)", kind), Fraction(0)) + Fraction(cost)
    assert {(team, kind): Fraction(cost) for team, kind, cost in sums.itertuples(index=False)} == by_hand
    assert sums["cost"].tolist() == sorted(sums["cost"], reverse=True)


@pytest.mark.parametrize("wrong", [0.5, None, float("nan")])
def test_what_is_no_decimal_is_refused(wrong):
    with pytest.raises(TypeError):
        exact_total([Decimal(1), wrong])
    frame = pd.DataFrame({"team": ["a", "a"], "cost": pd.Series([Decimal(1), wrong], dtype="object")})
    with pytest.raises(TypeError):
        sum_exact(frame, "team", ["cost"])
