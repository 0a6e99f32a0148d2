"""Layouts: repeated degrees, whole racks, workers that cannot hold the model, typical workers."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployment_layout import TYPICAL_WORKERS, concurrency_of, with_layout
from aifactory.serving.deployments import LAYOUT


def deployment(mode="agg", node=8, memory=180, params_b=70, weight_bytes=1.0, **columns):
    row = dict.fromkeys(LAYOUT, np.nan) | {
        "mode": mode, "node": node, "memory": memory, "params_b": params_b, "weight_bytes": weight_bytes,
        "isl": 1024.0, "osl": 1024.0, "silicon_concurrency": 64.0,
    } | columns  # fmt: skip
    d = pd.DataFrame([row])
    return with_layout(d.assign(concurrency=concurrency_of(d))).iloc[0]


@pytest.mark.parametrize(
    ("degrees", "gpus"),
    [
        ({"tp_size": 8, "moe_tp_size": 8, "moe_ep_size": 1}, 8),
        ({"tp_size": 64, "moe_tp_size": 8, "moe_ep_size": 8}, 8),
        ({"tp_size": 1, "attention_dp_size": 16, "moe_tp_size": 4, "moe_ep_size": 4}, 4),
        ({"tp_size": 4, "attention_dp_size": 4, "moe_tp_size": 1, "moe_ep_size": 16}, 4),
        ({"tp_size": 1, "moe_tp_size": 4, "moe_ep_size": 1}, 4),
        ({}, 1),
    ],
)
def test_degrees_that_repeat_each_other_count_once(degrees, gpus):
    assert deployment(**degrees)["gpus"] == gpus


@pytest.mark.parametrize(("tensor", "ranks"), [(48, 48), (24, 24), (16, 1), (8, 1)])
def test_no_decode_worker_splits_attention_over_more_than_16_accelerators(tensor, ranks):
    found = deployment(
        mode="disagg", node=72, memory=186, params_b=671, weight_bytes=0.56, decode_tp_size=tensor, decode_moe_ep_size=tensor,
        decode_num_workers=1, prefill_tp_size=4, silicon_concurrency=2048.0,
    )  # fmt: skip
    assert (found["gpus"], found["ranks"]) == (tensor, ranks)
    dealt = deployment(
        mode="disagg", node=72, memory=186, params_b=671, weight_bytes=0.56, decode_tp_size=8,
        decode_attention_dp_size=4, decode_num_workers=1, prefill_tp_size=4,
    )  # fmt: skip
    assert (dealt["gpus"], dealt["ranks"]) == (32, 4), "ranks that are stated stay"


def test_a_rack_described_as_one_worker_is_a_disaggregated_deployment():
    found = deployment(mode="agg", node=72, memory=186, params_b=671, weight_bytes=0.56, tp_size=36)
    assert (found["split"], found["gpus"], found["prefill_gpus"], found["layout"]) == ("disaggregated", 8, 4, "whole")
    assert found["workers"] == pytest.approx((36 - 4) / 8)
    wide = deployment(
        mode="agg", node=72, memory=186, params_b=671, weight_bytes=0.56, tp_size=36, silicon_concurrency=4096
    )
    assert wide["gpus"] == pytest.approx(0.7 * 36)


def test_stated_workers_are_taken_and_others_follow_the_typical_ones():
    same = {"prefill_tp_size": 4, "decode_tp_size": 8}
    stated = deployment("disagg", decode_num_workers=3, prefill_num_workers=2, **same)
    assert (stated["workers"], stated["prefill_workers"], stated["gpus"], stated["prefill_gpus"]) == (3, 2, 8, 4)
    unknown = deployment("disagg", **same)
    factor, of_load, of_size, _ = TYPICAL_WORKERS
    assert unknown["workers"] == pytest.approx(factor * 64**of_load * 8**of_size)
    assert unknown["layout"] == "stated of unknown workers"


def test_a_worker_that_cannot_hold_the_weights_was_not_described():
    found = deployment("disagg", params_b=671, memory=186, node=72, prefill_tp_size=1, decode_tp_size=1)
    assert found["gpus"] * 186 > 671
    assert found["layout"].startswith("unfit")


@pytest.mark.parametrize(("tensor", "batch", "ranks"), [(4.0, 20.0, 1), (2.0, 11.0, 2), (1.0, 5.0, 4)])
def test_experts_over_more_accelerators_than_attention_leave_it_to_ranks(tensor, batch, ranks):
    """Published for one engine on four accelerators, 2,000 tokens in and 100 out: 20, 2 x 11 and 4 x 5 requests."""
    degrees = {"tp_size": tensor, "moe_tp_size": 4.0, "moe_ep_size": 1.0, "batch_size": batch}
    found = deployment(silicon_concurrency=batch, **degrees)
    assert (found["ranks"], found["concurrency"], found["gpus"]) == (ranks, batch * ranks, 4)
    assert deployment(silicon_concurrency=np.nan, **degrees)["concurrency"] == batch * ranks
    assert deployment(silicon_concurrency=300.0, **degrees)["concurrency"] == 300


def test_concurrency_is_stated_or_the_batch_of_each_rank():
    d = pd.DataFrame(
        [dict.fromkeys(LAYOUT, np.nan) | {"mode": "agg", "batch_size": 16.0, "attention_dp_size": 4.0}] * 3
    )
    d.loc[1, "silicon_concurrency"], d.loc[2, "batch_size"] = 100.0, np.nan
    assert list(concurrency_of(d)) == [64, 100, 1]


@pytest.mark.parametrize(
    ("columns", "workers", "ranks"),
    [
        # 416 = 13 a batch x 1 rank x 32 workers of two accelerators
        ({"tp_size": 2, "attention_dp_size": 1, "batch_size": 13, "silicon_concurrency": 416}, 32, 1),
        # no ranks stated: 224 = 56 a batch x 4 ranks of one accelerator each; 3 ranks do not divide 4 accelerators
        ({"tp_size": 4, "batch_size": 56, "silicon_concurrency": 224}, 1, 4),
        ({"tp_size": 4, "batch_size": 20, "silicon_concurrency": 60}, 3, 1),
        # degrees that repeat each other: 256 = 4 a batch x 64, of 8 ranks
        ({"tp_size": 1, "attention_dp_size": 64, "moe_tp_size": 8, "moe_ep_size": 8, "batch_size": 4,
          "silicon_concurrency": 256}, 1, 8),
        ({"tp_size": 4, "batch_size": 64, "silicon_concurrency": 64}, 1, 1),
        ({"tp_size": 4, "batch_size": 64, "silicon_concurrency": 96}, 1, 1),
        ({"tp_size": 4, "silicon_concurrency": 96}, 1, 1),
    ],
)  # fmt: skip
def test_requests_above_the_batch_are_other_workers_or_ranks(columns, workers, ranks):
    found = deployment(**columns)
    assert (found["workers"], found["ranks"]) == (workers, ranks)
