"""Value and cost since approval against the plan, and when the plan pays back as things stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from aifactory.buyplan.releases import PLACE
from aifactory.finance.cashflow import NOTHING, payback_or_why
from aifactory.fleet.placed import BOUGHT, OWN_SITE
from aifactory.inputs.billing import UNATTRIBUTED, accelerator_charges, plan_regions
from aifactory.inputs.hosted import HOSTED
from aifactory.inputs.plan import Region
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.hosted_today import sells_models
from aifactory.inventory.spend import USAGE
from aifactory.review.monthly import realised_value
from aifactory.review.own_kit import depreciation_usd, on_own_sites

#: Charges of a bill under a commitment, used or not.
COMMITTED = ("committed", "committed_unused")
#: Money of a plan by month.
CASH = ["value_usd", "cost_usd", "compute_usd", "storage_network_usd", "running_usd", "cash_usd", "outlay_usd"]
LOWEST = "lowest net cash, cumulated"
PAYBACK_COLUMNS = ["figure", "plan", "as_it_stands", "unit"]
#: Months and use cases of `hosted_until`; nothing is to move.
NO_MOVES = pd.MultiIndex.from_arrays([[], []], names=["month", "use_case_id"])


def hosted_until(approved: pd.DataFrame) -> pd.MultiIndex:
    """Months and use cases in which the approved plan leaves on a hosted model what it moves to accelerators later: outside its cost and value."""
    hosted, works = approved["accelerator_id"] == HOSTED, approved["units"] > 0
    moves = approved["use_case_id"].isin(approved.loc[~hosted, "use_case_id"])
    there, moved = (pd.MultiIndex.from_frame(approved.loc[rows, NO_MOVES.names].astype("str")) for rows in (hosted & moves, ~hosted & works))  # fmt: skip
    return there.difference(moved)


def roi_to_date(
    ws: Workspace, inventory: Inventory, approved: pd.DataFrame, apart: pd.MultiIndex = NO_MOVES
) -> pd.DataFrame:
    """Value and bill per month since the plan began, actual beside plan, cumulated.

    With a plan both are those of its use cases: without the value of others and the charges that name them, nor those of the months and
    use cases of `apart` (`hosted_until`).
    `off_bill_usd` is the planned running cost of accelerators that stand on an own site and on no bill,
    `spread_usd` the part of the bill that spreads prepayments and purchases over their terms and lives, and
    `storage_network_usd` the part that clouds charge for storage and network.
    """
    value = realised_value(ws, inventory)
    cost = inventory.spend_monthly.groupby("month")["effective_cost_usd"].sum()
    if len(approved):
        value = value[value["use_case_id"].isin(approved["use_case_id"]) & ~_in(value, "use_case_id", apart)]
        others = charges_of_others(ws.table("billing"), approved["use_case_id"], apart)
        cost = cost - others.reindex(cost.index, fill_value=0.0)
    value = value.groupby("month")["value_usd"].sum(min_count=1)
    table = pd.DataFrame({"value_usd": value, "bill_usd": cost})
    if len(approved):
        planned = approved.groupby("month")[["cost_usd", "value_usd"]].sum(min_count=1)
        table = table.join(
            planned.rename(columns={"cost_usd": "planned_cost_usd", "value_usd": "planned_value_usd"}), how="inner"
        )
    table = table[table.index <= ws.period].rename_axis("month")
    bill, book = ws.table("billing"), ws.table("commitments")
    wear = depreciation_usd(bill, book, ws.plan.regions)
    runs = bill[
        ~((wear > 0) & (wear >= bill["EffectiveCost"].astype("float64")))
    ]  # depreciation alone charges no power
    unbilled = off_bill(approved, runs, book, ws.plan.regions, ws.table("pools"))
    table["off_bill_usd"] = unbilled.reindex(table.index, fill_value=0.0)
    worn = wear.groupby(bill["invoice_month"]).sum()
    prepaid = spread_on_bill(bill, book, table.index, ws.plan.regions)
    table["spread_usd"] = prepaid + worn.reindex(table.index, fill_value=0.0)
    mine = bill[~_of_others(bill, approved["use_case_id"], apart)] if len(approved) else bill
    stored = storage_network(mine, ws.plan.regions)
    table["storage_network_usd"] = stored.reindex(table.index, fill_value=0.0)
    table = table.reset_index()
    net = (table["value_usd"] - table["bill_usd"]).cumsum()
    return table.assign(cumulative_net_usd=net)


def update_payback(approved: pd.DataFrame, to_date: pd.DataFrame, orders: pd.DataFrame, period: str) -> pd.DataFrame:
    """Payback and result over the horizon, as approved and as it stands, columns `PAYBACK_COLUMNS`.

    What no bill shows (staff, integration, contingency: planned cost less planned compute; energy, space and support of
    own accelerators) counts as planned, storage and network traffic as far as they are not charged; outlays to date are those of the order book, and what a bill spreads of them is
    not counted again. Months to come have the planned value times the ratio of actual to planned so far, the planned
    outlays and the planned running cost (all that is not paid once and not spread) times the ratio of it so far;
    outlays that were planned to date and not made are still to come. Payback is in cash before tax, undiscounted,
    interpolated and counted from approval; there is none where the cumulated cash is never below zero.

    Parameters
    ----------
    approved : the plan in calendar months; a plan without cash columns has no payback.
    to_date : from `roi_to_date` on it.
    orders : the `commitments` table.
    """
    seen = to_date[["value_usd", "bill_usd"]].notna().all(axis=1) if len(to_date) else pd.Series(dtype=bool)
    if approved.empty or not seen.any() or approved["value_usd"].isna().all():
        return pd.DataFrame(columns=PAYBACK_COLUMNS)
    plan = _with_cash(approved).groupby("month")[CASH].sum(min_count=1)
    plan["storage_network_usd"] = plan["storage_network_usd"].fillna(0.0)
    done = to_date[seen].set_index("month")
    inside, later = plan.loc[done.index], plan.index > period
    paid = outlays(orders, done.index)
    other = inside["cost_usd"] - inside["compute_usd"]
    other -= np.minimum(inside["storage_network_usd"], done.get("storage_network_usd", 0.0))
    cost = done["bill_usd"] + other + done.get("off_bill_usd", 0.0)
    running, ran = plan["running_usd"], cost - done.get("spread_usd", 0.0)
    ratios = done["value_usd"].sum() / inside["value_usd"].sum(), ran.sum() / running[done.index].sum()
    planned = plan["value_usd"] - plan["cash_usd"]
    to_come = plan["value_usd"] * ratios[0] - plan["outlay_usd"] - running * ratios[1]
    stands = to_come.where(later)
    stands.loc[done.index] = done["value_usd"] - ran - paid
    stands = stands.fillna(planned)  # a month without a bill stands as planned
    if later.any():
        stands[stands.index[later][0]] -= inside["outlay_usd"].sum() - paid.sum()
    rows = [
        ("value to date", inside["value_usd"].sum(), done["value_usd"].sum(), "USD"),
        ("cost to date, all lines", inside["running_usd"].sum(), ran.sum(), "USD"),
        ("outlays to date", inside["outlay_usd"].sum(), paid.sum(), "USD"),
        ("net cash to date", planned[done.index].sum(), stands[done.index].sum(), "USD"),
        ("net cash over the horizon, before tax", planned.sum(), stands.sum(), "USD"),
        (LOWEST, _lowest(planned), _lowest(stands), "USD"),
        ("payback", _payback(planned), _payback(stands), "months from approval"),
    ]
    return pd.DataFrame(rows, columns=PAYBACK_COLUMNS)


def outlays(orders: pd.DataFrame, months: pd.Index) -> pd.Series:
    """Paid once for accelerators by month: purchases at their order, prepayments at the start of their term, USD."""
    once = orders.dropna(subset=["upfront_usd"])
    month = once["order_month"].where(once["purchase_option"] == "purchase", once["start_month"])
    return once.groupby(month)["upfront_usd"].sum().reindex(months, fill_value=0.0)


def charges_of_others(bill: pd.DataFrame, planned: pd.Series, apart: pd.MultiIndex = NO_MOVES) -> pd.Series:
    """Effective cost by month of usage that names a use case which the plan does not hold, or not in that month (`apart`), USD."""
    return bill[_of_others(bill, planned, apart)].groupby("invoice_month")["EffectiveCost"].sum().astype("float64")


def _of_others(bill: pd.DataFrame, planned: pd.Series, apart: pd.MultiIndex) -> pd.Series:
    others = ~bill["use_case"].isin(planned) | _in(bill, "use_case", apart)
    return bill["cost_line"].isin(USAGE) & (bill["use_case"] != UNATTRIBUTED) & others


def _in(rows: pd.DataFrame, name: str, apart: pd.MultiIndex) -> np.ndarray:
    """Which rows are of a month and use case of `apart`."""
    return pd.MultiIndex.from_frame(rows[["month", name]].astype("str")).isin(apart)


def off_bill(
    approved: pd.DataFrame,
    bill: pd.DataFrame,
    book: pd.DataFrame,
    regions: Sequence[Region] = (),
    pools: pd.DataFrame | None = None,
) -> pd.Series:
    """Planned running cost by month of bought and leased accelerators in service that the month's bill does not charge.

    Hours that were to be rented beside them are none of it: nobody has charged them.
    In service is what stands by the order book, and what readings of bought pools show in that month.
    It charges those it has hours of, in the region of `regions` that it names, in all where that is not known: accelerators
    rented in one region do not hide those that stand in another. And those of a pool that a charge names (ResourceId), as the
    invoice of a lessor does, which states no hours. What else is charged of an own site (`site_charges`) is taken for energy,
    space and support of what stands there, as far as it goes.
    """
    if "outlay_usd" not in approved:
        return pd.Series(dtype="float64")
    hourly = approved["hourly_usd"].fillna(0.0) if "hourly_usd" in approved else 0.0
    rows = approved.assign(usd=approved["compute_cash_usd"] - approved["outlay_usd"] - hourly)
    mine = _in_service(rows, book, pools).drop_duplicates(["month", "use_case_id", *PLACE])
    charged = bill[accelerator_charges(bill)]
    where = plan_regions(charged, regions) if len(regions) else ""
    billed = charged.assign(region=where)[["month", "accelerator_id", "region"]]
    if pools is not None:
        billed = pd.concat([billed, _charged_pools(bill, pools)[billed.columns]])
    billed = pd.MultiIndex.from_frame(billed)
    keys = [mine.assign(region=region)[billed.names] for region in (mine["region"], "")]
    mine = mine[~np.any([pd.MultiIndex.from_frame(key).isin(billed) for key in keys], axis=0)]
    unbilled = mine.groupby(["month", "region"])["usd"].sum()
    covered = site_charges(bill, regions).reindex(unbilled.index, fill_value=0.0) if len(regions) else 0.0
    return (unbilled - covered).clip(lower=0.0).groupby("month").sum()


def _in_service(rows: pd.DataFrame, book: pd.DataFrame, pools: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of months and places in which bought or leased accelerators stand: by an order, or read in a bought pool."""
    ordered = rows.merge(book[book["purchase_option"].isin(OWN_SITE)][[*PLACE, "start_month", "end_month"]], on=PLACE)
    ended = ordered["end_month"].notna() & (ordered["month"] >= ordered["end_month"])
    ordered = ordered[(ordered["start_month"] <= ordered["month"]) & ~ended]
    if pools is None:
        return ordered
    bought = pools[(pools["purchase_option"] == BOUGHT) & (pools["installed"] > 0)]
    read = bought[PLACE].assign(month=bought["window_start_utc"].dt.strftime("%Y-%m")).drop_duplicates()
    return pd.concat([ordered, rows.merge(read, on=["month", *PLACE])])


