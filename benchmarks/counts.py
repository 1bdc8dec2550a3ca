"""Bench of counts: forecasts of events on cells beside seasonal naive and the rate of the past, by laws of counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import poisson

from terracast.adapt.evaluation.scores import crps, inside
from terracast.stfm.bases import fit_base
from terracast.stfm.forecaster import QUANTILES, Request
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.errors import ReadError
from terracast.streams.kinds.counts import as_counts, expected_of, is_counted
from terracast.streams.panel import step_of
from terracast.streams.sources.kind_start import kind_start

TRAINED, TESTED = 0.65, 0.8  # shares of the rows: learnt from before the first, scored after the second
ISSUES = 60
ALL, CHOSEN, CONFIRMED = "all", "chosen on", "confirmed on"
FEWEST_CELLS = 10  # that are halved
RARE = 1e-3  # a mean below which none is taken, so that a zero rate costs much but not everything
DAY, WEEK = pd.Timedelta("1D"), pd.Timedelta("7D")


@dataclass(frozen=True)
class CountBench:
    """The protocol: which counts, how far ahead, and the issue times; everything before each issue is known."""

    panel: xr.Dataset
    target: str
    horizon: int
    issues: np.ndarray

    @classmethod
    def of(cls, data: Path, target: str | None = None) -> CountBench:
        """The counts of a file, as a source reads them; a day ahead below a day, a week of days, else four steps."""
        start = kind_start(data, "bench", {})
        counted = [] if start is None else [str(name) for name, held in start.panel.data_vars.items()
                                            if is_counted(held)]
        if start is None or not counted or (target is not None and target not in counted):
            raise ReadError("no counts" if not counted else f"no counts {target!r}", where=str(data),
                            expected="events, or movers on cells", remedy="name such a file, and one of its counts")
        step = pd.Timedelta(step_of(start.panel))
        horizon = max(round(DAY / step), 1) if step < DAY else 7 if step < WEEK else 4
        rows = start.panel.sizes["time"]
        first, last = int(TESTED * rows), rows - 1 - horizon
        if last <= first:
            raise ReadError(f"{rows} steps", where=str(data), expected=f"{6 * horizon} steps or more",
                            remedy="give a longer file")
        return cls(start.panel, target or counted[0], horizon,
                   np.unique(np.linspace(first, last, ISSUES).astype(int)))

    @property
    def labels(self) -> np.ndarray:
        """What came (issue, lead, node)."""
        values = self.panel[self.target].values.astype("float64")
        return np.stack([values[row + 1:row + 1 + self.horizon] for row in self.issues])

    def half(self, confirmed: bool) -> CountBench:
        """Half of the cells, drawn at random once for all: the settings were chosen on the one, not on the other."""
        nodes = self.panel.sizes["node"]
        drawn = np.random.default_rng(0).permutation(nodes)
        mine = drawn[nodes // 2:] if confirmed else drawn[:nodes // 2]
        return replace(self, panel=self.panel.isel(node=np.sort(mine)))

    def answer(self, data: str, command: str, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """The bench's one form; ``terracast`` is the base that `init` chooses for counts."""
        rows: list[dict[str, Any]] = []
        parts: dict[str, CountBench] = {ALL: self}
        if self.panel.sizes["node"] >= FEWEST_CELLS:
            parts |= {CHOSEN: self.half(False), CONFIRMED: self.half(True)}
        for part, bench in parts.items():
            labels = bench.labels
            for name, method in METHODS.items():
                quantiles, mean = method(bench)
                rows.append({"method": name, "cells": part, "data": data, "target": self.target}
                            | _scored(quantiles, mean, labels))
                progress(1)
        summary: dict[str, float] = {}
        for part in parts:
            by_name = {str(row["method"]): row for row in rows if row["cells"] == part}
            summary |= {f"{figure}_ratio_to_{name} ({part})": by_name["terracast"][figure] / row[figure]
                        for name, row in by_name.items() if name != "terracast"
                        for figure in ("poisson_deviance", "crps")}
        return {"bench": "counts", "data": data, "rows": rows, "summary": summary, "command": command,
                "protocol": {"nodes": self.panel.sizes["node"], "steps": self.panel.sizes["time"],
                             "step": str(self.panel.attrs["step"]), "horizon": self.horizon,
                             "issue_times": len(self.issues), "trained_on": TRAINED, "tested_from": TESTED,
                             "mean_events": float(np.nanmean(labels)),
                             "poisson_deviance": "of the mean that whole-number quantiles tell; of mean-rate "
                             "its own", "crps": "twice the mean pinball loss of 11 quantiles"}}


def _scored(quantiles: np.ndarray, mean: np.ndarray | None, labels: np.ndarray) -> dict[str, float]:
    told = as_counts(quantiles)
    expected = np.maximum(expected_of(told, QUANTILES) if mean is None else mean, RARE)
    seen = np.isfinite(labels)
    counts = np.where(seen, labels, 0.0)
    loss = np.where(counts > 0, counts * np.log(np.maximum(counts, 1e-9) / expected), 0.0) - (counts - expected)
    return {"poisson_deviance": float(2 * loss[seen].mean()),
            "crps": float(np.nanmean(crps(told, labels, QUANTILES))),
            "coverage80": float(np.nanmean(inside(told, labels, QUANTILES))),
            "lowest": float(told.min())}


def _request(bench: CountBench) -> Request:
    return Request(bench.target, bench.panel["time"].values[0], bench.horizon, step_of(bench.panel), QUANTILES)


def _fitted(name: str, bench: CountBench) -> tuple[np.ndarray, np.ndarray | None]:
    past = bench.panel[[bench.target]].isel(time=slice(0, int(TRAINED * bench.panel.sizes["time"])))
    model: Any = fit_base(name, past, _request(bench), steps=800, seed=1)
    made = model.forecast_many(bench.panel[[bench.target]], _request(bench), bench.panel["time"].values[bench.issues])
    return made[bench.target].values.astype("float64"), None


def _seasonal(bench: CountBench) -> tuple[np.ndarray, np.ndarray | None]:
    made = []
    for row in bench.issues:
        known = bench.panel[[bench.target]].isel(time=slice(max(0, int(row) - 800), int(row) + 1))
        request = _request(bench).at(bench.panel["time"].values[row])
        made.append(SeasonalNaive().forecast(known, request)[bench.target].values[0])
    return np.stack(made).astype("float64"), None


def _mean_rate(bench: CountBench) -> tuple[np.ndarray, np.ndarray | None]:
    """Each cell's mean of all that is known, and a Poisson law of it."""
    values = bench.panel[bench.target].values.astype("float64")
    mean = np.stack([np.nanmean(values[:row + 1], axis=0) + np.zeros((bench.horizon, 1)) for row in bench.issues])
    return np.moveaxis(np.stack([poisson.ppf(level, mean) for level in QUANTILES]), 0, -1), mean


METHODS: Mapping[str, Callable[[CountBench], tuple[np.ndarray, np.ndarray | None]]] = {
    "terracast": lambda bench: _fitted("counts", bench), "seasonal-naive": _seasonal, "mean-rate": _mean_rate}
