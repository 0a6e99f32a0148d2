"""Files that lack a name: reported whatever they lack, written only where the workspace leaves no choice."""

import pandas as pd
import pytest
import yaml

from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.unnamed import UNNAMED

LOG = "ts,workload,in_tokens,out_tokens\n2026-10-05T09:00:00Z,chat,900,200\n2026-10-05T09:00:01Z,search,9,2\n"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:16:46.6805900,10,1"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n"
PHILLY = "timestamp,duration,num_gpus\n2017-10-09 07:01:55,3600,4\n"


def read(folder, text, kind, into=None, **target):
    path = folder / "Some Log.csv"
    path.write_text(text)
    return import_files(kind, [path], into, Target(**target))[0]


def remarks(report):
    return {item["text"]: item["rows"] for item in report["warnings"]}


def one_region(workspace, keep="us"):
    """Leave one region in the plan of a workspace, and no demand of another."""
    plan = yaml.safe_load((workspace / "plan.yaml").read_text())
    plan["regions"] = [item for item in plan["regions"] if item["region"] == keep]
    plan["region_latency"] = []
    (workspace / "plan.yaml").write_text(yaml.safe_dump(plan))


@pytest.mark.parametrize(("text", "kind"), [(LOG, "telemetry"), (AZURE, "trace"), (BURST, "trace"), (PHILLY, "jobs")])
def test_a_report_needs_no_names(tmp_path, text, kind):
    report = read(tmp_path, text, kind)
    assert report["rows_read"] == report["rows_kept"] == text.count("\n") - text.endswith("\n")
    assert (
        remarks(report)[f"no region is named: shown as {UNNAMED}; say it with --region to write to a workspace"]
        == (report["rows_kept"])
    )


def test_a_trace_is_called_after_its_file(tmp_path):
    assert list(read(tmp_path, AZURE, "trace")["workloads"]) == ["some-log"]
    assert list(read(tmp_path, AZURE, "trace", use_case="chat")["workloads"]) == ["chat"]


def test_the_only_region_of_a_plan_is_taken_and_said(mini, tmp_path):
    one_region(mini)
    (mini / "demand_windows.csv").unlink()
    report = read(tmp_path, LOG, "telemetry", mini)
    assert "no region is named: us, the only one of plan.yaml, was taken; --region names another" in remarks(report)
    assert pd.read_parquet(mini / "requests.parquet")["region"].tolist() == ["us", "us"]


def test_use_cases_that_the_workspace_does_not_list_are_told(mini, tmp_path):
    log = LOG.replace("search", "chatt")
    said = [text for text in remarks(read(tmp_path, log, "telemetry", mini, region="us")) if "no use case" in text]
    assert [text.split(" ")[0] for text in said] == ["chatt"]
    assert "Did you mean 'chat'?" in said[0] and "`use_cases` of a --mapping" in said[0]
    plain = remarks(read(tmp_path, LOG.replace("search", "images"), "telemetry"))
    assert not [text for text in plain if "no use case" in text]


def test_an_empty_workspace_lists_no_use_cases_yet(mini, tmp_path):
    path = mini / "use_cases.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert not [text for text in remarks(read(tmp_path, LOG, "telemetry", mini, region="us")) if "no use case" in text]


def test_several_regions_leave_a_choice_to_the_analyst(mini, tmp_path):
    regions = [item["region"] for item in yaml.safe_load((mini / "plan.yaml").read_text())["regions"]]
    if len(regions) == 1:
        plan = yaml.safe_load((mini / "plan.yaml").read_text())
        plan["regions"].append(plan["regions"][0] | {"region": "eu"})
        (mini / "plan.yaml").write_text(yaml.safe_dump(plan))
        regions.append("eu")
    with pytest.raises(
        InputError, match=rf"Some Log\.csv: names no region; say it with --region\. Allowed: {regions[0]}"
    ):
        read(tmp_path, LOG, "telemetry", mini)
    assert not (mini / "requests.parquet").exists()


def test_days_and_accelerators_are_never_guessed_into_a_workspace(mini, tmp_path):
    with pytest.raises(InputError, match="holds no dates: .* say with --first-day"):
        read(tmp_path, BURST, "trace", mini, region="us")
    with pytest.raises(InputError, match="names no accelerator; say it with --accelerator"):
        read(tmp_path, PHILLY, "jobs", mini, region="us")
