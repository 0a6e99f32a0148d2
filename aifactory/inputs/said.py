"""Text of `plan.yaml` that must say something: an owner, a source, a reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator


def said(text: str) -> str:
    """The text; ValueError where it is blank or holds signs that cannot be printed.

    >>> said("chief financial officer")
    'chief financial officer'
    """
    if not text.strip():
        raise ValueError("must not be empty")
    if not all(sign.isprintable() or sign in "\n\t" for sign in text):
        raise ValueError("holds a sign that cannot be printed")
    return text


Said = Annotated[str, AfterValidator(said)]
