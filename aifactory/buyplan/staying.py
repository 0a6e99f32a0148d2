"""Build against API for use cases that run on a hosted model today: whether they stay there or move to own accelerators.

They need no test: they serve production. Staying costs what the bill shows for a unit, times the units of the expected scenario and
their growth in size; from the announced end of the model on a successor at `api_successor_price_ratio`, and its migration once.
Moving costs what the plan costs with the use case, less what it costs without it, the same migration at approval, and the hosted
model until that work is done (`months_to_move`). Both
sides bear the plan's shares of compute (orchestration, safety checks, cost centres) and its contingency; what a unit costs
wherever it runs (egress, amounts per unit) is on neither. All is present value before tax at the WACC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.buyplan.case import Case, Solution, rebuilt
from aifactory.buyplan.compare import Resolve, hosted_path, least_listed, month_without, streams_over_regions, without
from aifactory.buyplan.governance import money
from aifactory.buyplan.left_alone import Shortlisted, told_of
from aifactory.buyplan.stress.replan import GAP as QUICK_GAP
from aifactory.demand.forecast import DemandScenarios
from aifactory.finance.cashflow import npv
from aifactory.finance.tco import price_index, serves
from aifactory.fleet.guests import chance_beside_spares
from aifactory.fleet.nodes import TooManyNodesError
from aifactory.fleet.streams import EXPECTED
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.hosted import HOSTED
from aifactory.inputs.plan import Plan
from aifactory.inventory.hosted_today import hosted_sentence
from aifactory.units import GIGA, SCENARIOS, monthly_rate, three_digits

COLUMNS = [
    "use_case_id",
    "model",
    "provider",
    "usd_month",
    "usd_per_unit",
    "listed_usd_per_unit",
    "hosted_usd",
    "own_usd",
    "own_high_usd",
    "migration_usd",
    "own_since",
    "own_from",
    "open_usd",
    "retires",
    "stays",
    "source",
    "as_of",
]

#: Least share of the cheapest list price that a bill for all calls can come to: batch prices and contracts halve it.
LEAST_OF_LIST = 0.5
UNDECIDED = {
    "hosted_usd": np.nan, "own_usd": np.nan, "own_high_usd": np.nan, "migration_usd": 0.0, "own_since": "", "own_from": np.nan,
    "open_usd": 0.0,
    "stays": False,
}  # fmt: skip
#: Multiples of the expected demand in which own accelerators are priced: steps of a fifth up to 64.
TIMES = 1.2 ** np.arange(24)


@dataclass(frozen=True)
class Staying:
    """What is decided for each use case that runs on a hosted model today.

    Attributes
    ----------
    table : one row per use case, `COLUMNS`: the bill of the month and of a unit; present value of staying (`hosted_usd`) and of own
        accelerators (`own_usd`, the migration and the bill until then in it; `own_high_usd` at the low end of the rate where it was
        never measured); the first month there of what moves (`own_since`); of
        what stays, the multiple of its expected demand from which own accelerators would cost less at the rate that is known
        (`own_from`, of `TIMES`; NaN beyond); what the search for the orders of the plan leaves open (`open_usd`, `QUICK_GAP` of
        its cost); the announced end of the model; whether it `stays`.
    months : what staying costs and delivers by month and region, in columns of the `approved_plan` contract; of those that move
        too, for the months until they have.
    homes : accelerator of each use case that takes another one without those that stay (`left_alone`).
    """

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS).astype({"stays": bool}))
    months: pd.DataFrame = field(default_factory=pd.DataFrame)
    homes: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Use cases that stay on their hosted model."""
        return frozenset(self.table.loc[self.table["stays"], "use_case_id"])

    @property
    def migration_usd(self) -> dict[str, float]:
        """One-off cost by use case that moves to own accelerators, USD."""
        moves = self.table[~self.table["stays"]]
        return dict(zip(moves["use_case_id"], moves["migration_usd"].astype(float), strict=True))

    @property
    def leaving(self) -> dict[str, str]:
        """First month on own accelerators, YYYY-MM, of each use case that moves there."""
        moves = self.table[self.table["own_since"] != ""]
        return dict(zip(moves["use_case_id"], moves["own_since"], strict=True))

    def sentences(self) -> list[str]:
        """One sentence each: what it runs on, what is decided, and both present values; and what then takes another platform."""
        told = [f"{hosted_sentence(row)}; {_decided(row)}" for row in self.table.itertuples()]
        return [*told, *told_of(self.homes, self.names)]


