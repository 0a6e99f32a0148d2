"""Steps of the plan that wait for demand: what is added after the first month, and the load that releases it.

A step is either more capacity (the pool's fleet rises above what it held, or had standing from orders before the plan, in
any month before) or a commitment (an order that is not signed at approval). The leading indicator is the average of accelerators at
work in the pool; the threshold is the load that the plan expected in the month of the order, or in the month in which an order
goes to work that replaces what ends then, since its work is elsewhere until then. So a step is due
when demand is where the plan assumed it to be, whether that is earlier or later than planned. An order that is there when a use
case starts is due on its date, since no load of today speaks for it; one that is there when a term ends, on its date at the latest.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.governance import BY_DATE, is_firm
from aifactory.inputs.contracts import load_contract
from aifactory.units import BANDS, HOURS_PER_MONTH

PLACE = ["region", "accelerator_id"]
CAPACITY, COMMITMENT = "capacity", "commitment"
EXPECTED = "expected"
RENTED = ("on_demand", "spot")
#: Source of orders that approval writes into the order book.
BY_APPROVAL = "buy plan approved for {}"
DIGITS = 6
#: After every month.
LAST = "9999-12"


def release_steps(
    fleet: pd.DataFrame, bands: pd.DataFrame, orders: pd.DataFrame, options: pd.DataFrame, period: str
) -> pd.DataFrame:
    """Steps of the expected scenario in the columns of the `approved_bands` contract, by order month.

    Parameters
    ----------
    fleet, bands, orders, options : tables of the buy plan. What is held in the first month or signed on approval is no step;
        `standing` of the fleet is what stands from orders before the plan, used or not; `options` says where hours are rented.
    period : month of the plan.
    """
    columns = load_contract("approved_bands").columns
    if fleet.empty:
        return pd.DataFrame(columns=columns)
    expected = fleet[fleet["scenario"] == EXPECTED].sort_values([*PLACE, "month"], ignore_index=True)
    first = expected["month"].min()
    load = expected.set_index([*PLACE, "month"])["average"]
    steps = pd.concat([_capacity(expected, orders), _commitments(orders)], ignore_index=True)
    steps = steps[steps["order_month"] > first]
    counted = steps[PLACE].assign(month=counted_in(steps))
    limits = load.reindex(pd.MultiIndex.from_frame(counted))
    steps = steps.assign(plan_period=period, threshold_accelerators=limits.to_numpy())
    steps = _named(steps, bands, options)
    order = ["order_month", *PLACE, "band", "kind", "purchase_option", "start_month"]
    return steps[columns].sort_values(order, ignore_index=True)


def counted_in(steps: pd.DataFrame) -> pd.Series:
    """Month of the plan whose work the load of each step counts: that of its order; that in which it goes to work where it replaces what ends then.

    The work of what ends is elsewhere until then: without it the load of a pool says nothing of an order for it.
    """
    if "starts_with" not in steps:
        return steps["order_month"]
    return steps["order_month"].where(steps["starts_with"].isna(), steps["start_month"])


def firm_orders_book(orders: pd.DataFrame, period: str, as_of: str) -> pd.DataFrame:
    """Orders that are signed on approval of a plan, in the columns of the `commitments` contract."""
    columns = load_contract("commitments").columns
    if orders.empty:
        return pd.DataFrame(columns=columns)
    firm = orders[is_firm(orders)].reset_index(drop=True)
    hours = firm["accelerators"] * firm["term_months"] * HOURS_PER_MONTH
    rent = (firm["commitment_usd"] - firm["upfront_usd"]) / hours.where(hours > 0)
    return firm.assign(
        order_id=[f"{period}-{number:02d}" for number in range(1, len(firm) + 1)],
        plan_period=period,
        end_month=firm["expires"].where(firm["expires"] != ""),
        usd_per_accelerator_hour=rent.round(DIGITS),
        upfront_usd=firm["upfront_usd"].round(2),
        source=BY_APPROVAL.format(period),
        as_of=as_of,
    )[columns]


def written_by_approval(book: pd.DataFrame, period: str) -> pd.Series:
    """Rows of an order book that `firm_orders_book` made of the plan of a month: by source, or by number."""
    number = book["order_id"].astype(str).str.fullmatch(rf"{period}-\d+")
    return (book["plan_period"] == period).fillna(value=False) & (
        number | (book["source"] == BY_APPROVAL.format(period))
    )


def _capacity(fleet: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Months in which a pool holds more than ever before, and more than stands by then; the band is the one that grew most.

    What orders from before the plan and those signed on approval deliver stands, and waits for no demand. A step is paid as the orders of that band that begin in that month where they hold half of it or more, else by the hour
    (`_named`).
    """
    places = [fleet[name] for name in PLACE]
    standing = fleet["standing"] + _signed(fleet, orders)
    held = np.maximum(fleet["accelerators"], standing)
    before = held.groupby(places).cummax().groupby(places).shift()
    more = (fleet["accelerators"] - np.maximum(before, standing)).fillna(0)
    grown = fleet[list(BANDS)].groupby(places).diff().fillna(0)
    rows = fleet[more > 0]
    band = np.array(BANDS)[grown.loc[rows.index].to_numpy().argmax(axis=1)] if len(rows) else []
    steps = rows[PLACE].assign(
        kind=CAPACITY, band=band, accelerators=more[rows.index].astype("int64"), order_month=rows["month"],
        start_month=rows["month"], lead_time_weeks=0.0, commitment_usd=0.0,
    )  # fmt: skip
    begins = [*PLACE, "band", "start_month"]
    signed = orders.groupby(begins).agg(signed=("accelerators", "sum"), option=("purchase_option", "first"))
    signed = signed.reindex(pd.MultiIndex.from_frame(steps[begins]))
    covered = 2 * signed["signed"].to_numpy() >= steps["accelerators"].to_numpy()
    return steps.assign(purchase_option=np.where(covered, signed["option"].fillna("").to_numpy(), ""))


