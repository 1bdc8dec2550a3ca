"""The settings of a search, checked; all of them are stated in the graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from terracast.streams.errors import TerracastError

METHODS = ("PCMCI+", "PCMCI")
TESTS = ("ParCorr", "RobustParCorr", "CMIknn", "GPDC")
ENGINES = ("fast", "tigramite")
CORRECTIONS = ("none", "fdr_bh")

Progress = Callable[[float, str], None]


class DiscoverError(TerracastError):
    """A search that cannot give an honest graph."""


class AloneError(DiscoverError):
    """No second series varies: nothing can drive anything, whatever the search."""


@dataclass(frozen=True)
class Search:
    """The settings of a search, all of them stated in the graph.

    ``condition_alpha`` is the level at which PCMCI picks lagged conditions (0.2 in the literature costs
    ten times more for forty series; PCMCI+ picks at ``alpha``). ``same_time_conditions`` caps how many
    same-time series a test conditions on at once, ``lagged_conditions`` how many lagged parents of each
    side (strongest first), ``majority_degree`` the number of same-time neighbours up to which directions
    are voted over all their subsets; beyond it the plain collider rule is used. Without these caps strong
    same-time links make PCMCI+ combinatorial. ``engine`` "fast" answers ParCorr from one lagged covariance
    (see ``causal.fast``), with tigramite's own results; "tigramite" is the reference it is tested against.

    ``method``: PCMCI (Runge et al. 2019) or PCMCI+ (Runge 2020). ``test``: ParCorr (linear), RobustParCorr (linear
    after ranks to normal scores), CMIknn (Runge 2018; any dependence, by ``shuffles`` local permutations) or GPDC
    (Gaussian process and distance correlation; nonlinear with additive noise). The last two cost seconds
    where ParCorr costs microseconds. ``correction`` "fdr_bh" holds the share of false links (Benjamini &
    Hochberg 1995) instead of the rate per test. ``seed`` draws whatever is random; each test draws from its
    own question, so that neither order nor process changes its answer.

    >>> Search(max_lag=3, test="CMIknn").checked().shuffles
    200
    """

    max_lag: int
    alpha: float = 0.01
    method: str = "PCMCI+"
    test: str = "ParCorr"
    condition_alpha: float = 0.05
    same_time_conditions: int = 3
    lagged_conditions: int = 30
    majority_degree: int = 6
    engine: str = "fast"
    correction: str = "none"
    shuffles: int = 200
    seed: int = 0

    def checked(self) -> Search:
        """Itself; raises ``DiscoverError`` where a setting is unknown or two do not go together."""
        for value, choices, name in ((self.method, METHODS, "method"), (self.test, TESTS, "test"),
                                     (self.engine, ENGINES, "engine"), (self.correction, CORRECTIONS, "correction")):
            if value not in choices:
                raise DiscoverError(f"{name} {value!r}", where="discover",
                                  expected="one of " + ", ".join(choices), remedy="choose one of them")
        if self.max_lag < 1 or not 0 < self.alpha < 1:
            raise DiscoverError(f"max_lag {self.max_lag}, alpha {self.alpha}", where="discover",
                              expected="max_lag of at least 1 and alpha between 0 and 1", remedy="correct them")
        if self.test == "CMIknn" and self.shuffles + 1 < 1 / self.alpha:
            raise DiscoverError(f"{self.shuffles} shuffles at alpha {self.alpha:g}", where="CMIknn",
                              expected=f"at least {round(1 / self.alpha)}: else no link can be significant",
                              remedy="raise shuffles or alpha")
        return self

    @property
    def compiled(self) -> bool:
        """Whether tests are answered by the compiled engine."""
        return self.engine == "fast" and self.test == "ParCorr"


@dataclass(frozen=True)
class Redraw:
    """A block-bootstrap draw of time steps."""

    seed: int
    block: int
