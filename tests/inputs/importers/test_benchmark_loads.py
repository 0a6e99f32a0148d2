"""How load was offered, and which requests count: what each tool says of it."""

import benchmark_files as made
import pytest

from aifactory.inputs.importers.benchmarks.point import EVEN
from aifactory.inputs.importers.benchmarks.read import read_result


@pytest.fixture
def point(tmp_path):
    def read_one(content):
        (found,) = read_result(made.write(tmp_path, "result.json", content)).points
        return found

    return read_one


def test_requests_that_broke_off_are_in_no_quantile(point):
    """Three of ten broke off after their first token and one long gap."""
    summary = {
        name: value for name, value in made.vllm().items() if not name.startswith(("median", "p95", "p99", "mean"))
    }
    errors = ["", "", "reset by peer", "", "", "timeout", "", "", "", "timeout"]
    ttfts = [9.0 if text else 0.2 for text in errors]
    gaps = [[60.0] if text else [0.1, 0.1] for text in errors]
    found = point(summary | {"ttfts": ttfts, "itls": gaps, "output_lens": [3] * 10, "errors": errors}).figures
    assert {name: found[name] for name in ("p99_ttft_ms", "p99_e2e_ms", "mean_e2e_ms", "p99_tpot_ms")} == pytest.approx(
        {"p99_ttft_ms": 200, "p99_e2e_ms": 400, "mean_e2e_ms": 400, "p99_tpot_ms": 100}
    )


def test_a_rate_that_rises_is_no_one_load(point):
    unsaid = point(made.vllm(max_concurrency=None, ramp_up_strategy="linear"))
    assert "nan" not in " ".join(unsaid.assumed) and "the rate rose: " in " ".join(unsaid.assumed)
    found = point(made.vllm(max_concurrency=None, ramp_up_strategy="linear", ramp_up_start_rps=1, ramp_up_end_rps=10))
    assert (found.load, "concurrency" in found.figures) == ("", False)
    assert "the rate rose from 1 to 10 requests per second: this is no one load, which is left open" in found.assumed


@pytest.mark.parametrize(
    ("content", "even"),
    [
        (made.vllm(request_rate=5.0, burstiness=100.0), True),
        (made.vllm(request_rate=5.0, burstiness=1.0), False),
        (made.guidellm({"type_": "constant", "rate": 5.0}), True),
        (made.guidellm({"type_": "poisson", "rate": 5.0}), False),
        (made.aiperf(input_config={"phases": [{"kind": "profiling", "type": "constant", "rate": 5.0}]}), True),
        (made.aiperf(input_config={"phases": [{"kind": "profiling", "type": "poisson", "rate": 5.0}]}), False),
    ],
)
def test_even_arrivals_are_said(point, content, even):
    found = point(content)
    assert (found.load, found.figures["offered_requests_per_s"]) == ("rate", 5.0)
    assert (EVEN in found.assumed) == even


def test_sglang_replays_stamps(point):
    found = point(made.sglang(request_rate="trace"))
    assert (found.load, "concurrency" in found.figures) == ("trace", False)


def test_concurrency_of_inference_perf_and_of_older_aiperf_is_read(point):
    values = made.inference_perf()
    offered = {name: value for name, value in values["load_summary"].items() if name != "requested_rate"}
    found = [
        point(values | {"load_summary": offered | {"concurrency": 10}}),
        point(made.aiperf(input_config={"loadgen": {"concurrency": 10, "warmup_request_count": 2}})),
    ]
    for one in found:
        assert (one.load, one.figures["concurrency"]) == ("fixed_concurrency", 10)
    assert found[1].warmup_excluded
    silent = point(values | {"load_summary": offered})
    assert (silent.load, silent.assumed[-1]) == (
        "",
        "the file says neither rate nor concurrency: the load is left open",
    )


def test_an_early_aiperf_that_names_no_version_is_known(point):
    values = {name: value for name, value in made.aiperf().items() if name not in ("aiperf_version", "schema_version")}
    assert point(values).tool == "aiperf"
