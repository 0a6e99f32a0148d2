"""Kubernetes objects as `kubectl get ... -o json` lists them, and the list of the Ray jobs API.

Kinds: Job (batch/v1), Workload (Kueue), Job (Volcano), RayJob, PyTorchJob and the like (Kubeflow). Accelerators of a job are those of its pods:
replicas x the limits of their containers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.jobs.common import FIELDS, RawJobs
from aifactory.inputs.importers.jobs.resources import held_by
from aifactory.inputs.spreadsheet import MAX_BYTES

SELECTORS = ("gpu.product", "accelerator", "instance-type", "gpu-type", "gpu_type", "gpu.model")
KUBEFLOW = ("PyTorchJob", "TFJob", "MPIJob", "JAXJob", "XGBoostJob", "PaddleJob")
WORKLOAD, OF_JOBS = "Kueue Workload", "Kueue workloads of jobs that the list holds"
Node = dict[str, Any]


def read_kubernetes(path: Path) -> RawJobs:
    """Jobs of a JSON export; `kind` of each object says how it is read.

    Raises
    ------
    InputError
        If the file is no JSON, too deep or large, or holds an object of another kind, with its place.
    """
    items, rows, kinds = _items(path), [], []
    for number, item in enumerate(items, 1):
        kind = _kind(item) if isinstance(item, dict) else ""
        if not kind:
            found = str(item.get("kind", "")) if isinstance(item, dict) else type(item).__name__
            raise InputError.at(path.name, "is no job.", row=number, column="kind", value=found, choices=_READERS)
        try:
            rows.append(_READERS[kind](item))
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise InputError.at(path.name, f"cannot be read as {kind}: {str(error)[:80]}", row=number) from None
        kinds.append(kind)
    frame = pd.DataFrame(rows, columns=list(FIELDS), index=range(1, len(rows) + 1)).fillna("").astype("str")
    name = " and ".join(dict.fromkeys(kinds)) or "empty list"
    raw = RawJobs(path.name, f"{name}, JSON", "kubernetes", frame, len(frame))
    queued = pd.Series(kinds, frame.index, dtype="str") == WORKLOAD
    raw.leave_out(queued & frame["job_id"].isin(frame.loc[~queued, "job_id"]), OF_JOBS)
    told = Counter(text for row in rows for text in row.get("said", ()))
    raw.warnings += sorted(told.items())
    again = [number for number, item in enumerate(items, 1) if _evicted(item)]
    if again:
        raw.warnings.append(("jobs were evicted and queued again; only their last run is known", len(again)))
    return raw


def _items(path: Path) -> list[object]:
    if path.stat().st_size > MAX_BYTES:
        raise InputError.at(path.name, f"larger than {MAX_BYTES:,} bytes; export it in parts")
    try:
        held = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise InputError.at(path.name, "is nested too deeply") from None
    except ValueError as error:
        raise InputError.at(path.name, f"is not JSON: {str(error)[:80]}") from None
    if isinstance(held, dict):
        held = (
            held["items"]
            if isinstance(held.get("items"), list)
            else held["jobs"]
            if isinstance(held.get("jobs"), list)
            else [held]
        )
    if not isinstance(held, list) or not held:
        raise InputError.at(path.name, "lists no jobs")
    return held


def _kind(item: Node) -> str:
    version, kind = str(item.get("apiVersion", "")), item.get("kind")
    if kind == "Job":
        return "Volcano Job" if version.startswith("batch.volcano") else "Kubernetes Job"
    if kind == "Workload" and "kueue" in version:
        return WORKLOAD
    if kind == "RayJob":
        return "RayJob"
    if version.startswith("kubeflow.org/") and isinstance(kind, str) and kind in KUBEFLOW:
        return "Kubeflow job"
    return "Ray job" if "submission_id" in item or "entrypoint" in item else ""


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _base(item: Node) -> Node:
    meta = item.get("metadata") or {}
    labels = meta.get("labels") or {}
    queue = labels.get("kueue.x-k8s.io/queue-name") or labels.get("team") or labels.get("app.kubernetes.io/part-of")
    return {
        "job_id": "/".join(part for part in (_text(meta.get("namespace")), _text(meta.get("name"))) if part),
        "use_case": _text(labels.get("use-case") or labels.get("use_case") or queue or meta.get("namespace")),
        "region": _text(labels.get("topology.kubernetes.io/region")),
        "submitted": _text(meta.get("creationTimestamp")),
    }


def _pods(groups: Iterator[tuple[int, Node]]) -> Node:
    """Accelerators of all pods, and the words that name the device."""
    total, devices, said = 0.0, [], []
    for replicas, template in groups:
        spec = template.get("spec") or {}
        chosen = [str(v) for k, v in (spec.get("nodeSelector") or {}).items() if any(mark in k for mark in SELECTORS)]
        for container in spec.get("containers") or []:
            resources = container.get("resources") or {}
            limits = resources.get("limits") or resources.get("requests") or {}
            for amount, device, remark in held_by(limits, chosen[0] if chosen else ""):
                total += replicas * amount
                devices.append(device)
                said.append(remark)
    names = list(dict.fromkeys(devices))
    return {"accelerators": f"{total:g}", "device": ", ".join(names), "said": {text for text in said if text}}


def _many(held: object) -> int:
    """A number of pods; one where none is given."""
    return 1 if held is None else int(str(held))


def _condition(status: Node, *types: str) -> Node:
    """The last true condition of these types."""
    true = [
        item
        for item in status.get("conditions") or []
        if item.get("type") in types and str(item.get("status")) == "True"
    ]
    return true[-1] if true else {}


def _job(item: Node) -> Node:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    end = _condition(status, "Complete", "Failed")
    state = end.get("type") or (
        "Suspended" if spec.get("suspend") else "Running" if status.get("active") else "Pending"
    )
    ended = status.get("completionTime") or end.get("lastTransitionTime")
    return {**_base(item), **_pods(iter([(_many(spec.get("parallelism")), spec.get("template") or {})])),
            "started": _text(status.get("startTime")), "ended": _text(ended), "state": state}  # fmt: skip


def _workload(item: Node) -> Node:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    base = _base(item)
    owner = [ref.get("name") for ref in (item.get("metadata") or {}).get("ownerReferences") or []]
    end, start = _condition(status, "Finished"), _condition(status, "Admitted", "QuotaReserved")
    told = f"{end.get('reason', '')} {end.get('message', '')}".casefold()
    state = ("Failed" if "fail" in told else "Succeeded") if end else "Running" if start else "Pending"
    groups = ((_many(pods.get("count")), pods.get("template") or {}) for pods in spec.get("podSets") or [])
    return {**base, **_pods(groups), "job_id": f"{base['job_id'].split('/')[0]}/{owner[0]}" if owner else base["job_id"],
            "use_case": _text(spec.get("queueName")) or base["use_case"], "started": _text(start.get("lastTransitionTime")),
            "ended": _text(end.get("lastTransitionTime")), "state": state}  # fmt: skip


def _volcano(item: Node) -> Node:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    phase = status.get("state") or {}
    groups = ((_many(task.get("replicas")), task.get("template") or {}) for task in spec.get("tasks") or [])
    over = phase.get("phase") in ("Completed", "Failed", "Aborted", "Terminated")
    history = [c.get("lastTransitionTime") for c in status.get("conditions") or [] if c.get("status") == "Running"]
    base = _base(item)
    return {**base, **_pods(groups), "use_case": base["use_case"] if spec.get("queue") in (None, "default") else _text(spec["queue"]),
            "started": _text(history[0] if history else None), "state": _text(phase.get("phase")) or "Pending",
            "ended": _text(phase.get("lastTransitionTime")) if over else ""}  # fmt: skip


def _kubeflow(item: Node) -> Node:
    """Jobs of the training operator: `pytorchReplicaSpecs` and the like, each kind of pod with its replicas."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    roles = next((held for name, held in spec.items() if name.endswith("ReplicaSpecs")), None) or {}
    groups = ((_many(role.get("replicas")), role.get("template") or {}) for role in roles.values())
    end = _condition(status, "Succeeded", "Failed")
    state = _condition(status, "Created", "Running", "Restarting", "Suspended", "Succeeded", "Failed").get("type")
    return {**_base(item), **_pods(groups), "started": _text(status.get("startTime")), "state": state or "Pending",
            "ended": _text(status.get("completionTime") or end.get("lastTransitionTime"))}  # fmt: skip


