"""Use cases that are planned region by region: every row and all money stays, under the name in its region."""

import shutil

import pandas as pd
import pytest

import aifactory as af
from aifactory.errors import InputError
from aifactory.inputs.by_region import name_in, split_by_region, under_old_names, unplaced_charges
from aifactory.inputs.plan import PortUnderWay
from aifactory.inputs.workspace import load_workspace

SHARE_COLUMNS = ["use_case_id", "region", "factor", "value", "low", "high"]


@pytest.fixture
def listed(mini_ws):
    """Tables and plan of the tiny company, with some use cases listed."""

    def build(*names, plan=None, **tables):
        changed = mini_ws.plan.model_copy(update={"platform_by_region": list(names)} | (plan or {}))
        return split_by_region({**mini_ws.tables, **tables}, changed)

    return build


def regions_of(ws, name):
    return sorted(set(ws.table("demand_windows").query("use_case_id == @name")["region"]))


def test_nothing_is_split_that_is_not_listed(listed, mini_ws):
    tables, plan = listed()
    assert all(tables[name] is frame for name, frame in mini_ws.tables.items()) and plan.platform_by_region == []


def test_what_is_measured_and_charged_stands_under_the_name_in_its_region(listed, mini_ws):
    places = regions_of(mini_ws, "chat")
    bill = mini_ws.table("billing")
    bill = bill.assign(RegionId=[places[at % len(places)] if at % 5 else "" for at in range(len(bill))])
    tables, plan = listed("chat", billing=bill)
    names = [name_in("chat", region) for region in places]
    before, after = mini_ws.table("demand_windows"), tables["demand_windows"]
    pd.testing.assert_frame_equal(after.drop(columns="use_case_id"), before.drop(columns="use_case_id"))
    moved = before["use_case_id"] == "chat"
    assert (after.loc[moved, "use_case_id"] == "chat." + before.loc[moved, "region"]).all()
    assert (after.loc[~moved, "use_case_id"] == before.loc[~moved, "use_case_id"]).all()
    cases = tables["use_cases"].set_index("use_case_id")
    assert "chat" not in cases.index and cases.loc[names, "allowed_regions"].tolist() == places
    assert len(cases) == len(mini_ws.table("use_cases")) - 1 + len(places)
    money = [frame["EffectiveCost"].astype(float).sum() for frame in (bill, tables["billing"])]
    assert money[0] == money[1] and len(tables["billing"]) == len(bill)
    chat = bill["use_case"] == "chat"
    told = ["chat." + region if region else "chat" for region in bill.loc[chat, "RegionId"]]
    assert tables["billing"].loc[chat, "use_case"].tolist() == told and len(set(told)) > 1
    assert (tables["billing"].loc[~chat, "use_case"] == bill.loc[~chat, "use_case"]).all()
    assert plan.platform_by_region == []


def test_charges_without_a_region_are_told(mini_ws):
    bill = mini_ws.table("billing").assign(RegionId=mini_ws.plan.regions[0].region)
    chat = bill.index[bill["use_case"] == "chat"]
    bill.loc[chat[:2], "RegionId"] = ""
    plan = mini_ws.plan.model_copy(update={"platform_by_region": ["chat"]})
    (found,) = unplaced_charges({**mini_ws.tables, "billing": bill}, plan)
    usd = bill.loc[chat[:2], "EffectiveCost"].astype(float).sum()
    assert found[0] == "chat" and found[1].startswith(f"2 of its charges, USD {usd:,.0f} in all, name no region")
    assert list(unplaced_charges({**mini_ws.tables, "billing": bill}, mini_ws.plan)) == []


def test_runs_count_in_each_region_under_a_name_of_their_own(listed, mini_ws):
    runs = mini_ws.table("benchmarks")
    tables, _ = listed("chat")
    mine = runs[runs["use_case_id"] == "chat"]
    split = tables["benchmarks"]
    for region in regions_of(mini_ws, "chat"):
        part = split[split["use_case_id"] == name_in("chat", region)]
        assert part["units_per_s"].tolist() == mine["units_per_s"].tolist()
        assert (part["benchmark_id"].to_numpy() == (mine["benchmark_id"] + "." + region).to_numpy()).all()
    assert not split.duplicated(["benchmark_id", "point"]).any()


