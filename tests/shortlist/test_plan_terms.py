"""Cells bought as the plan would buy them: by hand, at the limits, against the plan's own case."""

import dataclasses
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from market_cases import A100, H100, HIGH, TWO_BY_DAY, cells, inventory, market, offer

from aifactory.buyplan.case import build_case, solve_expected
from aifactory.buyplan.prepare import in_nodes_as_sold, stream_builder
from aifactory.finance.cashflow import npv
from aifactory.finance.options import OPTION_NAMES
from aifactory.finance.prices import add_server, price_table
from aifactory.finance.tco import around_usd_per_hour, price_index
from aifactory.fleet.node_sizes import COSTS_LESS, NOT_TRIED, in_other_nodes, most_at_once
from aifactory.fleet.streams import owned_accelerators
from aifactory.inventory.today import baseline_accelerators
from aifactory.shortlist import plan_terms
from aifactory.shortlist.plan_terms import (
    BOUGHT_COLUMNS,
    MOST_NODES,
    bought_nodes,
    market_of,
    price_cells,
    resident_needs,
    standing_shares,
    streams_alone,
)
from aifactory.units import HOURS_PER_MONTH, monthly_rate

NODE_MONTH = 8 * 730
BY_DAY = 10 / 24  # share of the hours in which the second node works


def factors(ws, first=1, last=36):
    return sum((1 + monthly_rate(ws.plan.value("wacc"))) ** -t for t in range(first, last + 1))


def priced(ws, *offers, demand=None, cell=None, today=H100):
    return price_cells(market(ws, demand or inventory(), *offers, today=today), cells(cell or {})).iloc[0]


def test_on_demand_pays_whole_nodes_in_the_hours_in_which_they_work(mini_ws):
    row = priced(mini_ws, offer(mini_ws))
    assert row["compute_usd"] == pytest.approx(NODE_MONTH * 2.0 * (1 + BY_DAY) * factors(mini_ws))
    assert (row["terms"], row["committed_share"], row["missed_usd"]) == ("on demand 100 %", 0.0, 0.0)
    assert (row["terms_source"], row["terms_as_of"], row["terms_stale"]) == ("AWS, test", pd.Timestamp("2026-10-01"), False)  # fmt: skip


def test_people_and_storage_go_with_every_hour_paid_for(mini_ws):
    """On demand both nodes are held 1 + 10/24 of the time; dear enough, they keep a commitment from idle hours."""
    plan, hour = mini_ws.plan, offer(mini_ws)
    people = plan.value("operator_usd_per_month") / plan.value("accelerators_per_operator")
    storage = plan.value("storage_gb_per_accelerator") * plan.value("storage_usd_per_gb_month")
    pay = [(1 + plan.value("cost_inflation")) ** (month / 12) for month in range(37)]
    around = sum(8 * (people * pay[t] + storage) / (1 + monthly_rate(plan.value("wacc"))) ** t for t in range(1, 37))
    row = price_cells(market(mini_ws, inventory(), hour, around=True), cells({})).iloc[0]
    bare = NODE_MONTH * 2.0 * (1 + BY_DAY) * factors(mini_ws)
    assert row["compute_usd"] == pytest.approx(bare + around * (1 + BY_DAY))
    cheap = offer(mini_ws, purchase_option="reserved_1y", term_months=12, usd_per_accelerator_hour=0.8)
    assert priced(mini_ws, hour, cheap)["committed_share"] == 1.0  # 0.8 is below 10 / 24 of 2
    both = price_cells(market(mini_ws, inventory(), hour, cheap, around=True), cells({})).iloc[0]
    assert (0.8 + (people + storage) / 730) / (2 + (people + storage) / 730) > BY_DAY
    assert both["committed_share"] == pytest.approx(1 / (1 + BY_DAY))


def test_the_base_is_committed_and_the_rest_rented(mini_ws):
    year = offer(mini_ws, purchase_option="reserved_1y", term_months=12, usd_per_accelerator_hour=1.0)
    row = priced(mini_ws, offer(mini_ws), year)
    assert row["compute_usd"] == pytest.approx(NODE_MONTH * (1.0 + 2.0 * BY_DAY) * factors(mini_ws))
    assert row["terms"] == "reserved, 1 year 71 %, on demand 29 %"
    assert row["committed_share"] == pytest.approx(1 / (1 + BY_DAY))
    dear = offer(mini_ws, purchase_option="reserved_1y", term_months=12, usd_per_accelerator_hour=2.1)
    assert priced(mini_ws, offer(mini_ws), dear)["committed_share"] == 0.0
    cheap = offer(mini_ws, purchase_option="reserved_1y", term_months=12, usd_per_accelerator_hour=0.8)
    both = priced(mini_ws, offer(mini_ws), cheap)  # 0.8 is below 10 / 24 of 2
    assert both["compute_usd"] == pytest.approx(NODE_MONTH * 2 * 0.8 * factors(mini_ws))


