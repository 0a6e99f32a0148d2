"""Depreciation: published tables, sums, and the continuous rule written out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aifactory.finance.schedules import db, ddb, macrs_pct, sln, syd, tax_shield_pv, vdb

COSTS, LIVES = st.floats(100, 1e6), st.integers(2, 30)


@given(COSTS, st.floats(0, 1), LIVES)
def test_every_method_ends_at_the_salvage_value(cost, share, life):
    salvage = cost * share
    assert sln(cost, salvage, life) * life == pytest.approx(cost - salvage, abs=1e-6)
    assert sum(syd(cost, salvage, life, year) for year in range(1, life + 1)) == pytest.approx(cost - salvage, abs=1e-6)
    assert vdb(cost, salvage, life, 0, life) == pytest.approx(cost - salvage, abs=1e-6)
    assert sum(ddb(cost, salvage, life, year) for year in range(1, life + 1)) <= cost - salvage + 1e-6


@given(COSTS, st.floats(0, 0.5), LIVES, st.data())
def test_parts_of_a_life_add_up(cost, share, life, data):
    cut = data.draw(st.floats(0, life))
    whole = vdb(cost, cost * share, life, 0, life)
    assert vdb(cost, cost * share, life, 0, cut) + vdb(cost, cost * share, life, cut, life) == pytest.approx(whole)


@given(COSTS, LIVES)
def test_without_the_switch_it_is_double_declining(cost, life):
    ours = [vdb(cost, cost * 0.1, life, year, year + 1, no_switch=True) for year in range(life)]
    np.testing.assert_allclose(ours, [ddb(cost, cost * 0.1, life, year + 1) for year in range(life)], atol=1e-6)


def test_switch_by_hand():
    # 1000 over 5 years at 40 %: 400, 240, 144, then 216 / 2 = 108 twice
    assert [round(vdb(1000, 0, 5, year, year + 1), 6) for year in range(5)] == [400, 240, 144, 108, 108]


@pytest.mark.parametrize(
    ("quarter", "table"),
    [
        (1, [35.0, 26.0, 15.6, 11.01, 11.01, 1.38]),
        (2, [25.0, 30.0, 18.0, 11.37, 11.37, 4.26]),
        (3, [15.0, 34.0, 20.4, 12.24, 11.30, 7.06]),
        (4, [5.0, 38.0, 22.8, 13.68, 10.94, 9.58]),
    ],
)
def test_mid_quarter_tables(quarter, table):
    np.testing.assert_allclose(macrs_pct(5, "mid-quarter", quarter), table, atol=0.011)


@pytest.mark.parametrize("life", [3, 5, 7, 10, 15, 20])
@pytest.mark.parametrize("where", [{}, *({"convention": "mid-quarter", "quarter": q} for q in (1, 2, 3, 4))])
def test_the_whole_cost_is_written_off(life, where):
    shares = macrs_pct(life, **where)
    assert sum(shares) == pytest.approx(100)
    assert len(shares) == life + 1
    assert min(shares) > 0


def test_bonus_depreciation_shields_at_once():
    assert tax_shield_pv(0.1, 0.21, 1000, [100.0]) == pytest.approx(210 / 1.1)
    assert tax_shield_pv(0.0, 0.21, 1000, macrs_pct(7)) == pytest.approx(210)


def test_a_first_year_of_months():
    assert len(db(1000, 100, 4)) == 4
    assert len(db(1000, 100, 4, 3)) == 5
    assert db(1000, 100, 4)[0] == pytest.approx(1000 * round(1 - 0.1**0.25, 3))
    assert db(0, 0, 3) == [0, 0, 0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: sln(1, 0, 0),
        lambda: sln(-1, 0, 3),
        lambda: syd(1, 0, 3, 4),
        lambda: ddb(1, 0, 3, 0),
        lambda: ddb(1, 0, 3, 1, 0),
        lambda: vdb(1, 0, 3, 2, 1),
        lambda: vdb(1, 0, 3, 0, 4),
        lambda: db(1, 0, 3, 13),
        lambda: macrs_pct(5, "whole-year"),
        lambda: macrs_pct(5, "mid-quarter", 5),
        lambda: tax_shield_pv(-1, 0.2, 1, [100]),
        lambda: tax_shield_pv(0.1, 0.2, 1, [60, 60]),
    ],
)
def test_out_of_range_is_refused(call):
    with pytest.raises(ValueError, match="must|needs"):
        call()
