"""Depreciation on the bill: at most the outlays of the order book, and no cost of a plan that counts them as paid."""

import dataclasses
from types import SimpleNamespace

import pandas as pd
import pytest

from aifactory.inputs.billing import OWN_KIT
from aifactory.inputs.plan import Budget
from aifactory.review.bill_variance import against_plan
from aifactory.review.build import COST, COST_NOW, _kpis
from aifactory.review.guardrails import WATCH, check_guardrails
from aifactory.review.monthly import month_factors
from aifactory.review.own_kit import PAID_BEFORE, depreciation_usd
from aifactory.review.returns_to_date import roi_to_date
from tests.review.test_uncharged import H100, NOW, ROWS, UNITS, company, planned

PLACES = [SimpleNamespace(region="eu", provider_regions={"AWS": "eu-west-1"})]
BOOK = ["region", "accelerator_id", "purchase_option", "accelerators", "order_month", "start_month", "end_month", "upfront_usd"]  # fmt: skip


def orders(*rows):
    """(accelerators, order month, retirement, outlay) of H100 bought in Europe."""
    return pd.DataFrame([("eu", "h100", "purchase", n, ordered, ordered, end, usd) for n, ordered, end, usd in rows], columns=BOOK)  # fmt: skip


def bill(*rows):
    """(usd, seller, option) of October, ten hours of H100 in Europe each."""
    frame = pd.DataFrame(rows, columns=["EffectiveCost", "ProviderName", "purchase_option"])
    return frame.assign(month=NOW, RegionId="eu", cost_line="attributed usage", accelerator_id="h100", accelerator_hours=10.0)  # fmt: skip


@pytest.mark.parametrize(
    ("book", "ordered_by", "expected"),
    [
        # 36,000 over 36 months are 1,000 a month of the 1,600 that the site charges for depreciation and power
        (orders((8, "2026-01", "2029-01", 36_000.0)), None, [750.0, 250.0, 0.0]),
        # 72,000 would be 2,000 a month: no more than is charged
        (orders((8, "2026-01", "2029-01", 72_000.0)), None, [1_200.0, 400.0, 0.0]),
        # a second order of as much after the approval
        (orders((8, "2026-01", "2029-01", 18_000.0), (8, "2026-08", "2029-08", 18_000.0)), None, [750.0, 250.0, 0.0]),
        (orders((8, "2026-01", "2029-01", 18_000.0), (8, "2026-08", "2029-08", 18_000.0)), "2026-07", [375.0, 125.0, 0.0]),
        # retired before the month, ordered for later, or in no book: what calls itself depreciation
        (orders((8, "2023-01", "2026-10", 36_000.0)), None, [0.0, 400.0, 0.0]),
        (orders((8, "2026-11", "2029-11", 36_000.0)), None, [0.0, 400.0, 0.0]),
        (orders(), "2026-07", [0.0, 400.0, 0.0]),
        # bought for good or for an outlay that nobody says: the same, in the share of what was ordered until then
        (orders((6, "2026-01", None, 36_000.0), (2, "2026-09", None, 12_000.0)), "2026-07", [0.0, 300.0, 0.0]),
        (orders((8, "2026-01", "2029-01", None)), None, [0.0, 400.0, 0.0]),
    ],
)  # fmt: skip
def test_depreciation_by_hand(book, ordered_by, expected):
    rows = bill((1_200.0, "Own site", "on_demand"), (400.0, "Own site", OWN_KIT), (5_000.0, "AWS", "on_demand"))
    assert depreciation_usd(rows, book, PLACES, ordered_by).tolist() == pytest.approx(expected)


def test_refunds_taxes_and_other_charges_are_no_depreciation():
    rows = bill((-50.0, "Own site", OWN_KIT), (10.0, "Own site", "tax"), (30.0, "Own site", "on_demand"))
    rows["cost_line"] = ["attributed usage", "tax", "attributed usage"]
    rows.loc[2, "accelerator_hours"] = 0.0  # staff, or space
    assert depreciation_usd(rows, orders((8, "2026-01", "2029-01", 36_000.0)), PLACES).tolist() == [0.0, 0.0, 0.0]


