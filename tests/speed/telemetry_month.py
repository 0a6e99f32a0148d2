"""A month of request rows to the inventory's two aggregates, as a ratio against DuckDB's exact quantiles.

Ours: the importer itself on Parquet files, every check, request ids and teams included, to the tables
`demand_windows` (minutes) and `latency_histograms` (six metrics by day).
Peer: the same files to the same answers with exact `quantile_cont`: per workload count, error rate and
p50/p95/p99 of end-to-end time and TTFT (`exact`) or of all six metrics (`exact six`), hourly token sums,
peak minute; times as whole microseconds, which is several times faster than truncating times with a zone.
`portable` is the path for engines and for CSV: both aggregates alone, by DuckDB in 1 GB, to the same digits.
Each run is a process of its own; the ways take turns. The peer fails in 1 GB and gets no limit.
Run: `python tests/speed/telemetry_month.py [ROWS] [REPEATS]`; 50 M rows need 1.3 GB of disk, removed at the end.
"""

from __future__ import annotations

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

FILES, USE_CASES, REGIONS, TEAMS = 25, 12, ("eu-west", "us-east"), 40
DAY_US, DAYS = 86_400_000_000, 31
LEVELS = (0.5, 0.95, 0.99)
METRICS = {
    "e2e_ms": "e2e_ms",
    "ttft_ms": "ttft_ms",
    "queue_ms": "queue_ms",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "tpot_ms": "(e2e_ms - ttft_ms) / nullif(output_tokens - 1, 0)",
}
WAYS = ("ours", "exact", "exact six", "portable")


def write_month(folder: Path, rows: int, seed: int = 1) -> None:
    """Write request rows of October 2026 in time order, file by file: memory does not grow with their number."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    start = np.datetime64("2026-10-01", "us").astype("int64")
    names = {
        "use_case_id": [f"use-case-{n:02d}" for n in range(USE_CASES)],
        "region": list(REGIONS),
        "tenant": [f"team-{n:02d}" for n in range(TEAMS)],
        "status": ["ok", "error"],
    }
    span, count = DAYS * DAY_US // FILES, rows // FILES
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(FILES)):
        random = np.random.default_rng(child)
        case = random.choice(USE_CASES, count, p=np.arange(1, USE_CASES + 1) / 78)
        codes = {
            "use_case_id": case,
            "region": random.integers(0, len(REGIONS), count),
            "tenant": random.integers(0, TEAMS, count),
            "status": random.random(count) < 0.01,
        }
        prompt, answer = random.lognormal(6.5, 1, count) + 1, random.gamma(1.2, 180, count) + 1
        queue = random.gamma(0.5, 60, count)
        first = queue + 20 + prompt * 0.08 * random.gamma(4, 0.25, count)
        whole = first + answer * (8 + case) * random.gamma(20, 0.05, count)
        times = np.sort(random.integers(0, span, count)) + number * span + start
        columns = {
            "request_id": pa.array(np.arange(number * count, (number + 1) * count)).cast(pa.string()),
            "timestamp_utc": pa.array(times, pa.timestamp("us", tz="UTC")),
            **{
                name: pa.DictionaryArray.from_arrays(pa.array(codes[name].astype("int8")), pa.array(words))
                for name, words in names.items()
            },
            "input_tokens": prompt.astype("int32"),
            "cached_input_tokens": (prompt * 0.5 * random.random(count)).astype("int32"),
            "output_tokens": answer.astype("int32"),
            "ttft_ms": first.round(3),
            "e2e_ms": whole.round(3),
            "queue_ms": queue.round(3),
        }
        parquet.write_table(pa.table(columns), folder / f"part-{number:02d}.parquet", compression="zstd")


def ours(folder: Path) -> dict[str, pd.DataFrame]:
    """The importer itself, all checks on."""
    from aifactory.inputs.importers.telemetry.large import read_large

    found = read_large([folder], pd.Timestamp("2026-11-24", tz="UTC")).aggregates
    return {"windows": found.windows, "histograms": found.histograms}


def portable(folder: Path) -> dict[str, pd.DataFrame]:
    """Both aggregates of all files by the expressions that run in any engine."""
    from aifactory.inputs.aggregate.engine import duckdb_session, open_files, stage
    from aifactory.inputs.aggregate.survey import Reading
    from aifactory.inputs.aggregate.tables import KEYS, aggregate, fetched

    with duckdb_session() as backend:
        source = open_files(backend, sorted(folder.glob("*.parquet")))
        reading = Reading({name: name for name in source.whole.columns})
        numbered = fetched(source.whole.select(KEYS).distinct().order_by(KEYS))
        numbered = numbered.assign(workload=range(len(numbered)))
        known = source.known("workloads", numbered)
        found = aggregate((reading.rows(part) for part in source.parts), known, numbered, stage)
    return {"windows": found.windows, "histograms": found.histograms}


def exact(folder: Path, metrics: tuple[str, ...] = ("e2e_ms", "ttft_ms")) -> dict[str, pd.DataFrame]:
    """Exact answers of the same questions by DuckDB's own SQL."""
    import duckdb

    lake = duckdb.connect()
    lake.execute("SET preserve_insertion_order = false")
    rows = lake.read_parquet(str(folder / "*.parquet"))
    quantiles = ", ".join(
        f"quantile_cont({METRICS[name]}, {list(LEVELS)}) FILTER (status = 'ok') AS {name}" for name in metrics
    )
    keys = "use_case_id, region"
    hour, minute = (f"epoch_us(timestamp_utc) // {minutes * 60_000_000} AS window" for minutes in (60, 1))
    tokens = "sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens"
    count = rows.aggregate(f"{keys}, {minute}, count(*) AS requests", f"{keys}, 3")
    return {
        "workloads": rows.aggregate(
            f"{keys}, count(*) AS requests, sum((status <> 'ok')::int) AS errors, {quantiles}", keys
        ).df(),
        "hours": rows.aggregate(f"{keys}, {hour}, {tokens}", f"{keys}, 3").df(),
        "peaks": count.aggregate(f"{keys}, max(requests) AS peak", keys).df(),
    }


