"""Checks of the bill: charges twice, of another month, below zero, far above all others, of accelerators without hours or with hours of another unit."""

from __future__ import annotations

from collections.abc import Iterator

from aifactory.inputs.billing import DISCOUNT, NO_ACCELERATOR, hours_of
from aifactory.inputs.findings import Finding, Tables, rows_found
from aifactory.inputs.months import month_of
from aifactory.inputs.plan import Plan
from aifactory.inputs.price_checks import RENT, bundled_prices

#: A charge this many times all others of its month together is a slip of digits or of a currency; usage below zero is one from this
#: share of them on, since providers write discounts of cents as usage. In a month of so many charges.
OUTWEIGHS, NEGATIVE, CHARGES = 10, 0.01, 6
#: An hour of an accelerator that costs so many times the dearest offer, or that part of the cheapest (own kit costs its power alone),
#: is counted in another unit: minutes are 60 to the hour.
TOO_DEAR, TOO_CHEAP = 5.0, 25.0


def bill_rows_once(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Identical charges may be a bill imported twice."""
    frame = tables["billing"]
    bad = frame.duplicated() & (frame["ChargeCategory"] == "Usage")
    rule = "is identical to an earlier charge; it is counted, check for a double import"
    yield from rows_found(frame, bad, "billing", "bill_rows_once", "warned", "ChargeDescription", rule)


def bill_in_its_month(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Usage billed in another month counts in the bill of its invoice and in the unit cost of its month."""
    frame = tables["billing"]
    bad = month_of(frame["ChargePeriodStart"]) != month_of(frame["BillingPeriodStart"])
    rule = "usage of another month than the invoice; part of this bill, and of the unit cost of its own month"
    yield from rows_found(frame, bad, "billing", "bill_in_its_month", "warned", "ChargePeriodStart", rule)
    early, rule = frame["ChargePeriodEnd"] < frame["ChargePeriodStart"], "is before ChargePeriodStart"
    yield from rows_found(frame, early, "billing", "bill_in_its_month", "failed", "ChargePeriodEnd", rule)


def charges_plausible(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Usage below zero corrects something, and no single charge outweighs the rest of its month, outlays of purchases aside."""
    frame = tables["billing"]
    usage = (frame["ChargeCategory"] == "Usage") & ~(frame["ChargeClass"] == "Correction").fillna(value=False)
    for column in ("BilledCost", "EffectiveCost"):
        usd = frame[column].astype("float64")
        months = usd.abs().groupby(month_of(frame["BillingPeriodStart"]))
        others = (months.transform("sum") - usd.abs()).where(months.transform("count") >= CHARGES)
        negative = usage & (usd < -NEGATIVE * others)
        rule = "usage below zero, and no correction (ChargeClass) or credit (ChargeCategory); it is counted, check its sign"
        yield from rows_found(frame, negative, "billing", "charges_plausible", "warned", column, rule)
        outlay = (frame["ChargeCategory"] == "Purchase") & (usd > 0)
        heavy = ~negative & ~outlay & (usd.abs() > OUTWEIGHS * others)
        rule = f"more than {OUTWEIGHS} times all other charges of its month together; check its digits and currency"
        yield from rows_found(frame, heavy, "billing", "charges_plausible", "warned", column, rule)


def accelerators_have_hours(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """What an hour of an accelerator costs, and what it worked on, needs charges that count hours."""
    frame = tables["billing"]
    named = (frame["accelerator_id"] != NO_ACCELERATOR) & (frame["purchase_option"] != DISCOUNT)
    named &= ~(frame["ChargeClass"] == "Correction").fillna(value=False)
    bad = named & frame["accelerator_hours"].isna() & (frame["EffectiveCost"].astype("float64") > 0)
    rule = "the charge names an accelerator, but its unit is no time: its money counts and its hours do not; write Hours of the machine or GPU-Hours of its accelerators"
    yield from rows_found(frame, bad, "billing", "accelerators_have_hours", "warned", "ConsumedUnit", rule)
    nameless = hours_of(frame["ConsumedUnit"])[1] & (frame["accelerator_id"] == NO_ACCELERATOR)
    nameless &= (frame["ChargeCategory"] == "Usage") & (frame["CommitmentDiscountStatus"] != "Unused").fillna(
        value=True
    )
    rule = "hours of accelerators, but neither SkuMeter, SkuId nor this text names one of the catalogue in its memory size: its money counts and its hours do not; add its name to accelerator_aliases.csv"
    yield from rows_found(frame, nameless, "billing", "accelerators_have_hours", "warned", "ChargeDescription", rule)


def hours_cost_like_offers(tables: Tables, _plan: Plan) -> Iterator[Finding]:
    """Hours of an accelerator, all charges of a provider and unit together, cost about what somebody asks for them."""
    bill = tables["billing"]
    usd = bill["EffectiveCost"].astype("float64")
    mine = (bill["ChargeCategory"] == "Usage") & (bill["accelerator_hours"] > 0) & (usd > 0)
    rows = bill[mine].assign(usd=usd[mine], row=bill.index[mine])
    keys = ["ProviderName", "accelerator_id", "ConsumedUnit"]
    sums = rows.groupby(keys, as_index=False).agg(
        usd=("usd", "sum"), hours=("accelerator_hours", "sum"), row=("row", "first")
    )
    rents = bundled_prices().groupby("accelerator_id")[RENT].agg(["min", "max"]).dropna()
    for item in sums[sums["accelerator_id"].isin(rents.index)].itertuples(index=False):
        low, high = rents.loc[item.accelerator_id]
        each = item.usd / item.hours
        if not low / TOO_CHEAP <= each <= high * TOO_DEAR:
            rule = (
                f"an accelerator-hour of {item.accelerator_id} from {item.ProviderName} comes to USD {each:.4g} in all charges of this unit, where "
                f"offers ask {low:.4g} to {high:.4g}: is the unit of ConsumedQuantity, or the number of accelerators, another one?"
            )
            yield Finding(
                "billing",
                "hours_cost_like_offers",
                "warned",
                rule,
                int(item.row) + 2,
                "ConsumedUnit",
                str(item.ConsumedUnit),
            )
