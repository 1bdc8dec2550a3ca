"""How sure: bets against normal blocks.

*Assumption*, written down because nothing is free of one: given all earlier blocks, a block of a stream in which
nothing changed is more extreme than the share a of its reference with probability a at most, for every a. Blocks of a
day or more are near to that where single hours are not (neighbouring hours repeat each other). Where days depend on
each other too, little remains of the guarantee: alarms come from thresholds that are calibrated on the stream itself,
and the e-value only says how sure they are.

Under it the e-value of each start is a non-negative martingale of mean 1, and their sum over the last ``LATEST`` starts
(the Shiryaev-Roberts e-detector) reaches a limit with a probability of ``LATEST`` / limit at most (Shin, Ramdas and
Rinaldo 2024, E-detectors).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terracast.adapt.monitoring.detection.glr_scan import differences
from terracast.streams.stateful import Stateful

POWER = 0.4  # of the bet: small values of p are bet on, E[POWER × p^(POWER - 1)] = 1 for uniform p
LARGEST = 1e12  # more says nothing more
LATEST = 28  # blocks
QUANTILES = 256


@dataclass(frozen=True)
class EValues(Stateful):
    """E-detectors of many streams without a state of their own: what the last ``LATEST`` blocks are worth.

    ``scale`` (stream,): size of a normal block's difference from the weeks before; ``usual`` (kind, quantile): the
    quantiles of |difference| / scale of each kind of stream; ``blocks``: how many the reference had, which bounds the
    smallest p-value. Up and down are bet on separately, half of the stake each; differences are taken as symmetric.

    >>> draws = np.random.default_rng(0)
    >>> sure = EValues.fit(draws.normal(size=(400, 2)), np.zeros(2, int))
    >>> later = draws.normal(size=(80, 2))
    >>> later[70:, 1] += 2.0
    >>> (sure.values(later) > 1000).tolist()
    [False, True]
    """

    scale: np.ndarray
    usual: np.ndarray
    kinds: np.ndarray
    blocks: int

    @classmethod
    def fit(cls, streams: np.ndarray, kinds: np.ndarray) -> EValues:
        """From ``streams`` (block, stream), all normal, of these ``kinds`` (stream,)."""
        moved = np.abs(differences(streams, 1))
        seen = np.isfinite(moved)
        scale = np.maximum(np.where(seen, moved, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1), 1e-9)
        levels = (np.arange(QUANTILES) + 1) / (QUANTILES + 1)
        usual = np.full((int(kinds.max()) + 1, QUANTILES), np.inf)
        for kind in range(len(usual)):
            sizes = (moved / scale)[:, kinds == kind]
            sizes = sizes[np.isfinite(sizes)]
            if len(sizes):
                usual[kind] = np.quantile(sizes, levels)
        return cls(scale, usual, kinds, int(seen.any(axis=1).sum()))

    def values(self, past: np.ndarray, streams: np.ndarray | None = None) -> np.ndarray:
        """E-detectors of ``streams`` (numbers; default all) at the end of ``past`` (block, stream); O(past)."""
        chosen = np.arange(len(self.scale)) if streams is None else np.asarray(streams, int)
        moved = differences(past[:, chosen], 1)[-LATEST:] / self.scale[chosen]
        sizes, below = np.abs(np.nan_to_num(moved)), np.zeros(moved.shape)
        for kind in np.unique(self.kinds[chosen]):
            of_kind = self.kinds[chosen] == kind
            below[:, of_kind] = np.searchsorted(self.usual[kind], sizes[:, of_kind])
        p = np.maximum(1.0 - below / (QUANTILES + 1), 1.0 / (1 + self.blocks)) / 2
        high = np.where(moved > 0, p, 1.0 - p)
        bets = [np.where(np.isfinite(moved), POWER * one ** (POWER - 1), 1.0) for one in (high, 1.0 - high)]
        up = down = np.zeros(len(chosen))
        for rises, falls in zip(*bets, strict=True):
            up, down = np.minimum((up + 1.0) * rises, LARGEST), np.minimum((down + 1.0) * falls, LARGEST)
        return np.asarray((up + down) / 2)
