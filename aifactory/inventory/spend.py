"""The bill by team, account, accelerator and option, and its reconciliation to the last digit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pandas as pd

from aifactory.errors import IdentityError
from aifactory.inputs.billing import NO_ACCELERATOR, UNATTRIBUTED, accelerator_charges, plan_regions
from aifactory.inputs.money import ZERO, exact_total, sum_exact
from aifactory.inputs.plan import Region

DIMENSIONS = {
    "team": "team",
    "business_unit": "business_unit",
    "account": "account",
    "provider": "ProviderName",
    "accelerator": "accelerator_id",
    "purchase_option": "purchase_option",
    "use_case": "use_case",
}
#: Lines of the reconciliation, in reading order.
COST_LINES = (
    "attributed usage",
    "unattributed usage",
    "idle commitment",
    "commitment purchase",
    "adjustment and correction",
    "credit",
    "tax",
)
OWNERLESS = ("idle commitment", "commitment purchase", "credit", "tax")
USAGE = ("attributed usage", "unattributed usage")
CONSUMERS = ("team", "business_unit", "use_case")
MONEY = ["EffectiveCost", "BilledCost"]


def spend_by_dimension(billing: pd.DataFrame) -> pd.DataFrame:
    """Exact cost per value of each dimension.

    Idle commitment, commitment purchases, tax and credits have no consumer: in the dimensions of
    `CONSUMERS` they stand under '(unattributed)', also where they carry a tag.

    Returns
    -------
    Columns dimension, value, effective_cost, billed_cost (Decimal), accelerator_hours.
    """
    parts = []
    ownerless = billing["cost_line"].isin(OWNERLESS)
    for dimension, column in DIMENSIONS.items():
        owned = billing
        if dimension in CONSUMERS:
            owned = billing.assign(**{column: billing[column].mask(ownerless, UNATTRIBUTED)})
        sums = sum_exact(owned, column, MONEY)
        hours = owned.groupby(owned[column].fillna("(none)"))["accelerator_hours"].sum()
        parts.append(
            pd.DataFrame(
                {
                    "dimension": dimension,
                    "value": sums[column],
                    "effective_cost": sums["EffectiveCost"],
                    "billed_cost": sums["BilledCost"],
                    "accelerator_hours": hours.reindex(sums[column]).to_numpy(),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    for dimension, group in table.groupby("dimension"):
        _must_equal(
            f"spend by {dimension}", exact_total(group["effective_cost"]), exact_total(billing["EffectiveCost"])
        )
    return table


def with_business_units(billing: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """The bill, where charges without a business unit have that of their use case, else the only one of their team's use cases.

    Parameters
    ----------
    cases : `use_cases` table: use_case_id, team, business_unit.
    """
    of_case = cases.set_index("use_case_id")["business_unit"]
    pairs = cases[["team", "business_unit"]].drop_duplicates()
    of_team = pairs.drop_duplicates("team", keep=False).set_index("team")["business_unit"]
    told = billing["use_case"].map(of_case).astype("object").fillna(billing["team"].map(of_team)).fillna(UNATTRIBUTED)
    units = billing["business_unit"]
    return billing.assign(business_unit=units.where(units != UNATTRIBUTED, told).astype(units.dtype))


def reconcile(billing: pd.DataFrame) -> pd.DataFrame:
    """Split the bill into lines that add up to it exactly.

    Effective cost is what usage costs with commitments spread over it; billed cost is what the
    invoice says. The two are shown side by side and never added.
    """
    sums = sum_exact(billing, "cost_line", MONEY).set_index("cost_line")
    rows = [
        {
            "line": line,
            "effective_cost": sums["EffectiveCost"].get(line, ZERO),
            "billed_cost": sums["BilledCost"].get(line, ZERO),
            "charges": int((billing["cost_line"] == line).sum()),
        }
        for line in COST_LINES
    ]
    table = pd.DataFrame(rows)
    for column, source in (("effective_cost", "EffectiveCost"), ("billed_cost", "BilledCost")):
        _must_equal(column, exact_total(table[column]), exact_total(billing[source]))
    total = {"line": "bill", "charges": len(billing)} | {
        column: exact_total(table[column]) for column in ("effective_cost", "billed_cost")
    }
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)


def monthly_spend(billing: pd.DataFrame) -> pd.DataFrame:
    """Effective cost per invoice month and purchase option, USD."""
    invoiced = billing.assign(month=billing["invoice_month"])
    sums = sum_exact(invoiced, ["month", "purchase_option"], ["EffectiveCost"])
    table = sums.assign(effective_cost_usd=sums["EffectiveCost"].astype("float64"))
    return table.drop(columns="EffectiveCost").sort_values(["month", "purchase_option"], ignore_index=True)


def use_case_cost(billing: pd.DataFrame) -> pd.Series:
    """Effective cost of the usage that names its use case, USD; a team need not be named."""
    tagged = billing[(billing["use_case"] != UNATTRIBUTED) & billing["cost_line"].isin(USAGE)]
    return tagged.groupby("use_case")["EffectiveCost"].agg(exact_total).astype("float64")


def charged_rows(billing: pd.DataFrame, monthly: pd.DataFrame, regions: Sequence[Region]) -> pd.Series:
    """Rows of the demand of a month that the attributed cost of their use case pays for: those of the regions of the plan that its charges name.

    Work of another region runs on kit that its charges do not show, own or untagged. All rows of a use case count where one of its
    charges names no region of the plan, as of many hosted models, or where none of its regions with units has a charge.

    Parameters
    ----------
    billing : charges of a month.
    monthly : `demand_by_month` of that month.
    """
    used = billing[(billing["use_case"] != UNATTRIBUTED) & billing["cost_line"].isin(USAGE)]
    if used.empty:
        return pd.Series(data=True, index=monthly.index)
    named = pd.MultiIndex.from_arrays([used["use_case"].astype("str"), plan_regions(used, regions)])
    there = pd.Series(
        pd.MultiIndex.from_frame(monthly[["use_case_id", "region"]].astype("str")).isin(named), monthly.index
    )
    elsewhere = monthly["use_case_id"].isin([case for case, region in named.unique() if region == ""])
    served = (there & (monthly["units"] > 0)).groupby(monthly["use_case_id"]).transform("any").astype(bool)
    return there | elsewhere | ~served


def units_charged(billing: pd.DataFrame, monthly: pd.DataFrame, regions: Sequence[Region]) -> pd.Series:
    """Units of each use case that its attributed cost pays for, see `charged_rows`."""
    kept = monthly["units"].where(charged_rows(billing, monthly, regions))
    return kept.groupby(monthly["use_case_id"]).sum(min_count=1)


def accelerator_rate(billing: pd.DataFrame) -> pd.Series:
    """Effective USD per accelerator-hour by accelerator, over usage rows that name one."""
    usage = billing[(billing["accelerator_id"] != NO_ACCELERATOR) & accelerator_charges(billing)]
    cost = usage.groupby("accelerator_id")["EffectiveCost"].agg(exact_total).astype("float64")
    return cost / usage.groupby("accelerator_id")["accelerator_hours"].sum()


def _must_equal(what: str, parts: Decimal, total: Decimal) -> None:
    if parts != total:
        msg = f"{what} adds up to {parts}, the bill to {total}"
        raise IdentityError(msg)


def place_rates(billing: pd.DataFrame, regions: Sequence[Region]) -> pd.DataFrame:
    """Accelerator-hours and their effective cost by accelerator, region of the plan and whether a commitment covers them.

    A charge stands in the region of the plan that it names, or that its provider's region belongs to; in "" where that
    is none or several.

    Returns
    -------
    Columns accelerator_id, region, committed, accelerator_hours (h), usd.
    """
    usage = billing[(billing["accelerator_id"] != NO_ACCELERATOR) & accelerator_charges(billing)]
    placed = usage.assign(
        region=plan_regions(usage, regions),
        committed=usage["purchase_option"] == "committed",
        usd=usage["EffectiveCost"].astype("float64"),
    )
    keys = ["accelerator_id", "region", "committed"]
    return placed.groupby(keys, as_index=False)[["accelerator_hours", "usd"]].sum()
