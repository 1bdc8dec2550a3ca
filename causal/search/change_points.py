"""Where the links themselves change: a search over the whole span sees the mean of two regimes, which may be nothing.

A link that turns its sign halfway has no partial correlation over the whole. So the span is cut where one
autoregression does not fit both sides (Chow 1960, over all places: Andrews 1993), and each part is searched.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import stats

_STEPS = 40  # candidate places in a span
_EDGE = 0.15  # share of a span at each end in which no break is looked for


@dataclass(frozen=True)
class Break:
    """A step from which other links hold, the p-value (Bonferroni over places and series), and the share of the
    worst fitted series' unexplained variance that cutting there explains."""

    step: int
    p_value: float
    gain: float


def best_break(values: np.ndarray, lags: int = 2) -> Break | None:
    """The best place to cut ``values`` (time, series; standardised, NaN = gap), None for too few rows.

    Each series is regressed on ``lags`` steps of all; the F test asks whether the coefficients of both sides are
    equal. O(time x (series x lags)^2).

    >>> noise = np.random.default_rng(0).normal(size=(800, 2))
    >>> noise[1:, 1] += np.where(np.arange(799) < 400, 0.6, -0.6) * noise[:-1, 0]
    >>> found = best_break(noise)
    >>> found is not None and abs(found.step - 400) < 20 and found.p_value < 1e-9
    True
    """
    series = values.shape[1]
    design = np.concatenate([np.ones((len(values) - lags, 1)),
                             *[values[lags - lag:len(values) - lag, :] for lag in range(1, lags + 1)]], axis=1)
    effects = values[lags:]
    rows = np.flatnonzero(np.isfinite(design).all(axis=1) & np.isfinite(effects).all(axis=1))
    design, effects, width = design[rows], effects[rows], 1 + series * lags
    number = len(rows)
    if number < 6 * width:
        return None
    first = max(int(_EDGE * number), 2 * width)
    places = np.unique(np.linspace(first, number - first, _STEPS).astype(int))
    bounds = np.concatenate([[0], places, [number]])
    sums = [_sums(design[start:stop], effects[start:stop]) for start, stop in itertools.pairwise(bounds)]
    before, after = _running(sums), _running(sums[::-1])[::-1]
    whole = _unexplained(before[-1])
    free = number - 2 * width
    best: Break | None = None
    for place, left, right in zip(places, before[:-1], after[1:], strict=True):
        split = np.maximum(_unexplained(left) + _unexplained(right), 1e-300)
        ratio = (whole - split) / width / (split / free)
        p_value = min(1.0, float(stats.f.sf(ratio, width, free).min()) * series * len(places))
        gain = float((1 - split / free / (whole / (number - width))).max())
        if best is None or gain > best.gain:
            best = Break(int(rows[place]) + lags, p_value, gain)
    return best


def spans(values: np.ndarray, *, least: int, most: int = 4, alpha: float = 1e-6,
          gain: float = 0.05) -> tuple[tuple[int, int], ...]:
    """The parts (start, stop) of ``values`` in which one set of links holds, by cutting again and again.

    A cut must be significant at ``alpha``, explain a share ``gain`` of some series' rest (long series reject
    everything), and leave ``least`` steps on both sides; at most ``most`` parts.

    >>> spans(np.random.default_rng(1).normal(size=(600, 3)), least=100)
    ((0, 600),)
    """
    done: list[tuple[int, int]] = [(0, len(values))]
    barred: set[tuple[int, int]] = set()
    while len(done) < most:
        found = {part: best_break(values[slice(*part)]) for part in done if part not in barred}
        good = {part: one for part, one in found.items() if one is not None and one.p_value < alpha
                and one.gain >= gain and least <= one.step <= part[1] - part[0] - least}
        barred |= found.keys() - good.keys()
        if not good:
            break
        part = max(good, key=lambda key: good[key].gain)
        cut = part[0] + good[part].step
        done = sorted([*(one for one in done if one != part), (part[0], cut), (cut, part[1])])
    return tuple(done)


Sums = tuple[np.ndarray, np.ndarray, np.ndarray]


def _sums(design: np.ndarray, effects: np.ndarray) -> Sums:
    return design.T @ design, design.T @ effects, (effects**2).sum(axis=0)


def _running(sums: list[Sums]) -> list[Sums]:
    found = [sums[0]]
    for one in sums[1:]:
        last = found[-1]
        found.append((last[0] + one[0], last[1] + one[1], last[2] + one[2]))
    return found


def _unexplained(sums: Sums) -> np.ndarray:
    """Residual sums of squares, one per series."""
    gram, product, square = sums
    gram = gram + 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.asarray(square - (product * np.linalg.solve(gram, product)).sum(axis=0))
