"""The published measurements that ship with the package, and how well they predict each other.

Cross-validation over all of them takes most of a minute, so its figures are kept beside them, with a
fingerprint of what they were worked out from:

    python -m aifactory.serving.bundled 2026-11-27 > data/prediction/fidelity.csv
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.inputs.resources import data_dir
from aifactory.serving.fidelity import evaluate
from aifactory.serving.measurements import bundled_facts, read_measurements, with_features
from aifactory.serving.platforms import NUMBERS

CONSTANTS = ("step_model", "ratio_parts", "workloads")
MODEL_NUMBERS = ("params_total_b", "params_active_b", "kv_bytes_per_token_bf16")
DIGITS = 5


def measurements_path() -> Path:
    """Table of published measurements, columns of `read_measurements`."""
    return data_dir() / "prediction" / "measurements.csv.gz"


@cache
def bundled_rows() -> pd.DataFrame:
    """Published measurements with features, ready to train on; treat as read-only."""
    return with_features(read_measurements(measurements_path()))


@dataclass(frozen=True)
class BundledFidelity:
    """Errors by split and group, the date they were worked out, and whether the data are still the same."""

    summary: pd.DataFrame
    as_of: str
    current: bool


@cache
def bundled_fidelity() -> BundledFidelity:
    """Figures of the last cross-validation over the published measurements."""
    table = pd.read_csv(data_dir() / "prediction" / "fidelity.csv", dtype={"as_of": str, "fingerprint": str})
    summary = table.drop(columns=["as_of", "fingerprint"])
    return BundledFidelity(summary, table["as_of"].iloc[0], bool((table["fingerprint"] == fingerprint()).all()))


def fingerprint() -> str:
    """Hash of the numbers that the cross-validation reads: measurements, specifications, sizes, constants."""
    facts, digest = bundled_facts(), sha256()
    parts = [
        read_measurements(measurements_path()),
        facts.platforms[list(NUMBERS)],
        facts.models[list(MODEL_NUMBERS)].sort_index(),
        *(
            pd.read_csv(data_dir() / "prediction" / f"{name}.csv").drop(columns=["source", "as_of"])
            for name in CONSTANTS
        ),
    ]
    for part in parts:
        digest.update(part.to_csv(float_format="%.9g").encode())
    return digest.hexdigest()[:16]


def work_out(as_of: str) -> pd.DataFrame:
    """Cross-validate the published measurements (about 45 s) into the table that ships."""
    summary = evaluate(bundled_rows(), None).summary
    numeric = summary.select_dtypes(np.number).columns
    return summary.assign(**summary[numeric].round(DIGITS), as_of=as_of, fingerprint=fingerprint())


if __name__ == "__main__":
    sys.stdout.write(work_out(sys.argv[1]).to_csv(index=False, lineterminator="\n"))
