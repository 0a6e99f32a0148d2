"""What a refresh keeps for the next one: figures of every month as they were told, and what of them has changed since.

A bill that comes late, or one replaced in place, changes months that were reported already. Nothing in the data says
so; the report that was made first does. It publishes `figures_held`, which the refresh of the next month compares.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.finance.prices import KEYS, offers_of, price_table
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.review.order_log import orders_held

HELD_COLUMNS = ["what", "month", "subject", "value", "unit"]
RESTATED_COLUMNS = ["month", "what", "subject", "told", "now", "change", "unit"]
BILL, DEMAND, PRICE = "bill", "demand", "price"
#: Money columns of a price and their units.
PRICE_UNITS = {"usd_per_accelerator_hour": "USD/h", "usd_per_accelerator": "USD"}
#: A smaller share is rounding of a file of decimals.
LEAST_CHANGE = 1e-9
#: The same of training: jobs that run at the end of a month are known up to the last row of its table alone.
LEAST_CHANGE_OF_JOBS, JOBS_UNIT = 1e-3, "accelerator_hour"


def figures_held(ws: Workspace, inventory: Inventory) -> pd.DataFrame:
    """Bill and demand of every month up to the reporting month, and the prices that held at its end.

    Returns
    -------
    Columns `HELD_COLUMNS`: bill (USD, effective) by month; demand (service units) by month and use case; prices
    by accelerator, region and way to pay, of the reporting month.
    """
    bill = inventory.spend_monthly.groupby("month")["effective_cost_usd"].sum()
    rows = [(BILL, str(month), "", float(value), "USD") for month, value in bill.items()]
    units = inventory.demand_monthly.groupby(["month", "use_case_id", "service_unit"])["units"].sum()
    rows += [(DEMAND, month, case, float(value), unit) for (month, case, unit), value in units.items()]
    rows += [(PRICE, ws.period, subject, value, unit) for (subject, unit), value in known_prices(ws, ws.period).items()]
    table = pd.DataFrame(rows, columns=HELD_COLUMNS)
    orders = pd.DataFrame(orders_held(ws.table("commitments")), columns=HELD_COLUMNS)
    return pd.concat([table[table["month"] <= ws.period], orders], ignore_index=True)


def known_prices(ws: Workspace, month: str) -> dict[tuple[str, str], float]:
    """Cheapest offers noted by the end of a month, by subject ("accelerator, region, way to pay") and unit."""
    day = pd.Period(month, "M").end_time.date()
    offers = offers_of(ws)
    known = offers[offers["as_of"] <= pd.Timestamp(day)]
    if known.empty:
        return {}
    table = price_table(known, ws.plan, day)
    return {
        (", ".join(key), unit): float(value)
        for name, unit in PRICE_UNITS.items()
        for *key, value in table[[*KEYS, name]].itertuples(index=False)
        if np.isfinite(value)
    }


def told_prices(told: pd.DataFrame | None) -> dict[tuple[str, str], float]:
    """Prices as the report of the month before told them; empty where it is not there."""
    if told is None or told.empty:
        return {}
    rows = told[told["what"] == PRICE]
    return {(row.subject, row.unit): float(row.value) for row in rows.itertuples()}


def months_restated(held: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """Bill and demand of earlier months that are not what they were when told first.

    Parameters
    ----------
    held, told : `figures_held` of now and of the first report of the month before, of which months count that both
        could know. What one of them lacks counts as zero there. Accelerator-hours of training that moved by less than
        0.1 % are jobs that ran on and are left out.

    Returns
    -------
    Columns `RESTATED_COLUMNS`, bills first, then by month and size; `change` is now less told.

    >>> told = pd.DataFrame([("bill", "2026-09", "", 100.0, "USD")], columns=HELD_COLUMNS)
    >>> months_restated(told.assign(value=112.5), told)[["month", "told", "now", "change"]].values.tolist()
    [['2026-09', 100.0, 112.5, 12.5]]
    """
    keys = ["month", "what", "subject", "unit"]
    sides = [side[side["what"].isin([BILL, DEMAND])].fillna({"subject": ""}) for side in (told, held)]
    if sides[0].empty:
        return pd.DataFrame(columns=RESTATED_COLUMNS)
    sides[1] = sides[1][sides[1]["month"] <= sides[0]["month"].max()]
    both = sides[0].merge(sides[1], how="outer", on=keys, suffixes=("_told", "_now"))
    both = both.rename(columns={"value_told": "told", "value_now": "now"}).fillna({"told": 0.0, "now": 0.0})
    both["change"] = both["now"] - both["told"]
    least = np.where(both["unit"] == JOBS_UNIT, LEAST_CHANGE_OF_JOBS, LEAST_CHANGE)
    moved = both[both["change"].abs() > least * both[["told", "now"]].abs().max(axis=1)]
    moved = moved.assign(size=moved["change"].abs(), later=moved["what"] != BILL)
    order = moved.sort_values(
        ["later", "month", "size"], ascending=[True, True, False], kind="stable", ignore_index=True
    )
    return order[RESTATED_COLUMNS]
