"""Measured and estimated capacities, prices, cost and energy per unit."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.benchmark import capacity
from aifactory.benchmark.telemetry import shown_capacities
from aifactory.serving.capacity import RUN_TO_RUN_P90
from aifactory.units import percent

H100, A100, H200, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "nvidia-h200-sxm", "google-tpu-v6e"


@pytest.fixture
def measure(mini_ws, runs):
    """Measured capacities of the chat runs on the H100 with some columns changed."""

    def found(frame=None, **changes):
        mine = runs[runs["benchmark_id"] == f"chat--{H100}"] if frame is None else frame
        return capacity.run_capacities(mine.assign(**changes), mini_ws.table("use_cases"))

    return found


@pytest.fixture(scope="module")
def chat(mini_ws):
    return next(case for case in mini_ws.table("use_cases").itertuples(index=False) if case.use_case_id == "chat")


@pytest.fixture(scope="module")
def chips(mini_ws):
    return mini_ws.table("accelerators").set_index("accelerator_id")


def test_capacity_of_a_run_is_interpolated_at_its_slo(measure):
    row = measure().iloc[0]
    # TTFT 400 ms at 4 a second and 1,600 ms at 8: 1,000 ms are met at 6
    assert (row["units_per_s_per_accelerator"], row["binding_slo"]) == (6.0, "TTFT")
    assert row["power_w_per_accelerator"] == 600.0


def test_capacity_and_power_are_per_accelerator(measure):
    row = measure(accelerators=4).iloc[0]
    assert (row["units_per_s_per_accelerator"], row["power_w_per_accelerator"]) == (1.5, 150.0)


def test_power_is_read_at_the_capacity(measure):
    assert measure(power_w=[300.0, 400.0, 600.0]).iloc[0]["power_w_per_accelerator"] == 500.0


def test_unknown_power_stays_unknown(measure):
    assert math.isnan(measure(power_w=np.nan).iloc[0]["power_w_per_accelerator"])


def test_requests_per_unit_count_the_successful_ones(measure):
    assert measure().iloc[0]["requests_per_unit"] == pytest.approx(1.0)
    twice = measure(requests=[2520, 5040, 10080], errors=[120, 240, 480])
    assert twice.iloc[0]["requests_per_unit"] == pytest.approx(2.0)
    assert twice.iloc[0]["failure_rate"] == pytest.approx(120 / 2520)


def test_a_run_that_misses_its_slo_has_no_capacity(measure):
    row = measure(p95_ttft_ms=[1100.0, 1200.0, 1600.0]).iloc[0]
    assert (row["units_per_s_per_accelerator"], row["binding_slo"]) == (0.0, "TTFT")


def test_latencies_without_a_limit_do_not_bind(measure):
    assert measure(p95_tpot_ms=[1e6, 1e6, 1e6]).iloc[0]["units_per_s_per_accelerator"] == 6.0


def test_the_end_to_end_limit_binds_too(measure):
    row = measure(p95_e2e_ms=[10_000.0, 30_000.0, 40_000.0]).iloc[0]
    assert (row["units_per_s_per_accelerator"], row["binding_slo"]) == (3.0, "E2E")


def test_a_tight_first_token_limit_tested_at_fixed_concurrency_is_corrected_in_the_open(measure):
    """Limit 1,000 ms, 600 ms at the lightest load: 1.7 times; 600 ms at 4 a second and 1,600 at 8 cross it at 5.6."""
    plain, flattered = (
        measure(p95_ttft_ms=[600.0, 600.0, 1600.0], load=load).iloc[0] for load in ("rate", "fixed_concurrency")
    )
    assert plain["units_per_s_per_accelerator"] == pytest.approx(5.6)
    assert flattered["units_per_s_per_accelerator"] == pytest.approx(5.6 / math.sqrt(1.3 * 1.8))
    row = capacity.measured_capacities(flattered.to_frame().T.astype({"units_per_s_per_accelerator": float})).iloc[0]
    assert row["low"] == pytest.approx(5.6 / 1.8 * 0.935)
    assert row["high"] == pytest.approx(5.6 / 1.3 * 1.065)
    assert "divided by 1.53" in row["evidence"]
    unmarked = capacity.measured_capacities(plain.to_frame().T.astype({"units_per_s_per_accelerator": float}))
    assert "divided" not in unmarked.iloc[0]["evidence"]


def test_a_trace_in_all_runs_is_told(measure):
    """Arrivals at a rate may be even: such a test holds no chance."""
    loads = ("trace", "rate", "fixed_concurrency", ["trace", "rate", "trace"])
    told = [capacity.measured_capacities(measure(load=load))["open_load"].iloc[0] for load in loads]
    assert told == [True, False, False, False]


def test_no_runs_measure_nothing(measure, runs):
    assert measure(runs.iloc[:0]).empty
    assert capacity.measured_capacities(measure(runs.iloc[:0])).empty


def test_repeats_are_averaged_with_their_interval(measure, runs):
    mine = runs[runs["benchmark_id"] == f"chat--{H100}"]
    again = mine.assign(benchmark_id="again", p95_ttft_ms=[200.0, 400.0, 2800.0])  # 5 a second
    row = capacity.measured_capacities(measure(pd.concat([mine, again]))).iloc[0]
    assert row[["units_per_s_per_accelerator", "low", "high"]].tolist() == [5.5, 5.0, 6.0]
    assert row["evidence"].startswith("2 runs on own prompts")


def test_one_run_has_the_public_noise_as_interval(measure):
    row = capacity.measured_capacities(measure()).iloc[0]
    assert (row["low"], row["high"]) == pytest.approx((6 * (1 - RUN_TO_RUN_P90), 6 * (1 + RUN_TO_RUN_P90)))
    assert (row["tier"], row["precision"], row["output_tokens_per_unit"]) == ("measured", "bf16", pytest.approx(100))


def test_the_precision_with_the_highest_capacity_is_kept(measure, runs):
    mine = runs[runs["benchmark_id"] == f"chat--{H100}"]
    fast = mine.assign(benchmark_id="fp8", precision="fp8", p95_ttft_ms=[200.0, 400.0, 1000.0])
    table = capacity.measured_capacities(measure(pd.concat([mine, fast])))
    assert table[["precision", "units_per_s_per_accelerator"]].to_numpy().tolist() == [["fp8", 8.0]]


@given(st.floats(1.0, 3000.0), st.floats(0.0, 1.0))
@settings(max_examples=25)
def test_capacity_never_exceeds_the_best_point_and_never_grows_with_a_tighter_limit(mini_ws, limit, share):
    cases = mini_ws.table("use_cases")
    mine = mini_ws.table("benchmarks").query("use_case_id == 'chat'")
    wide, tight = (
        capacity.run_capacities(mine, cases.assign(slo_p95_ttft_ms=value)).set_index("accelerator_id")
        for value in (limit, limit * share)
    )
    best = (mine["units_per_s"] / mine["accelerators"]).groupby(mine["accelerator_id"]).max()
    column = "units_per_s_per_accelerator"
    assert (wide[column] <= best.reindex(wide.index)).all()
    assert (tight[column] <= wide[column] + 1e-12).all()


def test_every_pair_without_a_run_gets_an_estimate_or_a_reason(mini_ws, mini_benchmark):
    table = mini_benchmark.capacity
    pairs = {(case, name) for case in ("chat", "images", "models") for name in mini_ws.plan.candidates}
    assert set(zip(table["use_case_id"], table["accelerator_id"], strict=True)) == pairs
    assert len(table) == len(pairs)
    assert table["evidence"].notna().all()


def missing(ws, own):
    return capacity.estimate_missing(ws, own, shown_capacities(ws))


def test_a_class_that_nobody_reviewed_for_the_work_is_to_be_benchmarked(mini_benchmark):
    row = mini_benchmark.capacity.set_index(["use_case_id", "accelerator_id"]).loc["chat", TPU]
    assert row["tier"] == "none"
    assert math.isnan(row["units_per_s_per_accelerator"])
    assert "no two accelerators of class tpu for this work" in row["evidence"]


def test_an_estimate_names_tier_basis_and_interval(mini_ws, mini_benchmark):
    ws = dataclasses.replace(mini_ws, plan=mini_ws.plan.model_copy(update={"candidates": [H100, A100, H200]}))
    own = mini_benchmark.capacity[mini_benchmark.capacity["tier"] == "measured"]
    table = missing(ws, own).set_index(["use_case_id", "accelerator_id"])
    row = table.loc["chat", H200]
    # half again the bandwidth of the H100 at the same peak, on which 6 requests a second were measured
    assert 4 < row["low"] < 6 < row["units_per_s_per_accelerator"] < row["high"] < 14
    assert row["tier"] == "anchored"
    assert "from own runs on" in row["evidence"] and H100 in row["evidence"]
    low = 1 - row["low"] / row["units_per_s_per_accelerator"]
    assert f"80 % interval \N{MINUS SIGN}{percent(low)} to +" in row["evidence"]


def test_training_is_counted_in_hours_of_the_reference(mini_benchmark, chips):
    table = mini_benchmark.capacity.query("use_case_id == 'models'").set_index("accelerator_id")
    assert table.at[A100, "units_per_s_per_accelerator"] == 1 / 3600
    assert table.at[A100, "low"] == table.at[A100, "high"] == 1 / 3600
    assert table.at[A100, "tier"] == "measured"
    ratio = chips.at[H100, "achievable_bf16_tflops"] / chips.at[A100, "achievable_bf16_tflops"]
    row = table.loc[H100]
    assert row["low"] * 3600 < ratio < row["high"] * 3600
    assert row["tier"] == "anchored"


def test_without_own_runs_public_measurements_of_the_model_speak(with_tables, runs, mini_ws):
    ws = with_tables(benchmarks=runs.iloc[:0])
    nothing = pd.DataFrame(columns=["use_case_id", "accelerator_id"])
    table = missing(ws, nothing).query("use_case_id == 'chat'").set_index("accelerator_id")
    tokens = capacity.output_tokens_per_unit(ws)["chat"]
    for name in (H100, A100):
        row = table.loc[name]
        assert row["tier"] in ("anchored", "step model")
        assert 300 < row["low"] * tokens < row["high"] * tokens < 60_000
        assert "from public measurements" in row["evidence"]
    assert table.at[H100, "units_per_s_per_accelerator"] > table.at[A100, "units_per_s_per_accelerator"]


def test_rows_that_the_workspace_adds_count(with_tables, runs, mini_ws):
    rows = mini_ws.table("public_measurements")
    mine = rows[rows["metric"] == "tokens_per_s"].head(1)
    added = pd.concat(
        [mine.assign(measurement_id=f"own-{number}", accelerator_id=name, model="Llama-3.1-8B", accelerators=1.0,
                     scenario="concurrency", value_per_accelerator=90_000.0, source="house tests")
         for number, name in enumerate((H100, A100, H200))]
    )  # fmt: skip
    nothing = pd.DataFrame(columns=["use_case_id", "accelerator_id"])
    before, after = (
        missing(with_tables(benchmarks=runs.iloc[:0], public_measurements=table), nothing)
        .query("use_case_id == 'chat'").set_index("accelerator_id").at[H100, "units_per_s_per_accelerator"]
        for table in (rows, pd.concat([rows, added], ignore_index=True))
    )  # fmt: skip
    assert after > before


def test_without_output_tokens_public_token_rates_cannot_be_converted(with_tables, runs, mini_ws):
    silent = mini_ws.table("demand_windows").iloc[:0]
    table = missing(
        with_tables(benchmarks=runs.iloc[:0], demand_windows=silent),
        pd.DataFrame(columns=["use_case_id", "accelerator_id"]),
    )
    chat = table[table["use_case_id"] == "chat"]
    assert (chat["tier"] == "none").all()
    assert chat["evidence"].str.contains("no output tokens per request").all()


def test_a_model_that_nobody_measured_is_to_be_benchmarked(with_tables, runs, mini_ws):
    cases = mini_ws.table("use_cases").assign(model="nobody-knows")
    pools = mini_ws.table("pools").iloc[:0]
    ws = with_tables(benchmarks=runs.iloc[:0], use_cases=cases, pools=pools)
    table = missing(ws, pd.DataFrame(columns=["use_case_id", "accelerator_id"]))
    chat = table[table["use_case_id"] == "chat"]
    assert (chat["tier"] == "none").all()
    assert chat["units_per_s_per_accelerator"].isna().all()
    assert chat["evidence"].str.contains("no public measurement of nobody-knows").all()


def test_neuromorphic_hardware_is_never_estimated(mini_ws, mini_benchmark):
    ws = dataclasses.replace(mini_ws, plan=mini_ws.plan.model_copy(update={"candidates": ["brainchip-akd1000"]}))
    table = missing(ws, mini_benchmark.capacity.iloc[:0])
    assert (table["tier"] == "none").all()
    assert len(table) == 3


def test_output_tokens_per_unit_are_those_of_production(mini_ws):
    # a window of 110 requests has 108 good ones and 11,000 output tokens, one of 220 has 216 and 22,000
    assert capacity.output_tokens_per_unit(mini_ws).to_dict() == pytest.approx({"chat": 3740 * 100 / 3672})


def test_regions_are_those_with_demand_else_those_allowed(mini_ws, with_tables):
    assert capacity.use_case_regions(mini_ws, "chat") == ["eu", "us"]
    assert capacity.use_case_regions(mini_ws, "images") == ["eu"]
    assert capacity.use_case_regions(mini_ws, "models") == ["us"]
    silent = with_tables(**{name: mini_ws.table(name).iloc[:0] for name in ("demand_windows", "jobs")})
    assert capacity.use_case_regions(silent, "images") == ["eu"]
    assert capacity.use_case_regions(silent, "chat") == ["us", "eu"]
    chain = mini_ws.table("demand_chain").reindex(range(2))
    chain = chain.assign(use_case_id="chat", factor="region_share", region=["us", "eu"], value=[1.0, 0.0])
    planned = dataclasses.replace(silent, tables={**silent.tables, "demand_chain": chain})
    assert capacity.use_case_regions(planned, "chat") == ["us"]
    assert capacity.use_case_regions(planned, "images") == ["eu"]


def offers(*rows):
    columns = ["accelerator_id", "region", "purchase_option", "usd_per_accelerator_hour_effective", "source"]
    return pd.DataFrame(rows, columns=columns).assign(as_of=pd.Timestamp("2026-10-01"), provider="P", exact_region=True)


def test_the_price_of_use_is_the_mean_over_regions_and_names_the_source_of_each():
    here = offers(("a", "us", "on_demand", 2.0, "cheap"), ("a", "eu", "on_demand", 4.0, "dear"),
                  ("a", "asia", "on_demand", 99.0, "far"))  # fmt: skip
    here["exact_region"] = here["region"] != "eu"
    table = capacity.price_of_use(here, ["us", "eu"])
    assert table.loc["a"].drop(["purchase_option", "as_of"]).tolist() == [3.0, "P, cheap; P, dear", False]
    assert capacity.price_of_use(here, ["us", "asia"]).loc["a", "exact_region"]


def test_the_price_of_use_is_as_old_as_the_oldest_price_in_its_mean():
    here = offers(("a", "us", "on_demand", 2.0, "cheap"), ("a", "eu", "on_demand", 4.0, "dear"), ("b", "us", "on_demand", 1.0, "x"))  # fmt: skip
    here["as_of"] = pd.to_datetime(["2026-07-20", "2026-10-15", "2026-10-01"])
    dates = capacity.price_of_use(here, ["us", "eu"])["as_of"]
    assert dates.astype(str).to_dict() == {"a": "2026-07-20", "b": "2026-10-01"}


def test_flexible_hours_are_preferred_to_commitments():
    table = capacity.price_of_use(
        offers(("a", "us", "reserved_1y", 1.0, "r"), ("a", "us", "on_demand", 2.0, "o"),
               ("b", "us", "purchase", 5.0, "p"), ("b", "us", "lease", 6.0, "l"),
               ("c", "us", "spot", 1.0, "s")), ["us"])  # fmt: skip
    assert table["purchase_option"].to_dict() == {"a": "on_demand", "b": "lease"}


def test_what_is_compared_is_priced_on_the_same_terms():
    """b cannot be rented by the hour, so that a beside it is priced as bought too; c is not compared."""
    here = offers(("a", "us", "on_demand", 6.0, "o"), ("a", "us", "purchase", 2.0, "p"), ("b", "us", "purchase", 1.5, "p"),
                  ("c", "us", "on_demand", 1.0, "o"))  # fmt: skip
    usd = "usd_per_accelerator_hour_effective"
    assert capacity.price_of_use(here, ["us"], compared=["a", "b"])[usd].to_dict() == {"a": 2.0, "b": 1.5, "c": 1.0}
    assert capacity.price_of_use(here, ["us"], compared=["a", "c"])[usd].to_dict() == {"a": 6.0, "b": 1.5, "c": 1.0}
    assert capacity.price_of_use(here, ["us"], compared=["b", "c"])[usd].to_dict() == {"a": 6.0, "b": 1.5, "c": 1.0}
    assert capacity.price_of_use(here, ["us"], compared=["d"])[usd].to_dict() == {"a": 6.0, "b": 1.5, "c": 1.0}


def test_offers_without_a_price_are_no_offers():
    assert capacity.price_of_use(offers(("a", "us", "on_demand", 0.0, "x"), ("b", "us", "on_demand", np.nan, "x")),
                                 ["us"]).empty  # fmt: skip


def test_cost_per_unit_and_tokens_per_joule_follow_from_price_rate_and_power(mini_benchmark):
    row = mini_benchmark.capacity.set_index(["use_case_id", "accelerator_id"]).loc["chat", H100]
    price = row["usd_per_accelerator_hour"]
    assert row["usd_per_1k_units"] == pytest.approx(price / (6 * 3600) * 1000)
    assert row["usd_per_million_output_tokens"] == pytest.approx(price / (6 * 3600 * 100) * 1e6)
    assert row["joules_per_unit"] == pytest.approx(600 / 6)
    assert row["tokens_per_joule"] == pytest.approx(100 * 6 / 600)


def test_a_capacity_of_zero_has_no_cost_per_unit(mini_ws):
    cells = pd.DataFrame(
        {"use_case_id": ["chat"], "accelerator_id": [H100], "tier": "measured", "units_per_s_per_accelerator": [0.0],
         "output_tokens_per_unit": [np.nan], "power_w_per_accelerator": [600.0]}
    )  # fmt: skip
    row = capacity.with_money(mini_ws, cells, capacity.hourly_prices(mini_ws)).iloc[0]
    assert math.isnan(row["usd_per_1k_units"])
    assert math.isnan(row["joules_per_unit"])
    assert row["usd_per_accelerator_hour"] > 0


def test_without_output_tokens_there_is_no_price_or_energy_of_one(mini_ws):
    """An embedding: 700 W at 200 units/s are 3.5 J a unit, and no token comes out."""
    cells = pd.DataFrame(
        {"use_case_id": ["chat"], "accelerator_id": [H100], "tier": "measured", "units_per_s_per_accelerator": [200.0],
         "output_tokens_per_unit": [0.0], "power_w_per_accelerator": [700.0]}
    )  # fmt: skip
    row = capacity.with_money(mini_ws, cells, capacity.hourly_prices(mini_ws)).iloc[0]
    assert row["joules_per_unit"] == pytest.approx(3.5)
    assert math.isnan(row["usd_per_million_output_tokens"])
    assert math.isnan(row["tokens_per_joule"])


@given(st.floats(1e-4, 1e4), st.floats(1.1, 100))
@settings(max_examples=15)
def test_cost_per_unit_falls_as_capacity_rises(mini_ws, mini_benchmark, rate, factor):
    cells = pd.DataFrame(
        {"use_case_id": "chat", "accelerator_id": [H100, H100], "tier": "measured", "units_per_s_per_accelerator": [rate, rate * factor],
         "output_tokens_per_unit": 100.0, "power_w_per_accelerator": 500.0}
    )  # fmt: skip
    slow, fast = capacity.with_money(mini_ws, cells, mini_benchmark.prices)["usd_per_1k_units"]
    assert slow / fast == pytest.approx(factor)
