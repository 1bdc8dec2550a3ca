"""A table as it came, and its columns as numbers, stamps and texts: what is wrong is told by its line in the file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from terracast.streams.instant import instants
from terracast.streams.readers.numbers import MISSING, numbers_of
from terracast.streams.readers.stamp_format import parse, says_offset
from terracast.streams.readers.wanted import CONTRADICTORY, Names, Wanted

PLAIN_NAMES = {
    "time": ("time", "timestamp", "datetime", "date_time", "date", "valid_time"),
    "node": ("node", "station", "station_id", "sensor", "sensor_id", "site", "node_id"),
    "lat": ("lat", "latitude"), "lon": ("lon", "longitude"),
}
OFFSET = re.compile(r"\d\d(?::?\d\d)?.*(?:[zZ]|[+-]\d\d:?(?:\d\d)?)$")
NO_TIME = "no time stamp"
NO_NUMBER = "a value is no number"


@dataclass(frozen=True)
class Texts:
    """A column of texts: each distinct one once, and its number in each row.

    >>> Texts.of(np.array(["b", "a", "b"], dtype=object)).codes.tolist()
    [0, 1, 0]
    """

    words: np.ndarray
    codes: np.ndarray

    @classmethod
    def of(cls, texts: np.ndarray) -> Texts:
        """From a text a row."""
        codes, words = pd.factorize(texts)
        return cls(np.asarray(words, dtype=object), codes)

    @property
    def stripped(self) -> Texts:
        """Without the spaces, and single quotes, around the texts; those that are the same then are one."""
        plain = [bare(str(word)) for word in self.words]
        if plain == self.words.tolist() and len(set(plain)) == len(plain):
            return self
        codes, words = pd.factorize(np.array(plain, dtype=object))
        return Texts(words, codes[self.codes])

    @property
    def used(self) -> Texts:
        """Without the texts that no row has."""
        held = np.unique(self.codes)
        place = np.zeros(len(self.words), np.int64)
        place[held] = np.arange(len(held))
        return Texts(self.words[held], place[self.codes])

    def tiled(self, count: int) -> Texts:
        """All texts again and again."""
        return Texts(self.words, np.tile(self.codes, count))

    def joined_with(self, other: Texts) -> Texts:
        """Both texts of each row as one, with a space between."""
        pairs, found = pd.factorize(self.codes.astype(np.int64) * len(other.words) + other.codes)
        words = [f"{self.words[pair // len(other.words)]} {other.words[pair % len(other.words)]}" for pair in found]
        return Texts(np.array(words, dtype=object), pairs)

    def __getitem__(self, rows: np.ndarray) -> Texts:
        return Texts(self.words, self.codes[rows])

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True)
class RowCounts:
    """What became of the rows of a file before the store: how many were ``read``, hold no value (``missing``), say what
    another says (``duplicate``), join another row of their stamp and node (``joined``), or are ``rejected``."""

    read: int = 0
    missing: int = 0
    duplicate: int = 0
    joined: int = 0
    rejected: Counter[str] = field(default_factory=Counter)


Column = np.ndarray | Texts


def in_groups(codes: np.ndarray) -> np.ndarray:
    """The order of rows group by group, within a group as they come; counted, not compared, where groups are few.

    >>> in_groups(np.array([1, 0, 1, 0])).tolist()
    [1, 3, 0, 2]
    """
    few = len(codes) and codes.min() >= 0 and codes.max() < 2**16
    return np.argsort(codes.astype(np.uint16) if few else codes, kind="stable")


def bare(text: str) -> str:
    """A text without the spaces around it, and without single quotes, which some exports put around stamps.

    >>> bare(" '24:00'"), bare("5'")
    ('24:00', "5'")
    """
    text = text.strip()
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] == "'" else text


def once_each(names: Sequence[str]) -> list[str]:
    """Names of columns, of which a doubled one is numbered.

    >>> once_each(["no2", "status", "o3", "status"])
    ['no2', 'status', 'o3', 'status 2']
    """
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return found


@dataclass(frozen=True)
class Table:
    """Columns as they came: texts, numbers or stamps. ``line`` tells the line of a row in the file."""

    columns: dict[str, Column]
    size: int
    wanted: Wanted
    line: Callable[[int], int]
    in_utc: frozenset[str] = frozenset()  # columns of stamps that know their offset
    rejected: Counter[str] = field(default_factory=Counter)
    above: frozenset[str] = frozenset()  # columns that are said once, above the rows

    def rows(self, keep: np.ndarray) -> Table:
        """Some of the rows."""
        kept = np.flatnonzero(keep) if keep.dtype == bool else keep
        line = self.line
        return replace(self, columns={name: values[kept] for name, values in self.columns.items()}, size=len(kept),
                       line=lambda row: line(int(kept[row])))

    def column(self, axis: str, given: str | None) -> str | None:
        """The name of the column that is this axis: the given one, else a plain one, None where there is none."""
        if given is not None:
            if given not in self.columns:
                raise self.wanted.refusal(f"no column {given!r}", remedy=f"name the {axis} column",
                                          expected="one of " + ", ".join(self.columns))
            return given
        lower = {name.strip().lower(): name for name in self.columns}
        return next((lower[name] for name in PLAIN_NAMES[axis] if name in lower), None)

    def axis(self, axis: str, given: Names | None) -> tuple[str, ...]:
        """The columns that are this axis together; none where there is none."""
        if isinstance(given, tuple):
            return tuple(str(self.column(axis, name)) for name in given)
        name = self.column(axis, given)
        return () if name is None else (name,)

    def texts(self, *names: str) -> Texts:
        """Columns as one of texts; whole numbers that came as floats lose their point."""
        found = [self._texts(name) for name in names]
        joined = found[0]
        for other in found[1:]:
            joined = joined.joined_with(other)
        return joined

    def _texts(self, name: str) -> Texts:
        values = self.columns[name]
        if isinstance(values, Texts):
            return values.stripped
        codes, words = pd.factorize(values, use_na_sentinel=False)
        if words.dtype.kind == "f" and np.array_equal(words, np.rint(words), equal_nan=True):
            words = np.array(["" if np.isnan(word) else int(word) for word in words], dtype=object)
        said = words.tolist() if words.dtype.kind != "M" else np.datetime_as_string(words, "s").tolist()
        return Texts(np.array([str(word).strip() for word in said], dtype=object), codes)

    def numbers(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column as floats (float32 stays), and which of its rows hold a text that is none.

        Raises ``ReadError``, naming the line, where those are more than one row in a hundred.
        """
        found, wrong = self.read_numbers(name)
        if wrong.sum() > CONTRADICTORY * self.size:
            row = int(np.flatnonzero(wrong)[0])
            raise self.wanted.refusal(
                f"{name} is {self.text_of(name, row=row)!r}", row=self.line(row), expected="a number",
                remedy="correct it, name it in missing if it stands for no value (--missing), or name the columns "
                       "to read in variables")
        return found, wrong

    def read_numbers(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column as floats, and which of its rows hold a text that is none, however many those are."""
        values = self.columns[name]
        right = np.zeros(self.size, bool)
        if isinstance(values, Texts):
            found, wrong = numbers_of(values.words, name, self.wanted)
            return self.wanted.observed(name, found[values.codes]), wrong[values.codes]
        if values.dtype.kind == "f":
            return self.wanted.observed(name, values), right
        if values.dtype.kind in "iub":
            return self.wanted.observed(name, values.astype(np.float64)), right
        raise self.wanted.refusal(f"column {name!r} holds no numbers", expected="numbers",
                                  remedy="leave it out: name the columns to read in variables")

    def stamps(self, *names: str, gaps: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Columns as one of stamps, and which rows have none: UTC where stamps say their offset.

        Raises ``ReadError``, naming the line, where more than one row in a hundred has none; with ``gaps`` only where
        a text is no stamp.
        """
        stamps, told = self.read_stamps(*names)
        wrong = np.isnat(stamps) & told
        if wrong.sum() > CONTRADICTORY * self.size:
            row, form = int(np.flatnonzero(wrong)[0]), self.wanted.time_format or "2020-01-31T12:00 (ISO 8601)"
            raise self.wanted.refusal(f"{' '.join(names)} is {self.text_of(*names, row=row)!r}", row=self.line(row),
                                      expected=f"a stamp as {form}",
                                      remedy="give time_format, e.g. --time-format '%d/%m/%Y %H:%M'")
        none = np.isnat(stamps)
        if not gaps and none.sum() > CONTRADICTORY * self.size:
            raise self.wanted.refusal(f"{' '.join(names)} is missing", row=self.line(int(np.flatnonzero(none)[0])),
                                      expected="a stamp on every row", remedy="drop the rows without one")
        return stamps, none

    def read_stamps(self, *names: str) -> tuple[np.ndarray, np.ndarray]:
        """Columns as one of stamps, and which rows say anything there, however many of them are no stamp."""
        values = self.columns[names[0]]
        if len(names) > 1 or isinstance(values, Texts):
            return self._parsed(self.texts(*names))
        if values.dtype.kind != "M":
            return self._parsed(self._texts(names[0]))
        stamps = instants(values)
        return stamps, ~np.isnat(stamps)

    def text_of(self, *names: str, row: int) -> str:
        """What a row says in some columns, as a text."""
        return " ".join(self._text(name, row) for name in names)

    def _text(self, name: str, row: int) -> str:
        values = self.columns[name]
        if isinstance(values, Texts):
            return bare(str(values.words[values.codes[row]]))
        value = values[row]
        if values.dtype.kind == "M":
            return str(np.datetime_as_string(value, "s"))
        return str(int(value)) if values.dtype.kind == "f" and value == np.rint(value) else str(value)

    def _parsed(self, texts: Texts) -> tuple[np.ndarray, np.ndarray]:
        """Stamps, and which rows say anything."""
        said = np.array([word.lower() not in MISSING for word in texts.words], dtype=bool)
        stamps = np.full(len(texts.words), np.datetime64("NaT", "ns"))
        stamps[said] = parse(texts.words[said], self.wanted.time_format)
        return stamps[texts.codes], said[texts.codes]

    def says_offset(self, *names: str) -> np.ndarray:
        """Rows whose stamp says its offset."""
        values = self.columns[names[0]]
        if len(names) == 1 and not isinstance(values, Texts):
            return np.full(self.size, names[0] in self.in_utc)
        if self.wanted.time_format is not None:
            return np.full(self.size, says_offset(self.wanted.time_format))
        texts = self.texts(*names)
        found = [OFFSET.search(word[10:]) is not None for word in texts.words]
        return np.array(found, dtype=bool)[texts.codes]
