"""Cases nobody has seen: however inputs are written, the same numbers; anything else is refused, never a crash."""

import json

import numpy as np
import pandas as pd
import pytest
import pyxirr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aifactory.finance.reference import COLUMNS, check
from aifactory.finance.reference_functions import FUNCTIONS
from aifactory.finance.reference_inputs import read_date, read_value, unread


def run(folder, *cases):
    rows = [dict(zip(("function", "inputs", "expected", "tolerance"), case, strict=True)) for case in cases]
    for row in rows:
        row["inputs"] = row["inputs"] if isinstance(row["inputs"], str) else json.dumps(row["inputs"])
        row["expected"] = row["expected"] if isinstance(row["expected"], str) else json.dumps(row["expected"])
    path = folder / "cases.csv"
    pd.DataFrame(rows).assign(case_id=[f"C{i}" for i in range(len(rows))]).to_csv(path, index=False)
    return check(path)


@pytest.mark.parametrize(
    ("name", "inputs", "expected", "tolerance"),
    [
        ("NPV_Excel", {"rate": "10 %", "values": "-10000;3000;4200;6800"}, 1188.44, 0.005),
        ("npv_excel", {"discount_rate": 0.1, "cash_flows": "-10,000|3,000|4,200|6,800"}, 1188.44, "0.005"),
        ("irr", {"values": [-100, 230, -132]}, [0.1, 0.2], 1e-6),
        ("irr", {"values": [-100, 110], "guess": None}, 0.1, 1e-6),
        ("irr", {"values": [-100, 50], "guess": 0.1}, "-50 %", 1e-6),
        ("irr", {"values": [1, 2, 3]}, "", ""),
        ("xirr", {"values": [-100, 110], "dates": "2025/1/1;01.01.2026"}, 0.1, 1e-9),
        ("xirr", {"values": [-100, 110], "dates": [45658, 46023]}, 0.1, 1e-9),
        ("pmt", {"rate": 0.01, "nper": 10, "pv": 1000, "type": 1}, -104.54, 0.005),
        ("mirr", {"values": [-1000, 500, 400, 300, 100], "finance_rate": "10%", "reinvest_rate": "10%"}, 0.1211, 5e-5),
        ("mirr", {"values": [-1, -2], "finance": 0.1, "reinvest": 0.1}, "none", ""),
        ("payback_years", {"values": [-1000, 500, 500]}, 2.0, 1e-9),
        ("payback_years", {"initial": 1000, "annual": [10, 10]}, "never", ""),
        ("npv_t0", {"rate": -1, "values": [1, 2]}, "error", ""),
        ("npv_t0", {"rate": -1.5, "values": [1, 2]}, "", ""),
        ("var_cvar", {"losses": [], "alpha": 0.9}, "refused", ""),
        ("macrs_pct", {"life": 5, "convention": "MQ", "quarter": "Q1"}, [35, 26, 15.6, 11.01, 11.01, 1.38], 0.011),
        ("lease_liability", {"rate": 0.05, "payment": 50000, "nper": 9}, 355391, 1),
        ("wacc", {"equity": 0.6, "debt": 0.4, "cost_of_equity": 0.12, "cost_of_debt": 0.08, "tax_rate": 0.25}, 0.096, 1e-12),
        ("real_rate", {"nominal": 0.1, "inflation": 0.03}, 0.067961, 1e-6),
        ("sobol_g", {"a": [0, 1]}, {"S1": [0.75, 0.1875], "ST": [0.8125, 0.25], "V": 4 / 9, "mean": 1.0}, 1e-3),
        ("rri", {"nper": 96, "pv": 10000, "fv": 11000}, 0.0009933, 1e-7),
        ("pduration", {"rate": 0.025, "pv": 2000, "fv": 2200}, 3.859866, 1e-5),
    ],
)  # fmt: skip
def test_every_way_to_write_it(tmp_path, name, inputs, expected, tolerance):
    row = run(tmp_path, (name, inputs, expected, tolerance)).iloc[0]
    assert row["ok"], row["reason"]


@pytest.mark.parametrize(
    ("name", "inputs", "expected", "reason"),
    [
        ("npv", {"rate": 0.1, "values": [1]}, 1, "npv_t0.*npv_excel"),
        ("black_scholes", {}, 1, "not supported"),
        ("npv_t0", {"rate": "much", "values": [1]}, "", "rate is not a number"),
        ("npv_t0", {"rate": 0.1, "values": "1,5;2"}, "", "values is not a number"),
        ("npv_t0", {"rate": 0.1, "values": [1]}, "error", "a refusal was expected"),
        ("npv_t0", {"rate": 0.1}, "error", "missing"),
        ("xirr", {"values": [-1, 2], "dates": ["03/04/2025", "2026-01-01"]}, "", "YYYY-MM-DD"),
        ("irr", {"values": [-100, 230, -132]}, 0.1, "one expected: 0.1, 0.2"),
    ],
)  # fmt: skip
def test_what_is_unclear_is_not_guessed(tmp_path, name, inputs, expected, reason):
    row = run(tmp_path, (name, inputs, expected, "1")).iloc[0]
    assert not row["ok"]
    assert pd.Series([row["reason"]]).str.contains(reason).all(), row["reason"]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([name for name in FUNCTIONS if not name.startswith(("sobol", "farmer"))]) | st.text(max_size=6)
