"""What is wrong or odd in a bill that can be read: refused where a total would be wrong, else said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.columns import Coded, as_decimals
from aifactory.inputs.importers.bills.common import NOT_GIVEN
from aifactory.inputs.kinds import combined_kinds

if TYPE_CHECKING:
    from aifactory.inputs.importers.bills.read import Bill

IDS = ("BillingAccountId", "SubAccountId", "SkuId")
#: No charge of a bill is larger; what is, is a damaged cell or another unit.
LARGEST = Decimal(10) ** 15
#: Words that programs and spreadsheets write beside a sum.
TOTAL = r"(?i)\s*(?:grand |sub)?totals?\s*:?\s*|\s*(?:sum|summe|gesamt(?:summe)?|somme|suma)\s*:?\s*"
LONGEST_WORD = 20
#: A long number that a spreadsheet has written as a power of ten has lost its digits.
CUT_NUMBER = r"\d(?:\.\d+)?[eE]\+\d+"
LONGEST_CUT = 24
#: Before this nobody was billed for computers by the hour.
FIRST_BILL = pd.Timestamp("2006-01-01", tz="UTC")


def refuse_wrong_charges(file: str, bill: Bill) -> None:
    """Refuse a bill without charges, with a line of totals, an impossible amount or a charge that ends before it starts."""
    table = bill.charges
    if table.empty:
        raise InputError.at(file, "holds a header and no charges", row=2)
    for column, amounts in bill.amounts.items():
        row = amounts.first_beyond(LARGEST)
        if row is not None:
            rule, value = f"is {LARGEST:.0E} or more, which no charge is", f"{Decimal(table[column].iloc[row]):.6E}"
            raise InputError.at(file, rule, row=row + 2, column=_theirs(bill, column), value=value)
    early = table["ChargePeriodEnd"] < table["ChargePeriodStart"]
    if early.any():
        row = early.idxmax()
        value = table.loc[row, "ChargePeriodEnd"].isoformat()
        rule = f"is before {_theirs(bill, 'ChargePeriodStart')}"
        raise InputError.at(file, rule, row=int(row) + 2, column=_theirs(bill, "ChargePeriodEnd"), value=value)
    _refuse_totals(file, bill)


def _refuse_totals(file: str, bill: Bill) -> None:
    table, billed = bill.charges, bill.amounts["BilledCost"]
    for column in (name for name in table.select_dtypes("str") if name not in bill.amounts):
        for row in np.flatnonzero(_cells(table[column], bill.coded.get(column), TOTAL, LONGEST_WORD)):
            own = Decimal(table["BilledCost"].iloc[row])
            if len(table) > 1 and billed.total() - own == own:
                rule = "is a line of totals; it would count every charge twice, remove it"
                value = table[column].iloc[row]
                raise InputError.at(file, rule, row=int(row) + 2, column=_theirs(bill, column), value=value)


def _theirs(bill: Bill, column: str) -> str:
    """The file's own name of one of our columns."""
    return bill.column_of.get(column, column)


def _cells(texts: pd.Series, coded: Coded | None, pattern: str, longest: int) -> np.ndarray:
    """Which cells are of a form, looked for once in each different text that is not too long for it."""
    different = texts if coded is None else coded.known
    short = different[(different.str.len() <= longest).to_numpy(dtype=bool, na_value=False)].unique()
    words = [word for word in short if re.fullmatch(pattern, word)]
    return texts.isin(words).to_numpy() if words else np.zeros(len(texts), "bool")


