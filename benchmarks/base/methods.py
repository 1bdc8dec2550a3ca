"""Methods of the base bench, plain and fitted: each turns a case into quantiles (issue, lead, node, quantile)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.evaluation.scores import crps
from terracast.benchmarks.base.data import HISTORY, Case, windows_of
from terracast.benchmarks.base.ridge import LONGEST, RidgePeer
from terracast.stfm.forecaster import QUANTILES, Forecaster
from terracast.stfm.mlp.forecaster import NativeModel
from terracast.stfm.seasonal_naive import SeasonalNaive
from terracast.streams.errors import TerracastError

MEDIAN = QUANTILES.index(0.5)
NATIVE_STEPS = 300


class MethodError(TerracastError):
    """A method that there is not, or that broke its contract."""


class Method(Protocol):
    """What is benched: fitted on a case's training part or on nothing, asked at all its issue times."""

    def __call__(self, case: Case) -> np.ndarray:
        """Quantiles (issue, lead, node, quantile) in the case's units."""
        ...


@dataclass(frozen=True)
class Scores:
    """Absolute error of the median and CRPS, (issue, lead, node), in units of the node's seasonal error.

    NaN where nothing was observed. A score of a case weighs its nodes evenly.
    """

    error: np.ndarray
    crps: np.ndarray

    @property
    def mase(self) -> float:
        """Mean absolute scaled error."""
        return by_node(self.error)

    @property
    def mean_crps(self) -> float:
        """Mean scaled CRPS."""
        return by_node(self.crps)


def by_node(losses: np.ndarray) -> float:
    """The mean over nodes of each node's mean over issue times and leads.

    >>> by_node(np.array([[[1.0, np.nan]], [[3.0, 5.0]]]))
    3.5
    """
    known = np.isfinite(losses).any(axis=(0, 1))
    return float(np.nanmean(losses[..., known], axis=(0, 1)).mean()) if known.any() else float("nan")


def score(case: Case, values: np.ndarray) -> Scores:
    """Losses of ``values`` against what came. Raises ``MethodError`` for a value that is not a number."""
    labels = case.labels()
    if values.shape != (*labels.shape, len(QUANTILES)) or not np.isfinite(values).all():
        raise MethodError(f"forecast of shape {values.shape} or with a value that is not a number",
                          where=f"{case.data}: {case.variable}", expected=f"finite {(*labels.shape, len(QUANTILES))}",
                          remedy="mend the method")
    return Scores(np.abs(values[..., MEDIAN] - labels) / case.scale, crps(values, labels, QUANTILES) / case.scale)


def asked(forecaster: Forecaster, case: Case, history: int | None = None) -> np.ndarray:
    """A forecaster's answers, with ``forecast_many`` where it has one; it reads what it wants of the past, or the
    newest ``history`` rows alone (then asked one by one)."""
    request = case.request()
    many: Callable[..., xr.Dataset] | None = getattr(forecaster, "forecast_many", None)
    if many is not None and history is None:
        first = max(0, int(case.issues.min()) + 1 - HISTORY)
        panel = case.panel.isel(time=slice(first, int(case.issues.max()) + 1 + case.horizon))
        answers = many(panel, request, case.issue_times)[case.variable]
    else:
        parts = [forecaster.forecast(context, one)[case.variable]
                 for context, one in windows_of(case, history or HISTORY)]
        answers = xr.concat(parts, "issue_time")
    return answers.transpose("issue_time", "lead", "node", "quantile").values.astype("float64")


def seasonal_naive(case: Case) -> np.ndarray:
    """The house's rule, with the history that it wants."""
    request, naive = case.request(), SeasonalNaive()
    rows = 60 * case.season + case.horizon
    answers = [naive.forecast(case.panel.isel(time=slice(max(0, row + 1 - rows), row + 1)), request.at(stamp))
               for row, stamp in zip(case.issues, case.issue_times, strict=True)]
    return np.concatenate([one[case.variable].values for one in answers]).astype("float64")


def last_value(case: Case) -> np.ndarray:
    """The last known value, with the quantiles of that rule's errors on the training part by lead and node."""
    rows = np.where(np.isfinite(case.values), np.arange(len(case.values))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0)
    held = np.where(last >= 0, np.take_along_axis(case.values, np.maximum(last, 0), axis=0),
                    np.nanmedian(case.values[:case.trained], axis=0))
    past = case.values[:case.trained]
    offsets = np.stack([np.nanquantile(past[lead:] - held[:case.trained - lead], QUANTILES, axis=0)
                        for lead in range(1, case.horizon + 1)])  # (lead, quantile, node)
    offsets = np.nan_to_num(offsets - offsets[:, MEDIAN:MEDIAN + 1]).transpose(0, 2, 1)
    return np.asarray(held[case.issues][:, None, :, None] + offsets)


def ridge(case: Case) -> np.ndarray:
    """The ridge peer, fitted on the training part."""
    return fitted_ridge(case).forecast(case.values, case.issues)


def fitted_ridge(case: Case, longest: int = LONGEST) -> RidgePeer:
    """The ridge peer of a case."""
    return RidgePeer.fit(case.values[:case.trained], case.season, case.horizon, QUANTILES, seed=0, longest=longest)


def native(case: Case) -> np.ndarray:
    """The native model, fitted on the training part."""
    return asked(fitted_native(case.training(), case), case)


def fitted_native(panel: xr.Dataset, case: Case, steps: int = NATIVE_STEPS) -> NativeModel:
    """The native model fitted to ``panel`` for the requests of a case."""
    lookback = int(min(168, max(8, panel.sizes["time"] // 4)))
    return NativeModel.fit(panel, case.request(), steps=steps, seed=0, delay=pd.Timedelta(0), lookback=lookback)


@cache
def shipped() -> Forecaster:
    """The pre-trained base. Raises ``MethodError`` where this installation has none."""
    try:
        from terracast.stfm.base.model import Base
    except ImportError as missing:
        raise MethodError("no pre-trained base", where="stfm.base", expected="its weights",
                          remedy="install anew") from missing
    found: Any = Base
    return found.shipped()


def terracast(case: Case) -> np.ndarray:
    """The pre-trained base as it is shipped: it has seen no real data."""
    return asked(shipped(), case)


METHODS: Mapping[str, Method] = {"terracast": terracast, "seasonal-naive": seasonal_naive, "last-value": last_value,
                                 "ridge": ridge, "native": native}
USUAL = ("terracast", "seasonal-naive", "last-value", "ridge")
