"""The graph of a sensor network: weighted edges between named nodes, from a file or from distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import csr_matrix

from terracast.stats.great_circle import haversine_km
from terracast.streams.errors import PanelError, ReadError
from terracast.streams.kinds.nearby import Nearby

ENDS = (("source", "target"), ("node_from", "node_to"), ("from", "to"), ("upstream", "downstream"),
        ("cause", "effect"), ("name_1", "name_2"))


@dataclass(frozen=True)
class Graph:
    """Directed edges between nodes: ``source[i] → target[i]`` (node numbers) with ``weight[i]``.

    An undirected graph holds both directions. ``meaning`` says what a weight is.

    >>> graph = Graph(("a", "b", "c"), np.array([0, 1]), np.array([1, 2]), np.array([1.0, 2.0]), "km")
    >>> graph.among(["c", "b"]).matrix().toarray().tolist()
    [[0.0, 0.0], [2.0, 0.0]]
    """

    nodes: tuple[str, ...]
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    meaning: str = "1"

    def __post_init__(self) -> None:
        lengths = {len(self.source), len(self.target), len(self.weight)}
        ends = np.concatenate([self.source, self.target])
        if len(lengths) != 1 or (len(ends) and (ends.min() < 0 or ends.max() >= len(self.nodes))):
            raise PanelError("edges do not fit the nodes", where="graph", remedy="check the edge list",
                             expected=f"as many sources, targets and weights, ends below {len(self.nodes)}")
        if not np.isfinite(self.weight).all():
            raise PanelError("an edge has no weight", where="graph", expected="finite weights",
                             remedy="drop the edge or give it a weight")

    def __len__(self) -> int:
        return len(self.source)

    def matrix(self) -> csr_matrix:
        """Sparse adjacency, rows = sources, columns = targets; doubled edges add up."""
        size = len(self.nodes)
        return csr_matrix((self.weight, (self.source, self.target)), shape=(size, size))

    def among(self, nodes: Sequence[str]) -> Graph:
        """The edges between these nodes, in this order of nodes: for networks that grow and shrink."""
        place = pd.Index(list(nodes)).get_indexer(pd.Index(list(self.nodes)))
        source, target = place[self.source], place[self.target]
        kept = (source >= 0) & (target >= 0)
        return Graph(tuple(nodes), source[kept], target[kept], self.weight[kept], self.meaning)

    def to_dataset(self) -> xr.Dataset:
        """Edge variables ``node_from``, ``node_to``, ``weight`` on dim ``edge``, and the ``node`` names."""
        names = np.array(self.nodes, dtype=str)
        return xr.Dataset({"node_from": ("edge", names[self.source]), "node_to": ("edge", names[self.target]),
                           "weight": ("edge", self.weight, {"long_name": "edge weight", "meaning": self.meaning})},
                          {"node": names})

    @classmethod
    def from_dataset(cls, held: xr.Dataset) -> Graph:
        """The graph that ``to_dataset`` wrote."""
        return graph_of(held["node_from"].values, held["node_to"].values, held["weight"].values,
                        held["node"].values, str(held["weight"].attrs.get("meaning", "1")))

    def write(self, path: str | Path) -> None:
        """Write an edge list (CSV: source, target, weight); nodes without an edge are not in it."""
        names = np.array(self.nodes, dtype=str)
        pd.DataFrame({"source": names[self.source], "target": names[self.target], "weight": self.weight}
                     ).to_csv(path, index=False)


def graph_of(source: Sequence[str] | np.ndarray, target: Sequence[str] | np.ndarray, weight: np.ndarray,
             nodes: Sequence[str] | np.ndarray | None = None, meaning: str = "1", where: str = "graph") -> Graph:
    """A graph from names of ends; ``nodes`` (default: the ends, sorted) sets the order and may hold more.

    >>> len(graph_of(["b"], ["a"], np.ones(1)))
    1
    """
    source, target = np.asarray(source).astype(str), np.asarray(target).astype(str)
    names = sorted({*source.tolist(), *target.tolist()}) if nodes is None else [str(name) for name in nodes]
    place = pd.Index(names)
    ends = [place.get_indexer(pd.Index(one)) for one in (source, target)]
    for found, given in zip(ends, (source, target), strict=True):
        if (found < 0).any():
            raise PanelError(f"node {str(given[found < 0][0])!r} of an edge is not in the network", where=where,
                             expected=f"one of {len(names)} nodes", remedy="give the nodes that the edges name")
    return Graph(tuple(names), ends[0], ends[1], np.asarray(weight, float), meaning)


def read_graph(path: str | Path, nodes: Sequence[str] | np.ndarray | None = None, *,
               columns: Mapping[str, str] | None = None, meaning: str = "1") -> Graph:
    """Read an edge list (CSV with a header) or a square matrix of weights (numbers only) as a graph.

    An edge list's ends are the columns ``source``/``target`` and the like, or what ``columns`` maps ``source``,
    ``target``, ``weight`` to; without a weight every edge weighs 1. A matrix needs ``nodes`` in its order; zeros
    are no edges. Raises ``ReadError``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "river.csv"
    ...     _ = file.write_text("upstream,downstream\\nIller_12,Iller_11\\n")
    ...     read_graph(file).nodes
    ('Iller_11', 'Iller_12')
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError("no such file", where=str(path), expected="an edge list or a matrix", remedy="check the path")
    first = path.open(encoding="utf-8").readline().strip()
    separator = max(",;\t ", key=first.count)
    if _all_numbers(first.split(separator)):
        return _from_matrix(np.loadtxt(path, delimiter=separator, ndmin=2), nodes, meaning, path.name)
    table = pd.read_csv(path, sep=separator)
    named = dict(columns or {})
    pairs = ([(named["source"], named["target"])] if "source" in named else
             [pair for pair in ENDS if set(pair) <= set(table.columns)])
    if not pairs or not set(pairs[0]) <= set(table.columns):
        raise ReadError("no ends of edges", where=path.name, remedy="name them: columns={'source': …, 'target': …}",
                        expected="two of the columns " + ", ".join(map(str, table.columns)))
    weights = table.get(named.get("weight", "weight"), pd.Series(np.ones(len(table))))
    source, target = (table[name].astype(str).to_numpy() for name in pairs[0])
    return graph_of(source, target, weights.to_numpy(float), nodes, meaning, path.name)


