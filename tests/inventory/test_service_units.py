"""A company with every service unit, counted by hand from request rows and jobs to the scenarios."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from aifactory.demand.forecast import simulate_demand
from aifactory.inputs.workspace import load_workspace
from aifactory.inventory import build_inventory
from aifactory.units import HOURS_PER_MONTH

HOURS = 31 * 24
#: Use case: class, unit, pattern, requests an hour in us and eu, units that a request states (None: not stated).
CASES = {
    "chat": ("real_time_inference", "request", (4, 2), None),
    "agent": ("agentic_orchestration", "session", (6, 3), None),
    "pictures": ("multimodal_media", "image", (2, 1), 3.0),
    "clips": ("multimodal_media", "video_second", (1, 1), 6.5),
    "calls": ("multimodal_media", "audio_minute", (2, 1), 2.25),
    "camera": ("edge_on_device", "inference", (5, 4), None),
}
CALLS_OF_A_SESSION = 3
#: Telemetry ends with the last request, within the last hour: observed hours are short by up to one.
LAST_HOUR = 1 / HOURS
#: Two jobs an hour apart would overlap; one a day runs five hours on eight accelerators.
JOB_HOURS, JOB_ACCELERATORS = 5, 8


def _use_cases():
    head = "use_case_id,name,workload_class,business_unit,team,owner_role,service_unit,request_pattern,criticality,stage,source,as_of\n"
    rows = [(name, kind, unit, "interactive") for name, (kind, unit, *_) in CASES.items()]
    rows.append(("training", "batch_training", "accelerator_hour", "scheduled"))
    return head + "".join(
        f"{name},{name},{kind},retail,cx,head of {name},{unit},{how},internal,production,test,2026-10-31\n"
        for name, kind, unit, how in rows
    )


def _requests():
    parts = []
    start = pd.date_range("2026-10-01", periods=HOURS, freq="h", tz="UTC")
    for name, (_, unit, rates, states) in CASES.items():
        for region, rate in zip(("us", "eu"), rates, strict=True):
            hour = np.repeat(np.arange(HOURS), rate)
            number = np.arange(len(hour))
            part = pd.DataFrame({"timestamp_utc": start[hour] + pd.to_timedelta(number % rate * 601, unit="s"), "use_case_id": name, "region": region})  # fmt: skip
            part["request_id"] = [f"{name}-{region}-{n}" for n in number]
            part["status"] = np.where(number % 10 == 9, "error", "ok") if name == "chat" else "ok"
            part["session_id"] = [f"{region}-{n // CALLS_OF_A_SESSION}" if unit == "session" else "" for n in number]
            part["service_units"] = states
            tokens = name in ("chat", "agent")
            part["input_tokens"], part["output_tokens"] = (800, 120) if tokens else (None, None)
            parts.append(part)
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(timestamp_utc=rows["timestamp_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def _jobs():
    head = "job_id,use_case_id,region,accelerator_id,accelerators,submitted_utc,started_utc,ended_utc,status\n"
    return head + "".join(
        f"job-{day},training,us,nvidia-a100-80-sxm,{JOB_ACCELERATORS},2026-10-{day:02d}T01:00:00Z,2026-10-{day:02d}T02:00:00Z,2026-10-{day:02d}T07:00:00Z,completed\n"
        for day in range(1, 32)
    )


@pytest.fixture(scope="module")
def company(_mini_master, tmp_path_factory):
    folder = tmp_path_factory.mktemp("units")
    (folder / "plan.yaml").write_text((_mini_master / "plan.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "use_cases.csv").write_text(_use_cases(), encoding="utf-8")
    _requests().to_csv(folder / "requests.csv", index=False)
    (folder / "jobs.csv").write_text(_jobs(), encoding="utf-8")
    return load_workspace(folder)


@pytest.fixture(scope="module")
def inventory(company):
    return build_inventory(company)


def by_hand():
    """Units of the month by use case and region."""
    found = {}
    for name, (_, unit, rates, states) in CASES.items():
        for region, rate in zip(("us", "eu"), rates, strict=True):
            requests = rate * HOURS
            units = requests * (1.0 if states is None else states)
            units = requests / CALLS_OF_A_SESSION if unit == "session" else units
            found[name, region] = requests - requests // 10 if name == "chat" else units
    found["training", "us"] = 31.0 * JOB_HOURS * JOB_ACCELERATORS
    return found


def test_units_of_each_kind_are_those_counted_by_hand(inventory):
    month = inventory.demand_monthly.set_index(["use_case_id", "region"])["units"]
    assert month.to_dict() == pytest.approx(by_hand())
    profile = inventory.demand_profile.set_index(["use_case_id", "region"])
    assert profile["units_month"].to_dict() == pytest.approx(by_hand())
    hourly = {key: units / HOURS for key, units in by_hand().items()}
    assert profile["units_per_hour_avg"].to_dict() == pytest.approx(hourly, rel=LAST_HOUR)


def test_they_reach_the_scenarios_as_a_month_of_730_hours(company, inventory):
    """Without doubt and growth every month of every scenario holds today's units, those of regions apart."""
    names = ("demand_noise_sd", "growth_drift_sd", "unknown_growth_sd", "size_drift_sd", "unknown_size_growth_sd", "launch_slip_months")  # fmt: skip
    calm = {name: company.plan.assumptions[name].model_copy(update=dict.fromkeys(("low", "value", "high"), 0.0)) for name in names}  # fmt: skip
    same = [item.model_copy(update={"growth_multiplier": 1.0, "adoption": 1.0}) for item in company.plan.scenarios]
    plan = company.plan.model_copy(
        update={"assumptions": company.plan.assumptions | calm, "launches": [], "scenarios": same}
    )
    bare = dataclasses.replace(inventory.demand_basis, weekly_units={})
    frame = simulate_demand(bare, plan, company.period, paths=20).frame
    for scenario in ("conservative", "expected", "aggressive"):
        last = frame[(frame["scenario"] == scenario) & (frame["month"] == frame["month"].max())]
        found = last.set_index(["use_case_id", "region"])["units"].to_dict()
        assert found == pytest.approx(
            {key: units / HOURS * HOURS_PER_MONTH for key, units in by_hand().items()}, rel=LAST_HOUR
        )
    units = frame.set_index("use_case_id")["service_unit"].to_dict()
    assert units == {name: unit for name, (_, unit, *_) in CASES.items()} | {"training": "accelerator_hour"}


