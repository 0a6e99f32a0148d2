"""Request logs of any size: checked and aggregated where they lie, never held as rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.aggregate.buckets import histogram_quantile
from aifactory.inputs.aggregate.engine import (
    Source,
    duckdb_session,
    is_parquet,
    name_of,
    open_engine,
    open_files,
    stage,
)
from aifactory.inputs.aggregate.sessions import session_counts, with_sessions
from aifactory.inputs.aggregate.survey import (
    Reading,
    Survey,
    known_statuses,
    once_each,
    repeated_ids,
    survey,
)
from aifactory.inputs.aggregate.tables import KEYS, Aggregates, aggregate, fetched, kept_apart
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.telemetry import litellm, rows
from aifactory.inputs.importers.telemetry.common import COUNTS, QUANTILES
from aifactory.inputs.importers.telemetry.sanity import (
    AFTER_IMPORT,
    BEFORE_LOGS,
    FIRST_YEAR,
    GIVEN_TWICE,
    LATENCIES,
    MAX_PLAUSIBLE_MS_PER_TOKEN,
    MIN_PLAUSIBLE_E2E_MS,
    MIN_PLAUSIBLE_TTFT_MS,
)

FORMAT = "request rows, aggregated"
#: Logs of more rows are aggregated instead of kept; a CSV file counts by its bytes.
LARGE_ROWS = 1_000_000
LARGE_CSV_BYTES = 150_000_000
#: Up to so many rows every request id is compared with every other.
IDS_COMPARED = 5_000_000
TEAMS_SHOWN = 200
_LOGS = (".parquet", ".csv", ".csv.gz")


@dataclass(frozen=True)
class LargeLog:
    """A log as aggregates, and how it was read; `repeated` rows were given before with the same values."""

    source: str
    aggregates: Aggregates
    survey: Survey
    teams: pd.DataFrame
    warnings: list[tuple[str, int]] = field(default_factory=list)
    repeated: int = 0

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Counts by use case, metric and bucket."""
        return self.aggregates.histograms.groupby(["use_case_id", "metric", "bucket"], as_index=False)["count"].sum()


def log_files(sources: list[Path | str]) -> list[Path]:
    """Files of a log: each file, the Parquet or CSV files of each folder, what a pattern with * stands for."""
    found: list[Path] = []
    for path in sources:
        if path.is_dir():
            found += sorted(item for item in path.rglob("*") if item.is_file() and item.name.endswith(_LOGS))
        elif "*" in str(path):
            root = Path(path.anchor)
            found += sorted(item for item in root.glob(str(path.relative_to(root))) if item.is_file())
        else:
            found.append(path)
    return found


def is_large(sources: list[Path | str]) -> bool:
    """Whether these are request logs too long to be kept as rows: a folder, a pattern, or many rows together."""
    if not all(isinstance(path, Path) for path in sources):
        return False
    if any("*" in str(path) or (path.is_dir() and _holds_logs(path)) for path in sources):
        return True
    if not all(path.is_file() for path in sources):
        return False
    share = sum(_rows(path) / LARGE_ROWS for path in sources)
    return share > 1 and not any(_is_proxy_log(path) for path in sources)


def _holds_logs(folder: Path) -> bool:
    """Whether a folder holds tables and no answers of Prometheus."""
    return bool(log_files([folder])) and not any(folder.glob("*.json*"))


def _rows(path: Path) -> float:
    if is_parquet(path):
        import pyarrow as pa
        from pyarrow import parquet

        try:
            return parquet.read_metadata(path).num_rows
        except (pa.ArrowInvalid, OSError):
            return 0  # the reader of rows tells what is wrong with it
    with path.open("rb") as stream:
        plain = stream.read(1)[:1] not in (b"{", b"[")
    return path.stat().st_size / LARGE_CSV_BYTES * LARGE_ROWS if plain else 0


def _is_proxy_log(path: Path) -> bool:
    with path.open("rb") as stream:
        header = stream.readline(65_536).decode("utf-8", "replace")
    return all(mark in header for mark in litellm.MARKS)


