"""Which limits bind the plan, how much of each it uses, and what one unit more would save."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.caveats import fiscal_year
from aifactory.buyplan.choose import LEAST_WORTH_USD, Chosen
from aifactory.buyplan.optimise.benders import in_parts
from aifactory.buyplan.optimise.limit_prices import PAYMENTS, RESERVE, SHARE
from aifactory.buyplan.optimise.problem import Problem
from aifactory.buyplan.own_sites import UNITS, site_of, stated_limits, taken

COLUMNS = ["limit", "used", "most", "unit", "binds", "price_usd", "per"]
LEAST_USD = 0.5


def limit_values(chosen: Chosen) -> pd.DataFrame:
    """Every limit of the plan: most that is used of it, whether it binds, and what one more unit of it saves.

    Prices are those of nodes that need not be whole, over the horizon, by planning anew with a unit more (`limit_prices`).
    `binds` where a unit more saves money.

    Returns
    -------
    limit, used, most (not a number: no limit), unit, binds, price_usd, per: unit of the price.
    """
    rows = [
        *_capital(chosen),
        *_sites(chosen),
        *_payments(chosen),
        *_vendors(chosen),
        *_reserve(chosen),
        *_lead(chosen),
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _price(chosen: Chosen, name: str) -> float:
    return chosen.best.limit_usd.get(name, 0.0)


def _row(limit: str, used: float, most: float, unit: str, price: float, per: str) -> tuple:
    return (
        limit,
        float(used),
        float(most),
        unit,
        bool(price > (LEAST_WORTH_USD if unit == "USD" else LEAST_USD)),
        float(price),
        per,
    )


def _capital(chosen: Chosen) -> list[tuple]:
    """Outlay by fiscal year of the order, that of orders placed before the plan included."""
    problem, plan, months = chosen.problem, chosen.case.plan, chosen.case.streams.months[1:]
    if plan.budget.capex_usd_per_year is None:
        return []
    years = [fiscal_year(month, plan.fiscal_year_start_month) for month in months]
    spent = dict.fromkeys(years, 0.0)
    for month, usd in chosen.case.placed.spent_usd.items():
        year = fiscal_year(month, plan.fiscal_year_start_month)
        if year in spent:
            spent[year] += usd
    for (option, month), nodes in zip(problem.orders, chosen.best.nodes, strict=False):
        outlay = option.upfront_usd * problem.node_size[option.platform] * nodes * option.capital
        spent[years[month]] += outlay
    return [
        _row(
            f"Capital of fiscal year {year}", usd, plan.budget.capex_usd_per_year, "USD",
            _price(chosen, f"capital of year {year - years[0] + 1}"), "a dollar more",
        )
        for year, usd in sorted(spent.items())
    ]  # fmt: skip


def _sites(chosen: Chosen) -> list[tuple]:
    """Power and space of own hardware where a region states a limit and something of the plan is counted there."""
    problem, case = chosen.problem, chosen.case
    new = np.array([option.on_site for option, _ in problem.orders]) * chosen.best.nodes[: len(problem.orders)]
    held, site, limits = taken(case, case.on_site[1:] + problem.serves @ new), site_of(case), stated_limits(case)
    found = []
    for kind in UNITS:
        for at, region in enumerate(case.plan.regions):
            limit = limits.get((kind, region.region))
            if limit is not None and (site == at).any():
                usd, unit = _price(chosen, f"{kind} of {region.name}"), UNITS[kind]
                name, per = f"{kind.capitalize()} of own hardware, {region.name}", f"a {unit.removesuffix('s')} more"
                found.append(_row(name, held[kind][:, at].max(), limit.most, unit, usd, per))
    return found


def _payments(chosen: Chosen) -> list[tuple]:
    problem, budget = chosen.problem, chosen.case.plan.budget.opex_usd_per_month
    if budget is None or not chosen.case.plan.budget.opex_limits_orders:
        return []
    nodes, before = chosen.best.nodes[: len(problem.orders)], chosen.case.paid_before_usd[1:]
    paid = max(float(problem.paid_usd(month) @ nodes) + before[month] for month in range(problem.months))
    return [
        _row("Committed payments of a month", paid, budget, "USD", _price(chosen, PAYMENTS), "a dollar a month more")
    ]


def _vendors(chosen: Chosen) -> list[tuple]:
    problem, case = chosen.problem, chosen.case
    held = problem.capacity(chosen.best.nodes).sum(axis=0)
    vendors = case.streams.pools["vendor"].astype(object)
    by = pd.Series(held).groupby(vendors.where(vendors.notna(), "not known").to_numpy()).sum()
    if not by.sum() > 0:
        return []
    name, limit = str(by.idxmax()), case.plan.vendor_share_most
    most, title = limit if limit < 1 else np.nan, f"Share of one vendor ({name}) in what is held"
    return [_row(title, by.max() / by.sum(), most, "share", _price(chosen, SHARE), "a percentage point more")]


def _reserve(chosen: Chosen) -> list[tuple]:
    """One per cent less of the fleet that must stand ready, over all months and platforms."""
    floor = np.asarray(chosen.problem.floor)
    if not floor.any():
        return []
    stands, limit = floor.max(axis=0).sum(), "Fleet with reserve where no hours can be rented"
    return [_row(limit, stands, stands, "accelerators", _price(chosen, RESERVE), "1 % of that fleet less")]


def _lead(chosen: Chosen) -> list[tuple]:
    """A month longer to wait for hardware on own sites."""
    problem = chosen.problem
    waits = [option.lead_months for option in problem.options if option.on_site and option.lead_months > 0]
    if not waits:
        return []
    now, later = (in_parts(_waiting(problem, more))[0] for more in (0, 1))
    return [_row("Lead time of hardware", max(waits), np.nan, "months", max(later - now, 0.0), "a month longer")]


def _waiting(problem: Problem, more: int) -> Problem:
    options = tuple(
        replace(option, lead_months=option.lead_months + more) if option.on_site and option.lead_months > 0 else option
        for option in problem.options
    )
    return replace(problem, options=options, floor=np.zeros((0, 0)))
