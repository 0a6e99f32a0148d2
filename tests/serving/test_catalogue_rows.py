"""Rows by name: the catalogue first, then models whose public shape is known."""

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.resources import data_dir
from aifactory.serving.catalogue_rows import catalogue_table, find_model, find_row
from aifactory.serving.kv_cache import layout_needed
from aifactory.serving.mix_command import cheapest
from aifactory.serving.step_time_estimate import estimate_step_time

H100 = "nvidia-h100-sxm"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Llama-2-7B", "Llama-2-7B"),
        ("meta-llama/Llama-2-7b-chat-hf", "Llama-2-7B"),
        ("llama2-7b", "Llama-2-7B"),
        ("Llama-2-70B", "llama2-70b"),  # the catalogue's own row comes first
        ("meta-llama/Llama-3.3-70B-Instruct", "Llama-3.1-70B / 3.3-70B"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "Mistral-7B-v0.3"),
        (" falcon-180b ", "Falcon-180B"),
    ],
)
def test_names_as_people_write_them(written, found):
    assert find_model(written, "--model")["model"] == found


@pytest.mark.parametrize(("written", "near"), [("Llama-2-8B", "Llama-2-7B"), ("falcon-170b", "Falcon-180B")])
def test_near_misses_of_older_models_are_suggested(written, near):
    with pytest.raises(InputError, match=near):
        find_model(written, "--model")


def test_one_size_is_never_taken_for_another():
    for written in ("Llama-2-7", "Llama-2", "Llama-27B", "opt-6b"):
        with pytest.raises(InputError):
            find_model(written, "--model")


def test_kv_cache_of_older_models_by_hand():
    """2 x 32 layers x 32 heads of 128 x 2 bytes = 524,288 bytes a token; all 13 GB of weights and the rest for KV."""
    model = find_model("Llama-2-7B", "--model")
    assert float(layout_needed(model).bytes_of(1)) == 2 * 32 * 32 * 128 * 2
    said = estimate_step_time(model, find_row("accelerators", "accelerator_id", H100, "--platform"))
    assert said.law.kv_capacity_tokens == int((0.9 * 80e9 - 2 * 6.74e9) // 524288)
    assert "Llama-2-7B: shape verified" in said.reason and "2026-11-26" in said.reason


def test_every_older_model_is_served_and_says_how_well_it_is_known():
    rows = pd.read_csv(data_dir() / "prediction" / "models.csv")
    listed = set(catalogue_table("models")["model"])
    chip = find_row("accelerators", "accelerator_id", "nvidia-b200-sxm", "--platform")
    for row in rows[rows["kv_bytes_per_token_bf16"] > 0].itertuples():
        found = find_model(row.model, "--model")
        if found["model"] in listed:
            continue
        said = estimate_step_time(found, chip)
        known = "verified" if row.verified in ("y", "yes") else "assumed, verify before a decision"
        assert f"{row.model}: shape {known}" in said.reason, row.model
        assert np.isfinite(said.law.floor_ttft_s(100)), row.model


def test_models_of_the_catalogue_say_nothing_of_shapes():
    model, chip = find_model("Llama-3.1-8B", "--model"), find_row("accelerators", "accelerator_id", H100, "--platform")
    assert "shape" not in estimate_step_time(model, chip).reason


def test_cheapest_says_what_an_older_model_rests_on(tmp_path):
    trace = tmp_path / "trace.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,100,20\n1,100,20\n2,100,20\n")
    said = cheapest(trace, "OPT-13B", [H100], "p95_ttft_ms=5000")
    assert any("OPT-13B: shape assumed" in remark for remark in said["remarks"]) and said["offers"]
