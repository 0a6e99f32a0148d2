"""Time that people wait in a queue as money: hours measured, not guessed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.inputs.plan import HiddenCost, Plan
from aifactory.inputs.telemetry import bucket_value
from aifactory.units import KILO, SECONDS_PER_HOUR

QUEUE = "queue_ms"


def queue_seconds(histograms: pd.DataFrame) -> pd.Series:
    """Mean wait in the queue per request and use case, seconds, from log histograms of `queue_ms`.

    >>> rows = {"use_case_id": ["a", "a"], "metric": ["queue_ms"] * 2, "bucket": [0, 0], "count": [1, 3]}
    >>> round(float(queue_seconds(pd.DataFrame(rows))["a"]), 3)
    0.001
    """
    rows = histograms[histograms["metric"] == QUEUE]
    weighted = rows.assign(ms=bucket_value(rows["bucket"].to_numpy()) * rows["count"].to_numpy())
    sums = weighted.groupby("use_case_id")[["ms", "count"]].sum()
    return (sums["ms"] / sums["count"].where(sums["count"] > 0)) / KILO


def requests_per_unit(windows: pd.DataFrame) -> pd.Series:
    """Requests that make a unit of each use case, from the demand windows of the month.

    >>> rows = {"use_case_id": ["a", "a"], "requests": [10, 20], "service_units": [5.0, 10.0]}
    >>> float(requests_per_unit(pd.DataFrame(rows))["a"])
    2.0
    """
    sums = windows.groupby("use_case_id")[["requests", "service_units"]].sum()
    return sums["requests"] / sums["service_units"].where(sums["service_units"] > 0)


def job_seconds(jobs: pd.DataFrame, units: pd.Series) -> pd.Series:
    """Seconds from submission to start of all jobs of the month per unit (reference accelerator-hour), by use case.

    Jobs that have not started are left out.

    >>> jobs = {"use_case_id": ["a", "a"], "submitted_utc": ["2026-10-01T00:00Z"] * 2, "started_utc": ["2026-10-01T01:00Z", None]}
    >>> times = pd.DataFrame(jobs).astype({"submitted_utc": "datetime64[ns, UTC]", "started_utc": "datetime64[ns, UTC]"})
    >>> float(job_seconds(times, pd.Series({"a": 72.0}))["a"])
    50.0
    """
    begun = jobs[jobs["started_utc"].notna()]
    waited = (begun["started_utc"] - begun["submitted_utc"]) / pd.Timedelta(seconds=1)
    return waited.groupby(begun["use_case_id"]).sum() / units.where(units > 0)


def with_waiting(
    plan: Plan, histograms: pd.DataFrame, windows: pd.DataFrame, of_jobs: pd.Series | None = None
) -> tuple[Plan, list[str]]:
    """Plan whose cost centres per hour of waiting are amounts per unit, and what could not be counted.

    amount = requests per unit x mean wait of a request / 3600 x USD per hour, one line per use case; of training the wait
    of its jobs per unit (`job_seconds`). Without a measured wait the line costs nothing and a sentence says so.
    """
    seconds = queue_seconds(histograms) * requests_per_unit(windows)
    seconds = seconds if of_jobs is None else seconds.combine_first(of_jobs)
    found, missing = [], []
    for item in plan.hidden_costs:
        if not item.usd_per_waiting_hour:
            found.append(item)
            continue
        names = item.use_cases or sorted(seconds.index)
        measured = [name for name in names if np.isfinite(seconds.get(name, np.nan))]
        found += [_line(item, name, float(seconds[name]), alone=len(names) == 1) for name in measured]
        if lost := [name for name in names if name not in measured] or (["any use case"] if not names else []):
            missing.append(f"{item.name} of {', '.join(lost)} is not in the cost: no wait in the queue was measured.")
    return plan.model_copy(update={"hidden_costs": found}), missing


def _line(item: HiddenCost, use_case: str, seconds: float, *, alone: bool) -> HiddenCost:
    """Write the line of one use case, with its driver and source."""
    return item.model_copy(
        update={
            "name": item.name if alone else f"{item.name}: {use_case}",
            "usd_per_waiting_hour": 0.0,
            "usd_per_unit": seconds / SECONDS_PER_HOUR * item.usd_per_waiting_hour,
            "use_cases": [use_case],
            "driver": f"{seconds:.3g} s in the queue per unit, measured, at USD {item.usd_per_waiting_hour:g} an hour",
            "source": f"queue times of the month; price of an hour: {item.source}",
        }
    )
