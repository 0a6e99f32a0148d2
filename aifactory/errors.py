"""Errors that name file, row, column, value, rule and the nearest valid choice."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches

#: A text of more letters than this that is part of names points to those names, a few of them.
MIN_PART, MOST_NAMED = 2, 4
#: No space left, quota used up, file larger than allowed.
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full_disk(error: OSError) -> bool:
    """Whether nothing could be written for want of room.

    >>> is_full_disk(OSError(errno.ENOSPC, "No space left on device")), is_full_disk(FileNotFoundError())
    (True, False)
    """
    return error.errno in FULL_DISK


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
        return cls(f"{place}:{shown} {with_nearest(rule, value if value is not None else column, choices)}")


class StageError(AIFactoryError):
    """A stage that failed while it ran (exit code 1)."""


class IdentityError(AIFactoryError):
    """Two figures that must be equal are not: a defect, never the analyst's fault."""


def with_nearest(rule: str, value: object, choices: Iterable[str]) -> str:
    """Return a rule as a sentence followed by the nearest valid choice; the rule as it is without choices.

    >>> with_nearest("must be one of on_demand, spot", "on demand", ["on_demand", "spot"])
    "must be one of on_demand, spot. Did you mean 'on_demand'?"
    >>> with_nearest("is missing", "x", [])
    'is missing'
    """
    hint = nearest(value, choices)
    return f"{rule.rstrip('.')}.{hint}" if hint else rule


def nearest(value: object, choices: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, or the allowed values, or nothing without choices.

    >>> nearest("nvidia-h10", ["nvidia-h100-sxm", "google-tpu-v6e"])
    " Did you mean 'nvidia-h100-sxm'?"
    >>> nearest("h200", ["nvidia-h100-sxm", "nvidia-h200-sxm", "nvidia-h200-nvl"])
    " Did you mean 'nvidia-h200-sxm' or 'nvidia-h200-nvl'?"
    >>> nearest("zzz", ["a", "b"])
    ' Allowed: a, b.'
    """
    names = list(dict.fromkeys(str(choice) for choice in choices))
    if not names:
        return ""
    text = str(value).casefold()
    close = get_close_matches(str(value), names, n=1, cutoff=0.6)
    if not close and len(text) > MIN_PART:
        close = [name for name in names if text in name.casefold()][:MOST_NAMED]
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f" Allowed: {shown}."
