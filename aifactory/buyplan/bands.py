"""Bands and orders: which nodes are baseline, growth and surge, how each is paid for, when to order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.buyplan.case import Answer, Case, Solution, justified
from aifactory.buyplan.order_months import arrivals
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.fleet.compute import require_equal
from aifactory.fleet.orders import FLEXIBLE
from aifactory.fleet.terms import BOUGHT
from aifactory.units import BANDS, HOURS_PER_MONTH, SCENARIOS

BASELINE, GROWTH, SURGE = range(len(BANDS))
PLACE = ["region", "accelerator_id"]
ORDER_KEYS = ["order_index", "start_index", "pool", "band", "purchase_option", "term_months", "renewal"]


#: More than this share of something is most of it.
HALF = 0.5
#: A smaller share of hours is shown as none.
NO_HOURS = 0.005


def fleet_frame(case: Case, answer: Answer) -> pd.DataFrame:
    """Accelerators to hold by scenario, month and pool, in whole nodes, split into the three bands.

    Baseline: nodes that today's demand keeps busy for at least the break-even share of hours or commits to, and those
    that stand from orders before the plan, as long as they do. Growth: further nodes that are as busy, or committed, in that month. Surge: the
    rest, up to peak and reserve. The bands add up to the fleet. `standing`: nodes there from orders before the
    plan, whether held or idle.
    """
    frames = []
    for scenario, solution in zip(SCENARIOS, answer.scenarios, strict=True):
        held, committed = solution.load.held, solution.orders.state != FLEXIBLE
        base = answer.baseline | case.owned
        growing = held & ~base & (committed | justified(solution))
        parts = {
            "accelerators": held,
            "baseline": held & base,
            "growth": growing,
            "surge": held & ~base & ~growing,
            "committed": committed,
            "standing": case.owned,
        }
        frame = _by_pool_and_month(case)
        for name, part in parts.items():
            totals = case.slots.total(part * case.slots.size, case.pools)[1:]
            frame[name] = totals.ravel().round().astype("int64")
        frame["average"] = solution.load.average[1:].ravel()
        frame["peak_with_reserve"] = solution.load.level[1:].ravel()
        frames.append(frame.assign(scenario=scenario))
    fleet = pd.concat(frames, ignore_index=True)
    require_equal("bands and fleet", fleet[list(BANDS)].to_numpy().sum(), fleet["accelerators"].sum())
    columns = ["accelerators", *BANDS, "committed", "standing", "average", "peak_with_reserve"]
    return fleet[["scenario", "month", *PLACE, *columns]]


def _by_pool_and_month(case: Case) -> pd.DataFrame:
    pools = case.streams.pools[PLACE]
    months = pd.DataFrame({"month": case.streams.months[1:]})
    return months.merge(pools, how="cross")


def band_of_slots(case: Case, answer: Answer) -> np.ndarray:
    """Band of every slot in the expected scenario in the months in which no order from before the plan holds it, [N].

    What stands is baseline while it does; what is ordered in its place when its term ends is so only as far as today's demand
    needs it.
    """
    expected = answer.expected
    ever = (((expected.orders.state != FLEXIBLE) | justified(expected)) & ~case.owned)[1:].any(axis=0)
    return np.where(answer.baseline, BASELINE, np.where(ever, GROWTH, SURGE))


def ways_of_slots(case: Case, solution: Solution) -> np.ndarray:
    """Way to pay for every slot month by month, [T + 1, N].

    Owned where it stands from orders before the plan; what it is under, else what it is ordered as next; with no order to
    come on demand or spot, whichever holds in more months, or missing where no hours are rented.
    """
    spot = solution.terms.spot_usd_per_month < solution.terms.flexible_usd_per_month
    held = solution.load.held
    by_spot = (held & spot & (solution.load.interruptible > HALF)).sum(axis=0) > HALF * held.sum(axis=0)
    rented = np.where(by_spot, "spot", "on_demand")
    rented = np.where(np.isfinite(solution.terms.flexible_usd_per_month), rented, "missing")
    orders, coming = solution.orders, np.full(held.shape[1], FLEXIBLE)
    ways = np.empty(held.shape, dtype=object)
    for month in range(len(held) - 1, -1, -1):
        coming = np.where(orders.signed[month] != FLEXIBLE, orders.signed[month], coming)
        now = np.where(orders.state[month] == FLEXIBLE, coming, orders.state[month])
        named = np.array(COMMITTED_OPTIONS)[np.clip(now, 0, len(COMMITTED_OPTIONS) - 1)]
        ways[month] = np.where(now == FLEXIBLE, rented, named)
    return np.where(case.owned, "owned", ways)


def _slots_by_option(case: Case, answer: Answer, ways: np.ndarray) -> pd.DataFrame:
    """Slots that are held or cost something, by pool, band and way to pay: columns pool, band, purchase_option, slot.

    A slot that is paid for in several ways, one after the other, is there with each, in the months in which it is.
    """
    load, cost = answer.expected.load, answer.expected.ledger.compute.slot_usd
    month, slot = np.nonzero(load.held | (cost != 0))
    option = ways[month, slot].astype(str)
    band = np.where(option == "owned", BASELINE, band_of_slots(case, answer)[slot])
    rows = pd.DataFrame({"pool": case.slots.pool[slot], "band": band, "purchase_option": option, "slot": slot})
    return rows.drop_duplicates().sort_values("slot", ignore_index=True)


def orders_frame(case: Case, answer: Answer, prices: pd.DataFrame) -> pd.DataFrame:
    """Orders of the expected scenario: when to sign, for how many accelerators, for how much money.

    `commitment_usd` is the outlay of a purchase or the rent of the whole term; `upfront_usd` of it is paid at once. `renewal`: placed
    after an earlier order of the same nodes; what is ordered no later, and delivered when that has ended, is none.
    `lead_time_weeks` is what the plan waits for: as stated, else what hardware without a stated lead time takes.
    """
    solution = answer.expected
    terms, signed = solution.terms, solution.orders.signed
    month, slot = np.nonzero(signed != FLEXIBLE)
    option = signed[month, slot]
    at_first, first = solution.orders.first_signed()
    columns = np.arange(len(first))
    first_order = np.maximum(first - terms.lead[np.maximum(at_first, 0), columns], 1)
    order_index = np.maximum(month - terms.lead[option, slot], 1)
    rent = terms.rent_usd_month[option, slot] * np.where(option == BOUGHT, 0, terms.term[option, slot])
    rows = pd.DataFrame(
        {
            "order_index": order_index,
            "start_index": month,
            "pool": case.slots.pool[slot],
            "band": np.array(BANDS)[band_of_slots(case, answer)[slot]],
            "purchase_option": np.array(COMMITTED_OPTIONS)[option],
            "term_months": np.where(option == BOUGHT, 0, terms.term[option, slot]),
            "renewal": (month > first[slot]) & (order_index > first_order[slot]),
            "accelerators": case.slots.size[slot],
            "commitment_usd": terms.capex_usd[option, slot] + rent,
            "upfront_usd": terms.capex_usd[option, slot] + rent * terms.upfront_share[option, slot],
        }
    )
    grouped = rows.groupby(ORDER_KEYS, as_index=False)[["accelerators", "commitment_usd", "upfront_usd"]].sum()
    return _with_dates(grouped, case, prices)


def _with_dates(orders: pd.DataFrame, case: Case, prices: pd.DataFrame) -> pd.DataFrame:
    months = np.array(case.streams.months)
    starts = pd.PeriodIndex(months, freq="M")[orders["start_index"].to_numpy(dtype=int)]
    ends = [str(p + t) if t else "" for p, t in zip(starts, orders["term_months"], strict=True)]
    orders = orders.assign(
        order_month=months[orders["order_index"].to_numpy(dtype=int)],
        start_month=months[orders["start_index"].to_numpy(dtype=int)],
        expires=pd.Series(ends, dtype="str"),
    )
    options = [COMMITTED_OPTIONS.index(option) for option in orders["purchase_option"]]
    orders["lead_time_weeks"] = case.offers.lead_weeks[options, orders["pool"].to_numpy(dtype=int)]
    orders = orders.join(case.streams.pools[PLACE], on="pool")
    about = ["provider", "sku", "as_of", "source", "confidence"]
    keys = ["accelerator_id", "region", "purchase_option"]
    orders = orders.merge(prices[[*keys, *about]], on=keys, how="left")
    order = ["order_index", "start_index", "region", "accelerator_id", "band", "purchase_option"]
    return orders.sort_values(order, ignore_index=True).drop(columns="pool")


def bands_frame(case: Case, answer: Answer, options: pd.DataFrame, period: str) -> pd.DataFrame:
    """Return one row per pool, band and way to pay: size, cost, trigger, last date to order."""
    slots, expected = case.slots, answer.expected
    ways = ways_of_slots(case, expected)
    rows, since = [], []
    for (pool, band, option), group in _slots_by_option(case, answer, ways).groupby(
        ["pool", "band", "purchase_option"]
    ):
        mine = group["slot"].to_numpy()
        months = ways[:, mine] == option
        rows.append(_band_row(case, answer, int(pool), int(band), option, mine, months))
        since.append(int((expected.load.held[:, mine] & months).any(axis=1).argmax()))
    bands = pd.DataFrame(rows, columns=BAND_COLUMNS)
    bands["milestone"] = [
        _milestone(case, row, period, month) for row, month in zip(bands.itertuples(), since, strict=True)
    ]
    hourly = options.set_index(["accelerator_id", "region", "purchase_option"])["usd_per_accelerator_hour_effective"]
    keys = pd.MultiIndex.from_frame(bands[["accelerator_id", "region", "purchase_option"]])
    hours = slots.total(case.owned * slots.size, case.pools)[1:].sum(axis=0) * HOURS_PER_MONTH
    paid = slots.total(np.where(case.owned, expected.ledger.compute.slot_usd, 0.0), case.pools)[1:].sum(axis=0)
    owned = (paid / np.where(hours > 0, hours, np.nan))[bands.pop("pool").to_numpy(dtype=int)]
    listed = hourly.reindex(keys).to_numpy(dtype=float)
    bands["usd_per_accelerator_hour"] = np.where(bands["purchase_option"] == "owned", owned, listed)
    total = expected.ledger.compute.cost_usd.sum() / case.plan.horizon_months
    require_equal("cost of bands and of compute", bands["usd_month"].sum(), total)
    return bands


POOL_USE = "mean utilisation of the pool in the month"
BAND_COLUMNS = [
    "pool",
    *PLACE,
    "band",
    "purchase_option",
    "accelerators_now",
    "accelerators_end",
    "accelerators_max",
    "hours_used_share",
    "usd_month",
    "trigger_indicator",
    "trigger_threshold",
    "current_value",
    "order_by_month",
    "lead_time_weeks",
    "expires",
    "owner_role",
]


def _band_row(
    case: Case, answer: Answer, pool: int, band: int, option: str, slots: np.ndarray, months: np.ndarray
) -> dict:
    """A band of some slots [n] in the months [T + 1, n] in which they are paid for in one way.

    hours_used_share: hours in which they work, of those of the months in which they are held, or are rented beyond the fleet for
    work that waits (jobs wider than what it leaves them).
    """
    solution, size = answer.expected, case.streams.pools["accelerators_per_node"].iloc[pool]
    held = solution.load.held[:, slots] & months
    use = solution.load.use[:, slots] * months
    signed = solution.orders.signed[:, slots]
    month, _ = np.nonzero((signed != FLEXIBLE) & months)
    row = {"pool": pool, **case.streams.pools[PLACE].iloc[pool].to_dict()} | {
        "band": BANDS[band],
        "purchase_option": option,
        "accelerators_now": int(held[0].sum() * size),
        "accelerators_end": int(held[-1].sum() * size),
        "accelerators_max": int(held[1:].sum(axis=1).max() * size),
        "hours_used_share": float(use[1:].sum() / max((held | (use > 0))[1:].sum(), 1)),
        "usd_month": float((solution.ledger.compute.slot_usd[:, slots] * months).sum() / case.plan.horizon_months),
        "order_by_month": "",
        "lead_time_weeks": 0.0,
        "expires": "",
        "owner_role": case.plan.assumptions["planning_utilization"].owner_role,
    }
    if len(month):
        first, code = int(month.min()), COMMITTED_OPTIONS.index(option)
        lead = int(solution.terms.lead[code, slots[0]])
        term = 0 if code == BOUGHT else int(solution.terms.term[code, slots[0]])
        row["order_by_month"] = case.streams.months[max(first - lead, 1)]
        row["lead_time_weeks"] = float(case.offers.lead_weeks[code, pool])
        row["expires"] = str(pd.Period(case.streams.months[first], "M") + term) if term else ""
    return row | _trigger(case, answer, pool, band, slots)


def _trigger(case: Case, answer: Answer, pool: int, band: int, slots: np.ndarray) -> dict:
    """Indicator, threshold and current value: when the next band is due, or this one is worth a term."""
    load = answer.expected.load
    if band == BASELINE:  # readings tell its value: `triggers.with_triggers`
        limit = case.plan.trigger_utilization
        return {"trigger_indicator": POOL_USE, "trigger_threshold": limit, "current_value": np.nan}
    if not np.isfinite(answer.expected.terms.flexible_usd_per_month[slots[0]]):
        return _load_trigger(answer, pool, slots)
    return {
        "trigger_indicator": "hours in which its first node works",
        "trigger_threshold": float(answer.expected.terms.break_even[slots[0]]),
        "current_value": float(load.use[0, slots].max(initial=0.0)),
    }


def _load_trigger(answer: Answer, pool: int, slots: np.ndarray) -> dict:
    """Where no hours are rented: the load of today over that in the month in which the band's first node is due to be ordered."""
    expected = answer.expected
    option, month = (values[slots] for values in expected.orders.first_signed())
    signs = option != FLEXIBLE
    lead = expected.terms.lead[np.maximum(option, 0), slots]
    ordered = (month - lead)[signs] if signs.any() else expected.load.held[:, slots].argmax(axis=0)
    due = expected.load.average[max(int(ordered.min()), 1), pool]
    return {
        "trigger_indicator": "load over that at which its first node is due, where no hours are rented,",
        "trigger_threshold": 1.0,
        "current_value": float(expected.load.average[0, pool] / due) if due > 0 else float("nan"),
    }


