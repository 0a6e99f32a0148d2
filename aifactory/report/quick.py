"""Leave out one slow import that no report needs."""

from __future__ import annotations

import sys


def quick_imports() -> None:
    """Mark `rfc3987_syntax` as absent before altair, nbformat or papermill is imported.

    jsonschema uses that library to check addresses of format `iri`, which no notebook or chart
    has, and does without it where it is absent. Building its grammar takes about one second of
    CPU in every process.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
