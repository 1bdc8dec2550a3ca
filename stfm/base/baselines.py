"""Closed-form readings of a window: what a careful person would try first, before any learning.

The network does not have to invent persistence, seasons or regression to the mean; it learns, on simulated worlds,
which of these readings to trust where, and what to add to them. Nothing here looks beyond the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.stats.calendar import seasons
from terracast.stfm.base.seasons import smoothing

NAMES = ("last value", "mean", "season before", "profile + last season's level", "profile", "profile + persistence",
         "profile + level", "profile + regression", "long season before")
STATISTICS = 9
SCALES = (1, 3, 8)  # steps; the regression also reads means over one and four short seasons
FEATURES = len(SCALES) + 3
TOLD = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)  # leads regressed on; between them coefficients are interpolated
POOLED = 0.5  # weight of the network's mean regression against a node's own
RIDGE = 0.02
AT_ONCE = 256  # series read together, for memory


@dataclass(frozen=True)
class BaselineForecasts:
    """Of S series: ``values`` (S, reading, lead), ``available`` (S, reading), ``spread`` (S, lead): the standard
    deviation that persistence leaves, ``statistics`` (S, STATISTICS), ``rest`` (S, time): the window less its
    season, NaN where not known."""

    values: np.ndarray
    available: np.ndarray
    spread: np.ndarray
    statistics: np.ndarray
    rest: np.ndarray


def read(window: np.ndarray, horizon: int, step: np.timedelta64, neighbours: np.ndarray,
         near: np.ndarray) -> BaselineForecasts:
    """Read ``window`` (node, time), NaN where not known, its last column the issue time.

    ``neighbours``, ``near``: (node, k) as in ``Places``. O(node × time × log time). A node of which nothing is
    known reads 0 (windows come in units of the node) with a spread of 1.

    >>> wave = np.sin(np.arange(240) * 2 * np.pi / 24)[None].astype("float32")
    >>> nobody = np.zeros((1, 1), int), np.zeros((1, 1), bool)
    >>> found = read(wave, 24, np.timedelta64(1, "h"), *nobody)
    >>> bool(np.abs(found.values[0, NAMES.index("profile")] - wave[0, :24]).max() < 0.1)
    True
    """
    known = np.isfinite(window)
    seasonal = [_season(window[start:start + AT_ONCE], known[start:start + AT_ONCE], horizon, step)
                for start in range(0, len(window), AT_ONCE)]
    short, whole, shares, ahead_short, ahead = (np.concatenate(part) for part in zip(*seasonal, strict=True))
    rest = np.where(known, window - whole, np.nan)
    last, age = _last(rest)
    correlation = _correlation(rest, horizon + 64)
    lags = np.minimum(np.arange(1, horizon + 1) + age[:, None], correlation.shape[1] - 1)
    persistence = np.take_along_axis(correlation, lags, axis=1)
    span = seasons(step)[0] or 24
    moving = _moving_means(rest, span)
    regressed = _regression(moving, rest, neighbours, near, horizon)
    level = moving[:, :, -2][:, -1:]
    overall = np.where(known.any(1), _mean(window, 1), 0.0)[:, None]
    before, has_before = _season_before(window, seasons(step)[0], horizon)
    long_before, has_long = _season_before(window, seasons(step)[1], horizon)
    newest, _ = _last(window)
    shift = _tail_mean(np.where(known, window - short, np.nan), span)
    flat = np.ones((1, horizon), "float32")
    values = np.stack([newest[:, None] * flat, overall * flat, before, ahead_short + shift[:, None], ahead,
                       ahead + persistence * last[:, None], ahead + level, ahead + regressed, long_before], axis=1)
    available = np.ones(values.shape[:2], bool)
    available[:, 2], available[:, 8] = has_before, has_long
    spread, deviation = _spread(rest, persistence)
    statistics = np.stack([known.mean(1), shares[:, 0], shares[:, 1], correlation[:, 1],
                           correlation[:, min(span, correlation.shape[1] - 1)], np.log1p(age) / 4,
                           deviation, shift / (deviation + 0.1), level[:, 0] / (deviation + 0.1)], axis=1)
    return BaselineForecasts(values.astype("float32"), available, spread.astype("float32"),
                             statistics.clip(-5, 5).astype("float32"), rest.astype("float32"))


def _season(window: np.ndarray, known: np.ndarray, horizon: int,
            step: np.timedelta64) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Short profile and whole season along the window, the shares of variance they explain, and both ahead.

    The long season is what repeats in the rest after the short one, shrunk by K / (K + 2) for K repetitions."""
    length = window.shape[1]
    short_season, long_season = seasons(step)
    base = np.where(known.any(1), _mean(window, 1), 0.0)[:, None]
    centred = window - base
    short, short_ahead, share = _profile(centred, short_season, horizon, step, 0.5)
    long, long_ahead, long_share = _profile(centred - short, long_season, horizon, step, 2.0)
    shape = (len(window), length)
    return (np.broadcast_to(base + short, shape), np.broadcast_to(base + short + long, shape),
            np.stack([share, long_share], axis=1), np.broadcast_to(base + short_ahead, (len(window), horizon)),
            np.broadcast_to(base + short_ahead + long_ahead, (len(window), horizon)))