def read_large(
    sources: list[Path], today: pd.Timestamp, *, region: str = "", use_cases: Mapping[str, str] | None = None,
    columns: Mapping[str, str] | None = None, sessions: Collection[str] = (), engine: str = "", memory_limit: str = "",
    threads: int = 0,
) -> LargeLog:  # fmt: skip
    """Check and aggregate request logs of any size.

    Parameters
    ----------
    sources : files, folders or patterns; with `engine` the name of one table.
    today : day of import; rows after it are left out and counted.
    region, use_cases, columns : as for `read_telemetry`.
    sessions : use cases whose service unit is the session.
    engine : where the table lies, as Ibis names it; empty for files read by DuckDB in this process.
    memory_limit, threads : DuckDB's own, such as `2GB`; by default 1 GB and every core.
    """
    times = (FIRST_YEAR.value // 1_000, (today + pd.Timedelta(days=1)).value // 1_000)
    mapped = dict(columns or {})

    def reading(name: str, header: list[str]) -> Reading:
        chosen = rows.find_columns(header, mapped)
        rows.require_columns(Path(name), header, chosen, region)
        return Reading(chosen, region, use_cases)

    files = _files(sources, engine)
    log = _count_here(files, reading, times, threads or os.cpu_count() or 1)
    if log is None:
        with _opened(sources, files, engine, memory_limit, threads) as source:
            log = _count_in_engine(source, reading(source.name, list(source.whole.columns)), times)
    log.warnings.extend(_odd_units(log))
    if sessions and "session_id" in log.survey.reading.columns:
        with _opened(sources, files, engine, memory_limit, threads) as source:
            log = _sessions_counted(log, source, sessions)
    return log


def _sessions_counted(log: LargeLog, source: Source, use_cases: Collection[str]) -> LargeLog:
    """The log with a unit for each session of these use cases; a session that began before the log counts in it again."""
    reading = log.survey.reading
    known = known_statuses(source, source.whole, reading, rows.status_of)
    reading = replace(reading, statuses={word: status for word, status in known.items() if word != status})
    if log.repeated:
        source = once_each(source, reading)
    counts = session_counts(reading.rows(source.whole), use_cases)
    for name, held in counts.groupby("use_case_id"):
        begun, served = int(held["begun"].sum()), int(held["served"].sum())
        text = f"{name} counts sessions: {begun:,} of them from {served:,} successful requests; one that another delivery holds a part of counts in both"
        log.warnings.append((text, served))
    return replace(log, aggregates=with_sessions(log.aggregates, counts))


def _files(sources: list[Path], engine: str) -> list[Path]:
    """Files of a log; none if it is a table of an engine."""
    if engine and len(sources) != 1:
        raise InputError.at("--engine", "reads one table; name it in place of the file")
    if engine and not sources[0].exists():
        return []
    if engine not in ("", "duckdb", "duckdb://"):
        raise InputError.at("--engine", "reads a table of that engine, not a file", value=engine)
    files = log_files(sources)
    missing = next((path for path in files if not path.is_file()), None)
    if missing or not files:
        absent = missing or sources[0]
        rule = "no such file, or a folder without CSV or Parquet files"
        raise InputError.at(absent.name, rule, value=str(absent))
    return files


@contextmanager
def _opened(
    sources: list[Path], files: list[Path], engine: str, memory_limit: str, threads: int
) -> Iterator[Source]:  # fmt: skip
    if not files:
        with open_engine(engine, str(sources[0])) as source:
            yield source
        return
    options = {"memory_limit": memory_limit} if memory_limit else {}
    with duckdb_session(threads=threads, **options) as backend:
        yield open_files(backend, files)


def _count_here(
    files: list[Path], reading: Callable[[str, list[str]], Reading], times: tuple[int, int], threads: int
) -> LargeLog | None:
    """Sound Parquet files, by compiled code."""
    from aifactory.inputs.aggregate.local import columns_of, count_files

    header = columns_of(files)
    if not header:
        return None
    name = name_of(files)
    known = reading(name, header)
    found = count_files(files, known, times, rows.status_of, ids_compared=IDS_COMPARED, threads=threads)
    if found is None:
        return None
    teams = found.teams.rename(columns={column: name for name, column in COUNTS.items()})
    return LargeLog(
        name,
        found.aggregates,
        found.survey,
        _largest(teams.reset_index()) if "tenant" in known.columns else pd.DataFrame(),
        _warnings(header, found.survey, found.share, 0),
    )


def _count_in_engine(source: Source, reading: Reading, times: tuple[int, int]) -> LargeLog:
    """Any log, by the portable expressions; what is wrong with it is named."""
    found = survey(source, reading, times, rows.status_of)
    if found.workloads["rows"].sum() == 0:
        raise InputError.at(source.name, "holds no request up to the day of import")
    header = list(source.whole.columns)
    again, share = _repeated(source, found)
    given = found.rows
    if again:
        source = once_each(source, found.reading)
        found = replace(survey(source, reading, times, rows.status_of), naive=found.naive)
        again, share = _repeated(source, found)
    numbered = found.workloads[[*KEYS, "workload"]]
    known = source.known("workloads", numbered)
    parts = (found.reading.rows(part) for part in source.parts)
    aggregates = aggregate(parts, known, numbered, stage)
    warnings = _warnings(header, found, share, again)
    repeated = given - found.rows
    return LargeLog(
        source.name, aggregates, replace(found, rows=given), _teams(source, found.reading), warnings, repeated
    )


def _warnings(header: list[str], found: Survey, share: int, again: int) -> list[tuple[str, int]]:
    """What was odd, what was not used, and how rows delivered twice were looked for; `again` ids still stand twice."""
    warnings, chosen = [], found.reading.columns
    if found.naive:
        theirs = chosen["timestamp_utc"]
        warnings.append((f"{theirs}: {found.naive} times without a zone were read as UTC", found.naive))
    if found.contradicting:
        warnings.append(("first token after the last: their latencies are not used", found.contradicting))
    if found.over_cached:
        text = "more cached than input tokens: are cached ones counted apart? They are not used"
        warnings.append((text, found.over_cached))
    warnings += rows.unused_columns([name for name in header if name not in chosen.values()])
    if "request_id" not in chosen:
        warnings.append(("no request ids: a row delivered twice would be counted twice", found.rows))
    elif share > 1 and not again:
        warnings.append((f"request ids: 1 in {share} was compared with all others, none stands twice", 0))
    if again:
        text = "an identifier of an earlier, different request: counted as a request of its own"
        warnings.append((f"{text} (among 1 in {share} identifiers)" if share > 1 else text, again))
    return warnings


def _repeated(source: Source, found: Survey) -> tuple[int, int]:
    """Rows whose id stands before, among one in k ids, and k."""
    if "request_id" not in found.reading.columns:
        return 0, 1
    ids = source.whole.select(request_id=found.reading.typed(source.whole, "request_id"))
    return repeated_ids(ids, found.rows, IDS_COMPARED)


def _teams(source: Source, reading: Reading) -> pd.DataFrame:
    """Counts by team."""
    if "tenant" not in reading.columns:
        return pd.DataFrame()
    table = reading.rows(source.whole)
    tokens = {name: table[column].sum().cast("int64") for name, column in COUNTS.items() if column in table.columns}
    failed = (table["status"] != "ok").cast("int64").sum()
    with kept_apart():
        found = fetched(table.group_by("tenant").agg(requests=table.count(), errors=failed, **tokens))
    return _largest(found.assign(tenant=found["tenant"].fillna("(none)")))


def _largest(teams: pd.DataFrame) -> pd.DataFrame:
    """The largest teams first; the rest beyond `TEAMS_SHOWN` as one."""
    teams = teams.sort_values(["requests", "tenant"], ascending=[False, True], ignore_index=True)
    if len(teams) <= TEAMS_SHOWN:
        return teams.set_index("tenant")
    shown = teams[:TEAMS_SHOWN].set_index("tenant")
    shown.loc[f"({len(teams) - TEAMS_SHOWN:,} others)"] = teams[TEAMS_SHOWN:].drop(columns="tenant").sum(min_count=1)
    return shown


def _odd_units(log: LargeLog) -> list[tuple[str, int]]:
    """Warn where latencies look like seconds or microseconds."""
    held = dict(iter(log.counts.groupby("metric")))
    middle = {
        name: histogram_quantile(group["bucket"].to_numpy(), group["count"].to_numpy(), 0.5)
        for name, group in held.items()
    }
    unknown = float("nan")
    odd = {
        "e2e_ms": (middle.get("e2e_ms", unknown) < MIN_PLAUSIBLE_E2E_MS, "end-to-end time", "seconds"),
        "ttft_ms": (middle.get("ttft_ms", unknown) < MIN_PLAUSIBLE_TTFT_MS, "time to first token", "seconds"),
        "tpot_ms": (middle.get("tpot_ms", unknown) > MAX_PLAUSIBLE_MS_PER_TOKEN, "time for an output token", "microseconds"),
    }  # fmt: skip
    return [
        (f"median {what} of {middle[name]:.3g} ms: {unit} in a column of milliseconds?", int(held[name]["count"].sum()))
        for name, (is_odd, what, unit) in odd.items()
        if is_odd
    ]


def large_report(log: LargeLog) -> dict[str, object]:
    """Report in the keys of `telemetry_report`; quantiles are known within 0.5 %."""
    found, windows, counts = log.survey, log.aggregates.windows, log.counts
    kept = int(windows["requests"].sum())
    days = [str(pd.Timestamp(edge, unit="us"))[:10] for edge in found.span_us]
    named = [
        name
        for name in load_contract("requests").columns
        if name not in ("request_id", "use_case_id", "timestamp_utc", "status")
    ]
    known = {"region": kept} | found.known
    lost = dict.fromkeys(("ttft_ms", "e2e_ms"), found.contradicting) | {"cached_input_tokens": found.over_cached}
    left_out = {AFTER_IMPORT: found.late, BEFORE_LOGS: found.early, GIVEN_TWICE: log.repeated}
    return {
        "format": FORMAT,
        "rows_read": found.rows,
        "rows_kept": kept,
        "rows_left_out": {name: count for name, count in left_out.items() if count},
        "warnings": [{"text": text, "rows": count} for text, count in log.warnings],
        "period": days,
        "totals": _counts(windows, found.workloads),
        "workloads": {
            str(name): _counts(group, found.workloads[found.workloads["use_case_id"] == name])
            | _latencies(counts[counts["use_case_id"] == name])
            for name, group in windows.groupby("use_case_id")[["requests", *COUNTS.values()]]
        },
        "teams": {
            str(name): {key: _whole(row.get(key)) for key in ("requests", "errors", *COUNTS)}
            for name, row in log.teams.iterrows()
        },
        "coverage": {name: round((known.get(name, 0) - lost.get(name, 0)) / kept, 6) for name in named},
    }


def _counts(windows: pd.DataFrame, workloads: pd.DataFrame) -> dict[str, object]:
    sums = {name: windows[column].sum(min_count=1) for name, column in COUNTS.items()}
    tokens = {name: _whole(total) for name, total in sums.items()}
    return {"requests": int(windows["requests"].sum()), "errors": int(workloads["errors"].sum()), **tokens}


def _whole(value: object) -> int | None:
    return None if pd.isna(value) else int(value)


def _latencies(counts: pd.DataFrame) -> dict[str, dict[str, float]]:
    held = dict(iter(counts.groupby("metric")))
    return {
        name: {
            q: round(histogram_quantile(held[name]["bucket"].to_numpy(), held[name]["count"].to_numpy(), level), 6)
            for q, level in QUANTILES.items()
        }
        for name in LATENCIES
        if name in held
    }
