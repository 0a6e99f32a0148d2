"""Read one table strictly: what is not what the contract says is named, never repaired."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.bounds import bound_problems
from aifactory.inputs.columns import Coded, as_decimals, each, read_column
from aifactory.inputs.contracts import Contract, load_contract
from aifactory.inputs.csv_text import read_csv_text
from aifactory.inputs.guard import unguarded
from aifactory.inputs.parts import read_parts
from aifactory.inputs.problems import Problem, raise_problems

SUFFIXES = (".csv", ".csv.gz", ".parquet")


@dataclass
class ReadTable:
    """A typed table with what was found while reading it."""

    frame: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    #: Columns of text as their different values, where there are not too many.
    coded: dict[str, Coded] = field(default_factory=dict, repr=False)


def read_table(path: Path, contract: Contract, *, amounts_as_text: bool = False) -> ReadTable:
    """Read and type a CSV or Parquet file, then apply the contract's bounds; amounts as in `type_table`.

    Raises
    ------
    InputError
        If the file as a whole cannot be read as this table (encoding, header, shape). Problems
        of single cells are returned, not raised.
    """
    text, notes = read_text(path)
    if contract.keeps_extra:
        text = text.assign(**{name: unguarded(text[name]) for name in text.select_dtypes("str")})
    extra = [name for name in text.columns if name not in contract.columns]
    unknown = [name for name in extra if not name.startswith("x_")]
    if unknown:
        raise InputError.at(path.name, "unknown column.", row=1, column=unknown[0], choices=contract.columns)
    table = type_table(path, text, contract, amounts_as_text=amounts_as_text)
    for name in () if contract.keeps_extra else extra:
        table.warnings.append(Problem(1, name, "", "extra column, not used"))
    table.warnings += [Problem(None, "", "", f"{rule} ({rows} rows)") for rule, rows in notes]
    return table


@cache
def read_shipped(path: Path, name: str, sha256: str) -> ReadTable:  # noqa: ARG001 - another file, another table
    """A table of the catalogue, read once per process: it is the same for every workspace. Take copies of its frame."""
    return read_table(path, load_contract(name))


def read_source(path: Path, contract: Contract) -> pd.DataFrame:
    """Read the columns of a contract from somebody else's file; its other columns are left out.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a required column, or holds a cell that breaks the contract.
    """
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    table = type_table(path, read_text(path)[0], contract)
    raise_problems(path.name, table.problems)
    return table.frame


def read_text(path: Path) -> tuple[pd.DataFrame, list[tuple[str, int]]]:
    """Cells of a CSV file as text, columns of a Parquet file as stored, and remarks with their rows.

    What the file is shows in its first bytes; an ending `.parquet` must be true.
    """
    if path.is_dir():
        return read_parts(path), []
    with path.open("rb") as stream:
        begin = stream.read(4)
    if path.name.endswith(".parquet") or begin == b"PAR1":
        return _read_parquet(path), []
    return read_csv_text(path)


def type_table(path: Path, text: pd.DataFrame, contract: Contract, *, amounts_as_text: bool = False) -> ReadTable:
    """Type the columns of a contract and apply its bounds; problems are collected, not raised.

    With `amounts_as_text` exact columns, which then must have no bounds, stay text that is known to be a number.
    """
    absent = [item.name for item in contract.fields if item.required and item.name not in text.columns]
    if absent:
        found = ", ".join(text.columns[:12])
        raise InputError.at(path.name, f"required column is missing; found: {found}", row=1, column=absent[0])
    columns = each(
        lambda item: read_column(item, text.get(item.name), contract.missing_values, text.index),
        contract.fields,
        len(text),
    )
    read = dict(zip(contract.columns, columns, strict=True))
    values = {name: column.values for name, column in read.items()}
    if not amounts_as_text:
        values |= as_decimals({item.name: values[item.name] for item in contract.fields if item.exact})
    table = ReadTable(
        pd.DataFrame(values, index=text.index),
        [problem for column in columns for problem in column.problems],
        [warning for column in columns for warning in column.warnings],
        {name: column.coded for name, column in read.items() if column.coded is not None},
    )
    told = {(problem.row, problem.column) for problem in table.problems}
    table.problems += [
        item
        for item in bound_problems(table.frame, contract, table.coded)
        if (item.row, item.column) not in told and (None, item.column) not in told
    ]
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        frame = parquet.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError.at(path.name, f"is not a readable Parquet file: {str(error).splitlines()[0][:120]}") from None
    return frame[[name for name in frame if not name.startswith("__index_level_")]]
