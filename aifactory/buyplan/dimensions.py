"""The cost of a month by workload, business unit, team, region and platform, with its carbon beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.attribution import Shares, attribute_hours, cost_by_stream
from aifactory.buyplan.case import Case, Solution
from aifactory.finance.options import drawn_kw, in_field
from aifactory.fleet.compute import require_equal
from aifactory.units import KILO

DIMENSIONS = {
    "use_case_id": "Workload",
    "business_unit": "Business unit",
    "team": "Team",
    "region": "Region",
    "accelerator_id": "Platform",
}


def carbon_kg(case: Case, shares: Shares) -> np.ndarray:
    """Carbon of the electricity of each stream, kg CO2e a month, mean over the horizon, [K].

    hours paid x rated W / 1000 x PUE (1 in the field) x g/kWh / 1000: rated power in every hour paid for, idle ones
    included, at the mean intensity of the region; making the hardware is not in it. NaN without a
    rated power.
    """
    pools = case.streams.pools
    grams = pools["region"].map({region.region: region.gco2_per_kwh for region in case.plan.regions})
    power_kw = drawn_kw(pools["tdp_w"], case.plan, in_field(pools["platform_class"]))
    per_hour = (power_kw * grams.to_numpy(dtype=float) / KILO)[case.streams.pool]
    return shares.paid[1:].sum(axis=0) / case.plan.horizon_months * per_hour


def cost_by_frame(case: Case, today: Solution) -> pd.DataFrame:
    """Cost and carbon of a month by each dimension, dearest first; every dimension adds up to the whole.

    The demand of the period served on this plan's terms. Columns: dimension, name, usd_month, share,
    carbon_kg_month.
    """
    months = case.plan.horizon_months
    shares = attribute_hours(replace(case, streams=case.streams.of_today()), today, case.today_units)
    usd = sum(amount.sum(axis=0) for amount in cost_by_stream(case, today, shares).values()) / months
    rows = case.streams.table[list(DIMENSIONS)].assign(usd_month=usd, carbon_kg_month=carbon_kg(case, shares))
    frames = []
    for column, label in DIMENSIONS.items():
        names = rows[column].fillna("not stated").replace("", "not stated")
        sums = rows.groupby(names, sort=True)[["usd_month", "carbon_kg_month"]].sum(min_count=1)
        sums = sums.sort_values("usd_month", ascending=False, kind="stable").reset_index(names="name")
        require_equal(f"cost by {label.lower()}", sums["usd_month"].sum(), float(usd.sum()))
        frames.append(sums.assign(dimension=label, share=sums["usd_month"] / max(float(usd.sum()), 1e-12)))
    frame = pd.concat(frames, ignore_index=True)
    return frame[["dimension", "name", "usd_month", "share", "carbon_kg_month"]]
