"""A workspace: a folder of tables and one plan.yaml, loaded, validated, traceable."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError, StageError, nearest
from aifactory.inputs import aggregate
from aifactory.inputs.billing import derive_billing
from aifactory.inputs.by_region import split_by_region, under_old_names
from aifactory.inputs.checks import check_tables
from aifactory.inputs.contracts import CONTRACTS_DIR, Contract, contract_names, load_contract
from aifactory.inputs.converted import in_dollars
from aifactory.inputs.findings import Finding, findings_frame
from aifactory.inputs.hold import settle
from aifactory.inputs.horizon import rows_until, seen_until
from aifactory.inputs.parts import PARTED, part_files
from aifactory.inputs.plan import Plan, load_plan
from aifactory.inputs.providers import with_provider_names
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import SUFFIXES, raise_problems, read_shipped, read_table
from aifactory.inputs.telemetry import aggregate_requests, with_sessions_counted
from aifactory.inputs.tenants import aggregate_tenants

#: Months in a row that a use case must have been asked in before a month without demand is remarked on.
SILENT_AFTER = 3
#: Tables that ship with the product; rows of the workspace win over theirs.
CATALOGUE = (
    "accelerator_aliases", "accelerators", "api_prices", "decision_table", "judgements",
    "lifecycle", "models", "operating_costs", "prices", "public_measurements", "step_measurements",
)  # fmt: skip
TELEMETRY = ("demand_windows", "requests", "jobs")
REQUIRED = ("use_cases",)
#: Use cases with gaps: a workspace of them alone is a catalogue without demand, and can be reported.
CANDIDATES = "use_case_candidates"
#: Demand that is stated, not measured: a workspace of it alone plans what is launched later.
CHAIN = "demand_chain"
NO_DEMAND = f"no demand found: one of {', '.join(TELEMETRY)} is needed (.csv or .parquet), or {CHAIN} for use cases that start later"
SOURCE_COLUMNS = ["table", "file", "origin", "rows", "first", "last", "oldest_as_of", "newest_as_of", "sha256"]
CACHE_DIR = ".cache"
CACHES_KEPT = 3
#: How often files that change while they are read are read again.
READ_TRIES = 5
#: Tables, where each comes from, and what its reading found.
Loaded = tuple[dict[str, pd.DataFrame], pd.DataFrame, list[Finding]]
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_TIME_COLUMN = {
    "demand_windows": "window_start_utc",
    "requests": "timestamp_utc",
    "jobs": "submitted_utc",
    "pools": "window_start_utc",
    "billing": "ChargePeriodStart",
    "latency_histograms": "month",
    "latency_bounds": "window_start_utc",
    "tenant_usage": "month",
}


@dataclass(frozen=True)
class Workspace:
    """Validated inputs of one organisation for one reporting month.

    `tables` holds every contract's table, empty where there is no file; catalogue tables are
    merged with the workspace's own rows, those of `prices` marked as `quoted`; `billing` carries the derived columns of
    `aifactory.inputs.billing`; request rows are aggregated into `demand_windows`,
    `latency_histograms` and `tenant_usage`. Rows of months after the reporting month are not there, so that a
    month reported again says the same (`aifactory.inputs.horizon`).
    """

    path: Path
    period: str
    plan: Plan
    tables: Mapping[str, pd.DataFrame]
    checks: pd.DataFrame
    sources: pd.DataFrame

    def table(self, name: str) -> pd.DataFrame:
        """The table with that name."""
        if name not in self.tables:
            msg = f"no table {name!r}.{nearest(name, self.tables)}"
            raise InputError(msg)
        return self.tables[name]

    def has(self, name: str) -> bool:
        """Whether the table has rows."""
        return len(self.table(name)) > 0

    def month(self, name: str) -> pd.DataFrame:
        """Rows of a telemetry table that fall into the reporting month."""
        frame, column = self.table(name), _TIME_COLUMN[name]
        if column == "month":
            return frame[frame["month"] == self.period]
        start = pd.Timestamp(f"{self.period}-01", tz="UTC")
        return frame[(frame[column] >= start) & (frame[column] < start + pd.offsets.MonthBegin())]

    @property
    def periods(self) -> list[str]:
        """Months with demand, jobs or charges, in order."""
        return _months(self.tables)

    @property
    def ended(self) -> frozenset[str]:
        """Use cases whose month of retirement has come, and that nothing is asked of in the reporting month."""
        cases = self.table("use_cases")
        due = set(cases.loc[(cases["retire_month"] <= self.period).fillna(value=False), "use_case_id"])
        return frozenset(due - self.asked_in(self.period))

    @property
    def silent(self) -> list[str]:
        """Use cases asked in each of the `SILENT_AFTER` months before that hold any demand, not in this one, and not ended."""
        before = [self.asked_in(str(pd.Period(self.period, "M") - back)) for back in range(1, SILENT_AFTER + 1)]
        held = [names for names in before if names]
        always = frozenset.intersection(*held) if held else frozenset()
        known = set(self.table("use_cases")["use_case_id"])
        return sorted(always & known - self.asked_in(self.period) - self.ended)

    def asked_in(self, month: str) -> frozenset[str]:
        """Use cases with windows of demand in a month, or jobs submitted or running in it."""
        start = pd.Timestamp(f"{month}-01", tz="UTC")
        end = start + pd.offsets.MonthBegin()
        windows, jobs = self.table("demand_windows"), self.table("jobs")
        served = windows.loc[windows["window_start_utc"].ge(start) & windows["window_start_utc"].lt(end), "use_case_id"]
        left = jobs["ended_utc"].where(
            jobs["ended_utc"].notna(), jobs["started_utc"].where(jobs["status"] != "running", end)
        )
        ran = jobs["submitted_utc"].lt(end) & (jobs["submitted_utc"].ge(start) | left.gt(start))
        return frozenset(served) | frozenset(jobs.loc[ran, "use_case_id"])

    def without_ended(self) -> Workspace:
        """The same without the use cases that have ended: what is still to be measured, chosen and planned."""
        if not (ended := self.ended):
            return self
        own = {name: self.tables[name] for name in ("use_cases", "benchmarks", "demand_chain")}
        kept = {name: rows[~rows["use_case_id"].isin(ended)].reset_index(drop=True) for name, rows in own.items()}
        return replace(self, tables={**self.tables, **kept})

    @property
    def as_of(self) -> str:
        """Last day of the reporting month, ISO date: the day that ages of prices count to."""
        return (pd.Period(self.period, "M").end_time).date().isoformat()


def load_workspace(path: str | Path = "", period: str = "", overrides: dict[str, object] | None = None) -> Workspace:
    """Load and validate a workspace.

    Parameters
    ----------
    path : folder; empty for the nearest folder upwards that holds plan.yaml, else the sample.
    period : month YYYY-MM; empty for the latest complete month of demand or billing.
    overrides : what-if values by name, see `aifactory.inputs.plan.load_plan`.

    Raises
    ------
    InputError
        With file, row, column, value and rule of what cannot be used. Warnings do not raise;
        they stand in `checks`.
    """
    folder = find_workspace(path)
    plan = load_plan(folder / "plan.yaml", overrides)
    tables, sources, notes = _load_tables(folder)
    tables["billing"], converted = in_dollars(tables["billing"], plan.exchange_rates)
    approved = under_old_names(tables["approved_plan"], plan)
    findings = notes + converted + check_tables({**tables, "approved_plan": approved}, plan)
    failures = [item.message for item in findings if item.status == "failed"]
    if failures:
        raise InputError("\n".join(failures[:10]))
    month = _choose_period(tables, period)
    shown = rows_until({**tables, "approved_plan": approved}, month)
    if any(len(shown[name]) < len(table) for name, table in tables.items()):  # what is hidden needs no warning
        findings = notes + converted + [item for item in check_tables(shown, plan) if item.status != "failed"]
    tables, plan = split_by_region(tables, plan)
    return Workspace(folder, month, plan, seen_until(tables, month), findings_frame(findings), sources)


def find_workspace(path: str | Path = "") -> Path:
    """Folder of a workspace; see `load_workspace`."""
    if path:
        folder = Path(path).resolve()
        if not folder.is_dir():
            raise InputError.at("workspace", "no such folder", value=str(path))
        if not (folder / "plan.yaml").is_file():
            raise InputError.at("plan.yaml", f"not found in {path}; `aifactory new` makes a workspace")
        return folder
    here = Path.cwd().resolve()
    return next((f for f in (here, *here.parents) if (f / "plan.yaml").is_file()), data_dir() / "sample")


def is_sample(folder: Path) -> bool:
    """Whether a folder is the bundled company, which stands in where no workspace is found."""
    return folder.resolve() == (data_dir() / "sample").resolve()


def table_file(folder: Path, table: str) -> Path | None:
    """File of a table in a folder, or its folder of parts; two of them for one table are refused."""
    found = [folder / f"{table}{suffix}" for suffix in SUFFIXES if (folder / f"{table}{suffix}").is_file()]
    if table in PARTED and (folder / table).is_dir():
        found.append(folder / table)
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError.at(names, f"two files for table {table!r}; keep one")
    if found and folder.resolve() not in found[0].resolve().parents:
        raise InputError.at(found[0].name, "is a link that leaves the workspace")
    return found[0] if found else None


def workspace_files(folder: Path) -> list[tuple[str, str, Path]]:
    """Files to read as (table, origin, path); origin is 'workspace' or 'catalogue'."""
    known = {f"{table}{suffix}" for table in contract_names() for suffix in SUFFIXES}
    for path in sorted(folder.iterdir()):
        meant = path.name.split(".")[0] in contract_names() and path.suffix != ".tmp"
        if path.is_file() and meant and not path.name.endswith(SUFFIXES):
            raise InputError.at(path.name, f"a table is a file ending in {', '.join(SUFFIXES)}; save it as one of them")
        if path.is_file() and path.name.endswith(SUFFIXES) and path.name not in known:
            raise InputError.at(
                path.name, "is not a table of a workspace.", choices=contract_names(), value=path.name.split(".")[0]
            )
    own = [(name, "workspace", table_file(folder, name)) for name in contract_names()]
    shipped = [(name, "catalogue", table_file(data_dir() / "catalogue", name)) for name in CATALOGUE]
    return [(name, origin, path) for name, origin, path in [*shipped, *own] if path]


def _load_tables(folder: Path) -> Loaded:
    """Tables of one moment: where files change while they are read, they are read again."""
    for _ in range(READ_TRIES):
        settle(folder)
        seen = _state(folder)
        try:
            loaded = _loaded(folder, seen)
        except (InputError, OSError, ValueError):
            if _state(folder) == seen:
                raise
            continue
        if _state(folder) == seen:
            return loaded
    msg = f"the files of {folder} changed each of {READ_TRIES} times that they were read; wait until nobody writes to them"
    raise StageError(msg)


def _state(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """What tells whether a file of the workspace is another one than before."""
    parts = [path for name in PARTED if (folder / name).is_dir() for path in (folder / name).iterdir()]
    found = {}
    for path in [*folder.iterdir(), *parts]:
        with suppress(FileNotFoundError):  # gone since it was listed
            held = path.stat()
            if stat.S_ISREG(held.st_mode):
                found[path] = (held.st_ino, held.st_size, held.st_mtime_ns)
    return found


def _loaded(folder: Path, seen: dict[Path, tuple[int, int, int]]) -> Loaded:
    files = workspace_files(folder)
    present = {name for name, _, _ in files}
    for name in REQUIRED:
        if name not in present:
            raise InputError.at(f"{name}.csv", f"not found in {folder.name}; this table is needed")
    if not present & {*TELEMETRY, CHAIN, CANDIDATES}:
        raise InputError.at(folder.name, NO_DEMAND)
    hashes = {path: _sha256(path) for _, _, path in files}
    cache = folder / CACHE_DIR / _fingerprint(files, hashes)
    if not (cache / "sources.parquet").is_file():
        built = _read_tables(files, hashes)
        if _state(folder) != seen or not _store(cache, *built):
            return built
    try:
        return _restore(cache)
    except (OSError, ValueError):  # a damaged copy: the inputs themselves are read again
        return _read_tables(files, hashes)


def _read_tables(
    files: list[tuple[str, str, Path]], hashes: dict[Path, str]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, list[Finding]]:
    tables = {name: load_contract(name).empty() for name in contract_names()}
    sources, notes = [], []
    for name, origin, path in files:
        read = (
            read_shipped(path, name, hashes[path]) if origin == "catalogue" else read_table(path, load_contract(name))
        )
        raise_problems(path.name, read.problems)
        notes += [Finding(name, "reading", "warned", it.rule, it.row, it.column, it.value) for it in read.warnings]
        sources.append(_source(name, origin, path, read.frame, hashes[path]))
        own = origin == "workspace"
        frame = read.frame.assign(quoted=own) if name == "prices" else read.frame.copy(deep=False)
        tables[name] = _merge(load_contract(name), frame, tables[name])
    if tables[CANDIDATES].empty:
        if tables["use_cases"].empty:
            raise InputError.at("use_cases", "has no rows yet; every other table refers to it")
        if not any(len(tables[name]) for name in (*TELEMETRY, CHAIN)):
            raise InputError.at(", ".join((*TELEMETRY, CHAIN)), "no table of demand has rows; at least one must")
    if len(tables["requests"]):
        tables |= _with_request_rows(tables)
    tables["prices"] = with_provider_names(tables["prices"])
    tables["billing"] = derive_billing(tables["billing"], tables["account_map"], tables["accelerator_aliases"])
    return tables, pd.DataFrame(sources, columns=SOURCE_COLUMNS), notes


def _merge(contract: Contract, own: pd.DataFrame, shipped: pd.DataFrame) -> pd.DataFrame:
    """Own rows first; shipped rows whose primary key they repeat are dropped, of hosted prices those of later dates too."""
    if shipped.empty:
        return own
    if contract.name == "api_prices" and len(own):
        since = shipped["api_model"].map(own.groupby("api_model")["as_of"].min())
        shipped = shipped[~(shipped["as_of"] >= since)]
    key = list(contract.primary_key)
    both = pd.concat([own, shipped], ignore_index=True)
    return both.drop_duplicates(key, ignore_index=True) if key else both


def _with_request_rows(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Aggregated request rows next to windows delivered as such; a use case has one source."""
    merged = {}
    cases = pd.concat([tables[name][["use_case_id", "service_unit"]] for name in ("use_cases", CANDIDATES)])
    requests = with_sessions_counted(tables["requests"], cases)
    windows, histograms = aggregate_requests(requests)
    tenants = aggregate_tenants(requests)
    rows_of = {"demand_windows": windows, "latency_histograms": histograms, "tenant_usage": tenants}
    for name, rows in rows_of.items():
        both = set(rows["use_case_id"]) & set(tables[name]["use_case_id"])
        if both:
            rule = f"is counted in requests and in {name}; keep one of them"
            raise InputError.at("requests", rule, column="use_case_id", value=sorted(both)[0])
        merged[name] = pd.concat([tables[name], rows], ignore_index=True)
    return merged


