"""Money as text, added exactly: millions of amounts in one pass, digit by digit."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.inputs.columns import as_decimals
from aifactory.inputs.money import EXACT, ZERO, sum_groups

if TYPE_CHECKING:
    import pyarrow as pa

#: Digits before the point, with a sign, and rows (1e10 of them) that a sum has room for.
WHOLE_DIGITS, ROW_DIGITS = 16, 10
#: Digits that Arrow's two decimal types hold.
NARROW, WIDE = 38, 76


class Amounts:
    """A column of amounts given as text that is known to be numbers; missing ones are left out of sums.

    >>> Amounts(pd.Series(["0.10", "0.2", None], dtype="str")).total()
    Decimal('0.30')
    """

    def __init__(self, texts: pd.Series) -> None:
        import pyarrow as pa

        self._texts = texts
        self._decimals, self._places = _arrow_decimals(pa.array(texts, type=pa.large_string())) or (None, None)

    @cached_property
    def known(self) -> int:
        """Number of amounts that are given."""
        return (
            int(self._texts.notna().sum())
            if self._decimals is None
            else self._decimals.length() - self._decimals.null_count
        )

    def sums(self, group: np.ndarray, count: int) -> list[Decimal]:
        """Exact sums of the groups 0 to `count` - 1, with the places of the amount that has most of them."""
        if self._decimals is None:
            amounts = as_decimals({"": self._texts})[""]
            given = amounts.notna().to_numpy()
            return sum_groups(group[given].tolist(), amounts[given].tolist(), count)
        import pyarrow as pa

        table = pa.table({"group": pa.array(group), "amount": self._decimals, "places": self._places})
        found = table.group_by("group", use_threads=False).aggregate([("amount", "sum"), ("places", "max")])
        totals = [ZERO] * count
        for number, total, places in zip(
            *(found[name].to_pylist() for name in ("group", "amount_sum", "places_max")), strict=True
        ):
            if total is not None:
                totals[number] = total.quantize(Decimal(1).scaleb(-places), context=EXACT)
        return totals

    def total(self) -> Decimal:
        """Exact sum; 0 without an amount."""
        return self.sums(np.zeros(len(self._texts), "int8"), 1)[0]

    def first_beyond(self, limit: Decimal) -> int | None:
        """Position of the first amount whose size is `limit` (1 to 10^16) or more; None without one."""
        if self._decimals is not None:
            import pyarrow.compute as pc

            span = pc.min_max(self._decimals).as_py()
            if not self.known or max(span["max"], -span["min"]) < limit:
                return None
        sizes = as_decimals({"": self._texts})[""].dropna().map(abs)
        beyond = np.flatnonzero(sizes >= limit)
        return int(self._texts.index.get_loc(sizes.index[beyond[0]])) if len(beyond) else None


def _arrow_decimals(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray] | None:
    """Amounts as Arrow decimals and the decimal places of each; None if they are not plain or have no room there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = texts if isinstance(texts, pa.ChunkedArray) else pa.chunked_array([texts])
    if pc.any(pc.match_substring_regex(texts, "[eE \t]")).as_py():
        return None
    point, length = pc.find_substring(texts, "."), pc.cast(pc.binary_length(texts), pa.int32())
    whole = pc.if_else(pc.less(point, 0), length, point)
    places = pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(length, point), 1))
    most, before = (pc.max(part).as_py() or 0 for part in (places, whole))
    needed = WHOLE_DIGITS + ROW_DIGITS + most
    if before > WHOLE_DIGITS or needed > WIDE:
        return None
    kind = pa.decimal128(NARROW, most) if needed <= NARROW else pa.decimal256(WIDE, most)
    return pc.cast(texts, kind), places
