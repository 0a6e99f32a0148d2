"""Every rule of validity: one run that breaks it, one just inside."""

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark.point_faults import INVALID, POINT_RULES, UNVERIFIED, with_p95
from aifactory.benchmark.validity import (
    P95_REQUESTS,
    RUN_RULES,
    VALID,
    VALIDITY_COLUMNS,
    decisive,
    judge,
)

SHORT, FAILS, FEW, BRIEF, TIGHT, PROMPTS = RUN_RULES
(CUT, ORDER, BANDWIDTH, COUNTS, LITTLE, REFUSED, CROSS, NO_TIME, NO_OUTPUT, SUMS, RATE, FASTER, SENT_LATE, WARM_UP, ONLY_P99,
 UNPROVEN) = POINT_RULES  # fmt: skip
H100_BYTES_PER_S = 3350e9


@pytest.fixture
def verdict_of(mini_ws, runs):
    """Verdict on the first point of the chat run on the H100, with some columns changed."""

    def verdict(use_case="chat", **changes):
        run = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"].iloc[[0]].assign(use_case_id=use_case, **changes)
        table = judge(run, mini_ws.table("use_cases"), mini_ws.table("accelerators")).runs
        return table.iloc[0]["verdict"], table.iloc[0]["reasons"]

    return verdict


def test_the_untouched_run_is_valid(verdict_of):
    assert verdict_of() == (VALID, "")


