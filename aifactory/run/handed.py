"""Results of a stage as files, and back: nested dataclasses of tables, series, arrays, texts and figures.

A folder holds `result.json`, the tree of the fields, and one Arrow file for each table. What comes back is what was
written, to the last digit: a result that files would change (a column of mixed kinds) is refused. The classes are those of the reader, by
the type hints of its fields; nothing in the files names code.
"""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.feather import read_table, write_feather

TREE = "result.json"
PLAIN = (str, bool, int, float, type(None))


class NotStorableError(ValueError):
    """A value that files would not give back as it is."""


def write_result(result: Any, folder: Path) -> None:
    """Write a dataclass into an empty folder, the tree last.

    Raises
    ------
    NotStorableError
        A field holds something else than dataclasses, tables, series, arrays of one dimension, mappings by text, lists, tuples
        and plain values, or a table that Arrow would change.
    """
    frames: list[pd.DataFrame] = []
    tree = _tree(result, frames)
    for number, frame in enumerate(frames):
        try:
            write_feather(pa.Table.from_pandas(frame), folder / f"{number}.arrow")
        except pa.ArrowException as error:
            raise NotStorableError(str(error)) from None
    (folder / TREE).write_text(json.dumps(tree), encoding="utf-8")


def read_result(kind: type, folder: Path) -> Any:
    """The dataclass `kind` that `write_result` put into a folder."""
    return _value(kind, json.loads((folder / TREE).read_text(encoding="utf-8")), folder)


def _tree(value: Any, frames: list[pd.DataFrame]) -> Any:
    """A value as JSON; tables go to `frames` and leave their number."""
    if isinstance(value, pd.DataFrame):
        missing = [at for at, (_, column) in enumerate(value.items()) if _missing_is_nan(column)]
        frames.append(value)
        return {"frame": len(frames) - 1, "nan": missing}
    if isinstance(value, pd.Series):
        return _tree(value.to_frame(), frames) | {"name": value.name}
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return _tree(pd.DataFrame({"value": value}), frames)
    if dataclasses.is_dataclass(value):
        return {field.name: _tree(getattr(value, field.name), frames) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _tree(item, frames) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item, frames) for item in value]
    if type(value) in PLAIN:
        return value
    raise NotStorableError(f"{type(value).__name__} {value!r:.60}")


def _missing_is_nan(column: pd.Series) -> bool:
    """Whether what a column of objects misses is NaN rather than None: Arrow knows one kind only."""
    if column.dtype != object:
        return False
    kinds = set(map(type, column[column.isna()]))
    if kinds - {float, type(None)} or len(kinds) > 1:
        raise NotStorableError(f"{column.name}: several kinds of missing values")
    return kinds == {float}


def _value(kind: Any, node: Any, folder: Path) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(part for part in get_args(kind) if (part is type(None)) == (node is None))
    base = get_origin(kind) or kind
    if base is pd.DataFrame:
        return _frame(node, folder)
    if base is pd.Series:
        return _frame(node, folder).iloc[:, 0].rename(node["name"])
    if base is np.ndarray:
        return _frame(node, folder)["value"].to_numpy()
    if dataclasses.is_dataclass(base):
        hints = get_type_hints(base)
        return base(**{name: _value(hints[name], item, folder) for name, item in node.items()})
    if base in (list, tuple):
        return base(_value(get_args(kind)[0], item, folder) for item in node)
    if isinstance(base, type) and issubclass(base, Mapping):
        return {key: _value(get_args(kind)[1], item, folder) for key, item in node.items()}
    return node


def _frame(node: dict[str, Any], folder: Path) -> pd.DataFrame:
    frame = read_table(folder / f"{node['frame']}.arrow", memory_map=False).to_pandas()
    for at in node["nan"]:
        column = frame.iloc[:, at]
        frame.isetitem(at, column.where(column.notna(), np.nan).astype(object))
    return frame
