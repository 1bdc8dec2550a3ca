"""What the experts of a stream are: which ridges, how far they read, and what a history of some length deserves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from terracast.streams.stateful import Stateful

WINDOW_SEASONS, WINDOW_LEAST, WINDOW_MOST = 4, 24, 96  # what the plain window reads, in seasons and in rows
FORTNIGHT, WIDEST = 14, 512  # seasons that the long window reads, and its rows at most

Reference = Literal["profile", "last-value"]
LAST: Reference = "last-value"


@dataclass(frozen=True)
class Kind(Stateful):
    """One ridge: what it reads, the factor with which a row's weight falls for each row that passes, what a pair of
    another node counts, the rule whose errors it learns and is pulled to (the profile where seasons hold, the last
    value where the level wanders), and how hard it is pulled, the usual strength being 1."""

    reads: Literal["lags", "window", "fortnight", "company"]
    forgetting: float
    pooling: float
    reference: Reference = "profile"
    pull: float = 1.0

    @property
    def name(self) -> str:
        """As rows and receipts call it."""
        after = "" if self.reference == "profile" else f"-{self.reference}"
        loose = "" if self.pull == 1.0 else f"-{self.pull:g}"
        return f"ridge-{self.reads}-{self.forgetting:g}-{self.pooling:g}{after}{loose}"


USUAL = (Kind("lags", 1.0, 1.0), Kind("lags", 1.0, 0.1), Kind("lags", 0.9998, 0.1), Kind("window", 1.0, 0.1),
         Kind("lags", 1.0, 0.02, LAST), Kind("lags", 0.9995, 0.0, LAST), Kind("window", 1.0, 0.0, LAST))
AT_LENGTH = (Kind("fortnight", 1.0, 0.0, LAST, 0.1),)  # where few nodes share no ridges and the past is long enough
MOST_APART = 32
IN_COMPANY = (Kind("company", 1.0, 0.1), Kind("company", 0.9998, 0.1, LAST))  # where other variables are told


@dataclass(frozen=True)
class ExpertConfig(Stateful):
    """What the experts are; how the settings were chosen: docs/decisions/0005.

    ``season`` in steps (1: none is told), ``seasons``: how many are read; ``slack``: leads beyond the horizon, for
    values not yet known at the issue; ``refit``: the fewest rows between two solutions;
    ``squash``: learn on the inverse hyperbolic sine of the values, for points near the median of skewed ones;
    ``trees``: boosted trees are one more expert, on a clock of this step in nanoseconds; 0 does without.
    """

    season: int
    seasons: int = 14
    slack: int = 0
    ridges: tuple[Kind, ...] = USUAL
    refit: int = 24
    squash: bool = False
    trees: int = 0

    @classmethod
    def usual(cls, season: int, horizon: int, rows: int, nodes: int, slack: int = 0, *, squash: bool = False,
              covariates: bool = False, trees: int = 0) -> ExpertConfig:
        """Those for a history of ``rows``: it reads a quarter of them, two weeks of days at most.

        Without eight seasons none is told. More than ``MOST_APART`` nodes share their ridges; one node has nobody to
        share with, and so none twice.

        >>> ExpertConfig.usual(season=24, horizon=96, rows=2880, nodes=7).refit
        48
        """
        told = season if rows >= 8 * season else 1
        seasons = int(np.clip(rows // (4 * told), 2, 14))
        at_length = told > 1 and FORTNIGHT * told <= min(WIDEST, rows // 4) and nodes <= MOST_APART
        ridges: tuple[Kind, ...] = (*USUAL, *(AT_LENGTH if at_length else ()), *(IN_COMPANY if covariates else ()))
        if nodes > MOST_APART or nodes == 1:
            ridges = tuple(dict.fromkeys(replace(kind, pooling=1.0) for kind in ridges))
        return cls(told, seasons, slack, ridges, max(1, min(24, season), horizon // 2), squash, trees)

    @property
    def window(self) -> int:
        """Rows that the plain window reads."""
        return min(max(WINDOW_SEASONS * self.season, WINDOW_LEAST), WINDOW_MOST)
