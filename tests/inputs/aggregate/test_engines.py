"""The two aggregates give the same digits in every engine, for any number of threads and any partition of rows."""

import shutil

import numpy as np
import pandas as pd
import pytest
from hostile import bound, hostile_values

from aifactory.inputs.aggregate.buckets import BUCKET_OF_ZERO, GAMMA, LOWEST_BUCKET, bucket, log_bucket, place
from aifactory.inputs.aggregate.cube import probed_second
from aifactory.inputs.aggregate.engine import duckdb_session, held, stage
from aifactory.inputs.aggregate.tables import KEYS, aggregate, kept_apart
from aifactory.inputs.telemetry import HISTOGRAMMED, aggregate_requests, conform
from aifactory.inputs.tenants import aggregate_tenants

N = 20_000


@pytest.fixture(scope="module")
def rows():
    """Requests with unknown and failed ones, and latencies at the bounds of buckets."""
    random = np.random.default_rng(7)
    values = hostile_values()
    start = np.datetime64("2026-10-01T00:00:00", "us")
    ttft = random.choice(values, N)
    frame = pd.DataFrame(
        {
            "request_id": [str(n) for n in range(N)],
            "timestamp_utc": pd.to_datetime(start + random.integers(0, 3 * 86_400_000_000, N), utc=True),
            "use_case_id": random.choice(["chat", "code", "Größe"], N),
            "region": random.choice(["us", "eu"], N),
            "tenant": random.choice(["a", "(none)", None], N),
            "status": random.choice(["ok", "error", "cancelled"], N, p=[0.9, 0.08, 0.02]),
            "is_retry": random.choice([True, False, None], N),
            "service_units": np.where(random.random(N) < 0.5, random.choice([0.1, 0.3, 1e-7, 2.0], N), np.nan),
            "input_tokens": random.integers(0, 9_007_199_254_740, N),
            "output_tokens": random.integers(0, 50, N),
            "ttft_ms": np.where(random.random(N) < 0.9, ttft, np.nan),
            "e2e_ms": ttft + random.choice([0.0, 1.0, 123.456], N),
            "queue_ms": random.choice(values, N),
        }
    )
    frame.loc[frame.index % 1_440 == 0, "timestamp_utc"] = pd.Timestamp("2026-10-02T00:00:00Z")
    frame.loc[frame.index % 1_440 == 1, "timestamp_utc"] = pd.Timestamp("2026-10-02T23:59:59.999999Z")
    return conform(frame, "requests")


def in_duckdb(rows, *, threads=1, pieces=1):
    numbered = rows[KEYS].drop_duplicates().sort_values(KEYS, ignore_index=True)
    numbered = numbered.assign(workload=range(len(numbered)))
    used = [name for name in rows if name not in ("request_id", "session_id")]
    with duckdb_session(threads=threads) as backend:
        workloads = held(backend, "workloads", numbered)
        parts = [held(backend, f"part_{n}", rows[used].iloc[n::pieces]) for n in range(pieces)]
        return aggregate(parts, workloads, numbered, stage)


def same(found, expected):
    pd.testing.assert_frame_equal(found.windows, expected.windows, check_exact=True)
    pd.testing.assert_frame_equal(found.histograms, expected.histograms, check_exact=True)
    pd.testing.assert_frame_equal(found.tenants, expected.tenants, check_exact=True)


def test_an_engine_puts_each_value_into_the_bucket_of_numpy():
    values = hostile_values()
    with duckdb_session() as backend, kept_apart():
        table = held(backend, "given", pd.DataFrame({"row": range(len(values)), "x": values}))
        placed = table.mutate(p=place(table["x"]))
        coded = placed.mutate(c=placed["p"].ceil())
        found = coded.select("row", b=bucket(coded["x"], coded["p"], coded["c"])).order_by("row").to_pyarrow()
    engine = found["b"].to_numpy().astype("int64")
    assert (np.where(engine < LOWEST_BUCKET, BUCKET_OF_ZERO, engine) == log_bucket(values)).all()


@pytest.mark.parametrize("power", [-400, -3, 0, 1, 461, 2_000])
def test_a_bucket_ends_at_one_double(power):
    edge = bound(power)
    assert log_bucket(np.array([edge, np.nextafter(edge, np.inf)])).tolist() == [power, power + 1]
    assert edge / GAMMA**power == pytest.approx(1 + 1e-11, abs=2e-12)


