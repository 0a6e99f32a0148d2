"""Sums of money given as text: the digits that Decimals give."""

from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.amounts import Amounts
from aifactory.inputs.money import EXACT, ZERO

PLAIN = st.from_regex(r"-?[0-9]{1,14}(\.[0-9]{0,12})?", fullmatch=True)
WIDE = st.from_regex(r"[+-]?[0-9]{1,15}(\.[0-9]{1,30})?|\.[0-9]+", fullmatch=True)
ODD = st.sampled_from(["1e3", "1E-9", " 7 ", "\t0.5", "12345678901234567890.5", "0." + "1" * 40])


def texts_of(cells):
    return pd.Series(cells, dtype="str")


@pytest.mark.parametrize("cells", [PLAIN, PLAIN | WIDE, PLAIN | WIDE | ODD])
@settings(max_examples=60)
@given(data=st.data())
def test_sums_have_the_digits_of_decimals(cells, data):
    rows = data.draw(st.lists(st.tuples(st.none() | cells, st.integers(0, 3)), max_size=12))
    amounts, group = texts_of([text for text, _ in rows]), np.array([number for _, number in rows], "int64")
    with localcontext(EXACT):
        sums = [sum((Decimal(text) for text, mine in rows if text and mine == number), ZERO) for number in range(4)]
        total = sum((Decimal(text) for text, _ in rows if text), ZERO)
    held = Amounts(amounts)
    assert list(map(str, held.sums(group, 4))) == list(map(str, sums))
    assert str(held.total()) == str(total)
    assert held.known == sum(text is not None for text, _ in rows)


@pytest.mark.parametrize(("cells", "row"), [
    (["1", None, "1000", "-5000"], 2), (["999.99", "-999"], None), ([None, None], None), ([], None),
    (["1", "-1000"], 1), (["1", "1e3"], 1), (["0" * 30 + "1", "999"], None),
])  # fmt: skip
def test_the_first_amount_beyond_a_limit_is_found(cells, row):
    assert Amounts(texts_of(cells)).first_beyond(Decimal(1000)) == row


def test_a_sum_of_many_large_amounts_has_room():
    cells = ["999999999999999.999999999999"] * 3_000
    assert Amounts(texts_of(cells)).total() == 3_000 * Decimal(cells[0])
