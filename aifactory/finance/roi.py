"""Return as a distribution: all options under the same draws, what drives them, what knowing more is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.finance.cashflow import TOTAL_LOSS, discount_factors
from aifactory.finance.draws import Factors, column
from aifactory.finance.risk import var_cvar
from aifactory.finance.roi_model import NEUTRAL, PER_USE_CASE, RoiModel
from aifactory.finance.sensitivity import SobolIndices, sobol_indices
from aifactory.units import HOURS_PER_MONTH, MONTHS_PER_YEAR

DRAWS = 100_000
TAIL = 0.9  # share of draws outside the tail that CVaR averages


@dataclass(frozen=True)
class RoiResult:
    """Measures of every option and draw, [O, n]; months are NaN where not within the horizon."""

    options: tuple[str, ...]
    npv_usd: np.ndarray
    cost_usd: np.ndarray
    pv_cost_usd: np.ndarray
    payback_month: np.ndarray
    discounted_payback_month: np.ndarray
    lowest_cash_usd: np.ndarray
    irr_annual: np.ndarray  # NaN unless the flows turn once, from money out to money in, above a total loss


def evaluate(model: RoiModel, draws: np.ndarray, names: Sequence[str], *, with_rate: bool = True) -> RoiResult:
    """Evaluate all options for draws [n, F] of the named factors; others stay at their base.

    Memory is that of the results: 7 numbers per option and draw. Unknown factors are refused.
    """
    from aifactory.finance.roi_kernel import MEASURES, evaluate_draws

    known = [*NEUTRAL, *(PER_USE_CASE + name for name in model.use_cases)]
    unknown = [name for name in names if name not in known]
    if unknown or draws.ndim != 2 or draws.shape[1] != len(names):
        msg = f"draws need one column per known factor; not known: {unknown}, shape {draws.shape}"
        raise ValueError(msg)
    common = np.column_stack([column(draws, names, name, neutral) for name, neutral in NEUTRAL.items()])
    streams = np.column_stack([column(draws, names, PER_USE_CASE + name, 1.0) for name in model.use_cases])
    out = np.empty((len(model.options), len(MEASURES), len(draws)))
    rates = np.full((len(model.options), len(draws)), np.nan)
    evaluate_draws(_arrays(model), common, streams, with_rate, out, rates)
    measures = {name: out[:, index] for index, name in enumerate(MEASURES)}
    with np.errstate(over="ignore"):
        annual = (1.0 + rates) ** MONTHS_PER_YEAR - 1.0
    return RoiResult(model.options, **measures, irr_annual=np.where(annual >= TOTAL_LOSS, annual, np.nan))


def _arrays(model: RoiModel) -> object:
    from aifactory.finance.roi_kernel import Arrays

    hosted = np.isfinite(model.hosted_usd).all(axis=2)
    made = {
        "is_hosted": hosted,
        "any_hosted": hosted.any(axis=1),
        "hosted_usd": np.nan_to_num(model.hosted_usd),
        "held_around_usd": (model.capacity * model.around_usd_per_hour).sum(axis=1) * HOURS_PER_MONTH,
        "factors": discount_factors(model.months + 1, model.rate),
        "pool": model.pool.astype(np.int64),
    }
    fields = {name: made[name] if name in made else getattr(model, name) for name in Arrays._fields}
    for name, value in fields.items():
        kind = value.dtype if name in ("pool", "is_hosted", "any_hosted", "year_starts") else float
        fields[name] = np.ascontiguousarray(value, dtype=kind) if isinstance(value, np.ndarray) else float(value)
    return Arrays(**fields)


def base_case(model: RoiModel) -> RoiResult:
    """Evaluate the model with every factor at its base."""
    return evaluate(model, np.zeros((1, 0)), [])


def summary(result: RoiResult) -> pd.DataFrame:
    """One row per option: quantiles of NPV, chances, payback, cost, with the error of sampling.

    P10, P50 and P90 of NPV; `loss_probability` and its standard error; `best_probability`, how often
    the option has the highest NPV; chances of payback in 24 months and within the horizon, its median
    (infinite counted last, NaN where not within the horizon or where nothing is to be paid back); mean cost, P90 and CVaR90 of cost.
    """
    npv = result.npv_usd
    best = npv.argmax(axis=0)
    rows = []
    for index, option in enumerate(result.options):
        months = np.nan_to_num(result.payback_month[index], nan=np.inf)
        median = float(np.median(months))
        loss = float((npv[index] < 0).mean())
        rate = result.irr_annual[index]
        rows.append(
            {
                "option": option,
                "npv_mean_usd": float(npv[index].mean()),
                "npv_error_usd": float(npv[index].std(ddof=1) / np.sqrt(npv.shape[1])) if npv.shape[1] > 1 else np.nan,
                **{f"npv_p{q}_usd": float(np.quantile(npv[index], q / 100)) for q in (10, 50, 90)},
                "loss_probability": loss,
                "loss_probability_error": float(np.sqrt(loss * (1 - loss) / npv.shape[1])),
                "best_probability": float((best == index).mean()),
                "payback_24_probability": float((months <= 24).mean()),
                "payback_probability": float(np.isfinite(months).mean()),
                "payback_p50_month": median if np.isfinite(median) and median > 0 else np.nan,
                "irr_p50": float(np.nanmedian(rate)) if np.isfinite(rate).any() else np.nan,
                "irr_unique_share": float(np.isfinite(rate).mean()),
                "cost_mean_usd": float(result.cost_usd[index].mean()),
                "cost_p90_usd": float(np.quantile(result.cost_usd[index], 0.9)),
                "cost_cvar90_usd": var_cvar(result.cost_usd[index], TAIL)[1],
                "lowest_cash_p10_usd": float(np.quantile(result.lowest_cash_usd[index], 0.1)),
            }
        )
    return pd.DataFrame(rows)


def frozen_tornado(model: RoiModel, factors: Factors, option: int) -> pd.DataFrame:
    """NPV of one option with each factor at P10 and P90, all orders as they are, widest swing first.

    `switching_value` is where the NPV crosses zero on the line through both ends.
    """
    middle = factors.middle()
    rows = np.repeat(middle, 2 * len(factors.items), axis=0)
    used = [item for item in factors.items if item.shape != "event"]
    for index, item in enumerate(factors.items):
        rows[2 * index, index], rows[2 * index + 1, index] = item.low, item.high
    npv = evaluate(model, rows, factors.names, with_rate=False).npv_usd[option].reshape(-1, 2)
    frame = pd.DataFrame(
        {
            "factor": factors.names,
            "low": [item.low for item in factors.items],
            "value": [item.middle for item in factors.items],
            "high": [item.high for item in factors.items],
            "npv_low_usd": npv[:, 0],
            "npv_high_usd": npv[:, 1],
            "swing_usd": np.abs(npv[:, 1] - npv[:, 0]),
        }
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = frame["low"] + (frame["high"] - frame["low"]) * npv[:, 0] / (npv[:, 0] - npv[:, 1])
    frame["switching_value"] = crossing.where(npv[:, 0] * npv[:, 1] < 0)
    frame = frame[frame["factor"].isin([item.name for item in used])]
    return frame.sort_values(["swing_usd", "factor"], ascending=[False, True], ignore_index=True)


def sobol_groups(
    model: RoiModel, factors: Factors, option: int, *, samples: int = 1_024, seed: int = 0
) -> tuple[list[str], SobolIndices]:
    """Shares of the variance of an option's NPV by group of factors (none may be correlated across groups)."""
    from scipy.special import ndtri

    factors.check_groups_apart()
    groups = factors.groups()

    def npv(points: np.ndarray) -> np.ndarray:
        values = factors.values(ndtri(points.clip(1e-12, 1 - 1e-12)))
        return evaluate(model, values, factors.names, with_rate=False).npv_usd[option]

    found = sobol_indices(npv, len(factors.items), samples=samples, seed=seed, groups=list(groups.values()))
    return list(groups), found


