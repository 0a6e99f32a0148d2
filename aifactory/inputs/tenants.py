"""Request rows to the use of each tenant by month: the third aggregate of a request log."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.telemetry import conform

KEYS = ["month", "use_case_id", "region", "tenant"]
COUNTS = ["requests", "errors", "service_units", "input_tokens", "output_tokens"]


def aggregate_tenants(requests: pd.DataFrame) -> pd.DataFrame:
    """Aggregate request rows into the table `tenant_usage`; rows without a tenant are left out.

    Sums only, so the tables of two logs can be added (`add_tenant_usage`). Units count as in
    `demand_windows`: one for a successful request that states none, none for a failed one.

    >>> rows = pd.DataFrame({"timestamp_utc": pd.to_datetime(["2026-10-01", "2026-10-02", "2026-10-02"], utc=True),
    ...     "use_case_id": "chat", "region": "us", "tenant": ["a", "a", None], "status": ["ok", "error", "ok"],
    ...     "service_units": None, "input_tokens": [10, 20, 5], "output_tokens": [1, None, 5]})
    >>> aggregate_tenants(rows)[["tenant", "requests", "errors", "service_units", "input_tokens"]].values.tolist()
    [['a', 2, 1, 1.0, 30]]
    """
    known = requests[requests["tenant"].notna()]
    succeeded = known["status"] == "ok"
    units = known["service_units"].astype("float64").fillna(1.0).where(succeeded, 0.0)
    rows = known[["use_case_id", "region", "tenant", "input_tokens", "output_tokens"]].assign(
        month=known["timestamp_utc"].dt.strftime("%Y-%m"),
        requests=1,
        errors=(~succeeded).astype("int64"),
        service_units=units,
    )
    return add_tenant_usage(rows)


def add_tenant_usage(*parts: pd.DataFrame) -> pd.DataFrame:
    """Sum of tables of this shape; a token count that no part knows stays unknown."""
    rows = pd.concat([part[[*KEYS, *COUNTS]] for part in parts], ignore_index=True)
    return conform(rows.groupby(KEYS, as_index=False, sort=True).sum(min_count=1), "tenant_usage")
