"""The bake-off in one call, also without runs, bill, pools or jobs."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark import build_benchmark
from aifactory.benchmark.build import CAPACITY_COLUMNS
from aifactory.inputs.workspace import load_workspace

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"


def test_the_tiny_workspace_has_the_hand_made_capacities(mini_benchmark):
    table = mini_benchmark.capacity
    measured = table[(table["tier"] == "measured") & (table["use_case_id"] != "models")]
    assert measured.set_index(["use_case_id", "accelerator_id"])["units_per_s_per_accelerator"].to_dict() == {
        ("chat", A100): 3.0,
        ("chat", H100): 6.0,
        ("images", H100): 2.0,
    }
    assert list(table.columns) == CAPACITY_COLUMNS
    assert not table.duplicated(["use_case_id", "accelerator_id"]).any()


def test_points_carry_cost_energy_and_whether_they_meet_the_slo(mini_benchmark):
    curves = mini_benchmark.curves.query("use_case_id == 'chat' and accelerator_id == @H100").set_index("point")
    price = mini_benchmark.capacity.set_index(["use_case_id", "accelerator_id"])["usd_per_accelerator_hour"]
    assert curves["meets_slo"].tolist() == [True, True, False]
    assert curves["joules_per_unit"].tolist() == [300.0, 150.0, 75.0]
    assert curves["usd_per_1k_units"].tolist() == pytest.approx(
        [price["chat", H100] / (rate * 3.6) for rate in (2, 4, 8)]
    )


def test_nothing_is_estimated_where_all_pairs_were_measured(mini_ws):
    cases = mini_ws.table("use_cases")
    few = {**mini_ws.tables, "use_cases": cases[cases["use_case_id"] != "models"]}
    ws = dataclasses.replace(mini_ws, plan=mini_ws.plan.model_copy(update={"candidates": [H100]}), tables=few)
    found = build_benchmark(ws)
    capacity = found.capacity.set_index("use_case_id")
    assert capacity["units_per_s_per_accelerator"].to_dict() == {"chat": 6.0, "images": 2.0}
    assert (capacity["tier"] == "measured").all() and found.not_measured.empty
    for name in ("units_per_s_per_accelerator", "low", "high", "in_progress_per_accelerator", "usd_per_1k_units"):
        assert capacity[name].dtype == float, f"{name} is reckoned with by the stages that follow"


def test_curves_are_per_accelerator(with_tables, runs):
    curves = build_benchmark(with_tables(benchmarks=runs.assign(accelerators=2))).curves
    assert curves["units_per_s_per_accelerator"].tolist() == (runs["units_per_s"] / 2).tolist()
    assert curves["joules_per_unit"].tolist() == (runs["power_w"] / runs["units_per_s"]).tolist()


def test_an_invalid_run_enters_no_figure(with_tables, runs):
    bad = runs.assign(errors=runs["errors"].where(runs["accelerator_id"] != H100, runs["requests"]))
    found = build_benchmark(with_tables(benchmarks=bad))
    chat = found.capacity.query("use_case_id == 'chat'").set_index("accelerator_id")
    assert chat["tier"].to_dict() == {TPU: "none", A100: "measured", H100: "anchored"}
    assert f"from own runs on {A100}" in chat.at[H100, "evidence"]
    assert f"chat--{H100}" not in set(found.curves["benchmark_id"])
    assert f"chat--{H100}" in set(found.validity["benchmark_id"])


def test_an_unverified_run_counts_and_is_marked(with_tables, runs):
    found = build_benchmark(with_tables(benchmarks=runs.assign(tokens_source="requested")))
    assert "UNVERIFIED" in set(found.validity["verdict"])
    assert (found.capacity.query("use_case_id == 'chat'")["tier"] == "measured").sum() == 2


def test_runs_on_platforms_that_are_no_candidates_stay_out(with_tables, runs):
    other = runs.assign(accelerator_id=runs["accelerator_id"].replace(H100, "nvidia-l4"), output_tokens_per_s=np.nan)
    found = build_benchmark(with_tables(benchmarks=other))
    assert "nvidia-l4" not in set(found.capacity["accelerator_id"])
    assert "nvidia-l4" in set(found.validity["accelerator_id"])


def test_a_use_case_measured_on_no_candidate_is_estimated_from_its_runs_elsewhere(mini_ws):
    """Images ran on an H100 alone: with an A100 as the only candidate that run is what is known of them, chat has its own."""
    ws = dataclasses.replace(mini_ws, plan=mini_ws.plan.model_copy(update={"candidates": [A100]}))
    found = build_benchmark(ws)
    images = found.capacity.query("use_case_id == 'images'").iloc[0]
    assert (images["accelerator_id"], images["tier"]) == (A100, "anchored")
    assert images["evidence"].startswith(f"anchored from own runs on {H100} and public measurements")
    assert set(found.capacity["accelerator_id"]) == {A100}
    chat = found.capacity.query("use_case_id == 'chat'").iloc[0]
    assert chat["tier"] == "measured"


def test_what_was_not_measured_says_what_it_rests_on(mini_benchmark):
    missing = mini_benchmark.not_measured
    assert set(zip(missing["use_case_id"], missing["accelerator_id"], strict=True)) == {
        ("chat", TPU), ("images", TPU), ("images", A100), ("models", TPU), ("models", H100)
    }  # fmt: skip
    assert (missing["evidence"].str.len() > 0).all()


def test_a_tenth_of_the_traffic_costs_more_per_unit(with_tables, runs):
    share = pd.Series([0.1, np.nan, np.nan, 0.04, 0.21, np.nan, np.nan], index=runs.index)
    found = build_benchmark(with_tables(benchmarks=runs.assign(traffic_share=share))).first_tenth
    row = found.iloc[0]
    assert len(found) == 1  # 0.04 and 0.21 are outside the first tenth
    assert (row["accelerator_id"], row["traffic_share"]) == (H100, 0.1)
    assert row["cost_ratio"] == pytest.approx(6 / 2)
    assert row["usd_per_1k_units_early"] == pytest.approx(3 * row["usd_per_1k_units"])


def test_without_early_runs_the_table_is_empty(mini_benchmark):
    assert mini_benchmark.first_tenth.empty
    assert "cost_ratio" in mini_benchmark.first_tenth


@pytest.mark.parametrize(("tested", "representative"), [(100.0, True), (115.0, True), (116.0, False), (84.0, False)])
def test_prompts_within_fifteen_percent_of_production_are_representative(with_tables, runs, tested, representative):
    mine = runs.assign(output_tokens_mean=tested, input_tokens_mean=np.nan)
    mix = build_benchmark(with_tables(benchmarks=mine)).prompt_mix.set_index("use_case_id")
    assert list(mix.index) == ["chat"]
    assert mix.at["chat", "production_mean"] == 100.0
    assert mix.at["chat", "deviation_share"] == pytest.approx(tested / 100 - 1)
    assert bool(mix.at["chat", "representative"]) is representative


def test_operation_shares_are_over_requests(with_tables, runs):
    mine = runs.assign(errors=[10, 20, 30, 0, 0, 0, 12], retries=84, warm_start_s=[1.0, 2.0, 3.0, 5, 5, 5, np.nan])
    table = build_benchmark(with_tables(benchmarks=mine)).operation.set_index(["use_case_id", "accelerator_id"])
    assert table.at[("chat", H100), "failure_rate"] == pytest.approx(60 / 8400)
    assert table.at[("chat", H100), "retry_share"] == pytest.approx(252 / 8400)
    assert table.at[("chat", H100), "warm_start_s"] == 2.0
    assert np.isnan(table.at[("images", H100), "warm_start_s"])


@pytest.mark.parametrize("absent", [("benchmarks",), ("jobs",), ("billing", "pools"), ("demand_windows",),
                                    ("benchmarks", "billing", "pools", "jobs")])  # fmt: skip
def test_missing_tables_leave_gaps_not_errors(mini, absent):
    for name in absent:
        (mini / f"{name}.csv").unlink()
    found = build_benchmark(load_workspace(mini))
    assert len(found.capacity) == 9
    assert list(found.capacity.columns) == CAPACITY_COLUMNS
    if "benchmarks" in absent:
        assert found.curves.empty
        assert found.operation.empty
        assert found.prompt_mix.empty
        assert "measured" not in set(found.capacity.query("use_case_id != 'models'")["tier"])


def test_the_sample_obeys_the_identities_of_the_table(sample_ws, sample_stages):
    table = sample_stages.benchmark.capacity
    known = table[table["units_per_s_per_accelerator"] > 0]
    hourly = known["usd_per_1k_units"] / 1000 * known["units_per_s_per_accelerator"] * 3600
    np.testing.assert_allclose(hourly, known["usd_per_accelerator_hour"], rtol=1e-12)
    assert (known["low"] <= known["units_per_s_per_accelerator"]).all()
    assert (known["units_per_s_per_accelerator"] <= known["high"]).all()
    assert set(table["tier"]) <= {"measured", "anchored", "none"}
    unknown = table[table["tier"] == "none"]
    assert unknown["units_per_s_per_accelerator"].isna().all()
    assert len(table) == len(sample_ws.table("use_cases")) * len(sample_ws.plan.candidates)


def test_training_is_known_where_its_jobs_ran(with_tables, mini_ws):
    """Jobs that never ran on the reference say what they need where they ran, not what they would need there."""
    jobs = mini_ws.table("jobs")
    moved = build_benchmark(with_tables(jobs=jobs.assign(accelerator_id=H100))).capacity
    table = moved.query("use_case_id == 'models'").set_index("accelerator_id")
    assert table["tier"].to_dict() == {TPU: "none", A100: "anchored", H100: "measured"}
    assert table.at[H100, "units_per_s_per_accelerator"] * 3600 == pytest.approx(794.5 / 271.2, rel=0.01)
    assert "its jobs ran here" in table.at[H100, "evidence"]
    assert f"from own jobs on {H100} and public measurements" in table.at[A100, "evidence"]
    none = build_benchmark(with_tables(jobs=jobs.iloc[:0])).capacity.query("use_case_id == 'models'")
    told = none.set_index("accelerator_id").at[H100, "evidence"]
    assert f"from the reference hour on {A100} and public measurements" in told
    one = jobs.assign(accelerator_id=[A100, *[H100] * (len(jobs) - 1)])
    kept = build_benchmark(with_tables(jobs=one)).capacity.query("use_case_id == 'models'").set_index("accelerator_id")
    assert kept["tier"].to_dict() == {TPU: "none", A100: "measured", H100: "anchored"}
