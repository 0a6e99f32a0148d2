"""Numbers and months as people write them; what can be read in two ways is not read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.use_cases.words import header_words, plain, spaced

#: No use case costs more, is asked more often or may take longer, whatever the unit.
LARGEST = 1e15
DAYS_PER_YEAR, MONTHS_PER_YEAR, DAYS_PER_WEEK = 365.0, 12.0, 7.0
#: Word of a header -> months in that period.
PER_MONTH = {
    "month": 1.0, "monthly": 1.0, "mo": 1.0,
    "day": DAYS_PER_YEAR / MONTHS_PER_YEAR, "daily": DAYS_PER_YEAR / MONTHS_PER_YEAR,
    "week": DAYS_PER_YEAR / MONTHS_PER_YEAR / DAYS_PER_WEEK, "weekly": DAYS_PER_YEAR / MONTHS_PER_YEAR / DAYS_PER_WEEK,
    "year": 1 / MONTHS_PER_YEAR, "yearly": 1 / MONTHS_PER_YEAR, "annual": 1 / MONTHS_PER_YEAR,
    "annually": 1 / MONTHS_PER_YEAR, "annum": 1 / MONTHS_PER_YEAR, "pa": 1 / MONTHS_PER_YEAR,
}  # fmt: skip
VOLUMES = {"request", "call", "transaction", "volume", "query", "querie", "inference", "session", "invocation", "prompt",
           "document", "image", "interaction", "conversation", "unit", "prediction"}  # fmt: skip
PEAKS = {"peak", "max", "maximum", "highest", "capacity", "limit", "quota"}
COSTS = {"cost", "spend", "spending", "budget", "opex", "expense", "expenditure"}
#: A dollar of another country (A$, C$, HK$) is another currency.
DOLLARS = re.compile(r"\busd\b|\bus ?\$|(?<![a-z])\$|\b[km]\$|\b[km] ?usd\b")
OTHER_MONEY = re.compile(
    r"\b(eur|gbp|chf|jpy|cny|inr|aud|cad|sek|nok|dkk|euros?|pounds?)\b|[\u20ac\u00a3\u00a5]", re.IGNORECASE
)
#: Headers whose numbers are thousands, millions or billions.
SCALES = (
    (re.compile(r"\bk(?=\$|\b|usd)|thousand|'000|\b000s?\b|\bt(sd|ds)\b"), 1e3),
    (re.compile(r"\bm(?=\$|usd)|\b(mn|mm|mio)\b|million|\(m\)"), 1e6),
    (re.compile(r"\b(bn|mrd)\b|billion"), 1e9),
)
LATENCIES = {"latency", "ttft", "tpot", "e2e"}
TARGETS = {"target", "slo", "sla", "max", "maximum", "limit", "required", "requirement", "objective", "p95"}
#: Words that make a latency something else than a 95th percentile to be kept.
NO_TARGETS = {"p50", "p90", "p99", "median", "average", "avg", "mean", "actual", "current", "measured", "observed"}
VALUES = {"value", "benefit", "revenue", "saving"}
FAILURES = {"failure", "error", "failed"}
SHARES = {"share", "fraction", "ratio"}
PERCENT = re.compile(r"%|\b(percent|percentage|pct)\b")
MILLISECONDS = {"ms": 1.0, "msec": 1.0, "millisecond": 1.0, "s": 1_000.0, "sec": 1_000.0, "second": 1_000.0}
PER_CENT = 0.01
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
#: Day numbers of spreadsheets: 1 January 1985 to 31 December 2069.
FIRST_DAY_NUMBER, LAST_DAY_NUMBER = 31_048, 62_093
DAY_ZERO = pd.Timestamp("1899-12-30")
_PLAIN_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_NAMED_MONTH = re.compile(r"([a-z]{3,9})\.?,? +(?:\d{1,2}(?:st|nd|rd|th)?,? +)?(\d{4})", re.ASCII)
_DAY_FIRST_NAMED = re.compile(r"\d{1,2}[ -]([a-z]{3,9})[ -](\d{4})", re.ASCII)


@dataclass(frozen=True)
class Quantity:
    """A column of numbers: our field, and what one of theirs is in our unit; or why it is not used."""

    field: str
    factor: float = 1.0
    why_not: str = ""


def quantity_of(header: str) -> Quantity | None:
    """What a header says it counts, with period, currency and unit; None for another kind of column.

    >>> quantity_of("Requests per day").factor, quantity_of("Latency target (s)")
    (30.416666666666668, Quantity(field='slo_p95_e2e_ms', factor=1000.0, why_not=''))
    >>> quantity_of("Attribution (%)").factor, quantity_of("Value per request in EUR").why_not
    (0.01, 'is not in USD; currencies are never converted without a rate')
    >>> quantity_of("Annual cost").why_not
    'names no currency'
    """
    text = spaced(header)
    words = set(header_words(header)) | set(re.findall(r"[^\W_]+", text))
    scale = next((factor for pattern, factor in SCALES if pattern.search(text)), 1.0)
    period = next((PER_MONTH[word] for word in PER_MONTH if word in words), None)
    if words & COSTS and not words & {"center", "centre", "code", "owner", "saving", "savings", "estimated saving"}:
        return Quantity("stated_usd_per_month", scale * (period or 1.0), _why_no_cost(text, period))
    if words & VALUES and "per" in words and words & VOLUMES:
        return Quantity("value_usd_per_unit", scale, _why_no_value(text, period))
    if "attribution" in words:
        return _share("attribution_share", text, words)
    if words & FAILURES and words & (TARGETS | {"acceptable", "allowed", "highest"}):
        return _share("slo_max_failure_rate", text, words)
    if words & LATENCIES or {"response", "time"} <= words or {"time", "first", "token"} <= words:
        return _latency(words)
    if words & VOLUMES and (period is not None or "volume" in words):
        other = (
            "counts tokens, not service units" if "token" in words else "is a peak, not a sum" if words & PEAKS else ""
        )
        if other:
            return Quantity("stated_units_per_month", 1.0, other)
        return Quantity(
            "stated_units_per_month", scale * (period or 1.0), "" if period else "names no period (per month, per day)"
        )
    return None


def _why_no_cost(text: str, period: float | None) -> str:
    if "budget" in text:
        return "is a budget, not a cost"
    if OTHER_MONEY.search(text):
        return "is not in USD; currencies are never converted without a rate"
    if not DOLLARS.search(text):
        return "names no currency"
    return "" if period else "names no period (per month, per year)"


def _why_no_value(text: str, period: float | None) -> str:
    if OTHER_MONEY.search(text):
        return "is not in USD; currencies are never converted without a rate"
    if not DOLLARS.search(text):
        return "names no currency"
    return "is a value per period, not per service unit" if period else ""


def _share(field: str, text: str, words: set[str]) -> Quantity:
    if PERCENT.search(text):
        return Quantity(field, PER_CENT)
    return Quantity(field, 1.0, "" if words & SHARES else "names no unit (%, share)")


def _latency(words: set[str]) -> Quantity:
    first = "ttft" in words or {"first", "token"} <= words
    field = "slo_p95_ttft_ms" if first else "slo_p95_tpot_ms" if "tpot" in words else "slo_p95_e2e_ms"
    unit = next((MILLISECONDS[word] for word in MILLISECONDS if word in words), None)
    if words & NO_TARGETS or not words & TARGETS:
        return Quantity(field, 1.0, "is not named as a target for the 95th percentile")
    return Quantity(field, unit or 1.0, "" if unit else "names no unit (ms, s)")


def number(text: str, *, decimal_comma: bool) -> float | None:
    """A number below `LARGEST`; None where it cannot be read in one way only.

    Parameters
    ----------
    decimal_comma : whether the file may write commas before decimals, so that 1,234 and 1.234 are unclear.

    >>> number("120,000", decimal_comma=False), number("120,000", decimal_comma=True), number("12", decimal_comma=True)
    (120000.0, None, 12.0)
    """
    text = text.replace("\u00a0", "").strip().lstrip("$").strip()
    if decimal_comma and re.search(r"[.,]", text):
        return None
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    return float(text) if _PLAIN_NUMBER.fullmatch(text) and abs(float(text)) < LARGEST else None


def months(texts: pd.Series) -> pd.Series:
    """Months YYYY-MM of a column of dates; '' where day and month, or the year, cannot be told.

    01/02/2026 is read only if other rows of the column show which part is the day.
    """
    order = _order(texts)
    found = {text: _month(text, order) for text in texts.unique()}
    return texts.map(found)


def _order(texts: pd.Series) -> str:
    """`day` or `month`, whichever must stand first in dates such as 25/12/2026; '' if that is not clear."""
    parts = texts.str.extract(r"^\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}").astype("float64")
    day_first, month_first = bool((parts[0] > 12).any()), bool((parts[1] > 12).any())
    return {(True, False): "day", (False, True): "month"}.get((day_first, month_first), "")


def _month(text: str, order: str) -> str:
    text = plain(text.replace("-", "/").split("t00:00")[0])
    year_first = re.match(r"(\d{4})[/.](\d{1,2})(?:[/. t]|$)", text, re.ASCII)
    if year_first:
        return _named(year_first[1], int(year_first[2]))
    month_year = re.fullmatch(r"(\d{1,2})[/.](\d{4})", text, re.ASCII)
    if month_year:
        return _named(month_year[2], int(month_year[1]))
    three = re.match(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:\s|$)", text, re.ASCII)
    if three:
        first, second = int(three[1]), int(three[2])
        if first == second or order:
            return _named(three[3], second if order == "day" else first)
        return ""
    named = _NAMED_MONTH.fullmatch(text) or _DAY_FIRST_NAMED.fullmatch(text.replace("/", " "))
    if named and named[1][:3] in MONTH_NAMES:
        return _named(named[2], MONTH_NAMES.index(named[1][:3]) + 1)
    short = re.fullmatch(r"([a-z]{3})[/ ]'?(\d{2})", text, re.ASCII)
    if short and short[1] in MONTH_NAMES:  # Jul-25, as spreadsheet programs show July 2025
        return _named(f"20{short[2]}", MONTH_NAMES.index(short[1]) + 1)
    if text.isdecimal() and FIRST_DAY_NUMBER <= int(text) <= LAST_DAY_NUMBER:
        return (DAY_ZERO + pd.Timedelta(days=int(text))).strftime("%Y-%m")
    return ""


def _named(year: str, month: int) -> str:
    return f"{year}-{month:02d}" if 1 <= month <= 12 else ""


@cache
def _types() -> dict[str, str]:
    return {item.name: item.type for item in load_contract("use_case_candidates").fields}


def same_value(column: str, old: str, new: str) -> bool:
    """Whether two texts are one value: 1000 and 1000.0 are, for a column of numbers.

    >>> same_value("slo_p95_e2e_ms", "1000.0", "1000"), same_value("name", "1000.0", "1000")
    (True, False)
    """
    if old == new:
        return True
    if _types().get(column) != "number" or not old or not new:
        return False
    try:
        return float(old) == float(new)
    except ValueError:
        return False
