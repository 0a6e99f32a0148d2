"""Other ways to cover the same expected demand, priced by the same cost function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from aifactory.buyplan.attribution import attribute_hours, pool_share
from aifactory.buyplan.case import PEAK_RULE_RESERVE, Answer, Case, Solution, peak_levels, rebuilt, solve_expected
from aifactory.finance.cashflow import annualised, irr_all, npv, payback_or_why
from aifactory.finance.options import COMMITTED_OPTIONS
from aifactory.finance.roi import with_hosted_end
from aifactory.finance.tco import around_usd_per_hour, price_index
from aifactory.finance.unit_cost import api_usd_per_unit
from aifactory.fleet.compute import DEPRECIATION, Compute, price_orders
from aifactory.fleet.nodes import node_counts
from aifactory.fleet.orders import Orders, follow, rule_decisions
from aifactory.fleet.streams import EXPECTED
from aifactory.inputs.hosted import model_key, model_keys
from aifactory.units import MONTHS_PER_YEAR, few, monthly_rate, percent

OURS = "This plan"
ON_DEMAND = "All on demand"
HOSTED = "Hosted API"
MEDIA_PRICES = {"image": "usd_per_image", "audio_minute": "usd_per_audio_minute"}
TOKENS = ["input_tokens_per_unit", "cached_input_tokens_per_unit", "output_tokens_per_unit"]
#: Plans the case that is left when streams [K] have moved to hosted models.
Resolve = Callable[..., Solution]


def comparisons_frame(case: Case, answer: Answer, api: pd.DataFrame, resolve: Resolve | None = None) -> pd.DataFrame:
    """Cost of the accelerators, with the people and storage around them, under each policy over the horizon, ours first.

    All rules serve the whole expected demand: what their commitments do not cover is rented on
    demand. Orders made for many paths may cost a little more on this one than orders made for it. `dearer_share` is the present value over ours, less one. `plan_irr_annual` and
    `plan_payback_month` judge our outlay by what it saves against the rule, before tax; both are empty where nothing more is laid out. `resolve` plans a case without
    the streams [K] that moved to hosted models; by default with the orders that are cheapest for it alone.
    """
    ours = answer.expected.ledger.compute
    rate = monthly_rate(case.plan.value("wacc"))
    rows = [_row(OURS, ours, ours, case, "orders chosen over many demand paths, here on the expected one")]
    for name, hold, option, note in _rules(case):
        offered, lacking = _offers_of(case, answer, hold, option)
        if hold.any() and not offered:
            continue  # nobody offers this way to pay where it would be held: it would be other terms under its name
        if lacking:
            note += f"; not offered in every region and node size for {', '.join(lacking)}, held there on other terms"
        rows.append(_row(name, price_rule(case, answer, hold, option), ours, case, note))
    frame = pd.DataFrame([*rows, *_hosted_rows(case, answer, api, rate, resolve or _alone)])
    base = frame.loc[0, "present_value_usd"]
    frame["dearer_share"] = frame["present_value_usd"] / base - 1.0 if base > 0 else np.nan
    return frame


def _offers_of(case: Case, answer: Answer, hold: np.ndarray, option: str) -> tuple[bool, list[str]]:
    """Whether a way to pay is offered for any node that a rule holds, and the accelerators with nodes for which it is not."""
    held = hold.any(axis=0)
    there = answer.expected.terms.available[COMMITTED_OPTIONS.index(option)]
    names = case.streams.pools["accelerator_id"].to_numpy()[case.slots.pool]
    return bool((held & there).any()), sorted(set(names[held & ~there]))


def _alone(case: Case, _moved: np.ndarray) -> Solution:
    return solve_expected(case)


def _rules(case: Case) -> list[tuple[str, np.ndarray, str, str]]:
    """Name, slots to hold per month, term and remark of every rule of thumb."""
    streams, sizes = case.streams, case.streams.pools["accelerators_per_node"].to_numpy(dtype=int)
    average = streams.sized(streams.units[EXPECTED])
    membership = (streams.pool[:, None] == np.arange(case.pools)).astype(float)
    with_reserve = _hold(case, (average * (1.0 + streams.rule)) @ membership, sizes)
    peak = _hold(case, peak_levels(streams) * (1.0 + PEAK_RULE_RESERVE), sizes)
    nothing = np.zeros_like(with_reserve)
    ratios = sorted({percent(ratio) for ratio in case.plan.reserve.values()}, key=lambda text: float(text[:-2]))
    share, spill = " / ".join(ratios), _above(case)
    return [
        (ON_DEMAND, nothing, "reserved_1y", _by_the_hour(case)),
        (f"Average + {share} reserved for 1 year", with_reserve, "reserved_1y", spill),
        (f"Average + {share} reserved for 3 years", with_reserve, "reserved_3y", spill),
        (f"Average + {share} bought", with_reserve, "purchase", spill),
        (f"Peak + {percent(PEAK_RULE_RESERVE)} reserved for 3 years", peak, "reserved_3y", "nothing left to rent"),
        (f"Peak + {percent(PEAK_RULE_RESERVE)} bought", peak, "purchase", "nothing left to rent"),
    ]


def _rentable(case: Case) -> np.ndarray:
    """Which of the slots that the expected demand needs can be had on demand."""
    needed = case.loads[EXPECTED].held.any(axis=0)
    return np.isfinite(case.offers.on_demand)[case.slots.pool][needed]


def _above(case: Case) -> str:
    """Remark of a rule that holds less than the peak: where the peaks run."""
    rentable, held = _rentable(case), "the fleet that the expected demand needs is held"
    if rentable.all():
        return "peaks above it on demand"
    return (
        f"peaks above it on demand; where no hours are rented {held}"
        if rentable.any()
        else f"no hours are rented: at least {held}"
    )


def _by_the_hour(case: Case) -> str:
    """Remark of the rule that commits to nothing: what it pays, also where no hours are rented."""
    rentable = _rentable(case)
    if rentable.all():
        return "pays used hours only; spot not used"
    held = "the fleet that the expected demand needs is held"
    return (
        f"pays used hours only; spot not used; where no hours are rented {held}"
        if rentable.any()
        else f"no hours are rented: {held}"
    )


def _hold(case: Case, level: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    nodes = np.stack([node_counts(level[:, pool], size) for pool, size in enumerate(sizes)], axis=1)
    return case.slots.number < nodes[:, case.slots.pool]


def price_rule(case: Case, answer: Answer, hold: np.ndarray, option: str, *, all_spot: bool = False) -> Compute:
    """Price a rule; where nothing can be rented by the hour, the fleet with its reserve is held.

    A rule that holds nothing pays on demand, or `all_spot` at spot prices wherever they are offered.
    """
    expected = answer.expected
    rentable = np.isfinite(expected.terms.flexible_usd_per_month)
    load = expected.load
    if not hold[:, rentable].any():  # all by the hour: spot is another product
        load = replace(load, interruptible=np.full_like(load.interruptible, float(all_spot)))
    return price_orders(
        rule_orders(case, answer, hold, option), load, case.slots, expected.terms, case.pools, case.placed
    )


def rule_orders(case: Case, answer: Answer, hold: np.ndarray, option: str) -> Orders:
    """Orders of a rule that holds slots on one term; what cannot be rented is held in any case."""
    expected = answer.expected
    rentable = np.isfinite(expected.terms.flexible_usd_per_month)
    hold = np.where(rentable, hold, hold | expected.load.held)
    return follow(rule_decisions(hold, option, expected.terms), expected.terms, case.owned)


def _around_usd(case: Case, compute: Compute) -> np.ndarray:
    """People and storage around the hours paid for, by month and pool, [T + 1, P]."""
    pay = price_index(len(compute.paid_hours), case.plan)[:, None]
    return compute.paid_hours * around_usd_per_hour(case.plan, case.offers.field, pay)


def _cash_usd(case: Case, compute: Compute) -> np.ndarray:
    """Cash by month of the accelerators and of what goes with them, [T + 1]."""
    return compute.cash_usd + _around_usd(case, compute).sum(axis=1)


def _row(policy: str, compute: Compute, ours: Compute, case: Case, note: str) -> dict:
    cash = _cash_usd(case, compute)
    used, saved = compute.paid_hours.sum(), cash - _cash_usd(case, ours)
    found, (month, _) = irr_all(saved, MONTHS_PER_YEAR), payback_or_why(saved)
    return {
        "policy": policy,
        "present_value_usd": float(npv(cash, monthly_rate(case.plan.value("wacc")))),
        "usd_horizon": float(cash.sum()),
        "accelerator_hours_paid": float(used),
        "served_share": float(compute.served[1:].mean()) if compute.served.size else 1.0,
        "plan_irr_annual": annualised(found.rate) if found.status == "unique" else np.nan,
        "plan_payback_month": month,
        "note": note,
    }


def _hosted_rows(case: Case, answer: Answer, api: pd.DataFrame, rate: float, resolve: Resolve) -> list[dict]:
    """Use cases with a hosted price move to it: all of them, or those whose share of the plan costs more.

    What stays is planned anew without them: a node that it fills in part is paid in full.
    """
    expected, table = answer.expected, case.streams.table
    price = table["use_case_id"].map(api.set_index("use_case_id")["api_usd_per_unit"]).to_numpy(dtype=float)
    shares = attribute_hours(case, expected, case.streams.units[EXPECTED])
    path, moving = hosted_path(case, api)
    bill = expected.ledger.units_served * path + moving
    own = own_present_value(case, expected.ledger.compute, pool_share(shares.paid, case), rate)
    paid = _by_column(bill, rate)
    by_use_case = pd.DataFrame({"own": own, "bill": paid}).groupby(table["use_case_id"])
    sums = by_use_case[["own", "bill"]].transform("sum")
    choices = {
        f"{HOSTED} where priced": np.isfinite(price),
        f"{HOSTED} where cheaper": (sums["bill"] < sums["own"]).to_numpy() & np.isfinite(price),
    }
    ours, rows = float(npv(_cash_usd(case, expected.ledger.compute), rate)), {}
    for moved in choices.values():
        if moved.any() and moved.tobytes() not in rows:
            stays = without(case, moved)
            rest = _cash_usd(stays, left := resolve(stays, moved).ledger.compute)
            rows[moved.tobytes()] = _hosted_row(table, moved, (rest, left.paid_hours), (bill, paid), (ours, rate))
    return [{"policy": policy, **rows[moved.tobytes()]} for policy, moved in choices.items() if moved.any()]


def without(case: Case, moved: np.ndarray) -> Case:
    """The case without the demand of some streams, [K]: what the others need alone."""
    streams = case.streams
    kept = {name: np.where(moved, 0.0, getattr(streams, name)) for name in ("units", "band")}
    return rebuilt(case, case.plan, replace(streams, **kept))


def _by_column(amounts: np.ndarray, rate: float) -> np.ndarray:
    """Present value of each column of [T + 1, K]; NaN where a month is not known."""
    return np.array([npv(column, rate) if np.isfinite(column).all() else np.nan for column in amounts.T])


def own_present_value(case: Case, compute: Compute, share: np.ndarray, rate: float) -> np.ndarray:
    """Present value of the cash that each stream causes, people and storage included, [K]; they add up to that of the plan.

    The cost view by month is discounted; purchases are paid before they wear, so what the cash is worth
    beyond that goes to the streams by their depreciation (by all their cost where nothing was bought).
    """
    pool = case.streams.pool
    around = _around_usd(case, compute)
    cost = _by_column((compute.cost_usd + around)[:, pool] * share, rate)
    wear = _by_column(compute.lines[DEPRECIATION][:, pool] * share, rate)
    weight = wear if wear.sum() > 0 else cost
    gap = float(npv(_cash_usd(case, compute), rate)) - cost.sum()
    return cost + gap * weight / weight.sum() if weight.sum() > 0 else cost


def hosted_path(case: Case, api: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Hosted price of a unit by month and stream, and what moving to a successor costs, [T + 1, K].

    From the month of the day after the announced end of a model its successor's price holds, and each use case pays
    its migration once; NaN and 0 where there is no hosted price. Units that grow in size hold more tokens and cost as
    much more; what is sold by the image, page or second of media does not.
    """
    table, shape = case.streams.table, (len(case.streams.months), len(case.streams.table))
    hosted = api.set_index("use_case_id")
    price, once = np.full(shape, np.nan), np.zeros(shape)
    for column, use_case in enumerate(table["use_case_id"]):
        usd, end = hosted.loc[use_case, "api_usd_per_unit"], hosted.loc[use_case, "retires"]
        if not np.isfinite(usd):
            continue
        first = table["use_case_id"].tolist().index(use_case) == column
        price[:, column], moving = _until_its_end(case, float(usd), end)
        once[:, column] = moving if first else 0.0
    return price * hosted_size(case), once


