"""Rates of counts by node and season, and what the newest rows say of them, shrunk to what is known more broadly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.stats.calendar import DAY, HOUR, MONDAY, WEEK

# Events that a prior is worth: of a node, of a node's hour or day, of the network. Chosen on one half of the cells of
# nyc_crime, confirmed on the other (`terracast bench counts`).
FEW, SOME, MANY = 30.0, 100.0, 100.0


@dataclass(frozen=True)
class CountRates:
    """What was learnt of the counts of a network.

    Parameters
    ----------
    events, exposure : numpy.ndarray
        Of each node, (node,): events seen, and steps seen in units of the season.
    season : numpy.ndarray
        Of the network, (phase,): the rate there to the mean rate.
    own_events, own_exposure : numpy.ndarray
        Of each node by the short season, (node, phase).
    """

    events: np.ndarray
    exposure: np.ndarray
    season: np.ndarray
    own_events: np.ndarray
    own_exposure: np.ndarray

    @property
    def mean(self) -> float:
        """Events a step of a usual node."""
        return float((self.events.sum() + 1e-3) / max(self.exposure.sum(), 1.0))

    def of_node(self, less_events: np.ndarray | float = 0.0, less_exposure: np.ndarray | float = 0.0,
                node: np.ndarray | slice = slice(None)) -> np.ndarray:
        """The rate of nodes, shrunk to the mean one; without some of what was seen, so that a label does not teach its
        own forecast."""
        prior = self.mean
        events = np.maximum(self.events[node] - less_events, 0.0)
        return np.asarray((events + 1.0) / (np.maximum(self.exposure[node] - less_exposure, 0.0) + 1.0 / prior))

    def reindexed(self, known: tuple[str, ...], wanted: tuple[str, ...]) -> CountRates:
        """The rates of the nodes ``wanted`` of those ``known``; of one that is not among them nothing is known."""
        if known == wanted:
            return self
        place = pd.Index(known).get_indexer(list(wanted))
        there = place >= 0
        events, exposure = (np.where(there, one[place], 0.0) for one in (self.events, self.exposure))
        own = (np.where(there[:, None], one[place], 0.0) for one in (self.own_events, self.own_exposure))
        return CountRates(events, exposure, self.season, *own)

    def or_more(self, other: CountRates) -> CountRates:
        """Of each node what the one with the larger exposure says; the season is this one's."""
        more = other.exposure > self.exposure
        return CountRates(np.where(more, other.events, self.events), np.where(more, other.exposure, self.exposure),
                          self.season, np.where(more[:, None], other.own_events, self.own_events),
                          np.where(more[:, None], other.own_exposure, self.own_exposure))


def season_length(step: np.timedelta64) -> tuple[int, int]:
    """Phases of the long and of the short season that counts follow: the hours of a week and of a day below a day; the
    days of a week; none from a week on.

    >>> season_length(np.timedelta64(1, "h")), season_length(np.timedelta64(7, "D"))
    ((168, 24), (1, 1))
    """
    length = int(step.astype("timedelta64[ns]").astype(np.int64))
    if length <= DAY // 4:
        return 168, 24
    return (7, 7) if length <= DAY else (1, 1)


def phases_of(times: np.ndarray, long: int, short: int) -> tuple[np.ndarray, np.ndarray]:
    """The phase of each stamp in the long and in the short season."""
    since = times.astype("datetime64[ns]").astype(np.int64)
    if long == 168:
        return ((since - MONDAY) % WEEK) // HOUR, (since % DAY) // HOUR
    if long == 7:
        week = ((since - MONDAY) % WEEK) // DAY
        return week, week
    return np.zeros(len(since), np.int64), np.zeros(len(since), np.int64)


def measured(counts: np.ndarray, times: np.ndarray, step: np.timedelta64) -> CountRates:
    """The rates of counts (time, node), NaN where nothing was observed. O(values)."""
    long, short = season_length(step)
    phase, own = phases_of(times, long, short)
    seen = np.isfinite(counts)
    filled = np.where(seen, counts, 0.0)
    total, rows = filled.sum(axis=0), seen.sum(axis=0)
    node_rate = (total + 1.0) / (rows + 1.0 / max(total.sum() / max(rows.sum(), 1), 1e-6))
    expected = seen * node_rate
    by_phase = np.bincount(phase, weights=filled.sum(axis=1), minlength=long)
    wanted = np.bincount(phase, weights=expected.sum(axis=1), minlength=long)
    coarse_events = np.bincount(own, weights=filled.sum(axis=1), minlength=short)
    coarse_wanted = np.bincount(own, weights=expected.sum(axis=1), minlength=short)
    coarse = (coarse_events + MANY) / (coarse_wanted + MANY)
    of_long = coarse[phases_at(long, short)]
    season = (by_phase + MANY * of_long) / (wanted + MANY)
    exposure = seen * season[phase][:, None]
    own_events, own_exposure = (np.stack([values[own == one].sum(axis=0) for one in range(short)], axis=1)
                                for values in (filled, exposure))
    return CountRates(total, exposure.sum(axis=0), season, own_events, own_exposure)


def phases_at(long: int, short: int) -> np.ndarray:
    """The phase of the short season at each phase of the long one."""
    return np.arange(long) % short if long == 168 else np.arange(long) % max(short, 1)


def half_lives(step: np.timedelta64) -> tuple[float, ...]:
    """Of what was seen lately, in steps."""
    base = min(season_length(step)[1] if season_length(step)[1] > 1 else 7, 24)
    return base / 4, float(base), 4.0 * base


def lately(counts: np.ndarray, season: np.ndarray, lives: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Discounted events and exposure after each row, (half-life, time, node) both; ``season`` (time,). O(values)."""
    keep = 0.5 ** (1 / np.asarray(lives))[:, None]
    seen = np.isfinite(counts)
    filled, exposure = np.where(seen, counts, 0.0), seen * season[:, None]
    events, steps = np.zeros((len(lives), *counts.shape), np.float32), np.zeros((len(lives), *counts.shape), np.float32)
    held, weight = np.zeros((len(lives), counts.shape[1])), np.zeros((len(lives), counts.shape[1]))
    for row in range(len(counts)):
        held, weight = keep * held + filled[row], keep * weight + exposure[row]
        events[:, row], steps[:, row] = held, weight
    return events, steps