def _signed(fleet: pd.DataFrame, orders: pd.DataFrame) -> np.ndarray:
    """Accelerators of each row of the fleet that orders signed on approval hold there in its month."""
    found = np.zeros(len(fleet))
    for order in orders[is_firm(orders)].itertuples() if len(orders) else ():
        here = (fleet["region"] == order.region) & (fleet["accelerator_id"] == order.accelerator_id)
        over = getattr(order, "expires", "") or LAST
        found += order.accelerators * (here & (fleet["month"] >= order.start_month) & (fleet["month"] < over))
    return found


def _commitments(orders: pd.DataFrame) -> pd.DataFrame:
    """Orders that are not firm on approval; renewals follow their own hours, not demand."""
    kept = [*PLACE, "band", "purchase_option", "accelerators", "order_month", "start_month", "commitment_usd"]
    if orders.empty:
        return pd.DataFrame(columns=[*kept, "kind", "lead_time_weeks", "starts_with", "not_before"])
    later = orders[~orders["renewal"].astype(bool) & ~is_firm(orders)]
    timing = later.get("timing", pd.Series("", index=later.index)).astype("str")
    room = later.get("not_before", pd.Series("", index=later.index)).astype("str").replace("", np.nan)
    return later[[*kept, "lead_time_weeks"]].assign(
        kind=COMMITMENT, starts_with=timing.str.extract(BY_DATE)[0], not_before=room
    )


def _named(steps: pd.DataFrame, bands: pd.DataFrame, options: pd.DataFrame) -> pd.DataFrame:
    """Owner and milestone of the band of each step, and how capacity that no order pays is paid.

    By the hour, as the band rents, else as its pool does, else on demand, also what is ordered for later; where no hours are rented there is no
    such capacity, and its order is a step of its own.
    """
    band = pd.MultiIndex.from_frame(steps[[*PLACE, "band"]])
    about = _first_of(bands, "band").reindex(band)
    rented = bands[bands["purchase_option"].isin(RENTED)]
    hours = _first_of(rented, "band")["purchase_option"].reindex(band).to_numpy()
    place = pd.MultiIndex.from_frame(steps[PLACE])
    pool = _first_of(rented)["purchase_option"].reindex(place).to_numpy()
    usual = np.where(place.isin(_places_rented(options)), "on_demand", "")
    hours = np.where(pd.notna(hours), hours, np.where(pd.notna(pool), pool, usual))
    can_act = (hours != "") | (steps["kind"] == COMMITMENT).to_numpy()
    paid = steps["purchase_option"].to_numpy()
    owner = bands["owner_role"].iloc[0] if len(bands) else ""
    named = steps.assign(
        purchase_option=np.where(paid == "", hours, paid),
        milestone=about["milestone"].fillna("").to_numpy(),
        owner_role=about["owner_role"].fillna(owner).to_numpy(),
    )
    return named[can_act]


def not_there_yet(month: pd.DataFrame, options: pd.DataFrame) -> float:
    """Accelerators that a month of the fleet asks for where no hours are rented, beyond those that orders have delivered."""
    there = month[["committed", "standing"]].max(axis=1)
    short = (month["accelerators"] - there).clip(lower=0)
    return float(short[~pd.MultiIndex.from_frame(month[PLACE]).isin(_places_rented(options))].sum())


def _places_rented(options: pd.DataFrame) -> pd.MultiIndex:
    """Places where hours are for rent at any time, which spot is not."""
    return pd.MultiIndex.from_frame(options.loc[options["purchase_option"] == "on_demand", PLACE])


def _first_of(bands: pd.DataFrame, *more: str) -> pd.DataFrame:
    keys = [*PLACE, *more]
    return bands.drop_duplicates(keys).set_index(keys)
