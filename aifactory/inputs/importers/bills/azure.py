"""Azure exports, actual or amortised; headers in any language that keep the English name in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from aifactory.inputs.importers.bills.common import (
    Converted,
    amounts,
    column,
    instance_details,
    pick,
    plain_dates,
    products,
    renamed,
)

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
#: What usage costs at list price: stated, else price times quantity. Source: Microsoft, Cost Management,
#: "Understand usage details fields".
AZURE_LIST, AZURE_LIST_PRICE, AZURE_QUANTITY = "paygcostinbillingcurrency", "paygprice", ("quantity", "usagequantity")
AZURE_BLOCK = r"\s*(?:[2-9]|1\d|1,\d)"
AZURE_RATE = "exchangeratepricingtobilling"
AZURE_NUMBERS = (*AZURE_COST, *AZURE_QUANTITY, AZURE_LIST, AZURE_LIST_PRICE, AZURE_RATE)
AZURE_CATEGORY = {
    "Purchase": "Purchase",
    "Refund": "Adjustment",
    "RoundingAdjustment": "Adjustment",
    "Tax": "Tax",
    "Credit": "Credit",
}
AZURE_PRICING = {"OnDemand": "Standard", "Reservation": "Committed", "SavingsPlan": "Committed", "Spot": "Dynamic"}
#: What is paid, or paid back, for a commitment as a whole; only an actual export tells it.
AZURE_PAID = ("Purchase", "Refund")
#: Kinds of charges as the documentation writes them; exports differ in case.
AZURE_TYPES = ("Usage", "UnusedReservation", "UnusedSavingsPlan", *AZURE_CATEGORY)
AZURE_USED = {
    *AZURE_NUMBERS,
    "chargetype",
    "pricingmodel",
    "reservationid",
    *(name for names in AZURE_COLUMNS.values() for name in names),
}
_GERMAN_NUMBER = r"-?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+"


def azure_name(name: str) -> str:
    """English name without case; of a translated header the name in brackets, round or square.

    >>> azure_name("Ressourcengruppe (ResourceGroup)"), azure_name("Datum [Date]"), azure_name("PreTaxCost")
    ('resourcegroup', 'date', 'pretaxcost')
    """
    inside = re.search(r"[(\[]\s*([A-Za-z]+)\s*[)\]]\s*$", name)
    return (inside.group(1) if inside else name).strip().lower()


def convert_azure(text: pd.DataFrame) -> Converted:
    """Azure export: an actual one is what is billed, an amortised one what it costs; never both."""
    text, source = renamed(text, azure_name, AZURE_USED)
    text, notes = _plain_numbers(text, source)
    found = pick(text, AZURE_COLUMNS)
    frame = found.text.assign(ProviderName="Microsoft")
    cost = column(text, *AZURE_COST)
    kind, model = _cased(column(text, "chargetype"), AZURE_TYPES), _cased(column(text, "pricingmodel"), AZURE_PRICING)
    text = text.assign(chargetype=kind)
    other = ~kind.isin(["", *AZURE_TYPES])
    if other.any():
        named = ", ".join(sorted(kind[other].unique())[:5])
        notes.append((f"charge types that are not known count as usage: {named}", int(other.sum())))
    reserved = model.isin(["Reservation", "SavingsPlan"]) | (column(text, "reservationid") != "")
    held = reserved & ~kind.isin(AZURE_CATEGORY)  # what the commitment carries; taxes and credits are not of it
    paid = reserved & kind.isin(AZURE_PAID)
    bought, used = paid & (amounts(cost) != 0), held & (amounts(cost) != 0)
    if bought.any() and used.any():
        msg = (
            f"{int(bought.sum())} commitment purchases or refunds and {int(used.sum())} charges that carry their amortised "
            "cost stand in one file: actual and amortised exports are never added; import one of them"
        )
        raise ValueError(msg)
    frame["ChargeCategory"] = kind.map(AZURE_CATEGORY).fillna("Usage")
    frame["PricingCategory"] = model.map(AZURE_PRICING).fillna("")
    unused = kind.str.startswith("Unused")
    frame["CommitmentDiscountStatus"] = np.where(unused, "Unused", np.where(held, "Used", ""))
    frame["ListCost"], listed = _list_cost(text, cost)
    notes += listed
    frame["BilledCost"] = cost.mask(used, "0")
    frame["EffectiveCost"] = cost.mask(paid, "0")
    if used.any():
        notes.append(("amortised export: what was billed for commitments is not in it and counts 0", int(used.sum())))
    elif held.any():
        notes.append(
            (
                "actual export: usage of commitments has an effective cost of 0, its amortisation is missing",
                int(held.sum()),
            )
        )
    days = next((name for name in AZURE_COLUMNS["ChargePeriodStart"] if name in text), "date")
    written = frame["ChargePeriodStart"]
    frame["ChargePeriodStart"], dates = plain_dates(frame["ChargePeriodStart"], source.get(days, days))
    notes += dates
    frame["ChargePeriodEnd"] = frame["ChargePeriodStart"]
    if "BillingPeriodStart" not in frame:
        frame["BillingPeriodStart"] = frame["ChargePeriodStart"]
    else:
        period = found.source_of["BillingPeriodStart"]
        frame["BillingPeriodStart"], _ = plain_dates(frame["BillingPeriodStart"], source.get(period, period), written)
    if "Tags" in frame:  # older exports leave the braces of the object away
        frame["Tags"] = frame["Tags"].mask(frame["Tags"].str.startswith('"'), "{" + frame["Tags"] + "}")
    frame["SkuPriceDetails"] = instance_details(column(text, "additionalinfo"))
    names = {target: source.get(name, name) for target, name in found.source_of.items()}
    names = dict.fromkeys(("BillingPeriodStart", "ChargePeriodEnd"), names["ChargePeriodStart"]) | names
    billed_from = source.get(next((name for name in AZURE_COST if name in text), "cost"), "Cost")
    variant = "amortised" if used.any() else "actual" if bought.any() else ""
    return Converted(frame, names | {"BilledCost": billed_from, "EffectiveCost": billed_from}, notes, variant)


def _cased(texts: pd.Series, known: Iterable[str]) -> pd.Series:
    """Words as the documentation writes them, whatever their case; others stay."""
    words = {word.lower(): word for word in known}
    spelled = {text: words.get(text.strip().lower(), text) for text in texts.unique()}
    return texts.map(spelled)


def _list_cost(text: pd.DataFrame, cost: pd.Series) -> tuple[pd.Series, list[tuple[str, int]]]:
    """Cost of usage at list price in the billing currency, empty where the export does not tell it; and remarks."""
    price, quantity, rate = (column(text, *names) for names in ((AZURE_LIST_PRICE,), AZURE_QUANTITY, (AZURE_RATE,)))
    priced, billed = (column(text, *names) for names in (("pricingcurrency", "pricingcurrencycode"), AZURE_COLUMNS["BillingCurrency"]))  # fmt: skip
    same = (priced == "") | (priced == billed)
    usage = column(text, "chargetype").isin(["Usage", ""])
    # a price of 0 of what costs something is a price that is not told (marketplace, reservations)
    told = usage & (price != "") & (quantity != "") & ((amounts(price) != 0) | (amounts(cost) == 0))
    blocks = told & column(text, "unitofmeasure").str.match(AZURE_BLOCK)  # of one hour, or of a hundred?
    told &= ~blocks
    converted = products(price, quantity, rate.mask(same, "1"))
    stated = column(text, AZURE_LIST).where(usage, "")
    found = stated.mask((stated == "") & told, converted)
    unknown = int((told & ~same & (found == "")).sum())
    notes = [("list price in another currency and no exchange rate: list cost unknown", unknown)] if unknown else []
    block = int((blocks & (stated == "")).sum())
    notes += [("list price of a block of units (such as 100 Hours): list cost unknown", block)] if block else []
    worked = int((told & (stated == "") & (found != "")).sum())
    return found, [*notes, *([("list cost is PayGPrice times quantity", worked)] if worked else [])]


def _plain_numbers(text: pd.DataFrame, source: dict[str, str]) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Decimal commas of the number columns as points; commas beside points would leave it open which of them is which."""
    numbers = {name: text[name] for name in AZURE_NUMBERS if name in text}
    commas = {name: texts.str.fullmatch(_GERMAN_NUMBER).fillna(value=False) for name, texts in numbers.items()}
    if not any(flags.any() for flags in commas.values()):
        return text, []
    for name, texts in numbers.items():
        point = texts.str.contains(".", regex=False) & ~commas[name]
        if point.any():
            row, value = int(point.to_numpy().argmax()) + 2, texts[point].iloc[0]
            msg = f"row {row}, column {source[name]!r}: {value!r} has a point while other numbers have a decimal comma; write all of them one way"
            raise ValueError(msg)
    plain = {
        name: texts.mask(commas[name], texts.str.replace(".", "", regex=False).str.replace(",", ".", regex=False))
        for name, texts in numbers.items()
    }
    rows = pd.DataFrame(commas).any(axis=1)
    return text.assign(**plain), [("decimal commas were read as points", int(rows.sum()))]
