"""Load points and facts as rows of the table `benchmarks`: units, curves, repeats.

Points of one kind of test (same prompts, accelerators, precision, software, way to offer load) are one curve; the
second point at the same load is the first of a repeat. Prompts are the same if mean lengths differ by at most 15 %;
a length that was not counted tells nothing apart.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks.facts import NEEDED, OWN
from aifactory.inputs.importers.benchmarks.point import Point
from aifactory.inputs.telemetry import conform

#: A difference of mean lengths up to which prompts count as the same, as the benchmark stage judges them.
SAME_LENGTH = 0.15
#: Loads that differ less are one load, measured twice.
SAME_LOAD = 0.01
#: What must agree between the points of one curve.
ALIKE = ("use_case_id", "accelerator_id", "accelerators", "replica_accelerators", "model", "precision", "engine",
         "engine_version", "tool", "load")  # fmt: skip
#: Units that one request is, where nobody says otherwise.
ONE_UNIT = ("request", "inference")
MOST_NAME = 50
TABLE = "benchmarks"


@dataclass(frozen=True)
class Fact:
    """A load point with the facts of its file."""

    path: Path
    sha256: str
    point: Point
    facts: Mapping[str, object]

    @property
    def place(self) -> str:
        """File and place, for messages."""
        return f"{self.path.name}, {self.point.place}" if self.point.place else self.path.name


def missing_facts(item: Fact) -> list[str]:
    """Names of facts that a row needs and nobody says."""
    known = {name for name, value in item.facts.items() if value is not None}
    known |= {"as_of"} if item.point.started is not None else set()
    known |= {"requests"} if "requests" in item.point.figures else set()
    return [name for name in (*NEEDED, "requests") if name not in known]


def to_row(item: Fact, service_unit: str, today: pd.Timestamp | None) -> dict[str, object]:
    """One row without its place in a curve; facts win over figures of the file.

    Raises
    ------
    InputError
        If the service unit is not one request and nobody says how many of them a request is, or the test is dated
        after the day of import.
    """
    point, facts = item.point, item.facts
    figures = point.figures | {name: value for name, value in facts.items() if name not in OWN}
    figures.setdefault("errors", 0.0)
    duration = figures.get("duration_s", math.nan)
    if "requests" in facts and not math.isnan(duration):
        raise InputError.at(item.place, "is counted by the file", column="requests", value=facts["requests"])
    if math.isnan(duration) and "requests" in figures:
        duration = (figures["requests"] - figures["errors"]) / point.requests_per_s
    as_of = facts.get("as_of") or (point.started.tz_localize(None).normalize() if point.started is not None else None)
    if today is not None and as_of is not None and as_of > today.tz_localize(None):
        raise InputError.at(item.place, "is after the day of import", column="as_of", value=f"{as_of:%Y-%m-%d}")
    model = point.hints.get("model_id", "")
    told = [f"{point.tool} {point.tool_version}".strip(), item.path.name, *([f"model {model}"] if model else [])]
    return figures | {
        "duration_s": duration,
        "units_per_s": point.requests_per_s * _units(item, service_unit),
        "tool": point.tool,
        "tool_version": point.tool_version or None,
        "tool_verdict": point.tool_verdict or None,
        "load": facts.get("load") or point.load or None,
        "tokens_source": facts.get("tokens_source") or point.tokens_source or None,
        "goodput_slo": point.goodput_slo or None,
        "warmup_excluded": facts.get("warmup_excluded", point.warmup_excluded),
        "started_utc": point.started,
        "as_of": as_of,
        "source": ", ".join(told),
        "confidence": facts.get("confidence", "measured"),
        "file_sha256": item.sha256,
        "run": facts.get("run", ""),
    }


def _units(item: Fact, service_unit: str) -> float:
    stated = item.facts.get("units_per_request")
    if stated is not None:
        return float(stated)
    if service_unit in ("", *ONE_UNIT):
        return 1.0
    case = item.facts.get("use_case_id")
    rule = f"{case} counts in units of {service_unit}, the load tool in requests: say with --set units_per_request=N how many units one request is"
    raise InputError.at(item.place, rule, column="units_per_request")


def to_table(rows: Sequence[dict[str, object]], held: pd.DataFrame) -> pd.DataFrame:
    """Rows of the table: curves and repeats get names, points numbers that go on from those held.

    Parameters
    ----------
    rows : rows of `to_row`.
    held : rows of the table in the workspace that stay there.
    """
    unplaced = pd.DataFrame(list(rows)).assign(benchmark_id="", point=0)
    frame = conform(unplaced, TABLE)
    curves, taken = _held_curves(held), set(held["benchmark_id"])
    placed: dict[int, tuple[str, int, int]] = {}
    for number in sorted(range(len(frame)), key=lambda n: _order(frame.iloc[n], rows[n])):
        row, run = frame.iloc[number], str(rows[number]["run"])
        curve = next((item for item in curves if item.takes(row, run)), None)
        if curve is None:
            curve = _new_curve(row, run, curves, taken)
            curves.append(curve)
            taken.add(curve.name)
        curve.add(row)
        placed[number] = (curve.name, curve.last, curve.repeat)
    names, points, repeats = zip(*(placed[number] for number in range(len(frame))), strict=True)
    done = frame.assign(benchmark_id=names, point=points, repeat=pd.array(repeats, dtype="Int64"))
    return conform(done, TABLE).sort_values(["benchmark_id", "point"], ignore_index=True)


def _order(row: pd.Series, raw: dict[str, object]) -> tuple[object, ...]:
    begun = row["started_utc"] if pd.notna(row["started_utc"]) else row["as_of"].tz_localize("UTC")
    load = _load(row)
    return begun, load if not math.isnan(load) else math.inf, str(raw["source"]), row["units_per_s"]


def _load(row: pd.Series) -> float:
    """What a point was offered; NaN where its way to offer load has no single figure."""
    name = {"rate": "offered_requests_per_s", "fixed_concurrency": "concurrency"}.get(str(row["load"]), "")
    return float(row[name]) if name and pd.notna(row[name]) else math.nan


@dataclass
class _Curve:
    name: str
    run: str
    first: pd.Series
    repeat: int
    last: int = 0
    loads: tuple[float, ...] = ()

    def alike(self, row: pd.Series, run: str) -> bool:
        """Whether a point is of the same kind of test."""
        same = all(_same(self.first[name], row[name]) for name in ALIKE)
        lengths = [(self.first[name], row[name]) for name in ("input_tokens_mean", "output_tokens_mean")]
        return same and self.run == run and all(_near(a, b, SAME_LENGTH) for a, b in lengths if a > 0 and b > 0)

    def takes(self, row: pd.Series, run: str) -> bool:
        """Whether a point belongs on this curve, at a load that it does not have."""
        load = _load(row)
        return not math.isnan(load) and self.alike(row, run) and not any(_near(load, other, SAME_LOAD) for other in self.loads)  # fmt: skip

    def add(self, row: pd.Series) -> None:
        self.last += 1
        self.loads += (_load(row),)


def _same(a: object, b: object) -> bool:
    return (pd.isna(a) and pd.isna(b)) or bool(pd.notna(a) and pd.notna(b) and a == b)


def _near(a: float, b: float, tolerance: float) -> bool:
    return bool(abs(a - b) <= tolerance * max(abs(a), abs(b)))


def _held_curves(held: pd.DataFrame) -> list[_Curve]:
    """Curves that earlier imports made; rows that nobody imported are no part of any."""
    curves = []
    for name, rows in held[held["file_sha256"].notna()].groupby("benchmark_id", sort=True):
        first = rows.iloc[0]
        run = "" if str(name).startswith(_base(first)) else str(name).rsplit("--r", 1)[0]
        curve = _Curve(str(name), run, first, int(first["repeat"]) if pd.notna(first["repeat"]) else 1)
        curve.last = int(held.loc[held["benchmark_id"] == name, "point"].max())
        curve.loads = tuple(_load(row) for _, row in rows.iterrows())
        curves.append(curve)
    return curves


def _base(row: pd.Series) -> str:
    """Name of a kind of test: use case and accelerator in words, the rest as a hash of six letters."""
    text = "|".join("" if pd.isna(row[name]) else str(row[name]) for name in ALIKE)
    mark = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{f'{row.use_case_id}--{row.accelerator_id}'[:MOST_NAME]}-{mark}"


def _new_curve(row: pd.Series, run: str, curves: Sequence[_Curve], taken: set[str]) -> _Curve:
    repeat = 1 + sum(curve.alike(row, run) for curve in curves)
    number = repeat
    base = run or _base(row)
    while f"{base}--r{number}" in taken:
        number += 1
    return _Curve(f"{base}--r{number}", run, row, repeat)
