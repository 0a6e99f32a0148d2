"""Writers of a workspace in bad company: another one at work, one that was killed, a full disk."""

import errno
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from aifactory.errors import InputError, StageError
from aifactory.inputs import hold, workspace, write
from aifactory.inputs.aggregate.engine import open_engine
from aifactory.inputs.hold import ASIDE, CHANGING, WRITING, exchange, put_bytes, settle, writing
from aifactory.inputs.importers import store
from aifactory.inputs.importers.command import Target, import_files
from aifactory.inputs.importers.prices.refresh import Settings, refresh_prices
from aifactory.inputs.importers.use_cases.sheet import write_sheet
from aifactory.inputs.workspace import load_workspace

TODAY = pd.Timestamp("2026-11-25", tz="UTC")
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def august(mini):
    """The bill of a month that the workspace does not hold yet."""
    head, *rows = (mini / "billing.csv").read_text().splitlines()
    moved = [row.replace("2026-09-01", "2026-08-01").replace("2026-10-01", "2026-09-01") for row in rows[:8]]
    path = mini.parent / "bill-august.csv"
    path.write_text("\n".join([head, *moved]) + "\n")
    return path


def import_bill(path, into):
    return import_files("billing", [path], into, Target(today=TODAY))[0]


def months(workspace):
    return pd.read_csv(workspace / "billing.csv")["BillingPeriodStart"].str[:7].value_counts().to_dict()


def files(workspace):
    return {path.name: path.read_bytes() for path in workspace.iterdir() if path.is_file()}


def test_of_two_writers_at_once_the_second_is_refused_and_no_row_is_lost(mini, august):
    price = ["http://127.0.0.1:9/prices.csv"]
    with writing(mini):
        for write_too in (
            lambda: import_bill(august, mini),
            lambda: import_files("use-cases", [august], mini, Target(today=TODAY)),
            lambda: refresh_prices(mini, price, Settings(TODAY)),
        ):
            with pytest.raises(StageError, match=r"mini-company is at work \(process \d+, for \d+ s\); wait"):
                write_too()
        assert import_bill(august, None)["rows_kept"] == 8  # the report alone writes nothing
        assert "cannot be fetched" in refresh_prices(mini, price, Settings(TODAY, write=False))[0].error
    import_bill(august, mini)
    assert months(mini) == {"2026-08": 8, "2026-09": 8, "2026-10": 8}


DIES = """
import os, sys
from pathlib import Path
from aifactory.inputs.hold import aside, writing
with writing(Path(sys.argv[1])), aside(Path(sys.argv[1])) as building:
    (building / sys.argv[2]).write_text("half a ta")
    os._exit(9)
"""


@pytest.mark.parametrize("left", ["billing.csv", "billing.parquet", "pools.csv"])
def test_what_a_killed_import_left_stops_no_later_one(mini, august, left):
    assert subprocess.run([sys.executable, "-c", DIES, str(mini), left], check=False).returncode == 9
    assert (mini / ASIDE / left).is_file() and (mini / WRITING).is_file()
    import_bill(august, mini)
    assert months(mini) == {"2026-08": 8, "2026-09": 8, "2026-10": 8}
    assert not (mini / ASIDE).exists()
    assert load_workspace(mini).periods[0] == "2026-08"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_and_changes_no_table(mini, august, code, monkeypatch):
    def half(_table, name, folder, *, suffix):
        (folder / f"{name}{suffix}").write_text("BillingPeriodStart,Char")
        raise OSError(code, "full")

    before = files(mini)
    monkeypatch.setattr(store, "write_table", half)
    with pytest.raises(StageError, match=r"mini-company: no room on the disk \(full\); nothing was changed"):
        import_bill(august, mini)
    assert files(mini) == before and not (mini / ASIDE).exists()
    monkeypatch.setattr(store, "write_table", write.write_table)
    import_bill(august, mini)
    assert months(mini)["2026-08"] == 8


def test_a_fill_in_sheet_is_whole_or_absent(mini, tmp_path, monkeypatch):
    def half(path, _held):
        path.touch()
        raise FULL

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        write_sheet(mini, tmp_path / "sheet.xlsx", TODAY)
    assert not list(tmp_path.glob("*sheet*")) and not list(tmp_path.glob(".*sheet*"))
    monkeypatch.undo()
    put_bytes(tmp_path / "sheet.xlsx", b"whole")
    assert (tmp_path / "sheet.xlsx").read_bytes() == b"whole"


