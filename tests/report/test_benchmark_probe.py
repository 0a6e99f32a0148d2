"""Forecast against probe in the benchmark page."""

import pandas as pd

from aifactory.inputs.resources import data_dir
from aifactory.inputs.workspace import load_workspace
from aifactory.report.benchmark_probe import MIXTURE_NOTE, probe_answer, probe_errors, probe_section


def test_the_answer_tells_mixtures_apart():
    """Dense: (3 x 10 % + 1 x 30 %) / 4 = 15 %."""
    rows = [("a", "decode step", 3, 0.1), ("a", "prompt step", 1, 0.3), ("a", "matrix product, bf16", 9, 0.9)]
    rows += [("a", "decode step of a mixture", 5, 0.4), ("b", "mixed step", 2, 0.2)]
    found = pd.DataFrame(rows, columns=["method", "part", "rows", "median_abs_error"])
    said = probe_answer(found.assign(p90_abs_error=found["median_abs_error"] * 2)).replace("\xa0", " ")
    assert said == (
        "Errors of forecasts made before the run, mean over parts: 4 steps from a: median 15.0 %, p90 30 %; "
        "5 steps of mixtures of experts from a: median 40.0 %, p90 80 %; 2 steps from b: median 20.0 %, p90 40 %."
    )


def test_the_section_says_what_experts_ran_on():
    sample = load_workspace(data_dir() / "sample")
    assert (probe_errors(sample)["part"] == "decode step of a mixture").sum() == 2
    assert MIXTURE_NOTE.strip() in str(probe_section(sample))
