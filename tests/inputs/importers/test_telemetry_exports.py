"""Langfuse, LiteLLM daily tables, OpenTelemetry metrics, OpenInference: worked by hand after their documentation."""

import csv
import gzip
import io
import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.telemetry import import_telemetry, read_telemetry
from aifactory.inputs.importers.telemetry.langfuse import token_counts

TODAY = pd.Timestamp("2026-11-24", tz="UTC")
TARGET = Target(region="us", today=TODAY)
PROMPT = "never-to-be-kept-4711"


def write(folder, text, name="export"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def texts(report):
    return " | ".join(item["text"] for item in report["warnings"])


# Langfuse


def call(number=1, **changed):
    """One generation as a row of `observations_v2/`."""
    return {
        "id": f"o{number}", "trace_id": "t1", "project_id": "p", "environment": "production", "type": "GENERATION", "parent_observation_id": "",
        "start_time": "2026-10-05 09:00:00.000000", "end_time": "2026-10-05 09:00:02.500000", "completion_start_time": "2026-10-05 09:00:00.250000",
        "name": "answer", "metadata": {"note": PROMPT}, "level": "DEFAULT", "status_message": PROMPT, "input": PROMPT, "output": PROMPT,
        "provided_model_name": "m", "model_parameters": "{}", "usage_details": {"input": 80, "input_cached_tokens": 20, "output": 30, "total": 130},
        "total_cost": 0.0125, "latency": 2500.0, "time_to_first_token": 250.0, "user_id": "jane@example.org", "session_id": "s1", "trace_name": "helpdesk",
        "tags": ["team:cx", "beta"], "updated_at": "2026-10-05 09:00:03.000000", "tool_calls": [PROMPT],
    } | changed  # fmt: skip


ROWS = [
    call(1),
    call(2, level="ERROR", completion_start_time=None, tags=[], usage_details={}),
    call(3, type="SPAN"),
    call(4, type="TOOL"),
    call(1, updated_at="2026-10-05 10:00:00.000000", usage_details={"input": 90, "output": 30, "total": 120}),
]


def camel(row):
    """The same row as the public API answers it."""
    names = {name: name.split("_")[0] + "".join(part.title() for part in name.split("_")[1:]) for name in row}
    times = {
        key: f"{value.replace(' ', 'T')[:-3]}Z"
        for key, value in row.items()
        if key.endswith(("_time", "_at")) and value
    }
    return {names[name]: value for name, value in (row | times).items()}


def as_csv(rows):
    text = io.StringIO()
    out = csv.DictWriter(text, list(rows[0]))
    out.writeheader()
    out.writerows(
        {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}
        for row in rows
    )
    return text.getvalue()


LAYOUTS = {
    "jsonl": lambda rows: "".join(json.dumps(row) + "\n" for row in rows),
    "jsonl.gz": lambda rows: gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()),
    "json": lambda rows: json.dumps(rows),
    "api": lambda rows: json.dumps({"data": [camel(row) for row in rows], "meta": {"page": 1}}),
    "csv": as_csv,
}


def parquet(rows):
    """The blob export's default: maps as pairs, times as text or stamps."""
    frame = pd.DataFrame(rows)
    for name in ("start_time", "end_time", "completion_start_time"):
        frame[name] = pd.to_datetime(frame[name])
    frame["usage_details"] = [list(item.items()) for item in frame["usage_details"]]
    frame["metadata"] = [json.dumps(item) for item in frame["metadata"]]
    import pyarrow as pa

    kind = pa.map_(pa.string(), pa.int64())
    table = pa.Table.from_pandas(frame.drop(columns="usage_details"), preserve_index=False)
    held = io.BytesIO()
    import pyarrow.parquet as pq

    pq.write_table(table.append_column("usage_details", pa.array(frame["usage_details"].tolist(), type=kind)), held)
    return held.getvalue()


