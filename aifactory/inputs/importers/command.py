"""`aifactory import`: read files of one kind, report what was read, put it into a workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.exchange_rates import OURS, rate_of
from aifactory.inputs.hold import exchange, writing
from aifactory.inputs.importers.benchmarks.command import import_benchmarks, suggest_facts
from aifactory.inputs.importers.bills import bill_report, read_bill
from aifactory.inputs.importers.bills.litellm import tell_proxy_beside_invoice
from aifactory.inputs.importers.delivery import refuse_twins, refuse_two_exports, tell_repeated_charges
from aifactory.inputs.importers.jobs.read import is_job_trace, read_jobs
from aifactory.inputs.importers.regions import settle_regions
from aifactory.inputs.importers.store import add_aggregates, add_rows, held_rows, held_use_cases, require_workspace
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.telemetry import import_telemetry
from aifactory.inputs.importers.telemetry.large import is_large, large_report, read_large
from aifactory.inputs.importers.telemetry.litellm_daily import refuse_second_view, refuse_views
from aifactory.inputs.importers.telemetry.prometheus import PoolNames, is_address, read_month, read_server
from aifactory.inputs.importers.traces import import_trace
from aifactory.inputs.importers.unnamed import settle_names, tell_unknown_use_cases, unnamed_target
from aifactory.inputs.importers.use_cases.command import Answers, import_use_cases, store_use_cases, suggest_columns
from aifactory.inputs.months import month_of
from aifactory.inputs.parts import PARTED
from aifactory.inputs.plan import load_plan
from aifactory.inputs.tables import read_text
from aifactory.inputs.workspace import table_file
from aifactory.inputs.yaml_file import read_yaml

MAPPED = ("columns", "use_cases", "regions", "labels", "pools", "accelerators", "purchase_options")
#: Kinds whose files may lack names that a workspace needs.
NAMED = ("telemetry", "jobs", "trace")
#: Kinds whose mapping is of another form.
BENCHMARK = "benchmark"
OWN_MAPPING = ("use-cases", BENCHMARK)
#: What a report says of money whose source states none.
WITHOUT_MONEY: dict[str, object] = {"currency": None, "by": {}}
#: A bill of more rows is stored as Parquet: no person opens it, and text takes ten times as long.
MOST_CSV_ROWS = 100_000


def read_mapping(path: Path | None, kind: str = "") -> dict[str, object]:
    """Parts of a `Target` that a mapping file holds.

    `columns` (ours: theirs), `use_cases` and `regions` (theirs: ours); of Prometheus `labels` (workload, region, pool:
    label that holds it), `pools` (label: pool), `accelerators` (model: accelerator of the catalogue),
    `purchase_options` (pool, or "*": option). The mappings of a spreadsheet of use cases and of result files are
    richer and are read with them.
    """
    if kind in OWN_MAPPING:
        return {"mapping": path}
    held = read_yaml(path) if path else {}
    unknown = next((name for name in held if name not in MAPPED), "")
    if unknown:
        raise InputError.at(path.name, "is no part of a mapping.", value=unknown, choices=MAPPED)
    for name, part in held.items():
        if not isinstance(part, dict) or not all(isinstance(item, str) for pair in part.items() for item in pair):
            raise InputError.at(path.name, "must hold names and names", column=name)
    return held


def suggest_mapping(kind: str, sources: Sequence[Path | str], out: Path) -> Path:
    """Write a mapping to be confirmed and passed with --mapping: of a spreadsheet of use cases, or of result files."""
    if kind not in OWN_MAPPING:
        rule = "takes one spreadsheet of use cases, or result files of benchmarks"
        raise InputError.at("--suggest-mapping", rule, value=kind)
    if out.exists():
        raise InputError.at("--suggest-mapping", "the file exists; a mapping is never overwritten", value=str(out))
    return suggest_facts(sources, out) if kind == BENCHMARK else suggest_columns(sources, out)


def import_files(
    kind: str, sources: Sequence[Path | str], into: Path | None, target: Target, *, replace: bool = False
) -> list[dict[str, object]]:
    """Import files (telemetry: also addresses of servers); nothing is written before everything was read.

    The files of one command are parts of one delivery: two of the same content, and two exports of the
    same charges, are refused.

    Returns
    -------
    One report per source, with `source` and, if written, `written`.
    """
    if kind not in (*KINDS, BENCHMARK):
        raise InputError.at("KIND", "cannot be imported.", value=kind, choices=(*KINDS, BENCHMARK))
    if target.facts and kind != BENCHMARK:
        raise InputError.at("--set", f"is of benchmarks; {kind} takes no facts", value=next(iter(target.facts)))
    if target.zone not in ("", "UTC") and kind != "jobs":
        rule = f"is of jobs; times of {kind} that name no zone are read as UTC: write their offset, such as +01:00"
        raise InputError.at("--zone", rule, value=target.zone)
    if into is not None:
        require_workspace(into)
    with writing(into) if into is not None else nullcontext():
        return _import(kind, [_place(source) for source in sources], into, target, replace=replace)


def _import(
    kind: str, places: list[Path | str], into: Path | None, target: Target, *, replace: bool
) -> list[dict[str, object]]:
    if kind == BENCHMARK:
        return [WITHOUT_MONEY | report for report in import_benchmarks(_paths(places), into, target, replace=replace)]
    refuse_twins(places)
    if kind == "telemetry" and (target.engine or is_large(places)):
        return [WITHOUT_MONEY | _large(places, into, target, replace=replace)]
    read = [KINDS[kind](place, target) for place in places]
    for report, tables in read if kind in NAMED else ():
        settle_regions(report["source"], report, {name: rows for name, rows, _ in tables}, into, target.regions)
        settle_names(report["source"], report, [rows for _, rows, _ in tables], into)
        tell_unknown_use_cases(report, [rows for _, rows, _ in tables], into)
    if kind == "billing" and len(read) > 1:
        bills = [(report, tables[0][1]) for report, tables in read]
        refuse_two_exports(bills)
        tell_repeated_charges(bills)
    if kind == "billing":
        if into is not None:
            _refuse_other_currency(into, [(report, tables[0][1]) for report, tables in read])
        held = held_rows(into, "billing") if into is not None else pd.DataFrame()
        tell_proxy_beside_invoice([(report, tables[0][1]) for report, tables in read], held)
    refuse_views([report for report, _ in read])
    for report, tables in read if into is not None else ():
        if "view" in report:
            refuse_second_view(held_rows(into, "demand_windows"), tables[0][1], "demand_windows")
    if into is not None and kind in NAMED:
        _tell_second_source(into, [(report, {name: rows for name, rows, _ in tables}) for report, tables in read])
    if into is not None:
        _store(into, read, target, replace=replace)
    return [WITHOUT_MONEY | report for report, _ in read]


def _refuse_other_currency(into: Path, bills: list[tuple[dict[str, object], pd.DataFrame]]) -> None:
    """A bill that no report of the workspace could show is not stored there; of another one the rates are told."""
    require_workspace(into)
    for report, charges in bills:
        currency = report["currency"]
        if currency in ("", OURS):
            continue
        rates = load_plan(into / "plan.yaml").exchange_rates
        months = sorted(set(month_of(charges["BillingPeriodStart"])))
        used = {month: rate_of(rates, currency, month) for month in months}
        absent = next((month for month, rate in used.items() if rate is None), "")
        if absent:
            rule = f"the plan of {into.name} is in {OURS} and states no rate for {absent}: add it to exchange_rates of plan.yaml (currency, from_month, usd, source, as_of), as your accounts use it; currencies are never added"
            raise InputError.at(report["source"], rule, column="BillingCurrency", value=currency)
        told = "; ".join(f"{month} at {rate.usd} ({rate.source}, {rate.as_of})" for month, rate in used.items())
        text = f"stored in {currency}; reports show {OURS} by the rates of plan.yaml: {told}"
        report["warnings"] = [*report["warnings"], {"text": text, "rows": len(charges)}]


def _tell_second_source(into: Path, read: list[tuple[dict[str, object], dict[str, pd.DataFrame]]]) -> None:
    """Warn of use cases that the workspace counts in its other table of demand already."""
    for mine, other in (("requests", "demand_windows"), ("demand_windows", "requests")):
        if not any(mine in tables for _, tables in read):
            continue
        names = held_use_cases(into, other)
        for report, tables in read:
            again = tables[mine]["use_case_id"].isin(names) if mine in tables else pd.Series(dtype="bool")
            if again.any():
                shown = ", ".join(sorted(tables[mine].loc[again, "use_case_id"].unique())[:5])
                text = f"counted in {other} too ({shown}): a report takes one source of a use case, keep one or name the others apart in the mapping"
                report["warnings"] = [*report["warnings"], {"text": text, "rows": int(again.sum())}]


#: Report of one source, and the tables it fills: name, rows, ending of the file.
Read = tuple[dict[str, object], list[tuple[str, pd.DataFrame | Answers, str]]]


def _store(into: Path, read: list[Read], target: Target, *, replace: bool) -> None:
    """Store all that was read, all tables at once, and note it in the reports."""
    by_table: dict[str, list[tuple[dict[str, object], pd.DataFrame | Answers, str]]] = {}
    for report, tables in read:
        for name, rows, suffix in tables:
            by_table.setdefault(name, []).append((report, rows, suffix))
    for report, rows, _ in by_table.pop("use_case_candidates", []):
        report["into"] = store_use_cases(into, rows, report, target, replace=replace)
    if not by_table:
        return
    with exchange(into) as change:
        for table, parts in by_table.items():
            rows = pd.concat([rows for _, rows, _ in parts], ignore_index=True) if len(parts) > 1 else parts[0][1]
            suffix = next((suffix for *_, suffix in parts if suffix != ".csv"), ".csv")
            written = add_rows(into, table, rows, replace=replace, suffix=suffix, change=change).name
            for report, *_ in parts:
                report["written"] = ", ".join([*filter(None, [report.get("written", "")]), written])


def _paths(places: list[Path | str]) -> list[Path]:
    address = next((place for place in places if isinstance(place, str)), "")
    if address:
        raise InputError.at("SOURCES", "must be files; a benchmark is no server", value=address)
    return [place for place in places if isinstance(place, Path)]


def _place(source: Path | str) -> Path | str:
    return source if is_address(str(source)) else Path(source)


def _billing(path: Path, target: Target) -> Read:
    bill = read_bill(path, target.today)
    suffix = ".csv" if len(bill.charges) <= MOST_CSV_ROWS else ".parquet"
    return {"source": path.name} | bill_report(bill), [("billing", bill.charges, suffix)]


def _telemetry(source: Path | str, target: Target) -> Read:
    if is_address(str(source)) or Path(source).is_dir():
        return _prometheus(source, target)
    return import_telemetry(Path(source), unnamed_target(target, "telemetry"))


def _prometheus(source: Path | str, target: Target) -> Read:
    names = PoolNames.of(target)
    if isinstance(source, Path):
        read, name = read_month(source, target.region, target.use_cases, names, target.today), source.name
    else:
        read, name = read_server(source, target.period, names, target.use_cases, target.today), source
    tables = [("demand_windows", read.windows, ".parquet"), ("pools", read.pools, ".csv"), ("latency_bounds", read.latency, ".parquet")]  # fmt: skip
    return {"source": name} | read.report, [item for item in tables if len(item[1])]


def _today(target: Target) -> pd.Timestamp:
    return target.today if target.today is not None else pd.Timestamp("2200-01-01", tz="UTC")


def _large(sources: list[Path], into: Path | None, target: Target, *, replace: bool) -> dict[str, object]:
    """One log, in however many files: aggregated, and kept as windows, histograms and use by tenant, by day."""
    if into is not None:
        require_workspace(into)
    log = read_large(
        sources,
        _today(target),
        region=unnamed_target(target, "telemetry").region,
        use_cases=target.use_cases,
        columns=target.columns,
        sessions=_counted_by_session(into),
        engine=target.engine,
    )
    report = {"source": log.source} | large_report(log)
    aggregates = log.aggregates
    held = dict(zip(PARTED, (aggregates.windows, aggregates.histograms, aggregates.tenants), strict=True))
    settle_regions(log.source, report, held, into, target.regions)
    settle_names(log.source, report, list(held.values()), into)
    tell_unknown_use_cases(report, list(held.values()), into)
    if into is not None:
        report["written"] = add_aggregates(into, log.aggregates, replace=replace)
    return report


def _counted_by_session(into: Path | None) -> list[str]:
    """Use cases of the workspace whose service unit is the session."""
    path = None if into is None else table_file(into, "use_cases")
    if path is None:
        return []
    cases, _ = read_text(path)
    return [] if "service_unit" not in cases else cases.loc[cases["service_unit"] == "session", "use_case_id"].tolist()


def _trace(path: Path, target: Target) -> Read:
    report, table, rows = import_trace(path, unnamed_target(target, "trace"))
    return report, [(table, rows, ".parquet")]


def _jobs(path: Path, target: Target) -> Read:
    if is_job_trace(path):
        return _trace(path, target)
    report, rows = read_jobs(path, unnamed_target(target, "jobs"))
    return {"source": path.name} | report, [("jobs", rows, ".parquet")]


KINDS: dict[str, Callable[..., Read]] = {
    "billing": _billing,
    "telemetry": _telemetry,
    "use-cases": import_use_cases,
    "jobs": _jobs,
    "trace": _trace,
}
