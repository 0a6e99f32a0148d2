"""Steps of safety as they are shown: none that the same whole devices hold twice."""

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.report.buy_plan_reserve import _exceeded, _once, reserve_section, risk_taken


def steps(*rows):
    return pd.DataFrame(rows, columns=["plan", "reserve", "accelerators", "hours_per_month_over"])


def test_steps_that_the_same_devices_hold_are_shown_once():
    """Forty sites of one device hold every step up to 60 %, eighty the next: the hours over of 0 % are not those of 40 devices."""
    curve = steps(("fixed", 0.0, 40, 164.0), ("fixed", 0.6, 40, 104.0), ("fixed", 0.8, 80, 90.0), ("fixed", 2.0, 80, 9.0),
                  ("this plan", 0.3, 40, 120.0))  # fmt: skip
    shown, whole = _once(curve)
    assert whole and shown[["reserve", "accelerators"]].to_numpy().tolist() == [[0.6, 40.0]]
    launch = steps(("fixed", 0.0, 900, 164.0), ("fixed", 1.0, 900, 79.0), ("this plan", 3.2, 900, 14.6))
    shown, whole = _once(launch)  # one device a van holds more than any step that is shown otherwise
    assert whole and shown["plan"].tolist() == ["this plan"] and shown["hours_per_month_over"].tolist() == [14.6]


def test_a_stream_without_a_basis_is_not_the_one_that_is_told(mini_ws, mini_stages):
    """Work of one hour a night has no 95th percentile of its hours to be over: a reserve of it that is not known must not head the section."""
    plan = mini_stages.plan
    known = plan.reserves[plan.reserves["exceedance_backtest"].notna()]
    assert len(known) > 1
    nightly = plan.reserves.copy()
    nightly.loc[known.index[0], "reserve"] = np.nan
    said = str(reserve_section(mini_ws, replace(plan, reserves=nightly)))
    assert "not known over" not in said and f"{known['use_case_id'].iloc[1]} in {known['region'].iloc[1]} needs" in said
    none = str(reserve_section(mini_ws, replace(plan, reserves=plan.reserves.assign(reserve=np.nan))))
    assert "could not be tested against the past" in none


def test_targets_that_the_past_broke_are_counted_and_the_worst_named():
    """Twice as often is further over a target than half as often again, whatever the hours."""
    streams = pd.DataFrame(
        {
            "use_case_id": ["chat", "edge", "batch"],
            "region": ["us", "eu", "us"],
            "exceedance_backtest": [0.03, 0.01, 0.01],
            "target": [0.02, 0.005, 0.02],
        }
    )
    told = _exceeded(streams).replace("\xa0", " ")
    assert (
        told
        == "Of 3 streams 2 were exceeded more often than their target, furthest edge in eu: in 1.00 % of the hours, against 0.50 %. "
    )
    assert _exceeded(streams.iloc[2:]) == ""
    assert _exceeded(streams.iloc[:1]) == "Its plans were exceeded more often than their target. "


def test_hours_above_the_reserve_are_called_within_the_risk_only_where_they_were():
    kept = pd.DataFrame({"exceedance_backtest": [0.004, 0.01, None], "target": 0.01})
    assert risk_taken(kept) == risk_taken(kept[:0]) == ": the hours above it are within the stated risk"
    broken = kept.assign(exceedance_backtest=[0.004, 0.02, None])
    assert risk_taken(broken).endswith("exceeded beyond the stated risk in 1 of 2 streams")


def test_steps_of_accelerators_that_share_their_load_are_all_shown():
    curve = steps(
        ("fixed", 0.0, 10.0, 9.0), ("fixed", 1.0, 20.0, 1.0), ("fixed", 2.0, 30.0, 0.0), ("this plan", 0.0, 10.0, 9.0)
    )
    shown, whole = _once(curve)
    assert not whole and shown["reserve"].tolist() == [0.0, 1.0, 0.0]
