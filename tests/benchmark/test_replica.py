"""How many accelerators one copy of a model takes: memory, what was tested, and the pools of production."""

import numpy as np
import pandas as pd
import pytest

from aifactory.benchmark.replica import with_replicas
from aifactory.benchmark.telemetry import POOL, shown_capacities

L40S, H100 = "nvidia-l40s", "nvidia-h100-sxm"
LLAMA = "Llama-3.1-70B / 3.3-70B"  # 141 GB in bf16: by memory 8 L40S with room for the cache, 4 H100


@pytest.fixture
def llama_ws(with_tables, mini_ws):
    cases = mini_ws.table("use_cases")
    return with_tables(use_cases=cases.assign(model=cases["model"].where(cases["use_case_id"] != "chat", LLAMA)))


def cells(**changed):
    row = {"use_case_id": "chat", "tier": "step model", "precision": None, "evidence": "step model"}
    return pd.DataFrame([row | {"accelerator_id": chip} | changed for chip in (L40S, H100)])


def shown(pool):
    return pd.DataFrame({"use_case_id": ["chat"], "accelerator_id": [L40S], POOL: [pool]})


@pytest.mark.parametrize(("pool", "size"), [(4.0, 4.0), (6.0, 4.0), (8.0, 8.0), (24.0, 8.0), (np.nan, 8.0)])
def test_a_pool_of_production_that_is_smaller_than_the_memory_asks_for_holds_a_copy(llama_ws, pool, size):
    found = with_replicas(llama_ws, cells(), shown(pool))
    assert found["replica_accelerators"].tolist() == [size, 4.0]
    assert found["evidence"].str.contains("one copy takes 4 accelerators or fewer").tolist() == [size == 4.0, False]


def test_a_tested_system_speaks_before_the_pool(llama_ws):
    run = cells(tier="measured", tested_accelerators=8.0, stated_replica=np.nan)
    found = with_replicas(llama_ws, run, shown(4.0))
    assert found["replica_accelerators"].tolist() == [8.0, 8.0]
    assert found["evidence"].tolist() == ["step model", "step model"]


@pytest.mark.parametrize(("widths", "size"), [([2, 4], 4.0), ([1], 1.0), ([8, 32], 8.0), ([], 8.0)])
def test_the_widest_job_that_ran_says_what_a_node_must_hold(with_tables, llama_ws, widths, size):
    """Of jobs wider than a node whole nodes are joined; jobs of later months say nothing yet."""
    rows = [(width, "2026-10-05T08:00Z") for width in widths] + [(4 if size == 8 else 8, "2026-11-02T08:00Z")]
    jobs = llama_ws.table("jobs").iloc[:0].reindex(range(len(rows)))
    jobs = jobs.assign(
        use_case_id="chat", accelerator_id=H100, accelerators=[row[0] for row in rows],
        started_utc=pd.to_datetime([row[1] for row in rows], utc=True),
    )  # fmt: skip
    ws = with_tables(jobs=jobs, use_cases=llama_ws.table("use_cases"))
    own = cells(tier="measured", tested_accelerators=np.nan, stated_replica=np.nan)
    assert with_replicas(ws, own, shown(4.0))["replica_accelerators"].tolist() == [8.0, size]
    small = cells(
        tier="measured", tested_accelerators=1.0, stated_replica=np.nan
    )  # jobs stay as wide where one was tested
    assert (
        with_replicas(ws, small, shown(4.0))["replica_accelerators"].tolist()
        == [min(max(widths, default=1.0), 8.0)] * 2
    )
    stated = cells(tier="measured", tested_accelerators=1.0, stated_replica=2.0)
    assert with_replicas(ws, stated, shown(4.0))["replica_accelerators"].tolist() == [2.0, 2.0]


def test_the_pool_is_the_most_that_the_smallest_region_held(with_tables, mini_ws):
    pools = mini_ws.table("pools")
    assert shown_capacities(mini_ws)[POOL].tolist() == [8.0]
    first = pools["window_start_utc"] < pd.Timestamp("2026-10-15", tz="UTC")
    fewer = pools.assign(installed=pools["installed"].where(first, pools["installed"] / 2))
    assert shown_capacities(with_tables(pools=fewer))[POOL].tolist() == [8.0]
    half = pools.assign(installed=pools["installed"] / 2)
    assert shown_capacities(with_tables(pools=half))[POOL].tolist() == [4.0]
