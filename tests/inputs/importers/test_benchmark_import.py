"""Result files into a workspace: facts, curves and repeats, counted once; verdicts at once and in the benchmark stage."""

import json

import benchmark_files as made
import pandas as pd
import pytest
from typer.testing import CliRunner

from aifactory.benchmark import build_benchmark
from aifactory.benchmark.imported import add_verdicts
from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.inputs.check import check_workspace
from aifactory.inputs.importers.benchmarks.facts import said_facts
from aifactory.inputs.importers.command import Target, import_files, read_mapping, suggest_mapping
from aifactory.inputs.importers.store import held_rows
from aifactory.inputs.workspace import load_workspace

FACTS = {"use_case_id": "chat", "accelerator_id": "nvidia-h100-sxm", "accelerators": "8", "precision": "fp8", "tokens_source": "server_usage"}  # fmt: skip
TODAY = pd.Timestamp("2026-11-27", tz="UTC")


def target(**facts):
    return Target(today=TODAY, facts={name: value for name, value in (FACTS | facts).items() if value})


def point_at(concurrency, **changes):
    """A vLLM result at a load: 2 s a request whatever the load."""
    rate = concurrency / 2
    figures = {
        "max_concurrency": concurrency,
        "duration": 100 / rate,
        "request_throughput": rate,
        "output_throughput": rate * 50,
    }
    return made.vllm(**figures | changes)  # fmt: skip


@pytest.fixture
def sweep(tmp_path):
    """A folder with four load points of vLLM."""
    for load in (1, 2, 4, 8):
        made.write(tmp_path / "sweep", f"c{load}.json", point_at(load))
    return tmp_path / "sweep"


def rows_of(workspace):
    held = held_rows(workspace, "benchmarks")
    return held[held["file_sha256"].notna()]


def test_a_folder_becomes_one_curve_sorted_by_load(mini, sweep):
    before = len(held_rows(mini, "benchmarks"))
    reports = import_files("benchmark", [sweep], mini, target(replica_accelerators="4", engine_version="0.11"))
    assert len(held_rows(mini, "benchmarks")) == before + 4
    rows = rows_of(mini)
    assert rows["benchmark_id"].nunique() == 1
    assert rows["concurrency"].tolist() == [1, 2, 4, 8]
    assert rows["point"].tolist() == [1, 2, 3, 4]
    first = rows.iloc[0]
    told = {"use_case_id": "chat", "accelerator_id": "nvidia-h100-sxm", "accelerators": 8, "replica_accelerators": 4,
            "precision": "fp8", "engine": "vllm", "engine_version": "0.11", "tool": "vllm bench serve",
            "load": "fixed_concurrency", "requests": 100, "errors": 0, "duration_s": 200.0, "units_per_s": 0.5,
            "input_tokens_mean": 200.0, "output_tokens_mean": 50.0, "p95_ttft_ms": 300.0, "p99_tpot_ms": 44.0,
            "goodput_requests_per_s": 4.5, "repeat": 1, "confidence": "measured", "tokens_source": "server_usage",
            "source": "vllm bench serve, c1.json, model org/model"}  # fmt: skip
    assert {name: first[name] for name in told} == told
    assert first["as_of"] == pd.Timestamp("2026-11-20")
    assert first["started_utc"] == pd.Timestamp("2026-11-20T10:15:00Z")
    assert [report["written"] for report in reports] == ["benchmarks.csv"] * 4
    assert not check_workspace(mini).failures


def test_a_file_counts_once_however_often_and_under_whatever_name(mini, sweep):
    made.write(sweep, "copy.json", point_at(2))
    reports = import_files("benchmark", [sweep, sweep / "c1.json"], mini, target())
    twin = next(report for report in reports if report["source"] == "copy.json")
    assert twin["rows_left_out"] == {"same bytes as c2.json": 1}
    held = (mini / "benchmarks.csv").read_bytes()
    again = import_files("benchmark", [sweep], mini, target())
    assert (mini / "benchmarks.csv").read_bytes() == held
    assert {reason for report in again for reason in report["rows_left_out"]} >= {
        "counted before: the file is in the table; --replace reads it again"
    }
    import_files("benchmark", [sweep], mini, target(), replace=True)
    assert (mini / "benchmarks.csv").read_bytes() == held