# requests and duration change together: throughput stays what Little's law expects
BREAKS = [
    (SHORT, INVALID, {"requests": 49, "duration_s": 49 / 2}),
    (FAILS, INVALID, {"errors": 61}),
    (CUT, INVALID, {"output_tokens_mean": 1.5, "output_tokens_per_s": 3.0, "p50_tpot_ms": 0.0}),
    (ORDER, INVALID, {"p50_ttft_ms": 5000.5, "p95_ttft_ms": 6000.0, "load": "rate"}),
    (
        BANDWIDTH,
        INVALID,
        {"output_tokens_per_s": H100_BYTES_PER_S * 1.001, "output_tokens_mean": H100_BYTES_PER_S * 1.001 / 2},
    ),
    (REFUSED, INVALID, {"tool_verdict": "invalid"}),
    (REFUSED, INVALID, {"tool_verdict": "cancelled"}),
    (CROSS, INVALID, {"p50_ttft_ms": 200.5}),
    (CROSS, INVALID, {"p95_e2e_ms": 9000.0, "p99_e2e_ms": 8999.0}),
    (CROSS, INVALID, {"p50_itl_ms": 10.5, "p99_itl_ms": 10.0}),
    (NO_TIME, INVALID, {"p50_ttft_ms": 0.0}),
    (NO_OUTPUT, INVALID, {"output_tokens_mean": 0.0, "output_tokens_per_s": 0.0}),
    (SUMS, UNVERIFIED, {"output_tokens_per_s": 200 * 1.051}),
    (SUMS, UNVERIFIED, {"output_tokens_per_s": 200 * 0.949}),
    (RATE, UNVERIFIED, {"offered_requests_per_s": 2 / 0.899}),
    (FASTER, UNVERIFIED, {"offered_requests_per_s": 2 / 1.501}),
    (SENT_LATE, UNVERIFIED, {"send_lag_p95_ms": 50.5}),
    (SENT_LATE, UNVERIFIED, {"send_lag_p95_ms": 2500.5, "p50_ttft_ms": np.nan}),
    (WARM_UP, UNVERIFIED, {"warmup_excluded": False, "requests": 199, "duration_s": 99.5}),
    (WARM_UP, UNVERIFIED, {"warmup_excluded": False, "requests": 199, "duration_s": 99.5, "concurrency": np.nan}),
    (LITTLE, UNVERIFIED, {"mean_e2e_ms": 5000.0, "concurrency": 20.1}),
    (LITTLE, UNVERIFIED, {"mean_e2e_ms": 5000.0, "concurrency": 4.9}),
    (ONLY_P99, UNVERIFIED, {"p95_ttft_ms": np.nan, "p99_ttft_ms": 300.0}),
    (UNPROVEN, UNVERIFIED, {"p95_ttft_ms": np.nan}),
    (COUNTS, UNVERIFIED, {"tokens_source": "requested"}),
    (COUNTS, UNVERIFIED, {"tokens_source": None}),
    (LITTLE, UNVERIFIED, {"concurrency": 10 * 3.01}),
    (LITTLE, UNVERIFIED, {"concurrency": 10 / 3.01}),
    (LITTLE, UNVERIFIED, {"concurrency": 0.0}),
    (FEW, UNVERIFIED, {"requests": 51, "duration_s": 25.5}),
    (BRIEF, UNVERIFIED, {"requests": 52, "duration_s": 26.0, "p95_e2e_ms": 13_001.0}),
    (TIGHT, UNVERIFIED, {"p95_ttft_ms": 1000.5, "p50_ttft_ms": 900.0}),
    (TIGHT, UNVERIFIED, {"p95_ttft_ms": 1000.5, "load": "fixed_concurrency"}),
]
HOLDS = [
    (SHORT, {"requests": 50, "duration_s": 25.0}),
    (SHORT, {"use_case": "models", "requests": 1, "duration_s": 0.5}),
    (FAILS, {"errors": 60}),
    (FAILS, {"use_case": "images", "errors": 600}),  # states no limit
    (CUT, {"output_tokens_mean": 1.0, "p50_tpot_ms": 0.0}),
    (CUT, {"output_tokens_mean": 100.0, "p50_tpot_ms": 0.01}),
    (CUT, {"output_tokens_mean": 100.0, "p50_tpot_ms": np.nan}),
    (ORDER, {"p50_ttft_ms": 5000.0}),
    (ORDER, {"p50_ttft_ms": np.nan}),
    (BANDWIDTH, {"output_tokens_per_s": H100_BYTES_PER_S}),
    (BANDWIDTH, {"output_tokens_per_s": H100_BYTES_PER_S * 2, "accelerators": 2}),
    (REFUSED, {"tool_verdict": "valid"}),
    (CROSS, {"p50_ttft_ms": 200.0, "p99_ttft_ms": 200.0}),
    (NO_TIME, {"p50_ttft_ms": 0.01}),
    (NO_OUTPUT, {"output_tokens_mean": 0.0, "p50_ttft_ms": np.nan}),  # an embedding, not streamed
    (NO_OUTPUT, {"output_tokens_mean": 0.1}),
    (SUMS, {"output_tokens_per_s": 200 * 1.049}),
    (SUMS, {"output_tokens_per_s": 200 * 0.951}),
    (SUMS, {"errors": 60, "output_tokens_per_s": 190.0 * 0.951}),  # failed requests may have had no tokens
    (SUMS, {"output_tokens_mean": np.nan}),
    (RATE, {"offered_requests_per_s": 2 / 0.901}),
    (FASTER, {"offered_requests_per_s": 2 / 1.499}),
    (SENT_LATE, {"send_lag_p95_ms": 49.5}),
    (WARM_UP, {"warmup_excluded": False, "requests": 200, "duration_s": 100.0}),
    (WARM_UP, {"warmup_excluded": True, "requests": 100, "duration_s": 50.0}),
    (WARM_UP, {"warmup_excluded": pd.NA, "requests": 100, "duration_s": 50.0}),
    (LITTLE, {"mean_e2e_ms": 5000.0, "concurrency": 19.9}),
    (LITTLE, {"mean_e2e_ms": 5000.0, "concurrency": 5.1}),
    (ONLY_P99, {"p99_ttft_ms": 300.0}),
    (ONLY_P99, {"p95_tpot_ms": np.nan, "p99_tpot_ms": 30.0}),  # has no limit
    (UNPROVEN, {"p95_tpot_ms": np.nan}),
    (COUNTS, {"tokens_source": "client_tokenizer"}),
    (COUNTS, {"tokens_source": None, "output_tokens_per_s": np.nan}),
    (LITTLE, {"concurrency": 10 * 2.99}),
    (LITTLE, {"concurrency": 10 / 2.99}),
    (LITTLE, {"concurrency": np.nan}),
    (LITTLE, {"p50_e2e_ms": np.nan}),
    (FEW, {"requests": 52, "duration_s": 30.0}),
    (FEW, {"requests": 51, "p95_ttft_ms": 1001.0}),  # no load within the limits: there is no p95 to establish
    (FEW, {"use_case": "models", "requests": 1}),  # states no limit
    (BRIEF, {"requests": 52, "duration_s": 26.0, "p95_e2e_ms": 13_000.0}),
    (BRIEF, {"p95_e2e_ms": np.nan}),
    (TIGHT, {"p95_ttft_ms": 1000.5, "load": "rate"}),
    (TIGHT, {"p95_ttft_ms": 1000.5, "load": "trace"}),
    (TIGHT, {"p95_ttft_ms": 499.0}),
    (TIGHT, {"p95_ttft_ms": 700.0}),  # tight, but the first token does not bind
]


