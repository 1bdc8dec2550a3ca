"""The map of the nodes as SVG, coloured by the error against the reference, marked by state: circles, or the cells of a
grid as the rectangles that they are.

Equirectangular projection with cos(latitude) at the middle of the network, north up, a scale bar in km.
There is no background map: the page works offline; lines of latitude and longitude give the frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.flows.reporting.content import NODE_COLUMNS, with_columns
from terracast.flows.reporting.labels import place_labels, spread, text_width
from terracast.flows.reporting.svg import element
from terracast.flows.reporting.wording import comparison
from terracast.stats.great_circle import KM_PER_DEGREE
from terracast.streams.wording import is_known, number

WIDTH, LOWEST, HIGHEST = 560, 300, 620
EDGE = 58.0
FOOT = 44.0
FONT = 17.0
MOST_LABELS, MOST_IN_A_CROWD, CROWD = 36, 18, 60
LONGEST_LABEL = 24
HAIR, LEAST_SIDE = 0.6, 1.5  # pixels
# class of the relative error: (upper limit, css class, words); lightness falls with the error, blue to brown
GRADES = ((-0.05, "better", "5 % better or more"), (0.05, "same", "about the same"),
          (0.2, "worse", "5–20 % worse"), (np.inf, "bad", "more than 20 % worse"))


@dataclass(frozen=True)
class NodeMap:
    """The map as SVG text (empty: no node has a position), nodes without one, how many are unnamed."""

    drawing: str
    placeless: tuple[str, ...]
    unnamed: int


def prepared_nodes(nodes: pd.DataFrame | None) -> pd.DataFrame:
    """The nodes table with all columns, the error relative to the reference, its grade and a clean state.

    >>> table = prepared_nodes(pd.DataFrame({"node": ["a"], "error": [12.5], "reference_error": [10.0]}))
    >>> round(float(table.relative[0]), 2), table.grade[0], table.state[0]
    (0.25, 'bad', 'calm')
    """
    table = with_columns(nodes, NODE_COLUMNS, ("node",), "nodes")
    for name in ("lat", "lon", "error", "reference_error", "skill", "coverage"):
        table[name] = pd.to_numeric(table[name]).astype(float)
    table["node"] = table["node"].astype(str)
    table["state"] = [str(state) if is_known(state) else "calm" for state in table["state"]]
    table["relative"] = table["error"] / table["reference_error"].where(table["reference_error"] > 0) - 1
    table["grade"] = [grade_of(relative) for relative in table["relative"]]
    return table


def grade_of(relative: float) -> str:
    """The class of a relative error.

    >>> grade_of(-0.2), grade_of(0.0), grade_of(float("nan"))
    ('better', 'same', 'unknown')
    """
    if not np.isfinite(relative):
        return "unknown"
    return next(name for limit, name, _ in GRADES if relative < limit)


def describe(node: pd.Series, place: str = "station") -> str:
    """What a reader is told on pointing at a node."""
    parts = [f"{place} {node['node']}: {node['state']}"]
    if is_known(node["error"]):
        parts.append(f"mean absolute error {number(node['error'])}")
    if is_known(node["relative"]):
        parts.append(f"{comparison(node['relative'])} than the reference's {number(node['reference_error'])}")
    if is_known(node["skill"]):
        parts.append(f"skill against seasonal naive {number(node['skill'], 2)}")
    return ", ".join(parts)


def draw_map(table: pd.DataFrame, place: str = "station", cell: tuple[float, float] | None = None) -> NodeMap:
    """Draw what ``prepared_nodes`` made: one circle per node that has a position, labels that hide nothing.

    ``cell``: degrees of latitude and longitude of each node's cell, which is drawn in place of a circle; only cells in
    an episode or outage are named then.

    Up to 36 nodes are named (18 of more than 60), those in an episode or outage and the worst first; every
    circle has a title.
    """
    placed = np.isfinite(table["lat"]) & np.isfinite(table["lon"])
    placeless = tuple(table.loc[~placed, "node"])
    if not placed.any():
        return NodeMap("", placeless, 0)
    table = worst_first(table[placed])
    east, north, middle = project(table["lat"].to_numpy(), table["lon"].to_numpy())
    if cell is None:
        scale, height = _fit(east, north)
    else:
        high, wide = _kilometres(cell, middle)
        scale, height = _fit(np.array([east.min() - wide / 2, east.max() + wide / 2]),
                             np.array([north.min() - high / 2, north.max() + high / 2]))
    radius = float(np.clip(64 / np.sqrt(len(table)), 4, 10))
    points = np.column_stack([WIDTH / 2 + east * scale, (height - FOOT) / 2 + 8 - north * scale])
    names = [_short(name) for name in table["node"]]
    named = MOST_LABELS if len(names) <= CROWD else MOST_IN_A_CROWD
    if cell is None:
        points = spread(points, 1.7 * radius)
    else:
        named = min(named, int((table["state"] != "calm").sum()))
    sizes = np.array([[text_width(name, FONT), FONT * 1.15] if row < named else [0.0, 0.0]
                      for row, name in enumerate(names)])
    sides = None if cell is None else _sides(cell, middle, scale)
    centres = place_labels(points, radius, sizes, (WIDTH, height - FOOT))
    parts = [*_graticule(table["lon"].to_numpy(), middle, scale, height),
             *_labels(points, centres, names, sizes, radius),
             # the most important last: they lie on top
             *(_mark(table.loc[row], points[row], radius if sides is None else sides, place)
               for row in table.index[::-1]),
             *_scale_bar(scale, height, middle, np.ptp(north)), _north(height)]
    title = f"Map of {len(table)} {place}s, coloured by their error against the reference; north is up"
    drawing = element("svg", element("title", text=title), *parts, class_="map", id="map", role="img",
                      aria_label=title, viewBox=f"0 0 {WIDTH} {height:.0f}")
    return NodeMap(drawing, placeless, int(np.isnan(centres[:, 0]).sum()))


def worst_first(table: pd.DataFrame) -> pd.DataFrame:
    """The nodes in an episode or outage first, then by falling relative error, unknown ones last."""
    order = pd.DataFrame({"calm": table["state"] == "calm", "better": -table["relative"].fillna(-np.inf)})
    return table.loc[order.sort_values(["calm", "better"], kind="stable").index].reset_index(drop=True)


def project(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Kilometres east and north of the middle, and the middle's latitude; 180° does not split a network.

    >>> east, north, middle = project(np.array([0.0, 0.0]), np.array([179.5, -179.5]))
    >>> [round(float(value)) for value in east], middle
    ([-56, 56], 0.0)
    """
    round_the_world = np.sort(np.unique(lon % 360))
    gaps = np.diff(np.append(round_the_world, round_the_world[0] + 360))
    start = round_the_world[(int(np.argmax(gaps)) + 1) % len(round_the_world)]
    along = (lon - start) % 360
    middle = float((lat.min() + lat.max()) / 2)
    east = (along - along.max() / 2) * KM_PER_DEGREE * np.cos(np.deg2rad(middle))
    return east, (lat - middle) * KM_PER_DEGREE, middle


