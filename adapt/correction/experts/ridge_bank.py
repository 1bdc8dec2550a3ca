"""All ridges of one stream: what each origin read is kept until its labels come, then learned once, then solved."""

from __future__ import annotations

import numpy as np

from terracast.adapt.correction.experts.covariates import PENALTY, Covariates
from terracast.adapt.correction.experts.expert_config import FORTNIGHT, ExpertConfig
from terracast.adapt.correction.experts.history_buffer import HistoryBuffer
from terracast.adapt.correction.experts.lag_features import LagFeatures, WindowFeatures
from terracast.adapt.correction.experts.naives import naive
from terracast.adapt.correction.experts.ridge import SLOPE, STRENGTH, Moments, Ridge
from terracast.streams.stateful import Stateful

STEADIEST = 0.05  # widths: smoother nodes than that do not count for more
KNOWN_SHARE = 0.5  # of a window and of its labels: with less a pair is not learned
FRESH = 25  # a solution is made anew when the pairs have grown by one in that many


class RidgeBank(Stateful):
    """Ridges that read and pool differently and learn what the profile (the naive of that name) or the last value
    leaves.

    They share one row of features for each origin and the sums of each memory, so that several cost little more than
    one. A pair (window, labels) is learned once, when the row of its last lead has come. Windows are read as they
    stood at their origin; windows or labels with more than half of the values missing teach nothing.
    A row costs its features, and now and then one solution of each ridge; memory of a node (of the network, if it
    shares) is 8 × width × (width + leads) bytes for each reading and factor: about 1 MB for two weeks of hours.
    ``covariates``: how many of their columns are read, None where there are none.

    >>> config = ExpertConfig(season=24, seasons=7)
    >>> RidgeBank(config, nodes=2, leads=6).points(HistoryBuffer(240, 24, np.zeros((9, 2))), 0).shape
    (7, 6, 2)
    """

    NOT_KEPT = frozenset({"_features", "_references", "_penalty"})

    def __init__(self, config: ExpertConfig, nodes: int, leads: int, covariates: int | None = None) -> None:
        self.config, self.nodes, self.leads, self.covariates = config, nodes, leads, covariates
        self.restored()
        sums = dict.fromkeys((kind.reads, kind.forgetting) for kind in config.ridges)
        self._moments = {key: Moments(nodes, len(self._penalty[key[0]]), leads * len(self._references[key]), key[1],
                                      apart=any(kind.pooling < 1.0 for kind in config.ridges
                                                if (kind.reads, kind.forgetting) == key)) for key in sums}
        self._solved = [np.zeros((1 if kind.pooling == 1.0 else nodes, len(self._penalty[kind.reads]), leads))
                        for kind in config.ridges]
        self._learned = 0
        self._solved_at = [0] * len(config.ridges)
        slots = leads + config.refit  # one for each origin whose labels are still to come
        self._read = {reads: np.zeros((slots, nodes, len(self._penalty[reads]))) for reads, _ in sums}
        self._profiles = np.zeros((slots, leads, nodes))
        self._worth = np.zeros((slots, nodes))

    def restored(self) -> None:
        """What is read, what of it is learned, and how hard each column of it is pulled."""
        config = self.config
        self._features: dict[str, LagFeatures | WindowFeatures] = {
            "lags": LagFeatures(config.season, config.seasons, self.nodes), "window": WindowFeatures(config.window)}
        if any(kind.reads == "fortnight" for kind in config.ridges):
            self._features["fortnight"] = WindowFeatures(FORTNIGHT * config.season)
        self._references: dict[tuple[str, float], list[str]] = {}
        for kind in config.ridges:
            found = self._references.setdefault((kind.reads, kind.forgetting), [])
            found += [kind.reference] if kind.reference not in found else []
        self._penalty = {reads: features.penalty for reads, features in self._features.items()}
        if self.covariates is not None:
            self._penalty["company"] = np.append(np.full(self.covariates, PENALTY), self._penalty["lags"])

    def read(self, history: HistoryBuffer, covariates: Covariates | None, newest: int) -> None:
        """The features of the newest row, which is the row ``newest`` of the clock, kept until its labels come."""
        season, slot = self.config.season, newest % len(self._worth)
        read_now = {reads: features.of(np.ascontiguousarray(history.scaled[-features.lookback:])[None],
                                       np.array([(newest + 1) % season]))[0]
                    for reads, features in self._features.items()}
        if covariates is not None:
            read_now["company"] = np.concatenate([covariates.features(), read_now["lags"]], axis=1)
        for reads, rows in self._read.items():
            rows[slot] = read_now[reads]
        self._profiles[slot] = naive("profile", history.scaled, season, self.leads)
        self._worth[slot] = worth(history, season, max(one.lookback for one in self._features.values()))

    def learn(self, history: HistoryBuffer, origins: np.ndarray, newest: int) -> None:
        """Learn the pairs of ``origins``, rows of the history whose last label's row has come; slots without an origin
        are worth nothing."""
        scaled = history.scaled
        due = origins[:, None] + 1 + np.arange(self.leads)
        slots = (newest - (len(scaled) - 1 - origins)) % len(self._worth)
        share = history.known[due].mean(axis=1)
        weights = np.where(share >= KNOWN_SHARE, self._worth[slots] * share, 0.0)
        targets = {"profile": (scaled[due] - self._profiles[slots]).transpose(0, 2, 1),
                   "last-value": (scaled[due] - scaled[origins][:, None]).transpose(0, 2, 1)}
        for key, moments in self._moments.items():
            wanted = np.concatenate([targets[one] for one in self._references[key]], axis=2)
            moments.add(self._read[key[0]][slots], wanted, weights, rows=len(origins))
        self._learned += len(origins)

    def solve(self) -> None:
        """Make solutions anew where they are due."""
        for number, kind in enumerate(self.config.ridges):
            memory = self._learned if kind.forgetting == 1.0 else min(self._learned, 1 / (1 - kind.forgetting))
            if (self._learned - self._solved_at[number]) * FRESH < memory:
                continue
            self._solved_at[number] = self._learned
            ridge = Ridge(kind.pooling, kind.pull * STRENGTH, kind.pull * SLOPE)
            key = kind.reads, kind.forgetting
            place = self._references[key].index(kind.reference) * self.leads
            solved = ridge.solve(self._moments[key], self._penalty[kind.reads], slice(place, place + self.leads))
            if solved is not None:  # an unsolvable one goes on with what it knew
                self._solved[number] = solved

    def points(self, history: HistoryBuffer, newest: int) -> np.ndarray:
        """Scaled points (ridge, lead, node) of the newest row."""
        slot, points = newest % len(self._worth), []
        references = {"profile": self._profiles[slot], "last-value": history.scaled[-1]}
        for kind, solved in zip(self.config.ridges, self._solved, strict=True):
            x = self._read[kind.reads][slot]
            moved = x @ solved[0] if len(solved) == 1 else (x[:, None, :] @ solved)[:, 0]
            points.append(references[kind.reference] + moved.T)
        return np.stack(points)


def worth(history: HistoryBuffer, season: int, lookback: int) -> np.ndarray:
    """How much a pair whose window of ``lookback`` rows ends now counts, (node,): smooth nodes that report count for
    more, and windows with too few values for nothing."""
    rough = history.volatility()
    seen = np.minimum(history.known[-season:].mean(axis=0), history.known[-lookback:].mean(axis=0))
    return np.where((rough > 0) & (seen >= KNOWN_SHARE), seen / (rough + STEADIEST), 0.0)
