"""Use cases into a workspace: new ones added, gaps filled, differences named; complete ones become use cases."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.guard import unguarded
from aifactory.inputs.hold import exchange
from aifactory.inputs.importers.use_cases.quantities import same_value
from aifactory.inputs.importers.use_cases.report import complete
from aifactory.inputs.plan import load_plan
from aifactory.inputs.problems import Problem, raise_problems
from aifactory.inputs.tables import read_table, read_text, type_table
from aifactory.inputs.workspace import table_file
from aifactory.inputs.write import write_table

TABLES = ("use_cases", "use_case_candidates")
#: Columns that say where a row comes from; they follow a change and are none themselves.
ORIGIN = ("source", "as_of")
MAX_REMARKS = 20


@dataclass(frozen=True)
class Change:
    """One value of a use case that an import sets, or would set."""

    use_case_id: str
    field: str
    old: str
    new: str


@dataclass
class Merge:
    """What an import does to the use cases of a workspace."""

    rows: dict[str, dict[str, str]]  # all use cases and candidates by identifier, as text
    added: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    kept: list[Change] = field(default_factory=list)  # other values in the workspace, not overwritten


def add_use_cases(
    workspace: Path, rows: pd.DataFrame, report: dict[str, object], *, replace: bool = False
) -> dict[str, object]:
    """Put the rows of a spreadsheet into a workspace.

    Values that differ from those of the workspace are named in the warnings of `report`; they are taken
    with `replace` only.

    Returns
    -------
    Numbers of use cases added, use cases and candidates, and every change.
    """
    held = held_rows(workspace)
    merge = merge_rows(held, rows, replace=replace)
    stored = store_rows(workspace, merge, held)
    if merge.kept:
        shown = "; ".join(
            f"{item.use_case_id} {item.field}: {item.old[:40]!r}, not {item.new[:40]!r}"
            for item in merge.kept[:MAX_REMARKS]
        )
        text = f"{len(merge.kept)} values of the workspace differ and are kept (--replace takes those of the file): {shown}"
        report["warnings"].append({"text": text, "rows": len({item.use_case_id for item in merge.kept})})
    report["warnings"] += stored.pop("remarks")
    report["written"] = stored.pop("written")
    return {"added": len(merge.added), "changes": [vars(item) for item in merge.changes], **stored}


def held_rows(workspace: Path) -> pd.DataFrame:
    """All use cases and candidates of a workspace as text, '' where unknown, indexed by use_case_id."""
    if not (workspace / "plan.yaml").is_file():
        raise InputError.at(
            "--into", "is not a workspace (no plan.yaml); make one with `aifactory new`", value=str(workspace)
        )
    texts = [_text(path, name) for name in TABLES if (path := table_file(workspace, name))]
    both = pd.concat(texts).fillna("") if texts else pd.DataFrame({"use_case_id": pd.Series(dtype="str")})
    again = both["use_case_id"].duplicated()
    if again.any():
        raise InputError.at(
            "use_case_candidates", "is in use_cases too; keep one", value=both["use_case_id"][again].iloc[0]
        )
    return both.set_index("use_case_id", drop=False)


def _text(path: Path, name: str) -> pd.DataFrame:
    contract = load_contract(name)
    read = read_table(path, contract)
    raise_problems(path.name, read.problems)
    if path.name.endswith(".parquet"):
        with tempfile.TemporaryDirectory() as folder:
            return read_text(write_table(read.frame, name, Path(folder)))[0].pipe(_plain_text, contract.missing_values)
    return read_text(path)[0].pipe(_plain_text, contract.missing_values)


def _plain_text(text: pd.DataFrame, missing: Iterable[str]) -> pd.DataFrame:
    """Without guards and words for nothing; x_ columns as they are."""
    text = text.apply(unguarded)
    ours = [name for name in text if not name.startswith("x_")]
    return text.assign(**{name: text[name].where(~text[name].isin(list(missing)), "") for name in ours})


def merge_rows(held: pd.DataFrame, rows: pd.DataFrame, *, replace: bool = False) -> Merge:
    """Rows of a spreadsheet over those of the workspace.

    Parameters
    ----------
    held : as `held_rows` returns.
    rows : candidates; None or '' where unknown.
    replace : whether values of the file win over other values of the workspace; empty cells never do.
    """
    given = records(rows)
    merge = Merge({**records(held), **{name: row for name, row in given.items() if name not in held.index}})
    merge.added = [name for name in given if name not in held.index]
    for name in [name for name in given if name in held.index]:
        mine, theirs = merge.rows[name], given[name]
        found = [
            Change(name, column, mine.get(column, ""), value)
            for column, value in theirs.items()
            if value and column not in ORIGIN and not same_value(column, mine.get(column, ""), value)
        ]
        taken = [item for item in found if replace or not item.old]
        merge.kept += [item for item in found if replace is False and item.old]
        apply_changes(merge, taken, {column: theirs.get(column, "") for column in ORIGIN})
    return merge


def records(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Rows by identifier; what is not known is ''."""
    text = frame.astype("object").where(frame.notna(), "")
    return {str(row["use_case_id"]): row for row in text.to_dict("records")}


