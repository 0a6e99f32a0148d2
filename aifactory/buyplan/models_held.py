"""Whether the accelerators of a pool hold the models of all its live work at once: the plan counts work, not room for weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Answer, Case
from aifactory.fleet.streams import EXPECTED, Streams
from aifactory.serving.kv_cache import MEMORY_SHARE
from aifactory.serving.weights import BYTES, bytes_per_weight
from aifactory.units import counted, three_digits

KEYS = ["use_case_id", "accelerator_id"]


def room_sentences(
    case: Case, answer: Answer, *, models: pd.DataFrame, accelerators: pd.DataFrame, capacity: pd.DataFrame
) -> list[str]:
    """One sentence for each pool that, in the busiest hour of a month, has less memory than the weights of what is live in that month take.

    Weights alone are counted, once for each model whatever number of use cases it serves, at the precision that was measured or else the
    model's own: KV cache and activations come on top. Work that may wait hours may load its model when its turn comes.

    Parameters
    ----------
    models, accelerators : the catalogue; capacity : use_case_id, accelerator_id, precision.
    """
    streams, load = case.streams, answer.expected.load
    weights = _weights_gb(streams, models.set_index("model"), capacity)
    room = (
        accelerators.drop_duplicates("accelerator_id").set_index("accelerator_id")["memory_gb"].astype(float)
        * MEMORY_SHARE
    )
    held = case.slots.total(load.held * case.slots.size, case.pools)
    return list(_short_of_room(streams, weights, room, held))


def _short_of_room(streams: Streams, weights: np.ndarray, room: pd.Series, held: np.ndarray) -> Iterator[str]:
    for pool, place in enumerate(streams.pools.itertuples(index=False)):
        each, mine = room.get(place.accelerator_id, np.nan), (streams.pool == pool) & ~streams.waits & (weights > 0)
        each_gb, works = _live_models(streams, weights, np.flatnonzero(mine))
        need = works @ each_gb.to_numpy()
        lacks = (works.sum(axis=1) > 1) & (held[1:, pool] * each < need * (1 - 1e-9))
        if lacks.any():
            worst = int(np.where(lacks, need - held[1:, pool] * each, -np.inf).argmax())
            names = ", ".join(f"{name} {three_digits(gb)} GB" for name, gb in each_gb[works[worst]].items())
            yield (
                f"{place.accelerator_id} in {place.region} cannot hold the models of its live work at once in {counted(int(lacks.sum()), 'month')}: in {streams.months[worst + 1]} their weights "
                f"({names}) fill {np.ceil(need[worst] / each):.0f} accelerators, held are {held[worst + 1, pool]:,.0f} in the busiest hour. The plan counts work "
                "and not room for models: hold more, serve them by one model, or keep one of them on another platform."
            )


def _live_models(streams: Streams, weights: np.ndarray, rows: np.ndarray) -> tuple[pd.Series, np.ndarray]:
    """GB of each model of some streams, and whether one of them has work for it in each month, [T, models]."""
    table = streams.table.iloc[rows].assign(weights_gb=weights[rows])
    each_gb = table.drop_duplicates("model").set_index("model")["weights_gb"]
    at_work = streams.units[EXPECTED, 1:, rows].T > 0
    of_model = table["model"].to_numpy()[:, None] == each_gb.index.to_numpy()
    return each_gb, (at_work.astype(int) @ of_model.astype(int)) > 0


def _weights_gb(streams: Streams, models: pd.DataFrame, capacity: pd.DataFrame) -> np.ndarray:
    """[K] weights of the model of each stream, GB; NaN where its size is not known."""
    table = streams.table
    known = models.reindex(table["model"])
    measured = capacity.drop_duplicates(KEYS).set_index(KEYS)["precision"]
    measured = measured.reindex(pd.MultiIndex.from_frame(table[KEYS]))
    own = known["default_precision"].to_numpy()
    names = [
        next((name for name in (first, second) if name in BYTES), "bf16")
        for first, second in zip(measured, own, strict=True)
    ]
    held = [bytes_per_weight(model, name) for (_, model), name in zip(known.iterrows(), names, strict=True)]
    return known["params_total_b"].to_numpy(dtype=float) * np.array(held)
