"""Closed forms of the time per output token and to first token of a deployment with N requests at a time.

A worker holds n = min(N / workers, sequences that its memory left for KV cache holds). One decode step:

    t = weights touched / (g B) + n context kv / (s B) + n work / C + q g^c (work + attention) / C_prompt
        + 2 layers (start + moved) + layers t_layer + n t_sequence + 1 ms

over g accelerators, s of which hold different KV (grouped heads split no further than their number, a latent
cache not at all; attention ranks hold different sequences). q = n in / out tokens of prompts share the step of an
aggregated engine only: each finished answer lets a prompt in. They are split less well than steps are (g^c), and
what is moved between accelerators holds them too. Prompts attend at the peak of 16 bits,
whatever the weights have. Links across nodes are slower. Requests
that a stated prefill pool has not let in yet (n = w out t / p at most), or
beyond the seats of decode engines, take no part in a step; their wait is added to the prediction (`deployment_crowd.py`). An engine that does both spends more on each sequence than
one that only decodes. Weights touched by n sequences of a mixture: 1 - (1 - share)^n.

Where tokens are speculated (deployments that lists leave out, `deployment_recipes.with_speculated`) a step checks
`CHECKED` tokens of each sequence, of which `ACCEPTED` are kept: experts, products and sums for as many, the KV cache
read once. One layer that proposes one token, kept 85 to 90 times of 100: DeepSeek-V3 report (arXiv 2412.19437), section
5.4.3; nothing of it is fitted to deployments.

First token: the prompt's own time p, in which g accelerators of a worker add up their parts twice a layer (all-reduces
of 16 bits by ring: 8 (g - 1) / g bytes for each layer, width and token) at one speed: prompts of 1,024 and 8,192 tokens
of Llama 70B under 4 requests tell 17 us x (g - 1) / g a token on B200 and 18 us on H100, with half its links; plus
- the burst at the start of a closed loop, a share of n p, and M/D/1 waiting p u / (2 (1 - u)) at the share u of
  time that prompts take;
- requests that find no memory wait for a seat: (N / seats - 1) (p + out t), a closed loop's identity;
- a disaggregated prefill pool of w workers that cannot keep up: N p / w - out t, and the transfer; where nobody states
  w, as many as keep up: N / w at most out t / p;
- steps under way, engine and client overhead. Engines may send several tokens at a time, so that what is measured as
  the first token comes that many steps later: constants of each engine that does both, one for all others.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from aifactory.inputs.resources import data_dir
from aifactory.serving.deployment_layout import AGGREGATED

DENSE_SHARE = 0.95
#: Memory for weights and KV cache, what engines reserve by default: the rest is for graphs and activations.
MEMORY_SHARE, KV_NARROW_HELD = 0.9, 0.75
SLOW_LINK_GB_PER_S, SLOW_START = 200.0, 2.5
BUSY_MAX, SOFTNESS = 0.95, 0.25
#: Tokens of a sequence that a step with speculation checks, and those that are kept.
CHECKED, ACCEPTED = 2.0, 1.8
#: What the constants of the steps of each engine begin with.
STEPS = "ttft_steps_"
#: Shares of the peak that a prefill pool with many prompts reaches, mixtures and dense models; rounds of Little's law.
POOL_MIXTURE, POOL_DENSE, ROUNDS = 0.29, 1.0, 30


@cache
def deployment_constants() -> dict[str, float]:
    """Fitted constants of the closed forms: see `data/prediction/deployment_model.csv`."""
    table = pd.read_csv(data_dir() / "prediction" / "deployment_model.csv")
    return dict(zip(table["constant"], table["value"].astype(float), strict=True))


def with_prior(d: pd.DataFrame, c: dict[str, float]) -> pd.DataFrame:
    """Closed forms in log milliseconds, `prior_tpot` and `prior_ttft`."""
    v = {name: d[name].to_numpy(dtype=float) for name in d.columns if d[name].dtype.kind in "fi"}
    v["mixture"] = (d["sparse"] == "mixture").to_numpy()
    v["together"] = (d["split"] == AGGREGATED).to_numpy()
    v["first_steps"] = _first_steps(d, c)
    faster = d["speculated"].to_numpy()
    v["checked"], v["accepted"] = np.where(faster, CHECKED, 1.0), np.where(faster, ACCEPTED, 1.0)
    waiting = np.maximum(v["concurrency"] / v["workers"], 1.0)
    seats = _seats(v)
    tpot_s = _step_s(v, _let_in(v, np.minimum(waiting / v["crowd"], seats), c), c)
    ttft_s = _first_token_s(v, waiting, seats, tpot_s, c)
    return d.assign(prior_tpot=np.log(1e3 * tpot_s), prior_ttft=np.log(1e3 * ttft_s))


def _first_steps(d: pd.DataFrame, c: dict[str, float]) -> np.ndarray:
    """Steps between the end of a prompt and what is measured as its first token, by engine; of unknown ones the middle."""
    known = {name.removeprefix(STEPS): value for name, value in c.items() if name.startswith(STEPS)}
    middle = float(np.median(list(known.values())))
    own = np.array([known.get(str(name).lower(), middle) for name in d["backend"]], dtype=float)
    return np.where(d["split"] == AGGREGATED, own, c["ttft_steps"])


def _seats(v: dict[str, np.ndarray]) -> np.ndarray:
    """Sequences whose KV cache one worker holds, at least 1."""
    room = MEMORY_SHARE * v["memory"] - v["params_b"] * v["weight_bytes"] / v["gpus"]
    room = np.maximum(room, 0.02 * v["memory"]) * v["kv_shards"]
    narrow = np.where(v["weight_bytes"] < 2, KV_NARROW_HELD, 1.0)
    return np.maximum(room / (v["kv_gb"] * narrow * (v["isl"] + 0.75 * v["osl"])), 1.0)


def _let_in(v: dict[str, np.ndarray], held: np.ndarray, c: dict[str, float]) -> np.ndarray:
    """Sequences that decode together: of `held` those that a stated prefill pool lets in while an answer lasts.

    Little's law: n = w out t(n) / p for each decode worker, from above, so that the largest such n is found.
    """
    reached = v["prefill_gpus"] * v["peak"] * np.where(v["mixture"], POOL_MIXTURE, POOL_DENSE)
    each = v["isl"] * _operations(v) / reached * v["workers"] / v["prefill_workers"]
    bound = ~v["together"] & (v["keeps_up"] == 0)
    found = held
    for _ in range(ROUNDS if bound.any() else 0):
        let_in = np.clip(v["osl"] * _step_s(v, found, c) / each, 1.0, held)
        found = np.where(bound, let_in, held)
    return found


def _prompt_s(v: dict[str, np.ndarray], c: dict[str, float]) -> np.ndarray:
    """Seconds that one prefill worker computes on one prompt."""
    reached = v["prefill_gpus"] * v["peak"] * np.where(v["mixture"], c["ttft_mixture"], c["ttft_dense"])
    moved = 8e-9 * v["layers"] * v["width"] * (1 - 1 / v["prefill_gpus"]) / c["ttft_moved_gb_per_s"]
    return v["isl"] * (_operations(v) / reached + moved)


def _operations(v: dict[str, np.ndarray]) -> np.ndarray:
    """Tera-operations of a token of a prompt, scores as many as they are worth at the peak of the weights."""
    scores = 2e-12 * v["isl"] * v["layers"] * v["width"] * v["peak"] / v["peak_16bit"]
    return 2e-3 * v["active_b"] + scores


def _step_s(v: dict[str, np.ndarray], held: np.ndarray, c: dict[str, float]) -> np.ndarray:
    """Seconds of a step over the tokens of a sequence that it yields."""
    mixture, gpus, layers, checked = v["mixture"], v["gpus"], v["layers"], held * v["checked"]
    share = np.minimum(v["active_b"] / v["params_b"], 1.0)
    tokens = np.maximum(checked * c["expert_spread"], 1.0)
    touched = np.where(mixture, 1 - (1 - share) ** tokens, 1.0)
    narrow = np.where(v["weight_bytes"] < 2, c["kv_narrow"], 1.0)
    kv = held * (v["isl"] + v["osl"] / 2) * v["kv_gb"] * narrow / v["kv_shards"]
    memory = (v["params_b"] * v["weight_bytes"] * touched / gpus + kv) / (v["bandwidth"] * c["bandwidth"])
    wide = np.where(mixture, c["moe_compute"], 1.0)
    work = 2e-3 * v["active_b"] * wide / gpus / v["peak"]
    prompts = np.where(v["together"], v["accepted"] * held * v["isl"] / v["osl"], 0.0)
    scores = c["attention"] * 2e-12 * v["isl"] * layers * v["width"] / gpus / v["peak_16bit"]
    mixed = prompts * gpus ** c["prompt_split"] * (work + scores) / c["prefill"]
    far = gpus > v["node"]
    link = c["link"] * np.where(far, np.minimum(v["link"], c["far_link"]), v["link"])
    start = np.where(far, c["far_us"], c["allreduce_us"]) * np.where(v["link"] > SLOW_LINK_GB_PER_S, 1.0, SLOW_START)
    moved = (checked + prompts) * v["width"] * 2e-9 / link / v["ranks"]
    links = np.where(gpus > 1, 2 * layers * (1e-6 * start + 2 * moved), 0.0)
    each_layer = 1e-6 * layers * c["layer_us"] * np.where(mixture, c["moe_layer"], 1.0)
    each_sequence = 1e-6 * held / v["ranks"] * np.where(v["together"], c["sequence_us"], c["sequence_apart_us"])
    step = memory + checked * work / c["compute"] + links + mixed + each_layer + each_sequence + 1e-3 * c["step_ms"]
    return step / v["accepted"]


def _first_token_s(
    v: dict[str, np.ndarray], waiting: np.ndarray, seats: np.ndarray, tpot_s: np.ndarray, c: dict[str, float]
) -> np.ndarray:
    across = np.where(v["gpus"] > v["node"], c["ttft_far"], 1.0)
    own = across * _prompt_s(v, c) + 1e-6 * v["layers"] * c["ttft_layer_us"]
    answer = tpot_s * v["osl"]
    busy = np.minimum(own * waiting / (answer + own), BUSY_MAX)
    steady = np.minimum(busy / (2 * (1 - busy)), waiting)
    lined = own * (c["ttft_burst"] * (waiting - 1) + c["ttft_steady"] * steady)
    seated = c["ttft_full"] * np.maximum(waiting / seats - 1, 0.0) * (own + answer)
    pool = v["concurrency"] / v["prefill_workers"]
    pool = np.where(v["keeps_up"] > 0, np.minimum(pool, answer / own), pool)
    late = (pool * own - answer) / (SOFTNESS * answer)
    behind = c["ttft_behind"] * SOFTNESS * answer * (np.maximum(late, 0.0) + np.log1p(np.exp(-np.abs(late))))
    behind = np.where(v["keeps_up"] > 0, 0.0, behind)
    apart = own * c["ttft_burst"] * np.maximum(pool - 1, 0.0) + behind + 1e-3 * c["ttft_transfer_ms"]
    outside = v["first_steps"] * tpot_s + 1e-3 * c["ttft_ms"] + 1e-6 * c["ttft_client_us"] * v["concurrency"]
    return own + np.where(v["together"], lined + seated, apart) + outside
