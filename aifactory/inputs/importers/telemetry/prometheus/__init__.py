"""Prometheus: a folder of its answers or the live server, as demand windows, pools and quantile intervals."""

from aifactory.inputs.importers.telemetry.prometheus.aliases import metric_table
from aifactory.inputs.importers.telemetry.prometheus.answers import read_answer
from aifactory.inputs.importers.telemetry.prometheus.counters import bucket_interval, counter_increase, window_counts
from aifactory.inputs.importers.telemetry.prometheus.pools import PoolNames
from aifactory.inputs.importers.telemetry.prometheus.read import read_month, read_server
from aifactory.inputs.importers.telemetry.prometheus.server import is_address

__all__ = [
    "PoolNames",
    "bucket_interval",
    "counter_increase",
    "is_address",
    "metric_table",
    "read_answer",
    "read_month",
    "read_server",
    "window_counts",
]
