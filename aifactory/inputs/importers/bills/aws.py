"""AWS cost and usage report, legacy names (slashes) and 2.0 names (snake case)."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import numpy as np
import pandas as pd

from aifactory.inputs.billing import DISCOUNT_KEY
from aifactory.inputs.importers.bills.common import Converted, as_object, as_tags, column, pick, renamed

AWS_COLUMNS = {
    "BillingPeriodStart": ("bill_billing_period_start_date",),
    "ChargePeriodStart": ("line_item_usage_start_date",),
    "ChargePeriodEnd": ("line_item_usage_end_date",),
    "BillingAccountId": ("bill_payer_account_id",),
    "SubAccountId": ("line_item_usage_account_id",),
    "SubAccountName": ("line_item_usage_account_name",),
    "RegionId": ("product_region_code", "product_region"),
    "ServiceName": ("product_product_name", "product_servicename", "line_item_product_code"),
    "SkuId": ("product_sku",),
    "SkuMeter": ("line_item_usage_type",),
    "ChargeDescription": ("line_item_line_item_description",),
    "ResourceId": ("line_item_resource_id",),
    "ConsumedQuantity": ("line_item_usage_amount",),
    "ConsumedUnit": ("pricing_unit",),
    "BillingCurrency": ("line_item_currency_code",),
    "BilledCost": ("line_item_unblended_cost",),
    "ListCost": ("pricing_public_on_demand_cost",),
    "x_ChargeId": ("identity_line_item_id",),
}
AWS_USAGE = ("Usage",)
AWS_PURCHASES = ("Fee", "RIFee", "SavingsPlanUpfrontFee", "SavingsPlanRecurringFee")
AWS_CATEGORY = {"Tax": "Tax", "Credit": "Credit", "Refund": "Adjustment", "SavingsPlanNegation": "Adjustment",
                **dict.fromkeys(AWS_PURCHASES, "Purchase")}  # fmt: skip
#: Lines that lower the price of usage (EdpDiscount, PrivateRateDiscount, BundledDiscount, SppDiscount) repeat its quantity.
#: Source: AWS, Cost and Usage Report, line item details.
AWS_DISCOUNT = r"[A-Za-z]*Discount"
AWS_COVERED = {"DiscountedUsage": "reservation_effective_cost",
               "SavingsPlanCoveredUsage": "savings_plan_savings_plan_effective_cost"}  # fmt: skip
#: line type -> columns whose sum less the last is what the commitment paid for and nobody used
AWS_UNUSED = {
    "RIFee": ("reservation_unused_amortized_upfront_fee_for_billing_period", "reservation_unused_recurring_fee"),
    "SavingsPlanRecurringFee": ("savings_plan_total_commitment_to_date", "-savings_plan_used_commitment"),
}
#: Tags and cost categories in columns of their own: legacy names, and those of Athena and Parquet.
_WIDE = re.compile(r"(?:resourceTags/|resource_tags[_.]|costCategory/|cost_category[/_.])(?:user[:_])?(.+)")
#: Reservation of a line; a fee without one is no commitment but a charge of its own (support, marketplace).
AWS_RESERVATION = ("reservation_reservation_arn", "reservation_reservation_a_r_n")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def aws_name(name: str) -> str:
    """Name of a column in the 2.0 report.

    >>> aws_name("lineItem/UnblendedCost"), aws_name("pricing/publicOnDemandCost")
    ('line_item_unblended_cost', 'pricing_public_on_demand_cost')
    """
    head, _, tail = name.partition("/")
    if not tail or head == "resourceTags":
        return name if head == "resourceTags" else name.lower() if name.islower() else name
    return f"{_CAMEL.sub('_', head)}_{_CAMEL.sub('_', tail)}".lower()


def convert_aws(text: pd.DataFrame) -> Converted:
    """AWS report: unblended cost is billed; amortised commitments are effective, their unused part a line of its own."""
    text, source = renamed(text, aws_name, {name for names in AWS_COLUMNS.values() for name in names})
    kind = column(text, "line_item_line_item_type")
    found = pick(text, AWS_COLUMNS)
    frame = found.text.assign(ProviderName="AWS")
    frame["ChargeCategory"] = kind.map(AWS_CATEGORY).fillna("Usage")
    plain_fee = (kind == "Fee") & (column(text, *AWS_RESERVATION) == "")
    amortised = kind.isin([*AWS_PURCHASES, "SavingsPlanNegation"]) & ~plain_fee
    effective = frame["BilledCost"].mask(amortised, "0")
    for line, name in AWS_COVERED.items():
        if name not in text and (kind == line).any():
            row = int((kind == line).to_numpy().argmax()) + 2
            raise ValueError(
                f"row {row}: a line of type {line} needs column {source.get(name, name)!r}, its cost, which the report lacks; "
                "add it to the export"
            )
        effective = effective.mask(kind == line, column(text, name))
    spot = column(text, "line_item_usage_type").str.contains("SpotUsage")
    covered = kind.isin(list(AWS_COVERED))
    frame["EffectiveCost"] = effective
    frame["PricingCategory"] = np.select([covered, spot, kind == "Usage"], ["Committed", "Dynamic", "Standard"], "")
    frame["CommitmentDiscountStatus"] = np.where(covered, "Used", "")
    instance = column(text, "product_instance_type")
    instance = instance.mask(instance == "", _in_map(column(text, "product"), "instance_type", "instanceType"))
    discount = kind.str.fullmatch(AWS_DISCOUNT)
    frame["SkuPriceDetails"] = as_tags({"InstanceType": instance, DISCOUNT_KEY: kind.where(discount, "")})
    for name in ("ConsumedQuantity", "ListCost"):
        if name in frame:
            frame[name] = frame[name].mask(discount, "")
    frame["Tags"] = _aws_tags(text)
    unused = _aws_unused(text, frame, kind)
    warnings = [("unused part of commitments, shown as its own charge", len(unused))] if len(unused) else []
    other = ~kind.isin([*AWS_USAGE, *AWS_CATEGORY, *AWS_COVERED]) & ~discount
    if other.any():
        named = ", ".join(sorted(kind[other].unique())[:5])
        warnings.append((f"line item types that are not known count as usage: {named}", int(other.sum())))
    if discount.any():
        warnings.append(
            (
                "discounts lower the cost of usage; their quantity is that of the usage, not counted again",
                int(discount.sum()),
            )
        )
    if plain_fee.any():
        warnings.append(
            ("fees of no reservation (support, marketplace) count when they are billed", int(plain_fee.sum()))
        )
    names = {target: source.get(name, name) for target, name in found.source_of.items()}
    return Converted(pd.concat([frame, unused], ignore_index=True), names, warnings)


def _aws_unused(text: pd.DataFrame, frame: pd.DataFrame, kind: pd.Series) -> pd.DataFrame:
    parts = []
    for line, names in AWS_UNUSED.items():
        mine = kind == line
        sums = [
            sum(
                (
                    Decimal(value or "0") * (-1 if name.startswith("-") else 1)
                    for name, value in zip(names, row, strict=True)
                ),
                Decimal(0),
            )
            for row in zip(*(column(text, name.lstrip("-"))[mine] for name in names), strict=True)
        ]
        idle = frame[mine].assign(EffectiveCost=[str(value) for value in sums])
        parts.append(idle[[value != 0 for value in sums]])
    unused = pd.concat(parts)
    return unused.assign(
        BilledCost="0",
        ListCost="",
        ChargeCategory="Usage",
        PricingCategory="Committed",
        CommitmentDiscountStatus="Unused",
    )


def _aws_tags(text: pd.DataFrame) -> pd.Series:
    """Tags and cost categories: columns of their own in the legacy report, maps with prefixed keys in 2.0."""
    wide = {found.group(1): text[name] for name in text if (found := _WIDE.fullmatch(name))}
    if wide:
        return as_tags(wide)
    maps = [column(text, "resource_tags").map(as_object), column(text, "cost_category").map(as_object)]
    joined = [
        {key.removeprefix("user_").removeprefix("user:"): value for key, value in (categories | tags).items()}
        for tags, categories in zip(*maps, strict=True)
    ]
    return pd.Series([json.dumps(tags) if tags else "" for tags in joined], index=text.index, dtype="str")


def _in_map(texts: pd.Series, *names: str) -> pd.Series:
    """First of the named entries of a map in each row; empty text where none is."""
    found = {text: as_object(text) for text in texts.unique()}
    return texts.map(lambda text: str(next((found[text][name] for name in names if name in found[text]), "")))
