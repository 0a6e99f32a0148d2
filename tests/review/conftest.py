"""Fixtures of the review tests: the tiny workspace reviewed, and a plan approved a month before."""

import dataclasses
import shutil
from types import SimpleNamespace

import pytest

from aifactory.benchmark import build_benchmark
from aifactory.buyplan import build_buy_plan
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.review import approve_plan, build_review
from aifactory.shortlist import build_shortlist


def stages_of(ws):
    inventory, benchmark = build_inventory(ws), build_benchmark(ws)
    return inventory, benchmark, build_shortlist(ws, inventory, benchmark)


def bought_plan(ws, stages=None):
    """The plan with chat on the platform that is cheapest alone, which it buys: nodes shared with images would be rented."""
    inventory, benchmark, short = stages or stages_of(ws)
    chat = short.choice["use_case_id"] == "chat"
    choice = short.choice.assign(accelerator_id=short.choice["accelerator_id"].mask(chat, "nvidia-a100-80-sxm"))
    return build_buy_plan(ws, inventory, benchmark, dataclasses.replace(short, choice=choice))


@pytest.fixture(scope="session")
def road(mini_ws, mini_stages):
    """The tiny workspace with its inventory and review; no plan was approved."""
    inventory = mini_stages.inventory
    return SimpleNamespace(ws=mini_ws, inventory=inventory, review=build_review(mini_ws, inventory))


@pytest.fixture(scope="session")
def september_plan(mini_ws):
    """The plan made from the data of the month before."""
    return bought_plan(load_workspace(mini_ws.path, period="2026-09"))


@pytest.fixture(scope="session")
def october_plan(mini_ws, mini_stages):
    return bought_plan(mini_ws, (mini_stages.inventory, mini_stages.benchmark, mini_stages.shortlist))


@pytest.fixture(scope="session")
def approved(mini_ws, september_plan, tmp_path_factory):
    """A copy of the tiny workspace where September's plan was approved, reviewed for October."""
    folder = shutil.copytree(mini_ws.path, tmp_path_factory.mktemp("approved") / "mini-company")
    approve_plan(september_plan, folder)
    ws = load_workspace(folder)
    inventory = build_inventory(ws)
    return SimpleNamespace(ws=ws, inventory=inventory, review=build_review(ws, inventory, september_plan))


@pytest.fixture(scope="session")
def changed(mini_ws):
    """The tiny workspace with fields of the plan or whole tables replaced."""

    def change(plan=None, **tables):
        return dataclasses.replace(
            mini_ws, plan=mini_ws.plan.model_copy(update=plan or {}), tables={**mini_ws.tables, **tables}
        )

    return change
