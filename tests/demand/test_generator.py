"""The sample company: reproducible, consistent with itself, shaped like the measured traces."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from aifactory.demand import generator
from aifactory.demand import generator_costs as costs
from aifactory.demand import generator_telemetry as telemetry
from aifactory.demand.generator_company import AS_OF, DRIFT, OUTAGE, POOLS, TENANTS, USE_CASES, peak_units_per_s
from aifactory.inputs.telemetry import histogram_quantile

FEW = settings(max_examples=40)
SEED = generator.DEFAULT_SEED


@pytest.fixture(scope="module")
def windows(sample_ws):
    return sample_ws.table("demand_windows")


@pytest.fixture(scope="module")
def jobs(sample_ws):
    return sample_ws.table("jobs")


@pytest.fixture(scope="module")
def measured(shared_dir):
    classes = pd.read_csv(shared_dir / "data" / "traces" / "class_parameters.csv")
    traces = pd.read_csv(shared_dir / "data" / "traces" / "statistics.csv").query("part == 'shared'")
    return classes.set_index(["workload_class", "parameter"])["value"], traces.set_index(["trace", "metric"])["value"]


# same seed, same bytes


def content(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def test_the_shipped_sample_is_what_the_generator_writes(sample_dir, tmp_path):
    generator.generate_sample(tmp_path)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 11
    for name in written:
        ours, theirs = tmp_path / name, sample_dir / name
        if ours.suffix == ".parquet":
            pd.testing.assert_frame_equal(pd.read_parquet(ours), pd.read_parquet(theirs))
        else:
            assert content(ours) == content(theirs), name


def test_another_seed_draws_other_numbers_of_the_same_level():
    one, other = (telemetry.demand_series("support-chat", "eu-west", seed) for seed in (1, 2))
    assert not one["requests"].equals(other["requests"])
    assert one["requests"].sum() == pytest.approx(other["requests"].sum(), rel=0.05)


def test_parts_have_their_own_random_numbers():
    first, second = telemetry.spawn(SEED, 1, 0).random(100), telemetry.spawn(SEED, 1, 1).random(100)
    assert (telemetry.spawn(SEED, 1, 0).random(100) == first).all()
    assert not np.isclose(first, second).any()


# lognormal sizes


@FEW
@given(st.floats(1, 1e6), st.floats(1.01, 1000))
def test_the_lognormal_has_its_median_its_tail_and_its_mean(median, ratio):
    mu, sigma = telemetry.lognormal(median, median * ratio)
    law = stats.lognorm(s=sigma, scale=np.exp(mu))
    assert law.ppf([0.5, 0.99]).tolist() == pytest.approx([median, median * ratio], rel=1e-9)
    assert telemetry.lognormal_mean(median, median * ratio) == pytest.approx(law.mean(), rel=1e-9)


@FEW
@given(st.floats(1, 1e5), st.floats(1.1, 100), st.integers(1, 10**7))
def test_a_histogram_counts_every_request_once(median, ratio, count):
    table = telemetry.histogram("2026-10", "a", "r", "e2e_ms", median, median * ratio, count)
    assert table["count"].sum() == count
    assert (table["count"] > 0).all()
    if count >= 100_000:
        for q, expected in ((0.5, median), (0.99, median * ratio)):
            found = histogram_quantile(table["bucket"].to_numpy(), table["count"].to_numpy(), q)
            assert found == pytest.approx(expected, rel=0.02)


def test_no_request_has_no_tokens_and_each_request_at_least_one():
    random = np.random.default_rng(1)
    assert telemetry.token_sum(np.zeros(5, dtype=int), (100, 400), random).tolist() == [0] * 5
    requests = np.array([1, 2, 3, 1000])
    assert (telemetry.token_sum(requests, (1, 1000), random) >= requests).all()


def test_tokens_add_up_to_the_mean_of_their_law():
    requests = np.full(2000, 50_000)
    tokens = telemetry.token_sum(requests, (1020, 4142), np.random.default_rng(3))
    assert tokens.mean() / 50_000 == pytest.approx(telemetry.lognormal_mean(1020, 4142), rel=1e-3)


# the shape of demand


def test_a_week_of_a_use_case_that_does_not_grow_has_mean_one():
    case = next(case for case in USE_CASES.values() if case.units_per_hour and not case.launch)
    flat = type(case)(**{**vars(case), "growth": 0.0})
    times = telemetry.hours()[: 168 * 4]
    assert np.mean(telemetry.shape(flat, "us-east", times)) == pytest.approx(1.0, abs=0.01)


def test_growth_doubles_the_load_of_a_month_later():
    case = USE_CASES["support-chat"]
    grown = type(case)(**{**vars(case), "growth": 1.0, "weekend": 1.0, "day_swing": 0.0})
    times = telemetry.hours()
    load = telemetry.shape(grown, "us-east", times)
    assert load[-1] == pytest.approx(1.0)
    assert load[-1 - 730] == pytest.approx(0.5, rel=0.01)


def test_the_outage_is_six_hours_of_nothing(windows):
    name, region, start, end = OUTAGE
    mine = windows[(windows["use_case_id"] == name) & (windows["region"] == region)].set_index("window_start_utc")
    silent = mine.index[mine["requests"] == 0]
    assert silent.tolist() == pd.date_range(start, end, freq="h", tz="UTC", inclusive="left").tolist()


def test_nothing_runs_before_its_launch_nor_outside_its_regions(windows, jobs):
    first = windows.groupby("use_case_id")["window_start_utc"].min().dt.strftime("%Y-%m")
    for name, case in USE_CASES.items():
        if name in first.index:
            assert first[name] == (case.launch or "2025-10")
        if case.allowed:
            places = {
                *windows.loc[windows["use_case_id"] == name, "region"],
                *jobs.query("use_case_id == @name").region,
            }
            assert places == {case.allowed}
    assert "voice-agent" not in first.index


def test_units_are_the_requests_that_succeeded(windows):
    per_request = windows["use_case_id"].map({name: case.units_per_request for name, case in USE_CASES.items()})
    expected = (windows["requests"] - windows["errors"]) * per_request
    np.testing.assert_allclose(windows["service_units"], expected, atol=0.00051)
    assert (windows["retries"] <= windows["errors"]).all()
    known = windows[windows["input_tokens"].notna()]
    assert (known["cached_input_tokens"] <= known["input_tokens"]).all()


def test_failures_come_at_the_rate_of_the_catalogue(windows):
    sums = windows.groupby("use_case_id")[["errors", "requests"]].sum()
    for name, rate in (sums["errors"] / sums["requests"]).items():
        assert rate == pytest.approx(USE_CASES[name].failure_rate, rel=0.05)


def test_prompts_of_one_use_case_are_longer_from_its_month_on(windows):
    name, month, factor = DRIFT
    mine = windows[windows["use_case_id"] == name]
    later = mine["window_start_utc"].dt.strftime("%Y-%m") >= month
    sums = mine.groupby(later)[["input_tokens", "output_tokens", "requests"]].sum()
    per_request = sums[["input_tokens", "output_tokens"]].div(sums["requests"], axis=0)
    assert (per_request.loc[True] / per_request.loc[False]).tolist() == pytest.approx([factor, 1.0], rel=0.01)


def test_the_top_tenth_of_tenants_holds_what_the_zipf_law_says(sample_ws):
    table = sample_ws.month("tenant_usage").groupby(["use_case_id", "tenant"])["requests"].sum()
    for name, (count, _) in TENANTS.items():
        assert len(table[name]) == count
    region = sample_ws.month("tenant_usage").query("use_case_id == 'support-chat' and region == 'us-east'")["requests"]
    law = np.arange(1, 61, dtype=float) ** -1.3
    assert region.nlargest(6).sum() / region.sum() == pytest.approx(law[:6].sum() / law.sum(), abs=0.005)


def test_capacity_by_hand():
    # forty edge devices at 0.045^0.25 x 0.06^0.75 of 2,000 inferences a second
    expected = 40 * 2000 * 0.045**0.25 * 0.06**0.75 * 3600
    assert telemetry.hourly_capacity("quay-vision", "eu-west") == pytest.approx(expected)
    assert telemetry.hourly_capacity("quay-vision", "us-east") == 0


# jobs


def test_jobs_of_a_month_are_the_accelerator_hours_of_the_catalogue(jobs):
    hours = (jobs["ended_utc"] - jobs["started_utc"]) / pd.Timedelta(hours=1) * jobs["accelerators"]
    speed = [
        peak_units_per_s(name, chip) * 3600 for name, chip in zip(jobs.use_case_id, jobs.accelerator_id, strict=True)
    ]
    month = jobs["submitted_utc"].dt.strftime("%Y-%m")
    sums = (hours * speed).groupby([jobs["use_case_id"], month]).sum()
    for name, case in USE_CASES.items():
        if case.job_hours:
            assert sums[name, "2026-08"] == pytest.approx(case.job_hours * (1 + case.growth) ** -2, rel=1e-3)
            assert sums[name, "2025-10"] == pytest.approx(case.job_hours * (1 + case.growth) ** -12, rel=1e-3)


def test_jobs_are_in_order_and_numbered_once(jobs):
    assert (jobs["submitted_utc"] <= jobs["started_utc"]).all()
    assert (jobs["started_utc"] <= jobs["ended_utc"])[jobs["status"] != "running"].all()
    assert jobs["ended_utc"].isna().equals(jobs["status"] == "running")
    assert jobs["job_id"].is_unique
    assert jobs["submitted_utc"].is_monotonic_increasing


def test_no_job_has_ended_after_the_last_day_of_the_sample(jobs):
    assert jobs["ended_utc"].max() < pd.Timestamp(AS_OF, tz="UTC") + pd.Timedelta(days=1)


# pools and bill


def test_a_commitment_is_billed_once_and_used_up_exactly(sample_ws):
    bill = sample_ws.table("billing")
    committed = [name for name, pool in POOLS.items() if pool.option == "reserved_1y"]
    mine = bill[bill["ResourceId"].isin(committed)].astype({"BilledCost": float, "EffectiveCost": float})
    sums = mine.groupby(["ResourceId", "invoice_month"])[["BilledCost", "EffectiveCost"]].sum()
    np.testing.assert_allclose(sums["BilledCost"], sums["EffectiveCost"], atol=0.001)
    october = sums.loc[(slice(None), "2026-10"), "BilledCost"].droplevel(1)
    for name in committed:
        assert october[name] == pytest.approx(POOLS[name].usd_per_hour * POOLS[name].installed * 744)


def test_pools_are_never_busier_than_they_are_large(sample_ws):
    pools = sample_ws.table("pools")
    assert set(pools["pool_id"]) == set(POOLS)
    assert pools["utilization"].between(0, 0.97).all()
    assert len(pools[["pool_id", "installed"]].drop_duplicates()) == len(POOLS)


def test_load_is_units_over_the_speed_of_the_pool():
    day = pd.Timestamp("2026-10-01", tz="UTC")
    rows = pd.DataFrame(
        {"use_case_id": "quay-vision", "region": "eu-west", "window_start_utc": [day, day], "service_units": [5e6, 3e6]}
    )
    none = pd.DataFrame(
        {"use_case_id": [], "region": [], "accelerator_id": [], "started_utc": pd.DatetimeIndex([], tz="UTC"),
         "ended_utc": pd.DatetimeIndex([], tz="UTC"), "accelerators": []}
    )  # fmt: skip
    load = costs.daily_load(rows, none)
    expected = 8e6 / (peak_units_per_s("quay-vision", "nvidia-jetson-agx-orin") * 3600)
    assert load["hours"].tolist() == pytest.approx([expected])
    assert load["pool_id"].tolist() == ["eu-quay-orin"]


def test_the_untagged_pool_and_the_two_bad_runs_are_there(sample_ws):
    bill, runs = sample_ws.table("billing"), sample_ws.table("benchmarks")
    assert bill.loc[bill["ResourceId"] == "eu-docs-a100", "Tags"].isna().all()
    assert {"support-chat--nvidia-h100-sxm--cut", "support-chat--nvidia-h100-sxm--errors"} <= set(runs["benchmark_id"])


# against the measured traces


def tokens(ws, name, metric, q):
    rows = ws.month("latency_histograms").query("use_case_id == @name and metric == @metric")
    counts = rows.groupby("bucket")["count"].sum()
    return histogram_quantile(counts.index.to_numpy(), counts.to_numpy(), q)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "metric", "trace"),
    [
        ("support-chat", "input_tokens", "azure_llm_2023_conv"),
        ("support-chat", "output_tokens", "azure_llm_2023_conv"),
        ("doc-summary", "input_tokens", "mooncake_fast25_conversation"),
        ("doc-summary", "output_tokens", "mooncake_fast25_conversation"),
        ("dev-copilot", "input_tokens", "agentic_coding"),
        ("dev-copilot", "output_tokens", "agentic_coding"),
    ],
)
@pytest.mark.parametrize(("q", "column"), [(0.5, "p50"), (0.99, "p99")])
def test_token_quantiles_are_those_of_the_trace(sample_ws, measured, name, metric, trace, q, column):
    expected = float(measured[1][trace, f"{metric}_{column}"])
    assert tokens(sample_ws, name, metric, q) == pytest.approx(expected, rel=0.01)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "workload_class"), [("support-chat", "real_time_inference"), ("dev-copilot", "agentic_orchestration")]
)
@pytest.mark.parametrize(("q", "column"), [(0.5, "median"), (0.99, "p99")])
@pytest.mark.parametrize("metric", ["input_tokens", "output_tokens"])
def test_token_quantiles_are_those_of_the_class(sample_ws, measured, name, workload_class, metric, q, column):
    expected = float(measured[0][workload_class, f"{metric}_{column}"])
    assert tokens(sample_ws, name, metric, q) == pytest.approx(expected, rel=0.01)


@pytest.mark.real
def test_shares_and_sizes_are_the_measured_ones(measured):
    classes = measured[0]
    assert USE_CASES["product-images"].units_per_request == float(
        classes["multimodal_media", "images_per_request_mean"]
    )
    assert 1 / USE_CASES["dev-copilot"].units_per_request == pytest.approx(
        float(classes["agentic_orchestration", "requests_per_session_mean"])
    )
    assert USE_CASES["product-images"].failure_rate == float(classes["multimodal_media", "failure_rate"])
    for name, kind in (("support-chat", "real_time_inference"), ("dev-copilot", "agentic_orchestration")):
        assert USE_CASES[name].cached_share == float(classes[kind, "prefix_block_hit_ratio"])


@pytest.mark.real
def test_day_and_weekend_follow_the_measured_profile(windows, measured):
    chat = windows.query("use_case_id == 'support-chat' and region == 'us-east'")
    local = pd.Series(chat["requests"].to_numpy(float), index=chat["window_start_utc"] - pd.Timedelta(hours=5))
    by_hour = local.groupby(local.index.hour).mean() / local.mean()
    classes = measured[0]["real_time_inference"]
    assert by_hour.max() == pytest.approx(float(classes["daily_peak_hour_to_daily_mean"]), abs=0.1)
    assert by_hour.min() == pytest.approx(float(classes["daily_trough_hour_to_daily_mean"]), abs=0.1)
    daily = local.resample("D").sum()
    weekend = daily[daily.index.day_of_week >= 5].mean() / daily[daily.index.day_of_week < 5].mean()
    assert weekend == pytest.approx(float(classes["weekend_to_weekday"]), abs=0.03)


@pytest.mark.real
def test_training_jobs_last_as_long_as_the_measured_ones(jobs, measured):
    length = (jobs["ended_utc"] - jobs["started_utc"]).dt.total_seconds()[jobs["use_case_id"] == "demand-model"]
    classes = measured[0]["batch_training"]
    assert length.median() == pytest.approx(float(classes["job_duration_median"]), rel=0.15)
    assert length.mean() == pytest.approx(float(classes["job_duration_mean"]), rel=0.05)


@pytest.mark.real
def test_tuning_jobs_fail_as_often_as_the_measured_ones(jobs, measured):
    tuning = jobs[jobs["use_case_id"].isin(["brand-tuning", "support-tuning"])]
    expected = float(measured[0]["parameter_efficient_fine_tuning", "failure_rate"])
    assert (tuning["status"] == "failed").mean() == pytest.approx(expected, abs=0.02)
