"""Exact sums of money: Decimals, never floats."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pandas as pd

ZERO = Decimal(0)


def exact_total(values: Iterable[Decimal]) -> Decimal:
    """Exact sum of Decimals; empty gives 0; missing values are refused.

    >>> exact_total([Decimal("0.1"), Decimal("0.2")])
    Decimal('0.3')
    """
    amounts = list(values)
    if not all(isinstance(amount, Decimal) for amount in amounts):
        raise TypeError("money is summed as decimal.Decimal only, without missing values")
    return sum(amounts, ZERO)


def sum_exact(frame: pd.DataFrame, by: str | list[str], columns: list[str]) -> pd.DataFrame:
    """Exact sums of Decimal columns per group, largest first column first.

    Rows without a group value form the group '(none)'.
    """
    keys = [by] if isinstance(by, str) else by
    filled = frame.assign(**{key: frame[key].fillna("(none)") for key in keys})
    grouped = filled.groupby(keys, sort=True)
    sums = {column: grouped[column].agg(exact_total) for column in columns}
    table = pd.DataFrame(sums).reset_index()
    return table.sort_values([columns[0], *keys], ascending=[False, *[True] * len(keys)], ignore_index=True)
