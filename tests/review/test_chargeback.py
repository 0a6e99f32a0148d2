"""Charges add up to the bill to the last digit."""

from dataclasses import replace
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.report.refresh_money import chargeback_section
from aifactory.review.chargeback import charge_teams, pool_teams, pools_of_nobody

USAGE, IDLE, TAX = "attributed usage", "idle commitment", "tax"
NOBODY = "(unattributed)"
AMOUNT = st.decimals(min_value="0.000001", max_value="99999999", places=6)


def bill(*rows):
    table = pd.DataFrame(rows, columns=["team", "cost_line", "EffectiveCost"])
    return table.assign(EffectiveCost=table["EffectiveCost"].map(Decimal).astype("object"))


def charges(*rows):
    return charge_teams(bill(*rows)).set_index("team")


def test_what_nobody_claims_is_shared_in_proportion_to_usage():
    table = charges(("a", USAGE, "30"), ("b", USAGE, "10"), (NOBODY, IDLE, "15"), (NOBODY, TAX, "5"))
    assert table["shared_cost"].to_dict() == {"a": Decimal(15), "b": Decimal(5)}
    assert table["charge"].to_dict() == {"a": Decimal(45), "b": Decimal(15)}
    assert table["share"].to_dict() == {"a": 0.75, "b": 0.25}


def test_the_largest_team_takes_the_rounding_rest():
    table = charges(("a", USAGE, "1"), ("b", USAGE, "1"), ("c", USAGE, "1.000001"), (NOBODY, TAX, "0.000001"))
    assert table["shared_cost"].sum() == Decimal("0.000001")
    assert table.index[0] == "c"


def test_credits_lower_every_charge():
    table = charges(("a", USAGE, "60"), ("b", USAGE, "40"), (NOBODY, "credit", "-10"))
    assert table["charge"].to_dict() == {"a": Decimal(54), "b": Decimal(36)}


def test_usage_without_a_team_is_shared():
    table = charges(("a", USAGE, "5"), (NOBODY, "unattributed usage", "5"))
    assert table.at["a", "charge"] == Decimal(10)


def test_a_team_that_pays_for_idle_commitment_is_not_charged_for_it_alone():
    table = charges(("a", USAGE, "5"), ("b", USAGE, "5"), ("b", IDLE, "10"))
    assert table["charge"].to_dict() == {"a": Decimal(10), "b": Decimal(10)}


def test_without_a_team_nobody_is_charged():
    assert charge_teams(bill()).empty
    empty = charge_teams(bill((NOBODY, TAX, "5")))
    assert list(empty.columns) == [
        "team",
        "direct_cost",
        "pool_cost",
        "shared_cost",
        "charge",
        "share",
        "accelerator_hours",
        "usd_per_accelerator_hour",
    ]
    assert empty.empty


def pool_bill():
    """Team a pays 60 for 10 accelerator-hours and 40 for a hosted model, b 50 for a hosted model; a pool of 200 hours and 300 USD names nobody."""
    rows = [("a", USAGE, "60", 10.0, "own"), ("a", USAGE, "40", 0.0, None), ("b", USAGE, "50", 0.0, None),
            (NOBODY, "unattributed usage", "300", 200.0, "pool"), (NOBODY, TAX, "45", 0.0, None)]  # fmt: skip
    columns = ["team", "cost_line", "EffectiveCost", "accelerator_hours", "ResourceId"]
    return pd.DataFrame(rows, columns=columns).assign(EffectiveCost=lambda x: x["EffectiveCost"].map(Decimal).astype("object"))  # fmt: skip


def test_a_pool_without_a_team_is_charged_to_those_who_use_it_by_hand():
    """c is on no bill and does three quarters of the pool's work, b a quarter; the tax of 45 follows what each then pays of 450."""
    users = pd.DataFrame({"pool_id": ["pool", "pool"], "team": ["b", "c"], "share": [0.25, 0.75]})
    table = charge_teams(pool_bill(), users).set_index("team")
    assert list(table.index) == ["c", "b", "a"]
    assert table["pool_cost"].to_dict() == {"a": Decimal(0), "b": Decimal(75), "c": Decimal(225)}
    assert table["shared_cost"].to_dict() == {"a": Decimal(10), "b": Decimal("12.5"), "c": Decimal("22.5")}
    assert table["charge"].sum() == Decimal(495)
    assert table["accelerator_hours"].to_dict() == {"a": 10.0, "b": 50.0, "c": 150.0}
    # of a 60 of 100 count hours: 66 over 10 h; of b 75 of 125: 82.50 over 50 h; c 247.50 over 150 h
    assert table["usd_per_accelerator_hour"].to_dict() == pytest.approx({"a": 6.6, "b": 1.65, "c": 1.65})


