"""Waste in the inventory page: every dollar once, with cause, owner and action; tools bought twice."""

from __future__ import annotations

from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.waste import by_cause
from aifactory.report import charts
from aifactory.report.blocks import Block, Col, Group, bullets, figure, group, section, table
from aifactory.report.inventory_money import BILL, POOLS
from aifactory.report.text import join_words, num, pct, plural, usd_compact

TOP, DRAWN, SHOWN = 3, 7, 10
#: Pools without a price that a sentence names.
NAMED_POOLS = 4


def waste_section(ws: Workspace, inv: Inventory) -> Group:
    """Idle and waste in money, with the largest causes, their owners and what to do."""
    question = "What is paid for and not used?"
    waste = inv.waste
    if waste.empty:
        return group(section(question, "Idle capacity could not be computed: pools or bill are missing."))
    top, causes = waste.head(TOP), by_cause(waste)
    answer = (
        (
            f"{usd_compact(waste['usd'].sum())} of the month, {pct(waste['share_of_usage'].sum(), 0)} of the usage paid for, did no work that counted: "
            f"{join_words(f'{usd_compact(usd)} {cause}' for cause, usd in causes.items())}. "
        )
        + (f"The {len(top)} largest causes are worth {usd_compact(top['usd'].sum())}." if len(waste) > 1 else "")
        + _unpriced(inv)
    )
    texts = [
        f"{row.subject}, {row.cause}: {usd_compact(row.usd)} a month ({row.how_computed}). Owner: {row.owner_role}. {row.action}"
        for row in top.itertuples()
    ]
    return group(section(question, answer), bullets(texts, ""), _chart(ws, inv), _table(ws, inv))


def _unpriced(inv: Inventory) -> str:
    """Idle hours that no bill prices, as those of bought hardware."""
    left = inv.pools[inv.pools["idle_usd"].isna() & (inv.pools["idle_accelerator_hours"] > 0)]
    if left.empty:
        return ""
    hours = num(left["idle_accelerator_hours"].sum(), 0)
    largest = list(left.sort_values("idle_accelerator_hours", ascending=False, kind="stable")["pool_id"])
    more = len(largest) - NAMED_POOLS
    named = largest if more <= 1 else [*largest[:NAMED_POOLS], f"{more} more (table Accelerator pools)"]
    return f" Not in it are {hours} idle accelerator-hours of {join_words(named)}, which the bill does not price."


def _chart(ws: Workspace, inv: Inventory) -> Block:
    # the largest, and of every cause its largest
    first_of = inv.waste.drop_duplicates("cause").index
    drawn = sorted({*inv.waste.index[:DRAWN], *first_of})
    waste, rest = inv.waste.loc[drawn], inv.waste.drop(index=drawn)
    frame = waste.assign(label=waste["subject"] + ", " + waste["cause"])[["label", "usd", "cause"]]
    first = waste.iloc[0]
    return figure(
        charts.bars(
            frame, category="label", value="usd", color="cause", fmt="usd_compact", titles={"usd": "USD a month"}
        ),
        title=f"Largest cause, {first['subject']}: {usd_compact(first['usd'])} {first['cause']}",
        description=f"Bars of USD a month by cause and subject, the largest first: {join_words(f'{row.label} {usd_compact(row.usd)}' for row in frame.head(5).itertuples())}.",
        caption="Every dollar once: unused commitment is not counted as idle again, failures only in busy hours."
        + (
            f" Drawn are the {DRAWN} largest and, of every cause, its largest; {len(rest)} more with {usd_compact(rest['usd'].sum())} together stand in the table."
            if len(rest)
            else ""
        ),
        source=f"{BILL}; {POOLS}",
        as_of=ws.as_of,
    )


def _table(ws: Workspace, inv: Inventory) -> Block:
    columns = {
        "subject": Col("Where"),
        "cause": Col("Cause"),
        "usd": Col("USD a month", "usd0"),
        "share_of_usage": Col("Of usage", "pct1"),
        "how_computed": Col("How computed"),
        "owner_role": Col("Owner"),
        "action": Col("What to do"),
    }
    return table(inv.waste, caption="Waste by cause", source=f"{BILL}; {POOLS}", as_of=ws.as_of, columns=columns, max_rows=SHOWN,
                 note="The parts never exceed the usage in the bill. Reserve for peaks is part of idle: it is the price of being ready.")  # fmt: skip


def overlap_section(ws: Workspace, inv: Inventory) -> Group:
    """Models and tools that are paid for more than once."""
    question = "What do we pay for more than once?"
    frame = inv.overlaps
    if frame.empty:
        return group(
            section(
                question,
                "No model runs apart from itself in one region, and no kind of tool is bought from two sellers, as far as the bill names them."
                if len(inv.spend_reconciliation)
                else "There is no bill of this month, so what is paid for twice could not be found.",
            )
        )
    first = frame.iloc[0]
    answer = (
        f"{plural(len(frame), 'model or tool stands', 'models and tools stand')} in the bill more than once, first {first['what']}. "
        f"Merging could touch {usd_compact(frame['smaller_usd'].sum())} a month at most; whether it should is for the owners to say, so none of it is counted as waste."
    )
    columns = {
        "kind": Col("Kind"),
        "what": Col("What"),
        "copies": Col("Copies", "int"),
        "where": Col("Where"),
        "usd": Col("All, USD", "usd0"),
        "smaller_usd": Col("Beside the largest, USD", "usd0"),
    }
    return group(
        section(question, answer),
        table(
            frame,
            caption="Models and tools paid for more than once",
            source=BILL,
            as_of=ws.as_of,
            columns=columns,
            max_rows=10,
        ),
    )
