"""By how much a plan exceeds limits that cannot be kept, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aifactory.buyplan.optimise.limit_words import UNITS, amount_up, figures, kind_of
from aifactory.units import percent

MONEY = ("capital", "budget")


@dataclass(frozen=True)
class Overrun:
    """By how much a limit is exceeded, in the unit of the limit, and what of it is taken already; a share of a vendor as a share."""

    name: str
    by: float
    most: float
    stands: float = 0.0


def overrun_words(overruns: tuple[Overrun, ...]) -> str:
    """The excess of each limit beside what is allowed; months of one limit together, by the highest of them.

    >>> overrun_words((Overrun("capital of year 1", 1600.0, 800.0), Overrun("power of eu in month 3", 2.0, 10.0),
    ...                Overrun("power of eu in month 4", 4.0, 10.0)))
    'capital of year 1 by 1,600 USD (800 allowed); power of eu from month 3 to month 4 by at most 4 kW (10 allowed)'
    """
    groups: dict[str, list[Overrun]] = {}
    for overrun in overruns:
        groups.setdefault(re.sub(r" (in|of) month \d+$", "", overrun.name), []).append(overrun)
    return "; ".join(_group_words(name, members) for name, members in groups.items())


def _group_words(name: str, members: list[Overrun]) -> str:
    worst = max(members, key=lambda member: member.by)
    if kind_of(name) == "share":
        return f"{name} by {percent(worst.by)} of what is held ({percent(worst.most)} allowed)"
    amount = f"{amount_up(worst.by)} {UNITS[kind_of(name)]} ({figures(worst.most)} allowed{_taken(worst)})"
    if len(members) == 1:
        return f"{worst.name} by {amount}"
    first, last = (member.name.split("month ")[1] for member in (members[0], members[-1]))
    return f"{name} from month {first} to month {last} by at most {amount}"


def _taken(overrun: Overrun) -> str:
    """What earlier orders take of it already, where they do."""
    if overrun.stands <= 0:
        return ""
    who, verb = ("orders placed before", "take") if kind_of(overrun.name) in MONEY else ("what stands there", "takes")
    if overrun.stands > overrun.most:
        return f"; {who} alone {verb} {figures(overrun.stands)}, so that nothing may be added"
    return f", of which {who} {verb} {figures(overrun.stands)}"
