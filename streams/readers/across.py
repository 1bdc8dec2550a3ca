"""Tables whose columns stand for places, quantities, hours, days, months or dates: a row per cell is made of them.

A pattern says what the names of columns hold: ``{date}``, ``H{hour}``, ``VALUE{day}``, ``{month}``, ``{node}``,
``{node}_{variable}``. What stands in braces becomes a column of that name, the cells one of values. Further patterns,
such as ``V{hour}``, are columns beside it, named after their own text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from terracast.streams.readers.stamp_format import parse, weekday_numbers
from terracast.streams.readers.table import Column, Table, Texts
from terracast.streams.readers.wanted import Wanted

PARTS = {"date": r".*\d.*", "time": r"\d{1,2}:\d{2}.*", "hour": r"\d{1,2}", "day": r"\d{1,2}",
         "month": r"\d{1,2}|[^\W\d_]+\.?",
         "weekday": r"[^\W\d_]+\.?", "year": r"\d{4}", "node": r".+", "variable": r".+"}
VALUE = "value"
SURE_DAYS = 28  # days that every month has


def pattern_of(text: str, wanted: Wanted) -> re.Pattern[str]:
    """A pattern of names of columns as a regular expression.

    >>> found = pattern_of("{node}_{variable}", Wanted("x.csv", "air")).fullmatch("A_1_no2")
    >>> found.groupdict()
    {'node': 'A_1', 'variable': 'no2'}
    """
    pieces = re.split(r"\{(\w*)\}", text)
    names = pieces[1::2]
    if not names or set(names) - set(PARTS):
        raise wanted.refusal(f"across is {text!r}", expected="some of " + ", ".join(f"{{{one}}}" for one in PARTS),
                             remedy="mend it, e.g. --across 'H{hour}'")
    written = [re.escape(piece) if at % 2 == 0 else f"(?P={piece})" if piece in pieces[1:at:2] else
               f"(?P<{piece}>{PARTS[piece]})" for at, piece in enumerate(pieces)]
    return re.compile("".join(written), re.IGNORECASE)


def name_nearby(text: str) -> str:
    """What the column of a further pattern is called: by the text of it that is in no braces."""
    return re.sub(r"\{\w*\}", " ", text).strip(" _-.|") or text


def in_rows(table: Table) -> Table:
    """The table with a row per cell of the columns that ``across`` names; as it is where it names none.

    O(rows times columns). Raises ``ReadError`` where no column fits.
    """
    wanted = table.wanted
    if not wanted.across:
        return table
    main = _matching(table, wanted.across[0])
    keys = list(main)
    if not keys:
        raise wanted.refusal(f"no column is {wanted.across[0]!r}", remedy="mend across, e.g. --across 'H{hour}'",
                             expected="columns such as " + ", ".join(list(table.columns)[:6]))
    value = wanted.value or VALUE
    further = {name_nearby(text): _matching(table, text) for text in wanted.across[1:]}
    used = {name for held in (main, *further.values()) for name in held.values()}
    count = len(keys)
    columns: dict[str, Column] = {}
    for name, column in table.columns.items():
        if name not in used:
            columns[name] = Texts(column.words, np.repeat(column.codes, count)) if isinstance(column, Texts) \
                else np.repeat(column, count)
    for at, part in enumerate(_parts(wanted.across[0])):
        words = [key[at] for key in keys]
        if part == "weekday":
            words = [str(number) for number in map(weekday_numbers(words).__getitem__, words)]
        columns[part] = Texts.of(np.array(words, dtype=object)).tiled(table.size)
    columns[value] = _woven([table.columns[name] for name in main.values()])
    for name, held in further.items():
        empty = Texts(np.array([""], dtype=object), np.zeros(table.size, int))
        columns[name] = _woven([table.columns[held[key]] if key in held else empty for key in keys])
    line = table.line
    long = replace(table, columns=columns, size=table.size * count, line=lambda row: line(row // count))
    return _without_absent_days(long, value)


def _parts(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"\{(\w+)\}", text)))


def _matching(table: Table, text: str) -> dict[tuple[str, ...], str]:
    """Columns that fit a pattern, by what stands in its braces."""
    wanted, pattern = table.wanted, pattern_of(text, table.wanted)
    aside = {*_names(wanted.time), *_names(wanted.node), *wanted.leave_out, *wanted.facts, wanted.known_time,
             wanted.variable, wanted.lat, wanted.lon}
    found = {}
    for name in table.columns:
        said = pattern.fullmatch(name) if name not in aside else None
        if said and ("month" not in said.groupdict() or is_month(said["month"])):
            found[tuple(said[part].strip() for part in _parts(text))] = name
    if "weekday" in _parts(text):
        at = _parts(text).index("weekday")
        days = weekday_numbers(list(dict.fromkeys(key[at] for key in found)))
        found = {key: name for key, name in found.items() if key[at] in days}
    return found


def is_month(text: str) -> bool:
    """Whether a text names a month, by its number or its name."""
    return not np.isnat(parse(np.array([f"2000 {text}"], dtype=object), "%Y %m" if text.isdigit() else "%Y %b"))[0]


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def _woven(columns: Sequence[Column]) -> Column:
    """Columns as one: the cells of the first row, then those of the second."""
    if not any(isinstance(column, Texts) for column in columns):
        return np.stack([np.asarray(column) for column in columns], axis=1).ravel()
    words: dict[str, int] = {}
    codes = []
    for column in columns:
        texts = column if isinstance(column, Texts) else Texts.of(column.astype(str).astype(object))
        mine = np.array([words.setdefault(str(word), len(words)) for word in texts.words], dtype=np.int64)
        codes.append(mine[texts.codes])
    return Texts(np.array(list(words), dtype=object), np.stack(codes, axis=1).ravel())


def _without_absent_days(table: Table, value: str) -> Table:
    """Without the cells of a 30 February: a month has fewer days than such a table has columns."""
    wanted = table.wanted
    if "day" not in _parts(wanted.across[0]) or wanted.time is None or wanted.time_format is None:
        return table
    days = table.texts("day")
    late = np.array([int(word) > SURE_DAYS for word in days.words], dtype=bool)[days.codes]
    stamps = table.texts(*_names(wanted.time))
    return table.rows(~(late & np.isnat(parse(stamps.words, wanted.time_format))[stamps.codes]))
