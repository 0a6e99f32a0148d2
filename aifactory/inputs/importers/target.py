"""Where imported rows belong that do not say it themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Target:
    """Where rows belong that do not say it themselves, and the names that files use."""

    use_case: str = ""
    region: str = ""
    first_day: str = ""
    accelerator: str = ""
    today: pd.Timestamp | None = None
    columns: dict[str, str] = field(default_factory=dict)
    use_cases: dict[str, str] = field(default_factory=dict)
    mapping: Path | None = None  # mapping of a spreadsheet of use cases, or of result files
    period: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    pools: dict[str, str] = field(default_factory=dict)
    regions: dict[str, str] = field(default_factory=dict)
    accelerators: dict[str, str] = field(default_factory=dict)
    purchase_options: dict[str, str] = field(default_factory=dict)
    engine: str = ""  # where a request log lies, as Ibis names it
    zone: str = ""  # time zone of times that name none; UTC by default
    facts: dict[str, str] = field(default_factory=dict)  # of a benchmark, by name
