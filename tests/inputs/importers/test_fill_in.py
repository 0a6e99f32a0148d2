"""The fill-in sheet: what owners see, what comes back, what is refused."""

import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.use_cases.answers import is_fill_in, read_answers
from aifactory.inputs.importers.use_cases.merge import held_rows
from aifactory.inputs.importers.use_cases.sheet import write_sheet
from aifactory.inputs.new import new_workspace
from aifactory.inputs.workspace import load_workspace

TODAY, LATER = pd.Timestamp("2026-11-25", tz="UTC"), pd.Timestamp("2026-12-01", tz="UTC")
CASES = (
    "ID,Use case,Business unit,Team,Owner role\n"
    "a,=1+1,retail,cx,head of service\n"
    "b,Search,retail,media,\n"
    "c,Planning,operations,logistics,head of planning\n"
)
FULL = {"workload_class": "real_time_inference", "service_unit": "request", "request_pattern": "interactive",
        "criticality": "internal", "stage": "pilot"}  # fmt: skip
COLUMNS = load_contract("use_case_candidates").columns
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).map(str.strip)


def imported(path, into, today=LATER, *, replace=False):
    return import_files("use-cases", [path], into, Target(today=today), replace=replace)[0]


@pytest.fixture
def workspace(tmp_path):
    folder = new_workspace(tmp_path / "ws")
    (tmp_path / "cases.csv").write_text(CASES, encoding="utf-8")
    imported(tmp_path / "cases.csv", folder, TODAY)
    return folder


@pytest.fixture
def sheet(workspace, tmp_path):
    write_sheet(workspace, tmp_path / "fill-in.xlsx", TODAY)
    return tmp_path / "fill-in.xlsx"


def edit(path, **cells):
    """Write cells `row_column=value` as a spreadsheet program would, the hidden sheet untouched."""
    book = openpyxl.load_workbook(path)
    for key, value in cells.items():
        row, column = key.removeprefix("r").split("_", 1)
        book["Use cases"].cell(int(row), COLUMNS.index(column) + 1).value = value
    book.save(path)


def row(workspace, name):
    return held_rows(workspace).loc[name]


