"""A fan as a small drawing: the observed line, the median, the bands of 50 and 80 %, and when it was issued."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from terracast.flows.reporting.content import Fan
from terracast.flows.reporting.svg import element
from terracast.flows.reporting.wording import stamp
from terracast.streams.wording import number

WIDTH, HEIGHT = 520, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 30, 26
MOST_TICKS = 6
SPACINGS = ("5min", "15min", "1h", "3h", "6h", "12h", "1D", "2D", "7D", "14D", "MS", "3MS", "YS", "5YS", "20YS")


def draw_fan(fan: Fan, issue_time: np.datetime64 | None, units: str, zone: str | None, *, pointed: bool,
             changed: np.datetime64 | None = None) -> str:
    """The drawing as SVG text, with its unit at the axis and times in ``zone`` (None: UTC).

    ``pointed``: each lead tells its numbers under the pointer. ``changed``: when a change began, which is marked.
    About 3 kB, 7 where it is pointed.
    """
    values = np.concatenate([fan.observed, fan.quantiles.ravel()])
    values = values[np.isfinite(values)]
    times = np.concatenate([fan.times, fan.valid_times])
    if not len(values):
        return element("svg", _text(WIDTH / 2, HEIGHT / 2, "no value yet", "middle", "empty"), class_="fan",
                       viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=f"{fan.node}: no value yet")
    scale = _Scale(times.min(), times.max(), values)
    parts = [*_rows(scale, units), *_columns(scale, zone)]
    if len(fan.valid_times):
        low, lower, median, upper, high = fan.quantiles.T
        parts += [_band(scale, fan.valid_times, low, high, "wide"), _band(scale, fan.valid_times, lower, upper, "half"),
                  _line(scale, fan.valid_times, median, "median")]
    for name, at in (("issued", issue_time), ("changed", changed)):
        if at is not None and scale.start <= at <= scale.stop:
            x = scale.x(np.array([at]))[0]
            parts += [element("path", class_=name, d=f"M{x} {TOP}V{HEIGHT - BOTTOM}")]
    parts += [_line(scale, fan.times, fan.observed, "observed"), _text(LEFT, 16, fan.node, "start", "name")]
    if pointed:
        parts += _pointed(scale, fan, units, zone)
    return element("svg", *parts, class_="fan", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img",
                   aria_label=fan_words(fan, units, zone))


def fan_words(fan: Fan, units: str, zone: str | None) -> str:
    """The drawing in a sentence, for who cannot see it.

    >>> hour = np.array(["2024-01-01T06:00"], "datetime64[ns]")
    >>> fan_words(Fan("Dongsi", hour, np.array([3.0]), hour, np.array([[1.0, 2, 3, 4, 5]])), "µg m⁻³", None)
    'Dongsi: forecast 3 µg m⁻³ (80 %: 1 to 5) for 2024-01-01 06:00 UTC; last observed 3 µg m⁻³ at 2024-01-01 06:00 UTC'
    """
    seen = np.flatnonzero(np.isfinite(fan.observed))
    told = []
    if len(fan.valid_times):
        told.append(f"forecast {_in_words(fan.quantiles[-1], units)} for {_when(fan.valid_times[-1], zone)}")
    if len(seen):
        told.append(f"last observed {f'{number(fan.observed[seen[-1]])} {units}'.strip()} at "
                    f"{_when(fan.times[seen[-1]], zone)}")
    return f"{fan.node}: {'; '.join(told) or 'no value yet'}"


class _Scale:
    """From times and values to whole pixels."""

    def __init__(self, start: np.datetime64, stop: np.datetime64, values: np.ndarray) -> None:
        self.start, self.stop = start, stop if stop > start else start + np.timedelta64(1, "h")
        low, high = float(values.min()), float(values.max())
        room = (high - low) * 0.05 or abs(high) * 0.1 or 1.0
        self.low, self.high = (0.0 if low >= 0 and low < 2 * room else low - room), high + room

    def x(self, times: np.ndarray) -> np.ndarray:
        """Pixels from the left."""
        share = (times - self.start) / (self.stop - self.start)
        return _rounded(LEFT + share * (WIDTH - LEFT - RIGHT))

    def y(self, values: np.ndarray) -> np.ndarray:
        """Pixels from the top."""
        share = (values - self.low) / (self.high - self.low)
        return _rounded(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM))

    @property
    def ticks(self) -> list[float]:
        """Three to five round values."""
        rough = (self.high - self.low) / 4
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
        first = math.ceil(self.low / step)
        return [step * at for at in range(first, math.floor(self.high / step) + 1)]


def _rounded(places: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.round(places, 1)
    return found


def _rows(scale: _Scale, units: str) -> list[str]:
    ticks = scale.ticks
    heights = scale.y(np.array(ticks))
    drawn = [element("path", class_="grid", d=f"M{LEFT} {y:g}H{WIDTH - RIGHT}") for y in heights]
    labels = [_text(LEFT - 6, y + 4, number(tick), "end", "tick") for tick, y in zip(ticks, heights, strict=True)]
    return [*drawn, *labels, _text(WIDTH - RIGHT, 16, units, "end", "unit")]


def _columns(scale: _Scale, zone: str | None) -> list[str]:
    start, stop = (pd.Timestamp(time).tz_localize("UTC").tz_convert(zone or "UTC")
                   for time in (scale.start, scale.stop))
    ticks = pd.DatetimeIndex([start])
    for spacing in SPACINGS:
        found = pd.date_range(start.normalize(), stop, freq=spacing)
        if start.normalize().day != 1 and spacing.endswith("S") and not len(found):
            continue
        ticks = found[found >= start]
        if len(ticks) <= MOST_TICKS:
            break
    places = scale.x(ticks.tz_convert("UTC").tz_localize(None).to_numpy("datetime64[ns]"))
    drawn = []
    for tick, x in zip(ticks, places, strict=True):
        anchor = "end" if x > WIDTH - 30 else "start" if x < LEFT + 14 else "middle"
        drawn += [element("path", class_="grid", d=f"M{x:g} {HEIGHT - BOTTOM}v4"),
                  _text(x, HEIGHT - 8, _tick_label(tick, ticks), anchor, "tick")]
    return drawn


def _tick_label(tick: pd.Timestamp, ticks: pd.DatetimeIndex) -> str:
    if any(one != one.normalize() for one in ticks) and tick != tick.normalize():
        return tick.strftime("%H:%M")
    if len(ticks) > 1 and ticks[-1] - ticks[0] > pd.Timedelta("330D"):
        return str(tick.year) if all(one.month == 1 for one in ticks) else tick.strftime("%b %Y")
    return f"{tick.day} {tick.strftime('%b')}"


def _line(scale: _Scale, times: np.ndarray, values: np.ndarray, name: str) -> str:
    """A line broken where nothing is known; a value alone is a dot."""
    xs, ys, known = scale.x(times), scale.y(values), np.isfinite(values)
    runs = np.split(np.arange(len(values)), np.flatnonzero(np.diff(known.astype(int))) + 1)
    path = "".join(_path(xs[run], ys[run]) for run in runs if len(run) and known[run[0]])
    return element("path", class_=name, d=path)


def _path(xs: Sequence[float] | np.ndarray, ys: Sequence[float] | np.ndarray) -> str:
    points = [f"{x:g} {y:g}" for x, y in zip(xs, ys, strict=True)]
    return f"M{points[0]}h0" if len(points) == 1 else "M" + "L".join(points)


def _band(scale: _Scale, times: np.ndarray, low: np.ndarray, high: np.ndarray, name: str) -> str:
    xs = scale.x(times)
    if len(xs) == 1:  # one lead alone is a bar
        xs, low, high = np.array([xs[0] - 3, xs[0] + 3]), np.repeat(low, 2), np.repeat(high, 2)
    path = _path([*xs, *xs[::-1]], [*scale.y(high), *scale.y(low)[::-1]]) + "Z"
    return element("path", class_=name, d=path)


def _pointed(scale: _Scale, fan: Fan, units: str, zone: str | None) -> list[str]:
    edges = scale.x(fan.valid_times)
    width = float(np.diff(edges).min()) if len(edges) > 1 else 12.0
    return [element("rect", element("title", text=f"{_when(time, zone)}: {_in_words(levels, units)}"), class_="point",
                    x=float(x - width / 2), y=TOP, width=width, height=HEIGHT - TOP - BOTTOM)
            for time, x, levels in zip(fan.valid_times, edges, fan.quantiles, strict=True)]


def _in_words(levels: np.ndarray, units: str) -> str:
    median = f"{number(levels[2])} {units}".strip()
    return f"{median} (80 %: {number(levels[0])} to {number(levels[-1])})"


def _when(time: object, zone: str | None) -> str:
    return f"{stamp(time, zone)} {zone or 'UTC'}"


def _text(x: float, y: float, text: str, anchor: str, name: str) -> str:
    return element("text", text=text, x=float(x), y=float(y), text_anchor=anchor, class_=name)
