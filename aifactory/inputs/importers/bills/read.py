"""Read a bill: detect its format, convert it to FOCUS columns, type it strictly."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.amounts import Amounts
from aifactory.inputs.columns import Coded, as_decimals, coded, each
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.csv_text import file_bytes, holds_json
from aifactory.inputs.importers.bills.aws import convert_aws
from aifactory.inputs.importers.bills.azure import AZURE_COLUMNS, AZURE_COST, azure_name, convert_azure
from aifactory.inputs.importers.bills.common import Converted, Format, as_text, flat_structs
from aifactory.inputs.importers.bills.focus import convert_focus
from aifactory.inputs.importers.bills.gcp import convert_gcp
from aifactory.inputs.importers.bills.json_text import json_rows
from aifactory.inputs.importers.bills.litellm import CALLS, DAILY, convert_litellm_calls, convert_litellm_daily
from aifactory.inputs.importers.bills.others import convert_oci, convert_opencost
from aifactory.inputs.importers.bills.sanity import odd_charges, refuse_wrong_charges
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import read_text, type_table

#: Tried in this order; a header that holds all marks of a format is that format.
FORMATS = (
    Format("FOCUS", frozenset({"BilledCost", "EffectiveCost", "ChargeCategory"}), convert_focus),
    Format(
        "AWS cost and usage report, legacy", frozenset({"lineItem/UnblendedCost", "lineItem/LineItemType"}), convert_aws
    ),
    Format(
        "AWS cost and usage report 2.0",
        frozenset({"line_item_unblended_cost", "line_item_line_item_type"}),
        convert_aws,
    ),
    Format("Oracle cost report", frozenset({"cost/myCost", "cost/currencyCode"}), convert_oci),
    Format("OpenCost allocation", frozenset({"TotalCost", "Namespace", "Date"}), convert_opencost),
    Format("Google Cloud BigQuery export", frozenset({"cost", "currency", "usage_start_time"}), convert_gcp),
    Format("LiteLLM spend", CALLS, convert_litellm_calls),
    Format("LiteLLM spend", DAILY, convert_litellm_daily),
)
AZURE = Format("Azure cost export", frozenset(AZURE_COST), convert_azure)


def detect(header: list[str]) -> Format | None:
    """Format of a bill by its header; None if none fits."""
    names = set(header)
    for item in FORMATS:
        if item.marks <= names:
            return item
    english = {azure_name(name) for name in header}
    dated = english & set(AZURE_COLUMNS["ChargePeriodStart"])
    return AZURE if english & AZURE.marks and dated and english & set(AZURE_COLUMNS["BillingCurrency"]) else None


@dataclass(frozen=True)
class Bill:
    """A bill in the columns of the `billing` table, and how it was read.

    `charges` holds money as text, digit by digit, `amounts` the same ready to be added, `coded` the columns
    of few different values, `column_of` the file's own column by ours where it has another name.
    """

    format: str
    charges: pd.DataFrame
    rows_read: int
    warnings: list[tuple[str, int]]
    amounts: dict[str, Amounts]
    coded: dict[str, Coded]
    column_of: dict[str, str]

    @cached_property
    def table(self) -> pd.DataFrame:
        """The charges with money as Decimals."""
        return self.charges.assign(**as_decimals({name: self.charges[name] for name in self.amounts}))

    @property
    def rows_added(self) -> int:
        """Charges split off from others, such as the unused part of a commitment."""
        return len(self.charges) - self.rows_read


def read_bill(path: Path | str, today: pd.Timestamp | None = None) -> Bill:
    """Read one file of a bill in any of the formats; `today` is the day of import, for a warning.

    Raises
    ------
    InputError
        If the format is not known, cells cannot be read, several currencies or actual and amortised
        cost stand in one file, or a charge cannot be one (`refuse_wrong_charges`).
    """
    path = Path(path)
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    text, notes = (json_rows(path.name, file_bytes(path)), []) if holds_json(path) else read_text(path)
    text = flat_structs(text)
    found = detect(list(text.columns))
    if found is None:
        text, found, notes = _recased(path.name, text, notes)
    if found is None:
        _refuse_incomplete(path.name, list(text.columns))
        known = ", ".join(dict.fromkeys(item.name for item in (*FORMATS, AZURE)))
        rule = f"the header fits no known bill ({known}); it begins with {', '.join(list(text.columns)[:6])}"
        raise InputError.at(path.name, rule, row=1)
    try:
        converted = found.convert(as_text(text))
    except ValueError as error:
        raise InputError.at(path.name, str(error)) from None
    name = f"{found.name}, {converted.variant}" if converted.variant else found.name
    bill = _typed(path, converted, name)
    with ThreadPoolExecutor(1) as pool:
        odd = pool.submit(lambda: list(odd_charges(bill, today)))
        refuse_wrong_charges(path.name, bill)
        _one_currency(path, bill)
    said = [*notes, *converted.warnings, *bill.warnings, *odd.result()]
    return replace(bill, rows_read=len(text), warnings=said)


def _refuse_incomplete(file: str, header: list[str]) -> None:
    """Name the column that a bill lacks whose other columns are those of a format."""
    for item in FORMATS:
        absent = sorted(item.marks - set(header))
        others = set(load_contract("billing").columns) if item.convert is convert_focus else item.marks
        if len(absent) == 1 and len(others & set(header)) > 1:
            found = ", ".join(sorted(others & set(header))[:12])
            rule = f"required column of a bill in the format {item.name} is missing; found: {found}"
            raise InputError.at(file, rule, row=1, column=absent[0])


def _recased(
    file: str, text: pd.DataFrame, notes: list[tuple[str, int]]
) -> tuple[pd.DataFrame, Format | None, list[tuple[str, int]]]:
    """A bill whose names went through a catalogue that writes them in one case, with or without underscores."""
    focus = {name.lower(): name for name in load_contract("billing").columns}
    for names in (
        {name: focus.get(name.replace("_", "").lower(), name) for name in text},
        {name: name.lower() for name in text},
    ):
        found = detect(list(names.values()))
        if found is None:
            continue
        twice = next((name for name, count in Counter(names.values()).items() if count > 1), "")
        if twice:
            raise InputError.at(file, "the column is given twice in different case", row=1, column=twice)
        changed = [old for old, new in names.items() if old != new]
        rule = f"{len(changed)} column names are in another case than {found.name} writes them ({changed[0]})"
        return text.rename(columns=names), found, [*notes, (rule, 0)]
    return text, None, notes


def _typed(path: Path, converted: Converted, name: str) -> Bill:
    """Types and bounds of the contract; problems name the column of the file."""
    contract, text, source_of = load_contract("billing"), converted.text, converted.source_of
    kept = [name for name in text if name in contract.columns or name.startswith("x_")]
    typed = type_table(path, text[kept], contract, amounts_as_text=True)
    named = [replace(item, column=source_of.get(item.column, item.column)) for item in typed.problems]
    raise_problems(path.name, list(dict.fromkeys(named)))  # one column may fill several of ours
    unknown = [name for name in text if name not in kept]
    warnings = [(f"{item.column}: {item.rule}", len(text)) for item in typed.warnings]
    if unknown:
        warnings.append((f"columns not used: {', '.join(unknown)}", 0))
    extra = {name: text[name] for name in kept if name not in contract.columns}
    counted = dict(zip(extra, each(coded, extra.values(), len(text)), strict=True))
    filled = [item for item in contract.fields if item.required or typed.frame[item.name].notna().any()]
    exact = [item.name for item in filled if item.exact]
    amounts = dict(zip(exact, each(lambda name: Amounts(typed.frame[name]), exact, len(text)), strict=True))
    return Bill(
        name,
        typed.frame[[item.name for item in filled]].assign(**extra),
        len(text),
        warnings,
        amounts,
        {name: held for name, held in (typed.coded | counted).items() if held is not None},
        source_of,
    )


def _one_currency(path: Path, bill: Bill) -> None:
    table = bill.charges
    currencies = sorted(table["BillingCurrency"].unique())
    if len(currencies) > 1:
        row = int((table["BillingCurrency"] != table["BillingCurrency"].iloc[0]).idxmax()) + 2
        rule = f"several currencies ({', '.join(currencies)}) in one bill are never added; import them one by one"
        raise InputError.at(path.name, rule, row=row, column=bill.column_of.get("BillingCurrency", "BillingCurrency"))
