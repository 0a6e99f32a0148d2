"""What was not measured, and companies where that is nothing or all."""

from dataclasses import replace

import pandas as pd
import pytest

from aifactory.report.benchmark_capacity import capacity_section, chart_curve, energy_section
from aifactory.report.benchmark_page import _kpis, finding, gaps_section, once, validity_section


@pytest.fixture(scope="module")
def bench(mini_stages):
    return mini_stages.benchmark


def test_only_prices_that_a_cost_rests_on_are_called_old(bench):
    """A price of a platform without a known capacity is in no cost."""
    old = bench.capacity.iloc[[0]].assign(usd_per_1k_units=float("nan"), price_as_of=pd.Timestamp("1999-01-01"))
    kpis = {kpi.label: kpi for kpi in _kpis(replace(bench, capacity=pd.concat([bench.capacity, old])))}
    assert "1999" not in kpis["Oldest price in a cost"].value


@pytest.mark.parametrize("tier", ["measured", "none"])
def test_a_company_without_estimates_has_its_section(mini_ws, bench, tier):
    """All cells measured, or nothing known of any: no estimate is compared with a measurement."""
    cells = bench.capacity[bench.capacity["tier"] == tier]
    alone = replace(bench, capacity=cells, not_measured=bench.not_measured[bench.not_measured["tier"] == "none"])
    said = str(gaps_section(mini_ws, alone))
    assert "No estimate promises to beat what was measured." in said


def test_the_fastest_is_proven_only_where_two_were_measured(mini_ws, bench):
    both = capacity_section(mini_ws, bench).text
    assert "In the one on two accelerators or more the fastest accelerator is proven" in both
    cells = bench.capacity[bench.capacity["tier"] == "measured"]
    one = cells[cells["use_case_id"] == cells["use_case_id"].iloc[0]].drop_duplicates("use_case_id")
    alone = capacity_section(mini_ws, replace(bench, capacity=one)).text
    assert "1 use case was measured. None was measured on two accelerators" in alone
    assert "proven" not in alone
    apart = cells[cells["use_case_id"] == cells["use_case_id"].iloc[0]].head(2).assign(units_per_s_per_accelerator=[1.0, 3.0], low=[0.9, 2.8], high=[1.1, 3.2])  # fmt: skip
    other = apart.head(1).assign(use_case_id="other")
    told = capacity_section(mini_ws, replace(bench, capacity=pd.concat([apart, other]))).text
    assert "2 use cases were measured. In the one on two accelerators or more the fastest accelerator is proven" in told
    assert "In each the fastest accelerator is proven" in capacity_section(mini_ws, replace(bench, capacity=apart)).text


def test_what_looks_cheaper_by_the_hour_is_left_to_the_shortlist_to_confirm(mini_ws, bench):
    """An estimate at half of the measured cost, then one at twice: only the first sends the reader to the shortlist."""
    told = "Whole nodes, people and the move may undo that"
    seen = bench.capacity[bench.capacity["tier"] == "measured"].iloc[[0]]
    for factor in (0.5, 2.0):
        other = seen.assign(
            accelerator_id="nvidia-l40s", tier="anchored", usd_per_1k_units=factor * seen["usd_per_1k_units"]
        )
        cells = replace(bench, capacity=pd.concat([seen, other], ignore_index=True))
        assert (told in str(gaps_section(mini_ws, cells))) == (factor < 1)
    cases = mini_ws.table("use_cases").assign(retire_month="2027-04")  # what ends soon is worth no run
    cells = replace(cells, capacity=pd.concat([seen, other.assign(usd_per_1k_units=0.0)], ignore_index=True))
    ending = replace(mini_ws, tables={**mini_ws.tables, "use_cases": cases})
    assert told in str(gaps_section(mini_ws, cells)) and told not in str(gaps_section(ending, cells))


def test_a_curve_is_drawn_on_the_latency_that_binds(mini_ws, bench):
    """Capacity is read where the limit that binds is crossed, so the chart shows that one; the first token where none binds."""
    name = bench.curves["use_case_id"].iloc[0]
    limits = mini_ws.table("use_cases").assign(slo_p95_ttft_ms=500.0, slo_p95_e2e_ms=9000.0)
    ws = replace(mini_ws, tables={**mini_ws.tables, "use_cases": limits})
    curves = bench.curves.assign(p95_ttft_ms=100.0, p95_e2e_ms=5000.0)
    for binds, drawn in (("E2E", "p95 end-to-end"), ("TTFT", "p95 TTFT"), ("not reached", "p95 TTFT")):
        cells = bench.capacity.assign(binding_slo=binds, tier="measured")
        assert f"Curves of {drawn}" in str(chart_curve(ws, replace(bench, capacity=cells, curves=curves), name))


