"""Work of regions that the charges of a use case do not name: cost and units of it cannot be held against each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.inputs.billing import accelerator_charges, plan_regions
from aifactory.inputs.plan import Region
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.hosted_today import hosted_usage
from aifactory.inventory.spend import USAGE, charged_rows

PLACE = ["use_case_id", "region"]


def working_charges(bill: pd.DataFrame) -> pd.DataFrame:
    """Usage of accelerators and of hosted models: what serves units, without storage and network beside it."""
    own = bill[accelerator_charges(bill) & bill["cost_line"].isin(USAGE)]
    return pd.concat([own, hosted_usage(bill).drop(columns="usd")])


def uncharged(ws: Workspace, monthly: pd.DataFrame, months: Sequence[str]) -> pd.MultiIndex:
    """Use cases and regions that served units in one of the months of which no working charge of the use case names the region.

    A use case is charged region by region only where its charges name regions of the plan, see `spend.charged_rows`.
    """
    bill, found = working_charges(ws.table("billing")), []
    for month in months:
        rows = monthly[(monthly["month"] == month) & (monthly["units"] > 0)]
        found.append(rows[~charged_rows(bill[bill["month"] == month], rows, ws.plan.regions)])
    places = pd.concat(found)[PLACE].astype("str").drop_duplicates().sort_values(PLACE)
    return pd.MultiIndex.from_frame(places)


def stand_apart(charges: pd.DataFrame, regions: Sequence[Region], places: pd.MultiIndex) -> pd.Series:
    """Whose cost each charge is, where it is left out with the units of `places`: "use case in region"; NaN for all others.

    Where a charge of such a use case names no region, nobody can tell its cost apart: then all of its charges stand apart,
    under the name of the use case.
    """
    case, region = charges["use_case"].astype("str"), plan_regions(charges, regions)
    pairs = pd.MultiIndex.from_arrays([case, region])
    mixed = case.isin(set(case[region == ""]) & set(places.get_level_values(0)))
    names = np.where(mixed, case, place_names(pairs))
    return pd.Series(names, charges.index, dtype="object").where(mixed | pairs.isin(places))


def place_names(places: pd.MultiIndex) -> list[str]:
    """Names of use cases and regions.

    >>> place_names(pd.MultiIndex.from_tuples([("chat", "eu")]))
    ['chat in eu']
    """
    return [f"{case} in {region}" for case, region in places]


def uncharged_note(places: pd.MultiIndex, left_out: pd.MultiIndex) -> list[str]:
    """Say which units no unit cost counts (`places`), and whether the variance does: not those that it has `left_out`."""
    ways = {
        "has it under other causes": places.isin(left_out),
        "counts its part of pools without a team": ~places.isin(left_out),
    }
    return [
        f"cost of {', '.join(place_names(places[which]))}: accelerators and hosted models of the use case are charged in other "
        f"regions alone, so that its unit cost leaves this work out, and the variance {way}"
        for way, which in ways.items()
        if which.any()
    ]
