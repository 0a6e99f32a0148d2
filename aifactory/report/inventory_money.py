"""Money in the inventory page: spend, its reconciliation with the bill, idle capacity."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from aifactory.finance.options import OPTION_NAMES
from aifactory.inputs.billing import NO_ACCELERATOR, UNATTRIBUTED
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.report import charts
from aifactory.report.blocks import (
    Block,
    Col,
    Figure,
    Group,
    figure,
    group,
    missing,
    section,
    table,
)
from aifactory.report.text import join_words, pct, usd, usd_compact

BILL, POOLS = "billing table", "pools table"


def bill_total(inv: Inventory, column: str = "effective_cost") -> Decimal | None:
    """The bill of the month, or None without one."""
    lines = inv.spend_reconciliation
    return None if lines.empty else lines.set_index("line")[column]["bill"]


def chart_spend_by_team(ws: Workspace, inv: Inventory) -> Figure:
    """Effective cost by team."""
    teams = inv.spend[inv.spend["dimension"] == "team"].assign(cost_usd=lambda f: f["effective_cost"].astype("float64"))
    named = teams[teams["value"] != UNATTRIBUTED]
    top = named.iloc[0] if len(named) else teams.iloc[0]
    share = top["cost_usd"] / teams["cost_usd"].sum()
    return figure(
        charts.bars(
            teams, category="value", value="cost_usd", fmt="usd_compact", titles={"cost_usd": "Effective cost, USD"}
        ),
        title=f"Team {top['value']} carries {pct(share, 0)} of the bill",
        description="Bars of effective cost per team: "
        + join_words(f"{r.value} {usd_compact(r.cost_usd)}" for r in teams.itertuples()),
        caption="Effective cost; idle commitment, tax and credits have no consumer and stand with the unattributed.",
        source=BILL,
        as_of=ws.as_of,
    )


def spend_section(inv: Inventory) -> Block:
    """Where the money goes."""
    question = "Where does the money go?"
    total = bill_total(inv)
    if total is None:
        return section(question, "There is no bill of this month, so cost could not be computed.")
    chips = inv.spend[(inv.spend["dimension"] == "accelerator") & (inv.spend["value"] != NO_ACCELERATOR)]
    text = f"The bill is {usd(total, 2)} effective and {usd(bill_total(inv, 'billed_cost'), 2)} invoiced; the two are never added. "
    if len(chips):
        text += f"{chips.iloc[0]['value']} takes {pct(float(chips.iloc[0]['effective_cost'] / total), 0)} of it."
    return section(question, text)


def reconciliation(ws: Workspace, inv: Inventory) -> Group | Block:
    """From attributed usage to the bill, to the last digit."""
    lines = inv.spend_reconciliation
    if lines.empty:
        return missing("The reconciliation", "no bill")
    steps = lines.assign(amount_usd=lines["effective_cost"].astype("float64"))
    shown = steps[(steps["amount_usd"] != 0) | (steps["line"] == "bill")]
    chart = charts.waterfall(
        shown, label="line", amount="amount_usd", totals=["bill"], titles={"amount_usd": "Effective cost, USD"}
    )
    columns = {
        "line": Col("Line"),
        "effective_cost": Col("Effective cost, USD", "usd2"),
        "billed_cost": Col("Billed cost, USD", "usd2"),
        "charges": Col("Charges", "int"),
    }
    unclaimed = float(lines.set_index("line")["effective_cost"][["unattributed usage", "idle commitment"]].sum())
    return group(
        figure(chart, title=f"{usd_compact(unclaimed)} of the bill serves nobody by name",
               description="Steps from attributed usage to the bill: " + join_words(f"{r.line} {usd_compact(r.amount_usd)}" for r in shown.itertuples()),
               caption="The lines add up to the bill exactly.", source=BILL, as_of=ws.as_of),
        table(lines, caption="Reconciliation with the bill", source=BILL, as_of=ws.as_of, columns=columns,
              note="Commitment purchases are billed once and spread over used and unused hours, so their effective cost is zero."),
    )  # fmt: skip


def table_spend(ws: Workspace, inv: Inventory) -> Group | Block:
    """Spend by business unit, account, provider, accelerator and purchase option."""
    if inv.spend.empty:
        return missing("Spend by account and accelerator", "no bill")
    total = bill_total(inv)
    frame = inv.spend[~inv.spend["dimension"].isin(["team", "use_case"])].assign(
        share=lambda f: [float(cost / total) if total else np.nan for cost in f["effective_cost"]],
        dimension=lambda f: f["dimension"].str.replace("_", " "),
    )
    terms = frame["value"].map(OPTION_NAMES).fillna(frame["value"].str.replace("_", " "))
    frame["value"] = frame["value"].where(frame["dimension"] != "purchase option", terms)
    columns = {
        "dimension": Col("By"),
        "value": Col("Value"),
        "effective_cost": Col("Effective cost, USD", "usd0"),
        "share": Col("Share", "pct1"),
        "accelerator_hours": Col("Accelerator-hours", "int"),
    }
    return table(
        frame,
        caption="Spend by business unit, account, provider, accelerator and purchase option",
        source=f"{BILL}; use_cases table",
        as_of=ws.as_of,
        columns=columns,
        note="Business unit: of the tag or the account map, else of the use case that is charged, else the only one of the use cases of its team.",
    )


def table_pools(ws: Workspace, inv: Inventory) -> Block:
    """Utilisation, power, queue and idle money per pool."""
    if inv.pools.empty:
        return missing("Utilisation, power and queues of pools", "no pool readings")
    columns = {
        "pool_id": Col("Pool"),
        "region": Col("Region"),
        "accelerator_id": Col("Accelerator as labelled"),
        "purchase_option": Col("Terms"),
        "installed": Col("Installed", "int"),
        "utilization_mean": Col("Utilisation", "pct0"),
        "utilization_p95": Col("p95 of days", "pct0"),
        "power_w_mean": Col("Power, W", "int"),
        "energy_kwh": Col("Energy, kWh", "int"),
        "queue_depth_mean": Col("Queue", "num2"),
        "paid_usd": Col("Paid, USD", "usd0"),
        "idle_usd": Col("Idle, USD", "usd0"),
        "priced_by": Col("Priced by"),
        "label_note": Col("Label in doubt"),
    }
    frame = inv.pools.sort_values(["region", "idle_usd"], ascending=[True, False], na_position="last")
    frame = frame.assign(purchase_option=frame["purchase_option"].map(OPTION_NAMES).fillna(frame["purchase_option"]))
    return table(frame, caption="Accelerator pools in the month", source=POOLS, as_of=ws.as_of, columns=columns, max_rows=15, groups=["region"],
                 note="Idle money is the idle share of what was paid: the pool's own charges with its unused commitment, else its hours at the accelerator's effective rate in the bill.")  # fmt: skip
