"""The files of one command are parts of one delivery; nothing in it may count twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.store import deliveries


def refuse_twins(sources: list[Path | str]) -> None:
    """Refuse a file that is given twice, under whatever name."""
    seen: dict[str, Path] = {}
    files = [path for path in sources if isinstance(path, Path) and path.is_file()]
    for path in files if len(files) > 1 else []:
        with path.open("rb") as stream:
            first = seen.setdefault(hashlib.file_digest(stream, "sha256").hexdigest(), path)
        if first is not path:
            raise InputError.at(path.name, f"holds the same bytes as {first.name}; it would count twice")


def refuse_two_exports(bills: Iterable[tuple[dict[str, object], pd.DataFrame]]) -> None:
    """Refuse the same charges in two forms: actual and amortised cost, or reports of two formats."""
    formats: dict[tuple[str, ...], tuple[str, str]] = {}
    for report, charges in bills:
        mine, source = str(report["format"]), str(report["source"])
        for delivery in deliveries(charges, "billing"):
            held, first = formats.setdefault(delivery, (mine, source))
            if not (held.startswith(mine) or mine.startswith(held)):
                account = ", ".join(filter(None, delivery))
                rule = f"is {mine}, {first} is {held}, of the same account and month ({account}); import one of them"
                raise InputError.at(source, rule)