def decide_staying(
    case: Case,
    today: pd.DataFrame,
    resolve: Resolve,
    api_prices: pd.DataFrame,
    *,
    listed: Shortlisted | None = None,
) -> Staying:
    """Decide use case by use case, most money first; what is decided before holds for the next.

    Parameters
    ----------
    today : `hosted_today`; use cases without counted units, or that the plan cannot size, are not decided.
    resolve : plans the case without some streams [K], in `times` [T, K] its demand, by the rule of the plan.
    api_prices : listed prices of hosted models. A bill below `LEAST_OF_LIST` of the cheapest of its model (as charged, or as the use
        case names it) cannot hold all calls: part of them must run elsewhere, and nothing is decided on it.
    listed : the shortlist, by which those that share nodes with what stays may take other platforms; without it they keep theirs.
    """
    known = _with_list_price(case, today, api_prices)
    whole = known["usd_per_unit"] >= LEAST_OF_LIST * known["listed_usd_per_unit"].fillna(0.0)
    served = _once_moved(case, known.loc[whole, "use_case_id"])
    later, gone = _grown(case, served), np.zeros(len(case.streams.table), dtype=bool)
    plan_usd = _cost_usd(later, resolve(later, gone, served[1:])) if len(known) else 0.0
    rows, months, homes = [], [], {}
    for row, decidable in zip(known.itertuples(index=False), whole, strict=True):
        rows.append(row._asdict() | UNDECIDED)
        if not decidable:
            continue
        mine = (case.streams.table["use_case_id"] == row.use_case_id).to_numpy()
        rest_usd = _cost_usd(later, resolve(without(later, gone | mine), gone | mine, served[1:]))
        anew = listed.cost_usd(_shared(later, served), gone | mine, _cost_usd) if listed else (rest_usd, {})
        rest_usd, others = min((rest_usd, {}), anew, key=lambda found: found[0])
        compared = _compared(case, row, mine, plan_usd - rest_usd)
        rows[-1] |= compared | {"open_usd": QUICK_GAP * plan_usd}
        months.append(stay_months(case, row._asdict()))
        if compared["stays"]:
            rows[-1]["own_from"] = _own_from(case, row, (mine, gone, served), resolve, rest_usd, listed)
            gone, plan_usd, homes = gone | mine, rest_usd, others
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"stays": bool})
    return Staying(table, pd.concat(months, ignore_index=True) if months else pd.DataFrame(), homes)


def _with_list_price(case: Case, today: pd.DataFrame, api_prices: pd.DataFrame) -> pd.DataFrame:
    """Rows of use cases with counted units that the plan can size, with the cheapest list price of a unit."""
    known = today[today["use_case_id"].isin(case.streams.table["use_case_id"]) & (today["usd_per_unit"] > 0)]
    streams = streams_over_regions(case)
    listed = [
        least_listed(streams[row.use_case_id], [row.model, streams[row.use_case_id]["model"]], api_prices)
        for row in known.itertuples(index=False)
    ]
    return known.assign(listed_usd_per_unit=np.array(listed, dtype=float))


def move_begun(case: Case, use_case_id: str) -> str | None:
    """Month at whose end the work to leave its hosted model for the class of its accelerators was begun and paid for (`ports_under_way`); None where it was not."""
    period = case.streams.months[0]
    mine = case.streams.pool[(case.streams.table["use_case_id"] == use_case_id).to_numpy()]
    to = set(case.streams.pools["platform_class"].iloc[mine])
    begun = [
        item.begun
        for item in case.plan.ports_under_way
        if item.use_case_id == use_case_id and item.platform_class in to
    ]
    return min((month for month in begun if month <= period), default=None)


def months_to_move(case: Case, use_case_id: str) -> int:
    """Months that the work to leave a hosted model still takes one person, whole ones; the horizon at most."""
    months = math.ceil(case.plan.value("api_migration_person_months"))
    if begun := move_begun(case, use_case_id):
        months -= (pd.Period(case.streams.months[0], "M") - pd.Period(begun, "M")).n
    return min(max(months, 0), len(case.streams.months) - 2)


def _once_moved(case: Case, names: pd.Series) -> np.ndarray:
    """0 in the months to come in which some use cases have not left their hosted model yet, else 1, [T + 1, K]."""
    served = np.ones(case.streams.share.shape)
    for name in names:
        served[1 : 1 + months_to_move(case, name), (case.streams.table["use_case_id"] == name).to_numpy()] = 0.0
    return served


