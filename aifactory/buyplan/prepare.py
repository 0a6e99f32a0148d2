"""The case of a plan from the results of the stages before: streams, prices, orders placed before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, build_case, rebuilt
from aifactory.buyplan.chain_streams import size_chain_streams
from aifactory.buyplan.job_capacity import queue_capacity
from aifactory.buyplan.moves import Move
from aifactory.buyplan.staying import Staying
from aifactory.buyplan.until_ported import UntilPorted, until_ported
from aifactory.buyplan.waiting import job_seconds, with_waiting
from aifactory.demand.day_peaks import peak_sentences
from aifactory.demand.forecast import simulate_demand
from aifactory.finance.prices import KEYS, offers_of, price_table
from aifactory.fleet.node_sizes import in_other_nodes, with_sizes
from aifactory.fleet.placed import PLACE, placed_before
from aifactory.fleet.risk_reserve import Place, SizedReserve, over_average, size_stream_reserves
from aifactory.fleet.stand_in import period_shapes
from aifactory.fleet.streams import (
    NO_PLATFORM,
    Streams,
    build_streams,
    owned_accelerators,
)
from aifactory.fleet.widths import jobs_to_go_by
from aifactory.inputs.hosted import HOSTED_ONLY, RUNS_HOSTED, STAYS_HOSTED
from aifactory.inputs.plan import Plan
from aifactory.inventory.findings import LEVEL
from aifactory.inventory.hosted_today import closed_today
from aifactory.inventory.today import baseline_accelerators, known_by_region, known_platforms
from aifactory.shortlist.apart import apart_sentences
from aifactory.shortlist.money import monthly_rework_usd
from aifactory.shortlist.plan_terms import Market, bought_nodes, market_of

if TYPE_CHECKING:
    from aifactory.benchmark import Benchmark
    from aifactory.inputs.workspace import Workspace
    from aifactory.inventory import Inventory
    from aifactory.shortlist import Shortlist


@dataclass(frozen=True)
class Prepared:
    """The case of one choice of platforms, before anything is ordered."""

    case: Case | None  # None where no demand can be sized
    streams: Streams
    restream: Callable[[Plan], Streams]


@dataclass(frozen=True)
class Setting:
    """What one choice of platforms fixes, whatever of the work runs on capacity that is paid for elsewhere."""

    ws: Workspace
    inventory: Inventory
    plan: Plan  # with what waiting costs
    prices: pd.DataFrame
    market: Market
    reserves: dict[Place, SizedReserve]
    queued: dict[Place, np.ndarray]  # capacity over average that keeps the wait of jobs, [T + 1]
    porting: dict[str, float]  # USD by use case
    restream: Callable[[Plan], Streams]  # all on the platforms chosen
    until: UntilPorted  # the months until ports end
    unpriced: list[str]  # what is in no cost, in words
    staying: Staying  # what is decided for use cases that run on hosted models today

    def prepared(self, moves: Sequence[Move] = ()) -> Prepared:
        """The case with some moves to capacity that is paid for."""
        plain = self._restream(moves)
        streams = plain(self.ws.plan)
        if streams.table.empty:
            return Prepared(None, streams, plain)
        restream, prices = in_nodes_as_sold(self.market, streams, plain, self.prices)
        streams = restream(self.ws.plan)
        case = build_case(
            self.plan,
            streams,
            prices,
            owned=owned_accelerators(self.inventory.pools, self.ws.plan, streams),
            porting=_with_ports(self.porting, moves),
            rework=self._rework(streams),
            book=self.ws.table("commitments"),
            runs_on=known_platforms(self.ws),
        )
        return Prepared(case, streams, restream)

    def in_best_nodes(self, case: Case) -> Case:
        """A case of other demand in the nodes that serve it at least cost, with their offers."""
        build, prices = in_nodes_as_sold(self.market, case.streams, lambda _: case.streams, self.prices)
        return rebuilt(replace(case, prices=prices), case.plan, build(case.plan))

    def _rework(self, streams: Streams) -> dict[str, float]:
        """USD a month, at the pay of today, that changes of each use case cost on its platform (`monthly_rework_usd`)."""
        classes = self.ws.table("accelerators").set_index("accelerator_id")["platform_class"]
        homes = streams.table[streams.main].drop_duplicates("use_case_id").set_index("use_case_id")["accelerator_id"]
        return monthly_rework_usd(self.ws, homes.map(classes)).to_dict()

    def caveats(self, moves: Sequence[Move]) -> list[str]:
        """Levels in doubt, what is in no cost, and what one size of node for each pool costs."""
        levels = [item.text for item in self.inventory.gaps if item.kind == LEVEL]
        peaks = peak_sentences(self.inventory.demand_basis.day_peaks)
        return [*levels, *peaks, *self.unpriced, *apart_sentences(self.market, self._restream(moves)(self.ws.plan))]

    def other_nodes(self, moves: Sequence[Move], sized: Streams) -> pd.DataFrame:
        """Offers that the pools of the plan, `sized`, cannot take, see `in_other_nodes`."""
        sizes = sized.pools["accelerators_per_node"].to_numpy()
        return in_other_nodes(self.market.prices, self._restream(moves)(self.ws.plan), sizes)

    def _restream(self, moves: Sequence[Move]) -> Callable[[Plan], Streams]:
        guests, accelerators = [guest for move in moves for guest in move.guests], self.ws.table("accelerators")
        return lambda plan: self.until.applied(self.restream(plan), guests, accelerators, plan)


def setting_of(
    ws: Workspace, inventory: Inventory, benchmark: Benchmark, shortlist: Shortlist, staying: Staying | None = None
) -> Setting:
    """Prices, reserves and streams of the platforms that the shortlist chose, for all use cases but those `staying` on hosted models."""
    staying = staying or Staying()
    chosen = shortlist.choice[~shortlist.choice["use_case_id"].isin(staying.names)]
    shortlist = replace(shortlist, choice=chosen)
    offers = offers_of(ws)
    prices = price_table(offers, ws.plan, ws.as_of)
    reserves = size_stream_reserves(ws, inventory, shortlist.choice, prices)
    by_hours = over_average(reserves)
    reserves |= size_chain_streams(ws, inventory, shortlist.choice, prices, by_hours)
    queued = queue_capacity(ws, inventory)
    units = inventory.demand_profile.groupby("use_case_id")["units_month"].sum()
    waits = job_seconds(ws.month("jobs"), units)
    plan, unpriced = with_waiting(ws.plan, ws.month("latency_histograms"), ws.month("demand_windows"), waits)
    porting = porting_costs(shortlist.penalties, shortlist.choice)
    restream = stream_builder(ws, inventory, benchmark, shortlist, over_average(reserves) | queued, stays=staying.names)
    return Setting(
        ws=ws,
        inventory=inventory,
        plan=plan,
        prices=prices,
        market=market_of(ws, inventory, baseline_accelerators(ws, benchmark.capacity), benchmark.capacity),
        reserves=reserves,
        queued=queued,
        porting=_added(porting, staying.migration_usd),
        restream=restream,
        until=_until_ported(ws, inventory, benchmark, restream(ws.plan), (porting, staying.leaving), prices),
        unpriced=unpriced,
        staying=staying,
    )


def _until_ported(
    ws: Workspace,
    inventory: Inventory,
    benchmark: Benchmark,
    streams: Streams,
    moving: tuple[Mapping[str, float], Mapping[str, str]],
    prices: pd.DataFrame,
) -> UntilPorted:
    def standing(some: Streams) -> dict[tuple[str, str], np.ndarray]:
        owned = owned_accelerators(inventory.pools, ws.plan, some)
        there = placed_before(ws.table("commitments"), owned, some.pools, some.months, ws.plan).accelerators
        return dict(zip(some.pools[PLACE].itertuples(index=False, name=None), there.T, strict=True))

    hourly = prices[prices["purchase_option"] == "on_demand"]
    return until_ported(
        streams,
        porting=moving[0],
        leaving=moving[1],
        today=known_by_region(ws),
        capacity=benchmark.capacity,
        accelerators=ws.table("accelerators"),
        rented=set(hourly[PLACE].itertuples(index=False, name=None)),
        standing=standing,
        plan=ws.plan,
    )


def stream_builder(
    ws: Workspace,
    inventory: Inventory,
    benchmark: Benchmark,
    shortlist: Shortlist,
    capacity_over_average: Mapping[tuple[str, str], float | np.ndarray] | None = None,
    *,
    stays: Collection[str] = (),
) -> Callable[[Plan], Streams]:
    """Return the function that makes the streams of any plan from the results of the stages before."""
    profile, use_cases, monthly = inventory.demand_profile, ws.table("use_cases"), inventory.demand_monthly
    fixed = {
        "demand_profile": profile,
        "tokens": monthly[monthly["month"] == ws.period],
        "use_cases": use_cases,
        "accelerators": ws.table("accelerators"),
        "choice": shortlist.choice,
        "capacity": benchmark.capacity,
        "shapes": period_shapes(ws, profile),
        "capacity_over_average": capacity_over_average,
        "jobs": jobs_to_go_by(ws, profile),
    }

    away = dict.fromkeys(inventory.hosted_today["use_case_id"], RUNS_HOSTED) | dict.fromkeys(
        closed_today(ws), HOSTED_ONLY
    )
    away |= dict.fromkeys(stays, STAYS_HOSTED)
    # of the assumptions that are varied, growth_damping alone moves demand
    forecasts = {ws.plan.assumptions["growth_damping"]: inventory.forecast}

    def build(plan: Plan) -> Streams:
        damping = plan.assumptions["growth_damping"]
        if damping not in forecasts:
            forecasts[damping] = simulate_demand(inventory.demand_basis, plan, ws.period).frame
        found = build_streams(plan, ws.period, forecast=forecasts[damping], **fixed)
        return with_hosted(found, away, inventory.hosted_today)

    return build


def in_nodes_as_sold(
    market: Market, streams: Streams, restream: Callable[[Plan], Streams], prices: pd.DataFrame
) -> tuple[Callable[[Plan], Streams], pd.DataFrame]:
    """`restream` with the instances or servers that serve every pool at least cost, and `prices` with their offers.

    Accelerators and regions that serve nothing keep their prices and the node of the catalogue.
    """
    sized, sold = bought_nodes(market, streams)
    sizes = sized.pools.set_index(PLACE)["accelerators_per_node"]

    def build(plan: Plan) -> Streams:
        found = restream(plan)
        return with_sizes(found, sizes.loc[pd.MultiIndex.from_frame(found.pools[PLACE])].to_numpy())

    served = pd.MultiIndex.from_frame(prices[PLACE]).isin(sizes.index)
    both = pd.concat([prices[~served], sold.reindex(columns=prices.columns)], ignore_index=True)
    return build, both.sort_values(KEYS, kind="stable", ignore_index=True)


def with_hosted(streams: Streams, away: Mapping[str, str], today: pd.DataFrame | None = None) -> Streams:
    """The streams, where demand without a platform is told apart: use cases that run on hosted models, `away`, by their reason.

    `today`: `hosted_today`; where it knows them, what a unit costs there becomes the column hosted_usd_per_unit, USD, and the announced
    end of the model hosted_retires.
    """
    left = streams.not_sized
    pairs = zip(left["use_case_id"], left["reason"], strict=True)
    told = [away.get(name, reason) if reason == NO_PLATFORM else reason for name, reason in pairs]
    about = pd.DataFrame(columns=["use_case_id", "usd_per_unit", "retires"]) if today is None else today
    known = about.set_index("use_case_id")[["usd_per_unit", "retires"]]
    known = known[known.index.isin(list(away))].reindex(left["use_case_id"]).set_axis(left.index)
    reasons = pd.Series(told, left.index, dtype=left["reason"].dtype)
    found = left.assign(reason=reasons, hosted_usd_per_unit=known["usd_per_unit"].astype("float64"))
    return replace(streams, not_sized=found.assign(hosted_retires=known["retires"]))


def porting_costs(penalties: pd.DataFrame, choice: pd.DataFrame) -> dict[str, float]:
    """Cost of moving each use case to its chosen accelerator, USD."""
    chosen = choice[["use_case_id", "accelerator_id"]].merge(penalties, on=["use_case_id", "accelerator_id"])
    return chosen.set_index("use_case_id")["porting_usd"].fillna(0.0).to_dict()


def _with_ports(porting: Mapping[str, float], moves: Sequence[Move]) -> dict[str, float]:
    return _added(porting, *(move.porting_usd for move in moves))


def _added(*costs: Mapping[str, float]) -> dict[str, float]:
    """Sum of costs by use case, USD."""
    total: dict[str, float] = {}
    for cost in costs:
        for name, usd in cost.items():
            total[name] = total.get(name, 0.0) + usd
    return total
