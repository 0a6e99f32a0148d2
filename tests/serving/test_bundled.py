"""Published measurements that ship, and the figures of their cross-validation."""

import numpy as np
import pandas as pd
import pytest

from aifactory.inputs.resources import data_dir
from aifactory.serving.bundled import bundled_fidelity, bundled_rows, measurements_path
from aifactory.serving.fidelity import CROSS_VALIDATION, SPLITS
from aifactory.serving.measurements import LOWER_IS_BETTER


def test_every_measurement_names_a_source_that_is_described():
    rows = bundled_rows()
    sources = pd.read_csv(data_dir() / "prediction" / "sources.csv").set_index("source")
    assert rows["source"].value_counts().sort_index().equals(sources["rows"].rename("count").sort_index())
    assert sources[["reference", "licence", "as_of"]].notna().all(axis=None)
    assert (rows["date"] != "").all()


def test_the_file_is_small_and_its_values_positive():
    assert measurements_path().stat().st_size < 80_000
    assert (bundled_rows()["value"] > 0).all()


def test_the_figures_belong_to_the_data_that_ship():
    assert bundled_fidelity().current, "python -m aifactory.serving.bundled AS_OF > data/prediction/fidelity.csv"


@pytest.mark.parametrize("split", ["row", "round"])
def test_the_figures_are_those_of_the_code(split):
    rows, table = bundled_rows(), bundled_fidelity().summary
    answer = CROSS_VALIDATION[split](rows).dropna(subset=["predicted"])
    error = (answer["predicted"] / rows.loc[answer.index, "value"] - 1).abs()
    said = table[(table["split"] == SPLITS[split]) & (table["by"] == "all")].iloc[0]
    assert said["median_error"] == pytest.approx(error.median(), abs=0.002)
    inside = rows.loc[answer.index, "value"].between(answer["low80"], answer["high80"]).mean()
    assert said["coverage80"] == pytest.approx(inside, abs=0.005)


def test_less_is_better_metrics_are_counted_as_such():
    rows = bundled_rows()
    lower = rows[rows["metric"].isin(LOWER_IS_BETTER)]
    assert len(lower) > 20
    ranks = lower.groupby(["metric", "accelerators"])[["value", "speed"]].corr().xs("value", level=-1)["speed"].dropna()
    assert (ranks < 0).all()
    assert np.isfinite(ranks).any()