def test_embeddings_are_a_workload_of_their_own(tmp_path):
    rows = [call(1), call(2, type="EMBEDDING", usage_details={"input": 500, "total": 500}, completion_start_time=None)]
    report, tables = import_telemetry(write(tmp_path, as_csv(rows)), TARGET)
    held = tables[0][1].set_index("use_case_id")
    assert held.loc["helpdesk-embedding", ["input_tokens", "output_tokens", "e2e_ms"]].tolist() == [500, 0, 2500.0]
    assert held.loc["helpdesk", "output_tokens"] == 30
    assert {"text": "embeddings, shown as workloads of their own (-embedding)", "rows": 1} in report["warnings"]
    assert report["rows_left_out"] == {} and not any("without token counts" in w["text"] for w in report["warnings"])


@pytest.mark.parametrize("layout", [*LAYOUTS, "parquet"])
def test_observations_in_every_layout(tmp_path, layout):
    make = LAYOUTS.get(layout, parquet)
    report, tables = import_telemetry(write(tmp_path, make(ROWS)), TARGET)
    rows = tables[0][1].set_index("request_id")
    assert report["format"] == "Langfuse observations"
    assert (report["rows_read"], report["rows_kept"]) == (5, 2)
    assert report["rows_left_out"] == {
        "observations of type SPAN, which are no model calls": 1, "observations of type TOOL, which are no model calls": 1, "observations exported again, older versions": 1,
    }  # fmt: skip
    assert rows.loc["o1", ["input_tokens", "output_tokens", "ttft_ms", "e2e_ms", "tenant", "session_id"]].tolist() == [
        90,
        30,
        250.0,
        2500.0,
        "cx",
        "s1",
    ]
    assert rows["status"].to_dict() == {"o1": "ok", "o2": "error"}
    assert rows["use_case_id"].tolist() == ["helpdesk", "helpdesk"]
    assert rows.loc["o2", "tenant"].startswith("user-")
    assert pd.isna(rows.loc["o2", "ttft_ms"])
    assert report["totals"]["input_tokens"] == 90
    assert report["totals"]["spend_usd"] == "0.0250"


@pytest.mark.parametrize("layout", [*LAYOUTS, "parquet"])
def test_neither_prompts_nor_users_are_kept_anywhere(tmp_path, mini, layout):
    (mini / "demand_windows.csv").unlink()
    make = LAYOUTS.get(layout, parquet)
    rows = [row | {"tags": ["use_case:chat"]} for row in ROWS]
    report = import_files("telemetry", [write(tmp_path, make(rows))], mini, TARGET)
    written = b"".join(path.read_bytes() for path in mini.rglob("*") if path.is_file())
    stored = pd.read_parquet(mini / "requests.parquet").to_csv()
    for held in (PROMPT, "jane@example.org"):
        assert held not in json.dumps(report) + stored
        assert held.encode() not in written


def test_a_fault_of_an_observation_is_told_with_its_place(tmp_path):
    bad = [call(1), call(2, type="SPAN", start_time="never"), call(3, start_time="2026-13-05 09:00:00")]
    with pytest.raises(InputError, match=r"export, row 4, column 'start_time': value '2026-13-05") as caught:
        import_telemetry(write(tmp_path, LAYOUTS["csv"](bad)), TARGET)
    assert "never" not in str(caught.value)  # a span is not read
    with pytest.raises(InputError, match="name no region"):
        import_telemetry(write(tmp_path, LAYOUTS["csv"](ROWS)), Target(today=TODAY))
    with pytest.raises(InputError, match="neither of calls nor of Langfuse observations"):
        import_telemetry(write(tmp_path, '[{"a": 1}]'), TARGET)


def test_environments_and_backward_times_are_named(tmp_path):
    rows = [call(1), call(2, environment="staging"), call(3, end_time="2026-10-05 08:59:00.000000")]
    report, tables = import_telemetry(write(tmp_path, LAYOUTS["json"](rows)), TARGET)
    assert "calls of several environments: production 2, staging 1" in texts(report)
    assert "calls that end before they start" in texts(report)
    assert tables[0][1]["e2e_ms"].isna().sum() == 1


