"""The gate that may be asked at any time: a bet that the challenger is better, worth 1 on average if it is not.

Beside ``gate``, whose looks are declared beforehand, this one keeps an e-process: its promise holds at every
instant at once, so a loop may ask after each hour and stop when it likes (Ville 1939; Shafer 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terracast.adapt.promotion.paired_gate import Decision, PairedGateError, paired_losses

SHARES = (0.3, 1.0, 5.0)  # of the design gain, that bets are laid for: one for too large a gain loses on a smaller,
WORTHS = (0.45, 0.45, 0.1)  # and one for too small a gain wins little by a large: what each bet starts with
USUAL_SPREAD, SPREAD_WORTH = 0.05, 2.0  # deviation of a block's difference before any is seen, and its worth in blocks
USUAL_OVERLAP, OVERLAP_WORTH = 1.8, 10.0  # the same of what neighbouring blocks share
FEWEST = 5  # blocks before the gate speaks
TURNED = 0.3  # the gain that bets are laid for beside the usual one when a champion may have gone wrong
MOST = 700.0  # logarithms beyond it overflow


@dataclass(frozen=True)
class EProcessGate:
    """Accepts, rejects or waits on paired losses, at any time and as often as one likes.

    Losses are summed over blocks of ``horizon_steps`` issues, so that only neighbouring blocks share labels. Of each
    block two differences are bet on: champion less challenger as a share of both losses in that block (steady: large
    errors of bad days do not drown it), and as a share of the mean loss of the blocks before. The stake L is set
    from earlier blocks for a gain of ``gain``; a bet's worth is the product of exp(L r - L² r² f / 2), which is
    at most 1 on average for differences r that are as likely + as - given the past (de la Peña 1999), as those of
    equal models are; f ≥ 1, from earlier blocks too, allows for what neighbours share. The worth averages all bets.
    Accepted when it reaches 1 / ``alpha``, the summed loss is less, and no group's is above 1 + ``harm``: for equal
    models that happens in at most a share ``alpha`` of all histories, however long. Rejected when the reverse bet, or
    that on a group being worse by more than ``harm``, reaches 1 / ``alpha``, or when ``max_blocks`` blocks have told
    nothing. ``groups``: node numbers that are judged together (default: the network's nodes one by one).

    >>> draws = np.random.default_rng(0)
    >>> champion = 1 + 0.2 * draws.normal(size=240)
    >>> EProcessGate(horizon_steps=4).decide(champion, 0.9 * champion + 0.05 * draws.normal(size=240)).verdict
    'accept'
    """

    horizon_steps: int
    gain: float = 0.05
    alpha: float = 0.05
    harm: float = 0.05
    max_blocks: int = 56
    groups: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.horizon_steps < 1 or not 0 < self.alpha < 1 or not 0 < self.gain < 1 or self.max_blocks < FEWEST:
            raise PairedGateError(f"alpha {self.alpha}, gain {self.gain}, {self.max_blocks} blocks at most",
                                  where="betting gate",
                                  expected=f"shares within 0 and 1, {FEWEST} blocks or more",
                                  remedy="correct them")

    def decide(self, champion_losses: np.ndarray, challenger_losses: np.ndarray) -> Decision:
        """Judge paired losses, rows in issue order, shape (n,) or (n, node); O(n × node).

        The verdict is that of the first block at which there was one: more rows do not change it. ``p_value`` is
        1 / worth, valid at any time.
        """
        champion, challenger = paired_losses(champion_losses, challenger_losses)
        ours, theirs = (self._blocks(losses) for losses in (champion, challenger))
        better, worse = log_worth(ours, theirs, self.gain), log_worth(theirs, ours, self.gain)
        groups = self.groups or tuple((node,) for node in range(champion.shape[1]))
        parts = [((1 + self.harm) * self._blocks(champion[:, list(group)]), self._blocks(challenger[:, list(group)]))
                 for group in groups]
        harms = [log_worth(its, most, self.gain) for most, its in parts]
        threshold = -math.log(self.alpha)
        for block in range(min(FEWEST, self.max_blocks) - 1, min(len(ours), self.max_blocks)):
            saved = 1 - theirs[:block + 1].sum() / max(ours[:block + 1].sum(), 1e-300)
            harmed = tuple(node for group, worth in zip(groups, harms, strict=True) if len(groups) > 1
                           and len(worth) > block and worth[:block + 1].max() >= threshold for node in group)
            n = (block + 1) * self.horizon_steps
            says = f"saves {saved:+.1%} of the loss over {n} pairs, worth of the bet {_shown(better[block])}"
            p_value = min(1.0, math.exp(-min(max(better[:block + 1].max(), 0.0), MOST)))
            if harmed:
                return Decision("reject", f"worse by more than {self.harm:.0%} at {len(harmed)} node(s); {says}",
                                saved, p_value, n, harmed)
            fair = all(its[:block + 1].sum() <= most[:block + 1].sum() for most, its in parts)
            if better[block] >= threshold and saved > 0 and fair:
                return Decision("accept", f"{says}, at least {1 / self.alpha:.3g}", saved, p_value, n)
            if worse[block] >= threshold:
                says += f", of the reverse bet {_shown(worse[block])}"
                return Decision("reject", f"worse: {says}", saved, p_value, n)
            if block + 1 == self.max_blocks:
                return Decision("reject", f"{says}, below {1 / self.alpha:.3g} to the end", saved, p_value, n)
        return self._wait(champion, challenger, better)

    def turned(self, champion_losses: np.ndarray, challenger_losses: np.ndarray) -> Decision:
        """Whether the challenger has been better from any block on: ``accept``, or ``reject`` when ``max_blocks``
        ends.

        For a champion in service that may go wrong later: the worth averages bets begun at each block, those to come
        at 1 (Shin, Ramdas and Rinaldo 2023), so that success at first does not outweigh what follows. O(max_blocks²).
        """
        champion, challenger = paired_losses(champion_losses, challenger_losses)
        ours, theirs = self._blocks(champion)[:self.max_blocks], self._blocks(challenger)[:self.max_blocks]
        worths = [math.exp(min(float(log_worth(ours[start:], theirs[start:], gain)[-1]), MOST / 2))
                  for start in range(len(ours)) for gain in (self.gain, TURNED)]
        worth = (sum(worths) / 2 + self.max_blocks - len(ours)) / self.max_blocks
        saved = 1 - theirs.sum() / max(ours.sum(), 1e-300) if len(ours) else 0.0
        verdict = "accept" if worth * self.alpha >= 1 else "reject" if len(ours) >= self.max_blocks else "wait"
        return Decision(verdict, f"has been better, worth of the bet {worth:.3g}", float(saved),
                        min(1.0, 1 / max(worth, 1e-300)), len(ours) * self.horizon_steps)

    def _wait(self, champion: np.ndarray, challenger: np.ndarray, better: np.ndarray) -> Decision:
        saved = 1 - float(np.nansum(challenger)) / max(float(np.nansum(champion)), 1e-300)
        worth = float(better[-1]) if len(better) else 0.0
        needed = FEWEST * self.horizon_steps
        says = f"{len(champion)} of {needed} pairs have come" if len(champion) < needed else (
            f"saves {saved:+.1%} of the loss, worth of the bet {_shown(worth)} of {1 / self.alpha:.3g}")
        return Decision("wait", says, saved, min(1.0, math.exp(-max(worth, 0.0))), len(champion))

    def _blocks(self, losses: np.ndarray) -> np.ndarray:
        """Mean loss of each whole block of issues, over its pairs that are there; blocks without any are left out."""
        number = len(losses) // self.horizon_steps
        blocks = losses[:number * self.horizon_steps].reshape(number, self.horizon_steps * losses.shape[1])
        known = np.isfinite(blocks).any(axis=1)
        return np.asarray(np.nanmean(blocks[known], axis=1))


def log_worth(champion: np.ndarray, challenger: np.ndarray, gain: float) -> np.ndarray:
    """Logarithm of the worth (block,) of bets that the challenger's losses (block,) are less, after each block.

    >>> bool(log_worth(np.ones(20), np.full(20, 0.9), 0.05)[-1] > 3)
    True
    """
    total, apart = champion + challenger, champion - challenger
    before = np.cumsum(total) - total
    usual = np.where(before > 0, before / np.maximum(np.arange(len(total)), 1), total)
    if not len(total):
        return np.zeros(0)
    bets = [math.log(worth / 2) + _log_bet(apart / np.maximum(scale, 1e-300), min(share * gain / (2 - gain), 0.5))
            for scale in (total, usual) for share, worth in zip(SHARES, WORTHS, strict=True)]
    return np.asarray(np.logaddexp.reduce(bets, axis=0))


def _log_bet(shares: np.ndarray, design: float) -> np.ndarray:
    """Sum of L r - L² r² f / 2, with L and f from the blocks before, |r| at most 1 / (L f)."""
    number = np.arange(len(shares))
    squares = shares**2
    past = np.cumsum(squares) - squares
    mean = np.cumsum(shares) / (number + 1)
    left = shares - np.append(0.0, mean[:-1])
    products = np.append(0.0, left[1:] * left[:-1])
    around = np.cumsum(left**2) - left**2
    spread = (USUAL_SPREAD**2 * SPREAD_WORTH + past) / (SPREAD_WORTH + number)
    alike = np.clip((np.cumsum(products) - products) / np.maximum(around, 1e-300), 0.0, 0.5)
    overlap = (USUAL_OVERLAP * OVERLAP_WORTH + (1 + 2 * alike) * number) / (OVERLAP_WORTH + number)
    stake = design / (spread * overlap)
    most = 1 / (stake * overlap)  # larger differences would lose the bet that they should win; cut evenly on both sides
    cut = np.clip(shares, -most, most)
    return np.asarray(np.cumsum(stake * cut - stake**2 * cut**2 * overlap / 2))


def _shown(log_worth_now: float) -> str:
    return f"{math.exp(min(float(log_worth_now), MOST)):.3g}"
