"""Gap model of deployments: levels, two modes, leave-out against refits, fits."""

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.deployment_fit import fit_closed_forms, fit_parts, usable_deployments
from aifactory.serving.deployment_gap import PARTS, GapModel, deviations
from aifactory.serving.deployments import predict_deployments, read_deployments
from aifactory.serving.ratio import covariance
from tests.serving.test_deployments import table


@pytest.fixture
def rows(tmp_path):
    return read_deployments(table(tmp_path / "d.csv"))


def test_parts_and_their_deviations_match():
    for target in ("tpot", "ttft"):
        assert set(deviations(target)) == {*PARTS, "noise", "tolerated"}


@pytest.mark.parametrize("label", ["chip", "architecture"])
def test_leaving_a_group_out_equals_training_without_it(rows, label):
    """Doubts about odd rows and the mean are those of the others too."""
    whole = GapModel(rows, "tpot")
    residual, deviation = whole.left_out(whole.cells[label])
    for held in rows[label].unique():
        part = GapModel(rows[rows[label] != held], "tpot")
        asked = (whole.cells[label] == held).to_numpy()
        gap, expected = part.predict(whole.cells[asked])
        assert whole.gap[asked] - gap == pytest.approx(residual[asked], abs=1e-8)
        assert deviation[asked] == pytest.approx(expected, abs=1e-8)


def test_times_cut_to_two_decimals_are_a_copy(rows):
    """6.332719 and 6.33 ms are one measurement, 6.34 ms is another."""
    d = rows.iloc[[3, 3, 3]].reset_index(drop=True)
    d["model_path"] = ["a", "b", "c"]
    d["silicon_tpot_ms"], d["silicon_ttft_ms"] = [6.332719, 6.33, 6.34], [338.336414, 338.34, 338.34]
    first, second, third = GapModel(d, "tpot").measurement
    assert first == second != third


def test_a_measurement_listed_under_two_names_is_one_and_never_predicts_itself(rows):
    """One row, ten times as slow, is repeated under another model path: who is left out takes its copy along."""
    odd = rows.index[3]
    d = rows.copy()
    d.loc[odd, ["silicon_tpot_ms", "silicon_ttft_ms"]] *= 10
    copy = d.loc[[odd]].assign(model_path="other/name")
    twice = pd.concat([d, copy], ignore_index=True)
    for column in ("model_path", None):
        once, both = (GapModel(own, "tpot", rounds=0) for own in (d, twice))
        label = lambda model, by=column: model.cells[by] if by else pd.Series(np.arange(len(model.gap)))  # noqa: E731
        alone, told = (model.left_out(label(model))[0] for model in (once, both))
        shift = both.mean - once.mean
        place = once.membership.loc[odd]
        assert told[both.membership.loc[odd]] == pytest.approx(alone[place], abs=abs(shift) + 1e-6), column
        assert told[both.membership.iloc[-1]] > np.log(2), "its copy is no evidence"
    heavier, lighter = both.base[both.membership.loc[odd]], once.base[place]
    assert heavier == pytest.approx(2 * lighter)


def test_a_small_group_is_taken_out_in_closed_form(rows, monkeypatch):
    """With doubts and mean kept, both ways agree."""
    whole = GapModel(rows, "tpot", rounds=0)
    label = whole.cells["chip"]
    apart, _ = GapModel(rows, "tpot", rounds=0).left_out(label)
    monkeypatch.setattr("aifactory.serving.deployment_gap.MOVING", 1.0)
    closed, _ = whole.left_out(label)
    for chip in label.unique():
        held = (label == chip).to_numpy()
        off = float(np.median(whole.gap[~held])) - whole.mean
        assert np.abs(apart[held] - closed[held]).max() <= abs(off) + 1e-8


def test_the_larger_of_two_groups_speaks_not_the_mean_of_both(rows):
    """A quarter of the rows is twice as fast, for a reason that no column states."""
    d = rows.loc[rows.index.repeat(4)].reset_index(drop=True)
    d["measured_on"], d["year"] = "", 0.02 * (d.index % 4)
    fast = d.index % 4 == 3
    d["silicon_tpot_ms"] = np.exp(d["prior_tpot"]) * np.where(fast, 0.5, 1.0)
    system = d["chip"] == d["chip"].iloc[0]
    plain, robust = (np.median(GapModel(d[~system], "tpot", rounds=n).predict(d[system])[0]) for n in (0, 2))
    assert abs(robust) < 0.05 < abs(plain)


