"""The three aggregates of request rows, as Ibis expressions that run in any engine.

`coded` turns each request into small whole numbers: workload, minute, day, and one bucket a metric. `minute_cube`,
`bucket_counts` and `tenant_sums` count and add them. Only whole numbers are added, so the digits depend neither on
the engine nor on the order of rows; the aggregates of two sets of rows add up to those of the union.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aifactory.inputs.aggregate.buckets import bucket, exact, place

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import numpy as np

#: Histogrammed columns of a request row; derived are time per output token and, of requests with a prompt and an
#: answer, the root of the product of their lengths, from which the correlation of the two follows (`demand.lengths`).
HISTOGRAMMED = ("ttft_ms", "tpot_ms", "e2e_ms", "queue_ms", "input_tokens", "output_tokens", "pair_tokens")
TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")
#: Service units are added as whole millionths.
UNIT_PARTS = 1_000_000


def coded(rows: ir.Table, workloads: ir.Table) -> ir.Table:
    """Requests as whole numbers.

    Parameters
    ----------
    rows : columns of the `requests` table; optional ones may be absent, none is negative.
    workloads : `use_case_id`, `region` and their number `workload`.

    Returns
    -------
    `workload`, `minute` and `day` since 1970 (UTC), `served` (status ok), the tenant and the additive columns
    that the rows have, and a bucket `b_METRIC` for each metric that they allow.
    """
    table = rows.inner_join(workloads, ["use_case_id", "region"])
    metrics = _metrics(table)
    second = _second(table["timestamp_utc"])
    columns = {
        "workload": table["workload"].cast("int32"),
        "minute": (second // 60).cast("int32"),
        "probed": (second % 60 == probed_second(second // 60)).cast("int32"),
        "served": (table["status"] == "ok").cast("int32"),
        **{name: table[name] for name in TOKENS if name in table.columns},
        **metrics,
    }
    if "tenant" in table.columns:
        columns["tenant"] = table["tenant"]
    if "is_retry" in table.columns:
        columns["retry"] = table["is_retry"].cast("int32")
    if "service_units" in table.columns:
        columns["parts"] = _parts(table)
    chosen = table.select(**columns)
    placed = chosen.mutate(**{f"p_{name}": place(chosen[f"v_{name}"]) for name in _named(metrics)})
    bounded = placed.mutate(**{f"c_{name}": placed[f"p_{name}"].ceil() for name in _named(metrics)})
    buckets = {
        f"b_{name}": bucket(bounded[f"v_{name}"], bounded[f"p_{name}"], bounded[f"c_{name}"])
        for name in _named(metrics)
    }
    kept = [name for name in columns if name not in metrics]
    return bounded.select(*kept, day=(bounded["minute"] // 1440).cast("int32"), **buckets)


def _named(metrics: dict[str, ir.Value]) -> list[str]:
    return [name.removeprefix("v_") for name in metrics]


def _metrics(table: ir.Table) -> dict[str, ir.Value]:
    held = {f"v_{name}": table[name] for name in HISTOGRAMMED if name in table.columns}
    if {"ttft_ms", "e2e_ms", "output_tokens"} <= set(table.columns):
        later = (table["output_tokens"] > 1).ifelse(table["output_tokens"] - 1, None)
        held["v_tpot_ms"] = (table["e2e_ms"] - table["ttft_ms"]) / later.cast("float64")
    if {"input_tokens", "output_tokens"} <= set(table.columns):
        prompt, answer = table["input_tokens"].cast("float64"), table["output_tokens"].cast("float64")
        both = (table["input_tokens"] > 0) & (table["output_tokens"] > 0)
        held["v_pair_tokens"] = both.ifelse(prompt * answer, None).sqrt()
    return held


def _second(times: ir.TimestampColumn) -> ir.IntegerColumn:
    """Whole seconds since 1970."""
    backends, _ = times._find_backends()
    if backends and backends[0].name == "duckdb":  # its general form goes through the calendar: ten times slower
        return microseconds(times) // 1_000_000
    return times.epoch_seconds()


def probed_second(minute: int | np.ndarray | ir.IntegerColumn) -> int | np.ndarray | ir.IntegerColumn:
    """The one second of a minute (0 to 59) whose requests are counted apart.

    The count of one second in each minute shows bursts within minutes and adds up like any other sum, which squares
    of counts do not where the requests of a second lie in several files. The second moves on from minute to minute,
    hour to hour and day to day, so that neither the full hour nor the full minute always meets it.

    Parameters
    ----------
    minute : whole minutes since 1970.

    >>> probed_second(0), probed_second(1), probed_second(60), probed_second(1440)
    (0, 37, 11, 37)
    """
    return (minute * 37 + minute // 60 * 11 + minute // 1440 * 13) % 60


def microseconds(times: ir.TimestampColumn) -> ir.IntegerColumn:
    """Microseconds since 1970, by DuckDB's own function."""
    import ibis

    @ibis.udf.scalar.builtin(name="epoch_us", signature=((times.type(),), "int64"))
    def epoch_us(value):  # noqa: ANN001, ANN202
        ...

    return epoch_us(times)


def _parts(table: ir.Table) -> ir.IntegerColumn:
    """Millionths of service units: what is not given counts one for a served request, a failed one counts none."""
    import ibis

    given = table["service_units"].fill_null(1.0).cast("float64") * exact(UNIT_PARTS)
    whole = (given + exact(0.5)).floor().cast("int64")
    return ibis.ifelse(table["status"] == "ok", whole, 0)


def minute_cube(codes: ir.Table) -> ir.Table:
    """Counts and sums by workload and minute; a sum over nothing known is null."""
    sums = {name: codes[name].sum().cast("int64") for name in (*TOKENS, "retry", "parts") if name in codes.columns}
    return codes.group_by("workload", "minute").agg(
        requests=codes.count(),
        served=codes["served"].sum().cast("int64"),
        probed=codes["probed"].sum().cast("int64"),
        **sums,
    )


def bucket_counts(codes: ir.Table, metric: str) -> ir.Table:
    """Served requests by workload, day and bucket of one metric."""
    column = codes[f"b_{metric}"]
    known = codes.filter((codes["served"] == 1) & column.notnull())
    return known.group_by(workload=known["workload"], day=known["day"], bucket=known[f"b_{metric}"]).agg(
        count=known.count()
    )


def tenant_sums(codes: ir.Table) -> ir.Table:
    """Counts and sums by workload, day and tenant; requests that name none are left out."""
    named = codes.filter(codes["tenant"].notnull() & (codes["tenant"] != ""))
    sums = {name: named[name].sum().cast("int64") for name in (*TOKENS, "parts") if name in named.columns}
    return named.group_by(workload=named["workload"], day=named["day"], tenant=named["tenant"]).agg(
        requests=named.count(), served=named["served"].sum().cast("int64"), **sums
    )
