"""The files of one command are parts of one delivery; nothing in it may count twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.store import deliveries

#: Column that tells charges apart which are else the same.
IDENTITY = "x_ChargeId"


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


def tell_repeated_charges(bills: Sequence[tuple[dict[str, object], pd.DataFrame]]) -> None:
    """Refuse a charge that an earlier file holds with the same identity; say how many others look the same.

    Charges are the same if they agree in every column. Without an identity two equal charges may be two.
    """
    columns = sorted(set().union(*(charges.columns for _, charges in bills)))
    marks = [_marks(charges.reindex(columns=columns)) for _, charges in bills]
    for number, (report, charges) in enumerate(bills):
        again = np.isin(marks[number], np.concatenate([np.empty(0, "uint64"), *marks[:number]]))
        known = charges[IDENTITY].notna().to_numpy() if IDENTITY in charges else np.zeros(len(charges), "bool")
        if (again & known).any():
            row = int((again & known).argmax())
            other = next(str(bills[i][0]["source"]) for i in range(number) if marks[number][row] in marks[i])
            rule = f"the same charge, by its identity too, stands in {other}; it would count twice"
            raise InputError.at(
                str(report["source"]), rule, row=row + 2, column=IDENTITY, value=charges[IDENTITY].iloc[row]
            )
        usage = again & (charges["ChargeCategory"] == "Usage").to_numpy()
        if usage.any():
            text = "identical to a charge of an earlier file: counted; is a part of the bill given twice?"
            report["warnings"] = [*report["warnings"], {"text": text, "rows": int(usage.sum())}]


def _marks(charges: pd.DataFrame) -> np.ndarray:
    """A number for each row, equal for equal rows."""
    return pd.util.hash_pandas_object(charges.astype("str"), index=False, categorize=True).to_numpy()
