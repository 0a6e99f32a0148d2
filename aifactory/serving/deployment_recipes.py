"""Workers and ranks of deployments that do not state them, after the nearest deployment that does.

Tables of disaggregated deployments repeat many of them without workers and with attention ranks lost in the tensor
degree. Those who write recipes choose them by load, lengths and engine, and make the requests at a time a multiple of
workers x ranks (so all stated ones are): the nearest stated recipe of equal decode workers tells both. Held back, a
recipe's log workers are so missed by 0.17 (0.51 by the typical ones, `deployment_layout.TYPICAL_WORKERS`) and its
kind of ranks in 4 %. Only layouts are compared, never what was measured.

Engines that do both are listed too: by campaign (release, date, accelerator), numbered rows by numbered rows. A model
that was published with a layer proposing further tokens is measured without it for the list and with it in a campaign
of its own, at the same release: under one load of DeepSeek-R1 on TensorRT-LLM 1.4 to 2.3 times faster.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from aifactory.serving.deployment_layout import AGGREGATED, DISAGGREGATED

#: Distance of recipes of another accelerator, engine, release, precision; of loads that they do not divide.
OTHER = {"chip": 0.5, "backend": 1.5, "version": 0.6, "precision": 0.5}
UNDIVIDED, LENGTHS = 1.5, {"concurrency": 0.8, "isl": 1.2, "osl": 1.2, "prefill_gpus": 1.0}
#: One deployment listed twice, with its layout and without.
SAME = ("chip", "architecture", "version", "precision", "isl", "osl", "concurrency")
TAKEN = ("gpus", "prefill_gpus", "workers", "prefill_workers")
TWIN, ALONE = "twin", "alone"
#: Architectures published with a layer that proposes further tokens, by what their names begin with.
PROPOSING = ("deepseek-v3", "qwen3.5", "qwen3-next", "glm-4.5", "glm-4.6", "glm-4.7")
#: What was measured with one release on one accelerator; those of one day.
RELEASE = ("architecture", "version", "chip")
CAMPAIGN = (*RELEASE, "measured_on")


def with_recipes(d: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Layouts of `with_layout` with those of unknown workers taken from the nearest stated recipe of `d` or `others`.

    `layout` becomes `TWIN` where the same deployment is stated too, `ALONE` where stated ones of its accelerator and
    release lack it: tables with workers leave out what was served with speculated tokens. `taken` says whose workers a
    recipe told.
    """
    d = d.assign(layout=d["read"], taken=False)
    known = d if others is None else pd.concat([d, others.assign(layout=others["read"])])
    known = known[known["layout"].eq("stated") & known["split"].eq(DISAGGREGATED)]
    known = known.sort_values(
        [*SAME, *TAKEN, "ranks"], kind="stable"
    )  # the first of the nearest is no matter of the file's order
    asked = d[d["layout"].str.endswith("of unknown workers")]
    if known.empty or asked.empty:
        return d
    far = _distance(asked, known)
    nearest = far.argmin(axis=1)
    found = np.isfinite(far[np.arange(len(asked)), nearest])
    place, recipe = asked.index[found], known.iloc[nearest[found]]
    free = asked.loc[place, "layout"].str.startswith("unfit").to_numpy()
    for name in TAKEN:
        own = d.loc[place, name].to_numpy()
        d.loc[place, name] = np.where(free | ("workers" in name), recipe[name].to_numpy(), own)
    d.loc[place, "taken"] = True
    d.loc[place, "ranks"] = np.minimum(recipe["ranks"].to_numpy(), d.loc[place, "gpus"].to_numpy())
    return d.assign(layout=_said(d, asked, known))


def with_speculated(d: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add `speculated`: `ALONE`, or a model of `PROPOSING` on an engine that does both in a campaign that no list holds.

    A dated campaign without a numbered row in `d` or `others`, where another of its release and accelerator has some.
    """
    known = d if others is None else pd.concat([d, others])
    listed = known[known["config_id"].ne("") & known["split"].eq(AGGREGATED)]
    told = lambda names: pd.MultiIndex.from_frame(d[list(names)]).isin(pd.MultiIndex.from_frame(listed[list(names)]))  # noqa: E731
    apart = told(RELEASE) & ~told(CAMPAIGN) & d["measured_on"].ne("") & d["split"].eq(AGGREGATED)
    return d.assign(speculated=d["layout"].eq(ALONE) | (apart & d["architecture"].str.startswith(PROPOSING)))


def _distance(asked: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Shape (asked, known); infinite between decode workers of different sizes, unless the size was not described."""
    total = np.zeros((len(asked), len(known)))
    for name, weight in OTHER.items():
        total += weight * (asked[name].to_numpy()[:, None] != known[name].to_numpy()[None, :])
    for name, length in LENGTHS.items():
        total += 0.5 * (np.log(asked[name].to_numpy()[:, None] / known[name].to_numpy()[None, :]) / length) ** 2
    together = (known["workers"] * known["ranks"]).to_numpy()[None, :]
    total += UNDIVIDED * (np.mod(asked["concurrency"].to_numpy()[:, None], together) > 0)
    described = ~asked["layout"].str.startswith("unfit").to_numpy()[:, None]
    unequal = asked["gpus"].to_numpy()[:, None] != known["gpus"].to_numpy()[None, :]
    return np.where(described & unequal, np.inf, total)


def _said(d: pd.DataFrame, asked: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    has = lambda names: pd.MultiIndex.from_frame(asked[names]).isin(pd.MultiIndex.from_frame(known[names]))  # noqa: E731
    twin, measured = has(list(SAME)), has(["chip", "version"])
    said = np.select([twin, measured], [TWIN, ALONE], asked["layout"])
    return d["layout"].mask(d.index.isin(asked.index), pd.Series(said, index=asked.index))
