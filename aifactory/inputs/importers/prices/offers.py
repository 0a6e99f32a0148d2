"""Offers as read from a price list, before they are trusted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from aifactory.inputs.exchange_rates import ExchangeRate
from aifactory.inputs.importers.prices.names import Names

COLUMNS = [
    "provider",
    "sku",
    "accelerator_id",
    "region",
    "purchase_option",
    "term_months",
    "upfront_fraction",
    "usd_per_accelerator_hour",
    "usd_per_accelerator",
    "minimum_accelerators",
    "accelerators_per_node",
    "lead_time_weeks",
    "note",
    "source",
    "as_of",
    "confidence",
]
#: What makes two rows prices of the same offer at different times.
KEY = COLUMNS[:7]
FORMULA = "name that a spreadsheet program would take for a formula"
PER_ACCELERATOR = "price of the instance divided by its accelerators"
RESERVED = {12: "reserved_1y", 36: "reserved_3y"}


@dataclass(frozen=True)
class Source:
    """Where a file comes from, for what it does not say itself."""

    name: str
    names: Names
    as_of: pd.Timestamp | None
    provider: str = ""
    rates: tuple[ExchangeRate, ...] = ()  # of other currencies, as the plan of the workspace states them


@dataclass
class Found:
    """What a file holds: offers, prices of hosted models, and what was left out, with reasons."""

    format: str
    offers: list[dict[str, Any]] = field(default_factory=list)
    hosted: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    goes_on: bool = False  # one page of a list, and not its last
    skipped: int | None = None  # rows of the pages before this one; None where the file does not say

    def add(
        self,
        source: Source,
        *,
        provider: str,
        sku: str,
        region: str,
        device: str,
        count: float,
        prices: dict[tuple[str, int, float], float],
        as_of: pd.Timestamp,
        memory_gb: float = float("nan"),
        form: str = "",
        note: str = PER_ACCELERATOR,
    ) -> None:
        """Add the prices of one instance, USD per hour of the whole of it, by option, term and upfront share."""
        accelerator, number, why_not = source.names.find(sku, device, count, memory_gb, form)
        if not why_not and number != int(number):
            why_not = "a share of an accelerator, or no whole number of them"
        if why_not:
            self.left_out[why_not] += 1
            return
        for (option, term, upfront), usd in prices.items():
            offer = dict.fromkeys(COLUMNS) | {
                "provider": provider,
                "sku": sku,
                "accelerator_id": accelerator,
                "region": region or "*",
                "purchase_option": option,
                "term_months": term,
                "upfront_fraction": upfront,
                "usd_per_accelerator_hour": usd / number,
                "accelerators_per_node": number,
                "note": note,
                "source": source.name,
                "as_of": as_of,
                "confidence": "measured",
            }
            self.offers.append(offer)

    def frame(self) -> pd.DataFrame:
        """Offers as a table; one name of instances with several numbers of accelerators has the number behind it."""
        frame = pd.DataFrame(self.offers, columns=COLUMNS)
        sizes = frame.groupby(["provider", "sku", "accelerator_id"])["accelerators_per_node"].transform("nunique")
        marked = frame["sku"].astype(str) + " x" + frame["accelerators_per_node"].map("{:g}".format)
        return frame.assign(sku=frame["sku"].where(sizes <= 1, marked))
