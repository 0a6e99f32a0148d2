"""Systems and models by the names that deployment tables give them."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd

from aifactory.inputs.resources import data_dir
from aifactory.serving.measurements import bundled_facts
from aifactory.serving.model_sizes import sizes_in
from aifactory.serving.platforms import load_platforms, resolve
from aifactory.serving.step_model import kv_gb_per_token, layers_and_width

#: Names of systems that share no identifier with the catalogue.
SYSTEMS = {
    "a100": "nvidia-a100-80-sxm", "a100-sxm": "nvidia-a100-80-sxm", "a100-pcie": "nvidia-a100-80-pcie",
    "gh200": "nvidia-gh200-96", "b60": "intel-arc-pro-b60-24gb", "rtx-pro-6000": "nvidia-rtxpro6000-se",
    "rtx-pro-6000-server": "nvidia-rtxpro6000-se", "h20": "nvidia-h20-96gb", "h20-sxm": "nvidia-h20-96gb",
    "trn1": "aws-trainium1", "trn2": "aws-trainium2", "trn3": "aws-trainium3", "inf2": "aws-inferentia2",
}  # fmt: skip
PREFIXES, SUFFIXES = ("nvidia-", "amd-", "intel-", "google-", "google-tpu-", "aws-", ""), ("", "-sxm")
#: Grouped key-value heads where a model does not say.
KV_HEADS = 8.0
#: Releases that share weights' shapes with an older one: the same architecture.
SAME_SHAPES = (("deepseek-v3", "deepseek-v3"), ("deepseek-r1", "deepseek-v3"))
#: What distilled models that name a family alone were made from.
TAUGHT = {"llama": "llama-3.1", "qwen": "qwen2.5"}
#: Engines by other spellings, letters and figures alone.
ENGINES = {"tensorrtllm": "trtllm", "trt": "trtllm"}
_WORDS = r"-(instruct|thinking|chat|base|it|hf)$"


def system_identifiers(systems: pd.Series) -> pd.Series:
    """Accelerator identifiers of systems, "" where none is known.

    >>> list(system_identifiers(pd.Series(["h200_sxm", "GB300", "b200", "mystery"])))
    ['nvidia-h200-sxm', 'nvidia-gb300', 'nvidia-b200-sxm', '']
    """
    found = {name: _system(name.strip().lower().replace("_", "-").replace(" ", "-")) for name in systems.unique()}
    return systems.map(found)


def engine_identifiers(engines: pd.Series) -> pd.Series:
    """Engines in small letters, other spellings of TensorRT-LLM as `trtllm`.

    >>> list(engine_identifiers(pd.Series(["vLLM", "TensorRT-LLM", "SGLang", "own engine", ""])))
    ['vllm', 'trtllm', 'sglang', 'own engine', '']
    """
    small = engines.str.lower()
    bare = small.str.replace(r"[^a-z0-9]", "", regex=True).replace(ENGINES)
    return bare.where(bare.isin(["vllm", "trtllm", "sglang"]), small)


def _system(name: str) -> str:
    table = load_platforms()
    exact = [SYSTEMS.get(name, ""), *(before + name + after for after in SUFFIXES for before in PREFIXES)]
    at_once = next((item for item in exact if item in table.index), "")
    return at_once or next(
        (item for item in resolve([before + name for before in PREFIXES], [""] * len(PREFIXES)) if item), ""
    )


@cache
def _known() -> dict[str, pd.Series]:
    """Shapes by the lower-case names of models; the catalogue's rows with sizes come first."""
    catalogue = bundled_facts().models.reset_index()
    more = pd.read_csv(data_dir() / "prediction" / "models.csv")
    rows = [row for table in (more, catalogue) for _, row in table.iterrows() if row["params_total_b"] > 0]
    return {name: row for row in rows for name in _names(str(row["model"]))}


def _names(model: str) -> list[str]:
    """Lower-case names of a catalogue entry; a bare second number continues the first name.

    >>> _names("Llama-3.1-70B / 3.3-70B")
    ['llama-3.1-70b', 'llama-3.3-70b']
    """
    first, *others = model.lower().split(" / ")
    family = first.split("-")[0]
    return [
        re.sub(_WORDS, "", name) for name in (first, *(re.sub(r"^(?=\d)", f"{family}-", other) for other in others))
    ]


def model_shapes(paths: pd.Series) -> pd.DataFrame:
    """Shape of each model path: the longest known name it begins with, else from the sizes in its name.

    Columns params_b, active_b, layers, width, kv_gb (16-bit, per token), kv_heads (1: one latent cache),
    architecture; sizes are NaN where nothing tells them.
    """
    lines = {path: _shape(path) for path in paths.unique()}
    table = pd.DataFrame([lines[path] for path in paths], index=paths.index, columns=list(_shape("")))
    return table.astype({name: float for name in table.columns if name != "architecture"})


def _shape(path: str) -> dict[str, object]:
    name = path.split("/")[-1].lower().replace("_", ".").removeprefix("meta-")
    name = _distilled(name)
    candidates = [item for item in _known() if name.startswith(item)]
    family = max(candidates, key=len) if candidates else name
    row = _known()[family] if candidates else pd.Series(dtype=object)
    first = _names(str(row["model"]))[0] if candidates else name
    total, active = (row["params_total_b"], row["params_active_b"]) if candidates else sizes_in(name)
    layers, width = layers_and_width(np.array(total), np.array(active))
    guess = {"layers": layers, "hidden_size": width, "kv_heads": KV_HEADS, "kv_bytes_per_token_bf16": np.nan}
    given = {key: float(row[key]) if row.get(key, np.nan) > 0 else float(other) for key, other in guess.items()}
    kv_gb = given["kv_bytes_per_token_bf16"] / 1e9
    return {
        "params_b": total, "active_b": active, "layers": given["layers"], "width": given["hidden_size"],
        "kv_gb": kv_gb if kv_gb > 0 else float(kv_gb_per_token(np.array(total), np.array(active))),
        "kv_heads": 1.0 if row.get("attention") == "mla" else given["kv_heads"],
        "architecture": next((same for start, same in SAME_SHAPES if name.startswith(start)), first),
    }  # fmt: skip


def _distilled(name: str) -> str:
    """Name of the model that was taught: what precedes is its teacher, whose size it does not have.

    >>> _distilled("deepseek-r1-distill-llama-70b"), _distilled("deepseek-r1-0528-qwen3-8b"), _distilled("kimi-k2.5")
    ('llama-3.1-70b', 'qwen3-8b', 'kimi-k2.5')
    """
    taught = re.sub(r"^deepseek-r1-(distill-|\d{4}-(?=qwen|llama))", "", name)
    return re.sub(r"^(llama|qwen)(?=-\d+(\.\d+)?b)", lambda found: TAUGHT[found[0]], taught) if taught != name else name
