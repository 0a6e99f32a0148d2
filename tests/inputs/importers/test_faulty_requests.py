"""Faults of request logs by family: refused with their place, left out and counted, or named with their rows."""

import json

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.importers.telemetry import read_telemetry, telemetry_report

REQUEST = {
    "request_id": "r1", "ts": "2026-10-05T09:00:00Z", "workload": "chat", "region": "eu", "status": "ok",
    "in_tokens": "900", "out_tokens": "200", "cached_tokens": "100", "ttft_ms": "300", "e2e_ms": "5000", "team": "cx",
}  # fmt: skip
TODAY = pd.Timestamp("2026-11-25", tz="UTC")


def read(folder, *requests):
    path = folder / "log.csv"
    rows = [",".join((REQUEST | {"request_id": f"r{number}"} | row).values()) for number, row in enumerate(requests)]
    path.write_text("\n".join([",".join(REQUEST), *rows]) + "\n")
    return read_telemetry(path, TODAY)


REFUSED = {
    "negative tokens": ({"in_tokens": "-5"}, "row 3, column 'in_tokens'"),
    "negative duration": ({"e2e_ms": "-1"}, "row 3, column 'e2e_ms': value -1.0: must be 0 or more"),
    "part of a token": ({"in_tokens": "12.5"}, "row 3, column 'in_tokens': value '12.5'"),
    "too long a number": ({"in_tokens": "9" * 20}, "row 3, column 'in_tokens'"),
    "unknown status": ({"status": "weird"}, "row 3, column 'status': value 'weird'"),
    "seconds since 1970": ({"ts": "1759654800"}, "row 3, column 'ts': value '1759654800'"),
    "day before month": ({"ts": "05/10/2026 09:00"}, "row 3, column 'ts'"),
    "30 February": ({"ts": "2026-02-30T00:00:00Z"}, "row 3, column 'ts'"),
    "zone here and none there": ({"ts": "2026-10-05T09:00:00"}, "row 3, column 'ts'"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_fault_is_refused_with_its_place(tmp_path, fault):
    row, words = REFUSED[fault]
    with pytest.raises(InputError, match=r"log\.csv") as refusal:
        read(tmp_path, {}, row)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "time", ["1791190800", "1791190800.0", "1791190800000", "1791190800000000", "1791190800000000000"]
)
def test_times_counted_from_1970_are_read_where_all_are(tmp_path, time):
    found = read(tmp_path, {"ts": time}, {"ts": time})
    assert set(found.rows["timestamp_utc"]) == {pd.Timestamp("2026-10-05T09:00:00Z")}
    assert any("since 1970 were read as UTC" in text and rows == 2 for text, rows in found.warnings)


def test_parts_of_a_second_since_1970_are_kept(tmp_path):
    found = read(tmp_path, {"ts": "1791190800.25"})
    assert found.rows["timestamp_utc"].tolist() == [pd.Timestamp("2026-10-05T09:00:00.25Z")]


@pytest.mark.parametrize("layout", ["list", "lines"])
def test_a_log_in_json_counts_as_one_in_csv(tmp_path, layout):
    requests = [REQUEST | {"in_tokens": 900, "ttft_ms": 300.5, "team": None, "messages": [{"content": "secret"}]},
                REQUEST | {"request_id": "r2", "status": 500, "cached_tokens": None}]  # fmt: skip
    path = tmp_path / "log.json"
    lines = "\n".join(map(json.dumps, requests))
    path.write_text(json.dumps(requests) if layout == "list" else lines)
    report = telemetry_report(read_telemetry(path, TODAY))
    assert report["totals"] == {
        "requests": 2,
        "errors": 1,
        "input_tokens": 1_800,
        "cached_tokens": 100,
        "output_tokens": 400,
    }
    assert report["workloads"]["chat"]["ttft_ms"]["p50"] == 300.5
    assert "secret" not in json.dumps(report)


SPEND = {
    "decimal comma": '"0,01"', "currency sign": "$0.01", "no number": "inf", "a word": "#N/A",
    "negative": "-0.01", "beyond any charge": "1e300",
}  # fmt: skip
CALL = {
    "request_id": "c1", "startTime": "2026-10-05T09:00:00Z", "endTime": "2026-10-05T09:00:05Z",
    "completionStartTime": "2026-10-05T09:00:01Z", "prompt_tokens": "900", "completion_tokens": "200", "spend": "0.01",
    "request_tags": '"[""use_case:chat""]"', "model_group": "m", "team_id": "cx", "status": "success",
}  # fmt: skip


def spend_log(folder, *spends):
    path = folder / "log.csv"
    rows = [",".join((CALL | {"request_id": f"c{n}", "spend": spend}).values()) for n, spend in enumerate(spends)]
    path.write_text("\n".join([",".join(CALL), *rows]) + "\n")
    return read_telemetry(path, TODAY, region="eu")


@pytest.mark.parametrize("fault", SPEND)
def test_spend_that_is_no_amount_is_refused_with_its_place(tmp_path, fault):
    with pytest.raises(InputError, match=r"log\.csv, row 3, column 'spend'"):
        spend_log(tmp_path, "0.01", SPEND[fault])


def test_spend_that_is_not_stated_is_said(tmp_path):
    found = spend_log(tmp_path, "0.1", "", "0.2")
    assert telemetry_report(found)["totals"]["spend_usd"] == "0.3"
    assert ("spend that is not stated counts as 0", 1) in found.warnings
    nothing = spend_log(tmp_path, "", "")
    assert "spend_usd" not in telemetry_report(nothing)["totals"]
    assert ("no row states its spend", 2) in nothing.warnings


def test_a_header_without_requests_is_refused(tmp_path):
    with pytest.raises(InputError, match="row 2: holds a header and no requests"):
        read(tmp_path)


LEFT_OUT = {
    "a time of the future": ({"ts": "2031-01-01T00:00:00Z"}, "after the day of import"),
    "an empty clock": ({"ts": "1970-01-01T00:00:00Z"}, "before the year 2000: no time of a request"),
    "a request again": ({"request_id": "r0"}, "the same request, given again with the same values"),
}


@pytest.mark.parametrize("fault", LEFT_OUT)
def test_what_cannot_count_is_left_out_and_counted(tmp_path, fault):
    row, reason = LEFT_OUT[fault]
    report = telemetry_report(read(tmp_path, {}, row, {}))
    assert report["rows_left_out"] == {reason: 1}
    assert (report["rows_read"], report["rows_kept"], report["totals"]["input_tokens"]) == (3, 2, 1800)


SAID = {
    "seconds": ([{"e2e_ms": "5", "ttft_ms": "0.3"}] * 2, "median end-to-end time of 5 ms: seconds", 2),
    "first token in seconds": ([{"ttft_ms": "0.3"}] * 2, "median time to first token of 0.3 ms: seconds", 2),
    "microseconds": ([{"e2e_ms": "5000000", "ttft_ms": "3000"}], "microseconds in a column", 1),
    "first after last": ([{"ttft_ms": "6000"}, {}], "first token after the last", 1),
    "cached beyond input": ([{"cached_tokens": "2000"}, {}], "more cached than input tokens", 1),
    "one name, two ways": (
        [{"workload": "Chat"}, {"workload": "chat"}, {"workload": " chat "}],
        "written in several ways",
        3,
    ),
    "an identifier again": ([{}, {"request_id": "r0", "in_tokens": "7"}], "an identifier of an earlier, different", 1),
    "no zone": ([{"ts": "2026-03-29T02:30:00"}], "times without a zone were read as UTC", 1),
}


@pytest.mark.parametrize("fault", SAID)
def test_what_is_odd_is_kept_and_named_with_its_rows(tmp_path, fault):
    requests, words, rows = SAID[fault]
    found = read(tmp_path, *requests)
    assert len(found.rows) == found.rows_read == len(requests)
    assert found.rows["request_id"].is_unique
    assert [count for text, count in found.warnings if words in text] == [rows]


def test_what_contradicts_itself_is_unknown_from_there_on(tmp_path):
    rows = read(tmp_path, {"ttft_ms": "6000", "cached_tokens": "2000"}, {}).rows
    assert rows[["ttft_ms", "e2e_ms", "cached_input_tokens"]].isna().to_numpy().tolist() == [[True] * 3, [False] * 3]


def test_a_good_log_has_no_remarks(tmp_path):
    found = read(tmp_path, {}, {"status": "500"}, {"out_tokens": "0"}, {"team": ""})
    assert (found.left_out, found.warnings) == ({}, [])
