"""Traces of others: small ones worked by hand, every shared file read or refused, totals against pandas."""

import gzip
import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.traces import detect_trace, import_trace, read_request_trace
from aifactory.inputs.importers.traces.reuse import leading_hits
from aifactory.inputs.importers.traces.windows import pmf_mean
from aifactory.inputs.tables import bound_problems
from aifactory.inputs.workspace import load_workspace

TARGET = Target("chat", "us", "2026-10-05", "nvidia-l4")
DAY = pd.Timestamp("2026-10-05", tz="UTC")
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,10,0,10,API log\n"
BURST_3 = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n2.5,s1,1.25,GPT-4,7,3,10,Conversation log\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"


def write(folder, text, name="trace.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def mooncake(folder, *rows):
    lines = [dict(zip(("timestamp", "input_length", "output_length", "hash_ids"), row, strict=True)) for row in rows]
    return write(folder, "".join(json.dumps(line) + "\n" for line in lines), "trace.jsonl")


def archive(folder, **files):
    path = folder / "trace.tar.gz"
    with tarfile.open(path, "w:gz") as held:
        for name, content in files.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            held.addfile(item, io.BytesIO(content))
    return path


def texts(report):
    return " | ".join(item["text"] for item in report["warnings"])


def test_burstgpt_by_hand(tmp_path):
    report, table, rows = import_trace(write(tmp_path, BURST), TARGET)
    assert (table, rows["timestamp_utc"].tolist()) == ("requests", [DAY + pd.Timedelta(s, "s") for s in (5, 45)])
    assert rows["status"].tolist() == ["ok", "error"]
    assert report["totals"] == {
        "requests": 2,
        "errors": 1,
        "input_tokens": 482,
        "output_tokens": 18,
        "cached_tokens": None,
    }
    assert "no response tokens: counted as failed" in texts(report)
    assert "ChatGPT 1, GPT-4 1" in texts(report)


def test_burstgpt_of_version_three_has_sessions_and_times(tmp_path):
    _, _, rows = import_trace(write(tmp_path, BURST_3), TARGET)
    assert rows.loc[0, ["session_id", "e2e_ms"]].tolist() == ["s1", 1250.0]


def test_azure_of_2024_has_a_zone(tmp_path):
    path = write(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n")
    report, _, rows = import_trace(path, TARGET)
    assert rows["timestamp_utc"][0].strftime("%A %H:%M") == "Friday 00:00"
    assert "without a zone" not in texts(report)


def test_mooncake_by_hand(tmp_path):
    path = mooncake(tmp_path, (3000, 1100, 7, [1, 2, 9]), (0, 1024, 5, [1, 2]), (500, 100, 6, [1]))
    replay = read_request_trace(path)
    assert replay["arrival_s"].tolist() == [0.0, 0.5, 3.0]
    assert replay["cached_input_tokens"].tolist() == [0, 100, 1024]  # a block is 512 tokens, a prompt may be shorter
    assert replay["output_tokens"].tolist() == [5, 6, 7]
    assert (replay["session_id"] == "").all()


@settings(max_examples=80)
@given(st.lists(st.lists(st.integers(0, 8), max_size=6), max_size=20))
def test_reuse_against_a_slow_reading(blocks):
    expected = []
    for number, ids in enumerate(blocks):
        before = [block for earlier in blocks[:number] for block in earlier]
        length = 0
        while length < len(ids) and ids[length] in before:
            length += 1
        expected.append(length)
    assert leading_hits(blocks).tolist() == expected


def test_a_call_of_a_sub_agent_is_no_request_and_its_times_follow_the_call(tmp_path):
    rows = "s,main,0,0,n,10,1,1,0\ns,main,1,100,subagent,,,,0\ns,main/1,0,0,n,20,2,1,0\ns,main/1,1,5,n,30,3,1,1\n"
    path = write(tmp_path, "session,agent,idx,t,type,in,out,api_time,prefix_hit_blocks\n" + rows)
    replay = read_request_trace(path)
    assert replay["arrival_s"].tolist() == [0.0, 100.0, 105.0]
    assert replay.attrs["left_out"] == {"calls of sub-agents, which are no requests": 1}
    assert replay["cached_input_tokens"].tolist() == [0, 0, 30]


def test_pods_by_hand(tmp_path):
    rows = (
        "a,1,1,2,1000,,BE,Succeeded,0,7200,3600\nb,1,1,1,500,,LS,Running,10,9000,10\nc,1,1,0,0,,BE,Failed,0,5,1\n"
        "d,1,1,1,1000,V100M16,BE,Pending,20,30,\ne,1,1,8,1000,,BE,Running,100,3700,100\n"
    )
    report, table, jobs = import_trace(write(tmp_path, PODS + rows), TARGET)
    assert table == "jobs"
    assert jobs["accelerators"].tolist() == [2.0, 0.5, 1.0, 8.0]
    assert jobs["status"].tolist() == ["completed", "running", "unknown", "unknown"]
    assert jobs["started_utc"].isna().tolist() == [False, False, True, False]
    assert report["totals"] == {"jobs": 4, "accelerator_hours": 2 * 1.0 + 8 * 1.0}
    assert report["rows_left_out"] == {"jobs without an accelerator": 1}
    assert {"text": "jobs without an end: their hours are not counted", "rows": 2} in report["warnings"]
    assert "latency-sensitive pods" in texts(report)
    assert "gpu_spec allows certain cards" in texts(report)


def servegen(folder, **extra):
    files = {
        "data/language/big/chunk-0-trace.csv": b"0,0.5,1,Gamma,1,1\n600,0,0,,0,0\n21600,1,1,Gamma,1,1\n",
        "data/language/big/chunk-0-dataset.json": json.dumps(
            {"0": {"input_tokens": "{10: 0.5, 30: 0.5}", "output_tokens": "{4: 1.0}"}, "21600": {"input_tokens": "{100: 1}", "output_tokens": "{2: 1}"}}
        ).encode(),
        "data/language/big/chunk-1-trace.csv": b"0,0.1,1,Gamma,1,1\n",
        "data/language/big/chunk-1-dataset.json": json.dumps({"0": {"input_tokens": "{5: 1}", "output_tokens": "{1: 1}"}}).encode(),
    }  # fmt: skip
    return archive(folder, **(files | extra))


def test_servegen_by_hand(tmp_path):
    report, table, rows = import_trace(servegen(tmp_path), TARGET)
    assert table == "demand_windows"
    assert rows["requests"].tolist() == [300 + 60, 0, 600]
    assert rows["input_tokens"].tolist() == [300 * 20 + 60 * 5, 0, 600 * 100]
    assert rows["output_tokens"].tolist() == [300 * 4 + 60, 0, 600 * 2]
    assert rows["window_start_utc"].tolist() == [DAY, DAY + pd.Timedelta(minutes=10), DAY + pd.Timedelta(hours=6)]
    assert set(rows["window_minutes"]) == {10}
    assert report["totals"]["requests"] == 960


def test_a_folder_reads_like_its_archive(tmp_path):
    path = servegen(tmp_path)
    with tarfile.open(path) as held:
        held.extractall(tmp_path / "folder", filter="data")
    pd.testing.assert_frame_equal(import_trace(path, TARGET)[2], import_trace(tmp_path / "folder", TARGET)[2])


def test_a_client_without_lengths_leaves_tokens_unknown(tmp_path):
    path = servegen(tmp_path, **{"data/language/big/chunk-2-trace.csv": b"0,0.01,1,Gamma,1,1\n"})
    report, _, rows = import_trace(path, TARGET)
    assert rows["requests"][0] == 366
    assert rows["input_tokens"].isna().tolist() == [True, False, False]
    assert "clients without token distributions" in texts(report)


def test_models_become_use_cases_by_the_mapping(tmp_path):
    path = servegen(tmp_path, **{"data/language/small/chunk-9-trace.csv": b"0,0.01,1,Gamma,1,1\n"})
    pooled, _, rows = import_trace(path, TARGET)
    assert "big, small are added up in the use case chat" in texts(pooled)
    split, _, _ = import_trace(path, Target("chat", "us", "2026-10-05", use_cases={"small": "code"}))
    assert {name: figures["requests"] for name, figures in split["workloads"].items()} == {"chat": 960, "code": 6}
    assert rows["requests"].sum() == 966


@settings(max_examples=50)
@given(st.dictionaries(st.integers(0, 10_000), st.integers(1, 100), min_size=1, max_size=30))
def test_the_mean_of_a_distribution(weights):
    total = sum(weights.values())
    text = str({value: weight / total for value, weight in weights.items()})
    assert pmf_mean("f", text) == pytest.approx(np.average(list(weights), weights=list(weights.values())))


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "{1: 0.5, 'a': 0.5}",
        "{1: 0.2}",
        "{1: nan}",
        "{-1: 1.0}",
        "{1: {2: 3}}",
        "[1]",
        "",
    ],
)
def test_a_distribution_that_is_none_is_refused_and_never_run(text):
    with pytest.raises(InputError):
        pmf_mean("f", text)


