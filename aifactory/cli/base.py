"""Consoles, exit codes and the date of today."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime

from rich.console import Console

from aifactory.errors import InputError

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2
LOG_WIDTH = 120
console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
errors = Console(stderr=True, highlight=False)


def today() -> date:
    """Today in UTC; `SOURCE_DATE_EPOCH` (seconds since 1970), where it is set, stands in for the clock."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return (datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)).date()
    except (ValueError, OverflowError, OSError):
        rule = "must be whole seconds since 1970, such as 1793685600, or not be set"
        raise InputError.at("SOURCE_DATE_EPOCH", rule, value=epoch[:40]) from None
