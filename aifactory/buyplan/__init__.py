"""Stage 4: how much to buy, when, on which terms, and whether it pays."""

from aifactory.buyplan.plan import BuyPlan, build_buy_plan

__all__ = ["BuyPlan", "build_buy_plan"]
