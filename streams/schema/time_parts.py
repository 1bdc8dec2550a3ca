"""The time of a table in columns of their own: year and month, week, day, hour; found by name and by range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from terracast.streams.readers.stamp_format import epidemiological_week, parse
from terracast.streams.readers.table import Texts
from terracast.streams.schema.findings import Findings
from terracast.streams.schema.profile import ColumnProfile, words_of
from terracast.streams.schema.time_format import format_of, time_of_day
from terracast.streams.vocabulary import named

PARTS = {part: named(part) for part in ("year", "month", "day", "hour", "minute", "week", "dayofyear", "quarter")}
RANGES = {"year": (1750, 2150), "month": (1, 12), "day": (1, 31), "hour": (0, 24), "minute": (0, 59), "week": (1, 53),
          "dayofyear": (1, 366), "quarter": (1, 4)}
ORDERS = (("year", "month", "day", "hour", "minute"), ("year", "month", "day", "hour"), ("year", "month", "day"),
          ("year", "dayofyear", "hour"), ("year", "dayofyear"), ("year", "week"), ("year", "month"),
          ("year", "quarter"))
FIRST_COLUMNS = 6  # among which year, month and day may stand without names
SIGNS = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "week": "%V", "dayofyear": "%j",
         "quarter": "%q"}


@dataclass(frozen=True)
class TableTime:
    """The columns of the time, the stamp of each row as it is written (no zone applied), whether stamps say their
    offset, and columns that say the time once more, with a reason each."""

    names: tuple[str, ...]
    stamps: np.ndarray
    says_offset: bool
    says_hour: bool
    also: Mapping[str, str] = field(default_factory=dict)

    @property
    def gap(self) -> np.timedelta64:
        """The median gap between the distinct stamps."""
        held = np.unique(self.stamps[~np.isnat(self.stamps)])
        return np.timedelta64(int(np.median(np.diff(held).astype(np.int64))), "ns") if len(held) > 1 \
            else np.timedelta64(0, "ns")


def from_parts(columns: Mapping[str, ColumnProfile], found: Findings) -> TableTime | None:
    """Year and month, week, day … in columns of their own, found by name and range."""
    held: dict[str, str] = {}
    for part, called in PARTS.items():
        low, high = RANGES[part]
        for name, column in columns.items():
            own = set(column.words) | {name.strip().lower()}
            if name in held.values() or not own & called:
                continue
            known = column.numbers[column.present]
            fits = column.whole and len(known) and np.nanmin(known) >= low and np.nanmax(known) <= high
            named_month = part == "month" and not column.numeric and format_of(
                np.array([f"{text} 2000" for text in column.texts.words[column.present]], dtype=object),
                column.counts[column.present]) is not None
            if fits or named_month:
                held[part] = name
                break
    for order in ORDERS:
        if not set(order) <= set(held):
            continue
        names = tuple(held[part] for part in order)
        joined = columns[names[0]].texts
        for name in names[1:]:
            joined = joined.joined_with(columns[name].texts)
        signs = [SIGNS[part] if not (part == "month" and not columns[held[part]].numeric) else "%b" for part in order]
        form = " ".join(signs)
        if "week" in order:
            about = {word for name in columns for word in words_of(name)}
            form = _weeks(columns[held["year"]], columns[held["week"]], joined, about, found)
        clock = _clock(columns, names) if order[-1] == "day" else None
        if clock is not None:
            names, joined, form = (*names, clock[0]), joined.joined_with(columns[clock[0]].texts), f"{form} {clock[1]}"
        stamps = parse(joined.words, form)
        if np.isnat(stamps).mean() > 0.03:
            continue
        found.find("time", list(names), " and ".join(order) + " in columns of their own")
        found.find("time_format", form, "they make a stamp of every row")
        if "hour" in order:
            tell_hours(held["hour"], columns[held["hour"]], found)
        return TableTime(names, stamps[joined.codes], False, "hour" in order or clock is not None)
    return None


def _clock(columns: Mapping[str, ColumnProfile], names: tuple[str, ...]) -> tuple[str, str] | None:
    """A column of times of day such as 13:00, and its format."""
    for name, column in columns.items():
        if name not in names and not column.numeric and column.distinct > 1:
            form = time_of_day([str(word) for word in column.texts.words[column.present]])
            if form is not None:
                return name, form
    return None


def _weeks(year: ColumnProfile, week: ColumnProfile, joined: Texts, about: set[str], found: Findings) -> str:
    """ISO weeks (from Monday) or epidemiological ones (from Sunday): a week 53 tells which calendar has it, and the
    words of the table (``about``) whose it is."""
    pairs = [tuple(map(int, map(float, text.split()))) for text in map(str, joined.words)]
    long_years = {one for one, number in pairs if number == 53}
    short_years = {one for one, number in pairs if number == 52} - long_years
    last = max((one for one, _ in pairs), default=0)

    def fits(has_53: Mapping[int, bool]) -> bool:
        return all(has_53[one] for one in long_years) and not any(
            has_53[one] for one in short_years if one != last and len([1 for y, _ in pairs if y == one]) > 50)

    years = {one for one, _ in pairs}
    iso = {one: pd.Timestamp(one, 12, 28).isocalendar().week == 53 for one in years}
    epi = {one: _is_long(one) for one in years}
    named = {"epi", "mmwr", "epiweek", "mmwrweek", "epidemiological"} & {*week.words, *year.words} \
        or {"ili", "ilitotal", "mmwr", "ilinet"} & about
    if fits(epi) and (named or not fits(iso)):
        return "%Y %V"
    if not (fits(iso) and not fits(epi)):
        found.doubt(f"{week.name} is read as ISO weeks, which begin on Mondays; epidemiological weeks begin on Sundays",
                    '--time-format "%Y %V"')
    return "%G %V"


def _is_long(year: int) -> bool:
    try:
        epidemiological_week(year, 53)
    except ValueError:
        return False
    return True


def untitled(columns: Mapping[str, ColumnProfile], found: Findings) -> TableTime | None:
    """Year, month and day in three of the first columns of a table whose names do not say so: they make even stamps."""
    every = list(columns)
    for begin in range(min(FIRST_COLUMNS, len(every) - 2)):
        found_here = _untitled(every[begin:begin + 3], columns, found)
        if found_here is not None:
            return found_here
    return None


def _untitled(names: list[str], columns: Mapping[str, ColumnProfile], found: Findings) -> TableTime | None:
    if not all(columns[name].whole and not columns[name].empty for name in names):
        return None
    joined = columns[names[0]].texts.joined_with(columns[names[1]].texts).joined_with(columns[names[2]].texts)
    for form in ("%Y %m %d", "%y %m %d", "%d %m %Y", "%m %d %Y"):
        stamps = parse(joined.words, form)
        if np.isnat(stamps).any():
            continue
        gaps = np.diff(np.unique(stamps))
        if len(gaps) > 10 and (gaps == np.timedelta64(1, "D")).mean() > 0.9:
            hour = _hour_after(names, columns, stamps[joined.codes])
            if hour is not None:
                with_hour = joined.joined_with(columns[hour].texts)
                found.find("time", [*names, hour], "they count hours: year, month, day and hour")
                found.find("time_format", f"{form} %H", "they make a stamp of every row")
                tell_hours(hour, columns[hour], found)
                return TableTime((*names, hour), parse(with_hour.words, f"{form} %H")[with_hour.codes], False, True)
            found.find("time", names, "they count days: year, month and day")
            found.find("time_format", form, "they make daily stamps")
            return TableTime(tuple(names), stamps[joined.codes], False, False)
    return None


def _hour_after(names: list[str], columns: Mapping[str, ColumnProfile], days: np.ndarray) -> str | None:
    """The column right of year, month and day where it counts the hours of each: nothing but 0 to 24, and within a day
    rising by as much from row to row; places may share a row's hour."""
    every = list(columns)
    at = every.index(names[-1]) + 1
    if at >= len(every):
        return None
    column = columns[every[at]]
    if not column.whole or column.empty or column.distinct < 2 or not column.present.all():
        return None
    hours = column.numbers[column.texts.codes]
    low, high = RANGES["hour"]
    if np.nanmin(hours) < low or np.nanmax(hours) > high:
        return None
    same_day = days[1:] == days[:-1]
    steps = np.diff(hours)[same_day]
    steps = steps[steps != 0]  # several places in a row
    usual = np.median(steps) if len(steps) else 0.0
    return every[at] if usual > 0 and (steps == usual).mean() > 0.8 else None


def tell_hours(name: str, column: ColumnProfile, found: Findings) -> None:
    known = column.numbers[~np.isnan(column.numbers)]
    if len(known) and known.max() == 24 and known.min() == 1:
        found.doubt(f"{name} runs from 1 to 24: 24 is read as 00:00 of the next day, so stamps are ends of hours",
                    "--delay 0h")
