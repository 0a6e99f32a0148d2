"""Measured times to first token that no queue of the deployment explains.

With N requests at a time no prompt waits for more than N - 1 others. Where the measured mean is several times what the
closed form says if all of them stand in line in full (the share of the burst at 1), something else was measured too:
an engine that warms up or compiles, a client that waits, other workers than are stated. Such a row is named in the
answer, and counts less for the others by the excess in its variance.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.serving.deployment_crowd import seat_wait_ms
from aifactory.serving.deployment_model import deployment_constants, with_prior

#: Times the whole line from which a first token is in doubt.
LATE = 3.0


def with_late(d: pd.DataFrame) -> pd.DataFrame:
    """Add `late`: log of the measured time to first token over `LATE` times the whole line, 0 where it is not later."""
    line = with_prior(d, deployment_constants() | {"ttft_burst": 1.0})["prior_ttft"]
    line_ms = np.exp(line) + seat_wait_ms(d, d["silicon_tpot_ms"])
    over = np.log(d["silicon_ttft_ms"] / line_ms) - np.log(LATE)
    return d.assign(late=over.clip(lower=0.0).fillna(0.0))


def with_doubts(reason: pd.Series, rows: pd.DataFrame) -> pd.Series:
    """Reasons of answers with the doubt about the measured time to first token behind them."""
    times = (LATE * np.exp(rows["late"])).map(lambda value: f"{value:.2g}" if value < 100 else f"{value:,.0f}")
    said = "; its measured time to first token is in doubt: " + times + " times what all its requests in line explain"
    return reason + said.where(rows["late"] > 0, "")
