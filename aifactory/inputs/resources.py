"""Where the shipped data and notebooks lie: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def _shipped(name: str) -> Path:
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name


def data_dir() -> Path:
    """Folder with `catalogue/`, `sample/` and `templates/`."""
    return _shipped("data")


def notebooks_dir() -> Path:
    """Folder with the notebooks."""
    return _shipped("notebooks")
