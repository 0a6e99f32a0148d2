"""The monthly refresh in one call: status, figures, gaps."""

import dataclasses
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.review import build_review
from aifactory.review.build import forecast_accuracy, judge, without_plan
from aifactory.review.forecast_score import earlier_forecast
from aifactory.review.monthly import mean_utilization
from aifactory.review.plan_use import planned_elsewhere, runs_on_today
from aifactory.review.unit_cost import unit_cost_by_month
from aifactory.review.unread import charges_unread, hosted_unread, months_unread, partial_months, places_unread
from aifactory.review.variance import CAUSES, OTHER


def rails(*states, name="failure rate"):
    return pd.DataFrame({"guardrail": [name] * len(states), "state": list(states)}, dtype="str")


def triggers(*states):
    return pd.DataFrame({"state": list(states)}, dtype="str")


FLOOR = "utilisation floor"


@pytest.mark.parametrize(
    ("rails_", "triggers_", "expected"),
    [
        (rails("ok"), triggers("quiet"), "on plan"),
        (rails(), triggers(), "on plan"),
        (rails("watch"), triggers("quiet"), "watch"),
        (rails("ok"), triggers("approaching"), "watch"),
        (rails("breach", name=FLOOR), triggers("quiet"), "watch"),
        (rails("breach"), triggers("quiet"), "act"),
        (rails("ok"), triggers("fired"), "act"),
        (rails("watch"), triggers("approaching", "fired"), "act"),
    ],
)
def test_the_status_follows_the_worst_finding(rails_, triggers_, expected):
    assert judge(rails_, triggers_)[0] == expected


def test_nothing_is_on_plan_without_an_approved_plan():
    assert without_plan(*judge(rails("ok"), triggers("quiet")))[0] == "watch"
    status, reason = without_plan(*judge(rails("breach"), triggers("quiet")))
    assert status == "act" and reason.startswith("no plan is approved yet") and "guardrail broken" in reason


def test_the_reason_counts_in_words():
    assert judge(rails("breach", "breach"), triggers("fired"))[1] == "1 capacity trigger fired; 2 guardrails broken"
    assert judge(rails("watch"), triggers("approaching", "approaching"))[1].startswith(
        "2 triggers within 3 months, 1 g"
    )


def test_the_reason_puts_orders_with_their_money_first():
    steps = pd.DataFrame(
        {
            "state": ["fired", "fired", "fired", "quiet"],
            "kind": ["commitment", "capacity", "commitment", "commitment"],
            "commitment_usd": [1_000_000.0, 0.0, 250_000.0, 9e9],
            "accelerators": [16, 8, 4, 99],
            "accelerator_id": "h100",
            "region": "us",
        }
    )
    floors = pd.concat([rails("breach"), rails("breach", "breach", name=FLOOR)])
    assert judge(floors, triggers(), steps)[1] == (
        "2 orders of USD 1.2 million (largest 16 h100 in us) and 1 step of capacity of the approved plan, released by demand, wait for a decision; "
        "1 guardrail broken; 2 pools below the utilisation floor"
    )
    for starts, whom in (
        (["voice starts"] * 4, "their date"),
        (["voice starts", None, None, None], "demand or their date"),
    ):
        dated = steps.assign(starts_with=starts, fired_in="2026-10", order_month="2026-10")
        assert f"released by {whom}, wait" in judge(floors, triggers(), dated)[1]
    hours = steps[steps["kind"] == "capacity"]
    assert judge(rails(), triggers(), hours)[1].startswith(
        "1 step of capacity of the approved plan, released by demand, waits"
    )


