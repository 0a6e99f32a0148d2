"""What a reader must know before signing: gaps in evidence, prices, budgets, power."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from aifactory.benchmark.chance import LIMIT, NOTHING
from aifactory.buyplan.case import Answer, Case
from aifactory.buyplan.duties import end_date
from aifactory.buyplan.governance import money, month_name
from aifactory.buyplan.idle_kit import idle_sentences
from aifactory.buyplan.own_sites import site_sentences
from aifactory.buyplan.payments import paid_by_month
from aifactory.buyplan.placed_notes import placed_sentences, served_elsewhere
from aifactory.buyplan.spare_notes import spare_sentences
from aifactory.finance.options import OPTION_NAMES
from aifactory.finance.prices import OWN_SITE_OPTIONS
from aifactory.fleet.allowed_wait import TRAINING_CLASSES
from aifactory.fleet.streams import EXPECTED, not_sized_sentences
from aifactory.inputs.hosted import STAYS_HOSTED
from aifactory.inventory.findings import COVERED
from aifactory.inventory.service import field_accelerators
from aifactory.units import HOURS_PER_MONTH, counted, few, percent, three_digits

#: What the extra for requests that come by chance rests on -> what a reader must know.
CHANCE_DOUBTS = {
    NOTHING: "Nothing is held for requests that come by chance (how many are in progress at capacity is unknown)",
    LIMIT: "What is held for requests that come by chance rests on half of the latency limits, not on a measured time",
}
#: How the source of an amount begins that `aifactory new` wrote and nobody confirmed.
EXAMPLE_SOURCE = "example of the template"
#: Committed accelerators beyond the expected need, as a share of it, from which a reader must be told.
SURPLUS_SHARE = 0.25
#: Share by which lengths of the runs differ from production from which a reader must be told.
OTHER_PROMPTS = 0.25
OFFER = ["accelerator_id", "region", "purchase_option"]
NO_LONGER = "would no longer be used"


def warnings_list(
    case: Case,
    answer: Answer,
    *,
    orders: pd.DataFrame,
    bands: pd.DataFrame,
    options: pd.DataFrame,
    accelerators: pd.DataFrame,
    pools: pd.DataFrame,
    installed: pd.DataFrame,
) -> list[str]:
    """Everything a reader must know before signing, one sentence each."""
    found = [
        *_budget_warnings(case, answer),
        *site_sentences(case, answer),
        *_demand_warnings(case, answer),
        *example_sentences(case, answer),
        *_evidence_warnings(case, accelerators),
        *_capacity_warnings(bands, pools, case),
        *spare_sentences(case, answer),
        *placed_sentences(case, installed, field_accelerators(accelerators)),
        *idle_sentences(case),
        *_order_warnings(orders, case.prices),
        *_price_warnings(case, bands, options),
    ]
    return list(dict.fromkeys(found))


def _demand_warnings(case: Case, answer: Answer) -> list[str]:
    streams = case.streams
    # of those that stay hosted their own sentence speaks
    found = not_sized_sentences(streams.not_sized[streams.not_sized["reason"] != STAYS_HOSTED])
    table = streams.table
    unvalued = table[table["value_usd_per_unit"].isna() | table["attribution_share"].isna()]
    if len(unvalued):
        names = _listed(unvalued["use_case_id"])
        found.append(f"No value is counted for {names}: value per unit or attribution is missing.")
    for row in table[table["observed_share"] < COVERED].itertuples():
        found.append(
            f"Telemetry of {row.use_case_id} in {row.region} covers {percent(row.observed_share)} of the month; "
            "the plan takes the level of those hours for all of it."
        )
    for row in table.itertuples():
        rule = row.allowed_regions if isinstance(row.allowed_regions, str) else ""
        if rule and row.region not in [name.strip() for name in rule.split(";")]:
            found.append(f"{row.use_case_id} is served in {row.region}, which its residency rule does not allow.")
    return found + _late_sentences(case, answer)


def _late_sentences(case: Case, answer: Answer) -> list[str]:
    """Work that no capacity serves: before the first order can arrive, and after it; how much, whose, and the ways out."""
    solution, streams, found = answer.expected, case.streams, []
    asked = case.slots.total(solution.load.work * case.slots.size, case.pools)
    short = (asked * (1.0 - solution.ledger.compute.served))[1:]
    for pool in np.flatnonzero((short > 1e-9 * np.maximum(asked[1:], 1.0)).any(axis=0)):
        place, slot = streams.pools.iloc[pool], np.flatnonzero(case.slots.pool == pool)[0]
        offered = solution.terms.available[:, slot]
        first = int(solution.terms.first_month[offered, slot].min()) if offered.any() else len(short) + 1
        early, later = short[: first - 1, pool], short[first - 1 :, pool]
        where = f"{place['accelerator_id']} in {place['region']}"
        if early.any():
            asks = (streams.units[EXPECTED][1:first] > 0).any(axis=0) & (streams.pool == pool)
            whose = _listed(streams.table.loc[asks, "use_case_id"])
            arrives = (
                f"an order of today serves from {streams.months[first]} on"
                if first <= len(short)
                else "nothing can be ordered"
            )
            found.append(
                f"{where} cannot be had in time: no hours are rented there and {arrives}, so that work of up to {three_digits(early.max())} "
                f"accelerators in the mean of a month is missed for {whose} ({early.sum() * HOURS_PER_MONTH:,.0f} accelerator-hours in all; in the busiest hours, with reserve, more are lacking). Ways out: "
                f"a lead time shorter by {counted(first - 1 - int((early > 0).argmax()), 'month')}, an offer of rented hours, or another platform until then."
            )
        if (later > 0).any():
            share = later.sum() / asked[first:, pool].sum()
            found.append(
                f"In {counted(int((later > 0).sum()), 'month')} {percent(share)} of the work on {where} is missed in the busiest hours: its reserve "
                "allows that risk and no hours can be rented there."
            )
    return found


def example_sentences(case: Case, answer: Answer, least_share: float = 0.0) -> list[str]:
    """Cost centres that a new workspace brought along and nobody has confirmed, from a share of the total cost on."""
    examples = [item for item in case.plan.hidden_costs if item.source.startswith(EXAMPLE_SOURCE)]
    if not examples:
        return []
    lines = answer.expected.ledger.lines
    total = sum(amount.sum() for amount in lines.values())
    theirs = sum(lines[item.name].sum() for item in examples if item.name in lines)
    share = theirs / total if total > 0 else 0.0
    if share < least_share:
        return []
    usd = sum(item.usd_per_month for item in examples)
    return [
        f"Hidden cost centres of USD {usd:,.0f} a month are examples of the template, not the organisation's "
        f"({_listed(item.name for item in examples)}): {percent(share)} of the total cost (USD {theirs:,.0f}) and of what lowers the NPV "
        "is theirs. Replace or delete them in plan.yaml."
    ]


def _evidence_warnings(case: Case, accelerators: pd.DataFrame) -> list[str]:
    table = case.streams.table
    sources = table["accelerator_id"].map(accelerators.set_index("accelerator_id")["verified_sources"])
    unverified = sorted(set(table.loc[sources == 0, "accelerator_id"]))
    found = [f"The specification of {name} rests on no verified source." for name in unverified]
    several = table.groupby("use_case_id")["accelerator_id"].transform("nunique") > 1
    where = (" on " + table["accelerator_id"]).where(several, "")
    unmeasured = table.assign(
        subject=table["use_case_id"] + where, place=np.where(several, "", " on the chosen accelerator")
    )
    for (tier, place), group in unmeasured[table["tier"] != "measured"].groupby(["tier", "place"]):
        found.append(f"Capacity of {_listed(group['subject'])}{place} is {tier}, not measured: benchmark first.")
    comes_as_asked = ~table["movable"] & (table["wait_hours"] <= 1) & ~table["workload_class"].isin(TRAINING_CLASSES)
    for basis, group in table[comes_as_asked].groupby("chance_basis"):
        if basis in CHANCE_DOUBTS:
            found.append(
                f"{CHANCE_DOUBTS[basis]} for {_listed(group['use_case_id'])}: run a test that states its concurrency."
            )
    return found


def _price_warnings(case: Case, bands: pd.DataFrame, options: pd.DataFrame) -> list[str]:
    used = bands[OFFER].merge(options, on=OFFER, how="inner").drop_duplicates(OFFER)
    limit = used["purchase_option"].map(case.plan.price_freshness_days).astype("float64")
    stale = [
        f"{_offer(keys)} is {counted(int(rows['age_days'].max()), 'day')} old; renew it."
        for keys, rows in used[used["age_days"] > limit].groupby(["accelerator_id", "purchase_option"])
    ]
    elsewhere = [
        f"{_offer(keys)} in {_listed(rows['region'])} is taken from another region of {_listed(rows['provider'])}: ask whether it can be had there, and for how much."
        for keys, rows in used[~used["exact_region"]].groupby(["accelerator_id", "purchase_option"])
    ]
    return stale + elsewhere


def before_signing(
    orders: pd.DataFrame, lifecycle: pd.DataFrame, prompt_mix: pd.DataFrame, table: pd.DataFrame
) -> list[str]:
    """What most of the money of the orders hangs on: kit no longer sold new, the dearest prices that nobody is bound to, runs with other prompts."""
    sold, prices = (sale_sentences(orders, lifecycle), unbound_prices(orders)) if len(orders) else ([], [])
    return [*sold, *prices[:1], *other_prompts(prompt_mix, table, orders), *prices[1:]]


def unbound_prices(orders: pd.DataFrame) -> list[str]:
    """Prices of orders that were assumed or claimed, with the money that rests on them, most first."""
    groups = orders[orders["confidence"] != "measured"].groupby(["confidence", "provider", "purchase_option"])
    found = [
        (
            -rows["commitment_usd"].sum(),
            f"The {OPTION_NAMES[option].lower()} price of {_listed(rows['accelerator_id'])} from {provider} is "
            f"{confidence}, and {money(rows['commitment_usd'].sum())} of orders rest on it: get a binding quote before signing.{_until_they_cost(rows)}",
        )
        for (confidence, provider, option), rows in groups
    ]
    return [sentence for _, sentence in sorted(found)]


def _until_they_cost(orders: pd.DataFrame) -> str:
    """How much more orders may cost over their life, resale taken off, until their last nodes no longer pay."""
    kept = orders["cost_rise_kept"].dropna() if "cost_rise_kept" in orders else orders["commitment_usd"].iloc[:0]
    ends = list(dict.fromkeys([percent(kept.min()), percent(kept.max())])) if len(kept) else []
    return f" Their last nodes pay until they cost {' to '.join(ends)} more, resale taken off." if ends else ""


def other_prompts(prompt_mix: pd.DataFrame, table: pd.DataFrame, orders: pd.DataFrame | None = None) -> list[str]:
    """Use cases whose measured capacity is of requests much shorter or longer than those of production.

    Parameters
    ----------
    prompt_mix : of the benchmark stage, one row per use case and length.
    table : streams of the plan with use_case_id, accelerator_id and tier.
    orders : those of the plan, of which the first month of each accelerator dates the repeat.
    """
    months = orders.groupby("accelerator_id")["order_month"].min().items() if orders is not None and len(orders) else ()
    first = {name: f", the first in {month_name(month)}" for name, month in months}
    own = table[table["tier"] == "measured"].groupby("use_case_id")["accelerator_id"].agg(_listed)
    off = prompt_mix["deviation_share"].abs() >= OTHER_PROMPTS
    return [
        f"The capacity of {own[row.use_case_id]} for {row.use_case_id} was measured with {row.metric.split('_')[0]}s of {row.benchmark_mean:,.0f} tokens on average, "
        f"production has {row.production_mean:,.0f}: it {'may be lower' if row.deviation_share < 0 else 'may be higher'}. Repeat the runs before orders for it are signed{first.get(own[row.use_case_id], '')}."
        for row in prompt_mix[off & prompt_mix["use_case_id"].isin(own.index)].itertuples()
    ]


def _order_warnings(orders: pd.DataFrame, prices: pd.DataFrame) -> list[str]:
    found = unbound_prices(orders)
    keys = ["accelerator_id", "region", "purchase_option"]
    unstated = prices[prices["purchase_option"].isin(OWN_SITE_OPTIONS) & prices["lead_time_weeks"].isna()]
    hardware = orders.merge(unstated[keys], on=keys)
    if len(hardware):
        weeks = hardware["lead_time_weeks"].max()
        taken = (
            f"the longest stated one for hardware, {weeks:g} weeks, is used"
            if weeks > 0
            else "nor for any other hardware, so none is counted; ask the vendor"
        )
        found.append(f"No lead time is stated for {_listed(hardware['accelerator_id'])}: {taken}.")
    return found


def _offer(keys: tuple[str, str]) -> str:
    return f"The {OPTION_NAMES[keys[1]].lower()} price of {keys[0]}"


def _capacity_warnings(bands: pd.DataFrame, pools: pd.DataFrame, case: Case) -> list[str]:
    """Rented reserve is no promise; what is installed today does not vanish by itself."""
    most = bands[bands["band"] == "surge"].groupby("purchase_option")["accelerators_max"].sum()
    listed, spot = most.get("on_demand", 0), most.get("spot", 0)
    found = []
    if listed > 0:
        beside = f" and up to {spot:,} more on spot" if spot > 0 else ""
        taken = " and spot is taken back at any time" if spot > 0 else ""
        found.append(
            f"Up to {listed:,} accelerators of the surge band are rented only when needed{beside}: "
            f"on-demand capacity is not guaranteed{taken}."
        )
    elif spot > 0:
        found.append(
            f"Up to {spot:,} accelerators of the surge band are rented on spot, which is taken back at any time."
        )
    for row in pools[(pools["installed"] > 0) & (pools["needed_max"] == 0)].itertuples():
        others = served_elsewhere(case, row.region, row.accelerator_id)
        found.append(
            f"{row.installed:,.0f} {row.accelerator_id} installed in {row.region} serve nothing that the plan covers, but "
            f"may serve {_listed(others)}, which it does not: keep them until those are measured."
            if others
            else f"{row.installed:,.0f} {row.accelerator_id} installed in {row.region} {NO_LONGER}: "
            "reassign, sell or return what is held, switch off what is rented by the hour."
        )
    return found


def with_open_decisions(warnings: list[str], decisions: pd.DataFrame, pools: pd.DataFrame) -> list[str]:
    """Caveats on accelerators that would no longer be used, with the open decisions about their pools behind."""
    places = pools.drop_duplicates("pool_id").set_index("pool_id")
    due = decisions[(decisions["status"] == "open") & decisions["subject"].isin(places.index)]
    told = list(warnings)
    for row in due.itertuples():
        where = f"{places.loc[row.subject, 'accelerator_id']} installed in {places.loc[row.subject, 'region']} "
        by = f", due {row.due:%Y-%m-%d}" if pd.notna(row.due) else ""
        more = f" Still to be decided{by}: {row.text}"
        told = [text + more if where in text and NO_LONGER in text else text for text in told]
    return told


def surplus_sentences(fleet: pd.DataFrame) -> list[str]:
    """Commitments far beyond what the expected demand needs: they are paid in its cost and serve other paths only.

    A pool is named from `SURPLUS_SHARE` of its need on, at its highest; regions alike share a sentence. Where the surplus
    begins with a delivery and ends with a term, a contract and what follows it are both paid meanwhile, which it says.

    Parameters
    ----------
    fleet : as of `fleet_frame`.
    """
    rows = fleet[fleet["scenario"] == "expected"].assign(over=lambda frame: frame["committed"] - frame["accelerators"])
    found = []
    for (accelerator, region), pool in rows.groupby(["accelerator_id", "region"], sort=False):
        pool = pool.sort_values("month", ignore_index=True)
        many = (pool["over"] >= (SURPLUS_SHARE * pool["accelerators"]).clip(lower=1.0)).to_numpy()
        if many.any():
            at = int(pool["over"].where(many).idxmax())
            top = pool.loc[at]
            works = (pool["accelerators"] > 0).to_numpy()
            ended = bool(works[:at].any() and not works[at:].any())
            key = (accelerator, int(top["committed"]), int(top["accelerators"]), top["month"], ended)
            found.append((key, region, _changeover_months(pool["committed"].to_numpy(), many, at)))
    told: dict[tuple, list[str]] = {}
    for key, region, months in sorted(found, key=lambda each: each[0][2] - each[0][1]):
        told.setdefault((*key, months), []).append(region)
    return [_surplus_sentence(*key, regions) for key, regions in told.items()]


def lifecycle_sentences(fleet: pd.DataFrame, orders: pd.DataFrame, lifecycle: pd.DataFrame) -> list[str]:
    """Kit that is held after its support, and kit that is ordered after its maker stopped selling it."""
    return [*(support_sentences(fleet, lifecycle) if len(fleet) else []), *sale_sentences(orders, lifecycle)]


def support_sentences(fleet: pd.DataFrame, lifecycle: pd.DataFrame) -> list[str]:
    """Kit that is owned, leased or reserved in the expected scenario beyond the day on which its support ends.

    Parameters
    ----------
    fleet : as of `fleet_frame`.
    lifecycle : rows of the `lifecycle` contract; of several ends of one accelerator the first counts.
    """
    ends = lifecycle[lifecycle["event"] == "end_of_support"]
    ends = ends.assign(ends=ends["date"].map(end_date)).sort_values("ends").drop_duplicates("accelerator_id")
    rows = fleet[(fleet["scenario"] == "expected") & (fleet["committed"] > 0)].merge(ends, on="accelerator_id")
    late = rows[pd.to_datetime(rows["month"]) > rows["ends"]]
    found = []
    for (accelerator, region), pool in late.groupby(["accelerator_id", "region"]):
        top, last = pool.iloc[0], pool["month"].max()
        if pool["accelerators"].any():
            what = "the plan counts on them at the same cost. Prolong it, or set end_month in the commitments table for what goes; what is ordered needs a later end."
        else:
            what = "the plan runs nothing on them from then on. Set end_month in the commitments table for what goes."
        found.append(
            f"Support of {accelerator} ends on {top['ends']:%Y-%m-%d} ({top['source']}, {top['as_of']:%Y-%m-%d}), and {pool['committed'].max():,} of "
            f"them are held in {region} until {month_name(last)}: {what}"
        )
    return found


def sale_sentences(orders: pd.DataFrame, lifecycle: pd.DataFrame) -> list[str]:
    """Hardware that is ordered after its maker stopped selling it, `orders` with accelerators, order_month and money."""
    if orders.empty:
        return []
    ends = lifecycle[lifecycle["event"] == "end_of_sale"].drop_duplicates("accelerator_id")
    bought = ["accelerator_id", "accelerators", "order_month", "commitment_usd", "sku"]
    rows = orders.loc[orders["purchase_option"].isin(OWN_SITE_OPTIONS), bought].merge(ends, on="accelerator_id")
    late = rows[pd.to_datetime(rows["order_month"]) > rows["date"].map(end_date)]
    return [
        f"{accelerator} has not been sold new since {mine['date'].iloc[0]} ({mine['source'].iloc[0]}, {mine['as_of'].iloc[0]:%Y-%m-%d}), and "
        f"{mine['accelerators'].sum():,} of them are ordered for {money(mine['commitment_usd'].sum())}, offered as {_listed(mine['sku'].unique())}: what is delivered is stock or has been used. "
        "Ask for its age, its warranty, and how long spare parts are sold."
        for accelerator, mine in late.groupby("accelerator_id")
    ]


def _changeover_months(committed: np.ndarray, many: np.ndarray, at: int) -> int:
    """Months of the surplus around `at` where it begins with a delivery and ends with a term; 0 where it does not."""
    first, last = at, at
    while first > 0 and many[first - 1]:
        first -= 1
    while last + 1 < len(many) and many[last + 1]:
        last += 1
    inside = first > 0 and last + 1 < len(many)
    return last - first + 1 if inside and committed[first - 1] < committed[at] > committed[last + 1] else 0


def _surplus_sentence(
    accelerator: str, committed: int, needed: int, month: str, ended: bool, months: int, regions: list[str]
) -> str:
    where = f"{', '.join(regions[:-1])} and {regions[-1]} each" if len(regions) > 1 else regions[0]
    start = (
        f"{committed:,} {accelerator} are committed in {where} in {month_name(month)}, where the expected demand needs "
        f"{f'{needed:,}' if needed else 'none'}: "
    )
    if months:
        return f"{start}for {counted(months, 'month')} a term still runs while what follows it is delivered, and both are paid."
    if ended:
        return f"{start}nothing is expected to run on them from then on, and they are paid in any case: reassign, sell or return them. Those on an own site are off then, and no limit of power or space counts them."
    return f"{start}{'the others' if needed else 'they'} wait for more demand than expected, if any comes, and are paid in any case."


def _budget_warnings(case: Case, answer: Answer) -> list[str]:
    budget, ledger, months = case.plan.budget, answer.expected.ledger, case.streams.months
    found = []
    limit = budget.opex_usd_per_month
    unused_capex_usd = case.unused.capex_usd.sum(axis=1) if case.counts_unused else np.zeros(len(months))
    paid = paid_by_month(case, ledger)
    over = np.flatnonzero(paid > limit) if limit is not None else np.zeros(0, dtype=int)
    if over.size:
        found.append(
            f"Operating cost exceeds the budget of {money(limit)} a month in {counted(int(over.size), 'month')}, first in "
            f"{month_name(months[over[0]])}, at most {money(paid.max())}.{_owed_anyway(case, limit) or _in_vain(case)}"
        )
    first = case.plan.fiscal_year_start_month
    outlay = (
        pd.Series(ledger.capex_usd + unused_capex_usd).groupby([fiscal_year(month, first) for month in months]).sum()
    )
    for month, usd in case.placed.spent_usd.items():
        if month <= months[0] and fiscal_year(month, first) in outlay.index:
            outlay[fiscal_year(month, first)] += usd
    for year, amount in outlay.items():
        if budget.capex_usd_per_year is not None and amount > budget.capex_usd_per_year:
            allowed = money(budget.capex_usd_per_year)
            found.append(f"Capital outlay of fiscal year {year} is {money(amount)}, above the limit of {allowed}.")
    return found


def _in_vain(case: Case) -> str:
    """Why the plan does not sign less to keep a monthly budget: the plan says so, or it would only raise what is rented (`monthly_budget.in_vain`)."""
    if case.plan.budget.opex_limits_orders:
        return ""
    return " This budget keeps no order away: what is not signed is rented, mostly at a higher price. It takes a larger budget, less demand or cheaper offers."


def _owed_anyway(case: Case, limit: float) -> str:
    """What orders placed before leave no plan to keep a monthly budget with; "" where they fit it."""
    owed = case.paid_before_usd[1:]
    if not (owed > limit).any():
        return ""
    return (
        f" Orders placed before alone take up to {money(owed.max())} a month and exceed it in {counted(int((owed > limit).sum()), 'month')}: "
        "no order of this plan changes that, only a larger budget or kit given back."
    )


def fiscal_year(month: str, start_month: int) -> int:
    """Fiscal year of a month, named after the calendar year in which it ends.

    >>> fiscal_year("2026-10", 1), fiscal_year("2026-10", 7), fiscal_year("2026-06", 7)
    (2026, 2027, 2026)
    """
    year, number = int(month[:4]), int(month[5:7])
    return year if start_month == 1 or number < start_month else year + 1


def _listed(names: Iterable[str]) -> str:
    return few(sorted(set(names)))
