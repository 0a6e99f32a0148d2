"""Page of stage 4: what the shortlist gave up, what second platforms save, which limits bind, how steady the plan is, and what less risk costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.examine import Examination
from aifactory.buyplan.keep import KEEP_SHARE
from aifactory.inputs.workspace import Workspace
from aifactory.report.blocks import Block, Col, Group, group, section, table
from aifactory.report.text import is_missing, join_words, num, pct, plural, usd_compact
from aifactory.shortlist.outcome import NOT_MEASURED
from aifactory.units import decimals_apart

EXCLUDED, PEAKS, LIMITS, RISK = (
    "What did the shortlist give up?",
    "Would a second platform for peak hours pay?",
    "Which limits bind, and is the plan steady?",
    "What does less risk cost?",
)
SOURCE = "computed: the plan's orders on its paths of demand and prices"
#: Rule of the shortlist on what is not supported to the end.
ENDS = "support end"
#: Rules of the shortlist that no choice of the buyer lifts.
FORBIDDEN = ("export", "policy")
NOT_ASKED = "Not computed: nothing can be committed to, or use cases share platforms."
#: Less is not told.
HALF_A_DOLLAR = 0.5
#: Share of a limit by which more than rounding is used of it.
EXCEEDED = 1e-6
ROWS, MOST_CELLS, MOST_PEAKS = 12, 5, 4
#: Saving from which another platform is named on the first screen, as a share of the total cost.
MATERIAL_SHARE = 0.01


def examined_section(ws: Workspace, found: Examination | None) -> Group | Block:
    """The questions to the plan, one after the other."""
    if found is None:
        return section(EXCLUDED, NOT_ASKED)
    return group(_excluded(ws, found.excluded), _peaks(ws, found.peaks), _limits(ws, found), _frontier(ws, found))


def _excluded(ws: Workspace, cells: pd.DataFrame) -> Group | Block:
    """The best platform of each use case that the plan does not use."""
    known = cells.dropna(subset=["saving_usd"])
    if known.empty:
        return section(EXCLUDED, "Nothing: no other platform of known capacity is offered where the use cases run.")
    best = known.drop_duplicates("use_case_id")
    saves = best[best["saving_usd"] >= 1.0]  # less than a dollar is rounding
    if saves.empty:
        text = f"Nothing: none of {plural(len(known), 'other platform')} of known capacity would make the plan cheaper."
    else:
        first = saves.iloc[0]
        text = (
            f"{plural(len(saves), 'use case')} would be cheaper on another platform with the orders that follow. Most: {_saved(first)}; "
            f"it was left out: {first['why']}. The shortlist prices a use case on the plan's terms as expected; the plan knows all paths."
        )
    columns = {
        "use_case_id": Col("Use case"),
        "chosen_id": Col("Chosen"),
        "accelerator_id": Col("Best of the others"),
        "why": Col("Why not"),
        "tier": Col("Capacity is"),
        "penalties_usd": Col("Penalties, USD", "usd0"),
        "saving_usd": Col("Exclusion costs, USD", "usd0"),
    }
    ends = (cells["why"] == ENDS).any()
    lasting = " A platform whose support ends before is valued as if it lasted." if ends else ""
    note = (
        f"Present value over the horizon at today's prices, people and storage included, mean and worst overruns weighed as in the plan; one use case moves at a time, in "
        f"all its regions: figures do not add up. Penalties: porting and the months until it ends, rework, delay and missed targets beyond those "
        f"of the chosen platform, counted in the last column. Below 0 there: the choice is right.{lasting} All {len(cells)} cells are in the workbook."
    )
    caption = "What it costs to leave a platform out"
    return group(
        section(EXCLUDED, text),
        table(best.head(MOST_CELLS), caption=caption, source=SOURCE, as_of=ws.as_of, columns=columns, note=note),
    )


def _peaks(ws: Workspace, cells: pd.DataFrame) -> Group | Block:
    """Use cases whose peak hours would be rented elsewhere, the best second platform of each."""
    saves = cells[cells["saving_usd"] >= 1.0]
    if saves.empty:
        return section(PEAKS, "No: for no use case would it save more than porting to a second platform costs.")
    first, tier = saves.iloc[0], "" if saves["tier"].iloc[0] == "measured" else f" (capacity {saves['tier'].iloc[0]})"
    text = (
        f"{first['use_case_id']} would save most: peak hours rented on {first['peak_id']}{tier}, the rest on {first['chosen_id']}, cost "
        f"{usd_compact(first['saving_usd'])} less than all on {first['chosen_id']}, work of {usd_compact(first['once_usd'])} for the second platform paid. "
        f"The price of {first['peak_id']} is of {first['price_as_of']}. This plan rents peak hours where the use case runs."
    )
    columns = {
        "use_case_id": Col("Use case"),
        "chosen_id": Col("Base on"),
        "peak_id": Col("Peaks on"),
        "tier": Col("Capacity is"),
        "price": Col("USD an hour there, of"),
        "hours_month": Col("Rented there, accelerator-h/month", "int"),
        "once_usd": Col("Work once, USD", "usd0"),
        "saving_usd": Col("Saved, USD", "usd0"),
    }
    note = (
        "Present value at today's prices, people and storage included, weighed as above; whole nodes, hour by hour; one use case at a time: figures do not add up, "
        "and hosted models compete for the same hours. Budgets and power of orders are left out."
    )
    price = saves["usd_per_accelerator_hour"].map(lambda usd: num(usd, 2)) + " (" + saves["price_as_of"] + ")"
    shown = table(
        saves.assign(price=price).head(MOST_PEAKS), caption="Peak hours on a second platform", source=SOURCE, as_of=ws.as_of, columns=columns, note=note
    )  # fmt: skip
    return group(section(PEAKS, text), shown)


def given_up_sentence(found: Examination | None, tco_usd: float) -> str:
    """What another platform would save most, where that is material against the total cost; else empty."""
    if found is None:
        return ""
    open_to_us = found.excluded[~found.excluded["why"].isin(FORBIDDEN)]
    if open_to_us["saving_usd"].dropna().empty:
        return ""
    first = open_to_us.loc[open_to_us["saving_usd"].idxmax()]
    if not first["saving_usd"] > MATERIAL_SHARE * tco_usd:
        return ""
    asked = {
        NOT_MEASURED: "benchmark it",
        ENDS: "ask what longer support costs, since this is its value if support lasted,",
    }
    then = asked.get(first["why"], "look at the choice of platform again")
    return f"{_saved(first)} (left out: {first['why']}): {then} before signing."


def _saved(cell: pd.Series) -> str:
    """What a move saves, and of what: mean and worst paths weighed, missed demand counted."""
    tier = "" if cell["tier"] == "measured" else f" (capacity {cell['tier']})"
    more = cell["penalties_usd"]
    penalties = (
        f", penalties (porting, rework, delay, missed targets) {usd_compact(abs(more))} {'more' if more > 0 else 'less'}"
        if abs(more) >= HALF_A_DOLLAR
        else ""
    )
    return (
        f"{cell['use_case_id']} on {cell['accelerator_id']}{tier} instead of {cell['chosen_id']} would save {usd_compact(cell['saving_usd'])} after risk: "
        f"these platforms, with what stands there, cost {usd_compact(cell['now_usd'])} now and {usd_compact(cell['moved_usd'])} then{penalties}"
    )


def _limits(ws: Workspace, found: Examination) -> Group:
    """Limits with their prices, and what small changes move."""
    rows, changes = found.limits, found.stability.iloc[1:]
    binding = rows[rows["binds"]]
    named = [f"{_lower(row.limit)} ({usd_compact(row.price_usd)} for {row.per})" for row in binding.itertuples()]
    text = f"What binds is {join_words(named)}. " if named else "No limit binds. "
    over = rows["used"] > rows["most"] * (1 + EXCEEDED)
    if over.any():
        text += f"More than is allowed is used of {join_words(map(_lower, rows.loc[over, 'limit']))}: see the risks. "
    free = rows.loc[~rows["binds"] & ~over & rows["most"].notna(), "limit"].tolist()
    if free:
        text += f"{plural(len(free), 'limit')} would save nothing if raised. "
    most, least = changes["moved_share"].max(), changes["keep_share"].max()
    text += (
        f"One per cent more or less demand, or price of rented hours, moves {pct(most, 1)} of the fleet "
        f"({num(changes['moved_accelerators'].max(), 1)} accelerators in the mean of the months) and {usd_compact(changes['orders_change_usd'].abs().max())} of "
        f"orders, people and storage included; keeping the orders as they are would then cost at most {pct(least, 2)} more. A refresh keeps what costs at most {pct(KEEP_SHARE, 2)}: "
        f"it would move {pct(changes['refresh_share'].max(), 1)}. The risk-weighted cost then moves with demand and prices; that of the expected scenario "
        "alone may step either way, where orders worth the same over all paths are exchanged."
    )
    columns = {
        "limit": Col("Limit"),
        "most_used": Col("Most used"),
        "shown": Col("Allowed"),
        "unit": Col("Unit"),
        "binding": Col("Binds"),
        "price_usd": Col("Worth, USD", "usd2"),
        "per": Col("For"),
    }
    shown = ["no limit" if is_missing(most) else f"{most:,.10g}" for most in rows["most"]]
    used = [
        num(used, 2 if is_missing(most) else decimals_apart(used, most, 2))
        for used, most in zip(rows["used"], rows["most"], strict=True)
    ]
    note = "Worth: cost saved over the horizon by so much more (of lead time: added by it; power, space and payments: in every month), for nodes that need not be whole."
    shown_table = table(
        rows.assign(shown=shown, most_used=used, binding=np.select([over, rows["binds"]], ["exceeded", "yes"], "no")).head(ROWS), caption="Limits of the plan and what they are worth", source=SOURCE, as_of=ws.as_of,
        columns=columns, note=note,
    )  # fmt: skip
    return group(section(LIMITS, text), shown_table)


def _frontier(ws: Workspace, found: Examination) -> Group:
    """Plans from the cheapest in the mean to the safest."""
    rows, worst = found.frontier, pct(1 - found.tail)
    first, last = rows.iloc[0], rows.iloc[-1]
    paid, saved = last["expected_usd"] - first["expected_usd"], first["overrun_usd"] - last["overrun_usd"]
    text = (
        f"The safest orders would cut the mean of the worst {worst} of the overruns by {usd_compact(saved)} and cost {usd_compact(paid)} more in "
        f"expectation than the cheapest ones; this plan weighs the worst overruns with {pct(found.risk_weight)}."
    )
    if saved <= 0:
        text = f"No orders make the worst {worst} of the overruns smaller than those with the least expected cost."
    columns = {
        "risk_weight": Col("Weight of the worst overruns", "pct0"),
        "expected_usd": Col("Expected cost, USD", "usd0"),
        "overrun_usd": Col(f"Overrun, worst {worst}, USD", "usd0"),
        "orders_usd": Col("Committed, USD", "usd0"),
        "is_plan": Col("This plan", "bool"),
    }
    caption = "Expected cost against the worst overruns (conditional value at risk)"
    note = "People and storage are included. Overrun: cost beyond the cheapest mix for the demand of the path, were it known. Each row is the best plan found for its weight."
    return group(
        section(RISK, text), table(rows, caption=caption, source=SOURCE, as_of=ws.as_of, columns=columns, note=note)
    )


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def tables(found: Examination | None) -> dict[str, pd.DataFrame]:
    """Tables for the run folder."""
    if found is None:
        return {}
    return {
        "excluded_platforms": found.excluded, "peak_platforms": found.peaks, "limit_values": found.limits, "plan_stability": found.stability,
        "risk_frontier": found.frontier,
    }  # fmt: skip
