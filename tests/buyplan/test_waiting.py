"""Waiting as money: a worked case, units of several requests, and what was not measured."""

import numpy as np
import pandas as pd
import pytest
from bp_company import make_plan
from pydantic import ValidationError

from aifactory.buyplan.waiting import job_seconds, queue_seconds, requests_per_unit, with_waiting
from aifactory.inputs.telemetry import bucket_value

QUEUE = {"name": "Queue time", "usd_per_waiting_hour": 72.0, "use_cases": ["chat"], "driver": "waiting",
         "owner_role": "Head", "source": "survey", "as_of": "2026-10-01"}  # fmt: skip
BUCKETS = np.array([400, 600])


def histograms(counts=(3, 1), metric="queue_ms", use_case="chat"):
    return pd.DataFrame({"use_case_id": use_case, "metric": metric, "bucket": BUCKETS, "count": list(counts)})


def windows(requests=8.0, units=4.0, use_case="chat"):
    return pd.DataFrame(
        {"use_case_id": [use_case] * 2, "requests": [requests / 2] * 2, "service_units": [units / 2] * 2}
    )


def test_the_wait_is_the_mean_of_the_histogram():
    ms = bucket_value(BUCKETS)
    assert queue_seconds(histograms())["chat"] == pytest.approx((3 * ms[0] + ms[1]) / 4 / 1000)
    assert queue_seconds(histograms(metric="e2e_ms")).empty
    assert requests_per_unit(windows())["chat"] == 2.0


def test_an_hour_of_waiting_becomes_an_amount_per_unit():
    """Two requests of w seconds make a unit; an hour costs USD 72, so a second 0.02."""
    plan, missing = with_waiting(make_plan(hidden_costs=[QUEUE]), histograms(), windows())
    (line,) = plan.hidden_costs
    wait = float(queue_seconds(histograms())["chat"])
    assert line.usd_per_unit == pytest.approx(2 * wait * 0.02)
    assert (line.use_cases, line.usd_per_waiting_hour, missing) == (["chat"], 0.0, [])
    assert f"{2 * wait:.3g} s" in line.driver
    assert "survey" in line.source


def test_each_use_case_of_a_line_has_its_own_wait():
    both = pd.concat([histograms(), histograms((0, 5), use_case="train")])
    item = QUEUE | {"use_cases": []}
    plan, _ = with_waiting(make_plan(hidden_costs=[item]), both, pd.concat([windows(), windows(use_case="train")]))
    assert [line.name for line in plan.hidden_costs] == ["Queue time: chat", "Queue time: train"]
    assert plan.hidden_costs[1].usd_per_unit > plan.hidden_costs[0].usd_per_unit


def test_what_was_not_measured_costs_nothing_and_says_so():
    for table, rows in ((histograms(use_case="other"), windows()), (histograms().iloc[:0], windows().iloc[:0])):
        plan, missing = with_waiting(make_plan(hidden_costs=[QUEUE]), table, rows)
        assert plan.hidden_costs == []
        assert missing == ["Queue time of chat is not in the cost: no wait in the queue was measured."]


def test_other_lines_stay_as_they_are():
    item = {key: value for key, value in QUEUE.items() if not key.startswith("usd")} | {"usd_per_unit": 0.5}
    plan = make_plan(hidden_costs=[item])
    assert with_waiting(plan, histograms(), windows())[0].hidden_costs == plan.hidden_costs


def test_one_line_has_one_basis():
    with pytest.raises(ValidationError, match="go with no other amount"):
        make_plan(hidden_costs=[QUEUE | {"usd_per_unit": 1.0}])
    with pytest.raises(ValidationError, match="per hour of waiting"):
        make_plan(hidden_costs=[QUEUE | {"usd_per_waiting_hour": 0.0}])


def test_the_wait_of_jobs_counts_for_training():
    """Two jobs waited 3 hours together for 60 reference hours; one that never began is left out."""
    submitted = pd.to_datetime(["2026-10-01T00:00Z"] * 3)
    jobs = pd.DataFrame(
        {
            "use_case_id": "chat",
            "submitted_utc": submitted,
            "started_utc": submitted + pd.to_timedelta([1, 2, np.nan], unit="h"),
        }
    )
    waits = job_seconds(jobs, pd.Series({"chat": 60.0, "other": 5.0}))
    assert waits["chat"] == 180.0
    plan, missing = with_waiting(make_plan(hidden_costs=[QUEUE]), histograms().iloc[:0], windows().iloc[:0], waits)
    (line,) = plan.hidden_costs
    assert (line.usd_per_unit, missing) == (180 / 3600 * 72.0, [])
