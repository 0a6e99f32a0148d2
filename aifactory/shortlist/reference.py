"""Runs a file of published cases through the methods and says how far each result is off.

The file has the columns case_id, method, inputs (JSON), expected (JSON), tolerance, source, tags. A
method is named in `METHODS`; `expected` holds any of the names that the method returns, or its first
quantity alone; `error` or nothing where the inputs must be refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aifactory.errors import AIFactoryError, InputError, nearest
from aifactory.finance.reference_inputs import is_whole, read_cases, read_value
from aifactory.shortlist.mcda import flips, normalise, outranking, ranking, values, weights
from aifactory.shortlist.mcda.matrix import as_matrix, as_types, as_weights, rank
from aifactory.shortlist.mcda.smaa import Smaa, smaa
from aifactory.shortlist.mcda.weight_space import WeightSpace

COLUMNS = ["case_id", "function", "expected", "got", "abs_deviation", "relative_deviation", "tolerance", "ok", "reason"]
DRAWS, SEED = 100_000, 20260401
Inputs = dict[str, Any]
#: A weight by number, as many times as said, or a figure; sums of these on each side of a comparison.
_FIGURE = r"\d*\.?\d+"
_TERM = rf"(?:(?:{_FIGURE}\s*[*%]?\s*)?w\d+|{_FIGURE}\s*%?)"
_SIDE = rf"{_TERM}(?:\s*[+-]\s*{_TERM})*"
_CHAIN = re.compile(rf"(?<![+*\w.-])(?<![+*-]\s){_SIDE}(?:\s*[<>]=?\s*{_SIDE})+(?!\s*[+*\w.%/-])")


def check(csv_path: str | Path) -> pd.DataFrame:
    """Run every case of a file; one row each, in the order of the file.

    Columns: case_id, function, expected and got (JSON text), abs_deviation and relative_deviation
    (the largest over all expected quantities, empty where nothing can be subtracted), tolerance
    (absolute), ok, reason (why not; empty if ok, unless the method refused inputs that were to be
    refused). A case that cannot be computed is a row that is not ok and says why; only a file
    without the required columns raises `InputError`.
    """
    cases = read_cases(Path(csv_path), ("case_id", "method", "inputs", "expected"))
    return pd.DataFrame([_run(case) for case in cases], columns=COLUMNS).astype({"ok": bool})


def compute(method: str, inputs: Inputs) -> dict[str, Any]:
    """Every quantity that a method returns for the inputs of one case.

    >>> compute("swing", {"points": "60 | 40"})["weights"].tolist()
    [0.6, 0.4]
    """
    plain = re.sub(r"[^a-z0-9]+", "_", method.lower()).strip("_")
    run = METHODS.get(OTHER_METHOD_NAMES.get(plain, plain))
    if run is None:
        why = AMBIGUOUS.get(plain) or nearest(plain, METHODS).strip()
        raise UnknownError(f"method {method!r} is not supported. {why}")
    if not isinstance(inputs, Mapping):
        raise UnknownError("inputs must be a JSON object")
    try:
        return run(_inputs(inputs))
    except KeyError as error:
        raise UnknownError(f"inputs: {method} needs the entry {str(error.args[0])!r}") from None


class UnknownError(InputError):
    """A case that cannot be run as written; other errors are refusals of its numbers."""


def _inputs(given: Inputs) -> Inputs:
    """Inputs under the names and in the forms that the methods read."""
    found = {}
    for name, value in given.items():
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        own = next((own for own, others in OTHER_NAMES.items() if plain in others and own not in given), name)
        named = isinstance(value, str) and own in TEXTS and re.search(r"[a-z]", value)
        found[own] = value if named else read_value(value)
    if "pairwise" not in found and "matrix" in found:
        found["pairwise"] = found["matrix"]
    if "types" in found and isinstance(found["types"], list):
        found["types"] = [DIRECTIONS.get(str(sign).lower(), sign) for sign in found["types"]]
    for name in ("weights", "points"):
        if isinstance(found.get(name), Mapping):
            found[name] = list(found[name].values())
    if isinstance(found.get("weights"), str) and re.fullmatch(r"\s*equal(\s+weights)?\s*", found["weights"]):
        count = np.shape(found["matrix"])[1]
        found["weights"] = [1.0 / count] * count
    return found


def _run(case: Mapping[str, str]) -> dict[str, object]:
    if not is_whole(case):
        about = {"case_id": case["case_id"], "function": case["method"], "ok": False}
        return about | {"reason": "the row has not as many cells as the header"}
    row = {"case_id": case["case_id"], "function": case["method"], "expected": case["expected"], "ok": False}
    refusal = case["expected"].strip("\"' ").lower() in {"", "null", "none", "error", "refused", "raises", "invalid"}
    try:
        tolerance = _tolerance(case.get("tolerance"))
        expected = None if refusal else read_value(json.loads(case["expected"]))
        inputs = json.loads(case["inputs"])
        try:
            found = compute(case["method"], inputs)
        except UnknownError:
            raise
        except (AIFactoryError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
            return row | {"ok": refusal, "reason": f"refused: {error}"}
        if refusal:
            return row | {"reason": "there is a result, a refusal was expected"}
        expected = expected if isinstance(expected, dict) else {next(iter(found)): expected}
        off = [_compared(name, wanted, found) for name, wanted in expected.items()]
    except (AIFactoryError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        return row | {"reason": str(error) or type(error).__name__}
    if not off:
        return row | {"reason": "expected: must be an object of named quantities"}
    worst, relative = (max(item[place] for item in off) for place in (0, 1))
    ok = worst <= tolerance * (1 + 1e-9)
    got = json.dumps({name: np.asarray(found[name]).tolist() for name in expected})
    return row | {"got": got, "abs_deviation": worst, "relative_deviation": relative, "tolerance": tolerance,
                  "ok": ok, "reason": "" if ok else f"off by {worst:.3g}, allowed {tolerance:g}"}  # fmt: skip


def _tolerance(text: str | None) -> float:
    value = read_value(text or "0")
    if not isinstance(value, (int, float)) or not 0 <= value < np.inf:
        raise UnknownError(f"tolerance must be a number that is not negative, got {text!r}")
    return float(value)


def _compared(name: str, wanted: Any, found: dict[str, Any]) -> tuple[float, float]:
    """Largest absolute and relative deviation of one quantity; an unknown equals an unknown."""
    if name not in found:
        raise InputError.at("expected", "the method does not return this", value=name, choices=found)
    got, want = (np.asarray(item, dtype=float) for item in (found[name], wanted))
    if got.shape != want.shape:
        raise InputError.at("expected", f"{name} has shape {want.shape}, computed {got.shape}")
    off = np.where(np.isnan(want) & np.isnan(got), 0.0, np.abs(got - want))
    off = np.where(np.isnan(off), np.inf, off)
    share = np.divide(off, np.abs(want), out=np.where(off > 0, np.inf, 0.0), where=np.abs(want) > 0)
    return float(np.max(off, initial=0)), float(np.max(share, initial=0))


def _scored(score: np.ndarray, *, ascending: bool = False, **more: Any) -> dict[str, Any]:
    """A score with the ranks and the winner that follow from it."""
    best = np.argmin(score) if ascending else np.argmax(score)
    return {"score": score, "rank": rank(score, ascending=ascending), "winner": int(best), **more}


def _weighted_sum(given: Inputs) -> dict[str, Any]:
    return _scored(ranking.weighted_sum(given["matrix"], given["weights"], given.get("types")))


def _weighted_sum_scaled(how: str, *, inverted: bool = False) -> Callable[[Inputs], dict[str, Any]]:
    def run(given: Inputs) -> dict[str, Any]:
        table, signs = given["matrix"], given.get("types")
        if inverted:
            table, signs = normalise.invert(table, signs if signs is not None else np.ones(np.shape(table)[1])), None
        scaled, left = normalise.normalised(table, signs, given.get("normalise", how))
        share = weights.swing(given["weights"]) if inverted else given["weights"]
        return _scored(ranking.weighted_sum(scaled, share, left))

    return run


def _additive(given: Inputs) -> dict[str, Any]:
    table = as_matrix(given["matrix"])
    scaled = np.column_stack([values.piecewise(table[:, j], a) for j, a in enumerate(given["anchors"])])
    return _scored(values.additive_value(scaled, given["weights"]), values=scaled)


def _topsis(how: str) -> Callable[[Inputs], dict[str, Any]]:
    def run(given: Inputs) -> dict[str, Any]:
        found = ranking.topsis(given["matrix"], given["weights"], given.get("types"), given.get("normalise", how))
        return _scored(found, similarity=found)

    return run


def _promethee(given: Inputs) -> dict[str, Any]:
    flows = outranking.promethee(given["matrix"], given["weights"], given.get("types"), given.get("preferences"))
    return _scored(flows.net, net_flow=flows.net, positive_flow=flows.positive, negative_flow=flows.negative,
                   outranks=flows.outranks, incomparable=flows.incomparable)  # fmt: skip


def _spotis(given: Inputs) -> dict[str, Any]:
    return _scored(
        values.spotis(given["matrix"], given["bounds"], given["weights"], given.get("types")), ascending=True
    )


def _vikor(given: Inputs) -> dict[str, Any]:
    found = ranking.vikor(given["matrix"], given["weights"], given.get("types"), float(given.get("v", 0.5)))
    return _scored(found["Q"], ascending=True, **found)


def _simple(method: Callable[..., np.ndarray]) -> Callable[[Inputs], dict[str, Any]]:
    return lambda given: _scored(method(given["matrix"], given["weights"], given.get("types")))


def _copras(given: Inputs) -> dict[str, Any]:
    """The cases of this name are facts of pymcdm's tests, whose formula differs from the published one."""
    arguments = given["matrix"], given["weights"], given.get("types")
    return _scored(ranking.copras_as_pymcdm(*arguments), score_published=ranking.copras(*arguments))


