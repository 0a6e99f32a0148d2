"""Job tables of schedulers, from files made by hand after their documentation; no real export was at hand."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.jobs.common import _device, _known_states
from aifactory.inputs.importers.jobs.kubernetes import OF_JOBS
from aifactory.inputs.importers.jobs.read import read_job_table, read_jobs
from aifactory.inputs.workspace import load_workspace

TODAY = pd.Timestamp("2026-11-25", tz="UTC")
SACCT = """\
JobID|JobName|Account|Partition|Cluster|Submit|Start|End|State|AllocTRES|ReqTRES
101|train "v2"|models|gpu|us|2026-10-05T08:00:00|2026-10-05T09:00:00|2026-10-05T13:00:00|COMPLETED|billing=64,cpu=64,gres/gpu:a100=8,gres/gpu=8,mem=512G,node=1|billing=64,gres/gpu=8
101.batch|batch|models||us|2026-10-05T09:00:00|2026-10-05T09:00:00|2026-10-05T13:00:00|COMPLETED|cpu=64,gres/gpu:a100=8,mem=512G|
101.0|python|models||us|2026-10-05T09:00:00|2026-10-05T09:00:00|2026-10-05T13:00:00|COMPLETED|gres/gpu:a100=8|
102|prep|models|cpu|us|2026-10-05T08:00:00|2026-10-05T08:01:00|2026-10-05T09:00:00|COMPLETED|billing=4,cpu=4,mem=8G,node=1|cpu=4
103|sweep|models|gpu|us|2026-10-06T08:00:00|2026-10-06T08:30:00|2026-10-06T09:00:00|CANCELLED by 1001|gres/gpu:a100=2,gres/gpu=2|
104_[1-9]|array|models|gpu|us|2026-10-06T08:00:00|Unknown|Unknown|PENDING||billing=8,gres/gpu:a100=1
105|big|models|gpu|us|2026-10-07T08:00:00|2026-10-07T08:30:00|Unknown|RUNNING|gres/gpu:h100=4,gres/gpu=4|
106|again|models|gpu|us|2026-10-08T08:00:00|2026-10-08T08:30:00|2026-10-08T09:00:00|NODE_FAIL|gres/gpu:a100=4|
106|again|models|gpu|us|2026-10-08T09:05:00|2026-10-08T09:30:00|2026-10-08T10:00:00|COMPLETED|gres/gpu:a100=4|
"""
POD = {"spec": {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
                "containers": [{"resources": {"limits": {"nvidia.com/gpu": "4", "cpu": "8"}}}, {"name": "sidecar"}]}}  # fmt: skip
META = {"name": "train", "namespace": "models", "creationTimestamp": "2026-10-05T08:00:00Z",
        "labels": {"topology.kubernetes.io/region": "us"}}  # fmt: skip
JOB = {
    "apiVersion": "batch/v1", "kind": "Job", "metadata": META, "spec": {"parallelism": 2, "template": POD},
    "status": {"startTime": "2026-10-05T09:00:00Z", "completionTime": "2026-10-05T11:00:00Z",
               "conditions": [{"type": "Complete", "status": "True"}]},
}  # fmt: skip
WORKLOAD = {
    "apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "Workload", "metadata": META | {"name": "wl"},
    "spec": {"queueName": "models", "podSets": [{"count": 2, "template": POD}, {"count": 1, "template": {"spec": {"containers": []}}}]},
    "status": {"conditions": [
        {"type": "Admitted", "status": "True", "lastTransitionTime": "2026-10-05T09:00:00Z"},
        {"type": "Evicted", "status": "True", "reason": "Preempted", "lastTransitionTime": "2026-10-05T08:30:00Z"},
        {"type": "Finished", "status": "True", "reason": "Failed", "lastTransitionTime": "2026-10-05T11:00:00Z"}]},
}  # fmt: skip
VOLCANO = {
    "apiVersion": "batch.volcano.sh/v1alpha1", "kind": "Job", "metadata": META | {"name": "vc"},
    "spec": {"queue": "models", "tasks": [{"replicas": 2, "template": POD}]},
    "status": {"state": {"phase": "Aborted", "lastTransitionTime": "2026-10-05T11:00:00Z"},
               "conditions": [{"status": "Pending", "lastTransitionTime": "2026-10-05T08:00:00Z"},
                              {"status": "Running", "lastTransitionTime": "2026-10-05T09:00:00Z"}]},
}  # fmt: skip
RAY = {
    "apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": META | {"name": "ray"},
    "spec": {"rayClusterSpec": {"headGroupSpec": {"template": {"spec": {"containers": [{}]}}},
                                "workerGroupSpecs": [{"replicas": 2, "template": POD}]}},
    "status": {"jobStatus": "STOPPED", "startTime": "2026-10-05T09:00:00Z", "endTime": "2026-10-05T11:00:00Z"},
}  # fmt: skip
TABLE = (
    "Job ID;Project;GPU Type;GPUs;Site;Submit Time;Start Time;End Time;Job Status\n"
    "a;models;NVIDIA A100-SXM4-80GB;2;us;2026-10-05 08:00:00Z;2026-10-05 09:00:00Z;2026-10-05 10:00:00Z;Success\n"
    "b;models;H100;0.5;us;2026-10-05 08:00:00+02:00;;;queued\n"
    "c;models;;0;us;2026-10-05 08:00:00Z;;;done\n"
    "d;models;L4;1;us;2026-10-05 08:00:00Z;1791190800;1791194400000;strange\n"
)


def write(folder, text, name):
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def read(folder, text, name="jobs.txt", **target):
    report, jobs = read_jobs(write(folder, text, name), Target(today=TODAY, **target))
    return report, jobs.set_index("job_id")


def test_slurm_jobs_are_read_without_their_steps(tmp_path):
    report, jobs = read(tmp_path, SACCT)
    assert report["format"] == "Slurm sacct"
    assert (report["rows_read"], report["rows_kept"]) == (9, 6)
    assert report["rows_left_out"] == {"job steps": 2, "no accelerator": 1}
    assert report["totals"] == {"jobs": 6, "accelerator_hours": 8 * 4 + 2 * 0.5 + 4 * 0.5 + 4 * 0.5}
    assert jobs["status"].to_dict() == {"101": "completed", "103": "cancelled", "104_[1-9]": "running", "105": "running",
                                        "106": "failed", "106#2": "completed"}  # fmt: skip
    assert jobs["accelerators"].to_dict() == {"101": 8, "103": 2, "104_[1-9]": 1, "105": 4, "106": 4, "106#2": 4}
    assert set(jobs["accelerator_id"]) == {"nvidia-a100-80-sxm", "nvidia-h100-sxm"}
    assert jobs.loc["105", "ended_utc"] is pd.NaT
    assert jobs.loc["104_[1-9]", "started_utc"] is pd.NaT
    assert jobs.loc["101", "submitted_utc"] == pd.Timestamp("2026-10-05T08:00Z")


def test_what_slurm_leaves_open_is_said(tmp_path):
    report, _ = read(tmp_path, SACCT)
    texts = {item["text"]: item["rows"] for item in report["warnings"]}
    assert texts["jobs ran again under the same identifier; each run counts: 106"] == 1
    assert texts["waiting tasks of an array stand in one row and count as one job"] == 1
    assert texts["jobs wait: status running without a start"] == 1
    assert texts["submitted: times without a zone were read as UTC"] == 6
    assert {
        "field": "accelerator_id",
        "theirs": "a100",
        "ours": "nvidia-a100-80-sxm",
        "rows": 5,
        "certainty": "near",
    } in report["recoded"]
    assert {
        "field": "status",
        "theirs": "CANCELLED by 1001",
        "ours": "cancelled",
        "rows": 1,
        "certainty": "same",
    } in report["recoded"]


def test_local_times_of_a_cluster_become_utc_and_a_double_hour_is_refused(tmp_path):
    report, jobs = read(tmp_path, SACCT, zone="Europe/Berlin")
    assert jobs.loc["101", "submitted_utc"] == pd.Timestamp("2026-10-05T06:00Z")
    assert report["totals"]["accelerator_hours"] == 37
    twice = SACCT.replace("2026-10-05T13:00:00|COMPLETED|billing", "2026-10-25T02:30:00|COMPLETED|billing")
    with pytest.raises(
        InputError, match=r"row 2, column 'ended': value '2026-10-25T02:30:00': the clock of Europe/Berlin"
    ):
        read(tmp_path, twice, zone="Europe/Berlin")
    with pytest.raises(InputError, match="is no time zone"):
        read(tmp_path, SACCT, zone="Mars/Olympus")


def test_trailing_bars_and_several_kinds_of_devices(tmp_path):
    text = "JobID|Account|Submit|Start|End|State|AllocTRES|\n7|models|2026-10-05T08:00:00|2026-10-05T08:00:00|2026-10-05T09:00:00|FAILED|gres/gpu:a100=2,gres/gpu:h100=1,gres/gpu=3|\n"
    report, jobs = read(tmp_path, text, region="us")
    assert jobs["accelerators"].to_dict() == {"7/a100": 2, "7/h100": 1}
    assert {"text": "jobs hold several kinds of accelerators; each kind is a row of its own", "rows": 1} in report[
        "warnings"
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("|AllocTRES|ReqTRES", "|Alloc|Req", "row 1, column 'AllocTRES': lacks a field; export --format=JobID,State"),
        ("|Submit|", "|Submitted|", "row 1, column 'Submit': lacks a field"),
        ('train "v2"', "a|b", "row 2: has 12 fields, the header has 11"),
        ("gres/gpu:h100", "gres/gpu:zz9", "value 'zz9': no accelerator of the catalogue (1 rows)"),
        ("2026-10-05T08:00:00|2026-10-05T09", "05/10/2026|2026-10-05T09", "row 2, column 'submitted': value '05/10/2026': must be a time"),
        ("2026-10-05T08:00:00|2026-10-05T09", "2026-13-05T08:00:00|2026-10-05T09", "is not a date of the calendar"),
        ("|Cluster|", "|Kluster|", "column 'region': the file names no region; say it with --region"),
        ("|Account|", "|Akkount|", "column 'use_case': the file names no use case; say it with --use-case"),
    ],
)  # fmt: skip
def test_a_slurm_file_that_cannot_be_trusted_is_refused(tmp_path, old, new, words):
    with pytest.raises(InputError, match=r"^jobs\.txt") as caught:
        read(tmp_path, SACCT.replace(old, new, 1))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("item", "form", "status"),
    [(JOB, "Kubernetes Job", "completed"), (WORKLOAD, "Kueue Workload", "failed"), (VOLCANO, "Volcano Job", "cancelled"), (RAY, "RayJob", "cancelled")],
)  # fmt: skip
def test_kubernetes_objects_hold_the_accelerators_of_their_pods(tmp_path, item, form, status):
    report, jobs = read(tmp_path, {"kind": "List", "items": [item]}, "jobs.json")
    row = jobs.iloc[0]
    assert report["format"] == f"{form}, JSON"
    assert (row["use_case_id"], row["region"], row["accelerators"], row["status"]) == ("models", "us", 8, status)
    assert row["accelerator_id"] == "nvidia-h100-sxm"
    assert report["totals"]["accelerator_hours"] == 16
    assert report["warnings"] == (
        [{"text": "jobs were evicted and queued again; only their last run is known", "rows": 1}]
        if item is WORKLOAD
        else []
    )


def pods(limits, **selector):
    container = {"containers": [{"resources": {"limits": limits}}], "nodeSelector": selector}
    return JOB | {"spec": {"parallelism": None, "template": {"spec": container}}}


H100 = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}


@pytest.mark.parametrize(
    ("limits", "node", "count", "words"),
    [
        ({"nvidia.com/gpu": "1", "nvidia.com/gpumem": "30000", "nvidia.com/gpucores": "50"}, H100, 1, "each counts as a whole"),
        ({"aliyun.com/gpu-mem": "16"}, H100, 1, "each counts as a whole"),
        ({"koordinator.sh/gpu-core": "200", "koordinator.sh/gpu-memory-ratio": "200"}, H100, 2, ""),
        ({"aws.amazon.com/neuroncore": "32"}, {"node.kubernetes.io/instance-type": "trn1.32xlarge"}, 16, "NeuronCores"),
        ({"aws.amazon.com/neuron": "16"}, {"node.kubernetes.io/instance-type": "trn1.32xlarge"}, 16, ""),
        ({"nvidia.com/mig-3g.40gb": "2"}, H100, 6 / 7, "slices"),
        ({"nvidia.com/gpu": "2", "rdma/gpu-nic": "8", "aliyun.com/gpu-mem": "0"}, H100, 2, ""),
    ],
)  # fmt: skip
def test_memory_and_cores_of_an_accelerator_are_not_counted_as_accelerators(tmp_path, limits, node, count, words):
    report, jobs = read(tmp_path, [pods(limits, **node)], "jobs.json")
    assert jobs["accelerators"].iloc[0] == pytest.approx(count)
    said = " ".join(item["text"] for item in report["warnings"])
    assert words in said if words else not said


def test_jobs_of_the_training_operator_hold_all_their_pods(tmp_path):
    role = {"replicas": 1, "template": POD}
    item = {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": META,
            "spec": {"pytorchReplicaSpecs": {"Master": role, "Worker": role | {"replicas": 3}}},
            "status": {"startTime": "2026-10-05T09:00:00Z", "conditions": [
                {"type": "Created", "status": "True"}, {"type": "Running", "status": "False"},
                {"type": "Succeeded", "status": "True", "lastTransitionTime": "2026-10-05T11:00:00Z"}]}}  # fmt: skip
    report, jobs = read(tmp_path, {"items": [item]}, "jobs.json")
    assert (jobs["accelerators"].tolist(), jobs["status"].tolist()) == ([16], ["completed"])
    assert report["totals"]["accelerator_hours"] == 32


@pytest.mark.parametrize("name", ["jobs.txt", "jobs.json"])
def test_a_file_whose_jobs_hold_no_accelerator_is_reported_with_none(tmp_path, name):
    sacct = "\n".join(line for line in SACCT.splitlines() if line.startswith(("JobID", "102"))) + "\n"
    held = [pods({"cpu": "4"})] if name == "jobs.json" else sacct
    report, jobs = read(tmp_path, held, name)
    assert (len(jobs), report["rows_left_out"]) == (0, {"no accelerator": 1})


@pytest.mark.parametrize(
    ("column", "start", "run", "hours"),
    [
        ("duration_s", "1790816400", "3600", 2),
        ("duration_s", "2026-10-01T02:00:00+02:00", "3600", 2),
        ("duration_min", "2026-10-01T01:00:00Z", "90", 3),
        ("Runtime (hours)", "2026-10-01T01:00:00Z", "1.5", 3),
        ("minutes of work", "2026-10-01T01:00:00Z", "90", 0),
    ],
)
def test_durations_give_the_end_whatever_the_unit_and_the_form_of_the_start(tmp_path, column, start, run, hours):
    text = f"id,gpus,submit_time,start_time,{column},state,gpu_type,team\n"
    text += f"a,2,2026-10-01T00:00:00Z,{start},{run},completed,h100-sxm,x\nb,2,2026-10-01T00:00:00Z,1790816400,,completed,h100-sxm,x\n"
    report, _ = read(tmp_path, text, "jobs.csv", use_case="u", region="eu")
    assert report["totals"]["accelerator_hours"] == hours
    assert (f"columns not used: {column}" in str(report["warnings"])) == (hours == 0)


def test_jobs_of_the_ray_api_carry_milliseconds(tmp_path):
    item = {"submission_id": "raysubmit_1", "status": "SUCCEEDED", "start_time": 1791190800000, "end_time": 1791194400000,
            "entrypoint": "python train.py", "entrypoint_num_gpus": 2, "metadata": {"team": "models"}}  # fmt: skip
    report, jobs = read(
        tmp_path,
        [item, item | {"submission_id": "cpu", "entrypoint_num_gpus": 0}],
        "ray.json",
        region="us",
        accelerator="nvidia-l4",
    )
    assert jobs["started_utc"].tolist() == [pd.Timestamp("2026-10-05T09:00Z")]
    assert (report["rows_left_out"], report["totals"]["accelerator_hours"]) == ({"no accelerator": 1}, 2)


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"items": [{"kind": "Deployment"}]}, "row 1, column 'kind': value 'Deployment': is no job"),
        ({"items": []}, "lists no jobs"),
        ("[" * 100_000, "jobs.json"),
        ("{", "is not JSON"),
        ([1], "is no job"),
        ({"items": [JOB | {"spec": {"parallelism": "many"}}]}, "row 1: cannot be read as Kubernetes Job"),
    ],
)
def test_a_json_file_that_lists_no_jobs_is_refused(tmp_path, held, words):
    with pytest.raises(InputError) as caught:
        read(tmp_path, held, "jobs.json")
    assert words in str(caught.value)


def test_any_table_under_usual_names(tmp_path):
    report, jobs = read(tmp_path, TABLE, "jobs.csv")
    assert jobs["accelerator_id"].to_dict() == {"a": "nvidia-a100-80-sxm", "b": "nvidia-h100-sxm", "d": "nvidia-l4"}
    assert jobs["accelerators"].tolist() == [2, 0.5, 1]
    assert jobs["status"].tolist() == ["completed", "running", "unknown"]
    assert jobs.loc["b", "submitted_utc"] == pd.Timestamp("2026-10-05T06:00Z")
    assert (jobs.loc["d", "ended_utc"] - jobs.loc["d", "started_utc"]) == pd.Timedelta(hours=1)
    assert report["rows_left_out"] == {"no accelerator": 1}
    assert {"field": "status", "theirs": "strange", "ours": "unknown", "rows": 1, "certainty": "unknown"} in report[
        "recoded"
    ]


def test_a_mapping_names_columns_use_cases_and_accelerators(tmp_path):
    text = "nr,wer,karte,n,von,ab,dauer,ende\n1,abt7,gtx,2,2026-10-05T08:00Z,2026-10-05T09:00Z,1800,ok\n"
    columns = {"job_id": "nr", "use_case": "wer", "device": "karte", "accelerators": "n", "submitted": "von",
               "started": "ab", "duration_s": "dauer", "state": "ende"}  # fmt: skip
    report, jobs = read(tmp_path, text, "jobs.csv", columns=columns, use_cases={"abt7": "models"},
                        accelerators={"gtx": "nvidia-l4"}, region="us")  # fmt: skip
    row = jobs.loc["1"]
    assert (row["use_case_id"], row["accelerator_id"], row["region"]) == ("models", "nvidia-l4", "us")
    assert report["totals"]["accelerator_hours"] == 1
    with pytest.raises(InputError, match=r"column 'job_id': no column for it"):
        read(tmp_path, text, "jobs.csv")
    with pytest.raises(InputError, match="Did you mean 'state'"):
        read(tmp_path, text, "jobs.csv", columns=columns | {"sate": "ende"})


def test_times_out_of_order_and_in_the_future_are_left_out_and_counted(tmp_path):
    text = (
        TABLE
        + "e;models;H100;1;us;2026-10-05T08:00Z;2026-10-05T07:00Z;;Failed\nf;models;H100;1;us;2026-12-05T08:00Z;;;queued\n"
    )
    report = read(tmp_path, text, "jobs.csv")[0]
    assert report["rows_left_out"] == {
        "no accelerator": 1, "after the day of import": 1, "times are out of order": 1,
    }  # fmt: skip
    row = text.splitlines().index(next(line for line in text.splitlines() if line.startswith("e;"))) + 1
    told = (
        f"times are out of order in row {row} (job e: submitted 2026-10-05 08:00, started 2026-10-05 07:00): left out"
    )
    assert {"text": told, "rows": 1} in report["warnings"]


@given(st.sampled_from(sorted(_known_states("slurm"))), st.sampled_from(["{}", " {} ", "{} by 7"]))
def test_every_known_state_is_one_of_ours(text, form):
    from aifactory.inputs.importers.jobs.common import RawJobs, _states

    raw = RawJobs("f", "x", "slurm", pd.DataFrame({"state": [form.format(text.upper())]}), 1)
    assert _states(raw).tolist()[0] in {"completed", "failed", "cancelled", "running"}


def test_jobs_go_into_a_workspace_once(mini, tmp_path):
    path = write(tmp_path, SACCT.replace("2026-10-0", "2026-11-0"), "sacct.txt")
    before = len(load_workspace(mini).table("jobs"))
    target = Target(today=TODAY, use_cases={})
    report = import_files("jobs", [path], mini, target)[0]
    assert report["rows_kept"] == 6
    assert len(load_workspace(mini, "2026-11").table("jobs")) == before + 6
    with pytest.raises(InputError, match="already holds"):
        import_files("jobs", [path], mini, target)


def test_the_philly_trace_is_read_as_jobs(tmp_path):
    path = write(tmp_path, "timestamp,duration,num_gpus\n2017-10-09 07:01:55,3600,4\n", "philly.csv")
    report = import_files("jobs", [path], None, Target("models", "us", accelerator="nvidia-l4", today=TODAY))[0]
    assert report["format"] == "Philly training jobs"
    assert report["totals"]["accelerator_hours"] == 4


def test_the_command_line_reads_jobs(tmp_path):
    path = write(tmp_path, SACCT, "sacct.txt")
    done = CliRunner().invoke(app, ["import", "jobs", str(path), "--zone", "Europe/Berlin"])
    assert done.exit_code == 0, done.output
    assert "RECODED accelerator_id: 'a100' -> nvidia-a100-80-sxm (nearest) (5 rows)" in done.output
    assert "LEFT OUT 2 rows: job steps" in done.output


@pytest.mark.parametrize(
    ("text", "chip", "certainty"),
    [
        ("A100-SXM4-40GB", "nvidia-a100-40-sxm", "same"),
        ("nvidia_a100-pcie-80gb", "nvidia-a100-80-pcie", "same"),
        ("a100-80gb", "nvidia-a100-80-sxm", "near"),
        ("NVIDIA H100 80GB HBM3", "nvidia-h100-sxm", "near"),
        ("nvidia-h100-nvl", "nvidia-h100-nvl", "same"),
        ("l40s", "nvidia-l40s", "same"),
        ("tesla_t4", "nvidia-t4", "same"),
        ("tpu-v5e-slice", "google-tpu-v5e", "same"),
        ("p5.48xlarge", "nvidia-h100-sxm", "near"),
    ],
)
def test_a_device_is_known_by_its_name_memory_and_form(text, chip, certainty):
    assert _device(text, Target())[:2] == (chip, certainty)


@pytest.mark.parametrize(
    "text", ["a100_40", "V100-SXM2-16GB", "a40", "gpu", "nvidia.com/gpu", "google.com/tpu", "1g.10gb"]
)
def test_a_device_that_is_none_or_several_of_the_catalogue_is_asked_for(text):
    assert _device(text, Target())[0] == ""


def test_slices_count_as_the_share_they_are(tmp_path):
    text = TABLE.replace("NVIDIA A100-SXM4-80GB;2", "NVIDIA-H100-80GB-HBM3-MIG-2g.20gb;1")
    report, jobs = read(tmp_path, text, "jobs.csv")
    assert jobs.loc["a", "accelerators"] == pytest.approx(2 / 7)
    assert jobs.loc["a", "accelerator_id"] == "nvidia-h100-sxm"
    assert {"text": "jobs hold slices of accelerators (MIG); k of 7 slices count k/7 of one", "rows": 1} in report[
        "warnings"
    ]


def test_an_accelerator_beside_its_count_is_another_column(tmp_path):
    text = "job_id,use_case,region,accelerator,accelerators,submitted,started,ended,state\n"
    text += "a,models,us,nvidia-l4,4,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-10-01T02:00:00Z,COMPLETED\n"
    report, jobs = read(tmp_path, text, "plain.csv")
    assert jobs[["accelerator_id", "accelerators"]].values.tolist() == [["nvidia-l4", 4]]
    assert report["totals"]["accelerator_hours"] == 8


def test_a_count_alone_is_no_accelerator(tmp_path):
    text = "job_id,use_case,region,accelerators,submitted,started,ended,state\n"
    text += "a,models,us,4,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,2026-10-01T02:00:00Z,COMPLETED\n"
    _, jobs = read(tmp_path, text, "plain.csv", accelerator="nvidia-l4")
    assert jobs["accelerators"].tolist() == [4]


PLAIN = "id,gpus,submit_time,start_time,duration_s,state,gpu,team\n"


def test_a_slurm_file_without_jobs_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds a header and no jobs"):
        read(tmp_path, "JobID|User|Account|State|Submit|Start|End|AllocTRES|NNodes\n", region="eu")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("", "holds a header and no jobs"),
        ("a,1,yesterday,2026-10-01T00:00:00Z,60,completed,h100,x\n", "row 2, column 'submit_time': value 'yesterday'"),
        ("a,one,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,60,completed,h100,x\n", "row 2, column 'gpus': value 'one'"),
        ("a,1,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,an hour,completed,h100,x\n", "row 2, column 'duration_s': value 'an hour'"),
        ("a,1,2026-10-01T00:00:00Z,2026-10-01T00:00:00Z,-60,completed,h100,x\n", "row 2, column 'duration_s': value '-60'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_as_the_file_names_it(tmp_path, row, words):
    with pytest.raises(InputError) as caught:
        read(tmp_path, PLAIN + row, "jobs.csv", use_case="u", region="eu")
    assert words in str(caught.value)


def test_the_workload_of_a_job_in_the_same_list_is_not_counted_again(tmp_path):
    job = pods({"nvidia.com/gpu": "2"}, **H100)
    name = job["metadata"]["name"]
    workload = {
        "apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "Workload", "spec": {"queueName": "q", "podSets": [{"count": 1, "template": job["spec"]["template"]}]},
        "metadata": job["metadata"] | {"name": "job-1", "ownerReferences": [{"name": name}]}, "status": {},
    }  # fmt: skip
    report, jobs = read(tmp_path, [job, workload], "jobs.json")
    assert jobs["accelerators"].tolist() == [2] and report["rows_left_out"] == {OF_JOBS: 1}
    assert read(tmp_path, [workload], "jobs.json")[1]["accelerators"].tolist() == [2]


def test_durations_stand_for_ends_where_no_job_has_one(tmp_path):
    """Where some jobs end, one without an end still runs, whatever it took so far."""
    head = "job_id,use_case,accelerators,submitted,started,ended,state,duration_h\n"
    row = "{},chat,2,2026-10-01T08:00:00Z,2026-10-01T09:00:00Z,{},succeeded,3\n"
    hours = {}
    for name, end in (("none", ""), ("some", "2026-10-01T10:00:00Z")):
        (tmp_path / f"{name}.csv").write_text(head + row.format("a", "") + row.format("b", end))
        hours[name] = read_job_table(tmp_path / f"{name}.csv", {}).runs_s
    assert hours["none"].tolist() == [10_800.0, 10_800.0] and hours["some"] is None


def test_the_accelerator_of_jobs_that_name_none_renames_no_other(tmp_path):
    """`--accelerator` also tells which of several a short name means."""
    head = "JobID|Account|Partition|Submit|Start|End|State|AllocTRES\n"
    line = "{}|models|gpu|2026-10-05T08:00:00|2026-10-05T08:00:00|2026-10-05T09:00:00|COMPLETED|{}\n"
    text = head + "".join(
        line.format(n, held) for n, held in enumerate(("gres/gpu:l4=1", "gres/gpu:h100=1", "gres/gpu=1"), 1)
    )
    for said, expected in (("nvidia-h100-pcie", ["nvidia-l4", "nvidia-h100-pcie", "nvidia-h100-pcie"]),
                           ("nvidia-b200-sxm", ["nvidia-l4", "nvidia-h100-sxm", "nvidia-b200-sxm"])):  # fmt: skip
        _, jobs = read(tmp_path, text, "sacct.txt", region="us", accelerator=said)
        assert jobs.sort_values("job_id")["accelerator_id"].tolist() == expected


@pytest.mark.parametrize(
    ("field", "told", "hours"),
    [("ElapsedRaw", "18000", 5), ("Elapsed", "05:00:00", 5), ("ElapsedRaw", "36000", 10), ("ElapsedRaw", "32400", 10), ("ElapsedRaw", "", 10)],
)  # fmt: skip
def test_a_suspended_job_counts_for_as_long_as_it_ran(tmp_path, field, told, hours):
    text = f"JobID|Account|Submit|Start|End|State|{field}|AllocTRES\n7|models|2026-10-05T00:00:00|2026-10-05T00:00:00|2026-10-05T10:00:00|COMPLETED|{told}|gres/gpu:l4=2\n"
    report, _ = read(tmp_path, text, "sacct.txt", region="us")
    assert report["totals"]["accelerator_hours"] == 2 * hours
    assert any("suspended" in item["text"] for item in report["warnings"]) == (hours == 5)
