"""The five reports of the sample company: complete, self-contained, reproducible, honest about gaps."""

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from frictionless import Package
from report_audit import audit
from road_runs import Road, few_use_cases, run_copy

from aifactory.errors import InputError
from aifactory.inputs.new import new_workspace
from aifactory.run.runner import run_road
from aifactory.run.stages import STAGE_BY_NAME

pytestmark = pytest.mark.slow
MAX_REPORT_BYTES = 700_000
REPO = Path(__file__).resolve().parents[2]


class Outline(HTMLParser):
    """Headings, figures, captions and loaded addresses of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        if tag != "a":
            self.loads += [attributes[key] for key in ("src", "href") if attributes.get(key)]


def test_each_report_is_one_self_contained_page(road, stage):
    page = road.html(stage)
    outline = Outline(page.read_text())
    assert page.stat().st_size <= MAX_REPORT_BYTES
    assert outline.tags.count("h1") == 1
    assert outline.tags.count("h2") >= 5
    assert outline.tags.count("figure") >= 1
    assert outline.tags.count("caption") == outline.tags.count("table")
    assert [address for address in outline.loads if not address.startswith(("data:", "#"))] == []


def test_each_table_names_the_inputs_it_was_made_of(road, stage):
    found = road.results(stage)
    assert set(found["sources"]) == set(found["tables"])
    assert all(found["sources"].values())


def test_figures_follow_from_the_tables_beside_them(road, few, sample_dir):
    assert audit(road.folder, sample_dir) == []
    assert audit(few.folder, few.outcome.out.parent / "company") == []


#: A figure of a table changed, and the words that the audit finds for it.
SLIPS = {
    ("buy_plan", "cash_flow", "opex_usd"): ("net cash", "NPV", "total cost by cash"),
    ("buy_plan", "roi", "payback_month"): ("payback",),
    ("buy_plan", "unit_cost", "usd_month"): ("cost of a use case by line",),
    ("buy_plan", "approved_plan", "cost_usd"): ("cost of the approved rows",),
    ("buy_plan", "fleet", "growth"): ("bands of the fleet",),
    ("refresh", "variance", "mix"): ("variance: causes",),
    ("inventory", "spend_monthly", "effective_cost_usd"): ("bill of a month",),
    ("shortlist", "penalties", "porting_usd"): ("penalties",),
}


@pytest.mark.parametrize("place", SLIPS, ids=lambda place: "-".join(place))
def test_a_figure_that_does_not_follow_is_found(road, sample_dir, tmp_path, place):
    stage, name, column = place
    shutil.copytree(road.folder, tmp_path / "month")
    path = tmp_path / "month" / stage / "tables" / f"{name}.csv"
    table = pd.read_csv(path, low_memory=False)
    table.loc[1, column] = table.loc[1, column] + 1000.0
    table.to_csv(path, index=False)
    found = audit(tmp_path / "month", sample_dir)
    assert [words for words in SLIPS[place] if not any(text.startswith(words) for text in found)] == []


def test_each_report_names_period_sources_and_dates(road, stage):
    text = re.sub(r"<script.*?</script>|<style.*?</style>", "", road.html(stage).read_text(), flags=re.DOTALL)
    assert "October 2026" in text
    assert "Source" in text
    assert not re.search(r"\b(nan|NaN|NaT|None|inf)\b", re.sub(r"<[^>]+>", " ", text))


def test_no_machine_path_in_what_is_published(road, stage, tmp_path):
    folder = road.folder / stage
    for path in folder.rglob("*"):
        if path.suffix in {".html", ".json", ".csv", ".ipynb"}:
            assert str(road.outcome.out.parent) not in path.read_text(), path.name


def test_each_manifest_is_a_valid_data_package(road, stage):
    report = Package(str(road.folder / stage / "manifest.json")).validate()
    assert report.valid, report.flatten(["rowNumber", "fieldName", "type", "note"])[:5]


def test_workbooks_hold_every_table_and_no_formula_from_data(road, stage):
    book = openpyxl.load_workbook(road.folder / stage / f"{stage}.xlsx")
    tables = {path.stem for path in (road.folder / stage / "tables").glob("*.csv")}
    assert "Read me" in book.sheetnames
    assert len(book.sheetnames) >= len(tables) + 1


def test_headline_figures_have_units_and_are_finite(road, stage):
    headline = road.results(stage)["headline"]
    assert len(headline) >= 4
    for name, figure in headline.items():
        assert figure["unit"], name
        assert figure["value"] is None or isinstance(figure["value"], str) or abs(figure["value"]) < 1e15, name


def test_stages_agree_with_each_other(road):
    def read(stage, table):
        return pd.read_csv(road.folder / stage / "tables" / f"{table}.csv")

    fleet = read("buy_plan", "fleet")
    assert (fleet["baseline"] + fleet["growth"] + fleet["surge"] == fleet["accelerators"]).all()
    parts = read("buy_plan", "unit_cost")
    total = parts[parts["line"] == "total"].set_index("use_case_id")["usd_per_unit"]
    summed = parts[parts["line"] != "total"].groupby("use_case_id")["usd_per_unit"].sum()
    pd.testing.assert_series_equal(summed.reindex(total.index), total, check_names=False, rtol=1e-9)


def test_an_unchanged_workspace_is_up_to_date(road):
    again = run_road(workspace=road.outcome.workspace.path, out=road.outcome.out)
    assert {item.state for item in again.stages} == {"up to date"}


#: Tables that a company may lack, and what the page of a stage says then.
GAPS = {
    "pools.*": ("refresh", "Capacity triggers of the pools could not be computed: no pool readings."),
    "benchmarks.*": ("benchmark", "There are no benchmark runs; capacity could not be computed from measurements."),
    "jobs.*": ("inventory", "training and fine-tuning demand, queues and failures: no job table."),
    "billing.*": ("inventory", "There is no bill of this month, so cost could not be computed."),
    "approved_plan.*": ("refresh", "Steps of an approved plan could not be computed"),
}


#: What the few use cases run without; all five pages without the others: `test_the_smallest_companies_get_five_reports`.
FEW_LACK, FEW_LACK_TOO = ("pools.*", "benchmarks.*"), ("jobs.*", "billing.*", "approved_plan.*")


@pytest.fixture(scope="module")
def few(sample_dir, tmp_path_factory) -> Road:
    """All stages of a company of few use cases that lacks some tables."""
    folder = tmp_path_factory.mktemp("few")
    workspace = few_use_cases(sample_dir, folder / "company", *FEW_LACK)
    return Road(run_road(workspace=workspace, out=folder / "reports"))


def assert_gaps(road: Road, partial: Road, without) -> None:
    assert [(item.stage.name, item.message) for item in partial.outcome.failed] == []
    for name, (stage, sentence) in GAPS.items():
        assert sentence not in road.html(stage).read_text()
        assert (sentence in partial.html(stage).read_text()) == (name in without), name


def test_partial_data_runs_and_says_what_is_missing(road, few):
    assert_gaps(road, few, FEW_LACK)


def test_other_partial_data_runs_and_says_what_is_missing(sample_dir, road, tmp_path):
    workspace = few_use_cases(sample_dir, tmp_path / "company", *FEW_LACK_TOO)
    stages = ("inventory", "benchmark", "refresh")
    assert_gaps(road, Road(run_road(stages, workspace=workspace, out=tmp_path / "reports")), FEW_LACK_TOO)


def same_bytes(one: Road, other: Road, stages) -> None:
    """All that two runs published is the same, but for manifests, which hold the time that a run took."""
    for name in stages:
        paths = [path for path in sorted((one.folder / name).rglob("*")) if path.is_file()]
        assert {"results.json", f"{name}.html", f"{name}.xlsx", f"{name}.ipynb"} <= {path.name for path in paths}
        for path in paths:
            if path.name != "manifest.json":
                twin = other.folder / name / path.relative_to(one.folder / name)
                assert path.read_bytes() == twin.read_bytes(), f"{name}/{path.name}"


def test_a_second_run_gives_the_same_bytes(sample_dir, few, tmp_path):
    """All stages, one after the other instead of side by side, of a company of few use cases."""
    workspace = few_use_cases(sample_dir, tmp_path / "company", *FEW_LACK)
    same_bytes(few, Road(run_road(workspace=workspace, out=tmp_path / "reports", workers=1)), STAGE_BY_NAME)


def test_a_second_run_of_the_whole_sample_gives_the_same_bytes(road, sample_dir, tmp_path):
    """Bills, readings of pools and benchmark runs of all use cases, which the few lack."""
    stages = ("inventory", "benchmark")
    same_bytes(road, run_copy(sample_dir, tmp_path, stages=stages, workers=1), stages)


def test_plain_papermill_runs_a_notebook(tmp_path):
    workspace = new_company(tmp_path, *FIRST_COMPANY)
    target = tmp_path / "out.ipynb"
    source = REPO / "notebooks" / "04_buy_plan.ipynb"
    command = [Path(sys.executable).parent / "papermill", source, target, "-p", "workspace", workspace]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=REPO, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    cells = json.loads(target.read_text())["cells"]
    assert any("image/svg+xml" in str(cell.get("outputs")) or "vegalite" in str(cell.get("outputs")) for cell in cells)


def break_file(workspace, name, change):
    path = next(workspace.glob(f"{name}.*"))
    change(pd.read_parquet(path)).to_csv(workspace / f"{name}.csv", index=False)
    path.unlink()


BROKEN = {
    "missing file": (lambda ws: next(ws.glob("use_cases.*")).unlink(), ["use_cases"]),
    "unknown column": (
        lambda ws: break_file(ws, "jobs", lambda t: t.rename(columns={"accelerators": "acelerators"})),
        ["jobs.csv", "acelerators", "accelerators"],
    ),
    "negative price": (
        lambda ws: (ws / "prices.csv").write_text(
            "price_id,provider,accelerator_id,region,purchase_option,term_months,usd_per_accelerator_hour,source,as_of,confidence\n"
            "mine-1,Example,nvidia-h100-sxm,*,on_demand,0,-2.5,quote,2026-10-01,measured\n"
        ),
        ["prices.csv", "row 2", "usd_per_accelerator_hour", "-2.5"],
    ),
    "no telemetry": (
        lambda ws: [
            p.unlink() for n in ("demand_windows", "jobs", "requests", "demand_chain") for p in ws.glob(f"{n}.*")
        ],
        ["demand"],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_workspaces_are_refused_before_a_kernel_starts(sample_dir, tmp_path, name):
    change, words = BROKEN[name]
    workspace = tmp_path / "company"
    shutil.copytree(sample_dir, workspace, ignore=shutil.ignore_patterns(".cache", "reports"))
    change(workspace)
    with pytest.raises(InputError) as error:
        run_road(workspace=workspace, out=tmp_path / "reports")
    assert all(word in str(error.value) for word in words), str(error.value)
    assert not list(tmp_path.glob("reports/20*"))


ONE_CASE = (
    "use_case_id,name,workload_class,business_unit,team,owner_role,model,service_unit,request_pattern,criticality,"
    "stage,source,as_of\n{0},Name,{1},unit,team,head of it,{2},{3},interactive,internal,pilot,test,2026-10-01\n"
)


def new_company(folder, case, tables):
    """A workspace as `aifactory new` makes it, with one use case and some rows."""
    workspace = new_workspace(folder / "company")
    (workspace / "use_cases.csv").write_text(case)
    for name, text in tables.items():
        (workspace / f"{name}.csv").write_text(text)
    return workspace


def first_requests(count=300):
    times = pd.date_range("2026-10-01", periods=count, freq="7min", tz="UTC")
    rows = [f"r{n},{time:%Y-%m-%dT%H:%M:%SZ},chat,us-east,ok,100,50" for n, time in enumerate(times)]
    return "\n".join(["request_id,timestamp_utc,use_case_id,region,status,input_tokens,output_tokens", *rows]) + "\n"


#: Use cases and tables of a company that has noted its requests and nothing else.
FIRST_COMPANY = (
    ONE_CASE.format("chat", "real_time_inference", "Llama-3.1-8B", "request"),
    {"requests": first_requests()},
)


def waiting_jobs():
    head = "job_id,use_case_id,region,accelerator_id,accelerators,submitted_utc,started_utc,ended_utc,status\n"
    return head + "j1,train,us-east,nvidia-h100-sxm,8,2026-10-03T00:00:00Z,,,running\n"


@pytest.mark.parametrize(
    ("case", "tables", "sized"),
    [
        (*FIRST_COMPANY, True),
        (
            ONE_CASE.format("chat", "real_time_inference", "Model-of-ours-7B", "request"),
            {"requests": first_requests()},
            False,
        ),
        (ONE_CASE.format("train", "batch_training", "", "accelerator_hour"), {"jobs": waiting_jobs()}, False),
    ],
    ids=["known model", "unknown model", "jobs that wait"],
)
def test_the_smallest_companies_get_five_reports(tmp_path, case, tables, sized):
    workspace = new_company(tmp_path, case, tables)
    road = Road(run_road(workspace=workspace, out=tmp_path / "reports"))
    assert [(item.stage.name, item.message) for item in road.outcome.failed] == []
    decision = road.results("buy_plan")["headline"]["decision"]["value"]
    assert decision.startswith("Nothing can be decided yet") != sized
    if not sized:
        assert "no demand of the month can be sized" in road.html("buy_plan").read_text()
