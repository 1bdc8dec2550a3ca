"""Evidence of the input: is the context that the forecaster sees like any that the reference has seen?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from terracast.adapt.monitoring.statistics.reference_scale import CLIP, ReferenceScale
from terracast.streams.stateful import Stateful

OF_TARGET = ("level", "spread", "roughness", "daily swing", "share missing")
OF_DRIVER = ("level", "spread")
FLATTEST = 0.2  # of the usual scale of a feature: no node's is smaller
SHRINK = 0.3  # share of the covariance between features that is not believed
QUIET = 0.1  # added before the logarithm, deviations
FAR = 0.95  # a context is unlike the reference where this share of the reference's own lay nearer
TOLD = 1.5  # deviations from which a feature is named
MISSING, GAPPY = OF_TARGET.index("share missing"), 0.2  # of a window, more than usual there: a matter of the data
DAY = np.timedelta64(1, "D").astype("timedelta64[ns]").astype(np.int64)


@dataclass(frozen=True)
class Contexts:
    """Features (issue, feature, node) of the contexts that forecasts were made from; ``times`` (issue,): the first
    instant that each was about; ``variables``: the target, then the drivers."""

    times: np.ndarray
    features: np.ndarray
    variables: tuple[str, ...]

    def since(self, first: np.datetime64) -> Contexts:
        """Those from an instant on."""
        late = self.times >= first
        return Contexts(self.times[late], self.features[late], self.variables)


def features(panel: xr.Dataset, variables: tuple[str, ...]) -> np.ndarray:
    """Features (feature, node) of the window ``panel`` (time, node): of the target, the first of the ``variables``,
    level, spread, lag-one roughness, daily swing and share missing; of each other level and spread. NaN where nothing
    was seen. O(values).

    >>> wave = np.sin(np.arange(96) * np.pi / 12)[:, None] * [1.0, 3.0]
    >>> time = np.datetime64("2020-01-01", "ns") + np.arange(96) * np.timedelta64(1, "h")
    >>> panel = xr.Dataset({"x": (("time", "node"), wave)}, {"time": time, "node": ["a", "b"]})
    >>> (features(panel, ("x",))[3] ** 2).round(2).tolist()
    [1.0, 3.0]
    """
    clock = panel["time"].values.astype("datetime64[ns]").astype(np.int64)
    made: list[np.ndarray] = []
    for number, name in enumerate(variables):
        if name not in panel:  # a driver that is no longer used
            made += [np.full(panel.sizes["node"], np.nan)] * len(OF_DRIVER)
            continue
        values = panel[name].transpose("time", "node").values.astype(float)
        level = mean_seen(values)
        off = values - level
        power = mean_seen(off**2)
        made += [level, power**0.25]  # the root of the spread: its tail is long, and it may be none at all
        if number == 0:
            wave = np.exp(2j * np.pi * (clock % DAY) / DAY)[:, None]
            swing = 2 * np.hypot(mean_seen(off * wave.real), mean_seen(off * wave.imag))
            rough = mean_seen(np.diff(off, axis=0) ** 2) if len(off) > 1 else np.full(len(level), np.nan)
            made += [np.where(power > 0, rough / np.where(power > 0, power, 1.0), np.nan) ** 0.5, swing**0.5,
                     1.0 - np.isfinite(values).mean(axis=0)]
    return np.stack(made)


@dataclass(frozen=True)
class CovariateShift(Stateful):
    """The frozen reference of the context: ``location`` and ``scale`` (feature, node), robust, and ``whitening``
    (feature, feature), the root of the inverse of the features' shrunk covariance; ``known`` (feature,) bool: those
    that the reference saw and that are compared.

    The distance of a context is Mahalanobis' over the root of the number of features: about 1 in the reference. A
    context that misses much more than usual says nothing: an outage is a data ticket and no drift.
    """

    variables: tuple[str, ...]
    location: np.ndarray
    scale: np.ndarray
    whitening: np.ndarray
    known: np.ndarray

    kind = "input"

    @property
    def names(self) -> tuple[str, ...]:
        """What each feature is called."""
        return (*OF_TARGET, *(f"{feature} of {name}" for name in self.variables[1:] for feature in OF_DRIVER))

    @classmethod
    def fit(cls, means: np.ndarray, variables: tuple[str, ...]) -> CovariateShift:
        """From the blocks (block, feature, node) of a reference. O(values × feature)."""
        count = means.shape[1]
        location, scale = np.full(means.shape[1:], np.nan), np.ones(means.shape[1:])
        known = np.isfinite(means).any(axis=(0, 2))
        for number in np.flatnonzero(known):
            reference = ReferenceScale.fit(means[:, number], FLATTEST)
            location[number], scale[number] = reference.location, reference.scale
        known[MISSING], scale[MISSING] = False, 1.0
        z = np.nan_to_num(cls(variables, location, scale, np.eye(count), known).standardised(means))
        z = np.where(known[:, None], z, 0.0)
        covariance = np.einsum("bfn,bgn->fg", z, z) / (z.shape[0] * z.shape[2])
        variance = np.where(known, np.maximum(np.diag(covariance), FLATTEST**2), 1.0)
        shrunk = (1 - SHRINK) * covariance + SHRINK * np.diag(np.diag(covariance))
        np.fill_diagonal(shrunk, variance)
        return cls(variables, location, scale, np.linalg.inv(np.linalg.cholesky(shrunk)), known)

    @classmethod
    def crossed(cls, means: np.ndarray, variables: tuple[str, ...], folds: int = 5) -> np.ndarray:
        """Distances (block, node) of a reference's own blocks, each run of them from those of all others."""
        parts = np.array_split(np.arange(len(means)), min(folds, len(means)))
        return np.concatenate([(one := cls.fit(np.delete(means, part, axis=0), variables)).distances(
            one.standardised(means[part])) for part in parts])

    def standardised(self, means: np.ndarray) -> np.ndarray:
        """Features of blocks in deviations from the reference, clipped: (block, feature, node)."""
        return np.clip((means - self.location) / self.scale, -CLIP, CLIP)

    def distances(self, standardised: np.ndarray) -> np.ndarray:
        """The log of the distance of each context, (block, node); NaN where it misses much, or most features."""
        seen = np.isfinite(standardised) & self.known[:, None]
        judged = (2 * seen.sum(axis=1) >= self.known.sum()) & ~(standardised[:, MISSING] > GAPPY)
        white = np.einsum("fg,bgn->bfn", self.whitening, np.where(seen, standardised, 0.0))
        size = np.log(np.sqrt((white**2).sum(axis=1) / max(int(self.known.sum()), 1)) + QUIET)
        return np.where(judged, size, np.nan)

    def enough(self, size: int) -> int:
        """One context is enough for a block: the next one shares most of its window."""
        return 1

    def is_alarm(self, now: float, before: float, rank: float) -> bool:
        """Whether a context moved away to where the reference has hardly been; one that comes back is no news."""
        return now > before and rank >= FAR

    def status(self, standardised: np.ndarray, rank: float) -> str:
        """How things stand, change or not: how far off the context is, as a share of the reference."""
        like = "unlike" if rank >= FAR else "like"
        return f"the context is {like} the reference: it lies farther off than {_share(rank)} of it"

    def details(self, now: np.ndarray, before: np.ndarray, usual: np.ndarray, rank: float
                ) -> tuple[dict[str, object], str]:
        """What is unusual and the direction, from the features (feature,) of the window in deviations from the
        reference."""
        sizes = np.where(self.known, np.abs(np.nan_to_num(now)), 0.0)
        order = np.argsort(-sizes, kind="stable")
        named = [at for at in order[:2] if sizes[at] >= TOLD] or [int(order[0])]
        moved = [f"{self.names[at]} lies {sizes[at]:.1f} deviations {'above' if now[at] > 0 else 'below'} normal"
                 for at in named]
        return {"features": " and ".join(moved), "rank": rank}, "away"


def _share(rank: float) -> str:
    return "any" if rank >= 1 else f"{int(100 * rank)} %"


def mean_seen(values: np.ndarray, enough: int = 1) -> np.ndarray:
    """Mean over the first axis of what was seen; NaN where fewer than ``enough`` were."""
    seen = np.isfinite(values)
    count = seen.sum(axis=0)
    return np.where(count >= enough, np.where(seen, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
