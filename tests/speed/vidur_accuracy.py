"""Latencies of the event simulator against recorded runs of Vidur: fitted at one load, predicted at two.

Run with the package and tests/serving on the path, and the folder of measured data as argument.
"""

import argparse
from pathlib import Path

from vidur_runs import FITTED_AT, fit_and_compare

from aifactory.serving.event_simulator import simulate_fleet
from aifactory.serving.replay_fit import FITTED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path, help="folder that holds data/measured/vidur_runs")
    law, errors = fit_and_compare(parser.parse_args().shared, simulate_fleet)
    print("fitted:", ", ".join(f"{name} {getattr(law, name):.3g}" for name in FITTED))  # noqa: T201
    print(f"from kernel tables: s_per_token {law.s_per_token:.3g}, knee {law.knee:.2f}")  # noqa: T201
    for rate, by in errors.items():
        for latency, values in by.items():
            shown = "  ".join(f"{name} {value:+.1%}" for name, value in values.items())
            print(f"{rate:>5}/s {latency:>4}  {shown}  {'fitted' if rate == FITTED_AT else 'predicted'}")  # noqa: T201


if __name__ == "__main__":
    main()
