"""Google Cloud: BigQuery export, flattened with dots or underscores."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from functools import partial

import numpy as np
import pandas as pd

from aifactory.inputs.importers.bills.common import GOOGLE_TIME, Converted, column, entries, key_values, pick
from aifactory.inputs.importers.bills.gcp_commitments import FEE, spread_fees

GCP_COLUMNS = {
    "ChargePeriodStart": ("usage_start_time",),
    "ChargePeriodEnd": ("usage_end_time",),
    "BillingAccountId": ("billing_account_id",),
    "SubAccountId": ("project.id", "project_id"),
    "SubAccountName": ("project.name", "project_name"),
    "RegionId": ("location.region", "location_region"),
    "ServiceName": ("service.description", "service_description"),
    "SkuId": ("sku.id", "sku_id"),
    "SkuMeter": ("sku.description", "sku_description"),
    "ConsumedQuantity": (
        "usage.amount_in_pricing_units",
        "usage_amount_in_pricing_units",
        "usage.amount",
        "usage_amount",
    ),
    "ConsumedUnit": ("usage.pricing_unit", "usage_pricing_unit", "usage.unit", "usage_unit"),
    "BillingCurrency": ("currency",),
    "ListCost": ("cost_at_list",),
}
GCP_CATEGORY = {
    "tax": "Tax",
    "adjustment": "Adjustment",
    "rounding_error": "Adjustment",
    "rounding error": "Adjustment",
}
#: Credits that are money given, not a lower price: lines of their own.
GCP_GIFTS = ("PROMOTION",)


def convert_gcp(text: pd.DataFrame) -> Converted:
    """BigQuery billing export: cost plus its credits, which stand in each row."""
    found = pick(text, GCP_COLUMNS)
    frame = found.text.assign(ProviderName="Google Cloud")
    for name in ("ChargePeriodStart", "ChargePeriodEnd"):
        frame[name] = frame[name].str.replace(GOOGLE_TIME, r"\1T\2Z", regex=True)
    month = column(text, "invoice.month", "invoice_month").str.replace(
        r"^(\d{4})(\d\d)$", r"\1-\2-01T00:00:00Z", regex=True
    )
    frame["BillingPeriodStart"] = month.mask(month == "", frame["ChargePeriodStart"])
    kind = column(text, "cost_type").str.strip().str.lower()
    frame["ChargeCategory"] = kind.map(GCP_CATEGORY).fillna("Usage")
    other = ~kind.isin([*GCP_CATEGORY, "regular", ""])
    bought = column(text, "sku.description", "sku_description").str.match(FEE)
    frame["ChargeCategory"] = frame["ChargeCategory"].mask(bought & (frame["ChargeCategory"] == "Usage"), "Purchase")
    _refuse_broken_credits(column(text, "credits"))
    credit, gift = (column(text, "credits").map(partial(_credit_sum, gifts=gifts)) for gifts in (False, True))
    kinds = column(text, "credits")
    committed = kinds.str.contains("COMMITTED_USAGE_DISCOUNT")
    spot = column(text, "sku.description", "sku_description").str.contains("Spot|Preemptible", case=False)
    frame["PricingCategory"] = np.select([committed, spot], ["Committed", "Dynamic"], "Standard")
    frame["CommitmentDiscountStatus"] = np.where(committed, "Used", "")
    gross = text["cost"]

    def net(cost: str, less: str) -> str:
        try:
            return str(Decimal(cost) + Decimal(less))
        except InvalidOperation:
            return cost  # the contract names what is wrong with it

    frame["BilledCost"] = [net(cost, less) for cost, less in zip(gross, credit, strict=True)]
    frame["EffectiveCost"] = frame["BilledCost"]
    frame["Tags"] = _labels(column(text, "project.labels", "project_labels"), column(text, "labels"))
    frame, fee_notes = spread_fees(frame, text)
    notes = (
        [("credits were taken off the cost of their row", int((credit != "0").sum()))] if (credit != "0").any() else []
    )
    if other.any():
        notes.append(
            (
                f"cost_type {', '.join(sorted(kind[other].unique())[:5])} is not known: counted as usage",
                int(other.sum()),
            )
        )
    if (gift != "0").any():
        given = frame.iloc[: len(text)][(gift != "0").to_numpy()].assign(
            ChargeCategory="Credit", PricingCategory="", CommitmentDiscountStatus=""
        )
        given = given.assign(BilledCost=gift[gift != "0"], EffectiveCost=gift[gift != "0"])
        given = given.assign(**{name: "" for name in ("ListCost", "ConsumedQuantity") if name in frame})
        frame = pd.concat([frame, given], ignore_index=True)
        notes.append(("promotional credits, shown as their own charges", len(given)))
    notes += fee_notes
    return Converted(frame, found.source_of | {"BilledCost": "cost", "EffectiveCost": "cost"}, notes)


def _refuse_broken_credits(texts: pd.Series) -> None:
    """Refuse credits that are no list with amounts: left out, the costs of their rows would be too high."""
    for text in texts.unique():
        if not _has_amounts(text):
            row = int((texts == text).to_numpy().argmax()) + 2
            raise ValueError(
                f"row {row}, column 'credits': value {text[:60]!r}: must be a list of credits, each with a finite amount"
            )


def _has_amounts(text: str) -> bool:
    if text.strip("[] ") in ("", "null"):
        return True
    try:
        held = entries(text)
        return bool(held) and all(Decimal(str(item.get("amount"))).is_finite() for item in held)
    except InvalidOperation:
        return False


def _credit_sum(text: str, *, gifts: bool) -> str:
    """Sum of the credits of a row that are gifts, or of those that are not."""
    mine = (item for item in entries(text) if (str(item.get("type", "")).upper() in GCP_GIFTS) == gifts)
    return str(sum((Decimal(str(item["amount"])) for item in mine), Decimal(0)))


def _labels(project: pd.Series, own: pd.Series) -> pd.Series:
    """Labels of a charge; what it does not say, the labels of its project say."""
    if not (project != "").any():
        return own.map(key_values)
    texts = [_joined(*pair) for pair in zip(project.map(key_values), own.map(key_values), strict=True)]
    return pd.Series(texts, index=own.index, dtype="str")


def _joined(of_project: str, of_charge: str) -> str:
    try:
        both = json.loads(of_project or "{}") | json.loads(of_charge or "{}")
    except (ValueError, RecursionError):
        return of_charge  # told by whoever reads tags
    return json.dumps(both) if both else ""
