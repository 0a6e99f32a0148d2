"""Commands about serving: simulate, cheapest, jobs, fidelity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from aifactory.cli.base import console
from aifactory.cli.printing import print_found, table

app = typer.Typer()
bench = typer.Typer(help="Measurements of the accelerator at hand, and packs for a bake-off.", no_args_is_help=True)
app.add_typer(bench, name="bench")


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
    attention_ranks: Annotated[
        int, typer.Option(min=1, help="Groups of a replica's accelerators that attend to sequences of their own.")
    ] = 1,
    precision: Annotated[str, typer.Option(help="bf16, fp8, ... Default: the model's.")] = "",
    routing: Annotated[str, typer.Option(help="round_robin, least_outstanding or least_kv.")] = "least_outstanding",
    steps: Annotated[
        Path | None, typer.Option(help="CSV of measured steps, as `aifactory bench probe` writes.")
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="Clients give up after so many seconds; 0: never.")] = 0.0,
    retries: Annotated[int, typer.Option(help="Tries after the first, with a back-off that doubles.")] = 0,
    prefix_cache: Annotated[bool, typer.Option(help="Reuse the KV cache of prompts that begin alike.")] = True,
    curve: Annotated[str, typer.Option(help="Requests/s within --slo for fleets of such sizes, as 1,2,4,8.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Serve a trace with simulated replicas; with --slo, find the fewest that keep it."""
    import json

    from aifactory.serving.command import SimulateRequest, simulate_trace

    asked = SimulateRequest(
        trace,
        model,
        platform,
        replicas,
        slo,
        tensor_parallel,
        precision,
        routing,
        steps,
        timeout_s,
        retries,
        prefix_cache,
        curve,
        attention_ranks,
    )
    found, size = simulate_trace(asked)
    if as_json:
        typer.echo(json.dumps(found, indent=1, allow_nan=False))
        return
    for name, value in found.items():
        if name == "sizes":
            continue
        console.print(f"{name.replace('_', ' ')}: {escape(_shown(value))}", soft_wrap=True)
    for line in (size.steady_because, size.slo_because, size.reserve_because) if size else ():
        console.print(escape(line), soft_wrap=True)


