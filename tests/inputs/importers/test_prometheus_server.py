"""A real Prometheus server, filled with simulated requests of known truth: resets, gaps, pods that come and go."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.telemetry.prometheus import PoolNames, read_server
from aifactory.inputs.importers.telemetry.prometheus.server import open_server
from aifactory.inventory.latency import quantile_interval

PERIOD = "2026-10-01..2026-10-03"
START, END = (pd.Timestamp(day, tz="UTC").timestamp() for day in ("2026-10-01", "2026-10-04"))
FIRST, LAST = START - 12 * 3600, END + 3 * 3600
SCRAPE = 120.0
HOUR = 3600.0
BOUNDS = {"ttft": [0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0], "e2e": [0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]}
FAMILY = {"ttft": "vllm:time_to_first_token_seconds", "e2e": "vllm:e2e_request_latency_seconds"}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
NAMES = PoolNames(
    labels={"pool": "exported_namespace"}, accelerators={"NVIDIA H100 80GB HBM3": "nvidia-h100-sxm"}, purchase_options={"*": "reserved_1y"}
)  # fmt: skip


@dataclass
class Pod:
    """One pod: when it runs, when it is scraped, at which times it restarts, how busy it is."""

    workload: str
    name: str
    per_hour: float
    seed: int
    region: str = "eu-west-1"
    start: float = FIRST
    restarts: list[tuple[float, float]] = field(default_factory=list)  # (stops, runs again)
    unseen: list[tuple[float, float]] = field(default_factory=list)  # not scraped, but running

    def requests(self):
        """Finished requests while the pod runs."""
        draw = np.random.default_rng(self.seed)
        count = draw.poisson(self.per_hour * (LAST - self.start) / HOUR)
        at = np.sort(draw.uniform(self.start, LAST, count))
        busy = 0.55 + 0.45 * np.sin(2 * np.pi * (at - START) / 86_400)
        at = at[draw.uniform(size=count) < busy]
        for stop, again in self.restarts:
            at = at[(at < stop) | (at >= again)]
        ttft = draw.lognormal(np.log(0.12), 0.9, len(at))
        return pd.DataFrame({
            "at": at, "input": draw.integers(50, 4000, len(at)), "output": draw.integers(1, 800, len(at)), "ttft": ttft,
            "e2e": ttft + draw.lognormal(np.log(4), 0.8, len(at)), "abort": draw.uniform(size=len(at)) < 0.004,
        })  # fmt: skip

    def scrapes(self):
        at = np.arange(np.ceil(self.start / SCRAPE) * SCRAPE + self.seed % 7, LAST, SCRAPE)
        for low, high in self.restarts + self.unseen:
            at = at[(at < low) | (at >= high)]
        return at

    def since(self, at):
        """Start of the process that runs at each time."""
        begun = np.full(len(at), self.start)
        for _, again in self.restarts:
            begun = np.where(at >= again, again, begun)
        return begun


PODS = [
    Pod("chat", "chat-0", 900, 1, "us-east-1"),
    Pod("chat", "chat-1", 700, 2, "us-east-1", restarts=[(START + 30.31 * HOUR, START + 30.35 * HOUR)]),
    Pod("chat", "chat-2", 800, 3, "us-east-1", start=START + 50.52 * HOUR),
    Pod("code", "code-0", 600, 4, unseen=[(START + 33.2 * HOUR, START + 38.4 * HOUR)]),
    Pod("docs", "docs-0", 500, 5, restarts=[(START + 12.07 * HOUR, START + 15.02 * HOUR)]),
    Pod("idle", "idle-0", 0, 6),
]


def counted(requests, at, since, weight=None):
    """Value of a counter at each scrape: what was counted since the process started."""
    held = np.concatenate([[0.0], np.cumsum(np.ones(len(requests)) if weight is None else weight)])
    return held[np.searchsorted(requests, at, side="right")] - held[np.searchsorted(requests, since, side="left")]


def lines(name, labels, at, values):
    inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return [f"{name}{{{inner}}} {value:g} {stamp:.3f}" if value != round(value) else f"{name}{{{inner}}} {value:.0f} {stamp:.3f}"
            for stamp, value in zip(at, values, strict=True) if np.isfinite(value)] if name else []  # fmt: skip


def open_metrics(requests):
    """OpenMetrics text of all pods and two devices."""
    text = {}
    for pod in PODS:
        rows, at = requests[pod.name], pod.scrapes()
        since, when = pod.since(at), rows["at"].to_numpy()
        labels = {
            "namespace": pod.workload,
            "pod": pod.name,
            "instance": f"{pod.name}:8000",
            "model_name": "m",
            "region": pod.region,
        }
        for name, weight in (("vllm:prompt_tokens", rows["input"]), ("vllm:generation_tokens", rows["output"])):
            text.setdefault((name, "counter"), []).extend(
                lines(f"{name}_total", labels, at, counted(when, at, since, weight))
            )
        for reason, flag in (("stop", ~rows["abort"]), ("abort", rows["abort"])):
            values = counted(when[flag], at, since)
            shown = values > 0 if reason == "abort" else values >= 0  # a reason appears with its first request
            text.setdefault(("vllm:request_success", "counter"), []).extend(
                lines("vllm:request_success_total", labels | {"finished_reason": reason}, at[shown], values[shown])
            )
        for short, bounds in BOUNDS.items():
            family = text.setdefault((FAMILY[short], "histogram"), [])
            for bound in [*bounds, np.inf]:
                values = counted(when[rows[short] <= bound], at, since)
                le = "+Inf" if bound == np.inf else str(bound)
                family += lines(f"{FAMILY[short]}_bucket", labels | {"le": le}, at, values)
            family += lines(f"{FAMILY[short]}_count", labels, at, counted(when, at, since))
            family += lines(f"{FAMILY[short]}_sum", labels, at, counted(when, at, since, rows[short]))
        waiting = np.floor(3 + 3 * np.sin(at / 5000)) * (pod.per_hour > 0)
        text.setdefault(("vllm:num_requests_waiting", "gauge"), []).extend(
            lines("vllm:num_requests_waiting", labels, at, waiting)
        )
        usage = text.setdefault(("vllm:kv_cache_usage_perc", "gauge"), [])
        if pod.per_hour:
            usage += lines("vllm:kv_cache_usage_perc", labels, at, np.full(len(at), 0.25))
        else:
            usage += [
                line.replace(" 7 ", " NaN ")
                for line in lines("vllm:kv_cache_usage_perc", labels, at, np.full(len(at), 7.0))
            ]
    at = np.arange(FIRST, LAST, SCRAPE)
    for number in range(2):
        labels = {
            "exported_namespace": "chat",
            "UUID": f"GPU-{number}",
            "modelName": "NVIDIA H100 80GB HBM3",
            "Hostname": "n1",
        }
        for name, kind, value in (("DCGM_FI_DEV_GPU_UTIL", "gauge", np.full(len(at), 40.0 + 20 * number)), ("DCGM_FI_DEV_POWER_USAGE", "gauge", np.full(len(at), 300.0)),
                                  ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter", 300_000.0 * (at - FIRST))):  # fmt: skip
            shown = f"{name}_total" if kind == "counter" else name
            text.setdefault((name, kind), []).extend(lines(shown, labels, at, value))
    text["vllm:some_new_metric", "gauge"] = [
        f"vllm:some_new_metric 1 {START:.3f}",
        f"vllm:some_new_metric 1 {START + 60:.3f}",
    ]
    parts = [f"# TYPE {name} {kind}\n" + "\n".join(held) for (name, kind), held in text.items()]
    return "\n".join(parts) + "\n# EOF\n"


@pytest.fixture(scope="module")
def world():
    return {pod.name: pod.requests() for pod in PODS}


@pytest.fixture(scope="module")
def truth(world):
    """Requests that finished in the period, by workload."""
    frame = pd.concat([world[pod.name].assign(workload=pod.workload) for pod in PODS])
    return frame[(frame["at"] >= START) & (frame["at"] < END)]


@pytest.fixture(scope="module")
def address(world, tmp_path_factory):
    """Address of the server; it is stopped by its process."""
    programs = [shutil.which(name) for name in ("prometheus", "promtool")]
    if not all(programs):
        pytest.skip("Debian's package prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "metrics.txt").write_text(open_metrics(world))
    (folder / "prometheus.yml").write_text("global: {}\n")
    made = subprocess.run(
        [programs[1], "tsdb", "create-blocks-from", "--max-block-duration=240h", "openmetrics", "metrics.txt", "data"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-500:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [programs[0], "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=50y", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/-/ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(address):
    for _ in range(100):
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(address, timeout=1).status == 200:  # noqa: S310
                return
        time.sleep(0.1)
    pytest.fail("the server did not start")


@pytest.fixture(scope="module")
def read(address):
    return read_server(address, PERIOD, NAMES, {})


def test_totals_are_the_truth_within_a_thousandth(read, truth):
    for workload, rows in truth.groupby("workload"):
        mine = read.report["workloads"][workload]
        for name, exact in (
            ("requests", len(rows)),
            ("input_tokens", rows["input"].sum()),
            ("output_tokens", rows["output"].sum()),
        ):
            assert mine[name] == pytest.approx(exact, rel=1e-3), (workload, name)
        assert mine["errors"] == pytest.approx(rows["abort"].sum(), abs=2)
    everything = read.report["totals"]
    assert everything["input_tokens"] == pytest.approx(truth["input"].sum(), rel=3e-4)
    assert everything["requests"] == pytest.approx(len(truth), rel=3e-4)


def test_every_quantile_lies_in_its_interval(read, truth):
    held = 0
    for workload, rows in truth.groupby("workload"):
        for short, canonical in (("ttft", "ttft_ms"), ("e2e", "e2e_ms")):
            for name, level in QUANTILES.items():
                exact = np.quantile(rows[short], level, method="inverted_cdf") * 1000
                low, high = read.report["workloads"][workload][canonical][name]
                assert low <= exact <= (np.inf if high is None else high)
                held += 1
    assert held == 18


def test_kept_buckets_hold_every_request_and_its_quantiles(read, truth):
    for (workload, _, metric), rows in read.latency.groupby(["use_case_id", "region", "metric"]):
        exact = truth[truth["workload"] == workload]
        column = {"ttft_ms": "ttft", "e2e_ms": "e2e"}.get(metric)
        if column is None:
            continue
        assert rows["count"].sum() == pytest.approx(len(exact), rel=2e-3)
        upper = rows["upper_ms"].fillna(np.inf).to_numpy()
        low, high = quantile_interval(rows["lower_ms"].to_numpy(), upper, rows["count"].to_numpy(), 0.95)
        assert low <= np.quantile(exact[column], 0.95, method="inverted_cdf") * 1000 <= high
    assert {"ttft_ms", "e2e_ms"} <= set(read.latency["metric"])


def test_windows_add_up_and_follow_the_truth(read, truth):
    windows = read.windows.groupby("use_case_id")["requests"].sum()
    assert windows.to_dict() == {name: figures["requests"] for name, figures in read.report["workloads"].items()}
    chat = truth[truth["workload"] == "chat"]
    exact = chat.groupby(((chat["at"] - START) // HOUR).astype(int)).size()
    mine = read.windows[read.windows["use_case_id"] == "chat"].set_index("window_start_utc")["requests"]
    at = ((mine.index - pd.Timestamp(START, unit="s", tz="UTC")) // pd.Timedelta(hours=1)).to_numpy()
    np.testing.assert_allclose(mine.to_numpy(), exact.reindex(at).to_numpy(), atol=45)
    assert (read.windows["errors"] <= read.windows["requests"]).all()


def test_an_hour_without_a_scrape_is_unknown_and_not_zero(read):
    docs = read.windows[read.windows["use_case_id"] == "docs"]
    hours = set((docs["window_start_utc"] - pd.Timestamp(START, unit="s", tz="UTC")) // pd.Timedelta(hours=1))
    assert set(range(72)) - hours == {13, 14}
    texts = {item["text"].split(":")[0]: item for item in read.report["warnings"]}
    assert texts["docs"]["rows"] == 2
    assert any("restarted; unknown, not zero" in item["text"] for item in read.report["warnings"])


def test_a_gap_without_a_restart_keeps_its_total(read, truth):
    code = read.windows[read.windows["use_case_id"] == "code"]
    assert len(code) == 72
    inside = code[
        (code["window_start_utc"] >= pd.Timestamp(START + 33 * HOUR, unit="s", tz="UTC"))
        & (code["window_start_utc"] < pd.Timestamp(START + 39 * HOUR, unit="s", tz="UTC"))
    ]
    exact = truth[(truth["workload"] == "code") & truth["at"].between(START + 33 * HOUR, START + 39 * HOUR)]
    assert inside["requests"].sum() == pytest.approx(len(exact), rel=0.01)
    assert any("laid evenly over the gap" in item["text"] for item in read.report["warnings"])


def test_restarts_are_named_with_what_they_cost(read):
    told = [item for item in read.report["warnings"] if item["text"].startswith("resets of counters")]
    assert told and told[0]["rows"] >= 2


def test_an_idle_pod_is_zero_demand_and_its_nan_is_counted(read):
    idle = read.windows[read.windows["use_case_id"] == "idle"]
    assert (len(idle), idle["requests"].sum()) == (72, 0)
    assert "ttft_ms" not in read.report["workloads"]["idle"]
    assert any("kv_cache_usage_perc: samples that are NaN" in item["text"] for item in read.report["warnings"])
    assert read.report["workloads"]["chat"]["kv_cache_utilization"] == {"mean": 0.25, "max": 0.25}


def test_queues_add_up_over_pods(read):
    chat = read.windows[read.windows["use_case_id"] == "chat"]
    assert chat["queue_depth_max"].max() == 15.0  # five waiting in each of three pods
    assert read.report["workloads"]["idle"]["queue_depth"]["max"] == 0.0


def test_devices_become_a_pool_and_are_not_written_without_a_region(read):
    energy = pytest.approx(0.6 * 72, rel=1e-3)  # two devices of 300 W
    assert read.report["pools"]["chat"] == {"devices": 2, "utilization": 0.5, "power_w": 600.0, "energy_kwh": energy}
    assert len(read.pools) == 0
    assert any("devices without region" in item["text"] for item in read.report["warnings"])


def test_with_a_region_the_pools_are_written(address, mini):
    target = Target(region="us-east-1", period=PERIOD, labels=NAMES.labels, accelerators={"NVIDIA H100 80GB HBM3": "nvidia-h100-sxm"},
                    purchase_options={"*": "reserved_1y"}, use_cases=dict.fromkeys(("chat", "code", "docs", "idle"), "chat"))  # fmt: skip
    report = import_files("telemetry", [address], mini, target, replace=True)[0]
    assert report["written"] == "demand_windows.parquet, pools.csv, latency_bounds.parquet"
    pools = pd.read_csv(mini / "pools.csv")
    mine = pools[pools["pool_id"] == "chat"]
    assert set(zip(mine["installed"], mine["utilization"], mine["power_w"], strict=True)) == {(2.0, 0.5, 600.0)}


def test_an_unknown_metric_is_named(read):
    assert any("vllm:some_new_metric" in item["text"] for item in read.report["warnings"])


def test_the_command_prints_json_that_any_reader_takes(address):
    result = CliRunner().invoke(app, ["import", "telemetry", address, "--period", PERIOD, "--region", "us", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.output, parse_constant=lambda text: pytest.fail(text))
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
    assert report["period"] == ["2026-10-01", "2026-10-03"]


def test_a_period_without_data_and_a_server_without_the_metrics(address):
    with pytest.raises(InputError, match="no known metric of serving"):
        read_server(address, "2026-08", NAMES, {})
    with pytest.raises(InputError, match=r"--period: value 'October'"):
        read_server(address, "October", NAMES, {})


def test_steps_of_a_large_metric_give_the_same_totals(address, truth, monkeypatch):
    from aifactory.inputs.importers.telemetry.prometheus import live

    monkeypatch.setattr(live, "METRIC_SAMPLES", 2000)
    monkeypatch.setattr(live, "MAX_POINTS", 50)  # so that each series comes in pages
    read = read_server(address, PERIOD, NAMES, {})
    assert any("the last sample of every" in item["text"] for item in read.report["warnings"])
    assert read.report["totals"]["input_tokens"] == pytest.approx(truth["input"].sum(), rel=2e-3)


# what a server may answer instead


class Handler(BaseHTTPRequestHandler):
    """Answers everything with what the test wants."""

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        code, kind, body, extra = self.server.reply
        self.send_response(code)
        self.send_header("Content-Type", kind)
        for key, value in extra.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def fake():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.reply, server.seen = (200, "application/json", b"{}", {}), []
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


JSON = "application/json"


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((401, JSON, b"", {}), r"refused the login \(401\); set AIFACTORY_PROMETHEUS_TOKEN"),
        ((403, "text/html", b"<html>no</html>", {}), r"refused the login \(403\)"),
        ((404, "text/plain", b"404 page not found", {}), "no API of Prometheus at this address.*prefix"),
        ((302, "text/html", b"", {"Location": "http://192.0.2.1/login"}), "sends to another address"),
        ((422, JSON, b'{"status":"error","error":"query processing would load too many samples"}', {}), "too many samples. Ask for a shorter period"),
        ((503, JSON, b'{"status":"error","error":"query timed out"}', {}), "query timed out"),
        ((500, "text/plain", b"oops", {}), "answered with HTTP 500"),
        ((200, "text/html", b"<!DOCTYPE html><html>Sign in</html>", {}), "answered with a web page"),
        ((200, JSON, b"  <html>", {}), "answered with a web page"),
        ((200, JSON, b"", {}), "is empty"),
        ((200, JSON, b'{"status": "succ', {}), "is not JSON"),
        ((200, JSON, b"[" * 200_000, {}), "nested too deeply"),
        ((200, JSON, b'{"status":"error","errorType":"bad_data","error":"parse error"}', {}), "parse error"),
        ((200, JSON, b'{"status":"success","data":{"a":1}}', {}), "resultType"),
        ((200, JSON, b"[]", {}), "is no answer of Prometheus"),
    ],
)  # fmt: skip
def test_what_a_server_answers_is_told_in_words(fake, reply, words):
    fake.reply = reply
    with pytest.raises(InputError, match=words) as caught:
        read_server(f"http://127.0.0.1:{fake.server_port}", PERIOD, NAMES, {})
    assert str(caught.value).startswith(f"127.0.0.1:{fake.server_port}")


def test_a_server_that_is_not_there_or_says_nothing(fake):
    with socket.socket() as quiet:
        quiet.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="cannot be reached: .*refused"):
            read_server(f"http://127.0.0.1:{quiet.getsockname()[1]}", PERIOD, NAMES, {})
        quiet.listen()
        server = open_server(f"http://127.0.0.1:{quiet.getsockname()[1]}", {})
        with pytest.raises(InputError, match="no answer within 0.2 s"):
            type(server)(server.url, {}, 0.2).names(START, END)


def test_a_login_is_sent_and_never_shown(fake, monkeypatch):
    monkeypatch.setenv("AIFACTORY_PROMETHEUS_TOKEN", "very-secret")
    fake.reply = (401, JSON, b"", {})
    with pytest.raises(InputError) as caught:
        read_server(f"http://127.0.0.1:{fake.server_port}", PERIOD, NAMES, {})
    assert fake.seen[0][1]["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in str(caught.value) + repr(
        open_server("http://h:1", {"AIFACTORY_PROMETHEUS_TOKEN": "very-secret"})
    )
    basic = open_server("http://h:1", {"AIFACTORY_PROMETHEUS_USER": "u", "AIFACTORY_PROMETHEUS_PASSWORD": "p"})
    assert basic.headers == {"Authorization": "Basic dTpw"}
    assert basic.unsafe and not open_server("https://h:1", {"AIFACTORY_PROMETHEUS_TOKEN": "x"}).unsafe


def test_only_the_named_host_is_asked(fake, monkeypatch):
    """Neither a proxy of the environment nor a redirect leads elsewhere."""
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")
    fake.reply = (200, JSON, b'{"status":"success","data":[]}', {})
    with pytest.raises(InputError, match="no known metric"):
        read_server(f"http://127.0.0.1:{fake.server_port}/", PERIOD, NAMES, {})
    assert fake.seen[0][0].startswith("/api/v1/label/__name__/values?")
    assert os.environ["http_proxy"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://me:pw@host:9090", "must not hold a login"),
        ("http://host:9090/graph?x=1", "must not hold a query"),
        ("http://", "must be an address"),
        ("http://host:port", "must be an address"),
    ],
)
def test_an_address_that_cannot_be_used(url, words):
    with pytest.raises(InputError, match=words) as caught:
        open_server(url, {})
    assert "pw" not in str(caught.value)
