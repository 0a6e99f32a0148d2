"""Capacity at SLO of every use case on every candidate, with tier, interval, cost and energy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from aifactory.benchmark import estimates
from aifactory.benchmark.chance import OPEN_LOAD, in_progress_at
from aifactory.benchmark.replica import STATED, TESTED
from aifactory.benchmark.telemetry import TELEMETRY, with_telemetry
from aifactory.benchmark.validity import OVERSTATED, flattered_by_fixed_concurrency
from aifactory.finance.options import effective_prices
from aifactory.finance.prices import OWN_SITE_OPTIONS, offers_of, price_table
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.chains import stated_lengths
from aifactory.serving.capacity import LATENCY_COLUMNS, capacity_at_slo, interval
from aifactory.units import EDGE_CLASS, MEGA, SECONDS_PER_HOUR

#: Purchase options tried in turn for the price of an hour: flexible first, then what there is.
HOURLY_OPTIONS = ("on_demand", "reserved_1y", "lease", "purchase")
#: Middle of what a flattered test promises too much, and what its evidence says.
FLATTERED = float(np.sqrt(OVERSTATED[0] * OVERSTATED[1]))
TAKEN_OFF = f"; at fixed concurrency, divided by {FLATTERED:.2f} ({OVERSTATED[0]} to {OVERSTATED[1]}): test at a rate"
EDGE_OPTIONS = tuple(option for option in HOURLY_OPTIONS if option in OWN_SITE_OPTIONS)


def run_capacities(valid: pd.DataFrame, use_cases: pd.DataFrame) -> pd.DataFrame:
    """Capacity at SLO of each valid run, units per second and accelerator, with power there.

    What `flattered_by_fixed_concurrency` promises too much is taken off, and `flattered` says so.
    """
    cases = use_cases.set_index("use_case_id")
    rows = []
    for name, run in valid.groupby("benchmark_id", sort=True):
        first, count = run.iloc[0], run["accelerators"].iloc[0]
        case = cases.loc[first["use_case_id"]]
        latencies = {key: run[column].to_numpy() for key, (column, _) in LATENCY_COLUMNS.items()}
        limits = {key: case[limit] for key, (_, limit) in LATENCY_COLUMNS.items() if np.isfinite(case[limit])}
        found = capacity_at_slo(run["units_per_s"].to_numpy(), latencies, limits)
        flattered = flattered_by_fixed_concurrency(run, case)
        capacity = found.units_per_s / (FLATTERED if flattered else 1.0)
        ordered = run.sort_values("units_per_s")
        watts = np.interp(capacity, ordered["units_per_s"], ordered["power_w"]) / count
        rows.append(
            {
                "benchmark_id": name,
                "use_case_id": first["use_case_id"],
                "accelerator_id": first["accelerator_id"],
                "precision": first["precision"],
                STATED: run["replica_accelerators"].max(),
                TESTED: count,
                "units_per_s_per_accelerator": capacity / count,
                "flattered": flattered,
                OPEN_LOAD: bool(run.get("load", pd.Series(pd.NA, index=run.index)).eq("trace").all()),
                "binding_slo": found.binding,
                "in_progress_per_accelerator": in_progress_at(run, capacity) / count,
                "power_w_per_accelerator": watts,
                "failure_rate": run["errors"].sum() / max(run["requests"].sum(), 1),
                "output_tokens_mean": run["output_tokens_mean"].mean(),
                "requests_per_unit": (run["requests"] - run["errors"]).sum()
                / max((run["units_per_s"] * run["duration_s"]).sum(), 1e-12),
                "as_of": first["as_of"],
                "source": first["source"],
            }
        )
    return pd.DataFrame(rows)


def measured_capacities(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean over repeats with interval; the precision with the highest capacity is kept per pair."""
    if runs.empty:
        return pd.DataFrame(columns=["use_case_id", "accelerator_id"])
    rows = []
    for (use_case, accelerator, precision), group in runs.groupby(["use_case_id", "accelerator_id", "precision"]):
        low, mean, high = interval(group["units_per_s_per_accelerator"].to_numpy())
        if flattered := bool(group["flattered"].any()):
            low, high = low * FLATTERED / OVERSTATED[1], high * FLATTERED / OVERSTATED[0]
        rows.append(
            {
                "use_case_id": use_case,
                "accelerator_id": accelerator,
                "precision": precision,
                STATED: group[STATED].max(),
                TESTED: group[TESTED].max(),
                "units_per_s_per_accelerator": mean,
                "low": low,
                "high": high,
                "tier": "measured",
                "binding_slo": group["binding_slo"].mode().iloc[0],
                OPEN_LOAD: bool(group[OPEN_LOAD].all()),
                "in_progress_per_accelerator": group["in_progress_per_accelerator"].mean(),
                "power_w_per_accelerator": group["power_w_per_accelerator"].mean(),
                "failure_rate": group["failure_rate"].mean(),
                "output_tokens_per_unit": (group["output_tokens_mean"] * group["requests_per_unit"]).mean(),
                "as_of": group["as_of"].max(),
                "evidence": f"{len(group)} run{'s' if len(group) > 1 else ''} on own prompts, {group['source'].iloc[0]}"
                + (TAKEN_OFF if flattered else ""),
            }
        )
    table = pd.DataFrame(rows).sort_values("units_per_s_per_accelerator", ascending=False, kind="stable")
    return table.drop_duplicates(["use_case_id", "accelerator_id"]).reset_index(drop=True)


