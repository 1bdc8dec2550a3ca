"""Online mixing of forecasts whose labels come late, with a bound on what it can lose against any one of them.

Weights are kept for every cell (lead, node) and are convex, because free coefficients blow up when the world changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful


class AggregationError(TerracastError):
    """Losses of another shape than the mixture was made for, or priors that are none."""


class RegretBoundedMixture(Stateful):
    """Exponential weights on linearised losses with a rate that the gains set themselves, for labels that come late.

    For any convex loss, in every cell, against every expert k, after T labels of which each came at most ``delay``
    updates after its forecast:

        loss(mixture) - loss(k) ≤ sqrt((1 + 2 delay) ln(1 / prior_k*) (Σ G_t² + 4 (delay + 1) G²)) + 2 (delay + 1) G

    with G_t the span over experts of the linearised losses ⟨loss'(mixture), forecast_k⟩ at round t, G its greatest
    value and prior_k* the smallest prior. ``bound`` gives the right side from what was seen. Where the experts agree
    G_t is small, so the price of safety is small. Why it holds: with w_t the weights played and w̃_t those that would
    also know the outstanding rounds m_t, (a) Σ⟨w̃_t, g_t⟩ - Σ g_t,k ≤ ln(1/prior)/η_T + Σ η_t G_t²/8 (Hoeffding), and
    (b) ⟨w_t - w̃_t, g_t⟩ ≤ η_t G_t Σ_{s in m_t} G_s / 4 (softmax is Lipschitz), of which the products split into
    squares, each in at most ``delay`` sets m_t, and η falls; (c) η_t = sqrt(ln(1/prior) / (2 V_t)), V_t the sum so far
    of (1 + 2 delay)/8 · G², the outstanding rounds reserved at twice the greatest span seen; spans above that reserve
    are at most ``delay`` + 1 for each doubling, which the last term pays. (Joulani, György and Szepesvári 2013, 2016;
    Flaspohler et al. 2021; the gradient trick: Cesa-Bianchi and Lugosi 2006, Wintenberger 2017.)

    >>> mixture = RegretBoundedMixture(leads=1, nodes=1, priors=(0.5, 0.5), delay=0)
    >>> for _ in range(300):  # the second expert is always right, the first one off by 1
    ...     off = mixture.weights()[0, 0, 0]
    ...     mixture.learn(np.array([2 * off * 1.0, 0.0])[:, None, None])
    >>> bool(mixture.weights()[1, 0, 0] > 0.85)
    True
    """

    def __init__(self, leads: int, nodes: int, priors: Sequence[float], delay: int) -> None:
        self.priors = np.asarray(priors, dtype="float64")
        if (self.priors <= 0).any() or abs(self.priors.sum() - 1) > 1e-9 or delay < 0:
            raise AggregationError(f"priors are {tuple(priors)}, delay {delay}", where="mixture",
                                   expected="positive priors that sum to 1, a delay of 0 or more",
                                   remedy="correct them")
        self.delay = int(delay)
        self._losses = np.zeros((len(self.priors), leads, nodes))
        self._squares = np.zeros((leads, nodes))
        self._greatest = np.zeros((leads, nodes))

    def learn(self, losses: np.ndarray) -> None:
        """Take in linearised losses (expert, lead, node) at the mixture that was played; NaN where not matured.

        A constant added to all experts of a cell changes nothing.
        """
        losses = _checked(losses, self._losses.shape)
        there = np.isfinite(losses).all(axis=0)
        losses = np.where(there, losses - losses[-1], 0.0)
        span = np.ptp(losses, axis=0)
        self._losses += losses
        self._squares += span**2
        self._greatest = np.maximum(self._greatest, span)

    def weights(self) -> np.ndarray:
        """Weights (expert, lead, node), each cell's sum is 1."""
        variance = (1 + 2 * self.delay) / 8 * (self._squares + 4 * (self.delay + 1) * self._greatest**2)
        rate = np.sqrt(self._surprise / (2 * np.maximum(variance, 1e-300)))
        exponent = np.log(self.priors)[:, None, None] - np.where(variance > 0, rate, 0.0) * self._losses
        weights: np.ndarray = np.exp(exponent - exponent.max(axis=0))
        return weights / weights.sum(axis=0)

    def bound(self) -> np.ndarray:
        """The most (lead, node) by which the mixture's summed loss can be above any one expert's so far."""
        reserved = self._squares + 4 * (self.delay + 1) * self._greatest**2
        return np.asarray(np.sqrt((1 + 2 * self.delay) * self._surprise * reserved)
                          + 2 * (self.delay + 1) * self._greatest)

    @property
    def _surprise(self) -> float:
        return math.log(1.0 / float(self.priors.min()))


def squared_gradient(mixture: np.ndarray, experts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Linearised squared losses (expert, …) at ``mixture`` (…): 2 (mixture - label) expert. NaN labels give NaN."""
    return np.asarray(2.0 * (mixture - labels) * (experts - mixture))


def crps_gradient(mixture: np.ndarray, experts: np.ndarray, labels: np.ndarray,
                  quantiles: Sequence[float]) -> np.ndarray:
    """Linearised CRPS (expert, …) of quantile forecasts (…, quantile) at ``mixture``; labels (…).

    Mixing quantile by quantile, the pinball loss of each is convex in the weights, hence their mean is.
    """
    slope = 2.0 * ((mixture >= labels[..., None]) - np.asarray(quantiles))
    linear = (slope * (experts - mixture)).mean(axis=-1)
    return np.asarray(np.where(np.isnan(labels), np.nan, linear))


def _checked(losses: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    if np.shape(losses) != wanted:
        raise AggregationError(f"losses of shape {np.shape(losses)}", where="mixture",
                               expected=f"(expert, lead, node) = {wanted}", remedy="give NaN where no label came")
    return np.asarray(losses, dtype="float64")
