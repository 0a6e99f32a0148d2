"""Capacity of every pair without a run: predicted in tiers with an interval, or `benchmark first`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from aifactory.demand.profile import job_end
from aifactory.inputs.hosted import HOSTED_ONLY
from aifactory.inputs.workspace import Workspace
from aifactory.inventory.chains import stated_lengths
from aifactory.inventory.demand import relative_speed
from aifactory.inventory.hosted_today import closed_today
from aifactory.serving.bundled import measurements_path
from aifactory.serving.measurements import NUMBERS, OWN_RUNS, TEXTS, Facts, read_measurements, with_features
from aifactory.serving.platforms import platforms_with
from aifactory.serving.tiers import REFUSED
from aifactory.serving.transfer import QUESTION, TASKS, TRAINING_TASK, common_names, shared_precision, transfer
from aifactory.units import SECONDS_PER_HOUR, signed_percent

TRAINING_UNIT, HOUR = "accelerator_hour", 1 / SECONDS_PER_HOUR
RATES = ("tokens_per_s", "samples_per_s")
NO_CLASS = {"neuromorphic": "event-driven hardware has no comparable figures; port a small model and measure it"}
COLUMNS = ["use_case_id", "accelerator_id", "units_per_s_per_accelerator", "low", "high", "tier", "evidence"]
NONE, DEFINITION = "none", "definition of the reference accelerator-hour"
OWN_JOBS = "its jobs ran here, an hour counted as {speed:.3g} of the reference accelerator"


@dataclass(frozen=True)
class Estimate:
    """Units per second of one accelerator with its interval, tier and evidence."""

    units_per_s: float
    low: float
    high: float
    tier: str
    evidence: str


def no_estimate(reason: str) -> Estimate:
    """Nothing can be said; the evidence tells what to measure."""
    return Estimate(np.nan, np.nan, np.nan, NONE, f"benchmark first: {reason}")


def estimate_missing(
    ws: Workspace, measured: pd.DataFrame, tokens_per_unit: pd.Series, *, shown: pd.DataFrame | None = None,
    refuted: frozenset[str] = frozenset(), unseen_classes: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Estimates for every candidate and use case without a measurement.

    Parameters
    ----------
    measured : capacities read off own runs (`measured_capacities`).
    tokens_per_unit : output tokens per service unit, by use case.
    shown : what production shows (`telemetry.shown_capacities`); the level of use cases without a run or a public
        measurement, whose estimates are as uncertain as it is, the two deviations being independent.
    refuted : use cases without a run that take that level too, since production refutes public measurements.
    unseen_classes : give figures for classes of accelerator that nobody measured for such work.
    """
    chips = ws.table("accelerators").set_index("accelerator_id", drop=False)
    done = set(zip(measured["use_case_id"], measured["accelerator_id"], strict=True))
    facts = Facts(platforms_with(ws.table("accelerators")), ws.table("models").set_index("model"))
    published, lengths, closed = published_rows(ws, facts), mean_lengths(ws), closed_today(ws)
    found: dict[tuple[str, str], Estimate] = {}
    own, asked, lifted, homes = [], [], set(), training_homes(ws)
    levels = _levels(ws, measured, homes)
    for case in ws.table("use_cases").itertuples(index=False):
        missing = [name for name in ws.plan.candidates if (case.use_case_id, name) not in done]
        anchors = _anchors(case, measured, homes)
        task, why = _task(ws, case, anchors, published, tokens_per_unit, closed)
        if (why or case.use_case_id in refuted) and (seen := _anchors_shown(ws, case, shown)) is not None:
            anchors = seen
            lifted.add(case.use_case_id)
            levels[case.use_case_id] = "own telemetry"
            task, why = _task(ws, case, anchors, published, tokens_per_unit, closed)
        for name in missing:
            known = _known(case, chips.loc[name], why, homes, ws.plan.reference_accelerator)
            if known is not None:
                found[case.use_case_id, name] = known
        ask = [name for name in missing if (case.use_case_id, name) not in found]
        work = tokens_per_unit, lengths.get(case.use_case_id, {})
        own += [_question(ws, case, chips.loc[row.name], task, facts, [row["precision"]], row["value"], *work)
                for _, row in anchors.iterrows()] if ask else []  # fmt: skip
        used = list(anchors["precision"])
        asked += [_question(ws, case, chips.loc[name], task, facts, used, np.nan, *work) for name in ask]
    said = _answers(published, own, asked, facts, tokens_per_unit, unseen_classes, levels)
    found |= said if shown is None else said | _widened(said, shown, lifted)
    rows = [
        {"use_case_id": case, "accelerator_id": name, "units_per_s_per_accelerator": item.units_per_s, "low": item.low,
         "high": item.high, "tier": item.tier, "evidence": item.evidence}
        for (case, name), item in found.items()
    ]  # fmt: skip
    order = {pair: number for number, pair in enumerate(_pairs(ws))}
    in_order = sorted(rows, key=lambda row: order[row["use_case_id"], row["accelerator_id"]])
    return pd.DataFrame(in_order, columns=COLUMNS)


