"""Whole-number searches of a solver that prints lines of its own, which would stand in a report.

HiGHS 1.12 to 1.16 writes `transformNewIntegerFeasibleSolution tmpSolver.run();` to the standard output of the process when it
repairs a solution, whatever its options say. Output of the process goes nowhere while such a search runs.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from scipy import optimize

STDOUT = 1
_LOCK = threading.Lock()
_OPEN: list[int] = []  # the descriptor to put back, then one entry for every further search at the same time


@contextmanager
def silent_library() -> Iterator[None]:
    """Nothing that compiled code prints to standard output comes through; searches in several threads may overlap."""
    _begin()
    try:
        yield
    finally:
        _end()


def milp(*facts: object, **options: object) -> optimize.OptimizeResult:
    """`scipy.optimize.milp` in silence."""
    with silent_library():
        return optimize.milp(*facts, **options)


def _begin() -> None:
    with _LOCK:
        if _OPEN:
            _OPEN.append(-1)
            return
        _flush()
        try:
            kept = os.dup(STDOUT)
        except OSError:  # a process without standard output
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDOUT)
        os.close(nowhere)
        _OPEN.append(kept)


def _end() -> None:
    with _LOCK:
        if len(_OPEN) == 1:
            _flush()
            os.dup2(_OPEN[0], STDOUT)
            os.close(_OPEN[0])
        del _OPEN[-1:]


def _flush() -> None:
    """Send on what Python and the C library hold back for standard output."""
    if sys.stdout is not None:
        sys.stdout.flush()
    library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
    library.fflush(None)
