"""What a reader needs of somebody else's file, as a contract."""

from __future__ import annotations

from aifactory.inputs.contracts import Contract, Field

MISSING = ("", "NULL", "null", "NaN", "nan")


def source_contract(
    name: str, needed: dict[str, str], optional: dict[str, str] | None = None, *, minimum: float | None = None
) -> Contract:
    """Contract over column -> type; a needed column must be there and filled, an optional one need not.

    No number is below `minimum`.
    """
    least = dict.fromkeys(("number", "integer"), minimum)
    fields = [Field(column, kind, "", required=True, minimum=least.get(kind)) for column, kind in needed.items()]
    fields += [Field(column, kind, "", minimum=least.get(kind)) for column, kind in (optional or {}).items()]
    return Contract(name, name, "", tuple(fields), (), (), MISSING, ())
