"""Names of the ways to pay and policies that commit to nothing, which is another thing where no hours are rented."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.compare import ON_DEMAND as ALL_BY_THE_HOUR
from aifactory.buyplan.returns import ON_DEMAND as PEAKS_BY_THE_HOUR
from aifactory.finance.options import FLEXIBLE_OPTIONS

#: Without hours to rent, what a rule without commitments holds is bought for the expected demand alone.
AS_EXPECTED = "Fleet of the expected demand"


def hours_are_rented(plan: BuyPlan) -> bool:
    """Whether any accelerator of the plan can be had by the hour."""
    return bool(plan.options["purchase_option"].isin(FLEXIBLE_OPTIONS).any())


def told_ways(names: pd.Series, *, rented: bool) -> pd.Series:
    """Names as a reader must know them: nothing is on demand where no hours are rented.

    >>> told_ways(pd.Series(["This plan", "All on demand"]), rented=False).tolist()
    ['This plan', 'Fleet of the expected demand']
    """
    return names if rented else names.replace(dict.fromkeys((ALL_BY_THE_HOUR, PEAKS_BY_THE_HOUR), AS_EXPECTED))
