"""Fixtures of the benchmark tests: runs of the tiny workspace that a test may change."""

import dataclasses

import pytest


@pytest.fixture(scope="session")
def mini_benchmark(mini_stages):
    return mini_stages.benchmark


@pytest.fixture
def runs(mini_ws):
    """A copy of the runs of the tiny workspace."""
    return mini_ws.table("benchmarks").copy()


@pytest.fixture(scope="session")
def with_tables(mini_ws):
    """The tiny workspace with some tables replaced."""

    def replace(**tables):
        return dataclasses.replace(mini_ws, tables={**mini_ws.tables, **tables})

    return replace
