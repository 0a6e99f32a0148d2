"""`manifest.json`: what a report was made of; also a valid Frictionless Data Package."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import aifactory
from aifactory.inputs.horizon import seen_hash
from aifactory.inputs.workspace import Workspace
from aifactory.run.stages import Stage

MANIFEST = "manifest.json"
#: Libraries whose version can change a number or a page.
RECORDED_LIBRARIES = (
    "altair",
    "mistune",
    "numpy",
    "pandas",
    "papermill",
    "pyarrow",
    "scipy",
    "vl-convert-python",
)
_PACKAGE_FILES = ("*.py", "*.json", "*.j2", "*.css", "*.js", "*.csv")
_MEDIA_TYPES = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".ics": "text/calendar",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def package_hash() -> str:
    """SHA-256 over all code, contracts and templates of the package."""
    root = Path(aifactory.__file__).parent
    files = sorted(path for pattern in _PACKAGE_FILES for path in root.rglob(pattern) if "_data" not in path.parts)
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of the recorded libraries."""
    return {name: metadata.version(name) for name in RECORDED_LIBRARIES}


def describe_run(workspace: Workspace, stage: Stage, notebook: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides the content of a report, with its SHA-256 as `fingerprint`.

    Of the inputs that is what the month may see, not the files: a month added later changes the hash of a
    file, and no report of the months before it.
    """
    inputs = {
        f"{row.table}: {row.file}": row.sha256
        for row in workspace.sources.sort_values(["table", "file"]).itertuples(index=False)
    }
    facts = {
        "stage": stage.name,
        "period": workspace.period,
        "settings": dict(sorted(settings.items())),
        "seed": workspace.plan.seed,
        "plan": sha256_file(workspace.path / "plan.yaml"),
        "seen": {name: seen_hash(table) for name, table in sorted(workspace.tables.items()) if len(table)},
        "notebook": sha256_file(notebook),
        "package": {"version": aifactory.__version__, "sha256": package_hash()},
        "libraries": library_versions(),
    }
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    files = {"inputs": {**inputs, "plan.yaml": facts["plan"]}}
    return {"fingerprint": hashlib.sha256(canonical).hexdigest(), **facts, **files}


def write_manifest(
    folder: Path, stage: Stage, run: dict[str, Any], headline: dict[str, Any], duration_s: float
) -> None:
    """Write the manifest over all files of the folder; it comes last, so it proves completeness."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    package = {
        "name": f"aifactory-{stage.name.replace('_', '-')}-{run['period']}",
        "title": f"{stage.title}, {run['period']}",
        "resources": [_resource(folder, path) for path in files],
        "aifactory": {**run, "headline": headline, "duration_s": round(duration_s, 1), "state": "complete"},
    }
    (folder / MANIFEST).write_text(json.dumps(package, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _resource(folder: Path, path: Path) -> dict[str, Any]:
    relative = path.relative_to(folder).as_posix()
    name = relative.lower().replace("/", "-").replace("_", "-").replace(".", "-")
    return {
        "name": name,
        "path": relative,
        **({} if path.suffix in {".csv", ".json"} else {"type": "file"}),
        "format": path.suffix.removeprefix("."),
        "mediatype": _MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
        "bytes": path.stat().st_size,
        "hash": f"sha256:{sha256_file(path)}",
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Manifest of a complete report, or None where there is none or it is damaged."""
    try:
        held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return held if held["aifactory"]["fingerprint"] and held["resources"] else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def is_up_to_date(folder: Path, fingerprint: str) -> bool:
    """Whether the folder holds a complete, unaltered report with this fingerprint."""
    manifest = read_manifest(folder)
    if manifest is None or manifest["aifactory"]["fingerprint"] != fingerprint:
        return False
    return all(
        (folder / resource["path"]).is_file() and f"sha256:{sha256_file(folder / resource['path'])}" == resource["hash"]
        for resource in manifest["resources"]
    )
