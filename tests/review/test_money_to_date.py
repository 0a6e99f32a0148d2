"""Unit cost against its trend, forecast scores, payback as it stands, chargeback rates, changed figures."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aifactory.inputs.billing import UNATTRIBUTED
from aifactory.inputs.hosted import HOSTED
from aifactory.report.refresh_money import payback_sentence, unit_cost_section
from aifactory.review.build import OF_PLAN, _kpis
from aifactory.review.changes import figures_changed
from aifactory.review.forecast_score import REPEAT, score
from aifactory.review.monthly import calendar_plan, month_factors, realised_value
from aifactory.review.returns_to_date import (
    NO_MOVES,
    charges_of_others,
    hosted_until,
    off_bill,
    roi_to_date,
    spread_on_bill,
    storage_network,
    update_payback,
)
from aifactory.review.unit_cost import unit_cost_bands

#: Charges of a service that sells no models.
NO_MODEL = {"ServiceName": "Site", "ServiceCategory": "Other"}
MONTHS = [str(month) for month in pd.period_range("2026-01", periods=10, freq="M")]


def costs(values, months=None):
    return pd.DataFrame({"month": (months or MONTHS)[: len(values)], "use_case_id": "chat", "usd_per_unit": values})


def test_a_steady_trend_expects_its_own_continuation():
    values = 0.01 * 0.95 ** np.arange(10)
    row = unit_cost_bands(costs(values), MONTHS[9]).iloc[0]
    assert row["expected"] == pytest.approx(values[9])
    assert row["trend_per_month"] == pytest.approx(-0.05)
    assert row["inside_band"]
    assert row["low80"] == pytest.approx(row["high80"])
    jumped = unit_cost_bands(costs([*values[:9], values[9] * 1.01]), MONTHS[9]).iloc[0]
    assert not jumped["inside_band"]


def test_a_price_that_stands_still_stays_inside_whatever_its_last_digit():
    """Charges are rounded to a millionth of a dollar: a band of months that agree so well is no news when it is left."""
    noise = np.array([1, 2, 1, 2, 1, 2, 1, 2, 1, 50]) * 1e-9
    assert unit_cost_bands(costs(0.000488 * (1 + noise)), MONTHS[9]).iloc[0]["inside_band"]
    assert not unit_cost_bands(costs(0.000488 * (1 + np.append(noise[:9], 0.001))), MONTHS[9]).iloc[0]["inside_band"]


def test_the_band_is_the_prediction_interval_of_the_regression():
    values = np.array([1.0, 1.1, 0.9, 1.2, 1.0, 1.15, 0.95, 1.05])
    row = unit_cost_bands(costs(values), MONTHS[7]).iloc[0]
    x, y = np.arange(-7, 0), np.log(values[:7])
    fit = stats.linregress(x, y)
    rest = np.sqrt(((y - fit.intercept - fit.slope * x) ** 2).sum() / 5)
    half = stats.t.ppf(0.9, 5) * rest * np.sqrt(1 + 1 / 7 + x.mean() ** 2 / ((x - x.mean()) ** 2).sum())
    assert row["expected"] == pytest.approx(np.exp(fit.intercept))
    assert row["low80"] == pytest.approx(np.exp(fit.intercept - half))
    assert row["high80"] == pytest.approx(np.exp(fit.intercept + half))


def test_the_interval_holds_four_in_five_new_months():
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(400):
        values = np.exp(rng.normal(0, 0.1, 8) - 0.02 * np.arange(8))
        inside.append(unit_cost_bands(costs(values), MONTHS[7])["inside_band"].iloc[0])
    assert 0.74 < np.mean(inside) < 0.86


def test_three_months_are_no_trend_and_unknown_costs_do_not_count():
    assert unit_cost_bands(costs([1.0, 1.0, 1.0, 1.0]), MONTHS[3]).empty
    assert unit_cost_bands(costs([1.0, np.nan, 1.0, 1.0, 1.0]), MONTHS[4]).empty
    assert unit_cost_bands(costs([1.0] * 5), MONTHS[9]).empty  # nothing in the month


def forecast(units, low, high):
    return pd.DataFrame({"units": units, "units_p10": low, "units_p90": high}, index=["a", "b"])


def test_scores_are_hand_computed():
    actual = pd.Series({"a": 100.0, "b": 200.0})
    made = {
        "ours": forecast([110.0, 200.0], [90.0, 210.0], [120.0, 250.0]),
        REPEAT: forecast([80.0, 180.0], [80.0, 180.0], [80.0, 180.0]),
    }
    table = score(made, actual).set_index("forecast")
    ours = table.loc["ours"]
    assert ours["median_error"] == pytest.approx(0.05)
    assert ours["median_bias"] == pytest.approx(0.05)
    assert ours["inside_band"] == pytest.approx(0.5)
    assert ours["error_vs_repeat"] == pytest.approx(0.05 / 0.15)
    # P10: 0.1 x 0.1 and 0.9 x 0.05; median: 0.5 x 0.1 and 0; P90: 0.1 x 0.2 and 0.1 x 0.25
    assert ours["pinball"] == pytest.approx(np.mean([0.01, 0.045, 0.05, 0.0, 0.02, 0.025]))
    assert np.isnan(table.loc[REPEAT, "inside_band"])
    assert table.loc[REPEAT, "error_vs_repeat"] == pytest.approx(1.0)


def test_a_perfect_repetition_leaves_no_yardstick():
    same = forecast([100.0, 200.0], [100.0, 200.0], [100.0, 200.0])
    assert np.isnan(score({"ours": same, REPEAT: same}, pd.Series({"a": 100.0, "b": 200.0}))["error_vs_repeat"]).all()
    assert score({REPEAT: same}, pd.Series(dtype=float)).empty


def test_the_month_is_scored_against_last_months_data(road):
    table = road.review.forecast_scores.set_index("forecast")
    assert table.index.tolist() == ["data up to 2026-09", REPEAT]
    demand = road.inventory.demand_monthly.groupby(["use_case_id", "month"])["units"].sum().unstack()
    repeat = (demand["2026-09"] * 31 / 30 / demand["2026-10"] - 1).abs()
    assert table.loc[REPEAT, "median_error"] == pytest.approx(repeat.median())


def plan(value, cost, compute, outlay=None):
    """A plan whose cost of accelerators is rent, but for `outlay`, which is worn in the months that follow it."""
    outlay = [0.0] * len(value) if outlay is None else outlay
    return pd.DataFrame(
        {"month": MONTHS[: len(value)], "value_usd": value, "cost_usd": cost, "compute_usd": compute,
         "compute_cash_usd": np.array(compute) + outlay, "outlay_usd": outlay, "plan_period": "2025-12"}
    )  # fmt: skip


def to_date(value, bill):
    return pd.DataFrame({"month": MONTHS[: len(value)], "value_usd": value, "bill_usd": bill})


def book(*rows):
    names = ["purchase_option", "order_month", "start_month", "upfront_usd"]
    return pd.DataFrame(rows, columns=names).astype({"upfront_usd": float})


def test_payback_as_it_stands_is_hand_computed():
    approved = plan([100.0] * 6, [200.0, 50.0, 50.0, 50.0, 50.0, 50.0], [150.0, 40.0, 40.0, 40.0, 40.0, 40.0])
    table = update_payback(approved, to_date([80.0, 80.0], [170.0, 40.0]), book(), MONTHS[1]).set_index("figure")
    # costs beyond the bill stay as planned: 50 and 10, so 220 and 50; ratios 0.8 and 270 / 250
    assert table.loc["cost to date, all lines"].tolist()[:2] == pytest.approx([250.0, 270.0])
    assert table.loc["net cash to date"].tolist()[:2] == pytest.approx([-50.0, -110.0])
    later = 100 * 0.8 - 50 * 270 / 250
    assert table.loc["net cash over the horizon, before tax"].tolist()[:2] == pytest.approx([150.0, -110.0 + 4 * later])
    assert table.loc["payback", "plan"] == pytest.approx(3.0)  # -100, then 50 a month
    assert np.isnan(table.loc["payback", "as_it_stands"])  # 110 lost, 26 a month to come, four months left


def test_outlays_planned_and_not_made_are_still_to_come():
    """600 were to be paid in month 1; 150 were, as a prepayment in month 2, so that 450 are due in month 3."""
    approved = plan([100.0] * 8, [20.0] * 8, [10.0] * 8, [600.0, 0, 0, 0, 0, 0, 0, -600.0])
    paid = book(("purchase", "2025-11", MONTHS[0], 70.0), ("reserved_1y", MONTHS[0], MONTHS[1], 150.0),
                ("lease", MONTHS[0], MONTHS[0], np.nan))  # fmt: skip
    table = update_payback(approved, to_date([100.0, 100.0], [10.0, 10.0]), paid, MONTHS[1]).set_index("figure")
    assert table.loc["outlays to date"].tolist()[:2] == [600.0, 150.0]
    assert table.loc["net cash to date"].tolist()[:2] == pytest.approx([160 - 600, 160 - 150])
    assert table.loc["net cash over the horizon, before tax"].tolist()[:2] == pytest.approx([640.0, 640.0])
    # planned: 80 - 600 and 80 a month leave -40 after 7; as it stands 80, 10, 90 - 450 and so on: the same
    assert table.loc["payback"].tolist()[:2] == pytest.approx(
        [7 + 40 / 680, 7 + 40 / 680]
    )  # the last month adds the sale


def test_where_cash_is_never_below_zero_there_is_nothing_to_pay_back():
    """100 of value against 50 of cost in every month, as planned and as it stands."""
    table = update_payback(plan([100.0] * 3, [50.0] * 3, [40.0] * 3), to_date([100.0], [40.0]), book(), MONTHS[0])
    figures = table.set_index("figure")
    assert figures.loc["lowest net cash, cumulated", ["plan", "as_it_stands"]].tolist() == [0.0, 0.0]
    assert figures.loc["payback", ["plan", "as_it_stands"]].isna().all()
    assert payback_sentence(table).count("be ahead from the first month on") == 2


def test_a_plan_without_cash_has_no_payback():
    approved = plan([100.0] * 3, [50.0] * 3, [40.0] * 3).drop(columns=["compute_cash_usd", "outlay_usd"])
    table = update_payback(approved, to_date([100.0], [40.0]), book(), MONTHS[0]).set_index("figure")
    assert table.loc["cost to date, all lines"].tolist()[:2] == [50.0, 50.0]
    assert table.loc["payback", ["plan", "as_it_stands"]].isna().all()
    assert payback_sentence(table.reset_index()).count("not known") == 2


def test_on_plan_nothing_moves():
    approved = plan([100.0] * 4, [150.0, 50.0, 50.0, 50.0], [150.0, 50.0, 50.0, 50.0])
    table = update_payback(approved, to_date([100.0, 100.0], [150.0, 50.0]), book(), MONTHS[1])
    assert table["plan"].tolist() == pytest.approx(table["as_it_stands"].tolist())


def test_without_plan_bill_or_value_there_is_no_payback():
    approved = plan([100.0], [50.0], [50.0])
    assert update_payback(approved.iloc[:0], to_date([1.0], [1.0]), book(), MONTHS[0]).empty
    assert update_payback(approved, to_date([np.nan], [1.0]), book(), MONTHS[0]).empty
    assert update_payback(approved.assign(value_usd=np.nan), to_date([1.0], [1.0]), book(), MONTHS[0]).empty


def test_rates_of_teams_are_charges_over_hours(road):
    table = road.review.chargeback
    known = table[table["accelerator_hours"] > 0]
    assert len(known)
    charged = known["charge"].astype(float) / known["accelerator_hours"]
    assert known["usd_per_accelerator_hour"].tolist() == pytest.approx(charged.tolist())


def test_prices_and_inputs_that_moved_are_listed_with_both_figures(changed, road):
    prices = road.ws.table("prices")
    offer = prices[(prices["accelerator_id"] == "nvidia-h100-sxm") & (prices["purchase_option"] == "on_demand")].iloc[
        :1
    ]
    old = offer.assign(
        provider="AWS", region="us-east-1", as_of=pd.Timestamp("2026-09-10"), usd_per_accelerator_hour=4.0
    )
    new = old.assign(price_id="new", as_of=pd.Timestamp("2026-10-10"), usd_per_accelerator_hour=3.0)
    later = old.assign(price_id="later", as_of=pd.Timestamp("2026-11-10"), usd_per_accelerator_hour=1.0)
    ws = changed(prices=pd.concat([old, new, later], ignore_index=True))
    earlier = road.inventory.demand_monthly.iloc[:0].set_index(["month", "use_case_id"])[["units"]]
    table = figures_changed(ws, road.inventory, earlier, road.ws.table("approved_plan"), None)
    price = table[(table["what"] == "price") & table["subject"].str.contains(", us, ")].iloc[0]
    assert (price["before"], price["now"], price["change"]) == (4.0, 3.0, pytest.approx(-0.25))
    rows = table[(table["what"] == "input") & (table["subject"] == "demand_windows")].iloc[0]
    assert (rows["before"], rows["now"]) == (30 * 24 * 3, 31 * 24 * 3)


def test_the_recommendation_is_compared_with_the_approved_plan(approved, october_plan):
    table = figures_changed(approved.ws, approved.inventory, approved.inventory.demand_monthly.iloc[:0].set_index(["month", "use_case_id"])[["units"]],
                            approved.ws.table("approved_plan"), october_plan)  # fmt: skip
    moved = table[table["what"].str.startswith("recommendation")]
    coming = approved.ws.table("approved_plan").query("'2026-10' < month <= '2027-10'")
    for row in moved.itertuples():
        mine = coming[coming["accelerator_id"] == row.subject]
        assert row.before == pytest.approx(mine["accelerator_hours"].sum() / 12)
    assert set(moved["compared_with"]) <= {"plan approved for 2026-09"}


def test_a_month_before_the_plan_is_told_apart_from_no_plan(approved):
    later = approved.ws.table("approved_plan").assign(month=lambda rows: rows["month"].str.replace("2026", "2027"))
    from aifactory.review import build_review

    ws = dataclasses.replace(
        approved.ws, tables={**approved.ws.tables, "approved_plan": later[later["month"] > "2027"]}
    )
    text = " ".join(build_review(ws, approved.inventory).not_computed)
    assert "the approved plan begins in 2027" in text
    assert "none is stored" not in text


def test_use_cases_that_the_plan_does_not_hold_are_named(approved):
    from aifactory.review import build_review

    held = approved.ws.table("approved_plan")
    without = held[held["use_case_id"] != "chat"]
    ws = dataclasses.replace(approved.ws, tables={**approved.ws.tables, "approved_plan": without})
    named = [text for text in build_review(ws, approved.inventory).not_computed if text.startswith("plan of ")]
    assert len(named) == 1 and "chat" in named[0].split(":")[0]
    assert "while the actual figures do" in named[0]
    before = [text for text in approved.review.not_computed if text.startswith("plan of ")]
    assert not any("chat" in text.split(":")[0] for text in before)


BILL = ["month", "invoice_month", "accelerator_id", "accelerator_hours", "purchase_option", "EffectiveCost"]
BOOK = ["region", "accelerator_id", "purchase_option", "start_month", "end_month", "upfront_usd"]


def test_what_is_bought_and_its_wear_move_nothing_on_plan():
    """400 are paid at once and worn by 100 a month; rent of 30 is on the bill, energy of 20 on none."""
    approved = pd.DataFrame(
        {"month": MONTHS[:4], "value_usd": 200.0, "cost_usd": 157.0, "compute_usd": 150.0,
         "compute_cash_usd": [450.0, 50.0, 50.0, 50.0], "outlay_usd": [400.0, 0.0, 0.0, 0.0], "plan_period": "2025-12"}
    )  # fmt: skip
    seen = to_date([200.0, 200.0], [30.0, 30.0]).assign(off_bill_usd=20.0, spread_usd=0.0)
    table = update_payback(approved, seen, book(("purchase", MONTHS[0], MONTHS[0], 400.0)), MONTHS[1])
    assert table["as_it_stands"].tolist() == pytest.approx(table["plan"].tolist())
    # value less cost less outlays is the net: 400 - 2 x (30 + 20 + 7) - 400
    assert table["plan"].tolist()[:4] == pytest.approx([400.0, 114.0, 400.0, -114.0])
    dearer = update_payback(approved, seen.assign(bill_usd=87.0), book(("purchase", MONTHS[0], MONTHS[0], 400.0)), MONTHS[1])  # fmt: skip
    assert dearer["as_it_stands"].tolist()[4] == pytest.approx(2 * (200 - 114) - 400 + 2 * (200 - 57 * 2))


def test_storage_that_the_bill_charges_is_not_counted_beside_the_planned():
    """Planned: 30 of accelerators, 4 of storage, 3 of staff; the bill has 35, of which 5, or 2, are storage."""
    approved = plan([200.0] * 3, [37.0] * 3, [30.0] * 3).assign(storage_network_usd=4.0)
    for charged, other in ((5.0, 3.0), (2.0, 5.0), (0.0, 7.0)):
        seen = to_date([200.0], [35.0]).assign(storage_network_usd=charged)
        table = update_payback(approved, seen, book(), MONTHS[0]).set_index("figure")
        assert table.loc["cost to date, all lines"].tolist()[:2] == pytest.approx([37.0, 35.0 + other])
    older = update_payback(approved.drop(columns="storage_network_usd"), seen, book(), MONTHS[0])
    assert older["as_it_stands"][1] == pytest.approx(42.0)  # approved before the plan stored what of it is storage


def test_charges_of_storage_and_network_are_those_of_clouds():
    """Another seller's are an own site's; taxes, credits and other categories are none; traffic often names no region."""
    places = [SimpleNamespace(region="x", provider_regions={"AWS": "r-1"})]
    rows = [("Storage", "AWS", "attributed usage", 3.0), ("Networking", "AWS", "unattributed usage", 2.0),
            ("Storage", "Colo", "attributed usage", 7.0), ("Storage", "AWS", "tax", 1.0), ("Compute", "AWS", "attributed usage", 9.0)]  # fmt: skip
    bill = pd.DataFrame(rows, columns=["ServiceCategory", "ProviderName", "cost_line", "EffectiveCost"]).assign(
        month=MONTHS[0], invoice_month=MONTHS[0], RegionId="r-1"
    )
    assert storage_network(bill, places).to_dict() == {MONTHS[0]: 5.0}
    assert storage_network(bill).to_dict() == {MONTHS[0]: 12.0}
    assert storage_network(bill.assign(RegionId=None), places).to_dict() == {MONTHS[0]: 5.0}


def test_a_prepayment_that_the_bill_spreads_counts_once():
    """120 paid at once for a year, on the bill with 10 a month."""
    approved = plan([100.0] * 3, [10.0] * 3, [10.0] * 3).assign(
        compute_cash_usd=[120.0, 0.0, 0.0], outlay_usd=[120.0, 0.0, 0.0]
    )
    terms = book(("reserved_1y", MONTHS[0], MONTHS[0], 120.0))
    seen = to_date([100.0], [10.0]).assign(off_bill_usd=0.0, spread_usd=10.0)
    table = update_payback(approved.assign(cost_usd=15.0), seen, terms, MONTHS[0]).set_index("figure")
    assert table.loc["net cash to date"].tolist()[:2] == pytest.approx([100 - 5 - 120, 100 - 5 - 120])
    assert table.loc["net cash over the horizon, before tax"].tolist()[:2] == pytest.approx([165.0, 165.0])


def test_own_accelerators_run_off_the_bill_until_it_has_hours_of_them():
    rows = [("chat", "x", "own", 9.0, 4.0), ("edit", "x", "own", 5.0, 0.0), ("chat", "x", "rented", 7.0, 0.0)]
    names = ["use_case_id", "region", "accelerator_id", "compute_cash_usd", "outlay_usd"]
    approved = pd.concat([pd.DataFrame(rows, columns=names).assign(month=month) for month in MONTHS[:4]])
    orders = pd.DataFrame(
        [("x", "own", "purchase", MONTHS[0], MONTHS[3], 1.0), ("x", "own", "lease", MONTHS[0], None, np.nan),
         ("y", "own", "purchase", MONTHS[0], None, 1.0), ("x", "rented", "reserved_1y", MONTHS[0], None, 1.0)], columns=BOOK,
    )  # fmt: skip
    bill = pd.DataFrame([(MONTHS[1], MONTHS[1], "own", 3.0, "on_demand", 6.0)], columns=BILL)
    assert off_bill(approved, bill, orders).to_dict() == {MONTHS[0]: 10.0, MONTHS[2]: 10.0, MONTHS[3]: 10.0}
    assert off_bill(approved, bill, orders[:1]).to_dict() == {MONTHS[0]: 10.0, MONTHS[2]: 10.0}
    assert off_bill(approved.drop(columns="outlay_usd"), bill, orders).empty
    places = [SimpleNamespace(region="x", provider_regions={}), SimpleNamespace(region="y", provider_regions={})]
    for region, hidden in (("x", True), ("y", False), ("unknown", True)):  # rented elsewhere, it still stands here
        charged = bill.assign(RegionId=region, cost_line="attributed usage", ProviderName="AWS", **NO_MODEL)
        found = off_bill(approved, charged, orders, places)
        assert (MONTHS[1] not in found) == hidden


def test_what_an_own_site_charges_is_not_counted_beside_its_planned_running_cost():
    """Energy and space of the data centre on the bill: planned running cost counts only beyond them, region by region."""
    names = ["use_case_id", "region", "accelerator_id", "compute_cash_usd", "outlay_usd"]
    rows = [("chat", "x", "own", 9.0, 0.0), ("chat", "y", "own", 4.0, 0.0)]
    approved = pd.DataFrame(rows, columns=names).assign(month=MONTHS[0])
    orders = pd.DataFrame(
        [("x", "own", "purchase", MONTHS[0], None, 1.0), ("y", "own", "purchase", MONTHS[0], None, 1.0)], columns=BOOK
    )
    places = [
        SimpleNamespace(region="x", provider_regions={}),
        SimpleNamespace(region="y", provider_regions={"AWS": "y1", "Azure": "y2"}),
    ]
    for usd, region, provider, line, left in (
        (3.0, "x", "Own", "unattributed usage", 10.0),
        (30.0, "x", "Own", "unattributed usage", 4.0),  # no more than is planned there
        (3.0, "y", "Own", "attributed usage", 10.0),
        (3.0, "y1", "AWS", "attributed usage", 13.0),  # storage of a cloud
        (3.0, "y2", "Microsoft", "attributed usage", 13.0),  # as its bills call it
        (3.0, "x", "Own", "tax", 13.0),
        (3.0, "elsewhere", "Own", "unattributed usage", 13.0),
    ):
        bill = pd.DataFrame([(MONTHS[0], MONTHS[0], "none", 0.0, "on_demand", usd)], columns=BILL)
        bill = bill.assign(RegionId=region, ProviderName=provider, cost_line=line, **NO_MODEL)
        assert off_bill(approved, bill, orders, places).to_dict() == {MONTHS[0]: left}


@pytest.mark.parametrize(
    ("service", "category", "left"),
    [("Claude API", None, 9.0), ("Any name", "AI and Machine Learning", 9.0), ("Power and space", "Compute", 0.0)],
)
def test_a_seller_of_hosted_models_charges_no_energy_of_an_own_site(service, category, left):
    """Kit runs for 9 a month by plan; 30 of a model's seller that names the region is none of it, 30 of the site covers it."""
    names = ["use_case_id", "region", "accelerator_id", "compute_cash_usd", "outlay_usd"]
    approved = pd.DataFrame([("chat", "x", "own", 9.0, 0.0)], columns=names).assign(month=MONTHS[0])
    orders = pd.DataFrame([("x", "own", "purchase", MONTHS[0], None, 1.0)], columns=BOOK)
    bill = pd.DataFrame([(MONTHS[0], MONTHS[0], "none", 0.0, "on_demand", 30.0)], columns=BILL).assign(
        RegionId="x", ProviderName="Seller", cost_line="attributed usage", ServiceName=service, ServiceCategory=category
    )
    places = [SimpleNamespace(region="x", provider_regions={"AWS": "x1"})]
    assert off_bill(approved, bill, orders, places).to_dict() == {MONTHS[0]: left}


