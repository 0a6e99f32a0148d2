"""Command line: `aifactory new | check | import | prices | sheet | run | approve | backtest | backtest-plans | reserve | simulate | cheapest | jobs | fidelity`.

Exit codes: 0 done, 1 a stage failed, 2 bad input.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer
from rich.markup import escape

from aifactory import __version__
from aifactory.cli import demand, plans, prices, road, serving
from aifactory.cli.base import EXIT_BAD_INPUT, EXIT_FAILED, errors
from aifactory.errors import AIFactoryError, InputError, is_full_disk

__all__ = ["app", "main"]

app = typer.Typer(
    help="Turn an organisation's AI demand into a defensible plan for its AI factory.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (road, prices, demand, plans, serving):
    app.add_typer(part.app)


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"aifactory {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Hold the options of `aifactory` itself."""


def main() -> None:
    """Entry point: readable errors instead of tracebacks; signs that the console cannot show are written as codes."""
    os.environ["TZ"] = "UTC"  # drawings place their ticks by the zone of the machine
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(standalone_mode=True)
    except InputError as error:
        errors.print(f"Error: {escape(str(error))}", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except AIFactoryError as error:
        errors.print(f"Error: {escape(str(error))}", soft_wrap=True)
        sys.exit(EXIT_FAILED)
    except UnicodeEncodeError as error:  # a name, where the system is told to speak ASCII
        name = error.object.encode("utf-8", "surrogateescape").decode("utf-8", "replace")[-200:]
        rule = f"cannot be written in the encoding of this system ({error.encoding}): set PYTHONUTF8=1"
        errors.print(f"Error: {escape(ascii(name))}: {rule}", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except OSError as error:  # a file or folder that cannot be read or written
        where = f"{error.filename}: " if error.filename else ""
        where += "no room on the disk: " if is_full_disk(error) else ""
        errors.print(f"Error: {escape(f'{where}{error.strerror or error}')}", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
