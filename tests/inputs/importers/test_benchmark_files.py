"""Result files of load tools: every tool's healthy point gives the same figures; damaged ones are refused in words."""

import gzip
import json
import math

import benchmark_files as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.importers.benchmarks import read
from aifactory.inputs.importers.benchmarks.point import MS_OF
from aifactory.inputs.importers.benchmarks.read import NotAResult, find_files, read_result

TOOLS = {
    "vllm": made.vllm, "inferencex": made.inferencex, "sglang": made.sglang, "aiperf": made.aiperf,
    "guidellm": made.guidellm, "inference_perf": made.inference_perf, "loadgen": made.loadgen,
    "result_summary": made.result_summary,
}  # fmt: skip
NAMES = {"vllm": "vllm bench serve", "inferencex": "vllm bench serve", "sglang": "sglang bench_serving",
         "inference_perf": "inference-perf", "loadgen": "mlperf loadgen", "result_summary": "mlperf endpoints"}  # fmt: skip


@pytest.fixture
def point(tmp_path):
    """The only load point of a file with a content."""

    def read_one(content, name="result.json"):
        (found,) = read_result(made.write(tmp_path, name, content)).points
        return found

    return read_one


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_gives_the_same_load_point_in_our_units(point, tool):
    found = point(TOOLS[tool]())
    assert found.tool == NAMES.get(tool, tool)
    assert found.requests_per_s == 5.0
    expected = {"requests": 100, "errors": 0, "duration_s": 20, "output_tokens_mean": 50, "output_tokens_per_s": 250,
                "mean_e2e_ms": 2000}  # fmt: skip
    expected |= {f"{q}_{name}_ms": value for name, values in made.MS.items() for q, value in zip(("p50", "p95", "p99"), values, strict=True)}  # fmt: skip
    figures = {"duration_s": found.figures["requests"] / 5.0} | found.figures  # LoadGen states no duration
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    if tool in ("vllm", "inferencex", "sglang", "aiperf", "guidellm"):
        assert (found.load, found.figures["concurrency"]) == ("fixed_concurrency", 10)
    else:
        assert found.load == "rate"
        assert found.figures["offered_requests_per_s"] == pytest.approx(5.0, abs=0.3)


@given(unit=st.sampled_from([name for name in MS_OF if name != "millisecond"]))
def test_the_unit_of_time_that_a_file_names_changes_no_row(tmp_path_factory, unit):
    folder = tmp_path_factory.mktemp("units")
    (found,) = read_result(made.write(folder, "a.json", made.aiperf(unit, 1 / MS_OF[unit]))).points
    (usual,) = read_result(made.write(folder, "b.json", made.aiperf())).points
    assert found.figures == pytest.approx(usual.figures)


@given(factor=st.floats(0.01, 100))
def test_times_scale_and_rates_do_not(tmp_path_factory, factor):
    values = {name: value * factor if name.endswith("_ms") else value for name, value in made.vllm().items()}
    (found,) = read_result(made.write(tmp_path_factory.mktemp("scaled"), "a.json", values)).points
    (usual,) = read_result(made.write(tmp_path_factory.mktemp("usual"), "a.json", made.vllm())).points
    for name, value in usual.figures.items():
        assert found.figures[name] == pytest.approx(value * factor if name.endswith("_ms") else value)


def test_seconds_without_a_unit_are_proven_by_concurrency(point):
    found = point(made.inferencex())
    assert any("are seconds" in text for text in found.assumed)
    ms = {
        name.removesuffix("_ms"): value for name, value in made.vllm().items()
    }  # milliseconds under names without a unit
    with pytest.raises(InputError, match=r"column 'median_e2el': value 1990.0: read as seconds it fits neither"):
        point(ms)


def test_goodput_with_and_without_the_colon_of_the_fork(point):
    assert point(made.vllm()).figures["goodput_requests_per_s"] == 4.5
    assert point(made.inferencex()).figures["goodput_requests_per_s"] == 4.5


def test_a_rate_a_limit_and_all_at_once_are_told_apart(point):
    rate = point(made.vllm(request_rate=4.0, max_concurrency=None))
    assert (rate.load, rate.figures["offered_requests_per_s"]) == ("rate", 4.0)
    assert "concurrency" not in rate.figures
    both = point(made.vllm(request_rate=4.0))
    assert both.load == "rate"
    assert any("max_concurrency" in text for text in both.assumed)
    burst = point(made.vllm(max_concurrency=None))
    assert (burst.load, burst.figures["concurrency"]) == ("fixed_concurrency", 100)
    assert any("all requests were sent at once" in text for text in burst.assumed)


