"""The published cases, and files of cases nobody has seen."""

import json

import numpy as np
import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.shortlist.reference import COLUMNS, METHODS, check, compute, stated_limits

TWO = {"matrix": [[1.0, 4.0], [3.0, 2.0]], "weights": [0.5, 0.5]}


@pytest.mark.real
def test_every_published_case_is_met(shared_dir):
    found = check(shared_dir / "data" / "mcda_reference_cases.csv")
    assert len(found) == 21
    assert found.loc[~found["ok"], ["case_id", "got", "abs_deviation", "reason"]].to_dict("records") == []


@pytest.fixture
def cases(tmp_path):
    def write(*rows):
        table = pd.DataFrame([{"case_id": f"C{i}", "tolerance": 1e-9, "source": "test", "tags": "", **row,
                               "inputs": row["inputs"] if isinstance(row["inputs"], str) else json.dumps(row["inputs"]),
                               "expected": json.dumps(row["expected"])} for i, row in enumerate(rows)])  # fmt: skip
        table.to_csv(tmp_path / "cases.csv", index=False)
        return check(tmp_path / "cases.csv")

    return write


def test_a_wrong_value_is_not_ok_and_says_how_far_it_is_off(cases):
    found = cases(
        {"method": "weighted_sum_raw", "inputs": TWO, "expected": {"score": [2.5, 2.0]}},
        {"method": "weighted_sum_raw", "inputs": TWO, "expected": {"score": [2.5, 2.5], "winner": 0}},
    )
    assert found.columns.tolist() == COLUMNS
    assert found["ok"].tolist() == [False, True]
    assert found.loc[0, ["abs_deviation", "relative_deviation"]].tolist() == [0.5, 0.25]
    assert json.loads(found.loc[0, "got"]) == {"score": [2.5, 2.5]}


def test_a_case_that_cannot_be_computed_is_a_row_that_is_not_ok(cases):
    found = cases(
        {"method": "topsi", "inputs": TWO, "expected": {"score": [0, 0]}},
        {"method": "topsis", "inputs": {"matrix": [[1.0]]}, "expected": {"score": [0.5]}},
        {"method": "topsis", "inputs": "{not json", "expected": {"score": [0.5]}},
        {"method": "topsis", "inputs": {**TWO, "weights": [-1, 2]}, "expected": {"score": [0.5, 0.5]}},
        {"method": "topsis", "inputs": TWO, "expected": {"closeness": [0.5, 0.5]}},
        {"method": "topsis", "inputs": TWO, "expected": {"score": [0.5]}},
        {"method": "topsis", "inputs": TWO, "expected": [0.5]},
        {"method": "swing", "inputs": {"points": [60, 40]}, "expected": {"weights": [0.6, 0.4]}},
    )
    assert found["ok"].tolist() == [False] * 7 + [True]
    assert found["abs_deviation"][:7].isna().all()
    for message, part in zip(found["reason"], ["Did you mean 'topsis'", "'weights'", "property name", "not negative", "closeness", "shape", "shape", ""], strict=True):  # fmt: skip
        assert part in message


def test_nothing_expected_is_an_unknown(cases):
    found = cases({"method": "smaa2", "inputs": {"values": [[1, 1], [0, 0]], "draws": 100},
                   "expected": {"confidence": [1, None], "acceptability": [[1, 0], [0, 1]]}})  # fmt: skip
    assert found["ok"].all()


