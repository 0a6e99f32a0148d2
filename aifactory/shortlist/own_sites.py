"""Whether the own site of a region has room for one node of a platform, beside what stands there."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.options import connected_kw, in_field
from aifactory.fleet.nodes import TOLERANCE
from aifactory.fleet.placed import PLACE, placed_before
from aifactory.inputs.plan import Plan


def has_room(
    pools: pd.DataFrame,
    plan: Plan,
    accelerators: pd.DataFrame,
    stands: tuple[pd.DataFrame, dict[tuple[str, str], float], tuple[str, ...]],
) -> np.ndarray:
    """[P] whether a node can stand on the site in the last month, when what is on order has come and what ends has gone: by power and by space, where a limit is stated.

    Parameters
    ----------
    pools : region, accelerator_id, accelerators_per_node, tdp_w, platform_class. Devices of the edge stand where the work arises
        and take nothing of a site.
    stands : order book (rows of the `commitments` contract), accelerators measured as owned by region and accelerator, months.
    """
    if all(item.power_limit_kw is None and item.space_limit_servers is None for item in plan.regions):
        return np.ones(len(pools), dtype=bool)
    book, owned, months = stands
    taken = _taken(book, owned, months, plan, accelerators)
    kw = (pools["accelerators_per_node"] * connected_kw(pools["tdp_w"].fillna(0.0), plan)).to_numpy()
    room = np.ones(len(pools), dtype=bool)
    for item in plan.regions:
        here = (pools["region"] == item.region).to_numpy()
        power, space = taken.get(item.region, (0.0, 0.0))
        if item.power_limit_kw is not None:
            room &= ~here | (power + kw <= item.power_limit_kw + TOLERANCE)
        if item.space_limit_servers is not None:
            room &= ~here | (space + 1 <= item.space_limit_servers + TOLERANCE)
    return room | in_field(pools["platform_class"])


def _taken(
    book: pd.DataFrame,
    owned: dict[tuple[str, str], float],
    months: tuple[str, ...],
    plan: Plan,
    accelerators: pd.DataFrame,
) -> dict[str, tuple[float, float]]:
    """KW and servers that stand on the own site of each region in the last month; cards that are sold one by one may share servers and count as none."""
    places = pd.DataFrame([*book[PLACE].itertuples(index=False, name=None), *owned], columns=PLACE).drop_duplicates(
        ignore_index=True
    )
    about = accelerators.set_index("accelerator_id")[["accelerators_per_node", "tdp_w", "platform_class"]]
    places = places.join(about, on="accelerator_id")
    stand = placed_before(book, owned, places, months, plan).on_site[1:]
    counted = ~in_field(places["platform_class"])
    kw = np.where(counted, connected_kw(places["tdp_w"].fillna(0.0), plan), 0.0)
    size = places["accelerators_per_node"].fillna(1).to_numpy()
    servers = np.ceil(stand / size - TOLERANCE) * (counted & (size > 1))
    found = {}
    for region, rows in places.groupby("region").indices.items():
        found[region] = float((stand * kw)[-1, rows].sum()), float(servers[-1, rows].sum())
    return found
