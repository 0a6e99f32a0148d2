"""Vendor quotes and lease offers of any layout, read by a saved mapping.

mapping.yaml:

    columns: {accelerator: Device, price: "Monthly fee", count: Quantity, term_months: Term}
    values: {accelerator: {"H100 8-way": nvidia-h100-sxm}, purchase_option: {Lease: lease}}
    constants: {provider: Example Leasing, purchase_option: lease, currency: USD, as_of: 2026-10-15}
    price_per: node_month
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.exchange_rates import rate_of
from aifactory.inputs.importers.plain_numbers import is_open, unclear_columns, with_plain_numbers
from aifactory.inputs.importers.prices.formats import needs_date
from aifactory.inputs.importers.prices.offers import COLUMNS, Found, Source
from aifactory.inputs.spreadsheet import read_spreadsheet
from aifactory.inputs.yaml_file import read_yaml
from aifactory.units import HOURS_PER_MONTH, percent

QUOTE = "quote by mapping"
PARTS = ("columns", "values", "constants", "price_per")
FIELDS = (
    "accelerator", "price", "count", "provider", "sku", "region", "purchase_option", "term_months", "upfront_fraction",
    "escalator_per_year", "buy_out_usd", "minimum_accelerators", "accelerators_per_node",
    "lead_time_weeks", "currency", "as_of", "note", "confidence",
)  # fmt: skip
DOLLARS = ("USD", "US$")  # a bare $ may be another country's
CONFIDENCES = ("measured", "claimed", "assumed")
#: Options whose name says how long they run, in months; 0 is not at all.
TERMS = {"reserved_1y": 12, "reserved_3y": 36, "on_demand": 0, "spot": 0}
OPTIONS = ("purchase", "lease", "reserved_1y", "reserved_3y", "capacity_block", "on_demand", "spot")
#: No contract runs longer, no price list is older.
MOST_MONTHS, FIRST_YEAR = 240, 2000
#: What a price is of: those of a node are divided by its accelerators, those of a month or term by its hours.
PRICE_PER = (
    "accelerator_hour",
    "accelerator_month",
    "accelerator_term",
    "node_hour",
    "node_month",
    "node_term",
    "accelerator",
    "node",
)
#: Those of hardware that is bought.
BOUGHT = ("accelerator", "node")


def read_mapping(path: Path) -> dict:
    """Read a mapping of a quote; parts, fields and units that are not known are refused."""
    held = read_yaml(path)
    for name in held:
        if name not in PARTS:
            raise InputError.at(path.name, "is no part of a mapping of prices.", value=name, choices=PARTS)
    for part in ("columns", "values", "constants"):
        named = held.setdefault(part, {})
        if not isinstance(named, dict):
            raise InputError.at(path.name, "must hold names and values", column=part)
        for name in named:
            if name not in FIELDS:
                raise InputError.at(path.name, "is no field of a price.", value=name, choices=FIELDS)
            if part == "values" and not isinstance(named[name], dict):
                raise InputError.at(
                    path.name, "must hold what the quote says and what it means", column=f"values.{name}"
                )
    if held.get("price_per") not in PRICE_PER:
        raise InputError.at(
            path.name, "must be stated.", column="price_per", value=held.get("price_per"), choices=PRICE_PER
        )
    return held


def read_quote(path: Path, source: Source, mapping: dict) -> Found:
    """Read a quote: one offer a row of the first sheet."""
    if not path.is_file():
        raise InputError.at(source.name, "no such file")
    first = read_spreadsheet(path)[0]
    unclear = unclear_columns(first, with_plain_numbers(first))
    sheet = first.frame
    for ours, theirs in mapping["columns"].items():
        if theirs not in sheet:
            raise InputError.at(source.name, f"has no column for {ours!r}.", column=theirs, choices=list(sheet))
    found = Found(QUOTE, rows=len(sheet))
    for number, row in zip(sheet.index, sheet.to_dict("records"), strict=True):
        cells = {ours: str(row[theirs]).strip() for ours, theirs in mapping["columns"].items()}
        cells |= {name: str(value) for name, value in mapping["constants"].items() if not cells.get(name)}
        for name, known in mapping["values"].items():
            cells[name] = str(known.get(cells.get(name, ""), cells.get(name, "")))
        if not any(cells.get(name) for name in mapping["columns"]):
            continue
        doubtful = frozenset(ours for ours, theirs in mapping["columns"].items() if theirs in unclear)
        found.offers.append(_offer(_Row(source, int(number), cells, doubtful), mapping["price_per"]))
    return found


class _Row:
    """Cells of one offer, with errors that name their place."""

    def __init__(self, source: Source, row: int, cells: dict[str, str], doubtful: frozenset[str] = frozenset()) -> None:
        self.source, self.row, self.cells, self.doubtful = source, row, cells, doubtful

    def refuse(self, name: str, rule: str, choices: tuple[str, ...] = ()) -> InputError:
        held = self.cells.get(name) or None
        return InputError.at(self.source.name, rule, row=self.row, column=name, value=held, choices=choices)

    def number(self, name: str, default: float = math.nan, *, least: float = 0.0) -> float:
        text = self.cells.get(name, "")
        if not text:
            return default
        plain = text.removeprefix("$").strip()
        if not re.fullmatch(r"[+-]?([0-9]+|[1-9][0-9]{0,2}(,[0-9]{3})+)(\.[0-9]+)?", plain):
            raise self.refuse(name, "must be a number with a decimal point, without unit")
        if name in self.doubtful and is_open(plain):
            raise self.refuse(name, "may be thousands or decimals beside semicolons: write it without groups")
        value = float(plain.replace(",", ""))
        if value < least:
            raise self.refuse(name, f"must be {least:g} or more")
        return value

    def share(self, name: str, *, least: float = 0.0) -> float:
        """A fraction, or a percentage with its sign; nothing is 0."""
        text = self.cells.get(name, "")
        if text.endswith("%"):
            inner = _Row(self.source, self.row, {name: text.removesuffix("%").strip()})
            value = inner.number(name, least=100 * least) / 100
        else:
            value = self.number(name, 0.0, least=least)
        if not value <= 1:
            raise self.refuse(name, "must be a fraction up to 1, or a percentage with its sign")
        return value

    def months(self, name: str) -> int:
        """Whole months; nothing is 0."""
        value = self.number(name, 0.0)
        if value != int(value):
            raise self.refuse(name, "must be a whole number of months")
        if value > MOST_MONTHS:
            raise self.refuse(name, f"must be {MOST_MONTHS} months at most")
        return int(value)

    def day(self, name: str) -> pd.Timestamp | None:
        """A day as YYYY-MM-DD, with or without a time; other orders of day and month could be taken for each other."""
        text = self.cells.get(name, "")
        if not text:
            return None
        found = pd.to_datetime(text[:10], format="%Y-%m-%d", errors="coerce")
        if (
            not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9:.,]+ ?(Z|UTC|[+-][0-9:]+)?)?", text)
            or found is pd.NaT
            or found.year < FIRST_YEAR
        ):
            raise self.refuse(name, "must be a date, YYYY-MM-DD")
        return found


def _offer(row: _Row, price_per: str) -> dict[str, object]:
    usd, at_rate = _rate(row)
    option, term = _terms(row, price_per)
    count = row.number("count", 1.0 if price_per.startswith("acc") else math.nan)
    if count > 0 and count != int(count):
        raise row.refuse("count", "must be a whole number of accelerators")
    accelerator, each = _accelerator(row, count)
    each = each if price_per.startswith("node") else math.nan
    price, notes = _price(row, price_per, term, 1.0 if math.isnan(each) else each)
    price, notes = price * usd, [at_rate, *notes]
    stated, confidence = row.day("as_of"), row.cells.get("confidence") or "claimed"
    if confidence not in CONFIDENCES:
        raise row.refuse("confidence", "is no level of confidence.", CONFIDENCES)
    bought = price_per in BOUGHT
    return dict.fromkeys(COLUMNS) | {
        "provider": row.cells.get("provider") or row.source.provider or _missing(row, "provider"),
        "sku": row.cells.get("sku") or row.cells.get("accelerator"),
        "accelerator_id": accelerator,
        "region": row.cells.get("region") or "*",
        "purchase_option": option,
        "term_months": term,
        "upfront_fraction": row.share("upfront_fraction"),
        "usd_per_accelerator_hour": math.nan if bought else price,
        "usd_per_accelerator": price if bought else math.nan,
        "minimum_accelerators": row.number("minimum_accelerators"),
        "accelerators_per_node": row.number("accelerators_per_node", each),
        "lead_time_weeks": row.number("lead_time_weeks"),
        "note": "; ".join(filter(None, [row.cells.get("note", "").lstrip("'=+-@\t\r\n "), *notes])),
        "source": row.source.name,
        "as_of": needs_date(row.source, stated),
        "confidence": confidence,
    }


def _rate(row: _Row) -> tuple[float, str]:
    """USD of one unit of the quote's currency by the plan of the workspace, and what to say of it."""
    currency = row.cells.get("currency", "").upper()
    if currency in DOLLARS:
        return 1.0, ""
    if not currency:
        raise row.refuse("currency", "must be stated")
    month = f"{needs_date(row.source, row.day('as_of')):%Y-%m}"
    rate = rate_of(row.source.rates, currency, month)
    if rate is None:
        rule = f"must be USD, or exchange_rates of plan.yaml must state its rate for {month} (currency, from_month, usd, source, as_of)"
        raise row.refuse("currency", rule)
    return float(rate.usd), rate.note


