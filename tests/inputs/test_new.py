"""A new workspace is made from the contracts and passes the reader as it is."""

import errno
import os

import pytest

from aifactory.errors import InputError
from aifactory.inputs.check import check_workspace
from aifactory.inputs.contracts import contract_names, load_contract
from aifactory.inputs.new import FILL_IN, new_workspace, template_csv, write_templates
from aifactory.inputs.plan import load_plan
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_table
from aifactory.inputs.workspace import load_workspace


@pytest.fixture
def fresh(tmp_path):
    return new_workspace(tmp_path / "company")


def test_every_table_to_fill_in_reads_as_an_empty_table(fresh):
    assert {path.stem for path in fresh.glob("*.csv")} == set(FILL_IN)
    for name in FILL_IN:
        table = read_table(fresh / f"{name}.csv", load_contract(name))
        assert table.frame.empty
        assert not table.problems
        assert list(table.frame.columns) == load_contract(name).columns


def test_the_plan_of_a_new_workspace_is_complete(fresh):
    assert load_plan(fresh / "plan.yaml").candidates


def test_the_notebooks_come_along(fresh):
    assert list((fresh / "notebooks").glob("*.ipynb"))
    assert not [path for path in (fresh / "notebooks").rglob("*") if path.name.startswith(".")]


def test_the_check_says_what_is_missing(fresh):
    assert check_workspace(fresh).failures == ["use_cases.csv: has no rows yet"]


def test_a_folder_with_content_is_not_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="the folder must not exist or must be empty"):
        new_workspace(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "mine").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match="must be empty"):
        new_workspace(tmp_path / "mine")


def test_an_empty_folder_is_filled(tmp_path):
    assert (new_workspace(tmp_path) / "plan.yaml").is_file()


@pytest.mark.parametrize("name", contract_names())
def test_the_shipped_template_is_the_header_of_the_contract(name, tmp_path):
    write_templates(tmp_path)
    written = (tmp_path / f"{name}.csv").read_text(encoding="utf-8")
    assert written == template_csv(name) == ",".join(load_contract(name).columns) + "\n"
    assert (data_dir() / "templates" / f"{name}.csv").read_text(encoding="utf-8") == written


def test_a_new_workspace_cannot_be_run_and_says_so(fresh):
    with pytest.raises(InputError):
        load_workspace(fresh)


@pytest.mark.parametrize("place", ["a/b/firm", "empty"])
@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "no room on the disk"), (errno.EACCES, "Permission denied")]
)
def test_a_start_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, place, code, words):
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))

    def full(*_arguments, **_more):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("aifactory.inputs.new.shutil.copytree", full)  # when tables and plan lie there already
    with pytest.raises(InputError, match=rf"cannot be written \({words}\); nothing was left behind"):
        new_workspace(tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before
