"""Units and constants. SI prefixes are decimal; a month is a twelfth of a mean year."""

from __future__ import annotations

import math
from collections.abc import Sequence

KILO = 10**3
MEGA = 10**6
GIGA = 10**9
TERA = 10**12

SECONDS_PER_HOUR = 3_600
MINUTES_PER_HOUR, HOURS_PER_DAY = 60, 24
HOURS_PER_MONTH = 730  # 8,760 h / 12, the convention of cloud price lists
MONTHS_PER_YEAR = 12
MS_PER_S = 1_000

WORKLOAD_CLASSES = {
    "batch_training": "Batch training",
    "parameter_efficient_fine_tuning": "Parameter-efficient fine-tuning",
    "real_time_inference": "Real-time inference",
    "agentic_orchestration": "Agentic orchestration",
    "multimodal_media": "Multimodal media",
    "edge_on_device": "Edge and on-device",
}
PLATFORM_CLASSES = {
    "gpu": "GPU",
    "tpu": "TPU",
    "trainium": "AWS Trainium and Inferentia",
    "custom_asic": "Custom ASIC",
    "neuromorphic": "Neuromorphic",
    "edge": "Edge device",
    "cpu": "CPU",
}
#: Work that stands where it arises, on own sites.
EDGE_CLASS = "edge_on_device"
#: What a device at the edge may draw; power and heat rule out server parts there.
EDGE_MAX_TDP_W = 150
#: Classes of work that is jobs.
TRAINING_CLASSES = ("batch_training", "parameter_efficient_fine_tuning")
SCENARIOS = ("conservative", "expected", "aggressive")
BANDS = ("baseline", "growth", "surge")


def monthly_rate(annual_rate: float) -> float:
    """Monthly rate that compounds to `annual_rate`: (1 + r)^(1/12) - 1 (never r / 12).

    >>> round(monthly_rate(0.12), 6)
    0.009489
    """
    if not -1 < annual_rate < float("inf"):
        msg = f"annual rate must be above -100 % and finite, got {annual_rate}"
        raise ValueError(msg)
    return (1 + annual_rate) ** (1 / MONTHS_PER_YEAR) - 1


def counted(count: int, noun: str) -> str:
    """A number of things in a sentence, with the plural in -s.

    >>> counted(1, "origin"), counted(2160, "window")
    ('1 origin', '2,160 windows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def few(names: Sequence[str], most: int = 8) -> str:
    """Names in a sentence: of more than `most` the first ones, and how many more there are.

    >>> few(["a", "b", "c"]), few(["a", "b", "c"], most=2), few([])
    ('a, b, c', 'a, b and 1 more', '')
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


#: Digits of a share beyond which it is rounding noise.
NOISE_DIGITS = 12


def percent(share: float) -> str:
    """Share as percent in a sentence: one decimal below 10 %; short of all never reads as all, nor little as nothing.

    What differs from all or nothing by rounding noise is that.

    >>> percent(0.125), percent(0.0456), percent(0.996), percent(0.99996), percent(1.0), percent(0.0), percent(0.0004)
    ('12 %', '4.6 %', '99.6 %', 'over 99.9 %', '100 %', '0 %', 'under 0.1 %')
    >>> percent(1 - 2**-53), percent(2**-53)
    ('100 %', '0 %')
    """
    share = round(share, NOISE_DIGITS)
    if 0.9995 <= share < 1:
        return "over 99.9 %"
    if 0 < share < 0.0005:
        return "under 0.1 %"
    fine = 0 < share < 0.0995 or 0.995 <= share < 1
    return f"{100 * share:.{int(fine)}f} %"


def decimals_apart(value: float, limit: float, decimals: int) -> int:
    """Decimals, at least so many, with which a figure does not read as a limit that it differs from; at most 12.

    >>> decimals_apart(0.42, 0.5, 2), decimals_apart(0.4996, 0.5, 2), decimals_apart(0.5, 0.5, 2)
    (2, 4, 2)
    """
    if not abs(value - limit) > 1e-12:
        return decimals
    return next((d for d in range(decimals, 12) if f"{value:.{d}f}" != f"{limit:.{d}f}"), 12)


def signed_percent(share: float) -> str:
    """A change in whole per cent with its sign; none where it rounds to nothing.

    >>> signed_percent(0.021), signed_percent(-0.15), signed_percent(-0.004)
    ('+2 %', '−15 %', '0 %')
    """
    whole = round(100 * share)
    return f"{whole:+d} %".replace("-", "\N{MINUS SIGN}") if whole else "0 %"


def three_digits(value: float) -> str:
    """A quantity in a sentence to three significant digits, never in powers of ten.

    >>> three_digits(6_687_835_797), three_digits(13_912.4), three_digits(0.83421), three_digits(5.8), three_digits(744.0)
    ('6.69 billion', '13,900', '0.834', '5.8', '744')
    """
    rounded = float(f"{value:.3g}")
    for size, word in ((GIGA, "billion"), (MEGA, "million")):
        if abs(rounded) >= size:
            return f"{rounded / size:,.3g} {word}" if abs(rounded) < 1000 * size else f"{rounded / size:,.0f} {word}"
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.10f}".rstrip("0").rstrip(".")


#: Units a second below which a rate is told by the hour.
SLOW_PER_S = 0.1


def pace(units_per_s: float, unit: str = "unit", beside: float = math.inf) -> str:
    """A rate in words: units a second, or an hour where of it or of the rate `beside` it fewer than one comes in ten seconds.

    >>> pace(4.2), pace(4.2, "request"), pace(0.000777, "accelerator_hour"), pace(0.0004113, "session")
    ('4.2 units/s', '4.2 requests/s', '2.8 accelerator-hours an hour', '1.48 sessions an hour')
    """
    counted = f"{unit.replace('_', '-')}s"
    if not 0 < min(units_per_s, beside) < SLOW_PER_S:
        return f"{three_digits(units_per_s)} {counted}/s"
    return f"{three_digits(units_per_s * SECONDS_PER_HOUR)} {counted} an hour"