def _profile(values: np.ndarray, season: int, horizon: int, step: np.timedelta64,
             doubt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over repetitions of each phase, along the window and ahead, and its share of the variance.

    Recent repetitions count more (half after eight); a phase is shrunk by n / (n + ``doubt``), n its repetitions."""
    count, length = values.shape
    nothing = np.zeros((count, 1), "float32"), np.zeros((count, 1), "float32"), np.zeros(count, "float32")
    repetitions = length // season if season else 0
    if not repetitions:
        return nothing
    part = values[:, length - repetitions * season:].reshape(count, repetitions, season)
    seen = np.isfinite(part)
    age = np.arange(repetitions - 1, -1, -1)
    weight = seen * (0.5 ** (age / 8))[None, :, None]
    total = weight.sum(1)
    sums = np.where(seen, part, 0.0)
    sums = (sums * weight).sum(1)
    wide = min(smoothing(season, step), season // 2 | 1)
    if wide > 1:
        sums, total = _smoothed(sums, wide), _smoothed(total, wide)
    profile = (sums / (total + doubt)).astype("float32")
    phases = (np.arange(length) - length) % season
    along = profile[:, phases]
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.nan_to_num(_mean(np.square(values), 1))
        left = np.nan_to_num(_mean(np.square(values - along), 1))
    share = np.clip(1 - left / np.maximum(variance, 1e-9), 0, 1)
    return along, profile[:, np.arange(horizon) % season], share


def _smoothed(values: np.ndarray, wide: int) -> np.ndarray:
    """Circular moving mean."""
    around = np.concatenate([values[:, -(wide // 2):], values, values[:, :wide // 2]], axis=1)
    return np.lib.stride_tricks.sliding_window_view(around, wide, axis=1).mean(2)


def _season_before(window: np.ndarray, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """The newest known value of the same phase, at most three seasons back; whether there is one for most leads."""
    count, length = window.shape
    found = np.full((count, horizon), np.nan, "float32")
    for back in range(3):
        start = length - (back + 1) * season
        if not season or start < 0:
            break
        candidate = window[:, start + np.arange(horizon) % season]
        found = np.where(np.isfinite(found), found, candidate)
    known = np.isfinite(found)
    enough = known.mean(1) > 0.5
    return np.where(known, found, np.nan_to_num(_mean(found, 1))[:, None]), enough


def _last(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newest known value of each row (0 where none) and its age in steps."""
    known = np.isfinite(values)
    length = values.shape[1]
    age = np.where(known.any(1), known[:, ::-1].argmax(1), length - 1)
    value = values[np.arange(len(values)), length - 1 - age]
    return np.nan_to_num(value), age


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is known; 0 where nothing is."""
    known = np.isfinite(values)
    found: np.ndarray = np.where(known, values, 0.0).sum(axis) / np.maximum(known.sum(axis), 1)
    return found


def _tail_mean(values: np.ndarray, steps: int) -> np.ndarray:
    return _mean(values[:, -steps:], 1)


def _correlation(rest: np.ndarray, longest: int) -> np.ndarray:
    """Autocorrelation (S, longest + 1) from pairs of known values, shrunk where there are few, by FFT."""
    found = []
    for start in range(0, len(rest), AT_ONCE):
        part = rest[start:start + AT_ONCE]
        known = np.isfinite(part)
        size = 1 << int(np.ceil(np.log2(part.shape[1] + longest + 1)))
        level = _mean(part, 1)[:, None]
        power = np.abs(np.fft.rfft(np.where(known, part - level, 0.0), size)) ** 2
        pairs = np.abs(np.fft.rfft(known.astype("float32"), size)) ** 2
        product = np.fft.irfft(power, size)[:, :longest + 1]
        count = np.fft.irfft(pairs, size)[:, :longest + 1].round()
        variance = product[:, :1] / np.maximum(count[:, :1], 1)
        raw = product / np.maximum(count, 1) / np.maximum(variance, 1e-9)
        found.append((raw * count / (count + 10)).clip(-0.95, 0.999).astype("float32"))
    return np.concatenate(found)


def _moving_means(rest: np.ndarray, span: int) -> np.ndarray:
    """Causal means of the rest over each of SCALES, one and four seasons, shape (S, time, scale), finite.

    Where a short span holds nothing known, the next longer stands in; where the longest holds nothing, 0."""
    known = np.isfinite(rest)
    sums = np.cumsum(np.where(known, rest, 0.0), axis=1, dtype="float64")
    counts = np.cumsum(known, axis=1)
    found = np.zeros((*rest.shape, len(SCALES) + 2), "float32")
    broader = np.zeros(rest.shape)
    widths = (*SCALES, span, 4 * span)
    for place in range(len(widths) - 1, -1, -1):
        wide = min(widths[place], rest.shape[1])
        count, total = counts.copy(), sums.copy()
        count[:, wide:] -= counts[:, :-wide]
        total[:, wide:] -= sums[:, :-wide]
        broader = np.where(count > 0, total / np.maximum(count, 1), broader)
        found[:, :, place] = broader
    return found


def _regression(moving: np.ndarray, rest: np.ndarray, neighbours: np.ndarray, near: np.ndarray,
                horizon: int) -> np.ndarray:
    """The rest ahead (S, horizon), from a direct ridge regression for each lead on the moving means of the node and
    the last rest of its neighbours; each node's normal equations lean on the mean of the network's."""
    count, length, _ = moving.shape
    told = [lead for lead in TOLD if lead <= max(horizon, 1) and 2 * lead < length]
    if not told:
        return np.zeros((count, horizon), "float32")
    inputs = length - told[-1]
    gram = np.empty((count, FEATURES, FEATURES))
    products = np.empty((count, FEATURES, len(told)))
    newest = np.empty((count, FEATURES))
    for start in range(0, count, AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        around = (moving[neighbours[rows], :, 0] * near[rows, :, None]).sum(1)
        around /= np.maximum(near[rows].sum(1), 1)[:, None]
        features = np.concatenate([moving[rows], around[:, :, None]], axis=2)
        targets = np.where(np.isfinite(rest[rows]), rest[rows], moving[rows, :, len(SCALES) - 1])
        usable = np.isfinite(rest[rows]).cumsum(1) > 0  # from a series' first value on
        weighed = features[:, :inputs] * usable[:, :inputs, None]
        transposed = np.ascontiguousarray(weighed.transpose(0, 2, 1))
        gram[rows] = transposed @ weighed
        ahead = np.stack([targets[:, lead:lead + inputs] for lead in told], axis=2)
        products[rows] = transposed @ ahead
        newest[rows] = features[:, -1]
    gram = gram + POOLED * gram.mean(0)
    products = products + POOLED * products.mean(0)
    scale = np.trace(gram, axis1=1, axis2=2) / FEATURES
    gram += (RIDGE * scale + 1e-6)[:, None, None] * np.eye(FEATURES)
    told_values = np.einsum("sf,sfl->sl", newest, np.linalg.solve(gram, products))
    leads = np.arange(1, horizon + 1)
    right = np.clip(np.searchsorted(told, leads), 1, max(1, len(told) - 1)) if len(told) > 1 else np.zeros(horizon, int)
    if len(told) == 1:
        return np.repeat(told_values, horizon, axis=1).astype("float32")
    left = np.array(told)[right - 1]
    share = np.clip((leads - left) / (np.array(told)[right] - left), 0, 1)
    values: np.ndarray = told_values[:, right - 1] * (1 - share) + told_values[:, right] * share
    return values.astype("float32")


def _spread(rest: np.ndarray, persistence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What persistence leaves of the rest's standard deviation at each lead, and that deviation (1 where unknown)."""
    deviation = np.sqrt(_mean(np.square(rest - _mean(rest, 1)[:, None]), 1))
    known = np.isfinite(rest).sum(1)
    deviation = np.where(known >= 8, deviation, np.maximum(deviation, 1.0))
    spread = deviation[:, None] * np.sqrt(np.maximum(1 - np.square(persistence), 0.01))
    return np.maximum(spread, 0.003), deviation
