"""Hours of streams: measured ones of the period, and those of a measured stream of the same class for what never was."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.demand.profile import hourly_shape
from aifactory.fleet.job_queues import queued_shapes
from aifactory.inputs.workspace import Workspace

#: Key of the shape that stands in where no stream of a class was measured.
ANY_CLASS = ""


def stand_in_shapes(
    shapes: Mapping[tuple[str, str], np.ndarray], classes: Mapping[str, str], left_out: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Hourly shape by workload class, and under `ANY_CLASS`: of the measured streams that with the middle peak.

    A real stream stands in rather than a mean of several, whose peaks would even out. Shapes without any variation
    say that nothing was measured and are left out; empty where all are so.

    Parameters
    ----------
    shapes : hourly load of the period over its mean, by use case and region.
    classes : workload class of each use case; those in `left_out` (training) have no hours of their own.

    >>> shapes = {("a", "eu"): np.array([0.8, 1.2]), ("b", "eu"): np.array([0.2, 1.8]), ("c", "eu"): np.array([0.5, 1.5])}
    >>> found = stand_in_shapes(shapes, {"a": "chat", "b": "chat", "c": "media"})
    >>> found["chat"].tolist(), found[ANY_CLASS].tolist()
    ([0.8, 1.2], [0.5, 1.5])
    """
    known: dict[str, list[np.ndarray]] = {}
    for (use_case, _), shape in sorted(shapes.items(), key=lambda item: item[0]):
        kind = classes.get(use_case, ANY_CLASS)
        if kind not in left_out and np.isfinite(shape).all() and np.ptp(shape) > 0:
            for name in {kind, ANY_CLASS}:
                known.setdefault(name, []).append(shape)
    return {name: sorted(found, key=np.max)[(len(found) - 1) // 2] for name, found in known.items()}


def period_shapes(ws: Workspace, profile: pd.DataFrame) -> Mapping[tuple[str, str], np.ndarray]:
    """Hourly load of the period, mean 1, per use case and region; of training with a target of its wait as it was asked for."""
    windows, period = ws.table("demand_windows"), ws.period
    start = pd.Timestamp(f"{period}-01", tz="UTC")
    inside = (windows["window_start_utc"] >= start) & (windows["window_start_utc"] < start + pd.DateOffset(months=1))
    recent = windows[inside]
    pairs = profile[["use_case_id", "region"]].itertuples(index=False)
    served = {(use_case, region): hourly_shape(recent, use_case, region, period) for use_case, region in pairs}
    return served | queued_shapes(ws.table("jobs"), ws.table("use_cases"), period)