def test_a_series_by_hand(tmp_path):
    path = write(
        tmp_path, "ds,y\n2026-10-05T02:00:00,7\n2026-10-05T00:00:00,5\n2026-10-05T05:00:00,0\n2026-10-05T01:00:00,6\n"
    )
    report, table, rows = import_trace(path, TARGET)
    assert (table, rows["requests"].tolist(), set(rows["window_minutes"])) == ("demand_windows", [5, 6, 7, 0], {60})
    assert {"text": "windows of 60 min that the series leaves out stay unknown", "rows": 2} in report["warnings"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "ds,y\n2026-10-05,8.5\n2026-10-06,9.1\n", "row 2, column 'y': value '8.5': must be a whole number of requests"),
        ("a.csv", "ds,y\n2026-10-05,8\n2026-10-12,9\n", "step between times must be whole minutes, at most a day"),
        ("a.csv", "ds,y\n2026-10-05,8\n2026-10-05,9\n", "row 3, column 'ds': value '2026-10-05': must be a time that is given once"),
        ("a.csv", "ds,y\n2026-10-05T00:00Z,8\n2026-10-05T01:00,9\n", "row 3, column 'ds'.*with a zone in every row or in none"),
        ("a.csv", "ds,y\n2026-10-05,-1\n2026-10-06,9\n", "row 2, column 'y': value '-1.0': must be 0 or more"),
        ("a.csv", "ds,y\n", "a.csv: holds a header and no rows"),
        ("a.csv", BURST.replace("472", "-4"), "row 2, column 'Request tokens': value '-4': must be 0 or more"),
        ("a.csv", BURST.replace("472", "many"), "row 2, column 'Request tokens': value 'many'"),
        ("a.csv", BURST.replace("472", "9" * 30), "row 2, column 'Request tokens'.*at most 18 digits"),
        ("a.csv", "alpha,beta\n1,2\n", "fits no known trace, and no column says when something happened"),
        ("a.csv", "", "a.csv, row 1: is empty"),
        ("a.csv", "time,beta\n1,2\n", "the header fits no known trace"),
        ("a.csv", "week_ending,slug,total_tokens,request_count\n1,2,3,4\n", "spreading a week would invent a profile"),
        ("a.jsonl", '{"timestamp": "x", "input_length": 1, "output_length": 1}\n', "row 1, column 'timestamp': value 'x': must be a number"),
        ("a.jsonl", '{"timestamp": 1, "input_length": 1.5, "output_length": 1}\n', "row 1, column 'input_length': value '1.5': must be a whole"),
        ("a.jsonl", '{"timestamp": 1, "input_length": 1, "output_length": true}\n', "column 'output_length': value 'True'"),
        ("a.jsonl", '{"timestamp": NaN, "input_length": 1, "output_length": 1}\n', "column 'timestamp': value 'nan'"),
        ("a.jsonl", '{"timestamp": 1, "input_length": 1, "output_length": 1}\n{"timest', "row 2: is not JSON"),
        ("a.jsonl", '{"timestamp": 1, "input_length": 1, "output_length": 1, "hash_ids": 5}\n', "column 'hash_ids'"),
        ("a.jsonl", '{"a": ' + "[" * 100_000 + "\n", "row 1: is n"),
        ("a.jsonl", '{"prompt": "x"}\n', "the first line fits no known trace"),
        ("a.json", '[{"timestamp": 1}]', "holds JSON; a trace is CSV"),
        ("a.zip", "PK\x03\x04\x14", "holds a ZIP archive or spreadsheet; a trace is CSV"),
        ("a.html", "<html>", "holds HTML"),
        ("a.bin", "a,b\0c", "is no text"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, name, text, words):
    with pytest.raises(InputError, match=words):
        import_trace(write(tmp_path, text, name), TARGET)


