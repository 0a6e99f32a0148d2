"""Published measurements as one validated table with the features that predictions are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.csv_text import read_csv_text
from aifactory.inputs.resources import data_dir
from aifactory.serving.model_sizes import sizes_in
from aifactory.serving.platforms import (
    MEMORY_GB,
    WEIGHT_BYTES,
    link_of,
    load_platforms,
    native_precision,
    peak_tflops,
    precision_class,
    resolve,
)
from aifactory.serving.step_model import StepConstants, best_throughput, kv_gb_per_token

REQUIRED = ("id", "accelerator", "model", "metric", "value", "scenario")
TEXTS = (
    "id", "source", "date", "submitter", "accelerator", "accelerator_class", "system", "task", "model", "precision",
    "scenario", "metric", "catalogue_accelerator_id", "catalogue_model", "notes",
)  # fmt: skip
NUMBERS = (
    "accel_count", "params_b", "active_params_b", "input_tokens", "output_tokens", "batch_or_concurrency", "tp", "value",
    "value_per_accel", "slo_ttft_ms", "slo_tpot_ms", "power_w",
)  # fmt: skip
#: Numbers that count or last: zero and less are slips.
POSITIVE = (
    "accel_count", "params_b", "active_params_b", "tp", "batch_or_concurrency", "input_tokens", "output_tokens",
    "slo_ttft_ms", "slo_tpot_ms",
)  # fmt: skip
#: Largest published figure of each count, and how many times more is answered: with rows held back beyond a quantile of
#: one figure, the median error stays below a factor of 1.6 up to 256 times, and nothing was published further out.
PUBLISHED_MOST = {
    "accel_count": 2560, "tp": 32, "batch_or_concurrency": 1_048_576, "input_tokens": 32_768, "output_tokens": 32_768,
}  # fmt: skip
BEYOND = 256
#: Words for an empty cell.
NOT_SAID = ("nan", "na", "n/a", "none", "null", "-")
#: Texts that mean the same in capitals.
LABELS = ("accelerator_class", "task", "scenario", "metric")
#: Counts, which begin at 1; smallest published limits, of which 1 / `BEYOND` is still answered.
COUNTS = ("accel_count", "tp", "batch_or_concurrency", "input_tokens", "output_tokens")
PUBLISHED_LEAST = {"slo_ttft_ms": 450, "slo_tpot_ms": 15}
#: No model has 10^14 parameters or fewer than 1,000 (in 10^9); first and last year of a date.
PARAMS_B, YEARS = (1e-6, 1e5), (1990, 2099)
#: No figure in any unit is beyond these: published ones reach from 3e-4 to 4e6.
VALUES = (1e-12, 1e15)
#: Metrics of which less is better.
LOWER_IS_BETTER = frozenset(
    {
        "time_to_train_min", "ms_per_request_p90", "ms_per_request_mean", "ms_per_token", "joules_per_sample_dynamic",
        "wall_s_per_simulated_s", "microjoules_per_synaptic_event",
    }
)  # fmt: skip
PER_SYSTEM = frozenset({"tokens_per_s", "samples_per_s", "prompt_tokens_per_s", "sequences_per_s"})
#: Metrics of training that compute explains: 6 x parameters x tokens, whatever the model (`law`).
COMPUTE_RATES = ("tokens_per_s", "tflops_per_s_per_chip")
#: Names that mean the same in capitals, and what other rows of the same name tell where a row leaves it empty.
NAMES = ("source", "submitter", "accelerator", "system", "model", "catalogue_model")
TOLD_BY = {
    "task": "model", "params_b": "model", "active_params_b": "model", "catalogue_model": "model", "accelerator_class": "accelerator",
    "catalogue_accelerator_id": "accelerator",
}  # fmt: skip
#: What was measured how; anything else is another way.
SCENARIOS = frozenset({"offline", "server", "interactive", "singlestream", "concurrency", "training"})
#: Source of own runs: sized like reviewed rounds, at the best layout inside their limits.
OWN_RUNS = "own runs"
LANGUAGE_TASKS = frozenset({"llm", "llm-reasoning", "llm-code", "vlm"})
EPOCH_YEAR = 2025.0


def read_table(path: Path, required: tuple[str, ...]) -> pd.DataFrame:
    """Read a CSV file, plain or gzipped, as text, NaN where empty, as strictly as every input (`read_csv_text`).

    Raises InputError for a file that is no such table or lacks one of the columns named.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError.at(path.name, "no such file", value=str(path))
    text, _ = read_csv_text(path)
    table = text.mask(text == "")
    for name in required:
        if name not in table.columns:
            raise InputError.at(path.name, "column is missing", column=name, choices=table.columns)
    return table


