"""Bills of any provider: the format is known by the header, never by the name of the file."""

from aifactory.inputs.importers.bills.read import Bill, detect, read_bill
from aifactory.inputs.importers.bills.report import bill_report

__all__ = ["Bill", "bill_report", "detect", "read_bill"]
