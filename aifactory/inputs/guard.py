"""Free text in a CSV file that a person opens: never a formula there, the same text here."""

from __future__ import annotations

import pandas as pd

#: Beginnings that a spreadsheet program takes for a formula; source: OWASP, CSV injection.
STARTS = r"'*[=+\-@\t\r\n]"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?"


def guarded(texts: pd.Series) -> pd.Series:
    """An apostrophe before texts that would be a formula; numbers such as -5 stay as they are.

    >>> guarded(pd.Series(["=1+1", "-5", "a=b", "'=x"])).tolist()
    ["'=1+1", '-5', 'a=b', "''=x"]
    """
    at_risk = texts.str.match(STARTS, na=False) & ~texts.str.fullmatch(_NUMBER, na=False)
    return ("'" + texts).where(at_risk, texts) if at_risk.any() else texts


def unguarded(texts: pd.Series) -> pd.Series:
    """The texts before `guarded`.

    >>> unguarded(pd.Series(["'=1+1", "-5", "it's", "''=x"])).tolist()
    ['=1+1', '-5', "it's", "'=x"]
    """
    marked = texts.str.match("'" + STARTS, na=False)
    return texts.str[1:].where(marked, texts) if marked.any() else texts
