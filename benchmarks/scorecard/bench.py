"""The scorecard: domain, spatial, temporal and scale generalization of a forecaster, measured on data.

The four axes are those of Table I of the survey of spatio-temporal foundation models, where they are ticked; here
each has two sides, in and out of distribution, and a figure with an interval. A forecaster that is taught (the
native model) is taught on the training part of every other node of each series; one that is not (the base,
seasonal naive) is asked as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from terracast.benchmarks.base.data import Case
from terracast.benchmarks.base.methods import Scores, asked, fitted_native, ridge, score, seasonal_naive, shipped
from terracast.benchmarks.scorecard.block_bootstrap import BlockPair, Skill, skill_of
from terracast.benchmarks.scorecard.cases import (
    coarser_space,
    coarser_step,
    earlier,
    half_of_nodes,
    valid_hours,
    worlds,
)
from terracast.stfm.forecaster import Forecaster
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.errors import TerracastError

AXES = ("domain", "spatial", "temporal", "scale")
WORLDS = 24
Mask = np.ndarray | None
Progress = Callable[[int], None]


@dataclass(frozen=True)
class ScoredModel:
    """A forecaster by name: ``teach`` (None: nothing can be taught) makes one from a training part and its case."""

    name: str
    ready: Callable[[], Forecaster] | None
    teach: Callable[[xr.Dataset, Case], Forecaster] | None = None


CANDIDATES = {"terracast": ScoredModel("terracast", shipped),
              "native": ScoredModel("native", None, fitted_native),
              "seasonal-naive": ScoredModel("seasonal-naive", SeasonalNaive)}


@dataclass(frozen=True)
class Cell:
    """One figure of the card: an axis, its side (in, out), and the part of it that was asked."""

    axis: str
    side: str
    part: str


@dataclass(frozen=True)
class ScorecardFinding:
    """Losses of one series in one cell: against seasonal naive and against ridge."""

    cell: Cell
    naive: BlockPair
    ridge: BlockPair


class Scorecard:
    """Fills the card series by series; ``findings``, ``refused`` and ``nodes`` hold what came out.

    ``simulated`` worlds are what a forecaster that is not taught is asked within its distribution.
    """

    def __init__(self, candidate: ScoredModel, simulated: int = WORLDS) -> None:
        self.candidate, self.simulated = candidate, simulated
        self.findings: list[ScorecardFinding] = []
        self.refused: list[dict[str, str]] = []
        self.nodes: list[dict[str, Any]] = []

    def run(self, cases: Sequence[Case], progress: Progress = lambda done: None) -> None:
        """Ask for every case; ``progress`` is told cases as they are done."""
        taught = []
        for case in cases:
            half = half_of_nodes(case)
            forecaster = self._batches(case, half)
            taught.append(forecaster)
            self._of_one_case(case, forecaster, half)
            progress(1)
        if self.candidate.teach is not None:
            self._from_other_domains(cases, taught)
        else:
            for world in worlds(self.simulated, 4, 24):
                self._judge(world, asked(self._ready(), world), [(Cell("domain", "in", "simulated worlds"), None)])

    def _of_one_case(self, case: Case, forecaster: Forecaster, half: np.ndarray) -> None:
        own = Cell("domain", "in", "taught on this series") if self.candidate.teach else \
            Cell("domain", "out", "real data, nothing taught")
        day, working = valid_hours(case)
        step = pd.Timedelta(case.step)
        parts: list[tuple[Cell, Mask]] = [
            (own, half[None, None, :]), (Cell("spatial", "in", "nodes taught on"), half[None, None, :]),
            (Cell("temporal", "out", "later: the last fifth"), None),
            (Cell("scale", "in", "own step, all nodes"), None)]
        if not half.all():
            parts.append((Cell("spatial", "out", "nodes held out"), ~half[None, None, :]))
        if step < pd.Timedelta("12h"):
            parts += [(Cell("temporal", "in", "by day"), day[..., None]),
                      (Cell("temporal", "out", "by night"), ~day[..., None])]
        if step <= pd.Timedelta("1D"):
            parts += [(Cell("temporal", "in", "on weekdays"), working[..., None]),
                      (Cell("temporal", "out", "at weekends"), ~working[..., None])]
        self._try(case, forecaster, parts, maps=True)
        others = ((earlier, Cell("temporal", "in", "right after training")),
                  (coarser_step, Cell("scale", "out", "coarser step")),
                  (coarser_space, Cell("scale", "out", "coarser cells")))
        for change, cell in others:
            try:
                changed = change(case)
            except TerracastError:
                continue  # this series has no such form: nothing that the forecaster could be asked
            self._try(changed, forecaster, [(cell, None)])

    def _from_other_domains(self, cases: Sequence[Case], taught: Sequence[Forecaster]) -> None:
        """Each case by the forecaster that was taught on the next dataset of the same step and horizon."""
        for place, case in enumerate(cases):
            rest = [*range(place + 1, len(cases)), *range(place)]
            other = next((one for one in rest if cases[one].data != case.data and cases[one].step == case.step
                          and cases[one].horizon == case.horizon), None)
            if other is None:
                continue
            named = cases[other].variable
            alike = Case(case.data, named, case.panel.rename({case.variable: named}), case.trained, case.issues,
                         case.horizon, case.season)
            self._try(alike, taught[other], [(Cell("domain", "out", "taught on another dataset"), None)])

    def _batches(self, case: Case, half: np.ndarray) -> Forecaster:
        if self.candidate.teach is None:
            return self._ready()
        return self.candidate.teach(case.training().isel(node=np.flatnonzero(half)), case)

    def _ready(self) -> Forecaster:
        if self.candidate.ready is None:
            raise AssertionError("a candidate is ready or can be taught")
        return self.candidate.ready()

    def _try(self, case: Case, forecaster: Forecaster, parts: Sequence[tuple[Cell, Mask]], maps: bool = False) -> None:
        try:
            answers = asked(forecaster, case)
        except TerracastError as wrong:
            self.refused += [{"axis": cell.axis, "side": cell.side, "part": cell.part, "data": case.data,
                              "variable": case.variable, "why": wrong.what} for cell, _ in parts]
            return
        self._judge(case, answers, parts, maps)

    def _judge(self, case: Case, answers: np.ndarray, parts: Sequence[tuple[Cell, Mask]], maps: bool = False) -> None:
        own = score(case, answers)
        naive, peer = score(case, seasonal_naive(case)), score(case, ridge(case))
        for cell, mask in parts:
            losses = [_by_issue(one, mask) for one in (own, naive, peer)]
            self.findings.append(ScorecardFinding(cell, BlockPair(case.data, losses[0], losses[1]),
                                                  BlockPair(case.data, losses[0], losses[2])))
        if maps and "lat" in case.panel.coords and case.panel["lat"].dims == ("node",):
            self._remember_nodes(case, own, naive)

    def _remember_nodes(self, case: Case, own: Scores, naive: Scores) -> None:
        errors = (np.nanmean(one.error, axis=(0, 1)) * case.scale for one in (own, naive))
        units = str(case.panel[case.variable].attrs.get("units", ""))
        for name, lat, lon, error, reference in zip(case.panel["node"].values, case.panel["lat"].values,
                                                    case.panel["lon"].values, *errors, strict=True):
            if not np.isfinite([lat, lon, error, reference]).all():
                continue  # nothing to draw
            self.nodes.append({"data": case.data, "variable": case.variable, "units": units, "node": str(name),
                               "lat": float(lat), "lon": float(lon), "error": float(error),
                               "reference_error": float(reference)})


def _by_issue(scores: Scores, mask: Mask) -> np.ndarray:
    """The mean loss at each issue time over the masked leads and nodes; NaN where there is none."""
    error = scores.error if mask is None else np.where(mask, scores.error, np.nan)
    known = np.isfinite(error).sum(axis=(1, 2))
    sums = np.nansum(error, axis=(1, 2))
    return np.where(known > 0, sums / np.maximum(known, 1), np.nan)


def rows_of(card: Scorecard) -> list[dict[str, Any]]:
    """A row for each cell and one (part ``all``) for each side of an axis: skills with intervals, series, refusals."""
    cells = list(dict.fromkeys([finding.cell for finding in card.findings]
                               + [Cell(one["axis"], one["side"], one["part"]) for one in card.refused]))
    rows = []
    for axis in AXES:
        for side in ("in", "out"):
            own = [cell for cell in cells if (cell.axis, cell.side) == (axis, side)]
            for part in ("all", *(cell.part for cell in own)):
                chosen = [one for one in card.findings if (one.cell.axis, one.cell.side) == (axis, side)
                          and part in ("all", one.cell.part)]
                refused = [one for one in card.refused if (one["axis"], one["side"]) == (axis, side)
                           and part in ("all", one["part"])]
                rows.append({"axis": axis, "side": side, "part": part, "method": card.candidate.name,
                             **_figures("seasonal_naive", skill_of([one.naive for one in chosen])),
                             **_figures("ridge", skill_of([one.ridge for one in chosen])), "refused": len(refused)})
    return rows


def _figures(reference: str, skill: Skill | None) -> dict[str, Any]:
    names = (f"skill_{reference}", f"{reference}_low", f"{reference}_high")
    values = (None, None, None) if skill is None else (skill.skill, skill.low, skill.high)
    return {**dict(zip(names, values, strict=True)), "series": 0 if skill is None else skill.series}


def answer(cases: Sequence[Case], name: str, command: str, progress: Progress = lambda done: None,
           simulated: int = WORLDS) -> dict[str, Any]:
    """The whole card in the benches' form, with ``nodes`` for the maps and ``refusals``."""
    if name not in CANDIDATES:
        raise TerracastError(f"no forecaster {name!r}", where="scorecard", expected=" or ".join(CANDIDATES),
                             remedy="name one of them")
    card = Scorecard(CANDIDATES[name], simulated)
    card.run(cases, progress)
    rows = rows_of(card)
    summary = {f"{row['axis']} {row['side']}": row["skill_seasonal_naive"] for row in rows if row["part"] == "all"}
    return {"bench": "scorecard", "data": ", ".join(dict.fromkeys(case.data for case in cases)), "rows": rows,
            "summary": summary, "command": command, "nodes": card.nodes, "refusals": card.refused,
            "protocol": {"forecaster": name, "taught": CANDIDATES[name].teach is not None, "series": len(cases),
                         "skill": "1 - geometric mean over series of the ratio of mean absolute errors",
                         "interval": "90 %, datasets and blocks of issue times redrawn 1000 times",
                         "training_part": "first 65 %", "test_part": "last 20 %"}}
