"""Exit codes and messages of the command line."""

import inspect
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import get_type_hints

import pytest
from typer.testing import CliRunner

import aifactory as af
from aifactory import __version__, cli
from aifactory.cli import app
from aifactory.cli.base import today
from aifactory.errors import InputError


def aifactory(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "aifactory.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=120,
    )


def test_new_then_check(tmp_path):
    folder = tmp_path / "my-company"
    created = aifactory("new", folder)
    assert created.returncode == 0, created.stderr
    assert (folder / "plan.yaml").is_file()
    assert (folder / "use_cases.csv").is_file()
    assert len(list((folder / "notebooks").glob("*.ipynb"))) == 7
    again = aifactory("new", folder)
    assert again.returncode == 2
    assert "empty" in again.stderr
    checked = aifactory("check", folder)
    assert checked.returncode == 2
    assert "use_cases" in checked.stdout + checked.stderr


def test_check_of_a_good_workspace(mini):
    checked = aifactory("check", mini)
    assert checked.returncode == 0, checked.stderr
    assert "demand_windows" in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--workspace", "does-not-exist"], "does-not-exist"),
        (["run", "inventry"], "Did you mean 'inventory'"),
        (["run", "--set", "wac=1"], "Did you mean 'wacc'"),
        (["run", "--period", "2026-1"], "YYYY-MM"),
        (["check", "does-not-exist"], "does-not-exist"),
        (["approve"], "--workspace"),
        (["generate", "--requests", "10", "--out", "no-folder/x.parquet"], "no-folder"),
        (["coming", "chat", "us", "--month", "2026-11", "--out", "x.csv", "--seed", "-1"], "--seed"),
        (["coming", "chat", "us", "--month", "2026-11", "--out", "x.txt"], "must end in .csv or .parquet"),
        (["coming", "chat", "us", "--month", "2026-11", "--out", "no-folder/x.csv"], "folder that does not exist"),
    ],
)
def test_bad_input_exits_2_with_one_readable_message(arguments, words, tmp_path):
    done = aifactory(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_help_answers_to_its_short_name():
    assert "--share" in aifactory("early", "-h").stdout


def test_the_version_is_the_one_of_the_package():
    done = aifactory("--version")
    assert (done.returncode, done.stdout) == (0, f"aifactory {__version__}\n")


def callbacks(part):
    yield from (command.callback for command in part.registered_commands)
    for inner in part.registered_groups:
        yield from callbacks(inner.typer_instance)


@pytest.mark.parametrize("command", list(callbacks(app)), ids=lambda command: command.__name__)
def test_every_option_may_be_left_at_its_default(command):
    hints = get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        least = [
            item.min for item in getattr(hints[name], "__metadata__", ()) if getattr(item, "min", None) is not None
        ]
        assert not least or parameter.default in (None, inspect.Parameter.empty) or parameter.default >= least[0], name


def test_a_folder_without_a_workspace_is_checked_as_the_sample_and_said_so(tmp_path):
    done = aifactory("check", cwd=tmp_path)
    assert "the sample company stands in" in done.stdout


def test_import_stays_light():
    code = (
        "import sys, aifactory; heavy = {'pandas', 'numpy', 'altair', 'ibis', 'papermill', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("moment", ["abc", "9" * 20, "-" + "9" * 20, "1.5", "\u00b2"])
def test_a_clock_that_cannot_be_is_refused(moment, mini, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", moment)
    with pytest.raises(InputError, match=r"SOURCE_DATE_EPOCH: value .*whole seconds since 1970"):
        today()


def test_a_plan_is_approved_for_the_previous_month_by_that_word(mini, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(datetime(2026, 9, 30, 23, 59, tzinfo=UTC).timestamp())))
    refused = CliRunner().invoke(app, ["approve", "--workspace", str(mini), "--period", "previous"])
    assert "value '2026-08'" in str(refused.exception)


def test_a_plan_of_another_period_is_refused_before_any_stage_is_built(mini, monkeypatch):
    (mini / "approved_plan.csv").write_text("plan_period\n2026-08\n", encoding="utf-8")
    loaded = SimpleNamespace(path=mini, period="2026-10")
    monkeypatch.setattr(af, "load_workspace", lambda *_: loaded, raising=False)
    monkeypatch.setattr(af, "build_inventory", lambda *_: pytest.fail("a stage was built"), raising=False)
    refused = CliRunner().invoke(app, ["approve", "--workspace", str(mini), "--period", "2026-10"])
    assert isinstance(refused.exception, InputError)
    assert (
        str(refused.exception)
        == "approved_plan.csv: value '2026-10': holds the plan approved for 2026-08; use --force to replace it"
    )


def test_a_folder_that_an_ascii_system_cannot_name(mini, monkeypatch, capsys):
    folder = mini.rename(mini.with_name("B\u00fcro"))
    shutil.rmtree(folder / ".cache")
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)
    checked = aifactory("check", folder)
    assert checked.returncode == 0 and "Traceback" not in checked.stderr

    def refuse(**_):
        "B\udcc3\udcbcro".encode()

    monkeypatch.setattr(cli, "app", refuse)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert r"B\xfcro': cannot be written in the encoding" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("encoding", "shown"), [("ascii", r"B\xfcro\u2013"), ("latin-1", r"Büro\u2013"), ("utf-8", "Büro–")]
)
def test_a_console_of_any_encoding_shows_every_name(tmp_path, encoding, shown):
    done = subprocess.run(
        [sys.executable, "-m", "aifactory.cli", "new", "Büro–"], cwd=tmp_path, capture_output=True, check=False,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"Workspace created in {shown}\n".encode(encoding) in done.stdout


def test_the_next_commands_can_be_typed_as_they_are_printed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "aifactory.cli", "new", "my company"], cwd=tmp_path, capture_output=True, check=False,
        text=True,
    )  # fmt: skip
    assert "  aifactory check 'my company'\n  aifactory run --workspace 'my company'\n" in done.stdout
