"""How the kernels of the event simulator are compiled."""

from __future__ import annotations

from numba import njit

#: Inner kernels are called from kernels only and hold no references: no wrappers, no counting.
HOW = {"_nrt": False, "error_model": "numpy"}
INNER = {**HOW, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inline, kernel = njit(forceinline=True, **INNER), njit(**INNER)
