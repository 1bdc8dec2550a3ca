"""Poisson regression with a log link, by Newton's method, leaning on a prior; and the dispersion beyond Poisson."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln
from scipy.stats import nbinom

STEPS = 25
STEEPEST = 20.0  # of a log mean
LEAN = 5.0  # events that the prior weighs
LARGEST = 1e6
LEAST_SPREAD = 1e-5  # nearer to Poisson than any quantile shows
TABLED = 40  # counts of which the chance is summed up at once


def fitted(features: np.ndarray, counts: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Coefficients (feature,) of log mean = features · coefficients, with ``prior`` where little is known.

    >>> random = np.random.default_rng(0)
    >>> x = np.column_stack([np.ones(4000), random.normal(size=4000)])
    >>> fitted(x, random.poisson(np.exp(x @ [0.5, 0.3])), np.zeros(2)).round(1).tolist()
    [0.5, 0.3]
    """
    found = prior.astype(float).copy()
    for _ in range(STEPS):
        mean = np.exp(np.clip(features @ found, -STEEPEST, STEEPEST))
        slope = features.T @ (counts - mean) - LEAN * (found - prior)
        step = np.linalg.solve(features.T @ (features * mean[:, None]) + LEAN * np.eye(len(prior)), slope)
        largest = float(np.abs(step).max())
        found = found + step / max(1.0, largest)
        if largest < 1e-6:
            break
    return found


def dispersion(counts: np.ndarray, mean: np.ndarray) -> float:
    """φ of variance = mean + φ · mean², by moments; 0 where counts are Poisson or even less spread."""
    return float(np.clip(((counts - mean) ** 2 - mean).sum() / max((mean**2).sum(), 1e-9), 0.0, 50.0))


def quantiles(mean: np.ndarray, spread: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles (…, level) of counts with this mean and dispersion.

    >>> quantiles(np.array([4.0]), np.array([0.0]), (0.1, 0.5, 0.9)).tolist()
    [[2.0, 4.0, 7.0]]
    """
    mean, spread = np.broadcast_arrays(np.clip(mean, 1e-9, LARGEST), spread)
    size = 1 / np.maximum(spread, LEAST_SPREAD)[..., None]
    share = size / (size + mean[..., None])
    number = np.arange(TABLED)
    chance = np.exp(gammaln(number + size) - gammaln(size) - gammaln(number + 1) + size * np.log(share)
                    + number * np.log1p(-share)).cumsum(axis=-1)
    found = (chance[..., None, :] < np.array(levels)[:, None] - 1e-12).sum(axis=-1).astype(float)
    beyond = chance[..., -1] < max(levels)  # large means are asked of scipy
    if beyond.any():
        found[beyond] = nbinom.ppf(np.array(levels), size[beyond], share[beyond])
    return found
