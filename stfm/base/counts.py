"""The count head: zero-inflated negative binomial forecasts, for panels that count events."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import nbinom

from terracast.stfm.base.baselines import NAMES

MEAN = NAMES.index("profile + level")
SMALLEST = 0.02  # expected counts are at least this share of a width: silence so far is no proof of silence


def parameters(raw: torch.Tensor, readings: torch.Tensor, centre: torch.Tensor,
               width: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean of the counts, dispersion r (variance = mean + mean²/r) and share of extra zeros, each (..., node, lead).

    ``raw`` (..., node, lead, 3) is what the network says, ``readings`` (..., node, reading, lead) in z; ``centre`` and
    ``width`` (..., node). The mean is the reading's level times what the network says of it.
    """
    level = centre[..., None] + width[..., None] * readings[..., MEAN, :]
    mean = torch.maximum(level, SMALLEST * width[..., None]) * raw[..., 0].clamp(-4, 4).exp()
    return mean, (raw[..., 1].clamp(-5, 5) + 1).exp(), torch.sigmoid(raw[..., 2] - 4)


def surprise(counts: torch.Tensor, mean: torch.Tensor, dispersion: torch.Tensor, zeros: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of ``counts``, elementwise.

    >>> told = torch.tensor([2.0, 2.0, 1e6, 0.0], dtype=torch.float64)
    >>> round(float(surprise(*told)), 3)  # nearly Poisson: -log(2² e⁻² / 2!)
    1.307
    """
    share = mean / (mean + dispersion)
    log_likelihood = (torch.lgamma(counts + dispersion) - torch.lgamma(dispersion) - torch.lgamma(counts + 1)
                      + dispersion * torch.log1p(-share) + counts * torch.log(share.clamp(min=1e-12)))
    ordinary = log_likelihood + torch.log1p(-zeros.clamp(max=1 - 1e-6))
    nothing = torch.logaddexp(torch.log(zeros.clamp(min=1e-12)), ordinary)
    return -torch.where(counts < 0.5, nothing, ordinary)


def quantiles(mean: np.ndarray, dispersion: np.ndarray, zeros: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Quantiles (..., quantile) of the counts.

    >>> quantiles(np.array([4.0]), np.array([1e6]), np.array([0.0]), (0.1, 0.5, 0.9)).tolist()
    [[2.0, 4.0, 7.0]]
    """
    share = dispersion / (dispersion + mean)
    left = (np.array(levels) - zeros[..., None]) / np.maximum(1 - zeros[..., None], 1e-6)
    found = nbinom.ppf(left.clip(1e-9, 1 - 1e-9), dispersion[..., None], share[..., None])
    values: np.ndarray = np.where(left <= 0, 0.0, found)
    return values