def test_mean_utilization_weighs_installed_accelerators_and_time():
    """8 accelerators at 50 % for a day and 24 at 10 % for half a day: (4 + 1.2) of (8 + 12) accelerator-days."""
    pools = pd.DataFrame(
        {
            "window_start_utc": pd.to_datetime(["2026-09-01", "2026-10-01", "2026-10-02"], utc=True),
            "installed": [8.0, 8.0, 24.0], "window_minutes": [1440, 1440, 720], "utilization": [0.9, 0.5, 0.1],
        }
    )  # fmt: skip
    assert mean_utilization(pools).to_dict() == pytest.approx({"2026-09": 0.9, "2026-10": 0.26})
    named = pools.assign(accelerator_id=["h100", "h100", "camera"])
    assert mean_utilization(named, {"camera"}).to_dict() == pytest.approx({"2026-09": 0.9, "2026-10": 0.5})
    assert mean_utilization(named.tail(1), {"camera"}).to_dict() == pytest.approx(
        {"2026-10": 0.1}
    )  # nothing else there


def test_the_tiny_company_is_watched_for_one_idle_pool(road):
    assert road.review.status == "watch"
    assert road.review.reason.startswith("no plan is approved yet")
    assert road.review.reason.endswith("; 1 guardrail near or below the mark")
    assert road.review.basis.startswith("no approved plan")
    assert road.review.not_computed == [
        "comparison with an approved plan: none is stored; `aifactory approve` stores one"
    ]


def test_kpis_are_those_of_bill_demand_and_pools(road):
    kpis = road.review.kpis.set_index("kpi")
    assert kpis.at["bill", "actual"] == pytest.approx(44_900.850001)
    assert kpis.at["accelerator-hours billed to use cases", "actual"] == 744 * 8 + 600 * 8
    assert kpis.at["cost of accelerator-hours billed to use cases", "actual"] == pytest.approx(
        744 * 40 + 0.1 + 12_000.000001
    )
    assert kpis.at["value of delivered units", "actual"] == pytest.approx(1138.32 + 4092 + 1200)
    assert kpis.at["mean utilisation of pools", "actual"] == pytest.approx((0.5 + 0.25) / 2)
    assert kpis.at["accelerator-hours billed to use cases", "last_month"] == 720 * 8 + 600 * 8


def test_unit_cost_is_attributed_cost_over_units(road):
    table = road.review.unit_cost.set_index(["month", "use_case_id"])["usd_per_unit"]
    assert table["2026-10", "chat"] == pytest.approx((744 * 40 + 0.10) / (3672 * 2 * 31))
    assert table["2026-10", "models"] == pytest.approx(12_000.000001 / 320)
    assert np.isnan(table["2026-10", "images"])


def test_the_rise_of_unit_cost_is_against_the_month_before(road):
    table = road.review.unit_cost.set_index(["month", "use_case_id"])["usd_per_unit"]
    rail = road.review.guardrails.set_index(["guardrail", "subject"])["value"]
    assert rail["rise of unit cost in a month", "chat"] == pytest.approx(
        table["2026-10", "chat"] / table["2026-09", "chat"] - 1
    )


def test_causes_add_up_in_every_row(road, approved):
    for table in (road.review.variance, approved.review.variance, approved.review.plan_variance):
        assert len(table)
        np.testing.assert_allclose(table[[*CAUSES, OTHER]].sum(axis=1), table["difference_usd"], atol=1e-6)


def test_the_variance_of_the_tiny_chat_is_hand_computed(road):
    row = road.review.variance.set_index("use_case_id").loc["chat"]
    units0, units1 = 3332 * 2 * 30, 3672 * 2 * 31
    assert row["base_usd"] == pytest.approx(28_800.10)
    assert row["volume"] == pytest.approx(28_800.10 * (units1 / units0 - 1))
    assert row["mix"] == pytest.approx(0.0, abs=1e-6)
    assert row["price"] == pytest.approx(5952 * (29_760.10 / 5952 - 28_800.10 / 5760))


def test_without_a_plan_last_months_forecast_stands_in(road):
    table = road.review.forecast_accuracy.set_index("use_case_id")
    assert set(table["basis"]) == {"forecast from data up to 2026-09"}
    # one month shows no trend, so the median of the paths is the level of September over the 744 hours of October,
    # within the error of a thousand paths; one month leaves a wide band
    assert table.at["chat", "forecast"] == pytest.approx(3332 * 2 * 31, rel=0.02)
    assert table.at["chat", "actual"] == 3672 * 2 * 31
    assert table.at["chat", "error_share"] == pytest.approx(table.at["chat", "forecast"] / (3672 * 2 * 31) - 1)
    assert table.at["chat", "inside_band"]


