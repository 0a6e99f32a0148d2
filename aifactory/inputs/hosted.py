"""Use cases whose model is sold hosted only: nobody can load its weights, so no accelerator is to be chosen for them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from aifactory.inputs.workspace import Workspace

API_SUFFIX = "-instruct"
#: What stands for the accelerator of a hosted model.
HOSTED = "(hosted)"
HOSTED_ONLY = "its model is hosted only: no accelerator runs it"
#: Why a use case of an open model is not in a plan: staying where it is costs less.
STAYS_HOSTED = "it stays on the hosted model that it runs on today"
#: Why a use case that a bill charges for hosted models alone is not in a plan, where nothing is known of it on accelerators.
RUNS_HOSTED = "it runs on a hosted model today, and no accelerator of the plan is known to carry it"
#: Reasons that leave nothing to benchmark: the work runs at a seller of models.
RUN_BY_SELLERS = (HOSTED_ONLY, STAYS_HOSTED)


def model_key(name: str) -> str:
    """Reduce the name of a model to what hosted offers and the model table have in common.

    >>> model_key("together_ai/meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo")
    'llama318b'
    >>> model_key("meta.llama3-1-8b-instruct-v1:0"), model_key("Llama-3.1-70B / 3.3-70B")
    ('llama318b', 'llama3170b')
    """
    last = name.split(" / ")[0].split("/")[-1].lower().removeprefix("openai.")
    bare = last.split(API_SUFFIX)[0].removeprefix("meta-").removeprefix("meta.")
    return "".join(letter for letter in bare if letter.isalnum())


def model_keys(name: str) -> frozenset[str]:
    """Keys of all the models that a row names, divided by " / "; one that begins with its version is of the family before.

    >>> sorted(model_keys("Llama-3.1-70B / 3.3-70B"))
    ['llama3170b', 'llama3370b']
    """
    first, *others = name.split(" / ")
    family = re.match(r"\D*", first).group()
    return frozenset(model_key(part if not part[:1].isdigit() else family + part) for part in (first, *others))


def closed_models(named: pd.Series, models: Iterable[str], api_models: Iterable[str]) -> pd.Series:
    """Which names are of models with a hosted price whose weights no model table describes; names count as `model_key` spells them."""
    closed = set(map(model_key, api_models)) - {key for name in models for key in model_keys(name)}
    return named.map(lambda name: isinstance(name, str) and model_key(name) in closed).astype(bool)


def hosted_only(ws: Workspace) -> frozenset[str]:
    """Use cases of a workspace whose model is sold hosted only."""
    cases = ws.table("use_cases")
    closed = closed_models(cases["model"], ws.table("models")["model"], ws.table("api_prices")["api_model"])
    return frozenset(cases.loc[closed, "use_case_id"])
