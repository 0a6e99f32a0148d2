"""Errors that name file, row, column, value, rule and the nearest valid choice."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

#: A text of more letters than this that is part of names points to those names, a few of them.
MIN_PART, MOST_NAMED = 2, 4
#: Likeness to a part of names (`nvidia-h1000` to `nvidia-h100`) from which it counts, if the whole names are less like.
LIKE_A_PART = 0.85
#: Characters of a value that are shown.
MOST_SHOWN = 200
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
        shown = f" value {_cut(repr(value))}:" if value is not None else ""
        return cls(f"{place}:{shown} {with_nearest(rule, value if value is not None else column, choices)}")


def _cut(text: str) -> str:
    """A cell as an error shows it: of a long one the beginning.

    >>> _cut("9" * 1000)[-26:]
    '999 ... (1,000 characters)'
    """
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]} ... ({len(text):,} characters)"


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


def share_hint(value: object) -> str:
    """Question behind a rule of at most 1, where the number looks like percent; else nothing.

    >>> share_hint(5), share_hint("62.5"), share_hint(250), share_hint("x")
    ('; is it percent? 5 % is 0.05', '; is it percent? 62.5 % is 0.625', '', '')
    """
    try:
        number = float(str(value))
    except ValueError:
        return ""
    return f"; is it percent? {number:g} % is {number / 100:g}" if 1 < number <= 100 else ""


def nearest(value: object, choices: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?`, or the allowed values, or nothing without choices.

    >>> nearest("nvidia-h10", ["nvidia-h100-sxm", "google-tpu-v6e"])
    " Did you mean 'nvidia-h100-sxm'?"
    >>> nearest("h200", ["nvidia-h100-sxm", "nvidia-h200-sxm", "nvidia-h200-nvl"])
    " Did you mean 'nvidia-h200-sxm' or 'nvidia-h200-nvl'?"
    >>> nearest("nvidia-h1000", ["nvidia-a10", "nvidia-h100-sxm", "nvidia-h100-nvl"])
    " Did you mean 'nvidia-h100-sxm' or 'nvidia-h100-nvl'?"
    >>> nearest("zzz", ["a", "b"])
    ' Allowed: a, b.'
    """
    names = list(dict.fromkeys(str(choice) for choice in choices))
    if not names:
        return ""
    text = str(value).casefold()
    folded = {name.casefold(): name for name in reversed(names)}
    close = [folded[name] for name in get_close_matches(text, list(dict.fromkeys(map(str.casefold, names))), n=1)]
    close = _like_a_part(text, names, close) or close
    if not close and len(text) > MIN_PART:
        close = [name for name in names if text in name.casefold()][:MOST_NAMED]
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f" Allowed: {shown}."


def _like_a_part(text: str, names: list[str], close: list[str]) -> list[str]:
    """Names of which a run of words is more like `text` than the `close` name and `LIKE_A_PART`, the most alike."""
    matcher = SequenceMatcher(b=text)

    def likeness(part: str) -> float:
        matcher.set_seq1(part)
        return matcher.ratio() if matcher.quick_ratio() >= LIKE_A_PART else 0.0

    best = {name: max(map(likeness, _runs(name.casefold())), default=0.0) for name in names}
    top = max(best.values())
    if top < LIKE_A_PART or any(likeness(name.casefold()) >= top for name in close):
        return []
    return [name for name in names if best[name] == top][:MOST_NAMED]


def _runs(name: str) -> list[str]:
    """Runs of two words and more of a name, short of all of them.

    >>> _runs("nvidia-h100-sxm")
    ['nvidia-h100', 'h100-sxm']
    """
    ends = [(found.start(), found.end()) for found in re.finditer(r"[^-\s/]+", name)]
    count = len(ends)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count) if j - i < count - 1]
    return [name[ends[i][0] : ends[j][1]] for i, j in pairs]