def _all_numbers(words: Sequence[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def _from_matrix(matrix: np.ndarray, nodes: Sequence[str] | np.ndarray | None, meaning: str, where: str) -> Graph:
    if nodes is None or matrix.shape != (len(nodes), len(nodes)):
        raise ReadError(f"a matrix of {matrix.shape[0]} x {matrix.shape[1]}", where=where,
                        expected=f"a square one, and {'its nodes' if nodes is None else len(nodes)} in its order",
                        remedy="give nodes=panel.node.values")
    source, target = np.nonzero(matrix)
    return Graph(tuple(str(name) for name in nodes), source, target, matrix[source, target], meaning)


def nearest_graph(panel: xr.Dataset, count: int) -> Graph:
    """Edges from each node's ``count`` nearest others to it; weight = distance in km. O(n log n).

    >>> network = xr.Dataset(coords={"node": ["a", "b", "c"], "lat": ("node", [0.0, 0.0, 0.0]),
    ...                              "lon": ("node", [0.0, 1.0, 3.0])})
    >>> graph = nearest_graph(network, 1)
    >>> graph.source.tolist(), graph.target.tolist()
    ([1, 0, 1], [0, 1, 2])
    """
    lat, lon = _fixed(panel)
    rows, away = Nearby(lat, lon).nearest(lat, lon, count + 1)
    target = np.repeat(np.arange(len(lat)), count + 1)
    other = (rows.ravel() >= 0) & (rows.ravel() != target)
    # of doubled positions a node may not be its own nearest: keep the first `count` others
    rank = np.cumsum(other.reshape(rows.shape), axis=1).ravel()
    kept = other & (rank <= count)
    return Graph(_names(panel), rows.ravel()[kept], target[kept], away.ravel()[kept], "km")


def radius_graph(panel: xr.Dataset, radius_km: float) -> Graph:
    """Edges both ways between nodes at most ``radius_km`` apart; weight = distance in km."""
    lat, lon = _fixed(panel)
    index = Nearby(lat, lon)
    found = index.within(lat, lon, radius_km)
    target = np.repeat(np.arange(len(lat)), [len(rows) for rows in found])
    source = np.concatenate(found) if found else np.zeros(0, int)
    kept = source != target
    source, target = source[kept], target[kept]
    return Graph(_names(panel), source, target, haversine_km(lat[source], lon[source], lat[target], lon[target]), "km")


def _names(panel: xr.Dataset) -> tuple[str, ...]:
    return tuple(str(name) for name in panel["node"].values)


def _fixed(panel: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    if "lat" not in panel.coords or panel["lat"].dims != ("node",):
        raise PanelError("no fixed positions", where=str(panel.attrs.get("domain", "panel")),
                         expected="lat and lon on node", remedy="give the graph as a file, or add the coordinates")
    return panel["lat"].values.astype(float), panel["lon"].values.astype(float)
