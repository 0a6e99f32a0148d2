"""The report of a refresh in lines."""

from __future__ import annotations

from aifactory.inputs.importers.prices.refresh import Refreshed
from aifactory.units import signed_percent

MOST = 20  # changes shown one by one


def refresh_lines(report: Refreshed) -> list[str]:
    """What one source brought: counts, what is new, gone, moved, quarantined, past its freshness limit, and left out."""
    if report.error:
        return []
    states = ", ".join(f"{count:,} {name}" for name, count in report.states.items())
    lines = [
        f"{report.source}: {report.format}, {report.rows:,} rows; {report.added:,} prices added ({states or 'none'})"
    ]
    if report.counts_from:
        lines.append(
            f"  the newest count in reports of {report.counts_from} and later; earlier months take them only where they "
            "know no older price of the accelerator on these terms"
        )
    if report.hosted_added:
        lines.append(f"  {report.hosted_added:,} prices of hosted models added")
    for name in ("quarantined", "moved", "new"):
        rows = report.changes[report.changes["state"] == name] if len(report.changes) else report.changes
        for row in rows.head(MOST).itertuples():
            was = f" (was {row.before:.4f}, {signed_percent(row.change)})" if row.before == row.before else ""
            place = f"{row.accelerator_id} {row.provider} {row.sku} {row.region} {row.purchase_option}"
            lines.append(f"  {name.upper() if name == 'quarantined' else name}: {place} at {row.price:.4f}{was}")
        if len(rows) > MOST:
            lines.append(f"  {name}: {len(rows) - MOST:,} more")
    if len(report.gone):
        named = ", ".join(sorted(set(report.gone["accelerator_id"]))[:8])
        lines.append(f"  gone: {len(report.gone):,} offers are no longer listed ({named})")
    if report.goes_on:
        lines.append("  a page of a longer list: what is gone is told where all its pages are read together")
    lines += _stale_lines(report)
    lines += [f"  LEFT OUT {count:,}: {reason}" for reason, count in report.left_out.items()]
    return lines


def _stale_lines(report: Refreshed) -> list[str]:
    """Prices past their freshness limit, one by one with their age."""
    rows = report.stale
    if rows.empty:
        return []
    many = "1 offer is" if len(rows) == 1 else f"{len(rows):,} offers are"
    lines = [f"  STALE: {many} past the freshness limit of plan.yaml; reports that use such prices say so"]
    for row in rows.head(MOST).itertuples():
        place = " ".join(
            part for part in (row.accelerator_id, row.provider, row.sku, row.region, row.purchase_option) if part
        )
        lines.append(
            f"  stale: {place}, {row.age_days:,.0f} days old (of {row.as_of:%Y-%m-%d}; limit {row.limit_days:.0f} days)"
        )
    if len(rows) > MOST:
        lines.append(f"  stale: {len(rows) - MOST:,} more")
    return lines
