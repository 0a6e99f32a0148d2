"""Own kit that no scenario needs: how much, from when on, and what its sale brings."""

import numpy as np
import pytest
from bp_company import make_plan
from test_placed import month, order, with_book

from aifactory.buyplan.idle_kit import idle_sentences, sale_usd


@pytest.fixture
def needs(tiny):
    """Accelerators that the company needs at most in any month of any scenario."""
    case = tiny()
    return max(load.level.max() for load in case.loads)


def test_what_no_scenario_needs_to_the_end_is_to_be_sold_at_its_market_value(tiny, needs):
    """Forty bought two years ago for 800,000: what is beyond the highest need is idle in whole nodes, at a price that fell twice."""
    case = with_book(tiny(), order(40, -24, option="purchase", once=8e5))
    (said,) = idle_sentences(case)
    size = int(case.streams.pools["accelerators_per_node"].iloc[0])
    idle = int((40 - needs) // size * size)
    plan = make_plan()
    decline, network = plan.value("residual_decline_per_year"), plan.value("network_share_of_capex")
    each = 8e5 / 40 / (1 + network) * (1 - decline) ** (25 / 12)  # it is idle from the first month of the plan on
    assert sale_usd(case, "eu", "acc", month(1)) == pytest.approx(each)
    assert said.startswith(f"{idle} acc in eu that are owned are idle from ")
    assert f"their sale would bring about USD {each * idle:,.0f} then" in said


def test_what_work_needs_and_what_is_rented_is_not_for_sale(tiny, needs):
    few = int(needs) // 4 * 4
    assert idle_sentences(with_book(tiny(), order(few, -24, option="purchase", once=8e5))) == []
    assert idle_sentences(with_book(tiny(), order(40, -8, 60))) == []
    assert idle_sentences(tiny()) == []


def test_what_is_on_order_is_not_for_sale(tiny, needs):
    """Forty that come in month 3 are no kit that is owned: what is not needed of them is to be cancelled, not sold."""
    assert idle_sentences(with_book(tiny(), order(40, 3, option="purchase", ordered=-1, once=8e5))) == []


def test_a_price_that_nobody_stated_is_not_invented(tiny):
    case = with_book(tiny(), order(40, -24, option="purchase"))
    assert np.isnan(sale_usd(case, "eu", "acc", month(1)))
    assert "not known, since no order tells their price" in idle_sentences(case)[0]


def test_kit_that_others_take_over_is_idle_only_until_then(tiny, needs):
    """Bought kit beside a term that ends in month 9: what the term frees work for is idle no longer, so the last year has none of it."""
    beside = with_book(tiny(), order(int(np.ceil(needs / 4)) * 4, -24, option="purchase", once=8e5), order(16, -8, 5))
    assert idle_sentences(beside) == []
