"""What is there already: accelerators bought, leased or reserved before the plan, and the money that is still owed for them.

Counted by month and pool from the order book (`commitments`) and from what is owned today. A purchase serves from its
`start_month` for good, a term from its `start_month` to its `end_month`. What was paid before the plan is gone and in
no cost of it; what is still owed is in the cost of every policy alike, so it changes no choice but those it is for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from aifactory.finance.depreciation import residual_value
from aifactory.finance.options import in_field, with_network
from aifactory.inputs.plan import Plan
from aifactory.units import HOURS_PER_MONTH, MONTHS_PER_YEAR

BOUGHT = "purchase"
OWN_SITE = ("purchase", "lease")
PLACE = ["region", "accelerator_id"]


#: What is added up by month and pool.
MONTHLY = (
    "bought",
    "leased",
    "reserved",
    "priced",
    "support",
    "rent",
    "prepaid",
    "upfront",
    "capex",
    "starting",
    "resale",
)


@dataclass(frozen=True)
class Placed:
    """Accelerators and money of what was ordered before the plan, [T + 1, P] by month and pool unless said otherwise.

    Attributes
    ----------
    accelerators, bought, leased : in service; the last two are part of the first.
    rent_usd : rent of the month, prepayments still to come spread over the months that they cover.
    prepaid_usd, upfront_usd : what of `rent_usd` a prepayment covers, and that prepayment in the month it is paid.
    beyond_usd, owed_usd : [P] rent after the horizon, and what of it no prepayment covers.
    capex_usd : outlay of purchases whose order is still to be paid, at the order.
    starting_usd, resale_usd : the same outlay in the month of first use, and what it sells for at the horizon.
    priced : bought ones of which the book states what was paid; support_usd : support of a month on that money, their share of
        the network left out. That of the others follows from today's price.
    spent_usd : outlay of purchases by month of order 'YYYY-MM', all of the book.
    """

    accelerators: np.ndarray
    bought: np.ndarray
    leased: np.ndarray
    priced: np.ndarray
    support_usd: np.ndarray
    rent_usd: np.ndarray
    prepaid_usd: np.ndarray
    upfront_usd: np.ndarray
    beyond_usd: np.ndarray
    owed_usd: np.ndarray
    capex_usd: np.ndarray
    starting_usd: np.ndarray
    resale_usd: np.ndarray
    spent_usd: Mapping[str, float]

    @property
    def on_site(self) -> np.ndarray:
        """Accelerators that stand on an own site, [T + 1, P]."""
        return self.bought + self.leased

    def on_site_shares(self) -> dict[str, np.ndarray]:
        """Share of the accelerators that pay energy, space and, at today's price, support apart from the rent, [T + 1, P] each."""
        housed, own = self.on_site / self._whole, (self.bought - self.priced) / self._whole
        return {"energy": housed, "space": housed, "support": own}

    @property
    def support_each_usd(self) -> np.ndarray:
        """Support of a month on what was paid, spread over all accelerators that stand there, USD each, [T + 1, P]."""
        return self.support_usd / self._whole

    @property
    def _whole(self) -> np.ndarray:
        return np.where(self.accelerators > 0, self.accelerators, 1.0)

    def there_alone(self, spread: np.ndarray) -> Placed:
        """Shares [P, pools] or [T + 1, P, pools] of what stands, and nothing of what is owed for it in any case.

        >>> row = np.array([[8.0]])
        >>> placed = Placed(row, row, row * 0, row * 0, row * 0, row, row, row, row[0], row[0], row, row, row, {})
        >>> alone = placed.there_alone(np.array([[0.75, 0.25]]))
        >>> alone.bought.tolist(), alone.rent_usd.tolist(), alone.beyond_usd.tolist()
        ([[6.0, 2.0]], [[0.0, 0.0]], [0.0, 0.0])
        """
        shares = np.broadcast_to(spread, (len(self.accelerators), *np.shape(spread)[-2:]))
        names = ("accelerators", "bought", "leased", "priced", "support_usd")
        standing = {name: np.einsum("tp,tpn->tn", getattr(self, name), shares) for name in names}
        nothing = np.zeros_like(standing["accelerators"])
        money = ("rent_usd", "prepaid_usd", "upfront_usd", "capex_usd", "starting_usd", "resale_usd")
        return Placed(
            **standing, **dict.fromkeys(money, nothing), beyond_usd=nothing[0], owed_usd=nothing[0], spent_usd={}
        )

    @property
    def paid_usd(self) -> np.ndarray:
        """Rent and prepayments by month in which they are paid, [T + 1]."""
        return (self.rent_usd - self.prepaid_usd + self.upfront_usd).sum(axis=1)

    @property
    def wear_usd(self) -> np.ndarray:
        """Outlay less resale of purchases still to be paid, in even parts from first use to the horizon, [T + 1, P]."""
        wear = np.zeros_like(self.starting_usd)
        last = len(wear) - 1
        for month, pool in np.argwhere(self.starting_usd > 0):
            lost = self.starting_usd[month, pool] - self.resale_usd[month, pool]
            wear[month:, pool] += lost / (last - month + 1)
        return wear


