"""Latency against SLO, token tails, pools and jobs of the month."""

import dataclasses
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inputs.telemetry import log_bucket
from aifactory.inventory import demand, service, spend

FEW = settings(max_examples=40)
EMPTY = pd.DataFrame()


def with_tables(ws, **tables):
    return dataclasses.replace(ws, tables={**ws.tables, **tables})


def histogram(values, metric="ttft_ms", use_case="chat", region="us", month="2026-10"):
    buckets, counts = np.unique(log_bucket(np.asarray(values, dtype=float)), return_counts=True)
    rows = {"month": month, "use_case_id": use_case, "region": region, "metric": metric}
    return pd.DataFrame({**rows, "bucket": buckets, "count": counts})


def levels(ws, *parts, profile=EMPTY):
    return service.service_levels(with_tables(ws, latency_histograms=pd.concat(parts, ignore_index=True)), profile)


@pytest.fixture(scope="module")
def profile(mini_ws):
    windows = demand.all_windows(mini_ws)
    return demand.profile_demand(mini_ws, windows, demand.demand_by_month(mini_ws, windows))


@pytest.fixture(scope="module")
def rate(mini_ws):
    bill = mini_ws.table("billing")
    return spend.accelerator_rate(bill[bill["month"] == "2026-10"])


# latency


def test_quantiles_by_hand(mini_ws):
    row = levels(mini_ws, histogram(range(1, 101))).iloc[0]
    assert [row["p50"], row["p95"], row["p99"]] == pytest.approx([50, 95, 99], rel=0.0051)
    assert row["count"] == 100
    assert row["slo"] == 1000.0


@pytest.mark.parametrize(("slowest", "met"), [(900.0, True), (1100.0, False)])
def test_a_slo_is_met_by_its_95th_percentile(mini_ws, slowest, met):
    row = levels(mini_ws, histogram([100.0] * 94 + [slowest] * 6)).iloc[0]
    assert bool(row["meets_slo"]) is met


def test_five_slow_requests_of_a_hundred_are_within_a_95th_percentile(mini_ws):
    assert levels(mini_ws, histogram([100.0] * 95 + [9000.0] * 5)).iloc[0]["meets_slo"]


@pytest.mark.parametrize("metric", ["tpot_ms", "queue_ms", "input_tokens"])
def test_without_a_target_nothing_is_met_or_missed(mini_ws, metric):
    row = levels(mini_ws, histogram([5.0], metric)).iloc[0]
    assert np.isnan(row["slo"])
    assert pd.isna(row["meets_slo"])


def test_regions_and_months_are_kept_apart(mini_ws):
    parts = [histogram([10.0]), histogram([99.0], region="eu"), histogram([5000.0], month="2026-09")]
    table = levels(mini_ws, *parts).set_index("region")
    assert table["p95"].to_dict() == pytest.approx({"us": 10.0, "eu": 99.0}, rel=0.0051)


def test_the_failure_rate_comes_from_the_profile(mini_ws):
    profile = pd.DataFrame({"use_case_id": ["chat"], "region": ["us"], "failure_rate": [0.07]})
    table = levels(mini_ws, histogram([10.0]), histogram([10.0], region="eu"), profile=profile).set_index("region")
    assert table.loc["us", "failure_rate"] == 0.07
    assert np.isnan(table.loc["eu", "failure_rate"])
    assert (table["slo_max_failure_rate"] == 0.05).all()


def test_no_latency_data_give_an_empty_table(mini_ws):
    table = service.service_levels(mini_ws, EMPTY)
    assert table.empty
    assert {"p95", "slo", "meets_slo", "failure_rate"} <= set(table.columns)


@FEW
@given(st.lists(st.floats(0.1, 1e5), min_size=1, max_size=200))
def test_quantiles_agree_with_numpy_within_half_a_per_cent(mini_ws, values):
    row = levels(mini_ws, histogram(values)).iloc[0]
    expected = np.quantile(values, [0.5, 0.95, 0.99], method="inverted_cdf")
    np.testing.assert_allclose(row[["p50", "p95", "p99"]].to_numpy(float), expected, rtol=0.0051)


# token tails


