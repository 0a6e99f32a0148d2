"""What to do with the orders of the approved plan that are not placed yet, given a plan made anew today.

Orders of the approved plan and of today's, both without renewals (of today's too those of terms that the approved plan signed
on approval: the order book ends them), are matched accelerator by accelerator, place by place and way to pay by way to pay:
in the order of their months, or those of one month
first where that shifts fewer. Orders are placed once a quarter, so a shift of less
than a quarter is none:

    keep          today's plan orders it within two months of then
    pull forward  three months earlier or more
    defer         three months later or more
    cancel        today's plan does not order it
    new           ordered within the next twelve months by today's plan alone

Today's plan starts from the order book (table `commitments`): what was firm on approval or placed since is not in it
again. A step counts as placed once the book holds its order or a decision released it. What was firm and stands in no
book, since it was put off, is approved and not placed too (`firm_orders`).
"""

from __future__ import annotations

from collections import deque
from copy import deepcopy

import numpy as np
import pandas as pd

from aifactory.buyplan.keep import ORDERED as KEYS
from aifactory.buyplan.keep import placed_since
from aifactory.buyplan.releases import COMMITMENT
from aifactory.finance.options import OPTION_NAMES
from aifactory.review.band_triggers import RELEASED
from aifactory.units import MONTHS_PER_YEAR

HOLD, FORWARD, DEFER, CANCEL, NEW = "keep", "pull forward", "defer", "cancel", "new"
ACTIONS = (FORWARD, CANCEL, DEFER, NEW, HOLD)
STEP = ["band", "order_month", *KEYS]
COLUMNS = ["action", *KEYS, "accelerators", "approved_month", "today_month", "approved_usd", "today_usd"]
#: A smaller shift is that of the quarter in which a plan places its orders.
QUARTER = 3


