"""Texts made comparable: values of a vocabulary, headers, identifiers."""

from __future__ import annotations

import csv
import re
import unicodedata
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
#: A value this close to a known spelling is taken for it, and said.
CLOSE = 0.9
#: Longer texts are no values of a list.
MAX_VALUE_LENGTH = 60
SAME, NEAR = "same", "near"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u00ad\ufe58\ufe63\uff0d"
_QUOTES = {"\u2018": "'", "\u2019": "'", "\u201a": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"'}
_PLAIN = str.maketrans({**dict.fromkeys(_DASHES, "-"), **_QUOTES, "_": " ", "-": " "})
#: "c) ", "(2) ", "b. ", "iv) ", "3 - ": the letter or number before an answer of a list.
_PREFIX = re.compile(
    r"^(?:(?:phase|stage|step) \d{1,2}\s*[-:.)]\s*(?=\w)|(?:\(?(?:[a-z]|\d{1,2}|[ivx]{1,4})[).:]|\d{1,2}\s+-)\s+)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
#: Words that say what the table is about, not what a column is.
_SUBJECT = {"use", "case", "usecase"}
_LEAST_WORDS = {
    "the",
    "a",
    "an",
    "of",
    "for",
    "this",
    "is",
    "are",
    "what",
    "please",
    "your",
    "s",
    "ai",
    "and",
    "or",
    "in",
    "to",
}


def plain(text: str) -> str:
    """Compatible form (NFKC), one kind of space, dash and quote, lower case; spaces for '-' and '_'."""
    return " ".join(_marked(text).translate(_PLAIN).split()).casefold()


def _marked(text: str) -> str:
    """NFKC with the dashes of one kind."""
    return unicodedata.normalize("NFKC", text).translate(dict.fromkeys(map(ord, _DASHES), "-"))


def value_key(text: str) -> str:
    r"""A value of a list without its letter, its case and its kind of dashes, quotes and spaces.

    >>> value_key("c)\u00a0 Pre\u2010Deployment ")
    'pre deployment'
    """
    marked = " ".join(_marked(text).casefold().split())
    return plain(_PREFIX.sub("", marked)).strip(" .;:,")


def _beginnings(text: str) -> list[str]:
    """The value, and what stands before its explanation: "Deployed - in use", "Live (since May)"."""
    parts = re.split(r"\s+-\s+|\s*[:(;]\s*|\s+-|-\s+", " ".join(_marked(text).split()))
    parts = [part for part in parts if not re.fullmatch(r"[a-zA-Z]\)?|\d{1,2}[.)]?|", part)]
    return [value_key(text), *([value_key(parts[0])] if parts else [])]


@cache
def vocabulary(field: str) -> dict[str, tuple[str, str]]:
    """Known text -> (our value, `same` or `near`) of an enumerated column."""
    with (HERE / "vocabulary.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["field"] == field]
    known = {text: (row["ours"], row["certainty"]) for row in reversed(rows) for text in row["texts"].split("|")}
    return known | {plain(row["ours"]): (row["ours"], SAME) for row in rows}


@cache
def known_value(field: str, text: str) -> tuple[str, str] | None:
    r"""Our value of a text and how sure that is: `same` meaning, or the `near`est one; None if unknown.

    >>> known_value("stage", "c)  Deployed \u2013 in mission use"), known_value("stage", "Pre-deployment")
    (('production', 'same'), ('idea', 'near'))
    >>> known_value("stage", "on hold") is None
    True
    """
    known = vocabulary(field)
    keys = _beginnings(text)
    found = next((key for key in keys if key in known), "")
    if found:
        return known[found]
    parts = {known[value_key(part)][0] for part in re.split(r"/| or ", text) if value_key(part) in known}
    if len(parts) == 1 and all(value_key(part) in known for part in re.split(r"/| or ", text)):
        return parts.pop(), NEAR  # Beta/Pilot: two words for one of ours
    key = keys[0]
    close = get_close_matches(key, known, n=1, cutoff=CLOSE) if 4 < len(key) <= MAX_VALUE_LENGTH else []
    return (known[close[0]][0], NEAR) if close else None


def spaced(header: str) -> str:
    """A header in lower case with blanks between its words, camel case too.

    >>> spaced("CostUSDPerMonth"), spaced("Use_Case-ID")
    ('cost usd per month', 'use case id')
    """
    return plain(_CAMEL.sub(" ", header))


def header_words(header: str) -> tuple[str, ...]:
    """Words of a header, singular, without fillers.

    >>> header_words("Use_Case_ID"), header_words("What is the name of the AI system?"), header_words("useCaseTitles")
    (('use', 'case', 'id'), ('name', 'system'), ('use', 'case', 'title'))
    """
    text = spaced(header).replace("#", " number ")
    found = [word for word in re.findall(r"[^\W_]+", text) if word not in _LEAST_WORDS]
    return tuple(_singular(word) for word in found if not (word == "en" and len(found) > 1))


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


@cache
def header_texts() -> dict[str, list[tuple[str, ...]]]:
    """Field -> known headers as words, the most telling first."""
    with (HERE / "headers.csv").open(encoding="utf-8", newline="") as stream:
        return {
            row["field"]: [header_words(text) for text in row["texts"].split("|")] for row in csv.DictReader(stream)
        }


def header_score(header: str, field: str) -> float:
    """How well a header names a field, 0 to 1; 1 is our own name.

    >>> header_score("slo_p95_e2e_ms", "slo_p95_e2e_ms"), header_score("Vendor", "stage") < 0.5
    (1.0, True)
    """
    if plain(header) == plain(field):
        return 1.0
    words, texts = header_words(header), header_texts().get(field, [])
    if words in texts:
        return 0.99 - 0.004 * texts.index(words)
    said = set(words) - _SUBJECT
    shared = max((_overlap(said, set(known) - _SUBJECT) for known in texts), default=0.0)
    close = get_close_matches(" ".join(words), [" ".join(known) for known in texts], n=1, cutoff=CLOSE)
    return 0.9 * max(shared, CLOSE if close else 0.0)


def _overlap(words: set[str], known: set[str]) -> float:
    return len(words & known) / len(words | known) if words and known else 0.0


def slug(text: str, most: int = 64) -> str:
    r"""Identifier of a text: `[a-z0-9][a-z0-9._-]*`, at most `most` characters, or '' if nothing is left.

    >>> slug("Citizen\u2019s helper \u2013 v2"), slug("DOJ-0357")
    ('citizens-helper-v2', 'doj-0357')
    """
    text = unicodedata.normalize("NFKD", text.replace("\u2019", "").replace("'", "")).casefold()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return (
        re.sub(r"-?\.-?(?![a-z0-9])|-\.|\.-", "-", re.sub(r"[^a-z0-9.]+", "-", text)).strip("-._")[:most].strip("-._")
    )


def one_spelling(texts: pd.Series) -> dict[str, str]:
    """Spellings that differ only in case, spaces, dashes or quotes -> the most frequent one of them."""
    counts = texts[texts != ""].value_counts()
    best: dict[str, str] = {}
    for text in sorted(counts.index, key=lambda item: (-counts[item], item)):
        best.setdefault(plain(text), text)
    return {text: best[plain(text)] for text in counts.index if best[plain(text)] != text}
