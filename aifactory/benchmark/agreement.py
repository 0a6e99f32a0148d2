"""Do the runs and production tell the same of a use case on its accelerator? Where they do not, which of them is planned with.

Three questions per use case and accelerator that has both, each answered `agrees`, `contradicts` or `not comparable`:

    capacity   was more served than the run allows? Half of the month's units came in hours of at least x per accelerator, and the
               limits were met in the month: x above the high end of the run refutes it. Or less: the most that production can
               mean (`telemetry.capacity_shown`) lies below the low end of the run.
    slower     is the p95 of the month above the p99 of the run at its capacity? By the run at most 1 % of the requests of hours within
               its capacity exceed that, and 5 % of all do. So it is a contradiction where under `OVERLOAD` = 5 % - 1 % of the requests came
               in hours beyond the low end of the run, chance included (`aifactory.serving.staffing`).
    faster     is the p95 of the month below the median of the lightest load of the run?

Not comparable are the time to the end of batch work that waits inside its limit, runs of another model, runs whose mean lengths differ from production by more than 15 %, limits that nobody
measured in production, and latency in pools that are shared with other work.

Production sets the level, runs the ratio between platforms. Where more was served inside the limits than the run allows, what was
served is the least; where production misses a limit at loads that the run calls light, no more is planned with than was served in
its busy hours (the 95th percentile). The other runs of the use case move by the same factor, and keep their own figure
inside their interval. Where production serves less or is slower, but within its limits, nothing shows that it could not do
what the run did: the run stands, and is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from aifactory.benchmark.chance import with_chance
from aifactory.benchmark.telemetry import SUSTAINED, TELEMETRY
from aifactory.benchmark.telemetry_places import ON_ONE, days_served, held_hours
from aifactory.benchmark.validity import INVALID, UNVERIFIED, VALID
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.service import SLO_OF_METRIC, service_levels
from aifactory.serving.staffing import chance_factor
from aifactory.units import pace, percent, three_digits

KEYS = ["use_case_id", "accelerator_id"]
AGREES, CONTRADICTS, NOT_COMPARABLE = "agrees", "contradicts", "not comparable"
RUN, PRODUCTION = "the run", "production"
#: Share of requests in hours beyond the run's capacity from which a slow p95 is no surprise: 5 % - 1 %.
OVERLOAD = 0.04
#: Ratio of the normal quantiles at 99 and 95 %: p99 = p50 (p95 / p50)^1.414 of latencies spread as a lognormal.
TAIL = 2.3263 / 1.6449
CAPACITY = "capacity"
ENDS = ["units_per_s_per_accelerator", "low", "high"]
NAMES = {"ttft_ms": "p95 TTFT", "tpot_ms": "p95 TPOT", "e2e_ms": "p95 end to end"}
COLUMNS = [*KEYS, "region", "figure", "unit", "run_low", "run_high", "run_as_of", "production_low", "production_high", "period",
           "verdict", "finding", "may_explain", "planned_with", "why", "level", "level_low"]  # fmt: skip
MORE_MAY = "prompts answered from a cache, shorter or other prompts than tested, a newer engine or a lower precision than tested"
LESS_MAY = "devices kept busy by other work, waiting kernels or small batches; an older engine or a higher precision than tested"
SLOWER_MAY = "time in gateway, retrieval or network that the test lacks; bursts within the hour; longer prompts; an older engine than tested"
FASTER_MAY = "answers or prompts from a cache, shorter answers, a newer engine or a lower precision than tested"
EARLY_STOP = "the run stopped before any limit"


@dataclass(frozen=True)
class Pair:
    """A use case on an accelerator: its run, and its hours in production."""

    case: pd.Series
    run: pd.Series  # row of `capacity.measured_capacities` with what chance adds
    curve: pd.DataFrame  # load points of the runs behind it
    hours: pd.DataFrame  # `held_hours`: region, rate, service_units, pool
    own: pd.Series  # share of the pools that is its own, by region


def compare_with_production(
    ws: Workspace, valid: pd.DataFrame, measured: pd.DataFrame, shown: pd.DataFrame, prompt_mix: pd.DataFrame
) -> pd.DataFrame:
    """Runs against production, one row per figure: `COLUMNS`.

    run_low to run_high and production_low to production_high are what either says, in `unit`; `level` is the factor on the run
    that production asks for, `level_low` that of its low end, NaN where the run stands. Pairs without a place of their own in production have no row.

    Parameters
    ----------
    valid : load points of the runs that count. measured : `capacity.measured_capacities`.
    shown : `telemetry.shown_capacities`. prompt_mix : of the benchmark stage.
    """
    days = days_served(ws)
    if measured.empty or days.empty:
        return pd.DataFrame(columns=COLUMNS)
    hours = held_hours(ws, days)
    share = days.groupby([*KEYS, "region"])[["held", "pool"]].sum()
    own = share["held"] / share["pool"]
    levels = service_levels(ws, pd.DataFrame())
    cases = ws.table("use_cases").set_index("use_case_id")
    off = prompt_mix[~prompt_mix["representative"].astype(bool)].groupby("use_case_id")["deviation_share"].agg(_largest)
    most = shown.set_index(KEYS)["high"] if len(shown) else pd.Series(dtype=float)
    rows = []
    for run in with_chance(ws, measured).to_dict("records"):
        key = (run["use_case_id"], run["accelerator_id"])
        mine = hours[_is(hours, *key)]
        if mine.empty:
            continue
        curve = valid[_is(valid, *key) & (valid["precision"] == run["precision"])]
        pair = Pair(cases.loc[key[0]], pd.Series(run), curve, mine, own.loc[key])
        found = _pair_rows(pair, levels[levels["use_case_id"] == key[0]], off.get(key[0]), float(most.get(key, np.nan)))
        rows += [
            dict(zip(KEYS, key, strict=True)) | {"period": ws.period, "run_as_of": run["as_of"]} | row for row in found
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _is(table: pd.DataFrame, use_case: str, accelerator: str) -> pd.Series:
    return (table["use_case_id"] == use_case) & (table["accelerator_id"] == accelerator)


def _largest(deviations: pd.Series) -> float:
    return float(deviations.loc[deviations.abs().idxmax()])


def _pair_rows(pair: Pair, levels: pd.DataFrame, off: float | None, most: float) -> list[dict]:
    """Rows of one pair: capacity, then latency by region and metric."""
    barred, served = _barred(pair, off), _served(pair, levels)
    latency = [
        _latency(pair, level, barred, served)
        for level in levels.to_dict("records")
        if level["metric"] in NAMES and level["region"] in set(pair.hours["region"])
        and pair.curve[f"p95_{level['metric']}"].notna().any()
    ]  # fmt: skip
    return [_capacity(pair, served, barred, most), *latency]


@dataclass(frozen=True)
class Served:
    """What half of the units of the month were served at or above, units per second and accelerator."""

    load: float  # NaN where every region misses a limit
    inside: bool  # whether its limits were measured and met, or there are none
    limited: bool
    regions: str


def _served(pair: Pair, levels: pd.DataFrame) -> Served:
    """Load of the regions that miss no limit."""
    limits = [metric for metric, column in SLO_OF_METRIC.items() if np.isfinite(pair.case[column])]
    state = _limits_met(levels, limits)
    kept = pair.hours[~pair.hours["region"].isin([name for name, met in state.items() if met is False])]
    names = sorted((kept if len(kept) else pair.hours)["region"].unique())
    load = load_of_half(kept["rate"], kept["service_units"]) if len(kept) else np.nan
    return Served(
        load, not limits or bool(len(kept) and all(state.get(name) for name in names)), bool(limits), ", ".join(names)
    )


def _barred(pair: Pair, off: float | None) -> str:
    """Why the runs of a pair say nothing of production; empty where they do."""
    tested = sorted(pair.curve["model"].dropna().unique()) if "model" in pair.curve else []
    model = pair.case["model"]
    if tested and isinstance(model, str) and model not in tested:
        return f"the run is of {tested[0]}, the use case runs {model}"
    if off is not None:
        return f"mean lengths of the run differ from production by {percent(abs(off))}"
    return ""


def _row(
    figure: str, unit: str, region: str, run: tuple, production: tuple, verdict: str, finding: str, **more: object
) -> dict:
    base = {"may_explain": "", "planned_with": "", "why": "", "level": np.nan, "level_low": np.nan}
    ends = {"run_low": run[0], "run_high": run[1], "production_low": production[0], "production_high": production[1]}
    return (
        {"figure": figure, "unit": unit, "region": region, "verdict": verdict, "finding": finding} | ends | base | more
    )


def _capacity(pair: Pair, served: Served, barred: str, most: float) -> dict:
    """Whether more was served than the run allows, or less than it promises."""
    run, unit, load = pair.run, str(pair.case["service_unit"]), served.load
    ends = (load, np.fmax(most, load))
    made = partial(_row, CAPACITY, f"{unit}s/s", served.regions, (run["low"], run["high"]), ends)
    if barred or not np.isfinite(load):
        return made(NOT_COMPARABLE, barred or "a limit is missed in every region: what was served is no capacity")
    words = (
        f"half of the month's {unit.replace('_', '-')}s came in hours of at least {pace(load, unit)} per accelerator"
    )
    if load > run["high"]:
        allowed = f"the run allows at most {pace(run['high'], unit)}"
        if not served.inside:
            return made(
                NOT_COMPARABLE, f"{words}, {allowed}; latency was not measured: it may have been served too late"
            )
        verdict, may = (AGREES, EARLY_STOP) if run["binding_slo"] == "not reached" else (CONTRADICTS, MORE_MAY)
        why = f"it was served {'inside its limits' if served.limited else 'without latency limits'}"
        level = load / run["units_per_s_per_accelerator"] if run["units_per_s_per_accelerator"] > 0 else np.inf
        return made(verdict, f"{words}; {allowed}", may_explain=may, planned_with=PRODUCTION, why=why, level=level, level_low=level)  # fmt: skip
    if most < run["low"]:
        finding = f"by the time its devices are in use production means at most {pace(most, unit)} per accelerator; the run promises at least {pace(run['low'], unit)}"
        why = "time in use counts kernels, not how full a device is: nothing shows that production could not do more"
        return made(CONTRADICTS, finding, may_explain=LESS_MAY, planned_with=RUN, why=why)
    return made(AGREES, f"{words}; the run allows {pace(run['low'], unit)} to {pace(run['high'], unit)}")


def _limits_met(levels: pd.DataFrame, limits: list[str]) -> dict[str, bool | None]:
    """By region: False where a limit is missed, True where all limits are measured and met, None where unknown."""
    found: dict[str, bool | None] = {}
    for region, rows in levels[levels["metric"].isin(limits)].groupby("region"):
        states = rows.set_index("metric")["meets_slo"].to_dict()
        missed = any(state is not pd.NA and not bool(state) for state in states.values())
        met = all(states.get(metric, pd.NA) is not pd.NA for metric in limits)
        found[str(region)] = False if missed else True if met else None
    return found


def load_of_half(rate: pd.Series, weight: pd.Series) -> float:
    """Highest load at or above which half of the weight lies.

    >>> load_of_half(pd.Series([1.0, 2.0, 4.0]), pd.Series([1.0, 2.0, 1.0]))
    2.0
    """
    order = np.argsort(-rate.to_numpy(dtype=float), kind="stable")
    above = np.cumsum(weight.to_numpy(dtype=float)[order])
    return float(rate.to_numpy(dtype=float)[order][np.searchsorted(above, above[-1] / 2)])


def _latency(pair: Pair, level: dict, barred: str, served: Served) -> dict:
    """Whether production is slower than the run at loads within the run's capacity, or faster than at its lightest load."""
    metric, region = level["metric"], level["region"]
    low, high = level["p95_low"], level["p95_high"]
    slowest, fastest = run_bounds(pair.curve, metric, pair.run["units_per_s_per_accelerator"])
    hours = pair.hours[pair.hours["region"] == region]
    made = partial(_row, NAMES[metric], "ms", region, (fastest, slowest), (low, high))
    if barred:
        return made(NOT_COMPARABLE, barred)
    if not pair.own[region] >= ON_ONE:
        return made(NOT_COMPARABLE, "its pools are shared with other work")
    words = f"p95 of {three_digits(low)} ms in the month"
    if high < fastest:
        finding = f"p95 of {three_digits(high)} ms in the month, median of {three_digits(fastest)} ms in the run at its lightest load"
        why = "latency below that of the run changes no capacity"
        return made(CONTRADICTS, finding, may_explain=FASTER_MAY, planned_with=RUN, why=why)
    if not low > slowest:
        return made(AGREES, f"{words}, p99 of {three_digits(slowest)} ms in the run at its capacity")
    if metric == "e2e_ms" and pair.case["request_pattern"] == "batch" and not low > level["slo"]:
        return made(NOT_COMPARABLE, f"{words}, which holds the wait that batch work may take inside its limit")
    over = overloaded_share(hours, pair.run)
    if over >= OVERLOAD:
        return made(
            AGREES,
            f"{words}; {percent(over)} of the requests came in hours beyond the capacity of the run, where it says that latency breaks",
        )
    finding = f"{words}, p99 of {three_digits(slowest)} ms in the run at its capacity, though {percent(1 - over)} of the requests came in hours within it"
    if not low > level["slo"]:
        why = "its limit is met: nothing shows that production could not do what the run did"
        return made(CONTRADICTS, finding, may_explain=SLOWER_MAY, planned_with=RUN, why=why)
    run, unit = pair.run["units_per_s_per_accelerator"], str(pair.case["service_unit"])
    least = served.load if served.inside and np.isfinite(served.load) else 0.0  # other regions kept their limits at it
    ends = (load_of_half(hours["rate"], hours["service_units"]), float(np.quantile(hours["rate"], SUSTAINED)))
    half, busy = (float(np.clip(end, least, run)) for end in ends)
    why = f"its limit of {three_digits(level['slo'])} ms is missed: no more than the {pace(busy, unit)} of its busy hours can be counted on"
    return made(CONTRADICTS, finding, may_explain=SLOWER_MAY, planned_with=PRODUCTION, why=why, level=busy / run, level_low=min(half, busy) / run)  # fmt: skip


