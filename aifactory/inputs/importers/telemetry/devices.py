"""Samples of accelerators in a table (a log of `nvidia-smi`, an export of a dashboard) into the table `pools`.

The columns are known by usual names, or named in the mapping: `timestamp`, `device`, and
`utilization_percent` or `utilization` (a fraction); `host`, `power_w`, `model`, `pool` and `region` if they are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.source import source_contract
from aifactory.inputs.importers.telemetry.prometheus.answers import Series
from aifactory.inputs.importers.telemetry.prometheus.live import Samples
from aifactory.inputs.problems import raise_problems
from aifactory.inputs.tables import type_table

FORMAT = "samples of accelerators"
FASTER = "samples of a device at the time of another one, second by second: taken as one host's, faster than its stamps tell; if these are several hosts, name each in a column host"
NAMES = {
    "timestamp": ("timestamp", "timestamp_utc", "time", "ts"),
    "device": ("device", "uuid", "gpu_uuid", "device_id", "gpu_id", "gpu", "gpu_index", "index"),
    "host": ("host", "hostname", "node", "node_name", "server", "instance"),
    "utilization_percent": (
        "utilization_percent",
        "gpu_util_percent",
        "utilization.gpu [%]",
        "utilization.gpu",
        "dcgm_fi_dev_gpu_util",
    ),
    "utilization": ("utilization", "gpu_utilization", "dcgm_fi_prof_gr_engine_active"),
    "power_w": ("power_w", "power.draw [w]", "power.draw", "power_usage_w", "dcgm_fi_dev_power_usage"),
    "model": ("model", "name", "gpu_name", "modelname"),
    "pool": ("pool", "pool_id", "cluster"),
    "region": ("region",),
}
IN_USE = {"utilization_percent": 100.0, "utilization": 1.0}
#: Metric of the table of metrics -> column, by unit.
METRICS = {
    "utilization_percent": "DCGM_FI_DEV_GPU_UTIL",
    "utilization": "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    "power_w": "DCGM_FI_DEV_POWER_USAGE",
}
LABELS = {"model": "modelName", "pool": "pool", "region": "region"}
#: Devices that are counted within a host, so that each host has the same.
_NUMBERED = r"(?i:(?:gpu|nvidia|cuda|device)?[ _:-]?)\d{1,3}(?:\.0)?"
_UNIT = re.compile(r"\s*(%|W|MiB)\s*$")
_SLASHES = r"^(\d{4})/(\d\d)/(\d\d) "
_SECONDS = r"\d{9,10}(?:\.\d+)?"
_NOT_SAID = ("[N/A]", "[Not Supported]", "[Unknown Error]", "N/A")


def is_smi(begin: bytes) -> bool:
    """Whether a file begins as `nvidia-smi --query-gpu=... --format=csv` writes it."""
    return re.match(rb"[\w., \[\]%]*, ?utilization\.gpu", begin.lstrip(b"\xef\xbb\xbf").split(b"\n")[0]) is not None


def smi_text(path: Path) -> pd.DataFrame:
    """Cells of a log of `nvidia-smi`, which writes a blank behind each comma; a repeated header is left out."""
    try:
        text = pd.read_csv(path, dtype="str", skipinitialspace=True, keep_default_na=False, compression="infer")
    except (ValueError, pd.errors.ParserError, OSError, EOFError) as error:
        raise InputError.at(path.name, f"is no log of nvidia-smi: {str(error).splitlines()[0][:100]}") from None
    again = (text == pd.Series(text.columns, index=text.columns)).all(axis=1)
    return text[~again]


def device_columns(header: Iterable[str], mapping: dict[str, str]) -> dict[str, str]:
    """Our name -> column of the file; empty if time, device and utilisation are not all there."""
    lower = {name.strip().lower(): name for name in header}
    found = {ours: next((lower[name] for name in names if name in lower), "") for ours, names in NAMES.items()}
    found = {ours: name for ours, name in (found | {k: v for k, v in mapping.items() if k in NAMES}).items() if name}
    complete = {"timestamp", "device"} <= set(found) and any(name in found for name in IN_USE)
    return found if complete else {}


def read_devices(
    path: Path, text: pd.DataFrame, columns: dict[str, str], window_minutes: int
) -> tuple[Samples, list[tuple[str, int]]]:
    """Samples of every device, as a server would have them.

    Raises
    ------
    InputError
        Naming row, column and value: for a share that is none, and times that are none.
    """
    absent = [name for name in columns.values() if name not in text]
    if absent:
        raise InputError.at(
            path.name, "the mapping names a column that the file lacks.", column=absent[0], choices=list(text.columns)
        )
    used = next(name for name in IN_USE if name in columns)
    kept = {ours: name for ours, name in columns.items() if ours == used or ours not in IN_USE}
    plain = pd.DataFrame({name: _plain(text[name]) for name in kept.values()})
    plain[kept["timestamp"]] = _stamps(plain[kept["timestamp"]])
    kinds = {"timestamp": "datetime", used: "number", "power_w": "number"}
    needed = {kept[ours]: kinds.get(ours, "string") for ours in ("timestamp", "device")}
    rest = {name: kinds.get(ours, "string") for ours, name in kept.items() if name not in needed}
    typed = type_table(path, plain, source_contract("devices", needed, rest, minimum=0.0))
    raise_problems(path.name, typed.problems)
    rows = pd.DataFrame({ours: typed.frame[name] for ours, name in kept.items()})
    over = rows[used] > IN_USE[used]
    if over.any():
        at = int(over.idxmax())
        rule = f"must be at most {IN_USE[used]:g}" + (
            " (a fraction; is it a percentage?)" if used == "utilization" else ""
        )
        raise InputError.at(path.name, rule, row=at + 2, column=kept[used], value=f"{rows[used][at]:g}")
    rows, faster = _by_host(path, rows, kept)
    unknown = int(rows[used].isna().sum())
    warnings = [(f"{item.column}: {item.rule}", len(rows)) for item in typed.warnings]
    warnings += [(FASTER, faster)] if faster else []
    warnings += [("samples without a utilisation, left out", unknown)] if unknown else []
    return _samples(rows, used, window_minutes), warnings


def _by_host(path: Path, rows: pd.DataFrame, columns: dict[str, str]) -> tuple[pd.DataFrame, int]:
    """Rows with devices that are counted within a host (0, 1, ...) named with it, and those faster than their stamps tell.

    Raises
    ------
    InputError
        Where such a device has two different samples at one time, and no host tells them apart.
    """
    device = rows["device"].astype("str")
    counted = device.str.fullmatch(_NUMBERED).astype("bool")
    if "host" in rows:
        within = counted & rows["host"].notna()
        rows = rows.assign(device=device.mask(within, rows["host"].astype("str") + "/" + device))
        counted &= ~within
    told = rows[counted].drop_duplicates()
    twice = told.duplicated(["device", "timestamp"])
    if twice.any() and "host" not in rows and _in_a_loop(told):
        return rows, int(twice.sum())
    if twice.any():
        at = twice.idxmax()
        rule = f"has another sample at {rows['timestamp'][at]:%Y-%m-%d %H:%M:%S}: are these several hosts? Name each in a column host. Samples that come faster than their stamps tell: keep one of each"
        raise InputError.at(path.name, rule, row=int(at) + 2, column=columns["device"], value=device[at])
    return rows, 0


def _in_a_loop(told: pd.DataFrame) -> bool:
    """Whether samples are those of one loop that is faster than its stamps tell.

    Stamps of whole seconds follow each other second by second (in the median) in the order of the file. Several hosts one
    after the other go back in time, and those that a server asks are seconds apart.
    """
    at = told["timestamp"]
    steps = at.drop_duplicates().diff().dropna()
    whole = (at == at.dt.floor("s")).all()
    return bool(at.is_monotonic_increasing and whole and len(steps) and steps.median() <= pd.Timedelta(seconds=1))


def _plain(values: pd.Series) -> pd.Series:
    """Cells without the unit behind the number and without the words that stand for no value."""
    if not pd.api.types.is_string_dtype(values):
        return values
    held = values.str.strip()
    return held.where(~held.isin(_NOT_SAID), "").str.replace(_UNIT, "", regex=True)


def _stamps(values: pd.Series) -> pd.Series:
    """Times as the tables want them: seconds since 1970 and dates with slashes are rewritten."""
    if pd.api.types.is_numeric_dtype(values):
        values = values.map(lambda value: f"{value:.6f}", na_action="ignore").astype("str")
    if not pd.api.types.is_string_dtype(values):
        return values
    if values.str.fullmatch(_SECONDS).all():
        return pd.to_datetime(values.astype("float64"), unit="s", utc=True).dt.as_unit("us")
    return values.str.replace(_SLASHES, r"\1-\2-\3 ", regex=True)


def _samples(rows: pd.DataFrame, used: str, window_minutes: int) -> Samples:
    seconds = window_minutes * 60
    rows = rows.assign(at=(rows["timestamp"] - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1))
    start = np.floor(rows["at"].min() / seconds) * seconds
    end = np.ceil((rows["at"].max() + 1e-6) / seconds) * seconds
    found = Samples(float(start), float(end))
    for device, part in rows.sort_values("at", kind="stable").groupby("device"):
        labels = {"UUID": str(device)} | {
            label: str(part[name].dropna().iloc[0])
            for name, label in LABELS.items()
            if name in part and part[name].notna().any()
        }
        for name in (used, "power_w"):
            known = part[part[name].notna()] if name in part else part.head(0)
            if len(known):
                one = Series(labels, known["at"].to_numpy(), known[name].to_numpy(dtype=float))
                found.series.setdefault(METRICS[name], []).append(one)
                found.intervals[METRICS[name]] = 1.0
    return found
