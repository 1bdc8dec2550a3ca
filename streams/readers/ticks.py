"""From the stamps of a file to a clock, and from stamps that jitter to its ticks.

Real stamps drift by seconds, skip rows, and follow months or local days. The step is that of a node, not of the union
of all nodes' stamps.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from terracast.streams.clock import DAY, EPOCH, MONTH, TOLERANCE, Clock, common_phase, span
from terracast.streams.errors import PanelError
from terracast.streams.readers.table import in_groups
from terracast.streams.readers.wanted import Wanted

MAJORITY = 0.5  # share of stamps (or gaps) that makes a phase (or a step) the common one
AGREED = 0.95  # share of stamps on one day of the month, or one local hour, that makes a calendar
MULTIPLES = 0.9  # share of gaps that are multiples of a step that stamps keep
CLOSE = 0.8  # share of gaps about as long as their median where stamps jitter about a step
SPARSEST = 100  # steps that the median gap of sparse rows may have
ROUNDED = 0.05  # how far a jittering step may be from a round one
DRIFT = 1e-3  # how far from a round one a step may be that drifts by a constant
ROUND = tuple(pd.Timedelta(text).value for text in (
    "1s", "2s", "5s", "10s", "15s", "20s", "30s", "1min", "2min", "3min", "5min", "10min", "15min", "20min", "30min",
    "1h", "2h", "3h", "4h", "6h", "8h", "12h", "1D", "7D"))
MONTHS = ((1, 27.5, 31.5), (3, 89.5, 92.5), (6, 180.5, 184.5), (12, 364.5, 366.5))


@dataclass(frozen=True)
class Ticks:
    """Where rows lie on a clock.

    Parameters
    ----------
    time : numpy.ndarray
        The tick of each row (ns); a row too far off keeps its own stamp.
    keep : numpy.ndarray
        False where another row of the same node lies nearer to the same tick.
    clock : Clock
        The clock.
    moved : int
        How many rows were taken to a tick.
    farthest : pandas.Timedelta
        The farthest of those moves.
    """

    time: np.ndarray
    keep: np.ndarray
    clock: Clock
    moved: int
    farthest: pd.Timedelta

    def known(self, time: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Known times (row, or row and node) of rows whose own stamps were ``time``: what was taken to a later tick is
        not known before it."""
        beside = (slice(None), *(None,) * (known.ndim - 1))
        own, tick = time[beside], self.time[beside]
        return np.where((known >= own) & (known < tick), tick, known)

    @property
    def attrs(self) -> dict[Hashable, object]:
        """What a panel says of it."""
        told: dict[Hashable, object] = dict(self.clock.attrs.items())
        if self.moved:
            told |= {"stamps_moved": self.moved, "stamps_moved_by": in_words(self.farthest)}
        return told | ({"same_step_dropped": int((~self.keep).sum())} if not self.keep.all() else {})


def in_words(length: pd.Timedelta) -> str:
    """How far a stamp was moved, to a person.

    >>> in_words(pd.Timedelta("299s")), in_words(pd.Timedelta("1h"))
    ('4 min 59 s', '1 h')
    """
    parts = length.round("s").components
    told = [f"{count} {word}" for count, word in ((parts.days, "days"), (parts.hours, "h"), (parts.minutes, "min"),
                                                  (parts.seconds, "s")) if count]
    return " ".join(told[:2]) or "less than 1 s"