def test_hardware_is_rented_until_it_comes_and_sold_at_the_end(mini_ws):
    """26 weeks are 6 months: a purchase works from the seventh on; its outlay is paid in the first."""
    plan = mini_ws.plan
    bought = offer(mini_ws, purchase_option="purchase", usd_per_accelerator_hour=np.nan, usd_per_accelerator=3_000.0,
                   upfront_fraction=1.0, lead_time_weeks=26.0, provider="maker")  # fmt: skip
    row = priced(mini_ws, offer(mini_ws), bought)
    power = mini_ws.table("accelerators").set_index("accelerator_id").loc[H100, "tdp_w"] / 1000
    running = power * (
        plan.value("pue") * 730 * 0.1 + plan.value("server_power_factor") * plan.value("colocation_usd_per_kw_month")
    )
    running += 3_000 * plan.value("maintenance_share_per_year") / 12
    kept = (1 - plan.value("residual_decline_per_year")) ** (30 / 12)
    last = (1 + monthly_rate(plan.value("wacc"))) ** -36
    owned = 3_000 * (1 + plan.value("network_share_of_capex")) * factors(mini_ws, 1, 1)
    owned += running * factors(mini_ws, 7) - 3_000 * kept * last
    early = NODE_MONTH * 2.0 * (1 + BY_DAY) * factors(mini_ws, 1, 6)
    assert row["compute_usd"] == pytest.approx(early + 2 * 8 * owned)
    assert row["terms"].startswith("purchase 88 %")


def test_hardware_is_bought_only_where_the_own_site_has_room_for_a_node(changed, mini_ws):
    """A node of eight draws 8 x its power with the server's share and the site's PUE; one may stand there already."""
    bought = offer(mini_ws, purchase_option="purchase", usd_per_accelerator_hour=np.nan, usd_per_accelerator=3_000.0,
                   upfront_fraction=1.0, lead_time_weeks=26.0, provider="maker")  # fmt: skip
    tdp = mini_ws.table("accelerators").set_index("accelerator_id").loc[H100, "tdp_w"] / 1000
    node = 8 * tdp * mini_ws.plan.value("server_power_factor") * mini_ws.plan.value("pue")
    stands = [{"region": "us", "accelerator_id": A100, "purchase_option": "purchase", "installed": 8}]

    def share(pools=(), **limit):
        regions = [item.model_copy(update=limit if item.region == "us" else {}) for item in mini_ws.plan.regions]
        demand = inventory(pools=[tuple(row.values()) for row in pools])
        return priced(changed({"regions": regions}), offer(mini_ws), bought, demand=demand)["committed_share"]

    assert share(power_limit_kw=node * 0.99) == share(space_limit_servers=0) == 0.0
    assert share(power_limit_kw=node * 1.01) == share(space_limit_servers=1) == share() > 0.8
    assert share(stands, power_limit_kw=node * 1.01) == share(stands, space_limit_servers=1) == 0.0
    assert share(stands, power_limit_kw=node * 2) == share(stands, space_limit_servers=2) > 0.8


def test_without_capital_nothing_is_bought(changed, mini_ws):
    bought = offer(mini_ws, purchase_option="purchase", usd_per_accelerator_hour=np.nan, usd_per_accelerator=3_000.0,
                   upfront_fraction=1.0, lead_time_weeks=26.0, provider="maker")  # fmt: skip
    for capital, share in ((0, 0.0), (1e6, 0.8)):
        budget = mini_ws.plan.budget.model_copy(update={"capex_usd_per_year": capital})
        row = priced(changed({"budget": budget}), offer(mini_ws), bought)
        assert row["committed_share"] >= share and (row["committed_share"] > 0) == (capital > 0)


