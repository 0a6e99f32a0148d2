"""Parts of charts: the gate for their data, and channels in the house style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from aifactory.errors import AIFactoryError
from aifactory.report import theme
from aifactory.report.quick import quick_imports
from aifactory.report.spec import HELPER
from aifactory.report.text import readable

quick_imports()

import altair as alt  # noqa: E402

MAX_ROWS = 500
WIDTH = 720
#: Mean width of a character of an axis label.
CHARACTER_PX = 6.5
#: Widest name beside bars.
NAME_PX = 340
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_MONTH = re.compile(r"^\d{4}-\d{2}$")
D3_FORMATS = {
    "int": ",.0f",
    "num1": ",.1f",
    "num2": ",.2f",
    "num3": ",.3f",
    "sig3": ",.3~r",
    "usd0": ",.0f",
    "usd2": ",.2f",
    "usd4": ",.4f",
    "usd6": ",.6f",
    "usd_compact": ".3~s",
    "pct0": ".0%",
    "pct1": ".1%",
}
Titles = Mapping[str, str] | None
Reference = Sequence[tuple[str, float]]


def prepare(frame: pd.DataFrame, fields: Iterable[str] = ()) -> pd.DataFrame:
    """Make a frame fit to be drawn, or refuse it.

    Keeps `fields` (all columns if none are given), turns `Decimal` into float, periods and
    YYYY-MM texts into timestamps, and leaves out rows that lack a number; how many is stated in
    `frame.attrs["not_drawn"]` and printed below the figure.

    Raises
    ------
    AIFactoryError
        If a column is missing or not snake_case (a dot or bracket blanks a chart without a word),
        if no row is left, or if more than 500 are.
    """
    fields = [field for field in dict.fromkeys(fields or frame.columns) if field]
    for field in fields:
        if not isinstance(field, str) or not _NAME.match(field):
            raise AIFactoryError(f"chart: column {field!r} must be snake_case")
        if field not in frame.columns:
            raise AIFactoryError(f"chart: no column {field!r} among {', '.join(map(str, frame.columns))}")
    data = pd.DataFrame({field: _drawable(frame[field]) for field in fields})
    numbers = [field for field in fields if pd.api.types.is_numeric_dtype(data[field])]
    whole = data[numbers].notna().all(axis=1)
    kept = data[whole].reset_index(drop=True)
    if kept.empty:
        raise AIFactoryError(f"chart: no row with finite values of {', '.join(numbers or fields)}")
    if len(kept) > MAX_ROWS:
        raise AIFactoryError(f"chart: {len(kept)} rows; aggregate to at most {MAX_ROWS}")
    kept.attrs["not_drawn"] = int((~whole).sum())
    return kept


def _drawable(column: pd.Series) -> pd.Series:
    types = pd.api.types
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if types.is_bool_dtype(column):
        return column.map({True: "yes", False: "no"}).astype("str")
    if types.is_numeric_dtype(column):
        return column.astype("float64").replace([np.inf, -np.inf], np.nan)
    if types.is_datetime64_any_dtype(column):
        return column.dt.tz_localize(None)
    present = column.dropna()
    if len(present) and present.map(lambda value: isinstance(value, Decimal)).all():
        return column.map(lambda value: float(value) if isinstance(value, Decimal) else np.nan).astype("float64")
    if len(present) and present.astype("str").str.match(_MONTH).all():
        return pd.to_datetime(column.astype("str"), format="%Y-%m", errors="coerce")
    return column.astype("str").fillna("not known")


def title_of(field: str, titles: Titles) -> str:
    """Title of a column on axes and in tooltips."""
    return (titles or {}).get(field, readable(field))


def kind_of(data: pd.DataFrame, field: str) -> str:
    """Encoding type of a column: T time, Q quantity, N name."""
    if pd.api.types.is_datetime64_any_dtype(data[field]):
        return "T"
    return "Q" if pd.api.types.is_numeric_dtype(data[field]) else "N"


def axis_of(fmt: str) -> alt.Axis:
    """Axis whose labels are in one of the house formats."""
    if fmt == "usd_compact":
        return alt.Axis(labelExpr="replace(replace(format(datum.value, '~s'), 'G', 'B'), regexp('([kMB])$'), ' $1')")
    return alt.Axis(format=D3_FORMATS[fmt]) if fmt in D3_FORMATS else alt.Axis()


def value_channel(channel: type, field: str, titles: Titles, fmt: str, *, zero: bool = True, log: bool = False) -> Any:
    """Channel of a quantity."""
    scale = alt.Scale(type="log", nice=True) if log else alt.Scale(zero=zero, nice=True)
    return channel(f"{field}:Q", title=title_of(field, titles), axis=axis_of(fmt), scale=scale)


def slant(names: pd.Series) -> int:
    """Angle of names below a chart: slanted where they would run into each other."""
    text = names.astype("str").unique()
    return -35 if max(len(name) for name in text) * CHARACTER_PX > WIDTH / len(text) else 0


def x_channel(data: pd.DataFrame, field: str, titles: Titles, *, band: bool = False) -> alt.X:
    """Horizontal channel of a month, a quantity or a name; `band` gives each month a band."""
    kind = kind_of(data, field)
    if kind != "T":
        return alt.X(
            f"{field}:{kind}",
            title=title_of(field, titles),
            sort=None,
            axis=alt.Axis(labelAngle=slant(data[field]) if band else 0),
        )
    axis = alt.Axis(
        format="%b %y", labelAngle=0, labelOverlap=True, labelSeparation=8, tickCount={"interval": "month", "step": 1}
    )
    if band:
        axis = alt.Axis(format="%b %y", labelAngle=0, labelOverlap="parity", labelSeparation=8, ticks=False)
        return alt.X(f"yearmonth({field}):O", title=None, axis=axis)
    return alt.X(f"{field}:T", title=None, axis=axis)


def category_channel(field: str, order: Sequence[str]) -> alt.Y:
    """Vertical channel of names."""
    axis = alt.Axis(domain=False, ticks=False, labelColor=theme.INK, labelPadding=6, labelLimit=NAME_PX)
    return alt.Y(f"{field}:N", title=None, sort=order, axis=axis)


def colour_channel(data: pd.DataFrame, field: str, order: Sequence[str] = ()) -> alt.Color:
    """Colour by name; a legend only where there are several."""
    names = [*order, *(name for name in data[field].unique() if name not in order)]
    colours = theme.colours_of(names)
    scale = alt.Scale(domain=names, range=[colours[name] for name in names])
    return alt.Color(f"{field}:N", title=None, scale=scale, legend=alt.Legend() if len(names) > 1 else None)


def tooltip_of(data: pd.DataFrame, titles: Titles, formats: Mapping[str, str]) -> list[alt.Tooltip]:
    """Tooltip of all columns."""
    shown = []
    for field in data.columns:
        if field.startswith(HELPER):
            continue
        kind = kind_of(data, field)
        if kind == "Q":
            shown.append(
                alt.Tooltip(
                    f"{field}:Q", title=title_of(field, titles), format=D3_FORMATS.get(formats.get(field, ""), ",.3~r")
                )
            )
        elif kind == "T":
            shown.append(alt.Tooltip(f"{field}:T", title=title_of(field, titles), format="%B %Y"))
        else:
            shown.append(alt.Tooltip(f"{field}:N", title=title_of(field, titles)))
    return shown


def finish(chart: Any, data: pd.DataFrame, height: int) -> Any:
    """Size of a chart, and how many rows it leaves out."""
    return chart.properties(width=WIDTH, height=height, usermeta={"not_drawn": data.attrs.get("not_drawn", 0)})


def reference_layers(lines: Reference, *, vertical: bool) -> list[Any]:
    """Dashed lines with a label at fixed values."""
    layers = []
    for label, value in lines:
        at = alt.Chart(pd.DataFrame({"drawn_reference": [float(value)], "drawn_reference_label": [label]}))
        axis = alt.X("drawn_reference:Q") if vertical else alt.Y("drawn_reference:Q")
        layers.append(at.mark_rule(strokeDash=[5, 4]).encode(axis))
        text = {"align": "left", "dx": 4, "y": -6} if vertical else {"align": "right", "dy": -6, "x": WIDTH}
        layers.append(at.mark_text(color=theme.MUTED, **text).encode(axis, text="drawn_reference_label:N"))
    return layers


def height_of(rows: int) -> int:
    """Height of a chart with that many rows."""
    return max(60, 28 * rows)