@pytest.mark.parametrize(("low", "high", "inside"), [(90.0, 110.0, True), (100.0, 100.0, True), (100.1, 120.0, False),
                                                      (80.0, 99.9, False)])  # fmt: skip
def test_a_forecast_is_inside_its_band_ends_included(road, low, high, inside):
    approved = pd.DataFrame(
        {"plan_period": ["2026-09"], "month": ["2026-10"], "use_case_id": ["chat"], "units": [95.0],
         "units_p10": [low], "units_p90": [high]}
    )  # fmt: skip
    demand = pd.DataFrame({"month": ["2026-10"], "use_case_id": ["chat"], "units": [100.0]})
    table = forecast_accuracy(road.ws, dataclasses.replace(road.inventory, demand_monthly=demand), approved)
    assert table["error_share"].iloc[0] == pytest.approx(-0.05)
    assert bool(table["inside_band"].iloc[0]) is inside


@pytest.mark.parametrize(("high", "inside"), [(np.nan, True), (200.0, True), (199.0, False)])
def test_the_band_of_a_use_case_in_two_regions_is_its_own_where_the_plan_holds_it(road, high, inside):
    """Bands of two regions add up to 180 to 220; that of both together is narrower."""
    rows = {"plan_period": "2026-09", "month": "2026-10", "use_case_id": "chat", "units": [95.0, 95.0], "units_p10": 90.0,
            "units_p90": 110.0, "use_case_units_p10": 185.0, "use_case_units_p90": high}  # fmt: skip
    demand = pd.DataFrame({"month": ["2026-10"], "use_case_id": ["chat"], "units": [200.0]})
    told = forecast_accuracy(road.ws, dataclasses.replace(road.inventory, demand_monthly=demand), pd.DataFrame(rows))
    assert len(told) == 1 and bool(told["inside_band"].iloc[0]) is inside


def test_months_after_the_period_are_not_judged(approved):
    assert approved.review.forecast_accuracy["month"].max() == "2026-10"


def test_the_return_to_date_is_cumulated_value_less_bill(road, approved):
    table = road.review.roi_to_date
    net = (table["value_usd"] - table["bill_usd"]).to_numpy()
    assert table["cumulative_net_usd"].tolist() == pytest.approx([net[0], net[0] + net[1]])
    assert table["bill_usd"].tolist() == pytest.approx([43_460.850001, 44_900.850001])
    assert approved.review.roi_to_date["month"].tolist() == ["2026-10"]  # since the plan began
    plan = approved.ws.table("approved_plan").query("month == '2026-10'")["cost_usd"].sum() * 744 / 730
    assert approved.review.roi_to_date["planned_cost_usd"].iloc[0] == pytest.approx(plan)


def log(*rows):
    table = pd.DataFrame(rows, columns=["date", "kind", "subject", "text", "due", "status"]).assign(owner_role="head")
    return table.assign(date=pd.to_datetime(table["date"]), due=pd.to_datetime(table["due"]))


def test_open_decisions_are_sorted_and_marked_when_overdue(changed, road):
    ws = changed(decisions=log(
        ("2026-08-01", "decision", "undated", "t", None, "open"),
        ("2026-08-01", "decision", "late", "t", "2026-10-30", "open"),
        ("2026-08-01", "decision", "today", "t", "2026-10-31", "open"),
        ("2026-08-01", "decision", "done", "t", "2026-09-01", "done"),
    ))  # fmt: skip
    due = build_review(ws, road.inventory).decisions_due
    assert due["subject"].tolist() == ["late", "today", "undated"]
    assert due["overdue"].tolist() == [True, False, False]