def test_what_cannot_be_rented_is_missed_until_hardware_comes(changed, mini_ws):
    """No value is stated: three of the dearest hours, which is the lease with its power."""
    ws = changed(use_cases=mini_ws.table("use_cases").assign(value_usd_per_unit=np.nan))
    lease = offer(ws, purchase_option="lease", term_months=36, usd_per_accelerator_hour=1.0, lead_time_weeks=13.0)
    row = priced(ws, lease)
    power = ws.table("accelerators").set_index("accelerator_id").loc[H100, "tdp_w"] / 1000
    running = power * (
        ws.plan.value("pue") * 730 * 0.1
        + ws.plan.value("server_power_factor") * ws.plan.value("colocation_usd_per_kw_month")
    )
    missed = 3 * (1.0 + running / 730) * NODE_MONTH * (1 + BY_DAY) * factors(ws, 1, 3)
    assert row["missed_usd"] == pytest.approx(missed)
    assert row["compute_usd"] > missed


def test_a_size_that_nobody_rents_out_makes_no_miss_cheaper(changed, mini_ws):
    """Leased one by one, or rented in fours at 2 an hour until the lease comes: a missed hour costs three at 2 in either size."""
    ws = changed(use_cases=mini_ws.table("use_cases").assign(value_usd_per_unit=np.nan))
    hours = offer(ws, accelerators_per_node=4)
    lease = offer(
        ws,
        accelerators_per_node=1,
        purchase_option="lease",
        term_months=36,
        usd_per_accelerator_hour=0.05,
        lead_time_weeks=13.0,
    )
    small, single = inventory(per_hour=2.0), {"replica_accelerators": 1.0}
    row = priced(ws, hours, lease, demand=small, cell=single)
    assert (row["missed_usd"], row["node_accelerators"]) == (0.0, 4)
    assert row["terms"].startswith("lease 9") and "on demand" in row["terms"]
    alone = priced(
        ws, lease, demand=small, cell=single
    )  # nobody rents out anything: the dearest hour is the lease's own
    assert alone["missed_usd"] > 0 and alone["compute_usd"] < row["compute_usd"]


def test_without_an_offer_there_is_no_cost_and_the_region_is_named(mini_ws):
    rows = price_cells(market(mini_ws, inventory(), offer(mini_ws)), cells({}, {"accelerator_id": A100}))
    found = rows.set_index("accelerator_id")
    assert np.isnan(found.at[A100, "compute_usd"])
    assert (found.at[A100, "no_offer_in"], found.at[H100, "no_offer_in"]) == ("us", "")


def test_a_least_order_above_the_fleet_is_no_offer(mini_ws):
    much = offer(
        mini_ws, purchase_option="reserved_1y", term_months=12, usd_per_accelerator_hour=0.5, minimum_accelerators=64
    )
    assert priced(mini_ws, offer(mini_ws), much)["committed_share"] == 0.0
    assert priced(mini_ws, much)["no_offer_in"] == "us"


def test_an_edge_site_takes_no_hours_of_a_cloud(changed, mini_ws):
    ws = changed(use_cases=mini_ws.table("use_cases").assign(workload_class="edge_on_device"))
    assert priced(ws, offer(ws))["no_offer_in"] == "us"


def test_owned_accelerators_of_todays_platform_cost_their_running_alone(mini_ws):
    pools = [("us", H100, "purchase", 16.0)]
    row = priced(mini_ws, offer(mini_ws), demand=inventory(pools=pools))
    power = mini_ws.table("accelerators").set_index("accelerator_id").loc[H100, "tdp_w"] / 1000
    running = power * (
        mini_ws.plan.value("pue") * 730 * 0.1
        + mini_ws.plan.value("server_power_factor") * mini_ws.plan.value("colocation_usd_per_kw_month")
    )
    assert row["compute_usd"] == pytest.approx(16 * running * factors(mini_ws))
    assert row["terms"] == f"{OPTION_NAMES['owned'].lower()} 100 %"
    elsewhere = priced(mini_ws, offer(mini_ws), demand=inventory(pools=pools), today=A100)
    assert elsewhere["compute_usd"] == pytest.approx(row["compute_usd"])  # nobody else is there