def test_users_of_a_demand_chain_are_shared_out_and_the_rest_holds_in_each_region(listed, mini_ws):
    first, second = (item.region for item in mini_ws.plan.regions[:2])
    chain = pd.DataFrame(
        [("idea", None, "seats", 1000.0, 800.0, 1200.0), ("idea", None, "active_share", 0.5, 0.4, 0.6),
         ("idea", first, "region_share", 0.7, None, None), ("idea", second, "region_share", 0.3, None, None),
         ("other", None, "seats", 10.0, None, None)], columns=SHARE_COLUMNS,
    )  # fmt: skip
    cases = mini_ws.table("use_cases")
    cases = pd.concat([cases, cases.iloc[:1].assign(use_case_id="idea", allowed_regions=None)], ignore_index=True)
    tables, _ = listed("idea", demand_chain=chain, use_cases=cases)
    found = tables["demand_chain"].set_index(["use_case_id", "factor"])
    assert found.loc[(name_in("idea", first), "seats"), ["value", "low", "high"]].tolist() == [700.0, 560.0, 840.0]
    assert found.at[(name_in("idea", second), "seats"), "value"] == pytest.approx(300.0)
    assert found.at[(name_in("idea", second), "active_share"), "value"] == 0.5
    assert found.at[("other", "seats"), "value"] == 10.0 and "region_share" not in set(tables["demand_chain"]["factor"])


def test_sites_are_those_of_the_region(listed, mini_ws):
    first, second = regions_of(mini_ws, "chat")[:2] if len(regions_of(mini_ws, "chat")) > 1 else ("", "")
    if not first:
        pytest.skip("the tiny company runs chat in one region")
    cases = mini_ws.table("use_cases").copy()
    cases.loc[cases["use_case_id"] == "chat", "sites"] = f"{first}=3;{second}=5"
    sites = listed("chat", use_cases=cases)[0]["use_cases"].set_index("use_case_id")["sites"]
    assert (sites[name_in("chat", first)], sites[name_in("chat", second)]) == ("3", "5")


def test_what_the_plan_says_holds_in_each_region_and_the_name_in_a_region_before_that(listed, mini_ws):
    places = regions_of(mini_ws, "chat")
    here = name_in("chat", places[0])
    stated = {"chat": "nvidia-l4", here: "nvidia-h100-sxm", "images": "nvidia-l40s"}
    _, plan = listed("chat", plan={"baseline_accelerators": stated, "required_frameworks": {"chat": ["vLLM"]}})
    assert plan.baseline_accelerators == {name_in("chat", r): "nvidia-l4" for r in places} | {
        here: "nvidia-h100-sxm", "images": "nvidia-l40s",
    }  # fmt: skip
    assert plan.required_frameworks == {name_in("chat", r): ["vLLM"] for r in places}
    port = PortUnderWay(use_case_id="chat", platform_class="tpu", begun="2026-09")
    _, plan = listed("chat", plan={"ports_under_way": [port]})
    assert sorted(item.use_case_id for item in plan.ports_under_way) == [name_in("chat", r) for r in places]


def test_approved_names_are_known_again(mini_ws):
    region = mini_ws.plan.regions[0].region
    plan = mini_ws.plan.model_copy(update={"platform_by_region": ["chat"]})
    table = pd.DataFrame({"use_case_id": [name_in("chat", region), "images", "chat"]})
    assert under_old_names(table, plan)["use_case_id"].tolist() == ["chat", "images", "chat"]
    assert under_old_names(table, mini_ws.plan) is table


def test_a_workspace_is_planned_and_reviewed_region_by_region(mini_ws, mini_stages, tmp_path):
    folder = shutil.copytree(mini_ws.path, tmp_path / "mini-company")
    plan = folder / "plan.yaml"
    plan.write_text(
        plan.read_text(encoding="utf-8").replace("platform_by_region: []", "platform_by_region: [chat]"),
        encoding="utf-8",
    )
    ws = load_workspace(folder)
    road = af.Road(ws, "")
    names = {name_in("chat", region) for region in regions_of(mini_ws, "chat")}
    assert names <= set(road.shortlist.choice["use_case_id"]) and "chat" not in set(
        road.shortlist.choice["use_case_id"]
    )
    whole, parts = (
        inv.use_cases.set_index("use_case_id")["units_month"] for inv in (mini_stages.inventory, road.inventory)
    )
    assert parts[sorted(names)].sum() == pytest.approx(whole["chat"], rel=1e-12)
    for name in names:  # each may have another platform: its cells are priced on its own
        assert road.shortlist.matrix["use_case_id"].eq(name).any()
    text = plan.read_text(encoding="utf-8").replace("platform_by_region: [chat]", "platform_by_region: [chatt]")
    plan.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="platform_by_region.*chatt.*Did you mean 'chat'"):
        load_workspace(folder)
