"""Every rule of validity: one run that breaks it, one just inside."""

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark.validity import (
    INVALID,
    P95_REQUESTS,
    RULES,
    UNVERIFIED,
    VALID,
    VALIDITY_COLUMNS,
    decisive,
    judge_runs,
)  # fmt: skip

SHORT, FAILS, CUT, ORDER, BANDWIDTH, COUNTS, LITTLE, FEW, BRIEF, TIGHT = RULES
H100_BYTES_PER_S = 3350e9


@pytest.fixture
def judge(mini_ws, runs):
    """Verdict on the first point of the chat run on the H100, with some columns changed."""

    def verdict(use_case="chat", **changes):
        run = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"].iloc[[0]].assign(use_case_id=use_case, **changes)
        table = judge_runs(run, mini_ws.table("use_cases"), mini_ws.table("accelerators"))
        return table.iloc[0]["verdict"], table.iloc[0]["reasons"]

    return verdict


def test_the_untouched_run_is_valid(judge):
    assert judge() == (VALID, "")


# requests and duration change together: throughput stays what Little's law expects
BREAKS = [
    (SHORT, INVALID, {"requests": 49, "duration_s": 49 / 2}),
    (FAILS, INVALID, {"errors": 61}),
    (CUT, INVALID, {"output_tokens_mean": 1.5, "p50_tpot_ms": 0.0}),
    (ORDER, INVALID, {"p50_ttft_ms": 5000.5}),
    (BANDWIDTH, INVALID, {"output_tokens_per_s": H100_BYTES_PER_S * 1.001}),
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
def test_a_run_that_breaks_the_rule_is_named(judge, rule, verdict, changes):
    assert judge(**changes) == (verdict, rule)


@pytest.mark.parametrize(("rule", "changes"), HOLDS)
def test_a_run_just_inside_the_rule_passes(judge, rule, changes):
    assert rule not in judge(**changes)[1]


def test_every_rule_has_both_cases():
    assert {rule for rule, _, _ in BREAKS} == {rule for rule, _ in HOLDS} == set(RULES)


def test_the_worst_verdict_counts_and_all_reasons_are_told(judge):
    verdict, reasons = judge(errors=61, tokens_source="requested", concurrency=100.0)
    assert verdict == INVALID
    assert reasons == f"{FAILS}; {COUNTS}; {LITTLE}"


def test_requests_and_failures_count_over_all_points_of_a_run(mini_ws, runs):
    mine = runs[runs["benchmark_id"] == "chat--nvidia-h100-sxm"]
    few = mine.assign(requests=20, duration_s=20 / mine["units_per_s"])
    table = judge_runs(few, mini_ws.table("use_cases"), mini_ws.table("accelerators"))
    assert table[["points", "requests", "verdict", "reasons"]].iloc[0].tolist() == [
        3,
        60,
        UNVERIFIED,
        f"{FEW}; {BRIEF}",
    ]
    failed = mine.assign(errors=[0, 0, 421])
    table = judge_runs(failed, mini_ws.table("use_cases"), mini_ws.table("accelerators"))
    assert table["verdict"].iloc[0] == INVALID
    assert table["failure_rate"].iloc[0] == pytest.approx(421 / 8400)


def test_one_bad_point_spoils_the_run(mini_ws, runs):
    bad = runs.assign(p50_ttft_ms=runs["p50_ttft_ms"].where(runs.index != 1, 9999.0))
    table = judge_runs(bad, mini_ws.table("use_cases"), mini_ws.table("accelerators")).set_index("benchmark_id")
    assert table["verdict"].to_dict() == {
        "chat--nvidia-a100-80-sxm": VALID,
        "chat--nvidia-h100-sxm": INVALID,
        "images--h100": VALID,
    }


def test_a_run_without_requests_is_judged_and_not_divided_by(judge):
    assert judge(requests=0)[0] == INVALID


def test_no_runs_give_an_empty_table(mini_ws, runs):
    table = judge_runs(runs.iloc[:0], mini_ws.table("use_cases"), mini_ws.table("accelerators"))
    assert list(table.columns) == VALIDITY_COLUMNS
    assert table.empty


def test_an_unknown_bandwidth_cannot_be_exceeded(mini_ws, runs):
    chips = mini_ws.table("accelerators").assign(memory_bw_gb_per_s=np.nan)
    table = judge_runs(runs.assign(output_tokens_per_s=1e18), mini_ws.table("use_cases"), chips)
    assert not table["reasons"].str.contains(BANDWIDTH).any()


def test_verdicts_do_not_depend_on_the_order_of_rows(mini_ws, runs):
    args = mini_ws.table("use_cases"), mini_ws.table("accelerators")
    pd.testing.assert_frame_equal(judge_runs(runs, *args), judge_runs(runs.sample(frac=1, random_state=1), *args))


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
