"""Bands and later orders of the buy plan page: what is held when, and what waits for a trigger."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from aifactory.report.buy_plan_bands import bands_section, triggers_told
from aifactory.report.buy_plan_orders import by_date, released_how

PLACE = {"region": "eu", "accelerator_id": "gpu", "purchase_option": "purchase"}


def order(band, index, accelerators, usd, timing=""):
    return {
        **PLACE,
        "band": band,
        "order_index": index,
        "accelerators": accelerators,
        "commitment_usd": usd,
        "timing": timing,
        "renewal": False,
    }


def test_the_bands_are_told_of_one_month_and_add_up_to_its_fleet():
    """Peaks of different months are no fleet: 8 by the hour in one month and 8 on spot in another are never held at once."""
    rows = [
        ("baseline", "purchase", 16, 16),
        ("growth", "on_demand", 0, 8),
        ("growth", "purchase", 24, 24),
        ("surge", "spot", 0, 8),
    ]
    bands = pd.DataFrame(rows, columns=["band", "purchase_option", "accelerators_end", "accelerators_max"])
    text = bands_section(SimpleNamespace(need=[1], bands=bands, orders=pd.DataFrame())).text
    assert "At the end of the horizon demand and reserve need 40 accelerators." in text
    assert "Baseline: 16 purchase. Growth: 24 purchase. Surge: none, in use before." in text


def test_growth_that_is_signed_on_approval_shows_no_trigger_of_its_own():
    """16 of the growth band are firm in the first month; the trigger at 0 % is of the 8 that follow."""
    orders = pd.DataFrame(
        [
            order("baseline", 1, 40, 4e5),
            order("growth", 1, 16, 2e5),
            order("growth", 5, 8, 1e5),
        ]
    )
    bands = pd.DataFrame(
        [
            {**PLACE, "band": band, "current_value": value, "trigger_threshold": 0.28}
            for band, value in (("baseline", 0.2), ("growth", 0.0), ("surge", 0.0))
        ]
    )
    assert triggers_told(bands, orders) == ["20 % of 28 %", "16 firm without it; the rest 0 % of 28 %", "0 % of 28 %"]
    assert triggers_told(bands, pd.DataFrame()) == ["20 % of 28 %", "0 % of 28 %", "0 % of 28 %"]


def test_orders_that_their_date_releases_are_not_said_to_wait_for_a_trigger():
    rows = [order("growth", 2, 24, 3e5, "there when 24 h100 end"), order("growth", 4, 8, 1e5, np.nan)]
    orders = pd.DataFrame(rows)
    assert by_date(orders).tolist() == [True, False]
    assert released_how(orders).replace("\xa0", " ") == "USD 300 k of it on dates, the rest on triggers"
    assert (released_how(orders[:1]), released_how(orders[1:])) == ("on dates", "on triggers")
