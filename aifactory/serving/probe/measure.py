"""Run a probe: every point measured, written at once, and never twice."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from aifactory import __version__
from aifactory.errors import InputError
from aifactory.serving.probe import kernels
from aifactory.serving.probe.collective import all_reduce_timings
from aifactory.serving.probe.points import Architecture, Point, architecture, kernel_points, step_points
from aifactory.serving.probe.timer import Stopwatch, Timing
from aifactory.serving.probe.transformer import RandomTransformer, StepPoint

DTYPES = {
    "fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "fp8": getattr(torch, "float8_e4m3fn", None),
}  # fmt: skip
SIZES = ("m", "n", "k", "batch", "context_tokens", "chunk_tokens", "heads", "kv_heads", "head_width", "message_bytes")
KEY = ("accelerator_id", "device", "kind", "precision", "mode", "model", "accelerators", *SIZES)
COLUMNS = (
    "measurement_id", *KEY, "median_ms", "p10_ms", "p90_ms", "repeats", "attention", "tflops_per_s", "gb_per_s", "power_w", "memory_gb", "driver",
    "software", "source", "as_of", "confidence",
)  # fmt: skip
#: Elements of the memory kernels: 4 bytes each, more than any cache holds.
MEMORY_ELEMENTS = {"cuda": 2**28, "cpu": 2**24}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Probe:
    """What to measure and on what.

    `accelerator_id` is the name of the device in the table `accelerators`, `device` cuda or cpu, `all_reduce` how many
    accelerators to sum over (0: none), `largest_tokens` the size of the largest kernel.
    """

    model: str
    precision: str
    as_of: str
    accelerator_id: str
    device: str = "cuda"
    budget_s: float = 300.0
    repeats: int = 15
    largest_tokens: int = 8192
    all_reduce: int = 0


def device_at_hand() -> str:
    """The kind of device that PyTorch finds: cuda (also AMD's), else cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def run_probe(asked: Probe, out: Path, say: Say = lambda _text: None) -> pd.DataFrame:
    """Measure every point that fits into memory and budget, appending a row each to the CSV file `out`.

    A file that exists is continued: points with the same device, model, precision and sizes are not
    measured again. What the budget or the memory leaves out is said, never guessed.

    Returns
    -------
    All rows of `out`, columns `COLUMNS`: times in ms per call, tflops_per_s and gb_per_s reached.

    Raises
    ------
    InputError
        Unknown model or precision, no name of the device, a model larger than the memory, a file that is no table, has
        other columns or is in no folder.
    """
    sizes, device = architecture(asked.model), torch.device(asked.device)
    if asked.precision not in {"fp32", "fp16", "bf16"}:
        raise InputError.at("precision", "not measured", value=asked.precision, choices=("fp32", "fp16", "bf16"))
    if not asked.accelerator_id.strip():
        raise InputError.at("--accelerator", "must name the device")
    if not out.absolute().parent.is_dir():
        raise InputError.at("--out", "is in a folder that does not exist", value=str(out))
    conditions, done = _conditions(device, asked), _measured(out)
    watch, end = Stopwatch(device, asked.repeats), time.monotonic() + asked.budget_s
    precisions = [asked.precision] + (["fp8"] if _has_fp8(device) else [])
    memory_bytes = conditions["memory_gb"] * 1e9
    kernel_mode = "graph" if device.type == "cuda" else "eager"
    groups = [(None, list(kernel_points(sizes, precisions, asked.largest_tokens, kernel_mode)))]
    for mode in _modes(device):
        groups.append((mode, list(step_points(sizes, asked.precision, memory_bytes, mode, asked.largest_tokens))))
    with _appender(out) as write, torch.no_grad():
        for mode, points in groups:
            left = [point for point in points if _key(point, conditions) not in done]
            model = (
                RandomTransformer(sizes, DTYPES[asked.precision], device, fused=mode == "fused")
                if mode and left
                else None
            )
            skipped = _measure(left, model, watch, end, lambda point, row: write(_row(point, row, conditions)), say)
            if skipped:
                say(
                    f"{skipped} of {len(points)} points of {mode or 'kernels'} left: the budget of {asked.budget_s:g} s is spent"
                )
            del model
            _free(device)
        for message_bytes, timing in all_reduce_timings(asked.all_reduce, asked.device):
            point = Point("all_reduce", "bf16", "eager", sizes={"message_bytes": message_bytes})
            write(_row(point, ("", timing, 0.0, message_bytes), conditions | {"accelerators": asked.all_reduce}))
    return pd.read_csv(out)


def _measure(
    points: Iterable[Point], model: RandomTransformer | None, watch: Stopwatch, end: float,
    keep: Callable[[Point, tuple[str, Timing, float, float]], None], say: Say,
) -> int:  # fmt: skip
    skipped = 0
    for point in points:
        if time.monotonic() > end:
            skipped += 1
            continue
        try:
            found = _step(point, model, watch) if point.kind == "step" else _kernel(point, watch)
        except torch.OutOfMemoryError:
            say(f"left out, out of memory: {point}")
        except RuntimeError as error:
            say(f"left out, {str(error).splitlines()[0]}: {point}")
        else:
            keep(point, found)
            say(f"{point.kind} {point.precision} {point.mode} {point.sizes}: {found[1].median_ms:.4g} ms")
        _free(watch.device)
    return skipped


def _kernel(point: Point, watch: Stopwatch) -> tuple[str, Timing, float, float]:
    device, dtype, at = watch.device, DTYPES[point.precision], point.sizes
    way = ""
    if point.kind == "matrix_product":
        kernel = kernels.matrix_product(at["m"], at["n"], at["k"], dtype, device)
    elif point.kind in {"memory_copy", "memory_read"}:
        kernel = getattr(kernels, point.kind)(MEMORY_ELEMENTS[device.type], device)
    elif point.kind == "prefill_attention":
        kernel = kernels.prefill_attention(*at.values(), dtype, device)
    else:
        offered = {
            name: kernels.decode_attention(*at.values(), dtype, device, name) for name in kernels.TOKEN_ATTENTION
        }
        way = watch.fastest({name: kernel.call for name, kernel in offered.items()})
        kernel = offered[way]
    timing = watch.time(kernel.call, graph=True, calls=kernel.calls, power=point.kind != "matrix_product")
    return way, timing, kernel.flop, kernel.moved_bytes


def _step(point: Point, model: RandomTransformer, watch: Stopwatch) -> tuple[str, Timing, float, float]:
    at = StepPoint(point.sizes["batch"], point.sizes["context_tokens"], point.sizes["chunk_tokens"])
    tokens = torch.randint(model.sizes.vocabulary, (at.batch + at.chunk,), device=watch.device)
    caches = model.caches(at) if at.batch else []
    calls = {name: partial(model.step, tokens, caches, at, name) for name in kernels.TOKEN_ATTENTION}
    way = watch.fastest(calls) if at.batch else ""
    timing = watch.time(calls[way or "grouped"], graph=point.mode != "eager", power=point.mode == "fused")
    element = model.embedding.element_size()
    read = element * (touched_params(model.sizes, at) - model.embedding.numel())
    cached = element * model.sizes.kv_elements_per_token * at.batch * at.context
    return way, timing, step_flop(model.sizes, at), float(read + cached)


def touched_params(sizes: Architecture, at: StepPoint) -> float:
    """Weights that a step reads: of a mixture the share 1 - (1 - k/E)^T of its experts, the mean where a router deals evenly."""
    if not sizes.experts:
        return float(sizes.params)
    share = sizes.experts_per_token / sizes.experts
    return sizes.params - sizes.expert_params * (1 - share) ** (at.batch + at.chunk)


def step_flop(sizes: Architecture, at: StepPoint) -> float:
    """FLOP of a step: 2 per weight of the layers and token, 2 per output weight and sequence, 4 heads width a pair.

    >>> tiny = Architecture("tiny", 1, 4, 2, 1, 2, 8, 10)
    >>> step_flop(tiny, StepPoint(batch=1, context=3))  # 2 (4*2*6 + 3*4*8) + 2*40 + 4*2*2*3
    416.0
    """
    copies = sizes.experts_per_token or 1
    layer = (
        sizes.hidden * sizes.head_width * (2 * sizes.heads + 2 * sizes.kv_heads)
        + 3 * sizes.hidden * sizes.feed_forward * copies
        + sizes.hidden * sizes.experts
    )
    pairs = at.batch * at.context + at.chunk * (at.chunk + 1) / 2
    sequences = at.batch + bool(at.chunk)
    return float(
        2 * sizes.layers * layer * (at.batch + at.chunk)
        + 2 * sizes.vocabulary * sizes.hidden * sequences
        + 4 * sizes.layers * sizes.heads * sizes.head_width * pairs
    )


def _row(point: Point, found: tuple[str, Timing, float, float], conditions: dict[str, object]) -> dict[str, object]:
    way, timing, flop, moved = found
    times = {name: float(f"{getattr(timing, name):.6g}") for name in ("median_ms", "p10_ms", "p90_ms")}
    rates = {
        "tflops_per_s": round(flop / timing.median_ms / 1e9, 4) if flop else "",
        "gb_per_s": round(moved / timing.median_ms / 1e6, 3),
        "power_w": round(timing.power_w, 1) if np.isfinite(timing.power_w) else "",
    }
    what = {
        "kind": point.kind,
        "precision": point.precision,
        "mode": point.mode,
        "model": point.model,
        "attention": way,
    }
    key = "|".join((*_key(point, conditions), str(conditions["as_of"])))
    name = {"measurement_id": "p" + hashlib.sha256(key.encode()).hexdigest()[:12], "repeats": timing.repeats}
    return dict.fromkeys(COLUMNS, "") | conditions | what | point.sizes | times | rates | name


def _conditions(device: torch.device, asked: Probe) -> dict[str, object]:
    """Device, memory and software that all rows share."""
    base = {
        "accelerator_id": asked.accelerator_id,
        "accelerators": 1,
        "source": f"aifactory {__version__} bench probe",
        "as_of": asked.as_of,
        "confidence": "measured",
    }
    if device.type == "cuda":
        found = torch.cuda.get_device_properties(device)
        runtime = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
        return base | {
            "device": found.name,
            "memory_gb": round(found.total_memory / 1e9, 2),
            "driver": _driver(),
            "software": f"PyTorch {torch.__version__}, {runtime}",
        }
    memory = _processor_memory_gb()
    software = f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"
    return base | {"device": "processor", "memory_gb": memory, "driver": "", "software": software}


def _driver() -> str:
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except (ImportError, RuntimeError, OSError):
        return ""


def _processor_memory_gb() -> float:
    import os

    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 2)


