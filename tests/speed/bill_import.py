"""Import of a long FOCUS bill against DuckDB reading the same CSV file.

    python tests/speed/bill_import.py [--rows 1000000] [--repeats 3]

The bill is made here: seeded, with accelerators, tags, commitments and amounts of nine decimals. Each
side runs in a process of its own, one after the other; wall time and CPU time of the work, without
the start of the interpreter.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PEER = """
import duckdb, json, resource, sys, time
wall, cpu = time.perf_counter(), time.process_time()
con = duckdb.connect()
con.execute("set enable_progress_bar = false")
con.execute("create table bill as select * from read_csv(?)", [sys.argv[1]])
took = [time.perf_counter() - wall, time.process_time() - cpu]
print(json.dumps([*took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))
"""
OURS = """
import json, resource, sys, time
from pathlib import Path
from aifactory.inputs.importers.command import Target, import_files
wall, cpu = time.perf_counter(), time.process_time()
into = Path(sys.argv[2]) if len(sys.argv) > 2 else None
report = import_files("billing", [Path(sys.argv[1])], into, Target(), replace=True)[0]
took = [time.perf_counter() - wall, time.process_time() - cpu]
assert report["rows_kept"] == report["rows_read"]
print(json.dumps([*took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]))
"""
SKUS = ("p5.48xlarge", "trn2.48xlarge", "a3-highgpu-8g", "ND96isr_H100_v5", "m7i.large", "storage", "egress")
EMPTY = 20


def write_bill(path: Path, rows: int) -> None:
    """FOCUS 1.2 bill of one month; empty columns as real exports have them."""
    rng = np.random.default_rng(20261031)
    head = [
        "BillingAccountId", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory",
        "ChargeDescription", "ChargePeriodStart", "ChargePeriodEnd", "CommitmentDiscountStatus", "ConsumedQuantity",
        "ConsumedUnit", "ContractedCost", "EffectiveCost", "BilledCost", "ListCost", "PricingCategory",
        "ProviderName", "RegionId", "ResourceId", "ServiceCategory", "ServiceName", "SkuId", "SkuMeter",
        "SkuPriceDetails", "SubAccountId", "SubAccountName", "Tags", *(f"x_empty_{n}" for n in range(EMPTY)),
    ]  # fmt: skip
    with path.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream, lineterminator="\n")
        out.writerow(head)
        for start in range(0, rows, 50_000):
            count = min(50_000, rows - start)
            sku, team, day = (rng.integers(0, high, count) for high in (len(SKUS), 40, 31))
            cost = rng.lognormal(1, 2, count)
            committed = rng.random(count) < 0.3
            for n in range(count):
                name, effective = SKUS[sku[n]], f"{cost[n]:.9f}"
                out.writerow([
                    "000111222333", "USD", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z", "Usage", f"{name} per hour",
                    f"2026-10-{day[n] + 1:02d}T00:00:00Z", f"2026-10-{day[n] + 1:02d}T12:00:00Z",
                    "Used" if committed[n] else "", "12", "Hours", effective, effective,
                    "0" if committed[n] else effective, f"{cost[n] * 1.3:.9f}",
                    "Committed" if committed[n] else "Standard", "Example Cloud", "us-east-1",
                    f"arn:example:resource/{start + n}", "Compute", "Compute", f"SKU-{name}", f"{name} hours",
                    json.dumps({"InstanceType": name}), f"{team[n]:012d}", f"team {team[n]}",
                    json.dumps({"team": f"team-{team[n]}", "business_unit": f"unit-{team[n] % 5}"}),
                    *[""] * EMPTY,
                ])  # fmt: skip


def measure(program: str, *arguments: Path) -> list[float]:
    """Wall s, CPU s, peak GB of one run."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    """Measure in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bill, workspace = Path(folder) / "bill.csv", Path(folder) / "workspace"
        write_bill(bill, options.rows)
        subprocess.run([sys.executable, "-m", "aifactory.cli", "new", str(workspace)], check=True, capture_output=True)
        sides = {"DuckDB read": (PEER, bill), "report": (OURS, bill), "report and store": (OURS, bill, workspace)}
        runs = {name: [] for name in sides}
        for _ in range(options.repeats):
            for name, side in sides.items():
                for stored in workspace.glob("billing*"):
                    stored.unlink()
                runs[name].append(measure(*side))
        size = bill.stat().st_size / 1e6
    lines = [f"{options.rows:,} rows, {size:,.0f} MB, median of {options.repeats}"]
    base = [statistics.median(run[part] for run in runs["DuckDB read"]) for part in range(3)]
    for name, found in runs.items():
        wall, cpu, peak = (statistics.median(run[part] for run in found) for part in range(3))
        lines.append(
            f"{name:18} wall {wall:6.1f} s ({wall / base[0]:.2f}x)  CPU {cpu:6.1f} s ({cpu / base[1]:.2f}x)  "
            f"peak {peak:.2f} GB"
        )
    sys.stdout.write("\n".join([*lines, "target: report <= 3.00x"]) + "\n")


if __name__ == "__main__":
    main()
