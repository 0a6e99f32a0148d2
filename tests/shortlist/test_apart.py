"""One size of node for each pool: what smaller nodes for the small would save."""

from dataclasses import replace

import pytest
from market_cases import HIGH, TWO_BY_DAY, cells, market, offer
from test_sharing import two_use_cases

from aifactory.shortlist.apart import apart_sentences, cheaper_apart
from aifactory.shortlist.plan_terms import price_cells, streams_alone
from aifactory.units import monthly_rate


def shared(ws, *offers, load, small, replicas):
    """Chat and images in one pool of the H100, with the replicas that each needs."""
    mine = market(ws, two_use_cases(load, small), *offers)
    table = cells({"replica_accelerators": replicas[0]}, {"use_case_id": "images", "replica_accelerators": replicas[1]})
    alone = streams_alone(mine, table)
    pools = alone.pools.iloc[:1].reset_index(drop=True)
    streams = replace(alone, table=alone.table.assign(pool=0), pools=pools)
    return mine, streams, price_cells(mine, table).set_index("use_case_id")["compute_usd"]


def test_a_small_use_case_is_cheaper_in_nodes_of_one_by_hand(mini_ws):
    """Chat fills two nodes of eight by day and one by night; one accelerator beside it asks for a node more, alone for one."""
    eight, one = (offer(mini_ws, accelerators_per_node=size, sku=str(size)) for size in (8, 1))
    mine, streams, alone = shared(mini_ws, eight, one, load=TWO_BY_DAY, small=1 / HIGH, replicas=(8.0, 1.0))
    found = cheaper_apart(mine, streams).iloc[0]
    rate = monthly_rate(mini_ws.plan.value("wacc"))
    level = sum((1 + rate) ** -t for t in range(1, 37))
    assert found["use_cases"] == "images"
    assert found["saved_usd"] == pytest.approx((8 - 1) * 730 * 2.0 * level)
    assert found["together_usd"] == pytest.approx(alone.sum() + found["saved_usd"])
    assert "images on nvidia-h100-sxm in us (USD" in apart_sentences(mine, streams)[0]


def test_nothing_is_said_where_all_need_the_same_or_only_one_size_is_sold(mini_ws):
    eight, one = (offer(mini_ws, accelerators_per_node=size, sku=str(size)) for size in (8, 1))
    assert apart_sentences(*shared(mini_ws, eight, one, load=6.0, small=1.0, replicas=(1.0, 1.0))[:2]) == []
    assert apart_sentences(*shared(mini_ws, eight, load=6.0, small=1.0, replicas=(8.0, 1.0))[:2]) == []


def test_sharing_the_room_that_is_there_is_cheaper_than_a_node_of_ones_own(mini_ws):
    """Chat leaves room on its eight by day and by night: images costs nothing there."""
    eight, one = (offer(mini_ws, accelerators_per_node=size, sku=str(size)) for size in (8, 1))
    mine, streams, _ = shared(mini_ws, eight, one, load=2.0, small=0.5, replicas=(8.0, 1.0))
    assert cheaper_apart(mine, streams).empty
