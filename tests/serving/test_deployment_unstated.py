"""Deployments that state no load or no layout are pooled over those of measured ones of their kind."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployment_unstated import DEGREES, LOADS, WORKERS, with_conditions
from aifactory.serving.deployments import predict_deployments, read_deployments
from aifactory.serving.intervals import pooled_quantiles
from aifactory.serving.unstated import COPIES
from tests.serving.test_deployments import HEAD, table


def read(tmp_path, *lines):
    path = tmp_path / "asked.csv"
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return read_deployments(path)


@pytest.fixture
def training(tmp_path):
    return read_deployments(table(tmp_path / "t.csv", systems=("h100_sxm", "h200_sxm", "b200_sxm") * 2))


WHOLE = "1,vllm,0.15.1,meta-llama/Llama-3.1-70B,h200_sxm,fp8,agg,1024,1024,4,8,,"


def test_loads_and_layouts_come_jointly_from_the_nearest_kind(tmp_path, training):
    asked = read(tmp_path, WHOLE, WHOLE.replace(",4,8,,", ",4,,,"), WHOLE.replace(",4,8,,", ",,,,"))
    found = with_conditions(asked, training)
    assert found["copy_of"].tolist() == [1] * COPIES + [2] * COPIES
    mine = training[(training["chip"] == "nvidia-h200-sxm") & training["model_path"].str.startswith("meta")]
    assert set(found["silicon_concurrency"]) == set(mine["silicon_concurrency"]) == {1, 4, 16, 64}
    assert set(found["tp_size"]) == {4}
    assert found["unstated"].unique().tolist() == ["requests at a time", "requests at a time and layout"]


def test_the_interval_holds_what_the_usual_loads_take(tmp_path, training):
    """Times of the kind run from 10 to 20 ms: one request at a time would say 10."""
    whole, blank = (
        predict_deployments(read(tmp_path, WHOLE, WHOLE.replace(",4,8,,", ",4,,,")), training).iloc[[0, 1]].itertuples()
    )
    assert blank.low80_tpot_ms < 11 and blank.high80_tpot_ms > 18
    assert blank.high80_tpot_ms / blank.low80_tpot_ms > whole.high80_tpot_ms / whole.low80_tpot_ms
    assert blank.reason.endswith("; requests at a time not stated: over those of deployments of its kind")
    assert "1 request at a time" not in blank.reason and "not stated" not in whole.reason


def test_without_deployments_of_its_kind_the_usual_one_is_assumed(tmp_path, training):
    (blank,) = predict_deployments(read(tmp_path, WHOLE.replace(",4,8,,", ",4,,,")), training[:2]).itertuples()
    assert "assumed: 1 request at a time" in blank.reason


def test_a_pool_of_equal_answers_is_that_answer():
    same = pooled_quantiles(np.full(9, 5.0), np.full(9, 10.0), np.full(9, 40.0))
    assert same == pytest.approx([5.0, 10.0, 40.0], rel=0.02)
    assert (pooled_quantiles(np.full(9, 50.0), np.full(9, 100.0), np.full(9, 400.0)) / same) == pytest.approx(10.0)


@pytest.mark.parametrize("names", [LOADS, (*DEGREES, *WORKERS)])
def test_real_rows_without_load_or_layout_are_covered(shared_dir, tmp_path, names):
    """Held out: 80 % intervals of one usual load covered 22 %, of one usual layout 62 %."""
    rows = pd.read_csv(shared_dir / "data/measured/silicon_ttft_tpot.csv.gz", dtype=str, keep_default_na=False)
    held = np.random.default_rng(3).random(len(rows)) < 0.25
    rows[held].assign(**dict.fromkeys(names, "")).sample(150, random_state=1).to_csv(
        tmp_path / "asked.csv", index=False
    )
    rows[~held].to_csv(tmp_path / "training.csv", index=False)
    asked, training = (read_deployments(tmp_path / f"{name}.csv") for name in ("asked", "training"))
    said = predict_deployments(asked, training)
    measured = asked["silicon_tpot_ms"]
    inside = (measured >= said["low80_tpot_ms"]) & (measured <= said["high80_tpot_ms"])
    assert 0.7 < inside.mean() < 0.9
