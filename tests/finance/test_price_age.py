"""Age of prices: words and counts."""

import pandas as pd
import pytest

from aifactory.finance.price_age import api_price_age, price_age, price_age_of
from aifactory.finance.prices import offers_of, price_table
from aifactory.review.guardrails import watch_prices

ROWS = pd.DataFrame(
    {
        "accelerator_id": ["a", "b", "b"],
        "purchase_option": ["on_demand", "spot", "reserved_1y"],
        "as_of": pd.to_datetime(["2026-10-01", "2026-08-01", "2025-11-01"]),
        "age_days": [30, 91, 364],
        "confidence": ["measured", "measured", "claimed"],
    }
)


def test_what_is_old_and_what_is_claimed():
    age = price_age(ROWS, {"on_demand": 90, "spot": 30, "reserved_1y": 400}, "2026-10-31")
    assert (age.stale, age.unverified, age.oldest_days, age.oldest) == (1, 1, 364, "b (reserved, 1 year)")
    assert not age.sound
    assert "2025-11-01 to 2026-10-01" in age.sentence
    assert "1 of 3 is past its freshness limit, 1 of 3 is not verified" in age.sentence


def test_fresh_and_measured():
    age = price_age(ROWS.head(1), {"on_demand": 90}, "2026-10-31")
    assert age.sound
    assert age.sentence.endswith("all are fresh and measured.")


def test_a_price_noted_after_the_day_is_said():
    age = price_age(ROWS, {}, "2026-09-30")  # that of a is of October
    assert (age.later, age.sound) == (1, False)
    assert age.sentence.endswith("1 of 3 is noted after the month, for want of an earlier one.")


def test_no_price_and_no_limit():
    assert price_age(ROWS.head(0), {}, "2026-10-31").sentence == "No price is used."
    assert price_age(ROWS, {}, "2026-10-31").stale == 0


def test_hosted_prices_age_against_their_own_limit():
    """Two of three state a price per token; 2026-01-10 is 90 days before 2026-04-10."""
    rows = pd.DataFrame(
        {
            "api_model": ["x", "y", "image"],
            "input_usd_per_mtok": [1.0, 2.0, None],
            "output_usd_per_mtok": [4.0, 8.0, None],
            "as_of": ["2026-01-10", "2026-04-01", "2020-01-01"],
            "confidence": "claimed",
        }
    )
    age = api_price_age(rows, {"api": 60}, "2026-04-10")
    assert (age.count, age.oldest, age.oldest_days, age.stale, age.unverified) == (2, "x (hosted)", 90, 1, 2)
    assert age.sentence_of("Hosted prices").startswith(
        "Hosted prices are of 2026-01-10 to 2026-04-01; the oldest, x (hosted),"
    )
    assert api_price_age(rows.iloc[2:], {}, "2026-04-10").count == 0
    later = api_price_age(rows, {"api": 60}, "2026-01-09")  # prices noted after the month have no age in it
    assert later.sentence == (
        "Prices are of 2026-01-10 to 2026-04-01; 2 of 2 are not verified, "
        "2 of 2 are noted after the month, for want of an earlier one."
    )


def test_an_offer_that_holds_in_several_regions_counts_once(sample_ws):
    table = price_table(offers_of(sample_ws), sample_ws.plan, sample_ws.as_of)
    age = price_age_of(offers_of(sample_ws), sample_ws.plan, sample_ws.as_of)
    assert age.count == len(table.drop_duplicates(["accelerator_id", "purchase_option"])) < len(table)
    assert age.oldest_days == table["age_days"].max()


def test_a_bare_card_ages_at_its_share_of_a_server(mini_ws, changed):
    """An old card at 11,000 bare costs 16,923 in a server (share 0.65): the new server at 13,500 is what is paid."""
    row = {"provider": "maker", "sku": "a", "accelerator_id": "nvidia-a100-80-sxm", "region": "*", "purchase_option": "purchase",
           "term_months": 0, "source": "test", "confidence": "claimed", "usd_per_accelerator": 11_000.0,
           "note": "accelerator only, server not included", "price_id": "bare", "as_of": pd.Timestamp("2026-01-01")}  # fmt: skip
    whole = row | {"sku": "b", "usd_per_accelerator": 13_500.0, "note": None, "price_id": "whole", "as_of": pd.Timestamp("2026-10-01")}  # fmt: skip
    known = mini_ws.table("prices")
    ws = changed(prices=pd.DataFrame([row, whole]).reindex(columns=known.columns).astype(known.dtypes))
    held = offers_of(ws).set_index("price_id")["usd_per_accelerator"]
    assert held.to_dict() == pytest.approx({"bare": 11_000 / 0.65, "whole": 13_500.0})
    assert price_age_of(offers_of(ws), ws.plan, ws.as_of).first == "2026-10-01"
    kept = watch_prices(ws)
    assert kept["usd_per_accelerator"].tolist() == [13_500.0] and not kept["stale"].any()