@pytest.mark.parametrize(
    "url",
    [
        "postgres://me:sk-secret@nohost/db",
        "mysql://me:p@sk-secret@nohost:3306/db?ssl=1",
        "duckdb://none/here.db?motherduck_token=sk-secret",
        "nosuch://key=sk-secret@x",
    ],
)
def test_the_login_of_an_engine_is_in_no_message(url):
    with pytest.raises(InputError, match="cannot be reached") as refused, open_engine(url, "requests"):
        pass
    assert "sk-secret" not in str(refused.value)
    assert url.split("://")[0] in str(refused.value)


def test_a_workspace_that_may_only_be_read_says_so(mini, august, monkeypatch):
    before, mkdir = months(mini), Path.mkdir

    def refused(self, *arguments, **more):
        if self == mini / WRITING.parent:
            raise OSError(errno.EROFS, "Read-only file system", str(self))
        return mkdir(self, *arguments, **more)

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(InputError, match=r"cannot be written \(Read-only file system\); nothing was changed"):
        import_bill(august, mini)
    assert months(mini) == before


STOPS = """
import os, sys
from pathlib import Path
from aifactory.inputs import hold
folder, steps = Path(sys.argv[1]), int(sys.argv[2])
replace, unlink = Path.replace, Path.unlink
def counted(step):
    def move(self, *arguments, **more):
        global steps
        steps -= 1
        if steps < 0:
            os._exit(9)
        return step(self, *arguments, **more)
    return move
Path.replace, Path.unlink = counted(replace), counted(unlink)
with hold.writing(folder), hold.exchange(folder) as change:
    for name in ("pools.csv", "decisions.csv"):
        (change.building / name).write_text("new")
        change.place(change.building / name, folder / name)
    change.drop(folder / "old.csv")
"""


@pytest.mark.parametrize("steps", range(7))
def test_of_an_exchange_that_is_killed_a_reader_sees_nothing_or_all(tmp_path, steps):
    for name in ("pools.csv", "decisions.csv", "old.csv"):
        (tmp_path / name).write_text("old")
    done = subprocess.run([sys.executable, "-c", STOPS, str(tmp_path), str(steps)], check=False)
    settle(tmp_path)
    held = {path.name: path.read_text() for path in tmp_path.glob("*.csv")}
    whole = {"pools.csv": "new", "decisions.csv": "new"}
    assert held in (whole, {"pools.csv": "old", "decisions.csv": "old", "old.csv": "old"})
    assert done.returncode in (0, 9) and (done.returncode or held == whole)
    assert not (tmp_path / CHANGING).exists()


def test_a_reader_waits_for_an_exchange_and_does_not_take_it_over(tmp_path, monkeypatch):
    (tmp_path / CHANGING.parent).mkdir()
    with writing(tmp_path):
        put_bytes(tmp_path / CHANGING, b'{"moves": {}, "drops": ["old.csv"]}')
        (tmp_path / "old.csv").touch()
        monkeypatch.setattr(hold, "WAIT_S", 0.1)
        with pytest.raises(StageError, match="are being exchanged"):
            settle(tmp_path)
        assert (tmp_path / "old.csv").exists()
    settle(tmp_path)
    assert not (tmp_path / "old.csv").exists()


def test_an_exchange_leads_nowhere_else(tmp_path):
    (tmp_path / "inside" / CHANGING.parent).mkdir(parents=True)
    (tmp_path / "mine.csv").touch()
    (tmp_path / "inside" / CHANGING).write_text('{"moves": {}, "drops": ["../mine.csv"]}')
    with pytest.raises(InputError, match="leads out of the workspace"):
        settle(tmp_path / "inside")
    assert (tmp_path / "mine.csv").exists()


def test_files_that_change_while_they_are_read_are_read_again(mini, august, monkeypatch):
    read, calls = workspace.read_table, []
    shutil.rmtree(mini / WRITING.parent, ignore_errors=True)

    def slow(path, *arguments):
        calls.append(path.name)
        if path.name == "billing.csv" and calls.count("billing.csv") == 1:
            import_bill(august, mini)  # another process, after the hashes and before the reading
        return read(path, *arguments)

    monkeypatch.setattr(workspace, "read_table", slow)
    found = load_workspace(mini)
    assert calls.count("billing.csv") == 2 and len(found.table("billing")) == 24
    assert len(load_workspace(mini).table("billing")) == 24  # and no cache of the first reading


def test_a_refused_table_of_a_delivery_leaves_the_others_as_they_were(mini):
    before, held = files(mini), store.held_rows(mini, "billing")
    new = held.assign(BillingPeriodStart=held["BillingPeriodStart"] - pd.Timedelta(days=900))

    def store_both():
        with exchange(mini) as change:
            store.add_rows(mini, "billing", new, change=change)
            store.add_rows(mini, "billing", held, change=change)

    with pytest.raises(InputError, match="already holds"):
        store_both()
    assert files(mini) == before and not (mini / ASIDE).exists()
