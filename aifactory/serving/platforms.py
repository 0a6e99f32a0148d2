"""Specifications of accelerators by any of their public names, and the peak a precision can reach."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.inputs.billing import accelerator_finder
from aifactory.inputs.resources import data_dir

#: Bytes per weight; 4-bit formats carry scales (block of 16 or 32 weights).
WEIGHT_BYTES = {"fp4": 0.56, "int4": 0.56, "fp8": 1.0, "int8": 1.0, "bf16": 2.0, "fp32": 4.0}
#: Names that share no tokens with the catalogue's identifier.
SYNONYMS = {
    "nvidia-rtx-pro-6000-blackwell-server-96gb": "nvidia-rtxpro6000-se",
    "nvidia-rtx-6000-ada-48gb": "nvidia-rtx6000-ada",
    "nvidia-rtx-a6000-48gb": "nvidia-a6000",
    "nvidia-rtx-pro-6000-blackwell": "nvidia-rtxpro6000-se",
    "cerebras-wse-3": "cerebras-wse3",
    "nvidia-v100": "nvidia-v100-16",
    "cerebras cs-3": "cerebras-wse3",
    "ironwood": "google-tpu-v7",
    "tpu7x": "google-tpu-v7",
    "tpu v5 lite": "google-tpu-v5e",
    "v5litepod": "google-tpu-v5e",
}
#: Words of a board's name that tell no two boards apart, and parts of an identifier that a name may leave out: sizes, forms, families.
IDLE_WORDS = {"geforce", "radeon", "instinct", "tesla", "quadro", "gpu", "generation", "blackwell", "edition", "server",
              "workstation", "oam", "cloud", "core", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr6", "gddr6x", "gddr7"}  # fmt: skip
UNSAID_PARTS = re.compile(r"\d+(gb|c|th)?|gpu|sxm|se|std|v1|r|tm|cpu|gen|core|processor|radeon|rx|rtx|arc")
#: Most words of a name that one part of an identifier joins, as in `rtxpro6000`.
JOINED = 3
#: Share by which a name may state another memory than the datasheet: 180 and 192 GB are the same board, 80 and 96 not.
MEMORY_TOLERANCE = 0.15
#: Micro-architectures: pattern in the identifier, generation, memory technology.
GENERATIONS = (
    (r"rtx-?pro-?6000|rtx-50", "blackwell", "gddr"),
    (r"gb?[23]00|rubin", "blackwell", "hbm"),
    (r"h100|h200|gh200|h20\b", "hopper", "hbm"),
    (r"l40|-l4\b|-l20|rtx-?40|ada\b|2000e|rtx6000", "ada", "gddr"),
    (r"a100", "ampere", "hbm"),
    (r"a10\b|a10g|a40\b|a[456]\d00|rtx-30", "ampere", "gddr"),
    (r"v100|p100", "volta", "hbm"),
    (r"mi2\d\d", "cdna2", "hbm"),
    (r"mi30\d|mi32\d", "cdna3", "hbm"),
    (r"mi35\d|mi45\d", "cdna4", "hbm"),
    (r"radeon", "rdna", "gddr"),
    (r"arc-", "xe", "gddr"),
    (r"gaudi", "gaudi", "hbm"),
    (r"tpu", "tpu", "hbm"),
    (r"trainium|inferentia", "neuron", "hbm"),
    (r"xeon6|xeon5|xeon-6|xeon-platinum", "amx", "ddr"),
    (r"apple", "apple", "ddr"),
    (r"jetson", "jetson", "ddr"),
)
#: Share of the datasheet peak that the best matrix product reaches where nobody measured it: medians of
#: the measured ones (column achievable_bf16_tflops).
ACHIEVABLE_SHARE, ACHIEVABLE_SHARE_AMD = 0.80, 0.57
NUMBERS = (
    "memory_gb",
    "memory_bw_gb_per_s",
    "peak_bf16_dense_tflops",
    "peak_fp8_dense_tflops",
    "peak_fp4_dense_tflops",
    "peak_int8_dense_tops",
    "achievable_bf16_tflops",
    "interconnect_gb_per_s",
    "tdp_w",
)


@cache
def load_platforms() -> pd.DataFrame:
    """Specifications indexed by accelerator_id: the catalogue and the chips known from measurements only."""
    return platforms_with(pd.read_csv(data_dir() / "catalogue" / "accelerators.csv"))


def platforms_with(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Specifications with the rows of an accelerators table beside the chips known from measurements only."""
    catalogue = catalogue.rename(columns={"accelerators_per_node": "scale_up_accelerators"})
    measured = pd.read_csv(Path(data_dir()) / "prediction" / "accelerators.csv")
    columns = ["accelerator_id", "vendor", "name", "scale_up_accelerators", *NUMBERS]
    both = pd.concat([part.reindex(columns=columns) for part in (measured, catalogue)])
    table = both.groupby("accelerator_id").first()
    for name in NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return _with_derived(table)


