"""A period of a live server: which metrics it has, how often they were scraped, and their samples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry.prometheus.aliases import (
    metric_table,
    near_metrics,
    select_metrics,
    unused_metrics,
)
from aifactory.inputs.importers.telemetry.prometheus.answers import Series
from aifactory.inputs.importers.telemetry.prometheus.server import MAX_POINTS, Server, selector

#: Samples of one answer and of one metric; beyond the second one the last sample of each step stands for all.
ANSWER_SAMPLES, METRIC_SAMPLES = 400_000, 4_000_000
STEPS_S = (60, 300, 900, 3600)
PROBE_S = 6 * 3600
#: Labels by which two servers that scrape the same targets tell themselves apart.
PAIR_LABELS = ("prometheus_replica", "__replica__", "receive_replica")
#: Labels that may tell such servers apart, or ranks of an engine that all count its requests; or what really differs.
REPLICA = "replica"
UNSURE_LABELS = (REPLICA, "tp_rank", "pp_rank")
#: Labels by which engines that prefill and that decode the same requests tell themselves apart.
ROLE_LABELS = ("llm_d_ai_role", "role", "engine_type", "component", "dynamo_component", "app_kubernetes_io_component")
PREFILL, DECODE = "prefill", "decode"


@dataclass
class Samples:
    """Samples by metric of the table, scrape interval of each (s), and remarks with their rows."""

    start: float
    end: float
    series: dict[str, list[Series]] = field(default_factory=dict)
    intervals: dict[str, float] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Samples of all series."""
        return sum(len(one.times) for held in self.series.values() for one in held)


def fetch_period(server: Server, start: pd.Timestamp, end: pd.Timestamp) -> Samples:
    """Every known metric of a period, with the samples just before it.

    Raises
    ------
    InputError
        If the server has no metric that the table knows, with names that are near.
    """
    found = Samples(start.timestamp(), end.timestamp())
    names = server.names(found.start, found.end)
    chosen = select_metrics(names)
    if not chosen:
        near = "; ".join(near_metrics(names)) or "none is near"
        rule = f"has no known metric of serving or accelerators between {start:%Y-%m-%d} and {end:%Y-%m-%d} among {len(names):,} ({near})"
        raise InputError.at(server.host, rule)
    unused = unused_metrics(names, chosen)
    if unused:
        shown = ", ".join(unused[:8]) + (", ..." if len(unused) > 8 else "")
        found.warnings.append((f"metrics that the table does not know, not used: {shown}", len(unused)))
    if server.unsafe:
        found.warnings.append(("the login travels unencrypted: the address is http, not https", 0))
    for metric, name in chosen.items():
        _fetch(server, found, metric, name)
    found.warnings += [(f"the server warned: {text}", count) for text, count in Counter(server.said).items()]
    leave_out_replicas(found)
    return found


def _fetch(server: Server, found: Samples, metric: str, name: str) -> None:
    labels = server.labels_of(name, found.start, found.end)
    interval = scrape_interval(server, name, labels, found.start, found.end)
    if interval is None:
        found.warnings.append((f"{name}: too few samples to tell how often it is scraped; not used", len(labels)))
        return
    expected = len(labels) * (found.end - found.start) / interval
    step = next((item for item in STEPS_S if expected * interval / item <= METRIC_SAMPLES), STEPS_S[-1])
    before = found.start - max(3 * interval, 300)
    if expected <= METRIC_SAMPLES or step <= interval:
        parts = _raw(server, selector(name), before, found.end + interval, interval, len(labels))
    else:
        parts = _stepped(server, selector(name), before, found.end + interval, step)
        found.warnings.append(
            (f"{name}: the last sample of every {step} s, not every one of {interval:g} s", len(labels))
        )
        interval = float(step)
    series = join_series(parts)
    if series:
        found.series[metric], found.intervals[metric] = series, interval


def leave_out_replicas(found: Samples) -> None:
    """Count each target once where two servers of a pair scrape it.

    The label `replica` may also tell real pods apart, and the ranks of an engine may serve requests of their own: these
    are dropped only where counters that differ by nothing else run level. What engines count that only prefill is counted
    again where the answer is decoded.
    """
    kind = metric_table()["kind"]
    counters = [series for metric, series in found.series.items() if kind[metric] != "gauge"]
    level = [label for label in UNSURE_LABELS if any(_run_level(series, label) for series in counters)]
    ranks = tuple(label for label in level if label != REPLICA)
    servers = (*PAIR_LABELS, REPLICA) if REPLICA in level else PAIR_LABELS
    ways = ((servers, "a second server that scrapes the same targets"), (ranks, "other ranks of an engine, which count the same requests"))  # fmt: skip
    for metric, series in found.series.items():
        held = series
        for labels, told in ways:
            kept = without_labels(held, labels)
            if len(kept) < len(held):
                found.warnings.append((f"{metric}: series of {told}, left out", len(held) - len(kept)))
            held = kept
        kept = without_prefill(held) if kind[metric] == "counter" else held
        if len(kept) < len(held):
            found.warnings.append((f"{metric}: series of engines that only prefill, left out", len(held) - len(kept)))
        found.series[metric] = kept


