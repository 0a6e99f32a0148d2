"""Stage 2, days 31-60: which accelerators meet the SLO on the buyer's own prompts, at what cost."""

from aifactory.benchmark.build import Benchmark, build_benchmark

__all__ = ["Benchmark", "build_benchmark"]
