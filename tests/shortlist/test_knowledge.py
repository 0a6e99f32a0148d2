"""Worth of a benchmark over the choice of platform: by hand, bounds, and brute force as oracle."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.finance.information import perfect_information
from aifactory.shortlist.knowledge import (
    KNOWLEDGE_COLUMNS,
    benchmark_costs,
    platform_knowledge,
    worth_of_knowing,
    worthwhile,
)

NONE_OUT = pd.DataFrame(columns=["use_case_id", "accelerator_id"])


def row(chip, total, low, high, compute=None, use_case="chat"):
    return {"use_case_id": use_case, "accelerator_id": chip, "compute_usd": total if compute is None else compute,
            "total_usd": total, "total_low_usd": low, "total_high_usd": high}  # fmt: skip


def test_two_platforms_by_hand():
    """A costs 80 or 160 alike, B 110: choose B (A is 120 on average); knowing A saves 30 half of the time."""
    alone, everything = worth_of_knowing([[80.0, 160.0], [110.0, 110.0]])
    assert alone.tolist() == [15.0, 0.0]
    assert everything == 15.0


COSTS = st.lists(st.lists(st.floats(0, 1e6), min_size=4, max_size=4), min_size=2, max_size=5)


@settings(max_examples=80)
@given(costs=COSTS)
def test_one_is_never_worth_more_than_all_and_all_is_perfect_information(costs):
    alone, everything = worth_of_knowing(costs)
    assert (alone >= 0).all()
    known = perfect_information([0.25] * 4, -np.array(costs))
    assert everything == pytest.approx(known.evpi, rel=1e-9, abs=1e-6)


def test_overlapping_platforms_are_worth_a_benchmark_and_distant_ones_are_not():
    near = platform_knowledge(pd.DataFrame([row("a", 100, 70, 150), row("b", 105, 104, 106)]), NONE_OUT)
    far = platform_knowledge(pd.DataFrame([row("a", 100, 70, 150), row("b", 400, 390, 410)]), NONE_OUT)
    assert near["accelerator_id"][0] == "a"
    assert near["worth_usd"][0] > 5
    assert far["worth_usd"].max() < 0.05
    assert (near["worth_usd"] <= near["everything_usd"] + 1.0).all()


def test_a_benchmark_is_worth_what_it_lets_be_chosen():
    """B at 110 may be chosen; A at 80 or 160, and C at 90 surely, only once they are known: 15, and 20."""
    costs = [[80.0, 160.0], [110.0, 110.0], [90.0, 90.0]]
    alone, everything = worth_of_knowing(costs, may=[False, True, False])
    assert alone.tolist() == [15.0, 0.0, 20.0] and everything == 25.0
    alone, everything = worth_of_knowing(costs, may=[False, True, False], held_usd=95.0)  # B shares nodes
    assert alone.tolist() == [7.5, 0.0, 5.0] and everything == 10.0
    rows = pd.DataFrame([row("a", 100, 99, 101), row("b", 200, 199, 201)])
    assert platform_knowledge(rows, NONE_OUT)["worth_usd"].max() < 1e-6
    frame = platform_knowledge(rows, NONE_OUT, may=[("chat", "b")]).set_index("accelerator_id")
    assert frame.at["a", "worth_usd"] == pytest.approx(100, abs=0.1)
    held = platform_knowledge(rows, NONE_OUT, may=[("chat", "b")], held_usd={"chat": 130.0}).set_index("accelerator_id")
    assert held.at["a", "worth_usd"] == pytest.approx(30, abs=0.1)


def test_what_is_certain_is_worth_nothing():
    frame = platform_knowledge(pd.DataFrame([row("a", 100, 100, 100), row("b", 90, 90, 90)]), NONE_OUT)
    assert frame["worth_usd"].tolist() == [0.0, 0.0]
    assert frame["expected_usd"].tolist() == pytest.approx([100.0, 90.0])


def test_what_is_out_or_without_an_end_is_no_alternative():
    rows = pd.DataFrame(
        [row("a", 100, 70, 150), row("b", 105, 90, 120), row("c", 50, 40, np.inf), row("d", 50, 40, 60)]
    )
    out = pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": ["d"]})
    assert set(platform_knowledge(rows, out)["accelerator_id"]) == {"a", "b"}
    alone = platform_knowledge(rows[:1], NONE_OUT)
    assert alone.empty
    assert list(alone.columns) == KNOWLEDGE_COLUMNS
    pd.testing.assert_frame_equal(platform_knowledge(rows, out), platform_knowledge(rows, out))


def test_a_benchmark_costs_staff_a_node_and_the_port(sample_ws):
    """Half a month at 16,000 and 24 h of 4 TPUs at USD 2.7; a quarter of 5 person-months to port. H100 today: no port."""
    cells = pd.DataFrame({
        "use_case_id": ["support-chat"] * 2, "accelerator_id": ["google-tpu-v6e", "nvidia-h100-sxm"],
        "platform_class": ["tpu", "gpu"], "usd_per_accelerator_hour": [2.7, 7.0],
    })  # fmt: skip
    found = benchmark_costs(sample_ws, cells)
    assert found["staff_usd"].tolist() == [8000.0, 8000.0]
    assert found["machine_usd"].tolist() == pytest.approx([24 * 4 * 2.7, 24 * 8 * 7.0])
    assert found["port_usd"].tolist() == [0.25 * 5 * 16000, 0.0]
    bought = benchmark_costs(sample_ws, cells.assign(node_accelerators=[np.nan, 1.0]))
    assert bought["machine_usd"].tolist() == pytest.approx([24 * 4 * 2.7, 24 * 1 * 7.0])
    assert found["cost_usd"].tolist() == pytest.approx(
        (found["staff_usd"] + found["machine_usd"] + found["port_usd"]).tolist()
    )


def test_only_benchmarks_worth_more_than_they_cost_are_run_one_per_use_case():
    rows = pd.DataFrame(
        [
            row("a", 100, 70, 150),
            row("b", 105, 80, 140),
            row("a", 10, 7, 15, use_case="small"),
            row("b", 11, 8, 14, use_case="small"),
        ]
    )
    costs = rows[["use_case_id", "accelerator_id"]].assign(cost_usd=3.0)
    frame = platform_knowledge(rows, NONE_OUT, costs)
    assert frame["net_usd"].tolist() == pytest.approx((frame["worth_usd"] - 3.0).tolist())
    assert frame["net_usd"].is_monotonic_decreasing
    assert frame.groupby("use_case_id")["cheapest_probability"].sum().tolist() == pytest.approx([1.0, 1.0])
    run = worthwhile(frame)
    assert run["use_case_id"].tolist() == ["chat"]
    assert worthwhile(platform_knowledge(rows, NONE_OUT)).empty
