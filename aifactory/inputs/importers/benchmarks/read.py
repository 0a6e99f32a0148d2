"""Find out by its content which load tool wrote a file, and read its load points."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks import aiperf, guidellm, inference_perf, mlperf, vllm
from aifactory.inputs.importers.benchmarks.point import Held, Point, clean
from aifactory.inputs.importers.json_text import told_in_words

MAX_BYTES, MOST_FILES = 300_000_000, 10_000
KNOWN = (
    "vLLM bench serve (JSON), InferenceX (JSON), SGLang bench_serving (JSON lines), AIPerf (JSON, CSV, JSON lines), "
    "GuideLLM (JSON, CSV), inference-perf (lifecycle JSON), MLPerf (LoadGen summary, v6.1 JSON)"
)
AGGREGATE = "an aggregate of InferenceX without requests and duration; import the result files of its load tool"


@dataclass
class ResultFile:
    """One file that was read: its load points, and what could not be one."""

    path: Path
    format: str
    sha256: str
    points: list[Point]
    left_out: dict[str, int] = field(default_factory=dict)


class NotAResult(InputError):
    """The file is no result of a load tool, though it may lie beside one."""


def find_files(places: Sequence[Path]) -> tuple[list[Path], set[Path]]:
    """Files of places that are files, folders or patterns, sorted within each, and those that were named one by one.

    Raises
    ------
    InputError
        If a place does not exist or holds no file.
    """
    files: dict[Path, None] = {}
    named = set()
    for place in places:
        if place.is_dir():
            found = sorted(path for path in place.rglob("*") if path.is_file() and not path.name.startswith("."))
        elif any(sign in place.name for sign in "*?[") and not place.exists():
            found = sorted(path for path in place.parent.glob(place.name) if path.is_file())
        elif place.is_file():
            found = [place]
            named.add(place)
        else:
            raise InputError.at(place.name, "no such file", value=str(place))
        if not found:
            raise InputError.at(place.name, "holds no file", value=str(place))
        files |= dict.fromkeys(found)
    if len(files) > MOST_FILES:
        raise InputError.at(places[0].name, f"holds {len(files):,} files; at most {MOST_FILES:,} are read at once")
    return list(files), named


def read_result(path: Path) -> ResultFile:
    """The load points of one file.

    Raises
    ------
    NotAResult
        If it is of no known kind.
    InputError
        If a figure is missing, damaged or impossible, with its key and value.
    """
    raw = _bytes(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NotAResult.at(path.name, f"is no text in UTF-8; known are {KNOWN}") from None
    with told_in_words(path.name, None, "has not the shape of a result"):
        name, points = _read_text(path.name, text)
    if not points:
        raise InputError.at(path.name, "holds no load point")
    found = ResultFile(path, name, sha256, points)
    for point in points:
        for reason, rows in point.left_out.items():
            found.left_out[reason] = found.left_out.get(reason, 0) + rows
    return found


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            begin = stream.read(4)
        if begin.startswith((b"PK\x03\x04", b"PAR1")):
            raise NotAResult.at(path.name, "is a packed or binary file; unpack it and import the text inside")
        with gzip.open(path) if begin[:2] == b"\x1f\x8b" else path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name, f"cannot be read: {error}") from None
    if len(raw) > MAX_BYTES:
        raise InputError.at(path.name, f"is larger than {MAX_BYTES:,} bytes, unpacked; save the result without details")
    if not raw.strip():
        raise NotAResult.at(path.name, "is empty")
    return raw


def _read_text(file: str, text: str) -> tuple[str, list[Point]]:
    if mlperf.is_summary_text(text):
        return "MLPerf LoadGen summary", [mlperf.read_summary_text(file, text)]
    if text.lstrip()[:1] in ("{", "["):
        return _read_json(file, text)
    first = text.split("\n", 1)[0]
    if first.startswith("Metric,avg"):
        return "AIPerf CSV", [aiperf.read_csv(file, text)]
    if first.startswith("Run Info,"):
        return "GuideLLM CSV", guidellm.read_csv(file, text)
    raise NotAResult.at(file, f"is no result that is known; known are {KNOWN}")


def _read_json(file: str, text: str) -> tuple[str, list[Point]]:
    """One object, or objects line by line; the place of a point is its line where there are several."""
    objects = _objects(file, text)
    if all(aiperf.is_record(values) for _, values in objects):
        return "AIPerf records", [aiperf.read_records(file, objects)]
    names, points = [], []
    for line, values in objects:
        place = f"line {line}" if len(objects) > 1 else ""
        name, found = _one(file, place, values)
        names.append(name)
        points += found
    return ", ".join(dict.fromkeys(names)), points


def _objects(file: str, text: str) -> list[tuple[int, dict]]:
    try:
        held = json.loads(text)
        every = [(number, item) for number, item in enumerate(held, 1)] if isinstance(held, list) else [(1, held)]
    except RecursionError:
        raise NotAResult.at(file, "is nested too deeply") from None
    except ValueError as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) < 2 or lines[0][1].strip()[-1:] != "}":
            raise NotAResult.at(file, f"is not JSON: {str(error)[:100]}") from None
        every = [(number, _line(file, number, line)) for number, line in lines]
    if not every or not all(isinstance(item, dict) for _, item in every):
        raise NotAResult.at(file, f"holds no objects with results; known are {KNOWN}")
    return every


def _line(file: str, number: int, line: str) -> object:
    try:
        return json.loads(line)
    except RecursionError:
        raise NotAResult.at(file, "is nested too deeply", row=number) from None
    except ValueError as error:
        raise InputError.at(file, f"is not JSON: {str(error)[:100]}", row=number) from None


def _one(file: str, place: str, values: dict) -> tuple[str, list[Point]]:
    """The kind of an object and its load points; more particular shapes come first."""
    if guidellm.is_report(values):
        return "GuideLLM report", guidellm.read_report(file, values)
    if aiperf.is_summary(values):
        return "AIPerf summary", [aiperf.read_summary(file, values)]
    if inference_perf.is_lifecycle(values):
        if not values["load_summary"]:
            raise NotAResult.at(file, inference_perf.SERVER_METRICS)
        return "inference-perf lifecycle", [inference_perf.read_lifecycle(file, values)]
    if mlperf.is_result_summary(values):
        return "MLPerf result summary", [mlperf.read_result_summary(file, values)]
    if mlperf.is_endpoint_results(values):
        return "MLPerf endpoint results", [mlperf.read_endpoint_results(file, values)]
    if mlperf.is_submission_facts(values):
        precision = clean(values.get("weight_data_types"))
        raise NotAResult.at(file, f"{mlperf.SUBMISSION} (weights: {precision})")
    if vllm.is_family(values):
        point = vllm.read_vllm(file, place, values)
        seconds = "median_ttft" in values or "median_e2el" in values
        return "InferenceX result" if seconds else f"{point.tool} result", [point]
    if "tput_per_gpu" in values and "hw" in values:
        raise NotAResult.at(file, AGGREGATE)
    held = Held(file, place, values)
    raise NotAResult.at(file, f"is no result that is known; it holds {', '.join(map(clean, list(held.values)[:6]))}; known are {KNOWN}")  # fmt: skip
