"""The two times of rows that arrived: what they are about, and when that was known here."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from terracast.streams.readers.local_time import to_utc
from terracast.streams.readers.table import NO_TIME, Table, Texts
from terracast.streams.sources.rows import AHEAD, AMBIGUOUS, NONEXISTENT, Terms

NAT = np.datetime64("NaT", "ns")
# A number that is a stamp is seconds since 1970, or a thousandth, a millionth, a billionth of them, by its size.
SCALES = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (0.0, 1_000_000_000))
COUNT = re.compile(r"\d{9,}(?:\.\d+)?")  # a text that counts from 1970 on, and is no date


class Fault(NamedTuple):
    """Why a row is no report: ``reason`` as it is counted, the other words for people."""

    reason: str
    what: str
    expected: str
    remedy: str


class RowTimes(NamedTuple):
    """Times of rows in ns since 1970, UTC, and the faults of rows that have none."""

    time: np.ndarray
    known: np.ndarray
    faults: dict[int, Fault]


def times_of_rows(table: Table, terms: Terms, received: np.ndarray) -> RowTimes:
    """When rows were, and when they became known; ``received``: the arrival of each row that ``table.line`` names."""
    arrived = received[[table.line(row) for row in range(table.size)]]
    faults: dict[int, Fault] = {}
    names = _names(table)
    time = arrived if not names else _stamps(table, terms, names, faults)
    time = np.where(_none(time), time, terms.placed(np.where(_none(time), 0, time)))
    if terms.known_time is not None:
        known = _stamps(table, terms, (terms.known_time,), faults)
    elif terms.delay is not None:
        known = time + terms.delay.value
    else:
        known = arrived
    for row in np.flatnonzero(~_none(time) & ~_none(known) & (known < time - terms.step_ns)):
        shown = table.text_of(*names, row=int(row)) if names else ""
        told = f"{' '.join(names)} is {shown!r}, known {known[row].astype('datetime64[ns]')}"
        faults.setdefault(int(row), Fault(AHEAD, told, "nothing known more than a step before its time",
                                          "check the clock and the time zone of the sender"))
    return RowTimes(time, np.maximum(known, time), faults)


def _names(table: Table) -> tuple[str, ...]:
    given = table.wanted.time
    return () if given is None else (given,) if isinstance(given, str) else given


def _none(time: np.ndarray) -> np.ndarray:
    return np.asarray(time == NAT.astype(np.int64))


def _stamps(table: Table, terms: Terms, names: tuple[str, ...], faults: dict[int, Fault]) -> np.ndarray:
    """Columns as stamps (ns, UTC); rows that have none are put among the faults."""
    shown = " ".join(names)
    if any(name not in table.columns for name in names):
        missing = Fault(NO_TIME, f"no {shown!r}", "a stamp in every row", f"give {shown!r} as 2020-01-31T12:00Z")
        faults.update({row: missing for row in range(table.size) if row not in faults})
        return np.full(table.size, NAT.astype(np.int64))
    stamps, said = _counted(table, names[0]) if len(names) == 1 and table.wanted.time_format is None \
        else table.read_stamps(*names)
    zone = table.wanted.time_zone
    if zone is not None:
        stamps = _in_utc(table, names, stamps, said, zone, terms, faults)
    for row in np.flatnonzero(np.isnat(stamps)):
        text = table.text_of(*names, row=int(row))[:40]
        form = table.wanted.time_format or "2020-01-31T12:00Z (ISO 8601) or seconds since 1970"
        what = f"{shown} is {text!r}" if said[row] else f"no {shown!r}"
        faults.setdefault(int(row), Fault(NO_TIME, what, f"a stamp as {form}, of the years 1678 to 2262",
                                          "correct the sender, or name its form in time_format"))
    return stamps.astype("datetime64[ns]").astype(np.int64)


def _counted(table: Table, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A column as stamps where numbers may count from 1970 on."""
    values = table.columns[name]
    if isinstance(values, Texts):
        stamps, said = table.read_stamps(name)
        stamps = stamps.copy()
        for row in np.flatnonzero(np.isnat(stamps) & _counts(values)):
            text = str(values.words[values.codes[row]]).strip()
            stamps[row] = _instant(int(text) if text.isdigit() else float(text))
        return stamps, said
    if values.dtype.kind == "M":
        return table.read_stamps(name)
    return np.array([_instant(float(value)) for value in values], "datetime64[ns]"), ~np.isnan(values)


def _counts(texts: Texts) -> np.ndarray:
    """Which rows hold a number since 1970 as text."""
    return np.array([COUNT.fullmatch(str(word).strip()) is not None for word in texts.words], dtype=bool)[texts.codes]


def _instant(count: float) -> np.datetime64:
    """A number since 1970, by its size in seconds or parts of them."""
    if not abs(count) < 9.2e18:
        return NAT
    size = next(size for least, size in SCALES if abs(count) >= least)
    whole = count * size if isinstance(count, int) else round(count * size / 1e3) * 1000
    return np.datetime64(int(whole), "ns") if abs(whole) < 9.2e18 else NAT


def _in_utc(table: Table, names: tuple[str, ...], stamps: np.ndarray, said: np.ndarray, zone: str, terms: Terms,
            faults: dict[int, Fault]) -> np.ndarray:
    """Local stamps as instants; a row stands alone, so that one in the doubled hour means either."""
    told = table.says_offset(*names) | _is_counted(table, names)
    placed, ambiguous, skipped = to_utc(stamps, np.arange(table.size), zone)
    for mask, reason, often in ((ambiguous, AMBIGUOUS, "twice"), (skipped, NONEXISTENT, "never")):
        for row in np.flatnonzero(mask & ~told & said):
            shown = np.datetime_as_string(stamps[row], "s")
            faults.setdefault(int(row), Fault(reason, f"{shown} came {often} in {terms.time_zone}",
                                              "a stamp that says which instant it means",
                                              "send the stamp with its offset"))
    return np.where(told, stamps, placed)


def _is_counted(table: Table, names: tuple[str, ...]) -> np.ndarray:
    """Rows whose stamp is a number since 1970, which no zone moves."""
    values = table.columns[names[0]]
    if len(names) > 1 or table.wanted.time_format is not None:
        return np.zeros(table.size, bool)
    if isinstance(values, Texts):
        return _counts(values)
    return np.full(table.size, values.dtype.kind != "M")