@settings(max_examples=100)
@given(*[st.integers(0, 10**6)] * 4)
def test_categories_add_up_or_lie_within_as_their_total_says(fresh, cached, plain, reasoning):
    usage = {"input": fresh, "input_cached_tokens": cached, "output": plain, "output_reasoning_tokens": reasoning}
    apart = token_counts(usage | {"total": fresh + cached + plain + reasoning})
    assert (apart["input_tokens"], apart["output_tokens"]) == (fresh + cached, plain + reasoning)
    within = token_counts(
        {
            "input": fresh + cached,
            "input_cached_tokens": cached,
            "output": plain + reasoning,
            "output_reasoning_tokens": reasoning,
            "total": fresh + cached + plain + reasoning,
        }
    )
    assert (within["input_tokens"], within["output_tokens"]) == (fresh + cached, plain + reasoning)
    assert apart["cached_input_tokens"] == within["cached_input_tokens"] == cached


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, (None, None, None)),
        ({"promptTokens": 5, "completionTokens": 2, "totalTokens": 7}, (5, None, 2)),
        ({"input": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 10, "output": 2}, (115, 100, 2)),
        ({"input": "many", "output": -3}, (None, None, None)),
        ({"input": 1e300, "output": 2.5}, (None, None, None)),
    ],
)
def test_token_counts_of_other_layouts(usage, expected):
    assert tuple(token_counts(usage).values()) == expected


# LiteLLM daily tables

HEAD = "id,{key},date,api_key,model,model_group,custom_llm_provider,mcp_namespaced_tool_name,prompt_tokens,completion_tokens,cache_read_input_tokens,cache_creation_input_tokens,spend,api_requests,successful_requests,failed_requests\n"


def daily(key, *rows):
    return HEAD.format(key=key) + "".join(f"{number},{row}\n" for number, row in enumerate(rows))


TEAM = daily(
    "team_id",
    "cx,2026-10-05,k1,gpt,gpt-group,openai,,1000,200,400,0,0.10,10,9,1",
    "cx,2026-10-05,k2,gpt,gpt-group,openai,,500,100,0,0,0.05,5,5,0",
    "legal,2026-10-06,k1,opus,,anthropic,,7,3,0,0,1e-05,1,1,0",
    "legal,2026-10-06,k1,,,,search,0,0,0,0,0,4,4,0",
)


def test_a_daily_table_by_hand(tmp_path):
    report, [(name, windows, _)] = import_telemetry(write(tmp_path, TEAM), TARGET)
    assert (name, report["format"], set(windows["window_minutes"])) == (
        "demand_windows",
        "LiteLLM daily spend by Team",
        {1440},
    )
    cx = windows[windows["use_case_id"] == "cx"].iloc[0]
    assert cx[
        ["requests", "errors", "service_units", "input_tokens", "cached_input_tokens", "output_tokens"]
    ].tolist() == [15, 1, 14.0, 1500, 400, 300]
    assert report["totals"]["spend_usd"] == "0.15001"
    assert report["by"]["key"] == {"cx": "0.15", "legal": "0.00001"}
    assert report["rows_left_out"] == {"calls of tools (MCP), which are no model calls": 1}
    assert "no latency, no peak within the day" in texts(report)
    assert "count the same calls: import one of them" in texts(report)


def test_tags_overlap_so_only_those_that_name_the_use_case_count(tmp_path):
    row = "2026-10-05,k1,gpt,g,openai,,1000,200,0,0,0.10,10,10,0"
    path = write(tmp_path, daily("tag", f"use_case:chat,{row}", f"beta,{row}", f"User-Agent: x,{row}"))
    report, [(_, windows, _)] = import_telemetry(path, TARGET)
    assert windows[["use_case_id", "requests"]].to_numpy().tolist() == [["chat", 10]]
    assert list(report["rows_left_out"].values()) == [2]
    with pytest.raises(InputError, match="tags overlap, so they cannot be added up"):
        import_telemetry(write(tmp_path, daily("tag", f"beta,{row}")), TARGET)


