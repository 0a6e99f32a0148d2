"""Use by tenant: counted once, additive, unknown tokens stay unknown."""

import dataclasses

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aifactory.errors import InputError
from aifactory.inputs.telemetry import conform
from aifactory.inputs.tenants import COUNTS, KEYS, add_tenant_usage, aggregate_tenants
from aifactory.inputs.workspace import load_workspace
from aifactory.inputs.write import write_table

ROW = st.fixed_dictionaries(
    {
        "timestamp_utc": st.sampled_from(["2026-10-05T09:00:00Z", "2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z"]),
        "use_case_id": st.sampled_from(["chat", "code"]),
        "region": st.sampled_from(["us", "eu"]),
        "tenant": st.sampled_from(["a", "b", None]),
        "status": st.sampled_from(["ok", "error", "cancelled"]),
        "input_tokens": st.one_of(st.none(), st.integers(0, 10_000)),
        "output_tokens": st.integers(0, 1000),
    }
)


def requests(rows):
    frame = pd.DataFrame(rows).assign(request_id=[f"r{number}" for number in range(len(rows))])
    frame["timestamp_utc"] = pd.to_datetime(frame["timestamp_utc"], utc=True)
    return conform(frame, "requests")


@settings(max_examples=30)
@given(st.lists(ROW, min_size=2, max_size=30), st.data())
def test_every_request_of_a_tenant_is_counted_once_and_halves_add_up(rows, data):
    cut = data.draw(st.integers(1, len(rows) - 1))
    whole, first, second = (aggregate_tenants(requests(part)) for part in (rows, rows[:cut], rows[cut:]))
    named = [row for row in rows if row["tenant"]]
    assert whole["requests"].sum() == len(named)
    assert whole["errors"].sum() == sum(row["status"] != "ok" for row in named)
    assert whole["service_units"].sum() == sum(row["status"] == "ok" for row in named)
    assert whole["input_tokens"].sum() == sum(row["input_tokens"] or 0 for row in named)
    assert not whole.duplicated(KEYS).any()
    pd.testing.assert_frame_equal(add_tenant_usage(first, second), whole)


def test_months_are_split_in_utc_and_unknown_tokens_stay_unknown():
    rows = [
        {"timestamp_utc": "2026-11-01T01:30:00+02:00", "tenant": "a"},
        {"timestamp_utc": "2026-11-01T00:00:00Z", "tenant": "a"},
    ]
    table = aggregate_tenants(requests([row | {"use_case_id": "c", "region": "us", "status": "ok"} for row in rows]))
    assert table["month"].tolist() == ["2026-10", "2026-11"]
    assert table["input_tokens"].isna().all()
    assert list(table.columns) == [*KEYS, *COUNTS]


@pytest.fixture
def rows():
    base = {
        "timestamp_utc": "2026-10-05T09:00:00Z",
        "region": "us",
        "status": "ok",
        "input_tokens": 5,
        "output_tokens": 2,
    }
    return requests([base | {"use_case_id": "code", "tenant": name} for name in ("a", "a", "b", None)])


def with_code(mini, rows):
    path = mini / "use_cases.csv"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + text.splitlines()[1].replace("chat,Chat", "code,Code") + "\n", encoding="utf-8")
    write_table(rows, "requests", mini, suffix=".csv")
    return mini


def test_a_workspace_makes_it_of_its_requests(mini, rows):
    table = load_workspace(with_code(mini, rows)).table("tenant_usage")
    assert table[["tenant", "requests", "input_tokens"]].to_numpy().tolist() == [["a", 2, 10], ["b", 1, 5]]


def test_a_use_case_has_one_source_of_tenants(mini, rows):
    with_code(mini, rows)
    write_table(aggregate_tenants(rows), "tenant_usage", mini, suffix=".csv")
    with pytest.raises(InputError, match="is counted in requests and in tenant_usage"):
        load_workspace(mini)


def test_tenants_of_the_sample_add_up_to_its_windows(sample_ws):
    tenants, windows = sample_ws.table("tenant_usage"), sample_ws.table("demand_windows")
    keys = ["month", "use_case_id", "region"]
    months = windows.assign(month=windows["window_start_utc"].dt.strftime("%Y-%m"))
    counts = ["requests", "errors", "input_tokens", "output_tokens"]
    sums = tenants.groupby(keys)[counts].sum(min_count=1)
    whole = months.groupby(keys)[counts].sum(min_count=1).reindex(sums.index)
    pd.testing.assert_frame_equal(sums.astype("Float64"), whole.astype("Float64"))
    assert set(tenants["month"]) == {"2026-08", "2026-09", "2026-10"}
    assert (tenants["errors"] <= tenants["requests"]).all()


def test_the_month_of_a_workspace_holds_its_own_tenants(sample_ws):
    earlier = dataclasses.replace(sample_ws, period="2026-09")
    assert set(earlier.month("tenant_usage")["month"]) == {"2026-09"}