def estimate_missing(
    ws: Workspace, measured: pd.DataFrame, shown: pd.DataFrame, *, unseen_classes: bool = False
) -> pd.DataFrame:
    """What production (`shown`, of `telemetry.shown_capacities`) and predictions say of every candidate and use case without a measurement.

    Where production speaks for a use case without any run, it sets the level of the other accelerators too: one level
    for a comparison, else the accelerator of today would be compared with figures that it refutes.
    """
    tokens = output_tokens_per_unit(ws)
    predict = partial(estimates.estimate_missing, measured=measured, tokens_per_unit=tokens, shown=shown, unseen_classes=unseen_classes)  # fmt: skip
    table = with_telemetry(predict(ws), shown)
    speaks = set(table.loc[table["tier"] == TELEMETRY, "use_case_id"]) if len(table) else set()
    refuted = frozenset(speaks - set(measured["use_case_id"]))
    if not refuted:
        return table
    cases = ws.table("use_cases")
    few = replace(ws, tables={**ws.tables, "use_cases": cases[cases["use_case_id"].isin(refuted)]})
    again = with_telemetry(predict(few, refuted=refuted), shown)
    parts = [table[~table["use_case_id"].isin(refuted)], again]
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def output_tokens_per_unit(ws: Workspace) -> pd.Series:
    """Production output tokens per service unit in the reporting month, else those of the demand chain, by use case."""
    month = ws.month("demand_windows")
    sums = month.groupby("use_case_id")[["output_tokens", "service_units"]].sum(min_count=1).astype("float64")
    measured = (sums["output_tokens"] / sums["service_units"]).dropna()
    return measured.combine_first(
        stated_lengths(ws.table("demand_chain"), ws.table("use_cases"))["output_tokens_per_unit"].dropna()
    )


def hourly_prices(ws: Workspace) -> pd.DataFrame:
    """All-in price of an hour of every candidate, region and option."""
    return effective_prices(price_table(offers_of(ws), ws.plan, ws.as_of), ws.table("accelerators"), ws.plan)


