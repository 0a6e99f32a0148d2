"""Fees of committed use on Google Cloud: moved from the account that pays them to the usage that they cover.

An export holds two kinds of rows for a commitment: usage, whose price a credit takes off, and a fee by day or hour
that names neither project nor label. As billed, covered usage is free and the fee serves nobody. As used, the fee of
a day belongs to the usage of that day, region and device that the credits cover, by covered quantity; what was
committed and not used is idle.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

import pandas as pd

from aifactory.inputs.importers.bills.common import column, entries

#: Start of the description of a fee.
FEE = r"Commitment(?: v|:| -)"
_RESOURCE = re.compile(r"^Commitment v\d+: (.+?) in .+? for \d+ \w+$", re.IGNORECASE)
_USAGE = re.compile(r"^(.+?) (?:running in|attached to|in) .+$", re.IGNORECASE)
_PLAIN = {"instance": "", "core": "cpu", "cores": "cpu", "vcpu": "cpu", "memory": "ram"}
_PLACES = Decimal(1).scaleb(-12)
_COVER = "COMMITTED_USAGE_DISCOUNT"
#: How closely a fee is matched with usage: by device, else by kind of commitment in the region, else on the day.
LEVELS = (["day", "region", "dollar", "device"], ["day", "region", "dollar"], ["day", "dollar"])
SPREAD = "fees of commitments are spread over the usage of their day that credits cover"
IDLE = "commitments that no credit used, whole or in part: their fee stands as unused commitment"


def spread_fees(frame: pd.DataFrame, text: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Effective cost of fees on the usage they cover; the sum stays to the last digit, billed cost is not touched.

    Parameters
    ----------
    frame : rows in FOCUS columns; fees are purchases with their fee as effective cost.
    text : the export, row by row the same: its descriptions, costs and credits.

    Returns
    -------
    Rows, with one more for each fee that was not used up, and remarks.
    """
    fees = (frame["ChargeCategory"] == "Purchase") & column(text, "sku.description", "sku_description").str.match(FEE)
    if not fees.any():
        return frame, []
    told = _told(frame, text)
    paid, usage = told[fees], told[~fees & (told["covered"] > 0)]
    extra: dict[object, Decimal] = {}
    idle: dict[object, Decimal] = {}
    spread = 0
    for level in LEVELS:
        if paid.empty or usage.empty:
            break
        groups = dict(iter(usage.groupby(level)))
        found = [(rows, groups[key]) for key, rows in paid.groupby(level) if key in groups]
        for rows, covered in found:
            unused = _unused(rows, covered) if level is LEVELS[0] else {}
            extra |= _parts(sum(rows["fee"], Decimal(0)) - sum(unused.values(), Decimal(0)), covered["covered"])
            idle |= unused
            spread += len(rows)
        paid, usage = (
            part.drop(index=[row for pair in found for row in pair[place].index])
            for place, part in enumerate((paid, usage))
        )
    idle |= paid["fee"].to_dict()
    return _moved(frame, fees, extra, idle), [(rule, count) for rule, count in ((SPREAD, spread), (IDLE, len(idle))) if count]  # fmt: skip


def _told(frame: pd.DataFrame, text: pd.DataFrame) -> pd.DataFrame:
    described = column(text, "sku.description", "sku_description")
    credit = column(text, "credits")
    covers = credit.map(lambda cell: sum((_amount(item.get("amount")) for item in entries(cell) if _COVER in str(item.get("type", "")).upper()), Decimal(0)))  # fmt: skip
    cost = text["cost"].map(_amount)
    quantity = frame["ConsumedQuantity"].map(_amount) if "ConsumedQuantity" in frame else cost
    part = [-off / full if full > 0 and off < 0 else Decimal(0) for off, full in zip(covers, cost, strict=True)]
    return pd.DataFrame(
        {
            "day": frame["ChargePeriodStart"].str[:10],
            "region": frame.get("RegionId", ""),
            "device": described.map(_device),
            "dollar": credit.str.contains("DOLLAR_BASE") | described.str.contains("dollar", case=False),
            "quantity": quantity,
            "covered": [share * amount for share, amount in zip(part, quantity, strict=True)],
            "fee": frame["EffectiveCost"].map(_amount),
        },
        index=frame.index,
    )


def _device(description: str) -> str:
    found = _RESOURCE.match(description) or _USAGE.match(description)
    words = re.findall(r"[a-z0-9.]+", (found.group(1) if found else description).lower())
    return " ".join(word for word in (_PLAIN.get(item, item) for item in words) if word)


def _amount(text: object) -> Decimal:
    try:
        value = Decimal(str(text or "0").strip())
    except InvalidOperation:  # the contract names what is wrong with it
        return Decimal(0)
    return value if value.is_finite() else Decimal(0)


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _cut(value: Decimal) -> Decimal:
    return value.quantize(_PLACES, ROUND_HALF_EVEN)


def _unused(fees: pd.DataFrame, usage: pd.DataFrame) -> dict[object, Decimal]:
    """Of each fee the part for quantity that was committed and not used; empty where all was."""
    committed, used = sum(fees["quantity"], Decimal(0)), sum(usage["covered"], Decimal(0))
    if committed <= used:
        return {}
    return {row: _cut(fee * (1 - used / committed)) for row, fee in fees["fee"].items()}


def _parts(total: Decimal, weights: pd.Series) -> dict[object, Decimal]:
    """The total by weight; the last row takes what rounding leaves."""
    whole = sum(weights, Decimal(0))
    parts = {row: _cut(total * weight / whole) for row, weight in weights.items()}
    last = weights.index[-1]
    parts[last] += total - sum(parts.values(), Decimal(0))
    return parts


def _moved(
    frame: pd.DataFrame, fees: pd.Series, extra: dict[object, Decimal], idle: dict[object, Decimal]
) -> pd.DataFrame:
    cost = frame["EffectiveCost"].mask(fees, "0")
    cost.update(pd.Series({row: _plain(_amount(cost[row]) + part) for row, part in extra.items()}, dtype="str"))
    unused = frame.loc[list(idle)].assign(
        EffectiveCost=[_plain(value) for value in idle.values()], BilledCost="0", ChargeCategory="Usage",
        PricingCategory="Committed", CommitmentDiscountStatus="Unused",
        **{name: "" for name in ("ListCost",) if name in frame},
    )  # fmt: skip
    return pd.concat([frame.assign(EffectiveCost=cost), unused], ignore_index=True)