def _ahp(given: Inputs) -> dict[str, Any]:
    found = weights.ahp(given["pairwise"], given.get("RI"))
    return {"weights": found.weights, "lambda_max": found.lambda_max, "CI": found.consistency_index,
            "CR": found.consistency_ratio, "consistent": found.consistent}  # fmt: skip


def _reversal(how: str) -> Callable[[Inputs], dict[str, Any]]:
    def run(given: Inputs) -> dict[str, Any]:
        before, after = (
            _weighted_sum_scaled(how)({**given, "matrix": given[name]})["score"] for name in ("before", "after")
        )
        return {"before": before, "after": after, "winner_before": int(np.argmax(before)),
                "winner_after": int(np.argmax(after)),
                "reversed": bool(ranking.rank_reversals(before, after))}  # fmt: skip

    return run


def stated_limits(text: str, n: int) -> tuple[tuple[tuple[float, ...], float], ...]:
    """Limits a . w <= b from chains such as `w1 >= w2 >= 0.1`; weights count from 1, other words are passed over.

    >>> stated_limits("uniform on simplex, w1>=w2, w2 >= 0.1", 2)
    (((-1.0, 1.0), 0.0), ((0.0, -1.0), -0.1))
    """
    limits = []
    text = text.replace("\u2264", "<=").replace("\u2265", ">=")
    for chain in _CHAIN.findall(text):
        sides, signs = re.split(r"[<>]=?", chain), re.findall(r"[<>]", chain)
        for left, sign, right in zip(sides, signs, sides[1:], strict=False):
            less, more = (_linear(side, n) for side in ((right, left) if sign == ">" else (left, right)))
            limits.append((tuple((less[0] - more[0]).tolist()), more[1] - less[1]))
    rest = _CHAIN.sub("@", text)
    if unread := re.search(r"\S*\s*[<>=]+\s*\S*|@\s*[/*^]\s*\S+|\S+\s*[/*^]\s*@", rest):
        rule = "is no comparison of weights: sums of w1, 2 w2 or figures on each side of < or >, as w1 + w2 <= 0.5"
        raise InputError.at("weights", rule, value=unread[0].replace("@", "").strip())
    return tuple(limits)