def _one_setup_off(path, by):
    """Five systems, the first of which was run with a flag that slows all of its setups down."""
    rows = read_deployments(table(path, ("h100_sxm", "h200_sxm", "b200_sxm", "gb200", "gb300")))
    d = rows.loc[rows.index.repeat(4)].reset_index(drop=True)
    d["measured_on"], d["year"] = "", 0.02 * (d.index % 4)
    return d.assign(silicon_tpot_ms=np.exp(d["prior_tpot"]) * np.where(d["chip"] == d["chip"].iloc[0], by, 1.0))


def test_a_setup_run_with_flags_that_nobody_states_does_not_move_other_systems(tmp_path):
    d = _one_setup_off(tmp_path / "d.csv", 3.0)
    first, last = d["chip"] == d["chip"].iloc[0], d["chip"] == d["chip"].iloc[-1]
    plain, robust = (np.median(GapModel(d[~last], "tpot", rounds=n).predict(d[last])[0]) for n in (0, 2))
    assert abs(robust) < 0.6 * abs(plain)
    model = GapModel(d, "tpot")
    assert model.odd[[name.split("|")[2] == d["chip"].iloc[0] for name in model.setups]].min() > 0
    again, _ = model.predict(d[first])
    assert np.median(again) == pytest.approx(np.log(3.0), abs=0.1), "its own rows still say what they measured"


def test_odd_setups_enter_the_solution_as_a_variance_of_their_own_rows(tmp_path):
    """Leave-out in closed form against the textbook solution with the same noise and odd variances."""
    d = _one_setup_off(tmp_path / "d.csv", 3.0)
    model = GapModel(d, "tpot")
    residual, deviation = model.left_out(model.cells["chip"])
    whole = covariance(model.cells, model.cells, model.parts, PARTS) + np.diag(model.noise)
    whole += model.odd[model.setup][:, None] * (model.setup[:, None] == model.setup[None, :])
    out = (model.cells["chip"] == d["chip"].iloc[0]).to_numpy()
    weight = np.linalg.solve(whole[np.ix_(~out, ~out)], whole[np.ix_(~out, out)]).T
    gap = model.gap - model.mean
    assert residual[out] == pytest.approx(gap[out] - weight @ gap[~out], abs=1e-7)
    known = np.diag(whole)[out] - (weight * whole[np.ix_(out, ~out)]).sum(axis=1)
    known += model.variance - model.noise[out] - model.odd[model.setup][out]
    assert deviation[out] ** 2 == pytest.approx(np.maximum(known, model.variance), rel=1e-6)


def test_ways_of_serving_have_widths_of_their_own_that_cover(tmp_path):
    """The same deviations said for both, but one way scatters three times as far."""
    d = _one_setup_off(tmp_path / "d.csv", 1.0)
    d["split"] = np.where(np.arange(len(d)) % 2, "aggregated", "disaggregated")
    d["concurrency"] = np.arange(len(d)) + 1.0
    wide = np.where(d["split"] == "disaggregated", 0.3, 0.1)
    d["silicon_tpot_ms"] *= np.exp(wide * np.random.default_rng(0).standard_normal(len(d)))
    model = GapModel(d, "tpot", rounds=0)
    narrow, broad, both = (model.width("accelerator", name) for name in ("aggregated", "disaggregated", "neither"))
    assert narrow < both < broad
    assert model.width("model", "aggregated") == model.width("model", "disaggregated"), "architectures share one width"
    apart = model.widths_apart("accelerator", model.cells["chip"])
    by_split = pd.Series(apart).groupby(model.cells["split"].to_numpy())
    assert by_split.max()["aggregated"] < by_split.min()["disaggregated"]
    few = GapModel(d[(d["split"] == "aggregated") | (d["chip"] == d["chip"].iloc[0])], "tpot", rounds=0)
    assert few.width("accelerator", "disaggregated") == few.width("accelerator", "neither"), "one system tells nothing"


def _skewed(path):
    """Five systems of conditions measured once each, three rows in ten slower by a quarter for a reason no column states."""
    d = _one_setup_off(path, 1.0)
    d["concurrency"] = np.arange(len(d)) + 1.0
    slow = np.random.default_rng(0).random(len(d)) < 0.3
    return d.assign(silicon_tpot_ms=d["silicon_tpot_ms"] * np.where(slow, 1.28, 1.0))