def with_own_kit(road):
    """Chat runs in Europe on own kit too, which the site charges with 240: 200 of it depreciation."""
    ws, inventory = company(road, UNITS, *ROWS, (NOW, "chat", "eu", 20.0, "240"))
    ws.table("billing").loc[4, "ProviderName"] = "Own site"
    book = orders((8, "2026-01", "2029-01", 7_200.0)).assign(accelerator_id=H100, plan_period=None, order_id="own")
    ws.tables["commitments"] = book
    return ws, inventory


def test_a_plan_is_held_against_the_bill_without_kit_that_was_paid_for_before_it(road):
    """Planned for chat: 50 in the US, 40 of own kit in Europe for 15 units in 10 hours; charged 60 and 240, of it 200 gone."""
    ws, inventory = with_own_kit(road)
    table = against_plan(ws, inventory, planned(), pd.Series({NOW: 330.0})).set_index("use_case_id")
    assert table.loc["chat", ["base_usd", "actual_usd"]].tolist() == pytest.approx([90.0, 100.0])
    assert table.loc[PAID_BEFORE, ["base_usd", "actual_usd", "other"]].tolist() == pytest.approx([0.0, 200.0, 200.0])
    assert table["difference_usd"].sum() == pytest.approx(330.0 - 90.0)


def test_the_figures_of_the_month_say_it(road):
    ws, inventory = with_own_kit(road)
    now, before = (month_factors(ws, inventory, month)[0] for month in (NOW, "2026-09"))
    accuracy = pd.DataFrame({"month": [], "error_share": [], "inside_band": []})
    plan = planned().query("use_case_id == 'chat'")
    kpis = _kpis(ws, inventory, plan, now, before, accuracy).set_index("kpi")
    assert kpis.loc[COST, "actual"] - kpis.loc[COST_NOW, "actual"] == pytest.approx(200.0)
    assert kpis.loc[COST_NOW, "plan"] == pytest.approx(90.0)
    assert pd.isna(kpis.loc[COST, "plan"])


def test_the_budget_of_operating_cost_holds_no_depreciation(road):
    """240 of the 330 on the bill are the site's, 200 of them what a purchase cost: a budget of 140 is near at 130 of the 330."""
    ws, inventory = with_own_kit(road)
    ws = dataclasses.replace(ws, plan=ws.plan.model_copy(update={"budget": Budget(opex_usd_per_month=140.0)}))
    lines = pd.DataFrame({"line": ["bill", "unattributed usage"], "effective_cost": [330.0, 0.0]})
    inventory = dataclasses.replace(inventory, spend_reconciliation=lines)
    row = check_guardrails(ws, inventory, pd.Series(dtype="float64")).set_index("guardrail").loc["monthly budget"]
    assert (row["subject"], row["value"], row["state"]) == ("bill without depreciation of bought kit", 130.0, WATCH)


def test_a_return_counts_an_outlay_once(road):
    """What the bill spreads of an outlay is taken out; charges that are depreciation alone hold no power of the kit."""
    ws, inventory = with_own_kit(road)
    plan = planned().assign(compute_cash_usd=[50.0, 40.0, 0.0], outlay_usd=0.0)
    row = roi_to_date(ws, inventory, plan).set_index("month").loc[NOW]
    assert (row["spread_usd"], row["off_bill_usd"]) == pytest.approx((200.0, 0.0))
    ws.tables["commitments"] = ws.tables["commitments"].assign(upfront_usd=36 * 240.0)
    row = roi_to_date(ws, inventory, plan).set_index("month").loc[NOW]
    assert (row["spread_usd"], row["off_bill_usd"]) == pytest.approx((240.0, 40.0))