@app.command("cheapest")
def cheapest_fleet(
    trace: Annotated[Path, typer.Argument(help="Trace of requests, as for `aifactory simulate`.")],
    model: Annotated[str, typer.Option(help="Model of the catalogue.")],
    platforms: Annotated[str, typer.Option(help="Accelerators of the catalogue, joined by commas.")],
    slo: Annotated[str, typer.Option(help="Limits to keep, such as p95_ttft_ms=500,p95_tpot_ms=50.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the cheapest fleet of one platform, or of one that spills to another, that keeps the SLO."""
    from aifactory.serving.mix_command import cheapest

    names = [name.strip() for name in platforms.split(",") if name.strip()]
    print_found(cheapest(trace, model, names, slo), as_json, _offer_lines)


def _offer_lines(found: dict[str, object]) -> list[str]:
    from aifactory.units import counted

    lines = [f"{counted(found['requests'], 'request')}; fleets that keep the SLO, cheapest first:"]
    for offer in found["offers"]:
        price = offer["usd_per_hour"]
        tiers = ", ".join(f"{name}: {tier}" for name, tier in offer["tiers"].items())
        lines.append(
            f"  {offer['fleet']}: {'no price' if price is None else f'USD {price:,.2f} an hour'} (tier of {tiers})"
        )
    return [*lines, *(f"{name}: {why}" for name, why in found["refused"].items()), *found["remarks"]]


@app.command()
def jobs(
    trace: Annotated[
        Path, typer.Argument(help="Jobs: what `import jobs` reads, a known trace, or submit_s,run_s,accelerators.")
    ],
    wait_s: Annotated[float, typer.Option(min=0, help="Longest wait in seconds at the percentile.")] = 3600.0,
    percentile: Annotated[float, typer.Option(min=0, max=100, help="Percentile of the wait to keep.")] = 95.0,
    accelerators: Annotated[int, typer.Option(min=0, help="Accelerators; 0: the fewest that keep the wait.")] = 0,
    backfill: Annotated[bool, typer.Option(help="Let later jobs fill gaps that delay nobody (EASY).")] = True,
    accelerator: Annotated[str, typer.Option(help="Of a table jobs, only those of this accelerator.")] = "",
    region: Annotated[str, typer.Option(help="Of a table jobs, only those of this region.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Queue training and fine-tuning jobs, each needing its accelerators at once, and size their pool."""
    from aifactory.serving.job_command import queue_jobs

    only = {name: value for name, value in (("accelerator_id", accelerator), ("region", region)) if value}
    size = {"accelerators": accelerators, "wait_s": wait_s, "percentile": percentile, "backfill": backfill}
    found = queue_jobs(trace, **size, only=only)
    print_found(
        found, as_json, lambda said: [f"{name.replace('_', ' ')}: {_shown(value)}" for name, value in said.items()]
    )


def _shown(value: object) -> str:
    """A figure for the terminal: 4 digits, names before the parts of what has parts."""
    if isinstance(value, dict):
        parts = (f"{name.replace('_', ' ')} {_shown(part)}" for name, part in value.items() if part is not None)
        return ", ".join(parts) or "not known"
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "none"
    return f"{value:,.4g}" if isinstance(value, float) else "not known" if value is None else str(value)


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
        console.print(table(report.shown()), soft_wrap=True)


@bench.command()
def probe(
    out: Annotated[Path, typer.Option(help="CSV to write; a file that exists is continued.")],
    accelerator: Annotated[
        str, typer.Option(help="What the device is in the table `accelerators`; any name for others.")
    ],
    model: Annotated[
        str, typer.Option(help="Sizes of the transformer, such as Llama-3.1-8B; tiny on a processor.")
    ] = "",
    precision: Annotated[str, typer.Option(help="bf16, fp16 or fp32. Default: bf16 on a GPU, else fp32.")] = "",
    budget_s: Annotated[float, typer.Option(min=1, help="Seconds to measure for; what is left is named.")] = 300.0,
    repeats: Annotated[int, typer.Option(min=3, max=1000, help="Samples of each point.")] = 15,
    all_reduce: Annotated[int, typer.Option(min=0, help="Sum over so many accelerators too; 0: not.")] = 0,
    largest_tokens: Annotated[
        int | None, typer.Option(min=64, help="Tokens of the largest kernel. Default: 8192, 256 on a processor.")
    ] = None,
) -> None:
    """Measure the accelerator at hand: kernels, and steps of a transformer with random weights. Needs the extra [bench]."""
    import pandas as pd

    from aifactory.errors import InputError

    try:
        from aifactory.serving.probe.measure import Probe, device_at_hand, run_probe
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name} is not installed: `pip install aifactory[bench]`") from error
    device = device_at_hand()
    gpu = device == "cuda"
    asked = Probe(
        model=model or ("Llama-3.1-8B" if gpu else "tiny"),
        precision=precision or ("bf16" if gpu else "fp32"),
        as_of=f"{pd.Timestamp.now(tz='UTC'):%Y-%m-%d}",
        accelerator_id=accelerator,
        device=device,
        budget_s=budget_s,
        repeats=repeats,
        largest_tokens=largest_tokens or (8192 if gpu else 256),
        all_reduce=all_reduce,
    )
    rows = run_probe(asked, out, lambda line: console.print(escape(line), soft_wrap=True))
    console.print(f"{len(rows):,} measurements: {escape(str(out))}", soft_wrap=True)


@bench.command()
def pack(
    sources: Annotated[list[str], typer.Argument(help="Traces of requests, one a class: name=file, or a file.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist.")],
    requests: Annotated[int, typer.Option(help="Most requests of a class.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the window of a longer trace.")] = 1,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", "-w", help="Its use cases of the same names give the limits.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
) -> None:
    """Write a prompt mix as traces that AIPerf and GuideLLM replay: lengths and times, no text."""
    from aifactory.serving.bench_pack import named_traces, pack_lines, write_pack

    manifest = write_pack(named_traces(sources), out, requests=requests, seed=seed, workspace=workspace)
    print_found(manifest, as_json, pack_lines)
