"""Launches that wait for a port: their demand begins in the month after its end, with the first of their users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from aifactory.buyplan.futures import PATHS
from aifactory.demand.decision_paths import decision_paths
from aifactory.demand.forecast import simulate_demand
from aifactory.demand.scenario_inputs import read_workloads, settings_of
from aifactory.demand.scenarios import Paths, simulate_paths
from aifactory.inputs.plan import Plan
from aifactory.inventory import Inventory


def put_off(waits: Mapping[tuple[str, str], int], starts: Mapping[str, str], period: str) -> dict[str, str]:
    """First month of each launch that its port puts off.

    Parameters
    ----------
    waits : months from the period to the end of a port, by use case and region (`UntilPorted.waits`).
    starts : first month with demand by use case, were there no port.

    >>> put_off({("assistant", "eu"): 3, ("search", "eu"): 3}, {"assistant": "2026-12", "search": "2027-06"}, "2026-10")
    {'assistant': '2027-02'}
    """
    ready = {name: pd.Period(period, "M") + months for (name, _), months in waits.items()}
    return {name: str(end + 1) for name, end in ready.items() if name in starts and starts[name] <= str(end)}


def launching_in(inventory: Inventory, months: Mapping[str, str], plan: Plan) -> Inventory:
    """The inventory with the demand to come of some use cases launched in other months; all else stays as it is drawn."""
    cases = inventory.demand_basis.use_cases
    later = cases["use_case_id"].map(months)
    basis = replace(inventory.demand_basis, use_cases=cases.assign(launch_month=later.fillna(cases["launch_month"])))
    scenarios = simulate_demand(basis, plan, inventory.period)
    return replace(inventory, demand_basis=basis, scenarios=scenarios, forecast=scenarios.frame)


def demand_paths(inventory: Inventory, plan: Plan) -> Paths:
    """Paths of the demand to come that orders are chosen over."""
    workloads = read_workloads(inventory.demand_basis, plan, inventory.period)
    return decision_paths(simulate_paths(*workloads, settings_of(plan, inventory.period, PATHS)))
