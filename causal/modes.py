"""Leading modes: a few series that stand for many nodes, each a region found from the data (Tibau et al. 2022).

Mapped-PCMCI (Tibau, Reimers, Gerhardus, Denzler, Eyring & Runge, Environmental Data Science 2022) searches causal
links among varimax-rotated components of a field and not among its grid points: fewer tests, and neighbours that
say the same thing do not explain each other away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from causal.prepare import PrepareError
from causal.season import calendar, slot_statistics
from streams.panel import check_panel, step_of

_LEAST_VALUES = 20


@dataclass(frozen=True, eq=False)
class Modes:
    """``series`` (time, mode) of unit variance and ``loadings`` (node, mode), their correlation with each node.

    ``names`` are the heaviest nodes of each mode, ``share`` the share of all nodes' variance it explains,
    largest first; ``reason`` says why there are so many.
    """

    variable: str
    nodes: tuple[str, ...]
    time: np.ndarray
    series: np.ndarray
    loadings: np.ndarray
    share: tuple[float, ...]
    names: tuple[str, ...]
    reason: str

    def panel(self, original: xr.Dataset) -> xr.Dataset:
        """The modes as a panel of one node, a variable each, for ``prepare``; attributes of ``original``."""
        long_name = str(original[self.variable].attrs["long_name"])
        held = {f"{self.variable}_mode_{number + 1}": (
            ("time", "node"), self.series[:, [number]], {"units": "1", "long_name": f"{long_name} around {name}"})
            for number, name in enumerate(self.names)}
        return xr.Dataset(held, {"time": self.time, "node": ["all"]}, dict(original.attrs))


def leading_modes(panel: xr.Dataset, variable: str, *, most: int = 20, draws: int = 20, level: float = 0.05,
                  seed: int = 0) -> Modes:
    """The rotated leading components of one variable's anomalies (each hour's own mean removed, unit variance).

    As many as by parallel analysis (Horn 1965): components whose eigenvalue is above the 1 - ``level`` quantile
    of the same rank when every node is shifted in time (around a circle) by an amount of its own, which
    keeps each node's memory and takes away what they share; at least 1, at most ``most``. Varimax (Kaiser 1958)
    then turns them until each weighs on few nodes. At a time with gaps the series are those that fit the nodes
    seen; NaN where less than half of a mode's weight is seen. Nodes seen fewer than 20 times or constant are
    left out. O(draws x (time x nodes^2 + nodes^3)). Raises ``PrepareError``.

    >>> rng = np.random.default_rng(0)
    >>> west, east = rng.normal(size=(2, 300, 1))
    >>> values = np.hstack([west, west, west, east, east]) + 0.5 * rng.normal(size=(300, 5))
    >>> air = xr.Dataset({"o3": (("time", "node"), values, {"units": "ppb", "long_name": "ozone"})},
    ...                  {"time": pd.date_range("2020-01-01", periods=300, freq="h"), "node": list("abcde")},
    ...                  {"domain": "air", "kind": "sensor", "step": "1h"})
    >>> modes = leading_modes(air, "o3")
    >>> [sorted(name.split(", ")) for name in modes.names]
    [['a', 'b', 'c'], ['d', 'e']]
    """
    panel = check_panel(panel)
    if variable not in panel:
        raise PrepareError(f"no variable {variable!r}", where=str(panel.attrs["domain"]),
                           expected="one of " + ", ".join(map(str, panel.data_vars)), remedy="select another")
    time = panel["time"].values
    scaled, kept = _anomalies(panel[variable].values, time, pd.Timedelta(step_of(panel)), variable)
    found, vectors = _eigen(_correlation(scaled))
    number, reason = _how_many(scaled, found, most, draws, level, np.random.default_rng(seed))
    loadings = varimax(vectors[:, :number] * np.sqrt(found[:number]))
    loadings *= np.sign(loadings[np.abs(loadings).argmax(axis=0), np.arange(number)])
    share = (loadings**2).sum(axis=0) / len(kept)
    order = np.argsort(-share, kind="stable")
    loadings = loadings[:, order]
    nodes = tuple(str(one) for one in panel["node"].values[kept])
    return Modes(variable, nodes, time, _scores(scaled, loadings), loadings,
                 tuple(float(one) for one in share[order]), tuple(_name(one, nodes) for one in loadings.T), reason)


def varimax(loadings: np.ndarray, rounds: int = 500) -> np.ndarray:
    """Turn ``loadings`` (node, mode) until the variance of the squared loadings of each mode is largest.

    Planar rotations of pairs of modes, each to its best angle in closed form (Kaiser 1958), until none turns.

    >>> turned = np.array([[0.6, 0.6], [0.6, 0.6], [0.6, -0.6]]) / np.sqrt(2)
    >>> np.abs(varimax(turned)).round(6).tolist()
    [[0.6, 0.0], [0.6, 0.0], [0.0, 0.6]]
    """
    turned = loadings.astype(np.float64).copy()
    count = len(turned)
    for _ in range(rounds):
        largest = 0.0
        for first in range(turned.shape[1]):
            for second in range(first + 1, turned.shape[1]):
                x, y = turned[:, first].copy(), turned[:, second].copy()
                u, v = x**2 - y**2, 2 * x * y
                above = 2 * (count * (u @ v) - u.sum() * v.sum())
                below = count * (u @ u - v @ v) - u.sum() ** 2 + v.sum() ** 2
                angle = np.arctan2(above, below) / 4
                turned[:, first] = x * np.cos(angle) + y * np.sin(angle)
                turned[:, second] = y * np.cos(angle) - x * np.sin(angle)
                largest = max(largest, abs(angle))
        if largest < 1e-9:
            break
    return turned


def _anomalies(values: np.ndarray, time: np.ndarray, step: pd.Timedelta,
               variable: str) -> tuple[np.ndarray, np.ndarray]:
    """Standardised anomalies (time, kept nodes) and the places of the kept nodes."""
    values = values.astype(np.float64)
    away = values - slot_statistics(values, calendar(time, step).slots)[0]
    seen = np.isfinite(away)
    size = np.sqrt(np.where(seen, away, 0.0).__pow__(2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
    usual = np.nanmedian(np.abs(values)) if np.isfinite(values).any() else 0.0
    kept = np.flatnonzero((seen.sum(axis=0) >= _LEAST_VALUES) & (size > 1e-9 * max(usual, 1e-300)))
    if len(kept) < 2:
        raise PrepareError(f"{len(kept)} nodes of {variable} vary", where="leading_modes", expected="at least 2",
                           remedy="use prepare's regional mean")
    centred = away[:, kept] - np.nanmean(away[:, kept], axis=0)
    return centred / np.nanstd(centred, axis=0), kept


def _correlation(scaled: np.ndarray) -> np.ndarray:
    """Correlations of the nodes, each pair on the times that both were seen."""
    seen = np.isfinite(scaled)
    filled, counted = np.where(seen, scaled, 0.0), seen.astype(np.float64)
    found = filled.T @ filled / np.maximum(counted.T @ counted, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def _eigen(correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first and not below 0 (pairwise gaps can make them so), and vectors."""
    values, vectors = np.linalg.eigh(correlation)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def _how_many(scaled: np.ndarray, found: np.ndarray, most: int, draws: int, level: float,
              random: np.random.Generator) -> tuple[int, str]:
    null = np.empty((draws, len(found)))
    for draw in range(draws):
        moved = np.column_stack([np.roll(column, random.integers(len(scaled))) for column in scaled.T])
        null[draw] = _eigen(_correlation(moved))[0]
    above = found > np.quantile(null, 1 - level, axis=0)
    wanted = len(found) if above.all() else int(above.argmin())
    number = max(1, min(wanted, most, len(found)))
    reason = (f"{number} modes: their eigenvalues are larger than {1 - level:.0%} of those of the same nodes shifted "
              f"apart in time ({draws} draws)")
    if wanted > number:
        reason += f"; {wanted} would be, but at most {most} were asked for"
    return number, (reason if wanted else "1 mode, although no eigenvalue is larger than by chance") + "."


