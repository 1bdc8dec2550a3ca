"""What the timeline chart shows, as rows: values, errors, spans in lanes, marks, clipped to one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from terracast.flows.reporting.content import (
    ERROR_COLUMNS,
    VALUE_COLUMNS,
    AlarmRow,
    Change,
    KnownEvent,
    ReportError,
    Timeline,
    with_columns,
)
from terracast.flows.reporting.wording import change_type_in_words
from terracast.streams.wording import counted, day, instant, is_known, number

MOST_ROWS = 5000
# share of the time axis that a letter of a label takes where the chart is 600 pixels wide
SHARE_OF_A_LETTER = 0.0105
DAY = 86_400_000
Row = dict[str, Any]


@dataclass(frozen=True)
class TimelineRows:
    """Rows ready for the chart: ``at`` and, for what lasts, ``until`` are milliseconds since 1970 (UTC).

    ``domain`` is the shared axis in the same unit, ``lanes`` the number of lanes that the spans need.
    """

    values: list[Row]
    errors: list[Row]
    episodes: list[Row]
    events: list[Row]
    changes: list[Row]
    lanes: int
    domain: tuple[int, int]


def rows_of(timeline: Timeline, alarms: Sequence[AlarmRow]) -> TimelineRows | None:
    """Everything the chart draws, or None where there is neither a value nor an error to draw.

    Spans and marks outside the axis are left out, an open episode ends with the axis. Raises
    ``ReportError`` for a table that lacks a column or has 5,000 rows or more.
    """
    values = _table(timeline.values, VALUE_COLUMNS, "timeline values")
    errors = _table(timeline.errors, ERROR_COLUMNS, "timeline errors")
    has_values = bool(values.drop(columns="time").notna().any(axis=None))
    has_errors = bool(errors.drop(columns="time").notna().any(axis=None))
    if not has_values and not has_errors:
        return None
    times = pd.concat([values["time"] if has_values else None, errors["time"] if has_errors else None])
    start = _milliseconds(times.min())
    end = _milliseconds(times.max()) + _step(values if has_values else errors)
    episodes = [row for row in (_span(alarm.start, alarm.end, alarm.episode, change_type_in_words(alarm.change_type),
                                                  (start, end)) for alarm in sorted(alarms, key=_start))
                if row]
    events = [row for row in (_span(event.start, event.end, event.label, "event", (start, end))
                              for event in sorted(timeline.events, key=_start)) if row]
    lanes = _stack(episodes, 0, (start, end))
    lanes = _stack(events, lanes, (start, end))
    changes = [_mark(change) for change in timeline.changes if start <= _milliseconds(change.time) <= end]
    return TimelineRows(_value_rows(values) if has_values else [], _error_rows(errors) if has_errors else [],
                        episodes, events, changes, lanes, (start, end))


def spoken(rows: TimelineRows, lead: str) -> str:
    """The chart in one sentence, for who cannot see it.

    >>> spoken(TimelineRows([], [{}], [], [], [], 0, (0, 86400000)), "")
    'Chart from 1 Jan 1970 to 2 Jan 1970 with the error per week, 0 episodes, 0 promotions or rollbacks.'
    """
    start, end = (np.datetime64(bound, "ms") for bound in rows.domain)
    shown = " and ".join(
        [f"observation and forecast{f' ({lead})' if lead else ''} with its 80 % interval"] * bool(rows.values)
        + ["the error per week"] * bool(rows.errors))
    return (f"Chart from {day(start)} to {day(end)} with {shown}, {counted(len(rows.episodes), 'episode')}, "
            f"{len(rows.changes)} promotions or rollbacks.")


def _table(table: pd.DataFrame | None, columns: tuple[str, ...], where: str) -> pd.DataFrame:
    clean = with_columns(table, columns, ("time",), where)
    if len(clean) >= MOST_ROWS:
        raise ReportError(f"{len(clean):,} rows", where=f"report, {where}",
                          expected=f"fewer than {MOST_ROWS:,}",
                          remedy="aggregate with reporting.daily.network_daily")
    clean["time"] = clean["time"].astype("datetime64[ns]")
    for name in columns[1:]:
        clean[name] = pd.to_numeric(clean[name]).astype(float).replace([np.inf, -np.inf], np.nan)
    return clean.dropna(subset="time").sort_values("time", kind="stable")


def _start(span: AlarmRow | KnownEvent) -> pd.Timestamp:
    return pd.Timestamp(span.start)


def _milliseconds(time: np.datetime64 | pd.Timestamp | None) -> int:
    return int(pd.Timestamp(time).value // 1_000_000)


def _step(table: pd.DataFrame) -> int:
    """How long the last row lasts: the usual distance of rows, a day for a single one."""
    gaps = np.diff(table["time"].to_numpy().astype("datetime64[ms]").astype("int64"))
    return int(np.median(gaps)) if len(gaps) else 86_400_000


def _span(start: np.datetime64, end: np.datetime64 | None, label: str, row_type: str,
          domain: tuple[int, int]) -> Row | None:
    begin = _milliseconds(start)
    is_open = not is_known(end)
    stop = domain[1] if is_open else _milliseconds(end)
    if begin > domain[1] or stop < domain[0]:
        return None
    until = "still open" if is_open else f"to {day(end)}"
    # a span of an instant stays visible
    least = (domain[1] - domain[0]) // 250
    shown = max(begin, domain[0])
    return {"at": shown, "until": min(max(stop, shown + least), domain[1]), "label": label, "type": row_type,
            "when": f"{day(start)} {until}"}


def _stack(spans: list[Row], first: int, domain: tuple[int, int]) -> int:
    """Give each span the first lane where it and its label touch no other; returns the next free lane."""
    letter = SHARE_OF_A_LETTER * (domain[1] - domain[0])
    ends: list[float] = []
    for row in spans:
        begin, stop = float(row["at"]), float(row["until"])
        needed = (len(str(row["label"])) + 2) * letter
        leftward = stop + needed > domain[1]  # no room to the right: the label stands before the bar
        left, right = (begin - needed, stop) if leftward else (begin, stop + needed)
        row["align"] = "right" if leftward else "left"
        lane = next((lane for lane, end in enumerate(ends) if end <= left), len(ends))
        ends[lane:lane + 1] = [right]
        row["lane"] = first + lane
    return first + len(ends)


def _mark(change: Change) -> Row:
    return {"at": _milliseconds(change.time), "kind": change.kind, "label": f"version {change.version}",
            "when": day(change.time)}


def _value_rows(values: pd.DataFrame) -> list[Row]:
    step = _step(values)
    told = instant if step < DAY else day
    return [{"at": _milliseconds(time), "until": _milliseconds(time) + step, "day": told(time),
             "observed": _short(observed), "median": _short(median), "low": _short(low), "high": _short(high),
             "seen": number(observed), "forecast": number(median), "interval": f"{number(low)} to {number(high)}"}
            for time, observed, median, low, high in values.itertuples(index=False)]


def _error_rows(errors: pd.DataFrame) -> list[Row]:
    step = _step(errors)
    return [{"at": _milliseconds(time), "until": _milliseconds(time) + step, "week": f"week of {day(time)}",
             "frozen": _short(frozen), "champion": _short(champion)}
            for time, frozen, champion in errors.itertuples(index=False)]


def _short(value: float) -> float | None:
    """Four significant digits are all a chart can show; None breaks the line."""
    return None if np.isnan(value) else float(f"{value:.4g}")
