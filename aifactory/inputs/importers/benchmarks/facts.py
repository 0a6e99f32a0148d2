"""What no result file says: for which prompts, on which accelerators. Said by options or a mapping, never guessed.

A mapping is YAML or JSON: `facts` (name: value) hold for every file, `files` (pattern of names: facts) for some.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import Field, load_contract
from aifactory.inputs.importers.target import Target
from aifactory.inputs.yaml_file import read_yaml

#: Facts that result files may carry under our names (`vllm bench serve --metadata precision=fp8`).
FACTS = ("use_case_id", "accelerator_id", "accelerators", "replica_accelerators", "precision", "engine",
         "engine_version", "tokens_source")  # fmt: skip
#: Without these there is no row.
NEEDED = ("use_case_id", "accelerator_id", "accelerators", "precision", "engine", "as_of")
#: Facts of the table that an analyst may say, beside those above.
TOLD = ("model", "as_of", "confidence", "load", "concurrency", "offered_requests_per_s", "requests", "repeat",
        "traffic_share", "power_w", "peak_memory_gb", "warm_start_s", "warmup_excluded")  # fmt: skip
#: What only the importer knows: a name for the run, and how many service units a request is.
OWN = {
    "run": Field("run", "string", "Name of the run.", pattern="[a-z0-9][a-z0-9._-]{0,55}"),
    "units_per_request": Field("units_per_request", "number", "Service units of one request.", exclusive_minimum=0.0),
}
SAYABLE = (*FACTS, *TOLD, *OWN)
PARTS = ("facts", "files")


@dataclass(frozen=True)
class Facts:
    """Facts by file, and the names that they may use; without a workspace every name may be."""

    everywhere: Mapping[str, str]
    by_pattern: Mapping[str, Mapping[str, str]]
    told: Mapping[str, str]
    use_cases: Mapping[str, str]  # use case: its service unit
    accelerators: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def of(self, path: Path, embedded: Mapping[str, str]) -> dict[str, object]:
        """Facts of one file, typed: what the file says, then the mapping, then the options."""
        found = dict(embedded) | dict(self.everywhere)
        for pattern, facts in self.by_pattern.items():
            if fnmatch(path.name, pattern) or fnmatch(path.as_posix(), pattern) or fnmatch(path.as_posix(), f"*/{pattern}"):  # fmt: skip
                found |= facts
        return {name: self._typed(path.name, name, value) for name, value in (found | dict(self.told)).items()}

    def _typed(self, file: str, name: str, text: str) -> object:
        choices = {"use_case_id": tuple(self.use_cases), "accelerator_id": self.accelerators, "model": self.models}
        allowed = choices.get(name, ())
        if allowed and text not in allowed:
            raise InputError.at(file, "is not known to the workspace.", column=name, value=text[:80], choices=allowed)
        return typed(file, _field(name), text)


def _field(name: str) -> Field:
    if name in OWN:
        return OWN[name]
    return next(item for item in load_contract("benchmarks").fields if item.name == name)


def typed(file: str, item: Field, text: str) -> object:
    """A fact in the type and bounds of its column.

    Raises
    ------
    InputError
        With file, name, value and rule.
    """
    import re

    try:
        value: object = {
            "integer": lambda: int(text),
            "number": lambda: float(text),
            "boolean": lambda: {"true": True, "false": False}[text.casefold()],
            "date": lambda: pd.to_datetime(text, format="%Y-%m-%d"),
        }.get(item.type, lambda: text)()
    except (ValueError, KeyError, OverflowError):
        kinds = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "date": "a date such as 2026-11-20"}  # fmt: skip
        raise InputError.at(file, f"must be {kinds[item.type]}", column=item.name, value=text[:80]) from None
    if item.enum and text not in item.enum:
        raise InputError.at(file, "is no value of it.", column=item.name, value=text[:80], choices=item.enum)
    low = item.minimum if item.minimum is not None else item.exclusive_minimum
    outside = isinstance(value, (int, float)) and low is not None and (value < low or value != value or value > 1e15 or (value == low and item.minimum is None))  # fmt: skip
    if outside or (item.pattern and not re.fullmatch(item.pattern, text)):
        raise InputError.at(file, f"must be {item.rule}", column=item.name, value=text[:80])
    return value


def said_facts(pairs: list[str]) -> dict[str, str]:
    """Facts of options `name=value`; the last of a name counts."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not value.strip():
            raise InputError.at("--set", "must be name=value, such as accelerators=8", value=pair[:80])
        found[_known("--set", name.strip())] = value.strip()
    return found


def read_facts(target: Target, use_cases: Mapping[str, str], accelerators: tuple[str, ...], models: tuple[str, ...]) -> Facts:  # fmt: skip
    """Facts of the options and the mapping of a command."""
    told = dict(target.facts)
    told |= {name: value for name, value in (("use_case_id", target.use_case), ("accelerator_id", target.accelerator)) if value}  # fmt: skip
    for option, value in (("--region", target.region), ("--first-day", target.first_day), ("--period", target.period)):
        if value:
            raise InputError.at(option, "is no fact of a benchmark: regions and prices come from the workspace", value=value)  # fmt: skip
    held = read_yaml(target.mapping) if target.mapping else {}
    where = target.mapping.name if target.mapping else ""
    unknown = next((str(name) for name in held if name not in PARTS), "")
    if unknown:
        raise InputError.at(where, "is no part of a mapping of benchmarks.", value=unknown[:80], choices=PARTS)
    files = held.get("files") or {}
    if not isinstance(files, dict):
        raise InputError.at(where, "must hold patterns of file names, each with facts", column="files")
    return Facts(
        _texts(where, "facts", held.get("facts") or {}),
        {str(pattern): _texts(where, f"files.{pattern}", facts or {}) for pattern, facts in files.items()},
        told,
        use_cases,
        accelerators,
        models,
    )


def _texts(file: str, part: str, facts: object) -> dict[str, str]:
    if not isinstance(facts, dict):
        raise InputError.at(file, "must hold names and values", column=part)
    bad = next((str(name) for name, value in facts.items() if isinstance(value, (dict, list))), "")
    if bad:
        raise InputError.at(file, "must hold one value", column=f"{part}.{bad}")
    return {_known(file, str(name)): _text(value) for name, value in facts.items() if value is not None and value != ""}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(file: str, name: str) -> str:
    if name not in SAYABLE:
        raise InputError.at(file, "is no fact of a benchmark.", value=name[:80], choices=SAYABLE)
    return name
