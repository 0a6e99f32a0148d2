"""Ways to run the refresh every month: cron, GitHub Actions, Airflow, jupyter-scheduler.

Each function returns the text of one file with the values of a workspace. All of them try again for a week: a
run without new data says "up to date" in seconds, and a month whose data are late ends with exit code 2 until
they are there. Times are UTC where the scheduler allows it; cron takes the clock of its machine.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml

from aifactory.errors import InputError, StageError
from aifactory.inputs.resources import notebooks_dir

KINDS = ("cron", "github", "airflow", "jupyter")
#: Days on which a late month is tried again; months before it that late data may still change.
RETRY_DAYS, MONTHS_BACK = 7, 2
LAST_FIRST_DAY = 28 - RETRY_DAYS
NOTEBOOK = "06_scheduled_refresh.ipynb"
STAGE = "refresh"
#: Seconds that a scheduled notebook waits for another run that writes to the same folder.
WAIT_S = 600.0


@dataclass(frozen=True)
class Schedule:
    """When and where the refresh runs: day of the month (1 to 21), hour, workspace and output folder."""

    workspace: str
    out: str
    day: int = 3
    hour: int = 6

    def __post_init__(self) -> None:
        for name, value, last in (("--day", self.day, LAST_FIRST_DAY), ("--hour", self.hour, 23)):
            first = 1 if name == "--day" else 0
            if not first <= value <= last:
                raise InputError.at(name, f"must be {first} to {last}", value=value)
        for name in ("workspace", "out"):
            if not getattr(self, name).isprintable():
                raise InputError.at(f"--{name}", "must be one line of printable characters", value=getattr(self, name))

    @property
    def cron(self) -> str:
        """Five fields: once a day on the retry days.

        >>> Schedule("w", "o").cron
        '0 6 3-10 * *'
        """
        return f"0 {self.hour} {self.day}-{self.day + RETRY_DAYS} * *"

    @property
    def monthly(self) -> str:
        """Five fields: once a month.

        >>> Schedule("w", "o", day=5, hour=4).monthly
        '0 4 5 * *'
        """
        return f"0 {self.hour} {self.day} * *"

    def command(self, program: str, period: str = "previous") -> str:
        """Shell command that reports the month, and months before it where late data changed them."""
        what = f"run {STAGE} --workspace {shlex.quote(self.workspace)} --out {shlex.quote(self.out)}"
        return f"{program} {what} --period {period} --back {MONTHS_BACK}"


def example(kind: str, schedule: Schedule) -> str:
    """Text of the file for one kind of scheduler.

    >>> example("cron", Schedule("/data/co", "/data/co/reports")).splitlines()[-1].split(" -m ")[1]
    'aifactory.cli run refresh --workspace /data/co --out /data/co/reports --period previous --back 2'
    """
    makers = dict(zip(KINDS, (cron_line, github_workflow, airflow_dag, jupyter_job), strict=True))
    if kind not in makers:
        raise InputError.at("--kind", "is not a scheduler.", value=kind, choices=KINDS)
    return makers[kind](schedule)


def refresh_months(workspace: str, out: str, period: str = "", back: int = MONTHS_BACK) -> pd.DataFrame:
    """Report a month and the `back` months before it that late data changed: what a scheduled notebook runs.

    Returns one row per month: month, state (`done`, `up to date`), page below `out`. An empty `out` runs nothing.

    Raises
    ------
    StageError
        A month could not be reported, so that the scheduler sees the failure and tries again.
    """
    from aifactory.inputs.workspace import load_workspace
    from aifactory.run.months import months_back
    from aifactory.run.parameters import check_period
    from aifactory.run.runner import run_road

    columns = ["month", "state", "page"]
    if not out:
        return pd.DataFrame(columns=columns)
    loaded = load_workspace(workspace, check_period(period))
    rows = []
    for month in months_back(loaded.period, back, loaded.periods):
        found = run_road([STAGE], workspace=loaded.path, period=month, out=out, wait_s=WAIT_S).stages[0]
        if found.state == "failed":
            msg = f"{month}: {found.message}"
            raise StageError(msg)
        rows.append((month, found.state, f"{month}/{STAGE}/{STAGE}.html"))
    return pd.DataFrame(rows, columns=columns)


def cron_line(schedule: Schedule) -> str:
    """Line for `crontab -e`; cron has an empty environment, so the interpreter is named in full."""
    command = schedule.command(f"{shlex.quote(sys.executable)} -m aifactory.cli")
    return (
        "# Reports the month before once its data are complete; later runs are up to date unless data changed.\n"
        f"{schedule.cron} {command.replace('%', chr(92) + '%')}\n"
    )


def github_workflow(schedule: Schedule) -> str:
    """Workflow for `.github/workflows/refresh.yml` of a repository that holds this project and the workspace.

    Reports are kept between runs in the cache, so what is unchanged is not run again.
    """
    step = schedule.command("aifactory", '"$PERIOD"')
    cache = {"path": schedule.out, "key": "aifactory-${{ github.run_id }}", "restore-keys": "aifactory-"}
    steps = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.11", "cache": "pip"}},
        {"uses": "actions/cache@v4", "with": cache},
        {"name": "Install", "run": "pip install --require-hashes -r requirements.lock\npip install --no-deps .\n"},
        {"name": "Refresh", "env": {"PERIOD": "${{ inputs.period || 'previous' }}"}, "run": step + "\n"},
        {
            "uses": "actions/upload-artifact@v4",
            "if": "always()",
            "with": {"name": "reports", "path": schedule.out, "if-no-files-found": "warn"},
        },
    ]
    workflow = {
        "name": "Monthly refresh",
        "on": {
            "schedule": [{"cron": schedule.cron}],
            "workflow_dispatch": {"inputs": {"period": {"description": "YYYY-MM or previous", "default": "previous"}}},
        },
        "permissions": {"contents": "read"},
        "concurrency": {"group": "aifactory-refresh", "cancel-in-progress": False},
        "jobs": {"refresh": {"runs-on": "ubuntu-latest", "timeout-minutes": 60, "steps": steps}},
    }
    return yaml.safe_dump(workflow, sort_keys=False, width=200)


def airflow_dag(schedule: Schedule) -> str:
    """DAG file with a `PapermillOperator` (provider `apache-airflow-providers-papermill`).

    The month is the one before the end of the data interval, so that a back-fill reports the months it stands
    for, in Airflow 2 and 3 alike. It writes the pages as `aifactory run refresh` does, and the executed notebook.
    """
    return f'''"""Monthly refresh of aifactory; made by `aifactory schedule --kind airflow`."""

from datetime import datetime, timedelta
from pathlib import Path

from airflow import DAG
from airflow.providers.papermill.operators.papermill import PapermillOperator

OUT, RAN = {schedule.out!r}, {str(Path(schedule.out) / "scheduled")!r}
MONTH = "{{{{ (data_interval_end.replace(day=1) - macros.timedelta(days=1)).strftime('%Y-%m') }}}}"

Path(RAN).mkdir(parents=True, exist_ok=True)
with DAG(
    dag_id="aifactory_refresh",
    schedule={schedule.monthly!r},
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={{"retries": {RETRY_DAYS}, "retry_delay": timedelta(days=1)}},
) as dag:
    PapermillOperator(
        task_id="refresh",
        input_nb={str(notebooks_dir() / NOTEBOOK)!r},
        output_nb=f"{{RAN}}/refresh-{{MONTH}}.ipynb",
        parameters={{"period": MONTH, "workspace": {schedule.workspace!r}, "out": OUT}},
        kernel_name="python3",
    )
'''


def jupyter_job(schedule: Schedule) -> str:
    """Body of `POST /scheduler/job_definitions` of jupyter-scheduler: the latest complete month, every month.

    The pages lie in the output folder, as those of `aifactory run refresh`; the job's own output is the list of them.
    `input_uri` counts from the root folder of the server; parameters are plain texts there.
    """
    job = {
        "name": "aifactory monthly refresh",
        "input_uri": f"notebooks/{NOTEBOOK}",
        "runtime_environment_name": "python3",
        "output_formats": ["ipynb"],
        "parameters": {"period": "", "workspace": schedule.workspace, "out": schedule.out},
        "schedule": schedule.monthly,
        "timezone": "UTC",
    }
    return json.dumps(job, indent=1, ensure_ascii=False) + "\n"
