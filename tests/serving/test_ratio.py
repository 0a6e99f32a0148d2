"""The gap model: closed form against refitting, limits, own rows."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.measurements import read_measurements, with_features
from aifactory.serving.ratio import (
    PARTS,
    covariance,
    features_of,
    fit_ratio,
    groups_of,
    inverse_of,
    own_variance,
    prior_deviations,
)

HEAD = "id,source,date,accelerator,accelerator_class,accel_count,task,model,params_b,active_params_b,precision,scenario,metric,value,value_per_accel\n"
SPEEDS = {
    "nvidia-h100-sxm-80gb": 2900,
    "nvidia-h200-sxm-141gb": 4000,
    "amd-mi300x-192gb": 3400,
    "nvidia-b200-sxm-180gb": 12000,
}
FORMAT = {"nvidia-b200-sxm-180gb": "fp4"}


def table(path, models=(("llama2-70b", 70), ("other-30b", 30)), chips=SPEEDS):
    lines = []
    for name, size in models:
        for chip, speed in chips.items():
            for scenario, factor in (("offline", 1.0), ("server", 0.9)):
                value = 8 * speed * factor * 70 / size
                lines.append(
                    f"{name}{chip}{scenario},mlperf-inference-v5.1,2025-09-09,{chip},gpu,8,llm,{name},{size},{size},"
                    f"{FORMAT.get(chip, 'fp8')},{scenario},tokens_per_s,{value},{value / 8}"
                )
    path.write_text(HEAD + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def rows(tmp_path):
    return with_features(read_measurements(table(tmp_path / "rows.csv")))


def test_leave_group_out_in_closed_form_equals_refitting(rows):
    deviations = prior_deviations()["llm_rounds"]
    whole = fit_ratio(rows, deviations, rounds=0)
    residual, _ = whole.leave_out(whole.cells["chip"])
    chip = "nvidia-h200-sxm"
    out = (whole.cells["chip"] == chip).to_numpy()
    refit = fit_ratio(rows[rows["chip"] != chip], deviations, rounds=0)
    gap, _ = refit.predict(rows[rows["chip"] == chip])
    asked = rows[rows["chip"] == chip].assign(gap=gap)
    expected = (asked["speed"] - asked["prior"] - gap).to_numpy()
    shift = abs(refit.mean - whole.mean)
    assert residual[out] == pytest.approx(expected, abs=0.02 + shift)


def test_covariance_is_symmetric_positive_and_its_diagonal_known(rows):
    x, deviations = features_of(rows), prior_deviations()["llm_tables"]
    full = covariance(x, x, deviations)
    assert np.allclose(full, full.T)
    assert np.linalg.eigvalsh(full).min() > -1e-9
    assert np.diag(full) == pytest.approx(own_variance(x, deviations))


def test_equal_rows_become_one_cell_with_their_median(rows):
    twice = pd.concat([rows, rows.assign(id=rows["id"] + "b", speed=rows["speed"] + 0.2)], ignore_index=True)
    model = fit_ratio(twice, prior_deviations()["llm_rounds"])
    assert len(model.cells) == len(rows)
    assert (model.cells["count"] == 2).all()
    assert sorted(model.membership.value_counts()) == [2] * len(rows)


def test_a_row_seen_again_is_reproduced_closely(rows):
    model = fit_ratio(rows, prior_deviations()["llm_rounds"])
    gap, deviation = model.predict(rows)
    assert np.abs(rows["speed"] - rows["prior"] - gap).median() < 0.05
    assert (deviation > 0).all()


def test_groups_cover_every_row_once():
    groups = groups_of(pd.Series(["a", "b", "a", "c"]))
    assert sorted(np.concatenate(groups).tolist()) == [0, 1, 2, 3]
    assert len(groups) == 3


def test_covariance_is_the_sum_of_its_parts_pair_by_pair(rows):
    x, sizes = features_of(rows), prior_deviations()["llm_rounds"]
    found = covariance(x, x.iloc[:5], sizes)
    for i, j in ((0, 0), (3, 1), (7, 4)):
        a, b = x.iloc[i], x.iloc[j]
        total = 0.0
        for name, size in sizes.items():
            part = PARTS[name]
            term = size**2 * all(a[label] == b[label] for label in part.same)
            term *= a[part.line] * b[part.line] if part.line else 1.0
            term *= np.exp(-0.5 * sum(((a[f] - b[f]) / length) ** 2 for f, length in part.near))
            total += term
        assert found[i, j] == pytest.approx(total, rel=1e-12)


def test_inverse_of_symmetric_matrices_and_of_none():
    root = np.random.default_rng(0).normal(size=(6, 6))
    matrix = root @ root.T + np.eye(6)
    assert inverse_of(matrix) @ matrix == pytest.approx(np.eye(6), abs=1e-10)
    odd = np.array([[0.0, 1.0], [1.0, 0.0]])  # not positive definite: the general inverse speaks
    assert inverse_of(odd) == pytest.approx(odd)
    assert inverse_of(np.zeros((0, 0))).shape == (0, 0)


def sweeps(path, slow="nvidia-h200-sxm-141gb", factor=1 / 3):
    """Batches of one model on four accelerators, all at the same share of the bandwidth but one."""
    bandwidth = {
        "nvidia-h100-sxm-80gb": 3.35,
        "nvidia-h200-sxm-141gb": 4.8,
        "amd-mi300x-192gb": 5.3,
        "nvidia-b200-sxm-180gb": 8,
    }
    lines = [HEAD.strip() + ",batch_or_concurrency"]
    for chip, speed in bandwidth.items():
        for batch in (8, 16, 32, 64, 128):
            value = 100 * speed * batch**0.7 * (factor if chip == slow else 1)
            lines.append(
                f"{chip}{batch},sweep,2026-01-01,{chip},gpu,1,llm,some-8b,8,8,bf16,concurrency,tokens_per_s,{value},,{batch}"
            )
    path.write_text("\n".join(lines) + "\n")
    return with_features(read_measurements(path))


def test_a_series_off_as_a_whole_is_kept_for_its_own_rows_and_doubted_for_others(tmp_path):
    rows, sizes = sweeps(tmp_path / "s.csv"), prior_deviations()["llm_tables"]
    slow = rows["chip"] == "nvidia-h200-sxm"
    held = rows[slow].iloc[[2]]
    model = fit_ratio(rows.drop(held.index), sizes)
    gap, _ = model.predict(held)
    assert np.abs(held["speed"] - held["prior"] - gap).max() < 0.05
    asked, honest = rows[rows["chip"] == "amd-mi300x"], sweeps(tmp_path / "h.csv", factor=1.0)
    far = rows["chip"] == "amd-mi300x"
    doubted, believed = (
        np.subtract(*(fit_ratio(part[~far], sizes, rounds).predict(asked)[0] for part in (honest, rows)))
        for rounds in (2, 0)
    )
    assert (doubted > 0).all()
    assert (doubted < 0.7 * believed).all()
    assert model.odd[(model.cells["chip"] == "nvidia-h200-sxm").to_numpy()].min() > 0.1
    assert model.odd[(model.cells["chip"] != "nvidia-h200-sxm").to_numpy()].max() < 0.05


def test_deviation_of_a_series_left_out_whole_does_not_know_that_it_is_odd(tmp_path):
    sizes = prior_deviations()["llm_tables"]
    odd, plain = (fit_ratio(sweeps(tmp_path / "s.csv", factor=factor), sizes) for factor in (1 / 3, 1.0))
    slow = (odd.cells["chip"] == "nvidia-h200-sxm").to_numpy()
    found, known = (model.leave_out(model.cells["chip"])[1][slow] for model in (odd, plain))
    assert found == pytest.approx(known, rel=0.1)


def images(path, slow=1.0):
    """Images per second of a model on 1 to 8 accelerators that share each batch, `slow` times as fast on one chip."""
    lines = [HEAD.strip() + ",batch_or_concurrency"]
    for chip, speed in (("nvidia-h100-sxm-80gb", 1.0), ("nvidia-b200-sxm-180gb", 1.8 * slow)):
        for model, size in (("small", 2), ("large", 6)):
            for count in (1, 2, 4, 8):
                for batch in (1, 2, 4, 8, 16):
                    value = 3 * speed / size / (0.2 / batch + 1 / count**0.6)
                    lines.append(
                        f"{chip}{model}{count}x{batch},sweep,2026-01-01,{chip},gpu,{count},text-to-image,{model},{size},"
                        f"{size},bf16,concurrency,samples_per_s,{value},,{batch}"
                    )
    path.write_text("\n".join(lines) + "\n")
    return with_features(read_measurements(path))


def test_accelerators_that_share_a_batch_of_images_are_a_condition_of_their_own(tmp_path):
    rows, sizes = images(tmp_path / "i.csv"), prior_deviations()["other"]
    assert rows["shared"].all()
    model = fit_ratio(rows, sizes)
    assert len(model.cells) == len(rows)
    residual, _ = model.leave_out(model.cells["cell"])
    assert np.median(np.abs(residual)) < 0.05


def test_a_sweep_of_images_off_as_a_whole_is_kept_for_its_own_rows(tmp_path):
    rows = images(tmp_path / "i.csv", slow=0.25)
    odd = rows["chip"] == "nvidia-b200-sxm"
    held = rows[odd].iloc[[7]]
    model = fit_ratio(rows.drop(held.index), prior_deviations()["other"])
    gap, _ = model.predict(held)
    assert np.abs(held["speed"] - held["prior"] - gap).max() < 0.05
    assert model.odd[(model.cells["chip"] == "nvidia-b200-sxm").to_numpy()].min() > 0.01
