"""What it is worth to see something before the choice of a way to pay, less what the wait costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from aifactory.finance.information import seen_with_error, value_of_signal

if TYPE_CHECKING:
    from aifactory.buyplan.returns import ReturnsBasis

BENCH_ERROR = 0.03  # log standard error of a benchmark: run-to-run spread
EARLY_ERROR = 0.10  # log standard error of the demand of a use case after a tenth of its traffic
WAIT_MONTHS, BENCH_MONTHS = 3, 1
#: Part of the best expected NPV below which a worth is none.
LEAST = 1e-6


def worth_of_waiting(
    basis: ReturnsBasis, values: np.ndarray, npv_usd: np.ndarray, booked_usd: np.ndarray, rented: int
) -> pd.DataFrame:
    """Worth of what is seen, cost of the wait and what is left, USD: one row per kind of knowledge.

    Until the choice is made nothing is ordered and hours are rented. Each option loses by it what `late_usd` says, so the net worth is
    E max (E[NPV | seen] - wait) less the best expected NPV of today, and the cost of the wait what is missing to the worth of seeing
    alone. What a benchmark says about which accelerator to choose is not in this figure.

    Parameters
    ----------
    values, npv_usd : draws of the factors [draws, factors] and of the NPV [options, draws]; this plan is the first option.
    booked_usd, rented : NPV of each option in the base case, and the number of the option that rents all hours.
    """
    names, noise = basis.factors.names, np.random.default_rng(np.random.SeedSequence(basis.seed).spawn(1)[0])
    levels = [index for index, name in enumerate(names) if name.startswith("level:")]
    benched = seen_with_error(values[:, names.index("capacity")], BENCH_ERROR, noise)
    signals = {
        "Benchmark first": (benched, BENCH_MONTHS),
        "Wait for a tenth of the traffic": (seen_with_error(values[:, levels], EARLY_ERROR, noise), WAIT_MONTHS),
    }
    rows, perfect, best_usd = [], 0.0, npv_usd.mean(axis=1).max()
    for name, (signal, months) in signals.items():
        worth, perfect = value_of_signal(npv_usd, signal, products=False)
        lost = late_usd(booked_usd, rented, months / basis.model.months, basis.wait_usd[months])
        late = npv_usd - lost[:, None]
        then = value_of_signal(late, signal, products=False)[0]
        worth, then = (found if found > LEAST * abs(best_usd) else 0.0 for found in (worth, then))
        net = float(late.mean(axis=1).max() + then - best_usd)
        rows.append({"knowledge": name, "worth_usd": worth, "months": months, "wait_usd": worth - net, "net_usd": net})
    rows.append({"knowledge": "Everything (upper bound)", "worth_usd": perfect, "months": np.nan})
    return pd.DataFrame(rows, columns=["knowledge", "worth_usd", "months", "wait_usd", "net_usd"])


def late_usd(booked_usd: np.ndarray, rented: int, share: float, ours_usd: float) -> np.ndarray:
    """[options] NPV that each loses if it begins later: this plan, the first, `ours_usd` (`wait_cost`), others the share of the
    months waited in what they earn over renting all hours.

    >>> late_usd(np.array([100.0, 40.0, 76.0]), 1, 3 / 36, 4.0).tolist()
    [4.0, 0.0, 3.0]
    """
    lost = np.maximum(booked_usd - booked_usd[rented], 0.0) * share
    lost[0] = ours_usd
    return lost