def test_changes_are_those_of_the_month_and_of_the_data(changed, road):
    demand, windows = road.inventory.demand_monthly, road.inventory.windows
    gone = (demand["month"] == "2026-10") & (demand["use_case_id"] == "images")
    new = (demand["month"] == "2026-09") & (demand["use_case_id"] == "models")
    inventory = dataclasses.replace(
        road.inventory, demand_monthly=demand[~gone & ~new], windows=windows[windows["use_case_id"] != "models"]
    )
    ws = changed(decisions=log(("2026-10-05", "change", "engine", "t", None, "done"),
                               ("2026-09-30", "change", "earlier", "t", None, "done")))  # fmt: skip
    changes = build_review(ws, inventory).changes.set_index("subject")["text"]
    assert changes.to_dict() == {
        "engine": "t",
        "models": "has demand for the first time",
        "images": "has no demand in the data of the month",
    }


def test_what_ends_as_planned_is_said_so(changed, road):
    demand = road.inventory.demand_monthly
    gone = (demand["month"] == "2026-10") & (demand["use_case_id"] == "images")
    ws = changed(use_cases=changed().table("use_cases").assign(retire_month="2026-10"))
    windows = ws.table("demand_windows")
    ws = dataclasses.replace(ws, tables={**ws.tables, "demand_windows": windows[windows["use_case_id"] != "images"]})
    changes = build_review(ws, dataclasses.replace(road.inventory, demand_monthly=demand[~gone])).changes
    assert changes.set_index("subject").loc["images", "text"] == "has ended as planned"


def test_scenarios_carry_the_return_of_the_plan(approved, road):
    assert approved.review.scenarios["scenario"].tolist() == ["conservative", "expected", "aggressive"]
    assert "npv_usd" in approved.review.scenarios
    assert "npv_usd" not in road.review.scenarios


def test_the_calendar_of_the_refresh_is_that_of_the_plan(approved, september_plan):
    """What the plan dates beside its orders, as a test before signing, is in the month's calendar too."""
    plan, row = (
        september_plan,
        {"date": pd.Timestamp("2026-11-16"), "event": "Test hosted models", "event_id": "hosted test"},
    )
    dated = dataclasses.replace(plan, governance=pd.concat([plan.governance, pd.DataFrame([row])]))
    dates = build_review(approved.ws, approved.inventory, dated).governance
    assert "Test hosted models" in dates["event"].tolist()
    assert dates["date"].between("2026-11-01", "2027-10-31").all()


GAPS = {
    "billing": "bill, unit cost, variance and chargeback: no bill",
    "pools": "capacity triggers and the utilisation floor: no pool readings",
}


@pytest.mark.parametrize("absent", [("benchmarks",), ("billing",), ("pools",), ("jobs",), ("demand_windows",),
                                    ("benchmarks", "billing", "pools", "jobs")])  # fmt: skip
def test_missing_tables_leave_gaps_not_errors(mini, absent):
    for name in absent:
        (mini / f"{name}.csv").unlink()
    ws = load_workspace(mini)
    review = build_review(ws, build_inventory(ws))
    assert review.status in {"on plan", "watch", "act"}
    for name, text in GAPS.items():
        assert (text in review.not_computed) is (name in absent)
    if "billing" in absent:
        assert review.chargeback.empty
        assert review.variance.empty
    if "pools" in absent:
        assert review.triggers.empty
        assert np.isnan(review.kpis.set_index("kpi").at["mean utilisation of pools", "actual"])


def test_the_first_month_has_nothing_to_compare_with(mini_ws):
    ws = load_workspace(mini_ws.path, period="2026-09")
    review = build_review(ws, build_inventory(ws))
    assert review.variance.empty
    assert review.forecast_accuracy.empty
    assert review.changes.empty
    assert len(review.unit_cost) == 3


def test_the_sample_holds_its_identities(sample_ws, sample_stages):
    inventory = sample_stages.inventory
    review = build_review(sample_ws, inventory)
    for table in (review.variance, review.plan_variance):
        np.testing.assert_allclose(table[[*CAUSES, OTHER]].sum(axis=1), table["difference_usd"], atol=1e-6)
    assert (
        sum(review.chargeback["charge"]) == inventory.spend_reconciliation.set_index("line")["effective_cost"]["bill"]
    )
    assert review.status in {"on plan", "watch", "act"}


