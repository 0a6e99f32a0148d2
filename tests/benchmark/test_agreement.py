"""Runs against production by hand: agree, contradict both ways, not comparable; what is planned with."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.benchmark import build_benchmark
from aifactory.benchmark.agreement import (
    AGREES,
    CAPACITY,
    CONTRADICTS,
    NOT_COMPARABLE,
    PRODUCTION,
    RUN,
    at_production,
    load_of_half,
    overloaded_share,
    run_bounds,
)
from aifactory.benchmark.telemetry import TELEMETRY
from aifactory.serving.staffing import safe_accelerators, spread_constant

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"
#: The tiny company: chat in us on 8 H100; by day 216 good requests an hour, by night 108. Day hours hold 2,160 of 3,672.
BUSY, QUIET = 216 / 3_600 / 8, 108 / 3_600 / 8
#: Its run on the H100: 2, 4 and 8 requests a second with a p95 of 200, 400 and 1,600 ms and a limit of 1,000: capacity 6.
RUN_LOW, RUN_VALUE, RUN_HIGH = 6 * 0.935, 6.0, 6 * 1.065


def latency(p95_ms, metric="ttft_ms", region="us"):
    """Bounds of a server that hold the p95 of chat in the month: 90 of 100 requests below half of it, 10 just below it."""
    return pd.DataFrame({
        "window_start_utc": pd.to_datetime(["2026-10-01"] * 2, utc=True), "use_case_id": "chat", "region": region,
        "metric": metric, "lower_ms": [0.0, p95_ms * 0.99], "upper_ms": [p95_ms / 2, p95_ms], "count": [90, 10],
    })  # fmt: skip


@pytest.fixture
def compared(with_tables, mini_ws):
    """The benchmark stage with production `times` as busy, its devices in use a share of the time, and latencies."""

    def build(times=1.0, use=0.5, bounds=(), runs=None, cases=None):
        demand = mini_ws.table("demand_windows").copy()
        counts = ["requests", "errors", "service_units", "input_tokens", "cached_input_tokens", "output_tokens"]
        demand[counts] = (demand[counts] * times).round().astype(demand[counts].dtypes)
        tables = {
            "demand_windows": demand,
            "pools": mini_ws.table("pools").assign(utilization=use),
            "latency_bounds": pd.concat(bounds) if bounds else mini_ws.table("latency_bounds"),
            "benchmarks": mini_ws.table("benchmarks") if runs is None else runs,
            "use_cases": mini_ws.table("use_cases") if cases is None else cases,
        }
        return build_benchmark(with_tables(**tables))

    return build


MET = (latency(500.0), latency(9_000.0, "e2e_ms"))


def row_of(bench, figure=CAPACITY):
    rows = bench.agreement[(bench.agreement["accelerator_id"] == H100) & (bench.agreement["figure"] == figure)]
    assert len(rows) == 1
    return rows.iloc[0]


def cell(bench, chip=H100):
    return bench.capacity.set_index(["use_case_id", "accelerator_id"]).loc["chat", chip]


def verdict_of(bench, chip=H100):
    return bench.validity.set_index("benchmark_id").loc[f"chat--{chip}", "verdict"]


def test_served_within_what_the_run_allows_agrees(compared):
    """500 times the load: by day 3.75 requests a second and accelerator, of 5.6 to 6.4; in use half of the time, so that more is possible."""
    bench = compared(500, bounds=MET)
    row = row_of(bench)
    assert (row["verdict"], row["planned_with"]) == (AGREES, "")
    assert row["production_low"] == pytest.approx(500 * BUSY) == pytest.approx(3.75)
    assert (row["run_low"], row["run_high"]) == pytest.approx((RUN_LOW, RUN_HIGH))
    assert row["period"] == "2026-10" and str(row["run_as_of"])[:10] == "2026-10-20"
    assert (cell(bench)["tier"], cell(bench)["units_per_s_per_accelerator"]) == ("measured", RUN_VALUE)
    assert verdict_of(bench) == "VALID"


def test_more_served_inside_the_limits_refutes_the_run(compared):
    """1,000 times: 7.5 a second and accelerator within the limits, where the run allows 6.39 at most."""
    bench = compared(1000, use=0.9, bounds=MET)
    row = row_of(bench)
    assert (row["verdict"], row["planned_with"]) == (CONTRADICTS, PRODUCTION)
    assert row["production_low"] == pytest.approx(7.5) and row["level"] == pytest.approx(7.5 / 6)
    found = cell(bench)
    assert found["tier"] == TELEMETRY
    assert (found["low"], found["units_per_s_per_accelerator"]) == pytest.approx((7.5, 7.5))
    assert found["high"] == pytest.approx(row["production_high"]) and found["high"] > 7.5
    assert "planned with, since it was served inside its limits" in found["evidence"] and "1 run" in found["evidence"]
    # the other run moves with it and keeps its own 3.0 inside the interval; the ratio is that of the runs
    other = cell(bench, A100)
    assert other["units_per_s_per_accelerator"] == pytest.approx(3.0 * 1.25)
    assert other["low"] == pytest.approx(3.0 * 0.935) and other["high"] == pytest.approx(3.0 * 1.065 * 1.25)
    assert f"times 1.25, the level of production on {H100}" in other["evidence"]
    assert verdict_of(bench) == "UNVERIFIED" and verdict_of(bench, A100) == "VALID"
    assert (
        "production contradicts it (capacity in us)"
        in bench.validity.set_index("benchmark_id").loc[f"chat--{H100}", "reasons"]
    )
    assert not ((bench.not_measured["use_case_id"] == "chat") & (bench.not_measured["accelerator_id"] == H100)).any()


def test_more_served_at_unknown_latency_refutes_nothing(compared):
    bench = compared(1000, use=0.9)
    row = row_of(bench)
    assert row["verdict"] == NOT_COMPARABLE and "latency was not measured" in row["finding"]
    assert cell(bench)["units_per_s_per_accelerator"] == RUN_VALUE
    only_one = row_of(compared(1000, use=0.9, bounds=MET[:1]))  # the limit end to end is not measured
    assert only_one["verdict"] == NOT_COMPARABLE


def test_a_run_that_stopped_early_is_exceeded_not_refuted(compared, runs):
    early = runs[~((runs["accelerator_id"] == H100) & (runs["point"] == 3) & (runs["use_case_id"] == "chat"))]
    bench = compared(1000, use=0.9, bounds=MET, runs=early)
    row = row_of(bench)
    assert (row["verdict"], row["planned_with"]) == (AGREES, PRODUCTION) and "stopped before" in row["may_explain"]
    assert cell(bench)["low"] == pytest.approx(7.5) and verdict_of(bench) == "VALID"


def test_less_than_promised_by_busy_devices_is_named_and_the_run_stands(compared):
    """In use half of the time, 0.0075 a second: even with the largest batches 0.066, where the run promises 5.61."""
    bench = compared(bounds=MET)
    row = row_of(bench)
    assert (row["verdict"], row["planned_with"]) == (CONTRADICTS, RUN)
    assert row["production_high"] == pytest.approx(0.066222, rel=1e-4)
    found = cell(bench)
    assert (found["tier"], found["units_per_s_per_accelerator"]) == ("measured", RUN_VALUE)
    assert (
        "contradicts it" in found["evidence"]
        and "the run is planned with, since time in use counts kernels" in found["evidence"]
    )
    assert verdict_of(bench) == "UNVERIFIED"


def test_slower_at_loads_that_the_run_calls_light_lowers_the_plan(compared):
    """400 times: 3.0 by day, 1.5 by night, of 5.61 at least; p95 of 2,400 ms at a limit of 1,000 and a p99 of 1,362 of the run.

    The p99 follows from p50 and p95: at capacity, between 400 and 1,600 ms, half as much twice, times 2 to the power of 1.414.
    """
    bench = compared(400, bounds=(latency(2_400.0), MET[1]))
    row = row_of(bench, "p95 TTFT")
    p99 = [200.0 * 2**1.41419, 800.0 * 2**1.41419]
    assert row["run_high"] == pytest.approx(np.mean(p99), rel=1e-3)
    assert (row["verdict"], row["planned_with"]) == (CONTRADICTS, PRODUCTION)
    assert (row["level"], row["level_low"]) == pytest.approx((3.0 / 6, 3.0 / 6))
    found = cell(bench)
    assert found["units_per_s_per_accelerator"] == pytest.approx(3.0) and found["high"] == pytest.approx(RUN_HIGH)
    assert cell(bench, A100)["units_per_s_per_accelerator"] == pytest.approx(1.5)
    assert cell(bench, A100)["high"] == pytest.approx(3.0 * 1.065)
    assert row_of(bench)["verdict"] == NOT_COMPARABLE  # its limit is missed in every region
    assert verdict_of(bench) == "UNVERIFIED"


def test_slow_where_the_run_says_so_too_agrees(compared):
    """800 times: 6.0 by day is beyond the low end of the run, and 59 % of the requests come by day."""
    row = row_of(compared(800, bounds=(latency(2_400.0), MET[1])), "p95 TTFT")
    assert row["verdict"] == AGREES and "59 % of the requests" in row["finding"]


def test_slower_than_the_run_within_the_limit_is_named_and_the_run_stands(compared, runs):
    quick = runs.assign(p50_ttft_ms=runs["p50_ttft_ms"] / 10, p95_ttft_ms=runs["p95_ttft_ms"] / 10)
    bench = compared(400, bounds=(latency(900.0), MET[1]), runs=quick)
    row = row_of(bench, "p95 TTFT")
    assert (row["verdict"], row["planned_with"]) == (CONTRADICTS, RUN) and "its limit is met" in row["why"]
    assert cell(bench)["tier"] == "measured"


def test_batch_work_that_waits_inside_its_limit_refutes_no_run(compared, runs, mini_ws):
    """The time to its end holds the wait in a queue; beyond its limit it is compared as before."""
    slow = runs.assign(p50_e2e_ms=runs["p50_ttft_ms"], p95_e2e_ms=runs["p95_ttft_ms"])
    cases = mini_ws.table("use_cases").assign(slo_p95_e2e_ms=3_600_000.0)
    bounds = (MET[0], latency(900_000.0, "e2e_ms"))
    for pattern, limit, expected in (
        ("batch", 3_600_000.0, "not comparable"),
        ("interactive", 3_600_000.0, CONTRADICTS),
        ("batch", 600_000.0, CONTRADICTS),
    ):
        bench = compared(400, bounds=bounds, runs=slow, cases=cases.assign(request_pattern=pattern, slo_p95_e2e_ms=limit))  # fmt: skip
        assert row_of(bench, "p95 end to end")["verdict"] == expected


def test_faster_than_the_run_at_its_lightest_load_is_named(compared):
    row = row_of(compared(500, bounds=(latency(90.0), MET[1])), "p95 TTFT")
    assert (row["verdict"], row["planned_with"], row["run_low"]) == (CONTRADICTS, RUN, 100.0)
    assert row_of(compared(500, bounds=(latency(101.0), MET[1])), "p95 TTFT")["verdict"] == AGREES


def test_another_model_other_lengths_and_shared_pools_are_not_comparable(compared, runs, mini_ws):
    bench = compared(1000, use=0.9, bounds=MET, runs=runs.assign(model="Qwen3-32B"))
    assert set(bench.agreement["verdict"]) == {NOT_COMPARABLE}
    assert "the run is of Qwen3-32B, the use case runs Llama-3.1-8B" in row_of(bench)["finding"]
    assert cell(bench)["units_per_s_per_accelerator"] == RUN_VALUE
    longer = compared(1000, use=0.9, bounds=MET, runs=runs.assign(input_tokens_mean=250.0))
    assert "differ from production by 50 %" in row_of(longer)["finding"]
    same = runs.assign(model="Llama-3.1-8B", input_tokens_mean=500.0)
    assert row_of(compared(1000, use=0.9, bounds=MET, runs=same))["verdict"] == CONTRADICTS


def test_latency_in_a_shared_pool_is_not_comparable(with_tables, mini_ws):
    bill = mini_ws.table("billing")
    mine = bill[(bill["accelerator_id"] == H100) & (bill["month"] == mini_ws.period)].iloc[:1]
    parts = [
        mine.assign(use_case=name, accelerator_hours=hours) for name, hours in (("chat", 750.0), ("images", 250.0))
    ]
    bill = pd.concat(parts).assign(ResourceId="chat-pool", RegionId="us")
    bench = build_benchmark(with_tables(billing=bill, latency_bounds=pd.concat(MET)))
    assert row_of(bench, "p95 TTFT")["finding"] == "its pools are shared with other work"


def test_nothing_to_compare_is_an_empty_table(with_tables, mini_ws, runs):
    for tables in ({"pools": mini_ws.table("pools").iloc[:0]}, {"benchmarks": runs.iloc[:0]}):
        bench = build_benchmark(with_tables(**tables))
        assert bench.agreement.empty and set(bench.validity["verdict"]) <= {"VALID"}


def test_the_sample_is_borne_out_and_says_what_cannot_be_compared(sample_stages):
    table = sample_stages.benchmark.agreement
    capacity = table[table["figure"] == CAPACITY].set_index("use_case_id")["verdict"].to_dict()
    assert CONTRADICTS not in set(table["verdict"])
    assert capacity["support-chat"] == capacity["semantic-search"] == AGREES
    assert capacity["claims-assistant"] == NOT_COMPARABLE  # prompts of the run are 31 % shorter
    assert capacity["dev-copilot"] == NOT_COMPARABLE  # a limit is missed in both regions


def test_overload_counts_what_chance_adds():
    """8 accelerators, low end 1, 4 requests in progress each: an even load of 6.4 asks for 6.4 + k sqrt(1.6)."""
    k = spread_constant("TTFT")
    run = pd.Series({"low": 1.0, "in_progress_per_accelerator": 4.0, "spread_constant": k})
    hours = pd.DataFrame({"rate": [0.8, 0.1], "pool": 8.0, "service_units": [30, 70]})
    assert safe_accelerators(6.4, 4.0, k) == pytest.approx(6.4 + k * 1.6**0.5) and k * 1.6**0.5 > 1.6
    assert overloaded_share(hours, run) == 0.3
    even = run.where(run.index != "in_progress_per_accelerator")
    assert overloaded_share(hours, even) == 0.0
    assert overloaded_share(hours.assign(rate=1.1), run) == 1.0


def test_bounds_of_a_run_by_hand(runs):
    chat = runs[(runs["accelerator_id"] == H100) & (runs["use_case_id"] == "chat")]
    slow, fast = run_bounds(chat.assign(p99_ttft_ms=[300.0, 600.0, 2_400.0]), "ttft_ms", 6.0)
    assert (slow, fast) == pytest.approx((1_500.0, 100.0))
    assert np.isnan(run_bounds(chat, "tpot_ms", 6.0)).all()


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(1, 1000)), min_size=1, max_size=40))
def test_half_of_the_units_came_at_or_above_the_load_of_half(rows):
    rate, weight = (pd.Series(list(part)) for part in zip(*rows, strict=True))
    load = load_of_half(rate, weight)
    assert weight[rate >= load].sum() >= weight.sum() / 2
    assert weight[rate > load].sum() <= weight.sum() / 2


@given(level=st.floats(0.05, 20.0))
def test_other_runs_keep_their_own_figure_inside_their_interval(level):
    measured = pd.DataFrame({"use_case_id": "chat", "accelerator_id": [H100, A100], "units_per_s_per_accelerator": [6.0, 3.0],
                             "low": [5.6, 2.8], "high": [6.4, 3.2], "tier": "measured", "evidence": "run"})  # fmt: skip
    asked = pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": [H100], "figure": CAPACITY, "planned_with": PRODUCTION, "level": level,
                          "level_low": level, "production_low": 6 * level, "production_high": 60 * level, "period": "2026-10",
                          "verdict": CONTRADICTS, "finding": "x", "why": "y", "region": "us"})  # fmt: skip
    own, other = (at_production(measured, asked).set_index("accelerator_id").loc[name] for name in (H100, A100))
    assert own["units_per_s_per_accelerator"] / other["units_per_s_per_accelerator"] == pytest.approx(2.0)
    assert other["low"] <= min(2.8, other["units_per_s_per_accelerator"]) and other["high"] >= max(
        3.2, other["units_per_s_per_accelerator"]
    )


def test_production_where_the_lightest_load_misses_a_limit_gives_the_capacity(compared, runs):
    slow = runs.assign(p95_ttft_ms=runs["p95_ttft_ms"].where(runs["accelerator_id"] != H100, 1_500.0 + runs["point"]))
    bench = compared(500, bounds=MET, runs=slow)
    assert cell(bench)["units_per_s_per_accelerator"] == pytest.approx(3.75)
    assert cell(bench, A100)["units_per_s_per_accelerator"] == pytest.approx(3.0)  # no ratio to a run of nothing
