"""What stress tests work on: the report's orders, the planning problem, and facts on its pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, case_terms
from aifactory.buyplan.futures import FuturesBasis, at_todays_prices, block_demand
from aifactory.buyplan.optimise.problem import Option, Problem
from aifactory.buyplan.own_sites import counted
from aifactory.finance.options import COMMITTED_OPTIONS


@dataclass(frozen=True)
class StressBasis:
    """The plan of the report and the world it was made for.

    Attributes
    ----------
    problem : orders in every month, prices of today.
    nodes : [N] the report's orders.
    pools : one row per platform of the problem: region, accelerator_id, vendor, in_data_centre (whether it takes of the power
        of the own sites), and what replaces it:
        fallback_accelerator_id, fallback_usd_per_hour (infinite: nothing does; beside the people and storage of an hour here), porting_usd;
        the same with the prefix `vendor_` of what other vendors make.
    generates : [W] whether a stream generates tokens, bound by memory and its bandwidth rather than by compute.
    months : labels of the months of the problem.
    wanted : [S, T, W] average accelerators at work, before whole nodes; None where demand has no nodes to round to.
    leased_running_usd : [P] of the monthly payments for a leased accelerator what is no rent: power, space, support; empty: nothing.
    in_nodes : accelerators of whole nodes by block, as `problem.demand`, for averages such as `wanted` and, on demand, the
        streams that wait, `waits` [W].
    """

    problem: Problem
    nodes: np.ndarray
    pools: pd.DataFrame
    generates: np.ndarray
    months: tuple[str, ...]
    wanted: np.ndarray | None = None
    in_nodes: Callable[..., np.ndarray] | None = None
    leased_running_usd: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def rent_of(self, option: Option) -> float:
        """What the supplier is paid of the monthly payments of an option."""
        leased = option.on_site and not option.resale_per_year and np.size(self.leased_running_usd)
        return option.monthly_usd - (float(self.leased_running_usd[option.platform]) if leased else 0.0)

    def demand_times(self, ratio: np.ndarray) -> np.ndarray:
        """Demand of the problem where work changes by a ratio [T, W]: nodes are rounded anew, never multiplied."""
        if self.wanted is None or self.in_nodes is None:
            return self.problem.demand * ratio[None, :, :, None]
        return self.in_nodes(self.wanted * ratio)


def stress_basis(
    case: Case,
    futures: FuturesBasis | None,
    *,
    capacity: pd.DataFrame,
    exclusions: pd.DataFrame,
    accelerators: pd.DataFrame,
    wanted: np.ndarray | None = None,
) -> StressBasis | None:
    """The basis of a case; None where nothing can be committed to.

    Parameters
    ----------
    capacity : units per second of an accelerator by use case, as the benchmark stage gives it.
    exclusions : cells that the shortlist rules out; nothing falls back on them.
    accelerators : the catalogue, for vendors and classes.
    wanted : average accelerators at work that the demand of `futures` was rounded from, as `stream_paths` gives them.
    """
    if futures is None:
        return None
    table, about = case.streams.table, accelerators.set_index("accelerator_id")
    pools = case.streams.pools[["region", "accelerator_id"]].reset_index(drop=True)
    pools["vendor"] = pools["accelerator_id"].map(about["vendor"]).fillna(pools["accelerator_id"])
    pools["in_data_centre"] = counted(case.streams.pools)
    problem = at_todays_prices(futures.monthly)
    each = pd.Series(about.index, index=about.index)
    others = [_fallbacks(case, problem, capacity, exclusions, about, of) for of in (each, about["vendor"].fillna(each))]
    return StressBasis(
        problem=problem,
        nodes=futures.nodes,
        pools=pools.join(others[0]).join(others[1].add_prefix("vendor_")),
        generates=(table["output_tokens_per_unit"] > 0).to_numpy(),
        months=tuple(case.streams.months[1:]),
        wanted=wanted,
        in_nodes=partial(block_demand, case),
        leased_running_usd=_leased_running_usd(case),
    )


def _leased_running_usd(case: Case) -> np.ndarray:
    """[P] USD a month for power, space and support of a leased accelerator, as in the options of the problem."""
    running, slots = case_terms(case).running_usd_month()[COMMITTED_OPTIONS.index("lease")], case.slots
    first = [np.flatnonzero(slots.pool == pool)[:1] for pool in range(case.pools)]
    return np.array([float((running[at] / slots.size[at]).sum()) for at in first])


def _fallbacks(
    case: Case,
    problem: Problem,
    capacity: pd.DataFrame,
    exclusions: pd.DataFrame,
    about: pd.DataFrame,
    exits: pd.Series,
) -> pd.DataFrame:
    """By pool: the accelerator that most of its work would rent instead, USD per hour it replaces, porting in USD.

    What `exits` (by accelerator) shares with that of the pool goes with it and replaces nothing.
    People and storage go with every hour rented there; those of one hour here, which the problem adds, are taken off.
    """
    table, plan = case.streams.table, case.plan
    ruled_out = set(zip(exclusions["use_case_id"], exclusions["accelerator_id"], strict=True))
    cells = capacity[capacity["units_per_s_per_accelerator"] > 0]
    pairs = zip(cells["use_case_id"], cells["accelerator_id"], strict=True)
    cells = cells[np.array([pair not in ruled_out for pair in pairs], dtype=bool)]
    rate = cells.set_index(["use_case_id", "accelerator_id"])["units_per_s_per_accelerator"]
    rented = case.prices[case.prices["purchase_option"] == "on_demand"]
    price = rented.set_index(["accelerator_id", "region"])["usd_per_accelerator_hour"]
    rows = []
    around = problem.around_usd[case.streams.pool]
    for at, stream in enumerate(table.itertuples()):
        own = {
            name: (price.get((name, stream.region), np.nan) + around[at])
            * stream.units_per_s_per_accelerator
            / rate[stream.use_case_id, name]
            for case_id, name in rate.index
            if case_id == stream.use_case_id
            and exits.get(name, name) != exits.get(stream.accelerator_id, stream.accelerator_id)
        }
        own = {name: usd for name, usd in own.items() if np.isfinite(usd)}
        name = min(own, key=own.get) if own else ""
        effort = plan.porting_person_months.get(about["platform_class"].get(name, ""), 0.0) if name else 0.0
        rows.append((name, own.get(name, np.inf), effort * plan.value("engineer_usd_per_month")))
    found = pd.DataFrame(rows, columns=["name", "usd", "porting_usd"])
    work = problem.demand.mean(axis=(0, 1, 3))
    again = table.duplicated(["use_case_id", "accelerator_id"]).to_numpy()
    first = found.assign(porting_usd=found["porting_usd"].mask(again, 0.0))  # a use case is ported once for all regions
    # Work that nothing replaces is missed; the price of the pool is a mean over its work.
    hourly = np.minimum(found["usd"].to_numpy(), problem.miss_usd)
    result = []
    for pool in range(problem.platforms):
        mine = np.flatnonzero(case.streams.pool == pool)
        weight = work[mine] if work[mine].sum() > 0 else np.ones(len(mine))
        named = found["name"].iloc[mine]
        usd = np.average(hourly[mine], weights=weight) - problem.around_usd[pool] if (named != "").any() else np.inf
        result.append((named.iloc[int(weight.argmax())], max(usd, 0.0), first["porting_usd"].to_numpy()[mine].sum()))
    return pd.DataFrame(result, columns=["fallback_accelerator_id", "fallback_usd_per_hour", "porting_usd"])
