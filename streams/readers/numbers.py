"""Texts as numbers: decimal marks, marks of thousands, words for no value, and values below a limit of detection."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from terracast.streams.readers.wanted import Wanted, as_number

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "nat"})
SPACES = re.compile(r"[\s\u00a0\u202f\u2009]")
BELOW = re.compile(r"\s*<\s*=?\s*")
LIMIT = re.compile(r"\s*[<>]\s*=?\s*")


def numbers_of(texts: np.ndarray, name: str, wanted: Wanted) -> tuple[np.ndarray, np.ndarray]:
    """Distinct texts of the column ``name`` as floats, and which of them are neither a number nor a word for none.

    >>> wanted = Wanted("x.csv", "air", decimal=",", thousands=".", missing=("Ice",), below_limit="half")
    >>> values, wrong = numbers_of(np.array(["1.234,5", "Ice", "<0,5", "?"], dtype=object), "flow", wanted)
    >>> values.tolist(), wrong.tolist()
    ([1234.5, nan, 0.25, nan], [False, False, False, True])
    """
    said = pd.Series(texts, dtype=object).str.strip()
    if wanted.suffix:
        said = said.str.replace(suffix_pattern(wanted.suffix), r"\1", regex=True)
    absent = said.str.lower().isin(MISSING) | said.isin(wanted.missing_in(name))
    below = said.str.startswith("<") & ~absent if wanted.below_limit else pd.Series(False, index=said.index)
    above = said.str.startswith(">") & ~absent if wanted.below_limit else pd.Series(False, index=said.index)
    plain = said.where(~(below | above), said.str.replace(LIMIT, "", regex=True)) if (below | above).any() else said
    values = _floats(_plain(plain.where(~absent, "nan"), wanted).to_numpy(object))
    wrong = np.isnan(values) & ~absent.to_numpy(bool)
    if below.any():
        share = 0.5 if wanted.below_limit == "half" else np.nan
        values[below.to_numpy(bool)] *= share
    if above.any() and wanted.below_limit == "missing":
        values[above.to_numpy(bool)] = np.nan
    return values, wrong


def numbers_or_texts(texts: np.ndarray, decimal: str) -> np.ndarray:
    """Texts as floats where all that say anything are numbers, else as texts; "" says nothing.

    >>> numbers_or_texts(np.array(["1,5", ""], dtype=object), ",").tolist()
    [1.5, nan]
    >>> numbers_or_texts(np.array(["A1", "2"], dtype=object), ",").tolist()
    ['A1', '2']
    """
    held = texts != ""
    numbers = pd.to_numeric(pd.Series(texts, dtype=object).str.replace(decimal, ".", regex=False), errors="coerce")
    return np.asarray(numbers.to_numpy(float) if held.any() and not numbers[held].isna().any() else texts.astype(str))


def suffix_pattern(suffixes: Sequence[str]) -> re.Pattern[str]:
    """A number with one of these behind it; the number is its first group.

    >>> suffix_pattern(("µg/m³", "*")).fullmatch("12,3 µg/m³")[1]
    '12,3'
    """
    known = "|".join(re.escape(one) for one in sorted(suffixes, key=len, reverse=True))
    return re.compile(rf"^([<>]?\s*[+-]?[\d.,' \u00a0\u202f]*\d[.,]?(?:[eE][+-]?\d+)?)\s*(?:{known})$")


def _floats(texts: np.ndarray) -> np.ndarray:
    """Texts as the nearest floats, NaN where one is no number."""
    try:
        return texts.astype(np.float64)
    except ValueError:
        numbers = map(as_number, texts)
        return np.array([np.nan if number is None else number for number in numbers])


def _plain(texts: pd.Series, wanted: Wanted) -> pd.Series:
    """Texts as a programming language writes numbers; one whose groups are not of three digits stays as it is."""
    decimal, mark = re.escape(wanted.decimal), wanted.thousands
    if mark is None and wanted.decimal == ",":
        mark = "."  # where the comma is decimal, points may only group thousands
    if mark is not None:
        sign = r"[\s\u00a0\u202f\u2009]" if mark.isspace() else f"[{re.escape(mark)}\u2019]" if mark == "'" \
            else re.escape(mark)
        grouped = re.compile(rf"[+-]?\d{{1,3}}(?:{sign}\d{{3}})+(?:{decimal}\d*)?")
        is_grouped = texts.str.fullmatch(grouped)
        bare = texts.str.replace(sign, "", regex=True)
        texts = bare.where(is_grouped, texts)
        if wanted.decimal == ",":
            texts = texts.where(~texts.str.contains(".", regex=False), "?")
    return texts.str.replace(wanted.decimal, ".", regex=False) if wanted.decimal != "." else texts