def test_a_lease_whose_invoice_names_its_pool_is_on_the_bill():
    names = ["use_case_id", "region", "accelerator_id", "compute_cash_usd", "outlay_usd"]
    rows = [("chat", "x", "a100", 9.0, 0.0), ("chat", "y", "a100", 4.0, 0.0)]
    approved = pd.concat([pd.DataFrame(rows, columns=names).assign(month=month) for month in MONTHS[:2]])
    orders = pd.DataFrame(
        [("x", "a100", "lease", MONTHS[0], None, np.nan), ("y", "a100", "lease", MONTHS[0], None, np.nan)], columns=BOOK,
    )  # fmt: skip
    invoice = pd.DataFrame([(MONTHS[0], MONTHS[0], "none", 0.0, "committed", 9.5)], columns=BILL)
    pools = pd.DataFrame({"pool_id": ["east", "west"], "accelerator_id": "a100", "region": ["x", "y"]})
    pools = pools.assign(purchase_option="lease", installed=8.0, window_start_utc=pd.Timestamp(MONTHS[0], tz="UTC"))
    for resource, line, first in (
        ("east", "attributed usage", 4.0),
        (None, "attributed usage", 13.0),
        ("east", "tax", 13.0),
    ):
        bill = invoice.assign(ResourceId=resource, cost_line=line)
        assert off_bill(approved, bill, orders, pools=pools).to_dict() == {MONTHS[0]: first, MONTHS[1]: 13.0}