def on_ticks(time: np.ndarray, nodes: np.ndarray, wanted: Wanted, gaps: np.ndarray | None = None) -> Ticks:
    """Find the clock of rows and take them to its ticks.

    Parameters
    ----------
    time : numpy.ndarray
        Stamp of each row, UTC, ns; rising within a node.
    nodes : numpy.ndarray
        Number of the node of each row.
    wanted : Wanted
        ``step``, ``anchor``, ``calendar`` and ``time_zone`` as given; what is not given is found.
    gaps : numpy.ndarray, optional
        Positive gaps (ns) within nodes, where they are known.

    Raises
    ------
    ReadError
        Where no step can be found, or what is given is no clock.

    Notes
    -----
    O(rows log rows). Where most stamps keep the clock, one off by more than a quarter of a step stays where it is (the
    store refuses it); where they do not, each goes to the nearest tick.
    """
    clock = find_clock(time, nodes, wanted, gaps)
    ticks = clock.nearest(time)
    apart = np.abs((time - ticks).astype(np.int64))
    keep = np.ones(len(time), bool)
    if not apart.any():
        return Ticks(time, keep, clock, 0, pd.Timedelta(0))
    step = int(clock.step.astype(np.int64))
    kept = clock.calendar == "month" or np.mean(apart == 0) < MAJORITY
    far = np.zeros(len(time), bool) if kept else apart > TOLERANCE * step
    placed = np.where(far, time, ticks)
    order = np.lexsort((apart, placed, nodes))
    same = (np.diff(nodes[order]) == 0) & (np.diff(placed[order]) == np.timedelta64(0))
    keep[order[1:][same]] = False
    moved = (apart > 0) & ~far & keep
    return Ticks(placed, keep, clock, int(moved.sum()), pd.Timedelta(int(apart[moved].max(initial=0)), "ns"))


def find_clock(time: np.ndarray, nodes: np.ndarray, wanted: Wanted, gaps: np.ndarray | None = None) -> Clock:
    """The clock of these stamps (see ``on_ticks``)."""
    if not len(time):
        raise wanted.refusal("no rows", expected="at least one row", remedy="fetch the file again")
    step = _given(wanted)
    if step is None:
        step = _step(time, _gaps(time, nodes) if gaps is None or not len(gaps) else gaps, wanted)
    try:
        if step % MONTH == pd.Timedelta(0):
            return Clock(step.to_timedelta64(), _anchor(wanted, _common_day(time)), "month")
        zone = wanted.calendar or _zone(time, step, wanted)
        if zone:
            return Clock(step.to_timedelta64(), _anchor(wanted, time[0]), zone)
        clock = Clock(step.to_timedelta64(), _anchor(wanted, EPOCH + _phase(time, step.value)))
        return replace(clock, anchor=clock.nearest(time[:1])[0])  # a stamp that a person finds in the file
    except PanelError as wrong:
        raise wanted.refusal(wrong.what, expected=wrong.expected, remedy=wrong.remedy) from wrong


def _given(wanted: Wanted) -> pd.Timedelta | None:
    if wanted.step is None:
        return None
    try:
        length = span(wanted.step)
    except ValueError:
        length = pd.NaT
    if length is pd.NaT or length <= pd.Timedelta(0):
        raise wanted.refusal(f"step is {wanted.step!r}", expected="a duration such as '1h'",
                             remedy="give another step")
    return length


def _anchor(wanted: Wanted, found: np.datetime64) -> np.datetime64:
    if wanted.anchor is None:
        return found
    try:
        stamp = pd.Timestamp(wanted.anchor)
    except (ValueError, TypeError) as wrong:
        raise wanted.refusal(f"anchor is {wanted.anchor!r}", expected="one stamp of the clock: 2019-01-07T00:00",
                             remedy="mend the anchor") from wrong
    return np.datetime64((stamp.tz_convert("UTC").tz_localize(None) if stamp.tzinfo else stamp), "ns")


