"""Growth of the work of a unit: tokens per request and requests per session creep, apart from the number of units.

    work of a unit = requests per unit x (input tokens x 1 + output tokens x w)

with w the work of a generated token over that of a prompt token. Each factor has a trend of its own over the months of
own telemetry (`demand.profile.monthly_trend` with the prior of sizes); the growth of the work is

    c = (1 + g_requests) (1 + sum_i a_i g_i) - 1,   a_i the share of token kind i in today's work,

and its doubt s = (s_requests^2 + (sum_i a_i s_i)^2)^(1/2), as if lengths moved together and the number of requests
apart. Prior and drift are plan assumptions (`unknown_size_growth_sd`, `size_drift_sd`) with their sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.demand.scenarios import Z90, Spread
from aifactory.inputs.plan import Plan

#: Scatter of a month of tokens per request about its trend before it is measured: median of eight models on OpenRouter,
#: weeks of 2025-11 to 2026-03, prompts 0.08 and answers 0.09.
SIZE_SCATTER = 0.08
#: Kinds of rows of a growth table: tokens of a request, and requests of a unit.
INPUT, OUTPUT, REQUESTS = "input_tokens", "output_tokens", "requests_per_unit"


@dataclass(frozen=True)
class Creep:
    """Growth a month of the work of a unit, with the doubt of its logarithm (of today's trend alone)."""

    growth: float
    log_sd: float


def unit_creep(rows: pd.DataFrame, output_weight: float, prior_sd: float) -> Creep | None:
    """Growth of the work of a unit of one use case from the trends of its factors.

    Parameters
    ----------
    rows : columns tokens (INPUT, OUTPUT or REQUESTS), per_request (today's figure), growth_per_month, growth_log_sd;
        NaN growth where the months are too few: no growth, with the doubt of the prior.
    output_weight : work of a generated token over that of a prompt token, above 0.
    prior_sd : doubt of a growth that is not measured.

    Returns
    -------
    None without a positive number of tokens.

    >>> table = pd.DataFrame({"tokens": [INPUT, OUTPUT], "per_request": [600.0, 100.0], "growth_per_month": [0.02, 0.0],
    ...                       "growth_log_sd": [0.01, 0.005]})
    >>> found = unit_creep(table, 4.0, 0.02)
    >>> round(found.growth, 6), round(found.log_sd, 6)
    (0.012, 0.008)
    """
    growth = rows["growth_per_month"].fillna(0.0).to_numpy(dtype=float)
    doubt = rows["growth_log_sd"].fillna(prior_sd).to_numpy(dtype=float)
    of_tokens = (rows["tokens"] != REQUESTS).to_numpy()
    weight = np.where(rows["tokens"] == OUTPUT, output_weight, 1.0)
    work = np.where(of_tokens, rows["per_request"].to_numpy(dtype=float) * weight, 0.0)
    if not work.sum() > 0:
        return None
    share = work / work.sum()
    more = np.prod(1 + growth[~of_tokens])
    return Creep(float(more * (1 + share @ growth) - 1), float(np.hypot(doubt[~of_tokens].sum(), share @ doubt)))


def widened(log_sd: float, plan: Plan) -> float:
    """Doubt of the growth over the horizon: that of today's trend and how far it wanders from it."""
    return float(np.hypot(log_sd, plan.value("size_drift_sd")))


def stated_doubt(factors: Mapping[str, Spread]) -> float | None:
    """Deviation of the logarithm of a unit's work that a demand chain states by the P10 and P90 of its factors.

    Lengths of prompts and answers count alike, whichever is wider: their shares of the work are not known before the
    first request. `factors` holds spreads (low, middle, high) by name; None where no length is stated.

    >>> calls = Spread(9.0, 9.0, 9.0)
    >>> round(stated_doubt({"output_tokens_per_request": Spread(50.0, 100.0, 200.0), "requests_per_unit": calls}), 3)
    0.541
    """
    lengths = [factors[f"{kind}_per_request"] for kind in (INPUT, OUTPUT) if f"{kind}_per_request" in factors]
    if not lengths:
        return None
    widest = max(log_sd(item.low, item.high) for item in lengths)
    calls = factors.get(REQUESTS)
    return float(np.hypot(widest, 0.0 if calls is None else log_sd(calls.low, calls.high)))


def log_sd(low: float, high: float) -> float:
    """Deviation of the logarithm of what lies at `low` and `high` at P10 and P90; 0 without a span."""
    return float(np.log(high / low) / (2 * Z90)) if high > low > 0 else 0.0
