"""How far back a search should look: the longest lag at which the data show anything, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.stats import norm

from causal.prepare import Prepared
from causal.search import DiscoverError


@dataclass(frozen=True)
class LongestLag:
    """``lag`` in steps and the ``reason`` in one sentence; ``across`` and ``own`` are the longest lags seen
    between series and within one, ``threshold`` the correlation that chance reaches in a share ``level``."""

    lag: int
    reason: str
    across: int
    own: int
    threshold: float


def longest_lag(prepared: Prepared, *, most: int | None = None, level: float = 0.05, smallest: float = 0.05,
                draws: int = 200, seed: int = 0) -> LongestLag:
    """The longest lag up to ``most`` (default: 48, at most a twentieth of the steps) at which series are linked.

    Each series is whitened by its own autoregression (order by AIC), else its memory smears a link over many
    lags (Box & Jenkins; Haugh 1976). Lagged correlations of what is left count from the ``1 - level``
    quantile on that the largest of them all reaches when the series are shifted far apart in time
    (``draws`` draws), and from ``smallest`` on: in long series anything is significant. A series' own memory
    counts by its partial autocorrelation, from twice ``smallest`` on (1 % of its variance), so that its own
    past can be conditioned on. O(series^2 x time x log time). Raises ``DiscoverError`` on too few steps.

    >>> from causal.graph import Series
    >>> noise = np.random.default_rng(0).normal(size=(600, 2))
    >>> noise[5:, 1] += 0.6 * noise[:-5, 0]
    >>> found = longest_lag(Prepared(noise, (Series("a", "x"), Series("b", "y")), "1h", np.arange(600)))
    >>> found.lag, found.reason[:62]
    (5, 'Lags up to 5 steps of 1h: the longest link seen is a.x -> b.y ')
    """
    values = np.asarray(prepared.values, dtype=np.float64)
    steps, number = values.shape
    most = most if most is not None else max(1, min(48, steps // 20))
    if most < 1 or steps < 10 * most or steps < 50 or number < 1:
        raise DiscoverError(f"{steps} steps for lags up to {most}", where="longest_lag",
                            expected=f"at least {max(50, 10 * most)}", remedy="lower most or take a longer span")
    own, memories, white = 0, [0] * number, np.empty_like(values)
    for place in range(number):
        white[:, place], memories[place] = _whitened(values[:, place], most, level / number, 2 * smallest)
    own = max(memories)
    random = np.random.default_rng(seed)
    strongest, threshold = _lagged(white, most, level, smallest, draws, random)
    across, pair = 0, (0, 0)
    if number > 1:
        seen = np.argwhere(np.abs(strongest) >= threshold)
        if len(seen):
            cause, effect, across = (int(one) for one in seen[seen[:, 2].argmax()])
            pair = cause, effect
    lag = max(1, across, own)
    value = float(strongest[*pair, across]) if across else 0.0
    reason = _reason(prepared, lag, across, own, pair, value, memories, threshold, most)
    return LongestLag(lag, reason, across, own, threshold)


def _reason(prepared: Prepared, lag: int, across: int, own: int, pair: tuple[int, int], value: float,
            memories: list[int], threshold: float, most: int) -> str:
    step, series = prepared.step, prepared.series
    told = f"Lags up to {lag} steps of {step}: "
    if across:
        told += (f"the longest link seen is {series[pair[0]]} -> {series[pair[1]]} at {across} "
                 f"(correlation {value:+.2f} of whitened series, chance reaches {threshold:.2f})")
    else:
        told += f"no lagged correlation between whitened series reaches {threshold:.2f}"
    if own > across:
        told += f"; {series[memories.index(own)]} remembers itself over {own} steps, which must be conditioned on"
    if lag >= most:
        told += f"; this is the largest lag looked at, so longer ones may matter (raise most above {most})"
    return told + "."


def _whitened(column: np.ndarray, most: int, level: float, smallest: float) -> tuple[np.ndarray, int]:
    """What a series' own past leaves over, of unit variance (NaN at gaps), and how far its memory reaches."""
    seen = np.isfinite(column)
    filled = np.where(seen, column - column[seen].mean(), 0.0)
    counts = np.array([np.count_nonzero(seen[lag:] & seen[:len(seen) - lag]) for lag in range(most + 1)])
    covariance = np.array([filled[lag:] @ filled[:len(filled) - lag] for lag in range(most + 1)])
    covariance /= np.maximum(counts, 1)
    if covariance[0] <= 0:
        return np.full(len(column), np.nan), 0
    samples = int(seen.sum())
    best, order, weights, memory = np.log(covariance[0]), 0, np.empty(0), 0
    limit = max(float(norm.isf(level / (2 * most))) / np.sqrt(samples), smallest)
    for tried in range(1, most + 1):
        found = solve_toeplitz(covariance[:tried] + 1e-9 * covariance[0] * (np.arange(tried) == 0),
                               covariance[1:tried + 1])
        if abs(found[-1]) >= limit:  # the last weight is the partial autocorrelation
            memory = tried
        left = covariance[0] - found @ covariance[1:tried + 1]
        score = np.log(max(left, 1e-12 * covariance[0])) + 2 * tried / samples
        if score < best:
            best, order, weights = score, tried, found
    rest = np.where(seen, filled, np.nan)
    for lag in range(1, order + 1):
        rest[lag:] -= weights[lag - 1] * np.where(seen, filled, np.nan)[:-lag]
    rest[:order] = np.nan
    spread = np.nanstd(rest) if np.isfinite(rest).any() else 0.0
    return (rest - np.nanmean(rest)) / spread if spread > 0 else rest, memory


def _lagged(white: np.ndarray, most: int, level: float, smallest: float, draws: int,
            random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Correlations (cause, effect, lag) of whitened series, and the threshold of their largest.

    Around a circle, so that correlations at far shifts, where nothing can be linked, are draws of chance.
    """
    steps, number = white.shape
    seen = np.isfinite(white)
    spectra = np.fft.rfft(np.where(seen, white, 0.0), axis=0)
    masks = np.fft.rfft(seen.astype(float), axis=0)
    found, largest = np.zeros((number, number, most + 1)), np.zeros(draws)
    for cause in range(number):
        sums = np.fft.irfft(np.conj(spectra[:, [cause]]) * spectra, steps, axis=0)
        counts = np.fft.irfft(np.conj(masks[:, [cause]]) * masks, steps, axis=0)
        circle = sums / np.maximum(counts.round(), 30.0)  # (shift, effect)
        found[cause] = circle[:most + 1].T
        for effect in range(number):
            if effect != cause:
                starts = random.integers(2 * most, steps - 2 * most, size=draws)
                window = np.abs(circle[(starts[:, None] + np.arange(most + 1)) % steps, effect])
                largest = np.maximum(largest, window.max(axis=1))
    found[range(number), range(number)] = 0.0
    found[:, :, 0] = 0.0
    return found, max(float(np.quantile(largest, 1 - level)), smallest)
