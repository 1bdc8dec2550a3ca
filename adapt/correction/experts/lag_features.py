"""What a ridge expert looks at: a window of the past, the hour, and the network, as one row of numbers per node.

Everything is linear in the window less its last value (subtracted, never divided by anything of the window), but for
products with the hour's sine and cosine, which let coefficients turn with the time of day.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

MOST_CROSSED = 12  # nodes that see one another singly; in larger networks they see the network's mean
MOST_BINS = 24  # phases of a season that are told apart; a longer season is read in that many bins
NEAR = (3, 4, 6, 8, 12, 16, 20)  # lags, in 24ths of a season, whose coefficient turns with the hour


class WindowFeatures:
    """The newest ``lookback`` values as they are, less the last one: plainer than ``LagFeatures``, and errs otherwise.

    >>> WindowFeatures(3).of(np.arange(8.0).reshape(1, 4, 2), np.array([0]))[0].tolist()
    [[-4.0, -2.0, 1.0], [-4.0, -2.0, 1.0]]
    """

    def __init__(self, lookback: int) -> None:
        self.lookback = lookback
        self.penalty = np.append(np.ones(max(lookback - 1, 0)), 0.01)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.penalty)

    def of(self, windows: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Features (origin, node, width) of windows (origin, ``lookback`` or more, node); ``phase`` is not read."""
        newest = np.moveaxis(windows[:, -self.lookback:], 1, 2)
        return np.concatenate([newest[..., :-1] - newest[..., -1:], np.ones((*newest.shape[:2], 1))], axis=-1)