@pytest.mark.parametrize(("owned", "lacking"), [(24.0, ""), (16.0, "us")])
def test_what_owned_accelerators_hold_whole_needs_no_offer(mini_ws, owned, lacking):
    """Sixteen with a reserve of 40 % are three nodes: all owned, nothing has to be bought; with two of them, one does."""
    pools = [("us", H100, "purchase", owned)]
    elsewhere = offer(mini_ws, accelerator_id=A100)
    assert priced(mini_ws, elsewhere, demand=inventory(pools=pools))["no_offer_in"] == lacking
    least = offer(
        mini_ws, purchase_option="lease", term_months=36, usd_per_accelerator_hour=1.0, minimum_accelerators=8
    )
    row = priced(mini_ws, least, demand=inventory(pools=pools))
    power = mini_ws.table("accelerators").set_index("accelerator_id").loc[H100, "tdp_w"] / 1000
    running = power * (
        mini_ws.plan.value("pue") * 730 * 0.1
        + mini_ws.plan.value("server_power_factor") * mini_ws.plan.value("colocation_usd_per_kw_month")
    )
    if owned == 24:
        assert row["compute_usd"] == pytest.approx(24 * running * factors(mini_ws))
    assert row["no_offer_in"] == ""


def beside_chat(ws, owned, images=4.0):
    """Images on the H100 of which chat, there today, needs 16 with a reserve of 40 %; nodes of 8."""
    first, second = inventory(pools=[("us", H100, "purchase", owned)]), inventory(use_case="images", per_hour=images)
    for name in ("forecast", "demand_profile"):
        setattr(first, name, pd.concat([getattr(first, name), getattr(second, name)], ignore_index=True))
    mine = replace(market(ws, first, offer(ws)), today=pd.Series({"chat": H100, "images": A100}))
    mine = replace(mine, needs=resident_needs(mine, cells({}, {"use_case_id": "images", "accelerator_id": A100})))
    rows = price_cells(mine, cells({}, {"use_case_id": "images"})).set_index("use_case_id")
    return mine, rows


def running_usd(ws):
    """Power and space of an H100 for a month."""
    power = ws.table("accelerators").set_index("accelerator_id").loc[H100, "tdp_w"] / 1000
    return power * (
        ws.plan.value("pue") * 730 * 0.1
        + ws.plan.value("server_power_factor") * ws.plan.value("colocation_usd_per_kw_month")
    )


#: Images at their peak with a reserve of 20 %: what they fill of a node of which less is free.
PART = 4 * HIGH * 1.2


@pytest.mark.parametrize(("owned", "filled"), [(16.0, 0), (28.0, 0), (30.0, PART), (31.0, 8), (40.0, 8)])
def test_others_find_what_those_who_are_there_leave(mini_ws, owned, filled):
    """Of 28 chat leaves 5.6, too little for 6.8; of 30 it leaves 7.6, of which these are filled; of 31 a node, which is run whole."""
    mine, rows = beside_chat(mini_ws, owned)
    assert sum(mine.needs["us", H100].values()) == pytest.approx(np.full(37, 16 * 1.4))
    row = rows.loc["images"]  # half a node all day: rented by the hour, or on one that stands there
    assert row["terms"].startswith(OPTION_NAMES["owned"].lower() if filled else "on demand")
    expected = filled * running_usd(mini_ws) if filled else NODE_MONTH * 2.0  # one node is filled, were there more
    assert row["compute_usd"] == pytest.approx(expected * factors(mini_ws), rel=1e-6)
    assert rows.at["chat", "compute_usd"] == pytest.approx(
        price_cells(replace(mine, needs={}), cells({})).iloc[0]["compute_usd"]
    )


def test_a_part_of_a_node_that_holds_all_costs_that_part(mini_ws):
    """Chat, which does 70 % of the work on 32, has 22.4 of them: what it needs; of 20.8 it has two whole nodes, which hold its peak."""
    owned = market(mini_ws, inventory(pools=[("us", H100, "purchase", 32.0)]), offer(mini_ws))
    row = price_cells(replace(owned, shares={("chat", "us"): 0.7}), cells({})).iloc[0]
    assert row["terms"] == "owned or committed before 100 %"
    assert row["compute_usd"] == pytest.approx(22.4 * running_usd(mini_ws) * factors(mini_ws))
    less = price_cells(replace(owned, shares={("chat", "us"): 0.65}), cells({})).iloc[0]
    assert less["compute_usd"] == pytest.approx(16 * running_usd(mini_ws) * factors(mini_ws))