def with_capacities(bench, values):
    """The measured cells of one use case, each with a capacity."""
    cells = bench.capacity[(bench.capacity["tier"] == "measured") & (bench.capacity["use_case_id"] == "chat")]
    first = cells.iloc[[0]]
    rows = [first.assign(accelerator_id=name, units_per_s_per_accelerator=value) for name, value in values.items()]
    return replace(bench, capacity=pd.concat(rows, ignore_index=True))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a-1": 6.0, "a-2": 2.0}, "a-1 serves 3.0 times a-2 inside the SLO"),
        ({"a-1": 6.0, "a-2": 0.0}, "of the accelerators measured only a-1 serves inside the SLO"),
        ({"a-1": 0.0, "a-2": 0.0}, "no accelerator measured serves inside the SLO"),
    ],
)
def test_a_curve_compares_two_accelerators_that_serve(mini_ws, bench, values, said):
    assert said in chart_curve(mini_ws, with_capacities(bench, values), "chat").text


def test_power_that_was_recorded_is_not_called_missing_where_the_limit_is_missed(mini_ws, bench):
    """Power stands in the runs of every accelerator; one of them misses its limits and has no energy a unit."""
    measured = bench.capacity[bench.capacity["tier"] == "measured"]
    slow = measured["accelerator_id"].iloc[0]
    missed = measured.copy()
    missed.loc[missed["accelerator_id"] == slow, ["units_per_s_per_accelerator", "joules_per_unit"]] = [
        0.0,
        float("nan"),
    ]
    said = energy_section(mini_ws, replace(bench, capacity=missed)).text
    assert "No power was recorded" not in said
    none = measured.assign(joules_per_unit=float("nan"))
    assert "nothing measured meets its limits" in energy_section(mini_ws, replace(bench, capacity=none)).text


def test_a_run_of_a_use_case_that_is_planned_by_region_counts_once(mini_ws, bench):
    """Two runs, one of them in two regions and invalid in one: one of two counts, and three rows are shown."""
    row = bench.validity.iloc[[0]]
    rows = [("chat.east", "r1.east", "VALID"), ("chat.west", "r1.west", "INVALID"), ("other", "r1", "VALID")]
    runs = pd.concat([row.assign(use_case_id=a, benchmark_id=b, verdict=c) for a, b, c in rows], ignore_index=True)
    assert once(runs)["verdict"].tolist() == ["INVALID", "VALID"]
    assert once(runs.iloc[:0]).empty
    told = replace(bench, validity=runs)
    assert finding(told).startswith("1 run of 2 counts")
    said = validity_section(mini_ws, told).text
    assert "1 of 2 runs pass every rule. 1 run does not" in said
    assert "stand once a region" in validity_section(mini_ws, told).html


def test_no_run_is_proposed_where_the_use_case_may_not_go_and_a_price_of_elsewhere_is_named(mini_ws, bench):
    """An estimate at half of the measured cost, its price of another region; bound to a region without an offer it is left out."""
    seen = bench.capacity[bench.capacity["tier"] == "measured"].iloc[[0]]
    other = seen.assign(
        accelerator_id="aws-trainium1", tier="anchored", usd_per_1k_units=0.5 * seen["usd_per_1k_units"]
    )
    for exact in (True, False):
        cells = replace(bench, capacity=pd.concat([seen, other.assign(exact_region=exact)], ignore_index=True))
        said = str(gaps_section(mini_ws, cells))
        assert "aws-trainium1: estimated at" in said
        assert ("at a price of another region" in said) == (not exact)
    cases = mini_ws.table("use_cases").assign(allowed_regions="eu")
    bound = replace(mini_ws, tables={**mini_ws.tables, "use_cases": cases})
    assert "aws-trainium1: estimated at" not in str(gaps_section(bound, cells))


def test_the_headline_says_what_is_doubtful_of_the_cheapest(bench):
    priced = bench.capacity.assign(exact_region=False)
    said = finding(replace(bench, capacity=priced))
    assert "by the price of an hour" in said and "the price is of another region" in said
    assert "another region" not in finding(replace(bench, capacity=priced.assign(exact_region=True)))
    none = finding(replace(bench, capacity=priced.assign(usd_per_1k_units=float("nan"))))
    assert none.endswith("None of what was measured has a price.")
