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
from aifactory.inputs.importers.telemetry.prometheus import (
    bucket_interval,
    counter_increase,
    metric_table,
    read_answer,
    read_month,
    window_counts,
)
from aifactory.inputs.importers.telemetry.prometheus.aliases import (
    known_metric,
    near_metrics,
    select_metrics,
    unused_metrics,
)
from aifactory.inputs.importers.telemetry.prometheus.answers import Series
from aifactory.inputs.importers.telemetry.prometheus.assemble import Month, assemble
from aifactory.inputs.importers.telemetry.prometheus.counters import merge_histograms, whole_counts
from aifactory.inputs.importers.telemetry.prometheus.live import Samples, leave_out_replicas
from aifactory.inputs.importers.telemetry.prometheus.pools import PoolNames, add_pools
from aifactory.inputs.importers.telemetry.prometheus.report import demand_table
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


@settings(max_examples=60)
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


@settings(max_examples=60)
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
    assert (table.loc[table["unit"].isin(["ms", "tokens", "requests", "fraction", "W", "J"]), "factor"] == 1).all()
    latencies = table["canonical"].str.endswith("_ms")
    assert set(table.loc[latencies, "kind"]) == {"histogram"}
    assert set(table.loc[~latencies, "kind"]) == {"counter", "gauge"}
    assert table.notna().all().all()
    assert set(table["engine"]) == {
        "vLLM", "SGLang", "TGI", "Triton", "NIM for LLMs", "TensorRT-LLM serve", "Ray Serve LLM", "DCGM exporter",
        "OpenTelemetry GenAI client", "OpenTelemetry GenAI server", "LMDeploy", "Dynamo frontend", "llama.cpp server",
    }  # fmt: skip
    for _, part in table[table["engine"] != "llama.cpp server"].groupby(
        "engine"
    ):  # whoever serves also counts: requests and tokens, or a device
        assert {"served", "device_utilization"} & set(part["canonical"])


def test_names_are_found_with_and_without_their_endings():
    assert known_metric("vllm:prefix_cache_hits") == "vllm:prefix_cache_hits_total"
    assert known_metric("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total") == "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    assert known_metric("vllm:time_to_first_token_seconds_bucket") == "vllm:time_to_first_token_seconds"
    assert known_metric("vllm:time_to_first_token_seconds_sum") is None
    assert known_metric("up") is None
    # Ray offers its counters with and without _total: they are read once
    both = [
        "ray_vllm_prompt_tokens",
        "ray_vllm_prompt_tokens_total",
        "tgi_request_duration_count",
        "tgi_request_duration_bucket",
    ]
    assert select_metrics(both) == {
        "ray_vllm_prompt_tokens_total": "ray_vllm_prompt_tokens_total", "tgi_request_duration": "tgi_request_duration_bucket",
    }  # fmt: skip
    assert near_metrics(["vlm:prompt_tokens_total", "go_info"]) == [
        "vlm:prompt_tokens_total (near vllm:prompt_tokens_total)"
    ]


T0 = 1_790_812_800.0


def one(values, step=60.0, start=T0, **labels):
    values = np.array(values, dtype=float)
    return Series({"namespace": "chat", "region": "us", **labels}, start + step * np.arange(len(values)), values)


def minutes(series, windows, interval=60.0, born=None):
    return window_counts(series.times, series.values, T0 + 60.0 * np.arange(windows + 1), interval, born=born)


def test_a_gap_keeps_its_total_and_a_restart_in_it_does_not_fill_it():
    held = one([10, 20, 30])
    later = np.array([T0, T0 + 60, T0 + 600])
    counted = window_counts(later, np.array([10.0, 20, 74]), T0 + 60.0 * np.arange(11), 60)
    np.testing.assert_allclose(counted.increase, [10] + [6] * 9)
    np.testing.assert_allclose(counted.spread, [0] + [6] * 9)
    restarted = window_counts(later, np.array([10.0, 20, 7]), T0 + 60.0 * np.arange(11), 60)
    assert restarted.increase.tolist() == [10, 0, 0, 0, 0, 0, 0, 0, 0, 7]
    assert restarted.covered.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert minutes(held, 2).increase.tolist() == [10, 10]


