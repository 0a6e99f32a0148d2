"""Hours of streams: measured ones of the period, and those of a measured stream of the same class for what never was."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.demand.profile import HOURS_PER_DAY, hourly_shape
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
    """Hourly load of the period, mean 1, per use case and region; of training with a target of its wait as it was asked for.

    Of a month that holds other days of the week than a week does (`week_mix` of the profile), the quieter days carry more or
    less, so that the mean is that of a week and the busy hours stay where they are.
    """
    windows, period = ws.table("demand_windows"), ws.period
    start = pd.Timestamp(f"{period}-01", tz="UTC")
    inside = (windows["window_start_utc"] >= start) & (windows["window_start_utc"] < start + pd.DateOffset(months=1))
    recent = windows[inside]
    pairs = profile[["use_case_id", "region"]].itertuples(index=False)
    mixes = profile["week_mix"].fillna(1.0) if "week_mix" in profile else pd.Series(1.0, index=profile.index)
    served = {
        (use_case, region): of_whole_weeks(hourly_shape(recent, use_case, region, period), mix)
        for (use_case, region), mix in zip(pairs, mixes, strict=True)
    }
    return served | queued_shapes(ws.table("jobs"), ws.table("use_cases"), period)


def of_whole_weeks(shape: np.ndarray, week_mix: float) -> np.ndarray:
    """Hours of a month over the mean of its weeks, mean 1, from those over the mean of the month; whole days are scaled.

    Days above the mean of the month keep their load; those at or below it make up for the rest, in proportion. Where that asks
    for less than nothing of them, or there are none, all hours keep their ratio.

    Parameters
    ----------
    shape : (n,), mean 1, whole days.
    week_mix : what the days of the month usually carry over those of a week.

    A day of 2 and three of 2/3 (mean 1) in a month whose days carry 0.9: the busy day is at 1.8, the others share the rest.

    >>> of_whole_weeks(np.repeat([2.0, 2 / 3, 2 / 3, 2 / 3], 24), 0.9)[::24].round(4).tolist()
    [1.8, 0.7333, 0.7333, 0.7333]
    """
    if week_mix == 1.0 or len(shape) % HOURS_PER_DAY:
        return shape
    days = shape.reshape(-1, HOURS_PER_DAY)
    quiet = days.mean(axis=1) <= days.mean()
    busy, rest = week_mix * days[~quiet].sum(), week_mix * days[quiet].sum()
    if quiet.all() or rest <= 0 or busy >= shape.size:
        return shape
    return (week_mix * days * np.where(quiet, (shape.size - busy) / rest, 1.0)[:, None]).reshape(shape.shape)