def _fit(east: np.ndarray, north: np.ndarray) -> tuple[float, float]:
    """Pixels per km and the canvas height that show all nodes with room for names."""
    wide, high = max(float(np.ptp(east)), 1e-3), max(float(np.ptp(north)), 1e-3)
    if len(east) == 1 or (wide <= 1e-3 and high <= 1e-3):
        return 60.0, float(LOWEST)  # a lone place: the scale is a choice
    scale = min((WIDTH - 2.6 * EDGE) / wide, (HIGHEST - FOOT - 2 * EDGE) / high)
    return scale, float(np.clip(high * scale + FOOT + 2 * EDGE, LOWEST, HIGHEST))


def _mark(node: pd.Series, point: np.ndarray, size: float | tuple[float, float], place: str) -> str:
    """A circle of this radius, or a rectangle with these sides."""
    title = element("title", text=describe(node, place))
    kind, name = f"node {node['grade']} {_word(node['state'])}", str(node["node"])
    if isinstance(size, tuple):
        return element("rect", title, x=float(point[0] - size[0] / 2), y=float(point[1] - size[1] / 2), width=size[0],
                       height=size[1], class_=f"{kind} cell", data_node=name)
    return element("circle", title, cx=float(point[0]), cy=float(point[1]), r=size, class_=kind,
                   data_node=name)


def _kilometres(cell: tuple[float, float], middle: float) -> tuple[float, float]:
    """Height and width of a cell."""
    return cell[0] * KM_PER_DEGREE, cell[1] * KM_PER_DEGREE * float(np.cos(np.deg2rad(middle)))


def _sides(cell: tuple[float, float], middle: float, scale: float) -> tuple[float, float]:
    """Width and height of a cell on the map, a hair apart from the next, and never too small to see."""
    height, width = _kilometres(cell, middle)
    return max(width * scale - HAIR, LEAST_SIDE), max(height * scale - HAIR, LEAST_SIDE)


