"""`build_buy_plan`: from demand, capacity and choice to orders, cost and return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.buyplan.attribution import unit_cost_frame, unit_summary_frame
from aifactory.buyplan.backtest_history import HistoryBasis, history_basis
from aifactory.buyplan.bands import bands_frame, fleet_frame, orders_frame, pools_frame
from aifactory.buyplan.booking import leases_frame, tax_regimes_frame
from aifactory.buyplan.case import Answer, Case, Solution, justified, solve_expected
from aifactory.buyplan.caveats import (
    before_signing,
    example_sentences,
    lifecycle_sentences,
    surplus_sentences,
    warnings_list,
    with_open_decisions,
)
from aifactory.buyplan.choose import Chosen, broken_first, choose_orders, quick_orders
from aifactory.buyplan.compare import Resolve, api_frame, comparisons_frame
from aifactory.buyplan.dimensions import cost_by_frame
from aifactory.buyplan.duties import governance_frame, hosted_cases, not_waiting
from aifactory.buyplan.examine import ExamineBasis
from aifactory.buyplan.excluded import Cells
from aifactory.buyplan.futures import FuturesBasis, futures_basis, problem_of, stream_paths
from aifactory.buyplan.gangs import gang_sentences
from aifactory.buyplan.governance import covered_sentence, decision_sentence, hosted_first, signed_now
from aifactory.buyplan.hosted import Hosted, hosted_option, in_order
from aifactory.buyplan.hourly import leaving_sentences, rented_sentences
from aifactory.buyplan.job_capacity import JOB_QUEUE
from aifactory.buyplan.keep import earlier_steps
from aifactory.buyplan.launches import demand_paths, launching_in, put_off
from aifactory.buyplan.left_alone import Shortlisted
from aifactory.buyplan.models_held import room_sentences
from aifactory.buyplan.monthly_budget import in_vain, told_alone
from aifactory.buyplan.moves_told import moves_frame
from aifactory.buyplan.no_platform import no_platform_sentences
from aifactory.buyplan.options_table import break_even_frame, options_frame
from aifactory.buyplan.order_months import first_months
from aifactory.buyplan.platforms import on_platforms
from aifactory.buyplan.ports import platform_classes
from aifactory.buyplan.prepare import Prepared, Setting, setting_of
from aifactory.buyplan.reasons import with_reasons
from aifactory.buyplan.reserve_curve import in_places, with_reserves
from aifactory.buyplan.returns import ReturnsBasis, returns_basis
from aifactory.buyplan.run_cost import with_runs
from aifactory.buyplan.scenario_orders import solve_over_paths
from aifactory.buyplan.sizes import sizes_frame
from aifactory.buyplan.statements import (
    approved_plan_frame,
    cash_flow_frame,
    check_statements,
    costs_frame,
    roi_frame,
    tco_frame,
    use_frame,
)
from aifactory.buyplan.staying import Staying, approved_with, decide_staying
from aifactory.buyplan.stress.basis import StressBasis, stress_basis
from aifactory.buyplan.tornado import tornado_frame
from aifactory.buyplan.triggers import with_triggers
from aifactory.buyplan.what_ifs import what_ifs_frame
from aifactory.demand.scenarios import Paths
from aifactory.fleet.need import need_frame
from aifactory.fleet.risk_reserve import known_from
from aifactory.fleet.streams import NO_PLATFORM, Streams, not_sized_sentences
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.hosted import RUNS_HOSTED
from aifactory.inputs.plan import Plan
from aifactory.shortlist.exclusions import support_until
from aifactory.shortlist.outcome import reasons_not_chosen

if TYPE_CHECKING:
    from aifactory.benchmark import Benchmark
    from aifactory.inputs.workspace import Workspace
    from aifactory.inventory import Inventory
    from aifactory.shortlist import Shortlist
    from aifactory.shortlist.plan_terms import Market

#: Share of the total cost from which cost centres that are the template's examples are the very first.
MUCH_EXAMPLE = 0.1


@dataclass(frozen=True)
class BuyPlan:
    """Result of stage 4. Money in USD; months 'YYYY-MM'; scenario rows in the order of the plan."""

    need: pd.DataFrame  # accelerators per use case, region, month, scenario
    pools: pd.DataFrame  # installed, needed now and at the end, per region and accelerator
    fleet: pd.DataFrame  # whole nodes per month in bands
    bands: pd.DataFrame  # band, way to pay, trigger, order-by date
    orders: pd.DataFrame  # what to sign, when, for how much, and the load that releases what waits
    options: pd.DataFrame  # all-in price of every way to pay
    break_even: pd.DataFrame  # price of a used hour against utilization
    costs: pd.DataFrame  # by scenario, month and line
    tco: pd.DataFrame  # the same over the horizon
    capacity_use: pd.DataFrame  # useful, failed and idle hours and money
    unit_cost: pd.DataFrame  # per use case and line
    unit_summary: pd.DataFrame  # average, marginal, headline and hosted unit cost
    cost_by: pd.DataFrame  # cost and carbon of a month by workload, business unit, team, region, platform
    cash_flow: pd.DataFrame
    roi: pd.DataFrame
    tornado: pd.DataFrame
    comparisons: pd.DataFrame
    api: pd.DataFrame  # hosted price per use case, or why there is none
    governance: pd.DataFrame
    approved_plan: pd.DataFrame
    not_sized: pd.DataFrame
    warnings: list[str]
    decision: str
    tax_regimes: pd.DataFrame = field(default_factory=pd.DataFrame)  # tax and NPV under each way to write off
    leases: pd.DataFrame = field(default_factory=pd.DataFrame)  # what leases put on the balance sheet, by year
    reserves: pd.DataFrame = field(default_factory=pd.DataFrame)  # of each served stream, with its risk
    reserve_curve: pd.DataFrame = field(default_factory=pd.DataFrame)  # price of each step of safety
    sizes: pd.DataFrame = field(default_factory=pd.DataFrame)  # steady, SLO-safe and reserve of each stream, what binds
    hosted: pd.DataFrame = field(default_factory=pd.DataFrame)  # what the optimiser would send to hosted models
    what_ifs: pd.DataFrame = field(default_factory=pd.DataFrame)  # each named scenario against the expected one
    other_nodes: pd.DataFrame = field(default_factory=pd.DataFrame)  # offers in nodes that the pools cannot take
    moves: pd.DataFrame = field(
        default_factory=pd.DataFrame
    )  # work that runs elsewhere for some months: on idle capacity, or where it runs now
    ports: pd.DataFrame = field(default_factory=pd.DataFrame)  # what is ported to its platform, and what is not
    hosted_today: pd.DataFrame = field(default_factory=pd.DataFrame)  # stay on the hosted model of today, or move?
    futures: FuturesBasis | None = None  # what `compare_futures` prices on many paths
    stress: StressBasis | None = None  # what `run_stresses` puts to the test
    history: HistoryBasis | None = None  # what `backtest_history` plans on and pays for
    examined: ExamineBasis | None = None  # what `examine_plan` asks
    returns: ReturnsBasis | None = None  # what `draw_returns` evaluates; None where no value is stated


def build_buy_plan(ws: Workspace, inventory: Inventory, benchmark: Benchmark, shortlist: Shortlist) -> BuyPlan:
    """Build the buy plan of a workspace from the results of the stages before it.

    A monthly budget that fewer orders would only exceed by more (`monthly_budget.in_vain`) keeps no order away.
    """
    setting = setting_of(ws, inventory, benchmark, shortlist)
    made = setting.prepared()
    if made.case is not None and in_vain(made.case):
        ws = replace(ws, plan=told_alone(ws.plan))
        setting = setting_of(ws, inventory, benchmark, shortlist)
        made = setting.prepared()
    return _built(ws, setting, made, (inventory, benchmark, shortlist))


def _built(ws: Workspace, setting: Setting, made: Prepared, stages: tuple[Inventory, Benchmark, Shortlist]) -> BuyPlan:
    """The plan of a workspace whose streams and prices are read."""
    inventory, benchmark, shortlist = stages
    unplaced = _unplaced(ws.plan, made.streams, benchmark, shortlist)
    if made.case is None:
        nothing = nothing_to_plan(ws.plan, made.streams, ws.period)
        return with_dates(replace(nothing, warnings=[*unplaced, *nothing.warnings]), ws, inventory)
    paths = demand_paths(inventory, ws.plan)
    setting, made, shortlist = _after_staying(setting, made, (inventory, benchmark, shortlist), paths)
    if made.case is None:
        return _all_stay(setting, made, inventory, unplaced)
    accelerators = ws.table("accelerators")
    cells = _cells(accelerators, benchmark, shortlist, setting.market)
    placed = on_platforms(inventory, benchmark, shortlist, setting, (made, cells, paths))
    setting, made, ports, moves = placed.setting, placed.made, placed.ports, placed.moves
    planned = setting.restream(ws.plan)
    cells, starts = placed.told_to(cells, planned), first_months(planned)
    if late := put_off(setting.until.waits, starts, ws.period):
        inventory = launching_in(inventory, late, ws.plan)
        setting = setting_of(ws, inventory, benchmark, replace(shortlist, choice=placed.homes.choice), setting.staying)
        made, paths = setting.prepared(moves), demand_paths(inventory, ws.plan)
    before = earlier_steps(ws.table("approved_bands"), ws.period, ws.table("commitments"))
    chosen = choose_orders(made.case, paths, before)
    case, answer = solve_over_paths(made.case, chosen, paths)
    api = api_frame(case, ws.table("api_prices"), ws.as_of)
    wanted = stream_paths(case, paths)
    hosted = hosted_option(case, chosen, wanted, api)
    plan = report(
        case,
        answer,
        period=ws.period,
        accelerators=accelerators,
        api=api,
        current=inventory.use_cases.set_index("use_case_id")["usd_per_unit"],
        tornado=tornado_frame(case, answer, made.restream),
        installed=inventory.pools,
        chosen=chosen,
        hosted=hosted,
        resolve=_resolve(wanted) if chosen else None,
    )
    classes = platform_classes(accelerators)
    bill = inventory.use_cases.set_index("use_case_id")["effective_cost_usd"].astype(float).to_dict()
    homes, told, small = replace(placed, setting=setting).sentences(classes, _spent(plan), starts, bill)
    first = before_signing(plan.orders, ws.table("lifecycle"), benchmark.prompt_mix, case.streams.table)
    notes = broken_first(chosen, [*first, *setting.staying.sentences(), *homes, *unplaced, *told, *plan.warnings])
    room = room_sentences(
        case, answer, models=ws.table("models"), accelerators=accelerators, capacity=benchmark.capacity
    )
    notes += [*small, *_last_notes([*room, *setting.caveats(moves)], case, answer, chosen)]
    plan = replace(plan, warnings=notes, ports=ports.table, hosted=_shown(hosted), hosted_today=_shown(setting.staying))
    owners = case.streams.table.drop_duplicates("use_case_id").set_index("use_case_id")["owner_role"]
    dates = ports.dates(ws.plan, classes, ws.period, owners)
    plan = with_dates(with_reserves(plan, setting.reserves, in_places(made.streams)), ws, inventory, dates)
    by_risk = known_from(setting.reserves) | dict.fromkeys(setting.queued, JOB_QUEUE)
    sizes, other = sizes_frame(made.streams, ws.plan, by_risk), setting.other_nodes(moves, made.streams)
    approved = approved_with(plan.approved_plan, setting.staying, ws.period, inventory.scenarios)
    moved = moves_frame(moves, case.streams.months)
    plan = replace(plan, sizes=sizes, other_nodes=other, moves=moved, approved_plan=approved)
    plan = with_runs(with_triggers(plan, ws, inventory), inventory.jobs)
    return replace(plan, **_later(ws, case, answer, chosen, (benchmark, shortlist, setting.market), (paths, cells)))


def _later(
    ws: Workspace,
    case: Case,
    answer: Answer,
    chosen: Chosen | None,
    stages: tuple[Benchmark, Shortlist, Market],
    known: tuple[Paths, Cells],
) -> dict[str, object]:
    """What is asked of the plan once it stands: futures, stress tests, its own past, named scenarios, what it left out."""
    (benchmark, shortlist, market), (paths, cells) = stages, known
    wanted = stream_paths(case, paths)
    problem = chosen.problem if chosen else problem_of(case, paths)
    alone = solve_expected(case) if chosen else None
    futures = futures_basis(case, answer.expected, problem, best=chosen and chosen.best, alone=alone)
    stress = stress_basis(
        case,
        futures,
        capacity=benchmark.capacity,
        exclusions=shortlist.exclusions,
        accelerators=ws.table("accelerators"),
        wanted=wanted,
    )
    history = history_basis(case, stress, ws.table("demand_windows"), ws.period)
    what_ifs = what_ifs_frame(case, ws.table("demand_what_ifs"), answer=answer, wanted=wanted)
    examined = ExamineBasis(chosen, paths, cells, market.prices) if chosen else None
    return {"futures": futures, "stress": stress, "history": history, "what_ifs": what_ifs, "examined": examined}


def _after_staying(
    setting: Setting, made: Prepared, stages: tuple[Inventory, Benchmark, Shortlist], paths: Paths
) -> tuple[Setting, Prepared, Shortlist]:
    """The case once it is decided which use cases stay on the hosted model that they run on today, and where others go without them."""
    (inventory, benchmark, shortlist), ws = stages, setting.ws
    cells = _cells(ws.table("accelerators"), benchmark, shortlist, setting.market)
    listed = Shortlisted(shortlist.choice, shortlist.matrix, cells, paths, setting.in_best_nodes)
    staying = decide_staying(
        made.case,
        inventory.hosted_today,
        _resolve(stream_paths(made.case, paths)),
        ws.table("api_prices"),
        listed=listed,
    )
    if staying.table.empty:
        return setting, made, shortlist
    shortlist = replace(shortlist, choice=listed.rechosen(staying.homes))
    setting = setting_of(ws, inventory, benchmark, shortlist, staying)
    return setting, setting.prepared(), shortlist


def _all_stay(setting: Setting, made: Prepared, inventory: Inventory, unplaced: list[str]) -> BuyPlan:
    """The plan where every use case stays on its hosted model: nothing to order, and why."""
    plan = nothing_to_plan(setting.plan, made.streams, setting.ws.period)
    decision = "Order nothing: every use case that could be sized stays on the hosted model that it runs on today."
    plan = replace(
        plan,
        warnings=[*setting.staying.sentences(), *unplaced],
        decision=decision,
        hosted_today=_shown(setting.staying),
        approved_plan=approved_with(plan.approved_plan, setting.staying, setting.ws.period, inventory.scenarios),
    )
    return with_dates(plan, setting.ws, inventory)


def _shown(found: Staying | Hosted | None) -> pd.DataFrame:
    return found.table if found and len(found.table) else pd.DataFrame()


def _spent(plan: BuyPlan) -> float:
    """Present value of all cost in the expected scenario, USD."""
    return float(plan.roi.set_index("scenario").loc["expected", "pv_cost_usd"])


def _last_notes(caveats: list[str], case: Case, answer: Answer, chosen: Chosen | None) -> list[str]:
    """What comes late, what jobs need at once, what is in no cost, and which approved orders stand."""
    wide = gang_sentences(case, answer.expected)
    late, kept = (chosen.late, [chosen.kept] if chosen.kept else []) if chosen else ([], [])
    return [*late, *wide, *caveats, *kept]


def _cells(accelerators: pd.DataFrame, benchmark: Benchmark, shortlist: Shortlist, market: Market) -> Cells:
    reasons = reasons_not_chosen(shortlist.matrix, shortlist.choice)
    ends = {name: support_until(market.ws, chip) for name, chip in accelerators.set_index("accelerator_id").iterrows()}
    whole = {name: str((end + pd.Timedelta(days=1)).to_period("M") - 1) for name, end in ends.items() if end}
    return Cells(
        benchmark.capacity, shortlist.exclusions, shortlist.penalties, accelerators, market.prices, reasons, whole
    )


def _unplaced(plan: Plan, streams: Streams, benchmark: Benchmark, shortlist: Shortlist) -> list[str]:
    left = streams.not_sized.loc[streams.not_sized["reason"].isin([NO_PLATFORM, RUNS_HOSTED]), "use_case_id"]
    return no_platform_sentences(left, shortlist.exclusions, benchmark.capacity, plan.candidates)


def with_dates(plan: BuyPlan, ws: Workspace, inventory: Inventory, ports: Sequence[tuple] = ()) -> BuyPlan:
    """The plan with every date of its governance, ends of life, ports and logged decisions beside duties and orders; and what is held after its support."""
    dates = governance_frame(
        ws.plan,
        ws.period,
        plan.orders,
        lifecycle=ws.table("lifecycle"),
        decisions=ws.table("decisions"),
        in_use=list(inventory.pools["accelerator_id"]),
        commitments=ws.table("commitments"),
        ports=ports,
        retiring=inventory.retiring_models,
        tested=hosted_cases(plan.decision, plan.hosted),
    )
    ends = lifecycle_sentences(plan.fleet, plan.orders, ws.table("lifecycle"))
    told = with_open_decisions(list(dict.fromkeys([*plan.warnings, *ends])), ws.table("decisions"), ws.table("pools"))
    return replace(plan, governance=dates, warnings=told)


def nothing_to_plan(plan: Plan, streams: Streams, period: str) -> BuyPlan:
    """The plan where no demand can be sized: it says why, and holds no table but the calendar."""
    tables = {
        name: pd.DataFrame()
        for name in BuyPlan.__annotations__
        if name not in ("warnings", "decision", "returns", "futures", "stress", "history", "examined")
    }
    reasons = not_sized_sentences(streams.not_sized)
    return BuyPlan(
        **tables
        | {
            "not_sized": streams.not_sized,
            "governance": governance_frame(plan, period, pd.DataFrame()),
            "approved_plan": load_contract("approved_plan").empty(),
        },
        warnings=reasons or ["No demand was measured in the month."],
        decision="Nothing can be decided yet: no demand of the month can be sized. Measure demand and capacity first.",
    )


def _resolve(wanted: np.ndarray) -> Resolve:
    """Plan what is left without some streams over the same paths [S, T, K] as the plan itself, or over `times` [K] as much."""

    def resolve(rest: Case, moved: np.ndarray, times: np.ndarray | float = 1.0) -> Solution:
        return solve_expected(*quick_orders(rest, np.where(moved, 0.0, wanted * times)))

    return resolve


def _decision(
    case: Case,
    orders: pd.DataFrame,
    roi: pd.DataFrame,
    hosted: Hosted | None,
    comparisons: pd.DataFrame,
    chosen: Chosen | None,
) -> str:
    asked = hosted is not None and not hosted.table.empty
    plan_usd = float(roi.loc[roi["scenario"] == "expected", "pv_cost_usd"].iloc[0])
    first = hosted.first_sentence(plan_usd) if asked else hosted_first(comparisons, plan_usd)
    barred = chosen is not None and chosen.bars_all
    held = case.placed.accelerators.sum(axis=1).max()
    bound, rented = chosen.bound if chosen else (), bool(np.isfinite(case.offers.on_demand).any())
    now, tested = signed_now(orders), hosted_cases(first, hosted.table if asked else pd.DataFrame())
    told = decision_sentence(
        orders, roi, case.plan, first, held, barred=barred, bound=bound, rented=rented, anyway=not_waiting(now, tested)
    )
    return told + covered_sentence(case.streams.table, case.streams.not_sized)


def report(
    case: Case,
    answer: Answer,
    *,
    period: str,
    accelerators: pd.DataFrame,
    api: pd.DataFrame,
    current: pd.Series,
    tornado: pd.DataFrame,
    installed: pd.DataFrame,
    chosen: Chosen | None = None,
    hosted: Hosted | None = None,
    resolve: Resolve | None = None,
) -> BuyPlan:
    """Arrange a solved case in the tables of the result; checks that their totals agree."""
    options = options_frame(case.prices, case.streams.pools, accelerators, case.plan)
    orders = with_reasons(orders_frame(case, answer, case.prices), chosen and chosen.reasons, case)
    bands = bands_frame(case, answer, options, period)
    costs, cash_flow, roi = costs_frame(case, answer), cash_flow_frame(case, answer), roi_frame(case, answer)
    check_statements(cash_flow, costs)
    unit_cost = unit_cost_frame(case, answer.today)
    comparisons = comparisons_frame(case, answer, api, resolve)
    pools = pools_frame(case, answer, installed)
    known = {"orders": orders, "bands": bands, "options": options, "accelerators": accelerators}
    fleet = fleet_frame(case, answer)
    first = [*example_sentences(case, answer, MUCH_EXAMPLE), *(chosen.limits if chosen else [])]
    warnings = [*rented_sentences(fleet, options), *surplus_sentences(fleet), *leaving_sentences(fleet, pools)]
    warnings += warnings_list(case, answer, **known, pools=pools, installed=installed)
    return BuyPlan(
        need=need_frame(case.streams),
        pools=pools,
        fleet=fleet,
        bands=bands,
        orders=orders,
        options=options,
        break_even=break_even_frame(options),
        costs=costs,
        tco=tco_frame(costs),
        capacity_use=use_frame(case, answer),
        unit_cost=unit_cost,
        unit_summary=unit_summary_frame(case, unit_cost, answer.today, current, api),
        cost_by=cost_by_frame(case, answer.today),
        cash_flow=cash_flow,
        roi=roi,
        tornado=tornado,
        comparisons=comparisons,
        api=api,
        governance=governance_frame(case.plan, period, orders),
        approved_plan=approved_plan_frame(case, answer, period),
        not_sized=case.streams.not_sized,
        warnings=in_order(first, warnings, comparisons, hosted),
        decision=_decision(case, orders, roi, hosted, comparisons, chosen),
        tax_regimes=tax_regimes_frame(case, answer),
        leases=leases_frame(case, answer, justified(answer.expected)),
        returns=returns_basis(case, answer, api),
    )
