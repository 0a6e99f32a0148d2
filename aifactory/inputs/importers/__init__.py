"""Readers of files as others write them, into the tables of a workspace.

Each reader checks the columns it needs as strictly as a workspace's own table and returns a frame
in the columns of a contract; `write_table` puts it into a workspace.
"""

from aifactory.inputs.importers.bills import Bill, bill_report, read_bill
from aifactory.inputs.importers.facts import read_cloud_prices, read_commitment_prices, read_public_performance
from aifactory.inputs.importers.traces import (
    read_agentic_coding,
    read_azure_llm,
    read_gentd26,
    read_philly,
    read_request_trace,
    whole_weeks,
)

__all__ = [
    "Bill",
    "bill_report",
    "read_agentic_coding",
    "read_azure_llm",
    "read_bill",
    "read_cloud_prices",
    "read_commitment_prices",
    "read_gentd26",
    "read_philly",
    "read_public_performance",
    "read_request_trace",
    "whole_weeks",
]