def apply_changes(merge: Merge, changes: list[Change], origin: dict[str, str]) -> None:
    """Set the values of one use case, and where they come from; the source of what was there stays named."""
    if not changes:
        return
    row = merge.rows[changes[0].use_case_id]
    row.update({item.field: item.new for item in changes})
    before, source = row.get("source", ""), origin.get("source", "")
    row["source"] = before if not source or source in before else f"{before}; {source}" if before else source
    row["as_of"] = origin.get("as_of") or row.get("as_of", "")
    merge.changes += changes


def store_rows(workspace: Path, merge: Merge, held: pd.DataFrame) -> dict[str, object]:
    """Write both tables; a candidate with every needed value becomes a use case.

    Returns
    -------
    Names of the files written, numbers of use cases and candidates, and remarks.
    """
    rows = pd.DataFrame.from_records(list(merge.rows.values())).fillna("").astype("str")
    rows.index = pd.Index(merge.rows)
    typed = type_table(Path("use_case_candidates"), rows.reset_index(drop=True), load_contract("use_case_candidates"))
    raise_problems("use_case_candidates", _named(typed.problems, rows))
    before = rows.index.isin(_ids_of(workspace))
    regions = {item.region for item in load_plan(workspace / "plan.yaml").regions}
    allowed = rows["allowed_regions"] if "allowed_regions" in rows else pd.Series("", index=rows.index)
    strange = allowed.map(lambda text: _unknown_regions(text, regions))
    ready = (complete(typed.frame).to_numpy() & (strange == "").to_numpy()) | before
    remarks = [
        {
            "text": f"{name} stays a candidate: plan.yaml does not describe its region {strange[name]}; describe it, then import the row again",
            "rows": 1,
        }
        for name in rows.index[(strange != "") & ~before][:MAX_REMARKS]
    ]
    files = _swap(workspace, {"use_cases": rows[ready], "use_case_candidates": rows[~ready]})
    became = rows.index[ready & ~before & rows.index.isin(held.index)]
    return {"written": ", ".join(files), "use_cases": int(ready.sum()), "candidates": int((~ready).sum()),
            "completed": list(became), "remarks": remarks}  # fmt: skip


def _named(problems: list[Problem], rows: pd.DataFrame) -> list[Problem]:
    """Problems with the use case in place of a row of a table that nobody sees."""
    return [
        Problem(
            None,
            item.column,
            item.value,
            f"{item.rule} (use case {rows.index[item.row - 2]})" if item.row else item.rule,
            item.choices,
        )
        for item in problems
    ]


def _ids_of(workspace: Path) -> list[str]:
    path = table_file(workspace, "use_cases")
    return read_text(path)[0]["use_case_id"].tolist() if path else []


def _unknown_regions(text: str, regions: set[str]) -> str:
    return next((part.strip() for part in text.split(";") if part.strip() and part.strip() not in regions), "")


def _swap(workspace: Path, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Write both aside, to take the places of the old files together; a table without rows keeps its header."""
    written = []
    with exchange(workspace) as change:
        for name, rows in tables.items():
            path = table_file(workspace, name)
            if rows.empty and path is None:
                continue
            known = load_contract(name).columns
            order = [*[column for column in known if column in rows], *[name for name in rows if name not in known]]
            text = rows[order].replace("", None) if len(rows) else pd.DataFrame(columns=known)
            new = write_table(text, name, change.building)
            written.append(change.place(new, workspace / new.name).name)
            if path and path.name != new.name:
                change.drop(path)
    return written