@pytest.mark.parametrize(("rule", "verdict", "changes"), BREAKS)
def test_a_run_that_breaks_the_rule_is_named(verdict_of, rule, verdict, changes):
    assert verdict_of(**changes) == (verdict, rule)


@pytest.mark.parametrize(("rule", "changes"), HOLDS)
def test_a_run_just_inside_the_rule_passes(verdict_of, rule, changes):
    assert rule not in verdict_of(**changes)[1]


def test_every_rule_has_both_cases():  # that of other prompts needs several load points: it has a test of its own
    assert {rule for rule, _, _ in BREAKS} == {rule for rule, _ in HOLDS} == {*RUN_RULES, *POINT_RULES} - {PROMPTS}


def test_the_worst_verdict_counts_and_all_reasons_are_told(verdict_of):
    verdict, reasons = verdict_of(errors=61, tokens_source="requested", concurrency=100.0)
    assert verdict == INVALID
    assert reasons == f"{FAILS}; {COUNTS}; {LITTLE}"


def test_requests_and_failures_count_over_all_points_of_a_run(mini_ws, runs):
    mine = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"]
    few = mine.assign(requests=20, duration_s=20 / mine["units_per_s"])
    table = judge(few, mini_ws.table("use_cases"), mini_ws.table("accelerators")).runs
    assert table[["points", "requests", "verdict", "reasons"]].iloc[0].tolist() == [
        3,
        60,
        UNVERIFIED,
        f"{FEW}; {BRIEF}",
    ]
    failed = mine.assign(errors=[0, 0, 421])
    table = judge(failed, mini_ws.table("use_cases"), mini_ws.table("accelerators")).runs
    assert table["verdict"].iloc[0] == INVALID
    assert table["failure_rate"].iloc[0] == pytest.approx(421 / 8400)


def test_one_bad_point_spoils_the_run(mini_ws, runs):
    bad = runs.assign(p50_ttft_ms=runs["p50_ttft_ms"].where(runs.index != 1, 9999.0))
    table = judge(bad, mini_ws.table("use_cases"), mini_ws.table("accelerators")).runs.set_index("benchmark_id")
    assert table["verdict"].to_dict() == {
        "chat--nvidia-a100-80-sxm": VALID,
        "chat--nvidia-h100-sxm": INVALID,
        "images--h100": VALID,
    }


def test_a_bad_point_of_another_file_leaves_the_rest_of_the_run(mini_ws, runs):
    args = mini_ws.table("use_cases"), mini_ws.table("accelerators")
    mine = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"].assign(file_sha256=["a" * 64, "b" * 64, "c" * 64])
    bad = mine.assign(tool_verdict=[None, "cancelled", None])
    row = judge(bad, *args).runs.iloc[0]
    assert row[["verdict", "points"]].tolist() == [UNVERIFIED, 3]
    assert row["reasons"] == f"1 of 3 load points left out; {REFUSED} (point 2)"
    assert judge(bad, *args).counted["point"].tolist() == [1, 3]
    assert judge(bad, *args).points["verdict"].tolist() == [VALID, INVALID, VALID]
    together = bad.assign(file_sha256=["a" * 64, "b" * 64, "b" * 64])  # one file is one test
    assert judge(together, *args).counted["point"].tolist() == [1]
    assert judge(together, *args).points["verdict"].tolist() == [VALID, INVALID, INVALID]
    assert judge(bad.assign(file_sha256=None), *args).counted.empty  # nobody says that these were several tests


