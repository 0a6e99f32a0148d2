"""Statistics of the shared traces that the generator must reproduce, by workload class."""

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from aifactory.demand.request_acceptance import arrival_statistics, client_share, hour_profile, size_statistics

#: Stream of each class that stands for its trace, days, and requests a day at the rate of the trace.
SCALE = {
    "real_time_inference": ("support-chat/us-east", 3, 480_000),
    "agentic_orchestration": ("dev-copilot/us-east", 5, 34_000),
    "multimodal_media": ("product-images/us-east", 112, 980),
    "batch_training": ("demand-model", 273, 1_290),
    "parameter_efficient_fine_tuning": ("support-tuning", 28, 2_000),
    "edge_on_device": ("quay-vision/eu-west", 2, 100_000),
}


def seconds(times):
    return ((times - times.min()) / pd.Timedelta(seconds=1)).to_numpy(dtype=float)


def real_time(folder):
    """Tokens, minutes of Azure; hours and clients of ServeGen m-small; prefix hits of Mooncake."""
    rows = pd.read_csv(folder / "azure_llm_2023_conv.csv.gz")
    moments = seconds(pd.to_datetime(rows["TIMESTAMP"].str[:26]))
    rates = pd.read_parquet(folder / "servegen_language_client_rates_day00_09.parquet")
    rates = rates[rates["model"] == "m-small"]
    by_client = rates.groupby("client_id")["rate_rps"].sum().sort_values(ascending=False)
    blocks = pd.read_json(folder / "mooncake_fast25_conversation_first70pct.jsonl.gz", lines=True)["hash_ids"]
    seen, hits, total = set(), 0, 0
    for ids in blocks:
        hits, total = hits + sum(number in seen for number in ids), total + len(ids)
        seen.update(ids)
    found = size_statistics("input_tokens", rows["ContextTokens"]) | size_statistics(
        "output_tokens", rows["GeneratedTokens"]
    )
    return found | arrival_statistics(moments, (1, 60)) | {
        "input_output_rho": abs(float(spearmanr(rows["ContextTokens"], rows["GeneratedTokens"]).statistic)),
        "top_tenth_clients": float(by_client.iloc[: len(by_client) // 10].sum() / by_client.sum()),
        "hour_profile": hour_profile(rates["window_start_s"] // 3600 % 24, rates["rate_rps"]),
        "cached_share": hits / total,
        "failure_share": 0.018,  # zero-response rows of BurstGPT v1, README of HPMLL/BurstGPT at e92f533
    }  # fmt: skip


def agentic(folder):
    rows = pd.read_parquet(folder / "agentic_coding_requests.parquet")
    sessions = rows.groupby("session").size()
    return size_statistics("input_tokens", rows["in"].dropna()) | size_statistics("output_tokens", rows["out"].dropna()) | {
        "input_output_rho": abs(float(rows["in"].corr(rows["out"], method="spearman"))),
        "cached_share": float(rows["prefix_hit_blocks"].sum() / rows["n_hash_blocks"].sum()),
        **{f"requests_per_session_p{level}": float(sessions.quantile(level / 100)) for level in (50, 90)},
    }  # fmt: skip


def images(folder):
    rows = pd.read_csv(folder / "gentd26_lora_request_trace_2024-11-15_12-01.csv.gz")
    times = pd.to_datetime(rows["gmt_create"])
    return size_statistics("service_units", rows["num_images_per_prompt"].dropna()) | arrival_statistics(seconds(times)) | {
        "top_tenth_clients": client_share(rows["groupId"].dropna()),
        "hour_profile": hour_profile(times.dt.hour),
        "failure_share": float((rows["predict_status"] == "FAILED").mean()),
    }  # fmt: skip


def jobs(folder):
    rows = pd.read_csv(folder / "philly_jobs_2017-09-04_11-12.csv.gz")
    times = pd.to_datetime(rows["timestamp"])
    rows = rows[times >= times.max() - pd.Timedelta(days=42)]
    times = times[rows.index]
    return size_statistics("service_units", rows["gpu_time"] / 3600) | arrival_statistics(seconds(times)) | {
        "top_tenth_clients": client_share(rows["cluster"]),
        "hour_profile": hour_profile(times.dt.hour),
    }  # fmt: skip


def tuning(folder):
    rows = pd.read_csv(folder / "alibaba_gpu2023_pods_first70pct.csv.gz")
    hours = 0.742 * (rows["deletion_time"] - rows["creation_time"]) / 3600
    return {
        f"service_units_p{level}": float(hours.quantile(level / 100)) for level in (50, 95, 99)
    } | {"failure_share": float((rows["pod_phase"] == "Failed").mean())}  # fmt: skip


def edge(folder):
    table = pd.read_csv(folder / "statistics.csv")
    small = table[table["trace"] == "servegen_m-small"].set_index("metric")["value"]
    return {
        **{f"{size}_{level}": small[f"{size}_{level}"] for size in ("input_tokens", "output_tokens") for level in ("p50", "p95", "p99")},
        **{f"{size}_top_{part}": small[f"{size}_share_in_top_{part}_requests"] for size in ("input_tokens", "output_tokens") for part in ("1pct", "10pct")},
        "interarrival_cv": 1.0,  # assumption of class_parameters.csv: independent devices
    }  # fmt: skip


TRACES = {
    "real_time_inference": real_time, "agentic_orchestration": agentic, "multimodal_media": images, "batch_training": jobs,
    "parameter_efficient_fine_tuning": tuning, "edge_on_device": edge,
}  # fmt: skip


def typical_hour(rows):
    """Statistics of the arrivals in an hour, the median over the hours: as of a trace of one hour."""
    since = (rows["timestamp_utc"] - rows["timestamp_utc"].min()) / pd.Timedelta(seconds=1)
    hours = [
        arrival_statistics(part.to_numpy(), (1, 60)) for _, part in since.groupby(since // 3600) if len(part) > 1000
    ]
    return {name: float(np.median([hour[name] for hour in hours])) for name in hours[0]}
