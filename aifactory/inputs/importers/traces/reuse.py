"""Prefix reuse of a trace whose prompts are named by the hashes of their blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def leading_hits(blocks: Iterable[Sequence[int]]) -> np.ndarray:
    """Blocks at the start of each prompt that an earlier prompt held already.

    An upper bound of what a server can reuse: every block that was ever seen is still there. The trace
    does not say how much memory the server had or what it evicted.

    Parameters
    ----------
    blocks : hashes of the blocks of each prompt, in order of arrival; equal hash, equal prefix.

    Returns
    -------
    int64 array of shape (prompts,), 0 to the number of blocks of the prompt.

    >>> leading_hits([[1, 2], [1, 2, 3], [9, 2], [1, 4]]).tolist()
    [0, 2, 0, 1]
    """
    seen: set[int] = set()
    hits = []
    for ids in blocks:
        hits.append(next((number for number, block in enumerate(ids) if block not in seen), len(ids)))
        seen.update(ids)
    return np.array(hits, dtype="int64")
