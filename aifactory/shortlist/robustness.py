"""Does the ranking hold: over admissible weights, measurement intervals and other methods.

The value of a cell adds the value of its money (the criterion cost: the whole price over the
horizon beside the other use cases, once) to its score (everything without a price). Alternatives are the cells that no hard
rule excludes and whose capacity and price are known. Among them the contenders are those that may
be chosen today (all of them where none may): the verdict is about contenders, and an unmeasured
challenger that would often be first is named beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.inputs.hosted import HOSTED_ONLY
from aifactory.inputs.weights import MATRIX_CRITERIA
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist.exclusions import KEYS
from aifactory.shortlist.mcda import flips, outranking, ranking
from aifactory.shortlist.mcda.knowing import gain_from_knowing
from aifactory.shortlist.mcda.smaa import smaa
from aifactory.shortlist.mcda.weight_space import WeightSpace

CAPACITY_DRIVEN = ("cost", "throughput", "latency")
#: A measurement that raises the chance to be right by less decides nothing.
LEAST_GAIN = 0.02
_COST = MATRIX_CRITERIA.index("cost")
DRAWS = 100_000
RANK_COLUMNS = [*KEYS, "value", "value_low", "value_high", "rank", "best_rank", "worst_rank", "first", "first_any_weights",
                "first_error", "expected_rank", "confidence", "dominated_by", "surely_dominated_by"]  # fmt: skip
VERDICT_COLUMNS = ["use_case_id", "leader", "leader_alone", "verdict", "acceptability", "confidence", "contenders", "challenger",
                   "challenger_first", "stated", "rival", "weight_moved", "flip_criterion",
                   "flip_weight", "flip_at", "deciding_measurement", "gain", "topsis", "promethee", "reversals_here",
                   "reversals_topsis", "alternatives"]  # fmt: skip


@dataclass(frozen=True)
class Robustness:
    """Ranks by cell, verdict by use case, rank acceptabilities and central weights in long form."""

    ranks: pd.DataFrame
    verdicts: pd.DataFrame
    acceptability: pd.DataFrame
    central_weights: pd.DataFrame


def admissible_weights(weights: dict[str, float], limits: dict[str, tuple[float, float]]) -> WeightSpace:
    """Weights that keep the stated order of importance, equal weights in any order, within the plan's limits."""
    levels = sorted({weights[name] for name in MATRIX_CRITERIA}, reverse=True)
    order = tuple(tuple(j for j, name in enumerate(MATRIX_CRITERIA) if weights[name] == level) for level in levels)
    low, high = ([limits.get(name, (0.0, 1.0))[end] for name in MATRIX_CRITERIA] for end in (0, 1))
    return WeightSpace(len(MATRIX_CRITERIA), order=order, low=low, high=high)


CLEAR, UNCLEAR, ONLY_ONE = "clear winner", "no clear winner", "only one may be chosen"
#: Verdict of a use case whose model is sold hosted only.
HOSTED_VERDICT = "hosted model: no platform to choose"


def alternatives(cells: pd.DataFrame, exclusions: pd.DataFrame) -> pd.DataFrame:
    """Cells of known capacity that no hard rule excludes."""
    out = set(zip(exclusions["use_case_id"], exclusions["accelerator_id"], strict=True))
    inside = [pair not in out for pair in zip(cells["use_case_id"], cells["accelerator_id"], strict=True)]
    return cells[np.array(inside, dtype=bool) & (cells["units_per_s_per_accelerator"] > 0).to_numpy()]


def clear_winner(ws: Workspace, contenders: pd.DataFrame, draws: int = DRAWS) -> str | None:
    """The contender of one use case that `rank_robustness` calls a clear winner; None without one."""
    space = admissible_weights(ws.plan.matrix_weights, ws.plan.weight_limits)
    tables = (*value_tables(contenders), drivers_of(len(contenders)))
    found = _verdict(ws, tables, contenders["accelerator_id"].tolist(), space, draws)
    return str(found["leader"]) if found["verdict"] == CLEAR else None