def test_what_a_restart_costs_is_told_for_one_interval():
    times = np.array([T0, T0 + 60, T0 + 600])
    assert window_counts(times, np.array([10.0, 20, 7]), T0 + 60.0 * np.arange(11), 60).lost == 10.0
    assert window_counts(times[:2], np.array([10.0, 3]), T0 + 60.0 * np.arange(2), 60).lost == 0.0  # no rate is known
    assert minutes(one([0, 10, 4]), 3).lost == 6.0


def test_a_first_value_counts_if_it_can_be_new():
    assert minutes(one([5, 10, 15], start=T0 + 60), 3).increase.tolist() == [5, 5, 5]
    history = minutes(one([900, 905, 910], start=T0 + 60), 3)
    assert (history.increase.tolist(), history.history) == ([0, 5, 5], 900)
    assert minutes(one([900, 905, 910], start=T0 + 60), 3, born=True).increase.tolist() == [900, 5, 5]


@settings(max_examples=80)
@given(st.lists(st.integers(0, 500), min_size=3, max_size=60), st.data())
def test_windows_of_any_length_add_up_to_the_counter(steps, data):
    values = np.cumsum([0, *steps]).astype(float)
    kept = sorted({0, len(values) - 1} | set(data.draw(st.lists(st.integers(0, len(values) - 1), max_size=20))))
    times = T0 + 60.0 * np.array(kept)
    edges = np.unique(np.append(np.arange(T0, times[-1], data.draw(st.sampled_from([30.0, 60.0, 137.0]))), times[-1]))
    counted = window_counts(times, values[kept], edges, 60)
    assert counted.increase.sum() == pytest.approx(values[-1])
    assert (counted.increase >= -1e-9).all()
    assert whole_counts(counted.increase).sum() == values[-1]


@settings(max_examples=60)
@given(
    st.lists(st.floats(0.001, 100), min_size=1, max_size=200), st.integers(0, 199), st.sampled_from([0.5, 0.95, 0.99])
)
def test_the_interval_holds_the_quantile_though_some_are_lost(values, lost, q):
    bounds, values = np.array([0.01, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0, np.inf]), np.array(values)
    kept = values[min(lost, len(values) - 1) :]
    cumulative = np.array([(kept <= bound).sum() for bound in bounds], dtype=float)
    low, high = bucket_interval(bounds, cumulative, q, unknown=len(values) - len(kept))
    assert low <= np.quantile(values, q, method="inverted_cdf") <= high


def test_histograms_of_other_buckets_are_added_over_what_they_share():
    fine = (np.array([1.0, 2.0, 4.0, np.inf]), np.array([1.0, 5.0, 6.0, 8.0]))
    coarse = (np.array([2.0, np.inf]), np.array([3.0, 4.0]))
    bounds, total, other = merge_histograms([fine, coarse])
    assert (bounds.tolist(), total.tolist(), other) == ([2.0, np.inf], [8.0, 12.0], 1)


def month_of(minutes=10, **series):
    samples = Samples(T0, T0 + 60.0 * minutes)
    for metric, held in series.items():
        samples.series[metric.replace("__", ":", 1)] = held
        samples.intervals[metric.replace("__", ":", 1)] = 60.0
    return samples


def bucket(le, values, **labels):
    return one(values, le=le, **labels)


def test_a_histogram_without_its_last_bucket_gives_no_quantile():
    month = assemble(
        month_of(vllm__e2e_request_latency_seconds=[bucket("1.0", [0, 5, 9]), bucket("x", [0, 5, 9])]), 10, {}
    )
    assert month.histograms == {}
    assert (
        "vllm:e2e_request_latency_seconds: series without a bound or without the bucket +Inf, left out",
        2,
    ) in month.warnings


def test_buckets_that_fall_are_raised_and_named():
    held = [bucket("1.0", [0, 8]), bucket("2.0", [0, 6]), bucket("+Inf", [0, 10])]
    month = assemble(month_of(vllm__e2e_request_latency_seconds=held), 10, {})
    assert month.histograms["chat", "e2e_ms"][1].tolist() == [8.0, 8.0, 10.0]
    assert (
        "vllm:e2e_request_latency_seconds: buckets that count fewer than the one below, raised to it",
        1,
    ) in month.warnings


