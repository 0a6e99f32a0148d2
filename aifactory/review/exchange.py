"""What exchange rates alone do to a bill: the charges of a month at its own rates, less the same charges at those of the month before."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.converted import CONVERTED_FROM
from aifactory.inputs.exchange_rates import rate_of
from aifactory.inputs.workspace import Workspace
from aifactory.review.monthly import previous_month

COLUMNS = ["currency", "usd_before", "usd_now", "effect_usd"]


def exchange_effects(ws: Workspace) -> pd.DataFrame:
    """By currency of the month's bill whose rate moved: USD for one of it last month and now, and what that changes of the bill.

    effect = charges in USD x (1 - rate before / rate now); for a rate that rose above 0. It is inside the cause `price` of the variances.
    """
    bill, rows = ws.table("billing"), []
    if CONVERTED_FROM not in bill:
        return pd.DataFrame(columns=COLUMNS)
    mine = bill[(bill["invoice_month"] == ws.period) & bill[CONVERTED_FROM].notna()]
    for currency, charges in mine.groupby(CONVERTED_FROM):
        before, now = (
            rate_of(ws.plan.exchange_rates, currency, month) for month in (previous_month(ws.period), ws.period)
        )
        if before is not None and now is not None and before.usd != now.usd:
            usd = float(charges["EffectiveCost"].astype("float64").sum())
            rows.append((currency, float(before.usd), float(now.usd), usd * (1.0 - float(before.usd / now.usd))))
    return pd.DataFrame(rows, columns=COLUMNS)
