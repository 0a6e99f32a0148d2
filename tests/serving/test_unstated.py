"""Conditions that a row leaves out are pooled over those that others of its kind state."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aifactory.serving.fidelity_command import run_fidelity
from aifactory.serving.measurements import NUMBERS, TEXTS, with_features
from aifactory.serving.unstated import COPIES, pooled, that_hold_weights, with_conditions

PUBLIC = Path(__file__).parents[3] / "shared" / "data" / "measured" / "public_performance.csv"


def table(*rows):
    blank = dict.fromkeys(TEXTS, "") | dict.fromkeys(NUMBERS, np.nan)
    base = blank | {
        "source": "sweep-v1",
        "metric": "tokens_per_s",
        "scenario": "offline",
        "task": "llm",
        "model": "m",
        "accelerator": "a",
    }
    return pd.DataFrame([base | {"id": str(at)} | row for at, row in enumerate(rows)])


STATED = table(*[{"precision": "fp8", "batch_or_concurrency": 8.0 * n, "accel_count": 1.0} for n in range(1, 7)],
               *[{"precision": "bf16", "batch_or_concurrency": 4.0, "accel_count": 8.0} for _ in range(3)])  # fmt: skip


def test_what_a_row_leaves_out_comes_jointly_from_rows_of_its_kind():
    found = with_conditions(table({"input_tokens": 100.0}), STATED)
    assert len(found) == COPIES and (found["copy_of"] == 0).all() and (found["id"] == "0").all()
    pairs = set(zip(found["precision"], found["batch_or_concurrency"], found["accel_count"], strict=True))
    known = set(zip(STATED["precision"], STATED["batch_or_concurrency"], STATED["accel_count"], strict=True))
    assert pairs == known  # nine donors, nine copies; no mixed pairs
    assert (found["input_tokens"] == 100.0).all()
    assert found["unstated"].unique().tolist() == ["precision, batch or concurrency, accel count"]


def test_what_is_stated_stays_and_rows_that_leave_out_nothing_more_than_others_have_no_copies():
    found = with_conditions(table({"precision": "int4"}), STATED)
    assert (found["precision"] == "int4").all()
    usual = table({"precision": "int4", "batch_or_concurrency": 2.0, "accel_count": 1.0})
    assert with_conditions(usual, STATED).empty  # nobody states lengths or tp
    mostly = STATED.assign(precision=["", "", "", "", "", "", "fp8", "", ""])
    asked = table({"batch_or_concurrency": 2.0, "accel_count": 1.0})
    assert with_conditions(asked, mostly).empty


def test_the_nearest_kind_gives_the_conditions():
    other = STATED.assign(source="else", precision="fp4")
    both = pd.concat([STATED, other], ignore_index=True)
    assert set(with_conditions(table({}), both)["precision"]) == {"fp8", "bf16"}
    newer = with_conditions(table({"source": "sweep-v2"}), both)  # the next edition
    assert set(newer["precision"]) == {"fp8", "bf16"}
    strange = with_conditions(table({"source": "new"}), both)
    assert "fp4" in set(strange["precision"])
    assert strange["batch_or_concurrency"].isna().all()  # a batch that a new source leaves out is the best one
    unnamed = with_conditions(table({"source": ""}), both)
    assert set(unnamed["source"]) == {"sweep-v1", "else"}
    assert with_conditions(table({"metric": "watts"}), both).empty
    assert with_conditions(both[:0], both).empty


SPLIT = table(*[{"tp": 1.0, "accel_count": 1.0} for _ in range(6)], *[{"tp": 4.0, "accel_count": n} for n in (4.0, 4.0, 4.0, 8.0, 8.0)])  # fmt: skip


def test_a_number_of_accelerators_beside_a_stated_split_is_that_of_rows_of_the_same_split():
    """A split over 4 was answered for one accelerator as often as rows of a split over 1 came."""
    found = with_conditions(table({"tp": 4.0}, {"tp": 1.0}, {}), SPLIT)
    counts = found.groupby("copy_of")["accel_count"].agg(set).tolist()
    assert counts[:2] == [{4.0, 8.0}, {1.0}] and counts[2] == {1.0, 4.0, 8.0}
    assert (found.loc[found["copy_of"] == 0, "tp"] == 4.0).all()


def test_without_rows_of_the_same_split_a_model_runs_once_and_that_is_said():
    precise = SPLIT.assign(precision="fp8")
    found = with_conditions(table({"tp": 2.0}), precise)
    assert found["accel_count"].isna().all() and found["unstated"].unique().tolist() == ["precision"]
    rows = with_features(
        table({"tp": 8.0}, {}, {"tp": 8.0, "metric": "ms_per_token"}, {"tp": 8.0, "accel_count": 16.0})
    )
    assert rows["accelerators"].tolist() == [8.0, 1.0, 8.0, 16.0]
    assert rows["assumed"].str.contains("as many accelerators as the split, 8").tolist() == [True, False, False, False]
    assert rows["assumed"].str.contains("1 accelerator").tolist() == [False, True, False, False]


def test_copies_on_too_few_accelerators_for_the_weights_are_left_out():
    """405 x 10^9 parameters of a byte, accelerators of 80 GB: 8 hold 640 GB, 4 hold 320."""
    base = {"params_b": 405.0, "weight_bytes": 1.0, "memory": 80.0, "regime": "llm_tables", "unstated": "accel count"}
    lines = [(0, 1.0), (0, 4.0), (0, 8.0), (1, 1.0), (1, 4.0)]
    copies = pd.DataFrame([base | {"copy_of": of, "accelerators": count} for of, count in lines])
    assert that_hold_weights(copies)["accelerators"].tolist() == [
        8.0,
        1.0,
        4.0,
    ]  # none of the second row's is large enough
    for other in ({"regime": "other"}, {"unstated": "precision"}, {"weight_bytes": 0.1}):
        assert len(that_hold_weights(copies.assign(**other))) == 5
    assert that_hold_weights(copies[:0]).empty


def test_sizes_that_are_not_stated_are_those_in_the_name_of_the_model():
    names = ["some-70b-chat", "some-80b-a3b", "llama4-scout-17b-16e", "some-chat", "some-70b"]
    rows = with_features(table(*[{"model": name} for name in names[:4]], {"model": names[4], "params_b": 66.0},
                               {"model": names[4], "task": ""}))  # fmt: skip
    assert rows["params_b"].tolist() == [70.0, 80.0, 0.1, 0.1, 66.0, 0.1]
    assert rows["active_b"].tolist() == [70.0, 3.0, 0.1, 0.1, 66.0, 0.1]
    assert rows["sized"].tolist() == [True, True, False, False, True, False]
    assert rows["assumed"].str.contains("sizes in the name").tolist() == [True, True, False, False, False, False]


def answers(*rows):
    frame = pd.DataFrame(rows, columns=["predicted", "low80", "high80"])
    return frame.assign(tier=np.where(frame["predicted"].notna(), "measured", "benchmark first"), reason="why")


def pool(copies):
    plain = answers((1.0, 0.5, 2.0)).assign(id="0")
    asked = copies.assign(copy_of=0, unstated="precision")
    return pooled(plain, asked, lambda part: copies.loc[part.index]).iloc[0]


def test_copies_that_agree_answer_as_each_does():
    found = pool(answers(*[(10.0, 5.0, 40.0)] * 5))
    assert found[["low80", "predicted", "high80"]].tolist() == pytest.approx([5.0, 10.0, 40.0], rel=0.02)
    assert (found["tier"], found["reason"]) == ("anchored", "why; precision not stated: over those of rows of its kind")


def test_copies_that_differ_span_all_of_them():
    found = pool(answers(*[(float(speed), speed * 0.99, speed * 1.01) for speed in (1, 2, 4, 8, 16)]))
    assert found[["low80", "predicted", "high80"]].tolist() == pytest.approx([1.0, 4.0, 16.0], rel=0.02)


def test_a_row_of_which_most_copies_are_refused_is_refused():
    none = (np.nan,) * 3
    found = pool(answers(none, none, (3.0, 2.0, 4.0)))
    assert (found["tier"], found["reason"]) == ("benchmark first", "why") and np.isnan(found["predicted"])
    assert pool(answers(none, (3.0, 2.0, 4.0), (3.0, 2.0, 4.0)))["predicted"] == pytest.approx(3.0, rel=0.01)


@pytest.mark.skipif(not PUBLIC.is_file(), reason="the public measurements lie beside the checkout")
@pytest.mark.parametrize(
    ("blank", "error"),
    [(["precision"], 0.08), (["accel_count"], 0.2), (["precision", "batch_or_concurrency", "tp"], 0.15)],
)
def test_held_out_rows_without_conditions_are_covered(tmp_path, blank, error):
    """A quarter of the public rows, from the others: 80 % intervals hold 75 to 85 % of them, two errors of some 500 rows aside."""
    rows = pd.read_csv(PUBLIC, dtype=str, keep_default_na=False)
    out = np.random.default_rng(7).integers(0, 4, len(rows)) == 0
    asked = rows[out].copy()
    asked[blank] = ""
    asked.to_csv(tmp_path / "asked.csv", index=False)
    rows[~out].to_csv(tmp_path / "train.csv", index=False)
    found = run_fidelity(tmp_path / "asked.csv", tmp_path / "train.csv").predictions.set_index("id")
    value = asked.set_index("id")["value"].astype(float)
    said = found["predicted"].notna()
    inside = value.between(found["low80"], found["high80"])[said]
    assert 0.75 - 0.036 <= inside.mean() <= 0.85 + 0.036
    assert (found["predicted"] / value - 1).abs()[said].median() < error


@pytest.mark.skipif(not PUBLIC.is_file(), reason="the public measurements lie beside the checkout")
@pytest.mark.parametrize(("blank", "error"), [(["accel_count"], 0.6), (["accel_count", "tp"], 0.4)])
def test_a_whole_large_model_is_not_answered_for_one_accelerator(tmp_path, blank, error):
    """Llama 3.1 405B was, as most rows of other models are: 27 and 38 times too slow in the middle."""
    rows = pd.read_csv(PUBLIC, dtype=str, keep_default_na=False)
    out = (rows["model"] == "llama3.1-405b") & (rows["tp"] != "")
    rows[out].assign(value_per_accel="", **dict.fromkeys(blank, "")).to_csv(tmp_path / "asked.csv", index=False)
    rows[~out].to_csv(tmp_path / "train.csv", index=False)
    found = run_fidelity(tmp_path / "asked.csv", tmp_path / "train.csv").predictions
    off = np.log(found["predicted"].astype(float).to_numpy() / rows[out]["value"].astype(float).to_numpy())
    assert np.median(np.abs(off)) < error