def test_a_percentage_where_a_fraction_is_due_is_left_out_and_named():
    month = assemble(month_of(vllm__kv_cache_usage_perc=[one([0.5, 55, 0.5])]), 10, {})
    assert month.gauges["chat", "kv_cache_utilization"] == {"mean": 0.5, "max": 0.5}
    assert ("vllm:kv_cache_usage_perc: samples below 0 or above 1 (a fraction is due), left out", 1) in month.warnings


def test_work_that_a_gateway_tells_too_counts_once():
    """8 requests at the gateway, 6 served; its engine counts the same 6 and its cache, which the gateway does not."""
    held = month_of(
        dynamo_frontend_requests_total=[one([0, 6], status="success"), one([0, 2], status="error")],
        dynamo_frontend_output_sequence_tokens_sum=[one([0, 600])],
        dynamo_frontend_queued_requests=[one([3, 3])],
        vllm__request_success_total=[one([0, 6], pod="w", finished_reason="stop")],
        vllm__generation_tokens_total=[one([0, 600], pod="w")],
        vllm__num_requests_waiting=[one([2, 2], pod="w")],
        vllm__prefix_cache_hits_total=[one([0, 50], pod="w")],
    )
    month = assemble(held, 10, {})
    row = demand_table("x", month, "", {}).iloc[0]
    counts = row[["requests", "errors", "output_tokens", "cached_input_tokens"]]
    assert counts.tolist() == [8, 2, 600, 50]
    assert month.gauges["chat", "queue_depth"]["mean"] == 3.0
    text = "vllm:request_success_total: series of engines behind a gateway that tells the same of the workload, counted once"
    assert (text, 1) in month.warnings and not any("a request counts twice" in said for said, _ in month.warnings)


def test_an_engine_without_a_gateway_counts_its_own():
    held = month_of(
        dynamo_frontend_requests_total=[one([0, 6])], vllm__request_success_total=[one([0, 4], namespace="other")]
    )
    assert demand_table("x", assemble(held, 10, {}), "", {})["requests"].tolist() == [6, 4]


def test_requests_of_lmdeploy_that_ended_otherwise_are_errors():
    reasons = {"FINISH": 5, "SUCCESS": 1, "CANCEL": 2, "INTERNAL_ENGINE_ERROR": 3}
    series = [one([0, count], finished_reason=f"ResponseType.{name}") for name, count in reasons.items()]
    row = demand_table("x", assemble(month_of(lmdeploy__request_success_total=series), 10, {}), "", {}).iloc[0]
    assert row[["requests", "errors"]].tolist() == [11, 5]


def test_a_server_that_counts_no_requests_is_said_to(tmp_path):
    held = month_of(llamacpp__prompt_tokens_total=[one([0, 90])], llamacpp__tokens_predicted_total=[one([0, 9])])
    month = assemble(held, 10, {})
    assert len(demand_table("x", month, "", {})) == 0
    said = dict(month.warnings)
    assert said["windows with tokens but no count of requests, left out of the table"] == 1
    rule = "llamacpp:prompt_tokens_total: counts prompt tokens that were computed, not those found in the cache"
    assert said[rule] == 1


@pytest.mark.parametrize(
    "name", ["lmdeploy:num_requests_failed", "dynamo_frontend_model_migration_total", "llamacpp:n_decode_total"]
)
def test_metrics_of_a_known_family_that_are_not_used_are_named(name):
    assert unused_metrics([name], {}) == [name]


def test_received_requests_win_over_served_and_failed_ones():
    month = assemble(
        month_of(tgi_request_count=[one([0, 9])], tgi_request_success=[one([0, 7])], tgi_request_failure=[one([0, 2])]),
        10,
        {},
    )
    rows = demand_table("x", month, "", {})
    assert rows[["requests", "errors", "service_units"]].iloc[0].tolist() == [9, 2, 7.0]


