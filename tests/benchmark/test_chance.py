"""Requests in progress at capacity, own and moved, and the constant of the latency that binds."""

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark import chance
from aifactory.serving.staffing import spread_constant


def curve(**changes):
    columns = {
        "units_per_s": [4.0, 2.0], "concurrency": [40.0, 10.0], "requests": [400.0, 200.0], "errors": [0.0, 0.0],
        "duration_s": [100.0, 100.0], "p50_e2e_ms": [6000.0, 3000.0],
    }  # fmt: skip
    return pd.DataFrame(columns | changes)


def test_in_progress_is_read_off_the_curve():
    assert chance.in_progress_at(curve(), 3.0) == 25.0
    assert chance.in_progress_at(curve(), 1.0) == 5.0


def test_without_concurrency_it_follows_from_rate_and_time():
    # 4 requests a second for 6 s, 2 a second for 3 s
    assert chance.in_progress_at(curve(concurrency=np.nan), 4.0) == 24.0
    assert chance.in_progress_at(curve(concurrency=np.nan), 3.0) == 15.0


def test_unknown_stays_unknown():
    assert np.isnan(chance.in_progress_at(curve(concurrency=np.nan, p50_e2e_ms=np.nan), 3.0))
    assert np.isnan(chance.in_progress_at(curve(), 0.0))


def test_every_pair_says_what_its_chance_rests_on(mini_benchmark):
    table = mini_benchmark.capacity
    own = table["tier"] == "measured"
    language = own & table["binding_slo"].eq("TTFT")
    assert language.any()
    assert (table.loc[language, "chance_basis"] == chance.MEASURED).all()
    assert (table.loc[language, "spread_constant"] == spread_constant("TTFT")).all()
    assert table.loc[table["chance_basis"].eq(chance.NOTHING), "in_progress_per_accelerator"].isna().all()


def test_other_platforms_keep_the_time_in_the_system(mini_benchmark):
    table = mini_benchmark.capacity
    moved = table[table["chance_basis"] == chance.MOVED]
    assert len(moved)
    for row in moved.itertuples():
        own = table[(table["use_case_id"] == row.use_case_id) & (table["chance_basis"] == chance.MEASURED)]
        stay_s = (own["in_progress_per_accelerator"] / own["units_per_s_per_accelerator"]).mean()
        assert row.in_progress_per_accelerator == pytest.approx(stay_s * row.units_per_s_per_accelerator)


def test_limits_stand_in_where_no_platform_was_measured(mini_ws, mini_benchmark):
    bare = mini_benchmark.capacity.drop(columns=["in_progress_per_accelerator", "binding_slo"])
    found = chance.with_chance(mini_ws, bare)
    cases = mini_ws.table("use_cases").set_index("use_case_id")
    limited = found["use_case_id"].map(cases["slo_p95_e2e_ms"]).notna() & found["units_per_s_per_accelerator"].gt(0)
    basis = set(found.loc[limited, "chance_basis"])
    assert basis <= {chance.LIMIT, chance.APART}
    assert set(found["chance_basis"]) <= {chance.LIMIT, chance.APART, chance.NOTHING}


def one_cell(mini_benchmark, **facts):
    """The cell of own runs with the first token as its limit, with other facts of its runs."""
    table = mini_benchmark.capacity
    cell = table[(table["tier"] == "measured") & table["binding_slo"].eq("TTFT")].iloc[[0]]
    return cell.assign(**facts)


def test_runs_of_a_trace_hold_chance_already(mini_ws, mini_benchmark):
    """Arrivals of the test came by chance: nothing is added for it, whatever was in progress."""
    trace, fixed = (
        chance.with_chance(mini_ws, one_cell(mini_benchmark, open_load=open_load)).iloc[0]
        for open_load in (True, False)
    )
    assert (trace["spread_constant"], trace["chance_basis"]) == (0.0, chance.OF_TRACE)
    assert fixed["spread_constant"] == spread_constant("TTFT") and fixed["chance_basis"] == chance.MEASURED
    assert trace["in_progress_per_accelerator"] == fixed["in_progress_per_accelerator"]


@pytest.mark.parametrize(
    ("stated", "tested", "least"), [(1.0, 4.0, 1.0), (8.0, 8.0, 1 / 8), (np.nan, 2.0, 0.5), (np.nan, np.nan, 0.1)]
)
def test_every_replica_has_a_request_in_progress_at_its_capacity(mini_ws, mini_benchmark, stated, tested, least):
    """A curve that is read below its first point says 0.1; of a replica that nobody knows it may be true."""
    cell = one_cell(mini_benchmark, in_progress_per_accelerator=0.1, stated_replica=stated, tested_accelerators=tested)
    assert chance.with_chance(mini_ws, cell)["in_progress_per_accelerator"].iloc[0] == pytest.approx(least)
