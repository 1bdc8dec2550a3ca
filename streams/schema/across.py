"""Tables whose columns are hours, days, months, dates, or places of several quantities: the pattern of their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from terracast.streams.readers.across import VALUE, in_rows, is_month
from terracast.streams.readers.stamp_format import parse, weekday_numbers
from terracast.streams.readers.table import Table
from terracast.streams.readers.wanted import Wanted
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.layout import STAMP
from terracast.streams.schema.profile import ColumnProfile, words_of
from terracast.streams.schema.time_axis import time_axis
from terracast.streams.schema.time_format import format_of
from terracast.streams.schema.time_parts import PARTS
from terracast.streams.schema.wide import is_quantity, quantity_of
from terracast.streams.unit_names import is_unit
from terracast.streams.vocabulary import named

FEWEST_DATES = 3
DENSE = 0.75  # share of places times quantities that are columns
DAY = np.timedelta64(1, "D")
CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?(?:\s*[-–]\s*\d{1,2}:\d{2}(?::\d{2})?)?")
JOINTS = (" | ", " - ", ": ", "__", "_", ".", "/", " ", "-")
STATISTICS = named("statistic")
DURATION = re.compile(r"\d+ ?(?:min|[hdwmys]|hr|cm|mm|m|hpa|%)", re.IGNORECASE)


@dataclass(frozen=True)
class Across:
    """Patterns of names, what they say, and other options that go with them. ``value``: what the cells are called."""

    patterns: tuple[str, ...]
    why: str
    value: str = VALUE
    options: Mapping[str, object] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    doubt: str = ""


def find_across(table: Table, columns: Mapping[str, ColumnProfile], stem: str, found: Findings) -> Table:
    """The table with a row per cell where its columns are said across; options ``across`` and ``value``."""
    given = found.given.get("across")
    if given:
        return in_rows(replace(table, wanted=_wanted(table, found)))
    if found.given.get("wide") or found.given.get("variables"):
        return table
    across = _dates(columns, stem) or _months(columns, stem) or _hours(columns, stem) or _days(columns, stem) \
        or _weekdays(columns, stem, found) \
        or _places(columns, found) or _stations(columns)
    if across is None:
        return table
    found.find("across", list(across.patterns), across.why)
    if across.value != VALUE:
        found.find("value", across.value, "the quantity of the cells")
    for name, value in across.options.items():
        found.find(name, value, across.why)
    if across.renamed:
        found.options["names"] = {**across.renamed, **(found.given.get("names") or {})}
        found.why["names"] = across.why
        table = replace(table, columns={across.renamed.get(name, name): one for name, one in table.columns.items()})
    if across.doubt:
        found.doubt(across.doubt, "--across PATTERN")
    return in_rows(replace(table, wanted=_wanted(table, found)))


def _wanted(table: Table, found: Findings) -> Wanted:
    held = {name: found.options[name] for name in ("value", "variable", "leave_out", "lat", "lon", "known_time", "time",
                                                   "node", "time_format") if name in found.options}
    for name in ("time", "node"):
        if isinstance(held.get(name), list):
            held[name] = tuple(held[name])
    held["leave_out"] = tuple(held.get("leave_out", ()))
    return replace(table.wanted, across=tuple(found.options["across"]), **held)


def _number_columns(columns: Mapping[str, ColumnProfile]) -> list[str]:
    return [name for name, column in columns.items() if column.numeric or column.empty]


def _named_after(stem: str, text: str, part: str) -> str:
    """What the cells are called: by the text around the part, else by the name of the file."""
    words = [word for word in words_of(text) if len(word) > 2 and word not in PARTS.get(part, ())]
    return text.strip(" _-.|:") if words else quantity_of(stem) or VALUE


def _dates(columns: Mapping[str, ColumnProfile], stem: str) -> Across | None:
    """Columns called by dates."""
    numbers = _number_columns(columns)
    dated = [name for name in numbers if STAMP.fullmatch(name.strip()) or re.fullmatch(
        r"(?:1[89]|20)\d{2}(?:[MQ-]?\d{1,2})?", name.strip())]
    if len(dated) < FEWEST_DATES or len(dated) < 0.5 * len(numbers):
        return None
    texts = np.array([name.strip() for name in dated], dtype=object)
    form = format_of(texts, np.ones(len(texts)))
    if form is None or form.share < 1 or len(np.unique(form.stamps)) < len(texts):
        return None
    rest = {name: column for name, column in columns.items() if name not in dated}
    years = form.form == "%Y"
    held = time_axis({name: one for name, one in rest.items() if one.distinct > 1}, Findings({}))
    if held is not None and not years:
        return None
    if years and held is None and any(set(column.words) & (PARTS["month"] | PARTS["week"]) for column in rest.values()):
        years = True
    return Across(("{year}" if years else "{date}",), f"{len(dated)} columns are dates", quantity_of(stem) or VALUE)


def _months(columns: Mapping[str, ColumnProfile], stem: str) -> Across | None:
    """Columns called by the twelve months beside a column of years."""
    months = [name for name in columns if is_month(name.strip()) and (not name.strip().isdigit())]
    if len(months) != 12:
        months = [name for name in columns if name.strip() in set(map(str, range(1, 13)))
                  or name.strip() in {f"{one:02d}" for one in range(1, 13)}]
    years = [name for name, column in columns.items() if name not in months and _is_years(column)]
    if len(months) == 12 and years:
        renamed = {} if set(columns[years[0]].words) & PARTS["year"] else {years[0]: "year"}
        return Across(("{month}",), "twelve columns are months", quantity_of(stem) or VALUE, renamed=renamed)
    names = list(columns)
    if len(names) == 13 and names[0] == "column 1" and _is_years(columns[names[0]]) and all(
            columns[name].numeric for name in names[1:]):
        short = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
        return Across(("{month}",), "a year and twelve numbers a row", quantity_of(stem) or VALUE,
                      renamed={names[0]: "year", **dict(zip(names[1:], short, strict=True))})
    return None


def _weekdays(columns: Mapping[str, ColumnProfile], stem: str, found: Findings) -> Across | None:
    """Columns called by the seven days of a week, beside year and week, or beside the date of its first day."""
    days = weekday_numbers(list(columns))
    if not days:
        return None
    aside = Findings(found.given)
    axis = time_axis({name: one for name, one in columns.items() if name not in days}, aside)
    if axis is None or axis.says_hour or not bool(axis.gap == 7 * DAY):
        return None
    form = str(aside.options.get("time_format") or "%Y-%m-%d")
    options: dict[str, object] = {"time": [*axis.names, "weekday"], "time_format": f"{form} %u"}
    return Across(("{weekday}",), "seven columns are the days of a week", quantity_of(stem) or VALUE, options)


def _is_years(column: ColumnProfile) -> bool:
    known = column.numbers[~np.isnan(column.numbers)]
    return column.whole and len(known) > 0 and known.min() > 1700 and known.max() < 2150


def _hours(columns: Mapping[str, ColumnProfile], stem: str) -> Across | None:
    """Columns called by the hours of a day, or by times of day, beside a date."""
    clock = [name for name in columns if CLOCK.fullmatch(name.strip())]
    if len(clock) >= 12 and _has_days({name: one for name, one in columns.items() if name not in clock}):
        return Across(("{time}",), f"{len(clock)} columns are times of day", quantity_of(stem) or VALUE)
    return _numbered(columns, stem, "hour", (range(24), range(1, 25)), _has_days)


def _days(columns: Mapping[str, ColumnProfile], stem: str) -> Across | None:
    """Columns called by the days of a month, beside year and month, or beside the date of its first day."""
    across = _numbered(columns, stem, "day", (range(1, 32),), _has_months)
    if across is not None:
        for name, column in columns.items():
            form = None if column.numeric or column.empty else format_of(column.texts.words[column.present],
                                                                         column.counts[column.present])
            for one in (form.form, form.other) if form is not None else ():
                if one and "%d" in one and _first_days(column, one):
                    return replace(across, options={**across.options, "time": [name, "day"],
                                                    "time_format": one.replace("%d", "*") + " %d"})
    return across


def _first_days(column: ColumnProfile, form: str) -> bool:
    """Whether all stamps are first days of months, in this format."""
    stamps = np.unique(parse(column.texts.words[column.present], form))
    return not np.isnat(stamps).any() and bool((stamps == stamps.astype("datetime64[M]")).all()) and len(
        stamps) > 1 and bool((np.diff(stamps) >= 28 * DAY).all())


def _numbered(columns: Mapping[str, ColumnProfile], stem: str, part: str, runs: Sequence[range],
              fits: Callable[[Mapping[str, ColumnProfile]], bool]) -> Across | None:
    """Columns of one text with running numbers in it."""
    held: dict[tuple[str, str], dict[int, str]] = {}
    for name in columns:
        said = re.fullmatch(r"(.*?)(\d{1,2})(\D*?)(?:\2(\D*))?", name.strip())
        if said:
            behind = said[3] if said[4] is None else f"{said[3]}{{{part}}}{said[4]}"  # both languages: H01//H01
            held.setdefault((said[1], behind), {})[int(said[2])] = name
    full = [key for key, numbers in held.items() if any(sorted(numbers) == list(run) for run in runs)]
    numeric = [key for key in full if sum(columns[name].numeric for name in held[key].values()) > 0.5 * len(held[key])]
    if not numeric:
        return None
    rest = {name: column for name, column in columns.items() if all(name not in held[key].values() for key in full)}
    if not fits(rest):
        return None
    main = numeric[0]
    others = [key for key in full if key != main and key not in numeric[1:]]
    patterns = tuple(f"{key[0]}{{{part}}}{key[1]}" for key in (main, *others))
    return Across(patterns, f"{len(held[main])} columns are {part}s",
                  _named_after(stem, "".join(main), part),
                  options={"leave_out": [name for key in numeric[1:] for name in held[key].values()]}
                  if len(numeric) > 1 else {})


def _has_days(rest: Mapping[str, ColumnProfile]) -> bool:
    axis = time_axis(rest, Findings({}))
    return axis is not None and not axis.says_hour and bool(axis.gap >= DAY)


def _has_months(rest: Mapping[str, ColumnProfile]) -> bool:
    axis = time_axis(rest, Findings({}))
    if axis is not None and bool(axis.gap >= 28 * DAY):
        return True
    forms = [(rest[name], format_of(rest[name].texts.words[rest[name].present], rest[name].counts[rest[name].present]))
             for name in (axis.names if axis is not None else ())]
    return any(form is not None and form.other and _first_days(column, form.other) for column, form in forms)


def _places(columns: Mapping[str, ColumnProfile], found: Findings) -> Across | None:
    """Columns called by a place and a quantity, in either order."""
    numbers = [name for name in _number_columns(columns) if not columns[name].empty]
    double = found.options.get("header_rows") == 2
    held = [name for name in numbers if " | " in name] if double else numbers
    axis = time_axis({name: one for name, one in columns.items() if name not in held}, Findings({})) if len(
        held) >= 4 else None
    if axis is None or len(np.unique(axis.stamps)) < 0.98 * len(axis.stamps):
        return None
    held = [name for name in held if name not in axis.names]
    for joint in JOINTS[:1] if double else JOINTS[1:]:
        for last in (False, True):
            pairs = [_pair(name, joint, last) for name in held]
            whole = [pair for pair in pairs if pair is not None]
            if len(whole) < max(4, 0.9 * len(held)) or len(set(whole)) < len(whole):
                continue
            across = _of_pairs(whole, joint, columns, held, double)
            if across is not None:
                return across
    return None


def _pair(name: str, joint: str, last: bool) -> tuple[str, str] | None:
    one, sign, other = name.rpartition(joint) if last else name.partition(joint)
    return (one, other) if sign and one.strip() and other.strip() else None


def _of_pairs(pairs: Sequence[tuple[str, str]], joint: str, columns: Mapping[str, ColumnProfile], held: Sequence[str],
              double: bool) -> Across | None:
    sides = [sorted({pair[at] for pair in pairs}) for at in (0, 1)]
    if min(map(len, sides)) < 2 or len(pairs) < DENSE * len(sides[0]) * len(sides[1]):
        return None
    quantities = [all(map(is_quantity, side)) for side in sides]
    if quantities[0] == quantities[1]:
        if not double:
            return None
        quantities = [len(sides[0]) <= len(sides[1]), len(sides[0]) > len(sides[1])]
    other = sides[1] if quantities[0] else sides[0]
    if not double and (any(set(words_of(one)) & STATISTICS for one in other) or all(map(is_unit, other))
                       or all(map(DURATION.fullmatch, other))):
        return None
    parts = ("{variable}", "{node}") if quantities[0] else ("{node}", "{variable}")
    pattern = parts[0] + joint + parts[1]
    out = [name for name, column in columns.items() if joint in name and name not in held]
    out += [name for name in held if joint not in name]
    words = "the names of two lines" if double else "columns"
    return Across((pattern,), f"{words} say place and quantity", options={"leave_out": out} if out else {},
                  doubt=f"{len(pairs)} columns are read as {len(other)} places of {len(pairs) // len(other)} "
                        f"quantities, such as {', '.join(other[:3])}")


def _stations(columns: Mapping[str, ColumnProfile]) -> Across | None:
    """A column of quantities beside a column per place."""
    texts = [name for name, column in columns.items() if not column.numeric and 2 <= column.distinct <= 60
             and sum(is_quantity(str(word)) for word in column.texts.words[column.present]) >= 0.75 * column.distinct]
    if len(texts) != 1:
        return None
    axis = time_axis(columns, Findings({}))
    if axis is None or texts[0] in axis.names:
        return None
    kind = columns[texts[0]]
    keys = axis.stamps.astype(np.int64) * len(kind.texts.words) + kind.texts.codes
    places = [name for name in _number_columns(columns) if name not in axis.names and name not in axis.also]
    alone = len(np.unique(keys)) > 0.97 * len(keys) and len(np.unique(axis.stamps)) < 0.6 * len(keys)
    no_places = named("value") | named("flag")
    if not alone or len(places) < 3 or any(is_quantity(name) or set(words_of(name)) & no_places for name in places):
        return None
    return Across(("{node}",), "each column of numbers is a place", options={
        "variable": texts[0], "time": list(axis.names) if len(axis.names) > 1 else axis.names[0]})

