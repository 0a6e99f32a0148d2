"""`check`: run published cases of finance functions and report how far each result is off.

A file of cases has the columns `case_id, function, inputs, expected, tolerance` (others are kept out
of the way): inputs as a JSON object, expected as JSON number, list or object, empty for "there is
none", `error` for "must be refused"; the tolerance is absolute. How inputs may be written:
`reference_inputs`.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import nearest
from aifactory.finance.reference_functions import AMBIGUOUS, FUNCTIONS, OTHER_FUNCTION_NAMES
from aifactory.finance.reference_inputs import TEXTS, arguments, is_whole, read_cases, read_value, unread

REQUIRED = ("case_id", "function", "inputs", "expected")
COLUMNS = [
    "case_id",
    "function",
    "expected",
    "got",
    "abs_deviation",
    "relative_deviation",
    "tolerance",
    "ok",
    "reason",
]
NO_ANSWER = {
    *("", "null", "none", "n/a", "na", "never", "not within the horizon", "not within horizon"),
    *("no internal rate", "no irr", "not defined", "undefined", "no real root"),
}
REFUSED = {"error", "refused", "raises", "raise", "valueerror", "invalid"}


REFUSAL = "refused"


class CaseError(ValueError):
    """A case that cannot be run as written."""


class RefusedError(ValueError):
    """Inputs that a function reads and refuses: outside of what it is defined for."""


def check(csv_path: str | Path) -> pd.DataFrame:
    """Run every case of a file; one row each, in the order of the file.

    Columns: `case_id, function, expected, got` (JSON text), `abs_deviation` and
    `relative_deviation` (the largest over the parts of a list or object, empty where there is
    nothing to subtract), `tolerance`, `ok`, `reason` (why not; empty if ok, unless the function
    refused inputs that were to be refused or have no answer). A function that is not supported,
    inputs that do not fit it, an expected value or tolerance that cannot be read: the row is not ok
    and says so. A file without the required columns raises `InputError`.
    """
    return pd.DataFrame([_run(row) for row in read_cases(Path(csv_path), REQUIRED)], columns=COLUMNS).astype(
        {"ok": bool}
    )


def _run(row: Mapping[str, str]) -> dict[str, object]:
    about = {name: (row[name] or "").strip() for name in REQUIRED}
    result = {"case_id": about["case_id"], "function": about["function"], "expected": about["expected"]}
    try:
        if not is_whole(row):
            raise CaseError("the row has not as many cells as the header")
        expected, tolerance = _expected(about["expected"]), _tolerance(row.get("tolerance"), about["expected"])
        got = _call(about["function"], about["inputs"])
    except RefusedError as error:
        return result | {"ok": expected in (None, REFUSAL), "reason": f"refused: {error}"}
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        return result | {"ok": False, "reason": str(error) or type(error).__name__}
    if expected == REFUSAL:
        return result | {"got": json.dumps(got), "ok": False, "reason": "there is a result, a refusal was expected"}
    worst, relative, reason = _compare(expected, got, tolerance)
    shown = "" if got is None else json.dumps(got)
    measured = {"got": shown, "abs_deviation": worst, "relative_deviation": relative, "tolerance": tolerance}
    return result | measured | {"ok": not reason, "reason": reason}


def _json(text: str, what: str) -> object:
    def refuse(name: str) -> None:
        raise CaseError(f"{what}: {name} is not a number")

    def finite(text: str) -> float:
        if math.isinf(float(text)):
            refuse(text)
        return float(text)

    def no_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise CaseError(f"{what}: a name stands twice")
        return dict(pairs)

    try:
        return json.loads(text, parse_constant=refuse, parse_float=finite, object_pairs_hook=no_twice)
    except json.JSONDecodeError as error:
        raise CaseError(f"{what} cannot be read as JSON: {error}") from None
    except RecursionError:
        raise CaseError(f"{what} is nested too deeply") from None


def _expected(text: str) -> object:
    plain = text.strip("\"' ").lower()
    if plain in REFUSED:
        return REFUSAL
    if plain in NO_ANSWER:
        return None
    if text.endswith("%") or (re.search(r"[;|]", text) and text[0] not in "[{"):
        return read_value(text)
    return _json(text, "expected")


def _tolerance(text: str | None, expected: str) -> float:
    if not (text or "").strip():
        if expected.strip("\"' ").lower() in NO_ANSWER | REFUSED:
            return 0.0
        raise CaseError("a tolerance is needed")
    try:
        value = float(read_value(text))
    except (ValueError, TypeError):
        raise CaseError(f"tolerance {text!r} is not a number") from None
    if not 0 <= value < math.inf:
        raise CaseError(f"tolerance must not be negative, got {text}")
    return value


def _call(name: str, text: str) -> object:
    known = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    function = FUNCTIONS.get(OTHER_FUNCTION_NAMES.get(known, known))
    if function is None:
        why = AMBIGUOUS.get(known) or nearest(known, FUNCTIONS).strip()
        raise CaseError(f"function {name!r} is not supported. {why}")
    inputs = _json(text, "inputs")
    if not isinstance(inputs, dict):
        raise CaseError("inputs must be a JSON object")
    given = arguments(function, inputs)
    if words := [place for place, value in given.items() if place not in TEXTS and unread(value)]:
        raise CaseError(f"inputs of {name}: {words[0]} is not a number or a list of numbers: {given[words[0]]!r}")
    try:
        inspect.signature(function).bind(**given)
    except TypeError as error:
        wanted = ", ".join(inspect.signature(function).parameters)
        raise CaseError(f"inputs of {name}: {error} (known: {wanted})") from None
    try:
        found = function(**given)
    except (ValueError, ArithmeticError) as error:
        raise RefusedError(str(error) or type(error).__name__) from None
    return _plain(found)


def _plain(value: object) -> object:
    """Turn a result into what JSON holds; NaN is "there is none"."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if value is None:
        return None
    number = float(value)
    if math.isinf(number):
        raise CaseError("the result is not finite")
    return None if math.isnan(number) else number


