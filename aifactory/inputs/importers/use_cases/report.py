"""What was read of a spreadsheet of use cases, and who must supply what is missing."""

from __future__ import annotations

import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.use_cases.read import UseCases

OWNER = ["business_unit", "team", "owner_role"]
#: What planning asks of an owner: any one of these columns answers it.
NEEDED = {
    "volume": ["stated_units_per_month"],
    "latency target": ["slo_p95_ttft_ms", "slo_p95_tpot_ms", "slo_p95_e2e_ms"],
    "cost": ["stated_usd_per_month"],
}
#: Columns of a use case that planning needs, beside the three above.
FIELDS = ["name", "workload_class", "business_unit", "team", "owner_role", "model", "service_unit", "request_pattern",
          "criticality", "stage", "slo_max_failure_rate", "value_usd_per_unit"]  # fmt: skip
TRAINING = ("batch_training", "parameter_efficient_fine_tuning")


def answered(frame: pd.DataFrame) -> pd.DataFrame:
    """Whether volume, latency target and cost are known, one column each; training needs no latency target."""
    held = frame.reindex(columns=[name for columns in NEEDED.values() for name in columns]).notna()
    known = pd.DataFrame({name: held[columns].any(axis="columns") for name, columns in NEEDED.items()})
    if "workload_class" in frame:
        known["latency target"] |= frame["workload_class"].isin(TRAINING)
    return known


def ask_table(frame: pd.DataFrame, known: pd.DataFrame | None = None) -> pd.DataFrame:
    """Owners (business unit, team, role) and how many of their use cases lack volume, latency target, cost.

    Parameters
    ----------
    known : one column of booleans per question; `answered(frame)` by default.

    Returns
    -------
    Columns business_unit, team, owner_role, use_cases, then one count of missing answers per question;
    the owner with most missing answers first. Owners without a gap are left out.
    """
    known = answered(frame) if known is None else known
    owners = frame.reindex(columns=OWNER).astype("object").where(lambda held: held.notna(), "(unknown)")
    table = owners.assign(use_cases=1, **(~known).astype("int64")).groupby(OWNER, as_index=False).sum()
    table["missing"] = table[list(known)].sum(axis="columns")
    table = table[table["missing"] > 0].sort_values(["missing", *OWNER], ascending=[False, True, True, True])
    return table.drop(columns="missing").reset_index(drop=True)


def coverage(frame: pd.DataFrame) -> dict[str, float]:
    """Share of the use cases in which a needed column, or the answer to a question, is known."""
    known = answered(frame)
    shares = {name: frame[name].notna().mean() if name in frame else 0.0 for name in FIELDS}
    shares |= {name: known[name].mean() for name in known}
    return {name: round(float(share), 6) if len(frame) else 0.0 for name, share in shares.items()}


def use_case_report(read: UseCases) -> dict[str, object]:
    """Counts, recodings, coverage and the owners to ask, for a person and for a program."""
    frame = read.frame
    asked = ask_table(frame)
    extra = [name for name in frame if name.startswith("x_")]
    return {
        "format": read.format,
        "rows_read": read.rows_read,
        "rows_kept": len(frame),
        "rows_left_out": read.left_out,
        "warnings": [{"text": text, "rows": rows} for text, rows in read.warnings],
        "period": [str(frame["as_of"].min()), str(frame["as_of"].max())] if len(frame) else ["", ""],
        "totals": {"use_cases": len(frame), "owners_to_ask": len(asked)},
        "columns": read.mapping.columns,
        "kept_as_extra": extra,
        "assumed": read.assumed,
        "recoded": read.recoded,
        "by": {name: _counts(frame, name) for name in ("business_unit", "stage", "workload_class", "criticality")},
        "coverage": coverage(frame),
        "ask": _records(asked),
    }


def _counts(frame: pd.DataFrame, name: str) -> dict[str, int]:
    values = frame[name] if name in frame else pd.Series(None, index=frame.index, dtype="object")
    counts = values.fillna("(unknown)").value_counts()
    return {str(value): int(count) for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}


def _records(asked: pd.DataFrame) -> list[dict[str, object]]:
    questions = list(NEEDED)
    return [
        {name: row[name] for name in OWNER}
        | {"use_cases": int(row["use_cases"]), "missing": {name: int(row[name]) for name in questions if row[name]}}
        for _, row in asked.iterrows()
    ]


def complete(frame: pd.DataFrame) -> pd.Series:
    """Whether a candidate has every value that a use case needs, and its unit fits its class."""
    needed = [item.name for item in load_contract("use_cases").fields if item.required]
    held = frame.reindex(columns=needed)
    fits = held["workload_class"].isin(TRAINING) == (held["service_unit"] == "accelerator_hour")
    return held.notna().all(axis="columns") & fits