def _word(state: str) -> str:
    return state if state in ("calm", "episode", "outage") else "other"


def _labels(points: np.ndarray, centres: np.ndarray, names: list[str], sizes: np.ndarray,
            radius: float) -> list[str]:
    drawn = []
    for point, centre, name, size in zip(points, centres, names, sizes, strict=True):
        if np.isnan(centre[0]):
            continue
        nearest = np.clip(point, centre - size / 2, centre + size / 2)
        gap = nearest - point
        length = float(np.hypot(*gap))
        # the text leans on the side of the box that faces its circle, so a smaller face stays near it
        side = np.sign(centre[0] - point[0]) if abs(centre[0] - point[0]) > size[0] / 2 - 1 else 0
        anchor = {1.0: "start", -1.0: "end"}.get(float(side), "middle")
        if length > radius + 9:
            begin = point + gap / length * radius
            drawn.append(element("line", class_="leader", x1=float(begin[0]), y1=float(begin[1]),
                                 x2=float(nearest[0]), y2=float(nearest[1])))
        drawn.append(element("text", text=name, class_="name", x=float(centre[0] - side * size[0] / 2),
                             y=float(centre[1] + 0.33 * FONT), text_anchor=anchor))
    return drawn


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def _nice(limit: float) -> float:
    """The largest of 1, 2, 5 · 10^k that is at most ``limit``."""
    power = 10.0 ** np.floor(np.log10(limit))
    return float(max(step for step in (1, 2, 5) if step * power <= limit * (1 + 1e-9)) * power)


def _graticule(lon: np.ndarray, middle: float, scale: float, height: float) -> list[str]:
    """Faint lines of latitude and longitude, named at the edge."""
    lines = []
    north = KM_PER_DEGREE * scale
    east = north * float(np.cos(np.deg2rad(middle)))
    step = _nice(WIDTH / east / 2.4)
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    centre_lon = _centre_lon(lon)
    for index in range(int(np.ceil((centre_lon - WIDTH / 2 / east) / step)),
                       int(np.floor((centre_lon + WIDTH / 2 / east) / step)) + 1):
        at = WIDTH / 2 + (index * step - centre_lon) * east
        degrees = (index * step + 180) % 360 - 180
        lines += [element("line", class_="grid", x1=at, y1=0, x2=at, y2=height - FOOT),
                  element("text", class_="degree", x=at + 3, y=height - FOOT - 4,
                          text=f"{abs(degrees):.{decimals}f}° {'E' if degrees >= 0 else 'W'}")]
    zero = (height - FOOT) / 2 + 8
    for index in range(int(np.ceil((middle - (height - FOOT - zero) / north) / step)),
                       int(np.floor((middle + zero / north) / step)) + 1):
        at, degrees = zero - (index * step - middle) * north, index * step
        lines += [element("line", class_="grid", x1=0, y1=at, x2=WIDTH, y2=at),
                  element("text", class_="degree", x=3, y=at - 3,
                          text=f"{abs(degrees):.{decimals}f}° {'N' if degrees >= 0 else 'S'}")]
    return lines


def _centre_lon(lon: np.ndarray) -> float:
    """The longitude in the middle of the canvas, by the same cut as ``project``."""
    east, _, _ = project(np.zeros(len(lon)), lon)
    return float(lon[0] - east[0] / KM_PER_DEGREE)


def _scale_bar(scale: float, height: float, middle: float, span_km: float) -> list[str]:
    length_km = _nice(WIDTH / 4 / scale)
    right, low = WIDTH - 16.0, height - 14.0
    left = right - length_km * scale
    words = f"{length_km:,.0f} km" if length_km >= 1 else f"{length_km * 1000:,.0f} m"
    if span_km > 500:  # the width of a degree differs visibly over the map
        words += f" at {abs(middle):.0f}° {'N' if middle >= 0 else 'S'}"
    bar = f"M{left:.1f} {low - 6:.1f}V{low:.1f}H{right:.1f}V{low - 6:.1f}"
    # wide words end with the bar, so that they stay on the map
    return [element("path", class_="scale", d=bar),
            element("text", text=words, class_="scale-text", x=right, y=low - 8, text_anchor="end")]


def _north(height: float) -> str:
    low = height - 12
    return element("g", element("path", d=f"M18 {low - 24:.0f}l6 16h-12z"),
                   element("text", text="N", x=32, y=low - 8), class_="north")