def test_replace_changes_the_facts_of_the_same_files_alone(mini, sweep):
    import_files("benchmark", [sweep], mini, target())
    mine = set(held_rows(mini, "benchmarks")["benchmark_id"])
    import_files("benchmark", [sweep / "c8.json"], mini, target(precision="bf16"), replace=True)
    rows = rows_of(mini)
    assert rows.groupby("precision").size().to_dict() == {"bf16": 1, "fp8": 3}
    assert len(set(held_rows(mini, "benchmarks")["benchmark_id"]) - mine) == 1


def test_a_later_load_joins_the_curve_and_the_same_load_is_a_repeat(mini, sweep):
    import_files("benchmark", [sweep], mini, target())
    later = made.write(sweep, "c16.json", point_at(16))
    again = made.write(sweep, "c8-again.json", point_at(8, p99_ttft_ms=401.0))
    reports = import_files("benchmark", [later, again], mini, target())
    rows = rows_of(mini).set_index("concurrency")
    names = rows["benchmark_id"].unique().tolist()
    assert [name[-4:] for name in names] == ["--r1", "--r2"]
    assert rows.at[16, "benchmark_id"] == names[0]
    assert rows.at[16, "point"] == 5
    assert rows.loc[8, "repeat"].tolist() == [1, 2]
    assert "another repeat" not in str(reports)  # the first run is not among the rows of this delivery


def test_other_prompts_and_another_way_to_offer_load_are_other_curves(mini, tmp_path):
    files = [
        made.write(tmp_path, "a.json", point_at(1)),
        made.write(tmp_path, "same.json", point_at(2, total_input_tokens=114 * 200)),
        made.write(tmp_path, "long.json", point_at(4, total_input_tokens=118 * 200)),
        made.write(tmp_path, "rate.json", point_at(8, request_rate=4.0, max_concurrency=None)),
    ]
    import_files("benchmark", files, mini, target())
    rows = rows_of(mini).set_index("source")
    names = [next(name for source, name in rows["benchmark_id"].items() if f", {file.name}," in source) for file in files]  # fmt: skip
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_a_named_run_keeps_its_name(mini, sweep):
    import_files("benchmark", [sweep], mini, target(run="bake-off"))
    assert set(rows_of(mini)["benchmark_id"]) == {"bake-off--r1"}
    more = made.write(sweep, "c16.json", point_at(16))
    import_files("benchmark", [more], mini, target(run="bake-off"))
    assert set(rows_of(mini)["benchmark_id"]) == {"bake-off--r1"}


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 3, 0, 2), (2, 0, 3, 1)])
def test_the_order_of_the_files_changes_nothing(mini, tmp_path, order):
    files = [made.write(tmp_path, f"{number}.json", point_at(load)) for number, load in enumerate((1, 2, 2.001, 4))]
    import_files("benchmark", files, mini, target())
    first = (mini / "benchmarks.csv").read_bytes()
    import_files("benchmark", [files[number] for number in order], mini, target(), replace=True)
    assert (mini / "benchmarks.csv").read_bytes() == first
    assert rows_of(mini).groupby("benchmark_id").size().tolist() == [3, 1]  # the same load twice is a repeat


