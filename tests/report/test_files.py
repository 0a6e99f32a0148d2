"""Files beside the page: results, workbook, calendar, index, and controls in the notebook."""

import datetime as dt
import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import openpyxl
import pandas as pd
import pytest
from icalendar import Calendar

from aifactory.errors import AIFactoryError
from aifactory.report import calendar, index, results, widgets, xlsx
from aifactory.report.html import export_html

CASH = pd.DataFrame(
    {
        "scenario": ["expected"] * 3 + ["aggressive"] * 3,
        "month_index": [0, 1, 2] * 2,
        "month": ["2026-10", "2026-11", "2026-12"] * 2,
        "net_usd": [-1000.0, 600.0, 600.0, -2000.0, 1500.0, 1500.0],
    }
)
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "=cmd|' /C calc'!A0", "http://example.test"]


# ---------------------------------------------------------------- results


def test_results_hold_headline_and_tables(tmp_path):
    frame = pd.DataFrame({"team": ["a", "=b"], "cost_usd": [Decimal("1.10"), Decimal("-2")], "share": [0.5, np.nan]})
    headline = {
        "spend": (Decimal("12.5"), "USD"),
        "teams": (np.int64(3), "count"),
        "idle": (float("nan"), "fraction"),
        "choice": ("nvidia-h100-sxm", "accelerator"),
        "absent": (pd.NA, "USD"),
    }
    results.record(tmp_path, "inventory", headline, {"spend": frame})
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["stage"] == "inventory"
    assert found["tables"] == ["spend"]
    assert {name: item["value"] for name, item in found["headline"].items()} == {
        "spend": 12.5,
        "teams": 3,
        "idle": None,
        "choice": "nvidia-h100-sxm",
        "absent": None,
    }
    assert (tmp_path / "tables" / "spend.csv").read_text() == "team,cost_usd,share\na,1.10,0.5\n'=b,-2,\n"


def test_results_name_the_sources_of_their_tables(tmp_path):
    frame = pd.DataFrame({"a": [1]})
    results.record(
        tmp_path, "s", {}, {"spend": frame, "other": frame}, {"spend": "billing table", "unknown": "nothing"}
    )
    assert json.loads((tmp_path / "results.json").read_text())["sources"] == {"spend": "billing table"}


def test_tables_of_a_known_stage_have_sources_without_being_told(tmp_path):
    results.record(tmp_path, "buy_plan", {}, {"orders": pd.DataFrame({"a": [1]})})
    found = json.loads((tmp_path / "results.json").read_text())["sources"]
    assert found == {"orders": "demand simulation, capacity at the SLO, prices table; plan.yaml"}


def test_nothing_is_written_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results.record("", "inventory", {"a": (1, "count")}, {"t": pd.DataFrame({"a": [1]})})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../escape", "Upper", "with space", ""])
def test_names_of_results_are_checked_even_without_a_folder(name):
    with pytest.raises(AIFactoryError, match="snake_case"):
        results.record("", "inventory", {}, {name: pd.DataFrame()})
    with pytest.raises(AIFactoryError, match="number or a text"):
        results.record("", "inventory", {"a": ([1], "x")}, {})


@pytest.mark.parametrize("text", FORMULAS[:-1])
def test_csv_text_is_no_formula(tmp_path, text):
    frame = pd.DataFrame({text: pd.Series([text, "b"], dtype="category"), "n": [-1.0, 2.0]})
    results.record(tmp_path, "s", {}, {"t": frame})
    read = pd.read_csv(tmp_path / "tables" / "t.csv")
    assert read.columns[0] == read.iloc[0, 0] == "'" + text.replace("\r", "\n")
    assert read["n"].tolist() == [-1.0, 2.0]


# ---------------------------------------------------------------- workbook


def write(path, **changes):
    tables = {
        "cash_flow": (CASH, "Cash flow", "plan", "2026-10-31"),
        "unit_cost": (pd.DataFrame({"line": FORMULAS, "usd_per_unit": range(len(FORMULAS))}), "Unit cost", "bill", ""),
    }
    xlsx.write_workbook(
        path, **{"tables": tables, "readme": [("Title", "Buy plan"), ("Period", "October 2026")], **changes}
    )
    return path


