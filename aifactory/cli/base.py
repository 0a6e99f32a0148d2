"""Consoles, exit codes and the date of today."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime

from rich.console import Console

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2
LOG_WIDTH = 120
console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
errors = Console(stderr=True, highlight=False)


def today() -> date:
    """Today in UTC; `SOURCE_DATE_EPOCH` (seconds since 1970), where it is set, stands in for the clock."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)
    return moment.date()
