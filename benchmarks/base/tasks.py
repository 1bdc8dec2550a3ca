"""Figures of the light heads on the frozen base: each beside a plain way to do the same, on the data given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from terracast.benchmarks.base.data import HISTORY, Case, CaseError, cases_of
from terracast.benchmarks.base.files import found
from terracast.benchmarks.base.labelled import labelled_series
from terracast.benchmarks.base.methods import shipped
from terracast.stfm.forecaster import Forecaster
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.stfm.tasks.anomaly import anomaly_scores
from terracast.stfm.tasks.classification import fit_classes, fit_joined
from terracast.stfm.tasks.clustering import cluster
from terracast.stfm.tasks.embedder import Embedder, PlainFeatures, embed_steadily
from terracast.stfm.tasks.imputation import impute
from terracast.stfm.tasks.retrieval import similar_places
from terracast.streams.errors import TerracastError

TASKS = ("imputation", "anomaly", "classification", "clustering", "retrieval")
WINDOWS = 12  # issue times at which nodes are embedded: half in the training part, half in the test part
NODES = 6  # nodes of a case that are embedded
LATELY = 24  # steps before a window's end, half of which must have values
NEIGHBOURS = 3
HIDDEN, LENGTH = 12, 9  # gaps planted in a node, steps of each
ROWS_IMPUTED = 1000
VARIABLES = 2
Row = dict[str, Any]


@dataclass(frozen=True)
class TaskBench:
    """``base`` embeds and forecasts; ``cases`` are the panels, ``labelled`` series with anomaly windows if any."""

    base: Any
    cases: tuple[Case, ...]
    labelled: tuple[tuple[str, xr.Dataset, np.ndarray], ...] = ()

    def imputation(self) -> list[Row]:
        """Gaps planted in the test part: mean absolute error inside them, in units of the node's seasonal error."""
        told: dict[str, list[float]] = {"terracast": [], "seasonal-naive": [], "linear": []}
        inside: list[float] = []
        for case in self.cases:
            panel, hidden, truth = planted(case)
            for name, forecaster in (("terracast", self.base), ("seasonal-naive", SeasonalNaive())):
                made = impute(panel, case.variable, forecaster)
                told[name].append(_scaled(case, made[case.variable].values, truth, hidden))
                if name == "terracast":
                    low, high = made["low"].values[hidden], made["high"].values[hidden]
                    inside.append(float(((truth[hidden] >= low) & (truth[hidden] <= high)).mean()))
            straight = panel[case.variable].interpolate_na("time", fill_value="extrapolate").values
            told["linear"].append(_scaled(case, straight, truth, hidden))
        best = np.array(told["linear"])
        return [{"task": "imputation", "method": name, "figure": "scaled MAE in gaps of 9 steps, geometric mean",
                 "value": float(np.exp(np.mean(np.log(values)))), "better_than_linear": float((values < best).mean()),
                 "coverage80": float(np.mean(inside)) if name == "terracast" else None,
                 "panels": len(self.cases)} for name, values in ((one, np.array(two)) for one, two in told.items())]

    def anomaly(self) -> list[Row]:
        """Labelled series: how well a value's score tells steps inside anomaly windows from those outside."""
        if not self.labelled:
            return []
        methods: dict[str, Forecaster] = {"terracast": self.base, "seasonal-naive": SeasonalNaive()}
        rows = []
        for name, forecaster in methods.items():
            areas = []
            for _, panel, windows in self.labelled:
                start = int(0.15 * panel.sizes["time"])  # the probation of the Numenta benchmark
                scores = anomaly_scores(panel, "value", forecaster, start=start, every=6)[:, 0]
                areas.append(window_area(scores, windows))
            rows.append({"task": "anomaly", "method": name, "figure": "AUROC: highest score of a window against "
                         "that of stretches as long outside, mean of series",
                         "value": float(np.nanmean(areas)), "panels": len(areas)})
        return rows

    def classification(self) -> list[Row]:
        """Windows of the test part by dataset and variable; the head is fitted on windows of the training part."""
        series, early = self._embedded["terracast"][1:]
        deep, plain = (self._embedded[name][0] for name in ("terracast", "plain statistics"))
        rounds, both = self._rounds[early], np.concatenate([deep, plain], axis=1)
        known = series[early].tolist()
        heads = {"terracast": (fit_joined(deep[early], plain[early], known, rounds), both),
                 "embedding alone": (fit_classes(deep[early], known), deep),
                 "plain statistics": (fit_classes(plain[early], known), plain),
                 "plain statistics, penalty chosen": (
                     fit_joined(np.zeros((int(early.sum()), 1)), plain[early], known, rounds),
                     np.concatenate([np.zeros((len(plain), 1)), plain], axis=1))}
        rows = []
        for name, (head, examples) in heads.items():
            right = head.predict(examples[~early]) == series[~early]
            rows.append({"task": "classification", "method": name, "value": float(right.mean()),
                         "figure": f"accuracy over {len(set(series))} series", "panels": len(self.cases)})
        largest = max(np.unique(self._embedded["terracast"][1], return_counts=True)[1])
        rows.append({"task": "classification", "method": "largest class", "panels": len(self.cases),
                     "figure": rows[0]["figure"], "value": float(largest / len(self._embedded["terracast"][1]))})
        return rows

    def clustering(self) -> list[Row]:
        """Nodes, embedded once: do clusters, as many as datasets and variables, find them again?"""
        from sklearn.metrics import adjusted_rand_score

        rows = []
        for name, (embeddings, series, early) in self._embedded.items():
            places, names = _means(embeddings[early], series[early], self._nodes[early])
            clusters = cluster(places, min(len(set(names)), len(places) - 1))
            rows.append({"task": "clustering", "method": name, "panels": len(self.cases),
                         "figure": "adjusted Rand index to dataset and variable",
                         "value": float(adjusted_rand_score(names, clusters.labels))})
        return rows

    def retrieval(self) -> list[Row]:
        """For each node the three most similar places: how many are of its own dataset and variable?"""
        rows = []
        for name, (embeddings, series, early) in self._embedded.items():
            places, names = _means(embeddings[early], series[early], self._nodes[early])
            several = np.flatnonzero([np.sum(names == one) > NEIGHBOURS for one in names])
            nearest = similar_places(places, several, NEIGHBOURS).places
            rows.append({"task": "retrieval", "method": name, "panels": len(self.cases),
                         "figure": f"share of {NEIGHBOURS} neighbours of the same series",
                         "value": float((names[nearest] == names[several][:, None]).mean())})
        chance = np.mean([(np.sum(names == one) - 1) / (len(names) - 1) for one in names[several]])
        return [*rows, {"task": "retrieval", "method": "chance", "figure": rows[0]["figure"],
                        "value": float(chance), "panels": len(self.cases)}]

    @cached_property
    def _nodes(self) -> np.ndarray:
        return np.concatenate([np.tile(_kept(case), WINDOWS) for case in self.cases])

    @cached_property
    def _rounds(self) -> np.ndarray:
        return np.concatenate([np.repeat(np.arange(WINDOWS), len(_kept(case))) for case in self.cases])

    @cached_property
    def _embedded(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """By method the embeddings (example, width), the series' names, and which examples are early."""
        names = np.concatenate([np.repeat(f"{case.data}: {case.variable}", WINDOWS * len(_kept(case)))
                                for case in self.cases])
        early = np.concatenate([np.repeat(np.arange(WINDOWS) < WINDOWS // 2, len(_kept(case)))
                                for case in self.cases])
        methods: Mapping[str, Embedder] = {"terracast": self.base, "plain statistics": PlainFeatures()}
        return {name: (np.concatenate([_embeddings(case, one) for case in self.cases]), names, early)
                for name, one in methods.items()}


def answer(paths: Sequence[Path], command: str, progress: Callable[[int], None] = lambda done: None,
           base: Any = None) -> dict[str, Any]:
    """Rows by task and method on the first variables of every dataset, and on labelled series where there are any."""
    cases, left_out = [], {}
    for path in found(paths):
        try:
            cases += [case for case in cases_of(path, nodes=NODES, issues=1, variables=VARIABLES)[0]
                      if case.trained > 100]
        except TerracastError as wrong:
            left_out[path.name] = wrong.what
    if len(cases) < 2:
        raise CaseError(f"{len(cases)} series", where="bench base --tasks", expected="at least two of 150 rows",
                        remedy="name more data")
    bench = TaskBench(base or shipped(), tuple(cases), tuple(labelled_series(paths)))
    rows: list[Row] = []
    for task in TASKS:
        rows += getattr(bench, task)()
        progress(1)
    data = ", ".join(dict.fromkeys(case.data for case in cases))
    summary = {row["task"]: row["value"] for row in rows if row["method"] == "terracast"}
    return {"bench": "base", "data": data, "rows": rows, "summary": summary, "command": command,
            "protocol": {"name": "tasks", "variables_of_a_dataset": VARIABLES, "nodes": NODES, "windows": WINDOWS,
                         "looks": 4, "training_part": "first 65 %", "left_out": left_out,
                         "labelled_series": [name for name, _, _ in bench.labelled]}}


def planted(case: Case) -> tuple[xr.Dataset, np.ndarray, np.ndarray]:
    """The newest rows of a case with gaps cut into every node, which values were hidden, and the values (time, node).

    Gaps begin at the same steps for all nodes: a network without values is the hardest to fill.
    """
    panel = case.panel.isel(time=slice(-ROWS_IMPUTED, None))
    truth = panel[case.variable].transpose("time", "node").values.astype("float64")
    length = min(LENGTH, max(1, len(truth) // 40))
    first = np.linspace(0.4 * len(truth), len(truth) - 2 * length, HIDDEN).astype(int)
    hidden = np.zeros(truth.shape, bool)
    hidden[(first[:, None] + np.arange(length)).ravel()] = True
    holed = np.where(hidden, np.nan, truth)
    return panel.assign({case.variable: (("time", "node"), holed, panel[case.variable].attrs)}), \
        hidden & np.isfinite(truth), truth


def window_area(scores: np.ndarray, windows: np.ndarray) -> float:
    """AUROC of the highest score in each anomaly window against that of stretches of their mean length outside.

    ``windows`` (window, 2): first and last row. NaN where there is nothing to tell apart.

    >>> window_area(np.array([0.0, 1.0, 9.0, 1.0, 0.0, 2.0]), np.array([[2, 3]]))
    1.0
    """
    outside = np.isfinite(scores)
    inner = []
    for first, last in windows:
        own = scores[first:last + 1]
        outside[first:last + 1] = False
        if np.isfinite(own).any():
            inner.append(np.nanmax(own))
    length = int(np.mean(windows[:, 1] - windows[:, 0]) + 1) if len(windows) else 1
    outer = [scores[start:start + length].max() for start in range(0, len(scores) - length + 1, length)
             if outside[start:start + length].all()]
    if not inner or not outer:
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([1] * len(inner) + [0] * len(outer), [*inner, *outer]))


def _kept(case: Case) -> np.ndarray:
    return np.arange(min(NODES, case.values.shape[1]))


def _embeddings(case: Case, embedder: Embedder) -> np.ndarray:
    rows = np.concatenate([_observed_rows(case, case.trained // 2, case.trained),
                           _observed_rows(case, int(0.82 * len(case.values)), len(case.values))])
    panel = case.panel.isel(node=_kept(case))
    return np.concatenate([embed_steadily(embedder, panel.isel(time=slice(max(0, row + 1 - HISTORY), row + 1)),
                                          panel["time"].values[row]) for row in rows])


def _observed_rows(case: Case, first: int, last: int) -> np.ndarray:
    """``WINDOWS / 2`` rows from ``first`` to ``last`` - 1, spread over those that have values right before them."""
    told = np.isfinite(case.values[:, _kept(case)]).any(axis=1).cumsum()
    rows = np.arange(max(first, LATELY), last)
    lately = rows[told[rows] - told[rows - LATELY] > LATELY // 2]
    rows = lately if len(lately) else rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, WINDOWS // 2).astype(int)])


def _means(embeddings: np.ndarray, series: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One embedding a node: the mean over its windows, and the series it belongs to."""
    keys = np.array([f"{name} {node}" for name, node in zip(series, nodes, strict=True)])
    unique, first = np.unique(keys, return_index=True)
    return np.stack([embeddings[keys == key].mean(axis=0) for key in unique]), series[first]


def _scaled(case: Case, made: np.ndarray, truth: np.ndarray, hidden: np.ndarray) -> float:
    """Mean absolute error over hidden values, node by node, in units of the node's seasonal error."""
    error = np.where(hidden, np.abs(made - truth), np.nan) / case.scale
    return float(max(np.nanmean(error), 1e-6))
