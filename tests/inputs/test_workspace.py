"""A workspace: found, loaded, cached, checked; its reporting month."""

import dataclasses
import hashlib
from decimal import Decimal

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.check import _span, check_workspace
from aifactory.inputs.contracts import contract_names, load_contract
from aifactory.inputs.workspace import (
    CACHE_DIR,
    CACHES_KEPT,
    SOURCE_COLUMNS,
    find_workspace,
    load_workspace,
    table_file,
)


def keep_rows(path, keep):
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *filter(keep, rows)]) + "\n", encoding="utf-8")


def test_a_workspace_holds_every_table_in_its_dtypes(mini_ws):
    assert set(mini_ws.tables) == set(contract_names())
    for name in contract_names():
        contract = load_contract(name)
        frame = mini_ws.table(name)
        assert set(contract.columns) <= set(frame.columns)
        if not frame.empty:
            for field in contract.fields:
                assert str(frame[field.name].dtype).lower() == field.dtype.lower(), (name, field.name)


def test_the_month_is_the_latest_complete_one(mini_ws):
    assert (mini_ws.period, mini_ws.periods, mini_ws.as_of) == ("2026-10", ["2026-09", "2026-10"], "2026-10-31")


def test_half_a_month_is_not_the_reporting_month(mini):
    (mini / "billing.csv").unlink()
    keep_rows(mini / "demand_windows.csv", lambda row: row < "2026-10-16")
    assert load_workspace(mini).period == "2026-09"


def test_a_month_without_its_last_day_is_not_complete(mini):
    (mini / "billing.csv").unlink()
    keep_rows(mini / "demand_windows.csv", lambda row: row < "2026-10-31")
    assert load_workspace(mini).period == "2026-09"


def test_a_month_can_be_chosen(mini):
    assert load_workspace(mini, "2026-09").as_of == "2026-09-30"


@pytest.mark.parametrize("period", ["2026-11", "2026-9", "2025-10"])
def test_a_month_without_data_names_the_span(mini, period):
    with pytest.raises(InputError, match=rf"period: value '{period}': the data cover 2026-09 to 2026-10"):
        load_workspace(mini, period)


@pytest.mark.parametrize(
    ("period", "advice"),
    [
        ("2027-12", "data of this month are not there yet; import them, or report 2026-10"),
        ("2025-10", "nothing is known that early; report 2026-07 or later"),
        ("2026-08", "but no row of this month; import what is missing, or report 2026-07"),
        ("2026-9", "Did you mean '2026-"),
    ],
)
def test_a_month_that_cannot_be_reported_says_what_to_do(mini, period, advice):
    """September goes to July, so that the months between have no data: a gap, the future, the past, a slip of the pen."""
    for path in mini.glob("*.csv"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("2026-09-30", "2026-07-31").replace("2026-09", "2026-07"), encoding="utf-8")
    with pytest.raises(InputError, match=advice):
        load_workspace(mini, period)


def test_the_rows_of_the_month_are_those_of_the_month(mini_ws):
    assert len(mini_ws.month("demand_windows")) == 31 * 24 * 3
    assert len(mini_ws.month("jobs")) == 4
    assert len(mini_ws.month("pools")) == 31 * 2
    assert len(mini_ws.month("billing")) == 8
    assert len(mini_ws.month("latency_histograms")) == 0


def test_the_second_load_gives_the_same_tables(mini):
    first, second = load_workspace(mini), load_workspace(mini)
    for name in contract_names():
        pd.testing.assert_frame_equal(first.table(name), second.table(name))
    assert sum(first.table("billing")["EffectiveCost"], Decimal(0)) == sum(
        second.table("billing")["EffectiveCost"], Decimal(0)
    )
    pd.testing.assert_frame_equal(first.checks, second.checks)
    pd.testing.assert_frame_equal(first.sources, second.sources)


def test_a_changed_file_is_read_again(mini):
    before = load_workspace(mini).table("account_map")
    (mini / "account_map.csv").write_text("SubAccountId,team,business_unit\nacc-2,studio,retail\n", encoding="utf-8")
    after = load_workspace(mini).table("account_map")
    assert (before["team"].tolist(), after["team"].tolist()) == (["media"], ["studio"])


