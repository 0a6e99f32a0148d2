"""The five stages of the road, in order."""

from __future__ import annotations

from dataclasses import dataclass

from aifactory.errors import InputError


@dataclass(frozen=True)
class Stage:
    """One stage: its name on the command line and in paths, its notebook, its question."""

    name: str
    notebook: str
    title: str
    question: str


STAGES = (
    Stage("inventory", "01_inventory", "Inventory", "What do we run, for whom, how much of it, and what does it cost?"),
    Stage("benchmark", "02_benchmark", "Benchmark", "Which accelerators meet our SLO on our prompts, at what cost?"),
    Stage("shortlist", "03_shortlist", "Shortlist", "Which platform for which workload, and does that ranking hold?"),
    Stage("buy_plan", "04_buy_plan", "Buy plan", "How much do we buy, when, on which terms, and does it pay?"),
    Stage("refresh", "05_monthly_refresh", "Monthly refresh", "Are we on plan, and do we pull a trigger?"),
)
STAGE_BY_NAME = {stage.name: stage for stage in STAGES}


def select_stages(names: list[str]) -> list[Stage]:
    """Stages by name in the order of the road; none given means all; `buy-plan` is `buy_plan`.

    >>> [stage.name for stage in select_stages(["refresh", "buy-plan"])]
    ['buy_plan', 'refresh']
    """
    wanted = [name.replace("-", "_") for name in names] or list(STAGE_BY_NAME)
    for name in wanted:
        if name not in STAGE_BY_NAME:
            raise InputError.at("stage", "does not exist.", value=name, choices=STAGE_BY_NAME)
    return [stage for stage in STAGES if stage.name in wanted]