def test_a_run_of_which_every_file_is_bad_is_invalid(mini_ws, runs):
    mine = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"].assign(file_sha256=["a" * 64, "b" * 64, "c" * 64])
    table = judge(
        mine.assign(tool_verdict="invalid"), mini_ws.table("use_cases"), mini_ws.table("accelerators")
    ).runs.iloc[0]
    assert table[["verdict", "reasons"]].tolist() == [INVALID, REFUSED]


def test_load_points_of_other_prompts_are_named(mini_ws, runs):
    args = mini_ws.table("use_cases"), mini_ws.table("accelerators")
    mine = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"]
    same = mine.assign(input_tokens_mean=[100.0, 110.0, 117.0])
    assert judge(same, *args).runs.iloc[0]["verdict"] == VALID
    other = mine.assign(input_tokens_mean=[100.0, 110.0, 118.0])
    assert judge(other, *args).runs.iloc[0][["verdict", "reasons"]].tolist() == [UNVERIFIED, PROMPTS]


def test_the_p99_stands_in_for_a_p95_that_is_not_there(mini_ws, runs):
    given = runs.assign(p95_ttft_ms=[np.nan, *runs["p95_ttft_ms"][1:]], p99_ttft_ms=777.0)
    filled = with_p95(given)
    assert filled["p95_ttft_ms"].tolist()[:2] == [777.0, runs["p95_ttft_ms"].iloc[1]]
    assert filled["p99_stands_in"].tolist()[:2] == ["TTFT", ""]
    assert with_p95(given.assign(p95_e2e_ms=np.nan, p99_e2e_ms=1.0))["p99_stands_in"].iloc[0] == "TTFT, E2E"
    pd.testing.assert_frame_equal(with_p95(runs)[list(runs)], runs)


def test_a_run_without_requests_is_judged_and_not_divided_by(verdict_of):
    assert verdict_of(requests=0)[0] == INVALID


def test_no_runs_give_an_empty_table(mini_ws, runs):
    table = judge(runs.iloc[:0], mini_ws.table("use_cases"), mini_ws.table("accelerators")).runs
    assert list(table.columns) == VALIDITY_COLUMNS
    assert table.empty


def test_an_unknown_bandwidth_cannot_be_exceeded(mini_ws, runs):
    chips = mini_ws.table("accelerators").assign(memory_bw_gb_per_s=np.nan)
    table = judge(runs.assign(output_tokens_per_s=1e18), mini_ws.table("use_cases"), chips).runs
    assert not table["reasons"].str.contains(BANDWIDTH).any()


def test_verdicts_do_not_depend_on_the_order_of_rows(mini_ws, runs):
    args = mini_ws.table("use_cases"), mini_ws.table("accelerators")
    pd.testing.assert_frame_equal(judge(runs, *args).runs, judge(runs.sample(frac=1, random_state=1), *args).runs)


def test_the_decisive_point_is_the_busiest_within_every_limit(mini_ws, runs):
    chat = mini_ws.table("use_cases").set_index("use_case_id").loc["chat"]
    mine = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"]
    assert decisive(mine, chat)["point"] == 2  # 400 ms of 1,000; the third takes 1,600
    assert decisive(mine.iloc[2:], chat) is None
    assert decisive(mine, chat.drop(["slo_p95_ttft_ms"]).reindex(chat.index)) is not None


def test_52_requests_make_a_p95_at_least_a_p90():
    """Ten thousand samples of a uniform: the largest rank at or below 95 % lies above 0.9 in nine of ten."""
    rank = int(np.ceil(0.95 * P95_REQUESTS)) - 1
    draws = np.sort(np.random.default_rng(3).random((10_000, P95_REQUESTS)), axis=1)[:, rank]
    assert (draws > 0.9).mean() == pytest.approx(0.9, abs=0.01)