def _scores(scaled: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    """The modes' series: at each time the least-squares fit of the loadings to the nodes seen."""
    seen = np.isfinite(scaled)
    filled = np.where(seen, scaled, 0.0)
    whole = seen.all(axis=1)
    found = np.full((len(scaled), loadings.shape[1]), np.nan)
    found[whole] = filled[whole] @ loadings @ np.linalg.inv(loadings.T @ loadings)
    partly = np.flatnonzero(~whole)
    weight = seen[partly].astype(float) @ loadings**2 / (loadings**2).sum(axis=0)
    squares = np.einsum("tn,ni,nj->tij", seen[partly].astype(float), loadings, loadings)
    squares += 1e-6 * np.eye(loadings.shape[1])  # a mode whose nodes are all missing: its series is NaN anyway
    fitted = np.linalg.solve(squares, (filled[partly] @ loadings)[:, :, None])[:, :, 0]
    found[partly] = np.where(weight >= 0.5, fitted, np.nan)
    return found


def _name(loading: np.ndarray, nodes: tuple[str, ...]) -> str:
    heavy = [place for place in np.argsort(-np.abs(loading), kind="stable")[:3]
             if abs(loading[place]) >= 0.7 * np.abs(loading).max()]
    return ", ".join(nodes[place] for place in heavy)