def tail(ws, values, metric="output_tokens"):
    no_jobs = ws.table("jobs").iloc[:0]
    return service.size_tail(with_tables(ws, latency_histograms=histogram(values, metric), jobs=no_jobs))


def test_one_long_request_of_a_hundred_holds_half_of_the_tokens(mini_ws):
    row = tail(mini_ws, [10.0] * 99 + [990.0]).iloc[0]
    assert row["top_1_share"] == pytest.approx(0.5, rel=0.01)
    assert row["top_10_share"] == pytest.approx((990 + 9 * 10) / 1980, rel=0.01)


def test_requests_of_one_size_have_no_tail(mini_ws):
    row = tail(mini_ws, [64.0] * 1000).iloc[0]
    assert (row["top_1_share"], row["top_10_share"]) == (pytest.approx(0.01), pytest.approx(0.10))


def test_times_to_answer_have_a_tail_and_times_to_first_token_none(mini_ws):
    assert tail(mini_ws, [10.0], "ttft_ms").empty
    row = tail(mini_ws, [100.0] * 90 + [1000.0] * 10, "e2e_ms").iloc[0]
    assert row["top_10_share"] == pytest.approx(10_000 / 19_000, rel=0.01)
    assert row["mean_to_median"] == pytest.approx(1.9, rel=0.01)


def test_jobs_have_a_tail_of_accelerator_hours(mini_ws):
    table = service.size_tail(mini_ws)  # four jobs of 80 hours each
    assert table[["use_case_id", "metric", "count"]].to_numpy().tolist() == [["models", "accelerator_hours", 4]]
    assert table.loc[0, ["top_1_share", "top_10_share", "mean_to_median"]].tolist() == pytest.approx([0.01, 0.1, 1.0])
    jobs = mini_ws.table("jobs")
    longer = jobs.assign(accelerators=jobs["accelerators"].where(jobs.index != jobs.index[-1], 8 * 37.0))
    table = service.size_tail(with_tables(mini_ws, jobs=longer))
    assert table.loc[0, "top_10_share"] == pytest.approx(0.4 * 37 / 40)


@FEW
@given(st.lists(st.integers(1, 100_000), min_size=100, max_size=100))
def test_the_tail_agrees_with_sorted_sizes(mini_ws, sizes):
    row = tail(mini_ws, sizes).iloc[0]
    ordered = np.sort(sizes)[::-1]
    assert row["top_1_share"] == pytest.approx(ordered[0] / ordered.sum(), rel=0.02)
    assert row["top_10_share"] == pytest.approx(ordered[:10].sum() / ordered.sum(), rel=0.02)
    assert row["top_1_share"] <= row["top_10_share"] <= 1


def test_answers_without_tokens_have_no_tail(mini_ws):
    assert np.isnan(tail(mini_ws, [0.0] * 10).iloc[0]["top_1_share"])


# failures and queues


def test_failures_waits_and_the_longest_queue_by_hand(mini_ws, profile):
    windows = mini_ws.table("demand_windows").assign(queue_depth_max=3.0)
    windows.loc[windows.index[-2], "queue_depth_max"] = 9.0  # chat in eu, the last hour
    ws = with_tables(mini_ws, demand_windows=windows, latency_histograms=histogram([5.0] * 95 + [50.0] * 5, "queue_ms"))
    table = service.failures_and_queues(ws, service.service_levels(ws, profile), profile)
    table = table.set_index(["use_case_id", "region"])
    assert len(table) == 3  # training has its own table
    assert table.loc[("chat", "us"), ["p50_queue_ms", "p95_queue_ms"]].tolist() == pytest.approx([5, 5], rel=0.01)
    assert np.isnan(table.loc[("chat", "eu"), "p95_queue_ms"])
    assert table["queue_depth_max"].to_dict() == {("chat", "eu"): 9.0, ("chat", "us"): 3.0, ("images", "eu"): 3.0}
    assert table.loc[("chat", "us"), "within_limit"]  # 1.8 % of 5 %
    assert pd.isna(table.loc[("images", "eu"), "within_limit"])  # no limit set


# pools


