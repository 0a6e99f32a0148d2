"""Files as others write them: small ones worked by hand, real ones against an independent reading."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.bills import read_bill
from aifactory.inputs.importers.facts import read_cloud_prices, read_commitment_prices, read_public_performance
from aifactory.inputs.importers.traces import (
    read_agentic_coding,
    read_azure_llm,
    read_gentd26,
    read_philly,
    whole_weeks,
)
from aifactory.inputs.tables import bound_problems, read_table, read_text
from aifactory.inputs.write import write_table

CHIPS = {"nvidia-h100-sxm", "nvidia-l4"}
OCTOBER, NOVEMBER = pd.Timestamp("2026-10-01", tz="UTC"), pd.Timestamp("2026-11-01", tz="UTC")
CLOUD = "provider,instance_type,accelerator,on_demand_usd_accel_h,region,spot_usd_accel_h,as_of,source_ref\n"
COMMITMENT = "provider,accelerator,usd_per_accelerator_hour,instance_type,region,term,payment_option,source,as_of\n"
FOCUS = (
    "BilledCost,EffectiveCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,"
    "ProviderName,BillingAccountId,Tags,x_other\n"
)


def write(folder, text, name="file.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@given(st.datetimes(pd.Timestamp("2010-01-01"), pd.Timestamp("2030-01-01")))
@settings(max_examples=60)
def test_a_shift_by_whole_weeks_keeps_weekday_and_hour(first):
    start = pd.Timestamp("2026-10-09")
    shift = whole_weeks(pd.Timestamp(first), start)
    moved = pd.Timestamp(first) + shift
    assert start <= moved < start + pd.Timedelta(weeks=1)
    assert (moved.weekday(), moved.time()) == (first.weekday(), first.time())


def test_a_focus_charge_keeps_amount_account_and_missing_values(tmp_path):
    row = (
        "0.10,10.000000001,USD,Usage,2026-10-05T00:00:00Z,2026-10-06T00:00:00Z,2026-10-01T00:00:00Z,AWS,000123,NULL,z\n"
    )
    frame = read_bill(write(tmp_path, FOCUS + row)).table
    charge = frame.iloc[0]
    assert (charge["BilledCost"], charge["EffectiveCost"]) == (Decimal("0.10"), Decimal("10.000000001"))
    assert charge["BillingAccountId"] == "000123"
    assert "Tags" not in frame
    assert frame["x_other"].tolist() == ["z"]


def test_a_focus_charge_with_a_decimal_comma_is_refused(tmp_path):
    row = '"0,10",1,USD,Usage,2026-10-05T00:00:00Z,2026-10-06T00:00:00Z,2026-10-01T00:00:00Z,AWS,1,,z\n'
    with pytest.raises(
        InputError, match=r"file\.csv, row 2, column 'BilledCost': value '0,10': must be a finite number"
    ):
        read_bill(write(tmp_path, FOCUS + row))


def test_azure_rows_become_served_requests(tmp_path):
    path = write(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n")
    row = read_azure_llm(path, "chat", "us", pd.Timedelta(weeks=1)).iloc[0]
    assert row["timestamp_utc"] == pd.Timestamp("2023-11-23T18:15:46.680590Z")
    assert (row["request_id"], row["status"], row["input_tokens"], row["output_tokens"]) == ("chat-1", "ok", 374, 44)


def test_a_session_counts_once_and_reused_blocks_are_cached(tmp_path):
    path = write(
        tmp_path,
        "session,idx,t,in,out,api_time,prefix_hit_blocks\ns1,0,0,100,5,2.5,0\ns1,1,60,200,7,1,2\ns2,0,0,50,,1,9\n",
    )
    rows = read_agentic_coding(path, "code", "us", OCTOBER, NOVEMBER)
    assert rows["service_units"].tolist() == [1.0, 0.0, 1.0]
    assert rows["cached_input_tokens"].tolist() == [0, 128, 50]
    assert rows["e2e_ms"].tolist() == [2500.0, 1000.0, 1000.0]
    assert rows["timestamp_utc"].tolist() == [
        OCTOBER, OCTOBER + pd.Timedelta(minutes=1), OCTOBER + (NOVEMBER - OCTOBER) / 2,
    ]  # fmt: skip
    assert pd.isna(rows["output_tokens"][2])


def test_image_requests_keep_status_and_number_of_images(tmp_path):
    path = write(
        tmp_path,
        "gmt_create,predict_status,exec_time_seconds,num_images_per_prompt,groupId\n"
        "2024-11-15 01:02:03,SUCCEED,2.5,4,g\n2024-11-15 01:02:04,FAILED,,1,g\n2024-11-15 01:02:05,PENDING,,,g\n",
    )
    rows = read_gentd26(path, "images", "eu")
    assert rows["status"].tolist() == ["ok", "error", "cancelled"]
    np.testing.assert_equal(rows["service_units"].to_numpy(), [4.0, 1.0, np.nan])
    assert rows["e2e_ms"][0] == 2500.0


def test_an_unknown_status_names_the_nearest(tmp_path):
    path = write(tmp_path, "gmt_create,predict_status\n2024-11-15 01:02:03,SUCCEED\n2024-11-15 01:02:03,SUCCEEDED\n")
    with pytest.raises(InputError, match=r"row 3, column 'predict_status': value 'SUCCEEDED'.*Did you mean 'SUCCEED'"):
        read_gentd26(path, "images", "eu")


def test_a_training_job_lasts_as_long_as_the_trace_says(tmp_path):
    path = write(tmp_path, "timestamp,duration,num_gpus\n2017-09-04 00:00:10,5400,8\n")
    job = read_philly(path, "models", "us", "nvidia-l4").iloc[0]
    assert job["ended_utc"] - job["started_utc"] == pd.Timedelta(minutes=90)
    assert (job["accelerators"], job["status"], job["submitted_utc"]) == (8.0, "unknown", job["started_utc"])


@pytest.mark.parametrize(
    ("spot", "options"),
    [
        ("1.2", ["on_demand", "spot"]),
        ("", ["on_demand"]),
        ("0.4", ["on_demand"]),
    ],
)
def test_a_spot_price_needs_a_market(tmp_path, spot, options):
    path = write(tmp_path, CLOUD + f"AWS,p5,nvidia-h100-sxm,4,us-east-1,{spot},2026-10-01,ref\n")
    prices = read_cloud_prices(path, CHIPS)
    assert prices["purchase_option"].tolist() == options
    assert prices["usd_per_accelerator_hour"].tolist() == [4.0, 1.2][: len(options)]


@pytest.mark.parametrize(
    "row",
    ["AWS,p5,other-chip,4,r,,2026-10-01,ref", "AWS,p5,nvidia-l4,4,r,,,ref", "AWS,p5,nvidia-l4,0,r,,2026-10-01,ref"],
)
def test_a_price_without_chip_date_or_amount_is_left_out(tmp_path, row):
    assert read_cloud_prices(write(tmp_path, CLOUD + row + "\n"), CHIPS).empty


@pytest.mark.parametrize(
    ("term", "payment", "option", "months", "upfront"),
    [("1y", "no upfront", "reserved_1y", 12, 0.0), ("3y", "Standard RI, all upfront", "reserved_3y", 36, 1.0)],
)
def test_a_commitment_has_its_term_and_its_upfront_share(tmp_path, term, payment, option, months, upfront):
    path = write(tmp_path, COMMITMENT + f'GCP,nvidia-l4,0.5,g2,,{term},"{payment}",src,2026-07\n')
    price = read_commitment_prices(path, CHIPS).iloc[0]
    assert (price["purchase_option"], price["term_months"], price["upfront_fraction"]) == (option, months, upfront)
    assert (price["region"], price["as_of"]) == ("*", pd.Timestamp("2026-07-01"))


@pytest.mark.parametrize(
    ("payment", "upfront"), [("reserved, 20% prepay", 0.2), ("reserved, 100% prepay", 1.0), ("All Upfront", 1.0)]
)
def test_a_prepaid_share_is_not_taken_for_none(tmp_path, payment, upfront):
    path = write(tmp_path, COMMITMENT + f'GCP,nvidia-l4,0.5,g2,,1y,"{payment}",src,2026-07\n')
    prices = read_commitment_prices(path, CHIPS)
    assert prices.empty or prices["upfront_fraction"].tolist() == [upfront]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("TIMESTAMP,ContextTokens\n", "GeneratedTokens"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,many,1\n", "ContextTokens"),
    ],
)
def test_a_trace_in_another_shape_is_refused(tmp_path, text, column):
    with pytest.raises(InputError, match=re.escape(f"column '{column}'")):
        read_azure_llm(write(tmp_path, text), "chat", "us")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_written_table_reads_back_and_has_the_same_bytes(tmp_path, suffix):
    source = write(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,374,44\n")
    rows = read_azure_llm(source, "chat", "us")
    path = write_table(rows, "requests", tmp_path, suffix=suffix)
    first = path.read_bytes()
    table = read_table(path, load_contract("requests"))
    assert not table.problems
    pd.testing.assert_frame_equal(table.frame, rows)
    assert write_table(rows, "requests", tmp_path, suffix=suffix).read_bytes() == first


def test_a_written_time_keeps_its_fraction(tmp_path):
    source = write(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68059,374,44\n")
    rows = read_azure_llm(source, "chat", "us")
    table = read_table(write_table(rows, "requests", tmp_path), load_contract("requests"))
    assert table.frame["timestamp_utc"].tolist() == rows["timestamp_utc"].tolist()


def test_a_written_table_without_rows_reads_back(tmp_path):
    empty = load_contract("jobs").empty()
    assert read_table(write_table(empty, "jobs", tmp_path), load_contract("jobs")).frame.empty


def sound(frame, table):
    return not bound_problems(frame, load_contract(table))


@pytest.mark.real
def test_the_azure_trace_loses_no_token(shared_dir):
    path = shared_dir / "data" / "traces" / "azure_llm_2023_conv.csv.gz"
    raw, rows = pd.read_csv(path), read_azure_llm(path, "chat", "us")
    assert len(rows) == len(raw) == 19_366
    assert rows["input_tokens"].sum() == raw["ContextTokens"].sum()
    assert rows["output_tokens"].sum() == raw["GeneratedTokens"].sum()
    assert sound(rows, "requests")


@pytest.mark.real
def test_the_coding_trace_counts_every_session(shared_dir):
    path = shared_dir / "data" / "traces" / "agentic_coding_requests.parquet"
    raw, rows = pd.read_parquet(path), read_agentic_coding(path, "code", "us", OCTOBER, NOVEMBER)
    calls = raw["type"] == "subagent"  # a call of a sub-agent is no request of a model
    assert len(rows) == (~calls).sum() == 34_034
    assert rows["service_units"].sum() == raw["session"].nunique() == 496
    assert rows["input_tokens"].sum() == raw["in"].sum()
    assert not (rows["cached_input_tokens"] > rows["input_tokens"]).any()
    assert sound(rows, "requests")


@pytest.mark.real
def test_the_image_trace_keeps_its_failures(shared_dir):
    path = shared_dir / "data" / "traces" / "gentd26_lora_request_trace_2024-11-15_12-01.csv.gz"
    raw, rows = pd.read_csv(path), read_gentd26(path, "images", "eu")
    assert len(rows) == len(raw) == 15_630
    assert (rows["status"] == "error").sum() == (raw["predict_status"] == "FAILED").sum()
    assert rows["service_units"].sum() == raw["num_images_per_prompt"].sum()
    assert sound(rows, "requests")


@pytest.mark.real
def test_the_training_trace_keeps_its_gpu_hours(shared_dir):
    path = shared_dir / "data" / "traces" / "philly_jobs_2017-09-04_11-12.csv.gz"
    raw, jobs = pd.read_csv(path), read_philly(path, "models", "us", "nvidia-l4")
    hours = (jobs["ended_utc"] - jobs["started_utc"]).dt.total_seconds() / 3600 * jobs["accelerators"]
    assert len(jobs) == len(raw) == 62_194
    assert hours.sum() == pytest.approx((raw["duration"] * raw["num_gpus"]).sum() / 3600, rel=1e-9)
    assert sound(jobs, "jobs")


@pytest.mark.real
def test_the_price_lists_become_sound_prices(shared_dir, sample_ws):
    chips = set(sample_ws.table("accelerators")["accelerator_id"])
    folder = shared_dir / "data" / "catalogue"
    raw = pd.read_csv(folder / "cloud_prices.csv.gz")
    cloud = read_cloud_prices(folder / "cloud_prices.csv.gz", chips)
    bought = read_commitment_prices(folder / "commitment_prices.csv", chips)
    assert sound(cloud, "prices")
    assert sound(bought, "prices")
    offered = set(raw.loc[raw["accelerator"].isin(chips), "on_demand_usd_accel_h"])
    assert set(cloud.loc[cloud["purchase_option"] == "on_demand", "usd_per_accelerator_hour"]) <= offered
    assert set(bought["purchase_option"]) == {"reserved_1y", "reserved_3y"}


@pytest.mark.real
def test_only_measured_throughput_is_taken(shared_dir, sample_ws):
    chips = set(sample_ws.table("accelerators")["accelerator_id"])
    path = shared_dir / "data" / "measured" / "public_performance.csv"
    raw, table = pd.read_csv(path).set_index("id"), read_public_performance(path, chips)
    assert len(table) > 1000
    assert sound(table, "public_measurements")
    taken = raw.loc[table["measurement_id"]]
    assert taken["evidence"].str.startswith("MEASURED").all()
    np.testing.assert_allclose(table["value_per_accelerator"], taken["value_per_accel"])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_money_is_stored_digit_by_digit(tmp_path, suffix):
    amounts = [Decimal("0.10"), Decimal("1E-30"), Decimal("12345678901234567890.123456789")]
    table = pd.DataFrame({"BilledCost": pd.Series(amounts, dtype="object")})
    path = write_table(table, "billing", tmp_path, suffix=suffix)
    stored, _ = read_text(path)
    assert [Decimal(text) for text in stored["BilledCost"]] == amounts
    assert stored["BilledCost"].tolist() == [str(amount) for amount in amounts]
