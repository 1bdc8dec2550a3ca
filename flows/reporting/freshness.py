"""Freshness: how old the newest value of each source and node is, and whether the next one is overdue.

A wait is how old the newest value had grown when the next one came. Waits are learnt from the known times of what is
stored, so that hourly values which come in one file a day may be a day old. Due is what the third longest of the last
waits allows: what happened three times is usual, one outage is not. Late by less than the slack is not told: two
steps, but of long steps a day or a quarter; at least the cadence up to a day, as one late file must not alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from terracast.streams.storage.arrays import read_array
from terracast.streams.storage.observations import StoredDomain, find_domain
from terracast.streams.wording import age, counted, listed

if TYPE_CHECKING:
    from terracast.flows.workspace import Workspace
    from terracast.streams.store import View

TAIL = 504  # rows that waits are learnt from: three weeks of hours
REACH = np.timedelta64(365, "D")  # a node that said nothing for longer was closed, it is not late
MOST_CELLS = 4_000_000  # known times read for it at most
STILL = ("sensor", "raster")  # kinds whose nodes stay; vehicles come and go
FEWEST_WAITS = 5  # below, waits are not learnt
DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")
NAT = np.datetime64("NaT", "ns")
TICK = np.timedelta64(1, "ns")


@dataclass(frozen=True)
class NodeFreshness:
    """One node: the stamp of its newest value (None: it never reported, or not for a year) and whether it is silent
    for longer than it ever usually is."""

    node: str
    newest: np.datetime64 | None
    overdue: bool


@dataclass(frozen=True)
class SourceFreshness:
    """One domain: ``newest``, the last stamp with a value known now; ``due``, when the next value should have been
    here; ``overdue``, whether it is late beyond the slack; ``came``, when the last new value became known;
    ``overdue_from``, the instant after which it is overdue if nothing comes. None and False where nothing has come yet.
    ``holds_until``: up to then all of it stays as it is if nothing is written; None: for ever.

    Where the domain is overdue, so is each of its nodes that ever reported. In the stream's own domain only values of
    the target count.
    """

    domain: str
    newest: np.datetime64 | None
    due: np.datetime64 | None
    overdue: bool
    nodes: tuple[NodeFreshness, ...]
    came: np.datetime64 | None = None
    overdue_from: np.datetime64 | None = None
    holds_until: np.datetime64 | None = None

    @property
    def silent(self) -> tuple[str, ...]:
        """Names of the nodes that are overdue."""
        return tuple(one.node for one in self.nodes if one.overdue)


def freshness(workspace: Workspace, view: View, now: np.datetime64) -> tuple[SourceFreshness, ...]:
    """How fresh each domain is that the settings' sources name, as known at ``now``.

    Reads the stamps and the last rows of each domain: milliseconds, whatever the history's length.
    """
    settings = workspace.settings
    delays: dict[str, np.timedelta64 | None] = {}
    for source in settings.sources:
        given = None if source.delay is None else source.delay.to_timedelta64().astype("timedelta64[ns]")
        before = delays.get(source.domain)
        delays[source.domain] = given if before is None or (given is not None and given > before) else before
    cadence = settings.stream.cadence.to_timedelta64().astype("timedelta64[ns]")
    now = now.astype("datetime64[ns]")
    found = []
    for domain, delay in delays.items():
        held = find_domain(view.root, domain)
        wanted = settings.stream.target if domain == settings.stream.domain else None
        found.append(_never(domain, []) if held is None else _of_domain(held, wanted, now, delay, cadence))
    return tuple(found)


def stamp_in_words(stamp: np.datetime64) -> str:
    """A stamp to the minute; a midnight is a day.

    >>> stamp_in_words(np.datetime64("2024-12-31T00:00")), stamp_in_words(np.datetime64("2024-12-31T06:00"))
    ('2024-12-31', '2024-12-31 06:00 UTC')
    """
    text = np.datetime_as_string(stamp, "m").replace("T", " ")
    return text.removesuffix(" 00:00") if text.endswith(" 00:00") else f"{text} UTC"


def silence_sentence(source: SourceFreshness, now: np.datetime64, place: str = "station") -> str:
    """What is silent of a source, and since when; the empty string where nothing is."""
    late = [(one.node, one.newest) for one in source.nodes if one.overdue]
    if source.overdue:
        if source.newest is None:
            return f"Nothing ever came from {source.domain}."
        every = f"All {counted(len(late), place)} are silent." if len(late) > 1 else f"Its one {place} is silent."
        return (f"Nothing came from {source.domain} after {stamp_in_words(source.newest)}, "
                f"{age(now - source.newest)} ago. {every}")
    if not late:
        return ""
    named = [f"{node} since {stamp_in_words(newest)}" if newest is not None else f"{node}, which never reported"
             for node, newest in late]
    verb = "is" if len(late) == 1 else "are"
    return (f"{len(late)} of {counted(len(source.nodes), place)} of {source.domain} {verb} silent: "
            f"{listed(tuple(named))}.")


def slack_of(step: np.timedelta64, cadence: np.timedelta64) -> np.timedelta64:
    """How much later than due a value may come before that is told.

    >>> hour, day = np.timedelta64(1, "h"), np.timedelta64(1, "D")
    >>> [str(slack_of(step, 6 * hour).astype("timedelta64[h]")) for step in (hour, day, 7 * day)]
    ['6 hours', '24 hours', '42 hours']
    """
    step, cadence = step.astype("timedelta64[ns]"), cadence.astype("timedelta64[ns]")
    own = min(2 * step, max(DAY, step // 4))
    return max(own, min(cadence, DAY))


def typical_wait(times: np.ndarray, known: np.ndarray) -> np.timedelta64 | None:
    """The third longest wait for a newer value (of less than twenty: the second, of less than ten: the longest).

    ``times`` and ``known`` (row,): stamps and when they were known, NaT where no value came. None where fewer than
    five waits were seen. A past that was loaded at once was not waited for: what makes the newest stamp jump by more
    than twice the time that had passed is left out.

    >>> day = np.datetime64("2024-01-01", "ns") + np.arange(240) * np.timedelta64(1, "h")
    >>> arrived = day.astype("datetime64[D]") + np.timedelta64(25, "h")  # each day's hours in one file at one o'clock
    >>> str(typical_wait(day, arrived).astype("timedelta64[h]"))  # the newest was 23:00 of the day before the last
    '26 hours'
    """
    came = ~np.isnat(known)
    order = np.argsort(known[came], kind="stable")
    stamps, arrivals = times[came][order].astype("datetime64[ns]"), known[came][order].astype("datetime64[ns]")
    last = np.flatnonzero(np.append(arrivals[1:] != arrivals[:-1], True)) if len(arrivals) else np.zeros(0, int)
    newest, arrivals = np.maximum.accumulate(stamps)[last], arrivals[last]
    newer = np.flatnonzero(np.diff(newest.astype(np.int64)) > 0)
    lasted = (arrivals[newer + 1] - arrivals[newer]).astype(np.int64)
    advanced = (newest[newer + 1] - newest[newer]).astype(np.int64)
    waits = np.sort((arrivals[newer + 1] - newest[newer])[2 * lasted >= advanced])
    if len(waits) < FEWEST_WAITS:
        return None
    return np.timedelta64(int(waits[-min(3, 1 + len(waits) // 10)].astype(np.int64)), "ns")


def _never(domain: str, ahead: list[np.datetime64]) -> SourceFreshness:
    return SourceFreshness(domain, None, None, False, (), holds_until=min(ahead, default=None))


def _of_domain(held: StoredDomain, wanted: str | None, now: np.datetime64, delay: np.timedelta64 | None,
               cadence: np.timedelta64) -> SourceFreshness:
    times, known, seen, ahead = _read_back(held, wanted, now)
    newest = np.fmax.reduce(seen) if len(seen) else NAT
    if np.isnat(newest):
        return _never(held.domain, ahead)
    step, slack = held.step, slack_of(held.step, cadence)
    wait = typical_wait(times, np.fmin.reduce(known, axis=1)) or step + (step if delay is None else delay)
    overdue, still = bool(now > newest + wait + slack), held.attrs.get("kind") in STILL
    nodes, turns = [], ahead + ([] if overdue else [newest + wait + slack])
    for column, (name, last) in enumerate(zip(held.nodes.tolist(), seen, strict=True)):
        late = overdue and not np.isnat(last)
        if still and not overdue and now > last + wait + slack:  # NaT compares False
            own = max(wait, typical_wait(times, known[:, column]) or wait)
            late = bool(now > last + own + max(slack, own))
            turns += [] if late else [last + own + max(slack, own)]
        elif still and not overdue and not np.isnat(last):
            turns.append(last + wait + slack)
        nodes.append(NodeFreshness(str(name), None if np.isnat(last) else last, late))
    return SourceFreshness(held.domain, newest, newest + wait, overdue, tuple(nodes), np.fmax.reduce(known, axis=None),
                           newest + wait + slack, min(turns, default=None))


def _read_back(held: StoredDomain, wanted: str | None, now: np.datetime64
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.datetime64]]:
    """The last rows of which anything is known now (of the variable ``wanted``, if there is one), stamps (row,) and
    known times (row, node) with NaT where nothing is, and the last stamp of each node (node,); reads back until every
    node was seen, but not beyond ``REACH``. Last, the instants up to which no more is known of what is stored."""
    stop, budget = held.rows(None, now).stop, MOST_CELLS
    ahead = [one - TICK for one in held.time[stop:stop + 1]]
    tail = held.time[:0], np.zeros((0, len(held.nodes)), "datetime64[ns]")
    seen = np.full(len(held.nodes), NAT)
    while stop > 0 and np.isnat(seen).any():
        start = max(0, stop - TAIL)
        times, known = held.time[start:stop], read_array(held.arrays["known_time"], slice(start, stop))
        there = known <= now  # NaT compares False
        if wanted in held.arrays:
            there &= np.isfinite(read_array(held.arrays[str(wanted)], slice(start, stop)))
        ahead += [known[known > now].min() - TICK] if (known > now).any() else []
        known = np.where(there, known, NAT)
        seen = np.where(np.isnat(seen) & there.any(axis=0), times[len(times) - 1 - there[::-1].argmax(axis=0)], seen)
        if not len(tail[0]) and there.any():
            tail = times, known
        stop, budget = start, budget - known.size
        if len(tail[0]) and (budget < 0 or tail[0][-1] - times[0] > REACH):
            break
    return *tail, seen, ahead
