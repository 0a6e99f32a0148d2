"""Fixtures for every room: the sample company, the shared real data, a tiny workspace."""

import dataclasses
import gc
import shutil
from functools import cached_property
from pathlib import Path

import pytest
from hypothesis import settings

from aifactory.benchmark import Benchmark, build_benchmark
from aifactory.buyplan import BuyPlan, build_buy_plan
from aifactory.inputs.resources import data_dir
from aifactory.inputs.workspace import Workspace, load_workspace
from aifactory.inventory import Inventory, build_inventory
from aifactory.shortlist import Shortlist, build_shortlist

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"

#: The same examples on every machine, and no limit of time: what passed once passes again.
#: `pytest --hypothesis-profile explore` draws new ones.
settings.register_profile("aifactory", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=300)
settings.load_profile("aifactory")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> object:
    """Thousands of collected tests are no garbage: nothing is looked for among them, while they are collected or after."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first: a long test that starts last leaves the other processors without work."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


class Stages:
    """Stages of a workspace, each built when a test first asks for it. What they hold is for all tests: none may change it."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws

    @cached_property
    def inventory(self) -> Inventory:
        return build_inventory(self.ws)

    @cached_property
    def benchmark(self) -> Benchmark:
        return build_benchmark(self.ws)

    @cached_property
    def shortlist(self) -> Shortlist:
        return build_shortlist(self.ws, self.inventory, self.benchmark)

    @cached_property
    def plan(self) -> BuyPlan:
        return build_buy_plan(self.ws, self.inventory, self.benchmark, self.shortlist)


@pytest.fixture(scope="session")
def sample_dir() -> Path:
    return data_dir() / "sample"


@pytest.fixture(scope="session")
def sample_ws(sample_dir) -> Workspace:
    return load_workspace(sample_dir)


@pytest.fixture(scope="session")
def sample_stages(sample_ws) -> Stages:
    return Stages(sample_ws)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real data are not beside this checkout (../shared)")
    return SHARED


USE_CASES = """\
use_case_id,name,workload_class,business_unit,team,owner_role,model,service_unit,request_pattern,criticality,stage,allowed_regions,slo_p95_ttft_ms,slo_p95_e2e_ms,slo_max_failure_rate,value_usd_per_unit,attribution_share,source,as_of
chat,Chat,real_time_inference,retail,cx,head of service,Llama-3.1-8B,request,interactive,customer_facing,production,,1000,20000,0.05,0.01,0.5,test,2026-10-31
images,Images,multimodal_media,retail,media,head of brand,SDXL-base-1.0,image,batch,internal,production,eu,,60000,,0.05,1.0,test,2026-10-31
models,Models,batch_training,operations,planning,head of planning,,accelerator_hour,scheduled,internal,production,,,,,5,1.0,test,2026-10-31
"""
ACCOUNTS = "SubAccountId,team,business_unit\nacc-2,media,retail\n"
BILL_HEAD = (
    "BillingPeriodStart,ChargePeriodStart,ChargePeriodEnd,ProviderName,SubAccountId,SkuMeter,SkuPriceDetails,ChargeDescription,"
    "ChargeCategory,PricingCategory,CommitmentDiscountStatus,ConsumedQuantity,ConsumedUnit,BillingCurrency,BilledCost,EffectiveCost,Tags\n"
)
MONTHS = ("2026-09", "2026-10")


def _demand() -> str:
    """Two months of hourly windows: chat by day in two regions, images steady in one."""
    rows = [
        "window_start_utc,window_minutes,use_case_id,region,requests,errors,retries,service_units,input_tokens,cached_input_tokens,output_tokens"
    ]
    for month, days, growth in (("2026-09", 30, 100), ("2026-10", 31, 110)):
        for day in range(1, days + 1):
            for hour in range(24):
                stamp = f"{month}-{day:02d}T{hour:02d}:00:00Z"
                load = growth * (2 if 8 <= hour < 18 else 1)
                for region in ("us", "eu"):
                    bad = load // 50
                    rows.append(
                        f"{stamp},60,chat,{region},{load},{bad},{bad},{load - bad},{load * 500},{load * 100},{load * 100}"
                    )
                rows.append(f"{stamp},60,images,eu,{growth},0,0,{growth},,,")
    return "\n".join(rows) + "\n"


def _jobs() -> str:
    rows = ["job_id,use_case_id,region,accelerator_id,accelerators,submitted_utc,started_utc,ended_utc,status"]
    for number, (month, day) in enumerate([(m, d) for m in MONTHS for d in (2, 9, 16, 23)], 1):
        start = f"{month}-{day:02d}T"
        status = "failed" if day == 16 else "completed"
        rows.append(
            f"job-{number},models,us,nvidia-a100-80-sxm,8,{start}01:00:00Z,{start}02:00:00Z,{start}12:00:00Z,{status}"
        )
    return "\n".join(rows) + "\n"


def _pools() -> str:
    rows = [
        "window_start_utc,window_minutes,pool_id,region,accelerator_id,purchase_option,installed,utilization,power_w,queue_depth"
    ]
    for month, days, busy in (("2026-09", 30, 0.4), ("2026-10", 31, 0.5)):
        for day in range(1, days + 1):
            stamp = f"{month}-{day:02d}T00:00:00Z"
            rows.append(f"{stamp},1440,chat-pool,us,nvidia-h100-sxm,on_demand,8,{busy},2800,0.5")
            rows.append(f"{stamp},1440,train-pool,us,nvidia-a100-80-sxm,reserved_1y,8,0.25,1200,0")
    return "\n".join(rows) + "\n"