def specification(accelerator: pd.Series) -> pd.Series:
    """A row of an accelerators table with what is derived: generation, memory_type, achievable_share."""
    table = platforms_with(pd.DataFrame([accelerator]))
    return table.loc[accelerator["accelerator_id"]]


def _with_derived(table: pd.DataFrame) -> pd.DataFrame:
    known = [next((entry[1:] for entry in GENERATIONS if re.search(entry[0], name)), None) for name in table.index]
    table["generation"] = [item[0] if item else name for item, name in zip(known, table.index, strict=True)]
    table["memory_type"] = [item[1] if item else "other" for item in known]
    bf16 = table["peak_bf16_dense_tflops"].fillna(table["peak_fp8_dense_tflops"] / 2)
    table["peak_bf16_dense_tflops"] = bf16.fillna(table["peak_int8_dense_tops"] / 2)
    assumed = np.where(table["vendor"] == "AMD", ACHIEVABLE_SHARE_AMD, ACHIEVABLE_SHARE)
    share = table["achievable_bf16_tflops"] / table["peak_bf16_dense_tflops"]
    table["achievable_share"] = share.where(share.between(0.2, 1.0), assumed)
    return table


def resolve(names: Iterable[str], identifiers: Iterable[str], table: pd.DataFrame | None = None) -> list[str]:
    """Accelerator_id of each row, "" where none is known.

    The identifier counts if the tables know it; else the name, its synonym, or the longest identifier
    whose parts all occur in the name. Drivers name boards in words of their own: SXM4 and HBM3 are `sxm`, the
    maker may be missing, and a name without form factor is that of the module. A name may also leave out what is not
    needed to tell its board (`UNSAID_PARTS`); one that fits several boards equally names none. Instance types stand for
    their accelerators.

    >>> resolve(["nvidia-b300-sxm-288gb", "NVIDIA H100 80GB HBM3", "MI300X", "NVIDIA H100 PCIe", "unheard-of-x1"], [""] * 5)
    ['nvidia-b300-sxm', 'nvidia-h100-sxm', 'amd-mi300x', 'nvidia-h100-pcie', '']
    >>> resolve(["GeForce RTX 4090", "GeForce RTX 4090 Laptop GPU", "Gaudi 3", "8x H200", "trn2.48xlarge"], [""] * 5)
    ['nvidia-rtx-4090-24gb', '', 'intel-gaudi3', 'nvidia-h200-sxm', 'aws-trainium2']
    """
    table = load_platforms() if table is None else table
    parts = {name: frozenset(name.split("-")) for name in table.index}
    makers = {name.split("-")[0] for name in table.index if "-" in name}
    pairs = [
        (str(name).strip().lower(), str(item).strip().lower()) for name, item in zip(names, identifiers, strict=True)
    ]
    found = {}
    for name, identifier in set(pairs):
        known = [item for item in (identifier, name, SYNONYMS.get(name, "")) if item in table.index]
        found[name, identifier] = known[0] if known else _board(name, parts, makers)
        if not known and _contradicted(name, found[name, identifier], table):
            found[name, identifier] = ""
    return [found[pair] for pair in pairs]


