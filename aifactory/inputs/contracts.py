"""Contracts: one Frictionless Table Schema per table, read by loader, checks, templates and docs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aifactory.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

CONTRACTS_DIR = Path(__file__).parent / "contracts"
#: Patterns of the contracts in words.
FORMS = {
    "[a-z0-9][a-z0-9._-]{0,63}": "my-name.2 (lower-case letters, digits, '.', '_' and '-', at most 64, a letter or digit first)",
    "[a-z0-9_]+": "my_item (lower-case letters, digits and '_')",
    r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?": "2028, 2028-05 or 2028-05-31",
    "[A-Z]{3}": "USD",
    "[0-9a-f]{64}": "a SHA-256 in 64 hexadecimal digits",
}


@dataclass(frozen=True)
class Field:
    """One column: its type, unit and bounds."""

    name: str
    type: str
    description: str
    unit: str = ""
    exact: bool = False
    required: bool = False
    unique: bool = False
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    enum: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def dtype(self) -> str:
        """Pandas dtype of the column; exact numbers are `decimal.Decimal` objects."""
        if self.exact:
            return "object"
        whole = "int64" if self.required else "Int64"
        return {
            "number": "float64",
            "integer": whole,
            "boolean": "boolean",
            "datetime": "datetime64[us, UTC]",
            "date": "datetime64[us]",
        }.get(self.type, "str")

    @property
    def rule(self) -> str:
        """The bounds in words."""
        parts = [f"{self.minimum:g} or more"] if self.minimum is not None else []
        parts += [f"above {self.exclusive_minimum:g}"] if self.exclusive_minimum is not None else []
        parts += [f"at most {self.maximum:g}"] if self.maximum is not None else []
        parts += [f"one of {', '.join(self.enum)}"] if self.enum else []
        parts += [f"of the form {FORMS.get(self.pattern, self.pattern)}"] if self.pattern else []
        parts += ["unique"] if self.unique else []
        return "; ".join(parts)


@dataclass(frozen=True)
class ForeignKey:
    """A column whose values must exist in a column of another table."""

    column: str
    table: str
    reference: str


@dataclass(frozen=True)
class Contract:
    """One table."""

    name: str
    title: str
    description: str
    fields: tuple[Field, ...]
    primary_key: tuple[str, ...]
    foreign_keys: tuple[ForeignKey, ...]
    missing_values: tuple[str, ...]
    used_by: tuple[str, ...]
    keeps_extra: bool = False  # x_ columns are expected and need no warning

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return [field.name for field in self.fields]

    def field(self, name: str) -> Field:
        """The column with that name."""
        return next(field for field in self.fields if field.name == name)

    def empty(self) -> pd.DataFrame:
        """A frame without rows, with every column in its dtype."""
        return self._without_rows.copy(deep=False)

    @cached_property
    def _without_rows(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({field.name: pd.Series(dtype=field.dtype) for field in self.fields})


@cache
def load_contract(name: str) -> Contract:
    """Read a contract; an unknown table fails with the nearest name."""
    path = CONTRACTS_DIR / f"{name}.json"
    if not path.is_file():
        raise InputError.at("contracts", "no such table.", value=name, choices=contract_names())
    schema = json.loads(path.read_text(encoding="utf-8"))
    return Contract(
        name=schema["name"],
        title=schema["title"],
        description=schema["description"],
        fields=tuple(_field(item) for item in schema["fields"]),
        primary_key=tuple(schema.get("primaryKey", ())),
        foreign_keys=tuple(
            ForeignKey(key["fields"][0], key["reference"]["resource"], key["reference"]["fields"][0])
            for key in schema.get("foreignKeys", ())
        ),
        missing_values=tuple(schema["missingValues"]),
        used_by=tuple(schema["usedBy"]),
        keeps_extra=schema.get("keepsExtra", False),
    )


@cache
def contract_names() -> tuple[str, ...]:
    """Names of all tables, sorted."""
    return tuple(sorted(path.stem for path in CONTRACTS_DIR.glob("*.json")))


def _field(item: dict[str, Any]) -> Field:
    rules = item.get("constraints", {})
    return Field(
        name=item["name"],
        type=item["type"],
        description=item["description"],
        unit=item.get("unit", ""),
        exact=item.get("exact", False),
        required=rules.get("required", False),
        unique=rules.get("unique", False),
        minimum=rules.get("minimum"),
        maximum=rules.get("maximum"),
        exclusive_minimum=rules.get("exclusiveMinimum"),
        enum=tuple(rules.get("enum", ())),
        pattern=rules.get("pattern", ""),
    )


def pandera_schema(contract: Contract) -> Any:
    """The contract's bounds as a pandera schema; types are settled before it is applied."""
    import pandera.pandas as pa

    def checks(field: Field) -> list[pa.Check]:
        found = []
        if field.minimum is not None:
            found.append(pa.Check.ge(field.minimum))
        if field.exclusive_minimum is not None:
            found.append(pa.Check.gt(field.exclusive_minimum))
        if field.maximum is not None:
            found.append(pa.Check.le(field.maximum))
        if field.enum:
            found.append(pa.Check.isin(field.enum))
        if field.pattern:
            found.append(pa.Check.str_matches(rf"\A(?:{field.pattern})\Z"))
        return found

    return pa.DataFrameSchema(
        {
            field.name: pa.Column(checks=checks(field), nullable=not field.required, unique=field.unique)
            for field in contract.fields
        }
    )


def document() -> str:
    """All contracts as Markdown, for `data/README.md`."""
    return "\n".join(_document(load_contract(name)) for name in contract_names())


def _document(contract: Contract) -> str:
    head = f"## {contract.name}\n\n{contract.title}. {contract.description}\n\n"
    head += f"Used by: {', '.join(contract.used_by)}.\n\n"
    head += "| column | type | unit | required | rule | meaning |\n|---|---|---|---|---|---|\n"
    rows = [
        f"| {f.name} | {'exact number' if f.exact else f.type} | {f.unit} | {'yes' if f.required else ''} "
        f"| {f.rule.replace('|', chr(92) + '|')} | {f.description.replace('|', chr(92) + '|')} |\n"
        for f in contract.fields
    ]
    return head + "".join(rows)