def test_a_pod_that_tells_twice_counts_once():
    """Newer builds give a metric under its old and its new name."""
    held = {"vllm__kv_cache_usage_perc": [one([0.5, 0.5], pod="a")], "vllm__gpu_cache_usage_perc": [one([0.5, 0.5], pod="a"), one([0.3, 0.3], pod="old")],
            "vllm__prompt_tokens_total": [one([0, 9], pod="a")], "prompt_tokens_total": [one([0, 9], pod="a")]}  # fmt: skip
    month = assemble(month_of(**held), 10, {})
    assert month.windows["input_tokens"].sum() == 9
    assert (
        "prompt_tokens_total: series of targets that tell the same as vllm:prompt_tokens_total, counted once",
        1,
    ) in month.warnings
    assert (
        "vllm:gpu_cache_usage_perc: series of targets that tell the same as vllm:kv_cache_usage_perc, counted once",
        1,
    ) in month.warnings


def test_devices_of_two_exporters_are_one():
    month = Month(pd.DataFrame(), 10)
    samples = month_of(
        DCGM_FI_DEV_GPU_UTIL=[one([40, 60], UUID="g")], nv_gpu_utilization=[one([0.4, 0.6], gpu_uuid="g")]
    )
    samples.series["DCGM_FI_DEV_GPU_UTIL"][0].labels["cluster"] = "c"
    add_pools(month, samples, PoolNames(region="us"))
    assert month.devices == {"c": {"devices": 1, "utilization": 0.5}}
    assert ("series of accelerators beside those of DCGM exporter, left out: they may be the same", 1) in month.warnings


def test_two_servers_that_scrape_one_target_count_it_once():
    pair = [one(np.arange(9) * 10 + shift, prometheus_replica=name) for name, shift in (("a", 0), ("b", 0))]
    samples = month_of(vllm__prompt_tokens_total=pair)
    leave_out_replicas(samples)
    assert len(samples.series["vllm:prompt_tokens_total"]) == 1
    # a label that may tell real pods apart is dropped only where counters run level
    for shift, kept in ((3, 1), (5000, 2)):
        pods = [one(np.arange(9) * 10, replica="a"), one(np.arange(9) * 10 + shift, replica="b")]
        samples = month_of(vllm__prompt_tokens_total=pods)
        leave_out_replicas(samples)
        assert len(samples.series["vllm:prompt_tokens_total"]) == kept


@pytest.mark.parametrize(("shift", "kept"), [(3, 1), (5000, 2)])
def test_ranks_of_an_engine_count_once_where_they_run_level(shift, kept):
    ranks = [one(np.arange(9) * 10 + more, tp_rank=rank) for rank, more in (("0", 0), ("1", shift))]
    samples = month_of(vllm__prompt_tokens_total=ranks)
    leave_out_replicas(samples)
    assert len(samples.series["vllm:prompt_tokens_total"]) == kept
    assert any("other ranks of an engine" in text for text, _ in samples.warnings) == (kept == 1)


def test_engines_that_prefill_count_only_where_none_decodes():
    pods = [one(np.arange(9) * 10, pod=pod, llm_d_ai_role=role) for pod, role in (("a", "prefill"), ("b", "decode"))]
    alone = one(np.arange(9) * 10, pod="c", engine_type="prefill", model_name="other")
    waits = bucket("+Inf", np.arange(9), engine_type="prefill")
    samples = month_of(vllm__prompt_tokens_total=[*pods, alone], vllm__time_to_first_token_seconds=[waits])
    leave_out_replicas(samples)
    assert [item.labels["pod"] for item in samples.series["vllm:prompt_tokens_total"]] == ["b", "c"]
    assert len(samples.series["vllm:time_to_first_token_seconds"]) == 1
    assert samples.warnings == [("vllm:prompt_tokens_total: series of engines that only prefill, left out", 1)]


def told(text):
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": text}})


