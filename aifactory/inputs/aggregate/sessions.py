"""Sessions of a request log, counted where the log lies: a unit is the session, not its requests."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.inputs.aggregate.survey import instant
from aifactory.inputs.aggregate.tables import KEYS, Aggregates, fetched

if TYPE_CHECKING:
    import ibis.expr.types as ir

MINUTE_US = 60_000_000
MINUTES_PER_DAY = 1440


def session_counts(rows: ir.Table, use_cases: Collection[str]) -> pd.DataFrame:
    """Successful requests that name a session and no units, and the sessions that begin among them.

    Parameters
    ----------
    rows : request rows with a session, as `Reading.rows` gives them.
    use_cases : those that count sessions.

    Returns
    -------
    By `use_case_id`, `region`, `minute` (since 1970, UTC) and `tenant`: `served` requests and sessions `begun`, each
    where and when its first successful request came.
    """
    import ibis

    mine = rows["use_case_id"].isin(sorted(use_cases)) & (rows["status"] == "ok")
    named = rows.filter(mine & rows["session_id"].notnull())  # noqa: PD004
    if "service_units" in rows.columns:
        named = named.filter(named["service_units"].isnull())  # noqa: PD003
    tenant = named["tenant"] if "tenant" in rows.columns else ibis.null("string")
    told = named.select(*KEYS, "session_id", at_us=instant(named["timestamp_utc"]).cast("int64"), tenant=tenant)
    order = [told["at_us"], told["region"], told["tenant"]]
    place = ibis.row_number().over(group_by=[told["use_case_id"], told["session_id"]], order_by=order)
    told = told.mutate(first=(place == 0).cast("int64"), minute=told["at_us"] // MINUTE_US)
    return fetched(told.group_by(*KEYS, "minute", "tenant").agg(served=told.count(), begun=told["first"].sum()))


def with_sessions(aggregates: Aggregates, counts: pd.DataFrame) -> Aggregates:
    """Aggregates whose `service_units` hold a unit for each session in place of one for each of its requests."""
    if counts.empty:
        return aggregates
    less = counts.assign(change=counts["begun"].astype("float64") - counts["served"].astype("float64"))
    start = pd.to_datetime(less["minute"].astype("int64") * MINUTE_US, unit="us", utc=True)
    day = (less["minute"].astype("int64") // MINUTES_PER_DAY).to_numpy().astype("datetime64[D]").astype("str")
    less = less.assign(window_start_utc=start, day=pd.Series(day, dtype="str", index=less.index))
    return replace(
        aggregates,
        windows=_changed(aggregates.windows, less, [*KEYS, "window_start_utc"]),
        tenants=_changed(aggregates.tenants, less, [*KEYS, "day", "tenant"]),
    )


def _changed(table: pd.DataFrame, less: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    change = less.groupby(keys, dropna=False)["change"].sum()
    found = pd.MultiIndex.from_frame(table[keys]).map(change.to_dict())
    return table.assign(service_units=table["service_units"] + pd.Series(found, index=table.index).fillna(0.0))
