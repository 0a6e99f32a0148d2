"""Wrong input of the figures of merit: a clear refusal or a defined result, never a number that looks right."""

import numpy as np
import pytest

from aifactory.finance.annuity import pmt
from aifactory.finance.appraisal import break_even_units
from aifactory.finance.depreciation import residual_value
from aifactory.finance.draws import Factor, Factors
from aifactory.finance.information import value_of_signal
from aifactory.finance.leases import lease_liability
from aifactory.finance.options import break_even_utilization, rented_usd_per_hour
from aifactory.finance.rates import effect, wacc
from aifactory.finance.schedules import sln, tax_shield_pv
from aifactory.finance.tax import write_offs
from aifactory.finance.unit_cost import allocate, api_usd_per_unit, split_compute
from aifactory.shortlist import migration

NAN, INF = float("nan"), float("inf")
HOSTED = {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 1.0}
PAIR = (Factor("a", 1, 1, 2), Factor("b", 1, 1, 2))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: allocate(90.0, [2, -1]), "not negative"),
        (lambda: allocate(90.0, [1, NAN]), "finite"),
        (lambda: allocate(90.0, [INF, 1]), "finite"),
        (lambda: allocate(90.0, []), "at least one weight"),
        (lambda: split_compute(100.0, 60.0, 5.0, -10.0), "not negative"),
        (lambda: api_usd_per_unit(100, 400, 1, **HOSTED), "cached prompt tokens"),
        (lambda: rented_usd_per_hour(2.0, 1.2, 12, 0.1), "from 0 to 1"),
        (lambda: rented_usd_per_hour(-2.0, 0.0, 12, 0.1), "not be negative"),
        (lambda: residual_value(100.0, 0.3, -12), "0 or more"),
        (lambda: wacc(NAN, 1, 0.1, 0.1), "finite"),
        (lambda: wacc(1, 1, -2.0, 0.1), "above -100 %"),
        (lambda: effect(0.1, NAN), "at least 1"),
        (lambda: pmt(0.1, INF, 1), "positive"),
        (lambda: sln(NAN, 0, 3), "not be negative"),
        (lambda: tax_shield_pv(0.1, 0.2, 100, [NAN]), "schedule"),
        (lambda: write_offs([0, 1, 2], [0], "macrs_5"), "as many resale values"),
        (lambda: lease_liability([NAN], 0.1), "finite"),
        (lambda: value_of_signal([[1, 2], [3, 4]], [NAN, 1]), "finite"),
        (lambda: Factor("a", 1, 1, 2, shape="normal"), "shape must be one of"),
        (lambda: Factors(PAIR, {("a", "b"): 0.5, ("b", "a"): -0.5}).matrix(), "given twice"),
        (lambda: migration.payback_months([1.0], [1.0], -2.0), "above -100 %"),
        (lambda: migration.break_even_units(1.0, 1.0, 1.0, 0), "above 0"),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_commitment_has_no_break_even_without_a_price_by_the_hour():
    np.testing.assert_array_equal(
        break_even_utilization([1.0, 0.0, 1.0, 1.0], [0.0, 0.0, NAN, 2.0]), [NAN, NAN, NAN, 0.5]
    )


def test_what_is_paid_already_breaks_even_at_nothing():
    np.testing.assert_array_equal(
        break_even_units([-5.0, 5.0, 5.0], [1.0, 1.0, 1.0], [0.5, 0.5, 2.0]), [0.0, 10.0, NAN]
    )


def test_falling_prices_pay_back_sooner_than_no_interest():
    # at -19 % a year the monthly factor is 0.81^(1/12); s (1 - f^-n) / (f - 1) = C, first principles
    (months,) = migration.payback_months([100.0], [10.0], -0.19)
    factor = 0.81 ** (1 / 12)
    assert (
        sum(10.0 * factor**-t for t in range(1, int(months) + 1))
        <= 100.0
        < sum(10.0 * factor**-t for t in range(1, int(months) + 2))
    )
    assert months < 10.0
