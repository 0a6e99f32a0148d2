"""`aifactory prices`: keep the price list true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from aifactory.cli.base import EXIT_BAD_INPUT, console, errors

app = typer.Typer()
prices = typer.Typer(help="Keep the price list true.", no_args_is_help=True)
app.add_typer(prices, name="prices")


@prices.callback()
def _group() -> None:
    """Keep the price list true."""


@prices.command("refresh")
def refresh(
    sources: Annotated[list[str], typer.Option("--from", help="File or address of a price list; repeatable.")],
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="Workspace folder.")] = Path(),
    as_of: Annotated[str, typer.Option(help="Day on which the prices held, for files that do not say.")] = "",
    provider: Annotated[str, typer.Option(help="Whose prices, for files that do not say.")] = "",
    mapping: Annotated[Path | None, typer.Option(help="YAML that says how a quote or lease offer is laid out.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Add quarantined prices too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, add nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Read price lists of public tools or vendors, show what changed, and append what holds."""
    import pandas as pd

    from aifactory.inputs.importers.prices.lines import refresh_lines
    from aifactory.inputs.importers.prices.refresh import Settings, refresh_prices

    today = pd.Timestamp.now(tz="UTC").normalize()
    settings = Settings(today, as_of, provider, mapping, accept, write=not dry_run)
    done = refresh_prices(workspace, sources, settings)
    if as_json:
        typer.echo(json.dumps([item.as_dict() for item in done], indent=1, ensure_ascii=False, default=str))
    for item in [] if as_json else done:
        for line in refresh_lines(item):
            console.print(escape(line), soft_wrap=True)
    for item in done:
        if item.error:
            errors.print(f"FAILED  {escape(item.error)}", soft_wrap=True)
    if any(item.error for item in done):
        raise typer.Exit(EXIT_BAD_INPUT)
