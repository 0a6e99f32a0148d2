"""What the datasheet says of each point of a probe, made before the run, and how far off it is after."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.serving.probe.points import Architecture, Point, architecture, kernel_points, mixtures, step_points
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_specs import BYTES, KNEE, MBU, MFU, PEAK_COLUMN, step_time_from_specs
from aifactory.units import GIGA, TERA

SIZES = ("m", "n", "k", "batch", "context_tokens", "chunk_tokens", "heads", "kv_heads", "head_width")
JOIN = ("kind", "precision", "model", *SIZES)
OF_A_MIXTURE = " of a mixture"


def forecast(accelerator: pd.Series, models: Iterable[str], precision: str, largest_tokens: int = 8192) -> pd.DataFrame:
    """Predicted time of every point that a probe of these models would measure on an accelerator.

    Kernels: (compute^knee + memory^knee)^(1/knee) with compute = FLOP / (MFU peak) and memory = bytes /
    (MBU bandwidth). Steps: the closed-form step time of the datasheet. Both use prior efficiencies, no measurement.

    Returns
    -------
    Columns accelerator_id, kind, precision, model, the sizes, predicted_ms.
    """
    fp8 = ["fp8"] if np.isfinite(accelerator["peak_fp8_dense_tflops"]) else []
    rows = []
    for name in models:
        sizes = architecture(name)
        kernels = kernel_points(sizes, [precision, *fp8], largest_tokens)
        rows += [_named(point, kernel_s(point, accelerator)) for point in kernels]
        law = _step_law(sizes, accelerator, precision)
        memory = float(accelerator["memory_gb"]) * GIGA
        steps = step_points(sizes, precision, memory, "graph", largest_tokens)
        rows += [_named(point, step_s(point, law)) for point in steps]
    found = pd.DataFrame(rows).drop_duplicates(list(JOIN)).reset_index(drop=True)
    return found.assign(accelerator_id=accelerator["accelerator_id"])[["accelerator_id", *JOIN, "predicted_ms"]]


def compare(measured: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Measured rows with `predicted_ms` and `error` = predicted / measured - 1; rows nobody predicted are NaN."""
    sizes = list(SIZES)
    left = measured.assign(model=measured["model"].fillna(""), **measured[sizes].fillna(0))
    right = predicted.assign(model=predicted["model"].fillna(""), **predicted[sizes].fillna(0))
    if right.duplicated(list(JOIN)).any():
        raise InputError("the forecast names a point twice: give the rows of one accelerator")
    both = left.merge(right[[*JOIN, "predicted_ms"]], on=list(JOIN), how="left", validate="many_to_one")
    return both.assign(error=both["predicted_ms"] / both["median_ms"] - 1)


def error_summary(compared: pd.DataFrame) -> pd.DataFrame:
    """Errors by accelerator, method and part of the work.

    `compared` has the rows of `compare` with the method of their forecast. Returns accelerator_id, method, part,
    rows, median_error (signed: below 0 the forecast was too fast), median_abs_error, p90_abs_error, as_of.
    """
    known = compared[compared["error"].notna()]
    known = known.assign(part=part_of(known), size=known["error"].abs())
    groups = known.groupby(["accelerator_id", "method", "part"], sort=True)
    return groups.agg(
        rows=("error", "size"),
        median_error=("error", "median"),
        median_abs_error=("size", "median"),
        p90_abs_error=("size", lambda errors: errors.quantile(0.9)),
        as_of=("as_of", "max"),
    ).reset_index()


def repeat_spread(measured: pd.DataFrame, again: pd.DataFrame) -> pd.DataFrame:
    """How well a probe repeats on another machine of the same kind: no forecast can be surer than that.

    `again` has measurement_id (of the point in the first run), median_ms, as_of. Returns part, rows,
    median_change (signed), median_abs_change, p90_abs_change and as_of of the later run.

    >>> first = pd.DataFrame({"measurement_id": ["a"], "kind": ["step"], "precision": ["bf16"], "batch": [8],
    ...                       "chunk_tokens": [0], "model": ["tiny"], "median_ms": [10.0]})
    >>> again = pd.DataFrame({"measurement_id": ["a"], "median_ms": [10.2], "as_of": ["2026-11-26"]})
    >>> repeat_spread(first, again)[["part", "rows", "median_change"]].round(3).values.tolist()
    [['decode step', 1, 0.02]]
    """
    told = again[["measurement_id", "median_ms", "as_of"]].rename(columns={"median_ms": "again_ms", "as_of": "again"})
    both = measured.merge(told, on="measurement_id", validate="one_to_one")
    change = both["again_ms"] / both["median_ms"] - 1
    groups = both.assign(part=part_of(both), change=change, size=change.abs()).groupby("part", sort=True)
    return groups.agg(
        rows=("change", "size"),
        median_change=("change", "median"),
        median_abs_change=("size", "median"),
        p90_abs_change=("size", lambda sizes: sizes.quantile(0.9)),
        as_of=("again", "max"),
    ).reset_index()