def test_idle_hours_and_money_by_hand(mini_ws, rate):
    # eight accelerators, 744 hours, half and a quarter busy
    table = service.pool_summary(mini_ws, rate).set_index("pool_id")
    chat, train = table.loc["chat-pool"], table.loc["train-pool"]
    assert (chat["accelerator_hours"], chat["idle_accelerator_hours"]) == (5952.0, pytest.approx(2976.0))
    assert (train["accelerator_hours"], train["idle_accelerator_hours"]) == (5952.0, pytest.approx(4464.0))
    assert chat["idle_usd"] == pytest.approx(2976 * 29760.10 / 5952)
    assert train["idle_usd"] == pytest.approx(4464 * 12000.000001 / 4800)
    assert chat["energy_kwh"] == pytest.approx(2.8 * 744)
    assert (chat["utilization_mean"], chat["utilization_p95"]) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (chat["power_w_mean"], chat["queue_depth_mean"]) == (2800.0, 0.5)


def pools(ws, **changes):
    one = ws.month("pools").query("pool_id == 'chat-pool'").iloc[:2].assign(**changes)
    return with_tables(ws, pools=one)


def test_the_busy_day_of_a_pool_is_of_days_whatever_its_windows(mini_ws, rate):
    # eight hours at 90 % and sixteen at 30 % on the first day: 50 %; the second stands at 10 %: P95 of 50 % and 10 % is 48 %
    hours = pd.date_range("2026-10-01", periods=48, freq="h", tz="UTC")
    busy = [0.9 if at.hour < 8 else 0.3 for at in hours[:24]] + [0.1] * 24
    one = pools(mini_ws).table("pools").iloc[[0] * 48].reset_index(drop=True)
    ws = with_tables(mini_ws, pools=one.assign(window_start_utc=hours, window_minutes=60, utilization=busy))
    row = service.pool_summary(ws, rate).iloc[0]
    assert row["utilization_p95"] == pytest.approx(0.1 + 0.95 * 0.4)
    assert row["utilization_mean"] == pytest.approx(0.3)


def charges(ws, **changes):
    """The bill of October with the first three charges named after the pools."""
    bill = ws.table("billing")
    bill = bill[bill["month"] == "2026-10"].reset_index(drop=True)
    owners = ["chat-pool", "train-pool", "train-pool", *[None] * (len(bill) - 3)]
    return bill.assign(ResourceId=pd.Series(owners, dtype="str"), **changes)


def test_a_pool_that_the_bill_names_has_its_own_cost(mini_ws, rate):
    table = service.pool_summary(mini_ws, rate, charges(mini_ws)).set_index("pool_id")
    assert table["priced_by"].tolist() == ["its own charges"] * 2
    assert table["paid_usd"].tolist() == pytest.approx([29760.10, 12000.000001 + 2880.5])
    assert table["unused_usd"].tolist() == [0.0, 2880.5]
    assert table["idle_usd"].tolist() == pytest.approx([29760.10 / 2, 14880.500001 * 0.75])
    by_rate = service.pool_summary(mini_ws, rate).set_index("pool_id")
    assert by_rate["priced_by"].tolist() == ["the rate of its accelerator"] * 2
    assert by_rate["paid_usd"].tolist() == pytest.approx([29760.10, 5952 * 2.5])


@pytest.mark.parametrize(("option", "installed", "priced"), [("purchase", 8, True), ("purchase", 9, False), ("on_demand", 9, True)])  # fmt: skip
def test_bought_hardware_has_a_price_only_where_the_bill_holds_its_hours(mini_ws, rate, option, installed, priced):
    # the bill holds 5,952 hours of H100, of which bought kit must find nine tenths of its own
    month = mini_ws.month("pools")
    mine = month["pool_id"] == "chat-pool"
    bought = month.assign(
        purchase_option=month["purchase_option"].mask(mine, option), installed=month["installed"].mask(mine, installed)
    )
    bill = mini_ws.table("billing").query("month == '2026-10'")
    table = service.pool_summary(with_tables(mini_ws, pools=bought), rate, bill).set_index("pool_id")
    assert table["priced_by"].tolist() == [service.BY_RATE if priced else service.NOT_IN_BILL, service.BY_RATE]
    assert np.isfinite(table["paid_usd"]).tolist() == [priced, True]
    assert table.loc["chat-pool", "idle_accelerator_hours"] == pytest.approx(installed * 744 / 2)