def test_what_only_starts_later_takes_no_room_and_finds_it_like_others(mini_ws):
    """Images are compared with the H100, but did no work there: chat alone is in the way, and they fill a node of what it leaves."""
    mine, rows = beside_chat(mini_ws, 40.0)
    later = replace(mine, today=mine.today.replace(A100, H100), shares={("chat", "us"): 1.0})
    later = replace(later, needs=resident_needs(later, cells({}, {"use_case_id": "images"})))
    assert sum(later.needs["us", H100].values()) == pytest.approx(np.full(37, 16 * 1.4))
    found = price_cells(later, cells({}, {"use_case_id": "images"})).set_index("use_case_id")
    assert found.at["images", "compute_usd"] == pytest.approx(rows.at["images", "compute_usd"])


def test_where_the_need_of_those_who_are_there_is_unknown_nothing_is_spare(mini_ws, monkeypatch):
    mine, _ = beside_chat(mini_ws, 40.0)
    unknown = replace(mine, needs=resident_needs(mine, cells({"units_per_s_per_accelerator": np.nan})))
    assert np.isinf(sum(unknown.needs["us", H100].values())).all()
    assert price_cells(unknown, cells({"use_case_id": "images"})).iloc[0]["terms"].startswith("on demand")
    monkeypatch.setattr(plan_terms, "known_platforms", lambda ws: {})  # it may as well run elsewhere
    assert resident_needs(mine, cells({"units_per_s_per_accelerator": np.nan})) == {}


def committed(ws, option, accelerators, start, end=None, **fields):
    row = {"order_id": option, "region": "us", "accelerator_id": H100, "purchase_option": option, "accelerators": accelerators,
           "order_month": "2026-01", "start_month": start, "end_month": end, "usd_per_accelerator_hour": 9.0, "source": "contract",
           "as_of": pd.Timestamp("2026-09-01"), **fields}  # fmt: skip
    table = ws.table("commitments")
    return pd.DataFrame([row]).reindex(columns=table.columns).astype(table.dtypes)


def test_a_running_term_is_paid_in_any_case_and_costs_nothing_until_it_ends(changed, mini_ws):
    """Sixteen reserved to the end of the sixth month: then two nodes are rented. Its rent of USD 9 is owed anyway."""
    ws = changed(commitments=committed(mini_ws, "reserved_1y", 16, "2026-05", "2027-05"))
    row = priced(ws, offer(ws))
    assert row["compute_usd"] == pytest.approx(NODE_MONTH * 2.0 * (1 + BY_DAY) * factors(ws, 7))
    assert row["terms"] == "on demand 78 %, owned or committed before 22 %"
    guest = market(ws, inventory(), offer(ws), today=A100)
    assert price_cells(guest, cells({})).iloc[0]["compute_usd"] == pytest.approx(row["compute_usd"])
    full = replace(guest, needs={("us", H100): {"models": np.full(37, 16.0)}})  # those who are there leave nothing
    assert price_cells(full, cells({})).iloc[0]["compute_usd"] == pytest.approx(
        NODE_MONTH * 2.0 * (1 + BY_DAY) * factors(ws)
    )


def test_an_order_under_way_works_from_its_delivery_at_the_cost_of_running_it(changed, mini_ws):
    """Power, space and support of what was paid for it, its network left out, though nobody offers it to buy today."""
    book = committed(mini_ws, "purchase", 8, "2027-02", usd_per_accelerator_hour=np.nan, upfront_usd=240_000.0)
    ws = changed(commitments=book)
    power = ws.table("accelerators").set_index("accelerator_id").loc[H100, "tdp_w"] / 1000
    running = power * (
        ws.plan.value("pue") * 730 * 0.1
        + ws.plan.value("server_power_factor") * ws.plan.value("colocation_usd_per_kw_month")
    )
    early = NODE_MONTH * 2.0 * (1 + BY_DAY) * factors(ws, 1, 3)
    support = 240_000 / (1 + ws.plan.value("network_share_of_capex")) * ws.plan.value("maintenance_share_per_year") / 12
    late = (NODE_MONTH * 2.0 * BY_DAY + 8 * running + support) * factors(ws, 4)
    assert priced(ws, offer(ws))["compute_usd"] == pytest.approx(early + late)


def test_old_prices_are_named(mini_ws):
    old = offer(mini_ws, as_of=pd.Timestamp("2024-01-01"))
    row = priced(mini_ws, old)
    assert row["terms_stale"]
    assert row["terms_as_of"] == pd.Timestamp("2024-01-01")


