"""What was not measured, and companies where that is nothing or all."""

from dataclasses import replace

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
