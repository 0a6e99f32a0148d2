"""Samples by metric to what a workspace holds: windows, histograms and gauges by workload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aifactory.inputs.importers.telemetry.prometheus.aliases import metric_table
from aifactory.inputs.importers.telemetry.prometheus.answers import WORKLOAD_LABELS, Series
from aifactory.inputs.importers.telemetry.prometheus.counters import (
    Counted,
    merge_histograms,
    whole_counts,
    window_counts,
)
from aifactory.inputs.importers.telemetry.prometheus.live import Samples

#: Reasons for which a request ended without being served, and those of an enumeration (ResponseType.FINISH) that served it.
ABORTED = ("abort", "aborted", "error", "cancel", "cancelled")
SERVED = ("success", "finish")
#: Gateways that count the work which the engines behind them count too.
FRONTS = ("Dynamo frontend",)
REQUESTS = ("received", "served", "errors")
REGION_LABELS = ("region", "cloud_region", "topology_kubernetes_io_region", "topology_region")
#: Labels that name a target of which one metric has several series.
TARGET_LABELS = ("instance", "pod", "pod_name", "exported_pod", "job", "namespace")
COUNTED = ("received", "served", "errors", "input_tokens", "output_tokens", "cached_input_tokens")
#: Tokens of which a label says whether they went in or came out.
BY_TYPE, TYPE_LABEL = "tokens_by_type", "gen_ai_token_type"
GAUGES = ("queue_depth", "running", "kv_cache_utilization")
NOBODY = "(none)"

DAY_S = 86_400.0

Key = tuple[str, str]
Bucket = tuple[float, str, str, str, float, float]  # start (s), workload, region, metric, lower and upper bound (ms)


@dataclass
class Month:
    """A period by workload: windows, histograms, gauges; and remarks with their rows."""

    windows: pd.DataFrame  # window_start_utc, use_case_id, region, counts by canonical name, queue_depth_max
    window_minutes: int
    histograms: dict[Key, tuple[np.ndarray, np.ndarray, float]] = field(default_factory=dict)
    bounds: dict[Bucket, float] = field(default_factory=dict)  # what `latency_bounds` holds
    gauges: dict[Key, dict[str, float]] = field(default_factory=dict)
    totals: dict[Key, float] = field(default_factory=dict)  # where a source states them over the whole span
    pools: pd.DataFrame = field(default_factory=pd.DataFrame)
    devices: dict[str, dict[str, float]] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    rows_read: int = 0

    def add_bounds(
        self, workload: str, region: str, metric: str, starts: np.ndarray, bounds: np.ndarray, increase: np.ndarray,
        lost: float = 0.0,
    ) -> None:  # fmt: skip
        """Keep the buckets of one histogram: seconds of shape (days,), bounds (buckets,), cumulative increase (days, buckets).

        What was lost with a restart may lie anywhere, so it has the widest bounds.
        """
        counts = np.diff(np.maximum.accumulate(increase, axis=1), axis=1, prepend=0.0)
        lower = np.concatenate([[0.0], bounds[:-1]])
        found = {
            (float(starts[day]), workload, region, metric, float(lower[at]), float(bounds[at])): float(counts[day, at])
            for day, at in zip(*np.nonzero(counts > 0), strict=True)
        }
        gone = {(float(starts[0]), workload, region, metric, 0.0, np.inf): lost} if lost > 0 else {}
        for bucket, count in [*found.items(), *gone.items()]:
            self.bounds[bucket] = self.bounds.get(bucket, 0.0) + count


def workload_of(labels: dict[str, str], named: dict[str, str]) -> str:
    """Workload of a series: the label that the mapping names, else the first that is known."""
    return first_label(labels, [named["workload"]] if "workload" in named else WORKLOAD_LABELS) or NOBODY


def region_of(labels: dict[str, str], named: dict[str, str]) -> str:
    """Region of a series, empty if no label says it."""
    return first_label(labels, [named["region"]] if "region" in named else REGION_LABELS)


def first_label(labels: dict[str, str], names: Iterable[str]) -> str:
    """Value of the first of the labels that is filled."""
    return next((labels[name] for name in names if labels.get(name)), "")


def window_edges(start: float, end: float, window_minutes: int) -> np.ndarray:
    """Edges (s) of the windows from start to end; the last one may be short."""
    edges = np.arange(start, end, window_minutes * 60.0)
    return np.append(edges, end)


def day_edges(start: float, end: float) -> np.ndarray:
    """Start, each midnight (UTC) between, and end, seconds.

    >>> (day_edges(3600.0, 2 * 86400.0) / 3600).tolist()
    [1.0, 24.0, 48.0]
    """
    midnights = np.arange(np.floor(start / DAY_S) + 1, np.ceil(end / DAY_S)) * DAY_S
    return np.concatenate([[start], midnights, [end]])


def assemble(samples: Samples, window_minutes: int, named: dict[str, str]) -> Month:
    """Windows of the period by workload and region, with the histograms and gauges of the workloads.

    Parameters
    ----------
    named : `workload` and `region`: the labels that hold them, where they are unusual.
    """
    return _Assembly(samples, window_minutes, named).month()


class _Assembly:
    """One pass over the metrics of a period."""

    def __init__(self, samples: Samples, window_minutes: int, named: dict[str, str]) -> None:
        self.samples, self.named, self.window_minutes = samples, named, window_minutes
        self.edges = window_edges(samples.start, samples.end, window_minutes)
        self.days = day_edges(samples.start, samples.end)
        self.result = Month(pd.DataFrame(), window_minutes, warnings=list(samples.warnings), rows_read=samples.count)
        self.first_seen = _first_seen(samples)
        self.counts: dict[tuple[str, str, str], np.ndarray] = {}
        self.covered: dict[Key, np.ndarray] = {}
        self.engines: set[str] = set()
        self.owners: dict[tuple[tuple[str, ...], str], str] = {}
        self.again: dict[tuple[str, str], int] = {}
        self.tally: dict[str, dict[str, tuple[float, int]]] = {}
        self.fronted = _fronted(samples, named)
        self.behind: dict[str, int] = {}

    def month(self) -> Month:
        """The period."""
        table = metric_table()
        for metric, series in self.samples.series.items():
            alias = table.loc[metric]
            series = [one for one in series if not self._told(metric, str(alias["canonical"]), one)]
            series = [one for one in series if not self._behind(metric, alias, one)]
            if alias["remark"] and series:
                self.result.warnings.append((f"{metric}: {alias['remark']}", len(series)))
            if alias["kind"] == "counter" and alias["canonical"] in (*COUNTED, BY_TYPE):
                self._count(metric, alias, finite(metric, series, self.result.warnings))
            elif alias["kind"] == "histogram":
                self._histogram(metric, alias, finite(metric, series, self.result.warnings))
            elif alias["canonical"] in GAUGES:
                self._gauge(metric, alias, finite(metric, series, self.result.warnings))
        self.result.windows = self._windows()
        self._remark()
        return self.result

    def _told(self, metric: str, canonical: str, one: Series) -> bool:
        """Whether the target tells the same thing under another name already, as newer builds do beside the old one."""
        target = _target(one.labels)
        if canonical.startswith("device_") or not any(target):
            return False
        owner = self.owners.setdefault((target, canonical), metric)
        if owner != metric:
            self.again[metric, owner] = self.again.get((metric, owner), 0) + 1
        return owner != metric

    def _behind(self, metric: str, alias: pd.Series, one: Series) -> bool:
        """Whether a gateway in front of an engine tells the same of the workload."""
        told = self.fronted.get(workload_of(one.labels, self.named).lower(), ())
        behind = alias["engine"] not in FRONTS and _measure(alias["canonical"]) in told
        if behind:
            self.behind[metric] = self.behind.get(metric, 0) + 1
        return behind

    def _key(self, one: Series) -> Key:
        return workload_of(one.labels, self.named), region_of(one.labels, self.named)

    def _born(self, one: Series, interval: float) -> bool | None:
        """A series that its target showed only later was born there; else its first value decides."""
        return True if float(one.times[0]) > self.first_seen[_target(one.labels)] + interval / 2 else None

    def _count(self, metric: str, alias: pd.Series, series: list[Series]) -> None:
        interval = self.samples.intervals[metric]
        for one in series:
            counted = window_counts(one.times, one.values, self.edges, interval, born=self._born(one, interval))
            key, name = self._key(one), _canonical(alias["canonical"], one.labels)
            if name not in COUNTED:
                continue
            if name in ("received", "served"):
                self.engines.add(str(alias["engine"]))
            held = self.counts.setdefault((*key, name), np.zeros(len(self.edges) - 1))
            held += counted.increase
            self.covered[key] = np.maximum(self.covered.get(key, 0.0), counted.covered)
            self._note(name, one, counted)

    def _note(self, canonical: str, one: Series, counted: Counted) -> None:
        """Add up what a remark will say of this counter."""
        inside = (self.edges[1:] > one.times[0]) & (self.edges[:-1] < one.times[-1])
        holes = int(((counted.covered < 1 - 1e-9) & inside)[1:-1].sum()) if counted.resets else 0
        late = one.times[0] > self.edges[0]
        facts = {
            "resets": (counted.lost, counted.resets),
            "gaps": (float(counted.spread.sum()), int(np.count_nonzero(counted.spread))),
            "holes": (0.0, holes),
            "history": (counted.history if late else 0.0, int(bool(counted.history) and late)),
        }
        for kind, (amount, rows) in facts.items():
            held = self.tally.setdefault(kind, {}).get(canonical, (0.0, 0))
            if rows:
                self.tally[kind][canonical] = (held[0] + amount, held[1] + rows)

    def _remark(self) -> None:
        """Remarks on resets, gaps and unknown windows; rows are those of the counter that has most."""
        texts = {
            "resets": "resets of counters; about so much was counted between the last sample and the reset and is lost: {}",
            "gaps": "windows of a series that lie in a gap between samples; their known total is laid evenly over the gap: {}",
            "holes": "windows of a series that was not scraped and restarted; unknown, not zero",
            "history": "series whose first value was counted before they were seen; left out: {}",
        }
        for kind, text in texts.items():
            if held := self.tally.get(kind):
                amounts = ", ".join(f"{name.replace('_', ' ')} {amount:,.0f}" for name, (amount, _) in held.items())
                self.result.warnings.append((text.format(amounts), max(rows for _, rows in held.values())))
        for (metric, owner), series in self.again.items():
            text = f"{metric}: series of targets that tell the same as {owner}, counted once"
            self.result.warnings.append((text, series))
        for metric, series in self.behind.items():
            text = f"{metric}: series of engines behind a gateway that tells the same of the workload, counted once"
            self.result.warnings.append((text, series))
        if len(self.engines) > 1:
            text = f"{', '.join(sorted(self.engines))} all count requests: where one calls the other, a request counts twice"
            self.result.warnings.append((text, len(self.engines)))
        for (workload, _), share in self.covered.items():
            missing = int((share <= 0).sum())
            if missing:
                text = f"{workload}: windows without a sample are left out; unknown, not zero"
                self.result.warnings.append((text, missing))

    def _histogram(self, metric: str, alias: pd.Series, series: list[Series]) -> None:
        """Cumulative histograms of the period by workload, from the buckets of every target."""
        targets, bad = by_target(series)
        parts: dict[str, list[tuple[np.ndarray, np.ndarray, float]]] = {}
        falling, warnings = 0, self.result.warnings
        for buckets in targets.values():
            if np.inf not in buckets:
                bad += len(buckets)
                continue
            bounds, by_day, lost = self._buckets(buckets, self.samples.intervals[metric])
            raw = by_day.sum(axis=0)
            falling += int((np.diff(raw) < -0.5).sum())
            workload, region = self._key(buckets[np.inf])
            scaled = bounds * float(alias["factor"])
            self.result.add_bounds(workload, region, alias["canonical"], self.days[:-1], scaled, by_day, lost)
            parts.setdefault(workload, []).append((bounds, np.maximum.accumulate(raw), lost))
        for workload, held in parts.items():
            bounds, cumulative, other = merge_histograms([(bounds, counts) for bounds, counts, _ in held])
            lost = sum(part[2] for part in held)
            self.result.histograms[workload, alias["canonical"]] = (bounds * float(alias["factor"]), cumulative, lost)
            if other:
                warnings.append(
                    (
                        f"{metric}, {workload}: histograms with other buckets, added over the bounds that all share",
                        other,
                    )
                )
        if bad:
            warnings.append((f"{metric}: series without a bound or without the bucket +Inf, left out", bad))
        if falling:
            warnings.append((f"{metric}: buckets that count fewer than the one below, raised to it", falling))

    def _buckets(self, buckets: dict[float, Series], interval: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Bounds (buckets,), increases (days, buckets) and lost observations of one target.

        Whether its first values count is decided once, by the bucket +Inf, so that the buckets stay level.
        """
        edges, all_of_them = self.days, buckets[np.inf]
        total = window_counts(
            all_of_them.times, all_of_them.values, edges, interval, born=self._born(all_of_them, interval)
        )
        born = not total.history
        bounds = np.array(sorted(buckets))
        counted = [
            window_counts(one.times, one.values, edges, interval, born=born or bool(self._born(one, interval)))
            for one in (buckets[bound] for bound in bounds)
        ]
        return bounds, np.array([item.increase for item in counted]).T, total.lost

    def _gauge(self, metric: str, alias: pd.Series, series: list[Series]) -> None:
        """Mean and largest value by workload: the sum over pods at each scrape, for fractions their mean."""
        by: dict[Key, list[Series]] = {}
        for one in series:
            by.setdefault(self._key(one), []).append(one)
        for (workload, region), same in by.items():
            at, total = together(same, self.samples.intervals[metric], mean=alias["unit"] == "fraction")
            inside = (at >= self.edges[0]) & (at < self.edges[-1])
            if not inside.any():
                continue
            values = total[inside] * float(alias["factor"])
            held = self.result.gauges.setdefault((workload, alias["canonical"]), {"mean": 0.0, "max": 0.0})
            held["mean"] = round(held["mean"] + float(values.mean()), 6)
            held["max"] = round(max(held["max"], float(values.max())), 6)
            if alias["canonical"] == "queue_depth":
                largest = np.full(len(self.edges) - 1, np.nan)
                np.fmax.at(largest, np.searchsorted(self.edges, at[inside], side="right") - 1, values)
                self.counts[workload, region, "queue_depth_max"] = largest

    def _windows(self) -> pd.DataFrame:
        """Rows by workload, region and window of which something is known; counts whole, their sum rounded once."""
        start = pd.to_datetime(np.round(self.edges[:-1]).astype("int64"), unit="s", utc=True).as_unit("us")
        rows = []
        for (workload, region), share in self.covered.items():
            mine = {item[2]: value for item, value in self.counts.items() if item[:2] == (workload, region)}
            whole = {name: whole_counts(value) for name, value in mine.items() if name in COUNTED}
            frame = pd.DataFrame(whole).assign(window_start_utc=start, use_case_id=workload, region=region)
            if "queue_depth_max" in mine:
                frame["queue_depth_max"] = mine["queue_depth_max"]
            rows.append(frame[share > 0])
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def finite(metric: str, series: list[Series], warnings: list[tuple[str, int]]) -> list[Series]:
    """Series without values that are no numbers, are below zero, or no fraction where one is due; all counted."""
    alias, dropped, broken, kept = metric_table().loc[metric], 0, 0, []
    top = {"fraction": 1.0, "percent": 100.0}.get(alias["unit"], np.inf)
    for one in series:
        good = np.isfinite(one.values)
        wrong = good & ((one.values < 0) | (one.values > top * (1 + 1e-9)))
        dropped, broken = dropped + int((~good).sum()), broken + int(wrong.sum())
        good &= ~wrong
        if good.any():
            kept.append(Series(one.labels, one.times[good], one.values[good]))
    if dropped:
        warnings.append((f"{metric}: samples that are NaN or infinite, left out", dropped))
    if broken:
        rule = f"below 0 or above {top:g} (a {alias['unit']} is due)" if np.isfinite(top) else "below 0"
        warnings.append((f"{metric}: samples {rule}, left out", broken))
    return kept


