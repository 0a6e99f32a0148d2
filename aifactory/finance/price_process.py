"""How prices move: list, contract and spot prices as three processes, and the next generation.

List and contract prices stand still and step, rarely and mostly down, when a vendor reprices; a
smooth decline is worse than doing nothing. Spot prices move every month, up and down. What falls
steadily is the price of a unit of work, once a new generation is on sale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import ndtri

from aifactory.units import MONTHS_PER_YEAR

Kind = Literal["list", "contract", "spot"]
KINDS: dict[str, Kind] = {
    "on_demand": "list",
    "spot": "spot",
    "cud_1y": "contract",
    "cud_3y": "contract",
    "reserved_1y": "contract",
    "reserved_3y": "contract",
    "reserved_1y_all_upfront": "contract",
    "lease": "contract",
    "capacity_block": "contract",
}
STEP = np.log(1.05)  # smaller changes are rounding
STILL = 1e-6  # log change below which a price has not moved
MOST_DAYS = 45  # observations further apart are no monthly change
#: Months from one generation to the next; release dates of `lifecycle.csv`, Epoch AI, as of 2026-08.
CADENCE_MONTHS = {"nvidia": 25, "amd": 14, "google": 14, "aws": 19}
WORK_PRICE_FACTOR = 0.5  # price per unit of compute after a generation, V100 -> A100 -46 % (list, 2025-04)


#: Share of the variance of a month's spot change that lasts as a tendency; the rest is new every month.
TENDENCY = 0.3
#: Observed months that the spread of all accelerators counts for beside an accelerator's own changes.
#: Both were chosen at rolling origins of GCP spot prices, 2023-05 to 2025-05 (35 series, 4 accelerators):
#: 80 % intervals held 81, 77, 79, 77 and 82 % after 1, 2, 3, 4 and 6 months. Chosen without the accelerator
#: that is judged they held 81, 77, 80, 78 and 84 %; of the one new accelerator (H100) alone 72, 50, 48, 45 and
#: 53 %: its fall has no precedent in the others.
POOLED_MONTHS = 6


@dataclass(frozen=True)
class PriceProcess:
    """Yearly rate and sizes (log) of vendor steps; spread of a month's log change (spot), of all and by accelerator.

    `moving_share` is the share of months in which a spot price moves at all: in GCP's lists one in four.
    """

    kind: Kind
    steps_per_year: float
    step_sizes: np.ndarray
    monthly_spread: float
    series: int
    series_years: float
    own_spread: Mapping[str, float] = field(default_factory=dict)
    moving_share: float = 1.0

    def spread(self, accelerator: str | None = None) -> float:
        """Spread of a month's log change: that of an accelerator where its changes were seen, else of all."""
        return self.own_spread.get(accelerator, self.monthly_spread)

    def paths(self, price: float, months: int, draws: int, seed: int, *, accelerator: str | None = None) -> np.ndarray:
        """Prices of months 0 to `months`, [draws, months + 1]; month 0 is today's price.

        List and contract: the price stands; in each month a step of a size seen before comes with
        chance 1 - exp(-rate / 12). Spot: in the share p of months a log change
        s / sqrt(p) (sqrt(1 - q / p) e_t + sqrt(q / p) d) with normal e by month and d by path,
        q = `TENDENCY` (p at most), so that variances add up as in `interval`; else the price stands.
        """
        _check(price, months)
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        if self.kind == "spot":
            noise, tendency = rng.standard_normal((draws, months)), rng.standard_normal((draws, 1))
            share = max(self.moving_share, 1e-9)
            lasting = min(TENDENCY / share, 1.0)
            changes = np.sqrt(1 - lasting) * noise + np.sqrt(lasting) * tendency
            changes *= self.spread(accelerator) / np.sqrt(share) * (rng.random((draws, months)) < share)
        else:
            chance = -np.expm1(-self.steps_per_year / MONTHS_PER_YEAR)
            happens = rng.random((draws, months)) < chance
            sizes = rng.choice(self.step_sizes, (draws, months)) if self.step_sizes.size else np.zeros((draws, months))
            changes = np.where(happens, sizes, 0.0)
        return price * np.exp(np.concatenate([np.zeros((draws, 1)), np.cumsum(changes, axis=1)], axis=1))

    def interval(
        self, price: float, months: int, level: float = 0.8, *, accelerator: str | None = None
    ) -> tuple[float, float, float]:
        """Point (today's price: nothing beats persistence), low and high of the price after some months.

        Spot: with chance P = 1 - (1 - p)^m the price has moved, by a normal log change of variance
        s^2 (m (1 - q) + m^2 q) / P; the interval is that of both together, so the level of the moved
        part is 1 - (1 - level) / P, and where a move is less likely than 1 - level the price stands.
        List and contract: today's price, unless a step within the horizon is likelier than the tail
        outside of the level.
        """
        _check(price, months)
        if self.kind == "spot":
            moved = 1 - (1 - self.moving_share) ** months
            inside = 1 - (1 - level) / moved if moved > 0 else 0.0
            spread = self.spread(accelerator) * np.sqrt(months * (1 - TENDENCY) + months**2 * TENDENCY)
            reach = float(ndtri((1 + inside) / 2) * spread / np.sqrt(moved)) if inside > 0 else 0.0
            return price, price * float(np.exp(-reach)), price * float(np.exp(reach))
        tail = (1 - level) / 2
        stepped = -np.expm1(-self.steps_per_year * months / MONTHS_PER_YEAR)
        down, up = ([size for size in self.step_sizes if size * sign > 0] for sign in (-1, 1))
        count = max(self.step_sizes.size, 1)
        low = float(np.median(down)) if stepped * len(down) / count > tail else 0.0
        high = float(np.median(up)) if stepped * len(up) / count > tail else 0.0
        return price, price * float(np.exp(low)), price * float(np.exp(high))


