"""A workspace made of real traces, a bill with known truth, real prices and public measurements.

Only the catalogue of use cases is written here: who owns what, and which rule holds. The traces keep
weekday and hour and are moved into the autumn of 2026 by whole weeks.
"""

from pathlib import Path

import pandas as pd

from aifactory.inputs.importers.bills import read_bill
from aifactory.inputs.importers.facts import read_cloud_prices, read_commitment_prices, read_public_performance
from aifactory.inputs.importers.traces import (
    read_agentic_coding,
    read_azure_llm,
    read_gentd26,
    read_philly,
    whole_weeks,
)
from aifactory.inputs.resources import data_dir
from aifactory.inputs.write import write_table

PERIOD = "2026-10"
REGION = "us"
USE_CASES = """\
use_case_id,name,workload_class,business_unit,team,owner_role,model,service_unit,request_pattern,criticality,stage,allowed_regions,slo_p95_ttft_ms,slo_p95_e2e_ms,slo_max_failure_rate,value_usd_per_unit,attribution_share,source,as_of
support-bot,Support chat,real_time_inference,retail,cx,head of service,Llama-3.1-70B / 3.3-70B,request,interactive,customer_facing,production,,1000,20000,0.05,0.02,0.5,test,2026-10-31
code-assist,Coding agent,agentic_orchestration,engineering,platform,head of engineering,gpt-oss-120b,session,interactive,internal,production,,,120000,,5,0.5,test,2026-10-31
doc-summary,Summaries,real_time_inference,corporate,legal,head of legal,Llama-3.1-8B,request,batch,internal,production,,,,,0.01,0.5,test,2026-10-31
images,Image generation,multimodal_media,retail,media,head of brand,SDXL-base-1.0,image,batch,internal,production,us,,120000,0.05,0.05,1.0,test,2026-10-31
training,Model training,batch_training,engineering,search,head of research,,accelerator_hour,scheduled,internal,production,,,,,2,1.0,test,2026-10-31
"""
ACCELERATORS = ("nvidia-h100-sxm", "nvidia-a100-80-sxm", "nvidia-l4", "google-tpu-v6e", "aws-trainium1")
JOBS_ACCELERATOR = "nvidia-a100-80-sxm"
TRACES = {
    "azure": "azure_llm_2023_conv.csv.gz",
    "agentic": "agentic_coding_requests.parquet",
    "images": "gentd26_lora_request_trace_2024-11-15_12-01.csv.gz",
    "jobs": "philly_jobs_2017-09-04_11-12.csv.gz",
}


def write_real(shared: Path, folder: Path) -> Path:
    """Build the workspace through the product's own importers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "use_cases.csv").write_text(USE_CASES, encoding="utf-8")
    (folder / "plan.yaml").write_text(_plan(), encoding="utf-8")
    write_table(_requests(shared), "requests", folder, suffix=".parquet")
    write_table(_jobs(shared), "jobs", folder, suffix=".parquet")
    bill = read_bill(shared / "data/billing/focus_1_2_synthetic_ai.csv.gz").table
    write_table(bill, "billing", folder)
    facts = shared / "data"
    known = set(pd.read_csv(data_dir() / "catalogue" / "accelerators.csv")["accelerator_id"])
    prices = pd.concat(
        [
            read_cloud_prices(facts / "catalogue/cloud_prices.csv.gz", known),
            read_commitment_prices(facts / "catalogue/commitment_prices.csv", known),
        ]
    )
    write_table(prices, "prices", folder)
    write_table(
        read_public_performance(facts / "measured/public_performance.csv", known),
        "public_measurements",
        folder,
    )
    return folder


def _shift(first: str, not_before: str) -> pd.Timedelta:
    return whole_weeks(pd.Timestamp(first, tz="UTC"), pd.Timestamp(not_before, tz="UTC"))


def _requests(shared: Path) -> pd.DataFrame:
    traces = shared / "data" / "traces"
    start, end = (pd.Timestamp(day, tz="UTC") for day in ("2026-10-01", "2026-10-25"))
    return pd.concat(
        [
            read_azure_llm(traces / TRACES["azure"], "support-bot", REGION, _shift("2023-11-16", "2026-10-12")),
            read_agentic_coding(traces / TRACES["agentic"], "code-assist", REGION, start, end),
            read_gentd26(traces / TRACES["images"], "images", REGION, _shift("2024-11-15", "2026-10-05")),
        ],
        ignore_index=True,
    )


def _jobs(shared: Path) -> pd.DataFrame:
    path = shared / "data" / "traces" / TRACES["jobs"]
    return read_philly(path, "training", REGION, JOBS_ACCELERATOR, _shift("2017-09-04", "2026-08-17"))


def _plan() -> str:
    """The template's plan for one region and five accelerators of three classes."""
    text = (data_dir() / "templates" / "plan.yaml").read_text(encoding="utf-8")
    before, rest = text.split("regions:\n", 1)
    after = rest[rest.index("# Reserve over") :]
    head, tail = before.split("candidates:\n", 1)
    tail = tail[tail.index("# What each use case") :]
    region = f"  - {{region: {REGION}, name: United States, provider_regions: {{AWS: us-east-1, GCP: us-central1, Azure: eastus}}, usd_per_kwh: 0.0946, gco2_per_kwh: 323.05, source: EIA table 5.6.A, as_of: 2025-04-01}}\n"
    chips = "".join(f"  - {name}\n" for name in ACCELERATORS)
    return f"{head}candidates:\n{chips}{tail}regions:\n{region}{after}"