def together(series: list[Series], interval: float, *, mean: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Times of the scrapes and the sum (or mean) of all series at each; a scrape is one interval long.

    A series sampled twice within one interval counts once, with its mean.
    """
    at = np.concatenate([np.floor(one.times / interval) for one in series])
    values = np.concatenate([one.values for one in series])
    which = np.repeat(np.arange(len(series)), [len(one.times) for one in series])
    frame = pd.DataFrame({"at": at, "which": which, "value": values}).groupby(["at", "which"])["value"].mean()
    total = frame.groupby("at").mean() if mean else frame.groupby("at").sum()
    return total.index.to_numpy() * interval, total.to_numpy()


def _first_seen(samples: Samples) -> dict[tuple[str, ...], float]:
    """Earliest sample of each target, over all of its series."""
    first: dict[tuple[str, ...], float] = {}
    for series in samples.series.values():
        for one in series:
            target = _target(one.labels)
            first[target] = min(first.get(target, np.inf), float(one.times[0]))
    return first


def _target(labels: dict[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in TARGET_LABELS)


def _fronted(samples: Samples, named: dict[str, str]) -> dict[str, set[str]]:
    """What gateways tell of each workload, whose name loses its case there."""
    table, told = metric_table(), {}
    for metric, series in samples.series.items():
        if table["engine"][metric] in FRONTS:
            for one in series:
                told.setdefault(workload_of(one.labels, named).lower(), set()).add(_measure(table["canonical"][metric]))
    return told


def _measure(canonical: str) -> str:
    return "requests" if canonical in REQUESTS else canonical


def by_target(series: list[Series]) -> tuple[dict[tuple, dict[float, Series]], int]:
    """Buckets of each target by their bound, and how many series have none."""
    targets: dict[tuple, dict[float, Series]] = {}
    bad = 0
    for one in series:
        try:
            bound = float(one.labels.get("le", ""))
        except ValueError:
            bad += 1
            continue
        rest = tuple(sorted((name, value) for name, value in one.labels.items() if name != "le"))
        targets.setdefault(rest, {})[bound] = one
    return targets, bad


def _canonical(canonical: str, labels: dict[str, str]) -> str:
    if canonical == BY_TYPE:
        return {"input": "input_tokens", "output": "output_tokens"}.get(labels.get(TYPE_LABEL, ""), "")
    if canonical != "served":
        return canonical
    family, _, reason = labels.get("finished_reason", "").lower().rpartition(".")
    failed = reason in ABORTED or (family and reason not in SERVED) or labels.get("status") == "error"
    return "errors" if failed else canonical