def part_of(rows: pd.DataFrame) -> np.ndarray:
    """Part of the work of each row: decode, prompt or mixed step (of a mixture: named so), else its kind and precision."""
    step, batch, chunk = rows["kind"] == "step", rows["batch"] > 0, rows["chunk_tokens"] > 0
    kernel = rows["kind"].str.replace("_", " ") + ", " + rows["precision"]
    parts = np.select([step & batch & chunk, step & batch, step], ["mixed step", "decode step", "prompt step"], kernel)
    mixture = rows["model"].isin(mixtures()).to_numpy()
    return np.where(step & mixture, parts + OF_A_MIXTURE, parts)


def kernel_s(point: Point, accelerator: pd.Series) -> float:
    """Datasheet time of a kernel, seconds.

    >>> row = pd.Series({"memory_bw_gb_per_s": 1000.0 / MBU})
    >>> round(kernel_s(Point("memory_read", "fp32"), row), 9)  # 2^28 numbers of 4 bytes at 1000 GB/s
    0.001073742
    """
    flop, moved = _work(point)
    memory = moved / (MBU * float(accelerator["memory_bw_gb_per_s"]) * GIGA)
    if not flop:
        return memory
    compute = flop / (MFU * _peak(accelerator, point.precision) * TERA)
    return float((compute**KNEE + memory**KNEE) ** (1 / KNEE))


def step_s(point: Point, law: StepTime) -> float:
    """Time of a step under a law, seconds."""
    batch, context, chunk = (point.sizes[name] for name in ("batch", "context_tokens", "chunk_tokens"))
    return float(law.step_s(batch + chunk, batch + bool(chunk), batch * context, chunk * (chunk + 1) / 2))


def _work(point: Point) -> tuple[float, float]:
    """FLOP and bytes of a kernel."""
    at, size = point.sizes, BYTES[point.precision]
    if point.kind == "matrix_product":
        m, n, k = at["m"], at["n"], at["k"]
        return 2.0 * m * n * k, size * (m * k + n * k + m * n)
    if point.kind == "prefill_attention":
        tokens, width = at["chunk_tokens"], at["head_width"]
        moved = 2 * size * tokens * width * (at["heads"] + at["kv_heads"])
        return 4.0 * at["heads"] * width * tokens * (tokens + 1) / 2, moved
    if point.kind == "decode_attention":
        cached = at["batch"] * at["context_tokens"]
        return 4.0 * cached * at["heads"] * at["head_width"], 2.0 * size * cached * at["kv_heads"] * at["head_width"]
    return 0.0, {"memory_read": 4.0, "memory_copy": 8.0}[point.kind] * 2**28


def _peak(accelerator: pd.Series, precision: str) -> float:
    peak = accelerator[PEAK_COLUMN.get(precision, "peak_bf16_dense_tflops")]
    if not np.isfinite(peak):
        raise InputError(f"{accelerator['accelerator_id']}: no dense peak at {precision} is known")
    return float(peak)


def _step_law(sizes: Architecture, accelerator: pd.Series, precision: str) -> StepTime:
    row = pd.Series(
        {
            "model": sizes.model,
            "kind": "llm",
            "params_total_b": sizes.params / GIGA,
            "params_active_b": sizes.active_params / GIGA,
            "kv_bytes_per_token_bf16": 2.0 * sizes.kv_elements_per_token,
            "default_precision": precision,
        }
    )
    return step_time_from_specs(row, accelerator, tensor_parallel=1, precision=precision)


def _named(point: Point, seconds: float) -> dict[str, object]:
    names = {"kind": point.kind, "precision": point.precision, "model": point.model}
    return names | {name: point.sizes.get(name, 0) for name in SIZES} | {"predicted_ms": float(f"{seconds * 1e3:.6g}")}
