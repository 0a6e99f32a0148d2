"""Oracle cost reports and OpenCost allocations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.importers.bills.common import Converted, amounts, as_tags, column, pick, plain_dates

#: Name that OpenCost gives to the capacity of a cluster that nobody used.
IDLE = "__idle__"
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
    "x_ChargeId": ("lineItem/referenceNo",),
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
    """OpenCost allocations, CSV or API: total cost by namespace; it names no currency, so USD is assumed.

    The idle allocation of a cluster has no consumer: it is shown as capacity that was paid for and unused.
    """
    columns = {"BilledCost": ("TotalCost",), "EffectiveCost": ("TotalCost",), "SubAccountId": ("Namespace",)}
    frame = pick(text, columns).text
    start, end = (_opencost_time(column(text, name), name) for name in ("Date", "End"))
    labels = {name.removeprefix("Label_").lower(): text[name] for name in text if name.startswith("Label_")}
    hours, idle = column(text, "GPUHours"), (text["Namespace"] == IDLE).to_numpy()
    frame = frame.assign(
        ProviderName="OpenCost", ChargeCategory="Usage", BillingCurrency="USD", ServiceName="Kubernetes",
        PricingCategory=np.where(idle, "Committed", "Standard"), CommitmentDiscountStatus=np.where(idle, "Unused", ""),
        ChargePeriodStart=start, ChargePeriodEnd=end.mask(end == "", start), BillingPeriodStart=start,
        ConsumedQuantity=hours, ConsumedUnit=np.where(hours != "", "Hours", ""),
        ChargeDescription=column(text, "ControllerName"), Tags=as_tags(labels) if labels else column(text, "Labels"),
    )  # fmt: skip
    names = {"BilledCost": "TotalCost", "EffectiveCost": "TotalCost", "ChargePeriodStart": "Date"}
    notes = [("no currency is named: USD assumed", len(frame))]
    used = (amounts(column(text, "GPUs")) > 0) & (hours == "")
    if used.any():  # of its CSV GPUs is a mean over the minutes that a pod ran, which it does not hold
        notes.append(
            ("GPUs without GPUHours: accelerator-hours unknown; the JSON of its API holds gpuHours", int(used.sum()))
        )
    if idle.any():
        notes.append(("idle capacity of the cluster, shown as unused commitment", int(idle.sum())))
    return Converted(frame, names, notes)


def _opencost_time(texts: pd.Series, name: str) -> pd.Series:
    day, _ = plain_dates(texts, name)
    return day.str.replace(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?: \+0000 UTC| UTC)?$", r"\1T\2Z", regex=True)
