"""Prices: the right region, the newest row, the cheapest offer."""

import datetime as dt
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.finance.prices import PRICE_COLUMNS, add_server, node_offers, price_table

PLAN = SimpleNamespace(
    candidates=["a", "b", "c"],
    regions=[
        SimpleNamespace(region="eu", provider_regions={"cloud": "eu-1", "other": "europe"}),
        SimpleNamespace(region="us", provider_regions={"cloud": "us-1"}),
    ],
)
AS_OF = dt.date(2026, 10, 31)


def row(accelerator, region, option, price, provider="cloud", **more):
    money = "usd_per_accelerator" if option == "purchase" else "usd_per_accelerator_hour"
    return {
        "accelerator_id": accelerator,
        "region": region,
        "purchase_option": option,
        "provider": provider,
        money: price,
        **more,
    }


@pytest.fixture
def table(price_rows):
    rows = [
        row("a", "eu-1", "on_demand", 5.0),
        row("a", "europe", "on_demand", 4.0, provider="other"),
        row("a", "us-1", "on_demand", 3.0),
        row("a", "us-1", "on_demand", 2.5, as_of="2026-10-20"),  # the newer row of the same offer
        row("a", "*", "purchase", 30_000.0, provider="vendor", lead_time_weeks=20.0),
        row("b", "us-1", "on_demand", 9.0),
        row("b", "ap-1", "spot", 1.0, as_of="2026-11-24"),
        row("c", "mars", "on_demand", 1.0, provider="unknown"),
        row("z", "*", "on_demand", 0.1),
        row("a", "*", "on_demand", 0.2, provider="stranger"),
    ]
    return price_table(price_rows(rows), PLAN, AS_OF)


def one(table, *key):
    found = table[(table[["accelerator_id", "region", "purchase_option"]] == list(key)).all(axis=1)]
    assert len(found) == 1
    return found.iloc[0]


def test_cheapest_offer_of_the_region(table):
    cell = one(table, "a", "eu", "on_demand")
    assert (cell["provider"], cell["usd_per_accelerator_hour"], cell["exact_region"]) == ("other", 4.0, True)


def test_newest_row_of_an_offer_wins_over_a_dearer_older_one(table):
    cell = one(table, "a", "us", "on_demand")
    assert cell["usd_per_accelerator_hour"] == 2.5
    assert cell["age_days"] == 11  # 20 to 31 October


def test_newest_row_wins_also_when_it_is_dearer(price_rows):
    rows = [row("a", "eu-1", "on_demand", 3.0, as_of="2026-09-01"), row("a", "eu-1", "on_demand", 7.0)]
    assert one(price_table(price_rows(rows), PLAN, AS_OF), "a", "eu", "on_demand")["usd_per_accelerator_hour"] == 7.0


def test_a_quote_for_hardware_counts_before_bundled_list_prices_also_when_it_is_dearer(price_rows):
    rows = [
        row("a", "*", "purchase", 1799.0, provider="list"),
        row("a", "*", "purchase", 2150.0, provider="dealer", quoted=True, accelerators_per_node=8.0),
        row("a", "*", "purchase", 2300.0, provider="dealer two", quoted=True, accelerators_per_node=8.0),
        row("b", "*", "purchase", 900.0, provider="list"),
        row("a", "eu-1", "on_demand", 3.0, provider="cloud"),
        row("a", "eu-1", "on_demand", 4.0, provider="cloud", sku="contract", quoted=True),
    ]
    found = price_table(price_rows(rows), PLAN, AS_OF)
    assert one(found, "a", "eu", "purchase")["usd_per_accelerator"] == 2150.0
    assert one(found, "a", "us", "purchase")["usd_per_accelerator"] == 2150.0
    assert one(found, "b", "eu", "purchase")["usd_per_accelerator"] == 900.0
    assert one(found, "a", "eu", "on_demand")["usd_per_accelerator_hour"] == 3.0  # anybody can rent at list price
    sizes = node_offers(price_rows(rows).assign(accelerators_per_node=[4.0, 8.0, 8.0, 1.0, 8.0, 8.0]), PLAN, AS_OF)
    held = sizes[(sizes["accelerator_id"] == "a") & (sizes["purchase_option"] == "purchase")]
    assert held["accelerators_per_node"].tolist() == [8.0, 8.0]  # one size in two regions, none of the list's