LABELS = {"__name__": "vllm:prompt_tokens_total", "pod": "a"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ('{"status": "succ', "is not JSON"),
        ("[" * 200_000, "nested too deeply"),
        ("[1]", "is no answer of Prometheus"),
        ('{"status": "error", "error": "too many"}', "answered with an error: too many"),
        ('{"status": "success"}', "column 'resultType'"),
        ('{"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}', "value 'scalar': must hold series"),
        ('{"status": "success", "data": {"resultType": "matrix", "result": {}}}', "column 'result': must be a list"),
        (told([]), "holds no series"),
        (told([[1, 2]]), "row 1: holds a series without labels"),
        (told([{"metric": LABELS, "values": [[T0, "1", 2]]}]), 'series vllm:prompt_tokens_total{pod="a"} must hold pairs'),
        (told([{"metric": LABELS, "values": [[T0, "many"]]}]), "row 1, column 'value': value 'many': series vllm:prompt_tokens_total"),
        (told([{"metric": LABELS, "values": [[T0, None]]}]), "column 'value': value 'None'"),
        (told([{"metric": LABELS, "values": [[T0, True]]}]), "column 'value': value 'True'"),
        (told([{"metric": LABELS, "values": [[T0, "1"], [T0 + 60, "-5"]]}]), "column 'value': value '-5': .*must be 0 or more"),
        (told([{"metric": LABELS, "values": [[T0, "1e308"]]}]), "column 'value': value '1e.308': .*below 1e.24"),
        (told([{"metric": LABELS, "values": [["noon", "1"]]}]), "column 'time': value 'noon'"),
        (told([{"metric": LABELS, "values": [[T0 * 1000, "1"]]}]), "must be seconds since 1970 .milliseconds"),
        (told([{"metric": LABELS, "values": [[T0 + 60, "1"], [T0, "2"]]}]), "column 'time': value '1790812800': .*times must rise"),
        (told([{"metric": LABELS, "values": [[T0, "1"], [T0, "2"]]}]), "none may come twice"),
        (told([{"metric": LABELS, "values": [[T0, "1"]]}] * 2), "row 2: series vllm:prompt_tokens_total.* is given twice"),
    ],
)  # fmt: skip
def test_faults_of_an_answer_are_named(tmp_path, text, words):
    path = tmp_path / "answer.json"
    path.write_text(text)
    with pytest.raises(InputError, match=words.replace("{", r"\{")) as caught:
        read_answer(path)
    assert str(caught.value).startswith("answer.json")


def test_numbers_that_are_none_are_read_as_such(tmp_path):
    path = tmp_path / "answer.json"
    path.write_text(
        told(
            [
                {
                    "metric": LABELS,
                    "values": [[T0, "NaN"], [T0 + 1, "+Inf"], [T0 + 2, "1e3"], [T0 + 3, "12345678901234567890"]],
                }
            ]
        )
    )
    values = read_answer(path)[0].values
    assert np.isnan(values[0]) and values[1] == np.inf and values[2:].tolist() == [1000.0, 12345678901234567890.0]


@pytest.fixture
def hour(tmp_path):
    """Two hours of one workload by hand; a point counts the hour before it."""
    start = 1_790_812_800  # 2026-10-01T00:00Z
    points = [[start + 3600, "10"], [start + 7200, "NaN"], [start + 10800, "30"]]
    raw = [[start, "5"], [start + 3600, "105"]]
    return folder_of(
        tmp_path,
        ok=("sum by (namespace,finished_reason) (increase(vllm:request_success_total[1h]))", 3600,
            answer(({"namespace": "chat", "finished_reason": "stop"}, points), ({"namespace": "chat", "finished_reason": "abort"}, [[start + 3600, "2"]]))),
        tokens=("sum by (namespace) (increase(vllm:prompt_tokens_total[1h]))", 3600, answer(({"namespace": "chat"}, [[start + 3600, "99.6"]]))),
        raw=("vllm:prompt_tokens_total", 3600, answer(({"__name__": "vllm:prompt_tokens_total", "namespace": "chat", "region": "us"}, raw))),
    )  # fmt: skip


