"""Time from moving a control to the kernel being idle again, as JupyterLab sees it.

A notebook runs in a kernel of its own over ZeroMQ; then every slider of its controls is moved by the message
that JupyterLab sends, and the clock stops when the kernel has shown the new result and reports idle. Peer: a
person, who feels 300 ms as at once. Usage: python tests/speed/controls.py [notebook ...]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ("03_shortlist", "04_buy_plan")
LIMIT_MS = 300
LIST = """
import ipywidgets, json
_held = ipywidgets.Widget._instances if hasattr(ipywidgets.Widget, "_instances") else ipywidgets.widgets.widget._instances
print("CONTROLS" + json.dumps([[w.comm.comm_id, w.description, w.value, w.min, w.max, w.step]
                               for w in _held.values() if isinstance(w, ipywidgets.FloatSlider)]))
"""


def main() -> None:
    """Print the median, slowest and count of moves over the limit, by control."""
    for name in sys.argv[1:] or NOTEBOOKS:
        manager, client = start_new_kernel(kernel_name="python3", cwd=str(ROOT))
        try:
            measure(client, nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4), name)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def measure(client: object, notebook: object, name: str) -> None:
    """Run the notebook, then move each control there and back."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code" and "af.record" not in cell.source]
    for source in cells:
        run(client, source)
    text = run(client, LIST)
    controls = json.loads(text[text.index("CONTROLS") + len("CONTROLS") :].splitlines()[0])
    every = []
    for comm_id, label, value, low, high, step in controls:
        times = [move(client, comm_id, goal) for goal in goals(value, low, high, step)]
        every += times
        sys.stdout.write(
            f"{name:14} {label:32} median {statistics.median(times):6.0f} ms, slowest {max(times):6.0f} ms\n"
        )
    over = sum(item > LIMIT_MS for item in every)
    middle = statistics.median(every)
    sys.stdout.write(
        f"{name:14} all: median {middle:.0f} ms = {middle / LIMIT_MS:.2f}x the limit, {over} of {len(every)} above {LIMIT_MS} ms\n"
    )


def goals(value: float, low: float, high: float, step: float) -> list[float]:
    """Places to move to, never where the control stands, and back."""
    places = [low + (high - low) * share for share in (0.25, 0.5, 0.75)]
    rounded = [round(low + round((place - low) / step) * step, 9) for place in places]
    return [*(place for place in rounded if place != value), value]


def run(client: object, source: str) -> str:
    """Run a cell; its printed text. Raises where the cell fails."""
    texts = []

    def hook(message: dict) -> None:
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(message["content"]["traceback"]))

    client.execute_interactive(source, output_hook=hook, timeout=900)
    return "".join(texts)


def move(client: object, comm_id: str, value: float) -> float:
    """Milliseconds from the message of a moved slider to the kernel being idle."""
    content = {"comm_id": comm_id, "data": {"method": "update", "state": {"value": value}, "buffer_paths": []}}
    message = client.session.msg("comm_msg", content)
    start = time.perf_counter()
    client.shell_channel.send(message)
    while True:
        reply = client.get_iopub_msg(timeout=60)
        mine = reply["parent_header"].get("msg_id") == message["header"]["msg_id"]
        if mine and reply["msg_type"] == "status" and reply["content"]["execution_state"] == "idle":
            return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
