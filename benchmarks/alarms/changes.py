"""Changes as they come: planted into the values of a real stream from an onset on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from terracast.streams.errors import TerracastError

DAY, WEEK = np.timedelta64(1, "D"), np.timedelta64(7, "D")
PLACES = ("one", "region", "all")
LEVEL, CYCLE, SPREAD, TICKET = ("level", "trend"), ("seasonality", "relation"), ("scale",), ("health",)


class ChangeError(TerracastError):
    """A change that is not known."""


@dataclass(frozen=True)
class Onset:
    """Where a change begins: all ``values`` (time, node) of the target at ``times`` (time,), the first changed ``row``,
    and the ``nodes`` (node,) bool that change; ``draws`` for what is random."""

    times: np.ndarray
    values: np.ndarray
    row: int
    nodes: np.ndarray
    draws: np.random.Generator

    @property
    def after(self) -> np.ndarray:
        """The values from the onset on at the nodes that change."""
        return np.asarray(self.values[self.row:, self.nodes])

    @property
    def mean(self) -> np.ndarray:
        """Of each of them before."""
        return np.asarray(np.nanmean(self.values[:self.row, self.nodes], axis=0))

    @property
    def deviation(self) -> np.ndarray:
        """Of each of them before: of the values, standard."""
        return np.asarray(np.nanstd(self.values[:self.row, self.nodes], axis=0))

    @property
    def age(self) -> np.ndarray:
        """Days since the onset, (time, 1)."""
        return np.asarray((self.times[self.row:] - self.times[self.row]) / DAY)[:, None]

    def earlier(self, back: np.timedelta64) -> np.ndarray:
        """The values of the same nodes so much earlier; where none was, those of now."""
        step = self.times[1] - self.times[0]
        rows = np.arange(self.row, len(self.times)) - round(back / step)
        found = self.values[np.maximum(rows, 0)][:, self.nodes]
        return np.where(np.isfinite(found), found, self.after)


@dataclass(frozen=True)
class PlantedChange:
    """One kind of change.

    Attributes
    ----------
    name : str
        As rows call it.
    said : tuple of str
        PlantedChange types that name it rightly.
    of : callable
        The changed values (time, node) from the onset on.
    percent : float, optional
        By how much the mean changes; None: it is no matter of the mean.
    """

    name: str
    said: tuple[str, ...]
    of: Callable[[Onset], np.ndarray]
    percent: float | None = None


def _times(factor: float) -> PlantedChange:
    return PlantedChange(f"x {factor:g}", LEVEL, lambda at: at.after * factor, 100 * (factor - 1))


def _plus(size: float) -> PlantedChange:
    return PlantedChange(f"{size:+g} sd", LEVEL, lambda at: at.after + size * at.deviation)


def _ramp(days: float) -> PlantedChange:
    return PlantedChange(f"x 0.6 in {days / 7:g} weeks", LEVEL,
                  lambda at: at.after * (1 - 0.4 * np.minimum(1.0, at.age / days)), -40.0)


def _on_sundays(at: Onset) -> np.ndarray:
    """Every day like the last Sunday before the onset."""
    step = at.times[1] - at.times[0]
    a_day, weekday = round(DAY / step), (at.times[at.row].astype("datetime64[D]").astype(int) + 4) % 7
    sunday = at.row - (weekday or 7) * a_day  # 1970 began on a Thursday
    start = sunday - int((at.times[at.row] - at.times[at.row].astype("datetime64[D]")) / step)
    rows = max(start, 0) + (np.arange(at.row, len(at.times)) - start) % a_day
    return np.asarray(np.where(np.isfinite(at.after), at.values[rows][:, at.nodes], np.nan))


def _without_cycle(at: Onset) -> np.ndarray:
    """The mean of the day at every hour."""
    a_day = max(1, round(DAY / (at.times[1] - at.times[0])))
    window = at.values[max(0, at.row - 28 * a_day):at.row, at.nodes]
    window = window[len(window) % a_day:].reshape(-1, a_day, window.shape[1])
    profile = np.nanmean(window, axis=0) - np.nanmean(window, axis=(0, 1))
    return np.asarray(at.after - profile[np.arange(len(at.after)) % a_day])


CHANGES = {change.name: change for change in (
    _times(0.6), _times(0.8), _times(1.25), _times(1.6), _plus(1.0), _plus(-3.0), _ramp(14), _ramp(56),
    PlantedChange("swings x 1.6", (*SPREAD, *CYCLE), lambda at: at.mean + 1.6 * (at.after - at.mean)),
    PlantedChange("noise", SPREAD, lambda at: at.after + 0.5 * at.deviation * at.draws.normal(size=at.after.shape)),
    PlantedChange("unit x 1000", TICKET, lambda at: at.after * 1000.0),
    PlantedChange("an hour late", (*CYCLE, *LEVEL), lambda at: at.earlier(np.timedelta64(1, "h"))),
    PlantedChange("always Sunday", (*CYCLE, *LEVEL), _on_sundays),
    PlantedChange("no daily cycle", (*CYCLE, *SPREAD), _without_cycle))}
OF_DAYS = ("an hour late", "always Sunday", "no daily cycle")  # for data of hours and minutes


def changes_named(names: str, step: np.timedelta64) -> tuple[PlantedChange, ...]:
    """The changes of these comma-separated names, or all that make sense for data of this ``step``; ``ChangeError``.

    >>> [one.name for one in changes_named("x 0.6,noise", np.timedelta64(1, "h"))]
    ['x 0.6', 'noise']
    """
    if names == "all":
        return tuple(one for one in CHANGES.values() if step < DAY // 4 or one.name not in OF_DAYS)
    unknown = [name for name in names.split(",") if name not in CHANGES]
    if unknown:
        raise ChangeError(f"no change {unknown[0]!r}", where="--changes", expected="some of " + ", ".join(CHANGES),
                          remedy="correct --changes")
    return tuple(CHANGES[name] for name in names.split(","))
