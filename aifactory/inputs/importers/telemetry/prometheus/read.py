"""One way in: a folder of answers or a live server, as tables and a report."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry.prometheus.assemble import Month, assemble
from aifactory.inputs.importers.telemetry.prometheus.folder import FORMAT, read_folder
from aifactory.inputs.importers.telemetry.prometheus.latency import latency_table
from aifactory.inputs.importers.telemetry.prometheus.live import fetch_period
from aifactory.inputs.importers.telemetry.prometheus.pools import PoolNames, add_pools
from aifactory.inputs.importers.telemetry.prometheus.report import demand_table, leave_out_future, month_report
from aifactory.inputs.importers.telemetry.prometheus.server import open_server

LIVE_FORMAT = "Prometheus server"
WINDOW_MINUTES = 60
MAX_DAYS = 93
_DAY = r"\d{4}-\d\d-\d\d"


@dataclass(frozen=True)
class Read:
    """Tables (empty where nothing fills them) and report of one source."""

    windows: pd.DataFrame
    pools: pd.DataFrame
    latency: pd.DataFrame
    report: dict[str, object]


def read_server(
    url: str, period: str, names: PoolNames, use_cases: dict[str, str], today: pd.Timestamp | None = None
) -> Read:
    """A month or a span of days of a live server.

    Parameters
    ----------
    url : address such as `http://host:9090`; the login comes from the environment.
    period : `2026-10`, or `2026-10-01..2026-10-15` with both days included; UTC.
    today : day of import; a period that reaches beyond it is named.
    """
    start, end = period_bounds(period)
    server = open_server(url)
    samples = fetch_period(server, start, end)
    month = assemble(samples, WINDOW_MINUTES, names.labels)
    if today is not None and end > today:
        month.warnings.append(("the period has not ended on the day of import: its last windows are missing", 0))
    leave_out_future(month, today)
    return _finished(server.host, month, samples, names, use_cases, LIVE_FORMAT)


def read_month(
    folder: Path, region: str = "", use_cases: dict[str, str] | None = None, names: PoolNames | None = None,
    today: pd.Timestamp | None = None,
) -> Read:  # fmt: skip
    """A folder of answers of `query` and `query_range` with their `index.json`, or of raw counters without it."""
    names = names or PoolNames(region=region)
    month, samples = read_folder(folder, names.labels)
    leave_out_future(month, today)
    return _finished(folder.name, month, samples, names, use_cases or {}, FORMAT)


def _finished(
    where: str, month: Month, samples: object, names: PoolNames, use_cases: dict[str, str], kind: str
) -> Read:
    add_pools(month, samples, names)
    windows = demand_table(where, month, names.region, use_cases)
    if not len(windows) and not month.devices:
        why = "".join(f"\n{text}" for text, _ in month.warnings)
        raise InputError.at(where, "has no count of requests and no utilisation in the period" + why)
    latency = latency_table(month, names.region, use_cases)
    kept = month.rows_read - sum(month.left_out.values())
    return Read(windows, month.pools, latency, month_report(month, kind, kept))


def period_bounds(period: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First moment of a period and first moment after it, UTC.

    >>> [str(edge) for edge in period_bounds("2026-10-30..2026-10-31")]
    ['2026-10-30 00:00:00+00:00', '2026-11-01 00:00:00+00:00']
    """
    month, days = re.fullmatch(r"\d{4}-\d\d", period), re.fullmatch(rf"({_DAY})\.\.({_DAY})", period)
    try:
        if month:
            start = pd.Timestamp(f"{period}-01", tz="UTC")
            return start, start + pd.DateOffset(months=1)
        if days:
            first, last = (pd.Timestamp(day, tz="UTC") for day in days.groups())
            if pd.Timedelta(0) <= last - first < pd.Timedelta(days=MAX_DAYS):
                return first, last + pd.Timedelta(days=1)
    except ValueError:
        pass
    rule = f"must be a month such as 2026-10, or days such as 2026-10-01..2026-10-15 of at most {MAX_DAYS} days"
    raise InputError.at("--period", rule, value=period)
