"""Where the boxes, arrows and labels of a causal graph go: domains as arcs of one ellipse, arrows inside it.

Boxes on a ring and arrows bent towards its centre never cross a box, whatever the number of domains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from terracast.causal.graph.graph import Series

BOX_WIDTH, BOX_HEIGHT = 178.0, 46.0
_GAP = 0.9  # slots left empty between two domains
Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle by its centre."""

    x: float
    y: float
    width: float = BOX_WIDTH
    height: float = BOX_HEIGHT

    def overlaps(self, other: Box, margin: float = 0.0) -> bool:
        """Whether two rectangles come closer than ``margin``."""
        return (abs(self.x - other.x) < (self.width + other.width) / 2 + margin
                and abs(self.y - other.y) < (self.height + other.height) / 2 + margin)

    def holds(self, point: Point, margin: float = 0.0) -> bool:
        """Whether the point lies inside, or closer than ``margin``."""
        return (abs(point[0] - self.x) <= self.width / 2 + margin
                and abs(point[1] - self.y) <= self.height / 2 + margin)

    def exit_towards(self, point: Point, gap: float) -> Point:
        """Where the line from the centre to ``point`` leaves the rectangle, ``gap`` outside."""
        across, down = point[0] - self.x, point[1] - self.y
        length = math.hypot(across, down) or 1.0
        share = min((self.width / 2) / abs(across) if across else math.inf,
                    (self.height / 2) / abs(down) if down else math.inf)
        share = min(share, 1.0) + gap / length
        return self.x + across * share, self.y + down * share


@dataclass(frozen=True)
class Curve:
    """A quadratic Bézier curve from ``start`` over ``bend`` to ``end``."""

    start: Point
    bend: Point
    end: Point

    def at(self, share: float) -> Point:
        """The point at ``share`` (0 to 1) of the curve's parameter.

        >>> Curve((0, 0), (1, 2), (2, 0)).at(0.5)
        (1.0, 1.0)
        """
        first, middle, last = (1 - share) ** 2, 2 * share * (1 - share), share**2
        return (first * self.start[0] + middle * self.bend[0] + last * self.end[0],
                first * self.start[1] + middle * self.bend[1] + last * self.end[1])

    def samples(self, count: int = 24) -> list[Point]:
        """Points along the curve."""
        return [self.at(place / (count - 1)) for place in range(count)]


@dataclass(frozen=True)
class Ring:
    """Boxes by series, the direction of each domain seen from the centre, and the size of the ellipse."""

    boxes: dict[Series, Box]
    domains: dict[str, Point]
    radius_x: float
    radius_y: float


def ring(series: Sequence[Series], weights: Mapping[tuple[Series, Series], float]) -> Ring:
    """Place every series on an ellipse around (0, 0), domain by domain; linked series come close.

    ``weights`` holds the strength of the tie of two series. O(series^3) in the worst case, for tens of
    series.

    >>> placed = ring((Series("a", "x"), Series("b", "y")), {})
    >>> placed.boxes[Series("a", "x")].x < 0 < placed.boxes[Series("b", "y")].x
    True
    """
    groups: dict[str, list[Series]] = {}
    for one in series:
        groups.setdefault(one.domain, []).append(one)
    angles = _untangled(groups, weights)
    radius_x, radius_y = 370.0, 240.0
    boxes = _boxes(angles, radius_x, radius_y)
    while any(one.overlaps(other, 26.0) for place, one in enumerate(boxes.values())
              for other in list(boxes.values())[:place]):
        radius_x, radius_y = radius_x * 1.04, radius_y * 1.03
        boxes = _boxes(angles, radius_x, radius_y)
    domains = {}
    for domain, members in groups.items():
        across = sum(math.cos(angles[one]) for one in members)
        down = sum(math.sin(angles[one]) for one in members)
        length = math.hypot(across, down) or 1.0
        domains[domain] = (across / length, down / length)
    return Ring(boxes, domains, radius_x, radius_y)


def _boxes(angles: Mapping[Series, float], radius_x: float, radius_y: float) -> dict[Series, Box]:
    return {one: Box(radius_x * math.cos(angle), radius_y * math.sin(angle)) for one, angle in angles.items()}


def _angles(groups: Mapping[str, Sequence[Series]]) -> dict[Series, float]:
    """Angles clockwise on the screen; the first domain is centred on the left."""
    gap = _GAP if len(groups) > 1 else 0.0
    turn = 2 * math.pi / (sum(map(len, groups.values())) + gap * len(groups))
    first = next(iter(groups.values()))
    angle = math.pi - turn * (len(first) - 1) / 2
    placed = {}
    for members in groups.values():
        for one in members:
            placed[one] = angle
            angle += turn
        angle += turn * gap
    return placed


def _untangled(groups: dict[str, list[Series]],
               weights: Mapping[tuple[Series, Series], float]) -> dict[Series, float]:
    """Swap series within their domain while that shortens the arrows."""
    def length(angles: Mapping[Series, float]) -> float:
        return sum(weight * math.hypot(math.cos(angles[one]) - math.cos(angles[other]),
                                       math.sin(angles[one]) - math.sin(angles[other]))
                   for (one, other), weight in weights.items())

    angles = _angles(groups)
    best, improved = length(angles), True
    while improved:
        improved = False
        for members in groups.values():
            for place in range(len(members)):
                for other in range(place):
                    one, two = members[place], members[other]
                    angles[one], angles[two] = angles[two], angles[one]
                    now = length(angles)
                    if now < best - 1e-9:
                        best, improved = now, True
                        members[place], members[other] = two, one
                    else:
                        angles[one], angles[two] = angles[two], angles[one]
    return angles


def arrow(cause: Box, effect: Box, others: Sequence[Box] = ()) -> Curve:
    """A curve between two boxes: as straight as may be, bent inwards until it passes every box of ``others``.

    It keeps to its own left, so that both directions of a pair are seen.
    """
    across, down = effect.x - cause.x, effect.y - cause.y
    length = math.hypot(across, down) or 1.0
    middle = ((cause.x + effect.x) / 2, (cause.y + effect.y) / 2)
    curve = Curve((cause.x, cause.y), middle, (effect.x, effect.y))
    for inwards in (0.8, 0.65, 0.5, 0.35, 0.2, 0.0):
        bend = (middle[0] * inwards + down / length * 30.0, middle[1] * inwards - across / length * 30.0)
        curve = Curve(cause.exit_towards(bend, 3.0), bend, effect.exit_towards(bend, 4.0))
        if not any(box.holds(point, 5.0) for box in others for point in curve.samples(40)):
            break
    return curve


def place_label(curve: Curve, width: float, height: float, taken: Sequence[Box],
                others: Sequence[Sequence[Point]]) -> Box:
    """The spot on the curve where a label of this size hides least: no box, no label, few other arrows."""
    def cost(share: float) -> float:
        spot = Box(*curve.at(share), width, height)
        hidden = sum(spot.holds(point) for points in others for point in points)
        return 1000.0 * sum(spot.overlaps(one, 1.0) for one in taken) + 3.0 * hidden + 4 * abs(share - 0.5)

    share = min((step / 100 for step in range(18, 84, 3)), key=cost)
    return Box(*curve.at(share), width, height)
