"""Specifications by any name, and the peak a precision reaches."""

import numpy as np
import pytest

from aifactory.serving.platforms import load_platforms, native_precision, peak_tflops, precision_class, resolve


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
    ],
)  # fmt: skip
def test_boards_are_known_by_the_names_that_drivers_give_them(name, identifier):
    assert resolve([name], [""]) == [identifier]
