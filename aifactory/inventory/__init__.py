"""Stage 1, days 1-30: what runs, for whom, how much of it, and what it costs."""

from aifactory.inventory.build import Inventory, build_inventory

__all__ = ["Inventory", "build_inventory"]
