"""FOCUS 1.0 to 1.2."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.importers.bills.common import NOT_GIVEN, Converted, amounts, column, key_values

#: Who provides a service where `ProviderName` is left out, as FOCUS 1.3 does; the first that is there counts.
PROVIDERS = ("ServiceProviderName", "HostProviderName", "PublisherName", "InvoiceIssuerName")


def convert_focus(text: pd.DataFrame) -> Converted:
    """FOCUS 1.0 to 1.2: money as it is; what else is missing is filled and named."""
    frame, notes = _named_provider(text.copy())
    if "Tags" in frame:  # BigQuery keeps tags as a list of keys and values
        lists = frame["Tags"].str.startswith("[").fillna(value=False)
        if lists.any():
            frame["Tags"] = frame["Tags"].mask(lists, frame["Tags"].where(lists, "").map(_listed_tags))
    for name, value in (("ProviderName", NOT_GIVEN), ("ChargePeriodEnd", None), ("BillingPeriodStart", None)):
        given = frame[name] if name in frame else pd.Series("", index=frame.index, dtype="str")
        empty = given.fillna("").isin(["", "NULL", "null"])
        if empty.any():
            fill = value if value else frame["ChargePeriodStart"]
            frame[name] = given.mask(empty, fill)
            notes.append(
                (
                    f"{name} is not given; {'shown as ' + value if value else 'start of the charge taken'}",
                    int(empty.sum()),
                )
            )
    status = column(frame, "CommitmentDiscountStatus")
    pricing, category = column(frame, "PricingCategory"), column(frame, "ChargeCategory")
    committed = (pricing == "Committed") & (category == "Usage") & (status != "Unused")
    free = int((amounts(frame.loc[committed, "EffectiveCost"]) == 0).sum())
    if free:
        notes.append(("committed usage with an effective cost of 0: its amortisation is missing in the bill", free))
    return Converted(frame, {name: name for name in frame}, notes)


def _listed_tags(text: str) -> str:
    """Object of a list of tags; a damaged list stays, to be named."""
    return "" if text.strip("[] ") == "" else key_values(text) or text


def _named_provider(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    other = next((name for name in PROVIDERS if name in frame), None)
    if "ProviderName" in frame or other is None:
        return frame, []
    return frame.assign(ProviderName=frame[other]), [(f"ProviderName is not given; {other} taken", len(frame))]
