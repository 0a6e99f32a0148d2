"""Capacity that production has shown: what a platform serves today, from its demand, pools and latencies.

Where a use case runs on one accelerator and its targets are met, three figures of the month bound its capacity there,
per accelerator, with x the units per second and u the share of time that the devices were in use:

    low    what was served: the 95th percentile of x over the hours, or its median over the windows of the pools
    value  HELD c, with c = sum x / sum u over the busiest tenth of the windows: what it serves when always in use
    high   HELD c G, with G = max(1, BATCH_GAIN u / -ln(1 - u)): what larger batches may add

The share of time in use counts moments with any kernel running, not how full the device was. It shows an engine that
batches as full long before it is, so `value` understates those; it shows one that waits for its host as idle, so
`value` overstates those, and only `low` was seen. With requests arriving independently a device is in use for
1 - exp(-L) of the time, L being the requests in it: at u near 0 each runs alone, and batches gain up to BATCH_GAIN over
that; at higher u part of the gain is taken already. HELD is what limits on latency leave of the free throughput. In a busy
hour work may take more of a shared pool than its share of the month, so hours are counted on all accelerators of the pool.

Which evidence speaks for a pair: a run on own prompts before all else, which production never replaces. Of production and of
a prediction the one whose interval is narrower where they overlap; production where the high end of the prediction lies below
what was served, which refutes it; the prediction where it lies above all of production, which shows badly used devices only.
What was served is the least that a prediction may say. Without any of them nothing is said.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.benchmark.telemetry_places import days_served, held_hours
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.service import SLO_OF_METRIC, service_levels
from aifactory.units import percent, three_digits

TELEMETRY = "own telemetry"
#: Tiers that saw the own prompts served on the accelerator itself.
OWN_EVIDENCE = ("measured", TELEMETRY)
#: Tokens per second of large batches over single requests, same model and device (ML.ENERGY leaderboard; notes of 2026-11-24).
BATCH_GAIN = 12.0
#: Throughput under latency limits over free throughput: between 0.91 of loose limits and 0.57 of tight ones (medians of
#: MLPerf Inference rounds 2024-2026, server over offline and interactive over offline).
HELD = 0.72
SUSTAINED, BUSIEST = 0.95, 0.9
#: Share of time in use below which it tells nothing of what a busy device would do.
LEAST_USE = 0.02
LIFTED = "; low end raised to what production shows: "
BELOW = "; production shows less, its devices being in use for other reasons or badly used: "
KEYS = ["use_case_id", "accelerator_id"]
COLUMNS = [*KEYS, "units_per_s_per_accelerator", "low", "high", "tier", "evidence"]
#: Most accelerators that the smallest pools of a use case held at a time: one copy of its model takes no more.
POOL = "pool_accelerators"


def capacity_shown(
    hourly: ArrayLike, rate: ArrayLike, use: ArrayLike, held: float = HELD
) -> tuple[float, float, float]:
    """Low end, value and high end of the capacity of one accelerator, units per second; NaN where it stood idle.

    Parameters
    ----------
    hourly : units per second and accelerator of the pools by hour (or the shortest window there is).
    rate, use : units per second and accelerator of the own share, and share of time in use (0-1), by window of the pools.
    held : share of the throughput of a busy device that latency limits leave; 1 without limits.

    >>> [round(end, 3) for end in capacity_shown([2.0] * 20, [2.0], [0.5], held=1.0)]
    [2.0, 4.0, 34.625]
    >>> [round(end, 3) for end in capacity_shown([2.0] * 20, [2.0], [1.0], held=1.0)]
    [2.0, 2.0, 2.0]
    """
    hours, x, u = (np.asarray(values, dtype=float) for values in (hourly, rate, use))
    top = x >= np.quantile(x, BUSIEST)
    busy = float(u[top].sum() / top.sum())
    seen = float(max(np.quantile(hours, SUSTAINED), np.median(x)))
    if not busy >= LEAST_USE or not seen > 0:
        return np.nan, np.nan, np.nan
    full = held * float(x[top].sum() / u[top].sum())
    inside = -np.log1p(-busy) if busy < 1 else np.inf
    gain = max(float(BATCH_GAIN * busy / inside), 1.0)
    value = max(seen, full)
    return seen, value, max(value, full * gain)


def shown_capacities(ws: Workspace) -> pd.DataFrame:
    """Capacity of each use case on the accelerator that it runs on, `COLUMNS` and `POOL`; no row where nothing can be said.

    Left out are regions that miss a latency target in the month, pools whose label is in doubt, and work whose pools
    are not known to be its own (`telemetry_places`). Training is left out: its unit is the hour of the reference.
    """
    days = days_served(ws)
    if days.empty:
        return pd.DataFrame(columns=[*COLUMNS, POOL])
    missed, known = _latencies(ws)
    pair = pd.MultiIndex.from_frame(days[["use_case_id", "region"]])
    days = days[~pair.isin(missed)]
    hours = held_hours(ws, days)
    cases = ws.table("use_cases").set_index("use_case_id")
    limits = cases[["slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms"]].notna().any(axis=1)
    rows = []
    for key, part in days.groupby(["use_case_id", "accelerator_id"], sort=True):
        mine = hours[(hours["use_case_id"] == key[0]) & (hours["accelerator_id"] == key[1])]
        limited = bool(limits[key[0]])
        low, value, high = capacity_shown(mine["rate"], part["rate"], part["use"], HELD if limited else 1.0)
        if value > 0:
            met = set(zip(part["use_case_id"], part["region"], strict=True)) <= known
            pool = float(part.groupby("region")["pool"].max().min())
            rows.append((*key, value, low, high, TELEMETRY, _words(ws, part, low, limited, met), pool))
    return pd.DataFrame(rows, columns=[*COLUMNS, POOL])


def _words(ws: Workspace, part: pd.DataFrame, low: float, limited: bool, met: bool) -> str:
    latency = (
        "without latency limits" if not limited else "within its latency limits" if met else "latency not measured"
    )
    where = ", ".join(sorted(part["region"].unique()))
    return (
        f"served {three_digits(low)} units/s per accelerator in {where}, {ws.period}, {latency}; "
        f"{percent(np.average(part['use'], weights=part['held']))} of device time in use over {part['window'].nunique()} windows, which "
        f"counts kernels and not how full they are; pools: {part['linked_by'].iloc[0]}"
    )


def _latencies(ws: Workspace) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Use case and region pairs that miss a latency target in the month, and those that meet one and miss none."""
    levels = service_levels(ws, pd.DataFrame())
    told = {state: levels[levels["meets_slo"].eq(state).fillna(value=False).astype(bool)] for state in (False, True)}
    missed, met = (set(zip(rows["use_case_id"], rows["region"], strict=True)) for rows in told.values())
    return missed, met - missed


