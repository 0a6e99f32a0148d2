"""Controls on top of a result that is there without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def explore(function: Callable[..., Any], **controls: Any) -> None:
    """Show `function` at its defaults, then controls that show it at other values.

    `controls` are ipywidgets abbreviations by argument name, for example `wacc=(0.05, 0.2, 0.01)`.
    The default result stands outside the widget, so it is in every export; the exported page
    says in one line that controls exist.
    """
    from IPython.display import display
    from ipywidgets import interactive

    display(function())
    display(
        interactive(lambda **values: display(function(**values)), {"manual": True, "manual_name": "Show"}, **controls)
    )
