"""Columns of a table as what they hold: each distinct text with how often it comes, and what of it are numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from terracast.streams.readers.numbers import MISSING, numbers_of, suffix_pattern
from terracast.streams.readers.table import Table, Texts
from terracast.streams.readers.wanted import Wanted

LOOKED_AT = 20_000  # distinct texts of a column that show how its numbers are written
NUMBERS = 0.5  # share of its texts that makes a column one of numbers
GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:([,.' \u00a0\u202f\u2009\u2019])\d{3})+(?:([.,])\d+)?")
DOTTED = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*")  # as objects within others are named
GENERAL = frozenset({"name", "value", "code", "id", "mean", "max", "min", "avg", "unit", "type", "text", "label"})
MARKED = re.compile(r"[+-]?\d*([.,])\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True)
class ColumnProfile:
    """A column: its distinct texts (stripped), how often each comes, the one of each row, and their numbers (NaN where
    a text is none)."""

    name: str
    texts: Texts
    numbers: np.ndarray
    is_stamp: bool = False

    @cached_property
    def counts(self) -> np.ndarray:
        """How often each distinct text comes."""
        return np.bincount(self.texts.codes, minlength=len(self.texts.words))

    @cached_property
    def present(self) -> np.ndarray:
        """Which distinct texts say anything."""
        return np.array([word.lower() not in MISSING for word in self.texts.words], dtype=bool)

    @cached_property
    def numeric(self) -> bool:
        """Whether most of what it says are numbers."""
        told = self.counts[self.present].sum()
        return bool(told) and self.counts[self.present & ~np.isnan(self.numbers)].sum() > NUMBERS * told

    @cached_property
    def whole(self) -> bool:
        """Whether its numbers are whole ones."""
        known = self.numbers[~np.isnan(self.numbers)]
        return bool(self.numeric and np.array_equal(known, np.rint(known)))

    @cached_property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not self.present.any()

    @cached_property
    def blank(self) -> bool:
        """Whether it says nothing, or nothing but a number such as -999."""
        said = self.texts.words[self.present]
        return not len(said) or (len(said) == 1 and len(self.texts) > 1 and bool(
            re.fullmatch(r"-9{3,}(?:\.[09]+)?|-99(?:\.[09]+)", str(said[0]))))

    @cached_property
    def coded(self) -> bool:
        """Whether its whole numbers are names: they begin with zeros."""
        return self.whole and any(re.fullmatch(r"0\d{2,}", str(word)) for word in self.texts.words[self.present])

    @property
    def distinct(self) -> int:
        """How many different things it says."""
        return int(self.present.sum())

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its name, in lower case; of ``outer.inner`` those of the inner one, where they say enough."""
        inner = self.name.rpartition(".")[2]
        if DOTTED.fullmatch(self.name) and not set(words_of(inner)) <= GENERAL:
            return words_of(inner)
        return words_of(self.name)

    def odd(self) -> dict[str, int]:
        """Texts among numbers that are none, and how often each comes."""
        wrong = self.present & np.isnan(self.numbers)
        return {str(word): int(count) for word, count in zip(self.texts.words[wrong], self.counts[wrong], strict=True)}


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case.

    >>> words_of("Wind_speed (m/s)"), words_of("pm25Value")
    (('wind', 'speed', 'm', 's'), ('pm25', 'value'))
    """
    return tuple(re.findall(r"[^\W_]+", re.sub(r"(?<=[^\W_A-Z])(?=[A-Z])", " ", name).lower()))


def profiles_of(table: Table, wanted: Wanted) -> dict[str, ColumnProfile]:
    """What the columns hold; ``wanted`` says how numbers are written."""
    found = {}
    for name, values in table.columns.items():
        if isinstance(values, Texts):
            texts = _without_suffix(values.stripped, wanted)
            numbers = numbers_of(texts.words, name, wanted)[0]
        else:
            texts = table.texts(name)
            stamps = values.dtype.kind == "M"
            numbers = np.full(len(texts.words), np.nan) if stamps else numbers_of(
                texts.words, name, Wanted(wanted.where, wanted.domain))[0]
        kind = not isinstance(values, Texts) and values.dtype.kind == "M"
        found[name] = ColumnProfile(name, texts, numbers, kind)
    return found


def _without_suffix(texts: Texts, wanted: Wanted) -> Texts:
    """Texts without what stands behind numbers."""
    if not wanted.suffix:
        return texts
    pattern = suffix_pattern(wanted.suffix)
    return Texts(np.array([pattern.sub(r"\1", str(word)) for word in texts.words], dtype=object), texts.codes).stripped


@dataclass(frozen=True)
class NumberForm:
    """The decimal mark and that of thousands ("" where there is none), and whether points could be either."""

    decimal: str = "."
    thousands: str = ""
    doubtful: str = ""


def number_form(columns: Mapping[str, Sequence[str]], separator: str) -> NumberForm:
    """How the numbers of columns are written, from their texts.

    >>> number_form({"x": ["1.234,5", "12,75"]}, ";"), number_form({"x": ["704", "1,099"]}, ",").thousands
    (NumberForm(decimal=',', thousands='.', doubtful=''), ',')
    """
    decimals: Counter[str] = Counter()
    groups: Counter[str] = Counter()
    either: Counter[str] = Counter()
    for texts in columns.values():
        plain = 0
        mine: Counter[str] = Counter()
        for text in texts[:LOOKED_AT]:
            grouped, marked = GROUPS.fullmatch(text), MARKED.fullmatch(text)
            if grouped and (grouped[2] or text.count(grouped[1]) > 1 or grouped[1] not in ".,"):
                groups[grouped[1]] += 1
                if grouped[2]:
                    decimals[grouped[2]] += 1
            elif grouped and marked:
                mine[grouped[1]] += 1
            elif marked:
                decimals[marked[1]] += 1
                plain -= 1
            elif text.isdigit() and len(text) < 4:
                plain += 1
        # whole numbers up to 999, and others with one mark before the last three digits: a mark of thousands
        for mark, count in mine.items():
            (groups if plain > count / 10 and plain > 0 and not decimals[mark] else either)[mark] += count
    decimal = "," if decimals[","] > decimals["."] or (groups["."] and not decimals["."]) else "."
    if decimals and decimal == "." and either[","]:
        groups[","] += either[","]
    if not decimals and either["."] + either[","]:
        mark = max(either, key=lambda one: either[one])
        return NumberForm(mark, "", mark if mark == "," or separator == ";" else "")
    thousands = [mark for mark in groups if mark != decimal]
    mark = max(thousands, key=lambda one: groups[one]) if thousands else ""
    if mark and mark.isspace():
        mark = " "
    return NumberForm(decimal, "'" if mark == "\u2019" else mark)
