"""Colours and chart style. The palette is Okabe and Ito's, which stays apart under colour blindness.

Reference: M. Okabe and K. Ito, Color Universal Design (2008).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY, BLACK, BROWN = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#6b7785",
    "#1c2733",
    "#7f4f24",
)
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY, BLACK, BROWN)
INK, MUTED, LINE = "#1c2733", "#52606d", "#d9e0e7"
SEQUENTIAL = ("#eef4f9", "#0b3c5d")

#: Names that have the same colour in every report.
FIXED_COLOURS = {
    "baseline": BLUE,
    "growth": SKY,
    "surge": ORANGE,
    "conservative": GREY,
    "expected": BLUE,
    "aggressive": ORANGE,
    "measured": BLUE,
    "anchored": SKY,
    "own telemetry": GREEN,
    "step model": ORANGE,
    "choose": GREEN,
    "pilot": SKY,
    "reject": GREY,
    "stable": GREEN,
    "watch": ORANGE,
    "shifted": RED,
    "not proven": SKY,
    "not measured": GREY,
    "increase": RED,
    "decrease": GREEN,
    "total": BLUE,
    "other": GREY,
}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": FONT,
    "view": {"stroke": None, "continuousWidth": 720, "continuousHeight": 280},
    "axis": {
        "labelColor": MUTED,
        "labelFontSize": 12,
        "titleColor": MUTED,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "domainColor": LINE,
        "tickColor": LINE,
        "gridColor": "#edf1f5",
        "labelLimit": 240,
        "titlePadding": 8,
    },
    "axisQuantitative": {"domain": False, "ticks": False, "tickCount": 5},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 220,
        "offset": 18,
        "symbolOpacity": 1,
        "columns": 5,
        "symbolType": "square",
    },
    "title": {"anchor": "start", "color": INK, "fontSize": 15, "fontWeight": 600, "offset": 12},
    "text": {"color": INK, "fontSize": 12},
    "bar": {"color": BLUE},
    "line": {"color": BLUE, "strokeWidth": 2},
    "point": {"color": BLUE, "filled": True, "size": 60},
    "rule": {"color": MUTED},
    "range": {"category": list(PALETTE)},
}


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Colour of each name, in the order given: its fixed one, else the next of the palette.

    >>> colours_of(["surge", "a", "b"])
    {'surge': '#e69f00', 'a': '#0072b2', 'b': '#009e73'}
    """
    names = list(dict.fromkeys(names))
    taken = {FIXED_COLOURS[name] for name in names if name in FIXED_COLOURS}
    free = [colour for colour in PALETTE if colour not in taken] or list(PALETTE)
    chosen: dict[str, str] = {}
    others = 0
    for name in names:
        if name in FIXED_COLOURS:
            chosen[name] = FIXED_COLOURS[name]
        else:
            chosen[name] = free[others % len(free)]
            others += 1
    return chosen