@pytest.mark.parametrize(
    ("name", "link", "words"),
    [
        ("../../traces/trace_1.json", "", "leads out of the archive"),
        ("/etc/traces/trace_1.json", "", "leads out of the archive"),
        ("traces/trace_1.json", "secret", "a link or device"),
    ],
)
def test_an_archive_does_not_lead_out(tmp_path, name, link, words):
    path = tmp_path / "t.tar"
    with tarfile.open(path, "w") as held:
        item = tarfile.TarInfo(name)
        item.type, item.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
        held.addfile(item, io.BytesIO(b""))
    with pytest.raises(InputError, match=words):
        import_trace(path, TARGET)


def test_an_archive_that_swells_is_refused_before_it_is_read(tmp_path):
    path = archive(tmp_path, **{"traces/trace_1.json": b" " * 60_000_000})
    with pytest.raises(InputError, match="unpacks to more than 100 times its size"):
        import_trace(path, TARGET)


def test_a_damaged_archive_or_file_is_refused(tmp_path):
    path = servegen(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"trace\.tar\.gz"):
        import_trace(path, TARGET)
    with pytest.raises(InputError, match="no such file"):
        import_trace(tmp_path / "absent", TARGET)


def test_a_log_of_requests_can_be_replayed(tmp_path):
    path = write(
        tmp_path,
        "ts,prompt_tokens,completion_tokens,session\n2026-10-05T00:00:02Z,5,1,a\n2026-10-05T00:00:00Z,9,2,\n2026-10-05T00:00:05Z,,,\n",
    )
    replay = read_request_trace(path)
    assert replay["arrival_s"].tolist() == [0.0, 2.0]
    assert replay["session_id"].tolist() == ["", "a"]
    assert replay.attrs["left_out"] == {"requests of unknown length": 1}
    with pytest.raises(InputError, match="not single requests"):
        read_request_trace(write(tmp_path, PODS + "a,1,1,2,1000,,BE,Failed,0,7200,3600\n"))