def _board(name: str, parts: dict[str, frozenset[str]], makers: set[str]) -> str:
    """Identifier that a board's name in lower case means, "" without one: see `resolve`."""
    name = re.sub(r"^\d{1,3} ?x ?", "", name)
    words = _words(name, makers)
    for more in (set(), {"sxm"}):
        near = [item for item, own in parts.items() if own <= words | more and _says_more(own, name, makers)]
        if near:
            return min(near, key=lambda item: (-len(parts[item]), item))
    left = {item: unsaid for item, own in parts.items() if (unsaid := _unsaid(name, own, makers)) is not None}
    fewest = [item for item, unsaid in left.items() if unsaid == min(left.values())]
    named = fewest[0] if len(fewest) == 1 else _alias_finder()(name) or ""
    return named if named in parts else ""


def _contradicted(name: str, item: str, table: pd.DataFrame) -> bool:
    """Whether a name says another memory (of boards whose memory is fixed) or form factor than the accelerator has."""
    if item and "sxm" in item.split("-") and re.search(r"\bpcie\b", name):
        return True
    said = re.search(r"(?<!\d)(\d+) ?gb\b", name)
    if not item or not said or table["memory_type"][item] not in ("hbm", "gddr"):
        return False
    return abs(float(said[1]) / table["memory_gb"][item] - 1) > MEMORY_TOLERANCE


@cache
def _alias_finder() -> Callable[[str], str | None]:
    """Accelerator that an instance type or device name of the catalogue's aliases stands for."""
    return accelerator_finder(pd.read_csv(data_dir() / "catalogue" / "accelerator_aliases.csv"))


def _says_more(own: frozenset[str], name: str, makers: set[str]) -> bool:
    """Whether a name that an identifier fits says more of it than a number: the maker, or a part with a letter."""
    return any(not part.isdigit() for part in own - makers) or bool(own & makers & set(_tokens(name)))


def _unsaid(name: str, own: frozenset[str], makers: set[str]) -> int | None:
    """Parts of an identifier beside the maker that a name leaves out; None where they tell boards apart, or the name says what no part does."""
    tokens, said, met = _tokens(name), set(), set()
    for first in range(len(tokens)):
        for last in range(first + 1, min(first + JOINED, len(tokens)) + 1):
            joined = "".join(tokens[first:last])
            if joined in own:
                met.add(joined)
                said |= set(range(first, last))
    sized = any(part.endswith("gb") for part in own)
    rest = {token for at, token in enumerate(tokens) if at not in said} - IDLE_WORDS
    rest = {token for token in rest if sized or not re.fullmatch(r"\d+gb", token)}
    unsaid = own - met - makers
    telling = {part for part in met - makers if not UNSAID_PARTS.fullmatch(part)}
    fits = not rest and (telling or len(met - makers) > 1) and all(UNSAID_PARTS.fullmatch(part) for part in unsaid)
    return len(unsaid) if fits else None


def _tokens(name: str) -> list[str]:
    """Words of a name: 40-core is `40c`, and RTX4090 two words."""
    name = re.sub(r"(\d+)[- ]core\b", r"\1c", re.sub(r"\brtx(?=\d)", "rtx ", name))
    return [word for word in re.split(r"[^a-z0-9.]+", name) if word]


def _words(name: str, makers: set[str]) -> set[str]:
    """Parts of a board's name in lower case, alone and joined with their neighbours, as identifiers spell them."""
    tokens = _tokens(name)
    joins = {"".join(tokens[at : at + count]) for at in range(len(tokens)) for count in range(1, JOINED + 1)}
    words = joins | set(re.split(r"[^a-z0-9.]+", re.sub(r"(\d)gb\b", r"\1", name)))
    if any(re.fullmatch(r"sxm\d?|hbm3e?", word) for word in words):
        words.add("sxm")
    return words if words & makers else words | makers


