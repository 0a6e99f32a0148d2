"""What is wrong or odd in request rows that can be read: refused, left out and counted, or said; never guessed."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.aggregate.survey import MOST

LATENCIES = ("ttft_ms", "e2e_ms", "queue_ms")
#: End-to-end times below this median, and first tokens below that one, are seconds more often than milliseconds.
MIN_PLAUSIBLE_E2E_MS, MIN_PLAUSIBLE_TTFT_MS = 10, 2
#: A model that takes longer for an output token was timed in microseconds.
MAX_PLAUSIBLE_MS_PER_TOKEN = 2_000
#: No model writes 10,000 tokens of one answer in a second.
MIN_PLAUSIBLE_MS_PER_TOKEN = 0.1
AFTER_IMPORT = "after the day of import"
BEFORE_LOGS = "before the year 2000: no time of a request"
CUT_NUMBER = r"\d(?:\.\d+)?[eE]\+?\d+"
GIVEN_TWICE = "the same request, given again with the same values"
FIRST_YEAR = pd.Timestamp("2000-01-01", tz="UTC")

Parts = tuple[pd.DataFrame, dict[str, int], list[tuple[str, int]]]


def sift(file: str, rows: pd.DataFrame, today: pd.Timestamp) -> Parts:
    """Rows that can be counted, rows left out by reason, and remarks with their rows.

    Left out: times after the day of import or before 2000, and exact repeats of a request. Taken back
    (unknown from here on): latencies whose first token follows the last, cached tokens beyond the input.
    The index of the frame given is that of the file: row 2 of the file is row 0.

    Raises
    ------
    InputError
        For a table without rows and for a negative duration.
    """
    if rows.empty:
        raise InputError.at(file, "holds a header and no requests", row=2)
    _refuse_negative(file, rows)
    _refuse_huge(file, rows)
    unusable = _unusable(rows, today)
    left_out = {reason: int(bad.sum()) for reason, bad in unusable.items() if bad.any()}
    rows = rows[~pd.concat(unusable, axis=1).any(axis=1)]
    if rows.empty:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        raise InputError.at(file, f"holds no request that can be counted: {reasons}")
    remarks = [(text, count) for look in _LOOKS for text, count in look(rows)]
    return _taken_back(_named_apart(rows)), left_out, remarks


def _refuse_negative(file: str, rows: pd.DataFrame) -> None:
    for column in (name for name in LATENCIES if name in rows):
        negative = (rows[column] < 0).fillna(value=False)
        if negative.any():
            row = int(negative.idxmax())
            raise InputError.at(file, "must be 0 or more", row=row + 2, column=column, value=float(rows[column][row]))


def _refuse_huge(file: str, rows: pd.DataFrame) -> None:
    """Refuse what no request has: a damaged cell, or another unit, would stand for the whole month."""
    for column, most in MOST.items():
        huge = (rows[column] > most).fillna(value=False) if column in rows else pd.Series(dtype="bool")
        if huge.any():
            row = int(huge.idxmax())
            rule = f"is more than {most:,.0f}, which no request has: is the cell damaged, or in another unit?"
            raise InputError.at(file, rule, row=row + 2, column=column, value=f"{rows[column][row]:.15g}")


def _unusable(rows: pd.DataFrame, today: pd.Timestamp) -> dict[str, pd.Series]:
    time = rows["timestamp_utc"]
    late, early = time >= today + pd.Timedelta(days=1), time < FIRST_YEAR
    repeated = rows.duplicated("request_id") & ~_cut(rows)
    repeated &= rows.duplicated() if repeated.any() else False
    return {AFTER_IMPORT: late, BEFORE_LOGS: early, GIVEN_TWICE: repeated & ~late & ~early}


def _cut(rows: pd.DataFrame) -> pd.Series:
    """Identifiers that a spreadsheet has written as a power of ten: different ones have become the same."""
    return rows["request_id"].astype("str").str.fullmatch(CUT_NUMBER).fillna(value=False)


def _named_apart(rows: pd.DataFrame) -> pd.DataFrame:
    """Different requests of one identifier get one each: `id`, `id#2`, `id#3`."""
    number = rows.groupby("request_id").cumcount() + 1
    if (number == 1).all():
        return rows
    names = rows["request_id"].astype("str")
    return rows.assign(request_id=names.where(number == 1, names + "#" + number.astype("str")))


def _contradicting(rows: pd.DataFrame) -> pd.Series:
    return (rows["ttft_ms"] > rows["e2e_ms"]).fillna(value=False)


def _over_cached(rows: pd.DataFrame) -> pd.Series:
    return (rows["cached_input_tokens"] > rows["input_tokens"]).fillna(value=False)


def _taken_back(rows: pd.DataFrame) -> pd.DataFrame:
    wrong, cached = _contradicting(rows), _over_cached(rows)
    return rows.assign(
        ttft_ms=rows["ttft_ms"].mask(wrong),
        e2e_ms=rows["e2e_ms"].mask(wrong),
        cached_input_tokens=rows["cached_input_tokens"].mask(cached),
    )


def _odd_identifiers(rows: pd.DataFrame) -> list[tuple[str, int]]:
    cut, again = _cut(rows), int(rows.duplicated("request_id").sum())
    if cut.any():
        text = "identifiers written as a power of ten, their digits cut by a spreadsheet: repeats cannot be told, all count"
        return [(text, int(cut.sum()))]
    return [("an identifier of an earlier, different request: counted as a request of its own", again)] if again else []


def _odd_values(rows: pd.DataFrame) -> list[tuple[str, int]]:
    found = [
        ("first token after the last: their latencies are not used", int(_contradicting(rows).sum())),
        ("more cached than input tokens: are cached ones counted apart? They are not used", int(_over_cached(rows).sum())),
    ]  # fmt: skip
    return [item for item in found if item[1]]


def _odd_units(rows: pd.DataFrame) -> list[tuple[str, int]]:
    served = rows[(rows["status"] == "ok") & (rows["output_tokens"] > 1).fillna(value=False)]
    found = []
    ends, starts = served[served["e2e_ms"].notna()], served["ttft_ms"].dropna()
    middle = ends["e2e_ms"].median()
    if middle < MIN_PLAUSIBLE_E2E_MS:
        found.append((f"median end-to-end time of {middle:g} ms: seconds in a column of milliseconds?", len(ends)))
    elif len(starts) and starts.median() < MIN_PLAUSIBLE_TTFT_MS:
        text = f"median time to first token of {starts.median():g} ms: seconds in a column of milliseconds?"
        found.append((text, len(starts)))
    paces = ends["e2e_ms"] / ends["output_tokens"].astype("float64")
    fast = int((paces < MIN_PLAUSIBLE_MS_PER_TOKEN).sum())
    if fast and not found:
        text = "answers of over 10,000 tokens a second: seconds among milliseconds, or answers out of a store? They count as they stand"
        found.append((text, fast))
    pace = paces.median()
    if pace > MAX_PLAUSIBLE_MS_PER_TOKEN:
        text = f"median of {pace:,.0f} ms for an output token: microseconds in a column of milliseconds?"
        found.append((text, len(ends)))
    return found


def _odd_names(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """Names that differ only in case or blanks are probably one; they stay apart until a mapping says so."""
    found = []
    for column in ("use_case_id", "region", "tenant"):
        counts = rows[column].dropna().astype("str").value_counts() if column in rows else pd.Series(dtype="int64")
        folded = pd.Series(counts.index, index=counts.index).str.casefold().str.split().str.join(" ")
        for _, names in counts.groupby(folded, sort=True):
            if len(names) > 1:
                shown = ", ".join(repr(name) for name in sorted(names.index))
                found.append(
                    (
                        f"{column} written in several ways ({shown}): kept apart; a mapping can join them",
                        int(names.sum()),
                    )
                )
    return found


_LOOKS: tuple[Callable[[pd.DataFrame], list[tuple[str, int]]], ...] = (
    _odd_identifiers, _odd_values, _odd_units, _odd_names,
)  # fmt: skip
