"""What is odd about a table of events, as data: heaped hours, daylight saving, duplicates. Nothing is printed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

HEAPED = 1.2  # an hour is heaped when it holds this many times the mean of the hours beside it
FIRST_OF_MONTH = 1.1
SURE = 6.0  # and is beyond this many standard deviations of a Poisson count
HOUR, DAY = 3_600_000_000_000, 86_400_000_000_000


@dataclass(frozen=True)
class Note:
    """One oddity: a code, where it is, what was seen and what was to be expected (in events), and a sentence."""

    code: str
    at: str
    seen: float
    expected: float
    words: str


def notes_of(time: np.ndarray, timezone: str | None, duplicates: int) -> tuple[Note, ...]:
    """All notes about event stamps (``datetime64[ns]``, local if ``timezone`` is given). O(events)."""
    found = [*heaped_hours(time), *heaped_first_of_month(time)]
    if timezone is not None and timezone != "UTC":
        found += daylight_saving(time, timezone)
    if duplicates:
        found.append(Note("duplicates", "all", duplicates, 0, f"{duplicates} rows are exact copies of an earlier "
                          "one; kept: several victims or doubled entries, the table does not say"))
    return tuple(found)


def heaped_hours(time: np.ndarray) -> list[Note]:
    """Hours of the day that hold many more events than the hours beside them: often a default entry time.

    >>> hours = np.concatenate([np.repeat(np.arange(24), 100), np.zeros(200, int)])
    >>> [note.at for note in heaped_hours(np.datetime64("2020-01-01", "ns") + hours * np.timedelta64(1, "h"))]
    ['hour 0']
    """
    count = np.bincount((time.astype("datetime64[ns]").astype(np.int64) % DAY) // HOUR, minlength=24)
    beside = (np.roll(count, 1) + np.roll(count, -1)) / 2
    heaped = (count > HEAPED * beside) & (count - beside > SURE * np.sqrt(1.5 * np.maximum(beside, 1)))
    return [Note("hour_heaped", f"hour {hour}", float(count[hour]), float(beside[hour]),
                 f"hour {hour} holds {count[hour] / max(beside[hour], 1):.2f} times the mean of the hours beside it: "
                 "perhaps a default entry time") for hour in np.flatnonzero(heaped)]


def heaped_first_of_month(time: np.ndarray) -> list[Note]:
    """Whether the first of the month holds many more events than a common day of the same span."""
    if not len(time):
        return []
    days = time.astype("datetime64[D]")
    first = days.min()
    count = np.bincount((days - first).astype(int))
    stamps = pd.DatetimeIndex(np.arange(first, days.max() + np.timedelta64(1, "D"))).day
    of_first, of_other = count[stamps == 1], count[(stamps > 1) & (stamps < 29)]
    if not len(of_first) or not len(of_other) or not of_other.sum():
        return []
    expected = of_other.mean() * len(of_first)
    if of_first.sum() <= FIRST_OF_MONTH * expected or of_first.sum() - expected <= SURE * np.sqrt(expected):
        return []
    return [Note("first_of_month_heaped", "day 1", float(of_first.sum()), float(expected),
                 f"the first of the month holds {of_first.sum() / expected:.2f} times a common day")]


def daylight_saving(time: np.ndarray, timezone: str) -> list[Note]:
    """The local hours that do not exist or come twice in the span of the events, with the events in them.

    >>> time = np.array(["2015-03-08T01:30", "2015-11-01T01:30"], "M8[ns]")
    >>> [(note.code, note.at) for note in daylight_saving(time, "America/New_York")]
    [('hour_missing', '2015-03-08T02:00'), ('hour_doubled', '2015-11-01T01:00')]
    """
    if not len(time):
        return []
    stamps = time.astype("datetime64[ns]").astype(np.int64)
    first, last = stamps.min() // DAY * DAY, stamps.max() // DAY * DAY + DAY
    hours = pd.DatetimeIndex(np.arange(first, last, HOUR).astype("datetime64[ns]"))
    there = hours.tz_localize(timezone, nonexistent="NaT", ambiguous=np.ones(len(hours), bool))
    once = hours.tz_localize(timezone, nonexistent="shift_forward", ambiguous="NaT")
    found = []
    for code, odd, share in (("hour_missing", there.isna(), 0.0), ("hour_doubled", once.isna(), 2.0)):
        for place in np.flatnonzero(odd):
            start = hours[place].value
            seen, before, after = (int(((stamps >= start + shift) & (stamps < start + shift + HOUR)).sum())
                                   for shift in (0, -HOUR, HOUR))
            at = str(np.datetime_as_string(hours[place].to_datetime64(), "m"))
            what = f"does not exist: {seen} misdated events" if not share else "comes twice: twice the exposure"
            found.append(Note(code, at, seen, share * (before + after) / 2, f"the hour {at} {what} ({timezone})"))
    return found