def test_every_cell_is_text_and_no_formula(sheet):
    book = openpyxl.load_workbook(sheet)
    cells = [cell for page in book for line in page.iter_rows() for cell in line if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert book["Use cases"]["B2"].value == "=1+1"
    with zipfile.ZipFile(sheet) as archive:
        assert not [name for name in archive.namelist() if b"<f>" in archive.read(name)]


def test_owners_get_lists_limits_notes_and_locked_identifiers(sheet):
    page = openpyxl.load_workbook(sheet)["Use cases"]
    rules = {}
    for rule in page.data_validations.dataValidation:
        (area,) = rule.sqref.ranges
        rules[COLUMNS[area.min_col - 1]] = rule
        assert (area.min_row, area.max_row) == (2, 4)
    for item in load_contract("use_case_candidates").fields:
        if item.enum:
            assert rules[item.name].formula1 == f'"{",".join(item.enum)}"'
    assert (rules["slo_max_failure_rate"].type, rules["slo_max_failure_rate"].formula2) == ("decimal", "1")
    assert rules["slo_p95_e2e_ms"].operator == "greaterThan"
    assert rules["model"].formula1.startswith("=Lists!") or rules["model"].formula1.startswith("Lists!")
    assert "Unit: ms." in page.cell(1, COLUMNS.index("slo_p95_e2e_ms") + 1).comment.text
    assert page.protection.sheet
    assert [page.cell(2, COLUMNS.index(name) + 1).protection.locked for name in ("use_case_id", "stage")] == [
        True,
        False,
    ]
    assert page.conditional_formatting


def test_the_other_sheets_stay_out_of_sight(sheet):
    states = {page.title: page.sheet_state for page in openpyxl.load_workbook(sheet)}
    assert states == {"Read me": "visible", "Use cases": "visible", "Lists": "hidden", "sent": "veryHidden"}


@pytest.mark.parametrize(("owner", "names"), [("Retail", ["a", "b"]), ("logistics", ["c"]), ("head of service", ["a"])])
def test_one_owner_gets_only_their_rows(workspace, tmp_path, owner, names):
    write_sheet(workspace, tmp_path / "f.xlsx", TODAY, owner=owner)
    page = openpyxl.load_workbook(tmp_path / "f.xlsx")["Use cases"]
    assert [page.cell(line, 1).value for line in range(2, page.max_row + 1)] == names


def test_an_unknown_owner_and_an_existing_file_are_refused(workspace, sheet, tmp_path):
    with pytest.raises(InputError, match=r"value 'retial': .* Did you mean 'retail'"):
        write_sheet(workspace, tmp_path / "f.xlsx", TODAY, owner="retial")
    with pytest.raises(InputError, match="answers in it would be lost"):
        write_sheet(workspace, sheet, TODAY)


def test_an_untouched_sheet_changes_nothing(workspace, sheet):
    before = {item.name: item.read_bytes() for item in workspace.glob("use_case*")}
    report = imported(sheet, workspace)
    assert report["into"]["changes"] == []
    assert {item.name: item.read_bytes() for item in workspace.glob("use_case*")} == before


def test_only_what_was_filled_changes_and_is_said(workspace, sheet):
    edit(
        sheet,
        r2_stage="Production",
        r3_stated_units_per_month=120000,
        r3_launch_month="2026-10-01",
        r3_team="media team",
    )
    report = imported(sheet, workspace)
    assert report["into"]["changes"] == [
        {"use_case_id": "a", "field": "stage", "old": "", "new": "production"},
        {"use_case_id": "b", "field": "team", "old": "media", "new": "media team"},
        {"use_case_id": "b", "field": "stated_units_per_month", "old": "", "new": "120000"},
        {"use_case_id": "b", "field": "launch_month", "old": "", "new": "2026-10"},
    ]
    assert report["changed"] == {"launch_month": 1, "stage": 1, "stated_units_per_month": 1, "team": 1}
    changed, untouched = row(workspace, "b"), row(workspace, "c")
    assert changed["source"] == "cases.csv, row 3; fill-in.xlsx, sheet 'Use cases'"
    assert (changed["as_of"], untouched["as_of"]) == ("2026-12-01", "2026-11-25")
    assert untouched["source"] == "cases.csv, row 4"


def test_a_filled_row_becomes_a_use_case(workspace, sheet):
    edit(sheet, **{f"r4_{name}": value for name, value in FULL.items()})
    report = imported(sheet, workspace)
    assert (report["into"]["completed"], report["into"]["use_cases"], report["into"]["candidates"]) == (["c"], 1, 2)
    assert load_workspace(workspace).table("use_cases")["use_case_id"].tolist() == ["c"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"r2_stage": "pilott"}, "row 2, column 'stage': value 'pilott': must be one of idea, pilot, production, retiring. Did you mean 'pilot'?"),
        ({"r3_slo_max_failure_rate": 5}, "row 3, column 'slo_max_failure_rate': value '5"),
        ({"r3_slo_p95_e2e_ms": "1,5"}, "row 3, column 'slo_p95_e2e_ms': value '1,5': must be a finite number with a decimal point"),
        ({"r3_slo_p95_e2e_ms": -1}, "must be above 0"),
        ({"r4_launch_month": "next year"}, "row 4, column 'launch_month': value 'next year': must be a month such as 2026-10"),
        ({"r4_allowed_regions": "mars"}, "row 4, column 'allowed_regions': value 'mars': is not described in plan.yaml."),
        ({"r2_workload_class": "batch_training", "r2_service_unit": "request"}, "row 2, column 'service_unit': value 'request': training and"),
        ({"r2_use_case_id": "aa"}, "row 2, column 'use_case_id': value 'aa': is not an identifier that was sent"),
        ({"r5_use_case_id": "new", "r5_name": "New"}, "row 5, column 'use_case_id': value 'new': is not an identifier"),
        ({"r3_use_case_id": "a"}, "row 3, column 'use_case_id': value 'a': stands in two rows"),
        ({"r1_stage": "phase"}, "row 1, column 'stage': the column is gone from the sheet"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_its_place_and_nothing_is_written(workspace, sheet, cells, words):
    before = {item.name: item.read_bytes() for item in workspace.glob("use_case*")}
    edit(sheet, **cells, r4_stage="pilot")
    with pytest.raises(InputError, match=r"^fill-in\.xlsx, sheet 'Use cases', row \d") as caught:
        imported(sheet, workspace)
    assert words in str(caught.value)
    assert {item.name: item.read_bytes() for item in workspace.glob("use_case*")} == before


def test_deleted_rows_emptied_locked_and_added_cells_are_named(workspace, sheet):
    book = openpyxl.load_workbook(sheet)
    page = book["Use cases"]
    page.cell(2, COLUMNS.index("team") + 1).value = None
    page.cell(3, COLUMNS.index("as_of") + 1).value = "2020-01-01"
    page.cell(1, len(COLUMNS) + 1).value = "remark"
    page.cell(2, len(COLUMNS) + 1).value = "why?"
    page.delete_rows(4)
    book.save(sheet)
    report = imported(sheet, workspace)
    texts = [item["text"] for item in report["warnings"]]
    assert "rows were deleted from the sheet; their use cases stay: c" in texts
    assert "cells were emptied; their values stay: a team" in texts
    assert "locked cells were edited and are not read: b as_of" in texts
    assert "columns that were added are not read: remark" in texts
    assert report["into"]["changes"] == []
    assert len(held_rows(workspace)) == 3


def test_a_value_that_moved_meanwhile_is_kept_and_named(workspace, sheet, tmp_path):
    edit(sheet, r2_team="service desk", r3_stage="pilot")
    (tmp_path / "new.csv").write_text("ID,Use case,Team\na,=1+1,contact centre\n", encoding="utf-8")
    imported(tmp_path / "new.csv", workspace, replace=True)
    report = imported(sheet, workspace)
    assert any("a team: 'contact centre', not 'service desk'" in item["text"] for item in report["warnings"])
    assert [item["field"] for item in report["into"]["changes"]] == ["stage"]
    assert row(workspace, "a")["team"] == "contact centre"
    assert imported(sheet, workspace, replace=True)["into"]["changes"][0]["new"] == "service desk"


def test_a_sheet_without_its_hidden_copy_is_an_ordinary_spreadsheet(sheet, tmp_path):
    book = openpyxl.load_workbook(sheet)
    del book["sent"]
    book.save(tmp_path / "copy.xlsx")
    assert is_fill_in(sheet)
    assert not is_fill_in(tmp_path / "copy.xlsx")
    with pytest.raises(InputError, match="needs the sheets"):
        read_answers(tmp_path / "copy.xlsx")


FILLED = st.fixed_dictionaries({
    "name": TEXT.filter(bool), "team": TEXT.filter(bool), "owner_role": TEXT.filter(bool),
    "stage": st.sampled_from(["", *load_contract("use_cases").field("stage").enum]),
    "slo_p95_e2e_ms": st.floats(1e-3, 1e9).map(repr) | st.just(""),
    "stated_usd_per_month": st.integers(0, 10**15).map(str) | st.just(""),
    "launch_month": st.sampled_from(["", "2026-01", "1999-12"]),
})  # fmt: skip
NO_VALUES = load_contract("use_cases").missing_values


@given(st.lists(FILLED.filter(lambda filled: filled["name"] not in NO_VALUES), min_size=8, max_size=8))
@settings(max_examples=2)
def test_out_and_back_loses_nothing(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("round")
    workspace = new_workspace(folder / "ws")
    cases = "ID,Use case\n" + "".join(f"x{number},X\n" for number in range(len(rows)))
    (folder / "cases.csv").write_text(cases, encoding="utf-8")
    imported(folder / "cases.csv", workspace, TODAY)
    write_sheet(workspace, folder / "f.xlsx", TODAY)
    fill(folder / "f.xlsx", rows)
    imported(folder / "f.xlsx", workspace)
    held = held_rows(workspace)
    for number, filled in enumerate(rows):
        wanted = {name: "" if value in NO_VALUES else value for name, value in filled.items()}
        assert {name: held.loc[f"x{number}"].get(name, "") for name in filled} == wanted
    write_sheet(workspace, folder / "again.xlsx", TODAY)
    assert imported(folder / "again.xlsx", workspace)["into"]["changes"] == []


def fill(path: Path, rows):
    """Fill cells as text, formula-like text included."""
    book = openpyxl.load_workbook(path)
    for number, filled in enumerate(rows, 2):
        for name, value in filled.items():
            if value:
                cell = book["Use cases"].cell(number, COLUMNS.index(name) + 1)
                cell.value = value
                cell.data_type = "s"
    book.save(path)


def test_the_command_line_goes_out_and_back(workspace, tmp_path):
    out = tmp_path / "cli.xlsx"
    run = CliRunner().invoke
    sent = run(app, ["sheet", str(workspace), "--out", str(out), "--owner", "retail"])
    assert sent.exit_code == 0, sent.output
    assert "2 use cases with 17 gaps" in sent.output
    edit(out, r2_criticality="critical")
    back = run(app, ["import", "use-cases", str(out), "--into", str(workspace)])
    assert back.exit_code == 0, back.output
    assert "CHANGED a criticality: (empty) -> critical" in back.output
