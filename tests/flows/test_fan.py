"""The drawing of a node's past and of what follows, whatever the numbers are like."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from terracast.flows.reporting.content import Fan
from terracast.flows.reporting.fan import HEIGHT, WIDTH, draw_fan


def fan(steps: int, leads: int, freq: str = "h", scale: float = 1.0, level: float = 0.0) -> Fan:
    times = pd.date_range("2024-03-29", periods=steps + leads, freq=freq).to_numpy("datetime64[ns]")
    wave = level + scale * np.sin(np.arange(steps) / 3)
    levels = level + scale * np.arange(1, leads + 1)[:, None] * np.array([-1.3, -0.7, 0, 0.7, 1.3])
    return Fan("a <b>", times[:steps], wave, times[steps:], levels)


@pytest.mark.parametrize(("steps", "leads", "freq", "scale", "level"), [
    (72, 24, "h", 1.0, 0.0), (60, 1, "D", 1e6, 3e6), (48, 12, "5min", 1e-5, 1.0), (40, 4, "7D", 1.0, 50.0),
    (60, 12, "MS", 3.0, -20.0), (30, 7, "D", 0.0, 0.0), (1, 1, "h", 1.0, 1.0), (10, 0, "h", 1.0, 1.0),
    (0, 5, "h", 1.0, 1.0)])
def test_everything_is_drawn_within_its_frame(steps: int, leads: int, freq: str, scale: float, level: float) -> None:
    one = fan(steps, leads, freq, scale, level)
    issued = one.times[-1] if steps else one.valid_times[0]
    drawing = draw_fan(one, issued, "µg m⁻³", "Europe/Berlin", pointed=True)
    assert "nan" not in drawing and "<b>" not in drawing and "µg m⁻³" in drawing
    places = [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", drawing)]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    ticks = re.findall(r'class="tick">([^<]+)<', drawing)
    assert 3 <= len(ticks) <= 13 and len(set(ticks)) == len(ticks)
    assert drawing.count('class="point"') == leads


def test_gaps_break_the_line_and_a_value_alone_is_a_dot() -> None:
    one = fan(9, 0)
    one.observed[[3, 5]] = np.nan
    path = re.search(r'<path class="observed" d="([^"]*)"', draw_fan(one, None, "", None, pointed=False))
    assert path is not None and path[1].count("M") == 3 and path[1].count("h0") == 1


def test_a_node_without_any_value_says_so() -> None:
    nothing = Fan("x", np.array([], "datetime64[ns]"), np.array([]), np.array([], "datetime64[ns]"), np.zeros((0, 5)))
    assert "no value yet" in draw_fan(nothing, None, "K", None, pointed=True)


def test_a_day_begins_at_local_midnight() -> None:
    drawing = draw_fan(fan(72, 24), np.datetime64("2024-04-01", "ns"), "", "Europe/Berlin", pointed=True)
    assert "30 Mar" in drawing and "31 Mar" in drawing  # across the change of the clocks
    assert "2024-04-01 02:00 Europe/Berlin" in drawing
