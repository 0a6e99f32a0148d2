"""Named scenarios of the workspace through orders and cost: what each asks of the plan if it comes true.

A named scenario multiplies the demand of the expected one, by use case, class, region and month. Its first
orders are those of this plan, firm as in the other scenarios; later orders follow its own demand on their
triggers. So the difference in cost is what the event costs an organisation that did not plan for it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Case, Solution, solve_case, with_streams
from aifactory.buyplan.orders import FLEXIBLE
from aifactory.buyplan.streams import EXPECTED, Streams
from aifactory.buyplan.terms import BOUGHT
from aifactory.demand.what_ifs import multipliers
from aifactory.units import SCENARIOS

COLUMNS = ["scenario", "note", "first_month", "last_month", "accelerators_change", "change_month", "usd_horizon", "usd_change",
           "usd_change_share", "commitment_usd_change", "served_share"]  # fmt: skip
#: Scenario of a case that holds a named one; the expected one stays where it is.
NAMED = SCENARIOS.index("aggressive")


def what_ifs_frame(case: Case, table: pd.DataFrame | None) -> pd.DataFrame:
    """One row per named scenario, in the order of table `demand_what_ifs`.

    `accelerators_change` is the greatest change of the fleet in any month, in whole nodes, met in `change_month`;
    `usd_change` that of the cost of everything over the horizon, `commitment_usd_change` that of outlay and rent
    committed to. `served_share` is the share of demand that finds capacity. Months are the first and last one whose
    demand is multiplied; empty where nothing of the plan is.
    """
    streams = case.streams
    factors = stream_factors(streams, table)
    rows = [_row(case, name, factor, _note(table, name)) for name, factor in factors.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def stream_factors(streams: Streams, table: pd.DataFrame | None) -> dict[str, np.ndarray]:
    """Multiplier of every month and stream by scenario, [T + 1, K]; 1 in the period itself."""
    about, months = streams.table, streams.months[1:]
    cases, regions = (list(dict.fromkeys(about[name])) for name in ("use_case_id", "region"))
    classes = about.drop_duplicates("use_case_id").set_index("use_case_id")["workload_class"]
    found = multipliers(table, cases, classes, regions, months)
    at = [cases.index(name) for name in about["use_case_id"]], [regions.index(name) for name in about["region"]]
    today = np.ones((1, len(about)))
    return {name: np.concatenate([today, factor[at].T]) for name, factor in found.items()}


def _row(case: Case, name: str, factor: np.ndarray, note: str) -> dict[str, object]:
    streams = case.streams
    units = streams.units.copy()
    units[NAMED] = streams.units[EXPECTED] * factor
    other = with_streams(case, case.plan, replace(streams, units=units))
    answer = solve_case(other)
    base, named = answer.expected, answer.scenarios[NAMED]
    change = _fleet(other, named) - _fleet(other, base)
    most = int(np.argmax(np.abs(change)))
    moved = np.flatnonzero((factor != 1.0).any(axis=1))
    usd, usd_base = _usd(named), _usd(base)
    return {
        "scenario": name,
        "note": note,
        "first_month": streams.months[moved[0]] if len(moved) else "",
        "last_month": streams.months[moved[-1]] if len(moved) else "",
        "accelerators_change": int(change[most]),
        "change_month": streams.months[most] if change[most] else "",
        "usd_horizon": usd,
        "usd_change": usd - usd_base,
        "usd_change_share": (usd - usd_base) / usd_base if usd_base > 0 else np.nan,
        "commitment_usd_change": _committed(named) - _committed(base),
        "served_share": _served(named),
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
