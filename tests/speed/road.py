"""Speed and memory of the whole road, as a ratio against the stock way in the same run.

Stock: five `papermill` commands and five `nbconvert` commands, one after the other.
Ours: `aifactory run --force`, including XLSX, CSV, manifest and index.
Run: `make speed`, or `python tests/speed/road.py [REPEATS]`.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SAMPLE = REPO / "data" / "sample"
NOTEBOOKS = sorted((REPO / "notebooks").glob("0[1-5]_*.ipynb"))
BIN = Path(sys.executable).parent


def stock(out: Path) -> None:
    """Run each notebook with the papermill command, then export it with nbconvert."""
    for notebook in NOTEBOOKS:
        target = out / notebook.name
        call(
            BIN / "papermill", notebook, target, "-p", "workspace", SAMPLE, "--no-progress-bar", "--log-level", "ERROR"
        )
        call(BIN / "jupyter", "nbconvert", "--to", "html", "--no-input", "--log-level", "ERROR", target)


def ours(out: Path) -> None:
    """Run the product's own command."""
    call(BIN / "aifactory", "run", "--workspace", SAMPLE, "--out", out, "--force")


def call(*command: object) -> None:
    """Run a command; its output is shown only if it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")


def timed(function: object) -> float:
    """Wall seconds of one run into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        function(Path(folder))
        return time.monotonic() - start


def main() -> None:
    """Interleave the two ways, print medians, ratio and the largest process."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    times = {"ours": [], "stock": []}
    for _ in range(repeats):
        times["ours"].append(timed(ours))
        times["stock"].append(timed(stock))
    ours_s, stock_s = (statistics.median(times[name]) for name in ("ours", "stock"))
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    sys.stdout.write(
        f"whole road, five HTML reports, median of {repeats}: ours {ours_s:.1f} s, stock {stock_s:.1f} s, "
        f"ratio {ours_s / stock_s:.2f} (target <= 0.50)\n"
        f"largest process {peak_gb:.2f} GB (target <= 1.00)\n"
    )


if __name__ == "__main__":
    main()
