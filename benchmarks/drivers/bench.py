"""Bench of drivers: chosen ones beside none, all, correlation- and Granger-picked, by truth and by error."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from benchmarks.drivers.peers import correlation_picked, granger_picked
from benchmarks.drivers.worlds import HORIZON, MAX_LAG, TARGET, World, world
from causal.company import with_company
from causal.discover import discover
from causal.drivers import choose_drivers
from causal.graph import CausalGraph, Driver, Series
from causal.indirect import with_indirect
from causal.knowledge import Knowledge
from causal.marks import with_marks
from causal.one_way import settled
from causal.pays import Ablation, Paid, paying_drivers
from causal.prepare import Prepared
from causal.thorough import Redraws, discover_thoroughly, usual_search
from causal.windows import steady_drivers, window_graphs

REFITS = 4
ROTATIONS = 6
METHODS = ("none", "all", "correlation-picked", "var-granger", "causal-only", "terracast")


@dataclass(frozen=True)
class Ridge:
    """A light forecaster: the target's last ``memory`` values and each driver's last published ones, by ridge.

    Leads 1..``horizon``; ``published``: how late each domain is (steps); at issue time t a series is read up to
    t - its delay and nothing after it. One linear model a lead.
    """

    published: dict[str, int]
    horizon: int
    memory: int = 8
    penalty: float = 1.0
    calendar: np.ndarray | None = None

    def losses(self, prepared: Prepared, target: Series, drivers: Sequence[Series], fit: slice,
               test: slice) -> np.ndarray:
        """Mean absolute error over leads for each issue time in ``test`` (positions), fitted on ``fit`` only.

        Labels of the fit end before the first issue time of the test; NaN where a label is missing; a
        missing input is the last value known.
        """
        design = self._inputs(prepared, target, drivers)
        effect = prepared.column(target)
        errors = []
        for lead in range(1, self.horizon + 1):
            label = np.concatenate([effect[lead:], np.full(lead, np.nan)])
            own_delay = self.published.get(target.domain, 0)
            last = min(fit.stop, test.start - self.horizon - own_delay)
            rows = np.arange(fit.start, last)
            rows = rows[np.isfinite(design[rows]).all(axis=1) & np.isfinite(label[rows])]
            known, wanted = design[rows], label[rows]
            gram = known.T @ known + self.penalty * np.eye(known.shape[1])
            weights = np.linalg.solve(gram, known.T @ wanted)
            errors.append(np.abs(design[test] @ weights - label[test]))
        return np.asarray(np.mean(errors, axis=0))

    def rotated(self, prepared: Prepared, target: Series, drivers: Sequence[Series], stop: int) -> np.ndarray:
        """Losses at the positions before ``stop``, each ``ROTATIONS``-th in a row by a model fitted on the others.

        Left out of a fit is also what lies within a horizon and the memory of the part it is judged on.
        """
        design = self._inputs(prepared, target, drivers)[:stop]
        effect = prepared.column(target)[:stop]
        ahead = np.stack([np.concatenate([effect[lead:], np.full(lead, np.nan)])
                          for lead in range(1, self.horizon + 1)], axis=1)
        whole = np.isfinite(design).all(axis=1)
        taught = whole & np.isfinite(ahead).all(axis=1)
        near = self.horizon + self.memory + max(self.published.values(), default=0)
        losses = np.full(stop, np.nan)
        for part in np.array_split(np.arange(stop), ROTATIONS):
            rows = taught.copy()
            rows[max(0, part[0] - near):part[-1] + near] = False
            known = design[rows]
            gram = known.T @ known + self.penalty * np.eye(known.shape[1])
            told = design[part] @ np.linalg.solve(gram, known.T @ ahead[rows])
            losses[part] = np.abs(told - ahead[part]).mean(axis=1)
        return losses

    def _inputs(self, prepared: Prepared, target: Series, drivers: Sequence[Series]) -> np.ndarray:
        columns = [np.ones(len(prepared.time)), *(() if self.calendar is None else self.calendar.T)]
        for series in dict.fromkeys((target, *drivers)):
            delay, values = self.published.get(series.domain, 0), _last_known(prepared.column(series))
            columns += [np.concatenate([np.full(back, np.nan), values[:len(values) - back]])
                        for back in range(delay, delay + self.memory)]
        return np.stack(columns, axis=1)


def _last_known(values: np.ndarray) -> np.ndarray:
    places = np.where(np.isfinite(values), np.arange(len(values)), -1)
    return np.append(values, np.nan)[np.maximum.accumulate(places)]


@dataclass(frozen=True)
class Protocol:
    """How a world is used: discovery and fit on the first two fifths, ablation on the next two, error on the last."""

    alpha: float = 0.01
    window_alpha: float = 0.05  # short windows have less power, and the link is only to be met again
    paying_alpha: float = 0.05
    draws: int = 20
    windows: int = 4
    min_memory: float | None = 0.2
    knowledge: Knowledge | None = None
    max_lag: int = MAX_LAG
    horizon: int = HORIZON

    def parts(self, rows: int) -> tuple[slice, slice, slice]:
        """Positions for discovery, ablation and the final error."""
        half, most = 2 * rows // 5, 4 * rows // 5
        return slice(0, half), slice(half, most), slice(most, rows - self.horizon)


@dataclass
class Tally:
    """Counts over worlds of one method."""

    right: int = 0
    used: int = 0
    useful: int = 0
    ratios: list[float] = field(default_factory=list)

    def add(self, used: set[Series], useful: frozenset[Series], ratio: float) -> None:
        """One world: what was used, what should have been, the error relative to using none."""
        self.right += len(used & useful)
        self.used += len(used)
        self.useful += len(useful)
        self.ratios.append(ratio)

    def row(self, name: str) -> dict[str, Any]:
        """The method's row."""
        return {"method": name, "precision": self.right / self.used if self.used else None,
                "recall": self.right / self.useful, "used": self.used, "mae_ratio": float(np.mean(self.ratios)),
                "worst_mae_ratio": max(self.ratios)}