def errors_of(aggregates: dict[str, pd.DataFrame], truth: dict[str, pd.DataFrame]) -> tuple[float, bool]:
    """Largest relative error of a quantile, and whether all counts, sums and peaks are equal."""
    from aifactory.inputs.aggregate.buckets import histogram_quantile

    keys = ["use_case_id", "region"]
    windows, counts = aggregates["windows"], aggregates["histograms"]
    monthly = counts.groupby([*keys, "metric", "bucket"], as_index=False)["count"].sum()
    worst = 0.0
    for row in truth["workloads"].to_dict("records"):
        mine = monthly[(monthly["use_case_id"] == row["use_case_id"]) & (monthly["region"] == row["region"])]
        for name in set(METRICS) & set(row):
            held = mine[mine["metric"] == name]
            for level, value in zip(LEVELS, row[name], strict=True):
                found = histogram_quantile(held["bucket"].to_numpy(), held["count"].to_numpy(), level)
                worst = max(worst, abs(found / value - 1))
    totals = windows.groupby(keys)[["requests", "errors"]].sum()
    hours = windows.groupby([*keys, windows["window_start_utc"].dt.floor("h")])[["input_tokens", "output_tokens"]].sum()
    told = truth["hours"].assign(window=pd.to_datetime(truth["hours"]["window"] * 3_600, unit="s", utc=True))
    same = (
        (truth["workloads"].set_index(keys)[["requests", "errors"]].sort_index() == totals).all(axis=None)
        and (told.set_index([*keys, "window"]).sort_index().to_numpy() == hours.to_numpy()).all()
        and (truth["peaks"].set_index(keys)["peak"].sort_index() == windows.groupby(keys)["requests"].max()).all()
    )
    return worst, bool(same)


def run(way: str, folder: Path) -> None:
    """One way in this process: print seconds, CPU seconds, peak memory; keep its answers."""
    ways = {"ours": ours, "exact": exact, "exact six": lambda path: exact(path, tuple(METRICS)), "portable": portable}
    start = time.monotonic()
    answers = ways[way](folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    wall_s = time.monotonic() - start
    for name, table in answers.items():
        table.to_parquet(folder.parent / f"{way} {name}.parquet")
    figures = {"wall_s": wall_s, "cpu_s": used.ru_utime + used.ru_stime, "peak_gb": used.ru_maxrss / 1024**2}
    sys.stdout.write(json.dumps(figures))


def main() -> None:
    """Interleave the ways, print medians, ratios, peak memory and the largest error."""
    if len(sys.argv) > 2 and sys.argv[1] == "--run":
        run(sys.argv[2], Path(sys.argv[3]))
        return
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "month"
        write_month(folder, rows)
        found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(repeats):
            for way in WAYS:
                done = subprocess.run([sys.executable, __file__, "--run", way, str(folder)], capture_output=True, text=True, check=False)  # fmt: skip
                if done.returncode:
                    sys.exit(f"{way} failed:\n{done.stderr}")
                found[way].append(json.loads(done.stdout))
        tables = {"ours": ("windows", "histograms"), "portable": ("windows", "histograms"), "exact six": ("workloads", "hours", "peaks")}  # fmt: skip
        answers = {
            way: {name: pd.read_parquet(folder.parent / f"{way} {name}.parquet") for name in names}
            for way, names in tables.items()
        }
    middle = {
        way: {key: statistics.median(item[key] for item in runs) for key in runs[0]} for way, runs in found.items()
    }
    sys.stdout.write(f"{rows:,} rows, median of {repeats}\n")
    for way, figures in middle.items():
        sys.stdout.write(f"{way:10s} {figures['wall_s']:6.1f} s  {figures['cpu_s']:6.1f} CPU s  peak {figures['peak_gb']:.2f} GB\n")  # fmt: skip
    for peer in ("exact", "exact six"):
        wall, cpu = (statistics.median(a[key] / b[key] for a, b in zip(found["ours"], found[peer], strict=True)) for key in ("wall_s", "cpu_s"))  # fmt: skip
        sys.stdout.write(f"ours / {peer}: {wall:.2f} of the time, {cpu:.2f} of the CPU time (target <= 0.80)\n")
    worst, same = errors_of(answers["ours"], answers["exact six"])
    twice = all(answers["ours"][name].equals(answers["portable"][name]) for name in answers["ours"])
    sys.stdout.write(
        f"largest difference from an interpolated quantile {worst:.3%} (0.5 % from the value at the rank is guaranteed; "
        f"interpolation between neighbours adds to it where rows are few); counts, sums and peaks {'equal' if same else 'DIFFER'}; "
        f"compiled and portable path {'the same' if twice else 'DIFFER'}\n"
    )


if __name__ == "__main__":
    main()