def stay_usd(case: Case, row: Mapping, months: int | None = None) -> float:
    """Present value of staying for some months, or all: bill of the expected units with the plan's shares and contingency, and the move to a successor."""
    _, cost = _stay_by_month(case, row)
    return float(npv(np.append(0.0, cost.sum(axis=1)[:months]), monthly_rate(case.plan.value("wacc"))))


def stay_months(case: Case, row: Mapping) -> pd.DataFrame:
    """The same by month and region in columns of the `approved_plan` contract, `HOSTED` for its accelerator.

    compute_usd is the bill alone, cost_usd all of it; the value is that of the expected units.
    """
    bill, cost = _stay_by_month(case, row)
    streams, table = case.streams, case.streams.table
    mine = ((table["use_case_id"] == row["use_case_id"]) & streams.main).to_numpy()
    units, (low, high) = streams.units, streams.band
    worth = table["value_usd_per_unit"] * table["attribution_share"] * table["success_share"]
    expected = units[EXPECTED]
    columns = {
        "units": expected, "units_p10": np.minimum(low, expected), "units_p90": np.maximum(high, expected),
        "value_usd": expected * worth.to_numpy(dtype=float), "units_conservative": units[SCENARIOS.index("conservative")],
        "units_aggressive": units[SCENARIOS.index("aggressive")],
    }  # fmt: skip
    frame = pd.DataFrame({"month": streams.months[1:]}).merge(table.loc[mine, ["use_case_id", "region"]], how="cross")
    frame = frame.assign(
        accelerator_id=HOSTED,
        accelerator_hours=0.0,
        outlay_usd=0.0,
        hourly_usd=0.0,
        **{name: values[1:, mine].ravel() for name, values in columns.items()},
        compute_usd=bill[:, mine].ravel(),
        cost_usd=cost[:, mine].ravel(),
    )
    return frame.assign(compute_cash_usd=frame["compute_usd"])


