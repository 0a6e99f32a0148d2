"""Request rows, LiteLLM spend logs and OpenTelemetry spans: totals equal the truth, oddities are named."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files, read_mapping
from aifactory.inputs.importers.telemetry import read_telemetry, telemetry_report
from aifactory.inputs.importers.telemetry.rows import status_of, statuses
from aifactory.inputs.workspace import load_workspace

TODAY = pd.Timestamp("2026-11-24", tz="UTC")
HEAD = "ts,workload,region,team,in_tokens,out_tokens,ttft_ms,e2e_ms,status,cached_tokens\n"
ROW = "2026-10-05T09:00:00Z,chat,us,cx,100,20,50,500,200,10\n"


def write(folder, text, name="log.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def report(path, **options):
    return telemetry_report(read_telemetry(path, TODAY, **options))


def test_rows_by_hand(tmp_path):
    rows = ROW + "2026-10-05T09:00:01Z,chat,us,cx,300,40,70,900,503,\n2026-10-05T09:00:02Z,code,us,,7,1,,,200,0\n"
    found = report(write(tmp_path, HEAD + rows))
    chat = found["workloads"]["chat"]
    assert (chat["requests"], chat["errors"], chat["input_tokens"], chat["output_tokens"], chat["cached_tokens"]) == (
        2,
        1,
        400,
        60,
        10,
    )
    assert chat["ttft_ms"] == {"p50": 50.0, "p95": 50.0, "p99": 50.0}
    assert found["teams"]["(none)"]["requests"] == 1
    assert found["coverage"]["ttft_ms"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["period"] == ["2026-10-05", "2026-10-05"]


@settings(max_examples=30)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=60))
def test_quantiles_are_values_of_the_rows(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("log")
    rows = "".join(f"2026-10-05T09:00:00Z,chat,us,cx,1,1,,{value},200,\n" for value in values)
    found = report(write(folder, HEAD + rows))["workloads"]["chat"]["e2e_ms"]
    ordered = sorted(values)
    for name, level in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert found[name] == ordered[int(np.ceil(level * len(values) - 1e-9)) - 1]


@pytest.mark.real
def test_the_proxy_log_equals_its_truth(shared_dir):
    folder = shared_dir / "data/telemetry"
    truth = json.loads((folder / "litellm_spendlogs_2026_10.truth.json").read_text())
    found = report(folder / "litellm_spendlogs_2026_10.csv.gz", region="us")
    for team, figures in truth.items():
        mine = found["teams"][team]
        assert (mine["requests"], mine["errors"]) == (figures["requests"], figures["failures"])
        assert (mine["input_tokens"], mine["output_tokens"]) == (figures["prompt_tokens"], figures["completion_tokens"])
        assert float(mine["spend_usd"]) == pytest.approx(figures["spend_usd"], rel=1e-12)
    assert found["rows_kept"] == sum(figures["requests"] for figures in truth.values())


@pytest.mark.real
def test_the_spans_equal_their_truth(shared_dir):
    folder = shared_dir / "data/telemetry/otel_genai_2026_10"
    truth = json.loads((folder / "truth.json").read_text())
    found = report(folder / "traces.otlp.jsonl.gz")
    assert set(found["workloads"]) == set(truth)
    for name, figures in truth.items():
        mine = found["workloads"][name]
        assert (mine["requests"], mine["errors"]) == (figures["spans"], figures["errors"])
        assert (mine["input_tokens"], mine["output_tokens"]) == (figures["input_tokens"], figures["output_tokens"])
    assert set(found["teams"]) == {figures["team"] for figures in truth.values()}


def span(**attributes):
    held = [
        {"key": key, "value": {"intValue": value} if isinstance(value, int) else {"stringValue": value}}
        for key, value in attributes.items()
    ]
    return {
        "spanId": "a",
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001500000000",
        "attributes": held,
        "status": {},
    }


def line(*spans):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "chat"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}) + "\n"


def test_prompts_in_spans_are_never_kept(tmp_path):
    call = span(
        **{
            "gen_ai.system": "x",
            "gen_ai.usage.prompt_tokens": 5,
            "gen_ai.usage.completion_tokens": 2,
            "gen_ai.input.messages": "my secret",
        }
    )
    found = read_telemetry(write(tmp_path, line(call, span(**{"http.method": "GET"}))), TODAY, region="us")
    assert found.left_out == {"spans that are no GenAI call": 1}
    assert found.rows["e2e_ms"].tolist() == [1500.0]
    assert "secret" not in found.rows.to_csv()


def test_a_packed_file_is_known_by_its_content(tmp_path):
    (tmp_path / "log").write_bytes(gzip.compress((HEAD + ROW).encode()))
    assert report(tmp_path / "log")["rows_kept"] == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("workload,in_tokens,out_tokens,region\nchat,1,1,us\n", "column 'ts': required column is missing"),
        ("ts,workload,in_tokens,out_tokens\n2026-10-05T09:00:00Z,chat,1,1\n", "no column names the region"),
        (HEAD + ROW.replace(",200,", ",maybe,"), "row 2, column 'status': value 'maybe'"),
        (HEAD + ROW.replace(",100,", ",-5,"), "row 2, column 'in_tokens': value '-5': must be 0 or more"),
        (HEAD + ROW.replace(",100,", ",many,"), "row 2, column 'in_tokens': value 'many'"),
        ('{"a": 1}', "is JSON, but not OTLP"),
        ('{"resourceSpans": [', "row 1: is not JSON"),
        ('{"resourceSpans": ' + "[" * 100_000, "row 1: is n"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_telemetry(write(tmp_path, text), TODAY)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("200 OK", "ok"), ("429 Too Many Requests", "error"), ("499 Client Closed Request", "cancelled"), ("INTERNAL", "error"),
     ("DEADLINE_EXCEEDED", "error"), ("404 Not Found", "error"), ("302", None), ("200 502", None), ("2000", None)],
)  # fmt: skip
def test_codes_with_their_words_and_the_names_of_grpc_are_known(text, outcome):
    assert status_of(text) == outcome


def test_status_words_and_codes():
    values = pd.Series(["200", "204.0", "success", "429", "failure", "499", "cancelled", None])
    assert statuses(None, values, "status").tolist() == [
        "ok",
        "ok",
        "ok",
        "error",
        "error",
        "cancelled",
        "cancelled",
        "ok",
    ]


EXPECTED = {
    "01": ({"requests": 3}, {}, None),
    "27": ({"requests": 20}, {}, "seconds in a column of milliseconds"),
    "29": ({"requests": 2}, {}, "first token after the last"),
    "35": ({"requests": 3, "input_tokens": 600}, {}, "without a zone"),
    "37": ({"requests": 3}, {}, None),
    "45": ({"requests": 1}, {"after the day of import": 1}, None),
    "53": ({"requests": 2}, {}, None),
    "73": ({"requests": 2, "input_tokens": 150}, {}, None),
}


@pytest.mark.real
@pytest.mark.parametrize("case", EXPECTED)
def test_odd_logs_are_read_as_expected(shared_dir, case):
    totals, left_out, warning = EXPECTED[case]
    found = report(next((shared_dir / "data/bad_inputs").glob(f"{case}_*")))
    assert {name: found["totals"][name] for name in totals} == totals
    assert found["rows_left_out"] == left_out
    assert warning is None or any(warning in item["text"] for item in found["warnings"])


@pytest.mark.real
@pytest.mark.parametrize(
    ("case", "words"),
    [("09", "column 'out_tokens'"), ("15", "NUL byte"), ("67", "column 'in_tokens'"), ("71", "JSON"), ("65", "pickle")],
)
def test_bad_logs_are_refused_in_words(shared_dir, case, words):
    with pytest.raises(InputError, match=words):
        report(next((shared_dir / "data/bad_inputs").glob(f"{case}_*")))


def test_names_are_mapped_by_a_file_and_rows_reach_the_workspace(mini, tmp_path):
    (mini / "demand_windows.csv").unlink()
    path = write(tmp_path, "when,what,in_tokens,out_tokens\n2026-10-05T09:00:00Z,Support Bot,100,20\n")
    mapping = read_mapping(
        write(
            tmp_path, "columns: {timestamp_utc: when, use_case_id: what}\nuse_cases: {Support Bot: chat}\n", "map.yaml"
        )
    )
    found = import_files("telemetry", [path], mini, Target(region="us", today=TODAY, **mapping))[0]
    assert found["written"] == "requests.parquet"
    demand = load_workspace(mini).table("demand_windows")
    assert demand.set_index("use_case_id").loc["chat", "input_tokens"] == 100


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colums: {a: b}", "Did you mean 'columns'"),
        ("columns: [a]", "must hold names"),
        ("columns: {a: 1}", "must hold names"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read_mapping(write(tmp_path, text, "map.yaml"))


def outcome(path):
    """Tokens that were counted, or the refusal in words."""
    try:
        return report(path, region="eu")["totals"]["input_tokens"]
    except InputError as refusal:
        return str(refusal)


NOT_OTLP = [None, "x", -1, [], {"a": 1}, True, 1e308, 10**30]


@pytest.mark.parametrize("value", NOT_OTLP, ids=str)
@pytest.mark.parametrize("place", ["attributes", "status", "startTimeUnixNano", "value", "span"])
def test_a_span_of_another_shape_is_refused_with_its_line_or_read(tmp_path, place, value):
    span = {"traceId": "t", "spanId": "s", "startTimeUnixNano": "1791190800000000000", "endTimeUnixNano": "1791190801000000000",
            "attributes": [{"key": "gen_ai.system", "value": {"stringValue": "m"}},
                           {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "7"}}]}  # fmt: skip
    sound = json.loads(json.dumps(span)) | {"spanId": "sound"}
    if place == "value":
        span["attributes"][1]["value"] = value
    else:
        span[place] = value
    spans = [sound, value if place == "span" else span]
    line = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    found = outcome(write(tmp_path, line, "spans.jsonl"))
    assert found in (7, 14) or found.startswith("spans.jsonl, row 1")
