"""Risk of loss: value at risk, conditional value at risk, probability of loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from aifactory.finance.cashflow import finite_flows
from aifactory.finance.information import probabilities


def var_cvar(losses: ArrayLike, alpha: float, probs: ArrayLike | None = None) -> tuple[float, float]:
    """Value at risk and the mean of the losses beyond it, for draws or for losses with chances.

    VaR is the smallest loss whose cumulative chance reaches alpha; CVaR = VaR + E[(L - VaR)+] / (1 - alpha)
    (Rockafellar and Uryasev), exact also where the alpha lies inside an atom.

    >>> var_cvar(range(1, 101), 0.95)
    (95.0, 98.0)
    """
    values = finite_flows(losses)
    if values.size == 0 or not 0 <= alpha < 1:
        msg = f"losses and a level in [0, 1) are needed, got {values.size} losses and {alpha}"
        raise ValueError(msg)
    chance = np.full(values.size, 1.0 / values.size) if probs is None else probabilities(probs)
    if chance.size != values.size:
        msg = f"as many chances as losses are needed, got {chance.size} and {values.size}"
        raise ValueError(msg)
    order = np.argsort(values, kind="stable")
    reached = np.flatnonzero(np.cumsum(chance[order]) >= alpha - 1e-12)
    level = float(values[order][reached[0]])
    beyond = float((chance * np.maximum(values - level, 0.0)).sum())
    return level, level + beyond / (1.0 - alpha)
