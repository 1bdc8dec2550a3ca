"""How sure: a test martingale on days, and what an operator may conclude from several of them at once.

*Assumption*, written down because nothing is free of one: given all earlier blocks, a block of a stream in which
nothing changed is more extreme than the share a of its reference with probability a at most, for every a. Blocks of a
day or more are near to that where single hours are not (neighbouring hours repeat each other); the tests measure by
simulation what remains of the guarantee when days depend on each other too: little, if they do so strongly, which is
why alarms come from thresholds calibrated on the stream itself and the e-value only says how sure they are.

Under it the e-value of each start is a non-negative martingale of mean 1, and their sum over all starts (the
Shiryaev-Roberts e-detector) raises a false alarm no more often than once in ``1 / a`` blocks on average when its limit
is 1 / a (Shin, Ramdas and Rinaldo 2024, E-detectors). Several streams are told apart at a false discovery rate by e-BH,
under any dependence between them (Wang and Ramdas 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt.monitoring.window_scan import differences

POWER = 0.4  # of the bet: small values of p are bet on, E[POWER × p^(POWER - 1)] = 1 for uniform p
LARGEST = 1e12  # more says nothing more
BELIEVED = 1000.0  # of what is told to people
LATEST = 28  # blocks
QUANTILES = 256


@dataclass
class EDetector:
    """One e-detector a stream, fed a block at a time; the bets come from conformal p-values against a frozen reference.

    ``reference`` (block, stream): sizes in normal blocks, sorted; a block's p-value is (1 + how many of them are at
    least as large) / (1 + their number), so that it can never be too small for the reference it has.

    >>> draws = np.random.default_rng(0)
    >>> detector = EDetector.fit(np.abs(draws.normal(size=(300, 2))))
    >>> for block in np.abs(draws.normal(size=(20, 2))) + np.array([0.0, 2.0]):
    ...     values = detector.update(block)
    >>> bool(values[0] < 100), bool(values[1] > 1000)
    (True, True)
    """

    reference: np.ndarray
    counts: np.ndarray
    values: np.ndarray

    @classmethod
    def fit(cls, sizes: np.ndarray) -> EDetector:
        """From ``sizes`` (block, stream) of normal blocks, NaN left out; the larger, the stranger."""
        sizes = np.asarray(sizes, float)
        return cls(np.sort(sizes, axis=0), np.isfinite(sizes).sum(axis=0), np.zeros(sizes.shape[1]))

    def p_values(self, sizes: np.ndarray) -> np.ndarray:
        """Conformal p-values of one block (stream,); NaN where there is no evidence or no reference."""
        at_least = np.nansum(self.reference >= np.asarray(sizes, float), axis=0)
        known = np.isfinite(sizes) & (self.counts > 0)
        return np.where(known, (1 + at_least) / (1 + self.counts), np.nan)

    def update(self, sizes: np.ndarray) -> np.ndarray:
        """Take in one block (stream,) and return the e-detectors' values; a block without evidence changes nothing."""
        p = self.p_values(sizes)
        bets = POWER * np.where(np.isfinite(p), p, 1.0) ** (POWER - 1)
        self.values = np.where(np.isfinite(p), np.minimum((self.values + 1.0) * bets, LARGEST), self.values)
        return self.values.copy()

    def restart(self, streams: np.ndarray) -> None:
        """Begin anew at the streams of this mask, as after an alarm."""
        self.values = np.where(streams, 0.0, self.values)

    def state(self) -> dict[str, object]:
        """Reference and values."""
        return {"reference": self.reference.copy(), "counts": self.counts.copy(), "values": self.values.copy()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> EDetector:
        """What ``state`` described."""
        return cls(np.array(state["reference"], float), np.array(state["counts"], int),
                   np.array(state["values"], float))


def e_benjamini_hochberg(values: np.ndarray, rate: float) -> np.ndarray:
    """Which of the e-values (stream,) to believe so that at most the share ``rate`` of them is wrong on average.

    The k largest, for the largest k whose k-th is at least n / (k × rate), whatever depends on what.

    >>> e_benjamini_hochberg(np.array([90.0, 1.0, 45.0, 0.2]), 0.1).tolist()
    [True, False, True, False]
    """
    values = np.nan_to_num(np.asarray(values, float))
    order = np.argsort(-values, kind="stable")
    ranks = np.arange(1, len(values) + 1)
    enough = np.flatnonzero(values[order] * ranks * rate >= len(values))
    chosen = np.zeros(len(values), bool)
    chosen[order[:enough[-1] + 1 if len(enough) else 0]] = True
    return chosen


def in_words(value: float, streams: int = 1) -> str:
    """An e-value as a sentence: how often normal weeks look like this, counting that ``streams`` are watched.

    >>> in_words(500.0, streams=10)
    'a bet against normal weeks has grown 500-fold; over 10 streams normal weeks do so about once in 50 blocks'
    >>> in_words(1e9)
    'a bet against normal weeks has grown 1,000-fold or more; normal weeks do so about once in 1,000 blocks or more'
    >>> in_words(3.0)
    'no more than chance: a bet against normal weeks has grown 3-fold'
    """
    every = value / max(streams, 1)
    grown = "a bet against normal weeks has grown " + _at_most(value, "-fold")
    if every < 20:
        return f"no more than chance: {grown}"
    over = f"over {streams} streams " if streams > 1 else ""
    return f"{grown}; {over}normal weeks do so about once in {_at_most(every, ' blocks')}"


def _at_most(value: float, unit: str) -> str:
    """No assumption about normal weeks holds so well that more than a thousandfold could be believed."""
    return f"{value:,.0f}{unit}" if value <= BELIEVED else f"{BELIEVED:,.0f}{unit} or more"


@dataclass(frozen=True)
class Sureness:
    """E-detectors of many streams without a state of their own: what the last ``LATEST`` blocks are worth.

    ``scale`` (stream,): size of a normal block's difference from the weeks before; ``usual`` (kind, quantile): the
    quantiles of |difference| / scale of each kind of stream; ``blocks``: how many the reference had, which bounds the
    smallest p-value. Up and down are bet on separately, half of the stake each; differences are taken as symmetric.

    >>> draws = np.random.default_rng(0)
    >>> sure = Sureness.fit(draws.normal(size=(400, 2)), np.zeros(2, int))
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
    def fit(cls, streams: np.ndarray, kinds: np.ndarray) -> Sureness:
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

    def state(self) -> dict[str, object]:
        """What was frozen."""
        return {"scale": self.scale.copy(), "usual": self.usual.copy(), "kinds": self.kinds.copy(),
                "blocks": self.blocks}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Sureness:
        """What ``state`` described."""
        return cls(np.array(state["scale"], float), np.array(state["usual"], float), np.array(state["kinds"], int),
                   int(state["blocks"]))