@pytest.mark.parametrize("charged", [False, True])
def test_a_leased_pool_is_priced_by_the_purchase_that_names_it_alone(mini_ws, rate, charged):
    """No charge holds hours of its accelerator: without a charge of its own nothing prices it, with one that does."""
    month = mini_ws.month("pools")
    leased = month[month["pool_id"] == "chat-pool"].assign(
        pool_id="leased", purchase_option="lease", accelerator_id="nvidia-l4"
    )
    bill = mini_ws.table("billing").query("month == '2026-10'")
    charge = bill.iloc[[0]].assign(ResourceId="leased", cost_line="attributed usage", accelerator_hours=np.nan,
                                   accelerator_id="(none)", purchase_option="other_purchase", EffectiveCost=Decimal(500))  # fmt: skip
    ws = with_tables(mini_ws, pools=pd.concat([month, leased]))
    held = pd.concat([bill, charge]) if charged else bill
    row = service.pool_summary(ws, rate, held).set_index("pool_id").loc["leased"]
    assert row["priced_by"] == (service.OWN_CHARGES if charged else service.NOT_IN_BILL)
    assert row["idle_usd"] == pytest.approx(250.0) if charged else np.isnan(row["idle_usd"])


@pytest.mark.parametrize("named", [False, True])
def test_rented_hours_leave_nothing_for_bought_hardware_of_the_same_kind(mini_ws, rate, named):
    """Whether a charge names the rented pool whose hours it holds or not."""
    month = mini_ws.month("pools")
    own = month[month["pool_id"] == "chat-pool"].assign(pool_id="own", purchase_option="purchase")
    bill = charges(mini_ws) if named else mini_ws.table("billing").query("month == '2026-10'")
    ws = with_tables(mini_ws, pools=pd.concat([month, own]))
    table = service.pool_summary(ws, rate, bill).set_index("pool_id")
    assert table.loc["own", "priced_by"] == service.NOT_IN_BILL and np.isnan(table.loc["own", "idle_usd"])
    assert table.loc["chat-pool", "paid_usd"] == pytest.approx(29760.10)


@pytest.mark.parametrize(
    ("eu_rate", "eu_held", "paid", "basis"),
    [(20.0, 1.0, [8 * 744 * 5.0, 8 * 744 * 20.0], [service.BY_TERMS] * 2),
     (20.0, 0.5, [8 * 744 * 5.0, 8 * 744 * 10.0], [service.BY_TERMS, service.BY_RATE])],
)  # fmt: skip
def test_a_pool_has_the_rate_of_its_region_where_the_bill_holds_its_hours(mini_ws, eu_rate, eu_held, paid, basis):
    # 5,952 hours at USD 5 in us; in eu as many at USD 20, or half of them, whose pool then has the mean of all: USD 10
    month, bill = mini_ws.month("pools"), mini_ws.table("billing").query("month == '2026-10'")
    here = month[month["pool_id"] == "chat-pool"]
    h100 = bill[bill["accelerator_id"] == "nvidia-h100-sxm"].iloc[:1]
    lines = [
        h100.assign(RegionId=place, accelerator_hours=hours, EffectiveCost=Decimal(str(hours * usd)))
        for place, hours, usd in (("us-east-1", 5952.0, 5.0), ("eu", 5952.0 * eu_held, eu_rate))
    ]
    both = pd.concat([here.assign(pool_id="a"), here.assign(pool_id="b", region="eu")])
    charges = pd.concat(lines, ignore_index=True)
    rate = spend.accelerator_rate(charges)
    table = service.pool_summary(with_tables(mini_ws, pools=both), rate, charges).set_index("pool_id")
    assert table["paid_usd"].tolist() == pytest.approx(paid)
    assert table["priced_by"].tolist() == basis


