"""The ablation of drivers: what each set adds to the forecaster that serves, at issue times that nothing was fitted to.

One forecaster is fitted without drivers, on what was known before the first issue time that is judged. What a set of
drivers adds is a correction of its error (``drivers.driver_correction``), so that all sets share the forecaster.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from terracast.adapt.candidate import rows_at
from terracast.adapt.clock import Moment
from terracast.adapt.evaluation.scores import crps, level
from terracast.adapt.task import ForecastTask
from terracast.causal.graph.graph import Driver, Series
from terracast.drivers.driver_correction import AGES, CLIP, FOLDS, newest_values, ridge_predictions
from terracast.drivers.selection import LEAST_BLOCKS
from terracast.stfm.forecaster import Forecaster, Request
from terracast.stfm.wall_clock import forecast_by_clock

JUDGED = 0.4  # the newest share of the span: models are fitted before it
MOST_ISSUES = 240
MOST_NODES = 24
ForecasterFactory = Callable[[xr.Dataset, Request], Forecaster]
"""Makes the forecaster that serves, under the stream's settings, fitted on a context panel of the target alone."""
Tell = Callable[[float, str], None]


def tell_nobody(share: float, words: str) -> None:
    """A ``Tell`` for whoever does not want to hear."""


@dataclass(frozen=True)
class AblationPlan:
    """What an ablation reads: fitted on issue times ``learnt``, judged at ``judged``, the first of them ``split``.

    All labels of ``learnt`` are about stamps up to the split. ``overlap``: judged issue times that a horizon spans.
    """

    start: np.datetime64
    split: np.datetime64
    learnt: np.ndarray
    judged: np.ndarray
    overlap: int

    @property
    def spacing(self) -> np.timedelta64:
        """Time between two judged issue times."""
        return np.timedelta64(self.judged[1] - self.judged[0], "ns")


def plan_ablation(watched: ForecastTask, first: np.datetime64, now: np.datetime64,
                  judged: float = JUDGED) -> AblationPlan | str:
    """The plan for an ablation on what is known from ``first`` to ``now``, or why the span is too short, in words.

    At most ``MOST_ISSUES`` issue times in each part, spread evenly and so that every hour of the day at which
    forecasts are issued takes part.

    Parameters
    ----------
    watched : ForecastTask
        What is forecast: its horizon, its cadence, and how much of the past the forecaster sees.
    first, now : numpy.datetime64
        The first stamp that may be read, and the instant as known at which labels are read.
    judged : float
        The newest share of the span; the forecaster is fitted before it.
    """
    horizon, cadence = watched.request.leads[-1], watched.cadence
    split = now - np.timedelta64(int(judged * (now - first).astype("timedelta64[ns]").astype("int64")), "ns")
    split = pd.Timestamp(split).ceil(pd.Timedelta(cadence)).to_datetime64().astype("datetime64[ns]")
    begin = split - (split - first - watched.history) // cadence * cadence
    needed = 2 * watched.history + 4 * horizon, (LEAST_BLOCKS + 1) * max(horizon, cadence)
    if split - first < needed[0] or now - split < needed[1]:
        return (f"found, but not tried: {_days(now - first)} of history are too short to fit on {_days(needed[0])} "
                f"and to judge on {_days(needed[1])}, and nothing is used untried")
    at = _spread(split, now - horizon, cadence)
    return AblationPlan(first, split, _spread(begin, split - horizon, cadence), at,
                        math.ceil(horizon / (at[1] - at[0])))


def _spread(first: np.datetime64, last: np.datetime64, cadence: np.timedelta64) -> np.ndarray:
    stride = max(1, math.ceil((last - first) / cadence / MOST_ISSUES))
    a_day = max(1, round(np.timedelta64(1, "D") / cadence))
    while stride > 1 and math.gcd(stride, a_day) > 1:
        stride += 1
    return np.arange(first, last + np.timedelta64(1, "ns"), stride * cadence)