def site_charges(bill: pd.DataFrame, regions: Sequence[Region]) -> pd.Series:
    """Usage other than accelerators and hosted models that sellers who are no cloud provider of a region charge there, USD by month and region."""
    rows = bill[bill["cost_line"].isin(USAGE) & ~accelerator_charges(bill)]
    rows = rows[~sells_models(rows)]
    rows = rows.assign(region=plan_regions(rows, regions))
    return rows[on_own_sites(rows, regions)].groupby(["month", "region"])["EffectiveCost"].sum().astype("float64")


def storage_network(bill: pd.DataFrame, regions: Sequence[Region] = ()) -> pd.Series:
    """Usage of storage and network that is no charge of an own site (`site_charges`), USD by month."""
    rows = bill[bill["cost_line"].isin(USAGE) & bill["ServiceCategory"].isin(("Storage", "Networking"))]
    rows = rows[~on_own_sites(rows.assign(region=plan_regions(rows, regions)), regions)] if len(regions) else rows
    return rows.groupby("invoice_month")["EffectiveCost"].sum().astype("float64").clip(lower=0.0)


def _charged_pools(bill: pd.DataFrame, pools: pd.DataFrame) -> pd.DataFrame:
    """Month, accelerator and region of the pools that charges of usage name."""
    named = bill.loc[bill["cost_line"].isin(USAGE) & bill["EffectiveCost"].gt(0), ["month", "ResourceId"]]
    places = pools[["pool_id", "accelerator_id", "region"]].drop_duplicates()
    return named.drop_duplicates().merge(places, left_on="ResourceId", right_on="pool_id")


