"""Rows that stand in both files teach nothing of themselves, whatever they are called there."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployments import read_deployments
from aifactory.serving.fidelity_command import run_fidelity
from aifactory.serving.measurements import read_measurements
from aifactory.serving.same_rows import deployed_apart, published_apart
from tests.serving.test_deployments import table as deployments
from tests.serving.test_ratio import table

H100 = "nvidia-h100-sxm-80gb"


@pytest.fixture
def published(tmp_path):
    return pd.read_csv(table(tmp_path / "train.csv"), dtype=str)


def taught_by(tmp_path, training, asked):
    """Ids of the training rows that are not among those asked for."""
    training.to_csv(tmp_path / "t.csv", index=False)
    asked.to_csv(tmp_path / "a.csv", index=False)
    read = (read_measurements(tmp_path / f"{name}.csv", faults={}) for name in "ta")
    return set(published_apart(*read)["id"])


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"model": "Llama2 70B", "accelerator": "NVIDIA H100-SXM 80GB", "source": "MLPerf Inference v5.1"},
        {"precision": "FP8", "metric": "Tokens/s", "scenario": "Offline"},
        {"value": "23000"},  # of 23,200
        {"precision": "", "source": "", "accel_count": "", "task": ""},
        {"value": ""},
    ],
)
def test_a_row_under_another_id_spelling_or_rounding_is_the_same_row(tmp_path, published, other):
    row = published.iloc[[0]].assign(id="other-name", **other)
    if other.get("value"):
        published.loc[0, "value"] = "23156.7"
    assert taught_by(tmp_path, published, row) == set(published["id"]) - {published["id"][0]}


@pytest.mark.parametrize(
    "other",
    [
        {"submitter": "somebody else"}, {"value": "23500"}, {"value": "23205.5", "id": "again"}, {"precision": "bf16"},
        {"accel_count": "4"}, {"scenario": "interactive"}, {"value": "", "date": ""}, {"value": "", "source": "own"},
    ],
)  # fmt: skip
def test_another_measurement_of_the_same_conditions_teaches(tmp_path, published, other):
    published = published.assign(submitter="lab")
    published.loc[0, "value"] = "23156.7"
    row = published.iloc[[0]].assign(**{"id": "other-name"} | other)
    assert taught_by(tmp_path, published, row) == set(published["id"])


def test_an_id_alone_tells_no_row(tmp_path, published):
    """Two files that count their rows from 1 share ids and nothing else."""
    first, second = published[published["model"] == "llama2-70b"], published[published["model"] == "other-30b"]
    numbered = [part.assign(id=[str(n) for n in range(len(part))]) for part in (first, second)]
    assert taught_by(tmp_path, *numbered) == set(numbered[0]["id"])
    again = numbered[0].assign(value="1")
    assert taught_by(tmp_path, numbered[0], again) == set(), "the same row measured anew"


def test_answers_are_those_without_the_rows_themselves(tmp_path, published):
    both, rest, asked = tmp_path / "both.csv", tmp_path / "rest.csv", tmp_path / "asked.csv"
    own = published["accelerator"] == H100
    published.to_csv(both, index=False)
    published[~own].to_csv(rest, index=False)
    names = {
        "id": [f"r{n}" for n in range(own.sum())],
        "accelerator": "H100 SXM",
        "model": published["model"].str.upper()[own],
    }
    published[own].assign(**names).to_csv(asked, index=False)
    one, other = (run_fidelity(asked, training).predictions for training in (both, rest))
    pd.testing.assert_frame_equal(one, other)
    assert (one["tier"] != "measured").all()


@pytest.mark.parametrize("blind", [False, True])
def test_a_deployment_under_another_number_spelling_or_rounding_is_the_same(tmp_path, blind):
    training = pd.read_csv(deployments(tmp_path / "d.csv"), dtype=str).assign(measured_on="2026-02-01")
    asked = training.iloc[:2].assign(
        config_id=["x", "y"], system="H100-SXM", backend="vLLM", model_path="Llama-3.1-70B-Instruct", precision="FP8"
    )
    times = ["silicon_ttft_ms", "silicon_tpot_ms"]
    asked[times] = "" if blind else asked[times].astype(float).map(lambda ms: f"{ms:.3g}")
    found = []
    for name, rows in (("t", training), ("a", asked)):
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        found.append(read_deployments(tmp_path / f"{name}.csv"))
    assert len(deployed_apart(*found)) == len(training) - 2
    slower = found[1].assign(silicon_tpot_ms=found[0]["silicon_tpot_ms"] * 1.05)
    assert len(deployed_apart(found[0], slower)) == len(training)
    undated = found[1].assign(silicon_ttft_ms=np.nan, silicon_tpot_ms=np.nan, measured_on="")
    assert len(deployed_apart(found[0], undated)) == len(training), "conditions alone are answered by who measured them"
