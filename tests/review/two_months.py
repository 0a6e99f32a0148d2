"""A company of two use cases in two regions: units and charges of two months, and the variance between them."""

import dataclasses
from decimal import Decimal

import pandas as pd
import pytest

from aifactory.review.bill_variance import against_last_month
from aifactory.review.monthly import month_factors
from aifactory.review.variance import CAUSES

LAST, NOW = "2026-09", "2026-10"
H100 = "nvidia-h100-sxm"


def charges(like, *rows):
    """A bill of (month, use case, region of the provider, hours, USD), each a charge for H100."""
    parts = [
        like.assign(month=month, invoice_month=month, use_case=case, RegionId=region, accelerator_hours=hours, EffectiveCost=Decimal(usd))
        for month, case, region, hours, usd in rows
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def company(road, units, *rows):
    """`chat` and `images` with units by (month, use case, region) and a bill, without tokens."""
    bill = road.ws.table("billing")
    like = bill[
        (bill["use_case"] == "chat") & (bill["accelerator_id"] == H100) & (bill["cost_line"] == "attributed usage")
    ].iloc[:1]
    billing = charges(like, *rows)
    demand = pd.DataFrame(
        [(*key, "session", count, count, 0.0, 0.0) for key, count in units.items()],
        columns=["month", "use_case_id", "region", "service_unit", "units", "requests", "errors", "retries"],
    ).assign(
        input_tokens=float("nan"), cached_input_tokens=float("nan"), output_tokens=float("nan"), failed_work_share=0.0
    )
    ws = dataclasses.replace(road.ws, tables={**road.ws.tables, "billing": billing})
    return ws, dataclasses.replace(road.inventory, demand_monthly=demand)


#: Chat doubles in Europe, on kit of its own, and serves the same in the US, where alone it is charged; images run in the US.
UNITS = {
    (LAST, "chat", "us"): 100.0, (LAST, "chat", "eu"): 50.0, (LAST, "images", "us"): 30.0,
    (NOW, "chat", "us"): 100.0, (NOW, "chat", "eu"): 200.0, (NOW, "images", "us"): 60.0,
}  # fmt: skip
ROWS = [
    (LAST, "chat", "us-east-1", 10.0, "50"),
    (LAST, "images", "us-east-1", 3.0, "15"),
    (NOW, "chat", "us-east-1", 10.0, "60"),
    (NOW, "images", "us-east-1", 6.0, "30"),
]


def against_last(ws, inventory):
    factors = [month_factors(ws, inventory, month)[0] for month in (LAST, NOW)]
    bills = ws.table("billing").groupby("month")["EffectiveCost"].sum().astype(float)
    table, _, ranges, left_out = against_last_month(ws, inventory, *factors, bills)
    assert ranges["in_order_usd"].sum() == pytest.approx(table[list(CAUSES)].to_numpy().sum())
    assert table["difference_usd"].sum() == bills[NOW] - bills[LAST]
    return table.set_index("use_case_id"), left_out
