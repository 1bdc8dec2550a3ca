"""Bench of adaptation: the mixture of online experts under the published protocols, row by row as if live.

Values are standardised by the training part; an origin t sees the rows before t and is asked for t … t + horizon - 1;
errors are means over origins, leads and series of the test part. Every online method learns a label when its row has
come. Settings are the same for every protocol and horizon; how they were chosen, and which choices had seen test
figures, is told in docs/decisions/0005.
"""

from __future__ import annotations

import time as stopwatch
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from terracast.adapt.correction.experts.expert_config import ExpertConfig
from terracast.adapt.correction.experts.experts import Experts
from terracast.adapt.correction.experts.naives import NAIVES
from terracast.adapt.correction.experts.residual_quantiles import ResidualQuantiles
from terracast.adapt.correction.experts.stacked_experts import Stacked, StackedExperts
from terracast.benchmarks.adapt.base import BaseForecasts
from terracast.benchmarks.adapt.cell import AdaptCell, CellTally
from terracast.benchmarks.adapt.peers.ridge_hedge import run_hedge
from terracast.stfm.forecaster import QUANTILES

Progress = Callable[[int], None]
ONLINE = 1  # the ridge that the rows ridge, ridge-frozen and ridge-weekly show, where the recipe has so many


@dataclass(frozen=True)
class AdaptBench:
    """One cell, and what the shipped base said of it from the end of the training part on (None: do without)."""

    cell: AdaptCell
    said: BaseForecasts | None = None

    def rows(self, progress: Progress = lambda done: None) -> list[dict[str, Any]]:
        """One row for each method; ratios are to ``frozen``: the base, or without one the ridge as first fitted."""
        cell = self.cell
        recipe = ExpertConfig.usual(cell.season, cell.horizon, cell.trained, cell.values.shape[1])
        fixed, weekly = CellTally("ridge-frozen" if self.said else "frozen", cell), CellTally("ridge-weekly", cell)
        _run_ridge(cell, recipe, fixed, None)
        _run_ridge(cell, recipe, weekly, 7 * cell.season)
        tallies = [*self._run(recipe, progress), fixed, weekly, run_hedge(cell)]
        frozen = next(one for one in tallies if one.method == "frozen")
        return [one.row(frozen) for one in tallies]

    def _run(self, recipe: ExpertConfig, progress: Progress) -> list[CellTally]:
        """All online methods in one pass from the end of the training part; a mixture's clock times experts, mixing
        and learning; the base's own cost stands in the row of ``frozen``."""
        cell, values = self.cell, self.cell.values
        experts = Experts.begin(values[:cell.trained], 0, cell.horizon, recipe)
        ridges = len(experts.names) - len(NAIVES)
        plain = _Server("terracast-without-base" if self.said else "terracast", cell, range(ridges),
                        len(experts.names) - 1)
        servers = [plain]
        if self.said:
            servers.insert(0, _Server("terracast", cell, [*range(ridges), len(experts.names)], len(experts.names)))
        shown = {experts.names.index(name): name for name in NAIVES} | {experts.names.index(_shown(recipe)): "ridge"}
        others = {number: CellTally(name, cell) for number, name in shown.items()}
        frozen = CellTally("frozen", cell)
        for origin in range(cell.trained, len(values)):
            begun = stopwatch.process_time()
            points = experts.points()
            seconds = stopwatch.process_time() - begun
            if self.said:
                quantiles = self.said.at(origin, *cell.standard)
                points = np.concatenate([points, BaseForecasts.mean(quantiles)[None]])
                frozen.score(origin, points, quantiles, -1)
            for server in servers:
                server.serve(origin, points)
            for number, tally in others.items():
                tally.score(origin, points, None, number)
            begun = stopwatch.process_time()
            experts.observe(values[origin])
            seconds += stopwatch.process_time() - begun
            for server in servers:
                server.tally.seconds += seconds
            progress(1)
        if self.said:
            frozen.seconds, frozen.steps = 1e-3 * self.said.ms_per_step, 1
        return [*(server.tally for server in servers), *([frozen] if self.said else []), servers[0].mean,
                *others.values()]


