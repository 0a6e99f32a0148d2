"""The runner on small notebooks: publishes, skips what is unchanged, keeps what failed."""

import json

import nbformat
import pytest
from frictionless import Package

from aifactory.errors import InputError
from aifactory.run import runner
from aifactory.run.manifest import read_manifest

PARAMETERS = 'period: str = ""\nworkspace: str = ""\nout_dir: str = ""\noverrides: dict = {}\n'
RECORD = """
import pandas as pd

import aifactory as af

ws = af.load_workspace(workspace, period, overrides)
af.record(out_dir, "inventory", {"wacc": (ws.plan.value("wacc"), "fraction/year")}, {"t": pd.DataFrame({"a_usd": [1.0]})})
"""


def write_notebook(folder, *sources):
    cells = [nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}, id="parameters")]
    cells += [nbformat.v4.new_code_cell(text, id=f"cell-{number}") for number, text in enumerate(sources)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "01_inventory.ipynb")


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(runner, "notebooks_dir", lambda: folder)
    return folder


@pytest.fixture
def run(mini, tmp_path, notebooks):
    def _run(**options):
        return runner.run_road(["inventory"], workspace=mini, out=tmp_path / "reports", **options)

    return _run


@pytest.mark.slow
def test_a_run_publishes_skips_and_survives_failure(run, notebooks, tmp_path):
    write_notebook(notebooks, RECORD)
    seen = []
    first = run(progress=lambda *step: seen.append(step))
    folder = tmp_path / "reports" / first.period / "inventory"
    assert [item.state for item in first.stages] == ["done"]
    assert seen[-1] == ("inventory", 3, 3)
    assert first.index.is_file()
    html = (folder / "inventory.html").read_bytes()

    manifest = read_manifest(folder)
    assert manifest["aifactory"]["state"] == "complete"
    assert {resource["path"] for resource in manifest["resources"]} >= {
        "inventory.html",
        "inventory.ipynb",
        "inventory.xlsx",
        "results.json",
        "tables/t.csv",
    }
    assert Package(str(folder / "manifest.json")).validate().valid
    assert [item.state for item in run().stages] == ["up to date"]

    forced = run(force=True)
    assert [item.state for item in forced.stages] == ["done"]
    assert (folder / "inventory.html").read_bytes() == html

    write_notebook(notebooks, RECORD, "raise RuntimeError('boom')")
    failed = run()
    assert [item.state for item in failed.stages] == ["failed"]
    assert "boom" in failed.stages[0].message
    kept = failed.stages[0].folder
    assert kept.parent == tmp_path / "reports" / "failed"
    assert "RuntimeError: boom" in (kept / "traceback.txt").read_text()
    assert (kept / "inventory.ipynb").is_file()
    assert (folder / "inventory.html").read_bytes() == html
    lines = [json.loads(line) for line in (tmp_path / "reports" / "runs.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["done", "up to date", "done", "failed"]
    assert len({line["fingerprint"] for line in lines[:3]}) == 1
    assert "boom" in lines[3]["message"] and lines[3]["folder"].startswith("failed/")


@pytest.mark.slow
def test_settings_reach_the_notebook_and_the_manifest(run, notebooks, tmp_path):
    write_notebook(notebooks, RECORD)
    outcome = run(settings={"wacc": 0.33})
    folder = outcome.stages[0].folder
    assert json.loads((folder / "results.json").read_text())["headline"]["wacc"]["value"] == 0.33
    assert read_manifest(folder)["aifactory"]["settings"] == {"wacc": 0.33}


@pytest.mark.slow
def test_a_notebook_that_records_nothing_fails(run, notebooks):
    write_notebook(notebooks, "1 + 1")
    outcome = run()
    assert outcome.failed
    assert "recorded no results" in outcome.failed[0].message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"period": "1999-01"}, "1999-01"),
        ({"period": "2026-13"}, "YYYY-MM"),
        ({"settings": {"wacc": -5.0, "tax_rate": float("nan")}}, "tax_rate"),
        ({"settings": {"horizon_months": 1}}, "horizon_months"),
    ],
)
def test_bad_input_is_refused_before_a_kernel_starts(run, options, words, monkeypatch, tmp_path):
    monkeypatch.setattr(runner, "_Job", None)
    with pytest.raises(InputError, match=words):
        run(**options)
    assert not (tmp_path / "reports").exists()


def test_a_run_of_another_month_restores_what_a_killed_one_had_swapped_out(run, monkeypatch, tmp_path):
    old = tmp_path / "reports" / "2026-09" / ".old" / "inventory"
    old.mkdir(parents=True)
    (old / "inventory.html").write_text("good")
    (old.parent.parent / ".staging" / "shortlist").mkdir(parents=True)
    monkeypatch.setattr(
        runner._Job, "run", lambda job, stage: runner.StageOutcome(stage, "up to date", job.period_folder / stage.name)
    )
    assert run().period == "2026-10"
    assert (tmp_path / "reports" / "2026-09" / "inventory" / "inventory.html").read_text() == "good"
    assert [path.name for path in (tmp_path / "reports" / "2026-09").iterdir()] == ["inventory"]
