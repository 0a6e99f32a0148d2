"""The published finance cases kept beside the checkout: every row our functions cover."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from aifactory.finance.cashflow import (
    annualised,
    annuity_payment,
    discounted_payback,
    irr_all,
    mirr,
    npv,
    payback,
)
from aifactory.finance.depreciation import straight_line

CASES = Path(__file__).parents[3] / "shared" / "data" / "finance_reference_cases.csv"


def _annual(given):
    return [given["initial"] if given["initial"] < 0 else -given["initial"], *given["annual"]]


def _payment(given):
    paid = annuity_payment(given["pv"], given["rate"], given["nper"], -given.get("fv", 0.0))
    return -float(paid)


def _liability(given):
    flows = [0.0, *[given["payment"]] * given["remaining"]]
    return npv(flows, given["rate"])


FUNCTIONS = {
    "npv_excel": lambda g: npv([0, *g["values"]], g["rate"]),
    "npv_excel_plus_initial": lambda g: npv([g["initial"], *g["values"]], g["rate"]),
    "npv_t0": lambda g: npv(g["values"], g["rate"]),
    "mid_period_npv": lambda g: npv(g["values"], g["rate"]) * (1 + g["rate"]) ** 0.5,
    "irr": lambda g: irr_all(g["values"]).rate,
    "irr_count": lambda g: list(irr_all(g["values"]).rates),
    "irr_none": lambda g: "" if irr_all(g["values"]).status == "none" else "some",
    "crossover_rate": lambda g: irr_all(np.subtract(g["a"], g["b"])).rate,
    "mirr": lambda g: mirr(g["values"], g["finance"], g["reinvest"]),
    "pmt": _payment,
    "equivalent_annual_cost": lambda g: g["annual"] + float(annuity_payment(g["initial"], g["rate"], g["years"])),
    "lease_liability_after_first_payment": _liability,
    "payback_years": lambda g: payback(_annual(g)),
    "payback_years_interpolated": lambda g: payback(_annual(g)),
    "discounted_payback_years_interpolated": lambda g: discounted_payback(_annual(g), g["rate"]),
    "sln": lambda g: float(straight_line(g["cost"], g["salvage"], g["life"])),
    "effect": lambda g: annualised(g["nominal"] / g["npery"], g["npery"]),
    "tax_shield_pv": lambda g: g["tax"] * npv([0, *np.multiply(g["schedule"], g["cost"] / 100)], g["rate"]),
}


def cases():
    if not CASES.is_file():
        return []
    with CASES.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["function"] in FUNCTIONS]


@pytest.mark.real
@pytest.mark.skipif(not CASES.is_file(), reason="reference cases are not beside the checkout")
def test_most_cash_flow_cases_are_covered():
    assert len(cases()) >= 24
    assert {row["function"] for row in cases()} == set(FUNCTIONS)


@pytest.mark.real
@pytest.mark.parametrize("case", cases(), ids=lambda row: row["case_id"])
def test_reference_case(case):
    found = FUNCTIONS[case["function"]](json.loads(case["inputs"]))
    if case["expected"] == "":
        assert found == ""
    else:
        np.testing.assert_allclose(found, json.loads(case["expected"]), rtol=0, atol=float(case["tolerance"]))