def latencies_shown(ws: Workspace) -> pd.DataFrame:
    """Worst p95 over its limit in production by use case, where it is met (upper bound of a bucket): ttft_ms, tpot_ms, e2e_ms."""
    levels = service_levels(ws, pd.DataFrame())
    met = levels[levels["meets_slo"].fillna(value=False).astype(bool)]
    ratio = (met["p95_high"] / met["slo"]).groupby([met["use_case_id"], met["metric"]]).max()
    return ratio.unstack().reindex(columns=list(SLO_OF_METRIC)).astype("float64")


def with_telemetry(estimates: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """Estimates with production put in where it says more, and what was served as their low end elsewhere."""
    both = estimates.merge(shown, on=KEYS, how="left", suffixes=("", "_own")).set_axis(estimates.index)
    if both.empty or shown.empty:
        return estimates
    low, high, least, most = (both[name].astype(float) for name in ("low", "high", "low_own", "high_own"))
    known, narrower = low > 0, most / least < high / low
    refuted, idle = high < least, most < low
    speaks = least.notna() & (~known | refuted | (narrower & ~idle))
    lifted = least.notna() & ~speaks & (low < least)
    below = least.notna() & ~speaks & idle
    table = estimates.copy()
    for name in COLUMNS[2:]:
        table[name] = table[name].where(~speaks, both[f"{name}_own"])
    table["low"] = table["low"].where(~lifted, least)
    table["units_per_s_per_accelerator"] = table["units_per_s_per_accelerator"].where(~lifted, np.fmax(both["units_per_s_per_accelerator"], least))  # fmt: skip
    notes = np.select([lifted, below], [LIFTED, BELOW], "")
    table["evidence"] = [text + note + (own if note else "") for text, note, own in zip(table["evidence"], notes, both["evidence_own"], strict=True)]  # fmt: skip
    return table