def test_rented_and_committed_pools_of_a_region_have_their_own_rates(mini_ws):
    month, bill = mini_ws.month("pools"), mini_ws.table("billing").query("month == '2026-10'")
    here = month[month["pool_id"] == "chat-pool"]
    h100 = bill[bill["accelerator_id"] == "nvidia-h100-sxm"].iloc[:1].assign(RegionId="us")
    charges = pd.concat(
        [h100.assign(purchase_option=option, accelerator_hours=5952.0, EffectiveCost=Decimal(str(5952 * usd)))
         for option, usd in (("on_demand", 9), ("committed", 4))], ignore_index=True)  # fmt: skip
    both = pd.concat([here.assign(pool_id="a"), here.assign(pool_id="b", purchase_option="reserved_1y")])
    rate = spend.accelerator_rate(charges)
    table = service.pool_summary(with_tables(mini_ws, pools=both), rate, charges).set_index("pool_id")
    assert table["paid_usd"].tolist() == pytest.approx([5952 * 9, 5952 * 4])
    assert table["paid_usd"].sum() == pytest.approx(float(charges["EffectiveCost"].sum()))


def test_a_commitment_that_an_outage_left_unused_keeps_its_own_rate(mini_ws):
    """Seven tenths of the hours were used, at USD 4; the mean of all H100 of the bill would be USD 10.8."""
    month, bill = mini_ws.month("pools"), mini_ws.table("billing").query("month == '2026-10'")
    here = month[month["pool_id"] == "chat-pool"].assign(purchase_option="reserved_1y")
    h100 = bill[bill["accelerator_id"] == "nvidia-h100-sxm"].iloc[:1]
    lines = [
        h100.assign(RegionId=place, purchase_option=option, accelerator_hours=hours, EffectiveCost=Decimal(str(hours * usd)))
        for place, option, hours, usd in (("us", "committed", 0.7 * 5952, 4), ("eu", "on_demand", 2976.0, 20))
    ]  # fmt: skip
    charges = pd.concat(lines, ignore_index=True)
    row = service.pool_summary(with_tables(mini_ws, pools=here), spend.accelerator_rate(charges), charges).iloc[0]
    assert row["priced_by"] == service.BY_TERMS
    assert row["paid_usd"] == pytest.approx(5952 * 4)


def test_a_pool_that_the_bill_charges_as_another_accelerator_is_suspect(mini_ws, rate):
    bill = charges(mini_ws)
    table = service.pool_summary(mini_ws, rate, bill).set_index("pool_id")
    assert not table["label_suspect"].any()
    other = bill.assign(accelerator_id=bill["accelerator_id"].replace("nvidia-h100-sxm", "nvidia-l4"))
    table = service.pool_summary(mini_ws, rate, other).set_index("pool_id")
    assert table["label_suspect"].to_dict() == {"chat-pool": True, "train-pool": False}
    assert table.loc["chat-pool", "label_note"] == "the bill names nvidia-l4"


def test_utilisation_is_weighted_by_size_and_length(mini_ws, rate):
    ws = pools(mini_ws, utilization=[1.0, 0.0], installed=[2.0, 6.0], window_minutes=[60, 120])
    row = service.pool_summary(ws, rate).iloc[0]
    assert row["accelerator_hours"] == 2 + 12
    assert row["utilization_mean"] == pytest.approx(2 / 14)
    assert row["idle_accelerator_hours"] == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("watts", "suspect"), [(8 * 700 * 1.15 - 1, False), (8 * 700 * 1.15 + 1, True), (np.nan, False)]
)
def test_a_pool_that_draws_more_than_its_label_can_is_suspect(mini_ws, rate, watts, suspect):
    row = service.pool_summary(pools(mini_ws, power_w=watts), rate).iloc[0]
    assert bool(row["label_suspect"]) is suspect
    assert bool(row["label_note"]) is suspect


def test_the_mislabelled_pool_of_the_sample_is_found(sample_ws, rate):
    for bill in (None, sample_ws.table("billing")):
        table = service.pool_summary(sample_ws, rate, bill)
        assert table.loc[table["label_suspect"], "pool_id"].tolist() == ["us-media-l4"]
    assert table.set_index("pool_id").loc["us-media-l4", "label_note"].endswith("W, the bill names nvidia-l40s")


def test_without_a_bill_idle_hours_have_no_price(mini_ws):
    table = service.pool_summary(mini_ws, pd.Series(dtype="float64"))
    assert table["idle_usd"].isna().all()
    assert table["idle_accelerator_hours"].sum() == pytest.approx(2976 + 4464)


