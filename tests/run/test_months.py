"""Months that a run with --back looks at, and what it does with late data and back-fills."""

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.run import runner
from aifactory.run.months import months_back

NOTEBOOK = """
import pandas as pd

import aifactory as af

ws = af.load_workspace(workspace, period, overrides)
af.record(out_dir, "inventory", {"pools": (len(ws.table("pools")), "rows")}, {"t": pd.DataFrame({"a_usd": [1.0]})})
"""
KNOWN = [f"2026-{month:02d}" for month in (1, 2, 3, 5, 6)]


@pytest.mark.parametrize(
    ("period", "back", "months"),
    [
        ("2026-06", 0, ["2026-06"]),
        ("2026-06", 3, ["2026-03", "2026-05", "2026-06"]),  # April has no data
        ("2026-01", 5, ["2026-01"]),
        ("2026-03", 12, ["2026-01", "2026-02", "2026-03"]),
    ],
)
def test_the_months_before_that_have_data_come_first(period, back, months):
    assert months_back(period, back, KNOWN) == months


@pytest.mark.parametrize("back", [-1, 61])
def test_a_span_out_of_bounds_is_refused(back):
    with pytest.raises(InputError, match="--back"):
        months_back("2026-06", back, KNOWN)


@given(st.integers(0, 60), st.sampled_from(KNOWN))
def test_the_period_is_last_and_months_rise(back, period):
    months = months_back(period, back, KNOWN)
    assert months[-1] == period
    assert months == sorted(set(months))


def write_notebook(folder):
    parameters = 'period: str = ""\nworkspace: str = ""\nout_dir: str = ""\noverrides: dict = {}\n'
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}, id="parameters")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    cells.append(nbformat.v4.new_code_cell(NOTEBOOK, id="record"))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), folder / "01_inventory.ipynb")


@pytest.mark.slow
def test_late_data_and_back_fills_touch_only_what_depends_on_them(mini, tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(runner, "notebooks_dir", lambda: folder)
    write_notebook(folder)

    def run(period):
        outcome = runner.run_road(["inventory"], workspace=mini, out=tmp_path / "reports", period=period)
        return outcome.stages[0].state

    def files(period):
        root = tmp_path / "reports" / period
        return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    assert run("2026-10") == "done"
    october = files("2026-10")
    assert run("2026-09") == "done"  # the back-fill
    assert files("2026-10") == october
    september = files("2026-09")
    with (mini / "pools.csv").open("a") as file:  # late data of October
        file.write("2026-10-31T00:00:00Z,1440,late-pool,us,nvidia-h100-sxm,on_demand,8,0.5,2800,0.5\n")
    assert [run(month) for month in ("2026-09", "2026-10")] == ["up to date", "done"]
    assert files("2026-09") == september
    assert [run(month) for month in ("2026-09", "2026-10")] == ["up to date", "up to date"]