def precision_class(text: object) -> str:
    """Class of a declared precision: fp4, int4, fp8, int8, bf16, fp32, or "" where not said.

    The lowest format of a mixed declaration counts: that is where the work is done.

    >>> precision_class("clip1:fp32,unet:fp8,vae:fp32"), precision_class("Autocast:BF16+SR"), precision_class(None)
    ('fp8', 'bf16', '')
    """
    said = str(text).lower() if isinstance(text, str) else ""
    rules = (
        (("fp4", "mxfp4", "nvfp4"), "fp4"),
        (("int8/int4",), "int8"),
        (("int4", "q4", "w4a"), "int4"),
        (("fp8",), "fp8"),
        (("int8", "q8"), "int8"),
        (("bf16", "fp16", "float16", "f16", "half"), "bf16"),
        (("fp32", "f32", "float32"), "fp32"),
    )
    return next((name for marks, name in rules if any(mark in said for mark in marks)), "")


def native_precision(specifications: pd.DataFrame) -> np.ndarray:
    """Lowest precision with its own peak: fp4, fp8, int8 or bf16, per row."""
    bf16 = specifications["peak_bf16_dense_tflops"]
    return np.select(
        [
            specifications["peak_fp4_dense_tflops"].notna(),
            specifications["peak_fp8_dense_tflops"] > 1.2 * bf16,
            specifications["peak_int8_dense_tops"] > 1.2 * bf16,
        ],
        ["fp4", "fp8", "int8"],
        "bf16",
    )


def peak_tflops(specifications: pd.DataFrame, precision: np.ndarray) -> np.ndarray:
    """Dense peak at a precision, TFLOPS, reduced to what matrix products reach.

    A chip without the format runs it in the next wider one (4-bit integers: weights only, products in
    16 bits). A listed 4-bit peak above twice the 8-bit one counts as twice: the rest of a network runs wider.
    """
    bf16 = specifications["peak_bf16_dense_tflops"].to_numpy(dtype=float)
    fp8 = np.fmax(bf16, specifications["peak_fp8_dense_tflops"].to_numpy(dtype=float))
    int8 = np.fmax(fp8, specifications["peak_int8_dense_tops"].to_numpy(dtype=float))
    fp4 = specifications["peak_fp4_dense_tflops"].to_numpy(dtype=float)
    fp4 = np.where(np.isfinite(fp4), np.minimum(fp4, 2 * fp8), fp8)
    of = {"fp4": fp4, "fp8": fp8, "int8": int8, "fp32": bf16 / 2}
    chosen = np.select([precision == name for name in of], list(of.values()), bf16)
    return chosen * specifications["achievable_share"].to_numpy(dtype=float)


#: Memory of an accelerator whose specification does not say.
MEMORY_GB = 64.0
#: GB/s between accelerators, one direction, where no specification says: the median of 38 with stacked memory, a bus for others; the
#: least that counts.
HBM_LINK_GB_PER_S, BUS_GB_PER_S, LEAST_LINK_GB_PER_S = 424.0, 16.0, 8.0


def link_of(specs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """GB/s between accelerators, the usual of their kind where none is known, and what to say of it where they have links of their own."""
    known = specs["interconnect_gb_per_s"].astype("float64")
    stacked = specs["memory_type"] == "hbm"
    usual = known.where(known.notna(), np.where(stacked, HBM_LINK_GB_PER_S, BUS_GB_PER_S))
    told = np.where(stacked & known.isna(), f"{HBM_LINK_GB_PER_S:.0f} GB/s between accelerators", "")
    return usual.clip(lower=LEAST_LINK_GB_PER_S), pd.Series(told, index=specs.index)
