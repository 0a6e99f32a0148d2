"""Training whose jobs may wait only so long: queue, load as it is asked for, and the plan that holds it."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from bp_company import PERIOD, WAITS, make_inputs, make_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.buyplan.job_capacity import JOB_QUEUE, queue_capacity
from aifactory.buyplan.sizes import sizes_frame
from aifactory.fleet.job_queues import JobQueue, as_asked, job_queues, queued_shapes
from aifactory.fleet.streams import build_streams
from aifactory.inventory import build_inventory
from aifactory.serving.closed_forms import erlang_c
from aifactory.serving.jobs import JobStream

PLACE = ("models", "us")


def cases(hours=4.0, name="models"):
    return pd.DataFrame({"use_case_id": [name], "slo_p95_wait_hours": [hours], "workload_class": ["batch_training"]})


def jobs(*rows, name="models"):
    """Rows of the table: accelerators, submitted, started, ended."""
    frame = pd.DataFrame(rows, columns=["accelerators", "submitted_utc", "started_utc", "ended_utc"])
    for column in ("submitted_utc", "started_utc", "ended_utc"):
        frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
    return frame.assign(use_case_id=name, region="us", status="completed")


def test_two_jobs_at_once_by_hand():
    """An hour each: one accelerator lets the second wait an hour, two let nobody wait."""
    stream = JobStream([0.0, 0.0], [3600.0, 3600.0], [1, 1])
    patient, hasty = (JobQueue(stream, wait, 10.0) for wait in (1.0, 0.5))
    assert (patient.average, patient.size().accelerators, hasty.size().accelerators) == (0.2, 1, 2)
    assert patient.over_average(np.array([1.0, 0.0])) == pytest.approx([5.0, np.nan], nan_ok=True)


def test_jobs_are_played_as_they_were_asked_for():
    rows = jobs((4, "2026-10-05 00:00", "2026-10-05 05:00", "2026-10-05 07:00"), (9, "2026-10-06", None, None))
    found = as_asked(rows)
    assert found["started_utc"].tolist() == [pd.Timestamp("2026-10-05", tz="UTC")]
    assert found["ended_utc"].tolist() == [pd.Timestamp("2026-10-05 02:00", tz="UTC")]
    shape = queued_shapes(rows, cases(), PERIOD)[PLACE]
    at = 4 * 24
    assert shape[at : at + 3] == pytest.approx([372.0, 372.0, 0.0]) and shape.mean() == pytest.approx(1.0)
    assert queued_shapes(rows, cases(np.nan), PERIOD) == {} == job_queues(rows, cases(np.nan), PERIOD)


def test_only_the_last_three_months_are_played_again():
    old = [(64, f"2026-0{month}-05", f"2026-0{month}-05", f"2026-0{month}-06") for month in (5, 6, 7)]
    new = [(2, f"2026-{month}-05", f"2026-{month}-05", f"2026-{month}-06") for month in ("08", "09", "10")]
    queue = job_queues(jobs(*old, *new), cases(), PERIOD)[PLACE]
    assert queue.span_hours == 92 * 24
    assert queue.average == pytest.approx(3 * 2 * 24 / (92 * 24))
    assert queue.size().accelerators == 2


@pytest.mark.parametrize("wait_hours", [0.25, 1.0, 2.0])
def test_single_jobs_by_chance_need_what_erlang_says(wait_hours):
    """M/M/c: P(W > t) = C(c, a) exp(-(c - a) t / s) is at most 5 % from c on; the played queue within one."""
    rng, service, load = np.random.default_rng(5), 3600.0, 12.0
    count = 60_000
    arrive = np.cumsum(rng.exponential(service / load, count))
    stream = JobStream(arrive, rng.exponential(service, count), np.ones(count))
    late = [erlang_c(c, load) * np.exp(-(c - load) * wait_hours) for c in range(13, 30)]
    fewest = 13 + int(np.argmax(np.array(late) <= 0.05))
    assert abs(JobQueue(stream, wait_hours, arrive[-1] / 3600).size().accelerators - fewest) <= 1


@settings(max_examples=25)
@given(st.integers(0, 1000), st.floats(0.25, 4.0))
def test_the_queue_holds_its_widest_job_and_its_work(seed, growth):
    rng = np.random.default_rng(seed)
    submit = np.sort(rng.uniform(0.0, 30 * 86_400.0, 80))
    queue = JobQueue(JobStream(submit, rng.exponential(7200.0, 80), rng.choice([1, 2, 8], 80)), 4.0, 720.0)
    size = queue.size(growth)
    assert size.accelerators >= queue.jobs.accelerators.max()
    assert size.wait_s <= 4 * 3600.0
    ratio = queue.over_average(np.array([growth]))[0]
    assert ratio == pytest.approx(max(size.accelerators / (queue.average * growth), 1.0))


def test_much_work_shares_its_room():
    """Many jobs even out: what is held comes near the average."""
    rng = np.random.default_rng(3)
    submit = np.sort(rng.uniform(0.0, 90 * 86_400.0, 3000))
    queue = JobQueue(JobStream(submit, rng.exponential(7200.0, 3000), np.ones(3000)), 4.0, 2160.0)
    small, large = queue.over_average(np.array([0.5, 16.0]))
    assert 1.0 <= large < 1.2 < small


def test_less_work_never_holds_more_than_more_work(monkeypatch):
    """At 0.9 of the work two jobs happen to meet and 24 are needed, at 0.95 they do not and 16 would do: 24 are held for both."""
    queue = JobQueue(JobStream([0.0, 0.0], [3600.0, 3600.0], [8, 8]), 1.0, 4.0)  # four at work on average
    needed = {0.8: 16, 0.9: 24, 0.95: 16, 1.1: 32}
    monkeypatch.setattr(JobQueue, "size", lambda _, growth: SimpleNamespace(accelerators=needed[growth]))
    found = queue.over_average(np.array([0.95, 0.9, 0.8, 0.0, 1.1]))
    assert found * 4 * np.array([0.95, 0.9, 0.8, 0.0, 1.1]) == pytest.approx([24, 24, 16, np.nan, 32], nan_ok=True)


def limited(hours=4.0, ratio=3.0, **changes):
    inputs = make_inputs(make_plan(), **WAITS | {"slo_p95_wait_hours": [np.nan, hours]} | changes)
    shape = np.tile([6.0, 0.0, 0.0, 0.0, 0.0, 0.0], 120)
    inputs["shapes"] = inputs["shapes"] | {("train", "eu"): shape}
    return build_streams(make_plan(), PERIOD, **inputs, capacity_over_average={("train", "eu"): ratio})


def test_a_limit_makes_jobs_load_by_hours_and_holds_the_queue():
    found = limited()
    at = found.table["use_case_id"].tolist().index("train")
    row = found.table.loc[at]
    assert (row["movable"], row["wait_hours"], row["interruptible"], found.waits[at]) == (False, 5, True, False)
    assert found.shape[at, :6] == pytest.approx([1.2, 1.2, 1.2, 1.2, 1.2, 0.0])
    assert found.reserve[1, at] == pytest.approx(3.0 / 1.2 - 1.0)
    table = sizes_frame(found, make_plan(), {("train", "eu"): JOB_QUEUE}).set_index("use_case_id").loc["train"]
    assert table["total"] == 12  # 4 on average, three times as many
    assert table["reserve_because"] == "queue binds: 95 of 100 jobs start within 4 hours"
    assert table["steady_because"] == "the busiest hours bind: jobs wait up to 4 hours"


def test_without_a_limit_jobs_wait_until_there_is_room():
    found = limited(np.nan)
    at = found.table["use_case_id"].tolist().index("train")
    assert found.table.loc[at, "movable"] and found.waits[at]
    assert found.shape[at].tolist() == [1.0] * 720


@pytest.fixture(scope="module")
def with_limit(mini_ws):
    table = mini_ws.table("use_cases")
    table = table.assign(slo_p95_wait_hours=np.where(table["use_case_id"] == "models", 4.0, np.nan))
    return dataclasses.replace(mini_ws, tables={**mini_ws.tables, "use_cases": table})


def test_capacity_of_a_workspace_by_hand(with_limit):
    """Eight accelerators for ten hours four times a month: eight are held, whatever the work of the month."""
    inventory = build_inventory(with_limit)
    found = queue_capacity(with_limit, inventory)[PLACE]
    rows = inventory.forecast.query("scenario == 'expected' and use_case_id == 'models'").sort_values("month")
    past = 8 * 4 * 10 * 2 / (60 * 24)
    work = (rows["units"] * rows["size"]).to_numpy() / (8760 / 12)
    assert found.shape == (1 + with_limit.plan.horizon_months,)
    assert found[0] == pytest.approx(8.0 / past, rel=0.02)
    assert found[1:] * work == pytest.approx(np.full(len(work), 8.0), rel=0.02)
