"""Telemetry of serving as request rows: logs, proxy tables, traces of spans. Prompts are never kept."""

from aifactory.inputs.importers.telemetry.common import Telemetry, telemetry_report
from aifactory.inputs.importers.telemetry.read import import_telemetry, read_telemetry

__all__ = ["Telemetry", "import_telemetry", "read_telemetry", "telemetry_report"]
