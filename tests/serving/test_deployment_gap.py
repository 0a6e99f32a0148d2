"""Gap model of deployments: levels, two modes, leave-out against refits, fits."""

import numpy as np
import pytest

from aifactory.serving.deployment_fit import fit_closed_forms, fit_parts, usable_deployments
from aifactory.serving.deployment_gap import PARTS, GapModel, deviations
from aifactory.serving.deployments import read_deployments
from tests.serving.test_deployments import table


@pytest.fixture
def rows(tmp_path):
    return read_deployments(table(tmp_path / "d.csv"))


def test_parts_and_their_deviations_match():
    for target in ("tpot", "ttft"):
        assert set(deviations(target)) == {*PARTS, "noise", "tolerated"}


def test_leaving_a_system_out_in_closed_form_equals_training_without_it(rows):
    whole = GapModel(rows, "tpot", rounds=0)
    residual, _ = whole.left_out(whole.cells["chip"])
    for chip in rows["chip"].unique():
        part = GapModel(rows[rows["chip"] != chip], "tpot", rounds=0)
        part.mean = whole.mean
        asked = whole.cells[whole.cells["chip"] == chip]
        gap, _ = part.predict(asked)
        held = whole.gap[(whole.cells["chip"] == chip).to_numpy()]
        assert held - gap == pytest.approx(residual[(whole.cells["chip"] == chip).to_numpy()], abs=1e-8)


def test_the_larger_of_two_groups_speaks_not_the_mean_of_both(rows):
    """A quarter of the rows is twice as fast, for a reason that no column states."""
    d = rows.loc[rows.index.repeat(4)].reset_index(drop=True)
    d["measured_on"], d["year"] = "", 0.02 * (d.index % 4)
    fast = d.index % 4 == 3
    d["silicon_tpot_ms"] = np.exp(d["prior_tpot"]) * np.where(fast, 0.5, 1.0)
    system = d["chip"] == d["chip"].iloc[0]
    plain, robust = (np.median(GapModel(d[~system], "tpot", rounds=n).predict(d[system])[0]) for n in (0, 2))
    assert abs(robust) < 0.05 < abs(plain)


def test_fits_recover_a_constant_and_reduce_the_error(rows):
    d = rows.assign(silicon_tpot_ms=np.exp(rows["prior_tpot"]) * 1.2, silicon_ttft_ms=np.exp(rows["prior_ttft"]))
    found = fit_closed_forms(d, sweeps=1)
    assert all(value > 0 for value in found.values())
    sizes = fit_parts(d, "tpot", sweeps=1)
    assert set(sizes) == set(deviations("tpot"))


def test_rows_without_measurement_train_nothing(tmp_path):
    path = table(tmp_path / "d.csv")
    path.write_text(path.read_text().splitlines()[0] + "\n1,vllm,1,m-7b,h100_sxm,fp8,agg,128,128,1,4,,\n")
    assert len(usable_deployments(path)) == 0
    assert len(GapModel(read_deployments(path), "tpot").gap) == 0
