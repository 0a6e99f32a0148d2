"""Return as a distribution, against the plain model, hand-computed cases, bounds and pyxirr."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import pyxirr
from hypothesis import given, settings
from hypothesis import strategies as st
from roi_oracle import any_model, plain_draw

from aifactory.finance.cashflow import irr_all
from aifactory.finance.draws import Factor, Factors
from aifactory.finance.information import value_of_signal
from aifactory.finance.roi import (
    base_case,
    break_even_levels,
    evaluate,
    frozen_tornado,
    nearest_level,
    sobol_groups,
    summary,
    with_hosted_end,
)
from aifactory.finance.roi_kernel import internal_rate
from aifactory.finance.roi_model import NEUTRAL

FACTORS = Factors(
    (
        Factor("level", 0.6, 1.0, 1.5, "demand"),
        Factor("growth", -0.02, 0.0, 0.02, "demand", "linear"),
        Factor("value", 0.6, 1.0, 1.3, "value"),
        Factor("capacity", 0.8, 1.0, 1.2, "capacity"),
        Factor("flexible_price", 0.8, 1.0, 1.3, "prices"),
        Factor("step_month", 0, 0.3, 0.3, "prices", "event"),
        Factor("step_size", -0.46, -0.28, -0.05, "prices", "linear"),
        Factor("api_price", 0.6, 1.0, 1.2, "prices"),
        Factor("running", 0.8, 1.0, 1.3, "running"),
        Factor("residual", 0.4, 1.0, 1.4, "residual"),
        Factor("delay_months", 0, 1, 5, "delay", "count"),
        Factor("overhead", 0.8, 1.0, 1.4, "overhead"),
        Factor("level:u1", 0.5, 1.0, 2.0, "demand"),
    ),
    {("level", "growth"): 0.4},
)
MODEL = any_model()
DRAWS = FACTORS.draw(4_096, seed=11)
RESULT = evaluate(MODEL, DRAWS, FACTORS.names)


WHOLE_NODES = replace(MODEL, block_first=3.0 * MODEL.block_level, block_floor=np.ceil(2.0 * MODEL.block_level))


@pytest.mark.parametrize("model", [MODEL, WHOLE_NODES], ids=["in proportion", "whole nodes"])
def test_every_draw_is_the_plain_model(model):
    count = 60
    plain = [plain_draw(model, FACTORS.names, draw) for draw in DRAWS[:count]]
    found = evaluate(model, DRAWS[:count], FACTORS.names)
    names = ["npv_usd", "cost_usd", "pv_cost_usd", "payback_month", "discounted_payback_month", "lowest_cash_usd"]
    for index, name in enumerate(names):
        expected = np.array([measures[:, index] for measures, _ in plain]).T
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-9, atol=1e-4, err_msg=name)
    for draw, (_, net) in enumerate(plain[:20]):
        for option, flows in enumerate(net):
            rates = irr_all(flows)
            quoted = found.irr_annual[option, draw]
            if rates.status == "unique" and np.isfinite(quoted):
                assert quoted == pytest.approx((1 + rates.rate) ** 12 - 1, rel=1e-6, abs=1e-9)


def by_hand(**changes):
    """One use case, one pool, two months; 730 hours need one accelerator."""
    one = any_model(count=1, months=2, blocks=1)
    zero = np.zeros((1, 3))
    units = np.array([[0.0, 730.0, 1460.0]])
    model = replace(
        one, options=("rent",), units=units, value_usd=np.full((1, 3), 5.0), variable_usd=np.full((1, 3), 0.5),
        hours_per_unit=np.ones(1), block_first=np.ones((1, 1)), block_floor=np.zeros((1, 1)), block_level=np.ones((1, 1)), capacity=np.array([[[0.0, 1.0, 1.0]]]),
        flexible_usd_per_hour=np.array([[3.0]]), hosted_usd=np.full((1, 1, 3), np.nan),
        committed_usd=np.array([[0.0, 100.0, 100.0]]), running_usd=zero, base_usd=np.array([[0.0, 100.0, 100.0]]),
        capex_usd=np.array([[1000.0, 0, 0]]), depreciation_usd=zero, residual_usd=np.array([200.0]), once_usd=zero,
        lost_value_share=zero, fixed_usd=np.array([0.0, 10.0, 10.0]), around_usd_per_hour=np.full((1, 3), 0.1), year_starts=np.zeros(3, bool),
        share_of_compute=0.1, contingency_share=0.0, tax_rate=0.25, wacc=0.0,
    )  # fmt: skip
    return replace(model, **changes)


def test_base_case_by_hand():
    model = by_hand()
    # month 1: value 3650; 100 committed + 10 % of 100 + 73 around + 10 fixed + 365 per unit = 558
    # month 2: value 7300; 730 h over at 3 = 2190; 2290 + 229 + 146 + 10 + 730 = 3405; tax 25 % of the rest
    first, second = 3650 - 558, 7300 - 3405
    expected = -1000 + 0.75 * first + 0.75 * second + 200
    found = base_case(model)
    assert found.npv_usd[0, 0] == pytest.approx(expected)
    assert found.cost_usd[0, 0] == pytest.approx(1000 + 558 + 3405 - 200)
    assert found.payback_month[0, 0] == pytest.approx(1000 / (0.75 * first))
    assert found.lowest_cash_usd[0, 0] == -1000


def test_only_rates_of_return_are_quoted():
    """Money that comes in before it goes out has a cost and no return; below -99 % a year all is lost: as `irr_all` says."""
    first = by_hand(capex_usd=np.array([[0.0, 0.0, 20_000.0]]), residual_usd=np.zeros(1), tax_rate=0.0)
    assert irr_all([3650 - 558, 7300 - 3405 - 20_000]).status == "borrowing"
    assert np.isnan(base_case(first).irr_annual).all()
    lost = by_hand(value_usd=np.array([[0.0, 0.0, 1.0]]), committed_usd=np.zeros((1, 3)), tax_rate=0.0,
                   capex_usd=np.array([[30_000.0, 0.0, 0.0]]), residual_usd=np.array([6000.0]))  # fmt: skip
    assert base_case(lost).npv_usd[0, 0] < 0
    assert np.isnan(base_case(lost).irr_annual).all()


def test_neutral_factors_change_nothing():
    neutral = np.array([list(NEUTRAL.values())])
    base = base_case(MODEL)
    np.testing.assert_array_equal(evaluate(MODEL, neutral, list(NEUTRAL)).npv_usd, base.npv_usd)


def test_no_demand_costs_only_what_is_committed():
    nothing = evaluate(MODEL, np.array([[0.0]]), ["level"])
    assert (nothing.npv_usd < 0).all()
    on_demand = MODEL.options.index("on demand")
    fixed = MODEL.fixed_usd.sum() * (1 + MODEL.contingency_share)
    assert nothing.cost_usd[on_demand, 0] == pytest.approx(fixed)


@settings(max_examples=20)
@given(st.sampled_from(["level", "value", "capacity", "flexible_price", "running", "overhead"]), st.floats(1.01, 2.0))
def test_directions(name, times):
    base, moved = base_case(MODEL), evaluate(MODEL, np.array([[times]]), [name])
    better = {"value": 1, "capacity": 1, "flexible_price": -1, "running": -1, "overhead": -1}.get(name)
    if better is None:
        assert (moved.cost_usd >= base.cost_usd - 1e-6).all()
    else:
        assert (better * (moved.npv_usd - base.npv_usd) >= -1e-6).all()


def test_a_delay_as_long_as_the_horizon_leaves_no_value():
    late = evaluate(MODEL, np.array([[99.0]]), ["delay_months"])
    none = evaluate(MODEL, np.array([[0.0]]), ["level"])
    np.testing.assert_allclose(late.npv_usd, none.npv_usd, rtol=1e-12)


@settings(max_examples=60)
@given(st.floats(1, 1e4), st.lists(st.floats(0.5, 300), min_size=1, max_size=36))
def test_rates_agree_with_pyxirr(outlay, incomes):
    flows = np.array([-outlay, *incomes])
    ours, theirs = internal_rate(flows), pyxirr.irr(flows)
    scale = np.abs(flows) @ (1 + ours) ** -np.arange(flows.size, dtype=float)
    assert abs(pyxirr.npv(ours, flows)) <= 1e-9 * scale
    if theirs is not None and theirs > -0.99:
        assert (1 + ours) == pytest.approx(1 + theirs, rel=1e-5)
    assert internal_rate(-flows) == pytest.approx(ours, rel=1e-9, abs=1e-10)


def test_no_rate_is_quoted_for_several_or_none():
    assert np.isnan(internal_rate(np.array([-100.0, 230.0, -132.0])))
    assert np.isnan(internal_rate(np.array([1.0, 2.0])))
    assert np.isnan(internal_rate(np.zeros(3)))


def test_summary_of_all_options():
    table = summary(RESULT).set_index("option")
    assert table["best_probability"].sum() == pytest.approx(1.0)
    assert (table["npv_p10_usd"] <= table["npv_p50_usd"]).all()
    assert (table["npv_p50_usd"] <= table["npv_p90_usd"]).all()
    assert table["loss_probability"].between(0, 1).all()
    assert (table["cost_cvar90_usd"] >= table["cost_p90_usd"] - 1e-6).all()
    assert (table["payback_24_probability"] <= table["payback_probability"]).all()


def test_tornado_of_a_frozen_plan():
    table = frozen_tornado(MODEL, FACTORS, 0)
    assert table["swing_usd"].is_monotonic_decreasing
    assert "step_month" not in set(table["factor"])
    row = table.set_index("factor").loc["value"]
    middle = FACTORS.middle()
    middle[0, FACTORS.names.index("value")] = row["low"]
    low = evaluate(MODEL, middle, FACTORS.names).npv_usd[0, 0]
    assert row["npv_low_usd"] == pytest.approx(low)
    crossing = table.dropna(subset=["switching_value"])
    assert ((crossing["npv_low_usd"] < 0) != (crossing["npv_high_usd"] < 0)).all()


def test_sobol_by_group():
    names, found = sobol_groups(MODEL, FACTORS, 0, samples=512)
    shares = pd.Series(found.total, names)
    assert shares.idxmax() in ("value", "demand")
    assert (found.total >= found.first - 0.03).all()
    assert found.first.sum() == pytest.approx(1.0, abs=0.15)


def test_information_is_bounded_and_complete_information_is_perfect():
    signals = {name: DRAWS[:, [FACTORS.names.index(name)]] for name in ("level", "capacity", "value")}
    for signal in signals.values():
        worth, perfect = value_of_signal(RESULT.npv_usd, signal)
        assert 0 <= worth <= perfect
    noise = np.random.default_rng(2).standard_normal((len(DRAWS), 1))
    noisy, _ = value_of_signal(RESULT.npv_usd, np.log(signals["level"]) + 0.3 * noise)
    clear, _ = value_of_signal(RESULT.npv_usd, np.log(signals["level"]))
    assert noisy <= clear * 1.02 + 1
    blind, _ = value_of_signal(RESULT.npv_usd, noise)
    assert blind <= 0.05 * value_of_signal(RESULT.npv_usd, noise)[1]


def test_partial_information_of_a_linear_case_is_exact():
    # benefit = x + y against nothing; knowing x is worth sd(x) phi(0) = 0.3989 sd(x)
    draws = np.random.default_rng(5).standard_normal((100_000, 2)) * [1.0, 2.0]
    benefit = np.vstack([draws.sum(axis=1), np.zeros(len(draws))])
    worth, perfect = value_of_signal(benefit, draws[:, :1])
    assert worth == pytest.approx(0.3989, abs=0.02)
    assert perfect == pytest.approx(0.3989 * np.sqrt(5), abs=0.02)


def test_break_even_volume():
    own, on_demand = 0, MODEL.options.index("on demand")
    (level,) = break_even_levels(MODEL, own, on_demand)
    costs = evaluate(MODEL, np.array([[level]]), ["level"]).pv_cost_usd[:, 0]
    assert costs[own] == pytest.approx(costs[on_demand], rel=1e-6)
    zero = nearest_level(break_even_levels(MODEL, own))
    assert evaluate(MODEL, np.array([[zero]]), ["level"]).npv_usd[own, 0] == pytest.approx(0, abs=1.0)
    assert np.isnan(nearest_level(break_even_levels(MODEL, own, own)))


def test_all_multiples_at_which_the_sign_changes_are_told():
    """Too little work does not pay for what is held; what is rented above it costs six times what it earns."""
    model = by_hand(flexible_usd_per_hour=np.array([[30.0]]))
    low, high = break_even_levels(model, 0)
    npv = evaluate(model, np.array([[low / 2], [low], [np.sqrt(low * high)], [high], [high * 2]]), ["level"]).npv_usd[0]
    assert npv[[1, 3]] == pytest.approx(0.0, abs=1.0)
    assert npv[0] < 0 < npv[2] and npv[4] < 0
    assert nearest_level(np.array([low, high])) in (low, high)


def test_a_hosted_model_may_end():
    price = np.full(5, 2.0)
    assert with_hosted_end(price, None)[0].tolist() == price.tolist()
    assert with_hosted_end(price, 9, migrate_usd=5)[1].sum() == 0
    after, once = with_hosted_end(price, -3, successor=2.0, migrate_usd=5)
    assert after.tolist() == [4.0] * 5
    assert once.tolist() == [5.0, 0, 0, 0, 0]


def test_refusals():
    with pytest.raises(ValueError, match="not known"):
        evaluate(MODEL, np.ones((2, 1)), ["levle"])
    with pytest.raises(ValueError, match="value_usd must have shape"):
        replace(MODEL, value_usd=MODEL.value_usd[:, :-1])
    with pytest.raises(ValueError, match="finite"):
        replace(MODEL, fixed_usd=MODEL.fixed_usd * np.nan)
    with pytest.raises(ValueError, match="start at 0"):
        replace(MODEL, units=MODEL.units + 1)
    with pytest.raises(ValueError, match="add up to 1"):
        replace(MODEL, block_share=MODEL.block_share * 2)
    with pytest.raises(ValueError, match="above -100 %"):
        replace(MODEL, wacc=-1.0)
    with pytest.raises(ValueError, match="as many signals"):
        value_of_signal(RESULT.npv_usd, DRAWS[:3])
