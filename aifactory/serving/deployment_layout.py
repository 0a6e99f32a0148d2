"""How many accelerators one worker of a deployment spans, read from layout columns that do not always say so.

Public tables mix conventions. What can be told from the numbers themselves is put right here, by rules:

- an aggregated engine whose degrees multiply to more accelerators than share a scale-up domain repeats one
  degree (64 = 8 tensor-parallel x 8 expert-parallel over the same 8 accelerators);
- in a rack-scale domain, equal prefill and decode degrees that are no power of two or above 16 count the
  whole deployment (36 = one prefill worker of 4 and four decode workers of 8), whatever the mode says;
- a worker whose weights do not fit was not described: the smallest power of two that holds them is taken;
- an aggregated deployment whose requests at a time are several times batch x attention ranks ran so many workers;
  where no ranks are stated and the accelerators divide by it, so many ranks, each with a batch of its own;
- experts over more accelerators than the tensor degree of attention leave it to so many ranks;
- a decode worker of more than 16 accelerators leaves attention to as many ranks, as all that state ranks do: 48 divide
  no model's heads;
- workers that are not stated follow what stated ones do, see `TYPICAL_WORKERS`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Stated decode workers of public disaggregated deployments: 10 x concurrency^-0.02 x accelerators^-0.59, 1 to 12.
TYPICAL_WORKERS = (10.0, -0.02, -0.59, 12.0)
#: Prompts of this many concurrent sequences per prefill worker where none are stated, at equal input and output.
PROMPTS_PER_WORKER, PREFILL_WORKERS_MAX = 400.0, 6.0
#: Requests at a time below which a described rack ran many small decode workers rather than a wide one.
SMALL_LOAD, SMALL_WORKER, WIDE_WORKER = 700.0, 8.0, 32.0
UNFIT_LOAD, FIT_MARGIN = 256.0, 1.15
#: How far requests at a time may lie from a whole multiple of a batch, as a share.
TIMES_OFF = 0.05
STATED_MAX, NODE = 16.0, 8.0
AGGREGATED, DISAGGREGATED = "aggregated", "disaggregated"


def with_layout(d: pd.DataFrame) -> pd.DataFrame:
    """Add split, gpus, prefill_gpus, ranks, workers, prefill_workers and layout (how it was read).

    Parameters
    ----------
    d : deployments with layout columns (NaN where not stated), `concurrency`, `params_b`, `weight_bytes`,
        `memory` (GB) and `node` (accelerators of a scale-up domain).
    """
    aggregated = ~_says_disaggregated(d)
    total, prefill = _instance(d, aggregated)
    alike = aggregated | ((total == prefill) & d["decode_num_workers"].isna())
    whole = alike & (~_power_of_two(total) | (total > STATED_MAX)) & (d["node"] > NODE)
    need = _power_above(FIT_MARGIN * d["params_b"] * d["weight_bytes"] / d["memory"])
    small = np.minimum(SMALL_WORKER, 0.8 * total), np.minimum(WIDE_WORKER, 0.7 * total)
    share = np.where(d["concurrency"] < SMALL_LOAD, *small)
    gpus = np.where(whole, np.maximum(share, need), total)
    prefill = np.where(whole, need, prefill)
    unfit = ((d["params_b"] * d["weight_bytes"] / gpus) > 0.97 * d["memory"]).to_numpy()
    least = np.maximum(need, 4.0)
    gpus = np.where(unfit, np.where(d["concurrency"] < UNFIT_LOAD, least, np.maximum(least, WIDE_WORKER)), gpus)
    prefill = np.where(unfit, least, prefill)
    split = np.where(aggregated & ~whole, AGGREGATED, DISAGGREGATED)
    known = np.where(whole, np.maximum((total - prefill) / gpus, 1.0), d["decode_num_workers"])
    several, dealt = _engines(d, gpus)
    known = np.where(split == AGGREGATED, several, known)
    stated = np.where(whole, "whole", np.where(unfit, "unfit", "stated"))
    ranks = np.where(split == AGGREGATED, dealt, _of(d, "attention_dp_size", aggregated))
    wide = (split == DISAGGREGATED) & ~whole & (gpus > STATED_MAX) & (ranks <= 1)
    ranks = np.where(wide, gpus, ranks)
    return d.assign(
        split=split,
        gpus=gpus,
        prefill_gpus=prefill,
        ranks=np.where(ranks > 1, np.minimum(ranks, gpus), 1.0),
        workers=np.where(np.isfinite(known), known, _typical(d["concurrency"], gpus)),
        prefill_workers=_prefill_workers(d, split),
        layout=np.char.add(stated.astype(str), np.where(np.isfinite(known), "", " of unknown workers")),
    )


def concurrency_of(d: pd.DataFrame) -> pd.Series:
    """Requests at a time: as stated, else batch per attention rank times ranks, else 1.

    Where ranks follow from the experts' degrees alone and what is stated equals the batch, it is that of one rank.
    """
    aggregated, ranks = ~_says_disaggregated(d), _ranks(d)
    several = aggregated & d["attention_dp_size"].isna() & (ranks > 1)
    each = np.where(aggregated, ranks.fillna(1.0), _of(d, "attention_dp_size", aggregated))
    batch = pd.Series(np.where(aggregated, d["batch_size"], d["decode_batch_size"]) * each, index=d.index)
    stated = d["silicon_concurrency"].mask(several & (d["silicon_concurrency"] == d["batch_size"]))
    return stated.fillna(batch).fillna(1.0)


def _ranks(d: pd.DataFrame) -> pd.Series:
    """Attention ranks of aggregated engines: as stated, else accelerators of the experts over the tensor degree; NaN."""
    experts = d["moe_tp_size"].fillna(1.0) * d["moe_ep_size"].fillna(1.0) / d["tp_size"]
    return d["attention_dp_size"].fillna(experts.where((experts > 1) & (np.mod(experts, 1) == 0)))


def _engines(d: pd.DataFrame, gpus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Workers and attention ranks of aggregated deployments, from requests at a time over batch x stated ranks."""
    stated = _ranks(d).to_numpy(dtype=float)
    ranks = np.nan_to_num(stated, nan=1.0)
    times = np.nan_to_num((d["silicon_concurrency"] / (d["batch_size"] * ranks)).to_numpy(dtype=float), nan=1.0)
    times = np.where((times >= 2) & (np.abs(times - np.round(times)) < TIMES_OFF * times), np.round(times), 1.0)
    dealt = np.isnan(stated) & (np.mod(gpus, times) == 0)
    return np.where(dealt, 1.0, times), np.where(dealt, times, ranks)


