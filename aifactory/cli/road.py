"""Commands of the road: new, check, import, sheet, run, approve."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from aifactory.cli.base import EXIT_BAD_INPUT, EXIT_FAILED, console, errors, today
from aifactory.cli.printing import print_import, print_orders, print_outcome, print_ports, progress_bars, table

app = typer.Typer()

Workspace = Annotated[
    str,
    typer.Option("--workspace", "-w", help="Workspace folder. Default: the nearest one, else the sample company."),
]
Period = Annotated[
    str, typer.Option(help="Month to report, YYYY-MM, or previous. Default: the latest month with data.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="What-if value, name=value; repeatable.")]
MappingFile = Annotated[
    Path | None,
    typer.Option(
        help="YAML: columns (ours: theirs), use_cases (theirs: ours), labels, pools ...; of a benchmark facts and files."
    ),
]
SuggestedFile = Annotated[
    Path | None,
    typer.Option(
        "--suggest-mapping", help="Write the mapping of a spreadsheet of use cases, or of result files, here."
    ),
]
SaidFacts = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="What a benchmark's file does not say: accelerators=8, precision=fp8, engine=vllm; repeatable.",
    ),
]
LogEngine = Annotated[
    str,
    typer.Option(
        help="Where a request log lies, as Ibis names it (pyspark://, duckdb://file, bigquery://...); name its table as the source. `duckdb` aggregates files whatever their size."
    ),
]


def _say_sample(workspace: str, *, written: bool = False) -> None:
    """Where no workspace is named or found, say that the sample company stands in; what writes into it must name it."""
    from aifactory.errors import InputError
    from aifactory.inputs.workspace import find_workspace, is_sample

    if workspace or not is_sample(find_workspace()):
        return
    if written:
        raise InputError("no plan.yaml here or in a folder above: name the workspace with --workspace")
    console.print("No plan.yaml here or in a folder above: the sample company stands in.")


@app.command()
def new(folder: Annotated[Path, typer.Argument(help="Folder to create; must not exist or be empty.")]) -> None:
    """Create a workspace: empty tables, a commented plan.yaml and the notebooks."""
    from aifactory.inputs.new import new_workspace

    new_workspace(folder)
    console.print(f"Workspace created in {escape(str(folder))}", soft_wrap=True)
    console.print("Fill the tables and plan.yaml, then run:")
    typed = escape(shlex.quote(str(folder)))
    console.print(f"  aifactory check {typed}\n  aifactory run --workspace {typed}", soft_wrap=True)


@app.command()
def check(folder: Annotated[str, typer.Argument(help="Workspace folder.")] = "") -> None:
    """Validate a workspace and print what was found, table by table."""
    from aifactory.inputs.check import check_workspace

    _say_sample(folder)
    report = check_workspace(folder)
    console.print(table(report.summary.drop(columns="table")), soft_wrap=True)
    if report.absent:
        console.print(f"Not given; the catalogue or nothing stands in: {', '.join(report.absent)}", soft_wrap=True)
    for message in report.failures:
        errors.print(f"FAILED  {escape(message)}", soft_wrap=True)
    for message in report.warnings:
        console.print(f"WARNING {escape(message)}", soft_wrap=True)
    if report.failures:
        raise typer.Exit(EXIT_BAD_INPUT)
    console.print(
        "All checks passed."
        if not report.warnings
        else f"Passed with {len(report.warnings)} warning{'s' if len(report.warnings) > 1 else ''}."
    )


@app.command("import")
def import_files(
    kind: Annotated[
        str, typer.Argument(help="What the files hold: billing, telemetry, use-cases, jobs, trace or benchmark.")
    ],
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Files, known by their content; telemetry: also http://host:9090 of Prometheus. Request logs of over a million rows, and folders or patterns of them, are aggregated by day; benchmark: also folders and patterns."
        ),
    ],
    into: Annotated[Path | None, typer.Option(help="Workspace to write to. Without it, only the report.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a delivery that was imported before.")] = False,
    mapping: MappingFile = None,
    suggest: SuggestedFile = None,
    setting: SaidFacts = None,
    period: Annotated[str, typer.Option(help="Period of a server: 2026-10, or 2026-10-01..2026-10-15.")] = "",
    use_case: Annotated[str, typer.Option(help="Use case of a trace or benchmark.")] = "",
    region: Annotated[str, typer.Option(help="Region, where the file names none.")] = "",
    first_day: Annotated[str, typer.Option(help="Move a trace by whole weeks to begin on or after this day.")] = "",
    accelerator: Annotated[str, typer.Option(help="Accelerator of jobs that name none, or of a benchmark.")] = "",
    zone: Annotated[str, typer.Option(help="Zone of times of jobs without one, as Europe/Berlin. Default: UTC.")] = "",
    engine: LogEngine = "",
) -> None:
    """Read bills, telemetry, use cases, jobs, traces or results of load tools as they are, report what was read, and add it to a workspace."""
    import json

    import pandas as pd

    from aifactory.benchmark.imported import add_verdicts
    from aifactory.inputs.importers.benchmarks.facts import said_facts
    from aifactory.inputs.importers.command import Target, import_files, read_mapping, suggest_mapping

    if suggest:
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
        facts=said_facts(setting or []),
        **read_mapping(mapping, kind),
    )
    reports = import_files(kind, sources, into, target, replace=replace)
    if kind == "benchmark":
        add_verdicts(reports, into)
    if as_json:
        typer.echo(json.dumps(reports[0] if len(reports) == 1 else reports, indent=1, ensure_ascii=False))
        return
    for report in reports:
        print_import(report)


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
    setting: Settings = None,
    out: Annotated[Path | None, typer.Option(help="Output folder. Default: reports in the workspace.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Notebooks side by side. Default: cores.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Run even where inputs are unchanged.")] = False,
    back: Annotated[int, typer.Option(help="Months before it to run again where late data changed them.")] = 0,
    wait: Annotated[int, typer.Option(min=0, help="Seconds to wait for a run that writes to the same folder.")] = 0,
) -> None:
    """Run the stages and publish their reports (HTML, XLSX, CSV, notebook)."""
    from aifactory.inputs.workspace import load_workspace
    from aifactory.run.months import months_back
    from aifactory.run.parameters import check_period, parse_settings
    from aifactory.run.runner import run_road
    from aifactory.run.stages import select_stages

    settings = parse_settings(setting or [])
    names = [stage.name for stage in select_stages(stages or [])]
    _say_sample(workspace)
    months = [check_period(period, today())]
    if back:
        loaded = load_workspace(workspace, months[0], settings)
        months = months_back(loaded.period, back, loaded.periods)
    failed = False
    for month in months:
        with progress_bars(names) as progress:
            outcome = run_road(names, workspace=workspace, period=month, settings=settings, out=out, workers=workers,
                               force=force, wait_s=wait, progress=progress)  # fmt: skip
        print_outcome(outcome)
        failed |= bool(outcome.failed)
    if failed:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def schedule(
    workspace: Workspace = "",
    kind: Annotated[str, typer.Option(help="cron, github, airflow or jupyter.")] = "cron",
    out: Annotated[
        Path | None, typer.Option(help="Output folder of the reports. Default: reports in the workspace.")
    ] = None,
    day: Annotated[int, typer.Option(help="First day of the month to try, 1 to 21.")] = 3,
    hour: Annotated[int, typer.Option(help="Hour of the day, 0 to 23.")] = 6,
) -> None:
    """Print what runs the refresh every month: a cron line, a GitHub workflow, an Airflow DAG, a jupyter-scheduler job."""
    from aifactory.inputs.workspace import find_workspace
    from aifactory.run.schedule import Schedule, example

    folder = find_workspace(workspace)
    target = out if out else folder / "reports"
    if kind == "github":  # paths in a repository stay as they are given
        plan = Schedule(workspace or ".", str(out or Path(workspace or ".") / "reports"), day, hour)
    else:
        plan = Schedule(str(folder), str(target.resolve()), day, hour)
    typer.echo(example(kind, plan), nl=False)


@app.command()
def approve(
    workspace: Workspace = "",
    period: Period = "",
    setting: Settings = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the reports. Default: reports in the workspace.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a plan approved for another period.")] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Approve today's plan even if the published report shows another one.")
    ] = False,
) -> None:
    """Freeze the buy plan of a period: the monthly refresh compares against it.

    Where a report of the month is published, the plan must be the one that it shows.
    """
    import aifactory as af
    from aifactory.buyplan.ports import platform_classes
    from aifactory.buyplan.staying import moves_begun
    from aifactory.report.buy_plan_orders import price_doubts
    from aifactory.review.approve import check_may_approve
    from aifactory.run.parameters import check_period, parse_settings
    from aifactory.run.runner import reports_folder
    from aifactory.run.signed import check_plan_signed, check_settings_signed

    _say_sample(workspace, written=True)
    settings = parse_settings(setting or [])
    loaded = af.load_workspace(workspace, check_period(period, today()), settings)
    check_may_approve(loaded.path, loaded.period, force=force)
    reports = reports_folder(loaded.path, out) / loaded.period
    published = not unsigned and check_settings_signed(reports, settings)
    inventory, benchmark = af.build_inventory(loaded), af.build_benchmark(loaded)
    plan = af.build_buy_plan(loaded, inventory, benchmark, af.build_shortlist(loaded, inventory, benchmark))
    if published:
        check_plan_signed(reports, plan.approved_plan)
    path = af.approve_plan(plan, loaded.path, force=force)
    console.print(f"Plan of {loaded.period} approved: {escape(str(path))}", soft_wrap=True)
    console.print(
        f"It is the plan of the report in {escape(str(reports))}."
        if published
        else "It was compared with no published report."
    )
    print_orders(plan.orders, price_doubts(plan.options, loaded.plan.price_freshness_days))
    moves = moves_begun(plan.hosted_today, plan.approved_plan)
    print_ports(plan.ports, moves, platform_classes(loaded.table("accelerators")), loaded.period)
