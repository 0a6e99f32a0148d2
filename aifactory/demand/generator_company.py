"""The invented company: who runs what, on which accelerators. All figures here are invented.

Shapes (token lengths, tails, day and week profiles, failure shares) follow the measured class
parameters quoted beside them; see `data/sample/README.md` for their sources.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FIRST_MONTH, LAST_MONTH = "2025-10", "2026-10"
OUTAGE = ("support-chat", "eu-west", "2026-08-19T09", "2026-08-19T15")
#: Use case, month and factor from which its prompts are longer: a policy text in front of each.
DRIFT = ("claims-assistant", "2026-10", 1.45)
#: Tenants of a use case and the exponent of their Zipf shares; about 70 % of requests from the top tenth.
TENANTS = {
    "support-chat": (60, 1.3),
    "semantic-search": (40, 1.3),
    "dev-copilot": (120, 0.9),
    "claims-assistant": (12, 0.7),
}
REGIONS = {"us-east": -5, "eu-west": 1, "ap-southeast": 8}  # hours from UTC
AS_OF = "2026-10-31"


@dataclass(frozen=True)
class UseCase:
    """One use case of the sample: catalogue entry, demand, sizes, latency."""

    name: str
    workload_class: str
    business_unit: str
    team: str
    owner_role: str
    model: str
    service_unit: str
    request_pattern: str
    criticality: str
    stage: str
    units_per_hour: dict[str, float]
    growth: float
    value_usd: float | None
    attribution: float
    stability: str = "changing"
    allowed: str = ""
    units_per_request: float = 1.0
    #: median and 99th percentile of tokens per request
    input_tokens: tuple[float, float] | None = None
    output_tokens: tuple[float, float] | None = None
    cached_share: float = 0.0
    failure_rate: float = 0.02
    weekend: float = 0.66
    day_swing: float = 0.45
    hour_cv: float = 0.12
    #: limits: p95 time to first token, per token, end to end, in ms
    slo_ms: tuple[float | None, float | None, float | None] = (None, None, None)
    #: hours in which 95 of 100 jobs must start
    wait_hours: float | None = None
    launch: str = ""
    retire: str = ""
    #: highest units per second of one A100-80 SXM, of the invented performance model
    a100_units_per_s: float = 0.0
    benchmarked: tuple[str, ...] = ()
    job_hours: float = 0.0
    job_duration_s: tuple[float, float] = field(default=(1402.0, 12080.0))  # median, mean


TRAIN = {"service_unit": "accelerator_hour", "request_pattern": "scheduled", "units_per_hour": {}, "model": ""}
CHAT_TOKENS = {"input_tokens": (1020, 4142), "output_tokens": (129, 601), "cached_share": 0.35}
USE_CASES: dict[str, UseCase] = {
    "support-chat": UseCase(
        "Customer support chat", "real_time_inference", "retail", "cx", "head of customer service",
        "Llama-3.1-70B / 3.3-70B", "request", "interactive", "customer_facing", "production",
        {"us-east": 92_000, "eu-west": 62_000, "ap-southeast": 34_000}, 0.035, 0.0044, 0.6, "stable",
        **CHAT_TOKENS, slo_ms=(1000, 60, 20_000), a100_units_per_s=1.3,
        benchmarked=("nvidia-h100-sxm", "nvidia-a100-80-sxm", "google-tpu-v6e", "nvidia-h200-sxm"),
    ),
    "claims-assistant": UseCase(
        "Claims assistant", "real_time_inference", "finance", "risk", "head of claims",
        "Qwen3-32B", "request", "interactive", "critical", "production",
        {"eu-west": 17_000}, 0.02, 0.011, 0.5, "stable", "eu-west",
        input_tokens=(2200, 9_800), output_tokens=(240, 1_150), cached_share=0.3,
        slo_ms=(1500, 70, 30_000), a100_units_per_s=1.6,
        benchmarked=("nvidia-h100-sxm", "nvidia-a100-80-sxm", "aws-trainium1"),
    ),
    "doc-summary": UseCase(
        "Document summaries", "real_time_inference", "technology", "platform", "head of workplace technology",
        "Llama-3.1-8B", "request", "batch", "internal", "production",
        {"us-east": 17_000, "eu-west": 14_500}, 0.01, 0.0042, 0.4,
        input_tokens=(7184, 89_870), output_tokens=(355, 1_169), cached_share=0.1, weekend=0.4,
        slo_ms=(4000, 80, 60_000), a100_units_per_s=2.0,
        benchmarked=("nvidia-a100-80-sxm", "nvidia-l40s", "aws-inferentia2"),
    ),
    "semantic-search": UseCase(
        "Semantic search", "real_time_inference", "retail", "media", "head of digital shop",
        "BGE-M3", "request", "interactive", "customer_facing", "production",
        {"us-east": 820_000, "eu-west": 760_000, "ap-southeast": 390_000}, 0.015, 0.00002, 1.0, "stable",
        input_tokens=(40, 620), failure_rate=0.004, day_swing=0.4, slo_ms=(None, None, 150),
        a100_units_per_s=350.0, benchmarked=("nvidia-l4", "nvidia-a100-80-sxm", "aws-inferentia2"),
    ),
    "dev-copilot": UseCase(
        "Developer copilot", "agentic_orchestration", "technology", "platform", "head of engineering",
        "gpt-oss-120b", "session", "interactive", "internal", "production",
        {"us-east": 120, "eu-west": 125}, 0.07, 2.2, 0.5, "volatile",
        units_per_request=1 / 68.6, input_tokens=(105_100, 527_400), output_tokens=(220, 3_648), cached_share=0.96,
        failure_rate=0.025, weekend=0.2, day_swing=0.8, slo_ms=(6000, 60, 90_000), a100_units_per_s=0.006,
        benchmarked=("nvidia-h100-sxm", "nvidia-h200-sxm", "nvidia-a100-80-sxm"),
    ),
    "procurement-agent": UseCase(
        "Procurement agent", "agentic_orchestration", "operations", "logistics", "head of procurement",
        "gpt-oss-120b", "session", "event_driven", "internal", "production",
        {"us-east": 52}, 0.05, 1.5, 0.5, "volatile",
        units_per_request=1 / 40, input_tokens=(60_000, 410_000), output_tokens=(260, 3_000), cached_share=0.9,
        failure_rate=0.04, weekend=0.25, day_swing=0.7, slo_ms=(8000, 80, 120_000), launch="2026-05",
        a100_units_per_s=0.009, benchmarked=("nvidia-h100-sxm", "nvidia-a100-80-sxm"),
    ),
    "product-images": UseCase(
        "Product images", "multimodal_media", "retail", "media", "head of brand",
        "SDXL-base-1.0", "image", "batch", "internal", "production",
        {"us-east": 4_300, "eu-west": 4_200}, 0.03, 0.013, 0.5,
        units_per_request=2.66, failure_rate=0.016, hour_cv=0.9, slo_ms=(None, None, 60_000),
        a100_units_per_s=0.6, benchmarked=("nvidia-l40s", "nvidia-h100-sxm", "nvidia-a100-80-sxm"),
    ),
    "call-transcription": UseCase(
        "Call transcription", "multimodal_media", "retail", "cx", "head of customer service",
        "Whisper-large-v3", "audio_minute", "batch", "customer_facing", "production",
        {"us-east": 9_000, "eu-west": 6_200, "ap-southeast": 2_900}, 0.01, 0.0026, 0.7, "stable",
        units_per_request=4.5, failure_rate=0.01, slo_ms=(None, None, 120_000), a100_units_per_s=2.5,
        benchmarked=("nvidia-l4", "nvidia-l40s", "aws-inferentia2"),
    ),
    "demand-model": UseCase(
        "Freight demand models", "batch_training", "operations", "logistics", "head of planning",
        criticality="internal", stage="production", growth=0.01, value_usd=5.5, attribution=0.6, failure_rate=0.1,
        job_hours=8_200, a100_units_per_s=1 / 3600, wait_hours=24.0,
        benchmarked=("nvidia-a100-80-sxm", "nvidia-h100-sxm", "aws-trainium1", "google-tpu-v6e"), **TRAIN,
    ),
    "fraud-model": UseCase(
        "Fraud models", "batch_training", "finance", "risk", "head of fraud prevention",
        criticality="critical", stage="production", growth=0.0, value_usd=7.0, attribution=0.6, allowed="eu-west",
        failure_rate=0.1, job_hours=2_600, a100_units_per_s=1 / 3600,
        benchmarked=("nvidia-a100-80-sxm", "nvidia-h100-sxm"), **TRAIN,
    ),
    "brand-tuning": UseCase(
        "Brand style tuning", "parameter_efficient_fine_tuning", "retail", "media", "head of brand",
        criticality="experimental", stage="pilot", growth=0.04, value_usd=1.2, attribution=0.4, failure_rate=0.25,
        job_hours=420, job_duration_s=(612.0, 5_400.0), a100_units_per_s=1 / 3600,
        benchmarked=("nvidia-a100-80-sxm", "nvidia-l40s"), **TRAIN,
    ),
    "support-tuning": UseCase(
        "Support answer tuning", "parameter_efficient_fine_tuning", "retail", "cx", "head of customer service",
        criticality="internal", stage="production", growth=0.02, value_usd=6.0, attribution=0.5, failure_rate=0.25,
        job_hours=510, job_duration_s=(612.0, 5_400.0), a100_units_per_s=1 / 3600,
        benchmarked=("nvidia-a100-80-sxm", "nvidia-h100-sxm"), **TRAIN,
    ),
    "quay-vision": UseCase(
        "Quay safety cameras", "edge_on_device", "operations", "logistics", "head of terminals",
        "ResNet-50", "inference", "event_driven", "critical", "production",
        {"eu-west": 7_400_000, "ap-southeast": 4_300_000}, 0.005, 0.000008, 1.0, "stable",
        failure_rate=0.002, weekend=0.9, day_swing=0.25, hour_cv=0.05, slo_ms=(None, None, 120),
        a100_units_per_s=2_000.0, benchmarked=("nvidia-jetson-agx-orin",),
    ),
    "faq-bot": UseCase(
        "Old FAQ bot", "real_time_inference", "retail", "cx", "head of customer service",
        "Llama-3.1-8B", "request", "interactive", "internal", "retiring",
        {"us-east": 6_000}, -0.06, 0.0004, 0.3, retire="2027-04",
        input_tokens=(300, 1_400), output_tokens=(90, 400), cached_share=0.2, slo_ms=(1000, 60, 15_000),
        a100_units_per_s=14.0, benchmarked=("nvidia-h100-sxm", "nvidia-a100-80-sxm", "nvidia-l4"),
    ),
    "voice-agent": UseCase(
        "Voice agent for bookings", "agentic_orchestration", "retail", "cx", "head of customer service",
        "", "session", "interactive", "customer_facing", "idea",
        {}, 0.0, None, 0.5, "volatile", slo_ms=(700, None, None), launch="2027-03",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Pool:
    """An accelerator pool: what it is, what it runs, what an accelerator-hour costs."""

    region: str
    accelerator_id: str
    installed: int
    option: str
    use_cases: tuple[str, ...]
    usd_per_hour: float
    provider: str
    sku: str
    account: str
    label: str = ""
    share: float = 1.0


POOLS: dict[str, Pool] = {
    "us-chat-h100": Pool("us-east", "nvidia-h100-sxm", 24, "reserved_1y", ("support-chat", "faq-bot"), 4.95, "AWS", "p5.48xlarge", "100000000011"),
    "us-agents-h100": Pool("us-east", "nvidia-h100-sxm", 8, "on_demand", ("dev-copilot", "procurement-agent"), 6.88, "AWS", "p5.48xlarge", "100000000011"),
    "eu-chat-h100": Pool("eu-west", "nvidia-h100-sxm", 16, "reserved_1y", ("support-chat",), 5.40, "AWS", "p5.48xlarge", "100000000012"),
    "eu-mixed-h100": Pool("eu-west", "nvidia-h100-sxm", 8, "on_demand", ("dev-copilot",), 7.60, "AWS", "p5.48xlarge", "100000000012"),
    "eu-claims-a100": Pool("eu-west", "nvidia-a100-80-sxm", 8, "on_demand", ("claims-assistant",), 3.77, "AWS", "p4de.24xlarge", "100000000012"),
    "eu-docs-a100": Pool("eu-west", "nvidia-a100-80-sxm", 8, "on_demand", ("doc-summary",), 3.77, "AWS", "p4de.24xlarge", "100000000013"),
    "ap-chat-h100": Pool("ap-southeast", "nvidia-h100-sxm", 8, "on_demand", ("support-chat",), 8.10, "Azure", "Standard_ND96isr_H100_v5", "sub-ap-01"),
    "us-docs-a100": Pool("us-east", "nvidia-a100-80-sxm", 8, "on_demand", ("doc-summary",), 3.43, "AWS", "p4de.24xlarge", "100000000013"),
    "us-search-l4": Pool("us-east", "nvidia-l4", 8, "on_demand", ("semantic-search",), 1.15, "AWS", "g6.12xlarge", "100000000011"),
    "eu-search-l4": Pool("eu-west", "nvidia-l4", 8, "on_demand", ("semantic-search",), 1.28, "AWS", "g6.12xlarge", "100000000012"),
    "ap-search-l4": Pool("ap-southeast", "nvidia-l4", 4, "on_demand", ("semantic-search",), 1.32, "AWS", "g6.12xlarge", "100000000012"),
    "us-media-l4": Pool("us-east", "nvidia-l40s", 8, "on_demand", ("product-images",), 2.62, "AWS", "g6e.12xlarge", "100000000014", label="nvidia-l4"),
    "eu-media-l40s": Pool("eu-west", "nvidia-l40s", 8, "spot", ("product-images",), 1.31, "AWS", "g6e.12xlarge", "100000000014"),
    "us-audio-l4": Pool("us-east", "nvidia-l4", 12, "on_demand", ("call-transcription",), 1.15, "AWS", "g6.12xlarge", "100000000011"),
    "eu-audio-l4": Pool("eu-west", "nvidia-l4", 8, "on_demand", ("call-transcription",), 1.28, "AWS", "g6.12xlarge", "100000000012"),
    "ap-audio-l4": Pool("ap-southeast", "nvidia-l4", 4, "on_demand", ("call-transcription",), 1.32, "AWS", "g6.12xlarge", "100000000012"),
    "us-train-a100": Pool("us-east", "nvidia-a100-80-sxm", 24, "reserved_1y", ("demand-model", "brand-tuning", "support-tuning"), 2.45, "AWS", "p4de.24xlarge", "100000000015"),
    "us-train-trn1": Pool("us-east", "aws-trainium1", 16, "on_demand", ("demand-model",), 1.34, "AWS", "trn1.32xlarge", "100000000015", share=0.08),
    "eu-train-a100": Pool("eu-west", "nvidia-a100-80-sxm", 8, "spot", ("fraud-model",), 1.95, "AWS", "p4de.24xlarge", "100000000016"),
    "us-chat-tpu": Pool("us-east", "google-tpu-v6e", 4, "on_demand", ("support-chat",), 2.70, "GCP", "ct6e-standard-4t", "proj-ai-pilot", share=0.02),
    "eu-quay-orin": Pool("eu-west", "nvidia-jetson-agx-orin", 40, "purchase", ("quay-vision",), 0.09, "Terminal IT", "edge device", "edge-eu"),
    "ap-quay-orin": Pool("ap-southeast", "nvidia-jetson-agx-orin", 24, "purchase", ("quay-vision",), 0.09, "Terminal IT", "edge device", "edge-ap"),
}  # fmt: skip

#: accelerator -> (speed on memory-bound work, speed on compute-bound work, design power in W)
#: relative to one A100-80 SXM; from catalogue bandwidth and dense BF16 peaks, software factor included
SPEED: dict[str, tuple[float, float, float]] = {
    "nvidia-a100-80-sxm": (1.0, 1.0, 400),
    "nvidia-h100-sxm": (1.95, 2.55, 700),
    "nvidia-h200-sxm": (2.55, 2.65, 700),
    "nvidia-l40s": (0.45, 0.85, 350),
    "nvidia-l4": (0.17, 0.33, 72),
    "google-tpu-v6e": (0.70, 2.05, 300),
    "aws-trainium1": (0.33, 0.42, 210),
    "aws-inferentia2": (0.33, 0.40, 190),
    "nvidia-jetson-agx-orin": (0.045, 0.060, 60),
}
MEMORY_BOUND = {"real_time_inference", "agentic_orchestration"}


def peak_units_per_s(use_case: str, accelerator_id: str) -> float:
    """Highest units per second of one accelerator in the invented performance model."""
    entry = USE_CASES[use_case]
    memory, compute, _ = SPEED[accelerator_id]
    speed = memory**0.7 * compute**0.3 if entry.workload_class in MEMORY_BOUND else memory**0.25 * compute**0.75
    return entry.a100_units_per_s * speed
