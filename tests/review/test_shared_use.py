"""Pools that the bill attributes to nobody count for the use cases that work there, in variances as in the chargeback."""

import dataclasses

import pandas as pd
import pytest
from two_months import LAST, NOW, ROWS, UNITS, against_last, company

from aifactory.inputs.billing import UNATTRIBUTED
from aifactory.review import shared_use
from aifactory.review.chargeback import charge_teams
from aifactory.review.shared_use import by_use
from aifactory.review.variance import OTHER, REST

LOOSE = {"use_case": UNATTRIBUTED, "team": UNATTRIBUTED, "cost_line": "unattributed usage", "ResourceId": "pool-of-two"}


def shared(road, monkeypatch, shares):
    """The company of `test_uncharged`, whose images pay nothing by name: a pool of 10 hours for USD 40, then of 12 for 60, names nobody."""
    ws, inventory = company(road, UNITS, *(row for row in ROWS if row[1] == "chat"),
                            (LAST, "x", "us-east-1", 10.0, "40"), (NOW, "x", "us-east-1", 12.0, "60"))  # fmt: skip
    bill = ws.table("billing")
    bill.loc[bill["use_case"] == "x", list(LOOSE)] = list(LOOSE.values())
    monkeypatch.setattr(shared_use, "shares_of_pools", lambda of: pd.DataFrame(shares.get(of.period, []), columns=["pool_id", "use_case_id", "share"]))  # fmt: skip
    return ws, inventory


def divided_by(last, now):
    """Share of the images in the pool in the two months, the rest is chat's."""
    pool = LOOSE["ResourceId"]
    return {month: [(pool, "images", part), (pool, "chat", 1 - part)] for month, part in ((LAST, last), (NOW, now))}


def test_a_pool_without_a_team_is_divided_by_hand(road, monkeypatch):
    """Images have 0.25 x 10 = 2.5 hours for USD 10, then 0.5 x 12 = 6 for 30, and serve 30, then 60 units, twice the volume: USD 10.

    Hours a unit rise from 2.5 / 30 to 6 / 60, by a fifth, on USD 20: 4. The hour cost 4, then 5: 6.
    """
    ws, inventory = shared(road, monkeypatch, divided_by(0.25, 0.5))
    table, _ = against_last(ws, inventory)
    images = table.loc["images", ["base_usd", "actual_usd", "volume", "utilization", "price", OTHER]]
    assert images.tolist() == pytest.approx([10, 30, 10, 4, 6, 0])
    assert table.loc["chat", ["base_usd", "actual_usd"]].tolist() == pytest.approx([50 + 30, 60 + 30])
    assert table.loc[REST, ["base_usd", "actual_usd"]].tolist() == pytest.approx([0, 0])


def test_where_nobody_knows_the_users_no_use_case_explains_the_pool(road, monkeypatch):
    table, _ = against_last(*shared(road, monkeypatch, {}))
    assert "images" not in table.index
    assert table.loc[REST, ["base_usd", "actual_usd", OTHER]].tolist() == pytest.approx([40, 60, 20])


def test_cost_and_hours_are_those_before_and_teams_pay_what_they_are_charged(road, monkeypatch):
    shares = divided_by(1 / 3, 0.1 + 0.2)
    ws, _ = shared(road, monkeypatch, shares)
    before = ws.table("billing")
    after = by_use(ws, [LAST, NOW]).table("billing")
    assert float(sum(after["EffectiveCost"])) == float(sum(before["EffectiveCost"]))
    assert after["accelerator_hours"].sum() == pytest.approx(before["accelerator_hours"].sum())
    teams = ws.table("use_cases").set_index("use_case_id")["team"]
    users = pd.DataFrame(shares[NOW], columns=["pool_id", "use_case_id", "share"])
    users["team"] = users["use_case_id"].map(teams)
    charged = charge_teams(before[before["month"] == NOW], users).set_index("team")
    now = after[after["month"] == NOW].assign(usd=lambda rows: rows["EffectiveCost"].astype(float))
    paid = now.groupby("team")["usd"].sum()
    used = (charged["direct_cost"] + charged["pool_cost"]).astype(float)
    assert paid[used.index].tolist() == pytest.approx(used.tolist(), abs=1e-5)


def test_a_bill_without_such_a_pool_stays_as_it_is(road):
    ws, _ = company(road, UNITS, *ROWS)
    pd.testing.assert_frame_equal(by_use(ws, [LAST, NOW]).table("billing"), ws.table("billing"))
    empty = dataclasses.replace(ws, tables={**ws.tables, "billing": ws.table("billing").iloc[:0]})
    assert by_use(empty, [NOW]).table("billing").empty
