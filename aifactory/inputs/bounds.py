"""The rules of a contract for the values of a typed table."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pandas as pd

from aifactory.errors import share_hint
from aifactory.inputs.columns import Coded
from aifactory.inputs.contracts import Contract, Field, pandera_schema
from aifactory.inputs.problems import Problem


def bound_problems(frame: pd.DataFrame, contract: Contract, coded: Mapping[str, Coded] | None = None) -> list[Problem]:
    """Bounds, enumerations, patterns, required values, unique columns and primary key.

    `coded` holds the different values of columns that are known already. Pandera names the cells; a table
    that surely keeps all rules (`keeps_rules`) is not shown to it.
    """
    held = {item.name: (coded or {}).get(item.name) for item in contract.fields if not item.exact}
    sound = all(keeps_rules(item, frame[item.name], held.get(item.name)) for item in contract.fields)
    problems = [] if sound else _named(frame, contract)
    key = list(contract.primary_key)
    if len(key) > 1 and not problems:
        again = frame.index[frame.duplicated(key)]
        shown = ", ".join(key)
        problems += [
            Problem(int(row) + 2, shown, ", ".join(str(v) for v in frame.loc[row, key]), "this key is given twice")
            for row in again
        ]
    return problems


def keeps_rules(item: Field, column: pd.Series, coded: Coded | None = None) -> bool:
    """Whether a column keeps each rule of its field, found in its different values.

    >>> keeps_rules(Field("a", "string", "", enum=("x", "y")), pd.Series(["x", "x", None], dtype="str"))
    True
    """
    if item.required and (column.isna().any() if coded is None else (coded.codes < 0).any()):
        return False
    if item.unique and column.dropna().duplicated().any():
        return False
    ruled = item.enum or item.pattern or {item.minimum, item.maximum, item.exclusive_minimum} != {None}
    if not ruled:
        return True
    values = (column if coded is None else coded.known).dropna()
    if (item.enum or item.pattern) and coded is None:
        values = pd.Series(values.unique())
    return bool(
        (item.minimum is None or (values >= item.minimum).all())
        and (item.exclusive_minimum is None or (values > item.exclusive_minimum).all())
        and (item.maximum is None or (values <= item.maximum).all())
        and (not item.enum or values.isin(item.enum).all())
        and (not item.pattern or all(re.fullmatch(item.pattern, str(value)) for value in values))
    )


def _named(frame: pd.DataFrame, contract: Contract) -> list[Problem]:
    """Cells that break a rule, column by column."""
    import pandera.errors

    problems: list[Problem] = []
    try:
        pandera_schema(contract).validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        for case in errors.failure_cases.itertuples(index=False):
            item = contract.field(str(case.column))
            rule = "a value is required" if "not_nullable" in str(case.check) else f"must be {item.rule}"
            value = "" if pd.isna(case.failure_case) else str(case.failure_case)
            rule += share_hint(value) if item.unit == "fraction" and item.maximum == 1 else ""
            problems.append(Problem(int(case.index) + 2, item.name, value, rule, item.enum))
    return problems