def test_charges_that_did_not_come_for_what_was_used_are_said():
    before = pd.DataFrame(
        {"units": [9.0, 9.0, 9.0], "hours": [5.0, 5.0, np.nan], "cost": [50.0, 7.0, np.nan]},
        index=["chat", "search", "api"],
    )
    now = before.assign(hours=[np.nan, 5.0, np.nan], cost=[np.nan, 7.0, np.nan])
    (said,) = charges_unread(before, now)
    assert said.startswith("No accelerator-hours were charged to chat (USD 50 in the month before), though it was used")
    assert charges_unread(before, before) == charges_unread(before, now.iloc[1:]) == []


def test_a_hosted_model_that_was_not_charged_though_it_was_used_is_said():
    """The proxy's spend of October is late: 40 and 9 USD in September, of `moved` now in accelerator-hours, of `gone` no use."""
    rows = [("2026-09", "api", "40"), ("2026-09", "draft", "9"), ("2026-09", "moved", "7"), ("2026-09", "gone", "5"), ("2026-10", "moved", "8")]  # fmt: skip
    bill = pd.DataFrame(rows, columns=["month", "use_case", "EffectiveCost"]).assign(
        cost_line="attributed usage", accelerator_id=["(none)"] * 4 + ["h100"], accelerator_hours=[0.0] * 4 + [5.0],
        ServiceName="Hosted models", ServiceCategory=None, purchase_option="on_demand",
    )  # fmt: skip
    names = [("2026-09", name) for name in ("api", "draft", "moved", "gone")] + [("2026-10", name) for name in ("api", "draft", "moved")]  # fmt: skip
    monthly = pd.DataFrame(names, columns=["month", "use_case_id"]).assign(units=9.0)
    (said,) = hosted_unread(bill, monthly, "2026-10")
    start = "No hosted model was charged to api (USD 40 in the month before), draft (USD 9 in the month before), though they were used"
    assert said.startswith(start)
    came = bill.assign(month=bill["month"].mask(bill["use_case"].isin(["api", "draft"]), "2026-10"))
    assert hosted_unread(pd.concat([bill, came]), monthly, "2026-10") == hosted_unread(bill, monthly, "2026-09") == []


def test_a_bill_that_lacks_one_region_is_said_while_its_load_is_measured():
    """Two regions of one provider and one of another, charged from August on; October lacks GCP in `eu`."""
    places = [("AWS", "us-1", "h100"), ("AWS", "eu-1", "l4"), ("GCP", "europe-9", "l4")]
    rows = [(*place, month, 100.0, 40.0) for month in ("2026-08", "2026-09", "2026-10") for place in places]
    bill = pd.DataFrame(rows, columns=["ProviderName", "RegionId", "accelerator_id", "month", "accelerator_hours", "EffectiveCost"])  # fmt: skip
    bill = bill.assign(purchase_option="on_demand", cost_line="attributed usage")
    regions = [SimpleNamespace(region="us", provider_regions={"AWS": "us-1"}),
               SimpleNamespace(region="eu", provider_regions={"AWS": "eu-1", "GCP": "europe-9"})]  # fmt: skip
    pools = pd.DataFrame({"region": ["us", "eu"], "accelerator_id": ["h100", "l4"], "installed": 4.0, "utilization": 0.5})  # fmt: skip
    demand = pd.DataFrame({"month": "2026-10", "use_case_id": "chat", "region": ["us", "eu"], "units": 9.0})

    def said(bill, pools=pools, demand=demand):
        return places_unread(bill, pools, demand, regions, "2026-10")

    lacks = bill[~((bill["ProviderName"] == "GCP") & (bill["month"] == "2026-10"))]
    assert said(bill) == said(bill[bill["month"] < "2026-10"]) == []  # whole, and missing as a whole
    (words,) = said(lacks)
    assert "by GCP in europe-9 (eu) (USD 40 in 2026-09), as they were" in words
    assert said(lacks, pools.iloc[:1]) == [words]  # no pool read there, but demand
    assert said(lacks, pools.iloc[:1], demand.iloc[:1]) == []
    assert said(lacks, pools.assign(utilization=[0.5, 0.0])) == said(lacks, pools.assign(accelerator_id="h100")) == []
    # charged in August alone: what ended in September is over, however much load other kit carries
    assert said(lacks[~((lacks["ProviderName"] == "GCP") & (lacks["month"] == "2026-09"))]) == []


