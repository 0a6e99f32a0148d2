"""Does the ranking hold: verdicts, ranks under intervals, flips, and what a measurement would decide."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.shortlist import robustness
from aifactory.shortlist.mcda.knowing import gain_from_knowing
from aifactory.shortlist.mcda.weight_space import WeightSpace
from aifactory.shortlist.robustness import (
    RANK_COLUMNS,
    VERDICT_COLUMNS,
    admissible_weights,
    decided_again,
    rank_robustness,
)

WEIGHTS = {
    "maturity": 0.15,
    "cost": 0.30,
    "throughput": 0.15,
    "latency": 0.15,
    "portability": 0.10,
    "operational_risk": 0.15,
}
NONE = pd.DataFrame({"use_case_id": [], "accelerator_id": []})


def cells(*rows):
    """Cells of one use case, given as (name, decision, values by criterion, half width of the intervals)."""
    table = []
    for name, decision, values, half in rows:
        row = {"use_case_id": "chat", "accelerator_id": name, "decision": decision, "tier": "measured",
               "units_per_s_per_accelerator": 1.0}  # fmt: skip
        for criterion, value in zip(MATRIX_CRITERIA, np.broadcast_to(values, 6), strict=True):
            row |= {
                criterion: value,
                f"{criterion}_low": max(value - half, 0),
                f"{criterion}_high": min(value + half, 1),
            }
        table.append(row)
    return pd.DataFrame(table)


def judge(*rows, exclusions=NONE, **plan):
    base = {
        "matrix_weights": WEIGHTS,
        "weight_limits": {},
        "seed": 1,
        "winner_acceptability": 0.7,
        "winner_confidence": 0.8,
    }
    ws = SimpleNamespace(plan=SimpleNamespace(**{**base, **plan}))
    return rank_robustness(ws, cells(*rows), exclusions, draws=4000)


def test_one_that_leads_everywhere_is_a_clear_winner():
    found = judge(("good", "choose", 0.8, 0.05), ("poor", "choose", 0.4, 0.05))
    row = found.verdicts.iloc[0]
    assert (row["leader"], row["verdict"], row["acceptability"]) == ("good", "clear winner", 1.0)
    ranks = found.ranks.set_index("accelerator_id")
    assert ranks.loc["poor", ["dominated_by", "surely_dominated_by"]].tolist() == ["good", "good"]
    assert ranks["best_rank"].tolist() == ranks["worst_rank"].tolist() == [1, 2]
    assert pd.isna(row["rival"])
    assert list(found.ranks.columns) == RANK_COLUMNS
    assert list(found.verdicts.columns) == VERDICT_COLUMNS


def test_two_alike_have_no_clear_winner_and_the_marks_are_the_plans():
    rows = ("a", "choose", 0.55, 0.2), ("b", "choose", 0.5, 0.2)
    found = judge(*rows)
    assert found.verdicts.loc[0, "verdict"] == "no clear winner"
    assert found.ranks["best_rank"].tolist() == [1, 1]
    assert found.ranks["worst_rank"].tolist() == [2, 2]
    assert judge(*rows, winner_acceptability=0.5, winner_confidence=0.5).verdicts.loc[0, "verdict"] == "clear winner"


def test_who_may_not_be_chosen_is_a_challenger_not_a_winner():
    found = judge(("safe", "choose", 0.5, 0.01), ("weak", "choose", 0.3, 0.01), ("rumour", "pilot", 0.6, 0.3))
    row = found.verdicts.iloc[0]
    assert (row["leader"], row["verdict"], row["contenders"], row["alternatives"]) == ("safe", "clear winner", 2, 3)
    assert row["challenger"] == "rumour"
    assert row["challenger_first"] > 0.5
    assert row["deciding_measurement"].endswith("on rumour")


def test_where_none_may_be_chosen_all_contend():
    assert judge(("a", "pilot", 0.6, 0.0), ("b", "pilot", 0.5, 0.0)).verdicts.loc[
        0, ["leader", "contenders"]
    ].tolist() == ["a", 2]


def test_an_excluded_cell_is_no_alternative():
    out = pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": ["good"]})
    found = judge(("good", "reject", 0.8, 0.0), ("poor", "choose", 0.4, 0.0), exclusions=out)
    assert found.verdicts.loc[0, ["leader", "verdict"]].tolist() == [
        "poor",
        "no alternative: only one platform is left",
    ]
    assert found.ranks.empty


def test_the_flip_is_told_with_criterion_and_weight():
    # money against maturity: level where the two weights are equal; 0.30 against 0.15
    money, mature = (np.where(np.array(MATRIX_CRITERIA) == name, 1.0, 0.5) for name in ("cost", "maturity"))
    row = judge(("cheap", "choose", money, 0.0), ("mature", "choose", mature, 0.0)).verdicts.iloc[0]
    assert (row["leader"], row["stated"], row["rival"]) == ("cheap", "cheap", "mature")
    assert row["weight_moved"] == pytest.approx(0.075)
    # with the weight t of maturity the cost keeps 0.30 (1 - t) / 0.85: level at t = 6 / 23; raising
    # maturity by 0.11 is nearer than lowering cost to 3 / 17 by 0.12
    assert row["flip_criterion"] == "maturity"
    assert row["flip_at"] == pytest.approx(6 / 23)


def test_anchored_values_never_reverse_though_topsis_may(road):
    assert road.shortlist.robustness.verdicts["reversals_here"].dropna().eq(0).all()


def test_the_deciding_measurement_is_the_one_that_is_uncertain():
    found = judge(("known", "choose", 0.5, 0.0), ("open", "choose", 0.5, 0.4)).verdicts.iloc[0]
    assert "open" in found["deciding_measurement"]
    assert found["gain"] > 0.02
    weights_only = judge(
        ("a", "choose", [1, 0, 1, 0, 1, 0], 0.0), ("b", "choose", [0, 1, 0, 1, 0, 1], 0.0)
    ).verdicts.iloc[0]
    assert weights_only["deciding_measurement"] == ""


def test_a_platform_that_waits_for_a_run_is_decided_by_that_run():
    """The rumour would surely be first, yet may not be chosen: knowing more of it changes no rank, a run lets it be chosen."""
    row = judge(("safe", "choose", 0.5, 0.0), ("rumour", "pilot", 0.8, 0.1)).verdicts.iloc[0]
    assert (row["leader"], row["challenger"], row["challenger_first"]) == ("safe", "rumour", 1.0)
    assert row["deciding_measurement"].endswith("on rumour")
    assert row["gain"] == 1.0
    rejected = judge(("safe", "choose", 0.5, 0.0), ("rumour", "reject", 0.8, 0.1)).verdicts.iloc[0]
    assert not rejected["deciding_measurement"].endswith("on rumour")


def test_where_the_leader_stands_nothing_is_left_to_decide():
    row = judge(("safe", "choose", 0.8, 0.1), ("weak", "choose", 0.3, 0.1)).verdicts.iloc[0]
    assert row["deciding_measurement"] == "none: it leads at nearly all weights and values"
    most = judge(("a", "choose", [0.25, 0.6, 0.55, 0.55, 0.6, 0.6], 0.001), ("b", "choose", 0.5, 0.0)).verdicts.iloc[0]
    assert most["verdict"] == "clear winner" and most["acceptability"] < 0.98
    assert most["deciding_measurement"] == "no measurement: the weights decide what doubt is left"
    split = judge(("a", "choose", [1, 0, 1, 0, 1, 0], 0.001), ("b", "choose", [0, 1, 0, 1, 0, 1], 0.0)).verdicts.iloc[0]
    assert split["deciding_measurement"].startswith("no measurement: the weights decide")


def test_admissible_weights_keep_the_order_and_the_limits():
    draws = admissible_weights(WEIGHTS, {"cost": (0.25, 0.35)}).draw(500, seed=1)
    cost, least = MATRIX_CRITERIA.index("cost"), MATRIX_CRITERIA.index("portability")
    assert ((draws[:, cost] >= 0.25) & (draws[:, cost] <= 0.35)).all()
    assert (draws.argmin(axis=1) == least).all()


def test_an_unknown_score_is_open_between_the_ends():
    table = cells(("a", "choose", 0.5, 0.1)).assign(latency=np.nan, latency_low=0.0, latency_high=1.0)
    values, low, high = robustness.value_tables(table)
    j = MATRIX_CRITERIA.index("latency")
    assert (values[0, j], low[0, j], high[0, j]) == (0.5, 0.0, 1.0)


def test_shares_of_ranks_and_central_weights_add_up(road):
    found = road.shortlist.robustness
    sums = found.acceptability.groupby(["use_case_id", "accelerator_id"])["share"].sum()
    np.testing.assert_allclose(sums, 1.0)
    central = found.central_weights.dropna().groupby(["use_case_id", "accelerator_id"])["weight"].sum()
    np.testing.assert_allclose(central, 1.0)


def test_the_same_seed_gives_the_same_ranks(road):
    again = rank_robustness(road.ws, road.shortlist.matrix, road.shortlist.exclusions)
    pd.testing.assert_frame_equal(again.ranks, road.shortlist.robustness.ranks)


def test_knowing_by_hand():
    # uniform on 0..1 against 0.75: the best bet is right in 75 of 100; known to a quarter, always
    gains = gain_from_knowing([[0.0], [0.75]], [[1.0], [0.75]], [[0], [1]], WeightSpace(1), draws=20_000)
    assert gains == pytest.approx({0: 0.25}, abs=0.01)
    certain = gain_from_knowing([[0.0], [2.0]], [[1.0], [2.0]], [[0], [1]], WeightSpace(1))
    assert certain == {0: 0.0}


def test_knowing_refuses_intervals_upside_down():
    with pytest.raises(InputError, match="low"):
        gain_from_knowing([[1.0]], [[0.0]], [[0]], WeightSpace(1))


def test_no_run_on_a_platform_that_cannot_pay_decides():
    """While a pilot it would decide; rejected since, beside one that may be chosen, no run is left to ask for."""
    before = judge(("safe", "choose", 0.5, 0.0), ("rumour", "pilot", 0.8, 0.1))
    after = judge(("safe", "choose", 0.5, 0.0), ("rumour", "reject", 0.8, 0.1))
    choice = pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": ["safe"], "deciding_measurement": ["a run"]})
    firm, told = decided_again(before, choice, after)
    row = firm.verdicts.iloc[0]
    assert (row["verdict"], row["gain"]) == ("only one may be chosen", 0.0)
    assert (
        row["deciding_measurement"]
        == told.loc[0, "deciding_measurement"]
        == "none: no pilot that could pay would often lead"
    )


def test_measurements_named_as_deciding_are_of_no_rejected_platform(road):
    cells = road.shortlist.matrix
    rejected = cells[cells["decision"] == "reject"].groupby("use_case_id")["accelerator_id"].agg(set)
    for row in road.shortlist.robustness.verdicts.itertuples():
        assert not any(
            str(row.deciding_measurement).endswith(f" on {chip}") for chip in rejected.get(row.use_case_id, ())
        )
