"""Penalties in money: what a platform costs over the horizon, everything that has a price included.

Nothing of this is scored again: the score of a cell holds what has no price.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from aifactory.finance.options import OPTION_NAMES
from aifactory.finance.tco import price_index
from aifactory.fleet.streams import KEY as DEMAND_KEY
from aifactory.inputs.workspace import Workspace
from aifactory.inventory import Inventory
from aifactory.inventory.today import baseline_accelerators
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.plan_terms import TERM_COLUMNS, Market, cell_usd, price_cells
from aifactory.units import KILO, MONTHS_PER_YEAR

PARTS = ["compute_usd", "sla_miss_usd", "launch_delay_usd", "until_ported_usd", "porting_usd", "rework_usd"]
PENALTY_COLUMNS = [*KEYS, *PARTS, "total_usd", "total_low_usd", "total_high_usd", "usd_per_1k_units", "missed_usd",
                   *TERM_COLUMNS, "cheapest_before_penalties", "cheapest_after_penalties"]  # fmt: skip


#: Price of the accelerators at the ends of capacity, as `buy_cells` adds it.
LOW, HIGH = "compute_low_usd", "compute_high_usd"
#: Price of the accelerators of a use case alone at the low end of capacity, in the middle and at the high end.
ALONE = ("alone_at_low_usd", "alone_usd", "alone_at_high_usd")
#: Least cost over that at the low end of capacity on a curve of falling cost.
LEAST_STEP = 1e-3


def buy_cells(market: Market, cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of known capacity with the price of their accelerators over the horizon (`plan_terms.price_cells`).

    `LOW` and `HIGH` are that price at the high and the low end of capacity; without a low end the high is infinite.
    """
    table = cells[cells["units_per_s_per_accelerator"] > 0].copy()
    if table.empty:
        return table
    table = table.merge(price_cells(market, table), on=KEYS, how="left")
    return table.assign(**{name: _compute_at(market, table, end) for name, end in ((LOW, "high"), (HIGH, "low"))})


def horizon_costs(ws: Workspace, inventory: Inventory, bought: pd.DataFrame) -> pd.DataFrame:
    """Present value of what each cell costs over the plan's horizon in the expected scenario.

    compute = the accelerators, bought on the terms that the plan would buy them on, with people and storage (`buy_cells`);
    SLA misses = failed units x value x share lost; delay and porting apply once where the class of
    platform changes, delay to a launch to come, as far as the work ends after it (`late_months`), porting where the work is not
    paid already (`begun_months_ago`). What runs already is not delayed: until the port ends it runs on its platform of today, and
    until_ported is what that costs more than the cell (`until_ported_usd`). Rework = porting effort x share that comes again x changes of prompts, context or
    retrieval in the months with demand, spread evenly, at the pay of their month. Running money is discounted month by month at the plan's WACC.
    total_low and total_high are the total with the accelerators priced at the high and the low end of
    capacity. usd_per_1k_units = compute over the present value of the units, the level price of a thousand.
    """
    if bought.empty:
        return pd.DataFrame(columns=PENALTY_COLUMNS).astype(dict.fromkeys([*KEYS, "no_offer_in"], "str"))
    table, cases = bought.copy(), ws.table("use_cases").set_index("use_case_id")
    expected = inventory.forecast[inventory.forecast["scenario"] == "expected"]
    units = present_units(expected, ws.plan.value("wacc"))
    by_case = table["use_case_id"]
    moved = moves_class(ws, table)
    value = by_case.map(cases["value_usd_per_unit"]) * by_case.map(cases["attribution_share"])
    lost = table["failure_rate"].fillna(0) * by_case.map(units) * value
    table["sla_miss_usd"] = (lost * ws.plan.value("sla_miss_usd_per_unit_share")).fillna(0.0)
    effort = _by_class(table, ws.plan.porting_person_months) * ws.plan.value("engineer_usd_per_month")
    runs = by_case.isin(_running(inventory))
    late = late_months(ws, table).mask(runs, 0.0)
    table["launch_delay_usd"] = late * moved * ws.plan.value("launch_delay_usd_per_month")
    table["porting_usd"] = (effort * moved).where(begun_months_ago(ws, table).isna(), 0.0)
    table["until_ported_usd"] = until_ported_usd(ws, table).where(runs, 0.0)
    monthly = monthly_rework_usd(ws, table.set_index("use_case_id")["platform_class"])
    table["rework_usd"] = monthly.to_numpy() * by_case.map(pay_while_served(ws, expected)).fillna(0.0)
    table["total_usd"] = table[PARTS].sum(axis=1, skipna=False)
    rest = table["total_usd"] - table["compute_usd"]
    table["total_low_usd"], table["total_high_usd"] = rest + table[LOW], rest + table[HIGH]
    table["usd_per_1k_units"] = table["compute_usd"] / by_case.map(units).where(lambda found: found > 0) * KILO
    return with_cheapest(table)[PENALTY_COLUMNS].astype({"no_offer_in": "str"}).reset_index(drop=True)