def spread_on_bill(
    bill: pd.DataFrame, book: pd.DataFrame, months: pd.Index, regions: Sequence[Region] = ()
) -> np.ndarray:
    """Prepayments over the months of their terms, as far as the bill charges that accelerator there under a commitment, USD by month.

    Charges that name no region of the plan (`plan_regions`) cover what those of the regions leave, in any of them.
    """
    terms = book[book["upfront_usd"].gt(0) & (book["purchase_option"] != BOUGHT) & book["end_month"].notna()]
    held = bill[bill["purchase_option"].isin(COMMITTED)]
    held = held.assign(region=plan_regions(held, regions) if len(regions) else "")
    charged = held.groupby(["accelerator_id", "region", "invoice_month"])["EffectiveCost"].sum().astype("float64")
    charged = charged.clip(lower=0.0).unstack("invoice_month", fill_value=0.0).reindex(columns=months, fill_value=0.0)
    total = np.zeros(len(months))
    for accelerator, orders in terms.groupby("accelerator_id"):
        left = np.zeros(len(months))
        for region, rows in orders.groupby("region"):
            spread = np.zeros(len(months))
            for row in rows.itertuples(index=False):
                count = (pd.Period(row.end_month, "M") - pd.Period(row.start_month, "M")).n
                spread += ((months >= row.start_month) & (months < row.end_month)) * row.upfront_usd / count
            found = np.minimum(spread, _charges(charged, accelerator, region, months))
            total, left = total + found, left + spread - found
        total += np.minimum(left, _charges(charged, accelerator, "", months))
    return total


