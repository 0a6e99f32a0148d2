"""Genuine result files of load tools, where they lie beside the checkout: figures by hand, verdicts of their traps."""

import pytest

from aifactory.benchmark.imported import add_verdicts
from aifactory.inputs.importers.benchmarks.read import NotAResult, read_result
from aifactory.inputs.importers.command import Target, import_files


@pytest.fixture
def samples(shared_dir):
    folder = shared_dir / "data" / "bench_samples"
    if not folder.is_dir():
        pytest.skip("no result files of load tools beside the checkout")
    return folder


@pytest.fixture
def judged(samples):
    """Rows of a file with their verdicts."""

    def read(name):
        (path,) = samples.glob(name)
        reports = import_files("benchmark", [path], None, Target())
        add_verdicts(reports, None)
        return reports[0]["rows"]

    return read


def test_inferencex_is_in_seconds(judged):
    (row,) = judged("inferencex/*conc16.json")
    told = {"p50_ttft_ms": 291.4, "p99_e2e_ms": 9590.6, "p50_tpot_ms": 33.6, "units_per_s": 3.153, "concurrency": 16}
    assert {name: row[name] for name in told} == pytest.approx(told, rel=1e-3)
    assert (row["verdict"], row["reasons"]) == ("UNVERIFIED", "token counts not from the server")


def test_a_server_without_usage_makes_a_run_invalid(judged):
    (row,) = judged("vllm_bench/*_c4.json")
    assert row["verdict"] == "INVALID"
    assert "no output tokens were counted" in row["reasons"]
    assert row["goodput_requests_per_s"] == pytest.approx(12.2945, rel=1e-4)  # under a key with a colon


def test_sglang_without_first_token_times_is_invalid(judged):
    (row,) = judged("sglang/*.jsonl")
    assert row["verdict"] == "INVALID"
    assert row["reasons"].startswith("token counts not from the server; the first token came in no time")
    assert (row["concurrency"], row["requests"]) == (16, 300)


def test_aiperf_says_the_same_in_json_and_csv(judged):
    (summary,), (table,) = judged("aiperf/*.json"), judged("aiperf/*.csv")
    for name in (
        "p50_ttft_ms",
        "p95_e2e_ms",
        "p99_tpot_ms",
        "mean_e2e_ms",
        "units_per_s",
        "duration_s",
        "output_tokens_per_s",
    ):
        assert table[name] == pytest.approx(summary[name], rel=2e-3)
    assert (summary["concurrency"], summary["goodput_slo"]) == (4, "request_latency 2000, time_to_first_token 500")
    assert summary["warmup_excluded"] is True


def test_aiperf_records_without_their_warm_up(samples):
    found = read_result(samples / "aiperf" / "profile_export_first6.jsonl")
    assert found.left_out == {"warm-up, not measured": 2}
    assert found.points[0].figures["requests"] == 4


def test_guidellm_says_the_same_in_json_and_csv(judged):
    report, table = judged("guidellm/*_q4.json"), judged("guidellm/*_q4.csv.gz")
    assert len(report) == len(table) == 3
    for one, other in zip(report, table, strict=True):
        assert other["units_per_s"] == pytest.approx(one["units_per_s"])
        for name in one:
            if name.endswith("_ms") or name.startswith("output_tokens"):
                assert other[name] == pytest.approx(one[name]), name
    assert report[0]["p50_ttft_ms"] == pytest.approx(24.0417, rel=1e-5)
    assert report[0]["p50_e2e_ms"] == pytest.approx(102.717, rel=1e-5)


def test_guidellm_with_cut_streams_is_invalid(judged):
    rows = judged("guidellm/*TRAP*.json")
    assert [row["verdict"] for row in rows] == ["INVALID"] * 3
    assert all("streams cut short" in row["reasons"] for row in rows[1:])
    assert "another load point of the same test is invalid" in rows[0]["reasons"]


def test_inference_perf_names_its_own_lag(judged, samples):
    (calm,), (overrun,) = judged("inference_perf/stage_0_life*"), judged("inference_perf/stage_6*")
    assert calm["p50_ttft_ms"] == pytest.approx(32.918, rel=1e-4)
    assert calm["verdict"] == "VALID"
    assert overrun["verdict"] == "UNVERIFIED"
    assert "sent late" in overrun["reasons"]
    assert "of the offered rate was done" in overrun["reasons"]
    with pytest.raises(NotAResult, match="server metrics"):
        read_result(samples / "inference_perf" / "stage_0_prometheus_metrics.json")


def test_mlperf_valid_invalid_and_the_window_of_v61(judged, samples):
    (bad,), (good,) = judged("mlperf/loadgen*"), judged("mlperf/v3.0*")
    assert (bad["verdict"], bad["requests"]) == ("INVALID", 33)
    assert bad["p95_tpot_ms"] == pytest.approx(14.743425)
    # at least 600 s at 6,848.19/s ran, more than the 270,336 queries that are vouched for too
    assert (good["verdict"], good["requests"]) == ("VALID", 4_108_914)
    (rack,) = judged("mlperf/*result_summary*")
    assert rack["output_tokens_per_s"] == pytest.approx(981_183, abs=1)  # the file's 1,175,890 is of a shorter window
    assert rack["p95_ttft_ms"] == pytest.approx(267.386, abs=1e-3)
    (endpoint,) = judged("mlperf/*results.trimmed*")
    assert endpoint["units_per_s"] == pytest.approx(69.4154, abs=1e-4)
    with pytest.raises(NotAResult, match="fp4"):
        read_result(next(samples.glob("mlperf/*measurements.json")))


def test_the_whole_folder_is_read_at_once(samples):
    reports = import_files("benchmark", [samples], None, Target())
    add_verdicts(reports, None)
    kept = [report for report in reports if report["rows_kept"]]
    assert len(kept) == 18
    assert sum(len(report["rows"]) for report in kept) == 24
    assert all(row["verdict"] for report in kept for row in report["rows"])
