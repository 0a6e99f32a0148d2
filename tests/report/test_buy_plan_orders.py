"""Beside each order stands what is doubtful of its price."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from aifactory.report.buy_plan_charts import chart_break_even
from aifactory.report.buy_plan_orders import _network, last_nodes, price_doubts, table_orders
from aifactory.report.text import pct


def test_old_prices_and_those_of_another_region_are_marked():
    options = pd.DataFrame(
        [
            ("a", "eu", "purchase", 180, True),
            ("a", "eu", "lease", 91, True),
            ("a", "us", "reserved_1y", 10, False),
            ("b", "us", "lease", 91, False),
            ("b", "us", "spot", 900, True),  # no limit is stated
        ],
        columns=["accelerator_id", "region", "purchase_option", "age_days", "exact_region"],
    )
    assert price_doubts(options, {"purchase": 180, "lease": 90, "reserved_1y": 150}) == {
        ("a", "eu", "lease"): ", past its limit",
        ("a", "us", "reserved_1y"): ", not of the region",
        ("b", "us", "lease"): ", past its limit, not of the region",
    }
    assert price_doubts(options.iloc[:0], {}) == {}


def test_a_plan_that_orders_nothing_has_its_table(mini_ws, mini_stages):
    """Little demand is rented by the hour: no order, no term, no doubt of a price."""
    plan = mini_stages.plan
    nothing = table_orders(mini_ws, replace(plan, orders=plan.orders.iloc[:0]))
    assert "Orders and renewals" in str(nothing) and "Orders and renewals" in str(table_orders(mini_ws, plan))


def test_what_is_committed_to_bought_servers_holds_their_network(mini_ws):
    """A server at USD 10,000 with 12 % of network; a device in the field and a lease have none."""
    chips = mini_ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    bought = pd.DataFrame([{"purchase_option": "purchase", "accelerator_id": "nvidia-a100-80-sxm"}])
    share = mini_ws.plan.value("network_share_of_capex")
    said = f"USD committed is the price with {pct(share, 0)} more for the network."
    device = bought.assign(accelerator_id=chips.index[chips == "edge"][0])
    for orders, told in ((bought, share > 0), (device, False), (bought.assign(purchase_option="lease"), False)):
        assert (said in _network(mini_ws, orders)) == told
    assert share > 0


def test_a_purchase_that_is_the_only_way_to_pay_is_an_offer(mini_ws):
    """Devices that nobody rents have no break-even: the title must not say that nothing is offered."""
    offer = {
        "accelerator_id": "hailo-8",
        "region": "eu",
        "purchase_option": "purchase",
        "break_even_utilization": np.nan,
        "source": "quote",
    }
    plan = SimpleNamespace(
        need=[1],
        bands=pd.DataFrame([{"accelerator_id": "hailo-8", "region": "eu", "usd_month": 1.0}]),
        options=pd.DataFrame([offer]),
        break_even=pd.DataFrame(
            [{**offer, "utilization": share, "usd_per_used_hour": 1 / share} for share in (0.5, 1.0)]
        ),
    )
    assert "hailo-8 in eu: purchase is the only way to pay" in chart_break_even(mini_ws, plan).text
    hours = pd.DataFrame([{**offer, "purchase_option": name} for name in ("on_demand", "spot")])
    rented = chart_break_even(mini_ws, SimpleNamespace(**{**vars(plan), "options": hours}))
    assert "hailo-8 in eu: no commitment is offered" in rented.text


def test_the_last_nodes_of_orders_hold_for_less():
    kept = pd.DataFrame({"price_fall_kept": [0.04, 0.23, np.nan]})
    assert (
        last_nodes(kept).strip()
        == "The last node of each order works less, and pays until hours fall by 4 % to 23 % (orders below)."
    )
    assert last_nodes(kept.tail(1)) == last_nodes(pd.DataFrame()) == ""
