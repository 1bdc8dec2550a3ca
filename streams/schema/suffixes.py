"""What stands behind numbers in the cells of a table: units, and marks of quality."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from terracast.streams.readers.numbers import MISSING
from terracast.streams.readers.stamp_format import ZONES
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.profile import LOOKED_AT
from terracast.streams.schema.time_format import format_of, time_of_day
from terracast.streams.unit_names import is_unit, plain
from terracast.streams.vocabulary import named

BEHIND = re.compile(r"[<>]?\s*[+-]?\d[\d.,'\u00a0\u202f]*(?:[eE][+-]?\d+)?(?P<gap>\s*)(?P<mark>(?![\d.,])\S.{0,19}?)")
CODED = re.compile(r"[+-]\d{4,5}(?P<mark>,\d)")  # numbers of NOAA's surface data, with a code of quality
MARK = re.compile(r"[^\w\s.,:;/-]{1,3}")
FEW = 15  # different ones in a column
SHARE = 0.9  # of the texts of a column that are numbers, or numbers with one of these behind


def find_suffixes(columns: Mapping[str, Sequence[str]], found: Findings) -> dict[str, str]:
    """Option ``suffix`` from the distinct texts of each column; the units that it says, by column."""
    every: Counter[str] = Counter()
    units: dict[str, str] = {}
    for name, texts in columns.items():
        marks, share, unit = _behind(texts[:LOOKED_AT])
        if not marks or set(re.findall(r"\w+", name.lower())) & named("place") or _is_time(texts):
            continue
        if any(mark.upper() in ZONES or re.fullmatch(r"[ap]\.?m\.?", mark, re.IGNORECASE) for mark in marks):
            continue
        for mark in marks:
            every[mark] += marks[mark]
        if unit and share > 0.5:
            units[name] = plain(unit)
    if every:
        found.find("suffix", list(every), "it stands behind numbers: " + ", ".join(list(every)[:6]))
        said = [mark for mark in every if not is_unit(mark)]
        if said:
            found.doubt("numbers are read without what stands behind them: " + ", ".join(said[:6]), "--suffix MARK")
    return units


def _is_time(texts: Sequence[str]) -> bool:
    some = np.array(list(texts[:200]), dtype=object)
    return format_of(some, np.ones(len(some))) is not None or time_of_day(list(some)) is not None


def _behind(texts: Sequence[str]) -> tuple[Counter[str], float, str]:
    """What stands behind the numbers of a column, the share of texts with it, and the commonest where it is a unit."""
    told = [text for text in texts if text.lower() not in MISSING]
    marks: Counter[str] = Counter()
    apart = bare = 0
    for text in told:
        said = CODED.fullmatch(text) or BEHIND.fullmatch(text)
        if said and (said.re is CODED or not re.search(r"\d", said["mark"]) or is_unit(said["mark"])):
            marks[said["mark"]] += 1
            apart += bool(said.groupdict().get("gap")) or bool(MARK.fullmatch(said["mark"])) or is_unit(said["mark"]) \
                or CODED.fullmatch(text) is not None
        elif re.fullmatch(r"[<>]?\s*[+-]?[\d.,' ]*\d[\d.,]*(?:[eE][+-]?\d+)?", text):
            bare += 1
    count = sum(marks.values())
    if not count or len(marks) > FEW or count + bare < SHARE * len(told) - 3:
        return Counter(), 0.0, ""
    if apart < count and bare < count:  # letters right behind the numbers: names such as 12A
        return Counter(), 0.0, ""
    common = marks.most_common(1)[0][0]
    return marks, count / len(told), common if is_unit(common) else ""
