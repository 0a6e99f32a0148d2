"""`aifactory new`: a workspace to fill in, made from the contracts."""

from __future__ import annotations

import shutil
from pathlib import Path

from aifactory.errors import InputError, is_full_disk
from aifactory.inputs.contracts import contract_names, load_contract
from aifactory.inputs.resources import data_dir, notebooks_dir

#: Tables an analyst fills in; the catalogue ships with the product and is only extended.
FILL_IN = (
    "use_cases",
    "demand_windows",
    "requests",
    "latency_histograms",
    "tenant_usage",
    "jobs",
    "pools",
    "billing",
    "account_map",
    "benchmarks",
    "decisions",
)
_README = """This folder is an aifactory workspace.

1. plan.yaml: what you assume and decide. Every number has an owner, a source and a date.
2. use_cases.csv and one of demand_windows.csv, requests.csv, jobs.csv are needed, or demand_chain.csv where all
   starts later; the rest adds answers.
3. Prices, accelerators, models or judgements of your own go into a table of that name; your rows
   win over the bundled catalogue.

Check:  aifactory check .
Run:    aifactory run --workspace .
"""


def new_workspace(folder: Path | str) -> Path:
    """Create a workspace folder with empty tables, a commented plan.yaml and the notebooks."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError.at("new", "the folder must not exist or must be empty", value=str(folder))
    made = next((path for path in reversed((folder, *folder.parents)) if not path.exists()), None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fill(folder)
    except OSError as error:
        _empty(made, folder)
        why = "no room on the disk" if is_full_disk(error) else (error.strerror or str(error))
        raise InputError.at("new", f"cannot be written ({why}); nothing was left behind", value=str(folder)) from None
    return folder


def _fill(folder: Path) -> None:
    for name in FILL_IN:
        (folder / f"{name}.csv").write_text(template_csv(name), encoding="utf-8")
    shutil.copy(data_dir() / "templates" / "plan.yaml", folder / "plan.yaml")
    shutil.copytree(notebooks_dir(), folder / "notebooks", ignore=shutil.ignore_patterns(".*"))
    (folder / "README.txt").write_text(_README, encoding="utf-8")


def _empty(made: Path | None, folder: Path) -> None:
    """Remove what a failed start has left: the folders it made, or what it put into an empty one."""
    if made is not None:
        shutil.rmtree(made, ignore_errors=True)
        return
    for path in folder.iterdir():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def template_csv(table: str) -> str:
    """Header row of a table."""
    return ",".join(load_contract(table).columns) + "\n"


def write_templates(folder: Path) -> None:
    """Write the header row of every table; `data/templates` is made by this."""
    for name in contract_names():
        (folder / f"{name}.csv").write_text(template_csv(name), encoding="utf-8")
