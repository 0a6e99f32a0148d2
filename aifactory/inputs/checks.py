"""Checks between columns and tables. Each is small and named; failures stop a run, warnings do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pandas as pd

from aifactory.errors import nearest
from aifactory.inputs.bill_checks import (
    accelerators_have_hours,
    bill_in_its_month,
    bill_rows_once,
    charges_plausible,
    hours_cost_like_offers,
)
from aifactory.inputs.by_region import unplaced_charges
from aifactory.inputs.commitment_checks import book_faults, book_gaps
from aifactory.inputs.contracts import contract_names, load_contract
from aifactory.inputs.decision_checks import log_faults, log_gaps
from aifactory.inputs.demand_checks import chain_faults, doubted_windows, residency_faults, site_faults, what_if_faults
from aifactory.inputs.findings import Finding, Tables, rows_found
from aifactory.inputs.hosted import closed_models
from aifactory.inputs.plan import Plan
from aifactory.inputs.plan_checks import unknown_names
from aifactory.inputs.price_checks import doubted_prices, prices_dated_ahead
from aifactory.inputs.region_checks import misspelt_providers, undescribed_regions, unserved_prices
from aifactory.inputs.run_checks import (
    bands_have_plan,
    one_approved_plan,
    orders_within_pools,
    price_matches_option,
    runs_of_one_kind,
    same_provider_region,
)
from aifactory.inputs.unit_checks import life_in_order, limits_in_ms, runs_in_ms, runs_in_units
from aifactory.inputs.unlikely_pairs import unlikely_pairs
from aifactory.inputs.unusual import unusual_values
from aifactory.units import few

#: A label is suspect where the pool draws more than this share of its accelerators' design power.
POWER_TOLERANCE = 1.15
MIN_PLAUSIBLE_E2E_MS = 10
#: The longest published training runs lasted about four months (BLOOM: 3.5).
LONGEST_JOB_DAYS = 120
#: Units of which a request rarely is exactly one.
_UNITS_APART = {"session", "audio_minute", "video_second"}
_ACCELERATOR_HOUR_CLASSES = {"batch_training", "parameter_efficient_fine_tuning"}


def check_tables(tables: Tables, plan: Plan) -> list[Finding]:
    """Run every check; a check without findings yields one row `passed`."""
    results: list[Finding] = []
    for name, (table, check) in CHECKS.items():
        about_names = table == "use_cases" and len(tables["use_case_candidates"]) > 0
        if len(tables[table]) == 0 and not about_names:
            continue
        found = list(check(tables, plan))
        results += found or [Finding(table, name, "passed", "")]
    return results


def foreign_keys(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Every reference exists; the nearest existing name is suggested."""
    for name in contract_names():
        for key in load_contract(name).foreign_keys:
            frame, known = tables[name], set(tables[key.table][key.reference].dropna())
            values = frame[key.column]
            status = "warned" if key.table == "models" else "failed"
            wrong = values.notna() & ~values.isin(known)
            if key.table == "models":
                wrong &= ~closed_models(values, known, tables["api_prices"]["api_model"])
            for value in values[wrong].unique()[:5]:
                row = int(frame.index[values == value][0]) + 2
                rule = f"is not in table {key.table}.{nearest(value, sorted(known))}"
                if key.table == "use_cases" and value in set(tables["use_case_candidates"]["use_case_id"]):
                    rule = _why_candidate(tables, value)
                yield Finding(name, "foreign_keys", status, rule, row, key.column, str(value))


def _why_candidate(tables: Tables, use_case: str) -> str:
    """Needed columns that a candidate does not fill; one that fills all waits to be imported again."""
    candidates = tables["use_case_candidates"]
    row = candidates[candidates["use_case_id"] == use_case].iloc[0]
    lacks = [item.name for item in load_contract("use_cases").fields if item.required and row.isna()[item.name]]
    if lacks:
        return f"is a candidate that lacks {', '.join(lacks)}; `aifactory sheet` asks its owner"
    return "is a candidate that lacks nothing: describe its regions in plan.yaml, then import its row again"


