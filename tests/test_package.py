"""House rules that hold for the whole tree."""

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

import aifactory
from aifactory import units

REPO = Path(__file__).resolve().parents[1]
PACKAGE = REPO / "aifactory"
#: Rooms from the bottom up; a room imports from its own level or below only.
LEVELS = [
    {"errors", "units"},
    {"inputs"},
    {"finance", "serving", "demand"},
    {"inventory"},
    {"benchmark"},
    {"fleet"},
    {"shortlist"},
    {"buyplan"},
    {"review"},
    {"report"},
    {"run"},
    {"cli"},
]
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
NUMERIC_ROOMS = {"finance", "serving", "demand", "inventory", "benchmark", "fleet", "shortlist", "buyplan", "review"}
SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "_data" not in path.parts)
SOURCE_OF = {path.relative_to(PACKAGE).as_posix(): path for path in SOURCES}
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))


def room_of(name):
    return name.split("/")[0].removesuffix(".py")


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("name", [name for name in SOURCE_OF if room_of(name) in LEVEL_OF])
def test_imports_run_downwards(name):
    own = LEVEL_OF[room_of(name)]
    rooms = {module.split(".")[1] for module in imported_modules(SOURCE_OF[name]) if module.startswith("aifactory.")}
    assert {room for room in rooms if LEVEL_OF[room] > own} == set()


@pytest.mark.parametrize("name", [name for name in SOURCE_OF if room_of(name) in NUMERIC_ROOMS])
def test_numeric_rooms_know_nothing_of_pages(name):
    roots = {module.split(".")[0] for module in imported_modules(SOURCE_OF[name])}
    assert roots.isdisjoint({"altair", "IPython", "ipywidgets", "jinja2", "nbconvert", "nbformat", "papermill"})


def test_every_public_name_loads():
    assert len(aifactory.__all__) == len(set(aifactory.__all__))
    for name in aifactory.__all__:
        assert callable(getattr(aifactory, name))


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(AttributeError, match="build_inventory"):
        aifactory.build_inventry  # noqa: B018


def test_si_prefixes_are_decimal():
    assert (units.KILO, units.MEGA, units.GIGA, units.TERA) == (10**3, 10**6, 10**9, 10**12)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_notebooks_are_thin_and_stripped(path):
    notebook = json.loads(path.read_text())
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        assert re.fullmatch(r"[a-z0-9-]+", cell["id"])
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            assert len(source.splitlines()) <= 10
            assert not re.search(r"^\s*(def|class|for|while|if) ", source, re.MULTILINE)
        else:
            assert source.count("$") < 2


def test_files_and_functions_stay_readable():
    long_files = [str(p) for p in SOURCES if len(p.read_text().splitlines()) > 450]
    long_functions = [
        f"{path.name}:{node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno - node.lineno > 60
    ]
    assert long_files == []
    assert long_functions == []


def test_no_machine_paths_or_registry_hosts_in_tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    machine_path = rb"(^|[^A-Za-z0-9_.])/(work|root|home)/[A-Za-z]"
    registry = rb"https?://[^ \"]*/(simple|packages)/"
    pattern = re.compile(machine_path + b"|" + registry, re.MULTILINE)
    own = Path(__file__).relative_to(REPO).as_posix()
    text_files = [name for name in listed.stdout.split("\0") if name and not name.endswith((".parquet", ".gz"))]
    guilty = [name for name in text_files if name != own and pattern.search((REPO / name).read_bytes())]
    assert guilty == []
