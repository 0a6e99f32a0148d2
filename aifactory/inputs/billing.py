"""What the bill says between the lines: team, accelerator, purchase option, kind of cost."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd

from aifactory.inputs.months import month_of

UNATTRIBUTED = "(unattributed)"
NO_ACCELERATOR = "(none)"
_TAG_KEYS = {"team": "team", "business_unit": "business_unit", "use_case": "use_case"}
_HOUR_UNITS = {"hours", "hour", "hrs", "hr"}


def derive_billing(billing: pd.DataFrame, account_map: pd.DataFrame, aliases: pd.DataFrame) -> pd.DataFrame:
    """Add the derived columns to a bill.

    Adds `team`, `business_unit`, `use_case` (tags first, then the account map), `account`,
    `accelerator_id`, `accelerator_hours` (h), `purchase_option`, `cost_line`, `month` (of usage, for
    unit cost) and `invoice_month` (for everything that must add up to the bill). Amounts stay as they
    are.
    """
    tags = _tags(billing["Tags"])
    mapped = account_map.set_index("SubAccountId").reindex(billing["SubAccountId"].to_numpy())
    accelerator = match_accelerators(billing, aliases)
    option = purchase_option(billing)
    return billing.assign(
        team=_first(tags["team"], mapped["team"]),
        business_unit=_first(tags["business_unit"], mapped["business_unit"]),
        use_case=tags["use_case"].fillna(UNATTRIBUTED),
        account=billing["SubAccountId"].fillna("(none)"),
        accelerator_id=accelerator["accelerator_id"].to_numpy(),
        accelerator_hours=accelerator["accelerator_hours"].to_numpy(),
        purchase_option=option,
        cost_line=_cost_line(billing, option, tags["team"].notna() | mapped["team"].notna().to_numpy()),
        month=month_of(billing["ChargePeriodStart"]),
        invoice_month=month_of(billing["BillingPeriodStart"]),
    )


def _first(tagged: pd.Series, mapped: pd.Series) -> pd.Series:
    fallback = pd.Series(mapped.to_numpy(), index=tagged.index, dtype="str")
    return tagged.fillna(fallback).fillna(UNATTRIBUTED)


def _tags(texts: pd.Series) -> pd.DataFrame:
    """Team, business unit and use case of each row; keys lose case and surrounding blanks."""
    number, known = pd.factorize(texts)
    parsed = [_parse_tags(text) for text in known] + [{}]  # the last one is for rows without tags
    return pd.DataFrame(
        {name: pd.Series([tags.get(key) for tags in parsed], dtype="str").take(number).to_numpy()
         for name, key in _TAG_KEYS.items()},
        index=texts.index, dtype="str",
    )  # fmt: skip


def _parse_tags(text: str) -> dict[str, str]:
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(tags, dict):
        return {}
    plain = {str(key).strip().lower().replace("-", "_").replace(" ", "_"): value for key, value in tags.items()}
    return {
        key: str(value).strip() for key, value in plain.items() if isinstance(value, (str, int)) and str(value).strip()
    }


def purchase_option(billing: pd.DataFrame) -> pd.Series:
    """How each charge was bought, from the FOCUS columns."""
    category, pricing = billing["ChargeCategory"], billing["PricingCategory"]
    committed = billing["CommitmentDiscountStatus"].notna() | (pricing == "Committed")
    conditions = [
        category == "Tax",
        category == "Credit",
        category == "Adjustment",
        category == "Purchase",
        billing["CommitmentDiscountStatus"] == "Unused",
        committed,
        pricing == "Dynamic",
    ]
    names = ["tax", "credit", "adjustment", "commitment_purchase", "committed_unused", "committed", "spot"]
    flags = [condition.fillna(value=False).to_numpy(dtype=bool) for condition in conditions]
    return pd.Series(np.select(flags, names, default="on_demand"), index=billing.index, dtype="str")


def _cost_line(billing: pd.DataFrame, option: pd.Series, attributed: pd.Series) -> pd.Series:
    """The line of the reconciliation a charge belongs to; each charge has exactly one."""
    correction = (billing["ChargeClass"] == "Correction").fillna(value=False)
    usage = np.where(attributed, "attributed usage", "unattributed usage")
    special = option.map(
        {
            "tax": "tax",
            "credit": "credit",
            "adjustment": "adjustment and correction",
            "commitment_purchase": "commitment purchase",
            "committed_unused": "idle commitment",
        }
    )
    lines = special.fillna(pd.Series(usage, index=option.index, dtype="str"))
    return lines.mask(correction & special.isna(), "adjustment and correction")


def match_accelerators(billing: pd.DataFrame, aliases: pd.DataFrame) -> pd.DataFrame:
    """Accelerator and accelerator-hours of each charge.

    The instance type of `SkuPriceDetails` is looked up exactly; otherwise the longest alias that
    stands in meter, SKU or description wins. Hours are counted where the unit is hours.
    """
    told = billing[["SkuPriceDetails", "SkuMeter", "SkuId", "ChargeDescription"]]
    sku = told.groupby(list(told), dropna=False, sort=False).ngroup()
    each = told[~sku.duplicated()]
    details = each["SkuPriceDetails"].map(_instance_type).astype("str")
    texts = [" | ".join(str(part) for part in row if not pd.isna(part)) for row in
             zip(details, each["SkuMeter"], each["SkuId"], each["ChargeDescription"], strict=True)]  # fmt: skip
    lookup = [_find_alias(text.lower(), aliases) for text in texts]
    found = pd.DataFrame(lookup, columns=["accelerator_id", "accelerators"]).take(sku).set_axis(billing.index)
    usage = (billing["ChargeCategory"] == "Usage") & (billing["CommitmentDiscountStatus"] != "Unused").fillna(
        value=True
    )
    hours = billing["ConsumedQuantity"].where(billing["ConsumedUnit"].str.lower().isin(_HOUR_UNITS))
    return pd.DataFrame(
        {
            "accelerator_id": found["accelerator_id"].where(usage).fillna(NO_ACCELERATOR),
            "accelerator_hours": (hours * found["accelerators"].astype("float64")).where(usage),
        }
    )


def _instance_type(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    try:
        details = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return str(details["InstanceType"]) if isinstance(details, dict) and "InstanceType" in details else None


def _find_alias(text: str, aliases: pd.DataFrame) -> tuple[str | None, float]:
    """Longest alias that stands in the text between word boundaries."""
    best: tuple[int, str | None, float] = (0, None, np.nan)
    for alias, accelerator, count in zip(
        aliases["alias"].str.lower(), aliases["accelerator_id"], aliases["accelerators"], strict=True
    ):
        if len(alias) > best[0] and alias in text and re.search(rf"(?<![^\W_]){re.escape(alias)}(?![^\W_])", text):
            best = (len(alias), accelerator, float(count))
    return best[1], best[2]
