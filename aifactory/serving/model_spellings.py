"""Names of models in one file that another file spells otherwise, as on a hub: with publisher and tuning."""

from __future__ import annotations

import re

import pandas as pd

#: Words that name a tuning of the same weights' shapes, or the form they are stored in.
_TUNING = re.compile(r"-(instruct|chat|hf|it|v0\.\d)(?![a-z0-9])")


def bare_name(name: str) -> str:
    """Name of a model without publisher, tuning, case and separators.

    >>> bare_name("meta-llama/Meta-Llama-3.1-8B-Instruct"), bare_name("llama3.1-8b"), bare_name("command-r+")
    ('llama3.18b', 'llama3.18b', 'commandr+')
    """
    short = name.casefold().rsplit("/", 1)[-1].replace("_", "-").replace(" ", "-")
    return re.sub(r"[^a-z0-9.+]+", "", _TUNING.sub("", short)).removeprefix("meta")


def as_spelt_in(names: pd.Series, known: pd.Series) -> pd.Series:
    """Names that `known` lacks by the one name there that is the same bare one; where several are, they stay."""
    there = pd.Series(known[known != ""].unique(), dtype="str")
    key = there.map(bare_name).astype("str")
    single = ~key.duplicated(keep=False)
    spelling = dict(zip(key[single], there[single], strict=True))
    held = set(there)
    return names.map({name: name if name in held else spelling.get(bare_name(name), name) for name in names.unique()})
