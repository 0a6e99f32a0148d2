"""How users become units and tokens, factor by factor: measured where there is telemetry, else from demand chains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.demand.scenarios import Z90
from aifactory.demand.unit_size import Creep, widened
from aifactory.inputs.importers.benchmarks.rows import ONE_UNIT
from aifactory.inputs.plan import Plan
from aifactory.inputs.workspace import Workspace

CHAIN_COLUMNS = [
    "use_case_id",
    "service_unit",
    "seats",
    "active_share",
    "units_per_seat_month",
    "units_month",
    "requests_per_unit",
    "uncached_input_tokens_per_request",
    "cached_input_tokens_per_request",
    "output_tokens_per_request",
    "tokens_month",
    "work_growth_per_month",
    "work_growth_p10",
    "work_growth_p90",
    "basis",
    "source",
]
GROWN = ["work_growth_per_month", "work_growth_p10", "work_growth_p90"]
#: What a row rests on: telemetry of the month, the demand chain (as it will be in the end), its owner's word.
MEASURED, CHAIN, STATED = "measured", "demand chain", "stated"


def stated_lengths(chain: pd.DataFrame, use_cases: pd.DataFrame) -> pd.DataFrame:
    """Requests per unit and tokens per request that demand chains state, by use case.

    Columns requests_per_unit, input_tokens, output_tokens (per request) and output_tokens_per_unit; NaN not stated.
    They stand in for telemetry that a use case to come does not have. A unit that is a request holds one, whether the
    chain says so or not.
    """
    factors = ["requests_per_unit", "input_tokens_per_request", "output_tokens_per_request"]
    stated = chain[chain["factor"].isin(factors)]
    wide = stated.pivot_table(index="use_case_id", columns="factor", values="value", aggfunc="first")
    wide = (
        wide.reindex(columns=factors)
        .astype("float64")
        .set_axis(["requests_per_unit", "input_tokens", "output_tokens"], axis=1)
    )
    counted = set(use_cases.loc[use_cases["service_unit"].isin(ONE_UNIT), "use_case_id"])
    wide["requests_per_unit"] = wide["requests_per_unit"].mask(
        wide.index.isin(counted) & wide["requests_per_unit"].isna(), 1.0
    )
    return wide.assign(output_tokens_per_unit=wide["requests_per_unit"] * wide["output_tokens"])


def chain_table(ws: Workspace, monthly: pd.DataFrame, creep: Mapping[str, Creep] | None = None) -> pd.DataFrame:
    """Demand of every use case taken apart, with the growth a month of the work of a unit.

        units a month  = seats x active share x units per active seat
        tokens a month = units x requests per unit x (uncached + cached input + output tokens per request)

    Both hold in every row whose factors are known. Of a measured use case units, requests and tokens are those
    of the month; seats and active share come from table `demand_chain`, and units per seat follow from them.
    Others are read from the chain, as they will be once it has run its course, or from what their owner states.
    `creep` is the growth of a measured unit's work (`demand.unit_size`), shown as it is at the start, with P10 and P90
    of what it may be over the horizon.
    """
    month = monthly[monthly["month"] == ws.period].groupby("use_case_id")
    counts = ["units", "requests", "input_tokens", "cached_input_tokens", "output_tokens"]
    sums = month[counts].sum(min_count=1).astype("float64")
    chain = ws.table("demand_chain")
    rows = [
        _row(case, sums, chain[chain["use_case_id"] == case.use_case_id]) for case in ws.table("use_cases").itertuples()
    ]
    table = pd.DataFrame(rows, columns=CHAIN_COLUMNS)
    table = table[table["units_month"].notna()].reset_index(drop=True)
    grown = [_grown((creep or {}).get(name), ws.plan) for name in table["use_case_id"]]
    return table.assign(**dict(zip(GROWN, np.array(grown, dtype=float).reshape(-1, 3).T, strict=True)))


def _grown(found: Creep | None, plan: Plan) -> list[float]:
    """Growth a month of the work of a unit, its P10 and P90."""
    if found is None:
        return [np.nan] * 3
    half = Z90 * widened(found.log_sd, plan)
    return [found.growth, *(float((1 + found.growth) * np.exp(side * half) - 1) for side in (-1, 1))]


def _row(case: tuple, sums: pd.DataFrame, chain: pd.DataFrame) -> dict[str, object]:
    known = chain[chain["factor"] != "region_share"].set_index("factor")["value"].to_dict()
    get = lambda name: known.get(name, np.nan)  # noqa: E731 - a name for one look-up
    seats, active = get("seats"), get("active_share")
    row: dict[str, object] = {"use_case_id": case.use_case_id, "service_unit": case.service_unit, "seats": seats, "active_share": active}  # fmt: skip
    source = "; ".join(dict.fromkeys(chain["source"])) if len(chain) else ""
    if case.use_case_id in sums.index and sums.loc[case.use_case_id, "units"] > 0:
        seen = sums.loc[case.use_case_id]
        per_seat, units = seen["units"] / (seats * active), seen["units"]
        per_unit = seen["requests"] / units
        fresh = (seen["input_tokens"] - np.nan_to_num(seen["cached_input_tokens"])) / seen["requests"]
        cached = np.nan_to_num(seen["cached_input_tokens"]) / seen["requests"] + 0 * fresh
        output, basis = seen["output_tokens"] / seen["requests"], MEASURED
        source = f"demand_windows and jobs tables{f'; {source}' if source else ''}"
    else:
        per_seat, one = get("units_per_seat_month"), 1.0 if case.service_unit in ONE_UNIT else np.nan
        per_unit = known.get("requests_per_unit", one)
        units, basis = seats * active * per_seat, CHAIN
        share = known.get("cached_input_share", 0.0)
        fresh, cached = get("input_tokens_per_request") * (1 - share), get("input_tokens_per_request") * share
        output = get("output_tokens_per_request")
        if not np.isfinite(units):
            units, basis, source = case.stated_units_per_month, STATED, case.source
    tokens = units * per_unit * np.nansum([fresh, cached, output])
    return row | {
        "units_per_seat_month": per_seat,
        "units_month": units,
        "requests_per_unit": per_unit,
        "uncached_input_tokens_per_request": fresh,
        "cached_input_tokens_per_request": cached,
        "output_tokens_per_request": output,
        "tokens_month": tokens if np.isfinite(fresh) or np.isfinite(output) else np.nan,
        "basis": basis,
        "source": source,
    }
