"""Exact sums of money: Decimals, never floats."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation, localcontext

import pandas as pd

from aifactory.inputs.kinds import row_kinds

ZERO = Decimal(0)
#: The usual 28 digits would round a large sum of small amounts; here rounding is an error.
EXACT = Context(prec=10_000, traps=[Inexact, InvalidOperation])


def exact_total(values: Iterable[Decimal]) -> Decimal:
    """Exact sum of Decimals; empty gives 0; missing values are refused.

    >>> exact_total([Decimal("0.1"), Decimal("0.2")])
    Decimal('0.3')
    """
    amounts = list(values)
    if not all(isinstance(amount, Decimal) for amount in amounts):
        raise TypeError("money is summed as decimal.Decimal only, without missing values")
    with localcontext(EXACT):
        return sum(amounts, ZERO)


def sum_exact(frame: pd.DataFrame, by: str | list[str], columns: list[str]) -> pd.DataFrame:
    """Exact sums of Decimal columns per group, largest first column first.

    Rows without a group value form the group '(none)'.
    """
    keys = [by] if isinstance(by, str) else by
    kind, example = row_kinds(frame[keys])
    named = frame[keys].iloc[example].fillna("(none)")
    group = named.groupby(keys, sort=True).ngroup()
    first = ~group.duplicated()
    names = named[first].set_axis(group[first]).sort_index()
    groups = group.to_numpy()[kind].tolist()
    sums = {column: sum_groups(groups, frame[column].tolist(), len(names)) for column in columns}
    table = names.assign(**sums).astype(dict.fromkeys(columns, "object"))
    return table.sort_values([columns[0], *keys], ascending=[False, *[True] * len(keys)], ignore_index=True)


def sum_groups(groups: list[int], amounts: list[Decimal], count: int) -> list[Decimal]:
    """Exact sums of the groups 0 to `count` - 1; `groups` holds the group of each amount.

    >>> sum_groups([0, 1, 0], [Decimal("0.1"), Decimal(5), Decimal("0.2")], 3)
    [Decimal('0.3'), Decimal('5'), Decimal('0')]
    """
    totals = [ZERO] * count
    with localcontext(EXACT):
        for group, amount in zip(groups, amounts, strict=True):
            totals[group] += amount
    return totals