def _until_its_end(case: Case, usd: float, end: object) -> tuple[np.ndarray, np.ndarray]:
    """Price of a unit of today's size and cost of moving one use case on, by month [T + 1]: the successor's price from the announced end.

    The work to move is paid at the pay of its month.
    """
    plan, months = case.plan, case.streams.months
    price, once = with_hosted_end(
        np.full(len(months), usd),
        None if pd.isna(end) else (month_without(end) - pd.Period(months[0], "M")).n,
        successor=plan.value("api_successor_price_ratio"),
        migrate_usd=plan.value("api_migration_person_months") * plan.value("engineer_usd_per_month"),
    )
    return price, once * price_index(len(months), plan)


def month_without(end: object) -> pd.Period:
    """Month from which a model does not answer any more whose announced end, its last day, is known.

    >>> month_without("2027-06-29"), month_without("2027-06-30")
    (Period('2027-06', 'M'), Period('2027-07', 'M'))
    """
    return (pd.Timestamp(end) + pd.Timedelta(days=1)).to_period("M")


def hosted_size(case: Case) -> np.ndarray:
    """[T + 1, K] what a unit costs at a hosted model by its size, over today: its growth where tokens are paid."""
    by_unit = case.streams.table["service_unit"].isin(list(MEDIA_PRICES)).to_numpy()
    return np.where(by_unit, 1.0, case.streams.size)