@pytest.mark.parametrize(("day", "price"), [("2026-09-30", 1799.0), ("2026-10-31", 2150.0), ("2028-01-31", 2150.0)])
def test_a_quote_counts_from_its_date_on(price_rows, day, price):
    rows = [
        row("a", "*", "purchase", 1799.0, provider="list", as_of="2026-05-01"),
        row("a", "*", "purchase", 1700.0, provider="other list", as_of="2027-05-01"),
        row("a", "*", "purchase", 2150.0, provider="dealer", quoted=True, as_of="2026-10-20"),
    ]
    found = price_table(price_rows(rows), PLAN, dt.date.fromisoformat(day))
    assert one(found, "a", "eu", "purchase")["usd_per_accelerator"] == price


def test_a_quote_for_elsewhere_leaves_the_list_price_of_the_region(price_rows):
    rows = [
        row("a", "*", "purchase", 1799.0, provider="list"),
        row("a", "us-1", "purchase", 2150.0, provider="cloud", quoted=True),
    ]
    found = price_table(price_rows(rows), PLAN, AS_OF)
    assert one(found, "a", "eu", "purchase")["usd_per_accelerator"] == 1799.0
    assert one(found, "a", "us", "purchase")["usd_per_accelerator"] == 2150.0


def test_an_offer_for_everywhere_holds_in_every_region(table):
    for region in ("eu", "us"):
        cell = one(table, "a", region, "purchase")
        assert (cell["usd_per_accelerator"], cell["exact_region"], cell["lead_time_weeks"]) == (30_000.0, True, 20.0)


def test_rented_offers_come_from_providers_of_the_plan_only(table):
    assert "stranger" not in set(table["provider"])


def test_an_admitted_provider_may_offer_everywhere(price_rows):
    rows = [row("a", "eu-1", "on_demand", 5.0), row("a", "*", "on_demand", 1.0, provider="other")]
    found = price_table(price_rows(rows), PLAN, AS_OF)
    assert one(found, "a", "eu", "on_demand")["provider"] == "other"
    assert not one(found, "a", "us", "on_demand")["exact_region"]  # only cloud is admitted there


def test_same_provider_elsewhere_stands_in_and_says_so(table):
    cell = one(table, "b", "eu", "on_demand")
    assert (cell["usd_per_accelerator_hour"], cell["exact_region"]) == (9.0, False)
    assert one(table, "b", "us", "on_demand")["exact_region"]


def test_the_region_in_the_middle_stands_in_not_the_cheapest_of_the_world(price_rows):
    """Four regions at 1, 5, 6 and 9, of which each may sell dearer sizes too: 5, the cheaper of the two in the middle."""
    places = [("us-2", 1.0), ("us-3", 5.0), ("us-3", 8.0), ("us-4", 6.0), ("us-5", 9.0)]
    rows = [row("a", place, "spot", usd, sku=f"{place}-{usd}") for place, usd in places]
    cell = one(price_table(price_rows(rows), PLAN, AS_OF), "a", "eu", "spot")
    assert (cell["usd_per_accelerator_hour"], cell["exact_region"]) == (5.0, False)
    sized = [item | {"accelerators_per_node": size} for size in (1, 8) for item in rows]
    sized = [item | {"sku": f"{item['sku']}-{item['accelerators_per_node']}"} for item in sized]
    found = node_offers(price_rows(sized), PLAN, AS_OF).query("accelerator_id == 'a' and region == 'eu'")
    assert found["usd_per_accelerator_hour"].tolist() == [5.0, 5.0]


def test_another_provider_never_makes_a_stand_in_dearer(price_rows):
    """One provider in the middle at 5; another sells everywhere else at 12, of which none holds in the region."""
    own = [row("a", place, "spot", usd) for place, usd in (("us-2", 4.0), ("us-3", 5.0), ("us-4", 9.0))]
    dear = [row("a", f"far-{at}", "spot", 12.0, provider="other") for at in range(9)]
    cell = one(price_table(price_rows([*own, *dear]), PLAN, AS_OF), "a", "eu", "spot")
    assert (cell["usd_per_accelerator_hour"], cell["provider"], cell["exact_region"]) == (5.0, "cloud", False)
    cheap = [item | {"usd_per_accelerator_hour": 2.0} for item in dear]
    assert one(price_table(price_rows([*own, *cheap]), PLAN, AS_OF), "a", "eu", "spot")["provider"] == "other"


def test_exact_region_wins_over_a_cheaper_one_elsewhere(price_rows):
    rows = [row("a", "eu-1", "on_demand", 5.0), row("a", "us-1", "on_demand", 1.0)]
    assert one(price_table(price_rows(rows), PLAN, AS_OF), "a", "eu", "on_demand")["usd_per_accelerator_hour"] == 5.0


