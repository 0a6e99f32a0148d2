"""The report of a refresh in lines."""

from __future__ import annotations

from aifactory.inputs.importers.prices.refresh import Refreshed
from aifactory.units import signed_percent

MOST = 20  # changes shown one by one


def refresh_lines(report: Refreshed) -> list[str]:
    """What one source brought: counts, what is new, gone, moved, quarantined, and what was left out."""
    if report.error:
        return []
    states = ", ".join(f"{count:,} {name}" for name, count in report.states.items())
    lines = [
        f"{report.source}: {report.format}, {report.rows:,} rows; {report.added:,} prices added ({states or 'none'})"
    ]
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
    lines += [f"  LEFT OUT {count:,}: {reason}" for reason, count in report.left_out.items()]
    return lines