def _hosted_row(
    table: pd.DataFrame,
    moved: np.ndarray,
    rest: tuple[np.ndarray, np.ndarray],
    hosted: tuple[np.ndarray, np.ndarray],
    ours: tuple[float, float],
) -> dict:
    """One policy: `hosted` is the bill [T + 1, K] and its present value [K], `ours` that of the plan and the monthly rate.

    `rest` holds cash [T + 1] and hours paid of the accelerators that the others need.
    """
    (cash, hours), (bill, paid), (plan_usd, rate) = rest, hosted, ours
    names, kept = few(sorted(set(table.loc[moved, "use_case_id"]))), float(npv(cash, rate))
    beside = f" beside USD {kept:,.0f} of accelerators for the others" if kept > 0 else ""
    return {
        "present_value_usd": float(paid[moved].sum() + kept),
        "usd_horizon": float(bill[:, moved].sum() + cash.sum()),
        "accelerator_hours_paid": float(hours.sum()),
        "served_share": 1.0,
        "plan_irr_annual": np.nan,
        "plan_payback_month": np.nan,
        "note": f"hosted: {names} for a present value of USD {paid[moved].sum():,.0f}{beside}, instead of USD {plan_usd:,.0f} for all",
    }


def api_frame(case: Case, api_prices: pd.DataFrame, as_of: str) -> pd.DataFrame:
    """Hosted price of a unit per use case whose model is hosted and may leave its regions: of the offer that costs least over the horizon.

    The present value of the expected units counts, with the successor's price and the migration from an announced end on. A unit has the mean tokens over all regions, weighted with the units that are expected there.

    Columns: use_case_id, api_model, provider, api_usd_per_unit, retires (announced end of the model,
    NaT without one), reason (why there is no price), source, as_of, confidence, next_times (price of the cheapest other provider over
    this one; NaN without another). Batch prices hold for work that
    can wait.
    """
    offers = api_prices[~(api_prices["deprecation_date"] <= pd.Timestamp(as_of))]
    offers = offers.assign(key=offers["api_model"].map(model_key))
    rows = []
    for use_case, stream in streams_over_regions(case).items():
        rows.append({"use_case_id": use_case, **_cheapest_api(case, stream, offers)})
    columns = ["use_case_id", "api_model", "provider", "api_usd_per_unit", "retires", "reason", "source", "as_of", "confidence", "next_times"]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(retires=pd.to_datetime(frame["retires"]))


