"""Noises of every memory: the parts that no season explains. All are (time, node), mean 0, typical size 1."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter


def white(rng: np.random.Generator, steps: int, mixing: np.ndarray, tail: float | None = None) -> np.ndarray:
    """Noise without memory, correlated over nodes by ``mixing``; Student's t with ``tail`` degrees if given.

    Scaled to variance 1 (tail > 2). einsum, not BLAS: the same bits with any number of threads.

    >>> white(np.random.default_rng(0), 5, np.eye(2)).shape
    (5, 2)
    """
    drawn = rng.standard_normal((steps, len(mixing)))
    if tail is not None:
        drawn = drawn * np.sqrt((tail - 2) / rng.chisquare(tail, (steps, 1 if rng.random() < 0.5 else len(mixing))))
    return np.asarray(np.einsum("tn,mn->tm", drawn, mixing))


def remembering(innovations: np.ndarray, keep: float) -> np.ndarray:
    """AR(1) x[t] = keep · x[t-1] + √(1 - keep²) · innovation, begun in its stationary law; keep < 1.

    >>> remembering(np.ones((2, 1)), 0.6).ravel().round(2).tolist()
    [1.0, 1.4]
    """
    fresh = np.sqrt(1 - keep**2) * innovations
    fresh[0] = innovations[0]
    return np.asarray(lfilter([1.0], [1.0, -keep], fresh, axis=0))


def ornstein(rng: np.random.Generator, steps: int, mixing: np.ndarray, memory: float,
             tail: float | None = None) -> np.ndarray:
    """Ornstein-Uhlenbeck noise whose correlation falls to 1/e in ``memory`` steps; variance 1."""
    return remembering(white(rng, steps, mixing, tail), float(np.exp(-1.0 / max(memory, 1e-3))))


def wandering(rng: np.random.Generator, steps: int, mixing: np.ndarray, exponent: float) -> np.ndarray:
    """Noise with spectrum 1/f^exponent: 0 white, 1 long memory, 2 a random walk, 3 smooth; spread 1 over the whole.

    Made on twice the length and cut, so that its end does not meet its beginning.

    >>> wandering(np.random.default_rng(0), 64, np.eye(1), 2.0).std().round(2)
    np.float64(1.0)
    """
    length = 2 * steps
    frequency = np.arange(length // 2 + 1) / length
    size = np.zeros_like(frequency)
    size[1:] = frequency[1:] ** (-exponent / 2)
    drawn = rng.standard_normal((2, len(frequency), len(mixing)))
    spectrum = size[:, None] * np.einsum("tn,mn->tm", drawn[0] + 1j * drawn[1], mixing)
    values = np.fft.irfft(spectrum, length, axis=0)[:steps]
    values = values - values.mean(0)
    return np.asarray(values / max(float(np.sqrt((values**2).mean())), 1e-12))


def bursts(rng: np.random.Generator, steps: int, mixing: np.ndarray, memory: float, depth: float) -> np.ndarray:
    """A positive size that calms and storms: exp(depth · slow noise), median 1 (stochastic volatility)."""
    return np.asarray(np.exp(depth * ornstein(rng, steps, mixing, memory)))


def jumps(rng: np.random.Generator, steps: int, nodes: int, expected: float, joint: float = 0.5) -> np.ndarray:
    """A level that stays and now and then jumps (N(0, 1)), all nodes together with probability ``joint``."""
    count = int(rng.poisson(expected))
    level = np.zeros((steps, nodes))
    for _ in range(min(count, 12)):
        who = np.ones(nodes) if rng.random() < joint else (np.arange(nodes) == rng.integers(nodes)).astype(float)
        level[int(rng.integers(steps)):] += rng.standard_normal() * who
    return level


def shots(rng: np.random.Generator, steps: int, nodes: int, rate: float, decay: float, joint: float = 0.5,
          ) -> np.ndarray:
    """Events (``rate`` a step) that rise at once and die away in ``decay`` steps; sizes log-normal (shot noise).

    >>> bool((shots(np.random.default_rng(0), 50, 2, 0.1, 3.0) >= 0).all())
    True
    """
    wide = 1 if rng.random() < joint else nodes
    struck = (rng.random((steps, wide)) < rate) * np.exp(0.8 * rng.standard_normal((steps, wide)))
    struck = np.broadcast_to(struck, (steps, nodes)) * rng.uniform(0.3, 1.5, nodes)
    return np.asarray(lfilter([1.0], [1.0, -np.exp(-1.0 / max(decay, 1e-3))], struck, axis=0))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform: any order of magnitude is as likely as any other.

    >>> 1.0 <= log_uniform(np.random.default_rng(0), 1.0, 10.0) <= 10.0
    True
    """
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def memory_of(rng: np.random.Generator, steps: int) -> float:
    """A memory in steps, from almost none to that of AR(1) with .999, log-uniform."""
    return log_uniform(rng, 0.3, min(1000.0, steps))
