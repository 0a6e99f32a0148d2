"""Which column of a spreadsheet is which column of ours: suggested, written for confirmation, read back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.use_cases.organisation import guess_units
from aifactory.inputs.importers.use_cases.quantities import PER_CENT, months, number, quantity_of
from aifactory.inputs.importers.use_cases.words import header_score, known_value, vocabulary
from aifactory.inputs.spreadsheet import Sheet
from aifactory.inputs.yaml_file import read_yaml
from aifactory.units import percent

#: Guesses at or above are used without being asked for, those above ASKED are suggested.
USED, ASKED = 0.7, 0.45
PARTS = ("sheet", "columns", "values", "factors", "constants")
CONSTANTS = ("as_of", "source", "business_unit", "team", "owner_role")
EXAMPLES = 3
#: Below this share of known values a column of a list is not used unasked.
FEW = 0.05
MAX_ASKED = 40
#: More different values than this are no list, unless the header says so.
MAX_VALUES = 50
MAX_NAME_LENGTH = 300
#: Words by which a text names a role instead of a person.
ROLE_WORDS = ("head", "lead", "manager", "director", "officer", "chief", "owner", "vp", "president", "analyst", "engineer",
              "team", "office", "department", "ceo", "cio", "cto", "cfo", "coo", "cdo", "ciso", "chair", "secretary",
              "architect", "scientist", "coordinator", "supervisor", "administrator", "service", "desk", "group")  # fmt: skip


@dataclass(frozen=True)
class Guess:
    """One column of theirs taken for one of ours."""

    ours: str
    theirs: str
    confidence: float
    factor: float = 1.0
    why_not: str = ""
    known: float = 1.0  # share of the filled rows whose value is in the vocabulary


@dataclass
class Mapping:
    """How a spreadsheet becomes use cases.

    `columns` ours -> theirs; `values` ours -> (theirs -> ours) where the built-in vocabulary does not
    know a value or is wrong; `factors` ours -> what one of theirs is in our unit; `constants` ours ->
    value for every row; `guesses` why a column was chosen, or was not (empty for a mapping that was read).
    """

    sheet: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    guesses: list[Guess] = field(default_factory=list)

    @property
    def confident(self) -> bool:
        """Whether the name of a use case was found."""
        return "name" in self.columns


def suggest(sheet: Sheet) -> Mapping:
    """Mapping suggested by headers and content; the best guess for a field first, each column once."""
    guesses = sorted(_guesses(sheet.frame), key=lambda item: (-item.confidence, list(sheet.frame).index(item.theirs)))
    mapping, taken = Mapping(sheet=sheet.name), set()
    for guess in guesses:
        free = guess.ours not in mapping.columns and guess.theirs not in taken
        if guess.confidence >= USED and free and not guess.why_not:
            mapping.columns[guess.ours] = guess.theirs
            if guess.factor != 1.0:
                mapping.factors[guess.ours] = guess.factor
            taken.add(guess.theirs)
    order = load_contract("use_case_candidates").columns
    mapping.columns = {name: mapping.columns[name] for name in order if name in mapping.columns}
    used = set(mapping.columns.items())
    mapping.guesses = [item for item in guesses if (item.ours, item.theirs) in used or item.theirs not in taken]
    return mapping


def _guesses(frame: pd.DataFrame) -> list[Guess]:
    contract = load_contract("use_case_candidates")
    found = guess_units(frame)
    units = {(ours, theirs) for ours, theirs, _ in found}
    guesses = [Guess(ours, theirs, confidence) for ours, theirs, confidence in found]
    for header in frame.columns:
        texts = frame[header].str.strip()
        known = texts[texts != ""]
        for item in contract.fields:
            score = header_score(header, item.name)
            if item.name in ("business_unit", "team") and (item.name, header) in units:
                continue
            if item.enum:
                guesses += _enumerated(item.name, header, known, score)
            elif score >= ASKED:
                guesses.append(_checked(Guess(item.name, header, score), known))
        counted = quantity_of(header)
        if counted and header not in contract.columns:
            numbers = known.map(lambda text: number(text, decimal_comma=False)).dropna().astype("float64")
            why = counted.why_not or ("" if len(numbers) and len(numbers) >= 0.5 * len(known) else "holds few numbers")
            if not why and counted.factor == PER_CENT and numbers.max() <= 1:
                why = "names percent and holds nothing above 1: percent or shares?"
            guesses.append(Guess(counted.field, header, 0.85 if not why else 0.5, counted.factor, why))
    return guesses


def _enumerated(ours: str, theirs: str, known: pd.Series, score: float) -> list[Guess]:
    """A column of known values is believed, one whose values say nothing is not."""
    if score == 1.0:
        return [Guess(ours, theirs, 1.0)]
    values = known.unique()
    if score < ASKED and len(values) > MAX_VALUES:
        return []
    hits = [text for text in values if known_value(ours, text)]
    share = float(known.isin(hits).mean()) if len(known) else 0.0
    if score >= ASKED:
        if len(known) and share < FEW:
            return [Guess(ours, theirs, min(score, 0.5), why_not="holds hardly a value that we know")]
        return [Guess(ours, theirs, max(score, score + (1 - score) * 0.8 * share), known=share)]
    kinds = {known_value(ours, text)[0] for text in hits}
    exact = sum(text.casefold().replace("_", " ").replace("-", " ") in vocabulary(ours) for text in hits)
    if share >= 0.8 and len(kinds) >= 2 and exact:
        return [Guess(ours, theirs, 0.6)]
    return []


def _checked(guess: Guess, known: pd.Series) -> Guess:
    """The guess, doubted where the content does not bear it out."""
    if guess.ours == "name" and len(known) and known.str.len().median() > MAX_NAME_LENGTH:
        return Guess(guess.ours, guess.theirs, 0.5, why_not="holds long texts, not names")
    if guess.ours == "use_case_id" and len(known) > 5 and known.nunique() < 0.5 * len(known):
        return Guess(guess.ours, guess.theirs, 0.5, why_not="repeats, so it is no identifier")
    if guess.ours == "owner_role" and len(known):
        if known.str.contains("@").mean() > 0.2:
            return Guess(
                guess.ours, guess.theirs, 0.5, why_not="holds e-mail addresses; a role is needed, never a person"
            )
        words = known.str.casefold().str.findall(r"[a-z]+")
        roles = words.map(lambda found: bool(set(found) & set(ROLE_WORDS))).mean()
        if guess.confidence < 1.0 and roles < 0.5:
            return Guess(guess.ours, guess.theirs, 0.5, why_not="looks like names of persons; a role is needed")
    if guess.ours in ("launch_month", "retire_month") and len(known) and (months(known) != "").mean() < 0.2:
        return Guess(guess.ours, guess.theirs, 0.5, why_not="holds few dates that can be read")
    return guess


def mapping_text(sheet: Sheet, mapping: Mapping) -> str:
    """The mapping as YAML with confidence, coverage and examples in comments, to be confirmed and passed back."""
    frame, best = sheet.frame, {(item.ours, item.theirs): item for item in mapping.guesses}
    lines = [
        f"# Mapping of {sheet.file} to use cases. Check it, change it, and import with --mapping THIS_FILE.",
        "# columns: ours: theirs. Columns that are not named here are kept as x_ columns.",
    ]
    lines += [f"sheet: {_quoted(sheet.name)}"] if sheet.name else []
    lines.append("columns:")
    for item in load_contract("use_case_candidates").fields:
        theirs = mapping.columns.get(item.name)
        if theirs is not None:
            guess = best.get((item.name, theirs), Guess(item.name, theirs, 1.0))
            known = "" if guess.known == 1.0 else f"; its values are known in {percent(guess.known)} of these"
            lines.append(
                f"  {item.name}: {_quoted(theirs)}  # {percent(guess.confidence)} sure; {_shown(frame[theirs])}{known}"
            )
            continue
        for guess in [guess for guess in mapping.guesses if guess.ours == item.name][:EXAMPLES]:
            why = f" {guess.why_not}" if guess.why_not else " may be it"
            lines.append(f"  # {item.name}: {_quoted(guess.theirs)}  #{why}; {_shown(frame[guess.theirs])}")
    lines += ["factors:  # what one of theirs is in our unit"] if mapping.factors else []
    lines += [f"  {name}: {value!r}" for name, value in mapping.factors.items()]
    lines += ["# values that we do not know yet, with their rows; write ours behind them, or leave them unknown"]
    unknown = {name: _unknown(frame[theirs], name) for name, theirs in mapping.columns.items() if vocabulary(name)}
    lines += ["values:" if any(unknown.values()) else "values: {}"]
    for name, counts in unknown.items():
        if counts:
            lines.append(f"  {name}:  # one of {', '.join(load_contract('use_cases').field(name).enum)}")
            lines += [f"    {_quoted(text)}: ''  # {rows:,} rows" for text, rows in list(counts.items())[:MAX_ASKED]]
            lines += [f"    # and {len(counts) - MAX_ASKED} rarer values"] if len(counts) > MAX_ASKED else []
    lines.append("# constants: one value for every row, such as as_of: 2026-10-31 or owner_role: head of data")
    return "\n".join([*lines, "constants: {}", ""])


def _unknown(texts: pd.Series, name: str) -> dict[str, int]:
    texts = texts.str.strip()
    counts = texts[texts != ""].value_counts()
    return {str(text): int(rows) for text, rows in counts.items() if known_value(name, str(text)) is None}


def _quoted(text: str) -> str:
    return yaml.safe_dump(text, default_style='"', allow_unicode=True, width=10**6).strip()


def _shown(texts: pd.Series) -> str:
    filled = texts[texts.str.strip() != ""]
    examples = [" ".join(text.split())[:40] for text in filled.drop_duplicates()[:EXAMPLES]]
    return f"{len(filled):,} of {len(texts):,} filled, e.g. {'; '.join(examples)}"


def read_mapping_file(path: Path) -> Mapping:
    """Mapping of a YAML file; unknown parts and columns are named with the nearest valid one."""
    held = read_yaml(path)
    contract = load_contract("use_case_candidates")
    _known(path.name, held, PARTS, "is no part of a mapping.")
    for part in ("columns", "factors", "values"):
        _known(path.name, _part(path.name, held, part), contract.columns, f"({part}) is no column of a use case.")
    _known(path.name, _part(path.name, held, "constants"), CONSTANTS, "(constants) cannot be the same for every row.")
    values = {}
    for name, pairs in _part(path.name, held, "values").items():
        if not isinstance(pairs, dict):
            raise InputError.at(path.name, "must hold their value: ours", column=name)
        wanted = {str(theirs): str(ours) for theirs, ours in pairs.items() if str(ours or "")}
        for ours in wanted.values():
            if contract.field(name).enum and ours not in contract.field(name).enum:
                raise InputError.at(
                    path.name, "is not allowed.", column=name, value=ours, choices=contract.field(name).enum
                )
        values[name] = wanted
    return Mapping(
        sheet=str(held.get("sheet") or ""),
        columns={name: str(theirs) for name, theirs in _part(path.name, held, "columns").items()},
        values=values,
        factors={name: _factor(path.name, name, value) for name, value in _part(path.name, held, "factors").items()},
        constants={name: str(value) for name, value in _part(path.name, held, "constants").items()},
    )


def _part(file: str, held: dict[str, object], name: str) -> dict[str, object]:
    part = held.get(name) or {}
    if not isinstance(part, dict):
        raise InputError.at(file, "must hold names and values", column=name)
    return part


def _known(file: str, names: object, allowed: object, rule: str) -> None:
    unknown = next((str(name) for name in names if name not in allowed), "")
    if unknown:
        raise InputError.at(file, rule, value=unknown, choices=allowed)


def _factor(file: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise InputError.at(file, "a factor must be a number above 0", column=name, value=value)
    return float(value)