def test_workbook_sheets_header_and_formats(tmp_path):
    book = openpyxl.load_workbook(write(tmp_path / "a.xlsx"))
    assert book.sheetnames == ["Read me", "Cash flow", "Unit cost"]
    assert book["Read me"]["B1"].value == "Buy plan"
    content = f"{len(CASH)} rows of scenario, month index, month, net USD"
    assert [cell.value for cell in book["Read me"][5]] == ["Cash flow", content, "plan", "2026-10-31"]
    sheet = book["Cash flow"]
    assert sheet["A1"].value == "Cash flow"
    assert sheet["A2"].value == "Source: plan, as of 31 October 2026"
    assert [cell.value for cell in sheet[3]] == list(CASH.columns)
    assert sheet.freeze_panes == "B4"
    assert sheet["D4"].value == -1000.0
    assert sheet["D4"].number_format == "#,##0.00"


def test_text_in_a_workbook_is_text(tmp_path):
    sheet = openpyxl.load_workbook(write(tmp_path / "a.xlsx"))["Unit cost"]
    for row, text in enumerate(FORMULAS, 4):
        cell = sheet.cell(row, 1)
        assert cell.data_type == "s"
        assert cell.value.replace("_x000D_", "\r") == text
        assert cell.hyperlink is None


def test_workbook_types(tmp_path):
    frame = pd.DataFrame(
        {
            "flag": pd.array([True, None], dtype="boolean"),
            "count": pd.array([1, None], dtype="Int64"),
            "day": pd.to_datetime(["2026-10-31T00:00:00Z", None]),
            "cost_usd": [Decimal("1.10"), None],
            "rate": [np.inf, 0.25],
        }
    )
    path = write(tmp_path / "a.xlsx", tables={"t": (frame, "T", "s", "")})
    rows = list(openpyxl.load_workbook(path)["T"].iter_rows(min_row=4, values_only=True))
    assert rows == [(True, 1, dt.datetime(2026, 10, 31), 1.1, "∞"), (None, None, None, None, 0.25)]


def test_days_are_dates_of_the_spreadsheet_and_months_are_text(tmp_path):
    frame = pd.DataFrame({"date": ["2026-11-16", "2026-13-45"], "month": ["2026-11", "soon"]})
    sheet = openpyxl.load_workbook(write(tmp_path / "a.xlsx", tables={"t": (frame, "T", "plan", "")}))["T"]
    assert sheet["A4"].value == pd.Timestamp("2026-11-16") and sheet["A4"].number_format == "yyyy-mm-dd"
    assert (sheet["A5"].value, sheet["B4"].value, sheet["B5"].value) == ("2026-13-45", "2026-11", "soon")


def test_endless_values_are_shown_and_missing_ones_are_empty(tmp_path):
    """Months to a trigger that never comes are no gap in the data."""
    frame = pd.DataFrame({"months_to_trigger": [3.5, np.nan, np.inf, -np.inf]})
    path = write(tmp_path / "a.xlsx", tables={"t": (frame, "T", "hand", "")})
    rows = list(openpyxl.load_workbook(path)["T"].iter_rows(min_row=4, values_only=True))
    assert [row[0] for row in rows] == [3.5, None, "∞", "-∞"]


def test_workbooks_are_the_same_bytes(tmp_path):
    assert write(tmp_path / "a.xlsx").read_bytes() == write(tmp_path / "b.xlsx").read_bytes()
    assert write(tmp_path / "c.xlsx", created="2026-10-31").read_bytes() != (tmp_path / "a.xlsx").read_bytes()


def test_sheet_names_are_valid_and_unique():
    names = xlsx.sheet_names(["read_me", "history", "a" * 50, "a" * 51, "x[1]:*?/\\'"])
    assert len({name.lower() for name in names.values()}) == 5
    assert not {"read me", "history"} & {name.lower() for name in names.values()}
    assert all(len(name) <= 31 and not set("[]:*?/\\'") & set(name) for name in names.values())


@pytest.mark.parametrize(
    ("column", "values", "form"),
    [
        ("npv_usd", [1], "#,##0.00"),
        ("usd_per_accelerator_hour", [1.5], "#,##0.000"),
        ("usd_per_unit", [0.1], "#,##0.0000"),
        ("usd_per_unit", [5.4, 0.0000079], "#,##0.00000000"),
        ("effective_cost", [1.5], "#,##0.00"),
        ("filled_share", [0.5], "0.0%"),
        ("utilization_mean", [0.5], "0.0%"),
        ("growth_per_month", [0.5], "0.0%"),
        ("usd_change_share", [0.34], "0.0%"),
        ("keep_share", [5.3e-05, 0.0], "0.000%"),
        ("keep_share", [5.3e-05, 0.2], "0.0%"),
        ("units_per_s_per_accelerator", [229.0, 0.000277], "#,##0.000000"),
        ("value", [1.0044, 0.004], "#,##0.0000"),
        ("growth_months", [3], "#,##0"),
        ("accelerators", [3.0, None], "#,##0"),
        ("p95_ttft_ms", [120.5], "#,##0.00"),
        ("joules_per_unit", [0.0012, 0.5], "0.0000"),
        ("team", ["a"], "General"),
    ],
)
def test_number_formats_follow_unit_and_size(column, values, form):
    assert xlsx.number_format(column, values) == form


