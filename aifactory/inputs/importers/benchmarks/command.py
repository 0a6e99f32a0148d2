"""`aifactory import benchmark`: result files of load tools, as rows of the table `benchmarks`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.hold import put_bytes
from aifactory.inputs.importers.benchmarks.facts import Facts, read_facts
from aifactory.inputs.importers.benchmarks.read import NotAResult, ResultFile, find_files, read_result
from aifactory.inputs.importers.benchmarks.rows import TABLE, Fact, missing_facts, to_row, to_table
from aifactory.inputs.importers.store import add_rows, held_rows
from aifactory.inputs.importers.target import Target
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_source
from aifactory.inputs.workspace import table_file

TWIN, COUNTED, NO_RESULT = "same bytes as {0}", "counted before: the file is in the table; --replace reads it again", "no result of a load tool: {0}"  # fmt: skip
#: Facts of the tool that help to say ours.
ASKED = "{0}: say {1} with --set name=value, or by file in a --mapping (--suggest-mapping writes one)"


def import_benchmarks(
    places: Sequence[Path], into: Path | None, target: Target, *, replace: bool = False
) -> list[dict[str, object]]:
    """Read result files and store their load points; without a workspace only report them.

    A file that lies twice among them counts once, one that the table holds already counts no second time. In a
    folder what is no result is left out and named; a file named by itself must be one.

    Returns
    -------
    One report per file, with `rows` as they are stored.

    Raises
    ------
    InputError
        If a file cannot be read, or a row for a workspace lacks a fact.
    """
    facts = _known_facts(into, target)
    files, named = find_files(places)
    held = held_rows(into, TABLE) if into is not None else load_contract(TABLE).empty()
    reports, items = [], []
    seen: dict[str, str] = {}
    for path in files:
        try:
            read = read_result(path)
        except NotAResult as error:
            if path in named:
                raise
            reports.append(_left_out(path, NO_RESULT.format(str(error).removeprefix(f"{path.name}: ")), 0))
            continue
        if read.sha256 in seen:
            reports.append(_left_out(path, TWIN.format(seen[read.sha256]), len(read.points)))
            continue
        seen[read.sha256] = path.name
        if not replace and (held["file_sha256"] == read.sha256).any():
            reports.append(_left_out(path, COUNTED, len(read.points)))
            continue
        every = [Fact(path, read.sha256, point, facts.of(path, point.facts)) for point in read.points]
        reports.append(_report(read, every))
        items += every
    if items and into is None:
        _tell_rows(reports, items)
    elif items:
        _store(into, reports, items, held, facts, target)
    return reports


def _store(
    into: Path, reports: list[dict[str, object]], items: list[Fact], held: pd.DataFrame, facts: Facts, target: Target
) -> None:
    for item in items:
        missing = missing_facts(item)
        if missing:
            choices = {"use_case_id": tuple(facts.use_cases), "accelerator_id": facts.accelerators}.get(missing[0], ())
            rule = f"the file does not say {', '.join(missing)}: say it with --set {missing[0]}=..., or by file in a --mapping (--suggest-mapping writes one)"
            raise InputError.at(item.place, rule, column=missing[0], choices=choices)
    rows = [to_row(item, facts.use_cases.get(str(item.facts["use_case_id"]), ""), target.today) for item in items]
    again = held["file_sha256"].isin({item.sha256 for item in items})
    table = to_table(rows, held[~again])
    written = add_rows(into, TABLE, table, replace=True).name
    for report in reports:
        mine = table[table["file_sha256"] == report.get("sha256")]
        if len(mine):
            report["rows"] = _as_json(mine)
            report["written"] = written
    _tell_partial_repeats(reports, table)
    _tell_other_models(into, reports, items)


def _tell_other_models(into: Path, reports: list[dict[str, object]], items: Sequence[Fact]) -> None:
    """A file that names another model than its use case has; nobody said which the test is of."""
    cases = held_rows(into, "use_cases").set_index("use_case_id")["model"]
    for report in reports:
        mine = [item for item in items if item.sha256 == report.get("sha256") and not item.facts.get("model")]
        pairs = {(item.point.hints.get("model_id", ""), str(item.facts["use_case_id"])) for item in mine}
        for told, case in sorted(pairs):
            model = cases.get(case)
            if told and pd.notna(model) and model and not _alike(told, str(model)):
                text = f"the file is of model {told}, {case} runs {model}: if that is another model, the test is none of {case}; else say --set model={model}"
                report["warnings"] = [*report["warnings"], {"text": text, "rows": len(mine)}]


def _alike(told: str, model: str) -> bool:
    """Whether a served name is one of a catalogue entry, which may hold several ("Llama-3.1-70B / 3.3-70B")."""
    bare = [re.sub("[^a-z0-9.]", "", name.casefold().rsplit("/", 1)[-1]) for name in (told, *model.split(" / "))]
    return any(name in bare[0] or bare[0] in name for name in bare[1:])


def _tell_partial_repeats(reports: list[dict[str, object]], table: pd.DataFrame) -> None:
    """A repeat at fewer loads than its first run can only show the capacity of those loads."""
    for name, rows in table.groupby("benchmark_id"):
        first = table[(table["benchmark_id"].str.rsplit("--r", n=1).str[0] == str(name).rsplit("--r", 1)[0])]
        most = first.groupby("benchmark_id").size().max()
        if len(rows) < most:
            text = f"{name} has {len(rows)} load points, another repeat {most}: its capacity is at most that of its busiest point"  # fmt: skip
            report = next(item for item in reports if item.get("sha256") in set(rows["file_sha256"]))
            report["warnings"] = [*report["warnings"], {"text": text, "rows": len(rows)}]


def _known_facts(into: Path | None, target: Target) -> Facts:
    """Facts of the command, with the names that the workspace knows."""
    if into is None:
        return read_facts(target, {}, (), ())
    cases = held_rows(into, "use_cases")
    if cases.empty:
        raise InputError.at("use_cases", "has no rows yet; a benchmark is of the prompts of a use case")
    units = dict(zip(cases["use_case_id"], cases["service_unit"], strict=True))
    chips, models = (tuple(_catalogue(into, table, key)) for table, key in (("accelerators", "accelerator_id"), ("models", "model")))  # fmt: skip
    return read_facts(target, units, chips, models)


def _catalogue(into: Path, table: str, key: str) -> list[str]:
    """Names of a catalogue table, those of the workspace first."""
    own = held_rows(into, table)[key].tolist() if table_file(into, table) else []
    shipped = table_file(data_dir() / "catalogue", table)
    return list(dict.fromkeys([*own, *read_source(shipped, load_contract(table))[key]]))


def _left_out(path: Path, reason: str, rows: int) -> dict[str, object]:
    return _frame(path.name, "left out", rows, 0, {reason: max(rows, 1)})


def _frame(source: str, kind: str, read: int, kept: int, left_out: dict[str, int]) -> dict[str, object]:
    return {"source": source, "format": kind, "rows_read": read, "rows_kept": kept, "rows_left_out": left_out,
            "warnings": [], "period": "", "totals": {}}  # fmt: skip


def _report(read: ResultFile, items: Sequence[Fact]) -> dict[str, object]:
    left = sum(read.left_out.values())
    report = _frame(read.path.name, read.format, len(items) + left, len(items), read.left_out)
    begun = [point.started for point in read.points if point.started is not None]
    days = (f"{min(begun):%Y-%m-%d}", f"{max(begun):%Y-%m-%d}") if begun else ""
    figures = [point.figures for point in read.points]
    totals = {
        "requests": f"{sum(item.get('requests', 0) for item in figures):,.0f}",
        "failed": f"{sum(item.get('errors', 0) for item in figures):,.0f}",
    }
    hints = sorted({f"{name} {value}" for point in read.points for name, value in point.hints.items() if value})
    told = [f"the file calls it: {', '.join(hints)}"] if hints else []
    assumed = dict.fromkeys(text for point in read.points for text in point.assumed)
    return report | {"sha256": read.sha256, "period": list(days), "totals": totals, "read": told, "assumed": list(assumed)}  # fmt: skip


def _tell_rows(reports: list[dict[str, object]], items: Sequence[Fact]) -> None:
    """Rows as far as they are known, for a report without a workspace, and what is to be said of them."""
    for report in reports:
        mine = [item for item in items if item.sha256 == report.get("sha256")]
        rows = [to_row(item, "", None) for item in mine]
        report["rows"] = [
            {"file": report["source"]} | {name: _plain(value) for name, value in row.items() if name != "run"}
            for row in rows
        ]
        missing = dict.fromkeys(name for item in mine for name in missing_facts(item))
        if missing:
            text = ASKED.format("not said", ", ".join(missing))
            report["warnings"] = [*report["warnings"], {"text": text, "rows": len(mine)}]


def _as_json(rows: pd.DataFrame) -> list[dict[str, object]]:
    known = [name for name in rows if rows[name].notna().any()]
    return [{name: _plain(value) for name, value in row.items() if pd.notna(value)} for row in rows[known].to_dict("records")]  # fmt: skip


def _plain(value: object) -> object:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, pd.Timestamp) else value


def suggest_facts(sources: Sequence[Path | str], out: Path) -> Path:
    """Write a mapping of result files to be filled in: what each file says of itself, and what nobody says.

    Raises
    ------
    InputError
        If no source is a result.
    """
    files, named = find_files([Path(source) for source in sources])
    lines = ["# Facts of result files: fill in, then pass with --mapping. Options (--set) win over this file.", "facts:"]  # fmt: skip
    blocks = []
    asked: dict[str, None] = {}
    for path in files:
        try:
            read = read_result(path)
        except NotAResult:
            if path in named:
                raise
            continue
        point = read.points[0]
        item = Fact(path, read.sha256, point, point.facts)
        asked |= dict.fromkeys(missing_facts(item))
        hints = ", ".join(f"{name} {value}" for name, value in point.hints.items() if value)
        key = yaml.safe_dump(path.name, default_style='"', width=10_000).strip()
        blocks.append(f"  {key}: {{}}" + (f"  # {read.format}; {hints}" if hints else f"  # {read.format}"))
    if not blocks:
        raise InputError.at("--suggest-mapping", "none of the files is a result of a load tool")
    every = [*asked, *(name for name in ("model", "engine_version", "tokens_source") if name not in asked)]
    choices = {item.name: item.enum for item in load_contract(TABLE).fields}
    lines += [f"  {name}:" + (f"  # {', '.join(choices[name])}" if choices.get(name) else "") for name in every]
    lines += ['files:  # of some files only; patterns such as "h200/*.json" are names too', *blocks]
    put_bytes(out, ("\n".join(lines) + "\n").encode())
    return out
