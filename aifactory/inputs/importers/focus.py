"""FOCUS bills (1.0 to 1.2) into the table `billing`; amounts stay the text that was billed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from aifactory.inputs.contracts import Contract, load_contract
from aifactory.inputs.tables import read_source


def read_focus(path: Path) -> pd.DataFrame:
    """Charges of a FOCUS file, columns of the `billing` table.

    Money must be decimal numbers and dates ISO 8601; columns that the product does not use are left
    out. Amounts are `decimal.Decimal`, so totals stay exact.

    Raises
    ------
    InputError
        With row, column and value of the first cells that break the contract.
    """
    contract = load_contract("billing")
    frame = read_source(Path(path), contract)
    return frame[_filled(frame, contract)]


def _filled(frame: pd.DataFrame, contract: Contract) -> list[str]:
    """Columns with a value, and those that the contract demands."""
    return [item.name for item in contract.fields if item.required or frame[item.name].notna().any()]
