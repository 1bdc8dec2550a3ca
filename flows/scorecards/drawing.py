"""The card's drawing: a dot and its interval for both sides of each axis, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from terracast.flows.reporting.svg import element
from terracast.streams.wording import percent

WIDTH, LEFT, RIGHT, ROW, HEAD, FOOT = 760, 200, 96, 30, 26, 34
SIDES = {"in": "in distribution", "out": "out of distribution"}


def draw_card(rows: Sequence[Mapping[str, Any]], reference: str) -> str:
    """Skills against ``reference`` (seasonal_naive or ridge) as SVG: one line for each axis and side.

    Right of zero is better than the reference. A side without a figure says so.

    >>> row = {"axis": "domain", "side": "in", "skill_ridge": 0.2, "ridge_low": 0.1, "ridge_high": 0.3}
    >>> drawing = draw_card([row], "ridge")
    >>> drawing.startswith("<svg"), "20" in drawing
    (True, True)
    """
    places = _scale(rows, reference)
    height = HEAD + ROW * len(rows) + FOOT
    parts = [_line(places(tick), tick, height) for tick in _ticks(rows, reference)]
    for number, row in enumerate(rows):
        parts += _row(row, reference, HEAD + ROW * number + ROW / 2, places, row["side"] == "in")
    title = f"Skill against {reference.replace('_', ' ')} by axis, in and out of distribution, with 90 % intervals"
    return element("svg", element("title", text=title), *parts, class_="card", role="img", aria_label=title,
                   viewBox=f"0 0 {WIDTH} {height}")


def _row(row: Mapping[str, Any], reference: str, y: float, places: Any, named: bool) -> list[str]:
    skill, low, high = (row[key] for key in (f"skill_{reference}", f"{reference}_low", f"{reference}_high"))
    parts = [element("text", text=SIDES[row["side"]], x=LEFT - 14, y=y + 4, text_anchor="end", class_="side")]
    if named:
        parts += [element("text", text=row["axis"], x=8, y=y + 4, class_="axis"),
                  element("line", x1=0, x2=WIDTH, y1=y - ROW / 2, y2=y - ROW / 2, class_="rule")]
    if skill is None:
        return [*parts, element("text", text="no figure", x=places(0) + 6, y=y + 4, class_="side")]
    told = f"{percent(skill, signed=True)} ({percent(low, signed=True)} to {percent(high, signed=True)})"
    mark = element("circle", element("title", text=told), cx=places(skill), cy=y, r=5.5, class_=row["side"])
    return [*parts, element("line", x1=places(low), x2=places(high), y1=y, y2=y, class_=f"whisker {row['side']}"),
            mark, element("text", text=percent(skill, signed=True), x=WIDTH - 6, y=y + 4, text_anchor="end",
                          class_="figure")]


def _extent(rows: Sequence[Mapping[str, Any]], reference: str) -> tuple[float, float]:
    known = [row[key] for row in rows for key in (f"{reference}_low", f"{reference}_high") if row[key] is not None]
    return max(-1.0, min([-0.1, *known])), max([0.3, *known])


def _scale(rows: Sequence[Mapping[str, Any]], reference: str) -> Any:
    least, most = _extent(rows, reference)
    span = WIDTH - LEFT - RIGHT
    return lambda value: float(LEFT + (np.clip(value, least, most) - least) / (most - least) * span)


def _ticks(rows: Sequence[Mapping[str, Any]], reference: str) -> list[float]:
    least, most = _extent(rows, reference)
    step = next(one for one in (0.1, 0.2, 0.5, 1.0) if (most - least) / one <= 8)
    return [round(one * step, 1) for one in range(int(np.ceil(least / step)), int(np.floor(most / step)) + 1)]


def _line(x: float, tick: float, height: float) -> str:
    kind = "zero" if tick == 0 else "tick"
    return element("g", element("line", x1=x, x2=x, y1=HEAD - 6, y2=height - FOOT + 4, class_=kind),
                   element("text", text=percent(tick, signed=True) if tick else "as the reference", x=x,
                           y=height - 10, text_anchor="middle", class_="degree"))