def test_failures_are_those_that_the_file_counts_or_that_are_missing(point):
    told = point(made.vllm(completed=95, failed=5))
    assert (told.figures["requests"], told.figures["errors"]) == (100, 5)
    derived = {name: value for name, value in made.vllm(completed=95).items() if name != "failed"}
    assert point(derived).figures["errors"] == 5
    listed = {name: value for name, value in derived.items() if name != "num_prompts"} | {
        "errors": ["", "timed out", ""]
    }
    assert point(listed).figures["errors"] == 1
    with pytest.raises(InputError, match=r"column 'completed': value 101.0: is above num_prompts, 100"):
        point({name: value for name, value in made.vllm(completed=101).items() if name != "failed"})


def test_a_detailed_result_gives_the_quantiles_that_its_summary_leaves_out(point):
    brief = {
        name: value for name, value in made.vllm().items() if not name.startswith(("p95", "mean_e2el", "median_e2el"))
    }
    brief.pop("p99_e2el_ms")
    details = {"ttfts": [0.1, 0.2, 0.3, 0.0], "itls": [[0.01] * 9, [0.02] * 9, [0.03] * 9, []], "output_lens": [10, 10, 10, 0]}  # fmt: skip
    found = point(brief | details).figures
    assert found["p50_ttft_ms"] == 200.0  # the summary speaks where it has a figure
    assert found["p95_ttft_ms"] == pytest.approx(290.0)  # numpy: 100, 200, 300 at 0.95 -> 200 + 0.9 x 100
    assert found["p95_tpot_ms"] == pytest.approx(29.0)
    assert found["mean_e2e_ms"] == pytest.approx((190 + 380 + 570) / 3)
    assert found["p50_e2e_ms"] == pytest.approx(380.0)


def test_a_default_result_of_vllm_has_no_p95_and_none_is_made_up(point):
    default = {name: value for name, value in made.vllm().items() if not name.startswith("p95") and "e2el" not in name}
    figures = point(default).figures
    assert not [name for name in figures if name.startswith("p95") or "e2e" in name]
    assert figures["p99_ttft_ms"] == 400.0


def test_metadata_in_our_words_and_the_engine_of_a_client_are_facts(point):
    found = point(made.vllm(precision="fp8", accelerators="8", hw="H100 node"))
    assert found.facts == {"precision": "fp8", "accelerators": "8", "engine": "vllm"}
    assert found.hints["hw"] == "H100 node"
    assert "engine" not in point(made.vllm(backend="openai")).facts


@pytest.mark.parametrize(("again", "source"), [(5000, "client_tokenizer"), (4950, "client_tokenizer"), (4800, ""), (0, "requested")])  # fmt: skip
def test_sglang_counts_again_with_its_tokenizer(point, again, source):
    assert point([made.sglang(total_output_tokens_retokenized=again)], "a.jsonl").tokens_source == source


def test_lines_of_one_file_are_load_points(tmp_path):
    file = made.write(tmp_path, "sweep.jsonl", [made.sglang(max_concurrency=n) for n in (1, 2, 4)])
    assert [point.figures["concurrency"] for point in read_result(file).points] == [1, 2, 4]


def test_aiperf_names_warm_up_cancellation_errors_limits_and_counts(point):
    found = point(made.aiperf())
    assert (found.warmup_excluded, found.tokens_source, found.goodput_slo) == (
        True,
        "server_usage",
        "request_latency 2400",
    )
    assert point(made.aiperf(was_cancelled=True)).tool_verdict == "cancelled"
    assert point(made.aiperf(is_complete=False)).tool_verdict == "cancelled"
    failed = point(made.aiperf(error_summary=[{"count": 3}, {"count": 2}])).figures
    assert (failed["requests"], failed["errors"]) == (105, 5)
    assert point(made.aiperf(input_config={"endpoint": {"streaming": True}})).tokens_source == "client_tokenizer"


