"""A spreadsheet of use cases as rows of the candidates' table; every recoding is counted, nothing is lost."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import Field, load_contract
from aifactory.inputs.importers.plain_numbers import unclear_columns, with_plain_numbers
from aifactory.inputs.importers.use_cases.mapping import Mapping, suggest
from aifactory.inputs.importers.use_cases.quantities import months, number, same_value
from aifactory.inputs.importers.use_cases.totals import total_rows
from aifactory.inputs.importers.use_cases.words import SAME, known_value, one_spelling, plain, slug
from aifactory.inputs.spreadsheet import HIDDEN_SHEET, Sheet, read_spreadsheet

ID_LENGTH, NAME_PART = 64, 40
HASH_LENGTH = 6
MAX_NAMED = 20
#: Longer than this, a value is a text and is counted instead of shown.
MAX_SHOWN = 120
_UNITS = ("business_unit", "team", "owner_role")
_MISSING = frozenset(
    plain(text) for text in (*load_contract("use_case_candidates").missing_values, "-", "tbd", "unknown")
)


@dataclass
class UseCases:
    """Candidates read of one file, and how they were read."""

    file: str
    format: str
    frame: pd.DataFrame
    mapping: Mapping
    rows_read: int
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)
    recoded: list[dict[str, object]] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)


def read_use_cases(path: Path, today: pd.Timestamp, mapping: Mapping | None = None) -> UseCases:
    """Read any spreadsheet of use cases.

    Parameters
    ----------
    today : day of import, the as-of date of rows that name none.
    mapping : a confirmed mapping; without one it is suggested, and what was assumed is said.

    Raises
    ------
    InputError
        If the file cannot be read, the mapping names a column that is not there, or no column can be
        taken for the name of a use case.
    """
    sheets = read_spreadsheet(path)
    commas = {sheet.name: with_plain_numbers(sheet) for sheet in sheets}
    sheet, chosen = _choose(sheets, mapping)
    if sheet.frame.empty:
        raise InputError.at(sheet.place, "has a header and no rows below it", row=1)
    hidden = [note for other in sheets if other is not sheet for note in other.notes if HIDDEN_SHEET in note[0]]
    others = [(f"sheet {other.name!r} was not read", len(other.frame)) for other in sheets if other is not sheet]
    result = UseCases(
        path.name, f"use cases, {'XLSX' if sheet.name else 'CSV'}", pd.DataFrame(), chosen, len(sheet.frame) + sum(sheet.left_out.values()),
        dict(sheet.left_out), [*sheet.notes, *others, *hidden],
    )  # fmt: skip
    _leave_out_totals(sheet, chosen, result)
    if mapping is None:
        result.assumed = _assumed(chosen)
    result.frame = _Reader(sheet, chosen, result, today, commas[sheet.name]).frame()
    return result


def _choose(sheets: list[Sheet], mapping: Mapping | None) -> tuple[Sheet, Mapping]:
    """The sheet to read: the one the mapping names, else the one with most columns of ours."""
    if mapping is None:
        guessed = [(sheet, suggest(sheet)) for sheet in sheets]
        sheet, best = max(guessed, key=lambda pair: (pair[1].confident, len(pair[1].columns), len(pair[0].frame)))
        if not best.confident:
            rule = "no column can be taken for the name of a use case; --suggest-mapping FILE.yaml writes a mapping to complete; found: "
            raise InputError.at(sheet.place, rule + ", ".join(list(sheet.frame)[:12]), column="name")
        return sheet, best
    named = [sheet for sheet in sheets if sheet.name == mapping.sheet] if mapping.sheet else sheets
    if not named:
        raise InputError.at(
            sheets[0].file, "no such sheet.", value=mapping.sheet, choices=[sheet.name for sheet in sheets]
        )
    wanted = list(mapping.columns.values())
    sheet = max(named, key=lambda item: sum(name in item.frame for name in wanted))
    absent = next((name for name in wanted if name not in sheet.frame), "")
    if absent:
        raise InputError.at(
            sheet.place, "the mapping names a column that is not there.", value=absent, choices=list(sheet.frame)
        )
    return sheet, mapping


def _leave_out_totals(sheet: Sheet, mapping: Mapping, result: UseCases) -> None:
    """Drop rows below or between use cases that hold sums."""
    total = total_rows(sheet.frame, mapping.columns.get("name"))
    if total.any():
        result.left_out["rows of totals"] = int(total.sum())
        sheet.frame = sheet.frame[~total]


def _assumed(mapping: Mapping) -> list[str]:
    """What the suggested mapping took for granted, and what it did not take."""
    taken = [f"{ours} = {theirs!r}" for ours, theirs in mapping.columns.items() if ours != theirs]
    left = [
        f"{guess.theirs!r} was not taken for {guess.ours}: it {guess.why_not}"
        for guess in mapping.guesses
        if guess.why_not and guess.confidence >= 0.5 and guess.ours not in mapping.columns
    ]
    return [*([", ".join(taken)] if taken else []), *left]


class _Reader:
    """Applies a mapping to a sheet, column by column."""

    def __init__(
        self, sheet: Sheet, mapping: Mapping, result: UseCases, today: pd.Timestamp, commas: frozenset[str]
    ) -> None:
        self.sheet, self.mapping, self.result, self.today = sheet, mapping, result, today
        self.contract = load_contract("use_case_candidates")
        self.unclear = unclear_columns(sheet, commas)
        self.kept: list[str] = []  # columns of theirs whose text must stay beside ours

    def frame(self) -> pd.DataFrame:
        """Rows in the columns of the contract, then the x_ columns."""
        columns: dict[str, pd.Series] = {}
        for item in self.contract.fields:
            if item.name in self.mapping.columns and item.name != "use_case_id":
                columns[item.name] = self._column(item, self.mapping.columns[item.name])
        for name, value in self.mapping.constants.items():
            held = columns.get(name, pd.Series("", index=self.sheet.frame.index))
            columns[name] = held.where(held != "", value)
        columns["source"] = self._source(columns.get("source"))
        columns["as_of"] = self._as_of(columns.get("as_of"))
        columns["use_case_id"] = self._ids(columns)
        extra = self._extra()
        frame = pd.DataFrame({**columns, **extra}, index=self.sheet.frame.index)
        ordered = [name for name in self.contract.columns if name in frame]
        self._name_repeats(frame)
        return frame[[*ordered, *extra]].replace("", None).reset_index(drop=True)

    def _column(self, item: Field, theirs: str) -> pd.Series:
        raw = self.sheet.frame[theirs]
        texts = raw.str.strip()
        empty = texts.map(lambda text: plain(text) in _MISSING)
        texts = texts.mask(empty, "")
        if item.enum:
            ours = self._recode(item.name, texts, lambda text: self._value(item, text))
        elif item.type == "yearmonth":
            found = months(texts)
            ours = self._recode(item.name, texts, lambda text: (found[texts == text].iloc[0], SAME), told=False)
        elif item.type == "date":
            iso = texts.str.extract(r"^(\d{4}-\d\d-\d\d)", expand=False).fillna("")
            ours = self._recode(item.name, texts, lambda text: (iso[texts == text].iloc[0], SAME), told=False)
        elif item.type == "number":
            ours = self._recode(item.name, texts, lambda text: self._number(item, theirs, text), told=False)
        elif item.name in _UNITS:
            ours = self._one_spelling(item.name, texts)
        else:
            ours = texts
        if not ours.equals(raw):
            self.kept.append(theirs)
        return ours

    def _value(self, item: Field, text: str) -> tuple[str, str]:
        own = self.mapping.values.get(item.name, {}).get(text)
        if own:
            return own, "mapping"
        return known_value(item.name, text) or ("", "")

    def _number(self, item: Field, theirs: str, text: str) -> tuple[str, str]:
        found = number(text, decimal_comma=theirs in self.unclear)
        if found is None:
            return "", ""
        value = found * self.mapping.factors.get(item.name, 1.0)
        low = item.exclusive_minimum if item.exclusive_minimum is not None else item.minimum
        inside = (low is None or value > low or (item.minimum is not None and value == low)) and (
            item.maximum is None or value <= item.maximum
        )
        if inside and same_value(item.name, text, repr(value)):
            return text, SAME
        return (repr(int(value) if value.is_integer() else value), SAME) if inside else ("", "")

    def _recode(
        self, name: str, texts: pd.Series, convert: Callable[[str], tuple[str, str]], *, told: bool = True
    ) -> pd.Series:
        """Convert each different text once; unknown ones become '' and are listed with their rows."""
        counts = texts[texts != ""].value_counts()
        found = {text: convert(text) for text in counts.index}
        for text in sorted(found, key=lambda item: (-counts[item], item)):
            ours, certainty = found[text]
            if (told and text != ours) or not ours:
                self._note(name, text, ours, int(counts[text]), certainty if ours else "unknown")
        unknown = int(sum(counts[text] for text, (ours, _) in found.items() if not ours))
        if unknown:
            self.result.warnings.append((f"{name}: values that match nothing are left unknown", unknown))
        if not told and name in self.mapping.factors:
            self.result.assumed.append(f"{name} = {self.mapping.columns[name]!r} x {self.mapping.factors[name]:.6g}")
        return texts.map({text: ours for text, (ours, _) in found.items()} | {"": ""})

    def _one_spelling(self, name: str, texts: pd.Series) -> pd.Series:
        same = one_spelling(texts)
        for text, ours in same.items():
            self._note(name, text, ours, int((texts == text).sum()), SAME)
        return texts.replace(same)

    def _note(self, name: str, theirs: str, ours: str, rows: int, certainty: str) -> None:
        shown = theirs if len(theirs) <= MAX_SHOWN else theirs[: MAX_SHOWN - 3] + "..."
        self.result.recoded.append({"field": name, "theirs": shown, "ours": ours, "rows": rows, "certainty": certainty})

    def _source(self, given: pd.Series | None) -> pd.Series:
        rows = [f"{self.sheet.place}, row {number}" for number in self.sheet.frame.index]
        named = pd.Series(rows, index=self.sheet.frame.index)
        return named if given is None else given.where(given != "", named)

    def _as_of(self, given: pd.Series | None) -> pd.Series:
        today = f"{self.today:%Y-%m-%d}"
        dates = pd.Series("", index=self.sheet.frame.index) if given is None else given
        if (dates == "").any():
            self.result.assumed.append(f"as_of = {today}, the day of import, in {int((dates == '').sum()):,} rows")
        good = dates.map(lambda text: bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text)) or text == "")
        if not good.all():
            raise InputError.at("--mapping", "as_of must be a date such as 2026-10-01", value=dates[~good].iloc[0])
        return dates.where(dates != "", today)

    def _ids(self, columns: dict[str, pd.Series]) -> pd.Series:
        """Theirs where it is unique, with the business unit before it where only that makes it so, else made."""
        theirs = self.mapping.columns.get("use_case_id")
        index = self.sheet.frame.index
        empty = pd.Series("", index=index)
        given = self.sheet.frame[theirs].str.strip().map(slug) if theirs else empty
        unit = columns.get("business_unit", empty).map(lambda text: slug(text, 20))
        name = columns.get("name", empty).map(lambda text: slug(text, NAME_PART))
        ids = given.copy()
        doubled = (ids == "") | ids.duplicated(keep=False) | ~ids.str.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}")
        longer = _joined(unit, given.where(given != "", name))
        ids = ids.where(~doubled, longer)
        doubled &= (ids == "") | ids.duplicated(keep=False)
        cells = self.sheet.frame.apply(lambda row: "\x1f".join(row), axis="columns") if doubled.any() else empty
        marks = cells.map(lambda text: hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH])
        ids = ids.where(~doubled, _joined(longer.str[: ID_LENGTH - HASH_LENGTH - 1].replace("", "case"), marks))
        again = ids.groupby(ids).cumcount()
        ids = ids.where(again == 0, ids.str[: ID_LENGTH - 6] + "-" + (again + 1).astype("str"))
        if theirs:
            changed = int((ids != given).sum())
            self.kept += [theirs] if not ids.equals(self.sheet.frame[theirs]) else []
            if changed:
                self.result.warnings.append(
                    ("identifiers were missing or repeated and were made from unit, name and content", changed)
                )
        else:
            self.result.assumed.append("use_case_id is made from business unit and name")
        return ids

    def _extra(self) -> dict[str, pd.Series]:
        """Columns without a home, and the original text of recoded ones."""
        homes = {theirs for theirs in self.mapping.columns.values() if theirs not in self.kept}
        extra: dict[str, pd.Series] = {}
        for header in self.sheet.frame.columns:
            if header in homes:
                continue
            name = base = "x_" + (slug(header.removeprefix("x_"), 56).replace("-", "_").replace(".", "_") or "column")
            count = 2
            while name in extra:
                name, count = f"{base}_{count}", count + 1
            extra[name] = self.sheet.frame[header]
        return extra

    def _name_repeats(self, frame: pd.DataFrame) -> None:
        named = frame["name"] if "name" in frame else pd.Series("", index=frame.index)
        if (named == "").any():
            rows = ", ".join(map(str, frame.index[named == ""][:MAX_NAMED]))
            self.result.warnings.append((f"no name of a use case in row {rows}; kept", int((named == "").sum())))
        unit = frame.get("business_unit", pd.Series("", index=frame.index))
        exact = pd.Series(list(zip(unit, named, strict=True)), index=frame.index, dtype="object")
        alike = pd.Series(list(zip(unit.map(plain), named.map(plain), strict=True)), index=frame.index, dtype="object")
        self._warn_repeats(exact, named != "", "stand in several rows; all are kept")
        once = ~exact.duplicated(keep=False)
        rest = alike.duplicated(keep=False) & (named != "") & once
        self._warn_repeats(alike[rest], named[rest] != "", "differ only in case, spaces or dashes; all are kept")

    def _warn_repeats(self, pairs: pd.Series, named: pd.Series, what: str) -> None:
        again = pairs.duplicated(keep=False) & named
        if again.any():
            groups = pairs[again].groupby(pairs[again], sort=False).groups
            shown = "; ".join(
                f"{unit} {name!r} in rows {', '.join(map(str, groups[unit, name]))}".strip()
                for unit, name in list(groups)[:MAX_NAMED]
            )
            text = f"{len(groups)} pairs of business unit and name {what}: {shown}"
            self.result.warnings.append((text, int(again.sum())))


def _joined(first: pd.Series, second: pd.Series) -> pd.Series:
    return (first + "-" + second).str.strip("-").str[:ID_LENGTH].str.strip("-._")
