"""Consoles and exit codes."""

from __future__ import annotations

import sys

from rich.console import Console

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2
LOG_WIDTH = 120
console = Console(highlight=False, width=None if sys.stdout.isatty() else LOG_WIDTH)
errors = Console(stderr=True, highlight=False)
