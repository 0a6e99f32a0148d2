"""The compiled scan of Parquet files gives the digits of the portable path, or leaves the log to it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hostile import hostile_values
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from aifactory.inputs.aggregate import kernel, local
from aifactory.inputs.aggregate.buckets import BUCKET_OF_ZERO, LOWEST_BUCKET, log_bucket
from aifactory.inputs.aggregate.engine import duckdb_session, open_files, stage
from aifactory.inputs.aggregate.survey import MOST, Reading, survey
from aifactory.inputs.aggregate.tables import KEYS, aggregate

BETWEEN_US = (946_684_800_000_000, 1_795_478_400_000_000)
WORDS = {"ok": "ok", "200": "ok", "500": "error", "error": "error", "499": "cancelled", "cancelled": "cancelled"}
STARTS = ["2026-10-01T00:00:00Z", "2026-10-01T00:00:59.999999Z", "2026-10-03T23:59:59Z", "1970-01-01T00:00:00Z",
          "2026-11-24T00:00:00Z", "2039-01-01T00:00:00Z"]  # fmt: skip


def reading_of(frame, **how):
    return Reading({name: name for name in frame.columns}, **how)


def here(files, reading, *, threads=1, ids_compared=1_000_000):
    return local.count_files(
        tuple(files), reading, BETWEEN_US, WORDS.get, ids_compared=ids_compared, threads=threads
    )  # fmt: skip


def portable(files, reading):
    with duckdb_session(threads=1) as backend:
        source = open_files(backend, list(files))
        found = survey(source, reading, BETWEEN_US, WORDS.get)
        numbered = found.workloads[[*KEYS, "workload"]]
        parts = (found.reading.rows(part) for part in source.parts)
        return found, aggregate(parts, source.known("workloads", numbered), numbered, stage)


def same(mine, theirs):
    found, aggregates = theirs
    pd.testing.assert_frame_equal(mine.aggregates.windows, aggregates.windows, check_exact=True)
    pd.testing.assert_frame_equal(mine.aggregates.histograms, aggregates.histograms, check_exact=True)
    pd.testing.assert_frame_equal(mine.aggregates.tenants, aggregates.tenants, check_exact=True)
    pd.testing.assert_frame_equal(mine.survey.workloads, found.workloads, check_dtype=False)
    for name in ("rows", "known", "late", "early", "contradicting", "over_cached", "naive", "span_us"):
        assert getattr(mine.survey, name) == getattr(found, name), name
    assert replace(mine.survey.reading, statuses=None) == replace(found.reading, statuses=None)


def some_rows(count=5_000, seed=3):
    """Rows in no order, of several days, with unknown cells, contradictions and values at the bounds of buckets."""
    random = np.random.default_rng(seed)
    values = hostile_values()
    values = values[values <= MOST["e2e_ms"]]
    maybe = lambda column: np.where(random.random(count) < 0.9, column, np.nan)  # noqa: E731
    return pd.DataFrame(
        {
            "request_id": [f"request-{n}" for n in range(count)],
            "timestamp_utc": pd.to_datetime(random.choice(STARTS, count), utc=True, format="ISO8601")
            + pd.to_timedelta(random.integers(0, 10**10, count), unit="us"),
            "use_case_id": random.choice(["chat", "code", "Größe"], count),
            "region": random.choice(["us", "eu"], count),
            "tenant": random.choice(["a", "b", "", None], count),
            "session_id": random.choice(["s", "", None], count),
            "status": random.choice(["ok", " 200", "500", "499", "", None], count),
            "is_retry": random.choice([True, False, None], count),
            "service_units": np.where(random.random(count) < 0.5, random.choice([0.1, 0.3, 1e-7, 2.0], count), np.nan),
            "input_tokens": random.integers(0, 10**9, count),
            "cached_input_tokens": maybe(random.integers(0, 10**9, count).astype(float)),
            "output_tokens": random.integers(0, 50, count),
            "ttft_ms": maybe(random.choice(values, count)),
            "e2e_ms": maybe(random.choice(values, count)),
            "queue_ms": maybe(random.choice(values, count)),
        }
    )


def written(frame, folder, *, files=1, group=1_000):
    """The rows spread over files in row groups of so many."""
    paths = [folder / f"part-{n}.parquet" for n in range(files)]
    for n, path in enumerate(paths):
        table = pa.Table.from_pandas(frame.iloc[n::files], preserve_index=False)
        parquet.write_table(table, path, row_group_size=group)
    return paths


def test_a_cell_of_the_table_holds_the_buckets_of_the_logarithm():
    random = np.random.default_rng(1)
    values = np.concatenate([hostile_values(), np.exp(random.uniform(np.log(1e-18), np.log(1e30), 200_000))])
    integers = np.zeros((len(kernel.INTEGERS), 1), "int64")
    integers[kernel.LINE] = 1
    index, pages, used = (
        np.zeros((2, kernel.COLUMNS), "int32"),
        np.zeros((1_000, kernel.PAGE), "int64"),
        np.zeros(kernel.USED, "int64"),
    )
    each = np.repeat(integers, len(values), axis=1)
    assert kernel.count_values(values, 0, len(values), each, 0, kernel.LOWER, kernel.UPPER, index, pages, used) == len(
        values
    )
    place = np.concatenate(
        [pages[page] if page else np.zeros(kernel.PAGE, "int64") for page in index[1, : kernel.BUCKET_PAGES]]
    )
    buckets, counts = np.unique(log_bucket(values), return_counts=True)
    found = np.flatnonzero(place)
    assert np.where(found == 0, BUCKET_OF_ZERO, found + LOWEST_BUCKET - 1).tolist() == buckets.tolist()
    assert place[found].tolist() == counts.tolist()


@pytest.mark.parametrize(("threads", "files", "group"), [(1, 1, 10_000), (2, 3, 700), (64, 2, 64)])
def test_the_scan_gives_the_digits_of_the_portable_path(tmp_path, threads, files, group):
    frame = some_rows()
    paths = written(frame, tmp_path, files=files, group=group)
    same(here(paths, reading_of(frame), threads=threads), portable(paths, reading_of(frame)))


_CELLS = st.fixed_dictionaries(
    {
        "timestamp_utc": st.sampled_from(STARTS),
        "use_case_id": st.sampled_from(["chat", "code"]),
        "status": st.sampled_from(["ok", "500", None]),
        "is_retry": st.sampled_from([True, False, None]),
        "service_units": st.one_of(st.none(), st.floats(0, 1e6)),
        "input_tokens": st.integers(0, 10**9),
        "cached_input_tokens": st.one_of(st.none(), st.integers(0, 10**9)),
        "output_tokens": st.integers(0, 3),
        "ttft_ms": st.one_of(st.none(), st.floats(0, MOST["e2e_ms"])),
        "e2e_ms": st.one_of(st.none(), st.floats(0, MOST["e2e_ms"])),
    }
)


@settings(max_examples=6, phases=[Phase.generate])
@given(rows=st.lists(_CELLS, min_size=1, max_size=40))
def test_any_rows_count_the_same_on_both_paths(tmp_path_factory, rows):
    frame = pd.DataFrame(rows)
    frame["timestamp_utc"] = pd.to_datetime(frame["timestamp_utc"], utc=True, format="ISO8601")
    frame = frame.astype({"cached_input_tokens": "Int64", "is_retry": "boolean", "ttft_ms": "float64",
                          "e2e_ms": "float64", "service_units": "float64", "status": "str"})  # fmt: skip
    paths = written(frame, tmp_path_factory.mktemp("log"), group=5)
    reading = reading_of(frame, region="eu", use_cases={"code": "coding"})
    mine = here(paths, reading)
    if frame["timestamp_utc"].between("2000-01-01", "2026-11-23").any():
        same(mine, portable(paths, reading))
    else:
        assert mine is None  # nothing is left, which the portable path says


@pytest.mark.parametrize(
    "columns",
    [
        {"timestamp_utc": "datetime64[ns, UTC]"},
        {"timestamp_utc": "datetime64[s, UTC]"},
        {"timestamp_utc": "datetime64[us, Asia/Kolkata]"},
        {"status": "category", "use_case_id": "category"},
        {"input_tokens": "uint64", "output_tokens": "int8"},
        {"input_tokens": "float64"},
    ],
)
def test_columns_may_be_stored_in_other_types(tmp_path, columns):
    frame = some_rows(500)
    small = frame.assign(input_tokens=frame["output_tokens"] * 7, timestamp_utc=frame["timestamp_utc"].dt.floor("s"))
    plain, other = tmp_path / "plain", tmp_path / "other"
    plain.mkdir(), other.mkdir()
    expected = here(written(small, plain), reading_of(small))
    found = here(written(small.astype(columns), other), reading_of(small))
    pd.testing.assert_frame_equal(found.aggregates.windows, expected.aggregates.windows)
    pd.testing.assert_frame_equal(found.aggregates.histograms, expected.aggregates.histograms)


def test_many_workloads_days_and_teams_find_room(tmp_path):
    count = 30_000
    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "timestamp_utc": pd.to_datetime(np.datetime64("2026-01-01", "us") + random.integers(0, 300 * 86_400_000_000, count), utc=True),
            "use_case_id": [f"case-{n % 300}" for n in range(count)],
            "region": random.choice(["us", "eu", "ap"], count),
            "tenant": [f"team-{n % 5_000}" for n in range(count)],
            "input_tokens": random.integers(0, 100, count),
            "output_tokens": random.integers(0, 100, count),
        }
    )  # fmt: skip
    paths = written(frame, tmp_path, files=2, group=5_000)
    mine = here(paths, reading_of(frame), threads=2)
    same(mine, portable(paths, reading_of(frame)))
    teams = frame.groupby("tenant").agg(requests=("tenant", "size"), input_tokens=("input_tokens", "sum"))
    assert mine.teams[["requests", "input_tokens"]].astype("int64").to_dict() == teams.to_dict()
    assert mine.teams["cached_input_tokens"].isna().all()


@pytest.mark.parametrize(
    "change",
    [
        {"input_tokens": -1},
        {"input_tokens": 1.5},
        {"input_tokens": "many"},
        {"input_tokens": 10**9 + 1},
        {"input_tokens": 2**62},
        {"output_tokens": None},
        {"cached_input_tokens": -3.0},
        {"e2e_ms": -0.1},
        {"e2e_ms": np.inf},
        {"e2e_ms": 1e31},
        {"queue_ms": MOST["queue_ms"] * 1.01},
        {"queue_ms": "5,0"},
        {"service_units": 1e18},
        {"status": "maybe"},
        {"use_case_id": ""},
        {"region": None},
        {"region": "NULL"},
        {"request_id": "request-0"},
        {"request_id": ""},
        {"request_id": "null"},
        {"timestamp_utc": None},
        {"timestamp_utc": "2026-10-01T00:00:00Z"},
        {"is_retry": "yes"},
    ],
    ids=str,
)
def test_what_is_not_plain_is_left_to_the_portable_path(tmp_path, change):
    frame = some_rows(50)
    assert here(written(frame, tmp_path), reading_of(frame)) is not None
    ((name, value),) = change.items()
    cells = [*frame[name][:-1], value]
    mixed = any(isinstance(cell, str) for cell in cells) and name != "request_id"
    odd = frame.assign(**{name: pd.Series([str(cell) for cell in cells] if mixed and value is not None else cells)})
    assert here(written(odd, tmp_path), reading_of(odd)) is None


def test_one_in_several_ids_is_compared(tmp_path):
    frame = some_rows(1_000)
    twice = pd.concat([frame, frame])
    assert here(written(frame, tmp_path), reading_of(frame), ids_compared=300).share == 4
    assert here(written(twice, tmp_path), reading_of(frame), ids_compared=300) is None


def test_ids_of_any_length_have_hashes_of_their_own():
    texts = pa.array(["", "a", "b", "12345678", "123456789", "12345678\0", "abcdefgh12345678", "abcdefgh12345679"] * 2)
    _, offsets, data = texts.buffers()
    hashes = np.empty(len(texts), "uint64")
    texts_read = np.frombuffer(offsets, "int32"), np.frombuffer(data, "uint8")
    assert kernel.hash_texts(*texts_read, np.uint64(1), hashes) == (16, 0)
    assert len(set(hashes[:8])) == 8
    assert (hashes[:8] == hashes[8:]).all()
    thirds = np.empty(len(texts), "uint64")
    kept, _ = kernel.hash_texts(*texts_read, np.uint64(3), thirds)
    assert thirds[:kept].tolist() == hashes[hashes % 3 == 0].tolist()


def test_what_needs_too_much_room_is_left_to_the_portable_path(tmp_path, monkeypatch):
    frame = some_rows(2_000)
    paths = written(frame, tmp_path)
    monkeypatch.setattr(local, "MOST_PAGES", 1_000)
    assert here(paths, reading_of(frame)) is None


def test_what_has_too_many_tenants_is_left_to_the_portable_path(tmp_path, monkeypatch):
    frame = some_rows(2_000).assign(tenant=[f"key-{n}" for n in range(2_000)])
    paths = written(frame, tmp_path)
    monkeypatch.setattr(local, "MOST_TENANTS", 500)
    assert here(paths, reading_of(frame)) is None
