"""What sensors and the people who keep them do to data: gaps, faults, rounding, limits.

All work on (time, node) arrays and return new ones; NaN = not observed. Each fault strikes a world with its own
probability, so that many worlds are whole and some are wrecks.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from terracast.stfm.prior.noise import log_uniform
from terracast.stfm.prior.world import Draft


def corrupted(rng: np.random.Generator, draft: Draft) -> Draft:
    """The draft with faults and gaps in its target and, more mildly, in its drivers.

    >>> from terracast.stfm.prior.clock import WorldClock
    >>> from terracast.stfm.prior.places import Places
    >>> from terracast.stfm.prior.world import WorldSeries
    >>> whole = Draft(WorldClock(0.0, 60.0, 64), Places(np.zeros((2, 2)), 0.0, 0.0),
    ...               (WorldSeries("a", np.ones((64, 2))),), "x")
    >>> corrupted(np.random.default_rng(1), whole).target.values.shape
    (64, 2)
    """
    series = []
    gaps = _gaps(rng, *draft.target.values.shape)
    for number, one in enumerate(draft.series):
        values = one.values
        if number == 0 or rng.random() < 0.3:
            values = _faulty(rng, values, draft.floor if number == 0 else None, draft.whole and number == 0)
        if number == 0:
            values = np.where(gaps, np.nan, values)
        elif rng.random() < 0.3:
            values = np.where(_gaps(rng, *values.shape), np.nan, values)
        series.append(replace(one, values=values))
    return replace(draft, series=tuple(series))


def _faulty(rng: np.random.Generator, values: np.ndarray, floor: float | None, whole: bool) -> np.ndarray:
    spread = values.std() + 1e-9
    if rng.random() < 0.12 and not whole:
        values = values + spread * log_uniform(rng, 0.01, 0.3) * rng.standard_normal(values.shape)
        values = values if floor is None else np.maximum(values, floor)
    if rng.random() < 0.1:
        values = spikes(rng, values, floor)
    if rng.random() < 0.06:
        values = stuck(rng, values)
    if rng.random() < 0.05 and not whole:
        values = recalibrated(rng, values)
    if rng.random() < 0.07:
        values = clipped(rng, values)
    if rng.random() < 0.25 and not whole:
        values = rounded(rng, values)
    return values


def _gaps(rng: np.random.Generator, steps: int, nodes: int) -> np.ndarray:
    """True where a value is lost: nothing in half of worlds, else any of drop-outs, outages, late starts."""
    lost = np.zeros((steps, nodes), dtype=bool)
    if rng.random() < 0.5:
        return lost
    if rng.random() < 0.6:
        lost |= rng.random((steps, nodes)) < log_uniform(rng, 0.001, 0.3) * rng.uniform(0, 2, nodes)
    if rng.random() < 0.6:
        lost |= outages(rng, steps, nodes, expected=log_uniform(rng, 0.3, 8.0), longest=steps / 6)
    if rng.random() < 0.15:  # the network grows, or a node dies
        for node in np.flatnonzero(rng.random(nodes) < 0.4):
            at = int(rng.integers(1, max(2, steps * 2 // 3)))
            lost[:at, node] = True
    if rng.random() < 0.1:  # one in several steps reported only
        every = int(rng.integers(2, 7))
        lost[:, rng.random(nodes) < 0.7] |= (np.arange(steps) % every != 0)[:, None]
    return lost


def outages(rng: np.random.Generator, steps: int, nodes: int, expected: float, longest: float) -> np.ndarray:
    """Blocks of silence, log-uniform in length, of one node or of all.

    >>> outages(np.random.default_rng(0), 100, 2, expected=5.0, longest=10.0).any()
    np.True_
    """
    lost = np.zeros((steps, nodes), dtype=bool)
    for _ in range(min(int(rng.poisson(expected)), 30)):
        begin, length = int(rng.integers(steps)), max(1, round(log_uniform(rng, 1.0, max(longest, 1.5))))
        who = slice(None) if rng.random() < 0.3 else int(rng.integers(nodes))
        lost[begin:begin + length, who] = True
    return lost


def spikes(rng: np.random.Generator, values: np.ndarray, floor: float | None) -> np.ndarray:
    """Single values far off, of either sign, or drop-outs recorded as the floor."""
    struck = rng.random(values.shape) < log_uniform(rng, 0.0005, 0.02)
    if floor is not None and rng.random() < 0.5:
        return np.asarray(np.where(struck, floor, values))
    size = log_uniform(rng, 2.0, 12.0) * values.std() * rng.standard_t(3, values.shape)
    thrown = np.where(struck, values + size, values)
    return thrown if floor is None else np.maximum(thrown, floor)


def stuck(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """A node repeats one value for a while."""
    held = values.copy()
    for _ in range(int(rng.integers(1, 4))):
        node, begin = int(rng.integers(values.shape[1])), int(rng.integers(len(values)))
        length = round(log_uniform(rng, 3.0, max(4.0, len(values) / 8)))
        held[begin:begin + length, node] = held[begin, node]
    return held


def recalibrated(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """From some day on a node reads with another offset or gain, or creeps away from the truth."""
    node, begin = int(rng.integers(values.shape[1])), int(rng.integers(len(values)))
    changed = values.copy()
    after = changed[begin:, node]
    kind = rng.random()
    if kind < 0.4:
        changed[begin:, node] = after + values.std() * rng.standard_normal()
    elif kind < 0.7:
        changed[begin:, node] = after * np.exp(0.3 * rng.standard_normal())
    else:
        changed[begin:, node] = after + values.std() * rng.standard_normal() * np.linspace(0, 2, len(after))
    return changed


def clipped(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """The instrument's range ends inside what happens, above, below or both."""
    low, high = np.quantile(values, [rng.uniform(0, 0.15), 1 - rng.uniform(0, 0.15)])
    side = rng.random()
    return np.asarray(np.clip(values, low if side < 0.6 else None, high if side > 0.3 else None))


def rounded(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Reported in whole steps of a resolution: 2 to 2000 steps within the usual range.

    >>> rounded(np.random.default_rng(0), np.array([[0.0], [0.31], [1.0]])).shape
    (3, 1)
    """
    low, high = np.quantile(values, [0.02, 0.98])
    resolution = (high - low) / log_uniform(rng, 4.0, 2000.0)
    return values if resolution <= 0 else np.asarray(np.round(values / resolution) * resolution)