def test_few_caches_are_kept(mini):
    for number in range(CACHES_KEPT + 2):
        text = f"SubAccountId,team,business_unit\nacc-{number},media,retail\n"
        (mini / "account_map.csv").write_text(text, encoding="utf-8")
        load_workspace(mini)
    assert len(list((mini / CACHE_DIR).iterdir())) == CACHES_KEPT


def test_a_workspace_loads_where_no_cache_can_be_written(mini):
    for path in sorted((mini / CACHE_DIR).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (mini / CACHE_DIR).rmdir()
    (mini / CACHE_DIR).write_text("in the way", encoding="utf-8")
    assert load_workspace(mini).period == "2026-10"


def test_own_rows_win_over_the_catalogue(mini, mini_ws):
    shipped = mini_ws.table("models")
    own = shipped.iloc[[0]].assign(context_tokens=12345.0, as_of="2026-10-01")
    own.to_csv(mini / "models.csv", index=False)
    merged = load_workspace(mini).table("models")
    assert len(merged) == len(shipped)
    assert merged.set_index("model").loc[shipped["model"].iloc[0], "context_tokens"] == 12345.0


def test_every_file_stands_in_the_sources(mini_ws):
    sources = mini_ws.sources
    assert list(sources.columns) == SOURCE_COLUMNS
    own = sources[sources["origin"] == "workspace"].set_index("table")
    assert set(own["file"]) == {path.name for path in mini_ws.path.glob("*.csv")}
    bill = own.loc["billing"]
    assert (bill["rows"], bill["first"], bill["last"]) == (16, "2026-09-01", "2026-10-01")
    assert bill["sha256"] == hashlib.sha256((mini_ws.path / "billing.csv").read_bytes()).hexdigest()


def test_request_rows_become_windows_and_histograms(mini):
    (mini / "requests.csv").write_text(
        "request_id,timestamp_utc,use_case_id,region,status,ttft_ms,e2e_ms\n"
        "r1,2026-10-05T09:00:00Z,models,us,ok,100,2000\nr2,2026-10-05T09:00:01Z,models,us,error,,\n",
        encoding="utf-8",
    )
    ws = load_workspace(mini)
    window = ws.table("demand_windows").query("use_case_id == 'models'").iloc[0]
    assert (window["requests"], window["errors"], window["service_units"]) == (2, 1, 1.0)
    assert ws.table("latency_histograms")["count"].sum() == 2


def test_a_use_case_is_counted_in_one_table_only(mini):
    (mini / "requests.csv").write_text(
        "request_id,timestamp_utc,use_case_id,region,status\nr1,2026-10-05T09:00:00Z,chat,us,ok\n", encoding="utf-8"
    )
    with pytest.raises(InputError, match="value 'chat': is counted in requests and in demand_windows; keep one"):
        load_workspace(mini)


def test_times_without_a_zone_are_a_warning_of_the_workspace(mini):
    path = mini / "jobs.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(":00Z", ":00"), encoding="utf-8")
    for ws in (load_workspace(mini), load_workspace(mini)):
        warned = ws.checks[ws.checks["status"] == "warned"]
        assert set(warned["message"]) == {
            f"jobs, column '{name}': 8 times without a zone were read as UTC"
            for name in ("submitted_utc", "started_utc", "ended_utc")
        }


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda f: (f / "use_cases.csv").unlink(), r"use_cases\.csv: not found in mini-company; this table is needed"),
        (lambda f: [(f / n).unlink() for n in ("jobs.csv", "demand_windows.csv")], "no demand found: one of"),
        (lambda f: (f / "plan.yaml").unlink(), r"plan\.yaml: not found in"),
        (lambda f: (f / "jobs.csv.gz").write_bytes(b""), r"two files for table 'jobs'; keep one"),
        (lambda f: (f / "job.csv").write_text("a\n"), r"job\.csv: value 'job': is not a table.*Did you mean 'jobs'"),
        (lambda f: (f / "jobs.csv").write_text("job\n"), r"jobs\.csv, row 1, column 'job': unknown column\."),
        (lambda f: (f / "jobs.csv").rename(f / "gone") and (f / "jobs.csv").symlink_to(f.parent / "x.csv"), None),
    ],
)  # fmt: skip
def test_a_workspace_that_cannot_be_used_says_why(mini, edit, words):
    (mini.parent / "x.csv").write_text("job_id\n", encoding="utf-8")
    edit(mini)
    with pytest.raises(InputError, match=words or "is a link that leaves the workspace"):
        load_workspace(mini)


