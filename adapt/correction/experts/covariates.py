"""The company of a target: what the other variables measured at its nodes say, as one row of numbers per node."""

from __future__ import annotations

import numpy as np
import xarray as xr

from terracast.adapt.correction.experts.history_buffer import measured
from terracast.streams.stateful import Stateful

SKEWED = 1.0  # skewness above which a variable is squashed
FARTHEST = 8.0  # widths: no value counts for more
MOST = 16  # variables that are read
READINGS = 5  # numbers for each variable
PENALTY = 6.0  # how hard a ridge should pull them


class Covariates(Stateful):
    """The newest seven seasons of the variables beside the target, each in its own units of deviation.

    Five numbers for each variable and node: the mean of the newest season, how it stands to that of the newest seven,
    that mean, and the newest steps over an eighth of a season and a whole one. A gap holds the last value for a season
    and is nothing unusual (0) after that. Skewed variables are read as the inverse hyperbolic sine. Memory of a node:
    8 × variables × 7 seasons bytes.

    >>> draws = np.random.default_rng(0)
    >>> covariates = Covariates(season=4, history=draws.normal(size=(100, 2, 3)))  # (row, variable, node)
    >>> covariates.append(np.ones((2, 3)))
    >>> covariates.features().shape
    (3, 10)
    """

    def __init__(self, season: int, history: np.ndarray) -> None:
        self.season = season if season > 1 else 8
        rows, variables, nodes = history.shape
        flat = history.reshape(rows, variables * nodes)
        centre, width = measured(flat)
        self.centre, self.width = centre.reshape(variables, nodes), width.reshape(variables, nodes)
        with np.errstate(all="ignore"):
            scaled = (flat - centre) / width
            cubes = np.nanmean(scaled.reshape(rows, variables, nodes) ** 3, axis=(0, 2))
        self.squashed = np.nan_to_num(cubes) > SKEWED
        self._kept = np.zeros((7 * self.season, variables, nodes))
        self._silent = np.full((variables, nodes), self.season + 1)

    @property
    def columns(self) -> int:
        """Numbers for each node."""
        return READINGS * self._kept.shape[1]

    def append(self, values: np.ndarray) -> None:
        """One more row (variable, node), NaN where nothing is known."""
        there = np.isfinite(values)
        scaled = np.clip((np.where(there, values, 0.0) - self.centre) / self.width, -FARTHEST, FARTHEST)
        scaled = np.where(self.squashed[:, None], np.arcsinh(scaled), scaled)
        self._silent = np.where(there, 0, np.minimum(self._silent + 1, self.season + 1))
        held = np.where(self._silent <= self.season, self._kept[-1], 0.0)
        self._kept = np.concatenate([self._kept[1:], np.where(there, scaled, held)[None]])

    def features(self) -> np.ndarray:
        """(node, columns) as of the newest row."""
        kept, season = self._kept, self.season
        day, week, newest = kept[-season:].mean(axis=0), kept.mean(axis=0), kept[-1]
        short = kept[-1 - max(1, season // 8)]
        whole = np.stack([day, day - week, week, newest - short, newest - kept[-1 - season]])
        return np.asarray(whole.reshape(-1, kept.shape[2]).T)


def covariate_names(panel: xr.Dataset, target: str) -> tuple[str, ...]:
    """The variables of a panel that can be a target's company, ``MOST`` at most.

    Only numbers measured at every (time, node) count; those that never move are left out.

    >>> values = np.arange(6.0).reshape(3, 2)
    >>> panel = xr.Dataset({name: (("time", "node"), values) for name in ("x", "rain")} | {"flat": values[0, 0]})
    >>> covariate_names(panel, "x")
    ('rain',)
    """
    return tuple(str(name) for name, values in panel.data_vars.items()
                 if name != target and set(values.dims) == {"time", "node"} and values.dtype.kind in "fiu"
                 and float(values.max()) > float(values.min()))[:MOST]


def covariates_of(panel: xr.Dataset, target: str) -> xr.DataArray | None:
    """The company (time, variable, node) of a panel's target; None without any.

    >>> values = np.arange(6.0).reshape(3, 2)
    >>> panel = xr.Dataset({"x": (("time", "node"), values), "rain": (("time", "node"), values**2)})
    >>> covariates_of(panel, "x").sizes["variable"], covariates_of(panel[["x"]], "x")
    (1, None)
    """
    names = covariate_names(panel, target)
    return stacked(panel[list(names)]) if names else None


def stacked(panel: xr.Dataset) -> xr.DataArray:
    """All variables of a panel as one array (time, variable, node)."""
    return panel.to_dataarray("variable").transpose("time", "variable", "node").astype("float64")