def choices(made: World, protocol: Protocol, target: Series = TARGET) -> dict[str, tuple[Driver, ...]]:
    """What each method would use, from the data before the last fifth only."""
    first, middle, _ = protocol.parts(len(made.prepared.time))
    seen, panels = made.early(first)
    others = [one for one in seen.series if one.domain != target.domain]
    causal, paid = terracast_choice(made, protocol, target, seen, panels, middle)
    return {"none": (), "all": tuple(Driver(one, target, 1, 0.0, True, "all") for one in others),
            "correlation-picked": correlation_picked(seen, target, max_lag=protocol.max_lag, alpha=protocol.alpha),
            "var-granger": granger_picked(seen, target, max_lag=protocol.max_lag, alpha=protocol.alpha),
            "causal-only": tuple(one for one in causal if one.used),
            "terracast": tuple(one for one in paid.drivers if one.used)}


def terracast_choice(made: World, protocol: Protocol, target: Series, seen: Prepared,
                     panels: Mapping[str, xr.Dataset], middle: slice) -> tuple[tuple[Driver, ...], Paid]:
    """Stable over draws and windows, published early enough, and paying: as ``terracast discover`` chooses."""
    def find(known: Knowledge) -> CausalGraph:
        return discover_thoroughly(panels, usual_search(protocol.max_lag, protocol.alpha), knowledge=known, whole=seen,
                                   redraws=Redraws(protocol.draws))

    graph, known = settled(find, target, protocol.knowledge or Knowledge())
    again = partial(discover, max_lag=protocol.max_lag, alpha=protocol.window_alpha, knowledge=known)
    choose = partial(choose_drivers, graph, published=made.published, horizon=protocol.horizon,
                     min_memory=protocol.min_memory)
    steady = steady_drivers(with_indirect(graph, target, choose), window_graphs(seen, again, windows=protocol.windows))
    steady = with_marks(graph, with_company(graph, steady), panels, target, made.published)
    model = Ridge(made.published, protocol.horizon, calendar=made.calendar)
    return steady, paying_drivers(
        steady, ablation_of(made, target, slice(0, middle.start), middle, protocol.horizon),
        alpha=protocol.paying_alpha, overlap=protocol.horizon, graph=graph, rotated=lambda drivers: model.rotated(
            made.prepared, target, [one.series for one in drivers], middle.stop))


def ablation_of(made: World, target: Series, fit: slice, test: slice, horizon: int) -> Ablation:
    """The ridge as the model of the ablation, fitted anew before each quarter of it, as service would have."""
    model = Ridge(made.published, horizon, calendar=made.calendar)
    edges = np.linspace(test.start, test.stop, REFITS + 1).astype(int)
    parts = [(slice(fit.start, first), slice(first, last)) for first, last in itertools.pairwise(edges.tolist())]
    return lambda drivers: np.concatenate([
        model.losses(made.prepared, target, [one.series for one in drivers], before, part) for before, part in parts])


def bench_drivers(worlds: int = 12, steps: int = 8760, seed: int = 0, hidden: bool = False,
                  protocol: Protocol | None = None,
                  progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
    """Precision and recall of used drivers over simulated worlds, and the error relative to using none.

    A series counts as rightly used when it is a true cause that is published early enough. The row ``terracast`` is
    our own choice; ``causal-only`` the same without the ablation.
    """
    protocol = protocol or Protocol()
    tally = {name: Tally() for name in METHODS}
    for number in range(worlds):
        made = world(seed + number, steps, hidden)
        _, _, last = protocol.parts(steps)
        model, none = Ridge(made.published, HORIZON), 1.0
        for name, drivers in choices(made, protocol).items():
            used = [one for one in made.prepared.series if one in {driver.series for driver in drivers}]
            loss = float(np.nanmean(model.losses(made.prepared, TARGET, used, slice(0, last.start), last)))
            none = loss if name == "none" else none
            tally[name].add(set(used), made.useful, loss / none)
        progress(1)
    rows = [tally[name].row(name) for name in METHODS]
    ours = rows[-1]
    return {"bench": "drivers", "data": f"{worlds} simulated worlds of {steps} steps",
            "protocol": {"seed": seed, "hidden_cause": hidden, "max_lag": MAX_LAG, "horizon": HORIZON,
                         "alpha": protocol.alpha, "window_alpha": protocol.window_alpha,
                         "paying_alpha": protocol.paying_alpha, "draws": protocol.draws,
                         "windows": protocol.windows, "model": "ridge"},
            "rows": rows,
            "summary": {"precision": ours["precision"], "recall": ours["recall"],
                        **{f"mae_ratio_to_{row['method']}": ours["mae_ratio"] / row["mae_ratio"]
                           for row in rows[:-1]}},
            "command": "python -c 'from benchmarks.drivers.bench import bench_drivers; "
                       f"print(bench_drivers({worlds}))'"}