def test_views_of_the_same_calls_are_never_added_up(tmp_path, mini):
    user = daily("user_id", "u1,2026-10-05,k1,gpt,gpt-group,openai,,1500,300,400,0,0.15,15,14,1")
    files = [write(tmp_path, TEAM, "team.csv"), write(tmp_path, user, "user.csv")]
    with pytest.raises(InputError, match="value 'Team, User': User, Team, Tag.* count the same calls"):
        import_files("telemetry", files, mini, TARGET)
    (mini / "demand_windows.csv").unlink()
    import_files("telemetry", files[:1], mini, TARGET)
    with pytest.raises(InputError, match=r"already holds 1 daily windows of these days under other use cases \(cx\)"):
        import_files("telemetry", files[1:], mini, TARGET)
    report = import_files("telemetry", files[:1], mini, TARGET, replace=True)[0]  # the same table again
    assert report["written"] == "demand_windows.parquet"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEAM.replace(",1000,", ",-1000,"), "row 2, column 'prompt_tokens': value '-1000': must be 0 or more"),
        (TEAM.replace("2026-10-06", "06.10.2026"), "row 4, column 'date': value '06.10.2026': must be a date"),
        (TEAM.replace("team_id", "user"), "must hold the key of one daily table"),
        (TEAM.replace(",10,9,1", ",ten,9,1"), "row 2, column 'api_requests': value 'ten'"),
    ],
)
def test_a_daily_table_that_cannot_be_read(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        import_telemetry(write(tmp_path, text), TARGET)


def test_odd_daily_rows_are_named(tmp_path):
    path = write(tmp_path, daily("team_id", "cx,2026-10-05,k1,gpt,g,openai,,100,20,400,0,0.10,10,7,1"))
    report, [(_, windows, _)] = import_telemetry(path, TARGET)
    assert pd.isna(windows["cached_input_tokens"][0])
    for words in ("do not add up to all of them", "more cached than prompt tokens"):
        assert words in texts(report)


def test_metrics_may_be_marked_as_unicode_but_lines_are_not_read_in_utf_16(tmp_path):
    text = otlp(metric(DURATION, [point(0, 3600, [1, 1], [1.0])]))
    marked, _ = import_telemetry(write(tmp_path, text.encode("utf-8-sig")), TARGET)
    assert marked["totals"]["requests"] == 2
    with pytest.raises(InputError, match="row 1: is in UTF-16.*save it as UTF-8"):
        import_telemetry(write(tmp_path, text.encode("utf-16")), TARGET)


def test_days_after_the_import_are_left_out(tmp_path):
    text = TEAM + "9,cx,2026-11-25,k1,gpt,g,openai,,1,1,0,0,0.01,1,1,0\n"
    report, [(_, windows, _)] = import_telemetry(write(tmp_path, text), TARGET)
    assert report["rows_left_out"]["after the day of import"] == 1
    assert windows["window_start_utc"].max() == pd.Timestamp("2026-10-06", tz="UTC")
    late = Target(region="us", today=pd.Timestamp("2026-09-30", tz="UTC"))
    found, tables = import_telemetry(write(tmp_path, otlp(metric(DURATION, [point(0, 7200, [1, 1], [1.0])]))), late)
    assert tables == []
    assert "windows after the day of import, left out" in texts(found)


# accelerators

SMI = """timestamp, uuid, name, utilization.gpu [%], power.draw [W]
2026/10/05 09:00:00.000, GPU-1, NVIDIA L4, 40 %, 60.5 W
2026/10/05 09:00:00.000, GPU-2, NVIDIA L4, 80 %, 70 W
2026/10/05 09:30:00.000, GPU-1, NVIDIA L4, 60 %, 61.5 W
2026/10/05 10:30:00.000, GPU-2, NVIDIA L4, [N/A], [N/A]
2026/10/05 10:30:00.000, GPU-1, NVIDIA L4, 10 %, 30 W
"""
POOL = Target(
    region="us",
    today=TODAY,
    pools={"*": "edge"},
    accelerators={"NVIDIA L4": "nvidia-l4"},
    purchase_options={"edge": "purchase"},
)


def test_a_log_of_nvidia_smi_becomes_a_pool(tmp_path):
    report, [(name, pools, _)] = import_telemetry(write(tmp_path, SMI), POOL)
    assert (name, report["format"]) == ("pools", "samples of accelerators")
    columns = ["pool_id", "accelerator_id", "installed", "utilization", "power_w"]
    assert pools[columns].to_numpy().tolist() == [
        ["edge", "nvidia-l4", 2.0, 0.65, 131.0],
        ["edge", "nvidia-l4", 1.0, 0.1, 30.0],
    ]
    assert "samples without a utilisation, left out" in texts(report)
    assert "times without a zone were read as UTC" in texts(report)


@pytest.mark.parametrize(
    ("model", "chip"),
    [
        ("NVIDIA L4", "nvidia-l4"),
        ("NVIDIA A100-SXM4-40GB", "nvidia-a100-40-sxm"),
        ("NVIDIA H100 PCIe", "nvidia-h100-pcie"),
        ("NVIDIA A100X", None),
        ("NVIDIA H100 PCIe MIG 1g.10gb", None),
    ],
)
def test_a_device_is_known_by_its_whole_name_only(tmp_path, model, chip):
    plain = Target(region="us", today=TODAY, pools={"*": "edge"}, purchase_options={"*": "purchase"})
    report, tables = import_telemetry(write(tmp_path, SMI.replace("NVIDIA L4", model)), plain)
    assert [set(rows["accelerator_id"]) for _, rows, _ in tables] == ([{chip}] if chip else [])
    asked = (
        f"devices known by their name: {model} is {chip}"
        if chip
        else f"devices without accelerator id.*accelerators: {{{model}"
    )
    assert asked.split(".*")[0] in texts(report)
    assert report["pools"]["edge"]["devices"] == 2


def test_seconds_and_fractions_by_the_mapping(tmp_path):
    text = "value,at,ip\n0.5,1790812800.0,a\n0.7,1790812860.0,a\n"
    target = Target(region="us", today=TODAY, accelerator="nvidia-l4", columns={"utilization": "value", "timestamp": "at", "device": "ip"},
                    pools={"*": "p"}, purchase_options={"*": "spot"})  # fmt: skip
    _, [(_, pools, _)] = import_telemetry(write(tmp_path, text), target)
    assert pools[["utilization", "installed", "purchase_option"]].to_numpy().tolist() == [[0.6, 1.0, "spot"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SMI.replace("40 %", "140 %"), r"row 2, column 'utilization.gpu \[%\]'.*must be at most 100"),
        (SMI.replace("40 %", "-4 %"), "row 2.*must be 0 or more"),
        (SMI.replace("2026/10/05 09:30:00.000", "5 October"), "row 4, column 'timestamp': value '5 October'"),
        (
            "ts,device,utilization\n2026-10-05T09:00:00Z,a,45\n",
            "row 2, column 'utilization': value '45': must be at most 1 .a fraction; is it a percentage",
        ),
    ],
)
def test_samples_that_cannot_be(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        import_telemetry(write(tmp_path, text), POOL)


@pytest.mark.real
def test_a_duty_cycle_becomes_a_pool_when_the_analyst_says_what_it_is(shared_dir):
    path = shared_dir / "data/traces/gentd26_pod_gpu_duty_cycle_anon_first70pct.csv.gz"
    target = Target(region="eu", today=TODAY, accelerator="nvidia-a10", columns={"utilization_percent": "value", "timestamp": "timestamp_anon", "device": "container_ip"},
                    pools={"*": "images"}, purchase_options={"*": "on_demand"})  # fmt: skip
    _, [(_, pools, _)] = import_telemetry(path, target)
    raw = pd.read_csv(path)
    hours = raw.assign(hour=pd.to_datetime(raw["timestamp_anon"], unit="s", utc=True).dt.floor("h"))
    exact = hours.groupby(["hour", "container_ip"])["value"].mean().groupby("hour").agg(["mean", "size"])
    assert pools["utilization"].tolist() == pytest.approx((exact["mean"] / 100).tolist(), abs=1e-8)
    assert pools["installed"].tolist() == exact["size"].tolist()


# OpenTelemetry metrics


def metric(name, points, temporality=2):
    return {"name": name, "histogram": {"aggregationTemporality": temporality, "dataPoints": points}}


def point(start_s, end_s, buckets, bounds, total=0.0, **attributes):
    base = 1_790_812_800
    held = [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in attributes.items()]
    return {"startTimeUnixNano": str((base + start_s) * 10**9), "timeUnixNano": str((base + end_s) * 10**9), "count": str(sum(buckets)), "sum": total,
            "bucketCounts": [str(item) for item in buckets], "explicitBounds": bounds, "attributes": held}  # fmt: skip


def otlp(*metrics, service="bot"):
    attributes = [
        {"key": "service.name", "value": {"stringValue": service}},
        {"key": "cloud.region", "value": {"stringValue": "eu"}},
    ]
    return (
        json.dumps(
            {
                "resourceMetrics": [
                    {"resource": {"attributes": attributes}, "scopeMetrics": [{"metrics": list(metrics)}]}
                ]
            }
        )
        + "\n"
    )


DURATION, TOKENS = "gen_ai.client.operation.duration", "gen_ai.client.token.usage"


def test_cumulative_metrics_across_a_restart(tmp_path):
    text = (
        otlp(
            metric(DURATION, [point(0, 3600, [3, 1], [1.0])]),
            metric(TOKENS, [point(0, 3600, [4], [], 100.0, **{"gen_ai.token.type": "input"})]),
        )
        + otlp(metric(DURATION, [point(0, 7200, [5, 5], [1.0]), point(0, 7200, [1, 1], [1.0], error__type="timeout")]))
        + otlp(
            metric(DURATION, [point(7500, 10800, [2, 0], [1.0])]),
            metric(TOKENS, [point(7500, 10800, [2], [], 7.0, **{"gen_ai.token.type": "output"})]),
        )
    )
    report, [(_, windows, _), (bounds, _, _)] = import_telemetry(write(tmp_path, text), TARGET)
    assert bounds == "latency_bounds"
    bot = report["workloads"]["bot"]
    assert (bot["requests"], bot["errors"], bot["input_tokens"], bot["output_tokens"]) == (14, 2, 100, 7)
    assert windows["requests"].tolist() == [5, 7, 2]  # the failed ones came evenly over their two hours
    assert bot["e2e_ms"]["p50"] == [0.0, 1000.0]
    assert bot["e2e_ms"]["p99"] == [1000.0, None]


def test_delta_metrics_add_up(tmp_path):
    text = otlp(metric(DURATION, [point(0, 3600, [3, 1], [1.0]), point(3600, 7200, [5, 5], [1.0])], temporality=1))
    _, [(_, windows, _), _] = import_telemetry(write(tmp_path, text), TARGET)
    assert windows["requests"].tolist() == [4, 10]
    report, [(_, windows, _), _] = import_telemetry(write(tmp_path, text + text, "twice"), TARGET)
    assert windows["requests"].tolist() == [4, 10]
    assert "exported twice count once" in texts(report)
    other = {"name": TOKENS, "exponentialHistogram": {"dataPoints": [{}, {}]}}
    report, _ = import_telemetry(write(tmp_path, text + otlp(other), "mixed"), TARGET)
    assert ("data points of exponential histograms are not read", 2) in [
        (item["text"], item["rows"]) for item in report["warnings"]
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (otlp(metric("http.server.duration", [point(0, 60, [1], [])])), "holds no histogram of GenAI"),
        (otlp(metric(DURATION, [point(0, 60, [1, 2, 3], [1.0])])), "row 1: a data point of gen_ai.client.operation.duration: buckets must be one more"),
        (otlp(metric(DURATION, [point(0, 60, [1, -2], [1.0])])), "add up to the count"),
        (otlp(metric(DURATION, [point(60, 0, [1, 2], [1.0])])), "end after they start"),
        (otlp(metric(DURATION, [point(0, 60, [1, 2], [1.0]) | {"count": "x"}])), "row 1: a data point of .* cannot be read"),
        (otlp(metric(DURATION, [point(0, 60, [1, 2], [1.0]), point(0, 120, [1, 2, 3], [1.0, 2.0])])), "changes its buckets"),
        ('{"resourceMetrics": [{"resource": 5}]}\n', "row 1: is not OTLP/JSON"),
        ('{"resourceMetrics": [', "row 1: is not JSON"),
    ],
)  # fmt: skip
def test_metrics_that_cannot_be_read(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        import_telemetry(write(tmp_path, text), TARGET)


@pytest.mark.real
def test_real_metrics_equal_the_truth_of_their_spans(shared_dir):
    folder = shared_dir / "data/telemetry/otel_genai_2026_10"
    truth = json.loads((folder / "truth.json").read_text())
    report, _ = import_telemetry(folder / "metrics.otlp.jsonl.gz", TARGET)
    for name, exact in truth.items():
        mine = report["workloads"][name]
        assert (mine["requests"], mine["errors"]) == (exact["spans"], exact["errors"])
        assert (mine["input_tokens"], mine["output_tokens"]) == (exact["input_tokens"], exact["output_tokens"])
    spans = read_telemetry(folder / "traces.otlp.jsonl.gz", TODAY).rows
    for name, group in spans.groupby("use_case_id"):
        for q, level in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            low, high = report["workloads"][name]["e2e_ms"][q]
            assert low <= group["e2e_ms"].quantile(level, interpolation="lower") <= high


# OpenInference and spans around calls


def span(number, **attributes):
    held = [
        {"key": key.replace("__", "."), "value": {"intValue" if isinstance(value, int) else "stringValue": value}}
        for key, value in attributes.items()
    ]
    return {
        "traceId": "t",
        "spanId": str(number),
        "startTimeUnixNano": "1790812800000000000",
        "endTimeUnixNano": "1790812801500000000",
        "attributes": held,
        "status": {},
    }


def spans(*held):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "chat"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(held)}]}]}) + "\n"