def late_months(ws: Workspace, table: pd.DataFrame) -> pd.Series:
    """Months by which the work of a port, begun at the end of the period or before, delays each cell: those of its class, less the months to a launch to come.

    What names no launch to come waits for all of them.
    """
    launch = table["use_case_id"].map(ws.table("use_cases").set_index("use_case_id")["launch_month"])
    starts = pd.PeriodIndex(launch.where(launch.notna(), ws.period).astype(str), freq="M")
    between = starts.year * MONTHS_PER_YEAR + starts.month - 1 - _month_number(ws.period)
    left = _by_class(table, ws.plan.launch_delay_months) - begun_months_ago(ws, table).fillna(0.0)
    return (left - np.maximum(between, 0)).clip(lower=0.0)


def until_ported_usd(ws: Workspace, table: pd.DataFrame) -> pd.Series:
    """Present value of what the months until its port ends cost on today's platform beyond what they would cost on each cell.

    Of both what the use case alone pays in these months (`Plan.months_to_port`): there the running of what stands, rented hours on a
    cell whose orders have not come yet. Below 0 where today's platform is the cheaper one; 0 where its price is not known, or nothing is ported.

    Parameters
    ----------
    table : cells with so_far_usd (`plan_terms.price_cells`) and porting_usd.
    """
    pairs = table[["use_case_id", "platform_class"]].itertuples(index=False, name=None)
    months = [
        ws.plan.months_to_port(*pair, ws.period) if usd > 0 or begun >= 0 else 0
        for pair, usd, begun in zip(pairs, table["porting_usd"], begun_months_ago(ws, table), strict=True)
    ]
    priced = table.assign(**{str(count): _until(table, count) for count in sorted({*months} - {0})})
    more = pd.Series(0.0, index=table.index)
    for count in sorted({*months} - {0}):
        mine = np.array(months) == count
        dearer = on_todays_platform(ws, priced, str(count)) - priced[str(count)]
        more = more.mask(mine, dearer)
    return more.fillna(0.0)


def _until(table: pd.DataFrame, months: int) -> pd.Series:
    """Present value of what each cell pays in its first months; NaN where it has no price."""
    paid = [usd[min(months, len(usd)) - 1] if isinstance(usd, np.ndarray) else np.nan for usd in table["so_far_usd"]]
    return pd.Series(paid, index=table.index, dtype=float).where(table["compute_usd"].notna())


def _running(inventory: Inventory) -> set[str]:
    """Use cases with units in the period."""
    profile = inventory.demand_profile
    return set(profile.loc[profile["units_month"] > 0, "use_case_id"])


def begun_months_ago(ws: Workspace, table: pd.DataFrame) -> pd.Series:
    """Months since the work of a port to the class of each cell was begun (`ports_under_way` of plan.yaml); NaN where it was not."""
    begun = [
        ws.plan.port_begun(row.use_case_id, row.platform_class, ws.period) for row in table.itertuples(index=False)
    ]
    now = _month_number(ws.period)
    return pd.Series(
        [np.nan if month is None else now - _month_number(month) for month in begun], table.index, dtype=float
    )


def _month_number(period: str) -> int:
    month = pd.Period(period, "M")
    return month.year * MONTHS_PER_YEAR + month.month


def with_cheapest(table: pd.DataFrame) -> pd.DataFrame:
    """Mark the cheapest platforms of each use case by compute and by total, beside the others where the table has that money."""
    money, found = in_shared_nodes(table), {}
    for name, column in (("cheapest_before_penalties", "compute_usd"), ("cheapest_after_penalties", "total_usd")):
        found[name] = money[column] == money.groupby("use_case_id")[column].transform("min")
    return table.assign(**found)


def level_factors(ws: Workspace) -> np.ndarray:
    """Present value of a dollar in each month of the horizon: (1 + WACC)^(-t / 12), t = 1 to the last."""
    return (1 + ws.plan.value("wacc")) ** (-np.arange(1, ws.plan.horizon_months + 1) / MONTHS_PER_YEAR)


def pay_factors(ws: Workspace) -> np.ndarray:
    """Present value of a dollar of pay of today in each month of the horizon, in which pay rises with `cost_inflation`."""
    return level_factors(ws) * price_index(ws.plan.horizon_months + 1, ws.plan)[1:]