def run_bounds(curve: pd.DataFrame, metric: str, capacity: float) -> tuple[float, float]:
    """P99 of the runs at a capacity (units per second and accelerator), the highest; median at their lightest load, the lowest; ms.

    Latency never falls with load (running maximum); a p99 that was not recorded follows from p50 and p95 (`TAIL`).
    """
    slow, fast = [], []
    for _, run in curve.groupby("benchmark_id"):
        run = run.assign(rate=run["units_per_s"] / run["accelerators"]).sort_values("rate", kind="stable")
        p50, p95 = (run[f"{name}_{metric}"].astype(float) for name in ("p50", "p95"))
        p99 = run[f"p99_{metric}"].astype(float) if f"p99_{metric}" in run else pd.Series(np.nan, index=run.index)
        p99 = p99.fillna(p50 * (p95 / p50.where(p50 > 0)) ** TAIL).fillna(p95)
        known = p99.notna()
        if known.any():
            slow.append(np.interp(capacity, run["rate"][known], np.maximum.accumulate(p99[known])))
        fast += p50.dropna().head(1).tolist()
    return max(slow, default=np.nan), min(fast, default=np.nan)


def overloaded_share(hours: pd.DataFrame, run: pd.Series) -> float:
    """Share of the units that came in hours in which the fleet was smaller than the low end of the run asks for, chance included."""
    even = hours["rate"] * hours["pool"] / run["low"] if run["low"] > 0 else hours["rate"] * np.inf
    need = even * chance_factor(even, run["in_progress_per_accelerator"], run["spread_constant"])
    weight = hours["service_units"].astype(float)
    return float(weight[need > hours["pool"]].sum() / weight.sum())


