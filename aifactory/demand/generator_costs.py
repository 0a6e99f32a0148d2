"""Seeded pools, bill and benchmarks of the sample company."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd

from aifactory.demand.generator_company import AS_OF, POOLS, SPEED, USE_CASES, Pool
from aifactory.demand.generator_company import peak_units_per_s as peak
from aifactory.demand.generator_telemetry import lognormal_mean, spawn
from aifactory.inputs.telemetry import conform

LOADS = (0.10, 0.25, 0.45, 0.62, 0.76, 0.88, 0.96)
PROJECTED_LOAD = 0.76
MICRO = Decimal("0.000001")
LIST_MARKUP = Decimal("1.25")
SHARED_ROWS = (
    # service, category, team, business unit, USD per day, description
    ("Amazon Simple Storage Service", "Storage", "platform", "technology", 412.0, "Standard storage"),
    ("Amazon Virtual Private Cloud", "Networking", "cx", "retail", 236.0, "Data transfer out to internet"),
    ("Amazon Bedrock", "AI and Machine Learning", "media", "retail", 318.0, "Input and output tokens, on demand"),
    ("Amazon Elastic Block Store", "Storage", "", "", 148.0, "Volume, no tags"),
)


def daily_load(windows: pd.DataFrame, jobs: pd.DataFrame) -> pd.DataFrame:
    """Accelerator-hours of work per pool, use case and day, at the speed of the pool."""
    parts = [_serving_load(pool_id, pool, windows) for pool_id, pool in POOLS.items()]
    parts += [_job_load(pool_id, pool, jobs) for pool_id, pool in POOLS.items()]
    return pd.concat(parts, ignore_index=True)


def _serving_load(pool_id: str, pool: Pool, windows: pd.DataFrame) -> pd.DataFrame:
    mine = windows[windows["use_case_id"].isin(pool.use_cases) & (windows["region"] == pool.region)]
    speed = mine["use_case_id"].map({name: peak(name, pool.accelerator_id) * 3600 for name in pool.use_cases})
    hours = mine["service_units"] / speed.astype("float64") * _share(pool)
    frame = pd.DataFrame(
        {
            "pool_id": pool_id,
            "use_case_id": mine["use_case_id"],
            "day": mine["window_start_utc"].dt.floor("D"),
            "hours": hours,
        }
    )
    return frame.groupby(["pool_id", "use_case_id", "day"], as_index=False).sum()


def _share(pool: Pool) -> float:
    """Share of a serving use case that a pool takes: pilots a few per cent, the others the rest."""
    return pool.share if pool.share < 1 else 1.0


def _job_load(pool_id: str, pool: Pool, jobs: pd.DataFrame) -> pd.DataFrame:
    mine = jobs[
        jobs["use_case_id"].isin(pool.use_cases)
        & (jobs["region"] == pool.region)
        & (jobs["accelerator_id"] == pool.accelerator_id)
    ]
    hours = (mine["ended_utc"] - mine["started_utc"]).dt.total_seconds() / 3600 * mine["accelerators"]
    frame = pd.DataFrame(
        {
            "pool_id": pool_id,
            "use_case_id": mine["use_case_id"],
            "day": mine["started_utc"].dt.floor("D"),
            "hours": hours,
        }
    )
    daily = frame.groupby(["pool_id", "use_case_id", "day"], as_index=False).sum()
    # long jobs run on over days: spread their hours over a fortnight
    daily["hours"] = daily.groupby("use_case_id")["hours"].transform(
        lambda h: h.rolling(14, min_periods=1, center=True).mean()
    )
    return daily


def pools(load: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Table `pools`: daily utilisation, power and queue; one pool is labelled as what it is not."""
    days = pd.DatetimeIndex(sorted(load["day"].unique()))
    parts = []
    for number, (pool_id, pool) in enumerate(POOLS.items()):
        random = spawn(seed, 3, number)
        work = load[load["pool_id"] == pool_id].groupby("day")["hours"].sum().reindex(days, fill_value=0.0)
        busy = np.clip(work.to_numpy() / (pool.installed * 24), 0.0, 0.97)
        watts = SPEED[pool.accelerator_id][2] * pool.installed * (0.25 + 0.5 * busy) * random.normal(1, 0.01, len(days))
        parts.append(
            pd.DataFrame(
                {
                    "window_start_utc": days,
                    "window_minutes": 1440,
                    "pool_id": pool_id,
                    "region": pool.region,
                    "accelerator_id": pool.label or pool.accelerator_id,
                    "purchase_option": pool.option,
                    "installed": float(pool.installed),
                    "utilization": np.round(busy, 4),
                    "power_w": np.round(watts, 1),
                    "queue_depth": np.round(0.4 * busy**2 / (1 - busy), 2),
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True).sort_values(["window_start_utc", "pool_id"], ignore_index=True)
    return conform(frame, "pools")


def billing(load: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Table `billing` with FOCUS semantics; daily rows per pool and use case, and shared services."""
    days = pd.DatetimeIndex(sorted(load["day"].unique()))
    rows: list[dict[str, object]] = []
    for number, (pool_id, pool) in enumerate(POOLS.items()):
        if pool.option != "purchase":
            rows += _pool_rows(pool_id, pool, load[load["pool_id"] == pool_id], days, spawn(seed, 4, number))
    rows += _shared_rows(days, spawn(seed, 5))
    rows += _one_off_rows(days)
    frame = pd.DataFrame(rows)
    return conform(
        frame.sort_values(["ChargePeriodStart", "ResourceId", "ChargeDescription"], ignore_index=True), "billing"
    )


def _pool_rows(
    pool_id: str, pool: Pool, load: pd.DataFrame, days: pd.DatetimeIndex, random: np.random.Generator
) -> list[dict[str, object]]:
    shares = (
        load.pivot_table(index="day", columns="use_case_id", values="hours", aggfunc="sum").reindex(days).fillna(0.0)
    )
    total = shares.sum(axis=1)
    shares = shares.div(total.where(total > 0), axis=0).fillna(1 / max(shares.shape[1], 1))
    committed = pool.option == "reserved_1y"
    used = np.round(random.uniform(0.90, 1.0, len(days)), 3) if committed else np.ones(len(days))
    rows = []
    for day, part in zip(days, used, strict=True):
        for use_case, share in shares.loc[day].items():
            hours = pool.installed * 24 * part * share
            if hours > 0:
                rows.append(_charge(pool_id, pool, day, str(use_case), hours, random))
        if committed:
            rows.append(_charge(pool_id, pool, day, "", pool.installed * 24 * (1 - part), random, status="Unused"))
    if committed:
        rows += [_commitment(pool_id, pool, month) for month in sorted({day.strftime("%Y-%m") for day in days})]
    return rows


def _charge(
    pool_id: str,
    pool: Pool,
    day: pd.Timestamp,
    use_case: str,
    hours: float,
    random: np.random.Generator,
    status: str = "Used",
) -> dict[str, object]:
    committed = pool.option == "reserved_1y"
    effective = (Decimal(str(pool.usd_per_hour)) * Decimal(str(round(hours, 6)))).quantize(MICRO)
    per_instance = _instance_size(pool)
    entry = USE_CASES[use_case] if use_case else None
    untagged = pool_id == "eu-docs-a100" or random.random() < 0.03
    tags = (
        ""
        if entry is None or untagged
        else json.dumps({"team": entry.team, "business_unit": entry.business_unit, "use_case": use_case})
    )
    unused = committed and status == "Unused"
    return _row(
        day,
        pool.provider,
        pool.account,
        service="Cloud TPU"
        if pool.provider == "GCP"
        else "Virtual Machines"
        if pool.provider == "Azure"
        else "Amazon Elastic Compute Cloud",
        category="Compute",
        description=f"Unused commitment {pool.sku}"
        if unused
        else f"{pool.sku} {'committed' if committed else pool.option.replace('_', ' ')} hour",
        billed=Decimal(0) if committed else effective,
        effective=effective,
        listed=(effective * LIST_MARKUP).quantize(MICRO),
        RegionId=pool.region,
        SkuId=f"SKU-{pool.sku}",
        SkuMeter=f"{pool.sku} hours",
        SkuPriceDetails=json.dumps({"InstanceType": pool.sku}),
        ResourceId=pool_id,
        ConsumedQuantity=round(hours / per_instance, 6),
        ConsumedUnit="Hours",
        PricingCategory="Committed" if committed else "Dynamic" if pool.option == "spot" else "Standard",
        CommitmentDiscountStatus=status if committed else "",
        CommitmentDiscountType="Reserved" if committed else "",
        Tags=tags,
    )


def _instance_size(pool: Pool) -> int:
    return {
        "p5.48xlarge": 8,
        "p4de.24xlarge": 8,
        "Standard_ND96isr_H100_v5": 8,
        "g6.12xlarge": 4,
        "g6e.12xlarge": 4,
        "trn1.32xlarge": 16,
        "ct6e-standard-4t": 4,
    }[pool.sku]


def _commitment(pool_id: str, pool: Pool, month: str) -> dict[str, object]:
    """Monthly fee of a commitment: billed once, effective on the used and unused rows."""
    start = pd.Timestamp(f"{month}-01", tz="UTC")
    fee = (Decimal(str(pool.usd_per_hour)) * pool.installed * 24 * start.days_in_month).quantize(MICRO)
    return _row(
        start, pool.provider, pool.account, "Reserved capacity", "Compute", f"Recurring fee {pool.sku}, 1 year",
        fee, Decimal(0), fee, ChargeCategory="Purchase", ResourceId=pool_id, RegionId=pool.region,
        PricingCategory="Committed", CommitmentDiscountType="Reserved", Tags="",
    )  # fmt: skip


def _shared_rows(days: pd.DatetimeIndex, random: np.random.Generator) -> list[dict[str, object]]:
    rows = []
    for service, category, team, unit, usd, text in SHARED_ROWS:
        tags = json.dumps({"team": team, "business_unit": unit}) if team else ""
        for day in days:
            amount = Decimal(str(round(usd * random.uniform(0.95, 1.05), 6))).quantize(MICRO)
            rows.append(_row(day, "AWS", "100000000013", service, category, text, amount, amount, amount, Tags=tags))
    return rows


def _one_off_rows(days: pd.DatetimeIndex) -> list[dict[str, object]]:
    """Tax and support credit each month, one correction of an earlier month, one late charge."""
    rows = []
    for month in sorted({day.strftime("%Y-%m") for day in days}):
        start = pd.Timestamp(f"{month}-01", tz="UTC")
        rows.append(
            _row(
                start,
                "AWS",
                "",
                "Tax",
                "Other",
                "Sales tax",
                Decimal("4120.50"),
                Decimal("4120.50"),
                Decimal(0),
                ChargeCategory="Tax",
            )
        )
        rows.append(
            _row(
                start,
                "AWS",
                "",
                "Credits",
                "Other",
                "Migration credit",
                Decimal("-2500"),
                Decimal("-2500"),
                Decimal(0),
                ChargeCategory="Credit",
            )
        )
    fix = pd.Timestamp("2026-09-14", tz="UTC")
    late = _row(
        fix,
        "AWS",
        "100000000011",
        "Amazon Elastic Compute Cloud",
        "Compute",
        "Correction of double charged hours",
        Decimal("-1843.20"),
        Decimal("-1843.20"),
        Decimal(0),
        ChargeClass="Correction",
    )
    shifted = _row(
        pd.Timestamp("2026-09-30", tz="UTC"),
        "AWS",
        "100000000011",
        "Amazon Virtual Private Cloud",
        "Networking",
        "Late data transfer of September",
        Decimal("512.75"),
        Decimal("512.75"),
        Decimal("512.75"),
    )
    shifted["BillingPeriodStart"] = pd.Timestamp("2026-10-01", tz="UTC")
    return [*rows, late, shifted]


def _row(
    day: pd.Timestamp, provider: str, account: str, service: str, category: str, description: str,
    billed: Decimal, effective: Decimal, listed: Decimal, **more: object,
) -> dict[str, object]:  # fmt: skip
    usage = {
        "BillingPeriodStart": day.replace(day=1),
        "ChargePeriodStart": day,
        "ChargePeriodEnd": day + pd.Timedelta(days=1),
        "ProviderName": provider,
        "BillingAccountId": "example-harbour",
        "SubAccountId": account or None,
        "ServiceCategory": category,
        "ServiceName": service,
        "ChargeDescription": description,
        "ChargeCategory": "Usage",
        "PricingCategory": "Standard",
        "BillingCurrency": "USD",
        "BilledCost": billed,
        "EffectiveCost": effective,
        "ListCost": listed,
        "ContractedCost": effective,
        "ResourceId": "",
    }
    return {name: (None if value == "" else value) for name, value in {**usage, **more}.items()}


def benchmarks(seed: int) -> pd.DataFrame:
    """Table `benchmarks`: curves of the invented performance model, with two bad runs among them."""
    parts = []
    runs = [(name, accelerator) for name, case in USE_CASES.items() for accelerator in case.benchmarked]
    for number, (name, accelerator) in enumerate(runs):
        for repeat in (1, 2):
            parts.append(_curve(name, accelerator, repeat, spawn(seed, 6, number, repeat)))
    frame = pd.concat([*parts, _truncated(parts[0]), _failing(parts[0])], ignore_index=True)
    source = f"invented for the sample company, generator seed {seed}"
    return conform(frame.assign(source=source, as_of=pd.Timestamp(AS_OF), confidence="assumed"), "benchmarks")


#: Accelerators that hold one copy of the larger models in 16 bits; one is enough for the others.
REPLICAS = {"support-chat": 4, "claims-assistant": 4, "dev-copilot": 8, "procurement-agent": 8}


def _curve(name: str, accelerator: str, repeat: int, random: np.random.Generator) -> pd.DataFrame:
    case = USE_CASES[name]
    count = (
        1 if accelerator in {"nvidia-l4", "nvidia-l40s", "nvidia-jetson-agx-orin"} else 4 if "tpu" in accelerator else 8
    )
    load = np.array([1.0]) if case.job_hours else np.asarray(LOADS)
    top = peak(name, accelerator) * count * random.normal(1, 0.015)
    units = top * load * random.normal(1, 0.006, len(load))
    stretch = 1 + 0.6 * load**2 / (1.02 - load)
    slow = (1.0 / SPEED[accelerator][0]) ** 0.05
    noise = random.normal(1, 0.02, len(load))
    duration = 7200.0 if case.job_hours else 600.0
    requests = np.maximum((units / case.units_per_request * duration).round(), 8).astype(int)
    errors = (requests * case.failure_rate * 0.1 * load).astype(int)
    frame = pd.DataFrame({"point": range(1, len(load) + 1), "requests": requests, "errors": errors})
    frame["units_per_s"] = units
    for column, limit, share, tail in zip(
        ("ttft", "tpot", "e2e"), case.slo_ms, (0.28, 0.5, 0.3), (1.9, 1.25, 1.9), strict=True
    ):
        if limit:
            median = limit * share * slow * (stretch if column != "tpot" else stretch**0.5) * noise
            frame[f"p50_{column}_ms"], frame[f"p95_{column}_ms"] = median, median * tail
            frame[f"p99_{column}_ms"] = median * tail * 1.35
    if case.slo_ms[2]:
        frame["concurrency"] = units / case.units_per_request * frame["p50_e2e_ms"] / 1000
    if case.input_tokens:
        frame["input_tokens_mean"] = lognormal_mean(*case.input_tokens) * random.normal(1, 0.01)
    if case.output_tokens:
        frame["output_tokens_mean"] = lognormal_mean(*case.output_tokens) * random.normal(1, 0.01)
        frame["output_tokens_per_s"] = units / case.units_per_request * frame["output_tokens_mean"]
        frame["tokens_source"] = "server_usage"
    frame["traffic_share"] = load / PROJECTED_LOAD if not case.job_hours else np.nan
    watts = SPEED[accelerator][2] * count * (0.25 + 0.5 * load)
    frame["power_w"] = watts if not accelerator.startswith(("google", "aws")) else np.nan
    frame = frame.assign(
        benchmark_id=f"{name}--{accelerator}--r{repeat}", use_case_id=name, accelerator_id=accelerator, accelerators=count,
        replica_accelerators=min(count, REPLICAS.get(name, 1)) if case.model else None, model=case.model or None, precision="bf16", engine="vllm" if case.output_tokens else "pytorch",
        engine_version="0.14", tool="own runner", repeat=repeat, retries=0, duration_s=duration,
        peak_memory_gb=None, warm_start_s=round(float(random.uniform(60, 240)) * slow, 1),
    )  # fmt: skip
    rounded = frame.select_dtypes("float").columns
    return frame.assign(**{column: frame[column].map(lambda x: float(f"{x:.6g}")) for column in rounded})


def _truncated(curve: pd.DataFrame) -> pd.DataFrame:
    """A run whose streams were cut short: tokens were requested, never received."""
    lost = {
        "benchmark_id": "support-chat--nvidia-h100-sxm--cut",
        "tokens_source": "requested",
        "p50_tpot_ms": 0.0,
        "p95_tpot_ms": 0.0,
        "p99_tpot_ms": 0.0,
    }
    return curve.assign(
        **lost, units_per_s=curve["units_per_s"] * 2.9, output_tokens_per_s=curve["output_tokens_per_s"] * 2.9, repeat=3
    )


def _failing(curve: pd.DataFrame) -> pd.DataFrame:
    """A run in which one request of eight failed."""
    return curve.assign(benchmark_id="support-chat--nvidia-h100-sxm--errors", errors=curve["requests"] // 8, repeat=4)
