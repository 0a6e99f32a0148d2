"""Moving the KV cache of a prompt from the pool that prefills to the one that decodes.

    seconds per token = KV bytes per token, copies included / (accelerators that hold them x link x share reached)

Each accelerator sends its part over its own link. Where both replicas fit into one node that is the scale-up link of the
catalogue, else a network adapter for each accelerator. Nothing is hidden behind the steps: engines that send layer by
layer while they compute wait for less, so this is the high end (judged; measured below).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.units import GIGA

#: 400 Gb/s an accelerator, as nodes of eight H100, H200 or B200 have (vendor's system guides); assumed for all others.
NETWORK_GB_PER_S = 50.0
#: Share of the line rate: Mooncake and vLLM moved caches of 2,048 to 32,768 tokens (Qwen3-8B, one replica to one, eight
#: adapters of 25 GB/s) at 0.60 to 0.76 of it, 0.39 to 0.51 below 2,048 (kvcache-ai.github.io, vLLM v1 benchmark, read 2026-11-29).
NETWORK_SHARE = 0.7


def transfer_s_per_token(kv_bytes: float, accelerators: float, gb_per_s: float) -> float:
    """Seconds that the cache of a token takes over so many links of a bandwidth each.

    Parameters
    ----------
    kv_bytes : of a token on all accelerators that hold it, copies included.
    accelerators : those that hold parts of it.
    gb_per_s : what each link reaches.

    >>> round(32768 * transfer_s_per_token(147_456, 8, 0.7 * 25.0), 4)  # Qwen3-8B over eight of 25 GB/s: measured 0.0317
    0.0345
    """
    return kv_bytes / (accelerators * gb_per_s * GIGA)


def transfer_gb_per_s(accelerator: pd.Series, degree: int, link_share: float) -> float:
    """What a link between two replicas of so many accelerators reaches, GB/s in one direction, an accelerator.

    >>> chip = pd.Series({"interconnect_gb_per_s": 450.0, "accelerators_per_node": 8})
    >>> transfer_gb_per_s(chip, 4, 0.5), transfer_gb_per_s(chip, 8, 0.5)
    (225.0, 35.0)
    """
    link = float(accelerator["interconnect_gb_per_s"])
    if 2 * degree <= float(accelerator["accelerators_per_node"]) and np.isfinite(link):
        return link_share * link
    return NETWORK_SHARE * NETWORK_GB_PER_S
