"""How many places of a use case must each stand alone: column `sites` of table `use_cases`."""

from __future__ import annotations

import re


def sites_by_region(text: object) -> int | dict[str, int]:
    """What a cell says: one number for the only region, or a number by region; 1 where it says nothing.

    ValueError for other texts, and for a region that is named twice.

    >>> sites_by_region("40"), sites_by_region("eu-west=30; us-east=10"), sites_by_region(None)
    (40, {'eu-west': 30, 'us-east': 10}, 1)
    """
    if not isinstance(text, str) or not text.strip():
        return 1
    if text.strip().isdigit():
        return int(text)
    pairs = [re.split(r"\s*=\s*", part.strip()) for part in text.split(";")]
    found = {region: int(count) for region, count in pairs}
    if len(found) < len(pairs):
        msg = f"{text!r} names a region twice"
        raise ValueError(msg)
    return found


def at_least_one(found: int | dict[str, int]) -> bool:
    """Whether every number of `sites_by_region` is 1 or more."""
    return min(found.values() if isinstance(found, dict) else (found,)) >= 1


def sites_in(text: object, region: str) -> int:
    """Sites of a use case in a region; 1, whose accelerators share their load, where none are stated.

    >>> sites_in("40", "eu"), sites_in("eu=30; us=10", "us"), sites_in("eu=30", "ap"), sites_in(float("nan"), "eu")
    (40, 10, 1, 1)
    """
    found = sites_by_region(text)
    return found.get(region, 1) if isinstance(found, dict) else found
