"""Deployments whose requests at a time or layout are not stated: predicted under several usual ones, and pooled.

Each such row is copied with the loads or the layouts of measured deployments of its kind, jointly, and answered by the
pool of the copies' answers, as `unstated` does for published throughput.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from aifactory.serving.intervals import pooled_quantiles
from aifactory.serving.unstated import COPIES, donors_of, spread_over

#: How many requests there are at a time; fewer than one are served as one.
LOADS = ("silicon_concurrency", "batch_size", "decode_batch_size")
#: What else a layout holds: the degrees of workers, and how many there are.
DEGREES = (
    "tp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size", "prefill_tp_size", "prefill_attention_dp_size",
    "prefill_moe_tp_size", "prefill_moe_ep_size", "decode_tp_size", "decode_attention_dp_size", "decode_moe_tp_size",
    "decode_moe_ep_size",
)  # fmt: skip
WORKERS = ("prefill_num_workers", "decode_num_workers")
#: What donors share with a row, the nearest kind first.
KINDS = (
    ("split", "chip", "architecture", "precision"), ("split", "chip", "architecture"), ("split", "architecture"),
    ("split", "chip", "sparse"), ("split", "sparse"), ("split",),
)  # fmt: skip
WORDS = {
    LOADS: "requests at a time",
    (*DEGREES, *WORKERS): "layout",
    (*LOADS, *DEGREES, *WORKERS): "requests at a time and layout",
}


def with_conditions(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Copies of the rows that state no load or no degree, with those of donors among `others`; and `copy_of`, `unstated`."""
    no_load, no_degree = rows[list(LOADS)].isna().all(axis=1), rows[list(DEGREES)].isna().all(axis=1)
    parts = [rows[:0].assign(copy_of=0, unstated="")]
    for load, degree in ((True, False), (False, True), (True, True)):
        names = (*(LOADS if load else ()), *((*DEGREES, *WORKERS) if degree else ()))
        for place in rows.index[(no_load == load) & (no_degree == degree)]:
            row = rows.loc[[place]]
            donors = donors_of(row.iloc[0], _stating(others, load=load, degree=degree), KINDS)
            if len(donors):
                parts.append(_copies(row, donors, names))
    return pd.concat(parts, ignore_index=True)


def _stating(others: pd.DataFrame, *, load: bool, degree: bool) -> pd.DataFrame:
    """Deployments that state what is asked for."""
    asked = [*([LOADS] if load else []), *([DEGREES] if degree else [])]
    return others[np.logical_and.reduce([others[list(names)].notna().any(axis=1) for names in asked])]


def _copies(row: pd.DataFrame, donors: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """The row with the conditions of `COPIES` donors, evenly over their order by load and size."""
    ordered = donors.sort_values(["concurrency", "gpus"], kind="stable")
    picked = spread_over(ordered)
    filled = {name: picked[name].to_numpy() for name in names}
    return row.loc[row.index.repeat(COPIES)].assign(**filled, copy_of=row.index[0], unstated=WORDS[names])


def pooled(answer: pd.DataFrame, copies: pd.DataFrame, predict: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """`answer` with the rows that `copies` stand for answered by the pool of theirs, `predict` answering each copy."""
    said = predict(copies).assign(copy_of=copies["copy_of"], unstated=copies["unstated"])
    answer = answer.copy()
    for place, own in said[said["predicted_tpot_ms"].notna()].groupby("copy_of"):
        for target in ("ttft", "tpot"):
            columns = [f"{part}_{target}_ms" for part in ("low80", "predicted", "high80")]
            answer.loc[place, columns] = pooled_quantiles(*own[columns].to_numpy(dtype=float).T)
        answer.loc[place, "reason"] = (
            f"{own['reason'].iloc[0]}; {own['unstated'].iloc[0]} not stated: over those of deployments of its kind"
        )
    return answer