def _pairs(ws: Workspace) -> list[tuple[str, str]]:
    return [(case, name) for case in ws.table("use_cases")["use_case_id"] for name in ws.plan.candidates]


def published_rows(ws: Workspace, facts: Facts) -> pd.DataFrame:
    """Published measurements with features: those of the package, and rows the workspace adds.

    Added rows say nothing of layout and batch, so they count like own runs, at the best layout.
    """
    bundled = read_measurements(measurements_path())
    rows = ws.table("public_measurements")
    rows = rows[~rows["measurement_id"].isin(bundled["id"])] if "measurement_id" in rows else rows.iloc[:0]
    if rows.empty:
        return common_names(with_features(bundled, None, facts))
    added = pd.DataFrame(dict.fromkeys(TEXTS, "") | dict.fromkeys(NUMBERS, np.nan), index=rows.index)
    named = {"id": "measurement_id", "accelerator": "accelerator_id", "catalogue_accelerator_id": "accelerator_id",
             "catalogue_model": "model", "accel_count": "accelerators"}  # fmt: skip
    for name, column in (
        *named.items(),
        *((n, n) for n in ("task", "model", "precision", "scenario", "metric", "source")),
    ):
        added[name] = rows[column].fillna("") if name in TEXTS else rows[column]
    reviewed = added["source"].str.startswith("mlperf")
    added["source"] = added["source"].where(reviewed, OWN_RUNS + ": " + added["source"])
    added["date"] = rows["as_of"].astype(str).str[:10]
    added["accelerator_class"] = rows["accelerator_id"].map(
        ws.table("accelerators").set_index("accelerator_id")["platform_class"]
    )
    added["value"] = rows["value_per_accelerator"] * rows["accelerators"].fillna(1.0)
    return common_names(with_features(pd.concat([bundled, added], ignore_index=True), None, facts))


def training_homes(ws: Workspace) -> dict[str, tuple[str, float]]:
    """Accelerator that each training use case is known on without a run, and its hours of the reference an hour.

    That is the reference accelerator, by definition of its hours, unless none of its jobs ran there: then the one with most
    accelerator-hours, at the speed by which its hours are counted in those of the reference (`relative_speed`). What the
    jobs need there was measured, what they would need on the reference was not. With own runs the reference stays.
    """
    reference, jobs, runs = ws.plan.reference_accelerator, ws.table("jobs"), set(ws.table("benchmarks")["use_case_id"])
    cases = ws.table("use_cases").query("service_unit == @TRAINING_UNIT")["use_case_id"]
    homes = dict.fromkeys(cases, (reference, 1.0))
    if jobs.empty:
        return homes
    hours = (job_end(jobs) - jobs["started_utc"]) / pd.Timedelta(hours=1) * jobs["accelerators"]
    sums = hours.groupby([jobs["use_case_id"], jobs["accelerator_id"]]).sum().rename("hours").reset_index()
    sums = sums[sums["use_case_id"].isin(set(homes) - runs) & (sums["hours"] > 0)]
    there = sums.loc[sums["accelerator_id"] == reference, "use_case_id"]
    most = sums[~sums["use_case_id"].isin(there)].sort_values("hours").drop_duplicates("use_case_id", keep="last")
    speeds = relative_speed(ws, most)
    return homes | {row.use_case_id: (row.accelerator_id, row.speed) for row in speeds.itertuples(index=False)}


def _levels(ws: Workspace, measured: pd.DataFrame, homes: dict[str, tuple[str, float]]) -> dict[str, str]:
    """What the level of each training use case without a run rests on: its jobs, or the hour that its demand is counted in."""
    ran, runs = set(ws.table("jobs")["use_case_id"]), set(measured["use_case_id"])
    return {case: "own jobs" if case in ran else "the reference hour" for case in homes if case not in runs}


