"""The experts that serve from the first hour of a stream: online ridges that read and pool differently, trees, naives.

They share one tape, one row of features for each origin, and the sums of each memory, so that several cost little more
than one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np

from terracast.adapt.correction.experts.covariates import PENALTY, Covariates
from terracast.adapt.correction.experts.history_buffer import HistoryBuffer
from terracast.adapt.correction.experts.journal import Journal, Late
from terracast.adapt.correction.experts.lag_features import LagFeatures, WindowFeatures
from terracast.adapt.correction.experts.ridge import SLOPE, STRENGTH, Moments, Ridge
from terracast.adapt.correction.experts.tree_expert import TreeExpert, TreeFeatures
from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

TREES = "trees"
NAIVES = ("last-value", "seasonal-naive", "profile")
STEADIEST = 0.05  # widths: smoother nodes than that do not count for more
KNOWN_SHARE = 0.5  # of a window and of its labels: with less a pair is not learned
WINDOW_SEASONS, WINDOW_LEAST, WINDOW_MOST = 4, 24, 96  # what the plain window reads, in seasons and in rows
FORTNIGHT, WIDEST = 14, 512  # seasons that the long window reads, and its rows at most
FRESH = 25  # a solution is made anew when the pairs have grown by one in that many


class ExpertsError(TerracastError):
    """Experts that cannot be made, or rows of another network."""


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
        """The recipe for a history of ``rows``: it reads a quarter of them, two weeks of days at most.

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


