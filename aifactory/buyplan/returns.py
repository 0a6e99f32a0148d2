"""The plan and other ways to pay as one return model: a distribution of NPV, and what knowing more is worth.

In the base case every option is worth exactly what its ledger says. Away from it, load, prices and
costs follow their drivers, while the orders stay as they are: what exceeds the capacity held is
rented by the hour, what falls short is paid for all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.buyplan.attribution import OWN_SITE_LINES
from aifactory.buyplan.case import Answer, Case, justified, solve_expected
from aifactory.buyplan.compare import OURS, hosted_path, price_rule, without
from aifactory.buyplan.ledger import Ledger, build_ledger, fiscal_position
from aifactory.buyplan.wait_cost import wait_usd
from aifactory.buyplan.wait_worth import BENCH_MONTHS, WAIT_MONTHS, worth_of_waiting
from aifactory.finance.draws import Factor, Factors
from aifactory.finance.options import COMMITTED_OPTIONS, OPTION_NAMES
from aifactory.finance.roi import (
    DRAWS,
    at_wacc,
    base_case,
    break_even_levels,
    evaluate,
    frozen_tornado,
    nearest_level,
    sobol_groups,
    summary,
)
from aifactory.finance.roi_model import RoiModel
from aifactory.finance.tax import year_starts
from aifactory.finance.tco import around_usd_per_hour, hidden_lines, price_index, serves
from aifactory.fleet.compute import BEYOND, Compute
from aifactory.fleet.nodes import TOLERANCE, hourly_load
from aifactory.fleet.orders import FLEXIBLE, INSTEAD
from aifactory.fleet.streams import EXPECTED, Streams
from aifactory.fleet.terms import spot_is_cheaper
from aifactory.inputs.plan import Plan
from aifactory.units import GIGA, HOURS_PER_MONTH

BLOCKS = 6
#: Share of the expected demand below which nodes by the hour are no longer kept for it.
LITTLE = 0.1
#: Nodes of work that show what more demand takes where the expected one does not fill the first.
SOME_NODES = 3
ON_DEMAND, HOSTED = "Base and peaks on demand", "Hosted API where priced"
ALL_SPOT = "All on spot where offered"
#: Vendor steps of list prices, AWS, Azure and GCP 2022-02 to 2025-05: 0.029 per series and year, all down.
STEPS_PER_YEAR, STEP_SIZES = 0.03, (-0.46, -0.28, -0.05)
CURVE_SAMPLES = 1_024
#: Multiples of demand that are told where many make costs equal.
MOST_LEVELS = 3


@dataclass(frozen=True)
class ReturnsBasis:
    """Return model with its uncertain inputs and where their ranges come from."""

    model: RoiModel
    factors: Factors
    sources: dict[str, str]
    seed: int
    wait_usd: dict[int, float]  # by months of waiting: what signing this plan later costs, see `wait_cost`


@dataclass(frozen=True)
class Returns:
    """Distribution of the return. Money in USD; one row per option, group or kind of knowledge."""

    options: pd.DataFrame
    drivers: pd.DataFrame  # group, first, total: shares of the variance of this plan's NPV
    knowledge: pd.DataFrame  # what is learnt, its worth, the cost of waiting, what is left
    break_even: (
        pd.DataFrame
    )  # option, multiples of demand at which it costs what on-demand costs; NPV zero: see `_break_even`
    factors: pd.DataFrame  # factor, low, value, high, source
    frozen: pd.DataFrame  # NPV of this plan with one factor at P10 and P90, orders as they are
    draws: int


def returns_basis(case: Case, answer: Answer, api: pd.DataFrame) -> ReturnsBasis | None:
    """Build the return model of a solved case; None where no use case states a value."""
    if np.isnan(answer.expected.ledger.value_usd).all() or not case.pools:
        return None
    priced = _options(case, answer, api)
    model = _model(case, priced, api)
    waits = {months: wait_usd(case, answer, months) for months in (BENCH_MONTHS, WAIT_MONTHS)}
    return ReturnsBasis(model, *_factors(case), case.plan.seed, waits)


def _options(case: Case, answer: Answer, api: pd.DataFrame) -> dict[str, tuple[Compute, Ledger]]:
    """Ledger of every option: the nodes that are busy enough on one term, peaks by the hour."""
    expected = answer.expected
    found = {OURS: (expected.ledger.compute, expected.ledger)}
    base = justified(expected)
    rules = {ON_DEMAND: ("reserved_1y", np.zeros_like(base))}
    for name in INSTEAD:  # the first of several that come to the same orders is the one that they are
        if (expected.terms.available[COMMITTED_OPTIONS.index(name)] & base.any(axis=0)).any():
            rules[f"Base: {OPTION_NAMES[name].lower()}"] = (name, base)
    for label, (option, hold) in rules.items():
        compute = price_rule(case, answer, hold, option)
        if any(np.array_equal(compute.cost_usd, other.cost_usd) for at, (other, _) in found.items() if at != OURS):
            continue  # held already, or delivered after the horizon and replaced: the same orders under another name
        units = case.streams.units[EXPECTED]
        found[label] = (compute, build_ledger(compute, case.streams, units, case.plan, case.apart))
    if (spot := _on_spot(case)).any():
        compute = price_rule(case, answer, np.zeros_like(base), "reserved_1y", all_spot=True)
        streams = interrupted(case.streams, spot, case.plan)
        found[ALL_SPOT] = (compute, build_ledger(compute, streams, streams.units[EXPECTED], case.plan, case.apart))
    if (moved := np.isfinite(hosted_path(case, api)[0][0])).any():
        found[HOSTED] = _others_on_demand(case, moved)
    return found


def _others_on_demand(case: Case, moved: np.ndarray) -> tuple[Compute, Ledger]:
    """Ledger of the streams that stay when `moved` [K] are hosted: whole nodes, all by the hour."""
    rest = without(case, moved)
    nothing = np.zeros(rest.owned.shape, dtype=bool)
    solution = solve_expected(rest, np.full(nothing.shape, FLEXIBLE))
    compute = price_rule(rest, Answer(solution, (solution,) * 3, nothing[0]), nothing, "reserved_1y")
    return compute, build_ledger(compute, rest.streams, rest.streams.units[EXPECTED], case.plan, rest.apart)


def _on_spot(case: Case) -> np.ndarray:
    """Streams whose pool is cheaper on spot, work lost to interruptions included, [K]."""
    return spot_is_cheaper(case.offers, case.plan)[case.streams.pool]


def interrupted(streams: Streams, spot: np.ndarray, plan: Plan) -> Streams:
    """Streams that lose value on spot: the interrupted share of interactive work misses its SLO."""
    lost = plan.value("spot_interruption_share") * plan.value("sla_miss_usd_per_unit_share")
    hit = spot & ~streams.table["interruptible"].to_numpy(dtype=bool)
    return replace(streams, table=streams.table.assign(success_share=streams.table["success_share"] * (1 - lost * hit)))


def _model(case: Case, priced: dict[str, tuple[Compute, Ledger]], api: pd.DataFrame) -> RoiModel:
    """Arrange the options as arrays; cash and value of the base case are those of the ledgers."""
    streams, plan, table = case.streams, case.plan, case.streams.table
    months, active = len(streams.months), np.arange(len(streams.months)) > 0
    computes, ledgers = [item[0] for item in priced.values()], [item[1] for item in priced.values()]
    units = (streams.units[EXPECTED] * streams.size * active[:, None]).T
    worth = (table["value_usd_per_unit"] * table["attribution_share"] * table["success_share"]).fillna(0.0)
    rented = np.array([_rented(compute) for compute in computes])
    capacity = np.array([(c.paid_hours - c.rented_hours).T / HOURS_PER_MONTH for c in computes]).clip(min=0.0)
    own = np.array([sum(c.lines[name] for name in OWN_SITE_LINES).sum(axis=1) for c in computes])
    base = np.array([(c.cost_usd - c.lines[BEYOND]).sum(axis=1) for c in computes]) - rented
    hidden = hidden_lines(np.zeros(months), plan)
    tokens = table["output_tokens_per_unit"].to_numpy(dtype=float)
    per_unit = tokens * plan.value("egress_bytes_per_output_token") / GIGA * plan.value("egress_usd_per_gb")
    dearer = price_index(months, plan)
    centres = sum(item.usd_per_unit * serves(item, table["use_case_id"]) for item in plan.hidden_costs)
    share = plan.value("orchestration_share") + plan.value("safety_check_share")
    one_off = np.array([ledger.ported_usd for ledger in ledgers])
    hosted = np.full((len(computes), len(table), months), np.nan)
    if HOSTED in priced:
        price, moving = (part.T for part in hosted_path(case, api))
        hosted[-1] = price / np.maximum(streams.size.T, 1e-12)
        one_off[-1] += moving.sum(axis=0)
    model = RoiModel(
        use_cases=tuple(table["use_case_id"] + "/" + table["region"]),
        options=tuple(priced),
        units=units,
        value_usd=worth.to_numpy(dtype=float)[:, None] / np.maximum(streams.size.T, 1e-12),
        variable_usd=per_unit[:, None] + np.outer(centres * np.ones(len(table)), dearer),
        hours_per_unit=streams.accelerators(np.ones(len(table))) * HOURS_PER_MONTH,
        pool=streams.pool,
        **_blocks(case),
        block_share=np.full(BLOCKS, 1.0 / BLOCKS),
        capacity=capacity,
        flexible_usd_per_hour=np.array([_flexible(case, compute) for compute in computes]),
        hosted_usd=hosted,
        committed_usd=np.zeros_like(base),
        running_usd=own,
        base_usd=base,
        capex_usd=np.array([ledger.capex_usd for ledger in ledgers]),
        depreciation_usd=np.array([ledger.write_off_usd for ledger in ledgers]),
        residual_usd=np.array([ledger.residual_usd[-1] for ledger in ledgers]),
        once_usd=one_off,
        lost_value_share=np.zeros_like(base),
        fixed_usd=sum(hidden.values(), np.zeros(months)) * active * dearer,
        around_usd_per_hour=around_usd_per_hour(plan, case.offers.field[:, None], dearer),
        share_of_compute=share + sum(item.share_of_compute for item in plan.hidden_costs),
        contingency_share=plan.value("contingency_share"),
        tax_rate=plan.value("tax_rate"),
        loss_offset_share=plan.value("loss_offset_share"),
        year_starts=year_starts(months, fiscal_position(streams.months[0], plan)),
        wacc=plan.value("wacc"),
    )
    return _as_booked(model, ledgers)


def _rented(compute: Compute) -> np.ndarray:
    """Cost of hours rented by the hour, [T + 1]."""
    return (compute.lines[OPTION_NAMES["on_demand"]] + compute.lines[OPTION_NAMES["spot"]]).sum(axis=1)


def _flexible(case: Case, compute: Compute) -> np.ndarray:
    """Price of one more rented hour by pool: what the option pays, else on-demand, else the dearest committed rent."""
    cost = (compute.lines[OPTION_NAMES["on_demand"]] + compute.lines[OPTION_NAMES["spot"]]).sum(axis=0)
    hours = compute.rented_hours.sum(axis=0)
    listed = np.where(np.isfinite(case.offers.on_demand), case.offers.on_demand, np.nan)
    whole = compute.cost_usd.sum(axis=0) / np.maximum(compute.paid_hours.sum(axis=0), 1e-9)
    fallback = np.where(np.isnan(listed), whole, listed)
    return np.where(hours > 0, cost / np.where(hours > 0, hours, 1.0), fallback)


def _blocks(case: Case) -> dict[str, np.ndarray]:
    """Load-duration curve of each pool in blocks of equal hours, [P, BLOCKS] by name of the model's field.

    What is rented is whole nodes. Over the accelerators at work they are a line through those that the months of the horizon
    occupy at the expected demand and at a demand well beyond it: twice, or as much as fills some nodes where the first is far
    from full; below a tenth of the expected demand they fall to nothing in proportion.
    """
    streams = case.streams
    work = streams.sized(streams.units[EXPECTED])[1:] * streams.chance[1:]
    plain = streams.sized(streams.units[EXPECTED])[1:]
    found = {
        "block_first": np.ones((case.pools, BLOCKS)),
        "block_floor": np.zeros((case.pools, BLOCKS)),
        "block_level": np.ones((case.pools, BLOCKS)),
    }
    for pool, size in enumerate(streams.pools["accelerators_per_node"].to_numpy(dtype=float)):
        by_month = plain[:, streams.pool == pool].sum(axis=1)
        average = by_month.sum()
        if average <= 0:
            continue
        far = max(2.0, SOME_NODES * size / work[:, streams.pool == pool].sum(axis=1).max())
        little, expected, beyond = (
            _in_blocks(_occupied(case, times * work, pool, size)) for times in (LITTLE, 1.0, far)
        )
        level = np.clip((beyond - expected) / (far - 1.0), 0.0, expected) / average
        found["block_level"][pool] = level
        found["block_floor"][pool] = (expected - level * average) / (by_month > 0).sum()
        found["block_first"][pool] = np.maximum(little / (LITTLE * average), expected / average)
    return found


def _in_blocks(occupied: np.ndarray) -> np.ndarray:
    """Accelerators occupied [T, H], summed over the months, in blocks of equal hours from the emptiest on, [BLOCKS]."""
    load = np.sort(occupied, axis=1).sum(axis=0)
    return np.array([part.mean() for part in np.array_split(load, BLOCKS)])


def _occupied(case: Case, staffed: np.ndarray, pool: int, size: float) -> np.ndarray:
    """Accelerators of the whole nodes that a pool occupies hour by hour, [T, H]; work that can wait fills what is idle on them."""
    streams, mine = case.streams, case.streams.pool == pool
    live = hourly_load(streams, staffed, mine & ~streams.waits)
    nodes = np.ceil(live / size - TOLERANCE) * size
    patient = staffed[:, mine & streams.waits].sum(axis=1)
    return nodes + np.maximum(patient - (nodes - live).mean(axis=1), 0.0)[:, None]


def _as_booked(model: RoiModel, ledgers: list[Ledger]) -> RoiModel:
    """Set committed cash and lost value so that month by month the base case is the ledger.

    What hosted models serve is in no ledger: its value is lost as little as on demand.
    """
    worth = (model.units * model.value_usd).sum(axis=0)
    booked = np.array([np.nansum(ledger.value_usd, axis=1) for ledger in ledgers])
    lost = np.where(worth > 0, 1.0 - booked / np.where(worth > 0, worth, 1.0), 0.0)
    if HOSTED in model.options:
        lost[-1] = lost[model.options.index(ON_DEMAND)]
    once = np.array([ledger.ported_usd for ledger in ledgers])
    opex = _base_opex(replace(model, once_usd=once))
    committed = np.array([ledger.opex_usd for ledger in ledgers]) - opex
    return replace(model, committed_usd=committed, lost_value_share=lost)


def _base_opex(model: RoiModel) -> np.ndarray:
    """Operating cost of the base case without committed cash and hosted bills, [O, T + 1]."""
    own = ~np.isfinite(model.hosted_usd).all(axis=2)
    need = np.zeros(model.capacity.shape)
    work = own[..., None] * model.units * model.hours_per_unit[:, None] / HOURS_PER_MONTH
    np.add.at(need, (slice(None), model.pool), work)
    over = np.maximum(model.occupied(need) - model.capacity[..., None], 0.0)
    hours = over @ model.block_share * HOURS_PER_MONTH
    rented = np.einsum("opt,op->ot", hours, model.flexible_usd_per_hour)
    tended = ((hours + model.capacity * HOURS_PER_MONTH) * model.around_usd_per_hour).sum(axis=1)
    view = model.base_usd + rented
    others = model.share_of_compute * view + tended + model.fixed_usd
    others = others + own @ (model.variable_usd * model.units) + model.once_usd
    return model.running_usd + rented + others + model.contingency_share * (view + others)


def _factors(case: Case) -> tuple[Factors, dict[str, str]]:
    """Uncertain inputs from the ranges of plan, demand and benchmarks; what has none says so."""
    plan, streams, table = case.plan, case.streams, case.streams.table
    found: list[tuple[Factor, str]] = []
    units = streams.units[EXPECTED][1:].sum(axis=0)
    low, high = (streams.band[index][1:].sum(axis=0) for index in (0, 1))
    names = list(table["use_case_id"] + "/" + table["region"])
    for index, name in enumerate(names):
        if units[index] > 0 and name not in names[:index]:
            ends = np.clip([low[index] / units[index], high[index] / units[index]], 1e-3, 1e3)
            factor = Factor(f"level:{name}", min(ends[0], 1.0), 1.0, max(ends[1], 1.0), "demand")
            found.append((factor, "P10 and P90 of the demand simulation"))
    correlation = plan.value("demand_correlation") if "demand_correlation" in plan.assumptions else 0.0
    streams_of = [item.name for item, _ in found]
    pairs = {(a, b): correlation for i, a in enumerate(streams_of) for b in streams_of[:i]}
    found.append((Factor("value", 0.7, 1.0, 1.3, "value"), "no range is stated: 30 % either way is assumed"))
    found.append((Factor("capacity", *_capacity_range(table), "capacity"), "intervals of the benchmark"))
    found.append((Factor("step_month", STEPS_PER_YEAR, STEPS_PER_YEAR, STEPS_PER_YEAR, "prices", "event"), PUBLISHED))
    found.append((Factor("step_size", *STEP_SIZES, "prices", "linear"), PUBLISHED))
    found.append(
        (Factor("api_price", 0.5, 1.0, 1.0, "prices"), "named models keep their price, substitutes fall: assumed")
    )
    space = plan.assumptions["colocation_usd_per_kw_month"]
    found.append((Factor("running", *_relative(space), "own site"), "range of colocation in plan.yaml"))
    found.append((Factor("residual", *_residual_range(plan), "resale"), "range of the yearly decline in plan.yaml"))
    found.append((Factor("overhead", 0.8, 1.0, 1.3, "cost centres"), "no joint range is stated: assumed"))
    factors = Factors(tuple(item for item, _ in found), pairs)
    return factors, {item.name: source for item, source in found}


PUBLISHED = "steps of public list prices 2022-02 to 2025-05"


def _capacity_range(table: pd.DataFrame) -> tuple[float, float, float]:
    weights = (table["units_month"].clip(lower=1e-9) / table["units_per_s_per_accelerator"]).to_numpy()
    ends = [
        float(np.average((table[name] / table["units_per_s_per_accelerator"]).fillna(1.0), weights=weights))
        for name in ("low", "high")
    ]
    return min(max(ends[0], 0.05), 1.0), 1.0, max(ends[1], 1.0)


def _relative(item: object) -> tuple[float, float, float]:
    value = item.value
    low, high = (value if end is None else end for end in (item.low, item.high))
    return (max(low / value, 1e-3), 1.0, high / value) if value > 0 else (1.0, 1.0, 1.0)


def _residual_range(plan: object) -> tuple[float, float, float]:
    item, years = plan.assumptions["residual_decline_per_year"], plan.horizon_months / 12
    kept = [max(1.0 - (item.value if end is None else end), 1e-6) ** years for end in (item.high, item.value, item.low)]
    return kept[0] / kept[1], 1.0, kept[2] / kept[1]


def draw_returns(basis: ReturnsBasis, draws: int = DRAWS) -> Returns:
    """Evaluate all options under correlated draws (seeded by the plan): return, drivers (alone at most in all), worth of knowledge."""
    values = basis.factors.draw(draws, basis.seed)
    result = evaluate(basis.model, values, basis.factors.names)
    groups, shares = sobol_groups(basis.model, basis.factors, 0, samples=CURVE_SAMPLES, seed=basis.seed)
    drivers = pd.DataFrame({"group": groups, "first": np.clip(shares.first, 0, shares.total), "total": shares.total})
    booked = base_case(basis.model)
    options = summary(result)
    options.insert(1, "npv_base_usd", booked.npv_usd[:, 0])
    items = [item for item in basis.factors.items if not item.name.startswith("level:")]
    items = [*(item for item in basis.factors.items if item.name.startswith("level:")), *items]
    factors = pd.DataFrame(
        [
            {"factor": i.name, "low": i.low, "value": i.middle, "high": i.high, "source": basis.sources[i.name]}
            for i in items
        ]
    )
    return Returns(
        options=options,
        drivers=drivers.sort_values("total", ascending=False, ignore_index=True),
        knowledge=worth_of_waiting(
            basis, values, result.npv_usd, booked.npv_usd[:, 0], basis.model.options.index(ON_DEMAND)
        ),
        break_even=_break_even(basis.model),
        factors=factors,
        frozen=frozen_tornado(basis.model, basis.factors, 0),
        draws=draws,
    )


def _break_even(model: RoiModel) -> pd.DataFrame:
    """Multiples of the expected demand at which an option costs what on-demand and hosted cost, or earns nothing.

    The nearest to 1, and in `..._levels` all of them in words, to two decimals.
    """
    others = {"against_on_demand": ON_DEMAND, "against_hosted": HOSTED}
    rows = []
    for index, name in enumerate(model.options):
        row = {"option": name}
        for column, other in (*others.items(), ("npv_zero", None)):
            asked = other is None or (other in model.options and other != name)
            right = None if other is None or not asked else model.options.index(other)
            levels = break_even_levels(model, index, right) if asked else np.zeros(0)
            row |= {column: nearest_level(levels), f"{column}_levels": _levels_told(levels)}
        rows.append(row)
    return pd.DataFrame(rows)


def _levels_told(levels: np.ndarray) -> str:
    """Multiples in words, the first ones where there are many.

    >>> _levels_told(np.array([0.414, 0.4142, 2.0])), _levels_told(np.arange(1.0, 7.0)), _levels_told(np.zeros(0))
    ('0.41; 2.00', '1.00; 2.00; 3.00 and 3 more', '')
    """
    told = list(dict.fromkeys(f"{level:,.2f}" for level in levels))
    more = f" and {len(told) - MOST_LEVELS} more" if len(told) > MOST_LEVELS + 1 else ""
    return "; ".join(told[:MOST_LEVELS] if more else told) + more


def quick_returns(basis: ReturnsBasis, *, wacc: float, price: float, utilization: float) -> pd.DataFrame:
    """Options at another cost of capital, price of rented hours and demand on the capacity held.

    `price` multiplies rented hours, `utilization` is the share of the expected demand that comes.
    Columns: option, npv_usd, pv_cost_usd, usd_per_useful_hour.
    """
    model = at_wacc(basis.model, wacc)
    found = evaluate(model, np.array([[price, utilization]]), ["flexible_price", "level"], with_rate=False)
    hours = float((model.units * model.hours_per_unit[:, None]).sum()) * utilization
    cost = found.cost_usd[:, 0]
    return pd.DataFrame(
        {
            "option": model.options,
            "npv_usd": found.npv_usd[:, 0],
            "pv_cost_usd": found.pv_cost_usd[:, 0],
            "usd_per_useful_hour": cost / hours if hours > 0 else np.full(len(cost), np.nan),
        }
    )
