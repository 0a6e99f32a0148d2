"""Waste in money: each dollar once, never more than the usage it is part of."""

import dataclasses
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import IdentityError
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory, waste
from aifactory.inventory.waste import FAILED, IDLE, OVERSIZED, UNUSED, by_cause, find_waste

FEW = settings(max_examples=80)


@pytest.fixture(scope="module")
def inventory(mini_stages):
    return mini_stages.inventory


def test_waste_by_hand_each_dollar_once(inventory):
    # eight H100 half idle; eight A100 a quarter busy, whose unused commitment is not idle again;
    # failures count in busy hours: half and a quarter of the cost
    table = inventory.waste.set_index(["cause", "subject"])["usd"]
    assert table.to_dict() == pytest.approx(
        {
            (IDLE, "chat-pool"): 29760.10 / 2,
            (IDLE, "train-pool"): 4464 * 2.5 - 2880.5,
            (UNUSED, "commitments that name no pool"): 2880.5,
            (FAILED, "models"): 0.25 * 0.25 * 12000,
            (FAILED, "chat"): 0.5 * 29760.10 * 2108 / 115_940,
        },
        rel=1e-8,
    )
    assert inventory.waste["usd"].is_monotonic_decreasing
    assert by_cause(inventory.waste)[UNUSED] == 2880.5


def test_failed_work_is_that_of_the_regions_that_are_charged(changed, mini_ws):
    """`chat` is charged in the US, where a tenth fails; what fails in Europe, all of it but one request, is on no bill."""
    windows, bill = mini_ws.table("demand_windows"), mini_ws.table("billing")
    chat, there = windows["use_case_id"] == "chat", windows["region"] == "eu"
    errors = windows["errors"].mask(chat, windows["requests"] // 10).mask(chat & there, windows["requests"] - 1)
    units = windows["service_units"].mask(chat, windows["requests"] - errors)
    charges = bill.assign(RegionId=bill["RegionId"].mask(bill["use_case"] == "chat", "us-east-1"))
    found = build_inventory(changed(demand_windows=windows.assign(errors=errors, service_units=units), billing=charges))
    month = found.demand_monthly.query("month == @mini_ws.period and use_case_id == 'chat' and region == 'us'").iloc[0]
    row = found.use_cases.set_index("use_case_id").loc["chat"]
    assert row["failed_share_charged"] == month["errors"] / month["requests"] < 0.11 < row["failed_work_share"]
    lost = found.waste.set_index(["cause", "subject"]).loc[(FAILED, "chat"), "usd"]
    assert lost == pytest.approx(0.5 * 29760.10 * month["errors"] / month["requests"])


def test_each_cause_says_how_who_and_what_to_do(inventory):
    table = inventory.waste.set_index("subject")
    assert table.loc["chat-pool", "how_computed"] == "50 % of 5,952 h idle, priced by the rate of its accelerator"
    assert table.loc["chat-pool", "owner_role"] == "head of platform"
    assert table.loc["models", "owner_role"] == "head of planning"
    assert table.loc["chat-pool", "action"] == waste.RENTED
    assert table.loc["train-pool", "action"] == waste.COMMITTED
    usage = 29760.10 + 12000.000001 + 2880.5 + 250.25 + 99.99
    assert table.loc["chat-pool", "share_of_usage"] == pytest.approx(29760.10 / 2 / usage)


def test_a_rate_never_makes_more_idle_than_was_billed(mini):
    # twice the pool, the same bill: half of it was never paid for
    path = mini / "pools.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("on_demand,8,0.5", "on_demand,16,0.5"), encoding="utf-8")
    table = build_inventory(load_workspace(mini)).waste.set_index("subject")
    assert table.loc["chat-pool", "usd"] == pytest.approx(29760.10 / 2)
    assert table.loc["chat-pool", "how_computed"].endswith(", no more than the bill holds")


def test_bought_hardware_outside_the_bill_is_idle_without_a_price(mini):
    path = mini / "pools.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("on_demand,8,0.5", "purchase,16,0.5"), encoding="utf-8")
    table = build_inventory(load_workspace(mini)).waste
    assert "chat-pool" not in set(table["subject"])
    # what the bill charges for that accelerator ran elsewhere: its failures count in full
    failed = table.set_index(["cause", "subject"])["usd"]
    assert failed[FAILED, "chat"] == pytest.approx(29760.10 * 2108 / 115_940, rel=1e-8)


def test_without_pools_failures_count_in_full(mini):
    (mini / "pools.csv").unlink()
    table = build_inventory(load_workspace(mini)).waste.set_index(["cause", "subject"])["usd"]
    assert set(table.index.get_level_values(0)) == {UNUSED, FAILED}
    assert table[FAILED, "models"] == pytest.approx(0.25 * 12000)


def test_an_empty_pool_and_an_empty_bill_waste_nothing(mini_ws, mini):
    path = mini / "pools.csv"
    text = path.read_text(encoding="utf-8").replace("on_demand,8,0.5,2800", "on_demand,0,0,0")
    path.write_text(text, encoding="utf-8")
    table = build_inventory(load_workspace(mini)).waste
    assert "chat-pool" not in table["subject"].tolist()
    none = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "billing": mini_ws.table("billing").iloc[:0]})
    assert build_inventory(none).waste.empty