def _stay_by_month(case: Case, row: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Bill, and all that staying costs, by month and stream [T, K]; 0 for other use cases.

    Of a model whose announced end is past the bill shows what answers now.
    """
    plan, table = case.plan, case.streams.table
    mine = (table["use_case_id"] == row["use_case_id"]).to_numpy()
    priced = pd.DataFrame({"use_case_id": table["use_case_id"].unique()}).assign(
        api_usd_per_unit=np.nan, retires=pd.NaT
    )
    at = priced["use_case_id"] == row["use_case_id"]
    priced.loc[at, "api_usd_per_unit"] = row["usd_per_unit"]
    to_come = pd.notna(row["retires"]) and month_without(row["retires"]) > pd.Period(case.streams.months[0], "M")
    priced["retires"] = pd.to_datetime(priced["retires"].mask(at, row["retires"] if to_come else pd.NaT))
    path, moving = hosted_path(case, priced)
    bill = np.where(mine, case.streams.units[EXPECTED] * path, 0.0)[1:]
    cost = bill * (1.0 + _share_of_compute(plan)) + np.where(mine, moving, 0.0)[1:]
    return bill, cost * (1.0 + plan.value("contingency_share"))


def approved_with(approved: pd.DataFrame, staying: Staying, period: str, demand: DemandScenarios) -> pd.DataFrame:
    """Rows of the `approved_plan` contract with those of what stays on hosted models, against which its actual bill is compared, and bands of whole use cases."""
    if len(staying.months):
        stays = _not_planned(staying.months, approved).assign(plan_period=period)
        approved = pd.concat([approved.astype(object), stays.astype(object)], ignore_index=True).infer_objects()
    return _with_use_case_bands(approved, demand).reindex(columns=load_contract("approved_plan").columns)


def _not_planned(months: pd.DataFrame, approved: pd.DataFrame) -> pd.DataFrame:
    """Rows of months in which the plan has no work of their use case in their region."""
    keys = ["use_case_id", "region", "month"]
    there = approved.loc[approved["units"] > 0, keys] if len(approved) else pd.DataFrame(columns=keys)
    return months[~pd.MultiIndex.from_frame(months[keys]).isin(pd.MultiIndex.from_frame(there))]


def _with_use_case_bands(approved: pd.DataFrame, demand: DemandScenarios) -> pd.DataFrame:
    """P10 and P90 of each use case over its regions, around its planned units; none where the plan holds not all of its regions."""
    if approved.empty:
        return approved
    bands = demand.use_cases.set_index(["use_case_id", "month"])
    own = bands.reindex(pd.MultiIndex.from_frame(approved[["use_case_id", "month"]])).set_axis(approved.index)
    regions = demand.frame.groupby("use_case_id")["region"].nunique()
    planned = approved.groupby("use_case_id")["region"].transform("nunique")
    whole = planned == approved["use_case_id"].map(regions)
    units = approved.groupby(["use_case_id", "month"])["units"].transform("sum")
    return approved.assign(
        use_case_units_p10=np.minimum(own["p10"], units).where(whole),
        use_case_units_p90=np.maximum(own["p90"], units).where(whole),
    )


def migration_usd(plan: Plan) -> float:
    """Work to move one use case from a hosted model to own accelerators, as to a successor of it, USD."""
    return plan.value("api_migration_person_months") * plan.value("engineer_usd_per_month")


def _to_pay(case: Case, use_case_id: str) -> float:
    """The same, unless it is paid for already."""
    return 0.0 if move_begun(case, use_case_id) else migration_usd(case.plan)


def moves_begun(hosted_today: pd.DataFrame, approved: pd.DataFrame) -> dict[str, str]:
    """Accelerator, that of most of its hours, of each use case whose work to leave its hosted model begins with a plan.

    Parameters
    ----------
    hosted_today : `Staying.table` of the plan.
    approved : its rows of the `approved_plan` contract.
    """
    if hosted_today.empty:
        return {}
    moves = hosted_today.loc[hosted_today["migration_usd"].gt(0) & hosted_today["own_since"].ne(""), "use_case_id"]
    own = approved[approved["use_case_id"].isin(moves) & (approved["accelerator_id"] != HOSTED)]
    hours = own.groupby(["use_case_id", "accelerator_id"], as_index=False)["accelerator_hours"].sum()
    most = hours.sort_values("accelerator_hours", ascending=False, kind="stable").drop_duplicates("use_case_id")
    return dict(zip(most["use_case_id"], most["accelerator_id"], strict=True))


def _compared(case: Case, row: tuple, mine: np.ndarray, own: float) -> dict:
    """Both present values and what follows from them; `own` USD is what own accelerators add to the plan."""
    until = months_to_move(case, row.use_case_id)
    once = _to_pay(case, row.use_case_id)
    table = case.streams.table[mine]
    rate, low = table["units_per_s_per_accelerator"], table["low"].fillna(0.0)
    unsure = ~table["tier"].isin(OWN_EVIDENCE) & (low > 0)
    work = _labour_usd(case, mine)  # which no rate changes
    high = work + (own - work) * float((rate / low.where(unsure, rate)).max())
    moved = once * (1.0 + case.plan.value("contingency_share")) + stay_usd(case, row._asdict(), until)
    hosted = stay_usd(case, row._asdict())
    stays = hosted <= high + moved
    return {
        "hosted_usd": hosted, "own_usd": own + moved, "own_high_usd": high + moved, "migration_usd": once, "stays": stays,
        "own_since": "" if stays else case.streams.months[1 + until],
    }  # fmt: skip


def _labour_usd(case: Case, mine: np.ndarray) -> float:
    """Present value of port and rework of some streams [K] once they have left their hosted model, contingency included."""
    names = case.streams.table.loc[mine, "use_case_id"]
    later = _grown(case, _once_moved(case, names))
    spent = later.rework_usd[:, mine].sum(axis=1)
    spent[0] += later.porting_usd[mine].sum()
    return float(npv(spent * (1.0 + case.plan.value("contingency_share")), monthly_rate(case.plan.value("wacc"))))


def _own_from(
    case: Case,
    row: tuple,
    streams: tuple[np.ndarray, np.ndarray, np.ndarray],
    resolve: Resolve,
    rest_usd: float,
    listed: Shortlisted | None,
) -> float:
    """Least of `TIMES` the expected demand at which own accelerators cost less than staying; NaN where none does.

    `streams`: those of the use case, and those that stay hosted already, [K] each, and when those that move have, [T + 1, K].
    The months before are hosted on either side, so that neither counts them. Nodes come whole: between two steps, or beyond the one that is found, staying may cost less again.
    """
    mine, gone, served = streams
    moved = _to_pay(case, row.use_case_id) * (1.0 + case.plan.value("contingency_share"))

    def tried(grown: Case) -> list[Case]:
        """In the nodes of the plan, and in those that the larger demand would have where these are others."""
        best = listed.in_best_nodes(grown) if listed else grown
        sizes = [each.streams.pools["accelerators_per_node"] for each in (grown, best)]
        return [grown] if sizes[0].equals(sizes[1]) else [grown, best]

    def pays(times: float) -> bool:
        many = np.where(mine, times, 1.0) * served
        grown = _grown(case, many)
        own = (
            min(_cost_usd(each, resolve(without(each, gone), gone, many[1:])) for each in tried(grown))
            - rest_usd
            + moved
        )
        return own < stay_usd(grown, row._asdict())

    try:
        return next((float(times) for times in TIMES if pays(times)), np.nan)
    except TooManyNodesError:
        return np.nan


def _grown(case: Case, times: np.ndarray) -> Case:
    """The case with `times` [K] or [T + 1, K] the demand of each stream, staffed for what then comes by chance."""
    streams = case.streams
    many = replace(streams, units=streams.units * times, band=streams.band * times)
    chance = np.where(times > 1, chance_beside_spares(many, case.plan), streams.chance)
    return rebuilt(case, case.plan, replace(many, chance=chance))


def _shared(case: Case, served: np.ndarray) -> Case:
    """The case whose paths too hold demand in the months alone in which it is `served` [T + 1, K]."""
    return replace(case, streams=replace(case.streams, share=case.streams.share * served))


def _share_of_compute(plan: Plan) -> float:
    shares = plan.value("orchestration_share") + plan.value("safety_check_share")
    return shares + sum(item.share_of_compute for item in plan.hidden_costs)


def _cost_usd(case: Case, solution: Solution) -> float:
    """Present value of what a plan costs before tax, without what a unit costs wherever it runs and the work of moves."""
    ledger, plan = solution.ledger, case.plan
    spent = ledger.capex_usd + ledger.opex_usd - ledger.residual_usd
    served, table = ledger.units_served, case.streams.table
    tokens = served @ table["output_tokens_per_unit"].to_numpy()
    anywhere = tokens * plan.value("egress_bytes_per_output_token") / GIGA * plan.value("egress_usd_per_gb")
    dearer = price_index(len(served), plan)
    for item in plan.hidden_costs:
        anywhere = anywhere + item.usd_per_unit * dearer * (served @ serves(item, table["use_case_id"]))
    anywhere = anywhere * (1.0 + plan.value("contingency_share"))
    return float(npv(spent - anywhere, monthly_rate(plan.value("wacc"))))


def _decided(row: tuple) -> str:
    """What follows for a use case, with the money that speaks for it."""
    if pd.isna(row.hosted_usd):
        return (
            f"that is far below the cheapest listed price of its model, USD {three_digits(row.listed_usd_per_unit)}, so part of its calls "
            "must run elsewhere. The plan holds all of them on accelerators: state its platform under baseline_accelerators in "
            "plan.yaml, or correct units or bill."
        )
    both = f"at present value {money(row.hosted_usd)} there against {money(row.own_usd)} on own accelerators"
    end = f", its announced end on {row.retires:%Y-%m-%d} and what follows it counted" if pd.notna(row.retires) else ""
    if abs(row.hosted_usd - row.own_usd) < row.open_usd:
        end += f" (the search for orders leaves {money(row.open_usd)} open: neither is shown to cost less)"
    if not row.stays:
        work = (
            f", of which {money(row.migration_usd)} is the work to move, paid at approval, and the bill until then"
            if row.migration_usd > 0
            else ""
        )
        return (
            f"the plan moves it to own accelerators, from {row.own_since} on at the earliest: {both}{work}{end}. Neither cost nor value of the "
            f"months until then is in the plan.{_elsewhere(row)}"
        )
    if row.hosted_usd <= row.own_usd:
        return f"it stays there: {both}{end}; {_from(row.own_from)}. The plan holds neither its cost nor its value."
    return (
        f"it stays there until own accelerators are measured: {both} at the rate that is predicted, but {money(row.own_high_usd)} "
        f"at the low end of it{end}. The plan holds neither its cost nor its value."
    )


def _elsewhere(row: tuple) -> str:
    """What its model costs where it is sold for least, where that is below own accelerators."""
    usd = row.hosted_usd * row.listed_usd_per_unit / row.usd_per_unit
    if not usd < row.own_usd:
        return ""
    return (
        f" At the cheapest listed price of its model, USD {three_digits(row.listed_usd_per_unit)} a unit, it would cost about {money(usd)} hosted: "
        "test that offer, or ask the seller of today for its price, before buying for it."
    )


def _from(times: float) -> str:
    """From which demand on own accelerators would cost less."""
    if np.isnan(times):
        return f"up to {TIMES[-1]:.0f} times its expected demand that stays so"
    return f"own accelerators would cost less from about {three_digits(round(times, 1))} times its expected demand on"