def refuse_rows(
    path: Path, bad: pd.Series, rule: str, column: str, texts: pd.Series, faults: dict[int, str] | None
) -> None:
    """Raise for the first bad row; where `faults` is given, note the fault of each bad row in it instead."""
    for row in np.flatnonzero(bad):
        value = "" if pd.isna(texts.iloc[row]) else texts.iloc[row]
        error = InputError.at(Path(path).name, rule, row=int(row) + 2, column=column, value=value)
        if faults is None:
            raise error
        faults.setdefault(int(row), str(error))


def refuse_beyond(
    path: Path, table: pd.DataFrame, texts: pd.DataFrame, published: dict[str, int], faults: dict[int, str] | None
) -> None:
    """Refuse rows whose figures lie further than `BEYOND` times above the largest published ones: no error is known there."""
    for name, most in published.items():
        rule = f"must be at most {BEYOND * most:,}, {BEYOND} times what was ever measured: nothing says how it behaves there"
        refuse_rows(path, table[name] > BEYOND * most, rule, name, texts.get(name, table[name]), faults)


def numbers(table: pd.DataFrame, name: str, path: Path, faults: dict[int, str] | None = None) -> pd.Series:
    """Column as numbers; absent or empty is NaN; text or an infinity is a fault (`refuse_rows`)."""
    if name not in table.columns:
        return pd.Series(np.nan, index=table.index)
    text = table[name].str.strip()
    text = text.mask(text.str.lower().isin(NOT_SAID))
    values = pd.to_numeric(text, errors="coerce")
    bad = text.notna() & ~np.isfinite(values)
    refuse_rows(path, bad, "must be a finite number, as 1234.5", name, text, faults)
    return values.astype(float).mask(bad)


def read_measurements(path: Path, *, with_values: bool = True, faults: dict[int, str] | None = None) -> pd.DataFrame:
    """Read a table of measurements (columns of the public performance file; unknown ones are ignored).

    Raises InputError for a missing column, a duplicate id, text where a number belongs, or (where the
    value is used) a value that is not positive. With `faults`, rows are noted there by number instead,
    and a row or the whole table may come without values.
    """
    needed = REQUIRED if with_values and faults is None else tuple(name for name in REQUIRED if name != "value")
    raw = read_table(path, needed)
    table = pd.DataFrame(index=raw.index)
    for name in TEXTS:
        text = raw[name].fillna("").str.strip() if name in raw else pd.Series("", index=raw.index, dtype=str)
        table[name] = text.mask(text.str.lower().isin(NOT_SAID), "")
    for name in NUMBERS:
        table[name] = numbers(raw, name, path, faults)
    repeated = table["id"].duplicated() | (table["id"] == "")
    refuse_rows(path, repeated, "id must be given once", "id", table["id"], faults)
    if with_values and "value" in raw:
        wrong = ~(table["value"] > 0) & (table["value"].notna() if faults is not None else True)
        refuse_rows(path, wrong, "must be positive", "value", raw["value"], faults)
    for name in POSITIVE:
        text = raw.get(name, table[name])
        refuse_rows(path, table[name] <= 0, "must be positive, or empty where it is not known", name, text, faults)
    refuse_beyond(path, table, raw, PUBLISHED_MOST, faults)
    _refuse_odd(path, table, raw, faults)
    year = _years(table["date"])
    undated = (table["date"] != "") & ~year.between(*YEARS)
    rule = f"must hold a year from {YEARS[0]} to {YEARS[1]}, as in 2025-09-30"
    refuse_rows(path, undated, rule, "date", table["date"], faults)
    for name in LABELS:
        table[name] = table[name].str.lower()
    table["metric"] = table["metric"].str.replace(r"/s$", "_per_s", regex=True)
    return table