def _step(time: np.ndarray, gaps: np.ndarray, wanted: Wanted) -> pd.Timedelta:
    """The step of a node: months, else the commonest gap of which the others are multiples, else the gap that stamps
    jitter about, else (few rows of a finer clock, such as corrections) what divides all gaps."""
    if not len(gaps):
        raise wanted.refusal("one stamp alone has no step", expected="two stamps or the argument step",
                             remedy="give step, e.g. step='1h'")
    if (gaps == gaps[0]).all():
        gaps = gaps[:1]  # one says as much as all
    months = _months(time, gaps)
    if months:
        return months * MONTH
    lengths, counts = np.unique(gaps, return_counts=True)
    common, middle = int(lengths[np.argmax(counts)]), int(np.median(gaps))
    often = counts.max() >= MAJORITY * len(gaps)
    near = min(ROUND, key=lambda length: abs(length - middle))
    if often and np.mean(gaps % common == 0) >= MULTIPLES:
        drifts = 0 < abs(near - common) <= DRIFT * near
        return pd.Timedelta(near if drifts else common, "ns")
    jittered = pd.Timedelta(near if abs(near - middle) <= ROUNDED * near else middle, "ns")
    if np.mean(np.abs(gaps - middle) <= TOLERANCE * middle) >= CLOSE:
        return jittered
    divisor = int(np.gcd.reduce(gaps))
    if divisor * SPARSEST >= middle:
        return pd.Timedelta(divisor, "ns")
    return pd.Timedelta(common, "ns") if often else jittered


def _gaps(time: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Positive gaps (ns) within nodes; where every node has one row, those of all stamps."""
    order = in_groups(nodes)
    gaps = np.diff(time[order].astype(np.int64))[np.diff(nodes[order]) == 0]
    gaps = gaps[gaps > 0]
    return gaps if len(gaps) else np.diff(np.unique(time.astype(np.int64)))


def _months(time: np.ndarray, gaps: np.ndarray) -> int:
    """How many months a step has, 0 where the stamps follow none."""
    days = float(np.median(gaps)) / DAY.value
    count = next((count for count, least, most in MONTHS if least <= days <= most), 0)
    if not count:
        return 0
    stamps = pd.DatetimeIndex(np.unique(time))
    middle = ((stamps.day >= 14) & (stamps.day <= 17)).mean()
    common = stamps.day.value_counts(normalize=True).iloc[0]
    follows = max(common, np.mean(stamps.is_month_end), middle) >= AGREED
    return count if follows and len(stamps) >= 3 else 0


def _common_day(time: np.ndarray) -> np.datetime64:
    """A stamp that shows on which day of the month most stamps fall: the last one where most are last days."""
    stamps = pd.DatetimeIndex(np.unique(time))
    ends = stamps[stamps.is_month_end]
    common = stamps[stamps.day == stamps.day.value_counts().index[0]]
    return np.datetime64((ends if len(ends) > len(common) else common)[0], "ns")


def _zone(time: np.ndarray, step: pd.Timedelta, wanted: Wanted) -> str:
    """The time zone where whole days are counted in local ones and it changes its clocks, else nothing."""
    if wanted.time_zone is None or step % DAY != pd.Timedelta(0):
        return ""
    year = pd.date_range("2020-01-01", periods=366, freq="D", tz="UTC").tz_convert(wanted.time_zone)
    if len({stamp.utcoffset() for stamp in year}) == 1:
        return ""
    local = pd.DatetimeIndex(time).tz_localize("UTC").tz_convert(wanted.time_zone).tz_localize(None)
    hours = (local - local.normalize()).value_counts(normalize=True)
    return str(wanted.time_zone) if hours.iloc[0] >= AGREED else ""


def _phase(time: np.ndarray, step: int) -> np.timedelta64:
    """How far behind whole steps since 1970 the ticks lie: as most stamps say; where none do, round ones."""
    common, share = common_phase(time, np.timedelta64(step, "ns"))
    if share >= MAJORITY:
        return common
    if step < DAY.value:
        return np.timedelta64(0, "ns")
    angle = np.angle(np.exp(2j * np.pi * (time.astype(np.int64) % step) / step).mean()) / (2 * np.pi) % 1.0
    hour = pd.Timedelta("1h").value
    return np.timedelta64(round(angle * step / hour) * hour % step, "ns")
