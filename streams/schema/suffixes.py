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
from terracast.streams.schema.unit_names import is_unit, plain
from terracast.streams.schema.vocabulary import named

BEHIND = re.compile(r"[<>]?\s*[+-]?\d[\d.,'\u00a0\u202f]*(?:[eE][+-]?\d+)?(?P<gap>\s*)(?P<tail>(?![\d.,])\S.{0,19}?)")
CODED = re.compile(r"[+-]\d{4,5}(?P<tail>,\d)")  # numbers of NOAA's surface data, with a code of quality
MARK = re.compile(r"[^\w\s.,:;/-]{1,3}")
FEW = 15  # different ones in a column
SHARE = 0.9  # of the texts of a column that are numbers, or numbers with one of these behind


def find_suffixes(columns: Mapping[str, Sequence[str]], found: Findings) -> dict[str, str]:
    """Option ``suffix`` from the distinct texts of each column; the units that it says, by column."""
    every: Counter[str] = Counter()
    units: dict[str, str] = {}
    for name, texts in columns.items():
        tails, share, unit = _tails(texts[:LOOKED_AT])
        if not tails or set(re.findall(r"\w+", name.lower())) & named("place") or _is_time(texts):
            continue
        if any(tail.upper() in ZONES or re.fullmatch(r"[ap]\.?m\.?", tail, re.IGNORECASE) for tail in tails):
            continue
        for tail in tails:
            every[tail] += tails[tail]
        if unit and share > 0.5:
            units[name] = plain(unit)
    if every:
        found.find("suffix", list(every), "it stands behind numbers: " + ", ".join(list(every)[:6]))
        marks = [tail for tail in every if not is_unit(tail)]
        if marks:
            found.doubt("numbers are read without what stands behind them: " + ", ".join(marks[:6]), "--suffix MARK")
    return units


def _is_time(texts: Sequence[str]) -> bool:
    some = np.array(list(texts[:200]), dtype=object)
    return format_of(some, np.ones(len(some))) is not None or time_of_day(list(some)) is not None


def _tails(texts: Sequence[str]) -> tuple[Counter[str], float, str]:
    """What stands behind the numbers of a column, the share of texts that have one, and the commonest that is a unit."""
    told = [text for text in texts if text.lower() not in MISSING]
    tails: Counter[str] = Counter()
    apart = bare = 0
    for text in told:
        said = CODED.fullmatch(text) or BEHIND.fullmatch(text)
        if said and (said.re is CODED or not re.search(r"\d", said["tail"]) or is_unit(said["tail"])):
            tails[said["tail"]] += 1
            apart += bool(said.groupdict().get("gap")) or bool(MARK.fullmatch(said["tail"])) or is_unit(said["tail"]) \
                or CODED.fullmatch(text) is not None
        elif re.fullmatch(r"[<>]?\s*[+-]?[\d.,' ]*\d[\d.,]*(?:[eE][+-]?\d+)?", text):
            bare += 1
    count = sum(tails.values())
    if not count or len(tails) > FEW or count + bare < SHARE * len(told) - 3:
        return Counter(), 0.0, ""
    if apart < count and bare < count:  # letters right behind the numbers: names such as 12A
        return Counter(), 0.0, ""
    common = tails.most_common(1)[0][0]
    return tails, count / len(told), common if is_unit(common) else ""
