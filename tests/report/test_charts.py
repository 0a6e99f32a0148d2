"""The gate for chart data, and the builders."""

import re
from decimal import Decimal

import altair as alt
import numpy as np
import pandas as pd
import pytest
from report_demo import demand_frame, demo_charts

from aifactory.errors import AIFactoryError
from aifactory.report import charts, spec, theme
from aifactory.report.chart_parts import x_channel

BUILDERS = sorted(demo_charts())


@pytest.mark.parametrize("name", ["p95.ms", "cost[usd]", "a:b", "Cost", "two words", "1st", 7])
def test_the_gate_refuses_names_that_blank_a_chart(name):
    with pytest.raises(AIFactoryError, match="snake_case"):
        charts.prepare(pd.DataFrame({name: [1.0]}))


def test_the_gate_names_a_missing_column():
    with pytest.raises(AIFactoryError, match="no column 'cost'.*team"):
        charts.prepare(pd.DataFrame({"team": ["a"]}), ["cost"])


def test_the_gate_refuses_more_rows_than_a_report_can_carry():
    frame = pd.DataFrame({"x": np.arange(501.0)})
    assert len(charts.prepare(frame.head(500))) == 500
    with pytest.raises(AIFactoryError, match="501 rows"):
        charts.prepare(frame)


def test_the_gate_counts_rows_without_a_number():
    frame = pd.DataFrame({"name": ["a", "b", None, "d"], "value": [1.0, np.nan, 3.0, np.inf]})
    data = charts.prepare(frame)
    assert data["name"].tolist() == ["a", "not known"]
    assert data.attrs["not_drawn"] == 2
    with pytest.raises(AIFactoryError, match="no row with finite values of value"):
        charts.prepare(frame.iloc[[1, 3]])
    with pytest.raises(AIFactoryError, match="no row"):
        charts.prepare(frame.head(0))


def test_the_gate_makes_types_that_a_chart_understands():
    frame = pd.DataFrame(
        {
            "month": ["2026-09", "2026-10"],
            "period": pd.PeriodIndex(["2026-09", "2026-10"], freq="M"),
            "moment": pd.to_datetime(["2026-09-01T12:00Z", "2026-10-01T12:00Z"]),
            "cost": pd.Series([Decimal("1.10"), Decimal("2.20")], dtype="object"),
            "count": pd.array([1, 2], dtype="Int64"),
            "flag": [True, False],
            "kind": pd.Categorical(["a", "b"]),
        }
    )
    data = charts.prepare(frame)
    assert data["month"].tolist() == data["period"].tolist() == [pd.Timestamp("2026-09-01"), pd.Timestamp("2026-10-01")]
    assert data["moment"].dt.tz is None
    assert data["cost"].tolist() == [1.10, 2.20]
    assert data["count"].dtype == data["cost"].dtype == "float64"
    assert data["flag"].tolist() == ["yes", "no"]
    assert data["kind"].tolist() == ["a", "b"]


def test_the_gate_leaves_its_input_alone():
    frame = demand_frame()
    before = frame.copy()
    charts.prepare(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", BUILDERS)
def test_every_builder_draws_its_marks(name):
    drawing = spec.draw_svg(
        spec.page_spec(spec.house_spec(demo_charts()[name], {"title": "t", "description": "d"})), "f1"
    )
    marks = {
        "bars": ("mark-rect role-mark", 3),
        "stacked_bars": ("mark-rect role-mark", 30),
        "lines_with_band": ("mark-symbol role-mark", 30),
        "heatmap": ("mark-rect role-mark", 168),
        "dots_with_range": ("mark-symbol role-mark", 3),
        "waterfall": ("mark-rect role-mark", 4),
        "scatter_curve": ("mark-symbol role-mark", 30),
        "tornado": ("mark-rect role-mark", 4),
    }
    group, count = marks[name]
    drawn = sum(part.split("</g>")[0].count("<path") for part in drawing.split(group)[1:])
    assert drawn == count
    assert "NaN" not in drawing
    assert "undefined" not in drawing


def test_a_drawing_keeps_every_digit_that_is_read():
    frame = pd.DataFrame({"line": ["a", "b"], "cost_usd": [0.00768, 0.0123]})
    chart = charts.waterfall(frame, label="line", amount="cost_usd", fmt="sig3")
    drawing = spec.draw_svg(spec.page_spec(spec.house_spec(chart, {"title": "t", "description": "d"})), "f1")
    assert ">0.00768</text>" in drawing and ">0.0123</text>" in drawing
    ticks = re.findall(r">(0\.\d+)</text>", drawing)
    assert len(ticks) == len(set(ticks)) > 4
    assert not re.search(r'="[^"]*\d\.\d\d', drawing)


def test_bars_keep_the_order_of_the_frame_and_print_their_values():
    frame = pd.DataFrame({"team": ["z", "a", "m"], "cost_usd": [1.5e6, 2.5e3, -3.0]})
    chart = charts.bars(frame, category="team", value="cost_usd", fmt="usd_compact").to_dict()
    rows = next(iter(chart["datasets"].values()))
    assert [row["drawn_label"] for row in rows] == ["1.50 M", "2.50 k", "\N{MINUS SIGN}3.00"]
    assert chart["layer"][0]["encoding"]["y"]["sort"] == ["z", "a", "m"]


def test_stacks_follow_the_given_order():
    frame = pd.DataFrame({"x": ["p", "p"], "v": [1.0, 2.0], "c": ["surge", "baseline"]})
    chart = charts.stacked_bars(frame, x="x", value="v", color="c", order=["baseline", "surge"]).to_dict()
    assert chart["layer"][0]["encoding"]["color"]["scale"]["domain"] == ["baseline", "surge"]
    rows = next(iter(chart["datasets"].values()))
    assert {row["c"]: row["drawn_order"] for row in rows} == {"baseline": 0.0, "surge": 1.0}


def test_waterfall_ends_where_the_steps_lead():
    frame = pd.DataFrame({"line": ["Plan", "a", "b", "Actual", "c"], "cost_usd": [100.0, 30.0, -20.0, 110.0, 5.0]})
    chart = charts.waterfall(frame, label="line", amount="cost_usd", totals=["Plan", "Actual"]).to_dict()
    rows = next(iter(chart["datasets"].values()))
    assert [(row["drawn_start"], row["drawn_end"]) for row in rows] == [
        (0, 100),
        (100, 130),
        (130, 110),
        (0, 110),
        (110, 115),
    ]
    assert [row["drawn_kind"] for row in rows] == ["total", "increase", "decrease", "total", "increase"]


def test_rounding_of_sums_is_no_step_of_a_waterfall():
    frame = pd.DataFrame({"line": ["Plan", "price", "Actual"], "cost_usd": [3e5, 9.31e-10, 3e5]})
    rows = next(
        iter(
            charts.waterfall(frame, label="line", amount="cost_usd", totals=["Plan", "Actual"])
            .to_dict()["datasets"]
            .values()
        )
    )
    assert (
        rows[1]["drawn_label"] == charts.format_value(0.0, "usd_compact")
        and rows[1]["drawn_start"] == rows[1]["drawn_end"]
    )


def _colour_distance(first, second, matrix):
    """Distance in linear RGB after simulated colour blindness (Machado et al., 2009, severity 1)."""

    def linear(colour):
        rgb = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)

    return float(np.linalg.norm(matrix @ (linear(first) - linear(second))))


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ],
    ids=["protanopia", "deuteranopia"],
)
def test_the_first_colours_stay_apart_under_colour_blindness(matrix):
    colours = theme.PALETTE[:5]
    distances = [_colour_distance(a, b, np.array(matrix)) for i, a in enumerate(colours) for b in colours[:i]]
    assert min(distances) > 0.1


