"""How many accelerators hold one copy of a model: the smallest instance or server that can serve it alone.

A stated size of the tested system wins; else what ran shows that it fits, up to a node of the catalogue; else the memory
of the model says it: the fewest of 1, 2, 4, ... whose memory holds weights, activations and the KV cache, and a quarter
of the weights again for the cache, as the serving engine plans it. Nothing is known of other models: the catalogue's
node holds them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.benchmark.estimates import mean_lengths
from aifactory.inputs.workspace import Workspace
from aifactory.serving.kv_cache import MEMORY_SHARE, memory_need
from aifactory.serving.step_time_specs import BYTES, TENSOR_PARALLEL

#: Room for the KV cache of a working replica, over the weights.
CACHE_SHARE = 0.25
STATED, TESTED = "stated_replica", "tested_accelerators"


def with_replicas(ws: Workspace, capacity: pd.DataFrame) -> pd.DataFrame:
    """Add `replica_accelerators` to capacities: NaN where only the node of the catalogue is known to hold the model.

    Parameters
    ----------
    capacity : use_case_id, accelerator_id, precision, tier; of measured cells `STATED` and `TESTED` too.
    """
    chips, cases = (ws.table(name).set_index(name[:-1] + "_id") for name in ("accelerators", "use_cases"))
    models = ws.table("models").set_index("model")
    lengths, found = mean_lengths(ws), []
    for cell in capacity.itertuples(index=False):
        chip, model = chips.loc[cell.accelerator_id], cases.loc[cell.use_case_id, "model"]
        fits = np.nan
        if isinstance(model, str) and model in models.index:
            context = sum(lengths.get(cell.use_case_id, {}).values())
            fits = smallest_replica(models.loc[model], getattr(cell, "precision", None), chip, context)
        found.append(_of_cell(cell, fits, float(chip["accelerators_per_node"])))
    return capacity.assign(replica_accelerators=np.array(found, dtype=float))


def _of_cell(cell: tuple, fits: float, node: float) -> float:
    stated, tested = float(getattr(cell, STATED, np.nan)), float(getattr(cell, TESTED, np.nan))
    if cell.tier != "measured" and not tested > 0:
        return fits
    return stated if stated > 0 else float(np.fmin(tested, np.fmax(node, fits)))


def smallest_replica(model: pd.Series, precision: object, chip: pd.Series, context_tokens: float = 0.0) -> float:
    """Fewest accelerators of 1, 2, 4, ... that hold a row of the models table; NaN where sizes are unknown or none does.

    >>> llama = pd.Series({"params_total_b": 70.6, "attention": "gqa", "layers": 80, "kv_heads": 8, "head_dim": 128,
    ...     "hidden_size": 8192, "default_precision": "bf16"})
    >>> [smallest_replica(llama, name, pd.Series({"memory_gb": 48.0})) for name in ("bf16", "fp8", None)]
    [8.0, 4.0, 8.0]
    """
    known = [name for name in (precision, model.get("default_precision")) if name in BYTES]
    width = BYTES[known[0] if known else "bf16"]
    memory = MEMORY_SHARE * float(chip["memory_gb"])
    for count in TENSOR_PARALLEL:
        need = memory_need(model, width, count, context_tokens)
        least = max(need.total_gb, (1.0 + CACHE_SHARE) * need.weights_gb)
        if np.isfinite(memory) and np.isfinite(least) and least <= memory * count:
            return float(count)
    return np.nan
