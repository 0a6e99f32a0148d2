"""Named scenarios of the workspace through orders and cost: what each asks of the plan if it comes true.

A named scenario multiplies the demand of the expected one, by use case, class, region and month. The first orders of
the baseline are those of this plan, firm as in the other scenarios; all others are made anew by the rule of the plan,
over its demand paths times the scenario. The change in cost is that against the expected scenario with orders made in
the same way, so that the doubt of the rule itself is in both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Answer, Case, Solution, case_terms, rebuilt, solve, solve_case
from aifactory.buyplan.choose import quick_orders, room_of
from aifactory.buyplan.scenario_orders import GAP, firm_orders, on_slots
from aifactory.demand.what_ifs import multipliers
from aifactory.fleet.orders import FLEXIBLE
from aifactory.fleet.streams import EXPECTED, Streams
from aifactory.fleet.terms import BOUGHT
from aifactory.units import SCENARIOS

COLUMNS = ["scenario", "note", "first_month", "last_month", "accelerators_change", "change_month", "usd_horizon", "usd_change",
           "usd_change_share", "commitment_usd_change", "served_share"]  # fmt: skip
#: Scenario of a case that holds a named one; the expected one stays where it is.
NAMED = SCENARIOS.index("aggressive")


def what_ifs_frame(
    case: Case, table: pd.DataFrame | None, *, answer: Answer | None = None, wanted: np.ndarray | None = None
) -> pd.DataFrame:
    """One row per named scenario, in the order of table `demand_what_ifs`.

    `answer` is the plan (by default that for the expected demand alone), `wanted` the average accelerators at work of
    its demand paths, [paths, months, streams] (by default the expected path).
    `accelerators_change` is the greatest change of the fleet in any month, in whole nodes, met in `change_month`;
    `usd_change` that of the cost of everything over the horizon, `commitment_usd_change` that of outlay and rent
    committed to. `served_share` is the share of demand that finds capacity. Months are the first and last one whose
    demand is multiplied; empty where nothing of the plan is.
    """
    factors = stream_factors(case.streams, table)
    if not factors:
        return pd.DataFrame(columns=COLUMNS)
    streams, answer = case.streams, answer or solve_case(case)
    paths = streams.sized(streams.units[EXPECTED])[None, 1:] if wanted is None else wanted
    firm = firm_orders(answer.baseline, answer.expected.orders, answer.expected.terms.lead)
    usd = _usd(answer.expected)
    base = _solved(case, np.ones_like(next(iter(factors.values()))), paths, firm)
    rows = [
        {"scenario": name, "note": _note(table, name), **_row(streams.months, factor, base, _solved(case, factor, paths, firm), usd)}
        for name, factor in factors.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _solved(case: Case, factor: np.ndarray, paths: np.ndarray, firm: np.ndarray) -> tuple[Case, Solution]:
    """The expected demand times a factor [T + 1, K] with its orders, and the case that has room for them."""
    units = case.streams.units.copy()
    units[NAMED] = units[EXPECTED] * factor
    size = case.streams.scenario_size.copy()
    size[NAMED] = size[EXPECTED]
    other = rebuilt(case, case.plan, replace(case.streams, units=units, scenario_size=size), room_of(case))
    standing = on_slots(firm, case.slots, other.slots)
    other, decision = quick_orders(other, paths * factor[1:], load=other.loads[NAMED], firm=standing, gap=GAP)
    return other, solve(other, other.loads[NAMED], units[NAMED], decision, case_terms(other))


def stream_factors(streams: Streams, table: pd.DataFrame | None) -> dict[str, np.ndarray]:
    """Multiplier of every month and stream by scenario, [T + 1, K]; 1 in the period itself."""
    about, months = streams.table, streams.months[1:]
    cases, regions = (list(dict.fromkeys(about[name])) for name in ("use_case_id", "region"))
    classes = about.drop_duplicates("use_case_id").set_index("use_case_id")["workload_class"]
    found = multipliers(table, cases, classes, regions, months)
    at = [cases.index(name) for name in about["use_case_id"]], [regions.index(name) for name in about["region"]]
    today = np.ones((1, len(about)))
    return {name: np.concatenate([today, factor[at].T]) for name, factor in found.items()}


def _row(
    months: tuple[str, ...],
    factor: np.ndarray,
    base: tuple[Case, Solution],
    named: tuple[Case, Solution],
    plan_usd: float,
) -> dict[str, object]:
    change = _fleet(*named) - _fleet(*base)
    most = int(np.argmax(np.abs(change)))
    moved = np.flatnonzero((factor != 1.0).any(axis=1))
    usd = _usd(named[1]) - _usd(base[1])
    return {
        "first_month": months[moved[0]] if len(moved) else "",
        "last_month": months[moved[-1]] if len(moved) else "",
        "accelerators_change": int(change[most]),
        "change_month": months[most] if change[most] else "",
        "usd_horizon": plan_usd + usd,
        "usd_change": usd,
        "usd_change_share": usd / plan_usd if plan_usd > 0 else np.nan,
        "commitment_usd_change": _committed(named[1]) - _committed(base[1]),
        "served_share": _served(named[1]),
    }


def _note(table: pd.DataFrame, name: str) -> str:
    return "; ".join(dict.fromkeys(table.loc[table["scenario"] == name, "note"].dropna()))


def _fleet(case: Case, solution: Solution) -> np.ndarray:
    """Accelerators held by month, [T + 1]."""
    return np.rint((solution.load.held * case.slots.size).sum(axis=1)).astype(int)


def _usd(solution: Solution) -> float:
    return float(sum(amount.sum() for amount in solution.ledger.lines.values()))


def _committed(solution: Solution) -> float:
    """Outlay and rent of the whole term of every order signed, USD."""
    month, slot = np.nonzero(solution.orders.signed != FLEXIBLE)
    option, terms = solution.orders.signed[month, slot], solution.terms
    rent = terms.rent_usd_month[option, slot] * np.where(option == BOUGHT, 0, terms.term[option, slot])
    return float((terms.capex_usd[option, slot] + rent).sum())


def _served(solution: Solution) -> float:
    """Accelerator-hours asked for that find capacity."""
    asked = solution.load.average[1:]
    return float((asked * solution.ledger.compute.served[1:]).sum() / asked.sum()) if asked.sum() > 0 else 1.0