def test_figures_in_cells_are_read_on_every_shade():
    """Black below `WHITE_FROM`, white above: a contrast of 4.5 everywhere, as (L1 + 0.05) / (L2 + 0.05) of the luminances has it."""
    low, high = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in theme.SEQUENTIAL)

    def luminance(place):
        shade = np.array([a + place * (b - a) for a, b in zip(low, high, strict=True)]) / 255
        return np.where(shade <= 0.04045, shade / 12.92, ((shade + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    for place in np.linspace(0, 1, 101):
        shade = luminance(place) + 0.05
        assert (1.05 / shade if place > charts.WHITE_FROM else shade / 0.05) >= 4.5


def test_names_below_stacks_are_slanted_where_they_would_overlap():
    names = pd.Series([f"accelerator-{number}" for number in range(11)])
    for shown, angle in ((names, -35), (names.head(2), 0)):
        frame = pd.DataFrame({"name": shown, "part": "a", "value": 1.0})
        drawn = charts.stacked_bars(frame, x="name", value="value", color="part").to_dict()
        assert drawn["layer"][0]["encoding"]["x"]["axis"]["labelAngle"] == angle


def test_nine_names_have_nine_colours_and_verdicts_those_of_their_sense():
    assert len(set(theme.colours_of("abcdefghi").values())) == 9
    found = theme.colours_of(["stable", "watch", "shifted"])
    assert list(found.values()) == [theme.GREEN, theme.ORANGE, theme.RED]


def test_names_of_bars_and_steps_are_written_out():
    def texts(chart):
        return spec.draw_svg(spec.page_spec(spec.house_spec(chart, {"title": "t", "description": "d"})), "f1")

    steps = [
        "Useful work",
        "Failed work",
        "Idle reserve",
        "Power and space",
        "Storage and network",
        "Orchestration and safety",
        "Human operations",
        "Hidden cost centres",
        "Ports, rework, contingency",
        "Total",
    ]
    frame = pd.DataFrame({"step": steps, "cost_usd": 1.0})
    policies = pd.DataFrame({"policy": ["Average + 20 % / 40 % reserved for 3 years"], "cost_usd": [1.0]})
    for chart in (
        charts.waterfall(frame, label="step", amount="cost_usd", totals=["Total"]),
        charts.bars(policies, category="policy", value="cost_usd"),
    ):
        assert "\N{HORIZONTAL ELLIPSIS}" not in texts(chart)


def test_names_without_a_fixed_colour_never_take_one_that_is_in_use():
    colours = theme.colours_of(["expected", "a", "b", "aggressive"])
    assert len(set(colours.values())) == 4


def test_months_of_three_years_stand_apart_below_bars():
    """Fonts of readers are wider than the one that is measured: labels that are shown leave room for it."""
    data = pd.DataFrame({"month": pd.date_range("2026-11-01", periods=36, freq="MS"), "held": 1.0})
    bars = alt.Chart(data, width=640).mark_bar().encode(x_channel(data, "month", {}, band=True), y="held:Q")
    texts = re.findall(r"<text([^>]*)>[A-Z][a-z]{2} \d\d<", spec.draw_svg(spec.page_spec(bars.to_dict()), "f1"))
    shown = [float(re.search(r"translate\(([\d.]+)", text)[1]) for text in texts if 'opacity="0"' not in text]
    assert len(shown) > 5 and np.diff(shown).min() > 45