def test_windows_by_hand(hour):
    read = read_month(hour)
    windows, report = read.windows, read.report
    assert windows["window_start_utc"].dt.strftime("%H:%M").tolist() == ["00:00", "02:00"]
    assert windows["requests"].tolist() == [12, 30]
    assert windows["errors"].tolist() == [2, 0]
    assert windows["service_units"].tolist() == [10.0, 30.0]
    assert windows["input_tokens"].tolist() == [100, pd.NA]
    assert set(windows["region"]) == {"us"}
    texts = [item["text"] for item in report["warnings"]]
    assert "chat: windows without a count of requests" in texts


@pytest.mark.parametrize("label", ["prometheus_replica", "__replica__"])
def test_a_folder_of_two_servers_that_scrape_one_target_counts_it_once(tmp_path, label):
    start, name = 1_790_812_800, "vllm:prompt_tokens_total"
    raw = [[start + 300 * n, str(7 * n)] for n in range(13)]
    steps = [[start + 3600, "10"], [start + 7200, "30"]]
    pair = [{"namespace": "chat", "region": "us", label: server} for server in ("a", "b")]
    read = read_month(
        folder_of(
            tmp_path,
            raw=(name, 300, answer(*(({"__name__": name} | labels, raw) for labels in pair))),
            ok=("increase(vllm:request_success_total[1h])", 3600, answer(*((labels, steps) for labels in pair))),
        )
    )
    assert (read.windows["input_tokens"].sum(), read.windows["requests"].sum()) == (84, 40)
    told = [item["text"] for item in read.report["warnings"] if "second server" in item["text"]]
    assert len(told) == 2


def test_the_windows_reach_the_workspace(hour, mini):
    (mini / "demand_windows.csv").unlink()
    report = import_files("telemetry", [hour], mini, Target(today=TODAY))[0]
    assert report["written"] == "demand_windows.parquet"
    assert load_workspace(mini).table("demand_windows")["requests"].sum() == 42


def test_two_months_that_share_their_midnight_follow_each_other(mini, tmp_path):
    """Range queries include both ends: the sample of the next midnight closes a day and begins no window."""
    (mini / "demand_windows.csv").unlink()
    (mini / "pools.csv").unlink(missing_ok=True)
    labels = {"model_name": "m", "region": "eu", "pod": "a"}
    device = {"UUID": "GPU-1", "modelName": "NVIDIA L4", "pool": "p", "region": "eu"}
    target = Target(today=TODAY, use_cases={"m": "chat"}, purchase_options={"p": "on_demand"})
    for day in (2, 3):
        start = int(pd.Timestamp(f"2026-11-{day:02d}", tz="UTC").timestamp())
        steps = [start + 3600 * hour for hour in range(25)]
        served = (labels, [[at, str(24 * 7 * (day - 2) + 7 * hour)] for hour, at in enumerate(steps)])
        used = (device, [[at, str(10 * day)] for at in steps])
        (tmp_path / str(day)).mkdir()
        folder = folder_of(
            tmp_path / str(day),
            ok=("vllm:request_success_total", 3600, answer(served)),
            used=("DCGM_FI_DEV_GPU_UTIL", 3600, answer(used)),
        )
        report = import_files("telemetry", [folder], mini, target)[0]
        assert not any("without a sample" in item["text"] for item in report["warnings"])
    workspace = load_workspace(mini, "2026-11")
    assert workspace.table("demand_windows")["requests"].tolist() == [7] * 48
    pools = workspace.table("pools")
    assert len(pools) == 48 and pools["window_start_utc"].is_unique
    assert pools["utilization"].to_numpy() == pytest.approx([0.2] * 24 + [0.3] * 24)


