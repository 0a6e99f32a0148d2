"""Requests in progress at capacity, and how far a fleet must spread for them: what chance adds to an even load.

Tests hold the number of requests in progress still; in service it moves by chance. How many there are per
accelerator at its capacity is read off the own runs; elsewhere it follows from the time that a unit stays
in the system (Little: in progress = rate x time), as measured on other platforms, else half of what the latency limits allow. There is
at least one in progress on every replica at its capacity. Where the own runs replayed a trace, chance is in their capacity already; at a rate requests may come evenly.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.inventory.chains import stated_lengths
from aifactory.serving.staffing import spread_constant
from aifactory.units import MS_PER_S

#: Mean time in the system over the p95 limit, where nothing was measured: an assumption.
SHARE_OF_LIMIT = 0.5
LIMITS = {"TTFT": "slo_p95_ttft_ms", "TPOT": "slo_p95_tpot_ms", "E2E": "slo_p95_e2e_ms"}
CHANCE_COLUMNS = ["in_progress_per_accelerator", "spread_constant", "chance_basis"]
OPEN_LOAD = "open_load"  # column of capacities: all own runs replayed a trace
OF_TRACE = "own runs of a trace, which hold it"
MEASURED, MOVED, LIMIT, NOTHING = (
    "own runs",
    "time in system on other platforms",
    "half of the latency limits",
    "unknown",
)
#: Devices that stand where their work arises: no fleet shares it.
ALONE, APART = "edge", "devices on site share no queue"


def in_progress_at(run: pd.DataFrame, units_per_s: float) -> float:
    """Requests in progress of the whole system at a throughput of its curve; NaN unknown.

    Concurrency as offered, else rate x median time in the system; linear between points, in proportion below the first.
    """
    ordered = run.sort_values("units_per_s", kind="stable")
    requests_per_s = (ordered["requests"] - ordered["errors"]) / ordered["duration_s"]
    held = ordered["concurrency"].fillna(requests_per_s * ordered["p50_e2e_ms"] / MS_PER_S).to_numpy(dtype=float)
    rate = ordered["units_per_s"].to_numpy(dtype=float)
    known = np.isfinite(held)
    if not known.any() or not units_per_s > 0:
        return np.nan
    return float(np.interp(units_per_s, np.r_[0.0, rate[known]], np.r_[0.0, held[known]]))


def with_chance(ws: Workspace, capacity: pd.DataFrame) -> pd.DataFrame:
    """Capacity with requests in progress per accelerator, the constant of `staffing`, and what they rest on."""
    case = capacity["use_case_id"]
    rate = capacity["units_per_s_per_accelerator"].where(capacity["units_per_s_per_accelerator"] > 0)
    own = capacity.get("in_progress_per_accelerator", pd.Series(np.nan, index=capacity.index)).astype(float)
    stay_s = (own / rate).groupby(case).mean()
    moved, limit = (rate * case.map(times).astype(float) for times in (stay_s, _stated_stay_s(ws)))
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    apart = capacity["accelerator_id"].map(classes) == ALONE
    varied = _per_unit(ws, "output_tokens") > 0
    constants = [
        spread_constant(latency, varied=bool(varied.get(name, False)))
        for name, latency in zip(case, _binding(ws, capacity), strict=True)
    ]
    held = np.maximum(own.fillna(moved).fillna(limit), (1.0 / _replica(capacity)).fillna(0.0))
    of_trace = capacity.get(OPEN_LOAD, pd.Series(False, index=capacity.index)).eq(True)
    return capacity.assign(
        in_progress_per_accelerator=held.mask(apart),
        spread_constant=np.where(of_trace, 0.0, np.array(constants, dtype=float)),
        chance_basis=np.select(
            [apart, of_trace, own.notna(), moved.notna(), limit.notna()],
            [APART, OF_TRACE, MEASURED, MOVED, LIMIT],
            NOTHING,
        ),
    )


def _replica(capacity: pd.DataFrame) -> pd.Series:
    """Accelerators that serve a request together: of a replica as stated, else at most those of the system that was tested; NaN unknown."""
    none = pd.Series(np.nan, index=capacity.index)
    stated, tested = (capacity.get(name, none).astype(float) for name in ("stated_replica", "tested_accelerators"))
    return stated.fillna(tested).clip(lower=1.0)


def _binding(ws: Workspace, capacity: pd.DataFrame) -> list[str]:
    """Latency that binds each cell: that of its own run, else the usual one of its use case, else its first limit."""
    cases = ws.table("use_cases").set_index("use_case_id")
    known = capacity[capacity["binding_slo"].notna()] if "binding_slo" in capacity else capacity.iloc[:0]
    own = known["binding_slo"].to_dict() if len(known) else {}
    usual = known.groupby("use_case_id")["binding_slo"].agg(lambda names: names.mode().iloc[0]).to_dict() if own else {}
    first = {
        name: next((latency for latency, limit in LIMITS.items() if row[limit] > 0), "")
        for name, row in cases.iterrows()
    }
    return [own.get(row, usual.get(name, first.get(name, ""))) for row, name in capacity["use_case_id"].items()]


def _per_unit(ws: Workspace, column: str) -> pd.Series:
    """A count of the reporting month per service unit, else as its demand chain states; NaN unknown."""
    sums = ws.month("demand_windows").groupby("use_case_id")[[column, "service_units"]].sum(min_count=1).astype(float)
    found = (sums[column] / sums["service_units"].where(sums["service_units"] > 0)).dropna()
    stated = stated_lengths(ws.table("demand_chain"), ws.table("use_cases"))
    name = f"{column}_per_unit"
    return found.combine_first(stated[name].dropna()) if name in stated else found


def _stated_stay_s(ws: Workspace) -> pd.Series:
    """Seconds that a unit is in the system: half of its limit end to end, or of first token and all others, per request."""
    cases = ws.table("use_cases").set_index("use_case_id")
    requests, tokens = (_per_unit(ws, name).reindex(cases.index) for name in ("requests", "output_tokens"))
    requests = requests.fillna(1.0)
    ttft, tpot, e2e = (cases[limit].astype(float) for limit in LIMITS.values())
    parts = ttft.fillna(0.0) + tpot * tokens / requests
    return requests * SHARE_OF_LIMIT * np.fmin(e2e, parts.where(parts > 0)) / MS_PER_S
