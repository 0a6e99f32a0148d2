"""Writers of a workspace in bad company: another one at work, one that was killed, a full disk."""

import errno
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from aifactory.errors import InputError, StageError
from aifactory.inputs import write
from aifactory.inputs.aggregate.engine import open_engine
from aifactory.inputs.hold import ASIDE, WRITING, put_bytes, writing
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
