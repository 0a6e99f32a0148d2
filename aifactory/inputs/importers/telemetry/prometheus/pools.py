"""Accelerators of a server, as DCGM and Triton report them, into the table `pools`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd

from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.telemetry.prometheus.aliases import metric_table
from aifactory.inputs.importers.telemetry.prometheus.answers import Series
from aifactory.inputs.importers.telemetry.prometheus.assemble import (
    NOBODY,
    Month,
    finite,
    first_label,
    region_of,
    window_edges,
)
from aifactory.inputs.importers.telemetry.prometheus.counters import counter_increase
from aifactory.inputs.importers.telemetry.prometheus.live import Samples
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_source
from aifactory.inputs.telemetry import conform

POOL_LABELS = ("pool", "node_pool", "nodepool", "cluster", "exported_namespace", "Hostname", "instance")
MODEL_LABELS = ("modelName", "gpu_model", "model")
DEVICE_LABELS = ("UUID", "gpu_uuid", "Hostname", "instance", "gpu", "device")
#: Canonical names that can stand for the share of time in use, the best one first.
IN_USE = ("device_utilization", "device_engine_active")
ANY = "*"
DCGM = "DCGM exporter"
J_PER_KWH = 3.6e6


@cache
def device_names() -> dict[str, str]:
    """Device name -> accelerator of the bundled catalogue. A part of a name is not enough: an A100 has 40 or 80 GB."""
    table = read_source(data_dir() / "catalogue" / "accelerator_aliases.csv", load_contract("accelerator_aliases"))
    named = table[table["kind"] == "device_name"]
    return dict(zip(map(_plain, named["alias"]), named["accelerator_id"], strict=True))


def _plain(name: str) -> str:
    return name.lower().removeprefix("nvidia ").removeprefix("amd instinct ").strip()


@dataclass(frozen=True)
class PoolNames:
    """What the labels of a device do not say: pool, region, accelerator, how it is paid for."""

    region: str = ""
    accelerator: str = ""
    labels: dict[str, str] = field(default_factory=dict)  # `pool`, `region`: labels that hold them
    pools: dict[str, str] = field(default_factory=dict)  # value of the label -> pool
    accelerators: dict[str, str] = field(default_factory=dict)  # model in the label -> accelerator of the catalogue
    purchase_options: dict[str, str] = field(default_factory=dict)  # pool, or *, -> purchase option

    @classmethod
    def of(cls, target: Target) -> PoolNames:
        """What the analyst said."""
        return cls(
            target.region, target.accelerator, target.labels, target.pools, target.accelerators, target.purchase_options
        )

    def pool(self, labels: dict[str, str]) -> str:
        """Pool of a device."""
        found = first_label(labels, [self.labels["pool"]] if "pool" in self.labels else POOL_LABELS)
        return self.pools.get(found, self.pools.get(ANY, found or NOBODY))

    def chip(self, labels: dict[str, str]) -> str:
        """Accelerator of a device: by the mapping, the argument, or its exact name in the catalogue; else empty."""
        model = first_label(labels, MODEL_LABELS)
        return self.accelerators.get(model) or self.accelerator or device_names().get(_plain(model), "")


def add_pools(month: Month, samples: Samples, names: PoolNames) -> None:
    """Windows by pool: devices seen, mean utilisation, sum of their mean power.

    Rows need pool, region, accelerator and purchase option; devices that lack one are named and only
    reported, not written.
    """
    table = metric_table()
    by: dict[str, list[tuple[str, Series]]] = {}
    for metric, series in samples.series.items():
        canonical = str(table["canonical"][metric])
        if canonical.startswith("device_"):
            clean = finite(metric, series, month.warnings)
            by.setdefault(canonical, []).extend((metric, one) for one in clean)
            _doubt_percent(metric, clean, month)
    used = next((name for name in IN_USE if name in by), "")
    if not used:
        return
    by = _one_exporter(by, used, month)
    edges = window_edges(samples.start, samples.end, month.window_minutes)
    frame = _means(by[used], edges, names).rename(columns={"value": "utilization"})
    if by.get("device_power_w"):
        power = _means(by["device_power_w"], edges, names).rename(columns={"value": "power_w"})
        frame = frame.merge(power, how="left", on=list(frame.columns.drop("utilization")))
    else:
        frame["power_w"] = np.nan
    month.devices = _devices(frame, by.get("device_energy_j", []), names, edges)
    month.pools = _rows(_complete(frame, month, names), edges, month.window_minutes)


def _one_exporter(
    by: dict[str, list[tuple[str, Series]]], used: str, month: Month
) -> dict[str, list[tuple[str, Series]]]:
    """Devices of one exporter: two of them tell of the same devices, often under other labels."""
    engines = metric_table()["engine"]
    found = list(dict.fromkeys(engines[metric] for metric, _ in by[used]))
    kept = DCGM if DCGM in found else found[0]
    others = sum(engines[metric] != kept for held in by.values() for metric, _ in held)
    if others:
        month.warnings.append(
            (f"series of accelerators beside those of {kept}, left out: they may be the same", others)
        )
    return {name: [item for item in held if engines[item[0]] == kept] for name, held in by.items()}


def _doubt_percent(metric: str, series: list[Series], month: Month) -> None:
    if metric_table()["unit"][metric] != "percent" or not series:
        return
    values = np.concatenate([one.values for one in series])
    if len(values) and 0 < values.max() <= 1 and (values % 1 != 0).any():
        text = f"{metric}: a percentage is due and no sample is above 1: fractions in a column of percent?"
        month.warnings.append((text, len(values)))


def _device(labels: dict[str, str]) -> str:
    return labels.get("UUID") or labels.get("gpu_uuid") or "/".join(labels.get(name, "") for name in DEVICE_LABELS)


def _means(found: list[tuple[str, Series]], edges: np.ndarray, names: PoolNames) -> pd.DataFrame:
    """Mean value of each device and window."""
    parts = []
    for metric, one in found:
        inside = (one.times >= edges[0]) & (one.times < edges[-1])
        window = np.searchsorted(edges, one.times[inside], side="right") - 1
        value = one.values[inside] * float(metric_table()["factor"][metric])
        what = {"pool_id": names.pool(one.labels), "region": region_of(one.labels, names.labels) or names.region}
        what |= {"accelerator_id": names.chip(one.labels), "model": first_label(one.labels, MODEL_LABELS)}
        parts.append(pd.DataFrame({"window": window, "device": _device(one.labels), "value": value}).assign(**what))
    keys = ["pool_id", "region", "accelerator_id", "model", "device", "window"]
    return pd.concat(parts, ignore_index=True).groupby(keys, as_index=False)["value"].mean()


def _complete(frame: pd.DataFrame, month: Month, names: PoolNames) -> pd.DataFrame:
    """Devices of which pool, region, accelerator and purchase option are known."""
    option = frame["pool_id"].map(lambda pool: names.purchase_options.get(pool, names.purchase_options.get(ANY, "")))
    frame = frame.assign(purchase_option=option)
    asks = {
        "accelerator_id": "name the accelerator of the catalogue in the mapping, `accelerators: {{{}: ...}}`",
        "region": "say the region with --region ({})",
        "purchase_option": "say how they are paid for in the mapping, `purchase_options: {{{}: on_demand}}`",
    }
    told = frame["model"].isin(list(names.accelerators)) | bool(names.accelerator) | (frame["accelerator_id"] == "")
    if not told.all():
        pairs = frame.loc[~told, ["model", "accelerator_id"]].drop_duplicates()
        shown = ", ".join(f"{model} is {chip}" for model, chip in pairs.itertuples(index=False))
        month.warnings.append((f"devices known by their name: {shown}", int(frame.loc[~told, "device"].nunique())))
    complete = pd.Series(data=True, index=frame.index)
    for column, ask in asks.items():
        lacking = frame[column] == ""
        if lacking.any():
            shown = sorted(set(frame.loc[lacking, "model" if column == "accelerator_id" else "pool_id"]))
            text = f"devices without {column.replace('_', ' ')} are reported, not written to pools; {ask.format(', '.join(shown[:4]))}"
            month.warnings.append((text, int(frame.loc[lacking, "device"].nunique())))
        complete &= ~lacking
    return frame[complete]


def _rows(frame: pd.DataFrame, edges: np.ndarray, window_minutes: int) -> pd.DataFrame:
    """Rows of the table `pools`; a pool of several accelerators becomes one pool each."""
    if not len(frame):
        return conform(pd.DataFrame(), "pools")
    several = frame.groupby("pool_id")["accelerator_id"].transform("nunique") > 1
    frame = frame.assign(pool_id=frame["pool_id"].where(~several, frame["pool_id"] + "--" + frame["accelerator_id"]))
    keys = ["pool_id", "region", "accelerator_id", "purchase_option", "window"]
    grouped = frame.groupby(keys, as_index=False)
    rows = grouped.agg(installed=("device", "nunique"), utilization=("utilization", "mean"))
    rows["power_w"] = grouped["power_w"].sum(min_count=1)["power_w"]
    rows = rows.assign(utilization=rows["utilization"].round(9), power_w=rows["power_w"].round(6))
    start = pd.to_datetime(edges[rows["window"]].astype("int64"), unit="s", utc=True)
    table = rows.assign(
        window_start_utc=start, window_minutes=window_minutes, installed=rows["installed"].astype(float)
    )
    return conform(table.sort_values(["window_start_utc", "pool_id"], ignore_index=True), "pools")


def _devices(
    frame: pd.DataFrame, energy: list[tuple[str, Series]], names: PoolNames, edges: np.ndarray
) -> dict[str, dict[str, float]]:
    """Devices, mean utilisation, mean power and energy of each pool, for the report."""
    found: dict[str, dict[str, float]] = {}
    for pool, part in frame.groupby("pool_id"):
        power = part.groupby("window")["power_w"].sum(min_count=1)
        found[str(pool)] = {
            "devices": int(part["device"].nunique()),
            "utilization": round(float(part["utilization"].mean()), 6),
        }
        if power.notna().any():
            found[str(pool)]["power_w"] = round(float(power.mean()), 3)
    for metric, one in energy:
        inside = (one.times >= edges[0]) & (one.times <= edges[-1])
        joules = float(counter_increase(one.values[inside]).sum()) * float(metric_table()["factor"][metric])
        held = found.setdefault(names.pool(one.labels), {})
        held["energy_kwh"] = round(held.get("energy_kwh", 0.0) + joules / J_PER_KWH, 6)
    return found
