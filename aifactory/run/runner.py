"""The road: validate, execute the notebooks side by side, export, publish."""

from __future__ import annotations

import json
import os
import re
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aifactory.errors import StageError, is_full_disk
from aifactory.inputs.resources import data_dir, notebooks_dir
from aifactory.inputs.workspace import Workspace, load_workspace
from aifactory.run import publish
from aifactory.run.manifest import describe_run, is_up_to_date, write_manifest
from aifactory.run.parameters import check_period, check_settings
from aifactory.run.stages import Stage, select_stages

Progress = Callable[[str, int, int], None]
RESULTS = "results.json"


@dataclass(frozen=True)
class StageOutcome:
    """What became of one stage: `done`, `up to date` or `failed`."""

    stage: Stage
    state: str
    folder: Path
    message: str = ""
    duration_s: float = 0.0
    fingerprint: str = ""


@dataclass(frozen=True)
class RoadOutcome:
    """What became of a run."""

    period: str
    out: Path
    index: Path
    stages: list[StageOutcome]
    workspace: Workspace = field(repr=False)

    @property
    def failed(self) -> list[StageOutcome]:
        """Stages that failed."""
        return [outcome for outcome in self.stages if outcome.state == "failed"]


def reports_folder(workspace: Path, out: Path | str | None = None) -> Path:
    """Folder of the reports: `out`, else `reports` in the workspace, but never in the sample inside the package."""
    if out:
        return Path(out).resolve()
    return (Path.cwd() if workspace == data_dir() / "sample" else workspace) / "reports"


def run_road(
    stages: Sequence[str] = (),
    *,
    workspace: Path | str = "",
    period: str = "",
    settings: dict[str, float | int] | None = None,
    out: Path | str | None = None,
    workers: int | None = None,
    force: bool = False,
    wait_s: float = 0,
    progress: Progress = lambda _stage, _done, _total: None,
) -> RoadOutcome:
    """Run the stages on a workspace and publish their reports.

    Everything that can be wrong with the inputs raises `InputError` before a kernel starts. A
    stage that fails keeps its notebook and traceback under `failed/` and leaves the last good
    report in place; the other stages still run.

    Parameters
    ----------
    stages : names of stages; none means all five.
    workspace : folder; empty for the nearest one, else the sample company.
    period : YYYY-MM; empty for the latest month.
    settings : what-if values by name, see `aifactory.run.parameters`.
    out : output folder; default `reports` in the workspace.
    workers : notebooks executed side by side; default one per core.
    force : run even where inputs are unchanged.
    wait_s : seconds to wait for another run that writes to the same folder.
    progress : called with stage name, cells done, cells in all.
    """
    chosen = select_stages(list(stages))
    loaded = load_workspace(workspace, check_period(period), settings)
    check_settings(loaded, settings or {})
    out = reports_folder(loaded.path, out)
    period_folder = out / loaded.period
    lock = publish.lock_output(out, wait_s)
    try:
        period_folder.mkdir(exist_ok=True)
        for folder in out.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]"):
            publish.recover(folder)
        job = _Job(loaded, settings or {}, out, period_folder, force, progress)
        with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
            outcomes = list(pool.map(job.run, chosen))
        publish.recover(period_folder)
        _log(out, outcomes, loaded.period, settings or {})
        return RoadOutcome(loaded.period, out, _write_index(out), outcomes, loaded)
    finally:
        lock.release()


def _log(out: Path, outcomes: list[StageOutcome], period: str, settings: dict[str, float | int]) -> None:
    """Note the run in `runs.jsonl`; a full disk is said by the stages that failed on it."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        publish.log_run(out, (
            {"ended_utc": moment, "period": period, "stage": item.stage.name, "state": item.state, "settings": settings,
             "fingerprint": item.fingerprint, "folder": item.folder.relative_to(out).as_posix(), "message": item.message}
            for item in outcomes
        ))  # fmt: skip
    except OSError as error:
        if not is_full_disk(error):
            raise


@dataclass(frozen=True)
class _Job:
    workspace: Workspace
    settings: dict[str, float | int]
    out: Path
    period_folder: Path
    force: bool
    progress: Progress

    def run(self, stage: Stage) -> StageOutcome:
        """Run one stage; a failure is an outcome, not an exception."""
        notebook = notebooks_dir() / f"{stage.notebook}.ipynb"
        final = self.period_folder / stage.name
        run = describe_run(self.workspace, stage, notebook, self.settings)
        if not self.force and is_up_to_date(final, run["fingerprint"]):
            return StageOutcome(stage, "up to date", final, fingerprint=run["fingerprint"])
        started = time.monotonic()
        folder = publish.stage_folder(self.period_folder, stage.name)
        try:
            self._build(stage, notebook, folder, run, started)
            publish.publish(self.period_folder, stage.name)
        except Exception as error:  # noqa: BLE001 - any failure must leave the last good report in place
            kept, took = self._keep(stage), time.monotonic() - started
            return StageOutcome(stage, "failed", kept, _first_line(error), took, run["fingerprint"])
        return StageOutcome(stage, "done", final, duration_s=time.monotonic() - started, fingerprint=run["fingerprint"])

    def _keep(self, stage: Stage) -> Path:
        """Keep what was built with its traceback; on a full disk only the folder's name is left to tell."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            return publish.keep_failure(
                self.out, self.period_folder, stage.name, _plain(traceback.format_exc()), moment
            )
        except OSError:
            return self.out / "failed"

    def _build(self, stage: Stage, notebook: Path, folder: Path, run: dict[str, Any], started: float) -> None:
        from aifactory.run.export import export_stage
        from aifactory.run.notebook import execute

        parameters = {
            "period": self.workspace.period,
            "workspace": os.path.relpath(self.workspace.path, folder),
            "out_dir": ".",
            "overrides": self.settings,
        }
        executed = execute(
            notebook,
            folder / f"{stage.name}.ipynb",
            parameters,
            lambda done, total: self.progress(stage.name, done, total),
        )
        headline = _headline(folder / RESULTS)
        export_stage(stage, executed, folder, self.workspace)
        write_manifest(folder, stage, run, headline, time.monotonic() - started)


def _headline(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise StageError("the notebook recorded no results; its last cell must call af.record(out_dir, ...)")
    return json.loads(path.read_text(encoding="utf-8"))["headline"]


def _write_index(out: Path) -> Path:
    from aifactory.report.index import write_index

    return write_index(out)


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and is_full_disk(error):
        return f"no room to write the report ({error.strerror}): free some space on the disk of --out and run again"
    lines = [line for line in _plain(str(error)).splitlines() if line.strip(" -")]
    return (lines[-1] if lines else type(error).__name__)[:300]
