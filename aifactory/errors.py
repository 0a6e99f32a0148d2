"""Errors that name file, row, column, value, rule and the nearest valid choice."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AIFactoryError(Exception):
    """Base of every error raised on purpose; its text is fit to be shown to the analyst."""


class InputError(AIFactoryError):
    """A file, table or parameter that cannot be used (exit code 2)."""

    @classmethod
    def at(
        cls,
        file: object,
        rule: str,
        *,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        choices: Iterable[str] = (),
    ) -> InputError:
        """Build the text `file, row, column: value - rule. Did you mean ...?`.

        `row` counts as a spreadsheet does: the header is row 1.
        """
        place = ", ".join(
            part
            for part in (
                str(file),
                f"row {row}" if row is not None else "",
                f"column {column!r}" if column is not None else "",
            )
            if part
        )
        shown = f" value {value!r}:" if value is not None else ""
        return cls(f"{place}:{shown} {rule}{nearest(value if value is not None else column, choices)}")


class StageError(AIFactoryError):
    """A stage that failed while it ran (exit code 1)."""


class IdentityError(AIFactoryError):
    """Two figures that must be equal are not: a defect, never the analyst's fault."""


def nearest(value: object, choices: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, or the allowed values, or nothing without choices.

    >>> nearest("nvidia-h10", ["nvidia-h100-sxm", "google-tpu-v6e"])
    " Did you mean 'nvidia-h100-sxm'?"
    >>> nearest("zzz", ["a", "b"])
    ' Allowed: a, b.'
    """
    names = list(dict.fromkeys(str(choice) for choice in choices))
    if not names:
        return ""
    close = get_close_matches(str(value), names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f" Allowed: {shown}."
