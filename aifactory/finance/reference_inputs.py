"""How files of cases write inputs: other names for one argument, percent, lists in words, dates.

One reading for all cases, so that a case is refused for what it says and not for how it is written.
What can be read in two ways is not guessed: `1,5` and `03/04/2026` stay text and are refused.
"""

from __future__ import annotations

import csv
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from aifactory.errors import InputError

#: Argument of a function, and what else files call it; a name that the function itself has wins.
OTHER_NAMES = {
    "values": ("cashflows", "cash_flows", "flows", "cf", "matrix"),
    "rate": ("discount_rate", "interest_rate", "r", "ibr", "wacc"),
    "when": ("type", "due", "timing"),
    "finance": ("finance_rate",),
    "reinvest": ("reinvest_rate", "reinvestment_rate"),
    "nper": ("n", "periods", "term"),
    "per": ("period", "year"),
    "pv": ("present_value",),
    "fv": ("future_value",),
    "pmt": ("payment",),
    "payment": ("pmt",),
    "payments": ("values", "cashflows", "flows"),
    "remaining": ("n", "nper", "periods", "remaining_payments"),
    "start": ("start_period", "first"),
    "end": ("end_period", "last"),
    "E": ("equity",),
    "D": ("debt",),
    "re": ("equity_rate", "cost_of_equity", "cost_equity"),
    "rd": ("debt_rate", "cost_of_debt", "cost_debt"),
    "tax": ("tax_rate", "t"),
    "life": ("useful_life", "nper", "years"),
    "years": ("life", "nper", "n", "periods"),
    "npery": ("n", "periods_per_year", "nper"),
    "nominal": ("nominal_rate", "rate"),
    "nominal_rate": ("nominal", "rate"),
    "effective": ("effective_rate", "effect_rate", "rate"),
    "real": ("real_rate", "rate"),
    "initial": ("outlay", "investment", "capex"),
    "annual": ("inflows", "flows", "cashflows"),
    "probs": ("probabilities", "probability", "p"),
    "payoff": ("payoffs",),
    "losses": ("values",),
    "alpha": ("level", "confidence"),
    "month": ("months_first_year",),
    "no_switch": ("no_switching",),
    "incentive": ("incentives", "lease_incentive"),
    "initial_direct_costs": ("direct_costs", "idc"),
    "annual_rate": ("annual", "rate", "r", "effective"),
    "decline_per_year": ("decline", "rate"),
}
#: Arguments that are words.
TEXTS = ("when", "convention", "quarter", "dates", "desc")
NUMBER = re.compile(r"[+-]?(\d+(,\d{3})+|\d+)?(?<=\d)(\.\d*)?([eE][+-]?\d+)?|[+-]?\.\d+([eE][+-]?\d+)?")
WORDS = {"true": True, "false": False, "none": None, "null": None, "": None}
SPREADSHEET_DAY = np.datetime64("1899-12-30", "D")


def read_cases(path: Path, required: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Rows of a file of cases, by the names of its header in small letters; blank rows are passed over.

    Cells are separated by commas, semicolons or tabs. A `function` may be called `method` and the other way round. A
    row with more or fewer cells than the header is not `is_whole`.
    """
    if not path.is_file():
        raise InputError.at(path.name, "there is no such file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            separator = max(",;\t", key=header.count)
            names = [name.strip().lower() for name in next(csv.reader([header], delimiter=separator), [])]
            for name, other in (("function", "method"), ("method", "function")):
                if name in required and name not in names:
                    names = [name if each == other else each for each in names]
            missing = [name for name in required if name not in names]
            if missing:
                raise InputError.at(path.name, f"the columns {', '.join(missing)} are missing")
            if twice := [name for name in (*required, "tolerance") if names.count(name) > 1]:
                raise InputError.at(path.name, f"the column {twice[0]} stands twice")
            for row in csv.DictReader(file, names, restkey="beyond", delimiter=separator):
                if any("".join(value or "").strip() for value in row.values()):  # cells beyond the header are a list
                    yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError.at(path.name, f"this is not a CSV file in UTF-8: {error}") from None


def is_whole(row: Mapping[str, str]) -> bool:
    """Whether a row has as many cells as the header."""
    return not row.get("beyond") and None not in row.values()


def read_value(value: object) -> object:
    """One input as number, truth, list or text.

    >>> read_value("12.5 %"), read_value("-1,000|230"), read_value([["1/4"], "none"]), read_value("begin")
    (0.125, [-1000.0, 230.0], [[0.25], None], 'begin')
    """
    if isinstance(value, Mapping):
        return {name: read_value(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [read_value(part) for part in value]
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    for mark in ";|":
        if mark in text and "<=" not in text:
            return [read_value(part) for part in text.strip(mark).split(mark)]
    if found := re.fullmatch(r"([+-]?\d+)\s*/\s*([1-9]\d*)", text):
        return int(found[1]) / int(found[2])
    bare = text.removesuffix("%").strip()
    if not NUMBER.fullmatch(bare):
        return text
    number = float(bare.replace(",", ""))
    return number / 100.0 if text.endswith("%") else number


def read_date(value: object) -> str:
    """A date as ISO text: ISO, year first with slashes or dots, day.month.year, or a spreadsheet's day number.

    >>> read_date("2026/03/01"), read_date("31.12.2026"), read_date(46082), read_date("2026-03-01T00:00:00")
    ('2026-03-01', '2026-12-31', '2026-03-01', '2026-03-01')
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value):
        return str(SPREADSHEET_DAY + int(value))
    text = str(value).strip()
    if found := re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})([T ].*)?", text):
        return f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}"
    if found := re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text):
        return f"{found[3]}-{int(found[2]):02}-{int(found[1]):02}"
    msg = f"dates are written YYYY-MM-DD, got {text!r}"
    raise ValueError(msg)


def unread(value: object) -> bool:
    """Whether text is left where numbers belong.

    >>> unread([1.0, "1,5"]), unread([[1.0], None])
    (True, False)
    """
    if isinstance(value, Mapping):
        return any(unread(part) for part in value.values())
    return any(unread(part) for part in value) if isinstance(value, list) else isinstance(value, str)


def arguments(function: Callable[..., object], given: Mapping[str, object]) -> dict[str, object]:
    """Inputs of a case under the names of the function; empty optional ones take their default.

    >>> arguments(lambda rate, values, guess=None: 0, {"discount_rate": "10 %", "cashflows": "1;2", "guess": ""})
    {'rate': 0.1, 'values': [1.0, 2.0]}
    """
    known = inspect.signature(function).parameters
    found: dict[str, object] = {}
    for name, value in given.items():
        place = name if name in known else _place(name, known, {*given, *found})
        read = [read_date(day) for day in _listed(value)] if place == "dates" else read_value(value)
        optional = place in known and known[place].default is not inspect.Parameter.empty
        if read is not None or not optional:
            found[place] = read
    return found


def _place(name: str, known: Mapping[str, object], taken: set[str]) -> str:
    """Name that the function has for an argument written in another way; else as it is."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if plain in known and plain not in taken:
        return plain
    fits = [own for own, others in OTHER_NAMES.items() if own in known and own not in taken and plain in others]
    return fits[0] if fits else name


def _listed(value: object) -> list[object]:
    if isinstance(value, str):
        return re.split(r"\s*[;|]\s*", value.strip(" ;|"))
    return list(value) if isinstance(value, (list, tuple)) else [value]
