"""Command line: `aifactory new | check | import | sheet | run | approve | backtest | reserve | simulate`.

Exit codes: 0 done, 1 a stage failed, 2 bad input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from aifactory.errors import AIFactoryError, InputError

if TYPE_CHECKING:
    import pandas as pd

    from aifactory.run.runner import Progress, RoadOutcome

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2
LOG_WIDTH = 120
app = typer.Typer(
    help="Turn an organisation's AI demand into a defensible plan for its AI factory.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
errors = Console(stderr=True, highlight=False)

Workspace = Annotated[
    str,
    typer.Option("--workspace", "-w", help="Workspace folder. Default: the nearest one, else the sample company."),
]
Period = Annotated[
    str, typer.Option(help="Month to report, YYYY-MM, or previous. Default: the latest month with data.")
]


@app.command()
def new(folder: Annotated[Path, typer.Argument(help="Folder to create; must not exist or be empty.")]) -> None:
    """Create a workspace: empty tables, a commented plan.yaml and the notebooks."""
    from aifactory.inputs.new import new_workspace

    new_workspace(folder)
    console.print(f"Workspace created in {escape(str(folder))}")
    console.print("Fill the tables and plan.yaml, then run:")
    console.print(f"  aifactory check {escape(str(folder))}\n  aifactory run --workspace {escape(str(folder))}")


@app.command()
def check(folder: Annotated[str, typer.Argument(help="Workspace folder.")] = "") -> None:
    """Validate a workspace and print what was found, table by table."""
    from aifactory.inputs.check import check_workspace

    report = check_workspace(folder)
    console.print(_table(report.summary.drop(columns="table")), soft_wrap=True)
    if report.absent:
        console.print(f"Not given; the catalogue or nothing stands in: {', '.join(report.absent)}", soft_wrap=True)
    for message in report.failures:
        errors.print(f"FAILED  {escape(message)}", soft_wrap=True)
    for message in report.warnings:
        console.print(f"WARNING {escape(message)}", soft_wrap=True)
    if report.failures:
        raise typer.Exit(EXIT_BAD_INPUT)
    console.print("All checks passed." if not report.warnings else f"Passed with {len(report.warnings)} warning(s).")


@app.command("import")
def import_files(
    kind: Annotated[str, typer.Argument(help="What the files hold: billing, telemetry, use-cases, jobs or trace.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files, known by their content; telemetry: also http://host:9090 of Prometheus. Request logs of over a million rows, and folders or patterns of them, are aggregated by day."
        ),
    ],
    into: Annotated[Path | None, typer.Option(help="Workspace to write to. Without it, only the report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a delivery that was imported before.")] = False,
    mapping: Annotated[
        Path | None, typer.Option(help="YAML: columns (ours: theirs), use_cases (theirs: ours), labels, pools ...")
    ] = None,
    suggest: Annotated[
        Path | None, typer.Option("--suggest-mapping", help="Write the mapping of a spreadsheet of use cases here.")
    ] = None,
    period: Annotated[str, typer.Option(help="Period of a server: 2026-10, or 2026-10-01..2026-10-15.")] = "",
    use_case: Annotated[str, typer.Option(help="Use case of a trace.")] = "",
    region: Annotated[str, typer.Option(help="Region, where the file names none.")] = "",
    first_day: Annotated[str, typer.Option(help="Move a trace by whole weeks to begin on or after this day.")] = "",
    accelerator: Annotated[str, typer.Option(help="Accelerator of jobs that name none.")] = "",
    zone: Annotated[str, typer.Option(help="Zone of times of jobs without one, as Europe/Berlin. Default: UTC.")] = "",
    engine: Annotated[
        str,
        typer.Option(
            help="Where a request log lies, as Ibis names it (pyspark://, duckdb://file, bigquery://...); name its table as the source. `duckdb` aggregates files whatever their size."
        ),
    ] = "",
) -> None:
    """Read bills, telemetry, use cases, jobs or traces as they are, report what was read, and add it to a workspace."""
    import json

    import pandas as pd

    from aifactory.inputs.importers.command import Target, import_files, read_mapping

    if suggest:
        from aifactory.inputs.importers.use_cases.command import suggest_mapping

        console.print(f"Mapping to confirm: {escape(str(suggest_mapping(kind, sources, suggest)))}", soft_wrap=True)
        return
    today = pd.Timestamp.now(tz="UTC").normalize()
    target = Target(
        use_case,
        region,
        first_day,
        accelerator,
        today,
        period=period,
        engine=engine,
        zone=zone,
        **read_mapping(mapping, kind),
    )
    reports = import_files(kind, sources, into, target, replace=replace)
    if as_json:
        typer.echo(json.dumps(reports[0] if len(reports) == 1 else reports, indent=1, ensure_ascii=False))
        return
    for report in reports:
        _print_import(report)


@app.command()
def sheet(
    workspace: Annotated[str, typer.Argument(help="Workspace folder.")],
    out: Annotated[Path, typer.Option(help="Workbook to write; must not exist.")] = Path("fill-in.xlsx"),
    owner: Annotated[str, typer.Option(help="Only use cases of this business unit, team or owner role.")] = "",
    gaps_only: Annotated[bool, typer.Option("--gaps-only", help="Only use cases that lack something.")] = False,
) -> None:
    """Write a fill-in sheet for owners of use cases; `aifactory import use-cases` reads it back."""
    import pandas as pd

    from aifactory.inputs.importers.use_cases.sheet import write_sheet

    done = write_sheet(workspace, out, pd.Timestamp.now(tz="UTC").normalize(), owner=owner, gaps_only=gaps_only)
    console.print(f"{done['rows']:,} use cases with {done['gaps']:,} gaps: {escape(str(out))}", soft_wrap=True)
    console.print("Back with: aifactory import use-cases FILE --into WORKSPACE")


@app.command()
def run(
    stages: Annotated[list[str] | None, typer.Argument(help="Stages; none means all five.")] = None,
    workspace: Workspace = "",
    period: Period = "",
    setting: Annotated[list[str] | None, typer.Option("--set", help="What-if value, name=value; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option(help="Output folder. Default: reports in the workspace.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Notebooks side by side. Default: cores.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run even where inputs are unchanged.")] = False,
) -> None:
    """Run the stages and publish their reports (HTML, XLSX, CSV, notebook)."""
    from aifactory.run.parameters import check_period, parse_settings
    from aifactory.run.runner import run_road
    from aifactory.run.stages import select_stages

    settings = parse_settings(setting or [])
    names = [stage.name for stage in select_stages(stages or [])]
    period = check_period(period, datetime.now(UTC).date())
    with _progress(names) as progress:
        outcome = run_road(
            names,
            workspace=workspace,
            period=period,
            settings=settings,
            out=out,
            workers=workers,
            force=force,
            progress=progress,
        )
    _print_outcome(outcome)
    if outcome.failed:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def approve(
    workspace: Workspace = "",
    period: Period = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a plan approved for another period.")] = False,
) -> None:
    """Freeze the buy plan of a period: the monthly refresh compares against it."""
    import aifactory as af

    loaded = af.load_workspace(workspace, period)
    inventory, benchmark = af.build_inventory(loaded), af.build_benchmark(loaded)
    plan = af.build_buy_plan(loaded, inventory, benchmark, af.build_shortlist(loaded, inventory, benchmark))
    path = af.approve_plan(plan, loaded.path, force=force)
    console.print(f"Plan of {loaded.period} approved: {escape(str(path))}")


@app.command()
def backtest(
    file: Annotated[Path, typer.Argument(help="CSV with the columns ds,y or unique_id,ds,y.")],
    freq: Annotated[str, typer.Option(help="Step of the series: h, D or W.")],
    horizon: Annotated[int, typer.Option(help="Steps to forecast at each origin.")],
    season: Annotated[int | None, typer.Option(help="Steps of a season. Default: 24 for h, 7 for D, 1 for W.")] = None,
    step: Annotated[
        int | None, typer.Option(help="Steps between origins. Default: index.csv, else the horizon.")
    ] = None,
    min_train: Annotated[int | None, typer.Option(help="Steps before the first origin.")] = None,
    max_train: Annotated[int | None, typer.Option(help="Longest past to learn from; 0 is all of it.")] = None,
    library: Annotated[bool, typer.Option("--library", help="Let statsforecast models compete too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, series name to scores.")] = False,
) -> None:
    """Score forecasts of a series at rolling origins, beside seasonal naive."""
    from aifactory.demand.command import Settings, backtest_file, backtest_lines

    found = backtest_file(file, Settings(freq, horizon, season, step, min_train, max_train, library))
    _print_found(found, as_json, backtest_lines)


@app.command()
def reserve(
    file: Annotated[Path, typer.Argument(help="Trace of any format of the importers, or a CSV with ds,y.")],
    lead_time: Annotated[str, typer.Option(help="From an order to its arrival, such as 28d.")],
    window: Annotated[str, typer.Option(help="Window in which demand is counted, such as 10min.")] = "10min",
    target: Annotated[float, typer.Option(help="Share of windows that may be over capacity.")] = 0.01,
    measure: Annotated[str, typer.Option(help="Count requests or tokens.")] = "requests",
    workload: Annotated[str, typer.Option(help="One of several workloads in the file.")] = "",
    pools: Annotated[int, typer.Option(help="Equal pools of which one may fail.")] = 0,
    usd_per_unit_hour: Annotated[float | None, typer.Option(help="Price of a unit of capacity per hour.")] = None,
    overflow_usd_per_unit: Annotated[float | None, typer.Option(help="Price of a unit served elsewhere.")] = None,
    autoscaler_lag: Annotated[str, typer.Option(help="Time to start what is ordered, such as 5min.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Capacity that is exceeded in a stated share of the windows, with what that cost in the past."""
    from aifactory.demand.command import ReserveSettings, reserve_file, reserve_lines

    settings = ReserveSettings(
        window, lead_time, target, measure, workload, pools, usd_per_unit_hour, overflow_usd_per_unit, autoscaler_lag
    )
    _print_found(reserve_file(file, settings), as_json, reserve_lines)