def test_a_trace_reaches_the_workspace(tmp_path, mini):
    (mini / "demand_windows.csv").unlink()
    path = write(tmp_path, BURST)
    report = import_files("trace", [path], mini, TARGET)[0]
    assert report["written"] == "requests.parquet"
    assert load_workspace(mini).table("demand_windows")["requests"].sum() == 2
    assert {
        "source",
        "format",
        "rows_read",
        "rows_kept",
        "rows_left_out",
        "warnings",
        "period",
        "totals",
        "workloads",
        "coverage",
    } <= set(report)


def test_two_files_of_one_use_case_keep_their_identifiers_apart(tmp_path, mini):
    (mini / "demand_windows.csv").unlink()
    files = [write(tmp_path, BURST, "one.csv"), write(tmp_path, BURST.replace("472", "473"), "two.csv")]
    import_files("trace", files, mini, TARGET)
    assert pd.read_parquet(mini / "requests.parquet")["request_id"].is_unique


#: Every file of the shared folder: the table it fills, or words of the reason why none.
FILES = {
    "acme_cluster_summary.csv": "summary of clusters",
    "acme_utilization_cdfs.csv.gz": "cumulative distributions have no time",
    "agentic_coding_raw_json_sample.tar.gz": "requests",
    "agentic_coding_requests.parquet": "requests",
    "agentic_coding_sessions.csv.gz": "a list of sessions has no arrivals",
    "alibaba_dlrm2025_instances_first70pct.csv.gz": "instances of recommendation services are no jobs",
    "alibaba_gpu2023_nodes.csv.gz": "a list of nodes",
    "alibaba_gpu2023_pods_first70pct.csv.gz": "jobs",
    "alibaba_spot2026_nodes.csv.gz": "a list of nodes",
    "azure_llm_2023_conv.csv.gz": "requests",
    "backtest_baselines.csv": "no column says when",
    "burstgpt_format_3rows.csv": "requests",
    "class_parameters.csv": "no column says when",
    "gentd26_lora_request_trace_2024-11-15_12-01.csv.gz": "requests",
    "gentd26_lora_update_latency_anon_first70pct.csv.gz": "does not say what its value is",
    "gentd26_pipeline_inference_data_anon_first70pct.csv.gz": "does not say what its value is",
    "gentd26_pipeline_update_latency_anon_first70pct.csv.gz": "does not say what its value is",
    "gentd26_pod_gpu_duty_cycle_anon_first70pct.csv.gz": "does not say what its value is",
    "gentd26_qps_first70pct.csv.gz": "scaled by the publisher",
    "gentd26_queue_rt_raw_anon_first70pct.csv.gz": "does not say what its value is",
    "gentd26_queue_size_raw_anon_first70pct.csv.gz": "does not say what its value is",
    "geography_anchors.csv": "fits no known trace",
    "growth_quantiles.csv": "no column says when",
    "mooncake_fast25_conversation_first70pct.jsonl.gz": "requests",
    "openrouter_weekly_top_models_2025-11-16_2026-03-09.csv.gz": "weekly totals of a market",
    "philly_jobs_2017-09-04_11-12.csv.gz": "jobs",
    "profiles.csv": "no column says when",
    "reserve_exceedance.csv": "no column says when",
    "servegen_language_client_rates_day00_09.parquet": "demand_windows",
    "servegen_language_token_quantiles_day00_09.parquet": "hold no arrivals",
    "servegen_raw_layout_sample.tar.gz": "demand_windows",
    "servegen_reason_mm_client_rates_1day.parquet": "demand_windows",
    "servegen_reason_mm_token_quantiles_1day.parquet": "hold no arrivals",
    "statistics.csv": "no column says when",
    "wp_log_R_until_2013-07.csv.gz": "must be a whole number of requests",
    "wp_log_peyton_manning_until_2013-07.csv.gz": "must be a whole number of requests",
    "series/gentd26_images_hourly.csv": "demand_windows",
    "series/index.csv": "no column says when",
    "series/openrouter_weekly.csv": "must be a whole number of requests",
    "series/philly_gpu_hours_daily.csv": "must be a whole number of requests",
    "series/philly_jobs_daily.csv": "demand_windows",
    "series/philly_jobs_hourly.csv": "demand_windows",
    "series/servegen_m-large_hourly.csv": "demand_windows",
    "series/servegen_m-mid_hourly.csv": "demand_windows",
    "series/servegen_m-small_hourly.csv": "demand_windows",
    "series/wp_R_daily.csv": "must be a whole number of requests",
}
TABLES = ("requests", "jobs", "demand_windows")


