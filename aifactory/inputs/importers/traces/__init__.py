"""Public traces of requests, demand and jobs, into the tables of a workspace or as arrivals for a replay."""

from aifactory.inputs.importers.traces.common import whole_weeks
from aifactory.inputs.importers.traces.formats import FORMATS, detect_trace
from aifactory.inputs.importers.traces.read import (
    import_trace,
    read_agentic_coding,
    read_azure_llm,
    read_gentd26,
    read_philly,
    read_request_trace,
)

__all__ = [
    "FORMATS",
    "detect_trace",
    "import_trace",
    "read_agentic_coding",
    "read_azure_llm",
    "read_gentd26",
    "read_philly",
    "read_request_trace",
    "whole_weeks",
]