def test_aiperf_records_leave_out_the_warm_up(tmp_path):
    records = [made.aiperf_record(0, "warmup", ttft_ms=9000.0)]
    records += [made.aiperf_record(10 + n, ttft_ms=100.0 * n, e2e_ms=2000.0) for n in range(1, 4)]
    records += [made.aiperf_record(14, was_cancelled=True), made.aiperf_record(15) | {"error": {"type": "timeout"}}]
    found = read_result(made.write(tmp_path, "records.jsonl", records))
    (point,) = found.points
    assert found.left_out == {"warm-up, not measured": 1}
    assert (point.figures["requests"], point.figures["errors"]) == (5, 2)
    assert point.figures["duration_s"] == pytest.approx(6.0)  # from 11 s to 15 + 2 s
    assert point.requests_per_s == pytest.approx(3 / 6)
    assert point.figures["p50_ttft_ms"] == 200.0
    assert point.figures["p95_ttft_ms"] == pytest.approx(290.0)
    assert point.figures["output_tokens_per_s"] == pytest.approx(150 / 6)
    with pytest.raises(InputError, match="holds no measured request"):
        read_result(made.write(tmp_path, "warm.jsonl", [made.aiperf_record(0, "warmup")] * 2))


def test_aiperf_csv_has_quantiles_above_and_single_figures_below(point):
    text = (
        "Metric,avg,min,max,sum,p1,p5,p10,p25,p50,p75,p90,p95,p99,std\n"
        "Time to First Token (sec),0.2,0,1,1,0,0,0,0,0.2,0,0,0.3,0.4,0\n"
        "Request Latency (ms),2000,0,1,1,0,0,0,0,1990,0,0,2300,2500,0\n"
        "Output Sequence Length (tokens),50,,,,,,,,,,,,,\n\n"
        "Metric,Value\n"
        "Benchmark Duration (sec),20.00\nCompleted Requests (Success + Error),104.00\nRequest Count,100.00\n"
        "Request Throughput (requests/sec),5.00\nOutput Token Throughput (tokens/sec),250\n"
    )
    found = point(text, "aiperf.csv")
    assert (found.figures["requests"], found.figures["errors"], found.figures["duration_s"]) == (104, 4, 20)
    assert found.figures["p95_ttft_ms"] == 300.0
    assert (found.figures["p99_e2e_ms"], found.figures["mean_e2e_ms"]) == (2500.0, 2000.0)


@pytest.mark.parametrize(
    ("strategy", "load", "figures"),
    [({"type_": "synchronous"}, "fixed_concurrency", {"concurrency": 1}),
     ({"type_": "throughput", "max_concurrency": 8}, "fixed_concurrency", {"concurrency": 8}),
     ({"type_": "poisson", "rate": 4.5, "max_concurrency": 8}, "rate", {"offered_requests_per_s": 4.5, "send_lag_p95_ms": 10}),
     ({"type_": "replay"}, "trace", {"send_lag_p95_ms": 10}), ({"type_": "new"}, "", {})],
)  # fmt: skip
def test_guidellm_says_how_it_offers_load(point, strategy, load, figures):
    found = point(made.guidellm(strategy))
    assert found.load == load
    names = ("concurrency", "offered_requests_per_s", "send_lag_p95_ms")
    assert {name: found.figures[name] for name in names if name in found.figures} == pytest.approx(figures)


def test_guidellm_tokens_are_requested_where_the_response_names_none(point):
    assert point(made.guidellm()).tokens_source == "server_usage"
    assert point(made.guidellm(requests={"successful": [{"response_metrics": None}]})).tokens_source == "requested"
    assert point(made.guidellm(requests={})).tokens_source == ""


def test_guidellm_time_per_token_is_the_one_without_the_first(point):
    assert point(made.guidellm()).figures["p50_tpot_ms"] == 36.0  # not the 40 of time_per_output_token_ms


def test_loadgen_says_valid_or_invalid_and_vouches_for_its_minima(point):
    assert point(made.loadgen(), "a.txt").tool_verdict == "valid"
    assert point(made.loadgen("INVALID"), "b.txt").tool_verdict == "invalid"
    assert point(made.loadgen(**{"min_duration (ms)": 600_000}), "c.txt").figures["requests"] == 3000  # 600 s at 5/s
    told = made.loadgen() + " * Processed 33 queries.\n"
    assert point(told, "d.txt").figures["requests"] == 33
    with pytest.raises(InputError, match=r"column 'Result is': value 'MAYBE': must be VALID or INVALID"):
        point(made.loadgen("MAYBE"), "e.txt")
    with pytest.raises(InputError, match="column 'Scenario': value 'MultiStream'"):
        point(made.loadgen(scenario="MultiStream"), "f.txt")