def price_of_use(
    prices: pd.DataFrame,
    regions: list[str],
    options: tuple[str, ...] = HOURLY_OPTIONS,
    compared: Collection[str] = (),
) -> pd.DataFrame:
    """Price per hour of each accelerator in the regions of a use case, on the first of `options` offered there.

    What is compared is priced on the same terms: the first on which all of the accelerators `compared` that have a price are offered.
    The mean over the regions counts; its date is that of the oldest of these prices, `price_source` names each of them by
    provider and source, and `exact_region` says whether all are of their region. Indexed by accelerator_id; accelerators
    without an offer are absent.
    """
    usd = "usd_per_accelerator_hour_effective"
    here = prices[prices["region"].isin(regions) & prices["purchase_option"].isin(options) & prices[usd].gt(0)]
    rivals = here[here["accelerator_id"].isin(compared)]
    offered = rivals.groupby("purchase_option")["accelerator_id"].nunique()
    common = [option for option in options if offered.get(option, 0) == rivals["accelerator_id"].nunique() > 0]
    order = dict.fromkeys([*common, *options])
    rank = here["purchase_option"].map({option: number for number, option in enumerate(order)})
    best = here[rank == rank.groupby(here["accelerator_id"]).transform("min")]
    groups = best.assign(price_source=best["provider"] + ", " + best["source"]).groupby("accelerator_id")
    columns = {
        usd: groups[usd].mean(),
        "purchase_option": groups["purchase_option"].first(),
        "price_source": groups["price_source"].agg(lambda of: "; ".join(sorted(of.unique()))),
        "as_of": groups["as_of"].min(),
        "exact_region": groups["exact_region"].all(),
    }
    return pd.DataFrame(columns)


def with_money(ws: Workspace, capacity: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """Add price, cost per unit and per million good tokens, energy per unit and tokens per joule.

    Accelerators measured on own prompts are priced on the same terms where there are such.
    What works at the edge stands on an own site: hours of a cloud region are no price for it.
    """
    parts = []
    tokens = output_tokens_per_unit(ws)
    classes = ws.table("use_cases").set_index("use_case_id")["workload_class"]
    for use_case, group in capacity.groupby("use_case_id", sort=False):
        options = EDGE_OPTIONS if classes.get(use_case) == EDGE_CLASS else HOURLY_OPTIONS
        own = group.loc[group["tier"] == "measured", "accelerator_id"]
        price = price_of_use(prices, use_case_regions(ws, str(use_case)), options, own).reindex(group["accelerator_id"])
        rate = group["units_per_s_per_accelerator"].where(group["units_per_s_per_accelerator"] > 0)
        usd = price["usd_per_accelerator_hour_effective"].to_numpy() / (rate * SECONDS_PER_HOUR)
        per_unit = group["output_tokens_per_unit"].fillna(tokens.get(use_case, np.nan))
        per_unit = per_unit.where(per_unit > 0)  # an embedding has no output tokens, hence no price or energy of one
        joules = group["power_w_per_accelerator"] / rate
        parts.append(
            group.assign(
                usd_per_accelerator_hour=price["usd_per_accelerator_hour_effective"].to_numpy(),
                purchase_option=price["purchase_option"].to_numpy(),
                price_source=price["price_source"].to_numpy(),
                price_as_of=price["as_of"].to_numpy(),
                exact_region=price["exact_region"].to_numpy(),
                usd_per_1k_units=usd * 1000,
                usd_per_million_output_tokens=usd / per_unit * MEGA,
                joules_per_unit=joules,
                tokens_per_joule=per_unit / joules,
            )
        )
    return pd.concat(parts, ignore_index=True)


def use_case_regions(ws: Workspace, use_case: str) -> list[str]:
    """Regions with demand of a use case in the reporting month; else those of its demand chain; else those it may run in."""
    for table in ("demand_windows", "jobs"):
        rows = ws.month(table)
        here = rows[rows["use_case_id"] == use_case]
        if len(here):
            return sorted(here["region"].unique())
    chain = ws.table("demand_chain")
    shares = chain[(chain["use_case_id"] == use_case) & (chain["factor"] == "region_share") & (chain["value"] > 0)]
    if len(shares):
        return sorted(shares["region"].unique())
    allowed = ws.table("use_cases").set_index("use_case_id")["allowed_regions"].get(use_case)
    return (
        [part.strip() for part in allowed.split(";")]
        if isinstance(allowed, str)
        else [r.region for r in ws.plan.regions]
    )
