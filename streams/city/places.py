"""Where things are: stations around a fictitious city, its ring road, and who is near whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from terracast.stats.great_circle import KM_PER_DEGREE
from terracast.streams.city.variables import VARIABLES, CityError

CENTRE = (48.2, 11.5)
RING_KM = 5.0
SIDES = {"north": (0.0, 1.0), "south": (0.0, -1.0), "east": (1.0, 0.0), "west": (-1.0, 0.0)}
FEWEST = {"weather": 1, "traffic": 3, "air": 1}


@dataclass(frozen=True)
class CityLayout:
    """Node names and positions per domain; ``positions`` are km east and north of the centre, (node, 2).

    ``roads`` has columns node_from, node_to, weight (0 … 1, nearer is heavier), both directions listed.
    """

    names: Mapping[str, tuple[str, ...]]
    positions: Mapping[str, np.ndarray]
    roads: pd.DataFrame

    def region(self, domain: str, side: str, share: float = 0.4) -> tuple[str, ...]:
        """The ``share`` of a domain's nodes that lie furthest north, south, east or west.

        >>> lay_out(7, {"weather": 4, "traffic": 6, "air": 5}).region("air", "north")
        ('air-02', 'air-04')
        """
        if side not in SIDES:
            raise CityError(f"no side {side!r}", where=domain, expected="one of " + ", ".join(SIDES),
                            remedy="name a side of the city")
        along = self.positions[domain] @ np.array(SIDES[side])
        count = max(1, round(share * len(along)))
        return tuple(self.names[domain][index] for index in sorted(np.argsort(-along, kind="stable")[:count]))

    def degrees(self, domain: str) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of a domain's nodes, degrees (WGS 84), each of shape (node,)."""
        east, north = self.positions[domain].T
        latitude = CENTRE[0] + north / KM_PER_DEGREE
        return latitude, CENTRE[1] + east / (KM_PER_DEGREE * np.cos(np.radians(CENTRE[0])))

    def distances(self, one: str, other: str) -> np.ndarray:
        """Kilometres between the nodes of two domains, (node of one, node of other)."""
        return distances(self.positions[one], self.positions[other])

    def seen_from(self, cause: str, effect: str, reach_km: float) -> np.ndarray:
        """Weights that average the cause's nodes around each effect node, (effect, cause), rows sum to 1."""
        weights = np.exp(-self.distances(effect, cause) / reach_km)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def road_mixing(self) -> np.ndarray:
        """Row-normalised road neighbours of the traffic nodes, (node, node)."""
        index = pd.Index(self.names["traffic"])
        weights = np.zeros((len(index), len(index)))
        weights[index.get_indexer(self.roads["node_from"]), index.get_indexer(self.roads["node_to"])] = (
            self.roads["weight"])
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def air_mixing(self, neighbours: int = 3) -> np.ndarray:
        """Row-normalised nearest neighbours of the air nodes, (node, node); zero for a lone node."""
        apart = self.distances("air", "air") + np.diag(np.full(len(self.names["air"]), np.inf))
        nearest = np.argsort(apart, axis=1, kind="stable")[:, :neighbours]
        weights = np.zeros_like(apart)
        np.put_along_axis(weights, nearest, np.exp(-np.take_along_axis(apart, nearest, axis=1) / 4.0), axis=1)
        return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12))


def distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances between two sets of points, (point of one, point of other).

    >>> distances(np.zeros((1, 2)), np.array([[3.0, 4.0]])).tolist()
    [[5.0]]
    """
    return np.asarray(np.sqrt(((one[:, None, :] - other[None, :, :]) ** 2).sum(axis=2)))


def lay_out(seed: int, nodes: Mapping[str, int]) -> CityLayout:
    """Place the nodes: weather within 20 km, air within 10 km, traffic on a ring road and its spokes.

    >>> len(lay_out(7, {"weather": 2, "traffic": 9, "air": 3}).roads)
    18
    """
    for domain, fewest in FEWEST.items():
        if nodes[domain] < fewest:
            raise CityError(f"{nodes[domain]} {domain} nodes", where="simulated city",
                            expected=f"at least {fewest}", remedy=f"raise {domain}_nodes")
    random = np.random.default_rng([seed, 101])
    ring = round(nodes["traffic"] * 2 / 3) if nodes["traffic"] >= 9 else nodes["traffic"]
    positions = {"weather": _spiral(nodes["weather"], 20.0, random),
                 "traffic": _ring_and_spokes(nodes["traffic"], ring, random),
                 "air": _spiral(nodes["air"], 10.0, random)}
    names = {domain: tuple(f"{domain}-{number:02d}" for number in range(1, nodes[domain] + 1))
             for domain in VARIABLES}
    return CityLayout(names, positions, _roads(names["traffic"], positions["traffic"], ring))


def _spiral(count: int, radius: float, random: np.random.Generator) -> np.ndarray:
    """Evenly scattered points in a disc (Vogel's sunflower spiral), each moved a little."""
    number = np.arange(count)
    away = radius * np.sqrt((number + 0.5) / count)
    angle = number * np.pi * (3 - np.sqrt(5.0))
    points = np.stack([away * np.cos(angle), away * np.sin(angle)], axis=1)
    return np.asarray(points + random.normal(0, 0.05 * radius, points.shape))


def _ring_and_spokes(count: int, ring: int, random: np.random.Generator) -> np.ndarray:
    angle = np.concatenate([np.arange(ring) / ring, _spoke_roots(count, ring) / ring]) * 2 * np.pi
    away = np.where(np.arange(count) < ring, RING_KM, 1.8 * RING_KM) + random.normal(0, 0.3, count)
    return np.stack([away * np.cos(angle), away * np.sin(angle)], axis=1)


def _spoke_roots(count: int, ring: int) -> np.ndarray:
    """The ring node at which each spoke begins."""
    spokes = count - ring
    return np.asarray(np.arange(spokes) * ring // max(spokes, 1))


def _roads(names: tuple[str, ...], positions: np.ndarray, ring: int) -> pd.DataFrame:
    pairs = [(node, (node + 1) % ring) for node in range(ring)]
    pairs += [(ring + spoke, int(root)) for spoke, root in enumerate(_spoke_roots(len(names), ring))]
    pairs += [(end, begin) for begin, end in pairs]
    length = distances(positions, positions)
    return pd.DataFrame({"node_from": [names[begin] for begin, _ in pairs],
                         "node_to": [names[end] for _, end in pairs],
                         "weight": [float(np.exp(-length[pair] / RING_KM)) for pair in pairs]})