def _compare(expected: object, got: object, tolerance: float) -> tuple[float, float, str]:
    """Largest absolute and relative deviation, and why the case is not met."""
    none = math.nan
    pairs = list(_pairs(expected, got, ""))
    shape = [reason for _, _, reason in pairs if reason]
    if shape:
        return none, none, shape[0]
    numbers = [(want, have) for want, have, _ in pairs if want is not None]
    if not numbers:
        return none, none, ""
    off = [abs(have - want) for want, have in numbers]
    relative = [gap / abs(want) for gap, (want, _) in zip(off, numbers, strict=True) if want]
    late = not max(off) <= tolerance * (1 + 1e-9)
    reason = f"off by {max(off):.6g}, allowed {tolerance:g}" if late else ""
    return max(off), max(relative, default=none), reason


def _pairs(expected: object, got: object, place: str) -> Iterator[tuple[float | None, float | None, str]]:
    """Numbers side by side; a reason where the shapes differ."""
    at = f" at {place}" if place else ""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, want in expected.items():
            if name not in got:
                yield None, None, f"no result {name!r}.{nearest(name, got)}"
            else:
                yield from _pairs(want, got[name], f"{place}{name}")
    elif isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            yield None, None, f"{len(got)} values{at}, {len(expected)} expected"
            return
        for index, (want, have) in enumerate(zip(expected, got, strict=True)):
            yield from _pairs(want, have, f"{place}[{index}]")
    elif expected is None or got is None:
        differs = "there is a result, none expected" if expected is None else "there is no result"
        yield None, None, "" if expected is got else f"{differs}{at}"
    elif _number(expected) and isinstance(got, list):
        yield None, None, f"{len(got)} values{at}, one expected: {', '.join(f'{part:.6g}' for part in got)}"
    elif _number(expected) and _number(got):
        yield float(expected), float(got), ""
    else:
        yield None, None, f"the result has another form than the expected value{at}"


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
