"""Keep, watch or retire: the rule on measured use and cost, with hand-computed figures."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.report.refresh_log import still_needed
from aifactory.review.hardware import _needed_next, judge_hardware, judge_platforms

CHIP = "nvidia-h100-sxm"


def readings(values, pool="p", accelerator=CHIP, installed=8.0):
    months = pd.period_range(end="2026-10", periods=len(values), freq="M")
    return pd.DataFrame({
        "window_start_utc": pd.to_datetime([f"{month}-15" for month in months], utc=True), "window_minutes": 1440,
        "pool_id": pool, "region": "us", "accelerator_id": accelerator, "purchase_option": "on_demand",
        "installed": installed, "utilization": values, "power_w": np.nan, "queue_depth": np.nan,
    })  # fmt: skip


def pool(utilization, paid, name="p", accelerator=CHIP):
    """A pool of 8 with 1,000 accelerator-hours in the month."""
    return {"pool_id": name, "region": "us", "accelerator_id": accelerator, "purchase_option": "on_demand",
            "installed": 8.0, "utilization_mean": utilization, "accelerator_hours": 1000.0, "paid_usd": paid,
            "idle_usd": paid * (1 - utilization)}  # fmt: skip


def with_people(ws, usd_hour):
    """The workspace with so many USD of people around an accelerator-hour, and no storage."""
    usd = {"storage_usd_per_gb_month": 0.0, "operator_usd_per_month": usd_hour * 730, "accelerators_per_operator": 1.0}
    changed = {name: ws.plan.assumptions[name].model_copy(update={"value": value}) for name, value in usd.items()}
    return dataclasses.replace(ws, plan=ws.plan.model_copy(update={"assumptions": ws.plan.assumptions | changed}))


LIFE = ["accelerator_id", "event", "date", "note", "source"]
LOG = ["date", "kind", "subject", "text", "status"]


@pytest.fixture
def judged(changed, road):
    def judge(*pools, history=None, life=(), log=(), rent=5.0, people_usd_hour=0.0):
        offers = road.ws.table("prices").iloc[:1].assign(
            accelerator_id=CHIP, region="*", provider="AWS", purchase_option="on_demand", usd_per_accelerator_hour=rent,
            usd_per_accelerator=np.nan,
        )  # fmt: skip
        decisions = pd.DataFrame(log, columns=LOG).astype({"date": "datetime64[us]"})
        values = [readings(values, name) for name, values in (history or {"p": [0.2] * 6}).items()]
        ws = changed(
            pools=pd.concat(values), prices=offers, lifecycle=pd.DataFrame(life, columns=LIFE), decisions=decisions
        )
        ws = with_people(ws, people_usd_hour)
        return ws, judge_hardware(ws, dataclasses.replace(road.inventory, pools=pd.DataFrame(pools)))

    return judge


def test_the_cost_of_a_used_hour_against_renting_it(judged):
    _, table = judged(pool(0.2, 3000.0))
    row = table.iloc[0]
    assert row["usd_per_used_hour"] == pytest.approx(3000 / 200)  # 1,000 h at 20 %
    assert row["rented_usd_per_used_hour"] == pytest.approx(5.0 / 0.2)  # the median pool is this one
    assert row["dearer_share"] == pytest.approx(15 / 25 - 1)
    assert row["idle_usd_month"] == pytest.approx(2400.0)


def test_one_node_at_each_site_is_kept_however_little_it_is_used(changed, road):
    """Eight devices at eight sites at 5 %: dear beside a rented hour, and yet none can go; at two sites of four they can."""
    chips = road.ws.table("accelerators").assign(accelerators_per_node=1)
    cases = road.ws.table("use_cases")
    offers = road.ws.table("prices").iloc[:1].assign(
        accelerator_id=CHIP, region="*", provider="AWS", purchase_option="on_demand", usd_per_accelerator_hour=1.0, usd_per_accelerator=np.nan,
    )  # fmt: skip
    life = pd.DataFrame([(CHIP, "end_of_support", "2027-03", "", "maker")], columns=LIFE)
    inventory = dataclasses.replace(road.inventory, pools=pd.DataFrame([pool(0.05, 9000.0)]))

    def row(sites, **tables):
        stated = cases.assign(sites=cases["use_case_id"].map({"models": f"us={sites}"}))
        tables = {"lifecycle": life.iloc[:0], **tables}
        ws = changed(
            plan={"baseline_accelerators": {"models": CHIP}},
            use_cases=stated,
            accelerators=chips,
            pools=readings([0.05] * 6),
            prices=offers,
            **tables,
        )
        return judge_hardware(ws, inventory).iloc[0]

    assert [row(sites)["verdict"] for sites in (8, 2)] == ["keep", "retire"]
    assert row(8, lifecycle=life)["reason"].startswith("support ends on 2027-03")


def test_people_and_storage_go_with_idle_hours_too(judged):
    """USD 1 an hour: 1,000 hours of which 200 work bear 1,000 beside the 1,000 paid; at the median use of 40 % a rented one 1 / 0.4."""
    pools = pool(0.2, 1000.0), pool(0.6, 1000.0, "q")
    ws, table = judged(*pools, rent=1.5, people_usd_hour=1.0, history={"p": [0.2] * 6, "q": [0.6] * 6})
    row = table.set_index("pool_id").loc["p"]
    assert (row["usd_per_used_hour"], row["rented_usd_per_used_hour"]) == pytest.approx((10.0, 6.25))
    assert row["verdict"] == "retire"
    assert judge_platforms(ws, table)["usd_per_used_hour"].iloc[0] == pytest.approx((1000 + 1000 + 2000) / 800)
    assert judge_platforms(ws, table)["usd_month"].iloc[0] == 2000.0
    bare = judged(*pools, rent=2.5, history={"p": [0.2] * 6, "q": [0.6] * 6})[1].set_index("pool_id").loc["p"]
    assert (bare["usd_per_used_hour"], bare["rented_usd_per_used_hour"]) == pytest.approx((5.0, 6.25))
    assert bare["verdict"] == "watch"


@pytest.mark.parametrize(
    ("history", "utilization", "paid", "verdict", "words"),
    [
        ([0.2] * 6, 0.2, 6000.0, "retire", "below 30 % in all of 6 months, and its used hour costs USD 30.00"),
        ([0.2] * 6, 0.2, 3000.0, "watch", "below 30 % in 6 of 6 months"),  # idle but cheap
        ([0.2] * 5, 0.2, 6000.0, "watch", "below 30 % in 5 of 5 months"),  # two quarters are not over
        ([0.2] * 5 + [0.3], 0.3, 4000.0, "keep", ""),  # back at the floor; a used hour costs 13.33, rented 16.67
        ([0.4] * 6, 0.4, 20000.0, "watch", "its used hour costs USD 50.00, rented on demand USD 12.50"),
        ([0.6, 0.55, 0.5, 0.45, 0.4, 0.35], 0.35, 1000.0, "watch", "falls below 30 % within 6 months"),
        ([0.5] * 6, 0.5, 1000.0, "keep", ""),
    ],
)
def test_the_verdict_follows_use_and_cost(judged, history, utilization, paid, verdict, words):
    row = judged(pool(utilization, paid), history={"p": history})[1].iloc[0]
    assert row["verdict"] == verdict
    assert row["reason"].startswith(words)
    assert row["months_below"] == sum(value < 0.3 for value in history)


@pytest.mark.parametrize(("date", "verdict"), [("2026-10", "retire"), ("2027-10", "watch"), ("2028", "keep")])
def test_the_end_of_support_decides_by_its_last_day(judged, date, verdict):
    life = [(CHIP, "end_of_support", date, "n", "s"), (CHIP, "end_of_sale", "2020", "n", "s")]
    row = judged(pool(0.5, 1000.0), history={"p": [0.5] * 6}, life=life)[1].iloc[0]
    assert row["verdict"] == verdict


def test_a_month_that_one_job_fills_does_not_move_what_renting_costs(judged):
    """Pools of 20 % and, but for the last month, 0 %: rented hours are priced at the median of the six months, not at that of the last."""
    busy = {"p": [0.2] * 6, "q": [0.0] * 5 + [0.9]}
    row = judged(pool(0.2, 1000.0), pool(0.9, 1000.0, "q"), history=busy)[1].set_index("pool_id").loc["p"]
    assert row["rented_usd_per_used_hour"] == pytest.approx(5.0 / np.median([0.2, 0.15]))


def test_a_pool_without_a_charge_is_judged_by_use_alone(judged):
    row = judged(pool(0.2, np.nan))[1].iloc[0]
    assert row["verdict"] == "watch"
    assert np.isnan(row["usd_per_used_hour"])


def test_a_pool_that_never_worked_has_no_cost_per_used_hour(judged):
    row = judged(pool(0.0, 100.0), history={"p": [0.0] * 6})[1].iloc[0]
    assert np.isnan(row["usd_per_used_hour"])
    assert row["verdict"] == "watch"


def test_the_worst_come_first_and_logged_decisions_stand_beside(judged):
    log = [("2026-09-01", "decision", "p", "old", "done"), ("2026-10-02", "decision", "p", "Sell it.", "open"),
           ("2026-10-03", "decision", "p", "no", "dropped"), ("2026-10-04", "change", "q", "c", "done")]  # fmt: skip
    ws, table = judged(pool(0.6, 10.0, "q"), pool(0.2, 9000.0), history={"p": [0.2] * 6, "q": [0.6] * 6}, log=log)
    assert table["pool_id"].tolist() == ["p", "q"]
    assert table["decision"].tolist() == ["2026-10-02: Sell it.", ""]
    platforms = judge_platforms(ws, table).iloc[0]
    assert platforms["utilization_mean"] == pytest.approx(0.4)
    assert platforms["usd_per_used_hour"] == pytest.approx(9010 / (200 + 600))
    assert (platforms["pools"], platforms["to_retire"], platforms["support_ends"]) == (2, 1, "no date published")


def test_no_readings_no_verdict(changed, road):
    empty = dataclasses.replace(road.inventory, pools=road.inventory.pools.iloc[:0])
    table = judge_hardware(road.ws, empty)
    assert table.empty
    assert judge_platforms(road.ws, table).empty


def test_what_a_plan_made_now_needs_of_the_kind_stands_beside_each_pool(road):
    """40 of the kind next month in `us` and none in `eu`; other scenarios and months are not asked."""
    rows = [
        ("expected", "2026-11", "us", CHIP, 40),
        ("expected", "2026-12", "us", CHIP, 90),
        ("aggressive", "2026-11", "us", CHIP, 99),
    ]
    fleet = pd.DataFrame(rows, columns=["scenario", "month", "region", "accelerator_id", "accelerators"])
    pools = pd.DataFrame({"region": ["us", "eu"], "accelerator_id": CHIP})
    assert _needed_next(pools, fleet).tolist() == [40.0, 0.0]
    assert np.isnan(_needed_next(pools, None)).all() and np.isnan(_needed_next(pools, fleet[:0])).all()
    worst = pools.assign(pool_id=["here", "there"], needed_next=[40.0, 0.0])
    assert f" next month for here (40 {CHIP}): let its work onto these pools" in still_needed(worst)
    assert still_needed(worst.assign(needed_next=np.nan)) == ""
