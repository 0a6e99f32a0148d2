"""Time of an all-reduce between the accelerators of a node."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import distributed, multiprocessing

from aifactory.serving.probe.timer import Stopwatch, Timing

MESSAGE_BYTES = {"cuda": tuple(2**power for power in range(12, 29, 2)), "cpu": (2**12, 2**16, 2**20)}


def all_reduce_timings(accelerators: int, device: str) -> Iterator[tuple[int, Timing]]:
    """Time of a sum over `accelerators` processes by message size; nothing for fewer than two.

    NCCL (RCCL) on GPUs, Gloo on processors. The first process's clock counts.
    """
    if accelerators < 2:
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        found = Path(folder) / "found.pt"
        multiprocessing.spawn(_worker, (accelerators, device, str(meeting), str(found)), nprocs=accelerators)
        times = torch.load(found, weights_only=True)
    for message_bytes, (median, low, high, repeats) in zip(MESSAGE_BYTES[device], times.tolist(), strict=True):
        yield message_bytes, Timing(median, low, high, int(repeats))


def _worker(rank: int, world: int, kind: str, meeting: str, found: str) -> None:
    device = torch.device(kind, rank) if kind == "cuda" else torch.device("cpu")
    if kind == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if kind == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=f"file://{meeting}", rank=rank, world_size=world)
    rows = []
    for message_bytes in MESSAGE_BYTES[kind]:
        message = torch.zeros(message_bytes // 2, dtype=torch.bfloat16, device=device)
        rows.append(_timed(message, device))
    if rank == 0:
        torch.save(torch.tensor(rows, dtype=torch.float64), found)
    distributed.destroy_process_group()


def _timed(message: torch.Tensor, device: torch.device) -> tuple[float, float, float, float]:
    """All processes make the same number of calls: the watch must not choose it by its own clock."""
    watch = Stopwatch(device, repeats=7)
    timing = watch.fixed(lambda: distributed.all_reduce(message), warm_up=5, inner=20)
    return timing.median_ms, timing.p10_ms, timing.p90_ms, float(timing.repeats)
