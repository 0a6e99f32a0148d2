"""What follows: the platform of each use case, the layers of the architecture, pilots with exit criteria."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aifactory.benchmark.telemetry import OWN_EVIDENCE
from aifactory.inputs.hosted import HOSTED_ONLY
from aifactory.inputs.workspace import Workspace
from aifactory.serving.capacity import overlap
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.migration import GENERAL_CLASSES
from aifactory.shortlist.money import beside, in_shared_nodes, needed_capacity
from aifactory.shortlist.robustness import CLEAR, Robustness
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
#: In the reason for a platform that costs least only beside the others.
ALONE = "is cheaper alone"
#: Start of the reason for a platform that stays though another would cost a little less.
NEARLY_CHEAPEST = "within 1 % of the cheapest beside the other use cases"
MONEY = ["total_usd", "total_low_usd", "total_high_usd"]
#: Prices of a horizon that differ by less are the same, USD.
CENT = 0.01
#: Months a pilot may run beyond the delay that its porting causes.
PILOT_MONTHS = 3


def choose(
    cells: pd.DataFrame, penalties: pd.DataFrame, robustness: Robustness, home: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """One platform per use case: where it settled beside the others, else the clear winner among the best-evidenced cells, else the cheapest.

    A clear winner leads under the admissible weights and intervals, money counted once among the
    criteria. Where there is none, money decides and the verdict says so. All money is that beside the other use cases
    (`sharing.priced_beside`), but for `total_usd`, which stays that of the use case alone.

    home : platform by use case as of `sharing.settle`.
    """
    shared = in_shared_nodes(penalties)[[*KEYS, *MONEY]].assign(alone_usd=penalties["total_usd"])
    joined = cells.merge(shared, on=KEYS, how="left")
    clear = robustness.verdicts[robustness.verdicts["verdict"] == CLEAR].set_index("use_case_id")["leader"]
    rows = [
        _choice_of(str(name), group, clear.get(name), (home or {}).get(str(name)))
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


def _choice_of(use_case: str, cells: pd.DataFrame, winner: str | None, home: str | None) -> dict[str, object]:
    pool, reason = contenders(cells)
    if pool.empty:
        return {"use_case_id": use_case, "reason": _why_none(cells)}
    cents = (pool["total_usd"] / CENT).round()  # differences of the sums of shared nodes are exact to no less
    ranked = pool.assign(cents=cents).sort_values(["cents", "total"], ascending=[True, False], kind="stable")
    names = ranked["accelerator_id"]
    at = next((chip for chip in (home, winner) if chip in set(names)), names.iloc[0])
    chosen = (names == at).to_numpy()
    reason = _reason(ranked[chosen].iloc[0], ranked, reason, winner)
    ranked = pd.concat([ranked[chosen], ranked[~chosen]])
    best = ranked.iloc[0]
    row = {name: best[name] for name in ("use_case_id", "accelerator_id", "platform_class", "tier", "total")}
    row |= {"total_usd": best["alone_usd"], "beside_usd": best["total_usd"], "reason": reason,
            "tier_label": layer(best["platform_class"], best["tier"])}  # fmt: skip
    return row | _against(ranked)


def _why_none(cells: pd.DataFrame) -> str:
    """Why no platform of a use case can be chosen."""
    if cells["reason"].eq(HOSTED_ONLY).any():
        return HOSTED_ONLY
    able = cells[(cells["units_per_s_per_accelerator"] > 0) & _not_excluded(cells)]
    if len(able):
        return f"{able['accelerator_id'].iloc[0]} has a known capacity and no cost: state its demand (demand_windows, jobs or demand_chain) and a price in its regions"
    return "no platform has a known capacity and price: benchmark first"


def _reason(best: pd.Series, ranked: pd.DataFrame, otherwise: str, winner: str | None) -> str:
    """Why a platform is chosen among some, the cheapest beside the others first."""
    cheapest = ranked.iloc[0]
    if best["total_usd"] > cheapest["total_usd"]:
        won = best["accelerator_id"] == winner
        return f"{SCORED_ABOVE if won else NEARLY_CHEAPEST}, though {cheapest['accelerator_id']} is cheaper"
    alone = ranked.sort_values(["alone_usd", "total"], ascending=[True, False], kind="stable").iloc[0]
    if alone["alone_usd"] < best["alone_usd"]:
        saved = alone["total_usd"] - best["total_usd"]
        if (
            best["total_usd"] >= best["alone_usd"]
        ):  # it shares nothing: the other does, in nodes that hold the largest replica of all
            return (f"{alone['accelerator_id']} {ALONE}, at USD {alone['alone_usd']:,.0f}, but would add USD {alone['total_usd']:,.0f} "
                    f"to the others on it, whose nodes are of one size; here it costs USD {best['total_usd']:,.0f}")  # fmt: skip
        return (f"costs USD {best['total_usd']:,.0f} beside other use cases, whose nodes it shares: USD {saved:,.0f} less than "
                f"{alone['accelerator_id']} beside them, though that {ALONE}")  # fmt: skip
    return otherwise


def _against(ranked: pd.DataFrame) -> dict[str, object]:
    """The first of some cells against the second."""
    best, found = ranked.iloc[0], {"usd_per_score_point": _implied_price(ranked.iloc[0], ranked)}
    if len(ranked) > 1:
        second = ranked.iloc[1]
        ends = ranked[MONEY[1:]].iloc[:2].to_numpy(dtype=float).tolist()
        found |= {"runner_up": second["accelerator_id"], "margin_usd": second["total_usd"] - best["total_usd"],
                  "proven": bool(second["total_usd"] >= best["total_usd"] and not overlap(*ends[0], *ends[1]))}  # fmt: skip
    return found


def reasons_not_chosen(cells: pd.DataFrame, choice: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Why each cell that no rule excludes was not chosen, by use case and accelerator."""
    settled = set(choice.loc[choice["verdict"] == CLEAR, "use_case_id"])
    sharing = set(choice.loc[choice["reason"].str.contains(ALONE, regex=False), "use_case_id"])
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
    """Least USD that 0.01 of score must be worth for a dearer platform to win; NaN if none that is dearer by a cent scores better."""
    gap, gain = ranked["total_usd"] - best["total_usd"], ranked["total"] - best["total"]
    rivals = (gap >= CENT) & (gain > 0)
    return float((gap[rivals] / gain[rivals]).min() / 100) if rivals.any() else np.nan