def placed_before(
    book: pd.DataFrame, owned: Mapping[tuple[str, str], float], pools: pd.DataFrame, months: tuple[str, ...], plan: Plan
) -> Placed:
    """Arrange the order book by month and pool.

    Parameters
    ----------
    book : rows of the `commitments` contract that the plan may see.
    owned : accelerators by region and accelerator that are measured as owned today; delivered purchases of the book
        are among them, so the larger of the two counts.
    pools : region, accelerator_id of each pool; orders elsewhere serve no workload and are left out. Its platform_class
        decides whether an outlay holds a share of the cluster network (support, resale); without one it does.
    months : the period, then the months of the plan.
    """
    places = list(pools[PLACE].itertuples(index=False, name=None))
    shape = len(months), len(places)
    sums = {name: np.zeros(shape) for name in MONTHLY}
    network = with_network(plan, in_field(pools.reindex(columns=["platform_class"])["platform_class"]))
    beyond, owed, delivered = (np.zeros(shape[1]) for _ in range(3))
    for row in book.itertuples(index=False):
        if (row.region, row.accelerator_id) not in places:
            continue
        pool = places.index((row.region, row.accelerator_id))
        ordered, start = (_index(month, months) for month in (row.order_month, row.start_month))
        end = shape[0] if pd.isna(row.end_month) else _index(row.end_month, months)
        inside = slice(max(start, 0), min(max(end, 0), shape[0]))
        kind = {"purchase": "bought", "lease": "leased"}.get(row.purchase_option, "reserved")
        sums[kind][inside, pool] += row.accelerators
        once = 0.0 if pd.isna(row.upfront_usd) else row.upfront_usd
        if kind == "bought":
            delivered[pool] += row.accelerators * (start <= 0 < end)
            if once > 0:
                sums["priced"][inside, pool] += row.accelerators
                sums["support"][inside, pool] += _support_usd(once / network[pool], plan)
            _pay_purchase(sums, pool, (once, once / network[pool]), (ordered, start), plan)
            continue
        rent = 0.0 if pd.isna(row.usd_per_accelerator_hour) else row.usd_per_accelerator_hour
        rent *= HOURS_PER_MONTH * row.accelerators
        later, paid = _pay_term(sums, pool, (rent, once), (start, end))
        beyond[pool] += later
        owed[pool] += later - paid
    measured = np.array([owned.get(place, 0.0) for place in places])
    sums["bought"] += np.maximum(measured - delivered, 0.0)
    return Placed(
        accelerators=sums["bought"] + sums["leased"] + sums["reserved"], bought=sums["bought"], leased=sums["leased"],
        priced=sums["priced"], support_usd=sums["support"],
        rent_usd=sums["rent"], prepaid_usd=sums["prepaid"], upfront_usd=sums["upfront"], beyond_usd=beyond,
        owed_usd=owed,
        capex_usd=sums["capex"], starting_usd=sums["starting"], resale_usd=sums["resale"],
        spent_usd=_spent(book),
    )  # fmt: skip