def recommend(
    steps: pd.DataFrame, states: pd.DataFrame, orders: pd.DataFrame, period: str, book: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per action, place, way to pay and pair of months, dearest first.

    Parameters
    ----------
    steps : rows of the `approved_bands` contract of the approved plan.
    states : from `band_triggers`; orders that a decision released are placed.
    orders : orders of the plan made today.
    period : month of today's plan.
    book : rows of the `commitments` contract; what was ordered since approval are steps placed (`keep.placed_since`).
    """
    if orders.empty and steps.empty:
        return pd.DataFrame(columns=COLUMNS)
    open_, today = _not_placed(steps, states, book), _without_renewals(_wanted(orders), steps, book)
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


def _not_placed(steps: pd.DataFrame, states: pd.DataFrame, book: pd.DataFrame | None) -> pd.DataFrame:
    """Orders of the approved plan that no decision has released and the order book does not hold, parts of them too.

    What the book holds counts for released steps first, then for the earliest.
    """
    mine = steps[steps["kind"] == COMMITMENT].sort_values(["order_month", "band"], kind="stable")
    released, booked = _is_released(mine, states), placed_since(steps, book)
    left = {key: count - released_count for key, count, released_count in _both(mine[released], booked)}
    counts = []
    for step in mine[~released].itertuples(index=False):
        key = tuple(getattr(step, name) for name in KEYS)
        taken = min(max(left.get(key, 0), 0), step.accelerators)
        left[key] = left.get(key, 0) - taken
        counts.append(step.accelerators - taken)
    open_ = mine[~released].assign(left=np.array(counts, dtype="int64"))
    usd = open_["commitment_usd"] * open_["left"] / open_["accelerators"]
    return open_.assign(accelerators=open_["left"], commitment_usd=usd)[open_["left"] > 0]


def not_booked(steps: pd.DataFrame, states: pd.DataFrame, book: pd.DataFrame) -> list[str]:
    """Released orders that the order book does not hold: today's plan cannot know of them and may order them again."""
    mine = steps[steps["kind"] == COMMITMENT]
    return [
        f"the netting of {released - count:,.0f} {key[1]} in {key[0]} ({OPTION_NAMES[key[2]].lower()}): a decision released "
        "their order and the commitments table does not hold it, so that a plan made now may order them again"
        for key, count, released in _both(mine[_is_released(mine, states)], placed_since(steps, book))
        if released > count
    ]


def _both(released: pd.DataFrame, booked: dict[tuple[str, ...], int]) -> list[tuple[tuple[str, ...], int, int]]:
    """Place and way to pay with the accelerators in the book and those released."""
    found = released.groupby(KEYS)["accelerators"].sum().to_dict()
    return [(key, booked.get(key, 0), int(found.get(key, 0))) for key in sorted({*booked, *found})]


def _is_released(mine: pd.DataFrame, states: pd.DataFrame) -> np.ndarray:
    """Steps that a decision released, or whose order the book holds."""
    placed = states[(states["state"] == RELEASED) & (states["kind"] == COMMITMENT)]
    done = set(placed[STEP].itertuples(index=False, name=None))
    return np.array([row in done for row in mine[STEP].itertuples(index=False, name=None)], dtype=bool)


def _wanted(orders: pd.DataFrame) -> pd.DataFrame:
    if orders.empty:
        return pd.DataFrame(columns=[*STEP, "accelerators", "commitment_usd"])
    return orders[~orders["renewal"].astype(bool)]


def _without_renewals(orders: pd.DataFrame, steps: pd.DataFrame, book: pd.DataFrame | None) -> pd.DataFrame:
    """Orders of today beyond those that follow a term which the approved plan signed on approval, within a quarter of its end."""
    if book is None or book.empty or steps.empty or orders.empty:
        return orders
    signed = book[(book["plan_period"] == steps["plan_period"].max()) & book["end_month"].notna()]
    ended = {key: list(zip(rows["end_month"], rows["accelerators"], strict=True)) for key, rows in signed.groupby(KEYS)}
    orders = orders.sort_values(["start_month", "order_month", "band"], kind="stable", ignore_index=True)
    left = []
    for order in orders.itertuples(index=False):
        count, terms = order.accelerators, ended.get(tuple(getattr(order, name) for name in KEYS), [])
        for at, (end, free) in enumerate(terms):
            late = (pd.Period(order.start_month, "M") - pd.Period(end, "M")).n
            taken = min(count, free) if 0 <= late < QUARTER else 0
            count, terms[at] = count - taken, (end, free - taken)
        left.append(count)
    share = np.array(left) / orders["accelerators"].to_numpy()
    found = orders.assign(accelerators=left, commitment_usd=orders["commitment_usd"] * share)
    return found[found["accelerators"] > 0]


def _queue(orders: pd.DataFrame, key: tuple[str, ...]) -> deque[list]:
    """Orders of one place and way to pay: month, accelerators, USD each; earliest first."""
    mine = orders[(orders[KEYS] == np.array(key, dtype=object)).all(axis=1)].sort_values(
        ["order_month", "band"], kind="stable"
    )
    return deque(
        [row.order_month, int(row.accelerators), row.commitment_usd / row.accelerators] for row in mine.itertuples()
    )


def _matched(approved: deque[list], today: deque[list], last: str) -> list[tuple]:
    """Action, accelerators, months and money of each matched or unmatched part of two queues.

    In the order of their months, or those of one month first where fewer accelerators are then pulled forward or deferred.
    """
    ways = [_paired(deepcopy(approved), deepcopy(today), last, same_first=first) for first in (True, False)]
    return min(ways, key=lambda rows: sum(row[1] for row in rows if row[0] in (FORWARD, DEFER)))


def _paired(approved: deque[list], today: deque[list], last: str, *, same_first: bool) -> list[tuple]:
    """`_matched` in one of its two ways."""
    rows = []
    for then, now in ((then, now) for then in approved for now in today if same_first and then[0] == now[0]):
        if count := min(then[1], now[1]):
            rows.append((HOLD, count, then[0], now[0], count * then[2], count * now[2]))
            then[1], now[1] = then[1] - count, now[1] - count
    approved, today = (deque(order for order in queue if order[1]) for queue in (approved, today))
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
    return rows + [(NEW, count, "", month, 0.0, count * usd) for month, count, usd in today if month <= last]


def _action(then: str, now: str) -> str:
    """What a shift between two months means.

    >>> [_action("2027-03", now) for now in ("2026-12", "2027-01", "2027-05", "2027-06")]
    ['pull forward', 'keep', 'keep', 'defer']
    """
    shift = (pd.Period(now, "M") - pd.Period(then, "M")).n
    return FORWARD if shift <= -QUARTER else DEFER if shift >= QUARTER else HOLD
