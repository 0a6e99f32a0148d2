"""Traces with one row per job: submission, start, end, accelerators held."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from aifactory.inputs.importers.traces.common import Found, trace_contract, typed_rows

PHILLY = trace_contract(
    "philly", {"timestamp": "datetime", "duration": "number", "num_gpus": "number"}, {"cluster": "string"}
)
ALIBABA_PODS = trace_contract(
    "alibaba_pods",
    {"name": "string", "num_gpu": "number", "gpu_milli": "number", "pod_phase": "string", "creation_time": "number"},
    {"qos": "string", "gpu_spec": "string", "deletion_time": "number", "scheduled_time": "number"},
)
#: Phase in which a pod was last seen -> outcome; a pod last seen running may have ended either way.
PHASES = {"Succeeded": "completed", "Failed": "failed"}
MILLI = 1000


def philly(path: Path) -> Found:
    """Philly training jobs: the file has neither queueing time nor outcome.

    A job starts when it is submitted and its status is unknown. Source: Philly traces, CC-BY-4.0.
    """
    rows, warnings = typed_rows(path, PHILLY)
    frame = pd.DataFrame({"arrival": rows["timestamp"], "waited_s": 0.0, "ran_s": rows["duration"]}).assign(
        accelerators=rows["num_gpus"], status="unknown"
    )
    warnings.append(("no queueing time and no outcome: a job starts when submitted, status unknown", len(rows)))
    return _with_accelerators(frame, warnings)


def alibaba_pods(path: Path) -> Found:
    """Pods of the Alibaba GPU cluster of 2023; times in seconds from the start of the trace.

    Accelerators = num_gpu x gpu_milli / 1000 (shared cards hold a fraction). Pods without a GPU are
    left out. A pod deleted at the last second of the trace still runs. Latency-sensitive pods (qos LS)
    are services rather than jobs. Source: alibaba/clusterdata, cluster-trace-gpu-v2023, README.
    """
    read, warnings = typed_rows(path, ALIBABA_PODS)
    rows = read.drop_duplicates(ignore_index=True)
    running = rows["deletion_time"] == rows["deletion_time"].max()
    started = rows["scheduled_time"].where(rows["pod_phase"] != "Pending")
    status = rows["pod_phase"].map(PHASES).fillna("unknown").mask(running & started.notna(), "running")
    frame = pd.DataFrame({"arrival": rows["creation_time"], "waited_s": started - rows["creation_time"]}).assign(
        ran_s=(rows["deletion_time"] - started).mask(running),
        accelerators=rows["num_gpu"] * rows["gpu_milli"] / MILLI,
        status=status,
    )
    services = int((rows["qos"] == "LS").sum())
    warnings += [("latency-sensitive pods (qos LS) are services rather than jobs", services)] if services else []
    named = int(rows["gpu_spec"].notna().sum())
    warnings += [("gpu_spec allows certain cards only; the accelerator named here counts", named)] if named else []
    found = _with_accelerators(frame, warnings)
    if len(rows) < len(read):
        found.left_out["the same pod, given again with the same values"] = len(read) - len(rows)
    found.rows_read = len(read)
    return found


def _with_accelerators(frame: pd.DataFrame, warnings: list[tuple[str, int]]) -> Found:
    """Leave out jobs without an accelerator, and refuse none silently."""
    none = ~(frame["accelerators"] > 0)
    left_out = {"jobs without an accelerator": int(none.sum())} if none.any() else {}
    return Found(frame[~none].reset_index(drop=True), len(frame), left_out, warnings)
