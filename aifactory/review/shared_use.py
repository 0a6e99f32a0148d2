"""The bill with usage of pools that it attributes to nobody divided among the use cases that are known to work there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pandas as pd

from aifactory.benchmark.telemetry_places import shares_of_pools
from aifactory.inputs.billing import UNATTRIBUTED
from aifactory.inputs.workspace import Workspace


def by_use(ws: Workspace, months: Sequence[str]) -> Workspace:
    """The workspace with charges of such pools in `months` divided by the hours in use, idle ones in the same proportion.

    Cost and accelerator-hours of a pool in a month are those before, to the last digit; shares are those of
    `telemetry_places.shares_of_pools` in the month, as in the chargeback. Charges of other pools stay with nobody.
    """
    bill = ws.table("billing")
    teams = ws.table("use_cases").set_index("use_case_id")["team"]
    for month in months:
        rows = bill[
            (bill["month"] == month) & (bill["cost_line"] == "unattributed usage") & (bill["team"] == UNATTRIBUTED)
        ]
        if rows["ResourceId"].dropna().empty:
            continue
        shares = shares_of_pools(replace(ws, period=month))
        divided = rows.reset_index(names="charge").merge(shares, left_on="ResourceId", right_on="pool_id")
        if divided.empty:
            continue
        part = divided["share"].astype(float)
        cost = [usd * Decimal(repr(share)) for usd, share in zip(divided["EffectiveCost"], part, strict=True)]
        divided = divided.assign(
            EffectiveCost=pd.Series(cost, divided.index, dtype="object"),
            accelerator_hours=divided["accelerator_hours"] * part,
            use_case=divided["use_case_id"],
            team=divided["use_case_id"].map(teams),
            cost_line="attributed usage",
        )
        bill = pd.concat([bill.drop(index=divided["charge"]), divided[list(bill.columns)]], ignore_index=True)
    return replace(ws, tables={**ws.tables, "billing": bill})
