"""The rows of a long table on its axes: the stamp, the node, what is measured, and which rows cannot be taken."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from terracast.streams.clock import span
from terracast.streams.readers.local_time import DROPPED, checked_zone, later, to_utc
from terracast.streams.readers.table import NO_TIME, PLAIN_NAMES, Table
from terracast.streams.readers.wanted import Wanted

MIN_ROWS = 100  # below which no stamp is called far from all others
FAR_SHARE = 0.01  # of the rows: more are no mistyped stamps
FAR = np.timedelta64(5 * 365, "D")
IN_FUTURE = "in the future"
FAR_OFF = "years from all other stamps"
FUTURE_STEPS = 100
FORECASTS = 0.5  # share of stamps in the future that makes a table one of forecasts
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Times:
    """The time of each row (UTC, ns; NaT: it has none), when it was known, and why rows were lost."""

    time: np.ndarray
    known: np.ndarray | None
    lost: Counter[str]
    names: tuple[str, ...]


def times_of(table: Table, groups: np.ndarray) -> Times:
    """Stamps of the rows; ``groups`` are the nodes within which a doubled hour of local time comes twice."""
    wanted, lost = table.wanted, Counter[str]()
    names = table.axis("time", wanted.time)
    if not names:
        time, known = _counted(table), _known(table, None)
        return Times(time, known, lost, names)
    time, none = table.stamps(*names)
    lost[NO_TIME] = int(none.sum())
    zone = None if wanted.time_zone is None else checked_zone(wanted)
    if zone is not None:
        told = table.says_offset(*names)
        placed, ambiguous, skipped = to_utc(time, groups, zone)
        time = np.where(told, time, placed)
        lost[DROPPED["ambiguous_dropped"]] = int((ambiguous & ~told).sum())
        lost[DROPPED["nonexistent_dropped"]] = int((skipped & ~told).sum())
        if np.isnat(time).all():
            raise wanted.refusal("every row lies in the hour of a clock change", expected="a stamp that can be placed",
                                 remedy="write stamps with their offset")
    return Times(_without_stray(time, wanted, lost), _known(table, zone), lost, names)


def _counted(table: Table) -> np.ndarray:
    """Stamps of a table that has none, by ``start`` and ``step``."""
    wanted = table.wanted
    if wanted.start is None or wanted.step is None:
        raise wanted.refusal("no time column", expected="one of " + ", ".join(PLAIN_NAMES["time"]) + "; there are "
                             + ", ".join(list(table.columns)[:8]),
                             remedy="name it (--time NAME), or give start and step for a table without stamps "
                                    "(--start 2020-01-01 --step 1h)")
    try:
        first, step = np.datetime64(wanted.start, "ns"), span(wanted.step).to_timedelta64()
    except ValueError as wrong:
        raise wanted.refusal(f"start or step is no time ({wrong})", expected="e.g. '2020-01-01' and '1h'",
                             remedy="correct it") from wrong
    return np.asarray(first + np.arange(table.size) * step)


def _known(table: Table, zone: str | None) -> np.ndarray | None:
    name = table.wanted.known_time
    if name is None:
        return None
    if name not in table.columns:
        raise table.wanted.refusal(f"no column {name!r}", expected="one of " + ", ".join(table.columns),
                                   remedy="name the column of known times")
    known, _ = table.stamps(name, gaps=True)
    return known if zone is None else np.where(table.says_offset(name), known, later(known, zone))


def _without_stray(time: np.ndarray, wanted: Wanted, lost: Counter[str]) -> np.ndarray:
    """NaT for stamps of a mistyped year: in the future, or, a few, years from all others."""
    here = ~np.isnat(time)
    if wanted.latest is not None and here.any():
        ahead = here & (time > wanted.latest + DAY + FUTURE_STEPS * _step(time[here], wanted))
        if 0 < ahead.sum() < FORECASTS * here.sum():
            time = np.where(ahead, np.datetime64("NaT", "ns"), time)
            lost[IN_FUTURE] = int(ahead.sum())
            here &= ~ahead
    if here.sum() < MIN_ROWS:
        return time
    some = np.sort(time[here][:: max(1, int(here.sum()) // 10_000)])
    middle = some[len(some) // 50:len(some) - len(some) // 50]
    width = max(middle[-1] - middle[0], FAR)
    far = here & ((time < middle[0] - width) | (time > middle[-1] + width))
    if not far.any() or far.sum() > FAR_SHARE * here.sum():
        return time
    lost[FAR_OFF] = int(far.sum())
    return np.where(far, np.datetime64("NaT", "ns"), time)


def _step(time: np.ndarray, wanted: Wanted) -> np.timedelta64:
    """The step given, else the median gap between the distinct stamps."""
    if wanted.step is not None:
        try:
            return span(wanted.step).to_timedelta64()
        except ValueError:
            return DAY
    held = np.unique(time)
    return np.timedelta64(int(np.median(np.diff(held).astype(np.int64))), "ns") if len(held) > 1 else DAY


def invalid_rows(table: Table) -> dict[str, np.ndarray]:
    """Rows that a flag calls invalid, by variable ("": all of them), as ``valid`` says.

    ``flag=V,R``: rows whose flag is one of these are observations; ``no2:flag=V`` says so of one variable.
    """
    found: dict[str, np.ndarray] = {}
    for rule in table.wanted.valid:
        flag, _, words = rule.partition("=")
        variable, _, column = flag.rpartition(":")
        name = str(table.column("flag", column.strip()))
        texts, allowed = table.texts(name), {word.strip() for word in words.split(",")}
        invalid = np.array([word not in allowed for word in texts.words], dtype=bool)[texts.codes]
        found[variable.strip()] = found.get(variable.strip(), np.zeros(table.size, bool)) | invalid
    return found