def pay_while_served(ws: Workspace, expected: pd.DataFrame) -> pd.Series:
    """Sum of `pay_factors` over the months in which a use case has demand: before its launch and after its end nobody changes it."""
    month = expected.groupby([*DEMAND_KEY]).cumcount()
    served = (expected["units"] > 0).groupby([expected["use_case_id"], month]).any()
    return (served * pay_factors(ws)[served.index.get_level_values(1)]).groupby(level=0).sum()


def present_units(expected: pd.DataFrame, wacc: float) -> pd.Series:
    """Units of each use case over the horizon, discounted month by month."""
    return discounted_units(expected, wacc).groupby(expected["use_case_id"]).sum()


def discounted_units(expected: pd.DataFrame, wacc: float) -> pd.Series:
    """Units of each row, discounted by its month from the period on."""
    month = expected.groupby([*DEMAND_KEY]).cumcount() + 1
    return expected["units"] * (1 + wacc) ** (-month / MONTHS_PER_YEAR)


def billed_usd(ws: Workspace, inventory: Inventory) -> pd.Series:
    """Present value of the work of the horizon by use case at what the bill of the month charges for a unit; NaN where it names none.

    That is what today's platform costs where no offer of the plan prices it: a hosted model, or kit that nobody sells any more.
    """
    units = present_units(inventory.forecast[inventory.forecast["scenario"] == "expected"], ws.plan.value("wacc"))
    each = inventory.use_cases.set_index("use_case_id")["usd_per_unit"].astype("float64")
    return (each * units.reindex(each.index)).where(lambda usd: usd > 0)


def _compute_at(market: Market, table: pd.DataFrame, end: str) -> pd.Series:
    """Compute when capacity lies at one end of its interval; that of the middle where none is known."""
    rate = table["units_per_s_per_accelerator"]
    edge = table[end].astype(float).fillna(rate) if end in table else rate
    if (edge == rate).all():
        return table["compute_usd"]
    found = cell_usd(market, table.assign(units_per_s_per_accelerator=edge))
    usd = table[KEYS].merge(found[[*KEYS, "compute_usd"]], on=KEYS, how="left")["compute_usd"].set_axis(table.index)
    bound = {"upper" if end == "high" else "lower": table["compute_usd"]}
    usd = usd.clip(**bound)
    return usd.where(edge > 0, np.inf).where(table["compute_usd"].notna())


def beside(penalties: pd.DataFrame, name: str, *, own_nodes: bool = False) -> pd.Series:
    """A total over the horizon beside the others (`sharing.priced_beside`), that of the use case alone where it is not known.

    name : total_usd, total_low_usd or total_high_usd.
    own_nodes : take that alone too where the one size of node that all of a pool have makes the cell dearer than nodes of its own;
        not where alone it finds room on standing kit, which is there once.
    """
    column = name.replace("total", "beside")
    if column not in penalties:
        return penalties[name]
    found = penalties[column]
    if own_nodes:
        finds = penalties.get("terms", pd.Series("", index=penalties.index)).fillna("").astype(str)
        stands = finds.str.contains(OPTION_NAMES["owned"].lower(), regex=False)
        found = found.mask((penalties["beside_usd"] > penalties["total_usd"]) & ~stands)
    return found.fillna(penalties[name])


def in_shared_nodes(penalties: pd.DataFrame, *, own_nodes: bool = False) -> pd.DataFrame:
    """The table with money beside the others (`sharing.priced_beside`) as compute_usd, total_usd and the ends of it.

    What the accelerators cost the use case alone stays as `ALONE`: at the low end of capacity, in the middle, at the high end.
    Without those columns, or where they hold none, all is that of the use case alone; `own_nodes` as in `beside`.
    """
    rest = penalties["total_usd"] - penalties["compute_usd"]
    names = ("total_high_usd", "total_usd", "total_low_usd")
    alone = {to: penalties[name] - rest for to, name in zip(ALONE, names, strict=True)}
    found = {name: beside(penalties, name, own_nodes=own_nodes) for name in names}
    return penalties.assign(**found, **alone, compute_usd=found["total_usd"] - rest)


