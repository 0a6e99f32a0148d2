"""Charges that cannot be right, or hardly."""

import pandas as pd
import pytest

from aifactory.inputs.checks import CHECKS

#: Ten charges of 100 in October, all usage.
PLAIN = pd.DataFrame({
    "BillingPeriodStart": pd.Timestamp("2026-10-01", tz="UTC"), "ChargeCategory": "Usage", "ChargeClass": None,
    "BilledCost": 100.0, "EffectiveCost": 100.0,
}, index=range(10))  # fmt: skip


def said(bill, **first):
    """(column, first words of the rule) of each finding, with the first charge changed."""
    frame = bill.copy()
    for column, value in first.items():
        frame.loc[0, column] = value
    return [
        (f.column, " ".join(f.rule.split()[:2]), f.row)
        for f in CHECKS["charges_plausible"][1]({"billing": frame}, None)
    ]


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ({}, ""),
        ({"EffectiveCost": 9000.0}, ""),  # ten times the other 900 is not more than that
        ({"EffectiveCost": 9000.01}, "more than"),
        ({"EffectiveCost": -1e15, "ChargeCategory": "Credit"}, "more than"),
        ({"EffectiveCost": -9.0}, ""),  # a discount of a hundredth of the others
        ({"EffectiveCost": -9.01}, "usage below"),
        ({"EffectiveCost": -1e15}, "usage below"),
        ({"EffectiveCost": -300.0, "ChargeClass": "Correction"}, ""),
        ({"EffectiveCost": -300.0, "ChargeCategory": "Credit"}, ""),
        ({"EffectiveCost": 1e6, "ChargeCategory": "Purchase"}, ""),  # paid at once for years
        ({"EffectiveCost": -1e6, "ChargeCategory": "Purchase"}, "more than"),
    ],
)
def test_a_charge_that_outweighs_its_month_or_is_below_zero_is_doubted(first, words):
    assert said(PLAIN, **first) == ([("EffectiveCost", words, 2)] if words else [])


def test_other_months_and_bills_of_few_lines_say_nothing():
    november = PLAIN.assign(BillingPeriodStart=pd.Timestamp("2026-11-01", tz="UTC"), EffectiveCost=1e5)
    both = pd.concat([PLAIN, november], ignore_index=True)
    assert said(both, EffectiveCost=9001.0) == [("EffectiveCost", "more than", 2)]  # November's millions hide nothing
    assert said(PLAIN[:5], EffectiveCost=1e9) == []


def test_the_sample_has_none(sample_ws):
    assert list(CHECKS["charges_plausible"][1](sample_ws.tables, sample_ws.plan)) == []