def _runs_elsewhere(case: Case, row: object) -> bool:
    """Whether the work of a pool must run on other kit today: nothing stands there, and no hours can be rented."""
    pool = _pool(case, row)
    return case.placed.accelerators[0, pool] <= 0 and not np.isfinite(case.offers.on_demand[pool])


def _pool(case: Case, row: object) -> int:
    places = zip(case.streams.pools["region"], case.streams.pools["accelerator_id"], strict=True)
    return list(places).index((row.region, row.accelerator_id))


def _milestone(case: Case, row: object, period: str, since: int) -> str:
    """Business milestone: today's demand, the starts, moves and launches of the pool, or growth to the horizon.

    A baseline that is not there yet serves today's demand from its first month on (`since`), when a running term ends,
    an order arrives or the work moves there; one that the expected demand leaves idle is kept for more demand than that, or by its term.
    """
    if row.band == BANDS[BASELINE] and row.hours_used_share < NO_HOURS:
        return "runs by its term" if row.purchase_option == "owned" else "more demand than expected"
    if row.band == BANDS[BASELINE]:
        served = "served on other kit so far" if _runs_elsewhere(case, row) else "already served"
        return f"demand of {period}, {f'from {case.streams.months[since]} on' if since else served}"
    named = _coming(case, row, period)
    if row.band == BANDS[GROWTH]:
        return named or f"expected growth to {case.streams.months[-1]}"
    return named or "peaks, seasons and experiments"


