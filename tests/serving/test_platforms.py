"""Specifications by any name, and the peak a precision reaches."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.platforms import link_of, load_platforms, native_precision, peak_tflops, precision_class, resolve


@pytest.mark.parametrize(
    ("name", "identifier", "found"),
    [
        ("nvidia-h100-sxm-80gb", "", "nvidia-h100-sxm"),
        ("anything", "amd-mi300x", "amd-mi300x"),
        ("NVIDIA-GB300-288GB", "", "nvidia-gb300"),
        ("nvidia-rtx-pro-6000-blackwell-server-96gb", "", "nvidia-rtxpro6000-se"),
        ("nvidia-rtx-4090-24gb", "", "nvidia-rtx-4090-24gb"),
        ("quantum-x", "not-there", ""),
        ("", "", ""),
    ],
)
def test_names_resolve(name, identifier, found):
    assert resolve([name], [identifier]) == [found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fp4", "fp4"),
        ("MXFP4", "fp4"),
        ("q4_k_m", "int4"),
        ("int8/int4 mixed", "int8"),
        ("{'unet': 'fp8', 'vae': 'int8'}", "fp8"),
        ("f16", "bf16"),
        ("fp16", "bf16"),
        ("", ""),
        (float("nan"), ""),
    ],
)
def test_precision_is_classified_by_its_lowest_format(text, expected):
    assert precision_class(text) == expected


def test_peak_follows_the_precision_and_never_counts_sparsity_or_the_wider_steps_of_one_format():
    table = load_platforms()
    chips = table.loc[["nvidia-h100-sxm", "nvidia-b300-sxm", "nvidia-a100-80-sxm"]]
    share = chips["achievable_share"].to_numpy()
    of = {name: peak_tflops(chips, np.array([name] * 3)) / share for name in ("bf16", "fp8", "fp4", "int8", "int4")}
    assert of["bf16"] == pytest.approx([989, 2250, 312])
    assert of["fp8"] == pytest.approx([1979, 4500, 312])
    assert of["fp4"] == pytest.approx([1979, 9000, 312])  # B300 lists 14,000
    assert of["int8"][1] == pytest.approx(4500)  # B300 lists 157.5 TOPS
    assert of["int4"] == pytest.approx(of["bf16"])
    assert list(native_precision(chips)) == ["fp8", "fp4", "int8"]


def test_every_specification_used_is_positive_or_unknown():
    table = load_platforms()
    for name in ("memory_gb", "memory_bw_gb_per_s", "peak_bf16_dense_tflops"):
        values = table[name].dropna()
        assert (values >= 0).all(), name
    assert table["achievable_share"].between(0.2, 1.0).all()


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("NVIDIA A100-SXM4-80GB", "nvidia-a100-80-sxm"), ("NVIDIA A100 80GB PCIe", "nvidia-a100-80-pcie"),
        ("NVIDIA H100 80GB HBM3", "nvidia-h100-sxm"), ("H100 NVL", "nvidia-h100-nvl"), ("B200", "nvidia-b200-sxm"),
        ("AMD Instinct MI355X", "amd-mi355x"), ("TPU v5e", "google-tpu-v5e"), ("Tesla T4", "nvidia-t4"),
        ("spinnaker-1", ""), ("NVIDIA Q900", ""), ("", ""),
        # what is not needed to tell a board may be missing, and words may be joined or apart
        ("GeForce RTX 4090", "nvidia-rtx-4090-24gb"), ("RTX4090", "nvidia-rtx-4090-24gb"), ("RTX 4070", "nvidia-rtx-4070-12gb"),
        ("RTX 3090 Ti", "nvidia-rtx-3090-ti-24gb"), ("7900 XTX", "amd-radeon-rx-7900-xtx-24gb"), ("RTX 6000 Ada", "nvidia-rtx6000-ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "nvidia-rtxpro6000-se"), ("Gaudi 3", "intel-gaudi3"),
        ("8xH200", "nvidia-h200-sxm"), ("8 x H100 PCIe", "nvidia-h100-pcie"), ("M2 Ultra 76-core GPU", "apple-m2-ultra-76c-gpu"),
        ("Trainium 2", "aws-trainium2"), ("Cerebras WSE-3", "cerebras-wse3"), ("Groq LPU", "groq-lpu-v1"), ("Loihi 2", "intel-loihi2"),
        # other boards of the same family, or one of several
        ("GeForce RTX 4090 Laptop GPU", ""), ("RTX 4080 SUPER", ""), ("RTX 3060 8GB", ""), ("M2 Ultra", ""), ("GH200", ""), ("H800", ""),
        ("Gaudi", ""), ("RTX", ""), ("M4 Pro", ""), ("24GB", ""), ("v9litepod-8", ""),
        # memory or form factor of another board
        ("H100 96GB", ""), ("A100 64GB", ""), ("A100 PCIe", ""), ("B200 192GB HBM3e", "nvidia-b200-sxm"),
        # instance types and device names of the catalogue
        ("trn2.48xlarge", "aws-trainium2"), ("p5en.48xlarge", "nvidia-h200-sxm"), ("TPU Trillium", "google-tpu-v6e"),
    ],
)  # fmt: skip
def test_boards_are_known_by_the_names_that_drivers_give_them(name, identifier):
    assert resolve([name], [""]) == [identifier]


def test_every_board_is_known_by_its_identifier_in_words():
    """Spelled apart and in capitals, with and without the maker where it is not needed."""
    table = load_platforms()
    names = [name.replace("-", " ").upper() for name in table.index]
    assert resolve(names, [""] * len(names)) == list(table.index)


def test_links_that_no_specification_states_are_those_of_their_kind_and_said():
    """A chip with stacked memory is joined by links of its own; a card without is joined by its bus."""
    specs = pd.DataFrame(
        {"memory_type": ["hbm", "hbm", "gddr", "other"], "interconnect_gb_per_s": [450.0, np.nan, np.nan, 0.5]},
        index=list("abcd"),
    )
    speed, told = link_of(specs)
    assert speed.tolist() == [450.0, 424.0, 16.0, 8.0]
    assert told.tolist() == ["", "424 GB/s between accelerators", "", ""]
    stated = load_platforms().query("memory_type == 'hbm'")["interconnect_gb_per_s"].dropna()
    assert stated.median() == 424.0 and len(stated) == 38
