"""What an import found, line by line, beyond what every report holds."""

from __future__ import annotations

from collections.abc import Iterator

MAX_RECODED, MAX_ASKED, MAX_CHANGES = 25, 10, 50
#: Figures from here on are shown as whole numbers.
FROM_WHOLE = 1000


def report_lines(report: dict[str, object]) -> list[str]:
    """Load points, latencies, pools, assumptions, recodings, owners to ask and changes of a report, as far as it has them."""
    return [
        *_load_points(report),
        *_latencies(report),
        *_pools(report),
        *_assumed(report),
        *_recoded(report),
        *_asked(report),
        *_changed(report),
    ]


def _load_points(report: dict[str, object]) -> Iterator[str]:
    """Load points of a benchmark: load, throughput, latencies, verdict; then verdicts of the runs they are part of."""
    yield from (f"  {text}" for text in report.get("read", ()))
    for row in report.get("rows", ()):
        parts = [
            f"{row[name]:g} {text}"
            for name, text in (("concurrency", "in progress"), ("offered_requests_per_s", "requests/s offered"))
            if row.get(name) is not None
        ]
        parts.append(f"{_rounded(row['units_per_s'])} units/s")
        parts += [_spread(name, row) for name in ("ttft", "tpot", "e2e") if f"p50_{name}_ms" in row]
        told = [row.get("verdict", ""), row.get("reasons", "")]
        yield f"  {row.get('benchmark_id', 'point')} {row.get('point', '')}: {', '.join(parts)}".replace(" :", ":")
        if any(told):
            yield f"    {': '.join(filter(None, told))}"
    for run in report.get("runs", ()):
        yield f"RUN {run['benchmark_id']}: {run['verdict']}{': ' + run['reasons'] if run['reasons'] else ''}"


def _spread(name: str, row: dict[str, object]) -> str:
    known = {quantile: row.get(f"{quantile}_{name}_ms") for quantile in ("p50", "p95", "p99")}
    shown = ", ".join(f"{quantile} {_rounded(value)}" for quantile, value in known.items() if value is not None)
    return f"{name.upper()} {shown} ms"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= FROM_WHOLE else f"{value:.4g}"


def _latencies(report: dict[str, object]) -> Iterator[str]:
    """Quantiles of each workload: a number from single requests, an interval from a histogram."""
    for name, figures in report.get("workloads", {}).items():
        for metric, held in figures.items():
            if isinstance(held, dict) and "p50" in held:
                shown = ", ".join(f"{q} {_number(value)}" for q, value in held.items())
                yield f"  {name}: {metric.removesuffix('_ms').replace('_', ' ')} {shown} ms"


def _number(value: float | list[float | None]) -> str:
    if isinstance(value, list):
        low, high = value
        return f"{low:g} to {high:g}" if high is not None else f"above {low:g}"
    return f"{value:g}"


def _pools(report: dict[str, object]) -> Iterator[str]:
    for name, held in report.get("pools", {}).items():
        shown = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in held.items())
        yield f"  pool {name}: {shown}"


def _assumed(report: dict[str, object]) -> Iterator[str]:
    yield from (f"ASSUMED {text}" for text in report.get("assumed", ()))
    if report.get("kept_as_extra"):
        yield f"  kept as extra columns: {', '.join(report['kept_as_extra'])}"


def _recoded(report: dict[str, object]) -> Iterator[str]:
    recoded = report.get("recoded", [])
    if not recoded:
        return
    for item in recoded[:MAX_RECODED]:
        ours = f"{item['ours']}{' (nearest)' if item['certainty'] == 'near' else ''}" if item["ours"] else "unknown"
        yield f"RECODED {item['field']}: {item['theirs']!r} -> {ours} ({item['rows']:,} rows)"
    if len(recoded) > MAX_RECODED:
        yield f"  and {len(recoded) - MAX_RECODED:,} more; --json lists all"


def _asked(report: dict[str, object]) -> Iterator[str]:
    asked = report.get("ask", [])
    for item in asked[:MAX_ASKED]:
        missing = ", ".join(f"{name} for {count:,}" for name, count in item["missing"].items())
        owner = " / ".join(item[name] for name in ("business_unit", "team", "owner_role"))
        yield f"ASK {owner}: {missing} of {item['use_cases']:,} use case{'' if item['use_cases'] == 1 else 's'}"
    if len(asked) > MAX_ASKED:
        yield f"  and {len(asked) - MAX_ASKED:,} more; --json lists all"


def _changed(report: dict[str, object]) -> Iterator[str]:
    into = report.get("into") or {"changes": report.get("changes", []), "completed": []}
    for item in into["changes"][:MAX_CHANGES]:
        yield f"CHANGED {item['use_case_id']} {item['field']}: {item['old'] or '(empty)'} -> {item['new']}"
    if len(into["changes"]) > MAX_CHANGES:
        yield f"  and {len(into['changes']) - MAX_CHANGES:,} more; --json lists all"
    for name in into["completed"][:MAX_CHANGES]:
        yield f"COMPLETE {name}: now a use case"
    if "added" in into:
        yield f"  {into['added']:,} added; {into['use_cases']:,} use cases and {into['candidates']:,} candidates now"
