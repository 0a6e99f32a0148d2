"""What a plan holds for accelerators that the bill of a month charges to use cases."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.hosted import HOSTED
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.review.monthly import month_factors, plan_month
from aifactory.review.plan_use import hosted_alone
from aifactory.review.uncharged import uncharged


def planned_in_bill(ws: Workspace, inventory: Inventory, approved: pd.DataFrame) -> pd.DataFrame:
    """The plan of the month beside the accelerator-hours that use cases are charged, by use case in the columns of `plan_month`.

    It counts what is planned for a use case that is charged in the region, wherever it runs there. A pool may be charged to one
    of those that share it: what is planned there for another one counts too, unless that still runs on hosted models alone. Edge devices,
    which are in no bill, do not count.
    """
    rows = approved[approved["month"] == ws.period]
    now, hours = month_factors(ws, inventory, ws.period)
    charged = now.index[now["hours"].notna()]
    nowhere = uncharged(ws, inventory.demand_monthly, [ws.period])
    own = rows["use_case_id"].isin(charged) & ~_pairs(rows, nowhere.names).isin(nowhere)
    pools = hours.index[hours.index.get_level_values("use_case_id").isin(charged)].droplevel("use_case_id")
    shared = _pairs(rows, pools.names).isin(pools) | _pairs(rows.assign(region=""), pools.names).isin(pools)
    shared &= ~rows["use_case_id"].isin(list(hosted_alone(ws))) & (rows["accelerator_id"] != HOSTED)
    return plan_month(rows[own | shared], ws.period)


def _pairs(rows: pd.DataFrame, names: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(rows[list(names)].astype("str"))
