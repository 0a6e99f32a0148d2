"""Today's platform: stated, seen in jobs, in the bill of the use case or of its team, or not known."""

from dataclasses import replace

import pandas as pd
import pytest

from aifactory.inputs.billing import UNATTRIBUTED
from aifactory.inventory.today import (
    BY_BILL,
    BY_JOBS,
    BY_ONLY,
    BY_PAST,
    BY_POOLS,
    BY_REFERENCE,
    BY_TEAM,
    STATED,
    baseline_accelerators,
    known_by_region,
    known_platforms,
    todays_platforms,
    untold_findings,
)

H100, A100, L4 = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "nvidia-l4"
NAMES = ["chat", "images", "models"]


@pytest.fixture
def billed(changed, mini_ws):
    """The tiny company with a bill of some rows: (use case, team, accelerator, hours)."""

    def build(*rows, plan=None, jobs=None):
        bill = mini_ws.table("billing").iloc[[0] * len(rows)].reset_index(drop=True)
        columns = ["use_case", "team", "accelerator_id", "accelerator_hours"]
        bill[columns] = pd.DataFrame(rows, columns=columns)
        bill = bill.assign(month=mini_ws.period, cost_line="attributed usage")
        jobs = mini_ws.table("jobs").iloc[:0] if jobs is None else jobs
        return changed(billing=bill, jobs=jobs, plan={"baseline_accelerators": plan or {}})

    return build


def told(ws):
    return todays_platforms(ws, NAMES).set_index("use_case_id")


def test_the_bill_of_a_use_case_tells_its_platform(billed):
    """300 of 400 hours on the H100: the most, but mixed; all of 100 on the A100: measured."""
    team = "t"
    ws = billed(("chat", team, H100, 300.0), ("chat", team, A100, 100.0), ("images", team, A100, 100.0))
    table = told(ws)
    assert table.loc["chat", ["accelerator_id", "basis", "confidence"]].tolist() == [H100, BY_BILL, "mixed"]
    assert table.at["chat", "seen_share"] == pytest.approx(0.75)
    assert table.loc["images", ["accelerator_id", "basis", "confidence"]].tolist() == [A100, BY_BILL, "measured"]
    assert table.at["models", "basis"] == BY_REFERENCE


def test_what_the_plan_states_wins_and_what_is_seen_is_told(billed):
    table = told(billed(("chat", "t", H100, 300.0), plan={"chat": A100}))
    assert table.loc["chat", ["accelerator_id", "basis", "seen", "seen_share"]].tolist() == [A100, STATED, H100, 1.0]


def test_the_untagged_hours_of_a_team_are_a_guess(billed, mini_ws):
    team = mini_ws.table("use_cases").set_index("use_case_id").at["chat", "team"]
    ws = billed((UNATTRIBUTED, team, H100, 10.0), ("images", team, A100, 99.0), (UNATTRIBUTED, UNATTRIBUTED, L4, 900.0))
    assert told(ws).loc["chat", ["accelerator_id", "basis", "confidence"]].tolist() == [H100, BY_TEAM, "assumed"]


def test_the_only_accelerator_of_a_bill_without_tags_is_everybodys(billed):
    ws = billed((UNATTRIBUTED, UNATTRIBUTED, H100, 10.0))
    assert set(told(ws)["basis"]) == {BY_ONLY}
    assert set(told(ws)["accelerator_id"]) == {H100}


def test_jobs_come_before_the_bill(billed, mini_ws):
    start = pd.Timestamp(f"{mini_ws.period}-03", tz="UTC")
    row = {"job_id": "j", "use_case_id": "models", "region": "us", "accelerator_id": H100, "accelerators": 8,
           "submitted_utc": start, "started_utc": start, "ended_utc": start + pd.Timedelta(hours=5), "status": "completed"}  # fmt: skip
    jobs = pd.DataFrame([row]).reindex(columns=mini_ws.table("jobs").columns)
    table = told(billed(("models", "t", A100, 10.0), jobs=jobs))
    assert table.loc["models", ["accelerator_id", "basis", "confidence"]].tolist() == [H100, BY_JOBS, "measured"]