def _anchors(case: tuple, measured: pd.DataFrame, homes: dict[str, tuple[str, float]]) -> pd.DataFrame:
    """Own capacities of a use case by accelerator: value and precision; that of its jobs (`training_homes`) without a run."""
    own = measured[measured["use_case_id"] == case.use_case_id].set_index("accelerator_id")
    own = own[own["units_per_s_per_accelerator"] > 0] if len(own) else own
    if own.empty and case.service_unit == TRAINING_UNIT:
        home, speed = homes[case.use_case_id]
        return pd.DataFrame({"value": HOUR * speed, "precision": "bf16"}, index=[home])
    if own.empty:
        return pd.DataFrame({"value": [], "precision": []})
    return pd.DataFrame({"value": own["units_per_s_per_accelerator"], "precision": own["precision"]})


def _anchors_shown(ws: Workspace, case: tuple, shown: pd.DataFrame | None) -> pd.DataFrame | None:
    """What production shows of a use case, by accelerator; None where it shows nothing."""
    own = None if shown is None else shown[shown["use_case_id"] == case.use_case_id].set_index("accelerator_id")
    if own is None or own.empty:
        return None
    models = ws.table("models").set_index("model")["default_precision"]
    precision = models.get(case.model) if isinstance(case.model, str) else None
    return pd.DataFrame(
        {
            "value": own["units_per_s_per_accelerator"],
            "precision": precision if isinstance(precision, str) and precision else "bf16",
        }
    )


def _widened(
    said: dict[tuple[str, str], Estimate], shown: pd.DataFrame, lifted: set[str]
) -> dict[tuple[str, str], Estimate]:
    """Estimates whose level is that of production, with its interval added: log deviations of the ends in squares."""
    level = shown.drop_duplicates("use_case_id").set_index("use_case_id")
    wider = {}
    for (case, name), item in said.items():
        if case not in lifted or item.tier == NONE:
            continue
        own = level.loc[case]
        middle = own["units_per_s_per_accelerator"]
        below, above = (
            float(np.hypot(np.log(item.units_per_s / end), np.log(middle / edge)))
            for end, edge in ((item.low, own["low"]), (item.high, own["high"]))
        )
        evidence = f"{item.evidence}; with that of production {signed_percent(np.exp(-below) - 1)} to {signed_percent(np.exp(above) - 1)}"
        low, high = item.units_per_s * np.exp(-below), item.units_per_s * np.exp(above)
        wider[case, name] = replace(item, low=low, high=high, evidence=evidence)
    return wider


def _task(
    ws: Workspace, case: tuple, anchors: pd.DataFrame, published: pd.DataFrame, tokens: pd.Series,
    closed: frozenset[str],
) -> tuple[tuple[str, str], str]:  # fmt: skip
    """Task and metric to compare a use case by, and why it cannot be ("" where it can); `closed`: models sold hosted only."""
    if case.service_unit == TRAINING_UNIT:
        return TRAINING_TASK, ""
    models = ws.table("models").set_index("model")
    named = isinstance(case.model, str)
    kind = models["kind"].get(case.model, "other") if named else "other"
    task = TASKS.get(kind, ("other", "samples_per_s"))
    if kind == "other" and named and case.model not in models.index:
        task = _published_task(published, case.model) or task
        kind = task[0]
    if len(anchors):
        return task, ""
    if case.use_case_id in closed:
        return task, HOSTED_ONLY
    if not named:
        return task, "no run on own prompts, no model named that public measurements could be looked up for"
    language = task[1] == "tokens_per_s"
    if not language and not published["model"].eq(case.model).any() or kind == "other":
        return task, f"no run on own prompts, no public measurement of {case.model}"
    if language and not tokens.get(case.use_case_id, np.nan) > 0:
        return task, (
            f"no run on own prompts, and no output tokens per {case.service_unit} to convert public measurements of {case.model}"
        )
    return task, ""


def _published_task(published: pd.DataFrame, model: str) -> tuple[str, str] | None:
    """Task and metric that reviewed rounds most often give for a model that the models table lacks."""
    rows = published[(published["model"] == model) & published["round"] & published["metric"].isin(RATES)]
    return rows.groupby(["kind", "metric"]).size().idxmax() if len(rows) else None


