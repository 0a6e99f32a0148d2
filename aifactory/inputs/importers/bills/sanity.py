"""What is wrong or odd in a bill that can be read: refused where a total would be wrong, else said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

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
#: A long number that a spreadsheet has written as a power of ten has lost its digits.
CUT_NUMBER = r"\d(?:\.\d+)?[eE]\+\d+"


def refuse_wrong_charges(file: str, table: pd.DataFrame) -> None:
    """Refuse a bill without charges, with a line of totals, an impossible amount or a charge that ends before it starts."""
    if table.empty:
        raise InputError.at(file, "holds a header and no charges", row=2)
    for column in (name for name in MONEY if name in table):
        huge = table[column].map(lambda amount: amount is not None and abs(amount) >= LARGEST)
        if huge.any():
            row = huge.idxmax()
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
        said = table[column].str.fullmatch(TOTAL, na=False)
        for row in table.index[said]:
            others = exact_total(table["BilledCost"]) - table.loc[row, "BilledCost"]
            if len(table) > 1 and others == table.loc[row, "BilledCost"]:
                rule = "is a line of totals; it would count every charge twice, remove it"
                raise InputError.at(file, rule, row=int(row) + 2, column=column, value=table.loc[row, column])


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
    again = int((table.duplicated() & (table["ChargeCategory"] == "Usage")).sum())
    if again:
        yield "identical to an earlier charge: counted; is a part of the bill in the file twice?", again
    for column in (name for name in IDS if name in table):
        cut = int(table[column].str.fullmatch(CUT_NUMBER, na=False).sum())
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


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
