"""Parameters of a run: typed and whitelisted before a kernel starts.

papermill writes parameter *names* into the notebook as code, and only warns about unknown ones.
The runner therefore passes four fixed names, and everything the analyst sets goes through the
models of `plan.yaml` first.
"""

from __future__ import annotations

import math
import re
from datetime import date, timedelta

from aifactory.errors import InputError
from aifactory.inputs.plan import REQUIRED_ASSUMPTIONS, Plan, default_assumptions, load_plan
from aifactory.inputs.workspace import Workspace

#: Fields of `plan.yaml` that a run may set, next to every assumption, stated or left to its default.
SETTABLE_FIELDS = (
    "horizon_months",
    "choose_at",
    "pilot_at",
    "deprecate_below_utilization",
    "trigger_utilization",
    "seed",
)
_PERIOD = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
MAX_VALUE_LENGTH = 100


PREVIOUS = "previous"


def check_period(period: str, today: date | None = None) -> str:
    """Return a period of the form YYYY-MM, or the empty string for the latest month.

    The word `previous` is the whole calendar month before `today`, UTC.

    >>> check_period("previous", date(2026, 3, 31)), check_period("previous", date(2026, 1, 1))
    ('2026-02', '2025-12')
    """
    if period == PREVIOUS and today is not None:
        return (today.replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    if period and not _PERIOD.fullmatch(period):
        raise InputError.at(
            "--period", "must have the form YYYY-MM, for example 2026-10, or be the word previous", value=period[:40]
        )
    return period


def parse_settings(settings: list[str]) -> dict[str, float | int]:
    """Parse `name=value` settings: known names, finite numbers, each name once.

    >>> parse_settings(["wacc=0.12", "horizon_months=24"])
    {'wacc': 0.12, 'horizon_months': 24}
    """
    known = [*SETTABLE_FIELDS, *REQUIRED_ASSUMPTIONS, *default_assumptions()]
    parsed: dict[str, float | int] = {}
    for setting in settings:
        name, separator, text = setting.partition("=")
        if not separator:
            raise InputError.at("--set", "must have the form name=value", value=setting[:MAX_VALUE_LENGTH])
        if name not in known:
            raise InputError.at("--set", "is not a parameter.", value=name[:MAX_VALUE_LENGTH], choices=known)
        if name in parsed:
            raise InputError.at("--set", "is given twice", value=name)
        parsed[name] = _number(name, text)
    return parsed


def _number(name: str, text: str) -> float | int:
    plain = text.strip()
    if len(text) > MAX_VALUE_LENGTH or not _NUMBER.fullmatch(plain) or not math.isfinite(float(plain)):
        raise InputError.at("--set", "must be a finite number", column=name, value=text[:MAX_VALUE_LENGTH])
    return int(plain) if _WHOLE.fullmatch(plain) else float(plain)


def check_settings(workspace: Workspace, settings: dict[str, float | int]) -> Plan:
    """Validate settings against the workspace's own `plan.yaml`; returns the resulting plan."""
    return load_plan(workspace.path / "plan.yaml", settings)
