"""What is approved must be what was signed: a plan against the published report of its month."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.run.manifest import read_manifest

STAGE = "buy_plan"
TABLE = "tables/approved_plan.csv"
KEYS = ["month", "use_case_id", "region", "accelerator_id"]
#: Figures that differ by less are the same: rounding of files and of sums on another machine.
TOLERANCE = 1e-6


def check_settings_signed(period_folder: Path, settings: dict[str, float | int]) -> bool:
    """Whether a report of the month is published; refuse to approve with other what-if values than it was made with.

    Raises
    ------
    InputError
        If the values differ; it names those of the report as they must be repeated.
    """
    manifest = read_manifest(period_folder / STAGE)
    if manifest is None:
        return False
    signed = manifest["aifactory"].get("settings", {})
    if signed != dict(sorted(settings.items())):
        words = " ".join(f"--set {name}={value}" for name, value in signed.items()) or "no --set"
        raise InputError.at(
            "--set",
            f"the published report of {period_folder.name} was made with {words}: approve with the same, or run the "
            "stage buy_plan anew and read that report",
            value=", ".join(f"{name}={value}" for name, value in settings.items()) or "none",
        )
    return True


def check_plan_signed(period_folder: Path, approved_plan: pd.DataFrame) -> None:
    """Refuse a plan that is not the one of the published report of its month.

    Compared are the monthly figures by use case, region and accelerator, to a relative difference of 1e-6.

    Raises
    ------
    InputError
        If rows or figures differ; it names the first difference with both figures.
    """
    signed = pd.read_csv(period_folder / STAGE / TABLE, dtype=dict.fromkeys(KEYS, str))
    said = _first_difference(
        *(table.fillna(dict.fromkeys(KEYS, "")).set_index(KEYS) for table in (signed, approved_plan))
    )
    if said:
        raise InputError.at(
            "approve",
            f"the plan of today's inputs is not that of the published report of {period_folder.name}: {said}. Run the stage "
            "buy_plan and read the new report, or use --unsigned to approve the plan of today's inputs",
        )


def _first_difference(signed: pd.DataFrame, plan: pd.DataFrame) -> str:
    """First row or figure that differs, in words; empty if all agree."""
    for row in [*signed.index.difference(plan.index), *plan.index.difference(signed.index)][:1]:
        return f"{', '.join(row)} is only in {'the report' if row in signed.index else 'the plan'}"
    figures = [name for name in plan.select_dtypes("number") if name in signed]
    ours, theirs = plan[figures].to_numpy(dtype=float), signed.loc[plan.index, figures].to_numpy(dtype=float)
    other = np.argwhere(~np.isclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))
    for row, column in other[:1]:
        return f"{', '.join(plan.index[row])}: {figures[column]} {ours[row, column]:,.6g}, in the report {theirs[row, column]:,.6g}"
    return ""