@pytest.mark.parametrize("text", ["case_id,inputs,expected\n", "a\n1\n"])
def test_a_file_without_the_columns_is_refused(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(InputError, match=r"x\.csv: the columns .* missing"):
        check(tmp_path / "x.csv")
    with pytest.raises(InputError, match="no such file"):
        check(tmp_path / "absent.csv")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_on_a_small_case(method):
    inputs = {**TWO, "types": [1, -1], "bounds": [[0, 5], [0, 5]], "values": [[0.2, 0.8], [0.6, 0.4]], "points": [60, 40], "n": 3,
              "pairwise": [[1, 2], [0.5, 1]], "anchors": [[[0, 0], [5, 1]], [[0, 1], [5, 0]]], "draws": 200,
              "before": [[1, 2], [2, 1]], "after": [[1, 2], [2, 1], [3, 3]]}  # fmt: skip
    if method.startswith("smaa2"):
        inputs["weights"] = "uniform on simplex"
    found = compute(method, inputs)
    assert all(
        np.isfinite(np.asarray(found[name], dtype=float)).all() for name in ("score", "weights", "b1") if name in found
    )


def test_ranks_of_a_distance_run_the_other_way():
    found = compute("spotis", {**TWO, "bounds": [[0, 5], [0, 5]], "types": [1, 1], "weights": [0.9, 0.1]})
    assert found["rank"].tolist() == [2, 1]
    assert found["winner"] == 1


def test_admissible_weights_are_read_from_words_entries_or_numbers():
    trio = [[1, 0], [0, 1], [0.6, 0.6]]
    cases = (
        ({"weights": "uniform on simplex"}, [0.4, 0.4, 0.2]),
        ({"weights": "uniform on w1 >= w2"}, [0.8, 0.0, 0.2]),
        ({"weights": "uniform, 0.3 <= w1 <= 0.9"}, [0.5, 1 / 6, 1 / 3]),
        ({"order": [1, 0]}, [0.0, 0.8, 0.2]),
        ({"weight_low": [0.3, 0.1]}, [0.5, 1 / 6, 1 / 3]),
        ({"weights": [0.5, 0.5]}, [0.0, 0.0, 1.0]),
    )
    for entries, expected in cases:
        found = compute("smaa2", {"values": trio, "draws": 20_000, **entries})
        np.testing.assert_allclose(found["b1"], expected, atol=0.015)


@pytest.mark.parametrize(
    ("words", "limits"),
    [
        ("w1+w2<=0.5", [((1, 1, 0), 0.5)]), ("uniform, w1 >= 2 w2", [((-1, 2, 0), 0)]), ("w1 > 50%", [((-1, 0, 0), -0.5)]),
        ("w1 >= 50 % w2", [((-1, 0.5, 0), 0)]),
        ("w1 - w2 \u2265 0.1; 2*w3 <= w1 + w2", [((-1, 1, 0), -0.1), ((-1, -1, 2), 0)]),
        ("0.2 <= w1 + 0.5w2 <= 40 %", [((-1, -0.5, 0), -0.2), ((1, 0.5, 0), 0.4)]),
    ],
)  # fmt: skip
def test_sums_multiples_and_percent_of_weights_are_read(words, limits):
    found = stated_limits(words, 3)
    assert [row for row, _ in found] == [row for row, _ in limits]
    np.testing.assert_allclose([end for _, end in found], [end for _, end in limits])


@pytest.mark.parametrize(
    "words",
    ["w1 = w2", "w1 >= -0.5", "w1*w2 <= 0.2", "2(w1 + w2) <= 1", "cost >= quality", "w1 <= 0.5 w2 + x", "w1 > w2 / 2"],
)
def test_words_that_are_no_comparison_of_weights_are_refused(words):
    with pytest.raises(InputError, match="is no comparison of weights"):
        stated_limits(words, 3)


def test_a_weight_that_does_not_exist_is_named():
    with pytest.raises(InputError, match="w3"):
        stated_limits("w1 >= w3", 2)
    assert stated_limits("uniform on simplex", 2) == ()
    assert stated_limits("w1>=w2>=w3", 3) == (((-1.0, 1.0, 0.0), 0.0), ((0.0, -1.0, 1.0), 0.0))


@pytest.mark.parametrize(
    ("method", "inputs", "expected"),
    [
        ("Weighted-Sum", {"matrix": [[1, 0, 3], [0, 5, 6]], "weights": "1;1;1", "types": ["max", "cost", "min"]}, {"score": [-2, -11], "rank": [1, 2]}),
        ("weighted_sum", {"decision_matrix": [["50 %", 1], [0, 2]], "w": {"a": 1, "b": 0}}, [0.5, 0.0]),
        ("topsis", {"matrix": [[1, 1], [1, 1]], "weights": "equal"}, {"score": [0.5, 0.5], "rank": [1, 1]}),
        ("roc", {"n": 2}, [0.75, 0.25]),
        ("rank_sum", {"n": 4}, [0.4, 0.3, 0.2, 0.1]),
        ("equal_weights", {"n": 4}, [0.25] * 4),
        ("weighted_product", {"matrix": [[1, 4], [2, 4]], "weights": [1, 0.5], "types": [-1, 1]}, {"score": [2, 1], "winner": 0}),
        ("ahp", {"matrix": [[1, 3], ["1/3", 1]]}, {"weights": [0.75, 0.25], "consistent": "true"}),
        ("smaa2", {"values": [[1, 0], [0, 1]], "order": [1, 2]}, {"b1": [1, 0]}),
        ("pareto", {"matrix": [[1, 1], [1, 1], [0, 1]]}, {"dominated": [False, False, True]}),
    ],
)  # fmt: skip
def test_the_same_case_written_in_another_way(cases, method, inputs, expected):
    found = cases({"method": method, "inputs": inputs, "expected": expected})
    assert found["ok"][0], found["reason"][0]


@pytest.mark.parametrize(
    ("method", "inputs"),
    [
        ("weighted_sum", {**TWO, "weights": [1.5, -0.5]}),
        ("additive_value", {**TWO, "weights": [0.5, 0.4], "anchors": [[[0, 0], [5, 1]]] * 2}),
        ("topsis", {**TWO, "matrix": [[1, None], [2, 3]]}),
        ("swing", {"points": [0, 0]}),
        ("merec", {"matrix": [[0, 2], [1, 3]]}),
        ("ahp", {"pairwise": [[1, 3], [3, 1]]}),
    ],
)
def test_a_refusal_meets_a_case_without_an_answer_and_says_why(cases, method, inputs):
    found = cases(
        {"method": method, "inputs": inputs, "expected": "error"},
        {"method": method, "inputs": inputs, "expected": None},
    )
    assert found["ok"].all()
    assert found["reason"].str.startswith("refused: ").all()


def test_names_that_mean_two_things_and_missing_entries_are_no_refusal(cases):
    found = cases(
        {"method": "saw", "inputs": TWO, "expected": "error"},
        {"method": "electre", "inputs": TWO, "expected": "error"},
        {"method": "topsis", "inputs": {"matrix": [[1.0]]}, "expected": "error"},
        {"method": "weighted_sum", "inputs": TWO, "expected": "error"},
        {"method": "weighted_sum", "inputs": TWO, "expected": {"score": [1, 2]}, "tolerance": -1},
    )
    assert not found["ok"].any()
    for reason, part in zip(
        found["reason"],
        ["differ", "not supported", "needs the entry", "refusal was expected", "tolerance"],
        strict=True,
    ):
        assert part in reason


def test_a_short_row_is_a_case_that_cannot_be_run(tmp_path):
    path = tmp_path / "cases.csv"
    text = 'Case_ID;Method;Inputs;Expected;Tolerance\na;swing\nb;swing;"{""points"":[60,40]}";[0.6,0.4];1e-9\n'
    path.write_text(text, encoding="utf-8")
    found = check(path)
    assert found["ok"].tolist() == [False, True]
    assert "not as many cells" in found["reason"][0]


@pytest.mark.parametrize("name", ["rank_order_centroid", "rank_sum"])
def test_a_count_beyond_any_ranking_is_refused(cases, name):
    assert "1,000" in cases({"method": name, "inputs": {"n": 1e9}, "expected": "error"})["reason"][0]
