"""A workspace made by an enemy: nothing in it runs, leaves its folder or turns into a formula."""

import csv
import gzip

import openpyxl
import pandas as pd
import pytest
import yaml

from aifactory.errors import InputError
from aifactory.inputs.workspace import load_workspace
from aifactory.run.parameters import parse_settings
from aifactory.run.runner import run_road

PAYLOADS = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=document.title='owned'>",
    '=HYPERLINK("file:///etc/passwd","x")',
    "@SUM(1+1)*cmd|'/c calc'!A1",
    "{{ cycler.__init__.__globals__ }}",
    "[x](javascript:document.title='owned')",
    "</script><svg onload=document.title='owned'>",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@pytest.fixture(scope="module")
def hostile(_mini_master, tmp_path_factory):
    """The tiny workspace with a payload in every free text."""
    import shutil

    folder = tmp_path_factory.mktemp("hostile")
    workspace = shutil.copytree(_mini_master, folder / "company", ignore=shutil.ignore_patterns(".cache"))
    cases = pd.read_csv(workspace / "use_cases.csv", dtype="str")
    for column, payload in zip(
        ["name", "business_unit", "team", "owner_role", "model", "source"], PAYLOADS, strict=False
    ):
        cases[column] = payload
    cases.to_csv(workspace / "use_cases.csv", index=False)
    bill = pd.read_csv(workspace / "billing.csv", dtype="str")
    bill["ChargeDescription"] = PAYLOADS[2]
    bill["Tags"] = bill["Tags"].where(
        bill["Tags"].isna(), '{"team": "=1+1", "business_unit": "<b>x</b>", "use_case": "chat"}'
    )
    bill.to_csv(workspace / "billing.csv", index=False)
    plan = (workspace / "plan.yaml").read_text()
    plan = plan.replace(
        "organisation: Your organisation", f"organisation: {yaml.safe_dump(PAYLOADS[6]).splitlines()[0]}"
    )
    (workspace / "plan.yaml").write_text(plan)
    road = run_road(workspace=workspace, out=folder / "reports")
    assert [(item.stage.name, item.message) for item in road.failed] == []
    return road


def pages(road):
    return sorted(road.out.rglob("*.html"))


def test_payloads_stand_as_text(hostile):
    text = "".join(page.read_text(encoding="utf-8") for page in pages(hostile))
    assert "&lt;script&gt;document.title" in text or "&lt;img src=x" in text
    for payload in (*PAYLOADS[:2], PAYLOADS[6], "<b>x</b>", 'href="javascript:'):
        assert payload not in text


def test_nothing_of_it_runs_in_a_browser(hostile):
    import shutil

    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page, asked = browser.new_page(), []
        page.on("request", lambda request: asked.append(request.url))
        for path in pages(hostile):
            page.goto(path.as_uri())
            page.wait_for_load_state("load")
            assert page.title() != "owned"
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_no_cell_of_a_workbook_is_a_formula_of_theirs(hostile):
    for path in hostile.out.rglob("*.xlsx"):
        for sheet in openpyxl.load_workbook(path):
            for row in sheet.iter_rows():
                for cell in row:
                    assert cell.data_type != "f" or "HYPERLINK" not in str(cell.value), f"{path.name} {cell.coordinate}"
                    assert not (isinstance(cell.value, str) and cell.data_type == "f" and "cmd" in cell.value)


def test_no_text_cell_of_a_csv_starts_a_formula(hostile):
    for path in hostile.out.rglob("tables/*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                for cell in row:
                    assert not cell.startswith(FORMULA_STARTS) or _is_number(cell), f"{path.name}: {cell[:40]}"


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system ['true']", "a: &x [1]\nb: *x", "a: 1\na: 2"])
def test_a_plan_is_data(mini, text):
    (mini / "plan.yaml").write_text(text)
    with pytest.raises(InputError, match=r"plan\.yaml"):
        load_workspace(mini)


def test_a_link_out_of_the_workspace_is_refused(mini, tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_text((mini / "use_cases.csv").read_text())
    (mini / "use_cases.csv").unlink()
    (mini / "use_cases.csv").symlink_to(outside)
    with pytest.raises(InputError, match="leaves the workspace"):
        load_workspace(mini)


def test_a_plan_that_is_a_link_out_of_the_workspace_is_refused(mini, tmp_path):
    (mini / "plan.yaml").rename(tmp_path / "plan.yaml")
    (mini / "plan.yaml").symlink_to(tmp_path / "plan.yaml")
    with pytest.raises(InputError, match="plan.yaml: is a link that leaves the workspace"):
        load_workspace(mini)


def test_an_archive_that_unpacks_without_end_is_refused(mini, monkeypatch):
    monkeypatch.setattr("aifactory.inputs.csv_text.MAX_CSV_BYTES", 1_000_000)
    (mini / "billing.csv").unlink()
    with gzip.open(mini / "billing.csv.gz", "wb") as file:
        file.write(b"a" * 2_000_000)
    with pytest.raises(InputError, match="unpacks to more than"):
        load_workspace(mini)


def test_a_pickle_is_not_a_table(mini):
    (mini / "jobs.csv").unlink()
    (mini / "jobs.parquet").write_bytes(b"\x80\x04\x95cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        load_workspace(mini)


@pytest.mark.parametrize(
    "text", ["wacc=1);import os", "x\nimport os=1", "__import__=1", "wacc=0.1 # x", "wacc=nan", "wacc="]
)
def test_settings_are_names_and_numbers(text):
    with pytest.raises(InputError):
        parse_settings([text])
