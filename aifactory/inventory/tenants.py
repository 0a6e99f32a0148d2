"""How few tenants make the load: concentration of requests and tokens by use case."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from aifactory.demand.concentration import herfindahl, top_share
from aifactory.inputs.workspace import Workspace

#: Most tenants that are named as the largest.
TOP = 10
AMOUNTS = ("requests", "tokens")
COLUMNS = ["use_case_id", "tenants", "known_share", "requests_index", "requests_as_equals", "requests_top_1_share",
           "requests_top_10_share", "requests_top_tenth_share", "tokens_index", "tokens_as_equals", "tokens_top_1_share",
           "tokens_top_10_share", "tokens_top_tenth_share"]  # fmt: skip


def tenant_concentration(ws: Workspace, monthly: pd.DataFrame) -> pd.DataFrame:
    """Concentration of the month's requests and tokens over tenants, per use case with serving demand.

    `known_share` is the part of the requests that names its tenant; the other figures are of that part
    and NaN where nothing is known. The index is that of Herfindahl and Hirschman, `as_equals` its
    inverse, the number of equal tenants that would be as concentrated; top 1 and 10 count tenants, the
    top tenth is a tenth of them, rounded up. Tokens are prompt and answer together.
    """
    used = ws.month("tenant_usage")
    serving = ws.table("use_cases").query("service_unit != 'accelerator_hour'")["use_case_id"]
    month = monthly[(monthly["month"] == ws.period) & monthly["use_case_id"].isin(serving)]
    whole = month.groupby("use_case_id")["requests"].sum()
    tokens = used[["input_tokens", "output_tokens"]].astype("float64").sum(axis=1, min_count=1)
    amounts = used.assign(tokens=tokens).groupby(["use_case_id", "tenant"])[list(AMOUNTS)].sum(min_count=1)
    rows = []
    for name, requests in whole[whole > 0].items():
        mine = amounts.loc[name] if name in amounts.index.get_level_values(0) else amounts.iloc[:0]
        row = {"use_case_id": name, "tenants": len(mine), "known_share": float(mine["requests"].sum() / requests)}
        for amount in AMOUNTS:
            row |= {f"{amount}_{key}": value for key, value in _figures(mine[amount].dropna().to_numpy(float)).items()}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _figures(amounts: np.ndarray) -> dict[str, float]:
    index = herfindahl(amounts)
    return {
        "index": index,
        "as_equals": 1 / index,
        "top_1_share": top_share(amounts, 1),
        "top_10_share": top_share(amounts, TOP),
        "top_tenth_share": top_share(amounts, math.ceil(len(amounts) / 10)),
    }
