"""Speed and memory of the event simulator on the requests of the recorded Vidur runs.

Ratios are against Vidur 0.0.26: 1,250 simulated requests a second, measured on two shared cores with the same
5,000 requests and scheduler; `--vidur DIR` times a checkout of microsoft/vidur on this machine instead.
Run with the package on the path: `python tests/speed/simulator.py SHARED [--vidur DIR] [--most 10000000]`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.fleet import Autoscale, Failures, Fleet, Pool, RequestStream
from aifactory.serving.step_time import StepTime

VIDUR_PER_S = 1_250
SIZE, RATE = 19_300, 6.45
#: Law fitted to the runs by tests/speed/vidur_accuracy.py.
LAW = StepTime(
    6.88e-5, 1.24e-2, 5.09e-8, 1.11e-8, 8.2e-4, 458_752, knee=1.73, tile_tokens=8, chunk_tokens=512, max_batch=512
)
SLOW = StepTime(1.4e-4, 2.0e-2, 9e-8, 2e-8, 2e-3, 200_000, chunk_tokens=512, max_batch=512)


def requests(shared: Path, size: int, speed_up: float = 1.0) -> RequestStream:
    """The recorded requests one after the other, as often as needed."""
    frame = pd.read_csv(shared / "data" / "measured" / "vidur_runs" / f"llama3_8b_a100_tp1_rate{RATE}.csv.gz")
    span = frame["arrival_s"].max() + 1 / RATE
    arrival = np.empty(size)
    for first in range(0, size, len(frame)):
        part = frame["arrival_s"].to_numpy()[: size - first]
        arrival[first : first + part.size] = (part + span * (first // len(frame))) / speed_up
    columns = (np.resize(frame[name].to_numpy(dtype=np.int32), size) for name in ("input_tokens", "output_tokens"))
    return RequestStream(arrival, *columns)


PLAIN = Fleet(Pool(LAW, 1))
EVERYTHING = Fleet(
    Pool(LAW, 16), spill=Pool(SLOW, 2), routing="least_outstanding", queue_limit=8, retries=3, backoff_s=2.0,
    autoscale=Autoscale(45.0, 8, 16), failures=Failures(4 * 3600.0, 900.0), seed=1,
)  # fmt: skip
CASES = {"batch level, 1 replica": (PLAIN, 1.0), "16 replicas, everything on": (EVERYTHING, 13.0)}


def timed(stream: RequestStream, fleet: Fleet, repeats: int) -> tuple[float, float, dict]:
    """Median wall and processor seconds of whole calls, and what became of the requests."""
    wall, cpu = [], []
    run = simulate_fleet(stream, fleet)
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        run = simulate_fleet(stream, fleet)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return statistics.median(wall), statistics.median(cpu), run.counts


def grow(shared: Path, name: str, size: int) -> None:
    """One size in this process alone, printed as JSON: the peak memory is its own."""
    fleet, speed_up = CASES[name]
    simulate_fleet(requests(shared, 100, speed_up), fleet)
    stream = requests(shared, size, speed_up)
    began, used = time.perf_counter(), time.process_time()
    run = simulate_fleet(stream, fleet)
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    p99 = run.percentiles(run.ttft_s, overwrite=True)["p99"]
    json.dump(
        {
            "wall_s": wall,
            "cpu_s": cpu,
            "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            "p99_ttft_ms": p99,
        },
        sys.stdout,
    )


def vidur_per_s(folder: Path) -> float:
    """Simulated requests per second of a Vidur checkout, set-up left out; its profiles must be there."""
    with tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable, "-m", "vidur.main", "--replica_config_model_name", "meta-llama/Meta-Llama-3-8B",
            "--replica_config_device", "a100", "--replica_scheduler_config_type", "sarathi",
            "--sarathi_scheduler_config_chunk_size", "512", "--sarathi_scheduler_config_batch_size_cap", "512",
            "--request_generator_config_type", "synthetic", "--synthetic_request_generator_config_num_requests", "5000",
            "--length_generator_config_type", "trace", "--interval_generator_config_type", "poisson",
            "--poisson_request_interval_generator_config_qps", str(RATE), "--metrics_config_output_dir", out,
        ]  # fmt: skip
        took = []
        for count in ("1000", "5000"):
            command[command.index("--synthetic_request_generator_config_num_requests") + 1] = count
            began = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            took.append(time.perf_counter() - began)
    return 4000 / (took[1] - took[0])


def main() -> None:
    """Print rates, ratios, growth and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder that holds data/measured/vidur_runs")
    parser.add_argument("--vidur", type=Path, help="checkout of microsoft/vidur with its profiles")
    parser.add_argument("--most", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--grow", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow:
        grow(options.shared, options.grow[0], int(options.grow[1]))
        return
    peer = vidur_per_s(options.vidur) if options.vidur else VIDUR_PER_S
    print(f"Vidur: {peer:,.0f} requests/s, {'timed here' if options.vidur else 'as measured before, not run now'}")  # noqa: T201
    for name, (fleet, speed_up) in CASES.items():
        stream = requests(options.shared, SIZE, speed_up)
        wall, cpu, counts = timed(stream, fleet, options.repeats)
        tokens = int(stream.input_tokens.sum(dtype=np.int64) + stream.output_tokens.sum(dtype=np.int64))
        rates = (
            f"{SIZE / wall:,.0f} requests/s = {SIZE / wall / peer:,.0f}x ({SIZE / cpu / peer:,.0f}x by processor time)"
        )
        print(f"{name}: {rates}, {tokens / wall / 1e9:.2f} G tokens/s; {counts}")  # noqa: T201
        size = 10_000
        while size <= options.most:
            output = subprocess.run(
                [sys.executable, __file__, str(options.shared), "--grow", name, str(size)],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            found = json.loads(output)
            cost = f"{found['wall_s']:8.3f} s, {found['cpu_s'] / size * 1e9:5.0f} ns of processor time a request"
            print(f"  {size:>10,}: {cost}, peak {found['memory_mb']:,.0f} MB, p99 TTFT {found['p99_ttft_ms']:,.0f} ms")  # noqa: T201
            size *= 10


if __name__ == "__main__":
    main()