@dataclass(frozen=True)
class Part:
    """Forecasts of one part: ``values`` (issue, lead, node, quantile), ``labels`` (issue, lead, node), and ``inputs``
    by driver (issue, node, age)."""

    values: np.ndarray
    labels: np.ndarray
    inputs: dict[Series, np.ndarray]


class Ablation:
    """Losses of forecasts with any set of drivers, for ``drivers.selection.select_by_ablation``.

    Networks of more than ``MOST_NODES`` nodes are judged on so many, evenly picked. Costs one fit, a forecast an issue
    time, then milliseconds a set.

    Parameters
    ----------
    watched : ForecastTask
        What is forecast, with all drivers that may be asked for.
    moment : Moment
        As known at which the labels are read; each forecast reads what was known at its own issue time.
    plan : AblationPlan
        What is learnt from, and what is judged.
    make : ForecasterFactory
        Makes the forecaster that serves; it is fitted once, on what was known at the split.
    tell : Tell
        Hears the share that is done.
    """

    def __init__(self, watched: ForecastTask, moment: Moment, plan: AblationPlan, make: ForecasterFactory, *,
                 tell: Tell = tell_nobody) -> None:
        self.watched = replace(watched, nodes=watched.nodes[::math.ceil(len(watched.nodes) / MOST_NODES)])
        self.plan, request = plan, self.watched.request
        tell(0.0, "fitting a small model")
        then = moment.earlier(plan.split)
        model = make(self.watched.panel(then, plan.start)[[request.target]], request)
        self._learnt = self._part(moment, model, plan.learnt, self.watched.labels(then, plan.start),
                                  lambda share: tell(0.3 + 0.4 * share, "forecasts to learn from"))
        self._judged = self._part(moment, model, plan.judged, self.watched.labels(moment, plan.split),
                                  lambda share: tell(0.7 + 0.3 * share, "forecasts to judge"))
        self._lead_scale = _typical(np.abs(self._errors(self._learnt)), (0, 2))[:, None]
        self._node_scale = _typical(np.abs(self._errors(self._learnt)) / self._lead_scale, (0, 1))

    def losses(self, drivers: tuple[Driver, ...]) -> np.ndarray:
        """Mean CRPS over leads and nodes at each judged issue time, each lead and node in units of its usual error;
        NaN where no label came."""
        return self._loss(self._shift(drivers))

    def absolute_errors(self, drivers: tuple[Driver, ...]) -> np.ndarray:
        """Absolute error of the median at each judged issue time, (issue, lead, node); NaN where no label came."""
        return np.abs(self._errors(self._judged) - self._shift(drivers))

    def cross_fitted(self, drivers: tuple[Driver, ...]) -> np.ndarray:
        """``losses``, but what a set adds is learnt from all issue times that are not near the one judged, later ones
        too: as much as the model in service will have learnt from. It proves nothing; it compares sets."""
        used = _used(drivers)
        parts, nodes = (self._learnt, self._judged), self._judged.labels.shape[2]
        design = np.concatenate([_design(part, used) for part in parts])
        centre, width = design.mean(axis=0), design.std(axis=0)
        design = (design - centre) / np.where(width > 0, width, 1.0)
        wanted = np.concatenate([self._wanted(part) for part in parts])
        issues, first = len(self.plan.learnt) + len(self.plan.judged), len(self.plan.learnt)
        shift = np.empty((len(self.plan.judged), wanted.shape[1], nodes))
        for fold in np.array_split(np.arange(first, issues), FOLDS):
            near = (np.arange(issues) >= fold[0] - self.plan.overlap) & (
                np.arange(issues) <= fold[-1] + self.plan.overlap)
            told = ridge_predictions(design[np.repeat(~near, nodes)], wanted[np.repeat(~near, nodes)],
                                     design[np.repeat(np.isin(np.arange(issues), fold), nodes)])
            shift[fold - first] = told.reshape(len(fold), nodes, -1).transpose(0, 2, 1) * self._scale
        return self._loss(shift)

    @property
    def _scale(self) -> np.ndarray:
        return np.asarray(self._lead_scale * self._node_scale)

    def _shift(self, drivers: tuple[Driver, ...]) -> np.ndarray:
        """What the set adds to the judged forecasts, learnt before the split, (issue, lead, node)."""
        used = _used(drivers)
        known, asked = (_design(part, used) for part in (self._learnt, self._judged))
        centre, width = known.mean(axis=0), known.std(axis=0)
        known, asked = ((one - centre) / np.where(width > 0, width, 1.0) for one in (known, asked))
        told = ridge_predictions(known, self._wanted(self._learnt), asked)
        return np.asarray(told.reshape(len(self.plan.judged), -1, told.shape[1]).transpose(0, 2, 1) * self._scale)

    def _wanted(self, part: Part) -> np.ndarray:
        """Errors in units of the usual one, (issue × node, lead)."""
        errors = np.clip(self._errors(part) / self._scale, -CLIP, CLIP)
        return np.asarray(errors.transpose(0, 2, 1).reshape(-1, errors.shape[1]))

    def _loss(self, shift: np.ndarray) -> np.ndarray:
        loss = crps(self._judged.values + shift[..., None], self._judged.labels, self.watched.request.quantiles)
        return np.array([mean_known(one) for one in loss / self._scale])

    def _errors(self, part: Part) -> np.ndarray:
        """What the median was too low by, (issue, lead, node)."""
        return part.labels - level(part.values, self.watched.request.quantiles, 0.5)

    def _part(self, moment: Moment, model: Forecaster, issue_times: np.ndarray, labels: xr.DataArray,
              tell: Callable[[float], None]) -> Part:
        request = self.watched.request
        names = [Series(domain, name) for domain, held in self.watched.drivers.items() for name in held]
        values, inputs = [], {one: np.empty((len(issue_times), len(self.watched.nodes), len(AGES))) for one in names}
        for place, issue_time in enumerate(issue_times):
            tell(place / len(issue_times))
            then = moment.earlier(issue_time)
            context = self.watched.panel(then, then.now - self.watched.history)
            forecast = forecast_by_clock(model, context[[request.target]], request.at(issue_time))
            values.append(forecast[request.target].values[0])
            for one in names:
                inputs[one][place] = newest_values(context[str(one)].values)
        known = np.stack([rows_at(labels, request.at(one).valid_times) for one in issue_times])
        return Part(np.stack(values).astype("float64"), known, inputs)


def _used(drivers: tuple[Driver, ...]) -> list[Series]:
    return sorted({one.series for one in drivers})


def _design(part: Part, used: list[Series]) -> np.ndarray:
    """Inputs of the set, (issue × node, inputs)."""
    rows = part.labels.shape[0] * part.labels.shape[2]
    return np.concatenate([np.empty((rows, 0)), *(part.inputs[one].reshape(rows, -1) for one in used)], axis=1)


def _typical(errors: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Mean over ``axes`` of what is known; where nothing is or it is 0, the mean of all."""
    known = np.isfinite(errors)
    means = np.where(known, errors, 0.0).sum(axis=axes) / np.maximum(known.sum(axis=axes), 1)
    usual = float(errors[known].mean()) if known.any() else 1.0
    return np.where(means > 0, means, usual or 1.0)


def mean_known(cells: np.ndarray) -> float:
    """Mean of the cells that are known, NaN where none is.

    >>> mean_known(np.array([1.0, np.nan, 3.0]))
    2.0
    """
    known = cells[np.isfinite(cells)]
    return float(known.mean()) if len(known) else float("nan")


def _days(span: np.timedelta64) -> str:
    return f"{span / np.timedelta64(1, 'D'):.0f} days"
