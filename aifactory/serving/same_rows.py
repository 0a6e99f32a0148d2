"""Rows of a training table that are rows asked for: one measurement under two ids, spellings or roundings.

Two rows are one where they agree in what was measured on what, in all that both state, and in the figures to the digits
that the rounder one states. A row asked for without figures is the one that states the same, its date included: who asks
for conditions alone is answered by whoever measured them. An id tells a row only beside what it measured or its figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from aifactory.serving.deployment_unstated import DEGREES, LOADS, WORKERS
from aifactory.serving.model_spellings import bare_name
from aifactory.serving.platforms import load_platforms, precision_class, resolve

#: Most that rounding moves a count or a figure (log), and how close figures are one whatever their digits.
ROUNDED, ONE = 0.01, 0.0005


@dataclass(frozen=True)
class Columns:
    """What makes a measurement: `alike` is always compared, `told` (texts) and `counts` where both rows state them."""

    alike: tuple[str, ...]
    told: tuple[str, ...]
    counts: tuple[str, ...]
    figures: tuple[str, ...]
    date: str
    number: str = ""


PUBLISHED = Columns(
    ("chip", "model", "metric"),
    ("scenario", "precision", "source", "submitter", "system"),
    ("accel_count", "tp", "batch_or_concurrency", "input_tokens", "output_tokens"),
    ("value",),
    "date",
    "id",
)
DEPLOYED = Columns(
    ("chip", "architecture"),
    ("way", "precision", "backend", "backend_version"),
    ("isl", "osl", *LOADS, *DEGREES, *WORKERS),
    ("silicon_ttft_ms", "silicon_tpot_ms"),
    "measured_on",
)


def published_apart(training: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Published rows (`read_measurements`) of a training table without those asked for."""
    return training[~_also_asked(_published(training), _published(asked), PUBLISHED)]


def deployed_apart(training: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Deployments (`read_deployments`) of a training table without those asked for."""
    return training[~_also_asked(_deployed(training), _deployed(asked), DEPLOYED)]


def _published(rows: pd.DataFrame) -> pd.DataFrame:
    chip = pd.Series(resolve(rows["accelerator"], rows["catalogue_accelerator_id"], load_platforms()), index=rows.index)
    return rows.assign(
        chip=chip.where(chip != "", rows["accelerator"]).astype("str"),
        model=rows["model"].map(bare_name).astype("str"),
        precision=rows["precision"].map(precision_class).astype("str"),
    )


def _deployed(rows: pd.DataFrame) -> pd.DataFrame:
    precision = rows["said_precision"].map(precision_class).astype("str")
    version = rows["backend_version"].str.removeprefix("v")
    return rows.assign(way=rows["mode"].str[:3], precision=precision, backend_version=version)


def _also_asked(training: pd.DataFrame, asked: pd.DataFrame, of: Columns) -> np.ndarray:
    """Whether each row of `training` is one of `asked`: bool."""
    training, asked = _plain(training, of), _plain(asked, of).drop_duplicates()
    training["row"] = np.arange(len(training))
    found = np.zeros(len(training), dtype=bool)
    for figure in of.figures:
        left, right = (table[table[figure].notna()] for table in (training, asked))
        near = pd.concat([right.assign(bucket=_bucket(right[figure]) + step) for step in (-1, 0, 1)])
        pairs = _pairs(left.assign(bucket=_bucket(left[figure])), near, [*of.alike, "bucket"])
        found[pairs.loc[_agree(pairs, of), "row"]] = True
    blind = asked[asked[list(of.figures)].isna().all(axis=1) & (asked[of.date] != "")]
    found[_pairs(training, blind, [*of.alike, *of.told, *of.counts, of.date])["row"]] = True
    if of.number:
        pairs = _pairs(training, asked, [of.number])
        alike = np.logical_and.reduce([pairs[name] == pairs[f"{name}_asked"] for name in (*of.alike, of.told[0])])
        found[pairs.loc[alike | _one_figure(pairs, of.figures[0]), "row"]] = True
    return found


def _plain(rows: pd.DataFrame, of: Columns) -> pd.DataFrame:
    """The columns compared: texts as small letters, digits and signs of sizes; numbers as they are."""
    texts = {
        name: rows[name].str.casefold().str.replace(r"[^a-z0-9.+]+", "", regex=True) for name in (*of.alike, *of.told)
    }
    as_they_are = {name: rows[name] for name in (of.date, of.number) if name}
    return rows[[*of.counts, *of.figures]].astype(float).assign(**texts, **as_they_are)


def _bucket(figures: pd.Series) -> pd.Series:
    return np.floor(np.log(figures) / ROUNDED)


def _pairs(training: pd.DataFrame, asked: pd.DataFrame, on: list[str]) -> pd.DataFrame:
    return training.merge(asked, on=on, suffixes=("", "_asked"))


def _agree(pairs: pd.DataFrame, of: Columns) -> pd.Series:
    """Whether the rows of a pair agree in all that both state; a text also with one that says more (v1.1 and v1.1.2)."""
    agree = pd.Series(True, index=pairs.index)
    for name in of.told:
        both = zip(pairs[name], pairs[f"{name}_asked"], strict=True)
        agree &= np.array([one.startswith(other) or other.startswith(one) for one, other in both], dtype=bool)
    for name in of.counts:
        agree &= ~(np.abs(np.log(pairs[name] / pairs[f"{name}_asked"])) > ROUNDED)
    for name in of.figures:
        agree &= _one_figure(pairs, name) | pairs[name].isna() | pairs[f"{name}_asked"].isna()
    return agree


def _one_figure(pairs: pd.DataFrame, name: str) -> pd.Series:
    """Whether two figures are one to half of the last digit of the rounder one, at most `ROUNDED`, or to `ONE`."""
    one, other = pairs[name], pairs[f"{name}_asked"]
    half = np.maximum(one.map(_last_digit), other.map(_last_digit)) * (0.5 + 1e-9)
    return (one - other).abs() <= np.maximum(np.minimum(half, ROUNDED * one), ONE * one)


def _last_digit(figure: float) -> float:
    """Unit of the last digit that is not zero: 35,100 is stated to 100."""
    return 10.0 ** Decimal(repr(float(figure))).normalize().as_tuple().exponent if np.isfinite(figure) else np.nan