def test_demand_that_is_only_stated_is_enough(mini):
    """Nothing is measured, four factors say what is launched: the month is the newest in which they were true."""
    for path in mini.iterdir():
        if path.name.split(".")[0] not in {"plan", "use_cases", "prices", "accelerators"} and path.is_file():
            path.unlink()
    name = use_case_names(mini)[0]
    row = f"{name},,{{}},{{}},,,owner,stated,{{}}"
    lines = ["use_case_id,region,factor,value,low,high,owner_role,source,as_of",
             row.format("seats", 100, "2026-09-30"), row.format("units_per_seat_month", 3, "2026-11-15"),
             row.format("active_share", 0.5, "2026-09-30"), row.format("active_share_day_90", 0.6, "2026-09-30")]  # fmt: skip
    (mini / "demand_chain.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ws = load_workspace(mini)
    assert ws.period == "2026-11" and ws.periods == ["2026-09", "2026-11"]
    assert not check_workspace(mini).failures
    (mini / "demand_chain.csv").write_text(lines[0] + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="no table of demand has rows"):
        load_workspace(mini)


def use_case_names(folder):
    return [line.split(",")[0] for line in (folder / "use_cases.csv").read_text(encoding="utf-8").splitlines()[1:]]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_workspace(tmp_path / "gone")


def test_the_workspace_is_found_upwards(mini, monkeypatch):
    below = mini / "notebooks" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_workspace() == mini.resolve()


def test_without_a_workspace_the_sample_is_taken(tmp_path, monkeypatch, sample_dir):
    monkeypatch.chdir(tmp_path)
    assert find_workspace() == sample_dir


def test_a_table_that_is_not_there_is_none(mini):
    assert table_file(mini, "decisions") is None


def test_an_unknown_table_names_the_nearest(mini_ws):
    with pytest.raises(InputError, match="no table 'job'. Did you mean 'jobs'"):
        mini_ws.table("job")
    assert mini_ws.has("jobs")
    assert not mini_ws.has("decisions")


def test_overrides_reach_the_plan(mini):
    assert load_workspace(mini, overrides={"wacc": 0.2}).plan.value("wacc") == 0.2


def test_a_sound_workspace_has_a_clean_report(mini):
    report = check_workspace(mini)
    assert (report.failures, report.warnings) == ([], [])
    jobs = report.summary.set_index("table").loc["jobs"]
    assert (jobs["file"], jobs["rows"], jobs["period"], jobs["failed"]) == ("jobs.csv", 8, "2026-09 to 2026-10", 0)
    assert "decisions" in report.absent


def test_coverage_is_of_what_was_measured_and_not_of_dates_to_come(mini):
    """A hosted model that retires in 2028 makes its price list no data up to 2028; counts by month are of their months."""
    template = load_contract("api_prices").empty()
    row = template.reindex([0]).assign(deprecation_date=pd.Timestamp("2028-03-31"), as_of=pd.Timestamp("2026-10-01"))
    assert _span("api_prices", row) == ""
    months = pd.DataFrame({"month": pd.Series(["2026-09", "2026-10"], dtype="str")})
    assert _span("latency_histograms", months) == "2026-09 to 2026-10"
    assert _span("latency_histograms", months.iloc[:0]) == ""


def test_the_report_collects_faults_of_several_files(mini):
    (mini / "jobs.csv").write_text("job\n", encoding="utf-8")
    (mini / "pools.csv").unlink()
    (mini / "pools.csv").write_text("", encoding="utf-8")
    (mini / "plan.yaml").write_text("a: 1\n", encoding="utf-8")
    report = check_workspace(mini)
    text = "\n".join(report.failures)
    assert all(name in text for name in ("jobs.csv", "pools.csv", "plan.yaml"))
    failed = report.summary.set_index("table")["failed"]
    assert (failed["jobs"], failed["pools"], failed["billing"]) == (1, 1, 0)


def test_the_report_counts_warnings(mini):
    path = mini / "billing.csv"
    path.write_text(path.read_text(encoding="utf-8") + path.read_text(encoding="utf-8").splitlines()[1] + "\n")
    report = check_workspace(mini)
    assert len(report.warnings) == 1
    assert report.summary.set_index("table").loc["billing", "warned"] == 1


# Known faults of the workspace.


def test_a_workspace_without_any_row_is_refused(mini):
    for name in ("jobs", "demand_windows", "billing"):
        keep_rows(mini / f"{name}.csv", lambda row: False)
    with pytest.raises(InputError):
        load_workspace(mini)


@pytest.mark.parametrize("name", ["jobs.CSV", "jobs.xlsx", "jobs.tsv"])
def test_a_table_in_an_unreadable_kind_of_file_is_named(mini, name):
    (mini / "jobs.csv").rename(mini / name)
    try:
        ws = load_workspace(mini)
    except InputError:
        return
    assert ws.has("jobs") or (ws.checks["status"] == "warned").any()


def test_a_damaged_cache_is_built_again(mini):
    load_workspace(mini)
    for path in (mini / CACHE_DIR).rglob("use_cases.parquet"):
        path.write_bytes(b"damaged")
    try:
        period = load_workspace(mini).period
    except Exception as error:
        pytest.fail(type(error).__name__)
    assert period == "2026-10"


def test_the_report_collects_a_table_given_twice(mini):
    (mini / "jobs.csv.gz").write_bytes(b"")
    assert "two files for table 'jobs'" in "\n".join(check_workspace(mini).failures)


def ending(ws, month, *, asked=False):
    """The mini company whose images end in a month; nothing is asked of them in October unless told."""
    cases, windows = ws.table("use_cases"), ws.table("demand_windows")
    october = windows["window_start_utc"] >= pd.Timestamp("2026-10-01", tz="UTC")
    left = windows if asked else windows[~(october & (windows["use_case_id"] == "images"))]
    ends = cases["retire_month"].astype("str").mask(cases["use_case_id"] == "images", month)
    tables = {"use_cases": cases.assign(retire_month=ends), "demand_windows": left}
    return dataclasses.replace(ws, tables={**ws.tables, **tables})


@pytest.mark.parametrize(
    ("month", "asked", "ended"),
    [
        ("2026-10", False, {"images"}),
        ("2026-09", False, {"images"}),
        ("2026-11", False, set()),
        ("2026-10", True, set()),
    ],
)
def test_a_use_case_has_ended_from_its_month_of_retirement_on_unless_it_is_still_asked(mini_ws, month, asked, ended):
    ws = ending(mini_ws, month, asked=asked)
    assert ws.ended == ended
    left = ws.without_ended()
    assert set(left.table("use_cases")["use_case_id"]) == {"chat", "images", "models"} - ended
    assert ("images" in set(left.table("benchmarks")["use_case_id"])) == (not ended)
    assert (left is ws) == (not ended)


@pytest.mark.parametrize(
    ("retires", "silent"), [(None, ["images"]), ("2026-10", []), ("2026-12", ["images"])]
)  # fmt: skip
def test_a_use_case_without_its_usual_demand_is_silent_unless_it_ended(mini_ws, retires, silent):
    ws = ending(mini_ws, retires) if retires else ending(mini_ws, "2027-12")
    assert ws.silent == silent
    assert mini_ws.silent == []
    assert ws.asked_in("2026-09") == {"chat", "images", "models"} and ws.asked_in("2027-01") == set()


def test_a_job_of_an_earlier_month_that_still_runs_is_demand(mini_ws):
    jobs = mini_ws.table("jobs").iloc[:1].assign(
        submitted_utc=pd.Timestamp("2026-08-30", tz="UTC"), started_utc=pd.Timestamp("2026-08-31", tz="UTC")
    )  # fmt: skip
    for ended, status, held in (
        ("2026-10-02", "completed", True),
        ("2026-09-30", "completed", False),
        (None, "running", True),
    ):
        end = pd.Timestamp(ended, tz="UTC") if ended else pd.NaT
        rows = jobs.assign(ended_utc=pd.Series([end], index=jobs.index, dtype=jobs["ended_utc"].dtype), status=status)
        ws = dataclasses.replace(mini_ws, tables={**mini_ws.tables, "jobs": rows})
        assert ("models" in ws.asked_in("2026-10")) is held


@pytest.mark.parametrize(("column", "value"), [("value_usd_per_unit", "1e15"), ("slo_p95_e2e_ms", "1e15")])
def test_a_slip_of_units_in_a_use_case_is_refused(mini, column, value):
    path = mini / "use_cases.csv"
    table = pd.read_csv(path, dtype="str")
    table.loc[0, column] = value
    table.to_csv(path, index=False)
    with pytest.raises(InputError, match=f"use_cases.csv, row 2, column '{column}'.*at most 1e"):
        load_workspace(mini)
