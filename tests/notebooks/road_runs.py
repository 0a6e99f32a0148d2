"""Run the road on copies of the sample and read what it published."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

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


#: One use case of each way to be served: by requests, by jobs, as media, at the edge.
FEW = {"support-chat", "demand-model", "product-images", "quay-vision"}


def few_use_cases(sample_dir: Path, workspace: Path, *without: str) -> Path:
    """A copy of the sample that holds four of its use cases and lacks some tables."""
    shutil.copytree(sample_dir, workspace, ignore=shutil.ignore_patterns(".cache", "reports", *without))
    for path in workspace.glob("*.csv"):
        rows = pd.read_csv(path, dtype="str")
        if "use_case_id" in rows:
            rows[rows["use_case_id"].isin(FEW)].to_csv(path, index=False)
    for path in workspace.glob("*.parquet"):
        rows = pd.read_parquet(path)
        rows[rows["use_case_id"].isin(FEW)].to_parquet(path, index=False)
    plan = yaml.safe_load((workspace / "plan.yaml").read_text())
    plan["baseline_accelerators"] = {k: v for k, v in plan["baseline_accelerators"].items() if k in FEW}
    plan["hidden_costs"] = [line for line in plan["hidden_costs"] if set(line.get("use_cases", FEW)) <= FEW]
    (workspace / "plan.yaml").write_text(yaml.safe_dump(plan))
    return workspace


def run_copy(sample_dir: Path, folder: Path, *without: str, **options) -> Road:
    """Run the road on a copy of the sample that lacks some tables."""
    workspace = folder / "company"
    shutil.copytree(sample_dir, workspace, ignore=shutil.ignore_patterns(".cache", "reports", *without))
    return Road(run_road(workspace=workspace, out=folder / "reports", **options))