def test_openinference_counts_calls_of_models_only(tmp_path):
    tokens = {
        "llm__token_count__prompt": 100,
        "llm__token_count__completion": 20,
        "llm__token_count__prompt_details__cache_read": 40,
        "llm__model_name": "m",
    }
    text = spans(
        span(1, openinference__span__kind="LLM", input__value=PROMPT, **tokens),
        span(2, openinference__span__kind="CHAIN", **tokens),
        span(3, openinference__span__kind="AGENT", **tokens),
        span(1, openinference__span__kind="LLM", **tokens),
    )
    found = read_telemetry(write(tmp_path, text), TODAY, region="us")
    assert found.rows[["input_tokens", "output_tokens", "cached_input_tokens"]].to_numpy().tolist() == [[100, 20, 40]]
    assert found.left_out == {"spans that are no GenAI call": 2, "spans that were exported twice": 1}
    assert PROMPT not in found.rows.to_csv()


def test_an_agent_around_its_calls_is_not_counted_again(tmp_path):
    usage = {"gen_ai__usage__input_tokens": 10, "gen_ai__usage__output_tokens": 5}
    text = spans(
        span(1, gen_ai__operation__name="invoke_agent", **usage), span(2, gen_ai__operation__name="chat", **usage), span(3, gen_ai__operation__name="execute_tool")
    )  # fmt: skip
    found = read_telemetry(write(tmp_path, text), TODAY, region="us")
    assert found.rows["input_tokens"].tolist() == [10]
    assert (found.rows_read, found.left_out) == (3, {"spans that are no GenAI call": 2})


