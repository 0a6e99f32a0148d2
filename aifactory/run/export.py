"""From an executed notebook and its tables to HTML, XLSX and calendar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pandas as pd

from aifactory.inputs.workspace import Workspace
from aifactory.report.calendar import write_calendar
from aifactory.report.html import add_drawings, export_html
from aifactory.report.results import RESULTS, TABLES
from aifactory.report.text import month_name, readable
from aifactory.report.xlsx import LiveNpv, Table, write_workbook
from aifactory.run.stages import Stage

if TYPE_CHECKING:
    from nbformat import NotebookNode

MAX_SHEET_ROWS = 100_000


def export_stage(stage: Stage, notebook: NotebookNode, folder: Path, ws: Workspace) -> None:
    """Write `<stage>.html`, `<stage>.ipynb` with drawings, `<stage>.xlsx`, and the calendar."""
    add_drawings(notebook)
    nbformat.write(notebook, folder / f"{stage.name}.ipynb")
    title = f"{stage.title}, {month_name(ws.period)}: {ws.plan.organisation}"
    (folder / f"{stage.name}.html").write_text(export_html(notebook, title=title), encoding="utf-8")
    tables = _tables(folder, stage, ws)
    readme = [
        ("Title", title),
        ("Question", stage.question),
        ("Period", ws.period),
        ("As of", ws.as_of),
        ("Source", "The tables of the report; sources and dates of every input stand in its provenance section."),
    ]
    npv = _live_npv(folder, ws) if stage.name == "buy_plan" else None
    write_workbook(folder / f"{stage.name}.xlsx", tables, readme, created=ws.as_of, live_npv=npv)
    if "governance" in tables:
        governance = tables["governance"][0]
        write_calendar(folder / "governance.ics", governance, organisation=ws.plan.organisation, as_of=ws.as_of)


def _tables(folder: Path, stage: Stage, ws: Workspace) -> dict[str, Table]:
    """Recorded tables, longest ones cut to what a sheet bears."""
    stated = json.loads((folder / RESULTS).read_text(encoding="utf-8")).get("sources", {})
    return {
        path.stem: (
            pd.read_csv(path).head(MAX_SHEET_ROWS),
            readable(path.stem),
            stated.get(path.stem, f"{stage.title} stage"),
            ws.as_of,
        )
        for path in sorted((folder / TABLES).glob("*.csv"))
    }


def _live_npv(folder: Path, ws: Workspace) -> LiveNpv | None:
    path = folder / TABLES / "roi.csv"
    if not path.is_file():  # nothing was planned
        return None
    roi = pd.read_csv(path)
    if "npv_usd" not in roi or roi["npv_usd"].isna().all():
        return None
    return LiveNpv("cash_flow", ws.plan.value("wacc"), roi.set_index("scenario")["npv_usd"].to_dict())
