"""Months in which orders are considered besides the quarters: those whose deliveries meet a date that is known today.

An order of a quarter is there up to two months early or late. Where a use case starts, or what stands today ends, that
is paid for nothing or rented by the hour, so the month of order is the date less the lead time of each way to pay.
A term that is served from such a date on ends off the quarters again, and so does one that follows it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from aifactory.buyplan.case import Case
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.fleet.streams import EXPECTED, KEY, Streams

#: A month of the plan, from 0, and a pool that needs accelerators from then on.
Due = tuple[int, int]
#: Months of the shortest term whose end is a date: shorter ones end in most months anyway.
SHORTEST = 12


def with_dates(case: Case, options: Sequence[Option]) -> tuple[Option, ...]:
    """The options, each with the months, from 0, in which an order serves from a date of its pool on."""
    return serving_from(options, due_dates(case))


def serving_from(options: Sequence[Option], dates: Collection[Due], besides: Sequence[int] = ()) -> tuple[Option, ...]:
    """The options, dated to serve from dates of their pool on too, where their month of order is not one of `besides`."""
    return tuple(
        replace(option, dated=tuple(sorted({*option.dated, *(
            month - option.lead_months for month, pool in dates
            if pool == option.platform and month >= option.lead_months and month - option.lead_months not in besides
        )})))
        for option in options
    )  # fmt: skip


def with_successors(problem: Problem) -> Problem:
    """The problem in which terms can be followed when they end: those ordered today or in a dated month, one after another.

    Whatever follows a term is ordered its own lead time before the end, which the quarters may miss. Ends of terms that are
    ordered later, once a quarter, give no dates.
    """
    ends: set[Due] = set()
    for option in problem.options:
        if option.term_months >= SHORTEST:
            for at in {0, *option.dated} if option.first_order <= 0 else option.dated:
                first = at + option.lead_months + option.term_months
                ends |= {(end, option.platform) for end in range(first, problem.months, option.term_months)}
    return replace(problem, options=serving_from(problem.options, ends, problem.order_months))


def due_dates(case: Case) -> dict[Due, str]:
    """What happens on each date of a pool, in words: launches, and ends of running commitments."""
    return launches(case) | ends(case)


def launches(case: Case) -> dict[Due, str]:
    """First month of the expected demand of each stream that has none before: its use case starts, or moves from other kit or a hosted model."""
    return {(month, pool): words for month, pool, words in arrivals(case.streams)}


def arrivals(streams: Streams) -> list[tuple[int, int, str]]:
    """Work that comes to a pool later than the period or the first month of the plan: month (0: the first), pool, what it does."""
    units, found = streams.units[EXPECTED], []
    work = list(streams.table[KEY].itertuples(index=False, name=None))
    runs = {work[stream] for stream in np.flatnonzero(units[0] > 0)}
    for stream in np.flatnonzero(((units[0] <= 0) | (units[1] <= 0)) & (units[1:] > 0).any(axis=0)):
        month = int((units[1:, stream] > 0).argmax())
        does = "moves" if work[stream] in runs else "starts"
        found.append((month, int(streams.pool[stream]), f"{streams.table['use_case_id'].iloc[stream]} {does}"))
    return found


def first_months(streams: Streams) -> dict[str, str]:
    """First month of the expected demand of each use case that has none before."""
    units, names = streams.units[EXPECTED], streams.table["use_case_id"]
    found = {}
    for name in names.unique():
        mine = units[:, (names == name).to_numpy()].sum(axis=1)
        if mine[0] <= 0 and (mine > 0).any():
            found[str(name)] = streams.months[int((mine > 0).argmax())]
    return found


def ends(case: Case) -> dict[Due, str]:
    """First month without what a running commitment gave: for its own pool and those where its guests are at home.

    Work that runs there for as long as it is paid for (`paid_kit`) goes back to the accelerator that was chosen for it.
    """
    have, table, pools = case.placed.accelerators, case.streams.table, case.streams.pools
    work, found = list(table[KEY].itertuples(index=False, name=None)), {}
    for month, pool in np.argwhere(np.diff(have, axis=0) < 0):
        gone = have[month, pool] - have[month + 1, pool]
        words = f"{gone:,.0f} {pools['accelerator_id'].iloc[pool]} end"
        mine = {work[stream] for stream in np.flatnonzero(case.streams.pool == pool)}
        others = [int(other) for other, name in zip(case.streams.pool, work, strict=True) if name in mine]
        found |= dict.fromkeys(((int(month), other) for other in others), words)
        found[int(month), int(pool)] = words
    return found
