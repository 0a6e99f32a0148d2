"""What a reader needs of somebody else's file, as a contract."""

from __future__ import annotations

from aifactory.inputs.contracts import Contract, Field

#: No charge is larger; what is, is a damaged cell or another unit.
LARGEST_AMOUNT = 1e15
MISSING = ("", "NULL", "null", "NaN", "nan")


def source_contract(
    name: str,
    needed: dict[str, str],
    optional: dict[str, str] | None = None,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Contract:
    """Contract over column -> type; a needed column must be there and filled, an optional one need not.

    Numbers lie between `minimum` and `maximum`. An `amount` is exact money from 0 to below `LARGEST_AMOUNT`.
    """
    fields = [_field(column, kind, minimum, maximum, required=True) for column, kind in needed.items()]
    fields += [_field(column, kind, minimum, maximum, required=False) for column, kind in (optional or {}).items()]
    return Contract(name, name, "", tuple(fields), (), (), MISSING, ())


def _field(column: str, kind: str, minimum: float | None, maximum: float | None, *, required: bool) -> Field:
    if kind == "amount":
        return Field(column, "number", "", required=required, minimum=0.0, maximum=LARGEST_AMOUNT, exact=True)
    if kind not in ("number", "integer"):
        minimum = maximum = None
    return Field(column, kind, "", required=required, minimum=minimum, maximum=maximum)
