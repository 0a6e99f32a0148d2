"""What an accelerator-hour costs, all in, on each way to pay for it.

Rented hours carry their price; owned and leased ones also power, space and support. The money
tied up is charged at the cost of capital, so that buying and renting compare like with like.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.finance.cashflow import annuity_payment
from aifactory.finance.depreciation import residual_value
from aifactory.finance.prices import OWN_SITE_OPTIONS
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_MONTH, KILO, MONTHS_PER_YEAR, monthly_rate

COMMITTED_OPTIONS = ("purchase", "lease", "reserved_1y", "reserved_3y", "capacity_block")
FLEXIBLE_OPTIONS = ("on_demand", "spot")
OPTION_NAMES = {
    "owned": "Owned or committed before",
    "purchase": "Purchase",
    "lease": "Lease",
    "reserved_1y": "Reserved, 1 year",
    "reserved_3y": "Reserved, 3 years",
    "capacity_block": "Capacity block",
    "on_demand": "On demand",
    "spot": "Spot",
    "missing": "Not to be had",
}


def in_field(platform_class: pd.Series) -> np.ndarray:
    """Whether accelerators stand where the work arises: devices of class edge are in no data centre.

    They take no cooling of one (PUE 1), no rack space and no part of a cluster network.

    >>> in_field(pd.Series(["gpu", "edge"])).tolist()
    [False, True]
    """
    return platform_class.eq("edge").to_numpy(dtype=bool)


def drawn_kw(power_w: ArrayLike, plan: Plan, field: ArrayLike = False) -> np.ndarray:
    """Power that an accelerator draws from the grid on average, kW: W / 1000 x PUE of its site, 1 in the field."""
    return np.asarray(power_w, dtype=float) / KILO * np.where(field, 1.0, plan.value("pue"))


def rated_kw(power_w: ArrayLike, plan: Plan, field: ArrayLike = False) -> np.ndarray:
    """Power that a rack must hold for an accelerator, kW: its part of what its server may draw, W / 1000 x server_power_factor.

    A server with fans, processors and network cards draws up to 1.8 times what its accelerators do (DGX H100: 10.2 kW, of
    which 8 x 0.7 kW); a device in the field is its own server.
    """
    return np.asarray(power_w, dtype=float) / KILO * np.where(field, 1.0, plan.value("server_power_factor"))


def connected_kw(power_w: ArrayLike, plan: Plan, field: ArrayLike = False) -> np.ndarray:
    """Power that a site must provide for an accelerator, kW: `rated_kw` x PUE of the site, 1 in the field."""
    return rated_kw(power_w, plan, field) * np.where(field, 1.0, plan.value("pue"))


def running_usd_per_month(
    price: ArrayLike, power_w: ArrayLike, usd_per_kwh: ArrayLike, plan: Plan, field: ArrayLike = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy, space and support of one owned accelerator for a month of 730 hours.

    energy = W / 1000 x PUE x 730 h x USD/kWh; space = `rated_kw` x USD per kW-month, none in the `field`;
    support = price x share per year / 12. The energy of an hour is that of the rated power of the accelerator: it draws about
    three quarters of it under load, its share of the host makes up the rest. Racks are let by the power that servers may draw.
    """
    energy = drawn_kw(power_w, plan, field) * HOURS_PER_MONTH * np.asarray(usd_per_kwh, dtype=float)
    rack = np.where(field, 0.0, plan.value("colocation_usd_per_kw_month"))
    space = rated_kw(power_w, plan, field) * rack
    support = np.asarray(price, dtype=float) * plan.value("maintenance_share_per_year") / MONTHS_PER_YEAR
    return energy, space, support


def with_network(plan: Plan, field: ArrayLike = False) -> np.ndarray:
    """Outlay per USD of price: 1 + share of the cluster network, 1 in the field."""
    return np.where(field, 1.0, 1.0 + plan.value("network_share_of_capex"))


def capex_usd(price: ArrayLike, plan: Plan, field: ArrayLike = False) -> np.ndarray:
    """Purchase price with the share of the cluster network: price x (1 + share), the price alone in the field."""
    return np.asarray(price, dtype=float) * with_network(plan, field)


def owned_usd_per_hour(price: ArrayLike, running: ArrayLike, plan: Plan, field: ArrayLike = False) -> np.ndarray:
    """All-in cost of an owned accelerator-hour over the horizon.

    (annuity of the outlay less resale value at the cost of capital + running cost) / 730.
    """
    months = plan.horizon_months
    resale = residual_value(price, plan.value("residual_decline_per_year"), months)
    annuity = annuity_payment(capex_usd(price, plan, field), monthly_rate(plan.value("wacc")), months, resale)
    return (annuity + np.asarray(running, dtype=float)) / HOURS_PER_MONTH


