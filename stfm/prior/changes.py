"""The same world as other people would have recorded it: other units, another step, another scale of measurement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from terracast.stfm.prior.clock import WorldClock
from terracast.stfm.prior.noise import log_uniform
from terracast.stfm.prior.world import Draft, WorldSeries

# Steps that may come from a finer one, and how many of the finer make one.
FACTORS_OF = {3600.0: (2, 4), 21_600.0: (2, 6), 86_400.0: (4, 8), 300.0: (5,), 900.0: (3,), 604_800.0: (7,)}


def coarser(rng: np.random.Generator, draft: Draft, factor: int) -> Draft:
    """The draft at a step ``factor`` times as long: means of what lies in a step, sums of counts, or every n-th value.

    A lag is carried over where it still is a whole number of steps, else forgotten.
    """
    clock = draft.clock
    steps = clock.steps // factor
    mean = rng.random() < 0.7
    longer = WorldClock(clock.start, clock.step * factor, steps, clock.zone)

    def pressed(values: np.ndarray, summed: bool) -> np.ndarray:
        blocks = values[:steps * factor].reshape(steps, factor, *values.shape[1:])
        return np.asarray(blocks.sum(1) if summed else blocks.mean(1) if mean else blocks[:, 0])

    series = tuple(replace(one, values=pressed(one.values, draft.whole and number == 0),
                           lag=None if one.lag is None or one.lag % factor else one.lag // factor)
                   for number, one in enumerate(draft.series))
    positions = None if draft.positions is None else pressed(draft.positions, False)
    return replace(draft, clock=longer, series=series, positions=positions)


def rescaled(rng: np.random.Generator, draft: Draft) -> Draft:
    """Sometimes another monotone scale of the target, sometimes other units; counts stay counts.

    >>> from terracast.stfm.prior.places import Places
    >>> whole = Draft(WorldClock(0.0, 60.0, 64), Places(np.zeros((1, 2)), 0.0, 0.0),
    ...               (WorldSeries("a", np.ones((64, 1))),), "x")
    >>> bool(np.isfinite(rescaled(np.random.default_rng(1), whole).target.values).all())
    True
    """
    if draft.whole:
        return draft
    values, floor = draft.target.values, draft.floor
    if rng.random() < (0.3 if draft.domain == "signal" else 0.08):
        values, floor = _bent(rng, values), None
    if rng.random() < 0.3:
        scale = log_uniform(rng, 1e-3, 1e4)
        offset = rng.normal(0, 3) * values.std() if rng.random() < 0.5 else 0.0
        values, floor = scale * (values + offset), None if floor is None else scale * (floor + offset)
        if rng.random() < 0.4:  # nodes of unlike size
            sizes = np.exp(rng.uniform(0.2, 1.5) * rng.standard_normal(values.shape[1]))
            values, floor = values * sizes, None if floor != 0.0 else floor
    series: tuple[WorldSeries, ...] = (replace(draft.target, values=values), *draft.series[1:])
    return replace(draft, series=series, floor=floor)


def _bent(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """A monotone transform of the standardised values: exponential, power, saturating, thresholded, stretched."""
    z = (values - values.mean(0)) / (values.std(0) + 1e-9)
    kind = rng.random()
    if kind < 0.4:
        return np.asarray(np.exp(np.clip(rng.uniform(0.2, 1.3) * z, -8.0, 8.0)))
    if kind < 0.55:
        return np.asarray(np.tanh(rng.uniform(0.5, 1.5) * z))
    if kind < 0.75:
        return np.asarray(np.maximum(z - rng.uniform(-1.5, 0.7), 0.0) ** rng.uniform(0.8, 2.0))
    return np.asarray(np.sign(z) * np.abs(z) ** rng.uniform(0.6, 1.8))
