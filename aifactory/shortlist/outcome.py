"""What follows: the platform of each use case, the layers of the architecture, pilots with exit criteria."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.inputs.hosted import HOSTED_ONLY
from aifactory.inputs.workspace import Workspace
from aifactory.serving.capacity import overlap
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.migration import GENERAL_CLASSES
from aifactory.shortlist.money import beside, in_shared_nodes, needed_capacity
from aifactory.shortlist.robustness import Robustness
from aifactory.units import pace, percent

GENERAL, SPECIALISED, INNOVATION = "general GPU layer", "specialised layer", "innovation track"
CHOICE_COLUMNS = ["use_case_id", "accelerator_id", "platform_class", "tier", "tier_label", "total", "total_usd", "runner_up",
                  "margin_usd", "beside_usd", "proven", "reason", "usd_per_score_point", "verdict", "deciding_measurement"]  # fmt: skip
PILOT_COLUMNS = [*KEYS, "platform_class", "total", "tier", "reason", "beside_usd", "target_usd", "needed_units_per_s", "expected_units_per_s",
                 "max_failure_rate", "max_person_months", "decide_by", "exit_criterion"]  # fmt: skip
#: Why a cell was not chosen.
NOT_MEASURED, LOW_SCORE = "not measured on own prompts", "measured, scores too low"
#: Start of the reason for a platform that leads by score though another costs less.
SCORED_ABOVE = "clear winner over weights and intervals"
NO_WINNER, DEARER = "another leads over weights and intervals", "dearer in the expected scenario"
DEARER_BESIDE = "dearer where nodes are shared"
#: Start of the reason for a platform that is dearer alone than another.
SHARES = "saves USD"
#: Start of the reason for a platform that is the cheapest in shared nodes, though another is so alone.
CHEAPEST_BESIDE = "cheapest beside the other use cases"
#: Months a pilot may run beyond the delay that its porting causes.
PILOT_MONTHS = 3


class Beside(NamedTuple):
    """A platform that serves a use case for less beside the others: what that saves and what it costs there, USD over the horizon."""

    accelerator_id: str
    saved_usd: float
    usd: float


def choose(
    cells: pd.DataFrame,
    penalties: pd.DataFrame,
    robustness: Robustness,
    moved: Mapping[str, Beside] | None = None,
) -> pd.DataFrame:
    """One platform per use case: the clear winner among the best-evidenced cells, else the cheapest of them.

    A clear winner leads under the admissible weights and intervals, money counted once among the
    criteria. Where there is none, money decides and the verdict says so; `moved` names use cases that another
    of the same cells serves for less, because it shares nodes there (`sharing`); `beside_usd` is its price so, all others are those of the use case alone
    until `with_shared_money` has them beside the others.
    """
    joined = cells.merge(penalties[[*KEYS, "total_usd"]], on=KEYS, how="left")
    clear = robustness.verdicts[robustness.verdicts["verdict"] == "clear winner"].set_index("use_case_id")["leader"]
    moved = moved or {}
    rows = [
        _choice_of(str(name), group, clear.get(name), moved.get(str(name)))
        for name, group in joined.groupby("use_case_id", sort=True)
    ]
    texts = ["use_case_id", "accelerator_id", "platform_class", "tier", "tier_label", "runner_up", "reason"]
    table = pd.DataFrame(rows).merge(
        robustness.verdicts[["use_case_id", "verdict", "deciding_measurement"]], on="use_case_id", how="left"
    )
    return table.reindex(columns=CHOICE_COLUMNS).astype(
        dict.fromkeys([*texts, "verdict", "deciding_measurement"], "str")
    )


def contenders(cells: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The best-evidenced cells of one use case, by `total_usd` one of which is chosen, and the reason for the cheapest."""
    feasible = cells[cells["total_usd"].notna() & (cells["units_per_s_per_accelerator"] > 0)]
    feasible = feasible[~((feasible["decision"] == "reject") & feasible["total"].isna())]
    inside = feasible[_not_excluded(feasible)]
    general = inside[inside["platform_class"].isin([*GENERAL_CLASSES, "edge"])]
    groups = (
        (feasible[feasible["decision"] == "choose"], "cheapest over the horizon among the platforms to choose"),
        (inside[inside["tier"].isin(OWN_EVIDENCE)], "best measured or in production; scores below the mark to choose"),
        (general, "provisional: nothing was measured on own prompts, so start on the general layer and benchmark"),
        (inside, "provisional: nothing was measured on own prompts, benchmark first"),
    )
    return next(((group, text) for group, text in groups if len(group)), (feasible.iloc[:0], ""))


