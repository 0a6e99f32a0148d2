"""Answers of Prometheus: counters across resets and gaps, histograms as intervals, errors in words."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.telemetry import read_telemetry
from aifactory.inputs.importers.telemetry.month import read_month
from aifactory.inputs.importers.telemetry.prometheus import (
    bucket_interval,
    counter_increase,
    metric_table,
    read_answer,
    read_answers,
)
from aifactory.inputs.workspace import load_workspace

MONTH = "data/telemetry/prometheus_vllm_2026_10"
TODAY = pd.Timestamp("2026-11-24", tz="UTC")


def answer(*series):
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [
        {"metric": labels, "values": values} for labels, values in series
    ]}})  # fmt: skip


def folder_of(tmp_path, **files):
    """A folder with answers and their index; files maps name -> (query, step, text)."""
    folder = tmp_path / "answers"
    folder.mkdir()
    index = []
    for name, (query, step, text) in files.items():
        (folder / f"{name}.json").write_text(text)
        index.append({"file": f"{name}.json", "endpoint": "query_range", "query": query, "step_s": step})
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def test_a_reset_counts_from_zero():
    assert counter_increase(np.array([5.0, 9.0, 3.0, 3.0, 4.0])).tolist() == [4.0, 3.0, 0.0, 1.0]
    assert counter_increase(np.array([7.0])).tolist() == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=50), st.integers(0, 49))
def test_increases_add_up_whatever_resets(steps, reset_at):
    """A counter that restarts right after a sample loses nothing."""
    values, level = [0.0], 0.0
    for number, step in enumerate(steps):
        level = (0.0 if number == reset_at else level) + step
        values.append(level)
    before = values[reset_at] if reset_at < len(steps) else 0.0
    found = counter_increase(np.array(values)).sum()
    # a first step after the reset that climbs above the old level cannot be told from growth
    hidden = before if reset_at < len(steps) and values[reset_at + 1] >= before else 0.0
    assert found == sum(steps) - hidden


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_interval_holds_the_quantile(values, q):
    bounds = np.array([0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0, np.inf])
    cumulative = np.array([(np.array(values) <= bound).sum() for bound in bounds], dtype=float)
    low, high = bucket_interval(bounds, cumulative, q)
    assert low <= np.quantile(values, q, method="inverted_cdf") <= high


def test_an_empty_histogram_has_no_quantile():
    assert np.isnan(bucket_interval(np.array([1.0, np.inf]), np.array([0.0, 0.0]), 0.5)).all()


def test_each_metric_has_one_canonical_name():
    table = metric_table()
    assert table.index.is_unique
    assert (table.loc[table["unit"] == "s", "factor"] == 1000).all()
    assert set(table["canonical"]) <= {
        "ttft_ms",
        "e2e_ms",
        "queue_ms",
        "tpot_ms",
        "requests",
        "errors",
        "input_tokens",
        "output_tokens",
        "cached_input_tokens",
    }


@pytest.fixture
def hour(tmp_path):
    """Two hours of one workload by hand; a point counts the hour before it."""
    start = 1_790_812_800  # 2026-10-01T00:00Z
    points = [[start + 3600, "10"], [start + 7200, "NaN"], [start + 10800, "30"]]
    raw = [[start, "5"], [start + 3600, "7"]]
    return folder_of(
        tmp_path,
        ok=("sum by (namespace,finished_reason) (increase(vllm:request_success_total[1h]))", 3600,
            answer(({"namespace": "chat", "finished_reason": "stop"}, points), ({"namespace": "chat", "finished_reason": "abort"}, [[start + 3600, "2"]]))),
        tokens=("sum by (namespace) (increase(vllm:prompt_tokens_total[1h]))", 3600, answer(({"namespace": "chat"}, [[start + 3600, "99.6"]]))),
        raw=("vllm:prompt_tokens_total", 3600, answer(({"__name__": "vllm:prompt_tokens_total", "namespace": "chat", "region": "us"}, raw))),
    )  # fmt: skip


def test_windows_by_hand(hour):
    windows, report = read_month(hour)
    assert windows["window_start_utc"].dt.strftime("%H:%M").tolist() == ["00:00", "02:00"]
    assert windows["requests"].tolist() == [12, 30]
    assert windows["errors"].tolist() == [2, 0]
    assert windows["service_units"].tolist() == [10.0, 30.0]
    assert windows["input_tokens"].tolist() == [100, pd.NA]
    assert set(windows["region"]) == {"us"}
    texts = [item["text"] for item in report["warnings"]]
    assert "chat: windows without a count of requests" in texts


def test_the_windows_reach_the_workspace(hour, mini):
    (mini / "demand_windows.csv").unlink()
    report = import_files("telemetry", [hour], mini, Target(today=TODAY))[0]
    assert report["written"] == "demand_windows.parquet"
    assert load_workspace(mini).table("demand_windows")["requests"].sum() == 42


@pytest.mark.real
def test_a_month_of_a_real_server(shared_dir):
    truth = json.loads((shared_dir / MONTH / "truth.json").read_text())
    windows, report = read_month(shared_dir / MONTH)
    assert report["rows_left_out"] == {"answers without series": 3}
    inside = 0
    for name, figures in report["workloads"].items():
        exact = truth[f"workload:{name}"]
        assert figures["input_tokens"] == pytest.approx(exact["prompt_tokens"], rel=1e-3)
        assert figures["output_tokens"] == pytest.approx(exact["generation_tokens"], rel=1e-3)
        assert figures["requests"] == pytest.approx(
            exact["requests"], rel=0.01
        )  # 6 h of gap and the last hour are not in the hourly query
        for mine, theirs in (("ttft_ms", "ttft_s"), ("e2e_ms", "e2e_s")):
            for q, (low, high) in figures[mine].items():
                inside += low <= exact[theirs][q] * 1000 <= high
    assert inside == 18
    regions = windows.groupby("use_case_id")["region"].first().to_dict()
    assert regions == {"chat-api": "us-east-1", "code-assist": "eu-west-1", "doc-summary": "eu-west-1"}


@pytest.mark.real
def test_raw_counters_equal_the_truth_across_a_reset_and_a_gap(shared_dir):
    truth = json.loads((shared_dir / MONTH / "truth.json").read_text())
    for one in read_answer(shared_dir / MONTH / "raw_prompt_tokens_counter_15m.json.gz"):
        counted = one.values[0] + counter_increase(one.values).sum()
        assert counted == pytest.approx(truth[one.labels["pod"]]["prompt_tokens"], rel=2e-3)


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("error_too_many_points.json.gz", "11,000 points per timeseries.*shorter range"),
        ("error_bad_query.json.gz", "unclosed left parenthesis"),
        ("empty_result.json.gz", "holds no series: check the name of the metric"),
    ],
)
def test_errors_of_the_server_are_told_in_its_words(shared_dir, file, words):
    with pytest.raises(InputError, match=words):
        read_answer(shared_dir / MONTH / file)


@pytest.mark.real
@pytest.mark.parametrize(("case", "words"), [("47", "11,000 points"), ("49", "holds no series"), ("71", "JSON")])
def test_bad_answers_are_refused_in_words(shared_dir, case, words):
    with pytest.raises(InputError, match=words):
        read_telemetry(next((shared_dir / "data/bad_inputs").glob(f"{case}_*")), TODAY)


def test_a_folder_without_an_index_or_counters_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"index\.json: must list the answers"):
        read_answers(tmp_path)
    folder = folder_of(tmp_path, gauge=("vllm:num_requests_waiting", 60, answer(({"namespace": "a"}, [[0, "1"]]))))
    with pytest.raises(InputError, match="no query_range answer of increase"):
        read_answers(folder)


def test_an_index_does_not_lead_out_of_its_folder(tmp_path):
    folder = folder_of(tmp_path, a=("sum(increase(vllm:prompt_tokens_total[1h]))", 3600, "{}"))
    (folder / "index.json").write_text(
        json.dumps([{"file": "../../secret.json", "query": "increase(vllm:prompt_tokens_total[1h])"}])
    )
    with pytest.raises(InputError):
        read_answers(folder)
