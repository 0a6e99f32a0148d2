"""Worth of a benchmark over the choice of platform: by hand, bounds, and brute force as oracle."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.finance.information import perfect_information
from aifactory.shortlist.knowledge import KNOWLEDGE_COLUMNS, platform_knowledge, worth_of_knowing

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


@settings(max_examples=80, deadline=None)
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