def _source(table: str, origin: str, path: Path, frame: pd.DataFrame, sha256: str) -> list[object]:
    times = frame[_TIME_COLUMN[table]].dropna() if table in _TIME_COLUMN else pd.Series(dtype="str")
    dates = frame["as_of"].dropna() if "as_of" in frame else pd.Series(dtype="datetime64[us]")
    span = [str(edge)[:10] for edge in (times.min(), times.max())] if len(times) else ["", ""]
    ages = [edge.date().isoformat() for edge in (dates.min(), dates.max())] if len(dates) else ["", ""]
    return [table, path.name, origin, len(frame), *span, *ages, sha256]


def _sha256(path: Path) -> str:
    if path.is_dir():
        parts = [f"{part.name} {_sha256(part)}\n" for part in part_files(path)]
        return hashlib.sha256("".join(parts).encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fingerprint(files: list[tuple[str, str, Path]], hashes: dict[Path, str]) -> str:
    """Hash of all inputs, of the contracts and of the code that reads them."""
    digest = hashlib.sha256()
    for name, origin, path in files:
        digest.update(f"{name} {origin} {path.name} {hashes[path]}\n".encode())
    code = [*Path(__file__).parent.glob("*.py"), *Path(aggregate.__file__).parent.glob("*.py")]
    for path in sorted([*CONTRACTS_DIR.glob("*.json"), *code]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _store(cache: Path, tables: dict[str, pd.DataFrame], sources: pd.DataFrame, notes: list[Finding]) -> bool:
    """Write the validated tables aside and rename them into place; False where nothing can be written."""
    try:
        cache.parent.mkdir(exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=cache.parent, prefix=".building-"))
    except OSError:
        return False
    try:
        for name, frame in tables.items():
            frame.to_parquet(building / f"{name}.parquet")
        findings_frame(notes).to_parquet(building / "notes.parquet")
        sources.to_parquet(building / "sources.parquet")
        if cache.exists():
            shutil.rmtree(building)
        else:
            building.rename(cache)
        _forget_old(cache)
    except (OSError, UnicodeEncodeError):  # full, or a folder that the system's encoding cannot name
        shutil.rmtree(building, ignore_errors=True)
        return False
    return True


def _forget_old(cache: Path) -> None:
    others = [path for path in cache.parent.iterdir() if path.is_dir() and path != cache]
    for path in sorted(others, key=lambda item: item.stat().st_mtime, reverse=True)[CACHES_KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _restore(cache: Path) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, list[Finding]]:
    tables = {name: pd.read_parquet(cache / f"{name}.parquet") for name in contract_names()}
    notes = pd.read_parquet(cache / "notes.parquet")
    found = [
        Finding(
            row.table,
            row.check,
            row.status,
            row.rule,
            None if pd.isna(row.row) else int(row.row),
            row.column,
            row.value,
        )
        for row in notes.itertuples(index=False)
    ]
    os.utime(cache)
    return tables, pd.read_parquet(cache / "sources.parquet"), found


def _months(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    months: set[str] = set()
    for table, column in (
        ("demand_windows", "window_start_utc"),
        ("jobs", "submitted_utc"),
        ("billing", "BillingPeriodStart"),
    ):
        months |= set(tables[table][column].dropna().dt.strftime("%Y-%m").unique())
    for table in (CANDIDATES, CHAIN):  # what was never measured speaks of the month it was true in
        months = months or set(tables[table]["as_of"].dropna().dt.strftime("%Y-%m").unique())
    return sorted(months)


def _no_data(months: list[str], period: str) -> str:
    """Why a month cannot be reported: it is later or earlier than the data, or they have a gap there."""
    span = f"the data cover {months[0]} to {months[-1]}"
    if not _MONTH.fullmatch(period):
        return f"{span}.{nearest(period, months)}"
    if period > months[-1]:
        return f"{span}: data of this month are not there yet; import them, or report {months[-1]}"
    if period < months[0]:
        return f"{span}: nothing is known that early; report {months[0]} or later"
    before = max(month for month in months if month < period)
    return f"{span}, but no row of this month; import what is missing, or report {before}"


def _choose_period(tables: Mapping[str, pd.DataFrame], period: str) -> str:
    months = _months(tables)
    if period in months:
        return period
    if period:
        raise InputError.at("period", _no_data(months, period), value=period)
    ends = [tables["demand_windows"]["window_start_utc"].max(), tables["billing"]["ChargePeriodEnd"].max()]
    last = max((end for end in ends if not pd.isna(end)), default=None)
    if last is None:
        return months[-1]
    complete = [month for month in months if (pd.Period(month, "M").end_time - last.tz_localize(None)).days < 1]
    return complete[-1] if complete else months[-1]