def _choice_of(use_case: str, cells: pd.DataFrame, winner: str | None, moved: Beside | None) -> dict[str, object]:
    pool, reason = contenders(cells)
    if pool.empty:
        closed = cells["reason"].eq(HOSTED_ONLY).any()
        reason = HOSTED_ONLY if closed else "no platform has a known capacity and price: benchmark first"
        return {"use_case_id": use_case, "reason": reason}
    ranked = pool.sort_values(["total_usd", "total"], ascending=[True, False], kind="stable")
    cheapest, shared_usd = ranked["accelerator_id"].iloc[0], np.nan
    wins = (ranked["accelerator_id"] == winner).to_numpy()
    if wins[1:].any():
        reason = f"{SCORED_ABOVE}, though {cheapest} is cheaper"
    elif moved and not wins.any():
        wins = (ranked["accelerator_id"] == moved.accelerator_id).to_numpy()
        shared_usd = moved.usd
        if moved.accelerator_id != cheapest:
            reason = (f"{SHARES} {moved.saved_usd:,.0f} by sharing nodes with other use cases, beside which it costs USD {moved.usd:,.0f}, "
                      f"though {cheapest} is cheaper alone")  # fmt: skip
    ranked = pd.concat([ranked[wins], ranked[~wins]])
    best = ranked.iloc[0]
    names = ("use_case_id", "accelerator_id", "platform_class", "tier", "total", "total_usd")
    row = {name: best[name] for name in names}
    row |= {"beside_usd": shared_usd, "tier_label": layer(best["platform_class"], best["tier"]), "reason": reason}
    return row | _against(ranked, [_cost_range(item) for _, item in ranked.iloc[:2].iterrows()])


def _against(ranked: pd.DataFrame, costs: list[tuple[float, float]]) -> dict[str, object]:
    """The first of some cells against the second, with the ends of what these two cost."""
    best, found = ranked.iloc[0], {"usd_per_score_point": _implied_price(ranked.iloc[0], ranked)}
    if len(ranked) > 1:
        second = ranked.iloc[1]
        found |= {"runner_up": second["accelerator_id"], "margin_usd": second["total_usd"] - best["total_usd"],
                  "proven": bool(second["total_usd"] >= best["total_usd"] and not overlap(*costs[0], *costs[1]))}  # fmt: skip
    return found


def with_shared_money(choice: pd.DataFrame, cells: pd.DataFrame, penalties: pd.DataFrame) -> pd.DataFrame:
    """The choice with `beside_usd` of every platform, and runner-up, margin and price of the score among prices like it.

    penalties : with what each cell adds to the others (`sharing.priced_beside`). `total_usd` stays that of the use case alone.
    """
    money = ["total_usd", "total_low_usd", "total_high_usd"]
    joined = cells.merge(in_shared_nodes(penalties)[[*KEYS, *money]], on=KEYS, how="left")
    pools, rows = {str(name): contenders(group)[0] for name, group in joined.groupby("use_case_id")}, []
    for row in choice.to_dict("records"):
        if isinstance(row["accelerator_id"], str) and row["accelerator_id"]:
            ranked = pools[row["use_case_id"]].sort_values(
                ["total_usd", "total"], ascending=[True, False], kind="stable"
            )
            chosen = (ranked["accelerator_id"] == row["accelerator_id"]).to_numpy()
            cheapest, ranked = ranked.iloc[0], pd.concat([ranked[chosen], ranked[~chosen]])
            best = ranked.iloc[0]
            row |= {"beside_usd": best["total_usd"], "reason": _reason_beside(row, best, cheapest)}
            row |= _against(ranked, ranked[money[1:]].iloc[:2].to_numpy(dtype=float).tolist())
        rows.append(row)
    return pd.DataFrame(rows, columns=choice.columns).astype(choice.dtypes.to_dict())


def _reason_beside(row: dict[str, object], best: pd.Series, cheapest: pd.Series) -> str:
    """Why a platform is chosen, with the money of shared nodes: `cheapest` is the cheapest there."""
    leads = best["total_usd"] <= cheapest["total_usd"]
    if row["verdict"] == "clear winner" and not leads:
        return f"{SCORED_ABOVE}, though {cheapest['accelerator_id']} is cheaper"
    if str(row["reason"]).startswith(SCORED_ABOVE):
        return str(row["reason"]).replace(f"{SCORED_ABOVE}, though", f"{CHEAPEST_BESIDE}, though") + " alone"
    return str(row["reason"])


