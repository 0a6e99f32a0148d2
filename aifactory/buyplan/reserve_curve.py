"""Reserve of the plan's served streams as an output: its risk, its price, and the article's ratio beside it.

Sized by `aifactory.fleet.risk_reserve` from the hours of each stream; streams without hours of their own
are sized from their demand chain (`aifactory.buyplan.chain_streams`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.demand.chain_reserve import ChainReserve
from aifactory.demand.reserve_money import price_curve
from aifactory.fleet.risk_reserve import DEMAND_CHAIN, OWN_HOURS, Place, SizedReserve
from aifactory.fleet.sites import held_in_sites
from aifactory.units import HOURS_PER_MONTH

if TYPE_CHECKING:
    from aifactory.buyplan.plan import BuyPlan
    from aifactory.fleet.streams import Streams

STREAM = ["use_case_id", "region", "accelerator_id"]
SUMMARY = [*STREAM, "month", "known_from", "criticality", "target", "lead_weeks", "basis_per_hour", "capacity_per_hour", "reserve", "accelerators",
           "exceedance_backtest", "exceedance_simulated", "risk_low", "risk_high", "hours_per_month_over", "utilization", "origins", "plan_reserve_over_peak",
           "article_over_peak", "article_per_hour", "article_accelerators", "note"]  # fmt: skip
CURVE = [*STREAM, "plan", "reserve", "exceedance", "hours_per_month_over", "utilization", "unserved_share", "accelerators",
         "usd_per_month", "usd_per_hour_avoided"]  # fmt: skip
SiteTerms = Sequence[float]
#: Terms of `held_in_sites` where accelerators share their load, and columns of `SUMMARY` that count accelerators.
ALONE, COUNTED = (1, 1.0, 1.0), ("accelerators", "article_accelerators")


def in_places(streams: Streams) -> dict[Place, SiteTerms]:
    """Sites, accelerators of a node and share for failures of the places of `streams` whose sites stand alone."""
    table = streams.table
    places = zip(table["use_case_id"], table["region"], strict=True)
    return {place: terms for place, *terms in zip(places, *streams.site_terms, strict=True) if terms[0] > 1}


def with_reserves(
    plan: BuyPlan, sized: Mapping[Place, SizedReserve], sites: Mapping[Place, SiteTerms] | None = None
) -> BuyPlan:
    """The plan with its tables `reserves` and `reserve_curve`, dearest stream first.

    Accelerators are whole nodes at each of the `sites` (`in_places`) that stand alone: a step of safety may cost nothing there.

    Capacity becomes accelerators at the plan's rate per accelerator-hour, and USD as if it stood by in all hours at the
    cheapest option of the plan (`hourly_price`). Of a stream that two platforms serve, each holds the part of its work that it does.
    """
    need = plan.need[(plan.need["scenario"] == "expected") & (plan.need["accelerator_hours"] > 0)]
    whole = need.groupby(["use_case_id", "region", "month"])["units"].transform("sum")
    need = need.assign(part=need["units"] / whole)
    starts = need.groupby(["use_case_id", "region"])["month"].transform("min")
    served = need[[_shown(row, sized, first) for row, first in zip(need.itertuples(index=False), starts, strict=True)]]
    served = served.sort_values("month", kind="stable").drop_duplicates(STREAM)
    prices = [
        hourly_price(plan.options, *place) for place in zip(served["accelerator_id"], served["region"], strict=True)
    ]
    dear = served.assign(usd_per_hour=served["accelerators_with_reserve"] * prices)
    dear = dear.sort_values("usd_per_hour", ascending=False, kind="stable")
    summary, curves = [], []
    for stream in dear.itertuples(index=False):
        item = sized[stream.use_case_id, stream.region]
        keys = {name: getattr(stream, name) for name in STREAM}
        terms = (sites or {}).get((stream.use_case_id, stream.region), ALONE)
        row = keys | _summary(stream, item)
        held = {name: float(held_in_sites(row[name], *terms)) for name in COUNTED if name in row}
        summary.append(row | held)
        if item.found is not None:
            price = hourly_price(plan.options, stream.accelerator_id, stream.region)
            curves.append(_at_sites(_curve(item, keys, _per_accelerator(stream, item), price), terms))
    return replace(
        plan,
        reserves=pd.DataFrame(summary).reindex(columns=SUMMARY),
        reserve_curve=pd.concat(curves, ignore_index=True)[CURVE] if curves else pd.DataFrame(columns=CURVE),
    )


def _shown(row: tuple, sized: Mapping[Place, SizedReserve], first: str) -> bool:
    """Streams with hours stand with the first month in which the plan has their work, on whatever platform; those of a demand chain
    with the first on each.
    """
    item = sized.get((row.use_case_id, row.region))
    return item is not None and (item.known_from == DEMAND_CHAIN or row.month == first)


def _per_accelerator(stream: tuple, item: SizedReserve) -> float:
    """What an accelerator serves in an hour: units, or times the expected average of the month of a demand chain.

    Units are those of the whole stream, where another platform serves a part of it.
    """
    units = stream.units / stream.accelerator_hours / item.first_month
    return units / stream.part if item.known_from == OWN_HOURS else units / (stream.units / HOURS_PER_MONTH)


def _summary(stream: tuple, item: SizedReserve) -> dict[str, object]:
    article = stream.accelerators_peak * (1 + stream.reserve_rule)
    row: dict[str, object] = {
        "month": stream.month,
        "known_from": item.known_from,
        "criticality": item.criticality,
        "target": item.target,
        "lead_weeks": item.lead_weeks,
        "plan_reserve_over_peak": stream.reserve_ratio,
        "article_over_peak": stream.reserve_rule,
        "article_per_hour": article * stream.units / stream.accelerator_hours,
        "article_accelerators": article,
        "note": "; ".join(text for text in (item.note, _spared(item)) if text),
    }
    found = item.found
    if found is None:
        return row
    simulated = isinstance(found, ChainReserve)
    scale = stream.units / HOURS_PER_MONTH if simulated else stream.part * item.first_month
    risk = {"exceedance_simulated": found.exceedance} if simulated else {"exceedance_backtest": found.exceedance_backtest, "origins": found.origins}  # fmt: skip
    return row | risk | {
        "basis_per_hour": found.basis_value * scale,
        "capacity_per_hour": found.capacity * scale,
        "reserve": found.reserve,
        "accelerators": item.spares * found.capacity / _per_accelerator(stream, item),
        "risk_low": found.risk_low,
        "risk_high": found.risk_high,
        "hours_per_month_over": found.hours_per_month_over,
        "utilization": found.utilization / item.spares,
    }  # fmt: skip


def _spared(item: SizedReserve) -> str:
    return (
        f"accelerators and price times {item.spares:.3g} for one of {item.pools} failure domains" if item.pools else ""
    )


def _curve(item: SizedReserve, keys: dict[str, str], per_accelerator: float, usd_per_hour: float) -> pd.DataFrame:
    per_unit = item.spares / per_accelerator
    priced = price_curve(item.found, usd_per_hour * per_unit * HOURS_PER_MONTH, HOURS_PER_MONTH)
    return priced.assign(
        **keys, accelerators=priced["capacity"] * per_unit, usd_per_month=priced["capacity_usd_per_month"],
        utilization=priced["utilization"] / item.spares,
    )  # fmt: skip


def _at_sites(curve: pd.DataFrame, terms: SiteTerms) -> pd.DataFrame:
    """The curve with whole nodes at each site, and the money of what is then held."""
    if terms == ALONE:
        return curve
    even = curve["accelerators"]
    held = pd.Series(held_in_sites(even, *terms), curve.index)
    dearer = (held.diff() / even.diff()).where(even.diff() != 0)
    return curve.assign(
        accelerators=held,
        usd_per_month=curve["usd_per_month"] * held / even,
        usd_per_hour_avoided=curve["usd_per_hour_avoided"] * dearer,
    )


def hourly_price(options: pd.DataFrame, accelerator_id: str, region: str) -> float:
    """USD of an accelerator-hour that stands by in all hours: the least effective price of a dependable option, with what goes with it.

    Spot may be taken away when it is needed; it counts only where nothing else is offered. NaN where no price is known.
    """
    mine = options[(options["accelerator_id"] == accelerator_id) & (options["region"] == region)]
    firm = mine[mine["purchase_option"] != "spot"]
    price = (firm if len(firm) else mine)["usd_per_accelerator_hour_effective"].min()
    return float(price + mine["around_usd_per_hour"].max())