def test_columns_without_a_unit_take_that_of_their_table(tmp_path):
    """A cost of utilisation is no share, a band of a small price no zero, and the first sheet says what the others hold."""
    split = pd.DataFrame({"use_case_id": ["chat"], "difference_usd": [5.0], "utilization": [-9515.39]})
    band = pd.DataFrame({"use_case_id": ["chat"], "usd_per_unit": [2e-5], "low80": [1.9e-5]})
    tables = {"variance": (split, "Variance", "s", ""), "bands": (band, "Bands", "s", "")}
    xlsx.write_workbook(tmp_path / "a.xlsx", tables, [("Title", "t")])
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book["Variance"]["C4"].number_format == "#,##0.00"
    assert book["Bands"]["C4"].number_format == "#,##0.0000000"
    assert book["Read me"]["B4"].value == "1 row of use case ID, difference USD, utilisation"


def test_the_live_npv_has_the_right_formula(tmp_path):
    rate = 1.1 ** (1 / 12) - 1
    expected = {"expected": -1000 + 600 / (1 + rate) + 600 / (1 + rate) ** 2, "aggressive": 0.0}
    path = write(tmp_path / "a.xlsx", live_npv=xlsx.LiveNpv("cash_flow", 0.1, expected))
    sheet = openpyxl.load_workbook(path)["Live NPV"]
    assert sheet["B4"].value == 0.1
    assert sheet["B5"].value == "=(1+B4)^(1/12)-1"
    formula = "=SUMPRODUCT(('Cash flow'!$A$4:$A$9=A8)*'Cash flow'!$D$4:$D$9/(1+$B$5)^'Cash flow'!$B$4:$B$9)"
    assert sheet["B8"].value == formula
    assert openpyxl.load_workbook(path, data_only=True)["Live NPV"]["B8"].value == pytest.approx(expected["expected"])


# ---------------------------------------------------------------- calendar


def governance():
    return pd.DataFrame(
        {
            "date": pd.to_datetime(["2027-01-01", "2026-12-01"]),
            "event": ["Price refresh; all", "Review, monthly"],
            "owner_role": ["buyer", "CFO"],
            "rule": ["Replace prices\nolder than 90 days", "Stay within budget"],
        }
    )


def test_calendar_has_all_day_events_that_keep_their_identity(tmp_path):
    path = tmp_path / "a.ics"
    calendar.write_calendar(path, governance(), organisation="Example", as_of="2026-10-31")
    events = Calendar.from_ical(path.read_bytes()).walk("VEVENT")
    assert [str(event["summary"]) for event in events] == ["Review, monthly (CFO)", "Price refresh; all (buyer)"]
    assert [event.decoded("dtstart") for event in events] == [dt.date(2026, 12, 1), dt.date(2027, 1, 1)]
    assert [event.decoded("dtend") - event.decoded("dtstart") for event in events] == [dt.timedelta(days=1)] * 2
    assert str(events[1]["description"]) == "Replace prices\nolder than 90 days"
    assert len({str(event["uid"]) for event in events}) == 2
    changed = governance().assign(rule="new words")
    calendar.write_calendar(tmp_path / "b.ics", changed, organisation="Example", as_of="2026-11-30")
    again = Calendar.from_ical((tmp_path / "b.ics").read_bytes()).walk("VEVENT")
    assert [str(event["uid"]) for event in again] == [str(event["uid"]) for event in events]


def test_calendar_is_the_same_bytes_and_ends_lines_as_the_standard_says(tmp_path):
    for name in ("a.ics", "b.ics"):
        calendar.write_calendar(tmp_path / name, governance(), organisation="Example", as_of="2026-10-31")
    text = (tmp_path / "a.ics").read_bytes()
    assert text == (tmp_path / "b.ics").read_bytes()
    assert text.count(b"\n") == text.count(b"\r\n")
    assert b"DTSTAMP:20261031T000000Z" in text