def needed_capacity(cells: pd.DataFrame, target_usd: ArrayLike) -> np.ndarray:
    """Units per second of an accelerator at which the price of each cell over the horizon is a target; NaN: none is enough.

    Between the ends of the capacity interval log cost is interpolated over log capacity, so that whole nodes count;
    beyond them, and where no interval is known, the accelerators cost what they do at the end, and more or less of them
    what they do alone, in inverse proportion to capacity: c(r) = c_end + a_end (r_end / r - 1).

    Parameters
    ----------
    cells : units_per_s_per_accelerator, low, high, compute_usd, total_usd, total_low_usd, total_high_usd, and a as `ALONE`
        where nodes are shared (`in_shared_nodes`): else a = c.

    >>> cell = {"units_per_s_per_accelerator": [2.0], "low": [1.0], "high": [4.0], "compute_usd": [90.0],
    ...         "total_usd": [100.0], "total_low_usd": [55.0], "total_high_usd": [190.0]}
    >>> needed_capacity(pd.DataFrame(cell), [100.0]).tolist(), needed_capacity(pd.DataFrame(cell), [32.5]).tolist()
    ([2.0], [8.0])
    """
    columns = ["low", "units_per_s_per_accelerator", "high", "total_high_usd", "total_usd", "total_low_usd"]
    values = cells.reindex(columns=columns).astype(float)
    rest = (cells["total_usd"] - cells["compute_usd"]).to_numpy(dtype=float)
    found = np.full(len(cells), np.nan)
    goals = np.broadcast_to(np.asarray(target_usd, dtype=float), found.shape) - rest
    apart = cells[list(ALONE)].to_numpy(dtype=float) if ALONE[0] in cells else values.to_numpy()[:, 3:] - rest[:, None]
    for at, (row, alone, goal) in enumerate(zip(values.to_numpy(), apart, goals, strict=True)):
        rate, usd = row[:3], row[3:] - rest[at]
        known = np.isfinite(rate) & np.isfinite(usd) & np.isfinite(alone) & (rate > 0) & (alone > 0)
        if goal > 0 and known.any():
            found[at] = _capacity_at(rate[known], usd[known], alone[known], goal)
    return found


def _capacity_at(rate: np.ndarray, usd: np.ndarray, alone: np.ndarray, goal: float) -> float:
    """Least capacity at a cost on a curve of falling cost, beyond its ends in proportion to what it costs alone."""
    if not usd[-1] <= goal <= usd[0]:
        end = 0 if goal > usd[0] else -1
        times = 1.0 + (goal - usd[end]) / alone[end]
        return float(rate[end] / times) if times > 0 else np.inf
    usd = np.maximum(usd, LEAST_STEP * usd[0])  # beside others more capacity may cost nothing
    falls = np.diff(usd, prepend=np.inf) < 0  # whole nodes: more capacity may cost the same
    return float(np.exp(np.interp(-np.log(goal), -np.log(usd[falls]), np.log(rate[falls]))))


def monthly_rework_usd(ws: Workspace, classes: pd.Series) -> pd.Series:
    """What changes of prompts, context or retrieval cost a month at the pay of today: each the stated share of a port to the class of platform.

    classes : platform class by use case, the index.
    """
    effort = classes.map(ws.plan.porting_person_months).astype("float64").fillna(0.0) * ws.plan.value(
        "engineer_usd_per_month"
    )
    names = pd.Series(classes.index, index=classes.index)
    return effort * ws.plan.rework_share * changes_in_horizon(ws, names) / ws.plan.horizon_months


def changes_in_horizon(ws: Workspace, use_cases: pd.Series) -> pd.Series:
    """Changes of prompts, context or retrieval over the horizon, by the stated stability of demand."""
    stability = ws.table("use_cases").set_index("use_case_id")["demand_stability"]
    yearly = ws.plan.model_changes_per_year
    rate = use_cases.map(stability).fillna("changing").map(yearly).fillna(0.0)
    return rate.astype("float64") * ws.plan.horizon_months / 12


def _by_class(table: pd.DataFrame, per_class: dict[str, float]) -> pd.Series:
    return table["platform_class"].map(per_class).fillna(0.0).astype("float64")


def on_todays_platform(ws: Workspace, cells: pd.DataFrame, column: str) -> np.ndarray:
    """A column's value on today's platform of the same use case; NaN where that is unknown."""
    today = baseline_accelerators(ws, cells)
    values = cells.set_index(KEYS)[column]
    pairs = pd.MultiIndex.from_arrays([cells["use_case_id"], cells["use_case_id"].map(today)])
    return values.reindex(pairs).to_numpy(dtype=float)


def moves_class(ws: Workspace, table: pd.DataFrame) -> pd.Series:
    """1 where the platform is of another class than today's, 0 elsewhere."""
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    today = table["use_case_id"].map(baseline_accelerators(ws, table)).map(classes)
    return (table["platform_class"] != today).astype(float)
