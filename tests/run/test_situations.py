"""Runs in bad company: killed, out of room, in odd environments. Each run is a process of its own."""

import os
import signal
import subprocess
import sys
import time
from datetime import date

import pytest

from aifactory.run.parameters import check_period

pytestmark = pytest.mark.slow
SECRET = "sk-test-env-secret"  # noqa: S105 - a stand-in that must appear nowhere
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
from aifactory.cli import main
main()
"""


def start(workspace, out, *before, **environment):
    command = [sys.executable, *(before or ("-m", "aifactory.cli")), "run", "inventory"]
    return subprocess.Popen(
        [*command, "--workspace", str(workspace), "--out", str(out)],
        env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process):
    printed, errors = process.communicate(timeout=300)
    return process.returncode, printed + errors


def test_place_and_order_of_the_machine_change_no_number_and_no_secret_leaves_it(mini, tmp_path):
    odd = {"LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "TZ": "America/St_Johns", "PYTHONHASHSEED": "12345"}
    plain = {"LANG": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}
    runs = {
        "odd": start(mini, tmp_path / "odd", OPENAI_API_KEY=SECRET, **odd),
        "plain": start(mini, tmp_path / "plain", **plain),
    }
    printed = {name: finish(run) for name, run in runs.items()}
    assert [code for code, _ in printed.values()] == [0, 0], printed
    tables = {
        name: {path.name: path.read_bytes() for end in ("csv", "html") for path in (tmp_path / name).rglob(f"*.{end}")}
        for name in ("odd", "plain")
    }
    assert len(tables["odd"]) > 5
    assert tables["odd"] == tables["plain"]
    written = [path for path in (tmp_path / "odd").rglob("*") if path.is_file()]
    assert SECRET not in printed["odd"][1]
    assert [path.name for path in written if SECRET.encode() in path.read_bytes()] == []


def test_a_run_killed_at_work_leaves_no_report_and_the_next_one_works(mini, tmp_path):
    out = tmp_path / "reports"
    killed = start(mini, out)
    deadline = time.monotonic() + 120
    while not list(out.glob("*/.staging/inventory/*.ipynb")) and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert list(out.glob("*/.staging/inventory")), "the run ended before it could be killed"
    assert not list(out.glob("*/inventory/manifest.json"))
    code, printed = finish(start(mini, out))
    assert code == 0, printed
    assert len(list(out.glob("*/inventory/manifest.json"))) == 1
    assert not list(out.glob("*/.staging"))


def test_a_disk_without_room_is_named_and_leaves_no_half_report(mini, tmp_path):
    out = tmp_path / "reports"
    code, printed = finish(start(mini, out, "-c", LIMITED))
    assert code == 1
    assert "no room to write the report" in printed
    assert not list(out.glob("*/inventory"))


@pytest.mark.parametrize(
    ("today", "month"),
    [
        (date(2026, 3, 31), "2026-02"),
        (date(2026, 3, 1), "2026-02"),
        (date(2026, 1, 31), "2025-12"),
        (date(2028, 3, 30), "2028-02"),
    ],
)
def test_the_previous_month_is_a_whole_one_on_every_day(today, month):
    assert check_period("previous", today) == month
