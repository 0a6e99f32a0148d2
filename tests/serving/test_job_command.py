"""`aifactory jobs`: what it reads, what it counts, and that giving up early changes no answer."""

import json
import time

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.serving.job_command import queue_jobs, read_jobs
from aifactory.serving.jobs import JobStream, simulate_jobs, size_job_pool


def write(folder, text, name="jobs.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


THREE = "submit_s,run_s,accelerators\n10,10,3\n10,5,4\n10,4,1\n"


def test_three_jobs_by_hand(tmp_path):
    found = queue_jobs(write(tmp_path, THREE), accelerators=4)
    # 3 for 10 s and 1 for 4 s beside it, then 4 for 5 s
    assert found["wait_s"]["p50"] == 0.0 and found["wait_s"]["p99"] == pytest.approx(9.8)
    assert found["utilization"] == pytest.approx((30 + 20 + 4) / (4 * 15))
    assert found["steady_accelerators"] == 6


def test_a_pool_that_misses_the_wait_is_told_with_what_would_keep_it(tmp_path):
    path = write(tmp_path, THREE)
    missed = queue_jobs(path, accelerators=4, wait_s=5.0, percentile=99)["because"]
    assert missed == "as many as asked for: p99 wait 10 s, more than the 5 s allowed; 7 keep it"
    assert queue_jobs(path, accelerators=4, wait_s=10.0)["because"] == "as many as asked for: p95 wait 9 s"


def test_the_fewest_that_keep_the_wait(tmp_path):
    path = write(tmp_path, THREE)
    assert queue_jobs(path, wait_s=0.0, percentile=99)["accelerators"] == 8
    assert queue_jobs(path, wait_s=1e6)["accelerators"] == 4


def test_the_command_prints_json(tmp_path):
    result = CliRunner().invoke(app, ["jobs", str(write(tmp_path, THREE)), "--wait-s", "1e6", "--json"])
    assert json.loads(result.stdout)["accelerators"] == 4
    assert "widest job" in CliRunner().invoke(app, ["jobs", str(tmp_path / "jobs.csv"), "--wait-s", "1e6"]).stdout


@pytest.mark.parametrize("seed", range(5))
def test_giving_up_early_changes_no_size(seed):
    draw = np.random.default_rng(seed)
    stream = JobStream(np.cumsum(draw.exponential(50, 400)), draw.exponential(300, 400), draw.integers(1, 9, 400))
    size = size_job_pool(stream, 90, 120.0)
    waits = [
        np.percentile(simulate_jobs(stream, count, backfill=True) - stream.submit_s, 90)
        for count in (size.accelerators - 1, size.accelerators)
        if count >= stream.accelerators.max()
    ]
    assert waits[-1] == size.wait_s <= 120.0
    assert len(waits) == 1 or waits[0] > 120.0


def test_the_table_of_jobs_is_read(tmp_path):
    rows = pd.DataFrame(
        {
            "job_id": ["a", "b"], "use_case_id": "tune", "region": "eu", "accelerator_id": "acc", "accelerators": [2.0, 0.5],
            "submitted_utc": pd.to_datetime(["2026-01-01T00:10Z", "2026-01-01T00:00Z"]),
            "started_utc": pd.to_datetime(["2026-01-01T01:00Z", "2026-01-01T00:00Z"]),
            "ended_utc": pd.to_datetime(["2026-01-01T02:00Z", "2026-01-01T00:30Z"]), "status": "completed",
        }
    )  # fmt: skip
    rows.to_parquet(tmp_path / "jobs.parquet")
    stream, remarks = read_jobs(tmp_path / "jobs.parquet")
    assert stream.submit_s.tolist() == [0.0, 600.0]
    assert stream.run_s.tolist() == [1800.0, 3600.0]
    assert stream.accelerators.tolist() == [1, 2]
    assert remarks == []


def test_public_jobs_are_read(shared_dir):
    stream, _ = read_jobs(shared_dir / "data/traces/alibaba_gpu2023_pods_first70pct.csv.gz")
    assert stream.submit_s.size > 4_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("submit_s,run_s,accelerators\n", "no jobs"),
        ("submit_s,run_s,accelerators\n0,-5,1\n", "must be 0 or more"),
        ("submit_s,run_s,accelerators\n0,1e15,1\n", "20 years at most"),
        ("submit_s,run_s,accelerators\n0,10,1e12\n", "more than any site has"),
        ("submit_s,run_s,accelerators\n0,x,1\n", "x"),
        ("arrival_s,input_tokens,output_tokens\n0,1,1\n", "fits no known trace"),
        ("", "is empty"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        queue_jobs(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        queue_jobs(tmp_path / "none.csv")


def test_an_error_names_file_and_row_of_jobs_that_are_not_in_order(tmp_path):
    path = write(tmp_path, "submit_s,run_s,accelerators\n90,10,1\n60,10,1\n30,-5,1\n0,10,1\n")
    with pytest.raises(InputError, match="jobs.csv, row 4, column 'run_s'"):
        queue_jobs(path)
    with pytest.raises(InputError, match="jobs.csv, row 3, column 'accelerators': value 9"):
        queue_jobs(write(tmp_path, "submit_s,run_s,accelerators\n1,10,1\n0,10,9\n"), accelerators=8)


def test_a_plain_table_of_jobs_that_lacks_a_column_is_told_which(tmp_path):
    with pytest.raises(InputError, match="'submit_s': is missing.*Did you mean 'SUBMIT_S'"):
        queue_jobs(write(tmp_path, THREE.upper()))


def test_jobs_that_come_at_once_bind_by_the_work_within_the_wait(tmp_path):
    rows = "".join(f"0,3600,{8}\n" for _ in range(100))
    found = queue_jobs(write(tmp_path, "submit_s,run_s,accelerators\n" + rows), wait_s=3600.0, percentile=95)
    assert found["accelerators"] < found["steady_accelerators"] == 800
    assert (
        "the work within the wait allowed binds: 800 would be at work on average if no job waited" in found["because"]
    )


def test_what_a_known_trace_of_jobs_leaves_out_is_said(shared_dir):
    _, remarks = read_jobs(shared_dir / "data/traces/philly_jobs_2017-09-04_11-12.csv.gz")
    assert any("no queueing time" in text for text in remarks)


def test_jobs_of_several_accelerators_or_regions_are_one_pool_only_where_nothing_else_is_asked(tmp_path):
    day = "2026-01-01T00:00:00Z,2026-01-01T00:00:00Z,2026-01-01T02:00:00Z,completed"
    head = "job_id,use_case_id,region,accelerator_id,accelerators,submitted_utc,started_utc,ended_utc,status\n"
    rows = [f"{n},tune,{place},{size},{day}" for n, (place, size) in enumerate((("eu,a", 8), ("eu,b", 4), ("us,a", 2)))]
    path = write(tmp_path, head + "\n".join(rows) + "\n")
    every = queue_jobs(path)
    assert every["accelerators"] == 14
    assert every["remarks"] == [
        "one pool is sized for a in eu (1 job), b in eu (1 job), a in us (1 job): name one with --accelerator and --region"
    ]
    run = CliRunner().invoke(app, ["jobs", str(path), "--accelerator", "a", "--region", "us", "--json"])
    assert (json.loads(run.stdout)["accelerators"], json.loads(run.stdout)["remarks"]) == (2, [])
    with pytest.raises(InputError, match="column 'region': value 'mars': no job has it. Allowed: eu, us"):
        queue_jobs(path, only={"region": "mars"})
    with pytest.raises(InputError, match="only a table jobs has region"):
        queue_jobs(write(tmp_path, THREE, "plain.csv"), only={"region": "eu"})


def test_many_jobs_at_once_are_sized_in_seconds():
    draw = np.random.default_rng(2)
    stream = JobStream(np.zeros(10_000), draw.integers(60, 86_400, 10_000), draw.choice([1, 2, 4, 8, 64], 10_000))
    began = time.perf_counter()
    size = size_job_pool(stream, 95, 3600.0)
    assert np.percentile(simulate_jobs(stream, size.accelerators, backfill=True), 95) <= 3600.0
    assert time.perf_counter() - began < 30


def test_jobs_in_milliseconds_are_refused(tmp_path):
    path = write(tmp_path, "submit_s,run_s,accelerators\n1760000009000,5000,1\n1760000000000,5000,1\n")
    with pytest.raises(InputError, match="row 3, column 'submit_s'.*Are these milliseconds"):
        queue_jobs(path)


SACCT = "JobID|Account|Submit|Start|End|State|AllocTRES\n" + "".join(
    f"{n}|a|2026-10-01T0{n}:00:00|2026-10-01T0{n}:30:00|2026-10-01T0{n + 2}:30:00|COMPLETED|gres/gpu=8\n" for n in range(4)
)  # fmt: skip


def test_what_schedulers_export_is_queued_as_it_is_imported(tmp_path):
    table = "id;GPUs;Submit Time;Start Time;duration_min;status\n" + "".join(
        f"{n};8;2026-10-01T0{n}:00:00Z;2026-10-01T0{n}:30:00Z;120;done\n" for n in range(4)
    )
    for name, text in (
        ("sacct.txt", SACCT + "9|a|2026-10-01T05:00:00|Unknown|Unknown|PENDING|gres/gpu=8\n"),
        ("own.csv", table),
    ):
        jobs, remarks = read_jobs(write(tmp_path, text, name))
        assert (jobs.submit_s.tolist(), jobs.run_s.tolist()) == ([0, 3600, 7200, 10800], [7200] * 4)
        assert jobs.accelerators.tolist() == [8] * 4
        assert ("1 job without start, end or accelerators left out" in remarks) == (name == "sacct.txt")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("sacct.txt", SACCT.replace("2026-10-01T00:00:00", "soon"), "row 2, column 'submitted': value 'soon': must be a time"),
        ("own.csv", "id,GPUs,Submit Time,status\n1,8,soon,done\n", "row 2, column 'Submit Time': value 'soon': must be a time"),
        ("own.json", '{"items": [{"kind": "Pod"}]}', "value 'Pod': is no job"),
        ("own.csv", "a,b\n1,2\n", "the header fits no known trace"),
    ],
)  # fmt: skip
def test_an_export_of_jobs_that_cannot_be_read_is_told_as_such(tmp_path, name, text, said):
    with pytest.raises(InputError, match=said):
        read_jobs(write(tmp_path, text, name))
