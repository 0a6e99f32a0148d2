"""What to do with the orders of the approved plan that are not placed yet, given a plan made anew today.

Orders of the approved plan and of today's, both without renewals, are matched accelerator by accelerator in the order
of their months, place by place and way to pay by way to pay. Orders are placed once a quarter, so a shift of less
than a quarter is none:

    hold          today's plan orders it within two months of then
    pull forward  three months earlier or more
    defer         three months later or more
    cancel        today's plan does not order it
    new           ordered within the next twelve months by today's plan alone

New orders of the baseline are named apart: those of the approved plan were firm on approval and are no steps of it, so
that such an order is new only if it was not signed then.
"""

from __future__ import annotations

from collections import deque

import numpy as np
import pandas as pd

from aifactory.buyplan.releases import COMMITMENT, PLACE
from aifactory.review.band_triggers import RELEASED
from aifactory.units import MONTHS_PER_YEAR

HOLD, FORWARD, DEFER, CANCEL, NEW, BASELINE = "hold", "pull forward", "defer", "cancel", "new", "new in the baseline"
ACTIONS = (FORWARD, CANCEL, DEFER, NEW, HOLD, BASELINE)
KEYS = [*PLACE, "purchase_option"]
STEP = ["band", "order_month", *KEYS]
COLUMNS = ["action", *KEYS, "accelerators", "approved_month", "today_month", "approved_usd", "today_usd"]
#: A smaller shift is that of the quarter in which a plan places its orders.
QUARTER = 3


def recommend(steps: pd.DataFrame, states: pd.DataFrame, orders: pd.DataFrame, period: str) -> pd.DataFrame:
    """One row per action, place, way to pay and pair of months, dearest first.

    Parameters
    ----------
    steps : rows of the `approved_bands` contract of the approved plan.
    states : from `band_triggers`; orders that a decision released are placed.
    orders : orders of the plan made today.
    period : month of today's plan.
    """
    if orders.empty and steps.empty:
        return pd.DataFrame(columns=COLUMNS)
    open_, today = _not_placed(steps, states), _wanted(orders)
    keys = sorted({*open_[KEYS].itertuples(index=False, name=None), *today[KEYS].itertuples(index=False, name=None)})
    last, rows = str(pd.Period(period, "M") + MONTHS_PER_YEAR), []
    for key in keys:
        rows += [(*key, *row) for row in _matched(_queue(open_, key), _queue(today, key), last)]
    table = pd.DataFrame(rows, columns=[*KEYS, "action", *COLUMNS[4:]])
    sums = table.groupby(["action", *KEYS, "approved_month", "today_month"], as_index=False)[
        ["accelerators", "approved_usd", "today_usd"]
    ].sum()
    rank, size = sums["action"].map(ACTIONS.index), -sums[["approved_usd", "today_usd"]].max(axis=1).round(2)
    order = ["size", "rank", *KEYS, "approved_month", "today_month"]
    return sums.assign(rank=rank, size=size).sort_values(order, ignore_index=True)[COLUMNS]


def _not_placed(steps: pd.DataFrame, states: pd.DataFrame) -> pd.DataFrame:
    """Orders of the approved plan that no decision has released."""
    placed = states[(states["state"] == RELEASED) & (states["kind"] == COMMITMENT)]
    done = set(placed[STEP].itertuples(index=False, name=None))
    mine = steps[steps["kind"] == COMMITMENT]
    return mine[np.array([row not in done for row in mine[STEP].itertuples(index=False, name=None)], dtype=bool)]


def _wanted(orders: pd.DataFrame) -> pd.DataFrame:
    if orders.empty:
        return pd.DataFrame(columns=[*STEP, "accelerators", "commitment_usd"])
    return orders[~orders["renewal"].astype(bool)]


def _queue(orders: pd.DataFrame, key: tuple[str, ...]) -> deque[list]:
    """Orders of one place and way to pay: month, accelerators, USD each, whether baseline; earliest first."""
    mine = orders[(orders[KEYS] == np.array(key, dtype=object)).all(axis=1)].sort_values(
        ["order_month", "band"], kind="stable"
    )
    return deque(
        [row.order_month, int(row.accelerators), row.commitment_usd / row.accelerators, row.band == "baseline"]
        for row in mine.itertuples()
    )  # fmt: skip


def _matched(approved: deque[list], today: deque[list], last: str) -> list[tuple]:
    """Action, accelerators, months and money of each matched or unmatched part of two queues."""
    rows = []
    while approved:
        then = approved[0]
        if not today:
            rows.append((CANCEL, then[1], then[0], "", then[1] * then[2], 0.0))
            approved.popleft()
            continue
        now = today[0]
        count = min(then[1], now[1])
        rows.append((_action(then[0], now[0]), count, then[0], now[0], count * then[2], count * now[2]))
        for queue in (approved, today):
            queue[0][1] -= count
            if not queue[0][1]:
                queue.popleft()
    rows += [
        (BASELINE if firm else NEW, count, "", month, 0.0, count * usd)
        for month, count, usd, firm in today if month <= last
    ]  # fmt: skip
    return rows


def _action(then: str, now: str) -> str:
    """What a shift between two months means.

    >>> [_action("2027-03", now) for now in ("2026-12", "2027-01", "2027-05", "2027-06")]
    ['pull forward', 'hold', 'hold', 'defer']
    """
    shift = (pd.Period(now, "M") - pd.Period(then, "M")).n
    return FORWARD if shift <= -QUARTER else DEFER if shift >= QUARTER else HOLD
