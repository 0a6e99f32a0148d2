"""Names of models as hubs and as benchmarks spell them are one model, unless that is open."""

import pandas as pd
import pytest

from aifactory.serving.fidelity_command import run_fidelity
from aifactory.serving.measurements import read_measurements
from aifactory.serving.model_spellings import as_spelt_in

KNOWN = pd.Series(["llama3.1-8b", "gptj-6b", "qwen3-30b-a3b", "phi-4", "phi-4-instruct", "command-r", ""])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3.1-8b"),
        ("meta-llama/Meta-Llama-3.1-8B", "llama3.1-8b"),
        ("EleutherAI/gpt-j-6b", "gptj-6b"),
        ("Qwen/Qwen3-30B-A3B", "qwen3-30b-a3b"),
        ("phi-4-instruct", "phi-4-instruct"),
        ("microsoft/phi-4", "microsoft/phi-4"),  # two of them
        ("llama-3.1-80b", "llama-3.1-80b"),
        ("CohereLabs/c4ai-command-r-plus", "CohereLabs/c4ai-command-r-plus"),
        ("command-r+", "command-r+"),  # not command-r
        ("", ""),
    ],
)
def test_a_name_with_publisher_and_tuning_is_the_one_known_model(asked, found):
    assert as_spelt_in(pd.Series([asked]), KNOWN).tolist() == [found]


def test_a_row_is_predicted_the_same_whether_its_model_has_a_publisher_or_not(tmp_path):
    head = "id,source,date,accelerator,accel_count,task,model,params_b,precision,scenario,metric,value,submitter\n"
    seen = [("nvidia-h100-sxm-80gb", "llama2-70b", 70, 31000), ("nvidia-h200-sxm-141gb", "llama2-70b", 70, 35000),
            ("nvidia-h100-sxm-80gb", "gptj-6b", 6, 160000), ("nvidia-h200-sxm-141gb", "gptj-6b", 6, 165000),
            ("nvidia-h100-sxm-80gb", "llama3.1-8b", 8, 50000)]  # fmt: skip
    form = "{},s,2025-09-09,{},8,llm,{},{},fp8,offline,{},{},{}\n"
    rows = (
        form.format(f"t{n}", chip, model, size, "tokens_per_s", value, "x")
        for n, (chip, model, size, value) in enumerate(seen)
    )
    (tmp_path / "train.csv").write_text(head + "".join(rows))
    found = []
    for model, nothing, metric in (
        ("llama3.1-8b", "", "tokens_per_s"),
        ("meta-llama/Llama-3.1-8B-Instruct", "NA", "tokens/s"),
    ):
        asked = tmp_path / "asked.csv"
        asked.write_text(head + form.format("a", "nvidia-h200-sxm-141gb", model, 8, metric, 55000, nothing))
        report = run_fidelity(asked, tmp_path / "train.csv")
        found.append(report.predictions[["predicted", "low80", "high80", "reason"]].iloc[0].tolist())
        assert read_measurements(asked)["submitter"].tolist() == [""]
    assert found[0] == found[1]
    assert found[0][0] > 0
