"""Sizes of models as their names state them."""

from __future__ import annotations

import re

import numpy as np


def sizes_in(name: str) -> tuple[float, float]:
    """Total and active parameters (1e9) that a name states, NaN where it does not.

    Of so many billions and so many experts (17b-128e) the billions are those of one token: the total is not stated.

    >>> sizes_in("qwen9-80b-a3b-fp8"), sizes_in("some-70b-chat"), sizes_in("mixtral-8x7b"), sizes_in("gemma")
    ((80.0, 3.0), (70.0, 70.0), (46.0, 13.0), (nan, nan))
    >>> sizes_in("llama4-scout-17b-16e")
    (nan, nan)
    """
    number = r"(\d+(?:\.\d+)?)"
    if re.search(r"\db-\d+e(?![a-z0-9])", name):
        return np.nan, np.nan
    if found := re.search(rf"{number}b-a{number}b", name):
        return float(found.group(1)), float(found.group(2))
    if found := re.search(rf"(\d+)x{number}b", name):
        experts, each = float(found.group(1)), float(found.group(2))
        return _mixture(experts, each), _mixture(2.0, each)
    if found := re.search(rf"{number}([bt])(?![a-z0-9])", name):
        size = float(found.group(1)) * (1000.0 if found.group(2) == "t" else 1.0)
        return size, size
    return np.nan, np.nan


def _mixture(experts: float, each: float) -> float:
    """Parameters of `experts` experts of models of `each`: feed-forward layers are four fifths, attention is shared."""
    return float(round(each * (0.2 + 0.8 * experts)))
