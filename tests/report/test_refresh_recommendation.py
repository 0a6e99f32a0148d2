"""What the refresh says of approved orders against a plan of today, and approvals with the log beside them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.report.refresh_log import _beaten, _recommendation, to_do
from aifactory.report.refresh_money import _furthest
from aifactory.report.refresh_page import finding
from aifactory.report.refresh_triggers import _within_reach

WS = SimpleNamespace(as_of="2026-10-31")


def review(*rows):
    names = ["action", "accelerators", "approved_month", "today_month", "approved_usd", "today_usd"]
    frame = pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows], columns=names)
    return SimpleNamespace(recommendation=frame.assign(region="eu", accelerator_id="h100", purchase_option="lease"))


def test_the_sentence_adds_up_money_by_action():
    rows = [
        ("hold", 8, "2027-01", "2027-01", 500_000.0, 510_000.0),
        ("hold", 8, "2027-04", "2027-05", 400_000.0, 390_000.0),
        ("cancel", 8, "2027-07", "", 300_000.0, 0.0),
        ("new", 4, "", "2027-02", 0.0, 1_000_000.0),
    ]
    text = to_do(review(*rows))
    assert "would hold USD 910 k and cancel USD 300 k." in text
    assert text.endswith("It adds USD 1.00 M within a year that was neither approved nor placed.")
    shown = _recommendation(WS, review(*rows))[0].text
    assert "Lease" in shown and "Jan 2027" in shown


def test_without_an_approved_plan_nothing_is_said():
    assert to_do(review()) == "" and _recommendation(WS, review()) == []


@pytest.mark.parametrize(("ratio", "words"), [(0.999, "as good as"), (1.009, "as good as"), (0.9, "beat"), (1.2, "did not beat")])  # fmt: skip
def test_forecasts_that_differ_by_less_than_a_hundredth_are_equally_good(ratio, words):
    scores = pd.DataFrame({"error_vs_repeat": [ratio, 1.0]})
    assert words in _beaten(SimpleNamespace(forecast_scores=scores))


def test_a_trend_of_six_months_reaches_three_years_at_most():
    found = _within_reach(pd.Series([0.0, 36.0, 36.1, np.inf]))
    assert found.tolist()[:2] == [0.0, 36.0] and found.isna().tolist() == [False, False, True, True]


def test_the_finding_says_what_a_plan_of_today_does_with_orders_that_fired():
    facts = {"status": "act", "reason": "1 order released", "variance": pd.DataFrame()}
    rows = review(("hold", 8, "2027-01", "2027-01", 500_000.0, 500_000.0)).recommendation
    steps = pd.DataFrame({"state": ["fired"]})
    text = finding(SimpleNamespace(**facts, recommendation=rows, band_triggers=steps))
    assert (
        text == "Act: 1 order released. Of the orders approved and not placed, a plan made today would hold USD 500 k."
    )
    for quiet in (steps.assign(state="quiet"), pd.DataFrame()):
        assert finding(SimpleNamespace(**facts, recommendation=rows, band_triggers=quiet)) == "Act: 1 order released."


def test_the_prices_that_moved_most_are_named():
    rows = [
        ("a100, eu, on_demand", -0.271),
        ("l4, eu, spot", 0.5),
        ("l4, us, spot", 0.02),
        ("h100, eu, spot", 0.1),
        ("x", 0.0),
    ]
    text = _furthest(pd.DataFrame(rows, columns=["subject", "change"]))
    assert text == "; furthest l4, eu, spot by 50.0 %; a100, eu, on demand by −27.1 %; h100, eu, spot by 10.0 %"
    assert _furthest(pd.DataFrame({"subject": ["x"], "change": [0.0]})) == ""