def test_mlperf_v61_tells_the_window_of_its_rate_and_takes_the_whole_run(point):
    found = point(made.result_summary())
    assert found.figures["output_tokens_per_s"] == 250.0  # 5,000 tokens in 20 s, not in the 16 s of the window
    assert found.assumed == ["tps 312 of the file is over the LoadGen window (16 s); over the whole run of 20 s it is 250, which is taken"]  # fmt: skip
    assert point(made.result_summary(complete=False)).tool_verdict == "cancelled"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (made.vllm(duration="20"), r"column 'duration': value '20': must be a number"),
        (made.vllm(duration=True), r"column 'duration': value 'bool': must be a number"),
        (made.vllm(median_ttft_ms=-1.0), r"column 'median_ttft_ms': value '-1.0': must be a number from 0 to 1e\+15"),
        (made.vllm(median_ttft_ms=math.nan), r"column 'median_ttft_ms': value 'nan': .*this was not measured"),
        (made.vllm(median_ttft_ms=math.inf), r"column 'median_ttft_ms': value 'inf'"),
        (made.vllm(completed=0), r"column 'completed': value 0.0: no request was completed"),
        (made.vllm(completed=99.5), r"column 'completed': value 99.5: must be a whole number"),
        (made.vllm(request_rate="fast"), r"column 'request_rate': value 'fast': must be a number"),
        (made.aiperf(unit="fortnights"), r"value 'fortnights': is no unit of time that is known"),
        (made.guidellm(duration=None), r"column 'benchmarks\[0\].duration': is missing"),
        (made.inference_perf(successes={"count": 0}), r"column 'successes.count': value 0.0: no request was completed"),
        (made.guidellm() | {"benchmarks": [7]}, r"column 'benchmarks\[0\]': must be an object"),
        ([made.sglang(), made.sglang(duration=None)], r"column 'line 2.duration': is missing"),
    ],
)  # fmt: skip
def test_a_damaged_figure_is_named_by_file_key_and_value(point, content, match):
    with pytest.raises(InputError, match=rf"^result\.json, {match}" if match.startswith("column") else match):
        point(content)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is empty"), ("PK\x03\x04zip", "packed or binary"), ("hello", "no result that is known"), ("[1, 2]", "no objects"),
        ("{", "is not JSON"), ("[" * 100_000, "nested too deeply|is not JSON"), ('{"a": ' * 50_000 + "1" + "}" * 50_000, "nested too deeply"),
        ('{"a": 1, "b": {}}', "it holds a, b"), ('{"hw": "h100", "tput_per_gpu": 3.0}', "aggregate of InferenceX without requests"),
        (json.dumps(made.inference_perf(load_summary={})), "server metrics of Prometheus"),
        ('{"weight_data_types": "fp4", "weight_transformations": "q"}', r"facts of a submission.*fp4"),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_result_is_refused_in_words(point, content, match):
    with pytest.raises(NotAResult, match=match):
        point(content)


def test_a_packed_result_is_read_and_a_bomb_is_not(tmp_path, monkeypatch):
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(json.dumps(made.vllm()).encode()))
    assert len(read_result(path).points) == 1
    monkeypatch.setattr(read, "MAX_BYTES", 1000)
    path.write_bytes(gzip.compress(b"{" + b" " * 5000))
    with pytest.raises(InputError, match="is larger than 1,000 bytes, unpacked"):
        read_result(path)
    monkeypatch.undo()
    path.write_bytes(gzip.compress(json.dumps(made.vllm()).encode())[:40])
    with pytest.raises(InputError, match="cannot be read"):
        read_result(path)


def test_folders_and_patterns_hold_files_and_an_empty_one_is_refused(tmp_path):
    files = [made.write(tmp_path, name, "x") for name in ("a/2.json", "a/1.json", "a/.hidden", "b.txt")]
    assert find_files([tmp_path / "a"]) == ([files[1], files[0]], set())
    assert find_files([tmp_path / "*.txt", files[3]]) == ([files[3]], {files[3]})
    for place in ("none", "*.none"):
        with pytest.raises(InputError, match="no such file|holds no file"):
            find_files([tmp_path / place])


def test_a_name_with_a_script_or_control_letters_stays_one_line_of_text(point):
    found = point(made.vllm(model_id="<script>alert(1)</script>\n\x1b[31m" + "x" * 500))
    assert found.hints["model_id"].startswith("<script>alert(1)</script>")
    assert found.hints["model_id"].isprintable()
    assert len(found.hints["model_id"]) == 80
