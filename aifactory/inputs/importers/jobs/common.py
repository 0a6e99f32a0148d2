"""Jobs as text under our names, and from there to typed rows: states, devices, times, order."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from aifactory.errors import InputError, nearest
from aifactory.inputs.billing import accelerator_finder
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.target import Target
from aifactory.inputs.importers.unnamed import UNNAMED
from aifactory.inputs.problems import Problem, raise_problems
from aifactory.inputs.resources import data_dir
from aifactory.inputs.tables import read_source
from aifactory.inputs.telemetry import conform

FIELDS = ("job_id", "use_case", "region", "device", "accelerators", "submitted", "started", "ended", "state")
NO_TIME = ("", "unknown", "none", "n/a", "null", "nat")
NO_DEVICE, NOT_GPU, OUT_OF_ORDER = "(none)", "no accelerator", "times are out of order"
GIVEN_TWICE = "the same run of a job, given again with the same values"
AFTER_IMPORT, NO_SUBMISSION = "after the day of import", "no time of submission"
MAX_NAMED = 10
#: Seconds since 1970 between 2001 and 2286 have ten digits, milliseconds thirteen.
_EPOCH_S, _EPOCH_MS = re.compile(r"\d{10}(?:\.\d+)?"), re.compile(r"\d{13}")
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?")
_ZONE = r":\d\d.*[Z+-]"  # behind the minutes
_FORM = re.compile(r"^(sxm|pcie)\d$")
#: A slice of an accelerator (MIG): 1g.10gb is one of seven.
_SLICE, _SLICE_NAME, SLICES = re.compile(r"(\d)g\.\d+gb"), re.compile(r"[-_/]?mig[-_.]?|\d+g\.\d+gb(\.me)?"), 7
_VENDOR_WORDS = {
    "nvidia",
    "amd",
    "intel",
    "google",
    "aws",
    "tesla",
    "gpu",
    "instinct",
    "geforce",
    "com",
    "habana",
    "ai",
}


@dataclass
class RawJobs:
    """Jobs of one file: text in the columns `FIELDS`, '' where unknown; the index is the row of the file."""

    file: str
    format: str
    system: str
    rows: pd.DataFrame
    rows_read: int
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: list[tuple[str, int]] = field(default_factory=list)
    recoded: list[dict[str, object]] = field(default_factory=list)
    runs_s: pd.Series | None = None  # seconds from start to end, where the file tells them instead of the end
    headers: dict[str, str] = field(default_factory=dict)  # what the file calls a field, where it has another name

    def called(self, name: str) -> str:
        """A field as the file calls it, for messages."""
        return self.headers.get(name, name)

    def leave_out(self, bad: pd.Series, reason: str) -> None:
        """Drop rows and count them under a reason."""
        if bad.any():
            self.left_out[reason] = self.left_out.get(reason, 0) + int(bad.sum())
            self.rows = self.rows[~bad]

    def recode(self, name: str, before: pd.Series, after: pd.Series, certainty: dict[str, str]) -> None:
        """Note each text of theirs that became another of ours, with its rows."""
        counts = before.groupby([before, after]).size()
        for (theirs, ours), rows in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if theirs != ours:
                known = certainty.get(theirs, "same")
                self.recoded.append(
                    {"field": name, "theirs": theirs, "ours": ours, "rows": int(rows), "certainty": known}
                )


def to_jobs(raw: RawJobs, target: Target) -> pd.DataFrame:
    """Rows of the `jobs` table.

    A pending job has the status `running` and no start; a job that runs has no end. Jobs without an
    accelerator are left out and counted. Times without a zone are those of `target.zone`, by default UTC.

    Raises
    ------
    InputError
        If region, use case or accelerator of a job is not known, or a time or number cannot be read.
    """
    if raw.rows.empty:
        others = ", ".join(f"{count:,} {reason}" for reason, count in raw.left_out.items())
        raise InputError.at(raw.file, "holds a header and no jobs" + (f" ({others})" if others else ""), row=2)
    raw.rows = raw.rows.assign(accelerators=_counts(raw))
    raw.leave_out(~(raw.rows["accelerators"] > 0), NOT_GPU)
    slices = pd.to_numeric(raw.rows["device"].str.lower().str.extract(_SLICE, expand=False))
    if slices.notna().any():
        raw.rows = raw.rows.assign(accelerators=raw.rows["accelerators"] * (slices / SLICES).fillna(1.0))
        text = f"jobs hold slices of accelerators (MIG); k of {SLICES} slices count k/{SLICES} of one"
        raw.warnings.append((text, int(slices.notna().sum())))
    times = {name: _times(raw, name, target.zone) for name in ("submitted", "started", "ended")}
    if raw.runs_s is not None:
        times["ended"] = times["ended"].fillna(times["started"] + pd.to_timedelta(raw.runs_s, unit="s"))
    raw.rows = raw.rows.assign(**times)
    raw.leave_out(raw.rows["submitted"].isna(), NO_SUBMISSION)
    raw.leave_out(raw.rows.duplicated() & (raw.rows["job_id"].str.strip() != ""), GIVEN_TWICE)
    if target.today is not None:
        raw.leave_out(raw.rows["submitted"] >= target.today + pd.Timedelta(days=1), AFTER_IMPORT)
    status = _states(raw)
    open_end = raw.rows["ended"].notna() & (status == "running")
    if open_end.any():
        raw.warnings.append(("jobs that still run have no end; the one given is not used", int(open_end.sum())))
    waits = (status == "running") & raw.rows["started"].isna()
    if waits.any():
        raw.warnings.append(("jobs wait: status running without a start", int(waits.sum())))
    raw.rows = raw.rows.assign(state=status, ended=raw.rows["ended"].mask(status == "running"))
    begin = raw.rows["started"].fillna(raw.rows["submitted"])
    late = (raw.rows["started"] < raw.rows["submitted"]) | (raw.rows["ended"] < begin)
    if late.any():
        raw.warnings.append((_out_of_order(raw.rows[late]), int(late.sum())))
    raw.leave_out(late, OUT_OF_ORDER)
    region = _filled(raw, "region", target.region, "the file names no region; say it with --region")
    use_case = _filled(raw, "use_case", target.use_case, "the file names no use case; say it with --use-case")
    jobs = pd.DataFrame(
        {
            "job_id": _unique_ids(raw),
            "use_case_id": use_case.replace(target.use_cases),
            "region": region,
            "accelerator_id": _devices(raw, target),
            "accelerators": raw.rows["accelerators"].astype("float64"),
            "submitted_utc": raw.rows["submitted"],
            "started_utc": raw.rows["started"],
            "ended_utc": raw.rows["ended"],
            "status": raw.rows["state"],
        }
    )
    return conform(jobs.reset_index(drop=True), "jobs")


def _out_of_order(rows: pd.DataFrame) -> str:
    """Rows of the file whose times contradict each other, the first with its times."""
    first, told = rows.iloc[0], []
    for name in ("submitted", "started", "ended"):
        if pd.notna(first[name]):
            told.append(f"{name} {first[name]:%Y-%m-%d %H:%M}")
    numbers = [f"{row:.0f}" for row in rows.index[:MAX_NAMED]]
    more = ", ".join(numbers[1:])
    named = f"row {numbers[0]} (job {first['job_id']}: {', '.join(told)})" + (f", rows {more}" if more else "")
    return f"{OUT_OF_ORDER} in {named}: left out"


def _counts(raw: RawJobs) -> pd.Series:
    texts = raw.rows["accelerators"].str.strip()
    numbers = pd.to_numeric(texts.where(texts != "", "0"), errors="coerce")
    bad = numbers.isna() | (numbers < 0) | (numbers == float("inf"))
    raise_problems(
        raw.file,
        [
            Problem(int(row), raw.called("accelerators"), texts[row], "must be a number of accelerators, 0 or more")
            for row in texts.index[bad]
        ],
    )
    return numbers


def _times(raw: RawJobs, name: str, zone: str) -> pd.Series:
    texts = raw.rows[name].str.strip()
    known = ~texts.str.casefold().isin(NO_TIME)
    seconds, millis, stamps = (_fits(texts, form) for form in (_EPOCH_S, _EPOCH_MS, _STAMP))
    zoned = stamps & texts.str.contains(_ZONE, regex=True)
    bad = known & ~seconds & ~millis & ~stamps
    rule = "must be a time such as 2026-10-01T00:00:00 or seconds since 1970"
    raise_problems(raw.file, [Problem(int(row), raw.called(name), texts[row], rule) for row in texts.index[bad]])
    none = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us, UTC]")
    times = none.where(~(stamps & zoned), _parsed(texts.where(stamps & zoned), utc=True))
    naive = stamps & ~zoned
    if naive.any():
        raw.warnings.append((f"{name}: times without a zone were read as {zone or 'UTC'}", int(naive.sum())))
        times = times.where(~naive, _localised(raw, name, texts[naive], zone).reindex(texts.index))
    epochs = pd.to_numeric(texts.where(seconds | millis), errors="coerce") / (1 + 999 * millis.astype("int64"))
    times = times.where(~(seconds | millis), pd.to_datetime(epochs, unit="s", utc=True).dt.as_unit("us"))
    lost = known & times.isna()
    raise_problems(
        raw.file,
        [Problem(int(row), raw.called(name), texts[row], "is not a date of the calendar") for row in texts.index[lost]],
    )
    return times


def _fits(texts: pd.Series, form: re.Pattern[str]) -> pd.Series:
    return texts.map(lambda text: bool(form.fullmatch(text))).astype("bool")


def _parsed(texts: pd.Series, *, utc: bool) -> pd.Series:
    return pd.to_datetime(texts, format="ISO8601", utc=utc, errors="coerce").dt.as_unit("us")


def _localised(raw: RawJobs, name: str, texts: pd.Series, zone: str) -> pd.Series:
    """UTC of local times; an hour that the clock shows twice, or skips, is named, never guessed."""
    times = _parsed(texts, utc=False)
    try:
        local = times.dt.tz_localize(zone or "UTC", ambiguous="NaT", nonexistent="NaT")
    except (KeyError, ValueError, OSError):
        raise InputError.at("mapping", "is no time zone such as Europe/Berlin", column="zone", value=zone) from None
    twice = times.notna() & local.isna()
    rule = f"the clock of {zone} shows this hour twice or never; export the jobs in UTC{' (TZ=UTC sacct ...)' if raw.system == 'slurm' else ''}"
    raise_problems(raw.file, [Problem(int(row), raw.called(name), texts[row], rule) for row in texts.index[twice]])
    return local.dt.tz_convert("UTC").dt.as_unit("us")


@cache
def _known_states(system: str) -> dict[str, str]:
    with (Path(__file__).parent / "states.csv").open(encoding="utf-8", newline="") as stream:
        rows = sorted(csv.DictReader(stream), key=lambda row: (row["system"] == system, row["system"] != "any"))
    return {text: row["ours"] for row in rows for text in row["texts"].split("|")}


def _states(raw: RawJobs) -> pd.Series:
    """Our status; 'CANCELLED by 1001' is cancelled; a state that no table knows is unknown, and said."""
    texts = raw.rows["state"].str.strip()
    known = _known_states(raw.system)

    def ours(text: str) -> str:
        key = " ".join(text.casefold().split())
        return known.get(key) or known.get(key.split(" by ")[0].rstrip("+")) or "unknown"

    found = {text: ours(text) for text in texts.unique()}
    status = texts.map(found)
    raw.recode(
        "status",
        texts.where(texts != "", "(empty)"),
        status,
        {text: "unknown" for text, name in found.items() if name == "unknown"},
    )
    unknown = int((status == "unknown").sum())
    if unknown:
        raw.warnings.append(("states that no table knows count as unknown", unknown))
    return status


def _filled(raw: RawJobs, name: str, given: str, rule: str) -> pd.Series:
    """The text of the file, or what was said for all of it; a mark for names to come fills only gaps."""
    values = raw.rows[name].str.strip()
    if given == UNNAMED:
        return values.mask(values == "", UNNAMED)
    if given:
        return pd.Series(given, index=raw.rows.index, dtype="str")
    if len(values) and (values == "").any():
        raise InputError.at(raw.file, rule, row=int(values.index[values == ""][0]), column=raw.called(name))
    return values


def _unique_ids(raw: RawJobs) -> pd.Series:
    """Job ids; runs of a requeued job are numbered and named."""
    ids = raw.rows["job_id"].str.strip()
    if (ids == "").any():
        raise InputError.at(
            raw.file, "a job has no identifier", row=int(ids.index[ids == ""][0]), column=raw.called("job_id")
        )
    order = raw.rows.sort_values(["submitted", "started"], kind="stable").index
    run = ids.loc[order].groupby(ids.loc[order]).cumcount().reindex(ids.index)
    if (run > 0).any():
        names = list(dict.fromkeys(ids[run > 0]))
        shown = ", ".join(names[:MAX_NAMED]) + (" ..." if len(names) > MAX_NAMED else "")
        raw.warnings.append(
            (f"jobs ran again under the same identifier; each run counts: {shown}", int((run > 0).sum()))
        )
    return ids.where(run == 0, ids + "#" + (run + 1).astype("str"))


def _devices(raw: RawJobs, target: Target) -> pd.Series:
    """Accelerator of each job, by the mapping, the aliases of the catalogue, or the only one of that name."""
    texts = raw.rows["device"].str.strip()
    found, certainty, problems = {}, {}, []
    for text in texts.unique():
        ours, sure, choices = _device(text, target)
        if not ours:
            row = int(texts.index[texts == text][0])
            rule = f"no accelerator of the catalogue ({int((texts == text).sum()):,} rows); say it with --accelerator or `accelerators` of a mapping."
            problems.append(Problem(row, raw.called("device"), text or "(none)", rule + nearest(text, choices)))
        found[text], certainty[text] = ours, sure
    raise_problems(raw.file, problems)
    chips = texts.map(found)
    raw.recode("accelerator_id", texts.where(texts != "", NO_DEVICE), chips, certainty)
    return chips


def _device(text: str, target: Target) -> tuple[str, str, list[str]]:
    """Accelerator of a text, how sure that is, and what else it could be; memory and form must not contradict."""
    if target.accelerators.get(text):
        return target.accelerators[text], "mapping", []
    ours, sure, choices = _named(text)
    said = target.accelerator
    if said and (said in choices or not (ours or choices)):
        return said, "mapping", []
    return ours, sure, choices or _catalogue()[1]


def _named(text: str) -> tuple[str, str, list[str]]:
    """Accelerator that a text names, how sure that is, and those that it may be; nothing where it names none."""
    find, chips = _catalogue()
    if text in chips:
        return text, "same", []
    whole = _SLICE_NAME.sub("", text.lower())
    words = [_FORM.sub(r"\1", word.removesuffix("gb")) for word in re.findall(r"[a-z0-9]+", whole)]
    words = [word for word in words if word not in _VENDOR_WORDS]
    named = [chip for chip in chips if set(chip.split("-")[1:2]) & set(words)]
    told = {part for chip in named for part in chip.split("-")[2:]} & set(words)
    fits = [chip for chip in named if told <= set(chip.split("-"))]
    sized = any(word.isdigit() for word in words) and any(part.isdigit() for chip in named for part in chip.split("-"))
    if sized and not any(word in told for word in words if word.isdigit()):
        fits = []  # a memory size that no accelerator of that name has
    if len(fits) == 1:
        return fits[0], "same" if set(fits[0].split("-")[1:]) <= set(words) else "near", []
    alias = find(re.sub(r"[-/:.]", " ", whole)) or find(whole)
    if alias and (alias in fits or not named):
        return alias, "near", fits
    return "", "", fits or named


@cache
def _catalogue() -> tuple[Callable[[str], str | None], list[str]]:
    folder = data_dir() / "catalogue"
    aliases = read_source(folder / "accelerator_aliases.csv", load_contract("accelerator_aliases"))
    chips = read_source(folder / "accelerators.csv", load_contract("accelerators"))
    return accelerator_finder(aliases), chips["accelerator_id"].tolist()


def job_report(raw: RawJobs, jobs: pd.DataFrame) -> dict[str, object]:
    """Counts, hours and what had to be recoded."""
    hours = (jobs["ended_utc"] - jobs["started_utc"]) / pd.Timedelta(hours=1) * jobs["accelerators"]
    span = (
        [str(edge)[:10] for edge in (jobs["submitted_utc"].min(), jobs["submitted_utc"].max())]
        if len(jobs)
        else ["", ""]
    )
    return {
        "format": raw.format,
        "rows_read": raw.rows_read,
        "rows_kept": len(jobs),
        "rows_left_out": raw.left_out,
        "warnings": [{"text": text, "rows": rows} for text, rows in raw.warnings],
        "period": span,
        "totals": {"jobs": len(jobs), "accelerator_hours": round(float(hours.sum()), 6)},
        "recoded": raw.recoded,
        "by": {name: {str(key): int(count) for key, count in jobs[name].value_counts().sort_index().items()}
               for name in ("status", "accelerator_id", "use_case_id", "region")},
        "coverage": {name: round(float(jobs[name].notna().mean()), 6) if len(jobs) else 0.0
                     for name in ("started_utc", "ended_utc")},
    }  # fmt: skip