def _not_excluded(cells: pd.DataFrame) -> pd.Series:
    return (cells["decision"] != "reject") | cells["reason"].str.startswith("scores")


def layer(platform_class: str, tier: str) -> str:
    """Layer of the two-tier architecture that a platform belongs to, by class and evidence."""
    if platform_class in GENERAL_CLASSES:
        return GENERAL
    return SPECIALISED if tier in OWN_EVIDENCE else INNOVATION


def architecture(choice: pd.DataFrame, pilots: pd.DataFrame, together: Mapping[str, float]) -> pd.DataFrame:
    """The layers: use cases and platforms in each, what they cost over the horizon, share of all; pilots are the innovation track.

    total_usd is what the use cases of a layer cost together on the nodes that they share: the layers add up to the whole.

    together : USD of all use cases of a platform together, by accelerator (`sharing.Shared.together`). Where those of one platform
        belong to two layers, each bears the part that is its share of their money alone.
    """
    known = choice[choice["accelerator_id"].notna()]
    chips = known["accelerator_id"]
    alone = known["total_usd"].astype(float)
    usd = chips.map(together).astype(float) * alone / alone.groupby(chips).transform("sum")
    total, rows = usd.sum(), []
    new = pilots[~pilots["platform_class"].isin(GENERAL_CLASSES)]
    for label in (GENERAL, SPECIALISED, INNOVATION):
        mine = known["tier_label"] == label
        part = pd.concat([known[mine], new]) if label == INNOVATION else known[mine]
        if len(part):
            cost = usd[mine].sum()
            rows.append((label, part["use_case_id"].nunique(), ", ".join(sorted(part["accelerator_id"].unique())), cost,
                         alone[mine].sum(), cost / total if total > 0 else np.nan))  # fmt: skip
    return pd.DataFrame(rows, columns=["layer", "use_cases", "platforms", "total_usd", "alone_usd", "share"])


