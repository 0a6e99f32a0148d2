"""Devices that a SkyPilot catalogue lists without the instance that holds them."""

from __future__ import annotations

import math
import re

import pandas as pd

from aifactory.inputs.importers.prices.names import Names
from aifactory.inputs.importers.prices.offers import Found

#: Instance of TPUs of any size.
TPU_HOST = "TPU-VM"
#: Memory of a device that SkyPilot lists by its bare name, GB: the larger one has it in its name (A100-80GB).
BARE_GB = {"A100": 40.0, "V100": 16.0}
MIB_GB = 2**20 / 1e9


def with_hosts(rows: pd.DataFrame, hosts: pd.DataFrame, names: Names, found: Found) -> pd.DataFrame:
    """Rows with the instance and its price where they name devices alone: the cheapest host of the region made for so many of them.

    rows : InstanceType, AcceleratorName, AcceleratorCount, Region, price and spot of each zone; hosts : rows without accelerators,
    with theirs. Devices whose host is not known by the catalogue or not in the file are left out. TPUs hold their host.
    """
    bare = (rows["InstanceType"].str.strip() == "") & ~rows["AcceleratorName"].str.match(r"(?i)\s*tpu")
    if not bare.any():
        return rows
    spot = hosts["spot"].where(hosts["spot"] > 0)
    priced = hosts.assign(spot=spot).groupby(["Region", "InstanceType"], as_index=False)[["price", "spot"]].median()
    parts = [rows[~bare]]
    for (device, count, region), group in rows[bare].groupby(
        ["AcceleratorName", "AcceleratorCount", "Region"], sort=False
    ):
        many = pd.to_numeric(count, errors="coerce")
        accelerator, many, why_not = names.find("", device, many, gpu_memory(group.iloc[0].get("GpuInfo", ""), device))
        fits = {name for name, held in names.types.items() if held == (accelerator, many)}
        there = priced[
            (priced["Region"] == region) & priced["InstanceType"].str.lower().isin(fits) & (priced["price"] > 0)
        ]
        if why_not or there.empty:
            found.left_out[why_not or "accelerators without the price of their host"] += 1
            continue
        host = there.loc[there["price"].idxmin()]
        both = {name: group[name] + host[name] for name in ("price", "spot")}
        parts.append(group.assign(InstanceType=host["InstanceType"], **both))
    return pd.concat(parts, ignore_index=True)


def gpu_memory(text: str, device: str) -> float:
    """Memory of one device, GB, from the GpuInfo cell (a Python literal), else that which SkyPilot means by the bare name.

    >>> gpu_memory("{'Gpus': [{'MemoryInfo': {'SizeInMiB': 40960}}]}", "A100"), gpu_memory("", "A100"), gpu_memory("", "L4")
    (42.94967296, 40.0, nan)
    """
    match = re.search(r"'SizeInMiB': (\d+)", str(text))
    return float(match.group(1)) * MIB_GB if match else BARE_GB.get(device, math.nan)