PARTS = st.sampled_from(
    ["rate", "values", "nper", "pv", "pmt", "cost", "life", "salvage", "per", "dates", "initial", "x"]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, inputs=st.dictionaries(PARTS, ANYTHING, max_size=6), expected=ANYTHING)
@pytest.mark.filterwarnings("ignore")
def test_no_case_crashes_the_file(tmp_path, name, inputs, expected):
    found = run(tmp_path, (name, inputs, expected, "0.1"), ("sln", {"cost": 10, "salvage": 0, "life": 5}, 2, "0"))
    assert list(found.columns) == COLUMNS
    assert found["ok"].tolist()[1]
    assert found["ok"][0] or found["reason"][0]


MONEY = st.floats(-1e6, 1e6).map(lambda x: round(x, 2))
RATE = st.floats(-0.5, 0.5).map(lambda x: round(x, 4))


@settings(max_examples=60)
@given(rate=RATE, nper=st.integers(1, 60), pv=MONEY, fv=MONEY, begin=st.booleans())
def test_annuities_agree_with_pyxirr(rate, nper, pv, fv, begin):
    when = "begin" if begin else "end"
    scale = 1e-9 * (1.0 + abs(pv) + abs(fv)) * max(1.0, (1.0 + rate) ** -nper, (1.0 + rate) ** nper)
    paid = FUNCTIONS["pmt"](rate, nper, pv, fv, when)
    assert paid == pytest.approx(pyxirr.pmt(rate, nper, pv, fv, pmt_at_beginning=begin), abs=scale)
    assert FUNCTIONS["pv"](rate, nper, paid, fv, when) == pytest.approx(pv, abs=scale)
    parts = [FUNCTIONS[name](rate, 1, nper, pv, fv, when) for name in ("ipmt", "ppmt")]
    assert sum(parts) == pytest.approx(paid, abs=scale)
    assert parts[0] == pytest.approx(pyxirr.ipmt(rate, 1, nper, pv, fv, pmt_at_beginning=begin), abs=scale)


@settings(max_examples=60)
@given(flows=st.lists(MONEY, min_size=2, max_size=24), rate=RATE, reinvest=RATE)
def test_flows_agree_with_pyxirr(flows, rate, reinvest):
    scale = 1e-9 * (1.0 + np.abs(flows).sum()) * max(1.0, (1.0 + rate) ** -len(flows))
    assert FUNCTIONS["npv_t0"](rate, flows) == pytest.approx(pyxirr.npv(rate, flows), abs=scale)
    for root in FUNCTIONS["irr_all"](flows):
        if root > -0.99:
            size = (np.abs(flows) * (1.0 + root) ** -np.arange(len(flows))).sum()
            assert abs(pyxirr.npv(root, flows)) <= 1e-6 * size
    theirs = pyxirr.mirr(flows, rate, reinvest) if min(flows) < -0.01 and max(flows) > 0.01 else None
    if theirs is not None:
        assert FUNCTIONS["mirr"](flows, rate, reinvest) == pytest.approx(theirs, rel=1e-6, abs=1e-9)


@settings(max_examples=60)
@given(cost=st.floats(1, 1e6), share=st.floats(0, 1), life=st.integers(1, 20))
def test_depreciation_never_exceeds_what_can_be_lost(cost, share, life):
    salvage = cost * share
    years = [FUNCTIONS["syd"](cost, salvage, life, year) for year in range(1, life + 1)]
    assert sum(years) == pytest.approx(cost - salvage, rel=1e-9, abs=1e-9)
    assert sum(FUNCTIONS["ddb"](cost, salvage, life)) <= (cost - salvage) * (1 + 1e-9) + 1e-9
    assert FUNCTIONS["vdb"](cost, salvage, life, 0, life) == pytest.approx(cost - salvage, rel=1e-9, abs=1e-9)
    halves = FUNCTIONS["vdb"](cost, salvage, life, 0, life / 2) + FUNCTIONS["vdb"](cost, salvage, life, life / 2, life)
    assert halves == pytest.approx(cost - salvage, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("life", [3, 5, 7, 10, 15, 20])
@pytest.mark.parametrize("given_quarter", [None, 1, 2, 3, 4])
def test_tax_tables_write_off_all_cost(life, given_quarter):
    convention = "half-year" if given_quarter is None else "mid-quarter"
    assert sum(FUNCTIONS["macrs_pct"](life, convention, given_quarter)) == pytest.approx(100.0)


def test_reading_is_told_apart_from_text():
    assert read_value({"a": ["5 %", "1e3", "-.5", "true"]}) == {"a": [0.05, 1000.0, -0.5, True]}
    assert unread(read_value("1,5"))
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        read_date("03/04/2026")
