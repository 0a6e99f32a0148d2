"""Multi-criteria methods as pure functions: arrays in, arrays out.

The shortlist decides with additive values on anchors that were fixed beforehand (`values`) and says
how far the ranking holds (`smaa`, `flips`). Everything that depends on which alternatives are
compared (`ranking`, `outranking`, data-driven `weights`) is here to check against, never to decide.
"""