def _coming(case: Case, row: object, period: str) -> str:
    """Use cases that start or move to the pool, and launch windows of those it serves, after a period: each with its months."""
    table, here = case.streams.table, _pool(case, row)
    mine = set(table.loc[case.streams.pool == here, "use_case_id"])
    coming = {words: [case.streams.months[1 + month]] for month, pool, words in arrivals(case.streams) if pool == here}
    for item in case.plan.launches:
        more = item.use_case_id in mine and item.month > period and item.demand_multiplier > 1
        if more and item.month not in coming.get(item.milestone, []):
            coming.setdefault(item.milestone, []).append(item.month)
    return "; ".join(f"{milestone} ({', '.join(sorted(months))})" for milestone, months in coming.items())


def pools_frame(case: Case, answer: Answer, installed: pd.DataFrame) -> pd.DataFrame:
    """Accelerators installed and needed per region and accelerator, chosen or only installed."""
    load, size = answer.expected.load, case.slots.size
    held = case.slots.total(load.held * size, case.pools)
    frame = case.streams.pools[["region", "accelerator_id"]].assign(
        needed_now=held[0], average_now=load.average[0], needed_end=held[-1], needed_max=held.max(axis=0, initial=0.0)
    )
    have = installed.groupby(["region", "accelerator_id"], as_index=False)["installed"].sum()
    frame = frame.merge(have, on=["region", "accelerator_id"], how="outer")
    numbers = ["installed", "needed_now", "average_now", "needed_end", "needed_max"]
    frame[numbers] = frame[numbers].fillna(0.0)
    return frame[["region", "accelerator_id", *numbers]].sort_values(["region", "accelerator_id"], ignore_index=True)