def streams_over_regions(case: Case) -> dict[str, pd.Series]:
    """Each use case as one stream: its first region with the mean tokens of a unit over all, weighted with the expected units."""
    table = case.streams.table.assign(expected=case.streams.units[EXPECTED].sum(axis=0))
    found = {}
    for use_case, group in table.groupby("use_case_id"):
        stream, counted = group.iloc[0].copy(), group[group[TOKENS].notna().all(axis=1)]
        if counted["expected"].sum() > 0:
            stream[TOKENS] = np.average(counted[TOKENS].astype(float), axis=0, weights=counted["expected"])
        found[str(use_case)] = stream
    return found


def _cheapest_api(case: Case, stream: pd.Series, offers: pd.DataFrame) -> dict:
    if isinstance(stream["allowed_regions"], str) and stream["allowed_regions"]:
        return {"reason": "residency rule: may not leave its regions", "api_usd_per_unit": np.nan}
    if not isinstance(stream["model"], str) or not stream["model"]:
        return {"reason": "no model named", "api_usd_per_unit": np.nan}
    priced = _priced(stream, offers, model_keys(stream["model"]))
    if not priced:
        return {"reason": "no hosted price for this model and unit", "api_usd_per_unit": np.nan}
    volume = _hosted_volume(case, stream["use_case_id"])
    _, usd, _, best = min(
        ((_present_value(case, volume, usd, row.deprecation_date), usd, row.api_model, row) for usd, row in priced),
        key=lambda item: item[:3],
    )
    about = {"api_model": best.api_model, "provider": best.provider, "source": best.source, "as_of": best.as_of}
    others = [other for other, row in priced if row.provider != best.provider]
    about |= {
        "retires": best.deprecation_date,
        "confidence": best.confidence,
        "next_times": min(others, default=np.nan) / usd if usd > 0 else np.nan,
    }
    return {"reason": "", "api_usd_per_unit": usd, **about}


