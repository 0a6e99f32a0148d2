"""Run the road on copies of the sample and read what it published."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from aifactory.run.runner import RoadOutcome, run_road


@dataclass(frozen=True)
class Road:
    """A finished run and ways to read it."""

    outcome: RoadOutcome

    @property
    def folder(self) -> Path:
        return self.outcome.out / self.outcome.period

    def html(self, stage: str) -> Path:
        return self.folder / stage / f"{stage}.html"

    def results(self, stage: str) -> dict:
        return json.loads((self.folder / stage / "results.json").read_text())


def run_copy(sample_dir: Path, folder: Path, *without: str, **options) -> Road:
    """Run the road on a copy of the sample that lacks some tables."""
    workspace = folder / "company"
    shutil.copytree(sample_dir, workspace, ignore=shutil.ignore_patterns(".cache", "reports", *without))
    return Road(run_road(workspace=workspace, out=folder / "reports", **options))
