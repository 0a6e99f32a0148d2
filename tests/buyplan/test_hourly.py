"""What the plan rents by the hour, and what stands today and soon works for nothing."""

import pandas as pd

from aifactory.buyplan.hourly import leaving_sentences, rented_sentences

MONTHS = [str(month) for month in pd.period_range("2026-11", periods=14, freq="M")]


def fleet(held, committed=0, accelerator="a100", region="us", scenario="expected"):
    return pd.DataFrame({
        "scenario": scenario, "month": MONTHS, "region": region, "accelerator_id": accelerator,
        "accelerators": held, "committed": committed,
    })  # fmt: skip


OPTIONS = pd.DataFrame(
    [("us", "a100", "on_demand"), ("us", "a100", "spot"), ("eu", "h100", "spot"), ("us", "l4", "on_demand"), ("us", "orin", "purchase")],
    columns=["region", "accelerator_id", "purchase_option"],
)  # fmt: skip


def test_hours_are_told_for_the_first_month_and_the_one_with_the_most():
    """16 of 24 are rented in November, 40 of 48 in January; h100 beside them, committed ones, later years and what nobody rents out are not counted."""
    both = pd.concat([
        fleet([24, 24, 48, *[24] * 10, 800], 8), fleet([8] * 14, 0, "h100", "eu"), fleet([8] * 14, 8, "l4"),
        fleet([900] * 14, scenario="aggressive"), fleet([70] * 14, accelerator="orin"),
    ])  # fmt: skip
    (told,) = rented_sentences(both, OPTIONS)
    assert told.startswith(
        "By the hour the plan rents 24 in November 2026 (16 a100, 8 h100) and 48 in January 2027 (40 a100, 8 h100), expected scenario"
    )
    (once,) = rented_sentences(fleet([24, *[8] * 13], 8), OPTIONS)
    assert once.startswith("By the hour the plan rents 16 in November 2026 (16 a100), expected")
    assert rented_sentences(fleet(8, 8), OPTIONS) == [] == rented_sentences(fleet(8, 8)[:0], OPTIONS)
    assert rented_sentences(fleet(9), OPTIONS[:0]) == []


def test_places_that_fall_idle_within_the_year_are_named():
    """Needed in November and December, never after: nothing ends by itself what is rented by the hour."""
    installed = pd.DataFrame({"region": ["us"], "accelerator_id": ["a100"], "installed": [32.0], "needed_max": [32.0]})
    (told,) = leaving_sentences(fleet([32, 16, *[0] * 12]), installed)
    assert told.startswith("32 a100 in us are needed in November 2026 and none after December 2026: 32 are installed;")
    for held in ([32] * 14, [0] * 14, [32, *[0] * 10, 8, 8, 8], [0, *[8] * 13]):
        assert leaving_sentences(fleet(held), installed) == []
    assert leaving_sentences(fleet([32, *[0] * 13]), installed.assign(installed=0.0)) == []