def test_no_pool_readings_give_an_empty_table(mini_ws, rate):
    table = service.pool_summary(dataclasses.replace(mini_ws, period="2026-01"), rate)
    assert table.empty
    assert {"pool_id", "idle_usd", "label_suspect"} <= set(table.columns)


def test_busy_and_idle_hours_agree_with_pandas_on_the_sample(sample_ws, rate):
    month = sample_ws.month("pools")
    hours = month["installed"] * month["window_minutes"] / 60
    idle = (hours * (1 - month["utilization"])).groupby(month["pool_id"]).sum()
    table = service.pool_summary(sample_ws, rate).set_index("pool_id")
    np.testing.assert_allclose(table["idle_accelerator_hours"][idle.index], idle)
    assert table["utilization_mean"].between(0, 1).all()


# jobs


def test_jobs_of_the_month_by_hand(mini_ws):
    speeds = demand.relative_speed(mini_ws, mini_ws.table("jobs"))
    row = service.job_summary(mini_ws, speeds).iloc[0]
    assert (row["jobs"], row["accelerator_hours"], row["reference_accelerator_hours"]) == (4, 320.0, 320.0)
    assert (row["failed_share"], row["cancelled_share"]) == (0.25, 0.0)
    assert (row["p50_queue_minutes"], row["p95_queue_minutes"]) == (60.0, 60.0)
    assert row["speed_tier"] == "measured"


def test_the_wait_that_is_allowed_stands_beside_the_wait(mini_ws):
    cases = mini_ws.table("use_cases").assign(slo_p95_wait_hours=0.5)
    speeds = demand.relative_speed(mini_ws, mini_ws.table("jobs"))
    row = service.job_summary(with_tables(mini_ws, use_cases=cases), speeds).iloc[0]
    assert (row["p95_queue_minutes"], row["slo_p95_queue_minutes"]) == (60.0, 30.0)


def test_faster_accelerators_count_more_reference_hours(mini_ws):
    ws = with_tables(mini_ws, jobs=mini_ws.table("jobs").assign(accelerator_id="nvidia-h100-sxm"))
    speeds = demand.relative_speed(ws, ws.table("jobs"))
    row = service.job_summary(ws, speeds).iloc[0]
    assert row["reference_accelerator_hours"] == pytest.approx(320 * speeds["speed"].iloc[0])
    assert row["speed_tier"] == "anchored"


def test_waiting_jobs_have_no_hours_and_wait_as_long_as_they_have(mini_ws):
    """None of the four begins: the last was submitted just now, the others a week apart before it."""
    jobs = mini_ws.table("jobs").assign(status="running")
    jobs[["started_utc", "ended_utc"]] = jobs[["started_utc", "ended_utc"]].shift(len(jobs))
    row = service.job_summary(with_tables(mini_ws, jobs=jobs), demand.relative_speed(mini_ws, jobs)).iloc[0]
    assert (row["jobs"], row["accelerator_hours"], row["failed_share"]) == (4, 0.0, 0.0)
    assert row["p50_queue_minutes"] == 1.5 * 7 * 24 * 60


def test_jobs_that_never_began_and_do_not_wait_have_no_queue(mini_ws):
    jobs = mini_ws.table("jobs").assign(status="cancelled")
    jobs[["started_utc", "ended_utc"]] = jobs[["started_utc", "ended_utc"]].shift(len(jobs))
    row = service.job_summary(with_tables(mini_ws, jobs=jobs), demand.relative_speed(mini_ws, jobs)).iloc[0]
    assert np.isnan(row["p50_queue_minutes"])


def test_no_jobs_give_an_empty_table(mini_ws):
    jobs = mini_ws.table("jobs").iloc[:0]
    table = service.job_summary(with_tables(mini_ws, jobs=jobs), demand.relative_speed(mini_ws, jobs))
    assert table.empty
    assert "reference_accelerator_hours" in table.columns


def test_jobs_of_unknown_outcome_have_no_failed_share(mini_ws):
    jobs = mini_ws.table("jobs").assign(status="unknown")
    row = service.job_summary(with_tables(mini_ws, jobs=jobs), demand.relative_speed(mini_ws, jobs)).iloc[0]
    assert np.isnan(row["failed_share"])
