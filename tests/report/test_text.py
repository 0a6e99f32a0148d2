"""Figures, dates and names as text."""

import math
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.report import text

MISSING = [None, float("nan"), float("inf"), -math.inf, pd.NA, pd.NaT, "", np.nan, Decimal("NaN")]


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_missing_values_are_words_in_sentences_and_a_dash_in_tables(value):
    for formatter in (
        text.usd,
        text.usd_compact,
        text.compact,
        text.pct,
        text.num,
        text.sig3,
        text.month_name,
        text.date_name,
    ):
        assert formatter(value) == "not known"
    for fmt in text.FORMATS:
        assert text.format_value(value, fmt) == "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "USD 0.00"),
        (99.994, "USD 99.99"),
        (100, "USD 100"),
        (0.0999, "USD 0.0999"),
        (0.000_000_45, "USD 0.000000450"),
        (-1_234_567.8, "USD \N{MINUS SIGN}1,234,568"),
        (Decimal("3.5"), "USD 3.50"),
        (np.float64(2.0), "USD 2.00"),
    ],
)
def test_money_in_full(value, shown):
    assert text.usd(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (999, "USD 999"),
        (999.6, "USD 1.00 k"),
        (1_000, "USD 1.00 k"),
        (45_640, "USD 45.6 k"),
        (123_456, "USD 123 k"),
        (999_999, "USD 1.00 M"),
        (1.2e9, "USD 1.20 B"),
        (-2_500_000, "USD \N{MINUS SIGN}2.50 M"),
        (0, "USD 0.00"),
    ],
)
def test_compact_money_never_shows_a_thousand_of_a_unit(value, shown):
    assert text.usd_compact(value) == shown


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_compact_money_can_be_read_back_within_half_a_percent(value):
    parts = text.usd_compact(value).replace(text.MINUS, "-").replace(",", "").split()
    size = {"k": 1e3, "M": 1e6, "B": 1e9}.get(parts[2], 1) if len(parts) == 3 else 1
    assert float(parts[1]) * size == pytest.approx(value, rel=0.0051, abs=1e-9)


@given(st.floats(min_value=-1e9, max_value=1e9))
def test_numbers_carry_no_ascii_minus_and_no_exponent(value):
    for formatter in (text.num, text.sig3, text.pct, text.usd):
        assert not re.search(r"-|\d[eE]", formatter(value))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0994, "9.9 %"), (0.0996, "10 %"), (0.995, "99.5 %"), (0.9996, "100 %"), (-0.00001, "0.0 %"), (12, "1,200 %")],
)
def test_percent(value, shown):
    assert text.pct(value) == shown


def test_a_rounded_zero_has_no_sign():
    assert text.num(-0.001, 2) == "0.00"
    assert text.format_value(-0.2, "usd0") == "0"


def test_dates_and_months():
    assert text.month_name(pd.Period("2026-02", "M")) == "February 2026"
    assert text.month_name(pd.Timestamp("2026-02-14")) == "February 2026"
    assert text.format_value("2026-02", "month") == "Feb 2026"
    assert text.date_name(pd.Timestamp("2026-02-03")) == "3 February 2026"
    assert text.date_name("catalogue of 2026") == "catalogue of 2026"


@pytest.mark.parametrize(
    ("fmt", "value", "shown"),
    [
        ("int", 1234.5, "1,234"),
        ("num2", 0.005, "0.01"),
        ("usd6", 0.0000123, "0.000012"),
        ("usd_compact", 4.2e6, "4.20 M"),
        ("pct1", 0.12345, "12.3 %"),
        ("bool", True, "yes"),
        ("bool", np.False_, "no"),
        ("text", 3, "3"),
        ("date", "2026-10-31T00:00:00Z", "2026-10-31"),
    ],
)
def test_table_formats(fmt, value, shown):
    assert text.format_value(value, fmt) == shown


def test_enumerations_and_counts():
    assert text.join_words(["a", "b"], last="or") == "a or b"
    assert text.plural(0, "row") == "0 rows"
    assert text.readable("effective_cost_usd") == "Effective cost USD"
    assert text.as_of_range([pd.Timestamp("2026-01-02"), "2026-01-01"]) == "2026-01-01 to 2026-01-02"


@given(st.floats(0, 1e9), st.floats(1e-6, 1e9))
def test_a_value_beyond_its_limit_never_reads_like_it(value, limit):
    shown = text.apart(value, limit)
    assert (shown[0] == shown[1]) <= (abs(value - limit) <= 1e-9 * max(value, limit))
    if shown[0] != shown[1]:
        left, right = (float(number.replace(",", "")) for number in shown)
        assert (left > right) == (value > limit)