def test_a_bought_pool_that_is_read_runs_off_the_bill_without_an_order():
    names = ["use_case_id", "region", "accelerator_id", "compute_cash_usd", "outlay_usd"]
    rows = [("chat", "x", "a100", 9.0, 2.0), ("chat", "y", "a100", 4.0, 0.0), ("edit", "z", "a100", 1.0, 0.0)]
    approved = pd.concat([pd.DataFrame(rows, columns=names).assign(month=month) for month in MONTHS[:2]])
    bill = pd.DataFrame([(MONTHS[1], MONTHS[1], "a100", 3.0, "on_demand", 6.0)], columns=BILL)
    bill = bill.assign(ResourceId=None, cost_line="attributed usage")
    none = pd.DataFrame(columns=BOOK)
    pools = pd.DataFrame(
        [("east", "x", "purchase", 8.0, 0), ("east", "x", "purchase", 8.0, 1), ("west", "y", "on_demand", 8.0, 0),
         ("left", "z", "purchase", 0.0, 0)], columns=["pool_id", "region", "purchase_option", "installed", "day"],
    )  # fmt: skip
    pools["window_start_utc"] = pd.Timestamp(MONTHS[0], tz="UTC") + pd.to_timedelta(pools["day"], unit="D")
    pools["accelerator_id"] = "a100"
    assert off_bill(approved, bill, none, pools=pools).to_dict() == {MONTHS[0]: 7.0}
    book = pd.DataFrame([("x", "a100", "purchase", MONTHS[0], None, 1.0)], columns=BOOK)
    assert off_bill(approved, bill, book, pools=pools).to_dict() == {MONTHS[0]: 7.0}  # not twice
    # four of the seven are hours that were to be rented beside it, of which no bill came
    rented = approved.assign(hourly_usd=4.0)
    assert off_bill(rented, bill, none, pools=pools).to_dict() == {MONTHS[0]: 3.0}
    assert off_bill(approved.assign(hourly_usd=np.nan), bill, none, pools=pools).to_dict() == {MONTHS[0]: 7.0}