def reasons_not_chosen(cells: pd.DataFrame, choice: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Why each cell that no rule excludes was not chosen, by use case and accelerator."""
    settled = set(choice.loc[choice["verdict"] == "clear winner", "use_case_id"])
    sharing = set(choice.loc[choice["reason"].str.startswith(SHARES), "use_case_id"])
    found = {}
    for cell in cells.itertuples(index=False):
        if cell.tier not in OWN_EVIDENCE:
            why = NOT_MEASURED
        elif cell.decision != "choose":
            why = LOW_SCORE
        else:
            why = DEARER_BESIDE if cell.use_case_id in sharing else DEARER
            why = NO_WINNER if cell.use_case_id in settled else why
        found[cell.use_case_id, cell.accelerator_id] = why
    return found


def _implied_price(best: pd.Series, ranked: pd.DataFrame) -> float:
    """Least USD that 0.01 of score must be worth for a dearer platform to win; NaN if none scores better."""
    gap, gain = ranked["total_usd"] - best["total_usd"], ranked["total"] - best["total"]
    rivals = (gap > 0) & (gain > 0)
    return float((gap[rivals] / gain[rivals]).min() / 100) if rivals.any() else np.nan


def _cost_range(cell: pd.Series) -> tuple[float, float]:
    """Cost over the horizon at the high and at the low end of capacity; without a low end it has no limit."""
    work = cell["total_usd"] * cell["units_per_s_per_accelerator"]
    return work / cell["high"], work / cell["low"] if cell["low"] > 0 else np.inf


def _not_excluded(cells: pd.DataFrame) -> pd.Series:
    return (cells["decision"] != "reject") | cells["reason"].str.startswith("scores")


def layer(platform_class: str, tier: str) -> str:
    """Layer of the two-tier architecture that a platform belongs to, by class and evidence."""
    if platform_class in GENERAL_CLASSES:
        return GENERAL
    return SPECIALISED if tier in OWN_EVIDENCE else INNOVATION


def architecture(choice: pd.DataFrame, pilots: pd.DataFrame) -> pd.DataFrame:
    """The layers: use cases and platforms in each, share of the price over the horizon; pilots are the innovation track."""
    rows = []
    known = choice[choice["accelerator_id"].notna()]
    total = known["total_usd"].sum()
    for label in (GENERAL, SPECIALISED):
        part = known[known["tier_label"] == label]
        if len(part):
            rows.append((label, len(part), ", ".join(sorted(part["accelerator_id"].unique())), part["total_usd"].sum(),
                         part["total_usd"].sum() / total if total > 0 else np.nan))  # fmt: skip
    new = pilots[~pilots["platform_class"].isin(GENERAL_CLASSES)]
    early = known[known["tier_label"] == INNOVATION]
    names = sorted({*new["accelerator_id"], *early["accelerator_id"]})
    if names:
        cases = len({*new["use_case_id"], *early["use_case_id"]})
        rows.append(
            (
                INNOVATION,
                cases,
                ", ".join(names),
                early["total_usd"].sum(),
                early["total_usd"].sum() / total if total > 0 else np.nan,
            )
        )
    return pd.DataFrame(rows, columns=["layer", "use_cases", "platforms", "total_usd", "share"])


def plan_pilots(ws: Workspace, cells: pd.DataFrame, penalties: pd.DataFrame, choice: pd.DataFrame) -> pd.DataFrame:
    """Cells worth a pilot, each with what must be seen, by when, to go on; otherwise the pilot ends.

    beside_usd is what the cell adds to the other use cases over the horizon (`sharing.priced_beside`; that alone where it is not
    known, or where nodes of its own are cheaper), target_usd what the chosen platform adds, for a pilot of that platform itself its own price. needed_units_per_s is the
    capacity at which both are the same (`money.needed_capacity`); NaN where no capacity is enough, since porting, delay and
    rework alone cost more.
    """
    pilots = cells[cells["decision"] == "pilot"].merge(in_shared_nodes(penalties, own_nodes=True), on=KEYS, how="left")
    if pilots.empty:
        return pd.DataFrame(columns=PILOT_COLUMNS)
    cases, chips = (ws.table(name).set_index(f"{name[:-1]}_id") for name in ("use_cases", "accelerators"))
    target = _price_to_beat(pilots, choice)
    classes = pilots["accelerator_id"].map(chips["platform_class"])
    months = classes.map(ws.plan.launch_delay_months).fillna(0.0).astype(float) + PILOT_MONTHS
    pilots = pilots.assign(
        beside_usd=pilots["total_usd"],
        target_usd=target,
        needed_units_per_s=needed_capacity(pilots, target),
        expected_units_per_s=pilots["units_per_s_per_accelerator"],
        max_failure_rate=pilots["use_case_id"].map(cases["slo_max_failure_rate"]).astype(float),
        max_person_months=classes.map(ws.plan.porting_person_months).fillna(0.0).astype(float),
        decide_by=[pd.Timestamp(ws.as_of) + pd.DateOffset(days=int(round(m * 365.25 / 12))) for m in months],
    )
    pilots["exit_criterion"] = [_exit(row, ws.plan.choose_at) for row in pilots.itertuples(index=False)]
    return pilots[PILOT_COLUMNS].reset_index(drop=True)


def _price_to_beat(cells: pd.DataFrame, choice: pd.DataFrame) -> pd.Series:
    """USD over the horizon of the chosen platform as it shares nodes; for that platform's own cell its price alone."""
    chosen = choice.set_index("use_case_id")
    if "beside_usd" in chosen:
        chosen = chosen.assign(total_usd=chosen["beside_usd"].fillna(chosen["total_usd"]))
    itself = cells["accelerator_id"] == cells["use_case_id"].map(chosen["accelerator_id"])
    return cells["use_case_id"].map(chosen["total_usd"]).mask(itself, cells["total_usd"])


def drop_hopeless(
    cells: pd.DataFrame, penalties: pd.DataFrame, choice: pd.DataFrame, pilots: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn pilots that cannot pay into rejections: dearer than the chosen platform even at the high end of capacity, both beside the others.

    Platforms without any figures stay pilots.
    """
    both = pilots.merge(cells[[*KEYS, "high", "service_unit"]], on=KEYS, how="left")
    money = {name: beside(penalties, name, own_nodes=True) for name in ("total_usd", "total_low_usd")}
    both = both.merge(penalties[KEYS].assign(**money), on=KEYS, how="left")
    target = _price_to_beat(both, choice)
    known = both["expected_units_per_s"].notna()
    never = known & both["needed_units_per_s"].isna()
    beyond = known & ~never & (both["total_low_usd"] > target)
    why = {}
    for row in both[never].itertuples(index=False):
        why[row.use_case_id, row.accelerator_id] = (
            "cannot pay: porting, delay and rework alone cost more than the chosen platform"
        )
    for row in both.assign(target=target)[beyond].itertuples(index=False):
        text = (
            f"cannot pay: adds USD {row.total_low_usd:,.0f} to the others even at the high end of its capacity, "
            f"{pace(row.high, row.service_unit)}, against USD {row.target:,.0f} of the chosen platform"
        )
        why[row.use_case_id, row.accelerator_id] = text
    reasons = [why.get(pair) for pair in zip(cells["use_case_id"], cells["accelerator_id"], strict=True)]
    where = np.array([reason is not None for reason in reasons], dtype=bool)
    changed = cells.assign(
        decision=cells["decision"].mask(where, "reject"),
        reason=[new or old for new, old in zip(reasons, cells["reason"], strict=True)],
    )
    changed["agrees_with_prior"] = changed["decision"] == changed["prior"]
    return changed, pilots[~(never | beyond).to_numpy()].reset_index(drop=True)


def _exit(row: tuple, mark: float) -> str:
    if np.isnan(row.expected_units_per_s):
        return f"by {row.decide_by:%Y-%m-%d}: a small model runs, its capacity and power are measured; else stop"
    needed, expected = row.needed_units_per_s, row.expected_units_per_s
    least, likely = pace(needed, row.service_unit, expected), pace(expected, row.service_unit, needed)
    parts = [f"at least {least} per accelerator within limits on own prompts (expected {likely})"]
    if np.isfinite(row.max_failure_rate):
        parts.append(f"failures at most {percent(row.max_failure_rate)}")
    parts.append(f"porting at most {row.max_person_months:g} person-months")
    parts.append(f"score at least {mark:.2f}")
    return f"by {row.decide_by:%Y-%m-%d}: {', '.join(parts)}; else stop"
