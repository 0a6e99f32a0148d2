"""What a probe measures: the grid of kernels and steps that an accelerator's memory holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir

TOKENS = (1, 8, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS = (128, 512, 2048, 8192, 32_768)
CHUNKS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384)
MIXED = ((8, 2048, 512), (32, 2048, 512), (64, 1024, 512), (32, 2048, 2048))
SQUARE = 8192
#: Share of the memory that weights, caches and workspace may take.
MEMORY_SHARE = 0.85


@dataclass(frozen=True)
class Architecture:
    """Sizes of a transformer with grouped key-value heads; of a mixture `feed_forward` is the width of one expert."""

    model: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward: int
    vocabulary: int
    experts: int = 0
    experts_per_token: int = 0

    @property
    def params(self) -> int:
        """Weights, with separate embedding and output tables.

        >>> round(Architecture("Llama-3.1-8B", 32, 4096, 32, 8, 128, 14336, 128256).params / 1e9, 2)
        8.03
        >>> round(Architecture("Mixtral-8x7B", 32, 4096, 32, 8, 128, 14336, 32000, 8, 2).params / 1e9, 2)
        46.7
        """
        return self._params(self.experts)

    @property
    def active_params(self) -> int:
        """Weights that one token uses.

        >>> round(Architecture("Mixtral-8x7B", 32, 4096, 32, 8, 128, 14336, 32000, 8, 2).active_params / 1e9, 2)
        12.88
        """
        return self._params(self.experts_per_token)

    @property
    def expert_params(self) -> int:
        """Weights of all experts of a mixture; 0 of a dense model."""
        return self.layers * self.experts * 3 * self.feed_forward * self.hidden

    def _params(self, experts: int) -> int:
        attention = self.hidden * self.head_width * (2 * self.heads + 2 * self.kv_heads)
        expert = 3 * self.hidden * self.feed_forward
        layer = (
            attention + 2 * self.hidden + (experts * expert + self.experts * self.hidden if self.experts else expert)
        )
        return self.layers * layer + 2 * self.vocabulary * self.hidden + self.hidden

    @property
    def kv_elements_per_token(self) -> int:
        """Keys and values of one token over all layers.

        >>> Architecture("Llama-3.1-8B", 32, 4096, 32, 8, 128, 14336, 128256).kv_elements_per_token
        65536
        """
        return 2 * self.layers * self.kv_heads * self.head_width


@dataclass(frozen=True)
class Point:
    """One measurement: its kind, where it runs and its sizes; sizes that do not apply are 0."""

    kind: str
    precision: str
    mode: str = "eager"
    model: str = ""
    sizes: dict[str, int] = field(default_factory=dict)


@cache
def _sizes() -> pd.DataFrame:
    path = data_dir() / "prediction" / "probe_models.csv"
    return pd.read_csv(path).drop(columns=["source", "as_of"]).set_index("model")


def mixtures() -> list[str]:
    """The models of experts among them."""
    table = _sizes()
    return table.index[table["experts"] > 0].tolist()


def architecture(model: str) -> Architecture:
    """Sizes of a model of `data/prediction/probe_models.csv`."""
    table = _sizes()
    if model not in table.index:
        raise InputError.at("model", "no sizes are known for this model", value=model, choices=table.index)
    return Architecture(model, *(int(size) for size in table.loc[model]))


def kernel_points(
    sizes: Architecture, precisions: list[str], largest_tokens: int, mode: str = "graph"
) -> Iterator[Point]:
    """Matrix products of a layer, attention of its heads, and memory traffic."""
    heads_width = sizes.heads * sizes.head_width
    products = {
        (heads_width + 2 * sizes.kv_heads * sizes.head_width, sizes.hidden),
        (sizes.hidden, heads_width),
        (2 * sizes.feed_forward, sizes.hidden),
        (sizes.hidden, sizes.feed_forward),
    }
    heads = {"heads": sizes.heads, "kv_heads": sizes.kv_heads, "head_width": sizes.head_width}
    yield from (Point(kind, "fp32", mode) for kind in ("memory_copy", "memory_read"))
    for precision in precisions:
        for tokens in TOKENS:
            if tokens <= largest_tokens:
                for n, k in sorted(products):
                    yield Point("matrix_product", precision, mode, sizes={"m": tokens, "n": n, "k": k})
        square = min(SQUARE, largest_tokens)
        yield Point("matrix_product", precision, mode, sizes={"m": square, "n": square, "k": square})
    for tokens in CHUNKS:
        if tokens <= 2 * largest_tokens:
            yield Point("prefill_attention", precisions[0], mode, sizes={"chunk_tokens": tokens, **heads})
    for batch, context in ((1, 2048), (8, 2048), (32, 2048), (64, 512), (8, 8192), (1, 32_768), (64, 2048)):
        if batch * context <= 32 * largest_tokens:
            at = {"batch": batch, "context_tokens": context, **heads}
            yield Point("decode_attention", precisions[0], mode, sizes=at)


def step_points(
    sizes: Architecture, precision: str, memory_bytes: float, mode: str, largest_tokens: int
) -> Iterator[Point]:
    """Steps of the whole model: decodes over batch and context, prompts over length, and mixtures.

    Only what fits: 2 bytes a weight and a cached element in 85 % of the memory.
    """
    element = 4 if precision == "fp32" else 2
    room = MEMORY_SHARE * memory_bytes - element * sizes.params
    if room <= 0:
        raise InputError(
            f"{sizes.model} needs {element * sizes.params / 1e9:.1f} GB for its weights; {memory_bytes / 1e9:.1f} GB are there"
        )

    def fits(batch: int, context: int, chunk: int) -> bool:
        copies = max(sizes.experts_per_token, 1)
        widest = copies * (2 * sizes.feed_forward + 2 * sizes.hidden) + 4 * sizes.hidden
        working = element * (batch + chunk) * (widest + 8 * sizes.heads * sizes.head_width)
        return element * sizes.kv_elements_per_token * batch * context + working <= room

    shapes = [(batch, context, 0) for context in CONTEXTS for batch in BATCHES]
    shapes += [(0, 0, chunk) for chunk in CHUNKS] + list(MIXED)
    for batch, context, chunk in shapes:
        if fits(batch, context, chunk) and batch * context <= 128 * largest_tokens and chunk <= 2 * largest_tokens:
            at = {"batch": batch, "context_tokens": context, "chunk_tokens": chunk}
            yield Point("step", precision, mode, sizes.model, at)
