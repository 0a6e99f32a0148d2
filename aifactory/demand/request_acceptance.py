"""Is generated demand like a trace? The same statistics of both, side by side, each with its limit."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

#: Statistic -> how far the generator may be from the trace, and in which sense.
LIMITS: dict[str, tuple[str, float]] = {
    **{f"{size}_{level}": ("relative", 0.15) for size in ("input_tokens", "output_tokens", "service_units") for level in ("p50", "p95", "p99")},
    **{f"{size}_top_{part}": ("points", 0.05) for size in ("input_tokens", "output_tokens", "service_units") for part in ("1pct", "10pct")},
    "interarrival_cv": ("relative", 0.25),
    **{f"dispersion_{window}s": ("factor", 2.0) for window in (1, 60, 3600)},
    "top_tenth_clients": ("points", 0.05),
    "hour_profile": ("mean absolute", 0.1),
    "input_output_rho": ("at most", 0.15),
    "cached_share": ("points", 0.05),
    "failure_share": ("points", 0.01),
    "requests_per_session_p50": ("relative", 0.15),
    "requests_per_session_p90": ("relative", 0.15),
}  # fmt: skip
HOUR_S = 3600.0


def size_statistics(name: str, sizes: np.ndarray) -> dict[str, float]:
    """Median, p95, p99 of sizes and the share of their sum in the largest 1 and 10 %.

    >>> found = size_statistics("input_tokens", np.arange(1.0, 101.0))
    >>> found["input_tokens_p50"], round(found["input_tokens_top_10pct"], 4)
    (50.5, 0.1891)
    """
    sizes = np.sort(np.asarray(sizes, dtype=float))[::-1]
    p50, p95, p99 = np.quantile(sizes, (0.5, 0.95, 0.99))
    tops = {
        f"{name}_top_{pct}pct": float(sizes[: max(len(sizes) * pct // 100, 1)].sum() / sizes.sum()) for pct in (1, 10)
    }
    return {f"{name}_p50": float(p50), f"{name}_p95": float(p95), f"{name}_p99": float(p99)} | tops


def arrival_statistics(arrival_s: np.ndarray, windows: tuple[int, ...] = (1, 60, 3600)) -> dict[str, float]:
    """CV of the time between requests, and variance over mean of the counts per window of 1 s, 1 min, 1 h.

    Windows count from the first request; the last one, seen in part, is left out. Arrivals in any order.

    >>> found = arrival_statistics(np.arange(0.0, 100.0, 0.5), (1,))
    >>> found["interarrival_cv"], found["dispersion_1s"]
    (0.0, 0.0)
    """
    moments = np.sort(np.asarray(arrival_s, dtype=float))
    gaps = np.diff(moments)
    found = {"interarrival_cv": float(gaps.std() / gaps.mean())}
    for window in windows:
        counts = np.bincount(((moments - moments[0]) // window).astype("int64"))[:-1]
        if len(counts) > 1:
            found[f"dispersion_{window}s"] = float(counts.var() / counts.mean())
    return found


def client_share(clients: np.ndarray) -> float:
    """Share of the requests that the top tenth of the clients send (one client at least).

    >>> client_share(np.array(["a"] * 7 + ["b", "c", "d"]))
    0.7
    """
    counts = pd.Series(clients).value_counts().to_numpy()
    return float(counts[: max(len(counts) // 10, 1)].sum() / counts.sum())


def hour_profile(hour: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Relative load of the hours of the day, (24,), mean 1."""
    load = np.bincount(np.asarray(hour, dtype="int64"), weights=weights, minlength=24)
    return load / load.mean()


def table_statistics(rows: pd.DataFrame, hours_from_utc: Mapping[str, int] | None = None) -> dict[str, object]:
    """Every statistic of `LIMITS` that generated or logged requests can give.

    Parameters
    ----------
    rows : columns of the contract `requests`; sizes that are all zero or one are left out.
    hours_from_utc : by region, for the profile over local hours; UTC without.
    """
    since = (rows["timestamp_utc"] - rows["timestamp_utc"].min()) / pd.Timedelta(seconds=1)
    found: dict[str, object] = dict(arrival_statistics(since.to_numpy()))
    for name in ("input_tokens", "output_tokens", "service_units"):
        sizes = rows[name].to_numpy(dtype=float)
        if sizes.max() > 1:
            found |= size_statistics(name, sizes)
    if "input_tokens_p50" in found and rows["output_tokens"].max() > 0:
        found["input_output_rho"] = abs(float(spearmanr(rows["input_tokens"], rows["output_tokens"]).statistic))
        found["cached_share"] = float(rows["cached_input_tokens"].sum() / rows["input_tokens"].sum())
    shift = rows["region"].astype("str").map(hours_from_utc or {}).fillna(0)
    found["hour_profile"] = hour_profile((rows["timestamp_utc"].dt.hour + shift) % 24)
    found["top_tenth_clients"] = client_share(rows["tenant"].astype("str").to_numpy())
    found["failure_share"] = float((rows["status"].astype("str") != "ok").mean())
    sessions = rows["session_id"].value_counts()
    if len(sessions):
        found |= {f"requests_per_session_p{level}": float(sessions.quantile(level / 100)) for level in (50, 90)}
    return found


def accept(trace: Mapping[str, object], generated: Mapping[str, object]) -> pd.DataFrame:
    """A row per statistic of the trace: its value, that of the generator, the limit and whether it is kept.

    The profile is compared by its mean absolute difference, which stands as the generator's value.

    >>> accept({"failure_share": 0.016}, {"failure_share": 0.02})["passed"].tolist()
    [True]
    """
    rows = []
    for name, value in trace.items():
        sense, limit = LIMITS[name]
        own = generated[name]
        if sense == "mean absolute":
            value, own = 0.0, float(np.abs(np.asarray(value) - np.asarray(own)).mean())
        kept = {
            "relative": abs(own - value) <= limit * abs(value),
            "points": abs(own - value) <= limit,
            "factor": value > 0 and 1 / limit <= own / value <= limit,
            "mean absolute": own < limit,
            "at most": abs(own) < limit,
        }[sense]
        rows.append(
            {"statistic": name, "trace": value, "generator": own, "sense": sense, "limit": limit, "passed": bool(kept)}
        )
    return pd.DataFrame(rows)
