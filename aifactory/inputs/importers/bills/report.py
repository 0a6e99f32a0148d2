"""What was read of a bill, for a person and for a program."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.billing import UNATTRIBUTED, derive_billing
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.bills.read import Bill
from aifactory.inputs.money import exact_total, sum_exact
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_source

DIMENSIONS = {
    "team": "team",
    "business_unit": "business_unit",
    "sub_account": "account",
    "provider": "ProviderName",
    "accelerator": "accelerator_id",
    "purchase_option": "purchase_option",
    "charge_category": "ChargeCategory",
    "use_case": "use_case",
}
NEEDED = ("team", "business_unit", "use_case", "accelerator", "account", "list_cost")


def bill_report(bill: Bill, account_map: pd.DataFrame | None = None) -> dict[str, object]:
    """Counts, totals and splits of a bill; amounts are exact, as decimal text.

    Returns
    -------
    Keys format, rows_read, rows_kept, rows_left_out, warnings, period, currency, totals, usage_in_period,
    by (dimension -> value -> effective cost), accelerator_hours, coverage (field -> share of rows).
    """
    contract = load_contract("billing")
    absent = [item for item in contract.fields if item.name not in bill.table]
    table = bill.table.assign(**{item.name: pd.Series(index=bill.table.index, dtype=item.dtype) for item in absent})
    table = table[list(dict.fromkeys([*contract.columns, *bill.table.columns]))]
    aliases = read_source(data_dir() / "catalogue" / "accelerator_aliases.csv", load_contract("accelerator_aliases"))
    mapped = load_contract("account_map").empty() if account_map is None else account_map
    derived = derive_billing(table, mapped, aliases)
    period = derived["invoice_month"].mode().iloc[0] if len(derived) else ""
    hours = derived.groupby("accelerator_id")["accelerator_hours"].sum()
    cube = sum_exact(derived, [*DIMENSIONS.values(), "month"], ["EffectiveCost", "BilledCost"])
    usage = cube[cube["month"] == period]
    return {
        "format": bill.format,
        "rows_read": bill.rows_read,
        "rows_kept": len(derived),
        "rows_left_out": {},
        "warnings": [{"text": text, "rows": rows} for text, rows in (*bill.warnings, *_unsure(derived))],
        "period": period,
        "currency": derived["BillingCurrency"].iloc[0] if len(derived) else "",
        "totals": {"billed": _total(cube, "BilledCost"), "effective": _total(cube, "EffectiveCost"),
                   "list": _total(derived, "ListCost")},
        "usage_in_period": {"effective": _total(usage, "EffectiveCost"), "billed": _total(usage, "BilledCost")},
        "by": {name: _split(cube, column) for name, column in DIMENSIONS.items()},
        "accelerator_hours": {str(name): round(float(value), 6) for name, value in hours.items() if value > 0},
        "coverage": _coverage(derived),
    }  # fmt: skip


def _unsure(derived: pd.DataFrame) -> list[tuple[str, int]]:
    """Charges whose accelerator is told by the name of a device and not by an instance type."""
    rows = int((derived["accelerator_confidence"] == "assumed").sum())
    text = "accelerator assumed from the name of a device; as many as the details say, else one, are counted an hour"
    return [(text, rows)] if rows else []


def _total(table: pd.DataFrame, column: str) -> str | None:
    """Exact sum as text; None where no row has the amount."""
    known = table[column].dropna()
    return str(exact_total(known)) if len(known) else None


def _split(table: pd.DataFrame, column: str) -> dict[str, str]:
    sums = sum_exact(table, column, ["EffectiveCost"])
    names = sums[column].replace(UNATTRIBUTED, "(untagged)")
    return dict(zip(names, map(str, sums["EffectiveCost"]), strict=True))


def _coverage(table: pd.DataFrame) -> dict[str, float]:
    """Share of rows in which a field that planning needs is known."""
    known = {
        **{name: table[name] != UNATTRIBUTED for name in ("team", "business_unit", "use_case")},
        "accelerator": table["accelerator_id"] != "(none)",
        "account": table["account"] != "(none)",
        "list_cost": table["ListCost"].notna(),
    }
    return {name: round(float(known[name].mean()), 6) if len(table) else 0.0 for name in NEEDED}