def test_a_bill_spreads_no_more_than_it_charges_for_that_accelerator():
    orders = pd.DataFrame(
        [("x", "h100", "reserved_1y", MONTHS[1], "2027-02", 1200.0), ("x", "a100", "reserved_1y", MONTHS[0], "2027-01", 600.0),
         ("x", "h100", "purchase", MONTHS[0], "2030-01", 9000.0)], columns=BOOK,
    )  # fmt: skip
    bill = pd.DataFrame(
        [(MONTHS[0], MONTHS[0], "h100", 9.0, "committed", 80.0), (MONTHS[1], MONTHS[1], "h100", 9.0, "committed", 70.0),
         (MONTHS[1], MONTHS[1], "h100", 0.0, "committed_unused", 50.0), (MONTHS[2], MONTHS[2], "h100", 9.0, "committed", 60.0),
         (MONTHS[2], MONTHS[2], "a100", 9.0, "on_demand", 60.0)], columns=BILL,
    )  # fmt: skip
    assert spread_on_bill(bill, orders, pd.Index(MONTHS[:3])).tolist() == pytest.approx([0.0, 100.0, 60.0])


def test_a_charge_of_one_region_spreads_no_prepayment_of_another():
    """H100 prepaid in x for USD 100 a month. 70 charged in y spread none of it, in x all 70; without a known region all 70."""
    orders = pd.DataFrame([("x", "h100", "reserved_1y", MONTHS[0], "2027-01", 600.0)], columns=BOOK)
    orders["end_month"] = str(pd.Period(MONTHS[0], "M") + 6)
    bill = pd.DataFrame([(MONTHS[0], MONTHS[0], "h100", 9.0, "committed", 70.0)], columns=BILL)
    places = [SimpleNamespace(region=name, provider_regions={}) for name in ("x", "y")]
    found = {name: spread_on_bill(bill.assign(RegionId=name), orders, pd.Index(MONTHS[:2]), places).tolist()
             for name in ("x", "y", "elsewhere")}  # fmt: skip
    assert found == {"x": [70.0, 0.0], "y": [0.0, 0.0], "elsewhere": [70.0, 0.0]}
    two = pd.concat([orders, orders.assign(region="y")], ignore_index=True)
    both = pd.concat([bill.assign(RegionId="y"), bill.assign(RegionId="elsewhere")], ignore_index=True)
    # 70 of the 100 in y, and of the 30 left there and the 100 in x 70 more
    assert spread_on_bill(both, two, pd.Index(MONTHS[:1]), places).tolist() == pytest.approx([140.0])


