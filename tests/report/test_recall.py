"""The first report of a month is found beside the one being made, whatever replaced it since."""

import json

import pandas as pd
import pytest

from aifactory.report.results import recall


def publish(root, folder, fingerprint, value):
    (root / folder / "tables").mkdir(parents=True)
    pd.DataFrame({"value": [value]}).to_csv(root / folder / "tables" / "kept.csv", index=False)
    (root / folder / "manifest.json").write_text(json.dumps({"aifactory": {"fingerprint": fingerprint}}))


def run(root, fingerprint, state="done", settings=None, period="2026-09", stage="refresh"):
    line = {"period": period, "stage": stage, "state": state, "settings": settings or {}, "fingerprint": fingerprint}
    with (root / "runs.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")


@pytest.fixture
def here(tmp_path):
    folder = tmp_path / "2026-10" / ".staging" / "refresh"
    folder.mkdir(parents=True)
    return folder


def test_the_first_report_counts_though_another_took_its_place(tmp_path, here):
    for mark, state in (("f" * 64, "failed"), ("a" * 64, "done"), ("a" * 64, "up to date"), ("b" * 64, "done")):
        run(tmp_path, mark, state)
    publish(tmp_path, "2026-09/refresh", "b" * 64, 2.0)
    publish(tmp_path, f"earlier/2026-09-refresh-{'a' * 12}", "a" * 64, 1.0)
    assert recall(here, "refresh", "2026-09", "kept")["value"].tolist() == [1.0]
    assert recall(here, "refresh", "2026-09", "other").empty
    assert recall(here, "refresh", "2026-08", "kept").empty


def test_what_if_runs_do_not_count(tmp_path, here):
    run(tmp_path, "c" * 64, settings={"wacc": 0.2})
    publish(tmp_path, "2026-09/refresh", "c" * 64, 3.0)
    assert recall(here, "refresh", "2026-09", "kept").empty


def test_nothing_is_found_without_a_list_of_runs_or_a_folder(here):
    assert recall(here, "refresh", "2026-09", "kept").empty
    assert recall("", "refresh", "2026-09", "kept").empty
