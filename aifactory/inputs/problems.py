"""One cell or row that breaks a rule, and the error that lists several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aifactory.errors import InputError, with_nearest

MAX_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One cell or row that breaks a rule; `row` counts the header as row 1."""

    row: int | None
    column: str
    value: str
    rule: str
    choices: tuple[str, ...] = ()

    def text(self, file: str) -> str:
        """The problem in words."""
        row = [f"row {self.row}"] if self.row is not None else []
        place = [file, *row, *([f"column {self.column!r}"] if self.column else [])]
        shown = f" value {self.value[:80]!r}:" if self.value else ""
        return f"{', '.join(place)}:{shown} {with_nearest(self.rule, self.value, self.choices)}"


def raise_problems(file: str, problems: Sequence[Problem]) -> None:
    """Raise one error that lists the first problems and counts the rest."""
    if problems:
        lines = [problem.text(file) for problem in problems[:MAX_SHOWN]]
        if len(problems) > MAX_SHOWN:
            lines.append(f"{file}: {len(problems) - MAX_SHOWN} more problems")
        raise InputError("\n".join(lines))
