"""`aifactory bench pack`: the buyer's prompt mix as files that load tools replay; lengths and times, never text.

Each class of requests (a use case) is a window of consecutive requests of its trace, so that bursts stay as they are.
It is written twice in Mooncake's form: `timestamp` in milliseconds, as AIPerf, and in seconds, as GuideLLM reads it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.hold import aside
from aifactory.inputs.importers.store import held_rows
from aifactory.serving.arrivals import RequestStream
from aifactory.serving.command import read_stream
from aifactory.units import MS_PER_S, counted

LIMITS = ("slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms", "slo_max_failure_rate")
FORM = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
#: A test of fewer requests establishes no p95; see `aifactory.benchmark.validity`.
LEAST = 52
REPLAY = {
    "milliseconds": "AIPerf: --custom-dataset-type mooncake_trace --fixed-schedule --input-file FILE",
    "seconds": "GuideLLM: a mooncake or trace_synthetic profile over FILE, times in seconds",
}


def named_traces(sources: Sequence[str]) -> dict[str, Path]:
    """Class -> trace of arguments `class=file` or `file`, which is called after itself.

    >>> named_traces(["chat=june.parquet", "code.csv"])
    {'chat': PosixPath('june.parquet'), 'code': PosixPath('code.csv')}
    """
    found: dict[str, Path] = {}
    for source in sources:
        name, sign, file = source.partition("=")
        path = Path(file if sign else source)
        name = name if sign else path.name.split(".")[0]
        if not FORM.fullmatch(name):
            raise InputError.at("pack", "is no name of a class: small letters, digits, . _ - (name=file)", value=name[:80])  # fmt: skip
        if name in found:
            raise InputError.at("pack", "is the name of two classes; give them as name=file", value=name)
        found[name] = path
    return found


def write_pack(
    traces: Mapping[str, Path], out: Path, *, requests: int, seed: int, workspace: Path | None = None
) -> dict[str, object]:
    """Write a pack into a new folder.

    Parameters
    ----------
    traces : class -> trace of any known form, or a table arrival_s, input_tokens, output_tokens.
    requests : most requests of a class; a trace of more gives a window that `seed` chooses.
    workspace : whose use cases of the same names give the limits of the classes.

    Returns
    -------
    The manifest: seed; per class its weight (share of all requests per second of the traces), requests, seconds, mean
    and p95 lengths in tokens, limits, trace and files with their sha256; `pack_sha256` over those of the files.
    """
    if out.exists():
        raise InputError.at("--out", "the folder exists; a pack is never overwritten", value=str(out))
    if requests < LEAST:
        raise InputError.at("--requests", f"must be {LEAST} or more: fewer establish no p95", value=requests)
    if workspace is not None and not workspace.is_dir():
        raise InputError.at("--workspace", "no such folder", value=str(workspace))
    cases = held_rows(workspace, "use_cases").set_index("use_case_id") if workspace is not None else pd.DataFrame()
    streams = {name: read_stream(path) for name, path in traces.items()}
    rates = {name: _rate(stream) for name, stream in streams.items()}
    classes = []
    out.parent.mkdir(parents=True, exist_ok=True)
    with aside(out.parent) as building:
        folder = building / out.name
        folder.mkdir()
        for number, (name, stream) in enumerate(streams.items()):
            window = _window(stream, requests, np.random.default_rng([seed, number]))
            classes.append(
                {
                    "class": name,
                    "weight": round(rates[name] / sum(rates.values()), 6),
                    **_lengths(window),
                    "limits": _limits(cases, name),
                    "trace": {"file": traces[name].name, "sha256": _sha256(traces[name])},
                    "files": _write(folder, name, window),
                }
            )
        every = "".join(file["sha256"] for item in classes for file in item["files"])
        manifest = {"pack_sha256": hashlib.sha256(every.encode()).hexdigest(), "seed": seed, "classes": classes,
                    "replay": REPLAY, "text": "none: lengths and times only"}  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        folder.rename(out)
    return manifest


def _rate(stream: RequestStream) -> float:
    """Requests per second of a trace; of a single moment, its requests."""
    span = float(stream.arrival_s[-1] - stream.arrival_s[0])
    return len(stream.arrival_s) / span if span > 0 else float(len(stream.arrival_s))


def _window(stream: RequestStream, most: int, rng: np.random.Generator) -> pd.DataFrame:
    """Consecutive requests, times from the first of them."""
    count = len(stream.arrival_s)
    first = int(rng.integers(0, count - most + 1)) if count > most else 0
    part = slice(first, first + most)
    begin = stream.arrival_s[first]
    return pd.DataFrame(
        {
            "ms": np.rint((stream.arrival_s[part] - begin) * MS_PER_S).astype("int64"),
            "input": np.asarray(stream.input_tokens[part]).astype("int64"),
            "output": np.asarray(stream.output_tokens[part]).astype("int64"),
        }
    )


def _lengths(window: pd.DataFrame) -> dict[str, object]:
    figures: dict[str, object] = {"requests": len(window), "duration_s": float(window["ms"].max()) / MS_PER_S}
    for name in ("input", "output"):
        figures[f"{name}_tokens_mean"] = round(float(window[name].mean()), 3)
        figures[f"{name}_tokens_p95"] = float(np.percentile(window[name], 95))
    return figures


def _limits(cases: pd.DataFrame, name: str) -> dict[str, float]:
    if name not in cases.index:
        return {}
    return {limit: float(cases.loc[name, limit]) for limit in LIMITS if pd.notna(cases.loc[name, limit])}


def _write(folder: Path, name: str, window: pd.DataFrame) -> list[dict[str, str]]:
    files = []
    for unit, divisor in (("milliseconds", 1), ("seconds", MS_PER_S)):
        lines = [
            json.dumps({"timestamp": ms if divisor == 1 else ms / divisor, "input_length": i, "output_length": o})
            for ms, i, o in window.itertuples(index=False)
        ]
        path = folder / f"{name}.mooncake.{unit}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        files.append({"file": path.name, "time": unit, "sha256": _sha256(path)})
    return files


def _sha256(path: Path) -> str:
    """Hash of a file; of a folder, of its files in order of their names."""
    if path.is_dir():
        parts = "".join(_sha256(file) for file in sorted(path.rglob("*")) if file.is_file())
        return hashlib.sha256(parts.encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def pack_lines(manifest: dict[str, object]) -> list[str]:
    """A manifest in lines for the console."""
    lines = []
    for item in manifest["classes"]:
        limits = ", ".join(f"{name.removeprefix('slo_')} {value:g}" for name, value in item["limits"].items())
        lines.append(
            f"{item['class']}: {counted(item['requests'], 'request')} in {item['duration_s']:,.0f} s, weight {item['weight']:.3f}, mean "
            f"{item['input_tokens_mean']:,.0f} + {item['output_tokens_mean']:,.0f} tokens, limits {limits or 'not named'}"
        )
    return [
        *lines,
        *manifest["replay"].values(),
        f"pack {manifest['pack_sha256'][:12]}: no text, lengths and times only",
    ]