def _refuse_odd(path: Path, table: pd.DataFrame, raw: pd.DataFrame, faults: dict[int, str] | None) -> None:
    """Refuse figures in a wrong unit: parts of what is counted, sizes, limits and values that nothing has."""
    rules = [(name, (1.0, np.inf), "must be at least 1, or empty where it is not known") for name in COUNTS]
    for name, least in PUBLISHED_LEAST.items():
        rule = f"must be at least {least / BEYOND:g}, one part in {BEYOND} of what was ever asked for: is it in ms?"
        rules.append((name, (least / BEYOND, np.inf), rule))
    rules += [(name, PARAMS_B, "is in 10^9 parameters") for name in ("params_b", "active_params_b")]
    for name, (least, most), rule in [*rules, ("value", VALUES, "is beyond every figure of every metric")]:
        wrong = table[name].notna() & ~table[name].between(least, most)
        refuse_rows(path, wrong, rule, name, raw.get(name, table[name]), faults)


def _spelt(names: pd.Series) -> pd.Series:
    """Names without case, their parts apart by dashes."""
    return names.str.casefold().str.replace(r"[\s_-]+", "-", regex=True)


def told_elsewhere(table: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Measurements with empty cells of `TOLD_BY` filled from rows of `table` and `others` that name the same thing.

    Only where those rows agree; nothing that was measured is read. `NAMES` are spelt as in `others`, else as first used,
    whatever their case and whether their parts stand apart by blanks, dashes or underlines.
    """
    known = table if others is None else pd.concat([others, table], ignore_index=True)
    filled, known = table.copy(), known.copy()
    for name in NAMES:
        spelling = known[name].drop_duplicates().groupby(_spelt(known[name])).first()
        for rows in (filled, known):
            rows[name] = _spelt(rows[name]).map(spelling)
    for name, key in TOLD_BY.items():
        said = known.loc[known[name].notna() & (known[name] != "") & (known[key] != ""), [key, name]].drop_duplicates()
        agreed = said[~said[key].duplicated(keep=False)].set_index(key)[name]
        told = (filled[name].isna() | (filled[name] == "")) & filled[key].isin(agreed.index)
        filled.loc[told, name] = filled.loc[told, key].map(agreed).astype(filled[name].dtype)
    return filled


def _years(dates: pd.Series) -> pd.Series:
    """First run of four digits of each date; NaN without one."""
    return dates.str.extract(r"(?<!\d)(\d{4})(?!\d)", expand=False).astype(float)


@dataclass(frozen=True)
class Facts:
    """What is known of accelerators (index accelerator_id) and of models (index model)."""

    platforms: pd.DataFrame
    models: pd.DataFrame


@cache
def bundled_facts() -> Facts:
    """The catalogue that ships with the package."""
    return Facts(load_platforms(), pd.read_csv(data_dir() / "catalogue" / "models.csv").set_index("model"))


@cache
def known_workloads() -> pd.DataFrame:
    """Input and output tokens of benchmark workloads that their results do not repeat, by model."""
    return pd.read_csv(data_dir() / "prediction" / "workloads.csv").set_index("model")


def read_workloads(path: Path) -> pd.DataFrame:
    """Input and output tokens by model from a workload table (columns of `mlperf_workloads.csv`)."""
    raw = read_table(path, ("model",))
    given = {"input_tokens": "input_tokens_mean", "output_tokens": "output_tokens_mean"}
    table = pd.DataFrame({name: numbers(raw, column, path) for name, column in given.items()})
    return table.groupby(raw["model"].str.strip()).median()


def with_lengths(table: pd.DataFrame, workloads: pd.DataFrame | None) -> pd.DataFrame:
    """The table with empty lengths from a workload table (`read_workloads`), where there is one."""
    if workloads is None:
        return table
    return table.assign(
        **{name: table[name].fillna(table["model"].map(workloads[name]).astype(float)) for name in workloads}
    )


def with_features(
    table: pd.DataFrame,
    workloads: pd.DataFrame | None = None,
    facts: Facts | None = None,
    constants: StepConstants | None = None,
) -> pd.DataFrame:
    """Features of each row: specifications at the precision used, step-model speed, conditions.

    Adds `speed` (log of the metric per accelerator, more is better) where `value` is given and
    `prior` (log of what the step model says, or of compute per parameter for other work), so that
    `speed - prior` is what remains to be learnt, `shared` (all accelerators work on one batch of samples) and `assumed`
    (what was taken for granted as the row does not say, or says too much, where it moves the answer). The step model
    takes `constants`, else the shipped ones.
    """
    facts = facts or bundled_facts()
    d = _conditions(with_lengths(table, workloads).copy(), facts.models)
    d = _hardware(d, facts.platforms)
    size = np.where(d["metric"].str.startswith("tflops"), 1.0, np.maximum(d["active_b"], 1e-3))
    d["prior"] = np.log(d["peak"] * np.where(d["precision"] == "fp4", 0.7, 1.0) / size)
    d["shared"] = (d["regime"] == "other") & ~d["round"] & (d["metric"] == "samples_per_s")
    d["batch"] = d["concurrency"].fillna(1.0) / np.where(d["shared"], d["accelerators"], 1.0)
    d["layout_tp"] = d["tp"].fillna(1.0)
    llm = d["regime"].isin(["llm_rounds", "llm_tables"]) & (d["metric"] != "prompt_tokens_per_s") & d["peak"].notna()
    llm &= d["bandwidth"].notna()
    if llm.any():
        rows = d[llm]
        layout = best_throughput(layout_inputs(rows), constants)
        chain = rows["layers_chained"].to_numpy()
        d.loc[llm, "prior"] = layout["log_tokens_per_s"] - np.log(np.where(chain, rows["accelerators"], 1.0))
        d.loc[llm, "batch"], d.loc[llm, "layout_tp"] = layout["batch"], layout["tp"]
    left = d["memory"] * 0.9 - d["params_b"] * d["weight_bytes"] / d["layout_tp"]
    d["memory_left"] = np.maximum(left, 0.02 * d["memory"])
    d["speed"] = to_speed(d)
    return d


def layout_inputs(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as the step model wants them: layers chained where one stream crosses chips, free layout in rounds.

    Free is also what states neither layout nor load: whoever reports the batch that yields most took such a layout too.
    Beams are sequences that share their prompt.
    """
    chain = rows["layers_chained"].to_numpy()
    free = rows["round"] | (rows["tp"].isna() & rows["concurrency"].isna())
    return rows.assign(
        input_tokens=rows["input_tokens"] / rows["beams"],
        tp=np.where(chain, 1.0, np.where(free, np.nan, rows["tp"].fillna(rows["accelerators"]))),
        concurrency=np.where(chain, rows["accelerators"], rows["concurrency"]),
        slo_tpot_ms=rows["slo_tpot_ms"].where(rows["scenario"].isin(["server", "interactive"])),
        memory=rows["memory"] * np.where(chain, rows["accelerators"], 1.0),
    )


def _conditions(d: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    d["assumed"] = ""
    d["family"] = families(d["source"])
    d["round"] = d["family"].str.startswith("mlperf") | d["family"].str.startswith(OWN_RUNS)
    d["kind"] = d["task"].where(~d["task"].isin(LANGUAGE_TASKS), "llm").replace({"fine-tuning": "training"})
    d.loc[(d["kind"] == "") & (d["metric"] == "tokens_per_s") & (d["scenario"] != "training"), "kind"] = "llm"
    answers = (d["kind"] == "llm") & d["round"] & (d["metric"] == "samples_per_s")
    unit = d["metric"].mask(answers, "tokens_per_s")
    llm = (d["kind"] == "llm") & unit.isin(["tokens_per_s", "prompt_tokens_per_s"])
    d["regime"] = np.select([llm & d["round"], llm], ["llm_rounds", "llm_tables"], "other")
    work = d["kind"].mask(d["task"] == "vlm", "vlm")  # encoding of images comes on top of the tokens counted
    d["context"] = d["family"] + "|" + d["scenario"] + "|" + unit + "|" + work
    known, stated, stated_active = (
        d["catalogue_model"].map(models[name]).astype(float)
        for name in ("kv_bytes_per_token_bf16", "params_total_b", "params_active_b")
    )
    known = known.fillna(d["model"].map(known_workloads()["kv_bytes_per_token_bf16"]).astype(float)) / 1e9
    named = sizes_named(d["model"]).where(d["task"] != "")  # what a model of unknown work does is not known by its size
    bare = d["params_b"].isna() & stated.isna() & named["params_b"].notna()
    note(d, bare & ~d["metric"].str.startswith("tflops"), "sizes in the name of the model")
    stated, stated_active = stated.fillna(named["params_b"]), stated_active.mask(bare, named["active_b"])
    d["sized"] = d["params_b"].notna() | stated.notna()
    d["params_b"] = d["params_b"].fillna(stated).fillna(0.1)
    active = d["active_params_b"].fillna(stated_active).fillna(d["params_b"])
    d["active_b"] = np.minimum(active, d["params_b"])
    d["kv_gb_16bit"] = known.where(known > 0, kv_gb_per_token(d["params_b"], d["active_b"]))
    for name, default in (("input_tokens", 512.0), ("output_tokens", 256.0)):
        in_rounds = d["model"].map(known_workloads()[name]).astype(float).where(d["round"])
        d[name] = d[name].fillna(in_rounds)
        read = d["regime"].str.startswith("llm") & ((unit == "tokens_per_s") | (name == "input_tokens"))
        note(d, read & d[name].isna(), f"{default:.0f} {name.replace('_', ' ')}")
        d[name] = d[name].fillna(default).clip(lower=1.0)
    d["beams"] = np.where(answers, d["model"].map(known_workloads()["beams"]).astype(float).fillna(1.0), 1.0)
    d["tokens_each"] = np.where(answers, d["output_tokens"] * d["beams"], 1.0)
    rate = (d["kind"] == "training") & d["metric"].isin(COMPUTE_RATES)
    d["law"] = d["model"].mask(rate, "6ND")
    d["concurrency"] = d["batch_or_concurrency"]
    d["layers_chained"] = d["family"].str.contains("llamacpp")
    neuron = d["family"].str.contains("neuron")
    d.loc[neuron | d["layers_chained"] | d["family"].str.startswith("ml-energy"), "tp"] = np.nan
    d["accelerators"] = d["accel_count"].fillna(d["tp"]).fillna(1.0)
    over = d["tp"] > d["accel_count"]
    note(d, over, "one copy over all accelerators for a split over " + spelt(d["tp"]))
    d["tp"] = d["tp"].mask(over, d["accel_count"])
    month = pd.to_numeric(d["date"].str.extract(r"^\d{4}-(\d{2})", expand=False), errors="coerce").fillna(6.5)
    year = _years(d["date"])
    d["year"] = (year + (month - 0.5) / 12).fillna(EPOCH_YEAR + 0.5) - EPOCH_YEAR
    _note_conditions(d, active)
    return d


def sizes_named(models: pd.Series) -> pd.DataFrame:
    """Columns params_b and active_b (1e9) as the names of the models state them, NaN where they do not."""
    found = {model: sizes_in(model.lower()) for model in models.unique()}
    return pd.DataFrame(
        [found[model] for model in models], index=models.index, columns=["params_b", "active_b"]
    ).astype(float)


def families(sources: pd.Series) -> pd.Series:
    """Sources without the number of their edition."""
    return sources.str.replace(r"-v[\d.]+$", "", regex=True)


def _note_conditions(d: pd.DataFrame, active: pd.Series) -> None:
    """Note what was taken for granted where it moves the answer; `active` in 10^9 parameters, before it is cut."""
    llm, table = d["regime"].str.startswith("llm"), ~d["round"] & ~d["layers_chained"]
    whole = d["metric"].isin([*PER_SYSTEM, "time_to_train_min"])
    sized = ~d["metric"].str.startswith("tflops")
    note(d, whole & d["accel_count"].isna() & d["tp"].isna(), "1 accelerator")
    note(d, whole & d["accel_count"].isna() & d["tp"].notna(), "as many accelerators as the split, " + spelt(d["tp"]))
    note(d, sized & ~d["sized"], "0.1 x 10^9 parameters")
    cut = spelt(active) + " of " + spelt(d["params_b"])
    note(d, sized & d["sized"] & (active > d["params_b"]), "all parameters active (" + cut + " x 10^9 given)")
    batched = table & d["concurrency"].isna()
    note(d, batched & (d["regime"] == "llm_tables") & (d["metric"] == "tokens_per_s"), "the batch that yields most")
    note(d, batched & (d["regime"] == "other") & (d["metric"] == "samples_per_s"), "batch 1")
    note(d, table & llm & ~batched & d["tp"].isna() & (d["accelerators"] > 1), "one copy over all accelerators")
    year = _years(d["date"])
    unread = " for " + spelt(d["date"])
    middle = "the middle of " + spelt(year.fillna(EPOCH_YEAR)) + unread.where(d["date"] != "", "")
    note(d, llm & ~d["date"].str.match(r"\d{4}(-\d{2}|$)"), middle)
    said = (" for " + spelt(d["scenario"])).where(d["scenario"] != "", "")
    note(d, ~d["scenario"].isin(SCENARIOS), "a scenario that was not measured" + said)


def _hardware(d: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    d["chip"] = pd.Series(resolve(d["accelerator"], d["catalogue_accelerator_id"], table), index=d.index, dtype=str)
    d["known_chip"] = d["chip"] != ""
    d["chip"] = d["chip"].where(d["known_chip"], d["accelerator"])
    s = table.reindex(d["chip"]).set_axis(d.index)
    lowest = native_precision(s)
    given = d["precision"].map(precision_class)
    tuned = d["round"] & (d["kind"] != "training")
    said = d["precision"]
    d["precision"] = given.where(given != "", np.where(tuned, lowest, "bf16"))
    d["peak"] = peak_tflops(s, d["precision"].to_numpy())
    d["peak_bf16"] = s["peak_bf16_dense_tflops"] * s["achievable_share"]
    d["achievable_share"] = s["achievable_share"].fillna(1.0)
    unread = "precision " + d["precision"] + (" for " + spelt(said)).where(said != "", "")
    note(d, (given == "") & d["peak"].notna(), unread)
    llm = d["regime"].str.startswith("llm")
    note(d, llm & d["known_chip"] & s["memory_gb"].isna(), f"{MEMORY_GB:.0f} GB of memory")
    d["bandwidth"], d["tdp_w"] = s["memory_bw_gb_per_s"], s["tdp_w"].fillna(500.0)
    d["memory"] = s["memory_gb"].fillna(MEMORY_GB)
    d["link"], told = link_of(s)
    note(d, llm & (d["accelerators"] > 1) & (told != ""), told)
    d["vendor"] = s["vendor"].fillna("unknown")
    d["generation"], d["memory_type"] = s["generation"].fillna(d["chip"]), s["memory_type"].fillna("other")
    d["hbm"] = d["memory_type"] == "hbm"
    d["weight_bytes"] = d["precision"].map(WEIGHT_BYTES).astype(float)
    narrow = d["precision"].isin(["fp4", "fp8", "int8"])
    d["kv_gb"] = d["kv_gb_16bit"] * np.where(narrow, 0.5, 1.0)
    return d


def note(d: pd.DataFrame, where: pd.Series, text: str | pd.Series) -> None:
    """Add `text` to what is assumed of the rows `where` (column `assumed`, parts joined by commas)."""
    before = d["assumed"]
    d["assumed"] = before.mask(where, before + np.where(before == "", "", ", ") + text)


def spelt(values: pd.Series) -> pd.Series:
    """Numbers in up to 6 digits, texts in quotes."""
    return values.map(lambda value: f"{value:g}" if isinstance(value, float) else repr(value)).astype("str")


def with_assumed(reason: pd.Series | str, assumed: pd.Series) -> pd.Series:
    """Reasons with what was assumed behind them."""
    return reason + ("; assumed: " + assumed).where(assumed != "", "")


def per_accelerator(d: pd.DataFrame) -> np.ndarray:
    """What one unit of `exp(speed)` means: 1/value, value per accelerator, or accelerator-minutes.

    Answers per second of a language model in a reviewed round count as the tokens they decode, of every beam.
    """
    count = d["accelerators"].to_numpy()
    each = np.where(d["metric"].isin(PER_SYSTEM), count, np.where(d["metric"] == "time_to_train_min", 1 / count, 1.0))
    return each / d["tokens_each"].to_numpy()


def to_speed(d: pd.DataFrame) -> np.ndarray:
    """Log of `value` per accelerator, negative where less is better; see `per_accelerator`."""
    value = np.log(d["value"].to_numpy(dtype=float) / per_accelerator(d))
    return np.where(d["metric"].isin(LOWER_IS_BETTER), -value, value)


def to_value(d: pd.DataFrame, speed: np.ndarray) -> np.ndarray:
    """Inverse of `speed`: the metric's own value of the whole system."""
    signed = np.where(d["metric"].isin(LOWER_IS_BETTER), -speed, speed)
    return np.exp(signed) * per_accelerator(d)
