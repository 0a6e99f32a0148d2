"""A built wheel carries catalogue, templates, notebooks and the sample, and makes workspaces from them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPO, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def call(installed, folder, *arguments):
    """Run the command line of the wheel, far from the checkout."""
    code = "import sys, aifactory; assert sys.argv[1] in aifactory.__file__; from aifactory.cli import main; sys.argv = ['aifactory', *sys.argv[2:]]; main()"
    command = [sys.executable, "-c", code, str(installed), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_wheel_holds_data_and_notebooks_and_nothing_private(installed):
    files = {path.relative_to(installed / "aifactory").as_posix() for path in (installed / "aifactory").rglob("*")}
    assert {"_data/catalogue/prices.csv", "_data/templates/plan.yaml", "_data/sample/use_cases.csv"} <= files
    assert "_notebooks/05_monthly_refresh.ipynb" in files
    assert "report/template/page.html.j2" in files
    assert not [name for name in files if ".cache" in name or "__pycache__" in name or name.startswith("tests")]


def test_wheel_makes_a_workspace_and_checks_it(installed, tmp_path):
    made = call(installed, tmp_path, "new", "company")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "company" / "notebooks" / "01_inventory.ipynb").is_file()
    checked = call(installed, tmp_path, "check", "company")
    assert checked.returncode == 2
    assert "use_cases.csv: has no rows yet" in checked.stderr


def test_wheel_runs_the_sample_into_the_current_folder(installed, tmp_path):
    done = call(installed, tmp_path, "run", "inventory")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("**/2026-10/inventory/inventory.html"))
    assert not list((installed / "aifactory" / "_data").rglob("*.html"))