def test_the_rate_of_an_hour_holds_no_hosted_model():
    """Without a known user the pool is shared by direct use, 230 to a and 115 to b: a pays 330, 60 % of it for hours."""
    table = charge_teams(pool_bill()).set_index("team")
    assert table["charge"].to_dict() == {"a": Decimal(330), "b": Decimal(165)}
    assert table.at["a", "usd_per_accelerator_hour"] == pytest.approx(330 * 0.6 / 10)
    assert pd.isna(table.at["b", "usd_per_accelerator_hour"])


@pytest.mark.parametrize(
    "rows", [(("a", USAGE, "0"), (NOBODY, TAX, "5")), (("a", USAGE, "0"),), (("a", USAGE, "5"), ("b", USAGE, "-5"))]
)
def test_free_usage_does_not_stop_the_review(rows):
    assert charge_teams(bill(*rows)) is not None


@given(st.lists(st.tuples(st.sampled_from("abcde"), AMOUNT), min_size=1, max_size=12),
       st.lists(st.decimals(min_value="-999999", max_value="999999", places=9), max_size=5))  # fmt: skip
@settings(max_examples=60)
def test_charges_add_up_to_the_bill_to_the_last_digit(usage, rest):
    rows = [(team, USAGE, cost) for team, cost in usage] + [(NOBODY, TAX, cost) for cost in rest]
    table = charge_teams(bill(*rows))
    total = sum((Decimal(cost) for _, _, cost in rows), Decimal(0))
    assert sum(table["charge"], Decimal(0)) == total
    assert (table["charge"] == table["direct_cost"] + table["shared_cost"]).all()
    for team, direct in table.set_index("team")["direct_cost"].items():
        assert direct == sum((cost for name, cost in usage if name == team), Decimal(0))


@given(st.lists(AMOUNT, min_size=2, max_size=6), AMOUNT)
@settings(max_examples=40)
def test_shares_of_the_rest_are_proportional_within_the_rounding(amounts, rest):
    table = charge_teams(bill(*((f"team-{n}", USAGE, cost) for n, cost in enumerate(amounts)), (NOBODY, TAX, rest)))
    exact = [float(rest) * float(direct) / float(sum(amounts)) for direct in table["direct_cost"]]
    assert table["shared_cost"].astype(float).tolist() == pytest.approx(exact, abs=1e-5, rel=1e-9)


def test_the_tiny_bill_is_charged_to_three_teams(road):
    table = road.review.chargeback.set_index("team")
    direct = {"cx": Decimal("29760.10"), "planning": Decimal("12000.000001"), "media": Decimal("250.25")}
    assert table["direct_cost"].to_dict() == direct
    # 144 unused hours at 20 USD and 0.50, transfer, tax, less a credit of 100
    assert table["shared_cost"].sum() == Decimal("2880.5") + Decimal("99.99") + Decimal("10.01") - 100
    assert table["charge"].sum() == Decimal("44900.850001")
    expected = Decimal("2890.50") * direct["cx"] / sum(direct.values())
    assert table.at["cx", "shared_cost"] == pytest.approx(expected, abs=Decimal("0.00001"))


def test_nobody_is_to_be_charged_by_a_bill_that_may_lack_charges(road):
    def told(**changes):
        return chargeback_section(road.ws, replace(road.review, **changes)).parts[0].text

    assert "charge nobody before it is" in told(charges_missing=["No accelerator-hours were charged to chat"])
    assert "charge nobody" not in told(charges_missing=[])


def test_pools_that_nobody_is_known_to_use_are_named(sample_ws):
    """The bill of the sample tags nothing on one pool of A100; what is tagged in part is not among them."""
    users = pool_teams(sample_ws)
    assert list(pools_of_nobody(sample_ws, users).index) == ["eu-docs-a100"]
    told = pd.DataFrame({"pool_id": ["eu-docs-a100"], "team": ["cx"], "share": [1.0]})
    assert pools_of_nobody(sample_ws, told).empty
    month = sample_ws.table("billing").query("invoice_month == @sample_ws.period")
    known = charge_teams(month, told).set_index("team")
    assert known.at["cx", "pool_cost"] == Decimal("22439.04")
    assert sum(known["charge"], Decimal(0)) == sum(month["EffectiveCost"], Decimal(0))


def test_the_sample_is_charged_exactly(sample_ws, sample_stages):
    month = sample_ws.table("billing").query("invoice_month == @sample_ws.period")
    lines = sample_stages.inventory.spend_reconciliation.set_index("line")["effective_cost"]
    assert sum(charge_teams(month)["charge"], Decimal(0)) == lines["bill"]
