"""Generated requests against a loop over requests as ServeGen publishes it.

    python tests/speed/generate.py [--rows 10000000] [--peer-rows 200000] [--repeats 1] [--folder /tmp]

The peer goes over clients and windows of ten minutes (servegen at f891d11): it draws Gamma or Weibull gaps
up to the end of the window, then makes one object a request with its input and output length from the
window's distributions, and sorts them by time in the end. It keeps all requests in memory and writes no file;
`--rows` goes through `generate_file`, Parquet included. Each side runs in a process of its own, one after
the other: rows per second of wall and of CPU time, peak memory. The file is deleted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PEER = """
import json, resource, sys, time
from dataclasses import dataclass
import numpy as np

@dataclass
class Request:
    request_id: int
    timestamp: float
    data: dict

def tokens(p50, p99, rng):
    support = np.unique(np.rint(np.exp(rng.normal(np.log(p50), np.log(p99 / p50) / 2.33, 500))).astype(int))
    weight = rng.random(len(support))
    return support, weight / weight.sum()

rows, window, clients = int(sys.argv[1]), 600.0, 40
wall, cpu = time.perf_counter(), time.process_time()
rng, windows = np.random.default_rng(1), 24
share = np.arange(1.0, clients + 1) ** -1.2
rates = rows / (share.sum() * windows * window) * share
requests = []
for client in range(clients):
    sizes = {name: tokens(*level, rng) for name, level in {"input": (1020, 4142), "output": (129, 601)}.items()}
    for number in range(windows):
        rate, cv, now, stamps = rates[client], 1.5, 0.0, []
        while True:
            if client % 4:
                now += rng.gamma(1 / cv**2, cv**2 / rate)
            else:
                now += rng.weibull(0.68) / (1.302 * rate)
            if now >= window:
                break
            stamps.append(number * window + now)
        for stamp in stamps:
            data = {f"{name}_tokens": int(rng.choice(support, p=weight)) for name, (support, weight) in sizes.items()}
            requests.append(Request(len(requests), stamp, data))
requests.sort(key=lambda request: request.timestamp)
took = [time.perf_counter() - wall, time.process_time() - cpu]
print(json.dumps([len(requests), *took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3]))
"""
OURS = """
import json, resource, sys, time
from pathlib import Path
from aifactory.demand.request_file import generate_file
wall, cpu = time.perf_counter(), time.process_time()
found = generate_file(Path(sys.argv[2]), int(sys.argv[1]), 1)
took = [time.perf_counter() - wall, time.process_time() - cpu]
print(json.dumps([found["rows"], *took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3]))
"""


def run(code: str, *arguments: object) -> list[float]:
    """Rows, wall s, CPU s and peak MB of a program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Print rates and ratios, the median of the repeats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--peer-rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    rates = {}
    for name, code, rows in (("per-request loop", PEER, given.peer_rows), ("aifactory", OURS, given.rows)):
        measured = []
        for _ in range(given.repeats):
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                measured.append(run(code, rows, Path(folder) / "requests.parquet"))
        made, wall, cpu, peak = (statistics.median(column) for column in zip(*measured, strict=True))
        rates[name] = made / wall, made / cpu
        line = f"{name}: {made:,.0f} requests, {wall:.1f} s wall, {cpu:.1f} s CPU, {made / wall:,.0f}/s, peak {peak:,.0f} MB"
        sys.stdout.write(line + "\n")
    (peer_wall, peer_cpu), (own_wall, own_cpu) = rates.values()
    line = (
        f"ratio: {own_wall / peer_wall:.1f}x the rate by wall time, {own_cpu / peer_cpu:.1f}x by CPU time (target 5x)"
    )
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
