"""How rough a node's residual given its neighbours usually is at an hour: a calm hour says more about its level.

What a node does that its neighbours do not is small by night and large at the rush hour, small in clean air and large
in smoke. A day's level is the mean of its hours weighted by 1 / roughness², as weighted least squares has it; on ozone,
nitrogen dioxide and sulphur dioxide a shift of a quarter of a deviation stands out by up to a third more for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.streams.stateful import Stateful

QUIET = 0.05  # added before the logarithm, in typical sizes
PENALTY = 30.0  # values that each coefficient but the mean must be worth
WIDEST = 1.5  # of the logarithm: no hour is believed to be calmer or rougher than that
FURTHEST = 3.0  # deviations of the expected beyond which nothing more is read from it
MOST_ROWS = 4000  # tell a handful of coefficients
SEVERAL = 8  # steps of a block from which on it has a course of its own


@dataclass(frozen=True)
class Volatility(Stateful):
    """Log roughness of each node as a regression on the step of the block and on what the neighbours make one expect.

    ``weights`` (feature, node), ``power`` (node,): mean expected²; ``size``: steps of a block.

    >>> draws = np.random.default_rng(0)
    >>> steps = np.arange(24 * 100) % 24
    >>> local = draws.normal(size=(2400, 1)) * np.where(steps < 12, 1.0, 3.0)[:, None]
    >>> of = Volatility.fit(local, np.zeros((2400, 1)), steps, 24).of(np.zeros((24, 1)), np.arange(24))
    >>> bool(of[18, 0] > 2 * of[6, 0])
    True
    """

    weights: np.ndarray
    power: np.ndarray
    size: int

    @classmethod
    def even(cls, nodes: int) -> Volatility:
        """Every hour as rough as any other."""
        return cls(np.zeros((1, nodes)), np.ones(nodes), 1)

    @classmethod
    def fit(cls, local: np.ndarray, expected: np.ndarray, steps: np.ndarray, size: int) -> Volatility:
        """From ``local`` and ``expected`` (time, node) at ``steps`` (time,) of blocks of ``size``; O(time × node)."""
        every = -(-len(local) // MOST_ROWS)
        every += every > 1 and size % every == 0  # all hours of the day must come up
        local, expected, steps = local[::every], expected[::every], steps[::every]
        power = np.maximum((expected**2).mean(axis=0), 1e-9)
        rough = np.abs(local)
        seen = np.isfinite(rough)
        typical = np.where(seen, rough, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        target = np.log(rough / np.maximum(typical, 1e-9) + QUIET)
        waves, columns = cls(np.zeros((1, 0)), power, size)._waves(steps), []
        for node in range(local.shape[1]):
            rows = seen[:, node]
            level = _level(expected[rows, node], power[node])
            features = np.column_stack([np.ones(len(level)), level, np.abs(level), level**2, waves[rows]])
            shrink = PENALTY * np.eye(features.shape[1])
            shrink[0, 0] = 1e-9 if rows.any() else 1.0
            columns.append(np.linalg.solve(features.T @ features + shrink, features.T @ target[rows, node]))
        weights = np.stack(columns, axis=1)
        weights[0] = 0.0  # only how hours differ is wanted
        return cls(weights, power, size)

    def of(self, expected: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Volatility (time, node), about 1, where this much is ``expected`` (time, node) at ``steps`` (time,)."""
        if len(self.weights) == 1:
            return np.ones(expected.shape)
        level = _level(expected, self.power)
        logs = (self.weights[1] + self.weights[3] * level) * level + self.weights[2] * np.abs(level)
        return np.exp(np.clip(logs + self._waves(steps) @ self.weights[4:], -WIDEST, WIDEST))

    def _waves(self, steps: np.ndarray) -> np.ndarray:
        """Two harmonics of the block (time, wave), none where it has few steps."""
        if self.size < SEVERAL:
            return np.zeros((len(steps), 0))
        angle = 2 * np.pi * np.asarray(steps) / self.size
        return np.stack([wave(times * angle) for times in (1, 2) for wave in (np.cos, np.sin)], axis=1)


def _level(expected: np.ndarray, power: np.ndarray) -> np.ndarray:
    """What is expected, in deviations."""
    return np.clip(expected / power**0.5, -FURTHEST, FURTHEST)
