"""Stage 3, days 31-60: which platform for which workload."""

from aifactory.shortlist.build import Shortlist, build_shortlist

__all__ = ["Shortlist", "build_shortlist"]
