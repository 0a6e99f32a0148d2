"""`aifactory simulate` over real and wrong traces."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.serving.capacity_curve import CapacityCurve
from aifactory.serving.catalogue_rows import find_row
from aifactory.serving.command import SimulateRequest, read_noted_stream, read_stream, simulate_trace

KEYS = [
    "requests",
    "served",
    "failed",
    "overflowed",
    "unfinished",
    "replicas",
    "ttft_ms",
    "tpot_ms",
    "e2e_ms",
    "utilization",
    "requests_per_s_simulated",
    "wall_s",
    "peak_memory_mb",
    "usd_per_million_tokens",
    "tier",
    "prefix_hit_rate",
    "reason",
    "low80",
    "high80",
]
MODEL, CHIP = "Llama-3.1-8B", "nvidia-h100-sxm"


@pytest.fixture
def trace(tmp_path):
    draw = np.random.default_rng(0)
    rows = ["arrival_s,input_tokens,output_tokens"]
    for arrival in np.cumsum(draw.exponential(0.1, 400)):
        rows.append(f"{arrival:.4f},{draw.integers(50, 2000)},{draw.integers(1, 200)}")
    path = tmp_path / "trace.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def ask(trace, **options):
    return simulate_trace(SimulateRequest(trace, **{"model": MODEL, "platform": CHIP, **options}))


def write(tmp_path, text):
    path = tmp_path / "bad.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + text)
    return path


def test_json_has_these_keys_and_no_nan(trace):
    result = CliRunner().invoke(app, ["simulate", str(trace), "--model", MODEL, "--platform", CHIP, "--json"])
    found = json.loads(result.stdout)
    assert list(found) == KEYS
    assert found["requests"] == 400 == found["served"] + found["failed"] + found["overflowed"] + found["unfinished"]
    for name in ("ttft_ms", "tpot_ms", "e2e_ms"):
        assert list(found[name]) == ["p50", "p90", "p95", "p99"]
        assert sorted(found[name].values()) == list(found[name].values())
    assert 0 < found["utilization"] <= 1
    assert found["usd_per_million_tokens"] > 0
    assert found["tier"] == "fitted step model"
    assert found["low80"]["ttft_ms"]["p95"] < found["ttft_ms"]["p95"] < found["high80"]["ttft_ms"]["p95"]


def test_an_slo_finds_replicas_and_says_why(trace):
    arguments = [
        "simulate",
        str(trace),
        "--model",
        MODEL,
        "--platform",
        "nvidia-a10g",
        "--slo",
        "p95_ttft_ms=900,p95_tpot_ms=80",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    for word in ("steady-state" if "steady-state" in result.stdout else "binds", "spare replica", "a replica;"):
        assert word in result.stdout
    found, size = ask(trace, platform="nvidia-a10g", slo="p95_ttft_ms=900,p95_tpot_ms=80")
    assert found["replicas"] == size.slo_replicas > 1
    assert list(found) == [*KEYS, "sizes"]
    assert [part["replicas"] for part in found["sizes"].values()] == [
        size.steady_replicas,
        size.slo_replicas,
        size.reserve_replicas,
    ]
    assert found["sizes"]["reserve"]["because"] == size.reserve_because
    assert found["ttft_ms"]["p95"] <= 900 and found["tpot_ms"]["p95"] <= 80
    fewer, _ = ask(trace, platform="nvidia-a10g", replicas=size.slo_replicas - 1)
    assert fewer["ttft_ms"]["p95"] > 900 or fewer["tpot_ms"]["p95"] > 80


def test_names_are_found_in_any_case_and_by_part():
    assert find_row("models", "model", "llama-3.1-70b", "--model")["params_total_b"] > 70
    assert find_row("accelerators", "accelerator_id", "NVIDIA-H100-SXM", "--platform")["memory_gb"] == 80


def test_columns_of_reuse_and_priority_are_used(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text(
        "arrival_s,input_tokens,output_tokens,cached_input_tokens,priority,other\n0,900,5,500,1,x\n1,900,5,,0,y\n"
    )
    stream = read_stream(path)
    assert stream.cached_tokens.tolist() == [500, 0]
    assert stream.priority.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("0,10,5\n-1,10,5\n", "row 3.*arrival_s.*negative"),
        ("5,10,5\n1,10,5\n", "row 3.*earlier"),
        ("0,0,5\n", "row 2.*input_tokens.*1 or more"),
        ("0,10,0\n", "row 2.*output_tokens"),
        ("0,,5\n", "row 2.*input_tokens"),
        ("x,10,5\n", "row 2.*arrival_s"),
        ("0,1.5,5\n", "row 2.*input_tokens"),
        ("", "no requests"),
    ],
)
def test_wrong_rows_are_named(tmp_path, rows, text):
    with pytest.raises(InputError, match=text):
        ask(write(tmp_path, rows))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "Llama-3.1-8"}, "Did you mean 'Llama-3.1-8B'"),
        ({"platform": "nvidia-h10-sxm"}, "Did you mean 'nvidia-h100-sxm'"),
        ({"platform": "hailo-8"}, "memory_bw_gb_per_s"),
        ({"model": "Llama-3.1-405B", "platform": "nvidia-l4"}, "does not fit"),
        ({"model": "Llama-3.1-70B", "tensor_parallel": 1}, "does not fit"),
        ({"slo": "p95_ttft_ms=0.1"}, "alone on an idle replica"),
        ({"slo": "p95_ttft_ms=500", "replicas": 2}, "not both"),
        ({"routing": "random"}, "routing"),
        ({"precision": "bf61"}, "Did you mean 'bf16'"),
        ({"timeout_s": -1.0}, "timeout_s.*must be more than the"),
        ({"timeout_s": math.nan}, "timeout_s"),
        ({"retries": 21}, "retries.*must be 0 to 20"),
        ({"tensor_parallel": 3}, "tensor-parallel.*3.*divide the 32 attention heads"),
        ({"tensor_parallel": 1000}, "divide the 32 attention heads"),
    ],
)
def test_what_cannot_be_is_said(trace, options, text):
    with pytest.raises(InputError, match=text):
        ask(trace, **options)


def test_clients_that_give_up_are_failures(trace):
    found, _ = ask(trace, platform="nvidia-a10g", timeout_s=60.0)
    assert found["failed"] > 0 == found["unfinished"]
    patient, _ = ask(trace, platform="nvidia-a10g")
    assert patient["failed"] == 0
    assert found["e2e_ms"]["p99"] <= 60_000 < patient["e2e_ms"]["p99"]


def test_named_blocks_are_reused_and_no_more_than_memory_holds(tmp_path):
    lines = [
        json.dumps({"timestamp": 2000 * i, "input_length": 4 * 512 + 7, "output_length": 5, "hash_ids": [i % 2, 2, 3, 4 + i % 2, 9 + i]})
        for i in range(40)
    ]  # fmt: skip
    path = tmp_path / "named.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found, _ = ask(path)
    assert found["prefix_hit_rate"] == pytest.approx(38 * 2048 / (40 * 2055))
    assert ask(path, prefix_cache=False)[0]["prefix_hit_rate"] == 0


def test_times_may_count_from_anywhere(trace, tmp_path):
    rows = trace.read_text().splitlines()
    moved = [rows[0]] + [f"{float(a) + 1.7e9:.4f},{rest}" for a, _, rest in (row.partition(",") for row in rows[1:])]
    later = tmp_path / "epoch.csv"
    later.write_text("\n".join(moved) + "\n")
    here, there = ask(trace)[0], ask(later)[0]
    assert there["utilization"] == pytest.approx(here["utilization"], rel=1e-3)
    assert there["e2e_ms"]["p50"] == pytest.approx(here["e2e_ms"]["p50"], rel=1e-3)


def test_a_request_that_never_fits_fails_and_is_said(tmp_path):
    found, _ = ask(write(tmp_path, "0,999999999,10\n"))
    assert (found["failed"], found["served"], found["utilization"]) == (1, 0, 0.0)
    assert found["ttft_ms"] == {"p50": None, "p90": None, "p95": None, "p99": None}
    assert "1 request failed: too large" in found["reason"]
    json.dumps(found, allow_nan=False)


def test_requests_beyond_the_context_of_the_model_are_said(tmp_path):
    found, _ = ask(write(tmp_path, "0,131000,72\n1,131000,73\n2,10,10\n"))
    assert "1 request longer than the 131,072 tokens of Llama-3.1-8B" in found["reason"]


def test_what_is_left_out_of_a_trace_is_said(tmp_path):
    path = tmp_path / "burst.csv"
    rows = [
        "5,ChatGPT,472,18,490,Conversation log",
        "45,ChatGPT,1087,0,1087,Conversation log",
        "118,GPT-4,417,276,693,API log",
    ]
    path.write_text("\n".join(["Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type", *rows]) + "\n")
    found, _ = ask(path)
    assert found["requests"] == found["served"] == 2
    assert found["reason"].endswith("left out of the trace: 1 requests without an answer")


def test_an_empty_prompt_is_named_by_its_row_of_the_file_in_any_order(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(
        "timestamp,input_tokens,output_tokens\n2026-10-01T00:00:10Z,100,10\n2026-10-01T00:00:05Z,50,10\n2026-10-01T00:00:01Z,0,10\n"
    )
    with pytest.raises(InputError, match=r"log.csv, row 4, column 'input_tokens': value 0: .* 1 token or more"):
        ask(path)


def test_centuries_are_refused(tmp_path):
    with pytest.raises(InputError, match="two years from the first to the last at most"):
        ask(write(tmp_path, "0,10,10\n1e12,10,10\n"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        ask(tmp_path / "nothing.csv")


def test_a_platform_without_price_or_power_still_runs(trace):
    found, _ = ask(trace, platform="google-tpu-v7")
    assert found["usd_per_million_tokens"] is None or math.isfinite(found["usd_per_million_tokens"])


@pytest.mark.parametrize("name", ["azure_llm_2023_conv.csv.gz", "mooncake_fast25_conversation_first70pct.jsonl.gz"])
def test_public_traces_run(shared_dir, name):
    found, _ = ask(shared_dir / "data" / "traces" / name, replicas=4)
    assert found["served"] + found["failed"] == found["requests"] > 8000


def test_measured_steps_are_read_and_speak(trace, tmp_path):
    lines = ["kind,model,precision,accelerators,batch,context_tokens,chunk_tokens,median_ms,as_of"]
    for batch, context, chunk in [(1, 500, 0), (8, 500, 0), (64, 500, 0), (128, 2000, 0), (8, 4000, 0)]:
        lines.append(
            f"step,{MODEL},bf16,1,{batch},{context},{chunk},{9 + 0.05 * batch + 1e-4 * batch * context},2026-11-26"
        )
    lines += [f"step,{MODEL},bf16,1,0,0,{chunk},{8 + 0.04 * chunk},2026-11-26" for chunk in (128, 1024, 4096, 8192)]
    path = tmp_path / "steps.csv"
    path.write_text("\n".join(lines) + "\n")
    found, _ = ask(trace, precision="bf16", steps=path)
    assert found["tier"] == "measured steps"
    assert "9 measured steps" in found["reason"]


STEP_HEAD = "model,precision,accelerators,batch,context_tokens,chunk_tokens,median_ms,as_of\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"), ("model,precision\nx,bf16\n", "column is missing"), ("\n", "the file is empty"),
        (f"{STEP_HEAD}{MODEL},bf16,1,8,500,0,fast,2026-11-26\n", "row 2, column 'median_ms': value 'fast'"),
        (f"{STEP_HEAD}{MODEL},bf16,1,8,500,0,-9,2026-11-26\n", "value '-9': must be positive"),
        (f"{STEP_HEAD}{MODEL},bf16,1,-8,500,0,9,2026-11-26\n", "value '-8': must not be negative"),
        (f"{STEP_HEAD}{MODEL},bf16,1,8,500,0,9,someday\n", "row 2, column 'as_of': value 'someday': must be the date"),
    ],
)  # fmt: skip
def test_a_file_of_steps_that_cannot_be_used_is_said(trace, tmp_path, text, said):
    path = tmp_path / "steps.csv"
    if text:
        path.write_text(text)
    with pytest.raises(InputError, match=said):
        ask(trace, steps=path)


def test_with_an_slo_the_interval_is_one_of_replicas(trace):
    found, _ = ask(trace, slo="p95_ttft_ms=900,p95_tpot_ms=60")
    assert found["low80"]["replicas"] <= found["replicas"] <= found["high80"]["replicas"]
    below, _ = ask(trace, slo="p95_ttft_ms=135")
    assert below["high80"]["replicas"] is None
    assert "cannot keep" in below["high80"]["reason"]


def test_the_curve_says_what_fleets_of_other_sizes_serve_within_the_slo(trace):
    found, size = ask(trace, platform="nvidia-a10g", slo="p95_ttft_ms=900,p95_tpot_ms=80", curve="4, 1,2,32,1")
    curve = found["requests_per_s_within_slo"]
    assert list(curve) == ["1", "2", "4", "32"]
    rates = list(curve.values())
    assert 0 < rates[0] < rates[1] < rates[2] < rates[3]
    rate = (found["requests"] - 1) / np.ptp(read_stream(trace).arrival_s)
    asked = CapacityCurve((1, 2, 4, 32), tuple(rates)).replicas_for(rate)
    assert abs(int(asked) - size.slo_replicas) <= 1, "the same search from the other side"


@pytest.mark.parametrize(
    ("curve", "slo", "match"),
    [
        ("1,2", "", "give --slo too"),
        ("0,2", "p95_ttft_ms=900", "from 1 to"),
        ("two", "p95_ttft_ms=900", "from 1 to"),
        ("1,²", "p95_ttft_ms=900", "from 1 to"),
        ("20000", "p95_ttft_ms=900", "from 1 to"),
    ],
)
def test_curves_that_cannot_be_drawn_are_refused(trace, curve, slo, match):
    with pytest.raises(InputError, match=match):
        ask(trace, slo=slo, curve=curve)


def test_a_trace_that_fits_nowhere_says_that_nothing_was_served(tmp_path):
    path = write(tmp_path, "0,9000000,100\n1,8000000,50\n")
    found, _ = ask(path)
    assert (found["served"], found["failed"]) == (0, 2)
    assert found["ttft_ms"] == dict.fromkeys(("p50", "p90", "p95", "p99"))
    assert found["reason"].endswith("no request was served, so no latency is known")
    shown = CliRunner().invoke(app, ["simulate", str(path), "--model", MODEL, "--platform", CHIP]).output
    assert "ttft ms: not known" in shown


def test_steps_of_another_accelerator_do_not_speak(trace, tmp_path):
    path = tmp_path / "steps.csv"
    path.write_text(f"accelerator_id,{STEP_HEAD}nvidia-t4,{MODEL},bf16,1,8,500,0,900,2026-11-26\n")
    found, _ = ask(trace, precision="bf16", steps=path)
    assert found["tier"] != "measured steps"
    assert "no measured step is of 1 x" in found["reason"]


def test_milliseconds_in_the_column_of_seconds_are_refused(tmp_path):
    with pytest.raises(InputError, match="row 2, column 'arrival_s'.*milliseconds"):
        ask(write(tmp_path, "1760000000026,500,10\n1760000000226,500,10\n"))
    with pytest.raises(InputError, match="two years from the first to the last at most; are these milliseconds"):
        ask(write(tmp_path, "0,500,10\n86400000,500,10\n"))


@pytest.mark.parametrize(
    ("header", "said"),
    [("Arrival_S,Input_Tokens,Output_Tokens", "'arrival_s': is missing.*Did you mean 'Arrival_S'"),
     ("arrival_s,input_tokens,out", "'output_tokens': is missing")],
)  # fmt: skip
def test_a_plain_table_that_lacks_a_column_is_told_which(tmp_path, header, said):
    path = tmp_path / "plain.csv"
    path.write_text(f"{header}\n0,500,10\n")
    with pytest.raises(InputError, match=said):
        read_stream(path)


def test_a_limit_out_of_reach_at_one_end_names_the_platform(trace):
    floor = ask(trace, slo="p95_ttft_ms=1000")[0]["ttft_ms"]["p50"]
    found, _ = ask(trace, slo=f"p95_ttft_ms={floor * 1.2:.0f}")
    assert found["high80"]["replicas"] is None
    assert CHIP in found["high80"]["reason"]


def test_copies_of_the_cache_are_told_and_ranks_of_attention_keep_none(trace):
    asked = {"model": "DeepSeek-V3", "platform": "nvidia-h200-sxm", "tensor_parallel": 8}
    together, apart = ask(trace, **asked)[0], ask(trace, **asked, attention_ranks=8)[0]
    assert "lies on 8 accelerators 8 times over" in together["reason"]
    assert "times over" not in apart["reason"]
    # each rank reads attention weights of its own: that pays where many long contexts are held
    assert apart["tpot_ms"]["p50"] > together["tpot_ms"]["p50"]
    rows = ["0,20000,400"] * 32
    trace.write_text("\n".join(["arrival_s,input_tokens,output_tokens", *rows]) + "\n")
    together, apart = ask(trace, **asked)[0], ask(trace, **asked, attention_ranks=8)[0]
    assert apart["tpot_ms"]["p50"] < together["tpot_ms"]["p50"]


@pytest.mark.parametrize(("apart", "said"), [(10_000, True), (10_000.5, False), (10, False)])
def test_whole_seconds_that_stretch_few_requests_over_months_may_be_milliseconds(tmp_path, apart, said):
    _, remarks = read_noted_stream(write(tmp_path, "".join(f"{n * apart},10,10\n" for n in range(500))))
    assert [text.startswith("arrival_s holds whole numbers over 58 days, one") for text in remarks] == [True] * said
