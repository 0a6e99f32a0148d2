"""Named demand scenarios of the user: multipliers by use case, class, region and month, on top of the paths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def multipliers(
    table: pd.DataFrame | None,
    workloads: Sequence[str],
    classes: pd.Series,
    regions: Sequence[str],
    months: Sequence[str],
) -> dict[str, np.ndarray]:
    """Factor of every cell and month of each named scenario, [W, R, T] by name, in the order of the table.

    An empty use case, class, region or month stands for every one; rows that meet multiply.

    Parameters
    ----------
    table : rows of `demand_what_ifs`.
    classes : workload class by use case.

    >>> rows = {"scenario": ["x", "x"], "use_case_id": ["a", None], "workload_class": None, "region": None,
    ...         "first_month": ["2027-02", None], "last_month": None, "multiplier": [2.0, 1.5]}
    >>> found = multipliers(pd.DataFrame(rows), ["a", "b"], pd.Series({"a": "k", "b": "k"}), ["eu"], ["2027-01", "2027-02"])
    >>> found["x"][:, 0].tolist()
    [[1.5, 3.0], [1.5, 1.5]]
    """
    if table is None or table.empty:
        return {}
    kinds, stamps = np.array([classes.get(name, "") for name in workloads]), np.array(months)
    found: dict[str, np.ndarray] = {}
    for row in table.itertuples(index=False):
        factor = found.setdefault(row.scenario, np.ones((len(workloads), len(regions), len(months))))
        hit = _meets(np.array(workloads), row.use_case_id) & _meets(kinds, row.workload_class)
        when = (stamps >= _text(row.first_month)) & ((stamps <= _text(row.last_month)) | (_text(row.last_month) == ""))
        factor[np.ix_(hit, _meets(np.array(regions), row.region), when)] *= row.multiplier
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _meets(names: np.ndarray, value: object) -> np.ndarray:
    return np.ones(len(names), dtype=bool) if _text(value) == "" else names == value
