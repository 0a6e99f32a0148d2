"""Measurements of the accelerator at hand: matrix products, attention, memory, all-reduce, transformer steps.

Needs the extra `[bench]` (PyTorch); nothing else in the package imports PyTorch.
"""
