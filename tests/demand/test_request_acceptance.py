"""Statistics by hand, and the generator against the public traces: every row of the acceptance table."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aifactory.demand.generator_company import REGIONS
from aifactory.demand.request_acceptance import (
    accept,
    arrival_statistics,
    client_share,
    hour_profile,
    size_statistics,
    table_statistics,
)
from aifactory.demand.request_file import request_tables
from aifactory.demand.request_plan import plan_requests
from tests.demand.trace_statistics import SCALE, TRACES, typical_hour


def test_sizes_by_hand():
    found = size_statistics("input_tokens", [1] * 99 + [101])
    assert found["input_tokens_p50"] == 1
    assert found["input_tokens_top_1pct"] == 101 / 200
    assert found["input_tokens_top_10pct"] == 110 / 200


def test_poisson_arrivals_have_cv_and_dispersion_one():
    moments = np.cumsum(np.random.default_rng(1).exponential(0.25, 400_000))
    found = arrival_statistics(moments)
    assert found["interarrival_cv"] == pytest.approx(1, rel=0.02)
    assert found["dispersion_1s"] == pytest.approx(1, rel=0.02)
    assert found["dispersion_60s"] == pytest.approx(1, rel=0.15)


def test_batches_are_dispersed_by_their_size():
    moments = np.repeat(np.cumsum(np.random.default_rng(2).exponential(10, 50_000)), 5)
    assert arrival_statistics(moments)["dispersion_60s"] == pytest.approx(5, rel=0.1)


def test_clients_and_hours_by_hand():
    assert client_share(["a"] * 4 + ["b"]) == 0.8
    profile = hour_profile([0] * 3 + [12], None)
    assert (profile[0], profile[12], profile.mean()) == (18, 6, 1)


def test_each_sense_of_a_limit():
    trace = {
        "input_tokens_p50": 100.0,
        "cached_share": 0.5,
        "dispersion_1s": 4.0,
        "input_output_rho": 0.0,
        "hour_profile": np.ones(24),
    }
    good = {
        "input_tokens_p50": 114.0,
        "cached_share": 0.46,
        "dispersion_1s": 7.9,
        "input_output_rho": 0.14,
        "hour_profile": np.full(24, 1.09),
    }
    bad = {
        "input_tokens_p50": 84.0,
        "cached_share": 0.56,
        "dispersion_1s": 1.9,
        "input_output_rho": 0.16,
        "hour_profile": np.full(24, 0.89),
    }
    assert accept(trace, good)["passed"].all()
    assert not accept(trace, bad)["passed"].any()


def test_a_table_gives_its_statistics():
    rows = pd.DataFrame(
        {
            "timestamp_utc": pd.date_range("2026-10-05", periods=100, freq="min", tz="UTC"),
            "region": "us-east", "tenant": ["a"] * 50 + [f"t{n}" for n in range(50)], "status": ["ok"] * 98 + ["error"] * 2,
            "session_id": ["s"] * 60 + [None] * 40, "service_units": 1.0, "input_tokens": 100, "cached_input_tokens": 25, "output_tokens": 7,
        }
    )  # fmt: skip
    rows.loc[0, ["input_tokens", "output_tokens"]] = (101, 8)
    found = table_statistics(rows, REGIONS)
    assert found["cached_share"] == pytest.approx(2500 / 10001)
    assert found["failure_share"] == 0.02
    assert found["requests_per_session_p50"] == 60
    assert found["top_tenth_clients"] == 0.54
    assert found["hour_profile"][19] == pytest.approx(60 * 24 / 100)  # midnight UTC is 19 h in us-east
    assert "service_units_p50" not in found


def acceptance(folder, name, seed=1):
    only, days, per_day = SCALE[name]
    rows = pa.concat_tables(request_tables(plan_requests(days * per_day, days, seed, only))).to_pandas()
    found = table_statistics(rows, REGIONS)
    if name == "real_time_inference":
        found |= typical_hour(rows)
    return accept(TRACES[name](folder), found)


@pytest.mark.parametrize("name", TRACES)
def test_the_generator_is_like_the_trace_of_the_class(shared_dir, name):
    table = acceptance(shared_dir / "data" / "traces", name)
    assert table["passed"].all(), "\n" + table[~table["passed"]].to_string()