def test_a_new_system_is_answered_by_the_median_of_skewed_gaps_not_by_their_mean(tmp_path, monkeypatch):
    """Seven rows in ten of a system held back are as fast as the closed form says."""
    d = _skewed(tmp_path / "d.csv")
    last = d["chip"] == d["chip"].iloc[-1]
    model = GapModel(d[~last], "tpot")
    lean = model.lean()
    mean = float(np.median(model.predict(d[last])[0]))
    assert abs(mean + lean) < 0.7 * mean
    others = d[~last].iloc[::2]
    known, new = (
        rows.assign(silicon_tpot_ms=np.nan, silicon_ttft_ms=np.nan) for rows in (d[~last].iloc[1::2], d[last])
    )
    said = [predict_deployments(rows, others)["predicted_tpot_ms"] for rows in (known, new)]
    lean = GapModel(others, "tpot").lean()
    assert lean < -0.01
    monkeypatch.setattr(GapModel, "lean", lambda *_: 0.0)
    plain = [predict_deployments(rows, others)["predicted_tpot_ms"] for rows in (known, new)]
    assert said[0].equals(plain[0]), "rows of a known system and model say themselves where they lie"
    assert np.log(said[1] / plain[1]).to_numpy() == pytest.approx(lean)


def test_only_times_per_output_token_lean_and_two_systems_tell_it(tmp_path):
    d = _skewed(tmp_path / "d.csv")
    assert GapModel(d, "ttft").lean() == 0.0
    assert GapModel(d[d["chip"] == d["chip"].iloc[0]], "tpot").lean() == 0.0


def test_how_far_others_lean_is_told_without_the_group_that_is_held_back(tmp_path):
    d = _skewed(tmp_path / "d.csv")
    model = GapModel(d, "tpot")
    leans = (
        pd.Series(model.leans_apart(model.cells["chip"])).groupby(model.cells["chip"].to_numpy()).agg(["min", "max"])
    )
    assert leans["min"].eq(leans["max"]).all()
    assert leans["max"].lt(0).all()
    cell = model.membership.to_numpy()
    outside = ~np.isin(cell, np.flatnonzero(model.cells["chip"] == d["chip"].iloc[0]))
    assert leans.loc[d["chip"].iloc[0], "max"] == model.lean(outside)


def test_fits_recover_a_constant_and_reduce_the_error(rows):
    d = rows.assign(silicon_tpot_ms=np.exp(rows["prior_tpot"]) * 1.2, silicon_ttft_ms=np.exp(rows["prior_ttft"]))
    found = fit_closed_forms(d, steps=2)
    assert all(value > 0 for value in found.values())
    sizes = fit_parts(d, "tpot", sweeps=1)
    assert set(sizes) == set(deviations("tpot"))


def test_what_is_served_with_speculated_tokens_moves_no_constant_of_a_step(rows):
    d = rows.assign(silicon_tpot_ms=np.exp(rows["prior_tpot"]) * 1.2, silicon_ttft_ms=np.exp(rows["prior_ttft"]))
    odd = d.assign(speculated=True, silicon_tpot_ms=d["silicon_tpot_ms"] / np.linspace(1, 4, len(d)), version="other")
    alone, both = (fit_closed_forms(part, steps=2) for part in (d, pd.concat([d, odd], ignore_index=True)))
    names = [name for name in alone if not name.startswith("ttft")]
    assert [both[name] for name in names] == [alone[name] for name in names]


def test_rows_without_measurement_train_nothing(tmp_path):
    path = table(tmp_path / "d.csv")
    path.write_text(path.read_text().splitlines()[0] + "\n1,vllm,1,m-7b,h100_sxm,fp8,agg,128,128,1,4,,\n")
    assert len(usable_deployments(path)) == 0
    assert len(GapModel(read_deployments(path), "tpot").gap) == 0


def test_a_few_odd_deployments_do_not_move_all_others(rows):
    """One deployment with a queue of minutes made the times to first token of all others ten times too long."""
    d = rows.iloc[:1].copy()
    d["silicon_ttft_ms"] = 100 * np.exp(d["prior_ttft"])
    model = GapModel(d, "ttft")
    assert model.gap[0] == pytest.approx(np.log(100))
    assert model.mean == pytest.approx(np.log(100) / 6), "the closed forms count as five"
    other = rows.iloc[[-1]].assign(
        backend="other", version="other", campaign="other", chip="other", architecture="other"
    )
    assert model.predict(other)[0][0] < 0.6 * np.log(100)
