"""Numbers, dates and names as a reader sees them; the only place where a figure becomes text.

A missing or infinite value never becomes `nan`: sentences say "not known", tables print a dash.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable

import pandas as pd

from aifactory.units import decimals_apart

NOT_KNOWN = "not known"
DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_MAGNITUDES = ((1e9, "B"), (1e6, "M"), (1e3, "k"))
_CAPITALS = {
    "api",
    "gb",
    "gpu",
    "id",
    "irr",
    "npv",
    "pue",
    "roi",
    "sla",
    "slo",
    "tco",
    "tpot",
    "tpu",
    "ttft",
    "usd",
    "utc",
    "wacc",
}
_AS_WRITTEN = {"kw": "kW", "kwh": "kWh", "ms": "ms", "p50": "p50", "p95": "p95", "p99": "p99"}


def is_missing(value: object) -> bool:
    """Whether a value is absent: None, NaN, NaT, NA, empty text or infinite.

    >>> is_missing(float("nan")), is_missing(""), is_missing(0)
    (True, True, False)
    """
    if value is None or value is pd.NA or value is pd.NaT or value == "":
        return True
    try:
        return not math.isfinite(value)  # type: ignore[arg-type]
    except TypeError:
        return False


def _signed(number: float, text: str) -> str:
    zero = not any(digit in text for digit in "123456789")
    return text if number >= 0 or zero else MINUS + text


def num(value: object, decimals: int | None = None) -> str:
    """Number with thousands separators; without `decimals` about three significant digits.

    >>> num(12345.6), num(12.345), num(0.01234), num(7), num(-3, 1), num(None)
    ('12,346', '12.3', '0.0123', '7', '−3.0', 'not known')
    """
    if is_missing(value):
        return NOT_KNOWN
    number = float(value)  # type: ignore[arg-type]
    if decimals is None:
        decimals = 0 if number.is_integer() else _decimals_for(number, 3)
    return _signed(number, f"{abs(number):,.{decimals}f}")


def _decimals_for(number: float, digits: int) -> int:
    if number == 0:
        return 0
    return min(max(digits - 1 - math.floor(math.log10(abs(number))), 0), 12)


def sig3(value: object) -> str:
    """Number with three significant digits.

    >>> sig3(0.00012345), sig3(1234567), sig3(2)
    ('0.000123', '1,230,000', '2')
    """
    if is_missing(value):
        return NOT_KNOWN
    return num(float(f"{float(value):.3g}"))  # type: ignore[arg-type]


def price(value: object) -> str:
    """Price of an hour: cents, or two significant digits where a device costs less than a dime.

    >>> price(12.345), price(0.1), price(0.012345), price(0), price(None)
    ('12.35', '0.10', '0.012', '0.00', 'not known')
    """
    return num(value, None if is_missing(value) else max(_decimals_for(float(value), 2), 2))  # type: ignore[arg-type]


def apart(value: object, limit: object) -> tuple[str, str]:
    """A value and its limit with three significant digits, or as many more as tell one from the other.

    >>> apart(1.0002, 1), apart(0.0249, 0.03), apart(0.3, 0.3), apart(None, 2)
    (('1.0002', '1.0000'), ('0.0249', '0.0300'), ('0.300', '0.300'), ('not known', '2'))
    """
    if is_missing(value) or is_missing(limit) or float(value) == float(limit):  # type: ignore[arg-type]
        return sig3(value), sig3(limit)
    numbers = [float(value), float(limit)]  # type: ignore[arg-type]
    digits = next((n for n in range(3, 12) if len({f"{number:.{n}g}" for number in numbers}) == 2), 12)
    decimals = max(_decimals_for(max(numbers, key=abs), digits), 0)
    rounded = [float(f"{number:.{digits}g}") for number in numbers]
    if all(number.is_integer() for number in rounded):
        decimals = 0
    return num(rounded[0], decimals), num(rounded[1], decimals)


def in_unit(value: object, unit: str) -> str | None:
    """A figure with its unit, for a column of several units; nothing where it is missing.

    >>> in_unit(8047.3, "USD"), in_unit(0.364, "fraction"), in_unit(2662.0, "h"), in_unit(3, "days"), in_unit(None, "h")
    ('USD 8,047', '36.4 %', '2,662 h', '3 days', None)
    """
    if is_missing(value):
        return None
    if unit in ("USD", "fraction"):
        return usd(value) if unit == "USD" else pct(value, 1)
    return f"{num(value, 0) if abs(float(value)) >= 100 else num(value)} {unit}"  # type: ignore[arg-type]


def apart_in_unit(value: object, limit: object, unit: str) -> tuple[str, str]:
    """A value and its limit with their unit, told apart as by `apart`.

    >>> apart_in_unit(0.0502, 0.05, "fraction"), apart_in_unit(8047.3, 1.5e6, "USD")
    (('5.02 %', '5.00 %'), ('USD 8,047', 'USD 1,500,000'))
    """
    if unit == "USD" and usd(value) != usd(limit):
        return usd(value), usd(limit)
    scale, sign = (100.0, "%") if unit == "fraction" else (1.0, unit)
    known = [None if is_missing(number) else float(number) * scale for number in (value, limit)]  # type: ignore[arg-type]
    first, second = apart(*known)
    return f"{first} {sign}", f"{second} {sign}"


def a_day(amount: float, before: float, month: str) -> str:
    """What a day cost in a month and in the one before, USD / days; nothing where they have as many days or one is not known or nothing.

    >>> a_day(31 * 17_159.0, 30 * 17_086.0, "2026-10"), a_day(31.0, 31.0, "2026-08"), a_day(31.0, 0.0, "2026-10")
    ('USD 17,159 a day after USD 17,086', '', '')
    """
    now = pd.Period(month, "M")
    days, days_before = now.days_in_month, (now - 1).days_in_month
    if days == days_before or is_missing(amount) or is_missing(before) or not before > 0:
        return ""
    return f"{usd(amount / days)} a day after {usd(before / days_before)}"


def usd(value: object, decimals: int | None = None) -> str:
    """Money in full; without `decimals` none from USD 100, two from USD 1, else three digits.

    >>> usd(1234.4), usd(3), usd(0.000123), usd(-50), usd(None)
    ('USD 1,234', 'USD 3.00', 'USD 0.000123', 'USD −50.00', 'not known')
    """
    if is_missing(value):
        return NOT_KNOWN
    number = float(value)  # type: ignore[arg-type]
    if decimals is None:
        decimals = 0 if abs(number) >= 100 else 2 if abs(number) >= 1 or number == 0 else _decimals_for(number, 3)
    return "USD " + num(number, decimals)


def usd_compact(value: object) -> str:
    """Money rounded to about three digits with k, M or B.

    >>> usd_compact(1_234_567), usd_compact(45_600), usd_compact(999_950), usd_compact(12.5)
    ('USD 1.23 M', 'USD 45.6 k', 'USD 1.00 M', 'USD 12.50')
    """
    if is_missing(value):
        return NOT_KNOWN
    number = float(f"{float(value):.3g}")  # type: ignore[arg-type]
    return usd(value) if abs(number) < min(size for size, _ in _MAGNITUDES) else f"USD {compact(value)}"


def compact(value: object) -> str:
    """A number rounded to about three digits with k, M or B; whole numbers below a thousand as they are.

    >>> compact(1_234_567), compact(45_600), compact(51), compact(12.54), compact(0)
    ('1.23 M', '45.6 k', '51', '12.5', '0')
    """
    if is_missing(value):
        return NOT_KNOWN
    number = float(f"{float(value):.3g}")  # type: ignore[arg-type]
    for size, letter in _MAGNITUDES:
        if abs(number) >= size:
            scaled = number / size
            return f"{num(scaled, max(2 - math.floor(math.log10(abs(scaled))), 0))} {letter}"
    return num(number)


def pct(value: object, decimals: int | None = None) -> str:
    """Share as percent; one decimal below 10 % and just short of 100 %, none else, unless given.

    >>> pct(0.123), pct(0.0456), pct(-0.5), pct(0), pct(1.5, 1), pct(0.996), pct(1), pct(0.0004)
    ('12 %', '4.6 %', '−50 %', '0 %', '150.0 %', '99.6 %', '100 %', 'under 0.1 %')
    """
    if is_missing(value):
        return NOT_KNOWN
    number = float(value) * 100  # type: ignore[arg-type]
    if decimals is None:
        if 0 < number < 0.05:
            return "under 0.1 %"
        decimals = int(0 < abs(number) < 9.95 or 99.5 <= abs(number) < 99.95)
    return num(number, decimals) + " %"


def pct_beside(value: object, limit: float, decimals: int = 0) -> str:
    """Share as percent, with as many decimals as tell it from a limit.

    >>> pct_beside(0.69, 0.7), pct_beside(0.6995, 0.7), pct_beside(0.7, 0.7), pct_beside(None, 0.7)
    ('69 %', '69.95 %', '70 %', 'not known')
    """
    return pct(value, decimals if is_missing(value) else decimals_apart(100 * float(value), 100 * limit, decimals))  # type: ignore[arg-type]


def month_name(value: object) -> str:
    """Month in words.

    >>> month_name("2026-10")
    'October 2026'
    """
    return NOT_KNOWN if is_missing(value) else f"{_timestamp(value):%B %Y}"


def date_name(value: object) -> str:
    """Date in words; anything that is no date is returned as it is.

    >>> date_name("2026-10-31"), date_name("2026"), date_name(None)
    ('31 October 2026', '2026', 'not known')
    >>> date_name("2026-09-15 to 2026-10-01")
    '15 September 2026 to 1 October 2026'
    """
    if is_missing(value):
        return NOT_KNOWN
    if isinstance(value, str) and " to " in value:
        return " to ".join(date_name(part) for part in value.split(" to "))
    if isinstance(value, str) and not re.fullmatch(r"\d{4}-\d{2}-\d{2}([T ].*)?", value):
        return value
    day = _timestamp(value)
    return f"{day.day} {day:%B %Y}"


def _timestamp(value: object) -> pd.Timestamp:
    return pd.Timestamp(value.to_timestamp() if isinstance(value, pd.Period) else value)  # type: ignore[arg-type]


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Count with its noun.

    >>> plural(1, "use case"), plural(1200, "use case"), plural(2, "policy", "policies")
    ('1 use case', '1,200 use cases', '2 policies')
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def span(low: str, high: str) -> str:
    """Two figures as a range; one where they read the same.

    >>> span("27 %", "31 %"), span("27 %", "27 %")
    ('27 % to 31 %', '27 %')
    """
    return low if low == high else f"{low} to {high}"


def interval(low: float, high: float) -> str:
    """A figure that is known to lie between two, three significant digits each; the figure where they are one.

    >>> interval(100.0, 250.0), interval(2500.0, float("inf")), interval(7.0, 7.0)
    ('100 to 250', 'over 2,500', '7')
    """
    return f"over {sig3(low)}" if high == float("inf") else span(sig3(low), sig3(high))


def count(value: object) -> str:
    """Average number of things: whole from ten, one decimal below, and never a zero that is none.

    >>> count(1234.4), count(3.25), count(0.014), count(0)
    ('1,234', '3.2', 'fewer than 0.1', '0')
    """
    if is_missing(value) or value == 0:
        return num(value, 0)
    return "fewer than 0.1" if abs(float(value)) < 0.05 else num(value, 0 if abs(float(value)) >= 10 else 1)  # type: ignore[arg-type]


def join_words(words: Iterable[object], last: str = "and") -> str:
    """Enumeration in words.

    >>> join_words(["a", "b", "c"]), join_words(["a"]), join_words([])
    ('a, b and c', 'a', 'none')
    """
    items = [str(word) for word in words]
    if len(items) < 2:
        return items[0] if items else "none"
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


#: Words of fields that pages spell the British way, like the rest of their text.
_SPELLED = {"utilization": "utilisation"}


def readable(name: str) -> str:
    """Name of a column or key in words, acronyms in capitals.

    >>> readable("usd_per_1k_units"), readable("planning_utilization"), readable("p95_ttft_ms")
    ('USD per 1k units', 'Planning utilisation', 'p95 TTFT ms')
    """
    parts = [word for word in name.split("_") if word]
    words = [_AS_WRITTEN.get(word, word.upper() if word in _CAPITALS else word) for word in parts]
    words = [_SPELLED.get(word, word) for word in words]
    if parts and parts[0] not in _AS_WRITTEN and parts[0] not in _CAPITALS:
        words[0] = words[0][0].upper() + words[0][1:]
    return " ".join(words)


def _month_short(value: object) -> str:
    return f"{_timestamp(value):%b %Y}"


def _iso_date(value: object) -> str:
    return value[:10] if isinstance(value, str) else f"{pd.Timestamp(value):%Y-%m-%d}"  # type: ignore[arg-type]


def _yes_no(value: object) -> str:
    return str(value) if isinstance(value, str) else "yes" if bool(value) else "no"


def _bare(money: str) -> str:
    return money.removeprefix("USD ")


#: Formats of table columns, chart labels and axes, by name.
FORMATS: dict[str, Callable[[object], str]] = {
    "text": str,
    "prose": str,  # sentences: in a column of some width
    "figure": str,  # a number that was made text already
    "status": str,
    "int": lambda value: num(value, 0),
    "num1": lambda value: num(value, 1),
    "num2": lambda value: num(value, 2),
    "num3": lambda value: num(value, 3),
    "sig3": sig3,
    "usd0": lambda value: _bare(usd(value, 0)),
    "usd2": lambda value: _bare(usd(value, 2)),
    "usd_hour": price,
    "usd4": lambda value: _bare(usd(value, 4)),
    "usd6": lambda value: _bare(usd(value, 6)),
    "usd_compact": lambda value: _bare(usd_compact(value)),
    "pct0": lambda value: pct(value, 0),
    "pct1": lambda value: pct(value, 1),
    "month": _month_short,
    "date": _iso_date,
    "bool": _yes_no,
}
#: Formats that are set left; all others are figures and set right.
LEFT_FORMATS = frozenset({"text", "prose", "status", "bool", "month", "date"})


def format_value(value: object, fmt: str) -> str:
    """Value in one of `FORMATS`; a dash where it is missing.

    >>> format_value(1234.5, "usd2"), format_value(pd.Timestamp("2026-10-01"), "date"), format_value(None, "int")
    ('1,234.50', '2026-10-01', '–')
    """
    return DASH if is_missing(value) else FORMATS[fmt](value)


def as_of_range(values: Iterable[object]) -> str:
    """Oldest and newest of some dates, for a source line.

    >>> as_of_range(["2026-10-01", None, "2026-09-15"]), as_of_range([])
    ('2026-09-15 to 2026-10-01', 'not known')
    """
    days = sorted({_iso_date(value) for value in values if not is_missing(value)})
    if not days:
        return NOT_KNOWN
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def parted(text: str, count: int) -> tuple[str, str]:
    """The first sentences of a text, and the rest.

    >>> parted("Buy 4. It costs USD 1.5 M. It pays back.", 2)
    ('Buy 4. It costs USD 1.5 M.', 'It pays back.')
    """
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z0-9])", text)
    return " ".join(sentences[:count]), " ".join(sentences[count:])


def reference_hours(units: Iterable[object], reference: str) -> str:
    """What the hours of training in a table are hours of; "" where it has none.

    >>> reference_hours(["request", "accelerator_hour"], "nvidia-a100-80-sxm")
    ' Accelerator-hours of training are counted as those of nvidia-a100-80-sxm, whatever its jobs run on.'
    >>> reference_hours(["request"], "nvidia-a100-80-sxm")
    ''
    """
    if "accelerator_hour" not in set(units):
        return ""
    return f" Accelerator-hours of training are counted as those of {reference}, whatever its jobs run on."
