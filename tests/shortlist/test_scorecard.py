"""Vendor scorecard: contributions add up, every entry has a source."""

import numpy as np
import pandas as pd
import pytest

from aifactory.inputs.weights import SCORECARD_CRITERIA
from aifactory.shortlist import scales, scorecard

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"


def test_contributions_add_up_to_the_total(road):
    card, long = road.shortlist.scorecard, road.shortlist.scorecard_long
    sums = long.groupby("accelerator_id")["contribution"].sum()
    assert card.set_index("accelerator_id")["total"].to_dict() == pytest.approx(sums.to_dict())
    np.testing.assert_allclose(long["contribution"], long["weight"] * long["score"].fillna(0.0))


def test_the_total_agrees_with_numpy(road):
    card, weights = road.shortlist.scorecard, road.ws.plan.scorecard_weights
    product = card[list(weights)].astype(float).fillna(0.0).to_numpy() @ np.array(list(weights.values()))
    np.testing.assert_allclose(card["total"], product)


def test_every_candidate_has_every_criterion_once(road):
    long = road.shortlist.scorecard_long
    assert len(long) == len(road.ws.plan.candidates) * len(SCORECARD_CRITERIA)
    assert not long.duplicated(["accelerator_id", "criterion"]).any()
    assert road.shortlist.scorecard["total"].is_monotonic_decreasing


def test_performance_per_dollar_compares_compute_with_today(road):
    cells = road.shortlist.matrix.query("use_case_id == 'chat'").set_index("accelerator_id")
    card, _ = scorecard.score_vendors(road.ws, cells.reset_index(), road.shortlist.penalties)
    compute = road.shortlist.penalties.query("use_case_id == 'chat'").set_index("accelerator_id")["compute_usd"]
    ratio = compute.reindex(cells.index) / compute[H100]  # today's platform: the bill names it
    expected = scales.anchored(ratio, scales.COST_ANCHORS)
    np.testing.assert_allclose(
        card.set_index("accelerator_id")["performance_per_dollar"].reindex(cells.index), expected
    )


def test_the_total_without_money_leaves_performance_per_dollar_out(road):
    card, weights = road.shortlist.scorecard, dict(road.ws.plan.scorecard_weights)
    weights.pop("performance_per_dollar")
    product = card[list(weights)].astype(float).fillna(0.0).to_numpy() @ np.array(list(weights.values()))
    np.testing.assert_allclose(card["total_unpriced"], product / sum(weights.values()))


def test_performance_per_watt_is_scored_by_octave(road):
    cells = road.shortlist.matrix.query("use_case_id == 'chat'")
    card, _ = scorecard.score_vendors(road.ws, cells, road.shortlist.penalties)
    scores = card.set_index("accelerator_id")["performance_per_watt"]
    assert scores[H100] == 0.5  # today's platform: the bill names it
    assert scores[A100] == pytest.approx((np.log2((3 / 400) / (6 / 700)) + 1) / 2)
    assert np.isnan(scores[TPU])  # its design power is not published


def test_a_criterion_that_nobody_judged_scores_nothing_and_says_so(road, changed):
    empty = changed(judgements=road.ws.table("judgements").iloc[:0])
    card, long = scorecard.score_vendors(empty, road.shortlist.matrix, road.shortlist.penalties)
    judged = long[~long["criterion"].isin(scorecard.COMPUTED)]
    assert (judged["rationale"] == "not judged").all()
    assert judged["score"].isna().all()
    assert (judged["contribution"] == 0).all()
    assert card["total"].max() <= 0.4


def test_a_judgement_of_the_accelerator_wins_over_its_class(road, changed):
    own = road.ws.table("judgements").iloc[[0]].assign(
        platform_class=None, accelerator_id=H100, workload_class="*", criterion="supply", score=0.123,
        rationale="two suppliers", source="test",
    )  # fmt: skip
    table = pd.concat([own, road.ws.table("judgements")], ignore_index=True)
    _, long = scorecard.score_vendors(changed(judgements=table), road.shortlist.matrix, road.shortlist.penalties)
    entry = long.set_index(["accelerator_id", "criterion"]).loc[(H100, "supply")]
    assert (entry["score"], entry["rationale"]) == (0.123, "two suppliers")
    assert long.set_index(["accelerator_id", "criterion"]).loc[(A100, "supply"), "score"] != 0.123


def test_scores_stay_between_zero_and_one(road):
    scores = road.shortlist.scorecard_long["score"].dropna()
    assert scores.between(0, 1).all()
    assert road.shortlist.scorecard["total"].between(0, 1).all()


def test_computed_entries_carry_source_and_date(road):
    computed = road.shortlist.scorecard_long.query("criterion in @scorecard.COMPUTED")
    assert (computed["source"] == "benchmark stage").all()
    assert (computed["as_of"] == pd.Timestamp("2026-10-31")).all()