def without_prefill(series: list[Series]) -> list[Series]:
    """Series of a counter without those of engines that prefill, where others of their model decode."""
    decoding = {_served(one) for one in series if _role(one) == DECODE}
    return [one for one in series if _role(one) != PREFILL or _served(one) not in decoding]


def _role(one: Series) -> str:
    said = next((one.labels[name] for name in ROLE_LABELS if name in one.labels), "").casefold()
    return next((role for role in (PREFILL, DECODE) if said.startswith(role)), "")


def _served(one: Series) -> tuple[str, ...]:
    return tuple(one.labels.get(name, "") for name in ("namespace", "model_name"))


def _run_level(series: list[Series], label: str) -> bool:
    """Whether counters that differ by one unsure label only stand within two intervals' increase of each other."""
    groups: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for one in series:
        if label in one.labels and one.values.max() > one.values.min():
            groups.setdefault(_key(one, (label,)), []).append(one)
    pairs = [same[:2] for same in groups.values() if len(same) > 1]
    return bool(pairs) and all(_level(*pair) for pair in pairs)


def _level(one: Series, other: Series) -> bool:
    slack = 2 * max(np.abs(np.diff(one.values)).max(initial=0), np.abs(np.diff(other.values)).max(initial=0))
    both = (one.times >= other.times[0]) & (one.times <= other.times[-1])
    apart = np.abs(np.interp(one.times[both], other.times, other.values) - one.values[both])
    return bool(both.any()) and float(np.mean(apart <= slack)) >= 0.95


def scrape_interval(server: Server, name: str, labels: list[dict[str, str]], start: float, end: float) -> float | None:
    """Median seconds between samples of some series, looked for through the period; None without two samples."""
    for one in labels[:: max(len(labels) // 3, 1)][:4]:
        what = selector(name, {key: value for key, value in one.items() if key != "__name__"})
        for share in (0.5, 0.9, 0.1, 1.0, 0.3):
            at = start + share * (end - start)
            apart = [np.diff(item.times) for item in server.samples(what, max(at - PROBE_S, start - PROBE_S), at)]
            if apart and len(apart[0]):
                return max(float(np.median(np.concatenate(apart))), 1e-3)
    return None


def _raw(server: Server, what: str, start: float, end: float, interval: float, series: int) -> list[Series]:
    """All samples, in parts of at most so many that an answer stays small."""
    length = max(ANSWER_SAMPLES * interval / max(series, 1), 10 * interval)
    edges = np.append(np.arange(start, end, length), end)
    return [one for low, high in zip(edges[:-1], edges[1:], strict=True) for one in server.samples(what, low, high)]


def _stepped(server: Server, what: str, start: float, end: float, step: int) -> list[Series]:
    """The last sample of each step, in pages below the limit of a server."""
    first = np.floor(start / step) * step
    pages = np.arange(first, end, MAX_POINTS * step)
    return [
        one for low in pages for one in server.last_samples(what, low, min(low + (MAX_POINTS - 1) * step, end), step)
    ]


def join_series(parts: list[Series]) -> list[Series]:
    """Parts of the same series as one; samples at the seam that come twice are kept once."""
    held: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for part in parts:
        labels = {key: value for key, value in part.labels.items() if key != "__name__"}
        held.setdefault(tuple(sorted(labels.items())), []).append(part)
    joined = []
    for labels, same in held.items():
        times = np.concatenate([part.times for part in same])
        values = np.concatenate([part.values for part in same])
        times, first = np.unique(times, return_index=True)
        joined.append(Series(dict(labels), times, values[first]))
    return joined


def without_labels(series: list[Series], labels: tuple[str, ...]) -> list[Series]:
    """Of the series that differ only by these labels, the one with most samples."""
    best: dict[tuple[tuple[str, str], ...], Series] = {}
    for one in series:
        held = best.get(_key(one, labels))
        if held is None or len(one.times) > len(held.times):
            best[_key(one, labels)] = one
    return list(best.values())


def _key(one: Series, labels: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in one.labels.items() if name not in labels))