def test_a_span_that_cannot_be_is_refused(tmp_path):
    backward = span(1, gen_ai__operation__name="chat") | {"endTimeUnixNano": "1"}
    with pytest.raises(InputError, match="row 1: value '1': a span ends before it starts"):
        read_telemetry(write(tmp_path, spans(backward)), TODAY, region="us")
    with pytest.raises(InputError, match="counts below zero"):
        read_telemetry(
            write(tmp_path, spans(span(1, gen_ai__operation__name="chat", gen_ai__usage__input_tokens=-5))),
            TODAY,
            region="us",
        )


HOSTS = "timestamp,{},modelName\n" + "".join(
    f"2026-10-05T09:{minute}:00Z,{host},{device},{10 * device + minute},L4\n" for host in ("a", "b") for device in (0, 1)
    for minute in (10, 40)
)  # fmt: skip


@pytest.mark.parametrize("columns", ["Hostname,gpu,DCGM_FI_DEV_GPU_UTIL", "node,index,utilization.gpu [%]"])
def test_devices_that_each_host_counts_from_zero_are_told_apart_by_their_host(tmp_path, columns):
    path = tmp_path / "devices.csv"
    path.write_text(HOSTS.format(columns))
    report, tables = import_telemetry(path, Target(region="us", today=TODAY, purchase_options={"*": "on_demand"}))
    assert [item["devices"] for item in report["pools"].values()] == [4]
    (_, pools, _) = tables[0]
    assert pools[["installed", "utilization"]].to_numpy().tolist() == [[4.0, 0.3]]


