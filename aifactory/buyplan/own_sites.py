"""What stands on the own sites of a region beside the power and space that `plan.yaml` states for it.

Both are limits of the region's data centre. Devices of class edge stand where their work is, in shops, plants or clinics, and
take nothing of them; where a region has nothing but such devices in the plan, it is their site and the limits are theirs.
Kit that is owned or leased stays though it takes more than is stated: then nothing may be added.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Answer, Case
from aifactory.buyplan.optimise.limit_words import in_all
from aifactory.buyplan.optimise.limits import Conflict
from aifactory.buyplan.optimise.overruns import Overrun
from aifactory.finance.options import connected_kw, in_field
from aifactory.fleet.nodes import TOLERANCE
from aifactory.fleet.orders import FLEXIBLE, OWNED
from aifactory.fleet.terms import OWN_SITE

ELSEWHERE = -1
POWER, SPACE = "power", "space"
UNITS = {POWER: "kW", SPACE: "servers"}


@dataclass(frozen=True)
class Stated:
    """A limit as stated, and what orders placed before take of it in each month (capital: year) of the plan, [T], in its unit."""

    most: float
    stands: np.ndarray

    def over(self, month: int) -> float:
        """By how much earlier orders alone exceed it."""
        return max(float(self.stands[month]) - self.most, 0.0)


def counted(pools: pd.DataFrame) -> np.ndarray:
    """[P] whether hardware of a pool takes of the power and space of its region.

    >>> counted(pd.DataFrame({"region": ["a", "a", "b"], "platform_class": ["gpu", "edge", "edge"]})).tolist()
    [True, False, True]
    """
    edge = pd.Series(in_field(pools["platform_class"]), index=pools.index)
    alone = edge.groupby(pools["region"]).transform("all")
    return (~edge | alone).to_numpy(dtype=bool)


def site_of(case: Case) -> np.ndarray:
    """[P] number in the plan of the region whose limits a pool takes of; `ELSEWHERE` where of none."""
    names = [region.region for region in case.plan.regions]
    site = np.array([names.index(region) for region in case.streams.pools["region"]], dtype=int)
    return np.where(counted(case.streams.pools), site, ELSEWHERE)


def taken(case: Case, accelerators: np.ndarray) -> dict[str, np.ndarray]:
    """Power in kW and whole servers, [T, regions] each, of accelerators [T, P] on own sites."""
    at = site_of(case)[:, None] == np.arange(len(case.plan.regions))
    kw = connected_kw(case.offers.power_w, case.plan, case.offers.field)
    size = case.streams.pools["accelerators_per_node"].to_numpy(dtype=float)
    return {POWER: (accelerators * kw) @ at, SPACE: np.ceil(accelerators / size - TOLERANCE) @ at}


def stated_limits(case: Case) -> dict[tuple[str, str], Stated]:
    """Every stated limit by kind and region, with what stands there from before the plan."""
    stands = taken(case, case.on_site[1:])
    return {
        (kind, region.region): Stated(float(most), stands[kind][:, at])
        for at, region in enumerate(case.plan.regions)
        for kind, most in ((POWER, region.power_limit_kw), (SPACE, region.space_limit_servers))
        if most is not None
    }


def exceeded_before(case: Case, money: Mapping[str, tuple[Stated, int]]) -> dict[str, np.ndarray]:
    """By limit, named as in `limit_prices`: months [T] (capital: its year) in which earlier orders alone exceed it.

    A unit more of it saves nothing then.

    `money`: as in `as_stated`.
    """
    names = {region.region: region.name for region in case.plan.regions}
    over = {
        f"{kind} of {names[region]}": limit.stands > limit.most for (kind, region), limit in stated_limits(case).items()
    }
    for name, (limit, at) in money.items():
        key = "budget" if name.startswith("budget") else name
        over[key] = np.append(over.get(key, np.ones(0, dtype=bool)), limit.stands[at] > limit.most)
    return over


def as_stated(
    case: Case,
    conflicts: tuple[Conflict, ...],
    overruns: tuple[Overrun, ...],
    money: Mapping[str, tuple[Stated, int]] = MappingProxyType({}),
) -> tuple[tuple[Conflict, ...], tuple[Overrun, ...]]:
    """Ways out and excess against the limits as stated: the optimiser's are what earlier orders leave of them.

    `money`: limits of money by their name in the problem, each with the month or year that it is of (`futures.stated_money`).
    """
    if not conflicts:
        return conflicts, overruns
    names = {region.region: region.name for region in case.plan.regions}
    known = {
        f"{kind} of {names[region]} in month {month}": (limit, month)
        for (kind, region), limit in stated_limits(case).items()
        for month in range(len(limit.stands))
    } | dict(money)
    over: dict[str, float] = {}
    for name, (limit, month) in known.items():
        over[name] = limit.over(month)
        over[in_all(name)] = max(over.get(in_all(name), 0.0), over[name])
    told = tuple(
        replace(conflict, relief={name: by + over.get(name, 0.0) for name, by in conflict.relief.items()})
        for conflict in conflicts
    )
    return told, tuple(_as_stated(item, *known[item.name]) if item.name in known else item for item in overruns)


def _as_stated(overrun: Overrun, limit: Stated, month: int) -> Overrun:
    return replace(overrun, by=overrun.by + limit.over(month), most=limit.most, stands=float(limit.stands[month]))


def site_sentences(case: Case, answer: Answer) -> list[str]:
    """Where own hardware takes more power or space than is stated: what stands there alone, and with the orders of the plan."""
    state = answer.expected.orders.state
    new = np.isin(state, np.flatnonzero(OWN_SITE)) & (state != FLEXIBLE) & (state != OWNED)
    housed = case.on_site + case.slots.total(new * case.slots.size, case.pools)
    total, names = taken(case, housed[1:]), [region.region for region in case.plan.regions]
    found = []
    for (kind, region), limit in stated_limits(case).items():
        at = names.index(region)
        most = float(total[kind][:, at].max(initial=0.0))
        if most > limit.most + TOLERANCE:
            found.append(_exceeded(kind, case.plan.regions[at].name, limit, most))
    return found


def _exceeded(kind: str, name: str, limit: Stated, most: float) -> str:
    unit, alone = UNITS[kind], float(limit.stands.max(initial=0.0))
    beyond = f"above the limit of {limit.most:,.6g} {unit}"
    if alone > limit.most + TOLERANCE:
        verb = "draws" if kind == POWER else "takes"
        if most > alone + TOLERANCE:
            return (
                f"What stands in {name} alone {verb} {alone:,.3g} {unit} and orders bring it to {most:,.3g}, {beyond}."
            )
        return f"What stands in {name} alone {verb} {alone:,.3g} {unit}, {beyond}: nothing may be added there."
    return f"Own hardware in {name} would {'draw' if kind == POWER else 'take'} {most:,.3g} {unit}, {beyond}."
