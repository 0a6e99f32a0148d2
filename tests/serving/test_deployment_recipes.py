"""Layouts of unknown workers: the nearest stated one, twins, what no recipe can tell, never what was measured."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployment_layout import TYPICAL_WORKERS
from aifactory.serving.deployment_recipes import ALONE, TWIN, with_recipes, with_speculated
from aifactory.serving.deployments import predict_deployments, read_deployments

ROW = {
    "chip": "a", "architecture": "m", "backend": "trtllm", "version": "trtllm1.0", "precision": "fp8", "isl": 1024.0,
    "osl": 1024.0, "concurrency": 60.0, "split": "disaggregated", "gpus": 8.0, "prefill_gpus": 4.0, "ranks": 1.0,
    "workers": 5.0, "prefill_workers": 2.0, "read": "stated",
}  # fmt: skip
UNKNOWN = {"read": "stated of unknown workers", "workers": 2.7, "prefill_workers": 1.3}
HEAD = (
    "config_id,backend,backend_version,model_path,system,precision,mode,isl,osl,prefill_tp_size,prefill_num_workers,"
    "decode_tp_size,decode_attention_dp_size,decode_num_workers,silicon_concurrency,silicon_ttft_ms,silicon_tpot_ms\n"
)


def deployments(*changes):
    return pd.DataFrame([ROW | change for change in changes])


def test_a_twin_tells_workers_and_the_ranks_that_its_tensor_degree_hides():
    found = with_recipes(deployments({"ranks": 8.0, "concurrency": 2192.0}, UNKNOWN | {"concurrency": 2192.0}))
    assert found["layout"].tolist() == ["stated", TWIN]
    assert found.loc[1, ["workers", "prefill_workers", "ranks", "gpus"]].tolist() == [5, 2, 8, 8]
    assert found["taken"].tolist() == [False, True]
    wider = with_recipes(deployments({}, UNKNOWN | {"gpus": 48.0}))
    assert (wider.loc[1, "layout"], wider.loc[1, "taken"], wider.loc[1, "workers"]) == (TWIN, False, 2.7)


def test_the_nearest_load_that_its_workers_divide_speaks():
    """50 requests are nearer to 48 (3 workers) than to 60 (5 workers), but only 5 divides them."""
    found = with_recipes(deployments({}, {"concurrency": 48.0, "workers": 3.0}, UNKNOWN | {"concurrency": 50.0}))
    assert found.loc[2, "workers"] == 5
    assert found.loc[2, "layout"] == ALONE
    again = with_recipes(deployments({}, {"concurrency": 48.0, "workers": 3.0}, UNKNOWN | {"concurrency": 51.0}))
    assert again.loc[2, "workers"] == 3


def test_of_recipes_as_near_the_order_of_the_file_chooses_none():
    """Recipes of 3 and 5 workers lie as far from 60 requests of an unknown number: the same speaks whichever stands first."""
    near = [{"architecture": "n", "workers": 3.0}, {"architecture": "k", "workers": 5.0}]
    one, other = (with_recipes(deployments(*order, UNKNOWN)) for order in (near, near[::-1]))
    assert one.loc[2, "workers"] == other.loc[2, "workers"] == 5.0


def test_a_campaign_that_no_list_holds_beside_a_listed_one_speculates():
    """Only of models that propose tokens, at the same release on the same accelerator, with a date."""
    listed = {
        "architecture": "deepseek-v3",
        "split": "aggregated",
        "layout": "stated",
        "config_id": "75",
        "measured_on": "2026-01-29",
    }
    faster = listed | {"config_id": "", "measured_on": "2026-02-05"}
    others = (
        {"architecture": "kimi-k2"},
        {"version": "trtllm1.1"},
        {"chip": "b"},
        {"measured_on": ""},
        {"split": "disaggregated"},
    )
    rows = deployments(listed, listed | {"config_id": ""}, faster, *(faster | other for other in others))
    assert with_speculated(rows)["speculated"].tolist() == [False, False, True, *([False] * 5)]
    assert with_speculated(rows[2:3], rows[:1])["speculated"].item()
    kimi = {"architecture": "kimi-k2"}
    assert not with_speculated(deployments(listed | kimi, faster | kimi))["speculated"].any()


def test_workers_of_another_size_or_another_kind_of_table_tell_nothing():
    found = with_recipes(deployments({}, UNKNOWN | {"gpus": 32.0, "chip": "b"}))
    assert found.loc[1, "workers"] == 2.7
    assert found.loc[1, "layout"] == "stated of unknown workers", "nothing is stated of this accelerator"
    alone = deployments(UNKNOWN)
    assert with_recipes(alone)["workers"].tolist() == [2.7]


def test_tokens_taken_as_speculated_are_said(tmp_path):
    """Of 60 requests a list with workers knows, of 64 it does not: those are read as served with speculated tokens."""
    line = "7,trtllm,1.0,deepseek-ai/DeepSeek-R1,gb200,fp4,disagg,1024,1024,4,{},8,1,{},{},,\n"
    known, asked = tmp_path / "k.csv", tmp_path / "a.csv"
    known.write_text(HEAD + line.format(2, 5, 60).replace(",,\n", ",300,10\n"))
    asked.write_text(HEAD + line.format("", "", 60) + line.format("", "", 64))
    rows, training = read_deployments(asked), read_deployments(known)
    twin, alone = predict_deployments(rows, training).itertuples(index=False)
    assert "tokens speculated" not in twin.reason
    assert "tokens speculated, 1.8 kept a step" in alone.reason
    assert alone.predicted_tpot_ms < 0.9 * twin.predicted_tpot_ms


def test_a_worker_that_was_not_described_takes_the_size_of_its_twin():
    found = with_recipes(deployments({"gpus": 32.0, "ranks": 32.0}, UNKNOWN | {"read": "unfit of unknown workers"}))
    assert found.loc[1, ["gpus", "ranks", "layout"]].tolist() == [32, 32, TWIN]


def test_recipes_of_other_tables_count_and_a_second_reading_changes_nothing():
    asked, known = deployments(UNKNOWN), deployments({})
    once = with_recipes(asked, known)
    assert once["workers"].tolist() == [5]
    pd.testing.assert_frame_equal(with_recipes(once, known), once)


@pytest.mark.parametrize("stated_in", ["asked", "training"])
def test_layouts_come_from_both_tables_and_never_from_what_was_measured(tmp_path, stated_in):
    """A deployment listed without workers is predicted like its twin, wherever that is, whatever it measured."""
    line = "{},trtllm,1.0,deepseek-ai/DeepSeek-R1,{},fp8,disagg,1024,1024,8,{},{},{},{},{},{},{}\n"
    twin = line.format(1, "h200_sxm", 1, 1, 8, 9, 1152, "", "")
    lossy = line.format(2, "h200_sxm", "", 8, "", "", 1152, 9000, 3)
    other = "".join(line.format(10 + n, "b200_sxm", 1, 8, "", 4, n, 300, 5 + n / 8) for n in (4, 16, 64))
    paths = {"asked": tmp_path / "a.csv", "training": tmp_path / "t.csv"}
    paths["asked"].write_text(HEAD + lossy + (twin if stated_in == "asked" else ""))
    paths["training"].write_text(HEAD + other + (twin if stated_in == "training" else ""))
    asked, training = (read_deployments(paths[name]) for name in ("asked", "training"))
    said = predict_deployments(asked, training)["predicted_tpot_ms"].iloc[0]
    changed = predict_deployments(asked.assign(silicon_tpot_ms=300.0), training)["predicted_tpot_ms"].iloc[0]
    assert said == changed
    factor, of_load, of_size, _ = TYPICAL_WORKERS
    typical = factor * 1152**of_load * 8**of_size
    paths["asked"].write_text(HEAD + line.format(2, "h200_sxm", "", 8, "", typical, 1152, "", ""))
    unread = predict_deployments(read_deployments(paths["asked"]), training)["predicted_tpot_ms"].iloc[0]
    assert abs(np.log(said / unread)) > 0.1


@pytest.mark.real
def test_recipes_held_back_are_told_better_by_their_neighbours_than_by_the_typical_one(shared_dir):
    rows = read_deployments(shared_dir / "data/measured/silicon_ttft_tpot.csv.gz")
    known = rows[rows["read"].eq("stated") & rows["split"].eq("disaggregated")]
    assert (np.mod(known["concurrency"], known["workers"] * known["ranks"]) == 0).all()
    off, kinds = [], []
    for row in range(0, len(known), 3):
        own = known.iloc[[row]]
        same = (known[["chip", "version", "isl", "osl", "concurrency"]] == own.iloc[0][["chip", "version", "isl", "osl", "concurrency"]]).all(axis=1)  # fmt: skip
        lost = own.assign(read="stated of unknown workers", ranks=1.0, workers=np.nan)
        found = with_recipes(lost, known[~same]).iloc[0]
        off.append(abs(np.log(found["workers"] / own["workers"].iloc[0])))
        kinds.append((found["ranks"] > 1) == (own["ranks"].iloc[0] > 1))
    factor, of_load, of_size, most = TYPICAL_WORKERS
    typical = np.clip(factor * known["concurrency"] ** of_load * known["gpus"] ** of_size, 1, most)
    assert np.nanmean(off) < 0.5 * np.abs(np.log(typical / known["workers"])).mean()
    assert np.mean(kinds) > 0.9
