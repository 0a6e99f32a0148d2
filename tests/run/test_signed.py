"""What is approved must be what was signed."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import aifactory as af
from aifactory.cli import app
from aifactory.errors import InputError
from aifactory.run.manifest import MANIFEST
from aifactory.run.signed import STAGE, TABLE, check_plan_signed, check_settings_signed

PLAN = pd.DataFrame(
    {
        "plan_period": "2026-10",
        "month": ["2026-11", "2026-12"],
        "use_case_id": "chat",
        "region": "eu",
        "accelerator_id": ["nvidia-l4", ""],
        "cost_usd": [1234.5, 2000.0],
        "value_usd": [np.nan, 1e-9],
    }
)


def published(folder, plan=PLAN, settings=None):
    """A report of October as far as an approval reads it."""
    stage = folder / "2026-10" / STAGE
    (stage / "tables").mkdir(parents=True)
    plan.to_csv(stage / TABLE, index=False)
    facts = {"fingerprint": "f", "settings": settings or {}}
    (stage / MANIFEST).write_text(json.dumps({"aifactory": facts, "resources": [1]}), encoding="utf-8")
    return stage.parent


def test_without_a_report_nothing_is_compared(tmp_path):
    assert not check_settings_signed(tmp_path / "2026-10", {"wacc": 0.1})
    (tmp_path / "2026-10" / STAGE).mkdir(parents=True)
    (tmp_path / "2026-10" / STAGE / MANIFEST).write_text("{", encoding="utf-8")
    assert not check_settings_signed(tmp_path / "2026-10", {})


def test_the_plan_of_the_report_passes_whatever_the_order_of_its_rows(tmp_path):
    folder = published(tmp_path, settings={"wacc": 0.12})
    assert check_settings_signed(folder, {"wacc": 0.12})
    check_plan_signed(folder, PLAN[::-1].reset_index(drop=True))
    check_plan_signed(folder, PLAN.assign(cost_usd=PLAN["cost_usd"] * (1 + 1e-7), note=[1.0, 2.0]))


@pytest.mark.parametrize(
    ("signed", "given", "words"),
    [
        ({"wacc": 0.12}, {}, r"value 'none': the published report of 2026-10 was made with --set wacc=0.12"),
        ({}, {"wacc": 0.12}, r"value 'wacc=0.12': the published report of 2026-10 was made with no --set"),
        ({"horizon_months": 24, "wacc": 0.1}, {"wacc": 0.1}, "--set horizon_months=24 --set wacc=0.1"),
    ],
)
def test_other_what_if_values_are_refused_and_those_of_the_report_named(tmp_path, signed, given, words):
    with pytest.raises(InputError, match=words):
        check_settings_signed(published(tmp_path, settings=signed), given)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (PLAN.assign(cost_usd=[1234.5, 2000.1]), r"2026-12, chat, eu, : cost_usd 2,000.1, in the report 2,000"),
        (PLAN.assign(value_usd=[0.0, 1e-9]), "value_usd 0, in the report nan"),
        (PLAN.iloc[:1], "2026-12, chat, eu,  is only in the report"),
        (PLAN.assign(accelerator_id=["nvidia-l4", "nvidia-l40s"]), "is only in the"),
        (PLAN.iloc[:0], "2026-11, chat, eu, nvidia-l4 is only in the report"),
    ],
)
def test_a_plan_that_nobody_has_read_is_refused(tmp_path, plan, words):
    with pytest.raises(InputError, match=words) as refused:
        check_plan_signed(published(tmp_path), plan.reset_index(drop=True))
    assert "or use --unsigned" in str(refused.value)


def test_the_command_writes_nothing_of_a_plan_that_is_not_the_reports(mini, monkeypatch):
    """The whole command but for the plan itself, which is made up here."""
    orders = pd.DataFrame({"order_index": [1, 9], "band": "baseline", "renewal": False, "commitment_usd": [2e6, 500.0],
                           "accelerators": [1600, 8], "accelerator_id": "nvidia-l4", "region": "eu", "purchase_option": "reserved_1y"})  # fmt: skip
    quoted = orders.loc[:0, ["accelerator_id", "region", "purchase_option"]].assign(age_days=400, exact_region=False)
    ports = pd.DataFrame(
        {"use_case_id": ["chat"], "chosen_id": ["google-tpu-v5e"], "ported": [True], "porting_usd": [80_000.0]}
    )
    found = SimpleNamespace(approved_plan=PLAN, orders=orders, options=quoted, ports=ports, hosted_today=pd.DataFrame())
    written = []
    for name in ("build_inventory", "build_benchmark", "build_shortlist"):
        monkeypatch.setattr(af, name, lambda *_: None, raising=False)
    monkeypatch.setattr(af, "build_buy_plan", lambda *_: found, raising=False)
    monkeypatch.setattr(af, "approve_plan", lambda plan, path, force: written.append(plan) or path, raising=False)
    command = ["approve", "--workspace", str(mini), "--period", "2026-10"]
    alone = CliRunner().invoke(app, command)
    assert "compared with no published report" in alone.stdout and written.pop() is found
    assert "in the order book: 1, USD 2.0 million" in alone.stdout and "on triggers: 1, USD 500" in alone.stdout
    doubt = "1,600 nvidia-l4, eu, reserved, 1 year, past its limit, not of the region."
    assert f"Firm orders whose price needs a new quote before signing: {doubt}" in alone.stdout
    assert "- {use_case_id: chat, platform_class: tpu, begun: 2026-10}" in alone.stdout
    quoted["age_days"], quoted["exact_region"] = 0, True
    assert "new quote" not in CliRunner().invoke(app, command).stdout and written.pop() is found
    published(mini / "reports", PLAN.assign(cost_usd=1.0))
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, InputError) and written == []
    assert CliRunner().invoke(app, [*command, "--unsigned"]).exit_code == 0 and written.pop() is found
    PLAN.to_csv(mini / "reports" / "2026-10" / STAGE / TABLE, index=False)
    assert "It is the plan of the report" in CliRunner().invoke(app, command).stdout and written.pop() is found
    assert "made with no --set" in str(CliRunner().invoke(app, [*command, "--set", "wacc=0.2"]).exception)