def _says_disaggregated(d: pd.DataFrame) -> pd.Series:
    mode = d["mode"].str.lower()
    return mode.str.startswith("dis") | (mode.eq("") & d["decode_tp_size"].notna() & d["tp_size"].isna())


def _of(d: pd.DataFrame, name: str, aggregated: pd.Series, role: str = "decode_") -> np.ndarray:
    """Degree of the only worker or of the one in a role; 1 where not stated."""
    return np.nan_to_num(np.where(aggregated, d[name], d[role + name]), nan=1.0)


def _instance(d: pd.DataFrame, aggregated: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Accelerators of a decode (or the only) worker and of a prefill worker, as the degrees multiply."""
    found = []
    for role in ("decode_", "prefill_"):
        tensor, data, expert_tensor, expert = (
            _of(d, name, aggregated, role) for name in ("tp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size")
        )
        product = np.maximum(tensor * data, expert_tensor * expert)
        once = np.where(expert_tensor == expert, expert, np.where(tensor == data, tensor, d["node"]))
        repeated = aggregated & (product > d["node"])
        found.append(np.where(repeated, np.minimum(once, d["node"]), product))
    return found[0], found[1]


def _power_of_two(n: np.ndarray) -> np.ndarray:
    return np.exp2(np.round(np.log2(n))) == n


def _power_above(n: pd.Series) -> np.ndarray:
    return np.exp2(np.ceil(np.log2(np.maximum(n.fillna(1.0).to_numpy(), 1.0))))


def _typical(concurrency: pd.Series, gpus: np.ndarray) -> np.ndarray:
    factor, of_load, of_size, most = TYPICAL_WORKERS
    return np.clip(factor * concurrency**of_load * gpus**of_size, 1.0, most)


def _prefill_workers(d: pd.DataFrame, split: np.ndarray) -> np.ndarray:
    guess = np.clip(d["concurrency"] * d["isl"] / d["osl"] / PROMPTS_PER_WORKER, 1.0, PREFILL_WORKERS_MAX)
    return np.where(split == AGGREGATED, 1.0, d["prefill_num_workers"].fillna(guess))