def _bill() -> str:
    rows = []
    tags = '"{""team"": ""%s"", ""business_unit"": ""%s"", ""use_case"": ""%s""}"'
    for month, end in (("2026-09", "2026-10-01"), ("2026-10", "2026-11-01")):
        span = f"{month}-01T00:00:00Z,{month}-01T00:00:00Z,{end}T00:00:00Z,AWS"
        hours = 744 if month == "2026-10" else 720
        p5 = '"{""InstanceType"": ""p5.48xlarge""}"'
        a100 = '"{""InstanceType"": ""p4de.24xlarge""}"'
        rows += [
            f"{span},acc-1,p5.48xlarge hours,{p5},on demand,Usage,Standard,,{hours},Hours,USD,{hours * 40}.10,{hours * 40}.10,{tags % ('cx', 'retail', 'chat')}",
            f"{span},acc-1,p4de.24xlarge hours,{a100},committed,Usage,Committed,Used,600,Hours,USD,0,12000.000001,{tags % ('planning', 'operations', 'models')}",
            f"{span},acc-1,p4de.24xlarge hours,{a100},unused,Usage,Committed,Unused,{hours - 600},Hours,USD,0,{(hours - 600) * 20}.5,",
            f"{span},acc-1,,,fee,Purchase,Committed,,,,USD,{12000 + (hours - 600) * 20}.500001,0,",
            f"{span},acc-2,,,storage,Usage,Standard,,,,USD,250.25,250.25,",
            f"{span},acc-3,,,transfer,Usage,Standard,,,,USD,99.99,99.99,",
            f"{span},,,,tax,Tax,,,,,USD,10.01,10.01,",
            f"{span},,,,credit,Credit,,,,,USD,-100,-100,",
        ]
    return BILL_HEAD + "\n".join(rows) + "\n"


def _benchmarks() -> str:
    head = (
        "benchmark_id,point,use_case_id,accelerator_id,accelerators,precision,engine,tool,concurrency,requests,errors,duration_s,"
        "units_per_s,output_tokens_mean,output_tokens_per_s,tokens_source,p50_ttft_ms,p95_ttft_ms,p50_e2e_ms,p95_e2e_ms,power_w,source,as_of,confidence\n"
    )
    rows = []
    for chip, speed, watts in (("nvidia-h100-sxm", 2.0, 600), ("nvidia-a100-80-sxm", 1.0, 350)):
        for point, (load, ttft) in enumerate([(1, 200), (2, 400), (4, 1600)], 1):
            units = load * speed
            rows.append(
                f"chat--{chip},{point},chat,{chip},1,bf16,vllm,runner,{units * 5:g},{int(units * 600)},0,600,{units:g},100,{units * 100:g},"
                f"server_usage,{ttft / 2:g},{ttft:g},{5000:g},{9000:g},{watts},test,2026-10-20,measured"
            )
    rows.append(
        "images--h100,1,images,nvidia-h100-sxm,1,bf16,diffusers,runner,4,1200,0,600,2,,,,,,2000,4000,500,test,2026-10-20,measured"
    )
    return head + "\n".join(rows) + "\n"


def _plan() -> str:
    """The sample's plan with two regions and three candidates."""
    text = (data_dir() / "templates" / "plan.yaml").read_text(encoding="utf-8")
    before, rest = text.split("regions:\n", 1)
    after = rest[rest.index("# Reserve over") :]
    head, tail = before.split("candidates:\n", 1)
    tail = tail[tail.index("# What each use case") :]
    region = "  - {{region: {0}, name: {1}, provider_regions: {{AWS: {2}, GCP: {3}}}, usd_per_kwh: 0.1, gco2_per_kwh: 300, source: test, as_of: 2026-10-01}}\n"
    regions = region.format("us", "United States", "us-east-1", "us-east1") + region.format(
        "eu", "Europe", "eu-west-1", "europe-west4"
    )
    chips = "".join(f"  - {name}\n" for name in ("nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e"))
    return f"{head}candidates:\n{chips}{tail}regions:\n{regions}{after}"


def write_mini(folder: Path) -> Path:
    """Write the tiny workspace: three use cases, two regions, two months."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = {
        "use_cases": USE_CASES,
        "demand_windows": _demand(),
        "jobs": _jobs(),
        "pools": _pools(),
        "billing": _bill(),
        "benchmarks": _benchmarks(),
        "account_map": ACCOUNTS,
    }
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    (folder / "plan.yaml").write_text(_plan(), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def _mini_master(tmp_path_factory) -> Path:
    folder = write_mini(tmp_path_factory.mktemp("mini") / "mini-company")
    load_workspace(folder)
    return folder


@pytest.fixture
def mini(_mini_master, tmp_path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(_mini_master, tmp_path / "mini-company"))


@pytest.fixture(scope="session")
def mini_ws(_mini_master) -> Workspace:
    return load_workspace(_mini_master)


@pytest.fixture(scope="session")
def mini_stages(mini_ws) -> Stages:
    return Stages(mini_ws)


@pytest.fixture(scope="session")
def changed(mini_ws):
    """The tiny workspace with fields of the plan or whole tables replaced."""

    def change(plan=None, **tables):
        return dataclasses.replace(
            mini_ws, plan=mini_ws.plan.model_copy(update=plan or {}), tables={**mini_ws.tables, **tables}
        )

    return change