def unused_placed(
    book: pd.DataFrame, pools: pd.DataFrame, months: tuple[str, ...], plan: Plan
) -> tuple[pd.DataFrame, Placed]:
    """Orders where no workload of the plan runs: (region and accelerator of each place, what was placed there)."""
    mine = set(pools[PLACE].itertuples(index=False, name=None))
    rest = book[np.array([place not in mine for place in book[PLACE].itertuples(index=False, name=None)], dtype=bool)]
    places = rest[PLACE].drop_duplicates().sort_values(PLACE, ignore_index=True)
    return places, placed_before(rest, {}, places, months, plan)


def unused_usd(
    book: pd.DataFrame, pools: pd.DataFrame, months: tuple[str, ...], plan: Plan
) -> tuple[pd.DataFrame, np.ndarray]:
    """What is still owed for orders where no workload of the plan runs: (region and accelerator of each place, USD [T + 1, places]).

    By the month in which it is paid; what falls beyond the horizon stands in the last month. No resale is counted on:
    what becomes of it is not decided.
    """
    places, placed = unused_placed(book, pools, months, plan)
    usd = placed.capex_usd + placed.rent_usd - placed.prepaid_usd + placed.upfront_usd
    usd[-1] += placed.beyond_usd
    return places, usd


def _index(month: str, months: tuple[str, ...]) -> int:
    (year, number), (first_year, first) = (map(int, text.split("-")) for text in (month, months[0]))
    return (year - first_year) * MONTHS_PER_YEAR + number - first


def _support_usd(price: float, plan: Plan) -> float:
    """Support of a month of what was bought for a price, the share of the network left out."""
    return price * plan.value("maintenance_share_per_year") / MONTHS_PER_YEAR


def _pay_purchase(
    sums: dict[str, np.ndarray], pool: int, usd: tuple[float, float], when: tuple[int, int], plan: Plan
) -> None:
    """Outlay (the share of the network in it, and without) of an order that is still to be paid.

    One placed up to the period was paid before the plan.
    """
    (outlay, price), (ordered, start), last = usd, when, len(sums["capex"]) - 1
    if ordered < 1 or start > last:
        return
    left = residual_value(price, plan.value("residual_decline_per_year"), last - start + 1)
    for name, amount, month in (
        ("capex", outlay, ordered),
        ("starting", outlay, start),
        ("resale", float(left), start),
    ):
        sums[name][month, pool] += amount


def _pay_term(
    sums: dict[str, np.ndarray], pool: int, usd: tuple[float, float], when: tuple[int, int]
) -> tuple[float, float]:
    """Rent of a term by month, and its prepayment if that is still to come; returns what falls beyond the horizon, and what of it is prepaid."""
    (rent, once), (start, end), last = usd, when, len(sums["rent"]) - 1
    if end <= 0 or start > last:
        return 0.0, 0.0
    share = once / (end - start) if start >= 1 else 0.0
    inside = slice(max(start, 1), min(end, last + 1))
    beyond = max(end - last - 1, 0)
    sums["rent"][inside, pool] += rent + share
    sums["prepaid"][inside, pool] += share
    sums["prepaid"][last, pool] += share * beyond
    if start >= 1:
        sums["upfront"][start, pool] += once
    return (rent + share) * beyond, share * beyond


def _spent(book: pd.DataFrame) -> dict[str, float]:
    paid: dict[str, list[float]] = {}
    for month, option, usd in zip(book["order_month"], book["purchase_option"], book["upfront_usd"], strict=True):
        if option == BOUGHT and not pd.isna(usd):
            paid.setdefault(month, []).append(usd)
    return {month: math.fsum(paid[month]) for month in sorted(paid)}