def test_price_noted_after_the_report_date_has_age_zero(table):
    assert one(table, "b", "eu", "spot")["age_days"] == 0


def test_a_price_noted_later_waits_where_the_combination_has_an_earlier_one(price_rows):
    """The new offer of November is cheaper, but October was told 5; nobody quoted spot before."""
    later = {"as_of": "2026-11-03", "provider": "other"}
    rows = [row("a", "eu-1", "on_demand", 5.0), row("a", "europe", "on_demand", 1.0, **later), row("a", "europe", "spot", 2.0, **later)]  # fmt: skip
    prices = price_rows(rows)
    october = price_table(prices, PLAN, AS_OF)
    assert one(october, "a", "eu", "on_demand")["usd_per_accelerator_hour"] == 5.0
    assert one(october, "a", "eu", "spot")["usd_per_accelerator_hour"] == 2.0
    assert one(price_table(prices, PLAN, "2026-11-30"), "a", "eu", "on_demand")["usd_per_accelerator_hour"] == 1.0


@given(st.lists(st.sampled_from(["2026-08-01", "2026-10-31", "2026-11-01", "2027-01-01"]), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_what_a_month_was_told_does_not_change_when_later_prices_come(price_rows, dates):
    """Rows noted after the day leave the table as it was, unless it had no price."""
    rows = [row("a", "eu-1", "on_demand", 9.0 - n, as_of=day, sku=str(n)) for n, day in enumerate(dates)]
    prices = price_rows(rows)
    known = prices[prices["as_of"] <= pd.Timestamp(AS_OF)]
    found = price_table(prices, PLAN, AS_OF)
    if len(known):
        pd.testing.assert_frame_equal(found, price_table(known, PLAN, AS_OF))
    else:
        assert found["usd_per_accelerator_hour"].tolist() == [10.0 - len(dates)] * 2  # it stands in in the other region


def test_unknown_providers_and_other_accelerators_are_left_out(table):
    assert set(table["accelerator_id"]) == {"a", "b"}


def test_columns_and_uniqueness(table):
    assert list(table.columns) == PRICE_COLUMNS
    assert not table.duplicated(["accelerator_id", "region", "purchase_option"]).any()


def test_empty_price_list_gives_empty_table(price_rows):
    empty = price_rows([row("a", "*", "spot", 1.0)]).iloc[:0]
    assert price_table(empty, PLAN, AS_OF).empty


def test_row_order_of_the_input_does_not_matter(price_rows):
    rows = [row("a", "eu-1", "on_demand", 5.0), row("a", "europe", "on_demand", 5.0, provider="other")]
    frame = price_rows(rows)
    pd.testing.assert_frame_equal(price_table(frame, PLAN, AS_OF), price_table(frame.iloc[::-1], PLAN, AS_OF))


CATALOGUE = pd.DataFrame({"accelerator_id": ["a", "b"], "platform_class": ["gpu", "edge"]})
SHARES = pd.DataFrame({"item": ["server_gpu_share_of_server_price"], "typical": [0.5]})


@pytest.fixture
def hardware(price_rows):
    rows = [
        row("a", "*", "purchase", 1_000.0, provider="vendor", note="list; accelerator only, server not included"),
        row("b", "*", "purchase", 200.0, provider="vendor", note="module; accelerator only, server not included"),
        row("c", "*", "purchase", 900.0, provider="vendor", note="eighth of a server"),
    ]
    return price_rows(rows).set_index("accelerator_id", drop=False)


def test_bare_cards_get_their_share_of_a_server_and_devices_do_not(hardware):
    raised = add_server(hardware, CATALOGUE, SHARES)
    assert raised["usd_per_accelerator"].to_dict() == {"a": 2_000.0, "b": 200.0, "c": 900.0}
    assert "0.50" in raised.loc["a", "note"]
    assert raised.loc["c", "note"] == "eighth of a server"


def test_bare_cards_cannot_be_priced_without_the_share(hardware):
    with pytest.raises(InputError, match="server_gpu_share_of_server_price"):
        add_server(hardware, CATALOGUE, SHARES.iloc[:0])


def test_nothing_is_raised_without_bare_cards(hardware):
    rest = hardware.loc[["c"]]
    pd.testing.assert_frame_equal(add_server(rest, CATALOGUE, SHARES.iloc[:0]), rest)