def test_buckets_reach_the_workspace_by_day_with_bounds_in_milliseconds(mini, tmp_path):
    """Two days of vLLM: 10 requests each, 8 within 0.1 s and 2 above; the second day 4 and 6."""
    start = int(pd.Timestamp("2026-11-02", tz="UTC").timestamp())
    name = "vllm:time_to_first_token_seconds_bucket"
    labels = {"model_name": "m", "region": "eu", "instance": "a"}
    steps = [start, start + 43_200, start + 86_400, start + 129_600, start + 172_800]
    series = [
        ({**labels, "__name__": name, "le": le}, [[at, str(value)] for at, value in zip(steps, values, strict=True)])
        for le, values in (("0.1", [0, 4, 8, 10, 12]), ("+Inf", [0, 5, 10, 15, 20]))
    ]
    served = ({**labels, "__name__": "vllm:request_success_total"}, [[at, str(5 * i)] for i, at in enumerate(steps)])
    folder = folder_of(tmp_path, ttft=(name, 43_200, answer(*series)), ok=("vllm:request_success_total", 43_200, answer(served)))  # fmt: skip
    report = import_files("telemetry", [folder], mini, Target(today=TODAY, use_cases={"m": "chat"}))[0]
    assert "latency_bounds.parquet" in report["written"]
    table = load_workspace(mini, "2026-11").table("latency_bounds")
    assert table["window_start_utc"].dt.day.tolist() == [2, 2, 3, 3]
    assert table[["lower_ms", "count"]].to_numpy().tolist() == [[0, 8], [100, 2], [0, 4], [100, 6]]
    assert table["upper_ms"].fillna(-1).tolist() == [100, -1, 100, -1]
    with pytest.raises(InputError, match="already holds"):
        import_files("telemetry", [folder], mini, Target(today=TODAY, use_cases={"m": "chat"}))


@pytest.mark.real
def test_a_month_of_a_real_server(shared_dir):
    truth = json.loads((shared_dir / MONTH / "truth.json").read_text())
    read = read_month(shared_dir / MONTH)
    windows, report = read.windows, read.report
    assert report["rows_left_out"] == {"answers without series": 3}
    unused = next(item for item in report["warnings"] if item["text"].startswith("answers that are not used"))
    assert unused["rows"] == 14  # 2 hourly and 9 monthly quantiles, a ratio, preemptions, energy
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
                inside += low <= exact[theirs][q] * 1000 <= (np.inf if high is None else high)
        raw = windows.loc[windows["use_case_id"] == name]
        assert raw["queue_depth_max"].max() == figures["queue_depth"]["max"]
    assert inside == 18
    latency = read.latency.groupby(["use_case_id", "region", "metric"])["count"].sum()
    assert len(latency) == 6
    for (name, _, _), counted in latency.items():  # the answers end with the 30th
        assert 0.9 * truth[f"workload:{name}"]["requests"] < counted <= truth[f"workload:{name}"]["requests"]
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
    with pytest.raises(InputError, match="holds no answers of Prometheus"):
        read_month(tmp_path)
    folder = folder_of(
        tmp_path,
        gauge=("sum(rate(vllm:prompt_tokens_total[5m]))", 60, answer(({"namespace": "a"}, [[1_790_812_800, "1"]]))),
    )
    with pytest.raises(InputError, match="no query_range answer of a raw counter or of increase"):
        read_month(folder)


def test_a_bound_that_is_no_number_is_left_out_and_a_name_no_file_can_have_is_said(tmp_path):
    at, served = 1_790_812_800, "sum(increase(vllm:request_success_total[1h]))"
    buckets = [({"namespace": "a", "le": le}, [[at, "4"]]) for le in ("0.1", "1,5", "+Inf")]
    folder = folder_of(
        tmp_path,
        ok=(served, 3600, answer(({"namespace": "a", "region": "eu"}, [[at, "4"]]))),
        ttft=("sum by (le) (increase(vllm:time_to_first_token_seconds_bucket[1h]))", 3600, answer(*buckets)),
    )
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps([*index, {"file": "x" * 5000, "query": served, "step_s": 3600}]))
    said = [item["text"] for item in read_month(folder).report["warnings"]]
    assert "ttft_ms: bounds of 1 series (le) are no numbers; left out" in said
    assert any("cannot be read: [Errno 36] File name too long" in text for text in said)


def test_an_index_does_not_lead_out_of_its_folder(tmp_path):
    folder = folder_of(tmp_path, a=("sum(increase(vllm:prompt_tokens_total[1h]))", 3600, "{}"))
    (folder / "index.json").write_text(
        json.dumps([{"file": "../../secret.json", "query": "increase(vllm:prompt_tokens_total[1h])"}])
    )
    with pytest.raises(InputError):
        read_month(folder)