def test_a_month_that_was_not_measured_whole_is_said():
    profile = pd.DataFrame(
        {
            "use_case_id": ["chat", "search"],
            "region": "eu",
            "observed_hours": [576.0, 700.0],
            "observed_share": [576 / 720, 700 / 720],
        }
    )
    (said,) = partial_months(profile, "2026-11")  # thirty days
    assert said.startswith("Telemetry of chat in eu covers 576 of 720 hours of the month")
    assert partial_months(pd.DataFrame(), "2026-11") == []


def test_use_cases_whose_telemetry_of_the_month_is_not_there_are_named():
    rows = [("2026-09", "chat", "us"), ("2026-09", "chat", "eu"), ("2026-09", "old", "eu"), ("2026-10", "chat", "us")]
    monthly = pd.DataFrame(rows, columns=["month", "use_case_id", "region"])
    (said,) = months_unread(monthly, "2026-10", {"old"})  # what ended as planned is not late
    assert said.startswith("No demand was read of chat in eu, while")
    assert months_unread(monthly, "2026-09", set()) == []
    assert months_unread(monthly[monthly["month"] < "2026-10"], "2026-10", set()) == []  # said as a whole elsewhere


def all_hosted(ws, months=("2026-09", "2026-10")):
    """Chat alone, charged USD 50 a month for a hosted model, whose plan of a month before is to stay there."""
    bill = ws.table("billing")
    like = bill[bill["month"] == "2026-10"].iloc[:1]
    rows = [
        like.assign(
            ServiceName="Amazon Bedrock", use_case="chat", EffectiveCost=Decimal(50), Tags=None, accelerator_id="(none)",
            accelerator_hours=0.0, cost_line="attributed usage", ResourceId=None, month=month, invoice_month=month,
        )
        for month in months
    ]  # fmt: skip
    held = {
        name: table.query("use_case_id == 'chat'") if "use_case_id" in table else table
        for name, table in ws.tables.items()
    }
    plan = {"plan_period": "2026-09", "month": "2026-10", "use_case_id": "chat", "region": "us", "accelerator_id": "(hosted)", "units": 100.0,
            "units_p10": 90.0, "units_p90": 120.0, "accelerator_hours": 0.0, "compute_usd": 40.0, "cost_usd": 44.0, "compute_cash_usd": 40.0,
            "outlay_usd": 0.0, "value_usd": 99.0, "units_conservative": 90.0, "units_aggressive": 120.0}  # fmt: skip
    stored = pd.DataFrame([plan]).reindex(columns=ws.table("approved_plan").columns)
    return dataclasses.replace(
        ws, tables=held | {"billing": pd.concat(rows, ignore_index=True), "approved_plan": stored}
    )


def test_a_plan_that_stays_hosted_is_followed(mini_ws):
    """Value, bill and path of what stays on hosted models, where nothing else is planned."""
    ws = all_hosted(mini_ws)
    review = build_review(ws, build_inventory(ws))
    row = review.roi_to_date.iloc[0]
    hours = 744 / 730  # of the calendar month
    assert (row["month"], row["bill_usd"]) == ("2026-10", 50.0)
    assert (row["planned_cost_usd"], row["planned_value_usd"]) == pytest.approx((44.0 * hours, 99.0 * hours))
    assert review.paths["scenario"].tolist() == ["conservative", "expected", "aggressive"]
    assert review.payback.empty  # nothing was laid out