def test_a_way_to_pay_of_no_hours_makes_no_price_stale():
    """What rounding leaves on spot is told nowhere: its old price is none that the cell rests on; a tenth of the hours is told."""
    rows = pd.DataFrame(
        {"purchase_option": ["purchase", "on_demand", "spot"], "hours": [9e4, 2e4, 6e-10], "provider": "shop", "source": "quote",
         "as_of": pd.to_datetime(["2026-09-05", "2026-07-30", "2026-01-01"]), "terms_stale": [False, False, True]}
    )  # fmt: skip
    words, committed, _, oldest, stale = plan_terms._terms_of(rows)
    assert (words, oldest, stale) == ("purchase 82 %, on demand 18 %", pd.Timestamp("2026-07-30"), False)
    assert committed == pytest.approx(9 / 11)
    tenth = plan_terms._terms_of(rows.assign(hours=[9e4, 2e4, 1e4]))
    assert tenth[0].endswith("spot 8.3 %") and tenth[3:] == (pd.Timestamp("2026-01-01"), True)


ALONE = {"replica_accelerators": 1.0}
FEW = TWO_BY_DAY / 8  # fills two accelerators by day and one by night


def one_each(ws, usd, **fields):
    return offer(ws, sku="one", accelerators_per_node=1, usd_per_accelerator_hour=usd, **fields)


def test_little_work_pays_the_small_instance_that_is_sold(mini_ws):
    """An eighth of the work on nodes of one costs what whole nodes of eight would, an eighth of it, at the small price."""
    row = priced(mini_ws, offer(mini_ws), one_each(mini_ws, 2.5), demand=inventory(per_hour=FEW), cell=ALONE)
    assert row["compute_usd"] == pytest.approx(730 * 2.5 * (1 + BY_DAY) * factors(mini_ws))
    server = priced(mini_ws, offer(mini_ws), demand=inventory(per_hour=FEW), cell=ALONE)
    assert server["compute_usd"] == pytest.approx(NODE_MONTH * 2.0 * factors(mini_ws))


def test_much_work_pays_the_cheaper_server(mini_ws):
    row = priced(mini_ws, offer(mini_ws), one_each(mini_ws, 2.5), cell=ALONE)
    assert row["compute_usd"] == pytest.approx(NODE_MONTH * 2.0 * (1 + BY_DAY) * factors(mini_ws))


def test_a_node_holds_the_largest_replica(mini_ws):
    few, offers = inventory(per_hour=FEW), (offer(mini_ws), one_each(mini_ws, 0.1))
    for replica in (4.0, np.nan):  # not known: the node of the catalogue
        row = priced(mini_ws, *offers, demand=few, cell={"replica_accelerators": replica})
        assert row["compute_usd"] == pytest.approx(NODE_MONTH * 2.0 * factors(mini_ws))
    assert priced(mini_ws, offers[1], demand=few, cell={"replica_accelerators": 4.0})["no_offer_in"] == "us"


def test_servers_and_instances_share_a_pool_where_one_divides_the_other(mini_ws):
    """Nodes of eight: the base is bought as servers, the top rented as two instances of four."""
    year = offer(mini_ws, purchase_option="reserved_1y", term_months=12, usd_per_accelerator_hour=1.0)
    four = offer(mini_ws, sku="four", accelerators_per_node=4)
    row = priced(mini_ws, year, four, cell={"replica_accelerators": 2.0})
    assert row["compute_usd"] == pytest.approx(NODE_MONTH * (1.0 + 2.0 * BY_DAY) * factors(mini_ws))
    three = offer(mini_ws, sku="three", accelerators_per_node=3, usd_per_accelerator_hour=0.01)
    streams = streams_alone(market(mini_ws, inventory(), three), cells(ALONE))
    sized, prices = bought_nodes(market(mini_ws, inventory(), year, three), streams)
    assert sized.pools["accelerators_per_node"].tolist() == [3]
    assert prices["purchase_option"].tolist() == ["on_demand"]  # eight is no multiple of three
    mine = market(mini_ws, inventory(), year, three)
    other = in_other_nodes(mine.prices, streams, sized.pools["accelerators_per_node"].to_numpy())
    assert other[["purchase_option", "node_accelerators", "pool_node_accelerators"]].to_numpy().tolist() == [
        ["reserved_1y", 8, 3]
    ]
    assert other["usd_in_plan"].isna().all()  # no other offer for a year
    assert in_other_nodes(mine.prices, streams, np.array([8]))["sku"].tolist() == ["three"]  # nor fits the other way


