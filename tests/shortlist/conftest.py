"""Fixtures of the shortlist tests: the stages of the tiny workspace, built once."""

import dataclasses
from types import SimpleNamespace

import pytest

from aifactory.benchmark import build_benchmark
from aifactory.inventory import build_inventory
from aifactory.shortlist import build_shortlist


@pytest.fixture(scope="session")
def road(mini_stages):
    """Inventory, benchmark and shortlist of the tiny workspace."""
    return mini_stages


@pytest.fixture(scope="session")
def estimated(mini_ws):
    """The same without the chat runs on the A100, whose hours cost a hundred times as much."""
    runs, prices = mini_ws.table("benchmarks"), mini_ws.table("prices").copy()
    prices.loc[prices["accelerator_id"] == "nvidia-a100-80-sxm", "usd_per_accelerator_hour"] *= 100
    tables = {"benchmarks": runs[runs["benchmark_id"] != "chat--nvidia-a100-80-sxm"], "prices": prices}
    ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, **tables})
    inventory, benchmark = build_inventory(ws), build_benchmark(ws)
    shortlist = build_shortlist(ws, inventory, benchmark)
    return SimpleNamespace(ws=ws, inventory=inventory, benchmark=benchmark, shortlist=shortlist)


@pytest.fixture(scope="session")
def sample_short(sample_ws, sample_stages):
    """Shortlist of the sample company, with what its migrations are compared with."""
    inventory, benchmark, shortlist = sample_stages.inventory, sample_stages.benchmark, sample_stages.shortlist
    stability = sample_ws.table("use_cases").set_index("use_case_id")["demand_stability"]
    changes = stability.map(sample_ws.plan.model_changes_per_year)
    return SimpleNamespace(
        ws=sample_ws, inventory=inventory, benchmark=benchmark, shortlist=shortlist, migrations=shortlist.migrations,
        changes=changes, horizon=sample_ws.plan.horizon_months,
    )  # fmt: skip