def _terms(row: _Row, price_per: str) -> tuple[str, int]:
    """Way to pay and its months, 0 without a term."""
    option = row.cells.get("purchase_option", "")
    if option not in OPTIONS:
        raise row.refuse("purchase_option", "is not an option.", OPTIONS)
    term = row.months("term_months")
    if (price_per in BOUGHT) != (option == "purchase"):
        raise row.refuse("purchase_option", f"does not go with a price per {price_per}")
    if option not in ("purchase", "on_demand", "spot") and not term > 0:
        raise row.refuse("term_months", "a commitment needs its term")
    if price_per.endswith("_term") and not term > 0:
        raise row.refuse("term_months", f"a price per {price_per} needs its term")
    if term != TERMS.get(option, term):
        raise row.refuse("term_months", f"does not go with {option}: {TERMS[option] or 'no'} months")
    return option, term


def _price(row: _Row, price_per: str, term: int, each: float) -> tuple[float, list[str]]:
    """Money of an accelerator, of `each` in a price, where it is bought, else of its hour; and notes on what was made of the price."""
    if not row.cells.get("price"):
        raise row.refuse("price", "must be stated")
    price = row.number("price") / each
    if not price > 0:
        raise row.refuse("price", "must be above 0")
    raise_by, buy_out = row.share("escalator_per_year", least=-1.0), row.number("buy_out_usd")
    if price_per not in BOUGHT:
        mean = sum((1.0 + raise_by) ** (month // 12) for month in range(term)) / term if term else 1.0
        hours = {"month": HOURS_PER_MONTH, "term": HOURS_PER_MONTH * term}.get(price_per.split("_")[-1], 1.0)
        price = price * mean / hours
    escalator = f"escalator {percent(raise_by)} a year averaged over the term" if raise_by else ""
    return price, [escalator, f"buy-out USD {buy_out:,.0f} at the end, not in the price" if buy_out > 0 else ""]


def _missing(row: _Row, name: str) -> str:
    raise row.refuse(name, "must be stated, in a column or as a constant")


def _accelerator(row: _Row, count: float) -> tuple[str, float]:
    text = row.cells.get("accelerator", "")
    known = {accelerator for accelerator, _ in row.source.names.types.values()} | set(row.source.names.devices.values())
    if text in known:
        if not count > 0:
            raise row.refuse("count", "the accelerators of a node must be stated for a price per node")
        return text, count
    accelerator, each, why_not = row.source.names.find(text, text, count)
    if why_not:
        raise row.refuse("accelerator", f"{why_not}; map it under values.accelerator", tuple(sorted(known)))
    return accelerator, each