def plan_pilots(ws: Workspace, cells: pd.DataFrame, penalties: pd.DataFrame, choice: pd.DataFrame) -> pd.DataFrame:
    """Cells worth a pilot, each with what must be seen, by when, to go on; otherwise the pilot ends.

    beside_usd is what the cell adds to the other use cases over the horizon (`sharing.priced_beside`; that alone where it is not
    known, or where nodes of its own are cheaper), target_usd what the chosen platform adds, for a pilot of that platform itself what its runner-up does. needed_units_per_s is the
    capacity at which both are the same (`money.needed_capacity`); NaN where no capacity is enough, since porting, delay and
    rework alone cost no less; of the chosen platform what is expected where no rival is dearer.
    """
    pilots = cells[cells["decision"] == "pilot"].merge(in_shared_nodes(penalties, own_nodes=True), on=KEYS, how="left")
    if pilots.empty:
        return pd.DataFrame(columns=PILOT_COLUMNS)
    cases, chips = (ws.table(name).set_index(f"{name[:-1]}_id") for name in ("use_cases", "accelerators"))
    target, itself = _price_to_beat(pilots, choice), _is_chosen(pilots, choice)
    needed = needed_capacity(pilots, target)
    classes = pilots["accelerator_id"].map(chips["platform_class"])
    months = classes.map(ws.plan.launch_delay_months).fillna(0.0).astype(float) + PILOT_MONTHS
    pilots = pilots.assign(
        beside_usd=pilots["total_usd"],
        target_usd=target,
        needed_units_per_s=np.where(itself & np.isnan(needed), pilots["units_per_s_per_accelerator"], needed),
        expected_units_per_s=pilots["units_per_s_per_accelerator"],
        max_failure_rate=pilots["use_case_id"].map(cases["slo_max_failure_rate"]).astype(float),
        max_person_months=classes.map(ws.plan.porting_person_months).fillna(0.0).astype(float),
        decide_by=[pd.Timestamp(ws.as_of) + pd.DateOffset(days=int(round(m * 365.25 / 12))) for m in months],
    )
    pilots["exit_criterion"] = [_exit(row, ws.plan.choose_at) for row in pilots.itertuples(index=False)]
    return pilots[PILOT_COLUMNS].reset_index(drop=True)


def _price_to_beat(cells: pd.DataFrame, choice: pd.DataFrame) -> pd.Series:
    """USD over the horizon of the chosen platform as it shares nodes; for its own cell that of the runner-up, if dearer."""
    chosen = choice.set_index("use_case_id")
    if "beside_usd" in chosen:
        chosen = chosen.assign(total_usd=chosen["beside_usd"].fillna(chosen["total_usd"]))
    usd = cells["use_case_id"].map(chosen["total_usd"])
    second = usd + cells["use_case_id"].map(chosen.get("margin_usd", pd.Series(np.nan, index=chosen.index)))
    return usd.mask(_is_chosen(cells, choice), np.fmax(second, cells["total_usd"]))


def _is_chosen(cells: pd.DataFrame, choice: pd.DataFrame) -> pd.Series:
    return cells["accelerator_id"] == cells["use_case_id"].map(choice.set_index("use_case_id")["accelerator_id"])


def drop_hopeless(
    cells: pd.DataFrame, penalties: pd.DataFrame, choice: pd.DataFrame, pilots: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn pilots that cannot pay into rejections: dearer than the chosen platform, never it itself, even at the high end of capacity, both beside the others.

    Platforms without any figures stay pilots, and so do all of a use case whose chosen platform has no cost.
    """
    both = pilots.merge(cells[[*KEYS, "high", "service_unit"]], on=KEYS, how="left")
    money = {name: beside(penalties, name, own_nodes=True) for name in ("total_usd", "total_low_usd")}
    both = both.merge(penalties[KEYS].assign(**money), on=KEYS, how="left")
    target = _price_to_beat(both, choice)
    known = both["expected_units_per_s"].notna()
    known &= ~_is_chosen(both, choice) & target.notna()
    never = known & both["needed_units_per_s"].isna()
    beyond = known & ~never & (both["total_low_usd"] > target)
    why = {}
    for row in both.assign(target=target)[never].itertuples(index=False):
        why[row.use_case_id, row.accelerator_id] = (
            f"cannot pay: porting, delay and rework alone cost no less than the USD {row.target:,.0f} that the chosen platform adds to the others"
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
    if np.isnan(needed):
        parts = [
            f"a measured rate per accelerator within limits on own prompts (expected {likely}), and a cost to beat"
        ]
    if np.isfinite(row.max_failure_rate):
        parts.append(f"failures at most {percent(row.max_failure_rate)}")
    parts.append(f"porting at most {row.max_person_months:g} person-months")
    parts.append(f"score at least {mark:.2f}")
    return f"by {row.decide_by:%Y-%m-%d}: {', '.join(parts)}; else stop"
