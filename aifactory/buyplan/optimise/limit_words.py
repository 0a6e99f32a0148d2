"""Limits and their amounts in words: rounded up where no less is enough."""

from __future__ import annotations

import re

import numpy as np

#: What a limit is counted in, by the first word of its name.
UNITS = {"capital": "USD", "budget": "USD", "power": "kW", "space": "servers", "reserve": "accelerators", "share": "accelerator-months",
         "lead": "months"}  # fmt: skip
#: Share of an amount that is rounding noise of the solver.
NOISE = 1e-9


def amount_up(value: float) -> str:
    """An amount of which no less is enough: six digits rounded up, money and other large amounts whole, never in powers of ten.

    >>> amount_up(1600.0), amount_up(1234567.2), amount_up(40.32961), amount_up(0.5), amount_up(2.0000000001)
    ('1,600', '1,234,568', '40.3297', '0.5', '2')
    """
    return figures(value, up=True)


def share_up(value: float) -> str:
    """A share of which no less is enough: a tenth of a per cent, rounded up.

    >>> share_up(0.4), share_up(0.0333), share_up(0.12341)
    ('40 %', '3.4 %', '12.4 %')
    """
    return f"{rounded_up(100.0 * value, 1):g} %"


def figures(value: float, *, up: bool = False) -> str:
    """Six digits or all before the point, thousands apart, no trailing zeros."""
    digits = max(5 - int(np.floor(np.log10(abs(value)))), 0) if value else 0
    text = f"{rounded_up(value, digits) if up else value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded_up(value: float, digits: int) -> float:
    """A number rounded up to so many decimals; what rounding left above is none."""
    return float(np.ceil(value * (1.0 - NOISE) * 10**digits) / 10**digits)


def kind_of(name: str) -> str:
    """The kind of a limit: the first word of its name.

    >>> kind_of("power of eu in month 3")
    'power'
    """
    return name.split()[0]


def without_time(name: str) -> str:
    """A limit without its month or year.

    >>> without_time("space of eu in month 3"), without_time("budget of month 2"), without_time("share of a")
    ('space of eu', 'budget', 'share of a')
    """
    return re.sub(r" (in|of) (month|year) \d+$", "", name)


def in_all(name: str) -> str:
    """The limit of one month or year as one of all of them.

    >>> in_all("space of eu in month 3"), in_all("budget of month 2"), in_all("capital of year 1"), in_all("share of a")
    ('space of eu in all months', 'budget of all months', 'capital of all years', 'share of a')
    """
    return re.sub(r"\b(in|of) (month|year) \d+$", r"\1 all \2s", name)