# a pool larger than its peak


def spare(ws, inventory, installed, utilization, peak, names=("chat",)):
    pool = pd.Series(
        {
            "pool_id": "p",
            "region": "us",
            "installed": installed,
            "utilization_mean": utilization,
            "accelerator_id": "nvidia-h100-sxm",
        }
    )
    costs = pd.DataFrame({"use_case": names, "pool": "p"})
    profile = pd.DataFrame({"use_case_id": names, "region": "us", "peak_to_average": peak})
    return waste._spare(ws, pool, costs, profile)[0]  # noqa: SLF001


def test_spare_nodes_by_hand(mini_ws, inventory):
    # chat is customer facing: its reserve comes on top of the highest hour
    reserve = mini_ws.plan.reserve["customer_facing"]
    assert reserve == pytest.approx(0.4)
    # 32 x 0.2 x 1.5 = 9.6 busy in the highest hour, 13.44 with reserve, two nodes of eight
    assert spare(mini_ws, inventory, 32.0, 0.2, 1.5) == 16
    assert spare(mini_ws, inventory, 32.0, 0.5, 3.0) == 0  # never more than all
    assert spare(mini_ws, inventory, 12.0, 0.1, 1.0) == 8  # rented in fours: 1.68 need four
    assert spare(mini_ws, inventory, 32.0, 0.0, 1.0) == 32
    assert spare(mini_ws, inventory, 32.0, 0.2, np.nan) == 0


def test_what_a_failure_needs_is_not_given_back_by_hand(changed, inventory):
    """13.44 busy with reserve are two nodes of eight: two more for one of two pools down, one more for one of three."""
    for pools, expected in ((2, 0), (3, 8)):
        ws = changed(plan={"failure_domains": {"customer_facing": pools}})
        assert spare(ws, inventory, 32.0, 0.2, 1.5) == expected
    both = changed(plan={"failure_domains": {"customer_facing": 2, "internal": 12}})
    assert spare(both, inventory, 32.0, 0.2, 1.5, names=("chat", "images")) == 0  # whatever shares the pool
    assert spare(changed(plan={"failure_domains": {"critical": 2}}), inventory, 32.0, 0.2, 1.5) == 16


def test_every_site_keeps_a_node_by_hand(changed, mini_ws, inventory):
    """A tenth busy of 40, 5.6 with reserve: nodes of 8 at two sites need 16, at five 40; 16 busy, 22.4 with reserve, need 32 at two."""
    for sites, busy, expected in ((2, 0.1, 24), (5, 0.1, 0), (2, 0.4, 8), (6, 0.1, 0)):
        cases = mini_ws.table("use_cases")
        ws = changed(use_cases=cases.assign(sites=f"us={sites}"))
        assert spare(ws, inventory, 40.0, busy, 1.0) == expected


def test_what_is_given_up_ends_as_it_is_paid():
    told = {
        option: waste._given_up(option, 8.0) for option in ("purchase", "on_demand", "spot", "lease", "reserved_1y")
    }  # noqa: SLF001
    assert told["purchase"].startswith("Sell or reassign 8")
    assert told["on_demand"] == told["spot"] == "Switch 8 off, or move work onto them."
    assert told["lease"] == told["reserved_1y"] == "Give 8 back at the next renewal, or move work onto them."


def test_oversize_and_idle_add_up_to_the_idle_money(sample_stages):
    table = sample_stages.inventory
    parts = table.waste[table.waste["cause"].isin([IDLE, OVERSIZED])].groupby("subject")["usd"].sum()
    pools = table.pools.set_index("pool_id")
    net = (pools["idle_usd"] - pools["unused_usd"])[parts.index]
    np.testing.assert_allclose(parts, net, rtol=1e-9)


