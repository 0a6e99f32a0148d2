"""Time and scores of the backtest of nine real series, beside statsforecast on the same folds in the same run.

Peer: AutoETS, AutoTheta and MSTL of statsforecast, one model after the other, compiled before the clock
starts. Ours: everything that `aifactory backtest` does after reading a file.
Run: `python tests/speed/backtest.py [REPEATS]`; needs the real data beside the checkout (`../shared`).
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.demand.backtest import Plan, backtest_series, naive_error
from aifactory.demand.series import read_series

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "traces" / "series"
TARGET = 0.25


def cases() -> list[tuple[str, np.ndarray, np.ndarray, Plan]]:
    """The series of index.csv with their plans, and the second horizon of the longest."""
    found = []
    for row in pd.read_csv(FOLDER / "index.csv").itertuples(index=False):
        (series,) = read_series(FOLDER / f"{row.series}.csv", row.freq.split("-")[0], row.season)
        longest = 0 if np.isnan(row.max_train) else int(row.max_train)
        plan = Plan(row.season, row.horizon, row.step, row.min_train, longest)
        found.append((row.series, series.values, series.observed, plan))
        if row.series == "wp_R_daily":
            found.append((f"{row.series}, 90 days", series.values, series.observed, replace(plan, horizon=90)))
    return found


def peer_mase(values: np.ndarray, plan: Plan, models: list[object]) -> list[float]:
    """Mean MASE of each peer model over the same folds."""
    rows = []
    for origin in plan.origins(len(values)):
        past = values[max(0, origin - plan.max_train) if plan.max_train else 0 : origin]
        actual, unit = values[origin : origin + plan.horizon], naive_error(past, plan.season)
        answers = [model.forecast(y=past, h=plan.horizon, level=[80, 90])["mean"] for model in models]
        rows.append([float(np.abs(answer - actual).mean()) / unit for answer in answers])
    return np.mean(rows, axis=0).tolist()


def peers(season: int) -> list[object]:
    """The three models of one season."""
    from statsforecast.models import MSTL, AutoETS, AutoTheta

    seasonal = [AutoETS(season_length=season), AutoTheta(season_length=season)]
    return [*seasonal, MSTL(season_length=season)] if season > 1 else seasonal


def main() -> None:
    """Print a row a series, then times and ratio."""
    if not FOLDER.is_dir():
        sys.exit("skipped: the real data are not beside this checkout (../shared)")
    repeats, held = int(sys.argv[1]) if len(sys.argv) > 1 else 3, cases()
    for season in (1, 7, 24):  # compile and warm up
        for model in peers(season):
            model.forecast(y=np.abs(np.sin(np.arange(100.0))) + 1, h=3, level=[80, 90])
    ours_s, peer_s, lines = [], [], []
    for turn in range(repeats):
        ours = peer = 0.0
        for name, values, observed, plan in held:
            start = time.perf_counter()
            found = backtest_series(values, observed, plan)
            ours += time.perf_counter() - start
            start = time.perf_counter()
            theirs = peer_mase(values, plan, peers(plan.season))
            peer += time.perf_counter() - start
            if not turn:
                own, base = found.scores, found.naive
                lines.append(
                    f"{name:26} {own.origins:3} {own.mase:7.3f} {base.mase:7.3f} {own.pinball_scaled:7.3f} {base.pinball_scaled:7.3f} "
                    f"{own.coverage80:6.1%} {own.exceed_q95:6.1%}  " + " ".join(f"{mase:6.3f}" for mase in theirs)
                )
        ours_s.append(ours)
        peer_s.append(peer)
    head = f"{'series':26} {'n':>3} {'MASE':>7} {'snaive':>7} {'pinball':>7} {'snaive':>7} {'cov80':>6} {'>q95':>6}  AutoETS AutoTheta MSTL (MASE)"
    ratio = statistics.median(ours_s) / statistics.median(peer_s)
    sys.stdout.write("\n".join([head, *lines]) + "\n")
    sys.stdout.write(
        f"median of {repeats}: ours {statistics.median(ours_s):.2f} s, AutoETS + AutoTheta + MSTL {statistics.median(peer_s):.2f} s, "
        f"ratio {ratio:.3f} (target <= {TARGET})\n"
    )


if __name__ == "__main__":
    main()