@app.command()
def fidelity(
    measurements: Annotated[Path, typer.Option(help="CSV of public measurements or of deployments.")],
    train: Annotated[Path | None, typer.Option(help="CSV to predict from. Default: cross-validation.")] = None,
    workloads: Annotated[
        Path | None, typer.Option(help="CSV of benchmark workloads (prompt and answer lengths).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV to write: one prediction a row.")] = None,
    leave_out: Annotated[
        str, typer.Option(help="Predictions of --out without --train: row, accelerator, model, round.")
    ] = "row",
    as_json: Annotated[bool, typer.Option("--json", help="Print the errors as JSON.")] = False,
) -> None:
    """Predict measurements from other measurements, and print how far off the predictions are."""
    from aifactory.serving.fidelity_command import run_fidelity

    report = run_fidelity(measurements, train, workloads, out, leave_out)
    if as_json:
        typer.echo(report.as_json())
    else:
        console.print(_table(report.shown()), soft_wrap=True)


def _print_found(found: dict[str, object], as_json: bool, lines: Callable[[dict[str, object]], list[str]]) -> None:
    import json

    if as_json:
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    for line in lines(found):
        console.print(escape(line), soft_wrap=True)


@app.command()
def simulate(
    trace: Annotated[
        Path, typer.Argument(help="Trace of requests: a known format, or arrival_s,input_tokens,output_tokens.")
    ],
    model: Annotated[str, typer.Option(help="Model of the catalogue.")],
    platform: Annotated[str, typer.Option(help="Accelerator of the catalogue.")],
    replicas: Annotated[int, typer.Option(min=0, help="Replicas; 0: one, or as many as --slo needs.")] = 0,
    slo: Annotated[str, typer.Option(help="Limits to size for, such as p95_ttft_ms=500,p95_tpot_ms=50.")] = "",
    tensor_parallel: Annotated[int, typer.Option(min=0, help="Accelerators of a replica; 0: the fewest that fit.")] = 0,
    precision: Annotated[str, typer.Option(help="bf16, fp8, ... Default: the model's.")] = "",
    routing: Annotated[str, typer.Option(help="round_robin, least_outstanding or least_kv.")] = "least_outstanding",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Serve a trace with simulated replicas; with --slo, find the fewest that keep it."""
    import json

    from aifactory.serving.command import SimulateRequest, simulate_trace

    asked = SimulateRequest(trace, model, platform, replicas, slo, tensor_parallel, precision, routing)
    found, size = simulate_trace(asked)
    if as_json:
        typer.echo(json.dumps(found, indent=1, allow_nan=False))
        return
    for name, value in found.items():
        shown = (
            ", ".join(f"{key} {number:,.4g}" for key, number in value.items() if number is not None)
            if isinstance(value, dict)
            else value
        )
        shown = f"{shown:,.4g}" if isinstance(shown, float) else "not known" if shown is None else shown
        console.print(f"{name.replace('_', ' ')}: {escape(str(shown))}", soft_wrap=True)
    for line in (size.steady_because, size.slo_because, size.reserve_because) if size else ():
        console.print(escape(line), soft_wrap=True)


def _print_import(report: dict[str, object]) -> None:
    from aifactory.inputs.importers.lines import report_lines

    console.print(
        f"{escape(str(report['source']))}: {report['format']}, {report['rows_kept']:,} of {report['rows_read']:,} rows, {report['period']}"
    )
    for name, value in report["totals"].items():
        console.print(
            f"  {name.replace('_', ' ')}: {value if value is not None else 'not given'} {report.get('currency', '')}"
        )
    for name, counts in report.get("workloads", {}).items():
        numbers = ", ".join(
            f"{key.replace('_', ' ')} {value:,}" for key, value in counts.items() if isinstance(value, int)
        )
        console.print(f"  {escape(name)}: {numbers}", soft_wrap=True)
    for name, split in report.get("by", {}).items():
        shown = ", ".join(f"{key} {value}" for key, value in list(split.items())[:5])
        console.print(
            f"  by {name.replace('_', ' ')}: {escape(shown)}{' ...' if len(split) > 5 else ''}", soft_wrap=True
        )
    if report.get("coverage"):
        known = ", ".join(f"{name.replace('_', ' ')} {share:.0%}" for name, share in report["coverage"].items())
        console.print(f"  known: {known}", soft_wrap=True)
    for line in report_lines(report):
        console.print(escape(line), soft_wrap=True)
    for reason, rows in report["rows_left_out"].items():
        console.print(f"LEFT OUT {rows:,} rows: {escape(reason)}")
    for item in report["warnings"]:
        console.print(f"WARNING {escape(item['text'])} ({item['rows']:,} rows)", soft_wrap=True)
    if "written" in report:
        console.print(f"  added to {report['written']}")


def _print_outcome(outcome: RoadOutcome) -> None:
    warned = outcome.workspace.checks.query("status == 'warned'")
    if len(warned):
        console.print(f"{len(warned)} warning(s) in the inputs; `aifactory check` lists them.")
    for item in outcome.stages:
        took = f" in {item.duration_s:.0f} s" if item.duration_s else ""
        console.print(f"{item.stage.title}: {item.state}{took}  {escape(str(item.folder))}", soft_wrap=True)
        if item.message:
            errors.print(f"  {escape(item.message)}", soft_wrap=True)
    console.print(f"Reports of {outcome.period}: {escape(str(outcome.index))}", soft_wrap=True)


def _progress(names: list[str]) -> AbstractContextManager[Progress]:
    """Progress bars, one a stage, where somebody watches; silence in scheduled runs."""
    if not console.is_terminal:
        return nullcontext(lambda _stage, _done, _total: None)
    return _Bars(names)


class _Bars:
    def __init__(self, names: list[str]) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self.tasks = {name: self.bars.add_task(name.replace("_", " "), total=None) for name in names}

    def __enter__(self) -> Progress:
        self.bars.start()
        return lambda stage, done, total: self.bars.update(self.tasks[stage], completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self.bars.stop()


def _table(frame: pd.DataFrame) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for column in frame.columns:
        table.add_column(column, justify="right" if frame[column].dtype.kind == "i" else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else escape(str(cell)) for cell in row))
    return table


def main() -> None:
    """Entry point: readable errors instead of tracebacks."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        errors.print(f"Error: {escape(str(error))}", soft_wrap=True)
        sys.exit(EXIT_BAD_INPUT)
    except AIFactoryError as error:
        errors.print(f"Error: {escape(str(error))}", soft_wrap=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
