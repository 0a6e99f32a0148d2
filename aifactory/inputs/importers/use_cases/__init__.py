"""Spreadsheets of use cases, as organisations keep them, into the catalogue of a workspace.

A use case becomes one once every value that planning needs is known; until then it is a candidate. No value
is made up: what matches nothing stays unknown, is listed, and is asked of its owner.
"""
