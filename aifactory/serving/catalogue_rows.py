"""Rows of the bundled catalogue by the names that people write; models that it does not list by their public shapes.

`data/prediction/models.csv` knows models that nobody would plan for today but traces and papers still name (Llama 2,
OPT, Falcon, ...): parameters, layers, width and KV bytes per token, verified or assumed. A model found only there is
served in 16 bits and says how well its shape is known in `provenance`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_table
from aifactory.units import counted

#: Words that name a tuning of the same shapes.
_TUNED = re.compile(r"-(instruct|chat|base|it|hf|thinking)(?=-|$)")
#: Attention of which every head keeps keys and values of its own.
_ALL_HEADS = "mha"


def catalogue_table(name: str) -> pd.DataFrame:
    """A table of the bundled catalogue."""
    path = data_dir() / "catalogue" / f"{name}.csv"
    read = read_table(path, load_contract(name))
    raise_problems(path.name, read.problems)
    return read.frame


def find_row(table: str, key: str, wanted: str, option: str) -> pd.Series:
    """Row of a catalogue table by name, in lower or upper case; one of several names joined by ` / ` will do."""
    rows = catalogue_table(table)
    number = _position(rows[key], wanted.strip().casefold(), str.casefold)
    if number is None:
        raise InputError.at(option, f"is not in the catalogue of {table}.", value=wanted, choices=rows[key])
    return rows.iloc[number]


def find_model(wanted: str, option: str) -> pd.Series:
    """Row of the models table: of the catalogue, else of the public shapes with `provenance` and 16-bit weights.

    Names are compared as written first, then without owner, hyphens and tuning (`meta-llama/Llama-2-7b-chat-hf` is
    Llama-2-7B). InputError names the nearest models of both tables.
    """
    listed, more = catalogue_table("models"), _public_shapes()
    for rows in (listed, more):
        for spelt in (str.casefold, _plain_name):
            number = _position(rows["model"], spelt(wanted.strip()), spelt)
            if number is not None:
                return rows.iloc[number]
    rule = "is neither in the catalogue of models nor among the older ones whose shape is known."
    raise InputError.at(option, rule, value=wanted, choices=[*listed["model"], *more["model"]])


def usd_per_accelerator_hour(accelerator_id: str) -> float:
    """Median over providers of the median that each asks on demand in the catalogue; NaN where there is none.

    A provider with forty regions counts as one with a single list price does.
    """
    rows = _on_demand(accelerator_id)
    return float(rows["usd_per_accelerator_hour"].astype(float).groupby(rows["provider"]).median().median())


def price_remark(accelerator_id: str) -> str:
    """Where `usd_per_accelerator_hour` is from: of whom, how many prices, of which days."""
    rows = _on_demand(accelerator_id)
    if rows.empty:
        return f"{accelerator_id}: no price on demand in the catalogue"
    days, sellers = rows["as_of"].astype(str).str[:10], sorted(rows["provider"].unique())
    each = ", each with its own median," if len(rows) > len(sellers) > 1 else ""
    return (
        f"{accelerator_id}: USD {usd_per_accelerator_hour(accelerator_id):,.2f} per accelerator-hour, the median of "
        f"{counted(len(sellers), 'provider')} ({', '.join(sellers)}){each} of {counted(len(rows), 'price')} on demand in the "
        f"catalogue, {days.min()} to {days.max()}"
    )


def _on_demand(accelerator_id: str) -> pd.DataFrame:
    prices = catalogue_table("prices")
    return prices[(prices["accelerator_id"] == accelerator_id) & (prices["purchase_option"] == "on_demand")]


def _position(names: pd.Series, called: str, spelt: Callable[[str], str]) -> int | None:
    """Place of the first entry that goes by a name, whole or as one of its parts joined by ` / `.

    A part that begins with a number continues the first: `Llama-3.1-70B / 3.3-70B` is Llama-3.3-70B too.
    """
    for number, name in enumerate(names.astype(str)):
        parts = name.split(" / ")
        family = name.split("-")[0]
        whole = (f"{family}-{part}" for part in parts if part[:1].isdigit())
        if called in {spelt(part) for part in (name, *parts, *whole)}:
            return number
    return None


def _plain_name(name: str) -> str:
    """Name without owner, tuning, case and separators but those between digits.

    >>> _plain_name("meta-llama/Llama-2-7b-chat-hf"), _plain_name("Qwen1.5-72B"), _plain_name("mistral-7b-instruct-v0.3")
    ('llama2-7b', 'qwen1.5-72b', 'mistral7bv0.3')
    """
    short = name.casefold().split("/")[-1].replace("_", "-").strip()
    return re.sub(r"(?<!\d)[^a-z0-9.]+|[^a-z0-9.]+(?!\d)", "", _TUNED.sub("", short))


def _public_shapes() -> pd.DataFrame:
    """Models with a known KV cache that the catalogue lacks, in the columns of its table and `provenance`."""
    rows = pd.read_csv(data_dir() / "prediction" / "models.csv")
    rows = rows[rows["kv_bytes_per_token_bf16"] > 0].reset_index(drop=True)
    columns = catalogue_table("models").columns
    verified = rows["verified"].isin(["y", "yes"])
    said = rows["model"] + verified.map(
        {True: ": shape verified, ", False: ": shape assumed, verify before a decision, "}
    )
    return rows.reindex(columns=columns).assign(
        kind=(rows["params_active_b"] < rows["params_total_b"]).map({True: "llm-moe", False: "llm"}),
        attention_heads=rows["kv_heads"].where(rows["attention"] == _ALL_HEADS),
        default_precision="bf16",
        provenance=said + rows["source"] + " (" + rows["as_of"] + "); weights in 16 bits where no precision is given",
    )