def nearest_level(levels: np.ndarray) -> float:
    """The multiple nearest to 1; NaN without one.

    >>> nearest_level(np.array([0.2, 1.5, 8.0])), nearest_level(np.zeros(0))
    (1.5, nan)
    """
    return float(levels[np.abs(np.log(levels)).argmin()]) if len(levels) else float("nan")


def break_even_levels(model: RoiModel, left: int, right: int | None = None) -> np.ndarray:
    """Multiples of the base demand, ascending, at which an option's cost becomes another's, or its NPV zero.

    Without `right` the NPV of `left` is brought to zero. Searched from 1/1000 to 1000 times in steps of 0.7 %: there are several where whole
    nodes, or what is rented above those held, make one cost less on both sides of the other.
    """
    grid = np.exp(np.linspace(np.log(1e-3), np.log(1e3), 2_001))

    def gap(levels: np.ndarray) -> np.ndarray:
        found = evaluate(model, levels[:, None], ["level"], with_rate=False)
        return found.npv_usd[left] if right is None else found.pv_cost_usd[left] - found.pv_cost_usd[right]

    values = gap(grid)
    at = np.flatnonzero(np.sign(values[:-1]) * np.sign(values[1:]) < 0)
    low, high = grid[at], grid[at + 1]
    for _ in range(60 if len(at) else 0):
        middle = np.sqrt(low * high)
        same = np.sign(gap(middle)) == np.sign(values[at])
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.sqrt(low * high)


def with_hosted_end(
    price_usd: np.ndarray, month: int | None, *, successor: float = 1.0, migrate_usd: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Price per unit and one-off cost by month of a hosted model that is retired in a month.

    From that month on the successor's price (a multiple) holds and the migration is paid once; a
    model retired before approval is migrated at once. `None`: no end is announced.

    >>> price, once = with_hosted_end(np.full(4, 2.0), 2, successor=0.5, migrate_usd=10.0)
    >>> price.tolist(), once.tolist()
    ([2.0, 2.0, 1.0, 1.0], [0.0, 0.0, 10.0, 0.0])
    """
    once = np.zeros(price_usd.size)
    if month is None or month >= price_usd.size:
        return price_usd.copy(), once
    start = max(month, 0)
    once[start] = migrate_usd
    after = np.arange(price_usd.size) >= start
    return np.where(after, price_usd * successor, price_usd), once


def at_wacc(model: RoiModel, wacc: float) -> RoiModel:
    """Return the model at another cost of capital."""
    return replace(model, wacc=wacc)
