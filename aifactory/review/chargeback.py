"""What each team is charged: its own usage and its part of what nobody claims, to the last digit."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pandas as pd

from aifactory.errors import IdentityError
from aifactory.inputs.billing import UNATTRIBUTED
from aifactory.inputs.money import ZERO, exact_total, sum_exact

CENT_MILLIONTH = Decimal("0.000001")


def charge_teams(billing: pd.DataFrame) -> pd.DataFrame:
    """Charge every team its attributed usage and a proportional part of the rest of the bill.

    The rest is idle commitment, unattributed usage, corrections, tax and credits. Parts are
    rounded to a millionth and the largest team takes the rounding rest, so the charges add up to
    the bill exactly.

    Returns
    -------
    Columns team, direct_cost, shared_cost, charge (Decimal), share (fraction of the bill), accelerator_hours and
    the rate, usd_per_accelerator_hour: charge over the team's accelerator-hours, unknown without any.
    """
    total = exact_total(billing["EffectiveCost"])
    own = billing[(billing["cost_line"] == "attributed usage") & (billing["team"] != UNATTRIBUTED)]
    columns = ["team", "direct_cost", "shared_cost", "charge", "share", "accelerator_hours", "usd_per_accelerator_hour"]
    if own.empty:
        return pd.DataFrame(columns=columns)
    direct = sum_exact(own, "team", ["EffectiveCost"]).rename(columns={"EffectiveCost": "direct_cost"})
    base = exact_total(direct["direct_cost"])
    rest = total - base
    # free or refunded usage gives no proportion: then the rest is shared evenly
    weights = list(direct["direct_cost"]) if base > 0 else [Decimal(1)] * len(direct)
    total_weight = sum(weights, ZERO)
    shared = [(rest * weight / total_weight).quantize(CENT_MILLIONTH, ROUND_HALF_EVEN) for weight in weights]
    shared[0] += rest - sum(shared, ZERO)
    table = direct.assign(shared_cost=shared)
    table["charge"] = table["direct_cost"] + table["shared_cost"]
    if exact_total(table["charge"]) != total:
        msg = f"charges add up to {exact_total(table['charge'])}, the bill to {total}"
        raise IdentityError(msg)
    counted = own.reindex(columns=["team", "accelerator_hours"])  # a bill without accelerators counts none
    hours = counted.groupby("team")["accelerator_hours"].sum(min_count=1).reindex(table["team"]).to_numpy(dtype=float)
    charge = table["charge"].astype("float64").to_numpy()
    rate = np.divide(charge, hours, out=np.full(len(hours), np.nan), where=hours > 0)
    share = [float(amount / total) if total else float("nan") for amount in table["charge"]]
    return table.assign(share=share, accelerator_hours=hours, usd_per_accelerator_hour=rate)[columns]