def test_offers_that_a_pool_cannot_take_are_told_where_they_would_be_cheaper(mini_ws):
    """A replica of eight: instances of four at half the price cannot hold it, dearer ones need no word."""
    hour = offer(mini_ws)
    usd = float(hour["usd_per_accelerator_hour"].iloc[0])
    half, dear = (
        offer(mini_ws, sku="four", accelerators_per_node=4, usd_per_accelerator_hour=usd * factor)
        for factor in (0.5, 2.0)
    )
    streams = streams_alone(market(mini_ws, inventory(), hour), cells({"replica_accelerators": 8.0}))
    found = in_other_nodes(market(mini_ws, inventory(), hour, half).prices, streams, np.array([8])).iloc[0]
    assert (found["node_accelerators"], found["usd_in_plan"]) == (4, usd)
    assert found["reason"] == "too small for the largest replica of the pool"
    assert in_other_nodes(market(mini_ws, inventory(), hour, dear).prices, streams, np.array([8])).empty
    assert in_other_nodes(market(mini_ws, inventory(), hour).prices, streams, np.array([8])).empty  # all fit


@pytest.mark.parametrize(("nodes", "reason"), [(MOST_NODES - 1, COSTS_LESS), (MOST_NODES + 1, NOT_TRIED)])
def test_a_size_that_was_never_tried_is_told_apart(mini_ws, nodes, reason):
    """Of a pool of many small nodes only the largest size is priced: nobody knows that the small one costs more."""
    server, three = offer(mini_ws), offer(mini_ws, sku="three", accelerators_per_node=3, usd_per_accelerator_hour=1.0)
    streams = streams_alone(market(mini_ws, inventory(), server, three), cells(ALONE))
    streams = streams_alone(
        market(mini_ws, inventory(per_hour=TWO_BY_DAY * 3 * nodes / most_at_once(streams)[0]), server), cells(ALONE)
    )
    assert most_at_once(streams) == pytest.approx(3 * nodes)
    found = in_other_nodes(market(mini_ws, inventory(), server, three).prices, streams, np.array([8]))
    assert found["reason"].tolist() == [reason]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.01, 30.0), st.sampled_from([1, 2, 4]), st.floats(0.5, 4.0))
def test_another_size_on_sale_never_costs_more(mini_ws, work, node, usd):
    demand, small = (
        inventory(per_hour=work),
        offer(mini_ws, sku="n", accelerators_per_node=node, usd_per_accelerator_hour=usd),
    )
    alone = priced(mini_ws, offer(mini_ws), demand=demand, cell=ALONE)["compute_usd"]
    both = priced(mini_ws, offer(mini_ws), small, demand=demand, cell=ALONE)["compute_usd"]
    assert both <= alone * (1 + 1e-12)


def test_a_fleet_of_very_many_nodes_is_ordered_in_bundles(mini_ws):
    one = priced(mini_ws, offer(mini_ws))["compute_usd"]
    many = priced(mini_ws, offer(mini_ws), demand=inventory(per_hour=TWO_BY_DAY * 20 * MOST_NODES))["compute_usd"]
    assert many == pytest.approx(one * 20 * MOST_NODES, rel=2 / MOST_NODES)


def test_no_demand_and_no_capacity_have_no_row(mini_ws):
    unknown = cells({"units_per_s_per_accelerator": np.nan})
    found = price_cells(market(mini_ws, inventory(), offer(mini_ws)), unknown)
    assert found.empty
    assert list(found.columns) == BOUGHT_COLUMNS


@given(st.floats(0.2, 4.0), st.floats(0.1, 3.0), st.floats(0.5, 60.0))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_offer_more_and_capacity_more_never_cost_more(mini_ws, price, committed, load):
    demand = inventory(per_hour=load)
    hour = offer(mini_ws, usd_per_accelerator_hour=price)
    term = offer(mini_ws, purchase_option="reserved_3y", term_months=36, usd_per_accelerator_hour=committed)
    alone = priced(mini_ws, hour, demand=demand)["compute_usd"]
    both = priced(mini_ws, hour, term, demand=demand)
    faster = priced(mini_ws, hour, term, demand=demand, cell={"units_per_s_per_accelerator": 1.7 / 3600})
    assert faster["compute_usd"] <= both["compute_usd"] * (1 + 1e-9)
    assert both["compute_usd"] <= alone * (1 + 1e-9)
    assert both["compute_usd"] >= min(price, committed) * NODE_MONTH * load / 8 * factors(mini_ws) * (1 - 1e-9)


