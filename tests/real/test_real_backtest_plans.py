"""Plans backtested on nine public series: ours has the least regret in total, though not on every series.

Series become accelerators by a stated capacity of one, prices are real ones of the H100 of one day each: EC2 capacity
blocks beside on-demand hours (AWS, 2024-12: 4.916 and 12.29 USD, all upfront) for days and weeks, committed use beside
on-demand hours (GCP us-central1, 2026-07-30: 7.673 for a year, 4.858 for three, 11.0612 USD) for months. A missed hour
costs three on-demand hours. Every way plans anew each period (each quarter for months) with what was seen by then.
"""

import numpy as np
import pandas as pd
import pytest

from aifactory.buyplan.backtest import FORESIGHT, OURS, Offers, backtest_policies

pytestmark = [pytest.mark.real]
BLOCKS = Offers(12.29, (("block of a day", 1, 4.916), ("block of a week", 7, 4.916)), 36.87, "AWS 2024-12")
WEEKS = Offers(12.29, (("block of a week", 1, 4.916),), 36.87, "AWS 2024-12")
MONTHS = Offers(11.0612, (("reserved_1y", 12, 7.673), ("reserved_3y", 36, 4.858)), 33.18, "GCP 2026-07-30")
#: Series, units that one accelerator serves in a window, windows of a period, hours of a window, season, offers,
#: periods between plans, accelerators a node (few thousands would make nodes of 8 needlessly fine).
CASES = {
    "servegen_m-large_hourly": (3_600, 24, 1.0, 7, BLOCKS, 1, 8),  # 1 request/s of a large model
    "servegen_m-mid_hourly": (36_000, 24, 1.0, 7, BLOCKS, 1, 8),  # 10 requests/s
    "servegen_m-small_hourly": (72_000, 24, 1.0, 7, BLOCKS, 1, 8),  # 20 requests/s
    "gentd26_images_hourly": (1, 24, 1.0, 7, BLOCKS, 1, 8),  # a sample of a service: one request/h stands for one accelerator
    "philly_jobs_hourly": (1 / 11.5, 24, 1.0, 7, BLOCKS, 1, 64),  # 11.5 GPU-hours a job, as the daily series holds
    "philly_gpu_hours_daily": (24, 7, 24.0, 1, WEEKS, 1, 8),  # GPU-hours
    "philly_jobs_daily": (24 / 11.5, 7, 24.0, 1, WEEKS, 1, 8),
    "wp_R_daily": (20, 30, 730 / 30, 12, MONTHS, 3, 8),  # 20 views a day stand for one accelerator
    "openrouter_weekly": (1.2, 1, 168.0, 1, WEEKS, 1, 64),  # 2,000 tokens/s, billions a week
}  # fmt: skip
TRAINED = (0.5, 0.7)


@pytest.fixture(scope="module")
def regrets(shared_dir):
    """Regret over foresight, share by market, series and split (rows) and policy (columns)."""
    rows = {}
    for name, (capacity, windows, hours, season, offers, every, node) in CASES.items():
        load = pd.read_csv(shared_dir / "data" / "traces" / "series" / f"{name}.csv")["y"].to_numpy(float) / capacity
        count = len(load) // windows
        for market in ("rented", "owned"):
            priced = offers if market == "rented" else Offers(np.inf, offers.terms, offers.miss_usd, offers.source)
            for train in sorted({max(int(count * share), 4) for share in TRAINED}):
                table = backtest_policies(
                    load,
                    priced,
                    windows=windows,
                    window_hours=hours,
                    train=train,
                    season=season,
                    replan_every=every,
                    node_size=node,
                )
                rows[market, name, train] = table.set_index("policy")["regret_share"]
    return pd.DataFrame(rows).T


@pytest.mark.parametrize("market", ["rented", "owned"])
def test_our_plan_has_the_least_regret_in_total(regrets, market):
    """Measured: rented 9.3 % beside 12.4 % of the next best (cheapest mix), owned 18.1 % beside 22.8 % (average + 40 %)."""
    mean = regrets.loc[market].drop(columns=FORESIGHT).mean().sort_values()
    assert mean.index[0] == OURS, mean.round(3).to_dict()
    assert mean.iloc[0] < 0.95 * mean.iloc[1]


def test_no_plan_beats_foresight(regrets):
    assert (regrets >= -0.002).all().all()


def test_it_is_honest_that_a_rule_may_win_on_a_series(regrets):
    """On single series a rule of thumb is sometimes luckier; ours is never the worst way that commits."""
    plans = regrets.drop(columns=[FORESIGHT, "all on demand"])
    assert (plans.idxmin(axis=1) != OURS).any()
    assert (plans.idxmax(axis=1) != OURS).all()