def _linear(side: str, n: int) -> tuple[np.ndarray, float]:
    """Factors of the n weights in a sum such as `2 w1 - w3 + 0.1` or `30 %`, and its constant."""
    factors, constant = np.zeros(n), 0.0
    for sign, term in re.findall(rf"([+-]?)\s*({_TERM})", side):
        one = -1.0 if sign == "-" else 1.0
        figure, weight = re.fullmatch(rf"({_FIGURE})?\s*[*%]?\s*(?:w(\d+))?", term).groups()
        amount = one * float(figure or 1) / (100 if "%" in term else 1)
        if weight is None:
            constant += amount
        elif 1 <= int(weight) <= n:
            factors[int(weight) - 1] += amount
        else:
            raise InputError.at("weights", f"there are {n} weights, w1 to w{n}", value=term)
    return factors, constant


def _space(given: Inputs, n: int) -> WeightSpace:
    """Admissible weights of a case: fixed numbers, chains in words, or order, bounds and limits as entries."""
    weights, low, high = given.get("weights"), given.get("weight_low"), given.get("weight_high")
    limits = tuple((tuple(row), float(end)) for row, end in given.get("limits", ()))
    if isinstance(weights, str):
        limits += stated_limits(weights, n)
    elif weights is not None:
        low = high = as_weights(weights, n, add_up=True)
    order = [int(place) for place in given.get("order", ())]
    order = [place - 1 for place in order] if n in order else order  # counted from 1
    return WeightSpace(n, order=tuple(order), low=low, high=high, limits=limits)