def test_what_is_no_candidate_is_named_and_the_reference_stands_in(billed):
    """Money is compared with a platform that is priced; the table says what was seen."""
    ws = billed(("chat", "t", "nvidia-t4", 10.0))
    row = told(ws).loc["chat"]
    assert (row["accelerator_id"], row["basis"], row["seen"]) == (
        ws.plan.reference_accelerator,
        BY_REFERENCE,
        "nvidia-t4",
    )


def test_without_a_bill_the_reference_stands_in(billed):
    ws = billed()
    assert set(told(ws)["basis"]) == {BY_REFERENCE}
    cells = pd.DataFrame({"use_case_id": NAMES})
    assert set(baseline_accelerators(ws, cells)) == {ws.plan.reference_accelerator}


def test_a_bill_of_another_month_says_nothing(billed, changed):
    ws = billed(("chat", "t", H100, 300.0))
    past = changed(billing=ws.table("billing").assign(month="2020-01"), plan={"baseline_accelerators": {}})
    assert told(past).at["chat", "basis"] != BY_BILL


def test_known_is_what_is_stated_or_seen_nearly_alone_in_own_hours(billed):
    """96 of 100 hours are on one; 300 of 400 are mixed; untagged hours of a team are a guess; what is stated wins."""
    rows = [("images", "t", A100, 96.0), ("images", "t", H100, 4.0)]
    mixed = [("chat", "t", H100, 300.0), ("chat", "t", A100, 100.0)]
    assert known_platforms(billed(*rows, *mixed)) == {"images": A100}
    assert known_platforms(billed(*rows, plan={"images": L4})) == {"images": L4}
    assert known_platforms(billed((UNATTRIBUTED, "cx", H100, 10.0))) == {}
    assert known_platforms(billed()) == {}
    other = billed(("chat", "t", "nvidia-t4", 10.0))  # no candidate: known all the same
    assert known_platforms(other) == {"chat": "nvidia-t4"}


@pytest.fixture
def pooled(changed, mini_ws, billed):
    """The tiny company with pools (region, accelerator) of the month beside a bill of some rows, its first use case on devices."""

    def build(*places, bill=()):
        rows = mini_ws.table("pools").iloc[[0] * len(places)].reset_index(drop=True)
        rows[["region", "accelerator_id"]] = pd.DataFrame(places, columns=["region", "accelerator_id"])
        rows = rows.assign(window_start_utc=pd.Timestamp(f"{mini_ws.period}-03", tz="UTC"), installed=4.0)
        cases = mini_ws.table("use_cases").assign(allowed_regions=None, launch_month=None)
        cases["workload_class"] = cases["workload_class"].mask(cases["use_case_id"] == "images", "edge_on_device")
        ws = billed(*bill)
        tables = {name: ws.table(name) for name in ("billing", "jobs")}
        return changed(**tables, pools=rows, use_cases=cases, plan={"baseline_accelerators": {}})

    return build


def test_own_kit_on_no_bill_is_read_from_the_pools(pooled):
    """The bill's one accelerator is all chat's: the others run on what the pools hold beside it, devices on devices."""
    orin = "nvidia-jetson-agx-orin"
    ws = pooled(("us", H100), ("us", A100), ("us", orin), bill=[("chat", "t", H100, 10.0)])
    table = told(ws)
    assert table["seen_basis"].to_dict() == {"chat": BY_BILL, "images": BY_POOLS, "models": BY_POOLS}
    assert table["seen"].to_dict() == {"chat": H100, "images": orin, "models": A100}
    assert table.loc["models", ["confidence", "source"]].tolist() == ["assumed", "pools"]
    assert known_platforms(ws) == {"chat": H100}


