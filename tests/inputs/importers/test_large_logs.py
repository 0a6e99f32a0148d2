"""Request logs of any size: the same report as for short ones, checked in the engine, added day by day."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.inputs.check import check_workspace
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.telemetry import large
from aifactory.inputs.telemetry import aggregate_requests, conform, with_sessions_counted
from aifactory.inputs.tenants import aggregate_tenants
from aifactory.inputs.workspace import load_workspace

TODAY = pd.Timestamp("2026-11-24", tz="UTC")
HEAD = "id,ts,workload,region,team,in_tokens,out_tokens,ttft_ms,e2e_ms,status,cached_tokens\n"
ROW = "1,2026-10-05T09:00:00Z,chat,us,cx,100,20,50,500,200,10\n"


def log(days=3, rows=3_000, seed=1, start="2026-10-05"):
    random = np.random.default_rng(seed)
    times = np.datetime64(start, "us") + random.integers(0, days * 86_400_000_000, rows)
    ttft = random.gamma(2, 100, rows).round(3)
    return pd.DataFrame(
        {
            "request_id": [f"{start}-{n}" for n in range(rows)],
            "timestamp_utc": pd.to_datetime(times, utc=True),
            "use_case_id": random.choice(["chat", "images"], rows),
            "region": random.choice(["us", "eu"], rows),
            "tenant": random.choice(["cx", "media", None], rows),
            "status": random.choice(["200", "503", "499"], rows, p=[0.9, 0.08, 0.02]),
            "input_tokens": random.integers(1, 4_000, rows),
            "output_tokens": random.integers(1, 900, rows),
            "ttft_ms": ttft,
            "e2e_ms": (ttft + random.gamma(2, 900, rows)).round(3),
        }
    )


def split(frame, folder, files=3, *, suffix=".parquet"):
    folder.mkdir()
    for n in range(files):
        part = frame.iloc[n::files]
        if suffix == ".parquet":
            part.to_parquet(folder / f"part-{n}.parquet")
        else:
            part.to_csv(folder / f"part-{n}.csv", index=False)
    return folder


def imported(sources, into=None, *, replace=False, engine="duckdb", **target):
    target = Target(today=TODAY, engine=engine, **target)
    return import_files("telemetry", sources, into, target, replace=replace)[0]


def write(folder, text, name="log.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture
def empty(mini):
    (mini / "demand_windows.csv").unlink()
    return mini


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_the_report_is_that_of_the_rows_themselves(tmp_path, suffix):
    frame = log()
    whole = tmp_path / f"log{suffix}"
    frame.to_parquet(whole) if suffix == ".parquet" else frame.to_csv(whole, index=False)
    small = imported([whole], engine="")
    found = imported([split(frame, tmp_path / "parts", suffix=suffix)])
    assert set(found) == set(small)
    assert found["totals"]["errors"] == (frame["status"] != "200").sum()  # 503, and 499 as in the demand windows
    for name in ("rows_read", "rows_kept", "rows_left_out", "period", "totals", "teams"):
        assert found[name] == small[name]
    assert found["coverage"] == small["coverage"]
    for name, figures in small["workloads"].items():
        for key, value in figures.items():
            mine = found["workloads"][name][key]
            assert mine == (pytest.approx(value, rel=0.005 + 1e-9) if isinstance(value, dict) else value)


def with_repeats(frame):
    """The rows, some of them again, and some identifiers again for other requests."""
    others = frame.iloc[:7].assign(input_tokens=frame["input_tokens"].iloc[:7] + 1)
    return pd.concat([frame, frame.iloc[50:70], others, frame.iloc[60:70]], ignore_index=True)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_rows_given_twice_are_left_out_and_told(tmp_path, suffix):
    frame = with_repeats(log())
    whole = tmp_path / f"log{suffix}"
    frame.to_parquet(whole) if suffix == ".parquet" else frame.to_csv(whole, index=False)
    small = imported([whole], engine="")
    found = imported([split(frame, tmp_path / "parts", suffix=suffix)])
    assert found["rows_left_out"] == {"the same request, given again with the same values": 30}
    for name in ("rows_read", "rows_kept", "rows_left_out", "totals", "teams", "coverage"):
        assert found[name] == small[name]
    told = {"text": "an identifier of an earlier, different request: counted as a request of its own", "rows": 7}
    assert told in found["warnings"]
    assert told in small["warnings"]


def test_a_log_delivered_twice_counts_once(tmp_path):
    frame = log()
    once = imported([split(frame, tmp_path / "once")])
    twice = imported(
        [split(pd.concat([frame, frame.sample(frac=1, random_state=2)], ignore_index=True), tmp_path / "twice")]
    )
    assert (twice["rows_read"], twice["rows_kept"]) == (2 * len(frame), len(frame))
    assert {**twice, "rows_read": 0, "rows_left_out": {}} == {**once, "rows_read": 0}


def test_use_by_tenant_is_that_of_the_rows_themselves(empty, tmp_path):
    frame = log(start="2026-10-30", days=4)
    imported([split(frame, tmp_path / "log")], empty)
    rows = frame.assign(status=frame["status"].replace({"200": "ok", "503": "error", "499": "cancelled"}),
                        service_units=None)  # fmt: skip
    found = load_workspace(empty, "2026-11").table("tenant_usage")
    pd.testing.assert_frame_equal(found, aggregate_tenants(conform(rows, "requests")))
    assert set(found["month"]) == {"2026-10", "2026-11"}
    nameless = frame[frame["timestamp_utc"] >= "2026-11-01"].assign(tenant=None)
    imported([split(nameless, tmp_path / "again")], empty, replace=True)
    assert set(load_workspace(empty, "2026-11").table("tenant_usage")["month"]) == {"2026-10"}


def test_months_are_added_and_earlier_days_stay_untouched(empty, tmp_path):
    first, second = log(start="2026-09-29", days=2), log(start="2026-10-05", days=2, seed=2)
    imported([split(first, tmp_path / "sep")], empty)
    before = {path: path.read_bytes() for path in empty.glob("*/*.parquet")}
    assert sorted(path.name for path in before) == sorted(["2026-09-29.parquet", "2026-09-30.parquet"] * 3)
    report = imported([split(second, tmp_path / "oct")], empty)
    assert report["written"] == "demand_windows/"
    assert all(path.read_bytes() == content for path, content in before.items())
    both = pd.concat([first, second], ignore_index=True)
    both = both.assign(status=both["status"].replace({"200": "ok", "503": "error", "499": "cancelled"}), is_retry=None,
                       service_units=None, cached_input_tokens=None, queue_ms=None)  # fmt: skip
    windows, histograms = aggregate_requests(conform(both, "requests"))
    loaded = load_workspace(empty)
    pd.testing.assert_frame_equal(loaded.table("demand_windows"), windows)
    key = ["month", "use_case_id", "region", "metric", "bucket"]
    mine = loaded.table("latency_histograms").sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(mine, histograms.sort_values(key, ignore_index=True))
    assert loaded.sources.set_index("table").loc["demand_windows", "rows"] == len(windows)
    assert "demand_windows" in set(check_workspace(empty).summary["file"])


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_sessions_are_counted_as_they_are_from_rows(empty, tmp_path, suffix):
    """Of a use case that counts sessions the first successful request is the unit, whichever road the log takes."""
    path = empty / "use_cases.csv"
    path.write_text(path.read_text().replace("Llama-3.1-8B,request", "Llama-3.1-8B,session"))
    cases = pd.DataFrame({"use_case_id": ["chat", "images"], "service_unit": ["session", "image"]})
    frame = log(days=2, rows=2_000)
    numbers = np.random.default_rng(3).integers(0, 300, len(frame))
    frame["session_id"] = [None if number > 280 else f"s{number}" for number in numbers]
    words = {"200": "ok", "503": "error", "499": "cancelled"}
    rows = with_sessions_counted(frame.assign(status=frame["status"].map(words), service_units=np.nan), cases)
    units = rows["service_units"].fillna(1.0).where(rows["status"] == "ok", 0.0)
    due = units.groupby([rows["timestamp_utc"].dt.floor("min"), rows["use_case_id"], rows["region"]]).sum()
    source = split(frame, tmp_path / "log", suffix=suffix)
    report = imported([source], empty, engine="" if suffix == ".parquet" else "duckdb")
    stored = load_workspace(empty, "2026-10")
    found = stored.table("demand_windows").set_index(["window_start_utc", "use_case_id", "region"])["service_units"]
    assert found.sort_index().tolist() == due.tolist()
    tenants = stored.table("tenant_usage").groupby("use_case_id")["service_units"].sum()
    named = rows["tenant"].notna()
    assert tenants["chat"] == units[named & (rows["use_case_id"] == "chat")].sum()
    assert any("chat counts sessions" in item["text"] for item in report["warnings"])


def test_a_day_is_not_counted_twice(empty, tmp_path):
    source = split(log(), tmp_path / "log")
    imported([source], empty)
    once = {path: path.read_bytes() for path in empty.glob("*/*.parquet")}
    with pytest.raises(InputError, match=r"demand_windows/2026-10-05.parquet: already holds .* --replace"):
        imported([source], empty)
    imported([source], empty, replace=True)
    assert {path: path.read_bytes() for path in empty.glob("*/*.parquet")} == once


def test_another_workload_of_the_same_day_is_added(empty, tmp_path):
    frame = log()
    imported([split(frame[frame["use_case_id"] == "chat"], tmp_path / "a")], empty)
    imported([split(frame[frame["use_case_id"] == "images"], tmp_path / "b")], empty)
    loaded = load_workspace(empty)
    assert loaded.table("demand_windows")["requests"].sum() == len(frame)
    served = (frame["status"] == "200").sum()
    assert loaded.table("latency_histograms").query("metric == 'e2e_ms'")["count"].sum() == served


def test_windows_of_a_single_file_become_parts_of_the_same_table(mini, tmp_path):
    before = load_workspace(mini).table("demand_windows")
    frame = log(start="2026-11-02").assign(use_case_id="search")
    imported([split(frame, tmp_path / "log")], mini, use_cases={"search": "models"})
    after = load_workspace(mini, "2026-11").table("demand_windows")
    assert not (mini / "demand_windows.csv").exists()
    assert after["requests"].sum() == before["requests"].sum() + len(frame)
    assert len(after) == len(before) + (after["use_case_id"] == "models").sum()


def test_a_table_of_another_engine_is_aggregated_where_it_lies(empty, tmp_path):
    frame = log()
    with duckdb.connect(str(tmp_path / "lake.db")) as lake:
        lake.sql("SET TimeZone = 'UTC'")
        lake.sql("CREATE TABLE gateway AS SELECT * FROM frame")
    found = imported([Path("gateway")], empty, engine=f"duckdb://{tmp_path / 'lake.db'}")
    parts = imported([split(frame, tmp_path / "log")])
    assert {**found, "source": "", "written": ""} == {**parts, "source": "", "written": ""}
    with pytest.raises(InputError, match="table 'gatway' cannot be reached"):
        imported([Path("gatway")], engine=f"duckdb://{tmp_path / 'lake.db'}")


def test_size_decides_and_several_files_are_one_log(tmp_path, monkeypatch):
    folder = split(log(), tmp_path / "log")
    files = sorted(folder.iterdir())
    assert large.is_large([folder]) and large.is_large([folder / "*.parquet"]) and not large.is_large(files)
    monkeypatch.setattr(large, "LARGE_ROWS", 2_000)
    assert large.is_large(files) and not large.is_large(files[:1])
    assert imported(files, engine="")["rows_read"] == 3_000


def test_late_rows_contradictions_and_naive_times_are_told(tmp_path):
    rows = (
        ROW + ROW.replace("1,2026-10-05", "2,2026-12-05") + ROW.replace("1,", "3,", 1).replace(",50,500,", ",900,500,")
    )
    found = imported([write(tmp_path, HEAD + rows.replace("Z,", ","))])
    assert found["rows_left_out"] == {"after the day of import": 1}
    assert (found["rows_read"], found["rows_kept"], found["totals"]["input_tokens"]) == (3, 2, 200)
    texts = {item["text"]: item["rows"] for item in found["warnings"]}
    assert texts["first token after the last: their latencies are not used"] == 1
    assert texts["ts: 3 times without a zone were read as UTC"] == 3
    assert found["coverage"]["ttft_ms"] == 0.5
    assert found["workloads"]["chat"]["e2e_ms"]["p50"] == pytest.approx(500, rel=0.005)
    assert found["period"] == ["2026-10-05", "2026-10-05"]


def test_empty_clocks_and_cached_tokens_beyond_the_input_are_told(tmp_path):
    rows = ROW + ROW.replace("1,2026-10-05", "2,1970-01-01") + ROW.replace("1,", "3,", 1).replace(",10\n", ",900\n")
    path = write(tmp_path, HEAD + rows)
    found, small = imported([path]), imported([path], engine="")
    for name in ("rows_left_out", "totals", "teams", "coverage"):
        assert found[name] == small[name]
    assert found["totals"]["cached_tokens"] == 10
    assert {item["text"]: item["rows"] for item in found["warnings"]} == {
        "more cached than input tokens: are cached ones counted apart? They are not used": 1
    }


@pytest.mark.parametrize(
    "columns",
    [
        {"timestamp_utc": "datetime64[ns, UTC]"},
        {"timestamp_utc": "datetime64[us, Asia/Kolkata]"},
        {"status": "int64"},
        {"input_tokens": "float64"},
        {"input_tokens": "uint64"},
        {"e2e_ms": "float32", "ttft_ms": "float32"},
    ],
)
def test_columns_of_another_type_count_the_same(tmp_path, columns):
    frame = log(rows=300).astype(columns)
    frame.to_parquet(tmp_path / "log.parquet")
    found, small = imported([tmp_path / "log.parquet"]), imported([tmp_path / "log.parquet"], engine="")
    for name in ("rows_kept", "totals", "teams", "coverage", "period"):
        assert found[name] == small[name]


def test_seconds_in_a_column_of_milliseconds_are_named(tmp_path):
    found = imported([write(tmp_path, HEAD + ROW.replace(",50,500,", ",0.05,0.5,"))])
    texts = [item["text"] for item in found["warnings"]]
    assert texts[0].startswith("median end-to-end time of 0.")
    assert texts[1].startswith("median time to first token of 0.05 ms: seconds in a column of milliseconds?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + ROW + ROW.replace(",100,", ",-5,"), "row 3, column 'in_tokens': value '-5': must be 0 or more"),
        (HEAD + ROW.replace(",100,", ",many,"), "row 2, column 'in_tokens': value 'many': must be a whole number"),
        (HEAD + ROW.replace(",100,", ",1.5,"), "row 2, column 'in_tokens': value '1.5': must be a whole number"),
        (HEAD + ROW.replace(",50,", ",inf,"), "column 'ttft_ms': value 'inf': must be a finite number"),
        (HEAD + ROW.replace(",50,", ',"5,0",'), "column 'ttft_ms': value '5,0'"),
        (
            HEAD + ROW.replace("09:00:00Z", "9 o'clock"),
            "column 'ts': value \"2026-10-05T9 o'clock\": must be a UTC time",
        ),
        (HEAD + ROW.replace("-10-05", "-13-05"), "column 'ts': value '2026-13-05T09:00:00Z'"),
        (HEAD + ROW + ROW.replace("00Z,", "00,"), "row 3, column 'ts'.*has no zone while other rows have one"),
        (HEAD + ROW.replace("chat", ""), "row 2, column 'workload': a value is required"),
        (HEAD + ROW.replace(",200,", ",maybe,"), "row 2, column 'status': value 'maybe': is no status that is known"),
        (HEAD + ROW.replace("2026", "2027"), "holds no request up to the day of import"),
        (HEAD.replace("ts,", "when,") + ROW, "column 'ts': required column is missing"),
        (HEAD + "1,2\n", "cannot be read"),
        (HEAD.replace("team", "ts") + ROW, "the column is given twice"),
        ("", "the file is empty"),
        (HEAD, "row 2: holds a header and no requests"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_file_row_and_column(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        imported([write(tmp_path, text)])


def test_a_log_without_ids_or_with_many_says_what_was_compared(tmp_path, monkeypatch):
    frame = log()
    texts = [item["text"] for item in imported([split(frame.drop(columns="request_id"), tmp_path / "a")])["warnings"]]
    assert "no request ids: a row delivered twice would be counted twice" in texts
    monkeypatch.setattr(large, "IDS_COMPARED", 1_000)
    texts = [item["text"] for item in imported([split(frame, tmp_path / "b")])["warnings"]]
    assert "request ids: 1 in 3 was compared with all others, none stands twice" in texts
    twice = pd.concat([frame, frame], ignore_index=True)
    assert imported([split(twice, tmp_path / "c")])["rows_kept"] == len(frame)
    texts = [item["text"] for item in imported([split(with_repeats(frame), tmp_path / "d")])["warnings"]]
    assert texts[-1].endswith("counted as a request of its own (among 1 in 4 identifiers)")


def test_the_command_takes_a_pattern_and_prints_json(tmp_path):
    folder = split(log(), tmp_path / "log")
    done = CliRunner().invoke(app, ["import", "telemetry", str(folder / "*.parquet"), "--json"])
    assert json.loads(done.output)["format"] == "request rows, aggregated"


def test_a_part_that_is_no_part_is_refused(empty, tmp_path):
    imported([split(log(), tmp_path / "log")], empty)
    write(empty / "demand_windows", "x", "notes.txt")
    with pytest.raises(InputError, match=r"demand_windows/notes.txt: is no part of this table"):
        load_workspace(empty)


@pytest.mark.parametrize("sign", [";", "\t", "|"])
def test_large_files_may_separate_cells_by_other_signs(tmp_path, sign):
    folder = tmp_path / "other"
    folder.mkdir()
    for n in range(3):
        log().iloc[n::3].to_csv(folder / f"part-{n}.csv", index=False, sep=sign)
    told = imported([split(log(), tmp_path / "commas", suffix=".csv")])
    assert imported([folder]) == told


def test_large_files_with_decimal_commas_name_the_cell(tmp_path):
    folder = tmp_path / "german"
    folder.mkdir()
    log(rows=20).assign(e2e_ms=1234.5).to_csv(folder / "log.csv", index=False, sep=";", decimal=",")
    with pytest.raises(InputError, match="log.csv, row 2, column 'ttft_ms'.*,.*decimal point"):
        imported([folder])


def test_large_files_of_different_separators_are_imported_apart(tmp_path):
    folder = split(log(), tmp_path / "mixed", suffix=".csv")
    log().to_csv(folder / "part-1.csv", index=False, sep=";")
    with pytest.raises(InputError, match="part-1.csv.*other separators than part-0.csv"):
        imported([folder])