def _smaa(given: Inputs) -> dict[str, Any]:
    table = given.get("values", given.get("matrix"))
    if table is None:
        raise KeyError("values")
    table = as_matrix(table, "values")
    draws = int(given.get("draws", DRAWS))
    return _smaa_parts(
        smaa(table, _space(given, table.shape[1]), low=given.get("low"), high=given.get("high"), draws=draws, seed=SEED)
    )


def _smaa_parts(found: Smaa) -> dict[str, Any]:
    return {"b1": found.first, "acceptability": found.acceptability, "central_weights": found.central_weights,
            "confidence": found.confidence, "pairwise": found.pairwise, "expected_rank": found.expected_rank}  # fmt: skip


def _dominance(given: Inputs) -> dict[str, Any]:
    table = outranking.dominance(given["matrix"], given.get("types"))
    return {"dominated": table.any(axis=0), "dominates": table, "pareto": ~table.any(axis=0)}


def _flip(given: Inputs) -> dict[str, Any]:
    table = given["values"] if "values" in given else given["matrix"]
    found = flips.smallest_flip(table, given["weights"])
    nearest = {"moved": found[0].moved, "challenger": found[0].challenger, "winner": found[0].winner} if found else {}
    return nearest | {"switching_weights": flips.switching_weights(table, given["weights"])}


def _weighted_product(given: Inputs) -> dict[str, Any]:
    """Product of x_j^w_j; 1/x where less is better."""
    table = as_matrix(given["matrix"])
    if (table <= 0).any():
        raise InputError.at("matrix", "this method takes powers: every value must be above 0")
    signs = as_types(given.get("types"), table.shape[1])
    return _scored(np.prod(table ** (as_weights(given["weights"], table.shape[1]) * signs), axis=1))


def _rank_weights(how: Callable[[np.ndarray, int], np.ndarray]) -> Callable[[Inputs], dict[str, Any]]:
    """Weights by rank 1 to n, scaled to a sum of 1."""

    def run(given: Inputs) -> dict[str, Any]:
        count = given["n"] if "n" in given else np.shape(given["matrix"])[1]
        if not 1 <= count <= weights.MOST_CRITERIA or count != int(count):
            raise InputError.at("n", f"must be a whole number from 1 to {weights.MOST_CRITERIA:,}", value=count)
        return {"weights": weights.swing(how(np.arange(1.0, count + 1), int(count)))}

    return run


