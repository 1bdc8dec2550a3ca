"""Is one forecast better than another? Evidence that stays valid however often one looks: a betting e-process.

Robbins (1970) and Ville (1939): a gambler who cannot win on average in a fair game has once 1/alpha times the
stake with probability alpha at most. Bets on bounded means: Waudby-Smith and Ramdas (2023).
"""

from __future__ import annotations

import math

import numpy as np

from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

BETS = (0.1, 0.3, 0.9)  # share of the stake that a block may cost at most; the capital is spread over the three
BOUND = 3.0  # a block counts at most so many root mean squares of the blocks before it
WARM = 4  # blocks from which the first spread is learnt; nothing is bet on them
MEMORY = 64.0  # blocks that the spread remembers


class PairedError(TerracastError):
    """Losses that cannot be compared."""


class PairedEProcess(Stateful):
    """Evidence that forecast B loses less than forecast A, from losses paired by issue time, block by block.

    A block is ``block`` pairs in a row; its gain is the mean of (1 - ``margin``) × loss A - loss B, in units of
    three root mean squares of earlier gains, cut to [-1, 1]. ``e_value`` is the capital of a gambler who started
    with 1 and bets on gains: spread over three bet sizes and, with ``late``, over all starting times (weight
    1 / (k (k + 1)) for block k), so that a change in service is seen; without it all of it starts at once.

    **Assumption**: if B is not better, the cut gain of a block is not above zero on average whatever came before;
    so blocks must be longer than the memory of the losses (``block_length``) and than one horizon. Then the chance
    that ``peak`` ever reaches 1 / alpha is at most alpha, at however many looks. A rare loss of B so large that it is
    cut is what could break it. Pairs with a NaN are left out. O(1) a pair.

    >>> draws = np.random.default_rng(0)
    >>> plain = 1 + 0.2 * draws.normal(size=400)
    >>> evidence = PairedEProcess(block=8)
    >>> evidence.update(plain, plain - 0.05 + 0.1 * draws.normal(size=400))
    >>> evidence.proven(0.01), round(evidence.gain, 2)
    (True, 0.05)
    """

    def __init__(self, block: int, margin: float = 0.0, late: bool = True) -> None:
        if block < 1 or not 0 <= margin < 1:
            raise PairedError(f"block {block}, margin {margin}", where="paired losses",
                              expected="a block of at least 1 pair and a margin in [0, 1)", remedy="correct them")
        self.block, self.margin, self.late = block, margin, late
        self.blocks, self.peak = 0, 1.0
        self.totals = np.zeros(3)  # pairs, loss of A, loss of B
        self._pending: list[float] = []
        self._square = 0.0
        self._bets = np.zeros(len(BETS))  # capital that is in play, by bet size
        self._waiting = 1.0  # capital whose start is still to come

    @property
    def e_value(self) -> float:
        """The capital now; 1 at the start."""
        return float(self._bets.sum() + self._waiting)

    @property
    def gain(self) -> float:
        """Share of A's loss that B saved so far; 0 before the first pair."""
        return float(1 - self.totals[2] / self.totals[1]) if self.totals[1] > 0 else 0.0

    def proven(self, alpha: float) -> bool:
        """Whether the evidence has at any time been enough for level ``alpha``."""
        return self.peak >= 1 / alpha

    def update(self, losses_a: np.ndarray, losses_b: np.ndarray) -> None:
        """Take in further pairs (n,), in issue order; may be called with any number at a time."""
        first, second = np.asarray(losses_a, float), np.asarray(losses_b, float)
        if first.shape != second.shape or first.ndim != 1:
            raise PairedError(f"losses of shapes {first.shape} and {second.shape}", where="paired losses",
                              expected="two equal shapes (n,)", remedy="pair the losses by issue time")
        there = np.isfinite(first) & np.isfinite(second)
        self.totals += there.sum(), first[there].sum(), second[there].sum()
        for one in (1 - self.margin) * first[there] - second[there]:
            self._pending.append(float(one))
            if len(self._pending) == self.block:
                self._bet(math.fsum(self._pending) / self.block)
                self._pending = []

    def _bet(self, mean: float) -> None:
        """Play one block; the stake and the spread were fixed before it was seen."""
        if self.blocks >= WARM:
            spread = BOUND * math.sqrt(self._square)
            gain = min(1.0, max(-1.0, mean / spread)) if spread > 0 else float(np.sign(mean))
            started = self.blocks - WARM + 1
            stake = 1 / (started * (started + 1)) if self.late else float(started == 1)
            self._waiting = max(0.0, self._waiting - stake)
            self._bets = (self._bets + stake / len(BETS)) * (1 + np.array(BETS) * gain)
            self.peak = max(self.peak, self.e_value)
        self.blocks += 1
        share = 1 / min(float(self.blocks), MEMORY)
        self._square += share * (mean * mean - self._square)


def block_length(differences: np.ndarray, overlap: int = 1) -> int:
    """Pairs a block needs so that neighbouring blocks hardly know of each other, from differences (n,).

    Three times the integrated autocorrelation time (summed while positive, Geyer 1992), and at least ``overlap``,
    the number of issue times one horizon spans. O(n log n).

    >>> block_length(np.random.default_rng(0).normal(size=500), overlap=6)
    6
    """
    values = np.asarray(differences, float)
    values = values[np.isfinite(values)]
    if len(values) < 8 or float(np.ptp(values)) == 0.0:
        return max(1, overlap)
    centred = values - values.mean()
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(spectrum * spectrum.conj())[:len(centred) // 2]
    correlation = correlation / correlation[0]
    negative = np.flatnonzero(correlation <= 0.05)
    length = int(negative[0]) if len(negative) else len(correlation)
    time = 1 + 2 * float(correlation[1:length].sum())
    return max(overlap, math.ceil(3 * time), 1)
