"""Predictions in tiers: a measured row, an anchored ratio, the step model, or `benchmark first`.

The answer always names the tier that spoke and its 80 % interval, calibrated by holding back evidence
of the same kind: the row itself, its accelerator, its model, or both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from aifactory.serving.intervals import COVERAGE, ENOUGH, Scores, conformal_quantile
from aifactory.serving.measurements import EPOCH_YEAR, PER_SYSTEM, spelt, to_value, with_assumed
from aifactory.serving.physics import upper_bound
from aifactory.serving.ratio import RatioModel, fit_ratio, prior_deviations
from aifactory.serving.tier_scores import (
    ALL_WORK,
    SIZED_NEIGHBOURS,
    STRAY_MAX,
    calibration_scores,
    family_scores,
    missed,
    scenario_scores,
    source_width,
    work_scores,
)

MEASURED, ANCHORED, STEP_MODEL, REFUSED = "measured", "anchored", "step model", "benchmark first"
#: Conditions that a measured row must share with the asked one; counts and lengths to 5 %.
SAME = ("chip", "model", "context", "precision")
PREFERRED = ("source", "submitter", "system")
CLOSE = ("accelerators", "input_tokens", "tp", "concurrency", "output_tokens")
CLOSE_TOLERANCE, LOOKUP_ROWS_MIN = 0.05, 1
#: Deviations of one submitter from the group median in public rounds: median 0.8 %, 90th percentile 6.5 %.
NOISE_FLOOR = 0.01
#: Software drift on the same chip, 1.1 to 1.3 times per half year in public rounds: half width of 80 %.
DRIFT_PER_SQRT_YEAR = 0.25
#: Half width in log units where nothing calibrates the step model: 80 % of public rows within a factor of 2.2.
STEP_MODEL_ALONE = 0.8
#: Kinds of which a source with `ENOUGH` scores of its own is calibrated by them.
BY_FAMILY = ("other row", "known")
#: Work of which a source with `ENOUGH` scores of one scenario and metric is calibrated by them: prompts and limits on
#: latency scatter more than what is free, and small tables of consumer boards more than sweeps of one team.
BY_SCENARIO = (("llm_rounds", "new model"), ("llm_tables", "new model"), ("llm_tables", "new accelerator"))
#: Kinds of novelty of a model that was never measured.
NEW_MODELS = ("new model", "both new")
#: Half width (log) for a number of accelerators that is not stated: 91 % of published rows are of 1 to 8.
COUNT_UNKNOWN = float(np.log(8.0))
#: Factor over the physical limit from which a row is a slip of units and not a datasheet that is a little off.
IMPOSSIBLE = 2.0
#: Factor either way beyond which an interval says nothing: from tables of 45 rows, such answers were off by 32 times
#: in the median (20 of 736); from all published rows none is as wide.
WIDEST = 100.0


@dataclass
class Predictor:
    """Trained tiers. Build with `train`."""

    rows: pd.DataFrame
    models: dict[str, RatioModel]
    _scores: dict[tuple[str, str], dict[tuple[str, ...], np.ndarray]] = field(default_factory=dict, repr=False)
    _works: dict[str, dict[tuple[str, str], np.ndarray]] = field(default_factory=dict, repr=False)
    _sources: dict[str, float] = field(default_factory=dict, repr=False)

    def width(
        self, regime: str, kind: str, scenario: str = "", family: str | None = None, work: tuple[str, str] = ("", "")
    ) -> float:
        """Calibrated half width in deviations; kinds with few scores borrow those of new accelerators.

        Whole accelerators are exchangeable, not their rows: with G of them the share that must be inside
        is (G + 1) / G of the nominal one. A scenario that enough accelerators ran is calibrated by its own
        scores of new accelerators: what binds a speed under a limit on latency is less known than what binds
        the free one. Other conditions of an accelerator and model are calibrated by their own source and task: sweeps
        over batches scatter in another way than reviewed rounds, and those of images read in another than text. New models of other work than language are calibrated by
        those of their own `work` (task and metric) where enough are known, else by all work that is answered: sizes
        tell little of some kinds of work and much of others. A source (`family`) that nobody measured is known no
        better than those measured are by the others.
        """
        own = self._width(regime, kind, scenario, family or "", work)
        if family is None or (self.models[regime].cells["family"] == family).any():
            return own
        if regime not in self._sources:
            self._sources[regime] = source_width(self.models[regime])
        return max(own, self._sources[regime])

    def _width(self, regime: str, kind: str, scenario: str, family: str, work: tuple[str, str]) -> float:
        model = self.models[regime]
        if kind in BY_FAMILY and (own := self._family_scores(regime, kind, (family, work[0]))) is not None:
            return conformal_quantile(own, COVERAGE)
        if (regime, kind) in BY_SCENARIO:
            own = self._family_scores(regime, kind, (family, scenario, work[1]))
            if own is not None:
                return conformal_quantile(own, COVERAGE)
        if kind == "new accelerator" and (own := scenario_scores(model, scenario)) is not None:
            return conformal_quantile(own, COVERAGE)
        if kind == "new model" and not _is_language(regime):
            own = self._work_scores(regime)
            if (spoken := own.get(work, own.get(ALL_WORK))) is not None:
                return conformal_quantile(spoken, COVERAGE)
        scores = {kind: calibration_scores(model, kind)}
        if len(scores[kind]) < ENOUGH:
            scores["new accelerator"] = calibration_scores(model, "new accelerator")
        accelerators = max(model.cells["chip"].nunique(), 1)
        wider = 1 + 1 / accelerators if kind == "new accelerator" else 1.0
        return Scores(scores).width(kind, min(COVERAGE * wider, 0.95))

    def _family_scores(self, regime: str, kind: str, asked: tuple[str, ...]) -> np.ndarray | None:
        """Scores of a source for one work, else for all that it measured; None where fewer than `ENOUGH`."""
        if (regime, kind) not in self._scores:
            by = () if kind in BY_FAMILY else (("family", "scenario", "metric"), SIZED_NEIGHBOURS)
            self._scores[regime, kind] = family_scores(self.models[regime], kind, *by)
        known = self._scores[regime, kind]
        own = known.get(asked, np.array([]))
        if len(own) < ENOUGH:
            own = np.concatenate([own[:0], *(scores for work, scores in known.items() if work[0] == asked[0])])
        return own if len(own) >= ENOUGH else None

    def _work_scores(self, regime: str) -> dict[tuple[str, str], np.ndarray]:
        if regime not in self._works:
            self._works[regime] = work_scores(self.models[regime])
        return self._works[regime]

    @cached_property
    def lookup_scores(self) -> tuple[Scores, Scores]:
        """How far measured rows are from the others under their conditions, by source and by source and scenario."""
        return lookup_scores(self.rows)

    def lookup_widths(self, families: pd.Series, scenarios: pd.Series | str = "") -> pd.Series:
        """Half width in spreads of a row looked up, calibrated by its source and scenario, else its source, else all."""
        by_source, by_work = self.lookup_scores
        works = families + "|" + scenarios
        widths = {}
        for work, family in set(zip(works, families, strict=True)):
            own = by_work.by_kind.get(work, ())
            widths[work] = conformal_quantile(own, COVERAGE) if len(own) >= ENOUGH else by_source.width(family)
        return works.map(widths).astype(float)

    def predict(self, asked: pd.DataFrame) -> pd.DataFrame:
        """One line per row: predicted, low80, high80 (in the row's own metric), tier, reason."""
        out = pd.DataFrame(
            {"speed": np.nan, "low": np.nan, "high": np.nan, "tier": REFUSED, "reason": ""}, index=asked.index
        )
        for regime, rows in asked.groupby("regime"):
            if regime in self.models:
                self._by_ratio(out, rows, regime)
            else:
                self._by_step_model_alone(out, rows)
        self._by_lookup(out, asked)
        out["reason"] = out["reason"].mask(out["tier"] != REFUSED, with_assumed(out["reason"], asked["assumed"]))
        return without_wide(for_any_count(_in_units(asked, out), asked))

    def _by_ratio(self, out: pd.DataFrame, rows: pd.DataFrame, regime: str) -> None:
        model = self.models[regime]
        kind = novelty(rows, model.cells)
        reason = refusal(rows, model.cells, kind)
        reason = reason.mask((reason == "") & strays(rows, model, kind), STRAYS)
        speaks = reason == ""
        out.loc[rows.index, "reason"] = reason
        rows, kind = rows[speaks], kind[speaks]
        if rows.empty:
            return
        gap, deviation = model.predict(rows)
        speed = rows["prior"].to_numpy() + gap
        known = rows["accelerator_class"].isin(model.cells["accelerator_class"])
        work = zip(rows["task"], rows["metric"], strict=True)
        pairs = list(zip(kind, rows["scenario"].where(known, ""), rows["family"], work, strict=True))
        widths = {pair: self.width(regime, *pair) for pair in set(pairs)}
        half = deviation * np.array([widths[pair] for pair in pairs])
        anchored = kind.isin(["known", "other row", "new accelerator"])
        out.loc[rows.index, "speed"] = speed
        out.loc[rows.index, "low"], out.loc[rows.index, "high"] = speed - half, speed + half
        out.loc[rows.index, "tier"] = np.where(anchored, ANCHORED, STEP_MODEL)
        far = rows["year"] != model.year_of(rows)
        dated = "; dated beyond what was measured: as of " + spelt((EPOCH_YEAR + model.year_of(rows)).round(1))
        trend = model.deviations.get("year", 0.0) > 0
        out.loc[rows.index, "reason"] = "evidence: " + kind.map(EVIDENCE) + dated.where(far & trend, "")

    def _by_step_model_alone(self, out: pd.DataFrame, rows: pd.DataFrame) -> None:
        """Nothing of this kind was measured: the step model with its own error, for language models only."""
        language = rows["regime"].str.startswith("llm") & (rows["metric"] == "tokens_per_s")
        able = rows.index[language & np.isfinite(rows["prior"]) & rows["known_chip"] & rows["sized"]]
        out.loc[rows.index, "reason"] = "nothing of this kind was measured: run the benchmark pack"
        prior = rows.loc[able, "prior"]
        out.loc[able, "speed"], out.loc[able, "tier"] = prior, STEP_MODEL
        out.loc[able, "low"], out.loc[able, "high"] = prior - STEP_MODEL_ALONE, prior + STEP_MODEL_ALONE
        out.loc[able, "reason"] = "step model alone: no measurement to calibrate it by"

    def _by_lookup(self, out: pd.DataFrame, asked: pd.DataFrame) -> None:
        found = look_up(asked, self.rows, exclude_self=False)
        hit = found["rows"] >= LOOKUP_ROWS_MIN
        if not hit.any():
            return
        place = found.index[hit]
        half = found.loc[hit, "spread"].clip(lower=NOISE_FLOOR) * self.lookup_widths(
            asked.loc[place, "family"], asked.loc[place, "scenario"]
        )
        half = np.hypot(half, DRIFT_PER_SQRT_YEAR * np.sqrt(found.loc[hit, "years"]))
        out.loc[place, "speed"] = found.loc[hit, "speed"]
        out.loc[place, "low"], out.loc[place, "high"] = found.loc[hit, "speed"] - half, found.loc[hit, "speed"] + half
        out.loc[place, "tier"] = MEASURED
        out.loc[place, "reason"] = measured_reason(found.loc[hit, "rows"])


EVIDENCE = {
    "other row": "this accelerator and model under other conditions",
    "known": "this accelerator with other models, this model on other accelerators",
    "new accelerator": "this model on other accelerators",
    "new model": "step model, level of this accelerator with other models",
    "both new": "step model, level of other accelerators and models",
}


def measured_reason(rows: pd.Series) -> pd.Series:
    """What is said of an answer that so many measured rows gave."""
    return (
        "median of "
        + rows.astype("str")
        + np.where(rows > 1, " measured rows", " measured row")
        + " under these conditions"
    )


def train(rows: pd.DataFrame) -> Predictor:
    """Fit every regime that has rows; `rows` carries features and `speed` (see `with_features`).

    Rows at more than `IMPOSSIBLE` times what peak and bandwidth allow teach nothing.
    """
    usable = rows[np.isfinite(rows["speed"]) & ~(rows["speed"] > upper_bound(rows) + np.log(IMPOSSIBLE))]
    models = {}
    for regime, part in usable[np.isfinite(usable["prior"])].groupby("regime"):
        models[regime] = fit_ratio(part, prior_deviations()[regime])
    return Predictor(usable, models)


def novelty(rows: pd.DataFrame, cells: pd.DataFrame) -> pd.Series:
    """What of each row the training cells have seen: see `EVIDENCE`."""
    chips, models = set(cells["chip"]), set(cells["model"])
    pairs = set(cells["chip"] + "|" + cells["model"])
    pair = (rows["chip"] + "|" + rows["model"]).isin(pairs)
    chip = rows["chip"].isin(chips)
    model = rows["model"].isin(models)
    kind = np.select(
        [pair, chip & model, model, chip], ["other row", "known", "new accelerator", "new model"], "both new"
    )
    return pd.Series(kind, index=rows.index)


def refusal(rows: pd.DataFrame, cells: pd.DataFrame, kind: pd.Series) -> pd.Series:
    """Why no number can be given, "" where one can."""
    language = rows["regime"].isin(["llm_rounds", "llm_tables"])
    no_chip = ~rows["known_chip"] & ~kind.isin(["other row"])
    no_specification = ~np.isfinite(rows["prior"]) & ~kind.isin(["other row"])
    per_user = rows["metric"] == "tokens_per_s_per_user"
    sized = cells.groupby(["kind", "metric"])["model"].nunique()
    neighbours = pd.MultiIndex.from_frame(rows[["kind", "metric"]]).map(sized).to_numpy(dtype=float, na_value=0)
    unmeasured = (~language | (rows["metric"] == "prompt_tokens_per_s")) & (neighbours == 0)
    new_model = kind.isin(["new model", "both new"])
    unsized = new_model & ~rows["sized"]
    lonely = new_model & ~language & (neighbours < SIZED_NEIGHBOURS)
    reason = np.select(
        [per_user, unmeasured, no_chip, no_specification, unsized, lonely, ~np.isfinite(rows["prior"])],
        [
            "speed of one user over an undisclosed number of chips is no throughput: benchmark first",
            "nothing of this kind was measured in this metric: run the benchmark pack",
            "accelerator unknown to the catalogue and never measured: give its specifications or benchmark first",
            "peak or bandwidth of the accelerator is not known: benchmark first",
            "model never measured and its size is not given: benchmark first",
            "model of a kind that too few neighbours measured: benchmark first",
            "no specification to scale other conditions by: benchmark first",
        ],
        "",
    )
    return pd.Series(reason, index=rows.index)


STRAYS = (
    "sizes do not carry over between models of this task (known ones are missed by a factor over 5): benchmark first"
)


def strays(rows: pd.DataFrame, model: RatioModel, kind: pd.Series) -> pd.Series:
    """New models of tasks, language models apart, whose known models the size trend misses by more than `STRAY_MAX`."""
    asked = kind.isin(NEW_MODELS) & ~rows["regime"].map(_is_language)
    if not asked.any():
        return asked
    found = pd.MultiIndex.from_frame(rows[["task", "metric"]]).map(missed(model)).to_numpy(dtype=float, na_value=0.0)
    return asked & (found > np.log(STRAY_MAX))


def _is_language(regime: str) -> bool:
    return regime.startswith("llm")


def look_up(asked: pd.DataFrame, rows: pd.DataFrame, *, exclude_self: bool) -> pd.DataFrame:
    """Log speed of rows under the asked conditions: median of the same source, submitter and system first.

    A source that was not measured is answered by its edition next in date; a later one by the fastest row of
    it, as software gains between editions (error of 134 such rows: 4.1 %, of the median 6.1 %).
    """
    both = pd.concat([asked[[*SAME, *PREFERRED, "id"]], rows[[*SAME, *PREFERRED, "id"]]])
    codes = {name: pd.factorize(both[name])[0] for name in (*PREFERRED, "id")}
    codes["key"] = both.groupby(list(SAME), sort=False).ngroup().to_numpy()
    n = len(asked)
    near = _comparable(asked), _comparable(rows)
    values = rows["speed"].to_numpy()
    place = {key: np.asarray(found) for key, found in pd.Series(np.arange(len(rows))).groupby(codes["key"][n:])}
    speed, spread, count, years = np.full(n, np.nan), np.zeros(n), np.zeros(n, dtype=int), np.zeros(n)
    dates = asked["year"].to_numpy(), rows["year"].to_numpy()
    for i in range(n):
        found = place.get(codes["key"][i])
        if found is None:
            continue
        gap = np.abs(near[0][i] - near[1][found])
        found = found[(gap <= CLOSE_TOLERANCE).all(axis=1)]
        if exclude_self:
            found = found[codes["id"][n + found] != codes["id"][i]]
        if not len(found):
            continue
        other_edition = not (codes["source"][n + found] == codes["source"][i]).any()
        if other_edition:
            apart = np.abs(dates[1][found] - dates[0][i])
            found = found[apart <= apart.min()]
        for name in PREFERRED:
            own = found[codes[name][n + found] == codes[name][i]]
            found = own if len(own) >= (1 if name == "source" else 2) else found
        years[i] = abs(dates[0][i] - np.median(dates[1][found]))
        newer = other_edition and dates[0][i] > dates[1][found].max()
        speed[i], count[i] = (np.max if newer else np.median)(values[found]), len(found)
        spread[i] = np.median(np.abs(values[found] - np.median(values[found]))) if len(found) > 2 else 0.0
    return pd.DataFrame({"speed": speed, "spread": spread, "rows": count, "years": years}, index=asked.index)


def _comparable(d: pd.DataFrame) -> np.ndarray:
    """Logarithms of the conditions to compare; in rounds only the size of the system and the prompt."""
    logs = np.log(d[list(CLOSE)].fillna(1e-9).to_numpy(dtype=float))
    logs[d["round"].to_numpy(), CLOSE.index("tp") :] = 0.0
    return logs


def lookup_scores(rows: pd.DataFrame) -> tuple[Scores, Scores]:
    """How far each row is from the median of the other rows under its conditions, by source, and by `source|scenario`."""
    found = look_up(rows, rows, exclude_self=True)
    hit = found["rows"] >= LOOKUP_ROWS_MIN
    off = np.abs(rows.loc[hit, "speed"] - found.loc[hit, "speed"])
    scores = off / np.maximum(found.loc[hit, "spread"], NOISE_FLOOR)
    family = rows.loc[hit, "family"]
    by = (family, family + "|" + rows.loc[hit, "scenario"])
    first, second = (Scores({name: own.to_numpy() for name, own in scores.groupby(labels)}) for labels in by)
    return first, second


def _in_units(asked: pd.DataFrame, out: pd.DataFrame) -> pd.DataFrame:
    ends = np.stack([to_value(asked, out[name].to_numpy(dtype=float)) for name in ("low", "high")])
    return pd.DataFrame(
        {
            "id": asked["id"],
            "predicted": to_value(asked, out["speed"].to_numpy(dtype=float)),
            "low80": ends.min(axis=0),
            "high80": ends.max(axis=0),
            "tier": out["tier"],
            "reason": out["reason"],
        },
        index=asked.index,
    )


def for_any_count(answer: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """Answers in units, wide enough for 1 to 8 accelerators where a figure of the whole system does not say how many."""
    open_ = asked["accel_count"].isna() & asked["metric"].isin([*PER_SYSTEM, "time_to_train_min"])
    if not open_.any():
        return answer
    answer, middle = answer.copy(), answer["predicted"].astype(float)
    for name, sign in (("low80", -1.0), ("high80", 1.0)):
        half = np.hypot(np.log(answer[name].astype(float) / middle), COUNT_UNKNOWN)
        answer[name] = answer[name].mask(open_, middle * np.exp(sign * half))
    return answer


def without_wide(answer: pd.DataFrame) -> pd.DataFrame:
    """Answers in units with those refused whose interval reaches further than `WIDEST` either way."""
    wide = answer["high80"].astype(float) / answer["low80"].astype(float) > WIDEST**2
    reason = (
        f"too little comparable was measured, the interval is wider than {WIDEST:g} times either way: benchmark first"
    )
    answer = answer.copy()
    answer.loc[wide, ["predicted", "low80", "high80"]] = np.nan
    answer.loc[wide, ["tier", "reason"]] = [REFUSED, reason]
    return answer
