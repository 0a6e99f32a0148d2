"""What the judged scores stand on: owner, evidence date and a reason of their own, and what lacks one."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.weights import SCORECARD_CRITERIA
from aifactory.inputs.workspace import Workspace
from aifactory.shortlist import scales
from aifactory.shortlist.matrix import JUDGED

#: Days after which the evidence of a judgement is old: platforms and their tools change within a year.
EVIDENCE_DAYS = 365
#: Criteria of the matrix and of the scorecard that people judge.
CRITERIA = (*JUDGED, *(name for name in SCORECARD_CRITERIA if not name.startswith("performance")))
KEYS = ["platform", "workload_class", "criterion"]
JUDGEMENT_COLUMNS = [*KEYS, "score", "low", "high", "owner_role", "as_of", "rationale", "source", "confidence", "lacks"]


def judged_values(ws: Workspace) -> pd.DataFrame:
    """Every judgement that the plan's candidates and use cases stand on, and what each lacks.

    One row per accelerator or class, workload class and criterion that is looked up, columns
    `JUDGEMENT_COLUMNS`. `lacks` joins what is missing: an owner, a date, a reason, a reason of its own
    (the same words for another score of the criterion explain neither), fresh evidence (older than
    `EVIDENCE_DAYS`); "a judgement" where there is none at all. Empty where nothing is missing.
    """
    table = ws.table("judgements")
    held = scales.judgements_by_key(table)
    classes = ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    works = sorted(ws.table("use_cases")["workload_class"].dropna().unique())
    shared = _shared_reasons(table)
    rows = {}
    for name in ws.plan.candidates:
        for criterion in CRITERIA:
            for work in works if criterion in JUDGED else ["*"]:
                found = scales.judged(held, criterion, name, classes[name], work)
                row = _row(ws, found, criterion, work, name, shared)
                rows.setdefault(tuple(row[key] for key in KEYS), row)
    return pd.DataFrame(list(rows.values()), columns=JUDGEMENT_COLUMNS)


def _row(
    ws: Workspace, found: scales.Judgement | None, criterion: str, work: str, name: str, shared: set[tuple[str, str]]
) -> dict[str, object]:
    if found is None:
        return {
            "platform": name,
            "workload_class": work,
            "criterion": criterion,
            "low": 0.0,
            "high": 1.0,
            "lacks": "a judgement",
        }
    half, score = scales.JUDGED_HALF_WIDTH[found["confidence"]], float(found["score"])
    one = isinstance(found["accelerator_id"], str)
    owner, reason = (found.get(key) if isinstance(found.get(key), str) else "" for key in ("owner_role", "rationale"))
    old = pd.isna(found["as_of"]) or (pd.Timestamp(ws.as_of) - found["as_of"]).days > EVIDENCE_DAYS
    missing = [
        what
        for what, lacking in (
            ("an owner", not owner.strip()),
            ("a reason", not reason.strip()),
            ("a reason of its own", (criterion, reason) in shared),
            ("fresh evidence", old),
        )
        if lacking
    ]
    return {
        "platform": found["accelerator_id"] if one else found["platform_class"], "workload_class": found["workload_class"],
        "criterion": criterion, "score": score, "low": max(score - half, 0.0), "high": min(score + half, 1.0),
        "owner_role": owner, "as_of": found["as_of"], "rationale": reason, "source": found["source"],
        "confidence": found["confidence"], "lacks": ", ".join(missing),
    }  # fmt: skip


def _shared_reasons(table: pd.DataFrame) -> set[tuple[str, str]]:
    """Criterion and reason of judgements whose words stand for several different scores."""
    scores = table.dropna(subset=["rationale"]).groupby(["criterion", "rationale"])["score"].nunique()
    return set(scores[scores > 1].index)