class _Server:
    """A blend of the points ``numbers``, never far behind the point ``anchor``; its quantiles, and its tally."""

    def __init__(self, name: str, cell: AdaptCell, numbers: range | list[int], anchor: int) -> None:
        series = cell.values.shape[1]
        self.cell, self.tally, self.mean = cell, CellTally(name, cell), CellTally("plain-average", cell)
        self.blend = StackedExperts(cell.horizon, series, stacked=numbers, averaged=numbers, anchor=anchor,
                                    delay=cell.horizon)
        self.widths = ResidualQuantiles(cell.horizon, series, QUANTILES, 0.5)
        self.diary = _Diary(anchor + 1, cell.horizon, series)

    def serve(self, origin: int, points: np.ndarray) -> None:
        """Say, be scored, and learn what matures with the row of ``origin``."""
        begun = stopwatch.process_time()
        said = self.blend.mix(points[:self.diary.experts])
        quantiles = self.widths.around(said.served)
        self.diary.write(origin, said, quantiles)
        matured, spread, labels = self.diary.matured(origin, self.cell.values[origin], self.cell.trained)
        self.blend.learn(matured, labels)
        self.widths.learn(labels, matured.served, spread)
        self.tally.seconds += stopwatch.process_time() - begun
        self.tally.steps += 1
        self.mean.score(origin, said.candidates, None, 1)
        self.tally.score(origin, said.served[None], quantiles)


def _run_ridge(cell: AdaptCell, recipe: ExpertConfig, tally: CellTally, refit: int | None) -> None:
    """A single ridge on training and validation part, then left as it is or refitted every ``refit`` rows."""
    single = replace(recipe, ridges=tuple(kind for kind in recipe.ridges if kind.name == _shown(recipe)),
                     refit=refit or recipe.refit)
    experts = Experts.begin(cell.values[:cell.validated], 0, cell.horizon, single)
    for origin in range(cell.validated, len(cell.values) - cell.horizon + 1):
        begun = stopwatch.process_time()
        points = experts.points()
        experts.observe(cell.values[origin], learn=refit is not None)
        tally.seconds += stopwatch.process_time() - begun
        tally.steps += 1
        tally.score(origin, points)


def _shown(recipe: ExpertConfig) -> str:
    return recipe.ridges[min(ONLINE, len(recipe.ridges) - 1)].name


class _Diary:
    """What was said at the last ``horizon`` origins, read along the diagonal: all forecasts of one row."""

    def __init__(self, experts: int, horizon: int, series: int) -> None:
        self.experts = experts
        self._points = np.zeros((horizon, experts, horizon, series))
        self._candidates = np.zeros((horizon, 3, horizon, series))
        self._served = np.zeros((horizon, horizon, series))
        self._quantiles = np.zeros((horizon, horizon, series, len(QUANTILES)))
        self._lead = np.arange(horizon)

    def write(self, origin: int, said: Stacked, quantiles: np.ndarray) -> None:
        """Keep what was said, over what is a horizon old."""
        at = origin % len(self._lead)
        self._points[at], self._candidates[at], self._served[at] = said.points, said.candidates, said.served
        self._quantiles[at] = quantiles

    def matured(self, row: int, values: np.ndarray, first: int) -> tuple[Stacked, np.ndarray, np.ndarray]:
        """What origins row, row - 1, … said of ``row`` at leads 1, 2, …, points and quantiles; and its labels."""
        origins = row - self._lead
        at = origins % len(self._lead)
        said = Stacked(np.moveaxis(self._points[at, :, self._lead], 0, 1),
                       np.moveaxis(self._candidates[at, :, self._lead], 0, 1), self._served[at, self._lead])
        return said, self._quantiles[at, self._lead], np.where((origins >= first)[:, None], values, np.nan)
