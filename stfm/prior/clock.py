"""The clock of a world: a regular step, real stamps, and where each stamp lies in its day, week and year."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SECOND = 1_000_000_000
DAY = 86_400.0  # seconds
WEEK = 7 * DAY
YEAR = 365.2425 * DAY
# How often each step is drawn: what the field's panels come in, most often hours, minutes and days.
STEPS = {"1min": 0.02, "5min": 0.15, "10min": 0.04, "15min": 0.09, "30min": 0.05, "1h": 0.29, "3h": 0.03, "6h": 0.06,
         "12h": 0.01, "1D": 0.15, "7D": 0.07, "month": 0.03, "year": 0.01}
SECONDS = {"1min": 60.0, "5min": 300.0, "10min": 600.0, "15min": 900.0, "30min": 1800.0, "1h": 3600.0, "3h": 10_800.0,
           "6h": 21_600.0, "12h": 43_200.0, "1D": DAY, "7D": WEEK, "month": YEAR / 12, "year": YEAR}
LONGEST = 200  # yearly steps: stamps must stay within what nanoseconds can count


@dataclass(frozen=True)
class WorldClock:
    """``steps`` stamps, one every ``step`` seconds, from ``start`` (seconds after 1970).

    ``zone`` (hours) is how far people's clocks run ahead of the stamps: panels come in UTC as well as in local time.

    >>> WorldClock(start=0.0, step=3600.0, steps=3).stamps[1]
    np.datetime64('1970-01-01T01:00:00.000000000')
    """

    start: float
    step: float
    steps: int
    zone: float = 0.0

    @cached_property
    def seconds(self) -> np.ndarray:
        """Seconds after 1970 of each stamp, in stamps' time, shape (steps,)."""
        return self.start + self.step * np.arange(self.steps)

    @property
    def stamps(self) -> np.ndarray:
        """The stamps, datetime64[ns], shape (steps,)."""
        first, gap = round(self.start * SECOND), round(self.step * SECOND)
        return np.asarray((first + gap * np.arange(self.steps)).astype("datetime64[ns]"))

    @cached_property
    def local(self) -> np.ndarray:
        """Seconds on people's clocks."""
        return self.seconds + 3600.0 * self.zone

    @cached_property
    def day(self) -> np.ndarray:
        """Turns of the day, 0 at midnight … 1."""
        return np.asarray(self.local / DAY % 1.0)

    @cached_property
    def weekday(self) -> np.ndarray:
        """Day of the week, Monday 0; 1970-01-01 was a Thursday."""
        return np.asarray((np.floor(self.local / DAY).astype(np.int64) + 3) % 7)

    @cached_property
    def week(self) -> np.ndarray:
        """Turns of the week, 0 on Monday's midnight … 1."""
        return np.asarray((self.local / DAY + 3) / 7 % 1.0)

    @cached_property
    def year(self) -> np.ndarray:
        """Turns of the (mean) year, 0 at new year … 1, good to a day."""
        return np.asarray(self.local / YEAR % 1.0)

    @cached_property
    def date(self) -> np.ndarray:
        """Number of the local day, days after 1970."""
        return np.asarray(np.floor(self.local / DAY).astype(np.int64))

    @property
    def per_day(self) -> float:
        """Steps in a day."""
        return DAY / self.step

    @property
    def span(self) -> float:
        """Seconds from the first stamp to the last."""
        return self.step * self.steps

    def has(self, period: float) -> bool:
        """Whether a season of ``period`` seconds can be seen: at least three steps long.

        >>> WorldClock(0.0, DAY, 100).has(DAY), WorldClock(0.0, DAY, 100).has(WEEK)
        (False, True)
        """
        return period >= 2.9 * self.step


def draw_clock(rng: np.random.Generator, steps: int, among: tuple[str, ...] = tuple(STEPS)) -> WorldClock:
    """A clock with a step out of ``among``, starting anywhere in 1950 … 2040 on a whole step or near one.

    >>> draw_clock(np.random.default_rng(0), 100, ("1h",)).step
    3600.0
    """
    weights = np.array([STEPS[name] for name in among])
    name = among[int(rng.choice(len(among), p=weights / weights.sum()))]
    step = SECONDS[name]
    start = (rng.uniform(-20, 70) * YEAR) // step * step
    if step <= 3600 and rng.random() < 0.5:
        start = start // DAY * DAY  # files like to begin at midnight
    zone = 0.0 if rng.random() < 0.6 else float(rng.integers(-11, 13))
    return WorldClock(float(start), step, min(steps, LONGEST) if name == "year" else steps, zone)


def text_of(step: float) -> str:
    """A step in the words of a panel's ``step`` attribute.

    >>> text_of(300.0), text_of(3600.0), text_of(604800.0)
    ('5min', '1h', '7D')
    """
    for unit, name in ((DAY, "D"), (3600.0, "h"), (60.0, "min")):
        if step >= unit and step % unit == 0:
            return f"{int(step // unit)}{name}"
    return f"{round(step)}s" if step == round(step) else f"{round(step * SECOND)}ns"