def test_a_plan_of_some_use_cases_is_compared_with_value_and_bill_of_those(road, approved):
    held = calendar_plan(approved.ws.table("approved_plan").query("use_case_id == 'chat'"))
    row = roi_to_date(road.ws, road.inventory, held).iloc[0]
    worth = realised_value(road.ws, road.inventory).set_index(["month", "use_case_id"])["value_usd"]
    assert row["value_usd"] == pytest.approx(worth["2026-10", "chat"]) and len(worth["2026-10"]) == 3
    assert row["bill_usd"] == pytest.approx(44_900.850001 - 12_000.000001)  # models are charged by name
    facts = [month_factors(road.ws, road.inventory, month)[0] for month in ("2026-10", "2026-09")]
    kpis = _kpis(road.ws, road.inventory, held, *facts, road.review.forecast_accuracy).set_index("kpi")
    assert np.isnan(kpis.at["value of delivered units", "plan"])
    assert kpis.at[OF_PLAN, "actual"] == pytest.approx(worth["2026-10", "chat"])
    assert kpis.at[OF_PLAN, "plan"] == pytest.approx(held.query("month == '2026-10'")["value_usd"].sum())
    assert OF_PLAN not in road.review.kpis["kpi"].tolist()


def test_charges_without_a_use_case_stay_in_the_bill_of_a_plan():
    bill = pd.DataFrame(
        [("attributed usage", "chat", 5.0), ("attributed usage", "other", 3.0), ("unattributed usage", "other", 1.0),
         ("attributed usage", UNATTRIBUTED, 9.0), ("tax", "other", 7.0)], columns=["cost_line", "use_case", "EffectiveCost"],
    ).assign(invoice_month="2026-01", month="2026-01")  # fmt: skip
    assert charges_of_others(bill, pd.Series(["chat"])).to_dict() == {"2026-01": 4.0}