class LagFeatures:
    """Features of each node at an origin, from the ``lookback`` rows up to and with it.

    ``season``: steps in a day (or a week, a year); ``seasons``: how many are read, 2 to 14; ``nodes``. The newest
    season stands value by value, older ones as the mean of each phase and of each season. ``penalty`` (width,) says
    how hard a ridge should pull each coefficient to zero. Cost for each origin: about width × lookback × nodes
    multiplications.

    >>> features = LagFeatures(season=24, seasons=7, nodes=2)
    >>> windows = np.random.default_rng(0).normal(size=(1, features.lookback, 2))
    >>> row = features.of(windows, np.array([5]))
    >>> row.shape == (1, 2, features.width)
    True
    >>> bool(np.allclose(row, features.of(windows + 100.0, np.array([5]))))  # the level does not matter
    True
    """

    def __init__(self, season: int, seasons: int, nodes: int) -> None:
        self.season, self.seasons, self.nodes = season, seasons, nodes
        self.lookback = season * seasons
        base, pull = _base(season, seasons)
        levels, details = _levels(season, seasons), _details(season, seasons)
        self._sizes = (len(base), len(levels), len(details))
        read = np.concatenate([base, levels, details, _means(season, seasons)])
        read[:, -1] -= read.sum(axis=1)  # relative to the last value
        self._read = read
        self._harmonics = 3 if season > 6 else 1 if season > 2 else 0
        crossed = 0 if nodes == 1 else 2 * (nodes if nodes <= MOST_CROSSED else 1)
        calendar, turns = 2 * self._harmonics, len(levels) + len(details)
        pulls = np.tile(np.where(np.arange(turns) < len(levels), 2.0, 3.0), calendar)
        self.penalty = np.concatenate([pull, np.ones(calendar), pulls, np.full(crossed, 3.0), [0.01]])

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.penalty)

    def of(self, windows: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Features (origin, node, width) of windows (origin, lookback, node) without gaps.

        ``phase`` (origin,): steps from the season's beginning to the first row after the window.
        """
        seen = np.moveaxis(self._read @ windows, 1, 2)  # (origin, node, row of the reading matrix)
        base, levels, details = self._sizes
        turned, last = seen[..., base:base + levels + details], seen[..., -2:]
        angle = 2 * np.pi * np.outer(phase, np.arange(1, self._harmonics + 1)) / self.season
        circles = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(phase), 1, -1)
        wide = np.broadcast_to(circles, (*seen.shape[:2], circles.shape[-1]))
        products = (wide[..., :, None] * turned[..., None, :]).reshape(*seen.shape[:2], -1)
        parts = [seen[..., :base], wide, products, *self._network(last), np.ones((*seen.shape[:2], 1))]
        return np.concatenate(parts, axis=-1)

    def _network(self, last: np.ndarray) -> list[np.ndarray]:
        """Where every node stands to its newest season's mean, and that to the mean of a week of seasons."""
        if self.nodes == 1:
            return []
        stands = np.stack([-last[..., 0], last[..., 0] - last[..., 1]], axis=-1)
        if self.nodes > MOST_CROSSED:
            return [np.broadcast_to(stands.mean(axis=1, keepdims=True), stands.shape)]
        row = stands.reshape(len(stands), 1, -1)
        return [np.broadcast_to(row, (len(stands), self.nodes, row.shape[-1]))]


def _season(season: int, seasons: int, back: int) -> np.ndarray:
    """One-hot rows (phase, lookback) of the ``back``-th newest season (1: the newest), in bins if it is long."""
    rows = np.zeros((season, season * seasons))
    rows[np.arange(season), season * (seasons - back) + np.arange(season)] = 1.0
    size = -(-season // MOST_BINS)
    return np.stack([rows[first:first + size].mean(axis=0) for first in range(0, season, size)])


def _base(season: int, seasons: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the reading matrix whose coefficients stay, and how hard each is pulled to zero."""
    def phases(first: int, last: int) -> np.ndarray:
        return np.mean([_season(season, seasons, back) for back in range(first, min(last, seasons) + 1)], axis=0)

    near = _lag(season, seasons, range(min(season, MOST_BINS), 1, -1))
    parts = [(near, 1.0), (phases(2, 2), 4.0), (phases(2, 7), 1.0)]
    if season > MOST_BINS:
        parts.append((phases(1, 1), 1.0))
    if seasons >= 7:
        parts.append((phases(7, 7), 4.0))
    if seasons >= 14:
        parts.append((phases(8, 14), 2.0))
    means = np.stack([_season(season, seasons, back).mean(axis=0) for back in range(2, seasons + 1)])
    parts.append((means, 1.0))
    pulls = [np.full(len(rows), pull) for rows, pull in parts]
    return np.concatenate([rows for rows, _ in parts]), np.concatenate(pulls)


def _levels(season: int, seasons: int) -> np.ndarray:
    """Levels whose coefficients turn with the hour."""
    due = _lag(season, seasons, range(season, season * min(7, seasons) + 1, season))
    return np.concatenate([_means(season, seasons), due[:1], due.mean(axis=0)[None],
                           _lag(season, seasons, (2, min(4, season)))])


def _details(season: int, seasons: int) -> np.ndarray:
    """More lags, and the usual season at six phases, whose coefficients turn with the hour as well."""
    lags = sorted({max(2, round(lag * season / 24)) for lag in NEAR})
    usual = np.mean([_season(season, seasons, back) for back in range(1, min(7, seasons) + 1)], axis=0)
    return np.concatenate([_lag(season, seasons, lags), usual[::max(1, len(usual) // 6)]])


def _means(season: int, seasons: int) -> np.ndarray:
    """The mean of the newest season and that of the newest seven."""
    rows = np.zeros((2, season * seasons))
    rows[0, -season:] = 1.0 / season
    rows[1, -season * min(7, seasons):] = 1.0 / (season * min(7, seasons))
    return rows


def _lag(season: int, seasons: int, lags: Iterable[int]) -> np.ndarray:
    """Rows that read the value ``lag`` rows before the first row after the window (1: the last value)."""
    wanted = list(lags)
    rows = np.zeros((len(wanted), season * seasons))
    rows[np.arange(len(wanted)), [season * seasons - lag for lag in wanted]] = 1.0
    return rows