METHODS: dict[str, Callable[[Inputs], dict[str, Any]]] = {
    "weighted_sum_raw": _weighted_sum,
    "weighted_sum": _weighted_sum,
    "weighted_sum_invert_sumscale": _weighted_sum_scaled("sum", inverted=True),
    "weighted_sum_normalised": _weighted_sum_scaled("sum"),
    "weighted_sum_minmax": _weighted_sum_scaled("minmax"),
    "additive_value": _additive,
    "topsis": _topsis("vector"),
    "topsis_raw": _topsis("none"),
    "topsis_vector": _topsis("vector"),
    "topsis_minmax": _topsis("minmax"),
    "promethee1": _promethee,
    "promethee2": _promethee,
    "promethee2_usual": _promethee,
    "spotis": _spotis,
    "copras": _copras,
    "copras_published": _simple(ranking.copras),
    "vikor_q": _vikor,
    "vikor": _vikor,
    "moora": _simple(ranking.moora),
    "critic_weights": lambda given: {"weights": weights.critic(given["matrix"], given.get("types"))},
    "merec_weights": lambda given: {"weights": weights.merec(given["matrix"], given.get("types"))},
    "entropy_weights": lambda given: {"weights": weights.entropy(given["matrix"])},
    "ahp": _ahp,
    "rank_order_centroid": lambda given: {"weights": weights.rank_order_centroid(given["n"])},
    "swing": lambda given: {"weights": weights.swing(given["points"])},
    "sum_normalised_rank_reversal": _reversal("sum"),
    "smaa2_rank1_acceptability": _smaa,
    "smaa2": _smaa,
    "dominance": _dominance,
    "weight_flip": _flip,
    "weighted_product": _weighted_product,
    "equal_weights": _rank_weights(lambda place, _: np.ones_like(place)),
    "rank_sum": _rank_weights(lambda place, count: count + 1 - place),
    "rank_reciprocal": _rank_weights(lambda place, _: 1 / place),
}
OTHER_METHOD_NAMES = {
    "roc": "rank_order_centroid", "roc_weights": "rank_order_centroid", "rank_order_centroid_weights": "rank_order_centroid",
    "swing_weights": "swing", "ahp_weights": "ahp", "critic": "critic_weights", "merec": "merec_weights",
    "entropy": "entropy_weights", "shannon_entropy_weights": "entropy_weights", "pareto": "dominance",
    "promethee": "promethee2", "promethee_ii": "promethee2", "promethee_i": "promethee1", "smaa": "smaa2",
    "smaa_2": "smaa2", "wpm": "weighted_product", "wsm_raw": "weighted_sum_raw", "rank_sum_weights": "rank_sum",
    "equal": "equal_weights", "rank_reversal": "sum_normalised_rank_reversal", "rank_sum_weighting": "rank_sum",
    "weighted_sum_sum": "weighted_sum_normalised", "rank_reciprocal_weights": "rank_reciprocal",
}  # fmt: skip
AMBIGUOUS = dict.fromkeys(
    ("saw", "wsm"), "Say weighted_sum_raw, weighted_sum_normalised (by sum) or weighted_sum_minmax: they differ."
)
#: Entries of the inputs, and what else files call them.
OTHER_NAMES = {
    "matrix": ("decision_matrix", "scores", "x", "alternatives"),
    "weights": ("w", "weight"),
    "types": ("directions", "criteria_types", "objectives", "senses", "type"),
    "pairwise": ("comparisons", "judgements", "judgments", "a"),
    "RI": ("ri", "random_index"),
    "n": ("criteria", "count", "n_criteria"),
    "points": ("swings", "swing_points"),
    "normalise": ("normalize", "normalisation", "normalization"),
    "bounds": ("limits_of_criteria", "ranges"),
}
TEXTS = ("weights", "normalise")
DIRECTIONS = {
    "max": 1, "maximise": 1, "maximize": 1, "benefit": 1, "true": 1, "+": 1, "up": 1,
    "min": -1, "minimise": -1, "minimize": -1, "cost": -1, "false": -1, "-": -1, "down": -1,
}  # fmt: skip
