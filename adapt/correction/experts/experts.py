"""The experts that serve from the first hour of a stream: a bank of online ridges, boosted trees, three naives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from terracast.adapt.correction.experts.covariates import Covariates
from terracast.adapt.correction.experts.expert_config import ExpertConfig
from terracast.adapt.correction.experts.history_buffer import HistoryBuffer
from terracast.adapt.correction.experts.journal import Journal, Late
from terracast.adapt.correction.experts.naives import NAIVES, naive
from terracast.adapt.correction.experts.ridge_bank import RidgeBank
from terracast.adapt.correction.experts.tree_expert import TreeExpert, TreeFeatures
from terracast.streams.errors import TerracastError
from terracast.streams.stateful import Stateful

TREES = "trees"


class ExpertsError(TerracastError):
    """Experts that cannot be made, or rows of another network."""


class Experts(Stateful):
    """All experts of one stream (rows on its clock, nodes); ask for points after every row or whenever you like.

    A pair (origin, labels) is learned once, when the row of its last lead has come: an origin r is forecast from pairs
    with origins ≤ r - horizon - slack. Gaps are filled from the past. ``newest``: the clock's number of the newest
    row, counted from any season's beginning. What is saved is a checkpoint, and a journal of what came since.

    >>> hours = np.arange(24 * 40)
    >>> wave = np.sin(hours * 2 * np.pi / 24)[:, None]
    >>> experts = Experts.begin(wave[:-6], 0, horizon=6, config=ExpertConfig(season=24, seasons=7))
    >>> points = experts.points()
    >>> points.shape == (len(experts.names), 6, 1)
    True
    >>> bool(np.abs(points[experts.names.index("ridge-lags-1-0.1")] - wave[-6:]).max() < 0.01)
    True
    """

    NOT_KEPT = frozenset({"_checkpoint", "_journal"})

    def __init__(self, history: HistoryBuffer, ridges: RidgeBank, newest: int, horizon: int,
                 covariates: Covariates | None = None, trees: TreeExpert | None = None) -> None:
        self.history, self.ridges, self.newest, self.horizon = history, ridges, newest, horizon
        self.covariates, self.trees = covariates, trees

    @classmethod
    def begin(cls, history: np.ndarray, first: int, horizon: int, config: ExpertConfig,
              beside: np.ndarray | None = None) -> Experts:
        """Experts that have learned all of ``history`` (row, node), whose first row is the row ``first`` of the clock,
        and of ``beside`` (row, variable, node), the covariates that a config with such ridges wants.
        O(rows × nodes × width²) for each memory."""
        if config.season < 1 or config.seasons < 2 or horizon < 1 or config.slack < 0 or config.refit < 1:
            raise ExpertsError(f"season {config.season}, {config.seasons} of them, horizon {horizon}",
                               where="experts", expected="a season of 1 or more, two or more of them, a horizon of 1 "
                               "or more", remedy="correct the config")
        leads = horizon + config.slack
        length = max(config.season * max(config.seasons, 7) + 1, config.window + 1, leads + config.refit + 1)
        trees = None
        if config.trees:
            trees = TreeExpert(TreeFeatures.of(config.trees, config.season, len(history), leads), len(history))
            length = max(length, trees.features.lookback + leads + config.refit)
        covariates = None if beside is None else Covariates(config.season, beside)
        ridges = RidgeBank(config, history.shape[1], leads, None if covariates is None else covariates.columns)
        experts = cls(HistoryBuffer(length, config.season, history, squash=config.squash), ridges, first - 1, horizon,
                      covariates, trees)
        for number, row in enumerate(history):
            experts._append(row, None if beside is None else beside[number], learn=True, solve=False)
        ridges.solve()
        if trees is not None:
            trees.grow()
        experts.make_checkpoint()
        return experts

    @property
    def config(self) -> ExpertConfig:
        """What they are."""
        return self.ridges.config

    @property
    def names(self) -> tuple[str, ...]:
        """One name for each expert, those that learn first."""
        return (*(kind.name for kind in self.config.ridges), *((TREES,) if self.trees is not None else ()), *NAIVES)

    @property
    def learned(self) -> int:
        """How many of them learn."""
        return len(self.names) - len(NAIVES)

    def observe(self, row: np.ndarray, beside: np.ndarray | None = None, *, learn: bool = True) -> None:
        """The next row (node,) of the clock, NaN where nothing is known, and of the covariates (variable, node), None
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
        fresh = self.history.correct(rows)
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
                made.history.correct(one.rows(made._journal.nodes))
            else:
                made._append(one.values, one.beside, learn=one.learn, solve=one.learn)
        return made

    def make_checkpoint(self) -> None:
        """Keep how things stand, and begin the journal anew."""
        self._checkpoint, self._journal = super().state(), Journal(len(self.history.centre))

    def points(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Points of each expert (expert, lead, node); ``rows`` (lead,): how many rows after the newest one each lead
        lies, from 1 on (default: 1 to the horizon)."""
        rows = np.arange(1, self.horizon + 1) if rows is None else rows
        if rows.min() < 1 or rows.max() > self.ridges.leads:
            raise ExpertsError(f"asked {rows.min()} to {rows.max()} rows beyond the newest", where="experts",
                               expected=f"1 to {self.ridges.leads}, horizon and slack",
                               remedy="give a config with more slack")
        ridges, scaled = self.ridges.points(self.history, self.newest), self.history.scaled
        points = [*ridges, *(naive(name, scaled, self.config.season, self.ridges.leads) for name in NAIVES)]
        if self.trees is not None:
            grown = self.trees.points(self.history, self.newest)
            points.insert(len(ridges), ridges.mean(axis=0) if grown is None else grown)
        return self.history.unscaled(np.stack(points)[:, rows - 1])

    def _append(self, row: np.ndarray, beside: np.ndarray | None, *, learn: bool, solve: bool) -> None:
        history, refit = self.history, self.config.refit
        if row.shape != history.centre.shape:
            raise ExpertsError(f"a row of {row.shape} values", where="experts", remedy="make experts of their own",
                               expected=f"{len(history.centre)} nodes")
        history.append(row)
        if self.covariates is not None:
            self.covariates.append(np.full_like(self.covariates.centre, np.nan) if beside is None else beside)
        self.newest += 1
        self.ridges.read(history, self.covariates, self.newest)
        if learn and (self.newest + 1) % refit == 0:  # of so many origins the last label's row has come since
            origins = len(history.scaled) - 1 - self.ridges.leads - np.arange(refit - 1, -1, -1)
            self.ridges.learn(history, origins, self.newest)
            if self.trees is not None:
                self.trees.learn(history, origins, self.newest)
            if solve:
                self.ridges.solve()