# the identity


def company(costs, unused, busy, failed, own):
    """Three pools, two use cases on each; some pools stand in the bill, the others are priced by a rate."""
    names = [f"p{number}" for number in range(3)]
    rows = [
        (f"u{case}", "h100", names[pool] if own[pool] else None, Decimal(str(costs[pool][case])), "attributed usage")
        for pool in range(3)
        for case in range(2)
    ]
    rows += [
        ("(unattributed)", "(none)", names[pool] if own[pool] else None, Decimal(str(unused[pool])), "idle commitment")
        for pool in range(3)
    ]
    bill = pd.DataFrame(rows, columns=["use_case", "accelerator_id", "ResourceId", "EffectiveCost", "cost_line"])
    bill["purchase_option"] = "on_demand"
    paid = [sum(costs[pool]) + unused[pool] if own[pool] else 1000.0 for pool in range(3)]
    pools = pd.DataFrame(
        {
            "pool_id": names, "region": "us", "accelerator_id": "h100", "purchase_option": "reserved_1y", "installed": 8.0,
            "utilization_mean": busy, "accelerator_hours": 5952.0, "idle_accelerator_hours": 5952.0 * (1 - np.array(busy)),
            "paid_usd": paid, "unused_usd": [unused[pool] if own[pool] else 0.0 for pool in range(3)],
            "idle_usd": np.array(paid) * (1 - np.array(busy)),
            "priced_by": ["its own charges" if flag else "the rate of its accelerator" for flag in own],
        }
    )  # fmt: skip
    cases = pd.DataFrame({"use_case_id": ["u0", "u1"], "failed_share_charged": failed, "owner_role": "owner"})
    return bill, pools, cases


money = st.integers(0, 10_000).map(float)
share = st.floats(0, 1)


@FEW
@given(
    st.lists(st.tuples(money, money), min_size=3, max_size=3),
    st.lists(money, min_size=3, max_size=3),
    st.lists(share, min_size=3, max_size=3),
    st.lists(share, min_size=2, max_size=2),
    st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_the_parts_never_exceed_the_bill(mini_ws, costs, unused, busy, failed, own):
    bill, pools, cases = company(costs, unused, busy, failed, own)
    table = find_waste(
        mini_ws, bill, pools, cases, pd.DataFrame({"use_case_id": [], "region": [], "peak_to_average": []})
    )
    assert (table["usd"] > 0).all()
    assert table["usd"].sum() <= float(bill["EffectiveCost"].sum()) * (1 + 1e-9) + 1e-6
    assert table.loc[table["cause"] == UNUSED, "usd"].sum() == pytest.approx(sum(unused))


@pytest.mark.parametrize("month", ["2025-10", "2026-08", "2026-10"])
def test_the_parts_of_the_sample_never_exceed_the_bill(sample_dir, month):
    inventory = build_inventory(load_workspace(sample_dir, period=month))
    lines = inventory.spend_reconciliation.set_index("line")["effective_cost"]
    usage = float(lines[["attributed usage", "unattributed usage", "idle commitment"]].sum())
    assert inventory.waste["usd"].sum() < usage
    unused = float(lines["idle commitment"])
    assert by_cause(inventory.waste)[UNUSED] == pytest.approx(unused)


def test_a_refund_in_usage_does_not_stop_the_report(mini_ws):
    bill, pools, cases = company([(100.0, -90.0)] * 3, [0.0] * 3, [0.0] * 3, [1.0, 1.0], [True] * 3)
    paid = pools.assign(paid_usd=100.0, idle_usd=100.0)
    table = find_waste(
        mini_ws, bill, paid, cases, pd.DataFrame({"use_case_id": [], "region": [], "peak_to_average": []})
    )
    assert table["usd"].sum() == pytest.approx(300.0)
    assert table["share_of_usage"].sum() == pytest.approx(1.0)


def test_parts_that_exceed_the_bill_are_refused(mini_ws):
    bill, pools, cases = company([(10.0, 0.0)] * 3, [0.0] * 3, [0.0] * 3, [0.0, 0.0], [True] * 3)
    with pytest.raises(IdentityError, match="exceeds the usage"):
        find_waste(
            mini_ws,
            bill,
            pools.assign(idle_usd=1e6),
            cases,
            pd.DataFrame({"use_case_id": [], "region": [], "peak_to_average": []}),
        )
