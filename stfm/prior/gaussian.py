"""Gaussian processes: sums and products of seasonal, smooth, rough and trend kernels, alike at near nodes.

The idea is that of kernel composition (Duvenaud et al. 2013) as used to make training series for single-series
forecasters (KernelSynth: Ansari et al. 2024, Chronos), here for panels: a kernel in time times one in space, with
delays between nodes as of a wave that travels. Samples are exact by circulant embedding (Davies and Harte 1987):
O(node · time · log time).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from terracast.stfm.prior.clock import DAY, WEEK, YEAR, WorldClock
from terracast.stfm.prior.noise import bursts, jumps, log_uniform, memory_of, white
from terracast.stfm.prior.places import Places
from terracast.stfm.prior.world import Draft, WorldSeries, chosen_drivers, driver


def gaussian(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """A panel of one to five components; a component may be seen earlier, as a driver.

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(0)
    >>> gaussian(rng, draw_clock(rng, 64), draw_places(rng, 4)).target.values.shape[0]
    64
    """
    parts = [_component(rng, clock, places) for _ in range(int(rng.integers(1, 5)))]
    season = _seasons(rng, clock, places)
    values, candidates = season, []
    for number, part in enumerate(parts):
        lead = int(rng.integers(0, min(25, clock.steps // 8) + 1))
        size = log_uniform(rng, 0.1, 1.5)
        # The component is made longer than the panel, so that the target can follow what the driver already shows.
        values = values + size * part[:clock.steps]
        seen = part[lead:lead + clock.steps]
        noise = log_uniform(rng, 0.01, 1.0) * white(rng, clock.steps, np.eye(places.count))
        candidates.append(driver(f"signal_{number}", seen + noise, rng, lag=lead))
    values = values * _amplitude(rng, clock, places)
    noisy = white(rng, clock.steps, places.mixing(rng), tail=None if rng.random() < 0.7 else rng.uniform(2.5, 8.0))
    values = values + log_uniform(rng, 0.01, 1.5) * noisy * _amplitude(rng, clock, places)
    values = values + _trend(rng, clock, places.count)
    drivers = chosen_drivers(rng, candidates) if rng.random() < 0.5 else ()
    graph = places.nearest_graph(3) if rng.random() < 0.3 else None
    return Draft(clock, places, (WorldSeries("signal", values), *drivers), "signal", graph=graph)


def sampled(rng: np.random.Generator, kernel: np.ndarray, mixing: np.ndarray, delays: np.ndarray | None = None,
            ) -> np.ndarray:
    """Gaussian noise whose covariance at lag k steps is ``kernel[k]`` (L + 1 lags) and in space mixing · mixingᵀ.

    Returns (L, node); ``delays`` (steps, one a node) shift nodes against each other. Eigenvalues of the circulant
    that come out negative are cut at 0, which changes the covariance slightly for kernels that do not die away.

    >>> sampled(np.random.default_rng(0), np.exp(-np.arange(9) / 3.0), np.eye(2)).shape
    (8, 2)
    """
    length = 2 * (len(kernel) - 1)
    eigenvalues = np.maximum(np.fft.rfft(np.concatenate([kernel, kernel[-2:0:-1]])).real, 0.0)
    # Cutting adds variance: bring it back to what the kernel says.
    whole = eigenvalues[0] + eigenvalues[-1] + 2 * eigenvalues[1:-1].sum()
    eigenvalues *= kernel[0] * length / max(whole, 1e-12)
    spectrum = np.fft.rfft(rng.standard_normal((length, len(mixing))), axis=0)
    spectrum = np.einsum("fn,mn->fm", spectrum * np.sqrt(eigenvalues)[:, None], mixing)
    if delays is not None:
        turns = np.arange(len(spectrum))[:, None] / length * delays
        spectrum = spectrum * np.exp(-2j * np.pi * turns)
    return np.asarray(np.fft.irfft(spectrum, length, axis=0)[:len(kernel) - 1])


def matern(lags: np.ndarray, memory: float, smooth: int) -> np.ndarray:
    """Matérn correlation with smoothness ½, 3/2, 5/2 or ∞ (``smooth`` 0 … 3).

    >>> matern(np.array([0.0, 1.0]), 1.0, 0).round(3).tolist()
    [1.0, 0.368]
    """
    scaled = lags / memory
    if smooth == 0:
        return np.asarray(np.exp(-scaled))
    if smooth == 1:
        return np.asarray((1 + np.sqrt(3) * scaled) * np.exp(-np.sqrt(3) * scaled))
    if smooth == 2:
        return np.asarray((1 + np.sqrt(5) * scaled + 5 / 3 * scaled**2) * np.exp(-np.sqrt(5) * scaled))
    return np.asarray(np.exp(-0.5 * scaled**2))


def periodic(lags: np.ndarray, period: float, width: float) -> np.ndarray:
    """The periodic kernel (MacKay 1998): the smaller ``width``, the sharper the shape within a period.

    >>> periodic(np.array([0.0, 12.0]), 12.0, 1.0).round(3).tolist()
    [1.0, 1.0]
    """
    return np.asarray(np.exp(-2 * np.sin(np.pi * lags / period) ** 2 / width**2))


def _component(rng: np.random.Generator, clock: WorldClock, places: Places) -> np.ndarray:
    """A process without calendar: smooth, rough, rational or with a cycle of its own; (≥ steps + 25, node)."""
    lags = np.arange(clock.steps + 26, dtype=float)
    kind = rng.random()
    memory = memory_of(rng, clock.steps)
    if kind < 0.35:
        kernel = matern(lags, memory, 0)
    elif kind < 0.6:
        kernel = matern(lags, memory, int(rng.integers(1, 4)))
    elif kind < 0.75:
        mixture = log_uniform(rng, 0.1, 2.0)
        kernel = (1 + lags**2 / (2 * mixture * memory**2)) ** -mixture
    else:
        period = log_uniform(rng, 4.0, clock.steps / 2)
        lasting = matern(lags, period * log_uniform(rng, 0.7, 30.0), int(rng.integers(0, 3)))
        kernel = lasting * (np.cos(2 * np.pi * lags / period) if rng.random() < 0.5
                            else periodic(lags, period, log_uniform(rng, 0.4, 2.0)))
    if rng.random() < 0.3:
        kernel = kernel * matern(lags, memory_of(rng, clock.steps), 3)
    delays = None
    if rng.random() < 0.35:  # a wave that passes over the nodes
        heading = rng.standard_normal(2)
        along = places.xy @ heading / np.linalg.norm(heading) / places.size
        delays = along * log_uniform(rng, 0.2, 12.0)
    return sampled(rng, kernel, places.mixing(rng), delays)


def _seasons(rng: np.random.Generator, clock: WorldClock, places: Places) -> np.ndarray:
    """Day, week and year as far as the step shows them, each a periodic kernel that may change its shape slowly."""
    total = np.zeros((clock.steps, places.count))
    lags = np.arange(clock.steps + 1, dtype=float)
    for period, chance in ((DAY, 0.8), (WEEK, 0.4), (YEAR, 0.7)):
        if not clock.has(period) or rng.random() > chance or clock.span < 0.3 * period:
            continue
        length = period / clock.step
        kernel = periodic(lags, length, log_uniform(rng, 0.3, 2.5))
        if rng.random() < 0.7:
            kernel = kernel * matern(lags, length * log_uniform(rng, 2.0, 100.0), 2)
        size = log_uniform(rng, 0.1, 2.0)
        total += size * sampled(rng, kernel, places.mixing(rng, own=float(rng.beta(0.5, 4.0))))
    return total


def _amplitude(rng: np.random.Generator, clock: WorldClock, places: Places) -> np.ndarray:
    """1 in half of worlds; else a size that changes over time."""
    if rng.random() < 0.5:
        return np.ones((1, 1))
    memory = log_uniform(rng, 5.0, clock.steps)
    return bursts(rng, clock.steps, places.mixing(rng), memory, rng.uniform(0.1, 0.8))


def _trend(rng: np.random.Generator, clock: WorldClock, nodes: int) -> np.ndarray:
    """Straight, bent or saturating trends, changes of slope, and jumps; often none."""
    time = np.linspace(0, 1, clock.steps)[:, None]
    slope = rng.standard_normal() + 0.3 * rng.standard_normal(nodes)
    total = np.zeros((clock.steps, nodes))
    kind = rng.random()
    if kind < 0.15:
        total += slope * log_uniform(rng, 0.1, 6.0) * time
    elif kind < 0.25:
        total += slope * log_uniform(rng, 0.1, 6.0) * expit((time - rng.random()) * log_uniform(rng, 3.0, 60.0))
    elif kind < 0.4:
        for knot in rng.random(int(rng.integers(1, 5))):
            total += 4 * rng.standard_normal() * slope * np.maximum(time - knot, 0.0)
    if rng.random() < 0.2:
        total += log_uniform(rng, 0.3, 3.0) * jumps(rng, clock.steps, nodes, expected=3.0)
    return total


def two_regimes(rng: np.random.Generator, clock: WorldClock, places: Places) -> Draft:
    """A Gaussian panel that turns, slowly or at once, into another one (the change-point kernel).

    >>> from terracast.stfm.prior.clock import draw_clock
    >>> from terracast.stfm.prior.places import draw_places
    >>> rng = np.random.default_rng(3)
    >>> two_regimes(rng, draw_clock(rng, 64), draw_places(rng, 4)).domain
    'signal'
    """
    before, after = gaussian(rng, clock, places), gaussian(rng, clock, places)
    turned = expit((np.linspace(0, 1, clock.steps)[:, None] - rng.random()) * log_uniform(rng, 5.0, 2000.0))
    target = (1 - turned) * before.target.values + turned * after.target.values
    return replace(after, series=(replace(after.target, values=target), *after.series[1:]))
