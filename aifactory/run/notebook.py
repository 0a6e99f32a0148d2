"""Execute one notebook with papermill: own kernel transport, progress, one retry."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aifactory.report.quick import quick_imports

quick_imports()

import papermill  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from nbclient.exceptions import DeadKernelError  # noqa: E402
from papermill.engines import NBClientEngine, papermill_engines  # noqa: E402
from traitlets import default  # noqa: E402
from zmq.error import ZMQError  # noqa: E402

if TYPE_CHECKING:
    from nbformat import NotebookNode

#: Of any cell; a plan of 45 use cases in three regions took over ten minutes on a busy machine of two cores.
CELL_TIMEOUT_S = 7200
START_TIMEOUT_S = 60
#: Output of a finished cell may come late on a loaded machine; papermill gives up after 4 s.
OUTPUT_TIMEOUT_S = 120
#: Kernels compute with one thread each (the runner runs them side by side) and hash alike.
KERNEL_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class QuietKernelManager(AsyncKernelManager):
    """Kernel over local sockets where the system has them: no port can be taken by another run."""

    @default("transport")
    def _local_transport(self) -> str:
        return "tcp" if sys.platform == "win32" else "ipc"

    @default("ip")
    def _short_absolute_path(self) -> str:
        """Socket files outside the kernel's folder, below the 107 characters that sockets allow."""
        if self.transport == "tcp":
            return "127.0.0.1"
        self.sockets = tempfile.TemporaryDirectory(prefix="aif-")
        return str(Path(self.sockets.name) / "k")

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:
        kw["env"] = {**(kw.get("env") or os.environ), **KERNEL_ENVIRONMENT}
        await super()._async_launch_kernel(kernel_cmd, **kw)

    async def _async_interrupt_kernel(self) -> None:
        """Spare a kernel that is shut down: it is idle, and would report the interrupt as an error."""
        if not self.shutting_down:
            await super()._async_interrupt_kernel()

    interrupt_kernel = _async_interrupt_kernel


WIDGET = "application/vnd.jupyter.widget-view+json"


class ProgressEngine(NBClientEngine):
    """papermill's own engine that reports each finished cell."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Run the notebook and call `on_cell(done, total)` after each cell."""
        on_cell: Callable[[int, int], None] = kwargs.pop("on_cell")
        total, finish = len(nb_man.nb.cells), nb_man.cell_complete

        def complete(cell: Any, cell_index: int | None = None, **extra: Any) -> None:
            finish(cell, cell_index, **extra)
            on_cell((cell_index or 0) + 1, total)

        nb_man.cell_complete = complete
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


papermill_engines.register("aifactory", ProgressEngine)
logging.getLogger("papermill").setLevel(logging.ERROR)


def execute(
    source: Path,
    target: Path,
    parameters: dict[str, Any],
    on_cell: Callable[[int, int], None],
) -> NotebookNode:
    """Execute `source` in the folder of `target` and save it there.

    A kernel that dies or cannot open its sockets is tried once more; a cell that fails is not.
    """
    try:
        return _execute(source, target, parameters, on_cell)
    except (DeadKernelError, ZMQError):
        return _execute(source, target, parameters, on_cell)


def _execute(
    source: Path, target: Path, parameters: dict[str, Any], on_cell: Callable[[int, int], None]
) -> NotebookNode:
    notebook = papermill.execute_notebook(
        source,
        target,
        parameters=parameters,
        engine_name="aifactory",
        kernel_name="python3",
        progress_bar=False,
        request_save_on_cell_execute=True,
        start_timeout=START_TIMEOUT_S,
        execution_timeout=CELL_TIMEOUT_S,
        iopub_timeout=OUTPUT_TIMEOUT_S,
        on_cell=on_cell,
        kernel_manager_class=QuietKernelManager,
        resources={"metadata": {"path": str(target.parent)}},
    )
    return strip_run_details(notebook)


def strip_run_details(notebook: NotebookNode) -> NotebookNode:
    """Drop times, paths and kernel versions, so that the same inputs give the same bytes."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.pop("widgets", None)  # controls live in JupyterLab only; their default stands beside them
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        cell.metadata.pop("exception", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell["id"] = "injected-parameters"
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                output["data"][WIDGET]["model_id"] = f"controls-{cell['id']}"
    return notebook