def _hosted_volume(case: Case, use_case: str) -> np.ndarray:
    """Expected units of a use case by month in units of today's price, all regions, [T + 1]; none in the month of the report."""
    mine = (case.streams.table["use_case_id"] == use_case).to_numpy()
    return (case.streams.units[EXPECTED] * hosted_size(case))[:, mine].sum(axis=1) * (
        np.arange(len(case.streams.months)) > 0
    )


def _present_value(case: Case, volume: np.ndarray, usd: float, end: object) -> float:
    """What a use case pays at a hosted price over the horizon, USD today, its move from a model that ends included."""
    price, once = _until_its_end(case, usd, end)
    return float(npv(volume * price + once, monthly_rate(case.plan.value("wacc"))))


def _priced(stream: pd.Series, offers: pd.DataFrame, keys: Collection[str]) -> list[tuple]:
    """Price of a unit and row of every offer of the models `keys` that has one."""
    same = offers[offers["key"].isin(keys)]
    priced = [(usd_per_unit(stream, row._asdict()), row) for row in same.itertuples()]
    return [(usd, row) for usd, row in priced if np.isfinite(usd)]


def least_listed(stream: pd.Series, models: Sequence[str], api_prices: pd.DataFrame) -> float:
    """Cheapest listed price of a unit of a stream at any of some models, whoever sells it and wherever; NaN without one."""
    keys = frozenset().union(*(model_keys(name) for name in models if name))
    priced = _priced(stream, api_prices.assign(key=api_prices["api_model"].map(model_key)), keys)
    return min((usd for usd, _ in priced), default=float("nan"))


def usd_per_unit(stream: Mapping, offer: Mapping) -> float:
    """Price of one unit of a stream at one hosted offer; NaN where the offer has no fitting price."""
    if stream["service_unit"] in MEDIA_PRICES:
        return float(offer[MEDIA_PRICES[stream["service_unit"]]])
    kind = "batch_" if stream["movable"] and np.isfinite(offer["batch_output_usd_per_mtok"]) else ""
    if not stream["output_tokens_per_unit"] + stream["input_tokens_per_unit"] > 0:
        return float("nan")
    price = api_usd_per_unit(
        stream["input_tokens_per_unit"],
        stream["cached_input_tokens_per_unit"],
        stream["output_tokens_per_unit"],
        input_usd_per_mtok=offer[f"{kind}input_usd_per_mtok"],
        output_usd_per_mtok=offer[f"{kind}output_usd_per_mtok"],
        cached_input_usd_per_mtok=offer["cached_input_usd_per_mtok"] if not kind else float("nan"),
    )
    return float(price)


def worse_policies(comparisons: pd.DataFrame) -> list[str]:
    """Say which feasible policies cost less than this plan, by how much, and why they are not the plan."""
    cheaper = comparisons[(comparisons["dearer_share"] < -1e-9) & (comparisons["served_share"] > 1 - 1e-9)]
    hosted = cheaper["policy"].str.startswith(HOSTED)
    again = hosted & cheaper.assign(hosted=hosted).duplicated(["hosted", "note", "dearer_share"])
    cheaper, hosted = cheaper[~again], hosted[~again]
    return [
        f"{row.policy} would cost {percent(-row.dearer_share)} less for accelerators, people and storage ({row.note}). Hosted models were "
        "not benchmarked on our prompts, so the plan does not rely on them: decide on a test."
        if is_hosted
        else f"{row.policy} would cost {percent(-row.dearer_share)} less for accelerators, people and storage if demand were exactly as expected; "
        "the orders are chosen over many demand paths, not for that one, and keep the limits of the plan, to which it is not held."
        for row, is_hosted in zip(cheaper.itertuples(), hosted, strict=True)
    ]