def test_the_factors_of_a_unit_stand_in_the_chain(inventory):
    chains = inventory.chains.set_index("use_case_id")
    per_unit = chains["requests_per_unit"]
    assert per_unit["agent"] == pytest.approx(CALLS_OF_A_SESSION)
    assert per_unit["chat"] == pytest.approx(by_requests("chat") / (by_hand()["chat", "us"] + by_hand()["chat", "eu"]))
    assert [per_unit[name] for name in ("pictures", "clips", "calls", "camera")] == pytest.approx([1 / 3, 1 / 6.5, 1 / 2.25, 1.0])  # fmt: skip
    tokens = (per_unit["agent"] * chains.loc["agent", "units_month"]) * 920
    assert chains.loc["agent", "tokens_month"] == pytest.approx(tokens) == pytest.approx(by_requests("agent") * 920)
    assert np.isnan(chains.loc["camera", "tokens_month"])


def by_requests(name):
    return sum(CASES[name][2]) * HOURS


def test_requests_a_second_of_each_class_carry_their_window(inventory):
    peaks = inventory.class_peaks.set_index("workload_class")
    # every hour: us and eu send their first request in the same minute
    assert peaks["window_minutes"].unique().tolist() == [1]
    assert peaks.loc["real_time_inference", "requests_per_s"] == pytest.approx(2 / 60)
    assert peaks.loc["multimodal_media", "requests_per_s"] == pytest.approx(6 / 60)
    assert "batch_training" not in peaks.index
    profile = inventory.demand_profile.set_index(["use_case_id", "region"])
    assert profile.loc[("camera", "us"), "requests_per_s_peak"] == pytest.approx(1 / 60)
    assert profile.loc[("camera", "us"), "window_minutes"] == 1
    assert np.isnan(profile.loc[("training", "us"), "requests_per_s_peak"])
