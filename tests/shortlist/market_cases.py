"""One use case on offers that can be priced by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from aifactory.finance.prices import node_offers
from aifactory.fleet.streams import month_labels
from aifactory.shortlist.plan_terms import Market

H100, A100, TPU = "nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"
#: Chat of the tiny workspace is twice as high for ten hours of the day: the high hours over the mean.
HIGH = 2 / ((10 * 2 + 14) / 24)
#: What the people and the storage around an accelerator cost.
AROUND = ("operator_usd_per_month", "storage_usd_per_gb_month")
#: Average accelerators that fill two nodes of eight by day and one by night.
TWO_BY_DAY = 16 / HIGH


def inventory(months=36, *, use_case="chat", per_hour=TWO_BY_DAY, region="us", pools=(), failure_rate=0.0, runs=True):
    """Level demand in one region; per_hour units an hour on average, in the period too where it `runs`."""
    period = "2026-10"
    rows = [
        {"scenario": name, "month": month, "use_case_id": use_case, "region": region, "units": per_hour * factor * 730,
         "units_per_hour_avg": per_hour * factor, "units_per_hour_peak": per_hour * factor * HIGH, "size": 1.0,
         "units_p10": per_hour * 730, "units_p90": per_hour * 730}
        for name, factor in (("conservative", 0.5), ("expected", 1.0), ("aggressive", 9.0))
        for month in month_labels(period, months)[1:]
    ]  # fmt: skip
    profile = pd.DataFrame(
        [{"use_case_id": use_case, "region": region, "units_month": per_hour * 730 * runs, "units_per_hour_avg": per_hour,
          "failure_rate": failure_rate, "observed_share": 1.0}]
    )  # fmt: skip
    columns = ["region", "accelerator_id", "purchase_option", "installed"]
    return SimpleNamespace(
        forecast=pd.DataFrame(rows), demand_profile=profile, pools=pd.DataFrame(list(pools), columns=columns),
        use_cases=pd.DataFrame({"use_case_id": [], "usd_per_unit": []}),
    )  # fmt: skip


def offer(ws, **fields):
    """One row of the prices table: an hour on demand of the H100 at USD 2 unless said otherwise."""
    base = {"price_id": "p", "provider": "AWS", "sku": "s", "accelerator_id": H100, "region": "*", "purchase_option": "on_demand",
            "term_months": 0, "upfront_fraction": 0.0, "usd_per_accelerator_hour": 2.0, "source": "test", "as_of": pd.Timestamp("2026-10-01"),
            "confidence": "measured", "quoted": False}  # fmt: skip
    row = pd.DataFrame([base | fields | {"price_id": str(sorted(fields.items()))}])
    table = ws.table("prices")
    return row.reindex(columns=table.columns).astype(table.dtypes)


#: Hourly load of the month over its mean: chat high by day, images flat.
BY_HOUR = np.tile(np.where((np.arange(24) >= 8) & (np.arange(24) < 18), HIGH, HIGH / 2), 31)
SHAPES = {("chat", "us"): BY_HOUR, ("images", "us"): np.ones(len(BY_HOUR))}


def bare(ws):
    """The workspace whose accelerators take no people and no storage: their price is the whole price."""
    none = {name: ws.plan.assumptions[name].model_copy(update={"value": 0.0}) for name in AROUND}
    return replace(ws, plan=ws.plan.model_copy(update={"assumptions": ws.plan.assumptions | none}))


def market(ws, demand, *offers, today=H100, around=False):
    ws = ws if around else bare(ws)
    prices = node_offers(pd.concat(offers, ignore_index=True), ws.plan, ws.as_of)
    today = pd.Series({"chat": today, "models": today, "images": today})
    shares = {("chat", "us"): 1.0, ("images", "us"): 1.0}
    return Market(ws, demand, prices, today, SHAPES, shares)


def cells(*rows):
    """Cells of chat that serve one unit an hour on each accelerator."""
    base = {"use_case_id": "chat", "service_unit": "request", "accelerator_id": H100, "platform_class": "gpu",
            "units_per_s_per_accelerator": 1 / 3600, "low": 1 / 3600, "high": 1 / 3600, "failure_rate": 0.0}  # fmt: skip
    return pd.DataFrame([{**base, **row} for row in rows])
