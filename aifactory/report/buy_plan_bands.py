"""Bands in the buy plan page: how they are paid for, and what releases their orders."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.governance import signed_now
from aifactory.finance.options import OPTION_NAMES
from aifactory.report.blocks import Block, section
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.buy_plan_ways import reached
from aifactory.report.text import join_words, num, plural
from aifactory.units import BANDS

PLACE = ["region", "accelerator_id", "band", "purchase_option"]


@of_a_plan("What do we buy, when, on which terms?")
def bands_section(plan: BuyPlan) -> Block:
    """Sizes of the bands at the end of the horizon, where they add up to the fleet, and how they are paid for then."""
    question = "What do we buy, when, on which terms?"
    if plan.bands.empty:
        return section(question, "Nothing: there is no demand to cover.")
    parts = [
        f"At the end of the horizon demand and reserve need {plural(int(plan.bands['accelerators_end'].sum()), 'accelerator')}."
    ]
    for band in BANDS:
        rows = plan.bands[plan.bands["band"] == band]
        if len(rows):
            ways = rows.groupby("purchase_option")["accelerators_end"].sum().sort_values(ascending=False)
            ways = [f"{num(held, 0)} {OPTION_NAMES[name].lower()}" for name, held in ways.items() if held]
            before = "none, in use before" if rows["accelerators_max"].any() else _beyond(plan, band)
            parts.append(f"{band.capitalize()}: {join_words(ways) if ways else before}.")
    return section(question, " ".join(parts))


def _beyond(plan: BuyPlan, band: str) -> str:
    """Orders of a band that the expected demand does not reach."""
    mine = plan.orders[(plan.orders["band"] == band) & ~plan.orders["renewal"].astype(bool)]
    counts = mine.groupby("purchase_option")["accelerators"].sum()
    ways = [f"{num(held, 0)} {OPTION_NAMES[name].lower()}" for name, held in counts.items()]
    return f"{join_words(ways)}, for paths of more demand than expected" if ways else "none"


def triggers_told(bands: pd.DataFrame, orders: pd.DataFrame) -> list[str]:
    """The trigger of each band now, after what is signed on approval and waits for none; baseline orders by nature do.

    A first order of growth below its trigger is signed all the same: the trigger is of those that follow.
    """
    signed = signed_now(orders).groupby(PLACE)["accelerators"].sum() if len(orders) else {}
    told = []
    for row in bands.itertuples():
        firm = 0 if row.band == "baseline" else signed.get(tuple(getattr(row, key) for key in PLACE), 0)
        now = reached(row.current_value, row.trigger_threshold)
        told.append(f"{num(firm, 0)} firm without it; the rest {now}" if firm else now)
    return told
