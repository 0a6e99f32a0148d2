"""Names that a typed document knows at a place, for errors that say the nearest one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel


def names_at(document: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Names that a document knows where the last part of a place stands.

    >>> from aifactory.inputs.plan import Plan
    >>> names_at(Plan, ("launches", 0, "factor")), names_at(Plan, ("budget", "capex"))[:1]
    (['use_case_id', 'month', 'demand_multiplier', 'milestone', 'may_slip'], ['capex_usd_per_year'])
    """
    for part in loc[:-1]:
        held = document.model_fields.get(str(part))  # none for a place in a list and the key of a mapping
        document = next(_models_in(held.annotation), document) if held else document
    return list(document.model_fields)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Models that an annotation such as `list[Launch]` or `Budget | None` holds."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
