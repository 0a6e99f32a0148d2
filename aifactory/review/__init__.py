"""Stage 5, every month: on plan or not, and what to do."""

from aifactory.review.approve import approve_plan
from aifactory.review.build import Review, build_review

__all__ = ["Review", "approve_plan", "build_review"]
