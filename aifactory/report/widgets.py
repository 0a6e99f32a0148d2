"""Controls on top of a result that is there without them."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any


def explore(function: Callable[..., Any], *, live: bool = False, **controls: Any) -> None:
    """Show `function` at its defaults, then controls that show it at other values.

    `controls` are ipywidgets abbreviations by argument name, for example `wacc=(0.05, 0.2, 0.01)`.
    The default result stands outside the widget, so it is in every export; the exported page
    says in one line that controls exist. `live` shows it anew when a control is let go, for functions that
    answer at once; others wait for a button.
    """
    from IPython.display import display
    from ipywidgets import FloatSlider, interactive

    display(function())
    if live:
        for name, (low, high, step) in controls.items():
            start = min(max(signature(function).parameters[name].default, low), high)
            controls[name] = FloatSlider(start, min=low, max=high, step=step, continuous_update=False)
    how = {} if live else {"manual": True, "manual_name": "Show"}
    display(interactive(lambda **values: display(function(**values)), how, **controls))


def explore_live(function: Callable[..., Any], controls: dict[str, Any]) -> None:
    """Show `function` at the controls' first values, then the controls; each change shows it anew at once.

    `controls` are ipywidgets by argument name. The default stands outside the widgets, so it is in
    every export; nothing is computed twice before somebody moves a control.
    """
    from IPython.display import display
    from ipywidgets import Output, VBox

    out = Output()

    def show(_change: object = None) -> None:
        out.clear_output(wait=True)
        with out:
            display(function(**{name: control.value for name, control in controls.items()}))

    display(function(**{name: control.value for name, control in controls.items()}))
    for control in controls.values():
        control.observe(show, "value")
    display(VBox([*controls.values(), out]))
