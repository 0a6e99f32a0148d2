"""How many accelerators hold one copy of a model: the smallest instance or server that can serve it alone.

A stated size of the tested system wins; else what was tested shows that it fits, and the widest job that ran anywhere what must stand
together, up to a node of the catalogue: jobs stay as wide on any accelerator (`aifactory.fleet.widths`); else the memory of the model says it: the fewest of 1, 2, 4, ... whose memory holds weights, activations and the KV cache, and a quarter
of the weights again for the cache, as the serving engine plans it. Production that serves from a smaller pool refutes the
memory: weights may be narrower than the model's own. Nothing is known of other models: the catalogue's node holds them.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.benchmark.estimates import mean_lengths
from aifactory.benchmark.telemetry import KEYS, POOL
from aifactory.inputs.workspace import Workspace
from aifactory.serving.kv_cache import MEMORY_SHARE, memory_need
from aifactory.serving.step_time_specs import TENSOR_PARALLEL
from aifactory.serving.weights import BYTES, bytes_per_weight

#: Room for the KV cache of a working replica, over the weights.
CACHE_SHARE = 0.25
STATED, TESTED = "stated_replica", "tested_accelerators"
SMALLER = "; one copy takes {:.0f} accelerators or fewer, since production serves from no more"


def with_replicas(ws: Workspace, capacity: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """Add `replica_accelerators` to capacities: NaN where only the node of the catalogue is known to hold the model.

    Parameters
    ----------
    capacity : use_case_id, accelerator_id, precision, tier, evidence; of measured cells `STATED` and `TESTED` too.
    shown : what production shows, see `telemetry.shown_capacities`; where its pool is smaller than the memory asks for,
        `evidence` says so.
    """
    chips, cases = (ws.table(name).set_index(name[:-1] + "_id") for name in ("accelerators", "use_cases"))
    models = ws.table("models").set_index("model")
    lengths, found, evidence = mean_lengths(ws), [], []
    pools, widest, together = shown.set_index(KEYS)[POOL], _widest_jobs(ws, KEYS), _widest_jobs(ws, "use_case_id")
    for cell in capacity.itertuples(index=False):
        chip, model = chips.loc[cell.accelerator_id], cases.loc[cell.use_case_id, "model"]
        fits = np.nan
        if isinstance(model, str) and model in models.index:
            context = sum(lengths.get(cell.use_case_id, {}).values())
            fits = smallest_replica(models.loc[model], getattr(cell, "precision", None), chip, context)
        held = float(pools.get((cell.use_case_id, cell.accelerator_id), np.nan))
        smaller = within_pool(fits, held) if _untested(cell) else fits
        node = np.fmax(float(chip["accelerators_per_node"]), fits)
        here = widest.get((cell.use_case_id, cell.accelerator_id), np.nan)
        size = smaller if _untested(cell) else _as_tested(cell, node, here)
        stated = float(getattr(cell, STATED, np.nan)) > 0
        found.append(size if stated else float(np.maximum(size, min(together.get(cell.use_case_id, 1.0), node))))
        evidence.append(cell.evidence + (SMALLER.format(smaller) if found[-1] < fits else ""))
    return capacity.assign(replica_accelerators=np.array(found, dtype=float), evidence=evidence)


def within_pool(fits: float, held: float) -> float:
    """Accelerators of a copy by memory, or the most of 1, 2, 4, ... within the pool that serves it today where that is smaller.

    >>> within_pool(8.0, 4.0), within_pool(8.0, 6.0), within_pool(2.0, 6.0), within_pool(8.0, np.nan)
    (4.0, 4.0, 2.0, 8.0)
    """
    return max((float(count) for count in TENSOR_PARALLEL if count <= held), default=fits) if held < fits else fits


def _untested(cell: tuple) -> bool:
    return cell.tier != "measured" and not float(getattr(cell, TESTED, np.nan)) > 0


def _as_tested(cell: tuple, node: float, ran: float) -> float:
    stated, tested = float(getattr(cell, STATED, np.nan)), float(getattr(cell, TESTED, np.nan))
    return stated if stated > 0 else float(np.fmin(np.fmax(tested, ran), node))


def _widest_jobs(ws: Workspace, by: str | list[str]) -> dict:
    """Most accelerators of one job that began by the end of the month."""
    jobs = ws.table("jobs")
    jobs = jobs[jobs["started_utc"] < pd.Timestamp(ws.as_of, tz="UTC") + pd.Timedelta(days=1)]
    return jobs.groupby(by)["accelerators"].max().astype(float).to_dict()


def smallest_replica(model: pd.Series, precision: object, chip: pd.Series, context_tokens: float = 0.0) -> float:
    """Fewest accelerators of 1, 2, 4, ... that hold a row of the models table; NaN where sizes are unknown or none does.

    >>> llama = pd.Series({"params_total_b": 70.6, "attention": "gqa", "layers": 80, "kv_heads": 8, "head_dim": 128,
    ...     "hidden_size": 8192, "default_precision": "bf16"})
    >>> [smallest_replica(llama, name, pd.Series({"memory_gb": 48.0})) for name in ("bf16", "fp8", None)]
    [8.0, 4.0, 8.0]
    """
    known = [name for name in (precision, model.get("default_precision")) if name in BYTES]
    width = bytes_per_weight(model, known[0] if known else "bf16")
    memory = MEMORY_SHARE * float(chip["memory_gb"])
    for count in TENSOR_PARALLEL:
        need = memory_need(model, width, count, context_tokens)
        least = max(need.total_gb, (1.0 + CACHE_SHARE) * need.weights_gb)
        if np.isfinite(memory) and np.isfinite(least) and least <= memory * count:
            return float(count)
    return np.nan
