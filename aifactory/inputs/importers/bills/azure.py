"""Azure exports, actual or amortised; headers in any language that keep the English name in brackets."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd

from aifactory.inputs.importers.bills.common import Converted, amounts, as_tags, column, pick, plain_dates

AZURE_COLUMNS = {
    "BillingPeriodStart": ("billingperiodstartdate",),
    "ChargePeriodStart": ("date", "usagedatetime", "usagedate"),
    "BillingAccountId": ("billingaccountid",),
    "SubAccountId": ("subscriptionid", "subscriptionguid"),
    "SubAccountName": ("subscriptionname",),
    "RegionId": ("resourcelocation", "resourceregion", "meterregion"),
    "ServiceName": ("metercategory", "consumedservice"),
    "SkuId": ("meterid",),
    "SkuMeter": ("metername", "metersubcategory"),
    "ChargeDescription": ("productname", "product", "metersubcategory"),
    "ResourceId": ("resourceid", "instanceid"),
    "ConsumedQuantity": ("quantity", "usagequantity"),
    "ConsumedUnit": ("unitofmeasure",),
    "BillingCurrency": ("billingcurrency", "billingcurrencycode", "currency"),
    "Tags": ("tags",),
}
AZURE_COST = ("costinbillingcurrency", "pretaxcost", "cost")
AZURE_CATEGORY = {
    "Purchase": "Purchase",
    "Refund": "Adjustment",
    "RoundingAdjustment": "Adjustment",
    "Tax": "Tax",
    "Credit": "Credit",
}
AZURE_PRICING = {"OnDemand": "Standard", "Reservation": "Committed", "SavingsPlan": "Committed", "Spot": "Dynamic"}
_GERMAN_NUMBER = r"-?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+"


def azure_name(name: str) -> str:
    """English name without case; of a translated header the name in brackets.

    >>> azure_name("Ressourcengruppe (ResourceGroup)"), azure_name("PreTaxCost")
    ('resourcegroup', 'pretaxcost')
    """
    inside = re.search(r"\(([A-Za-z]+)\)\s*$", name)
    return (inside.group(1) if inside else name).strip().lower()


def convert_azure(text: pd.DataFrame) -> Converted:
    """Azure export: an actual one is what is billed, an amortised one what it costs; never both."""
    source = {azure_name(name): name for name in text}
    text = text.rename(columns={name: new for new, name in source.items()})
    found = pick(text, AZURE_COLUMNS)
    frame, notes = found.text.assign(ProviderName="Microsoft"), []
    cost, decimals = _plain_numbers(column(text, *AZURE_COST))
    notes += decimals
    kind, model = column(text, "chargetype"), column(text, "pricingmodel")
    reserved = model.isin(["Reservation", "SavingsPlan"]) | (column(text, "reservationid") != "")
    bought, used = (
        reserved & (kind == "Purchase") & (amounts(cost) != 0),
        reserved & (kind != "Purchase") & (amounts(cost) != 0),
    )
    if bought.any() and used.any():
        msg = (
            f"{int(bought.sum())} commitment purchases and {int(used.sum())} charges that carry their amortised cost stand "
            "in one file: actual and amortised exports are never added; import one of them"
        )
        raise ValueError(msg)
    frame["ChargeCategory"] = kind.map(AZURE_CATEGORY).fillna("Usage")
    frame["PricingCategory"] = model.map(AZURE_PRICING).fillna("")
    unused = kind.str.startswith("Unused")
    frame["CommitmentDiscountStatus"] = np.where(
        unused, "Unused", np.where(reserved & (kind != "Purchase"), "Used", "")
    )
    frame["BilledCost"] = cost.mask(used, "0")
    frame["EffectiveCost"] = cost.mask(kind.eq("Purchase") & reserved, "0")
    if used.any():
        notes.append(("amortised export: what was billed for commitments is not in it and counts 0", int(used.sum())))
    elif (reserved & (kind != "Purchase")).any():
        notes.append(
            (
                "actual export: usage of commitments has an effective cost of 0, its amortisation is missing",
                int((reserved & (kind != "Purchase")).sum()),
            )
        )
    frame["ChargePeriodStart"], dates = plain_dates(frame["ChargePeriodStart"])
    notes += dates
    frame["ChargePeriodEnd"] = frame["ChargePeriodStart"]
    if "BillingPeriodStart" not in frame:
        frame["BillingPeriodStart"] = frame["ChargePeriodStart"]
    else:
        frame["BillingPeriodStart"], _ = plain_dates(frame["BillingPeriodStart"])
    if "Tags" in frame:  # older exports leave the braces of the object away
        frame["Tags"] = frame["Tags"].mask(frame["Tags"].str.startswith('"'), "{" + frame["Tags"] + "}")
    frame["SkuPriceDetails"] = as_tags({"InstanceType": column(text, "additionalinfo").map(_service_type)})
    names = {target: source.get(name, name) for target, name in found.source_of.items()}
    billed_from = source.get(next((name for name in AZURE_COST if name in text), "cost"), "Cost")
    variant = "amortised" if used.any() else "actual" if bought.any() else ""
    return Converted(frame, names | {"BilledCost": billed_from, "EffectiveCost": billed_from}, notes, variant)


def _service_type(text: str) -> str:
    try:
        info = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return ""
    return str(info.get("ServiceType", "")) if isinstance(info, dict) else ""


def _plain_numbers(texts: pd.Series) -> tuple[pd.Series, list[tuple[str, int]]]:
    """Decimal commas as points; commas beside points would leave it open which of them is which."""
    comma = texts.str.fullmatch(_GERMAN_NUMBER)
    if not comma.any():
        return texts, []
    point = texts.str.contains(".", regex=False) & ~comma
    if point.any():
        row, value = int(point.to_numpy().argmax()) + 2, texts[point].iloc[0]
        msg = f"row {row}: {value!r} has a point while other costs have a decimal comma; write all of them one way"
        raise ValueError(msg)
    plain = texts.mask(comma, texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False))
    return plain, [("decimal commas were read as points", int(comma.sum()))]
