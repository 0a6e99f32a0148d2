"""Charts of the reports: builders in one house style.

Every builder takes a tidy frame and the names of its columns, and returns an `altair` chart without
title; `blocks.figure` adds title, description, caption and source. Formats are the names of
`text.FORMATS`; `titles` replaces the readable form of a column name on axes and tooltips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from aifactory.report import theme
from aifactory.report.chart_parts import (
    CHARACTER_PX,
    D3_FORMATS,
    MAX_ROWS,
    WIDTH,
    Reference,
    Titles,
    alt,
    category_channel,
    colour_channel,
    finish,
    height_of,
    prepare,
    reference_layers,
    slant,
    title_of,
    tooltip_of,
    value_channel,
    x_channel,
)
from aifactory.report.text import format_value

__all__ = [
    "MAX_ROWS",
    "bars",
    "dots_with_range",
    "heatmap",
    "lines_with_band",
    "prepare",
    "scatter_curve",
    "stacked_bars",
    "tornado",
    "waterfall",
]

#: Font sizes of labels below a waterfall.
LABEL_SIZE, SMALLEST_LABEL = 12, 9
#: Position between the lightest and the darkest cell from which white is read better than black: both have a contrast of 4.5 there.
WHITE_FROM = 0.66
#: Share of the largest amount of a waterfall below which another is the rounding of sums.
NOISE = 1e-9


def bars(
    frame: pd.DataFrame,
    *,
    category: str,
    value: str,
    color: str = "",
    titles: Titles = None,
    fmt: str = "int",
    reference: Reference = (),
) -> alt.LayerChart:
    """Horizontal bars in the order of the frame, each with its value at the end."""
    data = prepare(frame, [category, value, color])
    data["drawn_label"] = [format_value(item, fmt) for item in data[value]]
    base = alt.Chart(data).encode(
        category_channel(category, list(data[category].unique())), value_channel(alt.X, value, titles, fmt)
    )
    bar = base.mark_bar(height={"band": 0.72}).encode(tooltip=tooltip_of(data, titles, {value: fmt}))
    if color:
        bar = bar.encode(colour_channel(data, color))
    text = base.mark_text(align="left", dx=5).encode(text="drawn_label:N")
    return finish(
        alt.layer(bar, text, *reference_layers(reference, vertical=True)), data, height_of(data[category].nunique())
    )


def stacked_bars(
    frame: pd.DataFrame,
    *,
    x: str,
    value: str,
    color: str,
    order: Sequence[str] = (),
    titles: Titles = None,
    fmt: str = "int",
    line: str = "",
    reference: Reference = (),
) -> alt.LayerChart:
    """Upright bars stacked by `color`, bottom first; `line` is drawn across them (one value per `x`)."""
    data = prepare(frame, [x, value, color, line])
    names = [*order, *(name for name in data[color].unique() if name not in order)]
    data["drawn_order"] = data[color].map({name: rank for rank, name in enumerate(names)}).astype("float64")
    base = alt.Chart(data).encode(x_channel(data, x, titles, band=True))
    bar = base.mark_bar().encode(
        value_channel(alt.Y, value, titles, fmt),
        colour_channel(data, color, names),
        order=alt.Order("drawn_order:Q"),
        tooltip=tooltip_of(data[[x, value, color]], titles, {value: fmt}),
    )
    layers = [bar, *reference_layers(reference, vertical=False)]
    if line:
        mark = base.mark_line(color=theme.INK, strokeWidth=2, point={"color": theme.INK, "size": 30})
        layers.append(mark.encode(value_channel(alt.Y, line, titles, fmt)))
    return finish(alt.layer(*layers), data, 280)


def lines_with_band(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    color: str = "",
    low: str = "",
    high: str = "",
    titles: Titles = None,
    fmt: str = "int",
    reference: Reference = (),
    zero: bool = True,
) -> alt.LayerChart:
    """Lines by `color` over `x`, with a band from `low` to `high` where both are named."""
    data = prepare(frame, [x, y, color, low, high])
    base = alt.Chart(data).encode(x_channel(data, x, titles))
    if color:
        base = base.encode(colour_channel(data, color))
    layers = []
    if low and high:
        lower = value_channel(alt.Y, low, titles, fmt, zero=zero).title(title_of(y, titles))
        layers.append(base.mark_area(opacity=0.18).encode(lower, alt.Y2(high)))
    line = base.mark_line().encode(value_channel(alt.Y, y, titles, fmt, zero=zero))
    point = base.mark_point(size=34, opacity=1).encode(
        alt.Y(f"{y}:Q"), tooltip=tooltip_of(data, titles, {y: fmt, low: fmt, high: fmt})
    )
    if color:
        line = line.encode(strokeDash=alt.StrokeDash(f"{color}:N", sort=None, legend=None))
        point = point.encode(shape=alt.Shape(f"{color}:N", sort=None, legend=None))
    return finish(alt.layer(*layers, line, point, *reference_layers(reference, vertical=False)), data, 280)


def heatmap(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    value: str,
    titles: Titles = None,
    fmt: str = "int",
    labels: bool = False,
) -> alt.LayerChart | alt.Chart:
    """Cells of `x` by `y`, both in the order of the frame; the darker, the more. `labels` prints values."""
    data = prepare(frame, [x, y, value])
    base = alt.Chart(data).encode(
        alt.X(f"{x}:O", title=title_of(x, titles), sort=None, axis=_columns(data[x])),
        alt.Y(f"{y}:O", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False, labelColor=theme.INK)),
    )
    legend = alt.Legend(
        title=title_of(value, titles), format=D3_FORMATS.get(fmt, ""), gradientLength=160, titleFontWeight="normal"
    )
    scale = alt.Scale(range=list(theme.SEQUENTIAL))
    cells = base.mark_rect(stroke="white", strokeWidth=1.5).encode(
        alt.Color(f"{value}:Q", scale=scale, legend=None if labels else legend),
        tooltip=tooltip_of(data, titles, {value: fmt}),
    )
    height = height_of(data[y].nunique())
    if not labels:
        return finish(cells, data, height)
    data["drawn_label"] = [format_value(item, fmt) for item in data[value]]
    low, high = float(data[value].min()), float(data[value].max())
    dark = low + WHITE_FROM * (high - low)
    text = base.mark_text().encode(
        text="drawn_label:N",
        color=alt.condition(f"datum['{value}'] > {dark!r}", alt.value("white"), alt.value("black")),
    )
    return finish(alt.layer(cells, text), data, height)


def _columns(names: pd.Series) -> alt.Axis:
    """Axis of columns; names that would run into each other are slanted."""
    return alt.Axis(labelAngle=slant(names), domain=False, ticks=False)


def dots_with_range(
    frame: pd.DataFrame,
    *,
    category: str,
    value: str,
    low: str,
    high: str,
    color: str = "",
    titles: Titles = None,
    fmt: str = "sig3",
    reference: Reference = (),
    log: bool = False,
    zero: bool = True,
) -> alt.LayerChart:
    """One dot per row with a line from `low` to `high`, in the order of the frame."""
    data = prepare(frame, [category, value, low, high, color])
    base = alt.Chart(data).encode(category_channel(category, list(data[category].unique())))
    if color:
        base = base.encode(colour_channel(data, color))
    rule = base.mark_rule(strokeWidth=3, opacity=0.45).encode(
        value_channel(alt.X, low, titles, fmt, zero=zero, log=log).title(title_of(value, titles)), alt.X2(high)
    )
    dot = base.mark_point(size=80, opacity=1).encode(
        alt.X(f"{value}:Q"), tooltip=tooltip_of(data, titles, {value: fmt, low: fmt, high: fmt})
    )
    if color:
        dot = dot.encode(shape=alt.Shape(f"{color}:N", sort=None, legend=None))
    layers = alt.layer(rule, dot, *reference_layers(reference, vertical=True))
    return finish(layers, data, height_of(data[category].nunique()))


def waterfall(
    frame: pd.DataFrame,
    *,
    label: str,
    amount: str,
    totals: Iterable[str] = (),
    titles: Titles = None,
    fmt: str = "usd_compact",
) -> alt.LayerChart:
    """Steps from one total to the next, in the order of the frame; rows named in `totals` start at zero.

    What is less than `NOISE` of the largest amount is the rounding of sums, and drawn as nothing.
    """
    data = prepare(frame, [label, amount])
    data[amount] = data[amount].where(data[amount].abs() > NOISE * data[amount].abs().max(), 0.0)
    is_total = data[label].isin(list(totals)).to_numpy()
    data["drawn_start"], data["drawn_end"] = _steps(data[amount].to_numpy(), is_total)
    data["drawn_kind"] = np.where(is_total, "total", np.where(data[amount] >= 0, "increase", "decrease"))
    data["drawn_top"] = data[["drawn_start", "drawn_end"]].max(axis=1)
    data["drawn_label"] = [format_value(item, fmt) for item in data[amount]]
    room = WIDTH // len(data) - 6
    longest = max((len(word) for name in data[label] for word in name.split()), default=1)
    size = int(np.clip(LABEL_SIZE * room / (longest * CHARACTER_PX), SMALLEST_LABEL, LABEL_SIZE))
    axis = alt.Axis(
        labelAngle=0, labelLimit=room, labelFontSize=size, labelExpr="split(datum.label, ' ')", domain=False
    )
    base = alt.Chart(data).encode(alt.X(f"{label}:N", sort=None, title=None, axis=axis))
    bar = base.mark_bar(width={"band": 0.7}).encode(
        value_channel(alt.Y, "drawn_start", {"drawn_start": title_of(amount, titles)}, fmt),
        alt.Y2("drawn_end"),
        colour_channel(data, "drawn_kind", ["total", "increase", "decrease"]),
        tooltip=tooltip_of(data[[label, amount]], titles, {amount: fmt}),
    )
    text = base.mark_text(baseline="bottom", dy=-4).encode(alt.Y("drawn_top:Q"), text="drawn_label:N")
    return finish(alt.layer(bar, text), data, 280)


def _steps(amounts: np.ndarray, is_total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each step: a total from zero, any other from where the last one ended.

    >>> [steps.tolist() for steps in _steps(np.array([10.0, -3.0, 7.0]), np.array([True, False, True]))]
    [[0.0, 10.0, 0.0], [10.0, 7.0, 7.0]]
    """
    starts, ends, level = [], [], 0.0
    for amount, total in zip(amounts, is_total, strict=True):
        starts.append(0.0 if total else level)
        level = float(amount) + starts[-1]
        ends.append(level)
    return np.array(starts), np.array(ends)


