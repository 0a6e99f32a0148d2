"""Rows that leave out conditions which others of their kind state: predicted under several of those, and pooled.

A blank precision, batch, length or number of accelerators is not the usual one but any of those that are usual. Each such
row is copied with the conditions of rows of the training table, jointly, and answered by the pool of the copies' answers:
its interval is as wide as these conditions make it. A model split over g accelerators runs on as many or more: where the
split is stated and the number is not, it is that of rows of the same split; and weights fit into the accelerators. What
most rows of its own source leave out too is left as it is, since the tiers learnt from such rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from aifactory.serving.intervals import pooled_quantiles
from aifactory.serving.measurements import families
from aifactory.serving.tiers import ANCHORED, MEASURED, REFUSED

CONDITIONS = ("source", "precision", "batch_or_concurrency", "tp", "input_tokens", "output_tokens", "accel_count")
#: What other sources do not tell of one that was never seen: a blank means the batch and layout that yield most.
OWN_WAYS = ("batch_or_concurrency", "tp")
#: What donors share with a row, the nearest kind first that has so many rows; copies of a row; rows predicted at once.
KINDS = (
    *((name, *more) for name in ("source", "family") for more in (("scenario", "metric", "model"), ("scenario", "metric"), ("metric",))),
    ("model", "scenario", "metric"), ("scenario", "metric", "task"), ("metric", "task"), ("metric",),
)  # fmt: skip
DONORS, COPIES, AT_ONCE = 5, 9, 2000


def with_conditions(asked: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Copies of the rows of `asked` that leave out what most donors among `others` state; columns of `asked`, `copy_of` and `unstated`.

    `copy_of` is the row's index, `unstated` names what was filled in. Both tables are as `read_measurements` gives them.
    """
    asked, others = (table.assign(family=families(table["source"])) for table in (asked, others))
    blank = pd.DataFrame({name: _blank(asked[name]) for name in CONDITIONS}, index=asked.index)
    shared = [asked[name] for name in dict.fromkeys(name for kind in KINDS for name in kind)]
    shared.append(asked["tp"].where(blank["accel_count"]))
    parts = [asked[:0].assign(copy_of=0, unstated="")]
    for _, rows in asked.groupby(
        [*shared, *(blank[name].rename(f"no {name}") for name in CONDITIONS)], sort=False, dropna=False
    ):
        names = [name for name in CONDITIONS if blank.loc[rows.index[0], name]]
        stated = _stated(rows.iloc[0], names, others)
        if len(stated):
            parts.append(_copies(rows, stated))
    return pd.concat(parts, ignore_index=True)


def _stated(row: pd.Series, names: list[str], others: pd.DataFrame) -> pd.DataFrame:
    """Those of the conditions `names` that most donors of a row state, from the donors that state them all.

    A number of accelerators beside a stated split comes from rows of that split; without such rows it stays blank.
    """
    known = not row["family"] or row["family"] in set(others["family"])
    donors = others[:0]
    if "accel_count" in names and row["tp"] > 0:
        donors = donors_of(row, others, [(*kind, "tp") for kind in KINDS])
        names = names if len(donors) else [name for name in names if name != "accel_count"]
    donors = donors if len(donors) else donors_of(row, others, KINDS)
    donors = donors[[name for name in names if known or name not in OWN_WAYS]]
    donors = donors.loc[:, [_blank(donors[name]).mean() <= 0.5 for name in donors]]
    return donors[~donors.apply(_blank).any(axis=1)] if len(donors.columns) else donors[:0]


def _blank(column: pd.Series) -> pd.Series:
    return column.isna() | (column == "")


def donors_of(row: pd.Series, others: pd.DataFrame, kinds: Sequence[Sequence[str]]) -> pd.DataFrame:
    """Rows of the nearest of `kinds`, columns that they share with a row, of which there are enough."""
    for kind in kinds:
        same = np.logical_and.reduce([others[name] == row[name] for name in kind])
        if same.sum() >= DONORS:
            return others[same]
    return others[:0]


def spread_over(ordered: pd.DataFrame) -> pd.DataFrame:
    """`COPIES` rows, evenly over the order of a table."""
    return ordered.iloc[((np.arange(COPIES) + 0.5) / COPIES * len(ordered)).astype(int)]


def _copies(rows: pd.DataFrame, donors: pd.DataFrame) -> pd.DataFrame:
    """Every row with the conditions of `COPIES` donors, evenly over their order."""
    ordered = donors.sort_values(list(donors.columns), kind="stable", ignore_index=True)
    picked = spread_over(ordered)
    many = rows.loc[rows.index.repeat(COPIES)]
    filled = {name: np.tile(picked[name].to_numpy(), len(rows)) for name in donors}
    words = ", ".join(name.replace("_", " ") for name in donors)
    return many.assign(**filled, copy_of=many.index, unstated=words)


def that_hold_weights(copies: pd.DataFrame) -> pd.DataFrame:
    """Copies (with features) of a row without those whose number of accelerators, not stated, is too small for the weights.

    Language models only: 10^9 parameters x bytes of each > accelerators x GB. All stay where none is large enough.
    """
    need = copies["params_b"] * copies["weight_bytes"]
    small = (need > copies["accelerators"] * copies["memory"]) & copies["regime"].str.startswith("llm")
    small &= copies["unstated"].str.contains("accel count", regex=False)
    return copies[~small | small.groupby(copies["copy_of"]).transform("all")]


def pooled(answer: pd.DataFrame, copies: pd.DataFrame, predict: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """`answer` with the rows that `copies` (with features) stand for answered by the pool of theirs.

    The middle and the ends are the quantiles 50, 10 and 90 % of the mixture in logs, copies weighing the same. A row of which
    most copies are refused is refused as they are.
    """
    copies = copies[copies["copy_of"].isin(answer.index)]
    if copies.empty:
        return answer
    parts = [predict(copies.iloc[at : at + AT_ONCE]) for at in range(0, len(copies), AT_ONCE)]
    said = pd.concat(parts).assign(copy_of=copies["copy_of"], unstated=copies["unstated"])
    answer = answer.copy()
    for place, own in said.groupby("copy_of"):
        spoken = own[own["predicted"].notna()]
        if 2 * len(spoken) < len(own):
            first = own[own["predicted"].isna()].iloc[0]
            answer.loc[place, ["predicted", "low80", "high80"]] = np.nan
            answer.loc[place, ["tier", "reason"]] = [REFUSED, first["reason"]]
            continue
        columns = ["low80", "predicted", "high80"]
        answer.loc[place, columns] = pooled_quantiles(*spoken[columns].to_numpy(dtype=float).T)
        tier = spoken["tier"].mode().iloc[0]
        words = f"{spoken['reason'].iloc[0]}; {spoken['unstated'].iloc[0]} not stated: over those of rows of its kind"
        answer.loc[place, ["tier", "reason"]] = [ANCHORED if tier == MEASURED else tier, words]
    return answer