def _known(
    case: tuple, chip: pd.Series, why: str, homes: dict[str, tuple[str, float]], reference: str
) -> Estimate | None:
    """What needs no prediction: where the jobs of a use case ran, and pairs that nothing can be said of."""
    if chip["platform_class"] in NO_CLASS:
        return no_estimate(NO_CLASS[chip["platform_class"]])
    home, speed = homes.get(case.use_case_id, ("", 0.0))
    if chip["accelerator_id"] == home:
        return Estimate(
            *[HOUR * speed] * 3, "measured", DEFINITION if home == reference else OWN_JOBS.format(speed=speed)
        )
    if why == HOSTED_ONLY:
        return Estimate(np.nan, np.nan, np.nan, NONE, why)
    return no_estimate(why) if why else None


def _question(
    ws: Workspace, case: tuple, chip: pd.Series, task: tuple[str, str], facts: Facts, precisions: list[str],
    value: float, tokens: pd.Series, lengths: dict[str, float],
) -> dict[str, object]:  # fmt: skip
    """A pair as a question, or with a value as an own run; language models count in output tokens."""
    per_unit = _per_unit(task[1], tokens, case.use_case_id)
    specification = facts.platforms.loc[chip["accelerator_id"]]
    values = (
        case.use_case_id, chip["accelerator_id"], chip["platform_class"], float(chip["accelerators_per_node"]), *task,
        case.model if isinstance(case.model, str) else case.use_case_id, shared_precision(precisions, specification),
        np.nan, np.nan, case.slo_p95_tpot_ms, ws.period[:4], value * per_unit,
    )  # fmt: skip
    return dict(zip(QUESTION, values, strict=True)) | lengths


def _per_unit(metric: str, tokens: pd.Series, case: str) -> float:
    value = float(tokens.get(case, np.nan))
    return value if metric == "tokens_per_s" and value > 0 else 1.0


def mean_lengths(ws: Workspace) -> dict[str, dict[str, float]]:
    """Mean prompt and answer (`input_tokens`, `output_tokens`) by use case, NaN unknown; only those known of have an entry.

    Of production in the month, else of the demand chain.
    """
    names = ["input_tokens", "output_tokens"]
    month, stated = ws.month("demand_windows"), stated_lengths(ws.table("demand_chain"), ws.table("use_cases"))[names]
    found = {str(case): row.to_dict() for case, row in stated.iterrows()}
    for case, rows in month.groupby("use_case_id"):
        sums = rows[["requests", *names]].astype("float64").sum()
        if sums["requests"] > 0:
            found[str(case)] = {name: sums[name] / sums["requests"] for name in names}
    return {case: {name: mean if mean > 0 else np.nan for name, mean in means.items()} for case, means in found.items()}


def _answers(
    published: pd.DataFrame, own: list[dict], asked: list[dict], facts: Facts, tokens: pd.Series, unseen: bool,
    levels: dict[str, str],
) -> dict[tuple[str, str], Estimate]:  # fmt: skip
    """Predictions with their evidence; `levels`: what anchors each use case that has no runs of its own."""
    if not asked:
        return {}
    runs, questions = pd.DataFrame(own, columns=list(QUESTION)), pd.DataFrame(asked, columns=list(QUESTION))
    names = runs.groupby("case")["accelerator_id"].agg(", ".join) if len(runs) else {}
    metrics = questions.drop_duplicates("case").set_index("case")["metric"]
    found = {}
    for row in transfer(published, runs, questions, facts, unseen_classes=unseen).itertuples(index=False):
        if row.tier == REFUSED:
            found[row.case, row.accelerator_id] = no_estimate(row.evidence.removesuffix(": benchmark first"))
            continue
        per_unit = _per_unit(metrics[row.case], tokens, row.case)
        basis = (
            f"{levels.get(row.case, 'own runs')} on {names[row.case]} and public measurements"
            if row.case in names
            else "public measurements"
        )
        evidence = f"{row.tier} from {basis}; {row.evidence}; 80 % interval {signed_percent(row.low / row.value - 1)} to {signed_percent(row.high / row.value - 1)}"
        values = (row.value / per_unit, row.low / per_unit, row.high / per_unit)
        found[row.case, row.accelerator_id] = Estimate(*values, row.tier, evidence)
    return found
