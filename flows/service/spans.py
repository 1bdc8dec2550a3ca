"""How far a stream looks ahead and back, and how long it waits: from its step and from how much its file holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from terracast.adapt.initialise import past_needed

YEAR = pd.Timedelta("365D")
MOST_WAITED = 0.9  # of a file that is long enough: replay has the rest to score
SHORT_WAIT = 2 / 3  # of a shorter one
FEWEST_SEEN = 4  # steps of history below which nothing is worth beginning with
TEN = 10
PARTS = 12  # horizons that the past of a short file holds at least


@dataclass(frozen=True)
class Spans:
    """The largest lead, how often a step is taken, how much of the past is seen, and how much of it service waits
    for."""

    horizon: pd.Timedelta
    cadence: pd.Timedelta
    history: pd.Timedelta
    first_fit: pd.Timedelta

    def needed(self, step: pd.Timedelta) -> pd.Timedelta:
        """The past that a beginning with these spans needs."""
        return pd.Timedelta(past_needed(*(one.to_timedelta64() for one in (
            step, self.cadence, self.history, self.horizon))))

    @property
    def yearly(self) -> bool:
        """Whether a whole year is seen before service begins."""
        return self.first_fit >= YEAR


def spans_for(step: pd.Timedelta, length: pd.Timedelta) -> Spans:
    """Spans for data of this ``step`` of which a file holds ``length``: the usual ones of the step where the file is
    long enough, else such that service begins within the file and replay has a third of it to score, or a tenth. A file
    too short for any beginning gets the usual ones: service waits for more.

    >>> spans_for(pd.Timedelta("1h"), pd.Timedelta("1461D")).first_fit
    Timedelta('365 days 00:00:00')
    >>> short = spans_for(pd.Timedelta("1D"), pd.Timedelta("60D"))
    >>> short.first_fit, short.history, short.horizon
    (Timedelta('40 days 00:00:00'), Timedelta('7 days 00:00:00'), Timedelta('3 days 00:00:00'))
    """
    usual = usual_spans(step)
    usual = replace(usual, first_fit=max(usual.first_fit, _rounded_up(_rounded_up(usual.needed(step),
                                                                                  pd.Timedelta("1D")), step)))
    if usual.first_fit <= MOST_WAITED * length:
        return usual
    shorter = (_short(usual, _whole(share * length, step), step) for share in (SHORT_WAIT, MOST_WAITED))
    return next((spans for spans in shorter if spans is not None), usual)


def _short(usual: Spans, wait: pd.Timedelta, step: pd.Timedelta) -> Spans | None:
    """Spans with which service begins after ``wait``, the longest there are; None where so short a past teaches
    nothing."""
    least = wait // (PARTS * step) * step  # a horizon that such a past can teach
    horizon = max(min(usual.horizon, _whole(least, step)), step)
    longest = min(usual.history, _whole(wait / 4, step))
    for history in _shorter(longest, step):
        short = Spans(horizon, min(usual.cadence, max(horizon, step)), history, wait)
        if short.needed(step) <= wait:
            return short
    return None


def usual_spans(step: pd.Timedelta) -> Spans:
    """A day ahead for hourly data, 12 steps for minutes, 7 days, 4 weeks, 3 months."""
    if step >= pd.Timedelta("28D"):
        return Spans(3 * step, step, 24 * step, 108 * step)
    if step >= pd.Timedelta("7D"):
        return Spans(4 * step, step, 52 * step, 156 * step)
    if step >= pd.Timedelta("1D"):
        return Spans(7 * step, step, 60 * step, pd.Timedelta("730D"))
    if step >= pd.Timedelta("30min"):
        return Spans(_rounded_up(pd.Timedelta("1D"), step), _rounded_up(pd.Timedelta("6h"), step),
                     _rounded_up(pd.Timedelta("7D"), step), YEAR)
    return Spans(12 * step, 3 * step, 288 * step, 1152 * step)


def _shorter(longest: pd.Timedelta, step: pd.Timedelta) -> list[pd.Timedelta]:
    """The longest history, then shorter ones, by days where it is days."""
    grain = max(pd.Timedelta("1D"), step) if longest >= pd.Timedelta("2D") else step
    return [longest - part * grain for part in range(int((longest - FEWEST_SEEN * step) // grain) + 1)]


def _whole(span: pd.Timedelta, step: pd.Timedelta) -> pd.Timedelta:
    """Rounded down to whole days, below ten of them to whole hours, below ten of those (or where a step is no part of
    them) to whole steps: a short file has no day to spare."""
    for grain in (pd.Timedelta("1D"), pd.Timedelta("1h")):
        if span >= TEN * grain and grain % step == pd.Timedelta(0):
            return span // grain * grain
    return span // step * step


def _rounded_up(span: pd.Timedelta, step: pd.Timedelta) -> pd.Timedelta:
    return -(-span // step) * step
