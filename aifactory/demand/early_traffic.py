"""What the first part of the traffic says of all of it: extrapolated, with a stated error.

The first users are a few of many, and users are far from equal: who came first matters more than how long was
measured. With a share s of the users live, each picked by chance, the relative variance of the sum over s is

    u^2 = (1 - s) H          H: sum of the squared shares of the early users (Herfindahl), 1 / H as many equal users

and the mean of batches of windows (a day each) adds its own error b. A sample mostly misses the few largest users,
so the truth lies above more often than below, and farther. From the users of three language services (ServeGen,
clients live by chance, 10 to 50 % of them, three days against the three that followed) the range

    mean / s x exp(-LOW e) to mean / s x exp(HIGH e),   e^2 = u^2 + b^2

held the mean to come in 77 % of 2,382 draws (71, 77 and 84 % by service; 12 % lay above it, 11 % below); an interval from
the windows alone held it in 18 %. LOW and HIGH were read from these draws, so a service unlike them may lie outside more often.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from aifactory.demand.series import span
from aifactory.demand.windows import read_demand
from aifactory.errors import InputError, share_hint
from aifactory.units import counted, percent

#: Reach of the 80 % range below and above, in errors of the logarithm: medians of three language services.
LOW, HIGH = 1.0, 3.1
#: One-sided level of the range where all users are alike: quantile of Student's t with as many batches.
ALIKE = 0.9
WEEK_DAYS = 7
ONE_KIND_OF_DAY = (
    "less than a week: how days of the week differ is not in the range; project the same days, or measure a whole week"
)
ABOVE, BELOW, AS_PROJECTED = "above the projection", "below the projection", "as projected"


@dataclass(frozen=True)
class EarlyTraffic:
    """Extrapolation of the first part of the traffic to all of it, units per window; low to high holds 80 %.

    `error` is e of the module; the part of it that comes from unequal users is unknown (NaN) without their number.
    """

    mean: float
    low: float
    high: float
    peak_low: float
    peak_high: float
    ratio: float
    error: float
    users_error: float
    verdict: str


def check_early_traffic(
    values: np.ndarray, share: float, projected_mean: float, as_equals: float = np.inf, batch: int = 24
) -> EarlyTraffic:
    """Compare the projection with what the first `share` of it tells.

    Mean: observed mean / share with the range of the module; with `as_equals` infinite users are alike and the
    range is that of the windows only, of Student's t on the log scale, since few batches tell little of their own scatter. Peak (99th percentile): deviations grow with the root
    of the load where users act alone, in proportion where they act together; the truth lies between.

    Parameters
    ----------
    values : (n,), demand per window of the early traffic; two batches at least.
    share : share of the projected users that are live, above 0, at most 1.
    projected_mean : demand per window that was projected for all of them, above 0.
    as_equals : number of equal early users that would be as concentrated as those seen, 1 / H, at least 1.
    batch : windows of a batch, a day if there is one.

    Raises
    ------
    InputError
        If there are fewer than two batches, nothing came, or a figure is out of its bounds.

    >>> found = check_early_traffic(np.tile([9.0, 11.0], 24), 0.1, 100.0, as_equals=90)
    >>> found.mean, round(found.users_error, 3), round(found.low), round(found.high), found.verdict
    (100.0, 0.1, 90, 136, 'as projected')
    """
    values = _usable(values, share, projected_mean, as_equals, batch)
    batches = len(values) // batch
    means = values[-batches * batch :].reshape(batches, batch).mean(axis=1)
    mean = float(means.mean())
    drawn = float(np.sqrt((1 - share) / as_equals))
    error = float(np.hypot(drawn, means.std(ddof=1) / np.sqrt(batches) / mean))
    reach = (float(stdtrit(batches - 1, ALIKE)),) * 2 if np.isinf(as_equals) else (LOW, HIGH)
    low, high = mean / share * np.exp(-reach[0] * error), mean / share * np.exp(reach[1] * error)
    above = max(float(np.quantile(values, 0.99)) - float(values.mean()), 0.0)
    verdict = BELOW if high < projected_mean else ABOVE if low > projected_mean else AS_PROJECTED
    return EarlyTraffic(
        mean=mean / share,
        low=float(low),
        high=float(high),
        peak_low=float(low) + above / np.sqrt(share),
        peak_high=float(high) + above / share,
        ratio=mean / share / projected_mean,
        error=error,
        users_error=np.nan if np.isinf(as_equals) else drawn,
        verdict=verdict,
    )


def _usable(values: np.ndarray, share: float, projected_mean: float, as_equals: float, batch: int) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if not 0 < share <= 1:
        raise InputError.at("--share", f"must be above 0 and at most 1{share_hint(share)}", value=share)
    if not (np.isfinite(projected_mean) and projected_mean > 0):
        raise InputError.at("--projected", "must be a number above 0", value=projected_mean)
    if not as_equals >= 1:
        raise InputError.at("--as-equals", "must be 1 user or more", value=as_equals)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError("demand per window must be finite and not negative")
    if len(values) // batch < 2:
        raise InputError(f"{len(values)} windows are fewer than two batches of {batch}: measure for longer")
    if not values.sum() > 0:
        raise InputError("every window is empty: no traffic came yet")
    return values


def early_file(
    path: Path, window: pd.Timedelta, share: float, projected: float, as_equals: float | None, measure: str = "requests"
) -> dict[str, object]:
    """`check_early_traffic` of a file that `read_demand` reads; batches are days, or a tenth where there are too few."""
    demand = read_demand(path, window, measure)
    if len(demand.values) < 2:
        held = f"holds {counted(len(demand.values), 'whole window')} of {span(window)}, two at least are needed"
        raise InputError.at(path.name, f"{held}: give a shorter --window or measure for longer")
    day = max(round(pd.Timedelta(days=1) / window), 1)
    batch = day if len(demand.values) >= 2 * day else max(len(demand.values) // 10, 1)
    found = check_early_traffic(demand.values, share, projected, np.inf if as_equals is None else as_equals, batch)
    told = []
    if as_equals is None:
        told.append("users count as alike: who came first is not in the range; state --as-equals (inventory, tenants)")
    if day <= batch and len(demand.values) < WEEK_DAYS * day:
        told.append(ONE_KIND_OF_DAY)
    if batch < day:
        told.append(f"less than two days: the range knows no day, only batches of {span(window * batch)}")
    figures = {name: value for name, value in vars(found).items() if isinstance(value, float)}
    return {
        "verdict": found.verdict,
        "projected": projected,
        "share": share,
        "unit": f"{demand.unit} per {span(window)}",
        **{name: float(f"{value:.6g}") if np.isfinite(value) else None for name, value in figures.items()},
        "windows": len(demand.values),
        "source": demand.source,
        "warnings": [*demand.warnings, *told],
    }


def early_lines(found: dict[str, object]) -> list[str]:
    """The result as text."""
    return [
        f"{found['verdict'][0].upper()}{found['verdict'][1:]}: the first {percent(found['share'])} of the users point to {found['mean']:,} {found['unit']}, "
        f"80 % range {found['low']:,} to {found['high']:,}; projected {found['projected']:,} ({percent(found['ratio'])}).",
        f"Its 99th percentile lies between {found['peak_low']:,} (users act alone) and {found['peak_high']:,} (together).",
        *(f"  WARNING {text}" for text in found["warnings"]),
    ]