@pytest.fixture(scope="module")
def imported(shared_dir):
    """Report, table and rows of a file of the folder; each file is read once."""
    held = {}

    def read(name):
        if name not in held:
            held[name] = import_trace(shared_dir / "data/traces" / name, TARGET)
        return held[name]

    return read


@pytest.mark.real
def test_every_file_of_the_folder_is_named_here(shared_dir):
    folder = shared_dir / "data/traces"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found - {"README.md"} == set(FILES)


@pytest.mark.real
@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_folder_is_read_or_refused_with_a_reason(shared_dir, imported, name):
    if FILES[name] in TABLES:
        report, table, rows = imported(name)
        assert table == FILES[name]
        sample = rows if len(rows) < 50_000 else rows.head(50_000)
        assert not bound_problems(sample, load_contract(table))
        assert report["rows_read"] == report["rows_kept"] + sum(report["rows_left_out"].values())
        return
    with pytest.raises(InputError, match=FILES[name]):
        import_trace(shared_dir / "data/traces" / name, TARGET)


@pytest.mark.real
def test_a_name_does_not_tell_the_format(shared_dir, tmp_path):
    content = (shared_dir / "data/traces/philly_jobs_2017-09-04_11-12.csv.gz").read_bytes()
    (tmp_path / "azure_llm.parquet.json").write_bytes(content)
    assert detect_trace(tmp_path / "azure_llm.parquet.json").name == "Philly training jobs"