@pytest.mark.parametrize(
    ("facts", "match"),
    [
        ({"accelerators": ""}, r"c1\.json, column 'accelerators': the file does not say accelerators: say it with --set"),
        ({"use_case_id": ""}, "the file does not say use_case_id.*Allowed: chat, images, models"),
        ({"use_case_id": "chad"}, r"c1\.json, column 'use_case_id': value 'chad': is not known.*Did you mean 'chat'\?"),
        ({"accelerator_id": "nvidia-h100"}, r"value 'nvidia-h100': is not known.*nvidia-h100-sxm"),
        ({"precision": "fp7"}, r"value 'fp7': is no value of it.*Did you mean 'fp\d"),
        ({"accelerators": "eight"}, r"column 'accelerators': value 'eight': must be a whole number"),
        ({"accelerators": "0"}, r"column 'accelerators': value '0': must be 1 or more"),
        ({"model": "LLama 3"}, r"column 'model': value 'LLama 3': is not known to the workspace"),
        ({"as_of": "2026-13-01"}, r"must be a date such as"),
        ({"as_of": "2026-11-28"}, r"column 'as_of': value '2026-11-28': is after the day of import"),
        ({"run": "My Run"}, r"column 'run': value 'My Run': must be of the form"),
        ({"requests": "7"}, r"column 'requests': value 7: is counted by the file"),
        ({"units_per_request": "0"}, r"column 'units_per_request': value '0': must be above 0"),
        ({"use_case_id": "images"}, r"images counts in units of image, the load tool in requests: say with --set units_per_request"),
    ],
)  # fmt: skip
def test_a_fact_that_is_missing_or_wrong_is_named(mini, sweep, facts, match):
    before = (mini / "benchmarks.csv").read_bytes()
    with pytest.raises(InputError, match=match):
        import_files("benchmark", [sweep], mini, target(**facts))
    assert (mini / "benchmarks.csv").read_bytes() == before


def test_units_of_a_request_scale_the_throughput(mini, sweep):
    import_files("benchmark", [sweep / "c2.json"], mini, target(use_case_id="images", units_per_request="4"))
    assert rows_of(mini)["units_per_s"].tolist() == [4.0]


def test_a_mapping_tells_facts_by_file_and_options_win(mini, tmp_path):
    for chip in ("h100", "a100"):
        made.write(tmp_path / chip, "c4.json", point_at(4, mean_e2el_ms=2000.0 + len(chip) + (chip == "h100")))
    text = (
        'facts: {use_case_id: chat, accelerators: 8, precision: fp8, tokens_source: server_usage, warmup_excluded: true}\n'
        'files:\n  "h100/*": {accelerator_id: nvidia-h100-sxm}\n  "a100/*": {accelerator_id: nvidia-a100-80-sxm, precision: bf16}\n'
    )  # fmt: skip
    mapping = made.write(tmp_path, "map.yaml", text)
    known = Target(today=TODAY, facts={"precision": "int8"}, **read_mapping(mapping, "benchmark"))
    import_files("benchmark", [tmp_path / "h100", tmp_path / "a100"], mini, known)
    rows = rows_of(mini)
    assert set(zip(rows["accelerator_id"], rows["precision"], strict=True)) == {
        ("nvidia-h100-sxm", "int8"), ("nvidia-a100-80-sxm", "int8")
    }  # fmt: skip
    assert rows["warmup_excluded"].tolist() == [True, True]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("fact: {}", r"map\.yaml: value 'fact': is no part of a mapping of benchmarks.*Did you mean 'facts'"),
        ("facts: {precison: fp8}", r"map\.yaml: value 'precison': is no fact of a benchmark.*Did you mean 'precision'"),
        ("facts: {precision: [fp8]}", r"column 'facts\.precision': must hold one value"),
        ("files: [a]", r"column 'files': must hold patterns"),
        ("files: {a: 7}", r"column 'files\.a': must hold names and values"),
        ("facts: !!python/object/apply:os.system [ls]", "not valid YAML"),
    ],
)
def test_a_wrong_mapping_is_refused(sweep, tmp_path, text, match):
    mapping = made.write(tmp_path, "map.yaml", text)
    with pytest.raises(InputError, match=match):
        import_files("benchmark", [sweep], None, Target(today=TODAY, mapping=mapping))


def test_options_are_pairs_of_known_names():
    assert said_facts(["precision=fp8", " precision = fp4 "]) == {"precision": "fp4"}
    for pair, match in (
        ("precision", "must be name=value"),
        ("precision=", "must be name=value"),
        ("gpu=8", "is no fact"),
    ):
        with pytest.raises(InputError, match=match):
            said_facts([pair])
    with pytest.raises(InputError, match="--set: value 'precision': is of benchmarks; billing takes no facts"):
        import_files("billing", ["bill.csv"], None, Target(facts={"precision": "fp8"}))
    with pytest.raises(InputError, match="--region: value 'eu': is no fact of a benchmark"):
        import_files("benchmark", ["x.json"], None, Target(region="eu"))
    with pytest.raises(InputError, match="a benchmark is no server"):
        import_files("benchmark", ["http://localhost:9090"], None, Target())


