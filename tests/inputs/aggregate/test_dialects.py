"""The portable expressions compile for warehouses that are not here; translated back, their SQL gives the same digits."""

import ibis
import numpy as np
import pandas as pd
import pytest
import sqlglot
from hostile import hostile_values

from aifactory.inputs.aggregate.cube import bucket_counts, coded, minute_cube
from aifactory.inputs.aggregate.engine import duckdb_session, held
from aifactory.inputs.aggregate.survey import Reading
from aifactory.inputs.aggregate.tables import kept_apart

ROWS = ibis.table(
    {
        "timestamp_utc": "timestamp('UTC')", "use_case_id": "string", "region": "string", "tenant": "string",
        "status": "string", "is_retry": "boolean", "service_units": "float64", "input_tokens": "int64",
        "cached_input_tokens": "int64", "output_tokens": "int64", "ttft_ms": "float64", "e2e_ms": "float64",
        "queue_ms": "float64",
    },
    name="gateway",
)  # fmt: skip
WORKLOADS = ibis.table({"use_case_id": "string", "region": "string", "workload": "int64"}, name="workloads")
READING = Reading({name: name for name in ROWS.columns}, contradicting=True, over_cached=True, statuses={"200": "ok"})


def expressions():
    codes = coded(READING.rows(ROWS), WORKLOADS)
    return {"cube": minute_cube(codes), **{name: bucket_counts(codes, name) for name in ("e2e_ms", "tpot_ms")}}


def compiled(dialect):
    with kept_apart():
        return {name: ibis.to_sql(table, dialect=dialect) for name, table in expressions().items()}


@pytest.mark.parametrize(
    "dialect", ["bigquery", "snowflake", "trino", "postgres", "databricks", "athena", "clickhouse"]
)
def test_both_aggregates_compile_for_a_warehouse(dialect):
    for sql in compiled(dialect).values():
        assert len(sqlglot.parse(sql, read=dialect)) == 1


@pytest.fixture(scope="module")
def lake():
    """DuckDB with rows at the bounds of buckets."""
    random = np.random.default_rng(1)
    values = random.choice(hostile_values(), 3_000)
    count = len(values)
    rows = pd.DataFrame(
        {
            "timestamp_utc": pd.to_datetime(np.datetime64("2026-10-01", "us") + random.integers(0, 3 * 86_400_000_000, count), utc=True),
            "use_case_id": random.choice(["chat", "code"], count),
            "region": "eu",
            "tenant": "a",
            "status": random.choice(["ok", "200", "error"], count),
            "is_retry": False,
            "service_units": random.choice([0.1, 1.0], count),
            "input_tokens": random.integers(0, 1_000, count),
            "cached_input_tokens": 5,
            "output_tokens": random.integers(0, 50, count),
            "ttft_ms": values,
            "e2e_ms": values + random.choice([0.0, 123.456], count),
            "queue_ms": values,
        }
    )  # fmt: skip
    with duckdb_session(threads=1) as backend:
        held(backend, "gateway", rows)
        held(backend, "workloads", pd.DataFrame({"use_case_id": ["chat", "code"], "region": "eu", "workload": [0, 1]}))
        yield backend.con


def answers(lake, sqls):
    frames = {name: lake.execute(sql).df().astype("float64") for name, sql in sqls.items()}
    return {name: frame.sort_values(list(frame)[:3], ignore_index=True) for name, frame in frames.items()}


@pytest.mark.parametrize("dialect", ["trino", "snowflake"])
def test_the_sql_of_a_warehouse_translated_back_gives_the_same_digits(lake, dialect):
    own = answers(lake, compiled("duckdb"))
    theirs = {name: sqlglot.transpile(sql, read=dialect, write="duckdb")[0] for name, sql in compiled(dialect).items()}
    for name, frame in answers(lake, theirs).items():
        assert len(frame) > 250
        pd.testing.assert_frame_equal(frame, own[name], check_exact=True)
