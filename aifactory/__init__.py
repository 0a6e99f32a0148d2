"""aifactory: from an organisation's AI demand to a defensible accelerator buy plan.

The names below are the public face that the notebooks use; each is loaded on first use, so that
`import aifactory` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "aifactory.inputs.workspace": ("Workspace", "load_workspace"),
    "aifactory.inputs.check": ("check_workspace",),
    "aifactory.inputs.new": ("new_workspace",),
    "aifactory.inventory": ("Inventory", "build_inventory"),
    "aifactory.inventory.forecast_scores": ("score_forecasts",),
    "aifactory.benchmark": ("Benchmark", "build_benchmark"),
    "aifactory.shortlist": ("Shortlist", "build_shortlist"),
    "aifactory.shortlist.examples": ("work_examples",),
    "aifactory.shortlist.judgements": ("judged_values",),
    "aifactory.buyplan": ("BuyPlan", "build_buy_plan"),
    "aifactory.buyplan.backtest_history": ("backtest_history",),
    "aifactory.buyplan.examine": ("examine_plan",),
    "aifactory.buyplan.futures": ("compare_futures",),
    "aifactory.buyplan.returns": ("draw_returns",),
    "aifactory.buyplan.stress.run": ("run_stresses",),
    "aifactory.buyplan.stress.flexibility": ("value_flexibility",),
    "aifactory.review": ("Review", "build_review", "approve_plan"),
    "aifactory.serving.event_simulator": ("simulate_fleet",),
    "aifactory.serving.slo_sizing": ("size_fleet",),
    "aifactory.serving.step_time_estimate": ("estimate_step_time",),
    "aifactory.serving.jobs": ("simulate_jobs", "size_job_pool"),
    "aifactory.report.results": ("recall", "record"),
    "aifactory.run.road": ("Road",),
    "aifactory.run.runner": ("run_road",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        from aifactory.errors import nearest

        msg = f"module 'aifactory' has no attribute {name!r}.{nearest(name, _HOME_OF)}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOME_OF]