def test_a_cell_costs_what_the_plan_pays_for_it_alone(road):
    """The plan's own case of one use case on one platform, demand as expected, is the oracle."""
    ws, cases = road.ws, [("chat", H100), ("chat", A100), ("models", A100), ("images", H100)]
    mine = market_of(ws, road.inventory, baseline_accelerators(ws, road.benchmark.capacity), road.benchmark.capacity)
    found = price_cells(mine, road.benchmark.capacity).set_index(["use_case_id", "accelerator_id"])["compute_usd"]
    prices = price_table(add_server(ws.table("prices"), ws.table("accelerators"), ws.table("operating_costs")), ws.plan, ws.as_of)  # fmt: skip
    for use_case, chip in cases:
        choice = pd.DataFrame({"use_case_id": [use_case], "accelerator_id": [chip]})
        short = dataclasses.replace(road.shortlist, choice=choice)
        streams = stream_builder(ws, road.inventory, road.benchmark, short)(ws.plan)
        owned = owned_accelerators(road.inventory.pools, ws.plan, streams)
        restream, sold = in_nodes_as_sold(mine, streams, lambda _, made=streams: made, prices)
        case = build_case(ws.plan, restream(ws.plan), sold, owned=owned, porting={})
        compute, rate = solve_expected(case).ledger.compute, monthly_rate(ws.plan.value("wacc"))
        around = around_usd_per_hour(ws.plan, False, price_index(37, ws.plan)) * compute.paid_hours.sum(axis=1)
        usd = compute.present_value(rate) + npv(around, rate)
        assert found[use_case, chip] == pytest.approx(usd), (use_case, chip)


def test_what_stood_to_those_that_left_stands_to_those_that_stay(mini_ws):
    mine = market(mini_ws, inventory(), offer(mini_ws))
    shares = {("chat", "us"): 0.5, ("images", "us"): 0.3, ("models", "us"): 0.2, ("images", "eu"): 1.0}
    needs = {("us", H100): {"chat": np.ones(37), "images": np.full(37, np.inf)}}
    left = replace(mine, shares=shares, needs=needs).without({"images"})
    assert left.shares == pytest.approx(
        {("chat", "us"): 5 / 7, ("images", "us"): 0.0, ("models", "us"): 2 / 7, ("images", "eu"): 0.0}
    )
    assert list(left.needs["us", H100]) == ["chat"]
    assert replace(mine, shares=shares).without(()).shares == shares


def test_what_stands_for_rare_jobs_stands_to_them_in_a_month_without_any():
    """Chat works 100 units and lumpy training none this month, a level of 300: a quarter and three quarters of what stands."""
    profile = pd.DataFrame({
        "use_case_id": ["chat", "train"], "region": "eu", "units_month": [100.0, 0.0], "units_per_hour_avg": [1.0, 0.0],
        "level_per_hour": [1.0, 300.0 / HOURS_PER_MONTH], "lumpy": [False, True],
    })  # fmt: skip
    capacity = pd.DataFrame(
        {"use_case_id": ["chat", "train"], "accelerator_id": "a", "units_per_s_per_accelerator": 1.0}
    )
    today = pd.Series({"chat": "a", "train": "a"})
    shares = standing_shares(profile, today, capacity)
    assert shares == {("chat", "eu"): pytest.approx(0.25), ("train", "eu"): pytest.approx(0.75)}
    month = standing_shares(profile.drop(columns=["lumpy", "level_per_hour"]), today, capacity)
    assert month["chat", "eu"] == 1.0


@pytest.mark.parametrize("priced", [plan_terms.price_cells, plan_terms.cell_usd])
def test_cells_without_any_demand_have_no_price_and_columns_that_can_be_reckoned_with(monkeypatch, priced):
    monkeypatch.setattr(plan_terms, "streams_alone", lambda *_: SimpleNamespace(table=pd.DataFrame()))
    found = priced(None, None)
    assert found.empty and (found["compute_usd"].dtype, found["missed_usd"].dtype) == (float, float)
    assert pd.api.types.is_string_dtype(found["use_case_id"])
