"""Seats of decode engines: powers of two below the load, the highest load of a recipe, pools of unknown size."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployment_crowd import measured_ms, seat_wait_ms, with_crowd
from aifactory.serving.deployment_recipes import ALONE, TWIN
from aifactory.serving.deployments import predict_deployments, read_deployments

ROW = {
    "chip": "a", "architecture": "m", "version": "trtllm1.0", "precision": "fp8", "isl": 1024.0, "osl": 1024.0,
    "concurrency": 105.0, "split": "disaggregated", "gpus": 8.0, "prefill_gpus": 4.0, "ranks": 1.0, "workers": 5.0,
    "prefill_workers": 2.0, "prefill_num_workers": 2.0, "layout": "stated", "taken": True,
}  # fmt: skip


def crowds(*changes, others=None):
    return with_crowd(pd.DataFrame([ROW | change for change in changes]), others)["crowd"].tolist()


@pytest.mark.parametrize(
    ("change", "crowd"),
    [
        ({}, 21 / 16),  # five workers of 16 seats
        ({"concurrency": 80.0}, 1.0),
        ({"concurrency": 1229.0, "workers": 1.0, "ranks": 32.0}, 1229 / 1024),  # 38.4 a rank: no limit is a fraction
        ({"concurrency": 60.0}, 1.0),  # 12 a worker is half as much again as 8: the limit was 12 or 16
        ({"concurrency": 3.0, "workers": 5.0}, 1.0),
        ({"split": "aggregated"}, 1.0),
        ({"layout": "stated of unknown workers"}, 1.0),
        ({"layout": "whole"}, 1.0),
        ({"layout": TWIN}, 21 / 16),
        ({"layout": ALONE}, 21 / 16),
        ({"layout": TWIN, "taken": False}, 1.0),  # typical workers, which no recipe told
        ({"layout": ALONE, "taken": False}, 1.0),
        ({"taken": False}, 21 / 16),
    ],
)
def test_requests_little_above_a_power_of_two_for_each_worker_or_rank_meet_fewer_seats(change, crowd):
    assert crowds(change) == pytest.approx([crowd])


def test_only_the_highest_load_of_a_recipe_is_beyond_its_batch():
    """Engines that were also measured with 36 requests a worker had a seat for each of 9."""
    loads = [{"concurrency": 5.0 * batch} for batch in (2, 9, 18, 36)]
    assert crowds(*loads) == pytest.approx([1, 1, 1, 36 / 32])
    assert crowds(loads[1]) == pytest.approx([9 / 8])
    assert crowds(loads[1], others=pd.DataFrame([ROW | loads[3]])) == [1]
    assert crowds(loads[1], others=pd.DataFrame([ROW | loads[3] | {"osl": 8192.0}])) == pytest.approx([9 / 8])


def test_pools_that_nobody_states_keep_up():
    unknown = {"prefill_num_workers": np.nan}
    rows = [{}, unknown, unknown | {"layout": TWIN}, unknown | {"layout": ALONE}, unknown | {"split": "aggregated"}]
    found = with_crowd(pd.DataFrame([ROW | change for change in rows]))
    assert found["keeps_up"].tolist() == [0, 1, 0, 1, 0]
    typical = with_crowd(pd.DataFrame([ROW | unknown | {"layout": TWIN, "taken": False}]))
    assert typical["keeps_up"].tolist() == [1], "no recipe of its size told how many there are"


def test_what_waits_for_a_seat_waits_as_long_as_answers_last():
    """A quarter more requests than seats, 1,024 tokens of 10 ms: 2,560 ms of 3,000 measured; of 2,000 a tenth is left."""
    d = pd.DataFrame({
        "crowd": [1.25, 1.25, 1.0, 1.25], "osl": 1024.0, "prior_tpot": np.log(20.0), "silicon_tpot_ms": [10.0, 10.0, 10.0, np.nan],
        "silicon_ttft_ms": [3000.0, 2000.0, 2000.0, 9000.0],
    })  # fmt: skip
    assert seat_wait_ms(d, d["silicon_tpot_ms"]).tolist() == pytest.approx([2560, 2560, 0, 5120])
    assert measured_ms(d, "ttft").tolist() == pytest.approx([440, 200, 2000, 3880])
    assert measured_ms(d, "tpot").tolist()[:3] == [10, 10, 10]


def test_predicted_first_tokens_hold_the_wait_for_seats(tmp_path):
    """Ten requests on two engines of four seats: a quarter of an answer later than eight; more on that recipe: no wait."""
    head = (
        "config_id,backend,backend_version,model_path,system,precision,mode,isl,osl,prefill_tp_size,prefill_num_workers,"
        "decode_tp_size,decode_num_workers,silicon_concurrency,silicon_ttft_ms,silicon_tpot_ms\n"
    )
    line = "{},trtllm,1.0,meta-llama/Llama-3.1-70B,h200_sxm,fp8,disagg,1024,1024,4,1,4,2,{},{},{}\n"
    known, asked, more = (tmp_path / f"{name}.csv" for name in ("known", "asked", "more"))
    known.write_text(head + "".join(line.format(n, n, 200, 8) for n in (2, 4, 8)))
    asked.write_text(head + line.format("ten", 10, "", ""))
    more.write_text(known.read_text() + line.format("above", 30, 2000, 9))
    row, training = read_deployments(asked), read_deployments(known)
    said = predict_deployments(row, training).iloc[0]
    eight = predict_deployments(row.assign(silicon_concurrency=8.0, concurrency=8.0), training).iloc[0]
    wait = (10 / 8 - 1) * 1024 * said["predicted_tpot_ms"]
    assert said["predicted_ttft_ms"] - wait == pytest.approx(eight["predicted_ttft_ms"], rel=0.05)
    assert said["low80_ttft_ms"] > wait
    assert (
        predict_deployments(row, read_deployments(more)).iloc[0]["predicted_ttft_ms"] < 0.3 * said["predicted_ttft_ms"]
    )
