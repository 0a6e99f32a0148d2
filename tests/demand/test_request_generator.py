"""Generated requests: counts that add up, events, order, equal bytes, and the shape of arrivals and sessions."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.demand import request_draw
from aifactory.demand.generator_company import USE_CASES
from aifactory.demand.request_classes import CLASSES, LEVELS, TABLE_SIZE, size_table, zipf_shares
from aifactory.demand.request_draw import draw_hours
from aifactory.demand.request_file import generate_file, request_tables
from aifactory.demand.request_plan import company_streams, plan_requests
from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract


@pytest.fixture(scope="module")
def company():
    return pa.concat_tables(request_tables(plan_requests(40_000, 3, 3))).to_pandas()


def test_rows_are_as_many_as_asked_for_and_sums_add_up(company):
    assert len(company) == 40_000
    assert company["request_id"].is_unique
    assert set(company["workload_class"].astype("str")) == set(CLASSES)
    assert set(company["region"].astype("str")) == {"us-east", "eu-west", "ap-southeast"}
    teams = company["use_case_id"].astype("str").map(lambda name: USE_CASES[name].team)
    assert (teams == company["team"].astype("str")).all()


def test_time_goes_forward_within_the_period(company):
    times = company["timestamp_utc"]
    assert times.is_monotonic_increasing
    assert str(times.iloc[0].date()) == "2026-10-05"
    assert str(times.iloc[-1].date()) == "2026-10-07"


def test_the_columns_are_those_of_the_contract(company):
    fields = {field.name for field in load_contract("requests").fields}
    assert set(company.columns) - {"workload_class", "team"} <= fields
    assert set(company["status"].astype("str")) == {"ok", "error"}
    assert (company["cached_input_tokens"] <= company["input_tokens"]).all()


@settings(max_examples=12)
@given(st.integers(1, 3000), st.integers(1, 3), st.integers(0, 10**6), st.sampled_from(["", *CLASSES]))
def test_any_number_of_requests_comes_out_in_order(requests, days, seed, only):
    rows = list(draw_hours(plan_requests(requests, days, seed, only)))
    times = np.concatenate([part.time_us for part in rows])
    assert len(times) == requests
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] < days * 86400 * 10**6


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(tmp_path):
    def digest(name, seed):
        generate_file(tmp_path / name, 20_000, seed, days=1)
        return hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()

    assert digest("a.parquet", 5) == digest("b.parquet", 5) != digest("c.parquet", 6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet", "c.parquet"]


def test_rows_do_not_depend_on_how_they_are_cut():
    plan = plan_requests(9_000, 2, 8)
    whole = pa.concat_tables(request_tables(plan)).combine_chunks()
    cut = list(request_tables(plan, rows=1_000))
    assert [table.num_rows for table in cut] == [1_000] * 9
    assert pa.concat_tables(cut).combine_chunks().to_pylist() == whole.to_pylist()


def test_a_stream_alone_is_one_use_case_in_one_region():
    (stream,) = company_streams("support-chat/eu-west")
    assert (stream.use_case, stream.region, stream.share) == ("support-chat", "eu-west", 1.0)
    assert {stream.workload_class for stream in company_streams("edge_on_device")} == {"edge_on_device"}


def test_the_period_holds_a_launch_an_outage_a_decay_and_a_spike():
    plan = plan_requests(1_000_000, 28, 1)
    load = {(s.use_case, s.region): plan.count[place] for place, s in enumerate(plan.streams)}
    hours = 28 * 24
    launch = load["procurement-agent", "us-east"]
    assert launch[: int(0.4 * hours)].sum() == 0 < launch[int(0.4 * hours) :].sum()
    outage = load["support-chat", "eu-west"][int(0.65 * hours) :]
    assert outage[:6].sum() == 0
    assert (outage[6:12] > 0).all()
    decay = load["faq-bot", "us-east"]
    assert decay[-7 * 24 :].sum() < 0.4 * decay[: 5 * 24].sum() * 7 / 5
    spike = load["product-images", "eu-west"] + load["product-images", "us-east"]
    begins = int(0.3 * hours)
    assert spike[begins : begins + 48].mean() > 1.3 * spike[:begins].mean()


# the parts


def test_sizes_have_the_quantiles_they_are_made_from():
    for shape in CLASSES.values():
        for quantiles in (shape.input_tokens, shape.output_tokens, shape.session_requests):
            if quantiles:
                table = size_table(quantiles)
                np.testing.assert_allclose(np.quantile(table, LEVELS[1:-1]), quantiles[1:-1], rtol=0.02, atol=1)
                assert len(table) == TABLE_SIZE


def test_clients_hold_the_share_asked_for():
    for clients, share in ((400, 0.695), (2657, 0.552), (13, 0.498), (50, 0.2)):
        found = zipf_shares(clients, share)
        assert found.sum() == pytest.approx(1)
        assert found[: clients // 10].sum() == pytest.approx(share, abs=1e-6)


def one_client(family, cv, count=200_000):
    form = cv**-2.0 if family else float(request_draw.weibull_shape(cv))
    gaps = request_draw._gaps(
        np.random.default_rng(1), np.zeros(count, dtype=int), np.array([family]), np.array([form])
    )
    return gaps / gaps.mean()


@pytest.mark.parametrize(("family", "cv"), [(True, 0.7), (True, 2.5), (False, 0.7), (False, 1.0), (False, 2.0)])
def test_gaps_have_the_cv_asked_for(family, cv):
    assert one_client(family, cv).std() == pytest.approx(cv, rel=0.04)


def test_gaps_are_gamma_and_weibull():
    gamma = one_client(True, 1.5)
    assert stats.kstest(gamma, stats.gamma(1.5**-2, scale=1.5**2).cdf).statistic < 0.01
    form = float(request_draw.weibull_shape(1.5))
    weibull = one_client(False, 1.5)
    assert stats.kstest(weibull * stats.weibull_min(form).mean(), stats.weibull_min(form).cdf).statistic < 0.01


def test_exponential_gaps_follow_the_minutes_of_the_rate():
    minutes = np.linspace(0.2, 2.0, 60)
    clients = (np.full(50, 0.02), np.ones(50, dtype=bool), np.ones(50))
    second, client, _ = request_draw._arrivals(np.random.default_rng(2), 60_000, minutes, clients)
    found = np.bincount((second // 60).astype(int), minlength=60)
    expected = 60_000 * minutes / minutes.sum()
    assert stats.chisquare(found, expected).pvalue > 0.001
    assert stats.chisquare(np.bincount(client, minlength=50)).pvalue > 0.001


@settings(max_examples=50)
@given(st.integers(1, 5000), st.floats(0.8, 3.0), st.integers(2, 500), st.integers(0, 99))
def test_submissions_add_up(count, tail, most, seed):
    sizes = request_draw._bursts(np.random.default_rng(seed), count, tail, most)
    assert sizes.sum() == count
    assert sizes.min() >= 1
    assert sizes.max() <= most


def test_sessions_of_agents_grow_and_reuse_their_prefix():
    rows = pa.concat_tables(request_tables(plan_requests(30_000, 3, 4, "dev-copilot/us-east"))).to_pandas()
    rows = rows.sort_values(["session_id", "timestamp_utc"], kind="stable")
    assert rows["service_units"].sum() == rows["session_id"].nunique()  # one unit a session
    assert (rows.groupby("session_id")["tenant"].nunique() == 1).all()
    first = rows["service_units"] == 1
    assert (rows.loc[first, "cached_input_tokens"] == 0).all()
    later = rows[~first]
    assert later["cached_input_tokens"].sum() / later["input_tokens"].sum() > 0.9


# the command


def test_the_command_writes_the_file_and_says_what_is_in_it(tmp_path):
    path = tmp_path / "requests.parquet"
    done = CliRunner().invoke(
        app, ["generate", "--requests", "5000", "--out", str(path), "--seed", "7", "--days", "2", "--json"]
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["rows"] == pq.read_metadata(path).num_rows == 5000
    for name in ("workload_class", "region", "team"):
        assert sum(found[f"by_{name}"].values()) == 5000
    text = CliRunner().invoke(app, ["generate", "--requests", "50", "--out", str(path), "--days", "1"]).stdout
    assert "50 requests over 1 day in requests.parquet, seed 0." in text


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"requests": 0}, "--requests"),
        ({"days": 0}, "--days"),
        ({"seed": -1}, "--seed"),
        ({"only": "chat"}, "--only.*support-chat"),
        ({"first_day": "soon"}, "--first-day"),
        ({"first_day": "9999-12-31"}, "--first-day.*1970 to 2200"),
        ({"first_day": "0001-01-01"}, "--first-day"),
    ],
)
def test_what_cannot_be_generated_is_refused(tmp_path, settings, told):
    with pytest.raises(InputError, match=told):
        generate_file(tmp_path / "x.parquet", **{"requests": 10, "seed": 1, "days": 1} | settings)
    assert not list(tmp_path.iterdir())


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"\.parquet"):
        generate_file(tmp_path / "x.csv", 10, 1)
    with pytest.raises(InputError, match="folder that does not exist"):
        generate_file(tmp_path / "none" / "x.parquet", 10, 1)
