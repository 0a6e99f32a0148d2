"""Why cost moved: causes that add up to the difference exactly.

cost = units x w x (h / w) x p, with units of service, w work per unit (tokens; 1 where none are
counted), h paid accelerator-hours per unit and p the mean price of an accelerator-hour. The
causes are taken one after the other, from base to actual, in this order:

volume       (u1 - u0) w0 (h/w)0 p0
efficiency   u1 (w1 - w0) (h/w)0 p0           more or less work per unit
utilization  u1 w1 ((h/w)1 - (h/w)0) p0       more or fewer paid hours per work
mix          H1 (p0' - p0)                    other accelerators or regions, at the base's prices
price        H1 (p1 - p0')                    the same accelerators in the same region at other prices

H1 = u1 w1 (h/w)1 are the paid hours, p0' the base's prices weighted with the actual hours. An
accelerator that the base did not use in a region is priced at its actual rate, so its effect is mix.

Another order gives the same total and other causes: `cause_ranges` takes all 120 orders and states for each
cause its lowest, its highest and its mean (the Shapley value, which depends on no order). The order of the rows
changes nothing.

Amounts are rounded to a power of two so fine that the table's sums are exact in floating point: the causes of a
row add up to its difference, and the differences of the rows to that of the total, to the last bit.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd

CAUSES = ("volume", "efficiency", "utilization", "mix", "price")
OTHER = "other"
REST = "rest of the bill"
REGION = "region"
EXACT_BITS = 50


def split_variance(
    base: pd.DataFrame, actual: pd.DataFrame, base_hours: pd.DataFrame, actual_hours: pd.DataFrame
) -> pd.DataFrame:
    """Split the cost difference of each row by cause.

    Parameters
    ----------
    base, actual : indexed alike (use case), columns units, work, hours, cost (USD); hours and
        cost cover the same charges.
    base_hours, actual_hours : hours and cost per (index, accelerator_id) or (index, accelerator_id, region), columns
        hours, cost. Where one side has hours of an accelerator whose region is not known (""), regions of it count as one.

    Returns
    -------
    Columns base_usd, actual_usd, difference_usd and one column per cause; rows present in both
    with hours on both sides. Causes add up to the difference.
    """
    terms = _terms(base, actual, base_hours, actual_hours)
    w0, k0, p0, u1, w1, h1 = (terms[name] for name in ("w0", "k0", "p0", "u1", "w1", "h1"))
    stages = [terms["c0"], u1 * w0 * k0 * p0, u1 * w1 * k0 * p0, h1 * p0, h1 * terms["mixed"], terms["c1"]]
    amounts = _exact(np.column_stack(stages).astype(float))
    table = pd.DataFrame({"base_usd": amounts[:, 0], "actual_usd": amounts[:, -1]}, index=terms.index)
    table["difference_usd"] = table["actual_usd"] - table["base_usd"]
    for step, cause in enumerate(CAUSES):
        table[cause] = amounts[:, step + 1] - amounts[:, step]
    return table


def explain_bill(
    split: pd.DataFrame,
    base: pd.Series,
    actual: pd.Series,
    base_total: float,
    actual_total: float,
    *,
    planned: bool,
    served: pd.Index | None = None,
) -> pd.DataFrame:
    """The split with everything else on the two bills, so that its rows add up to the whole difference.

    Parameters
    ----------
    split : from `split_variance`.
    base, actual : cost of accelerators per use case, USD; those that the split lacks come as a row of their own:
        volume between two months where one has none (a use case began or ended), else `other` (charged on one side
        of a plan only, or without hours).
    served : use cases that delivered units on both sides: where only one side charges them, charges are missing or came
        under another tag, which is `other` and no volume.
    base_total, actual_total : the two bills; what no use case explains is the row `REST`, cause `other`.
    planned : whether the base is a plan.
    """
    extra = sorted((set(base.index) | set(actual.index)) - set(split.index))
    sides = pd.DataFrame(
        {"base_usd": base.reindex(extra), "actual_usd": actual.reindex(extra)}, dtype="float64"
    ).fillna(0.0)
    sides = sides[(sides != 0).any(axis=1)]
    sides.loc[REST] = [
        base_total - split["base_usd"].sum() - sides["base_usd"].sum(),
        actual_total - split["actual_usd"].sum() - sides["actual_usd"].sum(),
    ]
    table = pd.concat([split.assign(**{OTHER: 0.0}), sides])
    whole = _exact(table[["base_usd", "actual_usd", *CAUSES]].fillna(0.0).to_numpy(dtype=float))
    table[["base_usd", "actual_usd"]] = whole[:, :2]
    causes, kept = whole[:, 2:], np.arange(len(table)) < len(split)
    difference = table["actual_usd"].to_numpy() - table["base_usd"].to_numpy()
    # the finer grid of a single row may not fit the sum of all: the last cause takes the rest of its own rounding
    causes[kept, -1] += difference[kept] - causes[kept].sum(axis=1)
    table["difference_usd"] = difference
    known = np.isin(table.index, [] if served is None else served)
    one_side = (whole[:, :2] == 0).any(axis=1)
    began = ~kept & (table.index != REST) & ~known & (not planned) & one_side
    causes[began, 0] = difference[began]
    table[list(CAUSES)] = causes
    table[OTHER] = np.where(kept | began, 0.0, difference)
    return table


def served_in_both(base: pd.DataFrame, actual: pd.DataFrame) -> pd.Index:
    """Use cases with units on both sides."""
    both = base.index.intersection(actual.index)
    return both[((base.loc[both, "units"] > 0) & (actual.loc[both, "units"] > 0)).to_numpy()]


def cause_ranges(
    base: pd.DataFrame, actual: pd.DataFrame, base_hours: pd.DataFrame, actual_hours: pd.DataFrame
) -> pd.DataFrame:
    """What the order of the causes changes: per cause, over all rows, USD.

    Returns
    -------
    Columns cause, in_order_usd (the order of the module), mean_usd (over all orders), lowest_usd, highest_usd.
    The means add up to the difference, as each order does.
    """
    terms = _terms(base, actual, base_hours, actual_hours)
    worth = {key: _worth(terms, key) for key in range(2 ** len(CAUSES))}
    found = np.array([_in_order(worth, order) for order in permutations(range(len(CAUSES)))])
    facts = {"in_order_usd": found[0], "mean_usd": found.mean(axis=0), "lowest_usd": found.min(axis=0), "highest_usd": found.max(axis=0)}  # fmt: skip
    return pd.DataFrame({"cause": CAUSES, **facts})


def _in_order(worth: dict[int, float], order: tuple[int, ...]) -> np.ndarray:
    parts, key = np.zeros(len(CAUSES)), 0
    for cause in order:
        parts[cause] = worth[key | 1 << cause] - worth[key]
        key |= 1 << cause
    return parts


def _worth(terms: pd.DataFrame, key: int) -> float:
    """Cost of all rows with the causes in `key` (bits) at their actual value, the others at the base's."""
    volume, efficiency, utilization, mix, price = (bool(key >> bit & 1) for bit in range(len(CAUSES)))
    rate = {(False, False): "p0", (True, False): "mixed", (False, True): "repriced", (True, True): "p1"}[mix, price]
    units, work, pace = terms["u1" if volume else "u0"], terms["w1" if efficiency else "w0"], terms["k1" if utilization else "k0"]  # fmt: skip
    return float((units * work * pace * terms[rate]).sum())


