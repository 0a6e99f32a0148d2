"""Bands in the buy plan page: how they are paid for, and what releases their orders."""

from __future__ import annotations

import pandas as pd

from aifactory.buyplan import BuyPlan
from aifactory.buyplan.governance import signed_now
from aifactory.finance.options import OPTION_NAMES
from aifactory.report.blocks import Block, section
from aifactory.report.buy_plan_guard import of_a_plan
from aifactory.report.buy_plan_ways import reached
from aifactory.report.text import is_missing, join_words, month_name, num, plural
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
        step = getattr(row, "next_step_accelerators", 0)
        firm = 0 if row.band == "baseline" and not step else signed.get(tuple(getattr(row, key) for key in PLACE), 0)
        now = _next_step(row) if step else reached(row.current_value, row.trigger_threshold)
        told.append(f"{num(firm, 0)} firm without it; {'then' if step else 'the rest'} {now}" if firm else now)
    return told


def _next_step(row: tuple) -> str:
    """The next accelerators of a band, and the load in the pool or the date that releases them."""
    adds = num(row.next_step_accelerators, 0)
    if is_missing(row.trigger_threshold):
        return f"{adds} by their date, {month_name(row.next_step_month)}"
    waits = f"{adds} {at_load(row.trigger_threshold)}"
    if is_missing(row.current_value):
        return waits
    there = ", reached" if row.current_value >= row.trigger_threshold else ""
    return f"{waits}, now {num(row.current_value, 2)}{there}"


def at_load(accelerators: float) -> str:
    """The load that releases a step, with the digits of the monthly refresh.

    >>> at_load(46.545747)
    'at load 46.55'
    """
    return f"at load {num(accelerators, 2)}"