# ---------------------------------------------------------------- index


def publish(out, period, stage, demo):
    folder = out / period / stage
    folder.mkdir(parents=True)
    (folder / f"{stage}.html").write_text(export_html(demo, title=stage))
    names = [f"{stage}.html", f"{stage}.xlsx", f"{stage}.ipynb", "results.json", "tables/t.csv"]
    names += [f"{stage}.ics"] if stage == "buy_plan" else []
    manifest = {"resources": [{"path": name} for name in names], "aifactory": {"period": period}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_index_lists_complete_reports_latest_first(tmp_path, demo):
    publish(tmp_path, "2026-09", "inventory", demo)
    publish(tmp_path, "2026-10", "buy_plan", demo)
    publish(tmp_path, "2026-10", "inventory", demo)
    (tmp_path / "2026-10" / "shortlist").mkdir()
    (tmp_path / "failed" / "x").mkdir(parents=True)
    path = index.write_index(tmp_path)
    assert path == tmp_path / "index.html"
    page = path.read_text()
    places = [page.index(words) for words in ("October 2026", ">Inventory</a>", ">Buy plan</a>", "September 2026")]
    assert places == sorted(places)
    assert page.count("Approve USD\xa04.2\xa0M by 1 December 2026.") == 3
    assert page.count('<span class="aif-chip watch">draft</span>') == 3
    assert 'href="2026-10/buy_plan/buy_plan.ics"' in page
    assert 'href="2026-09/inventory/inventory.xlsx"' in page
    assert "results.json" not in page
    assert "shortlist" not in page.lower()
    assert page.count("<h1>") == 1
    assert "<script" not in page


def test_index_without_reports_says_what_to_do(tmp_path):
    assert "aifactory run" in index.write_index(tmp_path).read_text()


def test_index_is_the_same_bytes(tmp_path, demo):
    publish(tmp_path, "2026-10", "inventory", demo)
    assert index.write_index(tmp_path).read_bytes() == index.write_index(tmp_path).read_bytes()


# ---------------------------------------------------------------- controls


def test_explore_shows_the_default_outside_the_widget(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    widgets.explore(lambda wacc=0.1: f"NPV at {wacc}", wacc=(0.0, 0.2, 0.05))
    assert shown[0] == "NPV at 0.1"
    slider = next(child for child in shown[1].children if hasattr(child, "max"))
    assert (slider.min, slider.max, slider.step, slider.description) == (0.0, 0.2, 0.05, "WACC")


def test_settings_without_a_result_are_said_in_a_line(monkeypatch):
    def only_positive(rate=0.1):
        if rate == 0:
            raise AIFactoryError("weights: must not be all 0")
        return rate

    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    widgets.explore(only_positive, rate=(0.0, 0.2, 0.05))
    slider = next(child for child in shown[1].children if hasattr(child, "max"))
    slider.value = 0.0
    assert shown[-1].text == "The result at these settings could not be computed: weights: must not be all 0"
    slider.value = 0.2
    assert shown[-1] == 0.2


def test_quick_imports_leave_the_slow_library_out_and_charts_work():
    code = (
        "import sys; from aifactory.report.quick import quick_imports; quick_imports(); quick_imports();"
        "import altair, nbformat; assert sys.modules['rfc3987_syntax'] is None;"
        "altair.Chart(altair.InlineData([{'a': 1}])).mark_point().encode(x='a:Q').to_dict()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=xlsx.Path(__file__).parents[2])


def test_a_later_file_moves_the_event_it_knows(tmp_path):
    table = governance().assign(event_id=["a", "b"])
    calendar.write_calendar(tmp_path / "a.ics", table, organisation="Example", as_of="2026-10-31")
    moved = table.assign(date=table["date"] + pd.DateOffset(months=2), event="New words")
    calendar.write_calendar(tmp_path / "b.ics", moved, organisation="Example", as_of="2026-11-30")
    old, new = (
        {str(event["uid"]): event for event in Calendar.from_ical((tmp_path / name).read_bytes()).walk("VEVENT")}
        for name in ("a.ics", "b.ics")
    )
    assert old.keys() == new.keys()
    for uid, event in new.items():
        assert int(event["sequence"]) > int(old[uid]["sequence"])
        assert event.decoded("dtstart") > old[uid].decoded("dtstart")