def rented_usd_per_hour(
    price: ArrayLike, upfront_fraction: ArrayLike, term_months: ArrayLike, wacc: float
) -> np.ndarray:
    """Price per hour with the part paid at the start spread over the term at the cost of capital.

    >>> round(float(rented_usd_per_hour(2.0, 1.0, 12, 0.10)), 4)
    2.1052
    >>> float(rented_usd_per_hour(2.0, 0.0, 12, 0.10))
    2.0
    """
    price, upfront = np.asarray(price, dtype=float), np.asarray(upfront_fraction, dtype=float)
    if np.any((upfront < 0) | (upfront > 1)) or np.any(price < 0):
        msg = "prices must not be negative, upfront fractions must be from 0 to 1"
        raise ValueError(msg)
    term = np.maximum(np.asarray(term_months, dtype=float), 1.0)
    return price * (1.0 - upfront) + annuity_payment(price * upfront * term, monthly_rate(wacc), term)


def spot_usd_per_hour(price: ArrayLike, interruption_share: float) -> np.ndarray:
    """Price per useful hour when a share of the work is lost: price / (1 - share).

    >>> float(spot_usd_per_hour(0.9, 0.1))
    1.0
    """
    if not 0 <= interruption_share < 1:
        msg = f"interruption share must be in [0, 1), got {interruption_share}"
        raise ValueError(msg)
    return np.asarray(price, dtype=float) / (1.0 - interruption_share)


def break_even_utilization(committed_usd_per_hour: ArrayLike, on_demand_usd_per_hour: ArrayLike) -> np.ndarray:
    """Share of hours above which paying for every hour beats paying for used hours.

    Above 1 the commitment never pays. NaN without an on-demand price above 0.

    >>> float(break_even_utilization(2.0, 5.0))
    0.4
    """
    committed, listed = np.broadcast_arrays(
        np.asarray(committed_usd_per_hour, dtype=float), np.asarray(on_demand_usd_per_hour, dtype=float)
    )
    return np.divide(committed, listed, out=np.full(committed.shape, np.nan), where=listed > 0)[()]


def effective_prices(table: pd.DataFrame, accelerators: pd.DataFrame, plan: Plan) -> pd.DataFrame:
    """All-in cost per accelerator-hour of every row of a price table.

    Adds `capex_usd`, `energy_usd_month`, `space_usd_month`, `support_usd_month` (own site only),
    `usd_per_accelerator_hour_effective` and `break_even_utilization` against on-demand in the
    same region. Accelerators without a rated power are priced without energy and space.
    """
    rows = table.reset_index(drop=True).copy()
    known = accelerators.set_index("accelerator_id")
    power = rows["accelerator_id"].map(known["tdp_w"]).fillna(0.0)
    field = in_field(rows["accelerator_id"].map(known["platform_class"]))
    tariff = rows["region"].map({region.region: region.usd_per_kwh for region in plan.regions})
    own_site = rows["purchase_option"].isin(OWN_SITE_OPTIONS).to_numpy()
    bought = (rows["purchase_option"] == "purchase").to_numpy()
    price = rows["usd_per_accelerator"].where(bought, 0.0)
    energy, space, support = running_usd_per_month(price, power, tariff, plan, field)
    for name, part in (("energy", energy), ("space", space), ("support", support)):
        rows[f"{name}_usd_month"] = np.where(own_site, part, 0.0)
    running = rows[["energy_usd_month", "space_usd_month", "support_usd_month"]].sum(axis=1)
    rows["capex_usd"] = np.where(bought, capex_usd(price, plan, field), 0.0)
    rented = rented_usd_per_hour(
        rows["usd_per_accelerator_hour"], rows["upfront_fraction"].fillna(0.0), rows["term_months"], plan.value("wacc")
    )
    spot = (rows["purchase_option"] == "spot").to_numpy()
    rented = np.where(spot, spot_usd_per_hour(rented, plan.value("spot_interruption_share")), rented)
    rented = rented + np.where(own_site, running / HOURS_PER_MONTH, 0.0)
    owned = owned_usd_per_hour(price, running, plan, field)
    rows["usd_per_accelerator_hour_effective"] = np.where(bought, owned, rented)
    return _with_break_even(rows)


def _with_break_even(rows: pd.DataFrame) -> pd.DataFrame:
    places = ["accelerator_id", "region"]
    on_demand = rows[rows["purchase_option"] == "on_demand"].set_index(places)["usd_per_accelerator_hour_effective"]
    reference = on_demand.reindex(pd.MultiIndex.from_frame(rows[places])).to_numpy()
    ratio = break_even_utilization(rows["usd_per_accelerator_hour_effective"], reference)
    committed = rows["purchase_option"].isin(COMMITTED_OPTIONS)
    return rows.assign(break_even_utilization=np.where(committed, ratio, np.nan))