def held_by(found: Robustness, home: Mapping[str, str], alone: Robustness) -> Robustness:
    """The same, a clear winner called so only where it is the platform that the use case has; with the leaders of the money `alone`."""
    leaders = alone.verdicts.set_index("use_case_id")["leader"]
    verdicts = found.verdicts.assign(leader_alone=found.verdicts["use_case_id"].map(leaders))
    other = (verdicts["verdict"] == CLEAR) & (verdicts["leader"] != verdicts["use_case_id"].map(home))
    return replace(found, verdicts=verdicts.assign(verdict=verdicts["verdict"].mask(other, UNCLEAR)))


def decided_again(found: Robustness, choice: pd.DataFrame, later: Robustness) -> tuple[Robustness, pd.DataFrame]:
    """The same verdicts and choice with the deciding measurements of `later`, made when some pilots were rejected since."""
    again = later.verdicts.set_index("use_case_id")
    tables = [table.assign(**{name: table["use_case_id"].map(again[name]) for name in ("deciding_measurement", "gain") if name in table})
              for table in (found.verdicts, choice)]  # fmt: skip
    texts = tables[1].astype({"deciding_measurement": "str"})
    return replace(found, verdicts=tables[0]), texts


def rank_robustness(ws: Workspace, cells: pd.DataFrame, exclusions: pd.DataFrame, draws: int = DRAWS) -> Robustness:
    """Robustness of every use case; those without two alternatives have a verdict that says so."""
    space = admissible_weights(ws.plan.matrix_weights, ws.plan.weight_limits)
    weights = np.array([ws.plan.matrix_weights[name] for name in MATRIX_CRITERIA])
    usable = alternatives(cells, exclusions)
    evidence = cells["evidence"] if "evidence" in cells else pd.Series("", index=cells.index)
    closed = set(cells.loc[evidence == HOSTED_ONLY, "use_case_id"])
    parts: dict[str, list] = {"ranks": [], "verdicts": [], "acceptability": [], "central_weights": []}
    for name in sorted(cells["use_case_id"].unique()):
        group = usable[usable["use_case_id"] == name]
        found = _one(ws, str(name), group, space, weights, draws)
        if name in closed and group.empty:
            found["verdicts"][0]["verdict"] = HOSTED_VERDICT
        for key, rows in found.items():
            parts[key] += rows
    return Robustness(
        pd.DataFrame(parts["ranks"], columns=RANK_COLUMNS),
        pd.DataFrame(parts["verdicts"], columns=VERDICT_COLUMNS),
        pd.DataFrame(parts["acceptability"], columns=[*KEYS, "rank", "share"]),
        pd.DataFrame(parts["central_weights"], columns=[*KEYS, "criterion", "weight"]),
    )


