"""`aifactory import use-cases`: a spreadsheet of use cases, or a fill-in sheet that came back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.hold import put_bytes
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.use_cases.answers import Answers, add_answers, answers_report, is_fill_in, read_answers
from aifactory.inputs.importers.use_cases.mapping import mapping_text, read_mapping_file, suggest
from aifactory.inputs.importers.use_cases.merge import add_use_cases
from aifactory.inputs.importers.use_cases.read import read_use_cases
from aifactory.inputs.importers.use_cases.report import use_case_report
from aifactory.inputs.spreadsheet import read_spreadsheet


def import_use_cases(
    path: Path, target: Target
) -> tuple[dict[str, object], list[tuple[str, pd.DataFrame | Answers, str]]]:
    """Report and rows of a spreadsheet of use cases, or the answers of a fill-in sheet."""
    if target.today is None:
        raise InputError.at("import use-cases", "needs the day of import, the as-of date of rows that name none")
    if path.is_file() and is_fill_in(path):
        answers = read_answers(path)
        return {"source": path.name} | answers_report(answers), [("use_case_candidates", answers, ".csv")]
    mapping = read_mapping_file(target.mapping) if target.mapping else None
    found = read_use_cases(path, target.today, mapping)
    return {"source": path.name} | use_case_report(found), [("use_case_candidates", found.frame, ".csv")]


def suggest_columns(sources: Sequence[Path | str], out: Path) -> Path:
    """Write the suggested mapping of a spreadsheet of use cases, to be confirmed and passed with --mapping."""
    if len(sources) != 1:
        raise InputError.at("--suggest-mapping", "takes one spreadsheet of use cases", value=len(sources))
    sheets = [(sheet, suggest(sheet)) for sheet in read_spreadsheet(Path(sources[0]))]
    sheet, mapping = max(sheets, key=lambda pair: len(pair[1].columns))
    put_bytes(out, mapping_text(sheet, mapping).encode())
    return out


def store_use_cases(
    into: Path, rows: pd.DataFrame | Answers, report: dict[str, object], target: Target, *, replace: bool
) -> dict[str, object]:
    """Put what was read into a workspace; see `add_use_cases` and `add_answers`."""
    if isinstance(rows, Answers):
        return add_answers(into, rows, report, target.today, replace=replace)
    return add_use_cases(into, rows, report, replace=replace)
