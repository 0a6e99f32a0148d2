"""What was read of a bill, for a person and for a program."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.billing import DISCOUNT, LABELS, NO_ACCELERATOR, UNATTRIBUTED, derive_billing
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.bills.read import Bill
from aifactory.inputs.kinds import combined_kinds
from aifactory.inputs.money import exact_total, sum_exact
from aifactory.inputs.months import month_of
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

    Charges that agree in all labels and months are of one kind; money is added once by kind, and all else
    follows from the kinds.

    Returns
    -------
    Keys format, rows_read, rows_kept, rows_left_out, warnings, period (the month of most charges), months (first and
    last), currency, totals, usage_in_period, by (dimension -> value -> effective cost), accelerator_hours, coverage (field -> share of rows).
    """
    aliases = read_source(data_dir() / "catalogue" / "accelerator_aliases.csv", load_contract("accelerator_aliases"))
    mapped = load_contract("account_map").empty() if account_map is None else account_map
    derived = derive_billing(_kinds(bill), mapped, aliases)
    period = derived.groupby("invoice_month")["rows"].sum().idxmax() if len(derived) else ""
    hours = derived.groupby("accelerator_id")["accelerator_hours"].sum()
    usage = derived[derived["month"] == period]
    listed = bill.amounts.get("ListCost")
    return {
        "format": bill.format,
        "rows_read": bill.rows_read,
        "rows_kept": bill.rows_read,
        "rows_left_out": {},
        **({"rows_added": bill.rows_added} if bill.rows_added else {}),
        "warnings": [{"text": text, "rows": rows} for text, rows in (*bill.warnings, *_unsure(derived))],
        "period": period,
        "months": [str(ends) for ends in (derived["invoice_month"].min(), derived["invoice_month"].max())] if len(derived) else [],
        "currency": bill.charges["BillingCurrency"].iloc[0] if len(derived) else "",
        "totals": {"billed": _total(derived, "BilledCost"), "effective": _total(derived, "EffectiveCost"),
                   "list": f"{listed.total():f}" if listed and listed.known else None},
        "usage_in_period": {"effective": _total(usage, "EffectiveCost"), "billed": _total(usage, "BilledCost")},
        "by": {name: _split(derived, column) for name, column in DIMENSIONS.items()},
        "accelerator_hours": {str(name): round(float(value), 6) for name, value in hours.items() if value > 0},
        "coverage": _coverage(derived, listed.known if listed else 0),
    }  # fmt: skip


def _kinds(bill: Bill) -> pd.DataFrame:
    """One row for each kind of charge: its labels, and `rows`, quantity and money of all charges of the kind."""
    contract, charges = load_contract("billing"), bill.charges
    times = ["ChargePeriodStart", "BillingPeriodStart"]
    labels = [name for name in dict.fromkeys([*LABELS, "ProviderName"]) if name in charges]
    months = [pd.factorize(month_of(charges[name]))[0] for name in times]
    codes = (bill.coded[name].codes if name in bill.coded else pd.factorize(charges[name])[0] for name in labels)
    kind, first = combined_kinds((*codes, *months), len(charges))
    kinds = charges[[*times, *labels]].iloc[first].reset_index(drop=True)
    if "ConsumedQuantity" in charges:
        kinds["ConsumedQuantity"] = charges["ConsumedQuantity"].groupby(kind).sum()
    absent = {
        item.name: pd.Series(index=kinds.index, dtype=item.dtype) for item in contract.fields if item.name not in kinds
    }
    sums = {
        name: pd.Series(bill.amounts[name].sums(kind, len(first)), dtype="object")
        for name in ("EffectiveCost", "BilledCost")
    }
    return kinds.assign(**absent | sums, rows=np.bincount(kind, minlength=len(first)))


def _unsure(derived: pd.DataFrame) -> list[tuple[str, int]]:
    """Charges whose accelerator is told by the name of a device and not by an instance type, and those without hours."""
    assumed = derived["accelerator_confidence"] == "assumed"
    timeless = (derived["accelerator_id"] != NO_ACCELERATOR) & derived["accelerator_hours"].isna()
    timeless &= derived["purchase_option"] != DISCOUNT
    units = sorted(set(derived.loc[timeless, "ConsumedUnit"].fillna("none").astype("str")))
    said = {
        "accelerator assumed from the name of a device; as many as the details say, else one, are counted an hour": assumed,
        f"usage of an accelerator without a quantity in hours counts no accelerator-hours (unit: {', '.join(units)[:60]})": timeless,
    }
    return [(text, int(derived.loc[rows, "rows"].sum())) for text, rows in said.items() if rows.any()]


def _total(table: pd.DataFrame, column: str) -> str | None:
    """Exact sum as text; None without a charge."""
    return f"{exact_total(table[column]):f}" if len(table) else None


def _split(table: pd.DataFrame, column: str) -> dict[str, str]:
    sums = sum_exact(table, column, ["EffectiveCost"])
    names = sums[column].replace(UNATTRIBUTED, "(untagged)")
    return dict(zip(names, map("{:f}".format, sums["EffectiveCost"]), strict=True))


def _coverage(kinds: pd.DataFrame, listed: int) -> dict[str, float]:
    """Share of rows in which a field that planning needs is known."""
    known = {
        **{name: kinds[name] != UNATTRIBUTED for name in ("team", "business_unit", "use_case")},
        "accelerator": kinds["accelerator_id"] != "(none)",
        "account": kinds["account"] != "(none)",
    }
    rows = {name: int(kinds.loc[flags, "rows"].sum()) for name, flags in known.items()} | {"list_cost": listed}
    every = int(kinds["rows"].sum())
    return {name: round(rows[name] / every, 6) if every else 0.0 for name in NEEDED}
