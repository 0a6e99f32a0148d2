"""What retries add and what reuse of prefixes saves."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.inventory.efficiency import prefix_reuse, retry_amplification, saved_share

FEW = settings(max_examples=60)
PRICES = pd.DataFrame(
    {
        "input_usd_per_mtok": [1.0, 2.0, 4.0, 1.0, None],
        "cached_input_usd_per_mtok": [0.1, 0.5, 2.0, None, 0.1],
        "output_usd_per_mtok": [5.0, 8.0, 16.0, 2.0, 1.0],
    }
)
CASES = pd.DataFrame({"use_case_id": ["chat", "images"], "effective_cost_usd": [1000.0, np.nan]})


def monthly(**changes):
    row = {"month": "2026-10", "use_case_id": "chat", "region": "us", "units": 900.0, "requests": 1000.0, "errors": 100.0, "retries": 60.0,
           "input_tokens": 1_000_000.0, "cached_input_tokens": 400_000.0, "output_tokens": 50_000.0}  # fmt: skip
    return pd.DataFrame([row | changes])


def priced(ws):
    return dataclasses.replace(ws, tables={**ws.tables, "api_prices": PRICES})


# retries


def test_amplification_by_hand(mini_ws):
    row = retry_amplification(mini_ws, monthly(), CASES).iloc[0]
    assert row["distinct_requests"] == 940
    assert row["attempts_per_success"] == pytest.approx(1000 / 900)
    assert row["load_multiplier"] == pytest.approx(1000 / 940)
    assert row["given_up_share"] == pytest.approx(40 / 940)
    assert (row["failed_usd"], row["retry_usd"], row["retries_measured"]) == (100.0, 60.0, True)


def charged_in_us(ws, region="us-east-1"):
    """The workspace with one charge of `chat` in the month, in one region."""
    bill = ws.table("billing").query("month == '2026-10' and use_case == 'chat' and cost_line == 'attributed usage'")
    assert len(bill)
    return dataclasses.replace(ws, tables={**ws.tables, "billing": bill.iloc[:1].assign(RegionId=region)})


def two_regions():
    """`chat` fails a tenth of the time in the region that is charged, and half of the time in one that no charge names."""
    here, there = "us", "eu"
    return pd.concat(
        [
            monthly(region=here),
            monthly(region=there, units=500.0, requests=1000.0, errors=500.0, retries=500.0, cached_input_tokens=0.0),
            monthly(region=here, use_case_id="images", units=10.0),
        ],
        ignore_index=True,
    )


def test_failures_of_a_region_without_a_charge_cost_nothing_of_the_bill(mini_ws):
    row = retry_amplification(charged_in_us(mini_ws), two_regions(), CASES).set_index("use_case_id").loc["chat"]
    assert (row["failed_usd"], row["retry_usd"]) == pytest.approx((100.0, 60.0))
    assert (row["requests"], row["errors"]) == (2000, 600)
    everywhere = charged_in_us(mini_ws, None)  # a charge that names no region pays for all of them
    row = retry_amplification(everywhere, two_regions(), CASES).set_index("use_case_id").loc["chat"]
    assert (row["failed_usd"], row["retry_usd"]) == pytest.approx((300.0, 280.0))


def test_reuse_saves_where_it_is_charged(mini_ws):
    alone = prefix_reuse(priced(charged_in_us(mini_ws)), two_regions().iloc[[0]], CASES).iloc[0]
    row = prefix_reuse(priced(charged_in_us(mini_ws)), two_regions(), CASES).set_index("use_case_id").loc["chat"]
    assert row["saved_usd"] == pytest.approx(alone["saved_usd"]) and row["cached_share"] == 0.2


def test_without_failures_nothing_is_amplified(mini_ws):
    row = retry_amplification(mini_ws, monthly(errors=0.0, retries=0.0), CASES).iloc[0]
    assert row[["attempts_per_success", "load_multiplier", "given_up_share", "failed_usd"]].tolist() == [1, 1, 0, 0]


def test_where_nothing_succeeds_there_is_no_multiplier(mini_ws):
    row = retry_amplification(mini_ws, monthly(errors=1000.0, retries=1000.0), CASES).iloc[0]
    assert np.isnan(row["attempts_per_success"])
    assert np.isnan(row["load_multiplier"])


def test_retries_that_were_not_counted_in_one_region_are_not_measured(mini_ws):
    rows = pd.concat([monthly(), monthly(region="eu", retries=np.nan)], ignore_index=True)
    row = retry_amplification(mini_ws, rows, CASES).iloc[0]
    assert not row["retries_measured"]
    assert row[["load_multiplier", "given_up_share", "retry_usd"]].isna().all()
    assert row["attempts_per_success"] == pytest.approx(2000 / 1800)


def test_more_retries_than_errors_give_up_nothing_known(mini_ws):
    row = retry_amplification(mini_ws, monthly(retries=300.0), CASES).iloc[0]
    assert np.isnan(row["given_up_share"])
    assert row["load_multiplier"] == pytest.approx(1000 / 700)


@FEW
@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_requests_are_answers_retried_failures_and_given_up(mini_ws, requests, failed, retried):
    errors = int(requests * failed)
    retries = int(errors * retried)
    row = retry_amplification(
        mini_ws, monthly(requests=float(requests), errors=float(errors), retries=float(retries)), CASES
    )
    row = row.iloc[0]
    if requests > retries:
        assert row["load_multiplier"] >= 1
        assert row["given_up_share"] * row["distinct_requests"] == pytest.approx(errors - retries)
        assert requests - errors + (errors - retries) == pytest.approx(row["distinct_requests"])


def test_the_tiny_company_has_its_retries(mini_stages):
    row = mini_stages.inventory.retries.set_index("use_case_id").loc["chat"]
    assert row["load_multiplier"] == pytest.approx(115_940 / (115_940 - 2108))
    assert row["failed_usd"] == pytest.approx(29760.10 * 2108 / 115_940)


# reuse


def test_reuse_by_hand(mini_ws):
    row = prefix_reuse(priced(mini_ws), monthly(), CASES).iloc[0]
    assert (row["cached_share"], row["prefill_multiplier"]) == (0.4, pytest.approx(1 / 0.6))
    # three price lists know all three prices: cached at 0.1, 0.25, 0.5 and answers at 5, 4, 4 of an input token
    shares = [0.9 * 400 / (600 + 40 + 250), 0.75 * 400 / (600 + 100 + 200), 0.5 * 400 / (600 + 200 + 200)]
    assert row["price_lists"] == 3
    assert row["saved_usd"] == pytest.approx(1000 * np.median(shares))
    assert row[["saved_usd_low", "saved_usd_high"]].tolist() == pytest.approx(1000 * np.quantile(shares, [0.1, 0.9]))


def test_saving_is_what_the_same_tokens_cost_more_without_a_cache():
    one = PRICES.iloc[:1]
    paid, full = 600 * 1.0 + 400 * 0.1 + 50 * 5.0, 1000 * 1.0 + 50 * 5.0
    assert saved_share(1000, 400, 50, one)[1] == pytest.approx((full - paid) / paid)


@FEW
@given(st.integers(1, 10**9), st.floats(0, 1), st.integers(0, 10**6))
def test_more_reuse_saves_more_and_never_less_than_nothing(given_tokens, share, answers):
    cached = int(given_tokens * share)
    low, middle, high = saved_share(given_tokens, cached, answers, PRICES)
    assert 0 <= low <= middle <= high
    assert saved_share(given_tokens, cached // 2, answers, PRICES)[1] <= middle + 1e-12


def test_what_is_not_counted_is_not_measured(mini_ws):
    row = prefix_reuse(priced(mini_ws), monthly(cached_input_tokens=np.nan), CASES).iloc[0]
    assert row[["cached_share", "prefill_multiplier", "saved_usd"]].isna().all()
    rows = pd.concat([monthly(), monthly(region="eu", cached_input_tokens=np.nan)], ignore_index=True)
    assert prefix_reuse(priced(mini_ws), rows, CASES).iloc[0]["cached_share"] == 0.4
    assert prefix_reuse(priced(mini_ws), monthly(input_tokens=np.nan), CASES).empty


def test_without_price_lists_or_cost_reuse_has_no_price(mini_ws):
    none = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "api_prices": PRICES.iloc[:0]})
    assert np.isnan(prefix_reuse(none, monthly(), CASES).iloc[0]["saved_usd"])
    assert np.isnan(prefix_reuse(priced(mini_ws), monthly(use_case_id="images"), CASES).iloc[0]["saved_usd"])