def _charges(charged: pd.DataFrame, accelerator: str, region: str, months: pd.Index) -> np.ndarray:
    """Row of an accelerator and region, USD by month; zeros without one."""
    key = (accelerator, region)
    return charged.loc[key].to_numpy(dtype=float) if key in charged.index else np.zeros(len(months))


def _with_cash(approved: pd.DataFrame) -> pd.DataFrame:
    """The plan with its cash of all lines; NaN in a plan that was approved without it."""
    if "storage_network_usd" not in approved:
        approved = approved.assign(storage_network_usd=0.0)
    if "outlay_usd" not in approved:
        return approved.assign(running_usd=approved["cost_usd"], cash_usd=np.nan, outlay_usd=np.nan)
    cash = approved["cost_usd"] - approved["compute_usd"] + approved["compute_cash_usd"]
    return approved.assign(running_usd=cash - approved["outlay_usd"], cash_usd=cash)


def _payback(net: pd.Series) -> float:
    """Months from approval until the cumulated cash stays at or above zero; NaN if never, not known, or never below it."""
    return payback_or_why([0.0, *net])[0] if net.notna().all() else np.nan


def _lowest(net: pd.Series) -> float:
    """Lowest cumulated cash, 0 at approval: where it is 0 there is nothing to pay back; NaN where not known."""
    if net.isna().any():
        return np.nan
    return 0.0 if payback_or_why([0.0, *net])[1] == NOTHING else float(net.cumsum().min())