def _check(price: float, months: int) -> None:
    if not price > 0 or months < 0:
        msg = f"a positive price and a horizon are needed, got {price} and {months}"
        raise ValueError(msg)


SERIES = ["provider", "region", "instance_type", "accelerator", "kind"]


def fit_prices(history: pd.DataFrame) -> dict[Kind, PriceProcess]:
    """Fit the three processes to a price history.

    `history`: `date, provider, region, instance_type, accelerator, kind, usd_per_accel_hour`, one row
    per observation. The rate counts steps of more than 5 % per series and year; the sizes hold each
    event of a vendor, accelerator and day once, since regions and instance sizes move together.
    """
    return _fit_changes(_changes(history))


def _changes(history: pd.DataFrame) -> pd.DataFrame:
    rows = history.assign(date=pd.to_datetime(history["date"]), process=history["kind"].map(KINDS))
    rows = rows[rows["process"].notna() & (rows["usd_per_accel_hour"] > 0)]
    rows = rows.sort_values([*SERIES, "date"], kind="stable").assign(
        log=lambda held: np.log(held["usd_per_accel_hour"])
    )
    by = rows.groupby(SERIES, sort=False)
    return rows.assign(change=by["log"].diff(), days=by["date"].diff().dt.days).dropna(subset=["change"])


def _fit_changes(changes: pd.DataFrame) -> dict[Kind, PriceProcess]:
    return {kind: _fit(kind, changes[changes["process"] == kind]) for kind in ("list", "contract", "spot")}


def _fit(kind: Kind, changes: pd.DataFrame) -> PriceProcess:
    years = float(changes["days"].sum() / 365.25)
    steps = changes[changes["change"].abs() > STEP]
    events = steps.groupby(["provider", "accelerator", "date"])["change"].median()
    seen = changes[changes["days"] <= MOST_DAYS]
    spread = float(np.sqrt((seen["change"] ** 2).mean())) if len(seen) else 0.0
    by = (seen["change"] ** 2).groupby(seen["accelerator"])
    own = np.sqrt((by.sum() + POOLED_MONTHS * spread**2) / (by.count() + POOLED_MONTHS))
    return PriceProcess(
        kind=kind,
        steps_per_year=len(steps) / years if years > 0 else 0.0,
        step_sizes=events.to_numpy(dtype=float),
        monthly_spread=spread,
        series=int(changes.groupby(SERIES).ngroups),
        series_years=years,
        own_spread={str(name): float(value) for name, value in own.items()},
        moving_share=float((seen["change"].abs() > STILL).mean()) if len(seen) else 1.0,
    )


def score_intervals(
    history: pd.DataFrame, kind: Kind, months: int, *, level: float = 0.8, first: int = 6
) -> dict[str, float]:
    """Judge a process at rolling origins, each fitted on what was known then.

    Every series counts alike. Returns `coverage` of the interval, its mean `width` relative to the
    price, mean absolute relative `error` of the point and `origins`; the first `first` months only train.
    """
    rows = history[history["kind"].map(KINDS) == kind]
    rows = rows.assign(date=pd.to_datetime(rows["date"])).sort_values("date")
    rows = rows.assign(month=rows["date"].dt.to_period("M"))
    wide = rows.pivot_table(index="month", columns=SERIES, values="usd_per_accel_hour", aggfunc="last")
    changes, scores = _changes(history), []
    for origin in wide.index[first:]:
        if origin + months not in wide.index:
            continue
        process = _fit_changes(changes[changes["date"] <= origin.end_time])[kind]
        ratio = (wide.loc[origin + months] / wide.loc[origin]).dropna()
        names = ratio.index.get_level_values("accelerator")
        ends = {name: process.interval(1.0, months, level, accelerator=name)[1:] for name in names.unique()}
        low, high = np.array([ends[name] for name in names]).reshape(-1, 2).T
        inside = (ratio >= low - 1e-9) & (ratio <= high + 1e-9)
        scores.append(pd.DataFrame({"inside": inside, "width": high - low, "error": (ratio - 1).abs()}))
    if not scores:
        return {"coverage": np.nan, "width": np.nan, "error": np.nan, "origins": 0}
    mean = pd.concat(scores).groupby(level=list(range(len(SERIES)))).mean().mean()
    return {**{name: float(mean[score]) for name, score in (("coverage", "inside"), ("width", "width"), ("error", "error"))},
            "origins": len(scores)}  # fmt: skip


def next_generation(vendor: str, months_since_release: float) -> tuple[float, float]:
    """Months until the next generation is due, and the price of a unit of work then, relative to now.

    Zero months where it is overdue. Memory bandwidth, which bounds decoding, does not follow: apply
    the factor to work that is bound by compute only.

    >>> next_generation("nvidia", 13)
    (12.0, 0.5)
    """
    key = vendor.lower()
    if key not in CADENCE_MONTHS:
        msg = f"no cadence is known for {vendor!r}; known: {', '.join(CADENCE_MONTHS)}"
        raise ValueError(msg)
    return max(float(CADENCE_MONTHS[key] - months_since_release), 0.0), WORK_PRICE_FACTOR
