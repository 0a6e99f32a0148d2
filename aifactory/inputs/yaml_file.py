"""YAML files as data: safe tags only, every key once, small, no aliases."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import yaml

from aifactory.errors import InputError


class UniqueKeys:
    """Part of a YAML loader: refuses a key given twice (plain YAML keeps the last without a word)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """The mapping of a node, its keys seen once."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                msg = f"line {key_node.start_mark.line + 1}: key {key!r} is given twice"
                raise yaml.YAMLError(msg)
            seen.add(key)
        return super().construct_mapping(node, deep)


class _UniqueKeyLoader(UniqueKeys, yaml.SafeLoader):
    """Safe loader with keys that stand once."""


MAX_YAML_BYTES = 1_000_000
MAX_DEPTH = 50


def read_yaml(path: Path) -> dict:
    """Read a YAML mapping: safe tags only, no double keys, at most 1 MB, no aliases."""
    if not path.is_file():
        raise InputError.at(path.name, f"file not found in {path.parent.name}/")
    if path.stat().st_size > MAX_YAML_BYTES:
        raise InputError.at(path.name, f"larger than {MAX_YAML_BYTES:,} bytes")
    try:
        text = path.read_text(encoding="utf-8")
        if _brackets_deep(text) > MAX_DEPTH:  # the parser takes minutes for thousands of open brackets
            raise InputError.at(path.name, f"lists nested deeper than {MAX_DEPTH}")
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        if alias := next((event for event in events if isinstance(event, yaml.AliasEvent)), None):
            place = f"line {alias.start_mark.line + 1}: '*{alias.anchor}'"
            raise InputError.at(
                path.name,
                f"{place}: YAML aliases are not accepted: write the value out, or set a text with a * in quotes",
            )
        data = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InputError.at(path.name, f"not valid YAML in UTF-8: {str(error)[:200]}") from None
    if not isinstance(data, dict):
        raise InputError.at(path.name, "must hold a mapping of names to values")
    return data


def _brackets_deep(text: str) -> int:
    """Most brackets that stand open at once."""
    return max(accumulate((sign in "[{") - (sign in "]}") for sign in text), default=0)