def scatter_curve(
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    color: str,
    curve: str = "",
    titles: Titles = None,
    x_fmt: str = "sig3",
    y_fmt: str = "sig3",
    reference: Reference = (),
    log_y: bool = False,
) -> alt.LayerChart:
    """Points joined along `x`, one curve per `curve` (default: per `color`); `reference` lies on the y axis."""
    data = prepare(frame, [x, y, color, curve])
    base = alt.Chart(data).encode(
        value_channel(alt.X, x, titles, x_fmt),
        value_channel(alt.Y, y, titles, y_fmt, log=log_y),
        colour_channel(data, color),
    )
    line = base.mark_line(strokeWidth=1.5, opacity=0.7)
    if curve:
        line = line.encode(detail=f"{curve}:N")
    point = base.mark_point(opacity=1).encode(
        shape=alt.Shape(f"{color}:N", sort=None, legend=None), tooltip=tooltip_of(data, titles, {x: x_fmt, y: y_fmt})
    )
    return finish(alt.layer(line, point, *reference_layers(reference, vertical=False)), data, 320)


def tornado(
    frame: pd.DataFrame,
    *,
    category: str,
    low: str,
    high: str,
    base_value: float,
    titles: Titles = None,
    fmt: str = "usd_compact",
) -> alt.LayerChart:
    """Bars from the result at an assumption's low end to that at its high end, around the base case."""
    data = prepare(frame, [category, low, high])
    long = data.melt(id_vars=category, value_vars=[low, high], var_name="end", value_name="result")
    names = {low: title_of(low, titles), high: title_of(high, titles)}
    long["end"] = long["end"].map(names)
    long["drawn_base"] = float(base_value)
    long.attrs = data.attrs
    colour = alt.Color(
        "end:N",
        title=None,
        scale=alt.Scale(domain=list(names.values()), range=[theme.SKY, theme.BLUE]),
        legend=alt.Legend(),
    )
    bar = (
        alt.Chart(long)
        .mark_bar(height={"band": 0.7})
        .encode(
            category_channel(category, list(data[category])),
            value_channel(alt.X, "drawn_base", {"drawn_base": (titles or {}).get("result", "Result")}, fmt, zero=False),
            alt.X2("result"),
            colour,
            tooltip=tooltip_of(long[[category, "end", "result"]], titles, {"result": fmt}),
        )
    )
    layers = alt.layer(bar, *reference_layers([("base case", base_value)], vertical=True))
    return finish(layers, long, height_of(len(data)))
