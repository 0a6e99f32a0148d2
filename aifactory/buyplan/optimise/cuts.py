"""Cuts that were made so far: the programme holds few of them at a time, the others wait until a point breaks them."""

from __future__ import annotations

import numpy as np

#: A cut is broken where a point is below it by this share of its right-hand side.
BROKEN = 1e-9


class CutPool:
    """Rows of `row @ columns >= least`, dense, numbered as they come."""

    def __init__(self, columns: int) -> None:
        self.count, self._rows, self._least = 0, np.zeros((256, columns)), np.zeros(256)

    def add(self, row: np.ndarray, least: float) -> int:
        """Keep a cut; its number."""
        if self.count == len(self._rows):
            self._rows, self._least = np.concatenate([self._rows] * 2), np.concatenate([self._least] * 2)
        self._rows[self.count], self._least[self.count] = row, least
        self.count += 1
        return self.count - 1

    def cut(self, number: int) -> tuple[np.ndarray, float]:
        """Row and right-hand side of a cut."""
        return self._rows[number], float(self._least[number])

    def broken(self, point: np.ndarray, held: np.ndarray, most: int) -> np.ndarray:
        """Numbers of the cuts that a point breaks, worst first, `most` at most; those that the programme has (`held`) left out."""
        least = self._least[: self.count]
        short = (least - self._rows[: self.count] @ point) / np.maximum(np.abs(least), 1.0)
        short[held] = 0.0
        worst = np.argsort(-short, kind="stable")[:most]
        return worst[short[worst] > BROKEN]

    def copy(self) -> CutPool:
        """Another pool of the same cuts."""
        other = CutPool(self._rows.shape[1])
        other.count, other._rows, other._least = self.count, self._rows.copy(), self._least.copy()
        return other
