"""What is wrong or odd in a bill that can be read: refused where a total would be wrong, else said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.bills.common import NOT_GIVEN
from aifactory.inputs.money import exact_total
from aifactory.inputs.months import month_of

MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
IDS = ("BillingAccountId", "SubAccountId", "SkuId")
#: No charge of a bill is larger; what is, is a damaged cell or another unit.
LARGEST = Decimal(10) ** 15
#: Words that programs and spreadsheets write beside a sum.
TOTAL = r"(?i)\s*(?:grand |sub)?totals?\s*:?\s*|\s*(?:sum|summe|gesamt(?:summe)?|somme|suma)\s*:?\s*"
LONGEST_WORD = 20
#: A long number that a spreadsheet has written as a power of ten has lost its digits.
CUT_NUMBER = r"\d(?:\.\d+)?[eE]\+\d+"
LONGEST_CUT = 24


def refuse_wrong_charges(file: str, table: pd.DataFrame) -> None:
    """Refuse a bill without charges, with a line of totals, an impossible amount or a charge that ends before it starts."""
    if table.empty:
        raise InputError.at(file, "holds a header and no charges", row=2)
    for column in (name for name in MONEY if name in table):
        known = table[column].to_numpy()[table[column].notna()]
        if len(known) and max(np.max(known), -np.min(known)) >= LARGEST:
            row = table[column].dropna().map(abs).ge(LARGEST).idxmax()
            rule = f"is {LARGEST:.0E} or more, which no charge is"
            raise InputError.at(file, rule, row=int(row) + 2, column=column, value=f"{table.loc[row, column]:.6E}")
    early = table["ChargePeriodEnd"] < table["ChargePeriodStart"]
    if early.any():
        row = early.idxmax()
        value = table.loc[row, "ChargePeriodEnd"].isoformat()
        raise InputError.at(
            file, "is before ChargePeriodStart", row=int(row) + 2, column="ChargePeriodEnd", value=value
        )
    _refuse_totals(file, table)


def _refuse_totals(file: str, table: pd.DataFrame) -> None:
    for column in table.select_dtypes("str"):
        said = _cells(table[column], TOTAL, LONGEST_WORD)
        for row in table.index[said]:
            others = exact_total(table["BilledCost"]) - table.loc[row, "BilledCost"]
            if len(table) > 1 and others == table.loc[row, "BilledCost"]:
                rule = "is a line of totals; it would count every charge twice, remove it"
                raise InputError.at(file, rule, row=int(row) + 2, column=column, value=table.loc[row, column])


def _cells(texts: pd.Series, pattern: str, longest: int) -> pd.Series:
    """Which cells are of a form, looked for once in each different text that is not too long for it."""
    if (texts == texts.iloc[0]).all():  # as in many columns of a bill
        different = texts.iloc[:1]
    else:
        different = texts[(texts.str.len() <= longest).fillna(value=False).to_numpy(dtype=bool)].unique()
    words = [word for word in different if re.fullmatch(pattern, word)]
    return texts.isin(words) if words else pd.Series(data=False, index=texts.index)


def odd_charges(table: pd.DataFrame, today: pd.Timestamp | None) -> Iterator[tuple[str, int]]:
    """What the analyst should know, with the number of rows; nothing of it is changed or left out."""
    months = month_of(table["BillingPeriodStart"])
    late = int((month_of(table["ChargePeriodStart"]) != months).sum())
    if late:
        yield "usage of another month than the invoice", late
    invoiced = sorted(months.unique())
    if len(invoiced) > 1:
        yield f"{len(invoiced)} invoice months in one file: {', '.join(invoiced)}", len(table)
    if today is not None and (future := int((table["BillingPeriodStart"] > today).sum())):
        yield "invoice of a month after the day of import", future
    again = _repeated(table, np.flatnonzero(table["ChargeCategory"] == "Usage"))
    if again:
        yield "identical to an earlier charge: counted; is a part of the bill in the file twice?", again
    for column in (name for name in IDS if name in table):
        cut = int(_cells(table[column], CUT_NUMBER, LONGEST_CUT).sum())
        if cut:
            yield f"{column} is written as a power of ten: a spreadsheet has cut its digits, export it as text", cut
    if "Tags" in table:
        known = {text: _is_object(text) for text in table["Tags"].dropna().unique()}
        broken = int((~table["Tags"].dropna().map(known)).sum()) if known else 0
        if broken:
            yield "tags are no JSON object: these charges count as untagged", broken
    unknown = int((table["ProviderName"] == NOT_GIVEN).sum())
    if 0 < unknown < len(table):
        yield "charges of several providers, some without a name", unknown


def _repeated(table: pd.DataFrame, rows: np.ndarray) -> int:
    """Charges among these rows that equal an earlier one in every column.

    A repeated charge repeats each of its cells: column by column, that with the most different values
    first, only such charges are looked at further. Amounts, slow to compare, come last.
    """
    some = table.drop(columns=[name for name in MONEY if name in table]).iloc[rows[:: max(len(rows) // 1_000, 1)]]
    for name in some.nunique().sort_values(ascending=False, kind="stable").index:
        rows = rows[table[name].iloc[rows].duplicated(keep=False)]
    return int(table.iloc[rows].duplicated().sum())


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
