"""Every scheduler example works as it is printed: parsed, and its command or notebook really executed."""

import datetime as dt
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import types
from pathlib import Path

import jinja2
import nbformat
import papermill
import pytest
import yaml
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError, StageError
from aifactory.inputs.resources import notebooks_dir
from aifactory.run import runner
from aifactory.run.schedule import KINDS, Schedule, example, refresh_months

REPO = Path(__file__).resolve().parents[2]
#: The third of November 2026, 06:00: the clock of a scheduler that reports October.
NOW = dt.datetime(2026, 11, 3, 6, tzinfo=dt.UTC)
CLOCK = {"SOURCE_DATE_EPOCH": str(int(NOW.timestamp()))}
FIELD_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def bare(**extra):
    """An empty environment; only a checkout that is not installed needs to be found."""
    kept = {"PYTHONPATH": os.environ["PYTHONPATH"]} if "PYTHONPATH" in os.environ else {}
    return {**kept, **CLOCK, **extra}


def shown(*arguments):
    done = CliRunner().invoke(app, ["schedule", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def cron_fields(text):
    fields = text.split()
    assert len(fields) == 5
    for field, (low, high) in zip(fields, FIELD_LIMITS, strict=True):
        assert re.fullmatch(r"\*|\d+(-\d+)?", field)
        numbers = [int(part) for part in field.split("-") if part != "*"]
        assert all(low <= number <= high for number in numbers)
        assert numbers == sorted(numbers)
    return fields


@pytest.mark.parametrize("kind", KINDS)
def test_examples_hold_any_path_as_it_is(kind):
    odd = '/data/50% of "our" company\'s/ü $HOME `id`'
    text = example(kind, Schedule(odd, odd + "/reports"))
    if kind == "cron":
        command = text.splitlines()[-1].split(None, 5)[5].replace("\\%", "%")
        assert shlex.split(command)[6] == odd
    elif kind == "github":
        step = yaml.safe_load(text)["jobs"]["refresh"]["steps"][4]["run"]
        assert shlex.split(step)[4] == odd
    elif kind == "jupyter":
        assert json.loads(text)["parameters"]["workspace"] == odd
    else:
        compile(text, "dag.py", "exec")
        assert repr(odd) in text


@pytest.mark.parametrize("bad", [{"day": 0}, {"day": 22}, {"hour": 24}, {"hour": -1}, {"workspace": "a\nb"}])
def test_a_schedule_that_cannot_be_is_refused(bad):
    with pytest.raises(InputError):
        Schedule(**{"workspace": "w", "out": "o", **bad})


def test_an_unknown_scheduler_gets_a_hint():
    with pytest.raises(InputError, match="Did you mean 'airflow'"):
        example("airflw", Schedule("w", "o"))


def test_the_workflow_passes_what_a_person_types_through_the_environment():
    steps = yaml.safe_load(example("github", Schedule("co", "out")))["jobs"]["refresh"]["steps"]
    assert not any("${{" in step.get("run", "") for step in steps)


@pytest.fixture(scope="module")
def company(tmp_path_factory, _mini_master):
    """One month of the tiny company below a path that shells trip over."""
    folder = Path(shutil.copytree(_mini_master, tmp_path_factory.mktemp("at 50%") / "our company"))
    for name in ("demand_windows", "jobs", "pools", "billing"):
        lines = (folder / f"{name}.csv").read_text().splitlines(keepends=True)
        (folder / f"{name}.csv").write_text("".join(line for line in lines if "2026-09" not in line))
    return folder


@pytest.fixture(scope="module")
def by_cron(company):
    """The cron line, executed as cron does: /bin/sh, an empty environment, the home folder."""
    line = shown("--kind", "cron", "--workspace", company).splitlines()[-1]
    *_, command = line.split(None, 5)
    command = command.replace("\\%", "%")

    def run():
        done = subprocess.run(
            ["/bin/sh", "-c", command], env=bare(), cwd=company.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return line, run, run()


@pytest.mark.slow
def test_the_cron_line_reports_the_month_once(by_cron, company):
    line, run, printed = by_cron
    cron_fields(" ".join(line.split()[:5]))
    assert "Monthly refresh: done" in printed
    assert (company / "reports" / "2026-10" / "refresh" / "refresh.html").is_file()
    again = run()
    assert again.count("Monthly refresh: up to date") == 1
    assert "done" not in again


@pytest.mark.slow
def test_the_steps_of_the_workflow_run_as_they_stand(by_cron, company, tmp_path):
    text = shown("--kind", "github", "--workspace", company, "--out", company / "reports")
    workflow = yaml.safe_load(text)
    cron_fields(workflow["on"]["schedule"][0]["cron"])
    shims, log = tmp_path / "bin", tmp_path / "pip.log"
    shims.mkdir()
    for name, body in (
        ("pip", f'echo "$@" >> {shlex.quote(str(log))}'),
        ("aifactory", f'exec {sys.executable} -m aifactory.cli "$@"'),
    ):
        (shims / name).write_text(f"#!/bin/sh\n{body}\n")
        (shims / name).chmod(stat.S_IRWXU)
    printed = ""
    for step in workflow["jobs"]["refresh"]["steps"]:
        environment = {
            name: "previous" if "previous" in value else value for name, value in step.get("env", {}).items()
        }
        if "run" in step:
            done = subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=REPO, capture_output=True, text=True, check=False,
                                  env=bare(PATH=f"{shims}:/usr/bin:/bin", **environment))  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            printed += done.stdout
    assert log.read_text().splitlines() == ["install --require-hashes -r requirements.lock", "install --no-deps ."]
    assert (REPO / "requirements.lock").is_file()
    assert printed.count("Monthly refresh: up to date") == 1  # cron was there before


def stub_airflow(monkeypatch, run):
    """Names that the DAG file imports; the operator renders its templates as Airflow does and hands them to `run`."""

    class Dag:
        def __init__(self, **settings):
            self.settings = settings

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    class PapermillOperator:
        def __init__(self, *, task_id, input_nb, output_nb, parameters, kernel_name):
            assert task_id
            run(input_nb, output_nb, parameters, kernel_name)

    for name in (
        "airflow",
        "airflow.providers",
        "airflow.providers.papermill",
        "airflow.providers.papermill.operators",
    ):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["airflow"].DAG = Dag
    operators = types.ModuleType("airflow.providers.papermill.operators.papermill")
    operators.PapermillOperator = PapermillOperator
    monkeypatch.setitem(sys.modules, operators.__name__, operators)


def reported(company):
    """Bytes of every file that the month's report is made of."""
    folder = company / "reports" / "2026-10" / "refresh"
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def texts_of(path):
    return "".join(str(cell.get("outputs", "")) for cell in nbformat.read(path, as_version=4).cells)


@pytest.mark.slow
def test_the_dag_runs_the_month_before_its_interval_ends(by_cron, company, monkeypatch):
    ran, before = [], reported(company)

    def run(input_nb, output_nb, parameters, kernel_name):
        macros = types.SimpleNamespace(timedelta=dt.timedelta)

        def render(text):
            return jinja2.Template(text).render(data_interval_end=NOW, macros=macros)

        given = {name: render(value) for name, value in parameters.items()}
        papermill.execute_notebook(input_nb, render(output_nb), given, kernel_name=kernel_name, progress_bar=False)
        ran.append(given | {"output": render(output_nb)})

    stub_airflow(monkeypatch, run)
    text = shown("--kind", "airflow", "--workspace", company)
    exec(compile(text, "dag.py", "exec"), {})  # noqa: S102 - our own file, as a scheduler loads it
    assert ran[0]["period"] == "2026-10"
    assert ran[0]["output"].endswith("refresh-2026-10.ipynb")
    assert "up to date" in texts_of(ran[0]["output"])  # cron was there before: the same report, to the byte
    assert reported(company) == before and Path("refresh.html") in before


@pytest.mark.slow
def test_the_job_of_jupyter_scheduler_reports_the_latest_month(by_cron, company, tmp_path):
    job = json.loads(shown("--kind", "jupyter", "--workspace", company))
    cron_fields(job["schedule"])
    assert {"name", "input_uri", "runtime_environment_name", "output_formats"} <= set(job)
    assert all(isinstance(value, str) for value in job["parameters"].values())
    source, out, before = notebooks_dir().parent / job["input_uri"], tmp_path / "out.ipynb", reported(company)
    papermill.execute_notebook(source, out, job["parameters"], kernel_name="python3", progress_bar=False)
    assert "up to date" in texts_of(out) and "refresh.html" in texts_of(out)
    assert reported(company) == before


@pytest.mark.slow
def test_a_scheduled_notebook_writes_the_page_and_fails_where_the_runner_fails(by_cron, company, tmp_path, monkeypatch):
    """The function of the scheduled notebook against the runner itself, on one month that is not reported yet."""
    assert refresh_months(str(company), "").empty
    done = runner.StageOutcome(runner.select_stages(["refresh"])[0], "failed", tmp_path, "no room on the disk")
    monkeypatch.setattr(runner, "run_road", lambda *_, **__: types.SimpleNamespace(stages=[done]))
    with pytest.raises(StageError, match="2026-10: no room on the disk"):
        refresh_months(str(company), str(tmp_path))
