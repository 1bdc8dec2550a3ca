"""Rung: a closed-form ridge learns what the base leaves, from the node's window and the base's own forecast.

Online ridge from sufficient statistics with exponential forgetting (recursive least squares in its Gram form), on a
scale that tames heavy tails; half of its correction is served, so that base and ridge are mixed in equal parts
(a plain average of unlike forecasters is hard to beat: Clemen 1989). Cost: one solve of some forty unknowns a tick.
Rollback: without pairs, or for a node without a known value, the base is served as it is. Expiry: forgetting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from terracast.stfm.forecaster import Request
from terracast.streams.stateful import Stateful

WINDOW = 48
NEWEST = 12  # of the window every step; of the rest every third
NETWORK = (3, 6, 12, 24, 47)
LEADS = 8
SHARE = 0.5
FEWEST_LABELS = 0.7  # of a forecast's leads, for it to be learnt from
FEWEST_PAIRS = 200  # some five to an unknown
FARTHEST = 2.0  # times: of a scale that was taken from few values
MEMORY = np.timedelta64(58, "D")


@dataclass(frozen=True)
class RidgeTerms(Stateful):
    """What is learnt with: ``centre`` and ``width`` of the target's scale, ``half_life`` of memory in issues,
    ``ridge`` as a share of the mean diagonal of the Gram matrix."""

    centre: float
    width: float
    half_life: float
    ridge: float = 1e-3


class ResidualRidge(Stateful):
    """Corrects the location of a quantile forecast; learns only from forecasts that have closed.

    >>> terms = RidgeTerms(centre=0.0, width=1.0, half_life=200.0)
    >>> ResidualRidge(terms, horizon=6).pairs
    0.0
    """

    def __init__(self, terms: RidgeTerms, horizon: int) -> None:
        self.terms, self.horizon = terms, horizon
        leads = len(range(0, horizon, max(1, horizon // LEADS)))
        self._size = NEWEST + len(range(NEWEST, WINDOW, 3)) + len(NETWORK) + leads + 7
        self._gram = np.zeros((self._size, self._size))
        self._moment = np.zeros((self._size, horizon))
        self.pairs = 0.0

    @classmethod
    def for_target(cls, target: np.ndarray, horizon: int, cadence: np.timedelta64,
                   half_life: np.timedelta64 = MEMORY) -> ResidualRidge:
        """Scaled by the median and half the interquartile range of ``target`` (NaN ignored)."""
        low, middle, high = np.nanquantile(target, (0.25, 0.5, 0.75))
        width = float((high - low) / 2) or float(np.nanstd(target)) or 1.0
        return cls(RidgeTerms(float(middle), width, float(half_life / cadence)), horizon)

    def outgrown(self, target: np.ndarray) -> ResidualRidge | None:
        """A fresh one where ``target`` (time, node), all that is known now, has quite another scale than what this one
        began with; else None."""
        low, middle, high = np.nanquantile(target, (0.25, 0.5, 0.75))
        width = float((high - low) / 2) or self.terms.width
        near = abs(middle - self.terms.centre) <= FARTHEST * min(width, self.terms.width)
        if near and 1 / FARTHEST <= width / self.terms.width <= FARTHEST:
            return None
        return ResidualRidge(replace(self.terms, centre=float(middle), width=width), self.horizon)

    def features(self, context: xr.Dataset, request: Request, median: np.ndarray) -> np.ndarray:
        """Features (node, feature) at the issue time; NaN rows for nodes without a known value in the window.

        ``median`` (lead, node) is the base's; of ``context`` only rows up to the issue time are read.
        """
        window = self._scaled(_filled(context[request.target].values, context["time"].values, request))
        last = window[-1]
        back = (window - last)[::-1]
        own = back[[*range(NEWEST), *range(NEWEST, WINDOW, 3)]]
        silent = np.isnan(back).all(axis=1)
        network = np.where(silent, 0.0, np.nansum(back, axis=1) / np.maximum(np.isfinite(back).sum(axis=1), 1))
        ahead = (self._scaled(median) - last)[:: max(1, self.horizon // LEADS)]
        day = (request.issue_time - request.issue_time.astype("datetime64[D]")) / np.timedelta64(1, "D") * 2 * np.pi
        circles = np.array([np.sin(day), np.cos(day), np.sin(2 * day), np.cos(2 * day)])
        nodes = len(last)
        wide = [np.repeat(one[:, None], nodes, axis=1) for one in (network[list(NETWORK)], circles)]
        typical = np.nanmean(last) if np.isfinite(last).any() else 0.0
        return np.concatenate([own, wide[0], ahead, wide[1], (last - typical)[None], last[None], np.ones((1, nodes))]).T

    def apply(self, values: np.ndarray, median: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Quantiles (lead, node, quantile) moved by half of the learnt correction."""
        if self.pairs < FEWEST_PAIRS:
            return values
        ridge = self.terms.ridge * np.trace(self._gram) / self._size + 1e-9
        weights = np.linalg.solve(self._gram + ridge * np.eye(self._size), self._moment)
        learnt = (np.nan_to_num(features) @ weights).T
        moved = self._plain(self._scaled(median) + np.clip(learnt, -2.0, 2.0))
        known = np.isfinite(features).all(axis=1)
        shift = np.where(known, SHARE * (moved - median), 0.0)
        return np.asarray(values + shift[..., None])

    def learn(self, features: np.ndarray, median: np.ndarray, labels: np.ndarray) -> None:
        """Take in a closed forecast: ``median`` and ``labels`` (lead, node), NaN where no label came."""
        left = np.clip(self._scaled(labels) - self._scaled(median), -2.0, 2.0)
        there = (np.isfinite(left).mean(axis=0) >= FEWEST_LABELS) & np.isfinite(features).all(axis=1)
        inputs, left = features[there], np.nan_to_num(left[:, there])
        kept = 0.5 ** (1.0 / self.terms.half_life)
        self._gram = kept * self._gram + inputs.T @ inputs
        self._moment = kept * self._moment + inputs.T @ left.T
        self.pairs = kept * self.pairs + float(there.sum())

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.arcsinh((values - self.terms.centre) / self.terms.width))

    def _plain(self, scaled: np.ndarray) -> np.ndarray:
        return np.asarray(self.terms.centre + self.terms.width * np.sinh(scaled))


def _filled(values: np.ndarray, time: np.ndarray, request: Request) -> np.ndarray:
    """The last ``WINDOW`` + 1 steps up to the issue time, gaps filled from before, then from after; (step, node)."""
    wanted = request.issue_time - np.arange(WINDOW, -1, -1) * request.step
    window = np.full((WINDOW + 1, values.shape[1]), np.nan)
    at = np.searchsorted(time, wanted)
    there = (at < len(time)) & (time[np.minimum(at, len(time) - 1)] == wanted)
    window[there] = values[at[there]]
    rows = np.where(np.isfinite(window), np.arange(WINDOW + 1)[:, None], 0)
    forward = np.take_along_axis(window, np.maximum.accumulate(rows, axis=0), axis=0)
    first = np.argmax(np.isfinite(forward), axis=0)
    return np.where(np.isfinite(forward), forward, forward[first, np.arange(values.shape[1])])