def test_counts_equal_those_of_plain_numpy(rows):
    found = in_duckdb(rows)
    served = rows[rows["status"] == "ok"]
    later = (served["output_tokens"] - 1).astype("float64")
    metrics = {name: served[name] for name in HISTOGRAMMED if name not in ("tpot_ms", "pair_tokens")}
    both = (served["input_tokens"] > 0) & (served["output_tokens"] > 0)
    product = served["input_tokens"].astype("float64") * served["output_tokens"].astype("float64")
    metrics["pair_tokens"] = np.sqrt(product.where(both))
    metrics["tpot_ms"] = (served["e2e_ms"] - served["ttft_ms"]) / later.where(later > 0)
    for name, values in metrics.items():
        known = values.notna()
        buckets = pd.Series(log_bucket(values[known].to_numpy(dtype=float)), index=values.index[known])
        keys = [served.loc[known, "timestamp_utc"].dt.strftime("%Y-%m-%d"), *(served.loc[known, key] for key in KEYS)]
        expected = buckets.groupby([*keys, buckets]).size()
        mine = found.histograms[found.histograms["metric"] == name].set_index(["day", *KEYS, "bucket"])["count"]
        assert mine.sort_index().to_dict() == expected.sort_index().to_dict()
    minute = rows.groupby([rows["timestamp_utc"].dt.floor("min"), *(rows[key] for key in KEYS)])
    expected = minute.agg(requests=("status", "size"), tokens=("input_tokens", "sum"), retries=("is_retry", "sum"))
    mine = found.windows.set_index(["window_start_utc", *KEYS])
    assert mine["requests"].to_dict() == expected["requests"].to_dict()
    assert mine["input_tokens"].to_dict() == expected["tokens"].to_dict()
    assert mine["retries"].fillna(0).to_dict() == expected["retries"].to_dict()
    assert mine["errors"].sum() == (rows["status"] != "ok").sum()
    since = (rows["timestamp_utc"] - pd.Timestamp("1970-01-01", tz="UTC")) // pd.Timedelta(seconds=1)
    probed = minute["status"].agg(lambda part: (since[part.index] % 60 == probed_second(since[part.index] // 60)).sum())
    assert mine["probed_requests"].to_dict() == probed.to_dict()
    assert probed.sum() > 0


def test_use_by_tenant_equals_that_of_pandas(rows):
    found = in_duckdb(rows).tenants
    expected = aggregate_tenants(rows)
    assert set(found["tenant"]) == {"a", "(none)"}
    key = ["month", *KEYS, "tenant"]
    added = found.drop(columns="day").groupby(key, as_index=False).sum()
    pd.testing.assert_frame_equal(conform(added, "tenant_usage"), expected, rtol=1e-6)  # units count in millionths
    for name in ("requests", "errors", "input_tokens", "output_tokens"):
        assert added[name].tolist() == expected[name].tolist()


def test_units_add_up_without_rounding_of_floats():
    rows = pd.DataFrame({"timestamp_utc": pd.Timestamp("2026-10-01", tz="UTC"), "use_case_id": "chat", "region": "us",
                         "status": "ok", "service_units": [0.1] * 10, "request_id": "x"})  # fmt: skip
    assert aggregate_requests(conform(rows, "requests"))[0]["service_units"].tolist() == [1.0]


@pytest.mark.parametrize(("threads", "pieces"), [(2, 1), (1, 3), (2, 4)])
def test_threads_and_parts_change_no_digit(rows, threads, pieces):
    same(in_duckdb(rows, threads=threads, pieces=pieces), in_duckdb(rows))


def test_spark_gives_the_same_digits(rows, tmp_path):
    pytest.importorskip("pyspark", reason="PySpark is not installed (extra [cluster])")
    if not shutil.which("java"):
        pytest.skip("Java is not installed; PySpark needs it")
    import ibis
    from pyspark.sql import SparkSession

    from aifactory.inputs.aggregate.engine import Source

    rows.astype({"use_case_id": "object"}).to_parquet(tmp_path / "log.parquet", coerce_timestamps="us")
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    try:
        backend = ibis.pyspark.connect(spark)
        table = backend.read_parquet(str(tmp_path / "log.parquet"))
        numbered = rows[KEYS].drop_duplicates().sort_values(KEYS, ignore_index=True)
        numbered = numbered.assign(workload=range(len(numbered)))
        source = Source("log", backend, table, (table,))
        found = aggregate(source.parts, source.known("workloads", numbered), numbered, stage)
    finally:
        spark.stop()
    same(found, in_duckdb(rows))