def value_tables(group: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values with their low and high ends (n, 6); an unknown value stands in the middle of 0 to 1."""
    low, high = (group[[f"{name}_{end}" for name in MATRIX_CRITERIA]].to_numpy(dtype=float) for end in ("low", "high"))
    middle = group[list(MATRIX_CRITERIA)].to_numpy(dtype=float)
    return np.where(np.isnan(middle), (low + high) / 2, middle), low, high


def drivers_of(n: int) -> np.ndarray:
    """Number of what moves each cell: one for the capacity of a platform, one for each judgement.

    >>> drivers_of(1).tolist()
    [[1, 0, 0, 0, 4, 5]]
    """
    m = len(MATRIX_CRITERIA)
    shared = [0 if name in CAPACITY_DRIVEN else j or 1 for j, name in enumerate(MATRIX_CRITERIA)]
    return np.arange(n)[:, None] * m + np.array(shared)


def _one(
    ws: Workspace, name: str, group: pd.DataFrame, space: WeightSpace, weights: np.ndarray, draws: int
) -> dict[str, list]:
    chips = group["accelerator_id"].tolist()
    if len(chips) < 2:
        verdict = (
            "no alternative: only one platform is left"
            if chips
            else "benchmark first: no platform has capacity and price"
        )
        row = {
            "use_case_id": name,
            "leader": chips[0] if chips else None,
            "verdict": verdict,
            "alternatives": len(chips),
        }
        return {"verdicts": [row]}
    values, low, high = value_tables(group)
    drivers = drivers_of(len(chips))
    seed = ws.plan.seed
    over = smaa(values, space, low=low, high=high, drivers=drivers, draws=draws, seed=seed)
    free = smaa(values, low=low, high=high, drivers=drivers, draws=draws, seed=seed)
    keys = [{"use_case_id": name, "accelerator_id": chip} for chip in chips]
    point, ends = values @ weights, (low @ weights, high @ weights)
    dominated = [outranking.dominance(values), outranking.interval_dominance(low, high)]
    ranks = [
        key
        | {"value": point[i], "value_low": ends[0][i], "value_high": ends[1][i], "rank": int(1 + (point > point[i]).sum()),
           "best_rank": int(1 + (np.delete(ends[0], i) > ends[1][i]).sum()),
           "worst_rank": int(1 + (np.delete(ends[1], i) > ends[0][i]).sum()),
           "first": over.first[i], "first_any_weights": free.first[i], "first_error": over.standard_error[i, 0],
           "expected_rank": over.expected_rank[i], "confidence": over.confidence[i],
           "dominated_by": _names(chips, dominated[0][:, i]), "surely_dominated_by": _names(chips, dominated[1][:, i])}
        for i, key in enumerate(keys)
    ]  # fmt: skip
    may = np.flatnonzero((group["decision"] == "choose").to_numpy())
    may = may if len(may) else np.arange(len(chips))
    row = {"use_case_id": name, "alternatives": len(chips), "contenders": len(may)}
    row |= _verdict(ws, (values[may], low[may], high[may], drivers[may]), [chips[i] for i in may], space, draws)
    unproven = [i for i in range(len(chips)) if i not in may]
    if unproven:
        best = max(unproven, key=lambda i: over.first[i])
        row |= {"challenger": chips[best], "challenger_first": over.first[best]}
    opens = {int(drivers[i, _COST]): i for i in unproven if group["decision"].iloc[i] == "pilot"}
    gains = gain_from_knowing(low, high, drivers, space, bets=may, opens=opens, seed=seed)
    row |= _flip(values[may], weights, [chips[i] for i in may])
    row |= _decider(gains, group, chips, float(over.first[may].max()), verdict=str(row["verdict"]))
    row |= _second_opinions(values, weights, chips)
    return {
        "ranks": ranks,
        "verdicts": [row],
        "acceptability": [key | {"rank": r + 1, "share": over.acceptability[i, r]}
                          for i, key in enumerate(keys) for r in range(len(chips))],
        "central_weights": [key | {"criterion": criterion, "weight": over.central_weights[i, j]}
                            for i, key in enumerate(keys) for j, criterion in enumerate(MATRIX_CRITERIA)],
    }  # fmt: skip


def _verdict(
    ws: Workspace, tables: tuple[np.ndarray, ...], chips: list[str], space: WeightSpace, draws: int
) -> dict[str, object]:
    """Leader among the contenders, and whether it is a clear winner by the plan's marks."""
    values, low, high, drivers = tables
    if len(chips) == 1:
        return {"leader": chips[0], "verdict": ONLY_ONE}
    found = smaa(values, space, low=low, high=high, drivers=drivers, draws=draws, seed=ws.plan.seed)
    winner = found.winner(ws.plan.winner_acceptability, ws.plan.winner_confidence)
    leader = int(np.argmax(found.first)) if winner is None else winner
    return {"leader": chips[leader], "acceptability": found.first[leader], "confidence": found.confidence[leader],
            "verdict": UNCLEAR if winner is None else CLEAR}  # fmt: skip


def _names(chips: list[str], which: np.ndarray) -> str:
    return ", ".join(chip for chip, yes in zip(chips, which, strict=True) if yes)


def _flip(values: np.ndarray, weights: np.ndarray, chips: list[str]) -> dict[str, object]:
    """Leader at the stated weights, its nearest rival and how much weight must move for that to catch up.

    Beside it the nearest single weight that does it, the others keeping their proportions.
    """
    found = flips.smallest_flip(values, weights)
    row = {
        "stated": chips[int(np.argmax(values @ weights))],
        "rival": None,
        "weight_moved": np.nan,
        "flip_criterion": None,
        "flip_weight": np.nan,
        "flip_at": np.nan,
    }
    if found:
        row |= {"rival": chips[found[0].challenger], "weight_moved": found[0].moved}
    single = flips.switching_weights(values, weights)
    away = np.abs(single - weights)
    if np.isfinite(away).any():
        j = int(np.nanargmin(np.nanmin(np.where(np.isnan(away), np.inf, away), axis=0)))
        i = int(np.nanargmin(away[:, j]))
        row |= {"flip_criterion": MATRIX_CRITERIA[j], "flip_weight": weights[j], "flip_at": single[i, j]}
    return row


def _decider(
    gains: dict[int, float], group: pd.DataFrame, chips: list[str], first: float, *, verdict: str
) -> dict[str, object]:
    """The measurement that raises the chance to be right the most, by letting a platform be chosen too; `first` that of today.

    Where none does, the weights decide unless the `verdict` is a clear winner or there is but one to choose.
    """
    if not gains:
        return {"deciding_measurement": "", "gain": np.nan}
    best = max(gains, key=lambda name: (gains[name], -name))
    if gains[best] < LEAST_GAIN and first > 1 - LEAST_GAIN:
        return {"deciding_measurement": "none: it leads at nearly all weights and values", "gain": gains[best]}
    if gains[best] < LEAST_GAIN and verdict == ONLY_ONE:
        return {"deciding_measurement": "none: no pilot that could pay would often lead", "gain": gains[best]}
    if gains[best] < LEAST_GAIN and verdict == CLEAR:
        return {
            "deciding_measurement": "no measurement: the weights decide what doubt is left",
            "gain": gains[best],
        }
    if gains[best] < LEAST_GAIN:
        return {"deciding_measurement": "no measurement: the weights decide, so agree on them", "gain": gains[best]}
    i, j = divmod(best, len(MATRIX_CRITERIA))
    if j:
        text = f"{MATRIX_CRITERIA[j].replace('_', ' ')} of {chips[i]}: judge it on evidence"
    else:
        tier = group["tier"].iloc[i]
        repeats = "more repeats of the run on own prompts" if tier == "measured" else "a run on own prompts"
        text = f"{repeats} on {chips[i]}"
    return {"deciding_measurement": text, "gain": gains[best]}


def _second_opinions(values: np.ndarray, weights: np.ndarray, chips: list[str]) -> dict[str, object]:
    """Winners by TOPSIS and PROMETHEE II, and the pairs that turn when one platform is left out."""

    def additive(table: np.ndarray) -> np.ndarray:
        return table @ weights

    def closeness(table: np.ndarray) -> np.ndarray:
        return ranking.topsis(table, weights)

    counts = {}
    for label, score in (("reversals_here", additive), ("reversals_topsis", closeness)):
        counts[label] = sum(
            len(ranking.reversals_when_added(score, np.delete(values, i, axis=0), values[[i]]))
            for i in range(len(chips))
        )
    flows = outranking.promethee(values, weights).net
    return {"topsis": chips[int(np.argmax(closeness(values)))], "promethee": chips[int(np.argmax(flows))], **counts}