def _modes(device: torch.device) -> list[str]:
    return ["fused", "graph", "eager"] if device.type == "cuda" else ["eager"]


def _has_fp8(device: torch.device) -> bool:
    return device.type == "cuda" and bool(torch.version.cuda) and torch.cuda.get_device_capability(device) >= (8, 9)


def _free(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _key(point: Point, conditions: dict[str, object]) -> tuple[str, ...]:
    of = conditions | {"kind": point.kind, "precision": point.precision, "mode": point.mode, "model": point.model}
    return tuple(str((of | point.sizes).get(name, "")) for name in KEY)


def _measured(out: Path) -> set[tuple[str, ...]]:
    if _is_fresh(out):
        return set()
    try:
        table = pd.read_csv(out, dtype=str, keep_default_na=False)
    except (UnicodeDecodeError, pd.errors.ParserError) as error:
        raise InputError.at(out, "is no table; name another file") from error
    if tuple(table.columns) != COLUMNS:
        raise InputError.at(out, "is no probe of this version: its columns differ; name another file")
    return set(table[list(KEY)].itertuples(index=False, name=None))


def _is_fresh(out: Path) -> bool:
    """Whether nothing was written yet: a run that was ended at once leaves an empty file."""
    return not out.exists() or (out.is_file() and out.stat().st_size == 0)


class _appender:  # noqa: N801
    """Append rows to a CSV file, each on disk before the next is measured."""

    def __init__(self, out: Path) -> None:
        self.fresh = _is_fresh(out)
        self.file = out.open("a", newline="", encoding="utf-8")

    def __enter__(self) -> Callable[[dict[str, object]], None]:
        writer = csv.DictWriter(self.file, COLUMNS)
        if self.fresh:
            writer.writeheader()

        def write(row: dict[str, object]) -> None:
            writer.writerow(row)
            self.file.flush()

        return write

    def __exit__(self, *_: object) -> None:
        self.file.close()