def at_production(measured: pd.DataFrame, agreement: pd.DataFrame) -> pd.DataFrame:
    """Measured capacities at the level of production where that is planned with; the other runs of the use case keep their ratio.

    Served more: what was served is value and low end, the most that production can mean the high end. Slower with limits missed: the
    busy hours are the value, the hours of half of the units the low end, the run stays the high end. Other accelerators move by
    the factor, their own figure stays inside their interval.
    """
    asked = agreement.assign(latency=agreement["figure"] != CAPACITY)[agreement["planned_with"] == PRODUCTION]
    asked = asked.sort_values(["latency", "level"], kind="stable").drop_duplicates(KEYS)
    table, moved = measured.copy(), {}
    for row in asked.to_dict("records"):
        at = table.index[_is(table, row["use_case_id"], row["accelerator_id"])][0]
        run = measured.loc[at]
        rate, known = run["units_per_s_per_accelerator"], np.isfinite(row["level"])
        value, low = (rate * row["level"], rate * row["level_low"]) if known else (row["production_low"],) * 2
        high = run["high"] if row["latency"] else row["production_high"]
        table.loc[at, ENDS] = [value, low, max(high, value)]
        table.loc[at, ["tier", "evidence"]] = [
            TELEMETRY,
            f"production of {row['period']}: {row['finding']}; planned with, since {row['why']}; {run['evidence']}",
        ]
        if known:
            moved.setdefault(row["use_case_id"], []).append((row["accelerator_id"], row["level"]))
    kept = agreement[(agreement["verdict"] == CONTRADICTS) & (agreement["planned_with"] == RUN)]
    for key, rows in kept.groupby(KEYS):
        at = table.index[_is(table, *key)]
        words = "; ".join(f"{row.figure} in {row.region}: {row.finding}" for row in rows.itertuples())
        table.loc[at, "evidence"] += (
            f"; production of {rows['period'].iloc[0]} contradicts it ({words}); the run is planned with, since {rows['why'].iloc[0]}"
        )
    for case, factors in moved.items():
        factor = float(np.exp(np.mean([np.log(level) for _, level in factors])))
        names = ", ".join(name for name, _ in factors)
        for at in table.index[(table["use_case_id"] == case) & (table["tier"] != TELEMETRY)]:
            value, low, high = table.loc[at, ENDS].astype(float)
            table.loc[at, ENDS] = [value * factor, min(low, low * factor), max(high, high * factor)]
            table.loc[at, "evidence"] += (
                f"; times {factor:.2f}, the level of production on {names}: the runs give the ratio between platforms"
            )
    return table


def mark_contradicted(validity: pd.DataFrame, agreement: pd.DataFrame) -> pd.DataFrame:
    """Verdicts of the runs, where those that production contradicts are unverified at best, with the reason."""
    against = agreement[agreement["verdict"] == CONTRADICTS]
    if against.empty:
        return validity
    told = against.assign(text=against["figure"] + " in " + against["region"]).groupby(KEYS)["text"].agg(", ".join)
    found = pd.MultiIndex.from_frame(validity[KEYS]).map(lambda key: told.get(key, ""))
    texts = pd.Series(found, index=validity.index, dtype="str")
    reasons = "production contradicts it (" + texts + ")"
    hit = texts.ne("") & validity["verdict"].ne(INVALID)
    joined = (validity["reasons"] + "; " + reasons).where(validity["reasons"].ne(""), reasons)
    return validity.assign(
        reasons=validity["reasons"].mask(hit, joined),
        verdict=validity["verdict"].mask(hit & (validity["verdict"] == VALID), UNVERIFIED),
    )
