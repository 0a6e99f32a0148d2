"""Controls on top of a result that is there without them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

from aifactory.errors import AIFactoryError
from aifactory.report.blocks import missing
from aifactory.report.text import readable

#: Room for the whole label of a control: JupyterLab cuts it after some 90 pixels.
LABEL_WIDTH, CONTROL_WIDTH = "14em", "34em"


def explore(function: Callable[..., Any], **controls: Any) -> None:
    """Show `function` at its defaults, then controls; each one let go shows it anew at once.

    `controls` are ipywidgets by argument name, or (low, high, step) for a slider that starts at the
    default of the argument, for example `wacc=(0.05, 0.2, 0.01)`. The default result stands outside
    the widgets, so it is in every export and nothing is computed twice before somebody moves a control.
    """
    from IPython.display import display
    from ipywidgets import Output, VBox

    shown = {name: _control(function, name, given) for name, given in controls.items()}
    out = Output()

    def result() -> Any:
        return function(**{name: control.value for name, control in shown.items()})

    def show(_change: object = None) -> None:
        out.clear_output(wait=True)
        with out:
            try:
                display(result())
            except AIFactoryError as error:  # a setting that has no result: said in a line, not as a traceback
                display(missing("The result at these settings", str(error)))

    display(result())
    for control in shown.values():
        control.style.description_width, control.layout.width = LABEL_WIDTH, CONTROL_WIDTH
        control.observe(show, "value")
    display(VBox([*shown.values(), out]))


def _control(function: Callable[..., Any], name: str, given: Any) -> Any:
    """Return a widget as it is; a slider for (low, high, step)."""
    from ipywidgets import FloatSlider

    if not isinstance(given, tuple):
        return given
    low, high, step = given
    start = min(max(signature(function).parameters[name].default, low), high)
    return FloatSlider(start, min=low, max=high, step=step, description=readable(name), continuous_update=False)