def _terms(
    base: pd.DataFrame, actual: pd.DataFrame, base_hours: pd.DataFrame, actual_hours: pd.DataFrame
) -> pd.DataFrame:
    rows = base.index.intersection(actual.index)
    usable = rows[((base.loc[rows, ["units", "hours"]] > 0) & (actual.loc[rows, ["units", "hours"]] > 0)).all(axis=1)]
    zero, one, known = base.loc[usable], actual.loc[usable], _places_known(base_hours, actual_hours)
    return pd.DataFrame(
        {
            "u0": zero["units"], "w0": zero["work"] / zero["units"], "k0": zero["hours"] / zero["work"],
            "p0": zero["cost"] / zero["hours"], "c0": zero["cost"],
            "u1": one["units"], "w1": one["work"] / one["units"], "k1": one["hours"] / one["work"],
            "p1": one["cost"] / one["hours"], "c1": one["cost"], "h1": one["hours"],
            "mixed": _other_price(*known).reindex(usable),
            "repriced": _other_price(*known[::-1]).reindex(usable),
        }
    )  # fmt: skip


def _places_known(*sides: pd.DataFrame) -> list[pd.DataFrame]:
    """Hours by region, but in one row per index and accelerator where a side does not know the region of some."""
    if any(REGION not in side.index.names for side in sides):
        return list(sides)
    unknown = [side.index[side.index.get_level_values(REGION) == ""].droplevel(REGION) for side in sides]
    found = []
    for side in sides:
        blind = side.index.droplevel(REGION).isin(unknown[0].union(unknown[1]))
        region = np.where(blind, "", side.index.get_level_values(REGION))
        found.append(side.groupby([*(side.index.get_level_values(level) for level in (0, 1)), region]).sum())
    return found


def _other_price(rates: pd.DataFrame, hours: pd.DataFrame) -> pd.Series:
    """Prices of one side weighted with the hours of the other, per first index level; absent ones stay."""
    own = hours["cost"] / hours["hours"]
    rate = (rates["cost"] / rates["hours"]).reindex(hours.index)
    rate = rate.where(np.isfinite(rate), own)
    weighted = (rate * hours["hours"]).groupby(level=0).sum()
    return weighted / hours["hours"].groupby(level=0).sum()


def _exact(amounts: np.ndarray) -> np.ndarray:
    """Amounts on a grid of a power of two: sums of them and of their differences are exact."""
    size = float(np.abs(amounts).sum())
    if not 0 < size < np.inf:
        return amounts
    step = 2.0 ** (np.ceil(np.log2(size)) - EXACT_BITS)
    return np.round(amounts / step) * step
