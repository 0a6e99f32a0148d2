"""A report is whole or absent: swap, recovery after a kill, lock, failures kept aside."""

import json
import os
import subprocess
import sys

import pytest

from aifactory.errors import InputError, StageError
from aifactory.report.index import write_index
from aifactory.run import publish
from aifactory.run.manifest import is_up_to_date


def build(period_folder, text):
    folder = publish.stage_folder(period_folder, "inventory")
    (folder / "inventory.html").write_text(text)
    return folder


def read(period_folder):
    return (period_folder / "inventory" / "inventory.html").read_text()


@pytest.fixture
def period_folder(tmp_path):
    folder = tmp_path / "2026-10"
    folder.mkdir()
    return folder


def test_publish_replaces_the_report_and_leaves_nothing_behind(period_folder):
    for text in ("first", "second"):
        build(period_folder, text)
        publish.publish(period_folder, "inventory")
    publish.recover(period_folder)
    assert read(period_folder) == "second"
    assert [path.name for path in period_folder.iterdir()] == ["inventory"]


def test_a_run_killed_while_building_leaves_the_good_report(period_folder):
    build(period_folder, "good")
    publish.publish(period_folder, "inventory")
    build(period_folder, "half")
    publish.recover(period_folder)
    assert read(period_folder) == "good"
    assert not (period_folder / ".staging").exists()


def test_a_run_killed_inside_the_swap_is_undone(period_folder):
    build(period_folder, "good")
    final = publish.publish(period_folder, "inventory")
    build(period_folder, "new")
    (period_folder / ".old").mkdir(exist_ok=True)
    final.rename(period_folder / ".old" / "inventory")  # and then the process dies
    publish.recover(period_folder)
    assert read(period_folder) == "good"


def test_a_run_killed_after_the_swap_keeps_the_new_report(period_folder):
    build(period_folder, "new")
    publish.publish(period_folder, "inventory")
    (period_folder / ".old" / "inventory").mkdir(parents=True)
    publish.recover(period_folder)
    assert read(period_folder) == "new"


def test_only_one_run_writes_to_a_folder(tmp_path):
    first = publish.lock_output(tmp_path / "out")
    with pytest.raises(StageError, match=rf"another run that writes to .* \(process {os.getpid()}, for \d+ s\)"):
        publish.lock_output(tmp_path / "out")
    first.release()
    publish.lock_output(tmp_path / "out").release()


@pytest.mark.parametrize("left", ["", "4711\n", "no number", "\x00\x00"])
def test_the_lock_of_a_dead_process_is_taken_over_whatever_it_holds(tmp_path, left):
    (tmp_path / ".lock").write_text(left)
    (tmp_path / ".lock.owner").write_text(left)
    publish.lock_output(tmp_path).release()
    assert (tmp_path / ".lock.owner").read_text() == f"{os.getpid()}\n"


def whole(folder, text, fingerprint):
    """A report with its manifest."""
    folder.mkdir(parents=True)
    (folder / "inventory.html").write_text(text)
    manifest = {"resources": [{"path": "inventory.html"}], "aifactory": {"fingerprint": fingerprint}}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_report_of_other_inputs_is_kept_beside_the_one_that_replaces_it(period_folder):
    for number, (text, fingerprint) in enumerate([("first", "a" * 64), ("again", "a" * 64), ("late data", "b" * 64)]):
        whole(period_folder / ".staging" / "inventory", text, fingerprint)
        publish.publish(period_folder, "inventory")
        kept = [path.name for path in (period_folder.parent / "earlier").glob("*")]
        assert kept == (["2026-10-inventory-" + "a" * 12] if number == 2 else [])
    assert read(period_folder) == "late data"
    assert (period_folder.parent / "earlier" / kept[0] / "inventory.html").read_text() == "again"


def test_a_run_killed_after_the_swap_keeps_the_earlier_report_too(period_folder):
    whole(period_folder / "inventory", "new", "b" * 64)
    whole(period_folder / ".old" / "inventory", "old", "a" * 64)
    publish.recover(period_folder)
    assert read(period_folder) == "new"
    kept = period_folder.parent / "earlier" / ("2026-10-inventory-" + "a" * 12)
    assert (kept / "inventory.html").read_text() == "old"
    assert not (period_folder / ".old").exists()


@pytest.mark.parametrize("damage", [b"", b'{"resources": [', b"\xff\xfe", b"[]", b"null", b'{"resources": []}'])
def test_a_report_whose_manifest_is_damaged_is_never_listed(period_folder, damage):
    whole(period_folder / "inventory", "good", "a" * 64)
    whole(period_folder / "shortlist", "half", "a" * 64)
    (period_folder / "shortlist" / "manifest.json").write_bytes(damage)
    page = write_index(period_folder.parent).read_text()
    assert "2026-10/inventory/inventory.html" in page and "2026-10/shortlist" not in page
    assert not is_up_to_date(period_folder / "shortlist", "a" * 64)
    assert [path.name for path in period_folder.parent.glob("*tmp")] == []


HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(0.5)
"""


def test_a_run_may_wait_for_the_one_before(tmp_path):
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out" / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StageError, match="another run"):
            publish.lock_output(tmp_path / "out")
        publish.lock_output(tmp_path / "out", wait_s=60).release()


def test_an_output_folder_that_is_a_file_is_bad_input(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        publish.lock_output(tmp_path / "out")


def test_a_failure_is_kept_with_its_traceback(tmp_path, period_folder):
    build(period_folder, "half")
    kept = publish.keep_failure(tmp_path, period_folder, "inventory", "Traceback: boom", "20261103T060000Z")
    assert kept == tmp_path / "failed" / "20261103T060000Z-2026-10-inventory"
    assert (kept / "traceback.txt").read_text() == "Traceback: boom"
    assert (kept / "inventory.html").read_text() == "half"
    assert not (period_folder / "inventory").exists()


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_a_lock_that_is_no_file_is_named(tmp_path, kind):
    lock = tmp_path / ".lock"
    lock.mkdir() if kind == "folder" else lock.symlink_to(tmp_path / "none" / "there")
    with pytest.raises(InputError, match=r"\.lock': cannot be written"):
        publish.lock_output(tmp_path)
    lock.rmdir() if kind == "folder" else lock.unlink()
    (tmp_path / ".lock.owner").mkdir()  # nobody can say who holds it; it is held all the same
    held = publish.lock_output(tmp_path)
    with pytest.raises(StageError, match="is at work; wait"):
        publish.lock_output(tmp_path)
    held.release()