@pytest.fixture(scope="module")
def statistics(shared_dir):
    frame = pd.read_csv(shared_dir / "data/traces/statistics.csv")
    return frame.set_index(["trace", "metric"])["value"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "trace"),
    [
        ("azure_llm_2023_conv.csv.gz", "azure_llm_2023_conv"),
        ("mooncake_fast25_conversation_first70pct.jsonl.gz", "mooncake_fast25_conversation"),
        ("agentic_coding_requests.parquet", "agentic_coding"),
    ],
)
def test_requests_and_lengths_equal_the_published_statistics(imported, statistics, name, trace):
    report, _, rows = imported(name)
    assert report["totals"]["requests"] == float(statistics[trace, "requests"])
    for mine in ("input_tokens", "output_tokens"):
        known = rows[mine].dropna().astype(float)
        assert known.mean() == pytest.approx(float(statistics[trace, f"{mine}_mean"]), rel=1e-6)
        assert known.quantile(0.99) == pytest.approx(float(statistics[trace, f"{mine}_p99"]), rel=1e-6)


@pytest.mark.real
def test_mooncake_reuse_equals_the_published_statistics(shared_dir, imported, statistics):
    path = shared_dir / "data/traces/mooncake_fast25_conversation_first70pct.jsonl.gz"
    with gzip.open(path, "rt") as stream:
        lines = [json.loads(line) for line in stream]
    hits = leading_hits([line["hash_ids"] for line in lines])
    share = hits.sum() / sum(len(line["hash_ids"]) for line in lines)
    assert share == pytest.approx(
        float(statistics["mooncake_fast25_conversation", "prefix_block_hit_ratio_infinite_cache"]), abs=1e-6
    )
    report, _, _ = imported(path.name)
    capped = sum(min(int(hit) * 512, line["input_length"]) for hit, line in zip(hits, lines, strict=True))
    assert report["totals"]["cached_tokens"] == capped


@pytest.mark.real
def test_raw_sessions_equal_the_table_made_from_them(imported):
    _, _, table = imported("agentic_coding_requests.parquet")
    _, _, raw = imported("agentic_coding_raw_json_sample.tar.gz")
    columns = ["input_tokens", "output_tokens", "cached_input_tokens", "e2e_ms"]
    mine = raw.groupby("session_id")[columns].sum()
    theirs = table[table["session_id"].isin(mine.index)].groupby("session_id")[columns].sum()
    assert len(mine) == 28
    pd.testing.assert_frame_equal(mine, theirs, check_dtype=False)


@pytest.mark.real
@pytest.mark.parametrize("model", ["m-large", "m-mid", "m-small"])
def test_servegen_requests_equal_rates_and_series(shared_dir, imported, model):
    folder = shared_dir / "data/traces"
    rates = pd.read_parquet(folder / "servegen_language_client_rates_day00_09.parquet")
    rates = rates[rates["model"] == model]
    expected = (rates["rate_rps"] * 600).groupby(rates["window_start_s"]).sum()
    target = Target("other", "us", "2026-10-05", use_cases={model: "mine"})
    _, _, rows = (
        import_trace(folder / "servegen_language_client_rates_day00_09.parquet", target)
        if model == "m-mid"
        else (0, 0, None)
    )
    if rows is not None:
        mine = rows.loc[rows["use_case_id"] == "mine", "requests"].to_numpy()
        np.testing.assert_allclose(mine, expected.to_numpy(), atol=0.5)
    report, _, _ = imported(f"series/servegen_{model}_hourly.csv")
    assert report["totals"]["requests"] == pytest.approx(expected.sum(), rel=1e-9)


@pytest.mark.real
def test_pod_hours_equal_pandas(shared_dir, imported):
    raw = pd.read_csv(shared_dir / "data/traces/alibaba_gpu2023_pods_first70pct.csv.gz")
    raw = raw[(raw["num_gpu"] * raw["gpu_milli"] > 0) & (raw["pod_phase"] != "Pending")]
    ended = raw[raw["deletion_time"] < 12_902_960]
    hours = ((ended["deletion_time"] - ended["scheduled_time"]) * ended["num_gpu"] * ended["gpu_milli"]).sum() / 3.6e6
    report, _, _ = imported("alibaba_gpu2023_pods_first70pct.csv.gz")
    assert report["totals"]["accelerator_hours"] == pytest.approx(hours, rel=1e-9)


def test_a_pod_given_again_counts_once(tmp_path):
    pod = "p,1000,1,2,1000,,BE,Succeeded,0,7200,0\n"
    other = "q,1000,1,1,1000,,BE,Running,0,9000,0\n"
    report, _, rows = import_trace(write(tmp_path, PODS + pod + other + pod), TARGET)
    assert (report["rows_read"], len(rows)) == (3, 2)
    assert report["rows_left_out"] == {"the same pod, given again with the same values": 1}


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_system_are_read(tmp_path, ends):
    path = tmp_path / "trace.csv"
    path.write_bytes(BURST.replace("\n", ends).encode())
    assert import_trace(path, TARGET)[0]["totals"]["requests"] == 2


