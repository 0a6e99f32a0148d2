"""Which columns name the business unit and the team, by the level of the organisation they speak of."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.importers.use_cases.words import header_words

#: Level of an organisation, the largest first.
LEVELS = {
    "company": 0, "organization": 0, "organisation": 0, "institution": 0, "enterprise": 0, "entity": 0,
    "ministry": 1, "department": 1, "sector": 1, "segment": 1, "directorate": 1, "faculty": 1, "dept": 1,
    "agency": 2, "subsidiary": 2, "function": 2,
    "bureau": 3, "division": 3, "component": 3, "subdivision": 3, "sub": 3,
    "office": 4, "branch": 4, "section": 4, "unit": 4,
    "team": 5, "squad": 5, "group": 5,
}  # fmt: skip
BUSINESS_UNIT = {
    ("business", "unit"): 1,
    ("bu",): 1,
    ("line", "business"): 1,
    ("lob",): 1,
    ("business", "area"): 1,
    ("business", "line"): 1,
}
#: Words that may stand beside a level without changing what the column is.
BESIDE = {"name", "code", "id", "owning", "responsible", "sponsoring", "lead", "title", "abbreviation", "acronym", "use",
          "case", "operating", "requesting", "reporting", "business", "government", "project", "product"}  # fmt: skip
MAX_LENGTH = 90


def guess_units(frame: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Guesses (field, header, confidence): the largest level is the business unit, the next the team.

    >>> guess_units(pd.DataFrame({"Department_Code": ["X"], "Department": ["x"], "Agency": ["y"], "Office": ["z"]}))
    [('business_unit', 'Department', 0.95), ('team', 'Agency', 0.9)]
    """
    found = []
    for position, header in enumerate(frame.columns):
        level = level_of(header)
        filled = frame[header][frame[header] != ""]
        if level is not None and (filled.empty or filled.str.len().mean() <= MAX_LENGTH):
            found.append((level, len(header_words(header)), position, header))
    if not found:
        return []
    found.sort()
    first = found[0]
    if first[0] >= LEVELS["team"]:
        return [("team", first[3], 0.9)]
    finer = [item for item in found if item[0] > first[0]]
    return [("business_unit", first[3], 0.95), *([("team", finer[0][3], 0.9)] if finer else [])]


def level_of(header: str) -> int | None:
    """Level that a header names, the finest of its words; None where it is about something else.

    >>> level_of("agency_bureau"), level_of("Business Unit"), level_of("Team size") is None
    (3, 1, True)
    """
    words = header_words(header)
    plain = tuple(word for word in words if word not in {"name", "code", "id"})
    if plain in BUSINESS_UNIT:
        return BUSINESS_UNIT[plain]
    levels = [LEVELS[word] for word in words if word in LEVELS]
    if not levels or any(word not in LEVELS and word not in BESIDE for word in words):
        return None
    return max(levels)
