"""Factors of a demand chain with their doubt: seats x active share x units per seat x work of a unit.

Each factor is log-normal about its stated value, with the stated P10 and P90 (another width on either side), so that
factors multiply and none falls below 0. What nobody bounds has a prior: seats are counted and certain; an active
share, units per seat and the work of a unit (requests x tokens) have a deviation of the logarithm of `FACTOR_SD`
each. A P10 and P90 equal to the value say that it is certain.

Where `FACTOR_SD` comes from: forecasts of products new to their company are 47 % accurate a year after launch
(Kahn 2002, An exploratory investigation of new product forecasting practices, Journal of Product Innovation
Management 19, table of the benchmarks in the PDMA handbook). A log-normal about its median with deviation s misses by

    E |X - 1| = e^(s^2 / 2) (2 Phi(s) - 1),   0.53 at s = 0.59,

of which each of three independent factors has a third of the variance: 0.59 / 3^(1/2) = 0.34, rounded to that of the
final share of `demand.adoption`. For comparison, measured: the mean prompt of a client of one public model is away
from that of its fellow clients by 0.7 to 1.2 (ServeGen, deviation of the logarithm, weighted by requests): whoever
knows nothing of his prompts but the kind of service should state wider ends.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.demand.adoption import RATE_SD, SATURATION_SD, adoption_curves, basis_of, prior_rate
from aifactory.demand.adoption import Launch as Adoption
from aifactory.demand.scenarios import WEEKS_PER_MONTH, Z90, Adopting, LogSpread
from aifactory.demand.unit_size import log_sd, stated_doubt

FACTOR_SD = SATURATION_SD
CURVE_SEED = 1
UNITS, SEATS, SHARE, EARLY = "units_per_seat_month", "seats", "active_share", "active_share_day_90"
#: Factors of the work of a unit.
WORK = ("requests_per_unit", "input_tokens_per_request", "output_tokens_per_request")
DOUBTS = ["use_case_id", "factor", "value", "p10", "p90", "log_sd", "variance_share", "known_from", "source", "as_of"]
STATED, PRIOR, COUNTED = "stated", "prior", "counted, certain"


def factors(chain: pd.DataFrame | None) -> dict[str, pd.DataFrame]:
    """Factors by use case, of those from which a launch can be forecast; indexed by factor."""
    if chain is None or chain.empty:
        return {}
    parts = {str(name): rows.set_index("factor") for name, rows in chain.groupby("use_case_id")}
    return {name: rows for name, rows in parts.items() if UNITS in rows.index}


def is_stated(chain: pd.DataFrame, factor: str) -> bool:
    """Whether a chain bounds a factor by a P10 or a P90."""
    return factor in chain.index and bool(chain.loc[factor, ["low", "high"]].notna().any())


def factor_spread(chain: pd.DataFrame, factor: str, prior_sd: float = 0.0) -> LogSpread:
    """A factor with its P10 and P90; without both those of a prior, without one of them certain on that side.

    A P10 of zero says nothing of a number above zero: that side is then as wide as the other. A factor that is zero is certain.
    """
    row = chain.loc[factor]
    middle = float(row["value"])
    if not middle > 0:
        return LogSpread(0.0, 0.0, 0.0)
    if not is_stated(chain, factor):
        wide = float(np.exp(Z90 * prior_sd))
        return LogSpread(middle / wide, middle, middle * wide)
    low, high = (middle if np.isnan(row[edge]) else float(row[edge]) for edge in ("low", "high"))
    return LogSpread(low if low > 0 else middle**2 / high, middle, high)


def launch_of(chain: pd.DataFrame) -> Adoption:
    """Priors of an adoption curve: seats, final share, share by day 90, with the doubt of each."""
    seats, early = factor_spread(chain, SEATS), factor_spread(chain, EARLY)
    share = factor_spread(chain, SHARE, SATURATION_SD)
    rates = [prior_rate(min(max(value, 1e-3), 0.99)) for value in (early.low, early.high)]
    return Adoption(
        seats.middle,
        share.middle,
        min(early.middle, 0.99),
        saturation_sd=log_sd(share.low, share.high),
        rate_sd=log_sd(*rates) if is_stated(chain, EARLY) else RATE_SD,
        seats_sd=log_sd(seats.low, seats.high),
    )


def work_doubt(chain: pd.DataFrame) -> float | None:
    """Deviation of the logarithm of the work of a unit; None where no tokens are given. See `unit_size.stated_doubt`."""
    given = [name for name in WORK if name in chain.index]
    stated = stated_doubt({name: factor_spread(chain, name) for name in given})
    return FACTOR_SD if stated is not None and not any(is_stated(chain, name) for name in given) else stated


def adopting(
    chain: pd.DataFrame, weekly_units: np.ndarray | None, share: np.ndarray, first_month: float, months: int
) -> Adopting:
    """Adoption of a use case over a horizon of so many months, updated by its weeks of demand where there are some.

    Demand says how much seats and units per seat come to together: the doubt of the latter is then one of the
    seats that the weeks are held against, and none is left beside the curves that fit them.
    """
    per_seat, launch, seen = factor_spread(chain, UNITS, FACTOR_SD), launch_of(chain), None
    weeks = int(np.ceil((months + max(1 - first_month, 0) + 2) * WEEKS_PER_MONTH))
    if weekly_units is not None and np.isfinite(weekly_units).any():
        seen = np.asarray(weekly_units, dtype=float) * WEEKS_PER_MONTH / per_seat.middle
        launch = replace(launch, seats_sd=float(np.hypot(launch.seats_sd, log_sd(per_seat.low, per_seat.high))))
        per_seat = LogSpread(per_seat.middle, per_seat.middle, per_seat.middle)
    curves, weight, _ = adoption_curves(launch, weeks, seen, CURVE_SEED, within=0.5)
    order = np.argsort(curves[:, -1], kind="stable")
    return Adopting(curves[order], weight[order], first_month, per_seat, share)


def adoption_basis(chain: pd.DataFrame, weekly_units: np.ndarray | None) -> str:
    """What the adoption of a use case rests on, in words."""
    weeks = 0 if weekly_units is None else int(np.isfinite(weekly_units).sum())
    return f"adoption of {chain.loc[SEATS, 'value']:,.0f} seats; {basis_of(weeks)}"


def region_share(chain: pd.DataFrame, allowed: object, regions: tuple[str, ...]) -> np.ndarray:
    """Share of each region: that of the chain, else equal parts over the allowed regions."""
    rows = chain[chain.index == "region_share"]
    if len(rows):
        stated = rows.set_index("region")["value"].reindex(regions).fillna(0.0).to_numpy(dtype=float)
        return stated / stated.sum()
    names = (
        {part.strip() for part in str(allowed).split(";")} if isinstance(allowed, str) and allowed.strip() else set()
    )
    inside = np.array([not names or region in names for region in regions], dtype=float)
    return inside / max(inside.sum(), 1.0)


def factor_doubts(chain: pd.DataFrame | None, use_cases: tuple[str, ...]) -> pd.DataFrame:
    """Doubt of every factor of the chains of some use cases, as the simulated paths hold it: columns `DOUBTS`.

    `p10` and `p90` are those of the paths, `log_sd` the deviation of the logarithm, `variance_share` its part in the
    variance of the logarithm of the final work a month (the share by day 90 moves when, not how much, and has none; of
    prompts and answers the wider one alone counts). Source and date are those of the row of `demand_chain`.

    >>> chain = pd.DataFrame({"use_case_id": "bot", "factor": [SEATS, SHARE, EARLY, UNITS], "value": [100, 0.5, 0.5, 9.0],
    ...     "low": [50.0, np.nan, np.nan, np.nan], "high": [200.0, np.nan, np.nan, np.nan], "source": "x", "as_of": "2026-10-31"})
    >>> factor_doubts(chain, ("bot",))[["factor", "log_sd", "variance_share", "known_from"]].round(2).to_numpy().tolist()
    ... # doctest: +NORMALIZE_WHITESPACE
    [['seats', 0.54, 0.54, 'stated'], ['active_share', 0.35, 0.23, 'prior'],
     ['active_share_day_90', 0.5, nan, 'prior'], ['units_per_seat_month', 0.35, 0.23, 'prior']]
    """
    known = factors(chain)
    parts = [_doubts(name, known[name]) for name in use_cases if name in known]
    return pd.concat(parts, ignore_index=True)[DOUBTS] if parts else pd.DataFrame(columns=DOUBTS)


def _doubts(name: str, chain: pd.DataFrame) -> pd.DataFrame:
    given = [factor for factor in (SEATS, SHARE, EARLY, UNITS, *WORK) if factor in chain.index]
    unbounded = not any(is_stated(chain, factor) for factor in WORK)
    rows = []
    for factor in given:
        of_work, stated = factor in WORK, is_stated(chain, factor)
        spread = factor_spread(chain, factor, 0.0 if factor in (SEATS, EARLY) or of_work else FACTOR_SD)
        sd = log_sd(spread.low, spread.high)
        if factor == EARLY:
            sd = launch_of(chain).rate_sd
        low, high = (np.nan, np.nan) if factor == EARLY and not stated else (spread.low, spread.high)
        told = STATED if stated else COUNTED if factor == SEATS or (of_work and not unbounded) else PRIOR
        rows.append((factor, spread.middle, low, high, sd, told))
    frame = pd.DataFrame(rows, columns=["factor", "value", "p10", "p90", "log_sd", "known_from"])
    lengths = frame["factor"].isin(WORK[1:])
    counted = frame["log_sd"].where(frame["factor"] != EARLY)
    counted = counted.where(~lengths | (frame.index == frame["log_sd"].where(lengths, -1.0).idxmax()), 0.0)
    if unbounded and lengths.any():  # one doubt of the work as a whole, told beside its first length
        first = lengths.idxmax()
        frame.loc[first, ["log_sd", "p10", "p90"]] = [FACTOR_SD, *(frame.loc[first, "value"] * np.exp([-Z90 * FACTOR_SD, Z90 * FACTOR_SD]))]  # fmt: skip
        counted[first] = FACTOR_SD
    total = np.square(counted).sum()
    told = chain.loc[frame["factor"], ["source", "as_of"]].reset_index(drop=True)
    share = np.square(counted) / total if total > 0 else counted
    return frame.assign(use_case_id=name, variance_share=share, **told)
