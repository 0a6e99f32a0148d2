"""Traces of rates and counts: ServeGen clients, and plain series of a time and a count."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.importers.json_text import parse_object
from aifactory.inputs.importers.traces.archives import members
from aifactory.inputs.importers.traces.common import Found, trace_contract, typed_rows
from aifactory.inputs.importers.traces.json_lines import text_of

WINDOW_S = 600
_ZONE = re.compile(r"[T ].*(?:Z|[+-]\d\d:?\d\d)$")
MAX_PMF_CHARACTERS = 20_000_000
MAX_WINDOW_MINUTES = 1440
SERVEGEN_RATES = trace_contract(
    "servegen_rates",
    {"model": "string", "client_id": "integer", "window_start_s": "number", "rate_rps": "number"},
)
SERIES = trace_contract("series", {"ds": "string", "y": "number"})
_CHUNK = re.compile(r"(?:^|/)([^/]+)/chunk-(\d+)-(trace\.csv|dataset\.json)$")
_TRACE_COLUMNS = ["window_start_s", "rate_rps", "cv", "pattern", "param_1", "param_2"]
#: Field of a dataset -> column; several input fields of one client are not added up.
_LENGTHS = {"input_tokens": "input_tokens", "output_tokens": "output_tokens"}


def servegen_rates(path: Path) -> Found:
    """ServeGen client rates per 10-minute window; requests = rate x 600 s, whole numbers. Apache-2.0.

    Clients are added up by model. Without the token distributions beside them, tokens are unknown.
    Source: alibaba/ServeGen.
    """
    rows, warnings = typed_rows(path, SERVEGEN_RATES)
    return _served(rows.assign(input_tokens=np.nan, output_tokens=np.nan), len(rows), warnings)


def servegen_raw(path: Path) -> Found:
    """ServeGen in its original layout, folder or archive: `MODEL/chunk-N-trace.csv` and `-dataset.json`.

    Tokens of a window = requests x mean of the distribution in force (one every 6 h), known only where
    every client with requests has one.
    """
    traces, data = {}, {}
    for name, content in members(path):
        found = _CHUNK.search(name)
        if found and found.group(3) == "trace.csv":
            traces[found.group(1), int(found.group(2))] = _trace_csv(name, content)
        elif found:
            data[found.group(1), int(found.group(2))] = _means(name, content)
    if not traces:
        raise InputError.at(path.name, "holds no MODEL/chunk-N-trace.csv")
    parts = [_client(key, frame, data.get(key, pd.DataFrame())) for key, frame in sorted(traces.items())]
    rows = pd.concat(parts, ignore_index=True)
    missing = len(set(traces) - set(data))
    warnings = [("clients without token distributions: their windows have no tokens", missing)] if missing else []
    return _served(rows, len(rows), warnings)


def _trace_csv(name: str, content: bytes) -> pd.DataFrame:
    try:
        frame = pd.read_csv(text_of(content), header=None, names=_TRACE_COLUMNS, usecols=range(6))
        numbers = frame[["window_start_s", "rate_rps"]].astype("float64")
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError.at(name, f"is no client trace of six columns: {str(error)[:100]}") from None
    bad = ~(np.isfinite(numbers).all(axis=1) & (numbers >= 0).all(axis=1))
    if bad.any():
        raise InputError.at(name, "time and rate must be numbers, 0 or more", row=int(bad.idxmax()) + 1)
    return numbers


def _means(name: str, content: bytes) -> pd.DataFrame:
    """Mean input and output tokens by start of their window."""
    held = parse_object(name, None, content)
    rows = {}
    for start, fields in held.items():
        if not start.isdigit() or not isinstance(fields, dict):
            raise InputError.at(name, "must map seconds to distributions", value=start[:40])
        rows[float(start)] = {ours: pmf_mean(name, fields[key]) for key, ours in _LENGTHS.items() if fields.get(key)}
    return pd.DataFrame.from_dict(rows, orient="index").reindex(columns=["input_tokens", "output_tokens"]).sort_index()


def pmf_mean(name: str, text: object) -> float:
    """Mean of a distribution written as the text of a dict, value -> probability; NaN if empty.

    The text is never evaluated: it must be a flat dict of numbers.

    >>> pmf_mean("file", "{10: 0.25, 20: 0.75}")
    17.5
    """
    if not isinstance(text, str) or len(text) > MAX_PMF_CHARACTERS or text.strip()[:1] + text.strip()[-1:] != "{}":
        raise InputError.at(name, "must be a flat dict of numbers", value=str(text)[:40])
    pairs = [pair.split(":") for pair in text.strip()[1:-1].split(",") if pair.strip()]
    try:
        held = np.array(pairs, dtype=float).reshape(-1, 2)
    except ValueError:
        raise InputError.at(name, "must be a flat dict of numbers", value=text[:40]) from None
    if not np.isfinite(held).all() or (held < 0).any():
        raise InputError.at(name, "values and probabilities must be numbers, 0 or more", value=text[:40])
    total = held[:, 1].sum()
    if len(held) and abs(total - 1) > 0.01:
        raise InputError.at(name, "probabilities must add up to 1", value=f"{total:g}")
    return float((held[:, 0] * held[:, 1]).sum() / total) if len(held) else np.nan


def _client(key: tuple[str, int], trace: pd.DataFrame, means: pd.DataFrame) -> pd.DataFrame:
    """Rows of one client with the mean tokens of the distribution in force."""
    rows = trace.assign(model=key[0], client_id=key[1]).sort_values("window_start_s", kind="stable")
    if means.empty:
        return rows.assign(input_tokens=np.nan, output_tokens=np.nan)
    at = np.clip(np.searchsorted(means.index.to_numpy(), rows["window_start_s"], side="right") - 1, 0, None)
    return rows.assign(**{name: means[name].to_numpy()[at] for name in means})


def _served(rows: pd.DataFrame, rows_read: int, warnings: list[tuple[str, int]]) -> Found:
    """Windows by model: requests whole, tokens = requests x mean."""
    exact = rows["rate_rps"] * WINDOW_S
    requests = exact.round()
    fractions = int(((exact - requests).abs() > 0.01).sum())
    if fractions:
        warnings.append(("rates that are no whole number of requests in 600 s, rounded", fractions))
    again = rows.duplicated(["model", "client_id", "window_start_s"])
    if again.any():
        raise InputError.at("ServeGen", f"a client has {int(again.sum())} windows twice", row=int(again.idxmax()) + 2)
    table = pd.DataFrame({"arrival": rows["window_start_s"], "workload": rows["model"], "requests": requests})
    for name in ("input_tokens", "output_tokens"):
        table[name] = (requests * rows[name]).where(requests > 0, 0.0)
        table[f"unknown_{name}"] = table[name].isna()
    by = table.groupby(["workload", "arrival"], sort=True, as_index=False).sum()
    for name in ("input_tokens", "output_tokens"):
        by[name] = by[name].round().mask(by.pop(f"unknown_{name}") > 0)
    unknown = int(by["input_tokens"].isna().sum())
    warnings += [("windows with requests of unknown length: no tokens", unknown)] if unknown else []
    return Found(by.assign(window_minutes=WINDOW_S // 60), rows_read, warnings=warnings)


def series(path: Path) -> Found:
    """A plain series `ds,y` of counts per hour or day: y requests in the window that begins at ds.

    Refused: counts that are not whole (logarithms, GPU hours, tokens in billions are no requests),
    doubled times, and steps that are no whole minutes of at most a day. Gaps are named, never filled.
    """
    rows, warnings = typed_rows(path, SERIES)
    whole = (rows["y"] - rows["y"].round()).abs() <= 1e-9 * rows["y"].clip(lower=1)
    if not whole.all():
        at = int((~whole).idxmax())
        rule = "must be a whole number of requests (a logarithm or an amount of something else is no demand)"
        raise InputError.at(path.name, rule, row=at + 2, column="y", value=f"{rows['y'][at]:g}")
    times = pd.to_datetime(rows["ds"], format="ISO8601", utc=True, errors="coerce").dt.as_unit("us")
    zoned = rows["ds"].str.contains(_ZONE)
    bad = times.isna() | times.duplicated() | (zoned != zoned.iloc[0])
    if bad.any():
        at = int(bad.idxmax())
        rule = "must be a time that is given once, with a zone in every row or in none"
        raise InputError.at(path.name, rule, row=at + 2, column="ds", value=str(rows["ds"][at]))
    minutes = times.sort_values().diff().dropna().dt.total_seconds() / 60
    step = float(minutes.min()) if len(minutes) else np.nan
    if not (1 <= step <= MAX_WINDOW_MINUTES and step == int(step)):
        rule = "the step between times must be whole minutes, at most a day; a longer window would need an invented profile"
        raise InputError.at(path.name, rule, column="ds", value=f"{step:g} min")
    gaps = int(round((minutes / step - 1).clip(lower=0).sum()))
    warnings += [(f"windows of {step:g} min that the series leaves out stay unknown", gaps)] if gaps else []
    frame = pd.DataFrame({"arrival": times, "workload": "", "requests": rows["y"].round()})
    frame = frame.assign(input_tokens=np.nan, output_tokens=np.nan, window_minutes=int(step))
    warnings.append(("y is read as requests received in the window that begins at ds; times as UTC", len(rows)))
    return Found(frame.sort_values("arrival", ignore_index=True), len(rows), warnings=warnings)
