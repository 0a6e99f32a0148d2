"""Parts of the buy plan page that need a plan stand aside where no demand can be sized."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from aifactory.buyplan import BuyPlan
from aifactory.report.blocks import group, section

NOTHING = "This could not be computed: no demand of the month can be sized."
ALL_HOSTED = (
    "Nothing on accelerators: every use case that could be sized stays on the hosted model that it runs on today."
)


def nothing_planned(plan: BuyPlan) -> str:
    """Why there is no plan."""
    return ALL_HOSTED if len(plan.hosted_today) and plan.hosted_today["stays"].any() else NOTHING


def of_a_plan(question: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Show the question with why there is no plan, or nothing at all without one, if the plan is empty."""

    def wrap(build: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(build)
        def guarded(*arguments: Any) -> Any:
            plan: BuyPlan = arguments[-1]
            if len(plan.need):
                return build(*arguments)
            return group(section(question, nothing_planned(plan))) if question else group()

        return guarded

    return wrap
