"""A planning problem: demand paths, platforms, ways to pay, limits.

Sizes: S paths, T months, W workloads, K load blocks of a month, P platforms. A platform is an accelerator in a
region; a workload that may not leave a region has rate 0 elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from aifactory.buyplan.optimise.limit_rows import limit_rows
from aifactory.errors import InputError
from aifactory.fleet.widths import Widths, no_widths
from aifactory.units import monthly_rate


@dataclass(frozen=True)
class Option:
    """A way to hold nodes of one platform for a term.

    Attributes
    ----------
    platform : index of the platform.
    term_months : months of service; a purchase serves to its end of support.
    lead_months : months from order to service.
    upfront_usd : paid per accelerator at the order.
    monthly_usd : paid per accelerator in every month of service: rent, or power, space and support of owned kit.
    resale_usd, resale_per_year : resale value per accelerator at once, and the share of it that is left after a year,
        and again of that after another; owned kit is sold at the horizon. 0: nothing is owned.
    capital : counts against the budget of capital.
    first_order, last_order : months (from 0) in which it may be ordered.
    dated : months beside `Problem.order_months` in which it may be ordered, so that it serves from a known date on.
    minimum_nodes : least nodes of an order, if anything is ordered.
    on_site : draws on the power of its platform's site.
    listed : its price follows `Problem.order_ratio`.
    """

    name: str
    platform: int
    term_months: int
    lead_months: int = 0
    upfront_usd: float = 0.0
    monthly_usd: float = 0.0
    resale_usd: float = 0.0
    resale_per_year: float = 0.0
    capital: bool = False
    first_order: int = 0
    last_order: int = 10**6
    dated: tuple[int, ...] = ()
    minimum_nodes: int = 0
    on_site: bool = True
    listed: bool = False


@dataclass(frozen=True)
class Port:
    """Work that must be done once before workloads can use a platform.

    Attributes
    ----------
    workloads, platform : the cells that it opens: a class of workloads shares one port.
    usd : paid at the start.
    months : months of work, begun at the start; the cells are open from then on.
    """

    name: str
    platform: int
    workloads: tuple[int, ...]
    usd: float
    months: int = 0


@dataclass(frozen=True)
class Problem:
    """All that a plan is judged by. Money in USD, rates per hour, months from 0.

    Attributes
    ----------
    demand : [S, T, W, K] units per hour in each load block.
    block_hours : [K] hours of each block in a month.
    rate : [W, P] units per hour of one accelerator inside the SLO; 0: cannot serve.
    deferrable : [W] work that may wait within its month.
    interruptible : [W] work that may run on spot; empty: what is deferrable.
    node_size, kw : [P] accelerators per node, kW per accelerator.
    vendor : [P] vendor of the platform.
    owned : [T, P] accelerators that are there already.
    on_demand_usd, spot_usd : [T, P] or [S, T, P] USD per accelerator-hour; infinite: not offered.
    around_usd : [P], or one for all: USD that goes with each accelerator-hour held or rented, on any way to pay (people, storage); hours of what is owned
        already bear it whatever is ordered, and are left out, and so are hours that spot loses, as in the ledger.
    on_demand_most : [P] accelerators that can be had at once.
    spot_share : [P] share of spot hours that is not lost to interruptions.
    api_usd : [T, W] or [S, T, W] USD per unit at a hosted model; infinite: not allowed.
    miss_usd : [W] USD per unit that is not served.
    ports : what must be ported first; cells in no port are open.
    widths : of the jobs of workloads [W] that may wait, where each has one platform; empty: work of any width.
    order_months : months in which any order may be placed.
    capital_usd : [years] budget of capital per year; empty: no limit.
    year_of : [T] year of each month; empty: years of 12 months from the start.
    power_kw : [T] or [T, sites] kW for nodes that are owned or held on site; empty: no limit, infinite: none there.
    space_nodes : [T, sites] nodes that a site has room for beyond those that are there; empty: no limit, infinite: none there.
    site, site_names : [P] site of each platform; empty: one site.
    platform_names, month_names, year_names : what messages call them; empty: by their numbers.
    order_ratio : [S, T, P] price of `listed` options ordered in a month, over today's, by path; empty: prices stand.
        Orders are made before paths part, so they cost the mean; what a path pays more or less counts in the tail.
    order_budget_usd : [T] USD that all orders may be paid in a month, upfront payments but those of capital included;
        empty: no limit.
    floor : [T, P] accelerators that must stand ready (a reserve where no hours can be rented), in the months in which
        any order serves; empty: none.
    vendor_most : largest share of one vendor in the accelerator-months owned and ordered; 1: no limit.
    wacc : discount rate per year.
    stranded : share of the payments beyond the horizon that is charged at the horizon.
    risk_weight, tail : weight in the objective of what the worst (1 - tail) share of the paths cost over their reference.
    reference_usd : [S] what each path costs were it known; empty: its screening cost, see `reference`.
    """

    demand: np.ndarray
    block_hours: np.ndarray
    rate: np.ndarray
    deferrable: np.ndarray
    node_size: np.ndarray
    options: tuple[Option, ...]
    on_demand_usd: np.ndarray
    spot_usd: np.ndarray
    api_usd: np.ndarray
    miss_usd: np.ndarray
    owned: np.ndarray
    on_demand_most: np.ndarray
    spot_share: np.ndarray
    kw: np.ndarray
    around_usd: np.ndarray | float = 0.0
    vendor: tuple[str, ...] = ()
    order_months: tuple[int, ...] = tuple(range(0, 36, 3))
    capital_usd: np.ndarray = field(default_factory=lambda: np.zeros(0))
    year_of: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    power_kw: np.ndarray = field(default_factory=lambda: np.zeros(0))
    space_nodes: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))
    site: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    site_names: tuple[str, ...] = ()
    platform_names: tuple[str, ...] = ()
    month_names: tuple[str, ...] = ()
    year_names: tuple[str, ...] = ()
    order_ratio: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0)))
    order_budget_usd: np.ndarray = field(default_factory=lambda: np.zeros(0))
    floor: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    vendor_most: float = 1.0
    wacc: float = 0.1
    stranded: float = 0.5
    risk_weight: float = 0.3
    tail: float = 0.9
    reference_usd: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ports: tuple[Port, ...] = ()
    interruptible: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    widths: Widths = field(default_factory=lambda: no_widths(0))

    def __post_init__(self) -> None:
        s, t, w, k = _shape(self.demand, "demand", 4)
        p = len(self.node_size)
        object.__setattr__(self, "around_usd", np.broadcast_to(np.asarray(self.around_usd, dtype=float), p))
        if not self.widths.known.any():
            object.__setattr__(self, "widths", no_widths(w))
        if len(self.widths.share) != w:
            raise InputError.at(
                "problem", f"needs a row for each of {w} workloads", column="widths", value=len(self.widths.share)
            )
        wanted = {
            "block_hours": (k,), "rate": (w, p), "deferrable": (w,), "node_size": (p,), "miss_usd": (w,),
            "owned": (t, p), "on_demand_most": (p,), "spot_share": (p,), "kw": (p,),
        }  # fmt: skip
        for name, shape in wanted.items():
            if np.shape(getattr(self, name)) != shape:
                raise InputError.at(
                    "problem", f"must have the shape {shape}", column=name, value=np.shape(getattr(self, name))
                )
        for name, width in (("on_demand_usd", p), ("spot_usd", p), ("api_usd", w)):
            if np.shape(getattr(self, name)) not in {(t, width), (s, t, width)}:
                raise InputError.at(
                    "problem",
                    f"must have the shape {(t, width)} or {(s, t, width)}",
                    column=name,
                    value=np.shape(getattr(self, name)),
                )
        if np.size(self.interruptible) not in {0, w}:
            raise InputError.at(
                "problem", f"must have the shape {(w,)}", column="interruptible", value=np.shape(self.interruptible)
            )
        for name, shape in (("floor", (t, p)), ("order_ratio", (s, t, p)), ("reference_usd", (s,))):
            if np.size(getattr(self, name)) and np.shape(getattr(self, name)) != shape:
                raise InputError.at(
                    "problem", f"must have the shape {shape}", column=name, value=np.shape(getattr(self, name))
                )
        for name in ("demand", "block_hours", "rate", "miss_usd", "owned", "kw"):
            values = np.asarray(getattr(self, name), dtype=float)
            if not np.isfinite(values).all() or (values < 0).any():
                raise InputError.at("problem", "must be numbers of at least 0", column=name)
        self._check_power()
        if (np.asarray(self.capital_usd) < 0).any():
            raise InputError.at(
                "problem", "a budget must be at least 0", column="capital_usd", value=self.capital_usd.min()
            )
        if not 0 <= self.risk_weight <= 1 or not 0 <= self.tail < 1:
            raise InputError.at("problem", "risk_weight is 0 to 1, tail 0 to below 1")
        for platform in np.flatnonzero(~(np.asarray(self.rate) > 0).any(axis=0)):
            rule = self.in_words(f"platform {platform} serves no workload: leave it out")
            raise InputError.at("problem", rule, column="rate")
        for option in self.options:
            _check_option(option, p)
        self._check_ports(w, p)
        if not 0 < self.vendor_most <= 1 or (self.vendor_most < 1 and len(self.vendor) != p):
            raise InputError.at(
                "problem",
                "a share of 0 to 1, with the vendor of each platform",
                column="vendor_most",
                value=self.vendor_most,
            )

    def _check_power(self) -> None:
        for month, site in np.argwhere(self.owned_kw() > self.power_by_site()) if len(self.power_kw) else ():
            draw, most = self.owned_kw()[month, site], self.power_by_site()[month, site]
            rule = f"owned accelerators draw {draw:g} kW in month {month}: no plan keeps this limit; raise it or retire {draw - most:g} kW"
            raise InputError.at("problem", self.in_words(rule), column="power_kw", value=most)

    def _check_ports(self, workloads: int, platforms: int) -> None:
        opened: set[tuple[int, int]] = set()
        for port in self.ports:
            cells = {(w, port.platform) for w in port.workloads}
            if not cells or not all(0 <= w < workloads and 0 <= p < platforms for w, p in cells):
                raise InputError.at("ports", "needs a platform and workloads of the problem", value=port.name)
            if cells & opened:
                raise InputError.at("ports", "opens what another port opens: name each pair once", value=port.name)
            if not (np.isfinite(port.usd) and port.usd >= 0 and port.months >= 0):
                raise InputError.at("ports", "needs a cost and months of at least 0", value=port.name)
            opened |= cells

    @property
    def paths(self) -> int:
        """Demand paths."""
        return self.demand.shape[0]

    @property
    def months(self) -> int:
        """Months of the horizon."""
        return self.demand.shape[1]

    @property
    def platforms(self) -> int:
        """Platforms."""
        return len(self.node_size)

    @property
    def may_be_interrupted(self) -> np.ndarray:
        """[W] work that may run on spot."""
        return np.asarray(self.interruptible if np.size(self.interruptible) else self.deferrable, dtype=bool)

    @cached_property
    def widest(self) -> np.ndarray:
        """[P] accelerators of the widest job that runs on a platform, 0 where none is known."""
        return np.where(np.asarray(self.rate) > 0, self.widths.widest[:, None], 0.0).max(axis=0)

    @cached_property
    def discount(self) -> np.ndarray:
        """[T + 1] present value of a dollar paid in each month, and at the horizon."""
        return (1.0 + monthly_rate(self.wacc)) ** -np.arange(self.months + 1.0)

    @cached_property
    def orders(self) -> tuple[tuple[Option, int], ...]:
        """Columns of a plan: option and month of order, of those that serve within the horizon."""
        return tuple(
            (option, month)
            for option in self.options
            for month in sorted({*self.order_months, *option.dated})
            if option.first_order <= month <= option.last_order and month + option.lead_months < self.months
        )

    @cached_property
    def serves(self) -> np.ndarray:
        """[T, P, N] accelerators that a node of each order adds in each month."""
        added = np.zeros((self.months, self.platforms, len(self.orders)))
        for column, (option, month) in enumerate(self.orders):
            start = month + option.lead_months
            added[start : start + option.term_months, option.platform, column] = self.node_size[option.platform]
        return added

    @cached_property
    def order_usd(self) -> np.ndarray:
        """[N] present value of a node of each order: payments, stranded tail, less what its resale brings.

        Payments of service beyond the horizon count by the share `stranded`, at the horizon; without this a long
        commitment late in the horizon would look cheap.
        """
        priced = self._priced_usd * self._ratios().mean(axis=0) if np.size(self.order_ratio) else self._priced_usd
        service = np.einsum("tpn,p,t->n", self.serves, self.around_usd, self.discount[:-1]) * np.sum(self.block_hours)
        return priced + service

    @cached_property
    def _priced_usd(self) -> np.ndarray:
        """[N] of it what is paid for the node itself, at today's prices."""
        values = np.zeros(len(self.orders))
        for column, (option, month) in enumerate(self.orders):
            start = month + option.lead_months
            inside = np.arange(start, min(start + option.term_months, self.months))
            beyond = max(start + option.term_months - self.months, 0)
            paid = option.upfront_usd * self.discount[month] + option.monthly_usd * self.discount[inside].sum()
            held_years = (self.months - start) / 12
            if option.resale_per_year > 0:
                # Owned kit is sold at the horizon, so nothing is owed after it.
                beyond = 0
                paid -= option.resale_usd * option.resale_per_year**held_years * self.discount[-1]
            paid += self.stranded * option.monthly_usd * beyond * self.discount[-1]
            values[column] = paid * self.node_size[option.platform]
        return values

    @cached_property
    def order_swing(self) -> np.ndarray:
        """[S, N] what a node of each order costs more on a path than in the mean of the paths, present value; mean 0."""
        if not np.size(self.order_ratio):
            return np.zeros((self.paths, len(self.orders)))
        ratio = self._ratios()
        return (ratio - ratio.mean(axis=0)) * self._priced_usd

    def _ratios(self) -> np.ndarray:
        """[S, N] price of each order over today's on each path."""
        month, platform = (np.array([f(item) for item in self.orders], dtype=int) for f in (_month, _platform))
        listed = np.array([option.listed for option, _ in self.orders], dtype=bool)
        return np.where(listed, np.asarray(self.order_ratio)[:, month, platform], 1.0)

    def sites(self) -> np.ndarray:
        """[P, sites] 1 where a platform stands."""
        site = np.asarray(self.site, dtype=int) if len(self.site) else np.zeros(self.platforms, dtype=int)
        count = max(self.power_by_site().shape[1], np.shape(self.space_nodes)[1])
        return (site[:, None] == np.arange(count)).astype(float)

    def power_by_site(self) -> np.ndarray:
        """[T, sites] `power_kw`, one site where it has one dimension."""
        power = np.asarray(self.power_kw, dtype=float)
        return power[:, None] if power.ndim == 1 else power

    def owned_kw(self) -> np.ndarray:
        """[T, sites] kW that owned accelerators draw."""
        return np.asarray(self.owned) * self.kw @ self.sites()

    @cached_property
    def plan_usd(self) -> np.ndarray:
        """[N + G] present value of a node of each order, then of each port."""
        return np.append(self.order_usd, [port.usd for port in self.ports])

    @cached_property
    def port_of(self) -> np.ndarray:
        """[W, P] port that opens a cell, -1 where it is open."""
        found = np.full(np.shape(self.rate), -1)
        for index, port in enumerate(self.ports):
            found[list(port.workloads), port.platform] = index
        return found

    @cached_property
    def port_ready(self) -> np.ndarray:
        """[T, G] 1 in the months in which a port that is made is ready."""
        ready = np.array([port.months for port in self.ports], dtype=int)
        return (np.arange(self.months)[:, None] >= ready).astype(float)

    def split(self, plan: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nodes [N] and ports [G] of a plan [N + G]; a plan of nodes alone makes no port."""
        count = len(self.orders)
        if len(plan) not in {count, count + len(self.ports)}:
            raise InputError.at("plan", f"needs {count} nodes, then {len(self.ports)} ports", value=len(plan))
        return plan[:count], np.append(plan[count:], np.zeros(count + len(self.ports) - len(plan)))

    def capacity(self, plan: np.ndarray) -> np.ndarray:
        """[T, P] accelerators in service under a plan."""
        return self.owned + self.serves @ self.split(plan)[0]

    def placed(self, nodes: np.ndarray) -> dict[str, np.ndarray]:
        """Fields of the problem that is left once nodes [N] are ordered: they are there, and use up their limits."""
        rows, bounds, names = self.limits()
        left = np.maximum(bounds - rows @ nodes, 0.0)
        of = {kind: np.array([name.startswith(kind) for name in names], dtype=bool) for kind in ("capital", "budget")}
        owned = self.owned + self.serves @ nodes
        power = self.power_by_site().copy()
        if len(self.power_kw):
            mine = [name.startswith("power") for name in names]
            drawn = (np.asarray(owned) * self.kw) @ self.sites()
            power[np.isfinite(power)] = drawn[np.isfinite(power)] + left[mine]
        space = np.array(self.space_nodes, dtype=float)
        space[np.isfinite(space)] = left[[name.startswith("space") for name in names]]
        return {
            "owned": owned,
            "space_nodes": space,
            "capital_usd": left[of["capital"]],
            "order_budget_usd": left[of["budget"]],
            "power_kw": power.reshape(np.shape(self.power_kw)),
        }

    def limits(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Rows of `matrix @ nodes <= bound` and their names: capital by year; power, space, payments and floor by month; share by vendor."""
        return limit_rows(self)

    def in_words(self, sentence: str) -> str:
        """A sentence about limits with platforms, months and years by their names, where they have any."""
        for word, names in (
            ("platform", self.platform_names),
            ("month", self.month_names),
            ("year", self.year_names),
        ):
            if names:
                sentence = re.sub(
                    rf"\b{word} (\d+)\b",
                    lambda at, names=names: names[int(at[1]) - (names is self.year_names)],
                    sentence,
                )
        return sentence

    def paid_usd(self, month: int) -> np.ndarray:
        """[N] USD that a node of each order is paid in a month, purchases at their outlay left out."""
        paid = [
            (month == at) * (0.0 if option.capital else option.upfront_usd)
            + (at + option.lead_months <= month < at + option.lead_months + option.term_months) * option.monthly_usd
            for option, at in self.orders
        ]
        return np.array(paid) * np.array([self.node_size[option.platform] for option, _ in self.orders])


def _month(order: tuple[Option, int]) -> int:
    return order[1]


def _platform(order: tuple[Option, int]) -> int:
    return order[0].platform


def _check_option(option: Option, platforms: int) -> None:
    if not 0 <= option.platform < platforms or option.term_months < 1 or option.lead_months < 0:
        raise InputError.at(
            "options", "needs a platform, a term of at least a month and a lead time", value=option.name
        )
    money = (option.upfront_usd, option.monthly_usd, option.resale_usd)
    if not np.isfinite(money).all() or min(money) < 0 or not 0 <= option.resale_per_year <= 1:
        raise InputError.at(
            "options", "payments must be numbers of at least 0, a resale share 0 to 1", value=option.name
        )


def _shape(values: np.ndarray, name: str, dimensions: int) -> tuple[int, ...]:
    if np.ndim(values) != dimensions or 0 in np.shape(values):
        raise InputError.at(
            "problem", f"must have {dimensions} dimensions, none empty", column=name, value=np.shape(values)
        )
    return np.shape(values)