@pytest.mark.parametrize("value", ["1e308", "9" * 40])
def test_a_number_beyond_any_time_is_refused_with_its_place(tmp_path, value):
    with pytest.raises(InputError, match="row 2, column 'deletion_time'"):
        import_trace(write(tmp_path, PODS + f"p,1000,1,2,1000,,BE,Succeeded,0,{value},0\n"), TARGET)


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.1,10,3\n2023-11-16 18:15:47.2,20,4\n"
KIMI = '{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1]}\n'


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_trace_is_read_whatever_separates_its_cells(tmp_path, separator):
    (tmp_path / "t.csv").write_text(AZURE.replace(",", separator))
    found = detect_trace(tmp_path / "t.csv").read(tmp_path / "t.csv")
    assert found.rows["input_tokens"].tolist() == [10, 20]


@pytest.mark.parametrize("text", [AZURE, KIMI])
def test_a_byte_order_mark_changes_nothing(tmp_path, text):
    for name, content in (("plain", text), ("marked", "\ufeff" + text)):
        (tmp_path / name).write_text(content, encoding="utf-8")
    plain, marked = (detect_trace(path).read(path) for path in (tmp_path / "plain", tmp_path / "marked"))
    assert plain.rows.astype("str").equals(marked.rows.astype("str"))


@pytest.mark.parametrize(("text", "rows"), [(AZURE, 2), (KIMI + KIMI.replace("600", "700"), 2)])
def test_rows_given_twice_count_and_are_said(tmp_path, text, rows):
    (tmp_path / "once").write_text(text)
    (tmp_path / "twice").write_text(text + "".join(line for line in text.splitlines(True) if "TIMESTAMP" not in line))
    once, twice = (detect_trace(path).read(path) for path in (tmp_path / "once", tmp_path / "twice"))
    assert (len(once.rows), len(twice.rows)) == (rows, 2 * rows)
    assert not any("equal an earlier row" in said for said, _ in once.warnings)
    assert [count for said, count in twice.warnings if "equal an earlier row" in said] == [rows]


def test_times_of_a_pack_in_seconds_are_those_in_milliseconds(shared_dir, tmp_path):
    folder = shared_dir / "data" / "bench_samples" / "traces"
    seconds, ms = (
        read_request_trace(folder / name) for name in ("pack.guidellm_trace_seconds.jsonl", "pack.mooncake.jsonl")
    )
    assert seconds["arrival_s"].tolist() == pytest.approx(ms["arrival_s"].tolist())
    assert ms["arrival_s"].iloc[1] == 0.8
    (tmp_path / "trace.jsonl").write_bytes((folder / "pack.guidellm_trace_seconds.jsonl").read_bytes())
    with pytest.raises(InputError, match="row 2, column 'timestamp': value 0.8: .* are these seconds"):
        read_request_trace(tmp_path / "trace.jsonl")
    text = "".join(f'{{"timestamp": {1000.5 * at}, "input_length": 5, "output_length": 5}}\n' for at in range(9))
    (tmp_path / "trace.jsonl").write_text(text)  # parts of milliseconds at one a second
    assert read_request_trace(tmp_path / "trace.jsonl")["arrival_s"].iloc[1] == pytest.approx(1.0005)


@pytest.mark.parametrize(
    ("name", "step", "told"), [("trace", 1, True), ("trace.milliseconds", 1, False), ("trace", 50, False)]
)
def test_whole_numbers_at_a_rate_that_few_serve_are_said_to_be_milliseconds(tmp_path, name, step, told):
    path = tmp_path / f"{name}.jsonl"
    path.write_text(
        "".join(f'{{"timestamp": {step * at}, "input_length": 5, "output_length": 5}}\n' for at in range(200))
    )
    said = [
        text
        for text, count in detect_trace(path).read(path).warnings
        if "read as milliseconds" in text and count == 200
    ]
    assert [("1,000 requests a second" in text) for text in said] == [True] * told