def test_two_kinds_in_the_pools_tell_nothing(pooled):
    """Nor does an accelerator in a region where the use case may not run, or one for work that has not begun."""
    assert told(pooled(("us", H100), ("us", A100))).at["models", "basis"] == BY_REFERENCE
    ws = pooled(("us", A100))
    cases = ws.table("use_cases").assign(allowed_regions="eu")
    assert set(told(replace(ws, tables={**ws.tables, "use_cases": cases}))["basis"]) == {BY_REFERENCE}
    later = cases.assign(allowed_regions=None, launch_month="2099-01")
    assert set(told(replace(ws, tables={**ws.tables, "use_cases": later}))["basis"]) == {BY_REFERENCE}


def test_jobs_of_earlier_months_tell_what_a_rare_run_runs_on(billed, mini_ws):
    """No job in the month and none named on the bill: what it ran on within the year, before what its team's hours say."""
    team = mini_ws.table("use_cases").set_index("use_case_id").at["models", "team"]
    month = pd.Timestamp(f"{mini_ws.period}-01", tz="UTC")
    job = mini_ws.table("jobs").iloc[[0]].assign(use_case_id="models", accelerator_id=H100, accelerators=64.0)

    def at(start):
        return job.assign(submitted_utc=start, started_utc=start, ended_utc=start + pd.Timedelta(hours=9))

    rows = [("chat", "t", L4, 5.0), (UNATTRIBUTED, team, A100, 100.0)]
    before = told(billed(*rows, jobs=at(month - pd.Timedelta(days=40))))
    assert before.loc["models", ["accelerator_id", "basis", "source"]].tolist() == [H100, BY_PAST, "jobs"]
    for start in (month - pd.Timedelta(days=400), month + pd.Timedelta(days=40)):
        assert told(billed(*rows, jobs=at(start))).loc["models", ["accelerator_id", "basis"]].tolist() == [
            A100,
            BY_TEAM,
        ]


def test_what_runs_on_one_platform_a_region_is_known_in_each(billed, changed):
    """300 hours of H100 in one region and 100 of A100 in the other: mixed as a whole, known in each; the plan's word wins."""
    ws = billed(("chat", "t", H100, 300.0), ("chat", "t", A100, 100.0), ("images", "t", A100, 100.0))
    first, second = (item.region for item in ws.plan.regions[:2])
    bill = ws.table("billing").assign(RegionId=[first, second, first])
    apart = changed(billing=bill, jobs=ws.table("jobs"), plan={"baseline_accelerators": {}})
    known = known_by_region(apart)
    assert (known["chat", first], known["chat", second]) == (H100, A100)
    assert known["images", first] == known["images", second] == A100  # seen nowhere else
    assert "chat" not in known_platforms(apart)
    stated = changed(billing=bill, jobs=ws.table("jobs"), plan={"baseline_accelerators": {"chat": L4}})
    assert known_by_region(stated)["chat", first] == L4
    together = changed(billing=bill.assign(RegionId=first), jobs=ws.table("jobs"), plan={"baseline_accelerators": {}})
    assert ("chat", first) not in known_by_region(together)


def test_who_runs_on_which_of_several_own_accelerators_is_asked_where_nobody_says(billed, mini_ws):
    """Two kinds of card stand in the pools and no bill names them: whose they are must be stated; with one kind it is plain."""
    cases = mini_ws.table("use_cases")
    pools = mini_ws.table("pools")
    pools = pools[pools["window_start_utc"] >= pd.Timestamp(f"{mini_ws.period}-01", tz="UTC")]
    two = pd.concat([pools.assign(accelerator_id=H100), pools.assign(accelerator_id=L4)])

    def asked(rows, plan=None, *charges):
        ws = billed(*charges, plan=plan)
        return untold_findings(replace(ws, tables={**ws.tables, "pools": rows}))

    found = asked(two)
    live = set(mini_ws.month("demand_windows")["use_case_id"]) & set(cases["use_case_id"])
    assert {item.text.split(" ")[0] for item in found} <= live and found
    assert all(f"runs on {H100} or {L4}, as its pools stand" in item.text for item in found)
    assert asked(pools.assign(accelerator_id=H100)) == []
    assert not any(item.text.startswith("chat ") for item in asked(two, {"chat": L4}))
    assert not any(item.text.startswith("chat ") for item in asked(two, None, ("chat", "t", A100, 5.0)))
