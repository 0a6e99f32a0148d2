"""Run the notebooks of a company in this process, strictly: `python tests/fuzz/strict_road.py SEED...` tells what each changed company met.

Every warning of numpy or pandas is an error, and no page may show what is no number. A company that the checks refuse is told
as such: whether they refuse it rightly is for the reader to judge.
"""

import ast
import contextlib
import io
import json
import re
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from bs4 import BeautifulSoup
from changed_company import changed_company
from report_audit import audit

from aifactory.errors import AIFactoryError

REPO = Path(__file__).resolve().parents[2]
STAGES = {
    "01_inventory": "inventory",
    "02_benchmark": "benchmark",
    "03_shortlist": "shortlist",
    "04_buy_plan": "buy_plan",
    "05_monthly_refresh": "refresh",
}
NO_NUMBER = re.compile(r"(?<![\w-])(nan|NaN|None|inf|NaT|<NA>|-0|-0\.0+)(?![\w.])|\b(\d+(\.\d+)?e[+-]\d+)\b")


def shown(result: object) -> str:
    """Text of what a cell shows, without its charts and scripts."""
    html = getattr(result, "_repr_html_", lambda: None)()
    if not html:
        return ""
    soup = BeautifulSoup(html, "html.parser")
    for part in soup(["script", "style", "svg"]):
        part.decompose()
    return soup.get_text(" ", strip=True)


def run_notebook(name: str, workspace: Path, period: str, out: Path) -> list[tuple[int, str]]:
    """Run each cell; returns the number of a cell and its text. Raises what a cell raises."""
    cells = json.loads((REPO / "notebooks" / f"{name}.ipynb").read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    space = {"__name__": "notebook"}
    exec(code[0], space)  # noqa: S102 - the notebooks of this repository
    space |= {"workspace": str(workspace), "period": period, "out_dir": str(out)}
    texts = []
    with contextlib.redirect_stdout(io.StringIO()):
        for number, source in enumerate(code[1:], 2):
            texts.append((number, shown(_run_cell(source, space))))
    return texts


def _run_cell(source: str, space: dict) -> object:
    """Run a cell as a notebook does: the value of its last expression is what it shows."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), space)  # noqa: S102
    return last and eval(compile(ast.Expression(last.value), "cell", "eval"), space)  # noqa: S307


def faults(texts: list[tuple[int, str]]) -> list[str]:
    """What stands on the pages and is no number, with the words around it."""
    return [
        f"cell {number}: ...{text[max(found.start() - 60, 0) : found.end() + 30]}..."
        for number, text in texts
        for found in NO_NUMBER.finditer(text)
    ]


def walk(workspace: Path, period: str, out: Path) -> list[str]:
    """Faults of the pages and tables of a company, stage by stage; a refusal ends the walk."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("error", FutureWarning)
        for notebook, stage in STAGES.items():
            folder = out / stage
            folder.mkdir(parents=True, exist_ok=True)
            try:
                found += [f"{stage} {text}" for text in faults(run_notebook(notebook, workspace, period, folder))]
            except AIFactoryError as error:
                return [*found, f"{stage} refused: {str(error)[:600]}"]
    return found + audit(out, workspace)


def main(seeds: list[int]) -> None:
    for seed in seeds:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            told = changed_company(seed, REPO / "data" / "sample", Path(folder) / "ws")
            try:
                met = walk(Path(folder) / "ws", "2026-10", Path(folder) / "out")
            except Exception:  # noqa: BLE001 - the next company is to be tried as well
                met = [traceback.format_exc()[-3000:]]
        print(f"== {seed} ({time.monotonic() - began:.0f} s)", *told, sep="\n   ")
        print(*(met or ["fine"]), sep="\n", flush=True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]])
