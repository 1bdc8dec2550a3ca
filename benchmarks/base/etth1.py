"""The protocol of the long-term forecasting papers on ETTh1: 512 hours to 96, at every hour of the test part.

Rows 0 … 8639 train, 8640 … 11519 validate, 11520 … 14399 test (12, 4 and 4 months of 30 days); values standardised
by the training part; MSE and MAE over all windows, leads and channels. The point forecast of the MSE is the mean of
the forecast quantiles, that of the MAE the median.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from terracast.benchmarks.base.data import Case, CaseError
from terracast.benchmarks.base.files import panel_of
from terracast.benchmarks.base.methods import MEDIAN, asked, fitted_ridge, last_value, shipped
from terracast.stfm.forecaster import QUANTILES, Forecaster

TRAINED, VALIDATED, TESTED = 8640, 11520, 14400
HISTORY, HORIZON, SEASON = 512, 96, 24
STRIDE_OF_CHOICE = 24  # validation windows by which channels are forecast apart or together
# as published, for larger models; none of them was run here
PUBLISHED = ({"method": "published: Time-MoE 50M zero-shot (Shi et al. 2025)", "mse": 0.357, "mae": 0.382},
             {"method": "published: Granite TTM r2 zero-shot (Ekambaram et al. 2024)", "mse": 0.363, "mae": None})
Answerer = Callable[[Case], np.ndarray]


@dataclass(frozen=True)
class Etth1Bench:
    """The file, and how many hours lie between two windows (1: all of them)."""

    path: Path
    stride: int = 1

    def case(self, first: int = VALIDATED, last: int = TESTED, stride: int | None = None) -> Case:
        """Windows whose labels lie in rows ``first`` … ``last`` - 1; the seven channels are nodes."""
        panel = panel_of(self.path)
        channels = list(panel.data_vars)
        values = np.concatenate([panel[name].values for name in channels], axis=1)[:TESTED]
        if len(values) < TESTED:
            raise CaseError(f"{len(values)} rows", where=self.path.name, expected=f"{TESTED} hourly rows",
                            remedy="give ETTh1.csv whole")
        values = (values - values[:TRAINED].mean(axis=0)) / values[:TRAINED].std(axis=0)
        whole = xr.Dataset({"value": (("time", "node"), values, {"units": "1", "long_name": "standardised value"})},
                           {"time": panel["time"].values[:TESTED], "node": list(map(str, channels))},
                           {**panel.attrs, "domain": "energy", "kind": "sensor"})
        issues = np.arange(first - 1, last - HORIZON, stride or self.stride)
        return Case(self.path.stem, "value", whole, TRAINED, issues, HORIZON, SEASON)

    def answer(self, command: str, progress: Callable[[int], None] = lambda done: None) -> dict[str, Any]:
        """Rows of the shipped base, seasonal naive, last value and ridge, and the published marks."""
        test = self.case()
        base, how = self.chosen(shipped())
        errors_of: dict[str, dict[str, float]] = {}
        methods: dict[str, Answerer] = {"terracast": base, "terracast, all the history that it wants": whole,
                                        "seasonal-naive": seasonal, "last-value": last_value,
                                        "ridge": long_ridge}
        for name, method in methods.items():
            errors_of[name] = errors(test, method(test))
            progress(1)
        own, peer = (errors_of[name] for name in ("terracast", "ridge"))
        return {"bench": "base", "data": test.data, "command": command,
                "rows": [*({"method": name, **told} for name, told in errors_of.items()), *PUBLISHED],
                "protocol": {"name": "etth1", "history": HISTORY, "horizon": HORIZON, "windows": len(test.issues),
                             "stride": self.stride, "split": "rows 0-8639, 8640-11519, 11520-14399",
                             "standardised": "by the training part", "channels": how,
                             "points": "mean of the quantiles for MSE, median for MAE"},
                "summary": {**own, "mse_of_ridge": peer["mse"], "first_mark_0.43_reached": own["mse"] <= 0.43}}

    def chosen(self, forecaster: Forecaster) -> tuple[Answerer, str]:
        """Channels together in one panel, or each alone: what had the lower MSE on the validation part."""
        check = self.case(TRAINED, VALIDATED, STRIDE_OF_CHOICE)
        ways: dict[str, Answerer] = {"together": lambda case: asked(forecaster, case, HISTORY),
                                     "apart": lambda case: apart(forecaster, case)}
        told = {name: errors(check, way(check))["mse"] for name, way in ways.items()}
        best = min(told, key=lambda name: told[name])
        return ways[best], f"{best}, chosen on the validation part ({told})"


def apart(forecaster: Forecaster, case: Case, history: int | None = HISTORY) -> np.ndarray:
    """Each node asked about alone."""
    alone = [asked(forecaster, replace(case, panel=case.panel.isel(node=[node])), history)
             for node in range(case.values.shape[1])]
    return np.concatenate(alone, axis=2)


def whole(case: Case) -> np.ndarray:
    """The shipped base with channels together and more history than the protocol allows."""
    return asked(shipped(), case)


def seasonal(case: Case) -> np.ndarray:
    """The last day, again and again; all quantiles are the same."""
    rows = case.issues[:, None] - SEASON + 1 + np.arange(case.horizon) % SEASON
    return np.asarray(np.repeat(case.values[rows][..., None], len(QUANTILES), axis=-1))


def long_ridge(case: Case) -> np.ndarray:
    """The ridge peer with the same history, fitted on the training part."""
    return fitted_ridge(case, HISTORY).forecast(case.values, case.issues)


def errors(case: Case, values: np.ndarray) -> dict[str, float]:
    """MSE of the forecast's mean and MAE of its median over windows, leads and channels.

    >>> stamps = np.datetime64("2020-01-01", "ns") + np.arange(300) * np.timedelta64(1, "h")
    >>> panel = xr.Dataset({"x": (("time", "node"), np.zeros((300, 1)))}, {"time": stamps, "node": ["a"]},
    ...                    {"step": "1h"})
    >>> case = Case("d", "x", panel, 200, np.array([250]), 2, 24)
    >>> errors(case, np.full((1, 2, 1, 11), 2.0))
    {'mse': 4.0, 'mae': 2.0}
    """
    labels = case.labels()
    return {"mse": float(np.square(mean_of(values) - labels).mean()),
            "mae": float(np.abs(values[..., MEDIAN] - labels).mean())}


def mean_of(values: np.ndarray) -> np.ndarray:
    """The mean of a law given by its quantiles: each level stands for the mass that is nearest to it.

    >>> float(mean_of(np.linspace(0, 10, 11))) == 5.0
    True
    """
    levels = np.array(QUANTILES)
    edges = np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2, [1.0]])
    return np.asarray(values @ np.diff(edges))