class Experts(Stateful):
    """All experts of one stream (rows on its clock, nodes); ask for points after every row or whenever you like.

    Ridges learn what the profile (the naive of that name) or the last value leaves. A pair (window, labels) is learned
    once, when the row of its last lead has come: an origin r is forecast from pairs with origins ≤ r - horizon -
    slack. Windows are read as they stood at their origin, gaps filled from the past; windows or labels with more than
    half of the values missing teach nothing. ``first``: number of steps from any season's beginning to the first row
    of ``history``.
    A row costs its features, and now and then one solution of each ridge; memory of a node (of the network, if it
    shares) is 8 × width × (width + leads) bytes for each reading and factor: about 1 MB for two weeks of hours.

    >>> hours = np.arange(24 * 40)
    >>> wave = np.sin(hours * 2 * np.pi / 24)[:, None]
    >>> experts = Experts.begin(wave[:-6], 0, horizon=6, recipe=ExpertConfig(season=24, seasons=7))
    >>> points = experts.points()
    >>> points.shape == (len(experts.names), 6, 1)
    True
    >>> bool(np.abs(points[experts.names.index("ridge-lags-1-0.1")] - wave[-6:]).max() < 0.01)
    True
    """

    NOT_KEPT = frozenset({"_features", "_references", "_penalty", "_checkpoint", "_journal"})

    def __init__(self, tape: HistoryBuffer, first: int, horizon: int, recipe: ExpertConfig,
                 covariates: Covariates | None = None, trees: TreeExpert | None = None) -> None:
        nodes = tape.scaled.shape[1]
        self.recipe, self.horizon, self.tape, self.covariates, self.trees = recipe, horizon, tape, covariates, trees
        self._leads = horizon + recipe.slack
        self.restored()
        sums = dict.fromkeys((kind.reads, kind.forgetting) for kind in recipe.ridges)
        self._moments = {key: Moments(nodes, len(self._penalty[key[0]]), self._leads * len(self._references[key]),
                                      key[1], apart=any(kind.pooling < 1.0 for kind in recipe.ridges
                                                        if (kind.reads, kind.forgetting) == key)) for key in sums}
        self._solved = [np.zeros((1 if kind.pooling == 1.0 else nodes, len(self._penalty[kind.reads]), self._leads))
                        for kind in recipe.ridges]
        self._next = first  # the clock's number of the next row
        self._learned = 0
        self._solved_at = [0] * len(recipe.ridges)
        slots = self._leads + recipe.refit
        self._open = {reads: np.zeros((slots, nodes, len(self._penalty[reads]))) for reads, _ in sums}
        self._profiles = np.zeros((slots, self._leads, nodes))
        self._worth = np.zeros((slots, nodes))

    def restored(self) -> None:
        """What is read, what of it is learned, and how hard each column of it is pulled."""
        recipe, nodes = self.recipe, self.tape.scaled.shape[1]
        self._features: dict[str, LagFeatures | WindowFeatures] = {
            "lags": LagFeatures(recipe.season, recipe.seasons, nodes), "window": WindowFeatures(recipe.window)}
        if any(kind.reads == "fortnight" for kind in recipe.ridges):
            self._features["fortnight"] = WindowFeatures(FORTNIGHT * recipe.season)
        self._references: dict[tuple[str, float], list[str]] = {}
        for kind in recipe.ridges:
            found = self._references.setdefault((kind.reads, kind.forgetting), [])
            found += [kind.reference] if kind.reference not in found else []
        self._penalty = {reads: features.penalty for reads, features in self._features.items()}
        if self.covariates is not None:
            self._penalty["company"] = np.append(np.full(self.covariates.columns, PENALTY), self._penalty["lags"])

    @classmethod
    def begin(cls, history: np.ndarray, first: int, horizon: int, recipe: ExpertConfig,
              beside: np.ndarray | None = None) -> Experts:
        """Experts that have learned all of ``history`` (row, node), and of ``beside`` (row, variable, node), the
        company that a recipe with such ridges wants. O(rows × nodes × width²) for each memory."""
        if recipe.season < 1 or recipe.seasons < 2 or horizon < 1 or recipe.slack < 0 or recipe.refit < 1:
            raise ExpertsError(f"season {recipe.season}, {recipe.seasons} of them, horizon {horizon}",
                               where="experts", expected="a season of 1 or more, two or more of them, a horizon of 1 "
                               "or more", remedy="correct the recipe")
        leads = horizon + recipe.slack
        length = max(recipe.season * max(recipe.seasons, 7) + 1, recipe.window + 1, leads + recipe.refit + 1)
        trees = None
        if recipe.trees:
            trees = TreeExpert(TreeFeatures.of(recipe.trees, recipe.season, len(history), leads), len(history))
            length = max(length, trees.features.lookback + leads + recipe.refit)
        covariates = None if beside is None else Covariates(recipe.season, beside)
        experts = cls(HistoryBuffer(length, recipe.season, history, squash=recipe.squash), first, horizon, recipe,
                      covariates, trees)
        for number, row in enumerate(history):
            experts._append(row, None if beside is None else beside[number], learn=True, solve=False)
        experts._solve()
        if trees is not None:
            trees.grow()
        experts.make_checkpoint()
        return experts

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each expert, those that learn first."""
        return (*(kind.name for kind in self.recipe.ridges), *((TREES,) if self.trees is not None else ()), *NAIVES)

    @property
    def learned(self) -> int:
        """How many of them learn."""
        return len(self.names) - len(NAIVES)

    @property
    def newest(self) -> int:
        """The clock's number of the newest row."""
        return self._next - 1

    def observe(self, row: np.ndarray, beside: np.ndarray | None = None, *, learn: bool = True) -> None:
        """The next row (node,) of the clock, NaN where nothing is known, and of the company (variable, node), None
        where none has come; without ``learn`` it is only read."""
        row = np.asarray(row, dtype="float64")
        self._append(row, beside, learn=learn, solve=learn)
        self._journal.row(row, beside, learn=learn)
        if self._journal.is_full:  # trees are grown only where they are kept at once: again would take seconds
            if self.trees is not None:
                self.trees.grow()
            self.make_checkpoint()

    def correct(self, rows: np.ndarray) -> None:
        """The newest rows (row, node) again, with what came late; values known before stay."""
        fresh = self.tape.correct(rows)
        if fresh.any():
            self._journal.late(fresh, rows[len(rows) - len(fresh):])

    def state(self) -> dict[str, object]:
        """A checkpoint, which stays the same for days, and what came since: a step writes little."""
        return {"checkpoint": self._checkpoint, "journal": self._journal.state()}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> Self:
        """See ``Stateful.restore``: the checkpoint, and all that came since once more."""
        made = super().restore(state["checkpoint"])
        made._checkpoint, made._journal = state["checkpoint"], Journal.restore(state["journal"])
        for one in made._journal:
            if isinstance(one, Late):
                made.tape.correct(one.rows(made._journal.nodes))
            else:
                made._append(one.values, one.beside, learn=one.learn, solve=one.learn)
        return made

    def make_checkpoint(self) -> None:
        """Keep how things stand, and begin the journal anew."""
        self._checkpoint, self._journal = super().state(), Journal(len(self.tape.centre))

    def points(self, ahead: int = 0) -> np.ndarray:
        """What each expert says (expert, lead, node), lead 1 being ``ahead`` + 1 rows after the newest row."""
        if not 0 <= ahead <= self.recipe.slack:
            raise ExpertsError(f"asked {ahead} rows beyond the newest", where="experts",
                               expected=f"0 to {self.recipe.slack}, the slack", remedy="give a recipe with more slack")
        slot = (self._next - 1) % len(self._worth)
        references, said = {"profile": self._profiles[slot], "last-value": self.tape.scaled[-1]}, []
        for kind, solved in zip(self.recipe.ridges, self._solved, strict=True):
            x = self._open[kind.reads][slot]
            moved = x @ solved[0] if len(solved) == 1 else (x[:, None, :] @ solved)[:, 0]
            said.append(references[kind.reference] + moved.T)
        if self.trees is not None:
            grown = self.trees.points(self.tape, self.newest)
            said.append(np.mean(said, axis=0) if grown is None else grown)
        said += [naive(name, self.tape.scaled, self.recipe.season, self._leads) for name in NAIVES]
        return self.tape.unscaled(np.stack(said)[:, ahead:ahead + self.horizon])

    def _append(self, row: np.ndarray, beside: np.ndarray | None, *, learn: bool, solve: bool) -> None:
        tape, recipe = self.tape, self.recipe
        if row.shape != tape.centre.shape:
            raise ExpertsError(f"a row of {row.shape} values", where="experts", expected=f"{len(tape.centre)} nodes",
                               remedy="make experts of their own")
        tape.append(row)
        self._next += 1
        slot = (self._next - 1) % len(self._worth)
        read_now = {reads: features.of(np.ascontiguousarray(tape.scaled[-features.lookback:])[None],
                                       np.array([self._next % recipe.season]))[0]
                    for reads, features in self._features.items()}
        if self.covariates is not None:
            self.covariates.append(np.full_like(self.covariates.centre, np.nan) if beside is None else beside)
            read_now["company"] = np.concatenate([self.covariates.features(), read_now["lags"]], axis=1)
        for reads, rows in self._open.items():
            rows[slot] = read_now[reads]
        self._profiles[slot] = naive("profile", tape.scaled, recipe.season, self._leads)
        self._worth[slot] = worth(tape, recipe.season, max(one.lookback for one in self._features.values()))
        if learn and self._next % recipe.refit == 0:
            self._learn()
            if solve:
                self._solve()

    def _learn(self) -> None:
        """Learn the ``refit`` pairs whose last label's row has come; slots without an origin are worth nothing."""
        leads, refit = self._leads, self.recipe.refit
        scaled, known = self.tape.scaled, self.tape.known
        origins = len(scaled) - 1 - leads - np.arange(refit - 1, -1, -1)  # rows of the tape
        due = origins[:, None] + 1 + np.arange(leads)
        slots = (self._next - 1 - (len(scaled) - 1 - origins)) % len(self._worth)
        share = known[due].mean(axis=1)
        weights = np.where(share >= KNOWN_SHARE, self._worth[slots] * share, 0.0)
        targets = {"profile": (scaled[due] - self._profiles[slots]).transpose(0, 2, 1),
                   "last-value": (scaled[due] - scaled[origins][:, None]).transpose(0, 2, 1)}
        for key, moments in self._moments.items():
            wanted = np.concatenate([targets[one] for one in self._references[key]], axis=2)
            moments.add(self._open[key[0]][slots], wanted, weights, rows=refit)
        if self.trees is not None:
            self.trees.learn(self.tape, origins, self.newest)
        self._learned += refit

    def _solve(self) -> None:
        """Make solutions anew where they are due."""
        for number, kind in enumerate(self.recipe.ridges):
            memory = self._learned if kind.forgetting == 1.0 else min(self._learned, 1 / (1 - kind.forgetting))
            if (self._learned - self._solved_at[number]) * FRESH < memory:
                continue
            self._solved_at[number] = self._learned
            ridge = Ridge(kind.pooling, kind.pull * STRENGTH, kind.pull * SLOPE)
            key = kind.reads, kind.forgetting
            place = self._references[key].index(kind.reference) * self._leads
            solved = ridge.solve(self._moments[key], self._penalty[kind.reads], slice(place, place + self._leads))
            if solved is not None:  # an unsolvable one goes on with what it knew
                self._solved[number] = solved


def naive(name: str, scaled: np.ndarray, season: int, leads: int) -> np.ndarray:
    """The scaled points (lead, node) of one of ``NAIVES``, from the past (row, node)."""
    phases = np.arange(leads) % season
    if name == "last-value":
        return np.repeat(scaled[-1:], leads, axis=0)
    if name == "seasonal-naive":
        return np.asarray(scaled[-season:][phases])
    week = scaled[-7 * season:].reshape(7, season, -1)
    return np.asarray((week.mean(axis=0) - week.mean(axis=(0, 1)) + scaled[-season:].mean(axis=0))[phases])


def worth(tape: HistoryBuffer, season: int, lookback: int) -> np.ndarray:
    """How much a pair whose window of ``lookback`` rows ends now counts, (node,): smooth nodes that report count for
    more, and windows with too few values for nothing."""
    rough = tape.volatility()
    seen = np.minimum(tape.known[-season:].mean(axis=0), tape.known[-lookback:].mean(axis=0))
    return np.where((rough > 0) & (seen >= KNOWN_SHARE), seen / (rough + STEADIEST), 0.0)
