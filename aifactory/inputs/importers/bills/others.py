"""Oracle cost reports and OpenCost allocations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.importers.bills.common import Converted, as_tags, column, pick, plain_dates

OCI_COLUMNS = {
    "ChargePeriodStart": ("lineItem/intervalUsageStart",),
    "ChargePeriodEnd": ("lineItem/intervalUsageEnd",),
    "BillingAccountId": ("lineItem/tenantId",),
    "SubAccountId": ("product/compartmentId",),
    "SubAccountName": ("product/compartmentName",),
    "RegionId": ("product/region",),
    "ServiceName": ("product/service",),
    "SkuId": ("cost/productSku", "product/sku"),
    "SkuMeter": ("product/resource", "product/Description"),
    "ChargeDescription": ("product/Description", "cost/skuUnitDescription"),
    "ResourceId": ("product/resourceId",),
    "ConsumedQuantity": ("usage/billedQuantity",),
    "ConsumedUnit": ("cost/billingUnitReadable",),
    "BillingCurrency": ("cost/currencyCode",),
    "BilledCost": ("cost/myCost",),
    "EffectiveCost": ("cost/myCost",),
}


def convert_oci(text: pd.DataFrame) -> Converted:
    """Oracle cost report: one cost, billed and effective; corrections are marked."""
    found = pick(text, OCI_COLUMNS)
    frame = found.text.assign(ProviderName="Oracle", ChargeCategory="Usage", PricingCategory="Standard")
    for name in ("ChargePeriodStart", "ChargePeriodEnd"):
        frame[name] = frame[name].str.replace(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d)Z$", r"\1:00Z", regex=True)
    frame["BillingPeriodStart"] = frame["ChargePeriodStart"]
    frame["ChargeClass"] = np.where(column(text, "lineItem/isCorrection").str.lower() == "true", "Correction", "")
    tags = {name.removeprefix("tags/").split(".")[-1]: text[name] for name in text if name.startswith("tags/")}
    frame["Tags"] = as_tags(tags) if tags else ""
    return Converted(frame, found.source_of)


def convert_opencost(text: pd.DataFrame) -> Converted:
    """OpenCost allocation: total cost by namespace and day; it names no currency, so USD is assumed."""
    frame = pick(
        text, {"BilledCost": ("TotalCost",), "EffectiveCost": ("TotalCost",), "SubAccountId": ("Namespace",)}
    ).text
    start, _ = plain_dates(text["Date"].str.replace(r"^(\d{4}-\d\d-\d\d).*$", r"\1", regex=True))
    labels = {name.removeprefix("Label_").lower(): text[name] for name in text if name.startswith("Label_")}
    frame = frame.assign(
        ProviderName="OpenCost", ChargeCategory="Usage", PricingCategory="Standard", BillingCurrency="USD",
        ServiceName="Kubernetes", ChargePeriodStart=start, ChargePeriodEnd=start, BillingPeriodStart=start,
        ChargeDescription=column(text, "ControllerName"), Tags=as_tags(labels) if labels else column(text, "Labels"),
    )  # fmt: skip
    names = {"BilledCost": "TotalCost", "EffectiveCost": "TotalCost", "ChargePeriodStart": "Date"}
    return Converted(frame, names, [("no currency is named: USD assumed", len(frame))])
