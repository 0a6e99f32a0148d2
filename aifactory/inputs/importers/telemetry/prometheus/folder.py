"""A folder of Prometheus answers as demand windows: raw counters like a live server, else increases."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry.prometheus.aliases import known_metric, metric_table
from aifactory.inputs.importers.telemetry.prometheus.answers import Series, parse_answer, read_json, said_with
from aifactory.inputs.importers.telemetry.prometheus.assemble import (
    ABORTED,
    COUNTED,
    DAY_S,
    Key,
    Month,
    assemble,
    by_target,
    region_of,
    workload_of,
)
from aifactory.inputs.importers.telemetry.prometheus.live import (
    PAIR_LABELS,
    Samples,
    join_series,
    leave_out_replicas,
    without_labels,
    without_prefill,
)

FORMAT = "Prometheus answers"
INDEX = "index.json"
ANSWERS = (".json", ".json.gz")
#: Query of an answer that no index tells: the name that its series carry.
BY_NAME = ""
HOUR_MINUTES = 60
#: Raw counters and extrapolated increases of the same windows may differ by this share of the former.
MAX_APART = 0.02
_INCREASE = re.compile(r"increase\(\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{[^}]*\})?\[(\d+)([smhd])\]\s*\)")
_MEAN = re.compile(r"avg_over_time\(\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{[^}]*\})?\[(\d+)([smhd])\]\s*\)")
_RAW = re.compile(r"\s*([A-Za-z_:][A-Za-z0-9_:]*)\s*(?:\{[^}]*\})?\s*")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class _Buckets:
    """Increases of one histogram: starts (s) of shape (steps,), bounds (s or ms), cumulative (steps, bounds)."""

    region: str
    starts: np.ndarray
    bounds: np.ndarray
    increase: np.ndarray


@dataclass
class _Answers:
    """Answers sorted by what they say."""

    raw: dict[str, list[Series]] = field(default_factory=dict)
    counted: list[pd.DataFrame] = field(default_factory=list)
    whole: dict[Key, float] = field(default_factory=dict)
    buckets: dict[Key, dict[float, float]] = field(default_factory=dict)
    by_day: dict[Key, dict[int, list[_Buckets]]] = field(default_factory=dict)  # by the seconds of each increase
    factors: dict[str, float] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)  # what the server warned of
    unused: list[str] = field(default_factory=list)


def read_folder(folder: Path, named: dict[str, str]) -> tuple[Month, Samples]:
    """The period that the answers of a folder tell; `index.json` names file and query of each.

    Without an index each file is an answer whose series carry the name of a metric, as raw counters and gauges do.
    Raw counters and gauges go the way of a live server. Increases by window are extrapolated by the
    server; they count only what raw counters do not tell.
    """
    index = _index(folder)
    answers = _Answers()
    for item in index:
        _sort(answers, folder, item, named)
    if not answers.counted and not answers.raw:
        why = "".join(f"\n{text}" for text in answers.refused.values())
        rule = "holds no query_range answer of a raw counter or of increase() over its own step for a known metric"
        raise InputError.at(folder.name, rule + why)
    counted = pd.concat(answers.counted, ignore_index=True) if answers.counted else pd.DataFrame()
    minutes = int(counted["seconds"].min()) // 60 if len(counted) else HOUR_MINUTES
    samples = _samples(answers.raw, counted, minutes)
    month = assemble(samples, minutes, named)
    month.windows = _with_increases(month, counted, answers.regions)
    for (workload, canonical), held in answers.buckets.items():
        bounds = np.array(sorted(held))
        cumulative = np.maximum.accumulate(np.array([held[bound] for bound in bounds]))
        month.histograms[workload, canonical] = (bounds * answers.factors[canonical], cumulative, 0.0)
    for (workload, canonical), by_step in answers.by_day.items():
        for one in by_step[min(by_step)]:  # the finest steps: coarser ones tell the same
            bounds = one.bounds * answers.factors[canonical]
            month.add_bounds(workload, one.region, canonical, one.starts, bounds, one.increase)
    month.totals, month.rows_read = answers.whole, len(index)
    month.left_out = {"answers without series": len(answers.refused)} if answers.refused else {}
    month.warnings += [(text, 1) for text in (*answers.refused.values(), *answers.said)]
    month.warnings += _not_listed(folder, index)
    if answers.unused:
        shown = ", ".join(answers.unused[:6]) + (", ..." if len(answers.unused) > 6 else "")
        text = f"answers that are not used (quantiles, ratios, rates, metrics without a place): {shown}"
        month.warnings.append((text, len(answers.unused)))
    month.warnings += _gaps(month, counted)
    return month, samples


def _index(folder: Path) -> list[dict]:
    if not (folder / INDEX).is_file():
        found = sorted(path for path in folder.iterdir() if path.name.endswith(ANSWERS))
        if not found:
            raise InputError.at(folder.name, f"holds no answers of Prometheus ({', '.join(ANSWERS)}) and no {INDEX}")
        return [{"file": path.name, "query": BY_NAME} for path in found]
    index = read_json(folder / INDEX)
    good = isinstance(index, list) and all(isinstance(item, dict) and {"file", "query"} <= set(item) for item in index)
    if not good:
        raise InputError.at(f"{folder.name}/{INDEX}", "must list the answers with file and query")
    return index


def _not_listed(folder: Path, index: list[dict]) -> list[tuple[str, int]]:
    """A remark on answers that the index does not name, and so nobody has read."""
    listed = {Path(str(item["file"])).name for item in index} | {INDEX}
    other = sorted(
        path.name for path in folder.iterdir() if path.name.endswith(ANSWERS) and path.name not in listed
        and not path.name.startswith("truth")
    )  # fmt: skip
    return [(f"files that {INDEX} does not name, not read: {', '.join(other[:6])}", len(other))] if other else []


def _sort(answers: _Answers, folder: Path, item: dict, named: dict[str, str]) -> None:
    path, query = folder / Path(str(item["file"])).name, str(item["query"])
    try:
        held = read_json(path)
        series = parse_answer(path.name, held)
        answers.said += [f"{path.name}: the server warned: {text}" for text in said_with(held)]
        if query == BY_NAME:
            _sort_by_name(answers, path.name, series, named)
            return
    except InputError as error:
        answers.refused[path.name] = str(error)
        return
    for one in series:
        if region := region_of(one.labels, named):
            answers.regions[workload_of(one.labels, named)] = region
    step, raw, mean, found = item.get("step_s"), _RAW.fullmatch(query), _MEAN.fullmatch(query), _INCREASE.search(query)
    if raw and known_metric(raw.group(1)):
        answers.raw.setdefault(known_metric(raw.group(1)), []).extend(series)
    elif mean and known_metric(mean.group(1)):
        seconds = int(mean.group(2)) * _SECONDS[mean.group(3)]  # a point tells of the time before it
        middle = [Series(one.labels, one.times - seconds / 2, one.values) for one in series]
        answers.raw.setdefault(known_metric(mean.group(1)), []).extend(middle)
    elif found and known_metric(found.group(1)) and "histogram_quantile" not in query:
        seconds = int(found.group(2)) * _SECONDS[found.group(3)]
        alias = metric_table().loc[known_metric(found.group(1))]
        if not _add_increase(answers, series, alias, seconds, step, item.get("endpoint"), named):
            answers.unused.append(path.name)
    else:
        answers.unused.append(path.name)


def _sort_by_name(answers: _Answers, file: str, series: list[Series], named: dict[str, str]) -> None:
    """Series that say themselves which metric they are, each a raw counter or gauge."""
    names = sorted({one.labels.get("__name__", "") for one in series})
    if not names[0]:
        rule = f"its series name no metric, as of a query with rate() or sum(): list file and query in {INDEX}"
        raise InputError.at(file, rule)
    for one in series:
        if region := region_of(one.labels, named):
            answers.regions[workload_of(one.labels, named)] = region
        if known := known_metric(one.labels["__name__"]):
            answers.raw.setdefault(known, []).append(one)
    unknown = [name for name in names if not known_metric(name)]
    answers.unused += [f"{file} ({name})" for name in unknown]


def _add_increase(
    answers: _Answers, series: list[Series], alias: pd.Series, seconds: int, step: object, endpoint: object,
    named: dict[str, str],
) -> bool:  # fmt: skip
    """Keep the increases of an answer; False if nothing is known to do with them."""
    canonical = str(alias["canonical"])
    every, series = len(series), without_labels(series, PAIR_LABELS)
    if len(series) < every:
        text = f"{canonical}: {every - len(series)} series of a second server that scrapes the same targets, left out"
        answers.said.append(text)
    if alias["kind"] == "counter" and len(apart := without_prefill(series)) < len(series):
        answers.said.append(f"{canonical}: {len(series) - len(apart)} series of engines that only prefill, left out")
        series = apart
    if alias["kind"] == "histogram":
        answers.factors[canonical] = float(alias["factor"])
        if endpoint == "query" or step == seconds:  # others overlap or leave gaps
            _add_buckets(answers, series, canonical, seconds, named)
        bounded = [pair for target in by_target(series)[0].values() for pair in target.items()]
        if broken := sum("le" in one.labels for one in series) - len(bounded):
            answers.said.append(f"{canonical}: bounds of {broken} series (le) are no numbers; left out")
        for bound, one in bounded:
            held = answers.buckets.setdefault((workload_of(one.labels, named), canonical), {})
            held[bound] = held.get(bound, 0.0) + float(np.nansum(one.values))
    elif canonical in COUNTED and endpoint == "query":
        for one in series:
            key = (workload_of(one.labels, named), canonical)
            answers.whole[key] = answers.whole.get(key, 0.0) + float(one.values[-1])
    elif canonical in COUNTED and step == seconds:
        answers.counted += [_window_rows(one, canonical, seconds, named) for one in series]
    else:
        return False
    return True


def _add_buckets(answers: _Answers, series: list[Series], canonical: str, seconds: int, named: dict[str, str]) -> None:
    """Keep the increases of whole histograms; a point at time t counts what happened in the step before it."""
    for held in by_target(series)[0].values():
        bounds = np.array(sorted(held))
        every = held[bounds[-1]]
        if not np.isinf(bounds[-1]) or any(not np.array_equal(one.times, every.times) for one in held.values()):
            continue
        increase = np.nan_to_num(np.array([held[bound].values for bound in bounds]).T)
        found = _Buckets(region_of(every.labels, named), every.times - seconds, bounds, increase)
        by_step = answers.by_day.setdefault((workload_of(every.labels, named), canonical), {})
        by_step.setdefault(seconds, []).append(found)


def _window_rows(series: Series, canonical: str, seconds: int, named: dict[str, str]) -> pd.DataFrame:
    """Increase of each step; a point at time t counts what happened in the step before it."""
    aborted = canonical == "served" and series.labels.get("finished_reason") in ABORTED
    known = np.isfinite(series.values)
    return pd.DataFrame(
        {
            "window_start_utc": pd.to_datetime(series.times[known] - seconds, unit="s", utc=True).as_unit("us"),
            "use_case_id": workload_of(series.labels, named),
            "metric": "errors" if aborted else canonical,
            "value": series.values[known],
            "seconds": seconds,
        }
    )


def _samples(raw: dict[str, list[Series]], counted: pd.DataFrame, minutes: int) -> Samples:
    """Raw answers as the samples of a period of whole windows.

    A range query of a month ends with the sample of the next midnight: it closes the last window and opens none.
    """
    table, seconds = metric_table(), minutes * 60
    counters = [metric for metric in raw if table["kind"][metric] != "gauge"]
    told = counters or ([] if len(counted) else list(raw))  # means of gauges begin half a step before the period
    times = [one.times for metric in told for one in raw[metric]]
    edges = [edge for held in times for edge in (held[0], held[-1])]
    if len(counted):
        stamps = counted["window_start_utc"].astype("int64") // 10**6
        edges += [float(stamps.min()), float(stamps.max()) + seconds - 1]
    start, last = np.floor(min(edges) / seconds) * seconds, max(edges)
    closed = last % DAY_S == 0 and last > start
    end = last if closed else np.ceil((last + 1) / seconds) * seconds
    found = Samples(start, end)
    for metric, series in raw.items():
        apart = [np.diff(one.times) for one in series if len(one.times) > 1]
        if apart:
            found.series[metric] = join_series(series)
            found.intervals[metric] = float(np.median(np.concatenate(apart)))
    leave_out_replicas(found)
    return found


def _with_increases(month: Month, counted: pd.DataFrame, regions: dict[str, str]) -> pd.DataFrame:
    """Windows of the raw counters where they tell something, else of the increases; where both do, they are compared."""
    keys = ["window_start_utc", "use_case_id"]
    if not len(counted):
        return month.windows
    wide = counted[counted["seconds"] == month.window_minutes * 60]
    wide = wide.pivot_table(index=keys, columns="metric", values="value", aggfunc="sum")
    wide = wide.round().astype("Int64").reset_index()
    if len(month.windows):
        wide = month.windows.merge(wide, how="outer", on=keys, suffixes=("", "_increase"))
        for name in [item for item in COUNTED if f"{item}_increase" in wide]:
            theirs, mine = wide.pop(f"{name}_increase"), wide[name].astype("Int64")
            both = mine.notna() & theirs.notna()
            apart = abs(int(mine[both].sum()) - int(theirs[both].sum()))
            if apart > MAX_APART * int(mine[both].sum()):
                text = (
                    f"{name.replace('_', ' ')}: raw counters and increases differ by {apart:,}; the raw counters count"
                )
                month.warnings.append((text, int(both.sum())))
            wide[name] = mine.fillna(theirs)
    else:
        wide["region"] = None
    return wide.assign(region=wide["region"].replace("", None).fillna(wide["use_case_id"].map(regions)).fillna(""))


def _gaps(month: Month, counted: pd.DataFrame) -> list[tuple[str, int]]:
    """Windows without a count of requests: a scrape gap, an outage, or a query too short."""
    found = []
    if not len(counted) or not (counted["metric"] == "served").any():
        return []
    for workload, mine in month.windows.groupby("use_case_id"):
        at = mine.set_index("window_start_utc")
        every = pd.date_range(at.index.min(), at.index.max(), freq=f"{month.window_minutes}min")
        gaps = int(at["served"].reindex(every).isna().sum()) if "served" in at else len(every)
        found += [(f"{workload}: windows without a count of requests", gaps)] if gaps else []
        if (workload, "requests") not in month.totals:
            text = f"{workload}: requests are the sum of windows, so what was counted in gaps is missing"
            found.append((text, len(mine)))
    return found