def odd_charges(bill: Bill, today: pd.Timestamp | None) -> Iterator[tuple[str, int]]:
    """What the analyst should know, with the number of rows; nothing of it is changed or left out."""
    table = bill.charges
    months, used = (_months(table[name]) for name in ("BillingPeriodStart", "ChargePeriodStart"))
    late = int((used != months).sum())
    if late:
        yield "usage of another month than the invoice", late
    invoiced = [str(month) for month in np.unique(months)]
    if len(invoiced) > 1:
        yield f"{len(invoiced)} invoice months in one file: {', '.join(invoiced)}", len(table)
    old = int((table["ChargePeriodStart"] < FIRST_BILL).sum())
    if old:
        yield f"charges before {FIRST_BILL.year}, when nobody sold such: is the date damaged?", old
    for column in ("BilledCost", "EffectiveCost"):
        if bill.amounts[column].total() < 0:
            yield (
                f"the sum of {column} is below zero: more was given back than charged, or a sign is turned",
                len(table),
            )
    if today is not None and (future := int((table["BillingPeriodStart"] > today).sum())):
        yield "invoice of a month after the day of import", future
    again = _repeated(bill, np.flatnonzero(table["ChargeCategory"] == "Usage"))
    if again:
        yield "identical to an earlier charge: counted; is a part of the bill in the file twice?", again
    for column in (name for name in IDS if name in table):
        cut = int(_cells(table[column], bill.coded.get(column), CUT_NUMBER, LONGEST_CUT).sum())
        if cut:
            yield f"{column} is written as a power of ten: a spreadsheet has cut its digits, export it as text", cut
    if "Tags" in table:
        broken, twice = _odd_tags(table["Tags"], bill.coded.get("Tags"))
        if broken:
            yield "tags are no JSON object: these charges count as untagged", broken
        if twice:
            yield "a tag is given twice with different values, maybe in another case: one of them counts", twice
    unknown = int((table["ProviderName"] == NOT_GIVEN).sum())
    if 0 < unknown < len(table):
        yield "charges of several providers, some without a name", unknown


def _months(times: pd.Series) -> np.ndarray:
    return times.dt.tz_localize(None).to_numpy("datetime64[us]").astype("datetime64[M]")


def _odd_tags(texts: pd.Series, coded: Coded | None) -> tuple[int, int]:
    """Rows whose tags are no JSON object, and rows in which they contradict themselves."""
    read = [_pairs(text) for text in (texts.dropna() if coded is None else coded.known)]
    rows = np.ones(len(read), dtype="int64") if coded is None else np.asarray(coded.counts())
    broken = np.array([pairs is None for pairs in read], dtype=bool)
    twice = np.array([_contradicts(pairs) for pairs in read], dtype=bool)
    return int(rows[broken].sum()), int(rows[twice].sum())


def _pairs(text: str) -> list[tuple[str, object]] | None:
    """Keys and values of a JSON object as written, repeated keys too; None if it is none."""
    try:
        held = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    return held if isinstance(held, _Pairs) else None


class _Pairs(list):
    """Members of a JSON object."""


def _contradicts(pairs: list[tuple[str, object]] | None) -> bool:
    """Whether a key, whatever its case, has two values."""
    values = [(key.strip().lower(), str(value)) for key, value in pairs or []]
    return len(set(values)) > len({key for key, _ in values})


def _repeated(bill: Bill, rows: np.ndarray) -> int:
    """Charges among these rows that equal an earlier one in every column.

    A repeated charge repeats each of its cells: column by column, that with the most different values
    first, only such charges are looked at further. Amounts, slow to compare, come last.
    """
    table = bill.charges.drop(columns=list(bill.amounts))
    order = table.iloc[rows[:: max(len(rows) // 1_000, 1)]].nunique().sort_values(ascending=False, kind="stable").index
    kind = np.zeros(len(rows), "int64")
    for name in order:
        held = bill.coded.get(name)
        codes = pd.factorize(table[name].iloc[rows])[0] if held is None else held.codes[rows]
        kind = combined_kinds((kind, codes), len(rows))[0]
        again = pd.Series(kind).duplicated(keep=False).to_numpy()
        rows, kind = rows[again], kind[again]
        if not len(rows):
            return 0
    same = as_decimals({name: bill.charges[name].iloc[rows] for name in bill.amounts})
    return int(pd.DataFrame(same).assign(kind=kind).duplicated().sum())
