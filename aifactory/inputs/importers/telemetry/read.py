"""Find out what a file of telemetry is by its content, and read it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry import litellm, otlp, rows
from aifactory.inputs.importers.telemetry.common import Telemetry, finish
from aifactory.inputs.importers.telemetry.prometheus import read_answer
from aifactory.inputs.tables import read_text

SNIFFED_BYTES = 4_096


def read_telemetry(
    path: Path | str, today: pd.Timestamp, *, region: str = "", use_cases: dict[str, str] | None = None,
    columns: dict[str, str] | None = None,
) -> Telemetry:  # fmt: skip
    """Read request rows, LiteLLM spend logs or OpenTelemetry GenAI spans.

    Parameters
    ----------
    today : day of import; rows after it are left out and counted.
    region : region where the file names none.
    use_cases : name in the file -> use case of the workspace.
    columns : column of the `requests` table -> column of the file, where the names are unusual.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    found = _read(path, region, columns or {})
    renamed = found.rows["use_case_id"].astype("str").replace(use_cases or {})
    found.rows = found.rows.assign(use_case_id=renamed).reindex(
        columns=list(dict.fromkeys([*found.rows.columns, *rows.NAMES]))
    )
    return finish(found, today)


def _read(path: Path, region: str, columns: dict[str, str]) -> Telemetry:
    begin = _beginning(path)
    if begin.lstrip().startswith(b"["):
        raise InputError.at(path.name, "is a JSON list, not telemetry; spans and answers begin with '{'")
    if begin.lstrip().startswith(b"{"):
        if b'"resourceSpans"' in begin:
            return otlp.read_otlp(path, region)
        if b'"status"' in begin:
            read_answer(path)  # tells what the server said, or that there is no series
            raise InputError.at(path.name, "is one answer of Prometheus; import the folder with its index.json")
        raise InputError.at(path.name, 'is JSON, but not OTLP spans (no "resourceSpans" in its beginning)')
    text, notes = read_text(path)
    if set(text.columns) >= litellm.MARKS:
        if not region:
            raise InputError.at(path.name, "the log names no region; say it with --region")
        found = litellm.read_litellm(path, text, region)
    else:
        found = rows.read_rows(path, text, rows.find_columns(list(text.columns), columns), region)
    found.warnings = [*notes, *found.warnings]
    return found


def _beginning(path: Path) -> bytes:
    with path.open("rb") as stream:
        raw = stream.read(SNIFFED_BYTES)
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        with gzip.open(path) as stream:
            return stream.read(SNIFFED_BYTES)
    except (OSError, EOFError) as error:
        raise InputError.at(path.name, f"cannot be read: {error}") from None