def candidates_have_gaps(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Use cases that lack a value which planning needs are counted with what they lack; they are not planned."""
    frame = tables["use_case_candidates"]
    needed = [item.name for item in load_contract("use_cases").fields if item.required]
    lacking = {name: int(frame[name].isna().sum()) for name in needed}
    shown = ", ".join(f"{name} {count:,}" for name, count in lacking.items() if count)
    rule = f"{len(frame):,} use cases are in no plan until their gaps are filled ({shown or 'unit and class do not fit'}); `aifactory sheet` asks their owners"
    yield Finding("use_case_candidates", "candidates_have_gaps", "warned", rule)


def errors_within_requests(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A window cannot have more failures or retries than requests."""
    frame = tables["demand_windows"]
    for column in ("errors", "retries"):
        bad = frame[column] > frame["requests"]
        yield from rows_found(
            frame, bad, "demand_windows", "errors_within_requests", "failed", column, "exceeds requests"
        )


def cached_within_input(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Cached prompt tokens are part of the prompt tokens."""
    for table in ("demand_windows", "requests"):
        frame = tables[table]
        bad = frame["cached_input_tokens"] > frame["input_tokens"]
        rule = "exceeds input_tokens"
        yield from rows_found(frame, bad, table, "cached_within_input", "failed", "cached_input_tokens", rule)


def one_window_length(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A use case is counted in windows of one length within a month; older months may be kept in longer ones."""
    windows, by = tables["demand_windows"], ["use_case_id", "region", "month"]
    month = windows["window_start_utc"].dt.tz_localize(None).dt.to_period("M")
    found = windows.assign(month=month).groupby(by)["window_minutes"].agg(["min", "max"]).reset_index()
    for row in found[found["min"] < found["max"]].drop_duplicates("use_case_id").itertuples():
        rule = f"has windows of {row.min} and of {row.max} minutes in {row.region} in {row.month}: add up the shorter ones, a month has one length"
        yield Finding("demand_windows", "one_window_length", "failed", rule, None, "window_minutes", row.use_case_id)


def ttft_within_e2e(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """The first token cannot come after the last."""
    frame = tables["requests"]
    bad = frame["ttft_ms"] > frame["e2e_ms"]
    yield from rows_found(frame, bad, "requests", "ttft_within_e2e", "failed", "ttft_ms", "exceeds e2e_ms")


def window_length_known(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Windows fit into hours, or hours into windows and windows into days."""
    frame = tables["demand_windows"]
    minutes = frame["window_minutes"]
    bad = ~((60 % minutes == 0) | ((minutes % 60 == 0) & (1440 % minutes == 0)))
    rule = "must divide an hour (1, 5, 15, 60 ...) or be whole hours that divide a day (120, 1440 ...)"
    yield from rows_found(frame, bad, "demand_windows", "window_length_known", "failed", "window_minutes", rule)


def jobs_in_order(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Submitted, started and ended follow each other."""
    frame = tables["jobs"]
    early = frame["started_utc"] < frame["submitted_utc"]
    yield from rows_found(frame, early, "jobs", "jobs_in_order", "failed", "started_utc", "is before submitted_utc")
    late = frame["ended_utc"] < frame["started_utc"].fillna(frame["submitted_utc"])
    rule = "is before started_utc or submitted_utc"
    yield from rows_found(frame, late, "jobs", "jobs_in_order", "failed", "ended_utc", rule)


def jobs_fit_pools(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A job that ran held no more accelerators than the pools of its region ever did, where there are readings of them."""
    frame, pools = tables["jobs"], tables["pools"]
    place = ["region", "accelerator_id"]
    held = pools.groupby([*place, "pool_id"], observed=True)["installed"].max().groupby(place).sum()
    most = held.reindex(pd.MultiIndex.from_frame(frame[place])).to_numpy(dtype=float)
    over = frame["started_utc"].notna() & (frame["accelerators"] > most)
    rule = "more than all pools of this accelerator in its region ever held: is it a number of cores, or a slip?"
    yield from rows_found(frame, over, "jobs", "jobs_fit_pools", "warned", "accelerators", rule)


def jobs_have_ends(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A job that no longer runs says when it ended, and none holds accelerators longer than training runs do."""
    frame, name = tables["jobs"], "jobs_have_ends"
    over = frame["started_utc"].notna() & frame["ended_utc"].isna() & (frame["status"] != "running")
    rule = "no longer runs and has no ended_utc: its accelerator-hours are unknown and count nowhere"
    yield from rows_found(frame, over, "jobs", name, "warned", "status", rule)
    latest = frame[["submitted_utc", "started_utc"]].max().max()
    held = frame["ended_utc"].fillna(latest) - frame["started_utc"]
    long = held.gt(pd.Timedelta(days=LONGEST_JOB_DAYS)) & ~over
    rule = f"has held its accelerators for more than {LONGEST_JOB_DAYS} days: is the year right, and does it still run?"
    yield from rows_found(frame, long, "jobs", name, "warned", "ended_utc", rule)


def one_currency(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Money of several currencies is never added."""
    frame = tables["billing"]
    bad = frame["BillingCurrency"] != plan.currency
    months = few(sorted(set(frame.loc[bad, "ChargePeriodStart"].astype("str").str[:7])))
    rule = f"the plan is in {plan.currency}; state the rate of its month under exchange_rates of plan.yaml, currencies are never added; without one: {months}"
    yield from rows_found(frame, bad, "billing", "one_currency", "failed", "BillingCurrency", rule)


def regions_described(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Every region of the data is described in plan.yaml."""
    for table, (row, column, value, rule) in undescribed_regions(tables, sorted(item.region for item in plan.regions)):
        yield Finding(table, "regions_described", "failed", rule, row, column, value)


def prices_serve_a_region(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Own prices hold in a region of the plan, and its providers have prices, see `region_checks`."""
    for provider, rule in misspelt_providers(tables["prices"], plan.regions):
        yield Finding("prices", "prices_serve_a_region", "warned", rule, None, "provider_regions", provider)
    for row, column, value, rule in unserved_prices(tables["prices"], plan.regions):
        yield Finding("prices", "prices_serve_a_region", "warned", rule, row, column, value)


def allowed_regions_known(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Residency rules name regions of plan.yaml."""
    known = {region.region for region in plan.regions}
    for row, text in tables["use_cases"]["allowed_regions"].dropna().items():
        for value in (part.strip() for part in text.split(";")):
            if value not in known:
                parts = {part.strip() for part in re.split(r"[|,/]", value)}
                several = len(parts) > 1 and parts <= known
                rule = (
                    f"separate regions by ';': {'; '.join(sorted(parts))}"
                    if several
                    else f"is not described in plan.yaml.{nearest(value, sorted(known))}"
                )
                yield Finding(
                    "use_cases", "allowed_regions_known", "failed", rule, int(row) + 2, "allowed_regions", value
                )


def sites_known(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Sites that stand alone are stated for regions of plan.yaml, and for each where there are several."""
    regions = sorted(region.region for region in plan.regions)
    for row, column, value, rule in site_faults(tables["use_cases"], tables["demand_windows"], regions):
        yield Finding("use_cases", "sites_known", "failed", rule, row, column, value)


def plan_names_known(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Use cases, accelerators and vendors that plan.yaml names stand in their tables."""
    for place, value, rule in unknown_names(tables, plan):
        yield Finding("use_cases", "plan_names_known", "failed", rule, None, place, value)
    for value, rule in unplaced_charges(tables, plan):
        yield Finding("billing", "plan_names_known", "warned", rule, None, "RegionId", value)


def latency_in_ms(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """End-to-end times of a language model below 10 ms are seconds more often than milliseconds."""
    frame = tables["requests"]
    served = frame[(frame["status"] == "ok") & (frame["output_tokens"] > 1) & frame["e2e_ms"].notna()]
    if len(served) and served["e2e_ms"].median() < MIN_PLAUSIBLE_E2E_MS:
        rule = (
            f"the median of {len(served)} served requests is {served['e2e_ms'].median():g}: seconds in a column of ms?"
        )
        yield Finding("requests", "latency_in_ms", "warned", rule, None, "e2e_ms")


def residency_kept(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """No demand was served, or is foreseen, outside the regions a use case is allowed in."""
    for table in ("demand_windows", "demand_chain"):
        for row, column, value, rule in residency_faults(tables[table], tables["use_cases"]):
            at = row if table == "demand_chain" else None  # windows may be made of rows of requests
            yield Finding(table, "residency_kept", "warned", rule, at, column, value)


def units_are_counted(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Sessions, minutes and seconds are counted, not taken for requests: a log without units counts one for each."""
    windows = tables["demand_windows"]
    unit_of = tables["use_cases"].set_index("use_case_id")["service_unit"]
    served = windows[windows["requests"] > windows["errors"]]
    one_each = served["service_units"] == served["requests"] - served["errors"]
    with_sessions = set(tables["requests"].loc[tables["requests"]["session_id"].notna(), "use_case_id"])
    for use_case, alike in one_each.groupby(served["use_case_id"]):
        unit = unit_of.get(use_case, "")
        if (
            unit in _UNITS_APART
            and alike.all()
            and len(alike) > 1
            and (unit, use_case in with_sessions) != ("session", True)
        ):
            rule = f"every successful request counts as one {unit.replace('_', ' ')}, in all {len(alike)} windows: give service_units if that is not so"
            yield Finding("demand_windows", "units_are_counted", "warned", rule, None, "service_units", use_case)
    for row, column, value, rule in doubted_windows(windows):
        yield Finding("demand_windows", "units_are_counted", "warned", rule, row, column, value)


def unit_fits_class(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Training and tuning are counted in accelerator-hours, everything else is not."""
    frame = tables["use_cases"]
    training = frame["workload_class"].isin(_ACCELERATOR_HOUR_CLASSES)
    bad = training != (frame["service_unit"] == "accelerator_hour")
    rule = "training and fine-tuning count accelerator_hour, other classes do not"
    yield from rows_found(frame, bad, "use_cases", "unit_fits_class", "failed", "service_unit", rule)


def wait_of_jobs(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A limit of the wait in hours is one of training jobs."""
    frame = tables["use_cases"]
    bad = frame["slo_p95_wait_hours"].notna() & ~frame["workload_class"].isin(_ACCELERATOR_HOUR_CLASSES)
    rule = "is a limit of training and fine-tuning jobs; what other batch work may wait is in slo_p95_e2e_ms"
    yield from rows_found(frame, bad, "use_cases", "wait_of_jobs", "failed", "slo_p95_wait_hours", rule)


def spot_below_on_demand(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A spot price above the same offer on demand is a data error more often than a market."""
    frame = tables["prices"]
    keys = ["provider", "accelerator_id", "region", "sku"]
    on_demand = (
        frame[frame["purchase_option"] == "on_demand"].groupby(keys, dropna=False)["usd_per_accelerator_hour"].min()
    )
    spot = frame[frame["purchase_option"] == "spot"].join(on_demand.rename("on_demand"), on=keys)
    bad = spot["usd_per_accelerator_hour"] > spot["on_demand"]
    rule = "spot price above on-demand"
    yield from rows_found(spot, bad, "prices", "spot_below_on_demand", "warned", "usd_per_accelerator_hour", rule)


def term_matches_option(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A reserved year has twelve months, three years 36; any other commitment at least one, and hours have no term."""
    frame = tables["prices"]
    option, term = frame["purchase_option"], frame["term_months"].fillna(0)
    known = option.map({"reserved_1y": 12, "reserved_3y": 36, "on_demand": 0, "spot": 0})
    bad = (known.notna() & (term != known)) | (option.isin(["lease", "capacity_block"]) & (term < 1))
    rule = "reserved_1y has 12 months, reserved_3y 36, lease and capacity_block 1 or more, hours by the hour 0"
    yield from rows_found(frame, bad, "prices", "term_matches_option", "failed", "term_months", rule)


def one_price_an_offer(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Two prices of the same offer on the same day contradict each other; the lower one would be used without a word."""
    frame = tables["prices"]
    keys = [
        "provider",
        "sku",
        "accelerator_id",
        "region",
        "purchase_option",
        "term_months",
        "upfront_fraction",
        "as_of",
    ]
    price = frame["usd_per_accelerator_hour"].fillna(frame["usd_per_accelerator"])
    bad = price.groupby([frame[key] for key in keys], dropna=False).transform("nunique") > 1
    rule = "another price of this offer on the same day stands above; the lowest is used, keep the one that holds"
    yield from rows_found(
        frame, bad & frame.duplicated(keys), "prices", "one_price_an_offer", "warned", "price_id", rule
    )


def candidates_known(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Candidates of plan.yaml stand in the catalogue, on more than recalled figures."""
    catalogue = tables["accelerators"].set_index("accelerator_id")["verified_sources"]
    stated = [(name, "candidates") for name in plan.candidates]
    for name, where in [*stated, (plan.reference_accelerator, "reference_accelerator")]:
        if name not in catalogue.index:
            rule = f"(plan.yaml) is not in table accelerators.{nearest(name, catalogue.index)}"
            yield Finding("accelerators", "candidates_known", "failed", rule, None, where, name)
        elif catalogue[name] == 0:
            rule = "its specifications are recalled, not verified in a source"
            yield Finding("accelerators", "candidates_known", "warned", rule, None, "accelerator_id", name)


def pool_power_plausible(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """A pool that draws more than its accelerators can is mislabelled."""
    tdp = tables["accelerators"].set_index("accelerator_id")["tdp_w"]
    frame = tables["pools"]
    limit = frame["accelerator_id"].map(tdp) * frame["installed"] * POWER_TOLERANCE
    for pool, rows in frame[frame["power_w"] > limit].groupby("pool_id"):
        label, watts = rows["accelerator_id"].iloc[0], float((rows["power_w"] / rows["installed"]).mean())
        rule = f"labelled {label} ({tdp[label]:.0f} W) but draws {watts:.0f} W each in the mean of {len(rows):,} readings above that: check the label"
        yield Finding("pools", "pool_power_plausible", "warned", rule, int(rows.index[0]) + 2, "pool_id", str(pool))


def check_chain(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Factors of a demand chain fit together, see `demand_checks.chain_faults`."""
    regions = [item.region for item in plan.regions]
    for row, column, value, rule in chain_faults(tables["demand_chain"], regions):
        yield Finding("demand_chain", "demand_chain", "failed", rule, row, column, value)


def check_what_ifs(tables: Tables, plan: Plan) -> Iterator[Finding]:
    """Named scenarios name regions of the plan and months in order, see `demand_checks.what_if_faults`."""
    regions = [item.region for item in plan.regions]
    for row, column, value, rule in what_if_faults(tables["demand_what_ifs"], regions):
        yield Finding("demand_what_ifs", "demand_what_ifs", "failed", rule, row, column, value)


def decision_log(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Entries of the log are in order of their dates and stand once; open decisions have a due date."""
    for status, faults in (("failed", log_faults), ("warned", log_gaps)):
        for row, column, value, rule in faults(tables["decisions"]):
            yield Finding("decisions", "decision_log", status, rule, row, column, value)


def order_book(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Orders placed have months in order, an end where they are rented, and an amount."""
    for status, faults in (("failed", book_faults), ("warned", book_gaps)):
        for row, column, value, rule in faults(tables["commitments"]):
            yield Finding("commitments", "order_book", status, rule, row, column, value)


def prices_like_others(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Own prices and rents of contracts lie near the other offers of their accelerator."""
    for name in ("prices", "commitments"):
        for row, column, value, rule in doubted_prices(tables[name], tables["accelerators"]):
            yield Finding(name, "prices_like_others", "warned", rule, row, column, value)


CHECKS: dict[str, tuple[str, Callable[[Tables, Plan], Iterator[Finding]]]] = {
    "foreign_keys": ("use_cases", foreign_keys),
    "candidates_have_gaps": ("use_case_candidates", candidates_have_gaps),
    "errors_within_requests": ("demand_windows", errors_within_requests),
    "cached_within_input": ("demand_windows", cached_within_input),
    "one_window_length": ("demand_windows", one_window_length),
    "window_length_known": ("demand_windows", window_length_known),
    "ttft_within_e2e": ("requests", ttft_within_e2e),
    "jobs_in_order": ("jobs", jobs_in_order),
    "jobs_fit_pools": ("jobs", jobs_fit_pools),
    "jobs_have_ends": ("jobs", jobs_have_ends),
    "one_currency": ("billing", one_currency),
    "bill_rows_once": ("billing", bill_rows_once),
    "bill_in_its_month": ("billing", bill_in_its_month),
    "charges_plausible": ("billing", charges_plausible),
    "accelerators_have_hours": ("billing", accelerators_have_hours),
    "hours_cost_like_offers": ("billing", hours_cost_like_offers),
    "regions_described": ("use_cases", regions_described),
    "plan_names_known": ("use_cases", plan_names_known),
    "latency_in_ms": ("requests", latency_in_ms),
    "allowed_regions_known": ("use_cases", allowed_regions_known),
    "sites_known": ("use_cases", sites_known),
    "residency_kept": ("demand_windows", residency_kept),
    "units_are_counted": ("demand_windows", units_are_counted),
    "unit_fits_class": ("use_cases", unit_fits_class),
    "wait_of_jobs": ("use_cases", wait_of_jobs),
    "life_in_order": ("use_cases", life_in_order),
    "limits_in_ms": ("use_cases", limits_in_ms),
    "unusual_values": ("use_cases", unusual_values),
    "unlikely_pairs": ("use_cases", unlikely_pairs),
    "runs_in_ms": ("benchmarks", runs_in_ms),
    "runs_in_units": ("benchmarks", runs_in_units),
    "spot_below_on_demand": ("prices", spot_below_on_demand),
    "price_matches_option": ("prices", price_matches_option),
    "term_matches_option": ("prices", term_matches_option),
    "one_price_an_offer": ("prices", one_price_an_offer),
    "prices_like_others": ("prices", prices_like_others),
    "prices_dated_ahead": ("prices", prices_dated_ahead),
    "prices_serve_a_region": ("prices", prices_serve_a_region),
    "candidates_known": ("accelerators", candidates_known),
    "pool_power_plausible": ("pools", pool_power_plausible),
    "demand_chain": ("demand_chain", check_chain),
    "demand_what_ifs": ("demand_what_ifs", check_what_ifs),
    "decision_log": ("decisions", decision_log),
    "order_book": ("commitments", order_book),
    "orders_within_pools": ("commitments", orders_within_pools),
    "runs_of_one_kind": ("benchmarks", runs_of_one_kind),
    "one_approved_plan": ("approved_plan", one_approved_plan),
    "bands_have_plan": ("approved_bands", bands_have_plan),
    "same_provider_region": ("billing", same_provider_region),
}