def test_a_suggested_mapping_asks_for_what_is_missing_and_reads_back(sweep, mini, tmp_path):
    out = suggest_mapping("benchmark", [sweep], tmp_path / "map.yaml")
    text = out.read_text(encoding="utf-8")
    assert "  accelerators:\n" in text
    assert '  "c1.json": {}  # vllm bench serve result; model_id org/model, backend vllm' in text
    assert "engine:" not in text  # the client tells it
    filled = text.replace("use_case_id:", "use_case_id: chat").replace(
        "accelerator_id:", "accelerator_id: nvidia-h100-sxm"
    )
    filled = filled.replace("accelerators:", "accelerators: 8").replace("precision:", "precision: fp8")
    out.write_text(filled, encoding="utf-8")
    import_files("benchmark", [sweep], mini, Target(today=TODAY, mapping=out))
    assert len(rows_of(mini)) == 4
    with pytest.raises(InputError, match="a mapping is never overwritten"):
        suggest_mapping("benchmark", [sweep], out)
    with pytest.raises(InputError, match="none of the files is a result"):
        suggest_mapping("benchmark", [made.write(tmp_path / "other", "a.txt", "x").parent], tmp_path / "new.yaml")


def test_what_is_no_result_is_left_out_of_a_folder_and_refused_by_name(mini, sweep):
    notes = made.write(sweep, "notes.txt", "which flags we used")
    reports = import_files("benchmark", [sweep], mini, target())
    left = next(report for report in reports if report["source"] == "notes.txt")
    assert list(left["rows_left_out"])[0].startswith("no result of a load tool: is no result that is known")
    with pytest.raises(InputError, match="notes.txt: is no result that is known"):
        import_files("benchmark", [notes], mini, target())


def test_a_damaged_file_in_a_folder_stops_the_import_and_nothing_is_written(mini, sweep):
    made.write(sweep, "c9.json", point_at(9, duration=-1))
    before = (mini / "benchmarks.csv").read_bytes()
    with pytest.raises(InputError, match="c9.json, column 'duration': value '-1'"):
        import_files("benchmark", [sweep], mini, target())
    assert (mini / "benchmarks.csv").read_bytes() == before


def test_text_of_a_file_never_becomes_a_formula(mini, tmp_path):
    report = made.guidellm() | {"metadata": {"guidellm_version": "=HYPERLINK(1)"}}
    theirs = made.write(tmp_path, "v.json", point_at(2, engine="@SUM(1)", engine_version="-2+3"))
    import_files("benchmark", [theirs], mini, target())
    import_files("benchmark", [made.write(tmp_path, "g.json", report)], mini, target(engine="vllm"))
    rows = rows_of(mini)
    assert sorted(rows["engine"]) == ["SUM(1)", "vllm"]
    text = (mini / "benchmarks.csv").read_text(encoding="utf-8")
    assert not [
        cell for line in text.splitlines()[1:] for cell in line.split(",") if cell.startswith(("=", "@", "+", "-"))
    ]


def test_verdicts_are_told_with_and_without_a_workspace(mini, tmp_path):
    files = [made.write(tmp_path, "good.json", point_at(4)), made.write(tmp_path, "cut.json", point_at(8, total_output_tokens=0, output_throughput=0.0))]  # fmt: skip
    alone = import_files("benchmark", files, None, target())
    add_verdicts(alone, None)
    assert [report["rows"][0]["verdict"] for report in alone] == ["VALID", "INVALID"]
    stored = import_files("benchmark", files, mini, target())
    add_verdicts(stored, mini)
    assert [report["rows"][0]["verdict"] for report in stored] == ["VALID", "INVALID"]
    (run,) = [run for report in stored for run in report["runs"]]
    assert run["verdict"] == "UNVERIFIED"
    assert run["reasons"].startswith("1 of 2 load points left out; ")


