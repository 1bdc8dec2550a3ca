"""What the newest counts say of each node, its neighbours and the network, as features of a Poisson regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree

from terracast.stats.great_circle import unit_vectors
from terracast.stfm.poisson.rates import FEW, MANY, SOME, CountRates, half_lives, lately, phases_of, season_length
from terracast.stfm.regular_grid import on_clock, slots_from

NEAR = 4  # neighbours, whose newest events are read beside a node's own


@dataclass(frozen=True)
class RecentCounts:
    """Discounted events and exposure at each row, (half-life, row, node), of nodes; of those around them by the longest
    half-life, (row, node); and of the network, (half-life, row): events, and how many were to be expected."""

    events: np.ndarray
    exposure: np.ndarray
    near_events: np.ndarray
    near_exposure: np.ndarray
    total: np.ndarray
    expected: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, times: np.ndarray, step: np.timedelta64, near: np.ndarray,
           rates: CountRates) -> RecentCounts:
        """Of counts (time, node); ``near`` as ``near_nodes`` gives it. O(values × half-lives)."""
        phase, _ = phases_of(times, *season_length(step))
        events, exposure = lately(counts, rates.season[phase], half_lives(step))
        return cls(events, exposure, events[-1][:, near].sum(axis=-1), exposure[-1][:, near].sum(axis=-1),
                   events.sum(axis=-1), exposure @ rates.of_node())


def features(recent: RecentCounts, rates: CountRates, step: np.timedelta64, row: np.ndarray, node: np.ndarray,
             valid: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
    """Features (pair, feature) of pairs of an issue and a valid time: the log of each rate to the broader one that it
    is shrunk to.

    Parameters
    ----------
    row, node : ndarray of int, shape (pair,)
        The newest row of ``recent`` that is known at the issue, and which node.
    valid : ndarray of datetime64, shape (pair,)
        What the forecast is of.
    label : ndarray of float, shape (pair,), optional
        Counts there, which ``rates`` were measured with: they are taken out, so that no label teaches its own
        forecast.
    """
    phase, own = phases_of(valid, *season_length(step))
    season = rates.season[phase]
    less, lived = (0.0, 0.0) if label is None else (label, season)
    rate = rates.of_node(less, lived, node)
    mine = np.maximum(rates.own_events[node, own] - less, 0.0)  # a label may be newer than what was measured
    wanted = (rates.own_exposure[node, own] - lived) * rate
    columns = [np.ones(len(node)), np.log(rate), np.log(season),
               np.log((mine + SOME) / (np.maximum(wanted, 0.0) + SOME))]
    lives = range(len(recent.events))
    columns += [np.log((recent.events[life, row, node] + FEW) / (recent.exposure[life, row, node] * rate + FEW))
                for life in lives]
    columns.append(np.log((recent.near_events[row, node] + SOME) / (recent.near_exposure[row, node] * rate + SOME)))
    columns += [np.log((recent.total[life, row] + MANY) / (recent.expected[life, row] + MANY)) for life in lives]
    return np.column_stack(columns)


def prior_coefficients(step: np.timedelta64) -> np.ndarray:
    """Before anything is learnt, (feature,): the node's long-run rate times the network's season."""
    return np.array([0.0, 1.0, 1.0] + [0.0] * (2 * len(half_lives(step)) + 2))


def counts_of(panel: xr.Dataset, target: str, step: np.timedelta64) -> tuple[np.ndarray, np.ndarray]:
    """Counts (time, node) on the panel's clock, and its stamps."""
    stamps = panel["time"].values.astype("datetime64[ns]")
    slots = slots_from(stamps, stamps[0], step)
    length = int(slots.max()) + 1
    return on_clock(panel, target, slots, length), stamps[0] + np.arange(length) * step


def near_nodes(panel: xr.Dataset) -> np.ndarray:
    """The nearest nodes of each and itself, (node, NEAR + 1); itself alone where places are not known or change."""
    nodes = panel.sizes["node"]
    alone = np.arange(nodes)[:, None]
    if "lat" not in panel.coords or panel["lat"].dims != ("node",) or nodes <= NEAR:
        return alone
    lat, lon = panel["lat"].values.astype(float), panel["lon"].values.astype(float)
    if not (np.isfinite(lat) & np.isfinite(lon)).all():
        return alone
    points = unit_vectors(lat, lon)
    return np.asarray(cKDTree(points).query(points, k=NEAR + 1)[1])
