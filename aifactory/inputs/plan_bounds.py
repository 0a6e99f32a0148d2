"""What a number of `plan.yaml` can be: beyond it lies a slip of units, and sums that no report can hold.

The limits are far from what any organisation states (a thousand times the sample's figures and more), so that they
refuse nothing that is meant.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1)]
#: Money of a month or a year, and of one unit, hour or kilowatt-hour.
Usd = Annotated[float, Field(ge=0, le=1e13)]
UsdPerMonth = Annotated[float, Field(ge=0, le=1e10)]
UsdEach = Annotated[float, Field(ge=0, le=1e6)]
UsdPerKwh = Annotated[float, Field(gt=0, le=100)]
GramsPerKwh = Annotated[float, Field(ge=0, le=10_000)]
Kilowatts = Annotated[float, Field(gt=0, le=1e8)]
Servers = Annotated[float, Field(ge=0, le=1e9)]
Accelerators = Annotated[float, Field(ge=0, le=1e7)]
Milliseconds = Annotated[float, Field(ge=0, le=60_000)]
Months = Annotated[float, Field(ge=0, le=120)]
PersonMonths = Annotated[float, Field(ge=0, le=10_000)]
Reserve = Annotated[float, Field(ge=0, le=10)]
Multiple = Annotated[float, Field(ge=0, le=1000)]
PerYear = Annotated[float, Field(ge=0, le=366)]
Days = Annotated[int, Field(ge=1, le=36_600)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

#: Largest assumption by its unit; those that begin with "fraction" lie between 0 and 1.
MOST_BY_UNIT = {
    "USD/month": 1e10, "USD/kW-month": 1e5, "USD/GB": 1e3, "USD/GB-month": 1e3, "GB": 1e6, "bytes": 1e6,
    "accelerators": 1e6, "hours": 1e5, "weeks": 260.0, "months": 60.0, "person-months": 1e4, "ratio": 10.0,
    "ratio to the retired price": 100.0,
}  # fmt: skip
#: Largest assumption in any other unit.
MOST = 1e12


def bounds(unit: str) -> tuple[float, float]:
    """What an assumption in that unit can be: a percentage typed as a fraction is refused.

    >>> bounds("fraction/year"), bounds("ratio"), bounds("weeks")
    ((0.0, 1.0), (1.0, 10.0), (0.0, 260.0))
    """
    if unit.startswith("fraction"):
        return 0.0, 1.0
    return 1.0 if unit == "ratio" else 0.0, MOST_BY_UNIT.get(unit, MOST)
