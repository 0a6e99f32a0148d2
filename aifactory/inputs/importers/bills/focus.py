"""FOCUS 1.0 to 1.3."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.importers.bills.common import (
    GOOGLE_TIME,
    NOT_GIVEN,
    Converted,
    amounts,
    as_tags,
    column,
    instance_details,
    key_values,
)

#: Columns that may be left out, and which others say the same; the first that is there counts. Source: FOCUS 1.3
#: for providers, the FOCUS 1.0 exports of Microsoft and AWS for meters.
OTHERS = {
    "ProviderName": ("ServiceProviderName", "HostProviderName", "PublisherName", "InvoiceIssuerName"),
    "SkuMeter": ("x_SkuMeterName", "x_UsageType"),
}
TIMES = ("BillingPeriodStart", "ChargePeriodStart", "ChargePeriodEnd")
#: Where older exports of Microsoft tell what newer ones do in SkuPriceDetails.
OLDER_DETAILS = "x_SkuDetails"
#: Columns of keys and values, which a nested format spreads over columns with dotted names.
MAPS = ("Tags", "SkuPriceDetails")


def convert_focus(text: pd.DataFrame) -> Converted:
    """FOCUS 1.0 to 1.3: money as it is; what else is missing is filled and named."""
    frame, notes = _filled(_joined(text.copy()))
    for name in (name for name in TIMES if name in frame):  # BigQuery writes 2026-10-01 00:00:00 UTC
        worded = frame[name].str.endswith(" UTC").fillna(value=False)
        if worded.any():
            frame[name] = frame[name].mask(worded, frame[name].str.replace(GOOGLE_TIME, r"\1T\2Z", regex=True))
    if "Tags" in frame:  # BigQuery keeps tags as a list of keys and values
        lists = frame["Tags"].str.startswith("[").fillna(value=False)
        if lists.any():
            frame["Tags"] = frame["Tags"].mask(lists, frame["Tags"].where(lists, "").map(_listed_tags))
    if OLDER_DETAILS in frame:
        details = column(frame, "SkuPriceDetails")
        frame["SkuPriceDetails"] = details.mask(
            details.isin(["", "NULL", "null", "{}"]), instance_details(frame[OLDER_DETAILS])
        )
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


def _filled(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    notes = []
    for name, others in OTHERS.items():
        other = next((other for other in others if other in frame), None)
        if name not in frame and other is not None:
            frame[name] = frame[other]
            notes.append((f"{name} is not given; {other} taken", len(frame)))
    return frame, notes


def _joined(frame: pd.DataFrame) -> pd.DataFrame:
    for name in MAPS:
        parts = [part for part in frame if part.startswith(f"{name}.")]
        if parts and name not in frame:
            whole = as_tags({part.removeprefix(f"{name}."): frame[part] for part in parts})
            frame = frame.drop(columns=parts).assign(**{name: whole})
    return frame
