"""Step time of a model on a platform, from the best evidence there is, with a calibrated interval.

Tiers, in turn: steps measured on that accelerator with that model; the fitted step model, for the class of
accelerator it was fitted to; the datasheet with prior efficiencies, for all others. The interval says by
which factor every time of the law may be off.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.serving.kv_cache import kv_layout
from aifactory.serving.platforms import specification
from aifactory.serving.step_time import StepTime
from aifactory.serving.step_time_fit import fit_to_steps
from aifactory.serving.step_time_specs import (
    PRIOR,
    chosen_precision,
    fitted_efficiency,
    latency_constants,
    step_time_from_specs,
)
from aifactory.serving.tiers import STEP_MODEL_ALONE

MEASURED_STEPS, FITTED, DATASHEET = "measured steps", "fitted step model", "datasheet prior"
#: Class of accelerator whose engines the constants were fitted to.
FITTED_CLASS = "gpu"
FITTED_SOURCE = "fitted to public throughput, interval from measured deployments"


@dataclass(frozen=True)
class StepTimeEstimate:
    """A law, by which factor its times may be off, and why it is believed.

    Attributes
    ----------
    low80, high80 : factors on every time of the law, ends of the 80 % interval (below and above 1).
    tier : measured steps, fitted step model or datasheet prior.
    reason : what the tier rests on, and what was guessed.
    """

    law: StepTime
    low80: float
    high80: float
    tier: str
    reason: str

    def ends(self) -> tuple[StepTime, StepTime]:
        """The law at the fast and at the slow end of the interval."""
        return self.law.slower(self.low80), self.law.slower(self.high80)


def estimate_step_time(
    model: pd.Series,
    accelerator: pd.Series,
    *,
    tensor_parallel: int = 0,
    precision: str = "",
    context_tokens: float = 0.0,
    attention_ranks: int = 1,
    steps: pd.DataFrame | None = None,
    engine: dict | None = None,
) -> StepTimeEstimate:
    """Step time of one replica from rows of `models` and `accelerators`.

    Parameters
    ----------
    tensor_parallel, precision, context_tokens, attention_ranks, engine : as in `step_time_from_specs`.
    steps : measured steps of a probe; rows of this model, precision and number of accelerators count.

    Raises
    ------
    InputError
        As `step_time_from_specs`; or the measured steps are too few.
    """
    precision = chosen_precision(model, precision)
    options = {
        "tensor_parallel": tensor_parallel, "precision": precision, "context_tokens": context_tokens,
        "attention_ranks": attention_ranks, "engine": engine,
    }  # fmt: skip
    gpu = accelerator["platform_class"] == FITTED_CLASS
    mixture = bool(model["params_active_b"] < model["params_total_b"])
    if gpu:
        chip = specification(accelerator)
        reached = fitted_efficiency(
            precision,
            hbm=chip["memory_type"] == "hbm",
            achievable_share=float(chip["achievable_share"]),
            mixture=mixture,
        )
        half, tier = latency_constants()[f"half80_{'mixture' if mixture else 'dense'}"], FITTED
        reason = f"{FITTED_SOURCE}: {'mixtures of experts' if mixture else 'dense models'} on GPUs"
    else:
        reached, half, tier = PRIOR, STEP_MODEL_ALONE, DATASHEET
        reason = f"nothing comparable was measured on {accelerator['platform_class']}: benchmark first"
    law = step_time_from_specs(model, accelerator, efficiency=reached, **options)
    own = own_steps(steps, str(model["model"]), precision, law.accelerators, str(accelerator["accelerator_id"]))
    if steps is not None and own.empty:
        reason += f"; no measured step is of {law.accelerators} x {accelerator['accelerator_id']} and this model at {precision}"
    if len(own):
        law, half = fit_to_steps(law, own, tier=MEASURED_STEPS)
        tier, reason = MEASURED_STEPS, f"{len(own)} measured steps of this model, as of {own['as_of'].max()}"
    if not (model.get("layers", np.nan) > 0 and model.get("hidden_size", np.nan) > 0):
        reason += "; layers and width guessed from the size"
    reason += "".join(f"; {text}" for text in copies_remark(model, law.accelerators, attention_ranks))
    if isinstance(model.get("provenance"), str):
        reason += f"; {model['provenance']}"
    law = replace(law, tier=tier)
    return StepTimeEstimate(law, float(np.exp(-half)), float(np.exp(half)), tier, reason)


def copies_remark(model: pd.Series, accelerators: int, attention_ranks: int = 1) -> list[str]:
    """Says how often the KV cache is kept where that is more than once; nothing otherwise.

    >>> copies_remark(pd.Series({"attention": "mla", "layers": 61, "kv_latent_dim": 576}), 8)
    ['the KV cache lies on 8 accelerators 8 times over: an engine that deals out sequences instead (attention ranks) keeps it once']
    """
    layout = kv_layout(model)
    copies = layout.copies(accelerators, attention_ranks) if layout else 1.0
    if copies <= 1:
        return []
    return [
        f"the KV cache lies on {accelerators} accelerators {copies:.3g} times over: an engine that deals out sequences instead "
        "(attention ranks) keeps it once"
    ]


def own_steps(
    steps: pd.DataFrame | None, model: str, precision: str, accelerators: int, accelerator_id: str = ""
) -> pd.DataFrame:
    """Measured steps of a model at a precision; the fastest mode counts where several were run.

    Where the steps name their accelerator, only those of `accelerator_id` count.
    """
    if steps is None:
        return pd.DataFrame()
    same = steps["model"].isin([model, *model.split(" / ")]) & (steps["accelerators"].fillna(1) == accelerators)
    same &= steps["precision"].replace("fp16", "bf16") == precision.replace("fp16", "bf16")
    if "kind" in steps:
        same &= steps["kind"] == "step"
    if "accelerator_id" in steps and accelerator_id:
        same &= steps["accelerator_id"] == accelerator_id
    sizes = ["batch", "context_tokens", "chunk_tokens"]
    rows = steps[same].fillna(dict.fromkeys(sizes, 0))
    return rows.sort_values("median_ms", kind="stable").drop_duplicates(sizes).sort_values(sizes, ignore_index=True)
