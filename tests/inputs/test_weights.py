"""Weights that make no score are refused when the plan is read, before any stage runs."""

import re

import pytest

from aifactory.errors import InputError
from aifactory.inputs.plan import load_plan
from aifactory.inputs.resources import data_dir
from aifactory.inputs.weights import MATRIX_CRITERIA, SCORECARD_CRITERIA, check_weights

EVEN = dict.fromkeys(MATRIX_CRITERIA, 1 / 6)


@pytest.mark.parametrize(("matrix", "card", "limits", "text"), [
    ({"cost": 1.0}, {}, {}, "column 'matrix_weights': lacks a weight for maturity"),
    ({**dict.fromkeys(MATRIX_CRITERIA, 0.0), "cost": 1.0}, {}, {}, "only cost has a weight"),
    ({**EVEN, "latncy": 0.4}, {}, {}, "value 'latncy': no such criterion. Did you mean 'latency'"),
    (EVEN, {"lockin": 1.0}, {}, "column 'scorecard_weights': value 'lockin': no such criterion. Did you mean 'lock_in'"),
    (EVEN, {}, {"costs": (0.1, 0.2)}, "column 'weight_limits': value 'costs': no such criterion. Did you mean 'cost'"),
    (EVEN, {}, {"cost": (0.3, 0.2)}, "value 'cost': the low end 0.3 lies above the high end 0.2"),
    (EVEN, {}, {"cost": (0.6, 1.0), "latency": (0.5, 1.0)}, "they reach from 1.1 to 6"),
    (EVEN, {}, dict.fromkeys(MATRIX_CRITERIA, (0.0, 0.1)), "they reach from 0 to 0.6"),
])  # fmt: skip
def test_weights_that_make_no_score_are_refused(matrix, card, limits, text):
    with pytest.raises(InputError, match=re.escape(text)):
        check_weights(matrix, card, limits)


def test_weights_at_the_edge_are_kept():
    check_weights({**EVEN, "portability": 0.0}, dict.fromkeys(SCORECARD_CRITERIA, 1 / 7), {"cost": (0.2, 0.2)})
    check_weights(EVEN, {}, dict.fromkeys(MATRIX_CRITERIA, (1 / 6, 1 / 6)))


@pytest.mark.parametrize(("old", "new"), [("maturity: 0.15", "matrity: 0.15"), ("lock_in: ", "lockin: ")])
def test_a_plan_with_a_wrong_name_is_not_read(tmp_path, old, new):
    text = (data_dir() / "templates" / "plan.yaml").read_text(encoding="utf-8")
    assert text.count(old) >= 1
    (tmp_path / "plan.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=rf"^plan.yaml, column .*{new.split(':')[0]}.*Did you mean"):
        load_plan(tmp_path / "plan.yaml")
