"""How few hold how much: shares of the largest, and the number of equals they amount to."""

from __future__ import annotations

import numpy as np


def herfindahl(amounts: np.ndarray) -> float:
    """Herfindahl-Hirschman index: sum of squared shares, 1/n for n equals up to 1 for a single one.

    Its inverse is the number of equal parts that would be as concentrated. NaN without any amount.
    Reference: Hirschman, The paternity of an index, American Economic Review 54(5), 1964.

    >>> herfindahl(np.array([50, 30, 20])), herfindahl(np.array([7, 0]))
    (0.38, 1.0)
    """
    amounts = np.asarray(amounts, dtype=float)
    total = amounts.sum()
    return round(float(((amounts / total) ** 2).sum()), 12) if total > 0 else np.nan


def top_share(amounts: np.ndarray, count: int) -> float:
    """Share of the whole in the `count` largest amounts; NaN without any amount.

    >>> top_share(np.array([50, 30, 20]), 2)
    0.8
    """
    amounts = np.sort(np.asarray(amounts, dtype=float))[::-1]
    total = amounts.sum()
    return float(amounts[:count].sum() / total) if total > 0 else np.nan


def tail_share(sizes: np.ndarray, counts: np.ndarray, top: float) -> float:
    """Share of the summed sizes in the largest `top` of all items; items of one size are split.

    Parameters
    ----------
    sizes, counts : size of an item and how many have it, shape (n,), any order.
    top : share of the items, 0 to 1.

    >>> tail_share(np.array([10.0, 990.0]), np.array([99, 1]), 0.01)
    0.5
    """
    sizes, counts = np.asarray(sizes, dtype=float), np.asarray(counts, dtype=float)
    order = np.argsort(-sizes, kind="stable")
    amount = (sizes * counts)[order]
    if amount.sum() <= 0:
        return np.nan
    items = np.concatenate([[0.0], np.cumsum(counts[order]) / counts.sum()])
    return float(np.interp(top, items, np.concatenate([[0.0], np.cumsum(amount) / amount.sum()])))
