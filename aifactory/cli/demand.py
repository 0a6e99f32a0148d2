"""Commands about demand: backtest, reserve, early, coming, generate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aifactory.cli.printing import print_found

app = typer.Typer()


@app.command()
def backtest(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX with the columns ds,y or unique_id,ds,y.")],
    freq: Annotated[str, typer.Option(help="Step of the series: h, D, W or M (calendar months).")],
    horizon: Annotated[int, typer.Option(help="Steps to forecast at each origin.")],
    season: Annotated[
        int | None, typer.Option(help="Steps of a season. Default: 24 for h, 7 for D, 1 for W, 12 for M.")
    ] = None,
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
    print_found(found, as_json, backtest_lines)


@app.command()
def reserve(
    file: Annotated[Path, typer.Argument(help="Trace of any format of the importers, or a CSV or XLSX with ds,y.")],
    lead_time: Annotated[str, typer.Option(help="From an order to its arrival, such as 28d.")],
    window: Annotated[str, typer.Option(help="Window in which demand is counted, such as 10min or 1mo.")] = "10min",
    target: Annotated[float, typer.Option(help="Share of windows that may be over capacity.")] = 0.01,
    target_unserved: Annotated[
        float | None, typer.Option(help="Share of demand that may go unserved; counts instead of --target.")
    ] = None,
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
        window, lead_time, target, measure, workload, pools, usd_per_unit_hour, overflow_usd_per_unit,
        autoscaler_lag, target_unserved,
    )  # fmt: skip
    print_found(reserve_file(file, settings), as_json, reserve_lines)


@app.command()
def early(
    file: Annotated[Path, typer.Argument(help="Trace of any format of the importers, or a CSV or XLSX with ds,y.")],
    share: Annotated[float, typer.Option(help="Share of the projected users that are live, such as 0.1.")],
    projected: Annotated[float, typer.Option(help="Mean demand per window that was projected for all users.")],
    window: Annotated[str, typer.Option(help="Window in which demand is counted, such as 10min.")] = "1h",
    as_equals: Annotated[
        float | None, typer.Option(help="Equal users that would be as concentrated as the early ones.")
    ] = None,
    measure: Annotated[str, typer.Option(help="Count requests or tokens.")] = "requests",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Does the first part of the traffic bear out the projection? Extrapolated, with a stated error."""
    from aifactory.demand.command import duration
    from aifactory.demand.early_traffic import early_file, early_lines

    found = early_file(file, duration("--window", window), share, projected, as_equals, measure)
    print_found(found, as_json, early_lines)


@app.command()
def coming(
    use_case: Annotated[str, typer.Argument(help="Use case of the workspace.")],
    region: Annotated[str, typer.Argument(help="Region that serves it.")],
    month: Annotated[str, typer.Option(help="Month to come, YYYY-MM.")],
    out: Annotated[Path, typer.Option(help="Trace to write, .csv or .parquet.")],
    scenario: Annotated[str, typer.Option(help="conservative, expected or aggressive.")] = "expected",
    hours: Annotated[int, typer.Option(help="Consecutive hours, the busiest of the month.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same requests.")] = 0,
    workspace: Annotated[str, typer.Option("--workspace", "-w", help="Workspace folder.")] = "",
    period: Annotated[str, typer.Option(help="Month to forecast from, YYYY-MM. Default: the latest with data.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Requests of a month to come, by hour and minute, as a trace for `simulate` and `cheapest`."""
    from aifactory.inputs.workspace import load_workspace
    from aifactory.inventory.build import build_inventory
    from aifactory.inventory.coming import check_trace_name, coming_lines, coming_requests, write_coming

    check_trace_name(out)
    ws = load_workspace(workspace, period)
    found = coming_requests(ws, build_inventory(ws), use_case, region, month, scenario, hours, seed)
    print_found(write_coming(out, found), as_json, coming_lines)


@app.command()
def generate(
    requests: Annotated[int, typer.Option(help="Requests to write, exactly.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write.")],
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    days: Annotated[int, typer.Option(help="Whole days over which they fall.")] = 28,
    first_day: Annotated[
        str, typer.Option(help="First day, YYYY-MM-DD; week shapes take it for a Monday.")
    ] = "2026-10-05",
    only: Annotated[str, typer.Option(help="A workload class, a use case or use case/region; all without.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Requests of a synthetic company, with the shapes of public traces, in the terms of the table `requests`."""
    from aifactory.demand.request_file import generate_file, generated_lines

    print_found(generate_file(out, requests, seed, days, first_day, only), as_json, generated_lines)