def test_the_benchmark_stage_counts_what_was_imported_and_not_what_is_invalid(mini, tmp_path):
    """Two accelerators by vLLM: one sound, one whose server counted no tokens."""
    loads = (1, 2, 4, 8)
    for chip, speed in (("h100", 1.0), ("a100", 2.0)):
        for load in loads:
            broken = {"total_output_tokens": 0, "output_throughput": 0.0} if chip == "a100" else {}
            made.write(tmp_path / chip, f"c{load}.json", point_at(load, num_prompts=int(100 * speed) if broken else 100, completed=int(100 * speed) if broken else 100, **broken))  # fmt: skip
    empty = (mini / "benchmarks.csv").read_text(encoding="utf-8").splitlines()[0]
    (mini / "benchmarks.csv").write_text(empty + "\n", encoding="utf-8")
    import_files("benchmark", [tmp_path / "h100"], mini, target())
    import_files("benchmark", [tmp_path / "a100"], mini, target(accelerator_id="nvidia-a100-80-sxm"))
    found = build_benchmark(load_workspace(mini))
    verdicts = found.validity.set_index("accelerator_id")
    assert verdicts["verdict"].to_dict() == {"nvidia-h100-sxm": "VALID", "nvidia-a100-80-sxm": "INVALID"}
    assert "no output tokens were counted" in verdicts.at["nvidia-a100-80-sxm", "reasons"]
    chat = found.capacity.query("use_case_id == 'chat'").set_index("accelerator_id")
    assert chat.at["nvidia-h100-sxm", "tier"] == "measured"
    # every load keeps the limits (1,000 ms and 20,000 ms): the busiest, 4 requests/s on 8 accelerators
    assert chat.at["nvidia-h100-sxm", "units_per_s_per_accelerator"] == pytest.approx(0.5)
    assert chat.at["nvidia-a100-80-sxm", "tier"] != "measured"
    assert set(found.curves["accelerator_id"]) == {"nvidia-h100-sxm"}


def test_the_command_reads_reports_and_stores(mini, sweep):
    runner = CliRunner()
    said = [part for name, value in FACTS.items() if name not in ("use_case_id", "accelerator_id") for part in ("--set", f"{name}={value}")]  # fmt: skip
    names = ["--use-case", "chat", "--accelerator", "nvidia-h100-sxm"]
    shown = runner.invoke(app, ["import", "benchmark", str(sweep), *said])
    assert shown.exit_code == 0
    assert "c4.json: vllm bench serve result, 1 of 1 rows, 2026-11-20" in shown.output
    assert "4 in progress, 2 units/s, TTFT p50 200, p95 300, p99 400 ms" in shown.output
    assert "WARNING not said: say use_case_id, accelerator_id" in shown.output
    done = runner.invoke(app, ["import", "benchmark", str(sweep), "--into", str(mini), "--json", *said, *names])
    assert done.exit_code == 0
    reports = json.loads(done.output)
    assert [report["rows"][0]["verdict"] for report in reports] == ["VALID"] * 4
    assert reports[-1]["runs"][0]["points"] == 4
    assert len(rows_of(mini)) == 4


@pytest.mark.parametrize(("told", "facts", "warned"), [
    ("meta-llama/Llama-3.1-8B-Instruct", {}, True), ("meta-llama/Llama-3.1-70B-Instruct", {}, False), ("default", {"model": "Llama-3.1-70B / 3.3-70B"}, False),
])  # fmt: skip
def test_another_model_than_that_of_the_use_case_is_named(mini, tmp_path, told, facts, warned):
    cases = pd.read_csv(mini / "use_cases.csv", dtype=str).assign(model="Llama-3.1-70B / 3.3-70B")
    cases.to_csv(mini / "use_cases.csv", index=False)
    path = made.write(tmp_path, "one.json", point_at(4, model_id=told))
    (report,) = import_files("benchmark", [path], mini, target(**facts))
    text = f"the file is of model {told}, chat runs Llama-3.1-70B / 3.3-70B: if that is another model"
    assert any(item["text"].startswith(text) for item in report["warnings"]) == warned