def test_what_moves_later_counts_from_its_move_on(road, approved):
    """Chat is to stay on its hosted model in the first month: neither its value nor its charges are held against the plan, which has neither."""
    held = calendar_plan(approved.ws.table("approved_plan")).query("month == '2026-10'")
    chat = held["use_case_id"] == "chat"
    stays = held[chat].assign(accelerator_id=HOSTED)
    moved = pd.concat([held.assign(units=held["units"].mask(chat, 0.0)), stays], ignore_index=True)
    assert hosted_until(held).empty and hosted_until(stays).empty  # where all stays hosted, that is the plan
    apart = hosted_until(moved)
    assert apart.tolist() == [("2026-10", "chat")]
    whole, later = (roi_to_date(road.ws, road.inventory, held, each).iloc[0] for each in (NO_MOVES, apart))
    worth = realised_value(road.ws, road.inventory).set_index(["month", "use_case_id"])["value_usd"]
    assert whole["value_usd"] - later["value_usd"] == pytest.approx(worth["2026-10", "chat"])
    bill = road.ws.table("billing").query("month == '2026-10' and use_case == 'chat'")["EffectiveCost"]
    assert whole["bill_usd"] - later["bill_usd"] == pytest.approx(float(bill.sum())) and bill.sum() > 0
    still = pd.concat([held, stays], ignore_index=True)  # of two regions one has moved
    assert hosted_until(still).empty


