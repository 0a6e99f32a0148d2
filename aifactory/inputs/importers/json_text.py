"""JSON as others write it: objects line by line, refused in words where they are damaged, deep or too long."""

from __future__ import annotations

import codecs
import gzip
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from aifactory.errors import InputError

#: What stands in a file, by the name of its type.
KINDS = {
    "str": "a text",
    "int": "a number",
    "float": "a number",
    "bool": "a truth value",
    "list": "a list",
    "NoneType": "nothing",
}
MAX_LINE_BYTES = 50_000_000
MAX_BYTES = 4_000_000_000


def json_lines(path: Path) -> Iterator[tuple[int, dict]]:
    """Objects of a JSON-lines file, packed or not, with the number of their line; one object over several lines is one."""
    with path.open("rb") as begin:
        packed = begin.read(2) == b"\x1f\x8b"
    read = 0
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES), b""), 1):
                read += len(line)
                if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    raise InputError.at(
                        path.name, "is in UTF-16, in which lines of JSON are not read; save it as UTF-8", row=1
                    )
                line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line  # noqa: PLW2901
                if read > MAX_BYTES or len(line) == MAX_LINE_BYTES:
                    raise InputError.at(path.name, "is larger than a trace may be", row=number)
                if number == 1 and line.strip()[:1] == b"{" and line.strip()[-1:] != b"}":
                    yield 1, _whole_object(path.name, line, stream)
                elif line.strip():
                    yield number, parse_object(path.name, number, line)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError.at(path.name, f"cannot be read: {error}") from None


def _whole_object(file: str, begun: bytes, stream: IO[bytes]) -> dict:
    """An object written over several lines, as programs print it for people."""
    rest = stream.read(MAX_LINE_BYTES)
    if len(rest) == MAX_LINE_BYTES:
        raise InputError.at(file, f"is one object of more than {MAX_LINE_BYTES:,} bytes; write one object a line")
    return parse_object(file, 1, begun + rest)


@contextmanager
def told_in_words(file: str, line: int | None, what: str) -> Iterator[None]:
    """Name file and line where an object has another shape than it should."""
    try:
        yield
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise InputError.at(file, f"{what}: {in_words(error)}", row=line) from None


def in_words(error: Exception) -> str:
    """What an object of another shape lacks or holds, without the words of the language that read it.

    >>> in_words(KeyError("timeUnixNano"))
    "'timeUnixNano' is missing"
    >>> in_words(ValueError("invalid literal for int() with base 10: '=cmd'"))
    "'=cmd' is not a whole number"
    >>> in_words(AttributeError("'str' object has no attribute 'get'"))
    'a text stands where an object should'
    """
    said = str(error)[:100]
    if isinstance(error, KeyError):
        return f"{said} is missing"
    if found := re.fullmatch(r"invalid literal for int\(\) with base 10: (.*)", said):
        return f"{found[1]} is not a whole number"
    if found := re.fullmatch(r"could not convert string to float: (.*)", said):
        return f"{found[1]} is not a number"
    if found := re.match(r"'(\w+)' object|string indices|list indices", said):
        return f"{KINDS.get(found[1], 'a text or list')} stands where an object should"
    return f"a value has another form ({said})"


def parse_object(file: str, number: int | None, raw: bytes) -> dict:
    """One JSON object; what is none, or nested too deeply, is refused with its line."""
    try:
        held = json.loads(raw)
    except RecursionError:
        raise InputError.at(file, "is nested too deeply", row=number) from None
    except ValueError as error:
        raise InputError.at(file, f"is not JSON: {str(error)[:100]}", row=number) from None
    if not isinstance(held, dict):
        raise InputError.at(file, "must be a JSON object", row=number)
    return held
