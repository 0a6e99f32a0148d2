"""Names of models as hubs and as benchmarks spell them are one model, unless that is open."""

import pandas as pd
import pytest

from aifactory.serving.fidelity_command import run_fidelity
from aifactory.serving.measurements import read_measurements
from aifactory.serving.model_spellings import as_spelt_in

KNOWN = pd.Series(["llama3.1-8b", "gptj-6b", "qwen3-30b-a3b", "phi-4", "phi-4-instruct", ""])


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
        ("", ""),
    ],
)
def test_a_name_with_publisher_and_tuning_is_the_one_known_model(asked, found):
    assert as_spelt_in(pd.Series([asked]), KNOWN).tolist() == [found]


def test_a_row_is_predicted_the_same_whether_its_model_has_a_publisher_or_not(tmp_path):
    head = "id,accelerator,task,model,params_b,precision,scenario,metric,accel_count,value,system\n"
    train = "".join(
        f"t{n},{chip},llm,{model},{size},fp8,offline,tokens_per_s,8,{value},\n"
        for n, (chip, model, size, value) in enumerate(
            [("chip-a", "llama3.1-8b", 8, 9000), ("chip-b", "llama3.1-8b", 8, 18000), ("chip-a", "llama2-70b", 70, 1000),
             ("chip-b", "gptj-6b", 6, 26000)]
        )
    )  # fmt: skip
    (tmp_path / "train.csv").write_text(head + train)
    found = []
    for model, nothing, metric in (
        ("llama2-70b", "", "tokens_per_s"),
        ("meta-llama/Llama-2-70b-chat-hf", "NA", "tokens/s"),
    ):
        row = f"a,chip-b,llm,{model},70,fp8,offline,{metric},8,2000,{nothing}\n"
        (tmp_path / "asked.csv").write_text(head + row)
        report = run_fidelity(tmp_path / "asked.csv", tmp_path / "train.csv")
        found.append(report.predictions[["predicted", "low80", "high80"]].iloc[0].tolist())
        assert read_measurements(tmp_path / "asked.csv")["system"].tolist() == [""]
    assert found[0] == found[1]