def _ray_job(item: Node) -> Node:
    status, cluster = item.get("status") or {}, (item.get("spec") or {}).get("rayClusterSpec") or {}
    groups = [(1, (cluster.get("headGroupSpec") or {}).get("template") or {})]
    groups += [(_many(g.get("replicas")), g.get("template") or {}) for g in cluster.get("workerGroupSpecs") or []]
    return {**_base(item), **_pods(iter(groups)), "started": _text(status.get("startTime")),
            "ended": _text(status.get("endTime")), "state": _text(status.get("jobStatus")) or "Pending"}  # fmt: skip


def _ray_api(item: Node) -> Node:
    meta = item.get("metadata") or {}
    return {
        "job_id": _text(item.get("submission_id") or item.get("job_id")),
        "use_case": _text(meta.get("use_case") or meta.get("project") or meta.get("team")),
        "region": _text(meta.get("region")),
        "device": _text(next(iter(item.get("entrypoint_resources") or {}), "")),
        "accelerators": _text(item.get("entrypoint_num_gpus") or 0),
        "submitted": _text(item.get("start_time")),
        "started": _text(item.get("start_time")),
        "ended": _text(item.get("end_time")),
        "state": _text(item.get("status")),
    }


def _evicted(item: Node) -> bool:
    return bool(_condition(item.get("status") if isinstance(item.get("status"), dict) else {}, "Evicted"))


_READERS: dict[str, Callable[[Node], Node]] = {
    "Kubernetes Job": _job,
    WORKLOAD: _workload,
    "Volcano Job": _volcano,
    "RayJob": _ray_job,
    "Kubeflow job": _kubeflow,
    "Ray job": _ray_api,
}