def test_devices_of_several_hosts_without_a_name_of_the_host_are_refused(tmp_path):
    path = tmp_path / "devices.csv"
    rows = [line.split(",") for line in HOSTS.format("Hostname,gpu,gpu_util_percent").splitlines()]
    path.write_text("\n".join(",".join([row[0], *row[2:]]) for row in rows) + "\n")
    import_telemetry(path, Target(region="us", today=TODAY))  # the same twice
    path.write_text(path.read_text().replace("10,L4", "11,L4", 1))
    with pytest.raises(
        InputError, match=r"row 6, column 'gpu': value '0': has another sample at 2026-10-05 09:10:00: .* column host"
    ):
        import_telemetry(path, Target(region="us", today=TODAY))


def read_hosts(tmp_path, *lines, columns="Hostname,gpu,DCGM_FI_DEV_GPU_UTIL,modelName"):
    path = tmp_path / "devices.csv"
    path.write_text("\n".join([f"timestamp,{columns}", *lines]) + "\n")
    return import_telemetry(path, Target(region="us", today=TODAY, purchase_options={"*": "on_demand"}))[0]["pools"]


def test_devices_saved_as_decimals_are_told_apart_too(tmp_path):
    lines = [
        f"2026-10-05T09:10:00Z,{host},{device}.0,{use},L4" for host, use in (("a", 10), ("b", 30)) for device in (0, 1)
    ]
    assert [pool["devices"] for pool in read_hosts(tmp_path, *lines).values()] == [4]


def test_rows_without_their_host_are_not_merged_in_silence(tmp_path):
    lines = ["2026-10-05T09:10:00Z,a,0,10,L4", "2026-10-05T09:10:00Z,,0,20,L4", "2026-10-05T09:10:00Z,,0,30,L4"]
    with pytest.raises(InputError, match="several hosts"):
        read_hosts(tmp_path, *lines)
