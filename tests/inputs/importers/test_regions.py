"""Regions of a provider under the names of the plan: said, never merged in silence."""

import pandas as pd
import pytest

from aifactory.errors import InputError
from aifactory.inputs.importers.command import Target, import_files, read_mapping
from aifactory.inputs.importers.regions import settle_regions

LOG = "ts,workload,in_tokens,out_tokens,region\n"
CALL = "2026-11-05T0{}:00:00Z,chat,7,20,{}\n"
TODAY = pd.Timestamp("2026-11-25", tz="UTC")


def log(folder, *regions):
    path = folder / "log.csv"
    path.write_text(LOG + "".join(CALL.format(hour, region) for hour, region in enumerate(regions)))
    return path


def provider_region(workspace, region="eu", provider="europe-west1"):
    plan = workspace / "plan.yaml"
    lines = plan.read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if f"region: {region}" in line)
    assert "provider_regions" in lines[at]
    before, rest = lines[at].split("provider_regions: {", 1)
    lines[at] = f"{before}provider_regions: {{GCP: {provider}" + rest[rest.index("}") :]
    plan.write_text("\n".join(lines) + "\n")


def test_a_provider_region_becomes_the_region_of_the_plan(mini, tmp_path):
    provider_region(mini)
    (mini / "demand_windows.csv").unlink()
    report = import_files(
        "telemetry", [log(tmp_path, "europe-west1", "eu", "europe-west1")], mini, Target(today=TODAY)
    )[0]
    assert {"text": "region europe-west1 is eu in the plan", "rows": 2} in report["warnings"]
    assert pd.read_parquet(mini / "requests.parquet")["region"].tolist() == ["eu"] * 3


def test_the_mapping_of_the_analyst_wins(tmp_path):
    path = tmp_path / "m.yaml"
    path.write_text("regions: {dc-7: eu}\n")
    report = import_files("telemetry", [log(tmp_path, "dc-7", "us")], None, Target(today=TODAY, **read_mapping(path)))[
        0
    ]
    assert {"text": "region dc-7 is eu in the plan", "rows": 1} in report["warnings"]


def test_regions_that_nobody_knows_stay(tmp_path):
    report = import_files("telemetry", [log(tmp_path, "dc-7")], None, Target(today=TODAY))[0]
    assert not any("in the plan" in item["text"] for item in report["warnings"])


def test_sums_of_two_regions_are_not_put_into_one(mini):
    windows = pd.DataFrame(
        {"window_start_utc": pd.to_datetime(["2026-11-05T00:00:00Z"] * 2), "use_case_id": "chat", "region": ["a", "b"]}
    )
    with pytest.raises(InputError, match="two regions of the delivery become one"):
        settle_regions("x", {"warnings": []}, {"demand_windows": windows}, None, {"a": "eu", "b": "eu"})


def test_a_use_case_of_another_table_is_named_at_the_import(mini, tmp_path):
    report = import_files("telemetry", [log(tmp_path, "eu")], mini, Target(today=TODAY))[0]
    assert [item["rows"] for item in report["warnings"] if "counted in demand_windows too (chat)" in item["text"]] == [
        1
    ]


def test_a_region_that_the_plan_lacks_is_said_at_once(mini, tmp_path):
    """Two of three rows: the import is the moment to name their region, not the check after it."""
    (mini / "demand_windows.csv").unlink()
    report = import_files("telemetry", [log(tmp_path, "dc-7", "eu", "dc-7")], mini, Target(today=TODAY))[0]
    said = [item for item in report["warnings"] if "region dc-7 is not described in plan.yaml" in item["text"]]
    assert [item["rows"] for item in said] == [2]
    assert not any("region eu is not" in item["text"] for item in report["warnings"])
