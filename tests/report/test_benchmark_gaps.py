"""What was not measured, and companies where that is nothing or all."""

from dataclasses import replace

import pandas as pd
import pytest

from aifactory.benchmark import build_benchmark
from aifactory.report.benchmark_capacity import capacity_section
from aifactory.report.benchmark_page import gaps_section


@pytest.fixture(scope="module")
def bench(mini_ws):
    return build_benchmark(mini_ws)


@pytest.mark.parametrize("tier", ["measured", "none"])
def test_a_company_without_estimates_has_its_section(mini_ws, bench, tier):
    """All cells measured, or nothing known of any: no estimate is compared with a measurement."""
    cells = bench.capacity[bench.capacity["tier"] == tier]
    alone = replace(bench, capacity=cells, not_measured=bench.not_measured[bench.not_measured["tier"] == "none"])
    said = str(gaps_section(mini_ws, alone))
    assert "No estimate promises to beat what was measured." in said


def test_the_fastest_is_proven_only_where_two_were_measured(mini_ws, bench):
    both = capacity_section(mini_ws, bench).text
    assert "In each the fastest accelerator is proven" in both or "a difference is not proven" in both
    cells = bench.capacity[bench.capacity["tier"] == "measured"]
    one = cells[cells["use_case_id"] == cells["use_case_id"].iloc[0]].drop_duplicates("use_case_id")
    alone = capacity_section(mini_ws, replace(bench, capacity=one)).text
    assert "1 use case was measured. None was measured on two accelerators" in alone
    assert "proven" not in alone


def test_what_looks_cheaper_by_the_hour_is_left_to_the_shortlist_to_confirm(mini_ws, bench):
    """An estimate at half of the measured cost, then one at twice: only the first sends the reader to the shortlist."""
    told = "see in the shortlist first whether it is excluded"
    seen = bench.capacity[bench.capacity["tier"] == "measured"].iloc[[0]]
    for factor in (0.5, 2.0):
        other = seen.assign(
            accelerator_id="nvidia-l40s", tier="anchored", usd_per_1k_units=factor * seen["usd_per_1k_units"]
        )
        cells = replace(bench, capacity=pd.concat([seen, other], ignore_index=True))
        assert (told in str(gaps_section(mini_ws, cells))) == (factor < 1)
