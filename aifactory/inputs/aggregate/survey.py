"""Read delivered columns as request rows inside the engine, and find what they hold that no row may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from aifactory.errors import InputError
from aifactory.inputs.aggregate.buckets import LARGEST_VALUE, exact
from aifactory.inputs.aggregate.cube import microseconds
from aifactory.inputs.aggregate.engine import Source, stage
from aifactory.inputs.aggregate.tables import KEYS, fetched

if TYPE_CHECKING:
    import ibis.expr.types as ir

KINDS = {
    "timestamp_utc": "datetime",
    "is_retry": "boolean",
    "input_tokens": "integer",
    "cached_input_tokens": "integer",
    "output_tokens": "integer",
    **dict.fromkeys(("service_units", "ttft_ms", "e2e_ms", "queue_ms"), "number"),
}
TOKENS = ("input_tokens", "output_tokens")
MISSING = ("", "NULL", "null", "NaN", "nan")
#: No request has more tokens, or milliseconds (a month); what does is damaged or in another unit.
MOST = {
    **dict.fromkeys(("input_tokens", "cached_input_tokens", "output_tokens"), 1e9),
    **dict.fromkeys(("ttft_ms", "e2e_ms", "queue_ms"), 31 * 86_400_000.0),
}
MAX_WORKLOADS = 10_000
_STAMP = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?"
_ZONED, _NAIVE = _STAMP + r"(Z|[+-]\d\d:?\d\d)$", _STAMP + "$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_RULES = {
    "datetime": "must be a UTC time such as 2026-10-01T00:00:00Z",
    "number": "must be a finite number with a decimal point",
    "integer": "must be a whole number",
    "boolean": "must be true or false",
    "string": "a value is required",
}


@dataclass(frozen=True)
class Reading:
    """How delivered columns become request rows.

    `columns` maps ours to theirs; `statuses` and `use_cases` map their words to ours; `region` stands
    where no column names one. `between_us` leaves out rows outside two times; `contradicting` blanks the
    latencies of rows whose first token comes after the last, `over_cached` cached tokens beyond the input.
    """

    columns: Mapping[str, str]
    region: str = ""
    use_cases: Mapping[str, str] = None
    statuses: Mapping[str, str] = None
    between_us: tuple[int, int] | None = None
    contradicting: bool = False
    over_cached: bool = False

    def rows(self, raw: ir.Table) -> ir.Table:
        """Request rows in the columns of `requests`, as far as they were delivered."""
        import ibis

        typed = {name: self.typed(raw, name) for name in self.columns if name != "request_id"}
        if "region" not in self.columns:
            typed["region"] = ibis.literal(self.region)
        typed["status"] = typed.get("status", ibis.literal("ok"))
        for name, words in (("status", self.statuses), ("use_case_id", self.use_cases)):
            if words:
                typed[name] = typed[name].substitute(dict(words))
        if "status" in self.columns:
            typed["status"] = typed["status"].fill_null("ok")
        table = raw.select(**typed)
        if self.between_us is not None:
            low, high = self.between_us
            table = table.filter(instant(table["timestamp_utc"]) >= low, instant(table["timestamp_utc"]) < high)
        if self.contradicting:
            sound = (table["ttft_ms"] <= table["e2e_ms"]).fill_null(True)
            table = table.mutate(**{name: sound.ifelse(table[name], None) for name in ("ttft_ms", "e2e_ms")})
        if self.over_cached:
            cached = table["cached_input_tokens"]
            within = (cached <= table["input_tokens"]).fill_null(True)
            table = table.mutate(cached_input_tokens=within.ifelse(cached, None))
        return table

    def given(self, raw: ir.Table, name: str) -> ir.BooleanColumn:
        """Whether a cell holds anything."""
        column = raw[self.columns[name]]
        if column.type().is_string():
            return column.notnull() & column.notin(MISSING)  # noqa: PD004
        if column.type().is_floating():
            return column.notnull() & ~column.isnan()  # noqa: PD004
        return column.notnull()  # noqa: PD004

    def typed(self, raw: ir.Table, name: str) -> ir.Column:
        """A delivered column in the type of ours; what does not fit it is null."""
        column, kind = raw[self.columns[name]], KINDS.get(name, "string")
        text = column.type().is_string()
        if kind == "string":
            words = column if text else column.cast("string")
            return words.strip() if name == "status" else words.nullif("") if text else words
        if kind == "boolean":
            low = column.lower() if text else column
            return low.isin(_TRUE).ifelse(True, low.isin(_FALSE).ifelse(False, None)) if text else column
        if kind == "datetime":
            if not text:
                return column
            return column.re_search(f"{_ZONED}|{_NAIVE}").ifelse(column, None).try_cast("timestamp('UTC')")
        if column.type().is_integer():
            return column
        number = column.re_search(_NUMBER).ifelse(column, None).try_cast("float64") if text else column.cast("float64")
        if column.type().is_floating():
            number = column.isnan().ifelse(None, number)
        if kind == "number":
            return number
        whole = (number == number.floor()) & (number.abs() < exact(2.0**53))
        return whole.ifelse(number, None).cast("int64")


def instant(times: ir.TimestampColumn) -> ir.NumericColumn:
    """Microseconds since 1970."""
    backends, _ = times._find_backends()
    return microseconds(times) if backends and backends[0].name == "duckdb" else times.epoch_seconds() * 1_000_000


@dataclass(frozen=True)
class Survey:
    """What the rows hold: counts by workload and status, known cells by column, first and last time."""

    reading: Reading
    rows: int
    known: Mapping[str, int]
    workloads: pd.DataFrame
    late: int
    early: int
    contradicting: int
    over_cached: int
    naive: int
    span_us: tuple[int, int]


def survey(source: Source, reading: Reading, between_us: tuple[int, int], status_of: object) -> Survey:
    """Look over all rows once and refuse what cannot be counted, naming the first row of its kind.

    Parameters
    ----------
    between_us : rows before the first or not before the second time are left out and counted.
    status_of : function from a word or code to ok, error, cancelled or None.

    Raises
    ------
    InputError
        For a column of the wrong type, a cell that does not fit, a missing key, a negative number, a
        status nobody knows.
    """
    raw = source.whole
    _refuse_types(source, raw, reading)
    statuses = known_statuses(source, raw, reading, status_of)
    failed = [word for word, status in statuses.items() if status != "ok"]
    found = fetched(raw.agg(**_measures(raw, reading, between_us, failed))).iloc[0]
    if not found["rows"]:
        raise InputError.at(source.name, "holds a header and no requests", row=2)
    _refuse_cells(source, reading, found, failed)
    reading = replace(reading, statuses={word: status for word, status in statuses.items() if word != status})
    odd = {
        name: int(found[name]) if pd.notna(found.get(name)) else 0
        for name in ("late", "early", "contradicting", "over_cached", "naive")
    }
    reading = replace(
        reading,
        between_us=between_us if odd["late"] or odd["early"] else None,
        contradicting=odd["contradicting"] > 0,
        over_cached=odd["over_cached"] > 0,
    )
    rows = reading.rows(raw)
    pairs = (
        rows.group_by(KEYS)
        .agg(rows=rows.count(), errors=(rows["status"] != "ok").cast("int64").sum())
        .order_by(KEYS)
        .limit(MAX_WORKLOADS + 1)
    )
    workloads = fetched(pairs)
    if len(workloads) > MAX_WORKLOADS:
        rule = f"holds more than {MAX_WORKLOADS:,} different workloads; is this the use case?"
        raise InputError.at(source.name, rule, column=reading.columns["use_case_id"])
    known = {name: int(found[f"known_{name}"]) for name in reading.columns}
    span = (int(found["first"]), int(found["last"])) if pd.notna(found["first"]) else (0, 0)
    workloads = workloads.assign(workload=range(len(workloads)))
    return Survey(reading, int(found["rows"]), known, workloads, span_us=span, **odd)


def _absent(raw: ir.Table, reading: Reading, name: str, failed: list[str]) -> ir.BooleanColumn:
    """Cells that must hold a value and hold none; what a failed request has read and written may be unknown."""
    empty = ~reading.given(raw, name)
    if name not in TOKENS or not failed:
        return empty
    return empty & ~reading.typed(raw, "status").fill_null("").isin(failed)


def _measures(raw: ir.Table, reading: Reading, between_us: tuple[int, int], failed: list[str]) -> dict[str, ir.Value]:
    typed = {name: reading.typed(raw, name) for name in reading.columns}
    when = instant(typed["timestamp_utc"])
    low, high = between_us
    kept = ((when >= low) & (when < high)).fill_null(True)
    held: dict[str, ir.Value] = {"rows": raw.count(), "late": (when >= high).sum(), "early": (when < low).sum()}
    held |= {"first": when.min(where=kept), "last": when.max(where=kept)}
    for name, column in typed.items():
        held[f"known_{name}"] = column.count(where=kept)
        held[f"bad_{name}"] = (reading.given(raw, name) & column.isnull()).sum()  # noqa: PD003
        if name in ("timestamp_utc", *KEYS, "request_id", *TOKENS):
            held[f"none_{name}"] = _absent(raw, reading, name, failed).sum()
        if KINDS.get(name) in ("integer", "number"):
            held |= {f"low_{name}": column.min(), f"high_{name}": column.max()}
    if {"ttft_ms", "e2e_ms"} <= set(typed):
        held["contradicting"] = ((typed["ttft_ms"] > typed["e2e_ms"]) & kept).sum()
    if "cached_input_tokens" in typed:
        held["over_cached"] = ((typed["cached_input_tokens"] > typed["input_tokens"]) & kept).sum()
    stamp = raw[reading.columns["timestamp_utc"]]
    if stamp.type().is_string():
        held["naive"] = stamp.re_search(_NAIVE).sum()
    elif stamp.type().timezone is None and stamp.get_backend().name == "duckdb":  # Spark's times are instants
        held["naive"] = raw.count()
    return held


def _refuse_types(source: Source, raw: ir.Table, reading: Reading) -> None:
    for name, theirs in reading.columns.items():
        kind, dtype = KINDS.get(name, "string"), raw[theirs].type()
        fits = {
            "datetime": dtype.is_timestamp(),
            "boolean": dtype.is_boolean(),
            "string": dtype.is_primitive() or dtype.is_string(),
        }.get(kind, dtype.is_numeric() and not dtype.is_boolean())
        if not fits and not dtype.is_string():
            raise InputError.at(source.name, f"must be stored as {kind}", column=theirs, value=str(dtype))


def _refuse_cells(source: Source, reading: Reading, found: pd.Series, failed: list[str]) -> None:
    for name, theirs in reading.columns.items():
        kind = KINDS.get(name, "string")
        if found[f"bad_{name}"]:
            rule, bad = (
                _RULES[kind],
                lambda raw, name=name: reading.given(raw, name) & reading.typed(raw, name).isnull(),  # noqa: PD003
            )
            _refuse(source, theirs, rule, int(found[f"bad_{name}"]), bad)
        if found.get(f"none_{name}", 0):
            bad = lambda raw, name=name: _absent(raw, reading, name, failed)  # noqa: E731
            _refuse(source, theirs, "a value is required", int(found[f"none_{name}"]), bad)
        low, high = (found.get(f"{edge}_{name}") for edge in ("low", "high"))
        if pd.notna(low) and low < 0:
            _refuse(source, theirs, "must be 0 or more", 0, lambda raw, name=name: reading.typed(raw, name) < 0)
        most = MOST.get(name, LARGEST_VALUE)
        if pd.notna(high) and high > most:
            bad = lambda raw, name=name, most=most: reading.typed(raw, name) > exact(most)  # noqa: E731
            _refuse(source, theirs, f"must be a finite number of at most {most:,.15g}", 0, bad)
    if 0 < found.get("naive", 0) < found["rows"]:
        theirs = reading.columns["timestamp_utc"]
        rule = "has no zone while other rows have one; write all of them in UTC with Z"
        _refuse(source, theirs, rule, int(found["naive"]), lambda raw: raw[theirs].re_search(_NAIVE))


def known_statuses(source: Source, raw: ir.Table, reading: Reading, status_of: object) -> dict[str, str]:
    """What each word for an outcome means."""
    if "status" not in reading.columns:
        return {}
    theirs = reading.columns["status"]
    words = raw.select(word=reading.typed(raw, "status")).group_by("word").agg().limit(1_000)
    seen = [word for word in fetched(words)["word"] if isinstance(word, str)]
    known = {word: "ok" if word in MISSING else status_of(word) for word in seen}
    for word, status in known.items():
        if status is None:
            rule = "is no status that is known: HTTP codes, ok, success, error, failure, cancelled"
            _refuse(source, theirs, rule, 0, lambda raw, word=word: reading.typed(raw, "status") == word)
    return known


def _refuse(source: Source, column: str, rule: str, rows: int, bad: object) -> None:
    """Name the first cell that breaks a rule; its row counts as in a spreadsheet."""
    import ibis

    counted = f" ({rows:,} rows)" if rows > 1 else ""
    if source.files:
        source.backend.raw_sql("SET preserve_insertion_order = true")  # rows are numbered as they stand
    for path in source.files:
        raw = source.file(path)
        hits = raw.select(cell=raw[column], bad=bad(raw), row=ibis.row_number()).filter(ibis._.bad).limit(1)
        hit = fetched(hits)
        if len(hit):
            raise InputError.at(path.name, rule + counted, row=int(hit["row"][0]) + 2, column=column,
                                value=_shown(hit["cell"][0]))  # fmt: skip
    raw = source.whole
    hit = fetched(raw.filter(bad(raw)).select(cell=raw[column]).limit(1))
    raise InputError.at(source.name, rule + counted, column=column, value=_shown(hit["cell"][0]) if len(hit) else None)


def _shown(cell: object) -> str | None:
    return None if pd.isna(cell) or cell == "" else str(cell)


def repeated_ids(rows: ir.Table, count: int, most: int) -> tuple[int, int]:
    """Rows that repeat a request id, and the share 1/k of the ids that was looked at.

    Up to `most` rows every id is compared; beyond, those of one in k ids, chosen by their hash, so
    that a file delivered twice is always found.
    """
    share = max(-(-count // most), 1)
    if share > 1:
        rows = rows.filter(rows["request_id"].hash() % share == 0)
    groups = rows.group_by("request_id").agg(times=rows.count())
    again = fetched(groups.agg(rows=(groups["times"] - 1).sum()))["rows"][0]
    return (0 if pd.isna(again) else int(again)), share


def once_each(source: Source, reading: Reading) -> Source:
    """The rows without exact repeats: those that agree in all columns that are read, as we understand them."""
    raw = source.whole
    columns = {theirs: reading.typed(raw, name) for name, theirs in reading.columns.items()}
    single = stage(raw.select(**columns).distinct(), "once_each")
    return Source(source.name, source.backend, single, (single,))