def test_work_that_was_to_leave_a_hosted_model_and_has_not_is_outstanding(mini_ws):
    """The plan has chat on accelerators for USD 40 a month of 730 h; the bill still charges a hosted model alone."""
    ws = all_hosted(mini_ws)
    moved = ws.table("approved_plan").assign(
        accelerator_id="nvidia-h100-sxm", accelerator_hours=730.0, load_accelerators=0.5
    )
    moved = dataclasses.replace(ws, tables=ws.tables | {"approved_plan": moved})
    place = {("chat", item.region): "(hosted)" for item in ws.plan.regions}
    assert runs_on_today(moved).items() >= place.items()
    review = build_review(moved, build_inventory(moved))
    row = review.plan_use.set_index(["region", "accelerator_id"]).loc[("us", "nvidia-h100-sxm")]
    assert row["not_moved"] == "chat" and np.isnan(row["at_work"])
    (said,) = [text for text in review.not_computed if "hosted models" in text]
    assert said.startswith("cost and hours of chat against the plan, which holds USD 41 of accelerators for it")
    assert planned_elsewhere(ws, ws.table("approved_plan")) == []  # what was to stay is no move


def test_units_cost_what_hosted_models_cost(mini_ws, mini_stages):
    ws = all_hosted(mini_ws)
    inventory = build_inventory(ws)
    table = unit_cost_by_month(ws, inventory).set_index("month")
    units = inventory.demand_monthly.groupby("month")["units"].sum()
    assert table["cost"].tolist() == [50.0, 50.0]
    assert table["usd_per_unit"].tolist() == pytest.approx((50.0 / units).tolist())
    paid = unit_cost_by_month(mini_ws, mini_stages.inventory).set_index(["month", "use_case_id"])["cost"]
    both = mini_ws.table("billing")
    both = dataclasses.replace(
        mini_ws, tables=mini_ws.tables | {"billing": pd.concat([both, ws.table("billing")], ignore_index=True)}
    )
    more = unit_cost_by_month(both, build_inventory(both)).set_index(["month", "use_case_id"])["cost"]
    assert more.drop("chat", level=1).equals(paid.drop("chat", level=1))
    assert (more - paid).xs("chat", level=1).tolist() == pytest.approx([50.0, 50.0])


def test_a_forecast_is_taken_for_the_days_that_the_month_held(road):
    """Weeks say 100 in the month, its days usually carry 96 of it. A month to come stays as it is."""
    made = earlier_forecast(road.ws, road.inventory)
    pair = (road.ws.period, made.index.get_level_values("use_case_id")[0])
    share = pd.Series([0.96], index=pd.MultiIndex.from_tuples([pair], names=made.index.names))
    found = earlier_forecast(road.ws, road.inventory, share) / made
    assert found.loc[pair].to_numpy() == pytest.approx(0.96)
    assert found.drop(index=[pair]).to_numpy() == pytest.approx(1.0)


def test_a_launch_was_foreseen_as_the_report_of_last_month_told(mini_ws):
    """Chat is new, and its chain says where it goes: its weeks up to September counted then, and count in what is told of then now."""
    factors = {"seats": 1e6, "active_share": 0.5, "active_share_day_90": 0.4, "units_per_seat_month": 10.0}
    chain = pd.DataFrame([{"use_case_id": "chat", "factor": name, "value": value, "source": "test"} for name, value in factors.items()])  # fmt: skip
    told = {"demand_chain": chain.assign(region=None, low=np.nan, high=np.nan)}
    now, then = (
        dataclasses.replace(ws, tables=ws.tables | told)
        for ws in (mini_ws, load_workspace(mini_ws.path, period="2026-09"))
    )
    made = earlier_forecast(now, build_inventory(now))["units"]
    before = build_inventory(then).scenarios.use_cases.set_index(["month", "use_case_id"])["p50"]
    hours = pd.PeriodIndex(before.index.get_level_values("month"), freq="M").days_in_month.to_numpy() * 24 / 730
    before = (before * hours).xs("chat", level="use_case_id")
    assert made.xs("chat", level="use_case_id").reindex(before.index).to_numpy() == pytest.approx(before.to_numpy())
    assert before.iloc[-1] > 2 * before.iloc[0]  # it goes on growing