def test_the_note_on_the_band_stands_where_a_band_is_shown():
    ws = SimpleNamespace(period="2026-06", as_of=pd.Timestamp("2026-06-30"))
    frame = costs([1.0, 1.1, 1.0, 1.1, 1.0, 1.1]).assign(units=10.0, cost=10.0)
    bands = unit_cost_bands(frame, "2026-06")
    assert len(bands) == 1
    told = [
        " ".join(
            getattr(part, "html", "")
            for part in unit_cost_section(ws, SimpleNamespace(unit_cost=frame, unit_cost_bands=of)).parts
        )
        for of in (bands, bands.iloc[:0])
    ]
    assert ["knows no season of the year" in text for text in told] == [True, False]


def test_a_use_case_that_began_later_is_not_compared_with_months_before_it():
    ws = SimpleNamespace(period="2026-06", as_of=pd.Timestamp("2026-06-30"))
    old = costs([1.0, 0.9, 0.8, 0.7, 0.6, 0.5]).assign(units=10.0, cost=10.0)
    young = old[old["month"] >= "2026-04"].assign(use_case_id="young")
    none = unit_cost_bands(old, "2026-06").iloc[:0]
    told = [
        " ".join(
            getattr(part, "html", "").replace("\xa0", " ")
            for part in unit_cost_section(ws, SimpleNamespace(unit_cost=frame, unit_cost_bands=none)).parts
        )
        for frame in (
            old,
            pd.concat([old, young], ignore_index=True),
            old.assign(usd_per_unit=[1.0, 1.0, 1.0, 1.0, 1.0, 1.0 - 1e-9]),
        )
    ]
    assert "0 of 1 use cases cost less per unit" in told[2]
    assert "1 of 1 use cases cost less per unit than 5 months ago; " in told[0]
    assert "2 of 2 use cases cost less per unit than 5 months ago or, where they began later, in their first month; " in told[1]  # fmt: skip
